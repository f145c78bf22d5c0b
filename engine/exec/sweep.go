package exec

import (
	"context"
	"fmt"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/prickledb/prickle/storage"
	"github.com/prickledb/prickle/storage/segment"
	"github.com/prickledb/prickle/storage/vec"
)

// sweep reads the streams of a condition in one segment together, in the order that the
// segment has of its rows: by person and time, whatever the event. From their runs, each
// person's rows would have to be sorted.
type sweep struct {
	seg     *storage.Segment
	streams []*stream // by range of the segment; nil: its rows are not in the list
	whole   bool      // all rows of the segment are
	order   *segment.Order
	persons []uint32
	// skip marks the persons who were merged into another, whose rows come as moved runs, and
	// those who are not wanted.
	skip vec.Bitmap
}

// sweepShare is how many rows of a segment one row in the list may cost to pass over: less
// than what it takes to sort it.
const sweepShare = 8

// findSweeps makes sweeps where they are the better way to read streams, and gives what is to
// be done before they are.
func (ix *indexed) findSweeps(ctx context.Context) (jobs []func() error) {
	for i, list := range ix.streams {
		for len(list) > 0 {
			n := 1
			for n < len(list) && list[n].seg == list[0].seg {
				n++
			}
			if w := newSweep(list[:n]); w != nil {
				ix.sweeps[i] = append(ix.sweeps[i], w)
				jobs = append(jobs, func() error { return w.prepare(ctx, ix.env) })
			}
			list = list[n:]
		}
	}
	return jobs
}

// newSweep is how to read the streams of a condition in a segment, nil if their runs are
// the better way.
func newSweep(streams []*stream) *sweep {
	seg, rows := streams[0].seg, 0
	for _, s := range streams {
		rows += s.rng.Hi - s.rng.Lo
	}
	if len(streams) < 2 || rows*sweepShare < seg.Rows() {
		return nil
	}
	w := &sweep{seg: seg, streams: make([]*stream, len(seg.Ranges()))}
	for i, rng := range seg.Ranges() {
		if len(streams) > 0 && streams[0].rng == rng {
			w.streams[i], streams = streams[0], streams[1:]
			w.streams[i].swept = true
		}
	}
	return w
}

// prepare reads what every interval needs. The streams may not be ready yet.
func (w *sweep) prepare(ctx context.Context, env *Env) error {
	order, err := w.seg.Order(ctx)
	if err != nil {
		return err
	}
	persons, err := w.seg.Persons()
	if err != nil {
		return err
	}
	w.order, w.persons = order, persons.Ordinals
	merged, err := mergedIn(w.seg, env)
	if err != nil {
		return err
	}
	if merged != nil {
		w.skip = vec.NewBitmap(len(w.persons))
		eachPosition(w.persons, merged, func(at int, _ uint32) { w.skip.Set(at) })
	}
	for _, s := range w.streams {
		if s != nil && s.persons != nil { // the same in all streams of a condition
			w.skip = unwanted(w.skip, w.persons, s.persons)
			break
		}
	}
	return nil
}

// ready is called when the streams are.
func (w *sweep) ready() {
	w.whole = true
	for _, s := range w.streams {
		w.whole = w.whole && s != nil && s.match == nil
	}
}

// mergedIn is the persons of a segment who were merged into another; nil if there are none.
func mergedIn(seg *storage.Segment, env *Env) (*roaring.Bitmap, error) {
	identity := env.Snapshot.Identity()
	if identity.Len() == 0 {
		return nil, nil
	}
	present, err := seg.PersonBitmap()
	if err != nil || !present.Intersects(identity.Merged()) {
		return nil, err
	}
	return roaring.And(present, identity.Merged()), nil
}

// count adds how many rows each of the actors [lo, hi) has in the list, if they are wanted.
func (w *sweep) count(count []uint32, want wanted, lo, hi uint32) {
	if w.whole {
		starts := w.order.Starts
		for p, end := placesOf(w.persons, lo, hi); p < end; p++ {
			if actor := w.persons[p] - lo; want.has(actor) && (w.skip == nil || !w.skip.Get(p)) {
				count[actor] += starts[p+1] - starts[p]
			}
		}
		return
	}
	for _, s := range w.streams {
		if s != nil {
			sp := span{s: s}
			sp.lo, sp.hi = placesOf(s.runs.Ordinals, lo, hi)
			sp.count(count, want, lo)
		}
	}
}

