package logictest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prickledb/prickle/engine"
	"github.com/prickledb/prickle/engine/catalog"
	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/sql"
	"github.com/prickledb/prickle/sql/parse"
	"github.com/prickledb/prickle/storage"
	"github.com/prickledb/prickle/storage/event"
	"github.com/prickledb/prickle/storage/vec"
	"github.com/prickledb/prickle/storage/vfs"
)

// now is the time of every statement.
var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// TestMemtable and TestSegments run the same cases over rows that were just applied, and
// over segments, on one thread and on several.
func TestMemtable(t *testing.T) { testThreads(t, false) }

func TestSegments(t *testing.T) { testThreads(t, true) }

func testThreads(t *testing.T, flush bool) {
	several := []int{1, 2, 5}
	if testing.Short() {
		several = []int{3} // it runs under the race detector, which has nothing to see in one
	}
	for _, threads := range several {
		t.Run(fmt.Sprint(threads), func(t *testing.T) {
			Run(t, "testdata", func(t *testing.T) Database {
				d := open(t, flush)
				d.threads = threads
				return d
			})
		})
	}
}

// TestSpilled runs them with so little memory that every sort, group and distinct spills.
func TestSpilled(t *testing.T) {
	disk := &countingFS{Mem: vfs.NewMem()}
	dir, err := engine.OpenSpillDir(disk, "tmp", 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	Run(t, "testdata", func(t *testing.T) Database {
		d := open(t, true)
		d.spill = dir
		return d
	})
	if used := dir.Used(); used != 0 {
		t.Errorf("spill files of %d bytes are left", used)
	}
	if n := disk.created.Load(); n < 50 {
		t.Errorf("%d spill files were made in all cases, want more", n)
	}
}

// countingFS counts files.
type countingFS struct {
	*vfs.Mem
	created atomic.Int64
}

func (c *countingFS) Create(name string) (vfs.File, error) {
	c.created.Add(1)
	return c.Mem.Create(name)
}

// database is a session over a store in memory, without a log.
type database struct {
	store    *storage.Store
	settings *sql.Settings
	random   expr.Random
	index    uint64
	events   uint64
	flush    bool
	threads  int
	memory   int64
	spill    *engine.SpillDir // where all that is held goes, if set
	progress *engine.Progress // of the last query, if set
	ctx      context.Context  // of queries; nil: one that never ends
}

func open(t testing.TB, flush bool) *database {
	store, err := storage.Open(vfs.NewMem(), "data", storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	settings, err := sql.NewSettings(nil)
	if err != nil {
		t.Fatal(err)
	}
	d := &database{store: store, settings: settings, index: 1, flush: flush, threads: 2}
	if len(store.Projects()) == 0 {
		spec := storage.ProjectSpec{Name: "prickle", Token: "phc_test", Timezone: "UTC", WeekStart: 1}
		if _, err := store.ApplyProject(d.index, now.UnixMicro(), storage.ProjectEdit{Create: &spec}); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

// Load implements Loader. An object with the member $set changes the person; $merge names a
// distinct id that becomes one of the person's, and $personless makes none.
func (d *database) Load(t *testing.T, lines string) error {
	b := event.NewBuilder()
	if err := Events(b, lines, &d.events, func(object string) error { return properties(b, object) }); err != nil {
		return err
	}
	d.index++
	batch := b.Finish()
	batch.CreatedAt = now.UnixMicro()
	if _, err := d.store.ApplyEvents(d.index, now.UnixMicro(), 1, batch); err != nil {
		return err
	}
	if d.flush {
		return d.store.Flush(context.Background())
	}
	return nil
}

func properties(b *event.Builder, object string) error {
	var members map[string]json.RawMessage
	if err := json.Unmarshal([]byte(object), &members); err != nil {
		return err
	}
	for _, key := range slices.Sorted(maps.Keys(members)) {
		raw := members[key]
		if key == "$set" {
			b.Op(event.PersonOp{Kind: event.OpSet, Set: raw})
			continue
		}
		if key == "$merge" { // the other distinct id goes into the row's person
			b.Op(event.PersonOp{Kind: event.OpMergeDangerously, Other: string(bytes.Trim(raw, `"`))})
			continue
		}
		if key == "$personless" {
			b.Personless()
			continue
		}
		kind, value := event.JSON, []byte(raw)
		switch {
		case raw[0] == '"':
			var s string
			if err := json.Unmarshal(raw, &s); err != nil {
				return err
			}
			kind, value = event.Text, []byte(s)
		case raw[0] == 't' || raw[0] == 'f':
			kind = event.Bool
		case raw[0] == 'n':
			kind, value = event.Null, nil
		case raw[0] != '{' && raw[0] != '[':
			kind = event.Int
			if bytes.ContainsAny(raw, ".eE") {
				kind = event.Float
			}
		}
		b.Property([]byte(key), kind, value)
	}
	return nil
}

// cohorts are known to every statement, by name and number.
var cohorts = []struct{ name, definition string }{
	{"buyers", "SELECT person_id FROM events WHERE event = 'buy'"},
	{"gold", "SELECT id FROM persons WHERE properties.plan = 'gold'"},
	{"listed", "SELECT * FROM (VALUES ('bob'), ('cid'), ('cid2'), ('nobody')) AS t"},
	{"mixed", "buyers EXCEPT 2 UNION (SELECT 'bob')"},
	{"again", "4"},
	{"loop", "SELECT person_id FROM events WHERE person_id IN COHORT pool"},
	{"pool", "loop UNION buyers"},
	{"wrong", "SELECT evnt FROM events"},
	{"torn", "SELECT FROM WHERE"},
	{"sneaky", "SELECT 1) OR (true"},
	{"asking", "SELECT id FROM persons WHERE properties.plan = $1"},
	{"numbers", "SELECT 1"},
	{"Two words", "buyers"},
}

func cohort(name string, id int64) (string, bool, error) {
	for i, c := range cohorts {
		if id == int64(i+1) || id == 0 && c.name == name {
			return c.definition, true, nil
		}
	}
	return "", false, nil
}

// Run implements Database.
func (d *database) Run(t *testing.T, text string) (*Result, error) {
	stmts, err := parse.Statements(text)
	if err != nil {
		return nil, err
	}
	result := &Result{}
	for _, s := range stmts {
		if result, err = d.one(s, text); err != nil {
			return nil, err
		}
	}
	return result, nil
}

func (d *database) one(s parse.Statement, text string) (*Result, error) {
	ctx := &expr.Context{Now: now.UnixMicro(), Statement: now.UnixMicro(), Location: d.settings.Location(),
		Database: "prickle", User: "ann", Setting: d.settings.Get, Random: &d.random}
	st, err := sql.Compile(sql.CompileContext{
		Catalog: &catalog.Catalog{Project: 1, Database: "prickle", Tables: catalog.Builtin(),
			Properties: func() []string { return []string{"plan", "price"} }, Cohort: cohort},
		Expr: ctx, Settings: d.settings,
	}, s.Stmt, text)
	if err != nil {
		return nil, err
	}
	r := &Result{Tag: st.Tag}
	for _, f := range st.Schema {
		r.Columns = append(r.Columns, f.Name)
	}
	add := func(b *vec.Batch) {
		b = b.Compact()
		for i := range b.Rows {
			row := make([]*string, len(b.Cols))
			for c, v := range b.Cols {
				if !v.IsNull(i) {
					s := string(expr.AppendText(nil, v, i, ctx))
					row[c] = &s
				}
			}
			r.Rows = append(r.Rows, row)
		}
	}
	if st.Command != nil {
		switch c := st.Command; c.Kind {
		case sql.SetCommand:
			_, err = d.settings.Set(c.Name, c.Value, c.Local)
		case sql.ShowCommand:
			var b *vec.Batch
			if b, err = c.Rows(d.settings); err == nil {
				add(b)
			}
		}
		return r, err
	}
	snapshot, err := d.store.Snapshot(1)
	if err != nil {
		return nil, err
	}
	defer snapshot.Release()
	run := d.ctx
	if run == nil {
		run = context.Background()
	}
	env := &engine.Env{Snapshot: snapshot, Expr: ctx, Threads: d.threads, Memory: d.memory, Spill: d.spill, SpillAt: 1, Progress: d.progress, Disabled: st.Disabled}
	if st.Explain != nil {
		lines, err := st.Explain.Lines(st.Plan, env.Statistics(), plan.TextOptions{})
		if err != nil {
			return nil, err
		}
		add(&vec.Batch{Rows: len(lines), Cols: []*vec.Vector{{Type: vec.T(vec.Text), Str: vec.StringsOf(lines...)}}})
		return r, nil
	}
	rows, err := engine.Run(run, engine.Arrange(st.Plan, env), env)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for {
		b, err := rows.Next(run)
		if err != nil {
			return nil, err
		}
		if b == nil {
			return r, nil
		}
		add(b)
	}
}
