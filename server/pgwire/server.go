package pgwire

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"crypto/tls"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prickledb/prickle/server/session"
)

// DefaultMaxMessage is the length limit of a client's message in bytes.
const DefaultMaxMessage = 64 << 20

// startupTimeout is how long a client may take to say who it is.
const startupTimeout = 60 * time.Second

// Login is a client that wants to open a session.
type Login struct {
	User, Database string
	Settings       map[string]string
	Remote, Local  net.Addr
	TLS            bool
	// Certified is the user that a verified certificate of the client names; empty for none.
	Certified string
}

// Server serves PostgreSQL clients. Its fields are set before the first connection.
type Server struct {
	// Open makes the session of a client that has proved who it is. ctx ends with the
	// connection. The error, a *pgerr.Error, refuses it, and so does one of Auth.
	Open func(ctx context.Context, l Login) (*session.Session, error)
	// Auth says what the client has to show before; nil: nothing.
	Auth func(ctx context.Context, l Login) (Proof, error)
	// TLS has the certificate for clients that ask for TLS; nil: they are told that there is
	// none.
	TLS        *tls.Config
	Logger     *slog.Logger
	MaxMessage int // bytes; 0 means DefaultMaxMessage
	MaxConns   int // 0 means no limit

	Connections atomic.Int64 // open now
	Accepted    atomic.Int64 // ever

	salts  sync.Once
	unseen [32]byte // what the salts of unknown users follow from

	mu       sync.Mutex
	conns    map[*conn]struct{}
	draining bool
}

// Serve serves one connection to its end, and closes it. When ctx ends, so does what the
// client runs.
func (s *Server) Serve(ctx context.Context, nc net.Conn) {
	s.Connections.Add(1)
	s.Accepted.Add(1)
	defer s.Connections.Add(-1)
	c := newConn(s, nc)
	if !s.add(c) {
		c.refuse(session.ErrShutdown)
		nc.Close() //nolint:errcheck // nothing is lost with it
		return
	}
	defer s.remove(c)
	defer func() { c.nc.Close() }() //nolint:errcheck // both sides know by now that it is over
	// A write to a client that does not read ends only with the connection.
	stop := context.AfterFunc(ctx, func() { nc.Close() }) //nolint:errcheck // as above
	defer stop()
	c.serve(ctx)
}

// Drain tells idle clients that the server stops; those with a running statement hear it
// at its end.
func (s *Server) Drain() {
	s.mu.Lock()
	s.draining = true
	conns := make([]*conn, 0, len(s.conns))
	for c := range s.conns {
		conns = append(conns, c)
	}
	s.mu.Unlock()
	for _, c := range conns {
		c.drain()
	}
}

// CancelAll ends all running statements with cause.
func (s *Server) CancelAll(cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		if sess := c.session.Load(); sess != nil {
			sess.Cancel(cause)
		}
	}
}

func (s *Server) add(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining {
		return false
	}
	if s.conns == nil {
		s.conns = map[*conn]struct{}{}
	}
	s.conns[c] = struct{}{}
	return true
}

// saltKey is what the salts of users follow from that do not exist.
func (s *Server) saltKey() []byte {
	s.salts.Do(func() { rand.Read(s.unseen[:]) }) //nolint:errcheck // it never fails
	return s.unseen[:]
}

func (s *Server) remove(c *conn) {
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
}

func (s *Server) full() bool {
	return s.MaxConns > 0 && s.Connections.Load() > int64(s.MaxConns)
}

// cancel ends what the connection with this pid and key runs.
func (s *Server) cancel(pid uint32, key []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		sess := c.session.Load()
		if sess != nil && sess.PID() == pid && subtle.ConstantTimeCompare(key, c.key[:]) == 1 {
			sess.Cancel(session.ErrCancel)
		}
	}
}
