package session_test

import (
	"encoding/binary"
	"strings"
	"testing"
	"time"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/server/session"
	"github.com/prickledb/prickle/storage"
	"github.com/prickledb/prickle/storage/event"
	"github.com/prickledb/prickle/storage/vec"
	"github.com/prickledb/prickle/storage/vfs"
)

// openStore is a store in memory with a project.
func openStore(t *testing.T) *storage.Store { return openStoreWith(t, storage.Options{}) }

func openStoreWith(t *testing.T, opt storage.Options) *storage.Store {
	t.Helper()
	store, err := storage.Open(vfs.NewMem(), "data", opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	spec := storage.ProjectSpec{Name: "prickle", Token: "phc_test", Timezone: "UTC"}
	if _, err := store.ApplyProject(1, 0, storage.ProjectEdit{Create: &spec}); err != nil {
		t.Fatal(err)
	}
	return store
}

// stored is a session over a store with a hundred events, in a project whose weeks start
// on Sunday.
func stored(t *testing.T) *fixture {
	t.Helper()
	store := openStore(t)
	b := event.NewBuilder()
	for i := range 100 {
		var uuid vec.UUIDValue
		binary.BigEndian.PutUint64(uuid[8:], uint64(i+1))
		b.Begin(uuid, time.Date(2026, 1, 1+i/10, 0, 0, 0, 0, time.UTC).UnixMicro())
		b.SetDistinctID([]byte{'a' + byte(i%7)})
		b.SetName([]byte([]string{"open", "paid"}[i%10/9]))
		b.Property([]byte("plan"), event.Text, []byte("pro"))
		b.End()
	}
	if _, err := store.ApplyEvents(2, 0, 1, b.Finish()); err != nil {
		t.Fatal(err)
	}
	s, err := session.New(t.Context(), session.Config{Engine: session.NewEngine(store, &applier{store: store, index: 2}, session.Limits{Threads: 2}), Project: 1, Database: "prickle", User: "app"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return &fixture{Session: s, t: t}
}

// text is the first column of a statement's rows, one line each.
func (f *fixture) text(sql string) (string, error) {
	f.t.Helper()
	stmts, err := f.Parse(sql)
	if err != nil {
		return "", err
	}
	p := f.Open(stmts[0].Stmt, sql)
	defer p.Close()
	var out []byte
	err = p.Run(func() error {
		for {
			b, lo, hi, err := p.Take(0)
			if b == nil || err != nil {
				return err
			}
			for b = b.Compact(); lo < hi; lo++ {
				out = append(expr.AppendText(out, b.Cols[0], lo, f.Context()), '\n')
			}
		}
	})
	f.Sync()
	return string(out), err
}

func TestExplainShowsWhatWasMeasured(t *testing.T) {
	f := stored(t)
	for _, c := range []struct {
		sql        string
		have, miss []string
	}{
		{"EXPLAIN SELECT count(*) FROM events", []string{"(cost=", "Seq Scan on events"}, []string{"actual", "Execution Time"}},
		{"EXPLAIN SELECT * FROM events LIMIT 7", []string{"Seq Scan on events  (cost=0.00..1.00 rows=100 ", "rows=7 "}, nil},
		{"EXPLAIN (FORMAT JSON) SELECT person_id, count(*) FROM events GROUP BY 1", []string{`"Plan Rows": 100`, `"Total Cost": 1`}, nil},
		{"EXPLAIN (COSTS OFF) SELECT count(*) FROM events", []string{"Aggregate\n"}, []string{"cost="}},
		{"EXPLAIN ANALYZE SELECT count(DISTINCT event) FROM events", []string{"cost=", "rows=100 loops=1", "Segments: 1 of 1", "Rows read: 100", "Bytes read: 16", "Execution Time: "}, []string{"Metadata"}},
		{"EXPLAIN ANALYZE SELECT count(*), min(timestamp), max(event) FROM events", []string{"Metadata: of blocks", "Index: metadata, for 100 of 100 rows", "Segments: 0 of 1", "Rows read: 0", "Bytes read: 0"}, nil},
		{"EXPLAIN ANALYZE SELECT count(*) FROM events WHERE event = 'open' AND timestamp > '2001-01-01'", []string{"Index: metadata, for ", "Rows read: 0"}, nil},
		{"EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) SELECT * FROM events ORDER BY timestamp LIMIT 3",
			[]string{"Fetch from events (actual rows=3 loops=1)", "(actual rows=100 loops=1)"}, []string{"cost=", "time=", "Execution Time"}},
		{"EXPLAIN (ANALYZE, FORMAT JSON) SELECT count(distinct_id || '') FROM events",
			[]string{`"Actual Rows": 100`, `"Relation Name": "events"`, `"Execution Time": `, `"Total Cost": `}, nil},
		{"EXPLAIN ANALYZE SELECT * FROM RETENTION(START event = 'open' RETURN event = 'open' EVERY INTERVAL '1 day')", []string{"Index: run index"}, []string{"order of rows"}},
		{"EXPLAIN ANALYZE SELECT * FROM FUNNEL(STEPS (a: event = 'open', b: event = 'paid') MODE STRICT)", []string{"Index: run index and order of rows"}, nil},
	} {
		got, err := f.text(c.sql)
		if err != nil {
			t.Errorf("%s: %v", c.sql, err)
		}
		for _, w := range c.have {
			if !strings.Contains(got, w) {
				t.Errorf("%s: no %q in\n%s", c.sql, w, got)
			}
		}
		for _, w := range c.miss {
			if strings.Contains(got, w) {
				t.Errorf("%s: %q in\n%s", c.sql, w, got)
			}
		}
	}
}

func TestCatalogOfAProject(t *testing.T) {
	f := stored(t)
	_, err := f.text("SELECT plan FROM events")
	if e := pgerr.From(err); e.Hint != `Perhaps you meant "properties.plan".` {
		t.Errorf("hint = %q", e.Hint)
	}
	got, err := f.text("EXPLAIN SELECT * FROM TRENDS(SERIES (n: count(*)) EVERY INTERVAL '1 week')")
	if err != nil || !strings.Contains(got, "Week Starts: Sunday") {
		t.Errorf("%v, plan\n%s", err, got)
	}
}

// The formats of EXPLAIN for programs say the same.
func TestExplainFormats(t *testing.T) {
	f := stored(t)
	for format, want := range map[string]string{
		"XML": `<explain xmlns="http://www.postgresql.org/2009/explain">
  <Query>
    <Plan>
      <Node-Type>Project</Node-Type>
      <Output>x</Output>
      <Plans>
        <Plan>
          <Node-Type>Filter</Node-Type>
          <Filter>x &lt; 2</Filter>
`,
		"YAML": "- Plan:\n    Node Type: \"Project\"\n    Output: \"x\"\n    Plans:\n      - Node Type: \"Filter\"\n        Filter: \"x < 2\"\n",
		"JSON": "[\n  {\n    \"Plan\": {\n      \"Node Type\": \"Project\",\n",
	} {
		got, err := f.text("EXPLAIN (COSTS OFF, FORMAT " + format + ") SELECT * FROM generate_series(1, 3) x WHERE x < 2")
		if err != nil || !strings.HasPrefix(got, want) {
			t.Errorf("%s: %v\n%s", format, err, got)
		}
	}
}
