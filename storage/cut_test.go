package storage

import (
	"fmt"
	"strings"
	"testing"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/prickledb/prickle/storage/vfs"
)

// A merge that is being written, and one that is done, change nothing of the snapshots
// that were taken before, and hold up none.
func TestSnapshotDuringMerge(t *testing.T) {
	fs := vfs.NewMem()
	merging, goOn := make(chan struct{}), make(chan struct{})
	fs.Hook = func(op, name string) error {
		if op == "write" && strings.Contains(name, fmt.Sprint(uint64(mergeIDs))[:4]) {
			close(merging)
			<-goOn
		}
		return nil
	}
	s, err := Open(fs, "d", Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	createAs(t, s, 1, "a")
	for i := range 2 {
		if _, err := s.ApplyEvents(uint64(2+i), 1, 1, smallBatch(i*10, 10)); err != nil {
			t.Fatal(err)
		}
		if err := s.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	plan, ok := s.PlanMergeAll()
	if !ok {
		t.Fatal("nothing to merge")
	}
	rows := func(sn *Snapshot) (n int) {
		for _, r := range sn.Segments() {
			n += r.Rows()
		}
		return n
	}
	if err := s.ApplyMergePlan(4, 1, plan); err != nil {
		t.Fatal(err)
	}
	type outcome struct {
		done MergeDone
		err  error
	}
	built := make(chan outcome, 1)
	go func() {
		done, err := s.BuildMerge(t.Context(), 4)
		built <- outcome{done, err}
	}()
	<-merging
	before, err := s.Snapshot(1)
	if err != nil {
		t.Fatal(err)
	}
	defer before.Release()
	close(goOn)
	out := <-built
	if out.err != nil {
		t.Fatal(out.err)
	}
	if err := s.ApplyMergeDone(5, 1, out.done); err != nil {
		t.Fatal(err)
	}
	after, err := s.Snapshot(1)
	if err != nil {
		t.Fatal(err)
	}
	defer after.Release()
	if len(before.Segments()) != 2 || len(after.Segments()) != 1 || rows(before) != 20 || rows(after) != 20 {
		t.Errorf("before the merge %d segments with %d rows, after it %d with %d, want 2, 20, 1, 20",
			len(before.Segments()), rows(before), len(after.Segments()), rows(after))
	}
}

// The room that a merge needs shrinks by the share of rows that are dead; what is gone
// needs none.
func TestMergeRoom(t *testing.T) {
	s := openAt(t, vfs.NewMem())
	createAs(t, s, 1, "a")
	for i := range 2 {
		_, err := s.ApplyEvents(uint64(2+i), 1, 1, smallBatch(i*10, 10))
		must(t, err)
		must(t, s.Flush(t.Context()))
	}
	plan, ok := s.PlanMergeAll()
	if !ok {
		t.Fatal("nothing to merge")
	}
	size := s.Stats().Bytes
	if output, freed := s.MergeRoom(plan); output != size || freed != 0 {
		t.Errorf("room for %d bytes, %d freed, want %d and 0", output, freed, size)
	}
	rows := map[SegmentID]*roaring.Bitmap{plan.Inputs[0]: roaring.BitmapOf(0, 1, 2, 3, 4)}
	_, err := s.ApplyDelete(4, 1, 1, rows)
	must(t, err)
	if output, freed := s.MergeRoom(plan); output+freed != size || freed < size/5 || freed > size/3 {
		t.Errorf("with a quarter dead: room for %d bytes, %d freed, of %d", output, freed, size)
	}
	must(t, s.ApplyExpire(5, 1, 1, Expiry{Before: 1 << 60}))
	if output, freed := s.MergeRoom(plan); output != 0 || freed != size {
		t.Errorf("with all dead: room for %d bytes, %d freed, of %d", output, freed, size)
	}
	plan.Project = 9
	if output, freed := s.MergeRoom(plan); output != 0 || freed != 0 {
		t.Errorf("in no project: %d bytes, %d freed", output, freed)
	}
}
