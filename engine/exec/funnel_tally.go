package exec

import (
	"math/bits"
	"slices"

	"github.com/prickledb/prickle/engine/agg"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/vec"
)

// funnelTally is what the attempts of one breakdown value add up to. Steps are counted by
// name, and in MODE UNORDERED by number: those attempts that did so many.
type funnelTally struct {
	counts    []int64     // attempts that did each step
	dropped   []int64     // those of them that came no further, and did not convert
	reached   []int64     // attempts by how far they came, to be added to counts and dropped
	durations [][]int64   // µs from the step before that is not optional, of those that did it
	pieces    []*attempts // with OUTPUT ACTORS and TREND ACTORS
	full      int         // of pieces: the first ones, without room
	// With OUTPUT TREND: by period.
	entered, converted []int64
}

// attempts is a list of who made attempts, and what of them.
type attempts struct {
	actors []uint32
	// With OUTPUT ACTORS.
	done  []uint64
	last  []uint8 // step of the last event
	times []int64 // of the steps done
	// With TREND ACTORS.
	entries []trendEntry
}

// attemptsPiece is how many attempts are in a list at most. The next ones come in another, so that
// none is moved; the first lists are short.
const attemptsPiece = 4096

// piece is a list with room for an attempt more.
func (t *funnelTally) piece() *attempts {
	size := 16
	for ; t.full < len(t.pieces); t.full++ {
		p := t.pieces[t.full]
		if len(p.actors) < cap(p.actors) {
			return p
		}
		size = min(2*cap(p.actors), attemptsPiece)
	}
	p := &attempts{actors: make([]uint32, 0, size)}
	t.pieces = append(t.pieces, p)
	return p
}

// empty forgets the attempts of OUTPUT ACTORS, and keeps their memory.
func (t *funnelTally) empty() {
	t.full = 0
	for _, p := range t.pieces {
		p.actors, p.done, p.last, p.times = p.actors[:0], p.done[:0], p.last[:0], p.times[:0]
	}
}

// tally is that of a breakdown value.
func (k *walker) tally(value uint32) *funnelTally {
	if t := k.out[value]; t != nil {
		return t
	}
	n := len(k.steps)
	t := newFunnelTally(n)
	k.grown += int64(n)*48 + 256
	if line := k.f.line; line != nil {
		t.entered, t.converted = make([]int64, line.count()), make([]int64, line.count())
		k.grown += int64(line.count()) * 16
	}
	k.out[value] = t
	return t
}

func newFunnelTally(steps int) *funnelTally {
	return &funnelTally{reached: make([]int64, steps), counts: make([]int64, steps), dropped: make([]int64, steps), durations: make([][]int64, steps)}
}

// add counts an attempt.
func (k *walker) add(a *attempt) {
	f := k.f
	if f.node.Converted && !f.converted(a) {
		return
	}
	t := k.tally(a.value)
	if k.counted {
		t.reached[a.reached-1]++
		return
	}
	k.inOrder(a)
	switch f.node.Output {
	case plan.OutputActors:
		k.list(t, a, k.order)
		if f.node.Breakdown == nil {
			return // nobody asks how many they are
		}
	case plan.OutputTrend:
		k.addTrend(t, a)
	}
	if n := a.reached - 1; !f.converted(a) {
		t.dropped[n]++
	}
	before := a.entered
	for i, s := range k.order {
		time, optional := a.times[s], f.required>>s&1 == 0
		if f.node.Mode == plan.Unordered {
			s, optional = i, false
		}
		t.counts[s]++
		if i > 0 && f.timed {
			t.durations[s] = append(t.durations[s], time-before)
			k.grown += 8
		}
		if !optional {
			before = time
		}
	}
}

// list notes an attempt for OUTPUT ACTORS, which did the steps in that order.
func (k *walker) list(t *funnelTally, a *attempt, order []int) {
	p := t.piece()
	if p.done == nil {
		size := cap(p.actors)
		p.done, p.last, p.times = make([]uint64, 0, size), make([]uint8, 0, size), make([]int64, 0, size*len(order))
		k.grown += int64(size * (13 + 8*len(order)))
	}
	p.actors, p.done = append(p.actors, k.actor), append(p.done, a.done)
	p.last = append(p.last, uint8(order[len(order)-1]))
	if k.straight != nil {
		p.times = append(p.times, a.times[:a.reached]...)
		return
	}
	for w := a.done; w != 0; w &= w - 1 {
		p.times = append(p.times, a.times[bits.TrailingZeros64(w)])
	}
}

