package agg

import (
	"encoding/binary"
	"hash/maphash"
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
	prints bool          // values are prints of texts
	wide   wideSet       // uuids or prints that came by Absorb, while there is nothing else
	intern *intern.Table // not nil once values are numbered
	ids    []uint32      // scratch
	pairs  pairs

	settled []int64 // by group, how many values the parts before have
}

func newDistinctCount(t vec.Type) State {
	s := &distinctCount{t: t}
	s.forget()
	return s
}

// forget drops what the state has seen since the last Settle.
func (s *distinctCount) forget() {
	groups := len(s.pairs.counts)
	*s = distinctCount{t: s.t, pairs: pairs{sparse: s.integers()}, wide: s.wide, settled: s.settled}
	s.wide.empty()
	s.pairs.grow(groups)
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
	n := s.pairs.bytes() + s.wide.bytes() + s.marks.size + int64(8*cap(s.settled))
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
	case v.Form == vec.Dict && s.t.Kind == vec.UUID && s.intern == nil && (s.dict == nil || s.dict == v.Dict) && !s.wide.any():
		s.dict = v.Dict
		s.addCodes(groups, v.Codes, rows)
	case s.marksIn(v):
		s.marks.add(v.Dict, v.Codes, rows)
		if s.marks.size > maxMarkBytes {
			s.print()
			s.unmark()
		}
	default:
		s.number()
		if s.prints && v.Type.Kind != vec.UUID {
			v = printsOf(v, rows)
			rows = first(v.Len())
		}
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
	return len(s.pairs.counts) == 1 && v.Form == vec.Dict && v.Dict.Len() > vec.BatchRows && len(v.Dict.Nulls) == 0 && s.texts() && v.Type.Kind != vec.UUID
}

// texts says whether values are texts that are equal if their bytes are.
func (s *distinctCount) texts() bool { return s.t.Payload() == vec.PayloadStr && s.t.EqualBytes() }

// unmark numbers what is marked.
func (s *distinctCount) unmark() {
	for i := range s.marks.dicts {
		d := &s.marks.dicts[i]
		v, codes := d.dict, d.codes()
		if s.prints {
			v = printsOf(v, codes)
			codes = first(len(codes))
		}
		s.number()
		ids := make([]uint32, len(codes))
		s.intern.Assign(ids, v, codes)
		s.pairs.add(make([]uint32, len(ids)), ids)
	}
	s.marks = marks{}
}

// print goes over from texts to their prints, but for what is marked. Numbers stay.
func (s *distinctCount) print() {
	if s.prints || !s.texts() {
		return
	}
	s.prints = true
	if old := s.intern; old != nil {
		s.intern = nil
		s.number()
		n := old.Count()
		s.intern.Assign(make([]uint32, n), printsOf(old.Values(), first(n)), first(n))
	}
}

// printType is the type of prints: 128 bits.
var printType = vec.T(vec.UUID)

// printSeeds are of the two halves of a print. They are secret, so that nobody can make texts that have the
// same: two texts have with a probability of one in 2^128.
var printSeeds = [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}

// printsOf is prints of texts, none of which is NULL.
func printsOf(v *vec.Vector, rows []uint32) *vec.Vector {
	out := &vec.Vector{Type: printType, UUIDs: make([]vec.UUIDValue, len(rows))}
	for i, r := range rows {
		of, at := v.At(int(r))
		text := of.Str.At(at)
		for half, seed := range printSeeds {
			binary.LittleEndian.PutUint64(out.UUIDs[i][8*half:], maphash.Bytes(seed, text))
		}
	}
	return out
}

func (s *distinctCount) addCodes(groups, codes, rows []uint32) {
	ids := make([]uint32, len(rows))
	for i, r := range rows {
		ids[i] = codes[r]
	}
	s.pairs.add(groups, ids)
}

// valueType is the type of what is numbered.
func (s *distinctCount) valueType() vec.Type {
	if s.prints {
		return printType
	}
	return s.t
}

