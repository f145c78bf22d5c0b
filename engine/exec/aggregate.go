package exec

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/prickledb/prickle/engine/agg"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/vec"
)

// aggregating groups rows: each copy of the pipeline below fills states of its own. If the
// groups are few, they are merged one after the other, or finished from the states of all copies
// where these hold much. If they become many, they go to partitions, and these are merged side by
// side by those who hand out the groups. What does not fit into memory goes to partitions on disk,
// which are merged one after the other.
type aggregating struct {
	node *plan.Aggregate
	pipe *pipeline
	env  *Env
	// known is what it need not read; nil for nothing.
	known *metadata
	// first says that only the first groups are wanted; nil: all are.
	first *firstGroups

	mu     sync.Mutex // held to read the input, and to change what follows
	begun  bool       // the input is read, or reading it failed with err
	err    error
	whole  *grouping    // all groups, if they are in no partition, until a copy takes them
	joint  *jointGroups // nil: they were merged, or are in partitions
	parts  *partitions
	next   int // of the partitions in memory: the next one to merge
	merged int // how many of them are merged
	// together is how many of them are merged at a time; 0: not known yet.
	together int
	work     []partition // on disk, yet to be merged
	taken    bool        // a copy merges those on disk
	spills   spills
}

// aggregate hands out groups. It is one of several copies, which share what was read.
type aggregate struct {
	*aggregating
	alone   bool          // there is no other, and the pipeline is its own
	filters []*keyFilter  // rows below that do not pass them have no effect above
	cols    []*vec.Vector // finished groups
	rows    int           // how many these are
	row     int           // next one to hand out
	held    int64         // of the finished groups
	disk    bool          // it merges the partitions on disk

	space *grouping // that merged the partition in memory before
}

// grouping is groups and the states of their aggregates.
type grouping struct {
	node   *plan.Aggregate
	env    *Env
	groups *grouper
	states []agg.State
	held   int64
	more   int64     // what it takes beyond that and has not accounted for yet
	taken  int       // rows since it had no groups
	fresh  bool      // nearly every row has a group of its own, or few rows share one
	judged bool      // the first groups were looked at for that
	runs   int       // how often the groups went to partitions
	reads  columnSet // of the input; nil: not asked for yet

	args     *argColumns // nil: rows cannot wait for their groups
	waiting  *waiting    // rows that do; nil: they have groups, and states have seen them
	weighted bool        // rows came that stand for several

	ids  []uint32 // scratch: group of each live row
	rows []uint32 // scratch: live rows
}

// readBy is the columns of its input that an aggregate reads.
func readBy(n *plan.Aggregate) columnSet {
	read := make(columnSet, len(n.Input.Schema())).and(n.Keys...)
	for _, c := range n.Aggs {
		read = read.and(c.Args...).and(c.Filter)
		for _, k := range c.OrderBy {
			read = read.and(k.Expr)
		}
	}
	return read
}

func newAggregating(n *plan.Aggregate, env *Env) (*aggregating, error) {
	pipe, err := newPipeline(n.Input, env, readBy(n))
	if err != nil {
		return nil, err
	}
	a := &aggregating{node: n, pipe: pipe, env: env, spills: spills{env: env, node: n}}
	if a.known, err = findMetadata(n, pipe.source, env); err != nil {
		return nil, err
	}
	if weighs(n) {
		if err := pipe.weigh(); err != nil {
			return nil, err
		}
	}
	a.parts = &partitions{spills: &a.spills}
	return a, nil
}

func newAggregate(n *plan.Aggregate, env *Env) (Operator, error) {
	if byActor(n, env) {
		return buildPipeline(n, env)
	}
	if c := newRunCount(n, env); c != nil {
		return c, nil
	}
	return newHashAggregate(n, env)
}

func newHashAggregate(n *plan.Aggregate, env *Env) (Operator, error) {
	a, err := newAggregating(n, env)
	if err != nil {
		return nil, err
	}
	return &aggregate{aggregating: a, alone: true}, nil
}

