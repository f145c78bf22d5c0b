package exec

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/prickledb/prickle/engine/agg"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/vec"
)

// partition is groups on disk, whose keys have the same hash as far as the levels above
// it looked.
type partition struct {
	file  *spillFile
	level int
}

// partitionQueue is partitions that several goroutines take and divide.
type partitionQueue struct {
	mu   sync.Mutex
	work []partition
}

// take is the next partition; nil if there is none.
func (q *partitionQueue) take(ctx context.Context) *partition {
	lock(ctx, &q.mu)
	defer q.mu.Unlock()
	if len(q.work) == 0 {
		return nil
	}
	last := len(q.work) - 1
	part := q.work[last]
	q.work = q.work[:last]
	return &part
}

// maxLevel is how often a partition is divided again: 16 to that power parts. What is too
// large then is one group, or nearly.
const maxLevel = 6

const (
	// memoryParts is how many partitions there are in memory, sixteen for each on disk: as many
	// that ten million groups are merged in the second-level cache.
	memoryParts = 16 * fanOut
	// mergeRows is up to how many rows of partitions that follow each other are merged together, and
	// mergeParts how many of these there are at most, so that all who merge have work to the end.
	mergeRows  = 1 << 15
	mergeParts = 8
	// maxGroups is how many groups a grouping has before they go to partitions, and
	// maxGroupBytes how many bytes they take: beyond what the caches hold, a look-up costs several
	// times as much, more than to move the group and to merge it.
	maxGroups     = 1 << 17
	maxGroupBytes = 16 << 20
	// maxFresh is how many groups a grouping has at a time where groups are made by nearly every
	// row, as the first maxGroups have shown: then no group is looked for, they are only put into the order of
	// their partitions, best while they fit into the second-level cache. After freshRuns times, and twice as many
	// each time, they are looked for nevertheless, to see whether that is still so.
	maxFresh  = 1 << 15
	freshRuns = 16
	// waitRows is how many rows a group has at most, of the first maxGroups, where rows wait for their groups rather
	// than to be looked up in a table beyond the caches; of the first earlyGroups, which are in the caches, earlyRows.
	waitRows    = 4
	earlyGroups = 1 << 14
	earlyRows   = 2
	// heavyGroup is from how many bytes on a group stays nevertheless, because its states have
	// much in them: what moved would come again, and be merged as often as it moved.
	heavyGroup = 1 << 10
)

// partitions divides groups by the hash of their keys. Groups wait in memory, and go to files
// once they take too much of it. Several goroutines may add to it.
type partitions struct {
	spills *spills
	level  int
	held   atomic.Int64 // of runs

	mu    sync.Mutex
	runs  []*groupRun
	files [fanOut]*spillFile
	apart []*rowPartitions // by call, what was set apart; nil: nothing was
}

// partEnds is where the groups of each partition end.
type partEnds [memoryParts]int

// groupRun is groups that were in one grouping, in the order of their partitions.
type groupRun struct {
	keys     []*vec.Vector
	packed   packedKeys // in their place, if all are numbers
	ends     partEnds
	partials []partial
	waiting  []*vec.Vector // in their place: what the calls read of rows, each of which is a group; nil: there is none
	waits    bool          // that is so, even if the calls read nothing
	keyBytes int64
	held     int64
}

// span is where the groups of partitions [from, to) are.
func (r *groupRun) span(from, to int) (lo, hi int) {
	if from > 0 {
		lo = r.ends[from-1]
	}
	return lo, r.ends[to-1]
}

// together is how many partitions are merged at a time.
func (p *partitions) together() int {
	rows := 0
	for _, run := range p.runs {
		rows += run.ends[memoryParts-1]
	}
	n := mergeParts
	for n > 1 && rows/memoryParts*n > mergeRows {
		n /= 2
	}
	return n
}

// partial is the partial rows of an aggregate, in the order of their groups.
type partial struct {
	places []uint32 // of each row: the place of its group in the run; nil: row i is of group i
	cols   []*vec.Vector
}

// A partition's file has chunks of groups. A chunk is a batch of their keys, and then, for
// each aggregate, batches of partial rows. Every batch has a first column that says what
// it is; partial rows have a second one with their group's position in the chunk.
const keysBatch = -1

// used says whether there are groups.
func (p *partitions) used() bool { return p.inMemory() || p.spilled() }

// inMemory says whether groups wait in memory.
func (p *partitions) inMemory() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.runs) > 0
}

// spilled says whether groups are on disk.
func (p *partitions) spilled() bool { return len(p.list(nil)) > 0 }

