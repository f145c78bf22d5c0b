package cluster

import (
	"errors"
	"io/fs"
	"log/slog"
	"path"
	"sync"
	"testing"
	"time"

	"github.com/prickledb/prickle/storage"
	"github.com/prickledb/prickle/storage/person"
	"github.com/prickledb/prickle/storage/table"
	"github.com/prickledb/prickle/storage/vec"
	"github.com/prickledb/prickle/storage/vfs"
)

// sizedFS is a disk with as much free space as a test wants, less what is preallocated.
type sizedFS struct {
	vfs.FS
	mu          sync.Mutex
	free, total uint64
	hint        bool // preallocation reserves nothing
	reserved    map[string]uint64
}

func (s *sizedFS) set(free uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.free = free
}

func (s *sizedFS) Free(string) (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.free, nil
}

func (s *sizedFS) Total(string) (uint64, error) { return s.total, nil }

func (s *sizedFS) Create(name string) (vfs.File, error) {
	f, err := s.FS.Create(name)
	return sizedFile{f, s, name}, err
}

func (s *sizedFS) Remove(name string) error {
	s.mu.Lock()
	s.free += s.reserved[name]
	delete(s.reserved, name)
	s.mu.Unlock()
	return s.FS.Remove(name)
}

type sizedFile struct {
	vfs.File
	fs   *sizedFS
	name string
}

func (f sizedFile) Preallocate(size int64) error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if !f.fs.hint {
		f.fs.free -= uint64(size)
		f.fs.reserved[f.name] = uint64(size)
	}
	return nil
}

const gb = 1 << 30

func newSizedFS(free, total uint64) *sizedFS {
	return &sizedFS{FS: vfs.NewMem(), free: free, total: total, reserved: map[string]uint64{}}
}

func TestDiskLevels(t *testing.T) {
	for _, c := range []struct {
		total                uint64
		low, full, read, ret uint64 // MB
	}{
		{0, 512, 256, 64, 0},
		{1 * gb, 307, 163, 61, 20}, // small: at most twice the share
		{10 * gb, 1536, 819, 307, 204},
		{100 * gb, 15360, 4096, 1024, 1024},
		{4096 * gb, 32768, 4096, 1024, 1024},
	} {
		got := [4]uint64{diskLevels[DiskLow].bytes(c.total) >> 20, diskLevels[DiskFull].bytes(c.total) >> 20,
			diskLevels[DiskReadOnly].bytes(c.total) >> 20, diskBack(c.total) >> 20}
		want := [4]uint64{c.low, c.full, c.read, c.ret}
		for i := range got {
			if d := int64(got[i]) - int64(want[i]); d < -1 || d > 1 {
				t.Errorf("levels of %d GB = %v MB, want %v", c.total>>30, got, want)
				break
			}
		}
	}
}

// A state begins at its level, and ends 2 % above it.
func TestDiskStates(t *testing.T) {
	const total = 10 * gb // 15 % is 1536 MB, 8 % 819 MB, 3 % 307 MB, 2 % 204 MB
	state := DiskOK
	for _, step := range []struct {
		mb   uint64
		want DiskState
	}{
		{1600, DiskOK}, {1500, DiskLow}, {1600, DiskLow}, {1750, DiskOK},
		{800, DiskFull}, {1000, DiskFull}, {1100, DiskLow},
		{300, DiskReadOnly}, {500, DiskReadOnly}, {600, DiskFull}, {5000, DiskOK}, {0, DiskReadOnly},
	} {
		if state = nextDiskState(state, step.mb<<20, total); state != step.want {
			t.Fatalf("with %d MB free: %v, want %v", step.mb, state, step.want)
		}
	}
}

