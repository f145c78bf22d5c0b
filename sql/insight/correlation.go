package insight

import (
	"cmp"
	"encoding/json"
	"math"
	"slices"
	"strings"

	"github.com/prickledb/prickle/sql/ast"
)

// correlated is a correlation query that is being answered.
type correlated struct {
	*compiler
	q *correlationQuery
	f *funnelQuery
	// actors are those of the funnel: actor, done, first, last.
	actors *ast.Select
}

// readCorrelation reads a FunnelCorrelationQuery; values are added to the funnel's filters.
func (c *compiler) readCorrelation(raw json.RawMessage, values json.RawMessage) (*correlated, error) {
	x := &correlated{compiler: c, q: &correlationQuery{}}
	if err := decode(raw, x.q); err != nil {
		return nil, err
	}
	src, _, err := Unwrap(x.q.Source)
	if err != nil {
		return nil, err
	}
	var cell actorsQuery
	if err := decode(src, &cell); err != nil {
		return nil, err
	}
	funnelRaw, _, err := Unwrap(cell.Source)
	if err != nil {
		return nil, err
	}
	var q query
	if err := decode(funnelRaw, &q); err != nil {
		return nil, err
	}
	if x.f, err = c.readFunnel(&q); err != nil {
		return nil, err
	}
	x.f.by = nil
	if !isNone(values) {
		more, err := c.filters(values, "funnelCorrelationPropertyValues")
		if err != nil {
			return nil, err
		}
		x.f.where = and(x.f.where, more)
	}
	op, err := x.f.operator(nil)
	if err != nil {
		return nil, err
	}
	op.Output = ast.OutputActors
	k := 1
	if cell.Step != nil {
		k = *cell.Step
	}
	who, err := x.f.stepCondition(k)
	if err != nil {
		return nil, err
	}
	done, err := x.f.stepCondition(x.f.n)
	if err != nil {
		return nil, err
	}
	x.actors = &ast.Select{Items: []ast.SelectItem{item(column("actor"), "actor"), item(done, "done"),
		item(stepTime(0), "first_time"), item(stepTime(x.f.n-1), "last_time")}, From: []ast.TableExpr{op}, Where: who}
	return x, nil
}

// oddsRow is what correlates, and with how many.
type oddsRow struct {
	name             string
	success, failure float64
	odds             float64
}

// correlation answers a FunnelCorrelationQuery.
func (c *compiler) correlation(raw json.RawMessage) (*Answer, error) {
	x, err := c.readCorrelation(raw, nil)
	if err != nil {
		return nil, err
	}
	switch x.q.Type {
	case "", "events", "event_with_properties", "properties":
	default:
		return nil, refuse("funnelCorrelationType", "unknown kind of correlation %q", x.q.Type)
	}
	if x.q.Type == "properties" && len(x.q.Names) == 0 {
		return nil, refuse("funnelCorrelationNames", "Property Correlation expects atleast one Property to run correlation on")
	}
	if x.q.Type == "event_with_properties" && len(x.q.EventNames) == 0 {
		return nil, refuse("funnelCorrelationEventNames", "Event Property Correlation expects atleast one event name to run correlation on")
	}
	done := column("done")
	count := func(cond ast.Expr) ast.Expr {
		return &ast.Call{Name: []ast.Ident{id("count")}, Star: true, Filter: cond}
	}
	rows, err := c.run.Run(c.ctx, &ast.Select{Items: []ast.SelectItem{item(count(done), "success"), item(count(&ast.Not{X: done}), "failure")},
		From: []ast.TableExpr{derived(x.actors, "f")}})
	if err != nil {
		return nil, err
	}
	s, t := float64(rows.Int(0, 0)), float64(rows.Int(0, 1))
	answer := func(events []map[string]any, skewed bool) *Answer {
		return &Answer{Results: map[string]any{"events": events, "skewed": skewed}, Fields: map[string]any{}}
	}
	if s == 0 || t == 0 {
		return answer([]map[string]any{}, true), nil
	}
	var list []oddsRow
	switch x.q.Type {
	case "properties":
		list, err = x.byPersonProperty()
	case "event_with_properties":
		list, err = x.byEventProperty()
	default:
		list, err = x.byEvent()
	}
	if err != nil {
		return nil, err
	}
	least := math.Min(25, 0.02*(s+t))
	list = slices.DeleteFunc(list, func(r oddsRow) bool { return r.success+r.failure < least })
	for i := range list {
		r := &list[i]
		r.odds = (r.success + 1) * (t - r.failure + 1) / ((s - r.success + 1) * (r.failure + 1))
	}
	slices.SortFunc(list, func(a, b oddsRow) int { return cmp.Or(cmp.Compare(b.odds, a.odds), strings.Compare(a.name, b.name)) })
	var good, bad []oddsRow
	for _, r := range list {
		if r.odds > 1 {
			good = append(good, r)
		} else {
			bad = append(bad, r)
		}
	}
	slices.SortStableFunc(bad, func(a, b oddsRow) int { return cmp.Or(cmp.Compare(a.odds, b.odds), strings.Compare(a.name, b.name)) })
	out := []map[string]any{}
	for _, part := range [][]oddsRow{good[:min(10, len(good))], bad[:min(10, len(bad))]} {
		for _, r := range part {
			kind := "failure"
			if r.odds > 1 {
				kind = "success"
			}
			out = append(out, map[string]any{"event": map[string]any{"event": r.name, "properties": map[string]any{}, "elements": []any{}},
				"success_count": r.success, "failure_count": r.failure, "odds_ratio": r.odds, "correlation_type": kind})
		}
	}
	return answer(out, s/t > 10 || t/s > 10), nil
}

