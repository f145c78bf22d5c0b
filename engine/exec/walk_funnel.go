package exec

import (
	"cmp"
	"context"
	"math/bits"
	"slices"
	"sort"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/vec"
)

// maxSteps is the most steps a funnel may have.
const maxSteps = 64

// attempt is one way through a funnel: how many steps, and when each was reached.
type attempt struct {
	reached int
	times   [maxSteps]int64
	value   uint32 // breakdown value
}

// funnel is an ordered funnel running.
//
// For a fixed entry the greedy chain, which takes for every step the earliest event not
// before the last one, reaches as far as any chain and has the smallest times from left
// to right. A later entry never has an earlier event in its greedy chain, so each list
// is walked once for all entries of an actor.
type funnel struct {
	node     *plan.Funnel
	env      *Env
	from, to int64
	within   window
	open     func(context.Context, []expr.Expr) (actors, error)
	actors   actors
	cols     []*vec.Vector
	rows     int
	at       int
	done     bool
}

func newFunnel(n *plan.Funnel, env *Env) (Operator, error) {
	if len(n.Steps) > maxSteps {
		return nil, pgerr.New("PK004", "a funnel has at most %d steps", maxSteps)
	}
	if n.Compatible {
		return newCompatFunnel(n, env), nil
	}
	open := func(ctx context.Context, conds []expr.Expr) (actors, error) {
		return openActors(ctx, n, &n.Source, conds, n.Breakdown != nil, env)
	}
	return &funnel{node: n, env: env, open: open}, nil
}

func (f *funnel) Next(ctx context.Context) (*vec.Batch, error) {
	if !f.done {
		if err := f.run(ctx); err != nil {
			return nil, err
		}
		f.done = true
	}
	return slice(f.cols, f.rows, &f.at), nil
}

func (f *funnel) Close() error { return nil }

func (f *funnel) run(ctx context.Context) error {
	n := f.node
	loc, err := location(&n.Source, f.env)
	if err != nil {
		return err
	}
	if f.from, f.to, err = during(&n.Source, f.env); err != nil {
		return err
	}
	f.within = window{fixed: vec.InfinityTime}
	if n.Within != nil {
		f.within = newWindow(*n.Within, loc)
	}
	conds := make([]expr.Expr, len(n.Steps))
	for i, s := range n.Steps {
		conds[i] = s.Cond
	}
	if f.actors, err = f.open(ctx, conds); err != nil {
		return err
	}
	tallies, err := f.count(ctx, nil)
	if err != nil {
		return err
	}
	values := f.rank(tallies)
	if n.Breakdown != nil && n.Breakdown.WithOther && len(values) > n.Breakdown.Top && n.Breakdown.Top > 0 {
		// The values that are not named count as one, so every actor counts once in it.
		other := make([]uint32, f.actors.breakdown().count())
		for i := range other {
			other[i] = uint32(len(other))
		}
		values = values[:n.Breakdown.Top]
		for _, v := range values {
			other[v] = v
		}
		if tallies, err = f.count(ctx, other); err != nil {
			return err
		}
		values = append(values, uint32(len(other)))
	} else if n.Breakdown != nil && n.Breakdown.Top > 0 && len(values) > n.Breakdown.Top {
		values = values[:n.Breakdown.Top]
	}
	if n.Output == plan.OutputActors {
		f.actorRows(tallies, values)
	} else {
		f.stepRows(tallies, values)
	}
	return nil
}

// tally is what the attempts of one breakdown value add up to.
type tally struct {
	counts    []int64   // actors that reached each step
	durations [][]int64 // µs from the previous step, of those actors
	actors    []uint32  // with actor output: who, and their attempts
	attempts  []attempt
}