// list adds the partitions on disk to a list.
func (p *partitions) list(to []partition) []partition {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, f := range p.files {
		if f != nil {
			to = append(to, partition{f, p.level})
		}
	}
	return to
}

// forget drops what waits in memory.
func (p *partitions) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.spills.env.release(p.held.Swap(0))
	p.runs = nil
}

// relieve moves groups to partitions if they are many, and to disk if they take too much
// memory. Of one group alone only what calls with DISTINCT have seen can be divided.
func (p *partitions) relieve(ctx context.Context, g *grouping) error {
	if g.env.crowdedBy(g.held+g.more+p.held.Load(), g.more) {
		if err := p.spill(ctx); err != nil {
			return err
		}
		switch {
		case p.divides(g):
			return p.setApart(ctx, g)
		case g.env.crowdedBy(g.held+g.more, g.more) && g.groups.groups > 1 && p.level <= maxLevel:
			return p.spillGroups(ctx, g)
		}
	}
	if g.groups.groups < 2 {
		return nil
	}
	if err := g.hold(ctx); err != nil {
		return err
	}
	n, most := g.groups.groups, maxGroups
	switch {
	case g.env.GroupsAt > 0:
		most = g.env.GroupsAt
	case g.fresh:
		most = maxFresh
	case !g.judged && n >= earlyGroups:
		g.judged = true
		if g.waits() && g.taken < earlyRows*n {
			most = earlyGroups
		}
	}
	if p.level > 0 || n < most && (g.held < maxGroupBytes || g.held > heavyGroup*int64(n)) {
		return nil
	}
	if !g.env.room(g.held) {
		if err := p.spill(ctx); err != nil {
			return err
		}
		return p.spillGroups(ctx, g)
	}
	waits := g.waits()
	if g.runs++; !g.groups.table.repeats {
		g.fresh = g.taken < n+n/2 || waits && g.taken < waitRows*n
	}
	if err := p.add(ctx, g); err != nil {
		return err
	}
	again := g.fresh && (g.runs < freshRuns || g.runs&(g.runs-1) > 0)
	g.groups.repeat(again)
	g.wait(again && waits)
	return g.hold(ctx)
}

// add takes the groups from a grouping, which keeps its memory for those to come.
func (p *partitions) add(ctx context.Context, g *grouping) error {
	l, err := leave(ctx, g, p.level)
	defer l.close()
	if len(l.order) == 0 || err != nil {
		return err
	}
	run := l.run(0, len(l.order))
	run.ends = l.ends
	p.held.Add(run.held)
	p.mu.Lock()
	p.runs = append(p.runs, run)
	p.mu.Unlock()
	if err := g.env.hold(ctx, run.held); err != nil {
		return err
	}
	g.groups.empty()
	g.taken = 0
	if g.waiting != nil {
		g.waiting.forget()
		return nil
	}
	return g.renewStates()
}

// spillGroups writes the groups of a grouping to files, a few at a time, and forgets them.
func (p *partitions) spillGroups(ctx context.Context, g *grouping) error {
	l, err := leave(ctx, g, p.level)
	defer l.close()
	if len(l.order) == 0 || err != nil {
		return err
	}
	lock(ctx, &p.mu)
	defer p.mu.Unlock()
	err = p.write(ctx, l.ends, g.env.blockRows(g.held, len(l.order)), func(f *spillFile, lo, hi int) error {
		return l.run(lo, hi).writeChunk(p.spills, f, 0, hi-lo)
	})
	if err != nil {
		return err
	}
	g.forget()
	if err := g.newStates(); err != nil {
		return err
	}
	return g.hold(ctx)
}

// leaving is the groups of a grouping on their way to partitions.
type leaving struct {
	env    *Env
	groups *grouper
	order  []uint32 // by partition
	ends   partEnds
	states []leavingState
	// waiting is rows, each of which is a group; nil: states have seen them.
	waiting *waiting
	held    int64
}

// leavingState is the partial rows of an aggregate, of which rows is the order.
type leavingState struct {
	rows, places []uint32 // as of partial
	cols         []*vec.Vector
}

// leavingBytes is what a group takes on its way: a hash, and twice its place.
const leavingBytes = 16

// leave puts groups into the order of their partitions. The states of the grouping must not be
// used again.
func leave(ctx context.Context, g *grouping, level int) (*leaving, error) {
	l := &leaving{env: g.env, groups: g.groups, held: leavingBytes * int64(g.groups.groups)}
	if l.held == 0 {
		return l, nil
	}
	if err := l.env.hold(ctx, l.held); err != nil {
		return l, err
	}
	l.divide(g.groups.hashes(), level)
	if l.waiting = g.waiting; l.waiting != nil {
		return l, nil
	}
	place := make([]uint32, len(l.order))
	for i, group := range l.order {
		place[group] = uint32(i)
	}
	for _, st := range g.states {
		st.Grow(len(l.order))
		l.states = append(l.states, inOrderOfGroups(l.order, place, st))
	}
	return l, nil
}

