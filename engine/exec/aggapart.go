package exec

import (
	"context"
	"sync/atomic"

	"github.com/prickledb/prickle/engine/agg"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/vec"
)

// What calls with DISTINCT have seen of large groups is set apart: it goes to files as rows of the
// call's arguments and of the groups' keys, divided by the arguments. At the end each part is taken in
// alone, and what comes of the parts adds up. Groups stay in memory with all else that they hold.

// divides says whether what calls with DISTINCT have seen is to be divided, rather than the groups of a
// grouping: these are few and large because of it, or cannot be divided.
func (p *partitions) divides(g *grouping) bool {
	own := g.dividedBytes()
	n := g.groups.groups
	return g.env.crowdedBy(own, g.more) && (n < 2 || p.level > maxLevel || own > (g.held+g.more)/2 && own > heavyGroup*int64(n))
}

// dividedBytes is what the calls hold that can be set apart.
func (g *grouping) dividedBytes() int64 {
	n := int64(0)
	for _, st := range g.states {
		if st, ok := st.(agg.Divided); ok {
			n += st.Bytes()
		}
	}
	return n
}

// setApart writes what calls with DISTINCT have seen to files, but where that is little.
func (p *partitions) setApart(ctx context.Context, g *grouping) error {
	lock(ctx, &p.mu)
	defer p.mu.Unlock()
	if p.apart == nil {
		p.apart = make([]*rowPartitions, len(g.states))
	}
	much := g.dividedBytes() / int64(2*len(g.states))
	for i, st := range g.states {
		if st, ok := st.(agg.Divided); ok && (p.apart[i] != nil || st.Bytes() >= much) {
			if p.apart[i] == nil {
				p.apart[i] = p.spills.rows(0, len(g.node.Aggs[i].Args))
			}
			if err := p.apart[i].leave(ctx, st, g.groups); err != nil {
				return err
			}
		}
	}
	return g.hold(ctx)
}

// leave writes what a state has seen, so much at a time that each partition has about one block of it.
func (p *rowPartitions) leave(ctx context.Context, st agg.Divided, groups *grouper) error {
	return st.Leave(func(of []uint32, cols []*vec.Vector) error {
		step := fanOut * p.env.blockRows(bytesOf(cols), len(of))
		for lo := 0; lo < len(of); lo += step {
			if err := yield(ctx); err != nil {
				return err
			}
			hi := min(lo+step, len(of))
			rows := sliceAll(cols, lo, hi)
			for i, c := range rows {
				rows[i] = c.Flatten(hi - lo) // of a dictionary each part needs few values
			}
			if err := p.add(&vec.Batch{Rows: hi - lo, Cols: append(rows, groups.ordered(of[lo:hi])...)}, false); err != nil {
				return err
			}
		}
		return nil
	})
}

// isApart says whether something was set apart.
func (p *partitions) isApart() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.apart != nil
}

