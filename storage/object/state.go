package object

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Limits of objects. All of a project's are in memory, and go into a state file at times.
const (
	MaxKind    = 40      // bytes
	MaxKey     = 400     // bytes
	MaxBody    = 1 << 20 // bytes; every change of an object writes it anew
	MaxID      = 1 << 53 // what JSON's numbers hold
	maxObjects = 100_000 // of a project
	maxBytes   = 256 << 20
)

// Edit makes, changes or deletes one object.
type Edit struct {
	Kind string `json:"kind"`
	// ID names the object. 0 names the one with Key, if Version is Any and there is one;
	// otherwise it makes an object with the next number.
	ID     int64           `json:"id,omitempty"`
	Key    string          `json:"key,omitempty"`
	Body   json.RawMessage `json:"body,omitempty"`
	Delete bool            `json:"delete,omitempty"`
	// Version is the one that the change was made from. 0 says that there is none, and Any
	// does not ask.
	Version int64 `json:"version,omitempty"`
}

// Any is the version of an edit that holds for whatever there is, or is not.
const Any = -1

// ConflictError says that an object is not as the edit expects it.
type ConflictError struct {
	Kind    string
	ID      int64  // 0: it is about the key
	Key     string // taken by another object, if not empty
	Version int64  // that there is; 0 for no object
	Want    int64
}

func (e *ConflictError) Error() string {
	switch {
	case e.Key != "":
		return fmt.Sprintf("there is another %s with the key %q", e.Kind, e.Key)
	case e.Version == 0:
		return fmt.Sprintf("%s %d is not there any more", e.Kind, e.ID)
	case e.Want == 0:
		return fmt.Sprintf("there is a %s %d already", e.Kind, e.ID)
	}
	return fmt.Sprintf("%s %d has changed meanwhile: it is at version %d, not %d; read it again", e.Kind, e.ID, e.Version, e.Want)
}

// LimitError says that an object, or all of them, would be too large.
type LimitError struct{ Detail string }

func (e *LimitError) Error() string { return e.Detail }

// ErrInvalid is wrapped by the error of an edit that makes no sense.
var ErrInvalid = errors.New("invalid edit")

// Check says what is wrong with an edit, whatever there is.
func (e *Edit) Check() error {
	switch {
	case e.Kind == "" || len(e.Kind) > MaxKind:
		return fmt.Errorf("%w: the kind has %d bytes, it may have 1 to %d", ErrInvalid, len(e.Kind), MaxKind)
	case e.ID < 0 || e.ID > MaxID:
		return fmt.Errorf("%w: %s: the id is %d, it may be 1 to %d", ErrInvalid, e.Kind, e.ID, int64(MaxID))
	case e.Version < Any:
		return fmt.Errorf("%w: %s %d: version %d", ErrInvalid, e.Kind, e.ID, e.Version)
	case e.Delete && e.ID == 0 && e.Key == "":
		return fmt.Errorf("%w: it deletes no %s in particular", ErrInvalid, e.Kind)
	case len(e.Key) > MaxKey:
		return &LimitError{fmt.Sprintf("the key of a %s has %d bytes: at most %d are possible", e.Kind, len(e.Key), MaxKey)}
	case len(e.Body) > MaxBody:
		return &LimitError{fmt.Sprintf("a %s of %d bytes: at most %d are possible", e.Kind, len(e.Body), MaxBody)}
	case !e.Delete && !json.Valid(e.Body):
		return fmt.Errorf("%w: the body of %s %d is not JSON", ErrInvalid, e.Kind, e.ID)
	}
	return nil
}

// State is the objects of a project as apply changes them. It is used by one goroutine at a
// time; the zero value is without objects.
type State struct {
	table   *Table
	changed map[string]map[int64]bool // since the last delta, by kind
}

// Publish is the objects as they are now, for readers.
func (s *State) Publish() *Table {
	if s.table == nil {
		s.table = &Table{}
	}
	return s.table
}

