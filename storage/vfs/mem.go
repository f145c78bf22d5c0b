package vfs

import (
	"fmt"
	"io"
	iofs "io/fs"
	"math/rand/v2"
	"path"
	"slices"
	"sync"
)

// Mem is a file system in memory that knows what would survive a crash.
type Mem struct {
	// Hook, if set, is called before every change, with the operation (create, write,
	// sync, rename, remove, mkdir, syncdir) and the name. An error fails the operation
	// without effect.
	Hook func(op, name string) error

	mu      sync.Mutex
	files   map[string]*memInode // as seen
	durable map[string]*memInode // as after a crash, apart from pending
	pending []memChange          // changes of names not synced yet, oldest first
	dirs    map[string]bool      // directories are durable at once
	locks   map[string]bool
}

type memInode struct {
	data   []byte
	synced []byte // after a crash
}

// memChange gives a name an inode, or takes the name away; a rename is one change of two
// names.
type memChange struct {
	dir     string
	name    string
	inode   *memInode // nil: removed
	removed string    // the other name of a rename
}

// NewMem is an empty file system.
func NewMem() *Mem {
	return &Mem{
		files: map[string]*memInode{}, durable: map[string]*memInode{},
		dirs: map[string]bool{".": true, "/": true}, locks: map[string]bool{},
	}
}

// Crash gives the file system as a machine would find it after losing power now: what
// was synced, and of what was not a part that rng chooses. With a nil rng, nothing of it.
func (m *Mem) Crash(rng *rand.Rand) *Mem {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := NewMem()
	for d := range m.dirs {
		out.dirs[d] = true
	}
	names := make(map[string]*memInode, len(m.durable))
	for name, in := range m.durable {
		names[name] = in
	}
	kept := 0
	if rng != nil {
		kept = rng.IntN(len(m.pending) + 1)
	}
	for _, c := range m.pending[:kept] {
		c.apply(names)
	}
	sorted := make([]string, 0, len(names))
	for name := range names {
		sorted = append(sorted, name)
	}
	slices.Sort(sorted) // so that a seed gives one outcome
	for _, name := range sorted {
		in := names[name]
		data := slices.Clone(in.synced)
		if rng != nil && !slices.Equal(in.synced, in.data) {
			switch rng.IntN(3) {
			case 0: // all of it was written
				data = slices.Clone(in.data)
			case 1: // torn: a part of the new bytes
				data = slices.Clone(in.data[:rng.IntN(len(in.data)+1)])
				if len(data) < len(in.synced) && len(in.data) >= len(in.synced) {
					data = append(data, in.synced[len(data):]...)
				}
			}
		}
		n := &memInode{data: data, synced: slices.Clone(data)}
		out.files[name], out.durable[name] = n, n
	}
	return out
}

func (c memChange) apply(names map[string]*memInode) {
	if c.removed != "" {
		delete(names, c.removed)
	}
	if c.inode == nil {
		delete(names, c.name)
	} else {
		names[c.name] = c.inode
	}
}

func (m *Mem) hook(op, name string) error {
	if m.Hook == nil {
		return nil
	}
	if err := m.Hook(op, name); err != nil {
		return &iofs.PathError{Op: op, Path: name, Err: err}
	}
	return nil
}

// change makes a change of names seen; it is durable after a SyncDir.
func (m *Mem) change(c memChange) {
	c.dir = path.Dir(c.name)
	c.apply(m.files)
	m.pending = append(m.pending, c)
}

func (m *Mem) Create(name string) (File, error) {
	name = path.Clean(name)
	if err := m.hook("create", name); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.dirs[path.Dir(name)] {
		return nil, &iofs.PathError{Op: "create", Path: name, Err: iofs.ErrNotExist}
	}
	in := m.files[name]
	if in == nil {
		in = &memInode{}
		m.change(memChange{name: name, inode: in})
	}
	in.data = nil
	return &memFile{m: m, name: name, in: in, write: true}, nil
}

func (m *Mem) Open(name string) (File, error) {
	name = path.Clean(name)
	m.mu.Lock()
	defer m.mu.Unlock()
	in := m.files[name]
	if in == nil {
		return nil, &iofs.PathError{Op: "open", Path: name, Err: iofs.ErrNotExist}
	}
	return &memFile{m: m, name: name, in: in}, nil
}

