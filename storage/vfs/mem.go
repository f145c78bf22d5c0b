package vfs

import (
	"fmt"
	"io"
	iofs "io/fs"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"sync"
	"syscall"
)

// Mem is a file system in memory that knows what a disk may hold after a crash. It may be
// used by many goroutines at once.
type Mem struct {
	// Hook, if set, is called before every change, with the operation (create, write,
	// sync, rename, remove, mkdir, syncdir) and the name. An error fails the operation
	// without effect.
	Hook func(op, name string) error
	// Capacity is how many bytes files may take, counted in chunks of 4 KiB; 0 is no
	// limit. What does not fit fails with ENOSPC. It is set before the first use.
	Capacity int64

	mu      sync.Mutex
	files   map[string]*memInode // as seen
	durable map[string]*memInode // as after a crash, apart from pending
	pending []memChange          // changes of names not synced yet, oldest first
	dirs    map[string]bool      // durable at once
	locks   map[string]bool
	used    int64        // bytes that files take
	remains [][]memChunk // what the blocks of files that are gone still hold, newest last
}

// The blocks of so many files that are gone, and so much of each, can come back as the
// content of space that another file has reserved.
const (
	maxRemains      = 8
	maxRemainChunks = 64
)

// memInode is a file, whatever its name.
type memInode struct {
	memData
	before  *memData // what the file was before Create emptied it, until the next sync
	named   bool     // it has a name in Mem.files
	handles int
	mapped  []byte // the whole content, until it changes
}

