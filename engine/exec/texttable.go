package exec

import (
	"bytes"
	"hash/maphash"

	"github.com/prickledb/prickle/storage/vec"
)

// interner numbers the distinct values of one type that a grouper does not take as numbers,
// nulls included.
type interner struct {
	values *vec.Builder
	null   int64 // number of NULL, or -1
	table  textTable
	// apart is the keys of the values, where these are other than their bytes.
	apart *vec.Strings
	dicts []seenCodes // of dictionaries that came last
	next  int         // of dicts: which one is forgotten next
	key   []byte

	// Scratch.
	hashes                []uint64
	found, codes, numbers []uint32
}

// seenCodes is what an interner knows of a dictionary: by code, the number plus one, 0 if the
// value was not looked up.
type seenCodes struct {
	dict    *vec.Vector
	numbers []uint32
}

// maxDicts is how many dictionaries an interner remembers. Segments and blocks have their
// own, and come one after the other.
const maxDicts = 16

func newInterner(t vec.Type) *interner {
	in := &interner{values: vec.NewBuilder(t), null: -1}
	if t.Payload() != vec.PayloadStr || !t.EqualBytes() {
		in.apart = &vec.Strings{}
	}
	return in
}

// bytes is how much memory the interner holds.
func (in *interner) bytes() int64 {
	n := in.values.V.Bytes() + in.table.bytes() + int64(8*cap(in.hashes)+4*(cap(in.found)+cap(in.codes)+cap(in.numbers)))
	if in.apart != nil {
		n += int64(cap(in.apart.Bytes) + 4*cap(in.apart.Offs))
	}
	for i := range in.dicts {
		n += int64(4 * cap(in.dicts[i].numbers))
	}
	return n
}

// empty forgets all values and keeps the memory.
func (in *interner) empty() {
	in.values = &vec.Builder{V: &vec.Vector{Type: in.values.V.Type, Str: in.values.V.Str}}
	in.null, in.dicts, in.next = -1, nil, 0
	if in.values.V.Str.Len() > 0 {
		in.values.V.Str.Reset()
	}
	if in.apart != nil {
		in.apart.Reset()
	}
	in.table.hashes = in.table.hashes[:0]
	clear(in.table.slots)
}

func (in *interner) count() int { return len(in.table.hashes) }

// keys is the keys of the values.
func (in *interner) keys() *vec.Strings {
	if in.apart != nil {
		return in.apart
	}
	return &in.values.V.Str
}

// assign writes the number of the value of each of the rows to dst. Values that are in none
// of the rows get no number, be they all that v has.
func (in *interner) assign(dst []uint32, v *vec.Vector, rows []uint32) {
	switch {
	case v.Form == vec.Const:
		n := in.number1(v, 0)
		for i := range rows {
			dst[i] = n
		}
	case v.Form == vec.Dict:
		in.assignCodes(dst, v, rows)
	case in.apart == nil && len(v.Nulls) == 0:
		in.assignTexts(dst, &v.Str, rows)
	default:
		for i, r := range rows {
			dst[i] = in.number1(v, int(r))
		}
	}
}

func (in *interner) assignCodes(dst []uint32, v *vec.Vector, rows []uint32) {
	seen := in.codesOf(v.Dict, len(rows))
	nulls := len(v.Nulls) > 0
	if seen == nil {
		for i, r := range rows {
			if nulls && v.Nulls.Get(int(r)) {
				dst[i] = in.nullNumber()
			} else {
				dst[i] = in.number1(v.Dict, int(v.Codes[r]))
			}
		}
		return
	}
	if in.apart == nil && len(v.Dict.Nulls) == 0 && !nulls {
		in.lookUpCodes(seen, v, rows)
		codes := v.Codes
		for i, r := range rows {
			dst[i] = seen[codes[r]] - 1
		}
		return
	}
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
}

// lookUpCodes looks up the codes of rows that were not seen yet, in the order of the rows.
func (in *interner) lookUpCodes(seen []uint32, v *vec.Vector, rows []uint32) {
	in.codes = in.codes[:0]
	for _, r := range rows {
		if c := v.Codes[r]; seen[c] == 0 {
			seen[c] = noGroup
			in.codes = append(in.codes, c)
		}
	}
	in.numbers = grow(in.numbers, len(in.codes))
	in.assignTexts(in.numbers, &v.Dict.Str, in.codes)
	for i, c := range in.codes {
		seen[c] = in.numbers[i] + 1
	}
}

