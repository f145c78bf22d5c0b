package bind

import (
	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/sql/ast"
	"github.com/prickledb/prickle/storage/vec"
)

// cteScope is the queries of WITH that a name may mean, the latest first.
type cteScope struct {
	cte   *cte
	outer *cteScope
}

// cte is one query of WITH.
type cte struct {
	ast   *ast.CTE
	scope *cteScope // what its query sees
	uses  int
	// kept says that its rows are computed once, into a slot.
	kept   bool
	slot   int
	schema vec.Schema
}

// with makes the queries of WITH known, until the function that it gives is called.
func (b *binder) with(w *ast.With) func() {
	outer := b.ctes
	if w.Recursive {
		b.unsupported("WITH RECURSIVE", w.Pos())
	}
	seen := map[string]bool{}
	var list []*cte
	for i := range w.CTEs {
		c := &w.CTEs[i]
		if seen[c.Name.Name] {
			b.fail(pgerr.New(pgerr.DuplicateAlias, `WITH query name "%s" specified more than once`, c.Name.Name), c.Name.Pos())
		}
		seen[c.Name.Name] = true
		x := &cte{ast: c, scope: b.ctes, kept: c.Materialized == ast.MaterializedAlways}
		list = append(list, x)
		b.ctes = &cteScope{x, b.ctes}
	}
	return func() {
		for _, c := range list {
			if c.uses == 0 && b.err == nil {
				// It does not run, but it must be right.
				subs := len(b.subs)
				b.bindCTE(c)
				b.subs = b.subs[:subs]
			}
		}
		b.ctes = outer
	}
}

// cteNamed is the query of WITH that a name means, as a relation; nil if there is none.
func (b *binder) cteNamed(name string) *relation {
	for s := b.ctes; s != nil; s = s.outer {
		if s.cte.ast.Name.Name == name {
			return b.useCTE(s.cte)
		}
	}
	return nil
}

// useCTE gives a query of WITH where it is named. It is bound anew each time, as if it
// stood there, unless it has to run once: because WITH says so, or because it would not
// give the same rows again.
func (b *binder) useCTE(c *cte) *relation {
	c.uses++
	name := c.ast.Name.Name
	if c.schema == nil {
		node := b.bindCTE(c)
		if b.err != nil {
			return &relation{node: &plan.Values{}}
		}
		if !c.kept && c.ast.Materialized != ast.MaterializedNever && plan.Volatile(node) {
			c.kept = true
		}
		if !c.kept {
			return b.namedCTE(c, b.derived(node, name, nil))
		}
		b.subs = append(b.subs, plan.Sub{Node: node, Kind: plan.TableSub})
		c.slot, c.schema = len(b.subs)-1, node.Schema()
	}
	return b.namedCTE(c, b.derived(&plan.Spool{Slot: c.slot, Name: name, Columns: c.schema}, name, nil))
}

func (b *binder) bindCTE(c *cte) plan.Node {
	inside := b.ctes
	b.ctes = c.scope
	defer func() { b.ctes = inside }()
	return b.query(c.ast.Query)
}

// namedCTE gives the columns the names that WITH has for them.
func (b *binder) namedCTE(c *cte, rel *relation) *relation {
	if n := len(c.ast.Columns); n > len(rel.fields) && b.err == nil {
		b.fail(pgerr.New(pgerr.InvalidColumnReference, `WITH query "%s" has %d columns available but %d columns specified`,
			c.ast.Name.Name, len(rel.fields), n), c.ast.Name.Pos())
		return rel
	}
	for i, id := range c.ast.Columns {
		rel.fields[i].Name = id.Name
	}
	return rel
}

// setOp binds UNION, INTERSECT and EXCEPT.
func (b *binder) setOp(q *ast.SetOp) plan.Node {
	word := [...]string{"UNION", "INTERSECT", "EXCEPT"}[q.Op]
	if q.ByName {
		b.unsupported(word+" BY NAME", q.Pos())
	}
	left := b.query(q.Left)
	right := b.query(q.Right)
	if b.err != nil {
		return left
	}
	if len(left.Schema()) != len(right.Schema()) {
		b.fail(pgerr.New(pgerr.SyntaxError, "each %s query must have the same number of columns", word), q.Right.Pos())
		return left
	}
	left, right = b.alike(word, q, left, right)
	if b.err != nil {
		return left
	}
	var node plan.Node
	switch {
	case q.Op == ast.Union:
		all := &plan.Union{Of: []plan.Node{left, right}}
		if u, ok := left.(*plan.Union); ok {
			all.Of = append(u.Of[:len(u.Of):len(u.Of)], right)
		}
		node = all
		if !q.All {
			node = &plan.Distinct{Input: node}
		}
	default:
		node = b.compared(q, left, right)
	}
	return b.tail(node, &q.QueryTail, q.Pos())
}

