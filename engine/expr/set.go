package expr

import (
	"maps"
	"math/bits"
	"slices"
	"sync"

	"github.com/prickledb/prickle/storage/vec"
)

// Set is the distinct values of a query, none of them null: what IN COHORT looks rows up
// in. It is filled by one goroutine and settled; from then on it does not change, and any
// number of goroutines may use it.
//
// Members that are persons are kept as one bit a person. That is as small as a sparse
// bitmap for the sets that take long, and looking up a row or combining two sets costs
// next to nothing.
type Set struct {
	t       vec.Type
	dict    *vec.Vector // of the persons' uuids, each once; nil for sets of anything else
	persons vec.Bitmap  // by position in dict

	ints  map[int64]struct{}
	uuids map[vec.UUIDValue]struct{}
	texts map[string]struct{} // keys of all other types

	size int64 // bytes of the maps

	last *vec.Vector // the dictionary that was added from last
	seen vec.Bitmap  // its entries that were added
	key  []byte

	loose     func() (map[vec.UUIDValue]struct{}, error)
	in, notIn *Function
}

// NewSet is an empty set of values of a type. Persons is the uuids of all persons by
// ordinal.
func NewSet(t vec.Type, persons *vec.Vector) *Set {
	s := &Set{t: t}
	switch {
	case t == vec.T(vec.UUID):
		s.dict, s.uuids = persons, map[vec.UUIDValue]struct{}{}
		if persons != nil {
			s.persons = vec.NewBitmap(persons.Len())
		}
	case !t.Array && t.Payload() == vec.PayloadI64:
		s.ints = map[int64]struct{}{}
	default:
		s.texts = map[string]struct{}{}
	}
	return s
}

// What an entry of each map takes, with the part of the map that is free.
const (
	intEntry  = 20
	uuidEntry = 36
	textEntry = 48
)

// Add takes in the values of the rows that count.
func (s *Set) Add(v *vec.Vector, b *vec.Batch) {
	switch {
	case v.Form == vec.Const:
		if b.Live() > 0 {
			s.add(v, 0)
		}
	case v.Form == vec.Dict && v.Dict == s.dict:
		nulls := len(v.Nulls) > 0
		eachLive(b, func(r uint32) {
			if !nulls || !v.Nulls.Get(int(r)) {
				s.persons.Set(int(v.Codes[r]))
			}
		})
	case v.Form == vec.Dict:
		if v.Dict != s.last || len(s.seen)*64 < v.Dict.Len() {
			s.last, s.seen = v.Dict, vec.NewBitmap(v.Dict.Len())
		}
		eachLive(b, func(r uint32) {
			if c := int(v.Codes[r]); !v.Nulls.Get(int(r)) && !s.seen.Get(c) {
				s.seen.Set(c)
				s.add(v.Dict, c)
			}
		})
	default:
		eachLive(b, func(r uint32) { s.add(v, int(r)) })
	}
}

// add takes in one value of a flat or constant vector.
func (s *Set) add(v *vec.Vector, row int) {
	if v.Nulls.Get(row) {
		return
	}
	n := s.entries()
	entry := int64(intEntry)
	switch {
	case s.ints != nil:
		s.ints[v.I64[row]] = struct{}{}
	case s.uuids != nil:
		s.uuids[v.UUIDs[row]] = struct{}{}
		entry = uuidEntry
	default:
		s.key = vec.AppendKey(s.key[:0], v, row)
		if _, ok := s.texts[string(s.key)]; !ok {
			s.texts[string(s.key)] = struct{}{}
		}
		entry = textEntry + int64(len(s.key))
	}
	if s.entries() > n {
		s.size += entry
	}
}

func (s *Set) entries() int { return len(s.ints) + len(s.uuids) + len(s.texts) }

// AddPerson takes in a person by ordinal.
func (s *Set) AddPerson(ordinal uint32) { s.persons.Set(int(ordinal)) }

// Settle ends the filling. A person is a member as root says whom it was merged into; hold
// accounts for memory that look-ups may need later.
func (s *Set) Settle(root func(uint32) uint32, hold func(bytes int64) error) {
	s.last, s.seen, s.key = nil, nil, nil
	if s.dict != nil && len(s.uuids) > 0 {
		for i, u := range s.dict.UUIDs {
			if _, ok := s.uuids[u]; ok {
				delete(s.uuids, u)
				s.size -= uuidEntry
				s.persons.Set(int(root(uint32(i))))
			}
		}
	}
	s.prepare(hold)
}

