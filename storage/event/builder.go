package event

import (
	"cmp"
	"slices"

	"github.com/zeebo/xxh3"

	"github.com/prickledb/prickle/storage/vec"
)

const (
	// keptColumns bounds the columns that a builder keeps between batches. Beyond it,
	// keys are likely made up as they go, and remembering them costs more than it saves.
	keptColumns = 4096
	// keptSlots bounds the value table that a column keeps between batches.
	keptSlots = 1 << 16
)

// Builder makes batches from events given one by one. It is for one goroutine. It keeps
// its memory between batches, and remembers in which order properties came, so that an
// event like the one before it costs a comparison a property and no hash.
//
// For each row: Begin, then the Set methods, Property, Op and Personless in any order,
// then End to keep the row or Abort to drop it. A name or distinct id not set is empty.
type Builder struct {
	rows       int
	size       int // estimated bytes of the wire form
	rowSize    int // of the row being built
	cells      int // live columns, counted for Full
	uuid       []vec.UUIDValue
	time       []int64
	name       table
	distinctID table
	columns    []propColumn
	keys       map[string]uint32 // key to position in columns
	last       uint32            // column that was set last; its successor is guessed next
	first      uint32            // column that came first in the previous row
	started    bool              // a property of this row was seen
	touched    []uint32          // columns set in this row
	personless vec.Bitmap
	ops        []PersonOp
	opsBefore  int // len(ops) at Begin
	groups     []GroupOp
	// groupsBefore is len(groups) at Begin.
	groupsBefore int
}

// propColumn is one property of the batch under construction.
type propColumn struct {
	key  string
	next uint32 // column that followed this one last time
	live bool   // carries a value in this batch
	// written is what the last value was written as, with its key; empty if that is not known.
	written []byte
	table   table
}

// table is a growing dictionary: codes, values and a hash table from value to code.
type table struct {
	codes  []uint32 // one a row; shorter when the last rows carry nothing
	kinds  []Kind
	values vec.Strings
	last   uint32   // code given out last, plus one; 0 for none
	slots  []uint64 // open addressing: hash's high half, code plus one; 0 is free
	room   int      // values hint of the previous batch
	bytes  int      // value bytes of the previous batch
}

// NewBuilder is an empty builder.
func NewBuilder() *Builder {
	return &Builder{keys: make(map[string]uint32)}
}

// Rows is how many rows were kept.
func (b *Builder) Rows() int { return b.rows }

// Bytes is about the size of the batch's wire form, uncompressed.
func (b *Builder) Bytes() int { return b.size }

// Full says that the batch must be finished before another row, because of the limits of
// the wire form.
func (b *Builder) Full() bool {
	return b.rows >= MaxRows-1 || (b.rows+1)*(b.cells+1) >= MaxCells/2
}

// Begin starts a row. The time is in µs since 1970 UTC.
func (b *Builder) Begin(uuid vec.UUIDValue, timeMicros int64) {
	b.uuid = append(b.uuid[:b.rows], uuid)
	b.time = append(b.time[:b.rows], timeMicros)
	b.touched = b.touched[:0]
	b.started = false
	b.opsBefore, b.groupsBefore = len(b.ops), len(b.groups)
	b.rowSize = 24
}

// SetUUID sets the row's uuid, in place of the one that Begin was given.
func (b *Builder) SetUUID(uuid vec.UUIDValue) { b.uuid[b.rows] = uuid }

// SetTime sets the row's time, in place of the one that Begin was given.
func (b *Builder) SetTime(timeMicros int64) { b.time[b.rows] = timeMicros }

// SetName sets the name of the row's event. The bytes are copied.
func (b *Builder) SetName(name []byte) { b.rowSize += b.name.set(b.rows, Text, name) }

// SetDistinctID sets the row's distinct id. The bytes are copied.
func (b *Builder) SetDistinctID(id []byte) { b.rowSize += b.distinctID.set(b.rows, Text, id) }

// Property sets a property of the row; of two with the same key the later counts. The
// bytes are copied.
func (b *Builder) Property(key []byte, kind Kind, value []byte) {
	guess := b.guess()
	if int(guess) >= len(b.columns) || b.columns[guess].key != string(key) {
		at, found := b.keys[string(key)]
		if !found {
			at = uint32(len(b.columns))
			k := string(key)
			b.columns = append(b.columns, propColumn{key: k})
			b.keys[k] = at
		}
		guess = at
		if b.started {
			b.columns[b.last].next = at
		}
	}
	if !b.started {
		b.first = guess
	}
	b.touch(guess)
	c := &b.columns[guess]
	c.written = c.written[:0]
	b.rowSize += c.table.set(b.rows, kind, value)
}

