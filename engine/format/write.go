package format

import (
	"bytes"
	"encoding/binary"
	"io"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/storage/event"
	"github.com/prickledb/prickle/storage/vec"
)

// Writer writes rows in one of the forms.
type Writer interface {
	// Rows writes the live rows lo to hi of a batch.
	Rows(b *vec.Batch, lo, hi int) error
	// Close writes what stands at the end. The stream below stays open.
	Close() error
}

// NewWriter writes rows of a schema to out. In the forms that go row by row, each call of
// out.Write is one row, or what stands before or behind the rows.
func NewWriter(out io.Writer, o Options, schema vec.Schema, ctx *expr.Context) (Writer, error) {
	w := &rowWriter{out: out, o: o, schema: schema, ctx: ctx}
	switch o.Kind {
	case Text:
		w.row = w.text
	case CSV:
		w.row = w.csv
	case JSONL:
		w.keys = make([][]byte, len(schema))
		for i, f := range schema {
			w.keys[i] = append(event.AppendJSONString(nil, []byte(f.Name)), ':')
		}
		w.row = w.object
	case Binary:
		w.row = w.tuple
	case Parquet:
		return newParquetWriter(out, schema, ctx)
	default:
		return newArrowWriter(out, schema, ctx)
	}
	return w, w.begin()
}

// rowWriter writes row by row.
type rowWriter struct {
	out    io.Writer
	o      Options
	schema vec.Schema
	ctx    *expr.Context
	keys   [][]byte // of lines of JSON
	row    func(dst []byte, b *vec.Batch, row int) []byte
	lead   []byte // what goes out with the first row: PostgreSQL does not send it alone
	buf    []byte
	value  []byte
}

// begin writes what stands before the rows.
func (w *rowWriter) begin() error {
	dst := w.buf[:0]
	switch {
	case w.o.Kind == Binary:
		w.lead = append([]byte(signature), 0, 0, 0, 0, 0, 0, 0, 0)
	case w.o.Header && w.o.Kind <= CSV:
		for i, f := range w.schema {
			if i > 0 {
				dst = append(dst, w.o.Delimiter)
			}
			if w.o.Kind == CSV {
				dst = w.appendQuoted(dst, []byte(f.Name), false)
			} else {
				dst = w.appendEscaped(dst, []byte(f.Name))
			}
		}
		dst = append(dst, '\n')
	}
	if len(dst) == 0 {
		return nil
	}
	_, err := w.out.Write(dst)
	return err
}

// Rows implements Writer.
func (w *rowWriter) Rows(b *vec.Batch, lo, hi int) error {
	for ; lo < hi; lo++ {
		row := lo
		if b.Sel != nil {
			row = int(b.Sel[lo])
		}
		w.buf = w.row(append(w.buf[:0], w.lead...), b, row)
		w.lead = nil
		if _, err := w.out.Write(w.buf); err != nil {
			return err
		}
	}
	return nil
}

// Close implements Writer.
func (w *rowWriter) Close() error {
	if w.o.Kind != Binary {
		return nil
	}
	_, err := w.out.Write(append(w.lead, 0xff, 0xff))
	return err
}

func (w *rowWriter) text(dst []byte, b *vec.Batch, row int) []byte {
	for i, c := range b.Cols {
		if i > 0 {
			dst = append(dst, w.o.Delimiter)
		}
		switch {
		case c.IsNull(row):
			dst = append(dst, w.o.Null...)
		case plain(c.Type) && w.o.Delimiter == '\t':
			dst = expr.AppendText(dst, c, row, w.ctx)
		default:
			w.value = expr.AppendText(w.value[:0], c, row, w.ctx)
			dst = w.appendEscaped(dst, w.value)
		}
	}
	return append(dst, '\n')
}

// plain says whether the text of a type never holds what must be escaped.
func plain(t vec.Type) bool {
	return !t.Array && (t.IsNumber() || t.IsTime() || t.Kind == vec.UUID || t.Kind == vec.Bool)
}

func (w *rowWriter) appendEscaped(dst, s []byte) []byte {
	for _, c := range s {
		switch c {
		case '\b':
			dst = append(dst, `\b`...)
		case '\f':
			dst = append(dst, `\f`...)
		case '\n':
			dst = append(dst, `\n`...)
		case '\r':
			dst = append(dst, `\r`...)
		case '\t':
			dst = append(dst, `\t`...)
		case '\v':
			dst = append(dst, `\v`...)
		case '\\', w.o.Delimiter:
			dst = append(dst, '\\', c)
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

func (w *rowWriter) csv(dst []byte, b *vec.Batch, row int) []byte {
	for i, c := range b.Cols {
		if i > 0 {
			dst = append(dst, w.o.Delimiter)
		}
		if c.IsNull(row) {
			dst = append(dst, w.o.Null...)
			continue
		}
		w.value = expr.AppendText(w.value[:0], c, row, w.ctx)
		dst = w.appendQuoted(dst, w.value, flag(w.o.ForceQuote, i))
	}
	return append(dst, '\n')
}

// appendQuoted adds a value of CSV, in quotes if it needs them.
func (w *rowWriter) appendQuoted(dst, s []byte, force bool) []byte {
	if !force && string(s) != w.o.Null && bytes.IndexByte(s, w.o.Delimiter) < 0 && bytes.IndexByte(s, w.o.Quote) < 0 &&
		!bytes.ContainsAny(s, "\r\n") && (len(w.schema) > 1 || string(s) != `\.`) {
		return append(dst, s...)
	}
	dst = append(dst, w.o.Quote)
	for _, c := range s {
		if c == w.o.Quote || c == w.o.Escape {
			dst = append(dst, w.o.Escape)
		}
		dst = append(dst, c)
	}
	return append(dst, w.o.Quote)
}

func (w *rowWriter) object(dst []byte, b *vec.Batch, row int) []byte {
	dst = append(dst, '{')
	for i, c := range b.Cols {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, w.keys[i]...)
		dst = expr.AppendJSON(dst, c, row, w.ctx)
	}
	return append(dst, '}', '\n')
}

func (w *rowWriter) tuple(dst []byte, b *vec.Batch, row int) []byte {
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(b.Cols)))
	return expr.AppendBinaryRow(dst, b, row, w.ctx)
}

// ContentType is what HTTP calls a form.
func (k Kind) ContentType() string {
	switch k {
	case CSV:
		return "text/csv; charset=utf-8"
	case JSONL:
		return "application/x-ndjson"
	case Parquet:
		return "application/vnd.apache.parquet"
	case Arrow:
		return "application/vnd.apache.arrow.stream"
	case Binary:
		return "application/octet-stream"
	}
	return "text/plain; charset=utf-8"
}
