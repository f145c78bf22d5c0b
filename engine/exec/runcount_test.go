package exec

import (
	"math/rand"
	"testing"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/vec"
)

// TestCountsOutOfMemory counts persons by as many values as there are rows, in more and more
// memory: there is an error until it is enough.
func TestCountsOutOfMemory(t *testing.T) {
	st := randomStore(t, rand.New(rand.NewSource(1)))
	defer st.Close()
	sn, err := st.Snapshot(1)
	if err != nil {
		t.Fatal(err)
	}
	defer sn.Release()
	src := plan.Source{Input: eventsScan(), Actor: scanColumn(colPerson), Time: scanColumn(colTime), Zone: "UTC",
		Breakdown: &plan.Breakdown{Exprs: []expr.Expr{scanColumn(colUUID)}, Names: []string{"uuid"}}}
	persons := plan.AggCall{Name: "count", Args: []expr.Expr{scanColumn(colPerson)}, Distinct: true, T: vec.T(vec.Int8)}
	for name, n := range map[string]plan.Node{
		"trends": &plan.Trends{Source: src, Series: []plan.Series{{Name: "persons", Measure: plan.MeasureActors}}},
		"groups": &plan.Aggregate{Input: eventsScan(), Keys: []expr.Expr{scanColumn(colPlan)}, Aggs: []plan.AggCall{persons}, Names: []string{"plan", "persons"}},
	} {
		failed := 0
		for memory := int64(16); ; memory += memory / 4 {
			env := testEnv(0)
			env.Snapshot, env.Memory = sn, memory
			op, err := Build(n, env)
			if err != nil {
				t.Fatal(err)
			}
			_, err = op.Next(t.Context())
			op.Close()
			if err == nil {
				break
			}
			if failed++; pgerr.Code(err) != pgerr.OutOfMemory {
				t.Fatalf("%s in %d bytes: %v, want %s", name, memory, err, pgerr.OutOfMemory)
			}
		}
		if failed == 0 {
			t.Errorf("%s takes no memory", name)
		}
	}
}
