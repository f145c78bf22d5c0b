package exec

import (
	"context"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/vec"
)

// expand gives each row once for each row of functions.
type expand struct {
	node  *plan.Expand
	input Operator
	env   *Env

	batch  *vec.Batch
	args   [][]*vec.Vector // of each call
	at     int             // in the rows of batch that count
	series []expr.Series   // of that row, one for each call; nil: not begun
	number int64           // of the row's rows so far
}

func newExpand(n *plan.Expand, env *Env) (Operator, error) {
	input, err := Build(n.Input, env)
	if err != nil {
		return nil, err
	}
	return &expand{node: n, input: input, env: env}, nil
}

func (x *expand) Next(ctx context.Context) (*vec.Batch, error) {
	for {
		if err := yield(ctx); err != nil {
			return nil, err
		}
		if x.batch == nil {
			b, err := x.input.Next(ctx)
			if b == nil || err != nil {
				return nil, err
			}
			x.batch, x.at, x.series, x.args = b, 0, nil, nil
			for _, c := range x.node.Calls {
				args, err := evalAll(x.env.Expr, c.Args, b)
				if err != nil {
					return nil, err
				}
				x.args = append(x.args, args)
			}
		}
		b, err := x.some()
		if b != nil || err != nil {
			return b, err
		}
		x.batch = nil
	}
}

// some is the next rows that the batch at hand gives; nil at its end.
func (x *expand) some() (*vec.Batch, error) {
	var outs []*vec.Builder
	calls := make([][]*vec.Builder, len(x.node.Calls))
	for i, c := range x.node.Calls {
		for _, f := range c.Function.Out {
			calls[i] = append(calls[i], vec.NewBuilder(f.Type))
		}
		outs = append(outs, calls[i]...)
	}
	var from []uint32
	numbers := &vec.Vector{Type: vec.T(vec.Int8)}
	for x.at < x.batch.Live() && len(from) < vec.BatchRows {
		row := x.at
		if x.batch.Sel != nil {
			row = int(x.batch.Sel[x.at])
		}
		if x.series == nil {
			x.number = 0
			for i, c := range x.node.Calls {
				s, err := c.Function.Open(x.env.Expr, x.args[i], row)
				if err != nil {
					return nil, err
				}
				x.series = append(x.series, s)
			}
		}
		room := vec.BatchRows - len(from)
		most := 0
		counts := make([]int, len(calls))
		for i, s := range x.series {
			if s == nil {
				continue
			}
			var err error
			if counts[i], err = s.Next(calls[i], room); err != nil {
				return nil, err
			}
			most = max(most, counts[i])
		}
		for i, n := range counts {
			for ; n < most; n++ {
				for _, o := range calls[i] {
					o.AppendNull()
				}
			}
		}
		for range most {
			from = append(from, uint32(row))
			x.number++
			numbers.I64 = append(numbers.I64, x.number)
		}
		if most < room {
			x.at, x.series = x.at+1, nil
		}
	}
	if len(from) == 0 {
		return nil, nil
	}
	b := take(x.batch.Cols, from)
	for _, o := range outs {
		b.Cols = append(b.Cols, o.V)
	}
	if x.node.Ordinality {
		b.Cols = append(b.Cols, numbers)
	}
	return b, nil
}

func (x *expand) Close() error { return x.input.Close() }
