package agg

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/prickledb/prickle/storage/vec"
)

// TestSumFew sums numerics of one scale by few groups, and by more, as one after the other: small ones, such that
// are too large for lanes, and all rows or some.
func TestSumFew(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	rnd := rand.New(rand.NewPCG(seed, 0))
	for range 200 {
		count := 1 + rnd.IntN(2*fewGroups)
		most := []int64{100, mostSummed, 1 << 50, 1 << 61}[rnd.IntN(4)]
		v := &vec.Vector{Type: vec.T(vec.Numeric), Scale: 2}
		for range 1 + rnd.IntN(vec.BatchRows) {
			v.I64 = append(v.I64, rnd.Int64N(201)-100)
		}
		for range 1 + rnd.IntN(3) {
			v.I64[rnd.IntN(len(v.I64))] = rnd.Int64N(2*most+1) - most
		}
		var groups, rows []uint32
		sums, seen := make([]vec.Decimal, count), make([]int64, count)
		for r, x := range v.I64 {
			if r > 0 && rnd.IntN(5) == 0 {
				continue
			}
			g := rnd.IntN(count)
			groups, rows = append(groups, uint32(g)), append(rows, uint32(r))
			sum, err := sums[g].Add(vec.Decimal{Hi: x >> 63, Lo: uint64(x), Scale: 2})
			if err != nil {
				t.Fatal(err)
			}
			sums[g] = sum
			seen[g]++
		}
		s := &sumDecimal{}
		s.Grow(count)
		if err := s.Update(nil, groups, []*vec.Vector{v}, rows); err != nil {
			t.Fatal(err)
		}
		for g := range count {
			if s.sum[g].Cmp(sums[g]) != 0 || s.n[g] != seen[g] {
				t.Fatalf("seed %d: up to %d, group %d of %d: %s of %d rows, want %s of %d", seed, most, g, count, s.sum[g], s.n[g], sums[g], seen[g])
			}
		}
	}
}

func BenchmarkSumDecimal(b *testing.B) {
	for _, count := range []int{4, fewGroups, 1000} {
		b.Run(fmt.Sprint(count, " groups"), func(b *testing.B) {
			v := &vec.Vector{Type: vec.T(vec.Numeric), Scale: 2, I64: make([]int64, vec.BatchRows)}
			groups := make([]uint32, vec.BatchRows)
			for i := range groups {
				v.I64[i], groups[i] = rand.Int64N(1e7), rand.Uint32N(uint32(count))
			}
			s, rows := &sumDecimal{}, first(vec.BatchRows)
			s.Grow(count)
			b.SetBytes(8 * vec.BatchRows)
			for b.Loop() {
				if err := s.Update(nil, groups, []*vec.Vector{v}, rows); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
