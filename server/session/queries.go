package session

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/prickledb/prickle/engine"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/segment"
)

// errAdmin is what a query ends with that somebody cancelled by its id.
var errAdmin = pgerr.New(pgerr.QueryCanceled, "canceling statement due to user request").
	WithDetail("It was cancelled by its id in the list of queries.")

const (
	// maxShown bounds the text of a statement in lists and logs, in bytes.
	maxShown = 1000
	// keptQueries is how many questions are listed after their end, and likewise how many of
	// those that were slow or killed: others do not push them out.
	keptQueries = 100
)

// Queries are the questions of all sessions: those that run now, and the last that ended. Its
// exported fields are set before it is used; all may be nil or zero.
type Queries struct {
	// Admit takes a place for a question of a user that reads a table, waiting for one if
	// need be. Holds is whether it has taken hold of the state that it reads.
	Admit func(ctx context.Context, project uint32, user string, holds bool) (Place, error)
	// Busy says whether a question of a user would have to wait for a place now: such a one takes
	// hold of the state that it reads when it has its place.
	Busy func(project uint32, user string) bool
	// MaxRows and MaxBytes end questions that read more, and refuse those that are going to.
	MaxRows, MaxBytes int64
	// Slow is from which time on a question has a line in the log; 0: none has.
	Slow   time.Duration
	Logger *slog.Logger
	// Done is told of each question that ended: its kind, the time it ran, and why it was
	// killed, if it was.
	Done func(kind string, took time.Duration, killed string, err error)

	mu      sync.Mutex
	last    uint64
	running map[uint64]*query
	ended   ring // without those of notable
	notable ring // slow or killed
}

// Place is what a question needs that reads a table.
type Place struct {
	Weight int64 // of the project, as engine.Payer has it
	// Release gives the place back, with the time of processors that the question used.
	Release func(used time.Duration)
}

// The states of a question. It is idle between two fetches of its client.
const (
	StateRunning = "running"
	StateWaiting = "waiting"
	StateIdle    = "idle"
	StateDone    = "done"
	StateFailed  = "failed"
	StateKilled  = "killed"
)

// Query is one line of the list.
type Query struct {
	ID        uint64     `json:"id"`
	PID       uint32     `json:"pid"` // of the session, as pg_backend_pid gives it
	Project   uint32     `json:"project"`
	User      string     `json:"user"`
	Kind      string     `json:"kind"`
	State     string     `json:"state"`
	Began     time.Time  `json:"began"`
	Ended     *time.Time `json:"ended,omitempty"`
	ElapsedMS int64      `json:"elapsed_ms"` // from its beginning to its end, or to now
	WaitedMS  float64    `json:"waited_ms"`  // for its place
	RunMS     float64    `json:"run_ms"`
	CPUMS     float64    `json:"cpu_ms"` // sum of its goroutines
	Rows      int64      `json:"rows_read"`
	TotalRows int64      `json:"total_rows"` // that it is going to read, as far as known
	Bytes     int64      `json:"bytes_read"`
	Memory    int64      `json:"memory_bytes"` // that it held at most
	Spilled   int64      `json:"spilled_bytes"`
	Killed    string     `json:"killed,omitempty"` // why
	Error     string     `json:"error,omitempty"`
	Text      string     `json:"query"`
}

// query is a question from its plan to its end.
type query struct {
	about    Query  // what does not change
	name     string // that its client gave it; empty for none
	queries  *Queries
	progress *engine.Progress
	cancel   context.CancelCauseFunc
	reads    bool // a table, so it needs a place

	// Of the portal's goroutine.
	release func(time.Duration) // of the place; nil without one
	weight  int64               // that came with the last place
	paid    time.Duration       // of processors, to the place
	ended   bool

	mu     sync.Mutex
	state  string
	since  time.Time     // when it came into the state
	waited time.Duration // before
	ran    time.Duration // before
}

// begin lists a question of a kind; reads is whether it needs a place.
func (q *Queries) begin(s *Session, text, kind string, reads bool, p *engine.Progress, cancel context.CancelCauseFunc) *query {
	now := time.Now()
	one := &query{name: s.config.QueryName, queries: q, progress: p, cancel: cancel, reads: reads, state: StateRunning, since: now,
		about: Query{PID: s.pid, Project: s.config.Project, User: s.config.User, Kind: kind, Began: now, Text: shown(text)}}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.running == nil {
		q.running = map[uint64]*query{}
	}
	q.last++
	one.about.ID = q.last
	q.running[one.about.ID] = one
	return one
}

// shown is the part of a text that lists and logs have: its beginning, up to a password. It does
// not keep the rest alive.
func shown(text string) string {
	end := len(text)
	if end > maxShown {
		end = maxShown
		for end > maxShown-utf8.UTFMax && !utf8.RuneStart(text[end]) {
			end--
		}
	}
	if at := passwordIn(text[:end]); at >= 0 {
		return text[:at] + " …"
	}
	if end < len(text) {
		return strings.Clone(text[:end])
	}
	return text
}

