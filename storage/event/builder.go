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
	// keptBytes bounds its values, and what is kept of a row's bytes.
	keptSlots = 1 << 16
	keptBytes = 1 << 18
)

// Builder makes batches from events given one by one. It is for one goroutine. It keeps
// its memory between batches, and remembers in which order properties came, and how they
// were written: of an event like the one before it, what is the same costs one comparison of
// bytes, however many properties it is.
//
// For each row: Begin, then the Set methods, Property, Member, Repeat, Op and Personless in any
// order, then End to keep the row or Abort to drop it. A name or distinct id not set is empty.
type Builder struct {
	rows       int
	size       int // estimated bytes of the wire form
	rowSize    int // of the row being built
	cells      int // live columns, counted for Full
	uuid       []vec.UUIDValue
	time       []int64
	name       textColumn
	distinctID textColumn
	columns    []propColumn
	keys       map[string]uint32 // key to position in columns
	last       uint32            // column that was set last; its successor is guessed next
	first      uint32            // column that came first in the previous row
	started    bool              // a property of this row was seen
	personless vec.Bitmap
	ops        []PersonOp
	opsBefore  int // len(ops) at Begin
	groups     []GroupOp
	// groupsBefore is len(groups) at Begin.
	groupsBefore int

	// A column whose property is a member of the row before has its value in this row as well,
	// unless it is set, or left. So nothing is done for the members that repeat.
	before, row written
	next, from  int      // the member of before that is expected, and its place in the bytes
	left        []uint32 // columns of members of before that did not come
	joined      []uint32 // columns of members of row that before does not have
	touched     []uint32 // columns set in this row
	// single are the columns that this row alone has set: no members, or in a mixed row. singles are
	// those of the row before.
	single, singles []uint32
	// mixed says that one property came twice, or in another order: before is of no use.
	mixed bool
}

// written is members of a row in their order, and their bytes.
type written struct {
	members []member
	bytes   []byte
}

// member is a property as it was written: its key, its value, and what stands behind it up to
// the next.
type member struct{ column, size uint32 }

// reset forgets a row. The memory stays unless it is large.
func (w *written) reset() {
	if w.members, w.bytes = w.members[:0], w.bytes[:0]; cap(w.bytes) > keptBytes {
		*w = written{}
	}
}

// propColumn is one property of the batch under construction.
type propColumn struct {
	key  string
	next uint32 // column that followed this one last time
	live bool   // carries a value in this batch
	// member says that it is a member of the row before.
	member bool
	row    uint32 // that set it last, plus one; 0 for none
	// name is the key, if any value of it is only stored; else it is empty.
	name []byte
	runs []run
	// carried is how many rows have a value, once the batch is finished.
	carried int
	table   table
}

// run is rows of one code, up to the next run.
type run struct{ from, code uint32 }

// textColumn is a column without missing values.
type textColumn struct {
	codes []uint32 // one a row
	table table
}

// table is a growing dictionary: values and a hash table from value to code.
type table struct {
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
	b.started, b.mixed = false, false
	b.next, b.from = 0, 0
	b.row.reset()
	b.left, b.joined, b.touched, b.single = b.left[:0], b.joined[:0], b.touched[:0], b.single[:0]
	b.opsBefore, b.groupsBefore = len(b.ops), len(b.groups)
	b.rowSize = 24
}

// SetUUID sets the row's uuid, in place of the one that Begin was given.
func (b *Builder) SetUUID(uuid vec.UUIDValue) { b.uuid[b.rows] = uuid }

// SetTime sets the row's time, in place of the one that Begin was given.
func (b *Builder) SetTime(timeMicros int64) { b.time[b.rows] = timeMicros }

// SetName sets the name of the row's event. The bytes are copied.
func (b *Builder) SetName(name []byte) { b.rowSize += b.name.set(b.rows, name) }

// SetDistinctID sets the row's distinct id. The bytes are copied.
func (b *Builder) SetDistinctID(id []byte) { b.rowSize += b.distinctID.set(b.rows, id) }

