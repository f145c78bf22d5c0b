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

// day is a UTC day in µs, the unit of day masks.
const day = int64(86_400_000_000)

// trends counts over time buckets. Each series takes the cheapest way that is exact: the
// persons of a day from the person index, day masks, time codes, run indexes, or an
// ordinary aggregate over rows.
type trends struct {
	node     *plan.Trends
	env      *Env
	from, to int64
	loc      *time.Location
	line     *timeline
	values   *values32 // of all series; nil without a breakdown
	series   []seriesResult
	cols     []*vec.Vector
	rows     int
	at       int
	done     bool
}

// seriesResult is the numbers of one series: cell (value, bucket) is row
// cells[value*buckets+bucket]-1 of vector, and 0 means that it has no rows.
type seriesResult struct {
	cells  []int32
	vector *vec.Vector
	zero   bool // an empty cell is 0, not null
}

func newTrends(n *plan.Trends, env *Env) (Operator, error) {
	if by := n.Breakdown; by != nil && by.WithOther {
		return nil, pgerr.New("0A000", "TOP … WITH OTHER is not supported in TRENDS")
	}
	return &trends{node: n, env: env}, nil
}

func (t *trends) Next(ctx context.Context) (*vec.Batch, error) {
	if !t.done {
		if err := t.run(ctx); err != nil {
			return nil, err
		}
		t.done = true
	}
	return slice(t.cols, t.rows, &t.at), nil
}

func (t *trends) Close() error { return nil }

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
	first, last := t.from, t.to
	if first == vec.NegInfinityTime {
		first = lo
	}
	if last == vec.InfinityTime {
		last = hi + 1
	}
	if first >= last { // nothing to count
		return nil
	}
	every := vec.IntervalValue{}
	if n.Every != nil {
		every = *n.Every
	}
	if n.Every == nil {
		t.line = &timeline{starts: []int64{first, last}}
	} else if t.line, err = newTimeline(first, last, every, t.loc, n.Sunday); err != nil {
		return err
	}
	for i := range n.Series {
		r, err := t.measure(ctx, &n.Series[i], lo, hi)
		if err != nil {
			return err
		}
		t.series = append(t.series, r)
	}
	t.answer(open)
	return nil
}

// bounds is the time of the first and last row that can count; the first is later than
// the last if there is none.
func (t *trends) bounds(ctx context.Context) (int64, int64, error) {
	lo, hi := vec.InfinityTime, vec.NegInfinityTime
	if sc, ok := t.node.Input.(*plan.Scan); ok && sc.Table.Name == "events" {
		for _, seg := range t.env.Snapshot.Segments() {
			first, last, err := seg.Bounds()
			if err != nil {
				return lo, hi, err
			}
			lo, hi = min(lo, first), max(hi, last)
		}
		return lo, hi, nil
	}
	n := &plan.Aggregate{Input: t.node.Input, Names: []string{"lo", "hi"}, Aggs: []plan.AggCall{
		{Name: "min", Args: []expr.Expr{t.node.Time}, T: t.node.Time.Type()},
		{Name: "max", Args: []expr.Expr{t.node.Time}, T: t.node.Time.Type()}}}
	b, err := t.one(ctx, n)
	if err != nil || b.Cols[0].IsNull(0) {
		return lo, hi, err
	}
	loV, i := b.Cols[0].At(0)
	hiV, j := b.Cols[1].At(0)
	return loV.I64[i], hiV.I64[j], nil
}

// one runs a plan whose answer is one batch.
func (t *trends) one(ctx context.Context, n plan.Node) (*vec.Batch, error) {
	stats := t.env.Stats
	t.env.Stats = nil // the node is ours, not the statement's
	defer func() { t.env.Stats = stats }()
	op, err := Build(n, t.env)
	if err != nil {
		return nil, err
	}
	defer op.Close() // the answer is read
	return op.Next(ctx)
}

