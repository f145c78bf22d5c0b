package api

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prickledb/prickle/cluster"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/server/ask"
	"github.com/prickledb/prickle/server/capture"
	"github.com/prickledb/prickle/server/session"
	"github.com/prickledb/prickle/storage"
)

// maxProjectBody is the limit of a project's settings in bytes.
const maxProjectBody = 1 << 20

// Server answers the API. Its fields are set before the first request.
type Server struct {
	Projects func() []storage.Project
	Create   func(context.Context, cluster.ProjectSpec) (storage.Project, error)
	Update   func(context.Context, storage.ProjectUpdate) (storage.Project, error)
	Delete   func(ctx context.Context, project uint32) error
	Persons  Persons // or nil
	Saved    Saved   // or nil
	// Applied is the Raft index up to which an answer has seen everything.
	Applied func() uint64
	// Usage is what a project has used.
	Usage func(project uint32, at time.Time) storage.Usage
	// Open makes the session of one question, with settings; now, if not nil, is its instant, and
	// name what the client calls it, so that it can end it.
	Open func(ctx context.Context, project storage.Project, settings map[string]string, now *time.Time, name string) (*session.Session, error)
	// Answers keeps the rows of insight queries; nil: none are kept.
	Answers *ask.Cache
	// Queries are the questions that run now; FreeBallast gives the disk what is kept for
	// bad times.
	Queries     *session.Queries
	FreeBallast func() (int64, error)
	Import      http.Handler // of /api/projects/:id/import/, whose {id} is checked
	Logger      *slog.Logger

	// Saving is held while actions or cohorts change, so that together they make no cycle.
	Saving *sync.Mutex

	calculated calculations
}

// Handler is the paths below /api/.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	both := func(method, path string, h http.HandlerFunc) {
		mux.HandleFunc(method+" "+path, h)
		mux.HandleFunc(method+" "+path+"/{$}", h)
		if rest, of := strings.CutPrefix(path, "/api/projects/{id}/"); of {
			mux.HandleFunc(method+" /api/environments/{id}/"+rest, h)
			mux.HandleFunc(method+" /api/environments/{id}/"+rest+"/{$}", h)
		}
	}
	both("GET", "/api/projects", s.list)
	both("POST", "/api/projects", s.create)
	both("GET", "/api/projects/{id}", s.get)
	both("PATCH", "/api/projects/{id}", s.update)
	both("DELETE", "/api/projects/{id}", s.delete)
	both("GET", "/api/instance/queries", s.listQueries)
	both("DELETE", "/api/instance/queries/{query}", s.cancelQuery)
	both("POST", "/api/instance/free-ballast", s.freeBallast)
	both("DELETE", "/api/projects/{id}/persons/{person}", s.deletePerson)
	both("POST", "/api/projects/{id}/persons/{person}/split", s.splitPerson)
	both("POST", "/api/projects/{id}/persons/bulk_delete", s.deletePersons)
	both("POST", "/api/projects/{id}/query", s.query)
	both("POST", "/api/projects/{id}/import", s.importTo)
	s.savedRoutes(both)
	s.definitionRoutes(both)
	mux.HandleFunc("POST /query", s.statement)
	mux.HandleFunc("DELETE /query/{query}", s.cancelQuery)
	mux.HandleFunc("GET /insights/", s.link)
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
	return s.projectNamed(r.PathValue("id"))
}

// projectNamed finds a project by its number; "@current" is the first.
func (s *Server) projectNamed(name string) (storage.Project, error) {
	id, err := strconv.ParseUint(name, 10, 32)
	for _, p := range s.Projects() {
		if err == nil && uint64(p.ID) == id || name == "@current" {
			return p, nil
		}
	}
	return storage.Project{}, notFound("there is no project " + quoted(name))
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
	// RetentionDays is how long events are kept; null is for ever.
	RetentionDays *int64         `json:"retention_days"`
	Limits        storage.Limits `json:"limits"`
	// What insights leave out when they are asked to, and how they shorten paths.
	TestAccountFilters json.RawMessage        `json:"test_account_filters"`
	PathCleaning       []storage.PathCleaning `json:"path_cleaning_filters"`
	Usage              *usageJSON             `json:"usage,omitempty"` // of one project, not of a list
}

type usageJSON struct {
	Events      int64 `json:"events"`
	MonthEvents int64 `json:"month_events"`
	Bytes       int64 `json:"stored_bytes"`
}

func show(p storage.Project) projectJSON {
	out := projectJSON{ID: p.ID, Name: p.Name, Database: p.Database, APIToken: p.Token, Timezone: p.Timezone, WeekStart: p.WeekStart,
		CreatedAt: time.UnixMicro(p.CreatedAt).UTC().Format("2006-01-02T15:04:05.999999Z"), Limits: p.Limits,
		TestAccountFilters: p.TestAccountFilters, PathCleaning: p.PathCleaning}
	if out.TestAccountFilters == nil {
		out.TestAccountFilters = json.RawMessage("[]")
	}
	if out.PathCleaning == nil {
		out.PathCleaning = []storage.PathCleaning{}
	}
	if p.Retention > 0 {
		days := p.Retention / dayMicros
		out.RetentionDays = &days
	}
	return out
}

