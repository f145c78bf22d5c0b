package expr

import (
	"math"
	"slices"
	"testing"
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
