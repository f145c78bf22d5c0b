package cohort

import (
	"encoding/binary"
	"maps"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/prickledb/prickle/storage/wire"
)

// Table is the static cohorts of a project. It is immutable.
type Table struct{ members map[int64]*roaring.Bitmap }

// Members is the ordinals that a static cohort was given; nil for one that was never given
// any. It is shared: do not modify it.
func (t *Table) Members(cohort int64) *roaring.Bitmap { return t.members[cohort] }

// With is the cohorts with other members of one.
func (t *Table) With(cohort int64, members *roaring.Bitmap) *Table {
	s := State{table: t}
	s.Set(cohort, members)
	return s.Publish()
}

// State is the static cohorts of a project as apply changes them. It is used by one
// goroutine at a time; the zero value is without cohorts.
type State struct {
	table   *Table
	changed map[int64]bool // since the last delta
}

// Publish is the cohorts as they are now, for readers.
func (s *State) Publish() *Table {
	if s.table == nil {
		s.table = &Table{}
	}
	return s.table
}

// Set makes members those of a cohort; with nil it forgets the cohort. The bitmap is the
// state's from now on.
func (s *State) Set(cohort int64, members *roaring.Bitmap) {
	next := maps.Clone(s.Publish().members)
	if next == nil {
		next = map[int64]*roaring.Bitmap{}
	}
	if members == nil {
		delete(next, cohort)
	} else {
		members.RunOptimize()
		next[cohort] = members
	}
	s.table = &Table{next}
	if s.changed == nil {
		s.changed = map[int64]bool{}
	}
	s.changed[cohort] = true
}

// A delta is the cohorts that changed since the delta before, or with full all there are:
//
//	uvarint cohorts, ascending; of each: uvarint number, uvarint size of its members,
//	0 if there is no such cohort any more, and these as a portable roaring bitmap

// Changed says whether the next delta would hold anything.
func (s *State) Changed() bool { return len(s.changed) > 0 }

// Empty says whether a delta of everything would hold nothing.
func (s *State) Empty() bool { return len(s.Publish().members) == 0 }

// Delta appends what changed since the last call, and forgets it. With full, it appends
// everything.
func (s *State) Delta(dst []byte, full bool) []byte {
	t := s.Publish()
	ids := slices.Sorted(maps.Keys(s.changed))
	if full {
		ids = slices.Sorted(maps.Keys(t.members))
	}
	dst = binary.AppendUvarint(dst, uint64(len(ids)))
	for _, id := range ids {
		var raw []byte
		if m := t.members[id]; m != nil {
			var err error
			if raw, err = m.ToBytes(); err != nil {
				panic(err) // it writes to memory
			}
		}
		dst = binary.AppendUvarint(dst, uint64(id))
		dst = binary.AppendUvarint(dst, uint64(len(raw)))
		dst = append(dst, raw...)
	}
	s.changed = nil
	return dst
}

// Load applies a delta, which must be the whole of src.
func (s *State) Load(src []byte) error {
	err := Walk(src, s.Set)
	s.changed = nil
	return err
}

// Walk shows the cohorts of a delta; their members are nil if there is no such cohort any
// more.
func Walk(delta []byte, visit func(cohort int64, members *roaring.Bitmap)) error {
	r := &wire.Reader{Src: delta}
	for n := r.Uvarint(); n > 0 && r.Err == nil; n-- {
		id := int64(r.Uvarint())
		raw := r.Take(r.Count("bytes", len(r.Src)))
		if r.Err != nil {
			break
		}
		var members *roaring.Bitmap
		if len(raw) > 0 {
			members = roaring.New()
			if err := members.UnmarshalBinary(raw); err != nil {
				r.Fail("members of cohort %d: %w", id, err)
				break
			}
			if err := members.Validate(); err != nil {
				r.Fail("members of cohort %d: %w", id, err)
				break
			}
		}
		visit(id, members)
	}
	return r.End()
}
