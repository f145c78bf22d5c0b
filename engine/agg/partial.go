package agg

import (
	"math/big"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/storage/vec"
)

// What states look like as vectors: see State.Partial. A state whose partial rows are rows
// of its arguments takes them in by Update; the others put a state together from the
// vectors, which are flat, and merge it.

// first is 0 … n-1.
func first(n int) []uint32 {
	out := make([]uint32, n)
	for i := range out {
		out[i] = uint32(i)
	}
	return out
}

func ints(v []int64) *vec.Vector             { return &vec.Vector{Type: vec.T(vec.Int8), I64: v} }
func floats(v []float64) *vec.Vector         { return &vec.Vector{Type: vec.T(vec.Float8), F64: v} }
func truths(v []bool) *vec.Vector            { return &vec.Vector{Type: vec.T(vec.Bool), Bools: v} }
func vectors(v ...*vec.Vector) []*vec.Vector { return v }

func (s *count) Partial() ([]uint32, []*vec.Vector) { return nil, vectors(ints(s.n)) }

func (s *count) Absorb(_ *expr.Context, groups []uint32, cols []*vec.Vector) error {
	return s.Merge(&count{n: cols[0].I64}, groups)
}

func (s *sumInt) Partial() ([]uint32, []*vec.Vector) {
	lo := make([]int64, len(s.lo))
	for i, x := range s.lo {
		lo[i] = int64(x)
	}
	return nil, vectors(ints(s.hi), ints(lo), ints(s.n))
}

func (s *sumInt) Absorb(_ *expr.Context, groups []uint32, cols []*vec.Vector) error {
	lo := make([]uint64, len(cols[1].I64))
	for i, x := range cols[1].I64 {
		lo[i] = uint64(x)
	}
	return s.Merge(&sumInt{hi: cols[0].I64, lo: lo, n: cols[2].I64}, groups)
}

func (s *sumSmall) Partial() ([]uint32, []*vec.Vector) { return nil, vectors(ints(s.sum), ints(s.n)) }

func (s *sumSmall) Absorb(_ *expr.Context, groups []uint32, cols []*vec.Vector) error {
	return s.Merge(&sumSmall{sum: cols[0].I64, n: cols[1].I64}, groups)
}

func (s *sumDecimal) Partial() ([]uint32, []*vec.Vector) {
	return nil, vectors(&vec.Vector{Type: vec.T(vec.Numeric), Dec: s.sum}, ints(s.n))
}

func (s *sumDecimal) Absorb(_ *expr.Context, groups []uint32, cols []*vec.Vector) error {
	return s.Merge(&sumDecimal{sum: cols[0].Decimals(), n: cols[1].I64}, groups)
}

func (s *sumFloat) Partial() ([]uint32, []*vec.Vector) {
	return nil, vectors(floats(s.sum), floats(s.low), ints(s.n), truths(s.inf))
}

func (s *sumFloat) Absorb(_ *expr.Context, groups []uint32, cols []*vec.Vector) error {
	return s.Merge(&sumFloat{sum: cols[0].F64, low: cols[1].F64, n: cols[2].I64, inf: cols[3].Bools}, groups)
}

func (s *sumInterval) Partial() ([]uint32, []*vec.Vector) {
	return nil, vectors(ints(s.m), ints(s.d), floats(s.us), ints(s.n))
}

func (s *sumInterval) Absorb(_ *expr.Context, groups []uint32, cols []*vec.Vector) error {
	return s.Merge(&sumInterval{m: cols[0].I64, d: cols[1].I64, us: cols[2].F64, n: cols[3].I64}, groups)
}

func (s *moments) Partial() ([]uint32, []*vec.Vector) {
	return nil, vectors(ints(s.n), floats(s.mean), floats(s.sqrs))
}

func (s *moments) Absorb(_ *expr.Context, groups []uint32, cols []*vec.Vector) error {
	return s.Merge(&moments{n: cols[0].I64, mean: cols[1].F64, sqrs: cols[2].F64}, groups)
}

func (s *exactMoments) Partial() ([]uint32, []*vec.Vector) {
	scale := make([]int64, len(s.scale))
	for i, x := range s.scale {
		scale[i] = int64(x)
	}
	return nil, vectors(ints(s.n), bigs(s.sum), bigs(s.sqrs), ints(scale), truths(s.nan))
}

func (s *exactMoments) Absorb(_ *expr.Context, groups []uint32, cols []*vec.Vector) error {
	o := &exactMoments{n: cols[0].I64, sum: bigsOf(cols[1]), sqrs: bigsOf(cols[2]), scale: make([]int, len(cols[3].I64)), nan: cols[4].Bools}
	for i, x := range cols[3].I64 {
		o.scale[i] = int(x)
	}
	return s.Merge(o, groups)
}

// bigs is integers of any size as text to the base of 16; one that was not needed yet is
// null.
func bigs(values []*big.Int) *vec.Vector {
	b := vec.NewBuilder(vec.T(vec.Bytea))
	var text []byte
	for _, x := range values {
		if x == nil {
			b.AppendNull()
			continue
		}
		text = x.Append(text[:0], 16)
		b.V.Str.Append(text)
	}
	return b.V
}

