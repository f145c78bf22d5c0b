package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/raft"
	"github.com/zeebo/xxh3"

	"github.com/prickledb/prickle/cluster/backup"
	"github.com/prickledb/prickle/cluster/raftlog"
	"github.com/prickledb/prickle/storage"
	"github.com/prickledb/prickle/storage/blob"
	"github.com/prickledb/prickle/storage/manifest"
	"github.com/prickledb/prickle/storage/vfs"
)

// RestoreOptions say what is restored, and where to.
type RestoreOptions struct {
	FS      vfs.FS
	Dir     string // new, empty, or left by a restore that did not end
	Version string // of this program
	Cluster string // may be empty if the store has backups of one cluster only
	// Index or Time is the state that is wanted: after that entry, or after the last one
	// that is not younger. Both zero is the newest.
	Index uint64
	Time  time.Time
	// Report may be nil. It is called from several goroutines.
	Report func(backup.Progress)
	Clock  func() time.Time // nil: time.Now
	// LogFileBytes is as in Config.
	LogFileBytes int64
	// Lazy leaves the bodies of segments in the store, which is Source for Config.OpenBlob:
	// a node on the directory fetches those that it reads, and the others beside it. Those
	// of LazyEnd bytes come at once; 0 means 64 KB.
	Lazy    bool
	Source  string
	LazyEnd int64
}

// Restored is what a restore made.
type Restored struct {
	Cluster  string    `json:"cluster"` // that it came from
	Index    uint64    `json:"index"`   // last entry
	Time     time.Time `json:"time"`    // of the last entry that has one
	Segments int       `json:"segments"`
	Bytes    int64     `json:"bytes"`
	Entries  int       `json:"entries"` // replayed from the archive of the log
	// LeftSegments and Left are the segments that a lazy restore left in the store, and their
	// bytes.
	LeftSegments int   `json:"left_segments,omitempty"`
	Left         int64 `json:"left_bytes,omitempty"`
}

// RangeError is returned by Restore for a point that a store cannot give.
type RangeError struct {
	Store                 string
	Wanted                string
	FirstIndex, LastIndex uint64 // that it can give
	FirstTime, LastTime   time.Time
	Why                   string
}

func (e *RangeError) Error() string {
	return fmt.Sprintf("%s cannot be restored: %s; %s has entries %d to %d, %s to %s", e.Wanted, e.Why, e.Store, e.FirstIndex, e.LastIndex,
		e.FirstTime.Format(time.RFC3339), ceilSecond(e.LastTime).Format(time.RFC3339))
}

// ErrNotEmpty is wrapped by Restore's error for a directory with something in it.
var ErrNotEmpty = errors.New("the directory is not empty")

// Restore makes a data directory of a backup and the log after it. The directory belongs
// to a new cluster; opening it replays the log. A restore that ended early goes on when it
// is done again.
func Restore(ctx context.Context, store blob.Store, o RestoreOptions) (*Restored, error) {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	target, err := chooseCluster(ctx, store, o.Cluster)
	if err != nil {
		return nil, err
	}
	r := &restore{RestoreOptions: o, target: target}
	if err := r.choose(ctx); err != nil {
		return nil, err
	}
	if err := r.begin(); err != nil {
		return nil, err
	}
	lock, err := o.FS.Lock(path.Join(o.Dir, "lock"))
	if err != nil {
		return nil, dirError(o.Dir, err)
	}
	defer lock.Close() // held by nobody else meanwhile
	if err := r.files(ctx); err != nil {
		return nil, err
	}
	if err := r.log(ctx); err != nil {
		return nil, err
	}
	if err := r.end(); err != nil {
		return nil, dirError(o.Dir, err)
	}
	return &r.made, nil
}

