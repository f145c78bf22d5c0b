package bind

import (
	"slices"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/sql/ast"
	"github.com/prickledb/prickle/storage/vec"
)

// attached is a subquery that is joined with the FROM of a selection, for each row of it.
type attached struct {
	kind  plan.JoinKind
	node  plan.Node
	base  int       // where the numbers of its columns begin
	on    expr.Expr // nil is true
	reads []*expr.Column
	// sparse: it is an aggregate whose row of no rows is made up where its columns are read.
	sparse bool
	// above says that it is joined with the groups of the selection, not with the rows.
	above bool
	pos   ast.Pos
}

// queryIn binds a query whose names may mean columns of what is around it.
func (b *binder) queryIn(q ast.Query, around *scope) plan.Node {
	if around != nil && around.rel != nil && around.rel.join == nil && around.rel.base == 0 {
		around = around.outer // its columns have no numbers that would tell them apart
	}
	outer, before := b.outer, b.before
	b.outer, b.before = around, nil
	node := b.query(q)
	b.outer, b.before = outer, before
	return node
}

// correlated says whether a plan reads columns of what is around it.
func correlated(n plan.Node) bool {
	found := false
	plan.OutsideColumns(n, func(*expr.Column) { found = true })
	return found
}

// depends says whether a query is not the same whenever it runs in the statement: it reads columns
// of what is around it, or the rows just given of a recursive query.
func (b *binder) depends(n plan.Node) bool {
	return correlated(n) || slices.ContainsFunc(b.recursing, func(c *cte) bool {
		return c.step != nil && readsSlot(n, c.step.slot)
	})
}

// attach has a subquery joined with FROM.
func (s *selection) attach(kind plan.JoinKind, node plan.Node, pos ast.Pos) *attached {
	a := &attached{kind: kind, node: node, base: s.b.base(), pos: pos}
	plan.OutsideColumns(node, func(c *expr.Column) { a.reads = append(a.reads, c) })
	s.attached = append(s.attached, a)
	return a
}

// column is the i-th column of the subquery.
func (a *attached) column(i int) *expr.Column {
	f := a.node.Schema()[i]
	return &expr.Column{Index: a.base + i, T: f.Type, Name: f.Name}
}

// readBelow says whether a subquery has to be joined with the rows that a selection groups: with
// those it is a condition on, or a part of what they are grouped by or aggregated, or is read by
// another such one.
func (s *selection) readBelow(a *attached, later []*attached) bool {
	mine := func(c *expr.Column) bool { return baseOf(c.Index) == a.base }
	if a.kind != plan.LeftJoin || a.on != nil ||
		slices.ContainsFunc(later, func(o *attached) bool { return !o.above && slices.ContainsFunc(o.reads, mine) }) {
		return true
	}
	found := false
	read := func(e expr.Expr) { found = found || e != nil && readsAny(e, mine) }
	read(s.where)
	for _, k := range s.keys {
		read(k)
	}
	for i := range s.aggs.calls {
		c := &s.aggs.calls[i]
		for _, e := range c.Args {
			read(e)
		}
		read(c.Filter)
		for _, k := range c.OrderBy {
			read(k.Expr)
		}
	}
	return found
}

// attachedOf is the subquery whose column c is; nil if it is of none.
func (s *selection) attachedOf(c *expr.Column) *attached {
	for _, a := range s.attached {
		if a.base == baseOf(c.Index) {
			return a
		}
	}
	return nil
}

// filtered puts WHERE over the rows of FROM, and joins them with the subqueries that stand below
// groups. Each condition stands as low as it can, so that subqueries run for no other rows.
func (s *selection) filtered(node plan.Node) plan.Node {
	var first, second []expr.Expr
	for _, c := range plan.Conjuncts(s.where) {
		if s.readsAttached(c) {
			second = append(second, c)
		} else {
			first = append(first, c)
		}
	}
	filter := func(conds []expr.Expr) {
		if len(conds) > 0 {
			node = &plan.Filter{Input: node, Cond: s.placed.one(allOf(conds))}
		}
	}
	var last []*attached
	filter(first)
	for i, a := range s.attached {
		switch {
		case a.above:
		case s.belongsToWhere(a, s.attached[i+1:], second):
			node = s.join(node, a)
		default:
			last = append(last, a)
		}
	}
	filter(second)
	for _, a := range last {
		node = s.join(node, a)
	}
	return node
}

