package cluster

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/raft"

	"github.com/prickledb/prickle/cluster/backup"
	"github.com/prickledb/prickle/cluster/raftlog"
	"github.com/prickledb/prickle/storage"
	"github.com/prickledb/prickle/storage/manifest"
	"github.com/prickledb/prickle/storage/vfs"
)

// ErrDamaged is wrapped by Open's error for a directory whose log, Raft snapshots or
// manifest have lost what was acknowledged. Nothing was changed then. OpenReadOnly shows what
// is left, and Recover makes such a directory usable without what is lost.
var ErrDamaged = errors.New("acknowledged data is damaged")

// damagedError is an error that is ErrDamaged too.
type damagedError struct{ error }

func (e damagedError) Unwrap() []error { return []error{ErrDamaged, e.error} }

func damaged(err error) error {
	if errors.Is(err, errNeedsUpgrade) || errors.Is(err, fs.ErrPermission) {
		return err
	}
	return damagedError{err}
}

// quarantineDir is where files are put aside, in a data directory.
const quarantineDir = "quarantine"

// Loss is what a data directory has lost.
type Loss struct {
	Problems []Problem
	// First to Last are the entries of the log that cannot be applied any more; both 0 if
	// there are none. Rows is how many events those that can be read still had; Estimate
	// is that for all of them, as if the others had as many as entries have elsewhere in
	// the log; 0 if it is not known.
	First, Last         uint64
	FirstTime, LastTime time.Time // zero if not known
	Rows, Estimate      int64
	// Segments are missing or have no record; their rows and days are those that the
	// manifest, or the file itself, says.
	Segments    []LostSegment
	SegmentRows int64
}

// LostSegment is one of them.
type LostSegment struct {
	File     string
	Rows     int64
	FirstDay time.Time
	Days     int
}

// recovery is a directory that is looked at, and perhaps repaired.
type recovery struct {
	fs   vfs.FS
	dir  string
	loss Loss

	manifest *manifest.Manifest
	mended   bool // manifest is not what the file says
	orphans  []string

	snapshot *raft.SnapshotMeta // nil if none can be read
	durable  uint64             // what the manifest covered when it was taken

	wal         *raftlog.Log // only read; nil if it cannot be
	log         *raftlog.Group
	first, last uint64 // that can be read; 0 if there never was one
	good        uint64 // last entry that can be applied

	logFileBytes int64 // of the new log
}

// Diagnose says what a data directory that no process has open has lost; a Loss without
// problems is a whole one.
func Diagnose(ctx context.Context, fsys vfs.FS, dir string) (*Loss, error) {
	lock, err := fsys.Lock(path.Join(dir, "lock"))
	if err != nil {
		return nil, dirError(dir, err)
	}
	defer lock.Close() // nothing was written
	r, err := examine(ctx, fsys, dir)
	if err != nil {
		return nil, dirError(dir, err)
	}
	return &r.loss, r.close()
}

// view opens the log of a directory to be read as far as it is whole.
func (r *recovery) view(dir string) (damage *raftlog.DamageError, err error) {
	r.wal, damage, err = raftlog.View(r.fs, path.Join(dir, logDir))
	if err == nil {
		r.log = r.wal.Group(0)
	}
	return damage, err
}

// examine reads manifest, Raft snapshots and log.
func examine(ctx context.Context, fsys vfs.FS, dir string) (*recovery, error) {
	if err := errors.Join(whole(fsys, dir), allHere(fsys, dir)); err != nil {
		return nil, err
	}
	r := &recovery{fs: fsys, dir: dir}
	if err := r.readManifest(); err != nil {
		return nil, err
	}
	if err := r.readSnapshots(); err != nil {
		return nil, err
	}
	if err := r.readLog(ctx); err != nil {
		r.close() // err says what matters
		return nil, err
	}
	return r, nil
}

func (r *recovery) close() error {
	if r.wal == nil {
		return nil
	}
	return r.wal.Close()
}

