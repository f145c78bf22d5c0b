package plan

import (
	"fmt"
	"strings"

	"github.com/prickledb/prickle/engine/expr"
)

// AsofCondition is the condition of an ASOF join, taken apart: the keys are equal, and of
// the rows of the right side for which Left Op Right, the one with the nearest Right counts.
type AsofCondition struct {
	LeftKeys, RightKeys []expr.Expr // each over its side
	NullSafe            []bool      // per key, whether NULL is equal to NULL
	Op                  string      // <, <=, > or >=
	Left, Right         expr.Expr   // each over its side
	OfLeft, OfRight     expr.Expr   // what must hold of one side alone; nil is true
}

// nullSafeEqual is the operator = for which NULL is equal to NULL.
const nullSafeEqual = "IS NOT DISTINCT FROM"

// AsofPart says what a part of the condition of an ASOF join is: an equality of two values
// that can be compared as keys or an inequality of such, one of each side, with the operator
// as if the left side's value stood first; or, with op empty, a condition of one side alone.
// Anything else is not ok. ofLeft says of a column whether it is the left side's, and ofRight
// likewise.
func AsofPart(cond expr.Expr, ofLeft, ofRight func(column int) bool) (op string, l, r expr.Expr, ok bool) {
	reads := func(e expr.Expr) (s sides) {
		expr.Walk(e, func(x expr.Expr) bool {
			if c, ok := x.(*expr.Column); ok && ofLeft(c.Index) {
				s |= leftSide
			} else if ok && ofRight(c.Index) {
				s |= rightSide
			}
			return true
		})
		return s
	}
	if reads(cond) != leftSide|rightSide {
		return "", nil, nil, true
	}
	switch c := cond.(type) {
	case *expr.Call:
		if _, known := mirrored[c.Overload.Fn.Name]; !known || len(c.Args) != 2 {
			return "", nil, nil, false
		}
		op, l, r = c.Overload.Fn.Name, c.Args[0], c.Args[1]
	case *expr.IsDistinct:
		if !c.Not {
			return "", nil, nil, false
		}
		op, l, r = nullSafeEqual, c.Left, c.Right
	default:
		return "", nil, nil, false
	}
	if reads(l) == rightSide && reads(r) == leftSide {
		l, r = r, l
		if op != nullSafeEqual {
			op = mirrored[op]
		}
	}
	a, b := l.Type(), r.Type()
	alike := a.Kind == b.Kind && a.Array == b.Array || hashable(a, b)
	return op, l, r, alike && reads(l) == leftSide && reads(r) == rightSide
}

// AsofCondition takes the condition of an ASOF join apart.
func (n *Join) AsofCondition() (*AsofCondition, error) {
	left := len(n.Left.Schema())
	c := &AsofCondition{LeftKeys: n.LeftKeys, RightKeys: n.RightKeys, NullSafe: make([]bool, len(n.LeftKeys))}
	copy(c.NullSafe, n.NullSafe)
	var ofLeft, ofRight []expr.Expr
	for _, part := range Conjuncts(n.On) {
		op, l, r, ok := AsofPart(part, func(i int) bool { return i < left }, func(i int) bool { return i >= left })
		switch {
		case !ok || c.Op != "" && isInequality(op):
			return nil, fmt.Errorf("an ASOF join cannot have the condition %s", expr.String(part))
		case op == "" && sidesOf(part, left) == rightSide:
			ofRight = append(ofRight, shift(part, -left))
		case op == "":
			ofLeft = append(ofLeft, part)
		case !isInequality(op):
			c.LeftKeys = append(c.LeftKeys[:len(c.LeftKeys):len(c.LeftKeys)], l)
			c.RightKeys = append(c.RightKeys[:len(c.RightKeys):len(c.RightKeys)], shift(r, -left))
			c.NullSafe = append(c.NullSafe, op == nullSafeEqual)
		default:
			c.Op, c.Left, c.Right = op, l, shift(r, -left)
		}
	}
	if c.Op == "" {
		return nil, fmt.Errorf("an ASOF join has no inequality in %s", exprText(n.On))
	}
	c.OfLeft, c.OfRight = allOf(ofLeft), allOf(ofRight)
	return c, nil
}

func isInequality(op string) bool { return strings.ContainsAny(op, "<>") }
