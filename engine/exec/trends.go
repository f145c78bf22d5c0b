package exec

import (
	"context"
	"time"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/vec"
)

// trends counts over time buckets. Each series takes the cheapest way that is exact: the
// persons of a day from the person index, day masks, time codes, run indexes, or ordinary
// plans over rows, which run and spill as such. What comes out, a number for each breakdown
// value and bucket, is then put into the shape of the answer.
type trends struct {
	node        *plan.Trends
	env         *Env
	from, to    int64 // DURING
	first, last int64 // what the buckets cover: the same, and the times of the data where DURING is open
	loc         *time.Location
	line        *timeline
	values      *values32 // of all series; nil without a breakdown
	series      []seriesResult
	held        int64
	cols        []*vec.Vector
	count       int
	at          int
	done        bool
}

// seriesResult is the numbers of one series, for the values and buckets that have rows: row
// i of vector is that of values[i] and buckets[i].
type seriesResult struct {
	values  []uint32
	buckets []int32
	vector  *vec.Vector
	zero    bool // where there are no rows is 0, not null
}

// add takes in the counts of all buckets of a value.
func (r *seriesResult) add(value uint32, counts []int64) {
	for b, n := range counts {
		if n != 0 {
			r.values, r.buckets = append(r.values, value), append(r.buckets, int32(b))
			r.vector.I64 = append(r.vector.I64, n)
		}
	}
}

func newTrends(n *plan.Trends, env *Env) (Operator, error) {
	return &trends{node: n, env: env}, nil
}

func (t *trends) Next(ctx context.Context) (*vec.Batch, error) {
	if !t.done {
		if err := t.run(ctx); err != nil {
			return nil, err
		}
		t.done = true
	}
	return slice(t.cols, t.count, &t.at), nil
}

func (t *trends) Close() error {
	t.env.release(t.held)
	t.held = 0
	return nil
}

// hold accounts for memory that is kept until Close.
func (t *trends) hold(ctx context.Context, bytes int64) error {
	t.held += bytes
	return t.env.hold(ctx, bytes)
}

func (t *trends) run(ctx context.Context) error {
	n := t.node
	var err error
	if t.loc, err = location(&n.Source, t.env); err != nil {
		return err
	}
	if t.from, t.to, err = during(&n.Source, t.env); err != nil {
		return err
	}
	lo, hi, err := t.bounds(ctx)
	if err != nil {
		return err
	}
	if n.Breakdown != nil {
		t.values = newValues32(n.Breakdown.Exprs)
	}
	open := t.from == vec.NegInfinityTime || t.to == vec.InfinityTime
	t.first, t.last = t.from, t.to
	if t.first == vec.NegInfinityTime {
		t.first = lo
	}
	if t.last == vec.InfinityTime {
		t.last = hi + 1
	}
	if t.first >= t.last { // nothing to count
		return nil
	}
	if n.Every == nil {
		t.line = cutTimeline([]int64{t.first, t.last})
	} else if t.line, err = newTimeline(t.first, t.last, *n.Every, t.loc, n.Sunday); err != nil {
		return err
	}
	if err := t.measureAll(ctx, lo, hi); err != nil {
		return err
	}
	if n.Compatible {
		return t.compatible(ctx)
	}
	periods := []*trends{t}
	if n.Compare != nil {
		p, err := t.earlier()
		if err != nil {
			return err
		}
		if err := t.onBehalf(p, func() error { return p.measureAll(ctx, lo, hi) }); err != nil {
			return err
		}
		periods = append(periods, p)
	}
	return t.answer(ctx, periods, open, lo, hi)
}

// measureAll computes all series.
func (t *trends) measureAll(ctx context.Context, lo, hi int64) error {
	for i := range t.node.Series {
		r, err := t.measure(ctx, &t.node.Series[i], lo, hi)
		if err != nil {
			return err
		}
		t.series = append(t.series, r)
	}
	return nil
}

// onBehalf lets another period or part of the rows be measured, and takes over the memory
// that it holds.
func (t *trends) onBehalf(of *trends, f func() error) error {
	err := f()
	if of != t {
		t.held += of.held
		of.held = 0
	}
	return err
}