func newGrouping(n *plan.Aggregate, env *Env) (*grouping, error) {
	g := &grouping{node: n, env: env, args: argColumnsOf(n)}
	g.forget()
	return g, g.newStates()
}

// forget forgets all groups. What they held stays accounted for until the next call of
// hold.
func (g *grouping) forget() {
	types := make([]vec.Type, len(g.node.Keys))
	for i, k := range g.node.Keys {
		types[i] = k.Type()
	}
	g.groups = newGrouper(types)
	g.waiting = nil
}

// newStates forgets the states of all groups.
func (g *grouping) newStates() error {
	g.states = nil
	for i := range g.node.Aggs {
		st, err := newState(&g.node.Aggs[i])
		if err != nil {
			return err
		}
		g.states = append(g.states, st)
	}
	return nil
}

// renewStates is newStates after what Partial gave of them was copied.
func (g *grouping) renewStates() (err error) {
	for i, st := range g.states {
		if r, ok := st.(agg.Renewable); ok {
			r.Renew()
		} else if g.states[i], err = newState(&g.node.Aggs[i]); err != nil {
			return err
		}
	}
	return nil
}

// hold accounts for what the groups take now.
func (g *grouping) hold(ctx context.Context) error {
	grown := g.bytes() - g.held
	g.held, g.more = g.held+grown, 0
	return g.env.hold(ctx, grown)
}

func (g *grouping) bytes() int64 {
	n := g.groups.bytes() + g.waiting.bytes()
	for _, st := range g.states {
		n += st.Bytes()
	}
	return n
}

// newState makes the state of one aggregate call.
func newState(call *plan.AggCall) (agg.State, error) {
	types := make([]vec.Type, len(call.Args))
	for i, a := range call.Args {
		types[i] = a.Type()
	}
	spec, err := agg.Resolve(call.Name, types)
	if err != nil {
		return nil, err
	}
	keys := make([]agg.OrderKey, len(call.OrderBy))
	for i, k := range call.OrderBy {
		keys[i] = agg.OrderKey{Type: k.Expr.Type(), Desc: k.Desc, NullsFirst: k.NullsFirst}
	}
	return spec.New(call.Distinct, keys), nil
}

// input is which of the columns of its input the aggregate reads.
func (g *grouping) input() columnSet {
	if g.reads == nil {
		g.reads = readBy(g.node)
	}
	return g.reads
}

// thinBatch is how many rows a batch has for each that counts when these are copied out of it:
// expressions make vectors of all rows.
const thinBatch = 8

// compact copies the rows that count out of a batch, of the columns that the aggregate reads: what
// only conditions have looked at stays behind. Weights, if there are any, are behind those.
func (g *grouping) compact(b *vec.Batch) *vec.Batch {
	reads := g.input()
	out := &vec.Batch{Rows: len(b.Sel), Cols: make([]*vec.Vector, len(b.Cols))}
	for i, c := range b.Cols {
		if i == len(reads) || reads[i] {
			out.Cols[i] = c.Take(b.Sel)
		}
	}
	return out
}

// add takes in the rows of a batch that count. What they take is to be accounted for, once there is room.
func (g *grouping) add(ctx context.Context, b *vec.Batch) error {
	b, rows := g.live(b)
	if len(rows) == 0 {
		return nil
	}
	keys, err := evalAll(g.env.Expr, g.node.Keys, b)
	if err != nil {
		return err
	}
	if weights := weightsOf(b, len(g.input())); weights != nil {
		g.weighted = true
		if g.waiting != nil {
			rows = weighed(rows, rows, weights)
		}
	}
	ids := g.room(len(rows))
	g.groups.assign(ids, keys, rows)
	g.taken += len(rows)
	if g.waiting != nil {
		err = g.waiting.add(g.env.Expr, b, rows)
	} else {
		err = g.updateAll(b, g.groups.groups, ids, rows)
	}
	if err != nil {
		return err
	}
	g.more = g.bytes() - g.held
	return nil
}