// readsAttached says whether an expression reads a column of a subquery that is joined with FROM.
func (s *selection) readsAttached(e expr.Expr) bool {
	return readsAny(e, func(c *expr.Column) bool { return s.attachedOf(c) != nil })
}

// belongsToWhere says whether a subquery is one of WHERE, or is read by one of those behind it
// that is.
func (s *selection) belongsToWhere(a *attached, later []*attached, conds []expr.Expr) bool {
	mine := func(c *expr.Column) bool { return baseOf(c.Index) == a.base }
	if a.kind != plan.LeftJoin || a.on != nil || slices.ContainsFunc(conds, func(c expr.Expr) bool { return readsAny(c, mine) }) {
		return true
	}
	for i, o := range later {
		if (slices.ContainsFunc(o.reads, mine) || o.on != nil && readsAny(o.on, mine)) && s.belongsToWhere(o, later[i+1:], conds) {
			return true
		}
	}
	return false
}

// readsAny says whether an expression reads a column of a kind.
func readsAny(e expr.Expr, kind func(*expr.Column) bool) bool {
	found := false
	expr.Walk(e, func(x expr.Expr) bool {
		c, ok := x.(*expr.Column)
		found = found || ok && kind(c)
		return !found
	})
	return found
}

// join joins a subquery with what was joined before.
func (s *selection) join(node plan.Node, a *attached) plan.Node {
	before := s.placed.from(0)
	if s.placed == nil {
		s.placed, before = placement{}, placement{}
	}
	s.placed[a.base] = len(node.Schema())
	return s.b.dependent(&plan.Dependent{Kind: a.kind, Left: node, Right: a.node, On: s.placed.one(a.on), Sparse: a.sparse}, before)
}

// hostOf is the selection that a correlated subquery is joined with.
func (b *binder) hostOf(sc *scope, pos ast.Pos) *selection {
	if sc.host == nil {
		b.unsupported("a correlated subquery in "+sc.clause, pos)
	}
	return sc.host
}

// anyRows is a plan for what only wants to know whether it has rows.
func anyRows(n plan.Node) plan.Node {
	for {
		switch x := n.(type) {
		case *plan.Project:
			n = x.Input
		case *plan.Sort:
			n = x.Input
		case *plan.Distinct:
			n = x.Input
		case *plan.Limit:
			c, ok := x.Limit.(*expr.Const)
			if x.Offset != nil || x.Limit != nil && (!ok || c.Value.IsNull(0) || c.Value.I64[0] < 1) {
				return n
			}
			n = x.Input
		default:
			return n
		}
	}
}

// existsValue is EXISTS (query) as a value.
func (b *binder) existsValue(node plan.Node, sc *scope, pos ast.Pos) expr.Expr {
	s := b.hostOf(sc, pos)
	if b.err != nil {
		return boolConst(true)
	}
	count := b.aggregated(s, anyRows(node), pos, plan.AggCall{Name: "count", T: vec.T(vec.Int8)})
	return b.call(">", []expr.Expr{count[0], intConst(0, vec.T(vec.Int8))}, pos)
}

// aggregated is the results of aggregates over all rows of a subquery.
func (b *binder) aggregated(s *selection, node plan.Node, pos ast.Pos, calls ...plan.AggCall) []expr.Expr {
	agg := &plan.Aggregate{Input: node, Aggs: calls}
	for _, c := range calls {
		agg.Names = append(agg.Names, c.Name)
	}
	return s.groupedBy(agg, pos)
}

// groupedBy attaches an aggregate without keys, and gives its results.
func (s *selection) groupedBy(agg *plan.Aggregate, pos ast.Pos) []expr.Expr {
	a := s.attach(plan.LeftJoin, agg, pos)
	a.sparse = true
	out := make([]expr.Expr, len(agg.Aggs))
	for i := range out {
		out[i] = plan.OrEmpty(a.column(i), &agg.Aggs[i])
	}
	return out
}

