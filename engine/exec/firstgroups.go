package exec

import (
	"cmp"
	"context"
	"math"
	"slices"
	"sync/atomic"

	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/vec"
)

// firstGroups is for groups of which only the first by what one call gives are wanted: when a partition is merged,
// that call comes first, and of the groups that cannot be wanted neither keys nor other calls are finished. What it
// lets pass is sorted above.
type firstGroups struct {
	call int
	desc bool
	keep int  // how many groups are wanted
	ties bool // of equal groups too many may be wanted: the next sort key decides
	// limit is the rank up to which enough groups are known; greater is better.
	limit atomic.Int64
}

// wantFirst tells an aggregate at the end of a pipeline that only so many groups in the order of the keys are wanted.
func (p *pipeline) wantFirst(keys []plan.SortKey, keep int64) {
	groups, ok := p.shared.(*aggregating)
	if !ok || keep > math.MaxInt32 || slices.Contains(p.env.Disabled, plan.FirstGroups) {
		return
	}
	n, column := columnBelow(p.node, keys[0].Expr, false)
	call := column - len(groups.node.Keys)
	if n != plan.Node(groups.node) || call < 0 || keys[0].Expr.Type().Payload() != vec.PayloadI64 {
		return
	}
	groups.first = &firstGroups{call: call, desc: keys[0].Desc, keep: int(keep), ties: len(keys) > 1}
	groups.first.limit.Store(math.MinInt64)
}

// rank is greater for groups that come sooner.
func (f *firstGroups) rank(x int64) int64 {
	if f.desc {
		return x
	}
	return ^x
}

// choose lists the groups that may be wanted, in order, by what the call gave for each. It says false if it cannot tell.
func (f *firstGroups) choose(v *vec.Vector) ([]uint32, bool) {
	if v.Form != vec.Flat || v.HasNulls() {
		return nil, false
	}
	type ranked struct {
		group uint32
		rank  int64
	}
	var best []ranked
	limit, full := f.limit.Load(), max(2*f.keep, 1024)
	known := limit > math.MinInt64
	cut := func() {
		if len(best) < f.keep || f.keep == 0 {
			return
		}
		slices.SortFunc(best, func(a, b ranked) int { return cmp.Compare(b.rank, a.rank) })
		if last := best[f.keep-1].rank; !known || last > limit {
			limit, known = last, true
		}
		n := f.keep
		for f.ties && n < len(best) && best[n].rank == best[n-1].rank {
			n++
		}
		best, full = best[:n], max(full, 2*n)
	}
	for group, x := range v.I64 {
		r := f.rank(x)
		if known && (r < limit || r == limit && !f.ties) {
			continue
		}
		if best = append(best, ranked{uint32(group), r}); len(best) >= full {
			cut()
		}
	}
	cut()
	for old := f.limit.Load(); known && limit > old; old = f.limit.Load() {
		if f.limit.CompareAndSwap(old, limit) {
			break
		}
	}
	groups := make([]uint32, len(best))
	for i, b := range best {
		groups[i] = b.group
	}
	slices.Sort(groups)
	return groups, true
}

// mergeFirst goes on with partitions when their groups are known: those that may be wanted come out.
func (a *aggregate) mergeFirst(ctx context.Context, g *grouping, from, to int) error {
	count, call := g.groups.groups, a.first.call
	if err := a.absorb(ctx, g, from, to, call, count); err != nil {
		return err
	}
	v, err := g.states[call].Finish()
	if err != nil {
		return err
	}
	chosen, ok := a.first.choose(v)
	if !ok {
		chosen = g.groups.all()
	}
	place := make([]uint32, count)
	for i := range place {
		place[i] = noGroup
	}
	for i, group := range chosen {
		place[group] = uint32(i)
	}
	for i, id := range g.ids {
		g.ids[i] = place[id]
	}
	cols := g.groups.ordered(chosen)
	for i, st := range g.states {
		out := v
		if i == call {
			out = v.Take(chosen)
		} else {
			if err := a.absorb(ctx, g, from, to, i, len(chosen)); err != nil {
				return err
			}
			if out, err = st.Finish(); err != nil {
				return err
			}
		}
		cols = append(cols, out)
	}
	return a.give(cols, len(chosen), g)
}
