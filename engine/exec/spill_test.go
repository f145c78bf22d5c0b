package exec_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/prickledb/prickle/engine/exec"
	"github.com/prickledb/prickle/engine/exec/exectest"
	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/vec"
	"github.com/prickledb/prickle/storage/vfs"
)

var seedFlag = flag.Uint64("seed", 0, "seed of random tests; 0: a few fixed ones")

func seeds() []uint64 {
	if *seedFlag != 0 {
		return []uint64{*seedFlag}
	}
	if testing.Short() {
		return []uint64{1}
	}
	return []uint64{1, 2}
}

// some is every fourth of a list in short runs, which ask less of what one goroutine does, and else all.
func some[T any](list []T) []T {
	if !testing.Short() {
		return list
	}
	var out []T
	for i := 0; i < len(list); i += 4 {
		out = append(out, list[i])
	}
	return out
}

var spillTypes = []vec.Type{
	vec.T(vec.Int8), vec.T(vec.Text), vec.T(vec.Float8), vec.T(vec.Numeric), vec.T(vec.Bool), vec.T(vec.UUID),
	vec.T(vec.Interval), vec.T(vec.TimestampTZ), vec.ArrayOf(vec.Text), vec.T(vec.JSONB), vec.T(vec.Int4), vec.T(vec.Bpchar),
}

// spillRows is random batches with a column of every type and, as the last one, the row's
// number. Values repeat; one in ten is null; columns come in every form.
func spillRows(rng *rand.Rand, rows int) ([]vec.Type, []*vec.Batch) {
	types := append(slices.Clone(spillTypes), vec.T(vec.Int8))
	var out []*vec.Batch
	for at := 0; at < rows; {
		n := min(1+rng.IntN(200), rows-at)
		b := &vec.Batch{Rows: n}
		for c, t := range types {
			v := vec.NewBuilder(t)
			for i := range n {
				if c == len(types)-1 {
					v.V.I64 = append(v.V.I64, int64(at+i))
				} else if rng.IntN(10) == 0 {
					v.AppendNull()
				} else {
					spillValue(rng, v)
				}
			}
			if c < len(types)-1 && rng.IntN(3) == 0 {
				dict := &vec.Vector{Type: t, Form: vec.Dict, Dict: v.V, Codes: make([]uint32, n)}
				for i := range dict.Codes {
					dict.Codes[i] = uint32(rng.IntN(n))
				}
				v.V = dict
			}
			b.Cols = append(b.Cols, v.V)
		}
		if rng.IntN(2) == 0 {
			b.Sel = []uint32{}
			for i := range n {
				if rng.IntN(5) > 0 {
					b.Sel = append(b.Sel, uint32(i))
				}
			}
		}
		at += n
		out = append(out, b)
	}
	return types, out
}

func spillValue(rng *rand.Rand, b *vec.Builder) {
	v, x := b.V, int64(rng.IntN(2000))
	switch v.Type.Payload() {
	case vec.PayloadI64:
		v.I64 = append(v.I64, x)
	case vec.PayloadF64: // sums are exact in any order
		v.F64 = append(v.F64, float64(x)/4)
	case vec.PayloadDec:
		d, _ := vec.DecimalFrom128(0, uint64(x), int(x%3)) // it is small
		v.Dec = append(v.Dec, d)
	case vec.PayloadBools:
		v.Bools = append(v.Bools, x%2 == 0)
	case vec.PayloadUUIDs:
		v.UUIDs = append(v.UUIDs, vec.UUIDValue{1, byte(x), byte(x >> 8)})
	case vec.PayloadIvl:
		v.Ivl = append(v.Ivl, vec.IntervalValue{Months: int32(x % 3), Days: int32(x % 7), Micros: x})
	case vec.PayloadList:
		list := &vec.Vector{Type: v.Type, Offs: []uint32{0, uint32(x % 3)}, Elem: &vec.Vector{Type: v.Type.Elem(), Str: vec.StringsOf("a", fmt.Sprint(x%50))}}
		b.AppendFrom(list, 0)
	default:
		if v.Type.Kind == vec.JSONB {
			v.Str.AppendString(fmt.Sprint(x))
			return
		}
		v.Str.AppendString(fmt.Sprint("text number ", x))
	}
}

