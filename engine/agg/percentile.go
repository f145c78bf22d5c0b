package agg

import (
	"math"

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
		s.unsorted, s.rows.single, s.finish = result.Kind != vec.Interval, p, finishContinuous(result.Kind, x, p)
		return s
	}
	return spec
}

// finishContinuous gives interpolating percentiles, of one state.
func finishContinuous(result vec.Kind, x, p int) finisher {
	var room []float64 // used again from group to group
	return func(_ *expr.Context, out *vec.Builder, cols []*vec.Vector, rows []uint32, desc bool) error {
		var values ranks
		first := int(rows[0])
		if result != vec.Interval {
			values = newRanks(room, cols[x].F64, rows, desc)
			room = values.v
			if p >= 0 && cols[p].Form != vec.Const {
				first = firstOf(cols[x].F64, rows, desc)
			}
		}
		one := func(to *vec.Builder, p float64) {
			pos := p * float64(len(rows)-1)
			lo := int(math.Floor(pos))
			hi := int(math.Ceil(pos))
			frac := pos - float64(lo)
			if result == vec.Interval {
				to.V.Ivl = append(to.V.Ivl, between(cols[x].Ivl[rows[lo]], cols[x].Ivl[rows[hi]], frac))
				return
			}
			v := values.nth(lo)
			if hi != lo && frac != 0 {
				v += (values.nth(hi) - v) * frac
			}
			to.V.F64 = append(to.V.F64, v)
		}
		if p < 0 {
			one(out, 0.5)
			return nil
		}
		return eachFraction(out, cols[p], first, one)
	}
}

// between is the interval at a fraction of the way.
func between(a, b vec.IntervalValue, frac float64) vec.IntervalValue {
	m := float64(a.Months) + (float64(b.Months)-float64(a.Months))*frac
	whole, rest := math.Modf(m)
	d := float64(a.Days) + (float64(b.Days)-float64(a.Days))*frac + rest*30
	days, rest := math.Modf(d)
	us := float64(a.Micros) + (float64(b.Micros)-float64(a.Micros))*frac + rest*86400e6
	return vec.IntervalValue{Months: int32(whole), Days: int32(days), Micros: int64(math.Round(us))}
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
