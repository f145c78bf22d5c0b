package exec

import (
	"context"
	"math/bits"
	"sort"
	"sync/atomic"
	"time"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/vec"
)

// The statuses of an actor in a bucket, in the order of the answer.
const (
	statusNew = iota
	statusReturning
	statusResurrecting
	statusDormant
	statuses
)

var statusNames = [statuses]string{"new", "returning", "resurrecting", "dormant"}

// lifecycle sorts actors into new, returning, resurrecting and dormant ones. Both faces
// share it: a bucket counts whole, wherever in it DURING begins or ends, and the one before
// the first says who was there already. An actor's first bucket is new if the actor came
// into being in it. Without CREATED that is its first row of all, so all history is read.
type lifecycle struct {
	answered
	node   *plan.Lifecycle
	line   *timeline // bucket 0 is the one before those of the answer
	actors actors
	born   []int64 // with CREATED of persons and an index: when each of them came into being
}

// lives is what one breakdown value adds up to.
type lives struct {
	counts []int64 // by bucket and status
	// With actor output: which actor has which status when.
	actors []uint32
	cells  []uint32 // bucket*statuses + status
}

func newLifecycle(n *plan.Lifecycle, env *Env) (Operator, error) {
	return &lifecycle{answered: answered{env: env}, node: n}, nil
}

func (l *lifecycle) Next(ctx context.Context) (*vec.Batch, error) { return l.next(ctx, l.run) }

func (l *lifecycle) run(ctx context.Context) error {
	n := l.node
	loc, err := location(&n.Source, l.env)
	if err != nil {
		return err
	}
	from, to, err := during(&n.Source, l.env)
	if err != nil || from >= to {
		return err
	}
	first := truncate(time.UnixMicro(from).In(loc), n.Every, n.Sunday).UnixMicro()
	if l.line, err = newTimeline(first-1, to, n.Every, loc, n.Sunday); err != nil {
		return err
	}
	if err := l.open(ctx); err != nil {
		return err
	}
	values, err := l.count(ctx)
	if err != nil {
		return err
	}
	l.answer(values)
	return nil
}

// open makes the actors ready. When persons came into being is read of each, not of all rows,
// unless that fails for a person, who perhaps has no row that counts.
func (l *lifecycle) open(ctx context.Context) (err error) {
	n := l.node
	sc, ok := n.Input.(*plan.Scan)
	if ok && n.Created != nil && readsOnly(n.Created, sc, ofPerson) {
		if l.actors, err = openActors(ctx, n, &n.Source, []expr.Expr{nil}, need{}, l.env); err != nil {
			return err
		}
		if _, ok := l.actors.(*indexed); ok {
			failed, err := l.findBorn(ctx, sc)
			if !failed {
				return err
			}
			l.born = nil
		}
	}
	l.actors, err = openActors(ctx, n, &n.Source, []expr.Expr{nil}, need{number: n.Created}, l.env)
	return err
}

// findBorn fills born; failed says that what went wrong is the expression.
func (l *lifecycle) findBorn(ctx context.Context, sc *plan.Scan) (failed bool, err error) {
	bytes := 8 * int64(l.env.Snapshot.Persons().Len())
	l.held.Add(bytes)
	if err := l.env.hold(ctx, bytes); err != nil {
		return false, err
	}
	l.born = make([]int64, l.env.Snapshot.Persons().Len())
	var no atomic.Bool
	err = eachPerson(ctx, sc, []expr.Expr{l.node.Created}, l.env, func(lo int, b *vec.Batch) error {
		v, err := l.node.Created.Eval(l.env.Expr, b)
		if err != nil {
			no.Store(true)
			return err
		}
		for i := range b.Rows {
			l.born[lo+i] = numberOf(v, i)
		}
		return nil
	})
	return no.Load(), err
}

// count walks all actors.
func (l *lifecycle) count(ctx context.Context) ([]*lives, error) {
	values := l.actors.breakdown().count()
	parts := make([][]*lives, l.env.Threads)
	walkers := make([]*liver, l.env.Threads)
	walker := func(w int, base uint32) *liver {
		if walkers[w] == nil {
			parts[w] = make([]*lives, values)
			walkers[w] = &liver{l: l, out: parts[w]}
		}
		walkers[w].base = base
		return walkers[w]
	}
	var err error
	if ix, days, ok := l.days(); ok {
		err = ix.dayBlocks(ctx, days.first, len(days.buckets), false, func(ctx context.Context, w int, b *dayBlock) error {
			k := walker(w, b.base)
			for at := 0; at < b.count; at += planeActors {
				k.days(b, at, days)
			}
			return k.hold(ctx)
		})
	} else {
		err = l.actors.blocks(ctx, func(ctx context.Context, w int, b *block) error {
			k := walker(w, b.base)
			for i := range b.count {
				k.actor(i, historyOf(&b.conds[0], i))
			}
			return k.hold(ctx)
		})
	}
	if err != nil {
		return nil, err
	}
	out := make([]*lives, values)
	for _, part := range parts {
		mergeValues(out, part)
	}
	return out, nil
}

