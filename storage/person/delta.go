package person

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/prickledb/prickle/storage/vec"
	"github.com/prickledb/prickle/storage/wire"
)

// A delta is what changed in a state since the delta before. In order:
//
//	uvarint  ordinals there were, and are
//	         uuid(16) of each new ordinal
//	uvarint  distinct ids that are new; of each: uvarint length, bytes, uvarint ordinal
//	uvarint  merges; of each: uvarint old, uvarint root
//	uvarint  profiles that changed, ascending; of each: uvarint ordinal, flags(1),
//	         varint created at, uvarint length, properties
//	uvarint  ordinals that were erased, ascending; then each
//	uvarint  moves; of each: hash of the distinct id(32), uvarint ordinal it moved to,
//	         uvarint ordinals it moved from; then each, ascending
//
// The last two lines are missing in state files of version 1. A distinct id that was known
// before has moved to another ordinal, or is that of another person now.
// Deltas are read in the order in which they were written. The delta of everything is one
// from an empty state.

// limits on what a delta may claim, so that a damaged one cannot ask for memory.
const maxPropertyBytes = 64 << 20

// Delta appends what changed since the last call, and forgets it. With full, it appends
// everything.
func (s *State) Delta(dst []byte, full bool) []byte {
	from, first, changed, merges, erased, moves := s.firstOrdinal, s.firstID, s.changed, s.merges, s.erased, s.identity.moves[s.firstMove:]
	if full {
		s.table.tidy()
		s.published = false
		from, first = 0, 0
		erased, moves = s.identity.erased.ToArray(), s.identity.moves
		merges = nil
		for _, o := range s.identity.merged.ToArray() {
			merges = append(merges, [2]uint32{o, s.identity.Root(o)})
		}
		changed = roaring.New()
		for o := range uint32(len(s.table.uuids)) {
			if p := s.table.read(o); p.flags != 0 || len(p.properties) > 0 {
				changed.Add(o)
			}
		}
	}
	dst = binary.AppendUvarint(dst, uint64(from))
	dst = binary.AppendUvarint(dst, uint64(len(s.table.uuids)))
	for _, u := range s.table.uuids[from:] {
		dst = append(dst, u[:]...)
	}
	gone := s.table.gone.Rank(^uint32(0))
	if first > 0 {
		gone -= s.table.gone.Rank(uint32(first - 1))
	}
	dst = binary.AppendUvarint(dst, uint64(s.table.ids.len()-first)-gone)
	for i := first; i < s.table.ids.len(); i++ {
		if s.table.gone.Contains(uint32(i)) {
			continue
		}
		id := s.table.ids.idText(i)
		dst = binary.AppendUvarint(dst, uint64(len(id)))
		dst = append(dst, id...)
		dst = binary.AppendUvarint(dst, uint64(s.table.ids.owner(i)))
	}
	dst = binary.AppendUvarint(dst, uint64(len(merges)))
	for _, m := range merges {
		dst = binary.AppendUvarint(dst, uint64(m[0]))
		dst = binary.AppendUvarint(dst, uint64(m[1]))
	}
	dst = binary.AppendUvarint(dst, changed.GetCardinality())
	for it := changed.Iterator(); it.HasNext(); {
		o := it.Next()
		p := s.table.read(o)
		dst = binary.AppendUvarint(dst, uint64(o))
		dst = append(dst, p.flags)
		dst = binary.AppendVarint(dst, p.createdAt)
		dst = binary.AppendUvarint(dst, uint64(len(p.properties)))
		dst = append(dst, p.properties...)
	}
	erased = slices.Sorted(slices.Values(erased))
	dst = appendOrdinals(dst, erased)
	dst = binary.AppendUvarint(dst, uint64(len(moves)))
	for i := range moves {
		dst = append(dst, moves[i].ID[:]...)
		dst = binary.AppendUvarint(dst, uint64(moves[i].To))
		dst = appendOrdinals(dst, moves[i].From.ToArray())
	}
	s.settle()
	return dst
}

func appendOrdinals(dst []byte, ordinals []uint32) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(ordinals)))
	for _, o := range ordinals {
		dst = binary.AppendUvarint(dst, uint64(o))
	}
	return dst
}

