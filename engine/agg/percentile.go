package agg

import (
	"cmp"
	"math"
	"slices"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/storage/vec"
)

func init() {
	registry["median"] = func(args []vec.Type) *Spec {
		if len(args) != 1 {
			return nil
		}
		return resolveContinuous([]vec.Type{args[0]}, 0, -1)
	}
	registry["quantile"] = func(args []vec.Type) *Spec {
		if len(args) != 2 {
			return nil
		}
		return resolveContinuous(args, 0, 1)
	}
	registry["approx_quantile"] = registry["quantile"]
	registry["percentile_cont"] = func(args []vec.Type) *Spec {
		if len(args) != 2 {
			return nil
		}
		return resolveContinuous(args, 1, 0)
	}
	registry["percentile_disc"] = func(args []vec.Type) *Spec {
		if len(args) != 2 || !fractionFits(args[0]) {
			return nil
		}
		t := known(args)
		t[0] = vec.Type{Kind: vec.Float8, Array: args[0].Array}
		result := vec.Type{Kind: t[1].Kind, Array: args[0].Array}
		return collector(t, result, 1, 1, func(_ *expr.Context, out *vec.Builder, cols []*vec.Vector, rows []uint32, _ bool) error {
			return eachFraction(out, cols[0], int(rows[0]), func(to *vec.Builder, p float64) {
				at := int(math.Ceil(p * float64(len(rows))))
				to.AppendFrom(cols[1], int(rows[max(at-1, 0)]))
			})
		})
	}
}

func fractionFits(t vec.Type) bool {
	return fits(vec.T(t.Kind), vec.Float8)
}

// resolveContinuous is an interpolating percentile of argument x at the fraction in
// argument p, or at a half if p is -1.
func resolveContinuous(args []vec.Type, x, p int) *Spec {
	t := append([]vec.Type{}, args...)
	switch {
	case t[x].Kind == vec.Interval && !t[x].Array:
	case fits(t[x], vec.Float8):
		t[x] = vec.T(vec.Float8)
	default:
		return nil
	}
	result := t[x]
	if p >= 0 {
		if !fractionFits(args[p]) {
			return nil
		}
		t[p] = vec.Type{Kind: vec.Float8, Array: args[p].Array}
		result.Array = args[p].Array
	}
	spec := collector(t, result, x, x, nil)
	create := spec.create
	spec.create = func(order []OrderKey) State {
		s := create(order).(*collect)
		s.rows.single = p
		if s.fractions, s.finish = result.Kind != vec.Interval, finishFractions(x, p); !s.fractions {
			s.finish = finishIntervals(x, p)
		}
		return s
	}
	return spec
}

// finishIntervals gives interpolating percentiles of intervals, in order.
func finishIntervals(x, p int) finisher {
	return func(_ *expr.Context, out *vec.Builder, cols []*vec.Vector, rows []uint32, _ bool) error {
		v := cols[x].Ivl
		var failed error
		one := func(to *vec.Builder, p float64) {
			lo, hi, frac := placeOf(p, len(rows))
			x, err := between(v[rows[lo]], v[rows[hi]], frac)
			if err != nil {
				failed = err
			}
			to.V.Ivl = append(to.V.Ivl, x)
		}
		if p < 0 {
			one(out, 0.5)
			return failed
		}
		return cmp.Or(eachFraction(out, cols[p], int(rows[0]), one), failed)
	}
}

// finishFractions gives interpolating percentiles of numbers, of one state.
func finishFractions(x, p int) finisher {
	var room []float64 // used again from group to group
	return func(_ *expr.Context, out *vec.Builder, cols []*vec.Vector, rows []uint32, desc bool) error {
		values := newRanks(room, len(rows), desc)
		room = values.v
		for _, r := range rows {
			values.add(cols[x].F64[r : r+1])
		}
		return values.fractions(out, cols[p], firstOf(cols[x].F64, rows, desc))
	}
}

// fractions appends the values at the fraction in row of v, which is a half if v is nil.
func (r *ranks) fractions(out *vec.Builder, v *vec.Vector, row int) error {
	one := func(to *vec.Builder, p float64) {
		lo, hi, frac := placeOf(p, len(r.v))
		x := r.nth(lo)
		if hi != lo && frac != 0 {
			x += (r.nth(hi) - x) * frac
		}
		to.V.F64 = append(to.V.F64, x)
	}
	if v == nil {
		one(out, 0.5)
		return nil
	}
	return eachFraction(out, v, row, one)
}

