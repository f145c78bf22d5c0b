package api

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/prickledb/prickle/engine"
	"github.com/prickledb/prickle/engine/format"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/server/capture"
	"github.com/prickledb/prickle/server/session"
	"github.com/prickledb/prickle/sql/insight"
	"github.com/prickledb/prickle/storage"
)

// Limits of a question: its body in bytes, and how many rows it answers with unless it
// says, and at most. An answer is held in memory, since its errors must come before it.
const (
	maxQueryBody = 16 << 20
	defaultRows  = 10_000
	maxRows      = 1_000_000
)

// progressAfter is when a streamed answer begins to tell how far it is.
const progressAfter = 400 * time.Millisecond

type queryRequest struct {
	Query         json.RawMessage `json:"query"`
	Filters       json.RawMessage `json:"filters"` // the old form of an insight query, without query
	Now           *time.Time      `json:"now"`
	ClientQueryID string          `json:"client_query_id"`
	// Refresh says whether an answer may come from the cache: with true, force_blocking and
	// force_async it may not.
	Refresh json.RawMessage `json:"refresh"`
	// Which state is read: a token whose state it must include, the level, how old it may be,
	// and the token of the very state. The session settings prickle.* are the same.
	Token       string `json:"token"`
	Consistency string `json:"consistency"`
	MaxAge      string `json:"max_age"` // of the level bounded, such as 5s
	At          string `json:"at"`

	sql *sqlQuery // nil: an insight query
	old bool      // it was in the form of old links: what it names must be there
}

// sqlQuery is a query in SQL.
type sqlQuery struct {
	Query string `json:"query"`
	Limit *int   `json:"limit"`
}

// query is POST /api/projects/:id/query/.
func (s *Server) query(w http.ResponseWriter, r *http.Request) {
	project, err := s.project(r)
	if err != nil {
		WriteError(w, err)
		return
	}
	q, err := readQuery(w, r)
	if err != nil {
		WriteError(w, err)
		return
	}
	if as, err := formOf("", r.Header.Get("Accept")); err == nil && q.sql != nil && !as.json && as.options.Kind != format.JSONL {
		s.rows(w, r, project, q.sql.Query, q.settings(), nil, as)
		return
	}
	if strings.Contains(r.Header.Get("Accept"), "application/x-ndjson") {
		s.stream(w, r, project, q)
		return
	}
	body, token, err := s.answer(r.Context(), project, q, nil)
	if err != nil {
		s.log(err)
		WriteError(w, err)
		return
	}
	w.Header().Set(capture.TokenHeader, token)
	header(w, http.StatusOK, "application/json")
	_, _ = w.Write(body) // a client that has gone needs no answer
}

func readQuery(w http.ResponseWriter, r *http.Request) (*queryRequest, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxQueryBody))
	if err != nil {
		return nil, err
	}
	var q queryRequest
	if err := json.Unmarshal(body, &q); err != nil {
		return nil, invalid("invalid_json", "body", "the body is not the JSON that is expected: "+err.Error())
	}
	if err := q.prepare(); err != nil {
		return nil, err
	}
	q.from(r)
	return &q, nil
}

// prepare finds the query inside its wrappings.
func (q *queryRequest) prepare() error {
	if empty(q.Query) && !empty(q.Filters) {
		var err error
		if q.Query, err = insight.Filters(q.Filters); err != nil {
			return err
		}
		q.old = true
	}
	if empty(q.Query) {
		return invalid("required", "query", `the body needs "query": {"kind": "SQLQuery", "query": "select …"}, or an insight query`)
	}
	inner, kind, err := insight.Unwrap(q.Query)
	if err != nil {
		return err
	}
	q.Query = inner
	if kind != "SQLQuery" && kind != "HogQLQuery" {
		return insight.Known(kind)
	}
	q.sql = &sqlQuery{}
	if err := json.Unmarshal(inner, q.sql); err != nil {
		return invalid("invalid_json", "query", "the query is not the JSON that is expected: "+err.Error())
	}
	if n := q.sql.Limit; n != nil && (*n < 0 || *n > maxRows) {
		return invalid("invalid_input", "query.limit", "limit must lie between 0 and "+strconv.Itoa(maxRows))
	}
	return nil
}

