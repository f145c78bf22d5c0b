package api

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/prickledb/prickle/cluster"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/server/session"
	"github.com/prickledb/prickle/storage"
)

// maxProjectBody is the limit of a project's settings in bytes.
const maxProjectBody = 1 << 20

// Server answers the API. Its fields are set before the first request.
type Server struct {
	Projects func() []storage.Project
	Create   func(context.Context, cluster.ProjectSpec) (storage.Project, error)
	Delete   func(ctx context.Context, project uint32) error
	// Applied is the Raft index up to which an answer has seen everything.
	Applied func() uint64
	// Open makes the session of one question; now, if not nil, is its instant.
	Open   func(ctx context.Context, project storage.Project, now *time.Time) (*session.Session, error)
	Import http.Handler // of /api/projects/:id/import/, whose {id} is checked
	Logger *slog.Logger
}

// Handler is the paths below /api/.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	both := func(method, path string, h http.HandlerFunc) {
		mux.HandleFunc(method+" "+path, h)
		mux.HandleFunc(method+" "+path+"/{$}", h)
	}
	both("GET", "/api/projects", s.list)
	both("POST", "/api/projects", s.create)
	both("GET", "/api/projects/{id}", s.get)
	both("DELETE", "/api/projects/{id}", s.delete)
	both("POST", "/api/projects/{id}/query", s.query)
	both("POST", "/api/projects/{id}/import", s.importTo)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		WriteError(w, notFound("there is nothing at "+r.Method+" "+r.URL.Path))
	})
	return mux
}

// log tells of errors that are ours.
func (s *Server) log(err error) {
	if FromError(err).Status == http.StatusInternalServerError {
		s.Logger.Error("query ended with an internal error", "error", err)
	}
}

// project finds the project that a path names.
func (s *Server) project(r *http.Request) (storage.Project, error) {
	id, err := strconv.ParseUint(r.PathValue("id"), 10, 32)
	if err == nil {
		for _, p := range s.Projects() {
			if uint64(p.ID) == id {
				return p, nil
			}
		}
	}
	return storage.Project{}, notFound("there is no project " + quoted(r.PathValue("id")))
}

// projectJSON is how a project is shown.
type projectJSON struct {
	ID        uint32 `json:"id"`
	Name      string `json:"name"`
	Database  string `json:"database"`
	APIToken  string `json:"api_token"`
	Timezone  string `json:"timezone"`
	WeekStart int    `json:"week_start_day"`
	CreatedAt string `json:"created_at"`
}

func show(p storage.Project) projectJSON {
	return projectJSON{p.ID, p.Name, p.Database, p.Token, p.Timezone, p.WeekStart,
		time.UnixMicro(p.CreatedAt).UTC().Format("2006-01-02T15:04:05.999999Z")}
}

func (s *Server) list(w http.ResponseWriter, _ *http.Request) {
	out := []projectJSON{}
	for _, p := range s.Projects() {
		out = append(out, show(p))
	}
	writeJSON(w, http.StatusOK, map[string]any{"results": out})
}

func (s *Server) get(w http.ResponseWriter, r *http.Request) {
	p, err := s.project(r)
	if err != nil {
		WriteError(w, err)
		return
	}
	writeJSON(w, http.StatusOK, show(p))
}

func (s *Server) create(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxProjectBody))
	if err != nil {
		WriteError(w, err)
		return
	}
	var in struct {
		Name      string `json:"name"`
		Timezone  string `json:"timezone"`
		WeekStart *int   `json:"week_start_day"`
	}
	if err := json.Unmarshal(body, &in); err != nil {
		WriteError(w, invalid("invalid_json", "body", "the body is not the JSON that is expected: "+err.Error()))
		return
	}
	if in.Name == "" {
		WriteError(w, invalid("required", "name", "a project needs a name"))
		return
	}
	if len(in.Name) > 200 {
		WriteError(w, invalid("invalid_input", "name", "a project's name is at most 200 bytes long"))
		return
	}
	if _, err := time.LoadLocation(in.Timezone); err != nil || in.Timezone == "Local" {
		WriteError(w, invalid("invalid_input", "timezone", "unknown time zone "+quoted(in.Timezone)))
		return
	}
	spec := cluster.ProjectSpec{Name: in.Name, Timezone: in.Timezone, WeekStart: 1}
	if in.WeekStart != nil {
		if spec.WeekStart = *in.WeekStart; spec.WeekStart < 0 || spec.WeekStart > 1 {
			WriteError(w, invalid("invalid_input", "week_start_day", "week_start_day is 0 for Sunday or 1 for Monday"))
			return
		}
	}
	p, err := s.Create(r.Context(), spec)
	if err != nil {
		WriteError(w, err)
		return
	}
	writeJSON(w, http.StatusCreated, show(p))
}

func (s *Server) delete(w http.ResponseWriter, r *http.Request) {
	p, err := s.project(r)
	if err == nil {
		err = s.Delete(r.Context(), p.ID)
	}
	if err != nil {
		WriteError(w, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (s *Server) importTo(w http.ResponseWriter, r *http.Request) {
	if _, err := s.project(r); err != nil {
		WriteError(w, err)
		return
	}
	if s.Import == nil {
		WriteError(w, pgerr.Unsupported("import over HTTP"))
		return
	}
	s.Import.ServeHTTP(w, r)
}
