package pgwire

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/server/session"
)

// Sizes of one connection's buffers in bytes. Output beyond flushBytes is sent at once;
// a buffer beyond keepBytes is not kept for the next message.
const (
	inBytes    = 16 << 10
	flushBytes = 64 << 10
	keepBytes  = 256 << 10
)

// lingerTime is how long a client that is sent away may take to stop sending.
const lingerTime = 2 * time.Second

// watchAfter is how long a statement runs before its client is watched: most end sooner,
// and cost nothing then.
const watchAfter = 100 * time.Millisecond

// conn is one client.
type conn struct {
	server  *Server
	nc      net.Conn // a *SecureConn inside TLS
	in      *bufio.Reader
	body    []byte // of the message being read
	out     []byte // answers not yet sent
	outErr  error  // the connection's end
	session atomic.Pointer[session.Session]
	s       *session.Session // the same, for the connection's own goroutine

	key     [4]byte // for a cancel request
	drained atomic.Bool
	ended   atomic.Bool // somebody has ended the session
	waking  sync.Mutex  // held while nc is replaced, which others wake the connection through

	copying  *copyIn           // while the client sends rows
	unwatch  func()            // gives the input back to who runs a statement
	skip     bool              // after an error in the extended protocol, until Sync
	reported map[string]string // ParameterStatus as last sent
}

func newConn(s *Server, nc net.Conn) *conn {
	c := &conn{server: s, nc: nc, in: bufio.NewReaderSize(nc, inBytes)}
	rand.Read(c.key[:]) //nolint:errcheck // it never fails
	return c
}

// attach goes on over another connection: the same one, encrypted.
func (c *conn) attach(nc net.Conn) {
	c.waking.Lock()
	c.nc = nc
	c.waking.Unlock()
	c.in.Reset(nc)
}

// drain wakes the connection if it waits for its client, to be closed as soon as nothing
// runs.
func (c *conn) drain() {
	c.drained.Store(true)
	c.wake()
}

// end wakes it to be closed at once.
func (c *conn) end() {
	c.ended.Store(true)
	c.wake()
}

func (c *conn) wake() {
	c.waking.Lock()
	defer c.waking.Unlock()
	c.nc.SetReadDeadline(time.Unix(1, 0)) //nolint:errcheck // a closed connection needs no waking
}

func (c *conn) refuse(err error) {
	c.error(err, "FATAL")
	c.flush()
}

func (c *conn) serve(ctx context.Context) {
	defer func() {
		if r := recover(); r != nil {
			c.server.Logger.Error("connection panicked", "remote", c.nc.RemoteAddr(), "panic", r, "stack", string(debug.Stack()))
		}
	}()
	c.nc.SetDeadline(time.Now().Add(startupTimeout)) //nolint:errcheck // the reads that follow will tell
	s, err := c.start(ctx)
	if err != nil {
		var client *pgerr.Error
		if errors.As(err, &client) {
			c.refuse(client)
		}
		return
	}
	defer s.Close()
	defer s.AfterEnd(c.end)()
	c.nc.SetDeadline(time.Time{}) //nolint:errcheck // the reads that follow will tell
	if err := c.loop(); err != nil {
		var client *pgerr.Error
		if errors.As(err, &client) {
			c.refuse(client)
			c.linger()
		}
	}
}

// linger reads what the client still sends, for a while: closing with input unread would
// throw away the last words to it.
func (c *conn) linger() {
	t, ok := c.nc.(interface{ CloseWrite() error })
	if !ok || c.drained.Load() || c.ended.Load() || t.CloseWrite() != nil {
		return
	}
	c.nc.SetReadDeadline(time.Now().Add(lingerTime)) //nolint:errcheck // the read tells
	_, _ = io.Copy(io.Discard, c.in)                 // it ends with the client or the deadline
}

