package exec

import (
	"context"
	"math"
	"math/bits"
	"sort"

	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/encoding"
	"github.com/prickledb/prickle/storage/vec"
)

// latestEntries finds how far actors come where nothing else is asked of ordered steps. No lists are
// made: rows are looked for where the segments have them, and most are never looked at.
//
// Of the entries from which a chain comes to a row, the latest leaves most of the window. It is found
// backwards: of the step before, the latest row that is not after the row; of the step before
// that, the latest that is not after this one; and so on. So a step is done if one of its rows comes from
// an entry within DURING in whose window it lies.
type latestEntries struct {
	*walker
	spans  [][]stepSpan // by step
	valued bool         // rows have values
	base   uint32       // actor of position 0 in the interval
	// By actor of the interval:
	reached []uint8       // how many steps are done
	chains  []latestChain // with which rows, if they are two or more
	alike   []uint32      // the value of all rows + 1; 0 without rows, and mixed
	runs    []uint32      // of an actor, see runsOf
	// one says that only rows with the value only count.
	one  bool
	only uint32
	far  []farValue // how far an actor comes, by what its values count as
	work int        // rows looked at since others were let run
	err  error      // of reading times
}

// latestChain is a chain of an actor: the times of its entry and of its last row.
type latestChain struct{ entry, last int64 }

// mixed is of actors whose rows have several values.
const mixed = math.MaxUint32

// stepSpan is the rows of a stream that belong to an interval of actors.
type stepSpan struct {
	s           *stream
	first, last int64    // no row has a time before, or after
	sure        bool     // all rows are within DURING
	runs        []uint32 // by actor who does the steps before: position of the run + 1
	moved       []movedRun
	block       int       // of the segment, where the range begins
	blocks      [][]int64 // times by block of the range, of those that were asked for
	stretch     int       // the last one that was looked at
}

// farValue is how far an actor comes with a value.
type farValue struct {
	value   uint32
	reached int
}

// latestOnly is the actors if latestEntries can tell how far they come.
func (f *funnel) latestOnly() *indexed {
	n := f.node
	ix, ok := f.actors.(*indexed)
	if !ok || !ix.apart || !ix.keep || ix.need.steps == 0 || !f.indexOnly() ||
		n.Mode != plan.Ordered || n.Entry != plan.EntryBest || n.Output != plan.OutputDefault || f.timed || n.Converted ||
		len(n.Exclude) > 0 || f.within.fixed < 0 || f.from >= f.to ||
		n.Breakdown != nil && n.Breakdown.Attribute != plan.AttributeEach {
		return nil
	}
	return ix
}

// latestRuns is about how many runs are noted for an interval: they stay in a cache.
const latestRuns = 1 << 15

// latestWork is how many rows are looked at before others are let run.
const latestWork = 1 << 14

// countLatest walks all actors.
func (f *funnel) countLatest(ctx context.Context, ix *indexed, walkerOf func(int) *walker) error {
	streams := 1
	for _, list := range ix.streams {
		streams += len(list)
	}
	size := max(256, min(latestRuns/streams, ix.total/(8*f.env.Threads)+1))
	all := make([]*latestEntries, f.env.Threads)
	return intervals(ctx, f.env, ix.total, size, func(ctx context.Context, w, lo, hi int) error {
		if all[w] == nil {
			all[w] = newLatestEntries(walkerOf(w), ix)
		}
		return all[w].interval(ctx, uint32(lo), uint32(hi))
	})
}

func newLatestEntries(k *walker, ix *indexed) *latestEntries {
	l := &latestEntries{walker: k, spans: make([][]stepSpan, len(k.steps)), valued: ix.values != nil}
	for i := range l.spans {
		for _, s := range ix.streams[i] {
			first, last := s.seg.MinTime(), s.seg.MaxTime()
			l.spans[i] = append(l.spans[i], stepSpan{s: s, first: first, last: last,
				sure:   first >= k.f.from && last < k.f.to,
				block:  s.rng.Lo / encoding.BlockRows,
				blocks: make([][]int64, (s.rng.Hi-1)/encoding.BlockRows-s.rng.Lo/encoding.BlockRows+1)})
		}
	}
	return l
}