// gatherApart takes in what was set apart, for the groups of a grouping that has all of them.
func (p *partitions) gatherApart(ctx context.Context, g *grouping) error {
	if !p.isApart() {
		return nil
	}
	if err := p.setApart(ctx, g); err != nil {
		return err
	}
	for i, rows := range p.apart {
		if rows == nil {
			continue
		}
		in := gathering{grouping: g, call: i, partitionQueue: partitionQueue{work: rows.list(nil)}}
		err := in.gatherAll(ctx)
		g.env.release(in.own.Load())
		if err == nil {
			err = g.hold(ctx)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// gathering takes in what was set apart of one call, in several goroutines.
type gathering struct {
	*grouping
	call           int
	own            atomic.Int64 // bytes of the states of the goroutines
	partitionQueue              // its mutex guards the groups, too
}

// gatherAll takes in all parts.
func (in *gathering) gatherAll(ctx context.Context) error {
	states := make([]agg.Divided, max(1, min(in.env.Threads, len(in.work))))
	err := parallel(ctx, len(states), func(ctx context.Context, w int) (err error) {
		states[w], err = in.gather(ctx)
		return err
	})
	if err != nil {
		return err
	}
	all, to := firstRows(&in.rows, in.groups.groups), in.states[in.call]
	to.Grow(len(all))
	for _, st := range states {
		if err := to.Merge(st, all); err != nil {
			return err
		}
	}
	return nil
}

// gather takes in one part after the other.
func (in *gathering) gather(ctx context.Context) (agg.Divided, error) {
	created, err := newState(&in.node.Aggs[in.call])
	if err != nil {
		return nil, err
	}
	st, held := created.(agg.Divided), int64(0)
	for part := in.take(ctx); part != nil; part = in.take(ctx) {
		if err := in.gatherPart(ctx, st, &held, part); err != nil {
			return nil, err
		}
	}
	return st, nil
}

// gatherPart takes in one part. What does not fit into memory is divided again; the state has held so
// many bytes.
func (in *gathering) gatherPart(ctx context.Context, st agg.Divided, held *int64, part *partition) error {
	call := &in.node.Aggs[in.call]
	smaller := part.file.of.rows(part.level+1, len(call.Args))
	var ids, scratch []uint32
	err := part.each(ctx, call, func(b *vec.Batch, cols []*vec.Vector) error {
		ids = grow(ids, b.Rows)
		st.Grow(in.assign(ctx, ids, b.Cols, firstRows(&scratch, b.Rows)))
		if err := st.Absorb(in.env.Expr, ids, cols); err != nil {
			return err
		}
		grown := st.Bytes() - *held
		*held += grown
		in.own.Add(grown)
		if err := in.env.hold(ctx, grown); err != nil {
			return err
		}
		if part.level < maxLevel && in.env.crowded(*held) {
			return smaller.leave(ctx, st, in.groups)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if work := smaller.list(nil); len(work) > 0 {
		if err := smaller.leave(ctx, st, in.groups); err != nil {
			return err
		}
		lock(ctx, &in.mu)
		defer in.mu.Unlock()
		in.work = smaller.list(in.work)
		return nil
	}
	return st.Settle()
}

// each reads what was set apart of a call: keys, and what the call takes; then the file is done with.
func (p *partition) each(ctx context.Context, call *plan.AggCall, visit func(keys *vec.Batch, cols []*vec.Vector) error) error {
	for {
		if err := yield(ctx); err != nil {
			return err
		}
		b, cols, err := readPart(p.file, len(call.Args)+len(call.OrderBy))
		if err != nil {
			return err
		}
		if b == nil {
			return p.file.done()
		}
		if err := visit(b, cols); err != nil {
			return err
		}
	}
}

// assign finds the groups of keys, which are there already. It says how many there are in all.
func (in *gathering) assign(ctx context.Context, ids []uint32, keys []*vec.Vector, rows []uint32) int {
	lock(ctx, &in.mu)
	defer in.mu.Unlock()
	in.groups.assign(ids, keys, rows)
	return in.groups.groups
}

// divideApart moves what was set apart to the partitions of the groups, which are too many to stay in memory.
func (p *partitions) divideApart(ctx context.Context, n *plan.Aggregate) error {
	if !p.isApart() {
		return nil
	}
	g, err := newGrouping(n, p.spills.env)
	if err != nil {
		return err
	}
	var scratch []uint32
	for i, rows := range p.apart {
		if rows == nil {
			continue
		}
		for _, part := range rows.list(nil) {
			err := part.each(ctx, &n.Aggs[i], func(b *vec.Batch, cols []*vec.Vector) error {
				ids := g.room(b.Rows)
				g.groups.assign(ids, b.Cols, firstRows(&scratch, b.Rows))
				g.states[i].Grow(g.groups.groups)
				if err := g.states[i].Absorb(g.env.Expr, ids, cols); err != nil {
					return err
				}
				if err := g.hold(ctx); err != nil {
					return err
				}
				if g.env.crowded(g.held) {
					return p.spillGroups(ctx, g)
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
	}
	p.apart = nil
	return p.spillGroups(ctx, g)
}
