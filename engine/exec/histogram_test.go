package exec

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/prickledb/prickle/storage/vec"
)

// TestHistogram compares what histograms say of values of several kinds with counting them.
func TestHistogram(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 0))
	for _, c := range []struct {
		name string
		typ  vec.Type
		add  func(b *vec.Builder, x int)
	}{
		{"numbers", vec.T(vec.Int8), func(b *vec.Builder, x int) {
			b.AppendFrom(&vec.Vector{Type: vec.T(vec.Int8), I64: []int64{int64(x)}}, 0)
		}},
		{"floats", vec.T(vec.Float8), func(b *vec.Builder, x int) {
			b.AppendFrom(&vec.Vector{Type: vec.T(vec.Float8), F64: []float64{float64(x) / 3}}, 0)
		}},
		{"texts", vec.T(vec.Text), func(b *vec.Builder, x int) {
			b.AppendFrom(&vec.Vector{Type: vec.T(vec.Text), Str: vec.StringsOf(fmt.Sprintf("%05d", x))}, 0)
		}},
	} {
		for _, most := range []int{1, 30, 20_000} {
			all := vec.NewBuilder(c.typ)
			seen := map[int]int{}
			const rows = 4000
			for range rows {
				if r.IntN(10) == 0 {
					all.AppendNull()
					continue
				}
				x := int(float64(most) * math.Pow(r.Float64(), 3))
				seen[x]++
				c.add(all, x)
			}
			h := newHistogram(all.V, float64(len(seen)))
			if h == nil || math.Abs(h.nulls-0.1) > 0.02 {
				t.Fatalf("%s: %+v, want a tenth of NULL", c.name, h)
			}
			full := (1 - h.nulls) * rows
			for range 50 {
				x := r.IntN(most + 2)
				b := vec.NewBuilder(c.typ)
				c.add(b, x)
				below, same := 0, seen[x]
				for v, n := range seen {
					if v < x {
						below += n
					}
				}
				for _, equal := range []bool{false, true} {
					want := float64(below) / full
					if equal {
						want += float64(same) / full
					}
					if got := h.below(b.V, equal); math.Abs(got-want) > 2.0/buckets {
						t.Errorf("%s to %d: below(%d, %v) = %.3f, want %.3f", c.name, most, x, equal, got, want)
					}
				}
				if got, want := h.equal(b.V), float64(same)/rows; math.Abs(got-want) > 1.0/buckets {
					t.Errorf("%s to %d: equal(%d) = %.4f, want %.4f", c.name, most, x, got, want)
				}
			}
		}
	}
	if h := newHistogram(vec.NullConst(vec.T(vec.Int8)).Flatten(3), 0); h != nil {
		t.Errorf("histogram of NULL alone = %+v, want none", h)
	}
}