func (r *recovery) problem(file string, err error) {
	r.loss.Problems = append(r.loss.Problems, Problem{file, err.Error()})
}

// readManifest finds which segments and state files can still be used.
func (r *recovery) readManifest() error {
	dir := path.Join(r.dir, storeDir)
	m, _, err := manifest.Read(r.fs, dir)
	salvaged := err != nil
	if salvaged {
		var problems []error
		if m, problems, err = manifest.Salvage(r.fs, dir); err != nil {
			return err
		}
		for _, p := range problems {
			r.problem(storeDir, p)
		}
		r.mended = true
	}
	files, err := storage.Missing(r.fs, dir, m)
	if err != nil {
		return err
	}
	var gone []uint64
	for _, s := range files.Segments {
		r.problem(path.Join(storeDir, files.Name(s.ID)), errors.New("it is missing"))
		r.lose(path.Join(storeDir, files.Name(s.ID)), s)
		gone = append(gone, s.ID)
	}
	for _, s := range files.States {
		r.problem(path.Join(storeDir, s), errors.New("it is missing: persons and projects of this part are lost"))
	}
	runs := slices.Sorted(maps.Keys(files.Runs))
	for _, number := range runs {
		r.problem(path.Join(storeDir, files.RunName(number)), fmt.Errorf("%w; without it, events that are sent again may be stored twice", files.Runs[number]))
	}
	if len(gone)+len(files.States)+len(runs) > 0 {
		m, r.mended = m.Without(gone, files.States, runs), true
	}
	if salvaged {
		m, files.Orphans = r.readopt(m, files.Orphans)
	}
	if r.mended {
		r.orphans = files.Orphans
	}
	for _, o := range r.orphans {
		if s, ok := storage.DescribeSegment(r.fs, path.Join(dir, o)); ok {
			r.lose(path.Join(storeDir, o), s)
		}
	}
	r.manifest = m
	return nil
}

// readopt gives a manifest whose records are damaged the state files that are whole and
// that it does not name: each says what changed since the one before it, by number. A
// segment does not say which project it is of, so those stay orphans.
func (r *recovery) readopt(m *manifest.Manifest, orphans []string) (*manifest.Manifest, []string) {
	out := m.Without(nil, nil, nil)
	var rest []string
	for _, o := range orphans {
		if !storage.IsState(r.fs, path.Join(r.dir, storeDir, o)) {
			rest = append(rest, o)
			continue
		}
		out.States = append(out.States, path.Base(o))
	}
	slices.Sort(out.States)
	return out, rest
}

func (r *recovery) lose(file string, s manifest.Segment) {
	r.loss.Segments = append(r.loss.Segments, LostSegment{File: file, Rows: s.Rows, FirstDay: time.Unix(int64(s.FirstDay)*86400, 0).UTC(), Days: s.Days})
	r.loss.SegmentRows += s.Rows
}

func (r *recovery) readSnapshots() error {
	s := &snapshotStore{fs: r.fs, dir: path.Join(r.dir, snapshotDir), logger: slog.New(slog.DiscardHandler)}
	names, err := s.names()
	if err != nil {
		return err
	}
	for _, name := range names {
		meta, _, err := s.read(name)
		if err == nil {
			var durable uint64
			if durable, err = s.durable(name); err == nil && r.snapshot == nil {
				r.snapshot, r.durable = meta, durable
			}
		}
		if err != nil {
			r.problem(path.Join(snapshotDir, name), err)
		}
	}
	return nil
}

