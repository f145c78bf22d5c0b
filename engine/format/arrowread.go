package format

import (
	"encoding/binary"
	"errors"
	"io"
	"math"
	"slices"
	"unicode/utf8"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/storage/vec"
)

// maxArrowMessage bounds one message of a stream: a batch of rows is held as a whole.
const maxArrowMessage = 512 << 20

// arrowIn is a column of a stream.
type arrowIn struct {
	name  string
	t     vec.Type
	kind  uint8
	bits  int   // of numbers; bytes of values of a fixed size
	large bool  // offsets have 64 bits
	scale int64 // of times: nanoseconds of their unit
	child *arrowIn
	why   string // it cannot be read; empty otherwise
}

// arrowReading reads an Arrow stream. The first message describes the columns; each other one
// is a piece.
type arrowReading struct {
	converter
	in    io.Reader
	cols  []arrowIn
	take  []int // by column of the reader: which of cols
	last  int   // of those
	row   int64
	begun bool
}

// arrowFieldIn understands the description of a column.
func arrowFieldIn(f flatView, depth int) arrowIn {
	c := arrowIn{name: f.text(0), kind: uint8(f.number(2, 1, 0))}
	t := f.table(3)
	as := ""
	for _, kv := range f.tables(6) {
		if kv.text(0) == "ARROW:extension:name" {
			as = kv.text(1)
		}
	}
	if f.field(4) >= 0 {
		c.why = "a dictionary"
		return c
	}
	units := [...]int64{1_000_000_000, 1_000_000, 1000, 1}
	unit := func(absent int64) int64 { return units[t.number(0, 2, absent)&3] }
	switch c.kind {
	case 2:
		c.bits = int(t.number(0, 4, 0))
		signed := t.number(1, 1, 0) != 0
		switch {
		case c.bits == 8, c.bits == 16 && signed:
			c.t = vec.T(vec.Int2)
		case c.bits == 16, c.bits == 32 && signed:
			c.t = vec.T(vec.Int4)
		case c.bits == 32, c.bits == 64 && signed:
			c.t = vec.T(vec.Int8)
		case c.bits == 64:
			c.t = vec.T(vec.Numeric)
		}
		c.large = !signed // values without a sign
	case 3:
		switch t.number(0, 2, 0) {
		case 1:
			c.bits, c.t = 32, vec.T(vec.Float4)
		case 2:
			c.bits, c.t = 64, vec.T(vec.Float8)
		}
	case 4, 19:
		c.t, c.large = vec.T(vec.Bytea), c.kind == 19
	case 5, 20:
		c.t, c.large = vec.T(vec.Text), c.kind == 20
		if as == "arrow.json" {
			c.t = vec.T(vec.JSONB)
		}
	case 6:
		c.t = vec.T(vec.Bool)
	case 7:
		precision, scale := t.number(0, 4, 0), t.number(1, 4, 0)
		if t.number(2, 4, 128) == 128 && precision > 0 && precision <= vec.MaxDecimalDigits && scale >= 0 && scale <= precision {
			c.bits, c.t = 128, vec.Type{Kind: vec.Numeric, Mod: int32(precision<<16|scale) + 4}
		}
	case 8:
		if c.bits, c.t = 32, vec.T(vec.Date); t.number(0, 2, 1) == 1 {
			c.bits = 64 // milliseconds
		}
	case 9:
		if c.bits, c.scale = int(t.number(1, 4, 32)), unit(1); c.bits == 32 || c.bits == 64 {
			c.t = vec.T(vec.Time)
		}
	case 10:
		c.bits, c.t, c.scale = 64, vec.T(vec.Timestamp), unit(0)
		if t.field(1) >= 0 {
			c.t = vec.T(vec.TimestampTZ)
		}
	case 11:
		if t.number(0, 2, 0) == 2 {
			c.bits, c.t = 128, vec.T(vec.Interval)
		}
	case 15:
		size := t.number(0, 4, 0)
		c.bits = 8 * int(size)
		switch {
		case size == 16 && as == "arrow.uuid":
			c.t = vec.T(vec.UUID)
		case size >= 0 && size <= maxRow: // so that values times bytes is a number
			c.t = vec.T(vec.Bytea)
		}
	case 12, 21:
		c.large = c.kind == 21
		if children := f.tables(5); len(children) == 1 && depth == 0 {
			child := arrowFieldIn(children[0], depth+1)
			if c.child = &child; child.why == "" && child.t.Kind != vec.Unknown {
				c.t = vec.Type{Kind: child.t.Kind, Mod: child.t.Mod, Array: true}
			}
		}
	}
	if c.t.Kind == vec.Unknown {
		c.why = "of a type that is not read"
	}
	return c
}