// Property sets a property of the row; of two with the same key the later counts. The
// bytes are copied.
func (b *Builder) Property(key []byte, kind Kind, value []byte) {
	at := b.find(key)
	b.mixed = b.mixed || b.columns[at].member
	b.set(at, kind, value)
	b.single = append(b.single, at)
}

// Member is Property, of one whose bytes are given to Written then.
func (b *Builder) Member(key []byte, kind Kind, value []byte) { b.setMember(b.find(key), kind, value) }

// ExpectedKey guesses the key of the property that comes next, if it was said of it that it is
// only stored, and it needs no escapes; else it is empty. If it comes, Next sets its value.
func (b *Builder) ExpectedKey() []byte {
	if at := b.guess(); int(at) < len(b.columns) {
		return b.columns[at].name
	}
	return nil
}

// Next is Member with the key that ExpectedKey gave.
func (b *Builder) Next(kind Kind, value []byte) { b.setMember(b.guess(), kind, value) }

// OnlyStored says that every value under the key of the property that was set last is to be
// stored, and means nothing else.
func (b *Builder) OnlyStored() {
	if c := &b.columns[b.last]; len(c.name) == 0 && PlainEnd([]byte(c.key), 0) == len(c.key) {
		c.name = []byte(c.key)
	}
}

// Written says in which bytes the member that was set last was written, from its key to that of
// the next, or to behind the end of the object: the same bytes would mean the same in another row.
// They are copied.
func (b *Builder) Written(as []byte) {
	b.row.members = append(b.row.members, member{b.last, uint32(len(as))})
	b.row.bytes = append(b.row.bytes, as...)
}

// Repeat sets the members that come next, as src has them written, to what they are in the row
// before, as far as they are written in the same bytes there. It gives the size of these bytes:
// 0 if the next member is not one of them.
func (b *Builder) Repeat(src []byte) int {
	members := b.before.members[b.next:]
	if len(members) == 0 || b.mixed {
		return 0
	}
	same, size, n := commonPrefix(b.before.bytes[b.from:], src), 0, 0
	for n < len(members) && size+int(members[n].size) <= same {
		size += int(members[n].size)
		n++
	}
	if n == 0 {
		return 0
	}
	if !b.started {
		b.first = members[0].column
	}
	b.started, b.last = true, members[n-1].column
	b.row.members = append(b.row.members, members[:n]...)
	b.row.bytes = append(b.row.bytes, src[:size]...)
	b.next, b.from = b.next+n, b.from+size
	b.rowSize += n
	return size
}

// find is the column of a key.
func (b *Builder) find(key []byte) uint32 {
	if guess := b.guess(); int(guess) < len(b.columns) && b.columns[guess].key == string(key) {
		return guess
	}
	at, found := b.keys[string(key)]
	if !found {
		at = uint32(len(b.columns))
		k := string(key)
		b.columns = append(b.columns, propColumn{key: k})
		b.keys[k] = at
	}
	return at
}

// guess is the column of the member that is expected, or else the one that followed the last one
// when that came last.
func (b *Builder) guess() uint32 {
	switch {
	case b.next < len(b.before.members):
		return b.before.members[b.next].column
	case b.started:
		return b.columns[b.last].next
	}
	return b.first
}

// setMember sets the row's value of a column that is the next member.
func (b *Builder) setMember(at uint32, kind Kind, value []byte) {
	if !b.columns[at].member {
		b.joined = append(b.joined, at)
	} else if !b.mixed && !b.reach(at) {
		b.mixed = true
	}
	b.set(at, kind, value)
}

// reach goes on behind the member of a column in the row before, if it is still to come there.
func (b *Builder) reach(at uint32) bool {
	from := b.from
	for n := b.next; n < len(b.before.members); n++ {
		m := b.before.members[n]
		from += int(m.size)
		if m.column == at {
			for _, skipped := range b.before.members[b.next:n] {
				b.left = append(b.left, skipped.column)
			}
			b.next, b.from = n+1, from
			return true
		}
	}
	return false
}

