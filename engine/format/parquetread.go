package format

import (
	"errors"
	"io"
	"math"
	"math/big"
	"strings"

	"github.com/parquet-go/parquet-go"
	pf "github.com/parquet-go/parquet-go/format"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/storage/vec"
)

// ParquetFile is an open Parquet file. It may be used by many goroutines.
type ParquetFile struct {
	file    *parquet.File
	columns []parquetIn
}

// parquetIn is a column of a file, and how its values become ours.
type parquetIn struct {
	Column
	leaf int
	// list says that values are lists; outer is at which definition level there is one, empty
	// or not.
	list  bool
	outer int
	add   func(v *vec.Vector, x parquet.Value) error
	why   string // the column cannot be read; empty otherwise
}

// damaged turns what the library makes of a damaged file into an error.
func damaged(err *error) {
	if r := recover(); r != nil {
		*err = badFormat("the Parquet file is damaged: %v", r)
	}
}

// OpenParquet reads the description of a file.
func OpenParquet(in io.ReaderAt, size int64) (p *ParquetFile, err error) {
	defer damaged(&err)
	f, err := parquet.OpenFile(in, size, parquet.SkipBloomFilters(true), parquet.ReadBufferSize(1<<20))
	if err != nil {
		return nil, badFormat("this is not a whole Parquet file: %v", err)
	}
	for _, g := range f.Metadata().RowGroups {
		for i := range g.Columns {
			// The library takes memory without end for a damaged block of it.
			if c := g.Columns[i].MetaData.Codec; c == pf.Lz4Raw || c.String() == "LZ4" {
				return nil, pgerr.Unsupported("a Parquet file that is compressed with " + c.String()).WithHint("Write it with zstd or snappy.")
			}
		}
	}
	p = &ParquetFile{file: f}
	paths := f.Schema().Columns()
	if len(paths) > maxColumns {
		return nil, pgerr.New(pgerr.ProgramLimitExceeded, "more than %d columns", maxColumns)
	}
	for _, path := range paths {
		leaf, ok := f.Schema().Lookup(path...)
		if !ok {
			continue
		}
		c := parquetIn{leaf: leaf.ColumnIndex}
		c.Name = strings.Join(path, ".")
		var t vec.Type
		t, c.add = parquetTypeIn(leaf.Node.Type())
		if leaf.MaxRepetitionLevel > 0 {
			c.Name, c.list, t.Array = path[0], true, true
			c.outer = 1
			if f.Root().Column(path[0]).Optional() {
				c.outer = 2
			}
			if leaf.MaxRepetitionLevel > 1 || len(path) > 3 || leaf.MaxDefinitionLevel > c.outer+1 {
				c.why = "a list of lists or of records"
			}
		}
		c.Type = t
		p.columns = append(p.columns, c)
	}
	return p, nil
}

// Columns are those of the file.
func (p *ParquetFile) Columns() []Column {
	var out []Column
	for _, c := range p.columns {
		out = append(out, c.Column)
	}
	return out
}

