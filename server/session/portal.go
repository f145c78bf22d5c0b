package session

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/prickledb/prickle/engine"
	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/sql"
	"github.com/prickledb/prickle/sql/ast"
	"github.com/prickledb/prickle/sql/bind"
	"github.com/prickledb/prickle/storage/table"
	"github.com/prickledb/prickle/storage/vec"
)

// Portal is one execution of a statement: a stream that gives rows as far as asked and
// waits where it was left. Nothing is buffered but the batch at which it stands.
type Portal struct {
	Name   string
	Schema vec.Schema // nil when the statement gives no rows
	// Sources are the columns of tables that those of Schema show; nil for none.
	Sources []bind.Source
	// Shapes are the columns of the rows among the values, see bind.Result.
	Shapes []vec.Schema
	// Formats are the result formats of the PostgreSQL protocol, kept for it.
	Formats []int16
	// Input begins to read the rows that the client sends for a COPY; nil: it cannot send any.
	Input func(*bind.Copy) (io.ReadCloser, error)
	// Copy is what the client gets instead of rows; nil for a statement that is no COPY TO
	// STDOUT. It is known once the portal runs.
	Copy *bind.Copy

	session  *Session
	prepared *Prepared
	stmt     ast.Stmt
	text     string
	params   []*vec.Vector

	ctx      context.Context // ends when the portal is closed or cancelled
	cancel   context.CancelCauseFunc
	started  bool
	closed   bool
	rows     Rows
	pin      Pin // to release; nil when it is the transaction's
	batch    *vec.Batch
	pos      int // next live row of batch
	done     bool
	tag      string // of a command
	word     string // of a query: SELECT or EXPLAIN
	progress *engine.Progress
	consumed bool  // what the client sent is read, and cannot be read again
	counted  bool  // progress is in the counters
	number   int   // the n-th portal of the session, from 1 on; 0 if it has no name
	moved    int64 // rows, of MOVE

	cursor *cursor // of DECLARE; nil for other portals
	// again runs the query of a cursor anew, in the state that it reads; nil if it cannot be.
	again  func() (Rows, error)
	behind bool // the cursor is behind its last row

	sequences *sequences // nil for a command
	query     *query     // in the list of what runs; nil for a command
}

// Bind makes a portal of a prepared statement and its parameter values. The portal ""
// replaces the one before it.
func (s *Session) Bind(name string, p *Prepared, params []*vec.Vector) (*Portal, error) {
	if p.Stmt != nil {
		if err := s.admit(p.Stmt); err != nil {
			return nil, err
		}
	}
	if len(params) != len(p.Params) {
		return nil, pgerr.New(pgerr.ProtocolViolation,
			"bind message supplies %d parameters, but prepared statement %q requires %d", len(params), p.Name, len(p.Params))
	}
	if old := s.portals[name]; old != nil {
		if name != "" {
			return nil, pgerr.New(pgerr.DuplicateCursor, "cursor %q already exists", name)
		}
		old.Close()
	}
	if len(s.portals) >= maxPortals {
		return nil, tooManyPortals()
	}
	portal := s.portal(p, params)
	portal.Name = name
	s.add(portal)
	return portal, nil
}

func tooManyPortals() error {
	return pgerr.New(pgerr.ConfigurationLimit, "more than %d open portals", maxPortals).WithHint("Close the ones that are no longer needed.")
}

// add makes a portal known by its name.
func (s *Session) add(p *Portal) {
	s.opened++
	p.number = s.opened
	s.portals[p.Name] = p
}

func (s *Session) portal(p *Prepared, params []*vec.Vector) *Portal {
	portal := &Portal{session: s, prepared: p, Schema: p.Schema, Sources: p.Sources, stmt: p.Stmt, text: p.Text, params: params}
	portal.ctx, portal.cancel = context.WithCancelCause(s.ctx)
	return portal
}

// Open makes an unnamed portal of one statement of a text, outside the reach of Bind. The
// caller closes it. Its Schema is known once it runs.
func (s *Session) Open(stmt ast.Stmt, text string) *Portal {
	return s.portal(&Prepared{Text: text, Stmt: stmt}, nil)
}

// Portal finds a portal.
func (s *Session) Portal(name string) (*Portal, error) {
	if p := s.portals[name]; p != nil {
		return p, nil
	}
	return nil, pgerr.New(pgerr.UndefinedCursor, "portal %q does not exist", name)
}

