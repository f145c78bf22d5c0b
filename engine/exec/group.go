package exec

import (
	"math"
	"math/bits"
	"slices"

	"github.com/prickledb/prickle/storage/vec"
)

// grouper gives every distinct combination of key values a dense group number.
//
// The values of a row's keys are packed into words of 64 bits: numbers as they are, in as many
// bits as their type has, and of everything else the number that an interner gives it. The
// group is found by one look-up of the words. Once a number is NULL, keys have words more that
// say which are. A single key of an interner needs no look-up: its numbers are the groups.
// Rows whose keys are all in small dictionaries are found by their codes ([combination]).
type grouper struct {
	cols   []keyColumn
	words  int  // of a packed key
	nulls  bool // the last words say which numbers are NULL
	table  keyTable
	groups int

	combined []combination // of dictionaries that came last
	next     int           // of combined: which one is forgotten next

	// Scratch.
	ids, places                       []uint32
	packed                            []uint64
	codes, fresh, freshRows, freshIDs []uint32
	first                             []uint32 // 0 …
}

// keyColumn is one key of a grouper.
type keyColumn struct {
	typ   vec.Type
	texts *interner // nil: values are packed as they are
	word  int       // where in the packed key
	shift uint
	mask  uint64
}

func newGrouper(types []vec.Type) *grouper {
	g := &grouper{cols: make([]keyColumn, len(types))}
	free := uint(0) // bits of the last word
	for i, t := range types {
		c := &g.cols[i]
		c.typ, c.mask = t, math.MaxUint64
		width := uint(64)
		switch t.Payload() {
		case vec.PayloadBools:
			width = 1
		case vec.PayloadI64:
			switch t.Kind {
			case vec.Int2:
				width = 16
			case vec.Int4:
				width = 32
			}
		case vec.PayloadF64:
		default:
			c.texts, width = newInterner(t), 32
		}
		if width > free {
			g.words, free = g.words+1, 64
		}
		c.word, c.shift, c.mask = g.words-1, 64-free, math.MaxUint64>>(64-width)
		free -= width
	}
	g.table.words = g.words
	return g
}

// again is empty after finish: what that has given out is left to whoever has it.
func (g *grouper) again() {
	for k := range g.cols {
		if in := g.cols[k].texts; in != nil {
			in.values = vec.NewBuilder(g.cols[k].typ)
		}
	}
	g.empty()
}

// empty forgets all groups and keeps the memory. Nothing that the grouper gave out shares it.
func (g *grouper) empty() {
	g.groups, g.table.count, g.table.list = 0, 0, g.table.list[:0]
	g.forgetCodes()
	clear(g.table.slots)
	for k := range g.cols {
		if in := g.cols[k].texts; in != nil {
			in.empty()
		}
	}
}

// expect makes room for so many groups with keys of so many bytes.
func (g *grouper) expect(groups int, bytes int64) {
	if !g.alone() {
		g.table.expect(groups)
		g.table.list = slices.Grow(g.table.list, groups*g.words)
		return
	}
	in := g.cols[0].texts
	in.table.expect(groups)
	in.table.hashes = slices.Grow(in.table.hashes, groups)
	if in.apart == nil {
		in.values.V.Str = vec.MakeStrings(groups, int(bytes))
	}
}

// alone says whether the numbers of the only key are the groups.
func (g *grouper) alone() bool { return len(g.cols) == 1 && g.cols[0].texts != nil }

// assign writes the group of each of the rows to dst.
func (g *grouper) assign(dst []uint32, cols []*vec.Vector, rows []uint32) {
	if len(g.cols) == 0 {
		clear(dst)
		g.groups = 1
		return
	}
	if len(rows) == 0 {
		return
	}
	if c := g.combinationOf(cols, len(rows)); c != nil {
		g.assignCodes(dst, c, cols, rows)
		return
	}
	g.assignKeys(dst, cols, rows)
}

