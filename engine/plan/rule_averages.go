package plan

import (
	"slices"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/storage/vec"
)

// averagesOfSums computes an average of numerics from their sum, where that is asked for too: avg(x) is
// sum(x) / count(x), which is how it is defined, and to count costs less than to add up.
func averagesOfSums(n Node) Node {
	return everywhere(n, func(n Node) Node {
		a, ok := n.(*Aggregate)
		if !ok {
			return n
		}
		numeric := func(call *AggCall, name string) bool {
			return call.Name == name && !call.Distinct && len(call.OrderBy) == 0 && len(call.Args) == 1 && call.Args[0].Type().Kind == vec.Numeric &&
				!call.Args[0].Type().Array && !expr.Volatile(call.Filter)
		}
		sumOf := func(call *AggCall) int {
			if !numeric(call, "avg") {
				return -1
			}
			return slices.IndexFunc(a.Aggs, func(c AggCall) bool {
				return numeric(&c, "sum") && expr.Same(c.Args[0], call.Args[0]) && expr.Same(c.Filter, call.Filter)
			})
		}
		if !slices.ContainsFunc(a.Aggs, func(c AggCall) bool { return sumOf(&c) >= 0 }) {
			return n
		}
		out := &Aggregate{Input: a.Input, Keys: a.Keys, Names: slices.Clone(a.Names)}
		back := &Project{Input: out, Names: a.Names}
		for i, f := range a.Schema() {
			back.Exprs = append(back.Exprs, &expr.Column{Index: i, T: f.Type, Name: f.Name})
		}
		for i := range a.Aggs {
			call, at := a.Aggs[i], len(a.Keys)+i
			if sum := sumOf(&call); sum >= 0 {
				call.Name, call.T = "count", vec.T(vec.Int8)
				out.Names[at] = call.Name
				average, err := expr.NewOperator("/", back.Exprs[len(a.Keys)+sum], &expr.Column{Index: at, T: call.T, Name: call.Name})
				if err != nil || average.Type() != a.Aggs[i].T {
					return n
				}
				back.Exprs[at] = average
			}
			out.Aggs = append(out.Aggs, call)
		}
		return back
	})
}