// readMessage reads the next message; io.EOF is the end.
func (x *arrowReading) readMessage(dst []byte) (about flatView, raw []byte, head int, err error) {
	var word [4]byte
	read := func() (int, error) {
		_, err := io.ReadFull(x.in, word[:])
		return int(binary.LittleEndian.Uint32(word[:])), err
	}
	size, err := read()
	if errors.Is(err, io.EOF) {
		return about, nil, 0, io.EOF
	}
	if err == nil && size == 0xffffffff { // streams of old have only the size
		size, err = read()
	}
	if err != nil {
		return about, nil, 0, short(err)
	}
	if size == 0 {
		_, err := io.Copy(io.Discard, x.in)
		if err == nil {
			err = io.EOF
		}
		return about, nil, 0, err
	}
	if dst, err = x.more(dst, int64(size)); err != nil {
		return about, nil, 0, err
	}
	about = flatRootView(dst)
	body := about.number(3, 8, 0)
	if dst, err = x.more(dst, body); err != nil {
		return about, nil, 0, err
	}
	about.b = dst[:size]
	return about, dst, size, nil
}

// more reads so many bytes, and takes memory as they come.
func (x *arrowReading) more(dst []byte, n int64) ([]byte, error) {
	if n < 0 || n > maxArrowMessage {
		return dst, badFormat("a message of %d bytes, at most %d are possible", n, maxArrowMessage)
	}
	for n > 0 {
		step := int(min(n, pieceBytes))
		at := len(dst)
		dst = slices.Grow(dst, step)[:at+step]
		if _, err := io.ReadFull(x.in, dst[at:]); err != nil {
			return dst, short(err)
		}
		n -= int64(step)
	}
	return dst, nil
}

// begin reads the description of the columns.
func (x *arrowReading) begin() error {
	about, _, _, err := x.readMessage(nil)
	if err != nil || uint8(about.number(1, 1, 0)) != arrowSchema {
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, errShort) {
			return err
		}
		return badFormat("this is no Arrow stream")
	}
	schema := about.table(2)
	if schema.number(0, 2, 0) != 0 {
		return pgerr.Unsupported("an Arrow stream in big-endian order")
	}
	fields := schema.tables(1)
	if len(fields) > maxColumns {
		return pgerr.New(pgerr.ProgramLimitExceeded, "more than %d columns", maxColumns)
	}
	for _, f := range fields {
		x.cols = append(x.cols, arrowFieldIn(f, 0))
	}
	for _, c := range x.r.columns {
		i := findColumn(len(x.cols), func(i int) string { return x.cols[i].name }, c.Name)
		if i < 0 {
			return missingColumn(c.Name, "")
		}
		if x.cols[i].why != "" {
			return missingColumn(c.Name, x.cols[i].why)
		}
		x.take, x.last = append(x.take, i), max(x.last, i)
		if err := x.add(x.cols[i].t); err != nil {
			return err
		}
	}
	return nil
}

func (x *arrowReading) next() (*Piece, error) {
	if !x.begun {
		x.begun = true
		if err := x.begin(); err != nil {
			return nil, err
		}
	}
	for {
		about, raw, head, err := x.readMessage(x.r.buffer())
		if err != nil {
			return nil, err
		}
		switch uint8(about.number(1, 1, 0)) {
		case arrowRecordBatch:
			rows := about.table(2).number(0, 8, 0)
			if rows < 0 || rows > 8*int64(len(raw)) && len(x.cols) > 0 || rows > math.MaxInt32 {
				return nil, badFormat("a batch of %d rows in %d bytes", rows, len(raw))
			}
			p := &Piece{raw: raw, line: x.row + 1, lo: int64(head), hi: rows}
			x.row += rows
			return p, nil
		case arrowSchema:
			return nil, badFormat("the columns are described twice")
		}
		// Dictionaries: no column that is read has one.
	}
}

// arrowBatch is a batch of rows that is being read: what is left of the lists of its columns'
// lengths and buffers.
type arrowBatch struct {
	body    []byte
	b       []byte // of the description
	nodes   int
	nodesN  int
	buffers int
	left    int
}

var errArrow = badFormat("the description of a batch does not fit its bytes")

