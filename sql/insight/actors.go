package insight

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prickledb/prickle/sql/ast"
	"github.com/prickledb/prickle/storage/vec"
)

// Limits of a list of actors: what it has unless it says, and at most.
const (
	defaultActors = 100
	maxActors     = 100_000
)

// actorSource is a list of actors: a query whose first column is the actor.
type actorSource struct {
	q     ast.Query
	group *int // the type of group that the actors are; nil: persons
	// plain is false for actors that are neither persons nor groups: sessions, or the
	// values of an expression.
	plain bool
}

// actorsQuery answers an ActorsQuery.
func (c *compiler) actorsQuery(raw json.RawMessage) (*Answer, error) {
	var q actorsQuery
	if err := decode(raw, &q); err != nil {
		return nil, err
	}
	limit, offset := defaultActors, 0
	if q.Limit != nil {
		limit = *q.Limit
	}
	if q.Offset != nil {
		offset = *q.Offset
	}
	if limit < 0 || limit > maxActors || offset < 0 {
		return nil, refuse("limit", "limit lies between 0 and %d, and offset is not negative", maxActors)
	}
	src, err := c.actorSource(&q)
	if err != nil {
		return nil, err
	}
	paged := *src.q.(*ast.Select)
	paged.Limit = integer(limit + 1)
	if offset > 0 {
		paged.Offset = integer(offset)
	}
	rows, err := c.run.Run(c.ctx, &paged)
	if err != nil {
		return nil, err
	}
	n := min(rows.N, limit)
	actors, err := c.describeActors(rows, n, src)
	if err != nil {
		return nil, err
	}
	columns := q.Select
	if len(columns) == 0 {
		columns = []string{"actor"}
	}
	results := [][]any{}
	for i := range n {
		row := []any{}
		for _, name := range columns {
			v, err := actorColumn(rows, i, actors[i], name)
			if err != nil {
				return nil, err
			}
			row = append(row, v)
		}
		results = append(results, row)
	}
	more := rows.N > limit
	return &Answer{Results: results, HasMore: &more, Fields: map[string]any{"columns": columns, "limit": limit, "offset": offset}}, nil
}

// actorColumn is a column of a list of actors.
func actorColumn(rows *Rows, i int, actor map[string]any, name string) (any, error) {
	switch name {
	case "actor", "person", "group", "*":
		return actor, nil
	case "id", "actor_id", "person_id":
		return actor["id"], nil
	case "created_at":
		return actor["created_at"], nil
	}
	if key, ok := strings.CutPrefix(name, "properties."); ok {
		var props map[string]json.RawMessage
		raw, _ := actor["properties"].(json.RawMessage)
		if json.Unmarshal(raw, &props) != nil {
			return nil, nil
		}
		return props[key], nil
	}
	if n, ok := strings.CutPrefix(name, "day_"); ok {
		at := rows.Column("appearances")
		k, err := strconv.Atoi(n)
		if at >= 0 && err == nil {
			if slices.Contains(rows.ints(i, at), int64(k)) {
				return 1, nil
			}
			return 0, nil
		}
	}
	at := rows.Column(name)
	if at < 0 {
		return nil, refuse("select", "lists of these actors have no column %q", name)
	}
	if rows.Schema[at].Type.Array {
		return rows.ints(i, at), nil
	}
	switch rows.Schema[at].Type.Kind {
	case vec.TimestampTZ:
		if rows.IsNull(i, at) {
			return nil, nil
		}
		return rows.Time(i, at).Format(time.RFC3339Nano), nil
	case vec.Text:
		return rows.Text(i, at), nil
	case vec.Bool:
		return rows.bool(i, at), nil
	}
	return rows.Float(i, at), nil
}

