package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/prickledb/prickle/cluster/backup"
	"github.com/prickledb/prickle/storage/blob"
)

const (
	archiveEvery = 10 * time.Second // what is lost if the machine burns
	backupEvery  = 24 * time.Hour
	pieceBytes   = 16 << 20
	// archivePoll is how often the log is looked at.
	archivePoll = time.Second
	// A target that does not answer is asked again after these.
	archiveRetryLeast = time.Second
	archiveRetryMost  = time.Minute
	// archiveFree is the room on disk below which the log is not kept for the archive: the
	// node needs it more. The archive then has a gap, which a new backup bridges.
	archiveFree = 512 << 20
	// archiveEnd is what the last piece may take when the node closes.
	archiveEnd = 2 * time.Second
)

// ArchiveStatus is how far the archive of the log is.
type ArchiveStatus struct {
	Archived uint64 // last entry that is in it
	// Gaps are spans of entries that were gone from the log before they were archived, in
	// this run.
	Gaps []backup.Span
	Err  error // of the last attempt
}

// archiver ships the log to a store, piece by piece, in order and without overlap. After a
// start it goes on behind the last piece that is there.
type archiver struct {
	node   *Node
	store  blob.Store
	target *backup.Target
	pin    *logPin

	next    uint64 // first entry that is not in pending yet; 0: not known
	pending []raft.Log
	bytes   int
	since   time.Time // when the first of pending was read
	failed  bool      // pending could not be shipped: it stays as it is, so that its name does

	backups sync.WaitGroup // at most one

	mu      sync.Mutex
	status  ArchiveStatus
	due     time.Time // of the next backup
	bridge  bool      // a backup is wanted at once, because of a gap
	running bool      // a backup is under way
}

func newArchiver(n *Node, store blob.Store) *archiver {
	return &archiver{node: n, store: store, target: backup.NewTarget(store, n.identity.ID), pin: pinLog(n.log, 0)}
}

// Archive is how far the archive of the log is; ok is false if there is none.
func (n *Node) Archive() (status ArchiveStatus, ok bool) {
	if n.archiver == nil {
		return ArchiveStatus{}, false
	}
	n.archiver.mu.Lock()
	defer n.archiver.mu.Unlock()
	return n.archiver.status, true
}

// run ships until ctx ends, and then the rest.
func (a *archiver) run(ctx context.Context) {
	defer a.pin.release()
	defer a.backups.Wait()
	poll := time.NewTicker(min(archivePoll, a.node.cfg.ArchiveEvery))
	defer poll.Stop()
	wait, retryAt := archiveRetryLeast, time.Time{}
	for ; ; await(ctx, poll.C) {
		if ctx.Err() != nil {
			end, cancel := context.WithTimeout(context.WithoutCancel(ctx), archiveEnd)
			defer cancel()
			if err := a.step(end, true); err != nil {
				a.node.cfg.Logger.Error("the end of the log is not archived; the next start goes on there", "error", err)
			}
			return
		}
		if time.Now().Before(retryAt) {
			continue
		}
		err := a.step(ctx, false)
		if ctx.Err() != nil {
			continue
		}
		a.mu.Lock()
		a.status.Err = err
		a.mu.Unlock()
		if err == nil {
			wait = archiveRetryLeast
			continue
		}
		a.node.cfg.Logger.Error("the log is not archived; it is tried again", "error", err, "wait", wait)
		retryAt, wait = time.Now().Add(wait), min(2*wait, archiveRetryMost)
	}
}

// await returns at the next tick, or when ctx ends.
func await(ctx context.Context, tick <-chan time.Time) {
	select {
	case <-ctx.Done():
	case <-tick:
	}
}

// step archives what is ready: pieces that are full or old enough, or all with now, which is
// at the end. Otherwise it begins a backup when one is due.
func (a *archiver) step(ctx context.Context, now bool) error {
	a.holdLog()
	if a.next == 0 {
		if err := a.resume(ctx); err != nil {
			return err
		}
	}
	for {
		full, err := a.read(ctx)
		if err != nil {
			return err
		}
		if len(a.pending) == 0 || !full && !now && time.Since(a.since) < a.node.cfg.ArchiveEvery {
			break
		}
		if err := a.ship(ctx); err != nil {
			return err
		}
	}
	if !now && a.wantsBackup() {
		// Beside shipping, which a backup of hours must not hold up.
		a.backups.Go(func() { a.backUp(ctx) })
	}
	return nil
}

// wantsBackup says whether a backup is to be begun.
func (a *archiver) wantsBackup() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.running || !a.bridge && a.node.cfg.Clock().Before(a.due) {
		return false
	}
	a.running, a.bridge = true, false
	return true
}

