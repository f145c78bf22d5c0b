package exec

import (
	"context"
	"math"
	"slices"
	"sort"
	"time"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/vec"
)

// compatRetention is RETENTION by the insights' rules. DURING is a grid of periods, which
// are the rows; only what happens inside counts, except that an actor who starts once
// starts with its first row ever.
type compatRetention struct {
	answered
	node     *plan.Retention
	from, to int64
	loc      *time.Location
	line     *timeline // the grid's rows
	columns  int
	actors   actors
	same     bool // START and RETURN are one list
	once     bool // an actor starts with its first row ever, or never
}

// grid is what one breakdown value adds up to.
type grid struct {
	counts [][]int64   // by row and column; nil for rows without actors
	sums   [][]float64 // with MEASURE, the same of its values
	// With actor output: who is in which row, and in which columns.
	actors, rows []uint32
	periods      vec.Vector // int4[]
}

func (r *compatRetention) Next(ctx context.Context) (*vec.Batch, error) { return r.next(ctx, r.run) }

func (r *compatRetention) run(ctx context.Context) error {
	n := r.node
	var err error
	if r.loc, err = location(&n.Source, r.env); err != nil {
		return err
	}
	if r.from, r.to, err = during(&n.Source, r.env); err != nil || r.from >= r.to {
		return err
	}
	if r.line, err = newTimeline(r.from, r.to, n.Every, r.loc, n.Sunday); err != nil {
		return err
	}
	switch {
	case len(n.Brackets) > 0 && n.Measure == nil:
		r.columns = len(n.Brackets) + 1
	case n.Periods > 0:
		r.columns = n.Periods
	default:
		r.columns = r.line.count()
	}
	if cells := r.line.count() * r.columns; cells > maxGridCells {
		return pgerr.New("54000", "RETENTION has %d cells, and may have %d", cells, maxGridCells).
			WithHint("Use a longer EVERY, a shorter DURING or fewer periods.")
	}
	conds := []expr.Expr{n.Start}
	r.same = n.Return == nil || expr.String(n.Return) == expr.String(n.Start)
	if !r.same {
		conds = append(conds, n.Return)
	}
	r.once = n.Rule != plan.EveryTime
	if r.bare() {
		conds = append(conds, n.FirstOf)
	}
	need := need{refs: n.Rule == plan.FirstEver && n.Breakdown != nil, spills: &r.spills} // which row is first gives the value
	if n.Measure != nil {
		need.number = n.Measure.Args[0]
	}
	if r.actors, err = openActors(ctx, n, &n.Source, conds, need, r.env); err != nil {
		return err
	}
	grids, err := r.count(ctx)
	if err != nil {
		return err
	}
	return r.answer(ctx, grids)
}

// maxGridCells bounds the answer for one breakdown value: 128 MB.
const maxGridCells = 1 << 24

// bare says whether the actor's first row is looked for in a list of its own, the last.
func (r *compatRetention) bare() bool {
	return r.node.Rule == plan.FirstEver && r.node.FirstOf != nil
}

// count walks all actors.
func (r *compatRetention) count(ctx context.Context) ([]*grid, error) {
	values := r.actors.breakdown().count()
	parts := make([][]*grid, r.env.Threads)
	workers := make([]*compatReturner, r.env.Threads)
	walk := func(ctx context.Context, w int, base uint32, count int, actor func(k *compatReturner, i int)) error {
		if parts[w] == nil {
			parts[w] = make([]*grid, values)
			workers[w] = &compatReturner{r: r, out: parts[w], sums: make([]float64, r.columns)}
		}
		k := workers[w]
		k.base, k.grown = base, 0
		for i := range count {
			actor(k, i)
			if k.grown > 1<<20 {
				if err := r.hold(ctx, k); err != nil {
					return err
				}
			}
		}
		return r.hold(ctx, k)
	}
	var err error
	if ix, days, ok := r.days(); ok {
		err = ix.dayBlocks(ctx, days.first, len(days.buckets), false, func(ctx context.Context, w int, b *dayBlock) error {
			return walk(ctx, w, b.base, b.count, func(k *compatReturner, i int) {
				k.days(i, days, b.of(b.conds[0], i), b.of(b.conds[len(b.conds)-1], i))
			})
		})
	} else {
		err = r.actors.blocks(ctx, func(ctx context.Context, w int, b *block) error {
			return walk(ctx, w, b.base, b.count, func(k *compatReturner, i int) {
				if b.conds[0].countOf(i) > 0 {
					k.actor(b, i)
				}
			})
		})
	}
	if err != nil {
		return nil, err
	}
	out := make([]*grid, values)
	for _, part := range parts {
		mergeValues(out, part)
	}
	if r.node.Measure != nil && r.node.Measure.Name == "avg" {
		for _, g := range out {
			g.divide()
		}
	}
	return out, nil
}

