package exec

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/vec"
)

// setup runs subqueries, and then the plan that uses their answers, which is built only
// when they are there.
type setup struct {
	node *plan.Setup
	env  *Env
	main Operator
	held atomic.Int64
}

func (s *setup) Next(ctx context.Context) (*vec.Batch, error) {
	if s.main == nil {
		for i := range s.node.Subs {
			if err := s.run(ctx, &s.node.Subs[i]); err != nil {
				return nil, err
			}
		}
		var err error
		if s.main, err = Build(s.node.Input, s.env); err != nil {
			return nil, err
		}
	}
	return s.main.Next(ctx)
}

// run computes one subquery. An error in its data counts only where a row needs the value.
func (s *setup) run(ctx context.Context, sub *plan.Sub) error {
	value := expr.SlotValue{}
	var err error
	if sub.Kind == plan.SetSub {
		value.Set, err = s.set(ctx, sub.Node)
	} else {
		value.Value, err = s.answer(ctx, sub)
	}
	var e *pgerr.Error
	switch {
	case err == nil:
	case sub.Kind != plan.TableSub && sub.Kind != plan.WriteSub && errors.As(err, &e) && (strings.HasPrefix(e.Code, "21") || strings.HasPrefix(e.Code, "22")):
		value = expr.SlotValue{Err: err}
	default:
		return err
	}
	c := *s.env.Expr
	c.Slots = append(c.Slots[:len(c.Slots):len(c.Slots)], value)
	s.env.Expr = &c
	return nil
}

func (s *setup) answer(ctx context.Context, sub *plan.Sub) (v *vec.Vector, err error) {
	op, err := Build(sub.Node, s.env)
	if err != nil {
		return nil, err
	}
	defer func() {
		if closing := op.Close(); err == nil {
			err = closing
		}
	}()
	switch sub.Kind {
	case plan.ExistsSub:
		for {
			b, err := op.Next(ctx)
			if err != nil {
				return nil, err
			}
			if b == nil || b.Live() > 0 {
				return &vec.Vector{Type: vec.T(vec.Bool), Form: vec.Const, Bools: []bool{b != nil}}, nil
			}
		}
	case plan.ScalarSub:
		return scalar(ctx, op, sub.Node.Schema()[0].Type)
	case plan.ArraySub:
		return s.array(ctx, op, sub.Node.Schema()[0].Type)
	case plan.TableSub:
		return nil, s.table(ctx, op, nil)
	case plan.WriteSub:
		return nil, s.table(ctx, op, s.env.Write)
	}
	return nil, fmt.Errorf("subquery of kind %d", sub.Kind)
}

// scalar is the one value of a query.
func scalar(ctx context.Context, op Operator, t vec.Type) (*vec.Vector, error) {
	out := vec.NewBuilder(t)
	err := drain(ctx, op, func(b *vec.Batch) error {
		if b.Live() == 0 {
			return nil
		}
		if out.V.Len()+b.Live() > 1 {
			return pgerr.New(pgerr.CardinalityViolation, "more than one row returned by a subquery used as an expression")
		}
		b = b.Compact()
		out.AppendFrom(b.Cols[0], 0)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if out.V.Len() == 0 {
		return vec.NullConst(t), nil
	}
	out.V.Form = vec.Const
	return out.V, nil
}

// array is all values of a query of one column.
func (s *setup) array(ctx context.Context, op Operator, t vec.Type) (*vec.Vector, error) {
	elems := vec.NewBuilder(t)
	last := int64(0)
	err := drain(ctx, op, func(b *vec.Batch) error {
		b = b.Compact()
		for i := range b.Rows {
			elems.AppendFrom(b.Cols[0], i)
		}
		grown := elems.V.Bytes() - last
		last += grown
		return s.hold(ctx, grown)
	})
	if err != nil {
		return nil, err
	}
	return &vec.Vector{Type: vec.ArrayOf(t.Kind), Form: vec.Const, Offs: []uint32{0, uint32(elems.V.Len())}, Elem: elems.V}, nil
}

// table keeps all rows of a query for the spools that read it, and gives them to write, unless
// that is nil.
func (s *setup) table(ctx context.Context, op Operator, write func(int, *vec.Batch) error) error {
	t, slot := &spooled{}, len(s.env.Expr.Slots)
	if s.env.spooled == nil {
		s.env.spooled = map[int]*spooled{}
	}
	s.env.spooled[slot] = t
	return drain(ctx, op, func(b *vec.Batch) error {
		if b = b.Compact(); b.Rows == 0 {
			return nil
		}
		t.batches = append(t.batches, b)
		size := int64(0)
		for _, c := range b.Cols {
			size += c.Bytes()
		}
		if err := s.hold(ctx, size); err != nil || write == nil {
			return err
		}
		return write(slot, b)
	})
}

// hold accounts for bytes that are kept as long as the statement runs.
func (s *setup) hold(ctx context.Context, bytes int64) error {
	s.held.Add(bytes)
	return s.env.hold(ctx, bytes)
}

func (s *setup) Close() error {
	s.env.release(s.held.Load())
	if s.main == nil {
		return nil
	}
	return s.main.Close()
}

// spooled is the rows of a subquery that several places read.
type spooled struct{ batches []*vec.Batch }

// spool reads them.
type spool struct {
	of *spooled
	at int
}

func newSpool(n *plan.Spool, env *Env) (Operator, error) {
	of := env.spooled[n.Slot]
	if of == nil {
		return nil, fmt.Errorf("subquery %d, which %s reads, has not run", n.Slot, n.Name)
	}
	return &spool{of: of}, nil
}

func (s *spool) Next(ctx context.Context) (*vec.Batch, error) {
	if s.at >= len(s.of.batches) {
		return nil, ctx.Err()
	}
	s.at++
	return s.of.batches[s.at-1], ctx.Err()
}

func (s *spool) Close() error { return nil }