// interval counts the actors [lo, hi).
func (l *latestEntries) interval(ctx context.Context, lo, hi uint32) error {
	n := int(hi - lo)
	l.base, l.reached, l.chains = lo, grow(l.reached, n), grow(l.chains, n)
	clear(l.reached)
	if l.valued {
		l.alike = grow(l.alike, n)
		clear(l.alike)
	}
	for step := range l.spans {
		for i := range l.spans[step] {
			if err := l.find(ctx, step, &l.spans[step][i], lo, hi); err != nil {
				return err
			}
		}
	}
	for a, reached := range l.reached {
		switch {
		case reached == 0:
		case !l.valued:
			l.tally(0).reached[reached-1]++
		case l.alike[a] == mixed:
			if err := l.byValue(ctx, a, int(reached)); err != nil {
				return err
			}
		default:
			l.tally(l.name(l.alike[a] - 1)).reached[reached-1]++
		}
		if l.grown > grownStep {
			if err := l.hold(ctx); err != nil {
				return err
			}
		}
	}
	return l.hold(ctx)
}

// find notes the runs that a span has of a step, of those actors who do the steps before, and who of
// them does it.
func (l *latestEntries) find(ctx context.Context, step int, sp *stepSpan, lo, hi uint32) error {
	sp.runs = grow(sp.runs, int(hi-lo))
	clear(sp.runs)
	s := sp.s
	sp.moved = s.movedIn(lo, hi)
	ordinals := s.runs.Ordinals
	r, end := lowerBound(ordinals, lo), lowerBound(ordinals, hi)
	if step == 0 && sp.sure && s.match == nil && s.skip == nil && !l.valued { // the usual case
		for ; r < end; r++ {
			a := ordinals[r] - lo
			sp.runs[a], l.reached[a] = uint32(r)+1, 1
		}
	}
	for ; r < end; r++ {
		if a := int(ordinals[r] - lo); int(l.reached[a]) >= step && !s.skips(r) {
			sp.runs[a] = uint32(r) + 1
			if err := l.take(ctx, step, sp, a, r); err != nil {
				return err
			}
		}
	}
	for _, m := range sp.moved {
		if a := int(m.root - lo); int(l.reached[a]) >= step {
			if err := l.take(ctx, step, sp, a, int(m.run)); err != nil {
				return err
			}
		}
	}
	return nil
}

// take notes what a run of an actor has of a step.
func (l *latestEntries) take(ctx context.Context, step int, sp *stepSpan, a, run int) error {
	s := sp.s
	from, to := int(s.runs.Starts[run]), int(s.runs.Starts[run+1])
	if s.match != nil && s.countRows(from, to) == 0 {
		return nil
	}
	if l.valued && l.alike[a] != mixed {
		v, n := sp.alike(from-s.rng.Lo, to-from)
		if l.alike[a] == 0 {
			l.alike[a] = v + 1
		}
		if n < to-from || l.alike[a] != v+1 {
			l.alike[a] = mixed
		}
	}
	if int(l.reached[a]) > step {
		return nil
	}
	done, err := l.does(ctx, step, sp, a, from, to)
	if done {
		l.reached[a] = uint8(step + 1)
	}
	return err
}

// does says whether an actor does a step with one of the rows [from, to).
func (l *latestEntries) does(ctx context.Context, step int, sp *stepSpan, a, from, to int) (bool, error) {
	if step == 0 {
		entered := sp.sure && !l.one || l.during(l.latestOf(sp, from, to, l.f.to-1))
		return entered, l.err
	}
	// Most often a row goes on from where the actor was seen last.
	if step > 1 && !l.one && l.goesOn(sp, a, from, to) {
		return true, nil
	}
	for from < to {
		times := l.times(sp, from, to)
		for i, t := range times {
			if l.work++; l.work > latestWork {
				l.work = 0
				if err := yield(ctx); err != nil {
					return false, err
				}
			}
			if !l.counts(sp, from+i) {
				continue
			}
			if entry := l.entryOf(a, step, t); entry != noRow {
				l.chains[a] = latestChain{entry, t}
				return true, l.err
			}
		}
		from += len(times)
	}
	return false, l.err
}