func (r *compatRetention) hold(ctx context.Context, k *compatReturner) error {
	grown := k.grown
	k.grown = 0
	r.held.Add(grown)
	return r.env.hold(ctx, grown)
}

func (g *grid) merge(o *grid) {
	for i, row := range o.counts {
		if g.counts[i] == nil {
			g.counts[i] = row
			if o.sums != nil {
				g.sums[i] = o.sums[i]
			}
			continue
		}
		for c, n := range row {
			g.counts[i][c] += n
			if o.sums != nil {
				g.sums[i][c] += o.sums[i][c]
			}
		}
	}
	g.actors, g.rows = append(g.actors, o.actors...), append(g.rows, o.rows...)
	b := vec.Builder{V: &g.periods}
	for i := range o.actors {
		b.AppendFrom(&o.periods, i)
	}
}

// divide makes sums averages over the actors of a cell, not over their rows.
func (g *grid) divide() {
	if g == nil {
		return
	}
	for i, row := range g.counts {
		for c, n := range row {
			if n > 0 {
				g.sums[i][c] /= float64(n)
			}
		}
	}
}

// compatReturner walks actors, on one goroutine.
type compatReturner struct {
	r     *compatRetention
	base  uint32 // actor of position 0 of the block
	out   []*grid
	split splitter
	grown int64 // bytes kept and not accounted for yet
	// What one actor does:
	starts, visits []int
	columns        []int
	sums           []float64 // by column
}

func (k *compatReturner) actor(b *block, i int) {
	r := k.r
	starts := historyOf(&b.conds[0], i)
	returns := starts
	if !r.same {
		returns = historyOf(&b.conds[1], i)
	}
	first := starts
	if r.bare() {
		first = historyOf(&b.conds[len(b.conds)-1], i)
		if len(first.times) == 0 || first.times[0] != starts.times[0] {
			return
		}
	}
	switch {
	case r.node.ByActor:
		k.windows(i, starts, returns)
	case r.node.Breakdown == nil:
		k.calendar(i, 0, starts, returns)
	case r.node.Rule == plan.FirstEver:
		k.calendar(i, first.vals[0], starts, returns)
	case r.same:
		k.split.each(starts, history{}, func(value uint32, rows, _ history) { k.calendar(i, value, rows, rows) })
	default:
		k.split.each(starts, returns, func(value uint32, starts, returns history) { k.calendar(i, value, starts, returns) })
	}
}

// calendar counts an actor in the periods of the calendar, as far as its rows have one
// breakdown value.
func (k *compatReturner) calendar(i int, value uint32, starts, returns history) {
	r := k.r
	if len(starts.times) == 0 {
		return
	}
	first := starts.times[0]
	starts, returns = starts.within(r.from, r.to), returns.within(r.from, r.to)
	if len(starts.times) == 0 || r.once && starts.times[0] != first {
		return
	}
	k.starts = r.periods(k.starts[:0], starts.times, 1)
	if r.once {
		k.starts = k.starts[:1]
	}
	if r.node.Measure != nil {
		k.measure(i, value, starts, returns)
		return
	}
	k.visits = r.periods(k.visits[:0], returns.times, max(1, r.node.Minimum))
	k.come(i, value)
}

// days is how to read on which days actors have rows, if that is all there is to know.
func (r *compatRetention) days() (*indexed, *dayLine, bool) {
	n := r.node
	ix, ok := r.actors.(*indexed)
	if !ok || n.ByActor || n.Measure != nil || n.Minimum > 1 || r.bare() {
		return nil, nil, false
	}
	days, ok := ix.dayLine(r.line, r.from, r.to)
	return ix, days, ok
}