// measure computes one series.
func (t *trends) measure(ctx context.Context, s *plan.Series, lo, hi int64) (seriesResult, error) {
	if s.Measure == plan.MeasureAggregate {
		a := &s.Agg
		plain := a.Name == "count" && len(a.Args) == 0 && a.Filter == nil && t.node.Breakdown == nil
		if plain {
			ix, ok, err := openIndexed(ctx, t.node, &t.node.Source, []expr.Expr{s.Where}, need{}, t.env)
			if err != nil {
				return seriesResult{}, err
			}
			if ok {
				t.env.usedIndex(t.node, "time codes")
				counts, err := t.countRows(ctx, ix)
				return t.counted(counts, nil), err
			}
		}
		return t.aggregate(ctx, s)
	}
	conds := []expr.Expr{s.Where}
	ix, ok, err := openIndexed(ctx, t.node, &t.node.Source, conds, need{}, t.env)
	if err != nil {
		return seriesResult{}, err
	}
	var who actors = ix
	spans := t.spans(s)
	if ok {
		if t.wholeDays(ix, lo, hi) {
			counts, err := t.countMasks(ctx, ix, spans, s.Measure)
			return t.counted(counts, nil), err
		}
	} else if who, err = openRows(ctx, t.node, &t.node.Source, conds, t.env); err != nil {
		return seriesResult{}, err
	}
	counts, err := t.countActors(ctx, who, spans)
	return t.counted(counts, who.breakdown()), err
}

// counted makes counts by value and bucket a result. The values are renamed to those of
// all series.
func (t *trends) counted(counts []int64, values *values32) seriesResult {
	b := t.line.count()
	v := &vec.Vector{Type: vec.T(vec.Int8)}
	r := seriesResult{vector: v, zero: true}
	var names []uint32
	if values != nil {
		names = t.rename(values)
	}
	for i, n := range counts {
		if n == 0 {
			continue
		}
		value := i / b
		if names != nil {
			value = int(names[value])
		}
		v.I64 = append(v.I64, n)
		r.set(value*b+i%b, len(v.I64))
	}
	return r
}

func (r *seriesResult) set(cell, row int) {
	if cell >= len(r.cells) {
		r.cells = append(r.cells, make([]int32, cell+1-len(r.cells))...)
	}
	r.cells[cell] = int32(row)
}

func (r *seriesResult) row(cell int) int {
	if cell >= len(r.cells) {
		return -1
	}
	return int(r.cells[cell]) - 1
}

// rename gives the numbers of one series' values among those of all series.
func (t *trends) rename(values *values32) []uint32 {
	n := values.count()
	var scratch []uint32
	out := make([]uint32, n)
	t.values.assign(out, values.groups.values(), firstRows(&scratch, n))
	return out
}

// countRows is the number of rows of each bucket, from time codes or times.
func (t *trends) countRows(ctx context.Context, ix *indexed) ([]int64, error) {
	type job struct {
		s      *stream
		lo, hi int
	}
	var jobs []job
	for _, s := range ix.streams[0] {
		for lo := s.rng.Lo; lo < s.rng.Hi; lo += morselRows {
			jobs = append(jobs, job{s, lo, min(lo+morselRows, s.rng.Hi)})
		}
	}
	byCode := t.codesSuffice(ix)
	parts := make([][]int64, t.env.Threads)
	err := intervals(ctx, t.env, len(jobs), 1, func(w, i, _ int) error {
		if parts[w] == nil {
			parts[w] = make([]int64, t.line.count()+1)
		}
		if byCode {
			return t.countCodes(parts[w], jobs[i].s, jobs[i].lo, jobs[i].hi)
		}
		return t.countTimes(parts[w], jobs[i].s, jobs[i].lo, jobs[i].hi)
	})
	return sum(parts, t.line.count()), err
}

// sum adds up the counts of several goroutines.
func sum(parts [][]int64, n int) []int64 {
	out := make([]int64, n)
	for _, p := range parts {
		for i := range min(n, len(p)) {
			out[i] += p[i]
		}
	}
	return out
}

// codesSuffice says whether the quarter-hour of a row decides its bucket, and whether it
// counts.
func (t *trends) codesSuffice(ix *indexed) bool {
	return t.line.lut != nil && (t.from <= ix.lo || t.from%quarter == 0) && (t.to > ix.hi || t.to%quarter == 0)
}

// countCodes adds the rows [lo, hi) of a stream to counts, whose last element takes those
// outside.
func (t *trends) countCodes(counts []int64, s *stream, lo, hi int) error {
	outside := int32(len(counts) - 1)
	base := int64(s.seg.FirstDay()) * day / quarter
	bucketOf := make([]int32, s.seg.Days()*96)
	for q := range bucketOf {
		us := (base + int64(q)) * quarter
		bucketOf[q] = outside
		if b := t.line.bucket(us); b >= 0 && us >= t.from && us < t.to {
			bucketOf[q] = int32(b)
		}
	}
	var codes [vec.BatchRows]uint32
	for ; lo < hi; lo += len(codes) {
		n := min(len(codes), hi-lo)
		if err := s.seg.TimeCodes(codes[:n], lo, lo+n); err != nil {
			return err
		}
		if s.match == nil {
			for _, q := range codes[:n] {
				counts[bucketOf[q]]++
			}
			continue
		}
		for i, q := range codes[:n] {
			if s.match.Get(lo + i - s.rng.Lo) {
				counts[bucketOf[q]]++
			}
		}
	}
	return nil
}

