package exec

import (
	"context"
	"math"
	"slices"
	"sync"

	"github.com/prickledb/prickle/storage/vec"
)

// personCounts counts the rows of an interval of persons, of one goroutine.
type personCounts struct {
	rows    [][]uint32 // of each set of streams, by person of the interval
	into    [][]uint32 // those of the sets that a stream is in
	persons []uint32
	times   rowTimes
}

// findDays finds the days of which bounds let all rows pass, and none.
func (s *stream) findDays() {
	for d := range s.seg.Days() {
		begin := (int64(s.seg.FirstDay()) + int64(d)) * day
		end := begin + day - 1
		switch {
		case begin >= s.bounds.first && end <= s.bounds.last:
			s.inside |= 1 << d
		case begin > s.bounds.last || end < s.bounds.first:
			s.outside |= 1 << d
		}
	}
}

// countRun is how many rows of a run match. The times are open for the segment.
func (s *stream) countRun(run int, times *rowTimes) (int, error) {
	from, to := int(s.runs.Starts[run]), int(s.runs.Starts[run+1])
	if s.masks == nil {
		return s.countRows(from, to), nil
	}
	switch days := s.masks[run]; {
	case days&^s.outside == 0:
		return 0, nil
	case days&^s.inside == 0:
		return to - from, nil
	}
	n := 0
	for from < to {
		list, err := times.from(from)
		if err != nil {
			return 0, err
		}
		list = list[:min(len(list), to-from)]
		for _, t := range list {
			if t >= s.bounds.first && t <= s.bounds.last {
				n++
			}
		}
		from += len(list)
	}
	return n, nil
}

// add counts the rows of the persons [lo, hi). The first set is all streams.
func (p *personCounts) add(ix *indexed, sets [][]bool, lo, hi uint32) error {
	if p.rows == nil {
		p.rows = make([][]uint32, len(sets))
	}
	for k := range p.rows {
		p.rows[k] = grow(p.rows[k], int(hi-lo))
		clear(p.rows[k])
	}
	for i, s := range ix.streams[0] {
		p.into = p.into[:0]
		for k, set := range sets {
			if k == 0 || set[i] {
				p.into = append(p.into, p.rows[k])
			}
		}
		count := func(run int, actor uint32) error {
			n, err := s.countRun(run, &p.times)
			for _, rows := range p.into {
				rows[actor] += uint32(n)
			}
			return err
		}
		from, end := placesOf(s.runs.Ordinals, lo, hi)
		p.times.open(ix, s.seg, int(s.runs.Starts[end]))
		for r := from; r < end; r++ {
			if s.skips(r) {
				continue
			}
			if err := count(r, s.runs.Ordinals[r]-lo); err != nil {
				return err
			}
		}
		for _, m := range s.movedIn(lo, hi) {
			p.times.open(ix, s.seg, int(s.runs.Starts[m.run+1]))
			if err := count(int(m.run), m.root-lo); err != nil {
				return err
			}
		}
	}
	return nil
}

// countPersons makes a row for each person who has rows, as many as bounds let pass.
func (c *runCount) countPersons(ctx context.Context, ix *indexed, tallies []runTally) error {
	sets, of := streamSets(tallies)
	parts := make([]personCounts, c.env.Threads)
	var mu sync.Mutex
	return intervals(ctx, c.env, ix.total, min(ix.intervalSize(), vec.BatchRows), func(ctx context.Context, w, lo, hi int) error {
		if err := parts[w].add(ix, sets, uint32(lo), uint32(hi)); err != nil {
			return err
		}
		rows := parts[w].rows
		parts[w].persons = grow(parts[w].persons, hi-lo)
		persons, n := parts[w].persons, 0
		for actor, x := range rows[0] { // without a branch that nobody can foresee
			persons[n] = uint32(lo + actor)
			n += int(min(x, 1))
		}
		persons = persons[:n]
		if c.having != nil {
			if st := c.env.Stats.Node(c.node); st != nil {
				st.Rows.Add(int64(n))
			}
			for i, b := range c.bounds {
				persons = b.among(persons, uint32(lo), rows[of[i+1]], tallies[i+1].persons)
			}
		}
		if len(persons) == 0 {
			return nil
		}
		persons = slices.Clone(persons)
		b := &vec.Batch{Rows: len(persons), Cols: []*vec.Vector{ix.vector(persons)}}
		for i, t := range tallies[1:] {
			v, own := &vec.Vector{Type: vec.T(vec.Int8), I64: make([]int64, len(persons))}, rows[of[i+1]]
			for at, person := range persons {
				x := own[int(person)-lo]
				if t.persons {
					x = min(x, 1)
				}
				v.I64[at] = int64(x)
			}
			b.Cols = append(b.Cols, v)
		}
		mu.Lock()
		c.batches = append(c.batches, b)
		mu.Unlock()
		return c.hold(ctx, int64(4*cap(persons)+8*len(persons)*(len(tallies)-1)))
	})
}

// among is those of the persons, which are counted from base on, whose number of rows is within bounds.
// With once, it is 1 at most.
func (b *bounds) among(persons []uint32, base uint32, rows []uint32, once bool) []uint32 {
	first, span, ok := b.span()
	if !ok {
		return nil
	}
	most := uint32(math.MaxUint32)
	if once {
		most = 1
	}
	n := 0
	for _, p := range persons {
		persons[n] = p
		if min(rows[p-base], most)-first <= span {
			n++
		}
	}
	return persons[:n]
}
