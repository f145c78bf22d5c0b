package bind

import (
	"github.com/prickledb/prickle/engine/agg"
	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/sql/ast"
	"github.com/prickledb/prickle/storage/vec"
)

// maxPeriods bounds the columns of retention, so that a typing error cannot ask for more
// cells than memory has.
const maxPeriods = 10000

func (b *binder) retention(r *ast.Retention) plan.Node {
	empty := &plan.Values{}
	src, sc := b.source(&r.Common, "RETENTION", r.Pos(), true)
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
	if r.FirstOf != nil {
		n.FirstOf = b.condition(b.expr(r.FirstOf, sc.in("FIRST EVER OF", nil)), "FIRST EVER OF", r.FirstOf.Pos())
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
	n.OrAfter, n.ByActor = r.Rule == ast.RuleOnOrAfter, r.Align == ast.AlignActor
	n.Brackets = b.brackets(r)
	b.retentionMeasure(n, r, sc)
	if r.Compatible {
		b.compatibleRetention(n, r)
	} else {
		b.plainRetention(r)
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

// brackets is BRACKETS: the last period of each.
func (b *binder) brackets(r *ast.Retention) []int {
	for i, end := range r.Brackets {
		switch {
		case i > 0 && end <= r.Brackets[i-1]:
			b.operatorError(r.Pos(), "BRACKETS (1, 3, 7) makes the brackets (0,1], (1,3] and (3,7].", "BRACKETS must ascend, but %d follows %d", end, r.Brackets[i-1])
		case end > maxPeriods:
			b.operatorError(r.Pos(), "", "a bracket can end at period %d at most, not %d", maxPeriods, end)
		}
	}
	return r.Brackets
}

// retentionMeasure binds MEASURE.
func (b *binder) retentionMeasure(n *plan.Retention, r *ast.Retention, sc *scope) {
	if r.Measure == nil || b.err != nil {
		return
	}
	call, ok := r.Measure.Expr.(*ast.Call)
	if !ok || !agg.IsAggregate(call.Func()) {
		b.operatorError(r.Measure.Pos(), "Write, for example, MEASURE sum(properties.price) AS revenue.", "MEASURE must be one aggregate call")
		return
	}
	bound, _ := b.aggCall(call, sc.in("MEASURE", &aggregates{inner: true}))
	n.Measure, n.Value = &bound, call.Func()
	if r.Measure.Alias != nil {
		n.Value = r.Measure.Alias.Name
	}
}

// plainRetention refuses what only the insights' rules have, and what contradicts itself.
func (b *binder) plainRetention(r *ast.Retention) {
	switch {
	case len(r.Brackets) > 0 && r.Periods > 0:
		b.operatorError(r.Pos(), "The last bracket says how far the answer goes.", "RETENTION has FOR or BRACKETS, not both")
	case r.Own != ast.StartPeriodDefault:
		b.operatorError(r.Measure.Pos(), "Every return event after the start counts in its period.", "the START PERIOD of MEASURE can be chosen only with COMPATIBLE")
	case r.Measure != nil && r.Output == ast.OutputActors:
		b.operatorError(r.Measure.Pos(), "MEASURE is a column of OUTPUT MATRIX and OUTPUT CURVE.", "OUTPUT ACTORS has no MEASURE")
	}
}

// compatibleRetention makes a node follow the insights' rules, and refuses what they do
// not have.
func (b *binder) compatibleRetention(n *plan.Retention, r *ast.Retention) {
	b.bounded(&n.Source, "RETENTION with COMPATIBLE", r.Pos())
	if b.err != nil {
		return
	}
	switch m := n.Measure; {
	case r.Output == ast.OutputCurve:
		b.operatorError(r.Pos(), "With COMPATIBLE, RETENTION has OUTPUT MATRIX and OUTPUT ACTORS.", "RETENTION with COMPATIBLE has no OUTPUT CURVE")
		return
	case m == nil:
	case m.Name != "sum" && m.Name != "avg" || len(m.Args) != 1 || m.Distinct || m.Filter != nil:
		b.operatorError(r.Measure.Pos(), "", "with COMPATIBLE, MEASURE must be sum(x) or avg(x)")
		return
	case n.ByActor:
		b.operatorError(r.Measure.Pos(), "", "MEASURE is not possible with ALIGN ACTOR")
		return
	default:
		n.Own = r.Own == ast.WithStartPeriod || r.Own == ast.StartPeriodDefault && expr.String(n.Start) != expr.String(n.Return)
		m.Args[0] = b.coerceTo(m.Args[0], vec.T(vec.Float8), r.Measure.Pos(), true)
		m.T = vec.T(vec.Float8)
	}
	// The insights know no missing value, only an empty one.
	if n.Breakdown == nil {
		return
	}
	for i, e := range n.Breakdown.Exprs {
		if !e.Type().IsText() {
			continue
		}
		known, err := expr.NewConditional("coalesce", []expr.Expr{e, textConst("", vec.T(vec.Text))})
		if err != nil {
			b.failErr(err, r.Breakdown.Pos())
			return
		}
		n.Breakdown.Exprs[i] = known
	}
}
