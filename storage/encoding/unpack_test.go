package encoding

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// TestUnpackTwins compares what the build unpacks with to the portable loops, on bytes
// that no encoder need have written. In a build without kernels the two are the same.
func TestUnpackTwins(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 12))
	var got, want [GroupRows]uint32
	for width := uint(0); width <= 32; width++ {
		for round := range 20 {
			src := make([]byte, 64*width) // no byte more than is promised
			for i := range src {
				src[i] = byte(rng.Uint32())
			}
			base, first := rng.Uint32(), rng.Uint32()
			if round == 0 {
				base, first = 0, 0
			}
			unpack(&got, src, base, width)
			unpackPortable(&want, src, base, width)
			if got != want {
				t.Fatalf("width %d, base %d: values differ from the portable ones", width, base)
			}
			unpackSums(&got, src, first, base, width)
			unpackSumsPortable(&want, src, first, base, width)
			if got != want {
				t.Fatalf("width %d, first %d, least %d: sums differ from the portable ones", width, first, base)
			}
			if got[0] != first {
				t.Fatalf("width %d: the first sum is %d, want %d", width, got[0], first)
			}
		}
	}
}

func BenchmarkUnpack(b *testing.B) {
	rng := rand.New(rand.NewPCG(13, 14))
	src := make([]byte, 64*32)
	for i := range src {
		src[i] = byte(rng.Uint32())
	}
	var dst [GroupRows]uint32
	for _, width := range []uint{1, 5, 8, 13, 20, 32} {
		b.Run(fmt.Sprintf("values/width=%d", width), func(b *testing.B) {
			for b.Loop() {
				unpack(&dst, src, 7, width)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/GroupRows, "ns/value")
		})
		b.Run(fmt.Sprintf("sums/width=%d", width), func(b *testing.B) {
			for b.Loop() {
				unpackSums(&dst, src, 7, 3, width)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/GroupRows, "ns/value")
		})
	}
}
