package exec

import (
	"math/rand"
	"slices"
	"testing"
	"time"

	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/vec"
)

// TestShortEdges counts so many edges that parts are counted while more come, and some that
// are no short ones since their step or their time is too great. Some targets are met often.
func TestShortEdges(t *testing.T) {
	for _, timed := range []bool{false, true} {
		if testing.Short() && timed {
			break
		}
		testShortEdges(t, 300, timed)
		testShortEdges(t, 90_000, timed) // keys in groups
	}
}

func testShortEdges(t *testing.T, names int, timed bool) {
	r := rand.New(rand.NewSource(1))
	p := &paths{short: true, form: newEdgeForm(names, timed)}
	walkers := make([]pathWalker, 2)
	walkers[1].rooms = mostRooms - 300
	want := map[pathKey]pathCount{}
	for i := range 400_000 {
		e := pathEdge{pathKey: pathKey{step: uint32(r.Intn(3)), source: uint32(r.Intn(4)), target: uint32(r.Intn(names))}, time: uint64(r.Intn(1000))}
		switch {
		case i%1000 == 0:
			e.step = mostBeginnings
		case i%3 == 0:
			e.source = uint32(r.Intn(names))
		}
		if r.Intn(2) == 0 {
			e.target %= 300
		}
		if r.Intn(2) == 0 {
			e.step, e.source = 0, 0
		}
		if i%5 == 0 {
			e.time = 1 << 63
		}
		k := &walkers[i%2]
		k.p = p
		k.add(&e)
		c := want[e.pathKey]
		c.add(&pathCount{pathKey: e.pathKey, count: 1, time: e.time})
		c.pathKey = e.pathKey
		want[e.pathKey] = c
	}
	if used := walkers[1].rooms - mostRooms + 300; used > walkers[0].rooms-mostFull {
		t.Errorf("there are %d rooms where they may not be more, and %d where they may", used, walkers[0].rooms)
	}
	var tally edgeTally
	for at := range parts {
		var sum pathCounts
		for i := range walkers {
			part := &walkers[i].counts[at]
			for j := range part.counts.list {
				sum.add(&part.counts.list[j])
			}
			sum.addEdges(part.waiting)
		}
		short := walkers[1].shortEdges(at, walkers[0].shortEdges(at, nil))
		all := slices.Clone(tally.count(&p.form, at, short, 1))
		often := slices.DeleteFunc(slices.Clone(all), func(c pathCount) bool { return c.count < 40 })
		if got := tally.count(&p.form, at, short, 40); !slices.Equal(got, often) {
			t.Fatalf("part %d has %d edges 40 times, want %d", at, len(got), len(often))
		}
		for i := range all {
			sum.add(&all[i])
		}
		for _, c := range sum.list {
			w := want[c.pathKey]
			if !timed {
				c.time, c.hi, w.time, w.hi = 0, 0, 0, 0
			}
			if w != c {
				t.Fatalf("part %d has %+v, want %+v", at, c, w)
			}
			delete(want, c.pathKey)
		}
	}
	if len(want) > 0 {
		t.Fatalf("%d edges were not counted", len(want))
	}
}

// BenchmarkPathEdges is edges from page to page: to walk rows, and to count what came of it.
func BenchmarkPathEdges(b *testing.B) {
	const names, actors, rows = 3000, 10_000, 30
	r := rand.New(rand.NewSource(1))
	zipf := rand.NewZipf(r, 1.1, 10, names-2)
	times, nodes := make([]int64, actors*rows), make([]uint32, actors*rows)
	for i := range times {
		nodes[i] = uint32(1 + zipf.Uint64())
		switch {
		case i%rows == 0:
		case r.Intn(5) == 0:
			times[i] = times[i-1] + day
		default:
			times[i] = times[i-1] + r.Int63n(20*minute)
		}
	}
	p := &paths{node: &plan.Paths{Output: plan.OutputTransitions, RepeatsKeep: true}, direct: true, inside: true, short: true,
		gap: newWindow(vec.IntervalValue{Micros: 30 * minute}, time.UTC), form: newEdgeForm(names, false)}
	k := &pathWalker{p: p}
	forget := func() {
		for at := range parts {
			k.forget(at)
		}
	}
	walk := func() {
		for i := 0; i < len(times); i += rows {
			k.actor(times[i:i+rows], nodes[i:i+rows])
		}
	}
	b.Run("walk", func(b *testing.B) {
		for b.Loop() {
			walk()
			forget()
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(times)), "ns/row")
	})
	b.Run("count", func(b *testing.B) {
		walk()
		for b.Loop() {
			for at := range parts {
				k.tally.count(&p.form, at, k.shortEdges(at, nil), 50)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(times)), "ns/row")
	})
}
