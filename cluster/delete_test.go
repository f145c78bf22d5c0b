package cluster

import (
	"errors"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/prickledb/prickle/storage"
	"github.com/prickledb/prickle/storage/person"
	"github.com/prickledb/prickle/storage/vec"
	"github.com/prickledb/prickle/storage/vfs"
)

// liveRows is how many rows count.
func liveRows(t *testing.T, n *Node) int {
	t.Helper()
	sn, err := n.Store().Snapshot(1)
	if err != nil {
		t.Fatal(err)
	}
	defer sn.Release()
	rows := 0
	for _, seg := range sn.Segments() {
		dead, err := seg.Dead()
		if err != nil {
			t.Fatal(err)
		}
		rows += seg.Rows()
		if dead != nil {
			rows -= int(dead.GetCardinality())
		}
	}
	return rows
}

func user(i string) vec.UUIDValue { return person.UUIDOf(1, "user "+i) }

// Deletes are seen when they are answered, hold after a restart, whether it replays them or
// not, and a merge changes nothing.
func TestDeletes(t *testing.T) {
	dir := t.TempDir()
	n := openNode(t, Config{Dir: dir})
	ingest(t, n, 1, 0, 100, Receipt{Stored: 100})
	tries := 0
	find := func(sn *storage.Snapshot) (map[storage.SegmentID]*roaring.Bitmap, error) {
		tries++
		if tries == 1 { // between evaluating and applying, the segment is merged
			defer func() {
				ingest(t, n, 1, 100, 100, Receipt{Stored: 100})
				if err := n.MergeAll(t.Context()); err != nil {
					t.Error(err)
				}
			}()
		}
		return map[storage.SegmentID]*roaring.Bitmap{sn.Segments()[0].ID(): roaring.BitmapOf(1, 5)}, nil
	}
	if deleted, err := n.DeleteRows(t.Context(), 1, find); deleted != 2 || err != nil || tries != 2 {
		t.Fatalf("DeleteRows = %d, %v in %d tries, want 2 rows in 2", deleted, err, tries)
	}
	none := func(*storage.Snapshot) (map[storage.SegmentID]*roaring.Bitmap, error) { return nil, nil }
	if deleted, err := n.DeleteRows(t.Context(), 1, none); deleted != 0 || err != nil {
		t.Fatalf("DeleteRows of none = %d, %v", deleted, err)
	}
	if got := liveRows(t, n); got != 198 {
		t.Fatalf("%d rows count, want 198", got)
	}
	// Users 0 and 1 have four events each, of which two rows of user 0 are gone: rows are
	// in the order of persons.
	if deleted, err := n.DeletePersons(t.Context(), 1, []vec.UUIDValue{user("1"), user("2"), user("none")}, true); deleted != 2 || err != nil {
		t.Fatalf("DeletePersons = %d, %v, want 2", deleted, err)
	}
	if deleted, err := n.DeletePersons(t.Context(), 1, []vec.UUIDValue{user("3")}, false); deleted != 1 || err != nil {
		t.Fatalf("DeletePersons without events = %d, %v, want 1", deleted, err)
	}
	if updated, err := n.UpdatePersons(t.Context(), 1, []person.Update{{Person: user("4"), Set: []byte(`{"plan":"pro"}`)}}); updated != 1 || err != nil {
		t.Fatalf("UpdatePersons = %d, %v", updated, err)
	}
	if err := n.SplitPerson(t.Context(), 1, storage.PersonSplit{Person: user("4"), DistinctIDs: []string{"user 4"}}); !errors.Is(err, person.ErrShared) {
		t.Fatalf("SplitPerson: %v, want ErrShared", err)
	}
	want := liveRows(t, n)
	for range 2 {
		if err := n.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		n = openNode(t, Config{Dir: dir})
		if got := liveRows(t, n); got != want {
			t.Fatalf("after a restart %d rows count, want %d", got, want)
		}
	}
	if err := n.MergeAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := len(storedUUIDs(t, n, 1)); got != want {
		t.Errorf("after merges %d rows are stored, want %d", got, want)
	}
}

