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
	// keptSlots bounds the value table that a column keeps between batches, and its codes;
	// keptBytes bounds its values.
	keptSlots = 1 << 16
	keptBytes = 1 << 18
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
	// name is the key, if any value of it is only stored; else it is empty.
	name  []byte
	table table
}

// table is a growing dictionary: codes, values and a hash table from value to code.
type table struct {
	codes  []uint32 // one a row; shorter when the last rows carry nothing
	kinds  []Kind
	values vec.Strings
	last   uint32   // code given out last, plus one; 0 for none
	slots  []uint64 // open addressing: hash's high half, code plus one; 0 is free
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
	b.set(guess, kind, value)
}

// set sets the row's value of a column.
func (b *Builder) set(at uint32, kind Kind, value []byte) {
	if !b.started {
		b.first = at
	}
	b.touch(at)
	c := &b.columns[at]
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

// OnlyStored says that every value under the key of the property that was set last is to be
// stored, and means nothing else.
func (b *Builder) OnlyStored() {
	if c := &b.columns[b.last]; len(c.name) == 0 && PlainEnd([]byte(c.key), 0) == len(c.key) {
		c.name = []byte(c.key)
	}
}

// ExpectedKey guesses the key of the property that comes next, as Expected does, if it was said
// of it that it is only stored, and it needs no escapes; else it is empty. If it comes, Next sets
// its value.
func (b *Builder) ExpectedKey() []byte {
	if at := b.guess(); int(at) < len(b.columns) {
		return b.columns[at].name
	}
	return nil
}

// Next is Property with the key that ExpectedKey gave.
func (b *Builder) Next(kind Kind, value []byte) { b.set(b.guess(), kind, value) }

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
		Rows:   b.rows,
		UUID:   b.uuid[:b.rows:b.rows],
		Time:   b.time[:b.rows:b.rows],
		Ops:    b.ops,
		Groups: b.groups,
	}
	if b.personless.Any() {
		out.Personless = b.personless.Grow(b.rows)
	}
	live := make([]uint32, 0, b.cells)
	room := room{rows: b.rows}
	room.column(&b.name)
	room.column(&b.distinctID)
	for i := range b.columns {
		if c := &b.columns[i]; c.live {
			// A column whose every row was aborted carries nothing.
			if len(c.table.codes) > 0 {
				live = append(live, uint32(i))
				room.prop(&c.table)
			} else {
				c.table.reset()
			}
			c.live = false
		}
	}
	room.make()
	out.Name, out.DistinctID = room.takeColumn(&b.name), room.takeColumn(&b.distinctID)
	slices.SortFunc(live, func(x, y uint32) int { return cmp.Compare(b.columns[x].key, b.columns[y].key) })
	if len(live) > 0 {
		out.Props = make([]Prop, len(live))
	}
	for i, at := range live {
		c, p := &b.columns[at], &out.Props[i]
		p.Key = c.key
		p.Codes = room.codes(&c.table)
		p.Kinds, p.Values = room.values(&c.table)
	}
	more := b.rows + b.rows/8
	b.uuid = make([]vec.UUIDValue, 0, more)
	b.time = make([]int64, 0, more)
	b.rows, b.size, b.cells = 0, 0, 0
	b.personless, b.ops, b.groups = nil, nil, nil
	if len(b.columns) > keptColumns {
		b.columns, b.keys = nil, make(map[string]uint32)
		b.first, b.last = 0, 0
	}
	return out
}

// room is the memory of a batch's columns: one piece for each kind of thing, in which every
// column has a part. A batch of a hundred rows has as many columns.
type room struct {
	rows    int
	columns [3]int // by the size of their codes: 1, 2 and 4 bytes
	count   int    // of values
	size    int    // bytes of values

	narrow []uint8
	middle []uint16
	wide   []uint32
	offs   []uint32
	kinds  []Kind
	bytes  []byte
}

// column makes room for a column without missing values, and prop for a property.
func (r *room) column(t *table) { r.add(t, 4) }
func (r *room) prop(t *table)   { r.add(t, CodeBytes(uint32(len(t.kinds)))) }

func (r *room) add(t *table, codeBytes int) {
	r.columns[codeBytes/2]++
	r.count += len(t.kinds)
	r.size += len(t.values.Bytes)
}

func (r *room) make() {
	r.narrow, r.middle = make([]uint8, r.columns[0]*r.rows), make([]uint16, r.columns[1]*r.rows)
	r.wide, r.offs = make([]uint32, r.columns[2]*r.rows), make([]uint32, 0, r.columns[0]+r.columns[1]+r.columns[2]+r.count)
	r.kinds, r.bytes = make([]Kind, 0, r.count), make([]byte, 0, r.size)
}

// codes copies the codes of a property into the room.
func (r *room) codes(t *table) (out Codes) {
	switch CodeBytes(uint32(len(t.kinds))) {
	case 1:
		out.narrow, r.narrow = cut(r.narrow, r.rows)
		convert(out.narrow, t.codes) // there are 0s behind them
	case 2:
		out.middle, r.middle = cut(r.middle, r.rows)
		convert(out.middle, t.codes)
	default:
		out.wide, r.wide = cut(r.wide, r.rows)
		copy(out.wide, t.codes)
	}
	return out
}

// values copies the values of a table into the room, and starts another. Whoever appends to a
// part does not write into the next.
func (r *room) values(t *table) (kinds []Kind, values vec.Strings) {
	if len(t.kinds) > 0 {
		kinds, r.kinds = part(r.kinds, t.kinds)
		values.Offs, r.offs = part(r.offs, t.values.Offs)
		values.Bytes, r.bytes = part(r.bytes, t.values.Bytes)
	}
	t.reset()
	return kinds, values
}

// takeColumn copies a column without missing values into the room.
func (r *room) takeColumn(t *table) (out Column) {
	out.Codes, r.wide = cut(r.wide, r.rows)
	for i, c := range t.codes {
		out.Codes[i] = c - 1
	}
	_, out.Values = r.values(t)
	return out
}

// cut gives the first n of all, and the others.
func cut[T any](all []T, n int) (first, rest []T) { return all[:n:n], all[n:] }

// part appends src to all, and gives the part that it is, and all.
func part[T any](all, src []T) (part, grown []T) {
	start := len(all)
	all = append(all, src...)
	return all[start:len(all):len(all)], all
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

// reset forgets what was taken. The memory stays unless it is large.
func (t *table) reset() {
	if cap(t.codes) > keptSlots || len(t.slots) > keptSlots || cap(t.values.Bytes) > keptBytes {
		*t = table{}
		return
	}
	clear(t.slots)
	t.codes, t.kinds, t.last = t.codes[:0], t.kinds[:0], 0
	t.values.Bytes = t.values.Bytes[:0]
	if len(t.values.Offs) > 0 {
		t.values.Offs = t.values.Offs[:1]
	}
}