// count walks all actors. Breakdown values are renamed by other, if it is given.
func (f *funnel) count(ctx context.Context, other []uint32) ([]*tally, error) {
	values := f.actors.breakdown().count()
	if other != nil {
		values++
	}
	parts := make([][]*tally, f.env.Threads)
	err := f.actors.blocks(ctx, func(w int, b *block) error {
		if parts[w] == nil {
			parts[w] = make([]*tally, values)
		}
		k := &walker{f: f, b: b, steps: make([][]int64, len(b.conds)), other: other}
		for i := range b.count {
			if b.conds[0].countOf(i) == 0 {
				continue
			}
			if err := k.actor(i, parts[w]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	out := make([]*tally, values)
	for _, part := range parts {
		for v, t := range part {
			switch {
			case t == nil:
			case out[v] == nil:
				out[v] = t
			default:
				out[v].merge(t)
			}
		}
	}
	return out, nil
}

func (t *tally) merge(o *tally) {
	for i := range t.counts {
		t.counts[i] += o.counts[i]
		t.durations[i] = append(t.durations[i], o.durations[i]...)
	}
	t.actors = append(t.actors, o.actors...)
	t.attempts = append(t.attempts, o.attempts...)
}

// walker finds the best attempts of actors, one after the other.
type walker struct {
	f     *funnel
	b     *block
	steps [][]int64 // rows of the actor, by step
	other []uint32
	at    [maxSteps]int
	best  []attempt // per breakdown value
	group []groupRow
}

// actor counts the attempts of one actor.
func (k *walker) actor(i int, out []*tally) error {
	f := k.f
	for s := range k.steps {
		k.steps[s] = k.b.conds[s].of(i)
	}
	k.best = k.best[:0]
	by := f.node.Breakdown
	switch {
	case !f.actors.disjoint():
		if err := k.general(i); err != nil {
			return err
		}
	case by == nil:
		var a attempt
		if k.simple(&a) {
			k.best = append(k.best, a)
		}
	default:
		k.byValue(i)
	}
	for b := range k.best {
		a := &k.best[b]
		t := out[a.value]
		if t == nil {
			t = &tally{counts: make([]int64, len(k.steps)), durations: make([][]int64, len(k.steps))}
			out[a.value] = t
		}
		if f.node.Output == plan.OutputActors {
			t.actors = append(t.actors, k.b.base+uint32(i))
			t.attempts = append(t.attempts, *a)
		}
		for s := range a.reached {
			t.counts[s]++
			if s > 0 {
				t.durations[s] = append(t.durations[s], a.times[s]-a.times[s-1])
			}
		}
	}
	return nil
}

// simple finds the attempt that reaches furthest, the earliest among equals, when no row
// satisfies two steps. It says false if there is no attempt.
func (k *walker) simple(best *attempt) bool {
	f, entries, n := k.f, k.steps[0], len(k.steps)
	clear(k.at[:n])
	i := skipTo(entries, 0, f.from)
	for i < len(entries) && entries[i] < f.to {
		entry := entries[i]
		i++
		limit := f.within.after(entry)
		last, reached := entry, 1
		var times [maxSteps]int64
		times[0] = entry
		blocked := vec.InfinityTime // time of the first event beyond the window
		for s := 1; s < n; s++ {
			list := k.steps[s]
			at := skipTo(list, k.at[s], last)
			k.at[s] = at
			if at == len(list) {
				break
			}
			last = list[at]
			if last > limit {
				blocked = last
				break
			}
			times[s] = last
			reached++
		}
		if reached > best.reached {
			best.reached = reached
			copy(best.times[:reached], times[:reached])
		}
		if reached == n || f.node.Entry == plan.EntryFirst {
			break
		}
		if blocked == vec.InfinityTime {
			break // no event of that step is left: later entries come no further
		}
		if f.within.fixed >= 0 {
			// A later entry gets past this step only if its window holds an event
			// that is not before the one that was out of reach.
			i = skipTo(entries, i, blocked-f.within.fixed)
		}
	}
	return best.reached > 0
}

// skipTo is the first position from at on whose time is not before t: a few steps, then
// leaps that double, then a search.
func skipTo(list []int64, at int, t int64) int {
	for n := 0; at < len(list) && list[at] < t; n++ {
		if n < 8 {
			at++
			continue
		}
		leap := 8
		for at+leap < len(list) && list[at+leap] < t {
			at += leap
			leap *= 2
		}
		rest := list[at:min(at+leap, len(list))]
		return at + sort.Search(len(rest), func(i int) bool { return rest[i] >= t })
	}
	return at
}

// byValue finds the best attempt for each breakdown value, when no row satisfies two
// steps.
func (k *walker) byValue(i int) {
	f, n := k.f, len(k.steps)
	by := f.node.Breakdown
	entryVals := k.b.conds[0].valsOf(i)
	if by.Attribute == plan.AttributeEach {
		k.eachValue(i, entryVals)
		return
	}
	first := entryVals[0]
	same := by.Attribute == plan.AttributeFirst && first != 0 || by.Attribute == plan.AttributeStep && by.Step == 0
	for _, v := range entryVals {
		same = same && v == first
	}
	if same { // every attempt has this value
		a := attempt{value: k.name(first)}
		if k.simple(&a) {
			k.best = append(k.best, a)
		}
		return
	}
	clear(k.at[:n])
	var rows [maxSteps]int
	for e, entry := range k.steps[0] {
		if entry < f.from || entry >= f.to {
			continue
		}
		a := attempt{reached: 1}
		a.times[0] = entry
		rows[0] = e
		limit := f.within.after(entry)
		for s := 1; s < n; s++ {
			at := skipTo(k.steps[s], k.at[s], a.times[s-1])
			k.at[s] = at
			if at == len(k.steps[s]) || k.steps[s][at] > limit {
				break
			}
			a.times[s] = k.steps[s][at]
			rows[s] = at
			a.reached++
		}
		a.value = k.name(attributed(by, a.reached, func(s int) uint32 { return k.b.conds[s].valsOf(i)[rows[s]] }))
		k.offer(&a)
		if f.node.Entry == plan.EntryFirst {
			return
		}
	}
}

// attributed is the breakdown value of an attempt: 0 is the null value.
func attributed(by *plan.Breakdown, reached int, value func(step int) uint32) uint32 {
	switch by.Attribute {
	case plan.AttributeStep:
		if by.Step < reached {
			return value(by.Step)
		}
		return 0
	case plan.AttributeLast:
		for s := reached - 1; s >= 0; s-- {
			if v := value(s); v != 0 {
				return v
			}
		}
		return 0
	}
	for s := range reached {
		if v := value(s); v != 0 {
			return v
		}
	}
	return 0
}

// eachValue evaluates the attempts once per value, over the rows that carry it.
func (k *walker) eachValue(i int, entryVals []uint32) {
	all := slices.Clone(k.steps)
	distinct := slices.Clone(entryVals)
	slices.Sort(distinct)
	for _, v := range slices.Compact(distinct) {
		for s := range k.steps {
			k.steps[s] = nil
			for r, x := range k.b.conds[s].valsOf(i) {
				if x == v {
					k.steps[s] = append(k.steps[s], all[s][r])
				}
			}
		}
		a := attempt{value: k.name(v)}
		if k.simple(&a) {
			k.offer(&a)
		}
	}
}

// name is what a breakdown value counts as.
func (k *walker) name(v uint32) uint32 {
	if k.other == nil {
		return v
	}
	return k.other[v]
}

// offer keeps an attempt if it is better than the one its value has. Attempts come in
// order of their entries, so among equals the first stays.
func (k *walker) offer(a *attempt) {
	for b := range k.best {
		if k.best[b].value == a.value {
			if c := &k.best[b]; a.reached > c.reached || a.reached == c.reached && a.times[0] < c.times[0] {
				*c = *a
			}
			return
		}
	}
	k.best = append(k.best, *a)
}

// groupRow is one row of an actor in the general walk.
type groupRow struct {
	time  int64
	ref   rowRef
	steps uint64 // bit s: the row satisfies step s
	value uint32
}

// general finds the best attempts when a row may satisfy several steps. Rows of equal
// time may follow each other in any order, so in each group of them the chain goes on for
// as many steps as can be matched to different rows.
func (k *walker) general(i int) error {
	rows, err := k.collect(i)
	if err != nil {
		return err
	}
	f, n := k.f, len(k.steps)
	by := f.node.Breakdown
	if by != nil && by.Attribute == plan.AttributeEach {
		values := make([]uint32, 0, 4)
		for _, r := range rows {
			if r.steps&1 != 0 {
				values = append(values, r.value)
			}
		}
		slices.Sort(values)
		for _, v := range slices.Compact(values) {
			var carry []groupRow
			for _, r := range rows {
				if r.value == v {
					carry = append(carry, r)
				}
			}
			k.entries(carry, n, func(a *attempt, _ *[maxSteps]int) { a.value = k.name(v); k.offer(a) })
		}
		return nil
	}
	k.entries(rows, n, func(a *attempt, chain *[maxSteps]int) {
		if by != nil {
			a.value = k.name(attributed(by, a.reached, func(s int) uint32 { return rows[chain[s]].value }))
		}
		k.offer(a)
	})
	return nil
}

// collect lists the rows of an actor once each, in order, with the steps they satisfy.
func (k *walker) collect(i int) ([]groupRow, error) {
	rows := k.group[:0]
	for s := range k.steps {
		c := &k.b.conds[s]
		refs := c.refsOf(i)
		for r, t := range c.of(i) {
			g := groupRow{time: t, ref: refs[r], steps: 1 << s}
			if c.vals != nil {
				g.value = c.valsOf(i)[r]
			}
			rows = append(rows, g)
		}
	}
	var err error
	slices.SortFunc(rows, func(a, b groupRow) int {
		switch {
		case a.time < b.time:
			return -1
		case a.time > b.time:
			return 1
		}
		c, e := k.f.actors.before(a.ref, b.ref)
		if e != nil {
			err = e
		}
		return c
	})
	out := rows[:0]
	for _, r := range rows {
		if len(out) > 0 && out[len(out)-1].ref == r.ref {
			out[len(out)-1].steps |= r.steps
			continue
		}
		out = append(out, r)
	}
	k.group = rows[:0]
	return out, err
}

// entries walks every entry among the rows and hands on its attempt, with the position of
// the row of each step.
func (k *walker) entries(rows []groupRow, n int, found func(*attempt, *[maxSteps]int)) {
	f := k.f
	for e := range rows {
		entry := rows[e].time
		if rows[e].steps&1 == 0 || entry < f.from || entry >= f.to {
			continue
		}
		a := attempt{reached: 1}
		a.times[0] = entry
		var chain [maxSteps]int
		chain[0] = e
		limit := f.within.after(entry)
		first := e
		for first > 0 && rows[first-1].time == entry {
			first--
		}
		for at := first; at < len(rows) && a.reached < n && rows[at].time <= limit; {
			end := at
			for end < len(rows) && rows[end].time == rows[at].time {
				end++
			}
			m := matching{rows: rows[at:end], used: e - at, first: a.reached}
			for a.reached < n && m.extend() {
				a.times[a.reached] = rows[at].time
				a.reached++
			}
			for s, r := range m.rowOf {
				chain[m.first+s] = at + r
			}
			at = end
		}
		found(&a, &chain)
		if f.node.Entry == plan.EntryFirst {
			return
		}
	}
}

// matching assigns successive steps to different rows of a group: augmenting paths, as in
// Kuhn's algorithm.
type matching struct {
	rows  []groupRow
	used  int // position of the entry row, which is taken; may lie outside
	first int // step that rowOf[0] belongs to
	rowOf []int
}

// extend matches one step more, if that is possible.
func (m *matching) extend() bool {
	step := len(m.rowOf)
	if len(m.rows) == 1 { // the usual case
		if m.used == 0 || step > 0 || m.rows[0].steps>>(m.first)&1 == 0 {
			return false
		}
		m.rowOf = append(m.rowOf, 0)
		return true
	}
	if step >= len(m.rows) {
		return false
	}
	m.rowOf = append(m.rowOf, -1)
	seen := vec.NewBitmap(len(m.rows))
	if m.assign(step, seen) {
		return true
	}
	m.rowOf = m.rowOf[:step]
	return false
}

func (m *matching) assign(step int, seen vec.Bitmap) bool {
	for r := range m.rows {
		if r == m.used || m.rows[r].steps>>(m.first+step)&1 == 0 || seen.Get(r) {
			continue
		}
		seen.Set(r)
		holder := slices.Index(m.rowOf, r)
		if holder < 0 || m.assign(holder, seen) {
			m.rowOf[step] = r
			return true
		}
	}
	return false
}

// rank orders the breakdown values that occur: most entries first, ties by value.
func (f *funnel) rank(tallies []*tally) []uint32 {
	var out []uint32
	for v, t := range tallies {
		if t != nil {
			out = append(out, uint32(v))
		}
	}
	if f.node.Breakdown != nil {
		entries := func(v uint32) int64 { return tallies[v].counts[0] }
		rankValues(out, entries, f.actors.breakdown())
	}
	return out
}

// rankValues sorts values by a count, the largest first, and equal ones by value.
func rankValues[N cmp.Ordered](ids []uint32, count func(uint32) N, values *values32) {
	cols := values.groups.values()
	sort.SliceStable(ids, func(i, j int) bool {
		a, b := ids[i], ids[j]
		if x, y := count(a), count(b); x != y {
			return x > y
		}
		for _, c := range cols {
			if d := compareKey(c, int(a), int(b), false, false); d != 0 {
				return d < 0
			}
		}
		return false
	})
}

// breakdownColumns is the columns of the breakdown for the given values: one row each. A
// value beyond those that are numbered is the rest.
func breakdownColumns(by *plan.Breakdown, values *values32, ids []uint32) []*vec.Vector {
	if by == nil {
		return nil
	}
	out := make([]*vec.Vector, 0, len(by.Exprs)+1)
	for _, c := range values.groups.values() {
		b := vec.NewBuilder(c.Type)
		for _, id := range ids {
			if int(id) >= values.count() {
				b.AppendNull()
			} else {
				b.AppendFrom(c, int(id))
			}
		}
		out = append(out, b.V)
	}
	if by.WithOther {
		other := &vec.Vector{Type: vec.T(vec.Bool)}
		for _, id := range ids {
			other.Bools = append(other.Bools, int(id) >= values.count())
		}
		out = append(out, other)
	}
	return out
}

// stepRows makes the rows of OUTPUT STEPS.
func (f *funnel) stepRows(tallies []*tally, values []uint32) {
	n := len(f.node.Steps)
	if f.node.Breakdown == nil && len(values) == 0 {
		values = []uint32{0}
		tallies[0] = &tally{counts: make([]int64, n), durations: make([][]int64, n)}
	}
	step, name := &vec.Vector{Type: vec.T(vec.Int4)}, &vec.Vector{Type: vec.T(vec.Text), Str: vec.MakeStrings(n, 0)}
	count, dropped := &vec.Vector{Type: vec.T(vec.Int8)}, &vec.Vector{Type: vec.T(vec.Int8)}
	conv, convStep := vec.NewBuilder(vec.T(vec.Float8)), vec.NewBuilder(vec.T(vec.Float8))
	median, average := vec.NewBuilder(vec.T(vec.Interval)), vec.NewBuilder(vec.T(vec.Interval))
	var ids []uint32
	for _, v := range values {
		t := tallies[v]
		for s := range n {
			ids = append(ids, v)
			step.I64 = append(step.I64, int64(s+1))
			name.Str.AppendString(f.node.Steps[s].Name)
			count.I64 = append(count.I64, t.counts[s])
			next := int64(0)
			if s+1 < n {
				next = t.counts[s+1]
				dropped.I64 = append(dropped.I64, t.counts[s]-next)
			} else {
				dropped.I64 = append(dropped.I64, 0)
			}
			appendRate(conv, t.counts[s], t.counts[0])
			appendRate(convStep, t.counts[s], t.counts[max(0, s-1)])
			appendTimes(median, average, t.durations[s])
		}
	}
	f.rows = len(ids)
	f.cols = append(breakdownColumns(f.node.Breakdown, f.actors.breakdown(), ids),
		step, name, count, dropped, conv.V, convStep.V, median.V, average.V)
}

func appendRate(b *vec.Builder, part, whole int64) {
	if whole == 0 {
		b.AppendNull()
		return
	}
	b.V.F64 = append(b.V.F64, float64(part)/float64(whole))
}

// appendTimes appends the median, halfway between the two middle ones if their number is
// even, and the average of durations in µs. Both are null if there are none.
func appendTimes(median, average *vec.Builder, durations []int64) {
	n := len(durations)
	if n == 0 {
		median.AppendNull()
		average.AppendNull()
		return
	}
	mid := selectNth(durations, n/2)
	if n%2 == 0 {
		below := durations[0]
		for _, d := range durations[1 : n/2] {
			below = max(below, d)
		}
		mid = below + (mid-below)/2
	}
	// The sum is kept in 128 bits: a billion durations of centuries fit.
	var hi, lo uint64
	for _, d := range durations {
		var carry uint64
		lo, carry = bits.Add64(lo, uint64(d), 0)
		hi += carry
	}
	mean, _ := bits.Div64(hi, lo, uint64(n))
	median.V.Ivl = append(median.V.Ivl, interval(mid))
	average.V.Ivl = append(average.V.Ivl, interval(int64(mean)))
}

// interval is a span of µs as the difference of two timestamps gives it: days of 24 hours
// and the rest.
func interval(us int64) vec.IntervalValue {
	const day = 86_400_000_000
	return vec.IntervalValue{Days: int32(us / day), Micros: us % day}
}

// selectNth puts the n-th smallest value where sorting would, smaller ones before it.
func selectNth(a []int64, n int) int64 {
	lo, hi := 0, len(a)-1
	for lo < hi {
		p := a[(lo+hi)>>1]
		i, j := lo, hi
		for i <= j {
			for a[i] < p {
				i++
			}
			for a[j] > p {
				j--
			}
			if i <= j {
				a[i], a[j] = a[j], a[i]
				i++
				j--
			}
		}
		switch {
		case n <= j:
			hi = j
		case n >= i:
			lo = i
		default:
			return a[n]
		}
	}
	return a[n]
}

// actorRows makes the rows of OUTPUT ACTORS.
func (f *funnel) actorRows(tallies []*tally, values []uint32) {
	var ids, who []uint32
	reached, converted := &vec.Vector{Type: vec.T(vec.Int4)}, &vec.Vector{Type: vec.T(vec.Bool)}
	entered := &vec.Vector{Type: vec.T(vec.TimestampTZ)}
	times := &vec.Vector{Type: vec.ArrayOf(vec.TimestampTZ), Offs: []uint32{0}, Elem: &vec.Vector{Type: vec.T(vec.TimestampTZ)}}
	last := &vec.Vector{Type: vec.T(vec.Text), Str: vec.MakeStrings(0, 0)}
	elems := vec.Builder{V: times.Elem}
	n := len(f.node.Steps)
	for _, v := range values {
		t := tallies[v]
		for i := range t.attempts {
			a := &t.attempts[i]
			ids, who = append(ids, v), append(who, t.actors[i])
			reached.I64 = append(reached.I64, int64(a.reached))
			converted.Bools = append(converted.Bools, a.reached == n)
			entered.I64 = append(entered.I64, a.times[0])
			for s := range n {
				if s < a.reached {
					times.Elem.I64 = append(times.Elem.I64, a.times[s])
				} else {
					elems.AppendNull()
				}
			}
			times.Offs = append(times.Offs, uint32(len(times.Elem.I64)))
			last.Str.AppendString(f.node.Steps[a.reached-1].Name)
		}
	}
	f.rows = len(ids)
	f.cols = append(breakdownColumns(f.node.Breakdown, f.actors.breakdown(), ids),
		f.actors.vector(who), reached, converted, entered, times, last)
}
