package exec

import (
	"cmp"
	"context"
	"slices"

	"github.com/prickledb/prickle/storage/vec"
)

// pathBlocks is PATHS with OUTPUT ACTORS: the nodes of paths, counted for each actor.
type pathBlocks struct{ *paths }

// actorStep is how often a node is at a position of an actor's paths, after another one.
type actorStep struct {
	value          uint32 // of the breakdown
	step           uint32 // position of the target
	source, target uint32 // the first node of a path has a source that is NULL
	last           bool   // the path ends at the target
	count          int64
}

// begin makes the actors ready. Which breakdown values there are told of has to be known first.
func (p pathBlocks) begin(ctx context.Context) (actors, error) {
	if err := p.prepare(ctx); err != nil {
		return nil, err
	}
	if by := p.node.Breakdown; by == nil || by.Top == 0 {
		return p.actors, nil
	}
	walkers := make([]pathWalker, p.env.Threads)
	err := p.eachActor(ctx, walkers, func(_ context.Context, k *pathWalker) error {
		k.steps = k.steps[:0]
		return nil
	})
	p.chooseValues(walkers)
	return p.actors, err
}

func (p pathBlocks) walks() func(context.Context, *block) ([]uint32, []*vec.Vector, error) {
	k := &pathWalker{}
	k.open(p.paths)
	var who []uint32
	var rows []actorStep
	return func(ctx context.Context, b *block) ([]uint32, []*vec.Vector, error) {
		who, rows = nil, rows[:0]
		for i := range b.count {
			if i&1023 == 0 {
				if err := yield(ctx); err != nil {
					return nil, nil, err
				}
			}
			if b.conds[0].countOf(i) == 0 {
				continue
			}
			k.steps = k.steps[:0]
			k.actor(b.conds[0].of(i), b.conds[0].valsOf(i))
			rows = append(rows, p.counted(k.steps)...)
			for len(who) < len(rows) {
				who = append(who, b.base+uint32(i))
			}
		}
		return who, p.columns(who, rows), nil
	}
}

// note notes the nodes of a path.
func (k *pathWalker) note(value uint32, items []pathItem) {
	source := k.p.none
	for i := range items {
		node := items[i].node
		k.steps = append(k.steps, actorStep{value, uint32(i + 1), source, node, i == len(items)-1, 1})
		source = node
	}
}

// counted is the steps of an actor in order, each once.
func (p pathBlocks) counted(list []actorStep) []actorStep {
	if p.chosen != nil {
		for i := range list {
			list[i].value = p.chosen[list[i].value]
		}
		list = slices.DeleteFunc(list, func(s actorStep) bool { return s.value == noValue })
	}
	slices.SortFunc(list, p.compare)
	out := list[:0]
	for _, s := range list {
		if last := len(out) - 1; last >= 0 && p.compare(out[last], s) == 0 {
			out[last].count++
			continue
		}
		out = append(out, s)
	}
	return out
}

// compare orders the steps of an actor; those that are counted together are equal.
func (p pathBlocks) compare(a, b actorStep) int {
	c := cmp.Or(cmp.Compare(a.value, b.value), cmp.Compare(a.step, b.step))
	if c == 0 && a.source != b.source {
		c = p.compareNames(a.source, b.source)
	}
	if c = cmp.Or(c, p.compareNames(a.target, b.target)); c == 0 && a.last != b.last {
		c = 1
		if b.last {
			c = -1
		}
	}
	return c
}

// columns makes the columns of steps of actors.
func (p pathBlocks) columns(who []uint32, rows []actorStep) []*vec.Vector {
	values, sources, targets := make([]uint32, len(rows)), make([]uint32, len(rows)), make([]uint32, len(rows))
	step, last, count := &vec.Vector{Type: vec.T(vec.Int4)}, &vec.Vector{Type: vec.T(vec.Bool)}, &vec.Vector{Type: vec.T(vec.Int8)}
	for i := range rows {
		s := &rows[i]
		values[i], sources[i], targets[i] = s.value, s.source, s.target
		step.I64 = append(step.I64, int64(s.step))
		last.Bools = append(last.Bools, s.last)
		count.I64 = append(count.I64, s.count)
	}
	return append(p.split(values),
		p.actors.vector(who), step, p.names.Take(sources), p.names.Take(targets), last, count)
}
