package storage

import "math"

// FirstEvents is, by the ordinal of each person who is not merged into another, the time of
// the person's first event in µs since 1970 UTC; math.MaxInt64 for one without events. It
// is made at the first call, and shared: do not modify it.
func (sn *Snapshot) FirstEvents() ([]int64, error) { return sn.first() }

func (sn *Snapshot) firstEvents() ([]int64, error) {
	out := make([]int64, sn.persons.Len())
	for i := range out {
		out[i] = math.MaxInt64
	}
	add := func(ord uint32, at int64) {
		if int(ord) < len(out) {
			root := sn.identity.Root(ord)
			out[root] = min(out[root], at)
		}
	}
	for _, s := range sn.segments {
		if err := s.eachFirst(add); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// eachFirst visits who has rows that count, with the time of one of them which is the
// earliest; where rows are dead or moved, with all of them.
func (s *Segment) eachFirst(visit func(ord uint32, at int64)) error {
	l, err := s.live()
	if err != nil {
		return err
	}
	if l.dead == nil && l.moved == nil {
		persons, err := s.Persons()
		if err != nil {
			return err
		}
		times, err := s.FirstTimes()
		if err != nil {
			return err
		}
		for i, o := range persons.Ordinals {
			visit(o, times[i])
		}
		return nil
	}
	var times [4096]int64
	var ordinals [4096]uint32
	for lo := 0; lo < s.Rows(); lo += len(times) {
		n := min(len(times), s.Rows()-lo)
		if err := s.Times(times[:n], lo, lo+n); err != nil {
			return err
		}
		if err := s.Ordinals(ordinals[:n], lo, lo+n); err != nil {
			return err
		}
		for i := range n {
			if l.dead == nil || !l.dead.Contains(uint32(lo+i)) {
				visit(ordinals[i], times[i])
			}
		}
	}
	return nil
}
