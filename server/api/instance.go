package api

import (
	"net/http"
	"strconv"
)

// listQueries is GET /api/instance/queries/: those that run, and the last that ended.
func (s *Server) listQueries(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]any{"results": s.Queries.List(), "ended": s.Queries.Ended()})
}

// cancelQuery is DELETE /api/instance/queries/:id/. The id is the query's number, or the name that
// its client gave it.
func (s *Server) cancelQuery(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("query")
	id, err := strconv.ParseUint(name, 10, 64)
	if !s.Queries.CancelNamed(name) && (err != nil || !s.Queries.Cancel(id)) {
		WriteError(w, notFound("there is no running query "+quoted(name)))
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// freeBallast is POST /api/instance/free-ballast/: the file that was kept for a full disk
// is deleted.
func (s *Server) freeBallast(w http.ResponseWriter, _ *http.Request) {
	n, err := s.FreeBallast()
	if err != nil {
		WriteError(w, err)
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{"freed_bytes": n})
}
