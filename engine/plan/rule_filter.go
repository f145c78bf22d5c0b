package plan

import "github.com/prickledb/prickle/engine/expr"

// mergeProjects brings the columns that a derived table passes on, or computes, next to
// their scan: a Project is merged into the Project, the Aggregate or the native operator
// above it, and goes where it changes nothing.
func mergeProjects(n Node) Node {
	return everywhere(n, func(n Node) Node {
		switch n.(type) {
		case *Project, *Aggregate, Native:
		default:
			return n
		}
		if inner, ok := n.Inputs()[0].(*Project); ok && affordable(n, inner) {
			n = mapExprs(n, func(e expr.Expr) expr.Expr { return substitute(e, inner.Exprs) }).WithInputs([]Node{inner.Input})
		}
		switch n := n.(type) {
		case *Project:
			if changesNothing(n) {
				return n.Input
			}
		case Native:
			return n.withSource(filterToWhere)
		}
		return n
	})
}

// copySize is how many nodes of expressions a filter may repeat to get below a Project.
// Without a bound, derived tables in each other would double it at every level.
const copySize = 40

// affordable says whether n may compute the expressions of a Project itself.
func affordable(n Node, inner *Project) bool {
	uses := make([]int, len(inner.Exprs))
	eachExpr(n, func(e expr.Expr) {
		expr.Walk(e, func(x expr.Expr) bool {
			if c, ok := x.(*expr.Column); ok {
				uses[c.Index]++
			}
			return true
		})
	})
	for i, e := range inner.Exprs {
		if uses[i] > 1 && !cheap(e) || volatile(e) {
			return false
		}
	}
	return true
}

// cheap says whether computing e twice is as good as keeping it.
func cheap(e expr.Expr) bool {
	switch e.(type) {
	case *expr.Column, *expr.Const, *expr.Param, *expr.Slot:
		return true
	}
	return false
}

// changesNothing says whether a Project passes its input on as it is.
func changesNothing(p *Project) bool {
	in := p.Input.Schema()
	if len(in) != len(p.Exprs) || len(in) == 0 {
		return false
	}
	for i, e := range p.Exprs {
		c, ok := e.(*expr.Column)
		if !ok || c.Index != i || p.Names[i] != in[i].Name {
			return false
		}
	}
	return true
}

// filterToWhere makes the filter below a native operator one with its WHERE.
func filterToWhere(s Source) Source {
	if f, ok := s.Input.(*Filter); ok {
		s.Input = f.Input
		if s.Where == nil {
			s.Where = f.Cond
		} else {
			s.Where = and(f.Cond, s.Where)
		}
	}
	return s
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

// pushFilters moves filters below projections, sorts and joins, to the scan if possible, and
// makes one of neighbours.
func pushFilters(n Node) Node {
	return everywhere(n, func(n Node) Node {
		switch n := n.(type) {
		case *Filter:
			return pushFilter(n)
		case *Join:
			return settleJoin(n)
		}
		return n
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
		if !pushable(f.Cond, in) {
			return f
		}
		return &Project{pushFilter(&Filter{in.Input, substitute(f.Cond, in.Exprs)}), in.Exprs, in.Names}
	case *Sort:
		return &Sort{pushFilter(&Filter{in.Input, f.Cond}), in.Keys}
	case *Distinct:
		if in.On == 0 {
			return &Distinct{Input: pushFilter(&Filter{in.Input, f.Cond})}
		}
	case *Union:
		out := &Union{}
		for _, x := range in.Of {
			out.Of = append(out.Of, pushFilter(&Filter{x, f.Cond}))
		}
		return out
	case *Join:
		return filterJoin(f, in)
	case *Expand:
		return filterExpand(f, in)
	}
	return f
}

// filterExpand moves the conditions below functions that give rows which ask nothing of those.
func filterExpand(f *Filter, x *Expand) Node {
	width := len(x.Input.Schema())
	var below, above []expr.Expr
	for _, c := range conjuncts(f.Cond) {
		if sidesOf(c, width)&rightSide == 0 {
			below = append(below, c)
		} else {
			above = append(above, c)
		}
	}
	if len(below) == 0 {
		return f
	}
	out := *x
	out.Input = filtered(x.Input, below)
	if len(above) == 0 {
		return &out
	}
	return &Filter{&out, allOf(above)}
}

// pushable says whether a condition may be computed below a Project: what it uses does
// not change from row to row, and what it uses several times is small.
func pushable(cond expr.Expr, p *Project) bool {
	uses := make([]int, len(p.Exprs))
	expr.Walk(cond, func(x expr.Expr) bool {
		if c, ok := x.(*expr.Column); ok {
			uses[c.Index]++
		}
		return true
	})
	grown := 0
	for i, e := range p.Exprs {
		if uses[i] > 0 && volatile(e) {
			return false
		}
		if uses[i] > 1 {
			grown += uses[i] * size(e, copySize+1)
		}
	}
	return grown <= copySize
}

// size counts the nodes of e, up to a limit.
func size(e expr.Expr, limit int) int {
	n := 0
	expr.Walk(e, func(expr.Expr) bool {
		n++
		return n < limit
	})
	return n
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
