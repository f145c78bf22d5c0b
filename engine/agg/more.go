package agg

import (
	"cmp"
	"math"
	"slices"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/storage/vec"
)

// ofFloats defines an aggregate of numbers as doubles, none of which is NULL.
func ofFloats(name string, value func(x []float64) (float64, bool)) {
	registry[name] = func(args []vec.Type) *Spec {
		if len(args) != 1 || !fits(args[0], vec.Float8) {
			return nil
		}
		t := vec.T(vec.Float8)
		return collector([]vec.Type{t}, t, 0, -1, func(_ *expr.Context, out *vec.Builder, cols []*vec.Vector, rows []uint32, _ bool) error {
			x := make([]float64, len(rows))
			for i, r := range rows {
				x[i] = cols[0].F64[r]
			}
			if v, ok := value(x); ok {
				out.V.F64 = append(out.V.F64, v)
			} else {
				out.AppendNull()
			}
			return nil
		})
	}
}

// centred is the mean of numbers and their central moments, by n.
func centred(x []float64) (m2, m3, m4 float64) {
	n := float64(len(x))
	mean := 0.0
	for _, v := range x {
		mean += v / n
	}
	for _, v := range x {
		d := v - mean
		m2 += d * d / n
		m3 += d * d * d / n
		m4 += d * d * d * d / n
	}
	return m2, m3, m4
}

// counted is the distinct values of rows and how often each is there, in order of first
// appearance. Each is given by one of its rows.
func counted(v *vec.Vector, rows []uint32) (first []uint32, times []int64) {
	at := map[string]int{}
	var key []byte
	for _, r := range rows {
		key = vec.AppendKey(key[:0], v, int(r))
		i, ok := at[string(key)]
		if !ok {
			i = len(first)
			at[string(key)] = i
			first, times = append(first, r), append(times, 0)
		}
		times[i]++
	}
	return first, times
}

// byTimes is positions in first, the most frequent first, and values in order among equals.
func byTimes(v *vec.Vector, first []uint32, times []int64) []int {
	order := make([]int, len(first))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(times[b], times[a]), vec.Compare(v, int(first[a]), v, int(first[b])))
	})
	return order
}

func init() {
	ofFloats("product", func(x []float64) (float64, bool) {
		p := 1.0
		for _, v := range x {
			p *= v
		}
		return p, true
	})
	ofFloats("geomean", func(x []float64) (float64, bool) {
		sum := 0.0
		for _, v := range x {
			if v < 0 {
				return 0, false
			}
			sum += math.Log(v) / float64(len(x))
		}
		return math.Exp(sum), true
	})
	// As in statistics of samples: corrected for their size.
	ofFloats("skewness", func(x []float64) (float64, bool) {
		n := float64(len(x))
		m2, m3, _ := centred(x)
		if n < 3 || m2 == 0 {
			return 0, false
		}
		return math.Sqrt(n*(n-1)) / (n - 2) * m3 / math.Pow(m2, 1.5), true
	})
	ofFloats("kurtosis", func(x []float64) (float64, bool) {
		n := float64(len(x))
		m2, _, m4 := centred(x)
		if n < 4 || m2 == 0 {
			return 0, false
		}
		return (n - 1) / ((n - 2) * (n - 3)) * ((n+1)*(m4/(m2*m2)-3) + 6), true
	})
	registry["entropy"] = func(args []vec.Type) *Spec {
		if len(args) != 1 {
			return nil
		}
		return collector(known(args), vec.T(vec.Float8), 0, -1, func(_ *expr.Context, out *vec.Builder, cols []*vec.Vector, rows []uint32, _ bool) error {
			_, times := counted(cols[0], rows)
			bits := 0.0
			for _, n := range times {
				p := float64(n) / float64(len(rows))
				bits -= p * math.Log2(p)
			}
			out.V.F64 = append(out.V.F64, bits+0) // no -0
			return nil
		})
	}
	// histogram is how often each value is there: a jsonb object.
	registry["histogram"] = func(args []vec.Type) *Spec {
		if len(args) != 1 {
			return nil
		}
		return collector(known(args), vec.T(vec.JSONB), 0, -1, func(ctx *expr.Context, out *vec.Builder, cols []*vec.Vector, rows []uint32, _ bool) error {
			found, times := counted(cols[0], rows)
			keys := vec.NewBuilder(cols[0].Type)
			for _, r := range found {
				keys.AppendFrom(cols[0], int(r))
			}
			return finishObject(ctx, out, []*vec.Vector{keys.V, ints(times)}, first(len(times)), false)
		})
	}
	// approx_top_k is the k most frequent values. It counts them all, so it is exact.
	registry["approx_top_k"] = func(args []vec.Type) *Spec {
		if len(args) != 2 || !args[0].HasArray() || !fits(args[1], vec.Int8) {
			return nil
		}
		t := []vec.Type{known(args)[0], vec.T(vec.Int8)}
		return collector(t, vec.ArrayOf(t[0].Kind), 0, -1, func(_ *expr.Context, out *vec.Builder, cols []*vec.Vector, rows []uint32, _ bool) error {
			if cols[1].IsNull(int(rows[0])) {
				return pgerr.New(pgerr.InvalidParameterValue, "approx_top_k: the number of values must not be NULL")
			}
			k := cols[1].I64[rows[0]]
			if k <= 0 {
				return pgerr.New(pgerr.InvalidParameterValue, "approx_top_k: the number of values must be positive")
			}
			found, times := counted(cols[0], rows)
			var list []uint32
			for _, i := range byTimes(cols[0], found, times) {
				if int64(len(list)) == k {
					break
				}
				list = append(list, found[i])
			}
			return finishArray(nil, out, cols[:1], list, false)
		})
	}
}
