package exec

import (
	"context"

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

// keepTrue is b with only the rows left for which cond is true.
func keepTrue(ctx *expr.Context, cond expr.Expr, b *vec.Batch) (*vec.Batch, error) {
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
	return &vec.Batch{Rows: b.Rows, Sel: selectTrue(v, b), Cols: b.Cols}, nil
}

// selectTrue lists the rows of b, among those that count, where v is true.
func selectTrue(v *vec.Vector, b *vec.Batch) []uint32 {
	if v.Form == vec.Dict {
		v = v.Flatten(b.Rows)
	}
	out := make([]uint32, 0, b.Live())
	nulls := len(v.Nulls) > 0
	if b.Sel == nil {
		for i, ok := range v.Bools[:b.Rows] {
			if ok && !(nulls && v.Nulls.Get(i)) {
				out = append(out, uint32(i))
			}
		}
		return out
	}
	for _, i := range b.Sel {
		if v.Bools[i] && !(nulls && v.Nulls.Get(int(i))) {
			out = append(out, i)
		}
	}
	return out
}
