package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math"
	"path"
	"slices"
	"time"

	"github.com/hashicorp/raft"

	"github.com/prickledb/prickle/cluster/backup"
	"github.com/prickledb/prickle/cluster/raftlog"
	"github.com/prickledb/prickle/storage"
	"github.com/prickledb/prickle/storage/blob"
	"github.com/prickledb/prickle/storage/vfs"
)

// logPin keeps the entries of a log from an index on, also those that segments cover. One
// goroutine uses it.
type logPin struct {
	log    *raftlog.Group
	at     uint64
	unhold func()
}

// nothing is the index of a pin that keeps no entry.
const nothing = math.MaxUint64

func pinLog(log *raftlog.Group, from uint64) *logPin {
	return &logPin{log, from, log.Pin(from)}
}

func (p *logPin) move(from uint64) {
	if from != p.at {
		next := p.log.Pin(from) // before the old one goes
		p.unhold()
		p.at, p.unhold = from, next
	}
}

func (p *logPin) release() { p.unhold() }

// readable is the first entry of the log that can be read, or that will be.
func (n *Node) readable() uint64 {
	if oldest := n.log.Oldest(); oldest > 0 {
		return oldest
	}
	return n.log.Newest() + 1
}

// Cut is the state of a node at one entry of the log, as files: those of the store, which
// are pinned; a manifest that names them; a Raft snapshot; and the entries of the log
// between what the manifest and what the Raft snapshot cover, which is few. A directory
// with all of it is opened like any other.
type Cut struct {
	Manifest *backup.Manifest

	fs   vfs.FS
	dir  string
	pin  *storage.Pin
	made map[string][]byte // files that are not on disk, by name
}

// tailName is the name of the entries in a cut's list of files.
const tailName = "raft/tail"

// Cut flushes and takes hold of the state. Writes and queries go on meanwhile. The caller
// must Release it.
func (n *Node) Cut(ctx context.Context) (*Cut, error) {
	created := n.cfg.Clock().UTC()
	// No merge is between its two entries then: the first one would be in the manifest, and
	// the second one in the log, which cannot build the output.
	select {
	case n.merging <- struct{}{}:
		defer func() { <-n.merging }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	unhold := n.log.Pin(n.log.Newest())
	defer unhold()
	if err := n.Flush(ctx); err != nil {
		return nil, err
	}
	// The Raft snapshot first: it must not claim more than the manifest has.
	metas, err := n.snapshots.List()
	if err != nil {
		return nil, err
	}
	if len(metas) == 0 {
		return nil, errors.New("there is no raft snapshot that can be read")
	}
	snapshot, err := n.snapshots.raw(metas[0].ID)
	if err != nil {
		return nil, err
	}
	pin, err := n.store.Pin()
	if err != nil {
		return nil, err
	}
	c := &Cut{fs: n.cfg.FS, dir: path.Join(n.cfg.Dir, storeDir), pin: pin, made: map[string][]byte{}}
	if c.Manifest, err = n.describe(ctx, c, metas[0], snapshot); err != nil {
		pin.Release()
		return nil, err
	}
	// All entries up to both times are in it, and that of the last one must not be later.
	if created.Before(c.Manifest.Time) {
		created = c.Manifest.Time
	}
	c.Manifest.Created, c.Manifest.Version, c.Manifest.Epoch = created, n.cfg.Version, n.identity.Epoch
	return c, nil
}

// describe lists the files of a cut, and makes those that are not on disk.
func (n *Node) describe(ctx context.Context, c *Cut, meta *raft.SnapshotMeta, snapshot []byte) (*backup.Manifest, error) {
	m := &backup.Manifest{Segments: len(c.pin.Manifest.Segments)}
	for _, s := range c.pin.Manifest.Segments {
		if s.Table == 0 {
			m.Events += s.Rows
		}
	}
	for _, f := range c.pin.Files {
		m.Files = append(m.Files, backup.File{Name: path.Join(storeDir, f.Name), Size: f.Size, Hash: f.Hash})
	}
	add := func(name string, raw []byte) backup.File {
		c.made[name] = raw
		return backup.File{Name: name, Size: int64(len(raw)), Hash: backup.HashOf(raw)}
	}
	written, err := c.pin.Manifest.Files()
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(written)) {
		m.Files = append(m.Files, add(path.Join(storeDir, name), written[name]))
	}
	m.Files = append(m.Files, add(path.Join(snapshotDir, meta.ID), snapshot))

	// The log of a directory must reach what manifest and Raft snapshot cover, so the
	// tail has one entry at least. That of the manifest has a time.
	low, high := min(meta.Index, c.pin.Manifest.Applied), max(meta.Index, c.pin.Manifest.Applied)
	piece := &backup.Piece{}
	last := int64(0)
	err = n.log.ReadRange(ctx, low, high, func(l *raft.Log) error {
		last = max(last, entryTime(l))
		piece.Entries = append(piece.Entries, *l)
		return nil
	})
	if err != nil {
		return nil, err
	}
	piece.Head.Cluster = n.identity.ID
	piece.Head.FirstTime, piece.Head.LastTime = last, last
	raw, err := backup.EncodePiece(piece)
	if err != nil {
		return nil, err
	}
	m.Tail = add(tailName, raw)
	m.Index, m.Term = high, piece.Entries[len(piece.Entries)-1].Term
	m.Time = time.UnixMicro(last).UTC()
	return m, nil
}

