package exec

import (
	"slices"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/segment"
	"github.com/prickledb/prickle/storage/vec"
)

// Rows of events that lie side by side are often alike in all that a query reads: those of a session, or
// of a person. Below an aggregate that can do with it, a scan gives such rows as one, and its batches
// have a column more than its node, behind the others: how many rows each stands for. A batch without
// that column has rows as they are. What only drops rows leaves the column alone; projections and joins
// pass it on. The aggregate counts by it, and repeats the rows for what it cannot count so.

// weightsOf is how many rows each row of a batch of a node with so many columns stands for; nil if that
// is one.
func weightsOf(b *vec.Batch, columns int) *vec.Vector {
	if len(b.Cols) == columns {
		return nil
	}
	return b.Cols[columns]
}

// liveRowsOf is how many rows those of a batch that count stand for.
func liveRowsOf(b *vec.Batch, columns int) int64 {
	return standFor(weightsOf(b, columns), b.Rows, b.Sel)
}

// standFor is how many rows some of so many stand for, or, with nil, all.
func standFor(weights *vec.Vector, rows int, some []uint32) (n int64) {
	switch {
	case weights == nil && some == nil:
		return int64(rows)
	case weights == nil:
		return int64(len(some))
	case some == nil:
		for _, x := range weights.I64[:rows] {
			n += x
		}
	default:
		for _, r := range some {
			n += weights.I64[r]
		}
	}
	return n
}

// weighs says whether an aggregate can do with weights: its calls count rows, or pass over NULL.
func weighs(n *plan.Aggregate) bool {
	for i := range n.Aggs {
		call := &n.Aggs[i]
		switch call.Name {
		case "count", "count_if", "sum", "avg", "min", "max":
		default:
			return false
		}
		if len(call.OrderBy) > 0 || expr.Volatile(call.Filter) || slices.ContainsFunc(call.Args, expr.Volatile) {
			return false
		}
	}
	return !slices.ContainsFunc(n.Keys, expr.Volatile)
}

// weigh has the scan at the end of the pipeline give rows that are alike as one, if all above it
// can do with that.
func (p *pipeline) weigh() error {
	if p.source == nil || p.source.morsels == nil || len(p.source.oids) > 0 || slices.Contains(p.env.Disabled, plan.CountRuns) {
		return nil
	}
	for n := p.node; n != p.leaf; {
		switch x := n.(type) {
		case *plan.Filter:
			if expr.Volatile(x.Cond) {
				return nil
			}
			n = x.Input
		case *plan.Project:
			if slices.ContainsFunc(x.Exprs, expr.Volatile) {
				return nil
			}
			n = x.Input
		case *plan.Join:
			if expr.Volatile(x.On) || slices.ContainsFunc(p.joins[x].keys, expr.Volatile) {
				return nil
			}
			n = p.joins[x].probe
		}
	}
	return p.source.readRuns()
}

// readRuns has the scan give rows that are alike as one, if all its columns may be kept so.
func (s *scanSource) readRuns() error {
	runs := make([]runReader, len(s.node.Columns))
	for i, c := range s.node.Columns {
		var err error
		if runs[i], err = eventRuns(c, s.env); runs[i] == nil || err != nil {
			return err
		}
	}
	s.runs = runs
	return nil
}

// eventRuns is how to read a column of the events table as runs; nil if it is never kept so.
func eventRuns(c plan.ScanColumn, env *Env) (runReader, error) {
	switch {
	case c.Column == "event":
		return func(_ *segment.RunRoom, m morsel, lo, hi int) (*vec.Vector, []uint32, bool, error) {
			v, ends := m.nameRuns(lo, hi)
			return v, ends, true, nil
		}, nil
	case c.Column == "person_id" || ofPerson(&c):
		return personRuns(c, env)
	}
	return propertyRuns(c, env), nil
}

// alike is the rows of [lo, hi) of a morsel with a weight each; nil if they are not kept as runs, or those
// are too short.
func (s *scan) alike(m morsel, lo, hi int) (*rowBlock, error) {
	src := s.source
	n := len(src.runs)
	if s.rooms == nil {
		s.rooms = make([]segment.RunRoom, n)
	}
	cols, ends := make([]*vec.Vector, n), make([][]uint32, n)
	most := (hi - lo) / 2
	for i, read := range src.runs {
		var ok bool
		var err error
		if cols[i], ends[i], ok, err = read(&s.rooms[i], m, lo, hi); !ok || err != nil || len(ends[i]) > most {
			return nil, err
		}
	}
	all := []uint32{uint32(hi - lo)}
	for _, e := range ends {
		switch {
		case len(all) == 1:
			all = e
		case len(e) > 1 && !slices.Equal(e, all):
			merged := mergeEnds(s.ends[0], all, e)
			s.ends[0], s.ends[1] = s.ends[1], merged // all may be in the other one
			all = merged
		}
	}
	if len(all) > most {
		return nil, nil
	}
	weights := make([]int64, len(all))
	from := uint32(0)
	for i, to := range all {
		weights[i] = int64(to - from)
		from = to
	}
	for i, v := range cols {
		if v.Form != vec.Const {
			s.places = runsAt(s.places, ends[i], all)
			cols[i] = v.Take(s.places)
		}
	}
	return &rowBlock{rows: len(all), weights: &vec.Vector{Type: vec.T(vec.Int8), I64: weights}, column: func(i int) (*vec.Vector, error) { return cols[i], nil }}, nil
}

// mergeEnds is where a run of either list ends, in room if that is large enough. Both end with the same.
func mergeEnds(room, a, b []uint32) []uint32 {
	out := grow(room, len(a)+len(b))
	i, k, n := 0, 0, 0
	for i < len(a) && k < len(b) {
		x, y := a[i], b[k]
		out[n] = min(x, y)
		n++
		// Which of them ends first cannot be foreseen, so there is no branch for it.
		var ofA, ofB int
		if x <= y {
			ofA = 1
		}
		if y <= x {
			ofB = 1
		}
		i, k = i+ofA, k+ofB
	}
	return out[:n]
}

// runsAt is which of the runs that end there each of finer ones lies in, in room if that is large enough.
func runsAt(room, ends, finer []uint32) []uint32 {
	out := grow(room, len(finer))
	at := 0
	for i, end := range finer {
		out[i] = uint32(at)
		var next int
		if ends[at] == end {
			next = 1
		}
		at += next
	}
	return out
}

// repeated is a batch of a node with so many columns with its rows as often as they are there.
func repeated(b *vec.Batch, columns int) *vec.Batch {
	w := weightsOf(b, columns)
	if w == nil {
		return b
	}
	rows := b.Sel
	if rows == nil {
		rows = firstRows(new([]uint32), b.Rows)
	}
	return take(b.Cols[:columns], weighed(rows, rows, w))
}

// weighed is values of rows, each as often as its row is there.
func weighed(values, rows []uint32, weights *vec.Vector) (out []uint32) {
	for i, r := range rows {
		for range weights.I64[r] {
			out = append(out, values[i])
		}
	}
	return out
}
