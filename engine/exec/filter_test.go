package exec

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/storage/vec"
)

func TestPlaces(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{0, 1, 7, 8, 9, 64, 1001} {
		for _, every := range []int{1, 2, 50, 1 << 20} {
			truths, want := make([]bool, n), []uint32{}
			for i := range truths {
				if truths[i] = rng.IntN(every) == 0; truths[i] {
					want = append(want, uint32(i))
				}
			}
			count := countTrue(truthBytes(truths))
			if got := places(nil, truthBytes(truths), count); got == nil || count != len(want) || !slices.Equal(got, want) {
				t.Errorf("places of %d, one in %d true: %d, %v, want %v", n, every, count, got, want)
			}
		}
	}
}

// A condition says the same of a row whether many or few count beside it.
func TestKeepTrueOfFew(t *testing.T) {
	b := &vec.Batch{Rows: 1000, Cols: []*vec.Vector{nil, {Type: vec.T(vec.Int8), I64: make([]int64, 1000)}}}
	for i := range b.Cols[1].I64 {
		b.Cols[1].I64[i] = int64(i * 7 % 10)
	}
	four := &expr.Const{Value: &vec.Vector{Type: vec.T(vec.Int8), Form: vec.Const, I64: []int64{4}}}
	cond, err := expr.NewOperator("<", &expr.Column{Index: 1, T: vec.T(vec.Int8)}, four)
	if err != nil {
		t.Fatal(err)
	}
	all := &vec.Batch{Rows: 4, Cols: []*vec.Vector{nil, {Type: vec.T(vec.Int8), I64: []int64{1, 2, 3, 0}}}}
	if kept, err := keepTrue(&expr.Context{}, cond, all); err != nil || kept.Sel != nil || kept.Rows != 4 {
		t.Errorf("of rows that are all kept, %v are: %v", kept.Sel, err)
	}
	for _, count := range []int{0, 1, 20, 900} {
		b.Sel = []uint32{}
		want := []uint32{}
		for i := range count {
			b.Sel = append(b.Sel, uint32(i+3))
			if b.Cols[1].I64[i+3] < 4 {
				want = append(want, uint32(i+3))
			}
		}
		kept, err := keepTrue(&expr.Context{}, cond, b)
		if err != nil || !slices.Equal(kept.Sel, want) || kept.Rows != b.Rows {
			t.Errorf("of %d rows %v are kept, want %v: %v", count, kept.Sel, want, err)
		}
	}
}
