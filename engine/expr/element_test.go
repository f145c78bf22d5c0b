package expr

import (
	"math/rand"
	"testing"

	"github.com/prickledb/prickle/storage/vec"
)

// TestElementOfEach takes elements at one position, and at positions that are given row by row.
func TestElementOfEach(t *testing.T) {
	for seed := range int64(200) {
		r := rand.New(rand.NewSource(seed))
		list := &vec.Vector{Type: vec.ArrayOf(vec.Int8), Offs: []uint32{0}, Elem: &vec.Vector{Type: vec.T(vec.Int8)}}
		n := 1 + r.Intn(70)
		for i := range n {
			if r.Intn(8) == 0 {
				list.Nulls = list.Nulls.Grow(n)
				list.Nulls.Set(i)
			} else {
				for range r.Intn(4) {
					list.Elem.I64 = append(list.Elem.I64, r.Int63())
				}
			}
			list.Offs = append(list.Offs, uint32(len(list.Elem.I64)))
		}
		at := int64(r.Intn(6)) - 1
		one := &vec.Vector{Type: vec.T(vec.Int4), Form: vec.Const, I64: []int64{at}}
		each := &vec.Vector{Type: vec.T(vec.Int4)}
		for range n {
			each.I64 = append(each.I64, at)
		}
		var got [2]*vec.Vector
		for i, position := range []*vec.Vector{one, each} {
			call, err := NewOperator("[]", &Column{Index: 0, T: list.Type}, &Column{Index: 1, T: position.Type})
			if err != nil {
				t.Fatal(err)
			}
			if got[i], err = call.Eval(&Context{}, &vec.Batch{Rows: n, Cols: []*vec.Vector{list, position}}); err != nil {
				t.Fatal(err)
			}
		}
		for i := range n {
			if got[0].IsNull(i) != got[1].IsNull(i) || !got[0].IsNull(i) && got[0].I64[i] != got[1].I64[i] {
				t.Fatalf("seed %d: element %d of list %d = %v, row by row %v", seed, at, i, got[0], got[1])
			}
		}
	}
}

// TestEpochOfInterval compares seconds with those of the decimal.
func TestEpochOfInterval(t *testing.T) {
	r := rand.New(rand.NewSource(1))
	exact := 0
	for range 20_000 {
		v := vec.IntervalValue{Days: int32(r.Uint32()) >> r.Intn(32), Micros: int64(r.Uint64()) >> r.Intn(64)}
		if r.Intn(4) == 0 {
			v.Months = int32(r.Intn(40))
		}
		us, ok := exactMicros(v)
		if !ok {
			continue
		}
		exact++
		if d, err := extractInterval("epoch", v); err != nil || d.Float64() != us/1e6 {
			t.Fatalf("seconds of %+v = %v, want %v, %v", v, us/1e6, d, err)
		}
	}
	if exact < 1000 {
		t.Fatalf("only %d intervals were exact", exact)
	}
}
