package session

import (
	"cmp"
	"context"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/prickledb/prickle/engine/pgcatalog"
	"github.com/prickledb/prickle/sql"
)

// Backends are the sessions of clients that have a connection each, by the number that the
// client knows its own by: what pg_stat_activity lists, and pg_cancel_backend and
// pg_terminate_backend reach. The zero value is ready for use.
type Backends struct {
	mu   sync.Mutex
	open map[uint32]*Session
}

// Backend is what a session is as one of Backends.
type Backend struct {
	PID    uint32
	Remote net.Addr
	TLS    bool
	// End ends the connection. It is called from any goroutine, and does not wait.
	End func()
}

func (b *Backends) add(s *Session) {
	if b == nil || s.config.Backend.PID == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open == nil {
		b.open = map[uint32]*Session{}
	}
	b.open[s.config.Backend.PID] = s
}

func (b *Backends) remove(s *Session) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open[s.config.Backend.PID] == s {
		delete(b.open, s.config.Backend.PID)
	}
}

// find is a session of a project.
func (b *Backends) find(project, pid uint32) *Session {
	if b == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if s := b.open[pid]; s != nil && s.config.Project == project {
		return s
	}
	return nil
}

// list is the sessions of a project as the catalog shows them.
func (b *Backends) list(project uint32) []pgcatalog.Backend {
	if b == nil {
		return nil
	}
	b.mu.Lock()
	var sessions []*Session
	for _, s := range b.open {
		if s.config.Project == project {
			sessions = append(sessions, s)
		}
	}
	b.mu.Unlock()
	out := make([]pgcatalog.Backend, len(sessions))
	for i, s := range sessions {
		out[i] = s.backend()
	}
	slices.SortFunc(out, func(x, y pgcatalog.Backend) int { return cmp.Compare(x.PID, y.PID) })
	return out
}

// activity is what a session does, for others to see. It is guarded by the session's mu.
type activity struct {
	application, state, query string
	began, changed            time.Time // of the statement, and of the state
	transaction               time.Time // zero outside of one
}

// states are what a session that waits for its client is called.
var states = map[byte]string{Idle: "idle", InBlock: "idle in transaction", Failed: "idle in transaction (aborted)"}

// rests notes that the session waits for its client.
func (s *Session) rests() {
	if s.config.Backends == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if state := states[s.State()]; s.doing.state != state {
		s.doing.state, s.doing.changed = state, time.Now()
	}
	s.doing.application = s.value("application_name")
	s.doing.transaction = time.Time{}
	if s.block {
		s.doing.transaction = s.now
	}
}

// works notes that a statement runs.
func (s *Session) works(text string) {
	if s.config.Backends == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	s.doing = activity{s.doing.application, "active", text[:min(len(text), maxShown)], now, now, s.now}
}

// backend is the session's row of pg_stat_activity.
func (s *Session) backend() pgcatalog.Backend {
	s.mu.Lock()
	defer s.mu.Unlock()
	micros := func(t time.Time) int64 {
		if t.IsZero() {
			return 0
		}
		return t.UnixMicro()
	}
	b := pgcatalog.Backend{PID: s.config.Backend.PID, User: s.config.User, TLS: s.config.Backend.TLS, Port: -1,
		Application: s.doing.application, State: s.doing.state, Query: s.doing.query,
		Opened: s.opened.UnixMicro(), Transaction: micros(s.doing.transaction), Began: micros(s.doing.began), Changed: micros(s.doing.changed)}
	if a := s.config.Backend.Remote; a != nil {
		if host, port, err := net.SplitHostPort(a.String()); err == nil {
			b.Address = host
			b.Port, _ = strconv.Atoi(port) // an address has a port
		}
	}
	return b
}

// process is the session as one of its statements sees it.
type process struct {
	s   *Session
	ctx context.Context // of the statement
}

// PID implements expr.Process.
func (p process) PID() uint32 { return p.s.config.Backend.PID }

// Sleep implements expr.Process.
func (p process) Sleep(d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-p.ctx.Done():
		return context.Cause(p.ctx)
	}
}

// Set implements expr.Process.
func (p process) Set(name, value string, local bool) (string, error) {
	if local && !p.s.block { // it would be undone at once
		return value, nil
	}
	err := p.s.set(&sql.CommandSpec{Name: name, Value: value, Local: local})
	now, _ := p.s.Settings.Get(name) // it is there, or err says why not
	return now, err
}

// Signal implements expr.Process.
func (p process) Signal(pid uint32, end bool) bool {
	s := p.s.config.Backends.find(p.s.config.Project, pid)
	switch {
	case s == nil:
		p.s.warn("01000", "PID %d is not a PostgreSQL backend process", pid)
		return false
	case end:
		s.Cancel(ErrShutdown)
		s.config.Backend.End()
	default:
		s.Cancel(ErrCancel)
	}
	return true
}
