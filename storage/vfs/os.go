package vfs

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// OS is the file system of the machine.
func OS() FS { return osFS{} }

type osFS struct{}

func (osFS) Create(name string) (File, error) {
	return openOS(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC)
}

func (osFS) Open(name string) (File, error) { return openOS(name, os.O_RDONLY) }

func (osFS) ReuseForWrite(old, new string) (File, error) {
	if err := os.Rename(old, new); err != nil {
		return nil, err
	}
	return openOS(new, os.O_RDWR)
}

func (osFS) Rename(old, new string) error { return os.Rename(old, new) }
func (osFS) Remove(name string) error     { return os.Remove(name) }

func (fs osFS) MkdirAll(dir string) error {
	dir = path.Clean(dir)
	if st, err := os.Stat(dir); err == nil {
		if !st.IsDir() {
			return pathError("mkdir", dir, unix.ENOTDIR)
		}
		return nil
	}
	if up := path.Dir(dir); up != dir {
		if err := fs.MkdirAll(up); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, 0o750); err != nil {
		if st, bad := os.Stat(dir); bad == nil && st.IsDir() { // another was faster
			return nil
		}
		return err
	}
	return fs.SyncDir(path.Dir(dir))
}

func (osFS) List(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	slices.Sort(names)
	return names, nil
}

func (osFS) SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	d.Close() // only synced
	return err
}

func (osFS) Free(dir string) (uint64, error) {
	var st unix.Statfs_t
	if err := again(func() error { return unix.Statfs(dir, &st) }); err != nil {
		return 0, pathError("statfs", dir, err)
	}
	return st.Bavail * uint64(st.Bsize), nil
}

func (osFS) Lock(name string) (io.Closer, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o640)
	if err != nil {
		return nil, err
	}
	if err := again(func() error { return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) }); err != nil {
		f.Close() // nothing was written
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("%s: held by %s", name, holder(name))
		}
		return nil, pathError("lock", name, err)
	}
	// For whoever comes second. The lock is held whatever becomes of the number.
	f.Truncate(0)
	fmt.Fprintf(f, "%d\n", os.Getpid())
	return f, nil // closing it gives the lock up
}

// holder says who wrote its process number into a lock file.
func holder(name string) string {
	raw, err := os.ReadFile(name)
	if pid, bad := strconv.Atoi(strings.TrimSpace(string(raw))); err == nil && bad == nil {
		return fmt.Sprintf("process %d", pid)
	}
	return "another process"
}

type osFile struct {
	*os.File
	mu     sync.Mutex
	mapped []byte
}

func openOS(name string, flags int) (File, error) {
	f, err := os.OpenFile(name, flags, 0o640)
	if err != nil {
		return nil, err
	}
	return &osFile{File: f}, nil
}

// again makes a system call anew for as long as signals interrupt it.
func again(call func() error) error {
	for {
		if err := call(); err != unix.EINTR {
			return err
		}
	}
}

// call makes a system call with the file's descriptor, which stays open meanwhile.
func (f *osFile) call(op string, call func(fd int) error) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return pathError(op, f.Name(), err)
	}
	var failed error
	if err := raw.Control(func(fd uintptr) { failed = again(func() error { return call(int(fd)) }) }); err != nil {
		return pathError(op, f.Name(), os.ErrClosed)
	}
	return pathError(op, f.Name(), failed)
}

// maxVectors is how many pieces the kernel takes in one call (IOV_MAX).
const maxVectors = 1024

func (f *osFile) WriteVecAt(bufs [][]byte, off int64) error {
	for len(bufs) > 0 {
		n := 0
		err := f.call("pwritev", func(fd int) (err error) {
			n, err = unix.Pwritev(fd, bufs[:min(len(bufs), maxVectors)], off)
			return err
		})
		if err != nil {
			return err
		}
		off += int64(n)
		for len(bufs) > 0 && n >= len(bufs[0]) {
			n -= len(bufs[0])
			bufs = bufs[1:]
		}
		if len(bufs) == 0 {
			break
		}
		// The kernel stopped early: too many pieces, a very long write, or a full disk.
		rest := bufs[0][n:]
		if _, err := f.WriteAt(rest, off); err != nil {
			return err
		}
		off += int64(len(rest))
		bufs = bufs[1:]
	}
	return nil
}

func (f *osFile) Preallocate(size int64) error {
	err := f.call("fallocate", func(fd int) error { return unix.Fallocate(fd, unix.FALLOC_FL_KEEP_SIZE, 0, size) })
	if errors.Is(err, unix.EOPNOTSUPP) { // a hint only
		return nil
	}
	return err
}

func (f *osFile) SyncData() error { return f.call("fdatasync", unix.Fdatasync) }
func (f *osFile) Sync() error     { return f.call("fsync", unix.Fsync) }

func (f *osFile) Size() (int64, error) {
	st, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return st.Size(), nil
}

func (f *osFile) Map() ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.mapped != nil {
		return f.mapped, nil
	}
	size, err := f.Size()
	if err != nil || size == 0 {
		return nil, err
	}
	var m []byte
	err = f.call("mmap", func(fd int) (err error) {
		m, err = unix.Mmap(fd, 0, int(size), unix.PROT_READ, unix.MAP_SHARED)
		return err
	})
	if err != nil {
		return nil, err
	}
	f.mapped = m
	return m, nil
}

func (f *osFile) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	var err error
	if f.mapped != nil {
		err = unix.Munmap(f.mapped)
		f.mapped = nil
	}
	return errors.Join(err, f.File.Close())
}
