package exec

import (
	"math"
	"math/bits"
)

// condSet says which of an operator's conditions a row satisfies.
type condSet [3]uint64

// maxConds is how many conditions an operator may have: the steps of a funnel, its
// exclusions, and what first rows are looked for by.
const maxConds = 3 * 64

func (s *condSet) set(i int)      { s[i>>6] |= 1 << (i & 63) }
func (s *condSet) unset(i int)    { s[i>>6] &^= 1 << (i & 63) }
func (s *condSet) has(i int) bool { return s[i>>6]>>(i&63)&1 != 0 }
func (s *condSet) none() bool     { return s[0]|s[1]|s[2] == 0 }

// slice is the conditions [from, from+n), n at most 64, as the bits of a word.
func (s *condSet) slice(from, n int) uint64 {
	w := s[from>>6] >> (from & 63)
	if from&63 != 0 && from>>6+1 < len(s) {
		w |= s[from>>6+1] << (64 - from&63)
	}
	return w & (^uint64(0) >> (64 - n))
}

// actorRow is one row of an actor, with the conditions it satisfies.
type actorRow struct {
	time  int64
	ref   rowRef
	in    condSet
	value uint32 // breakdown value
}

// rowMerge makes one list of those that hold an actor's rows by condition: every row once,
// in order. It may be used by one goroutine.
type rowMerge struct {
	actors actors
	sparse bool // rows that are in no list but need.whole may be left out as actors.marked says
	at     [maxConds]int
	left   []listRows
}

// rows appends the rows of actor i of a block with from <= time < to that are in any of the
// first so many lists.
func (m *rowMerge) rows(dst []actorRow, b *block, i, lists int, from, to int64) ([]actorRow, error) {
	dst, ok := m.actors.marked(dst, b, i, from, to, m.sparse)
	if ok {
		return dst, nil
	}
	conds := b.conds[:lists]
	for l := range conds {
		m.at[l] = skipTo(conds[l].of(i), 0, from)
	}
	for {
		first, time, ref := -1, to, rowRef{}
		for l := range conds {
			c := &conds[l]
			at := int(c.off[i]) + m.at[l]
			if at == int(c.off[i+1]) || c.times[at] > time || c.times[at] == time && first < 0 {
				continue
			}
			if r := c.refs[at]; c.times[at] == time {
				if r == ref {
					continue
				}
				order, err := m.actors.before(ref, r)
				if err != nil {
					return nil, err
				}
				if order <= 0 {
					continue
				}
			}
			first, time, ref = l, c.times[at], c.refs[at]
		}
		if first < 0 {
			return dst, nil
		}
		row := actorRow{time: time, ref: ref}
		if c := &conds[first]; c.vals != nil {
			row.value = c.vals[int(c.off[i])+m.at[first]]
		}
		for l := range conds {
			c := &conds[l]
			if at := int(c.off[i]) + m.at[l]; at < int(c.off[i+1]) && c.times[at] == time && c.refs[at] == ref {
				row.in.set(l)
				m.at[l]++
			}
		}
		dst = append(dst, row)
	}
}

// listRow is one row of an actor that is in one list only.
type listRow struct {
	time        int64
	list, value uint32
}

// listRows is what is left of a list to be merged.
type listRows struct {
	times []int64
	c     *csr
	end   int // position in c behind the last of times
}

func (l *listRows) at() int { return l.end - len(l.times) }

// apart is rows for lists that share no row.
func (m *rowMerge) apart(dst []listRow, b *block, i, lists int, from, to int64) ([]listRow, error) {
	m.left = m.left[:0]
	for l := range lists {
		c := &b.conds[l]
		times := c.of(i)
		hi := skipTo(times, 0, to)
		lo := skipTo(times[:hi], 0, from)
		m.left = append(m.left, listRows{times[lo:hi], c, int(c.off[i]) + hi})
	}
	left := m.left
	for {
		first, time := -1, int64(math.MaxInt64)
		for l := range left {
			if len(left[l].times) == 0 || left[l].times[0] > time {
				continue
			}
			if t := left[l].times[0]; t == time && first >= 0 {
				order, err := m.actors.before(left[first].c.refs[left[first].at()], left[l].c.refs[left[l].at()])
				if err != nil {
					return nil, err
				}
				if order <= 0 {
					continue
				}
			}
			first, time = l, left[l].times[0]
		}
		if first < 0 {
			return dst, nil
		}
		l := &left[first]
		row := listRow{time: time, list: uint32(first)}
		if l.c.vals != nil {
			row.value = l.c.vals[l.at()]
		}
		l.times = l.times[1:]
		dst = append(dst, row)
	}
}

// eachBit calls f with the positions of the bits of w, the greatest first.
func eachBit(w uint64, f func(bit int)) {
	for w != 0 {
		b := bits.Len64(w) - 1
		w &^= 1 << b
		f(b)
	}
}
