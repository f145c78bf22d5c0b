package bind

import (
	"slices"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/sql/ast"
	"github.com/prickledb/prickle/storage/vec"
)

// setOp binds UNION, INTERSECT and EXCEPT. What one begins with may be a thousand others: they are
// taken one after the other, and those of a kind that follow each other are put together in one node.
func (b *binder) setOp(q *ast.SetOp) plan.Node {
	chain := []*ast.SetOp{q}
	for {
		left, ok := chain[len(chain)-1].Left.(*ast.SetOp)
		if !ok || !plainTail(left.Tail()) {
			break
		}
		chain = append(chain, left)
	}
	last := chain[len(chain)-1]
	left, untyped := b.setOperand(last, last.Left)
	united := &plan.Union{} // of the chain so far
	sides := []plan.Node{left}
	for i, s := range slices.Backward(chain) {
		right, rightUntyped := b.setOperand(s, s.Right)
		if b.err != nil {
			return left
		}
		if s.Op != last.Op || s.All != last.All {
			sides = []plan.Node{left}
		}
		last = s
		if s.Op == ast.Union {
			if left, right = b.matched(s, left, right, untyped, rightUntyped); b.err == nil {
				left, united = unite(left, right, united, s.All)
			}
		} else {
			sides = b.setSide(s, sides, right, untyped, rightUntyped)
			if b.err == nil && (i == 0 || chain[i-1].Op != s.Op || chain[i-1].All != s.All) {
				left = b.compared(s, sides)
			}
		}
		if untyped = nil; b.err != nil {
			return left
		}
	}
	return b.tail(left, &q.QueryTail, q.Pos())
}

// setSide adds a side to those that are going to be compared, of equal types. Where those before it have to take
// other types, in which more values may be equal, they are compared first.
func (b *binder) setSide(q *ast.SetOp, sides []plan.Node, right plan.Node, ll, rl map[int]expr.Expr) []plan.Node {
	left, right := b.matched(q, sides[0], right, ll, rl)
	switch {
	case b.err != nil:
		return sides
	case len(sides) == 1 || left == sides[0]:
		sides[0] = left
	default:
		sides = []plan.Node{left.WithInputs([]plan.Node{b.compared(q, sides)})}
	}
	return append(sides, right)
}

// setOperand is one side of a set operation, and what has no type yet in it.
func (b *binder) setOperand(q *ast.SetOp, of ast.Query) (plan.Node, map[int]expr.Expr) {
	if q.ByName {
		return b.query(of), nil
	}
	return b.operand(of)
}

// unite puts rows after those of a union, to which they are added if it is open, as nobody
// else has it. It gives the union that is open then.
func unite(left, right plan.Node, open *plan.Union, all bool) (plan.Node, *plan.Union) {
	if d, ok := left.(*plan.Distinct); ok && d.On == 0 && !all {
		left = d.Input
	}
	switch u, ok := left.(*plan.Union); {
	case !ok:
		open = &plan.Union{Of: []plan.Node{left}}
	case u != open:
		open = &plan.Union{Of: slices.Clone(u.Of)}
	}
	open.Of = append(open.Of, right)
	if all {
		return open, open
	}
	return &plan.Distinct{Input: open}, open
}

// matched gives the two sides of a set operation columns of equal types.
func (b *binder) matched(q *ast.SetOp, left, right plan.Node, ll, rl map[int]expr.Expr) (plan.Node, plan.Node) {
	word := [...]string{"UNION", "INTERSECT", "EXCEPT"}[q.Op]
	if q.ByName {
		left, right = byName(left, right)
	}
	if len(left.Schema()) != len(right.Schema()) {
		b.fail(pgerr.New(pgerr.SyntaxError, "each %s query must have the same number of columns", word), firstColumn(q.Right))
		return left, right
	}
	return b.alike(word, q, left, right, ll, rl)
}

// alike gives the columns of two queries common types; ll and rl are those that have none yet.
func (b *binder) alike(word string, q *ast.SetOp, left, right plan.Node, ll, rl map[int]expr.Expr) (plan.Node, plan.Node) {
	ls, rs := left.Schema(), right.Schema()
	lp, rp := &plan.Project{Input: left}, &plan.Project{Input: right}
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
	return unlessPassed(lp), unlessPassed(rp)
}

