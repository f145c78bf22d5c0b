package plan

import "github.com/prickledb/prickle/engine/expr"

// pruneColumns removes columns that nothing reads, down to the scans.
func pruneColumns(n Node) Node {
	need := make([]bool, len(n.Schema()))
	for i := range need {
		need[i] = true
	}
	out, _ := prune(n, need)
	return out
}

// prune is the node with at least the needed columns, in the same order, and where each
// old column is now; -1 if it is gone.
func prune(n Node, need []bool) (Node, []int) {
	switch n := n.(type) {
	case *Scan:
		c := *n
		c.Columns = nil
		at := make([]int, len(n.Columns))
		for i, col := range n.Columns {
			at[i] = -1
			if need[i] {
				at[i] = len(c.Columns)
				c.Columns = append(c.Columns, col)
			}
		}
		return &c, at
	case *Read:
		return n.prune(need)
	case *Filter, *Sort, *TopN, *Limit:
		return pruneThrough(n, need)
	case *Distinct:
		all := append([]bool(nil), need...)
		for i := range all {
			if n.On == 0 || i < n.On {
				all[i] = true
			}
		}
		return pruneThrough(n, all)
	case *Repeat:
		return pruneThrough(n, need)
	case *Join:
		return pruneJoin(n, need)
	case *Union:
		return pruneUnion(n, need)
	case *Window:
		return n.prune(need)
	case *Expand:
		return n.prune(need)
	case *Setup:
		c := &Setup{}
		for _, s := range n.Subs {
			c.Subs = append(c.Subs, Sub{pruneColumns(s.Node), s.Kind})
		}
		var at []int
		c.Input, at = prune(n.Input, need)
		return c, at
	case *Combine:
		return &Combine{n.Op, pruneColumns(n.Left), pruneColumns(n.Right)}, same(1)
	case *Recursive:
		c := *n
		c.Base, c.Step = pruneColumns(n.Base), pruneColumns(n.Step)
		return &c, same(len(n.Columns))
	case *Funnel:
		c := *n
		c.Unread = unread(need)
		return pruneInput(&c), same(len(need))
	case *Paths:
		c := *n
		c.Unread = unread(need)
		return pruneInput(&c), same(len(need))
	case *PersonsOf:
		return &PersonsOf{pruneColumns(n.Input)}, same(1)
	case *Project:
		c := &Project{Input: n.Input}
		at := make([]int, len(n.Exprs))
		for i, e := range n.Exprs {
			at[i] = -1
			if need[i] || expr.Volatile(e) { // it may do something, as nextval does
				at[i] = len(c.Exprs)
				c.Exprs, c.Names = append(c.Exprs, e), append(c.Names, n.Names[i])
			}
		}
		return pruneInput(c), at
	case *Aggregate:
		c := &Aggregate{Input: n.Input, Keys: n.Keys, Names: append([]string(nil), n.Names[:len(n.Keys)]...)}
		at := make([]int, len(n.Names))
		for i := range at {
			at[i] = i
			if i < len(n.Keys) {
				continue
			}
			at[i] = -1
			if need[i] {
				at[i] = len(c.Names)
				c.Aggs, c.Names = append(c.Aggs, n.Aggs[i-len(n.Keys)]), append(c.Names, n.Names[i])
			}
		}
		return pruneInput(c), at
	}
	if len(n.Inputs()) == 1 {
		return pruneInput(n), same(len(n.Schema()))
	}
	return n, same(len(n.Schema()))
}

// pruneJoin prunes both sides of a join.
func pruneJoin(n *Join, need []bool) (Node, []int) {
	left, right := len(n.Left.Schema()), len(n.Right.Schema())
	all := make([]bool, left+right)
	copy(all, need)
	for i := range n.LeftKeys {
		markColumns(n.LeftKeys[i], all[:left])
		markColumns(n.RightKeys[i], all[left:])
	}
	if n.On != nil {
		markColumns(n.On, all)
	}
	c := *n
	var atLeft, atRight []int
	c.Left, atLeft = prune(n.Left, all[:left])
	c.Right, atRight = prune(n.Right, all[left:])
	at := append([]int(nil), atLeft...)
	for _, a := range atRight {
		if a >= 0 {
			a += len(c.Left.Schema())
		}
		at = append(at, a)
	}
	c.LeftKeys, c.RightKeys = mapper(func(e expr.Expr) expr.Expr { return movedTo(e, atLeft) }).list(n.LeftKeys),
		mapper(func(e expr.Expr) expr.Expr { return movedTo(e, atRight) }).list(n.RightKeys)
	if n.On != nil {
		c.On = movedTo(n.On, at)
	}
	if n.Kind.LeftOnly() {
		at = atLeft
	}
	return &c, at
}

// pruneUnion prunes the inputs of a union alike.
func pruneUnion(n *Union, need []bool) (Node, []int) {
	at := make([]int, len(need))
	count := 0
	for i := range need {
		at[i] = -1
		if need[i] {
			at[i] = count
			count++
		}
	}
	c := &Union{}
	for _, x := range n.Of {
		schema := x.Schema()
		in, where := prune(x, need)
		p := &Project{Input: in}
		for i, f := range schema {
			if need[i] {
				p.Exprs = append(p.Exprs, &expr.Column{Index: where[i], T: f.Type, Name: f.Name})
				p.Names = append(p.Names, f.Name)
			}
		}
		if changesNothing(p) {
			c.Of = append(c.Of, in)
		} else {
			c.Of = append(c.Of, p)
		}
	}
	return c, at
}

func same(n int) []int {
	at := make([]int, n)
	for i := range at {
		at[i] = i
	}
	return at
}

// unread is which columns nobody reads.
func unread(need []bool) []bool {
	out := make([]bool, len(need))
	for i := range need {
		out[i] = !need[i]
	}
	return out
}

// pruneThrough prunes below a node that passes its input's columns on.
func pruneThrough(n Node, need []bool) (Node, []int) {
	need = append([]bool(nil), need...)
	mark(n, need)
	in, at := prune(n.Inputs()[0], need)
	return moveColumns(n, at).WithInputs([]Node{in}), at
}

// pruneInput prunes below a node that makes its own columns.
func pruneInput(n Node) Node {
	need := make([]bool, len(n.Inputs()[0].Schema()))
	mark(n, need)
	in, at := prune(n.Inputs()[0], need)
	return moveColumns(n, at).WithInputs([]Node{in})
}

// mark notes the input's columns that a node's expressions read.
func mark(n Node, need []bool) {
	eachExpr(n, func(e expr.Expr) { markColumns(e, need) })
}

func markColumns(e expr.Expr, need []bool) {
	expr.Walk(e, func(x expr.Expr) bool {
		if c, ok := x.(*expr.Column); ok {
			need[c.Index] = true
		}
		return true
	})
}

// moveColumns rewrites a node's expressions for columns that have moved.
func moveColumns(n Node, at []int) Node {
	moved := false
	for i := range at {
		moved = moved || at[i] != i
	}
	if !moved {
		return n
	}
	return mapExprs(n, func(e expr.Expr) expr.Expr { return movedTo(e, at) })
}

// movedTo is e over columns that have moved.
func movedTo(e expr.Expr, at []int) expr.Expr {
	return expr.Map(e, func(x expr.Expr) expr.Expr {
		if c, ok := x.(*expr.Column); ok && at[c.Index] != c.Index {
			return &expr.Column{Index: at[c.Index], T: c.T, Name: c.Name}
		}
		return x
	})
}
