package cluster

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/prickledb/prickle/cluster/backup"
	"github.com/prickledb/prickle/storage"
	"github.com/prickledb/prickle/storage/blob"
	"github.com/prickledb/prickle/storage/person"
	"github.com/prickledb/prickle/storage/table"
	"github.com/prickledb/prickle/storage/vec"
	"github.com/prickledb/prickle/storage/vfs"
)

var seed = flag.Uint64("seed", 0, "of random tests; 0 takes one from the clock")

// random is a source of chance whose seed is printed when the test fails.
func random(t *testing.T) *rand.Rand {
	s := *seed
	if s == 0 {
		s = uint64(time.Now().UnixNano())
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("repeat with -seed %d", s)
		}
	})
	return rand.New(rand.NewPCG(s, 0))
}

// fingerprint is all that a node knows: projects, events by their uuids, persons.
func fingerprint(t *testing.T, n *Node) string {
	t.Helper()
	var b strings.Builder
	for _, p := range n.Store().Projects() {
		fmt.Fprintf(&b, "project %+v\n%s", p, projectFingerprint(t, n, p.ID))
	}
	return b.String()
}

// projectFingerprint is the same of one project.
func projectFingerprint(t *testing.T, n *Node, project uint32) string {
	t.Helper()
	var b strings.Builder
	sn, err := n.Store().Snapshot(project)
	if err != nil {
		t.Fatal(err)
	}
	defer sn.Release()
	var uuids []vec.UUIDValue
	for _, r := range sn.Segments() {
		all := make([]vec.UUIDValue, r.Rows())
		dead, err := r.Dead()
		if err = errors.Join(err, r.UUIDs(all, 0, r.Rows())); err != nil {
			t.Fatal(err)
		}
		for i, u := range all {
			if dead == nil || !dead.Contains(uint32(i)) {
				uuids = append(uuids, u)
			}
		}
	}
	slices.SortFunc(uuids, func(a, b vec.UUIDValue) int { return slices.Compare(a[:], b[:]) })
	fmt.Fprintf(&b, "%d events %x\n", len(uuids), uuids)
	for _, v := range sn.Tables().All() {
		fmt.Fprintf(&b, "table %q of %d rows, %d written\n", v.Schema.Name, v.Live(), v.Next)
	}
	var persons []string
	for id, ord := range sn.Persons().DistinctIDs() {
		root := sn.Identity().Root(ord)
		persons = append(persons, fmt.Sprintf("%s %d %x %d %s", id, root, sn.Persons().UUID(root), sn.Persons().CreatedAt(root), sn.Persons().Properties(root)))
	}
	slices.Sort(persons)
	fmt.Fprintln(&b, strings.Join(persons, "\n"))
	return b.String()
}

// randomWork does random things to a node.
type randomWork struct {
	t    *testing.T
	n    *Node
	rng  *rand.Rand
	next int
	// after is the fingerprint after each entry, ends the time of the entry.
	after map[uint64]string
	ends  map[uint64]time.Time
}

