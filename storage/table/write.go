package table

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/prickledb/prickle/storage/vec"
)

// OpKind is what an operation of a write set does. The numbers are part of the log's format.
type OpKind uint8

// The operations.
const (
	OpCreate   OpKind = 1 // make the table of Schema; Table is its Fresh number
	OpAlter    OpKind = 2 // give the table another Schema
	OpDrop     OpKind = 3
	OpTruncate OpKind = 4 // delete the rows there were: those before Until that are not in Rows, and own ones before OwnFrom
	OpInsert   OpKind = 5 // add Batch
	OpDelete   OpKind = 6 // delete Rows and Own
	OpAdvance  OpKind = 7 // take Count numbers of the sequence of the column Column
	OpLoad     OpKind = 8 // add the rows of Encoded
	OpRestart  OpKind = 9 // let the sequence of the column Column go on with the number Next
)

// Fresh is added to the number by which a write set calls a table that it makes itself:
// the n-th it makes is Fresh+n, from 0 on. Apply gives it its real number.
const Fresh = 1 << 31

// Op is one operation. Version is the version of the table's schema that it was computed
// on; if the table has another one by then, the write set is refused.
type Op struct {
	Kind    OpKind
	Table   uint32
	Version uint32
	Schema  *Schema
	Columns []uint32        // of Batch or Encoded, by number
	Batch   *vec.Batch      // given to Apply: the caller must not touch it again
	Encoded *Encoded        // what a statement that brings many rows has in place of Batch
	Rows    *roaring.Bitmap // numbers of rows
	Own     *roaring.Bitmap // rows that this transaction inserted into the table, counted from 0
	OwnFrom uint32
	Until   uint32
	IfEmpty bool // alter the table only if it has no rows
	IfSame  bool // alter the table only if no other transaction has inserted rows from Until on
	Column  uint32
	Count   uint32
	Next    int64
}

// Txn names a transaction that takes several write sets.
type Txn [16]byte

// Stage is which part of a transaction a write set is. The numbers are part of the log's
// format.
type Stage uint8

// The stages. Rows and tables of a Part are seen by nobody until Last, and become dead with
// Abort, or when nothing is heard of the transaction for ten minutes. A Part may only make
// tables and add rows.
const (
	Whole Stage = 0
	Part  Stage = 1
	Last  Stage = 2
	Abort Stage = 3
)

// WriteSet is what a transaction changes. All of it becomes visible together, or nothing.
type WriteSet struct {
	Stage Stage
	Txn   Txn // zero if the stage is Whole
	Ops   []Op
}

// ConflictError is returned for a write set that does not fit the tables as they have
// become: what it was computed on is not there any more. Computing it anew may help.
type ConflictError struct {
	Table string // its name, or number
	What  string
}

func (e *ConflictError) Error() string { return fmt.Sprintf("table %s: %s", e.Table, e.What) }

// txnTimeout is how long, by the time of entries, a transaction may be silent, in µs.
const txnTimeout = 10 * 60 * 1_000_000

// maxRow is the greatest number of a row. A table that has reached it takes no more; one
// that is made of it with CREATE TABLE AS does.
const maxRow = 1<<32 - 2

// Storable says whether a column may have a type.
func Storable(t vec.Type) bool {
	return t.Kind > vec.Unknown && t.Kind < vec.Record || t == vec.T(vec.IntSet)
}

// Tables is the tables of a project at one moment. It is immutable. The zero value has none.
type Tables struct {
	byID   map[uint32]*Version
	lastID uint32
	open   map[Txn]*openTxn
}

// openTxn is a transaction of which a Part was applied. It is immutable.
type openTxn struct {
	last  int64 // time of its last entry, µs
	fresh []uint32
	own   map[uint32][]ownRange // by table
}

// ownRange is rows that a transaction inserted.
type ownRange struct{ first, n uint32 }

