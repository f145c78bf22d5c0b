package server

import (
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/prickledb/prickle/cluster"
)

// healthz says that the process is alive. It takes no lock and touches no disk.
func (s *Server) healthz(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, "{\"status\":\"ok\",\"version\":%q}\n", s.config.Version) //nolint:errcheck // the client may be gone
}

// readyz says whether this process may be sent traffic: reads and writes, or with
// ?for=read only reads.
func (s *Server) readyz(w http.ResponseWriter, r *http.Request) {
	answer := struct {
		Status  string   `json:"status"`
		Reasons []string `json:"reasons,omitempty"`
		Detail  string   `json:"detail,omitempty"`
		Lost    string   `json:"lost,omitempty"` // of a damaged directory, which is read-only
	}{Status: "ready"}
	answer.Reasons, answer.Detail = s.reasons(r.URL.Query().Get("for") == "read")
	if s.handler.Load() != nil {
		if loss := s.backend.Loss(); loss != nil {
			answer.Lost = loss.String()
		}
	}
	w.Header().Set("Content-Type", "application/json")
	if len(answer.Reasons) > 0 {
		answer.Status = "not_ready"
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(answer) // the client may be gone
}

// reasons says why this process is not ready; nothing if it is.
func (s *Server) reasons(onlyRead bool) (reasons []string, detail string) {
	if s.draining.Load() {
		reasons = append(reasons, "draining")
	}
	if s.handler.Load() == nil {
		reason := "starting"
		if s.config.Replay != nil {
			if percent, ok := s.config.Replay.Percent(); ok {
				reason = fmt.Sprintf("replaying %d %%", percent)
			}
		}
		return append(reasons, reason), ""
	}
	if err := s.backend.Err(); err != nil {
		return append(reasons, "recovering"), err.Error()
	}
	if onlyRead {
		return reasons, ""
	}
	if s.backend.Loss() != nil {
		return append(reasons, "recovering"), "read-only, because acknowledged data is damaged"
	}
	if !s.backend.Leads() {
		reasons = append(reasons, "no_leader")
	}
	if disk := s.backend.Disk(); disk.State >= cluster.DiskFull {
		reasons = append(reasons, "disk_full")
		detail = fmt.Sprintf("%d MB of the disk are free", disk.Free>>20)
	}
	return reasons, detail
}
