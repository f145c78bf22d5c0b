package format

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/parquet-go/parquet-go"

	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/storage/vec"
)

// shown is a column of every type with values, and how Arrow and Parquet see them.
var shown = []struct {
	t              vec.Type
	values         []string
	arrow, parquet string
}{
	{vec.T(vec.Bool), []string{"t", "f"}, "bool true false", "BOOLEAN true false"},
	{vec.T(vec.Int2), []string{"-32768", "7"}, "int16 -32768 7", "INT(16,true) -32768 7"},
	{vec.T(vec.Int4), []string{"-2147483648", "7"}, "int32 -2147483648 7", "INT(32,true) -2147483648 7"},
	{vec.T(vec.Int8), []string{"-9223372036854775808", "7"}, "int64 -9223372036854775808 7", "INT(64,true) -9223372036854775808 7"},
	{vec.T(vec.Float4), []string{"0.1", "Infinity"}, "float32 0.1 +Inf", "FLOAT 0.1 +Inf"},
	{vec.T(vec.Float8), []string{"0.1", "-1e300"}, "float64 0.1 -1e+300", "DOUBLE 0.1 -1e+300"},
	{vec.Type{Kind: vec.Numeric, Mod: 12<<16 | 3 + 4}, []string{"1.5", "-999999999.999"}, "decimal(12, 3) 1.5 -999999999.999", "DECIMAL(12,3) 00000000000000000000000000001500 ...ffffff172b5af001"},
	{vec.T(vec.Numeric), []string{"-Infinity", "NaN"}, "utf8 -Infinity NaN", "STRING -Infinity NaN"},
	{vec.T(vec.Text), []string{"", "é"}, "utf8  é", "STRING  é"},
	{vec.T(vec.Bytea), []string{`\x00ff`, ""}, "binary AP8= ", "BYTE_ARRAY \x00\xff "},
	{vec.T(vec.Date), []string{"1969-12-31", "2026-01-31"}, "date32 1969-12-31 2026-01-31", "DATE -1 20484"},
	{vec.T(vec.Time), []string{"00:00", "23:59:59.999999"}, "time64[us] 00:00:00.000000 23:59:59.999999", "TIME(isAdjustedToUTC=false,unit=MICROS) 0 86399999999"},
	{vec.T(vec.Timestamp), []string{"2026-01-02 03:04:05", "1969-12-31 23:59:59.5"}, "timestamp[us] 2026-01-02T03:04:05 1969-12-31T23:59:59.5", "TIMESTAMP(isAdjustedToUTC=false,unit=MICROS) 1767323045000000 -500000"},
	{vec.T(vec.TimestampTZ), []string{"2026-01-02 03:04:05+00", "1970-01-01 00:00:00+00"}, "timestamp[us, tz=UTC] 2026-01-02T03:04:05Z 1970-01-01T00:00:00Z", "TIMESTAMP(isAdjustedToUTC=true,unit=MICROS) 1767323045000000 0"},
	{vec.T(vec.Interval), []string{"1 year -2 days 00:00:00.5", "0"}, `month_day_nano_interval {"months":12,"days":-2,"nanoseconds":500000000} {"months":0,"days":0,"nanoseconds":0}`, "STRING 1 year -2 days +00:00:00.5 00:00:00"},
	{vec.T(vec.UUID), []string{"f47ac10b-58cc-4372-a567-0e02b2c3d479", "00000000-0000-0000-0000-000000000000"}, "arrow.uuid fixed_size_binary[16] 9HrBC1jMQ3KlZw4CssPUeQ== AAAAAAAAAAAAAAAAAAAAAA==", "UUID \xf4z\xc1\vX\xccCr\xa5g\x0e\x02\xb2\xc3\xd4y " + strings.Repeat("\x00", 16)},
	{vec.T(vec.JSONB), []string{`{"a": [1]}`, "null"}, `arrow.json utf8 {"a": [1]} null`, `JSON {"a": [1]} null`},
	{vec.T(vec.OID), []string{"4294967295", "1"}, "int64 4294967295 1", "INT(64,true) 4294967295 1"},
	{vec.ArrayOf(vec.Int4), []string{"{1,NULL,3}", "{}"}, "list<item: int32, nullable> [1,null,3] []", "INT(32,true) 1 null 3 null"},
	{vec.ArrayOf(vec.Text), []string{`{"a b"}`, `{NULL,""}`}, `list<item: utf8, nullable> ["a b"] [null,""]`, `STRING a b null `},
}