// describeActors finds what is known of the actors of the first n rows.
func (c *compiler) describeActors(rows *Rows, n int, src *actorSource) ([]map[string]any, error) {
	out := make([]map[string]any, n)
	switch {
	case src.group != nil:
		keys := make([]string, n)
		for i := range keys {
			keys[i] = rows.Text(i, 0)
		}
		groups, err := c.run.Groups(c.ctx, *src.group, keys)
		if err != nil {
			return nil, err
		}
		for i, g := range groups {
			out[i] = map[string]any{"id": g.Key, "group_key": g.Key, "group_type_index": *src.group, "type": "group", "properties": g.Properties}
			if !g.CreatedAt.IsZero() {
				out[i]["created_at"] = g.CreatedAt.UTC().Format(time.RFC3339Nano)
			}
		}
	case len(rows.Schema) > 0 && rows.Schema[0].Type.Kind == vec.UUID:
		ids := make([]vec.UUIDValue, n)
		for i := range ids {
			v, at := rows.at(i, 0)
			ids[i] = v.UUIDs[at]
		}
		persons, err := c.run.Persons(c.ctx, ids)
		if err != nil {
			return nil, err
		}
		for i, p := range persons {
			out[i] = map[string]any{"id": uuidText(p.ID), "uuid": uuidText(p.ID), "type": "person", "distinct_ids": p.DistinctIDs, "properties": p.Properties,
				"is_identified": p.Identified}
			if !p.CreatedAt.IsZero() {
				out[i]["created_at"] = p.CreatedAt.UTC().Format(time.RFC3339Nano)
			}
		}
	default:
		for i := range out {
			out[i] = map[string]any{"id": rows.Text(i, 0), "properties": json.RawMessage("{}")}
		}
	}
	return out, nil
}

// ints is an array of whole numbers.
func (r *Rows) ints(row, col int) []int64 {
	out := []int64{}
	if r.IsNull(row, col) {
		return out
	}
	v, i := r.at(row, col)
	for k := v.Offs[i]; k < v.Offs[i+1]; k++ {
		e, j := v.Elem.At(int(k))
		out = append(out, e.I64[j])
	}
	return out
}

// actorsOf is the persons of an insight's actors, for a cohort.
func (c *compiler) actorsOf(raw json.RawMessage) (ast.Query, error) {
	var q actorsQuery
	if err := decode(raw, &q); err != nil {
		return nil, err
	}
	switch q.Kind {
	case "SQLQuery", "HogQLQuery":
		return nil, refuse("query.kind", "a cohort from SQL is made with CREATE COHORT")
	case "ActorsQuery":
	default:
		q = actorsQuery{Source: raw}
	}
	src, err := c.actorSource(&q)
	if err != nil {
		return nil, err
	}
	if src.group != nil || !src.plain {
		return nil, refuse("query", "a cohort holds persons, and the actors of this query are others")
	}
	sel := *src.q.(*ast.Select)
	sel.OrderBy = nil
	return &ast.Select{Items: []ast.SelectItem{item(column("actor"), "")}, From: []ast.TableExpr{derived(&sel, "a")}}, nil
}

// actorSource compiles what an ActorsQuery lists.
func (c *compiler) actorSource(q *actorsQuery) (*actorSource, error) {
	if isNone(q.Source) {
		return c.allPersons(q)
	}
	raw, kind, err := Unwrap(q.Source)
	if err != nil {
		return nil, err
	}
	var cell actorsQuery
	if err := decode(raw, &cell); err != nil {
		return nil, err
	}
	switch kind {
	case "InsightActorsQuery", "StickinessActorsQuery":
		return c.insightActors(&cell)
	case "FunnelsActorsQuery":
		f, src, err := c.funnelActors(&cell)
		if err != nil {
			return nil, err
		}
		src.group = f.q.Group
		return src, nil
	case "FunnelCorrelationActorsQuery":
		return c.correlationActors(&cell)
	}
	return nil, refuse("source.kind", "a %s has no actors", kind)
}