// Written says in which bytes the property that was set last was written, with its key: the same
// bytes would mean the same in another row. They are copied.
func (b *Builder) Written(as []byte) {
	if len(as) <= maxWritten {
		c := &b.columns[b.last]
		c.written = append(c.written[:0], as...)
	}
}

// maxWritten bounds what is kept of a column for Expected: longer values are hardly repeated.
const maxWritten = 512

// guess is the column that followed the last one in the row before.
func (b *Builder) guess() uint32 {
	if b.started {
		return b.columns[b.last].next
	}
	return b.first
}

// touch notes that the row has a value in a column.
func (b *Builder) touch(at uint32) {
	b.started, b.last = true, at
	c := &b.columns[at]
	if !c.live {
		c.live = true
		b.cells++
		b.rowSize += len(c.key) + 4
	}
	b.touched = append(b.touched, at)
}

// Expected guesses which property comes next, and its value: those that came here in the row
// before. It gives the bytes that they were written in, if they are known. If the same
// bytes come again, Repeat does.
func (b *Builder) Expected() []byte {
	at := b.guess()
	if int(at) >= len(b.columns) {
		return nil
	}
	c := &b.columns[at]
	if c.table.last == 0 {
		return nil
	}
	return c.written
}

// Repeat sets the property that Expected gave to the value that it gave.
func (b *Builder) Repeat() {
	at := b.guess()
	b.touch(at)
	t := &b.columns[at].table
	if b.rows < len(t.codes) { // set twice
		t.codes[b.rows] = t.last
		return
	}
	t.pad(b.rows)
	t.codes = append(t.codes, t.last)
	b.rowSize++
}

// Op adds an effect of the row on persons. The builder keeps what op refers to and sets
// its row.
func (b *Builder) Op(op PersonOp) {
	op.Row = uint32(b.rows)
	b.ops = append(b.ops, op)
	b.rowSize += 8 + len(op.Other) + len(op.Set) + len(op.SetOnce)
	for _, key := range op.Unset {
		b.rowSize += len(key) + 1
	}
}

// Group adds an effect of the row on a group. The builder keeps what op refers to and sets
// its row.
func (b *Builder) Group(op GroupOp) {
	op.Row = uint32(b.rows)
	b.groups = append(b.groups, op)
	b.rowSize += 8 + len(op.Type) + len(op.Key) + len(op.Set) + len(op.SetOnce)
	for _, key := range op.Unset {
		b.rowSize += len(key) + 1
	}
}

// Personless marks the row as giving its distinct id no profile.
func (b *Builder) Personless() {
	b.personless = b.personless.Grow(b.rows + 1)
	b.personless.Set(b.rows)
}

// End keeps the row.
func (b *Builder) End() {
	if len(b.name.codes) == b.rows {
		b.SetName(nil)
	}
	if len(b.distinctID.codes) == b.rows {
		b.SetDistinctID(nil)
	}
	b.rows++
	b.size += b.rowSize
}

// Abort drops the row. Values that only it had stay in the dictionaries, unused.
func (b *Builder) Abort() {
	b.name.cut(b.rows)
	b.distinctID.cut(b.rows)
	for _, at := range b.touched {
		b.columns[at].table.cut(b.rows)
	}
	b.ops, b.groups = b.ops[:b.opsBefore], b.groups[:b.groupsBefore]
	if b.personless.Get(b.rows) {
		b.personless.Clear(b.rows)
	}
}

// Finish gives the batch of the rows kept so far, which is the caller's, and starts
// another. CreatedAt is left for the caller to set.
func (b *Builder) Finish() *Batch {
	out := &Batch{
		Rows:       b.rows,
		UUID:       b.uuid[:b.rows:b.rows],
		Time:       b.time[:b.rows:b.rows],
		Name:       b.name.column(),
		DistinctID: b.distinctID.column(),
		Ops:        b.ops,
		Groups:     b.groups,
	}
	if b.personless.Any() {
		out.Personless = b.personless.Grow(b.rows)
	}
	live := make([]uint32, 0, b.cells)
	for i := range b.columns {
		if c := &b.columns[i]; c.live {
			// A column whose every row was aborted carries nothing.
			if len(c.table.codes) > 0 {
				live = append(live, uint32(i))
			} else {
				c.table.reset()
			}
			c.live = false
		}
	}
	slices.SortFunc(live, func(x, y uint32) int { return cmp.Compare(b.columns[x].key, b.columns[y].key) })
	if len(live) > 0 {
		out.Props = make([]Prop, len(live))
	}
	for i, at := range live {
		c := &b.columns[at]
		c.table.pad(b.rows)
		p := &out.Props[i]
		p.Key = c.key
		p.Codes, p.Kinds, p.Values = c.table.codes, c.table.kinds, c.table.values
		c.table.reset()
	}
	room := b.rows + b.rows/8
	b.uuid = make([]vec.UUIDValue, 0, room)
	b.time = make([]int64, 0, room)
	b.rows, b.size, b.cells = 0, 0, 0
	b.personless, b.ops, b.groups = nil, nil, nil
	if len(b.columns) > keptColumns {
		b.columns, b.keys = nil, make(map[string]uint32)
		b.first, b.last = 0, 0
	}
	return out
}

