package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"testing"

	"github.com/prickledb/prickle/storage/dedup"
	"github.com/prickledb/prickle/storage/event"
	"github.com/prickledb/prickle/storage/vfs"
)

// What is pinned stays, whatever is flushed and merged, until the last one lets go.
func TestPin(t *testing.T) {
	mem := vfs.NewMem()
	s := openAt(t, mem)
	createAs(t, s, 1, "a")
	index := uint64(1)
	flush := func() {
		t.Helper()
		index++
		set := event.PersonOp{Row: 0, Set: fmt.Appendf(nil, `{"n":%d}`, index)}
		if _, err := s.ApplyEvents(index, int64(index), 1, smallBatch(int(index)*10, 5, set)); err != nil {
			t.Fatal(err)
		}
		if err := s.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	there := func(p *Pin) (missing []string) {
		for _, f := range p.Files {
			raw, err := vfs.ReadFile(mem, path.Join("d", f.Name), 1<<20)
			if errors.Is(err, fs.ErrNotExist) {
				missing = append(missing, f.Name)
			} else if err != nil || int64(len(raw)) != f.Size || hashOf(raw) != f.Hash {
				t.Errorf("%s: %d bytes, %v, want %d with its hash", f.Name, len(raw), err, f.Size)
			}
		}
		return missing
	}
	merge := func() {
		t.Helper()
		plan, ok := s.PlanMergeAll()
		if !ok {
			t.Fatal("nothing to merge")
		}
		if err := s.Merge(t.Context(), index+1, int64(index+1), plan); err != nil {
			t.Fatal(err)
		}
		index += 2
	}
	flush()
	flush()
	p, err := s.Pin()
	if err != nil {
		t.Fatal(err)
	}
	other, err := s.Pin()
	if err != nil {
		t.Fatal(err)
	}
	if p.Manifest.Applied != 3 || len(p.Files) != len(p.Manifest.Segments)+len(p.Manifest.States)+len(p.Manifest.Runs) || len(p.Manifest.Runs) == 0 || len(p.Manifest.States) < 2 {
		t.Fatalf("pinned %+v: %v", p.Manifest, p.Files)
	}
	for range 2 * maxStates { // all state files are replaced
		flush()
	}
	merge()
	merged, err := s.Pin() // the manifest names the inputs, which are in no list any more
	if err != nil {
		t.Fatal(err)
	}
	flush() // now it does not
	now := s.log.Manifest()
	if slices.Contains(now.States, p.Manifest.States[0]) || len(now.Segments) >= 2*maxStates {
		t.Fatalf("the manifest has %d segments and states %v: nothing was replaced", len(now.Segments), now.States)
	}
	if missing := there(merged); len(missing) > 0 || len(merged.Manifest.Segments) <= len(now.Segments) {
		t.Errorf("pinned inputs %v of a merge are gone", missing)
	}
	merged.Release()
	if missing := there(p); len(missing) > 0 {
		t.Errorf("pinned files %v are gone", missing)
	}
	if err := Verify(t.Context(), mem, "d", p.Manifest, func(name string, _ int64, err error) {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}); err != nil {
		t.Error(err)
	}
	p.Release()
	p.Release() // once is enough
	if missing := there(other); len(missing) > 0 {
		t.Errorf("files %v are gone, and somebody holds them", missing)
	}
	other.Release()
	// Dedup runs go when somebody merges them, which no test waits for.
	gone := there(other)
	left := slices.DeleteFunc(other.Files, func(f PinnedFile) bool { return slices.Contains(gone, f.Name) || path.Dir(f.Name) == dedup.Dir })
	if len(left) > 0 {
		t.Errorf("files %v are there, and nobody holds them", left)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Pin(); !errors.Is(err, ErrClosed) {
		t.Errorf("Pin of a closed store = %v, want ErrClosed", err)
	}
}

// A file goes when it is removed and nobody holds it, whichever comes first; so do the
// files of packages that get the store's file system.
func TestPins(t *testing.T) {
	mem := vfs.NewMem()
	held := &pins{FS: mem, held: map[string]pinnedFile{}}
	there := func(name string) bool {
		_, err := vfs.ReadFile(mem, name, 10)
		return err == nil
	}
	for _, name := range []string{"a", "b", "c"} {
		if err := vfs.WriteFile(held, name, nil); err != nil {
			t.Fatal(err)
		}
	}
	held.hold([]string{"a", "b"})
	held.hold([]string{"a"})
	for _, name := range []string{"a", "c"} {
		if err := held.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	held.release([]string{"a", "b"})
	if !there("a") || !there("b") || there("c") {
		t.Errorf("a %v, b %v, c %v, want a, which is held, and b", there("a"), there("b"), there("c"))
	}
	held.release([]string{"a"})
	if there("a") || len(held.held) > 0 {
		t.Errorf("a %v, want it gone; held %v", there("a"), held.held)
	}
}
