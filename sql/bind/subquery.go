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

// exists says whether a query that reads nothing around it has rows.
func (b *binder) exists(node plan.Node) expr.Expr {
	return b.sub(&plan.Limit{Input: node, Limit: intConst(1, vec.T(vec.Int8))}, plan.ExistsSub, vec.T(vec.Bool))
}

// setup puts the subqueries in front of the plan of the statement.
func (b *binder) setup(n plan.Node) plan.Node {
	if b.err != nil {
		return n
	}
	if len(b.subs) > 0 {
		n = &plan.Setup{Subs: b.subs, Input: n}
	}
	if correlated(n) {
		b.unsupported("this correlated subquery", ast.NoPos)
	}
	return n
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
func (b *binder) arrayQuery(node plan.Node, pos ast.Pos, op string) expr.Expr {
	if !b.comparedColumn(node, pos, op) {
		return null(vec.ArrayOf(vec.Text))
	}
	t := node.Schema()[0].Type
	if t.Array {
		return b.unsupported("an array of more than one dimension", pos)
	}
	if !t.HasArray() {
		return b.fail(pgerr.New(pgerr.UndefinedObject, "could not find array type for data type %s", t), pos)
	}
	return b.sub(node, plan.ArraySub, vec.ArrayOf(t.Kind))
}

// comparedColumn says whether a query has the one column that something is compared with.
func (b *binder) comparedColumn(node plan.Node, pos ast.Pos, op string) bool {
	if op != "" && b.err == nil && len(node.Schema()) > 1 {
		b.fail(pgerr.New(pgerr.SyntaxError, "subquery has too many columns"), pos)
	}
	return b.oneColumn(node, pos)
}

// inQuery is x IN (query) as a value.
func (b *binder) inQuery(e *ast.In, sc *scope) expr.Expr {
	if row, ok := e.X.(*ast.Row); ok {
		return negate(b.rowAgainst("=", row, b.queryIn(e.Query, sc), false, sc, e.Pos()), e.Not)
	}
	x := b.expr(e.X, sc)
	node := b.queryIn(e.Query, sc)
	if b.depends(node) || b.err == nil && isRow(x) { // there are no arrays of rows
		return negate(b.anyValue("=", x, node, false, sc, e.Pos()), e.Not)
	}
	array := b.arrayQuery(node, e.Query.Pos(), "=")
	if b.err != nil {
		return boolConst(true)
	}
	if p, ok := x.(*pathRef); ok {
		x = b.resolve(p, beside("=", array.Type().Elem()))
	}
	return negate(b.anyArray("=", x, array, ast.Any, false, e.Pos()), e.Not)
}

// bindWhere binds WHERE. Conditions EXISTS (query) and x IN (query) that must hold are joins
// with the query, which look each row up.
func (s *selection) bindWhere() {
	b := s.b
	var conds []expr.Expr
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
		switch x := inner.(type) {
		case *ast.In:
			if x.Query != nil {
				s.whereIn(x, x.Not != not)
				continue
			}
		case *ast.Exists:
			if cond := s.whereExists(x, not); cond != nil {
				conds = append(conds, cond)
			}
			continue
		}
		rest = append(rest, c)
	}
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
	node := b.queryIn(e.Query, sc)
	if b.sameWidth(len(xs), node, e.Query.Pos()); b.err != nil {
		return
	}
	a := s.attach(plan.SemiJoin, node, e.Pos())
	var conds []expr.Expr
	for i, x := range xs {
		conds = append(conds, b.operator("=", x, a.column(i), e.Pos()))
	}
	a.on = allOf(conds)
	if not {
		a.kind, a.on = plan.AntiJoin, &expr.IsTruth{E: a.on, Want: expr.False, Not: true}
	}
}

// whereExists joins FROM with the query of [NOT] EXISTS (query) if that reads it; if not, it
// is a condition.
func (s *selection) whereExists(e *ast.Exists, not bool) expr.Expr {
	node := s.b.queryIn(e.Query, s.sc.in("WHERE", nil))
	if s.b.err != nil {
		return nil
	}
	if !s.b.depends(node) {
		return negate(s.b.exists(node), not)
	}
	kind := plan.SemiJoin
	if not {
		kind = plan.AntiJoin
	}
	s.attach(kind, anyRows(node), e.Pos())
	return nil
}
