package exec

import (
	"context"
	"math/bits"
	"slices"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/vec"
)

// compatFunnel is a funnel by the rules of the insight queries running. They are stated
// per actor, over all of its rows within DURING that satisfy a step or an exclusion:
//
//   - which rows take part, and with what marks: gather, below;
//   - which breakdown values the actor is evaluated for, over which rows: values, below;
//   - how far it comes: orderedMatcher and unorderedMatcher for OUTPUT STEPS and ACTORS,
//     orderedTrend and unorderedTrend for OUTPUT TREND;
//   - what all actors add up to: compatTally.
type compatFunnel struct {
	answered
	node     *plan.Funnel
	from, to int64
	rules    compatRules
	lists    int   // lists of rows that take part; those of first rows come after
	first    []int // per step: the list whose first row alone can be the step, or -1
	bars     []uint64
	read     func(context.Context, *plan.Source, []expr.Expr, need) (actors, error)
	actors   actors
	line     *timeline // of OUTPUT TREND
}

// compatRules is what the matchers know of the funnel.
type compatRules struct {
	steps    int
	window   int64  // µs; a row that is exactly so far from the start is inside
	optional uint64 // bit k-1: step k is
	strict   bool
	// byStep is the position of the step that gives the breakdown value, or -1.
	byStep int
	// fromStep and toStep are the steps, from 1, between which OUTPUT TREND counts.
	fromStep, toStep int
}

// compatRow is a row of an actor as the matchers see it.
type compatRow struct {
	time  int64
	steps uint64 // bit k-1: satisfies step k
	bars  uint64 // bit k-1: an exclusion forbids it between step k-1 and step k
	marks int    // how many marks it has: a forbidden place counts once per exclusion
	value uint32
}

// same says whether two rows have the same marks.
func (r *compatRow) same(o *compatRow) bool {
	return r.steps == o.steps && r.bars == o.bars && r.marks == o.marks
}

// wrongValue says whether a row may not follow step p because the attempt is evaluated for
// another breakdown value than the row's.
func (c *compatRules) wrongValue(r *compatRow, p int, value uint32) bool {
	return p == c.byStep && r.value != value
}

func newCompatFunnel(n *plan.Funnel, env *Env) Operator {
	f := &compatFunnel{answered: answered{env: env, spills: spills{env: env, node: n}}, node: n}
	f.read = func(ctx context.Context, src *plan.Source, conds []expr.Expr, need need) (actors, error) {
		return openActors(ctx, n, src, conds, need, env)
	}
	f.rules = compatRules{steps: len(n.Steps), window: vec.InfinityTime, strict: n.Mode == plan.Strict, byStep: -1}
	if n.Within != nil {
		f.rules.window = int64(n.Within.Days)*day + n.Within.Micros
	}
	for i := range n.Steps {
		if n.Steps[i].Optional {
			f.rules.optional |= 1 << i
		}
	}
	for _, x := range n.Exclude {
		bar := uint64(0)
		for k := x.After + 2; k <= x.Before+1; k++ {
			bar |= 1 << (k - 1)
		}
		f.bars = append(f.bars, bar)
	}
	if n.Breakdown != nil && n.Breakdown.Attribute == plan.AttributeStep {
		f.rules.byStep = n.Breakdown.Step
	}
	if n.Trend != nil {
		f.rules.fromStep, f.rules.toStep = n.Trend.From+1, n.Trend.To+1
	}
	return f
}

func (f *compatFunnel) Next(ctx context.Context) (*vec.Batch, error) { return f.next(ctx, f.run) }

func (f *compatFunnel) run(ctx context.Context) error {
	var err error
	if f.from, f.to, err = during(&f.node.Source, f.env); err != nil {
		return err
	}
	if f.actors, err = f.open(ctx); err != nil {
		return err
	}
	if f.node.Output == plan.OutputTrend {
		if f.line, err = trendLine(f.node, f.actors, f.from, f.to, f.env); err != nil {
			return err
		}
	}
	tallies, err := f.count(ctx)
	if err != nil {
		return err
	}
	f.answer(f.rank(tallies))
	return nil
}

