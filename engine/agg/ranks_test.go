package agg

import (
	"fmt"
	"math/rand"
	"slices"
	"testing"
)

// What lies at a place is what sorting would put there, and what is before and after it belongs there.
func TestPlace(t *testing.T) {
	for seed := range int64(400) {
		r := rand.New(rand.NewSource(seed))
		v := make([]float64, 1+r.Intn([]int{5, 700, 9000}[r.Intn(3)]))
		values := 1 + r.Intn([]int{2, 50, 1 << 30}[r.Intn(3)])
		for i := range v {
			v[i] = float64(r.Intn(values))
		}
		switch r.Intn(4) {
		case 0:
			slices.Sort(v)
		case 1:
			slices.Sort(v)
			slices.Reverse(v)
		}
		lo := r.Intn(len(v))
		hi := lo + r.Intn(len(v)-lo)
		n := lo + r.Intn(hi-lo+1)
		want := slices.Clone(v)
		slices.Sort(want[lo : hi+1])
		Place(v, n, lo, hi)
		if v[n] != want[n] || slices.Max(v[lo:n+1]) != v[n] || slices.Min(v[n:hi+1]) != v[n] {
			t.Fatalf("seed %d: place %d of %d to %d has %v, want %v", seed, n, lo, hi, v[n], want[n])
		}
		slices.Sort(v[lo : hi+1])
		if !slices.Equal(v, want) {
			t.Fatalf("seed %d: places %d to %d do not hold the values that they held, or others do not", seed, lo, hi)
		}
	}
}

func BenchmarkPlace(b *testing.B) {
	for _, size := range []int{500, 25_000, 1_000_000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			r := rand.New(rand.NewSource(1))
			values, v := make([]float64, size), make([]float64, size)
			for i := range values {
				values[i] = r.ExpFloat64()
			}
			for b.Loop() {
				copy(v, values)
				Place(v, size/2, 0, size-1)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(size), "ns/value")
		})
	}
}
