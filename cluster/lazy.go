package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path"
	"slices"
	"sync"
	"time"

	"github.com/prickledb/prickle/cluster/backup"
	"github.com/prickledb/prickle/storage/segment"
	"github.com/prickledb/prickle/storage/vfs"
)

// A lazy restore leaves the bodies of segments where they are. In the data directory, the folder
// missing has
//
//	files.json   where they are, and which they are
//	<segment>    one file for each that has not come yet: as long as the segment, with its ends
//	             in place and nothing in between
//
// A segment comes when something of it is read, or in its turn. It is written beside its place,
// compared with its hash, synced and renamed; then its file in missing goes. So a segment that is
// in its place is whole, and a restart goes on with those that are not.
const (
	missingDir  = "missing"
	missingList = "files.json"
	// lazyEnd is how much of the end of a segment is asked for at first: most directories are
	// shorter. A segment that is not longer comes at once.
	lazyEnd = 64 << 10
	// fetchRetry and fetchRetryMost are the pauses of the background fill after an error.
	fetchRetry, fetchRetryMost = time.Second, time.Minute
)

// remainderList is files.json.
type remainderList struct {
	Source  string        `json:"source"` // what blob.Open takes
	Cluster string        `json:"cluster"`
	Files   []backup.File `json:"files"`
}

// readRemainder reads what a lazy restore has left out of a directory; nil if it left out
// nothing, or all of it has come.
func readRemainder(fsys vfs.FS, dir string) (*remainderList, error) {
	name := path.Join(dir, missingDir, missingList)
	raw, err := vfs.ReadFile(fsys, name, 256<<20)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	list := &remainderList{}
	if err := json.Unmarshal(raw, list); err != nil {
		return nil, fmt.Errorf("%s: %w; restore the directory anew", name, err)
	}
	there, err := fsys.List(path.Join(dir, missingDir))
	if err != nil {
		return nil, err
	}
	list.Files = slices.DeleteFunc(list.Files, func(f backup.File) bool { return !slices.Contains(there, path.Base(f.Name)) })
	if len(list.Files) == 0 {
		return nil, nil
	}
	return list, nil
}

// ErrNotAllHere is wrapped by the error of looking through a data directory of which some
// segments are still in the backup.
var ErrNotAllHere = errors.New("segments are still in the backup")

// allHere refuses a directory whose lazy restore goes on.
func allHere(fsys vfs.FS, dir string) error {
	list, err := readRemainder(fsys, dir)
	if err != nil || list == nil {
		return err
	}
	return fmt.Errorf("%d %w at %s; a server on this directory fetches them", len(list.Files), ErrNotAllHere, list.Source)
}

// remainder is the segments that a node has still to fetch.
type remainder struct {
	fs     vfs.FS // in which they are not
	dir    string
	source string
	target *backup.Target
	logger *slog.Logger
	ctx    context.Context
	stop   context.CancelFunc

	mu    sync.Mutex
	files map[string]*missingFile // by name in dir
	bytes int64                   // of files
}

// missingFile is one of them.
type missingFile struct {
	backup.File
	mu   sync.Mutex
	here bool // or gone
}

// openRemainder prepares to fetch what a lazy restore has left out; nil if that is nothing.
func openRemainder(cfg *Config) (*remainder, error) {
	list, err := readRemainder(cfg.FS, cfg.Dir)
	if err != nil || list == nil {
		return nil, err
	}
	if cfg.OpenBlob == nil {
		return nil, allHere(cfg.FS, cfg.Dir)
	}
	store, err := cfg.OpenBlob(list.Source)
	if err != nil {
		return nil, fmt.Errorf("%d segments are still in a backup: %w", len(list.Files), err)
	}
	r := &remainder{fs: cfg.FS, dir: cfg.Dir, source: list.Source, target: backup.NewTarget(store, list.Cluster), logger: cfg.Logger, files: map[string]*missingFile{}}
	for _, f := range list.Files {
		r.files[path.Join(cfg.Dir, f.Name)] = &missingFile{File: f}
		r.bytes += f.Size
	}
	r.ctx, r.stop = context.WithCancel(context.Background())
	return r, nil
}