// days counts an actor in the periods of the calendar, from the days on which it has rows.
func (k *compatReturner) days(i int, line *dayLine, starts, returns []uint64) {
	before := false
	k.starts = k.starts[:0]
	eachDay(starts, func(d int) {
		before = before || !line.inside[d] && len(k.starts) == 0
		k.starts = line.period(k.starts, d)
	})
	if len(k.starts) == 0 || k.r.once && before {
		return
	}
	if k.r.once {
		k.starts = k.starts[:1]
	}
	k.visits = k.visits[:0]
	eachDay(returns, func(d int) { k.visits = line.period(k.visits, d) })
	k.come(i, 0)
}

// come counts an actor who starts and returns in the periods noted.
func (k *compatReturner) come(i int, value uint32) {
	r := k.r
	for _, row := range k.starts {
		k.columns = append(k.columns[:0], 0)
		for _, p := range k.visits {
			column := p - row
			if len(r.node.Brackets) > 0 {
				// Brackets are counted from the actor's first start, in later rows too.
				column = bracketOf(r.node.Brackets, p-k.starts[0])
			}
			k.visit(column)
		}
		k.add(i, value, row)
	}
}

// visit notes a column in which the actor is back, if it is one.
func (k *compatReturner) visit(column int) {
	if column > k.columns[len(k.columns)-1] && column < k.r.columns {
		k.columns = append(k.columns, column)
	}
}

// bracketOf is the number, from 1, of the bracket that contains a distance; 0 if none does.
func bracketOf(ends []int, distance int) int {
	if distance <= 0 || distance > ends[len(ends)-1] {
		return 0
	}
	return 1 + sort.SearchInts(ends, distance)
}

// periods appends the periods in which at least so many of the times lie.
func (r *compatRetention) periods(dst []int, times []int64, minimum int) []int {
	for j := 0; j < len(times); {
		p := r.line.bucket(times[j])
		end := skipTo(times, j, r.line.starts[p+1])
		if end-j >= minimum {
			dst = append(dst, p)
		}
		j = end
	}
	return dst
}

// measure counts an actor with the numbers of its rows: those of start events count in
// column 0, and those of return events in the column of their period. Return events of the
// start's own period count after the first start in it, and only if the plan says so.
func (k *compatReturner) measure(i int, value uint32, starts, returns history) {
	r := k.r
	number := func(h history, j int) float64 {
		if x := math.Float64frombits(uint64(h.nums[j])); h.nums[j] != noNumber && x == x {
			return x
		}
		return 0
	}
	for _, row := range k.starts {
		clear(k.sums)
		k.columns = append(k.columns[:0], 0)
		lo, hi := r.line.starts[row], r.line.starts[row+1]
		here := starts.within(lo, hi)
		for j := range here.times {
			k.sums[0] += number(here, j)
		}
		after := hi
		if r.node.Own {
			after = here.times[0] + 1
		}
		for j := skipTo(returns.times, 0, after); j < len(returns.times); j++ {
			column := r.line.bucket(returns.times[j]) - row
			if column >= r.columns {
				break
			}
			k.sums[column] += number(returns, j)
			k.visit(column)
		}
		k.add(i, value, row)
	}
}

// add counts the actor in the columns noted of a row.
func (k *compatReturner) add(i int, value uint32, row int) {
	r := k.r
	if last := k.columns[len(k.columns)-1]; r.node.OrAfter && r.node.Measure == nil {
		k.columns = k.columns[:0]
		for c := range last + 1 {
			k.columns = append(k.columns, c)
		}
	}
	g := k.out[value]
	if g == nil {
		g = &grid{counts: make([][]int64, r.line.count())}
		if r.node.Measure != nil {
			g.sums = make([][]float64, r.line.count())
		}
		g.periods = vec.Vector{Type: vec.ArrayOf(vec.Int4), Offs: []uint32{0}, Elem: &vec.Vector{Type: vec.T(vec.Int4)}}
		k.out[value] = g
		k.grown += int64(len(g.counts)) * 48
	}
	if g.counts[row] == nil {
		g.counts[row] = make([]int64, r.columns)
		k.grown += int64(r.columns) * 8
		if g.sums != nil {
			g.sums[row] = make([]float64, r.columns)
			k.grown += int64(r.columns) * 8
		}
	}
	for _, c := range k.columns {
		g.counts[row][c]++
		if g.sums != nil {
			g.sums[row][c] += k.sums[c]
		}
	}
	if r.node.Output != plan.OutputActors {
		return
	}
	g.actors, g.rows = append(g.actors, k.base+uint32(i)), append(g.rows, uint32(row))
	for _, c := range k.columns {
		g.periods.Elem.I64 = append(g.periods.Elem.I64, int64(c))
	}
	g.periods.Offs = append(g.periods.Offs, uint32(len(g.periods.Elem.I64)))
	k.grown += 12 + int64(len(k.columns))*8
}

