package storage

import (
	"errors"
	"io/fs"
	"testing"

	"github.com/prickledb/prickle/storage/event"
	"github.com/prickledb/prickle/storage/vfs"
)

// An adoption whose entry is replayed, before or after a flush, gives the same state; without
// its files nothing more is applied, and who was staged in vain leaves nothing.
func TestAdoptIsReplayed(t *testing.T) {
	from := openAt(t, vfs.NewMem())
	defer from.Close()
	createAs(t, from, 1, "a")
	for i := range 2 {
		_, err := from.ApplyEvents(uint64(2+i), 1, 1, smallBatch(i*20, 20, event.PersonOp{Kind: event.OpMergeDangerously, Other: []string{"", "u1"}[i]}))
		must(t, err)
		must(t, from.Flush(t.Context()))
	}
	disk := vfs.NewMem()
	s := openAt(t, disk)
	createAs(t, s, 1, "b")
	must(t, s.Flush(t.Context()))
	names := func() []string {
		list, err := disk.List("d/" + segmentDir)
		must(t, err)
		return list
	}
	stage := func(nonce uint64) *Adoption {
		t.Helper()
		a, err := s.Stage(t.Context(), from, 1, ProjectSpec{Name: "c", Token: "tc"}, nonce)
		must(t, err)
		return a
	}
	vain := stage(1<<63 | 7)
	must(t, s.Unstage(vain))
	if got := names(); len(got) > 0 {
		t.Errorf("left of what came to nothing: %v", got)
	}
	a := stage(8)
	apply := func() (uint64, error) {
		p, err := s.ApplyAdopt(2, 1, a)
		if err == nil && (p.ID != 2 || p.Origin != 1 || p.Database != "c") {
			t.Errorf("project %+v", p)
		}
		_, hash := s.StateHash()
		return hash, err
	}
	hash, err := apply()
	must(t, err)
	reopen := func() {
		t.Helper()
		must(t, s.Close())
		s = openAt(t, disk)
	}
	for range 2 { // the second start replays what the first did not flush
		reopen()
		if again, err := apply(); again != hash || err != nil {
			t.Errorf("replayed: state hash %x, %v, want %x", again, err, hash)
		}
		must(t, s.RemoveUnused())
	}
	must(t, s.Flush(t.Context()))
	reopen()
	if _, again := s.StateHash(); again != hash || s.Stats().Events != 40 {
		t.Errorf("after a flush: state hash %x, %d events, want %x, 40", again, s.Stats().Events, hash)
	}
	must(t, s.Unstage(a))
	if got := names(); len(got) != 2 {
		t.Errorf("files %v, want two segments", got)
	}
	if _, err := s.ApplyEvents(3, 1, 2, smallBatch(40, 5)); err != nil {
		t.Error(err)
	}
	sn, err := s.Snapshot(2)
	must(t, err)
	if roots := sn.Identity().Len(); roots != 1 {
		t.Errorf("%d merged persons, want 1", roots)
	}
	sn.Release()
	must(t, s.Close())

	s = openAt(t, vfs.NewMem())
	defer s.Close()
	createAs(t, s, 1, "b")
	if _, err := s.ApplyAdopt(2, 1, a); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without its files: %v", err)
	}
	if _, err := s.ApplyEvents(3, 1, 1, smallBatch(0, 5)); err == nil {
		t.Error("entries are applied after an adoption that was not")
	}
}
