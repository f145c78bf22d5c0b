package exec

import (
	"context"
	"math/bits"
)

// day is a UTC day in µs, the unit of day masks.
const day = int64(86_400_000_000)

// floorDay is the UTC day of an instant.
func floorDay(us int64) int64 {
	d := us / day
	if us%day < 0 {
		d--
	}
	return d
}

// dayLine is the days on which an index has rows, and what a timeline makes of each.
type dayLine struct {
	first   int64 // UTC day
	words   int   // of an actor's mask
	buckets []int32
	inside  []bool // rows of the day are in DURING
	lo      int64
}

// at is an instant of a day that is in the bucket of all its rows.
func (l *dayLine) at(d int) int64 {
	// Buckets and bounds within the day of the first rows all lie before these.
	return max((l.first+int64(d))*day, l.lo)
}

// period appends the bucket of a day that is in DURING, unless it is the last one. Days come in
// order.
func (l *dayLine) period(dst []int, d int) []int {
	b := int(l.buckets[d])
	if l.inside[d] && (len(dst) == 0 || dst[len(dst)-1] != b) {
		return append(dst, b)
	}
	return dst
}

// dayLine says whether the days on which an actor has rows decide in which buckets of a
// timeline it has some, and some in [from, to): there is no condition on rows and no breakdown,
// and buckets and bounds lie on UTC days, or outside of the times of all rows.
func (ix *indexed) dayLine(line *timeline, from, to int64) (*dayLine, bool) {
	if !ix.wholeDays(line.starts, from, to, ix.lo, ix.hi) || ix.lo > ix.hi {
		return nil, false
	}
	l := &dayLine{first: floorDay(ix.lo), lo: ix.lo}
	days := int(floorDay(ix.hi)-l.first) + 1
	l.words = (days + 63) / 64
	l.buckets, l.inside = make([]int32, days), make([]bool, days)
	for d := range days {
		us := l.at(d)
		l.buckets[d], l.inside[d] = int32(line.bucket(us)), us >= from && us < to
	}
	return l, true
}

// wholeDays says whether the days on which an actor has rows decide whether it has some
// between any of the starts, and from and to; lo and hi are the times of all rows.
func (ix *indexed) wholeDays(starts []int64, from, to, lo, hi int64) bool {
	if ix.filters > 0 || ix.values != nil {
		return false
	}
	whole := func(us int64) bool { return us%day == 0 || us <= lo || us > hi }
	for _, us := range starts {
		if !whole(us) {
			return false
		}
	}
	return whole(from) && whole(to)
}

// dayBlock is an interval of actors, with the days on which they have rows.
type dayBlock struct {
	base  uint32 // actor of position 0
	count int
	words int
	// conds has the masks of each condition, those of actor i from i*words on; repeats those of
	// the days with more than one row.
	conds, repeats [][]uint64
}

// of is the mask of an actor in a list of them.
func (b *dayBlock) of(masks []uint64, i int) []uint64 { return masks[i*b.words : (i+1)*b.words] }

// dayInterval is how many ordinals are taken at a time: their masks stay in the first-level
// cache.
const dayInterval = 4096

// dayBlocks calls f with every interval of actors, as blocks does. Days are counted from
// first. If repeats are asked for, the block has them.
func (ix *indexed) dayBlocks(ctx context.Context, first int64, days int, repeats bool, f func(ctx context.Context, worker int, b *dayBlock) error) error {
	type source struct {
		*stream
		masks, repeats []uint32
	}
	sources := make([][]source, len(ix.streams))
	for c, list := range ix.streams {
		for _, s := range list {
			from := source{stream: s}
			var err error
			if from.masks, err = s.rng.DayMasks(); err != nil {
				return err
			}
			if repeats {
				if from.repeats, err = s.rng.RepeatMasks(); err != nil {
					return err
				}
			}
			sources[c] = append(sources[c], from)
		}
	}
	words := (days + 63) / 64
	blocks := make([]dayBlock, ix.env.Threads)
	return intervals(ctx, ix.env, ix.total, dayInterval, func(ctx context.Context, w, lo, hi int) error {
		b := &blocks[w]
		if b.conds == nil {
			*b = dayBlock{words: words, conds: make([][]uint64, len(ix.streams)), repeats: make([][]uint64, len(ix.streams))}
		}
		b.base, b.count = uint32(lo), hi-lo
		for c := range sources {
			b.conds[c] = grow(b.conds[c], b.count*words)
			clear(b.conds[c])
			to := dayMarks{b.conds[c], nil, words, days}
			if repeats {
				b.repeats[c] = grow(b.repeats[c], b.count*words)
				clear(b.repeats[c])
				to.repeats = b.repeats[c]
			}
			for i := range sources[c] {
				s := &sources[c][i]
				to.add(s.stream, s.masks, s.repeats, uint32(lo), uint32(hi), int(int64(s.seg.FirstDay())-first))
			}
		}
		return f(ctx, w, b)
	})
}

