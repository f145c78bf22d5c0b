package exec

import (
	"context"
	"math/bits"

	"github.com/prickledb/prickle/storage/vec"
)

// maxCells bounds the cells, of values and buckets, that indexes count into: every
// goroutine has all of them. Beyond it, rows are grouped instead.
const maxCells = 1 << 22

// countRows is the number of rows of each bucket, from time codes or times.
func (t *trends) countRows(ctx context.Context, ix *indexed) ([]int64, error) {
	type job struct {
		s      *stream
		lo, hi int
	}
	var jobs []job
	for _, s := range ix.streams[0] {
		for lo := s.rng.Lo; lo < s.rng.Hi; lo += morselRows {
			jobs = append(jobs, job{s, lo, min(lo+morselRows, s.rng.Hi)})
		}
	}
	byCode := t.codesSuffice(ix)
	parts := make([][]int64, t.env.Threads)
	err := intervals(ctx, t.env, len(jobs), 1, func(_ context.Context, w, i, _ int) error {
		if parts[w] == nil {
			parts[w] = make([]int64, t.line.count()+1)
		}
		if byCode {
			return t.countCodes(parts[w], jobs[i].s, jobs[i].lo, jobs[i].hi)
		}
		return t.countTimes(parts[w], jobs[i].s, jobs[i].lo, jobs[i].hi)
	})
	return sum(parts, t.line.count()), err
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

// codesSuffice says whether the quarter-hour of a row decides its bucket, and whether it
// counts.
func (t *trends) codesSuffice(ix *indexed) bool {
	return t.line.lut != nil && (t.from <= ix.lo || t.from%quarter == 0) && (t.to > ix.hi || t.to%quarter == 0)
}

// countCodes adds the rows [lo, hi) of a stream to counts, whose last element takes those
// outside.
func (t *trends) countCodes(counts []int64, s *stream, lo, hi int) error {
	outside := int32(len(counts) - 1)
	base := int64(s.seg.FirstDay()) * day / quarter
	bucketOf := make([]int32, s.seg.Days()*96)
	for q := range bucketOf {
		us := (base + int64(q)) * quarter
		bucketOf[q] = outside
		if b := t.line.bucket(us); b >= 0 && us+quarter > t.from && us < t.to {
			bucketOf[q] = int32(b)
		}
	}
	var codes [vec.BatchRows]uint32
	for ; lo < hi; lo += len(codes) {
		n := min(len(codes), hi-lo)
		if err := s.seg.TimeCodes(codes[:n], lo, lo+n); err != nil {
			return err
		}
		if s.match == nil {
			for _, q := range codes[:n] {
				counts[bucketOf[q]]++
			}
			continue
		}
		for i, q := range codes[:n] {
			if s.match.Get(lo + i - s.rng.Lo) {
				counts[bucketOf[q]]++
			}
		}
	}
	return nil
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
				counts[b]++
			}
		}
	}
	return nil
}

// countActors is the number of actors of each value and bucket.
func (t *trends) countActors(ctx context.Context, who actors, sp *spans) ([]int64, error) {
	n := t.line.count()
	cells := n * who.breakdown().count()
	type part struct {
		counts []int64
		stamp  []uint32 // actor + 1 that was counted last in a cell
	}
	parts := make([]part, t.env.Threads)
	held := int64(cells) * 12 * int64(len(parts))
	defer t.env.release(held)
	if err := t.env.hold(ctx, held); err != nil {
		return nil, err
	}
	err := who.blocks(ctx, func(_ context.Context, w int, b *block) error {
		p := &parts[w]
		if p.counts == nil {
			p.counts = make([]int64, cells)
			if who.breakdown() != nil {
				p.stamp = make([]uint32, cells)
			}
		}
		c := &b.conds[0]
		for i := range b.count {
			times := c.of(i)
			if p.stamp == nil {
				counted := -1 // last bucket counted: rows come in time order
				for _, us := range times {
					first, last := sp.of(us)
					for k := max(first, counted+1); k <= last; k++ {
						p.counts[k]++
					}
					counted = max(counted, last)
				}
				continue
			}
			vals, mark := c.valsOf(i), b.base+uint32(i)+1
			for r, us := range times {
				first, last := sp.of(us)
				for k := first; k <= last; k++ {
					if cell := int(vals[r])*n + k; p.stamp[cell] != mark {
						p.stamp[cell] = mark
						p.counts[cell]++
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
	parts := make([][]int64, t.env.Threads)
	err := ix.dayBlocks(ctx, first, days, false, func(_ context.Context, w int, b *dayBlock) error {
		if parts[w] == nil {
			parts[w] = make([]int64, t.line.count())
		}
		countDays(parts[w], b.conds[0], b.words, from, to)
		return nil
	})
	return sum(parts, t.line.count()), err
}

// countDays counts, for each actor, the buckets in which its active days count.
func countDays(counts []int64, active []uint64, words int, from, to []int32) {
	for a := 0; a < len(active); a += words {
		counted := int32(-1)
		for w, x := range active[a : a+words] {
			for ; x != 0; x &= x - 1 {
				d := w<<6 + bits.TrailingZeros64(x)
				for k := max(from[d], counted+1); k <= to[d]; k++ {
					counts[k]++
				}
				counted = max(counted, to[d])
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
