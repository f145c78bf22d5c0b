package exec

import (
	"context"
	"sort"

	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/vec"
)

// answer makes the rows of the answer, for the given breakdown values.
func (r *retention) answer(ctx context.Context, matrices []*matrix, ids []uint32) error {
	switch r.node.Output {
	case plan.OutputActors:
		r.actorRows(matrices, ids)
		return nil
	case plan.OutputCurve:
		r.curveRows(matrices, ids)
	default:
		if err := r.matrixRows(ctx, matrices, ids); err != nil {
			return err
		}
	}
	if r.measure == nil {
		return nil
	}
	v, err := r.measure.finish(ctx, r.rows)
	r.cols = append(r.cols, v)
	return err
}

// over says whether a column of cohort c has ended by the time of the query, for all of its
// actors: with ALIGN ACTOR, who starts at the cohort's end is a period behind.
func (r *retention) over(c, column int) bool {
	p := c + r.label(column) + 1
	if r.node.ByActor {
		p++
	}
	// The timeline goes beyond the time of the query, so what lies behind it has not ended.
	return p < len(r.line.starts) && r.line.starts[p] <= r.env.Expr.Now
}

// width is how many columns cohort c has in the answer: the brackets, as many periods as
// were asked for, or else those that have begun.
func (r *retention) width(c int) int {
	switch {
	case len(r.node.Brackets) > 0:
		return len(r.node.Brackets)
	case r.node.Periods > 0:
		return r.node.Periods
	}
	return max(1, r.line.bucket(max(r.env.Expr.Now, r.line.starts[0]))-c+1)
}

// returned is how many actors of cohort c came back in a column.
func (m *matrix) returned(c, column int) int64 {
	if column >= len(m.retained[c]) {
		return 0
	}
	return m.retained[c][column]
}

// pool says that what was measured in a column of cohort c belongs to a row of the answer.
func (r *retention) pool(m *matrix, c, column, row int) {
	if r.measure == nil {
		return
	}
	if cells := m.cells[c]; column < len(cells) && cells[column] > 0 {
		r.measure.pool(cells[column], row)
	}
	for _, o := range m.pooled {
		if cells := o.cells[c]; column < len(cells) && cells[column] > 0 {
			r.measure.pool(cells[column], row)
		}
	}
}

func (r *retention) matrixRows(ctx context.Context, matrices []*matrix, ids []uint32) error {
	rows := 0
	for _, v := range ids {
		for c, n := range matrices[v].size {
			if n > 0 {
				rows += r.width(c)
			}
		}
	}
	bytes := int64(rows) * retentionRowBytes
	r.held.Add(bytes)
	if err := r.env.hold(ctx, bytes); err != nil {
		return err
	}
	cohort, period := &vec.Vector{Type: vec.T(vec.TimestampTZ)}, &vec.Vector{Type: vec.T(vec.Int4)}
	size, retained := &vec.Vector{Type: vec.T(vec.Int8)}, &vec.Vector{Type: vec.T(vec.Int8)}
	rate, done := vec.NewBuilder(vec.T(vec.Float8)), &vec.Vector{Type: vec.T(vec.Bool)}
	var values []uint32
	for _, v := range ids {
		m := matrices[v]
		for c, n := range m.size {
			if n == 0 {
				continue
			}
			for p := range r.width(c) {
				back := m.returned(c, p)
				r.pool(m, c, p, len(values))
				values = append(values, v)
				cohort.I64 = append(cohort.I64, r.line.starts[c])
				period.I64 = append(period.I64, int64(r.label(p)))
				size.I64 = append(size.I64, n)
				retained.I64 = append(retained.I64, back)
				appendRate(rate, back, n)
				done.Bools = append(done.Bools, r.over(c, p))
			}
		}
	}
	r.rows = len(values)
	r.cols = append(breakdownColumns(r.node.Breakdown, r.actors.breakdown(), values),
		cohort, period, size, retained, rate.V, done)
	return nil
}

// retentionRowBytes is a row of the matrix: its breakdown value, five numbers and a boolean.
const retentionRowBytes = 4 + 5*8 + 1

func (r *retention) curveRows(matrices []*matrix, ids []uint32) {
	period := &vec.Vector{Type: vec.T(vec.Int4)}
	size, retained := &vec.Vector{Type: vec.T(vec.Int8)}, &vec.Vector{Type: vec.T(vec.Int8)}
	rate := vec.NewBuilder(vec.T(vec.Float8))
	var values []uint32
	for _, v := range ids {
		m := matrices[v]
		columns := 0
		for c, n := range m.size {
			if n > 0 {
				columns = max(columns, r.width(c))
			}
		}
		for p := range columns {
			var n, back int64
			for c := range m.size {
				if m.size[c] == 0 || p >= r.width(c) || !r.over(c, p) {
					continue
				}
				r.pool(m, c, p, len(values))
				n += m.size[c]
				back += m.returned(c, p)
			}
			values = append(values, v)
			period.I64 = append(period.I64, int64(r.label(p)))
			size.I64 = append(size.I64, n)
			retained.I64 = append(retained.I64, back)
			appendRate(rate, back, n)
		}
	}
	r.rows = len(values)
	r.cols = append(breakdownColumns(r.node.Breakdown, r.actors.breakdown(), values), period, size, retained, rate.V)
}

func (r *retention) actorRows(matrices []*matrix, ids []uint32) {
	cohort := &vec.Vector{Type: vec.T(vec.TimestampTZ)}
	back := vec.NewBuilder(vec.ArrayOf(vec.Int4))
	var values, who []uint32
	for _, v := range ids {
		m := matrices[v]
		order := make([]int, len(m.actors))
		for i := range order {
			order[i] = i
		}
		sort.SliceStable(order, func(i, j int) bool { return m.cohorts[order[i]] < m.cohorts[order[j]] })
		for _, i := range order {
			values, who = append(values, v), append(who, m.actors[i])
			cohort.I64 = append(cohort.I64, r.line.starts[m.cohorts[i]])
			back.AppendFrom(&m.back, i)
		}
	}
	r.rows = len(values)
	r.cols = append(breakdownColumns(r.node.Breakdown, r.actors.breakdown(), values), cohort, r.actors.vector(who), back.V)
}
