package agg

import "math/bits"

// maxBitBytes is how much memory bitmaps of many groups may take before the pairs move to
// a hash set, which takes 19 to 51 bytes a pair.
const maxBitBytes = 128 << 20

// pairs is a set of (group, number). Few groups have a bitmap each, as long as numbers are
// dense; many groups with thin sets share one hash set.
type pairs struct {
	counts []int64
	bits   [][]uint64
	words  int // in all bitmaps
	total  int64
	sparse bool // all pairs are in set
	set    pairSet
}

func (p *pairs) grow(groups int) {
	p.counts = grow(p.counts, groups)
	if !p.sparse {
		p.bits = grow(p.bits, groups)
	}
}

func (p *pairs) bytes() int64 {
	return int64(cap(p.counts)*8+cap(p.bits)*24+p.words*8) + p.set.bytes()
}

func (p *pairs) add(groups, ids []uint32) {
	if p.sparse {
		addAll(&p.set, groups, ids, p.counts)
		return
	}
	if len(p.counts) == 1 {
		most := uint32(0)
		for _, id := range ids {
			most = max(most, id)
		}
		p.room(0, most)
		set, n := p.bits[0], int64(0)
		for _, id := range ids {
			w := &set[id>>6]
			bit := uint64(1) << (id & 63)
			n += int64(^*w >> (id & 63) & 1)
			*w |= bit
		}
		p.counts[0] += n
		p.total += n
		return
	}
	for i, g := range groups {
		p.add1(g, ids[i])
	}
}

// room extends a group's bitmap to hold a number.
func (p *pairs) room(g, id uint32) {
	set := p.bits[g]
	if need := int(id>>6) + 1; need > len(set) {
		p.words -= cap(set)
		set = grow(set, need)
		p.words += cap(set)
		p.bits[g] = set
	}
}

func (p *pairs) add1(g, id uint32) {
	if p.sparse {
		p.set.add(g, int64(id), p.counts)
		return
	}
	if int(id>>6) >= len(p.bits[g]) {
		p.room(g, id)
		if len(p.counts) > 1 && p.words*8 > maxBitBytes && int64(p.words)*8 > p.total*32 {
			p.hash()
			p.set.add(g, int64(id), p.counts)
			return
		}
	}
	w := &p.bits[g][id>>6]
	if bit := uint64(1) << (id & 63); *w&bit == 0 {
		*w |= bit
		p.counts[g]++
		p.total++
	}
}

// hash moves the pairs to the set.
func (p *pairs) hash() {
	old := *p
	p.bits, p.words, p.sparse, p.total = nil, 0, true, 0
	p.counts = make([]int64, len(old.counts))
	old.each(func(g uint32, n int64) { p.set.add(g, n, p.counts) })
}

// addNumbers adds numbers to the set.
func (p *pairs) addNumbers(groups []uint32, numbers []int64) {
	addAll(&p.set, groups, numbers, p.counts)
}

// finish is how many numbers each group has.
func (p *pairs) finish() []int64 {
	p.set.settle(p.counts)
	return p.counts
}

// size is how many pairs there are.
func (p *pairs) size() int64 {
	p.set.settle(p.counts)
	return p.total + int64(p.set.size())
}

// reserve makes room for more pairs in the set, if they are there.
func (p *pairs) reserve(more int) {
	if p.sparse {
		p.set.reserve(more)
	}
}

func (p *pairs) each(do func(g uint32, number int64)) {
	p.eachBit(do)
	p.set.settle(p.counts)
	p.set.each(do)
}

// eachBit is each for those that are in bitmaps.
func (p *pairs) eachBit(do func(g uint32, number int64)) {
	for g, set := range p.bits {
		for i, w := range set {
			for ; w != 0; w &= w - 1 {
				do(uint32(g), int64(i*64+bits.TrailingZeros64(w)))
			}
		}
	}
}