func bigsOf(v *vec.Vector) []*big.Int {
	out := make([]*big.Int, v.Len())
	for i := range out {
		if !v.Nulls.Get(i) {
			out[i], _ = new(big.Int).SetString(v.Str.Str(i), 16) // bigs wrote it
		}
	}
	return out
}

func (s *paired) Partial() ([]uint32, []*vec.Vector) {
	return nil, vectors(ints(s.n), floats(s.mx), floats(s.my), floats(s.xx), floats(s.yy), floats(s.xy))
}

func (s *paired) Absorb(_ *expr.Context, groups []uint32, cols []*vec.Vector) error {
	return s.Merge(&paired{n: cols[0].I64, mx: cols[1].F64, my: cols[2].F64, xx: cols[3].F64, yy: cols[4].F64, xy: cols[5].F64}, groups)
}

func (s *boolean) Partial() ([]uint32, []*vec.Vector) {
	return nil, vectors(&vec.Vector{Type: vec.T(vec.Bool), Bools: s.x, Nulls: unseen(s.seen)})
}

func (s *boolean) Absorb(ctx *expr.Context, groups []uint32, cols []*vec.Vector) error {
	return s.Update(ctx, groups, cols, first(len(groups)))
}

func (s *bitwise) Partial() ([]uint32, []*vec.Vector) {
	return nil, vectors(&vec.Vector{Type: s.t, I64: s.x, Nulls: unseen(s.seen)})
}

func (s *bitwise) Absorb(ctx *expr.Context, groups []uint32, cols []*vec.Vector) error {
	return s.Update(ctx, groups, cols, first(len(groups)))
}

func (s *extremeInt) Partial() ([]uint32, []*vec.Vector) {
	return nil, vectors(&vec.Vector{Type: s.t, I64: s.x, Nulls: unseen(s.seen)})
}

func (s *extremeInt) Absorb(ctx *expr.Context, groups []uint32, cols []*vec.Vector) error {
	return s.Update(ctx, groups, cols, first(len(groups)))
}

func (s *extreme) Partial() ([]uint32, []*vec.Vector) { return nil, vectors(s.kept.finish()) }

func (s *extreme) Absorb(ctx *expr.Context, groups []uint32, cols []*vec.Vector) error {
	return s.Update(ctx, groups, cols, first(len(groups)))
}

func (s *arg) Partial() ([]uint32, []*vec.Vector) {
	return nil, vectors(s.x.finish(), s.by.finish())
}

func (s *arg) Absorb(ctx *expr.Context, groups []uint32, cols []*vec.Vector) error {
	return s.Update(ctx, groups, cols, first(len(groups)))
}

func (s *pick) Partial() ([]uint32, []*vec.Vector) { return nil, vectors(s.kept.finish()) }

func (s *pick) Absorb(ctx *expr.Context, groups []uint32, cols []*vec.Vector) error {
	return s.Update(ctx, groups, cols, first(len(groups)))
}

func (s *collect) Partial() ([]uint32, []*vec.Vector) { return s.rows.partial() }

func (s *collect) Absorb(ctx *expr.Context, groups []uint32, cols []*vec.Vector) error {
	return s.Update(ctx, groups, cols, first(len(groups)))
}

func (s *distinct) Partial() ([]uint32, []*vec.Vector) { return s.rows.partial() }

func (s *distinct) Absorb(ctx *expr.Context, groups []uint32, cols []*vec.Vector) error {
	return s.Update(ctx, groups, cols, first(len(groups)))
}

// Partial is the pairs, each with its value.
func (s *distinctCount) Partial() ([]uint32, []*vec.Vector) {
	s.unmark()
	if s.wide.any() {
		groups, values := s.wide.all()
		return groups, vectors(&vec.Vector{Type: s.valueType(), UUIDs: values})
	}
	n := s.pairs.size()
	groups := make([]uint32, 0, n)
	if s.integers() {
		numbers := make([]int64, 0, n)
		s.pairs.each(func(g uint32, n int64) { groups, numbers = append(groups, g), append(numbers, n) })
		return groups, vectors(&vec.Vector{Type: s.t, I64: numbers})
	}
	values := s.dict
	if s.intern != nil {
		values = s.intern.Values()
	}
	if values == nil {
		return groups, vectors(&vec.Vector{Type: s.valueType()})
	}
	ids := make([]uint32, 0, n)
	s.pairs.each(func(g uint32, id int64) { groups, ids = append(groups, g), append(ids, uint32(id)) })
	return groups, vectors(&vec.Vector{Type: s.valueType(), Form: vec.Dict, Codes: ids, Dict: values})
}

func (s *distinctCount) Absorb(ctx *expr.Context, groups []uint32, cols []*vec.Vector) error {
	if v := cols[0]; v.Type.Kind == vec.UUID {
		s.print()
		if v.Form == vec.Flat && len(v.Nulls) == 0 && s.dict == nil && s.intern == nil && len(s.marks.dicts) == 0 {
			s.wide.add(groups, v.UUIDs, first(len(groups)), s.pairs.counts)
			return nil
		}
	}
	s.pairs.reserve(len(groups))
	return s.Update(ctx, groups, cols, first(len(groups)))
}