// readLog finds how far the log leads on from what the manifest covers, and what is behind
// that.
func (r *recovery) readLog(ctx context.Context) error {
	applied := r.manifest.Applied
	r.good = applied
	damage, err := r.view(r.dir)
	if err != nil {
		r.problem(logDir, err)
		return nil
	}
	seen, err := r.log.FirstIndex() // by Raft
	if err != nil {
		return err
	}
	r.first, r.last = r.log.Oldest(), r.log.Newest()
	if r.first == 0 && r.last > 0 {
		r.first = r.last + 1 // all of it was let go
	}
	known := max(r.last, applied)
	seenRows := entryCount{}
	lost := entryCount{}
	if damage != nil {
		r.problem(logDir, damage)
		known = max(known, damage.From) // it was there, and perhaps more
		err := raftlog.Beyond(r.fs, path.Join(r.dir, logDir), damage, func(e *raftlog.Record) {
			if e.Type != raftlog.TypeEntry || e.Group != 0 || e.Index <= max(r.last, applied) {
				return
			}
			known = max(known, e.Index)
			l := raft.Log{Type: e.Kind, Data: e.Data}
			lost.add(&l)
			r.loss.until(entryTime(&l))
		})
		if err != nil {
			return err
		}
	}
	if r.snapshot != nil {
		known = max(known, r.snapshot.Index)
	}
	follows := r.first > 0 && r.first <= applied+1
	for index := max(r.first, 1); index <= r.last; index++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		l, err := readEntry(ctx, r.log, index)
		at := entryTime(&l)
		if err == nil && index <= applied || err == nil && follows && r.good == index-1 {
			r.good = max(r.good, index)
			seenRows.add(&l)
			if at != 0 {
				r.loss.FirstTime = time.UnixMicro(at).UTC() // nothing before it is lost
			}
			continue
		}
		if err != nil {
			r.problem(logDir, fmt.Errorf("entry %d: %w", index, err))
		}
		if index <= applied {
			continue // segments have it
		}
		r.loss.until(at)
		lost.add(&l)
	}
	if known > r.good {
		r.loss.First, r.loss.Last = r.good+1, known
		if !follows {
			r.problem(logDir, fmt.Errorf("it has entries %d to %d, segments cover entry %d, and entries up to %d were written", r.first, r.last, applied, known))
		}
	} else if r.first > 0 && r.last < applied || r.first == 0 && applied > 0 || r.snapshot == nil && seen > 1 || r.snapshot != nil && seen > r.snapshot.Index+1 {
		r.problem(logDir, fmt.Errorf("it has entries %d to %d, and segments cover entry %d: its files are missing, but all that is known of is in segments", r.first, r.last, applied))
	} else if r.snapshot != nil && r.durable > applied {
		r.problem(storeDir, fmt.Errorf("the manifest covers entry %d, and covered entry %d before: what is missing is in the log", applied, r.durable))
	}
	if r.loss.First == 0 {
		r.loss.FirstTime, r.loss.LastTime = time.Time{}, time.Time{}
		return nil
	}
	r.loss.Rows, r.loss.Estimate = lost.rows, lost.rows
	if unread, all := int64(known-r.good)-lost.entries, seenRows.plus(lost); unread > 0 && all.entries > 0 {
		r.loss.Estimate += unread * all.rows / all.entries
	}
	return nil
}

// entryCount is how many entries could be read, and the events in them.
type entryCount struct{ entries, rows int64 }

func (c *entryCount) add(l *raft.Log) {
	e, _, _, err := decodeHeader(l.Data)
	if l.Type == raft.LogCommand && err != nil {
		return // it cannot be read
	}
	c.entries++
	if err == nil && e.kind == kindEvents {
		c.rows += int64(e.rows)
	}
}

func (c entryCount) plus(d entryCount) entryCount {
	return entryCount{c.entries + d.entries, c.rows + d.rows}
}

// until notes that an entry of this time, in µs, is lost; 0 is not known.
func (l *Loss) until(at int64) {
	if t := time.UnixMicro(at).UTC(); at != 0 && t.After(l.LastTime) {
		l.LastTime = t
	}
}

// OfLog says what is lost of the log in one line, which is empty if that is nothing.
func (l *Loss) OfLog() string {
	if l.Last == 0 {
		return ""
	}
	text := fmt.Sprintf("entries %d to %d of the log", l.First, l.Last)
	if !l.FirstTime.IsZero() {
		text += ", after " + l.FirstTime.Format(time.RFC3339)
	}
	if !l.LastTime.IsZero() {
		text += ", until " + l.LastTime.Format(time.RFC3339)
	}
	if l.Estimate == 0 {
		return text + ", an unknown number of events"
	}
	return text + fmt.Sprintf(", about %d events", l.Estimate)
}