// live is a batch as expressions are to see it, and its rows that count.
func (g *grouping) live(b *vec.Batch) (*vec.Batch, []uint32) {
	rows := b.Sel
	if rows == nil {
		return b, firstRows(&g.rows, b.Rows)
	}
	if len(rows) > 0 && len(rows)*thinBatch < b.Rows {
		return g.compact(b), firstRows(&g.rows, len(rows))
	}
	return b, rows
}

// room is where the groups of so many rows are written.
func (g *grouping) room(rows int) []uint32 {
	if cap(g.ids) < rows {
		g.ids = make([]uint32, max(rows, vec.BatchRows))
	}
	return g.ids[:rows]
}

// updateAll gives rows and their groups, of so many, to all aggregates.
func (g *grouping) updateAll(b *vec.Batch, groups int, ids, rows []uint32) error {
	for i, st := range g.states {
		st.Grow(groups)
		if err := g.update(&g.node.Aggs[i], st, b, ids, rows); err != nil {
			return err
		}
	}
	return nil
}

// update gives rows and their groups to an aggregate.
func (g *grouping) update(call *plan.AggCall, st agg.State, b *vec.Batch, ids, rows []uint32) error {
	if call.Filter != nil {
		kept, err := keepTrue(g.env.Expr, call.Filter, &vec.Batch{Rows: b.Rows, Sel: rows, Cols: b.Cols})
		if err != nil {
			return err
		}
		ids = subsetIDs(ids, rows, kept.Sel)
		rows = kept.Sel
		if len(rows) == 0 {
			return nil
		}
	}
	live := &vec.Batch{Rows: b.Rows, Sel: rows, Cols: b.Cols}
	args, err := evalAll(g.env.Expr, call.Args, live)
	if err != nil {
		return err
	}
	for _, k := range call.OrderBy {
		v, err := k.Expr.Eval(g.env.Expr, live)
		if err != nil {
			return err
		}
		args = append(args, v)
	}
	weights := weightsOf(b, len(g.input()))
	if weights == nil || call.Distinct || call.Name == "min" || call.Name == "max" {
		return st.Update(g.env.Expr, ids, args, rows)
	}
	if st, ok := st.(agg.Weighted); ok {
		st.UpdateWeighted(ids, args, rows, weights.I64)
		return nil
	}
	if args[0].Form == vec.Const && args[0].Nulls.Get(0) {
		return nil // it passes over NULL
	}
	every := weighed(rows, rows, weights)
	for i, a := range args {
		args[i] = a.Take(every)
	}
	return st.Update(g.env.Expr, weighed(ids, rows, weights), args, firstRows(new([]uint32), len(every)))
}

// subsetIDs is the groups of the rows kept, out of those of all rows.
func subsetIDs(ids, rows, kept []uint32) []uint32 {
	if len(kept) == len(rows) {
		return ids
	}
	out := make([]uint32, len(kept))
	i := 0
	for j, r := range kept {
		for rows[i] != r {
			i++
		}
		out[j] = ids[i]
	}
	return out
}

// gather merges groupings into the first, one after the other, until it has had to leave groups to the partitions:
// its rows may wait for their groups from then on. It gives that one and those that are left.
func (a *aggregating) gather(ctx context.Context, groupings []*grouping) ([]*grouping, error) {
	out, rest := groupings[0], groupings[1:]
	for ; len(rest) > 0 && !a.parts.used(); rest = rest[1:] {
		if err := out.merge(ctx, rest[0]); err != nil {
			return groupings, err
		}
		if err := a.parts.relieve(ctx, out); err != nil {
			return groupings, err
		}
	}
	return append([]*grouping{out}, rest...), nil
}

// merge takes in what another grouping has gathered.
func (g *grouping) merge(ctx context.Context, from *grouping) error {
	n := from.groups.groups
	if n == 0 {
		return nil
	}
	to := make([]uint32, n)
	var scratch []uint32
	g.groups.assign(to, from.groups.values(), firstRows(&scratch, n))
	for i, st := range g.states {
		st.Grow(g.groups.groups)
		if err := st.Merge(from.states[i], to); err != nil {
			return err
		}
	}
	from.release()
	return g.hold(ctx)
}

