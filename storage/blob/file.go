package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"math/rand/v2"
	"path"
	"strings"
	"sync"

	"github.com/prickledb/prickle/storage/vfs"
)

// File stores objects as files of a directory. An object is written under another name,
// synced and renamed, so several processes may write to one directory.
type File struct {
	fs  vfs.FS
	dir string

	mu   sync.Mutex
	made map[string]bool // folders that are durable
}

const (
	filePiece = 1 << 20 // bytes that are copied at once
	tmpSuffix = ".tmp"
)

// NewFile makes a store of a directory, which need not exist yet.
func NewFile(fs vfs.FS, dir string) *File {
	return &File{fs: fs, dir: dir, made: map[string]bool{}}
}

// String implements Store.
func (f *File) String() string {
	if path.IsAbs(f.dir) {
		return "file://" + f.dir
	}
	return f.dir
}

func (f *File) path(name string) string { return path.Join(f.dir, name) }

// Put implements Store.
func (f *File) Put(ctx context.Context, name string, r io.Reader, size int64, ifAbsent bool) error {
	full := f.path(name)
	if ifAbsent {
		if _, err := f.Stat(ctx, name); err == nil {
			return fmt.Errorf("%s: %w", full, ErrExists)
		} else if !errors.Is(err, ErrNotFound) {
			return err
		}
	}
	if err := f.folder(path.Dir(full)); err != nil {
		return err
	}
	tmp := fmt.Sprintf("%s.%08x%s", full, rand.Uint32(), tmpSuffix)
	err := f.write(ctx, tmp, r, size)
	if err == nil {
		err = f.fs.Rename(tmp, full)
	}
	if err != nil {
		f.fs.Remove(tmp) // it may not be there; err says what matters
		return fmt.Errorf("%s: %w", full, err)
	}
	return f.fs.SyncDir(path.Dir(full))
}

func (f *File) write(ctx context.Context, name string, r io.Reader, size int64) error {
	out, err := f.fs.Create(name)
	if err != nil {
		return err
	}
	buf := make([]byte, max(1, min(size, filePiece)))
	for off := int64(0); off < size && err == nil; {
		piece := buf[:min(int64(len(buf)), size-off)]
		if err = ctx.Err(); err == nil {
			_, err = io.ReadFull(r, piece)
		}
		if err == nil {
			_, err = out.WriteAt(piece, off)
		}
		off += int64(len(piece))
	}
	if err == nil {
		err = out.SyncData()
	}
	return errors.Join(err, out.Close())
}

// folder makes a folder, and its name durable.
func (f *File) folder(dir string) error {
	f.mu.Lock()
	done := f.made[dir]
	f.mu.Unlock()
	if done {
		return nil
	}
	_, err := f.fs.List(f.dir)
	fresh := err != nil
	if err := f.fs.MkdirAll(dir); err != nil {
		return err
	}
	for d := dir; d != f.dir || fresh; d = path.Dir(d) {
		if err := f.fs.SyncDir(path.Dir(d)); err != nil {
			return err
		}
		if d == f.dir {
			break
		}
	}
	f.mu.Lock()
	f.made[dir] = true
	f.mu.Unlock()
	return nil
}

// Get implements Store.
func (f *File) Get(_ context.Context, name string, off, size int64) (io.ReadCloser, error) {
	file, have, err := f.open(name)
	if err != nil {
		return nil, err
	}
	if size < 0 {
		size = max(0, have-off)
	}
	return struct {
		io.Reader
		io.Closer
	}{io.NewSectionReader(file, off, size), file}, nil
}

func (f *File) open(name string) (vfs.File, int64, error) {
	full := f.path(name)
	file, err := f.fs.Open(full)
	if errors.Is(err, iofs.ErrNotExist) {
		return nil, 0, fmt.Errorf("%s: %w", full, ErrNotFound)
	}
	if err != nil {
		return nil, 0, err
	}
	size, err := file.Size()
	if err != nil {
		file.Close() // only opened
		return nil, 0, err
	}
	return file, size, nil
}

// List implements Store.
func (f *File) List(_ context.Context, dir string) ([]string, error) {
	all, err := f.fs.List(f.path(dir))
	if errors.Is(err, iofs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	names := all[:0]
	for _, n := range all {
		if !strings.HasSuffix(n, tmpSuffix) {
			names = append(names, n)
		}
	}
	return names, nil
}

// Delete implements Store.
func (f *File) Delete(_ context.Context, name string) error {
	full := f.path(name)
	if err := f.fs.Remove(full); err != nil {
		if errors.Is(err, iofs.ErrNotExist) {
			return nil
		}
		return err
	}
	return f.fs.SyncDir(path.Dir(full))
}

// Stat implements Store.
func (f *File) Stat(_ context.Context, name string) (int64, error) {
	file, size, err := f.open(name)
	if err != nil {
		return 0, err
	}
	return size, file.Close()
}
