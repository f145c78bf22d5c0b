package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"

	"github.com/prickledb/prickle/server/capture"
	"github.com/prickledb/prickle/storage/event"
	"github.com/prickledb/prickle/storage/vec"
)

// parquetRows is how many rows of a row group are one piece.
const parquetRows = 65_536

// parquetPiece is rows [lo, hi) of a row group. First is the number of row lo in the file,
// counted from 1.
type parquetPiece struct {
	group  int
	lo, hi int64
	first  int64
}

// parquetColumn is a column as it is read.
type parquetColumn struct {
	name  string
	as    columnForm
	unit  int64 // of times: nanoseconds
	scale int   // of decimals
}

type columnForm uint8

const (
	asText columnForm = iota
	asJSON
	asBool
	asInt
	asUnsigned
	asFloat32
	asFloat64
	asDecimal
	asTime
	asTime96
	asDate
	asUUID
)

// openParquet reads the description of a Parquet file.
func (s *input) openParquet(file *os.File, given capture.Mapping) error {
	s.format = "Parquet"
	f, err := openParquetFile(file, s.size)
	if err != nil {
		return &problem{Code: "file_damaged", What: fmt.Sprintf("%s is not a whole Parquet file: %v", s.title(), err), Exit: exitFailed, Err: err}
	}
	var columns []parquetColumn
	for _, path := range f.Schema().Columns() {
		leaf, ok := f.Schema().Lookup(path...)
		if !ok {
			continue
		}
		name := strings.Join(path, ".")
		if leaf.MaxRepetitionLevel > 0 {
			return &problem{Code: "parquet_nested", What: fmt.Sprintf("%s: column %q is a list; import reads columns with one value a row", s.title(), name), Exit: exitFailed,
				Hint: "Write the column as JSON text, or leave it out."}
		}
		columns = append(columns, newParquetColumn(name, leaf.Node.Type()))
		s.columns = append(s.columns, capture.Sample{Name: name})
	}
	s.sampleParquet(f, columns)
	if err := s.detect(given); err != nil {
		return err
	}
	// Progress is by what has been handed out: the file is read by several at once.
	group, at, first := 0, int64(0), int64(1)
	s.next = func() (any, error) {
		groups := f.RowGroups()
		for group < len(groups) && at >= groups[group].NumRows() {
			group, at = group+1, 0
		}
		if group == len(groups) {
			return nil, io.EOF
		}
		p := parquetPiece{group, at, min(at+parquetRows, groups[group].NumRows()), first}
		at, first = p.hi, first+p.hi-p.lo
		s.read.Store(int64(float64(s.size) * float64(first-1) / float64(max(1, f.NumRows()))))
		s.plain.Store(s.read.Load())
		return p, nil
	}
	s.worker = func() func(any) (decoded, error) {
		names := make([]string, len(columns))
		for i := range columns {
			names[i] = columns[i].name
		}
		rows := capture.NewRows(s.mapping, names)
		d := &parquetDecoder{file: f, columns: columns, rows: rows}
		return func(piece any) (decoded, error) {
			out, err := d.decode(piece.(parquetPiece))
			if err != nil {
				err = &problem{Code: "file_damaged", What: fmt.Sprintf("%s: %v", s.title(), err), Exit: exitFailed, Err: err}
			}
			return out, err
		}
	}
	return nil
}

// openParquetFile turns what the library makes of damaged files into errors.
func openParquetFile(file *os.File, size int64) (f *parquet.File, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("its description is damaged: %v", r)
		}
	}()
	return parquet.OpenFile(file, size, parquet.SkipBloomFilters(true))
}

func newParquetColumn(name string, t parquet.Type) parquetColumn {
	c := parquetColumn{name: name}
	switch t.Kind() {
	case parquet.Boolean:
		c.as = asBool
	case parquet.Int32, parquet.Int64:
		c.as = asInt
	case parquet.Int96:
		c.as = asTime96
	case parquet.Float:
		c.as = asFloat32
	case parquet.Double:
		c.as = asFloat64
	}
	logical := t.LogicalType()
	if logical == nil {
		return c
	}
	switch l := logical.Value.(type) {
	case *format.TimestampType:
		if l.Unit.Value != nil {
			c.as, c.unit = asTime, int64(l.Unit.Value.Duration())
		}
	case *format.DateType:
		c.as = asDate
	case *format.UUIDType:
		c.as = asUUID
	case *format.JsonType:
		c.as = asJSON
	case *format.IntType:
		if !l.IsSigned {
			c.as = asUnsigned
		}
	case *format.DecimalType:
		if t.Kind() == parquet.Int32 || t.Kind() == parquet.Int64 {
			c.as, c.scale = asDecimal, int(l.Scale)
		}
	}
	return c
}

