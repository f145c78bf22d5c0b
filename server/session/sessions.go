package session

import (
	"context"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prickledb/prickle/engine/pgcatalog"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/engine/role"
)

// Sessions are all that are open, of both protocols. The zero value is usable.
type Sessions struct {
	mu   sync.Mutex
	last uint32
	open map[uint32]*Session
	held atomic.Int64 // bytes that sessions hold, and may hold for long
}

// add gives a session its number. It says false if there are as many of its user in its project
// as there may be; most is role.Unlimited for no bound.
func (l *Sessions) add(s *Session, most int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if most != role.Unlimited {
		for _, other := range l.open {
			if other.config.Project == s.config.Project && other.config.User == s.config.User {
				most--
			}
		}
		if most <= 0 {
			return false
		}
	}
	if l.open == nil {
		l.open = map[uint32]*Session{}
	}
	for {
		// JDBC and others read the number as a signed one.
		l.last = l.last%(1<<31-1) + 1
		if l.open[l.last] == nil {
			break
		}
	}
	s.pid = l.last
	l.open[s.pid] = s
	return true
}

func (l *Sessions) remove(s *Session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.open, s.pid)
}

// of lists the sessions of a project by their numbers.
func (l *Sessions) of(project uint32) []*Session {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []*Session
	for _, s := range l.open {
		if s.config.Project == project {
			out = append(out, s)
		}
	}
	slices.SortFunc(out, func(a, b *Session) int { return int(a.pid) - int(b.pid) })
	return out
}

// find is a session of a project by its number, or nil.
func (l *Sessions) find(project uint32, pid int64) *Session {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s := l.open[uint32(pid)]; s != nil && int64(s.pid) == pid && s.config.Project == project {
		return s
	}
	return nil
}

// end ends what another session of the project runs, or that session itself; then it waits for
// so long until the session is closed. It says false if there is no such session, or it is still
// there.
func (s *Session) end(ctx context.Context, pid int64, whole bool, wait time.Duration) (bool, error) {
	other := s.config.Sessions.find(s.config.Project, pid)
	if other == nil {
		return false, nil
	}
	if !s.oversees()(other.config.User) {
		return false, pgerr.New(pgerr.InsufficientPrivilege, "permission denied to cancel or end what %q does", other.config.User).
			WithHint("A superuser may, or a member of that role; of a superuser's session, superusers alone.")
	}
	if !whole {
		other.Cancel(ErrCancel)
		return true, nil
	}
	other.close(ErrShutdown)
	if wait <= 0 {
		return true, nil
	}
	late := time.NewTimer(wait)
	defer late.Stop()
	select {
	case <-other.closed:
		return true, nil
	case <-late.C:
	case <-ctx.Done():
	}
	return false, nil
}

// oversees gives whether the session may see and end what a user does.
func (s *Session) oversees() func(user string) bool {
	roles, me := s.config.Engine.Catalog(s.config.Project, s.config.Database, nil).Roles, s.role()
	return func(user string) bool {
		return user == me || roles.Super(me) || !roles.Super(user) && roles.Member(me, user, true)
	}
}

// activity is what a session does, for those who look at it.
type activity struct {
	state                           string // as pg_stat_activity has it
	text                            string // of the statement that runs, or ran last
	application                     string
	statement, transaction, changed time.Time // zero if there was or is none
}

// PID is the session's number among all that are open.
func (s *Session) PID() uint32 { return s.pid }

// AfterEnd calls f in a goroutine of its own when somebody has ended the session. Stop takes
// that back.
func (s *Session) AfterEnd(f func()) (stop func() bool) { return context.AfterFunc(s.ctx, f) }

// act notes that a statement runs. The caller holds mu.
func (s *Session) act(text string, now time.Time) {
	a := &s.activity
	a.state, a.text, a.application = "active", shown(text), s.value("application_name")
	a.statement, a.changed, a.transaction = now, now, now
	if s.started {
		a.transaction = s.now
	}
}

// pause notes that the session waits for its client. The caller holds mu.
func (s *Session) pause(now time.Time) {
	a := &s.activity
	a.application = s.value("application_name")
	switch s.State() {
	case InBlock:
		a.state = "idle in transaction"
	case Failed:
		a.state = "idle in transaction (aborted)"
	default:
		a.state, a.transaction = "idle", time.Time{}
	}
	a.changed = now
}

// backend is the session's row of pg_stat_activity.
func (s *Session) backend() pgcatalog.Backend {
	s.mu.Lock()
	a := s.activity
	s.mu.Unlock()
	b := pgcatalog.Backend{PID: int(s.pid), User: s.config.User, Application: a.application, State: a.state, Query: a.text, TLS: s.config.TLS,
		Began: micros(s.began), Statement: micros(a.statement), Transaction: micros(a.transaction), Changed: micros(a.changed)}
	if tcp, ok := s.config.Remote.(*net.TCPAddr); ok {
		b.Address, b.Port = tcp.IP.String(), tcp.Port
	}
	return b
}

// micros is µs since 1970; 0 for no time.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// listBackends is the rows of pg_stat_activity: the sessions of the project.
func (s *Session) listBackends() []pgcatalog.Backend {
	var out []pgcatalog.Backend
	may := s.oversees()
	for _, other := range s.config.Sessions.of(s.config.Project) {
		b := other.backend()
		b.Hidden = !may(b.User)
		out = append(out, b)
	}
	return out
}

// listQueries is the rows of system.queries: the questions of the project that the session may
// see, first those that ended.
func (s *Session) listQueries() []pgcatalog.Query {
	var out []pgcatalog.Query
	may := s.oversees()
	for _, q := range slices.Concat(s.config.Queries.Ended(), s.config.Queries.List()) {
		if q.Project != s.config.Project || !may(q.User) {
			continue
		}
		line := pgcatalog.Query{ID: int64(q.ID), PID: int(q.PID), Project: int(q.Project), User: q.User, Kind: q.Kind, State: q.State, Text: q.Text,
			Began: micros(q.Began), Waited: q.WaitedMS, Ran: q.RunMS, CPU: q.CPUMS, Rows: q.Rows, TotalRows: q.TotalRows, Bytes: q.Bytes,
			Memory: q.Memory, Spilled: q.Spilled, Killed: q.Killed, Error: q.Error}
		if q.Ended != nil {
			line.Ended = micros(*q.Ended)
		}
		out = append(out, line)
	}
	return out
}
