package exec

import (
	"context"
	"math"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/vec"
)

// limit passes on a stretch of rows.
type limit struct {
	input      Operator
	skip, left int64
}

func newLimit(n *plan.Limit, env *Env) (Operator, error) {
	left, err := rowCount(n.Limit, env, "LIMIT", math.MaxInt64)
	if err != nil {
		return nil, err
	}
	skip, err := rowCount(n.Offset, env, "OFFSET", 0)
	if err != nil {
		return nil, err
	}
	input, err := Build(n.Input, env)
	if err != nil {
		return nil, err
	}
	return &limit{input: input, skip: skip, left: left}, nil
}

// rowCount evaluates a LIMIT or OFFSET. A missing one and a null mean none.
func rowCount(e expr.Expr, env *Env, clause string, none int64) (int64, error) {
	if e == nil {
		return none, nil
	}
	v, err := e.Eval(env.Expr, &vec.Batch{Rows: 1})
	if err != nil {
		return 0, err
	}
	if v.IsNull(0) {
		return none, nil
	}
	v, i := v.At(0)
	if v.I64[i] < 0 {
		return 0, pgerr.New(map[string]string{"LIMIT": "2201W", "OFFSET": "2201X"}[clause], "%s must not be negative", clause)
	}
	return v.I64[i], nil
}

func (l *limit) Next(ctx context.Context) (*vec.Batch, error) {
	for l.left > 0 {
		b, err := l.input.Next(ctx)
		if b == nil || err != nil {
			return nil, err
		}
		n := int64(b.Live())
		if l.skip >= n {
			l.skip -= n
			continue
		}
		b = stretch(b, int(l.skip), int(l.skip+min(n-l.skip, l.left)))
		l.skip = 0
		l.left -= int64(b.Live())
		return b, nil
	}
	return nil, nil
}

func (l *limit) Close() error { return l.input.Close() }

// stretch is the rows of b from the from-th to before the to-th that count.
func stretch(b *vec.Batch, from, to int) *vec.Batch {
	if b.Sel != nil {
		return &vec.Batch{Rows: b.Rows, Sel: b.Sel[from:to], Cols: b.Cols}
	}
	if from == 0 && to == b.Rows {
		return b
	}
	sel := make([]uint32, to-from)
	for i := range sel {
		sel[i] = uint32(from + i)
	}
	return &vec.Batch{Rows: b.Rows, Sel: sel, Cols: b.Cols}
}
