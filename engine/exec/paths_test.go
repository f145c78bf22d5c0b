package exec

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand"
	"slices"
	"sort"
	"testing"
	"time"

	"github.com/prickledb/prickle/engine/catalog"
	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage"
	"github.com/prickledb/prickle/storage/event"
	"github.com/prickledb/prickle/storage/vec"
	"github.com/prickledb/prickle/storage/vfs"
)

// emptyStore has a project without events, which the first entry has made.
func emptyStore(t *testing.T) *storage.Store {
	t.Helper()
	st, err := storage.Open(vfs.NewMem(), "data", storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := st.ApplyProject(1, 1, storage.ProjectEdit{Create: &storage.ProjectSpec{Name: "p", Token: "t"}}); err != nil {
		t.Fatal(err)
	}
	return st
}

// randomStore makes a store of random events, spread over segments of days and months and
// the memtable, with persons merged before and after rows were written.
func randomStore(t *testing.T, r *rand.Rand) *storage.Store {
	t.Helper()
	st := emptyStore(t)
	index, next := uint64(1), uint64(0)
	start := time.Date(2026, 2, 20, 0, 0, 0, 0, time.UTC).UnixMicro()
	merges, people := r.Intn(2)*12, 40+r.Intn(2)*60
	for range 1 + r.Intn(6) {
		b := event.NewBuilder()
		for range 1 + r.Intn(150) {
			next++
			var uuid vec.UUIDValue
			binary.BigEndian.PutUint64(uuid[:], r.Uint64())
			binary.BigEndian.PutUint64(uuid[8:], next)
			// Half of the times are on a coarse grid, so that many are equal.
			at := start + int64(r.Intn(30*24))*3_600_000_000
			if r.Intn(2) == 0 {
				at += int64(r.Intn(3_600_000)) * 1000
			}
			b.Begin(uuid, at)
			b.SetName([]byte([]string{"a", "b", "c", "d"}[r.Intn(4)]))
			b.SetDistinctID([]byte(fmt.Sprint("u", r.Intn(people))))
			if r.Intn(3) > 0 {
				b.Property([]byte("plan"), event.Text, []byte([]string{"x", "y", "z"}[r.Intn(3)]))
			}
			if r.Intn(3) > 0 {
				b.Property([]byte("n"), event.Int, []byte(fmt.Sprint(r.Intn(10))))
			}
			if merges > 0 && r.Intn(150) < merges {
				b.Op(event.PersonOp{Kind: event.OpMergeDangerously, Other: fmt.Sprint("u", r.Intn(people))})
			}
			b.End()
		}
		index++
		if _, err := st.ApplyEvents(index, 1, 1, b.Finish()); err != nil {
			t.Fatal(err)
		}
		if r.Intn(2) == 0 {
			if err := st.Flush(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
		if r.Intn(3) > 0 {
			continue
		}
		for {
			p, ok := st.PlanMergeAll()
			if !ok {
				break
			}
			index += 2
			if err := st.Merge(context.Background(), index-1, 0, p); err != nil {
				t.Fatal(err)
			}
		}
	}
	return st
}

// The columns of the scans below.
const (
	colPerson = iota
	colTime
	colUUID
	colEvent
	colPlan
	colN
	colBorn
	colNone
)

func eventsScan() *plan.Scan {
	text := vec.T(vec.Text)
	return &plan.Scan{Table: catalog.Builtin()[0], Columns: []plan.ScanColumn{
		{Column: "person_id", Type: vec.T(vec.UUID), Name: "person_id"},
		{Column: "timestamp", Type: vec.T(vec.TimestampTZ), Name: "timestamp"},
		{Column: "uuid", Type: vec.T(vec.UUID), Name: "uuid"},
		{Column: "event", Type: text, Name: "event"},
		{Column: "properties", Path: []string{"plan"}, Type: text, Name: "plan"},
		{Column: "properties", Path: []string{"n"}, Type: vec.T(vec.Float8), Name: "n"},
		{Column: "person.created_at", Type: vec.T(vec.TimestampTZ), Name: "born"},
		{Column: "properties", Path: []string{"none"}, Type: text, Name: "none"}}}
}

func scanColumn(i int) expr.Expr {
	c := eventsScan().Columns[i]
	return &expr.Column{Index: i, T: c.Type, Name: c.Name}
}

func equals(t *testing.T, column int, v *vec.Vector) expr.Expr {
	t.Helper()
	v.Form = vec.Const
	e, err := expr.NewOperator("=", scanColumn(column), &expr.Const{Value: v})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// randomCond is a condition on rows: an event, perhaps a property, or several events.
func randomCond(t *testing.T, r *rand.Rand) expr.Expr {
	name := func() expr.Expr {
		return equals(t, colEvent, &vec.Vector{Type: vec.T(vec.Text), Str: vec.StringsOf([]string{"a", "b", "c", "d", "none"}[r.Intn(5)])})
	}
	plan := equals(t, colPlan, &vec.Vector{Type: vec.T(vec.Text), Str: vec.StringsOf([]string{"x", "y"}[r.Intn(2)])})
	switch r.Intn(9) {
	case 8: // days, or parts of them
		at := time.Date(2026, 2, 21+r.Intn(25), 12*r.Intn(2), 0, 0, 0, time.UTC).UnixMicro()
		bound, err := expr.NewOperator([]string{"<", "<=", ">", ">="}[r.Intn(4)], scanColumn(colTime), timeConst(at))
		if err != nil {
			t.Fatal(err)
		}
		return &expr.And{Args: []expr.Expr{name(), bound}}
	case 6:
		born := time.Date(2026, 2, 20+r.Intn(9), 12, 0, 0, 0, time.UTC).UnixMicro()
		old, err := expr.NewOperator([]string{"<", ">="}[r.Intn(2)], scanColumn(colBorn), timeConst(born))
		if err != nil {
			t.Fatal(err)
		}
		return &expr.And{Args: []expr.Expr{name(), old}}
	case 7:
		return &expr.And{Args: []expr.Expr{name(), &expr.IsNull{E: scanColumn(colNone), Not: r.Intn(4) == 0}}}
	case 0:
		return &expr.And{Args: []expr.Expr{name(), plan}}
	case 1:
		return &expr.Or{Args: []expr.Expr{name(), name()}}
	case 2:
		return &expr.Or{Args: []expr.Expr{name(), plan}}
	}
	return name()
}

func randomNode(t *testing.T, r *rand.Rand) (plan.Node, *plan.Source) {
	src := plan.Source{Input: eventsScan(), Actor: scanColumn(colPerson), Time: scanColumn(colTime), Tie: scanColumn(colUUID)}
	src.Zone = []string{"UTC", "UTC", "UTC", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe"}[r.Intn(6)]
	if r.Intn(3) == 0 {
		src.Where = randomCond(t, r)
	}
	if r.Intn(2) == 0 {
		from := time.Date(2026, 2, 18+r.Intn(20), 0, 0, 0, 0, time.UTC).UnixMicro()
		to := from + int64(1+r.Intn(20))*day
		if r.Intn(2) == 0 {
			from += int64(r.Intn(100_000_000)) * 1000
			to += int64(r.Intn(100_000_000)) * 1000
		}
		src.From, src.To = timeConst(from), timeConst(to)
	}
	if r.Intn(3) == 0 {
		src.Breakdown = &plan.Breakdown{Exprs: []expr.Expr{scanColumn(colPlan)}, Names: []string{"plan"}, Attribute: plan.Attribute(r.Intn(3))}
		if r.Intn(2) == 0 {
			src.Breakdown.Top = 1 + r.Intn(2)
		}
	}
	every := []vec.IntervalValue{{Days: 1}, {Days: 7}, {Months: 1}, {Micros: 3_600_000_000}, {Days: 3}}[r.Intn(5)]
	outputs := []plan.Output{plan.OutputDefault, plan.OutputActors}
	switch r.Intn(8) {
	case 3:
		n := randomCompatNode(t, r, src)
		return n, &n.Source
	case 4:
		src.Compatible = r.Intn(2) == 0
		n := &plan.Paths{Source: src, Node: scanColumn(colEvent), Depth: r.Intn(6), Gap: vec.IntervalValue{Micros: int64(1+r.Intn(72)) * 3_600_000_000},
			EdgesTop: r.Intn(2) * 5, Output: append(outputs, plan.OutputTransitions)[r.Intn(3)]}
		if r.Intn(3) == 0 {
			n.StartAt = randomCond(t, r)
		}
		if r.Intn(3) == 0 {
			n.EndAt = randomCond(t, r)
		}
		if n.Breakdown != nil {
			n.Breakdown.WithOther = n.Breakdown.Top > 0 && r.Intn(2) == 0
		}
		return n, &n.Source
	case 0:
		n := &plan.Funnel{Source: src, Output: outputs[r.Intn(2)], Entry: plan.Entry(r.Intn(4))}
		for s := range 2 + r.Intn(3) {
			n.Steps = append(n.Steps, plan.Step{Name: fmt.Sprint("s", s), Cond: randomCond(t, r)})
		}
		if r.Intn(4) > 0 {
			n.Within = &vec.IntervalValue{Days: int32(r.Intn(5)), Micros: int64(r.Intn(8)) * 3_600_000_000}
		}
		if n.Breakdown != nil {
			n.Breakdown.WithOther = r.Intn(2) == 0
			n.Breakdown.Attribute = plan.Attribute(r.Intn(4))
		}
		if r.Intn(2) == 0 {
			randomClauses(t, r, n)
		}
		return n, &n.Source
	case 1:
		n := &plan.Retention{Source: src, Start: randomCond(t, r), Rule: plan.StartRule(r.Intn(3)), Minimum: 1 + r.Intn(2),
			Every: every, Periods: r.Intn(6), Output: append(outputs, plan.OutputCurve)[r.Intn(3)]}
		if r.Intn(2) == 0 {
			n.Return = randomCond(t, r)
		}
		return n, &n.Source
	}
	if r.Intn(2) == 0 {
		return randomInsight(t, r, src, every)
	}
	n := &plan.Trends{Source: src, Every: &every, Series: []plan.Series{
		{Name: "count", Of: just(countAll), Where: randomCond(t, r)},
		{Name: "actors", Measure: plan.MeasureActors, Where: randomCond(t, r)},
		{Name: "rolling", Measure: plan.MeasureRolling, Rolling: vec.IntervalValue{Days: int32(1 + r.Intn(9))}, Where: randomCond(t, r)},
		{Name: "sum", Of: just(plan.AggCall{Name: "sum", Args: []expr.Expr{scanColumn(colN)}, T: vec.T(vec.Float8)})}}}
	if r.Intn(8) == 0 {
		n.Every = nil
	}
	if r.Intn(2) == 0 && n.From != nil {
		n.Compatible, n.Sunday = true, r.Intn(2) == 0
		n.Series = append(n.Series[:3:3],
			plan.Series{Name: "new", Measure: plan.MeasureNew, Where: randomCond(t, r)},
			plan.Series{Name: "each", Measure: plan.MeasurePerActor, Of: just(countAll), Where: randomCond(t, r),
				Outer: just(plan.AggCall{Name: "max", Args: []expr.Expr{&expr.Column{T: vec.T(vec.Int8)}}, T: vec.T(vec.Int8)})})
		n.Series = n.Series[r.Intn(5):][:1]
		n.Cumulative = r.Intn(3) == 0 && n.Every != nil
		if n.Breakdown != nil {
			n.Breakdown.WithOther = r.Intn(2) == 0
		}
	}
	if !n.Compatible {
		randomMade(t, r, n)
	}
	return n, &n.Source
}

// randomMade lets more be made of the series of TRENDS.
func randomMade(t *testing.T, r *rand.Rand, n *plan.Trends) {
	n.Cumulative = r.Intn(4) == 0
	if r.Intn(4) == 0 {
		n.Smooth = 3
	}
	if n.Breakdown != nil {
		n.Breakdown.WithOther = r.Intn(2) == 0
	}
	switch r.Intn(4) {
	case 0:
		n.Compare = &vec.IntervalValue{Days: int32(1 + r.Intn(20))}
	case 1:
		if n.From != nil {
			n.Compare = &vec.IntervalValue{}
		}
	}
	if r.Intn(4) == 0 {
		n.Formulas = []plan.Formula{{Name: "f", Value: made(t, "+", &expr.Column{T: n.Values()[0].Type}, &expr.Column{Index: 1, T: n.Values()[1].Type})}}
	}
}

// randomClauses gives a funnel more clauses.
func randomClauses(t *testing.T, r *rand.Rand, n *plan.Funnel) {
	n.Mode = plan.Mode(r.Intn(3))
	for s := range n.Steps {
		if st := &n.Steps[s]; s > 0 && n.Mode != plan.Unordered {
			st.Optional = r.Intn(4) == 0
			if r.Intn(4) == 0 {
				st.Within = &vec.IntervalValue{Days: int32(r.Intn(3)), Micros: 3_600_000_000}
			}
		}
	}
	if r.Intn(3) == 0 {
		n.Exclude = []plan.Exclusion{{Cond: randomCond(t, r), Before: -1, Drop: r.Intn(2) == 0}}
	}
	if r.Intn(3) == 0 {
		n.Holding = []expr.Expr{scanColumn(colPlan), scanColumn(colN)}[:1+r.Intn(2)]
	}
	if r.Intn(4) == 0 {
		n.Output, n.Trend = plan.OutputTrend, &plan.Trend{Every: vec.IntervalValue{Days: 1}, Actors: r.Intn(2) == 0, To: -1}
	}
}

// randomCompatNode is a funnel by the rules of the insight queries.
func randomCompatNode(t *testing.T, r *rand.Rand, src plan.Source) *plan.Funnel {
	src.Compatible = true
	n := &plan.Funnel{Source: src, Mode: plan.Mode(r.Intn(3)), Person: src.Actor,
		Within: &vec.IntervalValue{Days: int32(r.Intn(5)), Micros: int64(1+r.Intn(8)) * 3_600_000_000}}
	n.Output = []plan.Output{plan.OutputDefault, plan.OutputActors, plan.OutputTrend}[r.Intn(3)]
	steps := 2 + r.Intn(3)
	for s := range steps {
		st := plan.Step{Name: fmt.Sprint("s", s), Cond: randomCond(t, r)}
		if r.Intn(5) == 0 {
			st.First = randomCond(t, r)
		}
		st.Optional = s > 0 && n.Mode != plan.Unordered && n.Output != plan.OutputTrend && r.Intn(5) == 0
		n.Steps = append(n.Steps, st)
	}
	if r.Intn(3) == 0 {
		n.Exclude = []plan.Exclusion{{Cond: randomCond(t, r), After: 0, Before: steps - 1}}
	}
	if n.Output == plan.OutputTrend {
		n.Trend = &plan.Trend{Every: vec.IntervalValue{Days: 1}, Actors: r.Intn(2) == 0, To: steps - 1}
	}
	if n.Breakdown != nil {
		n.Breakdown.WithOther = r.Intn(2) == 0
		n.Breakdown.Attribute = plan.Attribute(r.Intn(4))
	}
	return n
}

// just is the value of one aggregate.
func just(call plan.AggCall) plan.Computed {
	return plan.Computed{Aggs: []plan.AggCall{call}, Value: &expr.Column{T: call.T, Name: call.Name}}
}

// randomInsight is a retention by the insights' rules, a lifecycle or a stickiness.
func randomInsight(t *testing.T, r *rand.Rand, src plan.Source, every vec.IntervalValue) (plan.Node, *plan.Source) {
	if src.From == nil {
		src.From = timeConst(time.Date(2026, 2, 22, 0, 0, 0, 0, time.UTC).UnixMicro())
		src.To = timeConst(time.Date(2026, 3, 9, 0, 0, 0, 0, time.UTC).UnixMicro())
	}
	src.Compatible = true
	output := plan.Output(r.Intn(2))
	switch r.Intn(3) {
	case 0:
		n := &plan.Lifecycle{Source: src, Every: every, Output: output}
		if r.Intn(2) == 0 { // any time will do
			n.Created = scanColumn([]int{colTime, colBorn}[r.Intn(2)])
			n.Breakdown = nil
		}
		return n, &n.Source
	case 1:
		src.Breakdown = nil
		n := &plan.Stickiness{Source: src, Every: every, Units: 1, Times: 1 + r.Intn(2), Bound: plan.Bound(r.Intn(3)), OrMore: r.Intn(2) == 0, Output: output}
		if r.Intn(2) == 0 {
			n.AlignTo = n.To
		}
		for _, name := range []string{"a", "b", "c"}[:1+r.Intn(3)] {
			n.Series = append(n.Series, plan.StickinessSeries{Name: name, Cond: randomCond(t, r)})
		}
		return n, &n.Source
	}
	n := &plan.Retention{Source: src, Start: randomCond(t, r), Rule: plan.StartRule(r.Intn(3)), Minimum: 1 + r.Intn(2),
		Every: every, Periods: r.Intn(6), Output: output, OrAfter: r.Intn(3) == 0, ByActor: r.Intn(3) == 0}
	if n.Return = n.Start; r.Intn(2) == 0 {
		n.Return = randomCond(t, r)
	}
	if n.Rule == plan.FirstEver && r.Intn(2) == 0 {
		n.FirstOf = randomCond(t, r)
	}
	if n.Breakdown != nil {
		n.Breakdown.WithOther = r.Intn(2) == 0
	}
	switch r.Intn(3) {
	case 0:
		n.Brackets = []int{1, 3, 9}
	case 1:
		if !n.ByActor {
			n.Measure = &plan.AggCall{Name: []string{"sum", "avg"}[r.Intn(2)], Args: []expr.Expr{scanColumn(colN)}, T: vec.T(vec.Float8)}
		}
	}
	return n, &n.Source
}

// TestRoadsAgree runs random native operators over random stores twice: through the
// indexes of the segments, on several goroutines, and as rows that are read, grouped and
// sorted. The answers must be the same.
func TestRoadsAgree(t *testing.T) {
	stores := 40
	if testing.Short() {
		stores = 5
	}
	for seed := range int64(stores) {
		r := rand.New(rand.NewSource(seed))
		st := randomStore(t, r)
		for k := range 40 {
			n, _ := randomNode(t, r)
			road := func(threads int, input func(plan.Node) plan.Node) []string {
				sn, err := st.Snapshot(1)
				if err != nil {
					t.Fatal(err)
				}
				defer sn.Release()
				env := testEnv(time.Date(2026, 3, 12, 5, 0, 0, 0, time.UTC).UnixMicro())
				env.Threads, env.Snapshot = threads, sn
				if (k+threads)%2 == 0 {
					env.Disabled = []string{plan.JoinedRanges}
				}
				run := n.WithInputs([]plan.Node{input(n.Inputs()[0])})
				if threads > 1 { // with the scan's hints, by which segments are left out
					run = plan.Rewrite(run)
				}
				op, err := Build(run, env)
				if err != nil {
					t.Fatal(err)
				}
				rows := rowsOf(t, op)
				sort.Strings(rows)
				return rows
			}
			same := func(n plan.Node) plan.Node { return n }
			// A limit that drops nothing keeps the operator from seeing the scan.
			want := road(1, func(n plan.Node) plan.Node { return &plan.Limit{Input: n} })
			for _, threads := range []int{1, 3} {
				if got := road(threads, same); !slices.Equal(got, want) {
					t.Fatalf("seed %d.%d on %d threads: %T\n%+v\nindexed %d rows %q\nplain   %d rows %q", seed, k, threads, n, n, len(got), got, len(want), want)
				}
			}
		}
		if err := st.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