func (p *lives) merge(o *lives) {
	for i, n := range o.counts {
		p.counts[i] += n
	}
	p.actors, p.cells = append(p.actors, o.actors...), append(p.cells, o.cells...)
}

// days is how to read on which days actors have rows, if that is all there is to know.
func (l *lifecycle) days() (*indexed, *dayLine, bool) {
	ix, ok := l.actors.(*indexed)
	if !ok || l.node.Created != nil && l.born == nil {
		return nil, nil, false
	}
	days, ok := ix.dayLine(l.line, l.line.starts[0], vec.InfinityTime)
	return ix, days, ok
}

// liver walks the actors of one block.
type liver struct {
	l      *lifecycle
	base   uint32
	out    []*lives
	split  splitter
	active []int
	planes []uint64 // with days: who has a row on each
	bornIn []uint64 // by bucket: who came into being in it
	grown  int64    // bytes kept and not accounted for yet
}

func (k *liver) actor(i int, rows history) {
	if len(rows.times) == 0 {
		return
	}
	if k.l.node.Breakdown == nil {
		k.life(i, 0, rows)
		return
	}
	k.split.each(rows, history{}, func(value uint32, rows, _ history) { k.life(i, value, rows) })
}

// life adds what one actor did, as far as its rows have one breakdown value.
func (k *liver) life(i int, value uint32, rows history) {
	line := k.l.line
	k.active = k.active[:0]
	first := skipTo(rows.times, 0, line.starts[0])
	for j := first; j < len(rows.times); {
		bucket := line.bucket(rows.times[j])
		if bucket < 0 {
			break
		}
		k.active = append(k.active, bucket)
		j = skipTo(rows.times, j, line.starts[bucket+1])
	}
	if len(k.active) == 0 {
		return
	}
	born := rows.times[0]
	if rows.nums != nil {
		born = rows.nums[first]
	}
	k.live(i, value, born)
}

// days adds what the actors of a block from one on did, 64 of them at a time: bit a of a word is actor
// at+a.
func (k *liver) days(b *dayBlock, at int, line *dayLine) {
	k.planes = b.planes(k.planes, b.conds[0], at)
	born := k.l.born != nil
	if born {
		k.findBorn(at, min(at+planeActors, b.count))
	}
	// Who was active until then, and who was in the bucket before, which is one less than the next.
	seen, before, next := uint64(0), uint64(0), 0
	for d := 0; d < len(line.buckets); {
		bucket, active := int(line.buckets[d]), uint64(0)
		for ; d < len(line.buckets) && int(line.buckets[d]) == bucket; d++ {
			active |= k.planes[d]
		}
		if bucket < 0 {
			if !born {
				seen |= active
			}
			continue
		}
		fresh := active &^ seen
		if born {
			fresh &= k.bornIn[bucket]
		}
		k.addAll(at, bucket, [statuses]uint64{statusNew: fresh, statusReturning: active & before,
			statusResurrecting: active &^ (fresh | before), statusDormant: before &^ active})
		seen, before, next = seen|active, active, bucket+1
	}
	k.addAll(at, next, [statuses]uint64{statusDormant: before})
}

// findBorn finds in which buckets the actors of a block from one on came into being.
func (k *liver) findBorn(at, end int) {
	k.bornIn = grow(k.bornIn, k.l.line.count())
	clear(k.bornIn)
	for i := at; i < end; i++ {
		if bucket := k.l.line.bucket(k.l.born[int(k.base)+i]); bucket >= 0 {
			k.bornIn[bucket] |= 1 << (i - at)
		}
	}
}

// live adds what one actor did in the buckets in which it is active; born is when it came
// into being.
func (k *liver) live(i int, value uint32, born int64) {
	if k.l.born != nil {
		born = k.l.born[k.base+uint32(i)]
	}
	for a, bucket := range k.active {
		status := statusResurrecting
		switch {
		case a == 0 && k.l.line.bucket(born) == bucket:
			status = statusNew
		case a > 0 && k.active[a-1] == bucket-1:
			status = statusReturning
		}
		k.add(i, value, bucket, status)
		if a+1 == len(k.active) || k.active[a+1] > bucket+1 {
			k.add(i, value, bucket+1, statusDormant)
		}
	}
}

// add counts an actor in a bucket, if the bucket is one of the answer's.
func (k *liver) add(i int, value uint32, bucket, status int) {
	if p, cell := k.cell(value, bucket, status); p != nil {
		p.counts[cell]++
		k.list(p, i, cell)
	}
}

