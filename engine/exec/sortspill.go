package exec

import (
	"context"

	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/vec"
)

// spill writes what has been gathered as a run, in order, and forgets it.
func (s *sorted) spill(ctx context.Context) error {
	if s.count == 0 {
		return nil
	}
	order, err := s.order(ctx)
	if err != nil {
		return err
	}
	run, err := s.spills.create()
	if err != nil {
		return err
	}
	s.runs = append(s.runs, run)
	cols := s.columns()
	step := s.env.blockRows(s.held, s.count)
	for lo := 0; lo < len(order); lo += step {
		if err := yield(ctx); err != nil {
			return err
		}
		if err := run.write(take(cols, order[lo:min(lo+step, len(order))])); err != nil {
			return err
		}
	}
	s.rows, s.count, s.parts = nil, 0, nil
	return s.hold(ctx)
}

// join takes over what another has gathered and written.
func (s *sorted) join(ctx context.Context, from *sorted) error {
	if err := s.spill(ctx); err != nil {
		return err
	}
	if err := from.spill(ctx); err != nil {
		return err
	}
	s.runs = append(s.runs, from.runs...)
	return nil
}

// fewerRuns merges each fanIn runs that follow each other into one.
func (s *sorted) fewerRuns(ctx context.Context) error {
	var out []*spillFile
	for lo := 0; lo < len(s.runs); lo += fanIn {
		runs := s.runs[lo:min(lo+fanIn, len(s.runs))]
		if len(runs) == 1 {
			out = append(out, runs[0])
			continue
		}
		m, err := s.mergeOf(ctx, runs)
		if err != nil {
			return err
		}
		run, err := s.spills.create()
		if err != nil {
			return err
		}
		out = append(out, run)
		for {
			b, err := m.next(ctx)
			if err != nil {
				return err
			}
			if b == nil {
				break
			}
			if err := run.write(b); err != nil {
				return err
			}
		}
	}
	s.runs = out
	return nil
}

// runMerge merges sorted runs. Of equal rows, those of an earlier run come first.
type runMerge struct {
	env   *Env
	keys  []plan.SortKey
	heap  []*runCursor // the least row is on top
	width int          // columns, sort keys included
	shown int          // how many of them are handed out
	skip  int64        // rows to leave out first
	left  int64        // rows that may come, those skipped included
	step  int          // rows of a batch
	held  int64
}

// runCursor is a run and the row of it that is next.
type runCursor struct {
	run   *spillFile
	place int // among the runs
	batch *vec.Batch
	bytes int64
	row   int
}

func (s *sorted) mergeOf(ctx context.Context, runs []*spillFile) (*runMerge, error) {
	m := &runMerge{env: s.env, keys: s.keys, left: s.keep}
	for i, run := range runs {
		c := &runCursor{run: run, place: i}
		if err := m.load(ctx, c); err != nil {
			return nil, err
		}
		if c.batch == nil {
			continue
		}
		m.width, m.step = len(c.batch.Cols), max(m.step, c.batch.Rows)
		m.heap = append(m.heap, c)
	}
	m.shown = m.width
	for i := len(m.heap)/2 - 1; i >= 0; i-- {
		m.sink(i)
	}
	return m, nil
}

// load reads a run's next batch. A run that is through is removed.
func (m *runMerge) load(ctx context.Context, c *runCursor) error {
	if err := yield(ctx); err != nil {
		return err
	}
	b, size, err := c.run.read()
	if err != nil {
		return err
	}
	c.batch, c.row = b, 0
	grown := size - c.bytes
	c.bytes = size
	m.held += grown
	if err := m.env.hold(ctx, grown); err != nil {
		return err
	}
	if b == nil {
		return c.run.done()
	}
	return nil
}

func (m *runMerge) less(a, b *runCursor) bool {
	for i, k := range m.keys {
		at := m.width - len(m.keys) + i
		if c := comparePlaces(a.batch.Cols[at], a.row, b.batch.Cols[at], b.row, k.Desc, k.NullsFirst); c != 0 {
			return c < 0
		}
	}
	return a.place < b.place
}

// sink puts the cursor at position i of the heap where it belongs.
func (m *runMerge) sink(i int) {
	for {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(m.heap); child++ {
			if m.less(m.heap[child], m.heap[least]) {
				least = child
			}
		}
		if least == i {
			return
		}
		m.heap[i], m.heap[least] = m.heap[least], m.heap[i]
		i = least
	}
}

// next is the next rows in order, or nil at the end.
func (m *runMerge) next(ctx context.Context) (*vec.Batch, error) {
	var out []*vec.Builder
	rows := 0
	for rows < m.step && m.left > 0 && len(m.heap) > 0 {
		c := m.heap[0]
		m.left--
		if m.skip > 0 {
			m.skip--
		} else {
			if out == nil {
				for _, v := range c.batch.Cols[:m.shown] {
					out = append(out, vec.NewBuilder(v.Type))
				}
			}
			for i, b := range out {
				b.AppendFrom(c.batch.Cols[i], c.row)
			}
			rows++
		}
		if c.row++; c.row == c.batch.Rows {
			if err := m.load(ctx, c); err != nil {
				return nil, err
			}
			if c.batch == nil {
				last := len(m.heap) - 1
				m.heap[0] = m.heap[last]
				m.heap = m.heap[:last]
			}
		}
		if len(m.heap) > 1 {
			m.sink(0)
		}
	}
	if rows == 0 {
		return nil, nil
	}
	b := &vec.Batch{Rows: rows}
	for _, v := range out {
		b.Cols = append(b.Cols, v.V)
	}
	return b, nil
}
