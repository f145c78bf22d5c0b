package person

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/zeebo/xxh3"

	"github.com/prickledb/prickle/storage/event"
	"github.com/prickledb/prickle/storage/memory"
	"github.com/prickledb/prickle/storage/properties"
	"github.com/prickledb/prickle/storage/vec"
)

// Column is one property of all persons of a Table, read as a type.
type Column struct {
	// Dict is the values; position 0 is null. It is shared: nobody writes to it.
	Dict  *vec.Vector
	codes []*[tableChunk]uint32
}

// Code is the position of a person's value in Dict.
func (c *Column) Code(ord uint32) uint32 { return c.codes[ord/tableChunk][ord%tableChunk] }

// Column reads a property of all persons. Times without an offset are by the clocks of zone;
// nil is UTC. What was read before is kept, and only persons that have changed since are
// read anew.
func (t *Table) Column(key string, as event.Reading, zone *time.Location) (*Column, error) {
	return t.columns.of(key).read(t, as, zone)
}

// columns is the properties that were read by columns, of one project. It may be used by
// many goroutines.
type columns struct {
	cache *memory.Cache

	mu    sync.Mutex
	byKey map[string]*column
}

// mostColumns is how many keys are remembered: whoever asks for more makes them up.
const mostColumns = 1 << 12

func (c *columns) of(key string) *column {
	c.mu.Lock()
	defer c.mu.Unlock()
	col := c.byKey[key]
	if col == nil {
		if c.byKey == nil || len(c.byKey) >= mostColumns {
			c.byKey = map[string]*column{}
		}
		col = &column{key: []byte(key), cache: c.cache}
		c.byKey[key] = col
	}
	return col
}

// column is one property of persons in the making. Its lists only grow, so that what was
// given out keeps its prefix.
type column struct {
	key   []byte
	cache *memory.Cache

	kept atomic.Pointer[columnState] // nil when the cache has no room for it

	mu      sync.Mutex // held while it is brought up to date
	counted *countedColumn
}

// countedColumn is a column as its cache knows it.
type countedColumn struct {
	memory.Entry
	bytes int64
	gone  atomic.Bool
}

// columnState is what is known of a property. It is used under column.mu.
type columnState struct {
	from   []*chunk              // what codes were read from
	codes  []*[tableChunk]uint32 // replaced as a whole; each is never changed
	kinds  []event.Kind          // of values
	values vec.Strings
	slots  []uint64 // hash table of values: high half of the hash, code; 0 is free
	views  map[viewKey]*event.Reader
	read   map[viewKey]int // how many values a view has
}

type viewKey struct {
	as   event.Reading
	zone string
}

// none is a chunk of persons who lack the property.
var none [tableChunk]uint32

func (c *column) read(t *Table, as event.Reading, zone *time.Location) (*Column, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.kept.Load()
	// Values that nobody has any more stay, until there are more of them than persons.
	if s == nil || len(s.kinds) > 2*t.Len()+tableChunk {
		s = &columnState{views: map[viewKey]*event.Reader{}, read: map[viewKey]int{}}
	}
	if err := s.follow(t, c.key); err != nil {
		return nil, err
	}
	out := &Column{Dict: s.view(as, zone), codes: s.codes}
	c.keep(s)
	return out, nil
}

// keep tells the cache what the column takes, if that has changed much.
func (c *column) keep(s *columnState) {
	c.kept.Store(s)
	size := s.size()
	if e := c.counted; e != nil {
		if !e.gone.Load() && size <= e.bytes+e.bytes/8 && size >= e.bytes/2 {
			e.Touch()
			return
		}
		c.cache.Forget(c)
	}
	e := &countedColumn{bytes: size}
	c.counted = e
	c.cache.Add(&e.Entry, c, size, func() {
		e.gone.Store(true)
		c.kept.Store(nil)
	})
}

