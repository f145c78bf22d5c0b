package exec

import (
	"context"
	"errors"
	"fmt"
	"math/rand"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/vec"
	"github.com/prickledb/prickle/storage/vfs"
)

// machine is a scheduler with a clock that moves only when a query works.
type machine struct {
	*Scheduler
	clock atomic.Int64
}

func newMachine(slots int) *machine {
	m := &machine{Scheduler: NewScheduler(slots)}
	m.now = func() time.Duration { return time.Duration(m.clock.Load()) }
	return m
}

// task is a query that does morsels of a millisecond, one whenever it is told to.
type task struct {
	m     *machine
	share *Share
	used  atomic.Int64
	step  chan time.Duration // how long the next morsel takes; closed at the end
	done  chan error         // the morsel is done, and the goroutine may begin the next
}

func (m *machine) start(ctx context.Context, p Payer) *task {
	j := &task{m: m, step: make(chan time.Duration), done: make(chan error, 1)}
	j.share = m.Open(p, &j.used)
	turn := j.share.Begin()
	ctx = turn.Resume(ctx)
	go func() {
		defer close(j.done)
		for d := range j.step {
			m.clock.Add(int64(d))
			j.done <- yield(ctx)
		}
		turn.Pause()
		j.share.Close()
	}()
	return j
}

// work does a morsel, and waits until the goroutine may go on.
func (j *task) work(d time.Duration) error {
	j.step <- d
	return <-j.done
}

// until waits for something that other goroutines are about to do.
func until(t *testing.T, ok func() bool) {
	t.Helper()
	for !ok() {
		if t.Context().Err() != nil {
			t.Fatal("it never came")
		}
		runtime.Gosched()
	}
}

