package format

import (
	"encoding/binary"
	"errors"
	"io"
	"math"
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
	max  byte // the definition level of a value
	// list says that values are lists; outer is at which definition level there is one, empty
	// or not.
	list  bool
	outer byte
	fill  parquetFill
	why   string // the column cannot be read; empty otherwise
}

// damaged turns what the library makes of a damaged file into an error.
func damaged(err *error) {
	if r := recover(); r != nil {
		*err = badFormat("the Parquet file is damaged: %v", r)
	}
}

// checkFooter looks at what the end of a file says of the length of its description: the library takes so much
// memory before it looks whether the file is as long.
func checkFooter(in io.ReaderAt, size int64) error {
	const tail = 8 // the length, and PAR1
	var end [tail]byte
	if size < tail {
		return badFormat("this is not a whole Parquet file: it has %d bytes", size)
	}
	if _, err := in.ReadAt(end[:], size-tail); err != nil && err != io.EOF {
		return err
	}
	if string(end[4:]) != "PAR1" {
		return nil // the library says what is there instead
	}
	if n := int64(binary.LittleEndian.Uint32(end[:])); n > size-tail {
		return badFormat("this is not a whole Parquet file: its description has %d bytes, the file %d", n, size)
	}
	return nil
}

// OpenParquet reads the description of a file.
func OpenParquet(in io.ReaderAt, size int64) (p *ParquetFile, err error) {
	defer damaged(&err)
	if err := checkFooter(in, size); err != nil {
		return nil, err
	}
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
		c := parquetIn{leaf: leaf.ColumnIndex, max: byte(leaf.MaxDefinitionLevel)}
		c.Name = strings.Join(path, ".")
		var t vec.Type
		t, c.fill = parquetTypeIn(leaf.Node.Type())
		if leaf.MaxRepetitionLevel > 0 {
			c.Name, c.list, t.Array = path[0], true, true
			c.outer = 1
			if f.Root().Column(path[0]).Optional() {
				c.outer = 2
			}
			if leaf.MaxRepetitionLevel > 1 || len(path) > 3 || leaf.MaxDefinitionLevel > int(c.outer)+1 {
				c.why = "a list of lists or of records"
			}
		}
		c.Type = t
		p.columns = append(p.columns, c)
	}
	return p, nil
}

// Rows is how many rows the file has.
func (p *ParquetFile) Rows() int64 { return p.file.NumRows() }

// Columns are those of the file.
func (p *ParquetFile) Columns() []Column {
	var out []Column
	for _, c := range p.columns {
		out = append(out, c.Column)
	}
	return out
}

// Range bounds the values of a column that matter, ends included; nil is no end.
type Range struct {
	Column    string
	Low, High *vec.Vector
}

// parquetRows is how many rows of a row group are one piece.
const parquetRows = 4 * vec.BatchRows

// Reader reads columns of the file, which are found by name. Row groups without rows within
// the ranges are left out. Every piece that it gives must be decoded, and in that order begun:
// one goes on in each column where the one before it has stopped, and waits for it.
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
		if c.Raw {
			in = in.raw()
		}
		x.in = append(x.in, in)
		if err := x.add(in.Type); err != nil {
			return nil, err
		}
	}
	group, at, first := -1, int64(0), int64(1)
	var open *parquetGroup
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
			open = newParquetGroup(len(x.in))
		}
		piece := &Piece{group: group, of: open, lo: at, hi: min(at+parquetRows, rows), line: first + at}
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
	size := float64(0)
	for _, in := range x.in {
		size += float64(rows * in.width())
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
		if in.fill(v, valuesOf(least), 0, 1) != nil || in.fill(v, valuesOf(greatest), 0, 1) != nil {
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

// decode reads rows of a row group, column by column.
func (x *parquetReading) decode(d *Decoder, p *Piece) (err error) {
	defer func() {
		if err != nil {
			p.of.fail(err)
		}
	}()
	defer damaged(&err)
	chunks := x.of.file.RowGroups()[p.group].ColumnChunks()
	for at := p.lo; at < p.hi; at += vec.BatchRows {
		d.out = append(d.out, &vec.Batch{Rows: int(min(vec.BatchRows, p.hi-at)), Cols: make([]*vec.Vector, len(x.in))})
	}
	for i, in := range x.in {
		if in.leaf >= len(chunks) {
			return badFormat("row group %d has %d columns, the file more", p.group, len(chunks))
		}
		c, err := p.of.enter(i, p.lo, d.Away)
		if err != nil {
			return err
		}
		if c.pages == nil {
			c.in, c.pages = in, chunks[in.leaf].Pages()
			c.convert = func(v *vec.Vector) (*vec.Vector, error) { return x.cast(i, v, v.Len(), 0) }
		}
		line := p.line
		for _, b := range d.out {
			v, done, err := c.take(b.Rows)
			if err != nil {
				if errors.Is(err, io.EOF) {
					err = badFormat("the column ends before its rows do")
				}
				return x.r.at(x.failed(err, p, i), c.place(line, v), in.Name, nil)
			}
			if !done {
				v, err = x.cast(i, v, b.Rows, line)
			}
			if err == nil {
				err = x.check(i, v, b.Rows, line)
			}
			if err != nil {
				return err
			}
			b.Cols[i] = v
			line += int64(b.Rows)
		}
		if p.hi == x.of.file.RowGroups()[p.group].NumRows() {
			c.close()
		}
		p.of.leave(i, p.hi)
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
