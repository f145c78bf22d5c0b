package exec

import (
	"fmt"
	"math/bits"

	"github.com/prickledb/prickle/engine/catalog"
	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/table"
	"github.com/prickledb/prickle/storage/vec"
)

// pieceColumn reads one column of a piece of a user table.
type pieceColumn func(p *table.Piece) (*vec.Vector, error)

// tableVersion is a user's table as a statement was bound to it.
func tableVersion(t *catalog.Table, env *Env) (*table.Version, error) {
	version := env.Snapshot.Tables().Table(t.Schema.Table)
	if version == nil || version.Schema.Version != t.Schema.Version {
		return nil, fmt.Errorf("table %q is not in the snapshot as it was when the statement was bound", t.Name)
	}
	return version, nil
}

// openTable chooses what to read of a user table.
func (s *scanSource) openTable() error {
	version, err := tableVersion(s.node.Table, s.env)
	if err != nil {
		return err
	}
	s.pieceColumns = []pieceColumn{}
	for _, c := range s.node.Columns {
		r, err := tableColumn(c, version.Schema, s.env)
		if err != nil {
			return err
		}
		s.pieceColumns = append(s.pieceColumns, r)
		var stored *table.Column
		if len(c.Path) == 0 {
			stored = version.Schema.Column(c.Column)
		}
		s.stored = append(s.stored, stored)
	}
	ranges := tableRanges(s.node.Ranges, version.Schema, s.env)
	used := map[*table.Reader]bool{}
	for _, p := range version.Pieces() {
		if !ranges.mayHold(&p) {
			continue
		}
		if s.stats != nil {
			p.Count(&s.stats.Decoded)
		}
		s.pieces = append(s.pieces, p)
		if seg := p.Segment(); seg != nil {
			used[seg] = true
		}
	}
	if s.stats != nil {
		s.stats.Segments.Store(int64(len(used)))
		s.stats.SegmentsTotal.Store(int64(len(version.Segments)))
	}
	return nil
}

// tableRange is a plan.Range with its ends evaluated.
type tableRange struct {
	column    *table.Column
	low, high *vec.Vector
}

type tableRangeList []tableRange

// tableRanges evaluates ranges. An end that is NULL, or an error, is none: what to make of it
// is the filter's to decide, row by row.
func tableRanges(list []plan.Range, schema *table.Schema, env *Env) tableRangeList {
	var out tableRangeList
	for _, r := range list {
		t := tableRange{column: schema.Column(r.Column)}
		if t.column == nil {
			continue
		}
		t.low, t.high = rangeValues(r, env)
		out = append(out, t)
	}
	return out
}

// rangeValues evaluates the ends of a range; nil is no end.
func rangeValues(r plan.Range, env *Env) (low, high *vec.Vector) {
	for _, end := range []struct {
		e   expr.Expr
		dst **vec.Vector
	}{{r.Low, &low}, {r.High, &high}} {
		if end.e == nil {
			continue
		}
		if v, err := end.e.Eval(env.Expr, &vec.Batch{Rows: 1}); err == nil && !v.IsNull(0) {
			*end.dst = v.Flatten(1)
		}
	}
	return low, high
}

// mayHold says whether a row of a piece can be in all ranges.
func (l tableRangeList) mayHold(p *table.Piece) bool {
	for _, r := range l {
		if !p.MayHold(r.column, r.low, r.high) {
			return false
		}
	}
	return true
}

// tableColumn is how to read one column of a user table.
func tableColumn(c plan.ScanColumn, schema *table.Schema, env *Env) (pieceColumn, error) {
	switch c.Column {
	case plan.RowPlace:
		return func(p *table.Piece) (*vec.Vector, error) {
			v := &vec.Vector{Type: vec.T(vec.Int8), I64: make([]int64, p.Rows())}
			for i := range v.I64 {
				v.I64[i] = p.Place() + int64(i)
			}
			return v, nil
		}, nil
	case plan.RowNumber:
		return func(p *table.Piece) (*vec.Vector, error) {
			ids, err := p.IDs()
			v := &vec.Vector{Type: vec.T(vec.Int8), I64: make([]int64, len(ids))}
			for i, id := range ids {
				v.I64[i] = int64(id)
			}
			return v, err
		}, nil
	}
	column, over, err := storedColumn(c, schema, env)
	if err != nil {
		return nil, err
	}
	return func(p *table.Piece) (*vec.Vector, error) {
		v, err := p.Column(column)
		if err != nil {
			return nil, err
		}
		return over(v, p.Rows())
	}, nil
}

