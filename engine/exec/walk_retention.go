package exec

import (
	"context"
	"sort"
	"time"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/vec"
)

// retention counts actors who come back, by cohort and period. A cohort is a bucket of the
// timeline; its columns are periods, or brackets of them.
type retention struct {
	answered
	node     *plan.Retention
	from, to int64
	loc      *time.Location
	line     *timeline
	unit     window // with ALIGN ACTOR, a period
	actors   actors
	last     int // bucket of the last event
	same     bool
	measure  *measure // or nil
	sameDay  *sameDay // of returns, with days; or nil
}

// matrix is the counts of one breakdown value.
type matrix struct {
	size     []int64   // actors of each cohort
	retained [][]int64 // by cohort and column, as far as there are events
	// With MEASURE: the cells by cohort and column, 0 where there is none, and the matrices
	// that were merged into this one with theirs.
	cells  [][]uint32
	pooled []*matrix
	// With actor output: who was in which cohort, and came back when.
	actors, cohorts []uint32
	back            vec.Vector // int4[] of periods
}

func newRetention(n *plan.Retention, env *Env) (Operator, error) {
	if n.Compatible {
		return &compatRetention{answered: answered{env: env, spills: spills{env: env, node: n}}, node: n}, nil
	}
	return &retention{answered: answered{env: env, spills: spills{env: env, node: n}}, node: n}, nil
}

func (r *retention) Next(ctx context.Context) (*vec.Batch, error) { return r.next(ctx, r.run) }

func (r *retention) run(ctx context.Context) error {
	n := r.node
	loc, err := location(&n.Source, r.env)
	if err != nil {
		return err
	}
	r.loc = loc
	if r.from, r.to, err = during(&n.Source, r.env); err != nil {
		return err
	}
	conds := []expr.Expr{n.Start}
	r.same = n.Return == nil || expr.String(n.Return) == expr.String(n.Start)
	if !r.same {
		conds = append(conds, n.Return)
	}
	refs := !r.same || n.Breakdown != nil
	if n.FirstOf != nil {
		conds, refs = append(conds, n.FirstOf), true
	}
	if err := r.open(ctx, conds, refs); err != nil {
		return err
	}
	lo, hi := r.actors.bounds()
	if lo > hi { // no rows at all
		return nil
	}
	first := max(lo, min(r.from, hi))
	if r.line, err = newTimeline(first, max(hi, r.env.Expr.Now)+1, n.Every, loc, n.Sunday); err != nil {
		return err
	}
	r.last, r.unit = r.line.bucket(hi), newWindow(n.Every, loc)
	matrices, err := r.count(ctx)
	if err != nil {
		return err
	}
	matrices, ids := r.finish(matrices)
	return r.answer(ctx, matrices, ids)
}

// open makes the actors ready. An aggregate needs values of any column, so rows are read
// for it.
func (r *retention) open(ctx context.Context, conds []expr.Expr, refs bool) error {
	n := r.node
	if n.Measure == nil {
		var err error
		r.actors, err = openActors(ctx, n, &n.Source, conds, need{refs: refs, spills: &r.spills}, r.env)
		return err
	}
	returns := 1
	if r.same {
		returns = 0
	}
	values := newMeasuredRows(n.Measure, returns)
	rows, err := openRowsWith(ctx, n, &n.Source, conds, alongside{values: values}, r.env)
	if err != nil {
		return err
	}
	r.actors = rows
	r.measure, err = newMeasure(values, r.env)
	return err
}

// count walks all actors.
func (r *retention) count(ctx context.Context) ([]*matrix, error) {
	values := r.actors.breakdown().count()
	parts := make([][]*matrix, r.env.Threads)
	var err error
	ix, days, ok := r.days()
	if ok {
		ix.only, err = r.countDays(ctx, ix, days, parts)
	}
	if err == nil && (!ok || ix.only.Any()) {
		err = r.actors.blocks(ctx, func(ctx context.Context, w int, b *block) error {
			if parts[w] == nil {
				parts[w] = make([]*matrix, values)
			}
			k := &returner{r: r, base: b.base, b: b, ctx: ctx, out: parts[w]}
			for i := range b.count {
				if b.conds[0].countOf(i) == 0 {
					continue
				}
				if err := k.actor(i); err != nil {
					return err
				}
				if err := k.holdMuch(); err != nil {
					return err
				}
			}
			return k.hold()
		})
	}
	if err != nil {
		return nil, err
	}
	out := make([]*matrix, values)
	for _, part := range parts {
		mergeValues(out, part)
	}
	return out, nil
}

