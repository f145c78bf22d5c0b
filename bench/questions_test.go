package bench

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prickledb/prickle/bench/gen"
	"github.com/prickledb/prickle/cluster"
	"github.com/prickledb/prickle/engine"
	"github.com/prickledb/prickle/engine/catalog"
	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/server/capture"
	"github.com/prickledb/prickle/sql"
	"github.com/prickledb/prickle/sql/parse"
	"github.com/prickledb/prickle/storage"
	"github.com/prickledb/prickle/storage/event"
	"github.com/prickledb/prickle/storage/vec"
	"github.com/prickledb/prickle/storage/vfs"
)

// sampleEvents is how many events the model answers for. The nested loops take seconds
// beyond it.
const sampleEvents = 100_000

// TestQuestions asks the eight questions of a sample with merges in it, and holds the
// answers against the model: from the memtable, from segments of days, from several
// segments a day, from one a month, after a restart, and after thousands of merges of
// persons more.
func TestQuestions(t *testing.T) {
	events := sampleEvents
	if testing.Short() {
		events = 20_000
	}
	cfg := gen.Config{Events: uint64(events), Merges: true}
	g := gen.New(cfg)
	model := NewModel(g)
	if uint64(model.Persons()) != g.Seen() {
		t.Fatalf("the model has %d persons, the generator says %d", model.Persons(), g.Seen())
	}

	dir := t.TempDir()
	n := openNode(t, dir)
	batches := decode(t, g)
	half := len(batches) / 2
	ingest(t, n, batches[:half])
	if err := n.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	ingest(t, n, batches[half:])
	compare(t, "memtable over segments", n, model)

	if err := n.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	compare(t, "segments of days", n, model)

	// Everything once more changes nothing.
	for _, b := range decode(t, g) {
		r, err := n.Ingest(context.Background(), 1, b)
		if err != nil || r.Stored != 0 {
			t.Fatalf("Ingest of what is stored = %+v, %v", r, err)
		}
	}
	compare(t, "the same events again", n, model)

	n = reopen(t, n, dir)
	compare(t, "after a restart", n, model)

	if err := n.MergeAll(context.Background()); err != nil {
		t.Fatal(err)
	}
	compare(t, "one segment a month", n, model)

	merges := 20_000 * events / sampleEvents
	mergePersons(t, n, g, model, merges)
	compare(t, fmt.Sprint("after merges of persons, unwritten: ", merges), n, model)
	n = reopen(t, n, dir)
	compare(t, "the same after a restart", n, model)

	if err := n.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := n.MergeAll(context.Background()); err != nil {
		t.Fatal(err)
	}
	compare(t, "the same in one segment a month", n, model)
	if err := n.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
}

