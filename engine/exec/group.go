package exec

import (
	"math"
	"math/bits"

	"github.com/prickledb/prickle/storage/vec"
)

// grouper gives every distinct combination of key values a dense group number.
//
// Each key column interns its values on its own; the numbers are then folded pairwise, so
// that a row of k keys costs k look-ups of integers, whatever the types.
type grouper struct {
	keys   []*interner
	pairs  []pairTable // pairs[i] folds (group so far, id of key i+1)
	groups int
	ids    []uint32 // scratch
}

func newGrouper(types []vec.Type) *grouper {
	g := &grouper{pairs: make([]pairTable, max(0, len(types)-1))}
	for _, t := range types {
		g.keys = append(g.keys, newInterner(t))
	}
	return g
}

// assign writes the group of each of the rows to dst.
func (g *grouper) assign(dst []uint32, cols []*vec.Vector, rows []uint32) {
	if len(g.keys) == 0 {
		clear(dst)
		g.groups = 1
		return
	}
	g.keys[0].assign(dst, cols[0], rows)
	g.groups = g.keys[0].count()
	if cap(g.ids) < len(rows) {
		g.ids = make([]uint32, len(rows))
	}
	ids := g.ids[:len(rows)]
	for k := 1; k < len(g.keys); k++ {
		g.keys[k].assign(ids, cols[k], rows)
		t := &g.pairs[k-1]
		lastPair, lastGroup := uint64(math.MaxUint64), uint32(0)
		for i, id := range ids {
			pair := uint64(dst[i])<<32 | uint64(id)
			if pair != lastPair {
				lastPair, lastGroup = pair, t.find(pair)
			}
			dst[i] = lastGroup
		}
		g.groups = len(t.list)
	}
}

// values is the key columns of all groups, in the order of their numbers.
func (g *grouper) values() []*vec.Vector {
	out := make([]*vec.Vector, len(g.keys))
	for k := range g.keys {
		out[k] = g.keys[k].values.V.Take(g.numbers(k))
	}
	return out
}

// numbers is, for each group, the number that the interner of key column k gave its value.
func (g *grouper) numbers(k int) []uint32 {
	ids := make([]uint32, g.groups)
	for i := range ids {
		at := uint32(i)
		for j := len(g.keys) - 1; j > k; j-- {
			at = uint32(g.pairs[j-1].list[at] >> 32)
		}
		if k > 0 {
			at = uint32(g.pairs[k-1].list[at])
		}
		ids[i] = at
	}
	return ids
}

// bytes is how much memory the grouper holds.
func (g *grouper) bytes() int64 {
	n := int64(0)
	for _, k := range g.keys {
		n += k.bytes()
	}
	for i := range g.pairs {
		n += g.pairs[i].bytes()
	}
	return n
}

// interner numbers the distinct values of one type, nulls included.
type interner struct {
	values *vec.Builder
	null   int64 // number of NULL, or -1
	ints   pairTable
	number []uint32 // of ints: position in ints.list → number of the value
	texts  textKeys
	dicts  map[*vec.Vector][]uint32 // per dictionary: code → number+1, 0 if not seen
	key    []byte

	held int64 // bytes of dicts
}

func newInterner(t vec.Type) *interner {
	return &interner{values: vec.NewBuilder(t), null: -1, dicts: map[*vec.Vector][]uint32{}}
}

// bytes is how much memory the interner holds.
func (in *interner) bytes() int64 {
	return in.values.V.Bytes() + in.ints.bytes() + int64(4*cap(in.number)) + in.texts.bytes() + in.held
}

func (in *interner) count() int { return in.values.V.Len() }

// assign writes the number of the value of each of the rows to dst. Values that are in none
// of the rows get no number, be they all that v has.
func (in *interner) assign(dst []uint32, v *vec.Vector, rows []uint32) {
	if len(rows) == 0 {
		return
	}
	switch v.Form {
	case vec.Const:
		n := in.number1(v, 0)
		for i := range rows {
			dst[i] = n
		}
	case vec.Dict:
		seen := in.dicts[v.Dict]
		if len(seen) < v.Dict.Len() {
			seen = append(seen, make([]uint32, v.Dict.Len()-len(seen))...)
			in.held += int64(4 * v.Dict.Len())
			in.dicts[v.Dict] = seen
		}
		nulls := len(v.Nulls) > 0
		for i, r := range rows {
			if nulls && v.Nulls.Get(int(r)) {
				dst[i] = in.nullNumber()
				continue
			}
			c := v.Codes[r]
			n := seen[c]
			if n == 0 {
				n = in.number1(v.Dict, int(c)) + 1
				seen[c] = n
			}
			dst[i] = n - 1
		}
	default:
		in.assignFlat(dst, v, rows)
	}
}

