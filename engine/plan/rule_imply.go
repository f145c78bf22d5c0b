package plan

import "github.com/prickledb/prickle/engine/expr"

// implyConditions gives each side of a join what an OR over both sides implies of it alone:
// (l = 1 AND r = 2) OR (l = 3 AND r = 4) implies l = 1 OR l = 3. The OR stays.
func implyConditions(n Node) Node {
	return everywhere(n, func(n Node) Node {
		j, ok := n.(*Join)
		if !ok || j.On == nil || expr.Volatile(j.On) {
			return n
		}
		left := len(j.Left.Schema())
		var toLeft, toRight []expr.Expr
		for _, c := range Conjuncts(j.On) {
			or, ok := c.(*expr.Or)
			if !ok {
				continue
			}
			if j.Kind == InnerJoin || j.Kind == SemiJoin || j.Kind == RightJoin {
				if c := implied(or, left, leftSide); c != nil {
					toLeft = append(toLeft, c)
				}
			}
			if j.Kind == InnerJoin || j.Kind == SemiJoin || j.Kind == AntiJoin || j.Kind == LeftJoin {
				if c := implied(or, left, rightSide); c != nil {
					toRight = append(toRight, shift(c, -left))
				}
			}
		}
		if toLeft == nil && toRight == nil {
			return n
		}
		out := *j
		out.Left, out.Right = filtered(j.Left, toLeft), filtered(j.Right, toRight)
		return &out
	})
}

// implied is what an OR says of one side of a join; nil if a branch says nothing of it.
func implied(or *expr.Or, left int, side sides) expr.Expr {
	branches := make([]expr.Expr, len(or.Args))
	for i, a := range or.Args {
		var own []expr.Expr
		for _, c := range Conjuncts(a) {
			if sidesOf(c, left) == side {
				own = append(own, c)
			}
		}
		if len(own) == 0 {
			return nil
		}
		branches[i] = allOf(own)
	}
	return &expr.Or{Args: branches}
}
