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
	labels   []label     // what the numbers of rows mean
	names    *vec.Vector // of nodes
	values   *values32   // of the breakdown; nil without one
	short    bool        // edges differ in nodes and step alone
	form     edgeForm
	// direct says that all rows of a session are its path, but for repeats and its length. Numbers of
	// rows are those of nodes then.
	direct bool
	inside bool // no row is before from or after to
	// The nodes that stand for NULL, for the empty text and, under the rules of the insights,
	// for what was left out of the middle of a path.
	none, empty, dots uint32
}

// label is what a row is to the walk.
type label struct {
	node, value uint32
	start, end  bool
}

// pathKey is what paths are counted by. What an output does not tell apart is 0.
type pathKey struct {
	value          uint32 // of the breakdown
	actor          uint32 // OUTPUT ACTORS
	step           uint32 // position of the source; with OUTPUT ACTORS, of the target
	source, target uint32
	last           bool // OUTPUT ACTORS: the path ends at the target
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

const pathCountBytes = 120

// pathParts gathers edges in parts, of which each fits into the cache when it is counted. Edges
// wait until there are so many of a part that it is worth to turn to it.
type pathParts [256]pathPart

type pathPart struct {
	full    []edgeRoom // of short edges
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

// addEdges counts edges, and gives how many bytes that took.
func (t *pathCounts) addEdges(list []pathEdge) int64 {
	before := len(t.list)
	for i := range list {
		e := &list[i]
		t.add(&pathCount{pathKey: e.pathKey, count: 1, time: e.time})
	}
	return int64(len(t.list)-before) * pathCountBytes
}

// hash multiplies two halves of the key, and folds the product.
func (k *pathKey) hash() uint64 {
	last := uint64(0)
	if k.last {
		last = 1
	}
	rest := uint64(k.step)<<32 | uint64(k.value) ^ (uint64(k.actor)<<1|last)*0x165667B19E3779F9
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
	return &paths{answered: answered{env: env}, node: n}, nil
}

func (p *paths) Next(ctx context.Context) (*vec.Batch, error) { return p.next(ctx, p.run) }

func (p *paths) hold(ctx context.Context, bytes int64) error {
	p.held.Add(bytes)
	return p.env.hold(ctx, bytes)
}

func (p *paths) run(ctx context.Context) error {
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
	if p.actors, err = openActors(ctx, n, &src, []expr.Expr{nil}, need{ties: true}, p.env); err != nil {
		return err
	}
	first, last := p.actors.bounds()
	p.inside = p.from <= first && last < p.to
	if err := p.readLabels(ctx); err != nil {
		return err
	}
	counts, err := p.count(ctx)
	if err != nil {
		return err
	}
	p.answer(counts)
	return nil
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
	p.short = n.Breakdown == nil && n.Output != plan.OutputActors
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
	return nil
}

// count walks all actors.
func (p *paths) count(ctx context.Context) ([]pathCount, error) {
	walkers := make([]pathWalker, p.env.Threads)
	err := p.actors.blocks(ctx, func(ctx context.Context, w int, b *block) error {
		k := &walkers[w]
		k.p = p
		for i := range b.count {
			if i&1023 == 0 {
				if err := yield(ctx); err != nil {
					return err
				}
			}
			if b.conds[0].countOf(i) > 0 {
				k.actor(b.base+uint32(i), b.conds[0].of(i), b.conds[0].valsOf(i))
			}
			if k.grown > 0 {
				if err := p.hold(ctx, k.grown); err != nil {
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
	// Parts of one hash come together. Unless they are asked for by breakdown, no more edges are
	// kept than the answer has.
	top := p.node.EdgesTop > 0 && p.node.Breakdown == nil && p.node.Output != plan.OutputActors
	sums, tallies := make([]pathCounts, len(walkers)), make([]edgeTally, len(walkers))
	kept := make([]edgeFilter, len(walkers))
	if err := p.hold(ctx, int64(len(walkers))*p.form.tallyBytes()); err != nil {
		return nil, err
	}
	err = intervals(ctx, p.env, len(pathParts{}), 1, func(ctx context.Context, w, at, _ int) error {
		sum := &sums[w]
		sum.clear()
		for i := range walkers {
			part := &walkers[i].counts[at]
			for j := range part.counts.list {
				sum.add(&part.counts.list[j])
			}
			sum.addEdges(part.waiting)
		}
		var short []shortEdges
		for i := range walkers {
			short = walkers[i].shortEdges(uint32(at), short)
		}
		kept[w].p = p
		least := int64(1) // what is counted elsewhere too is left out later
		if top && len(sum.list) == 0 {
			least = kept[w].least()
		}
		list := tallies[w].count(&p.form, uint32(at), short, least)
		if len(sum.list) > 0 {
			for i := range list {
				sum.add(&list[i])
			}
			list = sum.list
		}
		for i := range walkers {
			walkers[i].forget(uint32(at))
		}
		before := len(kept[w].best)
		if top {
			kept[w].add(list)
		} else {
			kept[w].best = append(kept[w].best, list...)
		}
		return p.hold(ctx, int64(max(0, len(kept[w].best)-before))*int64(unsafe.Sizeof(pathCount{})))
	})
	var all []pathCount
	for i := range kept {
		all = append(all, kept[i].best...)
	}
	return all, err
}

// clear forgets all counts.
func (t *pathCounts) clear() {
	clear(t.table)
	t.list = t.list[:0]
}

// pathWalker takes actors, one after the other.
type pathWalker struct {
	p      *paths
	open   [parts]openRoom
	rooms  int // of short edges, full and open
	counts pathParts
	tally  edgeTally
	grown  int64 // bytes that are not accounted for yet
	items  []pathItem
	found  []foundEdge
}

// pathItem is a node of a path being made.
type pathItem struct {
	label
	time int64
}

// actor counts the paths of one actor, whose rows are in order.
func (k *pathWalker) actor(actor uint32, times []int64, vals []uint32) {
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
		k.count(actor, k.session(times[lo:end], vals[lo:end]))
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
func (k *pathWalker) count(actor uint32, items []pathItem) {
	output := k.p.node.Output
	var c pathEdge
	for i := 0; i < len(items) && c.value == 0; i++ {
		c.value = items[i].value
	}
	for i := range items {
		c.source, c.target, c.time = k.p.none, items[i].node, 0
		if i > 0 {
			c.source, c.time = items[i-1].node, uint64(items[i].time-items[i-1].time)
		}
		switch {
		case output == plan.OutputActors:
			c.actor, c.step, c.last, c.time = actor, uint32(i+1), i == len(items)-1, 0
		case i == 0:
			continue
		case output == plan.OutputDefault:
			c.step = uint32(i)
		}
		k.add(&c)
	}
}