// passwordIn is where a text says PASSWORD 'secret', as CREATE ROLE does: the end of the word, or
// -1. A statement may stand in one text with others, which are listed under the whole.
func passwordIn(text string) int {
	const word = "password"
	for i := 0; i+len(word) < len(text); i++ {
		if text[i]|0x20 != 'p' || !strings.EqualFold(text[i:i+len(word)], word) {
			continue
		}
		end := i + len(word)
		if text[end] == '\'' && strings.Count(text[:i], "'")%2 == 1 {
			continue // the quote ends a text
		}
		secret := afterBlanks(text[end:])
		for _, kind := range []string{"'", "$", "e'", "E'", "u&'", "U&'"} {
			if strings.HasPrefix(secret, kind) {
				return end
			}
		}
	}
	return -1
}

// afterBlanks is a text of SQL without the blanks and comments at its beginning.
func afterBlanks(text string) string {
	for {
		text = strings.TrimLeft(text, " \t\r\n\f\v")
		end := ""
		switch {
		case strings.HasPrefix(text, "--"):
			end = "\n"
		case strings.HasPrefix(text, "/*"):
			end = "*/"
		default:
			return text
		}
		_, text, _ = strings.Cut(text[2:], end)
	}
}

// kindOf is the kind of a plan, and whether it reads files, or a table that is not of the catalog.
func kindOf(n plan.Node) (kind string, reads bool) {
	kind = "sql"
	var walk func(plan.Node)
	walk = func(n plan.Node) {
		switch n := n.(type) {
		case plan.Native:
			kind, reads = n.Kind(), true
		case *plan.Scan:
			reads = reads || n.Table.System == ""
		case *plan.Read:
			reads = reads || n.File != ""
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

// turn changes the state, and adds the time in the one before to what it belongs to.
func (q *query) turn(state string) {
	now := time.Now()
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waited, q.ran = q.times(now)
	q.state, q.since = state, now
}

// times is how long it has waited and run. The caller holds mu.
func (q *query) times(now time.Time) (waited, ran time.Duration) {
	waited, ran = q.waited, q.ran
	switch q.state {
	case StateWaiting:
		waited += now.Sub(q.since)
	case StateRunning:
		ran += now.Sub(q.since)
	}
	return waited, ran
}

// enter takes a place to run, and notes that the question runs. It gives the weight of the
// project. Holds is as in Queries.Admit.
func (q *query) enter(ctx context.Context, holds bool) (weight int64, err error) {
	if q.reads && q.queries.Admit != nil && q.release == nil {
		q.turn(StateWaiting)
		place, err := q.queries.Admit(ctx, q.about.Project, q.about.User, holds)
		if err != nil {
			return 0, err
		}
		q.release, q.weight = place.Release, place.Weight
	}
	q.turn(StateRunning)
	return q.weight, nil
}

// leave gives the place back while the client thinks, and at the end.
func (q *query) leave() {
	q.turn(StateIdle)
	if q.release != nil {
		used := time.Duration(q.progress.CPU.Load())
		q.release(used - q.paid)
		q.release, q.paid = nil, used
	}
}

// errTooCostly is wrapped in the error of a question that is refused.
var errTooCostly = errors.New("the query would read too much")

func readsTooMuch(setting, format string, args ...any) *pgerr.Error {
	return pgerr.New(pgerr.ProgramLimitExceeded, "query reads too much: "+format, args...).
		WithHint("Narrow the time range, name fewer events or properties, or raise the setting %s.", setting)
}

// allow refuses a question that is going to read too much.
func (q *query) allow(c engine.Cost) error {
	q.progress.TotalRows.Store(c.Rows)
	switch of := q.queries; {
	case of.MaxRows > 0 && c.Rows > of.MaxRows:
		return Caused(readsTooMuch("query_max_rows", "%d rows of %d segments would be read; the limit is %d", c.Rows, c.Segments, of.MaxRows), errTooCostly)
	case of.MaxBytes > 0 && c.Bytes > of.MaxBytes:
		return Caused(readsTooMuch("query_max_bytes", "%d bytes would be read, in %d columns of %d rows; the limit is %d", c.Bytes, c.Columns, c.Rows, of.MaxBytes), errTooCostly)
	}
	return nil
}

// Check ends questions that have read too much. It is called several times a second.
func (q *Queries) Check() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, one := range q.running {
		rows, bytes := one.progress.Rows.Load(), one.progress.Bytes.Load()
		switch {
		case q.MaxRows > 0 && rows > q.MaxRows:
			one.cancel(readsTooMuch("query_max_rows", "%d rows so far; the limit is %d", rows, q.MaxRows))
		case q.MaxBytes > 0 && bytes > q.MaxBytes:
			one.cancel(readsTooMuch("query_max_bytes", "%d bytes so far; the limit is %d", bytes, q.MaxBytes))
		}
	}
}

// end takes a question off the list of those that run, once.
func (q *query) end(err error) {
	if q.ended {
		return
	}
	q.ended = true
	why := killed(err)
	state := StateDone
	switch {
	case why != "":
		state = StateKilled
	case err != nil:
		state = StateFailed
	}
	q.turn(state)
	line := q.line(q.since)
	line.Killed = why
	if err != nil {
		line.Error = shown(err.Error())
	}
	slow := q.queries.Slow > 0 && q.ran >= q.queries.Slow
	q.queries.put(line, slow || why != "")
	if q.queries.Done != nil {
		q.queries.Done(line.Kind, q.ran, why, err)
	}
	if q.queries.Logger == nil || why == "" && !slow {
		return
	}
	level, what := slog.LevelInfo, "slow query"
	if why != "" {
		what = "query killed"
	}
	if why != "" && why != killedGone {
		level = slog.LevelWarn
	}
	about := []any{"query_id", line.ID, "project", line.Project, "user", line.User, "kind", line.Kind, "took_ms", q.ran.Milliseconds(),
		"cpu_ms", int64(line.CPUMS), "rows_read", line.Rows, "bytes_read", line.Bytes, "query", line.Text}
	if why != "" {
		about = append(about, "reason", why)
	}
	q.queries.Logger.Log(context.Background(), level, what, about...)
}

// put moves a question to those that ended.
func (q *Queries) put(line Query, notable bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.running, line.ID)
	if notable {
		q.notable.add(line)
	} else {
		q.ended.add(line)
	}
}

// ring is the last keptQueries lines.
type ring struct {
	lines []Query
	next  int // the oldest, once there are so many
}

func (r *ring) add(line Query) {
	if len(r.lines) < keptQueries {
		r.lines = append(r.lines, line)
		return
	}
	r.lines[r.next] = line
	r.next = (r.next + 1) % keptQueries
}

// killedGone is the reason of questions whose client has gone.
const killedGone = "client_gone"

// killed says why a question was ended before its time; empty if it was not.
func killed(err error) string {
	var client *pgerr.Error
	switch {
	case err == nil:
		return ""
	case errors.Is(err, errTimeout):
		return "timeout"
	case errors.Is(err, ErrGone):
		return killedGone
	case errors.Is(err, ErrShutdown):
		return "shutdown"
	case errors.Is(err, errTooCostly):
		return "cost"
	case errors.As(err, &client) && client.Code == pgerr.QueryCanceled:
		return "user"
	case errors.As(err, &client) && client.Code == pgerr.ProgramLimitExceeded:
		return "limit"
	case errors.As(err, &client) && client.Code == pgerr.OutOfMemory:
		return "memory"
	}
	return ""
}

// line is the question as it stands.
func (q *query) line(now time.Time) Query {
	line := q.about
	q.mu.Lock()
	waited, ran := q.times(now)
	line.State = q.state
	q.mu.Unlock()
	if line.State == StateDone || line.State == StateFailed || line.State == StateKilled {
		line.Ended = &now
	}
	line.ElapsedMS, line.WaitedMS, line.RunMS = now.Sub(line.Began).Milliseconds(), millis(waited), millis(ran)
	p := q.progress
	line.CPUMS = millis(time.Duration(p.CPU.Load()))
	line.Rows, line.TotalRows, line.Bytes = p.Rows.Load(), p.TotalRows.Load(), p.Bytes.Load()
	line.Memory, line.Spilled = p.Memory.Load(), p.Spilled.Load()
	return line
}

// millis is a duration in ms, to the microsecond.
func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// List is the questions that run now, the oldest first.
func (q *Queries) List() []Query {
	now := time.Now()
	q.mu.Lock()
	defer q.mu.Unlock()
	out := make([]Query, 0, len(q.running))
	for _, one := range q.running {
		out = append(out, one.line(now))
	}
	return byID(out)
}

// Ended is the last questions that ended, the oldest first: of the slow and the killed ones
// as many as of all others.
func (q *Queries) Ended() []Query {
	q.mu.Lock()
	defer q.mu.Unlock()
	return byID(slices.Concat(q.ended.lines, q.notable.lines))
}

func byID(list []Query) []Query {
	slices.SortFunc(list, func(a, b Query) int { return int(a.ID) - int(b.ID) })
	return list
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

// CancelNamed ends the questions that their clients call so; false if none of them runs any more.
func (q *Queries) CancelNamed(name string) bool {
	var ended bool
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, one := range q.running {
		if name != "" && one.name == name {
			one.cancel(errAdmin)
			ended = true
		}
	}
	return ended
}

// Damaged says that an error is about bytes of a segment that are not what was written.
func Damaged(err error) bool {
	var damaged *segment.CorruptError
	return errors.As(err, &damaged)
}
