package exec

import (
	"context"
	"math/bits"
	"slices"
	"unsafe"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/vec"
)

// paths counts what actors do one after the other, within their sessions.
//
// The name of a row, whether it begins or ends a path, and its breakdown values together
// get one number while rows are read, like a breakdown of other operators. So a row is its
// time and a number here, and conditions are evaluated once.
type paths struct {
	answered
	node     *plan.Paths
	from, to int64
	gap      window
	actors   actors
	labels   []label       // what the numbers of rows mean
	names    *vec.Vector   // of nodes
	values   *values32     // of the breakdown; nil without one
	named    []*vec.Vector // by number, what these are
	short    bool          // edges differ in nodes and step alone
	form     edgeForm
	// direct says that all rows of a session are its path, but for repeats and its length. Numbers of
	// rows are those of nodes then.
	direct bool
	inside bool // no row is before from or after to
	// The nodes that stand for NULL, for the empty text and, under the rules of the insights,
	// for what was left out of the middle of a path.
	none, empty, dots uint32

	chosen []uint32 // what edges of a breakdown value count for, or noValue; nil: they count for it
	ids    []uint32 // the values that the answer tells of, in order
	files  *pathFiles
	large  *sorter // the answer, if it does not fit into memory
}

// noValue is a breakdown value beyond TOP.
const noValue = ^uint32(0)

// label is what a row is to the walk.
type label struct {
	node, value uint32
	start, end  bool
}

// pathKey is what paths are counted by. What an output does not tell apart is 0.
type pathKey struct {
	value          uint32 // of the breakdown
	step           uint32 // position of the source
	source, target uint32
}

// pathCount is how often a key occurs, and the sum of the times from source to target in
// 128 bits of µs, so that no number of them is too many.
type pathCount struct {
	pathKey
	count    int64
	hi, time uint64
}

func (c *pathCount) add(o *pathCount) {
	var carry uint64
	c.count += o.count
	c.time, carry = bits.Add64(c.time, o.time, 0)
	c.hi += o.hi + carry
}

// pathEdge is one time that a key occurs.
type pathEdge struct {
	pathKey
	time uint64
}

// pathCounts gathers counts. A count takes about so many bytes with its part of the table.
type pathCounts struct {
	table []uint32 // by hash: one more than the position in list; 0 for none
	list  []pathCount
}

const pathCountBytes = 100

// pathParts gathers edges in parts, of which each fits into the cache when it is counted. Edges
// wait until there are so many of a part that it is worth to turn to it.
type pathParts [256]pathPart

type pathPart struct {
	full    []edgeRoom // of short edges
	filed   []int64    // where such rooms are in pathFiles.rooms
	waiting []pathEdge
	counts  pathCounts
}

// edgesWaiting is how many edges wait at most in a part.
const edgesWaiting = 1024

// add counts an edge, and gives how many bytes that took.
func (p *pathPart) add(e *pathEdge) int64 {
	if len(p.waiting) < cap(p.waiting) {
		p.waiting = append(p.waiting, *e)
		return 0
	}
	grown := int64(0)
	if before := cap(p.waiting); before < edgesWaiting {
		p.waiting = slices.Grow(p.waiting, max(16, 3*before))
		grown = int64(cap(p.waiting)-before) * int64(unsafe.Sizeof(*e))
	} else {
		grown = p.counts.addEdges(p.waiting)
		p.waiting = p.waiting[:0]
	}
	p.waiting = append(p.waiting, *e)
	return grown
}

// settle counts the edges that wait, and gives how many bytes that took.
func (p *pathPart) settle() int64 {
	grown := p.counts.addEdges(p.waiting) - int64(cap(p.waiting))*int64(unsafe.Sizeof(pathEdge{}))
	p.waiting = nil
	return grown
}