// scalarValue is the value of a query of one row and column, or NULL if it has no row.
func (b *binder) scalarValue(node plan.Node, sc *scope, pos ast.Pos) expr.Expr {
	s := b.hostOf(sc, pos)
	if b.err != nil {
		return null(node.Schema()[0].Type)
	}
	// What stands above an aggregate of all rows is computed where its results are joined. Not so
	// if it could be taken for an expression that is grouped by: within a subquery only columns are.
	f := node.Schema()[0]
	var value expr.Expr = &expr.Column{Index: 0, T: f.Type, Name: f.Name}
	for n := node; !s.groupsByExpressions(); {
		switch x := n.(type) {
		case *plan.Project:
			value = over(value, x.Exprs)
			n = x.Input
			continue
		case *plan.Filter:
			value = &expr.Case{Whens: []expr.When{{Cond: x.Cond, Result: value}}, T: value.Type()}
			n = x.Input
			continue
		case *plan.Sort:
			n = x.Input
			continue
		case *plan.Values:
			if len(x.Columns) == 0 && len(x.Rows) == 1 {
				return value
			}
		case *plan.Aggregate:
			if len(x.Keys) == 0 {
				return over(value, s.groupedBy(x, pos))
			}
		}
		break
	}
	column := &expr.Column{Index: 0, T: f.Type, Name: f.Name}
	list := b.aggregated(s, node, pos, plan.AggCall{Name: "any_value", Args: []expr.Expr{column}, T: f.Type},
		plan.AggCall{Name: "count", T: vec.T(vec.Int8)})
	return &expr.OneRow{E: list[0], Count: list[1]}
}

// boundSubquery is the value of a correlated subquery, and its text.
type boundSubquery struct {
	text  string
	value expr.Expr
}

// subqueryValue is the value of a subquery that stands in an expression. Two of one text are joined
// once, and are the same expression, so that one may stand in GROUP BY and the other in the list.
func (b *binder) subqueryValue(q *ast.Subquery, sc *scope) expr.Expr {
	s := sc.host
	text := ast.Format(q)
	if s != nil {
		if i := slices.IndexFunc(s.subqueries, func(x boundSubquery) bool { return x.text == text }); i >= 0 {
			return s.subqueries[i].value
		}
	}
	node := b.queryIn(q.Query, sc)
	if !b.oneColumn(node, q.Pos()) {
		return null(vec.T(vec.Unknown))
	}
	if !b.depends(node) {
		return b.sub(node, plan.ScalarSub, node.Schema()[0].Type)
	}
	value := b.scalarValue(node, sc, q.Pos())
	if s != nil && !plan.Volatile(node) && !s.aggregatesIn(node) {
		s.subqueries = append(s.subqueries, boundSubquery{text, value})
	}
	return value
}

// aggregatesIn says whether a subquery reads aggregates of the selection around it.
func (s *selection) aggregatesIn(n plan.Node) bool {
	found := false
	plan.OutsideColumns(n, func(c *expr.Column) { found = found || s.aggs.base != 0 && baseOf(c.Index) == s.aggs.base })
	return found
}

// groupsByExpressions says whether the selection is grouped by other things than columns.
func (s *selection) groupsByExpressions() bool {
	var any func(items []ast.GroupItem) bool
	any = func(items []ast.GroupItem) bool {
		return slices.ContainsFunc(items, func(it ast.GroupItem) bool {
			switch it.Expr.(type) {
			case nil:
				return any(it.Items)
			case *ast.Name:
				return false
			}
			return true
		})
	}
	return s.q != nil && s.q.GroupBy != nil && any(s.q.GroupBy.Items)
}

// over puts expressions in the places of the columns of a plan.
func over(e expr.Expr, by []expr.Expr) expr.Expr {
	return expr.Map(e, func(x expr.Expr) expr.Expr {
		if c, ok := x.(*expr.Column); ok && c.Index < plan.Outside {
			return by[c.Index]
		}
		return x
	})
}

// arrayValue is ARRAY(query).
func (b *binder) arrayValue(node plan.Node, sc *scope, pos ast.Pos) expr.Expr {
	s := b.hostOf(sc, pos)
	if !b.oneColumn(node, pos) {
		return null(vec.ArrayOf(vec.Text))
	}
	f := node.Schema()[0]
	if f.Type.Array {
		return b.unsupported("an array of more than one dimension", pos)
	}
	call := plan.AggCall{Name: "array_agg", Args: []expr.Expr{&expr.Column{Index: 0, T: f.Type, Name: f.Name}}, T: vec.ArrayOf(f.Type.Kind)}
	if p, ok := node.(*plan.Sort); ok {
		node, call.OrderBy = p.Input, p.Keys
	}
	e := b.aggregated(s, node, pos, call)[0]
	empty := b.literal(textConst("{}", vec.T(vec.Unknown)), e.Type(), pos)
	return &expr.Coalesce{Args: []expr.Expr{e, empty}, T: e.Type()}
}