// start does everything up to the first ReadyForQuery.
func (c *conn) start(ctx context.Context) (*session.Session, error) {
	r, err := c.greet(ctx)
	if err != nil {
		return nil, err
	}
	if c.server.full() {
		return nil, fatal(pgerr.TooManyConnections, "sorry, too many clients already")
	}
	if r.minor > 0 || len(r.unknown) > 0 {
		c.send(&pgproto3.NegotiateProtocolVersion{NewestMinorProtocol: 3 << 16, UnrecognizedOptions: r.unknown})
	}
	l := Login{User: r.user, Database: r.database, Settings: r.settings, Remote: c.nc.RemoteAddr(), Local: c.nc.LocalAddr()}
	if tls := c.secure(); tls != nil {
		l.TLS, l.Certified = true, tls.User()
	}
	proof := Proof{Trusted: true}
	if c.server.Auth != nil {
		if proof, err = c.server.Auth(ctx, l); err != nil {
			return nil, err
		}
	}
	if err := c.authenticate(l.User, proof); err != nil {
		return nil, err
	}
	s, err := c.server.Open(ctx, l)
	if err != nil {
		return nil, err
	}
	c.s = s
	c.session.Store(s)
	c.reported = map[string]string{}
	c.report()
	c.send(&pgproto3.BackendKeyData{ProcessID: s.PID(), SecretKey: c.key[:]})
	c.notices()
	c.ready()
	return s, c.flush()
}

// loop answers messages until the client goes, or is sent away.
func (c *conn) loop() error {
	limit := c.server.MaxMessage
	if limit == 0 {
		limit = DefaultMaxMessage
	}
	for {
		if c.in.Buffered() == 0 {
			// Before the answer is sent: who has it sees a session at rest, and cancels what it
			// asks next.
			c.s.Rest()
			if err := c.flush(); err != nil {
				return err
			}
		}
		timeout := c.idleTimeout()
		if timeout > 0 {
			c.nc.SetReadDeadline(time.Now().Add(timeout)) //nolint:errcheck // the read tells
		}
		if c.over() {
			return session.ErrShutdown
		}
		if c.body == nil || cap(c.body) > keepBytes {
			c.body = make([]byte, 0, 1024)
		}
		kind, body, err := readMessage(c.in, c.body, limit)
		c.body = body
		if err != nil {
			if (c.drained.Load() || c.ended.Load()) && errors.Is(err, os.ErrDeadlineExceeded) {
				return session.ErrShutdown
			}
			if timeout > 0 && errors.Is(err, os.ErrDeadlineExceeded) {
				return fatal("25P03", "terminating connection due to idle-in-transaction timeout")
			}
			return err
		}
		if timeout > 0 {
			c.nc.SetReadDeadline(time.Time{}) //nolint:errcheck // the next read tells
		}
		if kind == 'X' {
			return nil
		}
		c.s.Attend()
		if err := c.message(kind, body); err != nil {
			return err
		}
		if c.outErr != nil {
			return c.outErr
		}
	}
}

// over says whether the client is to be sent away now.
func (c *conn) over() bool {
	return c.ended.Load() || c.drained.Load() && c.s.State() == session.Idle
}

// idleTimeout is how long a client may be silent now; 0 means for ever.
func (c *conn) idleTimeout() time.Duration {
	if c.s.State() == session.Idle {
		return 0
	}
	return c.s.Settings.Duration("idle_in_transaction_session_timeout")
}

// message acts on one message. The error ends the connection.
func (c *conn) message(kind byte, body []byte) error {
	if c.skip && kind != 'S' {
		return nil
	}
	switch kind {
	case 'Q':
		var m pgproto3.Query
		if err := m.Decode(body); err != nil {
			return malformed(err)
		}
		c.simple(m.String)
	case 'P':
		var m pgproto3.Parse
		if err := m.Decode(body); err != nil {
			return malformed(err)
		}
		c.extended(c.parse(&m))
	case 'B':
		var m pgproto3.Bind
		if err := m.Decode(body); err != nil {
			return malformed(err)
		}
		c.extended(c.bind(&m))
	case 'D':
		var m pgproto3.Describe
		if err := m.Decode(body); err != nil {
			return malformed(err)
		}
		c.extended(c.describe(&m))
	case 'E':
		var m pgproto3.Execute
		if err := m.Decode(body); err != nil {
			return malformed(err)
		}
		c.extended(c.execute(&m))
	case 'C':
		var m pgproto3.Close
		if err := m.Decode(body); err != nil {
			return malformed(err)
		}
		if m.ObjectType == 'S' {
			c.s.CloseStatement(m.Name)
		} else {
			c.s.ClosePortal(m.Name)
		}
		c.send(&pgproto3.CloseComplete{})
	case 'H':
		return c.flush()
	case 'S':
		c.skip = false
		if err := c.s.Sync(); err != nil {
			c.fail(err)
		}
		c.ready()
		if c.in.Buffered() > 0 { // of a pipeline
			return c.flush()
		}
	case 'F':
		c.fail(pgerr.Unsupported("the function call protocol"))
		c.ready()
	case 'd', 'c', 'f':
		// What is left of a COPY that was refused: PostgreSQL ignores it as well.
	default: // 'p': nobody was asked for a password
		return fatal(pgerr.ProtocolViolation, "invalid frontend message type %d", kind)
	}
	return nil
}

