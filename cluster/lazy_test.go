package cluster

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prickledb/prickle/cluster/backup"
	"github.com/prickledb/prickle/storage"
	"github.com/prickledb/prickle/storage/blob"
	"github.com/prickledb/prickle/storage/vec"
	"github.com/prickledb/prickle/storage/vfs"
)

// gate is a store whose objects can be read as often as it lets them.
type gate struct {
	*blob.Mem
	lets atomic.Int64
	gets atomic.Int64
}

func newGate(store *blob.Mem) *gate {
	g := &gate{Mem: store}
	store.Hook = func(op, name string) error {
		if op != "get" || !strings.Contains(name, "/objects/") {
			return nil
		}
		g.gets.Add(1)
		if g.lets.Add(-1) < 0 {
			return errors.New("the network is away")
		}
		return nil
	}
	return g
}

// readAll reads the uuids of all events of a project.
func readAll(n *Node, project uint32) (rows int, err error) {
	sn, err := n.Store().Snapshot(project)
	if err != nil {
		return 0, err
	}
	defer sn.Release()
	for _, s := range sn.Segments() {
		uuids := make([]vec.UUIDValue, s.Rows())
		if err := s.UUIDs(uuids, 0, len(uuids)); err != nil {
			return rows, err
		}
		rows += len(uuids)
	}
	return rows, nil
}

// A lazy restore gives a node that answers at once what it has, fetches what is read, says what
// it cannot fetch, and goes on after a restart until all is here; its state is that of the
// backup at every moment.
func TestRestoreLazily(t *testing.T) {
	n := openNode(t, Config{Store: storage.Options{SealRows: 1 << 20}})
	for i := range 6 {
		ingest(t, n, 1, i*100, 100, Receipt{Stored: 100})
		if err := n.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	ingest(t, n, 1, 600, 50, Receipt{Stored: 50})
	store := blob.NewMem()
	last, err := n.Backup(t.Context(), store, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := fingerprint(t, n)
	index, hash := n.Store().StateHash()

	g := newGate(store)
	g.lets.Store(1 << 30)
	dir := filepath.Join(t.TempDir(), "restored")
	made, err := Restore(t.Context(), store, RestoreOptions{FS: vfs.OS(), Dir: dir, LogFileBytes: testLogBytes, Lazy: true, Source: "mem://", LazyEnd: 64})
	if err != nil {
		t.Fatal(err)
	}
	if made.LeftSegments != 7 || made.Left == 0 || made.Left >= last.Bytes || made.Segments != 7 {
		t.Fatalf("Restore = %+v, want 7 segments left in the store", made)
	}
	for what, err := range map[string]error{
		"VerifyDir": func() error { _, err := VerifyDir(t.Context(), vfs.OS(), dir, nil); return err }(),
		"Diagnose":  func() error { _, err := Diagnose(t.Context(), vfs.OS(), dir); return err }(),
		"Recover":   func() error { _, _, err := Recover(t.Context(), vfs.OS(), dir, "", time.Now(), 0); return err }(),
		"Open":      func() error { _, err := Open(t.Context(), Config{FS: vfs.OS(), Dir: dir}); return err }(),
	} {
		if !errors.Is(err, ErrNotAllHere) || !strings.Contains(err.Error(), "7 segments are still in the backup at mem://; a server on this directory fetches them") {
			t.Errorf("%s = %v, want ErrNotAllHere", what, err)
		}
	}

	open := func() *Node {
		return openNode(t, Config{Dir: dir, Store: storage.Options{SealRows: 1 << 20}, OpenBlob: func(source string) (blob.Store, error) {
			if source != "mem://" {
				return nil, fmt.Errorf("asked for %s", source)
			}
			return g, nil
		}})
	}
	check := func(when string, n *Node) {
		t.Helper()
		if at, got := n.Store().StateHash(); at < index || at == index && got != hash {
			t.Errorf("%s: state hash %x at %d, want %x at %d", when, got, at, hash, index)
		}
	}
	// Nothing can be fetched: it opens, takes events, and says what is missing.
	g.lets.Store(0)
	n = open()
	check("opened", n)
	if segments, bytes := n.Missing(); segments != 7 || bytes != made.Left {
		t.Errorf("Missing = %d, %d, want 7, %d", segments, bytes, made.Left)
	}
	if got := n.Store().Stats().Events; got != 650 {
		t.Errorf("%d events, want 650", got)
	}
	_, err = readAll(n, 1)
	if !errors.Is(err, vfs.ErrNotHere) || !strings.Contains(err.Error(), ".seg: the file is not here yet, and cannot be fetched from mem://: ") || !strings.HasSuffix(err.Error(), "the network is away") {
		t.Errorf("a read = %v, want ErrNotHere", err)
	}
	ingest(t, n, 9, 0, 10, Receipt{Stored: 10})
	ingest(t, n, 1, 0, 1, Receipt{Duplicates: 1})
	if err := n.Close(t.Context()); err != nil {
		t.Fatal(err)
	}

	// An object that is damaged is not believed.
	victim := ""
	for _, name := range store.Names() {
		if strings.Contains(name, "/objects/") && int64(len(store.Object(name))) > 64 && strings.HasPrefix(string(store.Object(name)), "prickseg") {
			victim = name
		}
	}
	store.Object(victim)[100] ^= 1
	g.lets.Store(1 << 30)
	n = open()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if segments, _ := n.Missing(); segments == 1 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the others do not come")
		}
	}
	if _, err = readAll(n, 1); !errors.Is(err, vfs.ErrNotHere) || !strings.Contains(err.Error(), path.Base(victim)) {
		t.Errorf("a read of a damaged object = %v, want ErrNotHere with its name", err)
	}
	if err := n.Close(t.Context()); err != nil {
		t.Fatal(err)
	}

	// A restart goes on with the one that is missing.
	store.Object(victim)[100] ^= 1
	before := g.gets.Load()
	n = open()
	if rows, err := readAll(n, 1); rows != 660 || err != nil {
		t.Errorf("%d rows, %v, want 660", rows, err)
	}
	if got := g.gets.Load() - before; got < 1 || got > 2 { // the read, and perhaps the fill, which waits for it
		t.Errorf("%d objects were fetched, want the one that was missing", got)
	}
	if segments, bytes := n.Missing(); segments != 0 || bytes != 0 {
		t.Errorf("Missing = %d, %d at the end", segments, bytes)
	}
	if err := n.MergeAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := n.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(filepath.Join(dir, missingDir)); len(left) > 0 || err != nil {
		t.Errorf("what is left in %s: %v, %v", missingDir, left, err)
	}
	if v, err := VerifyDir(t.Context(), vfs.OS(), dir, nil); err != nil || len(v.Problems) > 0 {
		t.Errorf("VerifyDir = %+v, %v", v, err)
	}

	// Restored again, and filled, it is what the backup was made of.
	again := filepath.Join(t.TempDir(), "again")
	if _, err := Restore(t.Context(), store, RestoreOptions{FS: vfs.OS(), Dir: again, LogFileBytes: testLogBytes, Lazy: true, Source: "mem://", LazyEnd: 64}); err != nil {
		t.Fatal(err)
	}
	dir = again
	n = open()
	check("restored again", n)
	if got := fingerprint(t, n); got != want {
		t.Errorf("restored lazily:\n%s\nwant\n%s", got, want)
	}
}

