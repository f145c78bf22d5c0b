package session_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prickledb/prickle/engine"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/server/session"
	"github.com/prickledb/prickle/server/session/sessiontest"
	"github.com/prickledb/prickle/sql"
)

// reader is an engine whose statements say that they will read a thousand rows, and have read
// a hundred.
type reader struct{ sessiontest.Engine }

func (r *reader) Run(ctx context.Context, scope *session.Scope, st *sql.Statement, pin session.Pin) (session.Rows, error) {
	scope.Progress.Rows.Add(100)
	scope.Progress.Bytes.Add(800)
	return r.Engine.Run(ctx, scope, st, pin)
}

func openReader(t *testing.T, q *session.Queries) *fixture {
	t.Helper()
	r := &reader{}
	r.Reads = engine.Cost{Segments: 3, Columns: 2, Rows: 1000, Bytes: 16_000}
	s, err := session.New(t.Context(), session.Config{Engine: r, Project: 1, Queries: q})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return &fixture{Session: s, engine: &r.Engine, t: t}
}

// A query that would read too much does not begin; one that has read too much ends.
func TestReadsTooMuch(t *testing.T) {
	places := 0
	admit := func(context.Context, uint32, string, bool) (session.Place, error) {
		places++
		return session.Place{Release: func(time.Duration) {}}, nil
	}
	for _, c := range []struct {
		q    *session.Queries
		want string
	}{
		{&session.Queries{MaxRows: 999}, "1000 rows of 3 segments would be read; the limit is 999 (hint: Narrow the time range, name fewer events or properties, or raise the setting query_max_rows.)"},
		{&session.Queries{MaxBytes: 15_999}, "16000 bytes would be read, in 2 columns of 1000 rows; the limit is 15999 (hint: Narrow the time range, name fewer events or properties, or raise the setting query_max_bytes.)"},
	} {
		c.q.Admit = admit
		f := openReader(t, c.q)
		_, err := f.run("select n from one")
		if e := pgerr.From(err); e.Code != pgerr.ProgramLimitExceeded || "query reads too much: "+c.want != fmt.Sprintf("%s (hint: %s)", e.Message, e.Hint) {
			t.Errorf("%v, want %s", err, c.want)
		}
		if ended := c.q.Ended(); len(ended) != 1 || ended[0].Killed != "cost" || ended[0].State != session.StateKilled || ended[0].TotalRows != 1000 {
			t.Errorf("the list of those that ended: %+v", ended)
		}
		if _, err := f.run("select 1"); err != nil {
			t.Errorf("what reads no table: %v", err)
		}
		if _, err := f.run("explain select n from one"); err != nil {
			t.Errorf("the explanation of what is refused: %v", err)
		}
	}
	if places != 0 {
		t.Errorf("%d places were taken by queries that were refused", places)
	}
	q := &session.Queries{MaxRows: 1000, MaxBytes: 799}
	f := openReader(t, q)
	f.engine.Reads = engine.Cost{}
	ended := make(chan error)
	go func() {
		_, err := f.run("select n from slow")
		ended <- err
	}()
	for {
		q.Check()
		select {
		case err := <-ended:
			if pgerr.Code(err) != pgerr.ProgramLimitExceeded || !strings.Contains(err.Error(), "800 bytes so far") {
				t.Errorf("a query of 800 bytes of 799: %v", err)
			}
			return
		default:
		}
	}
}

// What takes long has a line in the log, and so has what was killed.
func TestQueryLog(t *testing.T) {
	var log bytes.Buffer
	var kinds, reasons []string
	q := &session.Queries{Slow: 1, Logger: slog.New(slog.NewTextHandler(&log, nil)), Done: func(kind string, _ time.Duration, killed string, _ error) {
		kinds, reasons = append(kinds, kind), append(reasons, killed)
	}}
	f := openReader(t, q)
	for _, text := range []string{"select n from one", "set statement_timeout = '50ms'; select n from slow", "select n from nowhere", "show timezone"} {
		f.run(text)
	}
	for _, want := range []string{
		`level=INFO msg="slow query" query_id=1 project=1 user="" kind=sql took_ms=`, `query="select n from one"`,
		`level=WARN msg="query killed" query_id=2`, "rows_read=100 bytes_read=800", "reason=timeout",
	} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("%s is missing in the log:\n%s", want, log.String())
		}
	}
	if n := strings.Count(log.String(), "\n"); n != 2 || strings.Join(kinds, " ") != "sql sql" || strings.Join(reasons, ",") != ",timeout" {
		t.Errorf("%d lines, kinds %q, reasons %q, want 2 lines: what did not compile and commands are no queries", n, kinds, reasons)
	}
}

