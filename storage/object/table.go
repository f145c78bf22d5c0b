package object

import (
	"cmp"
	"encoding/json"
	"slices"
	"sync"
)

// Object is one object of a project. It is immutable.
type Object struct {
	Kind    string
	ID      int64  // from 1
	Key     string // unique among those of the kind, unless empty
	Body    json.RawMessage
	Created int64 // µs since 1970 UTC, as Updated
	Updated int64
	Version int64 // 1 at first, one more with each change
}

// size is about what an object takes.
func (o *Object) size() int64 { return int64(len(o.Kind) + len(o.Key) + len(o.Body) + 100) }

// Table is the objects of a project. It is immutable.
type Table struct {
	kinds map[string]*list
	count int
	bytes int64
}

// list is the objects of one kind.
type list struct {
	objects []*Object // ascending by ID
	last    int64     // the highest number that was given out
	byKey   func() map[string]*Object
}

func newList(objects []*Object, last int64) *list {
	return &list{objects: objects, last: last, byKey: sync.OnceValue(func() map[string]*Object {
		keys := make(map[string]*Object, len(objects))
		for _, o := range objects {
			if o.Key != "" {
				keys[o.Key] = o
			}
		}
		return keys
	})}
}

func (l *list) find(id int64) (int, bool) {
	return slices.BinarySearchFunc(l.objects, id, func(o *Object, id int64) int { return cmp.Compare(o.ID, id) })
}

// Get finds an object by its number, or answers nil.
func (t *Table) Get(kind string, id int64) *Object {
	l := t.kinds[kind]
	if l == nil {
		return nil
	}
	if i, ok := l.find(id); ok {
		return l.objects[i]
	}
	return nil
}

// Find finds an object by its key, or answers nil.
func (t *Table) Find(kind, key string) *Object {
	l := t.kinds[kind]
	if l == nil || key == "" {
		return nil
	}
	return l.byKey()[key]
}

// List is the objects of a kind, ascending by number. It is shared: do not modify it.
func (t *Table) List(kind string) []*Object {
	if l := t.kinds[kind]; l != nil {
		return l.objects
	}
	return nil
}

// Next is the number that the next object of a kind gets, if it asks for none.
func (t *Table) Next(kind string) int64 {
	if l := t.kinds[kind]; l != nil {
		return l.last + 1
	}
	return 1
}

// After is the objects after edits, which nobody else sees: of the times of those that they make or
// change, there are none. The errors are those of State.Apply.
func (t *Table) After(edits []Edit) (*Table, error) {
	if len(edits) == 0 {
		return t, nil
	}
	s := State{table: t}
	_, err := s.Apply(edits, 0)
	return s.Publish(), err
}

// Len is how many objects there are, of all kinds.
func (t *Table) Len() int { return t.count }
