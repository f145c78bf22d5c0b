package intern

import (
	"math"
	"math/bits"
)

// Index finds entries by hash: open addressing with linear probing, at most half full. A
// slot has half of the hash in its upper half, by which a wrong entry is nearly always told
// from the right one, and the table grows without a look at the entries; and in its lower half
// the entry's number plus one. A free slot is 0.
type Index struct {
	Slots []uint64 // a power of two of them, or none
	Shift uint     // of a hash, to the place of its slot
}

// TagBits are the bits of a hash that a slot has, besides the number.
const TagBits = math.MaxUint64 &^ math.MaxUint32

// grow makes room for twice as many entries.
func (t *Index) grow() {
	t.resize(max(64, 2*len(t.Slots)))
}

// resize gives the table n slots, a power of two.
func (t *Index) resize(n int) {
	old := t.Slots
	t.Slots, t.Shift = make([]uint64, n), uint(64-bits.TrailingZeros(uint(n)))
	for _, s := range old {
		if s != 0 {
			t.put(s)
		}
	}
}

// Expect makes room for so many entries in an empty table.
func (t *Index) Expect(n int) {
	if 2*n > len(t.Slots) {
		t.resize(1 << bits.Len(uint(max(64, 2*n)-1)))
	}
}

// put takes a free slot.
func (t *Index) put(slot uint64) {
	mask := uint64(len(t.Slots) - 1)
	at := slot >> (t.Shift & 63)
	for t.Slots[at] != 0 {
		at = (at + 1) & mask
	}
	t.Slots[at] = slot
}

// Add makes a slot for entry number n, the last one of n+1.
func (t *Index) Add(hash uint64, n int) {
	if 2*(n+1) > len(t.Slots) {
		t.grow()
	}
	t.put(hash&TagBits | uint64(n+1))
}

// Bytes is how much memory the slots take.
func (t *Index) Bytes() int64 { return int64(8 * cap(t.Slots)) }
