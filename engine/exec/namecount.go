package exec

import (
	"context"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/storage/vec"
)

// nameCounts counts the rows and the persons of groups that are whole streams: their keys read nothing of
// a row but the event's name. So a group has no row of its own to look at, and there may be as many
// groups as there are names.
type nameCounts struct {
	streams []*stream
	sets    [][]bool // of streams, that are counted each
	// Streams by group: those of group g are of[first[g]:first[g+1]], as positions in streams.
	of, first []uint32
}

// nameCell is what the rows of a group add up to.
type nameCell struct{ rows, persons int64 }

// nameCounter is the counts of one goroutine.
type nameCounter struct {
	cells []nameCell // of each set in turn, by group
	seen  []uint32   // by person of an interval: the last mark
	mark  uint32
	times rowTimes
}

// countNames makes the answer of a count by the event's name, or of all rows.
func (c *runCount) countNames(ctx context.Context, ix *indexed, tallies []runTally) error {
	n := &nameCounts{streams: ix.streams[0]}
	sets, tallied := streamSets(tallies)
	n.sets = sets
	values, err := n.group(ctx, ix, c.node.Keys)
	if err != nil {
		return err
	}
	groups := values.count()
	parts := make([]nameCounter, c.env.Threads)
	size := ix.intervalSize()
	if err := c.hold(ctx, int64(len(parts))*int64(16*len(sets)*groups+4*size)); err != nil {
		return err
	}
	err = intervals(ctx, c.env, ix.total, size, func(ctx context.Context, w, lo, hi int) error {
		if parts[w].cells == nil {
			parts[w].cells = make([]nameCell, len(sets)*groups)
		}
		return n.count(ctx, ix, &parts[w], uint32(lo), uint32(hi))
	})
	if err != nil {
		return err
	}
	counts := make([][]int64, len(tallies))
	for i, t := range tallies {
		counts[i] = make([]int64, groups)
		for _, p := range parts {
			if p.cells == nil {
				continue
			}
			for g, cell := range p.cells[tallied[i]*groups:][:groups] {
				if t.persons {
					counts[i][g] += cell.persons
				} else {
					counts[i][g] += cell.rows
				}
			}
		}
	}
	return c.answerValues(ctx, values, counts)
}

// group numbers the keys of streams that have rows which count: those of others may fail. Without keys
// all streams are one group.
func (n *nameCounts) group(ctx context.Context, ix *indexed, keys []expr.Expr) (*values32, error) {
	values := newValues32(keys)
	groups := make([]uint32, len(n.streams))
	if values != nil {
		var times rowTimes
		for lo := 0; lo < len(n.streams); lo += vec.BatchRows {
			if err := yield(ctx); err != nil {
				return nil, err
			}
			part := n.streams[lo:min(lo+vec.BatchRows, len(n.streams))]
			names := vec.MakeStrings(len(part), 16*len(part))
			rows := make([]uint32, 0, len(part))
			for i, s := range part {
				names.Append([]byte(s.rng.Event))
				any, err := s.any(ix, &times)
				if err != nil {
					return nil, err
				}
				if any {
					rows = append(rows, uint32(i))
				}
			}
			if len(rows) == 0 {
				continue
			}
			b := &vec.Batch{Rows: len(part), Sel: rows, Cols: make([]*vec.Vector, len(ix.scan.Columns))}
			for i := range ix.scan.Columns {
				if isEventName(&ix.scan.Columns[i]) {
					b.Cols[i] = &vec.Vector{Type: vec.T(vec.Text), Str: names}
				}
			}
			cols, err := evalAll(ix.env.Expr, keys, b)
			if err != nil {
				return nil, err
			}
			numbers := make([]uint32, len(rows))
			values.assign(numbers, cols, rows)
			for i, r := range rows {
				groups[lo+int(r)] = numbers[i]
			}
		}
	}
	n.first = make([]uint32, values.count()+1)
	for _, g := range groups {
		n.first[g+1]++
	}
	for g := range n.first[1:] {
		n.first[g+1] += n.first[g]
	}
	n.of = make([]uint32, len(groups))
	next := append([]uint32(nil), n.first...)
	for i, g := range groups {
		n.of[next[g]] = uint32(i)
		next[g]++
	}
	return values, nil
}

// whole says whether all rows of the stream count, each for the person of its run.
func (s *stream) whole() bool { return s.match == nil && s.masks == nil && s.skip == nil }

// any says whether any row of the stream counts.
func (s *stream) any(ix *indexed, times *rowTimes) (bool, error) {
	if s.whole() {
		return true, nil
	}
	times.open(ix, s.seg, s.rng.Hi)
	some := func(run int) (bool, error) {
		rows, err := s.countRun(run, times)
		return rows > 0, err
	}
	for r := range s.runs.Ordinals {
		if s.skips(r) {
			continue
		}
		if any, err := some(r); any || err != nil {
			return any, err
		}
	}
	for _, m := range s.moved {
		if any, err := some(int(m.run)); any || err != nil {
			return any, err
		}
	}
	return false, nil
}

// count adds up the rows of the persons [lo, hi).
func (n *nameCounts) count(ctx context.Context, ix *indexed, p *nameCounter, lo, hi uint32) error {
	p.seen = grow(p.seen, int(hi-lo))
	clear(p.seen)
	p.mark = 0
	groups, rows := len(n.first)-1, 0
	for g := range groups {
		list := n.of[n.first[g]:n.first[g+1]]
		for k, set := range n.sets {
			cell := &p.cells[k*groups+g]
			p.mark++
			for _, i := range list {
				if set != nil && !set[i] {
					continue
				}
				added, err := p.add(ix, n.streams[i], cell, len(list) == 1, lo, hi)
				if err != nil {
					return err
				}
				if rows += added; rows > intervalRows {
					rows = 0
					if err := yield(ctx); err != nil {
						return err
					}
				}
			}
		}
	}
	return nil
}

// add counts the rows that a stream has of the persons [lo, hi), and those of them who are not marked:
// nobody is if the stream is alone. It gives how many runs there were.
func (p *nameCounter) add(ix *indexed, s *stream, cell *nameCell, alone bool, lo, hi uint32) (int, error) {
	from, to := placesOf(s.runs.Ordinals, lo, hi)
	moved := s.movedIn(lo, hi)
	if s.whole() {
		cell.rows += int64(s.runs.Starts[to] - s.runs.Starts[from])
		if alone {
			cell.persons += int64(to - from)
			return 0, nil
		}
		seen, persons, mark := p.seen, int64(0), p.mark
		for _, o := range s.runs.Ordinals[from:to] { // without a branch that nobody can foresee
			fresh := int64(0)
			if seen[o-lo] != mark {
				fresh = 1
			}
			seen[o-lo] = mark
			persons += fresh
		}
		cell.persons += persons
		return to - from, nil
	}
	p.times.open(ix, s.seg, int(s.runs.Starts[to]))
	count := func(run int, person uint32) error {
		rows, err := s.countRun(run, &p.times)
		if err != nil || rows == 0 {
			return err
		}
		cell.rows += int64(rows)
		if p.seen[person-lo] != p.mark {
			p.seen[person-lo] = p.mark
			cell.persons++
		}
		return nil
	}
	for r := from; r < to; r++ {
		if s.skips(r) {
			continue
		}
		if err := count(r, s.runs.Ordinals[r]); err != nil {
			return 0, err
		}
	}
	for _, m := range moved {
		p.times.open(ix, s.seg, int(s.runs.Starts[m.run+1]))
		if err := count(int(m.run), m.root); err != nil {
			return 0, err
		}
	}
	return to - from + len(moved), nil
}