func malformed(err error) error {
	return fatal(pgerr.ProtocolViolation, "invalid message format").WithDetail("%s", err.Error())
}

// extended notes that a message of the extended protocol failed.
func (c *conn) extended(err error) {
	if err != nil {
		c.skip = true
		c.fail(err)
	}
}

// fail tells the session and the client of an error.
func (c *conn) fail(err error) {
	c.s.Fail(err)
	c.notices()
	c.error(err, "")
	if pgerr.From(err).Severity == "FATAL" {
		if c.flush() == nil {
			c.outErr = io.EOF
		}
	}
	if pgerr.Code(err) == pgerr.Internal {
		c.server.Logger.Error("statement ended with an internal error", "error", err)
	}
}

// simple is a Query message: any number of statements, which are one transaction unless
// they say otherwise.
func (c *conn) simple(text string) {
	defer c.ready()
	c.s.ClosePortal("")
	c.s.CloseStatement("")
	stmts, err := c.s.Parse(text)
	if err != nil {
		c.fail(err)
		return
	}
	if len(stmts) == 0 {
		c.send(&pgproto3.EmptyQueryResponse{})
	}
	if len(stmts) > 1 {
		c.s.Together()
	}
	for _, stmt := range stmts {
		p := c.s.Open(stmt.Stmt, text)
		p.Input = c.copyIn
		err := c.run(p, func() error {
			if p.Schema != nil {
				c.rowDescription(p)
			}
			_, err := c.rows(p, 0)
			return err
		})
		p.Close()
		if c.outErr != nil {
			return
		}
		if err != nil {
			c.fail(err)
			return
		}
	}
	if err := c.s.Sync(); err != nil {
		c.fail(err)
	}
}

// run runs a portal while the client is watched.
func (c *conn) run(p *session.Portal, body func() error) error {
	c.unwatch = sync.OnceFunc(c.watch())
	err := p.Run(body)
	c.unwatch()
	c.endCopyIn()
	return err
}

// rows sends the rows of a portal, at most limit if it is not 0, and then how it stands.
func (c *conn) rows(p *session.Portal, limit int) (suspended bool, err error) {
	if p.Copy != nil {
		return false, c.copyOut(p)
	}
	enc, err := newEncoder(c.s, p)
	if err != nil {
		return false, err
	}
	n := 0
	for {
		left := 0
		if limit > 0 {
			if left = limit - n; left == 0 {
				c.send(&pgproto3.PortalSuspended{})
				return true, nil
			}
		}
		b, lo, hi, err := p.Take(left)
		if err != nil {
			return false, err
		}
		if b == nil {
			break
		}
		for ; lo < hi; lo++ {
			row := lo
			if b.Sel != nil {
				row = int(b.Sel[lo])
			}
			c.out = enc.appendRow(c.out, b, row)
			n++
			if len(c.out) >= flushBytes {
				if err := c.flush(); err != nil {
					return false, err
				}
			}
		}
	}
	c.complete(p, n)
	return false, nil
}

// complete ends the answer of a statement that gave n rows.
func (c *conn) complete(p *session.Portal, n int) {
	c.notices()
	c.tellRead(p)
	c.send(&pgproto3.CommandComplete{CommandTag: []byte(p.Tag(n))})
}

// tellRead says what a statement read, and the token of the state that it read, to a client that asked for it with the setting
// prickle.report, as `prickle sql` does. The notice's severity keeps it from people who
// did not.
func (c *conn) tellRead(p *session.Portal) {
	if on, _ := c.s.Settings.Get("prickle.report"); on != "on" {
		return
	}
	if read := p.Progress(); read != nil {
		token := ""
		if cut, ok := c.s.Cut(); ok {
			token = fmt.Sprintf(`,"token":%q`, cut.Token())
		}
		c.send(&pgproto3.NoticeResponse{Severity: "LOG", SeverityUnlocalized: "LOG", Code: "00000", Message: "report",
			Detail: fmt.Sprintf(`{"rows_read":%d,"bytes_read":%d%s}`, read.Rows.Load(), read.Bytes.Load(), token)})
	}
}

