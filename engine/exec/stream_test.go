package exec

import (
	"math/rand/v2"
	"testing"
)

// TestPlacesOfOrdinals finds intervals of ordinals, from places that are right, too far ahead, far behind and beyond.
func TestPlacesOfOrdinals(t *testing.T) {
	for range 5000 {
		ordinals := make([]uint32, rand.IntN(300))
		next := uint32(0)
		for i := range ordinals {
			next += 1 + rand.Uint32N(1+rand.Uint32N(20))
			ordinals[i] = next
		}
		lo := rand.Uint32N(next + 10)
		hi := lo + rand.Uint32N(100)
		at, want, end := rand.IntN(len(ordinals)+20), 0, 0
		for want < len(ordinals) && ordinals[want] < lo {
			want++
		}
		for end = want; end < len(ordinals) && ordinals[end] < hi; end++ {
		}
		if from, to := placesOf(ordinals, lo, hi); from != want || to != end {
			t.Fatalf("%v: those in [%d, %d) are at %d to %d, want %d to %d", ordinals, lo, hi, from, to, want, end)
		}
		if from, to := placesFrom(ordinals, at, lo, hi); from != want || to != end {
			t.Fatalf("%v, from %d on: those in [%d, %d) are at %d to %d, want %d to %d", ordinals, at, lo, hi, from, to, want, end)
		}
	}
}
