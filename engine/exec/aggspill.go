package exec

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/prickledb/prickle/engine/agg"
	"github.com/prickledb/prickle/storage/vec"
)

// partition is groups on disk, whose keys have the same hash as far as the levels above
// it looked.
type partition struct {
	file  *spillFile
	level int
}

// maxLevel is how often a partition is divided again: 16 to that power parts. What is too
// large then is one group, or nearly.
const maxLevel = 6

const (
	// memoryParts is how many partitions there are in memory, four for each on disk: as many
	// that millions of groups are merged in the second-level cache.
	memoryParts = 4 * fanOut
	// maxGroups is how many groups a grouping has before they go to partitions, and
	// maxGroupBytes how many bytes they take: beyond what the caches hold, a look-up costs several
	// times as much, more than to move the group and to merge it.
	maxGroups     = 1 << 17
	maxGroupBytes = 16 << 20
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
}

// groupRun is groups that were in one grouping, in the order of their partitions.
type groupRun struct {
	keys     []*vec.Vector
	ends     [memoryParts]int // where the groups of each partition end
	partials []partial
	keyBytes int64
	held     int64
}

// part is where the groups of a partition are.
func (r *groupRun) part(p int) (lo, hi int) {
	if p == 0 {
		return 0, r.ends[0]
	}
	return r.ends[p-1], r.ends[p]
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
// memory. One group alone would not get smaller.
func (p *partitions) relieve(ctx context.Context, g *grouping) error {
	if g.groups.groups < 2 {
		return nil
	}
	crowded := p.level <= maxLevel && g.env.crowded(g.held+p.held.Load())
	if crowded {
		if err := p.spill(ctx); err != nil {
			return err
		}
		crowded = g.env.crowded(g.held)
	}
	most := maxGroups
	if g.env.GroupsAt > 0 {
		most = g.env.GroupsAt
	}
	many := p.level == 0 && (g.groups.groups >= most || g.held >= maxGroupBytes)
	if !many && !crowded {
		return nil
	}
	if err := p.add(ctx, g); err != nil {
		return err
	}
	if crowded {
		g.forget()
		if err := p.spill(ctx); err != nil {
			return err
		}
	}
	return g.hold(ctx)
}

// add takes the groups from a grouping.
func (p *partitions) add(ctx context.Context, g *grouping) error {
	n := g.groups.groups
	if n == 0 {
		return nil
	}
	scratch := 12 * int64(n)
	defer g.env.release(scratch)
	if err := g.env.hold(ctx, scratch); err != nil {
		return err
	}
	run := &groupRun{}
	order := run.divide(g.groups.hashes(), p.level)
	place := make([]uint32, n) // of each group in order
	for i, group := range order {
		place[group] = uint32(i)
	}
	keep := func(cols []*vec.Vector) error {
		held := bytesOf(cols)
		run.held += held
		p.held.Add(held)
		return g.env.hold(ctx, held)
	}
	run.keys = g.groups.ordered(order)
	if err := keep(run.keys); err != nil {
		return err
	}
	run.keyBytes = run.held
	for _, st := range g.states {
		st.Grow(n)
		part := partialRows(order, place, st)
		run.partials = append(run.partials, part)
		if err := keep(part.cols); err != nil {
			return err
		}
	}
	p.mu.Lock()
	p.runs = append(p.runs, run)
	p.mu.Unlock()
	g.groups.empty()
	return g.newStates()
}

// divide gives the order of groups by partition, and notes where each partition ends.
func (r *groupRun) divide(hashes []uint64, level int) []uint32 {
	part := func(h uint64) int { // those in one file follow each other
		h >>= 4 * level
		return int(h%fanOut*(memoryParts/fanOut) + h/fanOut%(memoryParts/fanOut))
	}
	var starts [memoryParts + 1]int
	for _, h := range hashes {
		starts[part(h)+1]++
	}
	for i := range memoryParts {
		starts[i+1] += starts[i]
		r.ends[i] = starts[i+1]
	}
	order := make([]uint32, len(hashes))
	for i, h := range hashes {
		at := part(h)
		order[starts[at]] = uint32(i)
		starts[at]++
	}
	return order
}

// partialRows is the partial rows of a state in the order of groups. Rows of one group stay in
// order.
func partialRows(order, place []uint32, st agg.State) partial {
	groups, cols := st.Partial()
	var p partial
	if groups != nil {
		starts := make([]uint32, len(order)+1)
		for _, g := range groups {
			starts[place[g]+1]++
		}
		for i := range order {
			starts[i+1] += starts[i]
		}
		order, p.places = make([]uint32, len(groups)), make([]uint32, len(groups))
		for r, g := range groups {
			at := place[g]
			order[starts[at]], p.places[starts[at]] = uint32(r), at
			starts[at]++
		}
	}
	for _, c := range cols {
		c = c.Take(order)
		if c.Form == vec.Dict && c.Type.Payload() == vec.PayloadStr { // each part needs few of its values
			c = c.Flatten(len(order))
		}
		p.cols = append(p.cols, c)
	}
	return p
}

// rows is which partial rows belong to the groups at places [lo, hi).
func (p *partial) rows(lo, hi int) (from, to int) {
	if p.places == nil {
		return lo, hi
	}
	from, _ = slices.BinarySearch(p.places, uint32(lo))
	to, _ = slices.BinarySearch(p.places, uint32(hi))
	return from, to
}

func sliceAll(cols []*vec.Vector, lo, hi int) []*vec.Vector {
	out := make([]*vec.Vector, len(cols))
	for i, c := range cols {
		out[i] = c.Slice(lo, hi)
	}
	return out
}

// spill writes what waits in memory to files.
func (p *partitions) spill(ctx context.Context) error {
	lock(ctx, &p.mu)
	defer p.mu.Unlock()
	env := p.spills.env
	for len(p.runs) > 0 {
		run := p.runs[len(p.runs)-1]
		step, lo := env.blockRows(run.held, run.ends[memoryParts-1]), 0
		for i := range p.files {
			for end := run.ends[(i+1)*(memoryParts/fanOut)-1]; lo < end; lo = min(lo+step, end) {
				if err := ctx.Err(); err != nil {
					return err
				}
				if p.files[i] == nil {
					var err error
					if p.files[i], err = p.spills.create(); err != nil {
						return err
					}
				}
				if err := run.writeChunk(p.files[i], lo, min(lo+step, end)); err != nil {
					return err
				}
			}
		}
		p.runs = p.runs[:len(p.runs)-1]
		p.held.Add(-run.held)
		env.release(run.held)
	}
	return nil
}

// writeChunk writes the groups at places [lo, hi).
func (r *groupRun) writeChunk(f *spillFile, lo, hi int) error {
	b := &vec.Batch{Rows: hi - lo, Cols: append([]*vec.Vector{tag(keysBatch)}, sliceAll(r.keys, lo, hi)...)}
	if err := f.write(b); err != nil {
		return err
	}
	for i := range r.partials {
		p := &r.partials[i]
		from, to := p.rows(lo, hi)
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

// mergeInMemory merges a partition that is in memory and makes the answer of its groups.
func (a *aggregate) mergeInMemory(ctx context.Context, p int) error {
	g, err := newGrouping(a.node, a.env)
	if err != nil {
		return err
	}
	rows, bytes := 0, int64(0)
	for _, run := range a.parts.runs {
		lo, hi := run.part(p)
		rows += hi - lo
		bytes += run.keyBytes * int64(hi-lo) / int64(run.ends[memoryParts-1])
	}
	g.groups.expect(rows/2, bytes/2) // many of them are in several runs
	var to, groups, scratch []uint32
	for _, run := range a.parts.runs {
		lo, hi := run.part(p)
		if lo == hi {
			continue
		}
		if err := yield(ctx); err != nil {
			return err
		}
		to = grow(to, hi-lo)
		g.groups.assign(to, sliceAll(run.keys, lo, hi), firstRows(&scratch, hi-lo))
		for i, st := range g.states {
			part := &run.partials[i]
			from, end := part.rows(lo, hi)
			of := to
			if part.places != nil {
				groups = grow(groups, end-from)
				for j, place := range part.places[from:end] {
					groups[j] = to[int(place)-lo]
				}
				of = groups
			}
			st.Grow(g.groups.groups)
			if err := st.Absorb(a.env.Expr, of, sliceAll(part.cols, from, end)); err != nil {
				return err
			}
		}
		if err := g.hold(ctx); err != nil {
			return err
		}
	}
	return a.finish(g)
}

func tag(n int64) *vec.Vector {
	return &vec.Vector{Type: vec.T(vec.Int4), Form: vec.Const, I64: []int64{n}}
}

// mergePartition merges the chunks of a partition and makes the answer of its groups. What
// does not fit into memory is divided again.
func (a *aggregate) mergePartition(ctx context.Context, p partition) error {
	g, err := newGrouping(a.node, a.env)
	if err != nil {
		return err
	}
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
		return a.finish(g)
	}
	if err := parts.add(ctx, g); err != nil {
		return err
	}
	g.forget()
	if err := parts.spill(ctx); err != nil {
		return err
	}
	a.mu.Lock()
	a.work = parts.list(a.work)
	a.mu.Unlock()
	return g.hold(ctx)
}
