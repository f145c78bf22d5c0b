package plan

import (
	"slices"

	"github.com/prickledb/prickle/engine/expr"
)

// plainKeys has keys of joins compared as = does where one side is never NULL, so that NULL is
// equal to nothing there anyway: what was a subquery compares all its keys as if NULL were a value.
func plainKeys(n Node) Node {
	return everywhere(n, func(n Node) Node {
		j, ok := n.(*Join)
		if !ok || j.NullSafe == nil {
			return n
		}
		out := *j
		out.NullSafe = slices.Clone(j.NullSafe)
		for i, l := range j.LeftKeys {
			out.NullSafe[i] = out.NullSafe[i] && !neverNull(j.Left, l) && !neverNull(j.Right, j.RightKeys[i])
		}
		if !slices.Contains(out.NullSafe, true) {
			out.NullSafe = nil
		}
		return &out
	})
}

// neverNull says whether an expression over a node is surely not NULL.
func neverNull(n Node, e expr.Expr) bool {
	column, ok := e.(*expr.Column)
	if !ok {
		c, ok := e.(*expr.Const)
		return ok && !c.Value.IsNull(0)
	}
	switch n := n.(type) {
	case *Scan:
		c := &n.Columns[column.Index]
		if n.Table.Schema == nil || len(c.Path) > 0 {
			return false
		}
		of := n.Table.Schema.Column(c.Column)
		return of != nil && of.NotNull
	case *Filter:
		return refusesNull(n.Cond, func(i int) bool { return i == column.Index }) || neverNull(n.Input, e)
	case *Project:
		return neverNull(n.Input, n.Exprs[column.Index])
	case *Aggregate:
		return column.Index < len(n.Keys) && neverNull(n.Input, n.Keys[column.Index])
	case *Join:
		left := len(n.Left.Schema())
		if column.Index < left {
			return n.Kind != RightJoin && n.Kind != FullJoin && neverNull(n.Left, e)
		}
		return n.Kind != LeftJoin && n.Kind != FullJoin && n.Kind != AsofLeftJoin && neverNull(n.Right, shift(e, -left))
	case *Distinct, *Sort, *TopN, *Limit:
		return neverNull(n.Inputs()[0], e)
	}
	return false
}
