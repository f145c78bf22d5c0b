package storage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"testing"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/prickledb/prickle/storage/event"
	"github.com/prickledb/prickle/storage/person"
	"github.com/prickledb/prickle/storage/segment"
	"github.com/prickledb/prickle/storage/vec"
	"github.com/prickledb/prickle/storage/vfs"
)

func smallBatch(first, n int, ops ...event.PersonOp) *event.Batch {
	b := event.NewBuilder()
	for i := first; i < first+n; i++ {
		b.Begin(vec.UUIDValue{1, 15: byte(i), 14: byte(i >> 8)}, 1_750_000_000_000_000+int64(i)*1000)
		b.SetName([]byte("e"))
		b.SetDistinctID(fmt.Appendf(nil, "u%d", i%5))
		for _, o := range ops {
			if int(o.Row) == i-first {
				b.Op(o)
			}
		}
		b.End()
	}
	return b.Finish()
}

func openAt(t *testing.T, fs vfs.FS) *Store {
	t.Helper()
	s, err := Open(fs, "d", Options{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}
func createAs(t *testing.T, s *Store, ix uint64, name string) Project {
	t.Helper()
	p, err := s.ApplyProject(ix, 1, ProjectEdit{Create: &ProjectSpec{Name: name, Token: "t" + name}})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// An entry without effect is durable like any other: Flush does not wait for ever.
func TestFlushAfterEntryOfNoProject(t *testing.T) {
	s := openAt(t, vfs.NewMem())
	createAs(t, s, 1, "a")
	_, err := s.ApplyEvents(2, 1, 99, smallBatch(0, 3))
	if !errors.Is(err, ErrNoProject) {
		t.Fatal(err)
	}
	ctx, c := context.WithTimeout(context.Background(), time.Minute)
	defer c()
	if err := s.Flush(ctx); err != nil {
		t.Errorf("Flush after an entry of a missing project: %v (durable %d applied %d)", err, s.DurableIndex(), s.AppliedIndex())
	}
}

// A restart gives the next project the number that it gets without one.
func TestProjectNumbersAreNotReused(t *testing.T) {
	fs := vfs.NewMem()
	s := openAt(t, fs)
	ix := uint64(1)
	createAs(t, s, ix, "a")
	ix++
	b := createAs(t, s, ix, "b")
	ix++
	s.ApplyProject(ix, 1, ProjectEdit{Delete: b.ID})
	for i := range 20 {
		ix++
		s.ApplyEvents(ix, 1, 1, smallBatch(i*3, 3, event.PersonOp{Row: 0, Set: []byte(fmt.Sprintf(`{"a": %d}`, i))}))
		if err := s.Flush(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	s.Close()
	s = openAt(t, fs)
	if p := createAs(t, s, ix+1, "c"); p.ID != 3 {
		t.Errorf("project after restart has id %d, without one it has 3", p.ID)
	}
}

// A first start that was cut short at any step can be repeated.
func TestCrashInFirstStart(t *testing.T) {
	for n := 1; n < 40; n++ {
		fs := vfs.NewMem()
		k := 0
		fs.Hook = func(op, name string) error {
			if k++; k >= n {
				return errors.New("power")
			}
			return nil
		}
		s, err := Open(fs, "d", Options{})
		if err == nil {
			s.Close()
			return
		}
		c := fs.Crash(nil)
		if s, err = Open(c, "d", Options{}); err != nil {
			t.Errorf("crash at step %d of the first start: %v", n, err)
			continue
		}
		s.Close()
	}
}

// A whole state without projects can be read again.
func TestNoProjectsLeft(t *testing.T) {
	fs := vfs.NewMem()
	s := openAt(t, fs)
	ix := uint64(1)
	createAs(t, s, ix, "a")
	for i := range 16 {
		ix++
		s.ApplyEvents(ix, 1, 1, smallBatch(i*3, 3, event.PersonOp{Row: 0, Set: []byte(fmt.Sprintf(`{"a": %d}`, i))}))
		s.Flush(context.Background())
	}
	ix++
	s.ApplyProject(ix, 1, ProjectEdit{Delete: 1})
	if err := s.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	s.Close()
	if _, err := Open(fs, "d", Options{}); err != nil {
		t.Errorf("reopen: %v", err)
	}
}

// Operations of one row are all carried out, and do not hide later ones.
func TestTwoOperationsOfOneRow(t *testing.T) {
	s := openAt(t, vfs.NewMem())
	createAs(t, s, 1, "a")
	s.ApplyEvents(2, 1, 1, smallBatch(0, 4,
		event.PersonOp{Row: 0, Set: []byte(`{"a": 1}`)}, event.PersonOp{Row: 0, Set: []byte(`{"b": 1}`)}, event.PersonOp{Row: 2, Set: []byte(`{"c": 1}`)}))
	sn, err := s.Snapshot(1)
	if err != nil {
		t.Fatal(err)
	}
	defer sn.Release()
	for ord, want := range map[uint32]string{0: `{"a": 1, "b": 1}`, 2: `{"c": 1}`} {
		if got := string(sn.Persons().Properties(ord)); got != want {
			t.Errorf("properties of person %d are %s, want %s", ord, got, want)
		}
	}
}

// A merge is written and agreed on, and the process dies before the manifest has it: the
// replay finds the output, or builds it again if it is damaged or gone. If it cannot be what
// was agreed on, the inputs stay.
func TestMergeIsReplayed(t *testing.T) {
	for _, c := range []struct {
		name     string
		break_   func(fs vfs.FS, name string)
		segments int
	}{
		{"whole", func(vfs.FS, string) {}, 1},
		{"gone", func(fs vfs.FS, name string) { fs.Remove(name) }, 1},
		{"damaged", func(fs vfs.FS, name string) { vfs.WriteFile(fs, name, []byte("x")) }, 1},
		{"other", func(vfs.FS, string) {}, 2},
	} {
		fs := vfs.NewMem()
		s := openAt(t, fs)
		createAs(t, s, 1, "a")
		for i := range 2 {
			s.ApplyEvents(uint64(2+i), 1, 1, smallBatch(i*3, 3))
			s.Flush(context.Background())
		}
		plan, ok := s.PlanMergeAll()
		if !ok {
			t.Fatal("no plan")
		}
		if err := s.ApplyMergePlan(4, 1, plan); err != nil {
			t.Fatal(err)
		}
		if _, again := s.PlanMergeAll(); again {
			t.Error("segments of a merge under way are planned again")
		}
		done, err := s.BuildMerge(context.Background(), 4)
		if err != nil {
			t.Fatal(err)
		}
		s.Close()
		openAt(t, fs).Close() // a start that dies before it replays
		c.break_(fs, "d/segments/"+segmentName(mergeIDs+4))
		s = openAt(t, fs)
		if err := s.ApplyMergePlan(4, 1, plan); err != nil {
			t.Fatal(err)
		}
		s.ApplyEvents(5, 1, 1, smallBatch(100, 7))
		if c.name == "other" {
			done.Hash = hashOf([]byte("x"))
		}
		if err := s.ApplyMergeDone(6, 1, done); (err == nil) != (c.segments == 1) {
			t.Errorf("%s: ApplyMergeDone: %v", c.name, err)
		}
		if err := s.RemoveUnused(); err != nil {
			t.Fatal(err)
		}
		for _, when := range []string{"replayed", "flushed", "opened again"} {
			switch when {
			case "flushed":
				if err := s.Flush(context.Background()); err != nil {
					t.Fatal(err)
				}
			case "opened again":
				s.Close()
				s = openAt(t, fs)
			}
			sn, err := s.Snapshot(1)
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			for _, r := range sn.Segments() {
				n += r.Rows()
			}
			if n != 13 || len(sn.Segments()) != c.segments+1 {
				t.Errorf("%s, %s: %d rows in %d segments, want 13 in %d", c.name, when, n, len(sn.Segments()), c.segments+1)
			}
			sn.Release()
		}
		s.Close()
	}
}

// A merge that was planned before a restart goes on where it was: what its output is made of
// is kept. If it is not, as in state files of before, it can only fail; then its inputs are
// free for another.
func TestPlanOutlivesRestart(t *testing.T) {
	fs := vfs.NewMem()
	s := openAt(t, fs)
	createAs(t, s, 1, "a")
	for i := range 2 {
		s.ApplyEvents(uint64(2+i), 1, 1, smallBatch(i*3, 3))
		s.Flush(context.Background())
	}
	plan, _ := s.PlanMergeAll()
	if err := s.ApplyMergePlan(4, 1, plan); err != nil {
		t.Fatal(err)
	}
	if err := s.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	s.Close()
	s = openAt(t, fs)
	defer s.Close()
	if got := s.PendingMerges(); len(got) != 1 || got[0] != 4 {
		t.Fatalf("PendingMerges() = %v, want [4]", got)
	}
	if done, err := s.BuildMerge(context.Background(), 4); err != nil || done.Rows != 6 {
		t.Errorf("BuildMerge = %+v, %v, want 6 rows", done, err)
	}
	s.merges[4].inputs.files = nil
	if _, err := s.BuildMerge(context.Background(), 4); !errors.Is(err, ErrMergeVoid) {
		t.Errorf("BuildMerge: %v", err)
	}
	if err := s.ApplyMergePlan(5, 1, plan); !errors.Is(err, ErrMergeVoid) {
		t.Errorf("a second plan of the same inputs: %v", err)
	}
	if err := s.ApplyMergeDone(6, 1, MergeDone{Plan: 4, Failed: true}); err != nil {
		t.Fatal(err)
	}
	if err := s.Merge(context.Background(), 7, 1, plan); err != nil {
		t.Fatal(err)
	}
	if n := s.Stats().Segments; n != 1 {
		t.Errorf("%d segments, want 1", n)
	}
}

// A file that the flusher removes while unused ones are looked for is no reason not to start.
func TestRemoveUnusedIsNotAlone(t *testing.T) {
	mem := vfs.NewMem()
	s := openAt(t, mem)
	defer s.Close()
	name := "d/segments/" + segmentName(mergeIDs+4)
	if err := vfs.WriteFile(mem, name, []byte("x")); err != nil {
		t.Fatal(err)
	}
	mem.Hook = func(op, of string) error {
		if op == "remove" && of == name {
			return fs.ErrNotExist
		}
		return nil
	}
	if err := s.RemoveUnused(); err != nil {
		t.Errorf("RemoveUnused: %v", err)
	}
}

// The output of a merge that is damaged after a flush came between its plan and its end is
// built again, of what the plan found, though persons have changed since: the files, and all
// that follows, are the same as without damage.
func TestMergeIsBuiltAgainAfterFlush(t *testing.T) {
	person := func(id string) vec.UUIDValue { return person.UUIDOf(1, id) }
	into := func(other string) event.PersonOp {
		return event.PersonOp{Kind: event.OpMergeDangerously, Other: other}
	}
	// before and after are what happens around the flush; plan and end are the merge's entries.
	before := func(t *testing.T, s *Store) MergeDone {
		createAs(t, s, 1, "a")
		for i := range 3 {
			_, err := s.ApplyEvents(uint64(2+i), 1, 1, smallBatch(i*20, 20))
			must(t, err)
			must(t, s.Flush(t.Context()))
		}
		_, err := s.ApplyEvents(5, 1, 1, smallBatch(60, 5, into("u1"))) // u0 is row 0
		must(t, err)
		must(t, s.ApplySplit(6, 1, 1, PersonSplit{Person: person("u0"), DistinctIDs: []string{"u1"}}))
		if n, err := s.ApplyPersonDelete(7, 1, 1, PersonDelete{Persons: []vec.UUIDValue{person("u2")}, Events: true}); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		_, err = s.ApplyEvents(8, 1, 1, smallBatch(65, 5, into("u4")))
		must(t, err)
		must(t, s.Flush(t.Context()))
		plan, ok := s.PlanMergeAll()
		if !ok || len(plan.Inputs) != 4 {
			t.Fatalf("PlanMergeAll() = %v", plan)
		}
		must(t, s.ApplyMergePlan(9, 1, plan))
		done, err := s.BuildMerge(t.Context(), 9)
		must(t, err)
		_, err = s.ApplyEvents(10, 1, 1, smallBatch(70, 5, into("u3")))
		must(t, err)
		if n, err := s.ApplyPersonDelete(11, 1, 1, PersonDelete{Persons: []vec.UUIDValue{person("u1")}, Events: true}); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		must(t, s.Flush(t.Context()))
		return done
	}
	after := func(t *testing.T, s *Store, done MergeDone) (hash uint64, bytes []byte) {
		must(t, s.ApplyMergeDone(12, 1, done))
		rows := map[SegmentID]*roaring.Bitmap{SegmentID(mergeIDs + 9): roaring.BitmapOf(1, 2, 3)}
		if n, err := s.ApplyDelete(13, 1, 1, rows); n != 3 || err != nil {
			t.Errorf("ApplyDelete of rows of the output = %d, %v", n, err)
		}
		must(t, s.Flush(t.Context()))
		if next := mergeAll(t, s, 14, s.PlanMergeAll); next == 14 {
			t.Errorf("nothing is merged")
		}
		_, hash = s.StateHash()
		sn, err := s.Snapshot(1)
		must(t, err)
		defer sn.Release()
		raw, err := vfs.ReadFile(s.fs, sn.files[len(sn.files)-1].name(s), 1<<20)
		must(t, err)
		return hash, raw
	}
	whole := openAt(t, vfs.NewMem())
	defer whole.Close()
	done := before(t, whole)
	if done.Dead != 13 {
		t.Errorf("%d rows are left out, want 13", done.Dead)
	}
	hash, raw := after(t, whole, done)

	disk := vfs.NewMem()
	s := openAt(t, disk)
	if again := before(t, s); again != done {
		t.Fatalf("two merges: %+v and %+v", done, again)
	}
	must(t, s.Close())
	must(t, vfs.WriteFile(disk, "d/segments/"+segmentName(mergeIDs+9), []byte("damaged")))
	s = openAt(t, disk)
	defer s.Close()
	hash2, raw2 := after(t, s, done)
	if hash2 != hash || !bytes.Equal(raw, raw2) {
		t.Errorf("state hash %x, without damage %x; segments are equal: %v", hash2, hash, bytes.Equal(raw, raw2))
	}
}

// The output of a merge counts though one of its inputs is damaged after it was written.
func TestMergeOutlivesItsInputs(t *testing.T) {
	disk := vfs.NewMem()
	s := openAt(t, disk)
	createAs(t, s, 1, "a")
	for i := range 2 {
		_, err := s.ApplyEvents(uint64(2+i), 1, 1, smallBatch(i*20, 20))
		must(t, err)
		must(t, s.Flush(t.Context()))
	}
	plan, _ := s.PlanMergeAll()
	var done MergeDone
	merge := func() {
		t.Helper()
		must(t, s.ApplyMergePlan(4, 1, plan))
		if done.Rows == 0 {
			var err error
			done, err = s.BuildMerge(t.Context(), 4)
			must(t, err)
		}
		must(t, s.ApplyMergeDone(5, 1, done))
	}
	merge()
	_, hash := s.StateHash()
	must(t, s.Close())

	name := "d/segments/" + segmentName(uint64(plan.Inputs[0]))
	raw, err := vfs.ReadFile(disk, name, 1<<20)
	must(t, err)
	footer, err := segment.FooterSize(raw, int64(len(raw)))
	must(t, err)
	for i := segment.HeadSize; i < len(raw)-int(footer); i++ {
		raw[i] ^= 1
	}
	must(t, vfs.WriteFile(disk, name, raw))

	s = openAt(t, disk)
	defer s.Close()
	merge()
	if _, again := s.StateHash(); again != hash || s.Stats().Segments != 1 {
		t.Errorf("replayed: state hash %x and %d segments, want %x and 1", again, s.Stats().Segments, hash)
	}
	if got := len(propertiesOf(t, s)); got != 40 {
		t.Errorf("%d rows, want 40", got)
	}
}