// join is the events of the funnel's actors within their intervals.
func (x *correlated) join(cond ast.Expr) (ast.TableExpr, ast.Expr) {
	e := func(name string) ast.Expr { return column("e", name) }
	f := func(name string) ast.Expr { return column("f", name) }
	actor := e("person_id")
	if g := x.f.q.Group; g != nil {
		actor = e("group_" + string(rune('0'+*g)))
	}
	join := &ast.Join{Kind: ast.JoinInner, Left: &ast.TableName{Name: []ast.Ident{id("events")}, Alias: &ast.Alias{Name: id("e")}},
		Right: derived(x.actors, "f"), On: equal(actor, f("actor"))}
	end := choose(f("done"), f("last_time"), binary("+", f("first_time"), windowInterval(x.f.window)))
	where := and(binary(">", e("timestamp"), f("first_time")), binary("<", e("timestamp"), end),
		binary(">=", e("timestamp"), instant(x.f.span.from)), binary("<", e("timestamp"), instant(x.f.span.to)), cond)
	return join, where
}

// counts groups by an expression and counts the actors of both sides.
func (x *correlated) counts(name ast.Expr, from ast.TableExpr, where ast.Expr, prefix string) ([]oddsRow, error) {
	count := func(cond ast.Expr) ast.Expr {
		c := countDistinct(column("f", "actor")).(*ast.Call)
		c.Filter = cond
		return c
	}
	done := column("f", "done")
	rows, err := x.run.Run(x.ctx, &ast.Select{Items: []ast.SelectItem{item(name, "name"), item(count(done), "success"), item(count(&ast.Not{X: done}), "failure")},
		From: []ast.TableExpr{from}, Where: where, GroupBy: &ast.GroupBy{Items: []ast.GroupItem{{Expr: integer(1)}}}})
	if err != nil {
		return nil, err
	}
	var out []oddsRow
	for i := range rows.N {
		out = append(out, oddsRow{name: prefix + rows.Text(i, 0), success: float64(rows.Int(i, 1)), failure: float64(rows.Int(i, 2))})
	}
	return out, nil
}

func (x *correlated) byEvent() ([]oddsRow, error) {
	skip := slices.Clone(x.q.ExcludeEvents)
	for _, e := range x.f.list {
		if e.event != nil {
			skip = append(skip, *e.event)
		}
		if e.action != nil {
			var steps []actionStep
			if !isNone(e.action.Steps) {
				if err := decode(e.action.Steps, &steps); err != nil {
					return nil, err
				}
			}
			for _, s := range steps {
				if s.Event != nil {
					skip = append(skip, *s.Event)
				}
			}
		}
	}
	var unless ast.Expr
	if len(skip) > 0 {
		var list []ast.Expr
		for _, s := range skip {
			list = append(list, text(s))
		}
		unless = &ast.In{X: column("e", "event"), List: list, Not: true}
	}
	from, where := x.join(unless)
	return x.counts(column("e", "event"), from, where, "")
}