// A query that has to wait for its place takes hold of the state that it reads when it has it, and one
// that is refused does not at all. What reads no table does not wait, nor what a transaction has a state for.
func TestWaitsWithoutAState(t *testing.T) {
	var f *fixture
	var taken []int64 // states that were taken when a place was asked for
	var holding []bool
	refused, held := error(nil), 0
	q := &session.Queries{Admit: func(_ context.Context, _ uint32, _ string, holds bool) (session.Place, error) {
		taken = append(taken, f.engine.Pins.Load())
		holding = append(holding, holds)
		held++
		return session.Place{Weight: 7, Release: func(time.Duration) { held-- }}, refused
	}}
	busy := true
	q.Busy = func(uint32, string) bool { return busy }
	f = openReader(t, q)
	asks := func(text string, want ...int64) {
		t.Helper()
		taken, holding = nil, nil
		before := f.engine.Pins.Load()
		_, err := f.run(text)
		for i := range taken {
			if taken[i] -= before; holding[i] != (taken[i] > 0) {
				t.Errorf("%s: a place was asked for as if a state was held: %v, and %d were taken", text, holding[i], taken[i])
			}
		}
		if !slices.Equal(taken, want) || !errors.Is(err, refused) {
			t.Errorf("%s: a place was asked for with %d states taken, want %d (%v)", text, taken, want, err)
		}
		if refused != nil {
			held = 0
		}
		if list := q.List(); held != 0 || len(list) != 0 {
			t.Errorf("%s: %d places held at its end, list %+v", text, held, list)
		}
	}
	asks("select n from one", 0)
	if ended := q.Ended(); len(ended) != 1 || ended[0].Rows != 100 {
		t.Errorf("the list of those that ended: %+v", ended)
	}
	asks("select 1")
	stmt, err := f.Prepare("", "select n from one", nil)
	if err != nil {
		t.Fatal(err)
	}
	p, err := f.Bind("", stmt, nil)
	if err != nil {
		t.Fatal(err)
	}
	taken = nil
	pins := f.engine.Pins.Load()
	if err := p.Run(func() error { return nil }); err != nil || !slices.Equal(taken, []int64{pins}) {
		t.Errorf("a prepared query: a place was asked for with %d states taken, want one with %d (%v)", taken, pins, err)
	}
	p.Close()
	asks("begin isolation level repeatable read; select n from one; select n from one; commit", 0, 1)
	if _, err := f.run("select n from nowhere"); pgerr.Code(err) != pgerr.UndefinedTable || len(q.List()) != 0 {
		t.Errorf("a table that is not there: %v, list %+v", err, q.List())
	}
	busy = false
	asks("select n from one", 1)
	busy, refused = true, errors.New("no place")
	pins = f.engine.Pins.Load()
	asks("select n from one", 0)
	if n := f.engine.Pins.Load() - pins; n != 0 {
		t.Errorf("a query that was refused took %d states", n)
	}
}

// A portal that waits for its client holds no place and stays on the list until it is
// closed.
func TestIdlePortal(t *testing.T) {
	held := 0
	q := &session.Queries{Admit: func(context.Context, uint32, string, bool) (session.Place, error) {
		held++
		return session.Place{Release: func(time.Duration) { held-- }}, nil
	}}
	f := openReader(t, q)
	stmt, err := f.Prepare("", "select n from numbers", nil)
	if err != nil {
		t.Fatal(err)
	}
	p, err := f.Bind("", stmt, nil)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		err := p.Run(func() error {
			if held != 1 {
				t.Errorf("%d places held while it runs", held)
			}
			_, _, _, err := p.Take(10)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if list := q.List(); held != 0 || len(list) != 1 || list[0].State != "idle" {
			t.Errorf("between two fetches: %d places held, list %+v", held, list)
		}
	}
	p.Close()
	if list := q.List(); len(list) != 0 {
		t.Errorf("after its end: %+v", list)
	}
	refused := errors.New("no place")
	q.Admit = func(context.Context, uint32, string, bool) (session.Place, error) { return session.Place{}, refused }
	if _, err := f.run("select n from one"); !errors.Is(err, refused) || len(q.List()) != 0 {
		t.Errorf("without a place: %v, list %+v", err, q.List())
	}
	if _, err := f.run("select 1"); err != nil {
		t.Errorf("what reads no table: %v", err)
	}
}
