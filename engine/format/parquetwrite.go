package format

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"reflect"

	"github.com/parquet-go/parquet-go"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/storage/vec"
)

// A row group that we write ends after so many rows, or bytes: until then it is held in memory.
const (
	groupRows  = 122_880
	groupBytes = 32 << 20
)

// parquetWriter writes a Parquet file.
type parquetWriter struct {
	w       *parquet.Writer
	columns []parquetOut
	ctx     *expr.Context
	rows    []parquet.Row
	group   int64  // bytes of the row group, about
	limit   int64  // that end it
	arena   []byte // the bytes of values, until they are written
}

// parquetOut is how a column is written.
type parquetOut struct {
	node  parquet.Node
	value func(w *parquetWriter, v *vec.Vector, i int) (parquet.Value, error)
	list  bool
}

// ordered is a group whose fields stay in their order.
type ordered struct {
	parquet.Group
	fields []parquet.Field
}

// Fields implements parquet.Node.
func (o ordered) Fields() []parquet.Field { return o.fields }

type orderedField struct {
	parquet.Node
	name string
}

// Name implements parquet.Field.
func (f orderedField) Name() string { return f.name }

// Value implements parquet.Field. Rows are not made of Go values.
func (f orderedField) Value(reflect.Value) reflect.Value { return reflect.Value{} }

// uniqueNames makes the names of columns differ, as files want them.
func uniqueNames(schema vec.Schema) []string {
	seen := map[string]bool{}
	names := make([]string, len(schema))
	for i, f := range schema {
		name := f.Name
		for n := 1; seen[name]; n++ {
			name = fmt.Sprintf("%s_%d", f.Name, n)
		}
		seen[name], names[i] = true, name
	}
	return names
}

func newParquetWriter(out io.Writer, schema vec.Schema, ctx *expr.Context) (Writer, error) {
	w := &parquetWriter{ctx: ctx, limit: groupBytes}
	root := ordered{}
	names := uniqueNames(schema)
	for i, f := range schema {
		c := parquetColumnOut(f.Type)
		node := parquet.Optional(c.node)
		if c.list {
			node = parquet.Optional(parquet.List(node))
		}
		root.fields = append(root.fields, orderedField{node, names[i]})
		w.columns = append(w.columns, c)
	}
	if len(schema) == 0 {
		return nil, pgerr.Unsupported("a Parquet file without columns")
	}
	w.w = parquet.NewWriter(out, parquet.NewSchema("prickle", root), parquet.Compression(&parquet.Snappy),
		parquet.MaxRowsPerRowGroup(groupRows), parquet.CreatedBy("prickle", "", ""))
	return w, nil
}

// parquetColumnOut chooses how a type is written. What Parquet has no word for is text.
func parquetColumnOut(t vec.Type) parquetOut {
	if t.Array {
		c := parquetColumnOut(t.Elem())
		c.list = true
		return c
	}
	number := func(node parquet.Node, value func(v *vec.Vector, i int) parquet.Value) parquetOut {
		return parquetOut{node: node, value: func(_ *parquetWriter, v *vec.Vector, i int) (parquet.Value, error) { return value(v, i), nil }}
	}
	bytes := func(node parquet.Node, value func(v *vec.Vector, i int) []byte) parquetOut {
		return parquetOut{node: node, value: func(w *parquetWriter, v *vec.Vector, i int) (parquet.Value, error) {
			return parquet.ByteArrayValue(w.keep(value(v, i))), nil
		}}
	}
	text := func(v *vec.Vector, i int) []byte { return v.Str.At(i) }
	switch t.Kind {
	case vec.Bool:
		return number(parquet.Leaf(parquet.BooleanType), func(v *vec.Vector, i int) parquet.Value { return parquet.BooleanValue(v.Bools[i]) })
	case vec.Int2:
		return number(parquet.Int(16), func(v *vec.Vector, i int) parquet.Value { return parquet.Int32Value(int32(v.I64[i])) })
	case vec.Int4:
		return number(parquet.Int(32), func(v *vec.Vector, i int) parquet.Value { return parquet.Int32Value(int32(v.I64[i])) })
	case vec.Int8, vec.OID:
		return number(parquet.Int(64), func(v *vec.Vector, i int) parquet.Value { return parquet.Int64Value(v.I64[i]) })
	case vec.Float4:
		return number(parquet.Leaf(parquet.FloatType), func(v *vec.Vector, i int) parquet.Value { return parquet.FloatValue(float32(v.F64[i])) })
	case vec.Float8:
		return number(parquet.Leaf(parquet.DoubleType), func(v *vec.Vector, i int) parquet.Value { return parquet.DoubleValue(v.F64[i]) })
	case vec.Date:
		return number(parquet.Date(), func(v *vec.Vector, i int) parquet.Value { return parquet.Int32Value(day32(v.I64[i])) })
	case vec.Time:
		return number(parquet.TimeAdjusted(parquet.Microsecond, false), func(v *vec.Vector, i int) parquet.Value { return parquet.Int64Value(v.I64[i]) })
	case vec.Timestamp, vec.TimestampTZ:
		return number(parquet.TimestampAdjusted(parquet.Microsecond, t.Kind == vec.TimestampTZ), func(v *vec.Vector, i int) parquet.Value { return parquet.Int64Value(v.I64[i]) })
	case vec.UUID:
		return parquetOut{node: parquet.UUID(), value: func(w *parquetWriter, v *vec.Vector, i int) (parquet.Value, error) {
			return parquet.FixedLenByteArrayValue(w.keep(v.UUIDs[i][:])), nil
		}}
	case vec.JSONB:
		return bytes(parquet.JSON(), text)
	case vec.Bytea, vec.IntSet:
		return bytes(parquet.Leaf(parquet.ByteArrayType), text)
	case vec.Text, vec.Varchar, vec.Unknown, vec.Name:
		return bytes(parquet.String(), text)
	case vec.Numeric:
		if precision, scale, ok := decimalType(t); ok {
			return parquetOut{node: parquet.Decimal(scale, precision, parquet.FixedLenByteArrayType(16)), value: func(w *parquetWriter, v *vec.Vector, i int) (parquet.Value, error) {
				hi, lo, err := decimalBits(v.Decimal(i), scale)
				var raw [16]byte
				binary.BigEndian.PutUint64(raw[:], uint64(hi))
				binary.BigEndian.PutUint64(raw[8:], lo)
				return parquet.FixedLenByteArrayValue(w.keep(raw[:])), err
			}}
		}
	}
	return parquetOut{node: parquet.String(), value: func(w *parquetWriter, v *vec.Vector, i int) (parquet.Value, error) {
		at := len(w.arena)
		w.arena = expr.AppendText(w.arena, v, i, w.ctx)
		return parquet.ByteArrayValue(w.arena[at:len(w.arena):len(w.arena)]), nil
	}}
}

