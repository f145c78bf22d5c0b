package agg

import (
	"math"

	"github.com/prickledb/prickle/storage/vec"
)

// ranks gives values by their places in the order of all, without sorting them all. NaN comes
// after all others, and with desc everything the other way round.
type ranks struct {
	v       []float64
	numbers int // of them are not NaN: those come first
	last    int // place of the first NaN
	desc    bool
	placed  int // the place that is right: none before it is greater, and none after it less; -1: none
}

// newRanks has room for n values, in memory that is used again if there is enough.
func newRanks(room []float64, n int, desc bool) ranks {
	return ranks{v: grow(room[:0], n), last: n, desc: desc, placed: -1}
}

// add adds values. All are added before any is asked for.
func (r *ranks) add(values []float64) {
	for _, x := range values {
		if x != x {
			r.last--
			r.v[r.last] = x
			continue
		}
		r.v[r.numbers] = x
		r.numbers++
	}
}

// firstOf is that of the rows, which are not none, whose value comes first.
func firstOf(of []float64, rows []uint32, desc bool) int {
	first := rows[0]
	for _, row := range rows[1:] {
		if c := vec.CompareFloat(of[row], of[first]); c < 0 && !desc || c > 0 && desc {
			first = row
		}
	}
	return int(first)
}

// nth is the value that has n before it.
func (r *ranks) nth(n int) float64 {
	if r.desc {
		n = len(r.v) - 1 - n
	}
	if n >= r.numbers {
		return math.NaN()
	}
	lo, hi := 0, r.numbers-1
	switch {
	case r.placed < 0:
	case n > r.placed:
		lo = r.placed + 1
	case n < r.placed:
		hi = r.placed - 1
	default:
		return r.v[n]
	}
	Place(r.v, n, lo, hi)
	r.placed = n
	return r.v[n]
}

// Place puts the n-th value where sorting would, by quickselect (Hoare, 1961): of the values from lo to hi, those before
// it are no greater, and those after it no less.
func Place[T int64 | float64](v []T, n, lo, hi int) {
	random := uint64(len(v)) // no order of values makes all pivots bad ones
	for lo < hi {
		if n == lo {
			least := lo
			for i := lo + 1; i <= hi; i++ {
				if v[i] < v[least] {
					least = i
				}
			}
			v[lo], v[least] = v[least], v[lo]
			return
		}
		random = random*6364136223846793005 + 1442695040888963407
		pivot := v[lo+int((random>>33)%uint64(hi-lo+1))]
		i, j := lo, hi
		for i <= j {
			for v[i] < pivot {
				i++
			}
			for pivot < v[j] {
				j--
			}
			if i <= j {
				v[i], v[j] = v[j], v[i]
				i++
				j--
			}
		}
		switch {
		case n <= j:
			hi = j
		case n >= i:
			lo = i
		default:
			return
		}
	}
}
