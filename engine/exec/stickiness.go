package exec

import (
	"context"
	"math/bits"
	"sort"
	"time"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/vec"
)

// stickiness counts actors by the number of buckets in which they are active. Both faces
// share it; they differ in where buckets of several units begin.
type stickiness struct {
	answered
	node     *plan.Stickiness
	loc      *time.Location
	from, to int64
	line     *timeline
	actors   actors
}

// sticks is what a goroutine adds up.
type sticks struct {
	counts [][]int64 // by series: how many actors are active in n+1 buckets
	lo, hi int64     // the first and the last time of a row in DURING
	// With actor output:
	series, actors, periods []uint32
}

func newStickiness(n *plan.Stickiness, env *Env) (Operator, error) {
	return &stickiness{answered: answered{env: env, spills: spills{env: env, node: n}}, node: n}, nil
}

func (s *stickiness) Next(ctx context.Context) (*vec.Batch, error) { return s.next(ctx, s.run) }

func (s *stickiness) run(ctx context.Context) error {
	n := s.node
	var err error
	if s.loc, err = location(&n.Source, s.env); err != nil {
		return err
	}
	if s.from, s.to, err = during(&n.Source, s.env); err != nil {
		return err
	}
	var conds []expr.Expr
	for i := range n.Series {
		conds = append(conds, n.Series[i].Cond)
	}
	if s.actors, err = openActors(ctx, n, &n.Source, conds, need{spills: &s.spills}, s.env); err != nil {
		return err
	}
	lo, hi := s.actors.bounds()
	lo, hi = max(lo, s.from), min(hi, s.to-1)
	all := sticks{lo: vec.InfinityTime, hi: vec.NegInfinityTime}
	if lo <= hi {
		if s.line, err = s.buckets(lo, hi+1); err != nil {
			return err
		}
		if all, err = s.count(ctx); err != nil {
			return err
		}
	}
	if n.Output == plan.OutputActors {
		s.actorRows(&all)
		return nil
	}
	return s.countRows(&all)
}

// buckets covers [from, to).
func (s *stickiness) buckets(from, to int64) (*timeline, error) {
	n := s.node
	if n.AlignTo == nil {
		return newTimeline(from, to, n.Every, s.loc, n.Sunday)
	}
	v, err := n.AlignTo.Eval(s.env.Expr, &vec.Batch{Rows: 1})
	if err != nil {
		return nil, err
	}
	if v.IsNull(0) {
		return nil, pgerr.New("22004", "ALIGN TO must not be null")
	}
	v, i := v.At(0)
	return alignedTimeline(from, to, v.I64[i], n.Every, s.loc)
}

// alignedTimeline covers [from, to) with buckets that are counted from one of their ends:
// the k-th before it begins k intervals earlier, by the calendar.
func alignedTimeline(from, to, end int64, every vec.IntervalValue, loc *time.Location) (*timeline, error) {
	anchor := time.UnixMicro(end).In(loc)
	at := func(k int) int64 {
		n := vec.IntervalValue{Months: every.Months * int32(k), Days: every.Days * int32(k), Micros: every.Micros * int64(k)}
		return addInterval(anchor, n).UnixMicro()
	}
	t := &timeline{}
	k := 0
	for ; at(k) > from; k-- {
		if -k > maxBuckets {
			return nil, tooManyBuckets()
		}
	}
	for ; at(k+1) <= from; k++ {
		if k > maxBuckets {
			return nil, tooManyBuckets()
		}
	}
	for ; ; k++ {
		us := at(k)
		// The ends of months can make neighbours equal.
		if n := len(t.starts); n == 0 || us > t.starts[n-1] {
			t.starts = append(t.starts, us)
		}
		if us >= to {
			break
		}
		if len(t.starts) > maxBuckets {
			return nil, tooManyBuckets()
		}
	}
	t.index()
	return t, nil
}

func tooManyBuckets() error {
	return pgerr.New("54000", "more than %d buckets", maxBuckets).WithHint("Use a longer EVERY or a shorter DURING.")
}

