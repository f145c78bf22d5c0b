package exec

import (
	"math"
	"math/bits"
	"sync"
	"unsafe"

	"github.com/prickledb/prickle/engine/plan"
)

// shortEdge is an edge without breakdown value and actor: from has the step and the source.
// Most questions have no others, and so many of them that it matters how long they are.
type shortEdge struct{ from, target, time uint32 }

// shortFrom bounds shortEdge.from: a part has a counter for each of its values.
const shortFrom = 1 << 24

// edgesShort is short edges of one part. As many as mostFull of them wait at most in a part.
type edgesShort [1024]shortEdge

const mostFull = 32

// shortEdges keeps what is not used: it need not be cleared.
var shortEdges = sync.Pool{New: func() any { return new(edgesShort) }}

// add counts an edge, and gives how many bytes that took.
func (k *pathWalker) add(e *pathEdge) int64 {
	from := uint64(e.step)*uint64(k.names) + uint64(e.source)
	switch {
	case !k.p.short:
		return k.counts[e.hash()>>56].add(e)
	case from < shortFrom && e.time <= math.MaxUint32:
		return k.addShort(shortEdge{uint32(from), e.target, uint32(e.time)})
	}
	return k.counts[from%uint64(parts)].add(e)
}

func (k *pathWalker) addShort(e shortEdge) int64 {
	part := &k.counts[e.from%parts]
	grown := int64(0)
	if len(part.short) == cap(part.short) {
		grown = k.makeRoom(part)
	}
	part.short = append(part.short, e)
	return grown
}

// makeRoom makes room for more short edges in a part, and gives how many bytes that took.
func (k *pathWalker) makeRoom(part *pathPart) int64 {
	grown := int64(0)
	if len(part.full) == mostFull {
		before := len(part.counts.list)
		for _, c := range k.tally.count(k.p, part.lists(nil)) {
			part.counts.add(&c)
		}
		grown = int64(len(part.counts.list)-before)*pathCountBytes - int64(len(part.full))*int64(unsafe.Sizeof(edgesShort{}))
		part.drop()
	}
	room := shortEdges.Get().(*edgesShort)
	part.full, part.short = append(part.full, room), room[:0]
	return grown + int64(unsafe.Sizeof(*room))
}

// lists appends the short edges of a part.
func (p *pathPart) lists(to [][]shortEdge) [][]shortEdge {
	for i, full := range p.full {
		if list := full[:]; i < len(p.full)-1 {
			to = append(to, list)
		} else {
			to = append(to, list[:len(p.short)])
		}
	}
	return to
}

// drop gives the memory of short edges back.
func (p *pathPart) drop() {
	for _, full := range p.full {
		shortEdges.Put(full)
	}
	p.full, p.short = p.full[:0], nil
}

// forget forgets everything.
func (p *pathPart) forget() {
	p.drop()
	*p = pathPart{}
}

// direct counts the edges of an actor whose rows are nodes of its paths, all but those without
// a name and repeats, as far as paths may be long.
func (k *pathWalker) direct(times []int64, vals []uint32) {
	p := k.p
	keep, depth, steps := p.node.RepeatsKeep, uint32(p.node.Depth), p.node.Output == plan.OutputDefault
	length, source, since, before := uint32(0), uint32(0), int64(0), int64(0) // of the path, its last node, and the row before
	gap := uint64(p.gap.fixed)
	for i, t := range times {
		switch {
		case i == 0:
		case p.gap.fixed >= 0: // times ascend, so no difference is too great
			if uint64(t)-uint64(before) > gap {
				length = 0
			}
		case p.cuts(before, t):
			length = 0
		}
		before = t
		target := p.nodes[vals[i]]
		if target == p.none || depth > 0 && length == depth || length > 0 && !keep && target == source {
			continue
		}
		if length > 0 {
			from, took := uint64(source), uint64(t-since)
			if steps {
				from += uint64(length) * uint64(k.names)
			}
			part := &k.counts[from%uint64(parts)]
			if n := len(part.short); n < cap(part.short) && from < shortFrom && took <= math.MaxUint32 {
				part.short = part.short[:n+1]
				part.short[n] = shortEdge{uint32(from), target, uint32(took)}
			} else {
				e := pathEdge{pathKey{source: source, target: target}, took}
				if steps {
					e.step = length
				}
				k.grown += k.add(&e)
			}
		}
		source, since = target, t
		length++
	}
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
func (t *edgeTally) count(p *paths, lists [][]shortEdge) []pathCount {
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
		c.time, carry = bits.Add64(c.time, uint64(e.time), 0)
		c.hi += carry
	}
	for i := range t.list[first:] {
		t.place[t.list[first+i].target] = 0
	}
}