// Table finds a table by number, or answers nil. One that a transaction under way has made
// is not found.
func (t *Tables) Table(id uint32) *Version {
	if v := t.byID[id]; v != nil && !v.Pending {
		return v
	}
	return nil
}

// List gives the tables and views, by number, those of transactions under way left out.
func (t *Tables) List() []*Version { return t.Of(Relation) }

// Of is List of a kind.
func (t *Tables) Of(kind Kind) []*Version {
	var out []*Version
	for _, id := range slices.Sorted(maps.Keys(t.byID)) {
		if v := t.byID[id]; !v.Pending && v.Schema.Kind == kind {
			out = append(out, v)
		}
	}
	return out
}

// All gives the tables by number, those of transactions under way too.
func (t *Tables) All() []*Version {
	var out []*Version
	for _, id := range slices.Sorted(maps.Keys(t.byID)) {
		out = append(out, t.byID[id])
	}
	return out
}

// LastID is the number of the table that was made last. The tables that a write set makes
// get the numbers after it.
func (t *Tables) LastID() uint32 { return t.lastID }

// Empty says whether there never was a table.
func (t *Tables) Empty() bool { return t.lastID == 0 }

// With is the tables with other versions of some of them, which must be there.
func (t *Tables) With(versions ...*Version) *Tables {
	out := *t
	out.byID = maps.Clone(t.byID)
	for _, v := range versions {
		out.byID[v.Schema.Table] = v
	}
	return &out
}

// Change is what a write set did besides giving other tables.
type Change struct {
	Inserted, Deleted int
	Loaded            int   // of the inserted rows, those that are encoded
	Bytes             int64 // of memory that the inserted rows take, about
	First             int64 // the first of the numbers that the last OpAdvance took
}

// Apply gives the tables after a write set of the given time. Epoch names the memtable that
// holds its rows. With an error the tables are as before, except that a transaction of
// several parts is ended.
func (t *Tables) Apply(ws *WriteSet, at int64, epoch uint64) (*Tables, Change, error) {
	base := t.expired(at)
	if ws.Stage == Abort {
		return base.abandon(ws.Txn), Change{}, nil
	}
	w := &writing{next: base.clone(), at: at, epoch: epoch, stage: ws.Stage, own: map[uint32][]ownRange{}}
	if ws.Stage != Whole {
		if txn := base.open[ws.Txn]; txn != nil {
			w.fresh, w.own = slices.Clone(txn.fresh), cloneOwn(txn.own)
		}
	}
	err := w.begin()
	for i := 0; i < len(ws.Ops) && err == nil; i++ {
		err = w.op(&ws.Ops[i])
	}
	if err != nil {
		if ws.Stage != Whole {
			base = base.abandon(ws.Txn)
		}
		return base, Change{}, err
	}
	switch ws.Stage {
	case Part:
		w.next.open[ws.Txn] = &openTxn{last: at, fresh: w.fresh, own: w.own}
	case Last:
		delete(w.next.open, ws.Txn)
	}
	return w.next, w.change, nil
}

func cloneOwn(own map[uint32][]ownRange) map[uint32][]ownRange {
	out := make(map[uint32][]ownRange, len(own))
	for id, r := range own {
		out[id] = slices.Clone(r)
	}
	return out
}

func (t *Tables) clone() *Tables {
	out := &Tables{byID: maps.Clone(t.byID), lastID: t.lastID, open: maps.Clone(t.open)}
	if out.byID == nil {
		out.byID = map[uint32]*Version{}
	}
	if out.open == nil {
		out.open = map[Txn]*openTxn{}
	}
	return out
}

// expired is the tables without transactions that have been silent for too long.
func (t *Tables) expired(at int64) *Tables {
	out := t
	for _, id := range sortedTxns(t.open) {
		if t.open[id].last+txnTimeout < at {
			out = out.abandon(id)
		}
	}
	return out
}

func sortedTxns(open map[Txn]*openTxn) []Txn {
	return slices.SortedFunc(maps.Keys(open), func(a, b Txn) int { return slices.Compare(a[:], b[:]) })
}

