package cluster

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path"
	"slices"
	"sync"
	"time"

	"github.com/prickledb/prickle/storage"
	"github.com/prickledb/prickle/storage/object"
	"github.com/prickledb/prickle/storage/table"
	"github.com/prickledb/prickle/storage/vfs"
)

// ErrDiskFull is wrapped by the error of a write that is refused because the disk has too
// little room left. It may be sent again later.
var ErrDiskFull = errors.New("disk full")

// DiskState is how full the disk is, as far as that changes what a node does.
type DiskState int32

// The states, from the best to the worst.
const (
	DiskOK       DiskState = iota
	DiskLow                // a warning; merges only where their output fits twice
	DiskFull               // no events; metadata, deletes and small writes go on
	DiskReadOnly           // no writes but those that free room
)

func (s DiskState) String() string {
	return [...]string{"ok", "low", "full", "read-only"}[s]
}

// diskLevel is the free space below which a state begins: a share of the disk, but never
// more than most, since a big disk needs no bigger reserve for what is under way; nor less
// than least, which a flush of the memtables and the log needs. On a small disk least
// counts as at most twice the share, so that it can be used at all.
type diskLevel struct {
	percent     uint64
	least, most uint64 // bytes
}

// diskLevels are the levels by state. A laptop of 500 GB takes events until 4 GB are left,
// a container of 10 GB until 800 MB are.
var diskLevels = [...]diskLevel{
	DiskLow:      {15, 512 << 20, 32 << 30},
	DiskFull:     {8, 256 << 20, 4 << 30},
	DiskReadOnly: {3, 64 << 20, 1 << 30},
}

func (l diskLevel) bytes(total uint64) uint64 {
	if total == 0 { // unknown
		return l.least
	}
	share := total / 100 * l.percent
	return max(min(share, l.most), min(l.least, 2*share))
}

// diskBack is how much more must be free before a state ends: 2 % of the disk, at most 1 GB.
func diskBack(total uint64) uint64 { return min(total/50, 1<<30) }

// nextDiskState is the state after now, with so much free.
func nextDiskState(now DiskState, free, total uint64) DiskState {
	for s := DiskReadOnly; s > DiskOK; s-- {
		limit := diskLevels[s].bytes(total)
		if now >= s {
			limit += diskBack(total)
		}
		if free < limit {
			return s
		}
	}
	return DiskOK
}

const (
	diskInterval  = time.Second
	ballastName   = "ballast"
	ballastLeast  = 256 << 20
	ballastMost   = 4 << 30
	ballastEveryN = 60 // checks between attempts to make the ballast again
)

// DiskStats is what a node knows of its disk. Total is 0 where nobody knows.
type DiskStats struct {
	State       DiskState
	Free, Total uint64 // bytes
	Ballast     int64  // bytes that deleting the ballast would give
	Stalls      int64  // calls that took longer than 5 s
}

// disk watches the free space of a node's directory.
type disk struct {
	fs      vfs.FS
	dir     string
	logger  *slog.Logger
	ballast int64 // wanted size; 0: 1 % of the disk, negative: none

	mu    sync.Mutex
	stats DiskStats
}

// check looks at the disk once.
func (d *disk) check() {
	free, err := d.fs.Free(d.dir)
	total, totalErr := vfs.Total(d.fs, d.dir)
	if err = errors.Join(err, totalErr); err != nil {
		d.logger.Error("free space of the disk is unknown", "dir", d.dir, "error", err)
		return
	}
	d.mu.Lock()
	before := d.stats.State
	d.stats.Free, d.stats.Total = free, total
	d.stats.State = nextDiskState(before, free, total)
	now := d.stats.State
	d.mu.Unlock()
	if now != before {
		level := slog.LevelWarn
		if now == DiskOK {
			level = slog.LevelInfo
		}
		d.logger.Log(context.Background(), level, "disk space", "state", now.String(), "was", before.String(), "free_bytes", free, "total_bytes", total,
			"effect", [...]string{"all writes are taken", "merges only where there is room for them", "events are refused", "only what frees room is taken"}[now])
	}
	if now == DiskReadOnly && before != DiskReadOnly {
		if freed, err := d.freeBallast(); err != nil {
			d.logger.Error("ballast", "error", err)
		} else if freed > 0 {
			d.logger.Warn("ballast was deleted to make room", "bytes", freed)
		}
	}
}

