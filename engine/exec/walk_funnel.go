package exec

import (
	"context"
	"math/bits"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/vec"
)

// maxSteps is the most steps a funnel may have.
const maxSteps = 64

// attempt is one way through a funnel: the steps it did, and when.
type attempt struct {
	done    uint64 // bit s: step s has an event
	reached int    // position of the furthest step done, from 1; unordered: how many are done
	entered int64  // time of the first event
	times   [maxSteps]int64
	rows    [maxSteps]int32 // positions of the events in the list that was walked
	value   uint32          // breakdown value
}

// did notes the event of a step.
func (a *attempt) did(step, row int, time int64) {
	a.done |= 1 << step
	a.times[step], a.rows[step] = time, int32(row)
}

// last is the time of the last event.
func (a *attempt) last() int64 {
	t := a.entered
	for w := a.done; w != 0; w &= w - 1 {
		t = max(t, a.times[bits.TrailingZeros64(w)])
	}
	return t
}

// funnel is a funnel by the plain rules running.
//
// Actors are walked one after the other. Where no row satisfies two steps, and nothing is
// asked for that needs other rows, the sorted lists of the steps are walked as they come from
// the index: funnel_index.go. Otherwise an actor's rows are merged, its entries are taken in
// order, and a chain finder says how far each comes: funnel_rows.go.
type funnel struct {
	answered
	node     *plan.Funnel
	from, to int64
	within   window
	windows  []window // per step, from the one before; a step without has no location
	required uint64   // bit s: step s is not optional
	lists    int      // conditions that are read
	open     func(context.Context, *plan.Source, []expr.Expr, need) (actors, error)
	actors   actors
	values   *values32 // breakdown values
	joint    []joint   // with HOLDING: what the values that actors number consist of
	line     *timeline // of OUTPUT TREND
	timed    bool      // somebody reads how long steps took
}

func newFunnel(n *plan.Funnel, env *Env) (Operator, error) {
	if len(n.Steps) > maxSteps {
		return nil, pgerr.New("PK004", "a funnel has at most %d steps", maxSteps)
	}
	if n.Compatible {
		return newCompatFunnel(n, env), nil
	}
	return newPlainFunnel(n, env), nil
}

func newPlainFunnel(n *plan.Funnel, env *Env) *funnel {
	f := &funnel{answered: answered{env: env}, node: n, required: n.Required()}
	f.open = func(ctx context.Context, src *plan.Source, conds []expr.Expr, need need) (actors, error) {
		return openActors(ctx, n, src, conds, need, env)
	}
	return f
}

func (f *funnel) Next(ctx context.Context) (*vec.Batch, error) { return f.next(ctx, f.run) }

// prepare makes the actors ready.
func (f *funnel) prepare(ctx context.Context) error {
	n := f.node
	loc, err := location(&n.Source, f.env)
	if err != nil {
		return err
	}
	if f.from, f.to, err = during(&n.Source, f.env); err != nil {
		return err
	}
	f.within = window{fixed: vec.InfinityTime}
	if n.Within != nil {
		f.within = newWindow(*n.Within, loc)
	}
	f.windows = make([]window, len(n.Steps))
	for i := range n.Steps {
		f.windows[i] = window{fixed: vec.InfinityTime}
		if w := n.Steps[i].Within; w != nil {
			f.windows[i] = newWindow(*w, loc)
		}
	}
	f.timed = n.Output == plan.OutputDefault && (f.reads("median_time") || f.reads("average_time"))
	return f.read(ctx)
}

func (f *funnel) run(ctx context.Context) error {
	if err := f.prepare(ctx); err != nil {
		return err
	}
	n := f.node
	var err error
	if n.Output == plan.OutputTrend {
		if f.line, err = trendLine(n, f.actors, f.from, f.to, f.env); err != nil {
			return err
		}
	}
	tallies, err := f.count(ctx, nil)
	if err != nil {
		return err
	}
	values := f.rank(tallies)
	if by := n.Breakdown; by != nil && by.Top > 0 && len(values) > by.Top {
		values = values[:by.Top]
		if by.WithOther {
			// The values that are not named count as one, so every actor counts once in it.
			other := make([]uint32, f.values.count())
			for i := range other {
				other[i] = uint32(len(other))
			}
			for _, v := range values {
				other[v] = v
			}
			f.env.release(f.held.Swap(0))
			if tallies, err = f.count(ctx, other); err != nil {
				return err
			}
			values = append(values, uint32(len(other)))
		}
	}
	f.answer(tallies, values)
	return nil
}

