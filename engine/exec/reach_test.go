package exec

import (
	"fmt"
	"math/rand"
	"slices"
	"strings"
	"testing"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/vec"
)

// randomEventFunnel is a funnel whose steps are events, of which runs alone tell who can do them.
func randomEventFunnel(t *testing.T, r *rand.Rand) *plan.Funnel {
	event := func(name byte) expr.Expr {
		return equals(t, colEvent, &vec.Vector{Type: vec.T(vec.Text), Str: vec.StringsOf(string(name))})
	}
	n := &plan.Funnel{Source: plan.Source{Input: eventsScan(), Actor: scanColumn(colPerson), Time: scanColumn(colTime), Tie: scanColumn(colUUID), Zone: "UTC"},
		Mode: plan.Mode(r.Intn(3)), Entry: plan.Entry(r.Intn(4))}
	names := r.Perm(len(liveNames))
	for s := range 1 + r.Intn(3) {
		cond := event(liveNames[names[s]])
		if r.Intn(5) == 0 {
			cond = &expr.And{Args: []expr.Expr{cond, equals(t, colPlan, &vec.Vector{Type: vec.T(vec.Text), Str: vec.StringsOf("x")})}}
		}
		n.Steps = append(n.Steps, plan.Step{Name: fmt.Sprint("s", s), Cond: cond})
	}
	if r.Intn(3) > 0 {
		n.Within = &vec.IntervalValue{Days: int32(r.Intn(20)), Micros: 3_600_000_000}
	}
	if r.Intn(3) > 0 {
		from := liveStart + int64(r.Intn(10))*day
		n.From, n.To = timeConst(from), timeConst(from+int64(1+r.Intn(40))*day)
	}
	if r.Intn(4) == 0 {
		n.Exclude = []plan.Exclusion{{Cond: event(liveNames[names[3]]), Before: -1, Drop: r.Intn(2) == 0}}
	}
	if r.Intn(4) == 0 {
		n.Breakdown = &plan.Breakdown{Exprs: []expr.Expr{scanColumn(colPlan)}, Names: []string{"plan"}, Attribute: plan.Attribute(r.Intn(4))}
	}
	if r.Intn(2) == 0 {
		n.Output = plan.OutputActors
	}
	if r.Intn(2) == 0 {
		for range n.Schema() {
			n.Unread = append(n.Unread, r.Intn(3) == 0)
		}
	}
	return n
}

// TestFunnelsByReach asks funnels of a store that changes: who need not be looked at since runs
// tell how far they come makes no difference to an answer from rows.
func TestFunnelsByReach(t *testing.T) {
	seeds := int64(6)
	if testing.Short() {
		seeds = 3
	}
	for seed := range seeds {
		m := newLiveModel(t, 100+seed)
		for step := range 30 {
			what := fmt.Sprintf("seed %d step %d: %s", seed, step, m.step())
			for range 12 {
				n := randomEventFunnel(t, m.r)
				want := m.road(n, 1, true)
				if got := m.road(n, 1+m.r.Intn(3), false); !slices.Equal(got, want) {
					t.Fatalf("%s: %+v\ngot  %q\nwant %q", what, n, got, want)
				}
				if n.Output != plan.OutputActors || n.Breakdown != nil {
					continue
				}
				n.Unread = nil // who converted is read
				all := m.road(n, 1, true)
				n.Converted = true
				want = slices.DeleteFunc(all, func(row string) bool { return strings.Fields(row)[2] != "true" })
				if got := m.road(n, 2, false); !slices.Equal(got, want) {
					t.Fatalf("%s: only converted: %+v\ngot  %q\nwant %q", what, n, got, want)
				}
			}
		}
		m.fail(m.st.Close())
	}
}

// TestRowTimes reads the times of segments that keep them and of such as do not.
func TestRowTimes(t *testing.T) {
	m := newLiveModel(t, 7)
	for range 20 {
		m.events()
	}
	m.flush()
	sn, err := m.st.Snapshot(1)
	m.fail(err)
	defer sn.Release()
	for _, seg := range sn.Segments() {
		want := make([]int64, seg.Rows())
		m.fail(seg.Times(want, 0, len(want)))
		for _, keep := range []bool{false, true} {
			var times rowTimes
			times.open(&indexed{keep: keep}, seg, len(want))
			for from := 0; from < len(want); {
				n := min(1+m.r.Intn(5), len(want)-from)
				got := make([]int64, n)
				m.fail(times.copy(got, from))
				if !slices.Equal(got, want[from:from+n]) {
					t.Fatalf("keep %v: times of rows %d to %d = %d, want %d", keep, from, from+n, got, want[from:from+n])
				}
				from += n + m.r.Intn(3)
			}
		}
	}
	m.fail(m.st.Close())
}
