package exec

import (
	"context"
	"math"
	"math/bits"

	"github.com/prickledb/prickle/storage"
	"github.com/prickledb/prickle/storage/encoding"
	"github.com/prickledb/prickle/storage/vec"
)

// maxCells bounds the cells, of values and buckets, that indexes count into: every
// goroutine has all of them. Beyond it, rows are grouped instead.
const maxCells = 1 << 22

// countRows is the number of rows of each value and bucket, from time codes or times.
func (t *trends) countRows(ctx context.Context, ix *indexed) ([]int64, error) {
	if err := ix.spreadValues(ctx); err != nil {
		return nil, err
	}
	type job struct {
		s      *stream
		lo, hi int
		byCode []int32
	}
	var jobs []job
	own := &spans{line: t.line, from: t.from, to: t.to}
	codes := own.byCode(ix)
	for _, s := range ix.streams[0] {
		if last := len(jobs) - 1; last >= 0 && jobs[last].hi == s.rng.Lo && jobs[last].s.seg == s.seg && jobs[last].s.plain() && s.plain() {
			// Rows that all count, of whatever events, and need not be told apart.
			if n := s.rng.Hi - jobs[last].lo; n <= morselRows {
				jobs[last].hi = s.rng.Hi
				continue
			}
		}
		var byCode []int32
		if codes {
			byCode = own.unitsOf(s)
		}
		for lo := s.rng.Lo; lo < s.rng.Hi; lo += morselRows {
			jobs = append(jobs, job{s, lo, min(lo+morselRows, s.rng.Hi), byCode})
		}
	}
	cells := t.line.count() * ix.values.count()
	held := int64(cells) * 8 * int64(t.env.Threads)
	defer t.env.release(held)
	if err := t.env.hold(ctx, held); err != nil {
		return nil, err
	}
	parts := make([][]int64, t.env.Threads)
	err := intervals(ctx, t.env, len(jobs), 1, func(_ context.Context, w, i, _ int) error {
		if parts[w] == nil {
			parts[w] = make([]int64, cells)
		}
		if j := &jobs[i]; j.byCode != nil {
			return t.countCodes(parts[w], j.s, j.lo, j.hi, j.byCode)
		}
		return t.countTimes(parts[w], jobs[i].s, jobs[i].lo, jobs[i].hi)
	})
	return sum(parts, cells), err
}

// sum adds up the counts of several goroutines.
func sum(parts [][]int64, n int) []int64 {
	out := make([]int64, n)
	for _, p := range parts {
		for i := range min(n, len(p)) {
			out[i] += p[i]
		}
	}
	return out
}

// byCode says whether the quarter-hour of a row decides its unit, and whether it counts.
func (s *spans) byCode(ix *indexed) bool {
	return s.line.inQuarters() && (s.from <= ix.lo || s.from%quarter == 0) && (s.to > ix.hi || s.to%quarter == 0)
}

// countCodes adds the rows [lo, hi) of a stream to counts, by the buckets of their codes.
func (t *trends) countCodes(counts []int64, s *stream, lo, hi int, bucketOf []int32) error {
	if s.plain() && hi-lo >= len(bucketOf) {
		quarters := make([]uint32, len(bucketOf))
		if err := s.seg.CountTimeCodes(quarters, lo, hi); err != nil {
			return err
		}
		for q, n := range quarters {
			if b := bucketOf[q]; b >= 0 {
				counts[b] += int64(n)
			}
		}
		return nil
	}
	codes := encoding.GetScratch()
	defer codes.Put()
	for lo < hi {
		// A block at a time, since one of runs is decoded from its start.
		n := min(encoding.BlockRows-lo%encoding.BlockRows, hi-lo)
		if err := s.seg.TimeCodes(codes[:n], lo, lo+n); err != nil {
			return err
		}
		at := lo - s.rng.Lo
		for i, q := range codes[:n] {
			if b := bucketOf[q]; b >= 0 && (s.match == nil || s.match.Get(at+i)) {
				counts[t.cell(s, at+i)+int(b)]++
			}
		}
		lo += n
	}
	return nil
}

// plain says whether all rows of the stream count, and none has a breakdown value.
func (s *stream) plain() bool { return s.match == nil && s.vals == nil }

