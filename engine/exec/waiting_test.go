package exec_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/prickledb/prickle/engine/agg"
	"github.com/prickledb/prickle/engine/exec"
	"github.com/prickledb/prickle/engine/exec/exectest"
	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/vec"
	"github.com/prickledb/prickle/storage/vfs"
)

// numberGroups is aggregates whose keys and arguments are numbers, of all forms and with NULL.
func numberGroups(rng *rand.Rand, rows int) (list []*plan.Aggregate) {
	types, batches := spillRows(rng, rows)
	in := exectest.Input(types, batches)
	last := len(types) - 1
	for _, keys := range [][]int{{last}, {last, 0}, {0, 10, 4}, {10, 2, last}, {7, 0}} {
		n := &plan.Aggregate{Input: in}
		for _, k := range keys {
			n.Keys, n.Names = append(n.Keys, column(types, k)), append(n.Names, "")
		}
		add := func(name string, args ...expr.Expr) {
			n.Aggs, n.Names = append(n.Aggs, plan.AggCall{Name: name, Args: args}), append(n.Names, fmt.Sprint("a", len(n.Aggs)))
		}
		add("count")
		for _, c := range []int{0, 2, 3, 10} {
			add("sum", column(types, c))
			add("avg", column(types, c))
			add("count", column(types, c))
			add("max", column(types, c))
		}
		add("bool_or", column(types, 4))
		add("array_agg", column(types, 0))
		add("regr_count", column(types, 2), column(types, 2))
		list = append(list, n)
	}
	return list
}

// typed is an aggregate whose calls have the types of what they give.
func typed(t *testing.T, n *plan.Aggregate) *plan.Aggregate {
	t.Helper()
	out := *n
	out.Aggs = slices.Clone(n.Aggs)
	for i, c := range out.Aggs {
		var types []vec.Type
		for _, x := range c.Args {
			types = append(types, x.Type())
		}
		spec, err := agg.Resolve(c.Name, types)
		if err != nil {
			t.Fatal(err)
		}
		out.Aggs[i].T = spec.Result
	}
	return &out
}

// Rows that wait for their groups give the groups that they would have found at once, in memory and from disk.
func TestRowsWaitForGroups(t *testing.T) {
	for _, seed := range seeds() {
		for i, n := range some(numberGroups(rand.New(rand.NewPCG(seed, 21)), 4_000)) {
			dir, err := exec.OpenSpillDir(vfs.NewMem(), "tmp", 1<<30)
			if err != nil {
				t.Fatal(err)
			}
			var want []string
			for way, env := range []*exec.Env{
				{}, {GroupsAt: 60}, {GroupsAt: 1000}, {GroupsAt: 60, Memory: 4 << 20, SpillAt: 64 << 10, Spill: dir, Stats: exec.NewStats(n)}} {
				env.Expr, env.Threads = utc(), 1
				rows, err := exectest.Rows(t.Context(), n, env)
				if err != nil {
					t.Fatalf("seed %d: groups %d, way %d: %v", seed, i, way, err)
				}
				if way == 3 && env.Stats.Node(n).Spilled.Load() == 0 {
					t.Errorf("seed %d: groups %d: nothing was spilled", seed, i)
				}
				if slices.Sort(rows); way == 0 {
					want = rows
				} else if !slices.Equal(rows, want) {
					t.Errorf("seed %d: groups %d, way %d: %d rows are not the %d of one table", seed, i, way, len(rows), len(want))
				}
			}
		}
	}
}

// Of groups that are sorted, only those are finished that may be among the first, whatever they are sorted by.
func TestFirstGroups(t *testing.T) {
	for _, seed := range seeds() {
		rng := rand.New(rand.NewPCG(seed, 22))
		list := numberGroups(rng, 1_500)
		for _, p := range spillPlans(t, rng, 500) {
			if n, ok := p.node.(*plan.Aggregate); ok && len(n.Aggs) < 10 {
				list = append(list, n)
			}
		}
		for i, n := range some(list) {
			n = typed(t, n)
			types := n.Schema()
			shown := &plan.Project{Input: n}
			for c := range types {
				at := (c + 1) % len(types)
				shown.Exprs, shown.Names = append(shown.Exprs, &expr.Column{Index: at, T: types[at].Type}), append(shown.Names, "")
			}
			var sorted []plan.SortKey
			for c := range n.Keys { // so that the order is known
				sorted = append(sorted, plan.SortKey{Expr: &expr.Column{Index: c, T: types[c].Type}, Desc: rng.IntN(2) == 0})
			}
			for c := len(n.Keys); c < len(types); c++ {
				if types[c].Type.Payload() != vec.PayloadI64 || c > len(n.Keys) && rng.IntN(3) > 0 {
					continue
				}
				for _, limit := range []int64{0, 1 + rng.Int64N(9), 1200} {
					first := plan.SortKey{Expr: &expr.Column{Index: c, T: types[c].Type}, Desc: rng.IntN(2) == 0, NullsFirst: rng.IntN(2) == 0}
					top := &plan.TopN{Input: n, Keys: append([]plan.SortKey{first}, sorted...), Limit: number(limit), Offset: number(limit / 3)}
					if rng.IntN(2) == 0 {
						top.Input = shown
						top.Keys = slices.Clone(top.Keys)
						for k, key := range top.Keys {
							at := key.Expr.(*expr.Column).Index
							top.Keys[k].Expr = &expr.Column{Index: (at + len(types) - 1) % len(types), T: types[at].Type}
						}
					}
					var want []string
					for way, env := range []*exec.Env{{}, {GroupsAt: 60}, {GroupsAt: 60, Disabled: []string{plan.FirstGroups}}} {
						env.Expr, env.Threads = utc(), 1
						rows, err := exectest.Rows(t.Context(), top, env)
						if err != nil {
							t.Fatalf("seed %d: groups %d, way %d: %v", seed, i, way, err)
						}
						if way == 0 {
							want = rows
						} else if !slices.Equal(rows, want) {
							t.Errorf("seed %d: groups %d by %s, limit %d, way %d: %d rows are not the %d of one table",
								seed, i, types[c].Name, limit, way, len(rows), len(want))
						}
					}
				}
			}
		}
	}
}
