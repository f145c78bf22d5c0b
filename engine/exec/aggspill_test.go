package exec

import (
	"fmt"
	"strings"
	"testing"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/vec"
	"github.com/prickledb/prickle/storage/vfs"
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
		node := &plan.Aggregate{Input: &plan.Values{Columns: vec.Schema{{Name: "key", Type: key.T}, {Name: "number", Type: number.T}}}, Keys: []expr.Expr{key}, Aggs: c.aggs}
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
			if err := g.hold(t.Context()); err != nil {
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

// An aggregate that fails for want of memory, wherever that is, gives back what it holds.
func TestFailedAggregatesHoldNothing(t *testing.T) {
	x := &expr.Column{Index: 0, T: vec.T(vec.Int8)}
	values := &plan.Values{Columns: vec.Schema{{Name: "x", Type: x.T}}}
	for i := range int64(3000) {
		values.Rows = append(values.Rows, []expr.Expr{&expr.Const{Value: &vec.Vector{Type: x.T, Form: vec.Const, I64: []int64{i % 2000}}}})
	}
	failed := 0
	for _, keys := range [][]expr.Expr{nil, {x}} {
		for memory := int64(1 << 10); memory < 1<<20; memory += memory / 8 {
			for _, disk := range []bool{false, true} {
				env := &Env{Expr: &expr.Context{}, Threads: 2, GroupsAt: 500, Memory: memory}
				if disk {
					dir, err := OpenSpillDir(vfs.NewMem(), "tmp", 1<<30)
					if err != nil {
						t.Fatal(err)
					}
					env.Spill = dir
				}
				op, err := newAggregate(&plan.Aggregate{Input: values, Keys: keys, Aggs: []plan.AggCall{{Name: "sum", Args: []expr.Expr{x}, Distinct: true}}}, env)
				if err != nil {
					t.Fatal(err)
				}
				if drain(t.Context(), op, func(*vec.Batch) error { return nil }) != nil {
					failed++
				}
				if err := op.Close(); err != nil {
					t.Fatal(err)
				}
				if held := env.statement().held.Load(); held != 0 {
					t.Errorf("%d keys, %d bytes of memory, to disk %v: %d bytes are held after Close", len(keys), memory, disk, held)
				}
			}
		}
	}
	if failed < 20 {
		t.Errorf("%d aggregates failed, which shows little", failed)
	}
}

// Groupings are put together until there is so much of it that rows wait for their groups.
func TestGatherUntilRowsWait(t *testing.T) {
	key := &expr.Column{Index: 0, T: vec.T(vec.Int8)}
	n := &plan.Aggregate{Input: &plan.Values{Columns: vec.Schema{{Name: "key", Type: key.T}}}, Keys: []expr.Expr{key}, Names: []string{"", "n"},
		Aggs: []plan.AggCall{{Name: "sum", Args: []expr.Expr{key}, T: vec.T(vec.Numeric)}}}
	env := &Env{Expr: &expr.Context{}, GroupsAt: 8}
	a := &aggregating{node: n, spills: spills{env: env, node: n}}
	a.parts = &partitions{spills: &a.spills}
	var list []*grouping
	for i := range int64(5) {
		g, err := newGrouping(n, env)
		if err != nil {
			t.Fatal(err)
		}
		if err := g.add(t.Context(), &vec.Batch{Rows: 5, Cols: []*vec.Vector{{Type: key.T, I64: []int64{5 * i, 5*i + 1, 5*i + 2, 5*i + 3, 5*i + 4}}}}); err != nil {
			t.Fatal(err)
		}
		list = append(list, g)
	}
	left, err := a.gather(t.Context(), list)
	if err != nil {
		t.Fatal(err)
	}
	if len(left) != 4 || left[0] != list[0] || left[0].waiting == nil || left[0].groups.groups != 0 {
		t.Errorf("%d groupings are left, the first with %d groups; want 4, and that it has none and its rows wait", len(left), left[0].groups.groups)
	}
	for _, g := range left {
		if err := a.parts.add(t.Context(), g); err != nil {
			t.Fatal(err)
		}
	}
	groups := 0
	for _, r := range a.parts.runs {
		groups += r.ends[len(r.ends)-1]
	}
	if groups != 25 {
		t.Errorf("%d groups are in partitions, want 25", groups)
	}
}

// Where nearly every row makes a group, they go to partitions sooner the next time, and none is looked for;
// until rows of the same groups come together. Where rows can wait for their groups, it is enough that few share one.
func TestFreshGroups(t *testing.T) {
	key := &expr.Column{Index: 0, T: vec.T(vec.Int8)}
	plain, distinct := plan.AggCall{Name: "sum", Args: []expr.Expr{key}}, plan.AggCall{Name: "count", Args: []expr.Expr{key}, Distinct: true}
	for _, c := range []struct {
		rows  int64 // of each group, one after the other
		call  plan.AggCall
		most  int
		fresh bool
		waits bool
	}{
		{1, plain, maxFresh, true, true}, {2, plain, maxFresh, true, true}, {5, plain, maxGroups, false, false},
		{1, distinct, maxFresh, true, false}, {2, distinct, maxGroups, false, false},
	} {
		env := &Env{Expr: &expr.Context{}}
		n := &plan.Aggregate{Input: &plan.Values{Columns: vec.Schema{{Name: "key", Type: key.T}}}, Keys: []expr.Expr{key}, Aggs: []plan.AggCall{c.call}}
		g, err := newGrouping(n, env)
		if err != nil {
			t.Fatal(err)
		}
		parts := &partitions{spills: &spills{env: env, node: n}}
		add := func(key func(i int64) int64) {
			b := &vec.Batch{Rows: vec.BatchRows, Cols: []*vec.Vector{{Type: vec.T(vec.Int8), I64: make([]int64, vec.BatchRows)}}}
			for i := range b.Cols[0].I64 {
				b.Cols[0].I64[i] = key(int64(i))
			}
			if err := g.add(t.Context(), b); err != nil {
				t.Fatal(err)
			}
		}
		most, fresh, waits := 0, false, false
		for at := int64(0); at < 6*maxGroups; at += vec.BatchRows {
			add(func(i int64) int64 { return (at + i) / c.rows })
			if at >= 3*maxGroups {
				most, fresh, waits = max(most, g.groups.groups), fresh || g.groups.table.repeats, waits || g.waiting != nil
			}
			if err := parts.relieve(t.Context(), g); err != nil {
				t.Fatal(err)
			}
		}
		if most > c.most || most < c.most/2 {
			t.Errorf("%d rows a group: up to %d groups at a time, want %d", c.rows, most, c.most)
		}
		if fresh != c.fresh || waits != c.waits {
			t.Errorf("%d rows a group, %s: each row makes a group: %v, and waits: %v", c.rows, c.call.Name, fresh, waits)
		}
		for range 2 * freshRuns * maxFresh / vec.BatchRows {
			add(func(i int64) int64 { return i / 4 })
			if err := parts.relieve(t.Context(), g); err != nil {
				t.Fatal(err)
			}
		}
		if g.groups.table.repeats {
			t.Errorf("%d rows a group: each row makes a group still, when there are few", c.rows)
		}
	}
}

// The groups of one partition stay as they are while the next one is merged: what takes them may run
// in another goroutine.
func TestPartitionsShareNothing(t *testing.T) {
	const rows = 2000
	for keys := 1; keys <= 2; keys++ {
		values := &plan.Values{Columns: vec.Schema{{Name: "s", Type: vec.T(vec.Text)}, {Name: "x", Type: vec.T(vec.Int8)}}}
		for i := range int64(rows) {
			values.Rows = append(values.Rows, []expr.Expr{
				&expr.Const{Value: &vec.Vector{Type: vec.T(vec.Text), Form: vec.Const, Str: vec.StringsOf(fmt.Sprint("text ", i))}},
				&expr.Const{Value: &vec.Vector{Type: vec.T(vec.Int8), Form: vec.Const, I64: []int64{i}}}})
		}
		columns := []expr.Expr{&expr.Column{Index: 0, T: vec.T(vec.Text)}, &expr.Column{Index: 1, T: vec.T(vec.Int8)}}
		n := &plan.Aggregate{Input: values, Keys: columns[:keys], Aggs: []plan.AggCall{{Name: "sum", Args: columns[1:]}}}
		op, err := newAggregate(n, &Env{Expr: &expr.Context{}, Threads: 1, GroupsAt: 100})
		if err != nil {
			t.Fatal(err)
		}
		var all []*vec.Batch
		if err := drain(t.Context(), op, func(b *vec.Batch) error { all = append(all, b); return nil }); err != nil {
			t.Fatal(err)
		}
		sums := map[string]string{}
		for _, b := range all {
			for r := range b.Rows {
				sum, at := b.Cols[keys].At(r)
				text, where := b.Cols[0].At(r)
				sums[text.Str.Str(where)] = "text " + string(sum.Decimal(at).Append(nil))
			}
		}
		for text, sum := range sums {
			if text != sum {
				t.Fatalf("%d keys: the group of %q has the sum of %q", keys, text, sum)
			}
		}
		if len(sums) != rows || len(all) < 2 {
			t.Errorf("%d keys: %d groups in %d batches, want %d", keys, len(sums), len(all), rows)
		}
		if err := op.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// A batch of which few rows count is copied for what an aggregate reads, wherever it reads it.
func TestThinBatch(t *testing.T) {
	column := func(i int) *expr.Column { return &expr.Column{Index: i, T: vec.T(vec.Int8)} }
	over, err := expr.NewOperator(">", column(1), column(2))
	if err != nil {
		t.Fatal(err)
	}
	n := &plan.Aggregate{Input: &plan.Values{Columns: make(vec.Schema, 6)}, Keys: []expr.Expr{column(4)}, Aggs: []plan.AggCall{
		{Name: "array_agg", Args: []expr.Expr{column(0)}, Filter: over, OrderBy: []plan.SortKey{{Expr: column(5), Desc: true}}}}}
	b := &vec.Batch{Rows: 100, Sel: []uint32{7, 20, 21}}
	for k := range int64(6) {
		v := &vec.Vector{Type: vec.T(vec.Int8)}
		for i := range int64(100) {
			v.I64 = append(v.I64, (k+1)*i%(50-k))
		}
		b.Cols = append(b.Cols, v)
	}
	g, err := newGrouping(n, &Env{Expr: &expr.Context{}})
	if err != nil {
		t.Fatal(err)
	}
	thin := g.compact(b)
	for k, v := range thin.Cols {
		if read := k != 3; read != (v != nil) {
			t.Errorf("column %d is copied: %v, want %v", k, v != nil, read)
		}
	}
	for _, rows := range []*vec.Batch{b, b.Compact()} {
		if err := g.add(t.Context(), rows); err != nil {
			t.Fatal(err)
		}
	}
	got := ""
	for i := range g.groups.groups {
		v, err := g.states[0].Finish()
		if err != nil {
			t.Fatal(err)
		}
		got += string(expr.AppendText(nil, v, i, g.env.Expr)) + " "
	}
	if want := "{} {20,20} {21,21} "; got != want {
		t.Errorf("add = %s, want %s", got, want)
	}
}
