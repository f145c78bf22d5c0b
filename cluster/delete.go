package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/prickledb/prickle/storage"
	"github.com/prickledb/prickle/storage/person"
	"github.com/prickledb/prickle/storage/vec"
)

// maxConflicts is how often a condition is evaluated again because segments were merged
// meanwhile. Merges take longer than evaluating does, so a second time is rare.
const maxConflicts = 10

// applyDelete applies an entry that deletes or changes persons or rows, and says of how
// many. err is that of an entry that cannot be understood.
func applyDelete(s *storage.Store, index uint64, e *entry) (n int, result, err error) {
	switch e.kind {
	case kindErase:
		var d storage.PersonDelete
		if err = json.Unmarshal(e.payload, &d); err == nil {
			n, result = s.ApplyPersonDelete(index, e.time, e.project, d)
		}
	case kindDelete:
		var rows map[storage.SegmentID]*roaring.Bitmap
		if rows, err = storage.DecodeRowDelete(e.payload); err == nil {
			n, result = s.ApplyDelete(index, e.time, e.project, rows)
		}
	case kindExpire:
		var x storage.Expiry
		if err = json.Unmarshal(e.payload, &x); err == nil {
			result = s.ApplyExpire(index, e.time, e.project, x)
		}
	case kindSplit:
		var split storage.PersonSplit
		if err = json.Unmarshal(e.payload, &split); err == nil {
			result = s.ApplySplit(index, e.time, e.project, split)
		}
	case kindUpdate:
		var updates []person.Update
		if err = json.Unmarshal(e.payload, &updates); err == nil {
			n, result = s.ApplyUpdate(index, e.time, e.project, updates)
		}
	case kindErased:
		var upTo uint64
		if err = json.Unmarshal(e.payload, &upTo); err == nil {
			result = s.ApplyErased(index, e.time, upTo)
		}
	default:
		err = fmt.Errorf("nothing applies it: %w", errNeedsUpgrade)
	}
	return n, result, err
}

// DeletePersons deletes persons, with their events or without, and says how many there
// were. Events are gone from every answer when it returns, and from every file within
// Config.EraseWithin.
func (n *Node) DeletePersons(ctx context.Context, project uint32, persons []vec.UUIDValue, events bool) (int, error) {
	return n.submitFor(ctx, kindErase, project, len(persons), storage.PersonDelete{Persons: persons, Events: events})
}

// DeleteRows deletes the rows that find finds in a snapshot, by segment, and says how many
// there were. Rows of the snapshot's images of the memtable cannot be deleted: they came
// after the statement. find is called again if segments were merged meanwhile.
func (n *Node) DeleteRows(ctx context.Context, project uint32, find func(*storage.Snapshot) (map[storage.SegmentID]*roaring.Bitmap, error)) (int, error) {
	for range maxConflicts {
		deleted, err := n.deleteRows(ctx, project, find)
		if !errors.Is(err, storage.ErrConflict) {
			return deleted, err
		}
	}
	return 0, fmt.Errorf("project %d: rows could not be deleted, since segments were merged %d times meanwhile: %w", project, maxConflicts, storage.ErrConflict)
}

func (n *Node) deleteRows(ctx context.Context, project uint32, find func(*storage.Snapshot) (map[storage.SegmentID]*roaring.Bitmap, error)) (int, error) {
	if err := n.Flush(ctx); err != nil {
		return 0, err
	}
	sn, err := n.store.Snapshot(project)
	if err != nil {
		return 0, err
	}
	rows, err := find(sn)
	sn.Release()
	if err != nil || len(rows) == 0 {
		return 0, err
	}
	result, err := n.submitPayload(ctx, kindDelete, header{project: project}, storage.AppendRowDelete(nil, rows))
	return result.receipt.Stored, err
}

// Expire deletes the events of a project before the UTC day of a time.
func (n *Node) Expire(ctx context.Context, project uint32, before time.Time) error {
	_, err := n.submitFor(ctx, kindExpire, project, 0, storage.Expiry{Before: before.UTC().Truncate(24 * time.Hour).UnixMicro()})
	return err
}

// SplitPerson makes distinct ids of a person persons of their own.
func (n *Node) SplitPerson(ctx context.Context, project uint32, split storage.PersonSplit) error {
	_, err := n.submitFor(ctx, kindSplit, project, 1, split)
	return err
}