// showAll is show with what the project has used.
func (s *Server) showAll(p storage.Project) projectJSON {
	out := show(p)
	u := s.Usage(p.ID, time.Now())
	out.Usage = &usageJSON{u.Events, u.MonthEvents, u.Bytes}
	return out
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
	writeJSON(w, http.StatusOK, s.showAll(p))
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
		projectFilters
	}
	if err := json.Unmarshal(body, &in); err != nil {
		WriteError(w, invalid("invalid_json", "body", "the body is not the JSON that is expected: "+err.Error()))
		return
	}
	err = checkProject(&in.Name, &in.Timezone, in.WeekStart)
	if err == nil {
		err = in.projectFilters.check()
	}
	if err != nil {
		WriteError(w, err)
		return
	}
	spec := cluster.ProjectSpec{Name: in.Name, Timezone: in.Timezone, WeekStart: 1, TestAccountFilters: in.TestAccount}
	if in.PathCleaning != nil {
		spec.PathCleaning = *in.PathCleaning
	}
	if in.WeekStart != nil {
		spec.WeekStart = *in.WeekStart
	}
	p, err := s.Create(r.Context(), spec)
	if err != nil {
		WriteError(w, err)
		return
	}
	s.written(w)
	writeJSON(w, http.StatusCreated, show(p))
}

// written says from which state on a write is seen. Everything that is applied includes it.
func (s *Server) written(w http.ResponseWriter) {
	w.Header().Set(capture.TokenHeader, cluster.Token{Index: s.Applied()}.String())
}

// checkProject holds what is given of a project's settings against the rules.
func checkProject(name, zone *string, weekStart *int) error {
	if name != nil && *name == "" {
		return invalid("required", "name", "a project needs a name")
	}
	if name != nil && len(*name) > 200 {
		return invalid("invalid_input", "name", "a project's name is at most 200 bytes long")
	}
	if zone != nil {
		if _, err := time.LoadLocation(*zone); err != nil || *zone == "Local" {
			return invalid("invalid_input", "timezone", "unknown time zone "+quoted(*zone))
		}
	}
	if weekStart != nil && *weekStart != 0 && *weekStart != 1 {
		return invalid("invalid_input", "week_start_day", "week_start_day is 0 for Sunday or 1 for Monday")
	}
	return nil
}

// update is PATCH /api/projects/:id/: what the body names is changed. Of limits, too, only
// those that are named.
func (s *Server) update(w http.ResponseWriter, r *http.Request) {
	p, err := s.project(r)
	if err != nil {
		WriteError(w, err)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxProjectBody))
	if err != nil {
		WriteError(w, err)
		return
	}
	var in struct {
		Name      *string          `json:"name"`
		Timezone  *string          `json:"timezone"`
		WeekStart *int             `json:"week_start_day"`
		Limits    *json.RawMessage `json:"limits"`
		Retention json.RawMessage  `json:"retention_days"` // null is for ever
		projectFilters
	}
	if err := json.Unmarshal(body, &in); err != nil {
		WriteError(w, invalid("invalid_json", "body", "the body is not the JSON that is expected: "+err.Error()))
		return
	}
	err = checkProject(in.Name, in.Timezone, in.WeekStart)
	if err == nil {
		err = in.projectFilters.check()
	}
	if err != nil {
		WriteError(w, err)
		return
	}
	u := storage.ProjectUpdate{ID: p.ID, Name: in.Name, Timezone: in.Timezone, WeekStart: in.WeekStart, PathCleaning: in.PathCleaning}
	if in.TestAccount != nil {
		u.TestAccountFilters = &in.TestAccount
	}
	if len(in.Retention) > 0 {
		if u.Retention, err = readRetention(in.Retention); err != nil {
			WriteError(w, err)
			return
		}
	}
	if in.Limits != nil {
		limits, err := readLimits(*in.Limits, p.Limits)
		if err != nil {
			WriteError(w, err)
			return
		}
		u.Limits = &limits
	}
	if p, err = s.Update(r.Context(), u); err != nil {
		WriteError(w, err)
		return
	}
	s.written(w)
	writeJSON(w, http.StatusOK, s.showAll(p))
}

// readRetention gives µs for a number of days, and 0 for null.
func readRetention(raw []byte) (*int64, error) {
	var days *int64
	if err := json.Unmarshal(raw, &days); err != nil || days != nil && (*days < 1 || *days > maxRetentionDays) {
		return nil, invalid("invalid_input", "retention_days", "retention_days is 1 to "+strconv.Itoa(maxRetentionDays)+", or null for ever")
	}
	keep := int64(0)
	if days != nil {
		keep = *days * dayMicros
	}
	return &keep, nil
}

// readLimits changes limits by a JSON object. 0 lifts one.
func readLimits(raw []byte, limits storage.Limits) (storage.Limits, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&limits); err != nil {
		return limits, invalid("invalid_input", "limits", "limits: "+err.Error())
	}
	for _, n := range []int64{limits.EventsPerSecond, limits.EventsPerMonth, limits.StoredBytes, limits.QuerySecondsPerHour, limits.Queries,
		limits.UserQueries, limits.QueryWeight, limits.Properties} {
		if n < 0 {
			return limits, invalid("invalid_input", "limits", "a limit is 0 for none, or more")
		}
	}
	return limits, nil
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
	s.written(w)
	w.WriteHeader(http.StatusNoContent)
}

func (s *Server) importTo(w http.ResponseWriter, r *http.Request) {
	p, err := s.project(r)
	if err != nil {
		WriteError(w, err)
		return
	}
	r.SetPathValue("id", strconv.FormatUint(uint64(p.ID), 10))
	if s.Import == nil {
		WriteError(w, pgerr.Unsupported("import over HTTP"))
		return
	}
	s.Import.ServeHTTP(w, r)
}