// String says what is lost in one line.
func (l *Loss) String() string {
	var parts []string
	if text := l.OfLog(); text != "" {
		parts = append(parts, text)
	}
	if len(l.Segments) > 0 {
		parts = append(parts, fmt.Sprintf("%d segments with %d events", len(l.Segments), l.SegmentRows))
	}
	if len(parts) == 0 {
		return "no event that is known of"
	}
	return strings.Join(parts, "; ")
}

// asideDir is the folder of quarantine for what is replaced now.
func (r *recovery) asideDir(now time.Time) string {
	return path.Join(r.dir, quarantineDir, now.UTC().Format("20060102T150405Z"))
}

// Recover makes a damaged data directory usable without what it has lost, and reads all of
// it again. Whatever is replaced is kept in a folder of quarantine, whose name it gives.
// The directory begins a new cluster: an archive of the old one may have what is lost here.
// logFileBytes is as in Config.
func Recover(ctx context.Context, fsys vfs.FS, dir, version string, now time.Time, logFileBytes int64) (loss *Loss, aside string, err error) {
	lock, err := fsys.Lock(path.Join(dir, "lock"))
	if err != nil {
		return nil, "", dirError(dir, err)
	}
	defer func() {
		lock.Close() // nobody else had it
		if err == nil {
			err = stillDamaged(ctx, fsys, dir)
		}
	}()
	if err := removeTree(fsys, path.Join(dir, scratchDir)); err != nil { // of a server that was read-only
		return nil, "", dirError(dir, err)
	}
	r, err := examine(ctx, fsys, dir)
	if err != nil {
		return nil, "", dirError(dir, err)
	}
	r.logFileBytes = logFileBytes
	if len(r.loss.Problems) == 0 {
		return &r.loss, "", r.close()
	}
	aside = r.asideDir(now)
	if err := errors.Join(r.repair(ctx, aside, version, now), r.close()); err != nil {
		return nil, aside, dirError(dir, err)
	}
	return &r.loss, aside, nil
}

// repair writes what can be used anew. A crash in between leaves a directory that is
// damaged still, with all its bytes in it or in quarantine.
func (r *recovery) repair(ctx context.Context, aside, version string, now time.Time) error {
	if err := r.close(); err != nil {
		return err
	}
	term := uint64(1)
	snapshot := snapshotHead{Version: raft.SnapshotVersionMax, Index: max(r.manifest.Applied, 1), Configuration: raft.EncodeConfiguration(ownConfiguration()), ConfigurationIndex: 1}
	if r.snapshot != nil {
		term = r.snapshot.Term
		snapshot.Configuration, snapshot.ConfigurationIndex = raft.EncodeConfiguration(r.snapshot.Configuration), min(r.snapshot.ConfigurationIndex, snapshot.Index)
	}

	for _, dir := range []string{logDir, snapshotDir} {
		if err := r.putAside(dir, aside, func(string) bool { return true }); err != nil {
			return err
		}
	}
	if r.wal != nil {
		if _, err := r.view(aside); err != nil {
			return err
		}
	}
	if r.mended {
		err := r.putAside(storeDir, aside, func(name string) bool { return name == "CURRENT" || strings.HasPrefix(name, "MANIFEST-") })
		if err != nil {
			return err
		}
		for _, o := range r.orphans {
			if err := r.putAside(path.Join(storeDir, path.Dir(o)), aside, func(name string) bool { return name == path.Base(o) }); err != nil {
				return err
			}
		}
		files, err := r.manifest.Files()
		if err != nil {
			return err
		}
		for name, raw := range files {
			if err := vfs.WriteFile(r.fs, path.Join(r.dir, storeDir, name), raw); err != nil {
				return err
			}
		}
	}
	term, err := r.copyLog(ctx, term, snapshot.Index)
	if err != nil {
		return err
	}
	snapshot.Term = term
	s := &snapshotStore{fs: r.fs, dir: path.Join(r.dir, snapshotDir)}
	if err := s.write(snapshot, encodeDurable(r.manifest.Applied)); err != nil {
		return err
	}
	id, err := readIdentity(r.fs, r.dir)
	fresh := newIdentity(version, now)
	if err == nil {
		fresh.Epoch = id.Epoch + 1
		fresh.RestoredFrom, fresh.RestoredIndex = id.ID, r.good
	}
	return fresh.write(r.fs, r.dir)
}

