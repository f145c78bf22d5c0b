package main

import (
	"context"
	_ "embed"
	"log/slog"
	"net"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/prickledb/prickle/bench/gen"
	"github.com/prickledb/prickle/cluster"
	"github.com/prickledb/prickle/engine"
	"github.com/prickledb/prickle/server"
	"github.com/prickledb/prickle/server/capture"
	"github.com/prickledb/prickle/storage"
	"github.com/prickledb/prickle/storage/vfs"
)

// goldenEvents is how many events the written answers are for.
const goldenEvents = 60_000

// goldenAnswers are answers that prickle, ClickHouse 26.7 and DuckDB 1.5.6 agree on to the last row.
// They are written by
//
//	go run ./bench/peers -suites product -events 60000 -golden bench/peers/testdata/answers
//
// which refuses to write what one of the three answers in another way.
//
//go:embed testdata/answers
var goldenAnswers string

// TestProductQuestions asks the 32 questions, and holds every answer against what all three
// databases say: over segments of days and a memtable, with persons that merges have made of
// two, and over segments of months.
func TestProductQuestions(t *testing.T) {
	want := readGolden(goldenAnswers)
	if len(want) != len(productQuestions) {
		t.Fatalf("%d answers are written down for %d questions", len(want), len(productQuestions))
	}
	node, e := openPrickle(t)
	batches := productBatches(t)
	half := len(batches) / 2
	for i, b := range batches {
		if i == half {
			if err := node.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := node.Ingest(t.Context(), 1, b.Batch); err != nil {
			t.Fatal(err)
		}
	}
	askAll(t, "memtable over segments of days", e, want)
	if err := node.MergeAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	askAll(t, "segments of months", e, want)
}

func askAll(t *testing.T, where string, e database, want map[string]answer) {
	t.Helper()
	for _, q := range productQuestions {
		rows, _, err := e.ask(t.Context(), q.forms[prickle].sql)
		if err != nil {
			t.Errorf("%s: %s: %v", where, q.name, err)
			continue
		}
		if difference := want[q.name].differs(normalise(rows, q.compare), "the written answer", "this one"); difference != "" {
			t.Errorf("%s: %s: %s", where, q.name, difference)
		}
	}
}

// productBatches are the events of the product suite as `prickle import` reads them.
func productBatches(t *testing.T) []capture.FileBatch {
	t.Helper()
	var raw []byte
	for e := range gen.New(productConfig(goldenEvents)).All() {
		raw = e.AppendNDJSON(raw)
	}
	mapping, err := capture.Detect(capture.SampleJSON(raw[:10_000]), capture.Mapping{})
	if err != nil {
		t.Fatal(err)
	}
	out := capture.NewDecoder(mapping).Decode(raw, 1)
	if len(out.Rejects) > 0 {
		t.Fatalf("%d lines are rejected", len(out.Rejects))
	}
	return out.Batches
}

// openPrickle serves an empty store in this process.
func openPrickle(t *testing.T) (*cluster.Node, database) {
	t.Helper()
	dir := t.TempDir()
	node, err := cluster.Open(t.Context(), cluster.Config{FS: vfs.OS(), Dir: dir, Store: storage.Options{SealRows: 30_000}})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	spill, err := engine.OpenSpillDir(vfs.OS(), filepath.Join(dir, "tmp"), 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- server.New(server.Config{Version: "test", Logger: slog.New(slog.DiscardHandler), Threads: 2, Spill: spill}, node).Serve(ctx, listener)
	}()
	conn, err := pgconn.Connect(t.Context(), "postgres://prickle@"+listener.Addr().String()+"/prickle?sslmode=disable")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		conn.Close(context.Background()) //nolint:errcheck // the server ends
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := node.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return node, &instance{conn: conn}
}
