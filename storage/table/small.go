package table

import (
	"math"

	"github.com/prickledb/prickle/storage/memory"
	"github.com/prickledb/prickle/storage/vec"
)

// Small is the integers, or times, of a block that lie so close together that a byte says how far
// each is above the least. Conditions compare them: they are an eighth of what Column gives.
type Small struct {
	Least  int64
	Values []uint8
}

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
	return p.segment.small(p.block, c)
}

func (r *Reader) small(block int, c *Column) (*Small, error) {
	info := r.byID[c.ID]
	if info == nil || info.typ != c.Type || c.Type.Payload() != vec.PayloadI64 {
		return nil, nil
	}
	zone := info.blocks[block].zone
	if zone == nil || uint64(zone.I64[1])-uint64(zone.I64[0]) > math.MaxUint8 {
		return nil, nil
	}
	at := &info.small[block]
	if d := at.Load(); d != nil {
		d.entry.Touch()
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
	d := &smallBlock{values: smallOf(v, zone.I64[0])}
	if at.CompareAndSwap(nil, d) {
		bytes := int64(0)
		if d.values != nil {
			bytes = int64(len(d.values.Values))
		}
		r.cache.Add(&d.entry, r, bytes, func() { at.CompareAndSwap(d, nil) })
	}
	return d.values, nil
}

// smallOf is the values of a block above the least; nil if one is NULL or too great.
func smallOf(v *vec.Vector, least int64) *Small {
	if v.Nulls.Any() {
		return nil
	}
	s := &Small{least, make([]uint8, len(v.I64))}
	for i, x := range v.I64 {
		above := uint64(x) - uint64(least)
		if above > math.MaxUint8 {
			return nil
		}
		s.Values[i] = uint8(above)
	}
	return s
}