// outside is an expression of the selection as a subquery in it reads it.
func (s *selection) outside(e expr.Expr) expr.Expr {
	if _, ok := e.(*pathRef); ok {
		return e
	}
	return expr.Map(e, func(x expr.Expr) expr.Expr {
		switch x := x.(type) {
		case *aggRef:
			return s.aggs.outside(s.b, x.index)
		case *windowRef, *setRef, *groupingRef:
			s.b.unsupported("a correlated subquery that is compared with "+expr.String(x), ast.NoPos)
		}
		return x
	})
}

// anyValue is x op ANY (query) or, with all, x op ALL (query) as a value.
func (b *binder) anyValue(op string, x expr.Expr, node plan.Node, all bool, sc *scope, pos ast.Pos) expr.Expr {
	s := b.hostOf(sc, pos)
	if b.err != nil || !b.comparedColumn(node, pos, op) {
		return boolConst(true)
	}
	return b.decided(s, b.against(op, s.outside(x), node, 0, pos), node, all, pos)
}

// against compares x with the i-th column of a query.
func (b *binder) against(op string, x expr.Expr, node plan.Node, i int, pos ast.Pos) expr.Expr {
	f := node.Schema()[i]
	if p, ok := x.(*pathRef); ok {
		x = b.resolve(p, beside(op, f.Type))
	}
	return b.condition(b.operator(op, x, &expr.Column{Index: i, T: f.Type, Name: f.Name}, pos), op, pos)
}

// rowAgainst is (x, y) op ANY (query) or, with all, (x, y) op ALL (query) as a value.
func (b *binder) rowAgainst(op string, row *ast.Row, node plan.Node, all bool, sc *scope, pos ast.Pos) expr.Expr {
	s := b.hostOf(sc, pos)
	if b.err != nil {
		return boolConst(true)
	}
	if b.sameWidth(len(row.Elems), node, pos); b.err != nil {
		return boolConst(true)
	}
	left, right := make([]expr.Expr, len(row.Elems)), make([]expr.Expr, len(row.Elems))
	for i, f := range node.Schema() {
		right[i] = &expr.Column{Index: i, T: f.Type, Name: f.Name}
		left[i] = s.outside(b.expr(row.Elems[i], sc))
	}
	return b.decided(s, b.rowsBound(op, left, right, pos), node, all, pos)
}

// sameWidth fails unless a query has so many columns.
func (b *binder) sameWidth(n int, node plan.Node, pos ast.Pos) {
	word := ""
	switch have := len(node.Schema()); {
	case b.err != nil || n == have:
		return
	case n < have:
		word = "many"
	default:
		word = "few"
	}
	b.fail(pgerr.New(pgerr.SyntaxError, "subquery has too %s columns", word), pos)
}

// decided says whether a condition is true of any row of a query or, with all, of all.
func (b *binder) decided(s *selection, equal expr.Expr, node plan.Node, all bool, pos ast.Pos) expr.Expr {
	if b.err != nil {
		return boolConst(true)
	}
	name := "bool_or"
	if all {
		name = "bool_and"
	}
	bigint := vec.T(vec.Int8)
	list := b.aggregated(s, node, pos, plan.AggCall{Name: name, Args: []expr.Expr{equal}, T: vec.T(vec.Bool)},
		plan.AggCall{Name: "count", T: bigint}, plan.AggCall{Name: "count", Args: []expr.Expr{equal}, T: bigint})
	// One comparison decides; if none does, one with NULL leaves it open.
	found := list[0]
	if all {
		found = &expr.Not{E: found}
	}
	open := b.call(">", []expr.Expr{list[1], list[2]}, pos)
	return &expr.Case{Whens: []expr.When{{Cond: found, Result: boolConst(!all)}, {Cond: open, Result: null(vec.T(vec.Bool))}}, Else: boolConst(all), T: vec.T(vec.Bool)}
}
