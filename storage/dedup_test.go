package storage

import (
	"errors"
	"fmt"
	"math/rand"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prickledb/prickle/storage/dedup"
	"github.com/prickledb/prickle/storage/event"
	"github.com/prickledb/prickle/storage/vec"
	"github.com/prickledb/prickle/storage/vfs"
)

const hourMicros = int64(time.Hour / time.Microsecond)

// applyAt applies a batch at an entry time, and says how many rows were stored.
func applyAt(t *testing.T, s *Store, at int64, project uint32, b *event.Batch) int {
	t.Helper()
	result, err := s.ApplyEvents(s.AppliedIndex()+1, at, project, b)
	if err != nil {
		t.Fatal(err)
	}
	return result.Stored
}

func flushNow(t *testing.T, s *Store) {
	t.Helper()
	if err := s.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// An event is stored once within the horizon, by the times of entries, across flushes and
// restarts; another project's event of the same uuid is another event.
func TestEventsAreStoredOnce(t *testing.T) {
	fs := vfs.NewMem()
	s := openAt(t, fs)
	createAs(t, s, 1, "a")
	createAs(t, s, 2, "b")
	steps := []struct {
		hour    int64
		project uint32
		first   int
		want    int
	}{
		{0, 1, 0, 10}, {0, 1, 5, 5}, {1, 2, 0, 10}, {47, 1, 0, 0}, {47, 1, 10, 5}, {48, 2, 0, 0},
		// Nine periods later those of hour 0 are new again, those of hour 47 are not.
		{54, 1, 0, 10}, {55, 1, 10, 5},
	}
	for i, c := range steps {
		if got := applyAt(t, s, c.hour*hourMicros, c.project, smallBatch(c.first, 10)); got != c.want {
			t.Errorf("step %d, hour %d: %d of project %d stored, want %d", i, c.hour, got, c.project, c.want)
		}
		if i%2 == 0 {
			flushNow(t, s)
		}
		if i%3 == 0 {
			index := s.AppliedIndex()
			flushNow(t, s)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if s = openAt(t, fs); s.AppliedIndex() != index {
				t.Fatalf("a restart has entry %d, want %d", s.AppliedIndex(), index)
			}
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// Two stores that get the same entries, one of them with flushes, restarts and what a
// background merge makes of it, store the same, also of what is older than the horizon.
func TestDedupFollowsEntriesAlone(t *testing.T) {
	for seed := range int64(5) {
		r := rand.New(rand.NewSource(seed))
		fs := vfs.NewMem()
		plain, busy := openAt(t, vfs.NewMem()), openAt(t, fs)
		for _, s := range []*Store{plain, busy} {
			createAs(t, s, 1, "a")
			createAs(t, s, 2, "b")
		}
		at := int64(0)
		for step := range 150 {
			if at += r.Int63n(hourMicros); r.Intn(20) == 0 {
				at += r.Int63n(40 * hourMicros)
			}
			project, first, n := 1+uint32(r.Intn(2)), r.Intn(400), 1+r.Intn(60)
			a := applyAt(t, plain, at, project, smallBatch(first, n))
			b := applyAt(t, busy, at, project, smallBatch(first, n))
			if a != b {
				t.Fatalf("seed %d step %d: %d and %d stored", seed, step, a, b)
			}
			if r.Intn(2) == 0 {
				flushNow(t, busy)
			}
			if r.Intn(15) == 0 {
				flushNow(t, busy)
				if err := busy.Close(); err != nil {
					t.Fatal(err)
				}
				busy = openAt(t, fs)
			}
		}
		if a, b := plain.Stats().Events, busy.Stats().Events; a != b {
			t.Errorf("seed %d: %d and %d events", seed, a, b)
		}
		for _, s := range []*Store{plain, busy} {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// The background merge leaves few runs, in the manifest and on disk; those older than the
// horizon go.
func TestRunsAreMerged(t *testing.T) {
	fs := vfs.NewMem()
	removed := make(chan string, 1000)
	fs.Hook = func(op, name string) error {
		if op == "remove" && strings.HasSuffix(name, ".dup") {
			removed <- name
		}
		return nil
	}
	s := openAt(t, fs)
	createAs(t, s, 1, "a")
	for i := range 16 {
		applyAt(t, s, int64(i), 1, smallBatch(i*10, 10))
		flushNow(t, s)
	}
	for range 16 {
		<-removed
	}
	applyAt(t, s, 100*hourMicros, 1, smallBatch(0, 3))
	flushNow(t, s)
	for range 2 { // those that were merged
		<-removed
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	names, err := fs.List("d/" + dedup.Dir)
	if err != nil {
		t.Fatal(err)
	}
	if m := s.log.Manifest(); len(m.Runs) != 1 || len(names) != 1 {
		t.Errorf("%d runs in the manifest, files %q; want one", len(m.Runs), names)
	}
}

// A merge of runs that fails is tried again, and hurts nobody meanwhile.
func TestRunMergeFails(t *testing.T) {
	fs := vfs.NewMem()
	removed := make(chan string, 1000)
	failures := 0
	fs.Hook = func(op, name string) error {
		switch {
		case op == "remove" && strings.HasSuffix(name, ".dup"):
			removed <- name
		case op == "create" && strings.HasSuffix(name, dedup.Name(9)+".tmp"):
			failures++
			return errors.New("no room")
		}
		return nil
	}
	s := openAt(t, fs)
	createAs(t, s, 1, "a")
	for i := range 8 {
		applyAt(t, s, int64(i), 1, smallBatch(i*10, 10))
		flushNow(t, s)
	}
	for range 8 {
		<-removed
	}
	if got := applyAt(t, s, 9, 1, smallBatch(0, 90)); got != 10 {
		t.Errorf("%d stored, want 10", got)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if failures != 1 {
		t.Errorf("%d failures", failures)
	}
}

// A damaged run stops apply when it is asked: what is in it is not known. Its name is said.
func TestDamagedRunStopsApply(t *testing.T) {
	fs := vfs.NewMem()
	s := openAt(t, fs)
	createAs(t, s, 1, "a")
	applyAt(t, s, 1, 1, smallBatch(0, 10))
	flushNow(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	name := "d/" + dedup.Dir + "/" + dedup.Name(1)
	raw, err := vfs.ReadFile(fs, name, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	raw[40] ^= 1
	if err := vfs.WriteFile(fs, name, raw); err != nil {
		t.Fatal(err)
	}
	fatal := make(chan error, 1)
	if s, err = Open(fs, "d", Options{Fatal: func(err error) { fatal <- err }}); err != nil {
		t.Fatal(err)
	}
	index := s.AppliedIndex()
	var corrupt *dedup.CorruptError
	if _, err := s.ApplyEvents(index+1, 1, 1, smallBatch(0, 10)); !errors.As(err, &corrupt) || corrupt.File != name || !strings.Contains(err.Error(), fmt.Sprint("entry ", index+1)) {
		t.Errorf("ApplyEvents: %v", err)
	}
	if err := <-fatal; !errors.As(err, new(*dedup.CorruptError)) {
		t.Errorf("Fatal(%v)", err)
	}
	if _, err := s.ApplyEvents(index+2, 1, 1, smallBatch(50, 10)); err == nil || s.AppliedIndex() != index {
		t.Errorf("the entry after it: %v, applied %d", err, s.AppliedIndex())
	}
	s.Close()
}

// A start reads no uuids of segments: they may be damaged until a query wants them.
func TestOpenReadsNoUUIDs(t *testing.T) {
	fs := vfs.NewMem()
	s := openAt(t, fs)
	createAs(t, s, 1, "a")
	applyAt(t, s, 1, 1, smallBatch(0, 10))
	flushNow(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	name := "d/segments/" + segmentName(2<<partBits)
	raw, err := vfs.ReadFile(fs, name, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	uuid := smallBatch(9, 1).UUID[0]
	at := strings.Index(string(raw), string(uuid[:]))
	if at < 0 {
		t.Fatal("the segment has no uuid 9")
	}
	raw[at] ^= 1
	if err := vfs.WriteFile(fs, name, raw); err != nil {
		t.Fatal(err)
	}
	s = openAt(t, fs)
	if got := applyAt(t, s, 2, 1, smallBatch(0, 12)); got != 2 {
		t.Errorf("%d stored, want 2", got)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// An event that comes again after the horizon is stored again; a merge makes it one, the
// first, and the count of events follows.
func TestMergeCollapsesLateRepeats(t *testing.T) {
	s := openAt(t, vfs.NewMem())
	createAs(t, s, 1, "a")
	for i := range 2 {
		b := smallBatch(0, 10)
		b.CreatedAt = int64(7 - i)
		if got := applyAt(t, s, int64(i)*100*hourMicros, 1, b); got != 10 {
			t.Fatalf("%d stored, want 10", got)
		}
		flushNow(t, s)
	}
	if got := s.Stats().Events; got != 20 {
		t.Errorf("%d events before the merge, want 20", got)
	}
	plan, ok := s.PlanMergeAll()
	if !ok {
		t.Fatal("no plan")
	}
	if err := s.Merge(t.Context(), s.AppliedIndex()+1, 1, plan); err != nil {
		t.Fatal(err)
	}
	if got := s.Stats().Events; got != 10 {
		t.Errorf("%d events after it, want 10", got)
	}
	sn, err := s.Snapshot(1)
	if err != nil {
		t.Fatal(err)
	}
	created := make([]int64, 10)
	for _, r := range sn.Segments() {
		if err := r.CreatedAt(created, 0, r.Rows()); err != nil {
			t.Fatal(err)
		}
	}
	if slices.Max(created) != 6 {
		t.Errorf("creation times %d, want the least of each", created)
	}
	sn.Release()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// A crash at any step of flushes and run merges neither loses events nor stores one twice.
func TestDedupAfterCrash(t *testing.T) {
	for n := 1; n < 400; n += 3 {
		fs := vfs.NewMem()
		var steps atomic.Int64
		steps.Store(-1 << 40)
		fs.Hook = func(op, name string) error {
			if steps.Add(1) >= int64(n) {
				return errors.New("power")
			}
			return nil
		}
		s := openAt(t, fs)
		createAs(t, s, 1, "a")
		steps.Store(0)
		for i := range 10 {
			// Errors are those of the power: the loop need not end with the first.
			s.ApplyEvents(uint64(i+2), int64(i), 1, smallBatch(i*5, 7))
			if s.Flush(t.Context()) != nil {
				break
			}
		}
		crashed := fs.Crash(nil)
		s.Close()
		s = openAt(t, crashed)
		if s.AppliedIndex() == 0 {
			createAs(t, s, 1, "a")
		}
		for i := range 10 {
			if _, err := s.ApplyEvents(uint64(i+2), int64(i), 1, smallBatch(i*5, 7)); err != nil {
				t.Fatal(err)
			}
		}
		if got := s.Stats().Events; got != 52 {
			t.Errorf("crash at step %d: %d events, want 52", n, got)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// BenchmarkApplyEvents is a whole apply of new events, of which every 512 K are flushed
// beside it.
func BenchmarkApplyEvents(b *testing.B) {
	const rows, perRun = 2000, 1 << 19
	r := rand.New(rand.NewSource(1))
	build := func() *event.Batch {
		e := event.NewBuilder()
		for i := range rows {
			var u vec.UUIDValue
			r.Read(u[:])
			e.Begin(u, 1_750_000_000_000_000+int64(i))
			e.SetName([]byte("e"))
			e.SetDistinctID(fmt.Appendf(nil, "u%d", i%50))
			e.End()
		}
		return e.Finish()
	}
	s, err := Open(vfs.OS(), b.TempDir(), Options{SealRows: perRun})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	if _, err := s.ApplyProject(1, 1, ProjectEdit{Create: &ProjectSpec{Name: "a", Token: "t"}}); err != nil {
		b.Fatal(err)
	}
	index := uint64(1)
	for b.Loop() {
		b.StopTimer()
		e := build()
		index++
		b.StartTimer()
		if _, err := s.ApplyEvents(index, 1, 1, e); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/rows, "ns/event")
}
