package object

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/prickledb/prickle/storage/wire"
)

// A delta is what changed in a state since the delta before. In order:
//
//	uvarint kinds, ascending; of each:
//	  uvarint length, name; uvarint highest number that was given out
//	  uvarint objects that changed, ascending; of each: uvarint number,
//	    uvarint version, 0 for one that was deleted, which ends it
//	    varint created, varint updated (µs); uvarint length, key; uvarint length, body
//
// Deltas are read in the order in which they were written. The delta of everything is one
// from an empty state.

// Changed says whether the next delta would hold anything.
func (s *State) Changed() bool { return len(s.changed) > 0 }

// Empty says whether a delta of everything would hold nothing.
func (s *State) Empty() bool { return len(s.Publish().kinds) == 0 }

// Delta appends what changed since the last call, and forgets it. With full, it appends
// everything.
func (s *State) Delta(dst []byte, full bool) []byte {
	t := s.Publish()
	kinds := slices.Sorted(maps.Keys(s.changed))
	if full {
		kinds = slices.Sorted(maps.Keys(t.kinds))
	}
	dst = binary.AppendUvarint(dst, uint64(len(kinds)))
	for _, kind := range kinds {
		l := t.kinds[kind]
		ids := slices.Sorted(maps.Keys(s.changed[kind]))
		if full {
			ids = ids[:0]
			for _, o := range l.objects {
				ids = append(ids, o.ID)
			}
		}
		dst = appendText(dst, kind)
		dst = binary.AppendUvarint(dst, uint64(l.last))
		dst = binary.AppendUvarint(dst, uint64(len(ids)))
		for _, id := range ids {
			dst = binary.AppendUvarint(dst, uint64(id))
			o := t.Get(kind, id)
			if o == nil {
				dst = append(dst, 0)
				continue
			}
			dst = binary.AppendUvarint(dst, uint64(o.Version))
			dst = binary.AppendVarint(dst, o.Created)
			dst = binary.AppendVarint(dst, o.Updated)
			dst = appendText(dst, o.Key)
			dst = appendText(dst, o.Body)
		}
	}
	s.changed = nil
	return dst
}

func appendText[T string | json.RawMessage](dst []byte, text T) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(text)))
	return append(dst, text...)
}

// Load applies a delta, which must be the whole of src. After an error the state is of no
// use.
func (s *State) Load(src []byte) error {
	d := draft{Table: *s.Publish(), lists: map[string]*draftList{}, changed: map[string]map[int64]bool{}}
	var misfit error
	err := Walk(src, &Visitor{
		Kind: func(kind string, last int64) {
			l := d.list(kind)
			if last < l.last {
				misfit = errors.Join(misfit, fmt.Errorf("%s: the highest number is %d, and was %d before", kind, last, l.last))
			}
			l.last = last
		},
		Object: func(o *Object) {
			o.Body = slices.Clone(o.Body)
			d.put(o)
		},
		Deleted: func(kind string, id int64) {
			l := d.list(kind)
			if at, found := l.find(id); found {
				d.remove(l, at)
			}
		},
	})
	s.adopt(&d)
	s.changed = nil
	return errors.Join(err, misfit)
}

// Visitor is shown what a delta says, in its order. The body of an object is valid during
// the call.
type Visitor struct {
	Kind    func(kind string, last int64)
	Object  func(*Object)
	Deleted func(kind string, id int64)
}

// Walk shows a delta to a visitor.
func Walk(delta []byte, v *Visitor) error {
	r := &wire.Reader{Src: delta}
	sized := func(limit int) []byte { return r.Take(r.Count("bytes", min(limit, len(r.Src)))) }
	number := func() int64 {
		n := r.Uvarint()
		if n > MaxID {
			r.Fail("number %d is too large", n)
		}
		return int64(n)
	}
	before := ""
	for kinds, first := r.Uvarint(), true; kinds > 0 && r.Err == nil; kinds, first = kinds-1, false {
		kind, last := string(sized(MaxKind)), number()
		if !first && kind <= before {
			r.Fail("kind %q after %q", kind, before)
		}
		if before = kind; r.Err != nil {
			break
		}
		v.Kind(kind, last)
		id := int64(0)
		for n := r.Uvarint(); n > 0 && r.Err == nil; n-- {
			o := &Object{Kind: kind, ID: number(), Version: number()}
			if o.ID <= id {
				r.Fail("%s %d after %d", kind, o.ID, id)
			}
			if id = o.ID; r.Err == nil && id > last {
				r.Fail("%s %d: the highest number is %d", kind, id, last)
			}
			if r.Err == nil && o.Version == 0 {
				v.Deleted(kind, o.ID)
				continue
			}
			o.Created, o.Updated = r.Varint(), r.Varint()
			o.Key, o.Body = string(sized(MaxKey)), sized(MaxBody)
			if r.Err == nil {
				v.Object(o)
			}
		}
	}
	return r.End()
}
