package bind

import (
	"time"

	"github.com/prickledb/prickle/engine/agg"
	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/sql/ast"
	"github.com/prickledb/prickle/storage/vec"
)

// maxSteps is how many steps a funnel may have: one bit of a word each.
const maxSteps = 64

// maxPeriods bounds the columns of retention, so that a typing error cannot ask for more
// cells than memory has.
const maxPeriods = 10000

// source binds the clauses that all native operators share. Operator is its keyword.
func (b *binder) source(c *ast.Common, operator string, pos ast.Pos, tie bool) (plan.Source, *scope) {
	var rel *relation
	if c.Source != nil {
		rel = b.table(c.Source)
	} else {
		rel = b.tableName(&ast.TableName{Place: ast.At(pos), Name: []ast.Ident{ast.ID("events")}})
	}
	if rel == nil || b.err != nil {
		return plan.Source{Input: &plan.Values{}}, &scope{}
	}
	sc := &scope{rel: rel, clause: operator}
	s := plan.Source{Input: rel.node}
	if c.Compatible {
		b.unsupported("COMPATIBLE", pos)
	}
	s.Actor = b.sourceColumn(c.Actor, sc, "actor", pos, func() string {
		if rel.table != nil {
			return rel.table.Actor
		}
		return ""
	}, "person_id", "ACTOR")
	s.Time = b.sourceColumn(c.Time, sc, "time", pos, func() string {
		if rel.table != nil {
			return rel.table.Time
		}
		return ""
	}, "timestamp", "EVENT TIME")
	timePos := pos
	if c.Time != nil {
		timePos = c.Time.Pos()
	}
	if b.err == nil {
		if _, path := s.Time.(*pathRef); !path && !s.Time.Type().IsTime() {
			b.operatorError(timePos, "", "EVENT TIME must be a timestamp, not %s", s.Time.Type())
		}
		s.Time = b.coerce(s.Time, vec.T(vec.TimestampTZ), timePos)
		s.Actor = b.settle(s.Actor)
	}
	if tie && rel.table != nil {
		if i := rel.find("uuid"); i >= 0 {
			s.Tie = b.column(rel, i, pos)
		}
	}
	if c.Where != nil {
		s.Where = b.condition(b.expr(c.Where, sc.in("WHERE", nil)), "WHERE", c.Where.Pos())
	}
	if c.During != nil {
		s.From = b.moment(c.During.From)
		s.To = b.moment(c.During.To)
		from, ok1 := b.fold(s.From).(*expr.Const)
		to, ok2 := b.fold(s.To).(*expr.Const)
		if ok1 && ok2 && b.err == nil && !from.Value.IsNull(0) && !to.Value.IsNull(0) && from.Value.I64[0] >= to.Value.I64[0] {
			b.operatorError(c.During.Pos(), "DURING (a, b) holds times from a up to, but not including, b.", "DURING ends before it begins")
		}
	}
	s.Zone = b.zone(c.Zone)
	switch c.WeekStart {
	case "sunday":
		s.Sunday = true
	case "":
		s.Sunday = b.env.Catalog.Sunday
	}
	if c.Breakdown != nil {
		s.Breakdown = b.breakdown(c.Breakdown, sc)
	}
	return s, sc
}

// operatorError is an error in a clause of a native operator.
func (b *binder) operatorError(pos ast.Pos, hint, format string, args ...any) {
	e := pgerr.New(pgerr.BadOperatorClause, format, args...)
	if hint != "" {
		e.WithHint("%s", hint)
	}
	b.fail(e, pos)
}

func (b *binder) sourceColumn(e ast.Expr, sc *scope, what string, pos ast.Pos, option func() string, usual, clause string) expr.Expr {
	if e != nil {
		return b.expr(e, sc.in(clause, nil))
	}
	for _, name := range []string{option(), usual} {
		if name == "" {
			continue
		}
		if i := sc.rel.find(name); i >= 0 {
			return b.column(sc.rel, i, pos)
		}
	}
	return b.fail(pgerr.New(pgerr.UnknownActorOrTime, "the source has no %s column", what).
		WithHint("Name it with the clause %s.", clause), pos)
}

// stable binds an expression that must not read columns.
func (b *binder) stable(e ast.Expr, clause string) expr.Expr {
	x := b.expr(e, &scope{clause: clause})
	if b.err != nil && b.err.Code == pgerr.UndefinedColumn {
		if _, ok := e.(*ast.Name); ok {
			b.err = nil
			b.operatorError(e.Pos(), "", "%s must be constant", clause)
		}
	}
	return x
}

