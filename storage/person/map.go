package person

import (
	"github.com/RoaringBitmap/roaring/v2"
)

// mapChunk is how many ordinals a chunk of a Map covers.
const mapChunk = 4096

// Map leads from ordinals to the persons they belong to now. It is immutable.
type Map struct {
	chunks []*[mapChunk]uint32 // nil where every ordinal is its own root
	merged *roaring.Bitmap
	count  int
	erased *roaring.Bitmap
	moves  []Move
}

// NewMap makes a map of the roots of those ordinals that are not their own. It knows of nobody
// erased or split off.
func NewMap(roots map[uint32]uint32) *Map {
	m := newIdentity()
	for o, root := range roots {
		m.set(o, root)
		m.merged.Add(o)
		m.count++
	}
	return m.publish()
}

// Root is the ordinal of the person that ord belongs to.
func (m *Map) Root(ord uint32) uint32 {
	if c := int(ord / mapChunk); c < len(m.chunks) && m.chunks[c] != nil {
		return m.chunks[c][ord%mapChunk]
	}
	return ord
}

// Merged is the ordinals that are not their own root. It is shared: do not modify it.
func (m *Map) Merged() *roaring.Bitmap { return m.merged }

// Erased is the ordinals of persons that were deleted with their events: rows that hold
// one are dead. It is shared: do not modify it. It is the same pointer until another
// person is deleted.
func (m *Map) Erased() *roaring.Bitmap { return m.erased }

// Moves is what was split off, in the order in which it was: lists only grow.
func (m *Map) Moves() []Move { return m.moves }

// Len is how many ordinals are not their own root.
func (m *Map) Len() int { return m.count }

// identity is the Map in the making. Chunks are copied before they change if a Map that
// was given out holds them.
type identity struct {
	Map
	own     []bool              // per chunk: not shared with a Map given out
	members map[uint32][]uint32 // per root: the ordinals that lead to it
	// left is the ordinals of persons whom somebody was split off: they say of no new row
	// whose it is. A root is never one of them.
	left *roaring.Bitmap
}

func newIdentity() identity {
	return identity{Map: Map{merged: roaring.New(), erased: roaring.New()}, members: map[uint32][]uint32{}, left: roaring.New()}
}

// merge makes root the root of old, which is one itself, and of all that lead to it.
func (m *identity) merge(old, root uint32) {
	moved := append(m.members[old], old)
	delete(m.members, old)
	for _, o := range moved {
		m.set(o, root)
	}
	m.members[root] = append(m.members[root], moved...)
	m.merged.Add(old)
	m.count++
}

func (m *identity) set(ord, root uint32) {
	c := int(ord / mapChunk)
	for len(m.chunks) <= c {
		m.chunks, m.own = append(m.chunks, nil), append(m.own, false)
	}
	if !m.own[c] {
		fresh := new([mapChunk]uint32)
		if m.chunks[c] != nil {
			*fresh = *m.chunks[c]
		} else {
			for i := range fresh {
				fresh[i] = uint32(c*mapChunk + i)
			}
		}
		m.chunks[c], m.own[c] = fresh, true
	}
	m.chunks[c][ord%mapChunk] = root
}

// publish is the map as it is now.
func (m *identity) publish() *Map {
	clear(m.own)
	return &Map{chunks: append([]*[mapChunk]uint32(nil), m.chunks...), merged: m.merged.Clone(), count: m.count,
		erased: m.erased, moves: m.moves[:len(m.moves):len(m.moves)]}
}

// all is the ordinals that belong to a root: itself and those that lead to it.
func (m *identity) all(root uint32) *roaring.Bitmap {
	set := roaring.BitmapOf(m.members[root]...)
	set.Add(root)
	return set
}
