package cluster

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prickledb/prickle/storage"
	"github.com/prickledb/prickle/storage/blob"
	"github.com/prickledb/prickle/storage/vec"
)

// A project of a backup becomes one of a running node beside those that it has: with all its
// events, persons and tables, over a restart too; it is a project like any other.
func TestRestoreInto(t *testing.T) {
	from := openNode(t, Config{Store: storage.Options{SealRows: 500}})
	w := &randomWork{t: t, n: from, rng: random(t)}
	for range 60 {
		w.step()
	}
	store := blob.NewMem()
	if _, err := from.Backup(t.Context(), store, nil); err != nil {
		t.Fatal(err)
	}
	want := projectFingerprint(t, from, 1)

	dir := t.TempDir()
	n := openNode(t, Config{Dir: dir, Store: storage.Options{SealRows: 500}})
	ingest(t, n, 7, 0, 30, Receipt{Stored: 30})
	own := projectFingerprint(t, n, 1)
	into := func(o IntoOptions) (*Adopted, error) { return n.RestoreInto(t.Context(), store, o) }
	if len(from.Store().Projects()) > 1 {
		if _, err := into(IntoOptions{}); !errors.Is(err, ErrWhichProject) {
			t.Errorf("RestoreInto of one of several = %v, want ErrWhichProject", err)
		}
	}
	if _, err := into(IntoOptions{Project: "nobody"}); !errors.Is(err, ErrWhichProject) || !strings.Contains(err.Error(), `no project "nobody"; it has [`) {
		t.Errorf("RestoreInto of a project that is not there = %v", err)
	}
	a, err := into(IntoOptions{Project: "prickle"})
	if err != nil {
		t.Fatal(err)
	}
	b, err := into(IntoOptions{Project: "prickle", Name: "again"})
	if err != nil {
		t.Fatal(err)
	}
	if a.Project.Name != "prickle restored" || a.Project.Database != "prickle_restored" || b.Project.Name != "again" || a.Project.ID == b.Project.ID || a.Project.Token == b.Project.Token || a.Project.Origin != 1 {
		t.Errorf("projects %+v and %+v", a.Project, b.Project)
	}
	check := func(when string) {
		t.Helper()
		for _, p := range []storage.Project{a.Project, b.Project} {
			if got := projectFingerprint(t, n, p.ID); got != want {
				t.Errorf("%s: project %q\n%s\nwant\n%s", when, p.Name, got, want)
			}
		}
		if got := projectFingerprint(t, n, 1); got != own {
			t.Errorf("%s: the project that was there\n%s\nwant\n%s", when, got, own)
		}
	}
	check("restored")
	if left, err := os.ReadDir(filepath.Join(dir, incomingDir)); err == nil {
		t.Errorf("%s is still there: %v", incomingDir, left)
	}
	index, hash := n.Store().StateHash()
	gone, cancel := context.WithCancel(t.Context())
	cancel() // no flush
	if err := n.Close(gone); err != nil {
		t.Fatal(err)
	}
	n = openNode(t, Config{Dir: dir, Store: storage.Options{SealRows: 500}})
	if at, got := n.Store().StateHash(); at != index || got != hash {
		t.Errorf("after a restart: state hash %x at %d, want %x at %d", got, at, hash, index)
	}
	check("after a restart")

	// Who was there is known; merges, splits and erasures count as before.
	sn, err := n.Store().Snapshot(a.Project.ID)
	if err != nil {
		t.Fatal(err)
	}
	known := false
	for id := range sn.Persons().DistinctIDs() {
		known = known || id == "user 3"
	}
	sn.Release()
	if !known {
		t.Fatal("user 3 is not there")
	}
	if r, err := n.Ingest(t.Context(), a.Project.ID, testBatch(3, 0, 20)); err != nil || r.Stored != 20 {
		t.Fatal(r, err)
	}
	if deleted, err := n.DeletePersons(t.Context(), a.Project.ID, []vec.UUIDValue{user("3")}, true); deleted != 1 || err != nil {
		t.Fatal(deleted, err)
	}
	if err := n.Erase(t.Context()); err != nil {
		t.Fatal(err)
	}
	if v, err := n.Verify(t.Context(), nil); err != nil || len(v.Problems) > 0 {
		t.Errorf("Verify = %+v, %v", v, err)
	}
	if err := n.DeleteProject(t.Context(), a.Project.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := n.Backup(t.Context(), blob.NewMem(), nil); err != nil {
		t.Fatal(err)
	}
}

// An adoption that is refused in apply is refused again whenever the log is replayed, and its
// files go once the manifest covers it.
func TestRefusedAdoptionIsReplayed(t *testing.T) {
	from := openNode(t, Config{})
	ingest(t, from, 1, 0, 10, Receipt{Stored: 10})
	if err := from.MergeAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	n := openNode(t, Config{Dir: dir})
	segments := filepath.Join(dir, storeDir, "segments")
	list := func() (names []string) {
		t.Helper()
		all, err := os.ReadDir(segments)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range all {
			names = append(names, e.Name())
		}
		return names
	}
	taken := n.Store().Projects()[0].Token
	if _, _, err := n.adopt(t.Context(), from.Store(), 1, storage.ProjectSpec{Name: "x", Token: taken}); err == nil || !strings.Contains(err.Error(), "another project has its token") {
		t.Fatalf("adopt = %v", err)
	}
	if got := list(); len(got) != 2 {
		t.Errorf("files %v, want a state file and a segment", got)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range []struct {
		how  context.Context
		left int
	}{{gone, 2}, {gone, 2}, {t.Context(), 0}} { // without a flush, the entry is replayed
		if err := n.Close(c.how); err != nil {
			t.Fatal(err)
		}
		n = openNode(t, Config{Dir: dir})
		if got := list(); len(got) != c.left || len(n.Store().Projects()) != 1 {
			t.Errorf("after a restart: files %v, want %d; %d projects", got, c.left, len(n.Store().Projects()))
		}
	}
}