// assignKeys is assign by the values of the keys.
func (g *grouper) assignKeys(dst []uint32, cols []*vec.Vector, rows []uint32) {
	if g.alone() {
		in := g.cols[0].texts
		in.assign(dst, cols[0], rows)
		g.groups = in.count()
		return
	}
	if !g.nulls && g.findsNull(cols) {
		g.addNulls()
	}
	packed := g.room(len(rows))
	for k := range g.cols {
		c := &g.cols[k]
		if c.texts == nil {
			g.places = c.pack(packed, g.words, cols[k], rows, g.places[:0])
			word, bit := g.nullBit(k)
			for _, i := range g.places {
				packed[int(i)*g.words+word] |= bit
			}
			continue
		}
		g.ids = grow(g.ids, len(rows))
		c.texts.assign(g.ids, cols[k], rows)
		c.packNumbers(packed, g.words, g.ids)
	}
	g.table.assign(dst[:len(rows)], packed)
	g.groups = g.table.count
}

// findsNull says whether a number may be NULL.
func (g *grouper) findsNull(cols []*vec.Vector) bool {
	for k := range g.cols {
		if g.cols[k].texts == nil && cols[k].HasNulls() {
			return true
		}
	}
	return false
}

// addNulls makes the keys longer by a bit for each column.
func (g *grouper) addNulls() {
	g.nulls = true
	t := keyTable{words: g.words + (len(g.cols)+63)/64}
	key := make([]uint64, t.words)
	one := make([]uint32, 1)
	for i := range g.table.count {
		copy(key, g.table.list[i*g.words:(i+1)*g.words])
		t.assign(one, key)
	}
	g.words, g.table = t.words, t
}

// nullBit is where a key says whether column k is NULL, if g.nulls.
func (g *grouper) nullBit(k int) (word int, bit uint64) {
	return g.words - (len(g.cols)+63)/64 + k/64, 1 << (k % 64)
}

// isNull says whether column k of a group is NULL, of a column of numbers.
func (g *grouper) isNull(k, group int) bool {
	word, bit := g.nullBit(k)
	return g.nulls && g.table.list[group*g.words+word]&bit != 0
}

// room is cleared memory for so many packed keys.
func (g *grouper) room(rows int) []uint64 {
	g.packed = grow(g.packed, rows*g.words)
	clear(g.packed)
	return g.packed
}

// pack adds the numbers of a column to packed keys. It appends to nulls which of them are
// NULL.
func (c *keyColumn) pack(packed []uint64, words int, v *vec.Vector, rows, nulls []uint32) []uint32 {
	packed = packed[c.word:]
	switch v.Form {
	case vec.Const:
		if v.Nulls.Get(0) {
			for i := range rows {
				nulls = append(nulls, uint32(i))
			}
			return nulls
		}
		x := c.bits(v, 0) << c.shift
		for i := range rows {
			packed[i*words] |= x
		}
	case vec.Dict:
		for i, r := range rows {
			if v.IsNull(int(r)) {
				nulls = append(nulls, uint32(i))
				continue
			}
			packed[i*words] |= c.bits(v.Dict, int(v.Codes[r])) << c.shift
		}
	default:
		if v.Type.Payload() == vec.PayloadI64 {
			x, mask, shift := v.I64, c.mask, c.shift
			if len(v.Nulls) == 0 {
				for i, r := range rows {
					packed[i*words] |= uint64(x[r]) & mask << shift
				}
				return nulls
			}
			for i, r := range rows {
				if v.Nulls.Get(int(r)) {
					nulls = append(nulls, uint32(i))
					continue
				}
				packed[i*words] |= uint64(x[r]) & mask << shift
			}
			return nulls
		}
		for i, r := range rows {
			if v.Nulls.Get(int(r)) {
				nulls = append(nulls, uint32(i))
				continue
			}
			packed[i*words] |= c.bits(v, int(r)) << c.shift
		}
	}
	return nulls
}

