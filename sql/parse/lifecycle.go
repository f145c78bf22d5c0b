package parse

import (
	"github.com/prickledb/prickle/sql/ast"
)

func (p *parser) lifecycleClause(x *ast.Lifecycle, w token) bool {
	switch w.text {
	case "created":
		p.i++
		x.Created = p.expr()
	case "every":
		p.i++
		x.Every = p.expr()
	case "output":
		p.i++
		p.expectKw("actors")
		x.Output = ast.OutputActors
	default:
		return false
	}
	return true
}

func (p *parser) stickinessClause(x *ast.Stickiness, w token) bool {
	switch w.text {
	case "series":
		p.i++
		p.paren(func() {
			s := ast.StickinessSeries{Place: p.tok().at(), Name: p.colonName(), Cond: p.expr()}
			x.Series = append(x.Series, s)
		})
	case "every":
		p.i++
		x.Every = p.expr()
	case "rule":
		p.i++
		p.expectKw("on")
		x.Rule = ast.RuleOn
		if p.acceptKw("or") {
			p.expectKw("more")
			x.Rule = ast.RuleOnOrMore
		}
	case "align":
		p.i++
		p.expectKw("to")
		x.AlignTo = p.expr()
	case "minimum", "maximum", "exactly":
		p.i++
		if x.Times > 0 {
			p.badClause(w, "STICKINESS has two bounds of TIMES")
		}
		x.Bound = bounds[w.text]
		x.Times = p.positive(upper(w.text))
		p.expectKw("times")
	case "output":
		p.i++
		p.expectKw("actors")
		x.Output = ast.OutputActors
	default:
		return false
	}
	return true
}

var bounds = map[string]ast.Bound{"minimum": ast.BoundMinimum, "maximum": ast.BoundMaximum, "exactly": ast.BoundExactly}
