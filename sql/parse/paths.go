package parse

import (
	"github.com/prickledb/prickle/sql/ast"
)

func (p *parser) pathsClause(x *ast.Paths, w token) bool {
	switch w.text {
	case "node":
		p.i++
		x.Node = p.expr()
	case "start":
		p.i++
		p.expectKw("at")
		x.StartAt = p.expr()
	case "end":
		p.i++
		p.expectKw("at")
		x.EndAt = p.expr()
	case "depth":
		p.i++
		x.Depth = p.positive("DEPTH")
	case "session":
		p.i++
		p.expectKw("gap")
		x.SessionGap = p.expr()
	case "edges":
		p.i++
		p.expectKw("top")
		x.EdgesTop = p.positive("EDGES TOP")
	case "weight":
		p.i++
		if p.acceptKw("from") {
			x.WeightFrom = p.positive("WEIGHT FROM")
			if p.acceptKw("to") {
				x.WeightTo = p.positive("WEIGHT TO")
			}
			break
		}
		p.expectKw("to")
		x.WeightTo = p.positive("WEIGHT TO")
	case "repeats":
		p.i++
		p.expectKw("keep")
		x.RepeatsKeep = true
	case "output":
		p.i++
		switch p.oneOf("edges", "actors", "transitions") {
		case "edges":
			x.Output = ast.OutputEdges
		case "actors":
			x.Output = ast.OutputActors
		case "transitions":
			x.Output = ast.OutputTransitions
		}
	default:
		return false
	}
	return true
}