// ClosePortal closes a portal; an unknown name is fine.
func (s *Session) ClosePortal(name string) {
	if p := s.portals[name]; p != nil {
		p.Close()
		delete(s.portals, name)
	}
}

// Copies says whether the portal's statement is COPY: what follows it may be its rows.
func (p *Portal) Copies() bool {
	_, ok := p.stmt.(*ast.Copy)
	return ok
}

// Empty says whether the portal's statement is the empty text.
func (p *Portal) Empty() bool { return p.stmt == nil }

// Run calls body while the portal counts as the running statement of the session: what
// body does can be cancelled and runs under the timeout. Errors come out in the words
// that the client is to see.
func (p *Portal) Run(body func() error) (err error) {
	leave := p.session.enter(p.text, p.cancel)
	defer leave()
	defer func() {
		// A mistake of ours in one statement must not end the others.
		if r := recover(); r != nil {
			p.session.config.Logger.Error("statement panicked", "panic", r, "statement", shown(p.text), "stack", string(debug.Stack()))
			err = fmt.Errorf("internal error: %v", r)
		}
		err = explain(p.ctx, err)
		if p.query != nil {
			p.query.leave()
			if err != nil || p.done {
				p.query.end(err)
			}
		}
	}()
	if p.closed {
		return pgerr.New(pgerr.UndefinedCursor, "portal %q does not exist", p.Name)
	}
	if err := context.Cause(p.ctx); err != nil { // cancelled before it began
		return err
	}
	if !p.started {
		if err := p.session.admit(p.stmt); err != nil {
			return err
		}
		if err := p.start(); err != nil {
			return err
		}
	} else if p.query != nil && !p.done {
		if _, err := p.query.enter(p.ctx, true); err != nil {
			return err
		}
	}
	return body()
}

// start carries out a command, or begins to run a query.
func (p *Portal) start() error {
	p.started = true
	p.prepared.runs++
	p.session.config.Counters.Statements.Add(1)
	return p.run(p.prepared, p.params)
}

// run carries out a statement. One that commits itself is tried again if others were
// faster to change what it read.
func (p *Portal) run(prepared *Prepared, params []*vec.Vector) error {
	for try := 1; ; try++ {
		err := p.attempt(prepared, params)
		var conflict *table.ConflictError
		if !errors.As(err, &conflict) {
			return err
		}
		if p.session.keeps() || try == maxTries || p.consumed {
			return pgerr.New(pgerr.SerializationFailure, "could not serialize access due to concurrent update").WithDetail("%s", conflict.Error())
		}
		if p.query != nil { // another try is another line of the list
			p.query.leave()
			p.query.end(err)
			p.query = nil
		}
	}
}

// maxTries is how often a statement is tried before its client is told of a conflict.
const maxTries = 8

// seesRows says whether a statement reads or writes tables.
func seesRows(stmt ast.Stmt) bool {
	switch stmt.(type) {
	case ast.Query, *ast.Shorthand, *ast.Explain, *ast.Insert, *ast.Update, *ast.Delete, *ast.CreateTable, *ast.CreateTableAs,
		*ast.CreateView, *ast.AlterTable, *ast.DropTable, *ast.CreateSchema, *ast.AlterSchema, *ast.CreateSequence, *ast.AlterSequence, *ast.DropSequence, *ast.DropSchema, *ast.ReassignOwned, *ast.Comment, *ast.Truncate, *ast.Copy, *ast.CreateCohort, *ast.RefreshCohort, *ast.RenameCohort, *ast.DropCohort,
		*ast.DeclareCursor, *ast.RoleStmt, *ast.DropRole, *ast.Grant, *ast.GrantRole, *ast.CreateDatabase, *ast.DropDatabase:
		return true
	}
	return false
}

