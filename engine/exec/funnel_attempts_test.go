package exec

import (
	"encoding/binary"
	"fmt"
	"slices"
	"testing"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/event"
	"github.com/prickledb/prickle/storage/vec"
)

// askAttempts asks for attempts, and for what they are by actor.
func (m *liveModel) askAttempts(what string) {
	m.t.Helper()
	r := m.r
	n := randomEventFunnel(m.t, r)
	n.Output, n.Breakdown, n.Unread, n.Converted = plan.OutputActors, nil, nil, r.Intn(2) == 0
	if r.Intn(2) == 0 {
		n.Mode, n.Entry = plan.Ordered, plan.EntryEach
	}
	above := func(in plan.Node) plan.Node { return in }
	schema := n.Schema()
	column := func(i int) *expr.Column { return &expr.Column{Index: i, T: schema[i].Type} }
	const actor, reached, converted, entered, times = 0, 1, 2, 3, 4
	switch r.Intn(4) {
	case 0:
		filtered := r.Intn(2) == 0
		above = func(in plan.Node) plan.Node {
			if filtered {
				in = &plan.Filter{Input: in, Cond: column(converted)}
			}
			return &plan.Project{Input: in, Exprs: []expr.Expr{column(actor), column(times)}, Names: []string{"actor", "times"}}
		}
	case 1, 2:
		aggs := []plan.AggCall{
			{Name: "count", T: vec.T(vec.Int8)},
			{Name: "sum", Args: []expr.Expr{column(reached)}, T: vec.T(vec.Int8)},
			{Name: "min", Args: []expr.Expr{column(entered)}, T: vec.T(vec.TimestampTZ)},
			{Name: "count", Args: []expr.Expr{column(reached)}, Distinct: true, Filter: column(converted), T: vec.T(vec.Int8)},
			{Name: "max", Args: []expr.Expr{column(times)}, T: schema[times].Type},
		}
		filtered, projected := r.Intn(2) == 0, r.Intn(2) == 0
		above = func(in plan.Node) plan.Node {
			if filtered {
				in = &plan.Filter{Input: in, Cond: column(converted)}
			}
			if projected {
				p := &plan.Project{Input: in}
				for i := range schema {
					p.Exprs, p.Names = append(p.Exprs, column(i)), append(p.Names, schema[i].Name)
				}
				in = p
			}
			a := &plan.Aggregate{Input: in, Keys: []expr.Expr{column(actor)}, Aggs: aggs, Names: make([]string, 1+len(aggs))}
			if !byActor(a, testEnv(0)) {
				m.t.Fatalf("%+v is not grouped as attempts come", a)
			}
			return a
		}
	}
	plain := *n
	plain.Input = &plan.Limit{Input: n.Input}
	want := m.road(above(&plain), 1, false, plan.ActorGroups)
	if got := m.road(above(n), 1+r.Intn(3), false); !slices.Equal(got, want) {
		m.t.Fatalf("%s: %+v\ngot  %d %.900q\nwant %d %.900q", what, n, len(got), got, len(want), want)
	}
}

// TestAttempts holds attempts that are handed out as they are found against rows.
func TestAttempts(t *testing.T) {
	for seed := range tries(8) {
		m := newLiveModel(t, 500+seed)
		for range 30 {
			what := m.step()
			for range 8 {
				m.askAttempts(what)
			}
		}
		m.fail(m.st.Close())
	}
}

// TestAttemptsOfManyRows has actors with more attempts than a batch has rows.
func TestAttemptsOfManyRows(t *testing.T) {
	m := newLiveModel(t, 23)
	for range 2 {
		m.add(50_000, 30_000)
		m.flush()
	}
	for range tries(8) {
		m.askAttempts("many rows")
	}
	m.fail(m.st.Close())
}

// addMany adds batches of so many events of 2500 persons, some of whom are merged.
func (m *liveModel) addMany(batches, events int) {
	m.addNamed(batches, events, func() string { return "xyz"[m.r.Intn(3):][:1] })
}

// addNamed is addMany with values of the property plan.
func (m *liveModel) addNamed(batches, events int, plan func() string) {
	for range batches {
		b := event.NewBuilder()
		for i := range events {
			var uuid vec.UUIDValue
			binary.BigEndian.PutUint64(uuid[:], m.r.Uint64())
			b.Begin(uuid, liveStart+int64(m.r.Intn(25*24))*3_600_000_000)
			b.SetName([]byte(liveNames[m.r.Intn(len(liveNames)):][:1]))
			b.SetDistinctID([]byte(fmt.Sprint("u", m.r.Intn(2500))))
			b.Property([]byte("plan"), event.Text, []byte(plan()))
			if i < 10_000 && m.r.Intn(50) == 0 {
				b.Op(event.PersonOp{Kind: event.OpMergeDangerously, Other: fmt.Sprint("u", m.r.Intn(2500))})
			}
			b.End()
		}
		batch := b.Finish()
		m.apply(func(index uint64) error { _, err := m.st.ApplyEvents(index, 1, 1, batch); return err })
		m.flush()
	}
}

// TestAttemptsOfManyActors has so many actors that goroutines share their blocks.
func TestAttemptsOfManyActors(t *testing.T) {
	m := newLiveModel(t, 29)
	m.addMany(3, 12_000)
	sn, err := m.st.Snapshot(1)
	m.fail(err)
	env := testEnv(0)
	env.Snapshot = sn
	if n := blockSourceOf(&plan.Funnel{Source: plan.Source{Input: eventsScan()}, Output: plan.OutputActors}, env).copies(); n != env.Threads {
		t.Errorf("%d goroutines share the blocks, want %d", n, env.Threads)
	}
	f := randomEventFunnel(t, m.r)
	f.Output, f.Breakdown, f.Unread = plan.OutputActors, nil, nil
	by := &plan.Aggregate{Input: f, Keys: []expr.Expr{&expr.Column{T: f.Actor.Type()}}, Names: []string{"actor"}}
	for _, n := range []plan.Node{f, by} {
		op, err := Build(n, env)
		m.fail(err)
		if len(rowsOf(t, op)) == 0 {
			t.Errorf("%T has no rows", n)
		}
		m.fail(op.Close())
		if held := env.held.Load(); held != 0 {
			t.Errorf("%T holds %d bytes when it is closed", n, held)
		}
	}
	sn.Release()
	for range tries(20) {
		m.askAttempts("many actors")
	}
	m.fail(m.st.Close())
}
