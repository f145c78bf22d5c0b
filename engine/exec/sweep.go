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

// count adds how many rows each of the actors [lo, hi) has in the list.
func (w *sweep) count(count []uint32, wanted []bool, lo, hi uint32) {
	add := func(actor uint32, rows int) {
		if wanted == nil || wanted[actor-lo] {
			count[actor-lo] += uint32(rows)
		}
	}
	if w.whole {
		starts := w.order.Starts
		for p, end := lowerBound(w.persons, lo), lowerBound(w.persons, hi); p < end; p++ {
			if w.skip == nil || !w.skip.Get(p) {
				add(w.persons[p], int(starts[p+1]-starts[p]))
			}
		}
		return
	}
	for _, s := range w.streams {
		if s == nil {
			continue
		}
		sp := span{s: s, lo: lowerBound(s.runs.Ordinals, lo), hi: lowerBound(s.runs.Ordinals, hi)}
		sp.each(func(actor uint32, from, to int) { add(actor, s.countRows(from, to)) })
	}
}

// sweepRange is the rows of a range that belong to an interval of persons.
type sweepRange struct {
	*stream
	first, end int
	times      []int64
	next       int // position in times
}

// sweeper reads sweeps, in memory that it uses again.
type sweeper struct {
	ranges []sweepRange
	events []uint32
	times  []int64
}

// open makes the rows of the persons whose ordinals are in [lo, hi) ready.
func (sw *sweeper) open(w *sweep, lo, hi uint32) error {
	sw.ranges = grow(sw.ranges, len(w.streams))
	rows := 0
	for i, s := range w.streams {
		r := &sw.ranges[i]
		if *r = (sweepRange{stream: s}); s == nil {
			continue
		}
		starts := s.runs.Starts
		r.first, r.end = int(starts[lowerBound(s.runs.Ordinals, lo)]), int(starts[lowerBound(s.runs.Ordinals, hi)])
		if s.times == nil {
			rows += r.end - r.first
		}
	}
	sw.times = grow(sw.times, rows)
	rest := sw.times
	for i := range sw.ranges {
		r := &sw.ranges[i]
		switch {
		case r.first == r.end:
		case r.stream.times != nil:
			r.times = r.stream.times[r.first-r.rng.Lo : r.end-r.rng.Lo]
		default:
			r.times, rest = rest[:r.end-r.first], rest[r.end-r.first:]
			if err := w.seg.Times(r.times, r.first, r.end); err != nil {
				return err
			}
		}
	}
	return nil
}

// copySweep appends the rows of the actors [lo, hi) to their lists, if they are wanted.
func (fl *filler) copySweep(c *csr, w *sweep, wanted []bool, lo, hi uint32) error {
	sw := &fl.sweeper
	if err := sw.open(w, lo, hi); err != nil {
		return err
	}
	starts := w.order.Starts
	p, end := lowerBound(w.persons, lo), lowerBound(w.persons, hi)
	base := int(starts[p])
	sw.events = grow(sw.events, int(starts[end])-base)
	if err := w.order.Events(sw.events, base); err != nil {
		return err
	}
	ranges := sw.ranges
	for ; p < end; p++ {
		events := sw.events[int(starts[p])-base : int(starts[p+1])-base]
		actor := w.persons[p] - lo
		if w.skip != nil && w.skip.Get(p) || wanted != nil && !wanted[actor] {
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
				c.vals[at] = r.vals[row-r.rng.Lo]
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