// allPersons lists persons by their own properties.
func (c *compiler) allPersons(q *actorsQuery) (*actorSource, error) {
	inner := *c
	inner.onPersons = true
	var conds []ast.Expr
	for _, raw := range []json.RawMessage{q.Properties, q.Fixed} {
		cond, err := inner.filters(raw, "properties")
		if err != nil {
			return nil, err
		}
		conds = append(conds, cond)
	}
	if q.Search != "" {
		like := func(e ast.Expr) ast.Expr {
			return &ast.Like{X: e, Pattern: text("%" + likeEscaper.Replace(q.Search) + "%"), Kind: ast.LikeNoCase}
		}
		ids := &ast.Select{Items: []ast.SelectItem{item(column("person_id"), "")}, From: []ast.TableExpr{table("person_distinct_ids")}, Where: like(column("distinct_id"))}
		conds = append(conds, or(like(column("properties", "email")), like(column("properties", "name")), inCohort(column("id"), &ast.CohortQuery{Query: ids})))
	}
	sel := &ast.Select{Items: []ast.SelectItem{item(column("id"), "actor"), item(column("created_at"), "created_at")}, From: []ast.TableExpr{table("persons")}, Where: and(conds...)}
	sel.OrderBy = []ast.OrderItem{{Expr: column("created_at"), Desc: true}, {Expr: column("id")}}
	return &actorSource{q: sel, plain: true}, nil
}

// insightActors are the actors of a cell of an insight.
func (c *compiler) insightActors(cell *actorsQuery) (*actorSource, error) {
	raw, kind, err := Unwrap(cell.Source)
	if err != nil {
		return nil, err
	}
	var q query
	if err := decode(raw, &q); err != nil {
		return nil, err
	}
	switch kind {
	case "TrendsQuery":
		return c.trendsActors(&q, cell)
	case "StickinessQuery":
		return c.stickinessActors(&q, cell)
	case "LifecycleQuery":
		return c.lifecycleActors(&q, cell)
	case "RetentionQuery":
		r, err := c.readRetention(&q)
		if err != nil {
			return nil, err
		}
		sel, err := r.actorRows(orZero(cell.Interval), cell.Breakdown)
		return &actorSource{q: sel, group: q.Group, plain: true}, err
	case "PathsQuery":
		p, err := c.readPaths(&q)
		if err != nil {
			return nil, err
		}
		sel, err := p.actorRows()
		return &actorSource{q: sel, plain: true}, err
	case "FunnelsQuery":
		inner := *cell
		_, src, err := c.funnelActors(&inner)
		if err == nil {
			src.group = q.Group
		}
		return src, err
	}
	return nil, refuse("source.kind", "a %s has no actors", kind)
}

// actorsSorted lists the column actor of a query, in its order.
func actorsSorted(from ast.TableExpr, where ast.Expr) *ast.Select {
	sel := &ast.Select{Items: []ast.SelectItem{item(column("actor"), "")}, From: []ast.TableExpr{from}, Where: where}
	sel.OrderBy = []ast.OrderItem{{Expr: column("actor")}}
	return sel
}

func (c *compiler) stickinessActors(q *query, cell *actorsQuery) (*actorSource, error) {
	s, err := c.readStickiness(q)
	if err != nil {
		return nil, err
	}
	i := orZero(cell.Series)
	if i < 0 || i >= len(s.list) {
		return nil, refuse("series", "there is no series %d", i)
	}
	if err := missingAction(s.list[i : i+1]); err != nil {
		return nil, err
	}
	p := s.current
	if cell.Compare == "previous" && s.previous != nil {
		p = s.previous
	}
	op, err := s.operator(i, p)
	if err != nil {
		return nil, err
	}
	op.Output = ast.OutputActors
	n, err := strconv.Atoi(strings.Trim(string(cell.Day), `"`))
	if err != nil {
		return nil, refuse("day", "day is the number of intervals")
	}
	sign := "="
	if q.Stickiness.ComputedAs == "cumulative" {
		sign = ">="
	}
	src := &actorSource{q: actorsSorted(op, binary(sign, column("periods"), integer(n))), plain: true}
	switch {
	case s.list[i].node.Math == "unique_group":
		src.group = s.list[i].node.MathGroup
	case s.list[i].node.Math == "hogql":
		src.plain = false
	}
	return src, nil
}