// windows counts an actor in periods from its own start on. With a breakdown the start is
// one for all values, and every value of a row from then on has the actor.
func (k *compatReturner) windows(i int, starts, returns history) {
	r := k.r
	lo, hi := vec.NegInfinityTime, vec.InfinityTime
	if !r.once {
		lo, hi = r.from, r.to
	}
	starts, returns = starts.within(lo, hi), returns.within(lo, hi)
	if len(starts.times) == 0 {
		return
	}
	t0 := starts.times[0]
	row := r.windowOf(r.from, t0)
	if row < 0 || row >= r.line.count() {
		return
	}
	starts, returns = starts.within(t0, hi), returns.within(t0, hi)
	back := func(value uint32, returns history) {
		k.visits = k.visits[:0]
		for _, t := range returns.times {
			k.visits = append(k.visits, r.windowOf(t0, t))
		}
		// A zone that is set back by less than an hour can make them descend.
		slices.Sort(k.visits)
		k.columns = append(k.columns[:0], 0)
		for _, column := range k.visits {
			if len(r.node.Brackets) > 0 {
				column = bracketOf(r.node.Brackets, column)
			}
			k.visit(column)
		}
		k.add(i, value, row)
	}
	switch {
	case r.node.Breakdown == nil:
		back(0, returns)
	case r.same:
		k.split.each(returns, history{}, func(value uint32, rows, _ history) { back(value, rows) })
	default:
		k.split.each(starts, returns, func(value uint32, _, returns history) { back(value, returns) })
	}
}

// windowOf is how many whole periods lie between two instants, as clocks count: by the
// hours or the days that begin after the first and up to the second. A day is 24 hours, a
// month 30 days.
func (r *compatRetention) windowOf(a, b int64) int {
	every := r.node.Every
	if days := every.Days; every.Months > 0 || days >= 7 {
		size := int(every.Months)*30 + int(days)
		return floorDiv(dayNumber(time.UnixMicro(b).In(r.loc))-dayNumber(time.UnixMicro(a).In(r.loc)), size)
	}
	return floorDiv(clockHour(b, r.loc)-clockHour(a, r.loc), max(1, int(every.Days)*24+int(every.Micros/hour)))
}

const hour = int64(3_600_000_000)

// clockHour numbers the hours that a zone's clock strikes. A clock that is put forward or
// back by an hour strikes as often as any other.
func clockHour(us int64, loc *time.Location) int {
	_, offset := time.UnixMicro(us).In(loc).Zone()
	return floorDiv(int(us)+floorMod(offset, 3600)*1_000_000, int(hour))
}

func floorDiv(a, n int) int { return (a - floorMod(a, n)) / n }

// answer makes the rows of the answer: the grids of the breakdown values with the most
// actors in column 0, and then of the rest.
func (r *compatRetention) answer(ctx context.Context, grids []*grid) error {
	by := r.node.Breakdown
	var ids []uint32
	for v, g := range grids {
		if g != nil {
			ids = append(ids, uint32(v))
		}
	}
	if by == nil && len(ids) == 0 {
		ids = []uint32{0}
		grids[0] = &grid{counts: make([][]int64, r.line.count()), sums: make([][]float64, r.line.count())}
	}
	if by != nil {
		rankValues(ids, func(v uint32) int64 { return grids[v].size() }, r.actors.breakdown())
		if by.Top > 0 && len(ids) > by.Top {
			rest := grids[ids[by.Top]]
			for _, v := range ids[by.Top+1:] {
				rest.merge(grids[v])
			}
			ids = ids[:by.Top]
			if by.WithOther {
				ids, grids = append(ids, uint32(len(grids))), append(grids, rest)
			}
		}
	}
	if r.node.Output == plan.OutputActors {
		r.actorRows(grids, ids)
		return nil
	}
	bytes := int64(len(ids)*r.line.count()*r.columns) * cellBytes
	r.held.Add(bytes)
	if err := r.env.hold(ctx, bytes); err != nil {
		return err
	}
	r.matrixRows(grids, ids)
	return nil
}

