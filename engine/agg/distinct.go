package agg

import (
	"slices"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/storage/vec"
)

// distinctCount is count(DISTINCT x). Values are numbers, and each group has a set of numbers.
// Integers are the numbers themselves. While all rows are uuids of one dictionary, as person_id
// is, its codes are, and no value is looked at: a dictionary of uuids holds no value twice.
// Others may: the JSON values 1 and "1" are two entries of one text. With a second dictionary,
// or other values, the numbers are those of an interner, which looks at each entry once.
type distinctCount struct {
	t      vec.Type
	dict   *vec.Vector // the one dictionary so far
	intern *interner   // not nil once values are numbered
	pairs  pairs
}

func newDistinctCount(t vec.Type) State {
	s := &distinctCount{t: t}
	s.pairs.sparse = s.integers()
	return s
}

// integers says whether values are their own numbers.
func (s *distinctCount) integers() bool { return s.t.Payload() == vec.PayloadI64 }

func (s *distinctCount) Grow(groups int) { s.pairs.grow(groups) }

func (s *distinctCount) Bytes() int64 {
	n := s.pairs.bytes()
	if s.intern != nil {
		n += s.intern.bytes()
	}
	return n
}

func (s *distinctCount) Update(_ *expr.Context, groups []uint32, args []*vec.Vector, rows []uint32) error {
	v := args[0]
	groups, rows = valid(v, groups, rows)
	if len(rows) == 0 {
		return nil
	}
	switch {
	case s.integers():
		s.pairs.addNumbers(groups, dense[int64](v, rows))
	case v.Form == vec.Dict && s.t.Kind == vec.UUID && s.intern == nil && (s.dict == nil || s.dict == v.Dict):
		s.dict = v.Dict
		s.addCodes(groups, v.Codes, rows)
	default:
		s.number()
		s.pairs.add(groups, s.intern.assign(v, rows))
	}
	return nil
}

func (s *distinctCount) addCodes(groups, codes, rows []uint32) {
	ids := make([]uint32, len(rows))
	for i, r := range rows {
		ids[i] = codes[r]
	}
	s.pairs.add(groups, ids)
}

// number goes over from the dictionary's codes to numbers of values.
func (s *distinctCount) number() {
	if s.intern != nil {
		return
	}
	s.intern = newInterner(s.t)
	if s.dict == nil {
		return
	}
	old := s.pairs
	s.pairs = pairs{}
	s.pairs.grow(len(old.counts))
	to := make([]uint32, s.dict.Len()) // number plus one
	old.each(func(g uint32, code int64) {
		if to[code] == 0 {
			to[code] = s.intern.id(s.dict, int(code)) + 1
		}
		s.pairs.add1(g, to[code]-1)
	})
	s.dict = nil
}

func (s *distinctCount) Merge(from State, to []uint32) error {
	o := from.(*distinctCount)
	if s.integers() || s.intern == nil && o.intern == nil && (s.dict == nil || o.dict == nil || s.dict == o.dict) {
		if o.dict != nil {
			s.dict = o.dict
		}
		s.pairs.merge(&o.pairs, to)
		return nil
	}
	if o.dict == nil && o.intern == nil {
		return nil
	}
	s.number()
	o.number()
	ids := make([]uint32, o.intern.values.V.Len())
	for i := range ids {
		ids[i] = s.intern.id(o.intern.values.V, i)
	}
	o.pairs.each(func(g uint32, id int64) { s.pairs.add1(to[g], ids[id]) })
	return nil
}

func (s *distinctCount) Finish() (*vec.Vector, error) {
	return &vec.Vector{Type: vec.T(vec.Int8), I64: s.pairs.finish()}, nil
}

// interner numbers values from 0.
type interner struct {
	values *vec.Builder
	slots  []uint32 // open addressing: number plus one; 0 is free
	hashes []uint64 // by number
	dicts  map[*vec.Vector][]uint32
}

// maxDicts is how many dictionaries an interner remembers: segments come one after the
// other, so those before are not seen again.
const maxDicts = 16

func newInterner(t vec.Type) *interner {
	return &interner{values: vec.NewBuilder(t), slots: make([]uint32, 256), dicts: map[*vec.Vector][]uint32{}}
}

func (in *interner) bytes() int64 {
	n := in.values.V.Bytes() + int64(cap(in.slots)*4+cap(in.hashes)*8)
	for _, d := range in.dicts {
		n += int64(cap(d) * 4)
	}
	return n
}

