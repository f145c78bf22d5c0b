package agg

import (
	"encoding/binary"
	"math/bits"

	"github.com/prickledb/prickle/storage/vec"
)

// wideSet is a set of (group, 128 bits), for values that come without a dictionary: open addressing with
// linear probing, at most five eighths full.
type wideSet struct {
	values []wide   // the zero value is free
	groups []uint32 // of the values, once there may be several groups; nil: there is one
	used   int
	zeros  []bool // whether a group has the zero value
}

// wide is a value of 128 bits.
type wide struct{ hi, lo uint64 }

func wideOf(u *vec.UUIDValue) wide {
	return wide{binary.LittleEndian.Uint64(u[:8]), binary.LittleEndian.Uint64(u[8:])}
}

// hash is of the value and its group. Those of uuids that begin with a time are as good as others.
func (w wide) hash(group uint32) uint64 {
	hi, lo := bits.Mul64(w.hi^0x9e3779b97f4a7c15, w.lo^0xc2b2ae3d27d4eb4f)
	h := (hi ^ lo + uint64(group)) * wordMask
	return h ^ h>>32
}

// empty forgets all values and keeps the memory.
func (s *wideSet) empty() {
	clear(s.values)
	s.used, s.zeros = 0, nil
}

func (s *wideSet) bytes() int64 { return int64(16*cap(s.values) + 4*cap(s.groups) + cap(s.zeros)) }

// any says whether there is a value.
func (s *wideSet) any() bool { return s.used > 0 || s.zeros != nil }

// add adds values of the given rows. If one is not there yet, the count of its group grows.
func (s *wideSet) add(groups []uint32, values []vec.UUIDValue, rows []uint32, counts []int64) {
	if len(counts) > 1 && s.groups == nil {
		s.groups = make([]uint32, len(s.values))
	}
	for i, r := range rows {
		if 8*(s.used+1) > 5*len(s.values) {
			s.grow()
		}
		w, g := wideOf(&values[r]), groups[i]
		if w == (wide{}) {
			if s.zeros = grow(s.zeros, len(counts)); !s.zeros[g] {
				s.zeros[g] = true
				counts[g]++
			}
			continue
		}
		mask := uint64(len(s.values) - 1)
		at := w.hash(g) & mask
		for s.values[at] != (wide{}) && (s.values[at] != w || s.groups != nil && s.groups[at] != g) {
			at = (at + 1) & mask
		}
		if s.values[at] == (wide{}) {
			s.put(at, w, g)
			counts[g]++
		}
	}
}

func (s *wideSet) put(at uint64, w wide, g uint32) {
	s.values[at] = w
	if s.groups != nil {
		s.groups[at] = g
	}
	s.used++
}

// grow gives the set twice as many places.
func (s *wideSet) grow() {
	old := *s
	s.values, s.used = make([]wide, max(64, 2*len(old.values))), 0
	if old.groups != nil {
		s.groups = make([]uint32, len(s.values))
	}
	mask := uint64(len(s.values) - 1)
	old.each(func(g uint32, w wide) {
		at := w.hash(g) & mask
		for s.values[at] != (wide{}) {
			at = (at + 1) & mask
		}
		s.put(at, w, g)
	})
}

// each visits the values but for zeros.
func (s *wideSet) each(do func(g uint32, w wide)) {
	for i, w := range s.values {
		if w == (wide{}) {
			continue
		}
		g := uint32(0)
		if s.groups != nil {
			g = s.groups[i]
		}
		do(g, w)
	}
}

// all is the values and their groups.
func (s *wideSet) all() (groups []uint32, values []vec.UUIDValue) {
	for g, has := range s.zeros {
		if has {
			groups, values = append(groups, uint32(g)), append(values, vec.UUIDValue{})
		}
	}
	s.each(func(g uint32, w wide) {
		var u vec.UUIDValue
		binary.LittleEndian.PutUint64(u[:8], w.hi)
		binary.LittleEndian.PutUint64(u[8:], w.lo)
		groups, values = append(groups, g), append(values, u)
	})
	return groups, values
}
