package exec

import (
	"fmt"
	"math/rand"
	"slices"
	"sort"
	"testing"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage"
	"github.com/prickledb/prickle/storage/event"
	"github.com/prickledb/prickle/storage/segment"
	"github.com/prickledb/prickle/storage/vec"
)

// storeOfNames has events of as many names as asked for, in each of two segments and in the memtable. It
// returns the names, too.
func storeOfNames(t *testing.T, names int) (*storage.Snapshot, []string) {
	t.Helper()
	st := emptyStore(t)
	t.Cleanup(func() { st.Close() })
	all := make([]string, names)
	for i := range all {
		all[i] = fmt.Sprint("event ", i)
	}
	for part := range 3 {
		b := event.NewBuilder()
		for i := range 2 * names {
			at := time.Date(2026, 2, 1+part, 0, i%60, i/60%60, 0, time.UTC)
			b.Begin(vec.UUIDValue{byte(part + 1), byte(i), byte(i >> 8), 1}, at.UnixMicro())
			b.SetName([]byte(all[i/2]))
			b.SetDistinctID([]byte(fmt.Sprint("u", (i*7+part)%11)))
			if i%3 > 0 {
				b.Property([]byte("plan"), event.Text, []byte(fmt.Sprint(i%5)))
			}
			b.End()
		}
		if _, err := st.ApplyEvents(uint64(part+2), 1, 1, b.Finish()); err != nil {
			t.Fatal(err)
		}
		if part == 2 {
			break
		}
		if err := st.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	sn, err := st.Snapshot(1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sn.Release)
	return sn, all
}

// call is a function of columns and constants.
func call(t *testing.T, name string, args ...expr.Expr) expr.Expr {
	t.Helper()
	types := make([]vec.Type, len(args))
	for i, a := range args {
		types[i] = a.Type()
	}
	o, err := expr.Resolve(name, types)
	if err != nil {
		t.Fatal(err)
	}
	return expr.NewCall(o, args)
}

func constOf(text string) expr.Expr { return &expr.Const{Value: constText(text)} }

func intConst(x int64) expr.Expr {
	return &expr.Const{Value: &vec.Vector{Type: vec.T(vec.Int8), Form: vec.Const, I64: []int64{x}}}
}

func operator(t *testing.T, name string, args ...expr.Expr) expr.Expr {
	t.Helper()
	e, err := expr.NewOperator(name, args...)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// TestRangesOfNamedEvents looks only at the ranges of the names that a scan asks for.
func TestRangesOfNamedEvents(t *testing.T) {
	sn, names := storeOfNames(t, 40)
	for _, wanted := range [][]string{nil, {}, {"event 3"}, {"event 1", "event 39", "nothing"}} {
		sc := eventsScan()
		sc.Events = wanted
		for _, seg := range sn.Segments() {
			var got []string
			for _, rng := range rangesOf(sc, seg) {
				got = append(got, rng.Event)
			}
			var want []string
			for _, name := range names {
				if wanted == nil || slices.Contains(wanted, name) {
					want = append(want, name)
				}
			}
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("ranges of %q are %q, want %q", wanted, got, want)
			}
		}
	}
}

// TestNamesAreDecidedTogether decides conditions on names for all ranges at once as for each of them, and
// leaves it to each where one of them fails.
func TestNamesAreDecidedTogether(t *testing.T) {
	sn, names := storeOfNames(t, 40)
	name := scanColumn(colEvent)
	long := call(t, "length", name) // 7 or 8
	// It fails for the names of ten events.
	fails := operator(t, ">", operator(t, "/", intConst(1), operator(t, "-", long, intConst(7))), intConst(0))
	conds := map[string][]expr.Expr{
		"all":      {operator(t, ">", long, intConst(0))},
		"none":     {operator(t, ">", long, intConst(9))},
		"some":     {operator(t, "=", long, intConst(8)), operator(t, ">", name, constOf("event 2"))},
		"failing":  {fails},
		"in order": {operator(t, "=", long, intConst(8)), fails},
	}
	for what, list := range conds {
		ctx := testEnv(0).Expr
		together, apart := newRowFilter(eventsScan(), list...), newRowFilter(eventsScan(), list...)
		for _, seg := range sn.Segments() {
			together.decideNames(ctx, seg.Ranges())
			if want := len(names); what != "failing" && len(together.cache) != want {
				t.Errorf("%s: %d names are decided, want %d", what, len(together.cache), want)
			}
			for _, rng := range seg.Ranges() {
				_, got, err := together.forRange(ctx, rng)
				_, want, wantErr := apart.forRange(ctx, rng)
				if got != want || (err == nil) != (wantErr == nil) || (err != nil) != (what == "failing" && len(rng.Event) == 7) {
					t.Errorf("%s: %s is %t, %v; want %t, %v", what, rng.Event, got, err, want, wantErr)
				}
			}
		}
	}
}

// TestCountsByName counts rows and persons by what the names of events say: no row is looked at for itself,
// and no key is computed of a name without a row that counts.
func TestCountsByName(t *testing.T) {
	for _, many := range []int{12, 5000} {
		sn, _ := storeOfNames(t, many)
		name := scanColumn(colEvent)
		short := call(t, "length", name)
		person := []expr.Expr{scanColumn(colPerson)}
		only := equals(t, colEvent, &vec.Vector{Type: vec.T(vec.Text), Str: vec.StringsOf("event 3")})
		from := func(op string, days int) expr.Expr {
			return operator(t, op, scanColumn(colTime), timeConst(time.Date(2026, 2, 1+days, 0, 0, 30, 0, time.UTC).UnixMicro()))
		}
		// The key of a name of seven letters cannot be computed, and no row of one counts.
		fails := operator(t, "/", intConst(1), operator(t, "-", short, intConst(7)))
		long := operator(t, ">", short, intConst(7))
		r := rand.New(rand.NewSource(1))
		for i, n := range []*plan.Aggregate{
			{Input: eventsScan(), Keys: []expr.Expr{name}},
			{Input: eventsScan(), Keys: []expr.Expr{short}},
			{Input: eventsScan(), Keys: []expr.Expr{short, name}},
			{Input: eventsScan()},
			{Input: &plan.Filter{Input: eventsScan(), Cond: from(">", 1)}, Keys: []expr.Expr{name}},
			{Input: &plan.Filter{Input: eventsScan(), Cond: from("<", 2)}, Keys: []expr.Expr{short}},
			{Input: &plan.Filter{Input: eventsScan(), Cond: equals(t, colPlan, &vec.Vector{Type: vec.T(vec.Text), Str: vec.StringsOf("3")})}, Keys: []expr.Expr{name}},
			{Input: &plan.Filter{Input: eventsScan(), Cond: &expr.And{Args: []expr.Expr{operator(t, ">", operator(t, "+", short, intConst(0)), intConst(7)), from(">", 0)}}}, Keys: []expr.Expr{fails}},
			{Input: &plan.Filter{Input: eventsScan(), Cond: &expr.Or{Args: []expr.Expr{&expr.And{Args: []expr.Expr{long, from(">", 0)}}, from(">", 90)}}}, Keys: []expr.Expr{fails}},
			{Input: &plan.Filter{Input: eventsScan(), Cond: from(">", 90)}, Keys: []expr.Expr{name}},
			{Input: &plan.Filter{Input: eventsScan(), Cond: from(">", 90)}},
		} {
			n.Aggs = []plan.AggCall{{Name: "count", T: vec.T(vec.Int8)}, {Name: "count", Args: person, Distinct: true, T: vec.T(vec.Int8)},
				{Name: "count", Args: person, Distinct: true, Filter: only, T: vec.T(vec.Int8)}}
			n.Names = make([]string, len(n.Keys)+len(n.Aggs))
			answer := func(without ...string) []string {
				env := testEnv(0)
				env.Snapshot, env.Disabled, env.Threads = sn, without, 1+r.Intn(3)
				op, err := Build(n, env)
				if err != nil {
					t.Fatal(err)
				}
				defer op.Close()
				rows := rowsOf(t, op)
				if c, ok := op.(*runCount); len(without) == 0 && (!ok || c.plain != nil) {
					t.Errorf("%d names, count %d: not of the run indexes", many, i)
				}
				if held := env.Progress.Memory.Load(); len(without) == 0 && held == 0 {
					t.Errorf("%d names, count %d: takes no memory", many, i)
				}
				sort.Strings(rows)
				return rows
			}
			if got, want := answer(), answer(plan.CountRuns); !slices.Equal(got, want) {
				t.Errorf("%d names, count %d:\ngot  %q\nwant %q", many, i, got, want)
			}
		}
	}
}

// TestCountsOfFewRowsARange leaves counts by a property to the scan, which reads small ranges together, where there
// are very many of them; and counts by name and property to the run indexes.
func TestCountsOfFewRowsARange(t *testing.T) {
	person := plan.AggCall{Name: "count", Args: []expr.Expr{scanColumn(colPerson)}, Distinct: true, T: vec.T(vec.Int8)}
	for names, scanned := range map[int]bool{20: false, fewRanges: true} {
		sn, _ := storeOfNames(t, names)
		for _, named := range []bool{false, true} {
			n := &plan.Aggregate{Input: eventsScan(), Keys: []expr.Expr{scanColumn(colPlan)}, Aggs: []plan.AggCall{person}}
			if named {
				n.Keys = append(n.Keys, scanColumn(colEvent))
			}
			n.Names = make([]string, len(n.Keys)+1)
			answer := func(without ...string) (rows []string, plain bool) {
				env := testEnv(0)
				env.Snapshot, env.Disabled = sn, without
				op, err := Build(n, env)
				if err != nil {
					t.Fatal(err)
				}
				defer op.Close()
				rows = rowsOf(t, op)
				sort.Strings(rows)
				c, ok := op.(*runCount)
				return rows, !ok || c.plain != nil
			}
			got, plain := answer()
			if want, _ := answer(plan.CountRuns); !slices.Equal(got, want) {
				t.Errorf("%d names, by name %t:\ngot  %q\nwant %q", names, named, got, want)
			}
			if plain != (scanned && !named) {
				t.Errorf("%d names, by name %t: scanned %t", names, named, plain)
			}
		}
	}
}

// TestMetadataOfManyNames answers from what segments and ranges say what rows say.
func TestMetadataOfManyNames(t *testing.T) {
	sn, _ := storeOfNames(t, 300)
	name := scanColumn(colEvent)
	for _, cond := range []expr.Expr{nil, operator(t, ">", call(t, "length", name), intConst(8)), operator(t, ">", call(t, "length", name), intConst(9))} {
		n := &plan.Aggregate{Input: eventsScan(), Names: make([]string, 5), Aggs: []plan.AggCall{{Name: "count", T: vec.T(vec.Int8)}}}
		for _, c := range []int{colEvent, colTime} {
			for _, f := range []string{"min", "max"} {
				n.Aggs = append(n.Aggs, plan.AggCall{Name: f, Args: []expr.Expr{scanColumn(c)}, T: scanColumn(c).Type()})
			}
		}
		if cond != nil {
			n.Input = &plan.Filter{Input: n.Input, Cond: cond}
		}
		answer := func(n plan.Node) []string {
			env := testEnv(0)
			env.Snapshot = sn
			op, err := Build(n, env)
			if err != nil {
				t.Fatal(err)
			}
			defer op.Close()
			return rowsOf(t, op)
		}
		if got, want := answer(n), answer(n.WithInputs([]plan.Node{&plan.Limit{Input: n.Input}})); !slices.Equal(got, want) {
			t.Errorf("condition %v:\ngot  %q\nwant %q", cond, got, want)
		}
	}
}

// TestDaysIntervalOfManySources takes more persons at a time where their runs are spread over many ranges.
func TestDaysIntervalOfManySources(t *testing.T) {
	source := daySource{stream: &stream{runs: &segment.Runs{Ordinals: make([]uint32, 100)}}}
	ix := &indexed{env: testEnv(0), total: 1_000_000}
	for sources, want := range map[int]int{0: dayInterval, 1: 160_000, 1000: 160_000} {
		list := slices.Repeat([]daySource{source}, sources)
		if got := ix.daysInterval([][]daySource{list}); got != want {
			t.Errorf("%d sources of 100 runs: %d persons at a time, want %d", sources, got, want)
		}
	}
	source.runs = &segment.Runs{Ordinals: make([]uint32, 500_000)}
	if got := ix.daysInterval([][]daySource{{source}}); got != dayInterval {
		t.Errorf("a source of 500,000 runs: %d persons at a time, want %d", got, dayInterval)
	}
}

// TestTrendsOfManyNames counts the rows of very many small ranges, some of them together, as if they came row
// by row.
func TestTrendsOfManyNames(t *testing.T) {
	sn, _ := storeOfNames(t, 300)
	first := time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC).UnixMicro()
	some := operator(t, ">", call(t, "length", scanColumn(colEvent)), intConst(8))
	threes := equals(t, colPlan, &vec.Vector{Type: vec.T(vec.Text), Str: vec.StringsOf("3")})
	// It reads the name and a property: what holds for a value of one event does not for that of another.
	mixed := operator(t, "=", operator(t, "||", scanColumn(colEvent), scanColumn(colPlan)), constOf("event 121"))
	for i, where := range []expr.Expr{nil, some, threes, mixed} {
		for _, by := range [][]expr.Expr{nil, {scanColumn(colPlan)}, {call(t, "length", scanColumn(colEvent))}, {scanColumn(colPlan), call(t, "length", scanColumn(colEvent))}} {
			for _, from := range []int64{first + 61*1_000_000, first, first + day}[:tries(3)] {
				n := &plan.Trends{Source: plan.Source{Input: eventsScan(), Actor: scanColumn(colPerson), Time: scanColumn(colTime), Zone: "UTC", From: timeConst(from), To: timeConst(first + 3*day)},
					Every: &vec.IntervalValue{Micros: 3600 * 1_000_000}, Series: []plan.Series{{Name: "rows", Of: plan.Computed{Aggs: []plan.AggCall{{Name: "count", T: vec.T(vec.Int8)}}, Value: &expr.Column{T: vec.T(vec.Int8)}}, Where: where}, {Name: "persons", Measure: plan.MeasureActors, Where: where}}}
				if by != nil {
					n.Breakdown = &plan.Breakdown{Exprs: by, Names: make([]string, len(by))}
				}
				answer := func(n plan.Node, without ...string) []string {
					env := testEnv(first + 9*day)
					env.Snapshot, env.Disabled = sn, without
					return sortedAnswer(t, n, env)
				}
				want := answer(n.WithInputs([]plan.Node{&plan.Limit{Input: n.Input}}))
				for _, got := range [][]string{answer(n), answer(n, plan.JoinedRanges)} {
					if !slices.Equal(got, want) {
						t.Errorf("condition %d, by %v, from %d:\ngot  %q\nwant %q", i, by, from, got, want)
					}
				}
			}
		}
	}
}