// bits is a number of a vector that is not a dictionary's.
func (c *keyColumn) bits(v *vec.Vector, row int) uint64 {
	switch v.Type.Payload() {
	case vec.PayloadBools:
		if v.Bools[row] {
			return 1
		}
		return 0
	case vec.PayloadF64:
		return floatKey(v.F64[row])
	}
	return uint64(v.I64[row]) & c.mask
}

func (c *keyColumn) packNumbers(packed []uint64, words int, ids []uint32) {
	packed = packed[c.word:]
	for i, id := range ids {
		packed[i*words] |= uint64(id) << c.shift
	}
}

// floatKey is the same for all floats that are equal.
func floatKey(x float64) uint64 {
	if x == 0 {
		x = 0 // -0 groups with 0
	}
	if x != x {
		x = math.NaN() // one NaN
	}
	return math.Float64bits(x)
}

// values is the key columns of all groups, in the order of their numbers.
func (g *grouper) values() []*vec.Vector { return g.ordered(g.all()) }

// all is the numbers of all groups.
func (g *grouper) all() []uint32 { return firstRows(&g.first, g.groups) }

// ordered is the values of groups in an order, flat.
func (g *grouper) ordered(order []uint32) []*vec.Vector {
	out := make([]*vec.Vector, len(g.cols))
	for k := range g.cols {
		if in := g.cols[k].texts; in != nil {
			out[k] = in.values.V.Take(g.numbers(k, order))
		} else {
			out[k] = g.unpack(k, order)
		}
	}
	return out
}

// finish is values that share memory with the grouper, which must not be given more keys. They
// may be dictionaries.
func (g *grouper) finish() []*vec.Vector {
	out := make([]*vec.Vector, len(g.cols))
	for k := range g.cols {
		c := &g.cols[k]
		switch {
		case g.alone():
			out[k] = c.texts.values.V
		case c.texts != nil:
			out[k] = &vec.Vector{Type: c.typ, Form: vec.Dict, Codes: g.numbers(k, g.all()), Dict: c.texts.values.V}
		default:
			out[k] = g.unpack(k, g.all())
		}
	}
	return out
}

// unpack is a key column of numbers, of groups in an order.
func (g *grouper) unpack(k int, order []uint32) *vec.Vector {
	c := &g.cols[k]
	v := &vec.Vector{Type: c.typ}
	list, words, word := g.table.list, g.words, c.word
	switch c.typ.Payload() {
	case vec.PayloadBools:
		v.Bools = make([]bool, len(order))
		for i, group := range order {
			v.Bools[i] = list[int(group)*words+word]>>c.shift&1 != 0
		}
	case vec.PayloadF64:
		v.F64 = make([]float64, len(order))
		for i, group := range order {
			v.F64[i] = math.Float64frombits(list[int(group)*words+word])
		}
	default:
		v.I64 = make([]int64, len(order))
		sign := uint(bits.LeadingZeros64(c.mask))
		for i, group := range order {
			v.I64[i] = int64(list[int(group)*words+word]>>c.shift<<sign) >> sign
		}
	}
	if g.nulls {
		for i, group := range order {
			if g.isNull(k, int(group)) {
				if v.Nulls == nil {
					v.Nulls = vec.NewBitmap(len(order))
				}
				v.Nulls.Set(i)
			}
		}
	}
	return v
}

// numbers is, for groups in an order, the number that the interner of key column k gave their value.
func (g *grouper) numbers(k int, order []uint32) []uint32 {
	if g.alone() {
		return order
	}
	ids := make([]uint32, len(order))
	c := &g.cols[k]
	list, words, word := g.table.list, g.words, c.word
	for i, group := range order {
		ids[i] = uint32(list[int(group)*words+word] >> c.shift)
	}
	return ids
}

