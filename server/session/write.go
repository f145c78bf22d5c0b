package session

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/prickledb/prickle/cluster"
	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/server/capture"
	"github.com/prickledb/prickle/sql"
	"github.com/prickledb/prickle/sql/bind"
	"github.com/prickledb/prickle/storage"
	"github.com/prickledb/prickle/storage/object"
	"github.com/prickledb/prickle/storage/table"
	"github.com/prickledb/prickle/storage/vec"
)

// maxWriteBytes is how much a transaction may write, and how much RETURNING may give: it is
// held in memory until it is committed or fetched. A statement outside a block that only
// inserts is not bounded by it.
const maxWriteBytes = 256 << 20

// writes is what a transaction has changed and not committed.
type writes struct {
	ops     []table.Op
	cohorts []*CohortChange
	bytes   int64
	made    uint32 // tables
	marks   []mark
}

// mark is a savepoint: what had been written when it was set, and how many portals opened.
type mark struct {
	name    string
	ops     int
	cohorts int
	bytes   int64
	made    uint32
	opened  int
	temp    *table.Tables
}

// openedBefore is how many portals had been opened at the last savepoint, 0 if there is none.
func (w *writes) openedBefore() int {
	if w == nil || len(w.marks) == 0 {
		return 0
	}
	return w.marks[len(w.marks)-1].opened
}

// joinedBytes is how large a batch is that is not put together with another one: copying it
// would cost more than having one batch less gains.
const joinedBytes = 64 << 10

// add adds an operation. Insertions into the same table that follow each other are put
// together, so that a thousand statements of one row do not make a thousand batches; but
// not across a savepoint.
func (w *writes) add(o table.Op) {
	if o.Kind == table.OpCreate {
		w.made++
	}
	size := o.Bytes()
	w.bytes += size
	if size > joinedBytes {
		w.ops = append(w.ops, o)
		return
	}
	floor := 0
	if n := len(w.marks); n > 0 {
		floor = w.marks[n-1].ops
	}
	for n := len(w.ops); n > floor; n-- {
		last := &w.ops[n-1]
		if last.Kind != table.OpInsert || o.Kind != table.OpInsert || last.Table != o.Table || last.Version != o.Version ||
			last.Batch.Rows > o.Batch.Rows || last.Batch.Rows+o.Batch.Rows > vec.BatchRows {
			break
		}
		o.Batch = joined(last.Batch, o.Batch)
		w.ops = w.ops[:n-1]
	}
	w.ops = append(w.ops, o)
}

func joined(a, b *vec.Batch) *vec.Batch {
	out := &vec.Batch{Rows: a.Rows + b.Rows}
	for i := range a.Cols {
		c := vec.NewBuilder(a.Cols[i].Type)
		for row := range a.Rows {
			c.AppendFrom(a.Cols[i], row)
		}
		for row := range b.Rows {
			c.AppendFrom(b.Cols[i], row)
		}
		out.Cols = append(out.Cols, c.V)
	}
	return out
}

func (s *Session) savepoint(name string) {
	if s.writes == nil {
		s.writes = &writes{}
	}
	w := s.writes
	w.marks = append(w.marks, mark{name, len(w.ops), len(w.cohorts), w.bytes, w.made, s.opened, s.temp})
}

// markOf finds the newest savepoint of a name, -1 for none: Settings has told of the error.
func (w *writes) markOf(name string) int {
	for i := len(w.marks) - 1; i >= 0; i-- {
		if w.marks[i].name == name {
			return i
		}
	}
	return -1
}

func (s *Session) releaseTo(name string) {
	if i := s.writes.markOf(name); i >= 0 {
		s.writes.marks = s.writes.marks[:i]
	}
}

func (s *Session) rollbackTo(name string) {
	w := s.writes
	if i := w.markOf(name); i >= 0 {
		m := w.marks[i]
		s.closePortals(m.opened)
		s.temp = m.temp
		// The list may be read by a statement that is not at its end.
		w.ops, w.bytes, w.made, w.marks = slices.Clone(w.ops[:m.ops]), m.bytes, m.made, w.marks[:i+1]
		w.cohorts = w.cohorts[:m.cohorts:m.cohorts]
	}
}

