package bind

import (
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/sql/ast"
	"github.com/prickledb/prickle/storage/vec"
)

// What PATHS takes where a clause is missing: half an hour of silence ends a session, and a
// path is five nodes long, as in the insights.
const (
	pathsGapMicros   = 30 * 60 * 1_000_000
	pathsDepth       = 5
	pathsEdges       = 50 // with COMPATIBLE only
	maxPathsDepth    = 10_000
	microsOfDay      = 86_400_000_000
	compatibleMonths = 31 // days of a month under the rules of the insights
)

func (b *binder) paths(x *ast.Paths) plan.Node {
	empty := &plan.Values{}
	src, sc := b.source(&x.Common, "PATHS", x.Pos(), true)
	if b.err != nil {
		return empty
	}
	n := &plan.Paths{Source: src, Depth: x.Depth, EdgesTop: x.EdgesTop, WeightFrom: x.WeightFrom, WeightTo: x.WeightTo,
		RepeatsKeep: x.RepeatsKeep, Gap: vec.IntervalValue{Micros: pathsGapMicros}}
	text, nodePos := vec.T(vec.Text), x.Pos()
	switch at := sc.rel.eventColumn(); {
	case x.Node != nil:
		nodePos = x.Node.Pos()
		n.Node = b.value(x.Node, sc.in("NODE", nil))
	case at >= 0:
		n.Node = b.column(sc.rel, at, nodePos)
	default:
		b.operatorError(nodePos, "Write, for example, PATHS(NODE event SESSION GAP INTERVAL '30 minutes').", "PATHS needs NODE")
		return empty
	}
	if t := n.Node.Type(); t.Kind == vec.Unknown || t.IsText() {
		n.Node = b.coerce(n.Node, text, nodePos)
	} else {
		n.Node = b.cast(n.Node, text, nodePos, true, false)
	}
	if x.StartAt != nil {
		n.StartAt = b.condition(b.expr(x.StartAt, sc.in("START AT", nil)), "START AT", x.StartAt.Pos())
	}
	if x.EndAt != nil {
		n.EndAt = b.condition(b.expr(x.EndAt, sc.in("END AT", nil)), "END AT", x.EndAt.Pos())
	}
	if x.SessionGap != nil {
		n.Gap = b.span(x.SessionGap, "SESSION GAP")
	}
	switch x.Output {
	case ast.OutputDefault, ast.OutputEdges:
	case ast.OutputActors:
		n.Output = plan.OutputActors
	case ast.OutputTransitions:
		n.Output = plan.OutputTransitions
	default:
		b.operatorError(x.Pos(), "PATHS has OUTPUT EDGES, OUTPUT TRANSITIONS and OUTPUT ACTORS.", "PATHS has no such OUTPUT")
	}
	switch {
	case n.Depth > maxPathsDepth:
		b.operatorError(x.Pos(), "", "DEPTH can be at most %d, not %d", maxPathsDepth, n.Depth)
	case n.WeightTo > 0 && n.WeightFrom > n.WeightTo:
		b.operatorError(x.Pos(), "WEIGHT FROM n TO m keeps the edges whose count is at least n and at most m.", "WEIGHT ends before it begins")
	}
	if n.Depth == 0 && n.Output != plan.OutputTransitions {
		n.Depth = pathsDepth
	}
	if n.Compatible {
		// Days and months have a fixed length under the rules of the insights.
		n.Gap = vec.IntervalValue{Micros: n.Gap.Micros + (int64(n.Gap.Months)*compatibleMonths+int64(n.Gap.Days))*microsOfDay}
		if n.EdgesTop == 0 {
			n.EdgesTop = pathsEdges
		}
	}
	b.noSteps(x.Breakdown)
	if b.err != nil {
		return empty
	}
	return n
}

// eventColumn is the column that names the events of a table, -1 if nothing says which it is.
func (rel *relation) eventColumn() int {
	if rel.table == nil || rel.table.Event == "" {
		return -1
	}
	return rel.find(rel.table.Event)
}