func (p *pairs) merge(o *pairs, to []uint32) {
	if p.sparse || o.sparse {
		if !p.sparse {
			p.hash()
		}
		o.set.settle(o.counts)
		p.set.merge(&o.set, to, p.counts)
		o.eachBit(func(g uint32, n int64) { p.set.add(to[g], n, p.counts) })
		return
	}
	for g, set := range o.bits {
		if len(set) == 0 {
			continue
		}
		t := to[g]
		p.room(t, uint32(len(set)*64-1))
		dst, n := p.bits[t], 0
		for i, w := range set {
			n += bits.OnesCount64(w &^ dst[i])
			dst[i] |= w
		}
		p.counts[t] += int64(n)
		p.total += int64(n)
	}
}

// pairSet is a hash set of (group, number). A large one is divided by the hash, and what is added
// waits in each part until it is as much as the part has, or nearly: then the part is in the
// second-level cache while many are looked up, where a look-up in one large table would wait for memory.
//
// Numbers are kept as words, which are their hashes and can be turned back. While there is one group, words are all
// that is kept.
type pairSet struct {
	whole pairTable
	parts []pairPart // setParts of them, by the highest bits of the hash; nil: there are few pairs
	zeros []bool     // whether a group has the number whose word is 0
	// several says that there may be several groups.
	several bool
}

const (
	setPartBits = 6
	setParts    = 1 << setPartBits
	// wholeSlots is how large a table becomes before it is divided: with groups 384 KB, which leaves room in
	// the second-level cache.
	wholeSlots = 1 << 15
	// leastWaiting is how many pairs wait for a part that has few.
	leastWaiting = 512
)

// pairPart is a part of a set, and what waits for it.
type pairPart struct {
	table  pairTable
	words  []uint64
	groups []uint32 // of the words, if there are several groups
}

// pairTable is open addressing with linear probing, at most five eighths full.
type pairTable struct {
	words  []uint64 // 0 is free
	groups []uint32 // of the words, if there are several groups
	used   int
}

// The two steps of a word are each a multiplication by an odd number and a shift, so they can be undone.
const (
	wordMask       = 0x9e3779b97f4a7c15 // the number whose word is 0
	wordFirst      = 0xd6e8feb86659fd93
	wordSecond     = 0x9fb21c651e98df25
	wordFirstBack  = 0xcfee444d8b59a89b
	wordSecondBack = 0x02ab9c720d1024ad
)

func wordOf(n int64) uint64 {
	w := (uint64(n) ^ wordMask) * wordFirst
	w = (w ^ w>>32) * wordSecond
	return w ^ w>>32
}

// numberOf undoes wordOf.
func numberOf(w uint64) int64 {
	w = (w ^ w>>32) * wordSecondBack
	return int64((w^w>>32)*wordFirstBack ^ wordMask)
}

// hashOf is the hash of a pair: the word itself, if the group is 0.
func hashOf(w uint64, g uint32) uint64 { return w + uint64(g)*wordMask }

func (s *pairSet) bytes() int64 {
	n := s.whole.bytes() + int64(cap(s.zeros))
	for i := range s.parts {
		p := &s.parts[i]
		n += p.table.bytes() + int64(8*cap(p.words)+4*cap(p.groups))
	}
	return n
}

func (t *pairTable) bytes() int64 { return int64(8*cap(t.words) + 4*cap(t.groups)) }

// size is how many pairs there are, when none waits.
func (s *pairSet) size() int {
	n := s.whole.used
	for i := range s.parts {
		n += s.parts[i].table.used
	}
	for _, has := range s.zeros {
		if has {
			n++
		}
	}
	return n
}

// add is addAll of one.
func (s *pairSet) add(g uint32, n int64, counts []int64) {
	group, word := [1]uint32{g}, [1]uint64{wordOf(n)}
	s.addWords(group[:], word[:], counts)
}

// addAll adds pairs. If one is not there yet, the count of its group grows, now or when it is settled.
func addAll[T int64 | uint32](s *pairSet, groups []uint32, numbers []T, counts []int64) {
	var room [1024]uint64
	for len(groups) > 0 {
		words := room[:min(len(room), len(groups))]
		for i, n := range numbers[:len(words)] {
			words[i] = wordOf(int64(n))
		}
		s.addWords(groups[:len(words)], words, counts)
		groups, numbers = groups[len(words):], numbers[len(words):]
	}
}

