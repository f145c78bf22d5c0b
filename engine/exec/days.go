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
	inside  []bool   // rows of the day are in DURING
	within  []uint64 // the same as a mask
	apart   bool     // no two days that are inside have the same bucket
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
	l.buckets, l.inside, l.within, l.apart = make([]int32, days), make([]bool, days), make([]uint64, l.words), true
	for d := range days {
		us := l.at(d)
		l.buckets[d], l.inside[d] = int32(line.bucket(us)), us >= from && us < to
		if l.inside[d] {
			l.within[d>>6] |= 1 << (d & 63)
			l.apart = l.apart && (d == 0 || !l.inside[d-1] || l.buckets[d-1] != l.buckets[d])
		}
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
	sources := make([][]daySource, len(ix.streams))
	for c := range ix.streams {
		var err error
		if sources[c], err = ix.daySources(c, repeats); err != nil {
			return err
		}
	}
	words := (days + 63) / 64
	blocks := make([]dayBlock, ix.env.Threads)
	return intervals(ctx, ix.env, ix.total, ix.daysInterval(sources), func(ctx context.Context, w, lo, hi int) error {
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
				to.add(s, uint32(lo), uint32(hi), int(int64(s.seg.FirstDay())-first))
			}
		}
		return f(ctx, w, b)
	})
}

// daysInterval is dayInterval, or more ordinals where the runs of so many would be spread over very many
// sources: those of an interval are looked up in each.
func (ix *indexed) daysInterval(sources [][]daySource) int {
	most := 0
	for _, list := range sources {
		runs := 0
		for i := range list {
			runs += len(list[i].runs.Ordinals)
		}
		most = max(most, int(int64(ix.total)*int64(streamRows*len(list))/int64(max(1, runs))))
	}
	return max(dayInterval, min(most, ix.total/(2*ix.env.Threads)+1))
}

// daySource is runs, the days on which each has rows, and, if asked for, those on which it has several.
type daySource struct {
	*stream
	masks, repeats []uint32
}

// daySources are the runs of a condition. Where all rows of a segment are in the list, its persons stand for
// the runs of all events, unless repeats are asked for: the segment has the days of persons, too.
func (ix *indexed) daySources(cond int, repeats bool) (out []daySource, err error) {
	for list := ix.streams[cond]; len(list) > 0; {
		from, n := daySource{stream: list[0]}, 1
		ranges := from.seg.Ranges()
		if !repeats && len(ranges) > 1 && len(list) >= len(ranges) && list[len(ranges)-1].seg == from.seg {
			from.stream, n = &stream{seg: from.seg, merged: from.merged, persons: from.persons}, len(ranges)
			if from.runs, err = from.seg.Persons(); err != nil {
				return nil, err
			}
			from.findMoved(ix.env)
			from.masks, err = from.seg.AllDayMasks()
		} else if from.masks, err = from.rng.DayMasks(); err == nil && repeats {
			from.repeats, err = from.rng.RepeatMasks()
		}
		if err != nil {
			return nil, err
		}
		out, list = append(out, from), list[n:]
	}
	return out, nil
}

// dayMarks is where the days of an interval of actors are marked.
type dayMarks struct {
	active, repeats []uint64
	words, days     int
}

// add marks the days of those runs whose actors are in [lo, hi). Bit b of a mask is day shift+b.
func (m *dayMarks) add(s *daySource, lo, hi uint32, shift int) {
	inside, down := ^uint32(0), uint(0)
	if over := shift + 32 - m.days; over > 0 {
		inside &= ^uint32(0) >> uint(over)
	}
	if shift < 0 {
		inside, down, shift = inside>>uint(-shift)<<uint(-shift), uint(-shift), 0
	}
	if inside == 0 {
		return // the segment lies outside
	}
	to := markPlace{shift >> 6, uint(shift) & 63}
	mark := func(r int, actor uint32) {
		at := int(actor-lo) * m.words
		mask := uint64(s.masks[r]&inside) >> down
		if m.repeats != nil {
			to.markAgain(m.repeats[at:], m.active[at:], mask, uint64(s.repeats[r]&inside)>>down)
		}
		to.mark(m.active[at:], mask)
	}
	ordinals := s.runs.Ordinals
	switch from, end := placesOf(ordinals, lo, hi); {
	case from == end:
	case s.skip == nil:
		for r, o := range ordinals[from:end] {
			mark(from+r, o)
		}
	default: // there may be few that are not skipped
		first, last, head, tail := bitRange(from, end)
		for word := first; word <= last; word++ {
			rest := ^s.skip[word]
			if word == first {
				rest &= head
			}
			if word == last {
				rest &= tail
			}
			for ; rest != 0; rest &= rest - 1 {
				r := word<<6 | bits.TrailingZeros64(rest)
				mark(r, ordinals[r])
			}
		}
	}
	for _, moved := range s.movedIn(lo, hi) {
		mark(int(moved.run), moved.root)
	}
}

// markPlace is where bit 0 of a mask comes among the words of an actor.
type markPlace struct {
	word int
	bit  uint
}

// mark marks the days of a mask.
func (p markPlace) mark(active []uint64, mask uint64) {
	active[p.word] |= mask << (p.bit & 63)
	if high := mask >> 1 >> (^p.bit & 63); high != 0 {
		active[p.word+1] |= high
	}
}

// markAgain marks those days of a mask that are marked already or are in again.
func (p markPlace) markAgain(repeats, active []uint64, mask, again uint64) {
	repeats[p.word] |= (active[p.word]>>(p.bit&63)&mask | again) << (p.bit & 63)
	if high := mask >> 1 >> (^p.bit & 63); high != 0 {
		repeats[p.word+1] |= active[p.word+1]&high | again>>1>>(^p.bit&63)
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
// places at once: plane k has bit k of each sum. Eight are first added to one that counts eight.
func countPlaces(counts []int64, masks []uint64, words int) {
	const most = 248 // sums fit eight planes
	for w := range words {
		for lo := w; lo < len(masks); lo += most * words {
			var p0, p1, p2, p3, p4, p5, p6, p7 uint64
			i, end := lo, min(lo+most*words, len(masks))
			for ; i+7*words < end; i += 8 * words {
				var a, b, c, d, e, f, g uint64
				p0, a = addBits(p0, masks[i], masks[i+words])
				p0, b = addBits(p0, masks[i+2*words], masks[i+3*words])
				p0, c = addBits(p0, masks[i+4*words], masks[i+5*words])
				p0, d = addBits(p0, masks[i+6*words], masks[i+7*words])
				p1, e = addBits(p1, a, b)
				p1, f = addBits(p1, c, d)
				p2, g = addBits(p2, e, f)
				p3, g = p3^g, p3&g
				p4, g = p4^g, p4&g
				p5, g = p5^g, p5&g
				p6, g = p6^g, p6&g
				p7 ^= g
			}
			for ; i < end; i += words {
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

// addBits adds three numbers of one bit at each place.
func addBits(a, b, c uint64) (sum, carry uint64) {
	half := a ^ b
	return half ^ c, a&b | half&c
}
