package session

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prickledb/prickle/engine"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/segment"
)

// errAdmin is what a query ends with that somebody cancelled by its id.
var errAdmin = pgerr.New(pgerr.QueryCanceled, "canceling statement due to user request").
	WithDetail("It was cancelled by its id in the list of queries.")

// maxShown bounds the text of a statement in lists and logs, in bytes.
const maxShown = 1000

// Queries are the questions that run now, of all sessions. Its exported fields are set
// before it is used; all may be nil or zero.
type Queries struct {
	// Admit takes a place for a question that reads a table, waiting for one if need be.
	// What it gives is called with the time that the question ran.
	Admit func(ctx context.Context, project uint32) (release func(took time.Duration), err error)
	// MaxRows and MaxBytes end questions that read more.
	MaxRows, MaxBytes int64
	// Slow is from which time on a question has a line in the log; 0: none has.
	Slow   time.Duration
	Logger *slog.Logger
	// Done is told of each question that ended: its kind, the time it ran, and why it was
	// killed, if it was.
	Done func(kind string, took time.Duration, killed string, err error)
	// Waited is told of each question that could not begin at once.
	Waited func()

	mu      sync.Mutex
	last    uint64
	running map[uint64]*query
}

// Query is one line of the list.
type Query struct {
	ID        uint64    `json:"id"`
	Project   uint32    `json:"project"`
	User      string    `json:"user"`
	Kind      string    `json:"kind"`
	State     string    `json:"state"` // running, waiting, or idle between two fetches
	Began     time.Time `json:"began"`
	ElapsedMS int64     `json:"elapsed_ms"`
	Rows      int64     `json:"rows_read"`
	TotalRows int64     `json:"total_rows"`
	Bytes     int64     `json:"bytes_read"`
	Text      string    `json:"query"`
}

// query is a question from its plan to its end.
type query struct {
	Query
	queries  *Queries
	progress *engine.Progress
	cancel   context.CancelCauseFunc
	reads    bool // a table, so it needs a place
	state    atomic.Pointer[string]

	// Of the portal's goroutine.
	release func(time.Duration) // of the place; nil without one
	resumed time.Time
	took    time.Duration
	ended   bool
}

var running, waiting, idle = "running", "waiting", "idle"

// begin lists a question.
func (q *Queries) begin(s *Session, text string, n plan.Node, p *engine.Progress, cancel context.CancelCauseFunc) *query {
	kind, reads := kindOf(n)
	one := &query{queries: q, progress: p, cancel: cancel, reads: reads, resumed: time.Now(),
		Query: Query{Project: s.config.Project, User: s.config.User, Kind: kind, Began: time.Now(), Text: text[:min(len(text), maxShown)]}}
	one.state.Store(&running)
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.running == nil {
		q.running = map[uint64]*query{}
	}
	q.last++
	one.ID = q.last
	q.running[one.ID] = one
	return one
}

// kindOf is the kind of a plan, and whether it reads a table.
func kindOf(n plan.Node) (kind string, reads bool) {
	kind = "sql"
	var walk func(plan.Node)
	walk = func(n plan.Node) {
		switch n := n.(type) {
		case plan.Native:
			kind, reads = n.Kind(), true
		case *plan.Scan:
			reads = true
		}
		for _, in := range n.Inputs() {
			walk(in)
		}
	}
	if n != nil {
		walk(n)
	}
	return kind, reads
}

// enter takes a place to run, and notes that the question runs.
func (q *query) enter(ctx context.Context) error {
	if q.reads && q.queries.Admit != nil && q.release == nil {
		q.state.Store(&waiting)
		began := time.Now()
		release, err := q.queries.Admit(ctx, q.Project)
		if time.Since(began) > time.Millisecond && q.queries.Waited != nil {
			q.queries.Waited()
		}
		if err != nil {
			return err
		}
		q.release = release
	}
	q.resumed = time.Now()
	q.state.Store(&running)
	return nil
}