// abandon makes what a transaction did as if it had never been.
func (t *Tables) abandon(id Txn) *Tables {
	txn := t.open[id]
	if txn == nil {
		return t
	}
	out := t.clone()
	delete(out.open, id)
	for _, table := range txn.fresh {
		delete(out.byID, table)
	}
	for table, ranges := range txn.own {
		v := out.byID[table]
		if v == nil {
			continue
		}
		c := *v
		c.Dead, c.Hidden = v.Dead.Clone(), v.Hidden.Clone()
		for _, r := range ranges {
			c.Dead.AddRange(uint64(r.first), uint64(r.first)+uint64(r.n))
			c.Hidden.RemoveRange(uint64(r.first), uint64(r.first)+uint64(r.n))
		}
		out.byID[table] = &c
	}
	return out
}

// writing is a write set being applied to next.
type writing struct {
	next   *Tables
	at     int64
	epoch  uint64
	stage  Stage
	fresh  []uint32 // real numbers of tables that the transaction made
	own    map[uint32][]ownRange
	change Change
}

// begin shows, with the Last write set of a transaction, what its Parts did.
func (w *writing) begin() error {
	if w.stage != Last {
		return nil
	}
	for _, id := range w.fresh {
		v := w.next.byID[id]
		if err := w.fits(v.Schema, 0); err != nil {
			return err
		}
		c := *v
		c.Pending = false
		w.next.byID[id] = &c
	}
	for id, ranges := range w.own {
		v := w.next.byID[id]
		if v == nil {
			return &ConflictError{fmt.Sprint(id), "was dropped by another transaction"}
		}
		c := *v
		c.Hidden = v.Hidden.Clone()
		for _, r := range ranges {
			c.Hidden.RemoveRange(uint64(r.first), uint64(r.first)+uint64(r.n))
		}
		w.next.byID[id] = &c
	}
	return nil
}

// fits says whether the table with a number may have the name of a schema, in the namespace of it.
func (w *writing) fits(s *Schema, id uint32) error {
	for _, v := range w.next.byID {
		if o := v.Schema; o.Name == s.Name && o.Kind == s.Kind && o.In == s.In && o.Table != id && !v.Pending {
			return &ConflictError{s.Name, "another transaction made a table of this name"}
		}
	}
	if s.In == 0 {
		return nil
	}
	if n := w.next.byID[s.In]; n == nil || n.Schema.Kind != Namespace {
		return &ConflictError{s.Name, "another transaction dropped its schema"}
	}
	return nil
}

// real is the number of a table that an operation names.
func (w *writing) real(id uint32) (uint32, error) {
	if id < Fresh {
		return id, nil
	}
	if id -= Fresh; int(id) >= len(w.fresh) {
		return 0, &ConflictError{fmt.Sprint(id + Fresh), "was not made by this transaction"}
	}
	return w.fresh[id], nil
}