// An erasure waits for its time, and then nothing is left: in no file, and not in the log.
func TestErase(t *testing.T) {
	fs, now := vfs.NewMem(), time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	n := openNode(t, Config{FS: fs, Dir: "n", Clock: func() time.Time { return now }})
	ingest(t, n, 1, 0, 100, Receipt{Stored: 100})
	if err := n.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := n.DeletePersons(t.Context(), 1, []vec.UUIDValue{user("7")}, true); err != nil {
		t.Fatal(err)
	}
	state := func() (left int, pending int) {
		t.Helper()
		if err := n.store.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		r, err := storage.VerifyErased(fs, path.Join("n", "data"))
		if err != nil {
			t.Fatal(err)
		}
		return len(r.Remains), len(n.store.Erasures(true))
	}
	for _, c := range []struct {
		after time.Duration
		done  bool
	}{{0, false}, {11 * time.Hour, false}, {13 * time.Hour, true}} {
		now = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC).Add(c.after)
		if err := n.tendOnce(t.Context()); err != nil {
			t.Fatal(err)
		}
		if left, pending := state(); (left == 0) != c.done || (pending == 0) != c.done {
			t.Errorf("after %v: %d files have something left, %d erasures are pending", c.after, left, pending)
		}
	}
	// A query that still reads a file keeps it.
	if _, err := n.DeletePersons(t.Context(), 1, []vec.UUIDValue{user("8")}, true); err != nil {
		t.Fatal(err)
	}
	sn, err := n.store.Snapshot(1)
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Erase(t.Context()); err == nil || !strings.Contains(err.Error(), "no manifest names it") {
		t.Errorf("Erase while a query runs: %v", err)
	}
	sn.Release()
	if err := n.Erase(t.Context()); err != nil || len(n.store.Erasures(true)) > 0 {
		t.Errorf("Erase after the query: %v, pending %v", err, n.store.Erasures(true))
	}
	if first, err := n.log.FirstIndex(); err != nil || first <= n.store.Erasures(false)[0].Index {
		t.Errorf("the log begins with %d, %v", first, err)
	}
	if got := n.raft.ReloadableConfig().TrailingLogs; got != trailingLogs {
		t.Errorf("%d trailing logs, want %d", got, trailingLogs)
	}
}

// Events older than the project keeps go with the day, by the node's clock.
func TestRetention(t *testing.T) {
	now := time.UnixMicro(1_750_000_000_000_000).Add(30 * 24 * time.Hour)
	n := openNode(t, Config{FS: vfs.NewMem(), Dir: "n", Clock: func() time.Time { return now }})
	ingest(t, n, 1, 0, 10, Receipt{Stored: 10})
	if _, err := n.UpdateProject(t.Context(), storage.ProjectUpdate{ID: 1, Retention: new((30 * 24 * time.Hour).Microseconds())}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		days int
		want int
	}{{0, 10}, {1, 0}} {
		now = now.AddDate(0, 0, c.days)
		if err := n.tendOnce(t.Context()); err != nil {
			t.Fatal(err)
		}
		before := n.store.AppliedIndex()
		if err := n.tendOnce(t.Context()); err != nil || n.store.AppliedIndex() != before {
			t.Errorf("a second time on one day: %v, applied %d, before %d", err, n.store.AppliedIndex(), before)
		}
		if got := liveRows(t, n); got != c.want {
			t.Errorf("after %d more days %d rows count, want %d", c.days, got, c.want)
		}
	}
	if _, err := n.UpdateProject(t.Context(), storage.ProjectUpdate{ID: 9, Retention: new(int64)}); err == nil || !strings.Contains(err.Error(), "project 9") {
		t.Errorf("UpdateProject of project 9: %v", err)
	}
}