func (t *trends) countTimes(counts []int64, s *stream, lo, hi int) error {
	var times [vec.BatchRows]int64
	for ; lo < hi; lo += len(times) {
		n := min(len(times), hi-lo)
		if err := s.seg.Times(times[:n], lo, lo+n); err != nil {
			return err
		}
		for i, us := range times[:n] {
			if us < t.from || us >= t.to || s.match != nil && !s.match.Get(lo+i-s.rng.Lo) {
				continue
			}
			if b := t.line.bucket(us); b >= 0 {
				counts[b]++
			}
		}
	}
	return nil
}

// bucketSpans says in which buckets a row counts: from its own to the last whose interval
// reaches back to it.
type bucketSpans struct {
	line *timeline
	// last[b] is the last bucket for every row of bucket b, if it is the same for all.
	last []int32
	// back[b] is where the interval that ends with bucket b begins.
	back []int64
}

func (t *trends) spans(s *plan.Series) *bucketSpans {
	n := t.line.count()
	sp := &bucketSpans{line: t.line, last: make([]int32, n)}
	if s.Measure != plan.MeasureRolling {
		for b := range sp.last {
			sp.last[b] = int32(b)
		}
		return sp
	}
	neg := vec.IntervalValue{Months: -s.Rolling.Months, Days: -s.Rolling.Days, Micros: -s.Rolling.Micros}
	sp.back = make([]int64, n)
	for b := range sp.back {
		sp.back[b] = addInterval(time.UnixMicro(t.line.starts[b+1]).In(t.loc), neg).UnixMicro()
	}
	for b := range sp.last {
		first, last := sp.reach(t.line.starts[b]), sp.reach(t.line.starts[b+1]-1)
		if first != last {
			sp.last = nil // an interval begins inside a bucket
			break
		}
		sp.last[b] = int32(last)
	}
	return sp
}

// reach is the last bucket whose interval holds the instant.
func (sp *bucketSpans) reach(us int64) int {
	return sort.Search(len(sp.back), func(i int) bool { return sp.back[i] > us }) - 1
}

// of is the buckets in which a row counts; the first is beyond the last if none.
func (sp *bucketSpans) of(us int64) (int, int) {
	b := sp.line.bucket(us)
	if b < 0 {
		return 0, -1
	}
	if sp.last != nil {
		return b, int(sp.last[b])
	}
	return b, sp.reach(us)
}

// countActors is the number of actors of each value and bucket.
func (t *trends) countActors(ctx context.Context, who actors, spans *bucketSpans) ([]int64, error) {
	n := t.line.count()
	cells := n * who.breakdown().count()
	type part struct {
		counts []int64
		stamp  []uint32 // actor + 1 that was counted last in a cell
	}
	parts := make([]part, t.env.Threads)
	err := who.blocks(ctx, func(w int, b *block) error {
		p := &parts[w]
		if p.counts == nil {
			p.counts = make([]int64, cells)
			if who.breakdown() != nil {
				p.stamp = make([]uint32, cells)
			}
		}
		c := &b.conds[0]
		for i := range b.count {
			times := c.of(i)
			if p.stamp == nil {
				counted := -1 // last bucket counted: rows come in time order
				for _, us := range times {
					if us < t.from || us >= t.to {
						continue
					}
					first, last := spans.of(us)
					for k := max(first, counted+1); k <= last; k++ {
						p.counts[k]++
					}
					counted = max(counted, last)
				}
				continue
			}
			vals, mark := c.valsOf(i), b.base+uint32(i)+1
			for r, us := range times {
				if us < t.from || us >= t.to {
					continue
				}
				first, last := spans.of(us)
				for k := first; k <= last; k++ {
					if cell := int(vals[r])*n + k; p.stamp[cell] != mark {
						p.stamp[cell] = mark
						p.counts[cell]++
					}
				}
			}
		}
		return nil
	})
	counts := make([][]int64, len(parts))
	for i := range parts {
		counts[i] = parts[i].counts
	}
	return sum(counts, cells), err
}