func column(types []vec.Type, i int) expr.Expr { return &expr.Column{Index: i, T: types[i]} }

// spillAggs is a call of every aggregate.
func spillAggs(t *testing.T, types []vec.Type) (calls []plan.AggCall, names []string) {
	t.Helper()
	last := len(types) - 1
	byRow := []plan.SortKey{{Expr: column(types, last), Desc: true}}
	half := &expr.Const{Value: &vec.Vector{Type: vec.T(vec.Float8), Form: vec.Const, F64: []float64{0.5}}}
	comma := &expr.Const{Value: &vec.Vector{Type: vec.T(vec.Text), Form: vec.Const, Str: vec.StringsOf(",")}}
	add := func(c plan.AggCall) {
		calls, names = append(calls, c), append(names, fmt.Sprint("a", len(names)))
	}
	for i := range types {
		x := []expr.Expr{column(types, i)}
		add(plan.AggCall{Name: "count", Args: x})
		add(plan.AggCall{Name: "count", Args: x, Distinct: true})
		add(plan.AggCall{Name: "any_value", Args: x})
		add(plan.AggCall{Name: "first", Args: x, OrderBy: byRow})
		if types[i].Kind != vec.Bool {
			add(plan.AggCall{Name: "min", Args: x})
			add(plan.AggCall{Name: "max", Args: x})
			add(plan.AggCall{Name: "arg_max", Args: []expr.Expr{column(types, last), column(types, i)}})
		}
		if !types[i].Array {
			add(plan.AggCall{Name: "array_agg", Args: x})
			add(plan.AggCall{Name: "array_agg", Args: x, Distinct: true, OrderBy: []plan.SortKey{{Expr: column(types, i), Desc: true}}})
		}
	}
	numbers := []int{0, 3}
	float := []expr.Expr{column(types, 2)}
	for _, name := range []string{"sum", "avg", "variance", "stddev_pop"} {
		for _, i := range numbers {
			arg := column(types, i)
			if i == 0 && strings.HasPrefix(name, "v") || i == 0 && strings.HasPrefix(name, "st") {
				cast, err := expr.NewCast(arg, vec.T(vec.Numeric), false, false)
				if err != nil {
					t.Fatal(err)
				}
				arg = cast
			}
			add(plan.AggCall{Name: name, Args: []expr.Expr{arg}})
			add(plan.AggCall{Name: name, Args: []expr.Expr{arg}, Distinct: true})
		}
	}
	add(plan.AggCall{Name: "sum", Args: float})
	add(plan.AggCall{Name: "avg", Args: float, Filter: column(types, 4)})
	add(plan.AggCall{Name: "sum", Args: []expr.Expr{column(types, 6)}})
	add(plan.AggCall{Name: "regr_count", Args: []expr.Expr{float[0], float[0]}})
	add(plan.AggCall{Name: "regr_avgx", Args: []expr.Expr{half, half}})
	add(plan.AggCall{Name: "median", Args: float})
	add(plan.AggCall{Name: "quantile", Args: []expr.Expr{float[0], half}})
	add(plan.AggCall{Name: "mode", Args: []expr.Expr{column(types, 1)}})
	add(plan.AggCall{Name: "string_agg", Args: []expr.Expr{column(types, 1), comma}})
	add(plan.AggCall{Name: "jsonb_agg", Args: []expr.Expr{column(types, 9)}})
	add(plan.AggCall{Name: "bool_and", Args: []expr.Expr{column(types, 4)}})
	add(plan.AggCall{Name: "bool_or", Args: []expr.Expr{column(types, 4)}})
	add(plan.AggCall{Name: "bit_xor", Args: []expr.Expr{column(types, 0)}})
	wide, err := expr.NewCast(column(types, 0), vec.T(vec.Int8), false, false)
	if err != nil {
		t.Fatal(err)
	}
	add(plan.AggCall{Name: "bitmap_agg", Args: []expr.Expr{wide}})
	add(plan.AggCall{Name: "count_if", Args: []expr.Expr{column(types, 4)}})
	return calls, names
}

