package exec

import (
	"slices"
	"sort"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/vec"
)

// histogram is the values of a column as a sample shows them: bounds between which there are about
// as many rows each, and the values that many rows have.
type histogram struct {
	bounds *vec.Vector // ascending; the first is the least value, the last the greatest
	common *vec.Vector // ascending: values that fill half a bucket or more
	shares []float64   // of each of common, among all rows
	nulls  float64     // share of rows
	other  float64     // share of rows for each of the values that are not common
}

// buckets is how many a histogram has.
const buckets = 64

// newHistogram makes one of values in any order, of which a table has so many different ones; nil
// if there are none.
func newHistogram(values *vec.Vector, distinct float64) *histogram {
	var rows []int
	for i := range values.Len() {
		if !values.IsNull(i) {
			rows = append(rows, i)
		}
	}
	n, all := len(rows), float64(values.Len())
	if n == 0 {
		return nil
	}
	slices.SortFunc(rows, func(a, b int) int { return vec.Compare(values, a, values, b) })
	bounds, common := vec.NewBuilder(values.Type), vec.NewBuilder(values.Type)
	for i := range buckets + 1 {
		bounds.AppendFrom(values, rows[i*(n-1)/buckets])
	}
	h := &histogram{bounds: bounds.V, nulls: 1 - float64(n)/all}
	rest := float64(n) / all
	for i := 0; i < n; {
		end := i + 1
		for end < n && vec.Compare(values, rows[i], values, rows[end]) == 0 {
			end++
		}
		if same := end - i; same > 1 && same >= n/(2*buckets) {
			common.AppendFrom(values, rows[i])
			h.shares = append(h.shares, float64(same)/all)
			rest -= float64(same) / all
		}
		i = end
	}
	h.common = common.V
	h.other = rest / max(1, distinct-float64(len(h.shares)))
	return h
}

// equal is the share of rows that have the value.
func (h *histogram) equal(v *vec.Vector) float64 {
	i := sort.Search(len(h.shares), func(i int) bool { return vec.Compare(h.common, i, v, 0) >= 0 })
	if i < len(h.shares) && vec.Compare(h.common, i, v, 0) == 0 {
		return h.shares[i]
	}
	return h.other
}

// below is the share of the rows with a value whose value is less, or equal if that counts, too.
func (h *histogram) below(v *vec.Vector, equal bool) float64 {
	n := buckets + 1
	first := sort.Search(n, func(i int) bool { return vec.Compare(h.bounds, i, v, 0) >= 0 })
	past := first + sort.Search(n-first, func(i int) bool { return vec.Compare(h.bounds, first+i, v, 0) > 0 })
	at := float64(first)
	switch {
	case first == past && first > 0 && first < n: // within a bucket
		at = float64(first-1) + h.within(first-1, v)
	case equal && past > first:
		at = float64(past - 1)
	}
	return min(1, at/buckets)
}

// within is which part of a bucket is below a value in it.
func (h *histogram) within(bucket int, v *vec.Vector) float64 {
	var low, high, x float64
	switch h.bounds.Type.Payload() {
	case vec.PayloadI64:
		low, high, x = float64(h.bounds.I64[bucket]), float64(h.bounds.I64[bucket+1]), float64(v.I64[0])
	case vec.PayloadF64:
		low, high, x = h.bounds.F64[bucket], h.bounds.F64[bucket+1], v.F64[0]
	}
	if high > low && x >= low && x <= high {
		return (x - low) / (high - low)
	}
	return 0.5
}

// histogram is that of a column of the scan; nil if nothing is known of it.
func (x *sample) histogram(env *Env, column int) *histogram {
	if h, ok := x.histograms[column]; ok {
		return h
	}
	var h *histogram
	if t := x.scan.Columns[column].Type; !t.Array && t.Kind != vec.JSONB && x.load(env, column) {
		values := vec.NewBuilder(t)
		for _, b := range x.chosen {
			for _, r := range b.Sel {
				values.AppendFrom(b.Cols[column], int(r))
			}
		}
		h = newHistogram(values.V, x.distinct(env, column))
	}
	if x.histograms == nil {
		x.histograms = map[int]*histogram{}
	}
	x.histograms[column] = h
	return h
}

// estimate is what part of the rows a condition lets pass, by histograms, and by the sample where
// these say nothing of a part of it. Parts count as independent of each other, but for the ends of
// one column's range.
func (x *sample) estimate(env *Env, cond expr.Expr) float64 {
	type ends struct {
		column    int
		low, high float64
	}
	var ranges []ends
	share := 1.0
	for _, c := range plan.Conjuncts(cond) {
		column, op, value, ok := plan.Comparison(c)
		if !ok || op == "=" {
			share *= x.one(env, c)
			continue
		}
		h, v := x.histogram(env, column), constant(env, value)
		if h == nil || v == nil {
			share *= plan.OtherShare
			continue
		}
		at := slices.IndexFunc(ranges, func(r ends) bool { return r.column == column })
		if at < 0 {
			at, ranges = len(ranges), append(ranges, ends{column, 0, 1})
			share *= 1 - h.nulls
		}
		r := &ranges[at]
		if op == "<" || op == "<=" {
			r.high = min(r.high, h.below(v, op == "<="))
		} else {
			r.low = max(r.low, h.below(v, op == ">"))
		}
	}
	for _, r := range ranges {
		share *= max(0, r.high-r.low)
	}
	return share
}

// one is the share of rows that a condition lets pass that is no range.
func (x *sample) one(env *Env, cond expr.Expr) float64 {
	switch e := cond.(type) {
	case *expr.InList:
		c, ok := e.E.(*expr.Column)
		if !ok || e.Not || !constants(e.List) {
			break
		}
		h := x.histogram(env, c.Index)
		share := 0.0
		for _, item := range e.List {
			v := constant(env, item)
			if h == nil || v == nil || v.Type.Kind != c.T.Kind {
				share += plan.EqualShare
			} else {
				share += h.equal(v)
			}
		}
		return min(1, share)
	case *expr.Call:
		column, op, value, ok := plan.Comparison(e)
		if ok && op == "=" {
			h, v := x.histogram(env, column), constant(env, value)
			if h == nil || v == nil {
				return plan.EqualShare
			}
			return h.equal(v)
		}
	}
	if passed, all, ok := x.count(env, cond); ok {
		return (passed + 0.5) / (all + 0.5)
	}
	return plan.OtherShare
}

func constants(list []expr.Expr) bool {
	return !slices.ContainsFunc(list, func(e expr.Expr) bool { return !expr.IsConstant(e) })
}

// constant is the value of a constant expression; nil for NULL and for one that is not known yet.
func constant(env *Env, e expr.Expr) *vec.Vector {
	v, err := e.Eval(env.Expr, &vec.Batch{Rows: 1})
	if err != nil || v.IsNull(0) {
		return nil
	}
	return v.Flatten(1)
}
