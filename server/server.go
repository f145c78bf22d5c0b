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
	"github.com/prickledb/prickle/engine"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/server/ask"
	"github.com/prickledb/prickle/server/limit"
	"github.com/prickledb/prickle/server/pgwire"
	"github.com/prickledb/prickle/server/session"
	"github.com/prickledb/prickle/sql"
	"github.com/prickledb/prickle/storage"
	"github.com/prickledb/prickle/storage/memory"
)

// Server answers both protocols over one node.
type Server struct {
	config   Config
	counters session.Counters
	metrics  metrics
	queries  session.Queries
	plans    session.Plans
	sessions session.Sessions
	cuts     session.Cuts
	limits   limit.Limiter
	// scheduler shares the processors among queries.
	scheduler *engine.Scheduler
	pg        *pgwire.Server
	web       *handOver
	http      *http.Server
	started   time.Time
	draining  atomic.Bool
	saving    sync.Mutex // held while actions or cohorts change

	// handler answers what needs the node; nil until there is one. The fields below it are
	// set before.
	handler atomic.Pointer[http.Handler]
	node    *cluster.Node // for writes and consistency; nil in tests that do without
	backend backend
	engine  session.Engine
	answers *ask.Cache // nil: answers are not kept
}

// backend is what the server asks of its node and the node's store.
type backend interface {
	Projects() []storage.Project
	ProjectByDatabase(database string) (storage.Project, bool)
	CreateProject(context.Context, cluster.ProjectSpec) (storage.Project, error)
	UpdateProject(context.Context, storage.ProjectUpdate) (storage.Project, error)
	DeleteProject(ctx context.Context, id uint32) error
	AppliedIndex() uint64
	Stats() storage.Stats
	Usage(project uint32, at time.Time) storage.Usage
	Disk() cluster.DiskStats
	FreeBallast() (int64, error)
	Leads() bool
	Loss() *cluster.Loss
	Err() error
}

// nodeBackend is a node and its store side by side.
type nodeBackend struct {
	*cluster.Node
	*storage.Store
}

// New makes a server over a node, which stays the caller's. A node that is still being
// opened is nil, and comes with Attach; until then only health and metrics are answered.
func New(config Config, node *cluster.Node) *Server {
	s := newServer(config)
	if node != nil {
		s.Attach(node, config.Spill)
	}
	return s
}

func newServer(config Config) *Server {
	config = config.withDefaults()
	s := &Server{config: config, started: time.Now(), scheduler: engine.NewScheduler(config.Processors)}
	s.pg = &pgwire.Server{Auth: s.auth, Open: s.login, TLS: config.TLS, Logger: config.Logger, MaxMessage: config.MaxMessage, MaxConns: config.MaxConns}
	if s.config.Roles == nil {
		s.config.Roles = projectRoles{s}
	}
	s.limits = limit.Limiter{Queries: config.ProjectQueries, UserQueries: config.UserQueries,
		Waited: func(why limit.Reason) { s.metrics.queued.Add(1, string(why)) },
		Usage:  func(project uint32, at time.Time) storage.Usage { return s.backend.Usage(project, at) }}
	s.queries = session.Queries{Admit: s.admitQuery, Busy: s.busyFor, MaxRows: config.MaxRows, MaxBytes: config.MaxBytes, Slow: config.SlowQuery,
		Logger: config.Logger, Done: s.metrics.queryDone}
	s.plans.Memory = config.Memory.Pool(memory.Queries)
	config.Admission.OnWait(func() { s.metrics.queued.Add(1, "memory") })
	s.register()
	return s
}

// Attach gives the server its node, once, and what takes the spill files of queries, if
// anything does.
func (s *Server) Attach(node *cluster.Node, spill *engine.SpillDir) {
	s.node, s.config.Spill = node, spill
	s.registerBackups()
	node.Metrics(&s.metrics.registry)
	s.attach(nodeBackend{node, node.Store()}, session.NewEngine(node.Store(), statements{node, s},
		session.Limits{Threads: s.config.Threads, Memory: s.config.QueryMemory, Admission: s.config.Admission, Scheduler: s.scheduler,
			Spill: s.config.Spill, Files: s.config.Files}))
}

func (s *Server) attach(b backend, engine session.Engine) {
	s.backend, s.engine = b, engine
	var err error
	if s.answers, err = ask.NewCache(s.config.AnswerBytes); err != nil {
		s.config.Logger.Warn("answers are not kept", "error", err)
	}
	s.registerStore()
	h := s.routes()
	s.handler.Store(&h)
}

// Serve serves listeners until ctx ends, then shuts down: what is new is refused, what
// runs has a few seconds, and /readyz says so meanwhile. It closes the listeners.
func (s *Server) Serve(ctx context.Context, listeners ...net.Listener) error {
	s.web = newHandOver(listeners[0].Addr())
	s.http = &http.Server{
		Handler: s.front(), ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderBytes,
	}
	// Connections end with hard, which outlives ctx by the time to drain.
	hard, end := context.WithCancelCause(context.WithoutCancel(ctx))
	defer end(nil)
	s.http.BaseContext = func(net.Listener) context.Context { return hard }
	accepting, closeListeners := context.WithCancel(hard)
	defer closeListeners()

	var running sync.WaitGroup
	running.Go(func() { _ = s.http.Serve(s.web) }) // it ends when Shutdown is called
	failed := make(chan error, len(listeners))
	for _, l := range listeners {
		stop := context.AfterFunc(accepting, func() { l.Close() }) //nolint:errcheck // Accept tells
		defer stop()
		running.Go(func() {
			if err := s.accept(accepting, hard, l, &running); err != nil {
				failed <- err
			}
		})
	}
	running.Go(func() { s.watchQueries(accepting) })
	running.Go(func() { s.housekeeping(accepting) })
	running.Go(func() { s.watchCohorts(accepting) })
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	s.shutdown(&running, closeListeners, end)
	s.cuts.Clear()
	if s.answers != nil {
		s.answers.Close()
	}
	return err
}

