package storage

import (
	"testing"

	"github.com/prickledb/prickle/storage/vec"
	"github.com/prickledb/prickle/storage/vfs"
)

// Views of the memtable end at a number of rows, and no row is missing or twice, however
// queries and batches come.
func TestViewsAreBounded(t *testing.T) {
	defer func(rows int) { viewRows = rows }(viewRows)
	viewRows = 50
	s := openAt(t, vfs.NewMem())
	defer s.Close()
	createAs(t, s, 1, "a")
	for i := range 30 {
		_, err := s.ApplyEvents(uint64(2+i), 1, 1, smallBatch(i*10, 10))
		must(t, err)
		if i%7 != 3 && i > 12 || i == 29 {
			continue // the first query comes late, and some come often
		}
		sn, err := s.Snapshot(1)
		must(t, err)
		rows := 0
		for _, seg := range sn.Segments() {
			rows += seg.Rows()
			if seg.Rows() > viewRows+10 {
				t.Errorf("after %d rows: an image of %d", 10*(i+1), seg.Rows())
			}
		}
		sn.Release()
		if rows != 10*(i+1) {
			t.Errorf("%d rows, want %d", rows, 10*(i+1))
		}
	}
	sn, err := s.Snapshot(1)
	must(t, err)
	defer sn.Release()
	seen := map[vec.UUIDValue]bool{}
	for _, seg := range sn.Segments() {
		uuids := make([]vec.UUIDValue, seg.Rows())
		must(t, seg.UUIDs(uuids, 0, len(uuids)))
		for _, u := range uuids {
			seen[u] = true
		}
	}
	if len(seen) != 300 {
		t.Errorf("%d different uuids, want 300", len(seen))
	}
}