// decimalType is what numeric(p, s) says; false for a numeric of any size.
func decimalType(t vec.Type) (precision, scale int, ok bool) {
	if t.Mod == 0 {
		return 0, 0, false
	}
	precision, scale = int(t.Mod-4)>>16&0xffff, int(t.Mod-4)&0x7ff
	return precision, scale, scale <= precision && precision <= vec.MaxDecimalDigits
}

// decimalBits is a numeric as a whole number of 10^-scale.
func decimalBits(d vec.Decimal, scale int) (hi int64, lo uint64, err error) {
	if !d.IsFinite() {
		return 0, 0, pgerr.New(pgerr.NumericOutOfRange, "%s is no decimal of this form", d).WithHint("Convert the column to double precision or text.")
	}
	d, err = d.Round(scale)
	return d.Hi, d.Lo, err
}

// day32 is a date in 32 bits; the infinite ones are the first and the last.
func day32(day int64) int32 { return int32(min(max(day, -1<<31), 1<<31-1)) }

// day64 is the date that day32 gives n for.
func day64(n int64) int64 {
	switch {
	case n >= math.MaxInt32:
		return vec.InfinityTime
	case n <= math.MinInt32:
		return vec.NegInfinityTime
	}
	return n
}

// keep copies bytes that must last until the rows are written.
func (w *parquetWriter) keep(b []byte) []byte {
	at := len(w.arena)
	w.arena = append(w.arena, b...)
	return w.arena[at:len(w.arena):len(w.arena)]
}

// Rows implements Writer.
func (w *parquetWriter) Rows(b *vec.Batch, lo, hi int) error {
	w.arena = w.arena[:0]
	for len(w.rows) < hi-lo {
		w.rows = append(w.rows, nil)
	}
	rows := w.rows[:hi-lo]
	for k := range rows {
		row := lo + k
		if b.Sel != nil {
			row = int(b.Sel[row])
		}
		rows[k] = rows[k][:0]
		for c := range w.columns {
			var err error
			if rows[k], err = w.column(rows[k], c, b.Cols[c], row); err != nil {
				return err
			}
		}
	}
	if _, err := w.w.WriteRows(rows); err != nil {
		return err
	}
	w.group += int64(len(w.arena)) + 8*int64(len(rows)*len(w.columns))
	if w.group < w.limit {
		return nil
	}
	w.group = 0
	return w.w.Flush()
}

// column adds the values of a column to a row.
func (w *parquetWriter) column(out parquet.Row, c int, col *vec.Vector, row int) (parquet.Row, error) {
	x := &w.columns[c]
	if col.IsNull(row) {
		return append(out, parquet.NullValue().Level(0, 0, c)), nil
	}
	v, i := col.At(row)
	if !x.list {
		value, err := x.value(w, v, i)
		return append(out, value.Level(0, 1, c)), err
	}
	first, last := int(v.Offs[i]), int(v.Offs[i+1])
	if first == last {
		return append(out, parquet.NullValue().Level(0, 1, c)), nil
	}
	for j := first; j < last; j++ {
		again := 0
		if j > first {
			again = 1
		}
		if v.Elem.IsNull(j) {
			out = append(out, parquet.NullValue().Level(again, 2, c))
			continue
		}
		value, err := x.value(w, v.Elem, j)
		if err != nil {
			return out, err
		}
		out = append(out, value.Level(again, 3, c))
	}
	return out, nil
}

// Close implements Writer.
func (w *parquetWriter) Close() error { return w.w.Close() }
