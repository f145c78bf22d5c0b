package agg

import (
	"slices"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/intern"
	"github.com/prickledb/prickle/storage/vec"
)

// distinctCount is count(DISTINCT x). Values are numbers, and each group has a set of numbers.
// Integers are the numbers themselves. While all rows are uuids of one dictionary, as person_id
// is, its codes are, and no value is looked at: a dictionary of uuids holds no value twice.
// Others may: lower(x) has the entries of x. Of large dictionaries of texts, a single group marks
// the entries. With a second dictionary of uuids, more groups, or other values, the numbers are those
// of an intern.Table, which looks at each entry once.
type distinctCount struct {
	t      vec.Type
	dict   *vec.Vector   // the one dictionary of uuids so far
	marks  marks         // what pairs does not have; of a single group
	intern *intern.Table // not nil once values are numbered
	ids    []uint32      // scratch
	pairs  pairs
}

func newDistinctCount(t vec.Type) State {
	s := &distinctCount{t: t}
	s.pairs.sparse = s.integers()
	return s
}

// integers says whether values are their own numbers.
func (s *distinctCount) integers() bool { return s.t.Payload() == vec.PayloadI64 }

func (s *distinctCount) Grow(groups int) {
	if groups > 1 {
		s.unmark()
	}
	s.pairs.grow(groups)
}

func (s *distinctCount) Bytes() int64 {
	n := s.pairs.bytes() + s.marks.size
	if s.intern != nil {
		n += s.intern.Bytes()
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
	case s.marksIn(v):
		s.marks.add(v.Dict, v.Codes, rows)
		if s.marks.size > maxMarkBytes {
			s.unmark()
		}
	default:
		s.number()
		if len(v.Nulls) > 0 { // in no row that is left
			bare := *v
			bare.Nulls = nil
			v = &bare
		}
		s.ids = grow(s.ids, len(rows))
		s.intern.Assign(s.ids[:len(rows)], v, rows)
		s.pairs.add(groups, s.ids[:len(rows)])
	}
	return nil
}

// marksIn says whether entries of a vector's dictionary are marked. Small ones are remembered by the
// intern.Table, too, and so are those of blocks.
func (s *distinctCount) marksIn(v *vec.Vector) bool {
	return len(s.pairs.counts) == 1 && v.Form == vec.Dict && v.Dict.Len() > vec.BatchRows && len(v.Dict.Nulls) == 0 &&
		s.t.Payload() == vec.PayloadStr && s.t.EqualBytes()
}

// unmark numbers what is marked.
func (s *distinctCount) unmark() {
	for i := range s.marks.dicts {
		d := &s.marks.dicts[i]
		codes := d.codes()
		s.number()
		ids := make([]uint32, len(codes))
		s.intern.Assign(ids, d.dict, codes)
		s.pairs.add(make([]uint32, len(ids)), ids)
	}
	s.marks = marks{}
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
	s.intern = intern.New(s.t)
	if s.dict == nil {
		return
	}
	old := s.pairs
	s.pairs = pairs{}
	s.pairs.grow(len(old.counts))
	to := make([]uint32, s.dict.Len()) // number plus one
	old.each(func(g uint32, code int64) {
		if to[code] == 0 {
			to[code] = s.intern.Number(s.dict, int(code)) + 1
		}
		s.pairs.add1(g, to[code]-1)
	})
	s.dict = nil
}

func (s *distinctCount) Merge(from State, to []uint32) error {
	o := from.(*distinctCount)
	if len(s.pairs.counts) == 1 {
		s.marks.merge(&o.marks)
		o.marks = marks{}
	}
	o.unmark()
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
	ids := make([]uint32, o.intern.Count())
	s.intern.Assign(ids, o.intern.Values(), first(len(ids)))
	o.pairs.each(func(g uint32, id int64) { s.pairs.add1(to[g], ids[id]) })
	return nil
}

func (s *distinctCount) Finish() (*vec.Vector, error) {
	if len(s.marks.dicts) > 0 {
		if s.intern != nil {
			s.marks.addAll(s.intern.Values())
		}
		return &vec.Vector{Type: vec.T(vec.Int8), I64: []int64{s.marks.union()}}, nil
	}
	return &vec.Vector{Type: vec.T(vec.Int8), I64: s.pairs.finish()}, nil
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