// dayMarks is where the days of an interval of actors are marked.
type dayMarks struct {
	active, repeats []uint64
	words, days     int
}

// add marks the days of the runs of a stream whose actors are in [lo, hi). Bit b of a mask is
// day shift+b.
func (m *dayMarks) add(s *stream, masks, repeats []uint32, lo, hi uint32, shift int) {
	inside := ^uint32(0)
	if shift < 0 {
		inside <<= uint(-shift)
	}
	if over := shift + 32 - m.days; over > 0 {
		inside &= ^uint32(0) >> uint(over)
	}
	if inside == 0 {
		return // the segment lies outside
	}
	one := func(actor uint32, run int) {
		at := int(actor-lo) * m.words
		again := uint32(0)
		var twice []uint64
		if m.repeats != nil {
			again, twice = repeats[run]&inside, m.repeats[at:at+m.words]
		}
		markDays(m.active[at:at+m.words], twice, masks[run]&inside, again, shift)
	}
	ordinals := s.runs.Ordinals
	for r, end := lowerBound(ordinals, lo), lowerBound(ordinals, hi); r < end; r++ {
		if s.skip == nil || !s.skip.Get(r) {
			one(ordinals[r], r)
		}
	}
	for _, moved := range s.moved {
		if moved.root >= lo && moved.root < hi {
			one(moved.root, int(moved.run))
		}
	}
}

// markDays marks the days of a mask, and in repeats, unless it is nil, those that were marked
// before or are in again.
func markDays(active, repeats []uint64, mask, again uint32, shift int) {
	if shift < 0 {
		mask, again, shift = mask>>uint(-shift), again>>uint(-shift), 0
	}
	w, s := shift>>6, uint(shift)&63
	low, high := uint64(mask)<<s, uint64(mask)>>(64-s)
	if repeats != nil {
		repeats[w] |= uint64(again)<<s | active[w]&low
		if high != 0 {
			repeats[w+1] |= uint64(again)>>(64-s) | active[w+1]&high
		}
	}
	active[w] |= low
	if high != 0 {
		active[w+1] |= high
	}
}

// eachDay visits the days of a mask.
func eachDay(mask []uint64, visit func(day int)) {
	for w, x := range mask {
		for ; x != 0; x &= x - 1 {
			visit(w<<6 + bits.TrailingZeros64(x))
		}
	}
}

// evenWindow says whether each day d counts in width buckets from bucket d+shift on, as far as these
// are among n; from and to are the first and last bucket of each day, none if the first is beyond.
func evenWindow(from, to []int32, n int) (width, shift int, ok bool) {
	begins, ends := false, false
	last := 0
	for d := range from {
		if from[d] > to[d] {
			continue
		}
		if from[d] > 0 {
			shift, begins = int(from[d])-d, true
		}
		if int(to[d]) < n-1 {
			last, ends = int(to[d])-d, true
		}
	}
	width = last - shift + 1
	if !begins || !ends || width < 1 || width > 64 {
		return 0, 0, false
	}
	for d := range from {
		lo, hi := max(d+shift, 0), min(d+last, n-1)
		if none := lo > hi; none != (from[d] > to[d]) || !none && (int(from[d]) != lo || int(to[d]) != hi) {
			return 0, 0, false
		}
	}
	return width, shift, true
}

// reachDays marks in each mask the days up to width-1 after a marked one, as far as it has room. The
// reach doubles with every shift; the width is 64 at most.
func reachDays(masks []uint64, words, width int) {
	for have := 1; have < width; {
		s := uint(min(have, width-have))
		for a := 0; a < len(masks); a += words {
			mask := masks[a : a+words]
			for w := words - 1; w > 0; w-- {
				mask[w] |= mask[w]<<s | mask[w-1]>>(64-s)
			}
			mask[0] |= mask[0] << s
		}
		have += int(s)
	}
}

// countPlaces adds to counts how many of the masks have each bit. Words are added up bit by bit, all 64
// places at once: plane k has bit k of each sum.
func countPlaces(counts []int64, masks []uint64, words int) {
	const most = 255 // sums fit eight planes
	for w := range words {
		for lo := w; lo < len(masks); lo += most * words {
			var p0, p1, p2, p3, p4, p5, p6, p7 uint64
			for i := lo; i < min(lo+most*words, len(masks)); i += words {
				c := masks[i]
				p0, c = p0^c, p0&c
				p1, c = p1^c, p1&c
				p2, c = p2^c, p2&c
				p3, c = p3^c, p3&c
				p4, c = p4^c, p4&c
				p5, c = p5^c, p5&c
				p6, c = p6^c, p6&c
				p7 ^= c
			}
			for k, plane := range [8]uint64{p0, p1, p2, p3, p4, p5, p6, p7} {
				for ; plane != 0; plane &= plane - 1 {
					counts[w<<6+bits.TrailingZeros64(plane)] += 1 << k
				}
			}
		}
	}
}
