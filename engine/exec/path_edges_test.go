package exec

import (
	"math/rand"
	"testing"

	"github.com/prickledb/prickle/storage/vec"
)

// TestShortEdges counts so many edges that parts are counted while more come, and some that
// are no short ones since their step is too great.
func TestShortEdges(t *testing.T) {
	r := rand.New(rand.NewSource(1))
	const names = 300
	p := &paths{short: true, names: &vec.Vector{Type: vec.T(vec.Text), Str: vec.StringsOf(make([]string, names)...)}}
	walkers := make([]pathWalker, 2)
	want := map[pathKey]pathCount{}
	for i := range 400_000 {
		e := pathEdge{pathKey: pathKey{step: uint32(r.Intn(3)), source: uint32(r.Intn(4)), target: uint32(r.Intn(names))}, time: uint64(r.Intn(1000))}
		switch {
		case i%1000 == 0:
			e.step = shortFrom
		case i%3 == 0:
			e.source = uint32(r.Intn(names))
		}
		if i%5 == 0 {
			e.time = 1 << 63
		}
		k := &walkers[i%2]
		k.p, k.names = p, names
		k.add(&e)
		c := want[e.pathKey]
		c.add(&pathCount{pathKey: e.pathKey, count: 1, time: e.time})
		c.pathKey = e.pathKey
		want[e.pathKey] = c
	}
	var tally edgeTally
	for at := range walkers[0].counts {
		var sum pathCounts
		for i := range walkers {
			part := &walkers[i].counts[at]
			for j := range part.counts.list {
				sum.add(&part.counts.list[j])
			}
			sum.addEdges(part.waiting)
		}
		for _, c := range tally.count(p, walkers[1].counts[at].lists(walkers[0].counts[at].lists(nil))) {
			sum.add(&c)
		}
		for _, c := range sum.list {
			if want[c.pathKey] != c {
				t.Fatalf("part %d has %+v, want %+v", at, c, want[c.pathKey])
			}
			delete(want, c.pathKey)
		}
	}
	if len(want) > 0 {
		t.Fatalf("%d edges were not counted", len(want))
	}
}