// schema is a schema of an operation with the real numbers of the tables that it names.
func (w *writing) schema(o *Op) (*Schema, error) {
	s := o.Schema.Clone()
	var err error
	if s.In, err = w.real(s.In); err != nil {
		return nil, err
	}
	for i := range s.Foreign {
		if s.Foreign[i].Table, err = w.real(s.Foreign[i].Table); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (w *writing) op(o *Op) error {
	if o.Kind == OpCreate {
		return w.create(o)
	}
	id, err := w.real(o.Table)
	if err != nil {
		return err
	}
	v := w.next.byID[id]
	if v == nil || v.Pending && !slices.Contains(w.fresh, id) {
		return &ConflictError{fmt.Sprint(id), "was dropped by another transaction"}
	}
	if o.Version != v.Schema.Version {
		return &ConflictError{v.Schema.Name, "was changed by another transaction"}
	}
	if w.stage == Part && o.Kind != OpInsert && o.Kind != OpLoad {
		return &ConflictError{v.Schema.Name, fmt.Sprintf("operation %d in a part of a transaction", o.Kind)}
	}
	if (v.Schema.View != "" || v.Schema.Kind != Relation) && o.Kind != OpAlter && o.Kind != OpDrop && !(v.Schema.Kind == Sequence && (o.Kind == OpAdvance || o.Kind == OpRestart)) {
		return fmt.Errorf("table %s: operation %d on what has no rows", v.Schema.Name, o.Kind)
	}
	c := *v
	switch o.Kind {
	case OpAlter:
		err = w.alter(&c, o)
	case OpDrop:
		for _, other := range w.next.byID {
			if v.Schema.Kind == Namespace && other.Schema.In == id {
				return &ConflictError{v.Schema.Name, "another transaction made a table in this schema"}
			}
		}
		delete(w.next.byID, id)
		delete(w.own, id)
		return nil
	case OpTruncate:
		w.truncate(&c, o)
	case OpInsert:
		err = w.insert(&c, o)
	case OpLoad:
		err = w.load(&c, o)
	case OpDelete:
		err = w.delete(&c, o)
	case OpAdvance:
		err = w.advance(&c, o)
	case OpRestart:
		err = w.restart(&c, o)
	default:
		err = fmt.Errorf("table %s: operation %d", v.Schema.Name, o.Kind)
	}
	if err != nil {
		return err
	}
	w.next.byID[id] = &c
	return nil
}

func (w *writing) create(o *Op) error {
	if int64(o.Table) != Fresh+int64(len(w.fresh)) {
		return fmt.Errorf("table %q: number %d for the table with number %d of its transaction", o.Schema.Name, o.Table, len(w.fresh))
	}
	s, err := w.schema(o)
	if err != nil {
		return err
	}
	if w.stage != Part {
		if err := w.fits(s, 0); err != nil {
			return err
		}
	}
	w.next.lastID++
	if o.Schema.Temp != IsTemp(w.next.lastID) {
		return fmt.Errorf("table %q: a temporary table is no other's", o.Schema.Name)
	}
	s.Table, s.Version = w.next.lastID, 1
	for i := range s.Foreign {
		if s.Foreign[i].Table == 0 { // itself
			s.Foreign[i].Table = s.Table
		}
	}
	w.next.byID[s.Table] = &Version{Schema: s, Dead: roaring.New(), Hidden: roaring.New(), Pending: w.stage == Part}
	w.fresh = append(w.fresh, s.Table)
	return nil
}

func (w *writing) alter(v *Version, o *Op) error {
	s, err := w.schema(o)
	if err != nil {
		return err
	}
	if err := w.fits(s, v.Schema.Table); err != nil {
		return err
	}
	if own := ownRows(w.own[v.Schema.Table]); o.IfSame && v.Next != o.Until+own {
		return &ConflictError{v.Schema.Name, "another transaction inserted rows"}
	}
	if o.IfEmpty && (v.Live() > 0 || !v.Hidden.IsEmpty()) {
		return &ConflictError{v.Schema.Name, "another transaction inserted rows"}
	}
	if (o.Schema.View != "") != (v.Schema.View != "") {
		return fmt.Errorf("table %s: a view does not become a table, nor a table a view", v.Schema.Name)
	}
	if o.Schema.Kind != v.Schema.Kind {
		return fmt.Errorf("table %s: kind %d instead of %d", v.Schema.Name, o.Schema.Kind, v.Schema.Kind)
	}
	s.Table, s.Version = v.Schema.Table, v.Schema.Version+1
	for i := range s.Columns { // numbers that were taken meanwhile stay taken
		c := &s.Columns[i]
		if old := v.Schema.ByID(c.ID); old != nil && c.Sequence != "" {
			c.Next = max(c.Next, old.Next)
		}
	}
	v.Schema = s
	return nil
}

// ownRows is how many rows there are in ranges.
func ownRows(ranges []ownRange) uint32 {
	n := uint32(0)
	for _, r := range ranges {
		n += r.n
	}
	return n
}

// advance takes numbers of a sequence.
func (w *writing) advance(v *Version, o *Op) error {
	s, c, err := numbered(v, o)
	if err != nil {
		return err
	}
	if c.Next > math.MaxInt64-int64(o.Count) {
		return fmt.Errorf("table %s: the sequence %s has no number left", s.Name, c.Sequence)
	}
	w.change.First = c.Next
	c.Next += int64(o.Count)
	v.Schema = s
	return nil
}

func (w *writing) restart(v *Version, o *Op) error {
	s, c, err := numbered(v, o)
	if err != nil {
		return err
	}
	if o.Next < 1 {
		return fmt.Errorf("table %s: the sequence %s cannot go on with %d", s.Name, c.Sequence, o.Next)
	}
	c.Next = o.Next
	v.Schema = s
	return nil
}

// numbered is the schema of a table, to be changed, and its column that has the sequence.
func numbered(v *Version, o *Op) (*Schema, *Column, error) {
	s := v.Schema.Clone()
	c := s.ByID(o.Column)
	if c == nil || c.Sequence == "" {
		return nil, nil, fmt.Errorf("table %s: column %d has no sequence", s.Name, o.Column)
	}
	return s, c, nil
}

func (w *writing) truncate(v *Version, o *Op) {
	before := v.Live()
	v.Dead = v.Dead.Clone()
	// What others have inserted since stays, and so does what they had not committed then.
	gone := span(0, uint64(min(o.Until, v.Next)))
	if o.Rows != nil {
		gone.AndNot(o.Rows)
	}
	gone.AndNot(v.Hidden)
	k := uint32(0)
	for _, r := range w.own[v.Schema.Table] {
		gone.RemoveRange(uint64(r.first), uint64(r.first)+uint64(r.n))
		if o.OwnFrom > k {
			gone.AddRange(uint64(r.first), uint64(r.first)+uint64(min(r.n, o.OwnFrom-k)))
		}
		k += r.n
	}
	v.Dead.Or(gone)
	w.change.Deleted += int(before - v.Live())
}

func (w *writing) insert(v *Version, o *Op) error {
	n := o.Batch.Rows
	if n == 0 {
		return nil
	}
	if len(o.Columns) != len(o.Batch.Cols) {
		return fmt.Errorf("table %s: %d columns for %d numbers", v.Schema.Name, len(o.Batch.Cols), len(o.Columns))
	}
	for i, id := range o.Columns {
		c := v.Schema.ByID(id)
		if got := o.Batch.Cols[i].Type; c == nil || got.Kind != c.Type.Kind || got.Array != c.Type.Array {
			return fmt.Errorf("table %s: a batch has column %d of type %v, the table does not", v.Schema.Name, id, got)
		}
	}
	rows := &Rows{First: v.Next, Columns: o.Columns, Batch: o.Batch, Epoch: w.epoch}
	if err := w.place(v, rows); err != nil {
		return err
	}
	v.Batches = appendRows(v.Batches, rows)
	return nil
}

// load is insert of rows that are encoded.
func (w *writing) load(v *Version, o *Op) error {
	rows := &Rows{First: v.Next, Columns: o.Columns, Encoded: o.Encoded, Epoch: w.epoch}
	for i, id := range o.Columns {
		c := v.Schema.ByID(id)
		if c == nil {
			return fmt.Errorf("table %s: rows have column %d, the table does not", v.Schema.Name, id)
		}
		zone, err := decodeZone(o.Encoded.columns[i].zone, c.Type)
		if err != nil {
			return fmt.Errorf("table %s: zone of column %d: %w", v.Schema.Name, id, err)
		}
		rows.types, rows.zones = append(rows.types, c.Type), append(rows.zones, zone)
	}
	if err := w.place(v, rows); err != nil {
		return err
	}
	v.Batches = append(v.Batches[:len(v.Batches):len(v.Batches)], rows)
	return nil
}

// place gives rows their numbers, the next ones of the table.
func (w *writing) place(v *Version, rows *Rows) error {
	n := rows.Len()
	if uint64(v.Next)+uint64(n) > maxRow {
		return fmt.Errorf("table %s: more than %d rows were inserted into it over time; copy it with CREATE TABLE AS", v.Schema.Name, uint64(maxRow))
	}
	v.Next += uint32(n)
	w.own[v.Schema.Table] = append(w.own[v.Schema.Table], ownRange{rows.First, uint32(n)})
	if w.stage == Part {
		v.Hidden = v.Hidden.Clone()
		v.Hidden.AddRange(uint64(rows.First), uint64(v.Next))
	}
	w.change.Inserted += n
	w.change.Bytes += rows.Bytes()
	if rows.Encoded != nil {
		w.change.Loaded += n
	}
	return nil
}

// appendRows adds rows behind others. Small batches of one epoch are put together, as in a
// binary counter: each row is copied a logarithmic number of times, and a scan meets a
// logarithmic number of small batches.
func appendRows(list []*Rows, r *Rows) []*Rows {
	keep := len(list)
	total := r.Batch.Rows
	for keep > 0 {
		p := list[keep-1]
		if p.Encoded != nil || p.Epoch != r.Epoch || p.Batch.Rows > total || p.Batch.Rows+total > vec.BatchRows || !slices.Equal(p.Columns, r.Columns) || !sameForm(p.Batch, r.Batch) {
			break
		}
		total += p.Batch.Rows
		keep--
	}
	if keep == len(list) {
		return append(list[:keep:keep], r)
	}
	out := &Rows{First: list[keep].First, Columns: r.Columns, Epoch: r.Epoch, Batch: &vec.Batch{Rows: total}}
	parts := append(slices.Clone(list[keep:]), r)
	for c := range r.Columns {
		b := vec.NewBuilder(r.Batch.Cols[c].Type)
		for _, p := range parts {
			b.AppendRows(p.Batch.Cols[c], 0, p.Batch.Rows)
		}
		out.Batch.Cols = append(out.Batch.Cols, b.V)
	}
	return append(list[:keep:keep], out)
}

// sameForm says whether the columns of two batches hold values of the same form: those of a table
// without rows may have got any type.
func sameForm(a, b *vec.Batch) bool {
	for i := range a.Cols {
		if x, y := a.Cols[i].Type, b.Cols[i].Type; x.Payload() != y.Payload() || x.Array != y.Array {
			return false
		}
	}
	return true
}

func (w *writing) delete(v *Version, o *Op) error {
	gone := roaring.New()
	if o.Rows != nil {
		if !o.Rows.IsEmpty() && o.Rows.Maximum() >= v.Next || o.Rows.Intersects(v.Dead) || o.Rows.Intersects(v.Hidden) {
			return &ConflictError{v.Schema.Name, "a row was updated or deleted by another transaction"}
		}
		gone.Or(o.Rows)
	}
	if o.Own != nil {
		k := uint64(0)
		for _, r := range w.own[v.Schema.Table] {
			for it := roaring.And(o.Own, span(k, k+uint64(r.n))).Iterator(); it.HasNext(); {
				gone.Add(r.first + uint32(uint64(it.Next())-k))
			}
			k += uint64(r.n)
		}
		if !o.Own.IsEmpty() && uint64(o.Own.Maximum()) >= k || gone.Intersects(v.Dead) {
			return &ConflictError{v.Schema.Name, "a row of the transaction is not there"}
		}
	}
	v.Dead = v.Dead.Clone()
	v.Dead.Or(gone)
	w.change.Deleted += int(gone.GetCardinality())
	return nil
}

func span(lo, hi uint64) *roaring.Bitmap {
	b := roaring.New()
	b.AddRange(lo, hi)
	return b
}
