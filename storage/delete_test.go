package storage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/prickledb/prickle/storage/event"
	"github.com/prickledb/prickle/storage/person"
	"github.com/prickledb/prickle/storage/segment"
	"github.com/prickledb/prickle/storage/vec"
	"github.com/prickledb/prickle/storage/vfs"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// sessionBatch is events of five persons, each with a session and properties of their own.
func sessionBatch(first, n int) *event.Batch {
	b := event.NewBuilder()
	for i := first; i < first+n; i++ {
		who := fmt.Sprintf("u%d", i%5)
		b.Begin(vec.UUIDValue{1, 15: byte(i)}, 1_750_000_000_000_000+int64(i)*1000)
		b.SetName([]byte("e"))
		b.SetDistinctID([]byte(who))
		b.Property([]byte("$session_id"), event.Text, []byte("session of "+who))
		b.Property([]byte("mail"), event.Text, []byte(who+"@example.org"))
		b.Op(event.PersonOp{Set: []byte(`{"mail":"` + who + `@example.org"}`)})
		b.End()
	}
	return b.Finish()
}

// mergeAll does the merges of a plan, from index on, and gives the next index.
func mergeAll(t *testing.T, s *Store, index uint64, next func() (MergePlan, bool)) uint64 {
	t.Helper()
	for {
		p, ok := next()
		if !ok {
			return index
		}
		must(t, s.Merge(t.Context(), index, 1, p))
		index += 2
	}
}

// rewrite seals with an entry that has the whole state written anew.
func rewrite(t *testing.T, s *Store) {
	t.Helper()
	must(t, s.ApplySeal(s.AppliedIndex()+1, 1, Seal{All: true}, nil))
	must(t, s.WaitDurable(t.Context()))
}

// traces lists the files of a store whose bytes, unpacked, hold a text.
func traces(t *testing.T, fs vfs.FS, text string) []string {
	t.Helper()
	var out []string
	for _, dir := range []string{segmentDir, stateDir} {
		names, err := fs.List("d/" + dir)
		must(t, err)
		for _, n := range names {
			raw, err := vfs.ReadFile(fs, "d/"+dir+"/"+n, 1<<20)
			must(t, err)
			if dir == stateDir {
				raw, err = openState(raw)
				must(t, err)
			} else {
				r, err := segment.OpenBytes(raw)
				must(t, err)
				var dump bytes.Buffer
				must(t, segment.Dump(&dump, r))
				raw = append(raw, dump.Bytes()...)
			}
			if bytes.Contains(raw, []byte(text)) {
				out = append(out, dir+"/"+n)
			}
		}
	}
	return out
}

