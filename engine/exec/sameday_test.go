package exec

import (
	"math/rand"
	"slices"
	"sort"
	"testing"
	"time"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/vec"
)

// TestRetentionFromDays asks RETENTION with different starts and returns about stored events, which days
// and the order of rows can answer, and about the same as rows.
func TestRetentionFromDays(t *testing.T) {
	ordered, decided := 0, 0
	for seed := range tries(480) {
		r := rand.New(rand.NewSource(seed))
		st := randomStore(t, r)
		sn, err := st.Snapshot(1)
		if err != nil {
			t.Fatal(err)
		}
		env := testEnv(time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC).UnixMicro())
		env.Snapshot = sn
		name := func() expr.Expr {
			return equals(t, colEvent, &vec.Vector{Type: vec.T(vec.Text), Str: vec.StringsOf([]string{"a", "b", "c", "d"}[r.Intn(4)])})
		}
		n := &plan.Retention{Start: name(), Return: name(), Rule: plan.StartRule(r.Intn(3)), Minimum: 1, Periods: r.Intn(6),
			Every: vec.IntervalValue{Days: int32(1 + r.Intn(2)*6)}, OrAfter: r.Intn(4) == 0, Output: []plan.Output{plan.OutputDefault, plan.OutputActors}[r.Intn(2)],
			Source: plan.Source{Input: eventsScan(), Actor: scanColumn(colPerson), Time: scanColumn(colTime), Tie: scanColumn(colUUID), Zone: "UTC"}}
		every := &expr.Const{Value: &vec.Vector{Type: vec.T(vec.Bool), Form: vec.Const, Bools: []bool{true}}}
		if r.Intn(2) == 0 {
			n.Start = every
		}
		switch r.Intn(6) {
		case 0, 1:
			n.Every = vec.IntervalValue{Months: 1}
		case 2:
			n.Brackets = []int{1 + r.Intn(2), 4, 5 + r.Intn(3)}
		}
		if r.Intn(2) == 0 {
			from := time.Date(2026, 2, 20+r.Intn(10), 0, 0, 0, 0, time.UTC).UnixMicro()
			n.From, n.To = timeConst(from), timeConst(from+int64(1+r.Intn(25))*day)
		}
		answer := func() []string {
			op, err := Build(n, env)
			if err != nil {
				t.Fatal(err)
			}
			defer op.Close()
			rows := rowsOf(t, op)
			if x, ok := op.(*retention); ok {
				if ix, ok := x.actors.(*indexed); ok && ix.only != nil {
					decided++
					if x.sameDay != nil {
						ordered++
					}
				}
			}
			if n.Output == plan.OutputActors {
				sort.Strings(rows)
			}
			return rows
		}
		got := answer()
		n.Input = &plan.Filter{Input: n.Input, Cond: every}
		if want := answer(); !slices.Equal(got, want) {
			t.Fatalf("seed %d: %+v\ngot  %q\nwant %q", seed, n, got, want)
		}
		sn.Release()
		st.Close()
	}
	if least := int(tries(8)); ordered < least || decided-ordered < least {
		t.Errorf("%d of %d answers from days had the order of rows", ordered, decided)
	}
}
