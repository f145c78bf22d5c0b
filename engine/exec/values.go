package exec

import (
	"context"

	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/vec"
)

// values yields literal rows.
type values struct {
	node *plan.Values
	env  *Env
	done bool
}

func (v *values) Next(context.Context) (*vec.Batch, error) {
	if v.done || len(v.node.Rows) == 0 {
		return nil, nil
	}
	v.done = true
	out := &vec.Batch{Rows: len(v.node.Rows), Cols: make([]*vec.Vector, len(v.node.Columns))}
	one := &vec.Batch{Rows: 1}
	for c := range out.Cols {
		b := vec.NewBuilder(v.node.Columns[c].Type)
		for _, row := range v.node.Rows {
			x, err := row[c].Eval(v.env.Expr, one)
			if err != nil {
				return nil, err
			}
			b.AppendFrom(x, 0)
		}
		out.Cols[c] = b.V
	}
	return out, nil
}

func (v *values) Close() error { return nil }
