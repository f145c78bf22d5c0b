package agg

import (
	"math"
	"math/bits"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/storage/vec"
)

func init() {
	registry["sum"] = func(args []vec.Type) *Spec { return resolveSum(args, false) }
	registry["avg"] = func(args []vec.Type) *Spec { return resolveSum(args, true) }
}

func resolveSum(args []vec.Type, avg bool) *Spec {
	if len(args) != 1 || args[0].Array {
		return nil
	}
	t := vec.T(args[0].Kind)
	s := &Spec{Args: []vec.Type{t}, Result: t}
	switch t.Kind {
	case vec.Int2, vec.Int4, vec.Int8:
		s.Result = vec.T(vec.Int8)
		if t.Kind == vec.Int8 || avg {
			s.Result = vec.T(vec.Numeric)
		}
		s.create = func([]OrderKey) State { return &sumInt{t: s.Result, avg: avg} }
		if t.Kind == vec.Int2 {
			s.create = func([]OrderKey) State { return &sumSmall{t: s.Result, avg: avg} }
		}
	case vec.Numeric:
		s.create = func([]OrderKey) State { return &sumDecimal{avg: avg} }
	case vec.Float4, vec.Float8:
		if avg {
			s.Result = vec.T(vec.Float8)
		}
		s.create = func([]OrderKey) State { return &sumFloat{t: s.Result, avg: avg} }
	case vec.Time, vec.Interval:
		t = vec.T(vec.Interval)
		s.Args[0], s.Result = t, t
		s.create = func([]OrderKey) State { return &sumInterval{avg: avg} }
	default:
		return nil
	}
	return s
}

func overflow(t vec.Type) error {
	return pgerr.New(pgerr.NumericOutOfRange, "%s out of range", t)
}

var errNumeric = pgerr.New(pgerr.NumericOutOfRange, "value overflows numeric format")

// sumInt adds integers in 128 bits.
type sumInt struct {
	t   vec.Type
	avg bool
	hi  []int64
	lo  []uint64
	n   []int64
}

func (s *sumInt) Grow(groups int) {
	s.hi, s.lo, s.n = grow(s.hi, groups), grow(s.lo, groups), grow(s.n, groups)
}

func (s *sumInt) Bytes() int64 { return int64(cap(s.hi)) * 24 }

// Renew implements Renewable.
func (s *sumInt) Renew() { s.hi, s.lo, s.n = renew(s.hi), renew(s.lo), renew(s.n) }

func (s *sumInt) Update(_ *expr.Context, groups []uint32, args []*vec.Vector, rows []uint32) error {
	groups, rows = valid(args[0], groups, rows)
	if len(s.n) == 1 {
		s.addAll(dense[int64](args[0], rows))
		return nil
	}
	x, at := sources[int64](args[0], rows)
	hi, lo, n := s.hi, s.lo, s.n
	for i, g := range groups {
		v := x[at[i]]
		sum, c := bits.Add64(lo[g], uint64(v), 0)
		lo[g] = sum
		hi[g] += v>>63 + int64(c)
		n[g]++
	}
	return nil
}

// addAll adds numbers to the only group.
func (s *sumInt) addAll(x []int64) {
	hi, lo := s.hi[0], s.lo[0]
	for _, v := range x {
		var c uint64
		lo, c = bits.Add64(lo, uint64(v), 0)
		hi += v>>63 + int64(c)
	}
	s.hi[0], s.lo[0] = hi, lo
	s.n[0] += int64(len(x))
}

func (s *sumInt) Merge(from State, to []uint32) error {
	o := from.(*sumInt)
	for i, g := range to[:len(o.n)] {
		lo, c := bits.Add64(s.lo[g], o.lo[i], 0)
		s.lo[g] = lo
		s.hi[g] += o.hi[i] + int64(c)
		s.n[g] += o.n[i]
	}
	return nil
}

