package agg

import "math/bits"

// maxBitBytes is how much memory bitmaps of many groups may take before the pairs move to
// a hash set, which takes 26 to 68 bytes a pair.
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
		for i, g := range groups {
			p.set.add(g, int64(ids[i]), p.counts)
		}
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
	p.set.addAll(groups, numbers, p.counts)
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
	for g, set := range p.bits {
		for i, w := range set {
			for ; w != 0; w &= w - 1 {
				do(uint32(g), int64(i*64+bits.TrailingZeros64(w)))
			}
		}
	}
	p.set.settle(p.counts)
	p.set.each(do)
}

func (p *pairs) merge(o *pairs, to []uint32) {
	if p.sparse || o.sparse {
		if !p.sparse {
			p.hash()
		}
		p.set.reserve(int(o.size()))
		o.each(func(g uint32, n int64) { p.set.add(to[g], n, p.counts) })
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
type pairSet struct {
	whole pairTable
	parts []pairPart // setParts of them, by the highest bits of the hash; nil: there are few pairs
}

const (
	setPartBits = 6
	setParts    = 1 << setPartBits
	// wholeSlots is how large a table becomes before it is divided: 8 MB. By BenchmarkPairs, one table
	// takes a quarter less time than parts for 250,000 pairs, and more than twice as much for
	// sixteen million.
	wholeSlots = 1 << 19
	// leastWaiting is how many pairs wait for a part that has few.
	leastWaiting = 512
)

// pairPart is a part of a set, and what waits for it.
type pairPart struct {
	table   pairTable
	waiting []pair
}

// pairTable is a hash table: open addressing, at most five eighths full.
type pairTable struct {
	slots []pair
	used  int
}

// pair is a place of a table; one with group 0 is free.
type pair struct {
	number int64
	group  uint32 // plus one
}

func (s *pairSet) bytes() int64 {
	n := cap(s.whole.slots)
	for i := range s.parts {
		n += cap(s.parts[i].table.slots) + cap(s.parts[i].waiting)
	}
	return int64(n) * 16
}

// size is how many pairs there are, when none waits.
func (s *pairSet) size() int {
	n := s.whole.used
	for i := range s.parts {
		n += s.parts[i].table.used
	}
	return n
}

// add adds a pair. If it is not there yet, the count of the group grows, now or when it
// is settled.
func (s *pairSet) add(g uint32, n int64, counts []int64) {
	h := hashPair(g, n)
	if s.parts == nil {
		if s.whole.add(h, pair{n, g + 1}) {
			counts[g]++
			if len(s.whole.slots) > wholeSlots {
				s.divide()
			}
		}
		return
	}
	p := &s.parts[h>>(64-setPartBits)]
	p.waiting = append(p.waiting, pair{n, g + 1})
	if len(p.waiting) == cap(p.waiting) {
		p.settle(counts)
	}
}

// addAll is add of many.
func (s *pairSet) addAll(groups []uint32, numbers, counts []int64) {
	numbers = numbers[:len(groups)]
	at := 0
	for ; at < len(groups) && s.parts == nil; at++ {
		// Most are there, and has is faster than add.
		if g, n := groups[at], numbers[at]; !s.whole.has(hashPair(g, n), pair{n, g + 1}) {
			s.add(g, n, counts)
		}
	}
	if at == len(groups) {
		return
	}
	parts := s.parts[:setParts]
	for ; at < len(groups); at++ {
		g, n := groups[at], numbers[at]
		p := &parts[hashPair(g, n)>>(64-setPartBits)]
		p.waiting = append(p.waiting, pair{n, g + 1})
		if len(p.waiting) == cap(p.waiting) {
			p.settle(counts)
		}
	}
}

// divide makes parts of a table that has become large.
func (s *pairSet) divide() {
	s.parts = make([]pairPart, setParts)
	for i := range s.parts {
		s.parts[i].table.resize(len(s.whole.slots) / setParts)
		s.parts[i].waiting = make([]pair, 0, leastWaiting)
	}
	s.whole.each(func(e pair) {
		h := hashPair(e.group-1, e.number)
		s.parts[h>>(64-setPartBits)].table.add(h, e)
	})
	s.whole = pairTable{}
}

// settle adds what waits.
func (s *pairSet) settle(counts []int64) {
	for i := range s.parts {
		s.parts[i].settle(counts)
	}
}

func (p *pairPart) settle(counts []int64) {
	for _, e := range p.waiting {
		if p.table.add(hashPair(e.group-1, e.number), e) {
			counts[e.group-1]++
		}
	}
	if p.table.used > cap(p.waiting) {
		p.waiting = make([]pair, 0, p.table.used)
	}
	p.waiting = p.waiting[:0]
}

// reserve makes room for more pairs. Those of another set come in the order of their hashes,
// which would make long runs of full places in smaller tables.
func (s *pairSet) reserve(more int) {
	if s.parts == nil && 8*(s.whole.used+more) > 5*wholeSlots {
		s.divide()
	}
	if s.parts == nil {
		s.whole.reserve(more)
		return
	}
	for i := range s.parts {
		s.parts[i].table.reserve(more / setParts)
	}
}

func (s *pairSet) each(do func(g uint32, number int64)) {
	visit := func(e pair) { do(e.group-1, e.number) }
	s.whole.each(visit)
	for i := range s.parts {
		s.parts[i].table.each(visit)
	}
}

// add adds a pair with that hash, and says whether it was not there.
func (t *pairTable) add(h uint64, e pair) bool {
	if 8*(t.used+1) > 5*len(t.slots) {
		t.resize(max(32, 2*len(t.slots)))
	}
	slots := t.slots
	mask := uint64(len(slots) - 1)
	for at := h; ; at++ {
		s := &slots[at&mask]
		if s.number == e.number && s.group == e.group {
			return false
		}
		if s.group == 0 {
			*s = e
			t.used++
			return true
		}
	}
}

// has says whether a pair with that hash is there.
func (t *pairTable) has(h uint64, e pair) bool {
	slots := t.slots
	if len(slots) == 0 {
		return false
	}
	mask := uint64(len(slots) - 1)
	for {
		s := &slots[h&mask]
		if s.number == e.number && s.group == e.group {
			return true
		}
		if s.group == 0 {
			return false
		}
		h++
	}
}

func (t *pairTable) reserve(more int) {
	size := max(32, len(t.slots))
	for 8*(t.used+more) > 5*size {
		size *= 2
	}
	if size > len(t.slots) {
		t.resize(size)
	}
}

// resize gives the table so many places, a power of two.
func (t *pairTable) resize(size int) {
	old := *t
	t.slots = make([]pair, size)
	mask := uint64(size - 1)
	old.each(func(e pair) {
		at := hashPair(e.group-1, e.number) & mask
		for t.slots[at].group != 0 {
			at = (at + 1) & mask
		}
		t.slots[at] = e
	})
}

func (t *pairTable) each(do func(e pair)) {
	for _, e := range t.slots {
		if e.group != 0 {
			do(e)
		}
	}
}

func hashPair(g uint32, n int64) uint64 {
	hi, lo := bits.Mul64(uint64(n)^0x9e3779b97f4a7c15, 0xd6e8feb86659fd93^uint64(g)<<33)
	return hi ^ lo
}
