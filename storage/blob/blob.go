package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path"
	"path/filepath"
	"strings"

	"github.com/prickledb/prickle/storage/vfs"
)

var (
	// ErrNotFound is wrapped by Get and Stat of an object that is not there.
	ErrNotFound = errors.New("no such object")
	// ErrExists is wrapped by a Put that must not replace and found an object.
	ErrExists = errors.New("the object exists")
)

// Store is a place for objects. Names are slash-separated paths without a leading slash.
// All methods may be called concurrently. After an error of Put the object is there whole,
// as it was before, or not at all.
type Store interface {
	// Put stores size bytes of r. With ifAbsent an object that exists is left alone and
	// the error is ErrExists.
	Put(ctx context.Context, name string, r io.Reader, size int64, ifAbsent bool) error
	// Get reads size bytes from an offset on; a negative size means to the end.
	Get(ctx context.Context, name string, off, size int64) (io.ReadCloser, error)
	// List gives the names directly below dir, ascending, without dir. Names of further
	// folders are among them. A folder that does not exist is empty.
	List(ctx context.Context, dir string) ([]string, error)
	// Delete removes an object; one that is not there is no error.
	Delete(ctx context.Context, name string) error
	// Stat is the size of an object in bytes.
	Stat(ctx context.Context, name string) (int64, error)
	// String is the URL that Open takes, without secrets.
	String() string
}

// Open opens the store at a URL: a path, file:///path or s3://bucket/prefix.
func Open(target string, fs vfs.FS, s3 S3Options) (Store, error) {
	if !strings.Contains(target, "://") {
		if target == "" {
			return nil, errors.New("a backup target is a path, file:///path or s3://bucket/prefix, not an empty text")
		}
		return NewFile(fs, filepath.ToSlash(filepath.Clean(target))), nil
	}
	u, err := url.Parse(target)
	if err != nil {
		return nil, fmt.Errorf("%q is not a URL: write a path, file:///path or s3://bucket/prefix", target)
	}
	switch u.Scheme {
	case "file":
		if u.Host != "" || u.Path == "" {
			return nil, fmt.Errorf("%s: a file URL has three slashes: file:///path", target)
		}
		return NewFile(fs, path.Clean(u.Path)), nil
	case "s3":
		if u.Host == "" {
			return nil, fmt.Errorf("%s: the bucket is missing: s3://bucket/prefix", target)
		}
		return NewS3(u.Host, strings.Trim(u.Path, "/"), s3)
	}
	return nil, fmt.Errorf("%s: %q is not supported: write a path, file:///path or s3://bucket/prefix", target, u.Scheme+"://")
}

// ReadAll reads a whole object of at most limit bytes.
func ReadAll(ctx context.Context, s Store, name string, limit int64) ([]byte, error) {
	r, err := s.Get(ctx, name, 0, -1)
	if err != nil {
		return nil, err
	}
	defer r.Close() // only read
	raw, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if int64(len(raw)) > limit {
		return nil, fmt.Errorf("%s: more than the %d bytes that are expected", name, limit)
	}
	return raw, nil
}

// Within is a part of a store: the objects whose names begin with a folder.
func Within(s Store, dir string) Store { return within{s, dir} }

type within struct {
	store Store
	dir   string
}

func (w within) Put(ctx context.Context, name string, r io.Reader, size int64, ifAbsent bool) error {
	return w.store.Put(ctx, path.Join(w.dir, name), r, size, ifAbsent)
}

func (w within) Get(ctx context.Context, name string, off, size int64) (io.ReadCloser, error) {
	return w.store.Get(ctx, path.Join(w.dir, name), off, size)
}

func (w within) List(ctx context.Context, dir string) ([]string, error) {
	return w.store.List(ctx, path.Join(w.dir, dir))
}

func (w within) Delete(ctx context.Context, name string) error {
	return w.store.Delete(ctx, path.Join(w.dir, name))
}

func (w within) Stat(ctx context.Context, name string) (int64, error) {
	return w.store.Stat(ctx, path.Join(w.dir, name))
}

func (w within) String() string { return w.store.String() + "/" + w.dir }
