package exec

import (
	"context"
	"sync"

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

// partitions divides groups by the hash of their keys. Several goroutines may add to it.
type partitions struct {
	spills *spills
	level  int

	mu    sync.Mutex
	files [fanOut]*spillFile
}

// A partition's file has chunks of groups. A chunk is a batch of their keys, and then, for
// each aggregate, batches of partial rows. Every batch has a first column that says what
// it is; partial rows have a second one with their group's position in the chunk.
const keysBatch = -1

func (p *partitions) used() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, f := range p.files {
		if f != nil {
			return true
		}
	}
	return false
}

// list adds the partitions that there are to a list.
func (p *partitions) list(to []partition) []partition {
	for _, f := range p.files {
		if f != nil {
			to = append(to, partition{f, p.level})
		}
	}
	return to
}

// relieve moves groups to disk if they take too much memory. One group alone would not get
// smaller.
func (p *partitions) relieve(ctx context.Context, g *grouping) error {
	if g.groups.groups < 2 || p.level > maxLevel || !g.env.crowded(g.held) {
		return nil
	}
	if err := p.add(ctx, g); err != nil {
		return err
	}
	return g.hold(ctx)
}

// add writes the groups to their partitions, and forgets them.
func (p *partitions) add(ctx context.Context, g *grouping) error {
	n := g.groups.groups
	if n == 0 {
		return nil
	}
	keys := g.groups.values()
	scratch := bytesOf(keys) + 12*int64(n)
	defer g.env.release(scratch)
	if err := g.env.hold(ctx, scratch); err != nil {
		return err
	}
	order, ends := divide(keys, n, p.level)
	place := make([]uint32, n) // of each group in order
	for i, group := range order {
		place[group] = uint32(i)
	}
	partials := make([]partial, len(g.states))
	for i, st := range g.states {
		st.Grow(n)
		partials[i] = newPartial(st.Partial())
		partials[i].sort(order, place)
	}
	step := g.env.blockRows(g.held, n)
	p.mu.Lock()
	defer p.mu.Unlock()
	lo := 0
	for i, end := range ends {
		for ; lo < end; lo += step {
			if err := ctx.Err(); err != nil {
				return err
			}
			if p.files[i] == nil {
				var err error
				if p.files[i], err = p.spills.create(); err != nil {
					return err
				}
			}
			if err := writeChunk(p.files[i], keys, partials, order, place, lo, min(lo+step, end)); err != nil {
				return err
			}
		}
		lo = end
	}
	return g.reset()
}

// divide orders groups by the partition that their keys belong to, and says where each
// partition ends.
func divide(keys []*vec.Vector, n, level int) (order []uint32, ends [fanOut]int) {
	part := make([]uint8, n)
	var counts [fanOut + 1]int
	for i := range part {
		h := uint64(0)
		for _, k := range keys {
			h = vec.Mix(h + vec.HashRow(k, i))
		}
		part[i] = uint8(h >> (4 * level) % fanOut)
		counts[part[i]+1]++
	}
	for i := range fanOut {
		counts[i+1] += counts[i]
		ends[i] = counts[i+1]
	}
	order = make([]uint32, n)
	for i, at := range part {
		order[counts[at]] = uint32(i)
		counts[at]++
	}
	return order, ends
}

// partial is the partial rows of an aggregate.
type partial struct {
	groups []uint32 // nil: row i is of group i
	cols   []*vec.Vector
	rows   []uint32 // in the order of the groups' places; nil: that is the order of groups
	starts []uint32 // where the rows of each place begin, and one more
}

func newPartial(groups []uint32, cols []*vec.Vector) partial {
	return partial{groups: groups, cols: cols}
}

// sort orders the rows by the place of their group. Rows of one group stay in order.
func (p *partial) sort(order, place []uint32) {
	if p.groups == nil {
		return
	}
	p.starts = make([]uint32, len(order)+1)
	for _, g := range p.groups {
		p.starts[place[g]+1]++
	}
	for i := range order {
		p.starts[i+1] += p.starts[i]
	}
	at := append([]uint32{}, p.starts...)
	p.rows = make([]uint32, len(p.groups))
	for r, g := range p.groups {
		p.rows[at[place[g]]] = uint32(r)
		at[place[g]]++
	}
}

// writeChunk writes the groups at places [lo, hi).
func writeChunk(f *spillFile, keys []*vec.Vector, partials []partial, order, place []uint32, lo, hi int) error {
	b := take(keys, order[lo:hi])
	b.Cols = append([]*vec.Vector{tag(keysBatch)}, b.Cols...)
	if err := f.write(b); err != nil {
		return err
	}
	for i := range partials {
		p := &partials[i]
		rows := order[lo:hi]
		if p.groups != nil {
			rows = p.rows[p.starts[lo]:p.starts[hi]]
		}
		for step := vec.BatchRows; len(rows) > 0; {
			some := rows[:min(step, len(rows))]
			rows = rows[len(some):]
			b := take(p.cols, some)
			local := &vec.Vector{Type: vec.T(vec.Int4), I64: make([]int64, len(some))}
			for j, r := range some {
				group := r
				if p.groups != nil {
					group = p.groups[r]
				}
				local.I64[j] = int64(place[group]) - int64(lo)
			}
			b.Cols = append([]*vec.Vector{tag(int64(i)), local}, b.Cols...)
			if err := f.write(b); err != nil {
				return err
			}
		}
	}
	return nil
}

func tag(n int64) *vec.Vector {
	return &vec.Vector{Type: vec.T(vec.Int4), Form: vec.Const, I64: []int64{n}}
}

// mergePartition merges the chunks of a partition and makes the answer of its groups. What
// does not fit into memory is divided again.
func (a *aggregate) mergePartition(ctx context.Context) error {
	last := len(a.work) - 1
	p := a.work[last]
	a.work = a.work[:last]
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
	a.work = parts.list(a.work)
	return g.hold(ctx)
}