// moment is one end of DURING: a constant timestamptz.
func (b *binder) moment(e ast.Expr) expr.Expr {
	x := b.stable(e, "DURING")
	if b.err != nil {
		return nil
	}
	if t := x.Type(); t.Kind != vec.Unknown && !t.IsTime() {
		b.operatorError(e.Pos(), "", "DURING must hold timestamps, not %s", t)
		return nil
	}
	if c, ok := x.(*expr.Const); ok && c.Type().Kind == vec.Unknown && c.Value.IsNull(0) {
		return nil // an open end
	}
	x = b.coerce(x, vec.T(vec.TimestampTZ), e.Pos())
	if !isStable(x) {
		b.operatorError(e.Pos(), "", "DURING must be constant")
	}
	return x
}

// zone is TIME ZONE: a known zone's name, or "".
func (b *binder) zone(e ast.Expr) string {
	if e == nil {
		return ""
	}
	x := b.fold(b.coerce(b.stable(e, "TIME ZONE"), vec.T(vec.Text), e.Pos()))
	if b.err != nil {
		return ""
	}
	c, ok := x.(*expr.Const)
	if !ok && isStable(x) && len(b.env.Expr.Params) == 0 && len(b.params) > 0 {
		return "" // only described, see span
	}
	if !ok || c.Value.IsNull(0) {
		b.operatorError(e.Pos(), "", "TIME ZONE must be a constant name")
		return ""
	}
	name := c.Value.Str.Str(0)
	if _, err := time.LoadLocation(name); err != nil || name == "" || name == "Local" {
		b.fail(pgerr.New(pgerr.InvalidParameterValue, `time zone "%s" not recognized`, name), e.Pos())
	}
	return name
}

// span is a constant interval above zero.
func (b *binder) span(e ast.Expr, clause string) vec.IntervalValue {
	x := b.stable(e, clause)
	if b.err != nil {
		return vec.IntervalValue{}
	}
	if t := x.Type(); t.Kind != vec.Unknown && t != vec.T(vec.Interval) {
		b.operatorError(e.Pos(), "Write, for example, "+clause+" INTERVAL '14 days'.", "%s must be an interval, not %s", clause, t)
		return vec.IntervalValue{}
	}
	x = b.fold(b.coerce(x, vec.T(vec.Interval), e.Pos()))
	if b.err != nil {
		return vec.IntervalValue{}
	}
	c, ok := x.(*expr.Const)
	if !ok {
		if isStable(x) && len(b.env.Expr.Params) == 0 && len(b.params) > 0 {
			// Only described: the value comes when the statement runs.
			return vec.IntervalValue{Days: 1}
		}
		b.operatorError(e.Pos(), "", "%s must be constant", clause)
		return vec.IntervalValue{}
	}
	if c.Value.IsNull(0) {
		b.operatorError(e.Pos(), "", "%s must not be null", clause)
		return vec.IntervalValue{}
	}
	v := c.Value.Ivl[0]
	// A month counts 30 days here, only to see the sign of mixed intervals.
	total := (float64(v.Months)*30+float64(v.Days))*86400e6 + float64(v.Micros)
	if total <= 0 {
		hint := "Use an interval above zero, for example INTERVAL '14 days'."
		if total < 0 {
			b.operatorError(e.Pos(), hint, "%s must not be negative", clause)
		} else {
			b.operatorError(e.Pos(), hint, "%s must be longer than zero", clause)
		}
	}
	return v
}

// unit is a span that cuts time into buckets: of one kind of calendar unit only.
func (b *binder) unit(e ast.Expr, clause string) vec.IntervalValue {
	v := b.span(e, clause)
	kinds := 0
	for _, set := range []bool{v.Months != 0, v.Days != 0, v.Micros != 0} {
		if set {
			kinds++
		}
	}
	if kinds > 1 && b.err == nil {
		b.operatorError(e.Pos(), "Months, days and hours have no common length.", "%s must be of one unit", clause)
	}
	return v
}

