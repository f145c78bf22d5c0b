package exec

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/vec"
)

// byBlock is a native operator with OUTPUT ACTORS whose rows can be handed out as they are found: nothing is
// asked of them together.
type byBlock interface {
	// begin makes the actors ready. It is called once.
	begin(ctx context.Context) (actors, error)
	// walks gives a function for one goroutine that makes the rows of a block: whose they are, one actor after
	// the other, and their columns.
	walks() func(ctx context.Context, b *block) (who []uint32, cols []*vec.Vector, err error)
	Close() error
}

// blockSource is an operator by block that several goroutines share: each takes one block of actors after
// the other.
type blockSource struct {
	of    byBlock
	input plan.Node
	env   *Env
	next  atomic.Int64 // block that is to be taken

	mu     sync.Mutex // held to begin
	begun  bool       // the actors are ready, or that failed with err
	err    error
	actors actors
	blocks int
}

// blockSourceOf is a plan node as a source of blocks; nil if it is none.
func blockSourceOf(n plan.Node, env *Env) *blockSource {
	switch n := n.(type) {
	case *plan.Funnel:
		if handsOut(n) {
			return &blockSource{of: funnelBlocks{newPlainFunnel(n, env)}, input: n.Input, env: env}
		}
	case *plan.Paths:
		if n.Output == plan.OutputActors {
			return &blockSource{of: pathBlocks{pathsOf(n, env)}, input: n.Input, env: env}
		}
	}
	return nil
}

// leastBlock is how many actors a block has at least, if there are so many.
const leastBlock = 256

func (s *blockSource) copies() int {
	sc, ok := s.input.(*plan.Scan)
	if !ok || !sc.Table.IsEvents() {
		return 1 // rows are read by one
	}
	return max(1, min(s.env.Threads, s.env.Snapshot.Persons().Len()/leastBlock))
}

// ready begins, unless another goroutine has done so.
func (s *blockSource) ready(ctx context.Context) error {
	lock(ctx, &s.mu)
	defer s.mu.Unlock()
	if s.begun {
		return s.err
	}
	s.begun = true
	if s.actors, s.err = s.of.begin(ctx); s.err == nil {
		s.blocks, s.err = s.actors.divide(ctx)
	}
	return s.err
}

// blockScan hands out the rows of the blocks that it takes from a source. All of an actor are in one batch,
// one after the other.
type blockScan struct {
	source *blockSource
	walk   func(context.Context, *block) ([]uint32, []*vec.Vector, error) // nil before the first block
	filler filler
	who    []uint32 // of the rows of the block, in order
	cols   []*vec.Vector
	row    int // the next one to hand out
}

func (s *blockScan) Next(ctx context.Context) (*vec.Batch, error) {
	if err := s.source.ready(ctx); err != nil {
		return nil, err
	}
	for s.row == len(s.who) {
		i := int(s.source.next.Add(1)) - 1
		if i >= s.source.blocks {
			return nil, ctx.Err()
		}
		if err := yield(ctx); err != nil {
			return nil, err
		}
		if err := s.take(ctx, i); err != nil {
			return nil, err
		}
	}
	lo, hi := s.row, min(s.row+vec.BatchRows, len(s.who))
	for hi < len(s.who) && s.who[hi] == s.who[hi-1] {
		hi++
	}
	s.row = hi
	b := &vec.Batch{Rows: hi - lo, Cols: s.cols}
	if b.Rows < len(s.who) {
		b.Cols = sliceAll(s.cols, lo, hi)
	}
	return b, nil
}

// take makes the rows of a block.
func (s *blockScan) take(ctx context.Context, i int) error {
	if s.walk == nil {
		s.walk = s.source.of.walks()
	}
	b, err := s.source.actors.block(ctx, &s.filler, i)
	if err != nil {
		return err
	}
	s.who, s.cols, err = s.walk(ctx, b)
	s.row = 0
	return err
}

func (s *blockScan) Close() error {
	s.source.env.release(s.filler.held)
	s.filler.held = 0
	return nil
}

func (s *blockSource) open([]*keyFilter) Operator { return &blockScan{source: s} }

func (s *blockSource) close() error { return s.of.Close() }
