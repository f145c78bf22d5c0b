package plan

import (
	"slices"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/storage/vec"
)

// sides is which inputs of a join an expression reads.
type sides uint8

const (
	leftSide sides = 1 << iota
	rightSide
)

func sidesOf(e expr.Expr, left int) sides {
	s := sides(0)
	expr.Walk(e, func(x expr.Expr) bool {
		if c, ok := x.(*expr.Column); ok {
			if c.Index < left {
				s |= leftSide
			} else {
				s |= rightSide
			}
		}
		return true
	})
	return s
}

// shift moves the columns of e by so many places.
func shift(e expr.Expr, by int) expr.Expr {
	if by == 0 {
		return e
	}
	return expr.Map(e, func(x expr.Expr) expr.Expr {
		if c, ok := x.(*expr.Column); ok {
			return &expr.Column{Index: c.Index + by, T: c.T, Name: c.Name}
		}
		return x
	})
}

// Conjuncts are the conditions that all hold when cond does.
func Conjuncts(cond expr.Expr) []expr.Expr {
	switch e := cond.(type) {
	case nil:
		return nil
	case *expr.And:
		var out []expr.Expr
		for _, a := range e.Args {
			out = append(out, Conjuncts(a)...)
		}
		return out
	}
	return []expr.Expr{cond}
}

// allOf is the condition that all of a list hold; nil for none.
func allOf(list []expr.Expr) expr.Expr {
	if len(list) == 0 {
		return nil
	}
	return foldLogic(nil, list, false)
}

// filtered puts a filter on a node, as far down as it goes.
func filtered(n Node, conds []expr.Expr) Node {
	if len(conds) == 0 {
		return n
	}
	return pushFilter(&Filter{n, allOf(conds)})
}

// filterJoin moves the conditions of a filter above a join into it, or below it, where
// that changes nothing: a side whose rows may be filled up with NULL keeps its filters
// above, unless they let no such row pass, when the join is in truth a narrower one.
func filterJoin(f *Filter, j *Join) Node {
	conds := Conjuncts(f.Cond)
	left := len(j.Left.Schema())
	kind := j.Kind
	for _, c := range conds {
		kind = narrowed(kind, c, left)
	}
	var toLeft, toRight, toJoin, above []expr.Expr
	for _, c := range conds {
		s := sidesOf(c, left)
		switch {
		case s&rightSide == 0 && kind != RightJoin && kind != FullJoin:
			toLeft = append(toLeft, c)
		case s == rightSide && (kind == InnerJoin || kind == RightJoin):
			toRight = append(toRight, shift(c, -left))
		case kind == InnerJoin:
			toJoin = append(toJoin, c)
		default:
			above = append(above, c)
		}
	}
	out := *j
	out.Kind = kind
	out.Left, out.Right = filtered(j.Left, toLeft), filtered(j.Right, toRight)
	out.On = allOf(append(Conjuncts(j.On), toJoin...))
	n := settleJoin(&out)
	if len(above) > 0 {
		n = &Filter{n, allOf(above)}
	}
	return n
}

// narrowed is the kind of a join below a condition that may let no row pass that was filled
// up with NULL.
func narrowed(kind JoinKind, cond expr.Expr, left int) JoinKind {
	noLeft := func() bool { return refusesNull(cond, func(i int) bool { return i < left }) }
	noRight := func() bool { return refusesNull(cond, func(i int) bool { return i >= left }) }
	switch {
	case kind == LeftJoin && noRight(), kind == RightJoin && noLeft():
		return InnerJoin
	case kind == AsofLeftJoin && noRight():
		return AsofJoin
	case kind == FullJoin:
		l, r := noLeft(), noRight()
		switch {
		case l && r:
			return InnerJoin
		case l:
			return LeftJoin
		case r:
			return RightJoin
		}
	}
	return kind
}

// refusesNull says whether a condition is surely not true when all of certain columns are
// NULL.
func refusesNull(cond expr.Expr, of func(int) bool) bool {
	switch e := cond.(type) {
	case *expr.And:
		return slices.ContainsFunc(e.Args, func(a expr.Expr) bool { return refusesNull(a, of) })
	case *expr.Or:
		return !slices.ContainsFunc(e.Args, func(a expr.Expr) bool { return !refusesNull(a, of) })
	case *expr.IsNull:
		return e.Not && nullWhen(e.E, of)
	case *expr.InList:
		return nullWhen(e.E, of)
	}
	return nullWhen(cond, of)
}

