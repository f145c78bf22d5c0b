package exec

import (
	"context"
	"math"
	"slices"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/vec"
)

// edgeKeeper keeps the edges that are wanted of each breakdown value, for one goroutine. Where all are wanted
// and they do not fit into memory, they are sorted outside of it.
type edgeKeeper struct {
	p     *paths
	by    map[uint32]*edgeFilter
	held  int64
	large *sorted // those that have left; nil: none have
}

// of is what is kept of a breakdown value.
func (k *edgeKeeper) of(value uint32) *edgeFilter {
	f := k.by[value]
	if f == nil {
		if k.by == nil {
			k.by = map[uint32]*edgeFilter{}
		}
		f = &edgeFilter{p: k.p}
		k.by[value] = f
	}
	return f
}

// add takes in edges.
func (k *edgeKeeper) add(ctx context.Context, list []pathCount) error {
	grown := int64(0)
	if k.p.node.Breakdown == nil {
		grown = k.of(0).grow(list)
	} else {
		for i := range list {
			grown += k.of(list[i].value).grow(list[i : i+1])
		}
	}
	k.held += grown
	if err := k.p.hold(ctx, grown); err != nil {
		return err
	}
	if k.p.sortable() && k.p.env.crowded(k.held) {
		return k.leave(ctx)
	}
	return nil
}

// sortable says whether the answer is all edges of the wanted weights, in order.
func (p *paths) sortable() bool {
	n := p.node
	return n.EdgesTop == 0 && !(n.Compatible && n.Output == plan.OutputDefault) // that leaves out what is not reached
}

// leave moves what is kept to where it is sorted.
func (k *edgeKeeper) leave(ctx context.Context) error {
	p := k.p
	if k.large == nil {
		k.large = &sorted{keys: p.edgeOrder(), env: p.env, keep: math.MaxInt64, spills: &p.spills}
	}
	for v, f := range k.by {
		for list := range slices.Chunk(f.best, vec.BatchRows) {
			rank := &vec.Vector{Type: vec.T(vec.Int8), Form: vec.Const, I64: []int64{int64(slices.Index(p.ids, v))}}
			if err := k.large.add(ctx, &vec.Batch{Rows: len(list), Cols: append(p.columns(list), rank)}); err != nil {
				return err
			}
		}
	}
	k.by = nil
	back := k.held
	k.held = 0
	return p.hold(ctx, -back)
}

// edgeOrder is the order of the answer's rows: by the rank of the breakdown value, which is a column behind
// those of the answer, and as paths.compare says.
func (p *paths) edgeOrder() []plan.SortKey {
	schema := p.node.Schema()
	key := func(i int, t vec.Kind) plan.SortKey { return plan.SortKey{Expr: &expr.Column{Index: i, T: vec.T(t)}} }
	count := len(schema) - 2 // before it there are the step, if it is asked for, the source and the target
	keys := []plan.SortKey{key(len(schema), vec.Int8), key(count, vec.Int8)}
	keys[1].Desc = true
	if p.node.Output == plan.OutputDefault {
		keys = append(keys, key(count-3, vec.Int4))
	}
	return append(keys, key(count-2, vec.Text), key(count-1, vec.Text))
}

// sortKept sorts what was kept, if some of it has left already.
func (p *paths) sortKept(ctx context.Context, kept []edgeKeeper) error {
	if !slices.ContainsFunc(kept, func(k edgeKeeper) bool { return k.large != nil }) {
		return nil
	}
	parts := make([]*sorted, len(kept))
	for w := range kept {
		if err := kept[w].leave(ctx); err != nil {
			return err
		}
		parts[w] = kept[w].large
	}
	p.large = &sorter{keys: p.edgeOrder(), env: p.env, keep: math.MaxInt64, out: parts[0]}
	return p.large.finish(ctx, parts)
}