// shownBatches is two batches of those columns: one flat, with a null in front, and one of the
// same rows as dictionaries and through a selection.
func shownBatches(t testing.TB) (vec.Schema, []*vec.Batch) {
	t.Helper()
	var columns []Column
	first, second := &vec.Batch{Rows: 3}, &vec.Batch{Rows: 4, Sel: []uint32{1, 3}}
	for i, s := range shown {
		columns = append(columns, Column{Name: fmt.Sprint("c", i), Type: s.t})
	}
	r, err := NewReader(strings.NewReader(""), Defaults(Text), columns, "", testContext())
	if err != nil {
		t.Fatal(err)
	}
	d := r.Decoder()
	for i, s := range shown {
		flat := vec.NewBuilder(s.t)
		flat.AppendNull()
		for _, text := range s.values {
			if err := d.inputs[i].Text(testContext(), flat.V, []byte(text)); err != nil {
				t.Fatalf("%s: %v", s.t, err)
			}
		}
		first.Cols = append(first.Cols, flat.V)
		second.Cols = append(second.Cols, &vec.Vector{Type: s.t, Form: vec.Dict, Codes: []uint32{0, 1, 2, 2}, Dict: flat.V})
	}
	return schemaOf(columns), []*vec.Batch{first, second}
}

// Another library reads the streams that are written: all types, nulls, and columns in any form.
func TestArrowIsReadByOthers(t *testing.T) {
	schema, batches := shownBatches(t)
	raw := writeRows(t, batches, Defaults(Arrow), schema)
	r, err := ipc.NewReader(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	rows := [][]int{{-1, 0, 1}, {0, 1}} // which of the values, -1 for null
	for _, want := range rows {
		if !r.Next() {
			t.Fatalf("%d batches are missing: %v", len(rows), r.Err())
		}
		b := r.RecordBatch()
		if int(b.NumRows()) != len(want) {
			t.Fatalf("%d rows, want %d", b.NumRows(), len(want))
		}
		for i, s := range shown {
			a := b.Column(i)
			text := a.DataType().String()
			if as, ok := r.Schema().Field(i).Metadata.GetValue("ARROW:extension:name"); ok {
				text = as + " " + text
			}
			for k, which := range want {
				if a.IsNull(k) != (which < 0) {
					t.Errorf("%s: null of row %d = %v", s.t, k, a.IsNull(k))
				}
				if which >= 0 {
					text += " " + a.ValueStr(k)
				}
			}
			if text != s.arrow {
				t.Errorf("%s is %q, want %q", s.t, text, s.arrow)
			}
			if name := r.Schema().Field(i).Name; name != fmt.Sprint("c", i) {
				t.Errorf("column %d is called %s", i, name)
			}
		}
	}
	if r.Next() || r.Err() != nil {
		t.Errorf("more than %d batches: %v", len(rows), r.Err())
	}
	// Without columns, and without rows.
	if _, err := ipc.NewReader(bytes.NewReader(writeRows(t, nil, Defaults(Arrow), nil))); err != nil {
		t.Errorf("a stream of nothing: %v", err)
	}
}

func TestParquetIsReadByOthers(t *testing.T) {
	schema, batches := shownBatches(t)
	schema = append(schema, schema[0])
	for _, b := range batches {
		b.Cols = append(b.Cols, b.Cols[0])
	}
	raw := writeRows(t, batches, Defaults(Parquet), schema)
	f, err := parquet.OpenFile(bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		t.Fatal(err)
	}
	if f.NumRows() != 5 {
		t.Errorf("%d rows, want 5", f.NumRows())
	}
	rows := f.RowGroups()[0].Rows()
	defer rows.Close()
	buffer := make([]parquet.Row, 5)
	if n, _ := rows.ReadRows(buffer); n != 5 {
		t.Fatalf("%d rows can be read", n)
	}
	columns := f.Schema().Columns()
	if len(columns) != len(schema) || columns[len(columns)-1][0] != "c0_1" {
		t.Errorf("columns %q", columns)
	}
	for i, s := range shown {
		leaf, _ := f.Schema().Lookup(columns[i]...)
		text := leaf.Node.Type().String()
		for _, row := range buffer[1:3] {
			for _, v := range row {
				if v.Column() == i {
					text += " " + strings.ReplaceAll(v.String(), "<null>", "null")
				}
			}
		}
		if want := s.parquet; text != want && !strings.Contains(want, "...") {
			t.Errorf("%s is %q, want %q", s.t, text, want)
		}
		if columns[i][0] != fmt.Sprint("c", i) {
			t.Errorf("column %d is called %s", i, columns[i])
		}
	}
}

// parquetOf is a file of two row groups, with numbers that ascend.
func parquetOf(t testing.TB) []byte {
	var out bytes.Buffer
	schema := vec.Schema{{Name: "i", Type: vec.T(vec.Int8)}, {Name: "s", Type: vec.T(vec.Text)}, {Name: "l", Type: vec.ArrayOf(vec.Int4)}}
	w, err := NewWriter(&out, Defaults(Parquet), schema, testContext())
	if err != nil {
		t.Fatal(err)
	}
	w.(*parquetWriter).limit = 1 // each batch is a row group
	for group := range 2 {
		b := &vec.Batch{Rows: 50, Cols: []*vec.Vector{{Type: schema[0].Type}, {Type: schema[1].Type}, {Type: schema[2].Type}}}
		for i := range b.Rows {
			b.Cols[0].I64 = append(b.Cols[0].I64, int64(100*group+i))
			b.Cols[1].Str.AppendString(fmt.Sprint("text ", i%7))
			list := &vec.Vector{Type: schema[2].Type, Elem: &vec.Vector{Type: vec.T(vec.Int4), I64: make([]int64, i%3)}, Offs: []uint32{0, uint32(i % 3)}}
			(&vec.Builder{V: b.Cols[2]}).AppendFrom(list, 0)
		}
		if err := w.Rows(b, 0, b.Rows); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// readParquet gives the numbers of all rows of a file.
func readParquet(raw []byte, ranges []Range) (numbers []int64, err error) {
	p, err := OpenParquet(bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		return nil, err
	}
	r, err := p.Reader(p.Columns(), ranges, "file", testContext())
	if err != nil {
		return nil, err
	}
	d := r.Decoder()
	for {
		piece, err := r.Next()
		if errors.Is(err, io.EOF) {
			return numbers, nil
		}
		if err != nil {
			return nil, err
		}
		batches, err := d.Decode(piece)
		if err != nil {
			return nil, err
		}
		for _, b := range batches {
			if b.Cols[0].Type.Payload() == vec.PayloadI64 {
				numbers = append(numbers, b.Cols[0].I64...)
			}
		}
	}
}

// Row groups that a range excludes are not read, and all others are.
func TestParquetRanges(t *testing.T) {
	raw := parquetOf(t)
	if f, err := parquet.OpenFile(bytes.NewReader(raw), int64(len(raw))); err != nil || len(f.RowGroups()) != 2 {
		t.Fatalf("the file has not two row groups: %v", err)
	}
	number := func(n int64) *vec.Vector { return &vec.Vector{Type: vec.T(vec.Int8), I64: []int64{n}} }
	for _, c := range []struct {
		low, high *vec.Vector
		want      int
	}{{nil, nil, 100}, {number(50), nil, 50}, {nil, number(99), 50}, {number(49), number(100), 100}, {number(60), number(90), 0}, {number(200), nil, 0}} {
		got, err := readParquet(raw, []Range{{"i", c.low, c.high}})
		if err != nil || len(got) != c.want {
			t.Errorf("%v to %v reads %d rows, %v, want %d", c.low, c.high, len(got), err, c.want)
		}
	}
}

// NaN is more than any number, and not among the greatest values that a file tells of.
func TestParquetRangeOfNaN(t *testing.T) {
	schema := vec.Schema{{Name: "f", Type: vec.T(vec.Float8)}}
	number := func(x float64) *vec.Vector { return &vec.Vector{Type: schema[0].Type, F64: []float64{x}} }
	for _, c := range []struct {
		values    []float64
		low, high *vec.Vector
		may       bool
	}{
		{[]float64{1, math.NaN(), 2}, number(3), nil, true},
		{[]float64{1, math.NaN(), 2}, nil, number(2), true},
		{[]float64{1, math.NaN(), 2}, nil, number(0.5), false},
		{[]float64{math.NaN(), 1, 2}, nil, number(1), true},
		{[]float64{math.NaN()}, number(1), number(2), true},
	} {
		b := &vec.Batch{Rows: len(c.values), Cols: []*vec.Vector{{Type: schema[0].Type, F64: c.values}}}
		raw := writeRows(t, []*vec.Batch{b}, Defaults(Parquet), schema)
		p, err := OpenParquet(bytes.NewReader(raw), int64(len(raw)))
		if err != nil {
			t.Fatal(err)
		}
		if may := p.mayHold(0, []Range{{"f", c.low, c.high}}); may != c.may {
			t.Errorf("%v may hold %v to %v: %v", c.values, c.low, c.high, may)
		}
	}
}

// Long texts count in what a piece is said to take.
func TestParquetPieceBytes(t *testing.T) {
	schema := vec.Schema{{Name: "s", Type: vec.T(vec.Text)}}
	b := &vec.Batch{Rows: 100, Cols: []*vec.Vector{{Type: schema[0].Type}}}
	for i := range b.Rows {
		b.Cols[0].Str.AppendString(fmt.Sprint(i) + strings.Repeat("x", 10_000))
	}
	raw := writeRows(t, []*vec.Batch{b}, Defaults(Parquet), schema)
	p, err := OpenParquet(bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		t.Fatal(err)
	}
	r, err := p.Reader(p.Columns(), nil, "file", testContext())
	if err != nil {
		t.Fatal(err)
	}
	piece, err := r.Next()
	if err != nil {
		t.Fatal(err)
	}
	if n := piece.Bytes(); n < 1_000_000 || n > 2_000_000 {
		t.Errorf("rows with a MB of text are said to take %d bytes", n)
	}
}

// A damaged file is an error for the client, and no panic.
func FuzzParquet(f *testing.F) {
	raw := parquetOf(f)
	f.Add(0, byte(1))
	for at := 4; at < len(raw); at += 97 {
		f.Add(at, byte(0x55))
	}
	f.Fuzz(func(t *testing.T, at int, x byte) {
		damaged := bytes.Clone(raw)
		damaged[uint(at)%uint(len(raw))] ^= x
		if _, err := readParquet(damaged, nil); err != nil && pgerr.Code(err) == pgerr.Internal {
			t.Errorf("byte %d: %v is not an error for a client", at, err)
		}
	})
}

// A stream that is damaged anywhere is an error for the client, and no panic; an untouched one
// gives all its rows.
func FuzzArrow(f *testing.F) {
	schema, batches := shownBatches(f)
	raw := writeRows(f, batches, Defaults(Arrow), schema)
	var columns []Column
	for _, x := range schema {
		columns = append(columns, Column{Name: x.Name, Type: x.Type})
	}
	rows, _, _, err := readRows(raw, Defaults(Arrow), columns, pieceBytes)
	if err != nil || len(rows) != 5 || !strings.Contains(rows[1], `"-9223372036854775808"`) {
		f.Fatalf("%d rows come back, %v", len(rows), err)
	}
	f.Add(0, byte(1), []byte{})
	for at := 0; at < len(raw); at += 41 {
		f.Add(at, byte(0x7f), []byte{})
	}
	f.Add(0, byte(0), raw[:len(raw)/2])
	f.Fuzz(func(t *testing.T, at int, x byte, all []byte) {
		in := all
		if len(in) == 0 {
			in = bytes.Clone(raw)
			in[uint(at)%uint(len(in))] ^= x
		}
		if _, _, _, err := readRows(in, Defaults(Arrow), columns, pieceBytes); err != nil && strings.HasPrefix(err.Error(), pgerr.Internal) {
			t.Errorf("byte %d: %v is not an error for a client", at, err)
		}
	})
}

// Streams that another library writes are read: types that we do not write, columns that are
// not asked for, and what is not read has a name.
func TestArrowOfOthers(t *testing.T) {
	pool := memory.DefaultAllocator
	stamp := &arrow.TimestampType{Unit: arrow.Millisecond, TimeZone: "Europe/Berlin"}
	schema := arrow.NewSchema([]arrow.Field{{Name: "u", Type: arrow.PrimitiveTypes.Uint64}, {Name: "skip", Type: arrow.PrimitiveTypes.Int8}, {Name: "s", Type: arrow.BinaryTypes.LargeString, Nullable: true},
		{Name: "t", Type: stamp}, {Name: "l", Type: arrow.ListOf(arrow.PrimitiveTypes.Int64)}, {Name: "h", Type: arrow.FixedWidthTypes.Float16}}, nil)
	b := array.NewRecordBuilder(pool, schema)
	b.Field(0).(*array.Uint64Builder).AppendValues([]uint64{1<<64 - 1, 0}, nil)
	b.Field(1).(*array.Int8Builder).AppendValues([]int8{1, 2}, nil)
	b.Field(2).(*array.LargeStringBuilder).AppendValues([]string{"é", ""}, []bool{true, false})
	b.Field(3).(*array.TimestampBuilder).AppendValues([]arrow.Timestamp{1500, -1}, nil)
	list := b.Field(4).(*array.ListBuilder)
	list.Append(true)
	list.ValueBuilder().(*array.Int64Builder).AppendValues([]int64{7, 8}, nil)
	list.Append(true)
	b.Field(5).(*array.Float16Builder).AppendNull()
	b.Field(5).(*array.Float16Builder).AppendNull()
	var out bytes.Buffer
	w := ipc.NewWriter(&out, ipc.WithSchema(schema))
	if err := w.Write(b.NewRecordBatch()); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	columns := []Column{{Name: "t", Type: vec.T(vec.TimestampTZ)}, {Name: "u", Type: vec.T(vec.Numeric)}, {Name: "s", Type: vec.T(vec.Text)}, {Name: "l", Type: vec.ArrayOf(vec.Int4)}}
	rows, _, _, err := readRows(out.Bytes(), Defaults(Arrow), columns, pieceBytes)
	want := `["\"1970-01-01 00:00:01.5+00\" \"18446744073709551615\" \"é\" \"{7,8}\"" "\"1969-12-31 23:59:59.999+00\" \"0\" ∅ \"{}\""]`
	if got := fmt.Sprintf("%q", rows); got != want || err != nil {
		t.Errorf("rows %s, %v, want %s", got, err, want)
	}
	for name, want := range map[string]string{"h": `0A000 the column "h", which is of a type that is not read, is not supported`, "none": `22P04 the file has no column "none"`} {
		if _, _, _, err := readRows(out.Bytes(), Defaults(Arrow), []Column{{Name: name, Type: vec.T(vec.Text)}}, pieceBytes); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("column %s: %v, want %s", name, err, want)
		}
	}
	narrow := []Column{{Name: "u", Type: vec.T(vec.Int4), NotNull: true}}
	if _, _, _, err := readRows(out.Bytes(), Defaults(Arrow), narrow, pieceBytes); err == nil || err.Error() != `22003 integer out of range [COPY t, line 1, column u: "18446744073709551615"]` {
		t.Errorf("a number that is too large: %v", err)
	}
}

// All values come back from both forms, those too that are beyond all others.
func TestColumnsComeBack(t *testing.T) {
	schema, batches := shownBatches(t)
	last := &vec.Batch{Rows: 2}
	for _, f := range schema {
		v := vec.NewBuilder(f.Type)
		for _, n := range []int64{vec.InfinityTime, vec.NegInfinityTime} {
			if f.Type.Kind == vec.Date || f.Type.Kind == vec.Timestamp || f.Type.Kind == vec.TimestampTZ {
				v.V.I64 = append(v.V.I64, n)
			} else {
				v.AppendNull()
			}
		}
		last.Cols = append(last.Cols, v.V)
	}
	batches = append(batches, last)
	var want []string
	for _, b := range batches {
		for k := range b.Live() {
			i := k
			if b.Sel != nil {
				i = int(b.Sel[k])
			}
			want = append(want, rowText(b, i))
		}
	}
	for _, kind := range []Kind{Arrow, Parquet} {
		raw := writeRows(t, batches, Defaults(kind), schema)
		var columns []Column
		for _, f := range schema {
			columns = append(columns, Column{Name: f.Name, Type: f.Type})
		}
		got, _, _, err := readRows(raw, Defaults(kind), columns, pieceBytes)
		if err != nil || strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("%s: %v, rows\n%s\nwant\n%s", kind, err, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}

// What a stream says of sizes and places is held against its bytes.
func TestArrowLies(t *testing.T) {
	field := func(kind uint8, about flatTable) flatTables {
		return flatTables{{"a", true, kind, about, nil, flatTables{}}}
	}
	many := make(flatTables, maxColumns+1)
	for i := range many {
		many[i] = flatTable{"a", true, uint8(6), flatTable{}, nil, flatTables{}}
	}
	offsets := func(list ...uint32) []byte { // those of an empty bitmap in front, a text of 8 bytes behind
		body := []byte{0b101, 0, 0, 0, 0, 0, 0, 0}
		for _, x := range list {
			body = binary.LittleEndian.AppendUint32(body, x)
		}
		return append(body, "12345678"...)
	}
	texts := flatLongs{{0, 1}, {8, 16}, {24, 8}}
	const bad = "22P04 the description of a batch does not fit its bytes [COPY t, line 1, column a]"
	for _, c := range []struct {
		name    string
		columns flatTables
		rows    int64
		buffers flatLongs
		body    []byte
		want    string
	}{
		{"a time of -64 bits", field(9, flatTable{int16(2), int32(-64)}), 2, flatLongs{{0, 0}, {0, 16}}, make([]byte, 16), `0A000 the column "a", which is of a type that is not read, is not supported []`},
		{"values of 2 GB", field(15, flatTable{int32(1<<31 - 1)}), 2, flatLongs{{0, 0}, {0, 16}}, make([]byte, 16), `0A000 the column "a", which is of a type that is not read, is not supported []`},
		{"10,001 columns", many, 0, nil, nil, "54000 more than 10000 columns []"},
		{"a time beyond the day", field(9, flatTable{int16(0), int32(64)}), 1, flatLongs{{0, 0}, {0, 8}}, []byte{0, 0, 0, 0, 0, 0, 0, 0x40}, "22008 time out of range [COPY t, line 1, column a]"},
		{"a timestamp beyond all", field(10, flatTable{int16(0)}), 1, flatLongs{{0, 0}, {0, 8}}, []byte{0, 0, 0, 0, 0, 0, 0, 0x40}, "22008 timestamp out of range [COPY t, line 1, column a]"},
		{"texts", field(5, flatTable{}), 3, texts, offsets(0, 4, 4, 8), ""},
		{"a null that goes back", field(5, flatTable{}), 3, texts, offsets(0, 8, 0, 8), bad},
	} {
		var out bytes.Buffer
		w := &arrowWriter{out: &out}
		err := errors.Join(w.message(arrowSchema, flatTable{int16(0), c.columns}, nil),
			w.message(arrowRecordBatch, flatTable{c.rows, flatLongs{{c.rows, 0}}, c.buffers}, c.body), w.Close())
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if _, _, _, err := readRows(out.Bytes(), Defaults(Arrow), []Column{{Name: "a", Type: vec.T(vec.Text)}}, pieceBytes); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}
