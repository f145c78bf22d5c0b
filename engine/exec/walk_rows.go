package exec

import "math/bits"

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

// eachBit calls f with the positions of the bits of w, the greatest first.
func eachBit(w uint64, f func(bit int)) {
	for w != 0 {
		b := bits.Len64(w) - 1
		w &^= 1 << b
		f(b)
	}
}