func openNode(t *testing.T, dir string) *cluster.Node {
	t.Helper()
	n, err := cluster.Open(context.Background(), cluster.Config{FS: vfs.OS(), Dir: dir, Store: storage.Options{SealRows: 30_000}})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func reopen(t *testing.T, n *cluster.Node, dir string) *cluster.Node {
	t.Helper()
	if err := n.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	return openNode(t, dir)
}

// decode makes batches of a stream by the road of `prickle import`.
func decode(t *testing.T, g *gen.Model) []*event.Batch {
	t.Helper()
	var raw []byte
	for e := range g.All() {
		raw = e.AppendNDJSON(raw)
	}
	mapping, err := capture.Detect(capture.SampleJSON(raw[:10_000]), capture.Mapping{})
	if err != nil {
		t.Fatal(err)
	}
	out := capture.NewDecoder(mapping).Decode(raw, 1)
	if len(out.Rejects) > 0 || out.Rows != int(g.Events()) {
		t.Fatalf("%d rows and %d rejects, want %d and none", out.Rows, len(out.Rejects), g.Events())
	}
	var batches []*event.Batch
	for _, b := range out.Batches {
		batches = append(batches, b.Batch)
	}
	return batches
}

func ingest(t *testing.T, n *cluster.Node, batches []*event.Batch) {
	t.Helper()
	for _, b := range batches {
		rows := b.Rows
		if r, err := n.Ingest(context.Background(), 1, b); err != nil || r.Stored != rows {
			t.Fatalf("Ingest of %d rows = %+v, %v", rows, r, err)
		}
	}
}

// mergePersons merges pairs of the generator's persons, in the store and in the model, by
// $merge_dangerously events of a name that no question asks for.
func mergePersons(t *testing.T, n *cluster.Node, g *gen.Model, model *Model, merges int) {
	t.Helper()
	var ids []string
	seen := map[string]bool{}
	for e := range g.All() {
		if !seen[e.DistinctID] {
			seen[e.DistinctID] = true
			ids = append(ids, e.DistinctID)
		}
	}
	b := event.NewBuilder()
	done := 0
	for i := 0; done < merges; i++ {
		from, to := ids[(i*7919+13)%len(ids)], ids[(i*104729+1)%len(ids)]
		if i > 20*merges {
			t.Fatalf("%d ids do not allow %d merges", len(ids), merges)
		}
		done++
		var uuid vec.UUIDValue
		copy(uuid[:], fmt.Sprintf("merge %010d", i))
		b.Begin(uuid, time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC).UnixMicro())
		b.SetName([]byte("$merge_dangerously"))
		b.SetDistinctID([]byte(to))
		b.Op(event.PersonOp{Kind: event.OpMergeDangerously, Other: from})
		b.End()
		if from != to {
			model.Unite(from, to)
		}
		if b.Rows() == 5000 || done == merges {
			if _, err := n.Ingest(context.Background(), 1, b.Finish()); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func compare(t *testing.T, where string, n *cluster.Node, model *Model) {
	t.Helper()
	for i, q := range Questions {
		want := model.Answer(i)
		for _, threads := range []int{1, 2, 3} {
			var spill *engine.SpillDir
			if threads == 3 { // once with everything on disk
				spill = spillDir(t)
			}
			got := ask(t, n, q.SQL, threads, spill)
			if !slices.Equal(got, want) {
				for r := range max(len(got), len(want)) {
					if r >= len(got) || r >= len(want) || got[r] != want[r] {
						t.Fatalf("%s: %s on %d threads: row %d of %d is %q, want row %d of %d: %q", where, q.Name, threads,
							r, len(got), at(got, r), r, len(want), at(want, r))
					}
				}
			}
		}
	}
	compareHeadlines(t, where, n, model)
	persons := ask(t, n, `SELECT count(DISTINCT person_id) FROM events`, 2, nil)
	if want := fmt.Sprint(model.Persons()); persons[0] != want {
		t.Fatalf("%s: %s persons, want %s", where, persons[0], want)
	}
}

// compareHeadlines holds what `prickle bench` shows against the answers to the questions that
// they are made of.
func compareHeadlines(t *testing.T, where string, n *cluster.Node, model *Model) {
	t.Helper()
	answers := map[string][]string{}
	for _, q := range Headlines {
		answers[q.Name] = ask(t, n, q.SQL, 2, nil)
	}
	views, visitors := model.Answer(0), model.Answer(1)
	for i, row := range answers[Headlines[0].Name] {
		words := strings.Split(row, " ")
		day := strings.Join(words[:2], " ")
		if want := day + " " + words[2]; !slices.Contains(views, want) {
			t.Errorf("%s: day %d of TRENDS is %q, and %q no row of the model", where, i, row, want)
		}
		if want := day + " " + words[3]; !slices.Contains(visitors, want) {
			t.Errorf("%s: day %d of TRENDS is %q, and %q no row of the model", where, i, row, want)
		}
	}
	if rows := len(answers[Headlines[0].Name]); rows != 30 {
		t.Errorf("%s: TRENDS has %d days, want 30", where, rows)
	}
	if !slices.Equal(answers[Headlines[1].Name], model.Answer(6)) || !slices.Equal(answers[Headlines[2].Name], model.Answer(7)) {
		t.Errorf("%s: FUNNEL and RETENTION are not those of the model", where)
	}
}

func spillDir(t *testing.T) *engine.SpillDir {
	t.Helper()
	dir, err := engine.OpenSpillDir(vfs.NewMem(), "tmp", 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func at(rows []string, i int) string {
	if i < len(rows) {
		return rows[i]
	}
	return "(none)"
}

// ask runs a statement, and gives its rows as text, columns apart by blanks.
func ask(t *testing.T, n *cluster.Node, text string, threads int, spill *engine.SpillDir) []string {
	t.Helper()
	stmts, err := parse.Statements(text)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC).UnixMicro()
	ctx := &expr.Context{Now: now, Statement: now, Location: time.UTC}
	settings, err := sql.NewSettings(nil)
	if err != nil {
		t.Fatal(err)
	}
	st, err := sql.Compile(sql.CompileContext{Catalog: &catalog.Catalog{Project: 1, Database: "prickle", Tables: catalog.Builtin()},
		Expr: ctx, Settings: settings}, stmts[0].Stmt, text)
	if err != nil {
		t.Fatal(err)
	}
	sn, err := n.Store().Snapshot(1)
	if err != nil {
		t.Fatal(err)
	}
	defer sn.Release()
	rows, err := engine.Run(context.Background(), st.Plan, &engine.Env{Snapshot: sn, Expr: ctx, Threads: threads, Spill: spill, SpillAt: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close() // the rows are read
	var out []string
	for {
		b, err := rows.Next(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if b == nil {
			return out
		}
		b = b.Compact()
		for r := range b.Rows {
			words := make([]string, len(b.Cols))
			for c, v := range b.Cols {
				words[c] = string(expr.AppendText(nil, v, r, ctx))
			}
			out = append(out, strings.Join(words, " "))
		}
	}
}
