package insight

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/prickledb/prickle/sql/ast"
)

// sessionGap is the pause that ends a session of a path.
const sessionGap = 30 * 60 // seconds

// pathsQuery is a paths query that is being answered.
type pathsQuery struct {
	*compiler
	q     *query
	f     *pathsFilter
	where ast.Expr
	node  ast.Expr
	span  *span
	gap   ast.Expr
	from  ast.TableExpr // nil: the table events
}

func (c *compiler) readPaths(q *query) (*pathsQuery, error) {
	p := &pathsQuery{compiler: c, q: q, f: &q.Paths, gap: interval(sessionGap/60, "minute")}
	plain := *q
	plain.Interval = "day"
	var err error
	if p.span, err = c.span(&plain, nil, rangeRules{}); err != nil {
		return nil, err
	}
	p.span.from = p.span.start(p.span.from, day)
	if q.FunnelPath != nil && !isNone(q.FunnelPath.Source) {
		if err := p.funnel(); err != nil {
			return nil, err
		}
	}
	if p.where, err = p.common(q); err != nil {
		return nil, err
	}
	if p.node, err = p.item(); err != nil {
		return nil, err
	}
	p.where = and(p.where, p.kinds())
	if p.from != nil { // persons, groups and sessions stand beside events, not beside a source
		items := []ast.SelectItem{item(p.node, "node")}
		for _, name := range []string{"person_id", "timestamp", "uuid"} {
			items = append(items, item(p.row(name), name))
		}
		p.from = derived(&ast.Select{Items: items, From: []ast.TableExpr{p.from}, Where: p.where}, "e")
		p.node, p.where = column("node"), nil
	}
	return p, nil
}

// wanted says whether items of a kind are wanted.
func (p *pathsQuery) wanted(kind string) bool {
	if len(p.f.Include) > 0 {
		return slices.Contains(p.f.Include, kind)
	}
	return !slices.Contains(p.f.Exclude, kind)
}

// item is the name of an event in a path.
func (p *pathsQuery) item() (ast.Expr, error) {
	event := p.row("event")
	e := &ast.Case{Else: event}
	if p.wanted("$screen") {
		e.Whens = append(e.Whens, ast.When{Cond: equal(event, text("$screen")), Result: p.row("properties", "$screen_name")})
	}
	if p.wanted("$pageview") {
		url := orElse(p.row("properties", "$current_url"), text(""))
		e.Whens = append(e.Whens, ast.When{Cond: equal(event, text("$pageview")), Result: call("regexp_replace", url, text(`(.)/$`), text(`\1`))})
	}
	if given(p.f.Expression) && p.wanted("hogql") {
		x, err := p.expression(*p.f.Expression, "pathsFilter.pathsHogQLExpression")
		if err != nil {
			return nil, err
		}
		e.Else = &ast.Cast{X: x, Type: ast.TypeName{Name: "text"}}
	}
	var out ast.Expr = e
	if len(e.Whens) == 0 {
		out = e.Else
	}
	out = orElse(out, text(""))
	var rules []pathRule
	if p.f.Replacements && !isNone(p.project.PathCleaning()) {
		if err := decode(p.project.PathCleaning(), &rules); err != nil {
			return nil, err
		}
	}
	rules = append(rules, p.f.Cleaning...)
	for _, r := range rules {
		if err := checkRegex(r.Regex, "pathsFilter.localPathCleaningFilters"); err != nil {
			return nil, err
		}
	}
	if len(rules) > 0 {
		raw, err := json.Marshal(rules)
		if err != nil {
			return nil, err
		}
		out = call("clean_path", out, &ast.Cast{X: text(string(raw)), Type: ast.TypeName{Name: "jsonb"}})
	}
	if len(p.f.Groupings) > 0 {
		list := &ast.Array{}
		for _, g := range p.f.Groupings {
			list.Elems = append(list.Elems, text(g))
		}
		out = call("path_group", out, list)
	}
	return out, nil
}

