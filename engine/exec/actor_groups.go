package exec

import (
	"context"
	"slices"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/vec"
)

// actorGroups aggregates attempts by actor, batch by batch: a [blockScan] has all of an actor in one
// batch, one after the other, so that no group has to be looked up, or kept.
type actorGroups struct {
	input Operator
	node  *plan.Aggregate
	env   *Env
	space *grouping
}

// byActor says whether the groups of an aggregate are the actors of a blockScan below it.
func byActor(n *plan.Aggregate, env *Env) bool {
	if len(n.Keys) != 1 || slices.Contains(env.Disabled, plan.ActorGroups) {
		return false
	}
	key, in := n.Keys[0], n.Input
	for {
		c, ok := key.(*expr.Column)
		if !ok {
			return false
		}
		switch x := in.(type) {
		case *plan.Filter:
			in = x.Input
		case *plan.Project:
			key, in = x.Exprs[c.Index], x.Input
		case *plan.Funnel:
			return handsOut(x) && x.Schema()[c.Index].Name == "actor"
		default:
			return false
		}
	}
}

func (a *actorGroups) Next(ctx context.Context) (*vec.Batch, error) {
	for {
		b, err := a.input.Next(ctx)
		if b == nil || err != nil {
			return nil, err
		}
		if b.Live() > 0 {
			return a.groups(b)
		}
	}
}

// groups aggregates a batch.
func (a *actorGroups) groups(b *vec.Batch) (*vec.Batch, error) {
	if a.space == nil {
		a.space = &grouping{node: a.node, env: a.env}
	}
	g := a.space
	if err := g.newStates(); err != nil {
		return nil, err
	}
	b, rows := g.live(b)
	actors, err := a.node.Keys[0].Eval(a.env.Expr, b)
	if err != nil {
		return nil, err
	}
	ids, firsts := g.room(len(rows)), make([]uint32, 0, len(rows))
	for i, r := range rows {
		if i == 0 || !sameActor(actors, r, rows[i-1]) {
			firsts = append(firsts, r)
		}
		ids[i] = uint32(len(firsts) - 1)
	}
	if err := g.updateAll(b, len(firsts), ids, rows); err != nil {
		return nil, err
	}
	out := &vec.Batch{Rows: len(firsts), Cols: []*vec.Vector{actors.Take(firsts)}}
	for _, st := range g.states {
		v, err := st.Finish()
		if err != nil {
			return nil, err
		}
		out.Cols = append(out.Cols, v)
	}
	return out, nil
}

// sameActor says whether two rows have the same actor. Persons are told by their ordinals.
func sameActor(v *vec.Vector, a, b uint32) bool {
	if v.Form == vec.Dict {
		return v.Codes[a] == v.Codes[b]
	}
	return vec.Compare(v, int(a), v, int(b)) == 0
}

func (a *actorGroups) Close() error { return a.input.Close() }
