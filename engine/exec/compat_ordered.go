package exec

import (
	"cmp"
	"math"
	"math/bits"
	"slices"
)

// nearTie is how far apart, in µs, rows may be to count as simultaneous: measured from the
// first of them, so that groups do not grow by chaining.
const nearTie = 50_000

// orderedMatcher finds the best chain of an actor whose steps have to come in order, also
// in strict order.
//
// chain[k] is the chain that came last to step k. Rows that are nearly simultaneous form a
// group. If all of a group have the same marks, each of them is shown to the chains with
// all its marks, the last step first, so that one row does not go through two steps. In
// other groups the order in which rows arrived is taken for accidental: their steps are
// played in order, each row still filling one step of a chain, and exclusions do not act.
type orderedMatcher struct {
	rules *compatRules
	chain []funnelChain // by step; chain[0] stands for being about to begin
	next  funnelChain   // memory for the chain that is being made
	best  funnelChain
	step  int // of best
	pairs []markedRow
}

// funnelChain is one way through the first steps.
type funnelChain struct {
	set      bool
	start    int64 // the window counts from here
	excluded bool
	times    []int64 // of the required steps
	rows     []int   // along with times: which row was the step
	steps    uint64  // bit k-1: step k was done
}

func (c *funnelChain) copy(o *funnelChain) {
	times, rows := append(c.times[:0], o.times...), append(c.rows[:0], o.rows...)
	*c = *o
	c.times, c.rows = times, rows
}

// markedRow is a step that a row satisfies.
type markedRow struct{ step, row int }

func newOrderedMatcher(rules *compatRules) *orderedMatcher {
	return &orderedMatcher{rules: rules, chain: make([]funnelChain, rules.steps+1)}
}

func (m *orderedMatcher) match(rows []compatRow, value uint32) (uint64, []int64) {
	for k := range m.chain {
		m.chain[k].set = false
	}
	m.step = 0
	for at := 0; at < len(rows) && !m.chain[m.rules.steps].set; {
		end, alike := at+1, true
		for end < len(rows) && rows[end].time-rows[at].time <= nearTie {
			alike = alike && rows[end].same(&rows[at])
			end++
		}
		m.begin(rows[at].time)
		if alike {
			m.single(rows, at, end, value)
		} else {
			m.tie(rows, at, end, value)
		}
		at = end
	}
	if m.step == 0 || m.best.excluded {
		return 0, nil
	}
	return m.best.steps, m.best.times
}

// lists is match for rows that satisfy one step each, and no more is asked of than that: the
// times of the rows by step. It says false if some are nearly simultaneous, or the order of
// rows of one time matters.
func (m *orderedMatcher) lists(lists [][]int64) (steps uint64, times []int64, ok bool) {
	if len(lists) > 1 && len(lists[1]) == 0 {
		// Nobody gets beyond the first step, and the first of its rows will do.
		if len(lists[0]) == 0 {
			return 0, nil, true
		}
		m.best.times = append(m.best.times[:0], lists[0][0])
		return 1, m.best.times, true
	}
	for k := range m.chain {
		m.chain[k].set = false
	}
	m.step = 0
	n := m.rules.steps
	for before := int64(math.MinInt64 + nearTie); m.step < n; {
		time, k := int64(math.MaxInt64), 0
		for s, list := range lists {
			if len(list) > 0 && list[0] < time {
				time, k = list[0], s+1
			}
		}
		if k == 0 {
			break
		}
		if time-nearTie <= before {
			return 0, nil, false
		}
		before, lists[k-1] = time, lists[k-1][1:]
		c, last := &m.chain[k], &m.chain[k-1]
		switch {
		case k == 1:
			c.set, c.start, c.times = true, time, append(c.times[:0], time)
		case !m.open(k-1, time) || c.set && c.start == last.start:
			continue
		default:
			c.set, c.start = true, last.start
			c.times = append(append(c.times[:0], last.times...), time)
		}
		if k > m.step {
			m.step = k
			m.best.times = append(m.best.times[:0], c.times...)
		}
	}
	if m.step == 0 {
		return 0, nil, true
	}
	return 1<<m.step - 1, m.best.times, true
}

// begin has chains that begin now count their window from the time of the group.
func (m *orderedMatcher) begin(time int64) {
	c := &m.chain[0]
	c.set, c.start, c.excluded, c.steps = true, time, false, 0
	c.times, c.rows = c.times[:0], c.rows[:0]
}

// single shows rows with the same marks to the chains, all marks of each.
func (m *orderedMatcher) single(rows []compatRow, at, end int, value uint32) {
	for i := at; i < end; i++ {
		r := &rows[i]
		eachBit(r.bars, func(bit int) { m.exclude(r, bit+1) })
		eachBit(r.steps, func(bit int) { m.reach(rows, i, bit+1, value, false) })
		if !m.rules.strict {
			continue
		}
		// Whatever the row is not the next step of has been interrupted. The best chain
		// stays.
		for k := 1; k <= m.rules.steps; k++ {
			if r.steps>>(k-1)&1 == 0 {
				m.chain[k].set = false
			}
		}
	}
}

// tie shows the steps of a group of rows with different marks to the chains, in order of
// the steps.
func (m *orderedMatcher) tie(rows []compatRow, at, end int, value uint32) {
	m.pairs = m.pairs[:0]
	for i := at; i < end; i++ {
		for w := rows[i].steps; w != 0; w &= w - 1 {
			m.pairs = append(m.pairs, markedRow{bits.TrailingZeros64(w) + 1, i})
		}
	}
	slices.SortStableFunc(m.pairs, func(a, b markedRow) int { return cmp.Compare(a.step, b.step) })
	for _, p := range m.pairs {
		m.reach(rows, p.row, p.step, value, true)
	}
}

// base is the step whose chain a row at a time may go on from to step k, or -1. Optional
// steps that are missing, or too long ago, are passed over. A chain that has step k already
// keeps the row it has there.
func (m *orderedMatcher) base(time int64, k int) int {
	p := k - 1
	for p > 0 && m.rules.optional>>(p-1)&1 != 0 && !m.open(p, time) {
		p--
	}
	if !m.open(p, time) || m.chain[k].set && m.chain[k].start == m.chain[p].start {
		return -1
	}
	return p
}

// open says whether the chain at step p can go on at a time.
func (m *orderedMatcher) open(p int, time int64) bool {
	return m.chain[p].set && time-m.chain[p].start <= m.rules.window
}

// exclude is what a row does that must not come between steps k-1 and k.
func (m *orderedMatcher) exclude(r *compatRow, k int) {
	p := m.base(r.time, k)
	if p < 0 {
		return
	}
	m.chain[p].excluded = true
	if m.step == p && r.time-m.best.start <= m.rules.window {
		m.best.excluded = true
	}
}

// reach has row i go on from a chain to step k.
func (m *orderedMatcher) reach(rows []compatRow, i, k int, value uint32, tie bool) {
	r := &rows[i]
	p := m.base(r.time, k)
	if p < 0 || m.rules.wrongValue(r, p, value) {
		return
	}
	if tie && slices.Contains(m.chain[p].rows, i) {
		return // one row fills one required step of a chain
	}
	m.next.copy(&m.chain[p])
	m.next.steps |= 1 << (k - 1)
	if m.rules.optional>>(k-1)&1 == 0 {
		m.next.times = append(m.next.times, r.time)
		m.next.rows = append(m.next.rows, i)
	}
	if k > m.step || k == m.step && m.best.excluded {
		m.step = k
		m.best.copy(&m.next)
	}
	if !m.chain[p].excluded {
		m.next, m.chain[k] = m.chain[k], m.next
	}
}
