package exec

import (
	"hash/maphash"

	"github.com/prickledb/prickle/storage/vec"
)

// textTable numbers distinct keys of bytes in order of first appearance: open addressing with
// linear probing, at most half full. A slot has half of the hash, so that a key is compared
// with another only where they are most likely the same.
type textTable struct {
	slots  []textSlot
	hashes []uint64 // of each entry
}

type textSlot struct {
	tag   uint32
	entry uint32 // plus one; 0 is free
}

var textSeed = maphash.MakeSeed()

// find is the entry of a key, or noGroup; at gives the key of an entry.
func (t *textTable) find(key []byte, hash uint64, at func(entry uint32) []byte) uint32 {
	if len(t.slots) == 0 {
		return noGroup
	}
	mask := uint64(len(t.slots) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		s := t.slots[i]
		if s.entry == 0 {
			return noGroup
		}
		if s.tag == uint32(hash>>32) && string(at(s.entry-1)) == string(key) {
			return s.entry - 1
		}
	}
}

// add makes an entry for a key that has none.
func (t *textTable) add(hash uint64) {
	if 2*len(t.hashes) >= len(t.slots) {
		t.slots = make([]textSlot, max(64, 2*len(t.slots)))
		for e, h := range t.hashes {
			t.put(h, uint32(e))
		}
	}
	t.put(hash, uint32(len(t.hashes)))
	t.hashes = append(t.hashes, hash)
}

func (t *textTable) put(hash uint64, entry uint32) {
	mask := uint64(len(t.slots) - 1)
	i := hash & mask
	for t.slots[i].entry != 0 {
		i = (i + 1) & mask
	}
	t.slots[i] = textSlot{uint32(hash >> 32), entry + 1}
}

func (t *textTable) bytes() int64 { return int64(8 * (cap(t.slots) + cap(t.hashes))) }

// textKeys numbers the values of an interner by keys of bytes.
type textKeys struct {
	table  textTable
	number []uint32    // of each entry: the number of its value
	apart  bool        // keys are other than the bytes of the values
	keys   vec.Strings // of each entry, if so
}

func (k *textKeys) bytes() int64 {
	return k.table.bytes() + int64(4*cap(k.number)+cap(k.keys.Bytes)+4*cap(k.keys.Offs))
}

// textOf is the key of an entry.
func (in *interner) textOf(entry uint32) []byte {
	if in.texts.apart {
		return in.texts.keys.At(int(entry))
	}
	return in.values.V.Str.At(int(in.texts.number[entry]))
}

func (in *interner) numberText(key []byte, v *vec.Vector, row int) uint32 {
	hash := maphash.Bytes(textSeed, key)
	if e := in.texts.table.find(key, hash, in.textOf); e != noGroup {
		return in.texts.number[e]
	}
	n := uint32(in.count())
	in.texts.table.add(hash)
	in.texts.number = append(in.texts.number, n)
	if in.texts.apart {
		in.texts.keys.Append(key)
	}
	in.values.AppendFrom(v, row)
	return n
}

func (in *interner) findText(key []byte) uint32 {
	if e := in.texts.table.find(key, maphash.Bytes(textSeed, key), in.textOf); e != noGroup {
		return in.texts.number[e]
	}
	return noGroup
}