func (m *matrix) merge(o *matrix) {
	for i, x := range o.size {
		m.size[i] += x
	}
	for c, row := range o.retained {
		if m.retained[c] == nil {
			m.retained[c] = row
			continue
		}
		for p, x := range row {
			m.retained[c][p] += x
		}
	}
	m.pooled = append(append(m.pooled, o), o.pooled...)
	m.actors = append(m.actors, o.actors...)
	m.cohorts = append(m.cohorts, o.cohorts...)
	b := vec.Builder{V: &m.back}
	for i := range o.actors {
		b.AppendFrom(&o.back, i)
	}
}

// returner walks the actors of one block.
type returner struct {
	r    *retention
	base uint32          // actor of position 0
	b    *block          // nil where days are counted
	ctx  context.Context // of the block's walk
	out  []*matrix
	// visits is the periods of the calendar in which the actor returned, ascending, and how
	// often.
	visits []visit
	came   []visit // the columns of one start in which the actor returned, likewise
	kept   []int   // the columns in which that is enough
	grown  int64   // bytes kept and not accounted for yet
}

type visit struct {
	period int
	count  int
}

func (k *returner) hold() error {
	grown := k.grown
	k.grown = 0
	k.r.held.Add(grown)
	return k.r.env.hold(k.ctx, grown)
}

// holdMuch is hold if there is much.
func (k *returner) holdMuch() error {
	if k.grown <= 1<<20 {
		return nil
	}
	return k.hold()
}

func (k *returner) actor(i int) error {
	r, starts := k.r, k.b.conds[0].of(i)
	returns := starts
	if !r.same {
		returns = k.b.conds[1].of(i)
	}
	if !r.node.ByActor {
		k.visit(returns)
	}
	if r.node.Rule == plan.EveryTime {
		last := -1
		for s := skipTo(starts, 0, r.from); s < len(starts) && starts[s] < r.to; s++ {
			c := r.line.bucket(starts[s])
			if c == last {
				continue
			}
			last = c
			if err := k.start(i, s, c, starts, returns); err != nil {
				return err
			}
		}
		return nil
	}
	s, err := k.first(i, starts)
	if err != nil || s == len(starts) || starts[s] < r.from || starts[s] >= r.to {
		return err
	}
	return k.start(i, s, r.line.bucket(starts[s]), starts, returns)
}

// first is the position of the start of an actor who starts once; len(starts) if it does
// not.
func (k *returner) first(i int, starts []int64) (int, error) {
	r := k.r
	switch {
	case r.node.Rule == plan.FirstInRange:
		return skipTo(starts, 0, r.from), nil
	case r.node.FirstOf == nil:
		return 0, nil
	}
	of := &k.b.conds[len(k.b.conds)-1]
	if of.countOf(i) == 0 {
		return len(starts), nil
	}
	at, row := of.of(i)[0], of.refsOf(i)[0]
	for s := skipTo(starts, 0, at); s < len(starts) && starts[s] == at; s++ {
		if c, err := r.actors.before(k.b.conds[0].refsOf(i)[s], row); c == 0 || err != nil {
			return s, err
		}
	}
	return len(starts), nil
}

// after is the position of the first return that comes after start s in the order of the
// actor's rows.
func (k *returner) after(i, s int, starts, returns []int64) (int, error) {
	if k.r.same {
		return s + 1, nil
	}
	at := skipTo(returns, 0, starts[s])
	for at < len(returns) && returns[at] == starts[s] {
		c, err := k.r.actors.before(k.b.conds[1].refsOf(i)[at], k.b.conds[0].refsOf(i)[s])
		if err != nil {
			return 0, err
		}
		if c > 0 {
			break
		}
		at++
	}
	return at, nil
}

