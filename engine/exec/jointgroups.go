package exec

import (
	"context"
	"fmt"

	"github.com/prickledb/prickle/engine/agg"
	"github.com/prickledb/prickle/storage/vec"
)

// jointGroups are few groups of whose rows much is kept. Only the keys and the small states of the
// goroutines are merged. The large ones stay as they are, and those who hand out the groups finish
// some of them after another, from the states of all.
type jointGroups struct {
	keys   []*vec.Vector
	count  int
	states [][]agg.State // by call; nil for those that were merged
	merged []*vec.Vector // by call: what came of them
	of     [][]uint32    // by goroutine, what each group is there
	next   int           // groups from here on are yet to be finished
	held   int64
}

// jointPieces is in how many pieces each goroutine finishes groups, so that all have work to the end.
const jointPieces = 4

// join prepares groups to be finished so; it is nil if that is not worth it, or not possible.
func (a *aggregating) join(ctx context.Context, groupings []*grouping) (*jointGroups, error) {
	j := &jointGroups{states: make([][]agg.State, len(a.node.Aggs)), merged: make([]*vec.Vector, len(a.node.Aggs))}
	groups := 0
	for _, g := range groupings {
		groups += g.groups.groups
		j.held += g.held
	}
	least := int64(fewBytes)
	if a.env.GroupsAt > 0 {
		least = 0
	}
	if len(groupings) < 2 || len(a.node.Keys) == 0 || a.parts.used() || groups > fewGroups || j.held <= least || !a.env.room(2*j.held) {
		return nil, nil
	}
	joined := false
	for i := range a.node.Aggs {
		var states []agg.State
		bytes := int64(0)
		for _, g := range groupings {
			states = append(states, g.states[i])
			bytes += g.states[i].Bytes()
		}
		if st, ok := states[0].(agg.Joint); ok && st.Joins(states[1:]) {
			j.states[i], joined = states, true
		} else if bytes > fewBytes {
			return nil, nil
		}
	}
	if !joined {
		return nil, nil
	}
	if err := j.merge(groupings); err != nil {
		return nil, err
	}
	return j, j.arrange(ctx, a.env)
}

// merge merges keys, and the states that are not finished jointly.
func (j *jointGroups) merge(groupings []*grouping) error {
	out := groupings[0]
	to := make([][]uint32, len(groupings))
	var scratch []uint32
	for i, g := range groupings {
		to[i] = make([]uint32, g.groups.groups)
		out.groups.assign(to[i], g.groups.values(), firstRows(&scratch, len(to[i])))
	}
	j.count = out.groups.groups
	for _, groups := range to {
		of := make([]uint32, j.count)
		for g := range of {
			of[g] = agg.NoGroup
		}
		for g, at := range groups {
			of[at] = uint32(g)
		}
		j.of = append(j.of, of)
	}
	for i, st := range out.states {
		if j.states[i] != nil {
			continue
		}
		st.Grow(j.count)
		for k, g := range groupings[1:] {
			if err := st.Merge(g.states[i], to[k+1]); err != nil {
				return err
			}
		}
		var err error
		if j.merged[i], err = st.Finish(); err != nil {
			return err
		}
	}
	j.keys = out.groups.finish()
	return nil
}

// arrange makes the states ready that are finished jointly.
func (j *jointGroups) arrange(ctx context.Context, env *Env) error {
	before, after := int64(0), int64(0)
	var jobs []func() error
	for _, states := range j.states {
		for _, st := range states {
			before += st.Bytes()
			jobs = append(jobs, func() error { st.(agg.Joint).Arrange(); return nil })
		}
	}
	if err := runJobs(ctx, env, jobs); err != nil {
		return err
	}
	for _, states := range j.states {
		for _, st := range states {
			after += st.Bytes()
		}
	}
	if err := env.hold(ctx, after-before); err != nil {
		env.release(after - before)
		return err
	}
	j.held += after - before
	return nil
}

// take takes groups that are to be finished: [lo, hi).
func (j *jointGroups) take(env *Env) (lo, hi int) {
	if j.next == j.count {
		return 0, 0
	}
	lo = j.next
	j.next = min(j.count, lo+j.count/(jointPieces*env.Threads)+1)
	return lo, j.next
}

// finishJointly makes the answer of groups [lo, hi).
func (a *aggregate) finishJointly(j *jointGroups, lo, hi int) error {
	a.rows, a.row = hi-lo, 0
	for _, k := range j.keys {
		a.cols = append(a.cols, k.Slice(lo, hi))
	}
	for i, states := range j.states {
		if states == nil {
			a.cols = append(a.cols, j.merged[i].Slice(lo, hi))
			continue
		}
		v, err := states[0].(agg.Joint).FinishJointly(states, j.of, lo, hi)
		if err != nil {
			return err
		}
		if v.Len() != a.rows {
			return fmt.Errorf("aggregate %s: %d values for %d groups", a.node.Aggs[i].Name, v.Len(), a.rows)
		}
		a.cols = append(a.cols, v)
	}
	return nil
}
