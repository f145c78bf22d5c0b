package server

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prickledb/prickle/cluster"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/server/api"
	"github.com/prickledb/prickle/server/pgwire"
	"github.com/prickledb/prickle/server/session"
	"github.com/prickledb/prickle/sql"
	"github.com/prickledb/prickle/storage"
)

// Server answers both protocols over one node.
type Server struct {
	config   Config
	node     *cluster.Node // for capture alone; nil in tests that do without
	backend  backend
	engine   session.Engine
	counters session.Counters
	metrics  metrics
	pg       *pgwire.Server
	web      *handOver
	http     *http.Server
	started  time.Time
	draining atomic.Bool
}

// backend is what the server asks of its node and the node's store.
type backend interface {
	Projects() []storage.Project
	ProjectByDatabase(database string) (storage.Project, bool)
	CreateProject(context.Context, cluster.ProjectSpec) (storage.Project, error)
	DeleteProject(ctx context.Context, id uint32) error
	AppliedIndex() uint64
	Stats() storage.Stats
	InFlight() int
	Err() error
}

// nodeBackend is a node and its store side by side.
type nodeBackend struct {
	*cluster.Node
	*storage.Store
}

// New makes a server over a node, which stays the caller's.
func New(config Config, node *cluster.Node) *Server {
	s := newServer(config, nodeBackend{node, node.Store()},
		session.NewEngine(node.Store(), node, session.Limits{Threads: config.Threads, Memory: config.QueryMemory, Admission: config.Admission, Spill: config.Spill}))
	s.node = node
	return s
}

func newServer(config Config, b backend, engine session.Engine) *Server {
	config = config.withDefaults()
	s := &Server{config: config, backend: b, engine: engine, started: time.Now()}
	s.pg = &pgwire.Server{Open: s.login, Logger: config.Logger, MaxMessage: config.MaxMessage, MaxConns: config.MaxConns}
	return s
}

// Serve serves a listener until ctx ends, then shuts down: new questions are refused,
// running ones have a few seconds. It closes the listener.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	s.web = newHandOver(listener.Addr())
	s.http = &http.Server{
		Handler: s.routes(), ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderBytes,
	}
	// Connections end with hard, which outlives ctx by the time to drain.
	hard, end := context.WithCancelCause(context.WithoutCancel(ctx))
	defer end(nil)
	s.http.BaseContext = func(net.Listener) context.Context { return hard }

	var running sync.WaitGroup
	running.Go(func() { _ = s.http.Serve(s.web) })              // it ends when Shutdown is called
	stop := context.AfterFunc(ctx, func() { listener.Close() }) //nolint:errcheck // Accept tells
	defer stop()
	var failed error
	for {
		nc, err := listener.Accept()
		if err == nil {
			running.Go(func() { s.dispatch(ctx, hard, nc) })
			continue
		}
		if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
			break
		}
		var temporary interface{ Temporary() bool }
		if errors.As(err, &temporary) && temporary.Temporary() { // out of file descriptors, say
			s.config.Logger.Warn("accept", "error", err)
			time.Sleep(50 * time.Millisecond)
			continue
		}
		failed = fmt.Errorf("accept on %s: %w", listener.Addr(), err)
		break
	}
	s.shutdown(&running, end)
	return failed
}

func (s *Server) shutdown(running *sync.WaitGroup, end context.CancelCauseFunc) {
	s.draining.Store(true)
	deadline, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
	defer cancel()
	s.pg.Drain()
	soft := time.AfterFunc(drainTimeout, func() {
		s.pg.CancelAll(session.ErrShutdown)
		// Statements over HTTP end with their request, everything else with its connection.
		time.AfterFunc(drainTimeout/10, func() { end(session.ErrShutdown) })
	})
	defer soft.Stop()
	go func() {
		if s.http.Shutdown(deadline) != nil {
			s.http.Close() //nolint:errcheck // the process ends anyway
		}
	}()
	done := make(chan struct{})
	go func() { running.Wait(); close(done) }()
	select {
	case <-done:
	case <-deadline.Done():
		end(session.ErrShutdown)
		s.config.Logger.Warn("connections are still busy at the end")
	}
}

// login makes the session of a PostgreSQL client.
func (s *Server) login(ctx context.Context, l pgwire.Login) (*session.Session, error) {
	if !api.Loopback(l.Remote.String()) {
		return nil, fatal(pgerr.New(pgerr.InvalidAuthorization, "no entry for host %q, user %q, database %q", l.Remote, l.User, l.Database).
			WithHint("This server has no accounts yet, so it answers only its own machine."))
	}
	if p, ok := s.backend.ProjectByDatabase(l.Database); ok {
		return s.open(ctx, p, l.User, l.Settings, nil)
	}
	return nil, fatal(pgerr.New(pgerr.UndefinedDatabase, "database %q does not exist", l.Database))
}

// open makes a session in a project.
func (s *Server) open(ctx context.Context, p storage.Project, user string, settings map[string]string, now *time.Time) (*session.Session, error) {
	start := map[string]string{"TimeZone": p.Timezone}
	if p.Timezone == "" {
		start["TimeZone"] = "UTC"
	}
	if user != "" {
		start["session_authorization"] = user
	}
	// NewSettings believes what it starts with; a client may name only what it could SET.
	probe, err := sql.NewSettings(nil)
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		value := settings[name]
		if _, err := probe.Set(name, value, false); err != nil {
			return nil, fatal(err)
		}
		for known := range start { // names are not case-sensitive
			if strings.EqualFold(known, name) {
				delete(start, known)
			}
		}
		start[name] = value
	}
	c := session.Config{Engine: s.engine, Counters: &s.counters, Logger: s.config.Logger, Project: p.ID, Database: p.Database,
		User: user, Start: start, Limit: s.config.QueryTimeout}
	if now != nil {
		c.Now = func() time.Time { return *now }
	}
	sess, err := session.New(ctx, c)
	if err != nil {
		return nil, fatal(err)
	}
	return sess, nil
}

// fatal is an error that ends a connection before it has begun.
func fatal(err error) error {
	e := *pgerr.From(err)
	e.Severity = "FATAL"
	return &e
}