// set sets the row's value of a column.
func (b *Builder) set(at uint32, kind Kind, value []byte) {
	if !b.started {
		b.first = at
	} else if b.last != at {
		b.columns[b.last].next = at
	}
	b.started, b.last = true, at
	c := &b.columns[at]
	if !c.live {
		c.live = true
		b.cells++
		b.rowSize += len(c.key) + 4
	}
	row := uint32(b.rows) + 1
	b.mixed = b.mixed || c.row == row
	c.row = row
	b.touched = append(b.touched, at)
	code, size := c.table.code(kind, value)
	b.rowSize += size + 1
	c.begin(uint32(b.rows), code)
}

// begin has the rows from one on have a code.
func (c *propColumn) begin(row, code uint32) {
	last := len(c.runs) - 1
	switch {
	case last >= 0 && c.runs[last].from == row:
		c.runs[last].code = code
	case last < 0 && code != 0 || last >= 0 && c.runs[last].code != code:
		c.runs = append(c.runs, run{row, code})
	}
}

// leave ends a column whose value the row does not have.
func (b *Builder) leave(at uint32) {
	if c := &b.columns[at]; c.row != uint32(b.rows)+1 {
		c.begin(uint32(b.rows), 0)
	}
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
	b.endMembers()
	b.rows++
	b.size += b.rowSize
}

// endMembers ends the columns that the row before had and this one does not have, and makes its
// members those that are expected next.
func (b *Builder) endMembers() {
	for _, at := range b.singles {
		b.leave(at)
	}
	for _, m := range b.before.members[b.next:] {
		b.left = append(b.left, m.column)
	}
	for _, at := range b.left {
		b.leave(at)
		b.columns[at].member = false
	}
	if b.mixed {
		for _, m := range b.before.members {
			b.columns[m.column].member = false
		}
		for _, m := range b.row.members {
			b.single = append(b.single, m.column)
		}
		b.row.reset()
	} else {
		for _, at := range b.joined {
			b.columns[at].member = true
		}
	}
	b.before, b.row = b.row, b.before
	b.single, b.singles = b.singles, b.single
}

