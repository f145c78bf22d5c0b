package exec

import (
	"math/rand"
	"slices"
	"sort"
	"testing"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/vec"
)

// TestGroupsFinishedJointly finishes percentiles from the states of several goroutines, beside states
// that are merged, and by one goroutine.
func TestGroupsFinishedJointly(t *testing.T) {
	float := vec.T(vec.Float8)
	fraction := func(p float64) expr.Expr {
		return &expr.Const{Value: &vec.Vector{Type: float, Form: vec.Const, F64: []float64{p}}}
	}
	joint := 0
	for seed := range int64(60) {
		r := rand.New(rand.NewSource(seed))
		st := randomStore(t, r)
		sn, err := st.Snapshot(1)
		if err != nil {
			t.Fatal(err)
		}
		n := &plan.Aggregate{Input: eventsScan(), Keys: []expr.Expr{scanColumn([]int{colPlan, colEvent, colN, colPerson}[r.Intn(4)])}, Aggs: []plan.AggCall{
			{Name: "count", T: vec.T(vec.Int8)},
			{Name: "percentile_cont", Args: []expr.Expr{fraction(r.Float64()), scanColumn(colN)}, OrderBy: []plan.SortKey{{Expr: scanColumn(colN), Desc: r.Intn(2) == 0}}, T: float},
			{Name: "median", Args: []expr.Expr{scanColumn(colN)}, T: float},
			{Name: "max", Args: []expr.Expr{scanColumn(colTime)}, T: vec.T(vec.TimestampTZ)}}}
		if r.Intn(2) == 0 {
			n.Aggs[2].Filter = randomCond(t, r)
		}
		n.Names = make([]string, 1+len(n.Aggs))
		answer := func(threads int, memory int64) ([]string, error) {
			env := testEnv(0)
			env.Snapshot, env.Threads, env.GroupsAt, env.Memory = sn, threads, 1000, memory
			op, err := newHashAggregate(n, env)
			if err != nil {
				t.Fatal(err)
			}
			var rows []string
			err = drain(t.Context(), op, func(b *vec.Batch) error {
				b = b.Compact()
				for i := range b.Rows {
					line := ""
					for _, c := range b.Cols {
						line += cell(c, i) + " "
					}
					rows = append(rows, line)
				}
				return nil
			})
			if op.(*aggregate).joint != nil {
				joint++
			}
			op.Close()
			if held := env.statement().held.Load(); held != 0 && err == nil {
				t.Errorf("seed %d: %d bytes are held at the end, want none", seed, held)
			}
			sort.Strings(rows)
			return rows, err
		}
		want, err := answer(1, 0)
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if got, err := answer(2+r.Intn(3), 0); err != nil || !slices.Equal(got, want) {
				t.Fatalf("seed %d: %+v\ngot  %d %q, %v\nwant %d %q", seed, n, len(got), got, err, len(want), want)
			}
			if got, err := answer(2, int64(r.Intn(20_000))); err == nil && !slices.Equal(got, want) || err != nil && pgerr.Code(err) != pgerr.OutOfMemory {
				t.Fatalf("seed %d, with little memory: %+v\ngot  %d %q, %v\nwant %d %q", seed, n, len(got), got, err, len(want), want)
			}
		}
		sn.Release()
		st.Close()
	}
	if joint < 60 {
		t.Errorf("%d answers were finished jointly, want most", joint)
	}
}
