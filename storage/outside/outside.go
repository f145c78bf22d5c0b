package outside

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/prickledb/prickle/storage/blob"
	"github.com/prickledb/prickle/storage/vfs"
)

var (
	// ErrNoPlaces says that no place is allowed.
	ErrNoPlaces = errors.New("no directory is allowed for files of statements")
	// ErrRefused says that a name lies in none of the places, or goes through a symbolic link.
	ErrRefused = errors.New("is not below an allowed directory")
	// ErrNotFound says that there is no such file.
	ErrNotFound = errors.New("there is no such file")
)

// maxFiles bounds how many files a pattern may name.
const maxFiles = 100_000

// Places is where files may lie. It may be used by many goroutines.
type Places struct{ list []place }

// place is one directory, or one prefix in a bucket.
type place struct {
	name  string // an absolute path, or a URL without a slash at the end
	root  *vfs.Root
	store *blob.S3
}

// Open opens places: paths of directories that are there, and s3://bucket/prefix.
func Open(targets []string, s3 blob.S3Options) (*Places, error) {
	p := &Places{}
	for _, t := range targets {
		if strings.HasPrefix(t, "s3://") {
			store, err := blob.Open(t, vfs.OS(), s3)
			if err != nil {
				return nil, err
			}
			p.list = append(p.list, place{name: strings.TrimRight(t, "/"), store: store.(*blob.S3)})
			continue
		}
		root, err := vfs.OpenRoot(t)
		if err != nil {
			return nil, err
		}
		// What Match finds has the name in front, and a relative one would count from the
		// first directory.
		p.list = append(p.list, place{name: filepath.ToSlash(root.Path()), root: root})
	}
	return p, nil
}

// Close lets go of the directories.
func (p *Places) Close() error {
	var all error
	for _, x := range p.list {
		if x.root != nil {
			all = errors.Join(all, x.root.Close())
		}
	}
	return all
}

// find gives the place of a name, and the name below it. A path that is not absolute counts
// from the first directory.
func (p *Places) find(name string) (place, string, error) {
	if p == nil || len(p.list) == 0 {
		return place{}, "", ErrNoPlaces
	}
	remote := strings.HasPrefix(name, "s3://")
	clean := filepath.ToSlash(filepath.Clean(name))
	if remote {
		clean = "s3://" + strings.TrimPrefix(path.Clean("/"+strings.TrimPrefix(name, "s3://")), "/")
	}
	for _, x := range p.list {
		if (x.store != nil) != remote {
			continue
		}
		rest, below := strings.CutPrefix(clean, strings.TrimRight(x.name, "/")+"/")
		if !remote && !path.IsAbs(clean) {
			rest, below = clean, true
		}
		if below && filepath.IsLocal(rest) && rest != "." && !strings.ContainsRune(rest, 0) {
			return x, rest, nil
		}
	}
	return place{}, "", fmt.Errorf("%s: %w", name, ErrRefused)
}

// worded gives errors our words.
func worded(name string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, vfs.ErrSymlink):
		return fmt.Errorf("%s: %w: it goes through a symbolic link", name, ErrRefused)
	case errors.Is(err, blob.ErrNotFound), isNotExist(err):
		return fmt.Errorf("%s: %w", name, ErrNotFound)
	}
	return fmt.Errorf("%s: %w", name, err)
}