// Abort drops the row. Values that only it had stay in the dictionaries, unused.
func (b *Builder) Abort() {
	b.name.cut(b.rows)
	b.distinctID.cut(b.rows)
	b.row.reset()
	for _, at := range b.touched {
		c := &b.columns[at]
		c.row = 0
		if last := len(c.runs) - 1; last >= 0 && c.runs[last].from == uint32(b.rows) {
			c.runs = c.runs[:last]
		}
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
	room.column(&b.name.table)
	room.column(&b.distinctID.table)
	for i := range b.columns {
		if c := &b.columns[i]; c.live {
			// A column whose every row was aborted carries nothing.
			if len(c.runs) > 0 {
				live = append(live, uint32(i))
				c.carried = carried(c.runs, b.rows)
				room.prop(c)
			} else {
				c.table.reset()
			}
			c.live, c.member, c.row = false, false, 0
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
		p.Codes = room.take(c)
		p.Kinds, p.Values = room.values(&c.table)
	}
	b.before.reset()
	b.row.reset()
	b.singles = b.singles[:0]
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
	rows  int
	dicts int
	codes [3]int // by their size: 1, 2 and 4 bytes
	count int    // of values
	size  int    // bytes of values
	some  int    // rows of properties that few have

	narrow []uint8
	middle []uint16
	wide   []uint32
	offs   []uint32
	kinds  []Kind
	bytes  []byte
}

// column makes room for a column without missing values, and prop for a property.
func (r *room) column(t *table) { r.add(t, 4, r.rows) }

func (r *room) prop(c *propColumn) {
	kept := r.rows
	if areFew(c.carried, r.rows) {
		kept = c.carried
		r.some += kept
	}
	r.add(&c.table, CodeBytes(uint32(len(c.table.kinds))), kept)
}

func (r *room) add(t *table, codeBytes, codes int) {
	r.dicts++
	r.codes[codeBytes/2] += codes
	r.count += len(t.kinds)
	r.size += len(t.values.Bytes)
}

func (r *room) make() {
	r.narrow, r.middle = make([]uint8, r.codes[0]), make([]uint16, r.codes[1])
	r.wide, r.offs = make([]uint32, r.codes[2]+r.some), make([]uint32, 0, r.dicts+r.count)
	r.kinds, r.bytes = make([]Kind, 0, r.count), make([]byte, 0, r.size)
}

// take writes the codes of a property into the room, and starts other runs.
func (r *room) take(c *propColumn) (out Codes) {
	kept, few := r.rows, areFew(c.carried, r.rows)
	if few {
		kept, out.rows = c.carried, r.rows
		out.some, r.wide = cut(r.wide, kept)
		carriers(out.some, c.runs, r.rows)
	}
	switch CodeBytes(uint32(len(c.table.kinds))) {
	case 1:
		out.narrow, r.narrow = cut(r.narrow, kept)
		expand(out.narrow, c.runs, r.rows, few)
	case 2:
		out.middle, r.middle = cut(r.middle, kept)
		expand(out.middle, c.runs, r.rows, few)
	default:
		out.wide, r.wide = cut(r.wide, kept)
		expand(out.wide, c.runs, r.rows, few)
	}
	if c.runs = c.runs[:0]; cap(c.runs) > keptSlots {
		c.runs = nil
	}
	return out
}

// carried is how many of so many rows have a value.
func carried(runs []run, rows int) (n int) {
	for i, r := range runs {
		if r.code != 0 {
			n += runEnd(runs, i, rows) - int(r.from)
		}
	}
	return n
}

// runEnd is the row behind a run.
func runEnd(runs []run, i, rows int) int {
	if i+1 < len(runs) {
		return int(runs[i+1].from)
	}
	return rows
}

// expand writes the codes of the rows that have a value: where the rows are among all, which are 0,
// or with few one behind the other.
func expand[T code](dst []T, runs []run, rows int, few bool) {
	for i, r := range runs {
		if r.code == 0 {
			continue
		}
		n := runEnd(runs, i, rows) - int(r.from)
		var part []T
		if few {
			part, dst = dst[:n], dst[n:]
		} else {
			part = dst[r.from:][:n]
		}
		for k := range part {
			part[k] = T(r.code)
		}
	}
}

// carriers writes the rows that have a value.
func carriers(dst []uint32, runs []run, rows int) {
	for i, r := range runs {
		if r.code == 0 {
			continue
		}
		for row := int(r.from); row < runEnd(runs, i, rows); row++ {
			dst[0], dst = uint32(row), dst[1:]
		}
	}
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
func (r *room) takeColumn(c *textColumn) (out Column) {
	out.Codes, r.wide = cut(r.wide, r.rows)
	for i, code := range c.codes {
		out.Codes[i] = code - 1
	}
	_, out.Values = r.values(&c.table)
	if c.codes = c.codes[:0]; cap(c.codes) > keptSlots {
		c.codes = nil
	}
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
func (c *textColumn) set(row int, value []byte) int {
	code, size := c.table.code(Text, value)
	if row < len(c.codes) { // set twice
		c.codes[row] = code
		return size
	}
	c.codes = append(c.codes, code)
	return size + 1
}

// cut forgets the codes from row on.
func (c *textColumn) cut(row int) { c.codes = c.codes[:min(row, len(c.codes))] }

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

// reset forgets what was taken. The memory stays unless it is large.
func (t *table) reset() {
	if len(t.slots) > keptSlots || cap(t.values.Bytes) > keptBytes {
		*t = table{}
		return
	}
	clear(t.slots)
	t.kinds, t.last = t.kinds[:0], 0
	t.values.Bytes = t.values.Bytes[:0]
	if len(t.values.Offs) > 0 {
		t.values.Offs = t.values.Offs[:1]
	}
}
