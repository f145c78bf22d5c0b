package exectest

import (
	"fmt"

	"github.com/prickledb/prickle/storage/vec"
)

// shape is a way to cut rows into batches.
type shape struct {
	rows     int // in a batch; 0 is all
	selected bool
	form     vec.Form // Const only where all rows of a batch are the same
}

// shapes begins with the plainest.
var shapes = func() []shape {
	var out []shape
	for _, rows := range []int{0, 1, 2, 3} {
		for _, selected := range []bool{false, true} {
			for _, form := range []vec.Form{vec.Flat, vec.Const, vec.Dict} {
				out = append(out, shape{rows, selected, form})
			}
		}
	}
	return out
}()

func (s shape) name() string {
	rows := "all rows in one batch"
	if s.rows > 0 {
		rows = fmt.Sprintf("batches of %d", s.rows)
	}
	if s.selected {
		rows += " with a selection"
	}
	return rows + map[vec.Form]string{vec.Flat: ", flat", vec.Const: ", constant", vec.Dict: ", by dictionary"}[s.form]
}

// batches cuts the rows of a flat batch.
func (s shape) batches(all *vec.Batch) []*vec.Batch {
	size := s.rows
	if size == 0 {
		size = max(all.Rows, 1)
	}
	var out []*vec.Batch
	for lo := 0; lo < all.Rows; lo += size {
		// With a selection, each row follows one that does not count: a later row.
		var take, sel []uint32
		for r := lo; r < min(lo+size, all.Rows); r++ {
			if s.selected {
				take = append(take, uint32((r+3)%all.Rows))
				sel = append(sel, uint32(len(take)))
			}
			take = append(take, uint32(r))
		}
		b := &vec.Batch{Rows: len(take), Sel: sel}
		for _, c := range all.Cols {
			b.Cols = append(b.Cols, s.column(c.Take(take), b))
		}
		out = append(out, b)
	}
	return out
}

// column gives a flat column the shape's form, as far as its values allow it.
func (s shape) column(v *vec.Vector, b *vec.Batch) *vec.Vector {
	switch s.form {
	case vec.Const:
		live := b.Sel
		if live == nil {
			live = make([]uint32, b.Rows)
			for i := range live {
				live[i] = uint32(i)
			}
		}
		for _, r := range live {
			if v.IsNull(int(r)) != v.IsNull(int(live[0])) || !v.IsNull(int(r)) && !vec.Equal(v, int(r), v, int(live[0])) {
				return v
			}
		}
		if v.IsNull(int(live[0])) {
			return vec.NullConst(v.Type)
		}
		one := *v.Take(live[:1])
		one.Form = vec.Const
		return &one
	case vec.Dict:
		// The dictionary holds the values backwards, after one that no row has.
		values := vec.NewBuilder(v.Type)
		out := &vec.Vector{Type: v.Type, Form: vec.Dict, Codes: make([]uint32, b.Rows), Nulls: v.Nulls}
		values.AppendFrom(v, 0)
		for r := b.Rows - 1; r >= 0; r-- {
			if v.IsNull(r) {
				continue
			}
			out.Codes[r] = uint32(values.V.Len())
			values.AppendFrom(v, r)
		}
		out.Dict = values.V
		return out
	}
	if v.Type.Payload() == vec.PayloadDec && s.rows%2 == 1 {
		if coefs, scale, ok := vec.Narrow(v.Decimals(), v.Nulls); ok {
			return &vec.Vector{Type: v.Type, I64: coefs, Scale: scale, Nulls: v.Nulls}
		}
	}
	return v
}

// withNulls is the rows with a null in place of every so many values, counted across the
// columns.
func withNulls(b *vec.Batch, every int) *vec.Batch {
	out := &vec.Batch{Rows: b.Rows}
	n := 0
	for _, c := range b.Cols {
		v := vec.NewBuilder(c.Type)
		for r := range b.Rows {
			if n++; n%(every+1) == 0 {
				v.AppendNull()
			} else {
				v.AppendFrom(c, r)
			}
		}
		out.Cols = append(out.Cols, v.V)
	}
	return out
}