// codesOf is what is known of a dictionary; nil if so few of its values will be looked up that
// to remember them costs more, and it is that of a block, so no other rows have it.
func (in *interner) codesOf(dict *vec.Vector, rows int) []uint32 {
	n := dict.Len()
	for i := range in.dicts {
		if s := &in.dicts[i]; s.dict == dict {
			if len(s.numbers) < n {
				s.numbers = append(s.numbers, make([]uint32, n-len(s.numbers))...)
			}
			return s.numbers
		}
	}
	if n <= vec.BatchRows && rows < n/8 {
		return nil
	}
	if len(in.dicts) < maxDicts {
		in.dicts = append(in.dicts, seenCodes{dict, make([]uint32, n)})
		return in.dicts[len(in.dicts)-1].numbers
	}
	s := &in.dicts[in.next]
	in.next = (in.next + 1) % maxDicts
	s.dict, s.numbers = dict, grow(s.numbers, n)
	clear(s.numbers)
	return s.numbers
}

// assignTexts looks up texts. All hashes come first and then all slots, since memory answers
// many questions at once if none depends on another.
func (in *interner) assignTexts(dst []uint32, texts *vec.Strings, rows []uint32) {
	in.hashes, in.found = grow(in.hashes, len(rows)), grow(in.found, len(rows))
	for i, r := range rows {
		in.hashes[i] = maphash.Bytes(textSeed, texts.At(int(r)))
	}
	in.table.candidates(in.found, in.hashes)
	keys := &in.values.V.Str
	for i, r := range rows {
		text := texts.At(int(r))
		if e := in.found[i]; e != noGroup && bytes.Equal(keys.At(int(e)), text) {
			dst[i] = e
			continue
		}
		n := in.table.find(text, in.hashes[i], keys)
		if n == noGroup {
			n = in.table.add(in.hashes[i])
			keys.Append(text)
		}
		dst[i] = n
	}
}

func (in *interner) nullNumber() uint32 {
	if in.null < 0 {
		in.null = int64(in.count())
		in.table.hashes = append(in.table.hashes, nullHash) // without a slot
		in.values.AppendNull()
		if in.apart != nil {
			in.apart.Append(nil)
		}
	}
	return uint32(in.null)
}

// number1 is the number of one value of a flat or constant vector.
func (in *interner) number1(v *vec.Vector, row int) uint32 {
	if v.Nulls.Get(row) {
		return in.nullNumber()
	}
	key := in.keyOf(v, row, &in.key)
	hash := maphash.Bytes(textSeed, key)
	n := in.table.find(key, hash, in.keys())
	if n == noGroup {
		n = in.table.add(hash)
		if in.apart != nil {
			in.apart.Append(key)
		}
		in.values.AppendFrom(v, row)
	}
	return n
}

// find1 is the number of one value of a flat or constant vector that is not NULL, or noGroup.
func (in *interner) find1(v *vec.Vector, row int, scratch *[]byte) uint32 {
	k := in.keyOf(v, row, scratch)
	return in.table.find(k, maphash.Bytes(textSeed, k), in.keys())
}

// keyOf is the key of a value.
func (in *interner) keyOf(v *vec.Vector, row int, scratch *[]byte) []byte {
	if in.apart == nil {
		return v.Str.At(row)
	}
	*scratch = vec.AppendKey((*scratch)[:0], v, row)
	return *scratch
}

// textTable numbers distinct keys of bytes in order of first appearance.
type textTable struct {
	slotTable
	hashes []uint64 // of each entry
}

var textSeed = maphash.MakeSeed()

// find is the entry of a key, or noGroup; keys are those of the entries.
func (t *textTable) find(key []byte, hash uint64, keys *vec.Strings) uint32 {
	if len(t.slots) == 0 {
		return noGroup
	}
	mask := uint64(len(t.slots) - 1)
	for at := hash >> (t.shift & 63); ; at++ {
		s := t.slots[at&mask]
		if s == 0 {
			return noGroup
		}
		if (s^hash)&tagBits == 0 && bytes.Equal(keys.At(int(uint32(s)-1)), key) {
			return uint32(s) - 1
		}
	}
}

// candidates writes the first entry to dst that is likely to be that of each hash, or noGroup.
func (t *textTable) candidates(dst []uint32, hashes []uint64) {
	slots, shift := t.slots, t.shift
	if len(slots) == 0 {
		for i := range dst {
			dst[i] = noGroup
		}
		return
	}
	mask := uint64(len(slots) - 1)
	for i, h := range hashes {
		at := h >> (shift & 63)
		s := slots[at&mask]
		for s != 0 && (s^h)&tagBits != 0 {
			at++
			s = slots[at&mask]
		}
		dst[i] = uint32(s) - 1 // noGroup, if s is 0
	}
}

// add makes an entry for a key that has none.
func (t *textTable) add(hash uint64) uint32 {
	n := len(t.hashes)
	t.slotTable.add(hash, n)
	t.hashes = append(t.hashes, hash)
	return uint32(n)
}

func (t *textTable) bytes() int64 { return t.slotTable.bytes() + int64(8*cap(t.hashes)) }
