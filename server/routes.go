package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/prickledb/prickle/cluster"
	"github.com/prickledb/prickle/server/api"
	"github.com/prickledb/prickle/server/capture"
	"github.com/prickledb/prickle/server/session"
	"github.com/prickledb/prickle/storage"
	"github.com/prickledb/prickle/storage/event"
	"github.com/prickledb/prickle/storage/memory"
	"github.com/prickledb/prickle/storage/person"
)

// routes is every HTTP path:
//
//	capture.Paths        server/capture, for everyone with a token, from any page
//	/healthz /readyz     for everyone: they tell nothing of the data
//	/metrics /api/ /     local mode only
func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	events := s.capture()
	for _, path := range capture.Paths {
		mux.Handle(path, events)
		mux.Handle(path+"/{$}", events)
	}
	mux.HandleFunc("/healthz", s.healthz)
	mux.HandleFunc("/readyz", s.readyz)
	local := http.NewServeMux()
	local.HandleFunc("GET /metrics", s.serveMetrics)
	local.HandleFunc("GET /{$}", s.front)
	local.HandleFunc("POST /api/projects/{id}/batches/", s.streamBatches)
	local.Handle("/", s.api().Handler())
	mux.Handle("/", api.Guard(local, s.config.Hosts))
	return s.metrics.count(mux)
}

func (s *Server) api() *api.Server {
	return &api.Server{
		Projects: s.backend.Projects,
		Create:   s.backend.CreateProject,
		Delete:   s.backend.DeleteProject,
		Applied:  s.backend.AppliedIndex,
		Open: func(ctx context.Context, p storage.Project, now *time.Time) (*session.Session, error) {
			return s.open(ctx, p, "prickle", nil, now)
		},
		Import: s.typedImport(),
		Logger: s.config.Logger,
	}
}

func (s *Server) healthz(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, "{\"status\":\"ok\",\"version\":%q}\n", s.config.Version) //nolint:errcheck // the client may be gone
}

// readyz says whether this process may be sent traffic.
func (s *Server) readyz(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	switch err := s.backend.Err(); {
	case s.draining.Load():
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprintln(w, `{"status":"stopping"}`) //nolint:errcheck // the client may be gone
	case err != nil:
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprintf(w, "{\"status\":\"broken\",\"detail\":%q}\n", err.Error()) //nolint:errcheck // as above
	default:
		fmt.Fprintln(w, `{"status":"ready"}`) //nolint:errcheck // as above
	}
}

// front says what runs here to a person with a browser.
func (s *Server) front(w http.ResponseWriter, r *http.Request) {
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
	return &capture.Handler{Tokens: s.tokens(), Ingest: writer{s.node, s.config.Memory}, Logger: s.config.Logger,
		Warn: func(project uint32, kind, detail string, count int) {
			s.metrics.warnings.Add(int64(count))
			s.config.Logger.Debug("capture", "project", project, "warning", kind, "detail", detail, "count", count)
		}}
}

// typedImport answers /api/projects/{id}/import/.
func (s *Server) typedImport() http.Handler {
	if s.node == nil {
		return nil
	}
	return &capture.ImportHandler{Store: writer{s.node, s.config.Memory}, Logger: s.config.Logger}
}

// writer is a node as capture sees it.
type writer struct {
	node   *cluster.Node
	memory *memory.Budget
}

// errMemory refuses events until flushes have made room.
var errMemory = errors.New("memory is used up; events are refused until some is free")

// Ingest implements capture.Ingester.
func (w writer) Ingest(ctx context.Context, project uint32, b *event.Batch) (stored, duplicates int, err error) {
	if w.memory.Level() >= memory.Refuse {
		return 0, 0, errMemory
	}
	r, err := w.node.Ingest(ctx, project, b)
	return r.Stored, r.Duplicates, err
}

// ImportPersons implements capture.Importer.
func (w writer) ImportPersons(ctx context.Context, project uint32, edits []person.Edit) error {
	_, err := w.node.ImportPersons(ctx, project, edits)
	return err
}

type tokens struct{ store *storage.Store }

func (s *Server) tokens() capture.Tokens { return tokens{s.node.Store()} }

// ByToken implements capture.Tokens.
func (t tokens) ByToken(token string) (uint32, bool) {
	p, ok := t.store.ProjectByToken(token)
	return p.ID, ok
}