func (s *pairSet) addWords(groups []uint32, words []uint64, counts []int64) {
	if len(counts) > 1 && !s.several {
		s.separate()
	}
	if !s.several {
		groups = nil
	}
	if s.parts == nil {
		if s.addTo(&s.whole, words, groups, counts); len(s.whole.words) > wholeSlots {
			s.divide()
		}
		return
	}
	parts := s.parts[:setParts]
	if groups == nil {
		for _, w := range words {
			p := &parts[w>>(64-setPartBits)]
			if p.words = append(p.words, w); len(p.words) == cap(p.words) {
				s.settlePart(p, counts)
			}
		}
		return
	}
	for i, w := range words {
		p := &parts[hashOf(w, groups[i])>>(64-setPartBits)]
		p.groups = append(p.groups, groups[i])
		if p.words = append(p.words, w); len(p.words) == cap(p.words) {
			s.settlePart(p, counts)
		}
	}
}

// separate makes room for several groups, where there was one.
func (s *pairSet) separate() {
	s.several = true
	s.whole.groups = make([]uint32, len(s.whole.words))
	for i := range s.parts {
		p := &s.parts[i]
		p.table.groups = make([]uint32, len(p.table.words))
		p.groups = make([]uint32, len(p.words), cap(p.words))
	}
}

// addTo adds words to a table of the set.
func (s *pairSet) addTo(t *pairTable, words []uint64, groups []uint32, counts []int64) {
	if len(t.words) == 0 {
		t.resize(32, s.several)
	}
	if groups != nil {
		s.addPairs(t, words, groups, counts)
		return
	}
	slots, before := t.words, t.used
	for _, w := range words {
		at := w & uint64(len(slots)-1)
		for slots[at] != w && slots[at] != 0 {
			at = (at + 1) & uint64(len(slots)-1)
		}
		switch {
		case w == 0:
			s.addZero(0, counts)
		case slots[at] == 0:
			slots[at] = w
			if t.used++; t.full() {
				slots = t.grow()
			}
		}
	}
	counts[0] += int64(t.used - before)
}

// addPairs is addTo for several groups.
func (s *pairSet) addPairs(t *pairTable, words []uint64, groups []uint32, counts []int64) {
	slots, of := t.words, t.groups
	for i, w := range words {
		g := groups[i]
		at := hashOf(w, g) & uint64(len(slots)-1)
		for slots[at] != 0 && (slots[at] != w || of[at] != g) {
			at = (at + 1) & uint64(len(slots)-1)
		}
		switch {
		case w == 0:
			s.addZero(g, counts)
		case slots[at] == 0:
			slots[at], of[at] = w, g
			counts[g]++
			if t.used++; t.full() {
				slots = t.grow()
				of = t.groups
			}
		}
	}
}

// addZero adds the number whose word is 0, which no table has.
func (s *pairSet) addZero(g uint32, counts []int64) {
	if s.zeros = grow(s.zeros, len(counts)); !s.zeros[g] {
		s.zeros[g] = true
		counts[g]++
	}
}

// divide makes parts of a table that has become large.
func (s *pairSet) divide() {
	s.parts = make([]pairPart, setParts)
	size := max(32, len(s.whole.words)/setParts)
	for i := range s.parts {
		p := &s.parts[i]
		p.table.resize(size, s.several)
		p.words = make([]uint64, 0, leastWaiting)
		if s.several {
			p.groups = make([]uint32, 0, leastWaiting)
		}
	}
	s.whole.each(func(w uint64, g uint32) {
		t := &s.parts[hashOf(w, g)>>(64-setPartBits)].table
		if t.put(w, g); t.full() {
			t.grow()
		}
	})
	s.whole = pairTable{}
}

// settle adds what waits.
func (s *pairSet) settle(counts []int64) {
	for i := range s.parts {
		s.settlePart(&s.parts[i], counts)
	}
}