// parquetTypeIn chooses our type for values of a file.
func parquetTypeIn(t parquet.Type) (vec.Type, func(v *vec.Vector, x parquet.Value) error) {
	i32 := func(v *vec.Vector, x parquet.Value) error { v.I64 = append(v.I64, int64(x.Int32())); return nil }
	i64 := func(v *vec.Vector, x parquet.Value) error { v.I64 = append(v.I64, x.Int64()); return nil }
	integer := i64
	if t.Kind() == parquet.Int32 {
		integer = i32
	}
	if l := t.LogicalType(); l != nil {
		switch l := l.Value.(type) {
		case *pf.TimestampType:
			unit := int64(1)
			if l.Unit.Value != nil {
				unit = int64(l.Unit.Value.Duration())
			}
			kind := vec.Timestamp
			if l.IsAdjustedToUTC {
				kind = vec.TimestampTZ
			}
			return vec.T(kind), func(v *vec.Vector, x parquet.Value) error {
				return appendTime(v, x.Int64(), unit)
			}
		case *pf.DateType:
			return vec.T(vec.Date), func(v *vec.Vector, x parquet.Value) error { v.I64 = append(v.I64, day64(int64(x.Int32()))); return nil }
		case *pf.TimeType:
			unit := int64(1)
			if l.Unit.Value != nil {
				unit = int64(l.Unit.Value.Duration())
			}
			return vec.T(vec.Time), func(v *vec.Vector, x parquet.Value) error {
				if t.Kind() == parquet.Int32 {
					return appendTime(v, int64(x.Int32()), unit)
				}
				return appendTime(v, x.Int64(), unit)
			}
		case *pf.UUIDType:
			return vec.T(vec.UUID), func(v *vec.Vector, x parquet.Value) error {
				raw := x.ByteArray()
				if len(raw) != 16 {
					return badFormat("a uuid of %d bytes", len(raw))
				}
				v.UUIDs = append(v.UUIDs, vec.UUIDValue(raw))
				return nil
			}
		case *pf.JsonType:
			in := expr.NewInput(vec.T(vec.JSONB))
			return vec.T(vec.JSONB), func(v *vec.Vector, x parquet.Value) error { return in.Text(nil, v, x.ByteArray()) }
		case *pf.IntType:
			switch {
			case !l.IsSigned && l.BitWidth == 64:
				return vec.T(vec.Numeric), func(v *vec.Vector, x parquet.Value) error {
					v.Dec = append(v.Dec, vec.Decimal{Lo: uint64(x.Int64())})
					return nil
				}
			case !l.IsSigned && l.BitWidth == 32:
				return vec.T(vec.Int8), func(v *vec.Vector, x parquet.Value) error {
					v.I64 = append(v.I64, int64(uint32(x.Int32())))
					return nil
				}
			case l.BitWidth <= 16:
				if !l.IsSigned && l.BitWidth == 16 {
					return vec.T(vec.Int4), integer
				}
				return vec.T(vec.Int2), integer
			}
		case *pf.DecimalType:
			return decimalIn(t, int(l.Precision), int(l.Scale))
		case *pf.StringType, *pf.EnumType:
			return vec.T(vec.Text), textIn
		}
	}
	switch t.Kind() {
	case parquet.Boolean:
		return vec.T(vec.Bool), func(v *vec.Vector, x parquet.Value) error { v.Bools = append(v.Bools, x.Boolean()); return nil }
	case parquet.Int32:
		return vec.T(vec.Int4), i32
	case parquet.Int64:
		return vec.T(vec.Int8), i64
	case parquet.Float:
		return vec.T(vec.Float4), func(v *vec.Vector, x parquet.Value) error { v.F64 = append(v.F64, float64(x.Float())); return nil }
	case parquet.Double:
		return vec.T(vec.Float8), func(v *vec.Vector, x parquet.Value) error { v.F64 = append(v.F64, x.Double()); return nil }
	case parquet.Int96: // the old form of timestamps: nanoseconds of a Julian day
		return vec.T(vec.Timestamp), func(v *vec.Vector, x parquet.Value) error {
			i := x.Int96()
			nanos := int64(i[1])<<32 | int64(i[0])
			v.I64 = append(v.I64, (int64(i[2])-2_440_588)*86_400_000_000+nanos/1000)
			return nil
		}
	}
	return vec.T(vec.Bytea), func(v *vec.Vector, x parquet.Value) error { v.Str.Append(x.ByteArray()); return nil }
}

var textInput = expr.NewInput(vec.T(vec.Text))

func textIn(v *vec.Vector, x parquet.Value) error { return textInput.Text(nil, v, x.ByteArray()) }

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

func decimalIn(t parquet.Type, precision, scale int) (vec.Type, func(v *vec.Vector, x parquet.Value) error) {
	out := vec.T(vec.Numeric)
	if precision > 0 && precision <= vec.MaxDecimalDigits && scale >= 0 && scale <= precision {
		out.Mod = int32(precision<<16|scale) + 4
	}
	return out, func(v *vec.Vector, x parquet.Value) (err error) {
		var d vec.Decimal
		switch t.Kind() {
		case parquet.Int32:
			d, err = vec.DecimalFromBig(big.NewInt(int64(x.Int32())), scale)
		case parquet.Int64:
			d, err = vec.DecimalFromBig(big.NewInt(x.Int64()), scale)
		default:
			raw := x.ByteArray()
			n := new(big.Int).SetBytes(raw)
			if len(raw) > 0 && raw[0] >= 0x80 {
				n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(raw))))
			}
			d, err = vec.DecimalFromBig(n, scale)
		}
		if err != nil {
			return pgerr.New(pgerr.NumericOutOfRange, "value overflows numeric format")
		}
		v.Dec = append(v.Dec, d)
		return nil
	}
}