func (w *randomWork) step() {
	t, n := w.t, w.n
	t.Helper()
	var err error
	switch k := w.rng.IntN(15); {
	case k < 7:
		count := 1 + w.rng.IntN(60)
		_, err = n.Ingest(t.Context(), 1, testBatch(1, max(0, w.next-w.rng.IntN(20)), count))
		w.next += count
	case k == 7:
		_, err = n.ImportPersons(t.Context(), 1, []person.Edit{{DistinctIDs: []string{fmt.Sprintf("user %d", w.rng.IntN(50))}, Properties: fmt.Appendf(nil, `{"n":%d}`, w.next)}})
	case k == 8:
		_, err = n.CreateProject(t.Context(), ProjectSpec{Name: fmt.Sprintf("p%d", w.next)})
	case k == 9:
		if all := n.Store().Projects(); len(all) > 1 {
			err = n.DeleteProject(t.Context(), all[1].ID)
		}
	case k == 10:
		err = n.Flush(t.Context())
	case k == 11: // rows of a segment, which is named by its number
		_, err = n.DeleteRows(t.Context(), 1, func(sn *storage.Snapshot) (map[storage.SegmentID]*roaring.Bitmap, error) {
			out := map[storage.SegmentID]*roaring.Bitmap{}
			for _, s := range sn.Segments() {
				out[s.ID()] = roaring.BitmapOf(uint32(w.rng.IntN(s.Rows())))
			}
			return out, nil
		})
	case k == 12:
		err = w.writeTable()
	default:
		err = n.MergeAll(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	index := n.raft.AppliedIndex()
	if w.after != nil && w.after[index] == "" {
		w.after[index] = fingerprint(t, n)
		w.ends[index] = time.UnixMicro(n.lastTime)
	}
}

// writeTable makes a table of a project, or adds a row to it.
func (w *randomWork) writeTable() error {
	op := table.Op{Kind: table.OpCreate, Table: table.Fresh,
		Schema: &table.Schema{Version: 1, Name: "t", Columns: []table.Column{{ID: 1, Name: "a", Type: vec.Type{Kind: vec.Int8}}}, NextColumn: 2}}
	for _, v := range w.n.Store().Tables(1).All() {
		b := vec.NewBuilder(vec.Type{Kind: vec.Int8})
		b.AppendNull()
		op = table.Op{Kind: table.OpInsert, Table: v.Schema.Table, Version: v.Schema.Version, Columns: []uint32{1}, Batch: &vec.Batch{Rows: 1, Cols: []*vec.Vector{b.V}}}
	}
	_, err := w.n.WriteTables(w.t.Context(), 1, &table.WriteSet{Ops: []table.Op{op}})
	return err
}

// restoreTo restores what was made with a store's options: segments have the same numbers
// only if memtables end at the same rows.
func restoreTo(t *testing.T, store blob.Store, o RestoreOptions, opt ...storage.Options) (*Node, *Restored) {
	t.Helper()
	o.FS, o.Dir, o.LogFileBytes = vfs.OS(), filepath.Join(t.TempDir(), "restored"), testLogBytes
	made, err := Restore(t.Context(), store, o)
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{Dir: o.Dir}
	for _, cfg.Store = range opt {
	}
	return openNode(t, cfg), made
}

// A backup restores to the state that it was made of, and a second one sends only what is
// new.
func TestBackupAndRestore(t *testing.T) {
	rng := random(t)
	dir := t.TempDir()
	n := openNode(t, Config{Dir: dir, Version: "0.1.0", Store: storage.Options{SealRows: 500}})
	if _, ok := n.LastBackup(); ok {
		t.Error("a new node knows of a backup")
	}
	store := blob.NewMem()
	w := &randomWork{t: t, n: n, rng: rng}
	known := map[string]bool{}
	for round := range 4 {
		for range 12 {
			w.step()
		}
		last, err := n.Backup(t.Context(), store, nil)
		if err != nil {
			t.Fatal(err)
		}
		fresh := int64(0)
		for _, name := range store.Names() {
			if !known[name] && strings.Contains(name, "/objects/") {
				fresh += int64(len(store.Object(name)))
			}
			known[name] = true
		}
		if last.New != fresh || last.Bytes < fresh {
			t.Errorf("round %d: backup says %d new of %d bytes, %d are", round, last.New, last.Bytes, fresh)
		}
		want := fingerprint(t, n)
		again, made := restoreTo(t, store, RestoreOptions{})
		if got := fingerprint(t, again); got != want {
			t.Fatalf("round %d: restored\n%s\nwant\n%s", round, got, want)
		}
		if made.Index != last.Index || made.Segments != last.Segments || made.Entries != 0 {
			t.Errorf("Restore = %+v, the backup was %+v", made, last)
		}
		if again.Identity().ID == n.Identity().ID || again.Identity().Epoch != 2 || again.Identity().RestoredFrom != n.Identity().ID {
			t.Errorf("identity of the restored node = %+v", again.Identity())
		}
		// It is a node like any other.
		ingest(t, again, 9, 0, 10, Receipt{Stored: 10})
		ingest(t, again, 1, 0, 1, Receipt{Duplicates: 1})
		if err := again.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	last, err := n.Backup(t.Context(), store, nil)
	if err != nil {
		t.Fatal(err)
	}
	if last.New > 32<<10 { // a tail, a Raft snapshot, the state of the log
		t.Errorf("a backup of nothing new sends %d bytes", last.New)
	}
	if err := n.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	n = openNode(t, Config{Dir: dir})
	if got, ok := n.LastBackup(); !ok || !got.Created.Equal(last.Created) || got.URL != "mem://" {
		t.Errorf("LastBackup after a restart = %+v, %v, want %+v", got, ok, last)
	}
	// A restored node has a name of its own, so both may be backed up to one place.
	if _, err := n.Backup(t.Context(), store, nil); err != nil {
		t.Fatal(err)
	}
}

// A merge is two entries, and the manifest hears of it later still. Wherever a backup lies
// between them, what is restored has the same rows, also where entries to come name rows of
// the output.
func TestBackupAroundAMerge(t *testing.T) {
	n, a := archived(t, Config{}, blob.NewMem())
	store := a.store
	for i := range 3 {
		ingest(t, n, 1, i*100, 100, Receipt{Stored: 100})
		if err := n.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	check := func(what string) {
		t.Helper()
		if err := a.step(t.Context(), true); err != nil {
			t.Fatal(err)
		}
		again, _ := restoreTo(t, store, RestoreOptions{})
		if got, want := fingerprint(t, again), fingerprint(t, n); got != want {
			t.Errorf("%s: restored\n%s\nwant\n%s", what, got, want)
		}
	}
	if _, err := n.Backup(t.Context(), store, nil); err != nil {
		t.Fatal(err)
	}
	if more, err := n.mergeOnce(t.Context(), n.store.PlanMergeAll); err != nil || !more {
		t.Fatalf("mergeOnce = %v, %v", more, err)
	}
	pin, err := n.store.Pin() // it has the inputs, which the store does not list any more
	if err != nil || len(pin.Manifest.Segments) != 3 || n.store.Stats().Segments != 1 {
		t.Fatalf("Pin = %+v, %v", pin, err)
	}
	check("the merge in the archive alone")
	_, err = n.DeleteRows(t.Context(), 1, func(sn *storage.Snapshot) (map[storage.SegmentID]*roaring.Bitmap, error) {
		return map[storage.SegmentID]*roaring.Bitmap{sn.Segments()[0].ID(): roaring.BitmapOf(1, 2, 3)}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	check("rows of the output deleted")
	for _, f := range pin.Files {
		if _, err := os.Stat(filepath.Join(n.cfg.Dir, storeDir, f.Name)); err != nil {
			t.Errorf("a pinned file is gone: %v", err)
		}
	}
	pin.Release()
	if _, err := n.mergeOnce(t.Context(), n.store.PlanErasure); err != nil {
		t.Fatal(err)
	}
	if _, err := n.Backup(t.Context(), store, nil); err != nil {
		t.Fatal(err)
	}
	check("a backup after the merge")
	// Between the two entries a backup waits.
	planned, err := n.submitJSON(t.Context(), kindPlan, storage.MergePlan{Project: 1, Inputs: []storage.SegmentID{onlySegment(t, n)}, Days: 1})
	if err != nil {
		t.Fatal(err)
	}
	n.merging <- struct{}{}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := n.Backup(gone, store, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("Backup within a merge = %v", err)
	}
	<-n.merging
	if _, err := n.submitJSON(t.Context(), kindMerged, storage.MergeDone{Plan: planned.receipt.Index, Failed: true}); err != nil {
		t.Fatal(err)
	}
}

func onlySegment(t *testing.T, n *Node) storage.SegmentID {
	t.Helper()
	sn, err := n.store.Snapshot(1)
	if err != nil {
		t.Fatal(err)
	}
	defer sn.Release()
	return sn.Segments()[0].ID()
}

// A backup is of one moment, whatever happens while it is made.
func TestBackupUnderLoad(t *testing.T) {
	n := openNode(t, Config{Store: storage.Options{SealRows: 300}})
	ctx, stop := context.WithCancel(t.Context())
	var acked atomic.Int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := 0; ctx.Err() == nil; i++ {
			if _, err := n.Ingest(t.Context(), 1, testBatch(1, i*10, 10)); err != nil {
				t.Error(err)
				return
			}
			acked.Store(int64(i+1) * 10)
			if i%40 == 39 {
				if err := n.MergeAll(t.Context()); err != nil {
					t.Error(err)
					return
				}
			}
		}
	}()
	store := blob.NewMem()
	for range 5 {
		before := acked.Load()
		last, err := n.Backup(t.Context(), store, nil)
		if err != nil {
			t.Fatal(err)
		}
		after := acked.Load() + 10
		if m, err := backup.NewTarget(store, n.Identity().ID).Manifest(t.Context(), last.Index); err != nil || m.Created.Before(m.Time) {
			t.Errorf("Manifest(%d) = %+v, %v, want one that is not made before its last entry", last.Index, m, err)
		}
		again, _ := restoreTo(t, store, RestoreOptions{Index: last.Index})
		got := storedUUIDs(t, again, 1)
		if int64(len(got)) < before || int64(len(got)) > after {
			t.Errorf("%d events, between %d and %d were stored", len(got), before, after)
		}
		seen := make([]bool, len(got))
		for _, u := range got {
			i := int(u[13])<<16 | int(u[14])<<8 | int(u[15])
			if i >= len(seen) || seen[i] {
				t.Fatalf("event %d of %d is there twice, or one before it is missing", i, len(got))
			}
			seen[i] = true
		}
		if err := again.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	<-done
}

// archived is a node whose log is archived by hand.
func archived(t *testing.T, cfg Config, store blob.Store) (*Node, *archiver) {
	n := openNode(t, cfg)
	return n, newArchiver(n, store)
}

// Any entry and any time since the first backup can be restored: the state is that of the
// moment.
func TestPointInTime(t *testing.T) {
	rng := random(t)
	store := blob.NewMem()
	dir := t.TempDir()
	cfg := Config{Dir: dir, Store: storage.Options{SealRows: 200}}
	n, a := archived(t, cfg, store)
	w := &randomWork{t: t, n: n, rng: rng, after: map[uint64]string{}, ends: map[uint64]time.Time{}}
	for round := range 40 {
		w.step()
		do := rng.IntN(6)
		if round == 20 {
			do = 1 // there is a backup, whatever the seed
		}
		switch do {
		case 0:
			if err := a.step(t.Context(), true); err != nil {
				t.Fatal(err)
			}
		case 1:
			if _, err := n.Backup(t.Context(), store, nil); err != nil {
				t.Fatal(err)
			}
		case 2:
			if round < 30 {
				continue
			}
			if err := n.Close(t.Context()); err != nil { // the archive goes on where it was
				t.Fatal(err)
			}
			n, a = archived(t, cfg, store)
			w.n = n
		}
	}
	if err := a.step(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	target := backup.NewTarget(store, n.Identity().ID)
	if problems, objects, err := target.Verify(t.Context(), nil); err != nil || len(problems) > 0 || objects == 0 {
		t.Fatalf("Verify of %d objects = %v, %v", objects, problems, err)
	}
	backups, err := target.Manifests(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var points []uint64
	for index := range w.after {
		if index >= backups[0] {
			points = append(points, index)
		}
	}
	slices.Sort(points)
	rng.Shuffle(len(points), func(i, j int) { points[i], points[j] = points[j], points[i] })
	for i, index := range points[:min(len(points), restores())] {
		o := RestoreOptions{Index: index}
		if i%2 == 1 {
			o = RestoreOptions{Time: w.ends[index]}
		}
		again, made := restoreTo(t, store, o, cfg.Store)
		if got, want := fingerprint(t, again), w.after[index]; got != want {
			t.Errorf("restored to %+v, of %v, made %+v:\n%s\nwant\n%s", o, backups, made, got, want)
		}
		if err := again.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	// Out of range: the range is said.
	for _, c := range []struct {
		o    RestoreOptions
		want string
	}{
		{RestoreOptions{Index: backups[0] - 1}, "it is before the first backup"},
		{RestoreOptions{Time: time.Unix(1, 0)}, "it is before the first backup"},
		{RestoreOptions{Index: n.raft.AppliedIndex() + 1}, "it is after the last archived entry"},
		{RestoreOptions{Time: time.Now().Add(time.Hour)}, "it is after the last archived entry"},
	} {
		c.o.FS, c.o.Dir = vfs.OS(), filepath.Join(t.TempDir(), "x")
		_, err := Restore(t.Context(), store, c.o)
		var bounds *RangeError
		if !errors.As(err, &bounds) || !strings.Contains(err.Error(), c.want) || bounds.FirstIndex != backups[0] || bounds.LastIndex != n.raft.AppliedIndex() {
			t.Errorf("Restore(%+v) = %v, want %q and entries %d to %d", c.o, err, c.want, backups[0], n.raft.AppliedIndex())
		}
		if _, err := os.Stat(c.o.Dir); err == nil {
			t.Errorf("%s was made", c.o.Dir)
		}
	}
}

// restores is how many points are tried.
func restores() int {
	if n, err := strconv.Atoi(os.Getenv("PRICKLE_RESTORES")); err == nil {
		return n
	}
	return 6
}

// The log is kept until it is archived; if the disk has no room for that, the gap is said,
// and a new backup bridges it.
func TestArchiveKeepsTheLog(t *testing.T) {
	store := blob.NewMem()
	n, a := archived(t, Config{}, store)
	// grow fills a file of the log, and gives the first entry that can be read then.
	grow := func(producer byte) uint64 {
		t.Helper()
		if err := n.wal.NextFile(); err != nil {
			t.Fatal(err)
		}
		for i := range 2 * trailingLogs {
			ingest(t, n, producer, i, 1, Receipt{Stored: 1})
		}
		if err := errors.Join(n.MergeAll(t.Context()), n.wal.EraseSpares(t.Context())); err != nil { // MergeAll flushes first
			t.Fatal(err)
		}
		return n.readable()
	}
	if err := a.step(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	kept := a.next
	grow(1)
	if got := grow(2); got > kept {
		t.Fatalf("the log begins at entry %d, and entry %d is not archived", got, kept)
	}
	// The pin is given up, as on a full disk.
	a.pin.move(nothing)
	got := grow(3)
	if got <= kept {
		t.Fatalf("the log begins at entry %d still", got)
	}
	lost := got - 1
	for _, now := range []bool{true, false} { // a backup when it is not the end
		if err := a.step(t.Context(), now); err != nil {
			t.Fatal(err)
		}
		a.backups.Wait()
	}
	if len(a.status.Gaps) != 1 || a.status.Gaps[0] != (backup.Span{First: kept, Last: lost}) {
		t.Errorf("gaps %v, want %d to %d", a.status.Gaps, kept, lost)
	}
	again, _ := restoreTo(t, store, RestoreOptions{})
	if got, want := fingerprint(t, again), fingerprint(t, n); got != want {
		t.Errorf("restored\n%s\nwant\n%s", got, want)
	}
}

// The loop archives by itself, and makes the first backup.
func TestArchiveLoop(t *testing.T) {
	store := blob.NewMem()
	made := make(chan string, 100)
	store.Hook = func(op, name string) error {
		if op == "put" {
			made <- name
		}
		return nil
	}
	n := openNode(t, Config{Archive: store, ArchiveEvery: time.Millisecond})
	ingest(t, n, 1, 0, 10, Receipt{Stored: 10})
	piece, whole := false, false
	for !piece || !whole {
		name := <-made
		piece = piece || strings.Contains(name, "/log/0/")
		whole = whole || strings.HasSuffix(name, "/LATEST")
	}
	ingest(t, n, 1, 10, 10, Receipt{Stored: 10})
	if err := n.Close(t.Context()); err != nil { // it archives the rest
		t.Fatal(err)
	}
	again, _ := restoreTo(t, store, RestoreOptions{})
	if got := len(storedUUIDs(t, again, 1)); got != 20 {
		t.Errorf("%d events restored, want 20", got)
	}
	if _, ok := again.Archive(); ok {
		t.Error("the restored node says that it archives")
	}
}

// An older copy of a directory does not write into the archive of the newer one.
func TestArchiveOfAnOlderCopy(t *testing.T) {
	store := blob.NewMem()
	dir := t.TempDir()
	n, _ := archived(t, Config{Dir: dir}, store)
	ingest(t, n, 1, 0, 10, Receipt{Stored: 10})
	if err := n.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	old := t.TempDir()
	if err := os.CopyFS(old, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	n, a := archived(t, Config{Dir: dir}, store)
	for i := range 20 {
		ingest(t, n, 2, i, 1, Receipt{Stored: 1})
	}
	if err := a.step(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	before := len(store.Names())
	n, a = archived(t, Config{Dir: old}, store)
	ingest(t, n, 3, 0, 1, Receipt{Stored: 1})
	if err := a.step(t.Context(), true); err == nil || !strings.Contains(err.Error(), "it is an older copy") {
		t.Errorf("step = %v, want an error", err)
	}
	if after := len(store.Names()); after != before {
		t.Errorf("%d objects before, %d after", before, after)
	}
}

// Whichever call of the target fails, a backup is complete or not listed.
func TestBackupFaults(t *testing.T) {
	n := openNode(t, Config{Store: storage.Options{SealRows: 100}})
	for i := range 4 {
		ingest(t, n, 1, i*100, 100, Receipt{Stored: 100})
	}
	failure := errors.New("no route to host")
	for k := int64(1); ; k++ {
		store := blob.NewMem()
		var calls atomic.Int64
		failed := false
		store.Hook = func(op, name string) error {
			if calls.Add(1) == k {
				failed = true
				return failure
			}
			return nil
		}
		last, err := n.Backup(t.Context(), store, nil)
		store.Hook = nil
		if !failed {
			if err != nil {
				t.Fatal(err)
			}
			if k < 10 {
				t.Errorf("a backup is %d calls only", k)
			}
			return
		}
		target := backup.NewTarget(store, n.Identity().ID)
		indexes, listing := target.Manifests(t.Context())
		if listing != nil {
			t.Fatal(listing)
		}
		if len(indexes) == 0 {
			if !errors.Is(err, failure) {
				t.Errorf("call %d failed: Backup = %+v, %v, and nothing is listed", k, last, err)
			}
		} else if problems, _, err := target.Verify(t.Context(), nil); err != nil || len(problems) > 1 || len(problems) == 1 && problems[0].Object != "LATEST" {
			t.Errorf("call %d failed: a backup is listed, and Verify = %v, %v", k, problems, err)
		}
		// The next one completes what there is.
		if _, err := n.Backup(t.Context(), store, nil); err != nil {
			t.Fatal(err)
		}
		if problems, _, err := target.Verify(t.Context(), nil); err != nil || len(problems) > 0 {
			t.Errorf("after call %d and another backup: %v, %v", k, problems, err)
		}
	}
}

// A byte that changes anywhere in a backup is found, by verify and by a restore that reads
// it, with the object's name.
func TestBackupDamage(t *testing.T) {
	rng := random(t)
	store := blob.NewMem()
	n, a := archived(t, Config{Store: storage.Options{SealRows: 100}}, store)
	ingest(t, n, 1, 0, 150, Receipt{Stored: 150})
	base, err := n.Backup(t.Context(), store, nil)
	if err != nil {
		t.Fatal(err)
	}
	ingest(t, n, 1, 150, 50, Receipt{Stored: 50})
	if err := a.step(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	target := backup.NewTarget(store, n.Identity().ID)
	for _, name := range store.Names() {
		raw := store.Object(name)
		for range 8 {
			at := rng.IntN(len(raw))
			bit := byte(1) << rng.IntN(8)
			raw[at] ^= bit
			problems, _, err := target.Verify(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			found := slices.ContainsFunc(problems, func(p backup.Problem) bool { return strings.HasSuffix(name, p.Object) })
			if !found {
				t.Errorf("byte %d of %s changed: Verify = %v", at, name, problems)
			}
			raw[at] ^= bit
		}
		at := rng.IntN(len(raw))
		raw[at] ^= 1
		_, err := Restore(t.Context(), store, RestoreOptions{FS: vfs.OS(), Dir: filepath.Join(t.TempDir(), "x")})
		if strings.HasSuffix(name, "LATEST") {
			if err != nil {
				t.Errorf("LATEST is damaged, and Restore = %v", err)
			}
		} else if err == nil || !strings.Contains(err.Error(), path.Base(name)) {
			// A piece of the log from before the backup is not read.
			var first, last uint64
			n, _ := fmt.Sscanf(path.Base(name), "%d-%d.zst", &first, &last)
			if err != nil || n < 2 || last > base.Index {
				t.Errorf("byte %d of %s changed: Restore = %v", at, name, err)
			}
		}
		raw[at] ^= 1
	}
}

// A restore that ended early leaves a directory that is not opened, and goes on when it is
// done again. It does not touch what is not its own.
func TestRestoreInterrupted(t *testing.T) {
	store := blob.NewMem()
	n := openNode(t, Config{Store: storage.Options{SealRows: 100}})
	for i := range 5 {
		ingest(t, n, 1, i*100, 100, Receipt{Stored: 100})
	}
	if _, err := n.Backup(t.Context(), store, nil); err != nil {
		t.Fatal(err)
	}
	for _, lazy := range []bool{false, true} {
		restoreInterrupted(t, n, store, lazy)
	}
}

func restoreInterrupted(t *testing.T, n *Node, store *blob.Mem, lazy bool) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "restored")
	o := RestoreOptions{FS: vfs.OS(), Dir: dir, Lazy: lazy, Source: "mem://", LazyEnd: 64}
	var calls, limit atomic.Int64
	store.Hook = func(op, name string) error {
		if calls.Add(1) > limit.Load() {
			return errors.New("connection reset")
		}
		return nil
	}
	for k := int64(1); ; k++ {
		calls.Store(0)
		limit.Store(k)
		_, err := Restore(t.Context(), store, o)
		if err == nil {
			break
		}
		if _, err := os.Stat(dir); err != nil {
			continue
		}
		if _, err := Open(t.Context(), Config{FS: vfs.OS(), Dir: dir}); !errors.Is(err, ErrHalfRestored) {
			t.Fatalf("Open after call %d failed = %v, want ErrHalfRestored", k, err)
		}
	}
	store.Hook = nil
	again := openNode(t, Config{Dir: dir, OpenBlob: func(string) (blob.Store, error) { return store, nil }})
	if got, want := fingerprint(t, again), fingerprint(t, n); got != want {
		t.Errorf("restored\n%s\nwant\n%s", got, want)
	}
	if _, err := Restore(t.Context(), store, o); !errors.Is(err, ErrNotEmpty) {
		t.Errorf("Restore into a directory with data = %v, want ErrNotEmpty", err)
	}
}

// Two clusters in one place: which one must be said.
func TestRestoreChoosesCluster(t *testing.T) {
	store := blob.NewMem()
	o := RestoreOptions{FS: vfs.OS(), Dir: filepath.Join(t.TempDir(), "x")}
	if _, err := Restore(t.Context(), store, o); err == nil || !strings.Contains(err.Error(), "there is no backup in mem://") {
		t.Errorf("Restore of nothing = %v", err)
	}
	var ids []string
	for i := range 2 {
		n := openNode(t, Config{})
		ingest(t, n, 1, 0, 10+i, Receipt{Stored: 10 + i})
		if _, err := n.Backup(t.Context(), store, nil); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, n.Identity().ID)
	}
	if _, err := Restore(t.Context(), store, o); err == nil || !strings.Contains(err.Error(), "--cluster") || !strings.Contains(err.Error(), ids[1]) {
		t.Errorf("Restore of one of two = %v", err)
	}
	again, _ := restoreTo(t, store, RestoreOptions{Cluster: ids[1]})
	if got := len(storedUUIDs(t, again, 1)); got != 11 {
		t.Errorf("%d events, want 11", got)
	}
}

// A damaged segment is not backed up.
func TestBackupOfDamage(t *testing.T) {
	dir := t.TempDir()
	n := openNode(t, Config{Dir: dir})
	ingest(t, n, 1, 0, 100, Receipt{Stored: 100})
	if err := n.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	names := list(t, filepath.Join(dir, "data", "segments"))
	raw, err := os.ReadFile(names[0])
	if err != nil {
		t.Fatal(err)
	}
	raw[len(raw)/2] ^= 1
	if err := os.WriteFile(names[0], raw, 0o640); err != nil {
		t.Fatal(err)
	}
	store := blob.NewMem()
	_, err = n.Backup(t.Context(), store, nil)
	if err == nil || !strings.Contains(err.Error(), "segments/"+filepath.Base(names[0])) || !strings.Contains(err.Error(), "prickle verify") {
		t.Errorf("Backup = %v, want an error that names the segment", err)
	}
	if indexes, _ := backup.NewTarget(store, n.Identity().ID).Manifests(t.Context()); len(indexes) > 0 {
		t.Errorf("backups %v are listed", indexes)
	}
}

func TestIdentity(t *testing.T) {
	fs := vfs.NewMem()
	cfg := Config{FS: fs, Dir: "d", NoMerger: true, LogFileBytes: 1 << 20, Version: "0.2.0"}
	n := openNode(t, cfg)
	id := n.Identity()
	if err := n.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, err := identify(fs, "d", "0.3.0", time.Now()); err != nil || got.ID != id.ID || got.Version != "0.3.0" {
		t.Errorf("identify = %+v, %v, want id %s", got, err, id.ID)
	}
	raw, err := vfs.ReadFile(fs, "d/"+identityFile, 1<<16)
	if err != nil {
		t.Fatal(err)
	}
	for i := range raw {
		damaged := slices.Clone(raw)
		damaged[i] ^= 1
		if err := vfs.WriteFile(fs, "d/"+identityFile, damaged); err != nil {
			t.Fatal(err)
		}
		if got, err := readIdentity(fs, "d"); err == nil {
			t.Errorf("byte %d changed: %+v", i, got)
		}
	}
	id.Format, id.Version = dirFormat+1, "0.9.0"
	if err := id.write(fs, "d"); err != nil {
		t.Fatal(err)
	}
	_, err = Open(t.Context(), cfg)
	var newer *NewerError
	if !errors.As(err, &newer) || newer.Written != "0.9.0" || newer.This != "0.2.0" {
		t.Errorf("Open of a newer directory = %v, want a NewerError with both versions", err)
	}
}