// addTrend counts an attempt in the period of its entry, if it did the step that the trend
// begins with.
func (k *walker) addTrend(t *funnelTally, a *attempt) {
	trend := k.f.node.Trend
	if k.f.node.Mode != plan.Unordered && a.done>>trend.From&1 == 0 {
		return
	}
	e := trendEntry{period: k.f.line.bucket(a.entered), converted: k.f.converted(a)}
	if trend.To >= 0 {
		e.converted = a.done>>trend.To&1 != 0
	}
	t.entered[e.period]++
	if e.converted {
		t.converted[e.period]++
	}
	if trend.Actors {
		p := t.piece()
		p.actors, p.entries = append(p.actors, k.actor), append(p.entries, e)
		k.grown += 20
	}
}

// settle adds up what was only noted.
func (t *funnelTally) settle() {
	further := int64(0) // attempts that came further
	for s := len(t.reached) - 1; s >= 0; s-- {
		if s < len(t.reached)-1 {
			t.dropped[s] += t.reached[s]
		}
		further += t.reached[s]
		t.counts[s] += further
		t.reached[s] = 0
	}
}

func (t *funnelTally) merge(o *funnelTally) {
	for i := range t.counts {
		t.counts[i] += o.counts[i]
		t.dropped[i] += o.dropped[i]
		t.durations[i] = append(t.durations[i], o.durations[i]...)
	}
	for i := range t.entered {
		t.entered[i] += o.entered[i]
		t.converted[i] += o.converted[i]
	}
	t.pieces = append(t.pieces, o.pieces...)
}

// rank orders the breakdown values that occur: most entries first, ties by value.
func (f *funnel) rank(tallies []*funnelTally) []uint32 {
	var out []uint32
	for v, t := range tallies {
		if t != nil {
			out = append(out, uint32(v))
		}
	}
	if f.node.Breakdown != nil {
		entries := func(v uint32) int64 { return tallies[v].counts[0] }
		rankValues(out, entries, f.values)
	}
	return out
}

// answer makes the rows of the answer.
func (f *funnel) answer(tallies []*funnelTally, values []uint32) {
	var ids []uint32
	var cols []*vec.Vector
	switch n := f.node; {
	case n.Output == plan.OutputActors:
		ids, cols = f.actorRows(tallies, values)
	case n.Output != plan.OutputTrend:
		ids, cols = f.stepRows(tallies, values)
	case n.Trend.Actors:
		ids, cols = f.trendActorRows(tallies, values)
	default:
		ids, cols = f.trendRows(tallies, values)
	}
	f.rows = len(ids)
	f.cols = append(breakdownColumns(f.node.Breakdown, f.values, ids), cols...)
}

// stepRows makes the rows of OUTPUT STEPS, and the breakdown value of each.
func (f *funnel) stepRows(tallies []*funnelTally, values []uint32) ([]uint32, []*vec.Vector) {
	n := len(f.node.Steps)
	if f.node.Breakdown == nil && len(values) == 0 {
		values = []uint32{0}
		tallies[0] = newFunnelTally(n)
	}
	step, name := &vec.Vector{Type: vec.T(vec.Int4)}, &vec.Vector{Type: vec.T(vec.Text), Str: vec.MakeStrings(n, 0)}
	count, dropped := &vec.Vector{Type: vec.T(vec.Int8)}, &vec.Vector{Type: vec.T(vec.Int8)}
	conv, convStep := vec.NewBuilder(vec.T(vec.Float8)), vec.NewBuilder(vec.T(vec.Float8))
	median, average := vec.NewBuilder(vec.T(vec.Interval)), vec.NewBuilder(vec.T(vec.Interval))
	var ids []uint32
	for _, v := range values {
		t := tallies[v]
		before := t.counts[0]
		for s := range n {
			ids = append(ids, v)
			step.I64 = append(step.I64, int64(s+1))
			name.Str.AppendString(f.node.Steps[s].Name)
			count.I64 = append(count.I64, t.counts[s])
			dropped.I64 = append(dropped.I64, t.dropped[s])
			appendRate(conv, t.counts[s], t.counts[0])
			appendRate(convStep, t.counts[s], before)
			appendTimes(median, average, t.durations[s])
			if f.node.Mode == plan.Unordered || f.required>>s&1 != 0 {
				before = t.counts[s]
			}
		}
	}
	return ids, []*vec.Vector{step, name, count, dropped, conv.V, convStep.V, median.V, average.V}
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
	return vec.IntervalValue{Days: int32(us / day), Micros: us % day}
}