// keepBallast makes the ballast if there is none and room for it: with it, the disk must
// not count as low.
func (d *disk) keepBallast() error {
	if d.ballast < 0 {
		return nil
	}
	d.mu.Lock()
	s := d.stats
	d.mu.Unlock()
	name := path.Join(d.dir, ballastName)
	size := d.ballast
	if size == 0 {
		size = min(max(int64(s.Total/100), ballastLeast), ballastMost)
	}
	if f, err := d.fs.Open(name); err == nil {
		f.Close() // it only had to be there
		d.setBallast(size)
		return nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if s.State != DiskOK || s.Free < uint64(size)+diskLevels[DiskLow].bytes(s.Total)+diskBack(s.Total) {
		return nil
	}
	f, err := d.fs.Create(name)
	if err != nil {
		return err
	}
	err = errors.Join(f.Preallocate(size), f.Sync(), f.Close())
	after, freeErr := d.fs.Free(d.dir)
	if err = errors.Join(err, freeErr); err == nil && after+uint64(size)/2 > s.Free {
		d.ballast = -1
		d.logger.Info("no ballast: the file system does not reserve room for a file", "dir", d.dir)
		return d.fs.Remove(name)
	}
	if err != nil {
		return errors.Join(err, d.fs.Remove(name))
	}
	d.setBallast(size)
	return nil
}

func (d *disk) setBallast(size int64) {
	d.mu.Lock()
	d.stats.Ballast = size
	d.mu.Unlock()
}

func (d *disk) freeBallast() (int64, error) {
	d.mu.Lock()
	size := d.stats.Ballast
	d.mu.Unlock()
	switch err := d.fs.Remove(path.Join(d.dir, ballastName)); {
	case errors.Is(err, fs.ErrNotExist):
		return 0, nil
	case err != nil:
		return 0, err
	}
	d.setBallast(0)
	return size, nil
}

func (d *disk) state() DiskStats {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.stats
}

// refusedFrom is the state of the disk from which on entries of a kind are refused: of all
// kinds. What frees room never is, nor what a node proposes for itself. Entries about
// projects and tables do either, so who proposes them looks closer (frees).
var refusedFrom = map[kind]DiskState{
	kindEvents: DiskFull, kindPersons: DiskFull, kindGroups: DiskFull, kindAdopt: DiskFull,
	kindSplit: DiskReadOnly, kindUpdate: DiskReadOnly,
	kindMeta: diskNever, kindTable: diskNever, kindObjects: diskNever, kindMembers: diskNever, kindCommit: diskNever, // submitEdit and Commit ask
	kindErase: diskNever, kindDelete: diskNever, kindExpire: diskNever, kindErased: diskNever,
	kindTick: diskNever, kindSeal: diskNever, kindPlan: diskNever, kindMerged: diskNever, // mergeOnce asks fits
}

const diskNever = DiskReadOnly + 1

// commitFrees says whether a commit only takes away.
func commitFrees(c *storage.Commit) bool {
	return writeFrees(c.Tables) && !slices.ContainsFunc(c.Objects, func(e object.Edit) bool { return !e.Delete }) &&
		!slices.ContainsFunc(c.Members, func(m storage.MemberEdit) bool { return !m.Remove })
}

// editFrees says whether an edit of projects frees room, now or by what it has deleted later.
func editFrees(e *storage.ProjectEdit) bool {
	return e.Delete != 0 || e.Update != nil && e.Update.Retention != nil
}

// writeFrees says whether a write set only takes away.
func writeFrees(ws *table.WriteSet) bool {
	return !slices.ContainsFunc(ws.Ops, func(o table.Op) bool {
		return o.Kind != table.OpDelete && o.Kind != table.OpTruncate && o.Kind != table.OpDrop
	})
}

// admit refuses a write that is refused from a state on, if the disk is there.
func (d *disk) admit(refused DiskState) error {
	if d == nil {
		return nil
	}
	s := d.state()
	if s.State < refused {
		return nil
	}
	return fmt.Errorf("%w: %d MB are free, and writes of this kind are taken again from %d MB on",
		ErrDiskFull, s.Free>>20, (diskLevels[refused].bytes(s.Total)+diskBack(s.Total))>>20)
}

// fits refuses a merge whose output has no room, and at last all that free none. Without
// an output, a merge always fits.
func (d *disk) fits(output, freed int64) error {
	if d == nil || output == 0 {
		return nil
	}
	s := d.state()
	switch {
	case s.State == DiskOK:
		return nil
	case s.State >= DiskReadOnly && freed == 0:
		return fmt.Errorf("%w: %d MB are free, and only merges that free room are begun", ErrDiskFull, s.Free>>20)
	case uint64(2*output) < s.Free:
		return nil
	}
	return fmt.Errorf("%w: merging %d MB needs twice as much room, and %d MB are free", ErrDiskFull, output>>20, s.Free>>20)
}

// watch checks every second until ctx ends.
func (d *disk) watch(ctx context.Context) {
	tick := time.NewTicker(diskInterval)
	defer tick.Stop()
	for n := 0; ; n++ {
		if n%ballastEveryN == 0 {
			if err := d.keepBallast(); err != nil {
				d.logger.Warn("ballast cannot be made", "dir", d.dir, "error", err)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		d.check()
	}
}

// Disk is what the node knows of its disk; all zero if it was not told to watch it.
func (n *Node) Disk() DiskStats {
	if n.disk == nil {
		return DiskStats{}
	}
	s := n.disk.state()
	s.Stalls = n.calls.count()
	return s
}

// FreeBallast deletes the ballast file and gives its size; 0 if there was none. It is made
// again within a minute once the disk has room for it and more.
func (n *Node) FreeBallast() (int64, error) {
	if n.disk == nil {
		return 0, nil
	}
	freed, err := n.disk.freeBallast()
	n.disk.check()
	return freed, err
}