func (l *leaving) close() { l.env.release(l.held) }

// divide finds the order of groups by partition.
func (l *leaving) divide(hashes []uint64, level int) {
	var starts [memoryParts + 1]int
	parts := make([]uint8, len(hashes))
	for i, h := range hashes { // those in one file follow each other
		h >>= 4 * level & 63
		part := uint8(h%fanOut*(memoryParts/fanOut) + h/fanOut%(memoryParts/fanOut))
		parts[i] = part
		starts[int(part)+1]++
	}
	for i := range memoryParts {
		starts[i+1] += starts[i]
		l.ends[i] = starts[i+1]
	}
	l.order = make([]uint32, len(hashes))
	for i, part := range parts {
		at := &starts[part]
		l.order[*at] = uint32(i)
		*at++
	}
}

// inOrderOfGroups puts the partial rows of a state into the order of groups. Rows of one group
// stay in order.
func inOrderOfGroups(order, place []uint32, st agg.State) leavingState {
	groups, cols := st.Partial()
	s := leavingState{rows: order, cols: cols}
	if groups == nil {
		return s
	}
	starts := make([]uint32, len(order)+1)
	for _, g := range groups {
		starts[place[g]+1]++
	}
	for i := range order {
		starts[i+1] += starts[i]
	}
	s.rows, s.places = make([]uint32, len(groups)), make([]uint32, len(groups))
	for r, g := range groups {
		at := place[g]
		s.rows[starts[at]], s.places[starts[at]] = uint32(r), at
		starts[at]++
	}
	return s
}

// run is a copy of the groups at places [lo, hi).
func (l *leaving) run(lo, hi int) *groupRun {
	r := &groupRun{}
	if l.groups.numbersAlone() {
		r.packed = l.groups.packedInOrder(l.order[lo:hi])
	} else {
		r.keys = l.groups.ordered(l.order[lo:hi])
	}
	r.keyBytes = bytesOf(r.keys) + int64(8*cap(r.packed.list))
	r.held = r.keyBytes
	if l.waiting != nil {
		r.waits, r.waiting = true, l.waiting.inOrder(l.order[lo:hi])
		r.held += bytesOf(r.waiting)
		return r
	}
	for i := range l.states {
		s := &l.states[i]
		from, to := partialRows(s.places, lo, hi)
		var p partial
		if s.places != nil {
			p.places = make([]uint32, to-from)
			for j, place := range s.places[from:to] {
				p.places[j] = place - uint32(lo)
			}
		}
		for _, c := range s.cols {
			c = c.Take(s.rows[from:to])
			if c.Form == vec.Dict && c.Type.Payload() == vec.PayloadStr { // each part needs few of its values
				c = c.Flatten(to - from)
			}
			p.cols = append(p.cols, c)
		}
		r.partials = append(r.partials, p)
		r.held += bytesOf(p.cols) + int64(4*len(p.places))
	}
	return r
}

// partialRows is which partial rows belong to the groups at places [lo, hi).
func partialRows(places []uint32, lo, hi int) (from, to int) {
	if places == nil {
		return lo, hi
	}
	from, _ = slices.BinarySearch(places, uint32(lo))
	to, _ = slices.BinarySearch(places, uint32(hi))
	return from, to
}

func sliceAll(cols []*vec.Vector, lo, hi int) []*vec.Vector {
	out := make([]*vec.Vector, len(cols))
	for i, c := range cols {
		out[i] = c.Slice(lo, hi)
	}
	return out
}

// spill writes what waits in memory to files, in the order in which it came: array_agg shows it.
func (p *partitions) spill(ctx context.Context) error {
	lock(ctx, &p.mu)
	defer p.mu.Unlock()
	env := p.spills.env
	for len(p.runs) > 0 {
		run := p.runs[0]
		err := p.write(ctx, run.ends, env.blockRows(run.held, run.ends[memoryParts-1]), func(f *spillFile, lo, hi int) error {
			return run.writeChunk(p.spills, f, lo, hi)
		})
		if err != nil {
			return err
		}
		p.runs = p.runs[1:]
		p.held.Add(-run.held)
		env.release(run.held)
	}
	return nil
}