func (b *binder) breakdown(c *ast.Breakdown, sc *scope) *plan.Breakdown {
	out := &plan.Breakdown{Top: c.Top, WithOther: c.Other}
	seen := map[string]bool{}
	for _, it := range c.Items {
		e := b.value(it.Expr, sc.in("BREAKDOWN BY", nil))
		e = b.coerce(e, firstKnown(e.Type()), it.Expr.Pos())
		name := columnName(it.Expr)
		if it.Alias != nil {
			name = it.Alias.Name
		}
		if seen[name] {
			b.operatorError(it.Pos(), "Give it another name with AS.", `BREAKDOWN BY has two columns with the name "%s"`, name)
		}
		seen[name] = true
		out.Exprs, out.Names = append(out.Exprs, e), append(out.Names, name)
	}
	switch c.Attribute {
	case ast.AttributeLast:
		out.Attribute = plan.AttributeLast
	case ast.AttributeEach:
		out.Attribute = plan.AttributeEach
	case ast.AttributeStep:
		out.Attribute = plan.AttributeStep
	}
	return out
}

func (b *binder) funnel(f *ast.Funnel) plan.Node {
	empty := &plan.Values{}
	src, sc := b.source(&f.Common, "FUNNEL", f.Pos(), true)
	if b.err != nil {
		return empty
	}
	n := &plan.Funnel{Source: src}
	if len(f.Steps) == 0 {
		b.operatorError(f.Pos(), "Write, for example, FUNNEL(STEPS (a: event = 'x', b: event = 'y')).", "FUNNEL needs STEPS")
		return empty
	}
	if len(f.Steps) > maxSteps {
		b.fail(pgerr.New(pgerr.TooManySteps, "a funnel can have at most %d steps, not %d", maxSteps, len(f.Steps)), f.Steps[maxSteps].Pos())
		return empty
	}
	for i := range f.Steps {
		st := &f.Steps[i]
		for _, before := range n.Steps {
			if before.Name == st.Name.Name {
				b.operatorError(st.Pos(), "", `two steps have the name "%s"`, st.Name.Name)
			}
		}
		if st.Optional {
			b.unsupported("OPTIONAL", st.Pos())
		}
		if st.Within != nil {
			b.unsupported("WITHIN of a single step", st.Within.Pos())
		}
		cond := b.condition(b.expr(st.Cond, sc.in("STEPS", nil)), "STEPS", st.Cond.Pos())
		n.Steps = append(n.Steps, plan.Step{Name: st.Name.Name, Cond: cond})
	}
	if f.Within != nil {
		w := b.span(f.Within, "WITHIN")
		n.Within = &w
	}
	switch f.Mode {
	case ast.ModeStrict:
		b.unsupported("MODE STRICT", f.Pos())
	case ast.ModeUnordered:
		b.unsupported("MODE UNORDERED", f.Pos())
	}
	switch f.Entry {
	case ast.EntryFirst:
		n.Entry = plan.EntryFirst
	case ast.EntryEvery:
		b.unsupported("ENTRY EVERY", f.Pos())
	case ast.EntryEach:
		b.unsupported("ENTRY EACH", f.Pos())
	}
	if len(f.Holding) > 0 {
		b.unsupported("HOLDING", f.Holding[0].Pos())
	}
	if len(f.Exclude) > 0 {
		b.unsupported("EXCLUDE", f.Exclude[0].Pos())
	}
	switch f.Output {
	case ast.OutputDefault, ast.OutputSteps:
	case ast.OutputActors:
		n.Output = plan.OutputActors
	case ast.OutputTrend:
		pos := f.Pos()
		if f.TrendBucket != nil {
			pos = f.TrendBucket.Pos()
		}
		b.unsupported("OUTPUT TREND", pos)
	default:
		b.operatorError(f.Pos(), "A funnel has OUTPUT STEPS and OUTPUT ACTORS.", "FUNNEL has no such OUTPUT")
	}
	if br := f.Breakdown; br != nil && br.Attribute == ast.AttributeStep {
		n.Breakdown.Step = -1
		var names []string
		for i := range n.Steps {
			names = append(names, n.Steps[i].Name)
			if n.Steps[i].Name == br.Step.Name {
				n.Breakdown.Step = i
			}
		}
		if n.Breakdown.Step < 0 {
			hint := ""
			if near := nearest(br.Step.Name, names); near != "" {
				hint = `Perhaps you meant "` + near + `".`
			}
			b.operatorError(br.Step.Pos(), hint, `there is no step "%s"`, br.Step.Name)
		}
	}
	if b.err != nil {
		return empty
	}
	return n
}

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

// noSteps refuses ATTRIBUTE where there are no steps to attribute to.
func (b *binder) noSteps(c *ast.Breakdown) {
	if c != nil && c.Attribute != ast.AttributeDefault && c.Attribute != ast.AttributeFirst {
		b.operatorError(c.Pos(), "Only the steps of FUNNEL have an attribution.", "ATTRIBUTE is not allowed here")
	}
}

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