// entryTime is the time in an entry, µs since 1970 UTC, or 0 if it has none.
func entryTime(l *raft.Log) int64 {
	if l.Type != raft.LogCommand {
		return 0
	}
	e, _, _, err := decodeHeader(l.Data)
	if err != nil {
		return 0 // whoever applies it will say so
	}
	return e.time
}

// Open gives the content of one of the cut's files.
func (c *Cut) Open(f backup.File) (io.ReadCloser, error) {
	if raw, ok := c.made[f.Name]; ok {
		return io.NopCloser(bytes.NewReader(raw)), nil
	}
	return openFile(c.fs, path.Join(path.Dir(c.dir), f.Name))
}

// openFile reads a file from its beginning.
func openFile(fsys vfs.FS, name string) (io.ReadCloser, error) {
	file, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	size, err := file.Size()
	if err != nil {
		file.Close() // only opened
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{io.NewSectionReader(file, 0, size), file}, nil
}

// Release lets go of the files.
func (c *Cut) Release() { c.pin.Release() }

// LastBackup is the newest backup of a data directory, as far as the directory knows.
type LastBackup struct {
	URL      string    `json:"url"`
	Created  time.Time `json:"created"`
	Index    uint64    `json:"index"`
	Segments int       `json:"segments"`
	Bytes    int64     `json:"bytes"`
	New      int64     `json:"new_bytes"` // that were not there yet
}

// Backup stores the state of the node in a store outside, and returns when all of it was
// read back. Writes and queries go on meanwhile; another backup waits. report may be nil; it
// is called from several goroutines.
func (n *Node) Backup(ctx context.Context, store blob.Store, report func(backup.Progress)) (LastBackup, error) {
	if err := n.damage.refusal(); err != nil {
		return LastBackup{}, fmt.Errorf("backup: %w", err)
	}
	select {
	case n.backing <- struct{}{}:
		defer func() { <-n.backing }()
	case <-ctx.Done():
		return LastBackup{}, ctx.Err()
	}
	cut, err := n.Cut(ctx)
	if err != nil {
		return LastBackup{}, fmt.Errorf("backup: %w", err)
	}
	defer cut.Release()
	m := cut.Manifest
	fresh, err := backup.NewTarget(store, n.identity.ID).Upload(ctx, m, cut.Open, report)
	if err != nil {
		return LastBackup{}, fmt.Errorf("backup: %w", err)
	}
	last := LastBackup{URL: store.String(), Created: ceilSecond(m.Created), Index: m.Index, Segments: m.Segments, Bytes: m.Bytes(), New: fresh}
	raw, err := json.Marshal(last)
	if err != nil {
		return last, err
	}
	n.lastBackup.Store(&last)
	return last, vfs.WriteFile(n.cfg.FS, path.Join(n.cfg.Dir, backupFile), append(raw, '\n'))
}

// ceilSecond rounds up, so that a time that is printed in seconds is not before what it names.
func ceilSecond(t time.Time) time.Time {
	return t.Add(time.Second - 1).Truncate(time.Second)
}

// LastBackup is the newest backup that was made of this data directory; ok is false if
// there is none.
func (n *Node) LastBackup() (last LastBackup, ok bool) {
	if p := n.lastBackup.Load(); p != nil {
		return *p, true
	}
	return LastBackup{}, false
}

// Identity says which cluster the node belongs to.
func (n *Node) Identity() Identity { return n.identity }

// ReadLastBackup reads what the directory knows of its backups. It is only told to people,
// so a file that cannot be read is as good as none.
func ReadLastBackup(fsys vfs.FS, dir string) (*LastBackup, error) {
	raw, err := vfs.ReadFile(fsys, path.Join(dir, backupFile), 1<<16)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	last := new(LastBackup)
	if err == nil {
		err = json.Unmarshal(raw, last)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", backupFile, err)
	}
	return last, nil
}