// count walks all actors.
func (s *stickiness) count(ctx context.Context) (sticks, error) {
	parts := make([]sticks, s.env.Threads)
	for i := range parts {
		parts[i] = sticks{counts: make([][]int64, len(s.node.Series)), lo: vec.InfinityTime, hi: vec.NegInfinityTime}
	}
	walk := func(ctx context.Context, w int, f func(p *sticks)) error {
		p := &parts[w]
		before := len(p.actors)
		f(p)
		grown := int64(len(p.actors)-before) * 12
		s.held.Add(grown)
		return s.env.hold(ctx, grown)
	}
	var err error
	if ix, days, ok := s.days(); ok {
		err = ix.dayBlocks(ctx, days.first, len(days.buckets), false, func(ctx context.Context, w int, b *dayBlock) error {
			return walk(ctx, w, func(p *sticks) {
				for c := range b.conds {
					s.seriesDays(p, b, c, days)
				}
			})
		})
	} else {
		err = s.actors.blocks(ctx, func(ctx context.Context, w int, b *block) error {
			return walk(ctx, w, func(p *sticks) {
				for i := range b.count {
					for c := range b.conds {
						if b.conds[c].countOf(i) > 0 {
							s.actor(p, b, c, i)
						}
					}
				}
			})
		})
	}
	all := parts[0]
	for i := range parts[1:] {
		all.merge(&parts[1+i])
	}
	return all, err
}

func (p *sticks) merge(o *sticks) {
	for c := range o.counts {
		for n, x := range o.counts[c] {
			p.add(c, n, x)
		}
	}
	p.lo, p.hi = min(p.lo, o.lo), max(p.hi, o.hi)
	p.series, p.actors, p.periods = append(p.series, o.series...), append(p.actors, o.actors...), append(p.periods, o.periods...)
}

// add counts actors who are active in n+1 buckets.
func (p *sticks) add(series, n int, actors int64) {
	for len(p.counts[series]) <= n {
		p.counts[series] = append(p.counts[series], 0)
	}
	p.counts[series][n] += actors
}

// actor counts one actor of a block in a series.
func (s *stickiness) actor(p *sticks, b *block, series, i int) {
	times := historyOf(&b.conds[series], i).within(s.from, s.to).times
	if len(times) == 0 {
		return
	}
	p.lo, p.hi = min(p.lo, times[0]), max(p.hi, times[len(times)-1])
	n := 0
	for j := 0; j < len(times); {
		end := skipTo(times, j, s.line.starts[s.line.bucket(times[j])+1])
		if s.enough(end - j) {
			n++
		}
		j = end
	}
	s.stick(p, series, b.base+uint32(i), n)
}

// days is how to read on which days actors have rows, if that is all there is to know.
func (s *stickiness) days() (*indexed, *dayLine, bool) {
	ix, ok := s.actors.(*indexed)
	if !ok || s.node.Bound != plan.AtLeast || s.node.Times > 1 {
		return nil, nil, false
	}
	days, ok := ix.dayLine(s.line, s.from, s.to)
	return ix, days, ok
}

// seriesDays counts the actors of a block in a series.
func (s *stickiness) seriesDays(p *sticks, b *dayBlock, series int, line *dayLine) {
	any := make([]uint64, b.words) // the days of all of them
	for i := range b.count {
		mask, n, last := b.of(b.conds[series], i), 0, int32(-1)
		for w, x := range mask {
			x &= line.within[w]
			any[w] |= x
			if line.apart {
				n += bits.OnesCount64(x)
				continue
			}
			for ; x != 0; x &= x - 1 {
				if bucket := line.buckets[w<<6+bits.TrailingZeros64(x)]; bucket != last {
					n, last = n+1, bucket
				}
			}
		}
		s.stick(p, series, b.base+uint32(i), n)
	}
	// Any instant in the bucket of the first and of the last row will do.
	eachDay(any, func(d int) { p.lo, p.hi = min(p.lo, line.at(d)), max(p.hi, line.at(d)) })
}

