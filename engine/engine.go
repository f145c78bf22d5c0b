package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/prickledb/prickle/engine/exec"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/memory"
	"github.com/prickledb/prickle/storage/vec"
	"github.com/prickledb/prickle/storage/vfs"
)

// Env is what a running plan may use.
type Env = exec.Env

// Progress is how far a statement has come.
type Progress = exec.Progress

// Admission decides which queries start, and which one ends when memory is used up.
type Admission = exec.Admission

// Account is what one query holds of the memory of all.
type Account = exec.Account

// Scheduler shares the processors among queries.
type Scheduler = exec.Scheduler

// Share is what one query has of the processors.
type Share = exec.Share

// Payer is on whose account a query runs.
type Payer = exec.Payer

// NewScheduler shares so many processors.
func NewScheduler(slots int) *Scheduler { return exec.NewScheduler(slots) }

// Cost is what a plan is going to read at least.
type Cost = exec.Cost

// EstimateCost is what a plan is going to read, as far as the snapshot knows it.
func EstimateCost(n plan.Node, env *Env) Cost { return exec.EstimateCost(n, env) }

// SpillDir is where queries put what they cannot hold in memory.
type SpillDir = exec.SpillDir

// FileColumns finds the columns of files.
var FileColumns = exec.FileColumns

// FileError is what a client is told of a file outside that cannot be reached.
func FileError(err error) error { return exec.FileError(err) }

// NewAdmission shares a budget's pool for queries.
func NewAdmission(b *memory.Budget) *Admission { return exec.NewAdmission(b) }

// OpenSpillDir makes the directory of spill files, and empties it; they take at most limit
// bytes in all.
func OpenSpillDir(fs vfs.FS, dir string, limit int64) (*SpillDir, error) {
	return exec.OpenSpillDir(fs, dir, limit)
}

// Rows is the answer of a running plan: its schema and its batches.
type Rows struct {
	Schema vec.Schema
	op     exec.Operator
	turn   *exec.Turn // of who pulls
}

// Arrange puts the joins of a plan in an order that suits what env reads, unless env has the
// rule disabled. The plan gives the same rows with and without.
func Arrange(n plan.Node, env *Env) plan.Node { return exec.Arrange(n, env) }

// Run starts a plan. The caller pulls the answer and closes it.
func Run(ctx context.Context, n plan.Node, env *Env) (*Rows, error) {
	if env.Threads < 1 {
		env.Threads = 1
	}
	if env.Progress == nil {
		env.Progress = &Progress{}
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	turn := env.Share.Begin()
	turn.Resume(ctx)
	defer turn.Pause()
	op, err := exec.Build(n, env)
	if err != nil {
		return nil, err
	}
	return &Rows{Schema: n.Schema(), op: op, turn: turn}, nil
}

// Next is the next batch, or nil at the end.
func (r *Rows) Next(ctx context.Context) (*vec.Batch, error) {
	ctx = r.turn.Resume(ctx)
	defer r.turn.Pause()
	return r.op.Next(ctx)
}

// Close ends the plan, finished or not.
func (r *Rows) Close() error { return r.op.Close() }

// Analyze runs a plan to its end, drops the rows, and gives what each node did, as EXPLAIN
// ANALYZE prints it.
func Analyze(ctx context.Context, n plan.Node, env *Env) (plan.TextOptions, error) {
	measured := Measure(n, env)
	start := time.Now()
	if err := drop(ctx, n, env); err != nil {
		return plan.TextOptions{}, err
	}
	measured.Elapsed = time.Since(start)
	return measured, nil
}

// Measure makes a plan that is going to run count what its nodes do.
func Measure(n plan.Node, env *Env) plan.TextOptions {
	env.Stats = exec.NewStats(n)
	return plan.TextOptions{Actual: func(n plan.Node) *plan.Actual { return actual(env.Stats.Node(n)) }}
}

// drop runs a plan and looks at none of its rows.
func drop(ctx context.Context, n plan.Node, env *Env) error {
	rows, err := Run(ctx, n, env)
	if err != nil {
		return err
	}
	for {
		b, err := rows.Next(ctx)
		if err != nil {
			rows.Close() // the first error is the one that matters
			return err
		}
		if b == nil {
			return rows.Close()
		}
	}
}

// actual puts what a node did into words.
func actual(st *exec.NodeStats) *plan.Actual {
	if st == nil {
		return nil
	}
	a := &plan.Actual{Rows: st.Rows.Load(), Elapsed: time.Duration(st.Elapsed.Load())}
	if p := st.Index.Load(); p != nil {
		a.Details = append(a.Details, plan.Detail{Label: "Index", Value: *p})
	}
	if total := st.SegmentsTotal.Load(); total > 0 {
		a.Details = append(a.Details,
			plan.Detail{Label: "Segments", Value: fmt.Sprintf("%d of %d", st.Segments.Load(), total)},
			plan.Detail{Label: "Rows read", Value: fmt.Sprint(st.RowsRead.Load())},
			plan.Detail{Label: "Bytes read", Value: fmt.Sprint(st.BytesRead.Load())})
		found, looked := st.Decoded.Counts()
		a.Details = append(a.Details, plan.Detail{Label: "Cache hits", Value: fmt.Sprintf("%d of %d", found, looked)})
	}
	if n := st.Spilled.Load(); n > 0 {
		a.Details = append(a.Details, plan.Detail{Label: "Spilled", Value: fmt.Sprintf("%d bytes", n)})
	}
	return a
}