// hashes are hashes of the groups' keys that do not depend on the grouper.
func (g *grouper) hashes() []uint64 {
	out := make([]uint64, g.groups)
	for k := range g.cols {
		c := &g.cols[k]
		switch {
		case g.alone():
			copy(out, c.texts.table.hashes)
		case c.texts != nil:
			for i, id := range g.numbers(k, g.all()) {
				out[i] = mix(out[i] ^ c.texts.table.hashes[id])
			}
		default:
			for i := range out {
				x := g.table.list[i*g.words+c.word] >> c.shift & c.mask
				if g.isNull(k, i) {
					x = nullHash
				}
				out[i] = mix(out[i] ^ x)
			}
		}
	}
	for i, h := range out {
		out[i] = mix(h) // the table of the keys is ordered by the hash itself
	}
	return out
}

// nullHash stands for NULL in hashes.
const nullHash = 0x9ae16a3b2f90404f

// bytes is how much memory the grouper holds.
func (g *grouper) bytes() int64 {
	n := g.table.bytes() + int64(8*cap(g.packed)) +
		int64(4*(cap(g.ids)+cap(g.places)+cap(g.codes)+cap(g.fresh)+cap(g.freshRows)+cap(g.freshIDs)+cap(g.first)))
	for i := range g.combined {
		n += int64(4 * cap(g.combined[i].groups))
	}
	for k := range g.cols {
		if in := g.cols[k].texts; in != nil {
			n += in.bytes()
		}
	}
	return n
}

// slotTable finds entries by hash: open addressing with linear probing, at most half full. A
// slot has half of the hash in its upper half, by which a wrong entry is nearly always told
// from the right one, and the table grows without a look at the entries; and in its lower half
// the entry's number plus one. A free slot is 0.
type slotTable struct {
	slots []uint64
	shift uint // of a hash, to the place of its slot
}

// tagBits are the bits of a hash that a slot has.
const tagBits = math.MaxUint64 &^ math.MaxUint32

// grow makes room for twice as many entries.
func (t *slotTable) grow() {
	t.resize(max(64, 2*len(t.slots)))
}

// resize gives the table n slots, a power of two.
func (t *slotTable) resize(n int) {
	old := t.slots
	t.slots, t.shift = make([]uint64, n), uint(64-bits.TrailingZeros(uint(n)))
	for _, s := range old {
		if s != 0 {
			t.put(s)
		}
	}
}

// expect makes room for so many entries in an empty table.
func (t *slotTable) expect(n int) {
	if 2*n > len(t.slots) {
		t.resize(1 << bits.Len(uint(max(64, 2*n)-1)))
	}
}

// put takes a free slot.
func (t *slotTable) put(slot uint64) {
	mask := uint64(len(t.slots) - 1)
	at := slot >> (t.shift & 63)
	for t.slots[at] != 0 {
		at = (at + 1) & mask
	}
	t.slots[at] = slot
}

// add makes a slot for entry number n, the last one of n+1.
func (t *slotTable) add(hash uint64, n int) {
	if 2*(n+1) > len(t.slots) {
		t.grow()
	}
	t.put(hash&tagBits | uint64(n+1))
}

func (t *slotTable) bytes() int64 { return int64(8 * cap(t.slots)) }

// keyTable numbers distinct keys of some words in order of first appearance.
type keyTable struct {
	slotTable
	words int
	list  []uint64 // the keys
	count int
}

func (t *keyTable) bytes() int64 { return t.slotTable.bytes() + int64(8*cap(t.list)) }

// assign writes the numbers of keys to dst.
func (t *keyTable) assign(dst []uint32, keys []uint64) {
	switch t.words {
	case 1:
		t.assign1(dst, keys)
	case 2:
		t.assign2(dst, keys)
	default:
		for i := range dst {
			key := keys[i*t.words : (i+1)*t.words]
			h := hashWords(key)
			n := t.get(key, h)
			if n == noGroup {
				n = t.insert(key, h)
			}
			dst[i] = n
		}
	}
}