// copyLog makes a new log of the entries that can be used. It gives the term of the entry
// at index, where the new Raft snapshot is.
func (r *recovery) copyLog(ctx context.Context, term, index uint64) (uint64, error) {
	wal, err := openOffline(r.fs, r.dir, r.logFileBytes)
	if err != nil {
		return 0, err
	}
	log := wal.Group(0)
	done := func(err error) (uint64, error) { return term, errors.Join(err, wal.Close()) }
	newest := term
	from := max(r.first, index)
	if r.wal == nil || r.first == 0 || from > r.good {
		// Nothing leads on: an entry without effect stands for the last one there was.
		if err := log.StoreLogs([]*raft.Log{{Index: index, Term: term, Type: raft.LogNoop}}); err != nil {
			return done(err)
		}
	} else {
		for at := from; at <= r.good; at++ {
			entry, err := readEntry(ctx, r.log, at)
			l := &entry
			if err != nil && at == index {
				l, err = &raft.Log{Index: at, Term: term, Type: raft.LogNoop}, nil // segments have it
			}
			if err == nil {
				err = ctx.Err()
			}
			if err == nil {
				err = log.StoreLogs([]*raft.Log{l})
			}
			if err != nil {
				return done(err)
			}
			if at == index {
				term = l.Term
			}
			newest = max(newest, l.Term)
		}
		if from > index {
			term = min(term, newest)
		}
	}
	return done(log.SetUint64(currentTermKey, newest))
}

// putAside moves files of a folder into quarantine.
func (r *recovery) putAside(dir, aside string, which func(string) bool) error {
	names, err := r.fs.List(path.Join(r.dir, dir))
	if err != nil {
		return err
	}
	to := path.Join(aside, dir)
	if err := r.fs.MkdirAll(to); err != nil {
		return err
	}
	for _, name := range names {
		if !which(name) {
			continue
		}
		if err := r.fs.Rename(path.Join(r.dir, dir, name), path.Join(to, name)); err != nil {
			return err
		}
	}
	return errors.Join(r.fs.SyncDir(to), r.fs.SyncDir(path.Join(r.dir, dir)))
}

// stillDamaged reads all of a directory and says what is wrong with it.
func stillDamaged(ctx context.Context, fsys vfs.FS, dir string) error {
	v, err := VerifyDir(ctx, fsys, dir, func(backup.Progress) {})
	if err != nil {
		return err
	}
	if len(v.Problems) > 0 {
		p := v.Problems[0]
		return fmt.Errorf("it is recovered, but %s: %s", p.File, p.What)
	}
	return nil
}

// Detach takes a damaged segment out of a data directory that no process has open: its
// file goes into quarantine, and its rows are no more. It gives what the manifest says of
// it. confirm is asked before anything is changed.
func Detach(fsys vfs.FS, dir string, id uint64, confirm func(manifest.Segment) error) (manifest.Segment, string, error) {
	lock, err := fsys.Lock(path.Join(dir, "lock"))
	if err != nil {
		return manifest.Segment{}, "", dirError(dir, err)
	}
	defer lock.Close() // nobody else had it
	if err := allHere(fsys, dir); err != nil {
		return manifest.Segment{}, "", dirError(dir, err)
	}
	aside := path.Join(dir, quarantineDir)
	s, err := storage.Detach(fsys, path.Join(dir, storeDir), aside, id, confirm)
	if err != nil {
		err = dirError(dir, err)
	}
	return s, aside, err
}
