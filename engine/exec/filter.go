package exec

import (
	"context"
	"encoding/binary"
	"math/bits"
	"unsafe"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/storage/vec"
)

// filter keeps the rows for which a condition is true.
type filter struct {
	input Operator
	cond  expr.Expr
	env   *Env
}

func (f *filter) Next(ctx context.Context) (*vec.Batch, error) {
	for {
		b, err := f.input.Next(ctx)
		if b == nil || err != nil {
			return nil, err
		}
		out, err := keepTrue(f.env.Expr, f.cond, b)
		if err != nil {
			return nil, err
		}
		if out.Live() > 0 {
			return out, nil
		}
	}
}

func (f *filter) Close() error { return f.input.Close() }

// fewRows is which part of a batch's rows is so small that it is worth copying what a condition
// looks at, which else is computed of rows that do not count, too.
const fewRows = 16

// keepTrue is b with only the rows left for which cond is true.
func keepTrue(ctx *expr.Context, cond expr.Expr, b *vec.Batch) (*vec.Batch, error) {
	return keepTrueIn(nil, ctx, cond, b)
}

// keepTrueIn is keepTrue with the selection in a slice of an arena.
func keepTrueIn(a *vec.Arena, ctx *expr.Context, cond expr.Expr, b *vec.Batch) (*vec.Batch, error) {
	if b.Sel != nil && len(b.Sel) < b.Rows/fewRows {
		few := &vec.Batch{Rows: len(b.Sel), Cols: make([]*vec.Vector, len(b.Cols))}
		expr.Walk(cond, func(e expr.Expr) bool {
			if c, ok := e.(*expr.Column); ok && few.Cols[c.Index] == nil {
				few.Cols[c.Index] = b.Cols[c.Index].Take(b.Sel)
			}
			return true
		})
		kept, err := keepTrueIn(a, ctx, cond, few)
		if err != nil || kept.Sel == nil {
			return b, err
		}
		for i, r := range kept.Sel {
			kept.Sel[i] = b.Sel[r]
		}
		return &vec.Batch{Rows: b.Rows, Sel: kept.Sel, Cols: b.Cols}, nil
	}
	v, err := cond.Eval(ctx, b)
	if err != nil {
		return nil, err
	}
	if v.Form == vec.Const {
		if !v.Nulls.Get(0) && v.Bools[0] {
			return b, nil
		}
		return &vec.Batch{Rows: b.Rows, Sel: []uint32{}, Cols: b.Cols}, nil
	}
	sel := selectTrue(a, v, b)
	if sel == nil {
		return b, nil
	}
	return &vec.Batch{Rows: b.Rows, Sel: sel, Cols: b.Cols}, nil
}

// selectTrue lists the rows of b, among those that count, where v is true; nil where all rows count, and v is
// true in all.
func selectTrue(a *vec.Arena, v *vec.Vector, b *vec.Batch) []uint32 {
	if v.Form == vec.Dict {
		v = v.Flatten(b.Rows)
	}
	nulls := len(v.Nulls) > 0
	if b.Sel == nil && !nulls {
		truths := truthBytes(v.Bools[:b.Rows])
		n := countTrue(truths)
		if n == b.Rows {
			return nil
		}
		return places(a, truths, n)
	}
	if b.Sel == nil {
		out := a.Uint32s(b.Rows)[:0]
		for i, ok := range v.Bools[:b.Rows] {
			if ok && !v.Nulls.Get(i) {
				out = append(out, uint32(i))
			}
		}
		return out
	}
	if !nulls {
		return trueAmong(a, truthBytes(v.Bools), b.Sel)
	}
	out := a.Uint32s(len(b.Sel))[:0]
	for _, i := range b.Sel {
		if v.Bools[i] && !v.Nulls.Get(int(i)) {
			out = append(out, i)
		}
	}
	return out
}

// trueAmong lists the rows whose truth is 1. It has no branch that depends on them: they cannot be foreseen.
func trueAmong(a *vec.Arena, truths []byte, rows []uint32) []uint32 {
	out, n := a.Uint32s(len(rows)), 0
	for _, r := range rows {
		out[n] = r
		n += int(truths[r])
	}
	return out[:n]
}

// truthBytes is truths as bytes, each of which is 0 or 1.
func truthBytes(truths []bool) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(truths))), len(truths))
}

// countTrue counts truths. Eight of them are a word.
func countTrue(truths []byte) (n int) {
	whole := len(truths) &^ 7
	for i := 0; i < whole; i += 8 {
		n += bits.OnesCount64(binary.LittleEndian.Uint64(truths[i:]))
	}
	for _, b := range truths[whole:] {
		n += int(b)
	}
	return n
}

// places lists where the n truths are. It looks at eight at once: where few are true, as in most filters,
// that takes a fifth of the time.
func places(a *vec.Arena, truths []byte, n int) []uint32 {
	out, whole := a.Uint32s(n)[:0], len(truths)&^7
	for i := 0; i < whole; i += 8 {
		for w := binary.LittleEndian.Uint64(truths[i:]); w != 0; w &= w - 1 {
			out = append(out, uint32(i+bits.TrailingZeros64(w)>>3))
		}
	}
	for i, b := range truths[whole:] {
		if b != 0 {
			out = append(out, uint32(whole+i))
		}
	}
	return out
}
