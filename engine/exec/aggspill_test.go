package exec

import (
	"fmt"
	"strings"
	"testing"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/vec"
)

// Groups that take more than the caches hold go to partitions, but few with much in their states
// stay: what moved would come again.
func TestHeavyGroupsStay(t *testing.T) {
	key, number := &expr.Column{Index: 0, T: vec.T(vec.Text)}, &expr.Column{Index: 1, T: vec.T(vec.Int8)}
	for _, c := range []struct {
		name   string
		groups int
		key    string
		aggs   []plan.AggCall
		stays  bool
	}{
		{"few with much", 100, "%d", []plan.AggCall{{Name: "count", Args: []expr.Expr{number}, Distinct: true}}, true},
		{"many with little", 1 << 16, "%d" + strings.Repeat(" long", 80), nil, false},
	} {
		env := &Env{Expr: &expr.Context{}}
		node := &plan.Aggregate{Keys: []expr.Expr{key}, Aggs: c.aggs}
		g, err := newGrouping(node, env)
		if err != nil {
			t.Fatal(err)
		}
		parts := &partitions{spills: &spills{env: env, node: node}}
		for n := 0; g.held < maxGroupBytes; {
			b := &vec.Batch{Rows: vec.BatchRows, Cols: []*vec.Vector{{Type: key.T}, {Type: number.T}}}
			for range b.Rows {
				b.Cols[0].Str.AppendString(fmt.Sprintf(c.key, n%c.groups))
				b.Cols[1].I64 = append(b.Cols[1].I64, int64(n))
				n++
			}
			if err := g.add(t.Context(), b); err != nil {
				t.Fatal(err)
			}
		}
		if n := g.groups.groups; n >= maxGroups || (g.held > heavyGroup*int64(n)) != c.stays {
			t.Fatalf("%s: %d groups of %d bytes show nothing", c.name, n, g.held)
		}
		if err := parts.relieve(t.Context(), g); err != nil {
			t.Fatal(err)
		}
		if stayed := g.groups.groups > 0; stayed != c.stays || parts.used() == c.stays {
			t.Errorf("%s: they stay: %v, want %v", c.name, stayed, c.stays)
		}
	}
}

// What waited in partitions is given back once it is merged, since a sort of the groups needs
// memory before the aggregate is closed.
func TestMergedPartitionsAreReleased(t *testing.T) {
	const rows = 300
	env := &Env{Expr: &expr.Context{}, Threads: 1, GroupsAt: 50}
	values := &plan.Values{Columns: vec.Schema{{Name: "x", Type: vec.T(vec.Int8)}}}
	for i := range int64(rows) {
		one := &vec.Vector{Type: vec.T(vec.Int8), Form: vec.Const, I64: []int64{i}}
		values.Rows = append(values.Rows, []expr.Expr{&expr.Const{Value: one}})
	}
	op, err := newAggregate(&plan.Aggregate{Input: values, Keys: []expr.Expr{&expr.Column{Index: 0, T: vec.T(vec.Int8)}}}, env)
	if err != nil {
		t.Fatal(err)
	}
	groups := 0
	if err := drain(t.Context(), op, func(b *vec.Batch) error { groups += b.Live(); return nil }); err != nil {
		t.Fatal(err)
	}
	if held := env.statement().held.Load(); groups != rows || held != 0 {
		t.Errorf("%d groups came and %d bytes are held, want %d and none", groups, held, rows)
	}
	if err := op.Close(); err != nil {
		t.Fatal(err)
	}
	if held := env.statement().held.Load(); held != 0 {
		t.Errorf("%d bytes are held after Close", held)
	}
}
