package exec

import (
	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/segment"
	"github.com/prickledb/prickle/storage/vec"
)

// jointStreams is streams of few rows that lie side by side: they are evaluated as one, since what is done once for
// each of them would take longer than their rows.
type jointStreams struct {
	ix      *indexed
	streams []*stream
	conds   []expr.Expr
}

// evaluate adds what is to be evaluated for every row of a list of streams, with what is left to decide in
// each of them and all conditions on rows.
func (ix *indexed) evaluate(list []*stream, rest [][]expr.Expr, conds []expr.Expr, add func(job func() error)) (done []func()) {
	most := ix.env.joinedRows(ix.scan, int(ix.rows))
	for at := 0; at < len(list); {
		s, n := list[at], 1
		for ; s.joins(ix, rest[at]) && at+n < len(list); n++ {
			last, next := list[at+n-1].rng, list[at+n]
			if next.seg != s.seg || next.rng.Lo != last.Hi || next.rng.Hi-s.rng.Lo > most || !next.joins(ix, rest[at+n]) || !next.rng.SharesColumns(last) {
				break
			}
		}
		if n > 1 {
			add((&jointStreams{ix, list[at : at+n], conds}).run)
		} else if parts := s.evaluators(ix, rest[at]); len(parts) > 0 {
			for _, e := range parts {
				add(e.run)
			}
			done = append(done, func() { s.joinValues(parts) })
		}
		at += n
	}
	return done
}

// joins says whether a stream has few rows, of which each is to be evaluated.
func (s *stream) joins(ix *indexed, rest []expr.Expr) bool {
	some := len(rest) > 0 || s.dead != nil
	return s.rng.Hi-s.rng.Lo < fewMorselRows && (some || ix.by != nil || ix.need.number != nil || s.bounds != nil && !ix.need.runs)
}

// run evaluates all rows, and gives each stream what is of its own.
func (j *jointStreams) run() error {
	ranges := make([]*segment.Range, len(j.streams))
	all := &stream{seg: j.streams[0].seg, bounds: j.streams[0].bounds}
	for i, s := range j.streams {
		ranges[i] = s.rng
		if s.dead != nil {
			all.dead = s.dead
		}
	}
	all.rng = &segment.Range{Stretch: *segment.Join(ranges)}
	n := all.rng.Hi - all.rng.Lo
	if len(j.conds) > 0 || all.dead != nil || all.bounds != nil {
		all.match = vec.NewBitmap(n)
	}
	if j.ix.need.number != nil {
		all.nums = make([]int64, n)
	}
	e := newEvaluator(all, j.ix, all.rng.Lo, all.rng.Hi, j.conds)
	e.ranges = ranges
	for i, c := range j.conds {
		e.conds[i].truths.apart(j.ix.scan, c)
	}
	if e.by != nil {
		e.values.apart(j.ix.scan, e.by...)
		e.spreadPart()
	}
	if err := e.run(); err != nil {
		return err
	}
	for _, s := range j.streams {
		from, to := s.rng.Lo-all.rng.Lo, s.rng.Hi-all.rng.Lo
		if all.match != nil && countBits(all.match, from, to) < to-from {
			s.match = vec.NewBitmap(to - from)
			for i := from; i < to; i++ {
				if all.match.Get(i) {
					s.match.Set(i - from)
				}
			}
		}
		if all.vals != nil {
			s.vals = all.vals[from:to:to]
		}
		if all.nums != nil {
			s.nums = all.nums[from:to:to]
		}
	}
	return nil
}

// apart has rows asked each if expressions read the event's name, which is not the same in all of them.
func (c *byCode) apart(sc *plan.Scan, exprs ...expr.Expr) {
	for _, e := range exprs {
		expr.Walk(e, func(e expr.Expr) bool {
			if col, ok := e.(*expr.Column); ok && isEventName(&sc.Columns[col.Index]) {
				c.column = -1
			}
			return c.column >= 0
		})
	}
}
