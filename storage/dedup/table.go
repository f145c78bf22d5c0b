package dedup

import (
	"hash/maphash"
	"maps"
	"slices"

	"github.com/prickledb/prickle/storage/vec"
)

// RowBytes is about what a key takes in a table: 27 to 38 bytes.
const RowBytes = 32

// Table is the keys of one period that no run holds yet. It is changed by one goroutine,
// and read by others once it is sealed.
type Table struct {
	period      int64
	first, last int64 // entry times of its keys
	sets        map[uint32]*keySet
}

// tableSeed keeps the places of keys from whoever chooses uuids. What a table answers does
// not depend on it.
var tableSeed = maphash.MakeSeed()

func tableHash(u *vec.UUIDValue) uint64 { return maphash.Bytes(tableSeed, u[:]) }

func newTable(period, at int64) *Table {
	return &Table{period: period, first: at, last: at, sets: map[uint32]*keySet{}}
}

// set is the keys of a project, made with so many slots if there are none.
func (t *Table) set(project uint32, slots int) *keySet {
	s := t.sets[project]
	if s == nil {
		s = &keySet{slots: make([]uint64, max(64, slots))}
		t.sets[project] = s
	}
	return s
}

func (t *Table) projects() []uint32 { return slices.Sorted(maps.Keys(t.sets)) }

// keySet is keys in the order in which they came, and an open-addressing table with linear probing
// of where they are: 27 to 38 bytes a key. A slot is the upper half of a hash and one more than a
// position; 0 is free. So growing looks at slots alone, and keys stay where they are.
type keySet struct {
	slots []uint64
	keys  [][]key // pageKeys each, but the last
	count int
}

// pageKeys is how many keys lie in one piece of memory: 64 KB.
const pageKeys = 1 << 12

// home is the slot where the search for a hash begins. It is scaled, so that a table may
// have any size; larger hashes have later homes, so that growing is one sweep.
func (s *keySet) home(h uint64) int { return int(h >> 32 * uint64(len(s.slots)) >> 32) }

// peek is 0 only if the search for a hash ends at once, in a free slot.
func (s *keySet) peek(h uint64) uint64 { return s.slots[s.home(h)] }

func (s *keySet) at(position uint32) key { return s.keys[position/pageKeys][position%pageKeys] }

// find is the slot that leads to a key, or the free one where it belongs.
func (s *keySet) find(k key, h uint64) (slot int, found bool) {
	for slot = s.home(h); ; slot++ {
		if slot == len(s.slots) {
			slot = 0
		}
		switch v := s.slots[slot]; {
		case v == 0:
			return slot, false
		case v>>32 == h>>32 && s.at(uint32(v)-1) == k:
			return slot, true
		}
	}
}

func (s *keySet) has(k key, h uint64) bool {
	_, found := s.find(k, h)
	return found
}

// add puts a key in, and says whether it was not there.
func (s *keySet) add(k key, h uint64) bool {
	if (s.count+1)*4 > len(s.slots)*3 {
		s.grow()
	}
	slot, found := s.find(k, h)
	if found {
		return false
	}
	last := s.count / pageKeys
	switch {
	case last < len(s.keys):
	case last == 0: // often the only one, and small
		s.keys = append(s.keys, nil)
	default:
		s.keys = append(s.keys, make([]key, 0, pageKeys))
	}
	s.keys[last] = append(s.keys[last], k)
	s.count++
	s.slots[slot] = h>>32<<32 | uint64(s.count)
	return true
}

// grow doubles the table.
func (s *keySet) grow() {
	old := s.slots
	s.slots = make([]uint64, 2*len(old))
	for _, v := range old {
		if v == 0 {
			continue
		}
		i := s.home(v)
		for s.slots[i] != 0 {
			if i++; i == len(s.slots) {
				i = 0
			}
		}
		s.slots[i] = v
	}
}

// sorted is the keys in the order of a run.
func (s *keySet) sorted() []hashed {
	out := make([]hashed, 0, s.count)
	for _, page := range s.keys {
		for _, k := range page {
			out = append(out, hash(k))
		}
	}
	return sortHashed(out)
}
