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
		if uses[i] > 1 && !cheap(e) || expr.Volatile(e) {
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
