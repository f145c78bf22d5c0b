package exec

import (
	"context"
	"slices"
)

// valueRows is the times of an actor's rows that carry a value, by step.
type valueRows struct {
	value uint32
	steps [][]int64
}

// byValue counts an actor whose rows have several values, who does so many steps at most: once for each
// value, by the rows that carry it.
func (l *latestEntries) byValue(ctx context.Context, a, most int) error {
	l.carried = l.carried[:0]
	for step := range most {
		for i := range l.spans[step] {
			sp := &l.spans[step][i]
			if r := sp.runs[a]; r > 0 {
				l.carry(step, sp, int(r-1))
			}
			for _, m := range sp.movedTo(l.base + uint32(a)) {
				l.carry(step, sp, int(m.run))
			}
		}
		if err := l.worked(ctx, 0); err != nil {
			return err
		}
	}
	l.best = l.best[:0]
	for i := range l.carried {
		c := &l.carried[i]
		l.slots[c.value] = 0
		for step, times := range c.steps {
			if l.work += len(times); !slices.IsSorted(times) {
				slices.Sort(times)
			}
			l.steps[step] = times
		}
		l.propose(c.value, l.simple)
		if err := l.worked(ctx, 0); err != nil {
			return err
		}
	}
	for i := range l.best {
		l.add(&l.best[i])
	}
	return l.err
}

// carry sorts the rows of a run that match by the values they carry, if those are some of the first step.
func (l *latestEntries) carry(step int, sp *stepSpan, run int) {
	from, to := int(sp.s.runs.Starts[run]), int(sp.s.runs.Starts[run+1])
	l.work += to - from
	for from < to {
		times := l.times(sp, from, to)
		value, n := sp.alike(from-sp.s.rng.Lo, len(times))
		if list := l.carriedBy(step, value); list != nil {
			room := cap(*list)
			if sp.s.match == nil {
				*list = append(*list, times[:n]...)
			} else {
				for i, t := range times[:n] {
					if sp.counts(from + i) {
						*list = append(*list, t)
					}
				}
			}
			l.grown += 8 * int64(cap(*list)-room)
		}
		from += n
	}
}

// carriedBy is the rows of a step that carry a value; nil if none of the first step does.
func (l *latestEntries) carriedBy(step int, value uint32) *[]int64 {
	slot := l.slots[value]
	if slot == 0 {
		if step > 0 {
			return nil
		}
		n := len(l.carried)
		l.carried = slices.Grow(l.carried, 1)[:n+1] // with the lists of an earlier actor
		c := &l.carried[n]
		if c.value = value; c.steps == nil {
			c.steps = make([][]int64, len(l.steps))
		}
		for i := range c.steps {
			c.steps[i] = c.steps[i][:0]
		}
		slot = uint32(n + 1)
		l.slots[value] = slot
	}
	return &l.carried[slot-1].steps[step]
}

// alike is the value of the row at a place in the range, and how many of n rows from there on have it.
func (sp *stepSpan) alike(place, n int) (uint32, int) {
	s := sp.s
	if s.vals == nil {
		sp.stretch = s.stretches.find(sp.stretch, uint32(place))
		return s.stretches.of[sp.stretch], min(n, int(s.stretches.ends[sp.stretch])-place)
	}
	vals := s.vals[place : place+n]
	for i, v := range vals {
		if v != vals[0] {
			return vals[0], i
		}
	}
	return vals[0], n
}