func (x *correlated) byEventProperty() ([]oddsRow, error) {
	var out []oddsRow
	for _, event := range x.q.EventNames {
		for _, p := range x.project.PropertyNames(EventScope, 0, event) {
			if slices.Contains(x.q.ExcludeProperties, p) || x.project.PropertyType(EventScope, 0, p) != String {
				continue
			}
			value := column("e", "properties", p)
			from, where := x.join(and(equal(column("e", "event"), text(event)), isNotNull(value)))
			list, err := x.counts(value, from, where, event+"::"+p+"::")
			if err != nil {
				return nil, err
			}
			out = append(out, slices.DeleteFunc(list, func(r oddsRow) bool { return r.success+r.failure <= 2 })...)
		}
	}
	return out, nil
}

func (x *correlated) byPersonProperty() ([]oddsRow, error) {
	names := x.q.Names
	scope, group := PersonScope, 0
	owners := &ast.TableName{Name: []ast.Ident{id("persons")}, Alias: &ast.Alias{Name: id("p")}}
	on := equal(column("p", "id"), column("f", "actor"))
	if g := x.f.q.Group; g != nil {
		scope, group = GroupScope, *g
		owners = &ast.TableName{Name: []ast.Ident{id("groups")}, Alias: &ast.Alias{Name: id("p")}}
		on = and(equal(column("p", "key"), column("f", "actor")), equal(column("p", "group_type_index"), integer(group)))
	}
	if slices.Contains(names, "$all") {
		names = nil
		for _, p := range x.project.PropertyNames(scope, group, "") {
			if x.project.PropertyType(scope, group, p) == String {
				names = append(names, p)
			}
		}
	}
	var out []oddsRow
	for _, p := range names {
		if slices.Contains(x.q.ExcludeNames, p) {
			continue
		}
		join := &ast.Join{Kind: ast.JoinLeft, Left: derived(x.actors, "f"), Right: owners, On: on}
		list, err := x.counts(orElse(column("p", "properties", p), text("")), join, nil, p+"::")
		if err != nil {
			return nil, err
		}
		out = append(out, list...)
	}
	return out, nil
}

// correlationActors are the actors of a row of a correlation.
func (c *compiler) correlationActors(cell *actorsQuery) (*actorSource, error) {
	x, err := c.readCorrelation(cell.Source, cell.CorrelationValues)
	if err != nil {
		return nil, err
	}
	var side ast.Expr
	var converted *bool
	if !isNone(cell.CorrelationConverted) {
		v := strings.EqualFold(strings.Trim(string(cell.CorrelationConverted), `"`), "true")
		converted = &v
	}
	done := func(e ast.Expr) ast.Expr {
		switch {
		case converted == nil:
			return nil
		case *converted:
			return e
		}
		return &ast.Not{X: e}
	}
	src := &actorSource{group: x.f.q.Group, plain: true}
	if cell.CorrelationEntity == nil {
		side = done(column("done"))
		src.q = actorsSorted(derived(x.actors, "f"), side)
		return src, nil
	}
	inner := *c
	inner.alias = "e"
	e, err := inner.entity(cell.CorrelationEntity, "funnelCorrelationPersonEntity")
	if err != nil {
		return nil, err
	}
	from, where := x.join(and(e.full(), done(column("f", "done"))))
	sel := &ast.Select{Items: []ast.SelectItem{item(column("f", "actor"), "actor")}, From: []ast.TableExpr{from}, Where: where,
		GroupBy: &ast.GroupBy{Items: []ast.GroupItem{{Expr: integer(1)}}}}
	sel.OrderBy = []ast.OrderItem{{Expr: integer(1)}}
	src.q = sel
	return src, nil
}
