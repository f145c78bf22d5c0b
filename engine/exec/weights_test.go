package exec

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage"
	"github.com/prickledb/prickle/storage/event"
	"github.com/prickledb/prickle/storage/vec"
	"github.com/prickledb/prickle/storage/vfs"
)

// runSnapshot has events of few persons, who have most properties the same in row after row. Some were
// merged, some have no profile, and some are deleted.
func runSnapshot(t *testing.T, rnd *rand.Rand) *storage.Snapshot {
	t.Helper()
	st := emptyStore(t)
	t.Cleanup(func() { st.Close() })
	next := uint64(0)
	for index := range uint64(3) {
		b := event.NewBuilder()
		for range 1500 {
			next++
			var uuid vec.UUIDValue
			binary.BigEndian.PutUint64(uuid[8:], next)
			who := rnd.IntN(30)
			b.Begin(uuid, liveStart+int64(next)*60_000_000)
			name := rnd.IntN(4)
			b.SetName([]byte("abcd"[name : name+1]))
			b.SetDistinctID(fmt.Append(nil, "u", who))
			if who%5 > 0 {
				b.Property([]byte("plan"), event.Text, []byte("xyz"[who%3:who%3+1]))
			}
			n := who % 7
			if name == 3 {
				n = rnd.IntN(10) // never as runs
			}
			if name > 0 {
				b.Property([]byte("n"), event.Int, fmt.Append(nil, n))
			}
			switch rnd.IntN(200) {
			case 0:
				b.Op(event.PersonOp{Kind: event.OpMergeDangerously, Other: fmt.Sprint("u", rnd.IntN(30))})
			case 1, 2, 3, 4:
				b.Op(event.PersonOp{Set: []byte(`{"seen": true}`)})
			}
			b.End()
		}
		if _, err := st.ApplyEvents(2+index, 1, 1, b.Finish()); err != nil {
			t.Fatal(err)
		}
		if index < 2 {
			if err := st.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	sn, err := st.Snapshot(1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sn.Release)
	return sn
}

// randomWeighed is an aggregate that can do with weights, over events, some of which a filter lets pass,
// and perhaps joined with persons.
func randomWeighed(t *testing.T, rnd *rand.Rand) *plan.Aggregate {
	t.Helper()
	scan := eventsScan()
	scan.Columns = []plan.ScanColumn{scan.Columns[colPerson], scan.Columns[colEvent], scan.Columns[colPlan], scan.Columns[colN], scan.Columns[colBorn]}
	column := func(i int) expr.Expr {
		return &expr.Column{Index: i, T: scan.Columns[i].Type, Name: scan.Columns[i].Name}
	}
	is := func(i int, text string) expr.Expr {
		e, err := expr.NewOperator("=", column(i), &expr.Const{Value: &vec.Vector{Type: vec.T(vec.Text), Form: vec.Const, Str: vec.StringsOf(text)}})
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	conds := []expr.Expr{is(1, "a"), is(2, "x"), &expr.IsNull{E: column(2)}, &expr.Or{Args: []expr.Expr{is(1, "d"), is(2, "y")}}}
	n := &plan.Aggregate{Input: scan}
	if rnd.IntN(3) == 0 {
		n.Input = &plan.Filter{Input: n.Input, Cond: conds[rnd.IntN(len(conds))]}
	}
	if rnd.IntN(3) == 0 { // the columns in another order
		p := &plan.Project{Input: n.Input}
		for i := range scan.Columns {
			p.Exprs, p.Names = append(p.Exprs, column(i)), append(p.Names, scan.Columns[i].Name)
		}
		n.Input = p
	}
	switch kind := rnd.IntN(6); kind {
	case 0, 1, 2, 3:
		table := *scan.Table
		table.Name = "persons"
		persons := &plan.Scan{Table: &table, Columns: []plan.ScanColumn{{Column: "id", Type: vec.T(vec.UUID), Name: "id"}}}
		id := &expr.Column{T: vec.T(vec.UUID), Name: "id"}
		n.Input = &plan.Join{Left: n.Input, Right: persons, Kind: []plan.JoinKind{plan.InnerJoin, plan.LeftJoin, plan.SemiJoin, plan.AntiJoin}[kind],
			LeftKeys: []expr.Expr{column(0)}, RightKeys: []expr.Expr{id}}
	}
	calls := []plan.AggCall{
		{Name: "count", T: vec.T(vec.Int8)},
		{Name: "count", Args: []expr.Expr{column(2)}, T: vec.T(vec.Int8)},
		{Name: "count", Args: []expr.Expr{column(2)}, Distinct: true, T: vec.T(vec.Int8)},
		{Name: "count_if", Args: []expr.Expr{is(2, "z")}, T: vec.T(vec.Int8)},
		{Name: "sum", Args: []expr.Expr{column(3)}, T: vec.T(vec.Float8)},
		{Name: "avg", Args: []expr.Expr{column(3)}, T: vec.T(vec.Float8)},
		{Name: "min", Args: []expr.Expr{column(3)}, T: vec.T(vec.Float8)},
		{Name: "max", Args: []expr.Expr{column(4)}, T: vec.T(vec.TimestampTZ)},
	}
	for range 1 + rnd.IntN(3) {
		call := calls[rnd.IntN(len(calls))]
		if rnd.IntN(4) == 0 {
			call.Filter = conds[rnd.IntN(len(conds))]
		}
		n.Aggs = append(n.Aggs, call)
	}
	n.Keys = [][]expr.Expr{nil, {column(1)}, {column(2)}, {column(1), column(2)}, {column(0)}, {column(3)}}[rnd.IntN(6)]
	n.Names = make([]string, len(n.Keys)+len(n.Aggs))
	return n
}

// Rows that are alike come as one, and no answer is another one for it: not below joins, in memory or on
// disk, not after a row was deleted. EXPLAIN ANALYZE counts all of them.
func TestWeighedRows(t *testing.T) {
	seed := rand.Uint64()
	rnd := rand.New(rand.NewPCG(seed, 7))
	sn := runSnapshot(t, rnd)
	dir, err := OpenSpillDir(vfs.NewMem(), "tmp", 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	rounds, weighed := 300, 0
	if testing.Short() {
		rounds = 60
	}
	for range rounds {
		n := randomWeighed(t, rnd)
		answer := func(without ...string) (rows []string, read map[string]int64) {
			env := testEnv(liveStart)
			env.Snapshot, env.Threads, env.Disabled, env.Stats = sn, 1+rnd.IntN(2), without, NewStats(n)
			if rnd.IntN(3) == 0 {
				env.Spill, env.SpillAt = dir, 1
			}
			op, err := newHashAggregate(n, env)
			if err != nil {
				t.Fatal(err)
			}
			if src := op.(*aggregate).pipe.source; src != nil && src.runs != nil {
				weighed++
			}
			rows = rowsOf(t, op)
			if err := op.Close(); err != nil {
				t.Fatal(err)
			}
			sort.Strings(rows)
			read = map[string]int64{}
			for x, s := range env.Stats.nodes {
				if x != plan.Node(n) {
					read[fmt.Sprintf("%T", x)] += s.Rows.Load()
				}
			}
			return rows, read
		}
		want, wantRead := answer(plan.CountRuns)
		got, gotRead := answer()
		if !slices.Equal(got, want) || fmt.Sprint(gotRead) != fmt.Sprint(wantRead) {
			t.Fatalf("seed %d: %+v\nwith weights\n%s\nof %v\nwithout\n%s\nof %v", seed, n, strings.Join(got, "\n"), gotRead, strings.Join(want, "\n"), wantRead)
		}
	}
	if weighed < rounds/2 {
		t.Errorf("seed %d: %d of %d aggregates have weights", seed, weighed, rounds)
	}
}

// weighedLines is the rows of a scan as text, each as often as its weight says, and shows the batches that they come in.
func weighedLines(t *testing.T, n *plan.Scan, env *Env, weights bool, see func(*vec.Batch)) (lines []string) {
	t.Helper()
	p, err := newPipeline(n, env, nil)
	if err == nil && weights {
		err = p.weigh()
	}
	if err != nil {
		t.Fatal(err)
	}
	op, err := p.open()
	if err != nil {
		t.Fatal(err)
	}
	err = drain(t.Context(), op, func(b *vec.Batch) error {
		see(b)
		b = repeated(b, len(n.Columns)).Compact()
		for i := range b.Rows {
			lines = append(lines, lineOf(b.Cols, i))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

// A batch with weights has as many rows as there are, in as few as their columns allow.
func TestAlike(t *testing.T) {
	seed := rand.Uint64()
	rnd := rand.New(rand.NewPCG(seed, 8))
	sn := runSnapshot(t, rnd)
	all := eventsScan().Columns
	for _, columns := range [][]plan.ScanColumn{nil, {all[colPlan], all[colPerson], all[colPerson], all[colN], all[colEvent], all[colN], all[colPlan]}, {all[colEvent]}, {all[colPerson]}, {all[colPlan], all[colPerson]}, {all[colPlan], all[colEvent], all[colN]}, {all[colNone], all[colBorn]}} {
		n := eventsScan()
		n.Columns = columns
		rows := func(weights bool) (lines []string, batches int) {
			env := testEnv(liveStart)
			env.Snapshot = sn
			lines = weighedLines(t, n, env, weights, func(b *vec.Batch) {
				if weightsOf(b, len(columns)) != nil {
					if batches++; int64(b.Rows) > liveRowsOf(b, len(columns))/2 {
						t.Errorf("seed %d: %d rows for %d", seed, b.Rows, liveRowsOf(b, len(columns)))
					}
				}
			})
			return lines, batches
		}
		want, _ := rows(false)
		got, batches := rows(true)
		if !slices.Equal(got, want) {
			t.Errorf("seed %d: %v: %d rows with weights, other ones than the %d without", seed, columns, len(got), len(want))
		}
		if batches == 0 {
			t.Errorf("seed %d: %v: no batch has weights", seed, columns)
		}
	}
}