// empty says whether JSON is missing or null.
func empty(raw json.RawMessage) bool { return len(raw) == 0 || string(raw) == "null" }

// from adds what the header and the URL say of the state that is read; the body wins.
func (q *queryRequest) from(r *http.Request) {
	url := r.URL.Query()
	q.Token = cmp.Or(q.Token, url.Get("token"), r.Header.Get(capture.TokenHeader))
	q.Consistency = cmp.Or(q.Consistency, url.Get("consistency"))
	q.MaxAge = cmp.Or(q.MaxAge, url.Get("max_age"))
	q.At = cmp.Or(q.At, url.Get("at"))
}

// fresh says whether the answer must not come from a cache.
func (q *queryRequest) fresh() bool {
	switch strings.Trim(string(q.Refresh), `"`) {
	case "true", "force_blocking", "force_async":
		return true
	}
	return false
}

// settings are what a session reads by.
func (q *queryRequest) settings() map[string]string {
	out := map[string]string{}
	for name, value := range map[string]string{session.TokenSetting: q.Token, session.ConsistencySetting: q.Consistency,
		session.MaxAgeSetting: q.MaxAge, session.AtSetting: q.At} {
		if value != "" {
			out[name] = value
		}
	}
	return out
}

// stream answers with lines: how far it is, and then the answer or the error.
func (s *Server) stream(w http.ResponseWriter, r *http.Request, project storage.Project, q *queryRequest) {
	type outcome struct {
		body  []byte
		token string
		err   error
	}
	done := make(chan outcome, 1)
	progress := make(chan *engine.Progress, 1)
	go func() {
		body, token, err := s.answer(r.Context(), project, q, progress)
		done <- outcome{body, token, err}
	}()
	var out outcome
	select {
	case out = <-done:
		if out.err != nil { // nothing is sent yet, so the status can still say it
			s.log(out.err)
			WriteError(w, out.err)
			return
		}
		w.Header().Set(capture.TokenHeader, out.token)
		header(w, http.StatusOK, "application/x-ndjson")
	case <-time.After(progressAfter):
		header(w, http.StatusOK, "application/x-ndjson")
		flusher := http.NewResponseController(w)
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		var p *engine.Progress
		for waiting := true; waiting; {
			select {
			case out = <-done:
				waiting = false
			case p = <-progress:
			case <-tick.C:
				if p == nil {
					continue
				}
				line, _ := json.Marshal(map[string]any{"type": "progress", "rows": p.Rows.Load(),
					"total_rows": p.TotalRows.Load(), "bytes": p.Bytes.Load()}) // numbers always marshal
				_, _ = w.Write(append(line, '\n')) // the request's context says when the client is gone
				_ = flusher.Flush()                // as above
			}
		}
	}
	if out.err != nil {
		s.log(out.err)
		line, _ := json.Marshal(map[string]any{"error": FromError(out.err)}) // our own type
		out.body = append(line, '\n')
	}
	_, _ = w.Write(out.body) // a client that has gone needs no answer
}

