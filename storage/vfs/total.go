package vfs

import (
	"os"

	"golang.org/x/sys/unix"
)

// Total is the size in bytes of the disk that holds dir, or 0 where that is not known: a
// file system says it with a method of this name.
func Total(fs FS, dir string) (uint64, error) {
	if t, ok := fs.(interface {
		Total(dir string) (uint64, error)
	}); ok {
		return t.Total(dir)
	}
	return 0, nil
}

// Total implements what the function Total asks for.
func (osFS) Total(dir string) (uint64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, &os.PathError{Op: "statfs", Path: dir, Err: err}
	}
	return st.Blocks * uint64(st.Bsize), nil
}