// Match gives the names that a pattern stands for, ascending. In it * and ? stand for any
// characters but a slash, [a-z] for one of several, and ** for any directories. A name without
// those is itself.
func (p *Places) Match(ctx context.Context, pattern string) ([]string, error) {
	x, rest, err := p.find(pattern)
	if err != nil {
		return nil, err
	}
	if !strings.ContainsAny(rest, "*?[") {
		return []string{pattern}, nil
	}
	if _, err := path.Match(rest, ""); err != nil {
		return nil, fmt.Errorf("%s: is no pattern", pattern)
	}
	var found []string
	var walk func(dir string, parts []string) error
	walk = func(dir string, parts []string) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if parts[0] != "**" && !strings.ContainsAny(parts[0], "*?[") && len(parts) > 1 {
			return walk(path.Join(dir, parts[0]), parts[1:])
		}
		names, err := x.names(ctx, dir)
		if err != nil {
			return err
		}
		if parts[0] == "**" && len(parts) > 1 {
			if err := walk(dir, parts[1:]); err != nil {
				return err
			}
		}
		for _, name := range names {
			folder := strings.HasSuffix(name, "/")
			plain := strings.TrimSuffix(name, "/")
			full := path.Join(dir, plain)
			switch ok, _ := path.Match(parts[0], plain); {
			case parts[0] == "**":
				if folder {
					err = walk(full, parts)
				} else if len(parts) == 1 {
					found = append(found, full)
				}
			case !ok:
			case len(parts) == 1 && !folder:
				found = append(found, full)
			case len(parts) > 1 && folder:
				err = walk(full, parts[1:])
			}
			if err != nil {
				return err
			}
			if len(found) > maxFiles {
				return fmt.Errorf("%s: more than %d files", pattern, maxFiles)
			}
		}
		return nil
	}
	if err := walk("", strings.Split(rest, "/")); err != nil {
		return nil, worded(pattern, err)
	}
	slices.Sort(found)
	found = slices.Compact(found)
	if len(found) == 0 {
		return nil, fmt.Errorf("%s: %w", pattern, ErrNotFound)
	}
	for i := range found {
		found[i] = x.name + "/" + found[i]
	}
	return found, nil
}

// names lists a directory, folders with a slash behind.
func (x *place) names(ctx context.Context, dir string) ([]string, error) {
	if x.root == nil {
		return x.store.Entries(ctx, dir)
	}
	names, err := x.root.List(dir)
	if isNotExist(err) {
		return nil, nil
	}
	return names, err
}

// File is an open file.
type File struct {
	Size int64
	io.ReaderAt
	close func() error
}

// Close closes it.
func (f *File) Close() error { return f.close() }

// Open opens a file. ctx ends its reads.
func (p *Places) Open(ctx context.Context, name string) (*File, error) {
	x, rest, err := p.find(name)
	if err != nil {
		return nil, err
	}
	if x.root != nil {
		f, size, err := x.root.Open(rest)
		if err != nil {
			return nil, worded(name, err)
		}
		return &File{size, f, f.Close}, nil
	}
	size, err := x.store.Stat(ctx, rest)
	if err != nil {
		return nil, worded(name, err)
	}
	return &File{size, &remote{ctx, x.store, rest, size}, func() error { return nil }}, nil
}

// remote reads pieces of an object.
type remote struct {
	ctx   context.Context
	store blob.Store
	name  string
	size  int64
}

// ReadAt implements io.ReaderAt.
func (r *remote) ReadAt(p []byte, off int64) (int, error) {
	if off >= r.size {
		return 0, io.EOF
	}
	n := min(int64(len(p)), r.size-off)
	body, err := r.store.Get(r.ctx, r.name, off, n)
	if err != nil {
		return 0, err
	}
	defer body.Close() //nolint:errcheck // only read
	got, err := io.ReadFull(body, p[:n])
	if err == nil && n < int64(len(p)) {
		err = io.EOF
	}
	return got, err
}

// Writer is a file that is being written. It appears whole with Commit, or never.
type Writer interface {
	io.Writer
	Commit() error
	Abort()
}

// Create begins to write a file, in place of one of that name.
func (p *Places) Create(ctx context.Context, name string) (Writer, error) {
	x, rest, err := p.find(name)
	if err != nil {
		return nil, err
	}
	if x.root != nil {
		w, err := x.root.Create(rest)
		if err != nil {
			return nil, worded(name, err)
		}
		return w, nil
	}
	ctx, cancel := context.WithCancel(ctx)
	r, w := io.Pipe()
	u := &upload{PipeWriter: w, cancel: cancel, done: make(chan error, 1)}
	go func() {
		err := x.store.PutStream(ctx, rest, r)
		r.CloseWithError(err) //nolint:errcheck // the writer is told
		u.done <- worded(name, err)
	}()
	return u, nil
}

// upload is an object that is being written.
type upload struct {
	*io.PipeWriter
	cancel context.CancelFunc
	done   chan error
}

// Commit implements Writer.
func (u *upload) Commit() error {
	defer u.cancel()
	u.Close() //nolint:errcheck // never fails
	return <-u.done
}

// Abort implements Writer.
func (u *upload) Abort() {
	u.cancel()
	u.CloseWithError(context.Canceled) //nolint:errcheck // never fails
	<-u.done
}

func isNotExist(err error) bool { return errors.Is(err, fs.ErrNotExist) }