// answer runs a question and gives its envelope, and the token of what it read. It tells progress of what the statement
// reads, if progress is not nil.
func (s *Server) answer(ctx context.Context, project storage.Project, q *queryRequest, progress chan<- *engine.Progress) (body []byte, token string, err error) {
	began := time.Now()
	sess, err := s.Open(ctx, project, q.settings(), q.Now, q.ClientQueryID)
	if err != nil {
		return nil, "", err
	}
	defer sess.Close()
	if q.sql == nil {
		return s.insight(ctx, sess, q, began)
	}
	text := q.sql.Query
	stmts, err := sess.Parse(text)
	if err != nil {
		return nil, "", err
	}
	if len(stmts) != 1 {
		return nil, "", invalid("invalid_input", "query.query", "the query must be one statement, and holds "+strconv.Itoa(len(stmts)))
	}
	if stmts[0].Params > 0 {
		return nil, "", pgerr.New(pgerr.UndefinedParameter, "there is no parameter $%d", stmts[0].Params)
	}
	parsed := time.Now()
	p := sess.Open(stmts[0].Stmt, text)
	defer p.Close()
	limit := defaultRows
	if q.sql.Limit != nil {
		limit = *q.sql.Limit
	}
	var rows bytes.Buffer
	more := false
	err = p.Run(func() error {
		if progress != nil && p.Progress() != nil {
			progress <- p.Progress()
		}
		var err error
		more, err = appendRows(&rows, sess, p, limit)
		return err
	})
	if err != nil {
		sess.Fail(err)
		return nil, "", err
	}
	if err := sess.Sync(); err != nil {
		return nil, "", err
	}
	cut, ok := sess.Cut()
	if !ok { // it read nothing
		cut = session.Cut{Index: s.Applied(), Taken: time.Now()}
	}

	env := s.envelope(q, cut, began)
	env.Columns, env.Types = make([]string, len(p.Schema)), make([]string, len(p.Schema))
	for i, f := range p.Schema {
		env.Columns[i], env.Types[i] = f.Name, typeName(f.Type)
	}
	if pr := p.Progress(); pr != nil {
		env.RowsRead, env.BytesRead = pr.Rows.Load(), pr.Bytes.Load()
	}
	env.HasMore, env.Query = &more, strings.TrimSpace(text)
	env.Timings["parse"], env.Timings["run"] = seconds(parsed.Sub(began)), seconds(time.Since(parsed))
	rest, err := json.Marshal(env)
	if err != nil {
		return nil, "", err
	}
	body = append([]byte(`{"results":[`), rows.Bytes()...)
	body = append(body, "],"...)
	body = append(body, rest[1:]...)
	return append(body, '\n'), cut.Token(), nil
}

// envelope is what every answer holds besides its results.
type envelope struct {
	Columns   []string           `json:"columns,omitempty"`
	Types     []string           `json:"types,omitempty"`
	HasMore   *bool              `json:"hasMore,omitempty"`
	Timings   map[string]float64 `json:"timings"`
	RowsRead  int64              `json:"rows_read"`
	BytesRead int64              `json:"bytes_read"`
	IsCached  bool               `json:"is_cached"`
	Query     string             `json:"query"`
	Token     string             `json:"token"`
	Applied   uint64             `json:"applied"`
	AgeMS     int64              `json:"age_ms"` // since the state that was read was the newest
	Partial   bool               `json:"partial"`
	ID        string             `json:"client_query_id,omitempty"`
}

func seconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1e6 }

func (s *Server) envelope(q *queryRequest, cut session.Cut, began time.Time) *envelope {
	return &envelope{Timings: map[string]float64{"total": seconds(time.Since(began))}, Token: cut.Token(), Applied: cut.Index,
		AgeMS: time.Since(cut.Taken).Milliseconds(), ID: q.ClientQueryID}
}

// appendRows adds rows as JSON arrays, at most limit, and says whether there are more.
func appendRows(out *bytes.Buffer, sess *session.Session, p *session.Portal, limit int) (more bool, err error) {
	ctx := sess.Context()
	var line []byte
	for n := 0; ; {
		b, lo, hi, err := p.Take(limit - n + 1) // one more, to know whether there is one
		if b == nil || err != nil {
			return false, err
		}
		for ; lo < hi; lo++ {
			if n == limit {
				return true, nil
			}
			row := lo
			if b.Sel != nil {
				row = int(b.Sel[lo])
			}
			line = appendRow(line[:0], b, row, n > 0, ctx)
			out.Write(line)
			n++
		}
	}
}
