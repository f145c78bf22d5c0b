package vfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"slices"
)

// Root is a directory of files that are not the database's. Nothing outside of it can be
// reached by any name, and no symbolic link is followed. It may be used by many goroutines.
type Root struct{ root *os.Root }

// OpenRoot opens a directory.
func OpenRoot(dir string) (*Root, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	r, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	return &Root{r}, nil
}

// Path is the absolute path of the directory.
func (r *Root) Path() string { return r.root.Name() }

// Close lets go of the directory.
func (r *Root) Close() error { return r.root.Close() }

// ErrSymlink is wrapped by the error for a name that goes through a symbolic link.
var ErrSymlink = errors.New("is a symbolic link, which is not followed")

// plain refuses names with a symbolic link in them. One that comes into being behind this
// check still cannot lead out of the directory.
func (r *Root) plain(name string) error {
	for i := 0; i <= len(name); i++ {
		if i < len(name) && name[i] != '/' {
			continue
		}
		info, err := r.root.Lstat(name[:i])
		if err != nil {
			return err
		}
		if info.Mode()&fs.ModeSymlink != 0 {
			return fmt.Errorf("%s: %w", name[:i], ErrSymlink)
		}
	}
	return nil
}

// RootFile is an open file of a Root.
type RootFile interface {
	io.ReaderAt
	io.Closer
}

// Open opens a file, which must be one, and gives its size.
func (r *Root) Open(name string) (RootFile, int64, error) {
	if err := r.plain(name); err != nil {
		return nil, 0, err
	}
	// A pipe without a writer would wait for one.
	info, err := r.root.Lstat(name)
	if err != nil {
		return nil, 0, err
	}
	if !info.Mode().IsRegular() {
		return nil, 0, fmt.Errorf("%s: is no file", name)
	}
	f, err := r.root.Open(name)
	if err != nil {
		return nil, 0, err
	}
	return f, info.Size(), nil
}

// List gives the names in a directory, ascending, those of directories with a slash behind.
// Symbolic links are left out.
func (r *Root) List(dir string) ([]string, error) {
	if dir == "" {
		dir = "."
	} else if err := r.plain(dir); err != nil {
		return nil, err
	}
	f, err := r.root.Open(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // only read
	entries, err := f.ReadDir(-1)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		switch {
		case e.Type()&fs.ModeSymlink != 0:
		case e.IsDir():
			names = append(names, e.Name()+"/")
		default:
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	return names, nil
}

// RootWriter is a file that is being written. It appears under its name with Commit, whole, or
// never.
type RootWriter struct {
	r         *Root
	f         *os.File
	tmp, name string
}

// Create begins to write a file. Its directory must be there.
func (r *Root) Create(name string) (*RootWriter, error) {
	if dir := path.Dir(name); dir != "." {
		if err := r.plain(dir); err != nil {
			return nil, err
		}
	}
	if info, err := r.root.Lstat(name); err == nil && !info.Mode().IsRegular() {
		if info.Mode()&fs.ModeSymlink != 0 {
			return nil, fmt.Errorf("%s: %w", name, ErrSymlink)
		}
		return nil, fmt.Errorf("%s: is no file", name)
	}
	tmp := fmt.Sprintf("%s.%08x.tmp", name, rand.Uint32())
	f, err := r.root.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, err
	}
	return &RootWriter{r, f, tmp, name}, nil
}

// Write implements io.Writer.
func (w *RootWriter) Write(p []byte) (int, error) { return w.f.Write(p) }

// Commit makes the file appear, in place of one of that name.
func (w *RootWriter) Commit() error {
	err := errors.Join(w.f.Sync(), w.f.Close())
	if err == nil {
		err = w.r.root.Rename(w.tmp, w.name)
	}
	if err != nil {
		_ = w.r.root.Remove(w.tmp) // err says what matters
	}
	return err
}

// Abort forgets what was written.
func (w *RootWriter) Abort() {
	_ = w.f.Close()            // nobody wants it
	_ = w.r.root.Remove(w.tmp) // as above
}