// Events are refused first, then everything; when there is room again, so it goes on.
func TestDiskFull(t *testing.T) {
	disk := newSizedFS(9*gb, 10*gb)
	n := openNode(t, Config{FS: disk, Dir: "data", WatchDisk: true, Ballast: -1})
	write := func() (events, small error) {
		n.disk.check()
		_, events = n.Ingest(t.Context(), 1, testBatch(1, 0, 10))
		name := "renamed"
		_, small = n.UpdateProject(t.Context(), projectUpdate(1, name))
		return events, small
	}
	for _, c := range []struct {
		mb            uint64
		events, small bool // are refused
		state         DiskState
	}{
		{9000, false, false, DiskOK}, {1200, false, false, DiskLow}, {700, true, false, DiskFull},
		{200, true, true, DiskReadOnly}, {900, true, false, DiskFull}, {9000, false, false, DiskOK},
	} {
		disk.set(c.mb << 20)
		events, small := write()
		if (events != nil) != c.events || events != nil && !errors.Is(events, ErrDiskFull) {
			t.Errorf("events with %d MB free: %v", c.mb, events)
		}
		if (small != nil) != c.small || small != nil && !errors.Is(small, ErrDiskFull) {
			t.Errorf("a small write with %d MB free: %v", c.mb, small)
		}
		if got := n.Disk(); got.State != c.state || got.Free != c.mb<<20 || got.Total != 10*gb {
			t.Errorf("Disk() with %d MB free = %+v, want %v", c.mb, got, c.state)
		}
	}
	disk.set(700 << 20)
	n.disk.check()
	if _, err := n.ImportPersons(t.Context(), 1, []person.Edit{{DistinctIDs: []string{"a"}}}); !errors.Is(err, ErrDiskFull) {
		t.Errorf("ImportPersons on a full disk = %v", err)
	}
}

// On a disk without room everything goes on that makes some.
func TestReadOnlyFrees(t *testing.T) {
	for k := range kinds {
		if _, ok := refusedFrom[k]; !ok {
			t.Errorf("nobody decided when entries of kind %v are refused", k)
		}
	}
	disk := newSizedFS(9*gb, 10*gb)
	n := openNode(t, Config{FS: disk, Dir: "data", WatchDisk: true, Ballast: -1, NoMerger: true})
	must := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	write := func(op table.Op) error {
		_, err := n.WriteTables(t.Context(), 1, &table.WriteSet{Ops: []table.Op{op}})
		return err
	}
	schema := &table.Schema{Name: "t", NextColumn: 2, Columns: []table.Column{{Name: "a", Type: vec.T(vec.Int8), ID: 1}}}
	must("CREATE TABLE", write(table.Op{Kind: table.OpCreate, Table: table.Fresh, Schema: schema}))
	made := n.Store().Tables(1).All()[0]
	for i := range 2 { // which merges would be made of
		ingest(t, n, 1, i*100, 100, Receipt{Stored: 100})
		must("Flush", n.Flush(t.Context()))
	}
	other, err := n.CreateProject(t.Context(), ProjectSpec{Name: "other"})
	must("CreateProject", err)

	disk.set(100 << 20)
	n.disk.check()
	refused := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, ErrDiskFull) {
			t.Errorf("%s on a disk without room: %v", what, err)
		}
	}
	_, err = n.CreateProject(t.Context(), ProjectSpec{Name: "third"})
	refused("CreateProject", err)
	refused("CREATE TABLE", write(table.Op{Kind: table.OpCreate, Table: table.Fresh, Schema: schema}))
	_, err = n.UpdatePersons(t.Context(), 1, nil)
	refused("UpdatePersons", err)
	refused("MergeAll", n.MergeAll(t.Context())) // nothing is dead

	must("DROP TABLE", write(table.Op{Kind: table.OpDrop, Table: made.Schema.Table, Version: made.Schema.Version}))
	must("DeleteProject", n.DeleteProject(t.Context(), other.ID))
	_, err = n.UpdateProject(t.Context(), storage.ProjectUpdate{ID: 1, Retention: new(time.Hour.Microseconds())})
	must("UpdateProject of the retention", err)
	must("Expire", n.Expire(t.Context(), 1, time.Now()))
	must("MergeAll", n.MergeAll(t.Context()))
	must("Flush", n.Flush(t.Context()))
	if s := n.Store().Stats(); s.Segments != 0 {
		t.Errorf("%d segments are left, want none", s.Segments)
	}
}

func TestMergesFit(t *testing.T) {
	d := &disk{}
	for _, c := range []struct {
		state DiskState
		free  uint64
		size  int64
		freed int64
		want  bool
	}{
		{DiskOK, 10, 100, 0, true}, {DiskLow, 201, 100, 0, true}, {DiskLow, 200, 100, 0, false},
		{DiskFull, 201, 100, 0, true}, {DiskReadOnly, 1000, 100, 0, false},
		{DiskReadOnly, 201, 100, 1, true}, {DiskReadOnly, 200, 100, 1, false}, {DiskReadOnly, 0, 0, 100, true},
	} {
		d.stats = DiskStats{State: c.state, Free: c.free}
		if err := d.fits(c.size, c.freed); (err == nil) != c.want || err != nil && !errors.Is(err, ErrDiskFull) {
			t.Errorf("%v with %d free: a merge of %d: %v", c.state, c.free, c.size, err)
		}
	}
}