// conflict puts a conflict that ends a transaction into the client's words.
func conflict(err error) error {
	var c *table.ConflictError
	var o *object.ConflictError
	switch {
	case errors.As(err, &c):
		return Conflict(c)
	case errors.As(err, &o):
		return Conflict(o)
	}
	return err
}

// Conflict is the error of a transaction that others were faster than, and why.
func Conflict(why error) *pgerr.Error {
	return pgerr.New(pgerr.SerializationFailure, "could not serialize access due to concurrent update").WithDetail("%s", why)
}

// send commits what a transaction has changed.
func (s *Session) send(ctx context.Context, w *writes) error {
	if len(w.cohorts) == 0 {
		return s.sendParts(ctx, w.ops, &storage.Commit{})
	}
	defer s.config.Cohorts.Lock()()
	pin, err := s.config.Engine.Pin(s.config.Project)
	if err != nil {
		return err
	}
	defer pin.Release()
	beside, _, err := s.config.Cohorts.Plan(pin, w.cohorts)
	if err != nil {
		return err
	}
	return s.sendParts(ctx, w.ops, beside)
}

// sendParts commits operations, in as many parts as it takes, and what is beside them.
func (s *Session) sendParts(ctx context.Context, ops []table.Op, beside *storage.Commit) error {
	if len(ops)+len(beside.Objects)+len(beside.Members) == 0 {
		return nil
	}
	parts, err := (&table.WriteSet{Ops: ops}).Split()
	if errors.Is(err, table.ErrTooLarge) {
		return pgerr.New(pgerr.ProgramLimitExceeded, "%s", err).WithHint("Commit before changing tables. For a column that numbers very many rows, make another table with CREATE TABLE AS.")
	}
	if err != nil {
		return err
	}
	for i, part := range parts {
		c := &storage.Commit{Tables: part}
		if i == len(parts)-1 {
			c.Objects, c.Members = beside.Objects, beside.Members
		}
		if err := s.write(ctx, c); err != nil {
			if i > 0 {
				s.abandon(part.Txn)
			}
			return err
		}
	}
	return nil
}

// write sends a commit.
func (s *Session) write(ctx context.Context, c *storage.Commit) error {
	receipt, err := s.config.Engine.Write(ctx, s.config.Project, c)
	if err == nil {
		s.wrote(receipt.Index)
	}
	return clusterError(err)
}

// wrote makes the state that has an entry the last one that was read.
func (s *Session) wrote(index uint64) {
	s.cut = Cut{max(s.cut.Index, index), time.Now()}
}

// abandon says that a transaction of which parts were sent comes to nothing. If that cannot
// be said, it is found out after a while.
func (s *Session) abandon(txn table.Txn) {
	err := s.write(s.ctx, &storage.Commit{Tables: &table.WriteSet{Stage: table.Abort, Txn: txn}})
	if err != nil {
		s.config.Logger.Warn("a transaction cannot be abandoned, it ends by itself", "error", err)
	}
}