// bounds is the time of the first and last row that can count; the first is later than
// the last if there is none.
func (t *trends) bounds(ctx context.Context) (int64, int64, error) {
	lo, hi := vec.InfinityTime, vec.NegInfinityTime
	if sc, ok := t.node.Input.(*plan.Scan); ok && sc.Table.IsEvents() {
		for _, seg := range t.env.Snapshot.Segments() {
			first, last, err := seg.Bounds()
			if err != nil {
				return lo, hi, err
			}
			lo, hi = min(lo, first), max(hi, last)
		}
		return lo, hi, nil
	}
	if t.from != vec.NegInfinityTime && t.to != vec.InfinityTime {
		return vec.NegInfinityTime, vec.InfinityTime, nil // nobody asks
	}
	n := groupBy(t.node.Input, nil, []plan.AggCall{
		{Name: "min", Args: []expr.Expr{t.node.Time}, T: t.node.Time.Type()},
		{Name: "max", Args: []expr.Expr{t.node.Time}, T: t.node.Time.Type()}})
	err := t.each(ctx, n, func(b *vec.Batch) error {
		if !b.Cols[0].IsNull(0) {
			loV, i := b.Cols[0].At(0)
			hiV, j := b.Cols[1].At(0)
			lo, hi = loV.I64[i], hiV.I64[j]
		}
		return nil
	})
	return lo, hi, err
}

// measure computes one series; lo and hi are the times of all rows.
func (t *trends) measure(ctx context.Context, s *plan.Series, lo, hi int64) (seriesResult, error) {
	var in plan.Node
	var err error
	zero := true
	switch s.Measure {
	case plan.MeasureAggregate:
		if r, ok, err := t.countIndexed(ctx, s); ok || err != nil {
			return r, err
		}
		zero = isCount(&s.Of)
		in, err = t.aggregate(s)
	case plan.MeasurePerActor:
		zero = isCount(&s.Outer)
		in, err = t.perActor(s)
	case plan.MeasureNew:
		in, err = t.newActors(s)
	default:
		return t.countActorsOf(ctx, s, lo, hi)
	}
	if err != nil {
		return seriesResult{}, err
	}
	t.env.usedIndex(t.node, "none: rows aggregated")
	return t.grouped(ctx, in, zero)
}

// isCount says whether a value is a count, which is 0 where there is nothing.
func isCount(c *plan.Computed) bool {
	col, ok := c.Value.(*expr.Column)
	return ok && c.Aggs[col.Index].Name == "count"
}

// countIndexed counts rows by their time codes, if that is all there is to count.
func (t *trends) countIndexed(ctx context.Context, s *plan.Series) (seriesResult, bool, error) {
	value := s.Of.Value
	if c, ok := value.(*expr.Cast); ok && t.node.Compatible {
		value = c.E
	}
	_, alone := value.(*expr.Column)
	a := &s.Of.Aggs[0]
	if !alone || len(s.Of.Aggs) != 1 || a.Name != "count" || len(a.Args) > 0 || a.Filter != nil {
		return seriesResult{}, false, nil
	}
	ix, ok, err := openIndexed(ctx, t.node, &t.node.Source, []expr.Expr{s.Where}, need{rows: true}, t.env)
	if !ok || err != nil {
		return seriesResult{}, ok, err
	}
	if ix.values.count() > maxCells/t.line.count() {
		return seriesResult{}, false, nil
	}
	t.env.usedIndex(t.node, "time codes")
	counts, err := t.countRows(ctx, ix)
	return t.counted(counts, ix.values, &spans{}), true, err
}

// countActorsOf counts actors, by indexes if there are any.
func (t *trends) countActorsOf(ctx context.Context, s *plan.Series, lo, hi int64) (seriesResult, error) {
	sp, err := t.spans(s)
	if err != nil {
		return seriesResult{}, err
	}
	var r seriesResult
	late := sp.own && t.line.count() == 1 && sp.holdAll(lo, hi) // nothing but values is counted by
	ix, ok, err := openIndexed(ctx, t.node, &t.node.Source, []expr.Expr{s.Where}, need{late: late}, t.env)
	switch {
	case err != nil:
		return r, err
	case ok && ix.wholeDays(sp.line.starts, sp.from, sp.to, lo, hi):
		counts, err := t.countMasks(ctx, ix, sp, lo)
		return t.counted(counts, nil, sp), err
	case ok && ix.values.count() <= maxCells/t.line.count():
		counts, err := t.countActors(ctx, ix, sp)
		return t.counted(counts, ix.values, sp), err
	}
	t.env.usedIndex(t.node, "none: rows aggregated")
	return t.actorRows(ctx, s, sp)
}

// counted makes counts by value and bucket a result. The values are renamed to those of
// all series.
func (t *trends) counted(counts []int64, values *values32, sp *spans) seriesResult {
	b := t.line.count()
	r := seriesResult{vector: &vec.Vector{Type: vec.T(vec.Int8)}, zero: true}
	names := []uint32{0}
	if values != nil {
		names = t.rename(values)
	}
	for v := range len(counts) / b {
		r.add(names[v], sp.settle(counts[v*b:(v+1)*b]))
	}
	return r
}

// rename gives the numbers of one series' values among those of all series.
func (t *trends) rename(values *values32) []uint32 {
	n := values.count()
	var scratch []uint32
	out := make([]uint32, n)
	t.values.assign(out, values.groups.values(), firstRows(&scratch, n))
	return out
}