// prepare makes what look-ups go through.
func (s *Set) prepare(hold func(bytes int64) error) {
	s.in = &Function{Name: "in cohort", eval: func(f *frame) error { return s.look(f, false) }}
	s.notIn = &Function{Name: "not in cohort", eval: func(f *frame) error { return s.look(f, true) }}
	s.loose = sync.OnceValues(func() (map[vec.UUIDValue]struct{}, error) {
		n := s.persons.Count()
		if err := hold(int64(n) * uuidEntry); err != nil {
			return nil, err
		}
		out := make(map[vec.UUIDValue]struct{}, n+len(s.uuids))
		s.eachPerson(func(o uint32) { out[s.dict.UUIDs[o]] = struct{}{} })
		for u := range s.uuids {
			out[u] = struct{}{}
		}
		return out, nil
	})
}

// Len is how many members there are.
func (s *Set) Len() int { return s.persons.Count() + s.entries() }

// Bytes is about how much memory the set takes.
func (s *Set) Bytes() int64 { return s.size + 8*int64(len(s.persons)+len(s.seen)) }

// Texts tells which texts are members of a set of them. One goroutine may use it.
func (s *Set) Texts() func(text string) bool {
	one := &vec.Vector{Type: s.t, Form: vec.Const}
	var key []byte
	return func(text string) bool {
		one.Str.Bytes = append(one.Str.Bytes[:0], text...)
		one.Str.Offs = append(one.Str.Offs[:0], 0, uint32(len(text)))
		key = vec.AppendKey(key[:0], one, 0)
		_, found := s.texts[string(key)]
		return found
	}
}

// UUIDs is the members of a set of uuids: persons by ordinal, as a dictionary vector, and
// then those that are no person's, in no order.
func (s *Set) UUIDs() []*vec.Vector {
	var out []*vec.Vector
	if s.persons.Any() {
		codes := make([]uint32, 0, s.persons.Count())
		s.eachPerson(func(o uint32) { codes = append(codes, o) })
		out = append(out, &vec.Vector{Type: s.t, Form: vec.Dict, Dict: s.dict, Codes: codes})
	}
	if len(s.uuids) > 0 {
		out = append(out, &vec.Vector{Type: s.t, UUIDs: slices.Collect(maps.Keys(s.uuids))})
	}
	return out
}

func (s *Set) eachPerson(visit func(ordinal uint32)) {
	for i, word := range s.persons {
		for ; word != 0; word &= word - 1 {
			visit(uint32(i*64 + bits.TrailingZeros64(word)))
		}
	}
}

// SetOp puts two sets together.
type SetOp uint8

// The operations.
const (
	Union SetOp = iota
	Intersect
	Except
)

// Unite adds the members of another set of the same type, before either is settled.
func (s *Set) Unite(o *Set) {
	for i, w := range o.persons {
		s.persons[i] |= w
	}
	maps.Copy(s.ints, o.ints)
	maps.Copy(s.uuids, o.uuids)
	maps.Copy(s.texts, o.texts)
	s.measure()
}

// Combine is two settled sets of one type put together, settled.
func (op SetOp) Combine(a, b *Set, hold func(bytes int64) error) *Set {
	s := &Set{t: a.t, dict: a.dict, persons: slices.Clone(a.persons),
		ints: maps.Clone(a.ints), uuids: maps.Clone(a.uuids), texts: maps.Clone(a.texts)}
	if op == Union {
		s.Unite(b)
	} else {
		for i, w := range b.persons {
			if op == Except {
				w = ^w
			}
			s.persons[i] &= w
		}
		keep(s.ints, b.ints, op == Intersect)
		keep(s.uuids, b.uuids, op == Intersect)
		keep(s.texts, b.texts, op == Intersect)
		s.measure()
	}
	s.prepare(hold)
	return s
}

// keep leaves in a the members that are in b, or those that are not.
func keep[K comparable](a, b map[K]struct{}, common bool) {
	maps.DeleteFunc(a, func(k K, _ struct{}) bool {
		_, ok := b[k]
		return ok != common
	})
}

// measure counts the bytes of the maps anew.
func (s *Set) measure() {
	s.size = int64(len(s.ints))*intEntry + int64(len(s.uuids))*uuidEntry + int64(len(s.texts))*textEntry
	for k := range s.texts {
		s.size += int64(len(k))
	}
}