// addAll counts those actors of a block, a bit each from one on, who have each status in a bucket.
func (k *liver) addAll(at, bucket int, actors [statuses]uint64) {
	p, first := k.cell(0, bucket, 0)
	if p == nil {
		return
	}
	cells := p.counts[first : first+statuses]
	for status, with := range actors {
		cells[status] += int64(bits.OnesCount64(with))
		for ; with != 0 && k.l.node.Output == plan.OutputActors; with &= with - 1 {
			k.list(p, at+bits.TrailingZeros64(with), first+status)
		}
	}
}

// cell is where a status in a bucket is counted; p is nil if the bucket is none of the answer's.
func (k *liver) cell(value uint32, bucket, status int) (p *lives, cell int) {
	if bucket == 0 || bucket >= k.l.line.count() {
		return nil, 0
	}
	if p = k.out[value]; p == nil {
		p = &lives{counts: make([]int64, k.l.line.count()*statuses)}
		k.out[value] = p
		k.grown += int64(len(p.counts)) * 8
	}
	return p, bucket*statuses + status
}

// list notes who has a status, if that is asked for.
func (k *liver) list(p *lives, i, cell int) {
	if k.l.node.Output == plan.OutputActors {
		p.actors, p.cells = append(p.actors, k.base+uint32(i)), append(p.cells, uint32(cell))
		k.grown += 8
	}
}

// hold accounts for what the walker keeps.
func (k *liver) hold(ctx context.Context) error {
	grown := k.grown
	k.grown = 0
	k.l.held.Add(grown)
	return k.l.env.hold(ctx, grown)
}

// answer makes the rows of the answer: every status of every bucket, of the breakdown
// values with the most active actors first.
func (l *lifecycle) answer(values []*lives) {
	by := l.node.Breakdown
	var ids []uint32
	for v, p := range values {
		if p != nil {
			ids = append(ids, uint32(v))
		}
	}
	if by == nil && len(ids) == 0 {
		ids = []uint32{0}
		values[0] = &lives{counts: make([]int64, l.line.count()*statuses)}
	}
	if by != nil {
		rankValues(ids, func(v uint32) int64 { return values[v].size() }, l.actors.breakdown())
		if by.Top > 0 && len(ids) > by.Top {
			rest := values[ids[by.Top]]
			for _, v := range ids[by.Top+1:] {
				rest.merge(values[v])
			}
			ids = ids[:by.Top]
			if by.WithOther {
				ids, values = append(ids, uint32(len(values))), append(values, rest)
			}
		}
	}
	if l.node.Output == plan.OutputActors {
		l.actorRows(values, ids)
		return
	}
	l.countRows(values, ids)
}

// size is how often an actor was active.
func (p *lives) size() int64 {
	n := int64(0)
	for cell, count := range p.counts {
		if cell%statuses != statusDormant {
			n += count
		}
	}
	return n
}

func (l *lifecycle) countRows(values []*lives, ids []uint32) {
	bucket, status := &vec.Vector{Type: vec.T(vec.TimestampTZ)}, statusColumn()
	count := &vec.Vector{Type: vec.T(vec.Int8)}
	var of []uint32
	for _, v := range ids {
		for cell, n := range values[v].counts[statuses:] {
			of = append(of, v)
			bucket.I64 = append(bucket.I64, l.line.starts[1+cell/statuses])
			status.Codes = append(status.Codes, uint32(cell%statuses))
			count.I64 = append(count.I64, n)
		}
	}
	l.rows = len(of)
	l.cols = append(breakdownColumns(l.node.Breakdown, l.actors.breakdown(), of), bucket, status, count)
}

func (l *lifecycle) actorRows(values []*lives, ids []uint32) {
	bucket, status := &vec.Vector{Type: vec.T(vec.TimestampTZ)}, statusColumn()
	var of, who []uint32
	for _, v := range ids {
		p := values[v]
		order := make([]int, len(p.actors))
		for i := range order {
			order[i] = i
		}
		sort.Slice(order, func(i, j int) bool {
			a, b := order[i], order[j]
			if p.cells[a] != p.cells[b] {
				return p.cells[a] < p.cells[b]
			}
			return p.actors[a] < p.actors[b]
		})
		for at, i := range order {
			if at > 0 && p.cells[i] == p.cells[order[at-1]] && p.actors[i] == p.actors[order[at-1]] {
				continue // one of the rest, with two of its values
			}
			of, who = append(of, v), append(who, p.actors[i])
			bucket.I64 = append(bucket.I64, l.line.starts[p.cells[i]/statuses])
			status.Codes = append(status.Codes, p.cells[i]%statuses)
		}
	}
	l.rows = len(of)
	l.cols = append(breakdownColumns(l.node.Breakdown, l.actors.breakdown(), of), bucket, status, l.actors.vector(who))
}

// statusColumn is a column of statuses without rows yet.
func statusColumn() *vec.Vector {
	names := &vec.Vector{Type: vec.T(vec.Text), Str: vec.StringsOf(statusNames[:]...)}
	return &vec.Vector{Type: vec.T(vec.Text), Form: vec.Dict, Dict: names}
}