// sampleParquet takes a value of each column from the first rows.
func (s *input) sampleParquet(f *parquet.File, columns []parquetColumn) {
	defer func() { _ = recover() }() // whoever reads the rows will tell what is wrong
	for _, g := range f.RowGroups() {
		if g.NumRows() == 0 {
			continue
		}
		rows := g.Rows()
		defer rows.Close() //nolint:errcheck // only read
		buffer := make([]parquet.Row, 16)
		n, _ := rows.ReadRows(buffer) // whoever reads the rows will tell what is wrong
		for _, row := range buffer[:n] {
			for _, v := range row {
				if c := v.Column(); c >= 0 && c < len(columns) && !v.IsNull() && s.columns[c].Text == nil {
					s.columns[c].Kind, s.columns[c].Text = columns[c].sample(v)
				}
			}
		}
		return
	}
}

// sample is a value as text.
func (c *parquetColumn) sample(v parquet.Value) (event.Kind, []byte) {
	switch c.as {
	case asTime, asTime96, asDate:
		return event.Text, time.UnixMicro(c.micros(v)).UTC().AppendFormat(nil, "2006-01-02T15:04:05.999999Z")
	case asUUID:
		return event.Text, nil
	}
	return c.text(nil, v)
}

// micros is a time in µs since 1970.
func (c *parquetColumn) micros(v parquet.Value) int64 {
	switch c.as {
	case asDate:
		return int64(v.Int32()) * 86_400_000_000
	case asTime96:
		i := v.Int96()
		nanos := int64(i[1])<<32 | int64(i[0])
		return (int64(i[2])-2_440_588)*86_400_000_000 + nanos/1000
	default:
		n := v.Int64()
		if c.unit >= 1000 {
			factor := c.unit / 1000
			if n > math.MaxInt64/factor || n < math.MinInt64/factor {
				return math.MaxInt64
			}
			return n * factor
		}
		return n/1000 - int64(b2i(n%1000 < 0))
	}
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// text appends a value that is no time and no uuid.
func (c *parquetColumn) text(dst []byte, v parquet.Value) (event.Kind, []byte) {
	at := len(dst)
	switch c.as {
	case asJSON:
		return event.JSON, append(dst, v.ByteArray()...)
	case asBool:
		return event.Bool, strconv.AppendBool(dst, v.Boolean())
	case asInt:
		if v.Kind() == parquet.Int32 {
			return event.Int, strconv.AppendInt(dst, int64(v.Int32()), 10)
		}
		return event.Int, strconv.AppendInt(dst, v.Int64(), 10)
	case asUnsigned:
		if v.Kind() == parquet.Int32 {
			dst = strconv.AppendUint(dst, uint64(uint32(v.Int32())), 10)
		} else {
			dst = strconv.AppendUint(dst, uint64(v.Int64()), 10)
		}
	case asFloat32:
		dst = appendNumber(dst, float64(v.Float()), 32)
	case asFloat64:
		dst = appendNumber(dst, v.Double(), 64)
	case asDecimal:
		n := int64(v.Int32())
		if v.Kind() == parquet.Int64 {
			n = v.Int64()
		}
		dst = appendDecimal(dst, n, c.scale)
	default:
		return event.Text, append(dst, v.ByteArray()...)
	}
	return capture.Classify(dst[at:]), dst
}

// appendNumber writes a float as JSON would; what is no number is text.
func appendNumber(dst []byte, f float64, bits int) []byte {
	if abs := math.Abs(f); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		return strconv.AppendFloat(dst, f, 'e', -1, bits)
	}
	return strconv.AppendFloat(dst, f, 'f', -1, bits)
}

func appendDecimal(dst []byte, n int64, scale int) []byte {
	digits := strconv.FormatUint(uint64(max(n, -n)), 10)
	if n == math.MinInt64 {
		digits = "9223372036854775808"
	}
	if n < 0 {
		dst = append(dst, '-')
	}
	if scale <= 0 || scale > 18 {
		return append(dst, digits...)
	}
	for len(digits) <= scale {
		digits = "0" + digits
	}
	return append(append(append(dst, digits[:len(digits)-scale]...), '.'), digits[len(digits)-scale:]...)
}

// parquetDecoder turns rows of a file into batches.
type parquetDecoder struct {
	file    *parquet.File
	columns []parquetColumn
	rows    *capture.Rows
	text    []byte
	values  [][]parquet.Value // of each column, for some rows
	arena   []byte            // the bytes of those values
}

// parquetStep is how many rows are read of each column in turn.
const parquetStep = 4096