// modify carries out a statement that writes.
func (p *Portal) modify(scope *Scope, st *sql.Statement, v *view) error {
	s := p.session
	if !temporary(st) {
		if err := s.mayWrite(strings.TrimSuffix(st.Tag, " 0")); err != nil {
			return err
		}
	}
	w := &writing{portal: p, view: v, scope: scope, into: s.writes}
	if w.into == nil {
		w.into = &writes{}
	}
	w.base = s.config.Engine.Tables(v.pin)
	start := time.Now()
	if st.Explain != nil {
		scope.Analysis = &Analysis{}
	}
	defer s.settleMemory()
	var answer Rows
	if st.DDL != nil {
		for _, n := range st.DDL.Notices {
			s.notice(n)
		}
		for _, v := range st.DDL.Verify {
			if err := w.verify(st, v); err != nil {
				return err
			}
		}
		w.change(st.DDL)
		if st.DDL.Fill != nil {
			if err := w.fill(st, st.DDL.Fill); err != nil {
				return err
			}
		}
		p.tag = st.Tag
	}
	if st.Write != nil || len(st.Parts) > 0 {
		n, err := w.rows(st)
		if err == nil {
			err = s.configure()
		}
		if err == nil && w.events != nil {
			n, err = w.ingest()
		}
		if err = w.settle(err); err != nil {
			if w.sent {
				s.abandon(w.txn)
			}
			return err
		}
		if st.Write != nil { // of a query the rows are counted as the client takes them
			p.tag = st.Tag + " " + strconv.Itoa(n)
		}
		if skipped := scope.Progress.Skipped.Load(); skipped > 0 {
			s.notice(pgerr.New("00000", "%d rows were skipped due to data type incompatibility", skipped))
		}
		if st.Write == nil || st.Write.Returning != nil {
			answer = &fixedRows{w.returned}
		}
	}
	if err := w.finish(); err != nil {
		return err
	}
	if st.Explain != nil {
		var err error
		if answer, err = w.explanation(st, time.Since(start)); err != nil {
			return err
		}
		p.tag = "EXPLAIN"
	}
	p.rows, p.done = answer, answer == nil
	return nil
}

// explanation is the answer of EXPLAIN ANALYZE after the statement was carried out.
func (w *writing) explanation(st *sql.Statement, elapsed time.Duration) (Rows, error) {
	a := w.scope.Analysis
	below := a.Measured.Actual
	a.Measured.Elapsed = elapsed
	a.Measured.Actual = func(n plan.Node) *plan.Actual {
		m, ok := n.(*plan.Modify)
		if !ok {
			return below(n)
		}
		did := &plan.Actual{Elapsed: elapsed}
		if in := below(m.Input); in != nil && m.Returns { // PostgreSQL counts the rows that come out
			did.Rows = in.Rows
		}
		return did
	}
	return explanation(st, sql.Explained(st, a.Plan), a.Statistics, a.Measured)
}

// temporaries is the temporary tables of the session.
func (s *Session) temporaries() *table.Tables {
	if s.temp == nil {
		return table.NewTemp()
	}
	return s.temp
}

// temporary says whether a statement writes into temporary tables alone.
func temporary(st *sql.Statement) bool {
	lasting := func(w *bind.Write) bool { return w.Target.Schema == nil || !w.Target.Schema.Temp }
	if slices.ContainsFunc(st.Parts, func(p bind.Part) bool { return lasting(p.Write) }) {
		return false
	}
	if st.Write != nil || len(st.Parts) > 0 {
		return st.Write == nil || !lasting(st.Write)
	}
	return !slices.ContainsFunc(st.DDL.Ops, func(o table.Op) bool { return !isTemp(&o) })
}

// isTemp says whether an operation is one on a temporary table.
func isTemp(o *table.Op) bool {
	return table.IsTemp(o.Table) || o.Kind == table.OpCreate && o.Schema.Temp
}

// writing is a statement that writes, being carried out.
type writing struct {
	portal *Portal
	view   *view
	scope  *Scope
	base   *table.Tables // what others have committed
	into   *writes
	destination
	parts map[int]destination // of the rows of subqueries, by slot
	temp  writes              // what changes temporary tables

	// Outside a block, rows that are only inserted are sent as they come.
	txn    table.Txn
	sent   bool
	flight chan sent // the part that is on its way; nil if none is

	encodes bool       // the rows at hand are encoded before they are sent
	queue   []encoding // rows that are being encoded, in their order
	queued  int64      // bytes of them

	events *ingest // of an INSERT INTO events; nil otherwise

	returned []*vec.Batch
	held     int64
}

// destination is where rows go.
type destination struct {
	write *bind.Write // nil: they are the answer of a query
	table uint32      // in the write set
	ids   []uint32    // of the columns
}

// number is what a table of the catalog is called in the write set: one that the
// transaction has made has no number of its own yet.
func (w *writing) number(id uint32) uint32 {
	if table.IsTemp(id) {
		return id
	}
	if last := w.base.LastID(); id > last {
		return table.Fresh + id - last - 1
	}
	return id
}