// set gives row the value and returns about how many bytes that adds to the wire.
func (t *table) set(row int, kind Kind, value []byte) int {
	code, size := t.code(kind, value)
	if row < len(t.codes) { // set twice
		t.codes[row] = code
		return size
	}
	t.pad(row)
	t.codes = append(t.codes, code)
	return size + 1
}

// code is the position of a value plus one.
func (t *table) code(kind Kind, value []byte) (code uint32, size int) {
	if t.last != 0 && t.is(t.last, kind, value) {
		return t.last, 0
	}
	if (len(t.kinds)+1)*4 > len(t.slots)*3 {
		t.grow()
	}
	hash := xxh3.Hash(value) + uint64(kind)*0x9e3779b97f4a7c15
	tag := hash >> 32
	mask := uint64(len(t.slots) - 1)
	for at := tag & mask; ; at = (at + 1) & mask {
		slot := t.slots[at]
		if slot == 0 {
			t.kinds = append(t.kinds, kind)
			t.values.Append(value)
			t.last = uint32(len(t.kinds))
			t.slots[at] = tag<<32 | uint64(t.last)
			return t.last, len(value) + 2
		}
		if slot>>32 == tag && t.is(uint32(slot), kind, value) {
			t.last = uint32(slot)
			return t.last, 0
		}
	}
}

// is says whether the value with this code (plus one) is the given one.
func (t *table) is(code uint32, kind Kind, value []byte) bool {
	return t.kinds[code-1] == kind && string(t.values.At(int(code-1))) == string(value)
}

func (t *table) grow() {
	if len(t.slots) == 0 {
		t.slots = make([]uint64, 16)
		if cap(t.kinds) == 0 && t.room > 0 {
			t.kinds = make([]Kind, 0, t.room)
			t.values = vec.MakeStrings(t.room, t.bytes)
		}
		return
	}
	old := t.slots
	t.slots = make([]uint64, 2*len(old))
	mask := uint64(len(t.slots) - 1)
	for _, slot := range old {
		if slot == 0 {
			continue
		}
		at := slot >> 32 & mask
		for t.slots[at] != 0 {
			at = (at + 1) & mask
		}
		t.slots[at] = slot
	}
}

// pad makes the codes of rows before row that carry nothing.
func (t *table) pad(row int) {
	if len(t.codes) == 0 && cap(t.codes) == 0 {
		t.codes = make([]uint32, 0, max(row+1, 256))
	}
	for len(t.codes) < row {
		t.codes = append(t.codes, 0)
	}
}

// cut forgets the codes from row on.
func (t *table) cut(row int) {
	if len(t.codes) > row {
		t.codes = t.codes[:row]
	}
	// A property that only the aborted row had leaves padding: still nothing.
	for len(t.codes) > 0 && t.codes[len(t.codes)-1] == 0 {
		t.codes = t.codes[:len(t.codes)-1]
	}
}

// column gives the codes as a column without missing values, and starts another.
func (t *table) column() Column {
	for i := range t.codes {
		t.codes[i]--
	}
	c := Column{Codes: t.codes, Values: t.values}
	t.reset()
	return c
}

// reset forgets what was given away. The hash table stays unless it is large.
func (t *table) reset() {
	t.room = len(t.kinds)
	t.bytes = len(t.values.Bytes)
	rows := len(t.codes)
	t.codes, t.kinds, t.values, t.last = nil, nil, vec.Strings{}, 0
	if rows > 0 {
		t.codes = make([]uint32, 0, rows+rows/8)
	}
	if len(t.slots) > keptSlots {
		t.slots = nil
	} else {
		clear(t.slots)
	}
	if t.room > 0 && t.slots != nil {
		t.kinds = make([]Kind, 0, t.room+t.room/8)
		t.values = vec.MakeStrings(t.room+t.room/8, t.bytes+t.bytes/8)
	}
}
