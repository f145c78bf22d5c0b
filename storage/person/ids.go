package person

import (
	"encoding/binary"
	"unsafe"

	"github.com/zeebo/xxh3"

	"github.com/prickledb/prickle/storage/vec"
)

// Distinct ids lie one behind the other in pages, and are told by their position in the order
// of first sight. No pointer leads to each of them: with millions of persons, the garbage
// collector has nothing to follow.

// idList is distinct ids by position. Lists and pages only grow, so a copy keeps its prefix.
type idList struct {
	pages [][]byte // each id: uvarint length, bytes; what is written does not change
	at    []idAt
}

// idAt is where a distinct id lies, and the ordinal that it was given.
type idAt struct{ page, offset, owner uint32 }

// idText is the id at a position. It is valid for good.
func (l *idList) idText(i int) string {
	at := &l.at[i]
	src := l.pages[at.page][at.offset:]
	n, width := binary.Uvarint(src)
	return lent(src[width : width+int(n)])
}

// lent is bytes as a string, as long as they are not written to.
func lent(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

func (l *idList) owner(i int) uint32 { return l.at[i].owner }

func (l *idList) len() int { return len(l.at) }

// prefix is the list as it is now, for readers.
func (l *idList) prefix() idList {
	return idList{l.pages[:len(l.pages):len(l.pages)], l.at[:len(l.at):len(l.at)]}
}

// ids is an idList in the making, whose ids are found by a table with open addressing and
// linear probing.
type ids struct {
	idList
	used  int      // bytes of the last page
	slots []uint64 // the upper half of a hash, and one more than a position; 0: free
	found int      // slots that are not free
}

// The first page is small, for there are small projects; others are as large as all before
// them, and at most the most.
const (
	leastPage = 512
	mostPage  = 1 << 18
)

// home is the slot where the search for a hash begins. Larger hashes have later homes, so that
// growing is one sweep.
func (t *ids) home(h uint64) int { return int(h >> 32 * uint64(len(t.slots)) >> 32) }

// slot is the one that leads to an id, or the free one where it belongs.
func (t *ids) slot(id string, h uint64) (slot int, found bool) {
	for slot = t.home(h); ; slot++ {
		if slot == len(t.slots) {
			slot = 0
		}
		switch v := t.slots[slot]; {
		case v == 0:
			return slot, false
		case v>>32 == h>>32 && t.idText(int(uint32(v)-1)) == id:
			return slot, true
		}
	}
}

// position is where an id that counts lies in the list.
func (t *ids) position(id string) (int, bool) {
	if t.found == 0 {
		return 0, false
	}
	slot, found := t.slot(id, xxh3.HashString(id))
	return int(uint32(t.slots[slot]) - 1), found
}

// get is the ordinal of an id.
func (t *ids) get(id string) (uint32, bool) {
	i, ok := t.position(id)
	if !ok {
		return 0, false
	}
	return t.owner(i), true
}

// known fills dst with one more than the ordinal of each of some ids, 0 for one that has none.
func (t *ids) known(dst []uint32, of *vec.Strings) {
	for i := range dst {
		if o, ok := t.get(of.Str(i)); ok {
			dst[i] = o + 1
		}
	}
}

// add puts an id that is not found behind the others.
func (t *ids) add(id string, owner uint32) {
	if (t.found+1)*4 > len(t.slots)*3 {
		t.grow()
	}
	h := xxh3.HashString(id)
	slot, _ := t.slot(id, h)
	page, size := len(t.pages)-1, len(id)+binary.MaxVarintLen64
	if page < 0 || len(t.pages[page])-t.used < size {
		next := leastPage
		if page >= 0 {
			next = min(2*len(t.pages[page]), mostPage)
		}
		t.pages, t.used = append(t.pages, make([]byte, max(next, size))), 0
		page++
	}
	t.at = append(t.at, idAt{uint32(page), uint32(t.used), owner})
	dst := t.pages[page][t.used:]
	n := binary.PutUvarint(dst, uint64(len(id)))
	t.used += n + copy(dst[n:], id)
	t.slots[slot] = h>>32<<32 | uint64(len(t.at))
	t.found++
}

// grow doubles the slots.
func (t *ids) grow() {
	before := t.slots
	t.slots = make([]uint64, max(16, 2*len(before)))
	for _, v := range before {
		if v != 0 {
			t.place(v)
		}
	}
}

// place puts a slot's value into the first free slot behind its home.
func (t *ids) place(v uint64) {
	slot := t.home(v)
	for t.slots[slot] != 0 {
		if slot++; slot == len(t.slots) {
			slot = 0
		}
	}
	t.slots[slot] = v
}

// remove lets an id be found no more; it keeps its position. It says which that is.
func (t *ids) remove(id string) (position int, found bool) {
	if t.found == 0 {
		return 0, false
	}
	slot, found := t.slot(id, xxh3.HashString(id))
	if !found {
		return 0, false
	}
	position = int(uint32(t.slots[slot]) - 1)
	t.slots[slot] = 0
	t.found--
	// Those behind it may have been kept from their homes by it.
	for {
		if slot++; slot == len(t.slots) {
			slot = 0
		}
		v := t.slots[slot]
		if v == 0 {
			return position, true
		}
		t.slots[slot] = 0
		t.place(v)
	}
}
