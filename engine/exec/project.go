package exec

import (
	"context"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/storage/vec"
)

// project computes one column per expression.
type project struct {
	input   Operator
	exprs   []expr.Expr
	columns int // of the input
	env     *Env
}

func (p *project) Next(ctx context.Context) (*vec.Batch, error) {
	b, err := p.input.Next(ctx)
	if b == nil || err != nil {
		return nil, err
	}
	cols, err := evalAll(p.env.Expr, p.exprs, b)
	if err != nil {
		return nil, err
	}
	return &vec.Batch{Rows: b.Rows, Sel: b.Sel, Cols: append(cols, b.Cols[p.columns:]...)}, nil
}

func (p *project) Close() error { return p.input.Close() }

func evalAll(ctx *expr.Context, exprs []expr.Expr, b *vec.Batch) ([]*vec.Vector, error) {
	cols := make([]*vec.Vector, len(exprs))
	for i, e := range exprs {
		v, err := e.Eval(ctx, b)
		if err != nil {
			return nil, err
		}
		cols[i] = v
	}
	return cols, nil
}
