package parse

import (
	"github.com/prickledb/prickle/sql/ast"
)

func (p *parser) trendsClause(x *ast.Trends, w token) bool {
	switch w.text {
	case "series":
		p.i++
		p.paren(func() {
			s := ast.Series{Place: p.tok().at(), Name: p.colonName(), Measure: p.measure()}
			if p.acceptKw("where") {
				s.Where = p.expr()
			}
			x.Series = append(x.Series, s)
		})
	case "formula":
		p.i++
		p.paren(func() {
			f := ast.Formula{Place: p.tok().at(), Name: p.colonName(), Expr: p.expr()}
			x.Formulas = append(x.Formulas, f)
		})
	case "every":
		p.i++
		x.Every = p.expr()
	case "compare":
		x.CompareAt = w.at()
		p.i++
		p.expectKw("to")
		if p.kw("previous") && !p.ahead(1).is("(") && !p.ahead(1).is(".") && p.ahead(1).kind != tokOp {
			p.i++
			x.Compare = ast.ComparePrevious
		} else {
			x.Compare = ast.CompareEarlier
			x.CompareBy = p.expr()
			p.expectKw("earlier")
		}
	case "cumulative":
		p.i++
		x.Cumulative = true
	case "smooth":
		p.i++
		x.Smooth = p.positive("SMOOTH")
	case "fill":
		p.i++
		x.Fill = p.expr()
	case "output":
		p.i++
		x.Output = ast.OutputWide
		if p.oneOf("wide", "long") == "long" {
			x.Output = ast.OutputLong
		}
	default:
		return false
	}
	return true
}

// measure reads an aggregate or one of the measures over actors.
func (p *parser) measure() ast.Measure {
	t := p.tok()
	m := ast.Measure{Place: t.at()}
	if t.kind != tokIdent || !p.ahead(1).is("(") {
		m.Agg = p.expr()
		return m
	}
	switch t.text {
	case "actors":
		p.i += 2
		m.Kind = ast.MeasureActors
	case "new_actors":
		p.i += 2
		m.Kind = ast.MeasureNewActors
		valued := p.acceptKw("breakdown", "of")
		if !valued && !p.tok().is(")") {
			m.First = p.expr()
			valued = p.acceptKw("breakdown", "of")
		}
		if valued {
			m.Valued = p.expr()
		}
	case "rolling_actors":
		p.i += 2
		m.Kind = ast.MeasureRollingActors
		m.Window = p.expr()
	case "per_actor":
		p.i += 2
		m.Kind = ast.MeasurePerActor
		m.Agg = p.expr()
		p.expect(",")
		m.Inner = p.expr()
	default:
		m.Agg = p.expr()
		return m
	}
	p.expect(")")
	return m
}
