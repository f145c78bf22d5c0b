package format

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/storage/vec"
)

// wideParquet is a file of many small pages, in two row groups, with columns of every kind of
// page: with a dictionary or without, with one that the writer gives up, with nulls, with lists
// that lie across pages.
func wideParquet(t *testing.T, rows, version int) []byte {
	t.Helper()
	type row struct {
		Number   int64    `parquet:"number"`
		Maybe    *int32   `parquet:"maybe,optional"`
		Few      string   `parquet:"few,dict"`
		MaybeFew *string  `parquet:"maybe_few,optional,dict"`
		Many     string   `parquet:"many,dict"`
		Plain    string   `parquet:"plain"`
		Float    float64  `parquet:"float"`
		Flag     *bool    `parquet:"flag,optional"`
		Price    int64    `parquet:"price,decimal(2:15)"`
		List     []int32  `parquet:"list"`
		Words    []string `parquet:"words,dict"`
		Same     int64    `parquet:"same,dict"`
	}
	var out bytes.Buffer
	w := parquet.NewGenericWriter[row](&out, parquet.PageBufferSize(5000), parquet.DataPageVersion(version), parquet.MaxRowsPerRowGroup(int64(rows*2/3)),
		parquet.DictionaryMaxBytes(40_000), parquet.Compression(&parquet.Snappy))
	for i := range rows {
		r := row{Number: int64(i) - 5, Few: fmt.Sprint("few ", i%7), Many: fmt.Sprint("many ", i*i%50_021), Plain: strings.Repeat("é", i%5) + fmt.Sprint(i),
			Float: float64(i) / 4, Price: int64(i*37%1000) - 500, Same: int64(i%3) << 40}
		if i%3 > 0 {
			n, s, b := int32(i), fmt.Sprint("maybe ", i%11), i%2 == 0
			r.Maybe, r.MaybeFew, r.Flag = &n, &s, &b
		}
		for k := range i % 4 {
			r.List = append(r.List, int32(i+k))
			r.Words = append(r.Words, fmt.Sprint("word ", (i+k)%9))
		}
		if _, err := w.Write([]row{r}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// All values of a file are read, by several decoders at once, as the library reads them one by
// one.
func TestParquetPages(t *testing.T) {
	rows := 20_000
	if testing.Short() {
		rows = 9_000
	}
	for _, version := range []int{1, 2} {
		raw := wideParquet(t, rows, version)
		p, err := OpenParquet(bytes.NewReader(raw), int64(len(raw)))
		if err != nil {
			t.Fatal(err)
		}
		columns := p.Columns()
		r, err := p.Reader(columns, nil, "file", testContext())
		if err != nil {
			t.Fatal(err)
		}
		type job struct {
			piece *Piece
			out   []*vec.Batch
			err   error
		}
		var jobs []*job
		work := make(chan *job)
		var wait sync.WaitGroup
		for range 3 {
			wait.Go(func() {
				d := r.Decoder()
				for j := range work {
					j.out, j.err = d.Decode(j.piece)
				}
			})
		}
		for {
			piece, err := r.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			j := &job{piece: piece}
			jobs = append(jobs, j)
			work <- j
		}
		close(work)
		wait.Wait()
		f, err := parquet.OpenFile(bytes.NewReader(raw), int64(len(raw)))
		if err != nil {
			t.Fatal(err)
		}
		want := parquet.NewReader(f)
		one := make([]parquet.Row, 1)
		seen, dicts := 0, 0
		for _, j := range jobs {
			if j.err != nil {
				t.Fatal(j.err)
			}
			for _, b := range j.out {
				for _, c := range b.Cols {
					if c.Form == vec.Dict {
						dicts++
					}
				}
				for row := range b.Rows {
					if n, err := want.ReadRows(one); n != 1 {
						t.Fatalf("row %d: %v", seen, err)
					}
					if got, want := rowOf(b, row, columns), libraryRow(one[0], columns); got != want {
						t.Fatalf("version %d: row %d:\n%s\nwant\n%s", version, seen, got, want)
					}
					seen++
				}
			}
		}
		if seen != rows || dicts == 0 {
			t.Errorf("version %d: %d rows, want %d; %d columns of batches have dictionaries", version, seen, rows, dicts)
		}
	}
}

// A decoder that waits for an earlier piece says so: somebody else may compute meanwhile.
func TestParquetAway(t *testing.T) {
	type row struct {
		Number int64 `parquet:"number"`
	}
	var out bytes.Buffer
	w := parquet.NewGenericWriter[row](&out)
	if _, err := w.Write(make([]row, parquetRows+1)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	p, err := OpenParquet(bytes.NewReader(out.Bytes()), int64(out.Len()))
	if err != nil {
		t.Fatal(err)
	}
	r, err := p.Reader(p.Columns(), nil, "file", testContext())
	if err != nil {
		t.Fatal(err)
	}
	first, second := r.Decoder(), r.Decoder()
	away, back := make(chan bool), false
	first.Away = func() func() { t.Error("the first piece waits"); return func() {} }
	second.Away = func() func() { close(away); return func() { back = true } }
	var pieces []*Piece
	for range 2 {
		piece, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		pieces = append(pieces, piece)
	}
	done := make(chan error)
	go func() {
		_, err := second.Decode(pieces[1])
		done <- err
	}()
	<-away
	if _, err := first.Decode(pieces[0]); err != nil {
		t.Error(err)
	}
	if err := <-done; err != nil || !back {
		t.Errorf("the second piece: %v; back %v", err, back)
	}
}

func rowOf(b *vec.Batch, row int, columns []Column) string {
	var out []string
	for i, c := range b.Cols {
		if c.IsNull(row) {
			out = append(out, columns[i].Name+"=null")
			continue
		}
		out = append(out, columns[i].Name+"="+string(expr.AppendText(nil, c, row, testContext())))
	}
	return strings.Join(out, " ")
}

func libraryRow(row parquet.Row, columns []Column) string {
	values := make([][]string, len(columns))
	for _, v := range row {
		c := &columns[v.Column()]
		text := v.String()
		switch {
		case v.IsNull() && c.Type.Array:
			continue
		case v.IsNull():
			text = "null"
		case c.Type.Kind == vec.Numeric:
			text = vec.Decimal{Hi: v.Int64() >> 63, Lo: uint64(v.Int64()), Scale: 2}.String()
		case c.Type.Kind == vec.Bool:
			text = text[:1]
		case c.Type.Array && c.Type.Kind == vec.Text:
			text = `"` + text + `"`
		}
		values[v.Column()] = append(values[v.Column()], text)
	}
	var out []string
	for i, c := range columns {
		text := strings.Join(values[i], ",")
		if c.Type.Array {
			text = "{" + text + "}"
		}
		out = append(out, c.Name+"="+text)
	}
	return strings.Join(out, " ")
}

// A text that is no UTF-8 is told of with its line, or at least its column if it is in a
// dictionary; Raw takes it.
func TestParquetText(t *testing.T) {
	type row struct {
		Plain string `parquet:"plain"`
		Coded string `parquet:"coded,dict"`
	}
	for _, c := range []struct {
		plain, coded string
		where        string
	}{{"\xc3", "x", "COPY t, line 3, column plain"}, {"x", "\xff", "COPY t, column coded"}, {"\xa9", "x", "COPY t, line 3, column plain"}} {
		var out bytes.Buffer
		w := parquet.NewGenericWriter[row](&out)
		if _, err := w.Write([]row{{"a", "a"}, {"b\xc3\xa9", "b"}, {c.plain, c.coded}, {"\xc3\xa9", "d"}}); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		columns := []Column{{Name: "plain", Type: vec.T(vec.Text)}, {Name: "coded", Type: vec.T(vec.Text)}}
		_, _, _, err := readRows(out.Bytes(), Defaults(Parquet), columns, 1)
		if err == nil || !strings.HasSuffix(err.Error(), "["+c.where+"]") {
			t.Errorf("%q, %q: %v, want where %q", c.plain, c.coded, err, c.where)
		}
		for i := range columns {
			columns[i].Type, columns[i].Raw = vec.T(vec.Bytea), true
		}
		rows, _, _, err := readRows(out.Bytes(), Defaults(Parquet), columns, 1)
		if want := fmt.Sprintf(`"\\x%x" "\\x%x"`, c.plain, c.coded); err != nil || len(rows) != 4 || rows[2] != want {
			t.Errorf("raw: %v %v, want %s", rows, err, want)
		}
	}
}

// TestParquetFooter: the length that a damaged end has is no reason to take so much memory.
func TestParquetFooter(t *testing.T) {
	raw := parquetOf(t)
	raw[len(raw)-5] = 0x7f
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := readParquet(raw, nil)
	runtime.ReadMemStats(&after)
	if err == nil || !strings.Contains(err.Error(), "its description has 21") || after.TotalAlloc-before.TotalAlloc > 16<<20 {
		t.Errorf("%v, after %d MB", err, (after.TotalAlloc-before.TotalAlloc)>>20)
	}
	if _, err := readParquet(raw[:5], nil); err == nil || !strings.Contains(err.Error(), "it has 5 bytes") {
		t.Errorf("of 5 bytes: %v", err)
	}
}
