package table

import (
	"fmt"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/prickledb/prickle/storage/memory"
	"github.com/prickledb/prickle/storage/vec"
)

// Version is a table at one moment. It is immutable and may be used by many goroutines.
type Version struct {
	Schema   *Schema
	Segments []*Reader // ascending by row number
	Batches  []*Rows   // behind them, ascending
	// Next is the number of the next row.
	Next uint32
	// Dead are the rows that are deleted, those included that no file holds any more.
	Dead *roaring.Bitmap
	// Hidden are the rows of transactions that are not at their end.
	Hidden *roaring.Bitmap
	// Pending says that a transaction that is not at its end made the table: nobody else
	// sees it.
	Pending bool
}

// Rows is rows that no segment holds yet, with the numbers First, First+1, … It is
// immutable. They are in Batch, whose vectors may have any form, or in Encoded.
type Rows struct {
	First   uint32
	Columns []uint32 // the number of each column
	Batch   *vec.Batch
	Encoded *Encoded
	// Epoch says in which memtable the rows are.
	Epoch uint64

	types []vec.Type    // of encoded columns, as they were encoded
	zones []*vec.Vector // of encoded columns; nil where nothing is known
}

// Len is how many rows there are.
func (r *Rows) Len() int {
	if r.Encoded != nil {
		return r.Encoded.Rows
	}
	return r.Batch.Rows
}

// Bytes is about how much memory the rows take.
func (r *Rows) Bytes() int64 {
	if r.Encoded != nil {
		return r.Encoded.Bytes()
	}
	n := int64(64)
	for _, c := range r.Batch.Cols {
		n += c.Bytes() + c.Dict.Bytes()
	}
	return n
}

// Live is how many rows the table has.
func (v *Version) Live() int64 {
	return int64(v.Next) - int64(v.Dead.GetCardinality()) - int64(v.Hidden.GetCardinality())
}

// Piece is rows of a table that are read together: a block of a segment, or a batch.
type Piece struct {
	version *Version
	segment *Reader
	block   int
	rows    *Rows
	place   int64
	tally   *memory.Tally
}

// Count makes whoever reads the piece count which blocks are decoded already.
func (p *Piece) Count(t *memory.Tally) { p.tally = t }

// Pieces lists the rows of the table. Those of a segment, or a batch, have greater numbers than
// those of the one before.
func (v *Version) Pieces() []Piece {
	var out []Piece
	place := int64(0)
	add := func(p Piece) {
		p.version, p.place = v, place
		place += int64(p.Rows())
		out = append(out, p)
	}
	for _, s := range v.Segments {
		if v.dead(s) == int64(s.Rows()) {
			continue // truncated, and not yet removed
		}
		for b := range s.Blocks() {
			add(Piece{segment: s, block: b})
		}
	}
	for _, r := range v.Batches {
		add(Piece{rows: r})
	}
	return out
}

// dead is how many rows of a segment have died since it was written.
func (v *Version) dead(s *Reader) int64 { return deadIn(v.Dead, s) }

func deadIn(dead *roaring.Bitmap, s *Reader) int64 {
	if s.Rows() == 0 {
		return 0
	}
	first, last := s.First(), s.Last()
	n := int64(dead.CardinalityInRange(uint64(first), uint64(last)+1))
	// Between the first and the last number, all that the segment lacks was dead before.
	return n - (int64(last) - int64(first) + 1 - int64(s.Rows()))
}

// Segment is the segment that the piece is of, nil for a batch.
func (p *Piece) Segment() *Reader { return p.segment }

// Rows is how many rows the piece has, dead ones included.
func (p *Piece) Rows() int {
	if p.rows != nil {
		return p.rows.Len()
	}
	return p.segment.blockRows(p.block)
}

// Place is how many rows the pieces before have, dead ones included.
func (p *Piece) Place() int64 { return p.place }

// IDs gives the numbers of the rows.
func (p *Piece) IDs() ([]uint32, error) {
	if p.rows != nil {
		out := make([]uint32, p.rows.Len())
		for i := range out {
			out[i] = p.rows.First + uint32(i)
		}
		return out, nil
	}
	return p.segment.ids(p.block)
}

// Live gives the rows that are there, ascending; nil if all are.
func (p *Piece) Live() ([]uint32, error) {
	var lo, hi uint32
	if p.rows != nil {
		if p.rows.Len() == 0 {
			return nil, nil
		}
		lo, hi = p.rows.First, p.rows.First+uint32(p.rows.Len()-1)
	} else {
		lo, hi = p.segment.blockRange(p.block)
	}
	v := p.version
	if !overlaps(v.Dead, lo, hi) && !overlaps(v.Hidden, lo, hi) {
		return nil, nil
	}
	ids, err := p.IDs()
	if err != nil {
		return nil, err
	}
	out := make([]uint32, 0, len(ids))
	for i, id := range ids {
		if !v.Dead.Contains(id) && !v.Hidden.Contains(id) {
			out = append(out, uint32(i))
		}
	}
	return out, nil
}

// overlaps says whether a set has a member from lo to hi.
func overlaps(set *roaring.Bitmap, lo, hi uint32) bool {
	next := set.NextValue(lo)
	return next >= 0 && next <= int64(hi)
}

// Column reads a column of all rows of the piece, dead ones included. It may be shared with
// others who read it.
func (p *Piece) Column(c *Column) (*vec.Vector, error) {
	if p.rows != nil {
		return as(c.Type)(p.rows.cached(c, p.tally))
	}
	return as(c.Type)(p.segment.cached(p.block, c, p.tally))
}

