package exec

import (
	"math/bits"
	"slices"
	"unsafe"
)

// shortEdge is an edge without breakdown value and actor: from has the step and the source.
// Most questions have no others, and so many of them that it matters how long they are.
type shortEdge struct {
	from, target uint32
	time         uint64
}

// shortFrom bounds shortEdge.from: a part has a counter for each of its values.
const shortFrom = 1 << 24

// add counts an edge, and gives how many bytes that took. Short edges are in the part that
// their beginning says, others in that of their hash.
func (k *pathWalker) add(e *pathEdge) int64 {
	from := uint64(e.step)*uint64(k.names) + uint64(e.source)
	if !k.p.short || from >= shortFrom {
		return k.counts[e.hash()>>56].add(e)
	}
	at := int(from % uint64(len(k.counts)))
	part := &k.counts[at]
	grown := int64(0)
	if len(part.short) == cap(part.short) {
		grown = k.makeRoom(part)
	}
	part.short = append(part.short, shortEdge{uint32(from), e.target, e.time})
	return grown
}

// makeRoom makes room for more short edges in a part, and gives how many bytes that took.
func (k *pathWalker) makeRoom(part *pathPart) int64 {
	if before := cap(part.short); before < shortWaiting {
		part.short = slices.Grow(part.short, max(16, min(3*before, shortWaiting-before)))
		return int64(cap(part.short)-before) * int64(unsafe.Sizeof(shortEdge{}))
	}
	before := len(part.counts.list)
	for _, c := range k.tally.count(k.p, part.short) {
		part.counts.add(&c)
	}
	part.short = part.short[:0]
	return int64(len(part.counts.list)-before) * pathCountBytes
}

// edgeTally counts the short edges of a part. They are sorted by where they begin, so that the
// counts of one beginning can be found by the target alone.
type edgeTally struct {
	starts []uint32 // by beginning, where its edges are in sorted
	sorted []shortEdge
	place  []uint32 // by target, one more than the place in the list, if it is one of this beginning
	list   []pathCount
}

// count counts edges of one part. The list is valid until the next call.
func (t *edgeTally) count(p *paths, lists ...[]shortEdge) []pathCount {
	t.list = t.list[:0]
	edges, most := 0, uint32(0)
	for _, list := range lists {
		edges += len(list)
		for i := range list {
			most = max(most, list[i].from)
		}
	}
	if edges == 0 {
		return nil
	}
	t.sort(lists, edges, int(most/parts)+1)
	names := p.names.Len()
	if len(t.place) < names {
		t.place = make([]uint32, names)
	}
	lo := 0
	for _, hi := range t.starts[:most/parts+1] {
		if lo < int(hi) {
			t.countFrom(t.sorted[lo:hi], uint32(names))
		}
		lo = int(hi)
	}
	return t.list
}

const parts = uint32(len(pathParts{}))

// sort sorts edges by beginning; afterwards starts has where those of each end.
func (t *edgeTally) sort(lists [][]shortEdge, edges, beginnings int) {
	t.starts, t.sorted = grow(t.starts, beginnings+1), grow(t.sorted, edges)
	clear(t.starts)
	for _, list := range lists {
		for i := range list {
			t.starts[list[i].from/parts+1]++
		}
	}
	for i := range beginnings {
		t.starts[i+1] += t.starts[i]
	}
	for _, list := range lists {
		for i := range list {
			at := &t.starts[list[i].from/parts]
			t.sorted[*at] = list[i]
			*at++
		}
	}
}

// countFrom counts edges that begin at the same.
func (t *edgeTally) countFrom(list []shortEdge, names uint32) {
	first := len(t.list)
	for i := range list {
		e := &list[i]
		at := t.place[e.target]
		if at == 0 {
			t.list = append(t.list, pathCount{pathKey: pathKey{step: e.from / names, source: e.from % names, target: e.target}})
			at = uint32(len(t.list))
			t.place[e.target] = at
		}
		c := &t.list[at-1]
		var carry uint64
		c.count++
		c.time, carry = bits.Add64(c.time, e.time, 0)
		c.hi += carry
	}
	for i := range t.list[first:] {
		t.place[t.list[first+i].target] = 0
	}
}