// accept takes connections until accepting ends.
func (s *Server) accept(accepting, hard context.Context, l net.Listener, running *sync.WaitGroup) error {
	for {
		nc, err := l.Accept()
		if err == nil {
			running.Go(func() { s.dispatch(accepting, hard, nc) })
			continue
		}
		if accepting.Err() != nil {
			return nil
		}
		var temporary interface{ Temporary() bool }
		if errors.As(err, &temporary) && temporary.Temporary() { // out of file descriptors, say
			s.config.Logger.Warn("accept", "error", err)
			time.Sleep(50 * time.Millisecond)
			continue
		}
		return fmt.Errorf("accept on %s: %w", l.Addr(), err)
	}
}

// watchQueries ends queries that read too much, and has them make room for writes.
func (s *Server) watchQueries(ctx context.Context) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	room := room{processors: s.config.Processors}
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			s.queries.Check()
			if s.handler.Load() != nil && s.node != nil {
				s.scheduler.SetSlots(room.slots(s.node.Lag(), now))
			}
		}
	}
}

const (
	// lagging is how long writes may wait for processors before queries make room for them,
	// and lagHold how long they do: a dozen goroutines hand on a write, so it waits for a
	// dozen slices of others where it has to wait for any.
	lagging = 50 * time.Millisecond
	lagHold = time.Second
)

// room is how many processors are for queries: all, or three quarters while writes wait.
type room struct {
	processors int
	lagged     time.Time // when writes waited last
}

func (r *room) slots(lag time.Duration, now time.Time) int {
	if lag >= lagging {
		r.lagged = now
	}
	if now.Sub(r.lagged) < lagHold {
		return max(1, r.processors*3/4)
	}
	return r.processors
}

// housekeeping lets go of states that nobody needs, and learns what projects have.
func (s *Server) housekeeping(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			if s.handler.Load() == nil {
				continue
			}
			s.cuts.Expire(now)
			if s.backend.Disk().State >= cluster.DiskFull {
				s.cuts.Clear() // they keep segments on the disk that were merged away
			}
			if s.node != nil {
				s.limits.Learn(func(project uint32) []string { return session.PropertyNames(s.node.Store(), project) })
			}
		}
	}
}

func (s *Server) shutdown(running *sync.WaitGroup, closeListeners func(), end context.CancelCauseFunc) {
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
	// As long as something runs, whoever asks is told that this process drains.
	busy := time.NewTicker(10 * time.Millisecond)
	defer busy.Stop()
	for (s.metrics.inFlight.Load() > 0 || s.counters.Running.Load() > 0) && deadline.Err() == nil {
		select {
		case <-busy.C:
		case <-deadline.Done():
		}
	}
	closeListeners()
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

// opening is what a session is opened with.
type opening struct {
	project  storage.Project
	user     string
	settings map[string]string // as the client wants them
	now      *time.Time        // what now is; nil: the clock says
	name     string            // what the client calls its question; empty: nothing
	keep     bool              // what is read is kept for a while: the client gets tokens
	remote   net.Addr          // of the client; nil if it is not known
	local    net.Addr          // the server's end of the connection, likewise
	tls      bool
}

// open makes a session in a project.
func (s *Server) open(ctx context.Context, o opening) (*session.Session, error) {
	p := o.project
	start := map[string]string{"TimeZone": p.Timezone}
	if p.Timezone == "" {
		start["TimeZone"] = "UTC"
	}
	if o.user != "" {
		start["session_authorization"] = o.user
	}
	// NewSettings believes what it starts with; a client may name only what it could SET.
	probe, err := sql.NewSettings(nil)
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(o.settings)) {
		value := o.settings[name]
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
		User: o.user, Start: start, Limit: s.config.QueryTimeout, Memory: s.config.Memory.Pool(memory.Queries), Cuts: &s.cuts, Keep: o.keep, Queries: &s.queries, Plans: &s.plans, QueryName: o.name,
		Sessions: &s.sessions, Remote: o.remote, Local: o.local, TLS: o.tls}
	cohorts := &ask.Cohorts{Saving: &s.saving}
	c.Cohorts, c.Databases = cohorts, databases{s}
	if s.node != nil {
		cohorts.Store = savedStore{s.node}
		c.Log = s.node
	}
	if o.now != nil {
		c.Now = func() time.Time { return *o.now }
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

// projectOf is a project and its limits, or one that has none if it is gone.
func (s *Server) projectOf(id uint32) storage.Project {
	for _, p := range s.backend.Projects() {
		if p.ID == id {
			return p
		}
	}
	return storage.Project{ID: id}
}

// busyFor says whether a query of a user of a project would have to wait for a place.
func (s *Server) busyFor(id uint32, user string) bool { return s.limits.Busy(s.projectOf(id), user) }

// admitQuery takes a place for a query of a user of a project; holds is whether it has its snapshot.
func (s *Server) admitQuery(ctx context.Context, id uint32, user string, holds bool) (session.Place, error) {
	p := s.projectOf(id)
	release, err := s.limits.Query(ctx, p, user, holds)
	var exceeded *limit.Exceeded
	if errors.As(err, &exceeded) {
		err = session.Caused(pgerr.New(pgerr.InsufficientResources, "%s", exceeded.Detail).WithHint("Ask again in a moment."), err)
	}
	return session.Place{Weight: p.Limits.QueryWeight, Release: release}, err
}
