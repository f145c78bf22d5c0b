package server

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/pprof"
	"strings"
	"time"

	"github.com/prickledb/prickle/cluster"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/server/api"
	"github.com/prickledb/prickle/server/capture"
	"github.com/prickledb/prickle/server/limit"
	"github.com/prickledb/prickle/server/session"
	"github.com/prickledb/prickle/storage"
	"github.com/prickledb/prickle/storage/event"
	"github.com/prickledb/prickle/storage/group"
	"github.com/prickledb/prickle/storage/memory"
	"github.com/prickledb/prickle/storage/object"
	"github.com/prickledb/prickle/storage/person"
)

// front is every HTTP path:
//
//	/healthz /readyz     for everyone, and before there is a node: they tell nothing of the data
//	/metrics             local mode only, and before there is a node
//	everything else      routes
func (s *Server) front() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", s.healthz)
	mux.HandleFunc("GET /readyz", s.readyz)
	mux.Handle("GET /metrics", api.Guard(http.HandlerFunc(s.serveMetrics), s.config.Hosts))
	mux.Handle("/", s.metrics.count(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := s.handler.Load()
		switch {
		case s.draining.Load():
			w.Header().Set("Connection", "close")
			unavailable(w, r, "draining", "the server is about to stop")
		case h == nil:
			unavailable(w, r, "starting", "the server is starting")
		default:
			(*h).ServeHTTP(w, r)
		}
	})))
	return mux
}

// unavailable answers what cannot be done now. Any page may read it, since it may have come
// to send events.
func unavailable(w http.ResponseWriter, r *http.Request, code, detail string) {
	capture.MirrorOrigin(w, r)
	api.WriteError(w, &api.Error{Status: http.StatusServiceUnavailable, Type: "server_error", Code: code, Detail: detail, RetryAfter: time.Second})
}

// routes is every path that needs the node:
//
//	capture.Paths        server/capture, for everyone with a token, from any page
//	/shared/{token}      for everyone who knows the token, which is a secret
//	/api/ /debug/ /      local mode only
func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	events := s.capture()
	for _, path := range capture.Paths {
		mux.Handle(path, events)
		mux.Handle(path+"/{$}", events)
	}
	local := http.NewServeMux()
	local.HandleFunc("GET /{$}", s.page)
	local.HandleFunc("GET /debug/pprof/", pprof.Index)
	local.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	local.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	local.HandleFunc("POST /api/projects/{id}/batches/", s.streamBatches)
	local.HandleFunc("POST /api/instance/backup/", s.backupInstance)
	local.HandleFunc("POST /api/instance/restore/", s.restoreInstance)
	local.HandleFunc("POST /api/instance/verify/", s.verifyInstance)
	a := s.api()
	mux.Handle("GET /shared/{token}", a.Shared())
	mux.Handle("GET /shared/{token}/{$}", a.Shared())
	local.Handle("/", a.Handler())
	mux.Handle("/", api.Guard(local, s.config.Hosts))
	return mux
}

func (s *Server) api() *api.Server {
	a := &api.Server{
		Projects: s.backend.Projects,
		Create:   s.backend.CreateProject,
		Update:   s.backend.UpdateProject,
		Delete:   s.deleteProject,
		Usage:    s.backend.Usage,
		Applied:  s.backend.AppliedIndex,
		Open: func(ctx context.Context, p storage.Project, settings map[string]string, now *time.Time, name string) (*session.Session, error) {
			return s.open(ctx, opening{project: p, user: "prickle", settings: settings, now: now, keep: true, name: name})
		},
		Answers:     s.answers,
		Queries:     &s.queries,
		FreeBallast: s.backend.FreeBallast,
		Import:      s.typedImport(),
		Logger:      s.config.Logger,
		Saving:      &s.saving,
	}
	if s.node != nil {
		a.Persons, a.Saved = s.node, savedStore{s.node}
	}
	return a
}

// savedStore is the node as the API sees it that keeps objects.
type savedStore struct{ *cluster.Node }