// nullWhen says whether e is surely NULL when all of certain columns are.
func nullWhen(e expr.Expr, of func(int) bool) bool {
	switch e := e.(type) {
	case *expr.Column:
		return of(e.Index)
	case *expr.Cast:
		return nullWhen(e.E, of)
	case *expr.Not:
		return nullWhen(e.E, of)
	case *expr.Call:
		return e.Overload.Fn.Strict() && slices.ContainsFunc(e.Args, func(a expr.Expr) bool { return nullWhen(a, of) })
	}
	return false
}

// settleJoin moves what the condition of a join says of one side alone to that side, where
// that changes nothing, and finds the keys in the rest.
func settleJoin(j *Join) Node {
	if j.On == nil || expr.Volatile(j.On) {
		return j
	}
	left := len(j.Left.Schema())
	out := *j
	if t, ok := j.On.(*expr.IsTruth); ok && j.Kind == AntiJoin && len(j.LeftKeys) == 0 && t.Want == expr.False && t.Not {
		if l, r, safe, ok := keysOf(t.E, left); ok && !safe {
			out.Kind, out.On = NotInJoin, nil
			out.LeftKeys, out.RightKeys = []expr.Expr{l}, []expr.Expr{r}
			return &out
		}
	}
	var toLeft, toRight, rest []expr.Expr
	for _, c := range Conjuncts(j.On) {
		s := sidesOf(c, left)
		switch {
		case s == rightSide && j.Kind != RightJoin && j.Kind != FullJoin && j.Kind != NotInJoin:
			toRight = append(toRight, shift(c, -left))
		case s&rightSide == 0 && (j.Kind == InnerJoin || j.Kind == RightJoin || j.Kind == SemiJoin || j.Kind == AsofJoin):
			toLeft = append(toLeft, c)
		default:
			l, r, safe, ok := keysOf(c, left)
			if !ok {
				rest = append(rest, c)
				continue
			}
			if out.NullSafe = slices.Clone(out.NullSafe); safe || out.NullSafe != nil {
				out.NullSafe = append(out.NullSafe, make([]bool, len(out.LeftKeys)+1-len(out.NullSafe))...)
				out.NullSafe[len(out.LeftKeys)] = safe
			}
			out.LeftKeys = append(out.LeftKeys[:len(out.LeftKeys):len(out.LeftKeys)], l)
			out.RightKeys = append(out.RightKeys[:len(out.RightKeys):len(out.RightKeys)], r)
		}
	}
	out.Left, out.Right = filtered(j.Left, toLeft), filtered(j.Right, toRight)
	out.On = allOf(rest)
	return &out
}

// keysOf is the two sides of an equality between the inputs of a join, and whether NULL is
// equal to NULL there.
func keysOf(cond expr.Expr, left int) (l, r expr.Expr, safe, ok bool) {
	switch c := cond.(type) {
	case *expr.Call:
		if c.Overload.Fn.Name != "=" || len(c.Args) != 2 {
			return nil, nil, false, false
		}
		l, r = c.Args[0], c.Args[1]
	case *expr.IsDistinct:
		if !c.Not {
			return nil, nil, false, false
		}
		l, r, safe = c.Left, c.Right, true
	default:
		return nil, nil, false, false
	}
	ls, rs := sidesOf(l, left), sidesOf(r, left)
	if ls == rightSide && rs == leftSide {
		l, r = r, l
	} else if ls != leftSide || rs != rightSide {
		return nil, nil, false, false
	}
	if !hashable(l.Type(), r.Type()) {
		return nil, nil, false, false
	}
	return l, shift(r, -left), safe, true
}

// hashable says whether values of two types are equal exactly when their hashed keys are.
func hashable(a, b vec.Type) bool {
	if a.Kind == vec.Bpchar || b.Kind == vec.Bpchar {
		return false
	}
	return a.Kind == b.Kind && a.Array == b.Array || a.IsText() && b.IsText() && !a.Array && !b.Array ||
		isInteger(a) && isInteger(b)
}

func isInteger(t vec.Type) bool {
	return !t.Array && (t.Kind == vec.Int2 || t.Kind == vec.Int4 || t.Kind == vec.Int8)
}