// memChange gives a name an inode, or takes the name away; a rename is one change of two
// names.
type memChange struct {
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

// Crash gives the file system as a machine might find it after losing power now; m goes
// on as if nothing happened. What was synced is there. Of the rest rng chooses what is:
//
//   - In a sector of 512 bytes, the bytes written since the last sync are new, old, zero
//     or garbage, each sector by itself. The bytes beside them are intact. Garbage in space
//     that was preallocated may be what a removed file held there.
//   - A file that grew has the old size, the new one or one between.
//   - A file that Create emptied may be as before.
//   - A change of names has happened or not, if those before it that share a name have.
//
// With a nil rng, nothing that was not synced survives. Equal histories and equal rngs give
// equal outcomes.
func (m *Mem) Crash(rng *rand.Rand) *Mem {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := NewMem()
	out.Capacity, out.remains = m.Capacity, slices.Clone(m.remains)
	maps.Copy(out.dirs, m.dirs)
	names := m.durable
	if rng != nil && len(m.pending) > 0 {
		names = maps.Clone(names)
		missing := map[string]bool{} // names with a change that has not happened
		mood := rng.IntN(3)          // all of them, none, or each by chance
		for _, c := range m.pending {
			if missing[c.name] || missing[c.removed] || mood == 1 || mood == 2 && rng.IntN(2) == 0 {
				missing[c.name] = true
				if c.removed != "" {
					missing[c.removed] = true
				}
				continue
			}
			c.apply(names)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) { // so that a seed gives one outcome
		in := names[name]
		d := &in.memData
		if in.before != nil && (rng == nil || rng.IntN(2) == 0) {
			d = in.before
		}
		var stale []memChunk
		if rng != nil && len(m.remains) > 0 {
			stale = m.remains[rng.IntN(len(m.remains))]
		}
		n := &memInode{memData: d.crash(rng, stale), named: true}
		out.used += n.blocks * chunkBytes
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
	return pathError(op, name, m.Hook(op, name))
}

// pathError names the operation and the file of an error, if there is one.
func pathError(op, name string, err error) error {
	if err == nil {
		return nil
	}
	return &iofs.PathError{Op: op, Path: name, Err: err}
}

// change makes a change of names seen; it is durable after a SyncDir.
func (m *Mem) change(c memChange) {
	gone := m.files[c.name]
	c.apply(m.files)
	m.pending = append(m.pending, c)
	if c.inode != nil {
		c.inode.named = true
	}
	if gone != nil && gone != c.inode {
		gone.named = false
		m.leave(gone.chunks)
		m.release(gone)
	}
}

// leave keeps what is in blocks that a file no longer needs.
func (m *Mem) leave(chunks []memChunk) {
	if len(chunks) == 0 {
		return
	}
	m.remains = append(m.remains, share(chunks[:min(len(chunks), maxRemainChunks)]))
	if len(m.remains) > maxRemains {
		m.remains = slices.Delete(m.remains, 0, 1)
	}
}

// release gives back the room of a file that has neither names nor handles.
func (m *Mem) release(in *memInode) {
	if !in.named && in.handles == 0 {
		m.used -= in.blocks * chunkBytes
	}
}

// room is how many more bytes files may take.
func (m *Mem) room() int64 {
	if m.Capacity == 0 {
		return 1 << 40
	}
	return max(0, m.Capacity-m.used)
}

// place says whether a new name can have a file.
func (m *Mem) place(name string) error {
	switch {
	case m.dirs[name]:
		return syscall.EISDIR
	case !m.dirs[path.Dir(name)]:
		return iofs.ErrNotExist
	}
	return nil
}

func (m *Mem) Create(name string) (File, error) {
	name = path.Clean(name)
	if err := m.hook("create", name); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.place(name); err != nil {
		return nil, pathError("create", name, err)
	}
	in := m.files[name]
	switch {
	case in == nil && m.room() == 0:
		return nil, pathError("create", name, syscall.ENOSPC)
	case in == nil:
		in = &memInode{}
		m.change(memChange{name: name, inode: in})
	default:
		m.leave(in.chunks)
		m.used -= in.blocks * chunkBytes
		if in.before == nil && in.size > 0 {
			was := in.memData
			in.before = &was
		}
		in.memData, in.mapped = memData{}, nil
	}
	return m.handle(name, in, true), nil
}

func (m *Mem) handle(name string, in *memInode, write bool) *memFile {
	in.handles++
	return &memFile{m: m, name: name, in: in, write: write}
}

func (m *Mem) Open(name string) (File, error) { return m.open(path.Clean(name), false) }

func (m *Mem) open(name string, write bool) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	in := m.files[name]
	if in == nil {
		return nil, pathError("open", name, iofs.ErrNotExist)
	}
	return m.handle(name, in, write), nil
}

func (m *Mem) ReuseForWrite(old, new string) (File, error) {
	if err := m.Rename(old, new); err != nil {
		return nil, err
	}
	return m.open(path.Clean(new), true)
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
		return pathError("rename", old, iofs.ErrNotExist)
	}
	if err := m.place(new); err != nil {
		return pathError("rename", new, err)
	}
	if old != new {
		m.change(memChange{name: new, inode: in, removed: old})
	}
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
		return pathError("remove", name, iofs.ErrNotExist)
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
	var missing []string
	for ; !m.dirs[dir]; dir = path.Dir(dir) {
		if m.files[dir] != nil {
			return pathError("mkdir", dir, syscall.ENOTDIR)
		}
		missing = append(missing, dir)
	}
	for _, d := range missing {
		m.dirs[d] = true
	}
	return nil
}

func (m *Mem) List(dir string) ([]string, error) {
	dir = path.Clean(dir)
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.dirs[dir] {
		return nil, pathError("list", dir, m.noDir(dir))
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

// noDir says why there is no directory of a name.
func (m *Mem) noDir(name string) error {
	if m.files[name] != nil {
		return syscall.ENOTDIR
	}
	return iofs.ErrNotExist
}

func (m *Mem) SyncDir(dir string) error {
	dir = path.Clean(dir)
	if err := m.hook("syncdir", dir); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.dirs[dir] {
		return pathError("syncdir", dir, m.noDir(dir))
	}
	// A change is made with all those before it that share a name, so that none is made
	// before one that it follows from. The new name of a rename says where it is made.
	var rest, synced []memChange
	names := map[string]bool{}
	for _, c := range slices.Backward(m.pending) {
		if path.Dir(c.name) != dir && !names[c.name] && !names[c.removed] {
			rest = append(rest, c)
			continue
		}
		names[c.name] = true
		if c.removed != "" {
			names[c.removed] = true
		}
		synced = append(synced, c)
	}
	for _, c := range slices.Backward(synced) {
		c.apply(m.durable)
	}
	slices.Reverse(rest)
	m.pending = rest
	return nil
}

// Free is what Capacity leaves, and a terabyte without one.
func (m *Mem) Free(dir string) (uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if dir = path.Clean(dir); !m.dirs[dir] && m.files[dir] == nil {
		return 0, pathError("free", dir, iofs.ErrNotExist)
	}
	return uint64(m.room()), nil
}

func (m *Mem) Lock(name string) (io.Closer, error) {
	name = path.Clean(name)
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.place(name); err != nil {
		return nil, pathError("lock", name, err)
	}
	if m.locks[name] {
		return nil, fmt.Errorf("%s: held by another process", name)
	}
	if m.files[name] == nil {
		m.change(memChange{name: name, inode: &memInode{}})
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
	m      *Mem
	name   string
	in     *memInode
	write  bool
	closed bool
	mapped []byte // given by Map
}

// lock is for one operation of a file. It fails once the file is closed.
func (f *memFile) lock(op string) error {
	f.m.mu.Lock()
	if f.closed {
		f.m.mu.Unlock()
		return pathError(op, f.name, iofs.ErrClosed)
	}
	return nil
}

func (f *memFile) ReadAt(p []byte, off int64) (int, error) {
	if err := f.lock("read"); err != nil {
		return 0, err
	}
	defer f.m.mu.Unlock()
	if off < 0 {
		return 0, pathError("read", f.name, syscall.EINVAL)
	}
	n := f.in.read(p, off)
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *memFile) WriteAt(p []byte, off int64) (int, error) {
	if err := f.m.hook("write", f.name); err != nil {
		return 0, err
	}
	if err := f.lock("write"); err != nil {
		return 0, err
	}
	defer f.m.mu.Unlock()
	return f.writeAt(p, off)
}

func (f *memFile) WriteVecAt(bufs [][]byte, off int64) error {
	if err := f.m.hook("write", f.name); err != nil {
		return err
	}
	if err := f.lock("write"); err != nil {
		return err
	}
	defer f.m.mu.Unlock()
	for _, b := range bufs {
		if _, err := f.writeAt(b, off); err != nil {
			return err
		}
		off += int64(len(b))
	}
	return nil
}

func (f *memFile) writeAt(p []byte, off int64) (int, error) {
	switch {
	case !f.write:
		return 0, pathError("write", f.name, syscall.EBADF)
	case off < 0:
		return 0, pathError("write", f.name, syscall.EINVAL)
	case off > maxMemFile-int64(len(p)):
		return 0, pathError("write", f.name, syscall.EFBIG)
	}
	n, taken := f.in.fits(len(p), off, f.m.room()/chunkBytes)
	f.in.blocks += taken
	f.m.used += taken * chunkBytes
	if n > 0 {
		f.in.write(p[:n], off)
		f.in.mapped = nil
	}
	if n < len(p) {
		return n, pathError("write", f.name, syscall.ENOSPC)
	}
	return n, nil
}

func (f *memFile) Preallocate(size int64) error {
	if err := f.lock("preallocate"); err != nil {
		return err
	}
	defer f.m.mu.Unlock()
	switch {
	case !f.write:
		return pathError("preallocate", f.name, syscall.EBADF)
	case size <= 0:
		return pathError("preallocate", f.name, syscall.EINVAL)
	case size > maxMemFile:
		return pathError("preallocate", f.name, syscall.EFBIG)
	}
	n, taken := f.in.fits(int(size), 0, f.m.room()/chunkBytes)
	if int64(n) < size {
		return pathError("preallocate", f.name, syscall.ENOSPC)
	}
	f.in.reserved = max(f.in.reserved, (size+chunkBytes-1)/chunkBytes*chunkBytes)
	f.in.blocks += taken
	f.m.used += taken * chunkBytes
	return nil
}

func (f *memFile) SyncData() error {
	if err := f.m.hook("sync", f.name); err != nil {
		return err
	}
	if err := f.lock("sync"); err != nil {
		return err
	}
	defer f.m.mu.Unlock()
	f.in.sync()
	f.in.before = nil
	return nil
}

func (f *memFile) Sync() error { return f.SyncData() }

func (f *memFile) Size() (int64, error) {
	if err := f.lock("size"); err != nil {
		return 0, err
	}
	defer f.m.mu.Unlock()
	return f.in.size, nil
}

func (f *memFile) Map() ([]byte, error) {
	if err := f.lock("map"); err != nil {
		return nil, err
	}
	defer f.m.mu.Unlock()
	if f.mapped == nil && f.in.size > 0 {
		if f.in.mapped == nil {
			f.in.mapped = f.in.whole()
		}
		f.mapped = f.in.mapped
	}
	return f.mapped, nil
}

func (f *memFile) Close() error {
	if err := f.lock("close"); err != nil {
		return err
	}
	defer f.m.mu.Unlock()
	f.closed = true
	f.in.handles--
	f.m.release(f.in)
	return nil
}
