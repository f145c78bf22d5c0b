package session_test

import (
	"context"
	"sync"
	"testing"

	"github.com/prickledb/prickle/cluster"
	"github.com/prickledb/prickle/server/ask"
	"github.com/prickledb/prickle/server/session"
	"github.com/prickledb/prickle/sql/logictest"
	"github.com/prickledb/prickle/storage/event"
	"github.com/prickledb/prickle/storage/object"
	"github.com/prickledb/prickle/storage/vfs"
)

// nodeSession is a session over a node in memory.
type nodeSession struct {
	*client
	node   *cluster.Node
	events uint64
}

// cohortStore is a node as cohorts see it.
type cohortStore struct{ *cluster.Node }

func (n cohortStore) Objects(project uint32) *object.Table { return n.Store().Objects(project) }

// TestChanges runs text cases of statements that change what is stored.
func TestChanges(t *testing.T) {
	for _, file := range []string{"changes", "cohorts"} {
		logictest.Run(t, "testdata/"+file, func(t *testing.T) logictest.Database {
			node, err := cluster.Open(t.Context(), cluster.Config{FS: vfs.NewMem(), Dir: "n", NoMerger: true})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { node.Close(context.Background()) })
			s, err := session.New(t.Context(), session.Config{Engine: session.NewEngine(node.Store(), node, session.Limits{Threads: 2}), Project: 1, Database: "prickle", User: "app",
				Cohorts: &ask.Cohorts{Store: cohortStore{node}, Saving: &sync.Mutex{}}})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(s.Close)
			return &nodeSession{client: &client{s}, node: node}
		})
	}
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