func (c *compiler) lifecycleActors(q *query, cell *actorsQuery) (*actorSource, error) {
	l, err := c.readLifecycle(q)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(statuses, cell.Status) {
		return nil, refuse("status", "unknown status %q; there are %s", cell.Status, strings.Join(statuses, ", "))
	}
	at, err := c.cellDay(cell.Day, l.span.u)
	if err != nil {
		return nil, err
	}
	op, err := l.operator()
	if err != nil {
		return nil, err
	}
	op.Output = ast.OutputActors
	where := and(equal(column("status"), text(cell.Status)), equal(column("bucket"), instant(at)))
	return &actorSource{q: actorsSorted(op, where), group: q.Group, plain: true}, nil
}

// cellDay is the bucket of a cell.
func (c *compiler) cellDay(raw json.RawMessage, u unit) (time.Time, error) {
	var s string
	if err := json.Unmarshal(raw, &s); err != nil || s == "" {
		return c.now, refuse("day", "day is the date of a bucket, such as 2026-01-31")
	}
	t, ok := c.absolute(s)
	if !ok {
		return c.now, refuse("day", "%q is not a date", s)
	}
	return c.start(t, u), nil
}

// stepCondition is who did step k of a funnel, or dropped off before step -k.
func (f *funnelQuery) stepCondition(k int) (ast.Expr, error) {
	did := func(i int) ast.Expr { // from 0
		return binary("<>", binary("&", column("steps"), &ast.Cast{X: integer(1 << i), Type: ast.TypeName{Name: "int8"}}), integer(0))
	}
	switch {
	case k >= 1 && k <= f.n && k < 64:
		return did(k - 1), nil
	case k <= -2 && -k <= f.n && -k < 64:
		before := -k - 2
		for before > 0 && f.q.Series[before].Optional {
			before--
		}
		return and(did(before), &ast.Not{X: did(-k - 1)}), nil
	}
	return nil, refuse("funnelStep", "there is no step %d of the funnel", k)
}

// funnelActors are the actors of a step, or of a point of the trend.
func (c *compiler) funnelActors(cell *actorsQuery) (*funnelQuery, *actorSource, error) {
	raw, _, err := Unwrap(cell.Source)
	if err != nil {
		return nil, nil, err
	}
	var q query
	if err := decode(raw, &q); err != nil {
		return nil, nil, err
	}
	f, err := c.readFunnel(&q)
	if err != nil {
		return nil, nil, err
	}
	var more ast.Expr
	var value []*string
	if !isNone(cell.StepBreakdown) && f.by != nil {
		if more, value, err = f.cellValue(cell.StepBreakdown); err != nil {
			return nil, nil, err
		}
	}
	op, err := f.operator(more)
	if err != nil {
		return nil, nil, err
	}
	var where ast.Expr
	if f.viz() == "trends" {
		if cell.TrendsDropOff == nil || !given(cell.TrendsStart) {
			return nil, nil, refuse("funnelTrendsEntrancePeriodStart", "actors of a funnel's trend need funnelTrendsDropOff and funnelTrendsEntrancePeriodStart")
		}
		at, err := f.trendStart(*cell.TrendsStart)
		if err != nil {
			return nil, nil, err
		}
		f.trendOperator(op)
		op.TrendActors = true
		var converted ast.Expr = column("converted")
		if *cell.TrendsDropOff {
			converted = &ast.Not{X: converted}
		}
		where = and(equal(column("bucket"), instant(at)), converted)
	} else {
		op.Output = ast.OutputActors
		k := 1
		if cell.Step != nil {
			k = *cell.Step
		}
		if where, err = f.stepCondition(k); err != nil {
			return nil, nil, err
		}
	}
	where = and(where, f.valueCondition(op, value))
	sel := actorsSorted(op, where)
	sel.Distinct = f.by != nil // who has several values is one of the rest, or of all of them, once
	return f, &actorSource{q: sel, plain: q.Funnels.Actor == nil}, nil
}

