package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"time"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/format"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/server/capture"
	"github.com/prickledb/prickle/storage/event"
	"github.com/prickledb/prickle/storage/vec"
)

// openParquet reads the description of a Parquet file.
func (s *input) openParquet(file *os.File, given capture.Mapping) error {
	s.format = "Parquet"
	f, err := format.OpenParquet(file, s.size)
	if err != nil {
		return s.damaged(err)
	}
	columns := f.Columns()
	names := make([]string, len(columns))
	for i := range columns {
		c := &columns[i]
		if c.Type.Array {
			return &problem{Code: "parquet_nested", What: fmt.Sprintf("%s: column %q is a list; import reads columns with one value a row", s.title(), c.Name), Exit: exitFailed,
				Hint: "Write the column as JSON text, or leave it out."}
		}
		s.columns = append(s.columns, capture.Sample{Name: c.Name})
		names[i], c.Raw = c.Name, true
	}
	kinds := make([]vec.Kind, len(columns))
	for i := range columns {
		if c := &columns[i]; c.Type.Kind == vec.Text || c.Type.Kind == vec.JSONB {
			kinds[i], c.Type = c.Type.Kind, vec.T(vec.Bytea)
		}
	}
	if r, err := f.Reader(columns, nil, s.title(), nil); err == nil {
		s.sampleParquet(r, kinds)
	}
	r, err := f.Reader(columns, nil, s.title(), nil)
	if err != nil {
		return s.damaged(err)
	}
	if err := s.detect(given); err != nil {
		return err
	}
	s.next = func() (any, error) {
		p, err := r.Next()
		if err == nil { // progress is by what has been handed out: the file is read by several at once
			s.read.Store(int64(float64(s.size) * float64(p.Line()-1) / float64(max(1, f.Rows()))))
			s.plain.Store(s.read.Load())
		} else if !errors.Is(err, io.EOF) {
			err = s.damaged(err)
		}
		return p, err
	}
	s.worker = func() func(any) (decoded, error) {
		d := &parquetDecoder{Decoder: r.Decoder(), names: names, kinds: kinds, rows: capture.NewRows(s.mapping, names)}
		return func(piece any) (decoded, error) {
			out, err := d.decode(piece.(*format.Piece))
			if err != nil {
				err = s.damaged(err)
			}
			return out, err
		}
	}
	return nil
}

func (s *input) damaged(err error) error {
	return &problem{Code: "file_damaged", What: fmt.Sprintf("%s: %v", s.title(), err), Exit: exitFailed, Hint: pgerr.From(err).Hint, Err: err}
}

// sampleRows is how many rows are looked at for a value of each column.
const sampleRows = 16

// sampleParquet takes a value of each column from the first rows.
func (s *input) sampleParquet(r *format.Reader, kinds []vec.Kind) {
	p, err := r.Next()
	if err != nil {
		return // whoever reads the rows will tell what is wrong
	}
	batches, err := r.Decoder().Decode(p)
	if err != nil || len(batches) == 0 {
		return // likewise
	}
	for i, v := range batches[0].Cols {
		for row := range min(sampleRows, batches[0].Rows) {
			if !v.IsNull(row) {
				s.columns[i].Kind, s.columns[i].Text = parquetSample(v, row, kinds[i])
				break
			}
		}
	}
}

// parquetSample is a value as text.
func parquetSample(v *vec.Vector, row int, kind vec.Kind) (event.Kind, []byte) {
	switch {
	case v.Type.IsTime():
		return event.Text, time.UnixMicro(micros(v, row)).UTC().AppendFormat(nil, "2006-01-02T15:04:05.999999Z")
	case v.Type.Kind == vec.UUID:
		return event.Text, nil
	}
	return parquetText(nil, v, row, kind)
}

// micros is a date or a time in µs since 1970.
func micros(v *vec.Vector, row int) int64 {
	const day = 86_400_000_000
	v, row = v.At(row)
	n := v.I64[row]
	if v.Type.Kind == vec.Date {
		if n > math.MaxInt64/day || n < math.MinInt64/day {
			return math.MaxInt64
		}
		n *= day
	}
	return n
}

// parquetText appends a value that is no time of a day and no uuid. kind says what its bytes are.
func parquetText(dst []byte, v *vec.Vector, row int, kind vec.Kind) (event.Kind, []byte) {
	at := len(dst)
	v, row = v.At(row)
	switch v.Type.Kind {
	case vec.Bool:
		return event.Bool, strconv.AppendBool(dst, v.Bools[row])
	case vec.Int2, vec.Int4, vec.Int8:
		return event.Int, strconv.AppendInt(dst, v.I64[row], 10)
	case vec.Float4:
		dst = appendNumber(dst, v.F64[row], 32)
	case vec.Float8:
		dst = appendNumber(dst, v.F64[row], 64)
	case vec.Numeric:
		dst = v.Decimal(row).Append(dst)
	case vec.Bytea:
		if dst = append(dst, v.Str.At(row)...); kind == vec.JSONB {
			return event.JSON, dst
		}
		return event.Text, dst
	default:
		return event.Text, expr.AppendText(dst, v, row, nil)
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

// parquetDecoder turns rows of a file into batches of events.
type parquetDecoder struct {
	*format.Decoder
	names []string
	kinds []vec.Kind // what a column of bytes holds
	rows  *capture.Rows
	text  []byte
}

func (d *parquetDecoder) decode(p *format.Piece) (out decoded, err error) {
	batches, err := d.Decode(p)
	if err != nil {
		return out, err
	}
	number := p.Line()
	for _, b := range batches {
		for row := range b.Rows {
			d.row(b, row, number, &out)
			number++
		}
	}
	if d.rows.Len() > 0 {
		out.batches = append(out.batches, d.rows.Take())
	}
	return out, nil
}

func (d *parquetDecoder) row(b *vec.Batch, row int, number int64, out *decoded) {
	d.rows.Begin(number)
	d.text = d.text[:0] // values are lent to the end of the row, so they stand side by side
	for i, v := range b.Cols {
		switch {
		case v.IsNull(row):
		case v.Type.IsTime():
			d.rows.SetTime(i, micros(v, row))
		case v.Type.Kind == vec.UUID:
			of, at := v.At(row)
			d.rows.SetUUID(i, of.UUIDs[at])
		default:
			at := len(d.text)
			var kind event.Kind
			kind, d.text = parquetText(d.text, v, row, d.kinds[i])
			d.rows.Set(i, kind, d.text[at:])
		}
	}
	r, ok := d.rows.End()
	if !ok {
		r.Raw = d.raw(b, row)
		out.rejects = append(out.rejects, r)
		return
	}
	out.rows++
	if d.rows.Full() {
		out.batches = append(out.batches, d.rows.Take())
	}
}

// raw is a row for the rejects file.
func (d *parquetDecoder) raw(b *vec.Batch, row int) []byte {
	var out []byte
	for i, v := range b.Cols {
		if !v.IsNull(row) {
			_, text := parquetSample(v, row, d.kinds[i])
			out = fmt.Appendf(out, "%s=%s ", d.names[i], text)
		}
	}
	return out
}