// release gives back what the groups took, which are not used again; a nil one has none.
func (g *grouping) release() {
	if g != nil {
		g.env.release(g.held)
		g.held = 0
	}
}

// firstRows is 0 … n-1, in memory that is kept for the next call.
func firstRows(scratch *[]uint32, n int) []uint32 {
	if n > cap(*scratch) {
		*scratch = slices.Grow(*scratch, n-len(*scratch))
	}
	for i := len(*scratch); i < n; i++ {
		*scratch = append(*scratch, uint32(i))
	}
	return (*scratch)[:n]
}

// fewGroups is how many groups are merged one after the other, rather than in partitions, and
// fewBytes how many bytes they take.
const (
	fewGroups = 8192
	fewBytes  = 2 << 20
)

// read reads the input, unless another copy has done so. The filters are those of any copy.
func (a *aggregating) read(ctx context.Context, filters []*keyFilter) error {
	lock(ctx, &a.mu)
	defer a.mu.Unlock()
	if !a.begun {
		a.begun = true
		a.err = a.readInput(ctx, filters)
	}
	return a.err
}

func (a *aggregating) readInput(ctx context.Context, filters []*keyFilter) (err error) {
	groupings := make([]*grouping, a.pipe.copies())
	defer func() {
		if err != nil {
			a.whole, a.joint = nil, nil
			for _, g := range groupings {
				g.release()
			}
		}
	}()
	err = a.pipe.drain(ctx, filters, func(ctx context.Context, w int) (func(*vec.Batch) error, error) {
		g, err := newGrouping(a.node, a.env)
		if err != nil {
			return nil, err
		}
		groupings[w] = g
		return func(b *vec.Batch) error {
			if err := g.add(ctx, b); err != nil {
				return err
			}
			if err := a.parts.relieve(ctx, g); err != nil || g.more == 0 {
				return err
			}
			return g.hold(ctx)
		}, nil
	}, func(ctx context.Context, w int) error {
		groupings[w].groups.forgetCodes()
		return groupings[w].hold(ctx)
	})
	if err != nil {
		return err
	}
	out := groupings[0]
	if err := out.know(ctx, a.known); err != nil {
		return err
	}
	if a.parts.isApart() {
		for _, g := range groupings {
			if err := a.parts.setApart(ctx, g); err != nil {
				return err
			}
		}
	} else if a.joint, err = a.join(ctx, groupings); a.joint != nil || err != nil {
		return err
	}
	groups, held := 0, int64(0)
	for _, g := range groupings[1:] {
		groups, held = groups+g.groups.groups, held+g.held
	}
	if !a.parts.used() && (groups <= fewGroups && held <= fewBytes || len(a.node.Keys) == 0) {
		if groupings, err = a.gather(ctx, groupings); err != nil {
			return err
		}
		if !a.parts.used() {
			a.whole = out
			return a.parts.gatherApart(ctx, out)
		}
	}
	held += out.held
	if err := a.parts.divideApart(ctx, a.node); err != nil {
		return err
	}
	if a.parts.spilled() || !a.env.room(held) {
		if err := a.parts.spill(ctx); err != nil {
			return err
		}
		for _, g := range groupings {
			if err := a.parts.spillGroups(ctx, g); err != nil {
				return err
			}
		}
		a.work = a.parts.list(nil)
		return nil
	}
	return parallel(ctx, len(groupings), func(ctx context.Context, w int) error {
		g := groupings[w]
		if err := a.parts.add(ctx, g); err != nil {
			return err
		}
		g.forget()
		return g.hold(ctx)
	})
}