// cell is where the counts of the value of a row begin.
func (t *trends) cell(s *stream, at int) int {
	if s.vals == nil {
		return 0
	}
	return int(s.vals[at]) * t.line.count()
}

func (t *trends) countTimes(counts []int64, s *stream, lo, hi int) error {
	var times [vec.BatchRows]int64
	for ; lo < hi; lo += len(times) {
		n := min(len(times), hi-lo)
		if err := s.seg.Times(times[:n], lo, lo+n); err != nil {
			return err
		}
		for i, us := range times[:n] {
			if us < t.from || us >= t.to || s.match != nil && !s.match.Get(lo+i-s.rng.Lo) {
				continue
			}
			if b := t.line.bucket(us); b >= 0 {
				counts[t.cell(s, lo+i-s.rng.Lo)+b]++
			}
		}
	}
	return nil
}

// holdAll says whether all times from lo to hi are of the only unit.
func (s *spans) holdAll(lo, hi int64) bool {
	return s.line.count() == 1 && max(s.from, s.line.starts[0]) <= lo && min(s.to, s.line.starts[1]) > hi
}

// countActors is the number of actors of each value and bucket. The runs of an actor are
// visited one after the other, in any order: a cell notes who was counted last in it.
func (t *trends) countActors(ctx context.Context, ix *indexed, sp *spans) ([]int64, error) {
	everything := sp.holdAll(ix.lo, ix.hi)
	if ix.need.late {
		counts, err := ix.countValues(ctx, []runTally{{persons: true}})
		if err != nil {
			return nil, err
		}
		return counts[0], nil
	}
	if err := ix.spreadValues(ctx); err != nil {
		return nil, err
	}
	n := t.line.count()
	cells := n * ix.values.count()
	type part struct {
		counts []int64
		stamp  []uint32 // actor + 1 that was counted last in a cell
		runs   unitRuns
	}
	parts := make([]part, t.env.Threads)
	held := int64(cells) * 12 * int64(len(parts))
	defer t.env.release(held)
	if err := t.env.hold(ctx, held); err != nil {
		return nil, err
	}
	streams := ix.streams[0]
	units := make([]fillUnits, len(streams))
	for i, s := range streams {
		var byCode []int32 // units by time code, where that tells
		switch {
		case everything:
			byCode = []int32{} // all rows are of unit 0
		case sp.byCode(ix):
			byCode = sp.unitsOf(s)
		}
		units[i] = func(dst []uint32, row int) error { return sp.units(dst, s, byCode, row) }
	}
	err := intervals(ctx, t.env, ix.total, ix.intervalSize(), func(_ context.Context, w, lo, hi int) error {
		p := &parts[w]
		if p.counts == nil {
			p.counts, p.stamp = make([]int64, cells), make([]uint32, cells)
		}
		if err := p.runs.open(streams, units, uint32(lo), uint32(hi)); err != nil {
			return err
		}
		for actor := range hi - lo {
			mark := uint32(lo+actor) + 1
			for _, run := range p.runs.of(actor) {
				s := streams[run.stream]
				at := int(run.row) - s.rng.Lo
				units := p.runs.units[run.at : run.at+run.rows]
				if s.vals != nil && s.match == nil && sp.own {
					for i, value := range s.vals[at : at+len(units)] {
						if units[i] == noUnit {
							continue
						}
						if k := int(value)*n + int(units[i]); p.stamp[k] != mark {
							p.stamp[k] = mark
							p.counts[k]++
						}
					}
					continue
				}
				for i, u := range units {
					if u == noUnit || s.match != nil && !s.match.Get(at+i) {
						continue
					}
					base := t.cell(s, at+i)
					for k := base + int(sp.first[u]); k <= base+int(sp.last[u]); k++ {
						if p.stamp[k] != mark {
							p.stamp[k] = mark
							p.counts[k]++
						}
					}
				}
			}
		}
		return nil
	})
	counts := make([][]int64, len(parts))
	for i := range parts {
		counts[i] = parts[i].counts
	}
	return sum(counts, cells), err
}

// unitsOf is the unit of each time code of a stream's segment, or -1. Streams of one segment, which come
// one after the other, share it.
func (s *spans) unitsOf(of *stream) []int32 {
	if s.known.seg != of.seg {
		s.known.seg, s.known.of = of.seg, s.findUnits(of.seg)
	}
	return s.known.of
}