// reads says whether somebody reads a column of the answer.
func (f *funnel) reads(name string) bool {
	if f.node.Unread == nil {
		return true
	}
	for i, field := range f.node.Schema() {
		if field.Name == name && !f.node.Unread[i] {
			return true
		}
	}
	return false
}

// indexOnly says whether the lists of steps and exclusions are all that is needed, if no row is
// in two: not in which order rows of one time come.
func (f *funnel) indexOnly() bool {
	n := f.node
	for i := range n.Steps {
		if n.Steps[i].Optional || n.Steps[i].Within != nil {
			return false
		}
	}
	if len(n.Holding) > 0 {
		return false
	}
	if n.Entry == plan.EntryEvery || n.Entry == plan.EntryEach {
		return n.Mode == plan.Ordered && n.Breakdown == nil
	}
	return n.Mode == plan.Ordered || n.Mode == plan.Unordered && len(n.Exclude) == 0 && n.Breakdown == nil && n.Output != plan.OutputActors
}

// neighboursOnly says whether the rows of all lists, in order, are all that is needed in MODE
// STRICT.
func (f *funnel) neighboursOnly() bool {
	n := f.node
	for i := range n.Steps {
		if n.Steps[i].Optional || n.Steps[i].Within != nil {
			return false
		}
	}
	return n.Mode == plan.Strict && len(n.Holding) == 0 && len(n.Exclude) == 0 && n.Breakdown == nil && (n.Entry == plan.EntryBest || n.Entry == plan.EntryFirst)
}

// read makes the actors ready: a list for each step, one for each exclusion, and one of all
// rows if the steps have to be neighbours among them.
func (f *funnel) read(ctx context.Context) error {
	n := f.node
	var conds []expr.Expr
	for i := range n.Steps {
		conds = append(conds, n.Steps[i].Cond)
	}
	for i := range n.Exclude {
		conds = append(conds, n.Exclude[i].Cond)
	}
	need := need{inOrder: n.Mode != plan.Unordered, from: f.from, to: f.to}
	if f.required == ^uint64(0)>>(maxSteps-len(n.Steps)) {
		need.steps = len(n.Steps)
		need.all = n.Converted && n.Mode != plan.Unordered
		// Without a row to tell, one attempt that comes no further than its entry is like another.
		need.alone = n.Output == plan.OutputDefault && n.Breakdown == nil && len(n.Holding) == 0 && (n.Entry == plan.EntryBest || n.Entry == plan.EntryFirst)
	}
	if n.Mode == plan.Strict {
		need.whole = len(conds)
		conds = append(conds, nil)
	}
	f.lists = len(conds)
	src := n.Source
	if len(n.Holding) > 0 {
		// The expressions that are held are numbered together with those of the breakdown.
		by := &plan.Breakdown{}
		if n.Breakdown != nil {
			by.Exprs = append(by.Exprs, n.Breakdown.Exprs...)
		}
		by.Exprs = append(by.Exprs, n.Holding...)
		src.Breakdown = by
	}
	var err error
	need.refs = src.Breakdown != nil || !f.indexOnly()
	if f.actors, err = f.open(ctx, &src, conds, need); err != nil {
		return err
	}
	f.values = f.actors.breakdown()
	if len(n.Holding) > 0 {
		f.divide()
	}
	return nil
}

// joint is what a number that actors give a row's values stands for.
type joint struct {
	value uint32 // of the breakdown
	hold  uint32 // of what is held; 0: something of it is null
}

// divide finds which breakdown values and which held values the numbers stand for.
func (f *funnel) divide() {
	all := f.actors.breakdown()
	cols, count := all.groups.values(), all.count()
	rows := make([]uint32, count)
	for i := range rows {
		rows[i] = uint32(i)
	}
	f.joint = make([]joint, count)
	numbers := make([]uint32, count)
	f.values = nil
	by := 0
	if f.node.Breakdown != nil {
		by = len(f.node.Breakdown.Exprs)
		f.values = newValues32(f.node.Breakdown.Exprs)
		f.values.assign(numbers, cols[:by], rows)
		for i, v := range numbers {
			f.joint[i].value = v
		}
	}
	newValues32(f.node.Holding).assign(numbers, cols[by:], rows)
	for i, v := range numbers {
		f.joint[i].hold = v
		for _, c := range cols[by:] {
			if c.IsNull(i) {
				f.joint[i].hold = 0
			}
		}
	}
}