func (s *sumInt) Finish() (*vec.Vector, error) {
	out := &vec.Vector{Type: s.t, Nulls: without(s.n)}
	if s.t.Kind == vec.Int8 {
		out.I64 = make([]int64, len(s.n))
		for g, lo := range s.lo {
			if s.hi[g] != int64(lo)>>63 {
				return nil, overflow(s.t)
			}
			out.I64[g] = int64(lo)
		}
		return out, nil
	}
	out.Dec = make([]vec.Decimal, len(s.n))
	for g, n := range s.n {
		d, err := vec.DecimalFrom128(s.hi[g], s.lo[g], 0)
		if err == nil && s.avg && n > 0 {
			d, err = d.Quo(vec.DecimalFromInt(n))
		}
		if err != nil {
			return nil, errNumeric
		}
		out.Dec[g] = d
	}
	return out, nil
}

// without marks the groups that have counted no value as null.
func without(counts []int64) (nulls vec.Bitmap) {
	for g, n := range counts {
		if n > 0 {
			continue
		}
		if nulls == nil {
			nulls = vec.NewBitmap(len(counts))
		}
		nulls.Set(g)
	}
	return nulls
}

// sumSmall adds smallints: 64 bits are enough for 2⁴⁸ of them.
type sumSmall struct {
	t   vec.Type
	avg bool
	sum []int64
	n   []int64
}

func (s *sumSmall) Grow(groups int) { s.sum, s.n = grow(s.sum, groups), grow(s.n, groups) }
func (s *sumSmall) Bytes() int64    { return int64(cap(s.sum)) * 16 }

// Renew implements Renewable.
func (s *sumSmall) Renew() { s.sum, s.n = renew(s.sum), renew(s.n) }

func (s *sumSmall) Update(_ *expr.Context, groups []uint32, args []*vec.Vector, rows []uint32) error {
	groups, rows = valid(args[0], groups, rows)
	if len(s.n) == 1 {
		sum := int64(0)
		for _, v := range dense[int64](args[0], rows) {
			sum += v
		}
		s.sum[0] += sum
		s.n[0] += int64(len(rows))
		return nil
	}
	x, at := sources[int64](args[0], rows)
	sum, n := s.sum, s.n
	for i, g := range groups {
		sum[g] += x[at[i]]
		n[g]++
	}
	return nil
}

func (s *sumSmall) Merge(from State, to []uint32) error {
	o := from.(*sumSmall)
	for i, g := range to[:len(o.n)] {
		s.sum[g] += o.sum[i]
		s.n[g] += o.n[i]
	}
	return nil
}

func (s *sumSmall) Finish() (*vec.Vector, error) {
	if !s.avg {
		return &vec.Vector{Type: s.t, I64: s.sum, Nulls: without(s.n)}, nil
	}
	out := &vec.Vector{Type: s.t, Dec: make([]vec.Decimal, len(s.n)), Nulls: without(s.n)}
	for g, n := range s.n {
		if n == 0 {
			continue
		}
		var err error
		if out.Dec[g], err = vec.DecimalFromInt(s.sum[g]).Quo(vec.DecimalFromInt(n)); err != nil {
			return nil, errNumeric
		}
	}
	return out, nil
}

type sumDecimal struct {
	avg bool
	sum []vec.Decimal
	n   []int64
}

func (s *sumDecimal) Grow(groups int) { s.sum, s.n = grow(s.sum, groups), grow(s.n, groups) }
func (s *sumDecimal) Bytes() int64    { return int64(cap(s.sum)) * 32 }

func (s *sumDecimal) Update(_ *expr.Context, groups []uint32, args []*vec.Vector, rows []uint32) (err error) {
	groups, rows = valid(args[0], groups, rows)
	if v := args[0]; v.Form == vec.Flat && v.Scaled() {
		return s.addScaled(groups, &vec.Vector{Type: vec.T(vec.Int8), I64: v.I64}, rows, v.Scale)
	}
	x := dense[vec.Decimal](args[0], rows)
	for i, g := range groups {
		if s.sum[g], err = s.sum[g].Add(x[i]); err != nil {
			return errNumeric
		}
		s.n[g]++
	}
	return nil
}

