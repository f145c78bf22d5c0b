package exec

import (
	"slices"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/vec"
)

// keyFilter drops rows of a scan that a join above would drop, before their other columns are
// decoded: those whose value of a key column is in no row of the join's build side. A scan
// pulls rows only after the build side is read. It is used by one goroutine.
type keyFilter struct {
	of      *joining
	key     int // of the join's keys
	column  int // of the node that the filter is handed down to
	finder  finder
	scratch []uint32
	tried   int
	passed  int
}

// keyTrial is how many rows a keyFilter sees before it may give up, and keyGain what part of
// them it must drop: the join looks up again what passes.
const (
	keyTrial = 4 * vec.BatchRows
	keyGain  = 4
)

// keep selects the rows of b that may have a match.
func (f *keyFilter) keep(b *vec.Batch) *vec.Batch {
	t := f.of.table
	if t == nil || f.tried >= keyTrial && f.passed > f.tried-f.tried/keyGain {
		return b // the rows are on disk, or most of them match
	}
	rows := b.Sel
	if rows == nil {
		rows = firstRows(&f.scratch, b.Rows)
	}
	sel := make([]uint32, len(rows))
	sel = sel[:t.keys[f.key].keep(sel, &f.finder, b.Cols[f.column], rows)]
	f.tried += len(rows)
	f.passed += len(sel)
	return &vec.Batch{Rows: b.Rows, Sel: sel, Cols: b.Cols}
}

// keyFilters is what a join asks of its probe side: of what it was handed down itself, those of
// columns of that side, and its own.
func (s *joining) keyFilters(from []*keyFilter) []*keyFilter {
	var out []*keyFilter
	if !s.outer() { // else a row without a match above has an effect here
		lo, hi := 0, len(s.node.Left.Schema())
		if s.swapped {
			lo, hi = hi, hi+len(s.node.Right.Schema())
		}
		for _, f := range from {
			if f.column >= lo && f.column < hi && !s.marks() {
				f.column -= lo
				out = append(out, f)
			}
		}
	}
	for i, k := range s.keys {
		if s.filters(i) {
			out = append(out, &keyFilter{of: s, key: i, column: k.(*expr.Column).Index})
		}
	}
	return out
}

// filters says whether a row of the probe side can be dropped by a key alone.
func (s *joining) filters(key int) bool {
	if k := s.node.Kind; s.fillsProbe() || k == plan.NotInJoin || k == plan.AntiJoin && !s.swapped {
		return false
	}
	_, ok := s.keys[key].(*expr.Column)
	return ok && !slices.Contains(s.env.Disabled, plan.JoinFilters)
}

// throughProject is the filters of columns that a Project passes on.
func throughProject(p *plan.Project, from []*keyFilter) []*keyFilter {
	var out []*keyFilter
	for _, f := range from {
		if c, ok := p.Exprs[f.column].(*expr.Column); ok {
			f.column = c.Index
			out = append(out, f)
		}
	}
	return out
}

// throughGroups is the filters of keys of groups that need be computed only where the join asks
// for them.
func throughGroups(n *plan.Aggregate, from []*keyFilter) []*keyFilter {
	var out []*keyFilter
	for _, f := range from {
		if f.of.node.Narrows == plan.NarrowsNone || f.column >= len(n.Keys) {
			continue
		}
		if c, ok := n.Keys[f.column].(*expr.Column); ok {
			f.column = c.Index
			out = append(out, f)
		}
	}
	return out
}

// again is the same filters for another goroutine.
func again(filters []*keyFilter) []*keyFilter {
	var out []*keyFilter
	for _, f := range filters {
		out = append(out, &keyFilter{of: f.of, key: f.key, column: f.column})
	}
	return out
}