// next is the number from which on rows of a table are the transaction's own.
func (w *writing) next(id uint32) uint32 {
	if table.IsTemp(id) {
		return w.portal.session.temp.Table(id).Next
	}
	if v := w.base.Table(id); v != nil {
		return v.Next
	}
	return 0
}

// verify finds out whether something holds of the rows there are.
func (w *writing) verify(st *sql.Statement, v bind.Verify) error {
	p := w.portal
	asked := &sql.Statement{Kind: sql.Query, Plan: plan.Rewrite(v.Plan, st.Disabled...), Schema: v.Plan.Schema(), Disabled: st.Disabled}
	rows, err := p.session.config.Engine.Run(p.ctx, w.scope, asked, w.view.shown)
	if err != nil {
		return err
	}
	defer rows.Close() // Next says what there is to say
	for {
		b, err := rows.Next(p.ctx)
		if b == nil || err != nil {
			return err
		}
		if b.Compact().Rows > 0 {
			return v.Err
		}
	}
}

// fill writes the rows of a table anew that an operation before has altered.
func (w *writing) fill(st *sql.Statement, f *bind.Write) error {
	if v := w.base.Table(f.Target.Schema.Table); v != nil && !v.Hidden.IsEmpty() { // they would come without the column
		return &table.ConflictError{Table: f.Target.Name, What: "another transaction is inserting rows"}
	}
	filling := &sql.Statement{Kind: sql.Modify, Write: f, Plan: plan.Rewrite(f.Plan, st.Disabled...), Schema: f.Plan.Schema(), Disabled: st.Disabled}
	_, err := w.rows(filling)
	err = w.settle(err)
	var e *pgerr.Error
	if errors.As(err, &e) {
		var told *pgerr.Error
		switch e.Code {
		case pgerr.NotNullViolation:
			told = pgerr.New(e.Code, `column "%s" of relation "%s" contains null values`, e.Column, e.Table)
		case pgerr.CheckViolation:
			told = pgerr.New(e.Code, `check constraint "%s" of relation "%s" is violated by some row`, e.Constraint, e.Table)
			told.Constraint = e.Constraint
		default:
			return err
		}
		return told.About(e.Schema, e.Table, e.Column)
	}
	return err
}

// numbered is a schema that names other tables as the write set does.
func (w *writing) numbered(s *table.Schema) *table.Schema {
	s = s.Clone()
	s.In = w.number(s.In)
	for i := range s.Foreign {
		s.Foreign[i].Table = w.number(s.Foreign[i].Table)
	}
	return s
}

func (w *writing) change(c *bind.Change) {
	for _, o := range c.Ops {
		if o.Schema != nil {
			o.Schema = w.numbered(o.Schema)
		}
		if o.IfSame {
			o.Until = w.next(o.Table)
		}
		if o.Kind == table.OpRestart {
			w.portal.session.forget(sequenceKey{o.Table, o.Column})
		}
		if isTemp(&o) {
			w.changeTemp(o)
			continue
		}
		switch o.Kind {
		case table.OpCreate:
			o.Table = table.Fresh + w.into.made
		case table.OpTruncate:
			o.OwnFrom, o.Until = w.own(o.Table), w.next(o.Table)
			if v := w.base.Table(o.Table); v != nil && !v.Hidden.IsEmpty() {
				o.Rows = v.Hidden
			}
			fallthrough
		default:
			o.Table = w.number(o.Table)
		}
		w.into.add(o)
	}
}

// changeTemp is change of a temporary table.
func (w *writing) changeTemp(o table.Op) {
	switch o.Kind {
	case table.OpCreate:
		o.Table = table.Fresh + w.temp.made
	case table.OpTruncate:
		o.Until = w.next(o.Table)
	}
	w.temp.add(o)
}

// target is what takes in the rows of the statement.
func (w *writing) target() *writes {
	if w.write.Target.Schema.Temp {
		return &w.temp
	}
	return w.into
}