func (s *columnState) size() int64 {
	n := int64(16*len(s.codes)+len(s.kinds)+cap(s.values.Bytes)+4*cap(s.values.Offs)) + 8*int64(len(s.slots))
	for _, c := range s.codes {
		if c != &none {
			n += 4 * tableChunk
		}
	}
	for _, v := range s.views {
		n += v.V.Bytes()
	}
	return n
}

// follow reads the persons that have changed.
func (s *columnState) follow(t *Table, key []byte) error {
	if slices.Equal(s.from, t.chunks) {
		return nil
	}
	codes := make([]*[tableChunk]uint32, len(t.chunks))
	for i, chunk := range t.chunks {
		if i < len(s.from) && s.from[i] == chunk {
			codes[i] = s.codes[i]
			continue
		}
		var err error
		if codes[i], err = s.chunk(chunk, key); err != nil {
			return err
		}
	}
	s.from, s.codes = t.chunks, codes
	return nil
}

func (s *columnState) chunk(from *chunk, key []byte) (*[tableChunk]uint32, error) {
	out := &none
	for i := range from.rows {
		value, ok := properties.Value(from.rows[i].properties, key)
		if !ok {
			continue
		}
		kind, text := event.KindOf(value)
		if len(s.values.Bytes)+len(text) > math.MaxUint32 {
			return nil, fmt.Errorf("property %q of persons takes more than %d bytes", key, uint32(math.MaxUint32))
		}
		if out == &none {
			out = &[tableChunk]uint32{}
		}
		out[i] = s.code(kind, text) + 1
	}
	return out, nil
}

// code is the position of a value, which is added if it is new.
func (s *columnState) code(kind event.Kind, text []byte) uint32 {
	if 4*(len(s.kinds)+1) > 3*len(s.slots) {
		s.grow()
	}
	tag := hashValue(kind, text) >> 32
	mask := uint64(len(s.slots) - 1)
	for at := tag & mask; ; at = (at + 1) & mask {
		slot := s.slots[at]
		if slot == 0 {
			s.kinds = append(s.kinds, kind)
			s.values.Append(text)
			s.slots[at] = tag<<32 | uint64(len(s.kinds))
			return uint32(len(s.kinds) - 1)
		}
		if i := uint32(slot) - 1; slot>>32 == tag && s.kinds[i] == kind && bytes.Equal(s.values.At(int(i)), text) {
			return i
		}
	}
}

func hashValue(kind event.Kind, text []byte) uint64 {
	return xxh3.Hash(text) + uint64(kind)*0x9e3779b97f4a7c15
}

func (s *columnState) grow() {
	old := s.slots
	s.slots = make([]uint64, max(64, 2*len(old)))
	mask := uint64(len(s.slots) - 1)
	for _, slot := range old {
		if slot == 0 {
			continue
		}
		at := slot >> 32 & mask
		for s.slots[at] != 0 {
			at = (at + 1) & mask
		}
		s.slots[at] = slot
	}
}

// mostViews is how many readings of a property are kept: more than there are only in many
// zones.
const mostViews = 16

// view is the values read as a type, after a null. It is the same pointer until there are
// more values.
func (s *columnState) view(as event.Reading, zone *time.Location) *vec.Vector {
	key := viewKey{as: as}
	if as == event.ReadTime && zone != nil {
		key.zone = zone.String()
	}
	r := s.views[key]
	if r != nil && s.read[key] == len(s.kinds) {
		return r.V
	}
	if r == nil {
		if len(s.views) == mostViews {
			clear(s.views)
			clear(s.read)
		}
		r = event.NewReader(as, zone, len(s.kinds)+1)
		r.Null()
	} else {
		r = r.Fork()
	}
	for i := s.read[key]; i < len(s.kinds); i++ {
		if text := s.values.At(i); s.kinds[i] == event.Bool {
			r.Bool(text[0] == 't')
		} else {
			r.Text(s.kinds[i], text)
		}
	}
	s.views[key], s.read[key] = r, len(s.kinds)
	return r.V
}