// left is how many segments are missing, and their bytes.
func (r *remainder) left() (files int, bytes int64) {
	if r == nil {
		return 0, 0
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.files), r.bytes
}

func (r *remainder) find(name string) *missingFile {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.files[name]
}

// stub is the place of the ends of a file.
func (r *remainder) stub(f *missingFile) string {
	return path.Join(r.dir, missingDir, path.Base(f.Name))
}

// fetch has a file come, if it is not here.
func (r *remainder) fetch(f *missingFile) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.here {
		return nil
	}
	name := path.Join(r.dir, f.Name)
	tmp := name + ".tmp"
	file, err := r.fs.Create(tmp)
	if err != nil {
		return err
	}
	w := &fileWriter{file: file}
	if err := r.target.Fetch(r.ctx, f.File, w); err != nil {
		return errors.Join(fmt.Errorf("%w, and cannot be fetched from %s: %w", vfs.ErrNotHere, r.source, err), file.Close(), r.fs.Remove(tmp))
	}
	if err = w.Close(); err == nil {
		err = r.fs.Rename(tmp, name)
	}
	if err == nil {
		err = r.fs.SyncDir(path.Dir(name))
	}
	if err != nil {
		return err
	}
	return r.drop(f)
}

// drop notes that a file is not missing any more. The caller holds its mu.
func (r *remainder) drop(f *missingFile) error {
	f.here = true
	r.mu.Lock()
	delete(r.files, path.Join(r.dir, f.Name))
	r.bytes -= f.Size
	last := len(r.files) == 0
	r.mu.Unlock()
	err := r.fs.Remove(r.stub(f))
	if last && err == nil {
		err = r.fs.Remove(path.Join(r.dir, missingDir, missingList))
		r.logger.Info("all segments of the restore have come", "from", r.source)
	}
	return err
}

// run fetches all of them, the newest first, until ctx ends.
func (r *remainder) run(ctx context.Context) {
	files, bytes := r.left()
	r.logger.Info("segments of the restore are fetched", "from", r.source, "segments", files, "bytes", bytes)
	for wait := fetchRetry; ; wait = min(2*wait, fetchRetryMost) {
		r.mu.Lock()
		var names []string
		for name := range r.files {
			names = append(names, name)
		}
		r.mu.Unlock()
		slices.Sort(names)
		slices.Reverse(names)
		var list []backup.File
		for _, name := range names {
			if f := r.find(name); f != nil {
				list = append(list, f.File)
			}
		}
		var mu sync.Mutex
		var failed error
		err := r.target.Each(ctx, list, func(_ context.Context, f backup.File) error {
			m := r.find(path.Join(r.dir, f.Name))
			if m == nil {
				return nil
			}
			if err := r.fetch(m); err != nil {
				mu.Lock()
				failed = err
				mu.Unlock()
			}
			return nil
		})
		if left, _ := r.left(); left == 0 || err != nil || ctx.Err() != nil {
			return
		}
		r.logger.Error("segments of the restore cannot be fetched; it is tried again", "error", failed, "wait", wait)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
	}
}

// lazyFS shows the files that are missing as if they were here.
type lazyFS struct {
	vfs.FS
	r *remainder
}

