package parse

import (
	"github.com/prickledb/prickle/sql/ast"
)

func (p *parser) funnelClause(f *ast.Funnel, w token) bool {
	switch w.text {
	case "steps":
		p.i++
		p.paren(func() {
			s := ast.Step{Place: p.tok().at(), Name: p.colonName()}
			s.Cond = p.expr()
			if p.acceptKw("first") {
				p.expectKw("ever")
				s.First = true
				if p.acceptKw("of") {
					s.FirstOf = p.expr()
				}
			}
			s.Optional = p.acceptKw("optional")
			if p.acceptKw("within") {
				s.Within = p.expr()
			}
			f.Steps = append(f.Steps, s)
		})
	case "within":
		p.i++
		f.Within = p.expr()
	case "mode":
		p.i++
		switch p.oneOf("ordered", "strict", "unordered") {
		case "ordered":
			f.Mode = ast.ModeOrdered
		case "strict":
			f.Mode = ast.ModeStrict
		case "unordered":
			f.Mode = ast.ModeUnordered
		}
	case "entry":
		p.i++
		switch p.oneOf("best", "first", "every", "each") {
		case "best":
			f.Entry = ast.EntryBest
		case "first":
			f.Entry = ast.EntryFirst
		case "every":
			f.Entry = ast.EntryEvery
		case "each":
			f.Entry = ast.EntryEach
		}
	case "holding":
		p.i++
		p.paren(func() { f.Holding = append(f.Holding, p.expr()) })
	case "exclude":
		p.i++
		p.paren(func() {
			x := ast.Exclusion{Place: p.tok().at(), Cond: p.expr()}
			if p.acceptKw("after") {
				id := p.label()
				x.After = &id
			}
			if p.acceptKw("before") {
				id := p.label()
				x.Before = &id
			}
			if p.acceptKw("as") {
				x.As = ast.ExcludeDiscard
				if p.oneOf("discard", "drop") == "drop" {
					x.As = ast.ExcludeDrop
				}
			}
			f.Exclude = append(f.Exclude, x)
		})
	case "output":
		p.i++
		switch p.oneOf("steps", "actors", "trend") {
		case "steps":
			f.Output = ast.OutputSteps
		case "actors":
			f.Output = ast.OutputActors
		case "trend":
			f.Output = ast.OutputTrend
			f.TrendActors = p.acceptKw("actors")
			p.expectKw("by")
			f.TrendBucket = p.expr()
			// FROM and TO come together: TO alone would go on with the interval.
			if p.acceptKw("from") {
				from := p.label()
				p.expectKw("to")
				to := p.label()
				f.TrendFrom, f.TrendTo = &from, &to
			}
		}
	default:
		return false
	}
	return true
}