// settle forgets what changed: it is written, or was just read.
func (s *State) settle() {
	s.firstOrdinal, s.firstID, s.merges = len(s.table.uuids), s.table.ids.len(), nil
	s.erased, s.firstMove = nil, len(s.identity.moves)
	s.changed = roaring.New()
}

// Len is how many ordinals were given out.
func (s *State) Len() int { return len(s.table.uuids) }

// Changed says whether the next delta would hold anything.
func (s *State) Changed() bool {
	return s.firstID < s.table.ids.len() || len(s.merges) > 0 || !s.changed.IsEmpty() || len(s.erased) > 0 || s.firstMove < len(s.identity.moves)
}

// Load applies a delta, which must be the whole of src.
func (s *State) Load(src []byte) error {
	d := decoder{wire.Reader{Src: src}}
	from, to := d.Uvarint(), d.Uvarint()
	if from != uint64(len(s.table.uuids)) || to < from || to-from > uint64(len(src))/16 {
		return fmt.Errorf("ordinals %d to %d follow %d", from, to, len(s.table.uuids))
	}
	for range to - from {
		var id vec.UUIDValue
		copy(id[:], d.Take(len(id)))
		s.table.add(id)
	}
	for n := d.count(2); n > 0; n-- {
		id, o := lent(d.Take(d.length())), d.ordinal(to)
		s.release(id)
		s.table.ids.add(id, o)
	}
	for n := d.count(2); n > 0; n-- {
		old, root := d.ordinal(to), d.ordinal(to)
		if d.Err == nil && (s.identity.Root(old) != old || s.identity.Root(root) != root || old == root) {
			return fmt.Errorf("merge of %d into %d: not both are persons of their own", old, root)
		}
		if d.Err == nil {
			s.identity.merge(old, root)
		}
	}
	for n := d.count(4); n > 0; n-- {
		o := d.ordinal(to)
		flags, at := d.Byte(), d.Varint()
		properties := slices.Clone(d.Take(d.length()))
		if d.Err == nil {
			*s.table.change(o) = profile{flags: flags, createdAt: at, properties: properties}
		}
	}
	if d.Err == nil && len(d.Src) > 0 {
		erased, moves := d.tail(to)
		if d.Err == nil {
			s.erase(erased, func(string, uint32) {})
			s.identity.move(moves...)
			s.settleMoves(moves)
		}
	}
	s.published = false
	s.settle()
	return d.Err
}

// settleMoves takes distinct ids from the ordinals that they were split off: where one of
// them has gone since, nothing else says so.
func (s *State) settleMoves(moves []Move) {
	for i := range s.table.ids.len() {
		o := s.table.ids.owner(i)
		for _, m := range moves {
			if id := s.table.ids.idText(i); m.From.Contains(o) && m.ID == HashID(s.project, []byte(id)) && !s.table.gone.Contains(uint32(i)) {
				s.release(id)
			}
		}
	}
}

// tail reads what is behind the profiles, to the end.
func (d *decoder) tail(end uint64) (erased []uint32, moves []Move) {
	erased = d.ordinals(end)
	for n := d.count(len(IDHash{}) + 2); n > 0 && d.Err == nil; n-- {
		var m Move
		copy(m.ID[:], d.Take(len(m.ID)))
		m.To, m.From = d.ordinal(end), roaring.BitmapOf(d.ordinals(end)...)
		moves = append(moves, m)
	}
	d.End()
	return erased, moves
}

func (d *decoder) ordinals(end uint64) []uint32 {
	out := make([]uint32, d.count(1)) // at most as many as there are bytes
	for i := range out {
		out[i] = d.ordinal(end)
	}
	return out
}

// decoder takes a delta off its bytes.
type decoder struct{ wire.Reader }

// count is a number of things that take at least size bytes each.
func (d *decoder) count(size int) int {
	n := d.Uvarint()
	if n > uint64(len(d.Src)/size) {
		d.Fail("ends too early")
		return 0
	}
	return int(n)
}

func (d *decoder) length() int {
	n := d.Uvarint()
	if n > uint64(len(d.Src)) || n > maxPropertyBytes {
		d.Fail("ends too early")
		return 0
	}
	return int(n)
}

func (d *decoder) ordinal(end uint64) uint32 {
	o := d.Uvarint()
	if o >= end {
		d.Fail("ends too early")
		return 0
	}
	return uint32(o)
}
