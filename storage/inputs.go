package storage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/prickledb/prickle/storage/encoding"
	"github.com/prickledb/prickle/storage/person"
	"github.com/prickledb/prickle/storage/wire"
)

// mergeInputs is the inputs of a merge, held, with the state that its output is written with:
// that of its plan. It does not change once the plan is applied.
type mergeInputs struct {
	files    []*segmentFile  // none if a release that did not keep the state planned it: it can only be ended
	live     []*liveness     // of each: which rows are dead or moved
	identity *person.Map     // tells the roots of the ordinals in the inputs
	merged   *roaring.Bitmap // those of them that are not their own root
	err      error           // why an input cannot be read
}

// look finds out what the state of the plan means for the inputs, which it reads.
func (in *mergeInputs) look(views []*Segment) {
	in.live, in.merged = make([]*liveness, len(views)), roaring.New()
	for i, v := range views {
		var persons *roaring.Bitmap
		var err error
		if in.live[i], err = v.live(); err == nil {
			persons, err = v.PersonBitmap()
		}
		if err != nil {
			in.err = errors.Join(in.err, err)
			continue
		}
		in.merged.Or(roaring.And(persons, in.identity.Merged()))
		for _, o := range in.live[i].moved {
			if in.identity.Merged().Contains(o) {
				in.merged.Add(o)
			}
		}
	}
}

// dead is how many rows of the inputs are dead, of how many.
func (in *mergeInputs) dead() (dead, rows int64) {
	for i, l := range in.live {
		if l.dead != nil {
			dead += int64(l.dead.GetCardinality())
		}
		rows += in.files[i].Rows
	}
	return dead, rows
}

// append appends the state of the plan, for a state file: with it, the output can be built
// again after a restart.
//
//	of each input: uvarint size, roaring bitmap of the dead rows, size 0 for none
//	  uvarint moved rows; of each, ascending: uvarint row, uvarint ordinal
//	uvarint ordinals that are not their own root; of each, ascending: uvarint ordinal, uvarint root
func (in *mergeInputs) append(dst []byte) []byte {
	for _, l := range in.live {
		if l.dead == nil {
			dst = append(dst, 0)
		} else {
			dst = appendBitmap(dst, l.dead)
		}
		dst = binary.AppendUvarint(dst, uint64(len(l.moved)))
		for _, row := range slices.Sorted(maps.Keys(l.moved)) {
			dst = binary.AppendUvarint(binary.AppendUvarint(dst, uint64(row)), uint64(l.moved[row]))
		}
	}
	dst = binary.AppendUvarint(dst, in.merged.GetCardinality())
	for it := in.merged.Iterator(); it.HasNext(); {
		o := it.Next()
		dst = binary.AppendUvarint(binary.AppendUvarint(dst, uint64(o)), uint64(in.identity.Root(o)))
	}
	return dst
}

// read takes over what append gave, for so many inputs.
func (in *mergeInputs) read(src []byte, inputs int) error {
	r := &wire.Reader{Src: src}
	in.live, in.merged = make([]*liveness, inputs), roaring.New()
	for i := range in.live {
		in.live[i] = &liveness{}
		if raw := r.Take(r.Count("bytes", len(r.Src))); len(raw) > 0 {
			var err error
			if in.live[i].dead, err = encoding.Bitmap(raw); err != nil {
				return fmt.Errorf("dead rows: %w", err)
			}
		}
		if n := r.Count("rows", len(r.Src)/2); n > 0 {
			in.live[i].moved = make(map[uint32]uint32, n)
			for range n {
				row := uint32(r.Uvarint())
				in.live[i].moved[row] = uint32(r.Uvarint())
			}
		}
	}
	roots := map[uint32]uint32{}
	for range r.Count("ordinals", len(r.Src)/2) {
		o := uint32(r.Uvarint())
		roots[o] = uint32(r.Uvarint())
		in.merged.Add(o)
	}
	in.identity = person.NewMap(roots)
	return r.End()
}

// reopen gives a merge that a state file has its inputs. The caller holds mu.
func (s *Store) reopen(m *pendingMerge) {
	if m.inputs.live == nil {
		return
	}
	var files []*segmentFile
	for _, id := range m.plan.Inputs {
		f := s.segments[uint64(id)]
		if f == nil {
			return // it was detached, so the merge can only be ended
		}
		files = append(files, f)
	}
	for _, f := range files {
		f.hold()
	}
	m.inputs.files = files
}