// goesOn says whether one of the rows [from, to) goes on with the actor's chain.
func (l *latestEntries) goesOn(sp *stepSpan, a, from, to int) bool {
	chain := &l.chains[a]
	limit := l.f.within.after(chain.entry)
	for from < to {
		times := l.times(sp, from, to)
		for i := skipTo(times, 0, chain.last); i < len(times) && times[i] <= limit; i++ {
			if l.counts(sp, from+i) {
				chain.last = times[i]
				return true
			}
		}
		from += len(times)
	}
	return false
}

// alike is the value of the row at a place in the range, and how many of n rows from there on have it.
func (sp *stepSpan) alike(place, n int) (uint32, int) {
	s := sp.s
	if s.vals == nil {
		sp.stretch = s.stretches.find(sp.stretch, uint32(place))
		return s.stretches.of[sp.stretch], min(n, int(s.stretches.ends[sp.stretch])-place)
	}
	vals := s.vals[place : place+n]
	for i, v := range vals {
		if v != vals[0] {
			return vals[0], i
		}
	}
	return vals[0], n
}

// byValue counts an actor whose rows have several values: once for each, by the rows that carry it.
func (l *latestEntries) byValue(ctx context.Context, a, most int) error {
	l.values, l.far = l.values[:0], l.far[:0]
	for i := range l.spans[0] {
		sp := &l.spans[0][i]
		for _, run := range l.runsOf(sp, a) {
			place, end := int(sp.s.runs.Starts[run])-sp.s.rng.Lo, int(sp.s.runs.Starts[run+1])-sp.s.rng.Lo
			for place < end {
				v, n := sp.alike(place, end-place)
				l.values = append(l.values, v)
				place += n
			}
		}
	}
	l.values = distinctValues(l.values)
	l.one = true
	defer func() { l.one = false }()
	for _, l.only = range l.values {
		reached, err := l.furthest(ctx, a, most)
		if err != nil {
			return err
		}
		if reached > 0 {
			l.offerFar(farValue{l.name(l.only), reached})
		}
	}
	for _, f := range l.far {
		l.tally(f.value).reached[f.reached-1]++
	}
	return nil
}

// runsOf is the positions of an actor's runs, until the next call.
func (l *latestEntries) runsOf(sp *stepSpan, a int) []uint32 {
	r := sp.runs[a]
	if r == 0 && len(sp.moved) == 0 { // the usual case
		return nil
	}
	l.runs = l.runs[:0]
	if r > 0 {
		l.runs = append(l.runs, r-1)
	}
	for _, m := range sp.movedTo(l.base + uint32(a)) {
		l.runs = append(l.runs, m.run)
	}
	return l.runs
}

// movedTo is the runs that were moved to a person.
func (sp *stepSpan) movedTo(root uint32) []movedRun {
	if len(sp.moved) == 0 {
		return nil
	}
	lo := sort.Search(len(sp.moved), func(i int) bool { return sp.moved[i].root >= root })
	hi := lo
	for hi < len(sp.moved) && sp.moved[hi].root == root {
		hi++
	}
	return sp.moved[lo:hi]
}

// furthest is how many steps an actor does who does so many at most; 0 if there is no entry within DURING.
func (l *latestEntries) furthest(ctx context.Context, a, most int) (int, error) {
	for step := most - 1; step >= 0; step-- {
		for i := range l.spans[step] {
			sp := &l.spans[step][i]
			for _, run := range l.runsOf(sp, a) {
				done, err := l.does(ctx, step, sp, a, int(sp.s.runs.Starts[run]), int(sp.s.runs.Starts[run+1]))
				if done || err != nil {
					return step + 1, err
				}
			}
		}
	}
	return 0, nil
}

// offerFar keeps how far the actor comes with a value if it comes no further with another of that name.
func (l *latestEntries) offerFar(v farValue) {
	for i := range l.far {
		if f := &l.far[i]; f.value == v.value {
			f.reached = max(f.reached, v.reached)
			return
		}
	}
	l.far = append(l.far, v)
}

