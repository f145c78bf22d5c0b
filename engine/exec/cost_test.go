package exec

import (
	"math/rand"
	"testing"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/vec"
)

func instant(us int64) expr.Expr {
	return &expr.Const{Value: &vec.Vector{Type: vec.T(vec.TimestampTZ), Form: vec.Const, I64: []int64{us}}}
}

// What is estimated is what is read, and what may end early counts nothing.
func TestEstimateCost(t *testing.T) {
	bigint := func(n int64) expr.Expr {
		return &expr.Const{Value: &vec.Vector{Type: vec.T(vec.Int8), Form: vec.Const, I64: []int64{n}}}
	}
	narrow := func(change func(*plan.Scan)) *plan.Scan {
		sc := eventsScan()
		change(sc)
		return sc
	}
	count := []plan.AggCall{{Name: "count", Args: []expr.Expr{scanColumn(2)}, Distinct: true, T: vec.T(vec.Int8)}}
	known := []plan.AggCall{{Name: "count", Args: []expr.Expr{scanColumn(2)}, T: vec.T(vec.Int8)}}
	for seed := range int64(5) {
		st := randomStore(t, rand.New(rand.NewSource(seed)))
		sn, err := st.Snapshot(1)
		if err != nil {
			t.Fatal(err)
		}
		middle := sn.Segments()[0].MaxTime()
		everything := 0
		for _, seg := range sn.Segments() {
			everything += seg.Rows()
		}
		for name, n := range map[string]plan.Node{
			"all":         eventsScan(),
			"one event":   narrow(func(sc *plan.Scan) { sc.Events = []string{"a"} }),
			"no event":    narrow(func(sc *plan.Scan) { sc.Events = []string{"nothing"} }),
			"from":        narrow(func(sc *plan.Scan) { sc.From = instant(middle + 1) }),
			"two columns": narrow(func(sc *plan.Scan) { sc.Columns = sc.Columns[:2] }),
			"filtered":    &plan.Filter{Input: eventsScan(), Cond: &expr.IsNull{E: scanColumn(1)}},
			"aggregate":   &plan.Limit{Input: &plan.Aggregate{Input: eventsScan(), Aggs: count, Names: []string{"n"}}, Limit: bigint(1)},
			"join":        &plan.Join{Left: eventsScan(), Right: narrow(func(sc *plan.Scan) { sc.Events = []string{"a", "b"} }), LeftKeys: []expr.Expr{scanColumn(2)}, RightKeys: []expr.Expr{scanColumn(2)}},
			"top":         &plan.TopN{Input: eventsScan(), Keys: []plan.SortKey{{Expr: scanColumn(5)}, {Expr: scanColumn(1)}}, Limit: bigint(1)},
		} {
			env := testEnv(0)
			env.Snapshot, env.Threads = sn, 1
			cost := EstimateCost(n, env)
			op, err := Build(n, env)
			if err != nil {
				t.Fatal(err)
			}
			rowsOf(t, op)
			rows, bytes := env.Progress.Rows.Load(), env.Progress.Bytes.Load()
			// A join may leave out columns of rows that have no match.
			if cost.Rows != rows || cost.Bytes != bytes && (name != "join" || cost.Bytes < bytes) {
				t.Errorf("seed %d, %s: %+v, and %d rows and %d bytes were read", seed, name, cost, rows, bytes)
			}
			if name == "all" && (cost.Rows != int64(everything) || cost.Segments != len(sn.Segments()) || cost.Columns != len(eventsScan().Columns)) {
				t.Errorf("seed %d: all is %+v, want %d rows of %d segments", seed, cost, everything, len(sn.Segments()))
			}
		}
		for name, n := range map[string]plan.Node{
			"limit":           &plan.Limit{Input: &plan.Filter{Input: eventsScan()}, Limit: bigint(10)},
			"top by time":     &plan.TopN{Input: &plan.Filter{Input: eventsScan()}, Keys: []plan.SortKey{{Expr: scanColumn(1)}}, Limit: bigint(1)},
			"metadata":        &plan.Aggregate{Input: eventsScan(), Aggs: known, Names: []string{"n"}},
			"from a subquery": narrow(func(sc *plan.Scan) { sc.From = &expr.Slot{T: vec.T(vec.TimestampTZ)} }),
		} {
			env := testEnv(0)
			env.Snapshot = sn
			if cost := EstimateCost(n, env); cost != (Cost{}) {
				t.Errorf("seed %d, %s: %+v, want nothing", seed, name, cost)
			}
		}
		native := &plan.Lifecycle{Source: plan.Source{Input: eventsScan(), Actor: scanColumn(0), Time: scanColumn(1)}}
		env := testEnv(0)
		env.Snapshot = sn
		// Beside the times, it reads all columns but those of event and person.
		if cost, n := EstimateCost(native, env), len(eventsScan().Columns)-2; cost.Rows != int64(everything) || cost.Bytes != int64(everything)*int64(n)*8 || cost.Columns != n {
			t.Errorf("seed %d: a native operator costs %+v", seed, cost)
		}
		sn.Release()
		if err := st.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