// watch cancels the running statement when the client has gone. While it watches, it
// owns the input. The caller calls what it returns when the statement pauses or ends.
func (c *conn) watch() (stop func()) {
	done := make(chan struct{})
	timer := time.AfterFunc(watchAfter, func() {
		defer close(done)
		for {
			n := c.in.Buffered()
			if n == c.in.Size() {
				return // the client is ahead of us, so it is there
			}
			_, err := c.in.Peek(n + 1)
			if err != nil {
				if !errors.Is(err, os.ErrDeadlineExceeded) {
					c.s.Cancel(session.ErrGone)
				}
				return
			}
		}
	})
	return func() {
		if timer.Stop() {
			return
		}
		c.nc.SetReadDeadline(time.Unix(1, 0)) //nolint:errcheck // a closed connection wakes the reader as well
		<-done
		c.nc.SetReadDeadline(time.Time{}) //nolint:errcheck // the next read will tell
		// drain may have set its deadline just before that; loop asks drained again.
	}
}

// ready ends an answer.
func (c *conn) ready() {
	c.report()
	c.send(&pgproto3.ReadyForQuery{TxStatus: c.s.State()})
}

// reported are the settings that a client is told of, in the order of the first time.
var reported = []string{
	"application_name", "client_encoding", "DateStyle", "default_transaction_read_only", "in_hot_standby", "integer_datetimes",
	"IntervalStyle", "is_superuser", "server_encoding", "server_version", "session_authorization",
	"standard_conforming_strings", "TimeZone",
}

// report sends those that have changed.
func (c *conn) report() {
	for _, name := range reported {
		value, _ := c.s.Settings.Get(name)
		if old, ok := c.reported[name]; !ok || old != value {
			c.reported[name] = value
			c.send(&pgproto3.ParameterStatus{Name: name, Value: value})
		}
	}
}

// severities from the least to the most important, as client_min_messages counts them.
var severities = []string{"debug5", "debug4", "debug3", "debug2", "debug1", "log", "notice", "warning", "error"}

func (c *conn) notices() {
	list := c.s.Notices()
	if len(list) == 0 {
		return
	}
	least, _ := c.s.Settings.Get("client_min_messages")
	for _, n := range list {
		rank := slices.Index(severities, map[string]string{"WARNING": "warning"}[n.Severity])
		if rank < 0 {
			rank = slices.Index(severities, "notice")
		}
		if rank < slices.Index(severities, least) {
			continue
		}
		c.send(&pgproto3.NoticeResponse{Severity: n.Severity, SeverityUnlocalized: n.Severity, Code: n.Code,
			Message: n.Message, Detail: n.Detail, Hint: n.Hint, Position: int32(n.Position)})
	}
}

func (c *conn) error(err error, severity string) {
	e := pgerr.From(err)
	if severity == "" {
		severity = e.Severity
	}
	if severity == "" {
		severity = "ERROR"
	}
	c.send(&pgproto3.ErrorResponse{Severity: severity, SeverityUnlocalized: severity, Code: e.Code,
		Message: e.Message, Detail: e.Detail, Hint: e.Hint, Where: e.Where, Position: int32(e.Position),
		SchemaName: e.Schema, TableName: e.Table, ColumnName: e.Column, ConstraintName: e.Constraint})
}

// send adds a message to the answer.
func (c *conn) send(m pgproto3.BackendMessage) {
	out, err := m.Encode(c.out)
	if err != nil { // longer than the protocol can say
		c.outErr = err
		return
	}
	c.out = out
}

// flush sends the answer so far.
func (c *conn) flush() error {
	if c.outErr != nil {
		return c.outErr
	}
	if len(c.out) == 0 {
		return nil
	}
	_, err := c.nc.Write(c.out)
	if cap(c.out) > keepBytes {
		c.out = nil
	}
	c.out = c.out[:0]
	if err != nil {
		c.outErr = err
		if errors.Is(err, io.ErrClosedPipe) || errors.Is(err, net.ErrClosed) {
			c.outErr = io.EOF
		}
	}
	return c.outErr
}
