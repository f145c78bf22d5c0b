package exec

import (
	"context"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/vec"
)

// union gives the rows of one input after the other.
type union struct{ inputs []Operator }

func newUnion(n *plan.Union, env *Env) (Operator, error) {
	u := &union{}
	for _, x := range n.Of {
		op, err := Build(x, env)
		if err != nil {
			u.Close() // the first error is the one that matters
			return nil, err
		}
		u.inputs = append(u.inputs, op)
	}
	return u, nil
}

func (u *union) Next(ctx context.Context) (*vec.Batch, error) {
	for len(u.inputs) > 0 {
		b, err := u.inputs[0].Next(ctx)
		if b != nil || err != nil {
			return b, err
		}
		err = u.inputs[0].Close()
		u.inputs = u.inputs[1:]
		if err != nil {
			return nil, err
		}
	}
	return nil, nil
}

func (u *union) Close() error {
	var first error
	for _, op := range u.inputs {
		if err := op.Close(); first == nil {
			first = err
		}
	}
	return first
}

// repeat gives each row several times.
type repeat struct {
	input Operator
	times expr.Expr
	env   *Env

	batch *vec.Batch
	count *vec.Vector
	at    int   // in the rows of batch that count
	given int64 // how often that row was given
}

func newRepeat(n *plan.Repeat, env *Env) (Operator, error) {
	input, err := Build(n.Input, env)
	if err != nil {
		return nil, err
	}
	return &repeat{input: input, times: n.Times, env: env}, nil
}

func (r *repeat) Next(ctx context.Context) (*vec.Batch, error) {
	for {
		if err := yield(ctx); err != nil {
			return nil, err
		}
		if r.batch == nil {
			b, err := r.input.Next(ctx)
			if b == nil || err != nil {
				return nil, err
			}
			if r.count, err = r.times.Eval(r.env.Expr, b); err != nil {
				return nil, err
			}
			r.batch, r.at, r.given = b, 0, 0
		}
		if rows := r.rows(); len(rows) > 0 {
			return take(r.batch.Cols, rows), nil
		}
		r.batch = nil
	}
}

// rows is the next rows to give, as many as a batch holds.
func (r *repeat) rows() []uint32 {
	var out []uint32
	for ; r.at < r.batch.Live(); r.at, r.given = r.at+1, 0 {
		row := r.at
		if r.batch.Sel != nil {
			row = int(r.batch.Sel[r.at])
		}
		if r.count.IsNull(row) {
			continue
		}
		v, i := r.count.At(row)
		for ; r.given < v.I64[i]; r.given++ {
			if len(out) == vec.BatchRows {
				return out
			}
			out = append(out, uint32(row))
		}
	}
	return out
}

func (r *repeat) Close() error { return r.input.Close() }
