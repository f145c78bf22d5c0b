package capture

import (
	"encoding/json"
	"net/http"
	"strconv"
)

// mirrorOrigin lets any page read the answer: the routes are for everyone with a token.
// The origin is repeated, because a star does not go with credentials.
func mirrorOrigin(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Add("Vary", "Origin")
	if origin := r.Header.Get("Origin"); origin != "" {
		h.Set("Access-Control-Allow-Origin", origin)
		h.Set("Access-Control-Allow-Credentials", "true")
	}
}

// preflight allows whatever headers a page wants to send: proxies and wrappers add their own.
func preflight(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Access-Control-Allow-Methods", "GET, POST, OPTIONS")
	if wanted := r.Header.Values("Access-Control-Request-Headers"); len(wanted) > 0 {
		h["Access-Control-Allow-Headers"] = wanted
	}
	h.Set("Access-Control-Max-Age", "86400")
	w.WriteHeader(http.StatusOK)
}

// retrySeconds is when a client may try again after 503.
const retrySeconds = 2

func unavailable() *refusal {
	return &refusal{http.StatusServiceUnavailable, "server_error", "unavailable", "events cannot be stored right now; try again"}
}

func answerRefusal(w http.ResponseWriter, r *refusal) {
	if r.status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", strconv.Itoa(retrySeconds))
	}
	answerJSON(w, r.status, struct {
		Type   string  `json:"type"`
		Code   string  `json:"code"`
		Detail string  `json:"detail"`
		Attr   *string `json:"attr"`
	}{r.kind, r.code, r.detail, nil})
}

func answerJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil { // our own types always marshal
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(body) //nolint:errcheck // the client may be gone
}