// addScaled adds numbers of one scale: in 128 bits where the sum has their scale and is far from
// the ends, which is almost always.
func (s *sumDecimal) addScaled(groups []uint32, v *vec.Vector, rows []uint32, scale uint8) (err error) {
	if len(rows) == 0 {
		return nil
	}
	if len(s.n) == 1 {
		part := sumInt{hi: make([]int64, 1), lo: make([]uint64, 1), n: make([]int64, 1)}
		part.addAll(dense[int64](v, rows))
		// No batch makes more than 2^64 times 2^63.
		if s.sum[0], err = s.sum[0].Add(vec.Decimal{Hi: part.hi[0], Lo: part.lo[0], Scale: scale}); err != nil {
			return errNumeric
		}
		s.n[0] += part.n[0]
		return nil
	}
	if len(s.n) <= fewGroups {
		if few, ok := sumFew(v.I64, groups, rows); ok {
			return s.addSums(&few, scale)
		}
	}
	const most = 1 << 61 // as for Decimal.AddQuick
	x := v.I64
	for i, g := range groups {
		sum, v := &s.sum[g], x[rows[i]]
		if s.n[g] == 0 && sum.IsZero() {
			sum.Scale = max(sum.Scale, scale)
		}
		s.n[g]++
		if sum.Scale == scale && sum.Hi >= -most && sum.Hi < most {
			lo, c := bits.Add64(sum.Lo, uint64(v), 0)
			sum.Hi, sum.Lo = sum.Hi+v>>63+int64(c), lo
			continue
		}
		if *sum, err = sum.Add(vec.Decimal{Hi: v >> 63, Lo: uint64(v), Scale: scale}); err != nil {
			return errNumeric
		}
	}
	return nil
}

// addSums adds what numbers of one scale add up to.
func (s *sumDecimal) addSums(few *fewSums, scale uint8) (err error) {
	for g := range s.n {
		if few.n[g] == 0 {
			continue
		}
		if s.sum[g], err = s.sum[g].Add(vec.Decimal{Hi: few.sum[g] >> 63, Lo: uint64(few.sum[g]), Scale: scale}); err != nil {
			return errNumeric
		}
		s.n[g] += few.n[g]
	}
	return nil
}

func (s *sumDecimal) Merge(from State, to []uint32) (err error) {
	o := from.(*sumDecimal)
	for i, g := range to[:len(o.n)] {
		if s.sum[g], err = s.sum[g].Add(o.sum[i]); err != nil {
			return errNumeric
		}
		s.n[g] += o.n[i]
	}
	return nil
}

func (s *sumDecimal) Finish() (*vec.Vector, error) {
	out := &vec.Vector{Type: vec.T(vec.Numeric), Dec: s.sum}
	seen := make([]bool, len(s.n))
	for g, n := range s.n {
		seen[g] = n > 0
		if s.avg && n > 0 {
			d, err := s.sum[g].Quo(vec.DecimalFromInt(n))
			if err != nil {
				return nil, errNumeric
			}
			s.sum[g] = d
		}
	}
	out.Nulls = unseen(seen)
	return out, nil
}

// sumFloat adds doubles and keeps what each addition rounds away, so that a sum does not
// depend on the order in which the parts of a parallel query met their rows.
type sumFloat struct {
	t   vec.Type
	avg bool
	sum []float64
	low []float64 // what sum has lost; not a number once it is infinite
	n   []int64
	inf []bool // an infinity was added, so an infinite sum is no overflow
}

func (s *sumFloat) Grow(groups int) {
	s.sum, s.low, s.n, s.inf = grow(s.sum, groups), grow(s.low, groups), grow(s.n, groups), grow(s.inf, groups)
}

func (s *sumFloat) Bytes() int64 { return int64(cap(s.sum)) * 25 }

// addFloat is a sum, and the part of it that does not fit.
func addFloat(a, b float64) (sum, low float64) {
	sum = a + b
	c := sum - a
	return sum, (a - (sum - c)) + (b - c)
}

