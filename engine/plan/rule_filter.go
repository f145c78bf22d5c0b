package plan

import "github.com/prickledb/prickle/engine/expr"

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
	if expr.Volatile(f.Cond) {
		return f
	}
	switch in := f.Input.(type) {
	case *Filter:
		if expr.Volatile(in.Cond) {
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
	case *Aggregate:
		return filterGroups(f, in)
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
	case *Funnel:
		out, rest := in.filter(Conjuncts(f.Cond))
		if len(rest) == 0 {
			return out
		}
		return &Filter{out, allOf(rest)}
	}
	return f
}

// filterGroups moves the conditions on keys that are columns below the groups.
func filterGroups(f *Filter, n *Aggregate) Node {
	var below, above []expr.Expr
	for _, c := range Conjuncts(f.Cond) {
		reads, keys := false, true
		expr.Walk(c, func(x expr.Expr) bool {
			if c, ok := x.(*expr.Column); ok {
				reads = true
				keys = keys && c.Index < len(n.Keys)
				if keys {
					_, keys = n.Keys[c.Index].(*expr.Column)
				}
			}
			return true
		})
		if reads && keys {
			below = append(below, substitute(c, n.Keys))
		} else {
			above = append(above, c)
		}
	}
	if len(below) == 0 {
		return f
	}
	out := *n
	out.Input = filtered(n.Input, below)
	if len(above) == 0 {
		return &out
	}
	return &Filter{&out, allOf(above)}
}

// filterExpand moves the conditions below functions that give rows which ask nothing of those.
func filterExpand(f *Filter, x *Expand) Node {
	width := len(x.Input.Schema())
	var below, above []expr.Expr
	for _, c := range Conjuncts(f.Cond) {
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

// copySize is how many nodes of expressions a filter may repeat to get below a Project.
// Without a bound, derived tables in each other would double it at every level.
const copySize = 40

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
		if uses[i] > 0 && expr.Volatile(e) {
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
