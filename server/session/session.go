package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/pgcatalog"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/engine/role"
	"github.com/prickledb/prickle/sql"
	"github.com/prickledb/prickle/sql/ast"
	"github.com/prickledb/prickle/sql/parse"
	"github.com/prickledb/prickle/storage"
	"github.com/prickledb/prickle/storage/memory"
	"github.com/prickledb/prickle/storage/table"
)

// The states of a session, as ReadyForQuery sends them.
const (
	Idle    = 'I'
	InBlock = 'T'
	Failed  = 'E'
)

// Limits on what one session may keep: a client that forgets to close its statements
// meets an error before the server meets its memory's end.
const (
	maxStatements = 10_000
	maxPortals    = 1_000
	maxParams     = 65_535
	maxNotices    = 100
)

// ErrShutdown is what statements end with when the server stops.
var ErrShutdown = &pgerr.Error{Severity: "FATAL", Code: pgerr.AdminShutdown,
	Message: "terminating connection due to administrator command"}

// ErrCancel is what a statement ends with when its client cancels it.
var ErrCancel = pgerr.New(pgerr.QueryCanceled, "canceling statement due to user request")

// ErrGone is what a statement ends with when its client has vanished.
var ErrGone = pgerr.New(pgerr.ConnectionFailure, "connection to client lost")

// userWeightSetting is how much a user's queries count beside those of others.
const userWeightSetting = "prickle.user_weight"

var errTimeout = pgerr.New(pgerr.QueryCanceled, "canceling statement due to statement timeout").
	WithHint("Narrow the time range, or raise statement_timeout.")

// Counters are what all sessions of a server did.
type Counters struct {
	Sessions   atomic.Int64 // open now
	Running    atomic.Int64 // statements running now
	Statements atomic.Int64 // statements run, failed ones included
	Errors     atomic.Int64
	Canceled   atomic.Int64
	Rows       atomic.Int64 // rows given to clients
	RowsRead   atomic.Int64
	BytesRead  atomic.Int64
	Nanos      atomic.Int64 // time spent running
}

// Config is what a session is made of.
type Config struct {
	Engine   Engine
	Counters *Counters // or nil
	Project  uint32
	Database string
	User     string
	// Start is what settings begin with: what the client asked for, and the project's
	// TimeZone.
	Start  map[string]string
	Now    func() time.Time // nil: the clock
	Logger *slog.Logger     // nil: the default one
	// Limit ends statements that run longer; 0 means none. statement_timeout may only
	// shorten it.
	Limit time.Duration
	// Log is where reads wait for what was written; nil: they read what there is.
	Log Log
	// Memory is what sessions hold is counted in; nil: there are no bounds.
	Memory *memory.Pool
	// Cuts keeps the states that answers were read from, if Keep, and gives them again.
	Cuts *Cuts
	Keep bool
	// Queries lists what runs; nil: a list of its own.
	Queries *Queries
	// Plans keeps what queries mean; nil: each is compiled whenever it runs.
	Plans *Plans
	// QueryName is what the client calls its questions, so that it can end them; empty: nothing.
	QueryName string
	// Sessions lists the session; nil: a list of its own.
	Sessions *Sessions
	Remote   net.Addr // of the client; nil if that is not known
	Local    net.Addr // the server's end of the connection; nil if that is not known
	TLS      bool
	// Cohorts are the project's; nil: there are none.
	Cohorts Cohorts
	// Databases are all projects; nil: none can be made.
	Databases Databases
}

// Session is one client's state.
type Session struct {
	config   Config
	ctx      context.Context // of the connection: paused portals live as long as it
	close    context.CancelCauseFunc
	closed   chan struct{} // closed at the end of Close
	pid      uint32
	began    time.Time
	Settings *sql.Settings
	known    bool // the user is a role with a record
	notices  []*pgerr.Error
	zone     string // that location was found for
	location *time.Location
	random   expr.Random

	statements map[string]*Prepared
	portals    map[string]*Portal
	opened     int // portals so far that have a name
	// cursorBytes is what the rows take that cursors keep, and cursorLimit what they may.
	cursorBytes, cursorLimit int64
	holding                  holding

	// The transaction. block is set between BEGIN and its end; started as soon as a
	// statement runs, so also for the implicit transaction of a statement, of a Query
	// with several, or of everything up to Sync.
	block, failed, started bool
	together, pipeline     bool      // statements outside a block commit with Sync, not each
	queried                bool      // a statement of the transaction has taken a snapshot
	now                    time.Time // when it began
	pin                    Pin       // REPEATABLE READ: the snapshot of all its statements
	writes                 *writes   // what the block has written; nil for nothing

	temp   *table.Tables // the session's own tables; nil before the first
	before *table.Tables // those when the transaction began

	cut Cut // that the last query read

	objects *pgcatalog.Reader // what the last statement saw; nil before the first

	left       map[sequenceKey]numbers // of sequences, guarded by mu
	last       map[string]int64        // likewise: what was taken last, by name
	configured []configured            // by set_config, until the statement is at its end

	mu        sync.Mutex              // of what follows, and of configured
	running   context.CancelCauseFunc // ends the statement that runs now; nil when none does
	attending bool                    // between Attend and Rest
	cancelled error                   // for the next statement to end with, while attending
	activity  activity
}