func (in *interner) assignFlat(dst []uint32, v *vec.Vector, rows []uint32) {
	if v.Type.Payload() != vec.PayloadI64 || len(v.Nulls) > 0 {
		for i, r := range rows {
			dst[i] = in.number1(v, int(r))
		}
		return
	}
	last, n := int64(0), uint32(math.MaxUint32)
	for i, r := range rows {
		if x := v.I64[r]; x != last || n == math.MaxUint32 {
			last, n = x, in.numberInt(uint64(x), v, int(r))
		}
		dst[i] = n
	}
}

func (in *interner) nullNumber() uint32 {
	if in.null < 0 {
		in.null = int64(in.count())
		in.values.AppendNull()
	}
	return uint32(in.null)
}

// number1 is the number of one value of a flat or constant vector.
func (in *interner) number1(v *vec.Vector, row int) uint32 {
	if v.Nulls.Get(row) {
		return in.nullNumber()
	}
	switch v.Type.Payload() {
	case vec.PayloadBools:
		x := uint64(0)
		if v.Bools[row] {
			x = 1
		}
		return in.numberInt(x, v, row)
	case vec.PayloadI64:
		return in.numberInt(uint64(v.I64[row]), v, row)
	case vec.PayloadF64:
		return in.numberInt(floatKey(v.F64[row]), v, row)
	case vec.PayloadStr:
		if v.Type.EqualBytes() {
			return in.numberText(v.Str.At(row), v, row)
		}
	}
	in.key = vec.AppendKey(in.key[:0], v, row)
	in.texts.apart = true
	return in.numberText(in.key, v, row)
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

func (in *interner) numberInt(x uint64, v *vec.Vector, row int) uint32 {
	at := in.ints.find(x)
	if int(at) == len(in.number) {
		in.number = append(in.number, uint32(in.count()))
		in.values.AppendFrom(v, row)
	}
	return in.number[at]
}

// pairTable numbers distinct 64-bit keys in order of first appearance: open addressing
// with linear probing, at most half full.
type pairTable struct {
	slots []uint32 // position in list + 1; 0 is free
	list  []uint64
}

func (t *pairTable) find(key uint64) uint32 {
	if len(t.list)*2 >= len(t.slots) {
		t.grow()
	}
	mask := uint64(len(t.slots) - 1)
	for i := mix(key) & mask; ; i = (i + 1) & mask {
		s := t.slots[i]
		if s == 0 {
			t.list = append(t.list, key)
			t.slots[i] = uint32(len(t.list))
			return uint32(len(t.list) - 1)
		}
		if t.list[s-1] == key {
			return s - 1
		}
	}
}

// get is the number of a key, or noGroup.
func (t *pairTable) get(key uint64) uint32 {
	if len(t.slots) == 0 {
		return noGroup
	}
	mask := uint64(len(t.slots) - 1)
	for i := mix(key) & mask; ; i = (i + 1) & mask {
		s := t.slots[i]
		if s == 0 {
			return noGroup
		}
		if t.list[s-1] == key {
			return s - 1
		}
	}
}

func (t *pairTable) bytes() int64 { return int64(4*cap(t.slots) + 8*cap(t.list)) }

func (t *pairTable) grow() {
	t.slots = make([]uint32, max(64, len(t.slots)*2))
	mask := uint64(len(t.slots) - 1)
	for n, key := range t.list {
		i := mix(key) & mask
		for t.slots[i] != 0 {
			i = (i + 1) & mask
		}
		t.slots[i] = uint32(n + 1)
	}
}

// mix spreads a key over 64 bits: the product with an odd constant, folded.
func mix(x uint64) uint64 {
	hi, lo := bits.Mul64(x^0x9E3779B97F4A7C15, 0xD6E8FEB86659FD93)
	return hi ^ lo
}
