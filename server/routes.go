package server

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/server/api"
	"github.com/prickledb/prickle/server/session"
	"github.com/prickledb/prickle/storage"
)

// capturePaths are answered for everyone who has a project's token, from any page. Each
// is there with and without the slash at its end.
var capturePaths = []string{"/capture", "/batch", "/e", "/i/v0/e"}

// routes is every HTTP path:
//
//	/capture/ /batch/ /e/ /i/v0/e/   server/capture, for everyone with a token
//	/healthz /readyz                 for everyone: they tell nothing of the data
//	/metrics /api/ /                 local mode only
func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	capture := s.capture()
	for _, path := range capturePaths {
		mux.Handle(path, capture)
		mux.Handle(path+"/", capture)
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
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		api.WriteError(w, pgerr.Unsupported("capture"))
	})
}

// typedImport answers /api/projects/{id}/import/.
func (s *Server) typedImport() http.Handler { return nil }