// addEdges counts edges, and gives how many bytes that took.
func (t *pathCounts) addEdges(list []pathEdge) int64 {
	before := len(t.list)
	for i := range list {
		e := &list[i]
		t.add(&pathCount{pathKey: e.pathKey, count: 1, time: e.time})
	}
	return int64(len(t.list)-before) * pathCountBytes
}

// place is a hash of the edge, whatever its breakdown value.
func (k *pathKey) place() uint64 { return k.hashWith(uint64(k.step) << 32) }

func (k *pathKey) hash() uint64 { return k.hashWith(uint64(k.step)<<32 | uint64(k.value)) }

// hashWith multiplies two halves of the key, and folds the product.
func (k *pathKey) hashWith(rest uint64) uint64 {
	hi, lo := bits.Mul64((uint64(k.source)<<32|uint64(k.target))^0x9E3779B185EBCA87, rest^0xC2B2AE3D27D4EB4F)
	return hi ^ lo
}

// add counts c.
func (t *pathCounts) add(c *pathCount) {
	if 4*len(t.list) >= 3*len(t.table) {
		t.widen()
	}
	mask := uint64(len(t.table) - 1)
	for h := c.hash(); ; h++ {
		at := &t.table[h&mask]
		if *at == 0 {
			t.list = append(t.list, *c)
			*at = uint32(len(t.list))
			return
		}
		if known := &t.list[*at-1]; known.pathKey == c.pathKey {
			known.add(c)
			return
		}
	}
}

// widen doubles the table.
func (t *pathCounts) widen() {
	t.table = make([]uint32, max(64, 2*len(t.table)))
	mask := uint64(len(t.table) - 1)
	for i := range t.list {
		h := t.list[i].hash()
		for t.table[h&mask] != 0 {
			h++
		}
		t.table[h&mask] = uint32(i + 1)
	}
}

func newPaths(n *plan.Paths, env *Env) (Operator, error) {
	if n.Output == plan.OutputActors {
		return buildPipeline(n, env)
	}
	return pathsOf(n, env), nil
}

func pathsOf(n *plan.Paths, env *Env) *paths {
	p := &paths{answered: answered{env: env, spills: spills{env: env, node: n}}, node: n}
	p.files = &pathFiles{paths: p}
	return p
}

func (p *paths) Next(ctx context.Context) (*vec.Batch, error) {
	b, err := p.next(ctx, p.run)
	if b != nil || err != nil || p.large == nil {
		return b, err
	}
	if b, err = p.large.Next(ctx); b != nil {
		b = &vec.Batch{Rows: b.Rows, Cols: b.Cols[:len(p.node.Schema())]} // without the rank
	}
	return b, err
}

func (p *paths) Close() error {
	var err error
	if p.large != nil {
		err = p.large.Close()
	}
	if closing := p.answered.Close(); err == nil {
		err = closing
	}
	return err
}

func (p *paths) hold(ctx context.Context, bytes int64) error {
	p.held.Add(bytes)
	return p.env.hold(ctx, bytes)
}

func (p *paths) run(ctx context.Context) error {
	if err := p.prepare(ctx); err != nil {
		return err
	}
	lists, err := p.count(ctx)
	if err != nil {
		return err
	}
	p.answer(lists)
	return nil
}

// prepare makes rows and their labels ready.
func (p *paths) prepare(ctx context.Context) error {
	n := p.node
	loc, err := location(&n.Source, p.env)
	if err != nil {
		return err
	}
	p.gap = newWindow(n.Gap, loc)
	if p.from, p.to, err = during(&n.Source, p.env); err != nil {
		return err
	}
	src := n.Source
	src.Breakdown = &plan.Breakdown{Exprs: p.labelled()}
	if p.actors, err = openActors(ctx, n, &src, []expr.Expr{nil}, need{ties: true, spills: &p.spills}, p.env); err != nil {
		return err
	}
	first, last := p.actors.bounds()
	p.inside = p.from <= first && last < p.to
	return p.readLabels(ctx)
}