// stick counts an actor who is active in n buckets.
func (s *stickiness) stick(p *sticks, series int, actor uint32, n int) {
	if n == 0 {
		return
	}
	p.add(series, n-1, 1)
	if s.node.Output == plan.OutputActors {
		p.series, p.actors, p.periods = append(p.series, uint32(series)), append(p.actors, actor), append(p.periods, uint32(n))
	}
}

// enough says whether a bucket with so many rows counts.
func (s *stickiness) enough(rows int) bool {
	switch s.node.Bound {
	case plan.AtMost:
		return rows <= s.node.Times
	case plan.Exactly:
		return rows == s.node.Times
	}
	return rows >= s.node.Times
}

// slots is how many buckets the axis has: from the bucket of the first instant of DURING
// to that of the last; without an end, of the rows. Of several units that are counted back
// the axis has as many as its single units fill.
func (s *stickiness) slots(all *sticks) (int, error) {
	from, to := s.from, s.to
	if s.node.From == nil {
		from = all.lo
	}
	if s.node.To == nil {
		to = all.hi + 1
	}
	if from >= to {
		return 0, nil
	}
	every, units := s.node.Every, 1
	if s.node.AlignTo != nil {
		units = s.node.Units
		every = vec.IntervalValue{Months: every.Months / int32(units), Days: every.Days / int32(units), Micros: every.Micros / int64(units)}
	}
	line, err := newTimeline(from, to, every, s.loc, s.node.Sunday)
	if err != nil {
		return 0, err
	}
	return (line.count() + units - 1) / units, nil
}

func (s *stickiness) countRows(all *sticks) error {
	slots, err := s.slots(all)
	if err != nil {
		return err
	}
	rows := slots
	for _, c := range all.counts {
		rows = max(rows, len(c))
	}
	periods := &vec.Vector{Type: vec.T(vec.Int4)}
	counts := make([]*vec.Vector, len(s.node.Series))
	for c := range counts {
		counts[c] = &vec.Vector{Type: vec.T(vec.Int8)}
	}
	of := func(c, n int) int64 {
		if c >= len(all.counts) || n >= len(all.counts[c]) {
			return 0
		}
		return all.counts[c][n]
	}
	more := make([][]int64, len(counts)) // how many are active in so many buckets or more
	for c := range more {
		more[c] = make([]int64, rows+1)
		for n := rows - 1; n >= 0; n-- {
			more[c][n] = more[c][n+1] + of(c, n)
		}
	}
	for n := range rows {
		any := n < slots
		for c := range counts {
			any = any || of(c, n) > 0
		}
		if !any { // beyond the axis there are only numbers that occur
			continue
		}
		periods.I64 = append(periods.I64, int64(n+1))
		for c := range counts {
			if s.node.OrMore {
				counts[c].I64 = append(counts[c].I64, more[c][n])
				continue
			}
			counts[c].I64 = append(counts[c].I64, of(c, n))
		}
	}
	s.rows = len(periods.I64)
	s.cols = append([]*vec.Vector{periods}, counts...)
	return nil
}

func (s *stickiness) actorRows(all *sticks) {
	names := &vec.Vector{Type: vec.T(vec.Text)}
	for i := range s.node.Series {
		names.Str.AppendString(s.node.Series[i].Name)
	}
	series := &vec.Vector{Type: vec.T(vec.Text), Form: vec.Dict, Dict: names}
	periods := &vec.Vector{Type: vec.T(vec.Int4)}
	order := make([]int, len(all.actors))
	for i := range order {
		order[i] = i
	}
	sort.Slice(order, func(i, j int) bool {
		a, b := order[i], order[j]
		if all.series[a] != all.series[b] {
			return all.series[a] < all.series[b]
		}
		return all.actors[a] < all.actors[b]
	})
	var who []uint32
	for _, i := range order {
		series.Codes, who = append(series.Codes, all.series[i]), append(who, all.actors[i])
		periods.I64 = append(periods.I64, int64(all.periods[i]))
	}
	s.rows = len(who)
	s.cols = []*vec.Vector{series, s.actors.vector(who), periods}
}