// leave gives the place back while the client thinks, and at the end.
func (q *query) leave() {
	took := time.Since(q.resumed)
	q.took += took
	q.state.Store(&idle)
	if q.release != nil {
		q.release(took)
		q.release = nil
	}
}

// begun is called when the engine knows how much there is to read.
func (q *query) begun() error {
	if most := q.queries.MaxRows; most > 0 && q.progress.TotalRows.Load() > most {
		return readsTooMuch("%d rows would be read; the limit is %d", q.progress.TotalRows.Load(), most)
	}
	return nil
}

func readsTooMuch(format string, args ...any) error {
	return pgerr.New(pgerr.ProgramLimitExceeded, "query reads too much: "+format, args...).
		WithHint("Narrow the time range, name fewer events, or raise query_max_rows.")
}

// Check ends questions that have read too much. It is called several times a second.
func (q *Queries) Check() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, one := range q.running {
		rows, bytes := one.progress.Rows.Load(), one.progress.Bytes.Load()
		switch {
		case q.MaxRows > 0 && rows > q.MaxRows:
			one.cancel(readsTooMuch("%d rows so far; the limit is %d", rows, q.MaxRows))
		case q.MaxBytes > 0 && bytes > q.MaxBytes:
			one.cancel(readsTooMuch("%d bytes so far; the limit is %d", bytes, q.MaxBytes))
		}
	}
}

// end takes a question off the list, once.
func (q *query) end(err error) {
	if q.ended {
		return
	}
	q.ended = true
	all := q.queries
	all.mu.Lock()
	delete(all.running, q.ID)
	all.mu.Unlock()
	why := killed(err)
	if all.Done != nil {
		all.Done(q.Kind, q.took, why, err)
	}
	if all.Logger == nil {
		return
	}
	about := func() []any {
		return []any{"query_id", q.ID, "project", q.Project, "user", q.User, "kind", q.Kind, "took_ms", q.took.Milliseconds(),
			"rows_read", q.progress.Rows.Load(), "bytes_read", q.progress.Bytes.Load(), "query", q.Text}
	}
	switch {
	case why != "" && why != "client_gone":
		all.Logger.Warn("query killed", append(about(), "reason", why)...)
	case all.Slow > 0 && q.took >= all.Slow:
		all.Logger.Info("slow query", about()...)
	}
}

// killed says why a question was ended before its time; empty if it was not.
func killed(err error) string {
	var client *pgerr.Error
	switch {
	case err == nil:
		return ""
	case errors.Is(err, errTimeout):
		return "timeout"
	case errors.Is(err, ErrGone):
		return "client_gone"
	case errors.Is(err, ErrShutdown):
		return "shutdown"
	case errors.As(err, &client) && client.Code == pgerr.QueryCanceled:
		return "user"
	case errors.As(err, &client) && client.Code == pgerr.ProgramLimitExceeded:
		return "limit"
	case errors.As(err, &client) && client.Code == pgerr.OutOfMemory:
		return "memory"
	}
	return ""
}

// List is the questions that run now, the oldest first.
func (q *Queries) List() []Query {
	q.mu.Lock()
	defer q.mu.Unlock()
	out := make([]Query, 0, len(q.running))
	for _, one := range q.running {
		line := one.Query
		line.State = *one.state.Load()
		line.ElapsedMS = time.Since(one.Began).Milliseconds()
		line.Rows, line.TotalRows, line.Bytes = one.progress.Rows.Load(), one.progress.TotalRows.Load(), one.progress.Bytes.Load()
		out = append(out, line)
	}
	slices.SortFunc(out, func(a, b Query) int { return int(a.ID) - int(b.ID) })
	return out
}

// Cancel ends a question; false if it does not run any more.
func (q *Queries) Cancel(id uint64) bool {
	q.mu.Lock()
	one := q.running[id]
	q.mu.Unlock()
	if one != nil {
		one.cancel(errAdmin)
	}
	return one != nil
}

// Damaged says that an error is about bytes of a segment that are not what was written.
func Damaged(err error) bool {
	var damaged *segment.CorruptError
	return errors.As(err, &damaged)
}
