package bind

import (
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/sql/ast"
	"github.com/prickledb/prickle/storage/vec"
)

// ctePhase is where the binding of a query of WITH stands.
type ctePhase uint8

const (
	plainWith     ctePhase = iota
	recursiveWith          // it may be recursive, and is not being bound
	inBase                 // its first part is being bound, or all of it, if it is no UNION
	inStep                 // its second part is
)

// recursion is what the second part of a recursive query sees of the query.
type recursion struct {
	slot    int
	columns vec.Schema
	uses    int
}

// recursive binds a query of WITH RECURSIVE. If it does not read itself, it is like any other.
func (b *binder) recursive(c *cte) plan.Node {
	name := c.ast.Name
	defer func(phase ctePhase, step *recursion) { c.phase, c.step = phase, step }(c.phase, c.step)
	c.phase = inBase
	b.recursing = append(b.recursing, c)
	defer func() { b.recursing = b.recursing[:len(b.recursing)-1] }()
	outer, before := b.outer, b.before
	b.outer, b.before = c.outer, nil
	defer func() { b.outer, b.before = outer, before }()
	q, ok := c.ast.Query.(*ast.SetOp)
	if !ok || q.Op != ast.Union || q.ByName {
		return b.query(c.ast.Query)
	}
	if !b.enter(q.Pos()) {
		return &plan.Values{}
	}
	defer b.leave()
	if q.With != nil {
		defer b.with(q.With)()
	}
	base := b.query(q.Left)
	if b.err != nil {
		return base
	}
	b.slots--
	c.phase, c.step = inStep, &recursion{slot: b.slots}
	for i, f := range base.Schema() {
		if i < len(c.ast.Columns) {
			f.Name = c.ast.Columns[i].Name
		}
		c.step.columns = append(c.step.columns, f)
	}
	uses := 0
	b.findItself(q.Right, c, "", &uses)
	step, literal := b.operand(q.Right)
	switch {
	case b.err != nil:
		return base
	case len(base.Schema()) != len(step.Schema()):
		b.fail(pgerr.New(pgerr.SyntaxError, "each UNION query must have the same number of columns"), firstColumn(q.Right))
		return base
	}
	left, right := b.alike("UNION", q, base, step, untyped(q.Left, base), literal)
	if b.err != nil {
		return base
	}
	if c.step.uses == 0 {
		var node plan.Node = &plan.Union{Of: []plan.Node{left, right}}
		if !q.All {
			node = &plan.Distinct{Input: node}
		}
		return b.tail(node, &q.QueryTail, q.Pos())
	}
	b.checkStep(c, q, left.Schema())
	return &plan.Recursive{Base: left, Step: right, Slot: c.step.slot, All: q.All, Name: name.Name, Columns: base.Schema()}
}

// useItself is a query of WITH RECURSIVE in its own definition.
func (b *binder) useItself(c *cte) *relation {
	name, none := c.ast.Name, &relation{node: &plan.Values{}}
	if b.recursing[len(b.recursing)-1] != c {
		b.fail(pgerr.New(pgerr.FeatureNotSupported, "mutual recursion between WITH items is not implemented"), name.Pos())
		return none
	}
	if c.phase == inBase {
		if q, ok := c.ast.Query.(*ast.SetOp); ok && q.Op == ast.Union && !q.ByName {
			b.fail(pgerr.New(pgerr.InvalidRecursion, `recursive reference to query "%s" must not appear within its non-recursive term`, name.Name), name.Pos())
		} else {
			b.fail(pgerr.New(pgerr.InvalidRecursion, `recursive query "%s" does not have the form non-recursive-term UNION [ALL] recursive-term`, name.Name), name.Pos())
		}
		return none
	}
	c.step.uses++
	return b.derived(&plan.Spool{Slot: c.step.slot, Name: name.Name, Columns: c.step.columns}, name.Name, nil)
}