// Apply carries out edits at a time, all or none of them, in their order. It gives the
// objects that each made or changed; nil where it deleted one.
func (s *State) Apply(edits []Edit, at int64) ([]*Object, error) {
	d := draft{Table: *s.Publish(), at: at, lists: map[string]*draftList{}, changed: map[string]map[int64]bool{}}
	out := make([]*Object, len(edits))
	for i := range edits {
		var err error
		if out[i], err = d.edit(&edits[i]); err != nil {
			return nil, err
		}
	}
	if d.count > maxObjects {
		return nil, &LimitError{fmt.Sprintf("the project would have %d objects: at most %d are possible; delete what is not needed any more", d.count, maxObjects)}
	}
	if old := s.table.bytes; d.bytes > maxBytes && d.bytes > old {
		return nil, &LimitError{fmt.Sprintf("the objects of the project would take %d MB: at most %d are possible; delete what is not needed any more", d.bytes>>20, maxBytes>>20)}
	}
	s.adopt(&d)
	return out, nil
}

// adopt makes a draft the state.
func (s *State) adopt(d *draft) {
	next := &Table{kinds: maps.Clone(d.kinds), count: d.count, bytes: d.bytes}
	if next.kinds == nil {
		next.kinds = map[string]*list{}
	}
	for kind, l := range d.lists {
		next.kinds[kind] = newList(l.objects, l.last)
	}
	s.table = next
	if s.changed == nil {
		s.changed = map[string]map[int64]bool{}
	}
	for kind, ids := range d.changed {
		if s.changed[kind] == nil {
			s.changed[kind] = ids
		} else {
			maps.Copy(s.changed[kind], ids)
		}
	}
}

// draft is a Table while it is changed.
type draft struct {
	Table
	at      int64
	lists   map[string]*draftList
	changed map[string]map[int64]bool
}

// draftList is the objects of a kind while they are changed.
type draftList struct {
	list
	keys map[string]*Object // nil: to be made
}

// list is the draft's own list of a kind.
func (d *draft) list(kind string) *draftList {
	l := d.lists[kind]
	if l == nil {
		l = &draftList{}
		if old := d.kinds[kind]; old != nil {
			l.objects, l.last = slices.Clone(old.objects), old.last
		}
		kind = strings.Clone(kind)
		d.lists[kind], d.changed[kind] = l, map[int64]bool{}
	}
	return l
}

// withKey is the object with a key, or nil.
func (l *draftList) withKey(key string) *Object {
	if key == "" {
		return nil
	}
	if l.keys == nil {
		l.keys = make(map[string]*Object, len(l.objects))
		for _, o := range l.objects {
			l.keys[o.Key] = o
		}
	}
	return l.keys[key]
}

// remove takes out the object at a position.
func (d *draft) remove(l *draftList, at int) {
	old := l.objects[at]
	l.objects = slices.Delete(l.objects, at, at+1)
	delete(l.keys, old.Key)
	d.count, d.bytes = d.count-1, d.bytes-old.size()
}

// put adds an object, or replaces the one with its number.
func (d *draft) put(o *Object) {
	l := d.list(o.Kind)
	at, found := l.find(o.ID)
	if found {
		d.remove(l, at)
	}
	l.objects = slices.Insert(l.objects, at, o)
	if l.keys != nil {
		l.keys[o.Key] = o
	}
	d.count, d.bytes = d.count+1, d.bytes+o.size()
	l.last = max(l.last, o.ID)
	d.changed[o.Kind][o.ID] = true
}

func (d *draft) edit(e *Edit) (*Object, error) {
	if err := e.Check(); err != nil {
		return nil, err
	}
	l := d.list(e.Kind)
	id := e.ID
	holder := l.withKey(e.Key)
	if id == 0 && holder != nil && (e.Version == Any || e.Delete) {
		id = holder.ID
	}
	var old *Object
	at, found := l.find(id)
	if found {
		old = l.objects[at]
	}
	conflict := &ConflictError{Kind: e.Kind, ID: id, Want: e.Version}
	if old != nil {
		conflict.Version = old.Version
	}
	switch {
	case e.Version != Any && conflict.Version != e.Version, e.Delete && old == nil:
		return nil, conflict
	case e.Delete:
		d.remove(l, at)
		d.changed[e.Kind][id] = true
		return nil, nil
	case holder != nil && holder.ID != id:
		return nil, &ConflictError{Kind: e.Kind, Key: e.Key}
	}
	if id == 0 {
		if l.last >= MaxID {
			return nil, &LimitError{fmt.Sprintf("no number is left for another %s", e.Kind)}
		}
		id = l.last + 1
	}
	next := &Object{Kind: e.Kind, ID: id, Key: strings.Clone(e.Key), Body: slices.Clone(e.Body), Created: d.at, Updated: d.at, Version: 1}
	if old != nil {
		next.Created, next.Version = old.Created, old.Version+1
	}
	d.put(next)
	return next, nil
}