// labelled are the expressions that make a row's label: its name, whether it begins and
// ends a path as far as that is asked, and the breakdown.
func (p *paths) labelled() []expr.Expr {
	n := p.node
	out := []expr.Expr{n.Node}
	for _, cond := range []expr.Expr{n.StartAt, n.EndAt} {
		if cond != nil {
			out = append(out, cond)
		}
	}
	if n.Breakdown != nil {
		out = append(out, n.Breakdown.Exprs...)
	}
	return out
}

// readsTime says whether somebody reads the mean time of edges.
func (p *paths) readsTime() bool {
	unread := p.node.Unread
	return p.node.Output != plan.OutputActors && (unread == nil || !unread[len(unread)-1])
}

// readLabels looks up what the numbers of rows mean.
func (p *paths) readLabels(ctx context.Context) error {
	n, all := p.node, p.actors.breakdown().groups
	names := all.cols[0].texts
	if err := p.hold(ctx, all.bytes()+int64(all.groups)*32); err != nil {
		return err
	}
	p.none = names.NullNumber()
	if n.Compatible {
		text := vec.Vector{Type: vec.T(vec.Text), Str: vec.StringsOf("", "...")}
		p.empty, p.dots = names.Number(&text, 0), names.Number(&text, 1)
	}
	p.names = names.Values()
	p.form = newEdgeForm(p.names.Len(), p.readsTime())
	p.short = n.Breakdown == nil && n.Output != plan.OutputActors && !p.env.large(2*int64(p.env.Threads)*p.form.tallyBytes())
	p.direct = p.short && !n.Compatible && n.StartAt == nil && n.EndAt == nil && p.gap.fixed >= 0
	p.labels = make([]label, all.groups)
	for i, node := range all.numbers(0, all.all()) {
		if node == p.none && n.Compatible {
			node = p.empty
		}
		p.labels[i].node = node
	}
	next, columns := 1, all.values()
	truths := func(set func(*label)) {
		for i, yes := range columns[next].Bools {
			if yes {
				set(&p.labels[i])
			}
		}
		next++
	}
	if n.StartAt != nil {
		truths(func(l *label) { l.start = true })
	}
	if n.EndAt != nil {
		truths(func(l *label) { l.end = true })
	}
	if n.Breakdown == nil {
		return nil
	}
	p.values = newValues32(n.Breakdown.Exprs)
	ids, rows := make([]uint32, all.groups), make([]uint32, all.groups)
	for i := range rows {
		rows[i] = uint32(i)
	}
	p.values.assign(ids, columns[next:], rows)
	for i, id := range ids {
		p.labels[i].value = id
	}
	p.named = p.values.groups.values()
	return nil
}

// eachActor has walkers walk all actors who have rows.
func (p *paths) eachActor(ctx context.Context, walkers []pathWalker, after func(ctx context.Context, k *pathWalker) error) error {
	return p.actors.blocks(ctx, func(ctx context.Context, w int, b *block) error {
		k := &walkers[w]
		k.open(p)
		for i := range b.count {
			if i&1023 == 0 {
				if err := yield(ctx); err != nil {
					return err
				}
			}
			if b.conds[0].countOf(i) > 0 {
				k.actor(b.conds[0].of(i), b.conds[0].valsOf(i))
			}
			if err := after(ctx, k); err != nil {
				return err
			}
		}
		return nil
	})
}

// count walks all actors, and gives the edges that are wanted of each breakdown value, in order.
func (p *paths) count(ctx context.Context) ([][]pathCount, error) {
	walkers := make([]pathWalker, p.env.Threads)
	err := p.eachActor(ctx, walkers, func(ctx context.Context, k *pathWalker) error {
		if k.grown == 0 {
			return nil
		}
		if err := k.hold(ctx); err != nil {
			return err
		}
		return k.relieve(ctx)
	})
	if err != nil {
		return nil, err
	}
	p.ids = p.chooseValues(walkers)
	kept := make([]edgeKeeper, len(walkers))
	for w := range kept {
		kept[w].p = p
	}
	if p.files.used() {
		err = p.mergeFiles(ctx, walkers, kept)
	} else {
		err = p.mergeParts(ctx, walkers, kept)
	}
	if err != nil {
		return nil, err
	}
	if err := p.sortKept(ctx, kept); p.large != nil || err != nil {
		return nil, err
	}
	return p.inOrderOfValues(kept), nil
}