// backUp makes a backup; if that fails, it is tried again after a while.
func (a *archiver) backUp(ctx context.Context) {
	last, err := a.node.Backup(ctx, a.store, nil)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.running = false
	if err == nil {
		a.due = last.Created.Add(a.node.cfg.BackupEvery)
		return
	}
	a.due = a.node.cfg.Clock().Add(archiveRetryMost)
	if ctx.Err() == nil {
		a.node.cfg.Logger.Error("there is no backup; it is tried again", "error", err, "wait", archiveRetryMost)
	}
}

// resume finds out what is archived already.
func (a *archiver) resume(ctx context.Context) error {
	first, last := a.node.readable(), a.node.log.Newest()
	spans, err := a.target.Pieces(ctx)
	if err != nil {
		return err
	}
	next := first
	if len(spans) > 0 {
		end := spans[len(spans)-1]
		piece, err := a.target.Piece(ctx, end)
		if err != nil {
			return err
		}
		diverged := end.Last > last
		if !diverged && end.Last >= first {
			err := a.node.log.ReadRange(ctx, end.Last, end.Last, func(l *raft.Log) error {
				diverged = l.Term != piece.Head.Term
				return nil
			})
			if err != nil {
				return err
			}
		}
		if diverged {
			return fmt.Errorf("the archive %s has entries up to %d of term %d, which this data directory does not have: it is an older copy; "+
				"restore the archive into a new directory, or archive to another URL", a.store, end.Last, piece.Head.Term)
		}
		next = end.Last + 1
		a.archived(end.Last)
	}
	indexes, err := a.target.Manifests(ctx)
	if err != nil {
		return err
	}
	if len(indexes) > 0 {
		m, err := a.target.Manifest(ctx, indexes[len(indexes)-1])
		if err != nil {
			return err
		}
		a.mu.Lock()
		a.due = m.Created.Add(a.node.cfg.BackupEvery)
		a.mu.Unlock()
	}
	a.next = a.skipTo(next, first)
	return nil
}

// skipTo is where archiving goes on: at next, or, if the log has let go of that, at first,
// which leaves a gap.
func (a *archiver) skipTo(next, first uint64) uint64 {
	if next >= first {
		return next
	}
	gap := backup.Span{First: next, Last: first - 1}
	a.mu.Lock()
	a.status.Gaps = append(a.status.Gaps, gap)
	a.bridge = true
	a.mu.Unlock()
	a.node.cfg.Logger.Error("the archive has a gap: the log let go of entries before they were archived; no restore can end in it", "first", gap.First, "last", gap.Last)
	return first
}

// archived notes what is in the archive.
func (a *archiver) archived(index uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.status.Archived = index
}

// holdLog keeps what is not archived in the log, unless the disk has no room for it.
func (a *archiver) holdLog() {
	index := a.next - uint64(len(a.pending))
	if free, err := a.node.cfg.FS.Free(a.node.cfg.Dir); err == nil && free < archiveFree {
		a.node.cfg.Logger.Warn("the disk is nearly full: the log is not kept for the archive any longer", "free", free)
		index = nothing
	}
	a.pin.move(index)
}

// read takes entries that are applied from the log, until a piece is full.
func (a *archiver) read(ctx context.Context) (full bool, err error) {
	applied := a.node.raft.AppliedIndex()
	if first := a.node.readable(); a.next < first {
		if len(a.pending) > 0 {
			return true, nil // what is before the gap is a piece of its own
		}
		a.next = a.skipTo(a.next, first)
	}
	if a.bytes >= pieceBytes || a.failed {
		return true, nil
	}
	enough := errors.New("enough")
	err = a.node.log.ReadRange(ctx, a.next, applied, func(l *raft.Log) error {
		if len(a.pending) == 0 {
			a.since = time.Now()
		}
		a.pending = append(a.pending, *l)
		a.bytes += len(l.Data) + len(l.Extensions)
		a.next = l.Index + 1
		if a.bytes >= pieceBytes {
			return enough
		}
		return nil
	})
	if err != nil && err != enough {
		return false, err
	}
	return a.bytes >= pieceBytes, nil
}

// ship stores what is pending as a piece.
func (a *archiver) ship(ctx context.Context) error {
	p := &backup.Piece{Entries: a.pending}
	for i := range a.pending {
		if at := entryTime(&a.pending[i]); at != 0 {
			if p.Head.FirstTime == 0 {
				p.Head.FirstTime = at
			}
			p.Head.LastTime = at
		}
	}
	if err := a.target.PutPiece(ctx, p); err != nil {
		a.failed = true
		return err
	}
	a.archived(a.next - 1)
	a.pending, a.bytes, a.failed = nil, 0, false
	a.holdLog()
	return nil
}
