package exec

import (
	"cmp"
	"sort"

	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/vec"
)

// rankValues sorts values by a count, the largest first, and equal ones by value.
func rankValues[N cmp.Ordered](ids []uint32, count func(uint32) N, values *values32) {
	cols := values.groups.values()
	sort.SliceStable(ids, func(i, j int) bool {
		a, b := ids[i], ids[j]
		if x, y := count(a), count(b); x != y {
			return x > y
		}
		for _, c := range cols {
			if d := compareKey(c, int(a), int(b), false, false); d != 0 {
				return d < 0
			}
		}
		return false
	})
}

// breakdownColumns is the columns of the breakdown for the given values: one row each. A
// value beyond those that are numbered is the rest.
func breakdownColumns(by *plan.Breakdown, values *values32, ids []uint32) []*vec.Vector {
	if by == nil {
		return nil
	}
	return columnsOfValues(by, values.groups.values(), values.count(), ids)
}

// columnsOfValues is breakdownColumns of the values of so many numbers. Several goroutines may call it.
func columnsOfValues(by *plan.Breakdown, values []*vec.Vector, count int, ids []uint32) []*vec.Vector {
	out := make([]*vec.Vector, 0, len(by.Exprs)+1)
	for _, c := range values {
		b := vec.NewBuilder(c.Type)
		for _, id := range ids {
			if int(id) >= count {
				b.AppendNull()
			} else {
				b.AppendFrom(c, int(id))
			}
		}
		out = append(out, b.V)
	}
	if by.WithOther {
		other := &vec.Vector{Type: vec.T(vec.Bool)}
		for _, id := range ids {
			other.Bools = append(other.Bools, int(id) >= count)
		}
		out = append(out, other)
	}
	return out
}
