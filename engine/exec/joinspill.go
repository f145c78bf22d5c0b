package exec

import (
	"context"
	"sync"

	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/vec"
)

// joinParts is the rows of both sides of a join on disk, by the hash of their keys. A batch
// there has the keys and then, if rows are wanted and not only keys, the columns.
type joinParts struct {
	level int

	mu           sync.Mutex // held to add rows
	build, probe *rowPartitions
}

func (s *joining) newParts(level int) *joinParts {
	return &joinParts{level: level, build: s.spills.rows(level, len(s.keys)), probe: s.spills.rows(level, len(s.keys))}
}

// begun says whether rows of the build side are there.
func (p *joinParts) begun() bool { return len(p.build.list(nil)) > 0 }

// joinPart is a partition of both sides. A nil file has no rows.
type joinPart struct {
	build, probe *spillFile
	level        int
}

// readPart reads the next batch of a partition's file; it is nil at the end.
func readPart(f *spillFile, keys int) (*vec.Batch, []*vec.Vector, error) {
	b, _, err := f.read()
	if b == nil || err != nil {
		return nil, nil, err
	}
	cols := b.Cols[1:] // behind the mark of rowPartitions
	return &vec.Batch{Rows: b.Rows, Cols: cols[keys:]}, cols[:keys], nil
}

// relieve moves the rows to partitions when they take too much memory. Without keys there is nothing
// to divide them by.
func (s *joinShare) relieve(ctx context.Context, to *joinParts) error {
	if len(s.of.keys) == 0 || to.level > maxLevel || !s.of.env.crowded(s.held) {
		return nil
	}
	if !s.of.keepsRows() {
		before := s.rows
		if err := s.withoutRepeats(ctx); err != nil {
			return err
		}
		if s.rows <= before/2 && !s.of.env.crowded(s.held) {
			return nil
		}
	}
	return s.spill(ctx, to)
}

// spill writes all rows to partitions, and forgets them.
func (s *joinShare) spill(ctx context.Context, to *joinParts) error {
	if s.rows == 0 {
		return nil
	}
	b := &vec.Batch{Rows: s.rows, Cols: s.keys()}
	for i := range s.of.stored {
		b.Cols = append(b.Cols, s.columns[i].v)
	}
	scratch := 8 * int64(b.Rows)
	defer s.of.env.release(scratch)
	if err := s.of.env.hold(ctx, scratch); err != nil {
		return err
	}
	lock(ctx, &to.mu)
	defer to.mu.Unlock()
	if err := to.build.add(b, false); err != nil {
		return err
	}
	s.forget()
	return s.hold(ctx)
}

// divide writes the rows of the probe side to the partitions of the build side. The copy that
// ends last has all of them to do.
func (j *join) divide(ctx context.Context) error {
	if !(j.node.Kind == plan.NotInJoin && j.nullKeys) {
		err := drain(ctx, j.input, func(b *vec.Batch) error {
			b = repeated(b, len(j.probeNulls))
			keys, err := evalAll(j.env.Expr, j.keys, b)
			if err != nil {
				return err
			}
			lock(ctx, &j.parts.mu)
			defer j.parts.mu.Unlock()
			return j.parts.probe.add(&vec.Batch{Rows: b.Rows, Sel: b.Sel, Cols: append(keys, j.thin(b).Cols...)}, false)
		})
		if err != nil {
			return err
		}
	}
	err := j.input.Close()
	j.input = nil
	if j.last = j.leave(nil); j.last && err == nil {
		err = j.addWork(j.parts)
	}
	return err
}

// addWork lists partitions to be joined, without those of which nothing can come out.
func (j *join) addWork(p *joinParts) error {
	level := p.level
	if len(p.build.list(nil)) == 1 {
		level = maxLevel // all rows have the same hash, so to divide them again is in vain
	}
	fills := j.fillsProbe() || j.node.Kind == plan.NotInJoin || j.node.Kind == plan.AntiJoin && !j.swapped
	outer := j.outer()
	for i, build := range p.build.files {
		part := joinPart{build, p.probe.files[i], level}
		if part.build != nil && part.probe == nil && !outer {
			if err := part.build.done(); err != nil {
				return err
			}
			continue
		}
		if part.probe != nil && part.build == nil && !fills {
			if err := part.probe.done(); err != nil {
				return err
			}
			continue
		}
		if part.build != nil || part.probe != nil {
			j.work = append(j.work, part)
		}
	}
	return nil
}

// nextPart reads the build side of the next partition; it says whether there is one. What
// does not fit into memory is divided again.
func (j *join) nextPart(ctx context.Context) (bool, error) {
	for len(j.work) > 0 {
		last := len(j.work) - 1
		p := j.work[last]
		j.work = j.work[:last]
		share, parts := newJoinShare(j.joining), j.newParts(p.level+1)
		if p.build != nil {
			for {
				if err := yield(ctx); err != nil {
					return false, err
				}
				b, keys, err := readPart(p.build, len(j.keys))
				if err != nil {
					return false, err
				}
				if b == nil {
					break
				}
				if err := share.add(ctx, keys, b); err != nil {
					return false, err
				}
				if err := share.relieve(ctx, parts); err != nil {
					return false, err
				}
			}
			if err := p.build.done(); err != nil {
				return false, err
			}
		}
		if !parts.begun() {
			t, err := newJoinTable(ctx, j.joining, []*joinShare{share})
			if err != nil {
				return false, err
			}
			j.file = p.probe
			return true, j.begin(ctx, t)
		}
		if err := share.spill(ctx, parts); err != nil {
			return false, err
		}
		j.env.release(share.held)
		if err := j.divideAgain(ctx, p.probe, parts); err != nil {
			return false, err
		}
	}
	return false, nil
}

// divideAgain divides the probe side of a partition as the build side was.
func (j *join) divideAgain(ctx context.Context, f *spillFile, to *joinParts) error {
	if f == nil {
		return j.addWork(to)
	}
	for {
		if err := yield(ctx); err != nil {
			return err
		}
		b, _, err := f.read()
		if err != nil {
			return err
		}
		if b == nil {
			break
		}
		if err := to.probe.add(&vec.Batch{Rows: b.Rows, Cols: b.Cols[1:]}, false); err != nil {
			return err
		}
	}
	if err := f.done(); err != nil {
		return err
	}
	return j.addWork(to)
}