// wholeDays says whether the days on which an actor has rows decide everything: there is
// no condition on rows and no breakdown, and buckets and bounds lie on UTC days.
func (t *trends) wholeDays(ix *indexed, lo, hi int64) bool {
	if ix.filters > 0 || ix.values != nil || t.from > lo && t.from%day != 0 || t.to <= hi && t.to%day != 0 {
		return false
	}
	if len(t.line.starts) == 2 { // one bucket over everything that counts
		return true
	}
	for _, s := range t.line.starts {
		if s%day != 0 {
			return false
		}
	}
	return true
}

// countMasks counts actors by the days on which they have rows.
func (t *trends) countMasks(ctx context.Context, ix *indexed, spans *bucketSpans, measure plan.Measure) ([]int64, error) {
	if counts, ok, err := t.countBitmaps(ix, measure); ok || err != nil {
		t.env.usedIndex(t.node, "persons by event and day")
		return counts, err
	}
	if spans.last == nil {
		ix.need.times = true
		t.env.usedIndex(t.node, "run index")
		return t.countActors(ctx, ix, spans)
	}
	t.env.usedIndex(t.node, "day masks")
	first := floorDay(max(t.from, ix.lo))
	days := int(floorDay(min(t.to-1, ix.hi))-first) + 1
	if days <= 0 {
		return make([]int64, t.line.count()), nil
	}
	words := (days + 63) / 64
	bucketOf := make([]int32, days)
	for d := range bucketOf {
		bucketOf[d] = int32(t.line.bucket(max((first+int64(d))*day, t.line.starts[0])))
	}
	masks := make([][]uint32, len(ix.streams[0]))
	for i, s := range ix.streams[0] {
		m, err := s.rng.DayMasks()
		if err != nil {
			return nil, err
		}
		masks[i] = m
	}
	const size = 4096 // ordinals at a time: their masks stay in the first-level cache
	parts := make([][]int64, t.env.Threads)
	scratch := make([][]uint64, t.env.Threads)
	err := intervals(ctx, t.env, ix.total, size, func(w, lo, hi int) error {
		if parts[w] == nil {
			parts[w] = make([]int64, t.line.count())
			scratch[w] = make([]uint64, size*words)
		}
		active := scratch[w][:(hi-lo)*words]
		clear(active)
		for i, s := range ix.streams[0] {
			setDays(active, words, s, masks[i], uint32(lo), uint32(hi), int(int64(s.seg.FirstDay())-first), days)
		}
		countDays(parts[w], active, words, bucketOf, spans.last)
		return nil
	})
	return sum(parts, t.line.count()), err
}

// floorDay is the UTC day of an instant.
func floorDay(us int64) int64 {
	d := us / day
	if us%day < 0 {
		d--
	}
	return d
}

// setDays marks the days of the runs of a stream whose actors are in [lo, hi). Bit b of a
// mask is day shift+b.
func setDays(active []uint64, words int, s *stream, masks []uint32, lo, hi uint32, shift, days int) {
	from, to := lowerBound(s.runs.Ordinals, lo), lowerBound(s.runs.Ordinals, hi)
	ordinals := s.runs.Ordinals
	inside := ^uint32(0)
	if shift < 0 {
		inside <<= uint(-shift)
	}
	if over := shift + 32 - days; over > 0 {
		inside &= ^uint32(0) >> uint(over)
	}
	if inside == 0 {
		return // the segment lies outside
	}
	for r := from; r < to; r++ {
		if s.skip != nil && s.skip.Get(r) {
			continue
		}
		orDays(active[int(ordinals[r]-lo)*words:][:words], masks[r]&inside, shift)
	}
	for _, m := range s.moved {
		if m.root >= lo && m.root < hi {
			orDays(active[int(m.root-lo)*words:][:words], masks[m.run]&inside, shift)
		}
	}
}

func orDays(dst []uint64, mask uint32, shift int) {
	if shift < 0 {
		dst[0] |= uint64(mask >> uint(-shift))
		return
	}
	w, s := shift>>6, uint(shift)&63
	dst[w] |= uint64(mask) << s
	if high := uint64(mask) >> (64 - s); s > 32 && high != 0 {
		dst[w+1] |= high
	}
}

// countDays counts, for each actor, the buckets that its active days reach.
func countDays(counts []int64, active []uint64, words int, bucketOf, last []int32) {
	for a := 0; a < len(active); a += words {
		counted := int32(-1)
		for w, x := range active[a : a+words] {
			for ; x != 0; x &= x - 1 {
				b := bucketOf[w<<6+bits.TrailingZeros64(x)]
				if b < 0 {
					continue
				}
				to := last[b]
				for k := max(b, counted+1); k <= to; k++ {
					counts[k]++
				}
				counted = max(counted, to)
			}
		}
	}
}

