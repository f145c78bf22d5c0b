package exec

import (
	"context"
	"math"
	"math/bits"
	"slices"
	"sort"

	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/encoding"
	"github.com/prickledb/prickle/storage/vec"
)

// latestEntries finds how far actors come where nothing else is asked of ordered steps. No lists are
// made: rows are looked for where the segments have them, and most are never looked at. Only who has rows
// of several breakdown values is walked by lists (funnel_carried.go).
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
	vals    []uint32      // by run of a span, as alike
	carried []valueRows   // by value of an actor with several
	slots   []uint32      // by value: position in carried + 1
	work    int           // rows looked at since others were let run
	err     error         // of reading times
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
	next        int       // behind the runs that were found last
	begin       *stepSpan // of the second step: rows of the first one in the same segment; or nil
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
	l := &latestEntries{walker: k, spans: make([][]stepSpan, len(k.steps)), slots: make([]uint32, len(k.out)), valued: ix.values != nil}
	for i := range l.spans {
		for _, s := range ix.streams[i] {
			first, last := s.seg.MinTime(), s.seg.MaxTime()
			l.spans[i] = append(l.spans[i], stepSpan{s: s, first: first, last: last,
				sure:   first >= k.f.from && last < k.f.to,
				block:  s.rng.Lo / encoding.BlockRows,
				blocks: make([][]int64, (s.rng.Hi-1)/encoding.BlockRows-s.rng.Lo/encoding.BlockRows+1)})
		}
	}
	if len(l.spans) == 1 {
		return l
	}
	for i := range l.spans[1] {
		sp := &l.spans[1][i]
		if at := slices.IndexFunc(l.spans[0], func(b stepSpan) bool { return b.s.seg == sp.s.seg }); at >= 0 {
			sp.begin = &l.spans[0][at]
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
	if !l.valued {
		var actors [maxSteps + 1]int64 // by how far they come
		for _, reached := range l.reached {
			actors[reached]++
		}
		t := l.tally(0)
		for i := range t.reached {
			t.reached[i] += actors[i+1]
		}
		return l.hold(ctx)
	}
	for a, reached := range l.reached {
		switch {
		case reached == 0:
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
	first, end := placesFrom(ordinals, sp.next, lo, hi)
	sp.next = end
	if l.valued {
		l.vals = grow(l.vals, end-first)
		sp.values(l.vals, first)
	}
	value := uint32(0)
	if step == 0 && sp.sure && s.skip == nil { // the usual case
		l.enter(sp, first, end)
	} else {
		for r := first; r < end; r++ {
			a := int(ordinals[r] - lo)
			if int(l.reached[a]) < step || s.skips(r) {
				continue
			}
			if sp.runs[a] = uint32(r) + 1; l.valued {
				value = l.vals[r-first]
			}
			if err := l.take(ctx, step, sp, a, r, value); err != nil {
				return err
			}
		}
	}
	for _, m := range sp.moved {
		a := int(m.root - lo)
		if int(l.reached[a]) < step {
			continue
		}
		if l.valued {
			one := []uint32{0}
			sp.values(one, int(m.run))
			value = one[0]
		}
		if err := l.take(ctx, step, sp, a, int(m.run), value); err != nil {
			return err
		}
	}
	return nil
}

// enter notes the runs [first, end) of the first step, whose rows are all within DURING.
func (l *latestEntries) enter(sp *stepSpan, first, end int) {
	s := sp.s
	ordinals := s.runs.Ordinals[first:end]
	if s.match == nil {
		for i, o := range ordinals {
			sp.runs[o-l.base], l.reached[o-l.base] = uint32(first+i)+1, 1
		}
		for i, v := range l.vals {
			l.mix(int(ordinals[i]-l.base), v)
		}
		return
	}
	starts := s.runs.Starts[first : end+1]
	for i, o := range ordinals {
		a := o - l.base
		sp.runs[a] = uint32(first+i) + 1
		some := anyBit(s.match, int(starts[i])-s.rng.Lo, int(starts[i+1])-s.rng.Lo)
		l.reached[a] |= some // without a branch that nobody can foresee
		if l.valued && some != 0 {
			l.mix(int(a), l.vals[i])
		}
	}
}

// anyBit is 1 if a bit of b in [lo, hi), which is not empty, is set.
func anyBit(b vec.Bitmap, lo, hi int) uint8 {
	first, last, head, tail := bitRange(lo, hi)
	some := b[first]&head | b[last]&tail
	for i := first + 1; i < last; i++ {
		some |= b[i]
	}
	return uint8((some | -some) >> 63)
}

// values finds the values of runs from one on: of all rows of each + 1, or mixed.
func (sp *stepSpan) values(dst []uint32, run int) {
	s := sp.s
	starts := s.runs.Starts[run:][:len(dst)+1]
	place := int(starts[0]) - s.rng.Lo
	if len(dst) == 0 {
		return
	}
	if s.vals == nil {
		at := s.stretches.find(sp.stretch, uint32(place))
		of, ends := s.stretches.of, s.stretches.ends
		for i, end := range starts[1:] {
			end, next, value := end-uint32(s.rng.Lo), 0, uint32(mixed)
			if ends[at] <= uint32(place) { // without a branch that nobody can foresee
				next = 1
			}
			for at += next; ends[at] <= uint32(place); at++ {
			}
			if ends[at] >= end {
				value = of[at] + 1
			}
			dst[i], place = value, int(end)
		}
		sp.stretch = at
		return
	}
	for i, end := range starts[1:] {
		vals := s.vals[place : int(end)-s.rng.Lo]
		value, other := vals[0]+1, uint32(0)
		for _, v := range vals {
			other |= v ^ vals[0]
		}
		if other != 0 {
			value = mixed
		}
		dst[i], place = value, int(end)-s.rng.Lo
	}
}

// mix notes that an actor has rows with a value, as alike has them.
func (l *latestEntries) mix(a int, value uint32) {
	if has := l.alike[a]; has != 0 && has != value {
		value = mixed
	}
	l.alike[a] = value
}

// take notes what a run of an actor has of a step.
func (l *latestEntries) take(ctx context.Context, step int, sp *stepSpan, a, run int, value uint32) error {
	s := sp.s
	from, to := int(s.runs.Starts[run]), int(s.runs.Starts[run+1])
	if s.match != nil && s.countRows(from, to) == 0 {
		return nil
	}
	if l.valued {
		l.mix(a, value)
	}
	if int(l.reached[a]) > step {
		return nil
	}
	if l.valued && l.alike[a] == mixed { // byValue finds out
		l.reached[a] = uint8(step + 1)
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
		entered := sp.sure || l.during(l.latestOf(sp, from, to, l.f.to-1))
		return entered, l.err
	}
	// Most often a row goes on from where the actor was seen last, or first in the segment.
	if (step > 1 || l.begins(sp, a)) && l.goesOn(sp, a, from, to) {
		return true, l.err
	}
	for from < to {
		times := l.times(sp, from, to)
		for i, t := range times {
			if err := l.worked(ctx, 1); err != nil {
				return false, err
			}
			if !sp.counts(from + i) {
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

// begins makes the actor's first row of the first step in the segment of a span of the second one the
// actor's chain, if that is an entry within DURING.
func (l *latestEntries) begins(sp *stepSpan, a int) bool {
	if sp.begin == nil || sp.begin.runs[a] == 0 {
		return false
	}
	row := int(sp.begin.s.runs.Starts[sp.begin.runs[a]-1])
	entry := l.times(sp.begin, row, row+1)[0]
	l.chains[a] = latestChain{entry, entry}
	return l.f.from <= entry && entry < l.f.to && sp.begin.counts(row)
}

// goesOn says whether one of the rows [from, to) goes on with the actor's chain.
func (l *latestEntries) goesOn(sp *stepSpan, a, from, to int) bool {
	chain := &l.chains[a]
	limit := l.f.within.after(chain.entry)
	for from < to {
		times := l.times(sp, from, to)
		for i := skipTo(times, 0, chain.last); i < len(times) && times[i] <= limit; i++ {
			if sp.counts(from + i) {
				chain.last = times[i]
				return true
			}
		}
		from += len(times)
	}
	return false
}

// worked lets others run when many rows were looked at.
func (l *latestEntries) worked(ctx context.Context, rows int) error {
	if l.work += rows; l.work <= latestWork {
		return nil
	}
	l.work = 0
	return yield(ctx)
}

// movedTo is the runs that were moved to a person.
func (sp *stepSpan) movedTo(root uint32) []movedRun {
	moved := sp.moved
	if len(moved) == 0 { // the usual case
		return nil
	}
	lo := sort.Search(len(moved), func(i int) bool { return moved[i].root >= root })
	hi := lo
	for hi < len(moved) && moved[hi].root == root {
		hi++
	}
	return moved[lo:hi]
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
		if match := sp.s.match; match != nil {
			place := begin - sp.s.rng.Lo
			n = lastBit(match, place, place+n) + 1 - place
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

// counts says whether a row matches.
func (sp *stepSpan) counts(row int) bool {
	return sp.s.match == nil || sp.s.match.Get(row-sp.s.rng.Lo)
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