// sweepRange is the rows of a range that belong to an interval of persons.
type sweepRange struct {
	*stream
	first, end int
	times      []int64
	next       int // position in times
	vals       valueWindow
}

// sweeper reads sweeps, in memory that it uses again.
type sweeper struct {
	ranges []sweepRange
	events []uint32
	room   []int64  // of the times of ranges
	filed  []uint32 // of the values of ranges
	parts  []sparsePart
}

// openSweep makes the rows of the persons whose ordinals are in [lo, hi) ready.
func (fl *filler) openSweep(ix *indexed, w *sweep, lo, hi uint32) error {
	sw := &fl.sweeper
	sw.ranges = grow(sw.ranges, len(w.streams))
	rows, filed := 0, 0
	for i, s := range w.streams {
		r := &sw.ranges[i]
		if *r = (sweepRange{stream: s}); s == nil {
			continue
		}
		starts := s.runs.Starts
		first, end := placesOf(s.runs.Ordinals, lo, hi)
		r.first, r.end = int(starts[first]), int(starts[end])
		rows += r.end - r.first
		if r.vals = (valueWindow{s.vals, s.rng.Lo}); s.filed != nil {
			filed += r.end - r.first
		}
	}
	sw.room, sw.filed = grow(sw.room, rows), grow(sw.filed, filed)
	rest, vals := sw.room, sw.filed
	for i := range sw.ranges {
		r := &sw.ranges[i]
		r.times, rest = rest[:r.end-r.first], rest[r.end-r.first:]
		if len(r.times) > 0 {
			fl.times.open(ix, w.seg, r.end)
			if err := fl.times.copy(r.times, r.first); err != nil {
				return err
			}
		}
		if n := len(r.times); n > 0 && r.filed != nil {
			r.vals, vals = valueWindow{vals[:n], r.first}, vals[n:]
			if err := fl.values.copy(r.vals.vals, r.stream, r.first); err != nil {
				return err
			}
		}
	}
	return nil
}

// copySweep appends the rows of the actors [lo, hi) to their lists, if they are wanted.
func (fl *filler) copySweep(ix *indexed, c *csr, w *sweep, want wanted, lo, hi uint32) error {
	sw := &fl.sweeper
	if err := fl.openSweep(ix, w, lo, hi); err != nil {
		return err
	}
	starts := w.order.Starts
	p, end := placesOf(w.persons, lo, hi)
	base := int(starts[p])
	sw.events = grow(sw.events, int(starts[end])-base)
	if err := w.order.Events(sw.events, base); err != nil {
		return err
	}
	ranges := sw.ranges
	for ; p < end; p++ {
		events := sw.events[int(starts[p])-base : int(starts[p+1])-base]
		actor := w.persons[p] - lo
		if w.skip != nil && w.skip.Get(p) || !want.has(actor) {
			for _, e := range events {
				ranges[e].next++
			}
			continue
		}
		at, limit := fl.at[actor], c.off[actor+1]
		begin := at
		for _, e := range events {
			r := &ranges[e]
			i := r.next
			r.next++
			if r.stream == nil {
				continue
			}
			row := r.first + i
			if r.match != nil && !r.match.Get(row-r.rng.Lo) {
				continue
			}
			if i >= len(r.times) || at == limit {
				return fmt.Errorf("segment %d: the order of its rows has more events %q of persons %d to %d than their runs; run prickle verify", w.seg.ID(), r.rng.Event, lo, hi)
			}
			c.times[at] = r.times[i]
			if c.refs != nil {
				c.refs[at] = rowRef{r.list, uint32(row)}
			}
			if c.vals != nil {
				c.vals[at] = r.vals.vals[row-r.vals.first]
			}
			if c.nums != nil {
				c.nums[at] = r.nums[row-r.rng.Lo]
			}
			at++
		}
		fl.at[actor] = at
		fl.seam(c, actor, begin)
	}
	return nil
}

