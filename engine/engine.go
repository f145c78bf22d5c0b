package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/prickledb/prickle/engine/exec"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/vec"
)

// Env is what a running plan may use.
type Env = exec.Env

// Progress is how far a statement has come.
type Progress = exec.Progress

// Rows is the answer of a running plan: its schema and its batches.
type Rows struct {
	Schema vec.Schema
	op     exec.Operator
}

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
	op, err := exec.Build(n, env)
	if err != nil {
		return nil, err
	}
	return &Rows{Schema: n.Schema(), op: op}, nil
}

// Next is the next batch, or nil at the end.
func (r *Rows) Next(ctx context.Context) (*vec.Batch, error) { return r.op.Next(ctx) }

// Close ends the plan, finished or not.
func (r *Rows) Close() error { return r.op.Close() }

// Analyze runs a plan to its end, drops the rows, and describes what each node did, one
// line of EXPLAIN ANALYZE each.
func Analyze(ctx context.Context, n plan.Node, env *Env) ([]string, error) {
	env.Stats = exec.NewStats(n)
	start := time.Now()
	rows, err := Run(ctx, n, env)
	if err != nil {
		return nil, err
	}
	for {
		b, err := rows.Next(ctx)
		if err != nil {
			rows.Close() // the first error is the one that matters
			return nil, err
		}
		if b == nil {
			break
		}
	}
	if err := rows.Close(); err != nil {
		return nil, err
	}
	elapsed := time.Since(start)
	lines := plan.ExplainText(plan.Describe(n), plan.TextOptions{Annotate: func(n plan.Node) (string, []plan.Detail) {
		return describe(env.Stats.Node(n))
	}})
	return append(lines, fmt.Sprintf("Execution Time: %.3f ms", elapsed.Seconds()*1000)), nil
}

// describe words what a node did: a suffix of its line, and lines below it.
func describe(st *exec.NodeStats) (string, []plan.Detail) {
	if st == nil {
		return "", nil
	}
	suffix := fmt.Sprintf("(actual time=0.000..%.3f rows=%d loops=1)", float64(st.Elapsed.Load())/1e6, st.Rows.Load())
	var below []plan.Detail
	if p := st.Index.Load(); p != nil {
		below = append(below, plan.Detail{Label: "Index", Value: *p})
	}
	if total := st.SegmentsTotal.Load(); total > 0 {
		below = append(below,
			plan.Detail{Label: "Segments", Value: fmt.Sprintf("%d of %d", st.Segments.Load(), total)},
			plan.Detail{Label: "Rows read", Value: fmt.Sprint(st.RowsRead.Load())})
	}
	return suffix, below
}