// unlessPassed is a projection, or its input if that has the same columns.
func unlessPassed(p *plan.Project) plan.Node {
	for i, e := range p.Exprs {
		if c, ok := e.(*expr.Column); !ok || c.Index != i {
			return p
		}
	}
	return p.Input
}

// itemPos is where the i-th column of a query stands.
func itemPos(q ast.Query, i int) ast.Pos {
	if s, ok := q.(*ast.Select); ok && i < len(s.Items) {
		return s.Items[i].Pos()
	}
	return q.Pos()
}

// compared is INTERSECT and EXCEPT of two sides or more: the rows of all are counted, by side, and
// the counts say how often each comes out.
func (b *binder) compared(q *ast.SetOp, sides []plan.Node) plan.Node {
	if q.Op == ast.Intersect && len(sides) > 2 {
		return b.commonRows(q, sides)
	}
	schema := sides[0].Schema()
	n := len(schema)
	a := &plan.Aggregate{Input: marked(sides, "left", func(i int) expr.Expr { return boolConst(i == 0) })}
	a.Keys, a.Names = columnsOf(schema)
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

// commonRows is INTERSECT of many sides: the rows of each are counted, and those come out that all have,
// with ALL as often as the one that has them least.
func (b *binder) commonRows(q *ast.SetOp, sides []plan.Node) plan.Node {
	schema := sides[0].Schema()
	n := len(schema)
	int8, pos := vec.T(vec.Int8), q.Pos()
	times := &plan.Aggregate{Input: marked(sides, "side", func(i int) expr.Expr { return intConst(int64(i), int8) })}
	times.Keys, times.Names = columnsOf(schema)
	times.Keys = append(times.Keys, &expr.Column{Index: n, T: int8, Name: "side"})
	times.Names = append(times.Names, "side", "times")
	times.Aggs = []plan.AggCall{{Name: "count", T: int8}}
	least := &plan.Aggregate{Input: times}
	least.Keys, least.Names = columnsOf(schema)
	least.Aggs = []plan.AggCall{{Name: "count", T: int8}, {Name: "min", Args: []expr.Expr{&expr.Column{Index: n + 1, T: int8, Name: "times"}}, T: int8}}
	least.Names = append(least.Names, "sides", "times")
	all := &expr.Column{Index: n, T: int8, Name: "sides"}
	var node plan.Node = &plan.Filter{Input: least, Cond: b.call("=", []expr.Expr{all, intConst(int64(len(sides)), int8)}, pos)}
	if q.All {
		node = &plan.Repeat{Input: node, Times: &expr.Column{Index: n + 1, T: int8, Name: "times"}}
	}
	return firstColumns(node, n)
}

// marked is the rows of all sides, with a column that says of which each is.
func marked(sides []plan.Node, name string, mark func(i int) expr.Expr) *plan.Union {
	schema := sides[0].Schema()
	u := &plan.Union{}
	for i, side := range sides {
		p := &plan.Project{Input: side}
		p.Exprs, p.Names = columnsOf(schema)
		p.Exprs, p.Names = append(p.Exprs, mark(i)), append(p.Names, name)
		u.Of = append(u.Of, p)
	}
	return u
}

// columnsOf is the columns of a schema, and their names.
func columnsOf(schema vec.Schema) (columns []expr.Expr, names []string) {
	for i, f := range schema {
		columns, names = append(columns, &expr.Column{Index: i, T: f.Type, Name: f.Name}), append(names, f.Name)
	}
	return columns, names
}

// firstColumn is where a query says what its first column is.
func firstColumn(q ast.Query) ast.Pos {
	switch q := q.(type) {
	case *ast.SetOp:
		return firstColumn(q.Left)
	case *ast.Select:
		if len(q.Items) > 0 {
			return q.Items[0].Pos()
		}
	case *ast.Values:
		return q.Rows[0][0].Pos()
	}
	return q.Pos()
}
