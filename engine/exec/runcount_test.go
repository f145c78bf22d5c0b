package exec

import (
	"fmt"
	"math/rand"
	"slices"
	"testing"
	"time"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/event"
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

// TestCountsFindValuesLate counts rows and persons by a property of which later persons have values that
// those before do not have, over more than one interval of persons.
func TestCountsFindValuesLate(t *testing.T) {
	for seed := range int64(20) {
		r := rand.New(rand.NewSource(seed))
		st := emptyStore(t)
		b := event.NewBuilder()
		for i := range 3000 {
			person := r.Intn(1 + i*3/4)
			b.Begin(vec.UUIDValue{byte(i), byte(i >> 8), 1}, time.Date(2026, 2, 1+r.Intn(60), 0, i, 0, 0, time.UTC).UnixMicro())
			b.SetName([]byte([]string{"a", "b"}[r.Intn(2)]))
			b.SetDistinctID([]byte(fmt.Sprint("u", person)))
			b.Property([]byte("plan"), event.Text, []byte(fmt.Sprint(person/(2+r.Intn(3)))))
			b.End()
		}
		if _, err := st.ApplyEvents(2, 1, 1, b.Finish()); err != nil {
			t.Fatal(err)
		}
		if err := st.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		sn, err := st.Snapshot(1)
		if err != nil {
			t.Fatal(err)
		}
		person := []expr.Expr{scanColumn(colPerson)}
		only := equals(t, colEvent, &vec.Vector{Type: vec.T(vec.Text), Str: vec.StringsOf("a")})
		n := &plan.Aggregate{Input: eventsScan(), Keys: []expr.Expr{scanColumn(colPlan)}, Names: make([]string, 4), Aggs: []plan.AggCall{
			{Name: "count", T: vec.T(vec.Int8)}, {Name: "count", Args: person, Distinct: true, T: vec.T(vec.Int8)},
			{Name: "count", Args: person, Distinct: true, Filter: only, T: vec.T(vec.Int8)}}}
		answer := func(without ...string) []string {
			env := testEnv(0)
			env.Snapshot, env.Disabled = sn, without
			return sortedAnswer(t, n, env)
		}
		want := answer(plan.CountRuns)
		for _, got := range [][]string{answer(), answer(plan.JoinedRanges)} {
			if !slices.Equal(got, want) {
				t.Fatalf("seed %d:\ngot  %q\nwant %q", seed, got, want)
			}
		}
		sn.Release()
		st.Close()
	}
}