// entryOf is the entry that a row of a step at t comes from if it lies in its window, or noRow.
func (l *latestEntries) entryOf(a, step int, t int64) int64 {
	at := t
	for step--; step > 0; step-- {
		if at = l.latestRow(step, a, at); at == noRow {
			return noRow
		}
	}
	at = l.latestRow(0, a, min(at, l.f.to-1))
	if !l.during(at) || t > l.f.within.after(at) {
		return noRow
	}
	return at
}

// during says whether there is a row, before the end of DURING, that is not before its start.
func (l *latestEntries) during(row int64) bool { return row != noRow && row >= l.f.from }

// noRow is the time of a row that is not there: before all others.
const noRow = math.MinInt64

// latestRow is the time of an actor's latest row of a step that is not after t.
func (l *latestEntries) latestRow(step, a int, t int64) int64 {
	latest := int64(noRow)
	for i := len(l.spans[step]) - 1; i >= 0; i-- { // the later ones come last
		sp := &l.spans[step][i]
		if sp.first > t || sp.last <= latest {
			continue
		}
		starts := sp.s.runs.Starts
		if r := sp.runs[a]; r > 0 {
			latest = max(latest, l.latestOf(sp, int(starts[r-1]), int(starts[r]), t))
		}
		for _, m := range sp.movedTo(l.base + uint32(a)) {
			latest = max(latest, l.latestOf(sp, int(starts[m.run]), int(starts[m.run+1]), t))
		}
	}
	return latest
}

// latestOf is the time of the latest of the rows [from, to) that is not after t.
func (l *latestEntries) latestOf(sp *stepSpan, from, to int, t int64) int64 {
	for to > from {
		begin := max(from, (to-1)/encoding.BlockRows*encoding.BlockRows)
		times := l.times(sp, begin, to)
		n := len(times)
		for lo := 0; n-lo > 8; {
			if mid := (lo + n) >> 1; times[mid] <= t {
				lo = mid + 1
			} else {
				n = mid
			}
		}
		for n > 0 && times[n-1] > t {
			n--
		}
		if sp.s.match != nil || l.one {
			n = l.lastCounted(sp, begin-sp.s.rng.Lo, n)
		}
		if n > 0 {
			return times[n-1]
		}
		to = begin
	}
	return noRow
}

// noTimes stands for those that cannot be read.
var noTimes [encoding.BlockRows]int64

// times is those of rows from one on: below another, and in one block.
func (l *latestEntries) times(sp *stepSpan, from, to int) []int64 {
	block := from / encoding.BlockRows
	times := sp.blocks[block-sp.block]
	if times == nil {
		var err error
		if times, err = sp.s.seg.KeptTimes(block * encoding.BlockRows); err != nil {
			l.err, times = err, noTimes[:]
		}
		sp.blocks[block-sp.block] = times
	}
	times = times[from%encoding.BlockRows:]
	return times[:min(len(times), to-from)]
}

// counts says whether a row matches and has the value that is asked for.
func (l *latestEntries) counts(sp *stepSpan, row int) bool {
	return sp.s.match == nil && !l.one || l.lastCounted(sp, row-sp.s.rng.Lo, 1) == 1
}

// lastCounted is, of n rows from a place in the range on, how many there are up to the last one that
// matches and has the value that is asked for.
func (l *latestEntries) lastCounted(sp *stepSpan, place, n int) int {
	for s := sp.s; n > 0; l.work++ {
		if s.match != nil {
			n = lastBit(s.match, place, place+n) + 1 - place
		}
		if !l.one || n == 0 {
			break
		}
		if s.vals != nil {
			if s.vals[place+n-1] == l.only {
				break
			}
			n--
			continue
		}
		sp.stretch = s.stretches.find(sp.stretch, uint32(place+n-1))
		if s.stretches.of[sp.stretch] == l.only {
			break
		}
		if n = 0; sp.stretch > 0 {
			n = max(0, int(s.stretches.ends[sp.stretch-1])-place)
		}
	}
	return n
}

// lastBit is the last bit of b in [lo, hi) that is set, or lo-1.
func lastBit(b vec.Bitmap, lo, hi int) int {
	for hi > lo {
		word := (hi - 1) >> 6
		if w := b[word] << (63 - uint(hi-1)&63); w != 0 {
			return max(lo-1, hi-1-bits.LeadingZeros64(w))
		}
		hi = word << 6
	}
	return lo - 1
}