// Range bounds the values of a column that matter, ends included; nil is no end.
type Range struct {
	Column    string
	Low, High *vec.Vector
}

// parquetRows is how many rows of a row group are one piece.
const parquetRows = 65_536

// parquetStep is how many values of a column are read at once.
const parquetStep = 1024

// Reader reads columns of the file, which are found by name. Row groups without rows within
// the ranges are left out.
func (p *ParquetFile) Reader(columns []Column, ranges []Range, title string, ctx *expr.Context) (*Reader, error) {
	r := &Reader{columns: columns, title: title, ctx: ctx, options: Defaults(Parquet), free: make(chan []byte, 1)}
	x := &parquetReading{of: p, converter: converter{r: r}}
	for _, c := range columns {
		in := p.column(c.Name)
		if in == nil {
			return nil, missingColumn(c.Name, "")
		}
		if in.why != "" {
			return nil, missingColumn(c.Name, in.why)
		}
		x.in = append(x.in, in)
		if err := x.add(in.Type); err != nil {
			return nil, err
		}
	}
	group, at, first := -1, int64(0), int64(1)
	rows := int64(0)
	r.next = func() (*Piece, error) {
		for group < 0 || at >= rows {
			if group >= 0 {
				first += rows
			}
			group, at = group+1, 0
			if group >= len(p.file.RowGroups()) {
				return nil, io.EOF
			}
			if rows = p.file.RowGroups()[group].NumRows(); !p.mayHold(group, ranges) {
				first += rows
				rows, at = 0, 0
			}
		}
		piece := &Piece{group: group, lo: at, hi: min(at+parquetRows, rows), line: first + at}
		piece.more = x.size(group, piece.hi-piece.lo)
		at = piece.hi
		return piece, nil
	}
	r.decode = x.decode
	return r, nil
}

// size is about how many bytes so many rows of a row group take: what the file says of its
// columns, in parts, and a little for each value.
func (x *parquetReading) size(group int, rows int64) int64 {
	about := x.of.file.Metadata().RowGroups[group]
	size := float64(24 * rows * int64(len(x.in)))
	for _, in := range x.in {
		if in.leaf < len(about.Columns) {
			size += max(0, float64(about.Columns[in.leaf].MetaData.TotalUncompressedSize)) * float64(rows) / float64(about.NumRows)
		}
	}
	return int64(min(size, 1<<40)) // a file may say anything
}

func (p *ParquetFile) column(name string) *parquetIn {
	i := findColumn(len(p.columns), func(i int) string { return p.columns[i].Name }, name)
	if i < 0 {
		return nil
	}
	return &p.columns[i]
}

// mayHold says whether a row group may have rows within all ranges, by what the file says of
// its least and greatest values.
func (p *ParquetFile) mayHold(group int, ranges []Range) (may bool) {
	defer func() {
		if recover() != nil {
			may = true // who reads it will tell what is wrong
		}
	}()
	for _, r := range ranges {
		in := p.column(r.Column)
		if in == nil || in.list {
			continue
		}
		chunk, ok := p.file.RowGroups()[group].ColumnChunks()[in.leaf].(*parquet.FileColumnChunk)
		if !ok {
			continue
		}
		least, greatest, ok := chunk.Bounds()
		if !ok || least.IsNull() || greatest.IsNull() {
			continue
		}
		v := &vec.Vector{Type: in.Type}
		if in.add(v, least) != nil || in.add(v, greatest) != nil {
			continue
		}
		low, high := r.Low, r.High
		if in.Type.Payload() == vec.PayloadF64 {
			// NaN is more than any number and not counted among the greatest; some writers
			// take one that comes first for both.
			if low = nil; math.IsNaN(v.F64[0]) {
				continue
			}
		}
		if high != nil && high.Type.Kind == in.Type.Kind && vec.Compare(v, 0, high, 0) > 0 ||
			low != nil && low.Type.Kind == in.Type.Kind && vec.Compare(v, 1, low, 0) < 0 {
			return false
		}
	}
	return true
}