// mergeParts counts what walkers have of each part, and keeps what is wanted of it.
func (p *paths) mergeParts(ctx context.Context, walkers []pathWalker, kept []edgeKeeper) error {
	sums, tallies := make([]pathCounts, len(walkers)), make([]edgeTally, len(walkers))
	readers := make([]roomReader, len(walkers))
	if err := p.hold(ctx, int64(len(walkers))*p.form.tallyBytes()); err != nil {
		return err
	}
	return intervals(ctx, p.env, len(pathParts{}), 1, func(ctx context.Context, w, at, _ int) error {
		sum, tally := &sums[w], &tallies[w]
		sum.clear()
		for i := range walkers {
			part := &walkers[i].counts[at]
			part.settle()
			p.addChosen(sum, part.counts.list)
		}
		short, err := p.shortEdges(ctx, walkers, uint32(at), &readers[w], func(list []shortEdges) {
			for _, c := range tally.count(&p.form, uint32(at), list, 1) {
				sum.add(&c)
			}
		})
		if err != nil {
			return err
		}
		least := int64(1) // what is counted elsewhere too is left out later
		if p.short && p.node.EdgesTop > 0 && len(sum.list) == 0 {
			least = kept[w].of(0).least()
		}
		list := tally.count(&p.form, uint32(at), short, least)
		if len(sum.list) > 0 {
			for i := range list {
				sum.add(&list[i])
			}
			list = sum.list
		}
		for i := range walkers {
			walkers[i].forget(uint32(at))
		}
		return kept[w].add(ctx, list)
	})
}

// addChosen adds counts for the breakdown values that they count for.
func (p *paths) addChosen(sum *pathCounts, list []pathCount) {
	for i := range list {
		c := list[i]
		if p.chosen != nil {
			c.value = p.chosen[c.value]
		}
		if c.value != noValue {
			sum.add(&c)
		}
	}
}

// clear forgets all counts.
func (t *pathCounts) clear() {
	clear(t.table)
	t.list = t.list[:0]
}

// pathWalker takes actors, one after the other.
type pathWalker struct {
	p      *paths
	room   [parts]openRoom
	rooms  int // of short edges, full and open
	counts pathParts
	tally  edgeTally
	totals []valueTotal
	held   int64
	grown  int64 // bytes that are not accounted for yet
	items  []pathItem
	found  []foundEdge
	steps  []actorStep // OUTPUT ACTORS: of one actor
	frame  []byte      // to be written
}

// valueTotal is how many edges a breakdown value has, and whether it has any nodes that are asked for.
type valueTotal struct {
	edges int64
	seen  bool
}

// open makes the walker ready for a block of the operator.
func (k *pathWalker) open(p *paths) {
	if k.p == nil {
		k.p, k.totals = p, make([]valueTotal, p.values.count())
	}
}

// hold accounts for what has come since the last call.
func (k *pathWalker) hold(ctx context.Context) error {
	grown := k.grown
	k.held, k.grown = k.held+grown, 0
	return k.p.hold(ctx, grown)
}

// pathItem is a node of a path being made.
type pathItem struct {
	label
	time int64
}

// actor counts the paths of one actor, whose rows are in order.
func (k *pathWalker) actor(times []int64, vals []uint32) {
	p := k.p
	lo, hi := 0, len(times)
	if !p.inside {
		lo = skipTo(times, 0, p.from)
		hi = skipTo(times, lo, p.to)
	}
	if p.direct {
		k.direct(times[lo:hi], vals[lo:hi])
		return
	}
	for lo < hi {
		end := lo + 1
		for end < hi && !p.cuts(times[end-1], times[end]) {
			end++
		}
		k.count(k.session(times[lo:end], vals[lo:end]))
		lo = end
	}
}