// once is Column for who reads the piece only once.
func (p *Piece) once(c *Column) (*vec.Vector, error) {
	if p.rows != nil {
		return as(c.Type)(p.rows.column(c))
	}
	return as(c.Type)(p.segment.column(p.block, c))
}

// as gives what was read of a column the type that the column has now.
func as(t vec.Type) func(*vec.Vector, error) (*vec.Vector, error) {
	return func(v *vec.Vector, err error) (*vec.Vector, error) {
		switch {
		case err != nil || v.Type == t:
			return v, err
		case v.Type.Payload() != t.Payload(): // all of these rows were dead when the type changed
			return vec.NullConst(t), nil
		}
		return retyped(v, t), nil // the rows are older than the type
	}
}

// retyped is the same values as ones of another type.
func retyped(v *vec.Vector, t vec.Type) *vec.Vector {
	out := *v
	out.Type = t
	if v.Dict != nil {
		out.Dict = retyped(v.Dict, t)
	}
	return &out
}

// Widens says whether what is stored of a type is, as it is, what would be stored of another.
func Widens(from, to vec.Type) bool {
	text := func(k vec.Kind) bool { return k == vec.Text || k == vec.Varchar }
	integer := func(k vec.Kind) int { return slices.Index([]vec.Kind{vec.Int2, vec.Int4, vec.Int8}, k) }
	switch {
	case from == to:
		return true
	case from.Array || to.Array || from.Payload() != to.Payload():
		return false
	case text(from.Kind) && text(to.Kind):
		return to.Mod <= 0 || from.Mod > 0 && from.Mod <= to.Mod
	case from.Kind == vec.Float4 && to.Kind == vec.Float8:
		return true
	case from.Kind == vec.Numeric && to.Kind == vec.Numeric: // with the same scale
		return from.Mod > 0 && from.Mod <= to.Mod && from.Mod&0xffff == to.Mod&0xffff
	}
	return integer(from.Kind) >= 0 && integer(from.Kind) <= integer(to.Kind)
}

// Span is the least and the greatest number of a row of the piece.
func (p *Piece) Span() (first, last uint32) {
	if p.segment != nil {
		return p.segment.blockRange(p.block)
	}
	return p.rows.First, p.rows.First + uint32(p.rows.Len()) - 1
}

// Bounds is the least and the greatest value of a column, for types whose values are
// integers inside; ok is false if the piece does not know them.
func (p *Piece) Bounds(c *Column) (low, high int64, ok bool) {
	zone := p.Zone(c)
	if zone == nil || zone.Type.Payload() != vec.PayloadI64 {
		return 0, 0, false
	}
	return zone.I64[0], zone.I64[1], true
}

// MayHold says whether a row of the piece can have a value of the column from low to high,
// either of which may be nil: vectors with one value of the column's type.
func (p *Piece) MayHold(c *Column, low, high *vec.Vector) bool {
	zone := p.Zone(c)
	if zone == nil || zone.Type.Kind == vec.JSONB { // older segments have zones of jsonb, by bytes
		return true
	}
	return (low == nil || vec.Compare(zone, 1, low, 0) >= 0) && (high == nil || vec.Compare(zone, 0, high, 0) <= 0)
}

// Zone is the least and the greatest value of a column; nil if the piece does not know them, or
// has NULL alone.
func (p *Piece) Zone(c *Column) (zone *vec.Vector) {
	if p.segment != nil {
		zone = p.segment.zone(p.block, c)
	} else if i := slices.Index(p.rows.Columns, c.ID); i >= 0 && p.rows.zones != nil {
		zone = p.rows.zones[i]
	}
	switch {
	case zone == nil || zone.Type == c.Type:
		return zone
	case zone.Type.Payload() != c.Type.Payload(): // all of these rows were dead when the type changed
		return nil
	}
	return retyped(zone, c.Type) // the rows are older than the type
}

// cached is column, and keeps what it decodes.
func (r *Rows) cached(c *Column, t *memory.Tally) (*vec.Vector, error) {
	if e := r.Encoded; e != nil && e.cache != nil {
		if i := slices.Index(r.Columns, c.ID); i >= 0 {
			return keep(&e.columns[i].decoded, e.cache, e.owner, t, func() (*vec.Vector, error) { return e.column(i, c.ID, r.types[i]) })
		}
	}
	return r.column(c)
}

// column is a column of the rows, or what rows without it have.
func (r *Rows) column(c *Column) (*vec.Vector, error) {
	if i := slices.Index(r.Columns, c.ID); i >= 0 {
		if r.Encoded != nil {
			return r.Encoded.column(i, c.ID, r.types[i])
		}
		return r.Batch.Cols[i], nil
	}
	return c.MissingValue()
}

// MissingValue is the constant that rows older than the column have.
func (c *Column) MissingValue() (*vec.Vector, error) {
	if c.Missing == nil {
		return vec.NullConst(c.Type), nil
	}
	v, err := decodeBlock(c.Missing, c.Type, 1)
	if err != nil {
		return nil, fmt.Errorf("column %q: value of older rows: %w", c.Name, err)
	}
	v.Form = vec.Const
	return v, nil
}

// AppendValue writes the first value of a vector as Column.Missing wants it.
func AppendValue(dst []byte, v *vec.Vector) []byte {
	b := vec.NewBuilder(v.Type)
	b.AppendFrom(v, 0)
	return appendBlock(dst, b.V)
}