// write has stretches of groups written to the file of their partition, at most step at a time.
func (p *partitions) write(ctx context.Context, ends partEnds, step int, chunk func(f *spillFile, lo, hi int) error) error {
	lo := 0
	for i := range p.files {
		for end := ends[(i+1)*(memoryParts/fanOut)-1]; lo < end; lo = min(lo+step, end) {
			if err := ctx.Err(); err != nil {
				return err
			}
			if p.files[i] == nil {
				var err error
				if p.files[i], err = p.spills.create(); err != nil {
					return err
				}
			}
			if err := chunk(p.files[i], lo, min(lo+step, end)); err != nil {
				return err
			}
		}
	}
	return nil
}

// keyColumns is the keys at places [lo, hi).
func (r *groupRun) keyColumns(lo, hi int) []*vec.Vector {
	if r.keys == nil {
		return r.packed.slice(lo, hi).values()
	}
	return sliceAll(r.keys, lo, hi)
}

// settled is rows at places [lo, hi) that have waited, with states that have seen them.
func (r *groupRun) settled(s *spills, lo, hi int) (*groupRun, error) {
	n := s.node.(*plan.Aggregate)
	out := &groupRun{packed: r.packed.slice(lo, hi)}
	args, order := argColumnsOf(n), firstRows(new([]uint32), hi-lo)
	for i := range n.Aggs {
		st, err := newState(&n.Aggs[i])
		if err != nil {
			return nil, err
		}
		st.Grow(hi - lo)
		if err := st.Update(s.env.Expr, order, args.slice(r.waiting, i, lo, hi), order); err != nil {
			return nil, err
		}
		p := partial{}
		p.places, p.cols = st.Partial()
		out.partials = append(out.partials, p)
	}
	return out, nil
}

// writeChunk writes the groups at places [lo, hi).
func (r *groupRun) writeChunk(s *spills, f *spillFile, lo, hi int) (err error) {
	if r.waits {
		if r, err = r.settled(s, lo, hi); err != nil {
			return err
		}
		lo, hi = 0, hi-lo
	}
	b := &vec.Batch{Rows: hi - lo, Cols: append([]*vec.Vector{tag(keysBatch)}, r.keyColumns(lo, hi)...)}
	if err := f.write(b); err != nil {
		return err
	}
	for i := range r.partials {
		p := &r.partials[i]
		from, to := partialRows(p.places, lo, hi)
		for ; from < to; from += vec.BatchRows {
			end := min(from+vec.BatchRows, to)
			local := &vec.Vector{Type: vec.T(vec.Int4), I64: make([]int64, end-from)}
			for j := range local.I64 {
				place := from + j
				if p.places != nil {
					place = int(p.places[place])
				}
				local.I64[j] = int64(place - lo)
			}
			b := &vec.Batch{Rows: end - from, Cols: append([]*vec.Vector{tag(int64(i)), local}, sliceAll(p.cols, from, end)...)}
			if err := f.write(b); err != nil {
				return err
			}
		}
	}
	return nil
}

// mergeInMemory merges the partitions [from, to) that are in memory and makes the answer of its groups. Their
// keys come first, so that the states have as many groups from the beginning as they will have. Where only the
// first groups by a call are wanted, that is next, and the others see the rows of those alone.
func (a *aggregate) mergeInMemory(ctx context.Context, from, to int) (err error) {
	g, err := a.emptyGrouping()
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			g.release()
		}
	}()
	rows, waits, bytes := 0, 0, int64(0)
	for _, run := range a.parts.runs {
		lo, hi := run.span(from, to)
		rows += hi - lo
		if run.waits {
			waits += hi - lo
		}
		bytes += run.keyBytes * int64(hi-lo) / int64(run.ends[memoryParts-1])
	}
	g.groups.expect((rows+waits)/2, bytes/2) // many groups are in several runs; rows that wait have mostly one each
	g.ids = grow(g.ids, rows)
	err = a.eachRun(ctx, g, from, to, func(run *groupRun, lo, hi, at int) error {
		if ids := g.ids[at : at+hi-lo]; run.keys == nil {
			g.groups.assignPacked(ids, run.packed.slice(lo, hi))
		} else {
			g.groups.assign(ids, run.keyColumns(lo, hi), firstRows(&g.rows, hi-lo))
		}
		return nil
	})
	if err != nil {
		return err
	}
	if a.first == nil {
		for i := range g.states {
			if err := a.absorb(ctx, g, from, to, i, g.groups.groups); err != nil {
				return err
			}
		}
		return a.finish(g)
	}
	return a.mergeFirst(ctx, g, from, to)
}

