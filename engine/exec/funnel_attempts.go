package exec

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/vec"
)

// handsOut says whether attempts can be handed out as they are found: nothing is asked of them
// together.
func handsOut(n *plan.Funnel) bool {
	return n.Output == plan.OutputActors && !n.Compatible && n.Breakdown == nil && len(n.Steps) <= maxSteps
}

// attemptSource is a funnel with OUTPUT ACTORS that several goroutines share: each takes one block of
// actors after the other.
type attemptSource struct {
	*funnel
	next atomic.Int64 // block that is to be taken

	mu     sync.Mutex // held to open the funnel
	begun  bool       // it is open, or that failed with err
	err    error
	blocks int
}

func newAttemptSource(n *plan.Funnel, env *Env) *attemptSource {
	return &attemptSource{funnel: newPlainFunnel(n, env)}
}

// leastBlock is how many actors a block has at least, if there are so many.
const leastBlock = 256

func (s *attemptSource) copies() int {
	sc, ok := s.node.Input.(*plan.Scan)
	if !ok || !sc.Table.IsEvents() {
		return 1 // rows are read by one
	}
	return max(1, min(s.env.Threads, s.env.Snapshot.Persons().Len()/leastBlock))
}

// ready opens the funnel, unless another goroutine has done so.
func (s *attemptSource) ready(ctx context.Context) error {
	lock(ctx, &s.mu)
	defer s.mu.Unlock()
	if s.begun {
		return s.err
	}
	s.begun = true
	if s.err = s.prepare(ctx); s.err == nil {
		s.blocks, s.err = s.actors.divide(ctx)
	}
	return s.err
}

// attemptScan hands out the attempts of the blocks that it takes from a source. All of an actor are in
// one batch, one after the other.
type attemptScan struct {
	source *attemptSource
	walker *walker // nil before the first block
	filler filler
	who    []uint32 // of the attempts of the block, in order
	cols   []*vec.Vector
	row    int // the next one to hand out
}

func (a *attemptScan) Next(ctx context.Context) (*vec.Batch, error) {
	s := a.source
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	for a.row == len(a.who) {
		i := int(s.next.Add(1)) - 1
		if i >= s.blocks {
			return nil, ctx.Err()
		}
		if err := yield(ctx); err != nil {
			return nil, err
		}
		if err := a.walk(ctx, i); err != nil {
			return nil, err
		}
	}
	lo, hi := a.row, min(a.row+vec.BatchRows, len(a.who))
	for hi < len(a.who) && a.who[hi] == a.who[hi-1] {
		hi++
	}
	a.row = hi
	b := &vec.Batch{Rows: hi - lo, Cols: a.cols}
	if b.Rows < len(a.who) {
		b.Cols = sliceAll(a.cols, lo, hi)
	}
	return b, nil
}

// walk finds the attempts of a block.
func (a *attemptScan) walk(ctx context.Context, i int) error {
	f := a.source.funnel
	if a.walker == nil {
		a.walker = newWalker(f, 1, nil)
	}
	found := a.walker.tally(0)
	found.empty()
	b, err := f.actors.block(ctx, &a.filler, i)
	if err != nil {
		return err
	}
	err = a.walker.block(ctx, b)
	a.who, a.cols = f.actorColumns(found.pieces)
	a.row = 0
	return err
}

func (a *attemptScan) Close() error {
	a.source.env.release(a.filler.held)
	a.filler.held = 0
	return nil
}

func (s *attemptSource) open([]*keyFilter) Operator { return &attemptScan{source: s} }

func (s *attemptSource) close() error { return s.Close() }
