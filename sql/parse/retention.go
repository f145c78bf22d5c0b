package parse

import (
	"github.com/prickledb/prickle/sql/ast"
)

func (p *parser) retentionClause(r *ast.Retention, w token) bool {
	switch w.text {
	case "start":
		p.i++
		r.Start = p.expr()
		switch {
		case p.acceptKw("first", "ever"):
			r.First = ast.FirstEver
			if p.acceptKw("of") {
				r.FirstOf = p.expr()
			}
		case p.acceptKw("first", "in", "range"):
			r.First = ast.FirstInRange
		case p.acceptKw("every", "time"):
			r.First = ast.EveryTime
		}
	case "return":
		p.i++
		r.Return = p.expr()
		if p.acceptKw("minimum") {
			r.Minimum = p.positive("MINIMUM")
			p.expectKw("times")
		}
	case "every":
		p.i++
		r.Every = p.expr()
		if p.acceptKw("for") {
			r.Periods = p.positive("FOR")
			p.expectKw("periods")
		}
	case "brackets":
		p.i++
		p.paren(func() { r.Brackets = append(r.Brackets, p.positive("BRACKETS")) })
	case "rule":
		p.i++
		p.expectKw("on")
		r.Rule = ast.RuleOn
		if p.acceptKw("or") {
			p.expectKw("after")
			r.Rule = ast.RuleOnOrAfter
		}
	case "align":
		p.i++
		r.Align = ast.AlignCalendar
		if p.oneOf("calendar", "actor") == "actor" {
			r.Align = ast.AlignActor
		}
	case "measure":
		p.i++
		item := p.item()
		r.Measure = &item
		switch {
		case p.acceptKw("with", "start", "period"):
			r.Own = ast.WithStartPeriod
		case p.acceptKw("without", "start", "period"):
			r.Own = ast.WithoutStartPeriod
		}
	case "output":
		p.i++
		switch p.oneOf("matrix", "curve", "actors") {
		case "matrix":
			r.Output = ast.OutputMatrix
		case "curve":
			r.Output = ast.OutputCurve
		case "actors":
			r.Output = ast.OutputActors
		}
	default:
		return false
	}
	return true
}