// storedColumn is the column of a table that one of a scan is read from, and what becomes of so many
// values of it. Numbers of rows are read from none.
func storedColumn(c plan.ScanColumn, schema *table.Schema, env *Env) (of *table.Column, over func(v *vec.Vector, rows int) (*vec.Vector, error), err error) {
	if c.Column == plan.RowNumber || c.Column == plan.RowPlace {
		return nil, nil, nil
	}
	if of = schema.Column(c.Column); of == nil {
		return nil, nil, fmt.Errorf("table %q has no column %q", schema.Name, c.Column)
	}
	if len(c.Path) == 0 {
		return of, func(v *vec.Vector, _ int) (*vec.Vector, error) { return v, nil }, nil
	}
	e, err := jsonPath(&expr.Column{Index: 0, T: of.Type}, c.Path, c)
	if err != nil {
		return nil, nil, err
	}
	return of, func(v *vec.Vector, rows int) (*vec.Vector, error) {
		return e.Eval(env.Expr, &vec.Batch{Rows: rows, Cols: []*vec.Vector{v}})
	}, nil
}

// pieceBlock is the rows of a piece; nil if none is there any more.
func (s *scanSource) pieceBlock(p *table.Piece) (*rowBlock, error) {
	live, err := p.Live()
	if err != nil || live != nil && len(live) == 0 {
		return nil, err
	}
	return &rowBlock{rows: p.Rows(), sel: live, column: func(i int) (*vec.Vector, error) { return s.pieceColumns[i](p) },
		small: func(i int) (*table.Small, error) {
			if s.stored[i] == nil {
				return nil, nil
			}
			return p.Small(s.stored[i])
		}}, nil
}

// smallComparison is a condition that compares a column that is kept as bytes or words and was not read, with these
// values; nil if it is none.
func (r *rowBlock) smallComparison(cond expr.Expr, b *vec.Batch) (c expr.IntComparison, small *table.Small, err error) {
	c, ok := expr.IntComparisonOf(cond)
	if !ok || r.small == nil || b.Cols[c.Column] != nil {
		return c, nil, nil
	}
	small, err = r.small(c.Column)
	if small == nil || err != nil {
		return c, nil, err
	}
	if small.Scaled {
		if c, ok = c.Scaled(small.Scale); !ok {
			return c, nil, nil
		}
	} else if c.Numeric() {
		return c, nil, nil
	}
	return c, small, nil
}

// smallMask is rows of a block for which comparisons of small values hold, a bit each.
type smallMask struct {
	bits vec.Bitmap // nil: no comparison was made
	one  vec.Bitmap // scratch
}

// keep has the mask keep those of the rows for which a comparison holds; or it lists them, if so few of the block's
// are left that each is looked at.
func (m *smallMask) keep(c *expr.IntComparison, small *table.Small, b *vec.Batch) *vec.Batch {
	if m.bits == nil && b.Sel != nil && len(b.Sel)*thinBatch < b.Rows {
		sel := make([]uint32, 0, len(b.Sel))
		for _, row := range b.Sel {
			if c.Holds(small.At(int(row))) {
				sel = append(sel, row)
			}
		}
		return &vec.Batch{Rows: b.Rows, Sel: sel, Cols: b.Cols}
	}
	bits := &m.one
	if m.bits == nil {
		bits = &m.bits
	}
	if *bits == nil {
		*bits = vec.NewBitmap(b.Rows)
	}
	if small.Bytes != nil {
		c.Bytes(*bits, small.Bytes, small.Least)
	} else {
		c.Words(*bits, small.Words, small.Least)
	}
	if bits == &m.one {
		for i, w := range m.one {
			m.bits[i] &= w
		}
	}
	return b
}

// settle is the batch with the rows that the mask has kept, which forgets them.
func (m *smallMask) settle(b *vec.Batch) *vec.Batch {
	if m.bits == nil {
		return b
	}
	if m.bits.Count() == b.Rows {
		m.bits = nil
		return b
	}
	out := &vec.Batch{Rows: b.Rows, Cols: b.Cols}
	if b.Sel == nil {
		out.Sel = bitPlaces(m.bits)
	} else {
		out.Sel = make([]uint32, len(b.Sel))
		n := 0
		for _, row := range b.Sel {
			out.Sel[n] = row
			n += int(m.bits[row>>6] >> (row & 63) & 1)
		}
		out.Sel = out.Sel[:n]
	}
	m.bits = nil
	return out
}

// bitPlaces lists where bits are.
func bitPlaces(b vec.Bitmap) []uint32 {
	out := make([]uint32, 0, b.Count())
	for i, w := range b {
		for ; w != 0; w &= w - 1 {
			out = append(out, uint32(64*i+bits.TrailingZeros64(w)))
		}
	}
	return out
}
