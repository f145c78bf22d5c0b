package exec

import (
	"math"
	"math/bits"
	"sync"
	"unsafe"

	"github.com/prickledb/prickle/engine/plan"
)

// An edge without breakdown value and actor is short. Where it begins, which is its step and its
// source in one number, says which part it is in; its key has the rest of that number and the target.
// Most questions have no other edges, and so many of them that it matters how long they are.

// parts is how many parts edges are in.
const parts = uint32(len(pathParts{}))

// mostBeginnings bounds where a short edge begins: a part has a counter for each.
const mostBeginnings = 1 << 24

// edgeNumbers is a number of each of so many short edges. As many as mostFull times that wait at most in
// a part.
type edgeNumbers [1024]uint32

const mostFull = 32

// edgeRooms keeps what is not used: it need not be cleared.
var edgeRooms = sync.Pool{New: func() any { return new(edgeNumbers) }}

// edgeRoom is the keys of short edges of a part, and how long they took, if anybody asks for that.
type edgeRoom struct{ keys, times *edgeNumbers }

// openRoom is filled from its end on.
type openRoom struct {
	edgeRoom
	left uint32
}

// edgeForm is what short edges look like.
type edgeForm struct {
	names      uint32
	targetBits uint32 // of the key
	beginnings uint64 // edges that begin there or beyond are not short
	timed      bool
}

func newEdgeForm(names int, timed bool) edgeForm {
	width := uint32(bits.Len32(uint32(max(1, names) - 1)))
	return edgeForm{uint32(names), width, min(mostBeginnings, uint64(parts)<<(32-width)), timed}
}

// beginning is where an edge begins.
func (f *edgeForm) beginning(step, source uint32) uint64 {
	return uint64(step)*uint64(f.names) + uint64(source)
}

// key is the key of a short edge.
func (f *edgeForm) key(beginning uint64, target uint32) uint32 {
	return uint32(beginning/uint64(parts))<<f.targetBits | target
}

// fits says whether an edge is short.
func (f *edgeForm) fits(beginning, time uint64) bool {
	return beginning < f.beginnings && (time <= math.MaxUint32 || !f.timed)
}

// add counts an edge.
func (k *pathWalker) add(e *pathEdge) {
	part := e.hash() >> 56
	if k.p.short {
		f := &k.p.form
		begins := f.beginning(e.step, e.source)
		part = begins % uint64(parts)
		if f.fits(begins, e.time) {
			if k.open[part].left == 0 {
				k.makeRoom(uint32(part))
			}
			k.open[part].add(f.key(begins, e.target), uint32(e.time))
			return
		}
	}
	k.grown += k.counts[part].add(e)
}

// add adds an edge where there is room.
func (r *openRoom) add(key, time uint32) {
	r.left--
	at := r.left % uint32(len(edgeNumbers{}))
	r.keys[at] = key
	if r.times != nil {
		r.times[at] = time
	}
}

// makeRoom makes room for more short edges in a part.
func (k *pathWalker) makeRoom(at uint32) {
	f, part, room := &k.p.form, &k.counts[at], &k.open[at]
	if room.keys != nil {
		part.full = append(part.full, room.edgeRoom)
	}
	if len(part.full) == mostFull {
		*room = openRoom{}
		before, bytes := len(part.counts.list), int64(mostFull)*f.roomBytes()
		for _, c := range k.tally.count(f, at, k.shortEdges(at, nil), 1) {
			part.counts.add(&c)
		}
		k.grown += int64(len(part.counts.list)-before)*pathCountBytes - bytes
		part.drop()
	}
	room.keys, room.left = edgeRooms.Get().(*edgeNumbers), uint32(len(edgeNumbers{}))
	if f.timed {
		room.times = edgeRooms.Get().(*edgeNumbers)
	}
	k.grown += f.roomBytes()
}

// roomBytes is how many bytes an edgeRoom takes.
func (f *edgeForm) roomBytes() int64 {
	if f.timed {
		return 2 * int64(unsafe.Sizeof(edgeNumbers{}))
	}
	return int64(unsafe.Sizeof(edgeNumbers{}))
}

// shortEdges is the keys of short edges, and their times, unless nobody asks for them.
type shortEdges struct{ keys, times []uint32 }

// shortEdges appends the short edges of a part.
func (k *pathWalker) shortEdges(at uint32, to []shortEdges) []shortEdges {
	for _, room := range k.counts[at].full {
		to = append(to, room.from(0))
	}
	if open := &k.open[at]; open.keys != nil {
		to = append(to, open.from(open.left))
	}
	return to
}

// from is the edges from a place on.
func (r *edgeRoom) from(at uint32) shortEdges {
	if r.times == nil {
		return shortEdges{keys: r.keys[at:]}
	}
	return shortEdges{r.keys[at:], r.times[at:]}
}

// drop gives the memory of short edges back.
func (p *pathPart) drop() {
	for _, room := range p.full {
		edgeRooms.Put(room.keys)
		if room.times != nil {
			edgeRooms.Put(room.times)
		}
	}
	p.full = p.full[:0]
}

// forget forgets all edges of a part.
func (k *pathWalker) forget(at uint32) {
	part, open := &k.counts[at], &k.open[at]
	if open.keys != nil {
		part.full = append(part.full, open.edgeRoom)
	}
	part.drop()
	*part, *open = pathPart{}, openRoom{}
}