// TestScansOfManyNames reads rows of rare events in batches of many names, which say what each range says for
// itself: in the order of the rows, with or without weights.
func TestScansOfManyNames(t *testing.T) {
	sn, names := storeOfNames(t, 300)
	slices.Sort(names)
	all := eventsScan().Columns
	for _, columns := range [][]plan.ScanColumn{all, {all[colEvent]}, {all[colPlan], all[colEvent]}, {all[colPerson], all[colPlan], all[colNone]}} {
		for _, wanted := range [][]string{nil, {names[5]}, names[7:200], append(slices.Clone(names[:40]), names[60:]...)} {
			sc := eventsScan()
			sc.Columns, sc.Events = columns, wanted
			env := testEnv(0)
			env.Snapshot, env.Threads = sn, 1
			var want []string
			ranges := 0
			for _, seg := range sn.Segments() {
				for _, rng := range rangesOf(sc, seg) {
					ranges++
					cols := make([]*vec.Vector, len(columns))
					for i, c := range columns {
						read, err := eventColumn(c, env)
						if err == nil {
							cols[i], err = read(nil, morselOf(seg, rng), rng.Lo, rng.Hi)
						}
						if err != nil {
							t.Fatal(err)
						}
					}
					for i := range rng.Hi - rng.Lo {
						want = append(want, lineOf(cols, i))
					}
				}
			}
			for _, weights := range []bool{false, true} {
				batches := 0
				got := weighedLines(t, sc, env, weights, func(*vec.Batch) { batches++ })
				if !slices.Equal(got, want) {
					t.Errorf("%d columns of %d names, weights %t:\ngot  %q\nwant %q", len(columns), len(wanted), weights, got, want)
				}
				if most := 2 * len(sn.Segments()); batches > most { // names that are left out divide a segment
					t.Errorf("%d ranges are read in %d batches, want %d at most", ranges, batches, most)
				}
			}
		}
	}
}

// TestEachPosition visits what is in both of two sets, whichever is larger.
func TestEachPosition(t *testing.T) {
	r := rand.New(rand.NewSource(1))
	for range 300 {
		set, all := roaring.New(), 1+r.Intn(3000)
		var ordinals, want, got []uint32
		a, b := 1+r.Intn(40), 1+r.Intn(40)
		for o := range uint32(all) {
			in := r.Intn(a) == 0
			if in {
				set.Add(o)
			}
			if r.Intn(b) == 0 {
				if ordinals = append(ordinals, o); in {
					want = append(want, o)
				}
			}
		}
		eachPosition(ordinals, set, func(at int, o uint32) {
			if got = append(got, o); ordinals[at] != o {
				t.Fatalf("position %d is %d, want %d", at, ordinals[at], o)
			}
		})
		if !slices.Equal(got, want) {
			t.Fatalf("%d of %d ordinals: %d are visited, want %d", set.GetCardinality(), len(ordinals), len(got), len(want))
		}
	}
}
