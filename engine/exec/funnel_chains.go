package exec

import (
	"math/bits"
	"slices"
)

// greedyChains finds chains of ordered steps, none of them optional or with a time limit of
// its own. Taking for every step the earliest event is best then. Rows of equal time may
// follow each other in any order, so in each group of them the chain goes on for as many
// steps as can be given different rows.
type greedyChains struct {
	required uint64
	m        matching
}

func (c *greedyChains) bound(t *track, entry, limit int64) int {
	return orderedBound(t, c.required, entry, limit)
}

// orderedBound takes for every step the earliest event, as if one row could be several steps
// and only the first limit counted.
func orderedBound(t *track, required uint64, entry, limit int64) int {
	bound, last := 1, entry
	for s := 1; s < len(t.lists); s++ {
		list := t.lists[s]
		t.at[s] = skipTo(list, t.at[s], last)
		some := t.at[s] < len(list) && list[t.at[s]] <= limit
		if some {
			bound = s + 1
		}
		if required>>s&1 == 0 {
			continue
		}
		if !some {
			break
		}
		last = list[t.at[s]]
	}
	return bound
}

func (c *greedyChains) find(a *attempt, t *track, e int, limit int64, bound int) {
	entry := t.rows[e].time
	a.did(0, e, entry)
	at := e
	for at > 0 && t.rows[at-1].time == entry {
		at--
	}
	for next := 1; at < len(t.rows) && next < bound && t.rows[at].time <= limit; {
		end := t.group(at)
		c.m.reset(t.rows[at:end], e-at)
		for next < bound && c.m.extend(next) {
			next++
		}
		c.m.settle()
		for i, s := range c.m.steps {
			a.did(s, at+c.m.rowOf[i], t.rows[at].time)
		}
		at = end
	}
}

// strictChains finds chains of rows that are neighbours.
type strictChains struct {
	steps   int
	windows []window
	next    []uint64 // by step: those that may follow it
	// By row from the entry on: which steps it may be, and with which of them the chain gets
	// to its furthest step.
	can, alive [maxSteps]uint64
}

func newStrictChains(f *funnel) *strictChains {
	return &strictChains{steps: len(f.node.Steps), windows: f.windows, next: followers(len(f.node.Steps), f.required)}
}

// followers says for every step which may come next: the next one that is not optional, and
// those before it.
func followers(steps int, required uint64) []uint64 {
	out := make([]uint64, steps)
	for s := range out {
		for k := s + 1; k < steps; k++ {
			out[s] |= 1 << k
			if required>>k&1 != 0 {
				break
			}
		}
	}
	return out
}

func (c *strictChains) bound(*track, int64, int64) int { return c.steps }

func (c *strictChains) find(a *attempt, t *track, e int, limit int64, _ int) {
	rows := t.rows[e:min(e+c.steps, len(t.rows))]
	can := &c.can
	can[0] = 1
	n, furthest := 1, uint64(1)
	for ; n < len(rows) && rows[n].time <= limit && rows[n].hold == rows[0].hold; n++ {
		can[n] = 0
		eachBit(can[n-1], func(s int) { can[n] |= c.after(rows, n, s) })
		if can[n] == 0 {
			break
		}
		furthest |= can[n]
	}
	last := bits.Len64(furthest) - 1
	for i := n - 1; i >= 0; i-- {
		c.alive[i] = can[i] & (1 << last)
		if i+1 < n {
			eachBit(can[i], func(s int) {
				if c.after(rows, i+1, s)&c.alive[i+1] != 0 {
					c.alive[i] |= 1 << s
				}
			})
		}
	}
	a.did(0, e, rows[0].time)
	for s, i := 0, 1; s != last; i++ {
		s = bits.TrailingZeros64(c.after(rows, i, s) & c.alive[i])
		a.did(s, e+i, rows[i].time)
	}
}

// after is which steps row i may be if the row before is step s.
func (c *strictChains) after(rows []funnelRow, i, s int) uint64 {
	out := rows[i].steps & c.next[s]
	for w := out; w != 0; w &= w - 1 {
		k := bits.TrailingZeros64(w)
		if rows[i].time > c.windows[k].after(rows[i-1].time) {
			out &^= 1 << k
		}
	}
	return out
}

// unorderedChains finds sets of rows that are different steps, in any order.
type unorderedChains struct {
	required uint64
	holder   [maxSteps]int // by step: the row that is it, or -1
	seen     uint64
	held     []funnelRow
	at       []int // positions of held
	m        matching
}

func newUnorderedChains(f *funnel) *unorderedChains { return &unorderedChains{required: f.required} }

func (c *unorderedChains) bound(t *track, entry, limit int64) int {
	bound := 0
	for s, list := range t.lists {
		t.at[s] = skipTo(list, t.at[s], entry)
		if t.at[s] < len(list) && list[t.at[s]] <= limit {
			bound++
		}
	}
	return bound
}

// find takes every row, in order, that the rows taken before leave a step for, if need be
// by being another one: so the times are the smallest that so many steps can have. Then the
// steps get their rows, those first that are not optional.
func (c *unorderedChains) find(a *attempt, t *track, e int, limit int64, bound int) {
	for s := range t.lists {
		c.holder[s] = -1
	}
	c.at = c.at[:0]
	c.take(t.rows, e)
	first := e
	for first > 0 && t.rows[first-1].time == t.rows[e].time {
		first--
	}
	mixed := bits.OnesCount64(t.rows[e].steps) > 1
	for i := first; i < len(t.rows) && t.rows[i].time <= limit && len(c.at) < bound; i++ {
		if i != e && c.take(t.rows, i) {
			mixed = mixed || bits.OnesCount64(t.rows[i].steps) > 1
		}
	}
	if !mixed {
		for s := range t.lists {
			if r := c.holder[s]; r >= 0 {
				a.did(s, r, t.rows[r].time)
			}
		}
		return
	}
	c.share(t, a)
}

// take gives row r a step, if that is possible.
func (c *unorderedChains) take(rows []funnelRow, r int) bool {
	c.seen = 0
	if !c.augment(rows, r) {
		return false
	}
	c.at = append(c.at, r)
	return true
}

func (c *unorderedChains) augment(rows []funnelRow, r int) bool {
	for w := rows[r].steps; w != 0; w &= w - 1 {
		s := bits.TrailingZeros64(w)
		if c.seen>>s&1 != 0 {
			continue
		}
		c.seen |= 1 << s
		if c.holder[s] < 0 || c.augment(rows, c.holder[s]) {
			c.holder[s] = r
			return true
		}
	}
	return false
}

// share gives the rows taken to steps. Whatever steps can be given rows at all can be given
// these, so that it is enough to choose the best steps and then the best rows for them.
func (c *unorderedChains) share(t *track, a *attempt) {
	slices.Sort(c.at)
	c.held = c.held[:0]
	for _, r := range c.at {
		c.held = append(c.held, t.rows[r])
	}
	c.m.reset(c.held, -1)
	var chosen uint64
	for _, some := range []uint64{c.required, ^c.required} {
		for s := range t.lists {
			if some>>s&1 != 0 && c.m.extend(s) {
				chosen |= 1 << s
			}
		}
	}
	c.m.reset(c.held, -1)
	for s := range t.lists {
		if chosen>>s&1 != 0 {
			c.m.extend(s)
		}
	}
	c.m.settle()
	for i, s := range c.m.steps {
		r := c.at[c.m.rowOf[i]]
		a.did(s, r, t.rows[r].time)
	}
}