// backedUp is a node with three segments, and a backup of it.
func backedUp(t *testing.T) (*Node, *blob.Mem) {
	t.Helper()
	n := openNode(t, Config{})
	for i := range 3 {
		ingest(t, n, 1, i*100, 100, Receipt{Stored: 100})
		if err := n.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	store := blob.NewMem()
	if _, err := n.Backup(t.Context(), store, nil); err != nil {
		t.Fatal(err)
	}
	return n, store
}

// What a merge takes away before it has come is not fetched any more; a backup of what is not
// all here fetches it.
func TestLazyMergeAndBackup(t *testing.T) {
	n, store := backedUp(t)
	dir := filepath.Join(t.TempDir(), "restored")
	if _, err := Restore(t.Context(), store, RestoreOptions{FS: vfs.OS(), Dir: dir, LogFileBytes: testLogBytes, Lazy: true, Source: "mem://", LazyEnd: 64}); err != nil {
		t.Fatal(err)
	}
	again := openNode(t, Config{Dir: dir, OpenBlob: func(string) (blob.Store, error) { return store, nil }})
	if _, err := again.Backup(t.Context(), blob.NewMem(), nil); err != nil {
		t.Errorf("backup of what is not all here: %v", err)
	}
	if err := again.MergeAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, want := fingerprint(t, again), fingerprint(t, n); got != want {
		t.Errorf("merged:\n%s\nwant\n%s", got, want)
	}
	if segments, _ := again.Missing(); segments != 0 {
		t.Errorf("%d segments are missing after a merge of all", segments)
	}
	if err := again.DeleteProject(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
}

// Power may be lost at any operation of a fetch: what is in its place then is whole, and the rest
// is still known to be missing.
func TestLazyCrash(t *testing.T) {
	_, store := backedUp(t)
	restored := vfs.NewMem()
	if _, err := Restore(t.Context(), store, RestoreOptions{FS: restored, Dir: "d", LogFileBytes: 32 << 10, Lazy: true, Source: "mem://", LazyEnd: 64}); err != nil {
		t.Fatal(err)
	}
	open := func(disk *vfs.Mem) *remainder {
		cfg := Config{FS: disk, Dir: "d", OpenBlob: func(string) (blob.Store, error) { return store, nil }}.withDefaults()
		r, err := openRemainder(&cfg)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	files := maps.Clone(open(restored).files)
	for k := 1; ; k++ {
		disk := restored.Crash(nil)
		ops := 0
		lost := errors.New("power is lost")
		disk.Hook = func(string, string) error {
			if ops++; ops >= k {
				return lost
			}
			return nil
		}
		r := open(disk.Crash(nil)) // reading the list is no part of it
		r.fs = disk
		var err error
		for _, name := range slices.Sorted(maps.Keys(files)) {
			if err = r.fetch(r.find(name)); err != nil {
				break
			}
		}
		if err == nil {
			break
		}
		if !errors.Is(err, lost) {
			t.Fatalf("operation %d: %v", k, err)
		}
		disk.Hook = nil
		after := disk.Crash(rand.New(rand.NewPCG(uint64(k), 0)))
		rest := open(after)
		for name, f := range files {
			if rest != nil && rest.find(name) != nil {
				if err := rest.fetch(rest.find(name)); err != nil {
					t.Fatalf("operation %d: %s: %v", k, name, err)
				}
			}
			raw, err := vfs.ReadFile(after, name, 1<<20)
			if err != nil || backup.HashOf(raw) != f.Hash {
				t.Fatalf("operation %d: %s in its place is not what it was: %v", k, name, err)
			}
		}
	}
}
