package agg

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// TestPairs compares sets of pairs with maps, and their union under other groups.
func TestPairs(t *testing.T) {
	zeroWord := numberOf(0)
	type key struct {
		group  uint32
		number int64
	}
	random := rand.New(rand.NewPCG(3, 5))
	for _, c := range []struct {
		groups int
		rows   [2]int // of the two sets
		values int64  // how many
		least  int64
		sparse [2]bool
	}{
		{1, [2]int{0, 10}, 5, 0, [2]bool{true, true}},
		{1, [2]int{500_000, 450_000}, math.MaxInt64, 0, [2]bool{true, true}},
		{1, [2]int{300_000, 300_000}, 70_000, 0, [2]bool{true, false}},
		{1, [2]int{300, 500_000}, 1 << 40, 0, [2]bool{true, true}},
		{7, [2]int{600_000, 90_000}, 100_000, 0, [2]bool{true, true}},
		{7, [2]int{100_000, 90_000}, 40_000, 0, [2]bool{false, true}},
		{1, [2]int{90_000, 300_000}, 90_000, zeroWord - 45_000, [2]bool{true, true}},
		{4, [2]int{90_000, 30_000}, 20_000, zeroWord - 10_000, [2]bool{true, true}},
		{5000, [2]int{100_000, 50_000}, 1000, 0, [2]bool{true, true}},
		{3, [2]int{50_000, 50_000}, 20_000, 0, [2]bool{false, false}},
	} {
		if testing.Short() && c.rows[1] > 300_000 {
			continue
		}
		name := fmt.Sprintf("%+v", c)
		to := make([]uint32, c.groups)
		for g, place := range random.Perm(c.groups) {
			to[g] = uint32(place)
		}
		want := map[key]bool{}
		var sets [2]pairs
		for k := range sets {
			p := &sets[k]
			p.sparse = c.sparse[k]
			p.grow(c.groups)
			own := map[key]bool{}
			for left := c.rows[k]; left > 0; left -= 1000 {
				groups, ids, numbers := make([]uint32, 1000), make([]uint32, 1000), make([]int64, 1000)
				for i := range groups {
					groups[i], numbers[i] = uint32(random.IntN(c.groups)), random.Int64N(c.values)+c.least
					ids[i] = uint32(numbers[i])
					at := key{groups[i], numbers[i]}
					own[at] = true
					if k == 1 {
						at.group = to[at.group]
					}
					want[at] = true
				}
				if p.sparse {
					p.addNumbers(groups, numbers)
				} else {
					p.add(groups, ids)
				}
			}
			if n := p.size(); n != int64(len(own)) {
				t.Errorf("%s: set %d has %d pairs, want %d", name, k, n, len(own))
			}
		}
		sets[0].merge(&sets[1], to)
		counts := make([]int64, c.groups)
		for at := range want {
			counts[at.group]++
		}
		for g, n := range sets[0].finish() {
			if n != counts[g] {
				t.Fatalf("%s: group %d has %d numbers, want %d", name, g, n, counts[g])
			}
		}
		sets[0].each(func(g uint32, n int64) {
			if !want[key{g, n}] {
				t.Fatalf("%s: there is no (%d, %d), or it is there twice", name, g, n)
			}
			delete(want, key{g, n})
		})
		if len(want) > 0 {
			t.Errorf("%s: %d pairs are missing", name, len(want))
		}
	}
}

func BenchmarkPairs(b *testing.B) {
	const rows = 1 << 24
	for _, values := range []int64{1 << 10, 1 << 16, 1 << 18, 1 << 20, 1 << 22, 1 << 24} {
		b.Run(fmt.Sprint(values), func(b *testing.B) {
			random := rand.New(rand.NewPCG(3, 5))
			groups, numbers := make([]uint32, rows), make([]int64, rows)
			for i := range numbers {
				numbers[i] = random.Int64N(values) * 0x1E3779B97F4A7C15
			}
			for b.Loop() {
				p := pairs{sparse: true}
				p.grow(1)
				for at := 0; at < rows; at += 8192 {
					p.addNumbers(groups[at:at+8192], numbers[at:at+8192])
				}
				p.finish()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*rows), "ns/row")
		})
	}
}
