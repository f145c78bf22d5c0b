package session_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/prickledb/prickle/cluster"
	"github.com/prickledb/prickle/server/ask"
	"github.com/prickledb/prickle/server/session"
	"github.com/prickledb/prickle/sql/logictest"
	"github.com/prickledb/prickle/storage/event"
	"github.com/prickledb/prickle/storage/object"
	"github.com/prickledb/prickle/storage/person"
	"github.com/prickledb/prickle/storage/vec"
	"github.com/prickledb/prickle/storage/vfs"
)

// nodeSession is a session over a node in memory.
type nodeSession struct {
	*client
	node   *cluster.Node
	events uint64
	fs     vfs.FS
	saving sync.Mutex
	named  map[string]*client
}

// openNode is a session over a new node.
func openNode(t *testing.T) *nodeSession {
	n := &nodeSession{fs: vfs.NewMem()}
	n.start(t)
	t.Cleanup(func() { n.stop(t) })
	return n
}

func (n *nodeSession) start(t *testing.T) {
	t.Helper()
	var err error
	if n.node, err = cluster.Open(t.Context(), cluster.Config{FS: n.fs, Dir: "n", NoMerger: true}); err != nil {
		t.Fatal(err)
	}
	n.named = map[string]*client{}
	n.client = n.as(t, "main")
}

func (n *nodeSession) stop(t *testing.T) {
	t.Helper()
	for _, c := range n.named {
		c.Close()
	}
	if err := n.node.Close(context.Background()); err != nil {
		t.Error(err)
	}
}

// as is the session of a name.
func (n *nodeSession) as(t *testing.T, name string) *client {
	t.Helper()
	if c := n.named[name]; c != nil {
		return c
	}
	s, err := session.New(t.Context(), session.Config{Engine: session.NewEngine(n.node.Store(), n.node, session.Limits{Threads: 2}), Project: 1, Database: "prickle", User: "app",
		Cohorts: &ask.Cohorts{Store: cohortStore{n.node}, Saving: &n.saving}})
	if err != nil {
		t.Fatal(err)
	}
	n.named[name] = &client{s}
	return n.named[name]
}

// cohortStore is a node as cohorts see it.
type cohortStore struct{ *cluster.Node }

func (n cohortStore) Objects(project uint32) *object.Table { return n.Store().Objects(project) }

// TestChanges runs text cases of statements that change what is stored.
func TestChanges(t *testing.T) {
	for _, file := range []string{"changes", "cohorts"} {
		logictest.Run(t, "testdata/"+file, func(t *testing.T) logictest.Database { return openNode(t) })
	}
}

// Statements about cohorts are part of transactions. Beside the words of logictest there is
// "restart": the log is applied again, or with flush what is in files is read; as=name chooses
// one of several sessions.
func TestCohortsInTransactions(t *testing.T) {
	n := openNode(t)
	datadriven.RunTest(t, "testdata/cohort_transactions", func(t *testing.T, d *datadriven.TestData) string {
		if d.Cmd == "restart" {
			if d.HasArg("flush") {
				if err := n.node.Flush(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			n.stop(t)
			n.start(t)
			return ""
		}
		if d.Cmd == "events" {
			return logictest.Case(t, n, d)
		}
		name := "main"
		d.MaybeScanArgs(t, "as", &name)
		return logictest.Case(t, onSession{n.as(t, name)}, d)
	})
}

// Load implements logictest.Loader. The object behind the time is what $set says.
func (n *nodeSession) Load(t *testing.T, lines string) error {
	b := event.NewBuilder()
	err := logictest.Events(b, lines, &n.events, func(object string) error {
		b.Op(event.PersonOp{Kind: event.OpSet, Set: []byte(object)})
		return nil
	})
	if err != nil {
		return err
	}
	_, err = n.node.Ingest(t.Context(), 1, b.Finish())
	return err
}

// Run implements logictest.Database.
func (n *nodeSession) Run(_ *testing.T, sql string) (*logictest.Result, error) { return n.run(sql) }

// pieceWriter is a node that notes how large the parts are in which persons change.
type pieceWriter struct {
	*cluster.Node
	parts []int
}

func (w *pieceWriter) UpdatePersons(ctx context.Context, project uint32, updates []person.Update) (int, error) {
	bytes := 0
	for i := range updates {
		bytes += len(updates[i].Set)
	}
	w.parts = append(w.parts, bytes)
	return w.Node.UpdatePersons(ctx, project, updates)
}

// An UPDATE of many persons goes through the log in parts of about a megabyte, however large
// what it sets is.
func TestUpdateInParts(t *testing.T) {
	node, err := cluster.Open(t.Context(), cluster.Config{FS: vfs.NewMem(), Dir: "n", NoMerger: true})
	if err != nil {
		t.Fatal(err)
	}
	defer node.Close(context.Background()) //nolint:errcheck // nothing is kept
	b := event.NewBuilder()
	const persons = 150
	for i := range persons {
		b.Begin(vec.UUIDValue{15: byte(i), 14: 1}, 0)
		b.SetDistinctID(fmt.Append(nil, "u", i))
		b.SetName([]byte("e"))
		b.End()
	}
	if _, err := node.Ingest(t.Context(), 1, b.Finish()); err != nil {
		t.Fatal(err)
	}
	w := &pieceWriter{Node: node}
	s, err := session.New(t.Context(), session.Config{Engine: session.NewEngine(node.Store(), w, session.Limits{}), Project: 1, Database: "prickle", User: "app"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	c := &client{s}
	if r, err := c.run("UPDATE persons SET properties = jsonb_build_object('x', repeat('y', 20000))"); err != nil || r.Tag != "UPDATE 150" {
		t.Fatalf("UPDATE: %+v, %v", r, err)
	}
	if len(w.parts) != 3 || slices.Max(w.parts) > 1<<20+20_100 {
		t.Errorf("parts of %d bytes, want 3 of about a megabyte", w.parts)
	}
}