// absorb has a state see what the runs have of a partition, whose groups, of so many, are in g.ids; noGroup is one that
// is not wanted.
func (a *aggregate) absorb(ctx context.Context, g *grouping, from, to, call, groups int) error {
	st := g.states[call]
	st.Grow(groups)
	return a.eachRun(ctx, g, from, to, func(run *groupRun, lo, hi, at int) error {
		ids := g.ids[at : at+hi-lo]
		if run.waits {
			rows := firstRows(&g.rows, hi-lo)
			if groups < g.groups.groups {
				ids, rows = wantedRows(ids)
			}
			return st.Update(a.env.Expr, ids, g.args.slice(run.waiting, call, lo, hi), rows)
		}
		part := &run.partials[call]
		first, end := partialRows(part.places, lo, hi)
		if part.places != nil {
			of := make([]uint32, end-first)
			for j, place := range part.places[first:end] {
				of[j] = ids[int(place)-lo]
			}
			ids = of
		}
		cols := sliceAll(part.cols, first, end)
		if groups < g.groups.groups {
			var rows []uint32
			ids, rows = wantedRows(ids)
			for i, c := range cols {
				cols[i] = c.Take(rows)
			}
		}
		return st.Absorb(a.env.Expr, ids, cols)
	})
}

// wantedRows is which rows have a group, and these.
func wantedRows(of []uint32) (groups, rows []uint32) {
	for i, g := range of {
		if g != noGroup {
			groups, rows = append(groups, g), append(rows, uint32(i))
		}
	}
	return groups, rows
}

// eachRun calls f for the groups of a partition in each run, which are at places [lo, hi) there, and
// behind so many of the runs before. It accounts for what the grouping takes then.
func (a *aggregate) eachRun(ctx context.Context, g *grouping, from, to int, f func(run *groupRun, lo, hi, before int) error) error {
	before := 0
	for _, run := range a.parts.runs {
		lo, hi := run.span(from, to)
		if lo == hi {
			continue
		}
		if err := yield(ctx); err != nil {
			return err
		}
		if err := f(run, lo, hi, before); err != nil {
			return err
		}
		if err := g.hold(ctx); err != nil {
			return err
		}
		before += hi - lo
	}
	return nil
}

// emptyGrouping is a grouping with the memory of the one before, which was finished, but for what
// that gave out.
func (a *aggregate) emptyGrouping() (g *grouping, err error) {
	if g = a.space; g == nil {
		g, err = newGrouping(a.node, a.env)
		a.space = g
		return g, err
	}
	g.groups.again()
	g.held = 0 // given back when its answer was handed out
	for i, st := range g.states {
		if r, ok := st.(agg.Reusable); ok && r.Reuse() {
			continue
		}
		if g.states[i], err = newState(&g.node.Aggs[i]); err != nil {
			return nil, err
		}
	}
	return g, nil
}

func tag(n int64) *vec.Vector {
	return &vec.Vector{Type: vec.T(vec.Int4), Form: vec.Const, I64: []int64{n}}
}

// mergePartition merges the chunks of a partition and makes the answer of its groups. What
// does not fit into memory is divided again.
func (a *aggregate) mergePartition(ctx context.Context, p partition) (err error) {
	g, err := newGrouping(a.node, a.env)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			g.release()
		}
	}()
	parts := &partitions{spills: &a.spills, level: p.level + 1}
	var to, scratch []uint32 // groups of the chunk's keys
	for {
		if err := yield(ctx); err != nil {
			return err
		}
		b, _, err := p.file.read()
		if err != nil {
			return err
		}
		if b == nil {
			break
		}
		if i := b.Cols[0].I64[0]; i == keysBatch {
			if err := parts.relieve(ctx, g); err != nil {
				return err
			}
			to = make([]uint32, b.Rows)
			g.groups.assign(to, b.Cols[1:], firstRows(&scratch, b.Rows))
		} else {
			groups := make([]uint32, b.Rows)
			for r, local := range b.Cols[1].I64 {
				groups[r] = to[local]
			}
			g.states[i].Grow(g.groups.groups)
			if err := g.states[i].Absorb(a.env.Expr, groups, b.Cols[2:]); err != nil {
				return err
			}
		}
		if err := g.hold(ctx); err != nil {
			return err
		}
	}
	if err := p.file.done(); err != nil {
		return err
	}
	if !parts.used() {
		if err := parts.gatherApart(ctx, g); err != nil {
			return err
		}
		return a.finish(g)
	}
	if err := parts.spillGroups(ctx, g); err != nil {
		return err
	}
	if err := parts.divideApart(ctx, a.node); err != nil {
		return err
	}
	a.mu.Lock()
	a.work = parts.list(a.work)
	a.mu.Unlock()
	return nil
}
