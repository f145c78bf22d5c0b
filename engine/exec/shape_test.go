package exec_test

import (
	"testing"

	"github.com/prickledb/prickle/engine/exec/exectest"
	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/vec"
)

var (
	int8Type, textType, floatType = vec.T(vec.Int8), vec.T(vec.Text), vec.T(vec.Float8)
	timeType                      = vec.T(vec.TimestampTZ)
)

// sample is rows with repeated values in every column.
func sample() exectest.Case {
	return exectest.Case{
		Types: []vec.Type{int8Type, textType, floatType, timeType},
		Rows: []string{
			"1 a 1.5 2026-01-01T00:00:00Z", "2 b 2.5 2026-01-02T00:00:00Z", "1 a 1.5 2026-01-03T00:00:00Z",
			"3 c -0.5 2026-01-01T00:00:00Z", "2 b 2.5 2026-01-02T00:00:00Z", "5 a 0 2026-01-05T00:00:00Z", "1 b 1.5 2026-01-01T00:00:00Z",
		},
	}
}

func number(n int64) expr.Expr {
	return &expr.Const{Value: &vec.Vector{Type: int8Type, Form: vec.Const, I64: []int64{n}}}
}

func operator(t *testing.T, op string, l, r expr.Expr) expr.Expr {
	t.Helper()
	e, err := expr.NewOperator(op, l, r)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestFilterShapes(t *testing.T) {
	c := sample()
	c.Ordered = true
	c.Want = []string{"2 b 2.5 2026-01-02 00:00:00+00", "3 c -0.5 2026-01-01 00:00:00+00", "2 b 2.5 2026-01-02 00:00:00+00", "5 a 0 2026-01-05 00:00:00+00"}
	c.Plan = func(in plan.Node) plan.Node {
		return &plan.Filter{Input: in, Cond: operator(t, ">", c.Column(0), number(1))}
	}
	exectest.Run(t, c)
	c.Want = []string{}
	c.Plan = func(in plan.Node) plan.Node {
		return &plan.Filter{Input: in, Cond: operator(t, ">", number(0), number(1))}
	}
	exectest.Run(t, c)
}

func TestProjectShapes(t *testing.T) {
	c := sample()
	c.Ordered = true
	c.Want = []string{"3 aa 7", "4 bb 7", "3 aa 7", "5 cc 7", "4 bb 7", "7 aa 7", "3 bb 7"}
	c.Plan = func(in plan.Node) plan.Node {
		return &plan.Project{Input: in, Names: []string{"x", "y", "z"}, Exprs: []expr.Expr{
			operator(t, "+", c.Column(0), number(2)), operator(t, "||", c.Column(1), c.Column(1)), number(7)}}
	}
	exectest.Run(t, c)
}

func TestAggregateShapes(t *testing.T) {
	c := sample()
	aggs := func() []plan.AggCall {
		return []plan.AggCall{
			{Name: "count", T: int8Type},
			{Name: "count", Args: []expr.Expr{c.Column(0)}, Distinct: true, T: int8Type},
			{Name: "sum", Args: []expr.Expr{c.Column(2)}, T: floatType},
			{Name: "max", Args: []expr.Expr{c.Column(3)}, T: timeType},
			{Name: "min", Args: []expr.Expr{c.Column(1)}, T: textType},
			{Name: "array_agg", Args: []expr.Expr{c.Column(0)}, OrderBy: []plan.SortKey{{Expr: c.Column(0), Desc: true}}, T: vec.ArrayOf(vec.Int8)},
			{Name: "count", Filter: operator(t, "<", c.Column(2), c.Column(0)), T: int8Type},
		}
	}
	names := []string{"n", "d", "s", "m", "l", "a", "f"}
	c.Want = []string{"7 4 9 2026-01-05 00:00:00+00 a {5,3,2,2,1,1,1} 2"}
	c.Plan = func(in plan.Node) plan.Node { return &plan.Aggregate{Input: in, Aggs: aggs(), Names: names} }
	exectest.Run(t, c)
	c.Want = []string{
		"a 3 2 3 2026-01-05 00:00:00+00 a {5,1,1} 1",
		"b 3 2 6.5 2026-01-02 00:00:00+00 b {2,2,1} 0",
		"c 1 1 -0.5 2026-01-01 00:00:00+00 c {3} 1"}
	c.Plan = func(in plan.Node) plan.Node {
		return &plan.Aggregate{Input: in, Keys: []expr.Expr{c.Column(1)}, Aggs: aggs(), Names: append([]string{"k"}, names...)}
	}
	exectest.Run(t, c)
	c.Want = []string{"1 a 2", "1 b 1", "2 b 2", "3 c 1", "5 a 1"}
	c.Plan = func(in plan.Node) plan.Node {
		return &plan.Aggregate{Input: in, Keys: []expr.Expr{c.Column(0), c.Column(1)}, Aggs: aggs()[:1], Names: []string{"k", "l", "n"}}
	}
	exectest.Run(t, c)
}

// sortKeys orders sample's rows so that none are equal but in all columns.
func sortKeys(c exectest.Case) []plan.SortKey {
	return []plan.SortKey{{Expr: c.Column(1)}, {Expr: c.Column(0), Desc: true, NullsFirst: true}, {Expr: c.Column(3), NullsFirst: true}, {Expr: c.Column(2)}}
}

var sortedSample = []string{
	"5 a 0 2026-01-05 00:00:00+00", "1 a 1.5 2026-01-01 00:00:00+00", "1 a 1.5 2026-01-03 00:00:00+00",
	"2 b 2.5 2026-01-02 00:00:00+00", "2 b 2.5 2026-01-02 00:00:00+00", "1 b 1.5 2026-01-01 00:00:00+00",
	"3 c -0.5 2026-01-01 00:00:00+00"}

func TestSortShapes(t *testing.T) {
	c := sample()
	c.Ordered = true
	c.Want = sortedSample
	c.Plan = func(in plan.Node) plan.Node { return &plan.Sort{Input: in, Keys: sortKeys(c)} }
	exectest.Run(t, c)
}

func TestTopNShapes(t *testing.T) {
	c := sample()
	c.Ordered = true
	for n := range 9 {
		for skip := range 9 {
			c.Want = sortedSample[min(skip, 7):min(n+skip, 7)]
			c.Plan = func(in plan.Node) plan.Node {
				return &plan.TopN{Input: in, Keys: sortKeys(c), Limit: number(int64(n)), Offset: number(int64(skip))}
			}
			exectest.Run(t, c)
		}
	}
	c.Want = []string{"5 a 0 2026-01-05 00:00:00+00"}
	c.Plan = func(in plan.Node) plan.Node {
		return &plan.TopN{Input: in, Keys: []plan.SortKey{{Expr: c.Column(3), Desc: true}}, Limit: number(1)}
	}
	exectest.Run(t, c)
}

func TestLimitShapes(t *testing.T) {
	c := sample()
	c.Ordered = true
	all := []string{"1", "2", "1", "3", "2", "5", "1"}
	for n := range 9 {
		for skip := range 9 {
			c.Want = all[min(skip, 7):min(n+skip, 7)]
			c.Plan = func(in plan.Node) plan.Node {
				return &plan.Project{Names: []string{"x"}, Exprs: []expr.Expr{c.Column(0)},
					Input: &plan.Limit{Input: in, Limit: number(int64(n)), Offset: number(int64(skip))}}
			}
			exectest.Run(t, c)
		}
	}
}

func TestDistinctShapes(t *testing.T) {
	c := sample()
	c.Ordered = true
	c.Want = []string{"1 a 1.5", "2 b 2.5", "3 c -0.5", "5 a 0", "1 b 1.5"}
	c.Plan = func(in plan.Node) plan.Node {
		return &plan.Distinct{Input: &plan.Project{Input: in, Names: []string{"x", "y", "z"}, Exprs: []expr.Expr{c.Column(0), c.Column(1), c.Column(2)}}}
	}
	exectest.Run(t, c)
	c.Want = []string{"1 a 1.5 2026-01-01 00:00:00+00", "2 b 2.5 2026-01-02 00:00:00+00", "3 c -0.5 2026-01-01 00:00:00+00", "5 a 0 2026-01-05 00:00:00+00"}
	c.Plan = func(in plan.Node) plan.Node { return &plan.Distinct{Input: in, On: 1} }
	exectest.Run(t, c)
}
