package exec

import (
	"context"
	"sort"
	"sync/atomic"
	"time"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/vec"
)

// retention counts actors who come back, by cohort and period.
type retention struct {
	node     *plan.Retention
	env      *Env
	from, to int64
	loc      *time.Location
	line     *timeline
	actors   actors
	last     int // bucket of the last event
	same     bool
	held     atomic.Int64 // bytes accounted for
	cols     []*vec.Vector
	rows     int
	at       int
	done     bool
}

// matrix is the counts of one breakdown value.
type matrix struct {
	size     []int64   // actors of each cohort
	retained [][]int64 // by cohort and period, as far as there are events
	// With actor output: who was in which cohort, and came back when.
	actors, cohorts []uint32
	back            vec.Vector // int4[] of periods
}

func newRetention(n *plan.Retention, env *Env) (Operator, error) {
	if n.Compatible {
		return &compatRetention{node: n, env: env}, nil
	}
	return &retention{node: n, env: env}, nil
}

func (r *retention) Next(ctx context.Context) (*vec.Batch, error) {
	if !r.done {
		if err := r.run(ctx); err != nil {
			return nil, err
		}
		r.done = true
	}
	return slice(r.cols, r.rows, &r.at), nil
}

func (r *retention) Close() error {
	r.env.release(r.held.Load())
	return nil
}

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
	if r.actors, err = openActors(ctx, n, &n.Source, conds, !r.same || n.Breakdown != nil, r.env); err != nil {
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
	r.last = r.line.bucket(hi)
	matrices, err := r.count(ctx)
	if err != nil {
		return err
	}
	r.finish(matrices)
	r.answer(matrices)
	return nil
}

