package plan

import "github.com/prickledb/prickle/engine/expr"

// rules are the rewrites, in order. Filters are merged and moved down before scans look
// for hints in the filter above them; columns are pruned last, since every rule before
// may have made some unnecessary; what is left is read late where few rows are wanted.
var rules = []struct {
	name  string
	apply func(Node) Node
}{
	{"fold constants", foldConstants},
	{"push filters down", pushFilters},
	{"merge projects", mergeProjects},
	{"drop empty filters", dropFilters},
	{"read properties", readProperties},
	{"top n", topN},
	{"hints for scans", hintScans},
	{"prune columns", pruneColumns},
	{"read late", readLate},
}

// Rewrite improves a plan. The result gives the same rows. Nothing in it depends on the
// session, on parameters or on the time, so a prepared statement is rewritten once.
func Rewrite(n Node) Node {
	for i := range rules {
		n = rules[i].apply(n)
	}
	return n
}

// everywhere applies f to every node, inputs first.
func everywhere(n Node, f func(Node) Node) Node {
	old := n.Inputs()
	changed := false
	in := make([]Node, len(old))
	for i, x := range old {
		in[i] = everywhere(x, f)
		changed = changed || in[i] != x
	}
	if changed {
		n = n.WithInputs(in)
	}
	return f(n)
}

// mapExprs is the node with f applied to each of its expressions.
func mapExprs(n Node, f func(expr.Expr) expr.Expr) Node {
	one := func(e expr.Expr) expr.Expr {
		if e == nil {
			return nil
		}
		return f(e)
	}
	list := func(in []expr.Expr) []expr.Expr {
		out := make([]expr.Expr, len(in))
		for i, e := range in {
			out[i] = one(e)
		}
		return out
	}
	keys := func(in []SortKey) []SortKey {
		var out []SortKey
		for _, k := range in {
			k.Expr = one(k.Expr)
			out = append(out, k)
		}
		return out
	}
	call := func(a AggCall) AggCall {
		a.Args, a.Filter, a.OrderBy = list(a.Args), one(a.Filter), keys(a.OrderBy)
		return a
	}
	source := func(s Source) Source {
		s.Actor, s.Time, s.Tie, s.Where, s.From, s.To = one(s.Actor), one(s.Time), one(s.Tie), one(s.Where), one(s.From), one(s.To)
		if s.Breakdown != nil {
			b := *s.Breakdown
			b.Exprs = list(b.Exprs)
			s.Breakdown = &b
		}
		return s
	}
	switch n := n.(type) {
	case *Scan:
		c := *n
		c.From, c.To = one(n.From), one(n.To)
		c.Ranges = nil
		for _, r := range n.Ranges {
			c.Ranges = append(c.Ranges, Range{r.Column, one(r.Low), one(r.High)})
		}
		return &c
	case *Filter:
		return &Filter{n.Input, one(n.Cond)}
	case *Project:
		return &Project{n.Input, list(n.Exprs), n.Names}
	case *Aggregate:
		c := *n
		c.Keys = list(n.Keys)
		c.Aggs = nil
		for _, a := range n.Aggs {
			c.Aggs = append(c.Aggs, call(a))
		}
		return &c
	case *Sort:
		return &Sort{n.Input, keys(n.Keys)}
	case *TopN:
		return &TopN{n.Input, keys(n.Keys), one(n.Limit), one(n.Offset)}
	case *Limit:
		return &Limit{n.Input, one(n.Limit), one(n.Offset)}
	case *Values:
		c := *n
		c.Rows = nil
		for _, row := range n.Rows {
			c.Rows = append(c.Rows, list(row))
		}
		return &c
	case *Funnel:
		c := *n
		c.Source = source(n.Source)
		c.Steps = nil
		for _, s := range n.Steps {
			c.Steps = append(c.Steps, Step{s.Name, one(s.Cond)})
		}
		return &c
	case *Retention:
		c := *n
		c.Source = source(n.Source)
		c.Start = one(n.Start)
		c.Return = c.Start
		if n.Return != n.Start {
			c.Return = one(n.Return)
		}
		return &c
	case *Trends:
		c := *n
		c.Source = source(n.Source)
		c.Series = nil
		for _, s := range n.Series {
			s.Agg, s.Where = call(s.Agg), one(s.Where)
			c.Series = append(c.Series, s)
		}
		return &c
	}
	return n
}

// eachExpr visits the expressions of a node.
func eachExpr(n Node, visit func(expr.Expr)) {
	mapExprs(n, func(e expr.Expr) expr.Expr { visit(e); return e })
}

// volatile says whether e differs from row to row for equal rows.
func volatile(e expr.Expr) bool {
	found := false
	expr.Walk(e, func(x expr.Expr) bool {
		if c, ok := x.(*expr.Call); ok && c.Overload.Fn.Volatile {
			found = true
		}
		return !found
	})
	return found
}