// kinds is which events take part.
func (p *pathsQuery) kinds() ast.Expr {
	if len(p.f.Include) == 0 {
		return nil
	}
	event := p.row("event")
	var conds []ast.Expr
	for _, k := range p.f.Include {
		switch k {
		case "$pageview", "$screen":
			conds = append(conds, equal(event, text(k)))
		case "custom_event":
			conds = append(conds, &ast.Like{X: event, Pattern: text(`$%`), Not: true})
		}
	}
	var out ast.Expr
	if len(conds) > 0 {
		out = or(conds...)
	}
	if len(p.f.Exclude) > 0 {
		var list []ast.Expr
		for _, x := range p.f.Exclude {
			list = append(list, text(x))
		}
		out = and(out, &ast.Not{X: in(p.node, list)})
	}
	return out
}

// point is a condition on the item of an event: a slash at the end does not count if it is
// the only point.
func (p *pathsQuery) point(s string, alone bool) ast.Expr {
	if !alone {
		return equal(p.node, text(s))
	}
	if len(s) > 1 {
		s = strings.TrimSuffix(s, "/")
	}
	return equal(call("regexp_replace", p.node, text(`(.)/$`), text(`\1`)), text(s))
}

func (p *pathsQuery) operator() *ast.Paths {
	f := p.f
	op := &ast.Paths{Common: ast.Common{Compatible: true, Source: p.from, Where: p.where, During: during(p.span.from, p.span.to)},
		Node: p.node, SessionGap: p.gap, Depth: 5, EdgesTop: 50}
	both := given(f.Start) && given(f.End)
	if given(f.Start) {
		op.StartAt = p.point(*f.Start, !both)
	}
	if given(f.End) {
		op.EndAt = p.point(*f.End, !both)
	}
	if n := orZero(f.StepLimit); n > 0 {
		op.Depth = n
	}
	if n := orZero(f.EdgeLimit); n > 0 {
		op.EdgesTop = n
	}
	op.WeightFrom, op.WeightTo = max(0, orZero(f.MinWeight)), max(0, orZero(f.MaxWeight))
	return op
}

// paths answers a PathsQuery.
func (c *compiler) paths(q *query) (*Answer, error) {
	p, err := c.readPaths(q)
	if err != nil {
		return nil, err
	}
	op := p.operator()
	op.Output = ast.OutputEdges
	fields := map[string]any{"resolved_date_range": p.span.resolved()}
	if op.WeightTo > 0 && op.WeightFrom > op.WeightTo { // no edge weighs that
		return &Answer{Results: []any{}, Fields: fields}, nil
	}
	rows, err := p.run.Run(p.ctx, all(op))
	if err != nil {
		return nil, err
	}
	step, source, target := rows.Column("step"), rows.Column("source"), rows.Column("target")
	count, mean := rows.Column("count"), rows.Column("average_ms")
	out := []map[string]any{}
	for i := range rows.N {
		n := rows.Int(i, step)
		out = append(out, map[string]any{"source": fmt.Sprintf("%d_%s", n, rows.Text(i, source)), "target": fmt.Sprintf("%d_%s", n+1, rows.Text(i, target)),
			"value": scale(float64(rows.Int(i, count)), q.Sampling), "average_conversion_time": rows.Float(i, mean)})
	}
	return &Answer{Results: out, Fields: fields}, nil
}