// own is how many rows the transaction has inserted into a table of the catalog.
func (w *writing) own(id uint32) uint32 {
	return w.portal.session.config.Engine.Tables(w.view.shown).Table(id).Next - w.next(id)
}

// rows runs the plan of a statement and takes in its rows. It gives how many there were.
func (w *writing) rows(st *sql.Statement) (n int, err error) {
	p := w.portal
	if st.Write != nil {
		if err := w.open(st.Write); err != nil {
			return 0, err
		}
	}
	main := w.destination
	w.parts = make(map[int]destination, len(st.Parts))
	for _, part := range st.Parts {
		if err := w.open(part.Write); err != nil {
			return 0, err
		}
		w.parts[part.Slot] = w.destination
	}
	w.destination = main
	w.scope.Write = w.part
	rows, err := p.session.config.Engine.Run(p.ctx, w.scope, st, w.view.shown)
	if err != nil {
		return 0, err
	}
	defer func() {
		if closing := rows.Close(); err == nil {
			err = closing
		}
	}()
	for {
		b, err := rows.Next(p.ctx)
		if b == nil || err != nil {
			return n, err
		}
		if b = b.Compact(); b.Rows == 0 {
			continue
		}
		n += b.Rows
		if err := w.take(b, st.Copy != nil); err != nil {
			return n, err
		}
	}
}

// open prepares to take in the rows of a part of the statement.
func (w *writing) open(write *bind.Write) error {
	w.destination = destination{write: write}
	if write.Target.Schema == nil {
		if w.portal.session.gathers() {
			return pgerr.Unsupported("INSERT INTO events in a transaction").WithHint("Send it as a statement of its own, outside a block.")
		}
		w.events = &ingest{rows: capture.NewTypedLines(), now: w.scope.Expr.Now}
	} else if create := write.Create; create != nil {
		w.table = table.Fresh + w.target().made
		w.target().add(table.Op{Kind: table.OpCreate, Table: w.table, Schema: w.numbered(create)})
	} else {
		w.table = w.number(write.Target.Schema.Table)
	}
	for i := range write.Columns {
		w.ids = append(w.ids, write.Columns[i].ID)
	}
	return nil
}

// part takes in rows of a subquery.
func (w *writing) part(slot int, b *vec.Batch) error {
	defer func(main destination) { w.destination = main }(w.destination)
	w.destination = w.parts[slot]
	if err := w.take(b, false); err != nil {
		return err
	}
	return w.drain(0)
}

// take takes in a batch of rows, which are its own if nobody else has vectors of it.
func (w *writing) take(b *vec.Batch, own bool) error {
	w.encodes = w.write != nil && w.write.Inserts && w.events == nil && !w.write.Target.Schema.Temp && b.Rows >= table.EncodeLeast
	for piece := range pieces(b, own, w.encodes) {
		if err := w.batch(piece); err != nil {
			return err
		}
	}
	return nil
}

// pieces cuts a batch so that each piece has few enough rows and bytes for one operation. own
// says that nobody else has vectors of the batch, encoded that the pieces are going to be encoded.
func pieces(b *vec.Batch, own, encoded bool) func(func(*vec.Batch) bool) {
	return func(yield func(*vec.Batch) bool) {
		size, most := int64(1), int64(table.EntryBytes/4)
		if encoded {
			most = queueBytes / 4 // encode cuts what turns out to be too large
		}
		for _, c := range b.Cols {
			size += c.Bytes()
		}
		step := max(1, min(vec.BatchRows, int(int64(b.Rows)*most/size)))
		if own && step >= b.Rows && (encoded || !slices.ContainsFunc(b.Cols, func(c *vec.Vector) bool { return c.Form == vec.Dict })) {
			yield(b)
			return
		}
		for lo := 0; lo < b.Rows; lo += step {
			n := min(step, b.Rows-lo)
			of := make([]uint32, n)
			for i := range of {
				of[i] = uint32(lo + i)
			}
			part := &vec.Batch{Rows: n}
			for _, c := range b.Cols {
				v := c.Take(of)
				if v.Form == vec.Dict && !encoded { // the dictionary may be a hundred times the rows
					v = v.Flatten(n)
				}
				part.Cols = append(part.Cols, v)
			}
			if !yield(part) {
				return
			}
		}
	}
}