func (d *parquetDecoder) decode(p parquetPiece) (out decoded, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("row group %d is damaged: %v", p.group, r)
		}
	}()
	chunks := d.file.RowGroups()[p.group].ColumnChunks()
	if len(chunks) != len(d.columns) {
		return out, fmt.Errorf("row group %d has %d columns, the file %d", p.group, len(chunks), len(d.columns))
	}
	readers := make([]columnReader, len(chunks))
	for i, chunk := range chunks {
		readers[i].pages = chunk.Pages()
		defer readers[i].close()
		if p.lo > 0 {
			if err := readers[i].pages.SeekToRow(p.lo); err != nil {
				return out, fmt.Errorf("row group %d, column %q: %w", p.group, d.columns[i].name, err)
			}
		}
	}
	if d.values == nil {
		d.values = make([][]parquet.Value, len(chunks))
		for i := range d.values {
			d.values[i] = make([]parquet.Value, parquetStep)
		}
	}
	number := p.first
	row := make(parquet.Row, len(chunks))
	for at := p.lo; at < p.hi; {
		n := int(min(parquetStep, p.hi-at))
		d.arena = d.arena[:0]
		for i := range readers {
			if err := readers[i].read(d.values[i][:n], &d.arena); err != nil {
				return out, fmt.Errorf("row group %d, column %q: %w", p.group, d.columns[i].name, err)
			}
		}
		for r := range n {
			for i := range row {
				row[i] = d.values[i][r]
			}
			d.row(row, number, &out)
			number++
		}
		at += int64(n)
	}
	if d.rows.Len() > 0 {
		out.batches = append(out.batches, d.rows.Take())
	}
	return out, nil
}

// columnReader reads the values of a column page by page. The bytes of values are copied:
// the library uses a page's memory again as soon as the next one is read.
type columnReader struct {
	pages  parquet.Pages
	page   parquet.Page
	values parquet.ValueReader
}

func (c *columnReader) close() {
	if c.page != nil {
		parquet.Release(c.page)
	}
	c.pages.Close() //nolint:errcheck // only read
}

// read fills dst.
func (c *columnReader) read(dst []parquet.Value, arena *[]byte) error {
	for len(dst) > 0 {
		if c.values == nil {
			page, err := c.pages.ReadPage()
			if err != nil {
				if errors.Is(err, io.EOF) {
					return errors.New("the column ends before its rows do")
				}
				return err
			}
			c.page, c.values = page, page.Values()
		}
		n, err := c.values.ReadValues(dst)
		for i, v := range dst[:n] {
			if v.IsNull() || v.Kind() != parquet.ByteArray && v.Kind() != parquet.FixedLenByteArray {
				continue
			}
			raw := v.ByteArray()
			at := len(*arena)
			*arena = append(*arena, raw...)
			kept := (*arena)[at:len(*arena):len(*arena)]
			if v.Kind() == parquet.ByteArray {
				dst[i] = parquet.ByteArrayValue(kept)
			} else {
				dst[i] = parquet.FixedLenByteArrayValue(kept)
			}
		}
		dst = dst[n:]
		if err != nil || n == 0 {
			if err != nil && !errors.Is(err, io.EOF) {
				return err
			}
			parquet.Release(c.page)
			c.page, c.values = nil, nil
		}
	}
	return nil
}

func (d *parquetDecoder) row(row parquet.Row, number int64, out *decoded) {
	d.rows.Begin(number)
	d.text = d.text[:0] // values are lent to the end of the row, so they stand side by side
	for i, v := range row {
		if v.IsNull() {
			continue
		}
		switch c := &d.columns[i]; c.as {
		case asTime, asTime96, asDate:
			d.rows.SetTime(i, c.micros(v))
		case asUUID:
			if raw := v.ByteArray(); len(raw) == 16 {
				d.rows.SetUUID(i, vec.UUIDValue(raw))
			}
		default:
			at := len(d.text)
			var kind event.Kind
			kind, d.text = c.text(d.text, v)
			d.rows.Set(i, kind, d.text[at:])
		}
	}
	r, ok := d.rows.End()
	if !ok {
		r.Raw = rawRow(row, d.columns)
		out.rejects = append(out.rejects, r)
		return
	}
	out.rows++
	if d.rows.Full() {
		out.batches = append(out.batches, d.rows.Take())
	}
}

// rawRow is a row for the rejects file.
func rawRow(row parquet.Row, columns []parquetColumn) []byte {
	var out []byte
	for i, v := range row {
		if !v.IsNull() {
			_, text := columns[i].sample(v)
			out = fmt.Appendf(out, "%s=%s ", columns[i].name, text)
		}
	}
	return out
}
