package format

import (
	"bytes"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/storage/vec"
)

// Kind is a form of rows.
type Kind uint8

// The forms.
const (
	Text Kind = iota
	CSV
	Binary
	JSONL
	Parquet
	Arrow
)

var kinds = [...]string{Text: "text", CSV: "csv", Binary: "binary", JSONL: "jsonl", Parquet: "parquet", Arrow: "arrow"}

// String is the form's name in SQL.
func (k Kind) String() string { return kinds[k] }

// KindOf finds a form by its name.
func KindOf(name string) (Kind, bool) {
	switch name {
	case "ndjson", "json":
		return JSONL, true
	}
	for i, s := range kinds {
		if s == name {
			return Kind(i), true
		}
	}
	return 0, false
}

// Bytes says whether the form is bytes, and no text.
func (k Kind) Bytes() bool { return k == Binary || k == Parquet || k == Arrow }

// Options is how rows are written down. The flags of columns are by position, and empty for
// none.
type Options struct {
	Kind          Kind
	Delimiter     byte
	Null          string
	Header        bool
	Match         bool // the header, or the keys of an object, must be names of columns
	Quote, Escape byte
	ForceQuote    []bool
	ForceNull     []bool
	ForceNotNull  []bool
	Skip          bool // rows that are wrong are left out and counted
	// Lines wants one more column behind all: the line, or row, that a row begins at, from 1. Parquet
	// and Arrow have none.
	Lines bool
}

// Defaults is how rows of a kind are written down if nobody says otherwise.
func Defaults(k Kind) Options {
	o := Options{Kind: k}
	switch k {
	case Text:
		o.Delimiter, o.Null = '\t', `\N`
	case CSV:
		o.Delimiter, o.Quote, o.Escape = ',', '"', '"'
	case JSONL:
		o.Match = true
	}
	return o
}

func flag(list []bool, i int) bool { return i < len(list) && list[i] }

// Column is a column that is read.
type Column struct {
	Name    string
	Type    vec.Type
	NotNull bool
	Table   string // that it is a column of, for errors
	Unread  bool   // its fields are there and not looked at; batches are without it
	// Raw wants what a Parquet file says, right or wrong: texts and JSON as they stand there, in
	// a bytea; and times that are out of range as infinity.
	Raw bool
}

// Limits of what is read. A row is held as a whole, and so is a block of a file.
const (
	pieceBytes = 1 << 20
	maxRow     = 64 << 20
	maxColumns = 10_000
)

// Reader cuts a stream into pieces. Next and the rest are for one goroutine.
type Reader struct {
	options Options
	columns []Column
	title   string // COPY t
	ctx     *expr.Context
	next    func() (*Piece, error)
	decode  func(*Decoder, *Piece) error
	piece   int // bytes that are read at once
	ends    int // length of the first line end; 0: not known
	skipped atomic.Int64
	free    chan []byte // buffers of pieces that are decoded
}

// Piece is some whole rows of a stream.
type Piece struct {
	raw   []byte
	line  int64 // number of the first line, or row, from 1
	group int   // of a Parquet file
	of    *parquetGroup
	lo    int64 // rows of the group, half open
	hi    int64
	more  int64 // bytes that its rows take, if raw is not they
}

// Line is the number of its first line, or row, from 1.
func (p *Piece) Line() int64 { return p.line }

// Bytes is about how much memory a piece and its rows take.
func (p *Piece) Bytes() int64 { return 3*int64(len(p.raw)) + p.more + 4096 }

// NewReader reads a stream. Title is what the stream is called in errors, "COPY t". Parquet
// is not a stream: see OpenParquet.
func NewReader(in io.Reader, o Options, columns []Column, title string, ctx *expr.Context) (*Reader, error) {
	r := &Reader{options: o, columns: columns, title: title, ctx: ctx, piece: pieceBytes, free: make(chan []byte, 16)}
	if len(columns) > maxColumns {
		return nil, pgerr.New(pgerr.ProgramLimitExceeded, "more than %d columns", maxColumns)
	}
	switch o.Kind {
	case Text, CSV:
		c := &lineCutter{r: r, in: in, line: 1}
		r.next, r.decode = c.next, (*Decoder).fields
		if o.Kind == Text {
			c.end = c.textEnd
		} else {
			c.end = c.csvEnd
		}
	case JSONL:
		c := &lineCutter{r: r, in: in, line: 1}
		c.end = func(raw []byte) int { return lastLine(raw) }
		r.next, r.decode = c.next, (*Decoder).objects
	case Binary:
		c := &tupleCutter{r: r, in: in, row: 1}
		r.next, r.decode = c.next, (*Decoder).tuples
	case Arrow:
		x := &arrowReading{converter: converter{r: r}, in: in}
		r.next, r.decode = x.next, x.decode
	default:
		return nil, fmt.Errorf("%s is not read as a stream", o.Kind)
	}
	return r, nil
}

// Next is the next piece; io.EOF is the end.
func (r *Reader) Next() (*Piece, error) { return r.next() }

// Skipped is how many rows were left out.
func (r *Reader) Skipped() int64 { return r.skipped.Load() }

