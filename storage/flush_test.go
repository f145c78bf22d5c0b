package storage

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/prickledb/prickle/storage/event"
	"github.com/prickledb/prickle/storage/memory"
	"github.com/prickledb/prickle/storage/vec"
	"github.com/prickledb/prickle/storage/vfs"
)

// A disk that is full for a while costs nothing but time: Flush says so, apply waits when
// too much is under way, and then everything is there.
func TestFlushOnFullDisk(t *testing.T) {
	for _, c := range []struct{ op, part string }{
		{"create", "/segments/"}, {"write", "/segments/"}, {"sync", "/segments/"}, {"rename", "/segments/"},
		{"syncdir", "/segments"}, {"write", "/state/"}, {"syncdir", "/state"},
		{"create", "/dedup/"}, {"write", "/dedup/"}, {"sync", "/dedup/"}, {"rename", "/dedup/"}, {"syncdir", "/dedup"},
	} {
		t.Run(c.op+c.part, func(t *testing.T) {
			fs := vfs.NewMem()
			var full atomic.Bool
			fs.Hook = func(op, name string) error {
				if full.Load() && op == c.op && strings.Contains(name, c.part) {
					return syscall.ENOSPC
				}
				return nil
			}
			s, err := Open(fs, "d", Options{SealRows: 10, Fatal: func(err error) { t.Errorf("Fatal: %v", err) }})
			if err != nil {
				t.Fatal(err)
			}
			createAs(t, s, 1, "a")
			if err := s.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			full.Store(true)
			if _, err := s.ApplyEvents(2, 1, 1, smallBatch(0, 5)); err != nil {
				t.Fatal(err)
			}
			for range 3 {
				if err := s.Flush(t.Context()); err == nil || !strings.Contains(err.Error(), "no space left") {
					t.Fatalf("Flush on a full disk: %v", err)
				}
			}
			applied := make(chan error)
			go func() {
				for i := range 5 {
					_, err := s.ApplyEvents(uint64(3+i), 1, 1, smallBatch(100+i*20, 20))
					applied <- err
				}
			}()
			count := 0
			for waiting := false; !waiting; {
				select {
				case err := <-applied:
					if count++; err != nil {
						t.Fatal(err)
					}
				case <-time.After(50 * time.Millisecond):
					waiting = true
				}
			}
			if count == 5 {
				t.Error("apply does not wait for a full disk")
			}
			// Neither the flush that does not end nor the apply that waits holds up a query.
			if sn, err := s.Snapshot(1); err != nil {
				t.Error(err)
			} else {
				if len(sn.Segments()) == 0 || sn.Index() < 3 {
					t.Errorf("a snapshot meanwhile has %d segments at index %d", len(sn.Segments()), sn.Index())
				}
				sn.Release()
			}
			full.Store(false)
			for ; count < 5; count++ {
				if err := <-applied; err != nil {
					t.Fatal(err)
				}
			}
			if err := s.Flush(t.Context()); err != nil {
				t.Fatalf("Flush when there is room again: %v", err)
			}
			if n := len(s.log.Manifest().Segments); n == 0 {
				t.Error("no segments")
			}
			names, _ := fs.List("d/segments")
			if len(names) != len(s.log.Manifest().Segments) {
				t.Errorf("files %q, the manifest names %d", names, len(s.log.Manifest().Segments))
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s = openAt(t, fs.Crash(nil))
			if got := s.Stats().Events; got != 105 {
				t.Errorf("%d events after a restart, want 105", got)
			}
			s.Close()
		})
	}
}

// A store on a full disk can be closed.
func TestCloseOnFullDisk(t *testing.T) {
	fs := vfs.NewMem()
	s, err := Open(fs, "d", Options{})
	if err != nil {
		t.Fatal(err)
	}
	createAs(t, s, 1, "a")
	fs.Hook = func(op, name string) error { return syscall.ENOSPC }
	if err := s.Flush(t.Context()); err == nil {
		t.Error("Flush gave no error")
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// The manifest is another matter: after a failed write nothing is known.
func TestManifestWriteFails(t *testing.T) {
	fs := vfs.NewMem()
	fatal := make(chan error, 1)
	s, err := Open(fs, "d", Options{Fatal: func(err error) { fatal <- err }})
	if err != nil {
		t.Fatal(err)
	}
	createAs(t, s, 1, "a")
	fs.Hook = func(op, name string) error {
		if op == "sync" && strings.Contains(name, "MANIFEST") {
			return syscall.EIO
		}
		return nil
	}
	if err := s.Flush(t.Context()); err == nil || !strings.Contains(err.Error(), "manifest") {
		t.Errorf("Flush: %v", err)
	}
	if err := <-fatal; !strings.Contains(err.Error(), "input/output error") {
		t.Errorf("Fatal(%v)", err)
	}
	if _, err := s.ApplyEvents(2, 1, 1, smallBatch(0, 1)); err == nil {
		t.Error("ApplyEvents after that gave no error")
	}
	s.Close()
}

// An import in no order does not leave a file for each day of each flush.
func TestFlushOfManyDays(t *testing.T) {
	build := func(days, large int) *event.Batch {
		b := event.NewBuilder()
		n := 0
		add := func(day int) {
			b.Begin(vec.UUIDValue{1, 13: byte(n >> 16), 14: byte(n >> 8), 15: byte(n)}, int64(20089+day)*dayMicros+int64(n))
			b.SetName([]byte("e"))
			b.SetDistinctID(fmt.Appendf(nil, "u%d", n%50))
			b.End()
			n++
		}
		for d := range days {
			add(d)
			add(d)
		}
		for range large {
			add(40)
		}
		return b.Finish()
	}
	for _, c := range []struct{ days, large, segments, months int }{
		{flushDays, 0, flushDays, 1},
		{flushDays + 1, 0, 1, 1},
		{65, 0, 3, 3},
		{365, 0, 12, 12},
		{365, flushDayRows - 2, 13, 12}, // one day is large enough
	} {
		s := openAt(t, vfs.NewMem())
		createAs(t, s, 1, "a")
		if _, err := s.ApplyEvents(2, 1, 1, build(c.days, c.large)); err != nil {
			t.Fatal(err)
		}
		if err := s.Flush(context.Background()); err != nil {
			t.Fatal(err)
		}
		sn, err := s.Snapshot(1)
		if err != nil {
			t.Fatal(err)
		}
		rows := 0
		for _, r := range sn.Segments() {
			rows += r.Rows()
		}
		if len(sn.Segments()) != c.segments || rows != 2*c.days+c.large {
			t.Errorf("%d days: %d segments of %d rows, want %d of %d", c.days, len(sn.Segments()), rows, c.segments, 2*c.days+c.large)
		}
		sn.Release()
		for {
			plan, ok := s.PlanMergeAll()
			if !ok {
				break
			}
			if err := s.Merge(context.Background(), s.AppliedIndex()+1, 1, plan); err != nil {
				t.Fatal(err)
			}
		}
		if got := s.Stats().Segments; got != c.months {
			t.Errorf("%d days: %d segments after merges, want %d, one a month", c.days, got, c.months)
		}
		s.Close()
	}
}

// A replay is not held up by flushes, nor for ever by none: what is too much for memory is
// flushed while it goes on. The state is the same.
func TestReplayHoldsFlushes(t *testing.T) {
	open := func(replaying *atomic.Bool) *Store {
		fs := vfs.NewMem()
		fs.Hook = func(op, name string) error {
			if replaying.Load() && op == "create" && strings.Contains(name, "/segments/") {
				t.Errorf("%s is made during a replay", name)
			}
			return nil
		}
		s, err := Open(fs, "d", Options{SealRows: 10})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	apply := func(s *Store, index uint64) {
		if _, err := s.ApplyEvents(index, 1, 1, smallBatch(int(index)*10, 10)); err != nil {
			t.Fatal(err)
		}
	}
	var never, replaying atomic.Bool
	plain, held := open(&never), open(&replaying)
	defer plain.Close()
	defer held.Close()
	replaying.Store(true)
	held.BeginReplay()
	for _, s := range []*Store{plain, held} {
		createAs(t, s, 1, "a")
		for index := range uint64(maxSealed + 2) {
			apply(s, 2+index)
		}
	}
	if got := held.Stats(); got.Segments != 0 || got.MemtableRows != 10*(maxSealed+2) {
		t.Errorf("before the end of the replay there are %d segments and %d rows in memory", got.Segments, got.MemtableRows)
	}
	replaying.Store(false)
	held.EndReplay()
	held.BeginReplay() // again, and this one is long
	for _, s := range []*Store{plain, held} {
		for index := range uint64(10) {
			apply(s, 20+index)
		}
		if err := s.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	index, hash := held.StateHash()
	if wantIndex, want := plain.StateHash(); index != wantIndex || hash != want {
		t.Errorf("state %x at entry %d, want %x at %d", hash, index, want, wantIndex)
	}
	if got := held.Stats(); got.Events != 10*(maxSealed+12) || got.MemtableRows != 0 {
		t.Errorf("%d events, of which %d are in memory", got.Events, got.MemtableRows)
	}
}

// Small segments that keep coming are not merged with a large one of their days each time, and
// still there are never many of them.
func TestMergesOfLargeAndSmall(t *testing.T) {
	s := openAt(t, vfs.NewMem())
	createAs(t, s, 1, "a")
	n := 0
	flush := func(rows int) {
		b := event.NewBuilder()
		for range rows {
			b.Begin(vec.UUIDValue{1, 14: byte(n >> 8), 15: byte(n)}, 20089*dayMicros+int64(n))
			b.SetName([]byte("e"))
			b.SetDistinctID([]byte("u"))
			b.End()
			n++
		}
		if _, err := s.ApplyEvents(s.AppliedIndex()+1, 1, 1, b.Finish()); err != nil {
			t.Fatal(err)
		}
		flushNow(t, s)
	}
	flush(1000)
	merged, most := int64(0), 0
	const small = 200
	for range small {
		flush(10)
		for {
			plan, ok := s.PlanMerge()
			if !ok {
				break
			}
			must(t, s.Merge(t.Context(), s.AppliedIndex()+1, 1, plan))
			merged += s.segments[mergeIDs+s.AppliedIndex()-1].Rows
		}
		most = max(most, s.Stats().Segments)
	}
	if st := s.Stats(); st.Events != 1000+10*small {
		t.Errorf("%d events, want %d", st.Events, 1000+10*small)
	}
	if most > 10 {
		t.Errorf("there were %d segments at once, want at most 10", most)
	}
	// Merged with the large one every third time, they would be 60,000 and more.
	if merged > 20_000 {
		t.Errorf("merges wrote %d rows for %d that came", merged, 1000+10*small)
	}
}

// Where memory is not enough for the merge of a month, its days are merged into segments that follow each
// other, and each row is written once or twice. Little segments that come later do not pile up beside them,
// though each is of another day.
func TestMergesThatMemoryDivides(t *testing.T) {
	const days, rows = 31, 80
	const now = (20454 + 60) * dayMicros
	s, err := Open(vfs.NewMem(), "d", Options{Memory: memory.NewBudget(1 << 20)})
	must(t, err)
	defer s.Close()
	createAs(t, s, 1, "a")
	n := 0
	flush := func(day, rows int) {
		b := event.NewBuilder()
		for i := range rows {
			b.Begin(vec.UUIDValue{1, 14: byte(n >> 8), 15: byte(n)}, int64(20454+day)*dayMicros+int64(i)*1e9)
			b.SetName([]byte("e"))
			b.SetDistinctID(fmt.Appendf(nil, "u%d", n))
			b.End()
			n++
		}
		_, err := s.ApplyEvents(s.AppliedIndex()+1, now, 1, b.Finish())
		must(t, err)
		flushNow(t, s)
	}
	written := int64(0)
	merge := func(next func() (MergePlan, bool)) {
		for {
			plan, ok := next()
			if !ok {
				return
			}
			must(t, s.Merge(t.Context(), s.AppliedIndex()+1, now, plan))
			written += s.segments[mergeIDs+s.AppliedIndex()-1].Rows
		}
	}
	for day := range days {
		flush(day, rows+day*7%days) // so that those of about a size do not follow each other
		flush(day, rows)
	}
	merge(s.PlanMergeAll)
	sn, err := s.Snapshot(1)
	must(t, err)
	defer sn.Release()
	segments := slices.SortedFunc(slices.Values(sn.Segments()), func(a, b *Segment) int { return cmp.Compare(a.MinTime(), b.MinTime()) })
	if len(segments) < 2 || len(segments) > 8 {
		t.Errorf("%d segments, want a few", len(segments))
	}
	stored := 0
	for i, seg := range segments {
		if stored += seg.Rows(); i > 0 && segments[i-1].MaxTime() >= seg.MinTime() {
			t.Errorf("segment %d begins at %d, before the end of the one before, %d", i, seg.MinTime(), segments[i-1].MaxTime())
		}
	}
	if stored != n || written > int64(2*n) {
		t.Errorf("%d rows in segments and %d written by merges, for %d that came", stored, written, n)
	}
	most := 0
	for i := range 3 * days {
		flush(i*7%days, 1)
		merge(s.PlanMerge)
		most = max(most, s.Stats().Segments)
	}
	if most > len(segments)+10 {
		t.Errorf("there were %d segments at once, want few more than %d", most, len(segments))
	}
}

// A small segment does not keep those that are alike from being merged, and goes with them.
func TestAlike(t *testing.T) {
	for _, c := range []struct {
		rows []int64
		want int
	}{
		{nil, 0},
		{[]int64{10, 10, 10}, 0},
		{[]int64{10, 10, 10, 10}, 4},
		{[]int64{10, 20, 60, 180}, 4},
		{[]int64{10, 21, 63, 190}, 0},
		{[]int64{10, 10, 10, 10, 81}, 4},
		{[]int64{10, 10, 10, 10, 80}, 5},
		{[]int64{1, 1000, 1000, 1000, 1000}, 5},
		{[]int64{1, 1000, 1000, 1000}, 0},
		{[]int64{1, 10, 1000, 1000, 1000, 1000, 9000}, 6},
	} {
		var files []*segmentFile
		for _, n := range c.rows {
			f := &segmentFile{}
			f.Rows = n
			files = append(files, f)
		}
		if got := alike(files); got != c.want {
			t.Errorf("%v: %d, want %d", c.rows, got, c.want)
		}
	}
}

// Thousands of segments are opened side by side. One that is missing is named, and nothing
// is removed.
func TestOpenManySegments(t *testing.T) {
	fs := vfs.NewMem()
	s := openAt(t, fs)
	createAs(t, s, 1, "a")
	const flushes, days = 40, flushDays // more than openTogether for each of two processors
	for i := range flushes {
		b := event.NewBuilder()
		for d := range days {
			b.Begin(vec.UUIDValue{1, 14: byte(i), 15: byte(d)}, int64(20089+d)*dayMicros)
			b.SetName([]byte("e"))
			b.SetDistinctID(fmt.Appendf(nil, "u%d", d))
			b.End()
		}
		if _, err := s.ApplyEvents(uint64(2+i), 1, 1, b.Finish()); err != nil {
			t.Fatal(err)
		}
		flushNow(t, s)
	}
	must(t, s.Close())
	names, err := fs.List("d/segments")
	if err != nil || len(names) != flushes*days {
		t.Fatalf("%d segments, want %d; %v", len(names), flushes*days, err)
	}
	s = openAt(t, fs)
	if got := s.Stats(); got.Segments != flushes*days || got.Events != flushes*days {
		t.Errorf("open again with %d segments of %d events, want %d", got.Segments, got.Events, flushes*days)
	}
	must(t, s.Close())
	lost := names[len(names)/2]
	must(t, fs.Remove("d/segments/"+lost))
	if _, err := Open(fs, "d", Options{}); err == nil || !strings.Contains(err.Error(), lost) {
		t.Errorf("Open without %s: %v", lost, err)
	}
	if left, _ := fs.List("d/segments"); len(left) != len(names)-1 {
		t.Errorf("%d segments are left, want %d", len(left), len(names)-1)
	}
}