// selectNth puts the n-th smallest value where sorting would, smaller ones before it.
func selectNth(a []int64, n int) int64 {
	agg.Place(a, n, 0, len(a)-1)
	return a[n]
}

// actorRows makes the rows of OUTPUT ACTORS, and the breakdown value of each.
func (f *funnel) actorRows(tallies []*funnelTally, values []uint32) ([]uint32, []*vec.Vector) {
	var pieces []*attempts
	var ids []uint32
	for _, v := range values {
		for _, p := range tallies[v].pieces {
			pieces = append(pieces, p)
			for range p.actors {
				ids = append(ids, v)
			}
		}
	}
	_, cols := f.actorColumns(pieces)
	return ids, cols
}

// actorColumns makes the columns of OUTPUT ACTORS, and whose each attempt is. Columns that nobody reads
// are not made.
func (f *funnel) actorColumns(pieces []*attempts) ([]uint32, []*vec.Vector) {
	n := 0
	for _, p := range pieces {
		n += len(p.actors)
	}
	who := make([]uint32, 0, n)
	for _, p := range pieces {
		who = append(who, p.actors...)
	}
	reached, converted := vec.NullConst(vec.T(vec.Int4)), vec.NullConst(vec.T(vec.Bool))
	if f.reads("reached") || f.reads("converted") {
		reached = &vec.Vector{Type: vec.T(vec.Int4), I64: make([]int64, 0, n)}
		converted = &vec.Vector{Type: vec.T(vec.Bool), Bools: make([]bool, 0, n)}
		var a attempt
		for _, p := range pieces {
			for _, a.done = range p.done {
				f.measure(&a)
				reached.I64 = append(reached.I64, int64(a.reached))
				converted.Bools = append(converted.Bools, f.converted(&a))
			}
		}
	}
	entered := vec.NullConst(vec.T(vec.TimestampTZ))
	if f.reads("entered_at") {
		entered = &vec.Vector{Type: vec.T(vec.TimestampTZ), I64: make([]int64, 0, n)}
		for _, p := range pieces {
			rest := p.times
			for _, done := range p.done {
				count := bits.OnesCount64(done)
				entered.I64 = append(entered.I64, slices.Min(rest[:count]))
				rest = rest[count:]
			}
		}
	}
	times := vec.NullConst(vec.ArrayOf(vec.TimestampTZ))
	if f.reads("step_times") {
		times = f.stepTimes(pieces, n)
	}
	last := vec.NullConst(vec.T(vec.Text))
	if f.reads("last_step") {
		last = &vec.Vector{Type: vec.T(vec.Text), Str: vec.MakeStrings(n, 0)}
		for _, p := range pieces {
			for _, step := range p.last {
				last.Str.AppendString(f.node.Steps[step].Name)
			}
		}
	}
	return who, []*vec.Vector{f.actors.vector(who), reached, converted, entered, times, last}
}