func (p *Portal) attempt(prepared *Prepared, params []*vec.Vector) error {
	s := p.session
	ctx := s.context()
	ctx.Params = params
	ctx.Sleep = p.sleep
	ctx.End = func(pid int64, session bool, wait time.Duration) (bool, error) {
		return s.end(p.ctx, pid, session, wait)
	}
	if err := p.queue(prepared, ctx); err != nil {
		return err
	}
	var v *view
	if seesRows(prepared.Stmt) {
		var err error
		if v, err = s.view(p.ctx); err != nil {
			return err
		}
		defer func() { v.release() }()
	}
	within := s.compileContext(ctx, prepared.Params, v)
	if v != nil {
		p.sequences = &sequences{session: s, ctx: p.ctx, catalog: within.Catalog, base: s.config.Engine.Tables(v.pin)}
		ctx.NextValue, ctx.CurrentValue, ctx.SetValue = p.sequences.next, p.sequences.last, p.sequences.set
	}
	if v != nil {
		if err := s.checkRole(within.Catalog); err != nil {
			return err
		}
	}
	st, err := s.compile(within, prepared)
	if err != nil {
		return err
	}
	if st.Warning != nil {
		s.notice(st.Warning)
	}
	if x, ok := prepared.Stmt.(*ast.Explain); ok && st.Kind == sql.Command && st.Command.Kind == sql.ExecuteCommand {
		return p.explainExecute(x, st.Command)
	}
	if st.Kind == sql.ChangeRole { // not in the list of what runs: it may hold a password
		return p.changeRole(st, within.Catalog, ctx)
	}
	if st.Kind == sql.ChangeDatabase {
		return p.changeDatabase(st, within.Catalog.Roles)
	}
	if st.Kind == sql.Command {
		switch st.Command.Kind {
		case sql.ExecuteCommand:
			return p.execute(st.Command)
		case sql.DeclareCommand:
			if len(st.Params) > len(params) {
				return bind.NoParameter(prepared.Stmt, prepared.Text, len(params))
			}
			return p.declare(st, params, prepared.Params)
		case sql.FetchCommand:
			return p.fetch(st)
		}
		p.batch, p.tag, err = s.command(p.ctx, st, prepared.Text)
		p.Schema, p.done = st.Schema, p.batch == nil
		return err
	}
	if len(st.Params) > len(params) {
		return bind.NoParameter(prepared.Stmt, prepared.Text, len(params))
	}
	if prepared.Schema != nil && !same(prepared.Schema, st.Schema) {
		return pgerr.New(pgerr.FeatureNotSupported, "cached plan must not change result type")
	}
	p.Schema, p.Sources, p.Shapes, p.word = st.Schema, st.Sources, st.Shapes, st.Tag
	if p.query == nil {
		p.list(kindOf(st.Plan))
	}
	if st.Explain != nil && !st.Explain.Analyze {
		p.query.reads = false
	}
	scope := &Scope{Expr: ctx, Threads: s.Settings.Int("max_parallel_workers_per_gather"),
		Memory: s.Settings.Bytes("work_mem"), Progress: p.progress}
	if st.Copy != nil {
		p.copying(scope, st.Copy)
	}
	if p.query.reads {
		if err := p.query.allow(s.config.Engine.Cost(scope, st, v.shown)); err != nil {
			return err
		}
	}
	weight, err := p.query.enter(p.ctx, true)
	if err != nil {
		return err
	}
	scope.Payer = engine.Payer{Project: s.config.Project, ProjectWeight: weight,
		User: s.config.User, UserWeight: int64(s.Settings.Int(userWeightSetting))}
	switch st.Kind {
	case sql.Modify:
		return p.modify(scope, st, v)
	case sql.Change:
		return p.change(scope, st)
	case sql.ChangeCohort:
		return p.changeCohort(scope, st, v)
	}
	p.pin, v.own = v.own, nil
	shown := v.shown
	run := func() (Rows, error) { return s.config.Engine.Run(p.ctx, scope, st, shown) }
	if p.rows, err = run(); err != nil {
		return err
	}
	if c := p.cursor; c != nil && c.lean {
		p.again = run
	}
	if c := st.Copy; c != nil && c.File != "" {
		return p.copyToFile(c)
	}
	return nil
}

// queue waits for the place of a query that cannot have it at once, before it takes hold of the state
// that it reads: what waits, or is refused, has nothing sorted for it and keeps no file. Whether it
// needs a place is known since it was prepared, or found out by compiling it for the tables that there are now.
func (p *Portal) queue(prepared *Prepared, ctx *expr.Context) error {
	s := p.session
	if !isQuery(prepared.Stmt) {
		return nil
	}
	if busy := s.config.Queries.Busy; busy == nil || s.pin != nil || s.writes != nil || s.temp != nil || !busy(s.config.Project, s.config.User) {
		return nil
	}
	kind, reads := prepared.kind, prepared.reads
	if kind == "" { // nobody has asked for its columns
		st, err := s.compile(s.compileContext(ctx, prepared.Params, nil), prepared)
		if err != nil {
			return nil // its client is told when it is compiled for the state that it reads
		}
		kind, reads = kindOf(st.Plan)
	}
	if !reads {
		return nil
	}
	p.list(kind, reads)
	_, err := p.query.enter(p.ctx, false)
	return err
}

