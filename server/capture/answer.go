package capture

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"
)

// TokenHeader is the header of an answer with the token of what was written.
const TokenHeader = "X-Prickle-Token"

// Refused is an error of Admit or of an Ingester that clients are told of as it is.
type Refused struct {
	Status       int
	Code, Detail string
	RetryAfter   time.Duration // 0: no such header
	// Quota, if not empty, is what is used up, in the word of client libraries. Capture
	// answers 200 with it, whatever Status says: they then stop sending by themselves.
	Quota string
}

// Error implements error.
func (r *Refused) Error() string { return r.Detail }

func (r *Refused) refusal() *refusal {
	kind := "server_error"
	if r.Status < 500 {
		kind = "limit_exceeded"
	}
	return &refusal{r.Status, kind, r.Code, r.Detail, int((r.RetryAfter + time.Second - 1) / time.Second)}
}

// MirrorOrigin lets any page read the answer: the routes are for everyone with a token.
// The origin is repeated, because a star does not go with credentials.
func MirrorOrigin(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Add("Vary", "Origin")
	if origin := r.Header.Get("Origin"); origin != "" {
		h.Set("Access-Control-Allow-Origin", origin)
		h.Set("Access-Control-Allow-Credentials", "true")
		h.Set("Access-Control-Expose-Headers", TokenHeader)
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

// retrySeconds is when a client may try again after 503, unless it is told otherwise.
const retrySeconds = 2

func unavailable() *refusal {
	return &refusal{http.StatusServiceUnavailable, "server_error", "unavailable", "events cannot be stored right now; try again", retrySeconds}
}

func answerRefusal(w http.ResponseWriter, r *refusal) {
	if r.retry > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(r.retry))
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
