package exec

import (
	"context"

	"github.com/prickledb/prickle/engine/agg"
	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/vec"
)

// measuredRows is the arguments of an aggregate for the rows of one condition, read along
// with the lists of actors: a rowRef finds them.
type measuredRows struct {
	call   *plan.AggCall
	cond   int
	cols   []*vec.Builder // the arguments, then the keys of ORDER BY; NULL where a row does not count
	counts []bool         // which rows satisfy the condition and FILTER
}

func newMeasuredRows(call *plan.AggCall, cond int) *measuredRows {
	m := &measuredRows{call: call, cond: cond}
	for _, e := range m.exprs() {
		m.cols = append(m.cols, vec.NewBuilder(e.Type()))
	}
	return m
}

func (m *measuredRows) exprs() []expr.Expr {
	out := m.call.Args[:len(m.call.Args):len(m.call.Args)]
	for _, k := range m.call.OrderBy {
		out = append(out, k.Expr)
	}
	return out
}

// read takes in the live rows of a batch that satisfy any condition, and says how many
// bytes that takes. Arguments are evaluated only where they count: elsewhere they may be
// what no aggregate can take.
func (m *measuredRows) read(ctx *expr.Context, b *vec.Batch, live []uint32, masks []condSet) (int64, error) {
	sel := make([]uint32, 0, len(live))
	for _, r := range live {
		if masks[r].has(m.cond) {
			sel = append(sel, r)
		}
	}
	b = &vec.Batch{Rows: b.Rows, Sel: sel, Cols: b.Cols}
	var err error
	if m.call.Filter != nil && len(sel) > 0 {
		if b, err = keepTrue(ctx, m.call.Filter, b); err != nil {
			return 0, err
		}
	}
	var cols []*vec.Vector
	if len(b.Sel) > 0 {
		if cols, err = evalAll(ctx, m.exprs(), b); err != nil {
			return 0, err
		}
	}
	before := m.bytes()
	next := 0
	for _, r := range live {
		if masks[r].none() {
			continue
		}
		counts := next < len(b.Sel) && b.Sel[next] == r
		m.counts = append(m.counts, counts)
		for i, c := range m.cols {
			if counts {
				c.AppendFrom(cols[i], int(r))
			} else {
				c.AppendNull()
			}
		}
		if counts {
			next++
		}
	}
	return m.bytes() - before, nil
}

func (m *measuredRows) bytes() int64 {
	n := int64(cap(m.counts))
	for _, c := range m.cols {
		n += c.V.Bytes()
	}
	return n
}

// measure aggregates rows in cells, which are numbered as they are met, and then pools the
// cells that make one row of an answer. It belongs to one goroutine.
type measure struct {
	of    *measuredRows
	env   *Env
	state agg.State
	cells int
	held  int64 // bytes of state that are accounted for
	// rows that are yet to be added, and their cells
	rows, groups []uint32
	all          []uint32
	// to is, for each cell, the row of the answer that takes it in, plus one; 0: none does.
	to []uint32
}

func newMeasure(of *measuredRows, env *Env) (*measure, error) {
	state, err := newState(of.call)
	return &measure{of: of, env: env, state: state}, err
}

// cell is the number of the next cell, plus one.
func (m *measure) cell() uint32 {
	m.cells++
	return uint32(m.cells)
}

// add puts a row into a cell.
func (m *measure) add(ctx context.Context, cell, row uint32) error {
	if !m.of.counts[row] {
		return nil
	}
	m.groups, m.rows = append(m.groups, cell-1), append(m.rows, row)
	if len(m.rows) < vec.BatchRows {
		return nil
	}
	return m.flush(ctx)
}

func (m *measure) flush(ctx context.Context) error {
	args := make([]*vec.Vector, len(m.of.cols))
	for i, c := range m.of.cols {
		args[i] = c.V.Take(m.rows)
	}
	m.state.Grow(m.cells)
	if err := m.state.Update(m.env.Expr, m.groups, args, firstRows(&m.all, len(m.rows))); err != nil {
		return err
	}
	m.groups, m.rows = m.groups[:0], m.rows[:0]
	return m.hold(ctx)
}

func (m *measure) hold(ctx context.Context) error {
	grown := m.state.Bytes() - m.held
	m.held += grown
	return m.env.hold(ctx, grown)
}

// pool says that a cell belongs to a row of the answer.
func (m *measure) pool(cell uint32, row int) {
	if m.to == nil {
		m.to = make([]uint32, m.cells)
	}
	m.to[cell-1] = uint32(row) + 1
}

// finish is the measure of so many rows of an answer.
func (m *measure) finish(ctx context.Context, rows int) (*vec.Vector, error) {
	if err := m.flush(ctx); err != nil {
		return nil, err
	}
	pooled, err := newState(m.of.call)
	if err != nil {
		return nil, err
	}
	// Group 0 takes the cells that are in no row.
	pooled.Grow(rows + 1)
	if m.cells > 0 {
		if m.to == nil {
			m.to = make([]uint32, m.cells)
		}
		if err := pooled.Merge(m.state, m.to); err != nil {
			return nil, err
		}
	}
	m.state = pooled
	if err := m.hold(ctx); err != nil {
		return nil, err
	}
	v, err := pooled.Finish()
	if err != nil {
		return nil, err
	}
	ids := make([]uint32, rows)
	for i := range ids {
		ids[i] = uint32(i) + 1
	}
	return v.Take(ids), nil
}
