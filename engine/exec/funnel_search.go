package exec

import (
	"math/bits"

	"github.com/prickledb/prickle/storage/vec"
)

// searchChains finds chains of ordered steps of which some are optional or have a time limit
// of their own, so that the earliest event of a step is not always the best.
//
// Rows of one time are a group. A chain visits groups in order, and does a run of steps in
// each. Forwards from the entry the search finds how far a chain can come: it keeps for
// every step until when the best chain so far can wait for it. Backwards it finds from which
// groups and steps that is reached. With that the chain is made step by step, and each takes
// the first event that leads there.
type searchChains struct {
	steps    int
	required uint64
	windows  []window
	next     []uint64 // by step: those that may follow it
	m        matching
	groups   []int // starts of the groups from the entry's on, and the end of the last
	wait     [maxSteps]int64
	ends     []uint64 // by group: the steps after which a chain may leave it and get there
	starts   []uint64 // by group: the steps with which a chain may come to it and get there
}

func newSearchChains(f *funnel) *searchChains {
	return &searchChains{steps: len(f.node.Steps), required: f.required, windows: f.windows,
		next: followers(len(f.node.Steps), f.required)}
}

func (c *searchChains) bound(t *track, entry, limit int64) int {
	return orderedBound(t, c.required, entry, limit)
}

func (c *searchChains) find(a *attempt, t *track, e int, limit int64, bound int) {
	a.did(0, e, t.rows[e].time)
	if bound == 1 {
		return
	}
	goal := c.forwards(t, e, limit)
	if goal == 0 {
		return
	}
	c.backwards(t, limit, goal)
	c.follow(a, t, e, limit, goal)
}

// until is how long step s can be waited for after an event at t.
func (c *searchChains) until(s int, t, limit int64) int64 { return min(limit, c.windows[s].after(t)) }

// run is with which steps a run in a group may end that m has the steps of, up to last.
func (c *searchChains) run(last int) uint64 {
	out := uint64(1) << last
	if len(c.m.rows) == 1 {
		return out
	}
	before := len(c.m.steps)
	for s := last + 1; s < c.steps; s++ {
		n, optional := len(c.m.steps), c.required>>s&1 == 0
		if c.m.extend(s) {
			out |= 1 << s
			if optional { // what comes after can do without it
				c.m.truncate(n)
			}
		} else if !optional {
			break
		}
	}
	c.m.truncate(before)
	return out
}

// forwards finds the furthest step, and the groups in which it may matter.
func (c *searchChains) forwards(t *track, e int, limit int64) int {
	for s := range c.steps {
		c.wait[s] = vec.NegInfinityTime
	}
	at := e
	for at > 0 && t.rows[at-1].time == t.rows[e].time {
		at--
	}
	c.groups = append(c.groups[:0], at)
	end := t.group(at)
	c.m.reset(t.rows[at:end], e-at)
	ends := c.run(0)
	reached := ends
	for {
		c.groups = append(c.groups, end)
		now, longest := t.rows[at].time, vec.NegInfinityTime
		for w := ends; w != 0; w &= w - 1 {
			for v := c.next[bits.TrailingZeros64(w)]; v != 0; v &= v - 1 {
				s := bits.TrailingZeros64(v)
				c.wait[s] = max(c.wait[s], c.until(s, now, limit))
			}
		}
		for s := range c.steps {
			longest = max(longest, c.wait[s])
		}
		if at = end; at == len(t.rows) || t.rows[at].time > longest {
			return bits.Len64(reached) - 1
		}
		end = t.group(at)
		ends = 0
		eachBit(t.some(at, end), func(s int) {
			if c.wait[s] >= t.rows[at].time {
				c.m.reset(t.rows[at:end], -1)
				c.m.extend(s)
				ends |= c.run(s)
			}
		})
		reached |= ends
	}
}

// some is the steps that some row satisfies.
func (t *track) some(at, end int) uint64 {
	w := uint64(0)
	for i := at; i < end; i++ {
		w |= t.rows[i].steps
	}
	return w
}

// backwards finds from where the goal is reached.
func (c *searchChains) backwards(t *track, limit int64, goal int) {
	n := len(c.groups) - 1
	c.ends, c.starts = grow(c.ends, n), grow(c.starts, n)
	var soonest [maxSteps]int64 // by step: time of the next group that may begin with it
	open := uint64(0)           // steps that have one
	for g := n - 1; g >= 0; g-- {
		at, end := c.groups[g], c.groups[g+1]
		now := t.rows[at].time
		c.ends[g] = 1 << goal
		for s := range goal {
			for w := c.next[s] & open; w != 0; w &= w - 1 {
				if k := bits.TrailingZeros64(w); soonest[k] <= c.until(k, now, limit) {
					c.ends[g] |= 1 << s
				}
			}
		}
		c.starts[g] = 0
		if g == 0 {
			return
		}
		eachBit(t.some(at, end)&^1, func(s int) {
			c.m.reset(t.rows[at:end], -1)
			c.m.extend(s)
			if c.run(s)&c.ends[g] != 0 {
				c.starts[g] |= 1 << s
				soonest[s] = now
			}
		})
		open |= c.starts[g]
	}
}

// follow makes the chain to the goal.
func (c *searchChains) follow(a *attempt, t *track, e int, limit int64, goal int) {
	g, done := 0, 0
	c.m.reset(t.rows[c.groups[0]:c.groups[1]], e-c.groups[0])
	settle := func() {
		c.m.settle()
		for i, s := range c.m.steps {
			at := c.groups[g] + c.m.rowOf[i]
			a.did(s, at, t.rows[at].time)
		}
	}
	for s := 1; done < goal; s++ {
		// In this group, or else in the first that will do, or else not at all.
		if before := len(c.m.steps); c.m.extend(s) {
			if c.run(s)&c.ends[g] != 0 {
				done = s
				continue
			}
			c.m.truncate(before)
		}
		until := c.until(s, t.rows[c.groups[g]].time, limit)
		for k := g + 1; k < len(c.groups)-1 && t.rows[c.groups[k]].time <= until; k++ {
			if c.starts[k]>>s&1 != 0 {
				settle()
				g, done = k, s
				c.m.reset(t.rows[c.groups[g]:c.groups[g+1]], -1)
				c.m.extend(s)
				break
			}
		}
	}
	settle()
}