// chooseCluster finds the one cluster of a store, or the one that is asked for.
func chooseCluster(ctx context.Context, store blob.Store, wanted string) (*backup.Target, error) {
	ids, err := backup.Clusters(ctx, store)
	if err != nil {
		return nil, err
	}
	switch {
	case len(ids) == 0:
		return nil, fmt.Errorf("there is no backup in %s", store)
	case wanted != "" && !slices.Contains(ids, wanted):
		return nil, fmt.Errorf("there is no backup of cluster %s in %s; it has %s", wanted, store, strings.Join(ids, ", "))
	case wanted == "" && len(ids) > 1:
		return nil, fmt.Errorf("%s has backups of %d clusters: say which with --cluster: %s", store, len(ids), strings.Join(ids, ", "))
	case wanted == "":
		wanted = ids[0]
	}
	return backup.NewTarget(store, wanted), nil
}

type restore struct {
	RestoreOptions
	target   *backup.Target
	manifest *backup.Manifest
	spans    []backup.Span
	made     Restored
}

// choose finds the newest backup that is not after what is wanted, and whether the log
// leads on from there.
func (r *restore) choose(ctx context.Context) error {
	indexes, err := r.target.Manifests(ctx)
	if err != nil {
		return err
	}
	if len(indexes) == 0 {
		return errors.New("the log is archived, but there is no backup that it could follow; prickle backup makes one")
	}
	if r.spans, err = r.target.Pieces(ctx); err != nil {
		return err
	}
	for i := len(indexes) - 1; i >= 0; i-- {
		index := indexes[i]
		if r.Index != 0 && index > r.Index {
			continue
		}
		m, err := r.target.Manifest(ctx, index)
		if err != nil {
			return err
		}
		if r.Time.IsZero() || !m.Time.After(r.Time) {
			r.manifest = m
			break
		}
	}
	wanted := ""
	switch {
	case r.Index != 0:
		wanted = fmt.Sprintf("entry %d", r.Index)
	case !r.Time.IsZero():
		wanted = "the state at " + r.Time.UTC().Format(time.RFC3339Nano)
	}
	out := func(why string) error {
		bounds, err := r.bounds(ctx, indexes)
		if err != nil {
			return err
		}
		bounds.Wanted, bounds.Why = wanted, why
		return bounds
	}
	if r.manifest == nil {
		return out("it is before the first backup")
	}
	last := logEnd(r.spans, r.manifest.Index)
	if r.Index > last {
		return out("it is after the last archived entry, or in a gap of the archive")
	}
	if !r.Time.IsZero() {
		until, err := r.until(ctx, r.manifest, last)
		if err != nil {
			return err
		}
		if r.Time.After(until) {
			return out("it is after the last archived entry, or in a gap of the archive")
		}
	}
	return nil
}

// logEnd is the last entry that pieces lead to, without a gap, from an index on.
func logEnd(spans []backup.Span, index uint64) uint64 {
	for _, s := range spans {
		if s.First <= index+1 {
			index = max(index, s.Last)
		}
	}
	return index
}

// until is the time up to which the state is known if the log ends at an entry.
func (r *restore) until(ctx context.Context, m *backup.Manifest, last uint64) (time.Time, error) {
	until := ceilSecond(m.Created)
	for i := len(r.spans) - 1; i >= 0; i-- {
		if r.spans[i].Last != last || last <= m.Index {
			continue
		}
		p, err := r.target.Piece(ctx, r.spans[i])
		if err != nil {
			return until, err
		}
		if at := time.UnixMicro(p.Head.LastTime); at.After(until) {
			until = at.UTC()
		}
		break
	}
	return until, nil
}

// bounds are the first and the last point that the store can give.
func (r *restore) bounds(ctx context.Context, indexes []uint64) (*RangeError, error) {
	first, err := r.target.Manifest(ctx, indexes[0])
	if err != nil {
		return nil, err
	}
	newest, err := r.target.Manifest(ctx, indexes[len(indexes)-1])
	if err != nil {
		return nil, err
	}
	e := &RangeError{Store: r.target.String(), FirstIndex: first.Index, FirstTime: first.Time, LastIndex: logEnd(r.spans, newest.Index)}
	e.LastTime, err = r.until(ctx, newest, e.LastIndex)
	return e, err
}