// checkStep refuses a second part that would not make the rows of the first.
func (b *binder) checkStep(c *cte, q *ast.SetOp, overall vec.Schema) {
	name := c.ast.Name.Name
	for i, f := range c.step.columns {
		if t := overall[i].Type; t != f.Type {
			b.fail(pgerr.New(pgerr.DatatypeMismatch, `recursive query "%s" column %d has type %s in non-recursive term but type %s overall`, name, i+1, f.Type, t).
				WithHint("Cast the output of the non-recursive term to the correct type."), itemPos(q.Left, i))
			return
		}
	}
	switch {
	case len(q.OrderBy) > 0:
		b.unsupported("ORDER BY in a recursive query", q.OrderBy[0].Expr.Pos())
	case q.Limit != nil:
		b.unsupported("LIMIT in a recursive query", q.Limit.Pos())
	case q.Offset != nil:
		b.unsupported("OFFSET in a recursive query", q.Offset.Pos())
	}
}

// itself says whether a recursive query stands in a FROM by its own name.
func (rel *relation) itself() bool {
	switch {
	case rel == nil:
		return false
	case rel.join != nil:
		return rel.join.left.itself() || rel.join.right.itself()
	}
	s, ok := rel.node.(*plan.Spool)
	return ok && s.Slot < 0
}

func (b *binder) withinStep(c *cte, what string, pos ast.Pos) {
	b.fail(pgerr.New(pgerr.InvalidRecursion, `recursive reference to query "%s" must not appear within %s`, c.ast.Name.Name, what), pos)
}

// readsSlot says whether a plan reads the rows that a slot has.
func readsSlot(n plan.Node, slot int) bool {
	if s, ok := n.(*plan.Spool); ok && s.Slot == slot {
		return true
	}
	for _, in := range n.Inputs() {
		if readsSlot(in, slot) {
			return true
		}
	}
	return false
}

// findItself counts the names of a recursive query. It refuses them where more rows of the
// query could mean fewer rows of the step: then nobody could say what the query is. Within
// is what to call such a place that n is in.
func (b *binder) findItself(n ast.Node, c *cte, within string, uses *int) {
	ast.Walk(n, func(x ast.Node) bool {
		if b.err != nil {
			return false
		}
		switch x := x.(type) {
		case ast.Expr:
			if operand, q := innerQuery(x); q != nil {
				b.findItself(operand, c, within, uses)
				b.findItself(q, c, "a subquery", uses)
				return false
			}
		case ast.Query:
			if shadows(x.Tail().With, c) {
				return false
			}
			if s, ok := x.(*ast.SetOp); ok && s.Op != ast.Union {
				word := "INTERSECT"
				if s.Op == ast.Except {
					word = "EXCEPT"
				}
				left := within
				if s.Op == ast.Intersect {
					left = word
				}
				b.findItself(s.Left, c, left, uses)
				b.findItself(s.Right, c, word, uses)
				return false
			}
		case *ast.Join:
			left, right := within, within
			const outer = "an outer join"
			switch x.Kind {
			case ast.JoinLeft, ast.JoinAsofLeft:
				right = outer
			case ast.JoinRight:
				left = outer
			case ast.JoinFull:
				left, right = outer, outer
			case ast.JoinSemi, ast.JoinAnti:
				right = "a semi or anti join"
			}
			b.findItself(x.Left, c, left, uses)
			b.findItself(x.Right, c, right, uses)
			b.findItself(x.On, c, within, uses)
			return false
		case *ast.TableName:
			if len(x.Name) != 1 || x.Name[0].Name != c.ast.Name.Name {
				break
			}
			if *uses++; within != "" {
				b.withinStep(c, within, x.Pos())
			} else if *uses > 1 {
				b.fail(pgerr.New(pgerr.InvalidRecursion, `recursive reference to query "%s" must not appear more than once`, c.ast.Name.Name), x.Pos())
			}
		}
		return true
	})
}

// shadows says whether a WITH has another query of the name.
func shadows(w *ast.With, c *cte) bool {
	if w == nil {
		return false
	}
	for i := range w.CTEs {
		if w.CTEs[i].Name.Name == c.ast.Name.Name {
			return true
		}
	}
	return false
}

// innerQuery is the query inside an expression, nil for none, and what it is compared with.
func innerQuery(x ast.Expr) (operand ast.Expr, q ast.Query) {
	switch x := x.(type) {
	case *ast.Subquery:
		return nil, x.Query
	case *ast.Exists:
		return nil, x.Query
	case *ast.ArrayQuery:
		return nil, x.Query
	case *ast.In:
		return x.X, x.Query
	case *ast.Quantified:
		return x.X, x.Query
	}
	return nil, nil
}