// Objects implements api.Saved.
func (n savedStore) Objects(project uint32) *object.Table { return n.Store().Objects(project) }

// Snapshot implements api.Saved.
func (n savedStore) Snapshot(project uint32) (*storage.Snapshot, error) {
	return n.Store().Snapshot(project)
}

// page says what runs here to a person with a browser.
func (s *Server) page(w http.ResponseWriter, r *http.Request) {
	var b strings.Builder
	fmt.Fprintf(&b, "prickle %s\n\n", s.config.Version)
	for _, p := range s.backend.Projects() {
		fmt.Fprintf(&b, "project %d  %s\n", p.ID, p.Name)
		fmt.Fprintf(&b, "  Events to   http://%s/capture   key  %s\n", r.Host, p.Token)
		fmt.Fprintf(&b, "  Questions   POST http://%s/api/projects/%d/query/\n", r.Host, p.ID)
		fmt.Fprintf(&b, "  PostgreSQL  postgres://%s/%s\n\n", r.Host, p.Database)
	}
	b.WriteString("Health: /healthz, /readyz, /metrics\n")
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Write([]byte(b.String())) //nolint:errcheck // the client may be gone
}

// capture answers the capture paths.
func (s *Server) capture() http.Handler {
	if s.node == nil {
		return http.NotFoundHandler()
	}
	return &capture.Handler{Tokens: s.tokens(), Ingest: writer{s}, Logger: s.config.Logger, Admit: s.admitEvents, Done: s.ingested,
		Warn: func(project uint32, kind, detail string, count int) {
			s.metrics.warnings.Add(int64(count), project, "")
			s.config.Logger.Debug("capture", "project", project, "warning", kind, "detail", detail, "count", count)
		}}
}

// typedImport answers /api/projects/{id}/import/.
func (s *Server) typedImport() http.Handler {
	if s.node == nil {
		return nil
	}
	return &capture.ImportHandler{Store: writer{s}, Logger: s.config.Logger, Admit: s.admitEvents, Done: s.ingested}
}

// allow refuses events that a project's limits do not allow.
func (s *Server) allow(project uint32, events int) error {
	p, ok := s.node.Store().Project(project)
	if !ok {
		return nil // the store says so
	}
	return s.limits.Events(p, events)
}

// limitProperties removes properties from a batch that are beyond the project's limit.
func (s *Server) limitProperties(project uint32, b *event.Batch) {
	p, ok := s.node.Store().Project(project)
	if !ok {
		return
	}
	removed, first := s.limits.Properties(p, b)
	if removed > 0 {
		s.metrics.warnings.Add(int64(removed), project, "")
	}
	if first {
		s.config.Logger.Warn("the project has too many different event properties; further names are not stored", "project", project)
	}
}

// admitEvents is allow in the words of capture.
func (s *Server) admitEvents(project uint32, events int) error {
	err := s.allow(project, events)
	var exceeded *limit.Exceeded
	switch {
	case err == nil || !errors.As(err, &exceeded):
		return err
	case exceeded.Quota():
		return &capture.Refused{Status: http.StatusPaymentRequired, Code: string(exceeded.Reason), Detail: exceeded.Detail, Quota: "events"}
	}
	return &capture.Refused{Status: http.StatusTooManyRequests, Code: string(exceeded.Reason), Detail: exceeded.Detail, RetryAfter: exceeded.RetryAfter}
}

// ingested counts a request that brought events.
func (s *Server) ingested(project uint32, result string, events int, bytes int64) {
	s.metrics.requests.Add(1, project, result)
	s.metrics.events.Add(int64(events), project, result)
	s.metrics.bytes.Add(bytes, project, result)
}

// writer is the node as capture sees it.
type writer struct{ *Server }

// errMemory refuses events until flushes have made room.
var errMemory = pgerr.New(pgerr.OutOfMemory, "memory is used up; events are refused until some is free")

