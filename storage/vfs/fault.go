package vfs

import (
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"time"
)

// Fault is a file system that fails by rules. It counts operations, so that a test can run
// a workload once, and then again for every k with operation k failing. Equal operations in
// equal order fare equally with equal seeds. It may be used by many goroutines at once.
//
// After a sync that failed, later syncs of the open file succeed and keep nothing, as a
// kernel does that has dropped the pages.
type Fault struct {
	// Trace, if set, gets a line for each operation: its name, its files, and the bytes
	// that it reads or writes.
	Trace io.Writer
	// Sleep, if set, is called for a stall instead of time.Sleep.
	Sleep func(time.Duration)

	fs    FS
	mu    sync.Mutex
	rng   *rand.Rand
	rules []*armedRule
	count int
}

// armedRule is a rule and what happened since it was armed.
type armedRule struct {
	Rule
	seen    int
	written int64
}

// NewFault wraps a file system. The seed decides what rules leave to chance.
func NewFault(fs FS, seed uint64) *Fault {
	return &Fault{fs: fs, rng: rand.New(rand.NewPCG(seed, 0))}
}

// Arm adds rules. What they count begins now.
func (f *Fault) Arm(rules ...Rule) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range rules {
		f.rules = append(f.rules, &armedRule{Rule: r})
	}
}

// FailNth makes operation k from now on fail, whatever it is; 1 is the next one.
func (f *Fault) FailNth(k int, err error) {
	f.Arm(Rule{kind: "fail", ops: operations, nth: k, err: err})
}

// Disarm removes all rules.
func (f *Fault) Disarm() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rules = nil
}

// Count is how many operations there were.
func (f *Fault) Count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.count
}

// verdict is what the rules make of one operation.
type verdict struct {
	err  error
	part int    // of a write that fails: the bytes that are written
	flip uint64 // the bit that is wrong, modulo those there are
	bad  bool   // a bit is wrong
	lie  bool   // nothing is made durable
}

// begin counts an operation with so many bytes, and waits if it stalls.
func (f *Fault) begin(op string, bytes int, names ...string) verdict {
	v, wait := f.judge(op, bytes, names)
	if wait > 0 && f.Sleep != nil {
		f.Sleep(wait)
	} else if wait > 0 {
		time.Sleep(wait)
	}
	v.err = pathError(op, names[len(names)-1], v.err)
	return v
}

func (f *Fault) judge(op string, bytes int, names []string) (v verdict, wait time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.count++
	if f.Trace != nil {
		fmt.Fprintf(f.Trace, "%s %s %d\n", op, strings.Join(names, " "), bytes)
	}
	part := bytes
	for _, r := range f.rules {
		if !r.matches(op, names) {
			continue
		}
		r.seen++
		if r.seen < r.from || r.to > 0 && r.seen > r.to || r.nth > 0 && r.seen != r.nth || r.p > 0 && f.rng.Float64() >= r.p {
			continue
		}
		switch r.kind {
		case "fail":
			part, v.err = 0, r.err
		case "short":
			part, v.err = min(part, f.rng.IntN(max(1, bytes))), r.err
		case "full":
			if left := r.bytes - r.written; left < int64(part) || left == 0 {
				part, v.err = int(left), r.err
			}
		case "stall":
			wait += r.wait
		case "flip":
			v.bad, v.flip = true, f.rng.Uint64()
		case "lie":
			v.lie = true
		}
	}
	for _, r := range f.rules {
		if r.kind == "full" && op == "write" {
			r.written += int64(part)
		}
	}
	v.part = part
	return v, wait
}

func (f *Fault) Create(name string) (File, error) {
	return f.open(f.begin("create", 0, name), name, func() (File, error) { return f.fs.Create(name) })
}

func (f *Fault) Open(name string) (File, error) {
	return f.open(f.begin("open", 0, name), name, func() (File, error) { return f.fs.Open(name) })
}

func (f *Fault) ReuseForWrite(old, new string) (File, error) {
	return f.open(f.begin("reuse", 0, old, new), new, func() (File, error) { return f.fs.ReuseForWrite(old, new) })
}

