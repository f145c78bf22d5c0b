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

// edgeNumbers is a number of each of so many short edges.
type edgeNumbers [1024]uint32

// A part is counted before all rows are walked if the walker has mostRooms, and mostFull of them, which are
// what is left for each part, are its own. So edges that begin at the same few places wait together.
const (
	mostRooms = int(parts) * mostFull
	mostFull  = 32
)

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

// pathKey is what a key of a part stands for.
func (f *edgeForm) pathKey(part, key uint32) pathKey {
	begins := key>>f.targetBits*parts + part
	return pathKey{step: begins / f.names, source: begins % f.names, target: key & (1<<f.targetBits - 1)}
}

// fits says whether an edge is short.
func (f *edgeForm) fits(beginning, time uint64) bool {
	return beginning < f.beginnings && (time <= math.MaxUint32 || !f.timed)
}

// add counts an edge.
func (k *pathWalker) add(e *pathEdge) {
	part := e.place() >> 56
	if k.p.short {
		f := &k.p.form
		begins := f.beginning(e.step, e.source)
		part = begins % uint64(parts)
		if f.fits(begins, e.time) {
			if k.room[part].left == 0 {
				k.makeRoom(uint32(part))
			}
			k.room[part].add(f.key(begins, e.target), uint32(e.time))
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
	f, part, room := &k.p.form, &k.counts[at], &k.room[at]
	if room.keys != nil {
		part.full = append(part.full, room.edgeRoom)
		*room = openRoom{}
	}
	if k.rooms >= mostRooms && len(part.full) >= mostFull {
		k.settle(at)
	}
	k.rooms++
	room.keys, room.left = edgeRooms.Get().(*edgeNumbers), uint32(len(edgeNumbers{}))
	if f.timed {
		room.times = edgeRooms.Get().(*edgeNumbers)
	}
	k.grown += f.roomBytes()
}

// settle counts the short edges of a part.
func (k *pathWalker) settle(at uint32) {
	part := &k.counts[at]
	before := len(part.counts.list)
	for _, c := range k.tally.count(&k.p.form, at, k.shortEdges(at, nil), 1) {
		part.counts.add(&c)
	}
	k.grown += int64(len(part.counts.list)-before) * pathCountBytes
	k.dropRooms(at)
}

// dropRooms gives back the rooms of a part, which are counted.
func (k *pathWalker) dropRooms(at uint32) {
	part, room := &k.counts[at], &k.room[at]
	if room.keys != nil {
		part.full = append(part.full, room.edgeRoom)
		*room = openRoom{}
	}
	k.rooms -= len(part.full)
	k.grown -= int64(len(part.full)) * k.p.form.roomBytes()
	part.drop()
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
		to = append(to, room.edges(0))
	}
	if open := &k.room[at]; open.keys != nil {
		to = append(to, open.edges(open.left))
	}
	return to
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
	part, room := &k.counts[at], &k.room[at]
	if room.keys != nil {
		part.full = append(part.full, room.edgeRoom)
	}
	part.drop()
	*part, *room = pathPart{}, openRoom{}
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
		if room := &k.room[begins%uint64(parts)]; room.left > 0 && f.fits(begins, e.time) {
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

// edgeTally counts the short edges of a part by their keys. Where there may be more keys than the caches
// have counts for, the edges are sorted into groups of keys that are close together.
type edgeTally struct {
	ends   []uint32 // by group, where its edges end in sorted
	sorted shortEdges
	counts []uint32 // by key, of one group
	sums   []uint64 // of times
	seen   []uint32 // keys of one group
	list   []pathCount
}

// groupBits says of how many keys a group is: all targets of one beginning are in it, and as many
// beginnings as have their counts in the second-level cache.
func (f *edgeForm) groupBits() uint32 { return max(16, f.targetBits) }

// tallyBytes is how many bytes the counts of a group take.
func (f *edgeForm) tallyBytes() int64 {
	if f.timed {
		return 12 << f.groupBits()
	}
	return 4 << f.groupBits()
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
	width := f.groupBits()
	if len(t.counts) == 0 {
		t.counts = make([]uint32, 1<<width)
		if f.timed {
			t.sums = make([]uint64, 1<<width)
		}
	}
	t.seen = grow(t.seen, min(edges, 1<<width)+1)
	if most>>width == 0 {
		t.countGroup(f, part, lists, least)
		return t.list
	}
	t.sort(lists, edges, width, int(most>>width)+1)
	lo := uint32(0)
	for _, hi := range t.ends {
		if lo < hi {
			t.countGroup(f, part, []shortEdges{t.sorted.part(lo, hi)}, least)
		}
		lo = hi
	}
	return t.list
}

// edges is those from a place on.
func (r *edgeRoom) edges(from uint32) shortEdges {
	if r.times == nil {
		return shortEdges{keys: r.keys[from:]}
	}
	return shortEdges{r.keys[from:], r.times[from:]}
}

// part is some of the edges.
func (e shortEdges) part(lo, hi uint32) shortEdges {
	if e.times == nil {
		return shortEdges{keys: e.keys[lo:hi]}
	}
	return shortEdges{e.keys[lo:hi], e.times[lo:hi]}
}

// sort sorts edges into groups, which differ in what their keys have above so many bits.
func (t *edgeTally) sort(lists []shortEdges, edges int, width uint32, groups int) {
	t.ends, t.sorted.keys = grow(t.ends, groups+1), grow(t.sorted.keys, edges)
	if t.sums != nil {
		t.sorted.times = grow(t.sorted.times, edges)
	}
	ends := t.ends
	clear(ends)
	for _, list := range lists {
		for _, key := range list.keys {
			ends[key>>width+1]++
		}
	}
	for i := range groups {
		ends[i+1] += ends[i]
	}
	for _, list := range lists {
		for i, key := range list.keys {
			end := &ends[key>>width]
			t.sorted.keys[*end] = key
			if t.sums != nil {
				t.sorted.times[*end] = list.times[i]
			}
			*end++
		}
	}
	t.ends = ends[:groups]
}

// countGroup counts the edges of one group.
func (t *edgeTally) countGroup(f *edgeForm, part uint32, lists []shortEdges, least int64) {
	counts, seen, n := t.counts, t.seen, 0
	mask := uint32(len(counts) - 1)
	for _, list := range lists {
		for _, key := range list.keys { // without a branch that nobody can foresee
			seen[n] = key
			c := counts[key&mask]
			fresh := 0
			if c == 0 {
				fresh = 1
			}
			counts[key&mask], n = c+1, n+fresh
		}
		for i, time := range list.times {
			t.sums[list.keys[i]&mask] += uint64(time)
		}
	}
	for _, key := range seen[:n] {
		at := key & mask
		c := pathCount{count: int64(counts[at])}
		counts[at] = 0
		if t.sums != nil {
			c.time, t.sums[at] = t.sums[at], 0
		}
		if c.count >= least {
			c.pathKey = f.pathKey(part, key)
			t.list = append(t.list, c)
		}
	}
}
