package group

import (
	"strings"
	"sync"
	"sync/atomic"

	"github.com/prickledb/prickle/storage/properties"
)

// chunkRows is how many groups a chunk of a Table covers.
const chunkRows = 256

// profile is what is known of a group beyond its key.
type profile struct {
	createdAt  int64
	properties []byte // replaced, never changed
}

// chunk is some groups. Once given out to readers its rows do not change any more.
type chunk struct {
	rows [chunkRows]profile
	seen atomic.Pointer[properties.Seen] // of the rows; nil: nobody asked yet
}

// Table is the groups of a project. It is immutable.
type Table struct {
	names [Types]string
	types [Types]typeTable
}

// typeTable is the groups of one type by ordinal.
type typeTable struct {
	keys   []string
	chunks []*chunk
	index  *index
}

// Names gives the names of the types by index. The last one is not empty; others are where
// a type has groups and nobody named it.
func (t *Table) Names() []string { return trimNames(t.names) }

// Len is how many groups of a type there are: their ordinals are all below.
func (t *Table) Len(index int) int { return len(t.types[index].keys) }

// Find gives the ordinal of the group with a key.
func (t *Table) Find(index int, key []byte) (ord uint32, ok bool) {
	tt := &t.types[index]
	ord, ok = tt.index.find(key)
	return ord, ok && int(ord) < len(tt.keys) // else it came later
}

// Key is the key of a group.
func (t *Table) Key(index int, ord uint32) string { return t.types[index].keys[ord] }

// CreatedAt is in µs since 1970 UTC.
func (t *Table) CreatedAt(index int, ord uint32) int64 {
	return t.types[index].chunks[ord/chunkRows].rows[ord%chunkRows].createdAt
}

// Properties is jsonb text, empty for none. It must not be modified.
func (t *Table) Properties(index int, ord uint32) []byte {
	return t.types[index].chunks[ord/chunkRows].rows[ord%chunkRows].properties
}

// Value is one property as jsonb text, and whether the group has it.
func (t *Table) Value(index int, ord uint32, name string) ([]byte, bool) {
	return properties.Value(t.Properties(index, ord), []byte(name))
}

// Kinds is the kinds of values that a property has among the groups of a type.
func (t *Table) Kinds(index int, name string) (out properties.Kinds) {
	for _, c := range t.types[index].chunks {
		out |= c.kinds()[name]
	}
	return out
}

// AllKinds is the kinds of values of every property that a group of a type has.
func (t *Table) AllKinds(index int) properties.Seen {
	out := properties.Seen{}
	for _, c := range t.types[index].chunks {
		out.Join(c.kinds())
	}
	return out
}

// kinds is the kinds of values of the properties in a chunk. It is found once.
func (c *chunk) kinds() properties.Seen {
	seen := c.seen.Load()
	if seen == nil {
		seen = &properties.Seen{}
		for i := range c.rows {
			seen.Add(c.rows[i].properties)
		}
		c.seen.Store(seen)
	}
	return *seen
}

// index leads from keys to ordinals. It is shared by all Tables: keys only come.
type index struct {
	mu       sync.RWMutex
	ordinals map[string]uint32
}

func (x *index) find(key []byte) (uint32, bool) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	o, ok := x.ordinals[string(key)]
	return o, ok
}

// table is a typeTable in the making. Lists only grow, so one that was given out keeps its
// prefix; chunks are copied before they change.
type table struct {
	typeTable
	own     []bool
	changed map[uint32]bool // since the last delta
	first   int             // of the keys that the last delta did not have
}

func (t *table) init() {
	t.index, t.changed = &index{ordinals: map[string]uint32{}}, map[uint32]bool{}
}

// ordinal is that of a key, which gets one at first sight.
func (t *table) ordinal(key string) (ord uint32, fresh bool) {
	if o, ok := t.index.ordinals[key]; ok { // nobody else writes
		return o, false
	}
	ord = uint32(len(t.keys))
	if ord%chunkRows == 0 {
		t.chunks, t.own = append(t.chunks, new(chunk)), append(t.own, true)
	}
	key = strings.Clone(key)
	t.keys = append(t.keys, key)
	t.index.mu.Lock()
	t.index.ordinals[key] = ord
	t.index.mu.Unlock()
	return ord, true
}

func (t *table) read(ord uint32) *profile { return &t.chunks[ord/chunkRows].rows[ord%chunkRows] }

// change is the profile of an ordinal, to be written to.
func (t *table) change(ord uint32) *profile {
	c := ord / chunkRows
	if !t.own[c] {
		t.chunks[c], t.own[c] = &chunk{rows: t.chunks[c].rows}, true
	}
	t.changed[ord] = true
	return t.read(ord)
}

func (t *table) publish() typeTable {
	clear(t.own)
	return typeTable{keys: t.keys[:len(t.keys):len(t.keys)], chunks: append([]*chunk(nil), t.chunks...), index: t.index}
}
