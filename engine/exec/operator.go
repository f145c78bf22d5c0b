package exec

import (
	"context"
	"io"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage"
	"github.com/prickledb/prickle/storage/memory"
	"github.com/prickledb/prickle/storage/outside"
	"github.com/prickledb/prickle/storage/vec"
)

// Operator is a plan node running. It is used by one goroutine.
type Operator interface {
	// Next is the next batch, or nil at the end. The caller may keep it, unless it had it lent.
	Next(context.Context) (*vec.Batch, error)
	Close() error
}

// Env is what a running plan may use. One Env serves one statement.
type Env struct {
	Snapshot *storage.Snapshot // nil for statements that read no table
	Expr     *expr.Context
	Threads  int       // goroutines a query may use; at least 1
	Memory   int64     // bytes a query may hold; 0 means no limit
	Account  *Account  // its part of the memory of all queries; nil: it is not counted
	Share    *Share    // its part of the processors; nil: it need not wait for others
	Spill    *SpillDir // for what it cannot hold; nil: it fails instead
	// SpillAt is how many bytes the query holds when operators begin to spill; 0 means
	// half of its share. Tests set 1, so that everything is spilled.
	SpillAt int64
	// GroupsAt is how many groups a goroutine has before they go to partitions, and how many
	// rows a window has that is divided; 0 means as many as make it worth while. Tests set few.
	GroupsAt int
	Progress *Progress
	Disabled []string // rules of the optimiser that do not apply, of plan.Rules
	// Input begins to read what the client sends; nil: it sends nothing. Close of what it
	// gives wakes a read that waits, and may be called at the same time.
	Input func() (io.ReadCloser, error)
	// Write takes the rows that a plan.WriteSub gives, with the number of its slot. They stay.
	Write func(slot int, b *vec.Batch) error
	Files *outside.Places // where files of statements may lie; nil: nowhere
	// Stats, if not nil, collects what EXPLAIN ANALYZE shows.
	Stats *Stats

	// outer is the Env that this one is within: what is held, it holds. Nil for the statement's.
	outer    *Env
	held     atomic.Int64
	guessing sync.Once
	guesses  *statistics
	// spooled is the rows of subqueries by slot: a Setup writes them before anything else
	// runs.
	spooled map[int]*spooled
}

// within is an Env for a part of the statement, which may have spooled rows of its own.
func (env *Env) within() *Env {
	return &Env{Snapshot: env.Snapshot, Expr: env.Expr, Threads: env.Threads, Memory: env.Memory, Account: env.Account, Share: env.Share, Spill: env.Spill,
		SpillAt: env.SpillAt, GroupsAt: env.GroupsAt, Progress: env.Progress, Disabled: env.Disabled, Input: env.Input, Write: env.Write, Files: env.Files, Stats: env.Stats, outer: env,
		spooled: maps.Clone(env.spooled)}
}

// statement is the Env of the whole statement.
func (env *Env) statement() *Env {
	for env.outer != nil {
		env = env.outer
	}
	return env
}

// Progress is how far a statement has come. It may be read while the statement runs.
type Progress struct {
	Rows      atomic.Int64 // rows read
	TotalRows atomic.Int64 // rows that will be read, as far as known: it is for the caller to say
	Bytes     atomic.Int64 // bytes of columns read, decoded
	Skipped   atomic.Int64 // rows from outside that were left out, since something was wrong with them
	CPU       atomic.Int64 // ns that its goroutines ran, to the last slice; 0 without a Share
	Memory    atomic.Int64 // bytes that it held at most
	Spilled   atomic.Int64 // bytes written to spill files
}

// NodeStats is what one node did.
type NodeStats struct {
	Rows    atomic.Int64
	Elapsed atomic.Int64 // ns, summed over goroutines
	// Segments is of how many segments rows were read.
	Segments atomic.Int64
	// SegmentsTotal is how many there are.
	SegmentsTotal atomic.Int64
	RowsRead      atomic.Int64
	BytesRead     atomic.Int64 // of columns, decoded
	Spilled       atomic.Int64 // bytes written to spill files
	Index         atomic.Pointer[string]
	// Decoded counts, for a scan, the decoded parts of segments and of tables that it looked up,
	// and how many of those the cache had: a dictionary, a run index, a bitmap, a block. What is
	// read as it is stored is none of them.
	Decoded memory.Tally

	mu   sync.Mutex
	read map[*storage.Segment]bool // under mu

	snapshot sync.Once
	counted  *storage.Snapshot // see Env.counting
}

// Stats is what each node of a plan did. Nodes are known by identity.
type Stats struct{ nodes map[plan.Node]*NodeStats }

// NewStats prepares statistics for every node of a plan.
func NewStats(root plan.Node) *Stats {
	s := &Stats{nodes: map[plan.Node]*NodeStats{}}
	var add func(plan.Node)
	add = func(n plan.Node) {
		s.nodes[n] = &NodeStats{}
		for _, in := range n.Inputs() {
			add(in)
		}
	}
	add(root)
	return s
}

// Node is the statistics of a node, or nil if none are kept.
func (s *Stats) Node(n plan.Node) *NodeStats {
	if s == nil {
		return nil
	}
	return s.nodes[n]
}

// within is statistics for a plan of a node's own: what its scans do, a scan of the statement's plan
// has done. There are none if n is no scan.
func (s *Stats) within(own, n plan.Node) *Stats {
	st := s.Node(n)
	if _, ok := n.(*plan.Scan); !ok || st == nil {
		return nil
	}
	out := &Stats{nodes: map[plan.Node]*NodeStats{}}
	var add func(plan.Node)
	add = func(n plan.Node) {
		if _, ok := n.(*plan.Scan); ok {
			out.nodes[n] = st
		}
		for _, in := range n.Inputs() {
			add(in)
		}
	}
	add(own)
	return out
}

// reads notes that rows of a segment are read.
func (st *NodeStats) reads(seg *storage.Segment) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.read == nil {
		st.read = map[*storage.Segment]bool{}
	}
	st.read[seg] = true
	st.Segments.Store(int64(len(st.read)))
}

// counting is an Env for a scan, which counts for its node what it finds decoded.
func (env *Env) counting(n plan.Node) *Env {
	st := env.Stats.Node(n)
	if st == nil || env.Snapshot == nil {
		return env
	}
	st.snapshot.Do(func() { st.counted = env.Snapshot.Counted(&st.Decoded) })
	out := env.within()
	out.Snapshot = st.counted
	return out
}

// usedIndex notes how a node found its rows.
func (env *Env) usedIndex(n plan.Node, what string) {
	if st := env.Stats.Node(n); st != nil {
		st.Index.Store(&what)
	}
}

// analyzed counts rows and time of an operator. The time includes that of its inputs.
type analyzed struct {
	Operator
	stats   *NodeStats
	columns int // of the node
}

func (a *analyzed) Next(ctx context.Context) (*vec.Batch, error) {
	start := time.Now()
	b, err := a.Operator.Next(ctx)
	a.stats.Elapsed.Add(int64(time.Since(start)))
	if b != nil {
		a.stats.Rows.Add(liveRowsOf(b, a.columns))
	}
	return b, err
}