// distinctAggs is calls with DISTINCT of every type.
func distinctAggs(types []vec.Type) (calls []plan.AggCall, names []string) {
	for i := range types {
		calls = append(calls, plan.AggCall{Name: "count", Args: []expr.Expr{column(types, i)}, Distinct: true})
	}
	number, text := []expr.Expr{column(types, 3)}, column(types, 1)
	comma := &expr.Const{Value: &vec.Vector{Type: vec.T(vec.Text), Form: vec.Const, Str: vec.StringsOf(",")}}
	calls = append(calls,
		plan.AggCall{Name: "count"},
		plan.AggCall{Name: "sum", Args: number, Distinct: true},
		plan.AggCall{Name: "avg", Args: number, Distinct: true, Filter: column(types, 4)},
		plan.AggCall{Name: "array_agg", Args: number, Distinct: true},
		plan.AggCall{Name: "string_agg", Args: []expr.Expr{text, comma}, Distinct: true, OrderBy: []plan.SortKey{{Expr: text, Desc: true}}},
		plan.AggCall{Name: "count", Args: []expr.Expr{column(types, len(types)-1)}, Distinct: true, Filter: column(types, 4)})
	for i := range calls {
		names = append(names, fmt.Sprint("d", i))
	}
	return calls, names
}

type spillPlan struct {
	name    string
	memory  int64
	ordered bool
	node    plan.Node
}

func spillPlans(t *testing.T, rng *rand.Rand, rows int) []spillPlan {
	types, batches := spillRows(rng, rows)
	in := exectest.Input(types, batches)
	last := len(types) - 1
	aggs, names := spillAggs(t, types)
	group := func(aggs []plan.AggCall, names []string, keys ...int) plan.Node {
		n := &plan.Aggregate{Input: in, Aggs: aggs, Names: append(make([]string, len(keys)), names...)}
		for _, k := range keys {
			n.Keys = append(n.Keys, column(types, k))
		}
		return n
	}
	var keys []plan.SortKey
	for range 1 + rng.IntN(3) {
		keys = append(keys, plan.SortKey{Expr: column(types, rng.IntN(last)), Desc: rng.IntN(2) == 0, NullsFirst: rng.IntN(2) == 0})
	}
	limit := number(int64(rows / 2))
	few := &plan.Project{Input: in, Names: []string{"a", "b"}, Exprs: []expr.Expr{column(types, 1), column(types, 3)}}
	on := &plan.Project{Input: in, Names: []string{"a", "b", "c"}, Exprs: []expr.Expr{column(types, 1), column(types, 4), column(types, last)}}
	sorted := &plan.Project{Input: &plan.Sort{Input: in, Keys: []plan.SortKey{{Expr: column(types, 1)}, {Expr: column(types, last), Desc: true}}},
		Names: []string{"a", "b"}, Exprs: []expr.Expr{column(types, 1), column(types, last)}}
	plans := []spillPlan{
		{"sort", 192 << 10, true, &plan.Sort{Input: in, Keys: keys}},
		{"top n", 192 << 10, true, &plan.TopN{Input: in, Keys: keys, Limit: limit, Offset: number(10)}},
		{"distinct", 160 << 10, false, &plan.Distinct{Input: few}},
		{"distinct on", 96 << 10, false, &plan.Distinct{Input: on, On: 2}},
		{"distinct on, sorted", 512 << 10, true, &plan.Distinct{Input: sorted, On: 1}},
		{"group by what is unique", 128 << 10, false, group([]plan.AggCall{{Name: "count"}}, []string{"n"}, last)},
	}
	different, called := distinctAggs(types)
	plans = slices.Insert(plans, 2,
		spillPlan{"different values", 512 << 10, false, group(different, called)},
		spillPlan{"different values of few groups", 768 << 10, false, group(different, called, 4)},
		spillPlan{"different values of many groups", 256 << 10, false, group(different[:4], called[:4], 10)})
	every := rng.IntN(last)
	plans = append(plans, spillPlan{"every aggregate, group by " + types[every].String(), 4 << 20, false, group(aggs, names, every, (every+1)%last)})
	for k := range last {
		plans = append(plans, spillPlan{"group by " + types[k].String(), 192 << 10, false, group(aggs[:2], names[:2], k, (k+1)%last)})
	}
	return plans
}