// fillSparse gathers, from sweeps of all rows, those of the actors [lo, hi) who are wanted. Of a
// list that is need.whole it takes those that are in other lists too, and of those between only that
// there are some: one, with the time of the row before. It says false if rows do not come in order
// that way.
func (fl *filler) fillSparse(ctx context.Context, ix *indexed, list int, want wanted, lo, hi uint32) (bool, error) {
	sweeps := ix.sweeps[list]
	for len(fl.parts) < len(sweeps) {
		fl.parts = append(fl.parts, sparsePart{})
	}
	parts := fl.parts[:len(sweeps)]
	for _, s := range ix.streams[list] {
		if len(s.movedIn(lo, hi)) > 0 {
			return false, nil
		}
	}
	for i, w := range sweeps {
		if err := parts[i].open(ix, w, lo, hi); err != nil {
			return true, err
		}
	}
	c := &fl.block.conds[list]
	c.reset(int(hi-lo), 0)
	c.times, c.refs = c.times[:0], c.refs[:0]
	for a := range int(hi - lo) {
		if begin := len(c.times); want.has(uint32(a)) {
			for i := range parts {
				if err := parts[i].append(c, begin, lo+uint32(a)); err != nil {
					return true, err
				}
			}
		}
		c.off[a+1] = uint32(len(c.times))
	}
	return true, fl.hold(ctx, ix.env)
}

// sparsePart reads what a sweep has of an interval of persons.
type sparsePart struct {
	w      *sweep
	lists  []*stream // by range
	next   int       // person
	end    int
	base   int
	events []uint32
	marked []bool // by range: its rows are in other lists too, perhaps
	cursor []sparseCursor
}

// sparseCursor is where a part is in a range.
type sparseCursor struct {
	runs  *segment.Runs
	run   int
	row   int
	end   int // of the person's rows
	times rowTimes
}

// open goes to the first of the persons whose ordinals are in [lo, hi).
func (p *sparsePart) open(ix *indexed, w *sweep, lo, hi uint32) error {
	p.w, p.lists = w, w.streams
	p.next, p.end = placesOf(w.persons, lo, hi)
	p.base = int(w.order.Starts[p.next])
	p.events = grow(p.events, int(w.order.Starts[p.end])-p.base)
	p.marked = grow(p.marked, len(w.streams))
	if len(p.cursor) < len(w.streams) {
		p.cursor = make([]sparseCursor, len(w.streams))
	}
	for i, s := range w.streams {
		if p.marked[i] = ix.need.whole == 0 || ix.marks[s.list].any; p.marked[i] {
			c := &p.cursor[i]
			from, to := placesOf(s.runs.Ordinals, lo, hi)
			c.runs, c.run = s.runs, from
			c.times.open(ix, w.seg, int(s.runs.Starts[to]))
		}
	}
	return w.order.Events(p.events, p.base)
}

// append appends rows of an actor to a list, where those from begin on are the actor's.
func (p *sparsePart) append(c *csr, begin int, actor uint32) error {
	persons := p.w.persons
	for p.next < p.end && persons[p.next] < actor {
		p.next++
	}
	if p.next == p.end || persons[p.next] != actor || p.w.skip != nil && p.w.skip.Get(p.next) {
		return nil
	}
	for i, marked := range p.marked {
		if !marked {
			continue
		}
		cur := &p.cursor[i]
		for cur.run < len(cur.runs.Ordinals) && cur.runs.Ordinals[cur.run] < actor {
			cur.run++
		}
		if cur.row, cur.end = 0, 0; cur.run < len(cur.runs.Ordinals) && cur.runs.Ordinals[cur.run] == actor {
			cur.row, cur.end = int(cur.runs.Starts[cur.run]), int(cur.runs.Starts[cur.run+1])
		}
	}
	starts := p.w.order.Starts
	gap := -1 // an event since the last row that is in other lists
	for _, e := range p.events[int(starts[p.next])-p.base : int(starts[p.next+1])-p.base] {
		if !p.marked[e] {
			gap = int(e)
			continue
		}
		p.mind(c, begin, gap)
		gap = -1
		cur := &p.cursor[e]
		if cur.row == cur.end {
			return fmt.Errorf("segment %d: the order of its rows has more events %q of person %d than their runs; run prickle verify", p.w.seg.ID(), p.lists[e].rng.Event, actor)
		}
		times, err := cur.times.from(cur.row)
		if err != nil {
			return err
		}
		c.times, c.refs = append(c.times, times[0]), append(c.refs, rowRef{p.lists[e].list, uint32(cur.row)})
		cur.row++
	}
	p.mind(c, begin, gap)
	return nil
}