// count walks all actors. Breakdown values are renamed by other, if it is given.
func (f *funnel) count(ctx context.Context, other []uint32) ([]*funnelTally, error) {
	values := f.values.count()
	if other != nil {
		values++
	}
	walkers := make([]*walker, f.env.Threads)
	walkerOf := func(w int) *walker {
		if walkers[w] == nil {
			walkers[w] = newWalker(f, values, other)
		}
		return walkers[w]
	}
	var err error
	if ix := f.latestOnly(); ix != nil {
		err = f.countLatest(ctx, ix, walkerOf)
	} else {
		err = f.actors.blocks(ctx, func(ctx context.Context, w int, b *block) error { return walkerOf(w).block(ctx, b) })
	}
	if err != nil {
		return nil, err
	}
	out := make([]*funnelTally, values)
	for _, k := range walkers {
		if k == nil {
			continue
		}
		for _, t := range k.out {
			if t != nil {
				t.settle()
			}
		}
		mergeValues(out, k.out)
	}
	return out, nil
}

// walker counts the attempts of actors, one after the other.
type walker struct {
	f     *funnel
	b     *block
	steps [][]int64 // rows of the actor, by step
	bars  [][]int64 // times by exclusion
	other []uint32
	at    [maxSteps]int
	order []int
	try   attempt
	best  []attempt  // per breakdown value
	rows  *rowWalker // where merged rows are walked
	marks *indexed   // where rows are told by their marks, in order
	// straight is the steps in order, if an attempt cannot do them otherwise.
	straight []int
	counted  bool      // how far attempts come is all there is to know
	one      [][]int64 // per list: the rows that carry one value
	values   []uint32
	out      []*funnelTally // by breakdown value
	actor    uint32
	grown    int64 // bytes the tallies have grown by
}

func newWalker(f *funnel, values int, other []uint32) *walker {
	k := &walker{f: f, steps: make([][]int64, len(f.node.Steps)), bars: make([][]int64, len(f.node.Exclude)), other: other, out: make([]*funnelTally, values)}
	if ix, ok := f.actors.(*indexed); ok && ix.need.whole > 0 && f.neighboursOnly() {
		k.marks = ix
	} else if !f.actors.disjoint() || !f.indexOnly() {
		k.rows = newRowWalker(k)
	}
	if f.required == ^uint64(0)>>(maxSteps-len(k.steps)) {
		k.counted = f.node.Output == plan.OutputDefault && !f.timed
		for s := range k.steps {
			if f.node.Mode != plan.Unordered {
				k.straight = append(k.straight, s)
			}
		}
	}
	return k
}

func (k *walker) block(ctx context.Context, b *block) error {
	k.b = b
	if b.alone > 0 {
		k.tally(0).reached[0] += b.alone
	}
	entries := &b.conds[0]
	if k.f.node.Mode == plan.Strict {
		entries = &b.conds[k.f.lists-1] // the list of all rows
	}
	for i := range b.count {
		if i&0xfff == 0 {
			if err := yield(ctx); err != nil {
				return err
			}
		}
		if k.f.node.Mode != plan.Unordered && entries.countOf(i) == 0 {
			continue
		}
		k.actor, k.best = b.base+uint32(i), k.best[:0]
		if k.rows != nil {
			if err := k.rows.walk(ctx, b, i); err != nil {
				return err
			}
		} else if k.marks != nil {
			k.propose(0, func(a *attempt) bool { return k.neighbours(i, a) })
		} else {
			k.index(i)
		}
		for a := range k.best {
			k.add(&k.best[a])
		}
		if k.grown > grownStep {
			if err := k.hold(ctx); err != nil {
				return err
			}
		}
	}
	return k.hold(ctx)
}

// grownStep is by how many bytes the tallies grow before they are accounted for.
const grownStep = 1 << 16

// hold accounts for what the tallies have grown by.
func (k *walker) hold(ctx context.Context) error {
	grown := k.grown
	k.grown = 0
	k.f.held.Add(grown)
	return k.f.env.hold(ctx, grown)
}

// name is what a breakdown value counts as.
func (k *walker) name(v uint32) uint32 {
	if k.other == nil {
		return v
	}
	return k.other[v]
}

// offer keeps an attempt if it is better than the one its value has. Attempts come in
// order of their entries, so among equals the first stays.
func (k *walker) offer(a *attempt) {
	for b := range k.best {
		if k.best[b].value == a.value {
			if c := &k.best[b]; a.reached > c.reached || a.reached == c.reached && a.entered < c.entered {
				*c = *a
			}
			return
		}
	}
	k.best = append(k.best, *a)
}