// ingest stores events, whatever road they came by.
func (s *Server) ingest(ctx context.Context, project uint32, b *event.Batch) (cluster.Receipt, error) {
	if s.config.Memory.Level() >= memory.Refuse {
		return cluster.Receipt{}, errMemory
	}
	s.limitProperties(project, b)
	r, err := s.node.Ingest(ctx, project, b)
	if r.Duplicates > 0 {
		s.metrics.duplicates.Add(int64(r.Duplicates), project, "")
	}
	return r, err
}

// Ingest implements capture.Ingester.
func (w writer) Ingest(ctx context.Context, project uint32, b *event.Batch) (capture.Receipt, error) {
	return receipt(w.ingest(ctx, project, b))
}

// NameGroups implements capture.Ingester.
func (w writer) NameGroups(ctx context.Context, project uint32, names []string) ([]string, error) {
	types, err := w.node.NameGroups(ctx, project, names)
	_, err = receipt(cluster.Receipt{}, err)
	return types, err
}

// statements is the node as sessions see it.
type statements struct {
	*cluster.Node
	server *Server
}

// Ingest implements session.Writer.
func (w statements) Ingest(ctx context.Context, project uint32, b *event.Batch) (cluster.Receipt, error) {
	return w.server.ingest(ctx, project, b)
}

// ImportPersons implements capture.Importer.
func (w writer) ImportPersons(ctx context.Context, project uint32, edits []person.Edit) (capture.Receipt, error) {
	r, err := w.node.ImportPersons(ctx, project, edits)
	return receipt(r, err)
}

// ImportGroups implements capture.Importer.
func (w writer) ImportGroups(ctx context.Context, project uint32, edits []group.Edit) (capture.Receipt, error) {
	_, r, err := w.node.EditGroups(ctx, project, storage.GroupEdit{Groups: edits})
	return receipt(r, err)
}

// Objects implements capture.Importer.
func (w writer) Objects(project uint32) *object.Table { return w.node.Store().Objects(project) }

// ImportObjects implements capture.Importer.
func (w writer) ImportObjects(ctx context.Context, project uint32, edits []object.Edit) (capture.Receipt, error) {
	_, r, err := w.node.EditObjects(ctx, project, edits)
	var limit *object.LimitError
	if errors.As(err, &limit) {
		err = &capture.Refused{Status: http.StatusBadRequest, Code: "too_large", Detail: limit.Detail}
	}
	return receipt(r, err)
}

// ImportMembers implements capture.Importer.
func (w writer) ImportMembers(ctx context.Context, project uint32, edit storage.MemberEdit) ([]string, capture.Receipt, error) {
	found, r, err := w.node.EditMembers(ctx, project, edit)
	out, err := receipt(r, err)
	return found.Unknown, out, err
}

// diskRetry is when a client may try again that met a full disk, or a server that is
// read-only.
const diskRetry = 30 * time.Second

// receipt is what became of a write, and its error in the words of capture.
func receipt(r cluster.Receipt, err error) (capture.Receipt, error) {
	switch {
	case errors.Is(err, cluster.ErrDiskFull):
		err = &capture.Refused{Status: http.StatusServiceUnavailable, Code: "disk_full", Detail: err.Error(), RetryAfter: diskRetry}
	case errors.Is(err, cluster.ErrReadOnly):
		err = &capture.Refused{Status: http.StatusServiceUnavailable, Code: "read_only", Detail: err.Error(), RetryAfter: diskRetry}
	}
	if errors.Is(err, cluster.ErrOverloaded) || errors.Is(err, errMemory) {
		// Not all at once again.
		again := time.Duration(1+rand.IntN(5)) * time.Second
		err = &capture.Refused{Status: http.StatusServiceUnavailable, Code: "overloaded", Detail: err.Error(), RetryAfter: again}
	}
	return capture.Receipt{Token: cluster.Token{Index: r.Index}.String(), Stored: r.Stored, Duplicates: r.Duplicates}, err
}

type tokens struct{ store *storage.Store }

func (s *Server) tokens() capture.Tokens { return tokens{s.node.Store()} }

// ByToken implements capture.Tokens.
func (t tokens) ByToken(token string) (uint32, bool) {
	p, ok := t.store.ProjectByToken(token)
	return p.ID, ok
}