// parquetReading is a file of which some columns are read.
type parquetReading struct {
	converter
	of *ParquetFile
	in []*parquetIn
}

// parquetCursor walks the values of a column chunk.
type parquetCursor struct {
	pages  parquet.Pages
	page   parquet.Page
	values parquet.ValueReader
	buf    []parquet.Value
	at     []parquet.Value // of buf, not yet taken
}

// peek is the next value; io.EOF is the end of the chunk.
func (c *parquetCursor) peek() (parquet.Value, error) {
	for len(c.at) == 0 {
		if c.values == nil {
			page, err := c.pages.ReadPage()
			if err != nil {
				return parquet.Value{}, err
			}
			c.page, c.values = page, page.Values()
		}
		n, err := c.values.ReadValues(c.buf)
		c.at = c.buf[:n]
		if err != nil && !errors.Is(err, io.EOF) {
			return parquet.Value{}, err
		}
		if n == 0 { // the values of the page are taken
			parquet.Release(c.page)
			c.page, c.values = nil, nil
		}
	}
	return c.at[0], nil
}

func (c *parquetCursor) close() {
	if c.page != nil {
		parquet.Release(c.page)
	}
	c.pages.Close() //nolint:errcheck // only read
}

// decode reads rows of a row group.
func (x *parquetReading) decode(d *Decoder, p *Piece) (err error) {
	defer damaged(&err)
	chunks := x.of.file.RowGroups()[p.group].ColumnChunks()
	cursors := make([]parquetCursor, len(x.in))
	for i, in := range x.in {
		if in.leaf >= len(chunks) {
			return badFormat("row group %d has %d columns, the file more", p.group, len(chunks))
		}
		cursors[i] = parquetCursor{pages: chunks[in.leaf].Pages(), buf: make([]parquet.Value, parquetStep)}
		defer cursors[i].close()
		if p.lo > 0 {
			if err := cursors[i].pages.SeekToRow(p.lo); err != nil {
				return x.failed(err, p, i)
			}
		}
	}
	for at := p.lo; at < p.hi; at += vec.BatchRows {
		rows := int(min(vec.BatchRows, p.hi-at))
		line := p.line + at - p.lo
		b := &vec.Batch{Rows: rows}
		for i, in := range x.in {
			v := vec.NewBuilder(in.Type)
			for row := range rows {
				if err := in.read(&cursors[i], v); err != nil {
					if errors.Is(err, io.EOF) {
						err = badFormat("the column ends before its rows do")
					}
					return x.r.at(x.failed(err, p, i), line+int64(row), in.Name, nil)
				}
			}
			column, err := x.convert(i, v.V, rows, line)
			if err != nil {
				return err
			}
			b.Cols = append(b.Cols, column)
		}
		d.out = append(d.out, b)
	}
	return nil
}

// failed words what the library says of damage.
func (x *parquetReading) failed(err error, p *Piece, column int) error {
	var client *pgerr.Error
	if errors.As(err, &client) {
		return err
	}
	return badFormat(`row group %d, column "%s": %v`, p.group, x.in[column].Name, err)
}

// read appends the value of the next row.
func (in *parquetIn) read(c *parquetCursor, v *vec.Builder) error {
	x, err := c.peek()
	if err != nil {
		return err
	}
	c.at = c.at[1:]
	if !in.list {
		if x.IsNull() {
			v.AppendNull()
			return nil
		}
		return in.add(v.V, x)
	}
	if x.DefinitionLevel() < in.outer-1 {
		v.AppendNull()
		return nil
	}
	list := v.V
	if list.Elem == nil {
		list.Elem = &vec.Vector{Type: list.Type.Elem()}
	}
	if len(list.Offs) == 0 {
		list.Offs = append(list.Offs, 0)
	}
	for x.DefinitionLevel() >= in.outer {
		if x.IsNull() {
			(&vec.Builder{V: list.Elem}).AppendNull()
		} else if err := in.add(list.Elem, x); err != nil {
			return err
		}
		next, err := c.peek()
		if errors.Is(err, io.EOF) || err == nil && next.RepetitionLevel() == 0 {
			break
		}
		if err != nil {
			return err
		}
		x, c.at = next, c.at[1:]
	}
	list.Offs = append(list.Offs, uint32(list.Elem.Len()))
	return nil
}