// What does not fit into memory gives the rows that it would give there.
func TestSpillingChangesNoRow(t *testing.T) {
	for _, seed := range seeds() {
		rng := rand.New(rand.NewPCG(seed, 7))
		for _, p := range some(spillPlans(t, rng, 2_500)) {
			want, err := exectest.Rows(t.Context(), p.node, &exec.Env{Expr: utc(), Threads: 1})
			if err != nil {
				t.Fatalf("seed %d: %s: %v", seed, p.name, err)
			}
			disk := vfs.NewMem()
			dir, err := exec.OpenSpillDir(disk, "tmp", 1<<30)
			if err != nil {
				t.Fatal(err)
			}
			env := &exec.Env{Expr: utc(), Threads: 1, Memory: p.memory, Spill: dir, Stats: exec.NewStats(p.node)}
			got, err := exectest.Rows(t.Context(), p.node, env)
			if err != nil {
				t.Fatalf("seed %d: %s with %d bytes: %v", seed, p.name, p.memory, err)
			}
			if n := p.node; !strings.Contains(p.name, "sorted") && env.Stats.Node(n).Spilled.Load() == 0 {
				t.Errorf("seed %d: %s with %d bytes: nothing was spilled", seed, p.name, p.memory)
			}
			if !p.ordered {
				slices.Sort(got)
				slices.Sort(want)
			}
			if !slices.Equal(got, want) {
				for r := range min(len(got), len(want)) {
					if got[r] != want[r] {
						at := 0
						for at < min(len(got[r]), len(want[r])) && got[r][at] == want[r][at] {
							at++
						}
						t.Errorf("seed %d: row %d has from byte %d on\n%s\nwant\n%s", seed, r, at, got[r][at:], want[r][at:])
						break
					}
				}
				t.Fatalf("seed %d: %s: %d rows that are not the %d in memory", seed, p.name, len(got), len(want))
			}
			emptySpillDir(t, disk, dir)
		}
	}
}

// Groups that are many are merged in partitions, of which some go to disk where memory is short,
// and give the same rows.
func TestPartitionsChangeNoRow(t *testing.T) {
	for _, seed := range seeds() {
		for _, p := range some(spillPlans(t, rand.New(rand.NewPCG(seed, 8)), 1_500)) {
			if _, ok := p.node.(*plan.Aggregate); !ok {
				continue
			}
			disk := vfs.NewMem()
			dir, err := exec.OpenSpillDir(disk, "tmp", 1<<30)
			if err != nil {
				t.Fatal(err)
			}
			var want []string
			for i, env := range []*exec.Env{{}, {GroupsAt: 60}, {GroupsAt: 60, Memory: p.memory, Spill: dir}} {
				env.Expr, env.Threads = utc(), 1
				rows, err := exectest.Rows(t.Context(), p.node, env)
				if err != nil {
					t.Fatalf("seed %d: %s, way %d: %v", seed, p.name, i, err)
				}
				if slices.Sort(rows); i == 0 {
					want = rows
				} else if !slices.Equal(rows, want) {
					t.Errorf("seed %d: %s, way %d: %d rows are not the %d of one table", seed, p.name, i, len(rows), len(want))
				}
			}
			emptySpillDir(t, disk, dir)
		}
	}
}