// countBitmaps counts the persons of each day from the person index. That is exact where
// buckets are days, no two streams share a day, and no person was merged.
func (t *trends) countBitmaps(ix *indexed, measure plan.Measure) ([]int64, bool, error) {
	if measure != plan.MeasureActors {
		return nil, false, nil
	}
	for b := range t.line.count() {
		if t.line.starts[b+1]-t.line.starts[b] != day {
			return nil, false, nil
		}
	}
	end := int32(-1 << 31)
	for _, s := range ix.streams[0] {
		if s.moved != nil || s.seg.FirstDay() < end {
			return nil, false, nil
		}
		end = s.seg.FirstDay() + int32(s.seg.Days())
	}
	counts := make([]int64, t.line.count())
	for _, s := range ix.streams[0] {
		for d := range s.seg.Days() {
			us := (int64(s.seg.FirstDay()) + int64(d)) * day
			b := t.line.bucket(us)
			if b < 0 || us < floorDay(t.from)*day && t.from != vec.NegInfinityTime {
				continue
			}
			persons, err := s.rng.DayBitmap(d)
			if err != nil {
				return nil, false, err
			}
			if persons != nil {
				counts[b] = int64(persons.GetCardinality())
			}
		}
	}
	return counts, true, nil
}

// bucketExpr is the number of the bucket that a time falls into; null outside.
type bucketExpr struct {
	time     expr.Expr
	line     *timeline
	from, to int64
}

func (e *bucketExpr) Type() vec.Type { return vec.T(vec.Int4) }

func (e *bucketExpr) Eval(ctx *expr.Context, b *vec.Batch) (*vec.Vector, error) {
	v, err := e.time.Eval(ctx, b)
	if err != nil {
		return nil, err
	}
	v = v.Flatten(b.Rows)
	out := &vec.Vector{Type: e.Type(), I64: make([]int64, b.Rows), Nulls: vec.NewBitmap(b.Rows)}
	for i := range b.Rows {
		bucket := -1
		if us := v.I64[i]; !v.Nulls.Get(i) && us >= e.from && us < e.to {
			bucket = e.line.bucket(us)
		}
		if bucket < 0 {
			out.Nulls.Set(i)
			bucket = 0
		}
		out.I64[i] = int64(bucket)
	}
	return out, nil
}

// aggregate computes a series by an ordinary plan, grouped by value and bucket.
func (t *trends) aggregate(ctx context.Context, s *plan.Series) (seriesResult, error) {
	n := t.node
	var in plan.Node = n.Input
	for _, c := range []expr.Expr{n.Where, s.Where} {
		if c != nil {
			in = &plan.Filter{Input: in, Cond: c}
		}
	}
	a := &plan.Aggregate{Input: in, Aggs: []plan.AggCall{s.Agg}}
	if n.Breakdown != nil {
		a.Keys = append(a.Keys, n.Breakdown.Exprs...)
	}
	a.Keys = append(a.Keys, &bucketExpr{n.Time, t.line, t.from, t.to})
	a.Names = make([]string, len(a.Keys)+1)
	t.env.usedIndex(n, "none: rows aggregated")
	stats := t.env.Stats
	t.env.Stats = nil // the nodes are ours, not the statement's
	defer func() { t.env.Stats = stats }()
	op, err := Build(a, t.env)
	if err != nil {
		return seriesResult{}, err
	}
	defer op.Close() // drain has said what there is to say
	r := seriesResult{zero: s.Agg.Name == "count"}
	out := vec.NewBuilder(s.Agg.T)
	keys := len(a.Keys) - 1
	buckets := t.line.count()
	err = drain(ctx, op, func(b *vec.Batch) error {
		var scratch []uint32
		values := make([]uint32, b.Rows)
		if n.Breakdown != nil {
			t.values.assign(values, b.Cols[:keys], firstRows(&scratch, b.Rows))
		}
		for i := range b.Rows {
			if b.Cols[keys].IsNull(i) {
				continue
			}
			v, at := b.Cols[keys].At(i)
			out.AppendFrom(b.Cols[keys+1], i)
			r.set(int(values[i])*buckets+int(v.I64[at]), out.V.Len())
		}
		return nil
	})
	r.vector = out.V
	return r, err
}