func (f *Fault) open(v verdict, name string, open func() (File, error)) (File, error) {
	if v.err != nil {
		return nil, v.err
	}
	file, err := open()
	if err != nil {
		return nil, err
	}
	return &faultFile{File: file, fault: f, name: name}, nil
}

func (f *Fault) Rename(old, new string) error {
	if v := f.begin("rename", 0, old, new); v.err != nil {
		return v.err
	}
	return f.fs.Rename(old, new)
}

func (f *Fault) Remove(name string) error {
	if v := f.begin("remove", 0, name); v.err != nil {
		return v.err
	}
	return f.fs.Remove(name)
}

func (f *Fault) MkdirAll(dir string) error {
	if v := f.begin("mkdir", 0, dir); v.err != nil {
		return v.err
	}
	return f.fs.MkdirAll(dir)
}

func (f *Fault) List(dir string) ([]string, error) {
	if v := f.begin("list", 0, dir); v.err != nil {
		return nil, v.err
	}
	return f.fs.List(dir)
}

func (f *Fault) SyncDir(dir string) error {
	if v := f.begin("syncdir", 0, dir); v.err != nil || v.lie {
		return v.err
	}
	return f.fs.SyncDir(dir)
}

func (f *Fault) Free(dir string) (uint64, error) {
	if v := f.begin("free", 0, dir); v.err != nil {
		return 0, v.err
	}
	return f.fs.Free(dir)
}

func (f *Fault) Lock(name string) (io.Closer, error) {
	if v := f.begin("lock", 0, name); v.err != nil {
		return nil, v.err
	}
	return f.fs.Lock(name)
}

// faultFile is a file of a Fault. Size and Close are not operations.
type faultFile struct {
	File
	fault *Fault
	name  string

	mu   sync.Mutex
	lost bool // a sync failed
}

func (f *faultFile) ReadAt(p []byte, off int64) (int, error) {
	v := f.fault.begin("read", len(p), f.name)
	if v.err != nil {
		return 0, v.err
	}
	n, err := f.File.ReadAt(p, off)
	if v.bad {
		flip(p[:n], v.flip)
	}
	return n, err
}

func flip(p []byte, random uint64) {
	if len(p) > 0 {
		bit := random % (uint64(len(p)) * 8)
		p[bit/8] ^= 1 << (bit % 8)
	}
}

func (f *faultFile) WriteAt(p []byte, off int64) (int, error) {
	v := f.fault.begin("write", len(p), f.name)
	if v.err == nil {
		return f.File.WriteAt(p, off)
	}
	if v.part == 0 {
		return 0, v.err
	}
	n, err := f.File.WriteAt(p[:v.part], off)
	if err != nil {
		return n, err
	}
	return n, v.err
}

func (f *faultFile) WriteVecAt(bufs [][]byte, off int64) error {
	total := 0
	for _, b := range bufs {
		total += len(b)
	}
	v := f.fault.begin("write", total, f.name)
	if v.err == nil {
		return f.File.WriteVecAt(bufs, off)
	}
	for left := v.part; left > 0; bufs = bufs[1:] {
		n, err := f.File.WriteAt(bufs[0][:min(left, len(bufs[0]))], off)
		if err != nil {
			return err
		}
		left, off = left-n, off+int64(n)
	}
	return v.err
}

func (f *faultFile) Preallocate(size int64) error {
	if v := f.fault.begin("preallocate", 0, f.name); v.err != nil {
		return v.err
	}
	return f.File.Preallocate(size)
}

func (f *faultFile) SyncData() error { return f.sync(f.File.SyncData) }
func (f *faultFile) Sync() error     { return f.sync(f.File.Sync) }

func (f *faultFile) sync(sync func() error) error {
	v := f.fault.begin("sync", 0, f.name)
	f.mu.Lock()
	f.lost = f.lost || v.err != nil
	lost := f.lost
	f.mu.Unlock()
	if v.err != nil || v.lie || lost {
		return v.err
	}
	return sync()
}

func (f *faultFile) Map() ([]byte, error) {
	v := f.fault.begin("map", 0, f.name)
	if v.err != nil {
		return nil, v.err
	}
	m, err := f.File.Map()
	if err == nil && v.bad {
		m = append([]byte(nil), m...)
		flip(m, v.flip)
	}
	return m, err
}
