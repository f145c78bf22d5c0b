package format

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/storage/vec"
)

func testContext() *expr.Context { return &expr.Context{Location: time.UTC} }

var testColumns = []Column{
	{Name: "a", Type: vec.T(vec.Int4), NotNull: true, Table: "t"},
	{Name: "b", Type: vec.T(vec.Text)},
	{Name: "c", Type: vec.Type{Kind: vec.Varchar, Mod: 4 + 4}},
	{Name: "d", Type: vec.ArrayOf(vec.Text)},
	{Name: "e", Type: vec.T(vec.JSONB)},
}

func schemaOf(columns []Column) vec.Schema {
	var s vec.Schema
	for _, c := range columns {
		s = append(s, vec.Field{Name: c.Name, Type: c.Type})
	}
	return s
}

// readRows reads rows in pieces of so many bytes, and shows them. The error holds its code, its
// words and where it came about.
func readRows(raw []byte, o Options, columns []Column, piece int) (rows []string, batches []*vec.Batch, skipped int64, err error) {
	var r *Reader
	if o.Kind == Parquet {
		var p *ParquetFile
		if p, err = OpenParquet(bytes.NewReader(raw), int64(len(raw))); err == nil {
			r, err = p.Reader(columns, nil, "COPY t", testContext())
		}
	} else {
		r, err = NewReader(bytes.NewReader(raw), o, columns, "COPY t", testContext())
	}
	if err != nil {
		return nil, nil, 0, err
	}
	r.piece = piece
	d := r.Decoder()
	for {
		p, err := r.Next()
		if errors.Is(err, io.EOF) {
			return rows, batches, r.Skipped(), nil
		}
		var out []*vec.Batch
		if err == nil {
			out, err = d.Decode(p)
		}
		if err != nil {
			e := pgerr.From(err)
			return nil, nil, 0, fmt.Errorf("%s %s [%s]", e.Code, e.Message, e.Where)
		}
		for _, b := range out {
			batches = append(batches, b)
			for i := range b.Rows {
				rows = append(rows, rowText(b, i))
			}
		}
	}
}

func rowText(b *vec.Batch, row int) string {
	var line []string
	for _, c := range b.Cols {
		if c.IsNull(row) {
			line = append(line, "∅")
		} else {
			line = append(line, fmt.Sprintf("%q", expr.AppendText(nil, c, row, testContext())))
		}
	}
	return strings.Join(line, " ")
}

func writeRows(t testing.TB, batches []*vec.Batch, o Options, schema vec.Schema) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := NewWriter(&out, o, schema, testContext())
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range batches {
		if err := w.Rows(b, 0, b.Live()); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// fuzzOptions are ways to write rows that a fuzzer can choose.
func fuzzOptions(n byte) Options {
	o := Defaults([]Kind{Text, CSV, JSONL, Binary}[n%4])
	switch n / 4 % 4 {
	case 1:
		if o.Kind <= CSV {
			o.Delimiter, o.Null, o.Header = '|', "nil", true
		}
	case 2:
		o.Skip = o.Kind != Binary
	case 3:
		if o.Kind == CSV {
			o.Quote, o.Escape = '\'', '\\'
			o.ForceNotNull, o.ForceQuote = []bool{false, true}, []bool{true}
		}
	}
	return o
}

// Where a stream is cut does not matter, and what was read comes back as it was written.
func FuzzRead(f *testing.F) {
	for _, s := range []string{"1\ta\\tb\t\\N\t{a}\t{}\n2\t\\N\n", "1,\"a\"\"\nb\",c,\"{x,\"\"y z\"\"}\",[1]\r\n2,,,,\n\\.\nrest", `{"a":1,"b":"x\u00e4","d":["p",null],"e":{"k":[1]}}` + "\n\n{\"a\":2}",
		"a|b|c|d|e\n7|nil|nil|nil|nil\n", "1,'it\\'s',,,\n", "1\tx\\\ny\tabc \t{}\t1\n", "1,\"open", "x,y\n1,2,3,4,5,6\n"} {
		for n := range byte(16) {
			f.Add([]byte(s), n, byte(3))
		}
	}
	f.Add([]byte(signature+"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x05\x00\x00\x00\x04\x00\x00\x00\x07\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), byte(3), byte(1))
	f.Fuzz(func(t *testing.T, raw []byte, n, piece byte) {
		o := fuzzOptions(n)
		rows, batches, skipped, err := readRows(raw, o, testColumns, pieceBytes)
		again, _, alsoSkipped, otherErr := readRows(raw, o, testColumns, 1+int(piece))
		if fmt.Sprint(rows, skipped, err) != fmt.Sprint(again, alsoSkipped, otherErr) {
			t.Fatalf("%q in pieces of %d gives\n%q %d %v, whole\n%q %d %v", raw, 1+int(piece), again, alsoSkipped, otherErr, rows, skipped, err)
		}
		if err != nil {
			if strings.HasPrefix(err.Error(), pgerr.Internal) {
				t.Fatalf("%q: %v is not an error for a client", raw, err)
			}
			return
		}
		o.Skip = false
		written := writeRows(t, batches, o, schemaOf(testColumns))
		back, _, _, err := readRows(written, o, testColumns, pieceBytes)
		if err != nil || fmt.Sprint(back) != fmt.Sprint(rows) {
			t.Fatalf("rows\n%q\nwritten %q\nread %q, %v", rows, written, back, err)
		}
	})
}

func TestKinds(t *testing.T) {
	for k := Text; k <= Arrow; k++ {
		if got, ok := KindOf(k.String()); got != k || !ok {
			t.Errorf("KindOf(%q) = %v, %v", k, got, ok)
		}
	}
	if _, ok := KindOf("xml"); ok {
		t.Error("xml is a form")
	}
}

func TestFindColumn(t *testing.T) {
	for _, c := range []struct {
		names string
		name  string
		want  int
	}{{"A b", "b", 1}, {"UserID b", "userid", 0}, {"a A", "A", 1}, {"Aa aA", "aa", -1}, {"a b", "c", -1}} {
		names := strings.Fields(c.names)
		if got := findColumn(len(names), func(i int) string { return names[i] }, c.name); got != c.want {
			t.Errorf("findColumn(%s, %s) = %d, want %d", c.names, c.name, got, c.want)
		}
	}
}
