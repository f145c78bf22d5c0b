package exec

import (
	"math"
	"math/bits"
	"slices"

	"github.com/prickledb/prickle/engine/intern"
	"github.com/prickledb/prickle/storage/vec"
)

// grouper gives every distinct combination of key values a dense group number.
//
// The values of a row's keys are packed into words of 64 bits: numbers as they are, in as many
// bits as their type has, and of everything else the number that an intern.Table gives it. The
// group is found by one look-up of the words. Once a number is NULL, keys have words more that
// say which are. A single key of such a table needs no look-up: its numbers are the groups.
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
	packed, hashed                    []uint64
	codes, fresh, freshRows, freshIDs []uint32
	first                             []uint32 // 0 …
}

// keyColumn is one key of a grouper.
type keyColumn struct {
	typ   vec.Type
	texts *intern.Table // nil: values are packed as they are
	word  int           // where in the packed key
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
			c.texts, width = intern.New(t), 32
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
func (g *grouper) again() { g.forget((*intern.Table).GiveAway) }

// empty forgets all groups and keeps the memory. Nothing that the grouper gave out shares it.
func (g *grouper) empty() { g.forget((*intern.Table).Empty) }

func (g *grouper) forget(values func(*intern.Table)) {
	g.groups, g.table.count, g.table.list = 0, 0, g.table.list[:0]
	g.forgetCodes()
	if !g.table.repeats { // else there is none
		clear(g.table.Slots)
	}
	for k := range g.cols {
		if in := g.cols[k].texts; in != nil {
			values(in)
		}
	}
}

// repeat has a group made of each row, be it there or not, or not so any more. There are no groups now. It
// means nothing where the numbers of the only key are the groups.
func (g *grouper) repeat(yes bool) { g.table.repeats = yes && !g.alone() }

// expect makes room for so many groups with keys of so many bytes.
func (g *grouper) expect(groups int, bytes int64) {
	if !g.alone() {
		g.table.Expect(groups)
		g.table.list = slices.Grow(g.table.list, groups*g.words)
		return
	}
	g.cols[0].texts.Expect(groups, bytes)
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
	if !g.table.repeats {
		if c := g.combinationOf(cols, len(rows)); c != nil {
			g.assignCodes(dst, c, cols, rows)
			return
		}
	}
	g.assignKeys(dst, cols, rows)
}

// assignKeys is assign by the values of the keys.
func (g *grouper) assignKeys(dst []uint32, cols []*vec.Vector, rows []uint32) {
	if g.alone() {
		in := g.cols[0].texts
		in.Assign(dst, cols[0], rows)
		g.groups = in.Count()
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
		c.texts.Assign(g.ids, cols[k], rows)
		c.packNumbers(packed, g.words, g.ids)
	}
	g.table.assign(dst[:len(rows)], packed)
	g.groups = g.table.count
}

// numbersAlone says whether all keys are numbers.
func (g *grouper) numbersAlone() bool {
	return len(g.cols) > 0 && !slices.ContainsFunc(g.cols, func(c keyColumn) bool { return c.texts != nil })
}

// packedKeys is keys of numbers as a grouper packs them.
type packedKeys struct {
	cols  []keyColumn
	words int
	nulls bool
	list  []uint64
}

// packedInOrder is the keys of groups in an order. All keys are numbers.
func (g *grouper) packedInOrder(order []uint32) packedKeys {
	p := packedKeys{g.cols, g.words, g.nulls, make([]uint64, len(order)*g.words)}
	list := g.table.list
	switch g.words {
	case 1:
		for i, group := range order {
			p.list[i] = list[group]
		}
	case 2:
		for i, group := range order {
			p.list[2*i], p.list[2*i+1] = list[2*group], list[2*group+1]
		}
	default:
		for i, group := range order {
			copy(p.list[i*g.words:(i+1)*g.words], list[int(group)*g.words:])
		}
	}
	return p
}

// slice is the keys at places [lo, hi).
func (p packedKeys) slice(lo, hi int) packedKeys {
	p.list = p.list[lo*p.words : hi*p.words]
	return p
}

// values is the key columns.
func (p packedKeys) values() []*vec.Vector {
	g := &grouper{cols: p.cols, words: p.words, nulls: p.nulls, groups: len(p.list) / p.words}
	g.table.list = p.list
	return g.values()
}

// assignPacked writes the groups of keys to dst, that a grouper of the same types has packed.
func (g *grouper) assignPacked(dst []uint32, keys packedKeys) {
	if keys.nulls && !g.nulls {
		g.addNulls()
	}
	list := keys.list
	if keys.words < g.words {
		list = g.room(len(dst))
		for i := range dst {
			copy(list[i*g.words:], keys.list[i*keys.words:(i+1)*keys.words])
		}
	}
	g.table.assign(dst, list)
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
	t := keyTable{words: g.words + (len(g.cols)+63)/64, repeats: g.table.repeats}
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
			out[k] = in.Values().Take(g.numbers(k, order))
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
			out[k] = c.texts.Values()
		case c.texts != nil:
			out[k] = &vec.Vector{Type: c.typ, Form: vec.Dict, Codes: g.numbers(k, g.all()), Dict: c.texts.Values()}
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

// numbers is, for groups in an order, the number that the table of key column k gave their value.
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

// hashes are hashes of the groups' keys that do not depend on the grouper. They are good until the next call.
func (g *grouper) hashes() []uint64 {
	g.hashed = grow(g.hashed, g.groups)
	out := g.hashed
	clear(out)
	for k := range g.cols {
		c := &g.cols[k]
		switch {
		case g.alone():
			copy(out, c.texts.Hashes())
		case c.texts != nil:
			for i, id := range g.numbers(k, g.all()) {
				out[i] = mix(out[i] ^ c.texts.Hashes()[id])
			}
		case g.nulls:
			for i := range out {
				x := c.unpack(g.table.list[i*g.words+c.word])
				if g.isNull(k, i) {
					x = intern.NullHash
				}
				out[i] = mix(out[i] ^ x)
			}
		default:
			list, words, shift, mask := g.table.list[c.word:], g.words, c.shift, c.mask
			for i, h := range out {
				out[i] = mix(h ^ list[i*words]>>(shift&63)&mask)
			}
		}
	}
	for i, h := range out {
		out[i] = mix(h) // the table of the keys is ordered by the hash itself
	}
	return out
}

// unpack is the bits of a number in a word of a packed key.
func (c *keyColumn) unpack(word uint64) uint64 { return word >> c.shift & c.mask }

// bytes is how much memory the grouper holds.
func (g *grouper) bytes() int64 {
	n := g.table.bytes() + int64(8*(cap(g.packed)+cap(g.hashed))) +
		int64(4*(cap(g.ids)+cap(g.places)+cap(g.codes)+cap(g.fresh)+cap(g.freshRows)+cap(g.freshIDs)+cap(g.first)))
	for i := range g.combined {
		n += int64(4 * cap(g.combined[i].groups))
	}
	for k := range g.cols {
		if in := g.cols[k].texts; in != nil {
			n += in.Bytes()
		}
	}
	return n
}

// keyTable numbers distinct keys of some words in order of first appearance.
type keyTable struct {
	intern.Index
	words int
	list  []uint64 // the keys
	count int
	// repeats says that no key is looked for: each is numbered as often as it comes.
	repeats bool
}

func (t *keyTable) bytes() int64 { return t.Index.Bytes() + int64(8*cap(t.list)) }

// assign writes the numbers of keys to dst.
func (t *keyTable) assign(dst []uint32, keys []uint64) {
	if t.repeats {
		for i := range dst {
			dst[i] = uint32(t.count + i)
		}
		t.list = append(slices.Grow(t.list, max(len(keys), min(len(t.list), 1<<16))), keys...)
		t.count += len(dst)
		return
	}
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
		if slots := t.Slots; len(slots) > 0 {
			mask := uint64(len(slots) - 1)
			for at := h >> (t.Shift & 63); ; at++ {
				s := slots[at&mask]
				if s == 0 {
					break
				}
				if (s^h)&intern.TagBits == 0 && t.list[uint32(s)-1] == k {
					lastGroup = uint32(s) - 1
					dst[i] = lastGroup
					continue rows
				}
			}
		}
		lastGroup = t.insert1(k, h)
		dst[i] = lastGroup
	}
}

func (t *keyTable) insert1(key, h uint64) uint32 {
	t.list = append(t.list, key)
	t.Add(h, t.count)
	t.count++
	return uint32(t.count - 1)
}

func (t *keyTable) assign2(dst []uint32, keys []uint64) {
	keys = keys[:2*len(dst)]
rows:
	for i := range dst {
		a, b := keys[2*i], keys[2*i+1]
		h := mix(mix(a) ^ b)
		if slots := t.Slots; len(slots) > 0 {
			mask := uint64(len(slots) - 1)
			for at := h >> (t.Shift & 63); ; at++ {
				s := slots[at&mask]
				if s == 0 {
					break
				}
				if (s^h)&intern.TagBits == 0 {
					if e := t.list[2*uint64(uint32(s)-1):]; e[0] == a && e[1] == b {
						dst[i] = uint32(s) - 1
						continue rows
					}
				}
			}
		}
		t.list = append(t.list, a, b)
		t.Add(h, t.count)
		dst[i] = uint32(t.count)
		t.count++
	}
}

func (t *keyTable) insert(key []uint64, h uint64) uint32 {
	t.list = append(t.list, key...)
	t.Add(h, t.count)
	t.count++
	return uint32(t.count - 1)
}

// get is the number of a key, or noGroup.
func (t *keyTable) get(key []uint64, h uint64) uint32 {
	if len(t.Slots) == 0 {
		return noGroup
	}
	mask := uint64(len(t.Slots) - 1)
candidates:
	for at := h >> (t.Shift & 63); ; at++ {
		s := t.Slots[at&mask]
		if s == 0 {
			return noGroup
		}
		if (s^h)&intern.TagBits != 0 {
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
	slots, list, shift := t.Slots, t.list, t.Shift
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
			if (s^h)&intern.TagBits == 0 && list[uint32(s)-1] == k {
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