// batch takes in rows of the plan.
func (w *writing) batch(b *vec.Batch) error {
	if w.write == nil {
		return w.answer(b)
	}
	if w.write.Deletes {
		w.delete(b.Cols[0].Flatten(b.Rows).I64)
		b = &vec.Batch{Rows: b.Rows, Cols: b.Cols[1:]}
	}
	if w.write.Returning != nil {
		if err := w.returning(b); err != nil {
			return err
		}
	}
	if w.write.Inserts {
		if err := w.insert(b); err != nil {
			return err
		}
	}
	if w.sends() && w.into.bytes > table.EntryBytes/2 {
		return w.ship()
	}
	if w.into.bytes > maxWriteBytes {
		return tooMuch("a transaction")
	}
	if s := w.portal.session; w.temp.bytes > 0 && w.temp.bytes+s.temporaries().Bytes() > maxWriteBytes {
		return tooMuch("temporary tables")
	}
	return w.hold()
}

func tooMuch(what string) error {
	return pgerr.New(pgerr.ProgramLimitExceeded, "%s of more than %d MB is not supported", what, maxWriteBytes>>20).
		WithHint("Do it in several steps.")
}

// sends says whether rows are sent as they come.
func (w *writing) sends() bool {
	return len(w.parts) == 0 && w.write.Inserts && !w.write.Deletes && !w.portal.session.keeps()
}

// sent is how a part that was sent ended.
type sent struct {
	receipt cluster.Receipt
	err     error
}

// ship sends what there is as a part of a transaction, once the part before it has arrived.
// Meanwhile the next one is gathered.
func (w *writing) ship() error {
	if err := w.land(); err != nil {
		return err
	}
	if !w.sent {
		w.txn, w.sent = table.NewTxn(), true
	}
	ws := &table.WriteSet{Stage: table.Part, Txn: w.txn, Ops: w.into.ops}
	w.into.ops, w.into.bytes = nil, 0
	s, flight := w.portal.session, make(chan sent, 1)
	w.flight = flight
	go func() {
		receipt, err := s.config.Engine.Write(w.portal.ctx, s.config.Project, &storage.Commit{Tables: ws})
		flight <- sent{receipt, err}
	}()
	return nil
}

// land waits for the part that is on its way.
func (w *writing) land() error {
	if w.flight == nil {
		return nil
	}
	end := <-w.flight
	if w.flight = nil; end.err == nil {
		w.portal.session.wrote(end.receipt.Index)
	}
	return clusterError(end.err)
}

// settle waits for all that is under way on behalf of a statement, and takes it in unless the
// statement has failed.
func (w *writing) settle(err error) error {
	if err == nil {
		err = w.drain(0)
	}
	for _, job := range w.queue {
		<-job.done
	}
	if landing := w.land(); err == nil {
		err = landing
	}
	return err
}

// queueBytes bounds the rows of a statement that are being encoded where there is much memory.
const queueBytes = 64 << 20

// encoding is rows that are being encoded.
type encoding struct {
	bytes int64
	done  chan []*table.Encoded
}

// encode has rows encoded beside all else, and takes in those that are.
func (w *writing) encode(b *vec.Batch) error {
	job := encoding{done: make(chan []*table.Encoded, 1)}
	for _, c := range b.Cols {
		job.bytes += c.Bytes()
	}
	w.queue, w.queued = append(w.queue, job), w.queued+job.bytes
	go func() { job.done <- encoded(b) }()
	return w.drain(runtime.GOMAXPROCS(0))
}

