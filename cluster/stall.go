package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prickledb/prickle/storage/vfs"
)

const (
	// stallAfter is when a call to the disk counts as a stall, stallExit when the process
	// gives up: a disk that does not answer for so long will not, and somebody else may
	// restart the process elsewhere.
	stallAfter = 5 * time.Second
	stallExit  = 30 * time.Second
)

// diskCalls are the writes and syncs that are under way. The zero value is usable; a nil
// one watches nothing.
type diskCalls struct {
	logger *slog.Logger
	exit   func(error)

	mu      sync.Mutex
	running map[*diskCall]struct{}
	stalls  int64
}

type diskCall struct {
	what string
	// age is time that this process has watched the call. A process that is paused, or a
	// machine that sleeps, makes no stall.
	age  time.Duration
	told bool
}

// begin notes a call. The caller calls what it returns when the call is over.
func (c *diskCalls) begin(what string) (end func()) {
	if c == nil {
		return func() {}
	}
	call := &diskCall{what: what}
	c.mu.Lock()
	if c.running == nil {
		c.running = map[*diskCall]struct{}{}
	}
	c.running[call] = struct{}{}
	c.mu.Unlock()
	return func() {
		c.mu.Lock()
		delete(c.running, call)
		c.mu.Unlock()
	}
}

// check counts the time since the last check, which is at most two intervals of it.
func (c *diskCalls) check(elapsed time.Duration) {
	elapsed = min(elapsed, 2*diskInterval)
	var dead *diskCall
	var slow []string
	c.mu.Lock()
	for call := range c.running {
		call.age += elapsed
		if call.age > stallAfter && !call.told {
			call.told = true
			c.stalls++
			slow = append(slow, call.what)
		}
		if call.age > stallExit {
			dead = call
		}
	}
	c.mu.Unlock()
	for _, what := range slow {
		c.logger.Error("disk stalled", "call", what, "longer_than", stallAfter)
	}
	if dead != nil {
		c.exit(fmt.Errorf("disk stalled: %s has not ended for %v", dead.what, stallExit))
	}
}

func (c *diskCalls) count() int64 {
	if c == nil {
		return 0
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stalls
}

// watch checks every second until ctx ends. It never touches the disk.
func (c *diskCalls) watch(ctx context.Context) {
	tick := time.NewTicker(diskInterval)
	defer tick.Stop()
	last := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := time.Now()
		c.check(now.Sub(last))
		last = now
	}
}

// timedFS is a file system whose writes and syncs are watched.
type timedFS struct {
	vfs.FS
	calls *diskCalls
}

func (t timedFS) timed(name string, f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return timedFile{f, name, t.calls}, nil
}

func (t timedFS) Create(name string) (vfs.File, error) {
	f, err := t.FS.Create(name)
	return t.timed(name, f, err)
}

func (t timedFS) Open(name string) (vfs.File, error) {
	f, err := t.FS.Open(name)
	return t.timed(name, f, err)
}

func (t timedFS) ReuseForWrite(old, new string) (vfs.File, error) {
	f, err := t.FS.ReuseForWrite(old, new)
	return t.timed(new, f, err)
}

func (t timedFS) SyncDir(dir string) error {
	defer t.calls.begin("sync of " + dir)()
	return t.FS.SyncDir(dir)
}

func (t timedFS) Total(dir string) (uint64, error) { return vfs.Total(t.FS, dir) }

type timedFile struct {
	vfs.File
	name  string
	calls *diskCalls
}

func (f timedFile) WriteAt(p []byte, off int64) (int, error) {
	defer f.calls.begin("write of " + f.name)()
	return f.File.WriteAt(p, off)
}

func (f timedFile) WriteVecAt(bufs [][]byte, off int64) error {
	defer f.calls.begin("write of " + f.name)()
	return f.File.WriteVecAt(bufs, off)
}

func (f timedFile) SyncData() error {
	defer f.calls.begin("sync of " + f.name)()
	return f.File.SyncData()
}

func (f timedFile) Sync() error {
	defer f.calls.begin("sync of " + f.name)()
	return f.File.Sync()
}