// stepTimes is the column step_times of n attempts.
func (f *funnel) stepTimes(pieces []*attempts, n int) *vec.Vector {
	steps := len(f.node.Steps)
	out := &vec.Vector{Type: vec.ArrayOf(vec.TimestampTZ), Offs: make([]uint32, 1, n+1)}
	out.Elem = &vec.Vector{Type: vec.T(vec.TimestampTZ), I64: make([]int64, 0, n*steps)}
	elem, all := out.Elem, ^uint64(0)>>(maxSteps-steps)
	for _, p := range pieces {
		rest := p.times
		if len(rest) == steps*len(p.done) { // the usual case: all did all steps
			for range p.done {
				out.Offs = append(out.Offs, out.Offs[len(out.Offs)-1]+uint32(steps))
			}
			elem.I64 = append(elem.I64, rest...)
			continue
		}
		for _, done := range p.done {
			if done == all {
				elem.I64 = append(elem.I64, rest[:steps]...)
				rest = rest[steps:]
			} else {
				elem.Nulls = elem.Nulls.Grow(n * steps)
				for s := range steps {
					if done>>s&1 == 0 {
						elem.Nulls.Set(len(elem.I64))
						elem.I64 = append(elem.I64, 0)
						continue
					}
					elem.I64 = append(elem.I64, rest[0])
					rest = rest[1:]
				}
			}
			out.Offs = append(out.Offs, uint32(len(elem.I64)))
		}
	}
	return out
}

// trendLine makes the periods of OUTPUT TREND: from the one of the start of DURING, or of the
// first row, to the one of the end. Without any there are no rows.
func trendLine(n *plan.Funnel, rows actors, from, to int64, env *Env) (*timeline, error) {
	lo, hi := rows.bounds()
	if from == vec.NegInfinityTime {
		from = lo
	}
	if to == vec.InfinityTime {
		to = hi + 1
	}
	if from >= to {
		return nil, nil
	}
	loc, err := location(&n.Source, env)
	if err != nil {
		return nil, err
	}
	return newTimeline(from, to, n.Trend.Every, loc, n.Sunday)
}

// trendRows makes the rows of OUTPUT TREND, and the breakdown value of each: one for every
// period of DURING, or where that is open from the first and to the last that an attempt of
// any value began in.
func (f *funnel) trendRows(tallies []*funnelTally, values []uint32) ([]uint32, []*vec.Vector) {
	bucket := &vec.Vector{Type: vec.T(vec.TimestampTZ)}
	entered, converted := &vec.Vector{Type: vec.T(vec.Int8)}, &vec.Vector{Type: vec.T(vec.Int8)}
	rate := vec.NewBuilder(vec.T(vec.Float8))
	var ids []uint32
	if f.line != nil {
		if f.node.Breakdown == nil && len(values) == 0 {
			zeros := make([]int64, f.line.count())
			values, tallies = []uint32{0}, []*funnelTally{{entered: zeros, converted: zeros}}
		}
		none := func(period int) bool {
			return !slices.ContainsFunc(values, func(v uint32) bool { return tallies[v].entered[period] > 0 })
		}
		first, last := 0, f.line.count()-1
		for first <= last && f.from == vec.NegInfinityTime && none(first) {
			first++
		}
		for last >= first && f.to == vec.InfinityTime && none(last) {
			last--
		}
		for _, v := range values {
			t := tallies[v]
			for p := first; p <= last; p++ {
				ids = append(ids, v)
				bucket.I64 = append(bucket.I64, f.line.starts[p])
				entered.I64 = append(entered.I64, t.entered[p])
				converted.I64 = append(converted.I64, t.converted[p])
				appendRate(rate, t.converted[p], t.entered[p])
			}
		}
	}
	return ids, []*vec.Vector{bucket, entered, converted, rate.V}
}

// trendActorRows makes the rows of OUTPUT TREND ACTORS, and the breakdown value of each.
func (f *funnel) trendActorRows(tallies []*funnelTally, values []uint32) ([]uint32, []*vec.Vector) {
	bucket, converted := &vec.Vector{Type: vec.T(vec.TimestampTZ)}, &vec.Vector{Type: vec.T(vec.Bool)}
	var ids, who []uint32
	for _, v := range values {
		for _, p := range tallies[v].pieces {
			for i, e := range p.entries {
				ids, who = append(ids, v), append(who, p.actors[i])
				bucket.I64 = append(bucket.I64, f.line.starts[e.period])
				converted.Bools = append(converted.Bools, e.converted)
			}
		}
	}
	return ids, []*vec.Vector{bucket, f.actors.vector(who), converted}
}