// A person that is deleted with its events is gone from every answer at once, and from
// every file after a merge and a new state file; VerifyErased says which of them are not
// done, and finds out a merge that forgot who is dead.
func TestErasureIsProved(t *testing.T) {
	fs := vfs.NewMem()
	s := openAt(t, fs)
	createAs(t, s, 1, "a")
	_, err := s.ApplyEvents(2, 1, 1, sessionBatch(0, 20))
	must(t, err)
	must(t, s.Flush(t.Context()))
	_, err = s.ApplyEvents(3, 1, 1, sessionBatch(20, 20))
	must(t, err)
	u2 := person.UUIDOf(1, "u2")
	del := PersonDelete{Persons: []vec.UUIDValue{u2}, Events: true}
	if n, err := s.ApplyPersonDelete(4, 77, 1, del); n != 1 || err != nil {
		t.Fatalf("ApplyPersonDelete = %d, %v", n, err)
	}
	if n, err := s.ApplyPersonDelete(4, 77, 1, del); n != 0 || err != nil || len(s.Erasures(true)) != 1 {
		t.Fatalf("the same entry again: %d, %v, erasures %v", n, err, s.Erasures(true))
	}
	report := func() (*ErasureReport, string) {
		t.Helper()
		r, err := VerifyErased(fs, "d")
		must(t, err)
		var out strings.Builder
		must(t, r.WriteText(&out, []string{"monday"}))
		return r, out.String()
	}
	// The memtable had not been written: its rows never are.
	must(t, s.Flush(t.Context()))
	if got := s.Stats().Events; got != 36 {
		t.Errorf("%d events are stored, want 36: 4 more than count, until a merge", got)
	}
	r, text := report()
	if len(r.Remains) != 2 || !strings.Contains(text, "4 rows, 1 persons, 1 distinct ids and 1 sessions") ||
		!strings.Contains(text, "up to entry 4") || !strings.Contains(text, "1 distinct ids and 1 profiles") || !strings.Contains(text, "backup monday: not checked") {
		t.Errorf("before the merge:\n%s", text)
	}
	index := mergeAll(t, s, 5, s.PlanErasure) + 1
	rewrite(t, s)
	if r, text := report(); len(r.Remains) != 0 || len(r.Erasures) != 1 || r.Erasures[0].Done != 0 {
		t.Errorf("after the merge:\n%s", text)
	}
	for _, trace := range []string{"u2@example.org", "session of u2"} {
		if files := traces(t, fs, trace); len(files) > 0 {
			t.Errorf("%q is in %q", trace, files)
		}
	}
	must(t, s.ApplyErased(index, 99, 4))
	must(t, s.Flush(t.Context()))
	if r, text := report(); len(r.Remains) != 0 || r.Erasures[0].Done != 99 || strings.Contains(text, "log may") || len(s.Erasures(true)) != 0 {
		t.Errorf("when it is complete:\n%s", text)
	}

	// The same distinct id is somebody new, and no trace of who was erased.
	_, err = s.ApplyEvents(index+1, 1, 1, sessionBatch(40, 10))
	must(t, err)
	must(t, s.Flush(t.Context()))
	if r, text := report(); len(r.Remains) != 0 {
		t.Errorf("after the distinct id came again:\n%s", text)
	}
	must(t, s.Close())
	s = openAt(t, fs)
	defer s.Close()
	if got := s.Stats().Events; got != 42 || len(s.Erasures(false)) != 1 {
		t.Errorf("opened again: %d events, want 42, and erasures %v", got, s.Erasures(false))
	}

	// A merge that forgets who is dead.
	n, err := s.ApplyPersonDelete(index+2, 100, 1, PersonDelete{Persons: []vec.UUIDValue{u2, person.UUIDOf(1, "u3")}, Events: true})
	if n != 2 || err != nil {
		t.Fatalf("ApplyPersonDelete of two = %d, %v", n, err)
	}
	plan, _ := s.PlanErasure()
	must(t, s.ApplyMergePlan(index+3, 1, plan))
	in := &s.merges[index+3].inputs
	for i := range in.live {
		in.live[i] = &liveness{}
	}
	raw, err := s.mergeFiles(in, plan.FirstDay, plan.Days)
	must(t, err)
	must(t, s.ApplyMergeDone(index+4, 1, MergeDone{Plan: index + 3, Failed: true}))
	rewrite(t, s)
	must(t, vfs.WriteFile(fs, in.files[0].name(s), raw))
	r, text = report()
	if len(r.Remains) == 0 || !strings.HasPrefix(r.Remains[0].File, segmentDir) {
		t.Errorf("a merge that forgets dead rows is not found:\n%s", text)
	}
}

// Rows of a segment that was merged since are refused whole; a merge that began before they
// were deleted comes to nothing.
func TestDeleteAndMergeCross(t *testing.T) {
	s := openAt(t, vfs.NewMem())
	defer s.Close()
	createAs(t, s, 1, "a")
	for i := range uint64(2) {
		_, err := s.ApplyEvents(2+i, 1, 1, smallBatch(int(i)*10, 10))
		must(t, err)
		must(t, s.Flush(t.Context()))
	}
	plan, ok := s.PlanMergeAll()
	if !ok || len(plan.Inputs) != 2 {
		t.Fatalf("PlanMergeAll = %v, %v", plan, ok)
	}
	must(t, s.ApplyMergePlan(4, 1, plan))
	done, err := s.BuildMerge(t.Context(), 4)
	must(t, err)
	rows := map[SegmentID]*roaring.Bitmap{plan.Inputs[0]: roaring.BitmapOf(0, 3, 3000)}
	raw := AppendRowDelete(nil, rows)
	decoded, err := DecodeRowDelete(raw)
	must(t, err)
	if n, err := s.ApplyDelete(5, 1, 1, decoded); n != 2 || err != nil {
		t.Fatalf("ApplyDelete = %d, %v, want 2 rows", n, err)
	}
	if n, err := s.ApplyDelete(6, 1, 1, rows); n != 0 || err != nil {
		t.Fatalf("deleting what is deleted = %d, %v", n, err)
	}
	if err := s.ApplyMergeDone(7, 1, done); !errors.Is(err, ErrMergeVoid) {
		t.Fatalf("the end of a merge from before the delete: %v, want ErrMergeVoid", err)
	}
	mergeAll(t, s, 8, s.PlanMergeAll)
	if got := s.Stats(); got.Segments != 1 || got.Events != 18 {
		t.Fatalf("%d segments with %d events, want 1 with 18", got.Segments, got.Events)
	}
	if _, err := s.ApplyDelete(20, 1, 1, rows); !errors.Is(err, ErrConflict) {
		t.Fatalf("rows of a merged segment: %v, want ErrConflict", err)
	}
}