func (s *pairSet) settlePart(p *pairPart, counts []int64) {
	s.addTo(&p.table, p.words, p.groups, counts)
	p.words, p.groups = p.words[:0], p.groups[:0]
	if n := p.table.used; n > cap(p.words) {
		p.words = make([]uint64, 0, n)
		if s.several {
			p.groups = make([]uint32, 0, n)
		}
	}
}

// reserve makes room for more pairs. Those of another set come in the order of their hashes,
// which would make long runs of full places in smaller tables.
func (s *pairSet) reserve(more int) {
	if s.parts == nil && 8*(s.whole.used+more) > 5*wholeSlots {
		s.divide()
	}
	if s.parts == nil {
		s.whole.reserve(more, s.several)
		return
	}
	for i := range s.parts {
		s.parts[i].table.reserve(more/setParts, s.several)
	}
}

// merge adds the pairs of another set, which has settled: those of its group g are of group to[g] here.
func (s *pairSet) merge(o *pairSet, to []uint32, counts []int64) {
	if len(counts) > 1 && !s.several {
		s.separate()
	}
	s.reserve(o.size())
	for g, has := range o.zeros {
		if has {
			s.addZero(to[g], counts)
		}
	}
	if !s.several && s.parts != nil && o.parts != nil {
		s.settle(counts)
		for i := range o.parts { // they have the same words, and are in the caches one after the other
			s.addTo(&s.parts[i].table, o.parts[i].table.list(), nil, counts)
		}
		return
	}
	groups, words := make([]uint32, 0, 1024), make([]uint64, 0, 1024)
	o.eachWord(func(w uint64, g uint32) {
		groups, words = append(groups, to[g]), append(words, w)
		if len(words) == cap(words) {
			s.addWords(groups, words, counts)
			groups, words = groups[:0], words[:0]
		}
	})
	s.addWords(groups, words, counts)
}

// eachWord visits the pairs of all tables.
func (s *pairSet) eachWord(do func(w uint64, g uint32)) {
	s.whole.each(do)
	for i := range s.parts {
		s.parts[i].table.each(do)
	}
}

func (s *pairSet) each(do func(g uint32, number int64)) {
	for g, has := range s.zeros {
		if has {
			do(uint32(g), numberOf(0))
		}
	}
	s.eachWord(func(w uint64, g uint32) { do(g, numberOf(w)) })
}

func (t *pairTable) full() bool { return 8*(t.used+1) > 5*len(t.words) }

// grow gives the table twice as many places.
func (t *pairTable) grow() []uint64 {
	t.resize(2*len(t.words), t.groups != nil)
	return t.words
}

func (t *pairTable) reserve(more int, several bool) {
	size := max(32, len(t.words))
	for 8*(t.used+more+1) > 5*size {
		size *= 2
	}
	if size > len(t.words) {
		t.resize(size, several)
	}
}

// resize gives the table so many places, a power of two.
func (t *pairTable) resize(size int, several bool) {
	old := *t
	*t = pairTable{words: make([]uint64, size)}
	if several {
		t.groups = make([]uint32, size)
	}
	old.each(t.put)
}

// put adds a pair that is not there to a table that has room.
func (t *pairTable) put(w uint64, g uint32) {
	mask := uint64(len(t.words) - 1)
	at := hashOf(w, g) & mask
	for t.words[at] != 0 {
		at = (at + 1) & mask
	}
	t.words[at] = w
	if t.groups != nil {
		t.groups[at] = g
	}
	t.used++
}

func (t *pairTable) each(do func(w uint64, g uint32)) {
	for i, w := range t.words {
		if w == 0 {
			continue
		}
		if t.groups == nil {
			do(w, 0)
		} else {
			do(w, t.groups[i])
		}
	}
}

// list is the words of a table.
func (t *pairTable) list() []uint64 {
	out := make([]uint64, 0, t.used)
	for _, w := range t.words {
		if w != 0 {
			out = append(out, w)
		}
	}
	return out
}