// begin makes the directory and marks it as not whole. It must be empty, or marked.
func (r *restore) begin() error {
	names, err := r.FS.List(r.Dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return dirError(r.Dir, err)
	}
	if len(names) > 0 && !slices.Contains(names, restoringFile) {
		return fmt.Errorf("%s: %w: restore into a new one", r.Dir, ErrNotEmpty)
	}
	if err := r.FS.MkdirAll(r.Dir); err != nil {
		return dirError(r.Dir, err)
	}
	err = vfs.WriteFile(r.FS, path.Join(r.Dir, restoringFile), fmt.Appendf(nil, "%s\n", r.target))
	if err == nil {
		err = r.FS.SyncDir(path.Dir(path.Clean(r.Dir)))
	}
	// A log that was begun is begun again; files that are whole are kept.
	for _, dir := range []string{logDir, snapshotDir, missingDir} {
		old, listing := r.FS.List(path.Join(r.Dir, dir))
		if listing != nil {
			continue // it is not there
		}
		for _, name := range old {
			err = errors.Join(err, r.FS.Remove(path.Join(r.Dir, dir, name)))
		}
	}
	if err != nil {
		return dirError(r.Dir, err)
	}
	return nil
}

// files fetches what the manifest names.
func (r *restore) files(ctx context.Context) error {
	dirs := map[string]bool{}
	for i := range r.manifest.Files {
		dir := path.Dir(path.Join(r.Dir, r.manifest.Files[i].Name))
		if dirs[dir] {
			continue
		}
		dirs[dir] = true
		if err := r.FS.MkdirAll(dir); err != nil {
			return dirError(r.Dir, err)
		}
	}
	files := r.manifest.Files
	if r.Lazy {
		var err error
		if files, err = r.few(ctx); err != nil {
			return err
		}
		dirs[path.Join(r.Dir, missingDir)] = true
	}
	if err := r.target.Download(ctx, files, r.create, r.Report); err != nil {
		return err
	}
	for dir := range dirs {
		for ; dir != path.Clean(r.Dir); dir = path.Dir(dir) {
			if err := r.FS.SyncDir(dir); err != nil {
				return dirError(r.Dir, err)
			}
		}
	}
	r.made.Segments, r.made.Bytes = r.manifest.Segments, r.manifest.Bytes()
	return nil
}

// few fetches all but segments, and gives those of them that come at once. Segments of user tables
// are small, and do.
func (r *restore) few(ctx context.Context) (now []backup.File, err error) {
	segments := path.Join(storeDir, "segments")
	var first, later []backup.File
	for _, f := range r.manifest.Files {
		if path.Dir(f.Name) == segments {
			later = append(later, f)
		} else {
			first = append(first, f)
		}
	}
	if err := r.target.Download(ctx, first, r.create, nil); err != nil {
		return nil, err
	}
	m, _, err := manifest.Read(r.FS, path.Join(r.Dir, storeDir))
	if err != nil {
		return nil, err
	}
	tables := map[string]bool{}
	for _, s := range m.Segments {
		tables[storage.SegmentFile(storage.SegmentID(s.ID))] = s.Table != 0
	}
	var bodies []backup.File
	for _, f := range later {
		if tables[path.Base(f.Name)] {
			now = append(now, f)
		} else {
			bodies = append(bodies, f)
		}
	}
	short, err := r.leave(ctx, bodies)
	return append(now, short...), err
}

// create gives the place for a file, or nil if it is there already.
func (r *restore) create(f backup.File) (io.WriteCloser, error) {
	name := path.Join(r.Dir, f.Name)
	if old, err := r.FS.Open(name); err == nil {
		same, err := sameFile(old, f)
		if closing := old.Close(); err == nil {
			err = closing
		}
		if err != nil || same {
			return nil, err
		}
	}
	file, err := r.FS.Create(name)
	if err != nil {
		return nil, dirError(r.Dir, err)
	}
	return &fileWriter{file: file}, nil
}

// sameFile says whether a file has the content that it should have.
func sameFile(file vfs.File, f backup.File) (bool, error) {
	size, err := file.Size()
	if err != nil || size != f.Size {
		return false, err
	}
	h := xxh3.New()
	if _, err := io.Copy(h, io.NewSectionReader(file, 0, size)); err != nil {
		return false, err
	}
	return fmt.Sprintf("%x", h.Sum128().Bytes()) == f.Hash, nil
}

