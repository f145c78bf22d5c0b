package bind

import (
	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/sql/ast"
	"github.com/prickledb/prickle/storage/vec"
)

// sub has a query run once, before the statement, and gives its answer.
func (b *binder) sub(node plan.Node, kind plan.SubKind, t vec.Type) expr.Expr {
	if b.err != nil {
		return null(t)
	}
	b.subs = append(b.subs, plan.Sub{Node: node, Kind: kind})
	return &expr.Slot{Index: len(b.subs) - 1, T: t}
}

// setup puts the subqueries in front of the plan of the statement.
func (b *binder) setup(n plan.Node) plan.Node {
	if len(b.subs) == 0 || b.err != nil {
		return n
	}
	return &plan.Setup{Subs: b.subs, Input: n}
}

// oneColumn says whether a query gives one column, and fails if it does not.
func (b *binder) oneColumn(node plan.Node, pos ast.Pos) bool {
	if b.err == nil && len(node.Schema()) != 1 {
		b.fail(pgerr.New(pgerr.SyntaxError, "subquery must return only one column"), pos)
	}
	return b.err == nil
}

// arrayQuery is the values of the one column of a query as an array. Op is what each is
// compared with, for the error; empty for ARRAY(query).
func (b *binder) arrayQuery(q ast.Query, op string) expr.Expr {
	node := b.query(q)
	if op != "" && b.err == nil && len(node.Schema()) > 1 {
		b.fail(pgerr.New(pgerr.SyntaxError, "subquery has too many columns"), q.Pos())
	}
	if !b.oneColumn(node, q.Pos()) {
		return null(vec.ArrayOf(vec.Text))
	}
	t := node.Schema()[0].Type
	if t.Array {
		return b.unsupported("an array of more than one dimension", q.Pos())
	}
	return b.sub(node, plan.ArraySub, vec.ArrayOf(t.Kind))
}

// inQuery is x IN (query) as a value.
func (b *binder) inQuery(e *ast.In, sc *scope) expr.Expr {
	if row, ok := e.X.(*ast.Row); ok && len(row.Elems) != 1 {
		return b.unsupported("a row IN (query) inside an expression", e.Pos())
	}
	x := b.expr(e.X, sc)
	array := b.arrayQuery(e.Query, "=")
	if b.err != nil {
		return boolConst(true)
	}
	if p, ok := x.(*pathRef); ok {
		x = b.resolve(p, beside("=", array.Type().Elem()))
	}
	return negate(b.anyArray("=", x, array, ast.Any, false, e.Pos()), e.Not)
}

// bindWhere binds WHERE. A condition x IN (query) that must hold is a join with the query,
// which looks each row up.
func (s *selection) bindWhere() {
	var rest []ast.Expr
	all := conjuncts(s.q.Where)
	for _, c := range all {
		not := false
		inner := c
		for {
			n, ok := inner.(*ast.Not)
			if !ok {
				break
			}
			inner, not = n.X, !not
		}
		if in, ok := inner.(*ast.In); ok && in.Query != nil {
			s.whereIn(in, in.Not != not)
			continue
		}
		rest = append(rest, c)
	}
	b := s.b
	var conds []expr.Expr
	for _, c := range rest {
		clause := "WHERE"
		if len(all) > 1 {
			clause = "AND"
		}
		conds = append(conds, b.condition(b.expr(c, s.sc.in("WHERE", nil)), clause, c.Pos()))
	}
	if len(conds) > 0 {
		s.where = allOf(conds)
	}
}

// conjuncts are the conditions that all hold when e does.
func conjuncts(e ast.Expr) []ast.Expr {
	if l, ok := e.(*ast.Logic); ok && !l.Or {
		var out []ast.Expr
		for _, a := range l.Args {
			out = append(out, conjuncts(a)...)
		}
		return out
	}
	return []ast.Expr{e}
}

// whereIn joins FROM with the query of x [NOT] IN (query).
func (s *selection) whereIn(e *ast.In, not bool) {
	b := s.b
	list := []ast.Expr{e.X}
	if row, ok := e.X.(*ast.Row); ok {
		list = row.Elems
	}
	sc := s.sc.in("WHERE", nil)
	var xs []expr.Expr
	for _, x := range list {
		xs = append(xs, b.expr(x, sc))
	}
	node := b.query(e.Query)
	if b.err != nil {
		return
	}
	if n := len(node.Schema()); n != len(xs) {
		word := "many"
		if n < len(xs) {
			word = "few"
		}
		b.fail(pgerr.New(pgerr.SyntaxError, "subquery has too %s columns", word), e.Query.Pos())
		return
	}
	left := s.sc.rel
	if left == nil {
		left = &relation{node: &plan.Values{Rows: [][]expr.Expr{{}}}}
	}
	right := b.derived(node, "", nil)
	b.leaves++
	right.base = b.leaves * leafColumns
	var conds []expr.Expr
	for i, x := range xs {
		conds = append(conds, b.operator("=", x, b.column(right, i, e.Query.Pos()), e.Pos()))
	}
	kind, on := plan.SemiJoin, allOf(conds)
	if not {
		kind, on = plan.AntiJoin, &expr.IsTruth{E: on, Want: expr.False, Not: true}
	}
	rel := *left
	rel.join = &joined{kind: kind, left: left, right: right, on: on}
	rel.origins = make([]origin, len(left.fields))
	for i := range left.fields {
		rel.origins[i] = origin{rel: left, index: i}
	}
	rel.node, rel.scan = nil, nil
	s.sc.rel = &rel
}