// answer makes the rows: a value and a bucket each. If DURING is open, empty buckets at
// both ends are left out.
func (t *trends) answer(open bool) {
	buckets := t.line.count()
	values := []uint32{0}
	if by := t.node.Breakdown; by != nil {
		values = t.ranked()
		if by.Top > 0 && len(values) > by.Top {
			values = values[:by.Top]
		}
	}
	first, last := 0, buckets-1
	if open {
		first, last = t.occupied(values)
	}
	var ids []uint32
	bucket := &vec.Vector{Type: vec.T(vec.TimestampTZ)}
	var cells []int
	for _, v := range values {
		for b := first; b <= last; b++ {
			ids = append(ids, v)
			bucket.I64 = append(bucket.I64, t.line.starts[b])
			cells = append(cells, int(v)*buckets+b)
		}
	}
	if t.node.Output == plan.OutputLong {
		t.long(ids, bucket, cells)
		return
	}
	t.rows = len(ids)
	t.cols = append(breakdownColumns(t.node.Breakdown, t.values, ids), bucket)
	for i := range t.series {
		b := vec.NewBuilder(t.series[i].vector.Type)
		for _, cell := range cells {
			t.series[i].append(b, cell)
		}
		t.cols = append(t.cols, b.V)
	}
}

// append adds the value of a cell to a column.
func (r *seriesResult) append(b *vec.Builder, cell int) {
	row := r.row(cell)
	switch {
	case row >= 0:
		b.AppendFrom(r.vector, row)
	case r.zero:
		b.V.I64 = append(b.V.I64, 0)
	default:
		b.AppendNull()
	}
}

// ranked is the breakdown values that occur, by the sum of the first series.
func (t *trends) ranked() []uint32 {
	buckets := t.line.count()
	sums := make([]int64, t.values.count())
	seen := make([]bool, len(sums))
	for i := range t.series {
		r := &t.series[i]
		for cell := range r.cells {
			row := r.row(cell)
			if row < 0 {
				continue
			}
			v := cell / buckets
			seen[v] = true
			if i > 0 || r.vector.Nulls.Get(row) {
				continue
			}
			switch r.vector.Type.Payload() {
			case vec.PayloadI64:
				sums[v] += r.vector.I64[row]
			case vec.PayloadF64:
				sums[v] += int64(r.vector.F64[row] * 1000)
			}
		}
	}
	var ids []uint32
	for v, ok := range seen {
		if ok {
			ids = append(ids, uint32(v))
		}
	}
	rankValues(ids, func(v uint32) int64 { return sums[v] }, t.values)
	return ids
}

// occupied is the first and the last bucket with a row in any series.
func (t *trends) occupied(values []uint32) (int, int) {
	buckets := t.line.count()
	first, last := buckets, -1
	for i := range t.series {
		for _, v := range values {
			for b := range buckets {
				if t.series[i].row(int(v)*buckets+b) >= 0 {
					first, last = min(first, b), max(last, b)
				}
			}
		}
	}
	return first, last
}

// long makes the rows of OUTPUT LONG: a series each.
func (t *trends) long(ids []uint32, bucket *vec.Vector, cells []int) {
	var values []uint32
	starts := &vec.Vector{Type: vec.T(vec.TimestampTZ)}
	name := &vec.Vector{Type: vec.T(vec.Text), Str: vec.MakeStrings(0, 0)}
	value, previous := vec.NewBuilder(vec.T(vec.Float8)), vec.NewBuilder(vec.T(vec.Float8))
	for i, cell := range cells {
		for k := range t.series {
			r := &t.series[k]
			values = append(values, ids[i])
			starts.I64 = append(starts.I64, bucket.I64[i])
			name.Str.AppendString(t.node.Series[k].Name)
			row := r.row(cell)
			switch {
			case row < 0 && r.zero:
				value.V.F64 = append(value.V.F64, 0)
			case row < 0 || r.vector.Nulls.Get(row):
				value.AppendNull()
			default:
				value.V.F64 = append(value.V.F64, toFloat(r.vector, row))
			}
			previous.AppendNull()
		}
	}
	t.rows = len(values)
	t.cols = append(breakdownColumns(t.node.Breakdown, t.values, values), starts, name, value.V, previous.V)
}

// toFloat is a number of any type as a double.
func toFloat(v *vec.Vector, row int) float64 {
	switch v.Type.Payload() {
	case vec.PayloadI64:
		return float64(v.I64[row])
	case vec.PayloadF64:
		return v.F64[row]
	case vec.PayloadDec:
		return v.Dec[row].Float64()
	}
	return 0
}