// visit lists the periods of returns, and how many fall into each.
func (k *returner) visit(returns []int64) {
	line := k.r.line
	k.visits = k.visits[:0]
	for j := 0; j < len(returns); {
		p := line.bucket(returns[j])
		if p < 0 {
			j++
			continue
		}
		end := line.starts[p+1]
		n := 0
		for j < len(returns) && returns[j] < end {
			n++
			j++
		}
		k.visits = append(k.visits, visit{p, n})
	}
}

// start counts the actor in cohort c, which start s opens to it.
func (k *returner) start(i, s, c int, starts, returns []int64) error {
	r := k.r
	from, err := k.after(i, s, starts, returns)
	if err != nil {
		return err
	}
	k.came = k.came[:0]
	if r.node.ByActor {
		k.own(starts[s], returns[from:])
	} else {
		end := r.line.starts[c+1]
		n := 0
		for from+n < len(returns) && returns[from+n] < end {
			n++
		}
		k.come(0, n)
		for _, v := range k.visits {
			if v.period > c {
				k.come(v.period-c, v.count)
			}
		}
	}
	value := uint32(0)
	if r.node.Breakdown != nil {
		value = k.b.conds[0].valsOf(i)[s]
	}
	m := k.count(i, c, value)
	if r.measure == nil {
		return nil
	}
	list := &k.b.conds[0]
	if !r.same {
		list = &k.b.conds[1]
	}
	return k.measure(m, c, starts[s], returns[from:], list.refsOf(i)[from:])
}

// own notes in which periods of the actor's own, counted from its start, returns lie.
func (k *returner) own(start int64, returns []int64) {
	for j := 0; j < len(returns); {
		p := k.r.distance(start, returns[j])
		end := k.r.nth(start, p+1)
		n := 1
		for j+n < len(returns) && returns[j+n] < end {
			n++
		}
		k.come(p, n)
		j += n
	}
}

// come notes that the actor returned so often in a period after its start. Periods come in
// ascending order.
func (k *returner) come(period, n int) {
	column := k.r.column(period)
	if n == 0 || column < 0 {
		return
	}
	if last := len(k.came) - 1; last >= 0 && k.came[last].period == column {
		k.came[last].count += n
		return
	}
	k.came = append(k.came, visit{column, n})
}

// column is the column of a period: its own, or the bracket that contains it. What lies
// beyond the last bracket is in one more; period 0 is in none.
func (r *retention) column(period int) int {
	if r.node.Brackets == nil {
		return period
	}
	if period == 0 {
		return -1
	}
	return sort.SearchInts(r.node.Brackets, period)
}

// label is what the answer calls a column: its period, or the last period of its bracket.
func (r *retention) label(column int) int {
	if r.node.Brackets == nil {
		return column
	}
	return r.node.Brackets[column]
}

// nth is the instant so many periods after another, by the calendar.
func (r *retention) nth(start int64, n int) int64 {
	if r.unit.fixed >= 0 {
		return start + int64(n)*r.unit.fixed
	}
	iv := r.node.Every
	iv.Months, iv.Days, iv.Micros = iv.Months*int32(n), iv.Days*int32(n), iv.Micros*int64(n)
	return addInterval(time.UnixMicro(start).In(r.loc), iv).UnixMicro()
}

// distance is how many periods have passed between two instants.
func (r *retention) distance(from, to int64) int {
	if r.unit.fixed >= 0 {
		return int((to - from) / r.unit.fixed)
	}
	a, b := time.UnixMicro(from).In(r.loc), time.UnixMicro(to).In(r.loc)
	n := 0
	if every := r.node.Every; every.Months > 0 {
		n = ((b.Year()-a.Year())*12 + int(b.Month()-a.Month())) / int(every.Months)
	} else {
		n = (dayNumber(b) - dayNumber(a)) / int(every.Days)
	}
	for r.nth(from, n+1) <= to {
		n++
	}
	for n > 0 && r.nth(from, n) > to {
		n--
	}
	return n
}

