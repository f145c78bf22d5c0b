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

// sampledFrom is how many values are worth a sample to choose the pivot from.
const sampledFrom = 600

// Place puts the n-th value where sorting would, by quickselect (Hoare, 1961): of the values from lo to hi, those before
// it are no greater, and those after it no less. The pivot of many values is the one that a sample has near the n-th
// (Floyd and Rivest, 1975), so that little more than half of them are looked at twice.
func Place[T int64 | float64](v []T, n, lo, hi int) {
	random := uint64(len(v)) // no order of values makes all pivots bad ones
	next := func() int {
		random = random*6364136223846793005 + 1442695040888963407
		return lo + int((random>>33)%uint64(hi-lo+1))
	}
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
		var pivot T
		if hi-lo < sampledFrom {
			pivot = v[next()]
		} else {
			from, to := sample(n, lo, hi)
			for i := from; i <= to; i++ {
				k := next()
				v[i], v[k] = v[k], v[i]
			}
			Place(v, n, from, to)
			pivot = v[n]
		}
		i, j := partition(v, lo, hi, pivot)
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

// sample is where a sample of the values from lo to hi goes, around n: its n-th value is likely a little beyond the n-th
// of all, seen from their middle, which leaves the fewest values to look at again.
func sample(n, lo, hi int) (from, to int) {
	size, before := float64(hi-lo+1), float64(n-lo+1)
	z := math.Log(size)
	s := math.Exp(2*z/3) / 2
	beyond := math.Sqrt(z*s*(size-s)/size) / 2
	if before < size/2 {
		beyond = -beyond
	}
	from = max(lo, int(float64(n)-before*s/size+beyond))
	to = min(hi, int(float64(n)+(size-before)*s/size+beyond))
	return min(from, n), max(to, n)
}

// partitionBlock is how many values are compared before any is moved.
const partitionBlock = 64

// partition moves values from lo to hi, among which the pivot is, until those before i are no greater than it, those
// after j no less, and few are between. What a comparison says decides no jump, which nobody could predict: it is
// counted, and the misplaced ones of a block are exchanged thereafter (Edelkamp and Weiss, 2016).
func partition[T int64 | float64](v []T, lo, hi int, pivot T) (i, j int) {
	var left, right [partitionBlock]uint8
	i, j = lo, hi
	var nl, nr, fl, fr int // how many of the blocks at both ends are misplaced, and which is the first
	for j-i+1 >= 2*partitionBlock {
		if nl == fl {
			nl, fl = 0, 0
			for k, x := range v[i : i+partitionBlock] {
				left[nl&(partitionBlock-1)] = uint8(k)
				if x >= pivot {
					nl++
				}
			}
		}
		if nr == fr {
			nr, fr = 0, 0
			for k, x := range v[j+1-partitionBlock : j+1] {
				right[nr&(partitionBlock-1)] = uint8(k)
				if x <= pivot {
					nr++
				}
			}
		}
		for n := min(nl-fl, nr-fr); n > 0; n-- {
			a, b := i+int(left[fl]), j+1-partitionBlock+int(right[fr])
			v[a], v[b] = v[b], v[a]
			fl, fr = fl+1, fr+1
		}
		if nl == fl {
			i += partitionBlock
		}
		if nr == fr {
			j -= partitionBlock
		}
	}
	return i, j
}
