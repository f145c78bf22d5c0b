package exec

import (
	"math"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/vec"
)

// bounds are the least and the greatest number, of those that are not negative, that conditions let
// pass. If first is beyond last, none does.
type bounds struct{ first, last int64 }

// takeBounds takes the conjuncts out of a condition that compare a column with a number, and narrows
// the bounds of that column by them. Columns without bounds are nil.
func takeBounds(cond expr.Expr, env *Env, of func(column int) *bounds) (rest []expr.Expr, err error) {
	for _, c := range conjuncts(cond) {
		column, op, bound, ok := plan.IntegerComparison(c)
		var b *bounds
		if ok {
			b = of(column)
		}
		if b == nil {
			rest = append(rest, c)
			continue
		}
		v, err := bound.Eval(env.Expr, &vec.Batch{Rows: 1})
		if err != nil {
			return nil, err
		}
		if v.IsNull(0) {
			b.last = -1 // it is true for no number
			continue
		}
		v, i := v.At(0)
		b.narrow(op, v.I64[i])
	}
	return rest, nil
}

// narrow takes in a comparison with x.
func (b *bounds) narrow(op string, x int64) {
	x = min(max(x, -1), math.MaxInt64-1) // as good as what is beyond
	switch op {
	case "=":
		b.first, b.last = max(b.first, x), min(b.last, x)
	case "<":
		b.last = min(b.last, x-1)
	case "<=":
		b.last = min(b.last, x)
	case ">":
		b.first = max(b.first, x+1)
	case ">=":
		b.first = max(b.first, x)
	}
}

// span is how the bounds are asked of 32-bit numbers x in one comparison: x-first <= span. It says
// false if none of them passes.
func (b *bounds) span() (first, span uint32, ok bool) {
	if b.first > b.last || b.first > math.MaxUint32 {
		return 0, 0, false
	}
	first = uint32(max(b.first, 0))
	return first, uint32(min(b.last, math.MaxUint32)) - first, b.last >= 0
}
