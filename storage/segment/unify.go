package segment

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/zeebo/xxh3"

	"github.com/prickledb/prickle/storage/event"
	"github.com/prickledb/prickle/storage/vec"
)

// maxText bounds the distinct text of one column: offsets into it have 32 bits.
const maxText = 1<<32 - 1

// unifier gives equal values from several dictionaries one number. Rows are then only
// ever looked at as numbers.
type unifier struct {
	kinds []event.Kind
	num   []int64 // Bool: 0 or 1; Int: the value; Float: its bits; others: position in text
	text  vec.Strings
	slots []uint64 // open addressing: high half of the hash, id plus one; 0 is free
}

func (u *unifier) len() int { return len(u.kinds) }

// addBatch adds the values of a batch's dictionary and returns the id of each. With
// used, only those are added.
func (u *unifier) addBatch(kinds []event.Kind, values *vec.Strings, used vec.Bitmap) ([]uint32, error) {
	ids := make([]uint32, values.Len())
	for i := range ids {
		if used != nil && !used.Get(i) {
			continue
		}
		kind := event.Text
		if kinds != nil {
			kind = kinds[i]
		}
		id, err := u.add(kind, values.At(i))
		if err != nil {
			return nil, err
		}
		ids[i] = id
	}
	return ids, nil
}

// add is the id of a value given by its text. A number whose text would not survive
// being kept in binary is kept as text.
func (u *unifier) add(kind event.Kind, text []byte) (uint32, error) {
	switch kind {
	case event.Null:
		return u.addNum(event.Null, 0), nil
	case event.Bool:
		if len(text) > 0 && text[0] == 't' {
			return u.addNum(event.Bool, 1), nil
		}
		return u.addNum(event.Bool, 0), nil
	case event.Int:
		if v, ok := parseInt(text); ok {
			return u.addNum(event.Int, v), nil
		}
		kind = event.Number
	case event.Float:
		var space [32]byte
		f, err := strconv.ParseFloat(string(text), 64)
		if err == nil && bytes.Equal(event.AppendFloat(space[:0], f), text) {
			return u.addNum(event.Float, int64(math.Float64bits(f))), nil
		}
		kind = event.Number
	case event.Number, event.Text, event.JSON:
	default:
		return 0, fmt.Errorf("value of kind %d", kind)
	}
	return u.addText(kind, text)
}

// parseInt reads what strconv.AppendInt writes, and nothing else.
func parseInt(text []byte) (int64, bool) {
	digits := text
	negative := len(text) > 0 && text[0] == '-'
	if negative {
		digits = text[1:]
	}
	if len(digits) == 0 || len(digits) > 19 || digits[0] == '0' && (len(digits) > 1 || negative) {
		return 0, false
	}
	var v uint64
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false
		}
		v = v*10 + uint64(c-'0') // 19 digits fit
	}
	if negative {
		return -int64(v), v <= 1<<63
	}
	return int64(v), v < 1<<63
}

func (u *unifier) addNum(kind event.Kind, v int64) uint32 {
	hash := (uint64(v) ^ uint64(kind)<<56) * 0x9e3779b97f4a7c15
	hash ^= hash >> 29
	hash *= 0xbf58476d1ce4e5b9
	u.grow()
	tag := hash >> 32
	mask := uint64(len(u.slots) - 1)
	for at := tag & mask; ; at = (at + 1) & mask {
		slot := u.slots[at]
		if slot == 0 {
			return u.insert(at, tag, kind, v)
		}
		if id := uint32(slot) - 1; slot>>32 == tag && u.num[id] == v && u.kinds[id] == kind {
			return id
		}
	}
}

