package plan

import "github.com/prickledb/prickle/engine/expr"

// PushSemiJoins moves semi and anti joins below inner joins, to the one input whose columns they
// read, where this has no more rows than what the joins make of it: a condition then costs less,
// and leaves less to join. The result gives the same rows. Like Arrange it is for the snapshot that
// is read.
func PushSemiJoins(n Node, s Statistics) Node {
	return everywhere(n, func(n Node) Node {
		if j, ok := n.(*Join); ok && j.Kind.LeftOnly() && len(j.LeftKeys) > 0 && !expr.Volatile(j.On) {
			return pushSemi(j, s)
		}
		return n
	})
}

// pushSemi moves one semi or anti join down, as far as it goes.
func pushSemi(j *Join, s Statistics) Node {
	in, ok := j.Left.(*Join)
	if !ok || in.Kind != InnerJoin || expr.Volatile(in.On) {
		return j
	}
	left, width := len(in.Left.Schema()), len(in.Schema())
	read := sides(0)
	note := func(e expr.Expr) {
		expr.Walk(e, func(x expr.Expr) bool {
			if c, ok := x.(*expr.Column); ok && c.Index < width {
				read |= sidesOf(c, left)
			}
			return true
		})
	}
	for _, k := range j.LeftKeys {
		note(k)
	}
	if j.On != nil {
		note(j.On)
	}
	below, from, to := in.Left, 0, left
	switch read {
	case leftSide:
	case rightSide:
		below, from, to = in.Right, left, width
	default:
		return j
	}
	if s.Rows(below) > s.Rows(in) {
		return j
	}
	// The columns of the side come first, and those of what is asked behind them.
	moved := func(e expr.Expr) expr.Expr {
		return expr.Map(e, func(x expr.Expr) expr.Expr {
			c, ok := x.(*expr.Column)
			if !ok {
				return x
			}
			by := -from
			if c.Index >= width {
				by = to - from - width
			}
			return shift(c, by)
		})
	}
	semi := *j
	semi.Left = below
	semi.LeftKeys = mapper(moved).list(j.LeftKeys)
	semi.On = mapper(moved).one(j.On)
	out := *in
	if read == leftSide {
		out.Left = pushSemi(&semi, s)
	} else {
		out.Right = pushSemi(&semi, s)
	}
	return &out
}
