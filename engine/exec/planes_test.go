package exec

import (
	"math/rand"
	"testing"
)

// TestPlanes turns the masks of blocks round, and looks at every bit.
func TestPlanes(t *testing.T) {
	var planes []uint64
	for seed := range int64(50) {
		r := rand.New(rand.NewSource(seed))
		b := dayBlock{count: 1 + r.Intn(300), words: 1 + r.Intn(3)}
		masks := make([]uint64, b.count*b.words)
		for i := range masks {
			if r.Intn(3) > 0 {
				masks[i] = r.Uint64() & r.Uint64()
			}
		}
		for at := 0; at < b.count; at += planeActors {
			planes = b.planes(planes, masks, at)
			for d := range 64 * b.words {
				want := uint64(0)
				for a := range min(planeActors, b.count-at) {
					want |= b.of(masks, at+a)[d/64] >> (d % 64) & 1 << a
				}
				if planes[d] != want {
					t.Fatalf("seed %d: day %d of actors from %d on is %x, want %x", seed, d, at, planes[d], want)
				}
			}
		}
	}
}
