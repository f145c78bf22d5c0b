package table

import (
	"math"

	"github.com/prickledb/prickle/storage/memory"
	"github.com/prickledb/prickle/storage/vec"
)

// Small is the integers, times, or numerics of one scale, of a block that lie so close together that a byte, or two, says how
// far each is above the least. Conditions compare them: they are an eighth, or a fourth, of what Column
// gives.
type Small struct {
	Least  int64
	Scaled bool     // they stand for numerics
	Scale  uint8    // of these
	Bytes  []uint8  // nil: there are words
	Words  []uint16 // nil: there are bytes
}

// At is one of the integers.
func (s *Small) At(row int) int64 {
	if s.Bytes != nil {
		return s.Least + int64(s.Bytes[row])
	}
	return s.Least + int64(s.Words[row])
}

// Size is how many bytes each of the integers has.
func (s *Small) Size() int {
	if s.Bytes != nil {
		return 1
	}
	return 2
}

func (s *Small) bytes() int64 { return int64(len(s.Bytes) + 2*len(s.Words)) }

// smallBlock is a Small that is kept in a cache; nil if the block is none.
type smallBlock struct {
	values *Small
	entry  memory.Entry
}

// Small gives a column of all rows of the piece, dead ones included, if it is one of a segment,
// has no NULL, and its values lie close together; else nil.
func (p *Piece) Small(c *Column) (*Small, error) {
	if p.segment == nil || p.segment.cache == nil {
		return nil, nil
	}
	return p.segment.small(p.block, c, p.tally)
}

func (r *Reader) small(block int, c *Column, t *memory.Tally) (*Small, error) {
	info := r.byID[c.ID]
	if info == nil || info.typ != c.Type {
		return nil, nil
	}
	zone := info.blocks[block].zone
	if zone == nil || c.Type.Payload() != vec.PayloadI64 && !zone.Scaled() || uint64(zone.I64[1])-uint64(zone.I64[0]) > math.MaxUint16 {
		return nil, nil
	}
	at := &info.small[block]
	if d := at.Load(); d != nil {
		d.entry.Touch()
		if t != nil {
			t.Found(at)
		}
		return d.values, nil
	}
	var v *vec.Vector
	if d := info.decoded[block].Load(); d != nil {
		v = d.values
	} else {
		var err error
		if v, err = r.block(info, block); err != nil {
			return nil, err
		}
	}
	if t != nil {
		t.Made(at)
	}
	d := &smallBlock{values: smallOf(v, zone)}
	if at.CompareAndSwap(nil, d) {
		bytes := int64(0)
		if d.values != nil {
			bytes = d.values.bytes()
		}
		r.cache.Add(&d.entry, r, bytes, func() { at.CompareAndSwap(d, nil) })
	}
	return d.values, nil
}

// smallOf is the values of a block, of which the zone has the least and the greatest; nil if one is NULL, or
// another one.
func smallOf(v, zone *vec.Vector) *Small {
	if v.Nulls.Any() || v.Form != vec.Flat || v.Scaled() != zone.Scaled() || v.Scale != zone.Scale {
		return nil
	}
	least, greatest := zone.I64[0], zone.I64[1]
	s := &Small{Least: least, Scaled: v.Scaled(), Scale: v.Scale}
	if uint64(greatest)-uint64(least) > math.MaxUint8 {
		s.Words = narrowed[uint16](v.I64, least)
	} else {
		s.Bytes = narrowed[uint8](v.I64, least)
	}
	if s.Words == nil && s.Bytes == nil {
		return nil
	}
	return s
}

// narrowed is how far values are above the least; nil if that is too much for one.
func narrowed[T uint8 | uint16](values []int64, least int64) []T {
	out := make([]T, len(values))
	for i, x := range values {
		above := uint64(x) - uint64(least)
		if above > uint64(^T(0)) {
			return nil
		}
		out[i] = T(above)
	}
	return out
}
