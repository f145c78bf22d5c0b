package encoding

import (
	"fmt"
	"math/rand/v2"
	"slices"
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
			if width > 0 {
				lo := rng.IntN(GroupRows)
				few := make([]uint32, min(GroupRows-lo, 1+rng.IntN(fewValues)))
				unpackFew(few, src, lo, base, width)
				if !slices.Equal(few, want[lo:lo+len(few)]) {
					t.Fatalf("width %d, base %d: %d values from %d on differ from those of the group", width, base, len(few), lo)
				}
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

// TestExpandTwins does so with runs, which may be too long or too few.
func TestExpandTwins(t *testing.T) {
	rng := rand.New(rand.NewPCG(15, 16))
	whole := 0
	for range 5000 {
		longest := 1 + rng.IntN(60)
		var values, lengths []uint32
		rows := 0
		for range rng.IntN(40) {
			values, lengths = append(values, rng.Uint32()), append(lengths, uint32(rng.IntN(longest)))
			rows += int(lengths[len(lengths)-1]) + 1
		}
		lo := rng.IntN(rows + 1)
		n := rng.IntN(rows - lo + 1)
		rows += rng.IntN(3) - 1
		got, want := make([]uint32, n+1), make([]uint32, n+1)
		got[n], want[n] = 7, 7 // is behind what is asked for
		ok, wanted := expandRuns(got[:n], values, lengths, rows, lo), expandRunsPortable(want[:n], values, lengths, rows, lo)
		if ok != wanted || ok && !slices.Equal(got, want) || got[n] != 7 {
			t.Fatalf("%d of %d rows from %d on, runs of %v: %v, %v, want %v, %v", n, rows, lo, lengths, ok, got, wanted, want)
		}
		if ok {
			whole++
		}
	}
	if whole < 2000 {
		t.Errorf("%d of 5000 lists of runs are whole", whole)
	}
}

func BenchmarkExpandRuns(b *testing.B) {
	for _, length := range []int{3, 10, 40} {
		rng := rand.New(rand.NewPCG(17, 18))
		var values, lengths []uint32
		for rows := 0; rows < BlockRows; {
			n := min(1+rng.IntN(2*length-1), BlockRows-rows)
			values, lengths = append(values, rng.Uint32()%100), append(lengths, uint32(n-1))
			rows += n
		}
		dst := make([]uint32, BlockRows)
		for name, expand := range map[string]func(_, _, _ []uint32, _, _ int) bool{"built in": expandRuns, "portable": expandRunsPortable} {
			b.Run(fmt.Sprintf("%d/%s", length, name), func(b *testing.B) {
				b.SetBytes(4 * BlockRows)
				for b.Loop() {
					if !expand(dst, values, lengths, BlockRows, 0) {
						b.Fatal("too few")
					}
				}
			})
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
