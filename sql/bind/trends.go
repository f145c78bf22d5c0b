package bind

import (
	"github.com/prickledb/prickle/engine/agg"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/sql/ast"
)

func (b *binder) trends(t *ast.Trends) plan.Node {
	empty := &plan.Values{}
	src, sc := b.source(&t.Common, "TRENDS", t.Pos(), false)
	if b.err != nil {
		return empty
	}
	n := &plan.Trends{Source: src}
	switch {
	case len(t.Series) == 0:
		b.operatorError(t.Pos(), "Write, for example, TRENDS(SERIES (n: count(*)) EVERY INTERVAL '1 day').", "TRENDS needs SERIES")
	case len(t.Formulas) > 0:
		b.unsupported("FORMULA", t.Formulas[0].Pos())
	case t.Compare != ast.CompareNone:
		b.unsupported("COMPARE TO", t.Pos())
	case t.Cumulative:
		b.unsupported("CUMULATIVE", t.Pos())
	case t.Smooth > 0:
		b.unsupported("SMOOTH", t.Pos())
	case t.Fill != nil:
		b.unsupported("FILL", t.Fill.Pos())
	}
	for i := range t.Series {
		if b.err != nil {
			return empty
		}
		s := b.series(&t.Series[i], sc)
		for _, before := range n.Series {
			if before.Name == s.Name {
				b.operatorError(t.Series[i].Pos(), "", `two series have the name "%s"`, s.Name)
			}
		}
		n.Series = append(n.Series, s)
	}
	if t.Every != nil {
		v := b.unit(t.Every, "EVERY")
		n.Every = &v
	}
	switch t.Output {
	case ast.OutputDefault, ast.OutputWide:
	case ast.OutputLong:
		n.Output = plan.OutputLong
	default:
		b.operatorError(t.Pos(), "TRENDS has OUTPUT WIDE and OUTPUT LONG.", "TRENDS has no such OUTPUT")
	}
	b.noSteps(t.Breakdown)
	if b.err != nil {
		return empty
	}
	return n
}

func (b *binder) series(s *ast.Series, sc *scope) plan.Series {
	out := plan.Series{Name: s.Name.Name}
	m := &s.Measure
	switch m.Kind {
	case ast.MeasureActors:
		out.Measure = plan.MeasureActors
	case ast.MeasureRollingActors:
		out.Measure = plan.MeasureRolling
		out.Rolling = b.span(m.Window, "ROLLING_ACTORS")
	case ast.MeasureNewActors:
		b.unsupported("NEW_ACTORS", m.Pos())
	case ast.MeasurePerActor:
		b.unsupported("PER_ACTOR", m.Pos())
	default:
		call, ok := m.Agg.(*ast.Call)
		if !ok || !agg.IsAggregate(call.Func()) {
			b.operatorError(m.Agg.Pos(), "Measures are aggregates such as count(*), or ACTORS().", "a series must be one aggregate call")
			return out
		}
		aggs := &aggregates{inner: true}
		out.Agg, _ = b.aggCall(call, sc.in("SERIES", aggs))
	}
	if s.Where != nil {
		out.Where = b.condition(b.expr(s.Where, sc.in("WHERE", nil)), "WHERE", s.Where.Pos())
	}
	return out
}