// What calls with DISTINCT have seen of a large group goes to files, part by part, and what they have
// seen of the others follows once groups are many.
func TestLargeGroupsAndManyGroups(t *testing.T) {
	key, number := &expr.Column{Index: 0, T: vec.T(vec.Text)}, &expr.Column{Index: 1, T: vec.T(vec.Int8)}
	types := []vec.Type{key.T, number.T}
	calls := []plan.AggCall{
		{Name: "count", Args: []expr.Expr{number}, Distinct: true},
		{Name: "count"},
		{Name: "sum", Args: []expr.Expr{number}, Distinct: true},
	}
	for _, c := range []struct {
		large, others int // rows of one group; groups of the others
		memory        int64
	}{{20_000, 1, 384 << 10}, {60_000, 7, 384 << 10}, {20_000, 8000, 768 << 10}} {
		var batches []*vec.Batch
		for at, n := 0, c.large+40_000; at < n; at += 1000 {
			b := &vec.Batch{Rows: 1000, Cols: []*vec.Vector{{Type: key.T}, {Type: number.T}}}
			for i := at; i < at+1000; i++ {
				group, x := "the large one", i%15_000
				if i >= c.large {
					group, x = fmt.Sprint("group ", i%c.others), i/2
				}
				b.Cols[0].Str.AppendString(group)
				b.Cols[1].I64 = append(b.Cols[1].I64, int64(x))
			}
			batches = append(batches, b)
		}
		n := &plan.Aggregate{Input: exectest.Input(types, batches), Keys: []expr.Expr{key}, Aggs: calls, Names: []string{"", "a", "b", "c"}}
		want, err := exectest.Rows(t.Context(), n, &exec.Env{Expr: utc(), Threads: 1})
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(want)
		for threads := 1; threads <= 3; threads += 2 {
			disk := vfs.NewMem()
			dir, err := exec.OpenSpillDir(disk, "tmp", 1<<30)
			if err != nil {
				t.Fatal(err)
			}
			got, err := exectest.Rows(t.Context(), n, &exec.Env{Expr: utc(), Threads: threads, Memory: c.memory, Spill: dir})
			if err != nil {
				t.Fatalf("%+v: %d threads: %v", c, threads, err)
			}
			if slices.Sort(got); !slices.Equal(got, want) {
				t.Errorf("%+v: %d threads: %d rows are not the %d in memory", c, threads, len(got), len(want))
			}
			emptySpillDir(t, disk, dir)
		}
	}
}

// Windows that are divided, and those of which some rows go to disk, give the same rows.
func TestDividedWindowsChangeNoRow(t *testing.T) {
	for _, seed := range seeds() {
		rng := rand.New(rand.NewPCG(seed, 9))
		types, batches := spillRows(rng, 1_500)
		last := len(types) - 1
		byRow := []plan.SortKey{{Expr: column(types, last), Desc: true}}
		sofar := plan.Frame{Unit: plan.RowsFrame, Start: plan.FrameBound{Unbounded: true}}
		calls := []plan.WindowCall{
			{Name: "row_number", T: vec.T(vec.Int8)},
			{Name: "rank", T: vec.T(vec.Int8)},
			{Name: "lag", Args: []expr.Expr{column(types, 1)}, T: vec.T(vec.Text)},
			{Name: "count", Args: []expr.Expr{column(types, 2)}, Frame: sofar, T: vec.T(vec.Int8)},
		}
		for k := range last {
			n := &plan.Window{Input: exectest.Input(types, batches), Partition: []expr.Expr{column(types, k)}, Order: byRow, Calls: calls, Names: []string{"a", "b", "c", "d"}}
			if rng.IntN(2) == 0 {
				n.Partition = append(n.Partition, column(types, (k+1)%last))
			}
			if rng.IntN(4) == 0 {
				n.Order, n.Calls, n.Names = nil, []plan.WindowCall{{Name: "count", Frame: plan.Frame{Start: sofar.Start, End: sofar.Start}, T: vec.T(vec.Int8)}}, n.Names[:1]
			}
			disk := vfs.NewMem()
			dir, err := exec.OpenSpillDir(disk, "tmp", 1<<30)
			if err != nil {
				t.Fatal(err)
			}
			var want []string
			for i, env := range []*exec.Env{{Threads: 1}, {Threads: 2, GroupsAt: 60}, {Threads: 2, GroupsAt: 60, Memory: 1 << 20, SpillAt: 64 << 10, Spill: dir, Stats: exec.NewStats(n)}} {
				env.Expr = utc()
				rows, err := exectest.Rows(t.Context(), n, env)
				if err != nil {
					t.Fatalf("seed %d: by column %d, way %d: %v", seed, k, i, err)
				}
				if i == 2 && env.Stats.Node(n).Spilled.Load() == 0 {
					t.Errorf("seed %d: by column %d: nothing was spilled", seed, k)
				}
				if slices.Sort(rows); i == 0 {
					want = rows
				} else if !slices.Equal(rows, want) {
					t.Errorf("seed %d: by column %d, way %d: %d rows are not the %d of one sort", seed, k, i, len(rows), len(want))
				}
			}
			emptySpillDir(t, disk, dir)
		}
	}
}