// foundEdge is an edge on its way to its part.
type foundEdge struct {
	step, source, target uint32
	time                 uint64
}

// direct counts the edges of an actor whose rows are nodes of its paths, all but those without
// a name and repeats, as far as paths may be long.
func (k *pathWalker) direct(times []int64, nodes []uint32) {
	k.found = grow(k.found, len(times)+1)
	f := &k.p.form
	for i := range k.findEdges(k.found, times, nodes) {
		e := &k.found[i]
		begins := f.beginning(e.step, e.source)
		if room := &k.open[begins%uint64(parts)]; room.left > 0 && f.fits(begins, e.time) {
			room.add(f.key(begins, e.target), uint32(e.time))
		} else {
			k.add(&pathEdge{pathKey{step: e.step, source: e.source, target: e.target}, e.time})
		}
	}
}

// findEdges writes the edges of an actor to a list that has room for one more than there are rows, and
// gives how many they are.
func (k *pathWalker) findEdges(list []foundEdge, times []int64, nodes []uint32) int {
	p := k.p
	none, gap := p.none, uint64(p.gap.fixed)
	keep, depth, steps := p.node.RepeatsKeep, uint32(p.node.Depth), uint32(0)
	if depth == 0 {
		depth = math.MaxUint32
	}
	if p.node.Output == plan.OutputDefault {
		steps = math.MaxUint32
	}
	n, length, source, since, before := 0, uint32(0), uint32(0), int64(0), int64(0) // the path, its last node, and the row before
	for i, t := range times {
		if uint64(t)-uint64(before) > gap { // times ascend, so no difference is too great
			length = 0
		}
		before = t
		target := nodes[i]
		if target == none || length == depth || !keep && length > 0 && target == source {
			continue
		}
		// Whether this is the first node of a path can hardly be foreseen: then this is no edge.
		list[n] = foundEdge{length & steps, source, target, uint64(t - since)}
		if length > 0 {
			n++
		}
		source, since = target, t
		length++
	}
	return n
}

// edgeTally counts the short edges of a part. They are sorted by where they begin, so that the
// counts of one beginning can be found by the target alone.
type edgeTally struct {
	ends   []uint32 // by beginning, where its edges end in sorted
	sorted shortEdges
	counts []uint32 // by target, of one beginning
	sums   []uint64 // of times
	seen   []uint32 // targets of one beginning
	list   []pathCount
}

// count counts the edges of one part, and leaves out those that come less often than so many times.
// The list is valid until the next call.
func (t *edgeTally) count(f *edgeForm, part uint32, lists []shortEdges, least int64) []pathCount {
	t.list = t.list[:0]
	edges, most := 0, uint32(0)
	for _, list := range lists {
		edges += len(list.keys)
		for _, key := range list.keys {
			most = max(most, key)
		}
	}
	if edges == 0 {
		return nil
	}
	t.sort(f, lists, edges, int(most>>f.targetBits)+1)
	if names := int(f.names); len(t.counts) < names {
		t.counts, t.seen = make([]uint32, names), make([]uint32, names+1)
		if f.timed {
			t.sums = make([]uint64, names)
		}
	}
	lo := uint32(0)
	for i, hi := range t.ends {
		if lo < hi {
			begins := uint32(i)*parts + part
			t.countFrom(pathKey{step: begins / f.names, source: begins % f.names}, lo, hi, least)
		}
		lo = hi
	}
	return t.list
}

// sort sorts edges by beginning. What is left of their keys are the targets.
func (t *edgeTally) sort(f *edgeForm, lists []shortEdges, edges, beginnings int) {
	t.ends, t.sorted.keys = grow(t.ends, beginnings+1), grow(t.sorted.keys, edges)
	if f.timed {
		t.sorted.times = grow(t.sorted.times, edges)
	}
	ends := t.ends
	clear(ends)
	for _, list := range lists {
		for _, key := range list.keys {
			ends[key>>f.targetBits+1]++
		}
	}
	for i := range beginnings {
		ends[i+1] += ends[i]
	}
	target := uint32(1)<<f.targetBits - 1
	for _, list := range lists {
		for i, key := range list.keys {
			end := &ends[key>>f.targetBits]
			t.sorted.keys[*end] = key & target
			if f.timed {
				t.sorted.times[*end] = list.times[i]
			}
			*end++
		}
	}
	t.ends = ends[:beginnings]
}

// countFrom counts the edges [lo, hi), which begin at the same.
func (t *edgeTally) countFrom(key pathKey, lo, hi uint32, least int64) {
	targets := t.sorted.keys[lo:hi]
	counts, seen, n := t.counts, t.seen, 0
	for _, target := range targets { // without a branch that nobody can foresee
		seen[n] = target
		c := counts[target]
		fresh := 0
		if c == 0 {
			fresh = 1
		}
		counts[target], n = c+1, n+fresh
	}
	if t.sums != nil {
		for i, target := range targets {
			t.sums[target] += uint64(t.sorted.times[int(lo)+i])
		}
	}
	for _, target := range seen[:n] {
		c := pathCount{pathKey: key, count: int64(counts[target])}
		counts[target] = 0
		if t.sums != nil {
			c.time, t.sums[target] = t.sums[target], 0
		}
		if c.target = target; c.count >= least {
			t.list = append(t.list, c)
		}
	}
}