// funnel restricts the paths to what people did around their funnel.
func (p *pathsQuery) funnel() error {
	fp := p.q.FunnelPath
	var inner query
	raw, _, err := Unwrap(fp.Source)
	if err != nil {
		return err
	}
	if err := decode(raw, &inner); err != nil {
		return err
	}
	f, err := p.readFunnel(&inner)
	if err != nil {
		return err
	}
	k := orZero(fp.Step)
	if k == 0 || k == -1 || k > f.n || -k > f.n {
		return refuse("funnelPathsFilter.funnelStep", "there is no step %d of the funnel", k)
	}
	dropped := k < 0
	at := k - 1
	if dropped {
		at = -k - 2
	}
	op, err := f.operator(nil)
	if err != nil {
		return err
	}
	op.Output = ast.OutputActors
	who, err := f.stepCondition(k)
	if err != nil {
		return err
	}
	when := func(i int) ast.Expr { return column("f", "step_"+fmt.Sprint(i)) }
	items := []ast.SelectItem{item(column("actor"), "actor"), item(stepTime(at), "step_"+fmt.Sprint(at))}
	e := func(name string) ast.Expr { return column("e", name) }
	var cond ast.Expr
	switch fp.Type {
	case "funnel_path_before_step":
		cond = binary("<=", e("timestamp"), when(at))
	case "funnel_path_between_steps":
		if at == 0 {
			return refuse("funnelPathsFilter", "there is no path to the first step of a funnel")
		}
		items = append(items, item(stepTime(at-1), "step_"+fmt.Sprint(at-1)))
		cond = and(binary(">=", e("timestamp"), when(at-1)), binary("<=", e("timestamp"), when(at)))
	case "funnel_path_after_step":
		from := when(at)
		if dropped {
			from = binary("+", from, windowInterval(f.window))
		}
		cond = binary(">=", e("timestamp"), from)
	default:
		return refuse("funnelPathsFilter.funnelPathType", "unknown kind of path %q", fp.Type)
	}
	actors := &ast.Select{Items: items, From: []ast.TableExpr{op}, Where: who}
	join := &ast.Join{Kind: ast.JoinInner, Left: &ast.TableName{Name: []ast.Ident{id("events")}, Alias: &ast.Alias{Name: id("e")}},
		Right: derived(actors, "f"), On: equal(e("person_id"), column("f", "actor"))}
	p.from = join
	named := *p.compiler // the funnel has columns of its own
	named.alias = "e"
	p.compiler, p.gap = &named, windowInterval(f.window)
	join.On = and(join.On, cond)
	return nil
}

// actorRows is the persons who took an edge or left at a node.
func (p *pathsQuery) actorRows() (ast.Query, error) {
	op := p.operator()
	op.Output, op.EdgesTop, op.WeightFrom, op.WeightTo = ast.OutputActors, 0, 0, 0
	var cond ast.Expr // nil: of all nodes
	node := func(stepColumn ast.Expr, key string, name ast.Expr) (ast.Expr, error) {
		n, s, ok := strings.Cut(key, "_")
		var at int
		if _, err := fmt.Sscanf(n, "%d", &at); !ok || err != nil {
			return nil, refuse("pathsFilter", "%q is not a node; they look like 1_/pricing", key)
		}
		return and(equal(stepColumn, integer(at)), equal(name, text(s))), nil
	}
	var err error
	f := p.f
	if given(f.DropoffKey) {
		if cond, err = node(column("step"), *f.DropoffKey, column("node")); err != nil {
			return nil, err
		}
		cond = and(cond, column("is_last"))
	} else {
		if given(f.EndKey) {
			if cond, err = node(column("step"), *f.EndKey, column("node")); err != nil {
				return nil, err
			}
		}
		if given(f.StartKey) {
			start, err := node(binary("-", column("step"), integer(1)), *f.StartKey, column("source"))
			if err != nil {
				return nil, err
			}
			cond = and(cond, start)
		}
	}
	return &ast.Select{Items: []ast.SelectItem{item(column("actor"), ""), item(&ast.Cast{X: call("sum", column("count")), Type: ast.TypeName{Name: "int8"}}, "event_count")},
		From: []ast.TableExpr{op}, Where: cond, GroupBy: &ast.GroupBy{Items: []ast.GroupItem{{Expr: column("actor")}}},
		QueryTail: ast.QueryTail{OrderBy: []ast.OrderItem{{Expr: column("actor")}}}}, nil
}