// assign gives the numbers of rows that are not null.
func (in *interner) assign(v *vec.Vector, rows []uint32) []uint32 {
	out := make([]uint32, len(rows))
	switch {
	case v.Form == vec.Const:
		id := in.id(v, 0)
		for i := range out {
			out[i] = id
		}
	case v.Form == vec.Dict:
		to := in.dicts[v.Dict]
		if to == nil {
			if len(in.dicts) >= maxDicts {
				clear(in.dicts)
			}
			to = make([]uint32, v.Dict.Len())
			in.dicts[v.Dict] = to
		}
		for i, r := range rows {
			c := v.Codes[r]
			if to[c] == 0 {
				to[c] = in.id(v.Dict, int(c)) + 1
			}
			out[i] = to[c] - 1
		}
	default:
		for i, r := range rows {
			out[i] = in.id(v, int(r))
		}
	}
	return out
}

func (in *interner) id(v *vec.Vector, row int) uint32 {
	h := vec.HashRow(v, row)
	mask := len(in.slots) - 1
	at := int(h) & mask
	for ; in.slots[at] != 0; at = (at + 1) & mask {
		if id := in.slots[at] - 1; in.hashes[id] == h && vec.Equal(in.values.V, int(id), v, row) {
			return id
		}
	}
	in.values.AppendFrom(v, row)
	return in.put(at, h)
}

// put takes a free slot for the value just added.
func (in *interner) put(at int, h uint64) uint32 {
	id := uint32(len(in.hashes))
	in.hashes = append(in.hashes, h)
	in.slots[at] = id + 1
	if len(in.hashes)*2 > len(in.slots) {
		in.slots = make([]uint32, 2*len(in.slots))
		mask := len(in.slots) - 1
		for id, h := range in.hashes {
			at := int(h) & mask
			for in.slots[at] != 0 {
				at = (at + 1) & mask
			}
			in.slots[at] = uint32(id) + 1
		}
	}
	return id
}

// distinct is any other aggregate with DISTINCT: rows are kept once for each group, and
// the aggregate sees them at the end.
type distinct struct {
	spec   *Spec
	order  []OrderKey
	groups int
	seen   map[string]struct{}
	rows   collected
	ctx    *expr.Context
	bytes  int64
}

func newDistinct(s *Spec, order []OrderKey) State {
	return &distinct{spec: s, order: order, seen: map[string]struct{}{}, rows: newCollected(s.Args, order)}
}

func (s *distinct) Grow(groups int) { s.groups = groups }
func (s *distinct) Bytes() int64    { return s.bytes + s.rows.bytes() }

func (s *distinct) Update(ctx *expr.Context, groups []uint32, args []*vec.Vector, rows []uint32) error {
	s.ctx = ctx
	var key []byte
	for i, g := range groups {
		key = append(key[:0], byte(g), byte(g>>8), byte(g>>16), byte(g>>24))
		for _, a := range args[:len(s.spec.Args)] {
			key = vec.AppendKey(key, a, int(rows[i]))
		}
		if _, ok := s.seen[string(key)]; ok {
			continue
		}
		s.seen[string(key)] = struct{}{}
		s.bytes += int64(len(key)) + 32
		s.rows.add(g, args, int(rows[i]))
	}
	return nil
}

func (s *distinct) Merge(from State, to []uint32) error {
	o := from.(*distinct)
	if s.ctx == nil {
		s.ctx = o.ctx
	}
	groups := make([]uint32, len(o.rows.groups))
	for i, g := range o.rows.groups {
		groups[i] = to[g]
	}
	return s.Update(s.ctx, groups, o.rows.vectors(), o.rows.all())
}

// sorted is the rows and their groups in the order of their arguments, which is the order of
// DISTINCT where ORDER BY says nothing else.
func (s *distinct) sorted() ([]uint32, []*vec.Vector) {
	rows, cols := s.rows.all(), s.rows.vectors()
	slices.SortStableFunc(rows, func(a, b uint32) int {
		for _, v := range cols[:len(s.spec.Args)] {
			if c := vec.Compare(v, int(a), v, int(b)); c != 0 {
				return c
			}
		}
		return 0
	})
	groups := make([]uint32, len(rows))
	for i, r := range rows {
		groups[i] = s.rows.groups[r]
	}
	for i, v := range cols {
		cols[i] = v.Take(rows)
	}
	return groups, cols
}

func (s *distinct) Finish() (*vec.Vector, error) {
	inner := s.spec.create(s.order)
	inner.Grow(s.groups)
	if len(s.rows.groups) > 0 {
		groups, cols := s.rows.groups, s.rows.vectors()
		if _, ok := inner.(*collect); ok { // it shows the order of its rows
			groups, cols = s.sorted()
		}
		if err := inner.Update(s.ctx, groups, cols, s.rows.all()); err != nil {
			return nil, err
		}
	}
	return inner.Finish()
}