// ServerVersion is what clients choose their catalog queries by, and who we are.
const ServerVersion = "15.0 (prickle 0.1.0)"

// New makes a session. ctx is the connection: when it ends, so does what the session
// runs. It fails if a setting in config.Start is unknown or has a wrong value, or if the role has
// as many sessions as it may.
func New(ctx context.Context, config Config) (*Session, error) {
	known := config.Engine.Catalog(config.Project, config.Database, nil).Roles.Find(config.User)
	if known != nil && !known.Superuser {
		config.Start = maps.Clone(config.Start)
		if config.Start == nil {
			config.Start = map[string]string{}
		}
		config.Start["is_superuser"] = "off"
	}
	settings, err := sql.NewSettings(config.Start)
	if err != nil {
		return nil, err
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	if config.Logger == nil {
		config.Logger = slog.Default()
	}
	if config.Counters == nil {
		config.Counters = &Counters{}
	}
	if config.Queries == nil {
		config.Queries = &Queries{}
	}
	if config.Sessions == nil {
		config.Sessions = &Sessions{}
	}
	s := &Session{config: config, Settings: settings, statements: map[string]*Prepared{}, portals: map[string]*Portal{}, cursorLimit: maxWriteBytes,
		known: known != nil, closed: make(chan struct{}), began: time.Now(), left: map[sequenceKey]numbers{}, last: map[string]int64{}}
	if err := s.setRole(s.value("role")); err != nil {
		return nil, err
	}
	if err := s.mayBecome(s.value("session_authorization")); err != nil {
		return nil, err
	}
	s.ctx, s.close = context.WithCancelCause(ctx)
	s.pause(s.began)
	most := role.Unlimited
	if known != nil && !known.Superuser {
		most = known.Connections
	}
	if !config.Sessions.add(s, most) {
		s.close(ErrGone)
		return nil, pgerr.New(pgerr.TooManyConnections, "too many connections for role %q", config.User)
	}
	config.Counters.Sessions.Add(1)
	return s, nil
}

// Close ends the session and everything that it still reads.
func (s *Session) Close() {
	s.close(ErrGone)
	s.endTransaction(false)
	for name := range s.portals { // those that transactions have left behind
		s.ClosePortal(name)
	}
	s.temp = nil
	s.settleMemory()
	s.config.Sessions.remove(s)
	s.config.Counters.Sessions.Add(-1)
	close(s.closed)
}

// State is Idle, InBlock or Failed.
func (s *Session) State() byte {
	switch {
	case s.failed:
		return Failed
	case s.block:
		return InBlock
	}
	return Idle
}

// Cancel ends the statement that runs now, with cause, or while the session attends to a
// message, the one that runs next; else it does nothing. It may be called from any
// goroutine.
func (s *Session) Cancel(cause error) {
	s.mu.Lock()
	cancel := s.running
	if cancel == nil && s.attending {
		s.cancelled = cause
	}
	s.mu.Unlock()
	if cancel != nil {
		cancel(cause)
	}
}

// Attend says that a message of the client is being worked on. Its statement is what the
// client means by a cancel from now on, although it may have yet to be parsed, or may be
// between two others of one text.
func (s *Session) Attend() {
	s.mu.Lock()
	s.attending = true
	s.mu.Unlock()
}

// Rest says that the client's answer is ready, or that nothing of it is left to read: a cancel
// that met no statement comes too late.
func (s *Session) Rest() {
	now := time.Now()
	s.mu.Lock()
	if s.activity.state == "active" {
		s.pause(now)
	}
	s.attending, s.cancelled = false, nil
	s.mu.Unlock()
}

// Notices gives the notices since the last call.
func (s *Session) Notices() []*pgerr.Error {
	n := s.notices
	s.notices = nil
	return n
}

func (s *Session) notice(n *pgerr.Error) {
	if n.Severity == "ERROR" {
		n.Severity = "NOTICE"
	}
	if len(s.notices) < maxNotices {
		s.notices = append(s.notices, n)
	}
}

// Parse splits a text into its statements.
func (s *Session) Parse(text string) ([]parse.Statement, error) {
	if stmts, ok := s.config.Plans.parsed(text); ok {
		return stmts, nil
	}
	result, err := parse.Text(text)
	if err != nil {
		return nil, err
	}
	for _, n := range result.Notices {
		s.notice(n)
	}
	if len(result.Notices) == 0 {
		s.config.Plans.keepParsed(text, result.Statements)
	}
	return result.Statements, nil
}

// admit refuses everything but the end of a failed transaction, and begins a transaction
// if none is there.
func (s *Session) admit(stmt ast.Stmt) error {
	if s.failed {
		switch stmt.(type) {
		case *ast.Commit, *ast.Rollback, *ast.RollbackTo:
		default:
			return pgerr.New(pgerr.InFailedTransaction,
				"current transaction is aborted, commands ignored until end of transaction block")
		}
	}
	s.begin()
	return nil
}

func (s *Session) begin() {
	if s.started {
		return
	}
	s.started, s.before = true, s.temp
	s.now = s.config.Now()
	readOnly := s.Settings.On("default_transaction_read_only")
	s.Settings.Begin(ast.TransactionModes{Isolation: s.value("default_transaction_isolation"), ReadOnly: &readOnly})
}

// Fail notes that a statement failed: a block is then aborted, and an implicit
// transaction undone.
func (s *Session) Fail(err error) {
	s.config.Counters.Errors.Add(1)
	s.mu.Lock()
	s.configured = nil
	s.mu.Unlock()
	if pgerr.Code(err) == pgerr.QueryCanceled {
		s.config.Counters.Canceled.Add(1)
	}
	if s.block {
		s.failed = true
		s.closePortals(s.writes.openedBefore())
		return
	}
	s.endTransaction(false)
}

// Together has the statements up to Sync write as one transaction, as those of one Query
// message do, unless they say otherwise.
func (s *Session) Together() { s.together = true }

// Pipeline is Together for the messages of the extended protocol that come before one Sync.
// What cannot be part of a transaction, as events, is written at once all the same: clients
// send long lists of such statements in this way.
func (s *Session) Pipeline() { s.pipeline = true }

// keeps says whether what a statement writes waits for the end of a transaction.
func (s *Session) keeps() bool { return s.gathers() || s.pipeline }

// gathers says whether the client wants several statements to be one.
func (s *Session) gathers() bool { return s.block || s.together }

// Sync ends the implicit transaction, if there is one. An error says that what its
// statements wrote is not there.
func (s *Session) Sync() error {
	if s.block {
		s.together, s.pipeline = false, false
		return nil
	}
	err := s.syncCursors()
	if err == nil && s.writes != nil {
		err = conflict(s.send(s.ctx, s.writes))
	}
	s.endTransaction(err == nil)
	return err
}

// endTransaction closes what lives as long as the transaction, and keeps its settings or
// undoes them.
func (s *Session) endTransaction(commit bool) {
	s.closePortals(0)
	if s.pin != nil {
		s.pin.Release()
		s.pin = nil
	}
	if s.started {
		if commit {
			s.Settings.Commit()
			if s.temp != nil {
				s.temp = s.temp.Committed()
			}
		} else {
			s.Settings.Rollback()
			s.temp = s.before
		}
	}
	s.block, s.failed, s.started, s.queried, s.together, s.pipeline, s.writes = false, false, false, false, false, false, nil
	s.settleMemory()
}

// closePortals closes those that were opened after so many, and that no transaction has left
// behind.
func (s *Session) closePortals(after int) {
	for name, p := range s.portals {
		if p.number > after && (p.cursor == nil || !p.cursor.held) {
			s.ClosePortal(name)
		}
	}
}

// syncCursors is holdCursors outside a statement.
func (s *Session) syncCursors() error {
	for _, p := range s.portals {
		if p.cursor != nil {
			ctx, cancel := context.WithCancelCause(s.ctx)
			defer cancel(nil)
			defer s.enter("COMMIT", cancel)()
			return s.holdCursors(ctx)
		}
	}
	return nil
}

func (s *Session) context() *expr.Context {
	now := s.now
	if !s.started {
		now = s.config.Now()
	}
	ctx := &expr.Context{
		Now: now.UnixMicro(), Statement: s.config.Now().UnixMicro(), Location: s.Location(), Style: s.Settings.Style(),
		Database: s.config.Database, User: s.role(), SessionUser: s.config.User, PID: int64(s.pid), Setting: s.setting,
		SetConfig: s.setConfig, Random: &s.random, Client: addrPort(s.config.Remote), Server: addrPort(s.config.Local),
	}
	if s.objects != nil {
		ctx.Objects = s.objects
	}
	return ctx
}

// addrPort is an end of a connection; the zero value for what has no address.
func addrPort(a net.Addr) netip.AddrPort {
	if tcp, ok := a.(*net.TCPAddr); ok {
		return tcp.AddrPort()
	}
	return netip.AddrPort{}
}

// Location is the session's time zone. Finding one by name reads a file, so it is kept.
func (s *Session) Location() *time.Location {
	if name := s.value("TimeZone"); s.location == nil || s.zone != name {
		s.zone, s.location = name, s.Settings.Location()
	}
	return s.location
}

// value is a setting that is certain to exist.
func (s *Session) value(name string) string {
	v, _ := s.Settings.Get(name)
	return v
}

// Context is for reading and printing values as the session's settings want them.
func (s *Session) Context() *expr.Context { return s.context() }

// view is what a statement sees: the read point, and on top of it what its transaction has
// written.
type view struct {
	pin   Pin // as the engine made it
	shown Pin // pin, or one over it
	own   Pin // what the statement must release; nil if that is not its task
}

func (v *view) release() {
	if v.own != nil {
		v.own.Release()
		v.own = nil
	}
}

// view gives what a statement is to see.
func (s *Session) view(ctx context.Context) (*view, error) {
	pin, own, err := s.snapshot(ctx)
	if err != nil {
		return nil, err
	}
	v := &view{pin: inside(pin), shown: inside(pin)}
	if own {
		v.own = pin
	}
	if v.shown, err = s.overlay(v.pin); err != nil {
		v.release()
		return nil, conflict(err)
	}
	return v, nil
}

// overlay is a read point with what the transaction has written on top of it.
func (s *Session) overlay(pin Pin) (Pin, error) {
	c, w := &storage.Commit{}, s.writes
	if w == nil {
		w = &writes{}
	}
	if len(w.ops)+len(w.cohorts) == 0 && s.temp == nil {
		return pin, nil
	}
	if len(w.cohorts) > 0 {
		var err error
		if c, _, err = s.config.Cohorts.Plan(pin, w.cohorts); err != nil {
			return nil, err
		}
	}
	c.Tables = &table.WriteSet{Ops: w.ops}
	return s.config.Engine.Overlay(pin, c, s.temp)
}

// snapshot gives the read point of a statement, and whether the statement must release it.
func (s *Session) snapshot(ctx context.Context) (pin Pin, own bool, err error) {
	s.queried = true
	isolation := s.value("transaction_isolation")
	if s.block && (isolation == "repeatable read" || isolation == "serializable") {
		if s.pin == nil {
			if s.pin, err = s.take(ctx); err != nil {
				s.pin = nil
				return nil, false, err
			}
		}
		return s.pin, false, nil
	}
	pin, err = s.take(ctx)
	return pin, true, err
}

// Hold begins a transaction whose statements all read one state, and gives that state. It
// ends with the transaction.
func (s *Session) Hold(ctx context.Context) (Pin, error) {
	stmts, err := s.Parse("begin isolation level repeatable read")
	if err != nil {
		return nil, err
	}
	p := s.Open(stmts[0].Stmt, "begin")
	defer p.Close()
	if err := p.Run(func() error { return nil }); err != nil {
		return nil, err
	}
	pin, _, err := s.snapshot(ctx)
	if err != nil {
		return nil, err
	}
	return inside(pin), nil
}

// enter registers the cancel function of a statement that begins to run, and arms its
// timeout. The caller calls what it returns when the statement pauses or ends.
func (s *Session) enter(text string, cancel context.CancelCauseFunc) (leave func()) {
	limit := s.Settings.Duration("statement_timeout")
	if s.config.Limit > 0 && (limit == 0 || limit > s.config.Limit) {
		limit = s.config.Limit
	}
	var timer *time.Timer
	if limit > 0 {
		timer = time.AfterFunc(limit, func() { cancel(errTimeout) })
	}
	began := time.Now()
	s.mu.Lock()
	s.running = cancel
	early := s.cancelled
	s.cancelled = nil
	s.act(text, began)
	s.mu.Unlock()
	if early != nil {
		cancel(early)
	}
	s.config.Counters.Running.Add(1)
	return func() {
		s.mu.Lock()
		s.running = nil
		s.mu.Unlock()
		if timer != nil {
			timer.Stop()
		}
		s.config.Counters.Running.Add(-1)
		s.config.Counters.Nanos.Add(int64(time.Since(began)))
	}
}

// explain words an error that a statement ended with: when its context ended, the reason
// for that is the reason for everything after it.
func explain(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if cause := context.Cause(ctx); cause != nil {
		var client *pgerr.Error
		if errors.As(cause, &client) {
			return client
		}
		if errors.Is(cause, context.Canceled) {
			return ErrGone
		}
		return fmt.Errorf("statement ended: %w", cause)
	}
	return err
}