// nextGroups makes the answer of more groups; it says whether there are any.
func (a *aggregate) nextGroups(ctx context.Context) (bool, error) {
	lock(ctx, &a.mu)
	if j := a.joint; j != nil {
		lo, hi := j.take(a.env)
		a.mu.Unlock()
		if lo == hi {
			return false, nil
		}
		return true, a.finishJointly(j, lo, hi)
	}
	whole, p := a.whole, a.next
	a.whole = nil
	if a.together == 0 {
		a.together = a.parts.together()
	}
	together := a.together
	a.next += together
	var file *partition
	if len(a.work) > 0 && (a.disk || !a.taken) {
		last := len(a.work) - 1
		file, a.work = &a.work[last], a.work[:last]
		a.disk, a.taken = true, true
	}
	a.mu.Unlock()
	switch {
	case whole != nil:
		return true, a.finish(whole)
	case file != nil:
		return true, a.mergePartition(ctx, *file)
	case p < memoryParts && a.parts.inMemory():
		if err := a.mergeInMemory(ctx, p, p+together); err != nil {
			return false, err
		}
		lock(ctx, &a.mu)
		defer a.mu.Unlock()
		if a.merged += together; a.merged == memoryParts {
			a.parts.forget() // what takes the groups may need the memory
		}
		return true, nil
	}
	return false, nil
}

// finish makes the answer of groups.
func (a *aggregate) finish(g *grouping) error {
	if len(a.node.Keys) == 0 {
		g.groups.groups = 1
	}
	cols := g.groups.finish()
	for i, st := range g.states {
		st.Grow(g.groups.groups)
		v, err := st.Finish()
		if err != nil {
			return err
		}
		if a.known != nil && a.known.ends[i] == nil {
			v.I64[0] += a.known.rows // it is a count, of one group
		}
		cols = append(cols, v)
	}
	return a.give(cols, g.groups.groups, g)
}

// give makes the columns of so many finished groups what is handed out next.
func (a *aggregate) give(cols []*vec.Vector, rows int, g *grouping) error {
	for i, v := range cols[len(a.node.Keys):] {
		if v.Len() != rows {
			return fmt.Errorf("aggregate %s: %d values for %d groups", a.node.Aggs[i].Name, v.Len(), rows)
		}
	}
	a.cols, a.rows, a.row, a.held = cols, rows, 0, g.held
	return nil
}

// drain gives every batch of op to f.
func drain(ctx context.Context, op Operator, f func(*vec.Batch) error) error {
	for {
		b, err := op.Next(ctx)
		if b == nil || err != nil {
			return err
		}
		if err := f(b); err != nil {
			return err
		}
	}
}

func (a *aggregate) Next(ctx context.Context) (*vec.Batch, error) {
	if err := a.read(ctx, a.filters); err != nil {
		return nil, err
	}
	for {
		if b := slice(a.cols, a.rows, &a.row); b != nil {
			return b, nil
		}
		if err := yield(ctx); err != nil {
			return nil, err
		}
		a.cols, a.rows = nil, 0
		a.env.release(a.held)
		a.held = 0
		if more, err := a.nextGroups(ctx); !more || err != nil {
			return nil, err
		}
	}
}

func (a *aggregate) Close() error {
	a.env.release(a.held)
	a.held = 0
	if a.alone {
		return a.close()
	}
	return nil
}

func (a *aggregating) copies() int {
	if len(a.node.Keys) == 0 {
		return 1
	}
	return a.pipe.copies()
}

func (a *aggregating) open(filters []*keyFilter) Operator {
	return &aggregate{aggregating: a, filters: throughGroups(a.node, filters)}
}

func (a *aggregating) close() error {
	a.whole.release()
	if a.joint != nil {
		a.env.release(a.joint.held)
	}
	a.parts.forget()
	err := a.spills.close()
	if closing := a.pipe.close(); err == nil {
		err = closing
	}
	return err
}

// slice hands out finished columns a batch at a time: rows from *at on, which it moves.
func slice(cols []*vec.Vector, rows int, at *int) *vec.Batch {
	n := min(vec.BatchRows, rows-*at)
	if n <= 0 {
		return nil
	}
	b := &vec.Batch{Rows: n, Cols: cols}
	if n < rows {
		b.Cols = make([]*vec.Vector, len(cols))
		for i, c := range cols {
			b.Cols[i] = c.Slice(*at, *at+n)
		}
	}
	*at += n
	return b
}