// cellValue reads the breakdown value of a cell: a condition on events for a cohort, or
// the values of the columns.
func (f *funnelQuery) cellValue(raw json.RawMessage) (ast.Expr, []*string, error) {
	list, _, err := values(raw)
	if err != nil || len(list) == 0 {
		return nil, nil, refuse("funnelStepBreakdown", "the breakdown value is not valid")
	}
	if f.by.isCohort {
		s := textOf(list[0])
		if s == "all" || s == "0" {
			return nil, nil, nil
		}
		set, err := f.cohortByText(s, "funnelStepBreakdown")
		if err != nil {
			return nil, nil, err
		}
		return inCohort(f.personID(), set), nil, nil
	}
	var out []*string
	for _, v := range list {
		s := textOf(v)
		out = append(out, &s)
	}
	if len(out) != len(f.by.items) && *out[0] != "Other" {
		return nil, nil, refuse("funnelStepBreakdown", "the breakdown has %d values, not %d", len(f.by.items), len(out))
	}
	return nil, out, nil
}

// valueCondition picks the rows of a breakdown value.
func (f *funnelQuery) valueCondition(op *ast.Funnel, value []*string) ast.Expr {
	if value == nil || op.Breakdown == nil {
		return nil
	}
	if *value[0] == "Other" && op.Breakdown.Other {
		return column("is_other")
	}
	op.Breakdown.Top, op.Breakdown.Other = 0, false
	var conds []ast.Expr
	for i, v := range value {
		col := column(columnName(i))
		if *v == "" {
			conds = append(conds, equal(orElse(col, text("")), text("")))
		} else {
			conds = append(conds, equal(col, text(*v)))
		}
	}
	return and(conds...)
}

// trendsActors are the actors of a cell of trends.
func (c *compiler) trendsActors(q *query, cell *actorsQuery) (*actorSource, error) {
	t, err := c.readTrends(q)
	if err != nil {
		return nil, err
	}
	i := orZero(cell.Series)
	if i < 0 || i >= len(t.list) {
		return nil, refuse("series", "there is no series %d", i)
	}
	e := t.list[i]
	if err := missingAction(t.list[i : i+1]); err != nil {
		return nil, err
	}
	p := t.current
	if cell.Compare == "previous" {
		if t.previous == nil {
			return nil, refuse("compare", "the query compares with no previous period")
		}
		p = t.previous
	}
	m, err := t.measure(e, p)
	if err != nil {
		return nil, err
	}
	from, to := p.scanFrom(), p.to
	if m.exactStart {
		from = p.from
	}
	cond := and(e.full(), t.where)
	var value ast.Expr
	if t.by != nil {
		if value, err = t.cellCondition(e, p, cell.Breakdown); err != nil {
			return nil, err
		}
	}
	ofAny := cond
	cond = and(cond, value)
	first, last := from, to
	if !t.total {
		bucket, err := c.cellDay(cell.Day, p.u)
		if err != nil {
			return nil, err
		}
		if !t.cumulative && bucket.After(first) {
			first = bucket
		}
		if end := p.start(p.add(bucket, p.u, 1), p.u).Add(-time.Microsecond); end.Before(last) {
			last = end
		}
	}
	actor := m.actor
	if actor == nil {
		actor = c.personID()
	}
	src := &actorSource{plain: true}
	switch {
	case e.node.Math == "unique_group" || e.node.Math == "dau":
		src.group = e.node.MathGroup
	case m.actor != nil: // of the duration of sessions; the persons behind them are listed
		actor = c.personID()
	}
	sel := &ast.Select{Items: []ast.SelectItem{item(actor, "actor"), item(countAll(), "event_count")}, From: []ast.TableExpr{table("events")},
		GroupBy: &ast.GroupBy{Items: []ast.GroupItem{{Expr: integer(1)}}}}
	sel.OrderBy = []ast.OrderItem{{Expr: integer(1)}}
	bounds := func(a, b time.Time) ast.Expr {
		return and(binary(">=", c.row("timestamp"), instant(a)), binary("<=", c.row("timestamp"), instant(b)))
	}
	switch m.measure.Kind {
	case ast.MeasureRollingActors:
		days := 7
		if e.node.Math == "monthly_active" {
			days = 30
		}
		a := p.addDays(p.start(last, day), -days+1)
		if t.total {
			a = p.addDays(to, -days)
		} else if p.u <= hour {
			a = p.addDays(p.start(last, p.u), -days).Add(time.Hour)
			if p.u == minute {
				a = a.Add(time.Minute - time.Hour)
			}
		} else if p.u == week {
			first := p.start(last, week)
			last = c.endOfDay(first)
			a = p.addDays(first, -days+1)
		}
		if earliest := p.addDays(from, -days); a.Before(earliest) {
			a = earliest
		}
		sel.Where = and(cond, bounds(a, last))
	case ast.MeasureNewActors:
		inRange := and(cond, bounds(from, to))
		ever := cond
		if m.measure.First != nil {
			ever = m.measure.First
		}
		if m.measure.Valued != nil { // only the first event must have the value
			inRange, ever = and(ofAny, bounds(from, to)), ofAny
		}
		firstOf := func(cond ast.Expr) ast.Expr {
			return &ast.Call{Name: []ast.Ident{id("min")}, Args: []ast.Arg{{Value: c.row("timestamp")}}, Filter: cond}
		}
		sel.Where = binary("<=", c.row("timestamp"), instant(to))
		sel.Items = sel.Items[:1]
		sel.Having = and(equal(firstOf(inRange), firstOf(always(ever))), &ast.Between{X: firstOf(inRange), Low: instant(first), High: instant(last)})
		if v := m.measure.Valued; v != nil && value != nil {
			sel.Having = and(sel.Having, equal(firstOf(v), firstOf(and(v, value))))
		}
	default:
		sel.Where = and(cond, bounds(first, last))
	}
	if src.group != nil {
		sel.Where = and(sel.Where, isNotNull(actor))
	}
	src.q = sel
	return src, nil
}