func (m *Mem) ReuseForWrite(old, new string) (File, error) {
	if err := m.Rename(old, new); err != nil {
		return nil, err
	}
	f, err := m.Open(new)
	if err != nil {
		return nil, err
	}
	f.(*memFile).write = true
	return f, nil
}

func (m *Mem) Rename(old, new string) error {
	old, new = path.Clean(old), path.Clean(new)
	if err := m.hook("rename", new); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	in := m.files[old]
	if in == nil {
		return &iofs.PathError{Op: "rename", Path: old, Err: iofs.ErrNotExist}
	}
	m.change(memChange{name: new, inode: in, removed: old})
	return nil
}

func (m *Mem) Remove(name string) error {
	name = path.Clean(name)
	if err := m.hook("remove", name); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.files[name] == nil {
		return &iofs.PathError{Op: "remove", Path: name, Err: iofs.ErrNotExist}
	}
	m.change(memChange{name: name})
	return nil
}

func (m *Mem) MkdirAll(dir string) error {
	dir = path.Clean(dir)
	if err := m.hook("mkdir", dir); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for ; !m.dirs[dir]; dir = path.Dir(dir) {
		m.dirs[dir] = true
	}
	return nil
}

func (m *Mem) List(dir string) ([]string, error) {
	dir = path.Clean(dir)
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.dirs[dir] {
		return nil, &iofs.PathError{Op: "list", Path: dir, Err: iofs.ErrNotExist}
	}
	var names []string
	for name := range m.files {
		if path.Dir(name) == dir {
			names = append(names, path.Base(name))
		}
	}
	for name := range m.dirs {
		if name != dir && path.Dir(name) == dir {
			names = append(names, path.Base(name))
		}
	}
	slices.Sort(names)
	return names, nil
}

func (m *Mem) SyncDir(dir string) error {
	dir = path.Clean(dir)
	if err := m.hook("syncdir", dir); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	rest := m.pending[:0]
	for _, c := range m.pending {
		if c.dir == dir {
			c.apply(m.durable)
		} else {
			rest = append(rest, c)
		}
	}
	m.pending = rest
	return nil
}

// Free claims a terabyte.
func (m *Mem) Free(string) (uint64, error) { return 1 << 40, nil }

func (m *Mem) Lock(name string) (io.Closer, error) {
	name = path.Clean(name)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.locks[name] {
		return nil, fmt.Errorf("%s: held by another process", name)
	}
	m.locks[name] = true
	return &memLock{m, name}, nil
}

type memLock struct {
	m    *Mem
	name string
}

func (l *memLock) Close() error {
	l.m.mu.Lock()
	defer l.m.mu.Unlock()
	delete(l.m.locks, l.name)
	return nil
}

type memFile struct {
	m     *Mem
	name  string
	in    *memInode
	write bool
}

func (f *memFile) ReadAt(p []byte, off int64) (int, error) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if off < 0 || off > int64(len(f.in.data)) {
		return 0, io.EOF
	}
	n := copy(p, f.in.data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *memFile) WriteAt(p []byte, off int64) (int, error) {
	if !f.write || off < 0 {
		return 0, &iofs.PathError{Op: "write", Path: f.name, Err: iofs.ErrPermission}
	}
	if err := f.m.hook("write", f.name); err != nil {
		return 0, err
	}
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	in := f.in
	end := off + int64(len(p))
	// Appending leaves mapped bytes alone; writing over them makes a copy.
	if off < int64(len(in.data)) {
		in.data = slices.Clone(in.data)
	}
	for int64(len(in.data)) < end {
		in.data = append(in.data, make([]byte, end-int64(len(in.data)))...)
	}
	copy(in.data[off:], p)
	return len(p), nil
}

func (f *memFile) WriteVecAt(bufs [][]byte, off int64) error { return writeEach(f, bufs, off) }

func (f *memFile) Preallocate(int64) error { return nil }

func (f *memFile) SyncData() error {
	if err := f.m.hook("sync", f.name); err != nil {
		return err
	}
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	f.in.synced = slices.Clone(f.in.data)
	return nil
}

func (f *memFile) Sync() error { return f.SyncData() }

func (f *memFile) Size() (int64, error) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	return int64(len(f.in.data)), nil
}

func (f *memFile) Map() ([]byte, error) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	return f.in.data[:len(f.in.data):len(f.in.data)], nil
}

func (f *memFile) Close() error { return nil }
