package plan

import "github.com/prickledb/prickle/engine/expr"

// factorConditions takes out of every OR what all its branches demand, so that it can be a
// key of a join or a bound of a scan: (k = j AND a) OR (k = j AND b) is k = j AND (a OR b).
func factorConditions(n Node) Node {
	return everywhere(n, func(n Node) Node {
		switch n := n.(type) {
		case *Filter:
			if c := factored(n.Cond); c != n.Cond {
				return &Filter{n.Input, c}
			}
		case *Join:
			if n.On != nil {
				if c := factored(n.On); c != n.On {
					j := *n
					j.On = c
					return &j
				}
			}
		}
		return n
	})
}

// factored is a condition that is true for the same rows. It is e itself if nothing changes.
func factored(e expr.Expr) expr.Expr {
	switch e := e.(type) {
	case *expr.And:
		args, changed := make([]expr.Expr, len(e.Args)), false
		for i, a := range e.Args {
			args[i] = factored(a)
			changed = changed || args[i] != a
		}
		if changed {
			return foldLogic(e, args, false)
		}
	case *expr.Or:
		return factoredOr(e)
	}
	return e
}

func factoredOr(or *expr.Or) expr.Expr {
	branches := make([][]expr.Expr, len(or.Args))
	for i, a := range or.Args {
		branches[i] = Conjuncts(a)
	}
	var common []expr.Expr
	for _, c := range branches[0] {
		if expr.Volatile(c) || contains(common, c) {
			continue
		}
		everywhere := true
		for _, b := range branches[1:] {
			everywhere = everywhere && contains(b, c)
		}
		if everywhere {
			common = append(common, c)
		}
	}
	if len(common) == 0 {
		return or
	}
	rest := make([]expr.Expr, len(branches))
	for i, b := range branches {
		var own []expr.Expr
		for _, c := range b {
			if !contains(common, c) {
				own = append(own, c)
			}
		}
		if len(own) == 0 { // this branch demands no more: the OR is what is common
			return allOf(common)
		}
		rest[i] = allOf(own)
	}
	return allOf(append(common, &expr.Or{Args: rest}))
}

func contains(list []expr.Expr, e expr.Expr) bool {
	for _, x := range list {
		if expr.Same(x, e) {
			return true
		}
	}
	return false
}