func utc() *expr.Context { return &expr.Context{Location: time.UTC} }

func emptySpillDir(t *testing.T, disk vfs.FS, dir *exec.SpillDir) {
	t.Helper()
	names, err := disk.List("tmp")
	if err != nil {
		t.Fatal(err)
	}
	if len(names) > 0 || dir.Used() != 0 {
		t.Fatalf("spill files %v of %d bytes are left behind", names, dir.Used())
	}
}

// faultyFS fails the n-th call that writes or reads.
type faultyFS struct {
	*vfs.Mem
	left   atomic.Int64
	err    error
	damage bool // instead of failing, a read gives other bytes
}

type faultyFile struct {
	vfs.File
	fs *faultyFS
}

func (f *faultyFS) fails() bool { return f.left.Add(-1) == 0 }

func (f *faultyFS) Create(name string) (vfs.File, error) {
	if !f.damage && f.fails() {
		return nil, f.err
	}
	file, err := f.Mem.Create(name)
	return &faultyFile{file, f}, err
}

func (f *faultyFile) WriteAt(p []byte, off int64) (int, error) {
	if !f.fs.damage && f.fs.fails() {
		n, _ := f.File.WriteAt(p[:len(p)/2], off)
		return n, f.fs.err
	}
	return f.File.WriteAt(p, off)
}

func (f *faultyFile) ReadAt(p []byte, off int64) (int, error) {
	n, err := f.File.ReadAt(p, off)
	if f.fs.fails() {
		if !f.fs.damage {
			return 0, f.fs.err
		}
		p[len(p)/2] ^= 4
	}
	return n, err
}

func TestFaultsWhileSpilling(t *testing.T) {
	plans := spillPlans(t, rand.New(rand.NewPCG(5, 7)), 6_000)
	stride := int64(2)
	if testing.Short() {
		stride = 64
	}
	for _, p := range plans[:6] {
		if p.name == "distinct on, sorted" {
			continue
		}
		for _, fault := range []struct {
			err    error
			damage bool
			code   string
			word   string
		}{
			{errors.New("input/output error"), false, pgerr.IOError, "spill file"},
			{syscall.ENOSPC, false, pgerr.DiskFull, "the disk is full"},
			{nil, true, pgerr.IOError, "block at byte"},
		} {
			failed := false
			for n, step := int64(1), int64(1); ; n, step = n+step, step*stride {
				disk := &faultyFS{Mem: vfs.NewMem(), err: fault.err, damage: fault.damage}
				dir, err := exec.OpenSpillDir(disk, "tmp", 1<<30)
				if err != nil {
					t.Fatal(err)
				}
				disk.left.Store(n)
				_, err = exectest.Rows(t.Context(), p.node, &exec.Env{Expr: utc(), Threads: 1, Memory: p.memory, Spill: dir})
				emptySpillDir(t, disk, dir)
				if err == nil && disk.left.Load() > 0 {
					break // fewer calls than that
				}
				if err == nil || pgerr.Code(err) != fault.code || !strings.Contains(err.Error(), fault.word) {
					t.Fatalf("%s: call %d goes wrong with %v: %v, want %s", p.name, n, fault.err, err, fault.code)
				}
				failed = true
			}
			if !failed {
				t.Errorf("%s: nothing went wrong", p.name)
			}
		}
	}
}