// open reads the lists: one for each step, one for each exclusion, one of all rows if the
// mode is strict, and those that first rows are looked for in.
func (f *compatFunnel) open(ctx context.Context) (actors, error) {
	n := f.node
	var conds []expr.Expr
	for i := range n.Steps {
		conds = append(conds, n.Steps[i].Cond)
	}
	for i := range n.Exclude {
		conds = append(conds, n.Exclude[i].Cond)
	}
	need := need{refs: true, spills: &f.spills}
	if f.rules.strict {
		need.whole = len(conds)
		conds = append(conds, nil)
	}
	f.lists = len(conds)
	f.first = make([]int, len(n.Steps))
	for i := range f.first {
		f.first[i] = -1
	}
	if !n.FirstEver() {
		return f.read(ctx, &n.Source, conds, need)
	}
	// The search for first rows ignores WHERE, so it becomes one with the other conditions.
	src := n.Source
	src.Where = nil
	if n.Where != nil {
		for i, c := range conds {
			conds[i] = n.Where
			if c != nil {
				conds[i] = &expr.And{Args: []expr.Expr{n.Where, c}}
			}
		}
	}
	if n.Person == nil || expr.String(n.Person) == expr.String(n.Actor) {
		for i := range n.Steps {
			if n.Steps[i].First != nil {
				f.first[i] = len(conds)
				conds = append(conds, n.Steps[i].First)
			}
		}
		return f.read(ctx, &src, conds, need)
	}
	var debuts []*debut
	for i := range n.Steps {
		if n.Steps[i].First != nil {
			debuts = append(debuts, newDebut(i, n.Steps[i].First, n.Person, n.Time, n.Tie))
		}
	}
	return openRowsWith(ctx, n, &src, conds, alongside{debuts: debuts}, f.env)
}

