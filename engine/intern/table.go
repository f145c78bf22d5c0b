package intern

import (
	"bytes"
	"hash/maphash"
	"math"
	"slices"

	"github.com/prickledb/prickle/storage/vec"
)

// Table numbers the distinct values of one type, nulls included, in order of first appearance. It
// belongs to one goroutine.
type Table struct {
	values *vec.Builder
	null   uint32 // number of NULL, or None
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

// seenCodes is what a table knows of a dictionary: by code, the number plus one, 0 if the
// value was not looked up.
type seenCodes struct {
	dict    *vec.Vector
	numbers []uint32
}

// None stands where there is no number.
const None uint32 = math.MaxUint32

// MaxDicts is how many dictionaries a table remembers. Segments and blocks have their
// own, and come one after the other.
const MaxDicts = 16

// New makes a table for values of a type.
func New(t vec.Type) *Table {
	in := &Table{values: vec.NewBuilder(t), null: None}
	if t.Payload() != vec.PayloadStr || !t.EqualBytes() {
		in.apart = &vec.Strings{}
	}
	return in
}

// Bytes is how much memory the table holds.
func (in *Table) Bytes() int64 {
	n := in.values.V.Bytes() + in.table.Bytes() + int64(8*cap(in.hashes)+4*(cap(in.found)+cap(in.codes)+cap(in.numbers)))
	if in.apart != nil {
		n += int64(cap(in.apart.Bytes) + 4*cap(in.apart.Offs))
	}
	for i := range in.dicts {
		n += int64(4 * cap(in.dicts[i].numbers))
	}
	return n
}

// Empty forgets all values and keeps the memory.
func (in *Table) Empty() {
	in.values = &vec.Builder{V: &vec.Vector{Type: in.values.V.Type, Str: in.values.V.Str}}
	in.null, in.dicts, in.next = None, nil, 0
	if in.values.V.Str.Len() > 0 {
		in.values.V.Str.Reset()
	}
	if in.apart != nil {
		in.apart.Reset()
	}
	in.table.hashes = in.table.hashes[:0]
	clear(in.table.Slots)
}

// GiveAway is Empty, but leaves the values to whoever has them.
func (in *Table) GiveAway() {
	in.values = vec.NewBuilder(in.values.V.Type)
	in.Empty()
}

// Expect makes room in an empty table for so many values, of so many bytes.
func (in *Table) Expect(n int, bytes int64) {
	in.table.Expect(n)
	in.table.hashes = slices.Grow(in.table.hashes, n)
	if in.apart == nil {
		in.values.V.Str = vec.MakeStrings(n, int(bytes))
	}
}

// Values is the values, by number. It shares memory with the table, and is theirs until there are
// more.
func (in *Table) Values() *vec.Vector { return in.values.V }

// Hashes is a hash of each value, the same in every table.
func (in *Table) Hashes() []uint64 { return in.table.hashes }

// Count is how many values there are.
func (in *Table) Count() int { return len(in.table.hashes) }

// keys is the keys of the values.
func (in *Table) keys() *vec.Strings {
	if in.apart != nil {
		return in.apart
	}
	return &in.values.V.Str
}

// Assign writes the number of the value of each of the rows to dst. Values that are in none
// of the rows get no number, be they all that v has.
func (in *Table) Assign(dst []uint32, v *vec.Vector, rows []uint32) {
	switch {
	case v.Form == vec.Const:
		n := in.Number(v, 0)
		for i := range rows {
			dst[i] = n
		}
	case v.Form == vec.Dict:
		in.assignCodes(dst, v, rows)
	case in.apart == nil && len(v.Nulls) == 0:
		in.assignTexts(dst, &v.Str, rows)
	default:
		for i, r := range rows {
			dst[i] = in.Number(v, int(r))
		}
	}
}

func (in *Table) assignCodes(dst []uint32, v *vec.Vector, rows []uint32) {
	seen := in.codesOf(v.Dict, len(rows))
	nulls := len(v.Nulls) > 0
	if seen == nil {
		for i, r := range rows {
			if nulls && v.Nulls.Get(int(r)) {
				dst[i] = in.NullNumber()
			} else {
				dst[i] = in.Number(v.Dict, int(v.Codes[r]))
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
			dst[i] = in.NullNumber()
			continue
		}
		c := v.Codes[r]
		n := seen[c]
		if n == 0 {
			n = in.Number(v.Dict, int(c)) + 1
			seen[c] = n
		}
		dst[i] = n - 1
	}
}

// lookUpCodes looks up the codes of rows that were not seen yet, in the order of the rows.
func (in *Table) lookUpCodes(seen []uint32, v *vec.Vector, rows []uint32) {
	in.codes = in.codes[:0]
	for _, r := range rows {
		if c := v.Codes[r]; seen[c] == 0 {
			seen[c] = None
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
func (in *Table) codesOf(dict *vec.Vector, rows int) []uint32 {
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
	if len(in.dicts) < MaxDicts {
		in.dicts = append(in.dicts, seenCodes{dict, make([]uint32, n)})
		return in.dicts[len(in.dicts)-1].numbers
	}
	s := &in.dicts[in.next]
	in.next = (in.next + 1) % MaxDicts
	s.dict, s.numbers = dict, grow(s.numbers, n)
	clear(s.numbers)
	return s.numbers
}

// assignTexts looks up texts. All hashes come first and then all slots, since memory answers
// many questions at once if none depends on another.
func (in *Table) assignTexts(dst []uint32, texts *vec.Strings, rows []uint32) {
	in.hashes, in.found = slices.Grow(in.hashes[:0], len(rows))[:len(rows)], grow(in.found, len(rows))
	for i, r := range rows {
		in.hashes[i] = maphash.Bytes(textSeed, texts.At(int(r)))
	}
	in.table.candidates(in.found, in.hashes)
	keys := &in.values.V.Str
	for i, r := range rows {
		text := texts.At(int(r))
		if e := in.found[i]; e != None && bytes.Equal(keys.At(int(e)), text) {
			dst[i] = e
			continue
		}
		n := in.table.find(text, in.hashes[i], keys)
		if n == None {
			n = in.table.add(in.hashes[i])
			keys.Offs, keys.Bytes = room(keys.Offs, 2), room(keys.Bytes, len(text))
			keys.Append(text)
		}
		dst[i] = n
	}
}

// Null is the number of NULL, or None if it has none.
func (in *Table) Null() uint32 { return in.null }

// NullNumber gives NULL a number, if it has none, and is that.
func (in *Table) NullNumber() uint32 {
	if in.null == None {
		in.null = uint32(in.Count())
		in.table.hashes = append(in.table.hashes, NullHash) // without a slot
		in.values.AppendNull()
		if in.apart != nil {
			in.apart.Append(nil)
		}
	}
	return in.null
}

// Number is the number of one value of a flat or constant vector.
func (in *Table) Number(v *vec.Vector, row int) uint32 {
	if v.Nulls.Get(row) {
		return in.NullNumber()
	}
	key := in.keyOf(v, row, &in.key)
	hash := maphash.Bytes(textSeed, key)
	n := in.table.find(key, hash, in.keys())
	if n == None {
		n = in.table.add(hash)
		if in.apart != nil {
			in.apart.Append(key)
		}
		in.values.AppendFrom(v, row)
	}
	return n
}

// Find is the number of one value of a flat or constant vector that is not NULL, or None.
func (in *Table) Find(v *vec.Vector, row int, scratch *[]byte) uint32 {
	k := in.keyOf(v, row, scratch)
	return in.table.find(k, maphash.Bytes(textSeed, k), in.keys())
}

// keyOf is the key of a value.
func (in *Table) keyOf(v *vec.Vector, row int, scratch *[]byte) []byte {
	if in.apart == nil {
		return v.Str.At(row)
	}
	*scratch = vec.AppendKey((*scratch)[:0], v, row)
	return *scratch
}

// textTable numbers distinct keys of bytes in order of first appearance.
type textTable struct {
	Index
	hashes []uint64 // of each entry
}

var textSeed = maphash.MakeSeed()

// find is the entry of a key, or None; keys are those of the entries.
func (t *textTable) find(key []byte, hash uint64, keys *vec.Strings) uint32 {
	if len(t.Slots) == 0 {
		return None
	}
	mask := uint64(len(t.Slots) - 1)
	for at := hash >> (t.Shift & 63); ; at++ {
		s := t.Slots[at&mask]
		if s == 0 {
			return None
		}
		if (s^hash)&TagBits == 0 && bytes.Equal(keys.At(int(uint32(s)-1)), key) {
			return uint32(s) - 1
		}
	}
}

// candidates writes the first entry to dst that is likely to be that of each hash, or None.
func (t *textTable) candidates(dst []uint32, hashes []uint64) {
	slots, shift := t.Slots, t.Shift
	if len(slots) == 0 {
		for i := range dst {
			dst[i] = None
		}
		return
	}
	mask := uint64(len(slots) - 1)
	for i, h := range hashes {
		at := h >> (shift & 63)
		s := slots[at&mask]
		for s != 0 && (s^h)&TagBits != 0 {
			at++
			s = slots[at&mask]
		}
		dst[i] = uint32(s) - 1 // None, if s is 0
	}
}

// add makes an entry for a key that has none.
func (t *textTable) add(hash uint64) uint32 {
	n := len(t.hashes)
	t.Index.Add(hash, n)
	t.hashes = append(room(t.hashes, 1), hash)
	return uint32(n)
}

func (t *textTable) Bytes() int64 { return t.Index.Bytes() + int64(8*cap(t.hashes)) }

// NullHash stands for NULL in hashes.
const NullHash = 0x9ae16a3b2f90404f

// grow is scratch memory for n values, which may be those of before.
func grow(s []uint32, n int) []uint32 {
	if cap(s) < n {
		return make([]uint32, n, n+n/4)
	}
	return s[:n]
}

// room makes room for n values more, and for twice as many at once: append makes a large slice a quarter larger
// each time, which copies every value five times until the slice has them all.
func room[T any](s []T, n int) []T {
	if len(s)+n > cap(s) {
		return slices.Grow(s, max(n, len(s)))
	}
	return s
}