func (s *spans) findUnits(seg *storage.Segment) []int32 {
	base := int64(seg.FirstDay()) * day / quarter
	out := make([]int32, seg.Days()*96)
	for q := range out {
		out[q] = -1
		if us := (base + int64(q)) * quarter; us+quarter > s.from && us < s.to {
			out[q] = int32(s.line.bucket(us))
		}
	}
	return out
}

// unitRuns is the runs of an interval of actors, with a number for each row, as its unit of time, in
// memory that it uses again.
type unitRuns struct {
	off   []uint32 // of runs, by actor
	runs  []unitRun
	units []uint32
	next  []uint32
}

// noUnit is the unit of a row that does not count.
const noUnit = math.MaxUint32

// unitRun is rows that follow each other in a stream.
type unitRun struct{ stream, row, rows, at uint32 }

// fillUnits fills dst with the numbers of the rows of a stream from a row on.
type fillUnits func(dst []uint32, row int) error

func (r *unitRuns) of(actor int) []unitRun { return r.runs[r.off[actor]:r.off[actor+1]] }

// open makes the runs of the actors [lo, hi) ready, with the numbers of the rows of those streams that
// have any.
func (r *unitRuns) open(streams []*stream, units []fillUnits, lo, hi uint32) error {
	r.off = grow(r.off, int(hi-lo)+1)
	clear(r.off)
	spans := make([]span, len(streams))
	rows := 0
	for i, s := range streams {
		spans[i] = span{s: s, moved: s.movedIn(lo, hi)}
		spans[i].lo, spans[i].hi = placesOf(s.runs.Ordinals, lo, hi)
		if units[i] != nil {
			rows += int(s.runs.Starts[spans[i].hi] - s.runs.Starts[spans[i].lo])
			for _, m := range spans[i].moved {
				rows += int(s.runs.Starts[m.run+1] - s.runs.Starts[m.run])
			}
		}
		spans[i].each(func(actor uint32, _, _ int) { r.off[actor-lo+1]++ })
	}
	for i := range r.off[1:] {
		r.off[i+1] += r.off[i]
	}
	r.next = append(r.next[:0], r.off...)
	r.runs, r.units = grow(r.runs, int(r.off[hi-lo])), grow(r.units, rows)
	at := 0
	for i, s := range streams {
		fill, starts := units[i], s.runs.Starts
		first, last := int(starts[spans[i].lo]), int(starts[spans[i].hi])
		if fill == nil {
			spans[i].each(func(actor uint32, from, to int) {
				r.runs[r.next[actor-lo]] = unitRun{stream: uint32(i), row: uint32(from), rows: uint32(to - from)}
				r.next[actor-lo]++
			})
			continue
		}
		if err := fill(r.units[at:at+last-first], first); err != nil {
			return err
		}
		base := at - first
		at += last - first
		var failed error
		spans[i].each(func(actor uint32, from, to int) {
			run := unitRun{uint32(i), uint32(from), uint32(to - from), uint32(base + from)}
			if from < first || to > last {
				run.at = uint32(at)
				if err := fill(r.units[at:at+to-from], from); err != nil {
					failed = err
				}
				at += to - from
			}
			r.runs[r.next[actor-lo]] = run
			r.next[actor-lo]++
		})
		if failed != nil {
			return failed
		}
	}
	return nil
}

// units fills dst with the units of the rows of a stream from a row on.
func (s *spans) units(dst []uint32, of *stream, byCode []int32, row int) error {
	if byCode != nil && len(byCode) == 0 {
		clear(dst)
		return nil
	}
	codes := encoding.GetScratch()
	defer codes.Put()
	var times []int64
	if byCode == nil {
		times = make([]int64, min(len(dst), encoding.BlockRows))
	}
	for len(dst) > 0 {
		// A block at a time, since one of runs is decoded from its start.
		n := min(encoding.BlockRows-row%encoding.BlockRows, len(dst))
		if byCode != nil {
			if err := of.seg.TimeCodes(codes[:n], row, row+n); err != nil {
				return err
			}
			for i, q := range codes[:n] {
				dst[i] = uint32(byCode[q]) // -1 is noUnit
			}
		} else {
			if err := of.seg.Times(times[:n], row, row+n); err != nil {
				return err
			}
			for i, us := range times[:n] {
				if dst[i] = noUnit; us >= s.from && us < s.to {
					dst[i] = uint32(s.line.bucket(us))
				}
			}
		}
		dst = dst[n:]
		row += n
	}
	return nil
}

