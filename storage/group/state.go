package group

import (
	"slices"
	"strings"

	"github.com/prickledb/prickle/storage/properties"
)

// Types is how many types of groups a project may have.
const Types = 5

// MaxKey and MaxName are how many characters of a key and of the name of a type are kept.
const (
	MaxKey  = 400
	MaxName = 200
)

// Edit is one group as a typed import gives it: what is given replaces what is known.
type Edit struct {
	Index      int    // of the type
	Key        string // not empty
	Properties []byte // JSON object, or empty
	CreatedAt  int64  // µs since 1970 UTC
}

// Change is what an event does to a group.
type Change struct {
	Set     []byte // JSON object, or empty
	SetOnce []byte // JSON object, or empty
	Unset   []string
}

// State is the groups of a project as apply changes them. It is used by one goroutine at a
// time.
type State struct {
	names     [Types]string
	types     [Types]table
	merger    properties.Merger
	published *Table // nil: to be made anew
	renamed   bool   // since the last delta
}

// NewState is a project without groups.
func NewState() *State {
	s := &State{}
	for i := range s.types {
		s.types[i].init()
	}
	return s
}

// Publish is the state as it is now, for readers.
func (s *State) Publish() *Table {
	if s.published == nil {
		s.published = &Table{names: s.names}
		for i := range s.types {
			s.published.types[i] = s.types[i].publish()
		}
	}
	return s.published
}

// Name gives a type of groups a name, and finds it by that from then on. A name that is not
// known yet takes the first index that has neither name nor groups; without one it is false.
func (s *State) Name(name string) (index int, ok bool) {
	if name == "" || len(name) > maxNameBytes {
		return 0, false
	}
	if i := slices.Index(s.names[:], name); i >= 0 {
		return i, true
	}
	for i := range s.names {
		if s.names[i] == "" && len(s.types[i].keys) == 0 {
			s.names[i] = strings.Clone(name)
			s.renamed, s.published = true, nil
			return i, true
		}
	}
	return 0, false
}

// Change does what an event at a time says to a group, which is made if it is not there.
// Without a key, or with one that is too long, there is none.
func (s *State) Change(index int, key string, at int64, c *Change) {
	if key == "" || len(key) > maxKeyBytes {
		return
	}
	t := &s.types[index]
	o, fresh := t.ordinal(key)
	if fresh {
		s.published = nil
		t.change(o).createdAt = at
	}
	next, changed := s.merger.Update(t.read(o).properties, c.Set, c.SetOnce, c.Unset)
	if changed && len(next) <= properties.MaxBytes {
		s.published = nil
		t.change(o).properties = next
	}
}

// Import writes a group as a typed import gives it.
func (s *State) Import(e *Edit) {
	s.Change(e.Index, e.Key, e.CreatedAt, &Change{Set: e.Properties})
	t := &s.types[e.Index]
	if o, known := t.index.ordinals[e.Key]; known && t.read(o).createdAt != e.CreatedAt {
		s.published = nil
		t.change(o).createdAt = e.CreatedAt
	}
}

// Len is how many groups there are, of all types.
func (s *State) Len() int {
	n := 0
	for i := range s.types {
		n += len(s.types[i].keys)
	}
	return n
}

// Names gives the names of the types; the last one is not empty.
func (s *State) Names() []string { return trimNames(s.names) }

func trimNames(names [Types]string) []string {
	n := Types
	for n > 0 && names[n-1] == "" {
		n--
	}
	return slices.Clone(names[:n])
}