// mind appends a row for those of the event and others in no other list, if there are any.
func (p *sparsePart) mind(c *csr, begin, event int) {
	if event >= 0 && len(c.times) > begin {
		c.times, c.refs = append(c.times, c.times[len(c.times)-1]), append(c.refs, rowRef{list: p.lists[event].list})
	}
}

// listMarks is in which lists besides need.whole the rows of a range are.
type listMarks struct {
	always condSet
	some   []markedStream
	any    bool // in some list, perhaps
}

// markedStream is a condition that holds for some rows.
type markedStream struct {
	cond int
	*stream
}

// findMarks says for each range in which lists its rows are.
func (ix *indexed) findMarks() {
	ix.marks = make([]listMarks, len(ix.lists))
	for cond, list := range ix.streams {
		if cond == ix.need.whole {
			continue
		}
		for _, s := range list {
			m := &ix.marks[s.list]
			m.any = true
			if s.match == nil {
				m.always.set(cond)
			} else {
				m.some = append(m.some, markedStream{cond, s})
			}
		}
	}
}

// canBeSparse says whether fillSparse may do for need.whole.
func (ix *indexed) canBeSparse() bool { return ix.need.steps > 0 && ix.inSweeps(ix.need.whole) }

// inSweeps says whether all rows of a list come from sweeps of whole segments, one after the other,
// with nothing but their times and places asked for.
func (ix *indexed) inSweeps(list int) bool {
	if ix.values != nil || ix.need.number != nil {
		return false
	}
	streams := 0
	for i, w := range ix.sweeps[list] {
		if !w.whole || i > 0 && ix.sweeps[list][i-1].seg.MaxTime() >= w.seg.MinTime() {
			return false
		}
		streams += len(w.streams)
	}
	return streams == len(ix.streams[list])
}

// inTurn says whether the rows that an actor has in a list come from one run or sweep of a segment
// after the other, none of which has times of another: so rows of one time are in order.
func (ix *indexed) inTurn() bool {
	for _, list := range ix.streams {
		for i, s := range list {
			if len(s.moved) > 0 {
				return false
			}
			if i == 0 {
				continue
			}
			if before := list[i-1]; before.seg != s.seg && before.seg.MaxTime() >= s.seg.MinTime() || before.seg == s.seg && !(before.swept && s.swept) {
				return false
			}
		}
	}
	return true
}

// stepsOf is which of the first so many lists a row of need.whole is in, one bit each.
func (ix *indexed) stepsOf(r rowRef, n int) uint64 {
	m := &ix.marks[r.list]
	if !m.any {
		return 0
	}
	out := m.always.slice(0, n)
	for _, s := range m.some {
		if s.cond < n && s.match.Get(int(r.row)-s.rng.Lo) {
			out |= 1 << s.cond
		}
	}
	return out
}

// marked is as actors says.
func (ix *indexed) marked(dst []actorRow, b *block, i int, from, to int64, sparse bool) ([]actorRow, bool) {
	if ix.need.whole == 0 {
		return dst, false
	}
	c := &b.conds[ix.need.whole]
	times, refs := c.of(i), c.refsOf(i)
	var vals []uint32
	if c.vals != nil {
		vals = c.valsOf(i)
	}
	add := func(at int) *actorRow {
		dst = append(dst, actorRow{time: times[at], ref: refs[at]})
		row := &dst[len(dst)-1]
		if vals != nil {
			row.value = vals[at]
		}
		return row
	}
	at, end := skipTo(times, 0, from), skipTo(times, 0, to)
	for at < end {
		if m := &ix.marks[refs[at].list]; m.any {
			row := add(at)
			row.in = m.always
			for _, s := range m.some {
				if s.match.Get(int(row.ref.row) - s.rng.Lo) {
					row.in.set(s.cond)
				}
			}
			at++
			continue
		}
		gap := at
		for at++; at < end && !ix.marks[refs[at].list].any; at++ {
		}
		add(gap)
		for k := gap + 1; k < at-1; k++ {
			if !sparse || !between(times, vals, k) {
				add(k)
			}
		}
		if at-1 > gap {
			add(at - 1)
		}
	}
	return dst, true
}

// between says whether a row has the value of the rows before and after it and another time.
func between(times []int64, vals []uint32, at int) bool {
	return times[at-1] < times[at] && times[at] < times[at+1] &&
		(vals == nil || vals[at-1] == vals[at] && vals[at] == vals[at+1])
}
