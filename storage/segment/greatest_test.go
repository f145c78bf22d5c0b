package segment

import (
	"math/rand/v2"
	"slices"
	"testing"
)

func TestGreatest(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for n := range 40 {
		codes := make([]uint32, n)
		for i := range codes {
			codes[i] = r.Uint32N(50)
		}
		want := uint32(0)
		if n > 0 {
			want = slices.Max(codes)
		}
		if got := greatest(codes); got != want {
			t.Fatalf("greatest of %v = %d, want %d", codes, got, want)
		}
	}
}