// cuts says whether a session ends between two rows that follow each other.
func (p *paths) cuts(a, b int64) bool {
	limit := p.gap.after(a)
	return b > limit || b == limit && p.node.Compatible
}

// session is the path of a session, which may be empty.
func (k *pathWalker) session(times []int64, vals []uint32) []pathItem {
	items := k.items[:0]
	for i, t := range times {
		if l := k.p.labels[vals[i]]; l.node != k.p.none {
			items = append(items, pathItem{l, t})
		}
	}
	k.items = items
	if k.p.node.Compatible {
		return k.p.compatible(items)
	}
	return k.p.plain(items)
}

// plain cuts a session and then leaves out repeats. A node's time is that of the first of
// its rows.
func (p *paths) plain(items []pathItem) []pathItem {
	n := p.node
	items = p.cut(items)
	if !n.RepeatsKeep {
		out := items[:0]
		for _, it := range items {
			if len(out) == 0 || out[len(out)-1].node != it.node {
				out = append(out, it)
			}
		}
		items = out
	}
	if n.Depth == 0 || len(items) <= n.Depth {
		return items
	}
	if n.EndAt != nil && n.StartAt == nil {
		return items[len(items)-n.Depth:]
	}
	return items[:n.Depth]
}

// cut is the items from the first that is a start to the first end at or after it, none if
// there is no such item.
func (p *paths) cut(items []pathItem) []pathItem {
	if p.node.StartAt != nil {
		for len(items) > 0 && !items[0].start {
			items = items[1:]
		}
	}
	if p.node.EndAt != nil {
		for i := range items {
			if items[i].end {
				return items[:i+1]
			}
		}
		return nil
	}
	return items
}

// compatible is the path of a session by the rules of the insights: repeats are left out
// first, and a node's time is that of the last of its rows.
func (p *paths) compatible(items []pathItem) []pathItem {
	n := p.node
	if !n.RepeatsKeep {
		out := items[:0]
		for _, it := range items {
			if last := len(out) - 1; last >= 0 && out[last].node == it.node {
				it.start, it.end = it.start || out[last].start, it.end || out[last].end
				out[last] = it
				continue
			}
			out = append(out, it)
		}
		items = out
	}
	for len(items) > 0 && items[len(items)-1].node == p.empty {
		items = items[:len(items)-1]
	}
	items = p.cut(items)
	switch {
	case n.Depth == 0 || len(items) <= n.Depth:
	case n.StartAt != nil && n.EndAt != nil:
		half := n.Depth / 2
		items[half].node = p.dots
		items = append(items[:half+1], items[len(items)-half:]...)
	case n.EndAt != nil:
		items = items[len(items)-n.Depth:]
	default:
		items = items[:n.Depth]
	}
	return items
}

// count adds a path to the counts. Its breakdown value is the first one that is not null.
func (k *pathWalker) count(items []pathItem) {
	if len(items) == 0 {
		return
	}
	output := k.p.node.Output
	var c pathEdge
	for i := 0; i < len(items) && c.value == 0; i++ {
		c.value = items[i].value
	}
	total := &k.totals[c.value]
	total.edges += int64(len(items) - 1)
	if total.seen = total.seen || len(items) > 1 || output == plan.OutputActors; output == plan.OutputActors {
		k.note(c.value, items)
		return
	}
	for i := range items[1:] {
		from, to := &items[i], &items[i+1]
		c.source, c.target, c.time = from.node, to.node, uint64(to.time-from.time)
		if output == plan.OutputDefault {
			c.step = uint32(i + 1)
		}
		k.add(&c)
	}
}