// Open implements vfs.FS.
func (l lazyFS) Open(name string) (vfs.File, error) {
	f := l.r.find(name)
	if f == nil {
		return l.FS.Open(name)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.here {
		return l.FS.Open(name)
	}
	stub, err := l.FS.Open(l.r.stub(f))
	if err != nil {
		return nil, err
	}
	return &lazyFile{File: stub, r: l.r, f: f}, nil
}

// Remove implements vfs.FS: a file that goes before it came does not come.
func (l lazyFS) Remove(name string) error {
	f := l.r.find(name)
	if f == nil {
		return l.FS.Remove(name)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.here {
		return l.FS.Remove(name)
	}
	return l.r.drop(f)
}

// Total gives what vfs.Total asks for.
func (l lazyFS) Total(dir string) (uint64, error) { return vfs.Total(l.FS, dir) }

// lazyFile is a file that was missing when it was opened.
type lazyFile struct {
	vfs.File // its ends
	r        *remainder
	f        *missingFile

	mu    sync.Mutex
	whole vfs.File // once it was needed
}

// open has the file come and opens it.
func (l *lazyFile) open() (vfs.File, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.whole != nil {
		return l.whole, nil
	}
	if err := l.r.fetch(l.f); err != nil {
		return nil, err
	}
	var err error
	l.whole, err = l.r.fs.Open(path.Join(l.r.dir, l.f.Name))
	return l.whole, err
}

// Fill implements vfs.Partial.
func (l *lazyFile) Fill() ([]byte, error) {
	f, err := l.open()
	if err != nil {
		return nil, err
	}
	return f.Map()
}

// ReadAt implements vfs.File.
func (l *lazyFile) ReadAt(p []byte, off int64) (int, error) {
	f, err := l.open()
	if err != nil {
		return 0, err
	}
	return f.ReadAt(p, off)
}

// Close implements vfs.File.
func (l *lazyFile) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	err := l.File.Close()
	if l.whole != nil {
		err = errors.Join(err, l.whole.Close())
	}
	return err
}

// Missing is how many segments are still in the backup that the directory was restored from, and
// their bytes.
func (n *Node) Missing() (segments int, bytes int64) { return n.rest.left() }

// leave writes the folder missing for files whose bodies stay in the backup, and gives those
// that are short enough to come at once.
func (r *restore) leave(ctx context.Context, files []backup.File) (now []backup.File, err error) {
	dir := path.Join(r.Dir, missingDir)
	if err := r.FS.MkdirAll(dir); err != nil {
		return nil, dirError(r.Dir, err)
	}
	end := r.LazyEnd
	if end == 0 {
		end = lazyEnd
	}
	list := remainderList{Source: r.Source, Cluster: r.target.Cluster()}
	for _, f := range files {
		if f.Size <= end {
			now = append(now, f)
		} else {
			list.Files = append(list.Files, f)
		}
	}
	err = r.target.Each(ctx, list.Files, func(ctx context.Context, f backup.File) error { return r.ends(ctx, f, end) })
	if err != nil {
		return nil, err
	}
	raw, err := json.Marshal(list)
	if err == nil {
		err = vfs.WriteFile(r.FS, path.Join(dir, missingList), raw)
	}
	if err != nil {
		return nil, dirError(r.Dir, err)
	}
	for _, f := range list.Files {
		r.made.Left += f.Size
	}
	r.made.LeftSegments = len(list.Files)
	return now, nil
}

// ends fetches the ends of a segment.
func (r *restore) ends(ctx context.Context, f backup.File, end int64) error {
	raw, err := r.target.Part(ctx, f, f.Size-end, end)
	if err != nil {
		return err
	}
	size, err := segment.FooterSize(raw, f.Size)
	if err == nil && size > end {
		raw, err = r.target.Part(ctx, f, f.Size-size, size)
	}
	var head []byte
	if err == nil {
		head, err = r.target.Part(ctx, f, 0, int64(segment.HeadSize))
	}
	if err != nil {
		return fmt.Errorf("%s: %w", f.Name, err)
	}
	file, err := r.FS.Create(path.Join(r.Dir, missingDir, path.Base(f.Name)))
	if err != nil {
		return dirError(r.Dir, err)
	}
	if _, err = file.WriteAt(raw, f.Size-int64(len(raw))); err == nil {
		_, err = file.WriteAt(head, 0)
	}
	if err == nil {
		err = file.SyncData()
	}
	return errors.Join(err, file.Close())
}