// placeOf is the places between which the value at a fraction of n lies, and how far from the first.
func placeOf(p float64, n int) (lo, hi int, frac float64) {
	at := p * float64(n-1)
	lo, hi = int(math.Floor(at)), int(math.Ceil(at))
	return lo, hi, at - float64(lo)
}

// Joins implements Joint: percentiles at one fraction can be finished so.
func (s *collect) Joins(with []State) bool {
	if !s.fractions || s.rows.single >= 0 && s.rows.value == nil {
		return false
	}
	for _, st := range with {
		o := st.(*collect)
		if s.rows.single >= 0 && len(o.rows.groups) > 0 && (o.rows.value == nil || !vec.Equal(s.rows.value, 0, o.rows.value, 0)) {
			return false
		}
	}
	return true
}

// Arrange implements Joint.
func (s *collect) Arrange() {
	s.starts = s.countGroups()
	s.values = grow(s.values[:0], len(s.rows.groups))
	at, of := slices.Clone(s.starts), s.rows.cols[s.sortBy].V.F64
	for r, g := range s.rows.groups {
		s.values[at[g]] = of[r]
		at[g]++
	}
}

// FinishJointly implements Joint.
func (s *collect) FinishJointly(states []State, of [][]uint32, lo, hi int) (*vec.Vector, error) {
	out := vec.NewBuilder(s.result)
	desc := len(s.order) > 0 && s.order[0].Desc
	var parts [][]float64
	var room []float64
	for g := lo; g < hi; g++ {
		n := 0
		parts = parts[:0]
		for i, st := range states {
			if at := of[i][g]; at != NoGroup {
				o := st.(*collect)
				parts = append(parts, o.values[o.starts[at]:o.starts[at+1]])
				n += len(parts[len(parts)-1])
			}
		}
		if n == 0 {
			out.AppendNull()
			continue
		}
		values := newRanks(room, n, desc)
		room = values.v
		for _, p := range parts {
			values.add(p)
		}
		if err := values.fractions(out, s.rows.value, 0); err != nil {
			return nil, err
		}
	}
	return out.V, nil
}

// between is the interval at a fraction of the way.
func between(a, b vec.IntervalValue, frac float64) (vec.IntervalValue, error) {
	part := func(a, b float64) float64 { return (b - a) * frac }
	d, err := expr.SpreadInterval(part(float64(a.Months), float64(b.Months)), part(float64(a.Days), float64(b.Days)), part(float64(a.Micros), float64(b.Micros)))
	if err != nil {
		return a, err
	}
	return expr.AddIntervals(a, d)
}

// eachFraction calls do for the fraction, or for each of an array of them.
func eachFraction(out *vec.Builder, v *vec.Vector, row int, do func(*vec.Builder, float64)) error {
	check := func(p float64) error {
		if !(p >= 0 && p <= 1) {
			return pgerr.New(pgerr.NumericOutOfRange, "percentile value %g is not between 0 and 1", p)
		}
		return nil
	}
	if v.IsNull(row) {
		out.AppendNull()
		return nil
	}
	v, row = v.At(row)
	if !v.Type.Array {
		p := v.F64[row]
		if err := check(p); err != nil {
			return err
		}
		do(out, p)
		return nil
	}
	if out.V.Elem == nil {
		out.V.Elem = &vec.Vector{Type: out.V.Type.Elem()}
	}
	if len(out.V.Offs) == 0 {
		out.V.Offs = append(out.V.Offs, 0)
	}
	elems := &vec.Builder{V: out.V.Elem}
	for j := v.Offs[row]; j < v.Offs[row+1]; j++ {
		if v.Elem.IsNull(int(j)) {
			elems.AppendNull()
			continue
		}
		p := v.Elem.F64[j]
		if err := check(p); err != nil {
			return err
		}
		do(elems, p)
	}
	out.V.Offs = append(out.V.Offs, uint32(out.V.Elem.Len()))
	return nil
}
