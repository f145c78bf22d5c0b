package exec

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/storage"
	"github.com/prickledb/prickle/storage/event"
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
		"some":     {operator(t, "=", long, intConst(8)), operator(t, ">", name, &expr.Const{Value: &vec.Vector{Type: vec.T(vec.Text), Form: vec.Const, Str: vec.StringsOf("event 2")}})},
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
