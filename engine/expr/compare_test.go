package expr

import (
	"bytes"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/prickledb/prickle/storage/vec"
)

// TestCompareConst compares the kernel that is built in with the portable one, at every length.
func TestCompareConst(t *testing.T) {
	values := []int64{0, 1, -1, 62, math.MinInt64, math.MaxInt64, 1 << 32, -1 << 32, 63}
	for n := range 70 {
		a := make([]int64, n+1)
		for i := range a {
			a[i] = values[(i*i+n)%len(values)]
		}
		for _, x := range values {
			for op := eq; op <= ge; op++ {
				got, want := slices.Repeat([]bool{true}, n+1), make([]bool, n)
				compareConst(got[:n], a, x, op)
				compareConstPortable(want, a, x, op)
				if !slices.Equal(got[:n], want) || !got[n] {
					t.Fatalf("comparison %d of %v with %d = %v, want %v", op, a[:n], x, got, want)
				}
			}
		}
	}
}

// TestIndexOf compares the kernel that is built in with bytes.Index, where much looks like the word.
func TestIndexOf(t *testing.T) {
	found := 0
	for range 20_000 {
		text := make([]byte, rand.IntN(200))
		for i := range text {
			text[i] = "ab"[rand.IntN(4)/3]
		}
		word := make([]byte, 1+rand.IntN(9))
		for i := range word {
			word[i] = "ab"[rand.IntN(4)/3]
		}
		got, want := indexOf(text, string(word)), bytes.Index(text, word)
		if got != want {
			t.Fatalf("%q is at %d of %q, want %d", word, got, text, want)
		}
		if got >= 0 {
			found++
		}
	}
	if found < 5000 || found > 19_000 {
		t.Errorf("%d of 20000 words are there", found)
	}
}

func BenchmarkMasks(b *testing.B) {
	small, words := make([]uint8, vec.BatchRows), make([]uint16, vec.BatchRows)
	for i := range small {
		small[i], words[i] = uint8(rand.Uint32()), uint16(rand.Uint32())
	}
	mask := vec.NewBitmap(vec.BatchRows)
	for name, of := range map[string]func(){
		"bytes/built in": func() { maskBytes(mask, small, 62, false) }, "bytes/portable": func() { maskPortable(mask, small, 62, false) },
		"words/built in": func() { maskWords(mask, words, 62, false) }, "words/portable": func() { maskPortable(mask, words, 62, false) },
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				of()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*vec.BatchRows), "ns/row")
		})
	}
}

func BenchmarkCompareConst(b *testing.B) {
	a, dst := make([]int64, 8192), make([]bool, 8192)
	for i := range a {
		a[i] = int64(i % 6500)
	}
	for name, compare := range map[string]func([]bool, []int64, int64, comparison){"built in": compareConst, "portable": compareConstPortable} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(8 * 8192)
			for b.Loop() {
				compare(dst, a, 62, eq)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*8192), "ns/row")
		})
	}
}