// UpdatePersons changes properties of persons, and says how many of them there are.
func (n *Node) UpdatePersons(ctx context.Context, project uint32, updates []person.Update) (int, error) {
	return n.submitFor(ctx, kindUpdate, project, len(updates), updates)
}

func (n *Node) submitFor(ctx context.Context, k kind, project uint32, rows int, payload any) (int, error) {
	text, err := json.Marshal(payload)
	if err != nil {
		return 0, err
	}
	result, err := n.submitPayload(ctx, k, header{project: project, rows: uint32(rows)}, text)
	return result.receipt.Stored, err
}

// Erase completes the erasures there are: it merges every segment that holds dead rows,
// writes the state anew, lets go of the log before, reads everything to prove that nothing
// is left, and then says so in the log.
func (n *Node) Erase(ctx context.Context) error {
	pending := n.store.Erasures(true)
	if len(pending) == 0 {
		return nil
	}
	upTo := pending[len(pending)-1].Index
	if err := n.Flush(ctx); err != nil {
		return err
	}
	for {
		more, err := n.mergeOnce(ctx, n.store.PlanErasure)
		if err != nil {
			return err
		}
		if !more {
			break
		}
	}
	if err := n.seal(ctx, storage.Seal{All: true}); err != nil {
		return err
	}
	if err := n.wal.NextFile(); err != nil {
		return err
	}
	if err := n.dropLog(ctx); err != nil {
		return err
	}
	if err := n.wal.EraseSpares(ctx); err != nil {
		return err
	}
	if first := n.log.Oldest(); first != 0 && first <= upTo {
		return fmt.Errorf("the log still begins with entry %d: erasures up to entry %d are complete when it is let go", first, upTo)
	}
	if err := n.nothingRemains(ctx); err != nil {
		return err
	}
	_, err := n.submitFor(ctx, kindErased, 0, 0, upTo)
	return err
}

// nothingRemains proves it, file by file. A file that a query still reads, or one that came
// or went meanwhile, makes it fail; later it will not.
func (n *Node) nothingRemains(ctx context.Context) error {
	select {
	case n.merging <- struct{}{}:
		defer func() { <-n.merging }()
	case <-ctx.Done():
		return ctx.Err()
	}
	report, err := storage.VerifyErased(n.cfg.FS, path.Join(n.cfg.Dir, "data"))
	if err != nil {
		return err
	}
	if len(report.Remains) > 0 {
		return fmt.Errorf("%d files have something left of erased persons, the first is %s: %s", len(report.Remains), report.Remains[0].File, report.Remains[0].What)
	}
	return nil
}

// dropLog lets go of all the log that a Raft snapshot stands for, where usually some of it
// is kept. The entry that it adds says nothing: without a new one Raft takes no snapshot.
func (n *Node) dropLog(ctx context.Context) error {
	if _, err := n.submitFor(ctx, kindErased, 0, 0, 0); err != nil {
		return err
	}
	usual := n.raft.ReloadableConfig()
	all := usual
	all.TrailingLogs = 1 // a start finds where the log ends
	if err := n.raft.ReloadConfig(all); err != nil {
		return err
	}
	return errors.Join(n.snapshot(), n.raft.ReloadConfig(usual))
}

// tend deletes what has become too old, and completes erasures.
func (n *Node) tend(ctx context.Context) {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		if err := n.tendOnce(ctx); err != nil && ctx.Err() == nil && !errors.Is(err, ErrClosed) {
			n.cfg.Logger.Error("retention and erasure; it is tried again", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (n *Node) tendOnce(ctx context.Context) error {
	if err := n.fsm.err(); err != nil {
		return nil // it was said
	}
	now := n.cfg.Clock()
	for _, p := range n.store.Projects() {
		if p.Retention == 0 {
			continue
		}
		before := now.Add(-time.Duration(p.Retention) * time.Microsecond).UTC().Truncate(24 * time.Hour)
		if before.UnixMicro() <= p.Expired {
			continue
		}
		if err := n.Expire(ctx, p.ID, before); err != nil {
			return err
		}
	}
	// Half of the time is left for what may go wrong.
	if e := n.store.Erasures(true); len(e) > 0 && now.UnixMicro()-e[0].At >= (n.cfg.EraseWithin/2).Microseconds() {
		return n.Erase(ctx)
	}
	return nil
}