// Segments of which nothing is left go without being read, and what comes too late is never
// written.
func TestExpire(t *testing.T) {
	fs := vfs.NewMem()
	s := openAt(t, fs)
	p := createAs(t, s, 1, "a")
	_, err := s.ApplyProject(2, 1, ProjectEdit{Update: &ProjectUpdate{ID: p.ID, Retention: new(int64(5))}})
	must(t, err)
	_, err = s.ApplyEvents(3, 1, 1, smallBatch(0, 10))
	must(t, err)
	must(t, s.Flush(t.Context()))
	must(t, s.ApplyExpire(4, 1, 1, Expiry{Before: 1_760_000_000_000_000}))
	must(t, s.ApplyExpire(5, 1, 1, Expiry{Before: 5})) // never brings anything back
	_, err = s.ApplyEvents(6, 1, 1, smallBatch(10, 10))
	must(t, err)
	count := func() int {
		sn, err := s.Snapshot(1)
		must(t, err)
		defer sn.Release()
		n := 0
		for _, seg := range sn.Segments() {
			dead, err := seg.Dead()
			must(t, err)
			n += seg.Rows()
			if dead != nil {
				n -= int(dead.GetCardinality())
			}
		}
		return n
	}
	if n := count(); n != 0 {
		t.Errorf("%d events count, want none", n)
	}
	must(t, s.Flush(t.Context()))
	mergeAll(t, s, 7, s.PlanMerge)
	if got := s.Stats(); got.Segments != 0 || got.Events != 0 {
		t.Errorf("%d segments and %d events, want none", got.Segments, got.Events)
	}
	must(t, s.Close())
	s = openAt(t, fs)
	defer s.Close()
	if p, _ := s.Project(1); p.Retention != 5 || p.Expired != 1_760_000_000_000_000 {
		t.Errorf("opened again: %+v", p)
	}
}

// What cannot be done says why, and is an entry like any other.
func TestDeletesRefused(t *testing.T) {
	s := openAt(t, vfs.NewMem())
	defer s.Close()
	createAs(t, s, 1, "a")
	_, err := s.ApplyEvents(2, 1, 1, smallBatch(0, 10))
	must(t, err)
	u1 := person.UUIDOf(1, "u1")
	for i, c := range []struct {
		do   func(index uint64) error
		want string
	}{
		{func(ix uint64) error { _, err := s.ApplyDelete(ix, 1, 9, nil); return err }, "project 9: no such project"},
		{func(ix uint64) error { return s.ApplySplit(ix, 1, 1, PersonSplit{}) }, "no such person"},
		{func(ix uint64) error {
			return s.ApplySplit(ix, 1, 1, PersonSplit{Person: u1, DistinctIDs: []string{"u1"}})
		},
			`distinct id "u1": the person has its uuid from this distinct id; split off the others instead`},
		{func(ix uint64) error {
			return s.ApplySplit(ix, 1, 1, PersonSplit{Person: u1, DistinctIDs: []string{"u2"}})
		},
			`distinct id "u2": it is not one of this person`},
	} {
		index := uint64(10 + i)
		if err := c.do(index); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("case %d: %v, want %s", i, err, c.want)
		}
		if s.AppliedIndex() != index {
			t.Errorf("case %d: applied %d, want %d", i, s.AppliedIndex(), index)
		}
	}
	n, err := s.ApplyUpdate(20, 1, 1, []person.Update{{Person: u1, Set: []byte(`{"a":1}`)}, {Person: vec.UUIDValue{1}, Set: []byte(`{"a":1}`)}})
	if n != 1 || err != nil {
		t.Errorf("ApplyUpdate = %d, %v", n, err)
	}
	must(t, s.Flush(context.Background()))
}

func FuzzRowDelete(f *testing.F) {
	f.Add(AppendRowDelete(nil, map[SegmentID]*roaring.Bitmap{7: roaring.BitmapOf(1, 2, 3)}))
	f.Fuzz(func(t *testing.T, raw []byte) {
		rows, err := DecodeRowDelete(raw)
		if err != nil {
			return
		}
		if _, err := DecodeRowDelete(AppendRowDelete(nil, rows)); err != nil {
			t.Error(err)
		}
	})
}
