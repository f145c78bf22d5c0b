package plan

import "github.com/prickledb/prickle/engine/expr"

// mergeProjects makes one Project of two, and so brings the columns that a derived table
// passes on next to their scan. An inner expression that costs something is not copied to
// several places.
func mergeProjects(n Node) Node {
	return everywhere(n, func(n Node) Node {
		outer, ok := n.(*Project)
		if !ok {
			return n
		}
		inner, ok := outer.Input.(*Project)
		if !ok {
			return n
		}
		uses := make([]int, len(inner.Exprs))
		for _, e := range outer.Exprs {
			expr.Walk(e, func(x expr.Expr) bool {
				if c, ok := x.(*expr.Column); ok {
					uses[c.Index]++
				}
				return true
			})
		}
		for i, e := range inner.Exprs {
			if uses[i] > 1 && !cheap(e) || volatile(e) {
				return n
			}
		}
		out := &Project{Input: inner.Input, Names: outer.Names}
		for _, e := range outer.Exprs {
			out.Exprs = append(out.Exprs, substitute(e, inner.Exprs))
		}
		return out
	})
}

func cheap(e expr.Expr) bool {
	switch e.(type) {
	case *expr.Column, *expr.Const, *expr.Param:
		return true
	}
	return false
}

// substitute puts the expressions of a Project in the places of its columns.
func substitute(e expr.Expr, by []expr.Expr) expr.Expr {
	return expr.Map(e, func(x expr.Expr) expr.Expr {
		if c, ok := x.(*expr.Column); ok {
			return by[c.Index]
		}
		return x
	})
}

// pushFilters moves filters below projections and sorts, to the scan if possible, and
// makes one of neighbours.
func pushFilters(n Node) Node {
	return everywhere(n, func(n Node) Node {
		f, ok := n.(*Filter)
		if !ok {
			return n
		}
		return pushFilter(f)
	})
}

func pushFilter(f *Filter) Node {
	if volatile(f.Cond) {
		return f
	}
	switch in := f.Input.(type) {
	case *Filter:
		if volatile(in.Cond) {
			return f
		}
		// The lower condition comes first, so that the upper one sees only its rows.
		return pushFilter(&Filter{in.Input, and(in.Cond, f.Cond)})
	case *Project:
		for _, e := range in.Exprs {
			if volatile(e) {
				return f
			}
		}
		return &Project{pushFilter(&Filter{in.Input, substitute(f.Cond, in.Exprs)}), in.Exprs, in.Names}
	case *Sort:
		return &Sort{pushFilter(&Filter{in.Input, f.Cond}), in.Keys}
	}
	return f
}

func and(a, b expr.Expr) expr.Expr { return foldLogic(nil, []expr.Expr{a, b}, false) }

// dropFilters removes filters that let everything pass.
func dropFilters(n Node) Node {
	return everywhere(n, func(n Node) Node {
		if f, ok := n.(*Filter); ok {
			if c, ok := f.Cond.(*expr.Const); ok && !c.Value.IsNull(0) && c.Value.Bools[0] {
				return f.Input
			}
		}
		return n
	})
}