// list puts the query in the list of what runs.
func (p *Portal) list(kind string, reads bool) {
	p.progress = &engine.Progress{}
	p.query = p.session.config.Queries.begin(p.session, p.text, kind, reads, p.progress, p.cancel)
}

// sleep waits for so long, or until the statement is cancelled.
func (p *Portal) sleep(d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-p.ctx.Done():
		return context.Cause(p.ctx)
	}
}

// Take gives the next rows, at most limit of them if limit is not 0: the live rows lo to
// hi of a batch, which is valid until the next call. A nil batch is the end. It is called
// inside Run.
func (p *Portal) Take(limit int) (b *vec.Batch, lo, hi int, err error) {
	if p.cursor != nil { // a client that executes the portal of a cursor
		next := &fetchRows{cursor: p.cursor, left: math.MaxInt64}
		if limit > 0 {
			next.left = int64(limit)
		}
		if b, err = next.Next(p.ctx); b != nil {
			hi = b.Live()
		}
	} else {
		b, lo, hi, err = p.take(limit)
	}
	p.session.config.Counters.Rows.Add(int64(hi - lo))
	return b, lo, hi, err
}

// take is Take of the rows as they come.
func (p *Portal) take(limit int) (b *vec.Batch, lo, hi int, err error) {
	for p.batch == nil || p.pos >= p.batch.Live() {
		if p.done || p.rows == nil {
			p.done = true
			return nil, 0, 0, nil
		}
		// A cancelled operator may still have a batch; its client waits for the end.
		if err := context.Cause(p.ctx); err != nil {
			return nil, 0, 0, err
		}
		p.batch, err = p.rows.Next(p.ctx)
		if err != nil {
			return nil, 0, 0, err
		}
		p.pos = 0
		if p.batch == nil {
			p.finish()
			if err := p.sequences.end(); err != nil {
				return nil, 0, 0, err
			}
			return nil, 0, 0, p.session.configure()
		}
	}
	lo, hi = p.pos, p.batch.Live()
	if limit > 0 && hi-lo > limit {
		hi = lo + limit
	}
	p.pos = hi
	return p.batch, lo, hi, nil
}

// Tag is the CommandComplete tag after an execution that gave n rows.
func (p *Portal) Tag(n int) string {
	if p.tag != "" {
		return p.tag
	}
	switch p.word {
	case "SELECT", "COPY", "FETCH":
		return p.word + " " + strconv.Itoa(n)
	case "MOVE":
		return "MOVE " + strconv.FormatInt(p.moved, 10)
	}
	return p.word
}

// QueryID is the statement's number in the list of what runs; 0 for a command.
func (p *Portal) QueryID() uint64 {
	if p.query == nil {
		return 0
	}
	return p.query.about.ID
}

// Progress is what the portal has read so far, nil for a command.
func (p *Portal) Progress() *engine.Progress { return p.progress }

// finish gives back what the portal reads from.
func (p *Portal) finish() {
	p.done = true
	p.batch = nil
	if p.rows != nil {
		_ = p.rows.Close() // the rows that were wanted have arrived, or an error is on its way
		p.rows = nil
	}
	if p.pin != nil && p.again == nil {
		p.pin.Release()
		p.pin = nil
	}
	if p.progress != nil && !p.counted {
		p.counted = true
		p.session.config.Counters.RowsRead.Add(p.progress.Rows.Load())
		p.session.config.Counters.BytesRead.Add(p.progress.Bytes.Load())
	}
}

// rewind runs the query of a cursor again.
func (p *Portal) rewind() (err error) {
	if p.rows != nil {
		err = p.rows.Close()
		p.rows = nil
	}
	if err != nil {
		return err
	}
	p.batch, p.pos, p.done, p.behind = nil, 0, false, false
	p.rows, err = p.again()
	return err
}

// Close ends the portal, wherever it stands. It may be called again.
func (p *Portal) Close() {
	if p.closed {
		return
	}
	p.closed = true
	p.cancel(context.Canceled)
	p.again = nil
	p.finish()
	if p.cursor != nil {
		p.cursor.forget()
	}
	if p.query != nil {
		p.query.end(nil)
	}
}