// number goes over from the dictionary's codes, or values, to numbers of values.
func (s *distinctCount) number() {
	if s.intern != nil {
		return
	}
	s.intern = intern.New(s.valueType())
	if s.wide.any() {
		groups, values := s.wide.all()
		ids := make([]uint32, len(values))
		s.intern.Assign(ids, &vec.Vector{Type: s.valueType(), UUIDs: values}, first(len(ids)))
		s.wide = wideSet{}
		clear(s.pairs.counts)
		s.pairs.add(groups, ids)
	}
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
	s.settle(o.settled, to)
	if s.prints || o.prints {
		s.print()
		o.print()
	}
	if len(s.pairs.counts) == 1 {
		s.marks.merge(&o.marks)
		o.marks = marks{}
	}
	o.unmark()
	if s.wide.any() || o.wide.any() {
		s.number()
		o.number()
	}
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

// Leave implements Divided. Texts leave as prints, wherever they are.
func (s *distinctCount) Leave(give func(groups []uint32, cols []*vec.Vector) error) error {
	s.print()
	for i := range s.marks.dicts {
		d := &s.marks.dicts[i]
		codes := d.codes()
		if err := give(make([]uint32, len(codes)), vectors(printsOf(d.dict, codes))); err != nil {
			return err
		}
	}
	s.marks = marks{}
	err := give(s.Partial())
	s.forget()
	s.wide = wideSet{}
	return err
}

// Settle implements Divided.
func (s *distinctCount) Settle() error {
	n := s.counts()
	s.settle(n, first(len(n)))
	s.forget()
	return nil
}

// settle adds counts of parts: that of group g to group to[g].
func (s *distinctCount) settle(counts []int64, to []uint32) {
	if len(counts) > 0 {
		s.settled = grow(s.settled, len(s.pairs.counts))
	}
	for g, n := range counts {
		s.settled[to[g]] += n
	}
}

// counts is how many values each group has seen since the last Settle.
func (s *distinctCount) counts() []int64 {
	if s.prints {
		s.unmark()
	}
	if len(s.marks.dicts) == 0 {
		return s.pairs.finish()
	}
	if s.intern != nil {
		s.marks.addAll(s.intern.Values())
	}
	return []int64{s.marks.union()}
}

func (s *distinctCount) Finish() (*vec.Vector, error) {
	counts := s.counts()
	for g, n := range s.settled {
		counts[g] += n
	}
	return &vec.Vector{Type: vec.T(vec.Int8), I64: counts}, nil
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
	inner  State // what the aggregate has seen: the parts that are settled; nil: none is
}

func newDistinct(s *Spec, order []OrderKey) State {
	d := &distinct{spec: s, order: order}
	d.forget()
	return d
}

// forget drops what the state has seen since the last Settle.
func (s *distinct) forget() {
	s.seen, s.rows, s.bytes = map[string]struct{}{}, newCollected(s.spec.Args, s.order), 0
}

func (s *distinct) Grow(groups int) { s.groups = groups }

func (s *distinct) Bytes() int64 {
	n := s.bytes + s.rows.bytes()
	if s.inner != nil {
		n += s.inner.Bytes()
	}
	return n
}

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
	if o.inner != nil {
		if err := s.within().Merge(o.inner, to); err != nil {
			return err
		}
	}
	groups := make([]uint32, len(o.rows.groups))
	for i, g := range o.rows.groups {
		groups[i] = to[g]
	}
	return s.Update(s.ctx, groups, o.rows.vectors(), o.rows.all())
}

// Leave implements Divided.
func (s *distinct) Leave(give func(groups []uint32, cols []*vec.Vector) error) error {
	err := give(s.Partial())
	s.forget()
	return err
}

// within is the aggregate itself. Where it shows the order of its rows, that is the order of their
// arguments where ORDER BY says nothing else.
func (s *distinct) within() State {
	if s.inner == nil {
		s.inner = s.spec.create(s.order)
		if _, ok := s.inner.(*collect); ok {
			order := slices.Clone(s.order)
			for _, t := range s.spec.Args {
				order = append(order, OrderKey{Type: t})
			}
			s.inner = s.spec.create(order)
		}
	}
	s.inner.Grow(s.groups)
	return s.inner
}

// Settle implements Divided.
func (s *distinct) Settle() error {
	inner := s.within()
	if len(s.rows.groups) == 0 {
		return nil
	}
	cols := s.rows.vectors()
	if _, ok := inner.(*collect); ok {
		cols = append(cols, cols[:len(s.spec.Args)]...)
	}
	err := inner.Update(s.ctx, s.rows.groups, cols, s.rows.all())
	s.forget()
	return err
}

func (s *distinct) Finish() (*vec.Vector, error) {
	if err := s.Settle(); err != nil {
		return nil, err
	}
	return s.inner.Finish()
}
