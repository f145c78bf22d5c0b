package cluster

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path"

	"github.com/hashicorp/raft"

	"github.com/prickledb/prickle/cluster/backup"
	"github.com/prickledb/prickle/cluster/raftlog"
	"github.com/prickledb/prickle/storage"
	"github.com/prickledb/prickle/storage/manifest"
	"github.com/prickledb/prickle/storage/vfs"
)

// Verified is what a check of a data directory read, and what is wrong.
type Verified struct {
	Segments int       `json:"segments"`
	Files    int       `json:"files"`
	Bytes    int64     `json:"bytes"`
	Entries  int       `json:"entries"` // of the log
	Problems []Problem `json:"problems"`
}

// Problem is a file with something wrong in it.
type Problem struct {
	File string `json:"file"` // from the data directory
	What string `json:"what"` // with the place
}

// verifier collects what was read.
type verifier struct {
	Verified
	total  int64
	report func(backup.Progress)
}

func (v *verifier) read(file string, size int64, err error) {
	v.Files++
	v.Bytes += size
	if v.report != nil {
		v.report(backup.Progress{Bytes: v.Bytes, TotalBytes: max(v.total, v.Bytes)})
	}
	if err != nil {
		v.Problems = append(v.Problems, Problem{file, err.Error()})
	}
}

// store reads the files of a manifest.
func (v *verifier) store(ctx context.Context, fsys vfs.FS, dir string, m *manifest.Manifest) error {
	v.Segments = len(m.Segments)
	for _, s := range m.Segments {
		v.total += s.Size
	}
	return storage.Verify(ctx, fsys, path.Join(dir, storeDir), m, func(name string, size int64, err error) {
		v.read(path.Join(storeDir, name), size, err)
	})
}

// snapshots reads all Raft snapshots.
func (v *verifier) snapshots(s *snapshotStore) error {
	names, err := s.names()
	if err != nil {
		return err
	}
	for _, name := range names {
		raw, err := s.raw(name)
		if err == nil {
			_, err = s.durable(name)
		}
		v.read(path.Join(snapshotDir, name), int64(len(raw)), err)
	}
	return nil
}

// log reads entries first to last. One that cannot be read is named; those behind it are
// read too.
func (v *verifier) log(ctx context.Context, log *raftlog.Group, first, last uint64) error {
	size := int64(0)
	for index := first; index <= last && index > 0; index++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		l, err := readEntry(ctx, log, index)
		if err != nil {
			v.Problems = append(v.Problems, Problem{logDir, fmt.Sprintf("entry %d: %v", index, err)})
		}
		v.Entries++
		size += int64(len(l.Data))
	}
	v.read(logDir, size, nil)
	return nil
}

// readEntry reads an entry of the log and checks all of it.
func readEntry(ctx context.Context, log *raftlog.Group, index uint64) (l raft.Log, err error) {
	err = log.ReadRange(ctx, index, index, func(read *raft.Log) error {
		l = *read
		if l.Type != raft.LogCommand {
			return nil
		}
		_, err := decodeEntry(l.Data)
		return err
	})
	return l, err
}

// Verify reads all that the node has on disk, while it goes on.
func (n *Node) Verify(ctx context.Context, report func(backup.Progress)) (*Verified, error) {
	pin, err := n.store.Pin()
	if err != nil {
		return nil, err
	}
	defer pin.Release()
	v := &verifier{report: report}
	if err := v.store(ctx, n.cfg.FS, n.cfg.Dir, pin.Manifest); err != nil {
		return nil, err
	}
	if err := v.snapshots(n.snapshots); err != nil {
		return nil, err
	}
	unhold := n.log.Pin(0)
	defer unhold()
	return &v.Verified, v.log(ctx, n.log, n.readable(), n.raft.AppliedIndex())
}

// VerifyDir reads all of a data directory that no process has open.
func VerifyDir(ctx context.Context, fsys vfs.FS, dir string, report func(backup.Progress)) (*Verified, error) {
	lock, err := fsys.Lock(path.Join(dir, "lock"))
	if err != nil {
		return nil, dirError(dir, err)
	}
	defer lock.Close() // nothing was written
	if err := errors.Join(whole(fsys, dir), allHere(fsys, dir)); err != nil {
		return nil, dirError(dir, err)
	}
	v := &verifier{report: report}
	if _, err := readIdentity(fsys, dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		v.read(identityFile, 0, err)
	}
	snapshots := &snapshotStore{fs: fsys, dir: path.Join(dir, snapshotDir), logger: slog.New(slog.DiscardHandler)}
	if err := v.snapshots(snapshots); err != nil {
		return nil, dirError(dir, err)
	}
	m, name, err := manifest.Read(fsys, path.Join(dir, storeDir))
	v.read(path.Join(storeDir, name), 0, err)
	if err == nil {
		if err := v.store(ctx, fsys, dir, m); err != nil {
			return nil, err
		}
	}
	wal, damage, err := raftlog.View(fsys, path.Join(dir, logDir))
	if err != nil {
		v.read(logDir, 0, err)
		return &v.Verified, nil
	}
	defer wal.Close() // only read
	if damage != nil {
		v.read(logDir, 0, damage)
		return &v.Verified, nil
	}
	n := &Node{log: wal.Group(0), snapshots: snapshots}
	began, err := n.began()
	if err != nil {
		v.read(logDir, 0, err)
		return &v.Verified, nil
	}
	if err := v.log(ctx, n.log, began.oldest, began.last); err != nil {
		return nil, err
	}
	if m != nil {
		if covered := began.covered(); m.Applied < covered {
			v.read(path.Join(storeDir, name), 0, fmt.Errorf("it covers entry %d of the log, and entries up to %d were let go because it had them: its last records are damaged", m.Applied, covered))
		}
		if have := max(m.Applied, began.index); began.last < have {
			v.read(logDir, 0, fmt.Errorf("it ends at entry %d, segments and Raft snapshot cover entry %d", began.last, have))
		}
	}
	return &v.Verified, nil
}