func TestSpillingIsBounded(t *testing.T) {
	plans := spillPlans(t, rand.New(rand.NewPCG(6, 7)), 6_000)
	for _, p := range plans[:4] {
		disk := vfs.NewMem()
		dir, err := exec.OpenSpillDir(disk, "tmp", 20_000)
		if err != nil {
			t.Fatal(err)
		}
		env := &exec.Env{Expr: utc(), Threads: 1, Memory: p.memory, Spill: dir}
		if _, err := exectest.Rows(t.Context(), p.node, env); pgerr.Code(err) != pgerr.DiskFull || !strings.Contains(err.Error(), "spill_limit") {
			t.Errorf("%s: %v, want %s that names the setting", p.name, err, pgerr.DiskFull)
		}
		emptySpillDir(t, disk, dir)
		env.Spill = nil
		if _, err := exectest.Rows(t.Context(), p.node, env); pgerr.Code(err) != pgerr.OutOfMemory {
			t.Errorf("%s without a place to spill: %v, want %s", p.name, err, pgerr.OutOfMemory)
		}
	}
}

// One group cannot be divided.
func TestWhatCannotSpillFailsCleanly(t *testing.T) {
	types, batches := spillRows(rand.New(rand.NewPCG(8, 7)), 6_000)
	disk := vfs.NewMem()
	dir, err := exec.OpenSpillDir(disk, "tmp", 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	n := &plan.Aggregate{Input: exectest.Input(types, batches), Names: []string{"a"}, Aggs: []plan.AggCall{{Name: "array_agg", Args: []expr.Expr{column(types, 1)}}}}
	env := &exec.Env{Expr: utc(), Threads: 1, Memory: 64 << 10, Spill: dir}
	if _, err := exectest.Rows(t.Context(), n, env); pgerr.Code(err) != pgerr.OutOfMemory || pgerr.From(err).Hint == "" {
		t.Errorf("one large group: %v, want %s with a hint", err, pgerr.OutOfMemory)
	}
	emptySpillDir(t, disk, dir)
}

// cancelling ends the context at the n-th write.
type cancelling struct {
	*vfs.Mem
	left   atomic.Int64
	cancel context.CancelFunc
}

type cancellingFile struct {
	vfs.File
	fs *cancelling
}

func (c *cancelling) Create(name string) (vfs.File, error) {
	f, err := c.Mem.Create(name)
	return &cancellingFile{f, c}, err
}

func (f *cancellingFile) WriteAt(p []byte, off int64) (int, error) {
	if f.fs.left.Add(-1) == 0 {
		f.fs.cancel()
	}
	return f.File.WriteAt(p, off)
}

func TestSpillingIsCancelled(t *testing.T) {
	plans := spillPlans(t, rand.New(rand.NewPCG(9, 7)), 6_000)
	for _, p := range plans[:4] {
		ctx, cancel := context.WithCancel(t.Context())
		disk := &cancelling{Mem: vfs.NewMem(), cancel: cancel}
		dir, err := exec.OpenSpillDir(disk, "tmp", 1<<30)
		if err != nil {
			t.Fatal(err)
		}
		disk.left.Store(3)
		_, err = exectest.Rows(ctx, p.node, &exec.Env{Expr: utc(), Threads: 1, Memory: p.memory, Spill: dir})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v, want it cancelled", p.name, err)
		}
		if disk.left.Load() < -2*16 { // a batch goes to all partitions
			t.Errorf("%s: %d writes after it was cancelled", p.name, -disk.left.Load())
		}
		emptySpillDir(t, disk, dir)
	}
}

func TestSpillDirIsEmptiedAtTheStart(t *testing.T) {
	disk := vfs.NewMem()
	if err := disk.MkdirAll("tmp"); err != nil {
		t.Fatal(err)
	}
	if err := vfs.WriteSynced(disk, "tmp/00000007.spill", bytes.Repeat([]byte{1}, 100)); err != nil {
		t.Fatal(err)
	}
	dir, err := exec.OpenSpillDir(disk, "tmp", 1)
	if err != nil {
		t.Fatal(err)
	}
	emptySpillDir(t, disk, dir)
}