func (a *arrowBatch) node() (int, error) {
	if a.nodesN == 0 {
		return 0, errArrow
	}
	n := int64(binary.LittleEndian.Uint64(a.b[a.nodes:]))
	a.nodes, a.nodesN = a.nodes+16, a.nodesN-1
	if n < 0 || n > 8*int64(len(a.body)+8) {
		return 0, errArrow
	}
	return int(n), nil
}

// buffer is the next buffer, of at least so many bytes.
func (a *arrowBatch) buffer(least int64) ([]byte, error) {
	if a.left == 0 {
		return nil, errArrow
	}
	off, size := int64(binary.LittleEndian.Uint64(a.b[a.buffers:])), int64(binary.LittleEndian.Uint64(a.b[a.buffers+8:]))
	a.buffers, a.left = a.buffers+16, a.left-1
	if off < 0 || size < least || off > int64(len(a.body)) || size > int64(len(a.body))-off {
		return nil, errArrow
	}
	return a.body[off : off+size], nil
}

// decode reads the rows of a message.
func (x *arrowReading) decode(d *Decoder, p *Piece) error {
	about := flatRootView(p.raw[:p.lo])
	batch := about.table(2)
	if batch.field(3) >= 0 {
		return pgerr.Unsupported("an Arrow stream whose batches are compressed")
	}
	a := &arrowBatch{body: p.raw[p.lo:], b: about.b}
	a.nodes, a.nodesN = batch.vector(1, 16)
	a.buffers, a.left = batch.vector(2, 16)
	all := make([]*vec.Vector, len(x.cols))
	for i := range x.cols {
		if i > x.last {
			break // nothing more is wanted
		}
		v, err := x.column(a, &x.cols[i], int(p.hi))
		if err != nil {
			return x.r.at(err, p.line, x.cols[i].name, nil)
		}
		all[i] = v
	}
	whole := &vec.Batch{Rows: int(p.hi)}
	for i, k := range x.take {
		v, err := x.convert(i, all[k], whole.Rows, p.line)
		if err != nil {
			return err
		}
		whole.Cols = append(whole.Cols, v)
	}
	for lo := 0; lo < whole.Rows; lo += vec.BatchRows {
		if whole.Rows <= vec.BatchRows {
			d.out = append(d.out, whole)
			break
		}
		some := make([]uint32, min(vec.BatchRows, whole.Rows-lo))
		for i := range some {
			some[i] = uint32(lo + i)
		}
		part := &vec.Batch{Rows: len(some)}
		for _, c := range whole.Cols {
			part.Cols = append(part.Cols, c.Take(some))
		}
		d.out = append(d.out, part)
	}
	return nil
}

// column reads a column; nil for one that is not understood, which ends what can be read.
func (x *arrowReading) column(a *arrowBatch, c *arrowIn, rows int) (*vec.Vector, error) {
	if c.why != "" {
		return nil, pgerr.Unsupported("a column that is " + c.why + " before those that are read")
	}
	n, err := a.node()
	if err != nil || rows >= 0 && n != rows {
		return nil, errArrow
	}
	valid, err := a.buffer(0)
	if err != nil || len(valid) > 0 && len(valid) < (n+7)/8 {
		return nil, errArrow
	}
	null := func(i int) bool { return len(valid) > 0 && valid[i/8]>>(i%8)&1 == 0 }
	v := vec.NewBuilder(c.t)
	switch c.kind {
	case 4, 5, 19, 20, 12, 21:
		return v.V, x.varying(a, c, v, n, null)
	case 6:
		bits, err := a.buffer(int64((n + 7) / 8))
		if err != nil {
			return nil, err
		}
		for i := range n {
			if null(i) {
				v.AppendNull()
			} else {
				v.V.Bools = append(v.V.Bools, bits[i/8]>>(i%8)&1 == 1)
			}
		}
		return v.V, nil
	}
	width := c.bits / 8
	values, err := a.buffer(int64(n) * int64(width))
	if err != nil {
		return nil, err
	}
	for i := range n {
		if null(i) {
			v.AppendNull()
		} else if err := c.fixed(v.V, values[i*width:(i+1)*width]); err != nil {
			return nil, err
		}
	}
	return v.V, nil
}

