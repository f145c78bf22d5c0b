package exec

import (
	"context"
	"slices"

	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/vec"
)

// shown is what the answer has rows for: a breakdown value and a bucket each, the buckets
// first to last of every value after one another.
type shown struct {
	values      []uint32       // theRest for the others
	place       map[uint32]int // of each value in values
	first, last int
}

// buckets is how many buckets each value has.
func (s *shown) buckets() int { return s.last - s.first + 1 }

// answer makes the rows. Periods are the one asked for and, if there is one, the one that it
// is compared with; lo and hi are the times of all rows. If DURING is open, empty buckets at
// both ends are left out.
func (t *trends) answer(ctx context.Context, periods []*trends, open bool, lo, hi int64) error {
	s := &shown{values: []uint32{0}}
	if by := t.node.Breakdown; by != nil {
		s.values = t.ranked(periods)
		if by.Top > 0 && len(s.values) > by.Top {
			s.values = slices.Clip(s.values[:by.Top])
			if by.WithOther {
				for _, p := range periods {
					if err := t.onBehalf(p, func() error { return p.addRest(ctx, s.values, lo, hi) }); err != nil {
						return err
					}
				}
				s.values = append(s.values, theRest)
			}
		}
	}
	s.place = make(map[uint32]int, len(s.values))
	for i, v := range s.values {
		s.place[v] = i
	}
	s.last = t.line.count() - 1
	if open {
		s.trim(periods, t.node.Cumulative)
	}
	rows := len(s.values) * s.buckets()
	if err := t.hold(ctx, int64(rows)*12+int64(len(s.values))*16); err != nil {
		return err
	}
	var ids []uint32
	bucket := &vec.Vector{Type: vec.T(vec.TimestampTZ)}
	for _, v := range s.values {
		for b := s.first; b <= s.last; b++ {
			ids = append(ids, v)
			bucket.I64 = append(bucket.I64, t.line.starts[b])
		}
	}
	var values []*vec.Vector
	for _, p := range periods {
		cols, err := t.columns(ctx, p, s)
		if err != nil {
			return err
		}
		values = append(values, cols...)
	}
	if t.node.Output == plan.OutputLong {
		return t.long(ctx, ids, bucket, values)
	}
	t.count = len(ids)
	t.cols = append(breakdownColumns(t.node.Breakdown, t.values, ids), bucket)
	t.cols = append(t.cols, values...)
	return nil
}

// trim leaves out buckets at both ends that have nothing in any period. Totals so far go on
// to the end.
func (s *shown) trim(periods []*trends, totals bool) {
	first, last := s.last+1, -1
	for _, p := range periods {
		for k := range p.series {
			r := &p.series[k]
			for row, b := range r.buckets {
				if _, ok := s.place[r.values[row]]; ok {
					first, last = min(first, int(b)), max(last, int(b))
				}
			}
		}
	}
	switch {
	case last < 0:
		first = 0
	case totals:
		last = s.last
	}
	s.first, s.last = first, last
}

// ranked is the breakdown values that occur, by the sum of the first series in the period
// that is asked for.
func (t *trends) ranked(periods []*trends) []uint32 {
	sums := make([]float64, t.values.count())
	seen := make([]bool, len(sums))
	for _, p := range periods {
		for i := range p.series {
			r := &p.series[i]
			for row, v := range r.values {
				seen[v] = true
				if i == 0 && p == t && !r.vector.IsNull(row) {
					sums[v] += toFloat(r.vector, row)
				}
			}
		}
	}
	var ids []uint32
	for v, ok := range seen {
		if ok {
			ids = append(ids, uint32(v))
		}
	}
	rankValues(ids, func(v uint32) float64 { return sums[v] }, t.values)
	return ids
}

// long makes the rows of OUTPUT LONG: a series or formula each. The values of the periods
// come one after the other.
func (t *trends) long(ctx context.Context, ids []uint32, bucket *vec.Vector, values []*vec.Vector) error {
	names := t.node.Values()
	if err := t.hold(ctx, int64(len(ids)*len(names))*48); err != nil {
		return err
	}
	var all []uint32
	starts := &vec.Vector{Type: vec.T(vec.TimestampTZ)}
	name := &vec.Vector{Type: vec.T(vec.Text), Str: vec.MakeStrings(0, 0)}
	value, previous := vec.NewBuilder(vec.T(vec.Float8)), vec.NewBuilder(vec.T(vec.Float8))
	for row, id := range ids {
		for k, f := range names {
			all = append(all, id)
			starts.I64 = append(starts.I64, bucket.I64[row])
			name.Str.AppendString(f.Name)
			appendFloat(value, values[k], row)
			if t.node.Compare == nil {
				previous.AppendNull()
			} else {
				appendFloat(previous, values[len(names)+k], row)
			}
		}
	}
	t.count = len(all)
	t.cols = append(breakdownColumns(t.node.Breakdown, t.values, all), starts, name, value.V, previous.V)
	return nil
}

// appendFloat adds a number of any type as a double.
func appendFloat(b *vec.Builder, v *vec.Vector, row int) {
	if v.IsNull(row) {
		b.AppendNull()
		return
	}
	b.V.F64 = append(b.V.F64, toFloat(v, row))
}

// toFloat is a number of any type as a double.
func toFloat(v *vec.Vector, row int) float64 {
	v, row = v.At(row)
	switch v.Type.Payload() {
	case vec.PayloadI64:
		return float64(v.I64[row])
	case vec.PayloadF64:
		return v.F64[row]
	case vec.PayloadDec:
		return v.Decimal(row).Float64()
	}
	return 0
}