// countMasks counts actors by the days on which they have rows, none of which is before lo.
func (t *trends) countMasks(ctx context.Context, ix *indexed, sp *spans, lo int64) ([]int64, error) {
	if counts, ok, err := t.countBitmaps(ix, sp, lo); ok || err != nil {
		t.env.usedIndex(t.node, "persons by event and day")
		return counts, err
	}
	t.env.usedIndex(t.node, "day masks")
	first := floorDay(max(sp.from, ix.lo))
	days := int(floorDay(min(sp.to-1, ix.hi))-first) + 1
	if days <= 0 {
		return make([]int64, t.line.count()), nil
	}
	from, to := make([]int32, days), make([]int32, days)
	for d := range days {
		// Buckets and bounds within the day of the first rows all lie before lo.
		b, last := sp.of(max((first+int64(d))*day, lo))
		from[d], to[d] = int32(b), int32(last)
	}
	n := t.line.count()
	width, shift, even := evenWindow(from, to, n)
	even = even && n-shift <= 64*((days+63)/64)
	parts := make([][]int64, t.env.Threads)
	err := ix.dayBlocks(ctx, first, days, false, func(_ context.Context, w int, b *dayBlock) error {
		if parts[w] == nil {
			parts[w] = make([]int64, max(n+1, 64*b.words))
		}
		if even {
			reachDays(b.conds[0], b.words, width)
			countPlaces(parts[w], b.conds[0], b.words)
		} else {
			countDays(parts[w], b.conds[0], b.words, from, to)
		}
		return nil
	})
	if even { // bucket b has the count of day b-shift
		counts := make([]int64, n)
		for _, p := range parts {
			for d, x := range p {
				if b := d + shift; b >= 0 && b < n {
					counts[b] += x
				}
			}
		}
		return counts, err
	}
	counts := sum(parts, n)
	for b := 1; b < n; b++ {
		counts[b] += counts[b-1]
	}
	return counts, err
}

// countDays counts, for each actor, the buckets in which its active days count, as changes from
// one bucket to the next: a day that counts in many costs no more than one that counts in its own.
func countDays(changes []int64, active []uint64, words int, from, to []int32) {
	for a := 0; a < len(active); a += words {
		next := int32(0) // no bucket from here on has the actor
		for w, x := range active[a : a+words] {
			for ; x != 0; x &= x - 1 {
				d := w<<6 + bits.TrailingZeros64(x)
				if lo, hi := max(from[d], next), to[d]; lo <= hi {
					changes[lo]++
					changes[hi+1]--
					next = hi + 1
				}
			}
		}
	}
}

// countBitmaps counts the persons of each day from the person index. That is exact where
// buckets are UTC days, no two streams share a day, and no person was merged or is unwanted.
func (t *trends) countBitmaps(ix *indexed, sp *spans, lo int64) ([]int64, bool, error) {
	if !sp.own {
		return nil, false, nil
	}
	for b := range t.line.count() {
		if t.line.starts[b]%day != 0 || t.line.starts[b+1]-t.line.starts[b] != day {
			return nil, false, nil
		}
	}
	end := int32(-1 << 31)
	for _, s := range ix.streams[0] {
		if s.skip != nil || s.seg.FirstDay() < end {
			return nil, false, nil
		}
		end = s.seg.FirstDay() + int32(s.seg.Days())
	}
	counts := make([]int64, t.line.count())
	for _, s := range ix.streams[0] {
		for d := range s.seg.Days() {
			b, last := sp.of(max((int64(s.seg.FirstDay())+int64(d))*day, lo))
			if b > last {
				continue
			}
			persons, err := s.rng.DayBitmap(d)
			if err != nil {
				return nil, false, err
			}
			if persons != nil {
				counts[b] = int64(persons.GetCardinality())
			}
		}
	}
	return counts, true, nil
}