func exists(fsys vfs.FS, name string) bool {
	f, err := fsys.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false
	}
	return err == nil && f.Close() == nil
}

func TestBallast(t *testing.T) {
	disks := newSizedFS(50*gb, 100*gb)
	d := &disk{fs: disks, dir: "d", logger: slog.New(slog.DiscardHandler)}
	if err := disks.MkdirAll("d"); err != nil {
		t.Fatal(err)
	}
	name := path.Join("d", ballastName)
	step := func() {
		t.Helper()
		d.check()
		if err := d.keepBallast(); err != nil {
			t.Fatal(err)
		}
	}
	step()
	if s := d.state(); s.Ballast != 1*gb || !exists(disks, name) {
		t.Fatalf("ballast = %d, want 1 %% of the disk", s.Ballast)
	}
	step() // it is there already
	if disks.free != 49*gb {
		t.Errorf("%d GB free with the ballast, want 49", disks.free>>30)
	}
	// Below 3 %, or 1 GB on this disk, it makes room by itself.
	disks.set(500 << 20)
	step()
	if s := d.state(); s.Ballast != 0 || s.State != DiskReadOnly || exists(disks, name) {
		t.Errorf("on a full disk: %+v, ballast file there: %v", s, exists(disks, name))
	}
	disks.set(16 * gb) // not low, but low with a ballast
	step()
	if exists(disks, name) {
		t.Error("the ballast was made on a disk without room for it")
	}
	disks.set(50 * gb)
	step()
	if freed, err := d.freeBallast(); freed != 1*gb || err != nil {
		t.Errorf("freeBallast = %d, %v", freed, err)
	}
	if freed, err := d.freeBallast(); freed != 0 || err != nil {
		t.Errorf("freeBallast again = %d, %v", freed, err)
	}
	disks.hint = true
	step()
	if s := d.state(); s.Ballast != 0 || exists(disks, name) {
		t.Errorf("a ballast that takes no room is kept: %+v", s)
	}
}

func TestDiskStall(t *testing.T) {
	var exit error
	c := &diskCalls{logger: slog.New(slog.DiscardHandler), exit: func(err error) { exit = err }}
	c.begin("quick")()
	end := c.begin("slow")
	for range 5 {
		c.check(time.Second)
	}
	if c.count() != 0 {
		t.Error("a call of 5 s is a stall")
	}
	c.check(time.Hour) // the process was paused: two seconds
	if c.count() != 1 || exit != nil {
		t.Errorf("after 7 s: %d stalls, exit %v", c.count(), exit)
	}
	for range 22 {
		c.check(time.Second)
	}
	if c.count() != 1 || exit != nil {
		t.Errorf("after 29 s: %d stalls, exit %v", c.count(), exit)
	}
	end()
	c.check(time.Hour)
	if exit != nil {
		t.Errorf("exit after the call ended: %v", exit)
	}
	c.begin("dead")
	for range 31 {
		c.check(time.Second)
	}
	if c.count() != 2 || exit == nil {
		t.Errorf("after 31 s: %d stalls, exit %v", c.count(), exit)
	}
}

// A write or sync anywhere below the node's directory is watched.
func TestTimedFS(t *testing.T) {
	calls := &diskCalls{}
	seen := map[string]bool{}
	inner := &peekFS{vfs.NewMem(), func() {
		for c := range calls.running {
			seen[c.what] = true
		}
	}}
	fsys := timedFS{inner, calls}
	f, err := fsys.Create("a")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("x"), 0); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.SyncData(), f.Close()); err != nil {
		t.Fatal(err)
	}
	if !seen["write of a"] || !seen["sync of a"] || len(calls.running) != 0 {
		t.Errorf("calls seen = %v, %d left", seen, len(calls.running))
	}
}

type peekFS struct {
	vfs.FS
	peek func()
}

func (p *peekFS) Create(name string) (vfs.File, error) {
	f, err := p.FS.Create(name)
	return peekFile{f, p}, err
}

type peekFile struct {
	vfs.File
	fs *peekFS
}

func (f peekFile) WriteAt(p []byte, off int64) (int, error) {
	f.fs.peek()
	return f.File.WriteAt(p, off)
}

func (f peekFile) SyncData() error {
	f.fs.peek()
	return f.File.SyncData()
}
