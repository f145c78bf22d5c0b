package bind

import (
	"time"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/sql/ast"
	"github.com/prickledb/prickle/storage/vec"
)

// source binds the clauses that all native operators share. Operator is its keyword.
func (b *binder) source(c *ast.Common, operator string, pos ast.Pos, tie bool) (plan.Source, *scope) {
	var rel *relation
	if c.Source != nil {
		rel = b.whole(b.table(c.Source))
	} else {
		rel = b.tableName(&ast.TableName{Place: ast.At(pos), Name: []ast.Ident{ast.ID("prickle"), ast.ID("events")}}, "SELECT")
	}
	if rel == nil || b.err != nil {
		return plan.Source{Input: &plan.Values{}}, &scope{}
	}
	sc := &scope{rel: rel, clause: operator}
	s := plan.Source{Input: rel.node}
	s.Compatible = c.Compatible
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
	if tie {
		if i := rel.find("uuid"); i >= 0 && rel.fields[i].Type == vec.T(vec.UUID) {
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
		// The insights ask for ranges that end before they begin, and get no rows.
		if ok1 && ok2 && b.err == nil && !c.Compatible && !from.Value.IsNull(0) && !to.Value.IsNull(0) && from.Value.I64[0] >= to.Value.I64[0] {
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

// readsAround says it in its own words if a native operator failed since it reads a column of what
// is around it, or of what stands before it in FROM.
func (b *binder) readsAround(t ast.TableExpr, operator string) {
	if b.err == nil || b.err.Code != pgerr.UndefinedTable && b.err.Code != pgerr.UndefinedColumn {
		return
	}
	var from *ast.Name
	ast.Walk(t, func(n ast.Node) bool {
		if name, ok := n.(*ast.Name); ok && ast.CharPosition(b.env.Text, name.Pos()) == b.err.Position {
			from = name
		}
		return true
	})
	if from == nil || len(b.defining) > 0 {
		return
	}
	for _, around := range []*scope{b.before, b.outer} {
		for ; around != nil; around = around.outer {
			first := from.Parts[0].Name
			if around.rel != nil && (around.rel.named(first) != nil || len(from.Parts) == 1 && around.rel.find(first) != -1) {
				b.err = nil
				b.unsupported(operator+" that reads a column from outside", from.Pos())
				return
			}
		}
	}
}

// bounded demands both ends of DURING.
func (b *binder) bounded(s *plan.Source, operator string, pos ast.Pos) {
	if b.err == nil && (s.From == nil || s.To == nil) {
		b.operatorError(pos, "Write, for example, DURING ('2026-01-01', '2026-02-01').", "%s needs DURING with both ends", operator)
	}
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

// moment is one end of DURING.
func (b *binder) moment(e ast.Expr) expr.Expr { return b.instant(e, "DURING", "timestamps") }

// instant is a constant timestamptz; nil if it is NULL.
func (b *binder) instant(e ast.Expr, clause, what string) expr.Expr {
	x := b.stable(e, clause)
	if b.err != nil {
		return nil
	}
	if t := x.Type(); t.Kind != vec.Unknown && !t.IsTime() {
		b.operatorError(e.Pos(), "", "%s must hold %s, not %s", clause, what, t)
		return nil
	}
	if c, ok := x.(*expr.Const); ok && c.Type().Kind == vec.Unknown && c.Value.IsNull(0) {
		return nil // an open end
	}
	x = b.coerce(x, vec.T(vec.TimestampTZ), e.Pos())
	if !isStable(x) {
		b.operatorError(e.Pos(), "", "%s must be constant", clause)
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

// noSteps refuses ATTRIBUTE where there are no steps to attribute to.
func (b *binder) noSteps(c *ast.Breakdown) {
	if c != nil && c.Attribute != ast.AttributeDefault && c.Attribute != ast.AttributeFirst {
		b.operatorError(c.Pos(), "Only the steps of FUNNEL have an attribution.", "ATTRIBUTE is not allowed here")
	}
}