func (s *sumFloat) Update(_ *expr.Context, groups []uint32, args []*vec.Vector, rows []uint32) error {
	groups, rows = valid(args[0], groups, rows)
	if len(s.n) == 1 {
		sum, low, inf := s.sum[0], s.low[0], s.inf[0]
		for _, v := range dense[float64](args[0], rows) {
			var lost float64
			sum, lost = addFloat(sum, v)
			low += lost
			inf = inf || v > math.MaxFloat64 || v < -math.MaxFloat64
		}
		s.sum[0], s.low[0], s.inf[0] = sum, low, inf
		s.n[0] += int64(len(rows))
		return nil
	}
	x, at := sources[float64](args[0], rows)
	for i, g := range groups {
		v := x[at[i]]
		sum, lost := addFloat(s.sum[g], v)
		s.sum[g] = sum
		s.low[g] += lost
		s.n[g]++
		if v > math.MaxFloat64 || v < -math.MaxFloat64 {
			s.inf[g] = true
		}
	}
	return nil
}

func (s *sumFloat) Merge(from State, to []uint32) error {
	o := from.(*sumFloat)
	for i, g := range to[:len(o.n)] {
		sum, lost := addFloat(s.sum[g], o.sum[i])
		s.sum[g] = sum
		s.low[g] += lost + o.low[i]
		s.n[g] += o.n[i]
		s.inf[g] = s.inf[g] || o.inf[i]
	}
	return nil
}

func (s *sumFloat) Finish() (*vec.Vector, error) {
	out := &vec.Vector{Type: s.t, F64: s.sum}
	seen := make([]bool, len(s.n))
	for g, n := range s.n {
		seen[g] = n > 0
		if low := s.low[g]; low == low {
			s.sum[g] += low
		}
		if s.t.Kind == vec.Float4 {
			s.sum[g] = float64(float32(s.sum[g]))
		}
		if math.IsInf(s.sum[g], 0) && !s.inf[g] {
			return nil, pgerr.New(pgerr.NumericOutOfRange, "value out of range: overflow")
		}
		if s.avg && n > 0 {
			s.sum[g] /= float64(n)
		}
	}
	out.Nulls = unseen(seen)
	return out, nil
}

type sumInterval struct {
	avg  bool
	m, d []int64
	us   []float64
	n    []int64
}

func (s *sumInterval) Grow(groups int) {
	s.m, s.d, s.us, s.n = grow(s.m, groups), grow(s.d, groups), grow(s.us, groups), grow(s.n, groups)
}

func (s *sumInterval) Bytes() int64 { return int64(cap(s.n)) * 32 }

func (s *sumInterval) Update(_ *expr.Context, groups []uint32, args []*vec.Vector, rows []uint32) error {
	groups, rows = valid(args[0], groups, rows)
	x := dense[vec.IntervalValue](args[0], rows)
	for i, g := range groups {
		s.m[g] += int64(x[i].Months)
		s.d[g] += int64(x[i].Days)
		s.us[g] += float64(x[i].Micros)
		s.n[g]++
	}
	return nil
}

func (s *sumInterval) Merge(from State, to []uint32) error {
	o := from.(*sumInterval)
	for i, g := range to[:len(o.n)] {
		s.m[g] += o.m[i]
		s.d[g] += o.d[i]
		s.us[g] += o.us[i]
		s.n[g] += o.n[i]
	}
	return nil
}

func (s *sumInterval) Finish() (*vec.Vector, error) {
	out := &vec.Vector{Type: vec.T(vec.Interval), Ivl: make([]vec.IntervalValue, len(s.n))}
	seen := make([]bool, len(s.n))
	for g, n := range s.n {
		seen[g] = n > 0
		m, d, us := float64(s.m[g]), float64(s.d[g]), s.us[g]
		if s.avg && n > 0 {
			v, err := expr.SpreadInterval(m/float64(n), d/float64(n), us/float64(n))
			if err != nil {
				return nil, err
			}
			out.Ivl[g] = v
			continue
		}
		if math.Abs(m) > math.MaxInt32 || math.Abs(d) > math.MaxInt32 || math.Abs(us) > 9.2e18 {
			return nil, pgerr.New(pgerr.DatetimeOverflow, "interval out of range")
		}
		out.Ivl[g] = vec.IntervalValue{Months: int32(m), Days: int32(d), Micros: int64(us)}
	}
	out.Nulls = unseen(seen)
	return out, nil
}