// alike gives the columns of two queries common types.
func (b *binder) alike(word string, q *ast.SetOp, left, right plan.Node) (plan.Node, plan.Node) {
	ls, rs := left.Schema(), right.Schema()
	lp, rp := &plan.Project{Input: left}, &plan.Project{Input: right}
	ll, rl := untyped(q.Left, left), untyped(q.Right, right)
	for i := range ls {
		var l, r expr.Expr = &expr.Column{Index: i, T: ls[i].Type, Name: ls[i].Name}, &expr.Column{Index: i, T: rs[i].Type, Name: rs[i].Name}
		if x := ll[i]; x != nil {
			l = x
		}
		if x := rl[i]; x != nil {
			r = x
		}
		both, _ := b.common(word, []expr.Expr{l, r}, []ast.Pos{itemPos(q.Left, i), itemPos(q.Right, i)})
		lp.Exprs, rp.Exprs = append(lp.Exprs, both[0]), append(rp.Exprs, both[1])
		lp.Names, rp.Names = append(lp.Names, ls[i].Name), append(rp.Names, ls[i].Name)
	}
	if passes(lp) {
		lp.Input, left = nil, lp.Input
	} else {
		left = lp
	}
	if passes(rp) {
		right = rp.Input
	} else {
		right = rp
	}
	return left, right
}

// passes says whether a projection passes its input's columns on as they are.
func passes(p *plan.Project) bool {
	for i, e := range p.Exprs {
		if c, ok := e.(*expr.Column); !ok || c.Index != i {
			return false
		}
	}
	return true
}

// itemPos is where the i-th column of a query stands.
func itemPos(q ast.Query, i int) ast.Pos {
	if s, ok := q.(*ast.Select); ok && i < len(s.Items) {
		return s.Items[i].Pos()
	}
	return q.Pos()
}

// compared is INTERSECT and EXCEPT: the rows of both sides are counted, by side, and the
// counts say how often each comes out.
func (b *binder) compared(q *ast.SetOp, left, right plan.Node) plan.Node {
	schema := left.Schema()
	n := len(schema)
	side := func(in plan.Node, isLeft bool) plan.Node {
		p := &plan.Project{Input: in}
		for i, f := range schema {
			p.Exprs, p.Names = append(p.Exprs, &expr.Column{Index: i, T: f.Type, Name: f.Name}), append(p.Names, f.Name)
		}
		p.Exprs, p.Names = append(p.Exprs, boolConst(isLeft)), append(p.Names, "left")
		return p
	}
	a := &plan.Aggregate{Input: &plan.Union{Of: []plan.Node{side(left, true), side(right, false)}}}
	for i, f := range schema {
		a.Keys, a.Names = append(a.Keys, &expr.Column{Index: i, T: f.Type, Name: f.Name}), append(a.Names, f.Name)
	}
	isLeft := &expr.Column{Index: n, T: vec.T(vec.Bool), Name: "left"}
	count := func(of expr.Expr, name string) {
		a.Aggs = append(a.Aggs, plan.AggCall{Name: "count", Filter: of, T: vec.T(vec.Int8)})
		a.Names = append(a.Names, name)
	}
	count(isLeft, "left")
	count(&expr.Not{E: isLeft}, "right")
	l, r := &expr.Column{Index: n, T: vec.T(vec.Int8), Name: "left"}, &expr.Column{Index: n + 1, T: vec.T(vec.Int8), Name: "right"}
	zero := intConst(0, vec.T(vec.Int8))
	pos := q.Pos()
	var node plan.Node
	switch {
	case q.All && q.Op == ast.Intersect:
		node = &plan.Repeat{Input: a, Times: &expr.Greatest{Args: []expr.Expr{l, r}, T: vec.T(vec.Int8), Least: true}}
	case q.All:
		node = &plan.Repeat{Input: a, Times: b.call("-", []expr.Expr{l, r}, pos)}
	default:
		second := ">"
		if q.Op == ast.Except {
			second = "="
		}
		node = &plan.Filter{Input: a, Cond: &expr.And{Args: []expr.Expr{
			b.call(">", []expr.Expr{l, zero}, pos), b.call(second, []expr.Expr{r, zero}, pos)}}}
	}
	return firstColumns(node, n)
}
