package plan

import "github.com/prickledb/prickle/engine/expr"

// Narrowing says which side of a join has groups of which only those are computed whose keys the
// other side has. That one is read first.
type Narrowing uint8

// The sides of a join that may be narrowed.
const (
	NarrowsNone Narrowing = iota
	NarrowsLeft
	NarrowsRight
)

// What part of the groups at most must be asked for, and how many rows must be grouped for each
// that asks, for a join to narrow them: each row that is grouped is looked up once more.
const (
	narrowShare = 0.5
	narrowGain  = 4
)

// NarrowGroups has joins with groups compute only those that the other side asks for: a subquery
// that aggregates for each row of a few is an aggregate of all rows after it is unnested, joined
// with the few. The result gives the same rows. Like Arrange it is for the snapshot that is read.
//
// This is what is known as magic sets (Bancilhon, Maier, Sagiv, Ullman, "Magic sets and other
// strange ways to implement logic programs", 1986), with the table that the join makes anyway in
// the place of a second plan that computes the set.
func NarrowGroups(n Node, s Statistics) Node {
	return everywhere(n, func(n Node) Node {
		j, ok := n.(*Join)
		if !ok || j.Kind.Asof() {
			return n
		}
		for _, side := range []Narrowing{NarrowsRight, NarrowsLeft} {
			if j.narrowable(side) && len(j.narrowed(side)) > 0 && j.narrows(side, s) {
				out := *j
				out.Narrows = side
				return &out
			}
		}
		return n
	})
}

// narrowable says whether rows of a side without a match have no effect.
func (n *Join) narrowable(side Narrowing) bool {
	switch n.Kind {
	case InnerJoin, SemiJoin:
		return true
	case LeftJoin, AntiJoin:
		return side == NarrowsRight
	case RightJoin:
		return side == NarrowsLeft
	}
	return false
}

// sides is the input that is narrowed, and the one that narrows it, with their keys.
func (n *Join) sides(side Narrowing) (of, by Node, ofKeys, byKeys []expr.Expr) {
	if side == NarrowsLeft {
		return n.Left, n.Right, n.LeftKeys, n.RightKeys
	}
	return n.Right, n.Left, n.RightKeys, n.LeftKeys
}

// narrowed is the keys that are keys of groups on a side, too.
func (n *Join) narrowed(side Narrowing) []int {
	of, _, keys, _ := n.sides(side)
	var out []int
	for i, k := range keys {
		if c, ok := k.(*expr.Column); ok && groupedOver(of, c.Index) != nil {
			out = append(out, i)
		}
	}
	return out
}

// groupedOver is what is below the groups of which a column of a node is a key, if rows below
// them may be left out by its values; nil if it is no key of groups.
func groupedOver(n Node, column int) Node {
	for {
		switch x := n.(type) {
		case *Filter:
			n = x.Input
		case *Project:
			c, ok := x.Exprs[column].(*expr.Column)
			if !ok {
				return nil
			}
			n, column = x.Input, c.Index
		case *Aggregate:
			if column >= len(x.Keys) {
				return nil
			}
			if c, ok := x.Keys[column].(*expr.Column); !ok || !scannedBelow(x.Input, c.Index) {
				return nil
			}
			return x.Input
		default:
			return nil
		}
	}
}

// scannedBelow says whether a column is one of a scan below a node whose rows may be left out by
// the values of the column.
func scannedBelow(n Node, column int) bool {
	for {
		switch x := n.(type) {
		case *Scan:
			return true
		case *Filter:
			n = x.Input
		case *Project:
			c, ok := x.Exprs[column].(*expr.Column)
			if !ok {
				return false
			}
			n, column = x.Input, c.Index
		case *Aggregate:
			if column >= len(x.Keys) {
				return false
			}
			c, ok := x.Keys[column].(*expr.Column)
			if !ok {
				return false
			}
			n, column = x.Input, c.Index
		case *Join:
			left := len(x.Left.Schema())
			switch {
			case column < left && x.Kind != RightJoin && x.Kind != FullJoin && !x.Kind.Asof():
				n = x.Left
			case column >= left && (x.Kind == InnerJoin || x.Kind == RightJoin):
				n, column = x.Right, column-left
			default:
				return false
			}
		default:
			return false
		}
	}
}

// narrows says whether it seems worth while to narrow a side: few of its groups are asked for,
// by few rows.
func (n *Join) narrows(side Narrowing, s Statistics) bool {
	of, by, keys, byKeys := n.sides(side)
	asking := max(1, s.Rows(by))
	for _, i := range n.narrowed(side) {
		column := keys[i].(*expr.Column).Index
		asked := asking
		if c, ok := byKeys[i].(*expr.Column); ok {
			asked = min(asked, s.Distinct(by, c.Index))
		}
		if asked <= narrowShare*s.Distinct(of, column) && narrowGain*asking <= s.Rows(groupedOver(of, column)) {
			return true
		}
	}
	return false
}

// narrowedTexts is the keys of groups by which a side is narrowed.
func (n *Join) narrowedTexts() string {
	_, _, keys, _ := n.sides(n.Narrows)
	var list []expr.Expr
	for _, i := range n.narrowed(n.Narrows) {
		list = append(list, keys[i])
	}
	return exprTexts(list)
}