// count walks all actors.
func (r *retention) count(ctx context.Context) ([]*matrix, error) {
	values := r.actors.breakdown().count()
	parts := make([][]*matrix, r.env.Threads)
	err := r.actors.blocks(ctx, func(w int, b *block) error {
		if parts[w] == nil {
			parts[w] = make([]*matrix, values)
		}
		k := &returner{r: r, b: b, out: parts[w]}
		for i := range b.count {
			if b.conds[0].countOf(i) == 0 {
				continue
			}
			if err := k.actor(i); err != nil {
				return err
			}
			if grown := k.grown; grown > 0 {
				k.grown = 0
				r.held.Add(grown)
				if err := r.env.hold(ctx, grown); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	out := make([]*matrix, values)
	for _, part := range parts {
		for v, m := range part {
			switch {
			case m == nil:
			case out[v] == nil:
				out[v] = m
			default:
				out[v].merge(m)
			}
		}
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
	m.actors = append(m.actors, o.actors...)
	m.cohorts = append(m.cohorts, o.cohorts...)
	b := vec.Builder{V: &m.back}
	for i := range o.actors {
		b.AppendFrom(&o.back, i)
	}
}

// returner walks the actors of one block.
type returner struct {
	r   *retention
	b   *block
	out []*matrix
	// visits is the periods in which the actor returned, ascending, and how often.
	visits []visit
	grown  int64 // bytes kept and not accounted for yet
}

type visit struct {
	period int
	count  int
}

func (k *returner) actor(i int) error {
	r, starts := k.r, k.b.conds[0].of(i)
	returns := starts
	if !r.same {
		returns = k.b.conds[1].of(i)
	}
	k.visits = k.visits[:0]
	if r.node.Rule == plan.EveryTime {
		k.visit(returns)
		last := -1
		for s := skipTo(starts, 0, r.from); s < len(starts) && starts[s] < r.to; s++ {
			c := r.line.bucket(starts[s])
			if c == last {
				continue
			}
			last = c
			after, err := k.after(i, s, starts, returns)
			if err != nil {
				return err
			}
			if err := k.count(i, s, c, k.within(returns[after:], c)); err != nil {
				return err
			}
		}
		return nil
	}
	s := 0
	if r.node.Rule == plan.FirstInRange {
		s = skipTo(starts, 0, r.from)
	}
	if s == len(starts) || starts[s] < r.from || starts[s] >= r.to {
		return nil
	}
	c := r.line.bucket(starts[s])
	after, err := k.after(i, s, starts, returns)
	if err != nil {
		return err
	}
	k.visit(returns[after:])
	return k.count(i, s, c, k.within(returns[after:], c))
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

// within is how many of the returns, which are in order, lie in period p.
func (k *returner) within(returns []int64, p int) int {
	end := k.r.line.starts[p+1]
	n := 0
	for n < len(returns) && returns[n] < end {
		n++
	}
	return n
}

// count adds the actor to cohort c, opened by start s, with so many returns in period 0.
func (k *returner) count(i, s, c, inPeriod0 int) error {
	r := k.r
	value := uint32(0)
	if r.node.Breakdown != nil {
		value = k.b.conds[0].valsOf(i)[s]
	}
	m := k.out[value]
	if m == nil {
		n := r.line.count()
		m = &matrix{size: make([]int64, n), retained: make([][]int64, n)}
		m.back = vec.Vector{Type: vec.ArrayOf(vec.Int4), Offs: []uint32{0}, Elem: &vec.Vector{Type: vec.T(vec.Int4)}}
		k.out[value] = m
	}
	row := m.retained[c]
	if row == nil {
		width := r.last - c + 1
		if r.node.Periods > 0 {
			width = min(width, r.node.Periods)
		}
		row = make([]int64, width)
		m.retained[c] = row
		k.grown += int64(width) * 8
	}
	m.size[c]++
	list := r.node.Output == plan.OutputActors
	minimum := max(1, r.node.Minimum)
	back := func(p int) {
		row[p]++
		if list {
			m.back.Elem.I64 = append(m.back.Elem.I64, int64(p))
		}
	}
	if inPeriod0 >= minimum {
		back(0)
	}
	for _, v := range k.visits {
		if p := v.period - c; p > 0 && p < len(row) && v.count >= minimum {
			back(p)
		}
	}
	if list {
		m.actors = append(m.actors, k.b.base+uint32(i))
		m.cohorts = append(m.cohorts, uint32(c))
		m.back.Offs = append(m.back.Offs, uint32(len(m.back.Elem.I64)))
	}
	return nil
}

// finish ranks the breakdown values by cohort size and keeps the first TOP of them.
func (r *retention) finish(matrices []*matrix) {
	by := r.node.Breakdown
	if by == nil || by.Top == 0 {
		return
	}
	ids := present(matrices)
	rankValues(ids, matrixSize(matrices), r.actors.breakdown())
	for i, v := range ids {
		if i >= by.Top {
			matrices[v] = nil
		}
	}
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

// answer makes the rows of the answer.
func (r *retention) answer(matrices []*matrix) {
	ids := present(matrices)
	if r.node.Breakdown != nil {
		rankValues(ids, matrixSize(matrices), r.actors.breakdown())
	}
	switch r.node.Output {
	case plan.OutputActors:
		r.actorRows(matrices, ids)
	case plan.OutputCurve:
		r.curveRows(matrices, ids)
	default:
		r.matrixRows(matrices, ids)
	}
}

// end is the end of the period p after cohort c, or an instant far away if the timeline
// does not go so far: such a period has not ended.
func (r *retention) end(c, p int) int64 {
	if c+p+1 < len(r.line.starts) {
		return r.line.starts[c+p+1]
	}
	return r.beyond(c + p + 1)
}

// beyond extends the timeline's last bucket: only used to say whether a period is over,
// which it can be after the last event.
func (r *retention) beyond(i int) int64 {
	last := len(r.line.starts) - 1
	at := time.UnixMicro(r.line.starts[last]).In(r.loc)
	for range i - last {
		at = addInterval(at, r.node.Every)
	}
	return at.UnixMicro()
}

func (r *retention) matrixRows(matrices []*matrix, ids []uint32) {
	cohort, period := &vec.Vector{Type: vec.T(vec.TimestampTZ)}, &vec.Vector{Type: vec.T(vec.Int4)}
	size, retained := &vec.Vector{Type: vec.T(vec.Int8)}, &vec.Vector{Type: vec.T(vec.Int8)}
	rate, done := vec.NewBuilder(vec.T(vec.Float8)), &vec.Vector{Type: vec.T(vec.Bool)}
	var values []uint32
	for _, v := range ids {
		m := matrices[v]
		for c, n := range m.size {
			if n == 0 {
				continue
			}
			for p := range r.width(c) {
				back := m.returned(c, p)
				values = append(values, v)
				cohort.I64 = append(cohort.I64, r.line.starts[c])
				period.I64 = append(period.I64, int64(p))
				size.I64 = append(size.I64, n)
				retained.I64 = append(retained.I64, back)
				appendRate(rate, back, n)
				done.Bools = append(done.Bools, r.end(c, p) <= r.env.Expr.Now)
			}
		}
	}
	r.rows = len(values)
	r.cols = append(breakdownColumns(r.node.Breakdown, r.actors.breakdown(), values),
		cohort, period, size, retained, rate.V, done)
}

// width is how many periods cohort c has in the answer: as many as were asked for, or else
// those that have begun.
func (r *retention) width(c int) int {
	if r.node.Periods > 0 {
		return r.node.Periods
	}
	return max(1, r.line.bucket(max(r.env.Expr.Now, r.line.starts[0]))-c+1)
}

// returned is how many actors of cohort c came back in period p.
func (m *matrix) returned(c, p int) int64 {
	if p >= len(m.retained[c]) {
		return 0
	}
	return m.retained[c][p]
}

func (r *retention) curveRows(matrices []*matrix, ids []uint32) {
	period := &vec.Vector{Type: vec.T(vec.Int4)}
	size, retained := &vec.Vector{Type: vec.T(vec.Int8)}, &vec.Vector{Type: vec.T(vec.Int8)}
	rate := vec.NewBuilder(vec.T(vec.Float8))
	var values []uint32
	for _, v := range ids {
		m := matrices[v]
		periods := 0
		for c, n := range m.size {
			if n > 0 {
				periods = max(periods, r.width(c))
			}
		}
		for p := range periods {
			var n, back int64
			for c := range m.size {
				if m.size[c] == 0 || p >= r.width(c) || r.end(c, p) > r.env.Expr.Now {
					continue
				}
				n += m.size[c]
				back += m.returned(c, p)
			}
			values = append(values, v)
			period.I64 = append(period.I64, int64(p))
			size.I64 = append(size.I64, n)
			retained.I64 = append(retained.I64, back)
			appendRate(rate, back, n)
		}
	}
	r.rows = len(values)
	r.cols = append(breakdownColumns(r.node.Breakdown, r.actors.breakdown(), values), period, size, retained, rate.V)
}

func (r *retention) actorRows(matrices []*matrix, ids []uint32) {
	cohort := &vec.Vector{Type: vec.T(vec.TimestampTZ)}
	back := vec.NewBuilder(vec.ArrayOf(vec.Int4))
	var values, who []uint32
	for _, v := range ids {
		m := matrices[v]
		order := make([]int, len(m.actors))
		for i := range order {
			order[i] = i
		}
		sort.SliceStable(order, func(i, j int) bool { return m.cohorts[order[i]] < m.cohorts[order[j]] })
		for _, i := range order {
			values, who = append(values, v), append(who, m.actors[i])
			cohort.I64 = append(cohort.I64, r.line.starts[m.cohorts[i]])
			back.AppendFrom(&m.back, i)
		}
	}
	r.rows = len(values)
	r.cols = append(breakdownColumns(r.node.Breakdown, r.actors.breakdown(), values), cohort, r.actors.vector(who), back.V)
}
