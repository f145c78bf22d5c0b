package dedup

import (
	"hash/maphash"
	"maps"
	"math/bits"
	"slices"

	"github.com/prickledb/prickle/storage/vec"
)

// RowBytes is about what a key takes in a table: 21 to 43 bytes.
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
		s = &keySet{slots: make([]key, max(64, slots))}
		t.sets[project] = s
	}
	return s
}

func (t *Table) projects() []uint32 { return slices.Sorted(maps.Keys(t.sets)) }

// keySet is an open-addressing table with linear probing, 21 to 43 bytes a key. The
// all-zero uuid, which marks a free slot, is kept apart.
type keySet struct {
	slots []key
	count int // without the zero one
	zero  bool
}

// home is the slot where the search for a hash begins. It is scaled, so that a table may
// have any size; larger hashes have later homes, so that growing is one sweep.
func (s *keySet) home(h uint64) int {
	hi, _ := bits.Mul64(h, uint64(len(s.slots)))
	return int(hi)
}

// peek is 0 only if the search for a hash ends at once, in a free slot.
func (s *keySet) peek(h uint64) uint64 {
	k := &s.slots[s.home(h)]
	return k.hi | k.lo
}

func (s *keySet) has(k key, h uint64) bool {
	if k == (key{}) {
		return s.zero
	}
	for i := s.home(h); ; i++ {
		if i == len(s.slots) {
			i = 0
		}
		switch s.slots[i] {
		case k:
			return true
		case key{}:
			return false
		}
	}
}

// add puts a key in, and says whether it was not there.
func (s *keySet) add(k key, h uint64) bool {
	if k == (key{}) {
		was := s.zero
		s.zero = true
		return !was
	}
	if (s.count+1)*4 > len(s.slots)*3 {
		s.grow()
	}
	for i := s.home(h); ; i++ {
		if i == len(s.slots) {
			i = 0
		}
		switch s.slots[i] {
		case k:
			return false
		case key{}:
			s.slots[i] = k
			s.count++
			return true
		}
	}
}

// grow doubles the table.
func (s *keySet) grow() {
	old := s.slots
	s.slots = make([]key, 2*len(old))
	var u vec.UUIDValue
	for _, k := range old {
		if k == (key{}) {
			continue
		}
		k.put(&u)
		i := s.home(tableHash(&u))
		for s.slots[i] != (key{}) {
			if i++; i == len(s.slots) {
				i = 0
			}
		}
		s.slots[i] = k
	}
}

// sorted is the keys in the order of a run.
func (s *keySet) sorted() []hashed {
	out := make([]hashed, 0, s.count+1)
	for _, k := range s.slots {
		if k != (key{}) {
			out = append(out, hash(k))
		}
	}
	if s.zero {
		out = append(out, hash(key{}))
	}
	return sortHashed(out)
}