// encoded cuts what is too large for an entry of the log.
func encoded(b *vec.Batch) []*table.Encoded {
	e := table.Encode(b)
	if e.Bytes() <= table.EntryBytes/2 || b.Rows == 1 {
		return []*table.Encoded{e}
	}
	var out []*table.Encoded
	for _, end := range [][2]int{{0, b.Rows / 2}, {b.Rows / 2, b.Rows}} {
		half := &vec.Batch{Rows: end[1] - end[0]}
		for _, c := range b.Cols {
			v := vec.NewBuilder(c.Type)
			v.AppendRows(c, end[0], end[1])
			half.Cols = append(half.Cols, v.V)
		}
		out = append(out, encoded(half)...)
	}
	return out
}

// drain takes in rows that are encoded, until no more than so many batches wait.
func (w *writing) drain(most int) error {
	for len(w.queue) > most || w.queued > queueLimit(w.portal.session.config.Memory) {
		job := w.queue[0]
		w.queue, w.queued = w.queue[1:], w.queued-job.bytes
		for _, e := range <-job.done {
			o := table.Op{Kind: table.OpLoad, Table: w.table, Version: w.write.Target.Schema.Version, Columns: w.ids, Encoded: e}
			if w.sends() && w.into.bytes > 0 && w.into.bytes+o.Bytes() > table.EntryBytes {
				if err := w.ship(); err != nil {
					return err
				}
			}
			w.into.add(o)
		}
	}
	return nil
}

// delete deletes rows by their numbers.
func (w *writing) delete(rows []int64) {
	id := w.write.Target.Schema.Table
	first := int64(w.next(id))
	o := table.Op{Kind: table.OpDelete, Table: w.table, Version: w.write.Target.Schema.Version, Rows: roaring.New(), Own: roaring.New()}
	for _, row := range rows {
		if row < first {
			o.Rows.Add(uint32(row))
		} else {
			o.Own.Add(uint32(row - first))
		}
	}
	w.target().add(o)
}

func (w *writing) insert(b *vec.Batch) error {
	of := b // with what is behind the columns, for RETURNING or errors
	b = &vec.Batch{Rows: b.Rows, Cols: slices.Clone(b.Cols[:len(w.write.Columns)])}
	for i := range w.write.Columns {
		c := &w.write.Columns[i]
		if c.NotNull && b.Cols[i].HasNulls() {
			for row := range b.Rows {
				if b.Cols[i].IsNull(row) {
					return w.violated(pgerr.New(pgerr.NotNullViolation, `null value in column "%s" of relation "%s" violates not-null constraint`, c.Name, w.write.Target.Name), c.Name, of, row)
				}
			}
		}
		if b.Cols[i].Type != c.Type {
			v := *b.Cols[i]
			v.Type = c.Type
			b.Cols[i] = &v
		}
	}
	for _, c := range w.write.Checks {
		v, err := c.Cond.Eval(w.scope.Expr, b)
		if err != nil {
			return w.failed(c.Cond, of, err)
		}
		for row := range b.Rows {
			if at, i := v.At(row); !v.IsNull(row) && !at.Bools[i] {
				e := pgerr.New(pgerr.CheckViolation, `new row for relation "%s" violates check constraint "%s"`, w.write.Target.Name, c.Name)
				e.Constraint = c.Name
				return w.violated(e, "", of, row)
			}
		}
	}
	if w.events != nil {
		return w.events.add(w.write.Plan.Schema(), b)
	}
	if w.encodes {
		return w.encode(b)
	}
	if err := w.drain(0); err != nil { // rows keep their order
		return err
	}
	w.target().add(table.Op{Kind: table.OpInsert, Table: w.table, Version: w.write.Target.Schema.Version, Columns: w.ids, Batch: b})
	return nil
}

// failed is the error of a condition that fails for a row of a batch, and names its line.
func (w *writing) failed(cond expr.Expr, b *vec.Batch, err error) error {
	if w.write.From == "" {
		return err
	}
	for row := range b.Rows {
		one := &vec.Batch{Rows: 1}
		for _, c := range b.Cols[:len(w.write.Columns)] {
			one.Cols = append(one.Cols, c.Take([]uint32{uint32(row)}))
		}
		if _, err := cond.Eval(w.scope.Expr, one); err != nil {
			e := *pgerr.From(err) // it may be shared
			return w.where(&e, b, row)
		}
	}
	return err
}