// buffer is memory for a piece.
func (r *Reader) buffer() []byte {
	select {
	case b := <-r.free:
		return b[:0]
	default:
		return make([]byte, 0, r.piece)
	}
}

// recycle takes the memory of a piece back.
func (r *Reader) recycle(b []byte) {
	if cap(b) > 2*r.piece {
		return
	}
	select {
	case r.free <- b:
	default:
	}
}

// at puts into an error where it came about. The error may be shared, so it is copied.
func (r *Reader) at(err error, line int64, column string, value []byte) error {
	e := *pgerr.From(err)
	if e.Code == pgerr.Internal {
		return err
	}
	where := r.title
	if line > 0 {
		where += fmt.Sprintf(", line %d", line)
	}
	if column != "" {
		where += ", column " + column
	}
	if value != nil {
		value = bytes.TrimRight(value, "\r\n")
		if len(value) > 100 { // as much as a person reads
			value = append(value[:100:100], "..."...)
		}
		where += fmt.Sprintf(`: "%s"`, bytes.ToValidUTF8(value, []byte("\uFFFD")))
	}
	return e.WithWhere("%s", where)
}

func badFormat(format string, args ...any) *pgerr.Error {
	return pgerr.New(pgerr.BadCopyFormat, format, args...)
}

// Decoder makes batches of pieces. It is for one goroutine.
type Decoder struct {
	// Away, if it is not nil, is called before Decode waits for the decoder of an earlier piece,
	// and what it gives afterwards.
	Away func() (back func())

	r      *Reader
	inputs []*expr.Input
	cols   []vec.Builder // of the batch that is made
	rows   int
	at     []int64 // their lines, if those are wanted
	out    []*vec.Batch

	cells []cell
	lines []uint32 // where each row of cells begins
	side  []byte   // unescaped text
	byKey map[string]int
}

// Decoder makes another one.
func (r *Reader) Decoder() *Decoder {
	d := &Decoder{r: r, byKey: map[string]int{}}
	for i, c := range r.columns {
		d.inputs = append(d.inputs, expr.NewInput(c.Type))
		d.byKey[c.Name] = i
	}
	return d
}

// Decode makes batches of a piece. The caller may keep them.
func (d *Decoder) Decode(p *Piece) ([]*vec.Batch, error) {
	d.out = nil
	d.begin()
	if err := d.r.decode(d, p); err != nil {
		return nil, err
	}
	d.flush()
	d.r.recycle(p.raw)
	return d.out, nil
}

func (d *Decoder) begin() {
	d.cols, d.rows, d.at = make([]vec.Builder, len(d.r.columns)), 0, nil
	for i, c := range d.r.columns {
		d.cols[i].V = &vec.Vector{Type: c.Type}
	}
}

// flush ends the batch that is made.
func (d *Decoder) flush() {
	if d.rows == 0 {
		return
	}
	b := &vec.Batch{Rows: d.rows}
	for i := range d.cols {
		if !d.r.columns[i].Unread {
			b.Cols = append(b.Cols, d.cols[i].V)
		}
	}
	if d.r.options.Lines {
		b.Cols = append(b.Cols, &vec.Vector{Type: vec.T(vec.Int8), I64: d.at})
	}
	d.out = append(d.out, b)
	d.begin()
}

// row notes that a row is whole.
func (d *Decoder) row(line int64) {
	if d.rows++; d.r.options.Lines {
		d.at = append(d.at, line)
	}
	if d.rows == vec.BatchRows {
		d.flush()
	}
}

// null appends a null to a column, if it may hold one.
func (d *Decoder) null(col int) error {
	c := &d.r.columns[col]
	if c.NotNull {
		return c.noNull()
	}
	d.cols[col].AppendNull()
	return nil
}

// truncate takes back what is beyond n rows.
func (d *Decoder) truncate(n int) {
	for i := range d.cols {
		truncate(d.cols[i].V, n)
	}
	d.rows = n
}

func truncate(v *vec.Vector, n int) {
	if v.Len() <= n {
		return
	}
	for i := n; i < 64*len(v.Nulls); i++ {
		v.Nulls.Clear(i)
	}
	switch v.Type.Payload() {
	case vec.PayloadBools:
		v.Bools = v.Bools[:n]
	case vec.PayloadI64:
		v.I64 = v.I64[:n]
	case vec.PayloadF64:
		v.F64 = v.F64[:n]
	case vec.PayloadDec:
		if v.Scaled() {
			v.I64 = v.I64[:n]
		} else {
			v.Dec = v.Dec[:n]
		}
	case vec.PayloadIvl:
		v.Ivl = v.Ivl[:n]
	case vec.PayloadUUIDs:
		v.UUIDs = v.UUIDs[:n]
	case vec.PayloadStr:
		v.Str.Offs = v.Str.Offs[:n+1]
		v.Str.Bytes = v.Str.Bytes[:v.Str.Offs[n]]
	case vec.PayloadList:
		v.Offs = v.Offs[:n+1]
		truncate(v.Elem, int(v.Offs[n]))
	}
}