func (u *unifier) addText(kind event.Kind, text []byte) (uint32, error) {
	hash := xxh3.Hash(text) + uint64(kind)*0x9e3779b97f4a7c15
	u.grow()
	tag := hash >> 32
	mask := uint64(len(u.slots) - 1)
	for at := tag & mask; ; at = (at + 1) & mask {
		slot := u.slots[at]
		if slot == 0 {
			if len(u.text.Bytes)+len(text) > maxText {
				return 0, fmt.Errorf("more than %d bytes of distinct text", maxText)
			}
			u.text.Append(text)
			return u.insert(at, tag, kind, int64(u.text.Len()-1)), nil
		}
		if id := uint32(slot) - 1; slot>>32 == tag && u.kinds[id] == kind && string(u.text.At(int(u.num[id]))) == string(text) {
			return id, nil
		}
	}
}

func (u *unifier) insert(at, tag uint64, kind event.Kind, num int64) uint32 {
	u.kinds = append(u.kinds, kind)
	u.num = append(u.num, num)
	u.slots[at] = tag<<32 | uint64(len(u.kinds))
	return uint32(len(u.kinds) - 1)
}

func (u *unifier) grow() {
	if (len(u.kinds)+1)*4 <= len(u.slots)*3 {
		return
	}
	old := u.slots
	u.slots = make([]uint64, max(64, 2*len(old)))
	mask := uint64(len(u.slots) - 1)
	for _, slot := range old {
		if slot == 0 {
			continue
		}
		at := slot >> 32 & mask
		for u.slots[at] != 0 {
			at = (at + 1) & mask
		}
		u.slots[at] = slot
	}
}

// at is the text of a value of kind Number, Text or JSON.
func (u *unifier) at(id uint32) []byte { return u.text.At(int(u.num[id])) }

// order is the ids by kind, then by value: numbers by size, text by bytes.
func (u *unifier) order() []uint32 {
	var counts [8]int
	for _, k := range u.kinds {
		counts[k+1]++
	}
	for k := 1; k < len(counts); k++ {
		counts[k] += counts[k-1]
	}
	starts := counts
	out := make([]uint32, len(u.kinds))
	for id, k := range u.kinds {
		out[starts[k]] = uint32(id)
		starts[k]++
	}
	for k := range event.JSON + 1 {
		part := out[counts[k]:counts[k+1]]
		if k < event.Number {
			u.sortNums(k, part)
		} else {
			u.sortTexts(part)
		}
	}
	return out
}

func (u *unifier) sortNums(kind event.Kind, ids []uint32) {
	if len(ids) < 2 {
		return
	}
	keys := make([]entry, len(ids))
	for i, id := range ids {
		v := u.num[id]
		if kind == event.Float {
			v = floatKey(v)
		}
		keys[i] = entry{uint64(v) ^ 1<<63, id}
	}
	sortEntries(keys, nil)
	for i := range keys {
		ids[i] = keys[i].row
	}
}

// floatKey maps the bits of floats to integers of the same order, and back.
func floatKey(bits int64) int64 { return bits ^ int64(uint64(bits>>63)>>1) }

// sortTexts orders by bytes. What all values begin with is skipped, and the next eight
// bytes decide most comparisons.
func (u *unifier) sortTexts(ids []uint32) {
	if len(ids) < 2 {
		return
	}
	shared := len(u.at(ids[0]))
	first := u.at(ids[0])
	for _, id := range ids[1:] {
		v := u.at(id)
		same := 0
		for same < min(shared, len(v)) && v[same] == first[same] {
			same++
		}
		shared = same
	}
	keys := make([]entry, len(ids))
	for i, id := range ids {
		keys[i] = entry{prefixKey(u.at(id)[shared:]), id}
	}
	slices.SortFunc(keys, func(a, b entry) int {
		if a.key != b.key {
			return cmp.Compare(a.key, b.key)
		}
		return bytes.Compare(u.at(a.row)[shared:], u.at(b.row)[shared:])
	})
	for i := range keys {
		ids[i] = keys[i].row
	}
}

// prefixKey orders as the first eight bytes do, with zeros behind a shorter text.
func prefixKey(v []byte) uint64 {
	if len(v) >= 8 {
		return binary.BigEndian.Uint64(v)
	}
	var key uint64
	for i, b := range v {
		key |= uint64(b) << (56 - 8*i)
	}
	return key
}
