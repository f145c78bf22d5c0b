package agg

import (
	"bytes"
	"hash/maphash"
	"math"
	"math/bits"

	"github.com/prickledb/prickle/storage/vec"
)

// marks is a set of texts that are entries of large dictionaries. While rows come it has a bit for
// each entry, and looks at no text; the texts that several dictionaries have are found at the end.
type marks struct {
	dicts []markedDict
	last  int   // the dictionary that came last
	size  int64 // bytes of the bits, and for all dictionaries but the newest, which is being read, what these and union take
}

type markedDict struct {
	dict *vec.Vector
	bits []uint64
}

// maxMarkBytes is how much memory marks may hold. Dictionaries stay for as long as they are marked.
const maxMarkBytes = 256 << 20

// of is the bits of a dictionary.
func (m *marks) of(dict *vec.Vector) []uint64 {
	if m.last < len(m.dicts) && m.dicts[m.last].dict == dict {
		return m.dicts[m.last].bits
	}
	for i := range m.dicts {
		if m.dicts[i].dict == dict {
			m.last = i
			return m.dicts[i].bits
		}
	}
	n := dict.Len()
	d := markedDict{dict, make([]uint64, (n+63)/64)}
	if m.last = len(m.dicts); m.last > 0 {
		before := m.dicts[m.last-1].dict
		m.size += before.Bytes() + int64(unionBytes*before.Len())
	}
	m.dicts = append(m.dicts, d)
	m.size += int64(8 * len(d.bits))
	return d.bits
}

func (m *marks) add(dict *vec.Vector, codes, rows []uint32) {
	set := m.of(dict)
	for _, r := range rows {
		c := codes[r]
		set[c>>6] |= 1 << (c & 63)
	}
}

// addAll marks all entries of a dictionary.
func (m *marks) addAll(dict *vec.Vector) {
	set, n := m.of(dict), dict.Len()
	for i := range set {
		set[i] = math.MaxUint64 >> max(0, 64*(i+1)-n)
	}
}

func (m *marks) merge(o *marks) {
	for _, d := range o.dicts {
		set := m.of(d.dict)
		for i, w := range d.bits {
			set[i] |= w
		}
	}
}

// each calls do with each marked entry of a dictionary.
func (d *markedDict) each(do func(code uint32)) {
	for i, w := range d.bits {
		for ; w != 0; w &= w - 1 {
			do(uint32(i*64 + bits.TrailingZeros64(w)))
		}
	}
}

// codes is the marked entries of a dictionary.
func (d *markedDict) codes() []uint32 {
	var out []uint32
	d.each(func(c uint32) { out = append(out, c) })
	return out
}

// mark is a marked entry; with its hash, by which equal ones are found.
type mark struct {
	hash       uint64
	dict, code uint32
}

const (
	unionBytes = 16 + 8 // of each mark, and of its hash
	// partMarks is about how many marks are compared at a time: they and their table stay in the caches.
	partMarks = 1 << 12
)

var markSeed = maphash.MakeSeed()

// union is how many different texts are marked. Marks are divided by their hashes first.
func (m *marks) union() int64 {
	n := 0
	for _, d := range m.dicts {
		for _, w := range d.bits {
			n += bits.OnesCount64(w)
		}
	}
	hash := func(d *markedDict, code uint32) uint64 { return maphash.Bytes(markSeed, d.dict.Str.At(int(code))) }
	shift := 64 - bits.Len(uint(n/partMarks))
	starts := make([]int, 1<<(64-shift)+1)
	hashes := make([]uint64, 0, n)
	for i := range m.dicts {
		d := &m.dicts[i]
		d.each(func(c uint32) {
			h := hash(d, c)
			hashes = append(hashes, h)
			starts[h>>shift+1]++
		})
	}
	most := 0
	for i := range starts[1:] {
		most = max(most, starts[i+1])
		starts[i+1] += starts[i]
	}
	all, at := make([]mark, n), 0
	next := append([]int(nil), starts...)
	for i := range m.dicts {
		m.dicts[i].each(func(c uint32) {
			h := hashes[at]
			at++
			all[next[h>>shift]] = mark{h, uint32(i), c}
			next[h>>shift]++
		})
	}
	slots := make([]uint32, 1<<bits.Len(uint(2*most))) // numbers of marks plus one; 0 is free
	distinct := int64(0)
	for i := range starts[1:] {
		clear(slots)
		distinct += m.different(all[starts[i]:starts[i+1]], slots)
	}
	return distinct
}

// different is how many different texts marks have.
func (m *marks) different(part []mark, slots []uint32) int64 {
	text := func(e mark) []byte { return m.dicts[e.dict].dict.Str.At(int(e.code)) }
	mask, n := uint64(len(slots)-1), int64(0)
	for i, e := range part {
		at := e.hash & mask
		for ; ; at = (at + 1) & mask {
			s := slots[at]
			if s == 0 {
				slots[at] = uint32(i + 1)
				n++
				break
			}
			if o := part[s-1]; o.hash == e.hash && bytes.Equal(text(o), text(e)) {
				break
			}
		}
	}
	return n
}
