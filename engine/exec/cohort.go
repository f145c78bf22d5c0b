package exec

import (
	"context"
	"fmt"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/vec"
)

// set is the distinct values of a query of one column.
func (s *setup) set(ctx context.Context, n plan.Node) (*expr.Set, error) {
	if c, ok := n.(*plan.Cohort); ok {
		return s.env.slotSet(c)
	}
	out, err := s.members(ctx, n)
	if err == nil {
		err = s.hold(ctx, out.Bytes())
	}
	if err != nil {
		return nil, err
	}
	if st := s.env.Stats.Node(n); st != nil {
		st.Rows.Store(int64(out.Len()))
	}
	return out, nil
}

func (s *setup) members(ctx context.Context, n plan.Node) (*expr.Set, error) {
	// Look-ups come later, and without a context.
	hold := func(bytes int64) error { return s.hold(context.WithoutCancel(ctx), bytes) }
	switch n := n.(type) {
	case *plan.Combine:
		left, err := s.set(ctx, n.Left)
		if err != nil {
			return nil, err
		}
		right, err := s.set(ctx, n.Right)
		if err != nil {
			return nil, err
		}
		out := n.Op.Combine(left, right, hold)
		s.drop(left, n.Left)
		s.drop(right, n.Right)
		return out, nil
	case *plan.PersonsOf:
		ids, err := s.set(ctx, n.Input)
		if err != nil {
			return nil, err
		}
		defer s.drop(ids, n.Input)
		return s.personsOf(ctx, ids, hold)
	}
	return s.gather(ctx, n, hold)
}

// drop gives back what a set took that another one was made of.
func (s *setup) drop(set *expr.Set, of plan.Node) {
	if _, shared := of.(*plan.Cohort); shared {
		return
	}
	s.held.Add(-set.Bytes())
	s.env.release(set.Bytes())
}

// gather runs a query, as many copies of it as are worth it, and keeps its values.
func (s *setup) gather(ctx context.Context, n plan.Node, hold func(int64) error) (out *expr.Set, err error) {
	pipe, err := newPipeline(n, s.env, nil)
	if err != nil {
		return nil, err
	}
	defer func() {
		if closing := pipe.close(); err == nil {
			err = closing
		}
	}()
	sets := make([]*expr.Set, pipe.copies())
	held := make([]int64, len(sets))
	defer func() {
		for _, h := range held {
			s.env.release(h)
		}
	}()
	t := n.Schema()[0].Type
	err = pipe.drain(ctx, nil, func(ctx context.Context, w int) (func(*vec.Batch) error, error) {
		set := expr.NewSet(t, s.env.personUUIDs())
		sets[w] = set
		return func(b *vec.Batch) error {
			set.Add(b.Cols[0], b)
			grown := set.Bytes() - held[w]
			held[w] += grown
			return s.env.hold(ctx, grown)
		}, nil
	}, func(context.Context, int) error { return nil })
	if err != nil {
		return nil, err
	}
	out = sets[0]
	for _, set := range sets[1:] {
		out.Unite(set)
	}
	out.Settle(s.env.root, hold)
	return out, nil
}

// personUUIDs is the uuids of all persons by ordinal; nil for a statement without a snapshot.
func (env *Env) personUUIDs() *vec.Vector {
	if env.Snapshot == nil {
		return nil
	}
	return env.Snapshot.Persons().UUIDVector()
}

// root is the person that one was merged into.
func (env *Env) root(ordinal uint32) uint32 { return env.Snapshot.Identity().Root(ordinal) }

// personsOf is the persons who have distinct ids.
func (s *setup) personsOf(ctx context.Context, ids *expr.Set, hold func(int64) error) (*expr.Set, error) {
	out := expr.NewSet(vec.T(vec.UUID), s.env.personUUIDs())
	if s.env.Snapshot != nil && ids.Len() > 0 {
		n, member := 0, ids.Texts()
		for id, o := range s.env.Snapshot.Persons().DistinctIDs() {
			if n++; n%vec.BatchRows == 0 && ctx.Err() != nil {
				return nil, ctx.Err()
			}
			if member(id) {
				out.AddPerson(s.env.root(o))
			}
		}
	}
	out.Settle(s.env.root, hold)
	return out, nil
}

// slotSet is the set that a Cohort reads.
func (env *Env) slotSet(n *plan.Cohort) (*expr.Set, error) {
	if n.Slot >= len(env.Expr.Slots) {
		return nil, fmt.Errorf("subquery %d, which %s reads, has not run", n.Slot, n.Name)
	}
	v := env.Expr.Slots[n.Slot]
	if v.Err == nil && v.Set == nil {
		return nil, fmt.Errorf("subquery %d, which %s reads, keeps no set", n.Slot, n.Name)
	}
	return v.Set, v.Err
}

// cohort gives the members of a set.
type cohort struct {
	parts []*vec.Vector
	at    int
}

func newCohort(n *plan.Cohort, env *Env) (Operator, error) {
	set, err := env.slotSet(n)
	if err != nil {
		return nil, err
	}
	return &cohort{parts: set.UUIDs()}, nil
}

func (c *cohort) Next(ctx context.Context) (*vec.Batch, error) {
	for len(c.parts) > 0 {
		if b := slice(c.parts[:1], c.parts[0].Len(), &c.at); b != nil {
			return b, ctx.Err()
		}
		c.parts, c.at = c.parts[1:], 0
	}
	return nil, nil
}

func (c *cohort) Close() error { return nil }
