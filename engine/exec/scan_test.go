package exec

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/prickledb/prickle/storage/vec"
)

// Whoever reads a scan, and in whatever turn, all of it is handed out once, to one alone in its order.
func TestScanParts(t *testing.T) {
	seed := rand.Uint64()
	rnd := rand.New(rand.NewPCG(seed, 10))
	for range 200 {
		threads, total := 1+rnd.IntN(4), rnd.IntN(12)
		s := &scanSource{env: &Env{Threads: threads}, batches: make([]*vec.Batch, total)}
		readers := make([]int, 1+rnd.IntN(6))
		for i := range readers {
			readers[i] = i
		}
		var taken []int
		for len(readers) > 0 {
			at := rnd.IntN(len(readers))
			if i, ok := s.take(readers[at]); ok {
				taken = append(taken, i)
			} else {
				readers = slices.Delete(readers, at, at+1)
			}
		}
		if !slices.IsSorted(taken) && threads == 1 {
			t.Fatalf("seed %d: one goroutine takes %v", seed, taken)
		}
		slices.Sort(taken)
		for i, n := range taken {
			if i != n || len(taken) != total {
				t.Fatalf("seed %d: %d threads take %v of %d", seed, threads, taken, total)
			}
		}
	}
}