// cellCondition is which events have a cell's breakdown value.
func (t *trendsQuery) cellCondition(e *entity, p *span, raw json.RawMessage) (ast.Expr, error) {
	if isNone(raw) {
		return nil, refuse("breakdown", "the cell of a query with a breakdown needs its breakdown value")
	}
	list, _, err := values(raw)
	if err != nil || len(list) == 0 {
		return nil, refuse("breakdown", "the breakdown value is not valid")
	}
	if t.by.isCohort {
		s := textOf(list[0])
		if s == "all" || s == "0" {
			return nil, nil
		}
		set, err := t.cohortByText(s, "breakdown")
		if err != nil {
			return nil, err
		}
		return inCohort(t.personID(), set), nil
	}
	if len(list) != len(t.by.items) {
		return nil, refuse("breakdown", "the breakdown has %d values, not %d", len(t.by.items), len(list))
	}
	one := func(values []string) (ast.Expr, error) {
		var conds []ast.Expr
		for i, s := range values {
			cond, err := t.columnCondition(i, s)
			if err != nil {
				return nil, err
			}
			conds = append(conds, cond)
		}
		return and(conds...), nil
	}
	var texts []string
	for _, v := range list {
		texts = append(texts, textOf(v))
	}
	if texts[0] != OtherValue {
		return one(texts)
	}
	// All values that are not shown.
	shown, err := t.ask(e, 0, p, nil)
	if err != nil {
		return nil, err
	}
	var out []ast.Expr
	for _, s := range shown {
		if s.other {
			continue
		}
		cond, err := one(t.shown(s))
		if err != nil {
			return nil, err
		}
		out = append(out, not(cond))
	}
	return and(out...), nil
}

// columnCondition is whether a breakdown column has a value.
func (t *trendsQuery) columnCondition(i int, s string) (ast.Expr, error) {
	it := &t.by.items[i]
	if it.Bins != nil && *it.Bins > 0 {
		x, err := t.breakdownNumber(it, "breakdown")
		if err != nil {
			return nil, err
		}
		if s == NullValue {
			return isNull(x), nil
		}
		var lo, hi float64
		if _, err := fmt.Sscanf(s, "[%g,%g]", &lo, &hi); err != nil {
			return nil, refuse("breakdown", "%q is not a bin", s)
		}
		return and(binary(">=", x, number(lo)), binary("<", x, number(hi))), nil
	}
	x, err := t.breakdownValue(it, "", "breakdown")
	if err != nil {
		return nil, err
	}
	if s == NullValue {
		return equal(orElse(x, text("")), text("")), nil
	}
	return equal(x, text(s)), nil
}
