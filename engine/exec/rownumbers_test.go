package exec

import (
	"fmt"
	"math/rand"
	"slices"
	"sort"
	"testing"
	"time"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage"
	"github.com/prickledb/prickle/storage/event"
	"github.com/prickledb/prickle/storage/vec"
	"github.com/prickledb/prickle/storage/vfs"
)

// TestRowNumbersByRunsAndBySorting numbers the rows of persons in both ways. Segments follow each other
// in time or do not, and persons are merged or are not.
func TestRowNumbersByRunsAndBySorting(t *testing.T) {
	seeds := int64(300)
	if testing.Short() {
		seeds = 60
	}
	numbered := map[string]int{}
	for seed := range seeds {
		r := rand.New(rand.NewSource(seed))
		st, kind := numbersStore(t, r)
		sn, err := st.Snapshot(1)
		if err != nil {
			t.Fatal(err)
		}
		for range 8 {
			n, window := randomNumbers(t, r, colPerson)
			answer := func(threads int, without ...string) []string {
				env := testEnv(0)
				env.Snapshot, env.Threads, env.Disabled, env.GroupsAt, env.Stats = sn, threads, without, 1, NewStats(n)
				op, err := Build(n, env)
				if err != nil {
					t.Fatal(err)
				}
				rows := rowsOf(t, op)
				if err := op.Close(); err != nil {
					t.Fatal(err)
				}
				if index := env.Stats.Node(window).Index.Load(); index != nil && len(without) == 0 {
					numbered[kind]++
				}
				if _, ok := n.(*plan.Filter); ok && env.Stats.Node(window).Rows.Load() < int64(len(rows)) {
					t.Errorf("seed %d: the window has %d rows, and the filter above it %d", seed, env.Stats.Node(window).Rows.Load(), len(rows))
				}
				sort.Strings(rows)
				return rows
			}
			if got, want := answer(1+r.Intn(3)), answer(1, plan.NumberRuns); !slices.Equal(got, want) {
				t.Fatalf("seed %d, %s: %+v\n%+v\ngot  %d %q\nwant %d %q", seed, kind, n, window, len(got), got, len(want), want)
			}
		}
		sn.Release()
		st.Close()
	}
	for _, kind := range []string{"in order", "in order, merged", "mixed", "mixed, merged"} {
		if numbered[kind] == 0 {
			t.Errorf("no rows %s were numbered by runs: %v", kind, numbered)
		}
	}
}