// where names the line of a row in an error.
func (w *writing) where(e *pgerr.Error, b *vec.Batch, row int) *pgerr.Error {
	if w.write.From == "" {
		return e
	}
	lines, row := b.Cols[len(w.write.Columns)].At(row)
	return e.WithWhere("%s, line %d", w.write.From, lines.I64[row])
}

// violated is the error of a row that must not be.
func (w *writing) violated(e *pgerr.Error, column string, b *vec.Batch, row int) error {
	w.where(e.About(w.write.Target.Namespace(), w.write.Target.Name, column), b, row)
	b = &vec.Batch{Rows: b.Rows, Cols: b.Cols[:len(w.write.Columns)]}
	if shown := w.write.Shown; shown != nil {
		if len(shown) == 0 {
			return e
		}
		part := &vec.Batch{Rows: b.Rows}
		var names []string
		for _, i := range shown {
			part.Cols, names = append(part.Cols, b.Cols[i]), append(names, w.write.Columns[i].Name)
		}
		return e.WithDetail("Failing row contains (%s) = %s.", strings.Join(names, ", "), rowText(w.scope.Expr, part, row))
	}
	return e.WithDetail("Failing row contains %s.", rowText(w.scope.Expr, b, row))
}

// shownValue is how many bytes of a value an error shows.
const shownValue = 64

// rowText is a row in an error.
func rowText(ctx *expr.Context, b *vec.Batch, row int) string {
	var words []string
	for _, c := range b.Cols {
		if c.IsNull(row) {
			words = append(words, "null")
			continue
		}
		text := expr.AppendText(nil, c, row, ctx)
		if len(text) > shownValue {
			text = append(text[:shownValue:shownValue], "..."...)
		}
		words = append(words, strings.ToValidUTF8(string(text), ""))
	}
	return "(" + strings.Join(words, ", ") + ")"
}

// ingest stores the events of the statement, and gives how many there were that were not
// stored before.
func (w *writing) ingest() (n int, err error) {
	s := w.portal.session
	for _, b := range w.events.rows.Finish(w.events.now) {
		r, err := s.config.Engine.Ingest(w.portal.ctx, s.config.Project, b)
		if n += r.Stored; err != nil {
			return n, clusterError(err)
		}
		s.wrote(r.Index)
	}
	return n, nil
}

func (w *writing) returning(b *vec.Batch) error {
	out := &vec.Batch{Rows: b.Rows}
	for _, e := range w.write.Returning {
		v, err := e.Eval(w.scope.Expr, b)
		if err != nil {
			return err
		}
		out.Cols = append(out.Cols, v)
	}
	return w.answer(out)
}

// answer keeps rows for the client, who gets them when all is written.
func (w *writing) answer(b *vec.Batch) error {
	for _, c := range b.Cols {
		w.held += c.Bytes()
	}
	if w.held > maxWriteBytes {
		return tooMuch("an answer of a statement that writes")
	}
	w.returned = append(w.returned, b)
	return nil
}

// finish keeps what the statement wrote until its block commits, or commits it.
func (w *writing) finish() (err error) {
	s := w.portal.session
	w.portal.sequences.finish(w.into, &w.temp)
	if len(w.temp.ops) > 0 {
		temp, _, err := s.temporaries().Apply(&table.WriteSet{Ops: w.temp.ops}, 0, 0)
		if err != nil {
			return err
		}
		defer func() {
			if err == nil {
				s.temp = temp.Trimmed()
			}
		}()
	}
	switch {
	case w.events != nil:
		return nil
	case s.keeps():
		if s.writes = w.into; len(w.into.ops)+len(w.into.cohorts)+len(w.into.marks) == 0 {
			s.writes = nil
		}
		return nil
	case w.sent:
		return s.write(w.portal.ctx, &storage.Commit{Tables: &table.WriteSet{Stage: table.Last, Txn: w.txn, Ops: w.into.ops}})
	}
	return s.send(w.portal.ctx, w.into)
}