// fileWriter writes a file from its beginning, and makes it durable when it is closed.
type fileWriter struct {
	file vfs.File
	off  int64
}

func (w *fileWriter) Write(p []byte) (int, error) {
	n, err := w.file.WriteAt(p, w.off)
	w.off += int64(n)
	return n, err
}

func (w *fileWriter) Close() error { return errors.Join(w.file.SyncData(), w.file.Close()) }

// openOffline begins the log of a data directory whose lock the caller has.
func openOffline(fsys vfs.FS, dir string, fileBytes int64) (*raftlog.Log, error) {
	return raftlog.Open(raftlog.Options{FS: fsys, Dir: path.Join(dir, logDir), FileBytes: fileBytes, Spares: 1, MinFiles: 1})
}

// currentTermKey is where Raft keeps the term of a node.
var currentTermKey = []byte("CurrentTerm")

// log writes the entries behind the backup into a new log.
func (r *restore) log(ctx context.Context) (err error) {
	tail, err := r.target.Tail(ctx, r.manifest)
	if err != nil {
		return err
	}
	wal, err := openOffline(r.FS, r.Dir, r.LogFileBytes)
	if err != nil {
		return dirError(r.Dir, err)
	}
	defer func() { err = errors.Join(err, wal.Close()) }()
	log := wal.Group(0)
	term := uint64(0)
	r.made.Time = r.manifest.Time
	store := func(entries []raft.Log) error {
		const group = 64
		for some := range slices.Chunk(entries, group) {
			list := make([]*raft.Log, len(some))
			for i := range some {
				list[i] = &some[i]
				term = max(term, some[i].Term)
				r.made.Index = some[i].Index
				if at := entryTime(&some[i]); at != 0 {
					r.made.Time = time.UnixMicro(at).UTC()
				}
			}
			if err := log.StoreLogs(list); err != nil {
				return dirError(r.Dir, err)
			}
		}
		return ctx.Err()
	}
	if err := store(tail.Entries); err != nil {
		return err
	}
	if err := r.replay(ctx, store); err != nil {
		return err
	}
	r.made.Cluster = r.target.Cluster()
	if err := log.SetUint64(currentTermKey, term); err != nil {
		return dirError(r.Dir, err)
	}
	return nil
}

// replay gives the archived entries behind the backup up to the one that is wanted.
func (r *restore) replay(ctx context.Context, store func([]raft.Log) error) error {
	next := r.manifest.Index + 1
	for _, s := range r.spans {
		if s.Last < next {
			continue
		}
		if s.First > next || r.Index != 0 && next > r.Index {
			return nil
		}
		p, err := r.target.Piece(ctx, s)
		if err != nil {
			return err
		}
		entries := p.Entries[next-s.First:]
		end := len(entries)
		if r.Index != 0 {
			end = int(min(uint64(end), r.Index-next+1))
		}
		if !r.Time.IsZero() {
			late := slices.IndexFunc(entries, func(l raft.Log) bool { return entryTime(&l) > r.Time.UnixMicro() })
			if late >= 0 {
				end = min(end, late)
			}
		}
		if err := store(entries[:end]); err != nil {
			return err
		}
		r.made.Entries += end
		if end < len(entries) {
			return nil
		}
		next = s.Last + 1
	}
	return nil
}

// end gives the directory an identity and takes the mark away.
func (r *restore) end() error {
	id := newIdentity(r.Version, r.Clock())
	id.Epoch = r.manifest.Epoch + 1
	id.RestoredFrom, id.RestoredIndex = r.manifest.Cluster, r.made.Index
	if err := id.write(r.FS, r.Dir); err != nil {
		return err
	}
	if err := r.FS.SyncDir(path.Join(r.Dir, path.Dir(logDir))); err != nil {
		return err
	}
	if err := r.FS.Remove(path.Join(r.Dir, restoringFile)); err != nil {
		return err
	}
	return r.FS.SyncDir(r.Dir)
}
