package exec

import (
	"cmp"
	"slices"
)

// history is the rows of one actor that satisfy one condition, by time: part of a csr.
type history struct {
	times []int64
	vals  []uint32 // breakdown values, or nil
	nums  []int64  // numbers, or nil
}

func historyOf(c *csr, i int) history {
	h := history{times: c.of(i)}
	if c.vals != nil {
		h.vals = c.valsOf(i)
	}
	if c.nums != nil {
		h.nums = c.numsOf(i)
	}
	return h
}

// within is the part of a history in [from, to).
func (h history) within(from, to int64) history {
	lo := skipTo(h.times, 0, from)
	hi := max(lo, skipTo(h.times, lo, to))
	out := history{times: h.times[lo:hi]}
	if h.vals != nil {
		out.vals = h.vals[lo:hi]
	}
	if h.nums != nil {
		out.nums = h.nums[lo:hi]
	}
	return out
}

// splitter divides histories by the values of their rows. It belongs to one goroutine.
type splitter struct {
	order []valueRow
	parts [2]history
}

// valueRow is a row of one of two histories.
type valueRow struct {
	val, row uint32
	second   bool
}

// each calls f with the parts of two histories that have the same value, for every value
// that occurs. The parts may be used until f returns.
func (s *splitter) each(a, b history, f func(value uint32, a, b history)) {
	s.order = s.order[:0]
	for i, v := range a.vals {
		s.order = append(s.order, valueRow{val: v, row: uint32(i)})
	}
	for i, v := range b.vals {
		s.order = append(s.order, valueRow{v, uint32(i), true})
	}
	// The sort is stable, so that the rows of a value stay in order.
	slices.SortStableFunc(s.order, func(x, y valueRow) int { return cmp.Compare(x.val, y.val) })
	for i := 0; i < len(s.order); {
		value := s.order[i].val
		for p := range s.parts {
			s.parts[p].times, s.parts[p].nums = s.parts[p].times[:0], s.parts[p].nums[:0]
		}
		for ; i < len(s.order) && s.order[i].val == value; i++ {
			from, to := &a, &s.parts[0]
			if s.order[i].second {
				from, to = &b, &s.parts[1]
			}
			to.times = append(to.times, from.times[s.order[i].row])
			if from.nums != nil {
				to.nums = append(to.nums, from.nums[s.order[i].row])
			}
		}
		first, second := s.parts[0], s.parts[1]
		if a.nums == nil {
			first.nums = nil
		}
		if b.nums == nil {
			second.nums = nil
		}
		f(value, first, second)
	}
}