// cellBytes is a row of the matrix: its breakdown value, cohort, period, count and measure.
const cellBytes = 4 + 4*8

// size is how often an actor starts.
func (g *grid) size() int64 {
	n := int64(0)
	for _, row := range g.counts {
		if row != nil {
			n += row[0]
		}
	}
	return n
}

func (r *compatRetention) matrixRows(grids []*grid, ids []uint32) {
	cohort, period := &vec.Vector{Type: vec.T(vec.TimestampTZ)}, &vec.Vector{Type: vec.T(vec.Int4)}
	count, measure := &vec.Vector{Type: vec.T(vec.Int8)}, &vec.Vector{Type: vec.T(vec.Float8)}
	var of []uint32
	for _, v := range ids {
		g := grids[v]
		for row := range r.line.count() {
			for c := range r.columns {
				of = append(of, v)
				cohort.I64, period.I64 = append(cohort.I64, r.line.starts[row]), append(period.I64, int64(c))
				n, x := int64(0), 0.0
				if g.counts[row] != nil {
					n = g.counts[row][c]
					if g.sums != nil {
						x = g.sums[row][c]
					}
				}
				count.I64, measure.F64 = append(count.I64, n), append(measure.F64, x)
			}
		}
	}
	r.rows = len(of)
	r.cols = append(breakdownColumns(r.node.Breakdown, r.actors.breakdown(), of), cohort, period, count)
	if r.node.Measure != nil {
		r.cols = append(r.cols, measure)
	}
}

func (r *compatRetention) actorRows(grids []*grid, ids []uint32) {
	cohort := &vec.Vector{Type: vec.T(vec.TimestampTZ)}
	periods := vec.NewBuilder(vec.ArrayOf(vec.Int4))
	var of, who []uint32
	for _, v := range ids {
		g := grids[v]
		order := make([]int, len(g.actors))
		for i := range order {
			order[i] = i
		}
		sort.Slice(order, func(i, j int) bool {
			a, b := order[i], order[j]
			if g.rows[a] != g.rows[b] {
				return g.rows[a] < g.rows[b]
			}
			return g.actors[a] < g.actors[b]
		})
		for at := 0; at < len(order); {
			i := order[at]
			of, who = append(of, v), append(who, g.actors[i])
			cohort.I64 = append(cohort.I64, r.line.starts[g.rows[i]])
			end := at + 1
			for end < len(order) && g.actors[order[end]] == g.actors[i] && g.rows[order[end]] == g.rows[i] {
				end++
			}
			g.appendPeriods(periods, order[at:end])
			at = end
		}
	}
	r.rows = len(of)
	r.cols = append(breakdownColumns(r.node.Breakdown, r.actors.breakdown(), of), cohort, r.actors.vector(who), periods.V)
}

// appendPeriods appends the columns of an actor in a row. Among the rest an actor may be
// there more than once, with several values: its columns are united.
func (g *grid) appendPeriods(b *vec.Builder, at []int) {
	if len(at) == 1 {
		b.AppendFrom(&g.periods, at[0])
		return
	}
	var all []int64
	for _, i := range at {
		all = append(all, g.periods.Elem.I64[g.periods.Offs[i]:g.periods.Offs[i+1]]...)
	}
	slices.Sort(all)
	all = slices.Compact(all)
	one := &vec.Vector{Type: vec.ArrayOf(vec.Int4), Offs: []uint32{0, uint32(len(all))}, Elem: &vec.Vector{Type: vec.T(vec.Int4), I64: all}}
	b.AppendFrom(one, 0)
}
