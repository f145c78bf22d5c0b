package plan

import "github.com/prickledb/prickle/engine/expr"

// topNRows is how many rows a top-n keeps in memory at most; beyond, sorting all rows is
// as good.
const topNRows = 100000

// topN makes Sort and Limit one node that keeps only the rows that come out.
func topN(n Node) Node {
	return everywhere(n, func(n Node) Node {
		l, ok := n.(*Limit)
		if !ok || l.Limit == nil {
			return n
		}
		if !small(l.Limit) || l.Offset != nil && !small(l.Offset) {
			return n
		}
		switch in := l.Input.(type) {
		case *Sort:
			return &TopN{in.Input, in.Keys, l.Limit, l.Offset}
		case *Project:
			if s, ok := in.Input.(*Sort); ok && !anyVolatile(in.Exprs) {
				return &Project{&TopN{s.Input, s.Keys, l.Limit, l.Offset}, in.Exprs, in.Names}
			}
		}
		return n
	})
}

// small says whether a limit is known to be small. A parameter is taken to be.
func small(e expr.Expr) bool {
	c, ok := e.(*expr.Const)
	return !ok || !c.Value.IsNull(0) && c.Value.I64[0] <= topNRows
}

func anyVolatile(list []expr.Expr) bool {
	for _, e := range list {
		if expr.Volatile(e) {
			return true
		}
	}
	return false
}
