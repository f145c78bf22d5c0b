package format

import (
	"encoding/binary"
	"io"
	"math"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/storage/vec"
)

// An Arrow stream is messages, and ends with one of no bytes:
//
//	+----------------+---------+----------------------+---------------------+
//	| 0xffffffff (4) | size(4) | description (flat.go)| values, padded to 8 |
//	+----------------+---------+----------------------+---------------------+
//
// The first describes the columns and has no values; each other one is a batch.
//
// The numbers below are those of the format's description.
const (
	arrowV5          = int16(4)
	arrowSchema      = uint8(1)
	arrowRecordBatch = uint8(3)
)

// arrowType is a type of the format.
type arrowType struct {
	kind  uint8
	about flatTable
	// as names the values of a known extension; empty for none.
	as string
}

// arrowTypeOf chooses the type for a column that is no array. What Arrow has no word for is
// text.
func arrowTypeOf(t vec.Type) arrowType {
	integer := func(bits int32) arrowType { return arrowType{kind: 2, about: flatTable{bits, true}} }
	switch t.Kind {
	case vec.Bool:
		return arrowType{kind: 6, about: flatTable{}}
	case vec.Int2:
		return integer(16)
	case vec.Int4:
		return integer(32)
	case vec.Int8, vec.OID:
		return integer(64)
	case vec.Float4:
		return arrowType{kind: 3, about: flatTable{int16(1)}}
	case vec.Float8:
		return arrowType{kind: 3, about: flatTable{int16(2)}}
	case vec.Numeric:
		if precision, scale, ok := decimalType(t); ok {
			return arrowType{kind: 7, about: flatTable{int32(precision), int32(scale), int32(128)}}
		}
	case vec.Bytea, vec.IntSet:
		return arrowType{kind: 4, about: flatTable{}}
	case vec.Date:
		return arrowType{kind: 8, about: flatTable{int16(0)}}
	case vec.Time:
		return arrowType{kind: 9, about: flatTable{int16(2), int32(64)}}
	case vec.Timestamp:
		return arrowType{kind: 10, about: flatTable{int16(2)}}
	case vec.TimestampTZ:
		return arrowType{kind: 10, about: flatTable{int16(2), "UTC"}}
	case vec.Interval:
		return arrowType{kind: 11, about: flatTable{int16(2)}}
	case vec.UUID:
		return arrowType{kind: 15, about: flatTable{int32(16)}, as: "arrow.uuid"}
	case vec.JSONB:
		return arrowType{kind: 5, about: flatTable{}, as: "arrow.json"}
	}
	return arrowType{kind: 5, about: flatTable{}}
}

const arrowList = uint8(12)

// arrowField describes a column.
func arrowField(name string, t vec.Type) flatTable {
	if t.Array {
		return flatTable{name, true, arrowList, flatTable{}, nil, flatTables{arrowField("item", t.Elem())}}
	}
	a := arrowTypeOf(t)
	f := flatTable{name, true, a.kind, a.about, nil, flatTables{}}
	if a.as != "" {
		f = append(f, flatTables{{"ARROW:extension:name", a.as}, {"ARROW:extension:metadata", ""}})
	}
	return f
}

// arrowWriter writes an Arrow stream.
type arrowWriter struct {
	out    io.Writer
	schema vec.Schema
	ctx    *expr.Context

	body    []byte
	nodes   flatLongs // of each column: values, nulls
	buffers flatLongs // offset and size in body
}

func newArrowWriter(out io.Writer, schema vec.Schema, ctx *expr.Context) (Writer, error) {
	w := &arrowWriter{out: out, schema: schema, ctx: ctx}
	var fields flatTables
	for _, f := range schema {
		fields = append(fields, arrowField(f.Name, f.Type))
	}
	return w, w.message(arrowSchema, flatTable{int16(0), fields}, nil)
}

// message writes one message.
func (w *arrowWriter) message(kind uint8, header flatTable, body []byte) error {
	about := appendFlat(flatTable{arrowV5, kind, header, int64(len(body))})
	head := binary.LittleEndian.AppendUint32([]byte{0xff, 0xff, 0xff, 0xff}, uint32(len(about)))
	if _, err := w.out.Write(append(head, about...)); err != nil || len(body) == 0 {
		return err
	}
	_, err := w.out.Write(body)
	return err
}

// Close implements Writer.
func (w *arrowWriter) Close() error {
	_, err := w.out.Write([]byte{0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0})
	return err
}

// Rows implements Writer.
func (w *arrowWriter) Rows(b *vec.Batch, lo, hi int) error {
	w.body, w.nodes, w.buffers = w.body[:0], w.nodes[:0], w.buffers[:0]
	for _, c := range b.Cols {
		if err := w.column(c, b.Sel, lo, hi); err != nil {
			return err
		}
	}
	return w.message(arrowRecordBatch, flatTable{int64(hi - lo), w.nodes, w.buffers}, w.body)
}

// buffer ends the buffer that began at a place in the body.
func (w *arrowWriter) buffer(from int) {
	w.buffers = append(w.buffers, [2]int64{int64(from), int64(len(w.body) - from)})
	for len(w.body)%8 != 0 {
		w.body = append(w.body, 0)
	}
}

