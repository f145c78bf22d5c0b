package storage

import (
	"context"
	"encoding/binary"
	"fmt"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/prickledb/prickle/storage/dedup"
	"github.com/prickledb/prickle/storage/event"
	"github.com/prickledb/prickle/storage/manifest"
)

// known is what of a batch is stored already.
type known struct {
	events *dedup.Query
	// persons has, for each distinct id of the batch by its code, one more than its ordinal;
	// 0 for one that has none yet.
	persons []uint32
}

// lookTogether is how many distinct ids are worth a goroutine.
const lookTogether = 512

// findKnown looks up what of a batch is stored already. It is called without mu, since it
// may read files; between it and Add no other batch is applied. It gives nil for an entry
// that will not be applied. If the answer cannot be had, nothing more can be applied:
// skipping the entry would lose events, and storing it might double some.
func (s *Store) findKnown(index uint64, at int64, id uint32, b *event.Batch) (*known, error) {
	s.mu.Lock()
	ok, err := s.fresh(index)
	p := s.projects[id]
	s.mu.Unlock()
	if !ok || err != nil || p == nil {
		return nil, err
	}
	// Both wait for memory most of the time, and neither changes what the other reads.
	ids := &b.DistinctID.Values
	k := &known{persons: make([]uint32, ids.Len())}
	var other sync.WaitGroup
	if ids.Len() < lookTogether {
		p.persons.Known(k.persons, ids)
	} else {
		other.Go(func() { p.persons.Known(k.persons, ids) })
	}
	k.events, err = s.dedup.Find(id, at, b.UUID)
	other.Wait()
	if err != nil {
		err = fmt.Errorf("entry %d: %w", index, err)
		s.fail(err)
		return nil, err
	}
	return k, nil
}

// LateProperty is the property that marks a late event, with the value true: its uuid says
// that it was made before the time for which uuids are remembered, so it may have been
// stored before. The merge of segments that hold both removes one of them.
const LateProperty = "$late"

// markLate marks the rows of a batch that are new and late by the time of its entry, and says
// how many these are. Only uuids of version 7 tell when they were made.
func markLate(b *event.Batch, seen []bool, at int64) int {
	if b.AsWritten {
		return 0
	}
	var late []uint32
	before := (at - dedup.Horizon.Microseconds()) / 1000 // ms
	for i := range b.Rows {
		u := &b.UUID[i]
		if u[6]>>4 == 7 && u[8]>>6 == 2 && !seen[i] && int64(binary.BigEndian.Uint64(u[:])>>16) < before {
			late = append(late, uint32(i))
		}
	}
	b.Set(LateProperty, event.Bool, "true", late)
	return len(late)
}

// runNumber gives the next number of a dedup run.
func (s *Store) runNumber() uint64 { return s.nextRun.Add(1) }

// publishRuns lets the runs of a flush, which the manifest names, answer in the place of
// its memtable.
func (s *Store) publishRuns(keys *dedup.Sealed) {
	s.dedup.Publish(keys)
	select {
	case s.newRuns <- struct{}{}:
	default:
	}
}

// removeOrphanRuns deletes dedup runs that a crash left behind.
func (s *Store) removeOrphanRuns(m *manifest.Manifest) error {
	dir := path.Join(s.dir, dedup.Dir)
	names, err := s.fs.List(dir)
	if err != nil {
		return err
	}
	for _, n := range names {
		number := fileID(n)
		s.nextRun.Store(max(s.nextRun.Load(), number))
		if _, live := m.Runs[number]; live && !strings.HasSuffix(n, ".tmp") {
			continue
		}
		if err := s.fs.Remove(path.Join(dir, n)); err != nil {
			return err
		}
	}
	return nil
}

// mergeRuns merges dedup runs, and drops those that nobody will ask for, until the store
// closes or fails. What it has not come to yet changes no answer, only how long one takes.
func (s *Store) mergeRuns() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	s.merger.Go(func() {
		select {
		case <-s.stop:
			cancel()
		case <-ctx.Done():
		}
	})
	wait := flushRetryLeast
	for {
		more, err := s.mergeRunsOnce(ctx)
		s.mu.Lock()
		end := s.usable() != nil
		s.mu.Unlock()
		if end {
			return
		}
		again := make(<-chan time.Time)
		switch {
		case err != nil:
			s.opt.Logger.Error("dedup runs cannot be merged; it is tried again, and applying events is slower meanwhile", "error", err, "wait", wait)
			again = time.After(wait)
			wait = min(2*wait, flushRetryMost)
		case more:
			wait = flushRetryLeast
			continue
		}
		select {
		case <-s.newRuns:
		case <-again:
		case <-ctx.Done():
			return
		}
	}
}

// mergeRunsOnce does one thing that is worth doing, and says whether there was one.
func (s *Store) mergeRunsOnce(ctx context.Context) (bool, error) {
	durable := s.log.Manifest().Time
	var edit manifest.Edit
	var out *dedup.Run
	in := s.dedup.Expired(durable)
	if len(in) == 0 {
		var level int
		if in, level = s.dedup.PlanMerge(durable); len(in) == 0 {
			return false, nil
		}
		var err error
		if out, err = dedup.Merge(ctx, s.fs, s.dir, s.runNumber(), level, in); err != nil {
			return false, fmt.Errorf("merge of %d dedup runs: %w", len(in), err)
		}
		edit.AddRuns = []manifest.Run{out.Run}
	}
	for _, r := range in {
		edit.RemoveRuns = append(edit.RemoveRuns, r.Number)
	}
	if _, err := s.commit(edit); err != nil {
		s.fail(fmt.Errorf("merge of dedup runs: %w", err))
		return false, err
	}
	s.dedup.Exchange(in, out)
	return true, nil
}