// count walks all actors.
func (f *compatFunnel) count(ctx context.Context) ([]*compatTally, error) {
	values := f.actors.breakdown().count()
	walkers := make([]*compatWalker, f.env.Threads)
	err := f.actors.blocks(ctx, func(ctx context.Context, w int, b *block) error {
		k := walkers[w]
		if k == nil {
			k = newCompatWalker(f, values)
			walkers[w] = k
		}
		for i := range b.count {
			if i&0xfff == 0 {
				if err := yield(ctx); err != nil {
					return err
				}
			}
			if err := k.actor(b, i); err != nil {
				return err
			}
			if k.grown > 0 {
				f.held.Add(k.grown)
				if err := f.env.hold(ctx, k.grown); err != nil {
					return err
				}
				k.grown = 0
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	out := make([]*compatTally, values)
	for _, k := range walkers {
		if k == nil {
			continue
		}
		mergeValues(out, k.out)
	}
	return out, nil
}

// matcher finds how far one actor comes, in OUTPUT STEPS and ACTORS.
type matcher interface {
	// match says which steps were done, one bit each, and when those that count for times
	// were; none if the actor is not in the funnel. The times are the matcher's.
	match(rows []compatRow, value uint32) (steps uint64, times []int64)
}

// trendMatcher finds which periods one actor entered, and whether it converted.
type trendMatcher interface {
	// match appends the entries.
	match(dst []trendEntry, rows []compatRow, value uint32, line *timeline) []trendEntry
}

// trendEntry is an actor's part in a period.
type trendEntry struct {
	period    int
	converted bool
}

// compatWalker takes one actor after the other.
type compatWalker struct {
	f       *compatFunnel
	merge   rowMerge
	merged  []actorRow
	all     []compatRow
	some    []compatRow // those of one breakdown value
	values  []uint32
	match   matcher
	plain   *orderedMatcher // where the lists of steps are all that is needed, mostly
	steps   [][]int64
	trend   trendMatcher
	entries []trendEntry
	out     []*compatTally // by breakdown value
	grown   int64          // bytes the tallies have grown by
}

func newCompatWalker(f *compatFunnel, values int) *compatWalker {
	k := &compatWalker{f: f, merge: rowMerge{actors: f.actors, sparse: f.node.Output != plan.OutputTrend}, out: make([]*compatTally, values)}
	unordered := f.node.Mode == plan.Unordered
	switch {
	case f.node.Output == plan.OutputTrend && unordered:
		k.trend = newUnorderedTrend(&f.rules)
	case f.node.Output == plan.OutputTrend:
		k.trend = &orderedTrend{rules: &f.rules}
	case unordered:
		k.match = newUnorderedMatcher(&f.rules)
	default:
		m := newOrderedMatcher(&f.rules)
		if k.match = m; f.listsOnly() {
			k.plain, k.steps = m, make([][]int64, f.rules.steps)
		}
	}
	return k
}

// listsOnly says whether all that matters of ordered steps is the times of their rows, unless
// some are nearly simultaneous.
func (f *compatFunnel) listsOnly() bool {
	return !f.rules.strict && f.rules.optional == 0 && len(f.bars) == 0 && f.node.Breakdown == nil && !f.node.FirstEver() && f.actors.disjoint()
}

// actor counts one actor.
func (k *compatWalker) actor(b *block, i int) error {
	if k.plain != nil {
		for s := range k.steps {
			times := b.conds[s].of(i)
			k.steps[s] = times[skipTo(times, 0, k.f.from):skipTo(times, 0, k.f.to)]
		}
		if steps, times, ok := k.plain.lists(k.steps); ok {
			if steps != 0 {
				k.add(0, b.base+uint32(i), steps, times)
			}
			return nil
		}
	}
	if err := k.gather(b, i); err != nil || len(k.all) == 0 {
		return err
	}
	k.findValues()
	by := k.f.node.Breakdown
	for _, v := range k.values {
		rows := k.all
		if by != nil && by.Attribute == plan.AttributeEach {
			k.some = k.some[:0]
			for _, r := range k.all {
				if r.value == v {
					k.some = append(k.some, r)
				}
			}
			rows = k.some
		}
		if k.trend != nil {
			k.entries = k.trend.match(k.entries[:0], rows, v, k.f.line)
			if len(k.entries) > 0 {
				k.addTrend(v, b.base+uint32(i))
			}
			continue
		}
		if steps, times := k.match.match(rows, v); steps != 0 {
			k.add(v, b.base+uint32(i), steps, times)
		}
	}
	return nil
}

// gather lists the actor's rows that take part, and gives them their marks.
func (k *compatWalker) gather(b *block, i int) error {
	f := k.f
	var err error
	if k.merged, err = k.merge.rows(k.merged[:0], b, i, f.lists, f.from, f.to); err != nil {
		return err
	}
	n := f.rules.steps
	k.all = k.all[:0]
	for m := range k.merged {
		r := &k.merged[m]
		row := compatRow{time: r.time, value: r.value, steps: r.in.slice(0, n)}
		for s, list := range f.first {
			if list < 0 || row.steps>>s&1 == 0 {
				continue
			}
			// The lower bound of DURING does not hold for first rows, so the list's
			// first may lie before it.
			if refs := b.conds[list].refsOf(i); len(refs) == 0 || refs[0] != r.ref {
				row.steps &^= 1 << s
			}
		}
		row.marks = bits.OnesCount64(row.steps)
		for x, bar := range f.bars {
			if r.in.has(n + x) {
				row.bars |= bar
				row.marks += bits.OnesCount64(bar)
			}
		}
		if row.marks == 0 && !f.rules.strict {
			continue
		}
		k.all = append(k.all, row)
	}
	if k.trend == nil {
		k.all = thin(k.all)
	}
	return nil
}

// thin leaves out a row with at most one mark whose neighbours have the same marks and the
// same breakdown value, and other times: of a run of the same step the first and the last
// row stay. What the neighbours are is settled before any row goes.
func thin(rows []compatRow) []compatRow {
	if len(rows) < 3 {
		return rows
	}
	out := rows[:1]
	before := rows[0]
	for i := 1; i < len(rows)-1; i++ {
		r, after := rows[i], &rows[i+1]
		boring := r.marks <= 1 && before.same(&r) && after.same(&r) && before.value == r.value && after.value == r.value &&
			before.time < r.time && r.time < after.time
		before = r
		if !boring {
			out = append(out, r)
		}
	}
	return append(out, rows[len(rows)-1])
}

// findValues says for which breakdown values the actor is evaluated.
func (k *compatWalker) findValues() {
	k.values = k.values[:0]
	by := k.f.node.Breakdown
	if by == nil {
		k.values = append(k.values, 0)
		return
	}
	switch by.Attribute {
	case plan.AttributeFirst:
		v := uint32(0)
		for i := 0; i < len(k.all) && v == 0; i++ {
			v = k.all[i].value
		}
		k.values = append(k.values, v)
		return
	case plan.AttributeLast:
		v := uint32(0)
		for i := len(k.all) - 1; i >= 0 && v == 0; i-- {
			v = k.all[i].value
		}
		k.values = append(k.values, v)
		return
	}
	for i := range k.all {
		r := &k.all[i]
		if by.Attribute == plan.AttributeStep && k.f.node.Mode != plan.Unordered && r.steps>>by.Step&1 == 0 {
			continue
		}
		k.values = append(k.values, r.value)
	}
	slices.Sort(k.values)
	k.values = slices.Compact(k.values)
}