func (t *keyTable) assign1(dst []uint32, keys []uint64) {
	last, lastGroup := uint64(0), noGroup
rows:
	for i, k := range keys {
		if k == last && lastGroup != noGroup {
			dst[i] = lastGroup
			continue
		}
		last = k
		h := mix(k)
		if slots := t.slots; len(slots) > 0 {
			mask := uint64(len(slots) - 1)
			for at := h >> (t.shift & 63); ; at++ {
				s := slots[at&mask]
				if s == 0 {
					break
				}
				if (s^h)&tagBits == 0 && t.list[uint32(s)-1] == k {
					lastGroup = uint32(s) - 1
					dst[i] = lastGroup
					continue rows
				}
			}
		}
		lastGroup = t.insert(keys[i:i+1], h)
		dst[i] = lastGroup
	}
}

func (t *keyTable) assign2(dst []uint32, keys []uint64) {
	keys = keys[:2*len(dst)]
rows:
	for i := range dst {
		a, b := keys[2*i], keys[2*i+1]
		h := mix(mix(a) ^ b)
		if slots := t.slots; len(slots) > 0 {
			mask := uint64(len(slots) - 1)
			for at := h >> (t.shift & 63); ; at++ {
				s := slots[at&mask]
				if s == 0 {
					break
				}
				if (s^h)&tagBits == 0 {
					if e := t.list[2*uint64(uint32(s)-1):]; e[0] == a && e[1] == b {
						dst[i] = uint32(s) - 1
						continue rows
					}
				}
			}
		}
		dst[i] = t.insert(keys[2*i:2*i+2], h)
	}
}

func (t *keyTable) insert(key []uint64, h uint64) uint32 {
	t.list = append(t.list, key...)
	t.add(h, t.count)
	t.count++
	return uint32(t.count - 1)
}

// get is the number of a key, or noGroup.
func (t *keyTable) get(key []uint64, h uint64) uint32 {
	if len(t.slots) == 0 {
		return noGroup
	}
	mask := uint64(len(t.slots) - 1)
candidates:
	for at := h >> (t.shift & 63); ; at++ {
		s := t.slots[at&mask]
		if s == 0 {
			return noGroup
		}
		if (s^h)&tagBits != 0 {
			continue
		}
		e := t.list[uint64(uint32(s)-1)*uint64(t.words):]
		for w, x := range key {
			if e[w] != x {
				continue candidates
			}
		}
		return uint32(s) - 1
	}
}

// find writes the numbers of keys to dst, noGroup for those that are not there, but where it
// is noGroup already.
func (t *keyTable) find(dst []uint32, keys []uint64) {
	if t.words == 1 {
		t.find1(dst, keys)
		return
	}
	for i, g := range dst {
		if g != noGroup {
			key := keys[i*t.words : (i+1)*t.words]
			dst[i] = t.get(key, hashWords(key))
		}
	}
}

func (t *keyTable) find1(dst []uint32, keys []uint64) {
	slots, list, shift := t.slots, t.list, t.shift
	if len(slots) == 0 {
		slots = []uint64{0} // free
	}
	mask := uint64(len(slots) - 1)
rows:
	for i, k := range keys[:len(dst)] {
		if dst[i] == noGroup {
			continue
		}
		h := mix(k)
		for at := h >> (shift & 63); ; at++ {
			s := slots[at&mask]
			if s == 0 {
				dst[i] = noGroup
				continue rows
			}
			if (s^h)&tagBits == 0 && list[uint32(s)-1] == k {
				dst[i] = uint32(s) - 1
				continue rows
			}
		}
	}
}

func hashWords(key []uint64) uint64 {
	h := mix(key[0])
	for _, w := range key[1:] {
		h = mix(h ^ w)
	}
	return h
}

// mix spreads a key over 64 bits: the product with an odd constant, folded.
func mix(x uint64) uint64 {
	hi, lo := bits.Mul64(x^0x9E3779B97F4A7C15, 0xD6E8FEB86659FD93)
	return hi ^ lo
}
