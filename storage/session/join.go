package session

import (
	"bytes"
	"context"
	"slices"
	"weak"

	"github.com/prickledb/prickle/storage/segment"
	"github.com/prickledb/prickle/storage/vec"
)

// Numbered is a segment with its sessions.
type Numbered struct {
	*segment.Reader
	IDs *IDs
}

// Member is what a session is in one of several segments.
type Member struct {
	Segment int // position in the list of segments
	Number  uint32
}

// Joined is which sessions go on from one segment of a list to another.
type Joined struct {
	keys     []weak.Pointer[segment.Reader]
	sessions [][]Member          // each in at least two segments; nil where the number is not used any more
	by       []map[uint32]uint32 // by segment: the position in sessions of a number
}

// Sessions is the sessions that are in several segments, by their joint number. Those that
// are nil do not count.
func (j *Joined) Sessions() [][]Member { return j.sessions }

// Of is which sessions of a segment are in others as well: joint numbers by number.
func (j *Joined) Of(segment int) map[uint32]uint32 { return j.by[segment] }

// Bytes is about how much memory the list takes.
func (j *Joined) Bytes() int64 {
	n := int64(0)
	for _, members := range j.sessions {
		n += 24 + 48*int64(len(members))
	}
	return n
}

// Join finds out which sessions of a list of segments are the same. What is known of
// another list, if was is not nil, need not be found out again: only the segments that are
// not in it are compared, with all others. That takes memory for a while, which hold is asked
// for, and told of when it is given back.
func Join(ctx context.Context, segments []Numbered, was *Joined, hold func(ctx context.Context, bytes int64) error) (*Joined, error) {
	j := &Joined{keys: make([]weak.Pointer[segment.Reader], len(segments)), by: make([]map[uint32]uint32, len(segments))}
	for i, s := range segments {
		j.keys[i], j.by[i] = weak.Make(s.Reader), map[uint32]uint32{}
	}
	if was != nil && slices.Equal(j.keys, was.keys) {
		return was, nil
	}
	known := j.keep(was)
	x := &joint{Joined: j, segments: segments, texts: map[int]*vec.Strings{}}
	for i, s := range segments {
		if !known[i] {
			x.sessions += s.IDs.Len()
		}
	}
	if x.sessions == 0 {
		return j, nil
	}
	bytes := slotBytes * int64(slotCount(x.sessions))
	if err := hold(ctx, bytes); err != nil {
		return nil, err
	}
	x.slots = make([]slot, slotCount(x.sessions))
	for _, fresh := range []bool{true, false} { // what is new is put into the table first
		for i := range segments {
			if known[i] == fresh {
				continue
			}
			if err := x.add(ctx, i, fresh); err != nil {
				return nil, err
			}
		}
	}
	return j, hold(ctx, -bytes)
}

// keep takes over what was known of the segments that are still in the list, and says which
// those are.
func (j *Joined) keep(was *Joined) (known []bool) {
	known = make([]bool, len(j.keys))
	if was == nil {
		return known
	}
	now := map[weak.Pointer[segment.Reader]]int{}
	for i, k := range j.keys {
		now[k] = i
	}
	for _, k := range was.keys {
		if i, ok := now[k]; ok {
			known[i] = true
		}
	}
	for _, members := range was.sessions {
		var kept []Member
		for _, m := range members {
			if i, ok := now[was.keys[m.Segment]]; ok {
				kept = append(kept, Member{i, m.Number})
			}
		}
		if len(kept) > 1 {
			j.put(kept)
		}
	}
	return known
}

// put adds a session.
func (j *Joined) put(members []Member) {
	for _, m := range members {
		j.by[m.Segment][m.Number] = uint32(len(j.sessions))
	}
	j.sessions = append(j.sessions, members)
}

// same says that two members are one session.
func (j *Joined) same(a, b Member) {
	of, hasA := j.by[a.Segment][a.Number]
	with, hasB := j.by[b.Segment][b.Number]
	switch {
	case !hasA && !hasB:
		j.put([]Member{a, b})
	case hasA && !hasB:
		j.by[b.Segment][b.Number] = of
		j.sessions[of] = append(j.sessions[of], b)
	case hasB && !hasA:
		j.by[a.Segment][a.Number] = with
		j.sessions[with] = append(j.sessions[with], a)
	case of != with:
		for _, m := range j.sessions[with] {
			j.by[m.Segment][m.Number] = of
		}
		j.sessions[of] = append(j.sessions[of], j.sessions[with]...)
		j.sessions[with] = nil
	}
}

// joint finds sessions that are the same by a hash table of those of new segments.
type joint struct {
	*Joined
	segments []Numbered
	sessions int // to put into the table
	slots    []slot
	texts    map[int]*vec.Strings // of segments, as far as they were read
}

// slot is a session in the table. The segment is one more than its position; 0 is free.
type slot struct {
	hash            uint64
	segment, number uint32
}

const (
	// slotLoad is how many slots there are for a session, at least.
	slotLoad  = 2
	slotBytes = 16
)

// slotCount is how many slots a table of so many sessions has: a power of two.
func slotCount(sessions int) int {
	n := 16
	for n < slotLoad*sessions {
		n *= 2
	}
	return n
}

// add compares the sessions of a segment with those of the table, and puts in those that
// are not there if it is to.
func (x *joint) add(ctx context.Context, seg int, put bool) error {
	mask := uint64(len(x.slots) - 1)
	ids := x.segments[seg].IDs
	for number, hash := range ids.hashes {
		if number%batchRows == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if uint32(number) == ids.empty {
			continue
		}
		at := hash & mask
		for x.slots[at].segment != 0 {
			s := &x.slots[at]
			if s.hash == hash {
				a, b := Member{int(s.segment) - 1, s.number}, Member{seg, uint32(number)}
				same, err := x.equal(a, b)
				if err != nil {
					return err
				}
				if same {
					x.same(a, b)
					break
				}
			}
			at = (at + 1) & mask
		}
		if put && x.slots[at].segment == 0 {
			x.slots[at] = slot{hash, uint32(seg) + 1, uint32(number)}
		}
	}
	return nil
}

func (x *joint) equal(a, b Member) (bool, error) {
	s, err := x.text(a)
	if err != nil {
		return false, err
	}
	t, err := x.text(b)
	return bytes.Equal(s, t), err
}

func (x *joint) text(m Member) ([]byte, error) {
	texts := x.texts[m.Segment]
	if texts == nil {
		s := x.segments[m.Segment]
		var err error
		if texts, err = s.IDs.Texts(s.Reader); err != nil {
			return nil, err
		}
		x.texts[m.Segment] = texts
	}
	return texts.At(int(m.Number)), nil
}
