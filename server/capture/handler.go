package capture

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/zeebo/xxh3"

	"github.com/prickledb/prickle/storage/event"
)

// Paths are those that Handler answers, each also with a slash at its end.
var Paths = []string{"/capture", "/batch", "/e", "/i/v0/e", "/track", "/engage", "/i/v0/ai/batch"}

// Ingester stores events. When Ingest returns without an error, they are durable and
// visible to queries. It takes the batch. Clients are told of a *Refused.
type Ingester interface {
	Ingest(ctx context.Context, project uint32, b *event.Batch) (Receipt, error)
	// NameGroups gives types of groups an index, where they have none yet and one is left. It
	// gives the names of all types by index.
	NameGroups(ctx context.Context, project uint32, names []string) ([]string, error)
}

// Receipt is the outcome of a write: the token of the state that has it, and how many
// events were stored, and were there already.
type Receipt struct {
	Token              string
	Stored, Duplicates int
}

// Tokens knows the projects. It is asked once a request and must not need the disk.
type Tokens interface {
	ByToken(token string) (project uint32, ok bool)
}

// Handler answers client libraries. Its fields are set before the first request.
type Handler struct {
	Tokens Tokens
	Ingest Ingester
	Logger *slog.Logger
	// Now is the clock; time.Now if nil.
	Now func() time.Time
	// Admit, if not nil, may refuse the events of a request with a *Refused, before any of
	// them is stored. Done, if not nil, is told of each request whose project is known: what
	// became of it ("ok", "limited", "refused", "failed"), its events and its bytes. Both
	// may be called concurrently.
	Admit func(project uint32, events int) error
	Done  func(project uint32, result string, events int, bytes int64)
	// Warn, if not nil, is told what was accepted but not as it was meant, or refused
	// while the rest of its request was stored: the kind, and how many events. It may be
	// called concurrently.
	Warn func(project uint32, kind string, detail string, count int)

	decoders sync.Pool
}

