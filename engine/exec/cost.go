package exec

import (
	"slices"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage"
	"github.com/prickledb/prickle/storage/segment"
)

// Cost is about what a plan is going to read, as far as the snapshot knows it without
// reading. It counts as Progress does. Of a scan under a filter it has the columns that the
// condition looks at: the others are read where it holds.
type Cost struct {
	Segments, Columns int
	Rows, Bytes       int64
}

// EstimateCost adds up what the scans of a plan read. A scan that may end early, since only
// its first rows are wanted, whose bounds are yet to be computed, or of which blocks may be counted
// without being read, counts nothing.
func EstimateCost(n plan.Node, env *Env) Cost {
	var c Cost
	segments := map[*storage.Segment]bool{}
	c.add(n, env, segments)
	c.Segments = len(segments)
	return c
}

func (c *Cost) add(n plan.Node, env *Env, segments map[*storage.Segment]bool) {
	switch n := n.(type) {
	case *plan.Scan:
		c.scan(n, env, len(n.Columns), segments)
		return
	case *plan.Filter:
		if sc, ok := n.Input.(*plan.Scan); ok {
			c.scan(sc, env, countColumns(n.Cond), segments)
			return
		}
	case *plan.Aggregate:
		if _, _, ok := n.Metadata(); ok {
			return
		}
	case *plan.Limit:
		if endsEarly(n.Input) {
			return
		}
	case *plan.TopN:
		if sc, column, ok := scanned(n.Input, n.Keys[0].Expr); ok && sc.Table.IsEvents() && sc.Columns[column].Column == sc.Table.Time {
			return
		}
	case plan.Native:
		if sc, ok := n.Inputs()[0].(*plan.Scan); ok && sc.Table.IsEvents() {
			// Persons and events are known from the run index.
			c.scan(sc, env, 1+countOthers(sc), segments)
			return
		}
	}
	for _, in := range n.Inputs() {
		c.add(in, env, segments)
	}
}

// countColumns is how many columns a condition looks at.
func countColumns(cond expr.Expr) int {
	seen := map[int]bool{}
	expr.Walk(cond, func(e expr.Expr) bool {
		if c, ok := e.(*expr.Column); ok {
			seen[c.Index] = true
		}
		return true
	})
	return len(seen)
}

// countOthers is how many columns a scan of events reads besides those that a run index has,
// and the time.
func countOthers(sc *plan.Scan) int {
	n := 0
	for _, col := range sc.Columns {
		if !slices.Contains([]string{"event", "person_id", "timestamp"}, col.Column) {
			n++
		}
	}
	return n
}

// endsEarly says whether a plan gives its first rows before it has read everything.
func endsEarly(n plan.Node) bool {
	for {
		switch x := n.(type) {
		case *plan.Filter:
			n = x.Input
		case *plan.Project:
			n = x.Input
		case *plan.Scan:
			return true
		default:
			return false
		}
	}
}

func (c *Cost) scan(n *plan.Scan, env *Env, columns int, segments map[*storage.Segment]bool) {
	if n.Table.System != "" {
		return
	}
	rows := 0
	switch {
	case n.Table.Schema != nil:
		version := env.Snapshot.Tables().Table(n.Table.Schema.Table)
		if version == nil {
			return // opening it says what is wrong
		}
		ranges := tableRanges(n.Ranges, version.Schema, env)
		for _, p := range version.Pieces() {
			if ranges.mayHold(&p) {
				rows += p.Rows()
			}
		}
	case n.Table.IsEvents():
		from, to, err := timeBounds(n.From, n.To, env)
		if err != nil {
			return
		}
		eventRanges(n, env, from, to, func(seg *storage.Segment, rng *segment.Range) {
			rows += rng.Hi - rng.Lo
			segments[seg] = true
		})
	case n.Table.Name == "sessions":
		rows = env.Snapshot.SessionCount()
	default:
		rows = env.Snapshot.Persons().Len()
	}
	rows = int(float64(rows) * shareOfWhose(n, env))
	c.Rows += int64(rows)
	c.Columns += columns
	c.Bytes += int64(rows) * int64(columns) * 8
}

// eventRanges visits the ranges that a scan of events reads rows of.
func eventRanges(n *plan.Scan, env *Env, from, to int64, visit func(*storage.Segment, *segment.Range)) {
	for _, seg := range env.Snapshot.Segments() {
		if seg.MaxTime() < from || seg.MinTime() >= to {
			continue
		}
		for _, rng := range rangesOf(n, seg) {
			visit(seg, rng)
		}
	}
}

// rangesOf are those ranges of a segment that a scan of events reads rows of, in their order. Where the
// scan knows the names of its events, no other range is looked at: there may be very many.
func rangesOf(n *plan.Scan, seg *storage.Segment) []*segment.Range {
	if n.Events == nil {
		return seg.Ranges()
	}
	var out []*segment.Range
	for _, e := range n.Events {
		if rng := seg.Range(e); rng != nil {
			out = append(out, rng)
		}
	}
	return out
}

// scanned says which column e is of the scan at the leaf of a chain of filters and projections
// that ends in n, if it is one.
func scanned(n plan.Node, e expr.Expr) (sc *plan.Scan, column int, ok bool) {
	below, column := columnBelow(n, e, true)
	sc, ok = below.(*plan.Scan)
	return sc, column, ok
}

// columnBelow follows a column of n down a chain of projections, and of filters if it may pass them: to the node that
// it comes from, and which column it is there. No node is nil: it is computed on the way.
func columnBelow(n plan.Node, e expr.Expr, filters bool) (below plan.Node, column int) {
	for {
		c, ok := e.(*expr.Column)
		if !ok {
			return nil, 0
		}
		switch x := n.(type) {
		case *plan.Project:
			n, e = x.Input, x.Exprs[c.Index]
			continue
		case *plan.Filter:
			if filters {
				n = x.Input
				continue
			}
		}
		return n, c.Index
	}
}
