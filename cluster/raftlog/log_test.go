package raftlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	raftbench "github.com/hashicorp/raft/bench"

	"github.com/prickledb/prickle/storage/vfs"
)

// never is a clock of marks that does not tick.
func never(time.Duration) <-chan time.Time { return nil }

func small(fs vfs.FS) Options {
	return Options{
		FS: fs, Dir: "raft/log", FileBytes: 8 << 10, MinFiles: 1, CacheBytes: 2 << 10, GroupCommitBytes: 2 << 10,
		Clock: func() time.Time { return time.Unix(1e9, 0) }, after: never, manual: true,
	}
}

func open(t testing.TB, opts Options) *Log {
	t.Helper()
	l, err := Open(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func entry(index uint64, size int) *raft.Log {
	return &raft.Log{
		Index: index, Term: 1 + index/10, Type: raft.LogType(index % 2), Data: bytes.Repeat([]byte{byte(index)}, size),
		AppendedAt: time.Unix(int64(index), 5),
	}
}

func same(a, b *raft.Log) bool {
	return a.Index == b.Index && a.Term == b.Term && a.Type == b.Type && bytes.Equal(a.Data, b.Data) &&
		bytes.Equal(a.Extensions, b.Extensions) && a.AppendedAt.Equal(b.AppendedAt)
}

// What was stored is there after the log is opened again, in every group.
func TestReopen(t *testing.T) {
	fs := vfs.NewMem()
	l := open(t, small(fs))
	for id := range uint32(3) {
		g := l.Group(id)
		for i := uint64(1); i <= 50; i++ {
			e := entry(i, int(i)*7)
			e.Extensions = []byte("more")[:i%5]
			must(t, g.StoreLog(e))
		}
		must(t, g.SetUint64([]byte("CurrentTerm"), 7+uint64(id)))
		must(t, g.Set([]byte("LastVoteCand"), []byte("n1")))
		must(t, g.DeleteRange(1, 10+uint64(id)))
		must(t, g.DeleteRange(48, 50))
	}
	for round := range 2 {
		for id := range uint32(3) {
			g := l.Group(id)
			first, _ := g.FirstIndex()
			last, _ := g.LastIndex()
			if first != 11+uint64(id) || last != 47 {
				t.Fatalf("round %d: group %d has %d to %d, want %d to 47", round, id, first, last, 11+id)
			}
			for i := uint64(0); i <= 51; i++ {
				var got raft.Log
				err := g.GetLog(i, &got)
				if i < first || i > last {
					if err != raft.ErrLogNotFound {
						t.Errorf("GetLog(%d): %v, want %v", i, err, raft.ErrLogNotFound)
					}
					continue
				}
				want := entry(i, int(i)*7)
				want.Extensions = []byte("more")[:i%5]
				if err != nil || !same(&got, want) {
					t.Fatalf("GetLog(%d) = %+v, %v, want %+v", i, got, err, want)
				}
			}
			if term, err := g.GetUint64([]byte("CurrentTerm")); term != 7+uint64(id) || err != nil {
				t.Errorf("GetUint64 = %d, %v", term, err)
			}
			if vote, err := g.Get([]byte("LastVoteCand")); string(vote) != "n1" || err != nil {
				t.Errorf("Get = %q, %v", vote, err)
			}
			if none, err := g.Get([]byte("x")); len(none) > 0 || err != nil {
				t.Errorf("Get of a key that was never set = %q, %v", none, err)
			}
		}
		must(t, l.Close())
		if err := l.Group(0).StoreLog(entry(48, 1)); err != ErrClosed {
			t.Errorf("StoreLog after Close: %v, want %v", err, ErrClosed)
		}
		l = open(t, small(fs))
	}
	if err := l.Scrub(t.Context()); err != nil {
		t.Error(err)
	}
}

// What does not fit is refused before it is written.
func TestRefused(t *testing.T) {
	opts := small(vfs.NewMem())
	l := open(t, opts)
	g := l.Group(0)
	must(t, g.StoreLogs([]*raft.Log{entry(5, 1), entry(6, 1), entry(7, 1), entry(8, 1)})) // an empty log takes any index
	for name, call := range map[string]func() error{
		"gap":         func() error { return g.StoreLog(entry(10, 1)) },
		"again":       func() error { return g.StoreLog(entry(8, 1)) },
		"gap within":  func() error { return g.StoreLogs([]*raft.Log{entry(9, 1), entry(11, 1)}) },
		"index 0":     func() error { return l.Group(1).StoreLog(entry(0, 1)) },
		"large":       func() error { return g.StoreLog(entry(9, 8<<10)) },
		"large value": func() error { return g.Set([]byte("k"), make([]byte, 2<<10)) },
		"midst":       func() error { return g.DeleteRange(6, 7) },
		"no number": func() error {
			must(t, g.Set([]byte("k"), []byte("abc")))
			_, err := g.GetUint64([]byte("k"))
			return err
		},
	} {
		if err := call(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	must(t, g.StageCommitIndex(7))
	must(t, g.StoreLog(entry(9, 1)))
	if err := g.DeleteRange(7, 9); err == nil || !strings.Contains(err.Error(), "committed") {
		t.Errorf("DeleteRange of a committed entry: %v", err)
	}
	must(t, g.DeleteRange(20, 30))
	must(t, g.DeleteRange(1, 4))
	if first, _ := g.FirstIndex(); first != 5 {
		t.Errorf("FirstIndex() = %d, want 5", first)
	}
	if err := l.Err(); err != nil {
		t.Errorf("the log ended: %v", err)
	}
	opts.FileBytes = 100
	if _, err := Open(opts); err == nil {
		t.Errorf("files of 100 bytes: no error")
	}
}

// The commit index goes to disk with entries, and never says more than what was there before.
func TestCommitIndex(t *testing.T) {
	fs := vfs.NewMem()
	l := open(t, small(fs))
	g := l.Group(0)
	check := func(want uint64) {
		t.Helper()
		if got, err := g.GetCommitIndex(); got != want || err != nil {
			t.Fatalf("GetCommitIndex() = %d, %v, want %d", got, err, want)
		}
	}
	check(0)
	must(t, g.StageCommitIndex(9))
	check(0)
	must(t, g.StoreLogs([]*raft.Log{entry(1, 1), entry(2, 1)}))
	check(0)
	must(t, g.StoreLog(entry(3, 1)))
	check(2)
	must(t, g.StageCommitIndex(1))
	must(t, g.StoreLog(entry(4, 1)))
	check(3)
	must(t, l.Close())
	l = open(t, small(fs))
	g = l.Group(0)
	check(3)
	must(t, g.DeleteRange(1, 4))
	check(0)
	if got := g.Newest(); got != 4 {
		t.Errorf("Newest() = %d, want 4", got)
	}
}

// A file is used again when Raft, the segments and all pins are past it.
func TestRecycling(t *testing.T) {
	fs := vfs.NewMem()
	l := open(t, small(fs))
	g, other := l.Group(0), l.Group(1)
	must(t, other.StoreLog(entry(1, 1)))
	store := func(g *Group, from, to uint64) {
		for i := from; i <= to; i++ {
			must(t, g.StoreLog(entry(i, 1000)))
		}
	}
	oldest := func(want uint64) {
		t.Helper()
		must(t, l.tidy(context.Background()))
		first, _ := g.FirstIndex()
		if got := g.Oldest(); got > want || got+8 < want {
			t.Fatalf("Oldest() = %d, want %d at most and less than a file before (FirstIndex is %d)", got, want, first)
		}
		seen := g.Oldest()
		must(t, g.ReadRange(t.Context(), seen, 60, func(l *raft.Log) error {
			if !same(l, entry(seen, 1000)) {
				t.Fatalf("ReadRange at %d gave %+v", seen, l)
			}
			seen++
			return nil
		}))
		if seen != 61 {
			t.Fatalf("ReadRange ended before %d, want 61", seen)
		}
	}
	store(g, 1, 60)
	oldest(1)
	g.SetDurable(50)
	oldest(1) // Raft has not deleted anything
	must(t, g.DeleteRange(1, 40))
	oldest(1) // the other group has an entry in the first file
	must(t, other.DeleteRange(1, 1))
	other.SetDurable(1)
	release := g.Pin(20)
	oldest(20)
	release()
	oldest(41)
	if err := g.ReadRange(t.Context(), 1, 60, func(*raft.Log) error { return nil }); !errors.Is(err, raft.ErrLogNotFound) {
		t.Errorf("ReadRange of recycled entries: %v", err)
	}
	g.SetDurable(30) // does not go back
	must(t, g.DeleteRange(1, 55))
	oldest(51)
	before := l.Stats()
	if before.Spares < 2 || before.Files+before.Spares > 20 {
		t.Errorf("%d files and %d spares", before.Files, before.Spares)
	}
	// Old content of recycled files is not taken for new.
	must(t, l.Close())
	l = open(t, small(fs))
	g = l.Group(0)
	g.SetDurable(50)
	oldest(51)
	if term, _ := l.Group(1).LastIndex(); term != 0 {
		t.Errorf("group 1 has entries up to %d, want none", term)
	}
	// An entry that follows another than the last begins the log anew.
	must(t, g.DeleteRange(1, 60))
	must(t, g.StoreLog(entry(100, 3)))
	must(t, l.Close())
	l = open(t, small(fs))
	g = l.Group(0)
	if first, _ := g.FirstIndex(); first != 100 || g.Oldest() != 100 {
		t.Errorf("FirstIndex() = %d, Oldest() = %d, want 100", first, g.Oldest())
	}
}

// ReadRange ends with its context or its visitor.
func TestReadRangeEnds(t *testing.T) {
	l := open(t, small(vfs.NewMem()))
	g := l.Group(0)
	must(t, g.StoreLogs([]*raft.Log{entry(1, 1), entry(2, 1)}))
	ctx, cancel := context.WithCancel(t.Context())
	err := g.ReadRange(ctx, 1, 2, func(*raft.Log) error { cancel(); return nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("ReadRange: %v, want %v", err, context.Canceled)
	}
	if err := g.ReadRange(t.Context(), 1, 2, func(*raft.Log) error { return os.ErrInvalid }); err != os.ErrInvalid {
		t.Errorf("ReadRange: %v, want %v", err, os.ErrInvalid)
	}
}

// After EraseSpares no file has anything of entries that are gone.
func TestEraseSpares(t *testing.T) {
	fs := vfs.NewMem()
	l := open(t, small(fs))
	g := l.Group(0)
	secret := []byte("very secret content")
	for i := uint64(1); i <= 30; i++ {
		e := entry(i, 0)
		e.Data = bytes.Repeat(secret, 50)
		must(t, g.StoreLog(e))
	}
	for i := uint64(31); i <= 50; i++ {
		must(t, g.StoreLog(entry(i, 300)))
	}
	must(t, l.NextFile())
	must(t, g.StoreLog(entry(51, 300)))
	g.SetDurable(50)
	must(t, g.DeleteRange(1, 50))
	count := func() int {
		n := 0
		names, _ := fs.List("raft/log")
		for _, name := range names {
			raw, err := vfs.ReadFile(fs, path.Join("raft/log", name), 1<<20)
			must(t, err)
			n += bytes.Count(raw, secret)
		}
		return n
	}
	must(t, l.tidy(context.Background()))
	inUse := func() bool {
		raw, err := vfs.ReadFile(fs, l.active.name, 1<<20)
		must(t, err)
		return bytes.Contains(raw, secret)
	}
	for n := 0; !inUse(); n++ { // until a file with secrets is in use again
		if n > 20 {
			t.Fatal("nothing to erase")
		}
		must(t, l.NextFile())
	}
	must(t, l.EraseSpares(t.Context()))
	if got := g.Oldest(); got != 51 {
		t.Errorf("Oldest() = %d, want 51", got)
	}
	if n := count(); n > 0 {
		t.Errorf("%d secrets are left", n)
	}
	for i := uint64(52); i <= 70; i++ {
		must(t, g.StoreLog(entry(i, 300)))
	}
	must(t, l.Close())
	l = open(t, small(fs))
	if last, _ := l.Group(0).LastIndex(); last != 70 {
		t.Errorf("LastIndex() = %d, want 70", last)
	}
}

// When 50 ms pass without a round, a mark says that the last one was synced; then damage of
// it is not taken for a torn write.
func TestLoneMark(t *testing.T) {
	fs := vfs.NewMem()
	opts := small(fs)
	tick := make(chan time.Time)
	opts.after = func(d time.Duration) <-chan time.Time {
		if d != markAfter {
			t.Errorf("waits for %v, want %v", d, markAfter)
		}
		return tick
	}
	l := open(t, opts)
	g := l.Group(0)
	must(t, g.StoreLog(entry(1, 10)))
	if got := reopened(t, fs, nil); got != nil {
		t.Fatal(got)
	}
	flip := func(raw []byte) { raw[bytes.Index(raw, bytes.Repeat([]byte{1}, 10))] ^= 1 }
	if got := reopened(t, fs, flip); got != nil {
		t.Errorf("a flip in a round that no mark covers: %v, want it cut off", got)
	}
	syncs := l.Stats().Syncs
	tick <- time.Time{}
	must(t, g.Set([]byte("wait"), nil)) // the mark comes before
	if got := l.Stats().Syncs; got != syncs+2 {
		t.Errorf("%d syncs, want the mark and the value", got-syncs)
	}
	if got := reopened(t, fs, flip); got == nil || got.Group != 0 || got.From != 1 || got.LastGood != 0 || path.Base(got.File) != "00000001.rl" {
		t.Errorf("a flip in a round that a mark covers: %v, want damage of group 0 from entry 1 on", got)
	}
}

// reopened opens a copy of the only file after a change.
func reopened(t *testing.T, fs *vfs.Mem, change func([]byte)) *DamageError {
	t.Helper()
	files := readFiles(t, fs)
	if change != nil {
		change(files["00000001.rl"])
	}
	l, err := Open(small(writeFiles(t, files)))
	if err == nil {
		l.Close()
		return nil
	}
	var damage *DamageError
	if !errors.As(err, &damage) {
		t.Fatal(err)
	}
	return damage
}

func readFiles(t testing.TB, fs vfs.FS) map[string][]byte {
	t.Helper()
	names, err := fs.List("raft/log")
	must(t, err)
	out := map[string][]byte{}
	for _, name := range names {
		raw, err := vfs.ReadFile(fs, path.Join("raft/log", name), 1<<30)
		must(t, err)
		out[name] = bytes.Clone(raw)
	}
	return out
}

func writeFiles(t testing.TB, files map[string][]byte) *vfs.Mem {
	t.Helper()
	fs := vfs.NewMem()
	must(t, fs.MkdirAll("raft/log"))
	for name, raw := range files {
		must(t, vfs.WriteSynced(fs, path.Join("raft/log", name), raw))
	}
	must(t, fs.SyncDir("raft/log"))
	return fs
}

// A failed write or sync ends the log: the caller gets the error, Fatal is called once, and
// nothing is written any more.
func TestFailStop(t *testing.T) {
	for _, op := range []string{"write", "sync"} {
		fs := vfs.NewMem()
		opts := small(fs)
		fatal := 0
		opts.Fatal = func(error) { fatal++ }
		l := open(t, opts)
		g := l.Group(0)
		must(t, g.StoreLog(entry(1, 1)))
		broken := errors.New("input/output error")
		calls := 0
		fs.Hook = func(did, name string) error {
			if did == op {
				calls++
				return broken
			}
			return nil
		}
		for i := range 3 {
			if err := g.StoreLog(entry(2, 1)); !errors.Is(err, broken) {
				t.Errorf("%s: StoreLog %d: %v, want %v", op, i, err, broken)
			}
		}
		if err := g.Set([]byte("k"), nil); !errors.Is(err, broken) {
			t.Errorf("%s: Set: %v, want %v", op, err, broken)
		}
		if fatal != 1 || calls != 1 || !errors.Is(l.Err(), broken) {
			t.Errorf("%s: Fatal was called %d times after %d calls, Err() = %v", op, fatal, calls, l.Err())
		}
		if last, _ := g.LastIndex(); last != 1 {
			t.Errorf("%s: LastIndex() = %d, want 1", op, last)
		}
	}
}

// A full disk does not stop the log while there are spares.
func TestFullDisk(t *testing.T) {
	fs := vfs.NewMem()
	l := open(t, small(fs))
	must(t, l.tidy(context.Background()))
	full := errors.New("no space left on device")
	fs.Hook = func(op, name string) error {
		if op == "create" {
			return full
		}
		return nil
	}
	g := l.Group(0)
	for i := uint64(1); i <= 10; i++ { // two files more
		must(t, g.StoreLog(entry(i, 900)))
		if err := l.tidy(context.Background()); err != nil && !errors.Is(err, full) {
			t.Fatal(err)
		}
	}
	for i := uint64(11); i <= 200; i++ { // and it goes round as long as files become free
		must(t, g.StoreLog(entry(i, 900)))
		g.SetDurable(i)
		must(t, g.DeleteRange(1, i-1))
		if err := l.tidy(context.Background()); err != nil && !errors.Is(err, full) {
			t.Fatal(err)
		}
	}
}

// A spare is full of zeros, unless much is written meanwhile; the first file has none. The log
// is the same either way.
func TestZeros(t *testing.T) {
	for _, c := range []struct {
		during int64 // bytes of entries that are written while the spare is made
		want   int   // pieces of zeros
	}{{0, 8}, {calmBytes / 2, 8}, {2 * calmBytes, 3}} {
		fs := vfs.NewMem()
		opts := small(fs)
		opts.FileBytes, opts.Spares, opts.MinFiles = 8<<20, 1, 2
		pieces := 0
		var g *Group
		fs.Hook = func(op, name string) error {
			if op != "write" || path.Base(name) != tmpName {
				return nil
			}
			if pieces++; pieces == 2 && g != nil {
				for i := range uint64(c.during / (256 << 10)) {
					must(t, g.StoreLog(entry(i+1, 256<<10)))
				}
			}
			return nil
		}
		l := open(t, opts)
		if pieces != 2 { // the header, and the last sector
			t.Errorf("the first file was made with %d writes, want 2", pieces)
		}
		pieces, g = 0, l.Group(0)
		must(t, l.tidy(context.Background()))
		if pieces != c.want {
			t.Errorf("%d bytes written: the spare got %d pieces, want %d", c.during, pieces, c.want)
		}
		last, _ := g.LastIndex()
		if want := uint64(c.during / (256 << 10)); last != want {
			t.Errorf("the last entry is %d, want %d", last, want)
		}
	}
}

// Stats counts syncs, and says how long the call to the disk that hangs has been running.
func TestStats(t *testing.T) {
	fs := vfs.NewMem()
	opts := small(fs)
	var mu sync.Mutex
	now := time.Unix(1e9, 0)
	opts.Clock = func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	l := open(t, opts)
	hang, hung := make(chan bool), make(chan bool)
	fs.Hook = func(op, name string) error {
		if op == "sync" {
			hung <- true
			<-hang
		}
		return nil
	}
	before := l.Stats()
	done := make(chan error)
	go func() { done <- l.Group(0).StoreLog(entry(1, 1)) }()
	<-hung
	mu.Lock()
	now = now.Add(3 * time.Millisecond)
	mu.Unlock()
	if s := l.Stats(); s.Stalled != 3*time.Millisecond {
		t.Errorf("Stalled = %v, want 3ms", s.Stalled)
	}
	hang <- true
	must(t, <-done)
	fs.Hook = nil
	s := l.Stats()
	if s.Stalled != 0 || s.Syncs != before.Syncs+1 || s.Bytes != before.Bytes+sectorBytes || s.LastSync != 3*time.Millisecond {
		t.Errorf("Stats() = %+v after %+v", s, before)
	}
	if at, _ := slices.BinarySearch(SyncBounds[:], 3*time.Millisecond); s.Buckets[at] != before.Buckets[at]+1 {
		t.Errorf("Buckets = %v after %v, want one more of 5ms", s.Buckets, before.Buckets)
	}
}

// Many goroutines share rounds, and each finds what it stored. It is for the race detector.
func TestGroupCommit(t *testing.T) {
	opts := Options{FS: vfs.OS(), Dir: path.Join(t.TempDir(), "raft/log"), FileBytes: 256 << 10, MinFiles: 1}
	l := open(t, opts)
	const groups, entries = 16, 40
	var wg sync.WaitGroup
	for id := range uint32(groups) {
		wg.Go(func() {
			g := l.Group(id)
			g.SetDurable(1 << 40)
			for i := uint64(1); i <= entries; i++ {
				if err := g.StoreLog(entry(i, int(i*997%9000))); err != nil {
					t.Error(err)
				}
				if i%10 == 0 {
					if err := errors.Join(g.DeleteRange(1, i-5), g.SetUint64([]byte("term"), i)); err != nil {
						t.Error(err)
					}
				}
				var got raft.Log
				if err := g.GetLog(i, &got); err != nil || !same(&got, entry(i, int(i*997%9000))) {
					t.Errorf("group %d: GetLog(%d): %v", id, i, err)
				}
			}
		})
	}
	wg.Go(func() {
		if err := errors.Join(l.Scrub(t.Context()), l.EraseSpares(t.Context())); err != nil {
			t.Error(err)
		}
		l.Stats()
	})
	wg.Wait()
	must(t, l.Close())
	opts.after, opts.manual = nil, false
	l = open(t, opts)
	for id := range uint32(groups) {
		g := l.Group(id)
		for i := uint64(entries - 4); i <= entries; i++ {
			var got raft.Log
			if err := g.GetLog(i, &got); err != nil || !same(&got, entry(i, int(i*997%9000))) {
				t.Errorf("after reopening: group %d: GetLog(%d): %v", id, i, err)
			}
		}
	}
}

// The library's own benchmarks run, on a log that has indexes from 1 and no gaps.
func TestRaftBench(t *testing.T) {
	for name, run := range raftBenchmarks {
		t.Run(name, func(t *testing.T) {
			l := open(t, Options{FS: vfs.OS(), Dir: path.Join(t.TempDir(), "raft/log"), FileBytes: 1 << 20})
			b := &testing.B{N: 20}
			run(b, dense{l.Group(0)})
			if b.Failed() {
				t.Error("failed")
			}
		})
	}
}

func BenchmarkRaft(b *testing.B) {
	for name, run := range raftBenchmarks {
		b.Run(name, func(b *testing.B) {
			l := open(b, Options{FS: vfs.OS(), Dir: path.Join(b.TempDir(), "raft/log")})
			b.ReportAllocs()
			b.ResetTimer()
			run(b, dense{l.Group(0)})
		})
	}
}

var raftBenchmarks = map[string]func(*testing.B, dense){
	"FirstIndex":  func(b *testing.B, s dense) { raftbench.FirstIndex(b, s) },
	"LastIndex":   func(b *testing.B, s dense) { raftbench.LastIndex(b, s) },
	"GetLog":      func(b *testing.B, s dense) { raftbench.GetLog(b, s) },
	"StoreLog":    func(b *testing.B, s dense) { raftbench.StoreLog(b, s) },
	"StoreLogs":   func(b *testing.B, s dense) { raftbench.StoreLogs(b, s) },
	"DeleteRange": func(b *testing.B, s dense) { raftbench.DeleteRange(b, s) },
	"Set":         func(b *testing.B, s dense) { raftbench.Set(b, s) },
	"Get":         func(b *testing.B, s dense) { raftbench.Get(b, s) },
	"SetUint64":   func(b *testing.B, s dense) { raftbench.SetUint64(b, s) },
	"GetUint64":   func(b *testing.B, s dense) { raftbench.GetUint64(b, s) },
}

// dense moves the library's indexes, which begin at 0 in some benchmarks, up by one, and fills
// the gaps that others have.
type dense struct{ *Group }

func (d dense) GetLog(index uint64, l *raft.Log) error { return d.Group.GetLog(index+1, l) }
func (d dense) StoreLog(l *raft.Log) error             { return d.StoreLogs([]*raft.Log{l}) }
func (d dense) DeleteRange(low, high uint64) error     { return d.Group.DeleteRange(low+1, high+1) }

func (d dense) StoreLogs(logs []*raft.Log) error {
	var out []*raft.Log
	next, _ := d.LastIndex()
	for _, l := range logs {
		for next++; next <= l.Index; next++ {
			out = append(out, &raft.Log{Index: next})
		}
		moved := *l
		moved.Index = next
		out = append(out, &moved)
	}
	return d.Group.StoreLogs(out)
}

func seeds(t *testing.T, cycles int) (from, to uint64) {
	if n, err := strconv.Atoi(os.Getenv("PRICKLE_CYCLES")); err == nil {
		cycles = n
	}
	if n, err := strconv.ParseUint(os.Getenv("PRICKLE_SEED"), 10, 64); err == nil {
		from = n
	}
	return from, from + uint64(cycles)
}

// The log does what raft.InmemStore does, whatever is asked and however often it is opened.
func TestModel(t *testing.T) {
	from, to := seeds(t, 100)
	for seed := from; seed < to; seed++ {
		if err := model(seed); err != nil {
			t.Fatalf("PRICKLE_SEED=%d: %v", seed, err)
		}
	}
}

func model(seed uint64) error {
	rng := rand.New(rand.NewPCG(seed, 1))
	opts := small(vfs.NewMem())
	opts.FileBytes = 4096 << rng.IntN(3)
	l, err := Open(opts)
	if err != nil {
		return err
	}
	defer func() { l.Close() }()
	const groups = 3
	var want [groups]*raft.InmemCommitTrackingStore
	var committed [groups]uint64
	for i := range want {
		want[i] = raft.NewInmemCommitTrackingStore()
	}
	for op := range 60 {
		id := rng.IntN(groups)
		g, w := l.Group(uint32(id)), want[id]
		first, _ := w.FirstIndex()
		last, _ := w.LastIndex()
		var a, b error
		switch k := rng.IntN(12); {
		case k < 6:
			next := last + 1
			if last == 0 && rng.IntN(3) == 0 {
				next = max(1, committed[id]) + rng.Uint64N(50)
			} else if last == 0 {
				g.mu.RLock()
				next = g.last + 1
				g.mu.RUnlock()
			}
			var logs []*raft.Log
			for range 1 + rng.IntN(4) {
				e := entry(next, rng.IntN(1+rng.IntN(700)))
				e.Term = rng.Uint64N(100)
				logs = append(logs, e)
				next++
			}
			a, b = g.StoreLogs(logs), w.StoreLogs(logs)
		case k < 7 && last > 0:
			to := first + rng.Uint64N(last-first+1)
			a, b = g.DeleteRange(first, to), w.DeleteRange(first, to)
		case k < 8 && last > committed[id]:
			from := max(committed[id]+1, first)
			from += rng.Uint64N(last - from + 1)
			a, b = g.DeleteRange(from, last), w.DeleteRange(from, last)
		case k < 9:
			key, value := []byte{byte('a' + rng.IntN(3))}, fmt.Append(nil, rng.IntN(100))
			a, b = g.Set(key, value), w.Set(key, value)
		case k < 10 && last > 0:
			committed[id] = max(committed[id], first+rng.Uint64N(last-first+1))
			a = g.StageCommitIndex(committed[id])
		case k < 11:
			g.SetDurable(rng.Uint64N(last + 1))
			a = l.tidy(context.Background())
		default:
			if a = l.Close(); a == nil {
				l, a = Open(opts)
			}
		}
		if err := errors.Join(a, b); err != nil {
			return fmt.Errorf("operation %d: %w", op, err)
		}
		for id := range uint32(groups) {
			if err := equal(l.Group(id), want[id], committed[id]); err != nil {
				return fmt.Errorf("operation %d: group %d: %w", op, id, err)
			}
		}
	}
	return l.Scrub(context.Background())
}

func equal(g *Group, want *raft.InmemCommitTrackingStore, committed uint64) error {
	first, _ := want.FirstIndex()
	last, _ := want.LastIndex()
	gotFirst, _ := g.FirstIndex()
	gotLast, _ := g.LastIndex()
	if first != gotFirst || last != gotLast {
		return fmt.Errorf("has %d to %d, want %d to %d", gotFirst, gotLast, first, last)
	}
	if hint, _ := g.GetCommitIndex(); hint > committed || hint > last {
		return fmt.Errorf("GetCommitIndex() = %d of %d, committed are %d", hint, last, committed)
	}
	for i := max(first, 1) - 1; i <= last+1; i++ {
		var a, b raft.Log
		errA, errB := g.GetLog(i, &a), want.GetLog(i, &b)
		if errA != errB || !same(&a, &b) {
			return fmt.Errorf("GetLog(%d) = %+v, %v, want %+v, %v", i, a, errA, b, errB)
		}
	}
	for _, key := range []string{"a", "b", "c"} {
		got, _ := g.Get([]byte(key))
		value, _ := want.Get([]byte(key)) // an error is its way to say none
		if !bytes.Equal(got, value) {
			return fmt.Errorf("Get(%s) = %q, want %q", key, got, value)
		}
	}
	return nil
}
