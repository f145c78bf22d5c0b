package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prickledb/prickle/bench/gen"
	"github.com/prickledb/prickle/cluster"
	"github.com/prickledb/prickle/server/capture"
	"github.com/prickledb/prickle/storage"
	"github.com/prickledb/prickle/storage/event"
)

// demoFile in the data directory says that sample data were begun, so that a start after a
// kill goes on with the same times.
const demoFile = "demo.json"

type demoState struct {
	Events uint64    `json:"events"`
	Now    time.Time `json:"now"`
	Done   bool      `json:"done"`
}

// loadDemo fills the project with sample data if it is empty, and prints their line.
func loadDemo(ctx context.Context, c *console, node *cluster.Node, project storage.Project, dir string, events uint64, out io.Writer) error {
	name := filepath.Join(dir, demoFile)
	want := demoState{Events: events, Now: time.Now().UTC()}
	begun := false
	if raw, err := os.ReadFile(name); err == nil {
		var was demoState
		if json.Unmarshal(raw, &was) == nil && was.Events > 0 && !was.Done {
			want, begun = was, true
		}
	}
	if node.Store().Stats().Events > 0 && !begun {
		return nil // it has data of its own
	}
	config := gen.Demo(want.Now, want.Events)
	if err := config.Validate(); err != nil {
		return usage("--demo-events: %v", err)
	}
	save := func() error {
		raw, err := json.Marshal(want)
		if err != nil {
			return err
		}
		return os.WriteFile(name, append(raw, '\n'), 0o640)
	}
	if err := save(); err != nil {
		return dirProblem(dir, err)
	}
	start := time.Now()
	model := gen.New(config)
	var loaded atomic.Int64
	line := watch(c, "Demo data", "demo", func() state { return state{rows: loaded.Load(), totalRows: int64(model.Events())} })
	err := generate(ctx, model, &nodeSink{node: node, project: project.ID}, func(n int) { loaded.Add(int64(n)) })
	line.finish()
	if err != nil {
		return err
	}
	want.Done = true
	if err := save(); err != nil {
		return dirProblem(dir, err)
	}
	stats := node.Store().Stats()
	persons, err := node.Store().PersonCount(project.ID)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "  Demo data   %s events, %s persons, %d days   loaded in %s\n",
		grouped(stats.Events), grouped(persons), model.Config().Days, took(time.Since(start)))
	return nil
}

// generate makes a stream of events and puts it into a sink, in order, on two goroutines a
// processor.
func generate(ctx context.Context, model *gen.Model, to sink, stored func(rows int)) error {
	mapping := capture.Mapping{Event: "event", Time: "timestamp", Person: "distinct_id", ID: "uuid", Properties: "properties"}
	const eventsAChunk = 4 * 16384
	perSession := max(1, model.Events()/max(1, model.Sessions()))
	step := max(1, eventsAChunk/perSession)
	type piece struct{ from, to uint64 }
	next := uint64(0)
	var mu sync.Mutex
	produce := func() (piece, bool) {
		mu.Lock()
		defer mu.Unlock()
		if next >= model.Sessions() {
			return piece{}, false
		}
		p := piece{next, min(next+step, model.Sessions())}
		next = p.to
		return p, true
	}
	return ordered(ctx, to, produce,
		func() func(piece) ([]capture.FileBatch, error) {
			decoder := capture.NewDecoder(mapping)
			var text []byte
			return func(p piece) ([]capture.FileBatch, error) {
				text = text[:0]
				if err := model.Each(p.from, p.to, func(e *gen.Event) error {
					text = e.AppendNDJSON(text)
					return nil
				}); err != nil {
					return nil, err
				}
				decoded := decoder.Decode(text, 1)
				if len(decoded.Rejects) > 0 {
					return nil, fmt.Errorf("made-up event: %s", decoded.Rejects[0].Detail)
				}
				return decoded.Batches, nil
			}
		},
		func(batches []capture.FileBatch, put func(*event.Batch) error) error {
			for _, b := range batches {
				rows := b.Rows
				if err := put(b.Batch); err != nil {
					return err
				}
				stored(rows)
			}
			return nil
		})
}