// fixed appends a value of a fixed size.
func (c *arrowIn) fixed(v *vec.Vector, b []byte) error {
	le := binary.LittleEndian
	var n int64
	switch len(b) {
	case 1:
		if n = int64(int8(b[0])); c.large {
			n = int64(b[0])
		}
	case 2:
		if n = int64(int16(le.Uint16(b))); c.large {
			n = int64(le.Uint16(b))
		}
	case 4:
		if n = int64(int32(le.Uint32(b))); c.large {
			n = int64(le.Uint32(b))
		}
	case 8:
		n = int64(le.Uint64(b))
	}
	switch c.t.Kind {
	case vec.Float4:
		v.F64 = append(v.F64, float64(math.Float32frombits(le.Uint32(b))))
	case vec.Float8:
		v.F64 = append(v.F64, math.Float64frombits(le.Uint64(b)))
	case vec.Numeric:
		if c.kind == 2 {
			v.Dec = append(v.Dec, vec.Decimal{Lo: uint64(n)})
			break
		}
		_, scale, _ := decimalType(c.t)
		d, err := vec.DecimalFrom128(int64(le.Uint64(b[8:])), le.Uint64(b), scale)
		if err != nil {
			return pgerr.New(pgerr.NumericOutOfRange, "value overflows numeric format")
		}
		v.Dec = append(v.Dec, d)
	case vec.Bytea:
		v.Str.Append(b)
	case vec.UUID:
		v.UUIDs = append(v.UUIDs, vec.UUIDValue(b))
	case vec.Interval:
		v.Ivl = append(v.Ivl, vec.IntervalValue{Months: int32(le.Uint32(b)), Days: int32(le.Uint32(b[4:])), Micros: vec.FloorDiv(int64(le.Uint64(b[8:])), 1000)})
	case vec.Date:
		if len(b) == 8 {
			n = vec.FloorDiv(n, 86_400_000)
		}
		v.I64 = append(v.I64, day64(n))
	case vec.Time, vec.Timestamp, vec.TimestampTZ:
		return appendTime(v, n, c.scale)
	default:
		v.I64 = append(v.I64, n)
	}
	return nil
}

// microsOf is a time of a unit, in nanoseconds, as microseconds.
func microsOf(n, unit int64) (int64, bool) {
	switch {
	case n == vec.InfinityTime || n == vec.NegInfinityTime:
		return n, true
	case unit >= 1000:
		m := n * (unit / 1000)
		return m, m/(unit/1000) == n
	}
	return vec.FloorDiv(n, 1000/unit), true
}

// appendTime appends a time, with or without its day, of a unit in nanoseconds.
func appendTime(v *vec.Vector, n, unit int64) error {
	n, ok := microsOf(n, unit)
	switch {
	case v.Type.Kind == vec.Time && (!ok || n < 0 || n > 86_400_000_000):
		return pgerr.New(pgerr.DatetimeOverflow, "time out of range")
	case !ok:
		return pgerr.New(pgerr.DatetimeOverflow, "timestamp out of range")
	}
	v.I64 = append(v.I64, n)
	return nil
}

// varying appends texts, bytes or lists, which lie between offsets.
func (x *arrowReading) varying(a *arrowBatch, c *arrowIn, v *vec.Builder, n int, null func(int) bool) error {
	width := 4
	if c.large {
		width = 8
	}
	offsets, err := a.buffer(0)
	if err != nil || n > 0 && len(offsets) < (n+1)*width {
		return errArrow
	}
	at := func(i int) int64 {
		if c.large {
			return int64(binary.LittleEndian.Uint64(offsets[8*i:]))
		}
		return int64(int32(binary.LittleEndian.Uint32(offsets[4*i:])))
	}
	var elements *vec.Vector
	var bytes []byte
	most := int64(0)
	if c.child != nil {
		if elements, err = x.column(a, c.child, -1); err == nil {
			most = int64(elements.Len())
		}
	} else if bytes, err = a.buffer(0); err == nil {
		most = int64(len(bytes))
	}
	if err != nil {
		return err
	}
	in := expr.NewInput(c.t)
	for i := range n {
		// Offsets never go back, not even for a null: so all values together are no more than
		// the bytes.
		lo, hi := at(i), at(i+1)
		if lo < 0 || hi < lo || hi > most {
			return errArrow
		}
		if null(i) {
			v.AppendNull()
			continue
		}
		switch {
		case c.child != nil:
			one := &vec.Vector{Type: c.t, Elem: elements, Offs: []uint32{uint32(lo), uint32(hi)}}
			v.AppendFrom(one, 0)
		case c.t.Kind == vec.JSONB:
			if err := in.Text(x.r.ctx, v.V, bytes[lo:hi]); err != nil {
				return err
			}
		case c.t.Kind == vec.Text && !utf8.Valid(bytes[lo:hi]):
			return pgerr.New(pgerr.BadEncoding, `invalid byte sequence for encoding "UTF8"`)
		default:
			v.V.Str.Append(bytes[lo:hi])
		}
	}
	return nil
}
