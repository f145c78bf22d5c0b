package plan

import (
	"math"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/storage/vec"
)

// sumsOfShifts computes sums of a smallint column and different constants from one sum of the
// column and one count: sum(c + 5) is sum(c) + 5 × count(c). With a smallint, no row could have
// been out of range.
func sumsOfShifts(n Node) Node {
	return everywhere(n, func(n Node) Node {
		a, ok := n.(*Aggregate)
		if !ok {
			return n
		}
		shifts := 0
		for i := range a.Aggs {
			if _, by, ok := shiftOf(&a.Aggs[i]); ok && by != 0 {
				shifts++
			}
		}
		if shifts < 2 {
			return n
		}
		out := &Aggregate{Input: a.Input, Keys: a.Keys}
		find := func(call AggCall) int {
			for i := range out.Aggs {
				have := &out.Aggs[i]
				if have.Name == call.Name && !have.Distinct && len(have.Args) == 1 && len(have.OrderBy) == 0 &&
					expr.Same(have.Args[0], call.Args[0]) && expr.Same(have.Filter, call.Filter) {
					return len(a.Keys) + i
				}
			}
			out.Aggs = append(out.Aggs, call)
			return len(a.Keys) + len(out.Aggs) - 1
		}
		back := &Project{Names: a.Names}
		in := a.Schema()
		for i := range a.Keys {
			back.Exprs = append(back.Exprs, &expr.Column{Index: i, T: in[i].Type, Name: in[i].Name})
		}
		bigint := vec.T(vec.Int8)
		for i := range a.Aggs {
			call := a.Aggs[i]
			column, by, ok := shiftOf(&call)
			if !ok || by == 0 {
				back.Exprs = append(back.Exprs, &expr.Column{Index: len(a.Keys) + len(out.Aggs), T: call.T, Name: in[len(a.Keys)+i].Name})
				out.Aggs = append(out.Aggs, call)
				continue
			}
			args := []expr.Expr{column}
			sum := find(AggCall{Name: "sum", Args: args, Filter: call.Filter, T: bigint})
			count := find(AggCall{Name: "count", Args: args, Filter: call.Filter, T: bigint})
			times, err := expr.NewOperator("*", &expr.Column{Index: count, T: bigint, Name: "count"}, &expr.Const{Value: &vec.Vector{Type: bigint, Form: vec.Const, I64: []int64{by}}})
			if err != nil {
				return n
			}
			total, err := expr.NewOperator("+", &expr.Column{Index: sum, T: bigint, Name: "sum"}, times)
			if err != nil {
				return n
			}
			back.Exprs = append(back.Exprs, total)
		}
		for i := range a.Keys {
			out.Names = append(out.Names, a.Names[i])
		}
		for i := range out.Aggs {
			out.Names = append(out.Names, out.Aggs[i].Name)
		}
		back.Input = out
		return back
	})
}

// shiftOf is the column and the constant of sum(column + constant), or of sum(column) with 0.
func shiftOf(call *AggCall) (column expr.Expr, by int64, ok bool) {
	if call.Name != "sum" || call.Distinct || len(call.OrderBy) > 0 || len(call.Args) != 1 || call.T != vec.T(vec.Int8) {
		return nil, 0, false
	}
	smallint := func(e expr.Expr) bool {
		c, ok := e.(*expr.Column)
		return ok && c.T == vec.T(vec.Int2)
	}
	e := call.Args[0]
	if smallint(e) {
		return e, 0, true
	}
	plus, ok := e.(*expr.Call)
	if !ok || plus.Overload.Fn.Name != "+" || len(plus.Args) != 2 || plus.Type() != vec.T(vec.Int4) {
		return nil, 0, false
	}
	c, ok := plus.Args[1].(*expr.Const)
	if !ok || c.Value.IsNull(0) || c.Value.Type.Payload() != vec.PayloadI64 {
		return nil, 0, false
	}
	column = plus.Args[0]
	if cast, ok := column.(*expr.Cast); ok {
		column = cast.E
	}
	by = c.Value.I64[0]
	if !smallint(column) || by > math.MaxInt32-math.MaxInt16 || by < math.MinInt32-math.MinInt16 {
		return nil, 0, false
	}
	return column, by, true
}