// numbersStore is some segments of events of few persons, and of what kind it is.
func numbersStore(t *testing.T, r *rand.Rand) (*storage.Store, string) {
	st := emptyStore(t)
	mixed, merged := r.Intn(2) == 0, r.Intn(2) == 0
	index, next := uint64(1), 0
	apply := func(b *event.Builder) {
		index++
		if _, err := st.ApplyEvents(index, 1, 1, b.Finish()); err != nil {
			t.Fatal(err)
		}
	}
	for day := range 1 + r.Intn(4) {
		b := event.NewBuilder()
		for range 20 + r.Intn(100) {
			next++
			if mixed {
				day = r.Intn(4)
			}
			b.Begin(vec.UUIDValue{byte(r.Intn(256)), byte(next), byte(next >> 8)}, time.Date(2026, 2, 21+day, r.Intn(24), 0, 0, 0, time.UTC).UnixMicro())
			b.SetName([]byte([]string{"a", "a", "b", "c"}[r.Intn(4)]))
			b.SetDistinctID([]byte(fmt.Sprint("u", r.Intn(12))))
			if r.Intn(3) > 0 {
				b.Property([]byte("plan"), event.Text, []byte([]string{"x", "y", "z"}[r.Intn(3)]))
			}
			b.Property([]byte("n"), event.Int, []byte(fmt.Sprint(r.Intn(10))))
			if merged && r.Intn(40) == 0 {
				b.Op(event.PersonOp{Kind: event.OpMergeDangerously, Other: fmt.Sprint("u", r.Intn(12))})
			}
			b.End()
		}
		apply(b)
		if err := st.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	kind := "in order"
	if mixed {
		kind = "mixed"
	}
	if merged {
		kind += ", merged"
	}
	return st, kind
}

// randomNumbers is a plan with row_number() over the rows with each value of a column, and that window.
func randomNumbers(t *testing.T, r *rand.Rand, by int) (plan.Node, *plan.Window) {
	scan := eventsScan()
	w := &plan.Window{Input: scan, Partition: []expr.Expr{scanColumn(by)}, Names: []string{"rn"},
		Calls: []plan.WindowCall{{Name: "row_number", T: vec.T(vec.Int8)}}}
	if r.Intn(4) > 0 {
		w.Input = &plan.Filter{Input: scan, Cond: randomCond(t, r)}
	}
	keys := []int{colTime, colUUID}
	for _, c := range keys[:1+r.Intn(2)] {
		w.Order = append(w.Order, plan.SortKey{Expr: scanColumn(c), Desc: len(w.Order) > 0 && w.Order[0].Desc || len(w.Order) == 0 && r.Intn(2) == 0})
	}
	var n plan.Node = w
	rn := &expr.Column{Index: len(scan.Columns), T: vec.T(vec.Int8), Name: "rn"}
	if r.Intn(4) > 0 {
		conds := randomBounds(t, r, rn)
		if len(w.Order) == 2 && r.Intn(2) == 0 { // else rows of one time have numbers in any order
			conds = append(conds, randomCond(t, r))
		}
		n = &plan.Filter{Input: n, Cond: &expr.And{Args: conds}}
	}
	if r.Intn(2) == 0 {
		a := &plan.Aggregate{Input: n, Aggs: []plan.AggCall{{Name: "count", T: vec.T(vec.Int8)}}, Names: []string{"n", "of"}}
		of := plan.AggCall{Name: "sum", Args: []expr.Expr{rn}, T: vec.T(vec.Numeric)}
		if len(w.Order) == 2 {
			of = plan.AggCall{Name: "sum", Args: []expr.Expr{scanColumn(colN)}, T: vec.T(vec.Float8)}
		}
		a.Aggs = append(a.Aggs, of)
		return a, w
	}
	if len(w.Order) == 2 {
		return n, w
	}
	return &plan.Project{Input: n, Names: []string{"by", "time", "rn"}, Exprs: []expr.Expr{scanColumn(by), scanColumn(colTime), rn}}, w
}

// TestFirstRowsOfPartitions keeps the first rows of partitions alone, or all of them until the filter
// above has seen their numbers.
func TestFirstRowsOfPartitions(t *testing.T) {
	bounded := 0
	for seed := range tries(150) {
		r := rand.New(rand.NewSource(seed))
		st, _ := numbersStore(t, r)
		sn, err := st.Snapshot(1)
		if err != nil {
			t.Fatal(err)
		}
		for range 8 {
			n, window := randomNumbers(t, r, []int{colPlan, colEvent, colN, colPerson}[r.Intn(4)])
			answer := func(threads int, without ...string) []string {
				env := testEnv(0)
				env.Snapshot, env.Threads, env.Disabled, env.GroupsAt = sn, threads, append(without, plan.NumberRuns), 1
				if f, ok := n.(*plan.Filter); ok {
					if most, err := mostWanted(window, env, f); err == nil && most < 10 {
						bounded++
					}
				}
				return sortedAnswer(t, n, env)
			}
			want := answer(1)
			for _, got := range [][]string{answer(2 + r.Intn(3)), answer(2, plan.FirstRows)} {
				if !slices.Equal(got, want) {
					t.Fatalf("seed %d: %+v\n%+v\ngot  %d %q\nwant %d %q", seed, n, window, len(got), got, len(want), want)
				}
			}
		}
		sn.Release()
		st.Close()
	}
	if int64(bounded) < tries(100) {
		t.Errorf("%d windows had a bound of their numbers, want many", bounded)
	}
}

// randomBounds compares columns of small integers with others.
func randomBounds(t *testing.T, r *rand.Rand, columns ...expr.Expr) (conds []expr.Expr) {
	for range 1 + r.Intn(2*len(columns)) {
		x := &vec.Vector{Type: vec.T([]vec.Kind{vec.Int4, vec.Int8}[r.Intn(2)]), Form: vec.Const, I64: []int64{int64(r.Intn(12) - 1)}}
		if r.Intn(20) == 0 {
			x = vec.NullConst(x.Type)
		}
		args := []expr.Expr{columns[r.Intn(len(columns))], &expr.Const{Value: x}}
		if r.Intn(4) == 0 {
			slices.Reverse(args)
		}
		e, err := expr.NewOperator([]string{"<=", "<", "=", ">", ">=", "<=", ">=", "<>"}[r.Intn(8)], args[0], args[1])
		if err != nil {
			t.Fatal(err)
		}
		conds = append(conds, e)
	}
	return conds
}

// TestRowNumbersOutOfMemory has rows sorted where there is no room for their numbers.
func TestRowNumbersOutOfMemory(t *testing.T) {
	st, _ := numbersStore(t, rand.New(rand.NewSource(1)))
	defer st.Close()
	sn, err := st.Snapshot(1)
	if err != nil {
		t.Fatal(err)
	}
	defer sn.Release()
	w := &plan.Window{Input: eventsScan(), Partition: []expr.Expr{scanColumn(colPerson)}, Order: []plan.SortKey{{Expr: scanColumn(colTime)}},
		Calls: []plan.WindowCall{{Name: "row_number", T: vec.T(vec.Int8)}}, Names: []string{"rn"}}
	dir, err := OpenSpillDir(vfs.NewMem(), "spill", 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	env := testEnv(0)
	env.Snapshot, env.GroupsAt, env.Memory, env.Spill = sn, 1, 256, dir
	p, err := newPipeline(w, env, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := p.shared.(*rowNumbers); ok {
		t.Error("newPipeline in 256 bytes numbers rows by runs")
	}
	env.Spill = nil
	op, err := Build(w, env)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := op.Next(t.Context()); pgerr.Code(err) != pgerr.OutOfMemory {
		t.Errorf("Next in 256 bytes: %v, want %s", err, pgerr.OutOfMemory)
	}
	if err := op.Close(); err != nil || env.statement().held.Load() != 0 {
		t.Errorf("after Close: %v, and %d bytes are held, want none", err, env.statement().held.Load())
	}
}
