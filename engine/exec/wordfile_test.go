package exec

import (
	"fmt"
	"math/rand"
	"slices"
	"strings"
	"testing"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/vec"
	"github.com/prickledb/prickle/storage/vfs"
)

// spillingEnv is an environment in which everything spills, and the files.
func spillingEnv(t *testing.T, n plan.Node) (*Env, *SpillDir) {
	t.Helper()
	dir, err := OpenSpillDir(vfs.NewMem(), "tmp", 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	env := testEnv(0)
	env.Spill, env.SpillAt, env.Stats = dir, 1, NewStats(n)
	return env, dir
}

// spilledAnswer is the sorted answer of a plan where everything spills, and how many bytes did.
func spilledAnswer(t *testing.T, n plan.Node, env *Env, dir *SpillDir) ([]string, int64) {
	t.Helper()
	got := sortedAnswer(t, n, env)
	if dir.Used() != 0 {
		t.Fatalf("spill files of %d bytes are left behind", dir.Used())
	}
	return got, env.Stats.Node(n).Spilled.Load()
}

// liveEvents is the events of a liveModel, by person and time.
func liveEvents() plan.Source {
	return plan.Source{Input: eventsScan(), Actor: scanColumn(colPerson), Time: scanColumn(colTime), Tie: scanColumn(colUUID), Zone: "UTC",
		From: timeConst(liveStart), To: timeConst(liveStart + 25*day)}
}

// nativeByValue is random questions of native operators whose breakdown values may be in files.
func nativeByValue(t *testing.T, r *rand.Rand) []plan.Node {
	text := func(column int, value string) expr.Expr {
		return equals(t, column, &vec.Vector{Type: vec.T(vec.Text), Str: vec.StringsOf(value)})
	}
	src := liveEvents()
	src.Compatible = r.Intn(2) == 0
	if r.Intn(2) == 0 {
		src.Where = text(colPlan, "x")
	}
	paths := &plan.Paths{Source: src, Node: scanColumn(colEvent), Gap: vec.IntervalValue{Micros: int64(1+r.Intn(48)) * 3_600_000_000},
		Depth: r.Intn(5), RepeatsKeep: r.Intn(2) == 0, Output: []plan.Output{plan.OutputDefault, plan.OutputActors, plan.OutputTransitions}[r.Intn(3)]}
	src.Breakdown = &plan.Breakdown{Exprs: []expr.Expr{scanColumn(colPlan)}, Names: []string{"v"}, Top: r.Intn(3)}
	if src.Breakdown.Top > 0 {
		src.Breakdown.WithOther = r.Intn(2) == 0
	}
	split := *paths
	split.Source = src
	retention := &plan.Retention{Source: src, Start: text(colEvent, "a"), Return: text(colEvent, "b"), Minimum: 1, Every: vec.IntervalValue{Days: 7}, Periods: 3,
		Rule: plan.StartRule(r.Intn(3))}
	sticky := &plan.Stickiness{Source: liveEvents(), Every: vec.IntervalValue{Days: 1}, Units: 1, Times: 1,
		Series: []plan.StickinessSeries{{Name: "s", Cond: text(colEvent, "c")}}}
	funnel := &plan.Funnel{Source: src, Within: &vec.IntervalValue{Days: 3},
		Steps: []plan.Step{{Name: "s1", Cond: text(colEvent, "a")}, {Name: "s2", Cond: text(colEvent, "b")}}}
	return []plan.Node{paths, &split, retention, sticky, funnel}
}

// Breakdown values in files give the answers of those in memory.
func TestFiledValuesChangeNoRow(t *testing.T) {
	m := newLiveModel(t, 31)
	m.addMany(2, 3_000)
	m.addMany(1, 10_000)
	sn, err := m.st.Snapshot(1)
	m.fail(err)
	defer sn.Release()
	filed := map[string]bool{}
	for seed := range tries(10) {
		for _, n := range nativeByValue(t, rand.New(rand.NewSource(seed))) {
			env := testEnv(0)
			env.Snapshot = sn
			want := sortedAnswer(t, n, env)
			spilling, dir := spillingEnv(t, n)
			spilling.Snapshot = sn
			got, bytes := spilledAnswer(t, n, spilling, dir)
			if !slices.Equal(got, want) {
				t.Fatalf("seed %d: %T %+v\ngot  %d %.900q\nwant %d %.900q", seed, n, n, len(got), got, len(want), want)
			}
			filed[fmt.Sprintf("%T", n)] = filed[fmt.Sprintf("%T", n)] || bytes > 0
		}
	}
	for _, name := range []string{"*plan.Paths", "*plan.Retention"} {
		if !filed[name] {
			t.Errorf("%s has filed no value", name)
		}
	}
}

// Frames come back as they were written, wherever they are; what was damaged is noticed, and a limit holds.
func TestFrames(t *testing.T) {
	dir, err := OpenSpillDir(vfs.NewMem(), "tmp", 1000)
	if err != nil {
		t.Fatal(err)
	}
	s := &spills{env: &Env{Spill: dir}}
	f, err := s.words()
	if err != nil {
		t.Fatal(err)
	}
	var frame []byte
	var places []int64
	for i := range uint32(3) {
		at, err := f.write(&frame, []uint32{i, 1 << 31}, []uint32{7})
		if err != nil {
			t.Fatal(err)
		}
		places = append(places, at)
	}
	pair, one := make([]uint32, 2), make([]uint32, 1)
	for _, i := range []int{2, 0, 1} {
		if err := f.read(&frame, places[i], pair, one); err != nil || pair[0] != uint32(i) || pair[1] != 1<<31 || one[0] != 7 {
			t.Errorf("frame %d: %v and %v, %v", i, pair, one, err)
		}
	}
	if _, err := f.file.file.WriteAt([]byte{9}, places[1]+frameHead); err != nil {
		t.Fatal(err)
	}
	if err := f.read(&frame, places[1], pair, one); pgerr.Code(err) != pgerr.IOError || !strings.Contains(err.Error(), "checksum") {
		t.Errorf("a damaged frame: %v", err)
	}
	if _, err := f.write(&frame, make([]uint32, 1000)); pgerr.Code(err) != pgerr.DiskFull {
		t.Errorf("a frame beyond the limit: %v", err)
	}
	if err := s.close(); err != nil || dir.Used() != 0 {
		t.Errorf("%d bytes are used after %v", dir.Used(), err)
	}
}