// ServeHTTP answers one request on any of the paths.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	MirrorOrigin(w, r)
	switch r.Method {
	case http.MethodOptions:
		preflight(w, r)
		return
	case http.MethodPost, http.MethodGet:
	default:
		w.Header().Set("Allow", "GET, POST, OPTIONS")
		answerRefusal(w, newRefusal(http.StatusMethodNotAllowed, "invalid_request", "method_not_allowed", "events are sent with POST"))
		return
	}
	token, err := h.capture(r)
	if token != "" {
		w.Header().Set(TokenHeader, token)
	}
	quota := ""
	if err != nil {
		var refused *Refused
		if !errors.As(err, &refused) || refused.Quota == "" {
			h.refuse(w, err)
			return
		}
		quota = refused.Quota
	}
	if r.URL.Query().Get("beacon") == "1" {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	if quota != "" {
		answerJSON(w, http.StatusOK, map[string]any{"status": "Ok", "quota_limited": []string{quota}})
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write([]byte(`{"status":"Ok"}`)) //nolint:errcheck // the client may be gone
}

// result is the word for what became of a request.
func result(err error) string {
	var refused *Refused
	switch {
	case err == nil:
		return "ok"
	case errors.As(err, &refused) && refused.Status < 500:
		return "limited"
	case errors.As(err, new(*refusal)):
		return "refused"
	}
	return "failed"
}

// capture stores the events of a request, and gives the token of the last that were.
func (h *Handler) capture(r *http.Request) (token string, err error) {
	now := time.Now
	if h.Now != nil {
		now = h.Now
	}
	buffer, _ := bodies.Get().(*bytes.Buffer)
	if buffer == nil {
		buffer = new(bytes.Buffer)
	}
	defer func() {
		if buffer.Cap() <= keptBody {
			buffer.Reset()
			bodies.Put(buffer)
		}
	}()
	body, err := payload(r, buffer)
	if err != nil {
		return "", err
	}
	env := envelope{clock: clock{now: now().UnixMicro()}, ip: clientIP(r)}
	query := r.URL.Query()
	for _, name := range []string{"token", "api_key"} {
		if env.token == "" {
			env.token = strings.TrimSpace(query.Get(name))
		}
	}
	for _, name := range []string{"_", "sent_at"} {
		// Until 2020 such numbers were seconds, which is of no use here.
		if ms, err := strconv.ParseInt(query.Get(name), 10, 64); err == nil && ms > 1609459200_000 && ms < 253402300800_000 && !env.clock.sentAtSet {
			env.clock.sentAt, env.clock.sentAtSet = ms*1000, true
		}
	}
	if strings.Trim(r.URL.Path, "/") == "engage" {
		env.name = []byte("$identify")
	}
	d, _ := h.decoders.Get().(*decoder)
	if d == nil {
		d = newDecoder(Capture)
	}
	req, err := d.decodeRequest(body, env)
	if err != nil {
		// The builder may hold rows of the part before the error: it is not used again.
		return "", err
	}
	key := requestKey(r, body, d.fresh)
	if cap(d.s.arena)+cap(d.s.made)+cap(d.made) < 4<<20 {
		d.s.src, d.o.src, d.ip, d.row = nil, nil, nil, row{} // the body is not held
		h.decoders.Put(d)
	}
	name, err := checkToken(req.tokens)
	if err != nil {
		return "", err
	}
	project, ok := h.Tokens.ByToken(name)
	if !ok {
		return "", unauthorized("unknown_token", "there is no project with the token "+strconv.Quote(name))
	}
	if h.Done != nil {
		defer func() { h.Done(project, result(err), req.rows, int64(len(body))) }()
	}
	if req.rows == 0 && len(req.refused) > 0 {
		first := req.refused[0]
		code := map[string]string{BadEvent: "missing_event_name", BadID: "missing_distinct_id", BadTooLarge: "message_size_too_large"}[first.kind]
		if code == "" {
			code = "invalid_event"
		}
		if first.kind == BadTooLarge {
			return "", newRefusal(http.StatusRequestEntityTooLarge, "validation_error", code, first.detail)
		}
		return "", invalid(code, "nothing in the request can be stored: %s", first.detail)
	}
	if h.Admit != nil {
		if err := h.Admit(project, req.rows); err != nil {
			return "", err
		}
	}
	if len(req.batches) == 1 {
		req.batches[0].Request = key
	}
	for _, b := range req.batches {
		ignored, err := nameGroups(b, func(types []string) ([]string, error) { return h.Ingest.NameGroups(r.Context(), project, types) })
		if err != nil {
			return token, err
		}
		if len(ignored) > 0 {
			req.warnings["too_many_group_types"] += len(ignored)
		}
		receipt, err := h.Ingest.Ingest(r.Context(), project, b)
		if err != nil {
			return token, err
		}
		token = receipt.Token
	}
	if h.Warn != nil {
		for _, kind := range slices.Sorted(maps.Keys(req.warnings)) {
			h.Warn(project, kind, "", req.warnings[kind])
		}
		for _, refused := range req.refused {
			h.Warn(project, "event_refused", "event "+refused.kind+": "+refused.detail, 1)
		}
	}
	return token, nil
}

// requestKey names a request, so that one that is sent again is answered without work: by the
// id that the client gives it, or by its bytes if they name every event. The same bytes may
// otherwise be other events: "hello" twice in an hour.
func requestKey(r *http.Request, body []byte, fresh bool) (key [16]byte) {
	switch id := r.Header.Get("PostHog-Request-Id"); {
	case id != "":
		return xxh3.HashString128(id).Bytes()
	case !fresh:
		return xxh3.Hash128(body).Bytes()
	}
	return key
}

// refuse answers with an error: the client's, or ours.
func (h *Handler) refuse(w http.ResponseWriter, err error) {
	var limited *Refused
	if errors.As(err, &limited) {
		answerRefusal(w, limited.refusal())
		return
	}
	var refused *refusal
	if errors.As(err, &refused) {
		answerRefusal(w, refused)
		return
	}
	if h.Logger != nil {
		h.Logger.Error("events not stored", "error", err)
	}
	answerRefusal(w, unavailable())
}

// clientIP is the address of whoever sent the request.
func clientIP(r *http.Request) []byte {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return nil
	}
	return []byte(host)
}
