package cluster

import (
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// heldFuture is an entry that is applied when released is closed.
type heldFuture struct {
	raft.ApplyFuture
	released chan struct{}
}

func (f heldFuture) Error() error  { <-f.released; return nil }
func (f heldFuture) Response() any { return applyResult{} }

// Lag is the age of the write that waits, and then the time that the slowest took, once.
func TestLag(t *testing.T) {
	n := openNode(t, Config{})
	ingest(t, n, 'a', 0, 10, Receipt{Stored: 10})
	n.Lag()
	if lag := n.Lag(); lag != 0 {
		t.Errorf("without writes, the lag is %v", lag)
	}
	held := heldFuture{released: make(chan struct{})}
	p := &proposal{began: time.Now().Add(-time.Minute), done: make(chan struct{})}
	n.active.Add(1)
	n.flights <- flight{p, held}
	for n.Lag() < time.Minute { // until it is its turn
		if t.Context().Err() != nil {
			t.Fatal("the write that waits is not seen")
		}
	}
	close(held.released)
	<-p.done
	if lag := n.Lag(); lag < time.Minute {
		t.Errorf("after a slow write, the lag is %v", lag)
	}
	if lag := n.Lag(); lag != 0 {
		t.Errorf("the second time it is %v", lag)
	}
	ingest(t, n, 'a', 10, 10, Receipt{Stored: 10})
	n.numbers.slowest.Store(int64(time.Minute))
	n.numbers.syncs.Took -= time.Hour // as if the disk had been slow
	if lag := n.Lag(); lag != 0 {
		t.Errorf("beside a slow disk, the lag is %v", lag)
	}
}
