package vfs

import (
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"sync"
)

// Overlay shows the files of another file system and leaves them as they are: what is
// written, renamed or removed is so for who uses the overlay, and lies in a scratch directory
// of the other one. Nothing of it is kept: an overlay begins with the files as they are, and
// the scratch directory is for its caller to remove.
//
// Locks and free space are those of the file system below.
type Overlay struct {
	below   FS
	scratch string

	mu sync.Mutex
	// files is where the files that are not as below are: a name below, or "" for one that
	// was removed.
	files map[string]string
	dirs  map[string]bool // made here, or known to be below
	next  int             // number of a scratch file
}

// NewOverlay begins an overlay. The scratch directory exists and is empty.
func NewOverlay(below FS, scratch string) *Overlay {
	return &Overlay{below: below, scratch: scratch, files: map[string]string{}, dirs: map[string]bool{}}
}

// place is where a file is below. The caller holds mu.
func (o *Overlay) place(op, name string) (string, error) {
	at, changed := o.files[name]
	if !changed {
		return name, nil
	}
	if at == "" {
		return "", pathError(op, name, fs.ErrNotExist)
	}
	return at, nil
}

// own is the place of a new scratch file. The caller holds mu.
func (o *Overlay) own() string {
	o.next++
	return path.Join(o.scratch, strconv.Itoa(o.next))
}

// owned says whether a place is a scratch file.
func (o *Overlay) owned(place string) bool { return path.Dir(place) == o.scratch }

// Create implements FS.
func (o *Overlay) Create(name string) (File, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := o.inside("create", name); err != nil {
		return nil, err
	}
	at := o.own()
	f, err := o.below.Create(at)
	if err != nil {
		return nil, err
	}
	o.let(name)
	o.files[name] = at
	return passing{f}, nil
}

// passing is a file that needs not be durable.
type passing struct{ File }

func (passing) SyncData() error { return nil }
func (passing) Sync() error     { return nil }

// inside fails if the directory of a name does not exist. The caller holds mu.
func (o *Overlay) inside(op, name string) error {
	dir := path.Dir(name)
	if o.dirs[dir] {
		return nil
	}
	if _, err := o.below.List(dir); err != nil {
		return pathError(op, name, fs.ErrNotExist)
	}
	o.dirs[dir] = true
	return nil
}

// let removes the scratch file of a name, if it has one. Who has it open keeps it. The caller
// holds mu.
func (o *Overlay) let(name string) {
	if at := o.files[name]; at != "" && o.owned(at) {
		o.below.Remove(at) //nolint:errcheck // it only takes room until the directory goes
	}
}

// Open implements FS.
func (o *Overlay) Open(name string) (File, error) {
	o.mu.Lock()
	at, err := o.place("open", name)
	o.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return o.below.Open(at)
}

// ReuseForWrite implements FS. A file from below is copied.
func (o *Overlay) ReuseForWrite(old, new string) (File, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	at, err := o.existing("open", old)
	if err == nil {
		err = o.inside("rename", new)
	}
	if err != nil {
		return nil, err
	}
	if !o.owned(at) {
		from := at
		at = o.own()
		if err := CopyFile(o.below, from, o.below, at); err != nil {
			return nil, err
		}
	}
	f, err := o.below.ReuseForWrite(at, at)
	if err != nil {
		return nil, err
	}
	if old != new {
		o.let(new)
		o.files[old] = ""
	}
	o.files[new] = at
	return passing{f}, nil
}

// Rename implements FS.
func (o *Overlay) Rename(old, new string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	at, err := o.existing("rename", old)
	if err == nil {
		err = o.inside("rename", new)
	}
	if err != nil {
		return err
	}
	if old != new {
		o.let(new)
		o.files[new], o.files[old] = at, ""
	}
	return nil
}

// existing is the place of a file that is there. The caller holds mu.
func (o *Overlay) existing(op, name string) (string, error) {
	at, err := o.place(op, name)
	if err != nil || o.owned(at) {
		return at, err
	}
	f, err := o.below.Open(at)
	if err != nil {
		return "", err
	}
	return at, f.Close()
}

// Remove implements FS.
func (o *Overlay) Remove(name string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, err := o.existing("remove", name); err != nil {
		return err
	}
	o.let(name)
	o.files[name] = ""
	return nil
}

// MkdirAll implements FS.
func (o *Overlay) MkdirAll(dir string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	for dir = path.Clean(dir); !o.dirs[dir]; dir = path.Dir(dir) {
		o.dirs[dir] = true
	}
	return nil
}

// List implements FS.
func (o *Overlay) List(dir string) ([]string, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	dir = path.Clean(dir)
	below, err := o.below.List(dir)
	if err != nil && !o.dirs[dir] {
		return nil, err
	}
	var names []string
	for _, name := range below {
		full := path.Join(dir, name)
		if _, changed := o.files[full]; !changed && full != o.scratch {
			names = append(names, name)
		}
	}
	for full, at := range o.files {
		if path.Dir(full) == dir && at != "" {
			names = append(names, path.Base(full))
		}
	}
	for made := range o.dirs {
		if path.Dir(made) == dir && made != dir {
			names = append(names, path.Base(made))
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// SyncDir implements FS. Names are in memory only.
func (o *Overlay) SyncDir(string) error { return nil }

// Free implements FS.
func (o *Overlay) Free(string) (uint64, error) { return o.below.Free(o.scratch) }

// Lock implements FS.
func (o *Overlay) Lock(name string) (io.Closer, error) { return o.below.Lock(name) }

// CopyFile copies a file to another file system, or within one. Its bytes are durable when it
// returns, its name is not.
func CopyFile(from FS, name string, to FS, as string) error {
	in, err := from.Open(name)
	if err != nil {
		return err
	}
	defer in.Close() // only read
	size, err := in.Size()
	if err != nil {
		return err
	}
	out, err := to.Create(as)
	if err != nil {
		return err
	}
	buf := make([]byte, min(size, 1<<20))
	for at := int64(0); at < size && err == nil; at += int64(len(buf)) {
		buf = buf[:min(int64(len(buf)), size-at)]
		n := 0
		if n, err = in.ReadAt(buf, at); n == len(buf) {
			_, err = out.WriteAt(buf, at)
		} else if err == nil {
			err = fmt.Errorf("%s: %d bytes at %d, want %d", name, n, at, len(buf))
		}
	}
	if err == nil {
		err = out.SyncData()
	}
	if closing := out.Close(); err == nil {
		err = closing
	}
	return err
}