// On one slot, a short query that comes while a long one runs is done before the long one has
// the slot again; the long one stops at the end of the morsel in which its slice ends.
func TestShortOvertakesLong(t *testing.T) {
	m := newMachine(1)
	long := m.start(t.Context(), Payer{User: "a"})
	for range 500 {
		if err := long.work(time.Millisecond); err != nil { // alone, it never waits
			t.Fatal(err)
		}
	}
	short := m.start(t.Context(), Payer{User: "a"})
	morsels := 0
	for m.Waiting() == 0 { // until its slice is over
		long.step <- time.Millisecond
		morsels++
		select {
		case <-long.done:
		default:
			until(t, func() bool { return m.Waiting() == 1 || len(long.done) > 0 })
			if m.Waiting() == 0 {
				<-long.done
			}
		}
	}
	if morsels > 10 {
		t.Errorf("the long query did %d morsels beside the short one, want at most a slice", morsels)
	}
	for range 50 {
		if err := short.work(time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
	if m.Waiting() != 1 || len(long.done) != 0 {
		t.Errorf("the long query runs while the short one does")
	}
	close(short.step)
	if err := <-long.done; err != nil {
		t.Error(err)
	}
	if short.used.Load() < int64(50*time.Millisecond) || m.Waiting() != 0 {
		t.Errorf("the short query used %v, want 50 ms; %d wait", time.Duration(short.used.Load()), m.Waiting())
	}
	close(long.step)
}

// share has queries work for so many slices in all, on one slot, and says how many each had.
func shareOut(t *testing.T, m *machine, slices int, payers ...Payer) []int {
	t.Helper()
	counts := make([]int, len(payers))
	var mu sync.Mutex
	total := 0
	var wait sync.WaitGroup
	var begun sync.WaitGroup
	begun.Add(len(payers))
	for i, p := range payers {
		wait.Go(func() {
			var used atomic.Int64
			share := m.Open(p, &used)
			defer share.Close()
			turn := share.Begin()
			defer turn.Pause()
			ctx := turn.Resume(t.Context())
			begun.Done()
			begun.Wait()
			turn.left = 0 // the first slice is a gift
			if err := yield(ctx); err != nil {
				t.Error(err)
			}
			for {
				mu.Lock()
				if total == slices {
					mu.Unlock()
					return
				}
				total++
				counts[i]++
				m.clock.Add(int64(turnSlice))
				mu.Unlock()
				if err := yield(ctx); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wait.Wait()
	return counts
}

// Projects share by weight, users of a project by weight, and queries of a user equally.
func TestWeights(t *testing.T) {
	for _, c := range []struct {
		payers []Payer
		want   []int
	}{
		{[]Payer{{User: "a"}, {User: "a"}}, []int{50, 50}},
		{[]Payer{{Project: 1}, {Project: 2}, {Project: 2}, {Project: 2}}, []int{50, 17, 17, 17}},
		{[]Payer{{Project: 1, ProjectWeight: 300}, {Project: 2}}, []int{75, 25}},
		{[]Payer{{User: "a"}, {User: "b"}, {User: "b"}}, []int{50, 25, 25}},
		{[]Payer{{User: "a", UserWeight: 25}, {User: "b"}}, []int{20, 80}},
	} {
		m := newMachine(1)
		got := shareOut(t, m, 1000, c.payers...)
		for i, n := range got {
			// Who waits for long has a slice between two others, so light queries have a little more.
			if want := c.want[i] * 10; n < want-40 || n > want+40 {
				t.Errorf("%+v had %v of 1000 slices, want about %v %%", c.payers, got, c.want)
				break
			}
		}
		if len(m.projects) != 0 || len(m.turns) != 0 || m.running != 0 {
			t.Errorf("afterwards: %d projects, %d turns, %d run", len(m.projects), len(m.turns), m.running)
		}
	}
}

// However many short queries come, a long one has a slice now and then; and one that has run
// for long already is not put behind a new long one for ever.
func TestNobodyStarves(t *testing.T) {
	m := newMachine(1)
	long := m.start(t.Context(), Payer{})
	for range 200 {
		if err := long.work(turnSlice); err != nil {
			t.Fatal(err)
		}
	}
	first := m.start(t.Context(), Payer{})
	long.step <- turnSlice
	until(t, func() bool { return m.Waiting() == 1 })
	before := m.clock.Load()
	had := false
	for range 20 {
		next := m.start(t.Context(), Payer{})
		close(first.step)
		<-first.done
		for range 3 {
			next.step <- turnSlice
			until(t, func() bool { return len(next.done) > 0 || len(long.done) > 0 })
			if len(long.done) > 0 { // the long one has the slot
				had = true
				<-long.done
				long.step <- turnSlice
			}
			if err := <-next.done; err != nil {
				t.Fatal(err)
			}
		}
		first = next
		if had {
			break
		}
	}
	if waited := time.Duration(m.clock.Load() - before); !had || waited > patience+5*turnSlice {
		t.Errorf("the long query waited for %v", waited)
	}
	close(first.step)
	<-first.done
	if err := <-long.done; err != nil {
		t.Fatal(err)
	}
	// A new long one is a second ahead, and then they take turns.
	m2 := newMachine(1)
	old := m2.start(t.Context(), Payer{})
	for range 3000 {
		if err := old.work(turnSlice); err != nil {
			t.Fatal(err)
		}
	}
	fresh := m2.Open(Payer{}, &atomic.Int64{})
	turn := fresh.Begin()
	turn.Resume(t.Context())
	if ahead := old.share.weighted - fresh.weighted; ahead > float64(lead+2*turnSlice) || ahead < float64(lead) {
		t.Errorf("a new query is %v ahead of one that has used 30 s", time.Duration(ahead))
	}
	turn.Pause()
	fresh.Close()
	close(old.step)
	close(long.step)
}

// A goroutine that waits for something else has no slot, and does not pay for the time.
func TestAway(t *testing.T) {
	m := newMachine(1)
	a := m.Open(Payer{}, new(atomic.Int64))
	turn := a.Begin()
	ctx := turn.Resume(t.Context())
	m.clock.Add(int64(100 * time.Millisecond))
	back := away(ctx)
	m.clock.Add(int64(time.Hour))
	back()
	if used := time.Duration(a.used.Load()); used != 100*time.Millisecond {
		t.Errorf("it has used %v, want 100 ms", used)
	}
	b := m.start(t.Context(), Payer{})
	turn.left = 0
	waits := make(chan error)
	go func() { waits <- yield(ctx) }()
	until(t, func() bool { return m.Waiting() == 1 })
	b.share.of.SetSlots(2)
	if err := <-waits; err != nil {
		t.Error(err)
	}
	m.SetSlots(0)
	if n := m.Slots(); n != 1 {
		t.Errorf("%d slots, want one at least", n)
	}
	close(b.step)
	<-b.done
	turn.Pause()
	a.Close()
}

// Who waits for a turn is told when its query ends.
func TestTurnEnds(t *testing.T) {
	m := newMachine(1)
	short := m.start(t.Context(), Payer{})
	ctx, cancel := context.WithCancelCause(t.Context())
	long := m.start(ctx, Payer{})
	long.step <- time.Second
	until(t, func() bool { return m.Waiting() == 1 })
	gone := errors.New("the client has gone")
	cancel(gone)
	if err := <-long.done; !errors.Is(err, context.Canceled) {
		t.Errorf("yield = %v", err)
	}
	close(long.step)
	<-long.done
	close(short.step)
	<-short.done
	if len(m.turns) != 0 || m.running != 0 || m.Waiting() != 0 {
		t.Errorf("afterwards: %d turns, %d run", len(m.turns), m.running)
	}
}

// Goroutines of a query take turns with those of others, and none is lost.
func TestParallelTurns(t *testing.T) {
	s := NewScheduler(2)
	var log []string
	var mu sync.Mutex
	var wait sync.WaitGroup
	for q := range 6 {
		wait.Go(func() {
			share := s.Open(Payer{User: fmt.Sprint(q % 2)}, new(atomic.Int64))
			defer share.Close()
			turn := share.Begin()
			defer turn.Pause()
			ctx := turn.Resume(t.Context())
			var built sync.Mutex
			err := parallel(ctx, 3, func(ctx context.Context, w int) error {
				for range 200 {
					turnOf(ctx).left = 0
					if err := yield(ctx); err != nil {
						return err
					}
					lock(ctx, &built)
					turnOf(ctx).left = 0
					err := yield(ctx)
					built.Unlock()
					if err != nil {
						return err
					}
				}
				mu.Lock()
				log = append(log, fmt.Sprint(q, w))
				mu.Unlock()
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	slices.Sort(log)
	if len(slices.Compact(log)) != 18 || len(s.turns) != 0 || s.running != 0 {
		t.Errorf("%s: %d turns are left, %d run", strings.Join(log, ","), len(s.turns), s.running)
	}
}

// pulled is an operator whose caller takes turns.
type pulled struct {
	Operator
	turn *Turn
}

func (p pulled) Next(ctx context.Context) (*vec.Batch, error) {
	ctx = p.turn.Resume(ctx)
	defer p.turn.Pause()
	return p.Operator.Next(ctx)
}

// Plans of every kind that run at once on one slot, and give it up between any two morsels, come
// to their ends with the rows that each has alone. Some spill all they hold.
func TestTurnsChangeNothing(t *testing.T) {
	stores := 5
	if testing.Short() {
		stores = 2
	}
	for seed := range int64(stores) {
		r := rand.New(rand.NewSource(seed))
		st := randomStore(t, r)
		spill, err := OpenSpillDir(vfs.NewMem(), "spill", 1<<30)
		if err != nil {
			t.Fatal(err)
		}
		join := &plan.Join{Left: eventsScan(), Right: &plan.Filter{Input: eventsScan(), Cond: &expr.Const{Value: &vec.Vector{Type: vec.T(vec.Bool), Form: vec.Const, Bools: []bool{true}}}},
			LeftKeys: []expr.Expr{scanColumn(0)}, RightKeys: []expr.Expr{scanColumn(0)}}
		count := plan.AggCall{Name: "count", Args: []expr.Expr{scanColumn(2)}, T: vec.T(vec.Int8)}
		plans := []plan.Node{
			join, &plan.Sort{Input: join, Keys: []plan.SortKey{{Expr: scanColumn(1)}}},
			&plan.Aggregate{Input: join, Keys: []expr.Expr{scanColumn(3), scanColumn(4)}, Aggs: []plan.AggCall{count}, Names: []string{"event", "plan", "n"}},
			&plan.Sort{Input: eventsScan(), Keys: []plan.SortKey{{Expr: scanColumn(2)}}},
			&plan.Distinct{Input: &plan.Project{Input: eventsScan(), Exprs: []expr.Expr{scanColumn(4)}, Names: []string{"plan"}}},
			&plan.Union{Of: []plan.Node{eventsScan(), &plan.Filter{Input: eventsScan(), Cond: &expr.Const{Value: vec.NullConst(vec.T(vec.Bool))}}}},
			&plan.TopN{Input: eventsScan(), Keys: []plan.SortKey{{Expr: scanColumn(1), Desc: true}, {Expr: scanColumn(2)}}, Limit: &expr.Const{Value: &vec.Vector{Type: vec.T(vec.Int8), Form: vec.Const, I64: []int64{7}}}},
		}
		for range 8 {
			n, _ := randomNode(t, r)
			plans = append(plans, n, n.WithInputs([]plan.Node{&plan.Limit{Input: n.Inputs()[0]}}))
		}
		run := func(i int, s *Scheduler) []string {
			sn, err := st.Snapshot(1)
			if err != nil {
				t.Error(err)
				return nil
			}
			defer sn.Release()
			env := testEnv(time.Date(2026, 3, 12, 5, 0, 0, 0, time.UTC).UnixMicro())
			env.Threads, env.Snapshot = 1, sn
			if s != nil {
				env.Threads = 3
				env.Share = s.Open(Payer{User: fmt.Sprint(i % 3)}, &env.Progress.CPU)
				defer env.Share.Close()
				if i%2 == 0 {
					env.Spill, env.SpillAt = spill, 1
				}
			}
			op, err := Build(plans[i], env)
			if err != nil {
				t.Errorf("plan %d: %v", i, err)
				return nil
			}
			rows := rowsOf(t, pulled{op, env.Share.Begin()})
			slices.Sort(rows)
			return rows
		}
		s := NewScheduler(1)
		s.slice = 0
		got := make([][]string, len(plans))
		var wait sync.WaitGroup
		for i := range plans {
			wait.Go(func() { got[i] = run(i, s) })
		}
		wait.Wait()
		for i := range plans {
			if want := run(i, nil); !slices.Equal(got[i], want) {
				t.Errorf("seed %d, plan %d: %T by turns gives %d rows, want %d", seed, i, plans[i], len(got[i]), len(want))
			}
		}
		if len(s.turns) != 0 || s.running != 0 || len(s.projects) != 0 {
			t.Errorf("seed %d: %d turns are left, %d run, %d projects", seed, len(s.turns), s.running, len(s.projects))
		}
		if err := st.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