// column adds values lo to hi of a column, counted in sel if there is one.
func (w *arrowWriter) column(c *vec.Vector, sel []uint32, lo, hi int) error {
	place := func(k int) int {
		if sel != nil {
			return int(sel[lo+k])
		}
		return lo + k
	}
	n := hi - lo
	nulls, from := 0, len(w.body)
	if c.HasNulls() {
		w.body = append(w.body, make([]byte, (n+7)/8)...)
		for k := range n {
			if c.IsNull(place(k)) {
				nulls++
			} else {
				w.body[from+k/8] |= 1 << (k % 8)
			}
		}
	}
	w.nodes = append(w.nodes, [2]int64{int64(n), int64(nulls)})
	w.buffer(from)
	le := binary.LittleEndian
	null := func(k int) bool { return nulls > 0 && c.IsNull(place(k)) }
	from = len(w.body)
	switch t := c.Type; {
	case t.Array:
		return w.list(c, place, null, n)
	case t.Kind == vec.Bool:
		w.body = append(w.body, make([]byte, (n+7)/8)...)
		for k := range n {
			if v, i := c.At(place(k)); !null(k) && v.Bools[i] {
				w.body[from+k/8] |= 1 << (k % 8)
			}
		}
	case arrowWidth(t) > 0:
		width := arrowWidth(t)
		for k := range n {
			if null(k) {
				w.body = append(w.body, make([]byte, width)...)
				continue
			}
			v, i := c.At(place(k))
			switch t.Kind {
			case vec.Int2:
				w.body = le.AppendUint16(w.body, uint16(v.I64[i]))
			case vec.Int4:
				w.body = le.AppendUint32(w.body, uint32(v.I64[i]))
			case vec.Date:
				w.body = le.AppendUint32(w.body, uint32(day32(v.I64[i])))
			case vec.Float4:
				w.body = le.AppendUint32(w.body, math.Float32bits(float32(v.F64[i])))
			case vec.Float8:
				w.body = le.AppendUint64(w.body, math.Float64bits(v.F64[i]))
			case vec.UUID:
				w.body = append(w.body, v.UUIDs[i][:]...)
			case vec.Interval:
				x := v.Ivl[i]
				if x.Micros > math.MaxInt64/1000 || x.Micros < math.MinInt64/1000 {
					return pgerr.New(pgerr.DatetimeOverflow, "interval out of range of Arrow").WithHint("Convert the column to text.")
				}
				w.body = le.AppendUint32(w.body, uint32(x.Months))
				w.body = le.AppendUint32(w.body, uint32(x.Days))
				w.body = le.AppendUint64(w.body, uint64(x.Micros*1000))
			case vec.Numeric:
				_, scale, _ := decimalType(t)
				hi, lo, err := decimalBits(v.Decimal(i), scale)
				if err != nil {
					return err
				}
				w.body = le.AppendUint64(le.AppendUint64(w.body, lo), uint64(hi))
			default:
				w.body = le.AppendUint64(w.body, uint64(v.I64[i]))
			}
		}
	default:
		return w.strings(c, place, null, n)
	}
	w.buffer(from)
	return nil
}

// arrowWidth is how many bytes a value of a type takes; 0 if that differs, or is less.
func arrowWidth(t vec.Type) int {
	switch t.Kind {
	case vec.Int2:
		return 2
	case vec.Int4, vec.Float4, vec.Date:
		return 4
	case vec.Int8, vec.OID, vec.Float8, vec.Time, vec.Timestamp, vec.TimestampTZ:
		return 8
	case vec.UUID, vec.Interval:
		return 16
	case vec.Numeric:
		if _, _, ok := decimalType(t); ok {
			return 16
		}
	}
	return 0
}

// offsets adds room for n+1 offsets, and gives a function that sets one.
func (w *arrowWriter) offsets(n int) func(k, value int) {
	from := len(w.body)
	w.body = append(w.body, make([]byte, 4*(n+1))...)
	w.buffer(from)
	return func(k, value int) { binary.LittleEndian.PutUint32(w.body[from+4*k:], uint32(value)) }
}

// strings adds the offsets and the bytes of texts.
func (w *arrowWriter) strings(c *vec.Vector, place func(int) int, null func(int) bool, n int) error {
	set := w.offsets(n)
	from := len(w.body)
	raw := c.Type.Kind == vec.Bytea || c.Type.Kind == vec.IntSet // which as text are something else
	for k := range n {
		if !null(k) {
			if v, i := c.At(place(k)); raw {
				w.body = append(w.body, v.Str.At(i)...)
			} else {
				w.body = expr.AppendText(w.body, c, place(k), w.ctx)
			}
		}
		if len(w.body)-from > math.MaxInt32 {
			return pgerr.New(pgerr.ProgramLimitExceeded, "a column of more than 2 GB in one batch")
		}
		set(k+1, len(w.body)-from)
	}
	w.buffer(from)
	return nil
}

// list adds the offsets and the elements of arrays.
func (w *arrowWriter) list(c *vec.Vector, place func(int) int, null func(int) bool, n int) error {
	set := w.offsets(n)
	elements := vec.NewBuilder(c.Type.Elem())
	for k := range n {
		if !null(k) {
			v, i := c.At(place(k))
			for j := v.Offs[i]; j < v.Offs[i+1]; j++ {
				elements.AppendFrom(v.Elem, int(j))
			}
		}
		set(k+1, elements.V.Len())
	}
	return w.column(elements.V, nil, 0, elements.V.Len())
}
