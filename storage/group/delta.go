package group

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"

	"github.com/prickledb/prickle/storage/properties"
	"github.com/prickledb/prickle/storage/wire"
)

// A delta is what changed in a state since the delta before. In order:
//
//	names of the five types: uvarint length, bytes
//	of each type:
//	  uvarint  groups there were, and are
//	  keys of new groups: uvarint length, bytes
//	  uvarint  groups that changed, ascending; of each: uvarint ordinal,
//	           varint created at, uvarint length, properties
//
// Deltas are read in the order in which they were written. The delta of everything is one
// from an empty state.

// A character takes at most four bytes.
const (
	maxKeyBytes  = 4 * MaxKey
	maxNameBytes = 4 * MaxName
)

// Changed says whether the next delta would hold anything.
func (s *State) Changed() bool {
	changed := s.renamed
	for i := range s.types {
		t := &s.types[i]
		changed = changed || t.first < len(t.keys) || len(t.changed) > 0
	}
	return changed
}

// Empty says whether a delta of everything would hold nothing.
func (s *State) Empty() bool { return s.Len() == 0 && s.names == [Types]string{} }

// Delta appends what changed since the last call, and forgets it. With full, it appends
// everything.
func (s *State) Delta(dst []byte, full bool) []byte {
	for _, name := range s.names {
		dst = binary.AppendUvarint(dst, uint64(len(name)))
		dst = append(dst, name...)
	}
	for i := range s.types {
		t := &s.types[i]
		first, changed := t.first, slices.Sorted(maps.Keys(t.changed))
		if full {
			first, changed = 0, make([]uint32, len(t.keys))
			for o := range changed {
				changed[o] = uint32(o)
			}
		}
		dst = binary.AppendUvarint(dst, uint64(first))
		dst = binary.AppendUvarint(dst, uint64(len(t.keys)))
		for _, key := range t.keys[first:] {
			dst = binary.AppendUvarint(dst, uint64(len(key)))
			dst = append(dst, key...)
		}
		dst = binary.AppendUvarint(dst, uint64(len(changed)))
		for _, o := range changed {
			p := t.read(o)
			dst = binary.AppendUvarint(dst, uint64(o))
			dst = binary.AppendVarint(dst, p.createdAt)
			dst = binary.AppendUvarint(dst, uint64(len(p.properties)))
			dst = append(dst, p.properties...)
		}
	}
	s.settle()
	return dst
}

// settle forgets what changed: it is written, or was just read.
func (s *State) settle() {
	s.renamed = false
	for i := range s.types {
		t := &s.types[i]
		t.first = len(t.keys)
		clear(t.changed)
	}
}

// Load applies a delta, which must be the whole of src.
func (s *State) Load(src []byte) error {
	var fault error
	err := Walk(src, &Visitor{
		Name: func(index int, name string) { s.names[index] = name },
		Groups: func(index int, from, to uint64) {
			if n := uint64(len(s.types[index].keys)); from != n && fault == nil {
				fault = fmt.Errorf("groups %d to %d of type %d follow %d", from, to, index, n)
			}
		},
		Key: func(index int, key []byte) {
			if _, fresh := s.types[index].ordinal(string(key)); !fresh && fault == nil {
				fault = fmt.Errorf("group %q of type %d is there twice", key, index)
			}
		},
		Profile: func(index int, ord uint32, createdAt int64, object []byte) {
			if int(ord) < len(s.types[index].keys) {
				*s.types[index].change(ord) = profile{createdAt: createdAt, properties: slices.Clone(object)}
			}
		},
	})
	s.published = nil
	s.settle()
	if err == nil {
		err = fault
	}
	return err
}

// Visitor is shown what a delta says, in its order. What it is shown is valid during the call.
type Visitor struct {
	Name    func(index int, name string)
	Groups  func(index int, from, to uint64)
	Key     func(index int, key []byte)
	Profile func(index int, ord uint32, createdAt int64, object []byte)
}

// Walk shows a delta to a visitor.
func Walk(delta []byte, v *Visitor) error {
	r := &wire.Reader{Src: delta}
	sized := func(limit int) []byte { return r.Take(r.Count("bytes", min(limit, len(r.Src)))) }
	for i := range Types {
		if name := sized(maxNameBytes); r.Err == nil {
			v.Name(i, string(name))
		}
	}
	for i := range Types {
		from, to := r.Uvarint(), r.Uvarint()
		if r.Err != nil {
			return r.Err
		}
		if to < from || to-from > uint64(len(r.Src)) {
			return fmt.Errorf("groups %d to %d in %d bytes", from, to, len(r.Src))
		}
		v.Groups(i, from, to)
		for o := from; o < to && r.Err == nil; o++ {
			if key := sized(maxKeyBytes); r.Err == nil {
				v.Key(i, key)
			}
		}
		for n := r.Uvarint(); n > 0 && r.Err == nil; n-- {
			o, at := r.Uvarint(), r.Varint()
			object := sized(properties.MaxBytes)
			if r.Err == nil && o >= to {
				return fmt.Errorf("group %d of type %d: there are %d", o, i, to)
			}
			if r.Err == nil {
				v.Profile(i, uint32(o), at, object)
			}
		}
	}
	return r.End()
}
