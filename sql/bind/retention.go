package bind

import (
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/sql/ast"
)

// maxPeriods bounds the columns of retention, so that a typing error cannot ask for more
// cells than memory has.
const maxPeriods = 10000

func (b *binder) retention(r *ast.Retention) plan.Node {
	empty := &plan.Values{}
	src, sc := b.source(&r.Common, "RETENTION", r.Pos(), true)
	b.plainOnly(&r.Common, r.Pos())
	if b.err != nil {
		return empty
	}
	n := &plan.Retention{Source: src, Minimum: 1}
	if r.Start == nil {
		b.operatorError(r.Pos(), "Write, for example, RETENTION(START event = 'x' RETURN event = 'y' EVERY INTERVAL '1 week').", "RETENTION needs START")
		return empty
	}
	n.Start = b.condition(b.expr(r.Start, sc.in("START", nil)), "START", r.Start.Pos())
	n.Return = n.Start
	if r.Return != nil {
		n.Return = b.condition(b.expr(r.Return, sc.in("RETURN", nil)), "RETURN", r.Return.Pos())
	}
	switch r.First {
	case ast.FirstEver:
		n.Rule = plan.FirstEver
	case ast.EveryTime:
		n.Rule = plan.EveryTime
	}
	if r.Minimum > 0 {
		n.Minimum = r.Minimum
	}
	if r.Every == nil {
		b.operatorError(r.Pos(), "Write, for example, EVERY INTERVAL '1 week' FOR 12 PERIODS.", "RETENTION needs EVERY")
		return empty
	}
	n.Every = b.unit(r.Every, "EVERY")
	n.Periods = r.Periods
	if r.Periods > maxPeriods {
		b.operatorError(r.Every.Pos(), "", "FOR can have at most %d periods, not %d", maxPeriods, r.Periods)
	}
	switch {
	case len(r.Brackets) > 0:
		b.unsupported("BRACKETS", r.Pos())
	case r.Rule == ast.RuleOnOrAfter:
		b.unsupported("RULE ON OR AFTER", r.Pos())
	case r.Align == ast.AlignActor:
		b.unsupported("ALIGN ACTOR", r.Pos())
	case r.Measure != nil:
		b.unsupported("MEASURE", r.Measure.Pos())
	}
	switch r.Output {
	case ast.OutputDefault, ast.OutputMatrix:
	case ast.OutputCurve:
		n.Output = plan.OutputCurve
	case ast.OutputActors:
		n.Output = plan.OutputActors
	default:
		b.operatorError(r.Pos(), "RETENTION has OUTPUT MATRIX, OUTPUT CURVE and OUTPUT ACTORS.", "RETENTION has no such OUTPUT")
	}
	b.noSteps(r.Breakdown)
	if b.err != nil {
		return empty
	}
	return n
}