// cohort is the matrix of a value with more actors in cohort c, and the counts of that cohort.
func (k *returner) cohort(c int, value uint32, actors int) (*matrix, []int64) {
	r := k.r
	m := k.out[value]
	if m == nil {
		n := r.line.count()
		m = &matrix{size: make([]int64, n), retained: make([][]int64, n)}
		m.back = vec.Vector{Type: vec.ArrayOf(vec.Int4), Offs: []uint32{0}, Elem: &vec.Vector{Type: vec.T(vec.Int4)}}
		if r.measure != nil {
			m.cells = make([][]uint32, n)
		}
		k.out[value] = m
		k.grown += int64(n) * 56
	}
	row := m.retained[c]
	if row == nil {
		row = make([]int64, r.reach(c))
		m.retained[c] = row
		k.grown += int64(len(row)) * 8
		if r.measure != nil {
			m.cells[c] = make([]uint32, len(row))
			k.grown += int64(len(row)) * 4
		}
	}
	m.size[c] += int64(actors)
	return m, row
}

// count adds the actor to cohort c with what it came back for.
func (k *returner) count(i, c int, value uint32) *matrix {
	r := k.r
	m, row := k.cohort(c, value, 1)
	minimum := max(1, r.node.Minimum)
	k.kept = k.kept[:0]
	last := -1
	for _, v := range k.came {
		if v.count < minimum {
			continue
		}
		if last = v.period; last < len(row) {
			k.kept = append(k.kept, last)
		}
	}
	if r.node.OrAfter {
		k.kept = k.kept[:0]
		for column := range min(last+1, len(row)) {
			k.kept = append(k.kept, column)
		}
	}
	for _, column := range k.kept {
		row[column]++
	}
	if r.node.Output == plan.OutputActors {
		k.note(m, i, c)
	}
	return m
}

// note lists the actor in cohort c with the columns kept.
func (k *returner) note(m *matrix, i, c int) {
	for _, column := range k.kept {
		m.back.Elem.I64 = append(m.back.Elem.I64, int64(k.r.label(column)))
	}
	m.actors = append(m.actors, k.base+uint32(i))
	m.cohorts = append(m.cohorts, uint32(c))
	m.back.Offs = append(m.back.Offs, uint32(len(m.back.Elem.I64)))
	k.grown += 12 + int64(len(k.kept))*8
}

// reach is how many columns of cohort c there can be returns in.
func (r *retention) reach(c int) int {
	if len(r.node.Brackets) > 0 {
		return len(r.node.Brackets)
	}
	reach := r.last - c + 1
	if r.node.ByActor { // where a change of the clock leaves a local time out, a period may end early
		reach++
	}
	if r.node.Periods > 0 {
		return min(reach, r.node.Periods)
	}
	return reach
}

// measure puts the returns after a start into the cells of cohort c.
func (k *returner) measure(m *matrix, c int, start int64, returns []int64, refs []rowRef) error {
	r, cells := k.r, m.cells[c]
	for j, t := range returns {
		p := r.line.bucket(t) - c
		if r.node.ByActor {
			p = r.distance(start, t)
		}
		column := r.column(p)
		if column < 0 || column >= len(cells) {
			continue
		}
		if cells[column] == 0 {
			cells[column] = r.measure.cell()
		}
		if err := r.measure.add(k.ctx, cells[column], refs[j].row); err != nil {
			return err
		}
	}
	return nil
}

// finish keeps the breakdown values of the largest cohorts, the first TOP of them, and puts
// the rest behind them as one, if that is asked for.
func (r *retention) finish(matrices []*matrix) ([]*matrix, []uint32) {
	ids := present(matrices)
	by := r.node.Breakdown
	if by == nil {
		return matrices, ids
	}
	rankValues(ids, matrixSize(matrices), r.actors.breakdown())
	if by.Top == 0 || len(ids) <= by.Top {
		return matrices, ids
	}
	rest := matrices[ids[by.Top]]
	for _, v := range ids[by.Top+1:] {
		rest.merge(matrices[v])
	}
	ids = ids[:by.Top]
	if by.WithOther {
		ids, matrices = append(ids, uint32(len(matrices))), append(matrices, rest)
	}
	return matrices, ids
}

func present(matrices []*matrix) []uint32 {
	var ids []uint32
	for v, m := range matrices {
		if m != nil {
			ids = append(ids, uint32(v))
		}
	}
	return ids
}

func matrixSize(matrices []*matrix) func(uint32) int64 {
	return func(v uint32) int64 {
		n := int64(0)
		for _, x := range matrices[v].size {
			n += x
		}
		return n
	}
}
