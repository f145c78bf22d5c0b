package exec

import (
	"math/rand"
	"slices"
	"testing"
)

// TestCountDays counts actors in windows of days by masks, by changes and one by one.
func TestCountDays(t *testing.T) {
	even := 0
	for seed := range int64(500) {
		r := rand.New(rand.NewSource(seed))
		days, n := 1+r.Intn(150), 1+r.Intn(100)
		width, shift := 1+r.Intn(70), r.Intn(120)-90
		words := (days + 63) / 64
		from, to := make([]int32, days), make([]int32, days)
		for d := range days {
			from[d], to[d] = int32(max(d+shift, 0)), int32(min(d+shift+width-1, n-1))
			if from[d] > to[d] {
				from[d], to[d] = 0, -1
			}
		}
		if r.Intn(4) == 0 { // weeks
			for d := range days {
				if from[d], to[d] = int32(d/7), int32(d/7); d/7 >= n {
					from[d], to[d] = 0, -1
				}
			}
		}
		masks := make([]uint64, words*r.Intn(700))
		want := make([]int64, n)
		for a := 0; a < len(masks); a += words {
			in := make([]bool, n)
			for range r.Intn(12) {
				d := r.Intn(days)
				masks[a+d/64] |= 1 << (d % 64)
				for b := from[d]; b <= to[d]; b++ {
					in[b] = true
				}
			}
			for b := range in {
				if in[b] {
					want[b]++
				}
			}
		}
		changes := make([]int64, n+1)
		countDays(changes, masks, words, from, to)
		for b := 1; b < n; b++ {
			changes[b] += changes[b-1]
		}
		if !slices.Equal(changes[:n], want) {
			t.Fatalf("seed %d: by changes %v, want %v", seed, changes[:n], want)
		}
		width, shift, ok := evenWindow(from, to, n)
		if !ok || n-shift > 64*words {
			continue
		}
		even++
		places := make([]int64, 64*words)
		reachDays(masks, words, width)
		countPlaces(places, masks, words)
		for b := range n {
			if got := place(places, b-shift); got != want[b] {
				t.Fatalf("seed %d: width %d, shift %d: bucket %d has %d, want %d", seed, width, shift, b, got, want[b])
			}
		}
	}
	if even < 50 {
		t.Errorf("%d windows are even", even)
	}
}

// place is the count at a place, 0 where there is none.
func place(counts []int64, at int) int64 {
	if at < 0 || at >= len(counts) {
		return 0
	}
	return counts[at]
}
