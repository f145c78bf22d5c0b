package exec

import (
	"math/rand/v2"
	"slices"
	"sort"
	"testing"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/vec"
	"github.com/prickledb/prickle/storage/vfs"
)

// A join by persons has the rows that it has where nothing says that the keys are persons, in memory
// and on disk.
func TestJoinOfPersons(t *testing.T) {
	seed := rand.Uint64()
	rnd := rand.New(rand.NewPCG(seed, 9))
	sn := runSnapshot(t, rnd)
	dir, err := OpenSpillDir(vfs.NewMem(), "tmp", 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	person := &expr.Column{T: vec.T(vec.UUID), Name: "person"}
	events := eventsScan()
	events.Columns = []plan.ScanColumn{events.Columns[colPerson], events.Columns[colEvent]}
	purchases := &plan.Filter{Input: events, Cond: &expr.Not{E: &expr.InList{E: &expr.Column{Index: 1, T: vec.T(vec.Text)},
		List: []expr.Expr{&expr.Const{Value: &vec.Vector{Type: vec.T(vec.Text), Form: vec.Const, Str: vec.StringsOf("a")}}}}}}
	table := *events.Table
	table.Name = "persons"
	persons := &plan.Scan{Table: &table, Columns: []plan.ScanColumn{{Column: "id", Type: vec.T(vec.UUID), Name: "id"}}}
	ids := *events.Table
	ids.Name = "person_distinct_ids"
	distinct := &plan.Scan{Table: &ids, Columns: []plan.ScanColumn{{Column: "person_id", Type: vec.T(vec.UUID), Name: "person_id"}, {Column: "distinct_id", Type: vec.T(vec.Text), Name: "distinct_id"}}}
	for _, sides := range [][2]plan.Node{{events, persons}, {persons, events}, {purchases, distinct}, {distinct, persons}, {persons, purchases}} {
		for _, kind := range []plan.JoinKind{plan.InnerJoin, plan.LeftJoin, plan.RightJoin, plan.FullJoin, plan.SemiJoin, plan.AntiJoin, plan.NotInJoin} {
			if testing.Short() && rnd.IntN(2) == 0 {
				continue
			}
			answer := func(left, right plan.Node, known, spill bool) []string {
				env := testEnv(0)
				env.Snapshot, env.Threads = sn, 1+rnd.IntN(2)
				if spill {
					env.Spill, env.SpillAt = dir, 1
				}
				n := &plan.Join{Left: left, Right: right, Kind: kind, LeftKeys: []expr.Expr{person}, RightKeys: []expr.Expr{person}}
				if s := newJoining(n, env, slices.Repeat(columnSet{true}, len(n.Schema()))); s.persons != known {
					t.Fatalf("%v of %T and %T: persons = %v, want %v", kind, left, right, s.persons, known)
				}
				op, err := Build(n, env)
				if err != nil {
					t.Fatal(err)
				}
				rows := rowsOf(t, op)
				if err := op.Close(); err != nil {
					t.Fatal(err)
				}
				sort.Strings(rows)
				return rows
			}
			want := answer(&plan.Limit{Input: sides[0]}, &plan.Limit{Input: sides[1]}, false, false)
			for _, spill := range []bool{false, true} {
				if got := answer(sides[0], sides[1], true, spill); !slices.Equal(got, want) {
					t.Errorf("seed %d: %v of %T and %T, spilled %v: %d rows, other ones than the %d by value", seed, kind, sides[0], sides[1], spill, len(got), len(want))
				}
			}
		}
	}
}
