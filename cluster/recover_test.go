package cluster

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/prickledb/prickle/cluster/raftlog"
	"github.com/prickledb/prickle/storage"
	"github.com/prickledb/prickle/storage/blob"
	"github.com/prickledb/prickle/storage/manifest"
	"github.com/prickledb/prickle/storage/vfs"
)

// smallLogBytes is the size of log files where directories are copied.
const smallLogBytes = 1 << 20

// damageable is a directory with events 0 to 299: 0 to 199 in segments, flushed twice, the rest
// in the log alone.
func damageable(t *testing.T) string {
	dir := t.TempDir()
	n := openNode(t, Config{Dir: dir, Version: "0.1.0", LogFileBytes: smallLogBytes, Store: storage.Options{SealRows: 1 << 20}})
	for i := range 3 {
		for k := range 10 {
			ingest(t, n, 1, i*100+k*10, 10, Receipt{Stored: 10})
		}
		if i < 2 {
			if err := n.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel() // no flush
	if err := n.Close(gone); err != nil {
		t.Fatal(err)
	}
	return dir
}

// change rewrites a file.
func change(t *testing.T, name string, how func([]byte) []byte) {
	t.Helper()
	raw, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	write(t, name, how(raw))
}

// editLog makes the log of a directory anew, with the entries that how gives.
func editLog(t *testing.T, dir string, how func([]*raft.Log) []*raft.Log) {
	t.Helper()
	wal, damage, err := raftlog.View(vfs.OS(), filepath.Join(dir, logDir))
	if err != nil || damage != nil {
		t.Fatal(err, damage)
	}
	log := wal.Group(0)
	var all []*raft.Log
	err = log.ReadRange(t.Context(), log.Oldest(), log.Newest(), func(l *raft.Log) error {
		l.Data = bytes.Clone(l.Data)
		all = append(all, l)
		return nil
	})
	term, failed := log.GetUint64(currentTermKey)
	if err := errors.Join(err, failed, wal.Close()); err != nil {
		t.Fatal(err)
	}
	removeAll(t, filepath.Join(dir, logDir, "*"))
	if wal, err = openOffline(vfs.OS(), dir, smallLogBytes); err != nil {
		t.Fatal(err)
	}
	log = wal.Group(0)
	if err := errors.Join(log.StoreLogs(how(all)), log.SetUint64(currentTermKey, term), wal.Close()); err != nil {
		t.Fatal(err)
	}
}

func removeAll(t *testing.T, pattern string) {
	t.Helper()
	names, err := filepath.Glob(pattern)
	if err != nil || len(names) == 0 {
		t.Fatalf("%s: %v, %v", pattern, names, err)
	}
	for _, name := range names {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
}

// Whatever is damaged: it is said before, the rest is there afterwards, nothing is thrown
// away, and the directory is a node like any other.
func TestRecover(t *testing.T) {
	source := damageable(t)
	manifestFile := func(dir string) string { return filepath.Join(dir, "data", "MANIFEST-000001") }
	for _, c := range []struct {
		name    string
		damage  func(t *testing.T, dir string)
		problem string // of one file
		entries bool   // some are lost; without a log it may be that nobody knows of any
		rows    int64  // said to be lost, at least
		least   int    // events that are left
		opens   bool   // it opens without recovery
	}{
		{"nothing", func(*testing.T, string) {}, "", false, 0, 300, true},
		{"an entry of the log", func(t *testing.T, dir string) {
			editLog(t, dir, func(all []*raft.Log) []*raft.Log {
				bad := all[len(all)-5].Data
				bad[len(bad)/2] ^= 1
				return all
			})
		}, "raft/log", true, 40, 250, false},
		{"a bit of the log", func(t *testing.T, dir string) {
			names, _ := filepath.Glob(filepath.Join(dir, logDir, "*1.rl"))
			change(t, names[0], func(raw []byte) []byte {
				raw[bytes.LastIndex(raw, []byte("user 4"))] ^= 1
				return raw
			})
		}, "raft/log", true, 0, 200, false},
		{"the log is gone", func(t *testing.T, dir string) { removeAll(t, filepath.Join(dir, "raft", "log", "*")) }, "raft/log", false, 0, 200, false},
		{"the log and the Raft snapshots are gone", func(t *testing.T, dir string) {
			removeAll(t, filepath.Join(dir, "raft", "log", "*"))
			removeAll(t, filepath.Join(dir, "raft", "snapshots", "*"))
		}, "raft/log", false, 0, 200, false},
		{"the log cannot be opened", func(t *testing.T, dir string) {
			names, _ := filepath.Glob(filepath.Join(dir, logDir, "*.rl"))
			for _, name := range names {
				change(t, name, func(raw []byte) []byte { copy(raw, "no"); return raw })
			}
		}, "raft/log", false, 0, 200, false},
		{"the log has a gap behind the segments", func(t *testing.T, dir string) {
			editLog(t, dir, func(all []*raft.Log) []*raft.Log { return all[len(all)-3:] })
		}, "raft/log", true, 30, 200, false},
		{"the Raft snapshots are damaged", func(t *testing.T, dir string) {
			names, _ := filepath.Glob(filepath.Join(dir, "raft", "snapshots", "*"))
			for _, name := range names {
				change(t, name, func(raw []byte) []byte { raw[len(raw)/2] ^= 1; return raw })
			}
		}, "raft/snapshots/", false, 0, 300, true},
		{"the last record of the manifest", func(t *testing.T, dir string) {
			change(t, manifestFile(dir), func(raw []byte) []byte { raw[len(raw)-3] ^= 1; return raw })
		}, "data", false, 0, 300, false},
		{"a record within the manifest", func(t *testing.T, dir string) {
			change(t, manifestFile(dir), func(raw []byte) []byte { raw[40] ^= 1; return raw })
		}, "data", false, 100, 200, false},
		{"CURRENT", func(t *testing.T, dir string) {
			change(t, filepath.Join(dir, "data", "CURRENT"), func(raw []byte) []byte { raw[3] ^= 1; return raw })
		}, "data", false, 0, 300, false},
		{"a dedup run is gone", func(t *testing.T, dir string) { removeAll(t, filepath.Join(dir, "data", "dedup", "*1.dup")) }, "data/dedup/", false, 0, 300, false},
		{"a dedup run is damaged", func(t *testing.T, dir string) {
			names, _ := filepath.Glob(filepath.Join(dir, "data", "dedup", "*1.dup"))
			change(t, names[0], func(raw []byte) []byte { raw[len(raw)-20] ^= 1; return raw })
		}, "data/dedup/", false, 0, 300, false},
		{"the first segment is gone", func(t *testing.T, dir string) {
			names, _ := filepath.Glob(filepath.Join(dir, "data", "segments", "*"))
			if err := os.Remove(names[0]); err != nil {
				t.Fatal(err)
			}
		}, "data/segments/", false, 100, 200, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS(source)); err != nil {
				t.Fatal(err)
			}
			c.damage(t, dir)
			loss, err := Diagnose(t.Context(), vfs.OS(), dir)
			if err != nil {
				t.Fatal(err)
			}
			if c.problem == "" && len(loss.Problems) > 0 || c.problem != "" && !slices.ContainsFunc(loss.Problems, func(p Problem) bool { return strings.HasPrefix(p.File, c.problem) }) {
				t.Errorf("Diagnose: problems %v, want one of %q", loss.Problems, c.problem)
			}
			if c.entries && loss.Last == 0 || !c.entries && loss.Last > 0 && c.problem != logDir || loss.Rows+loss.SegmentRows < c.rows || loss.Last < loss.First {
				t.Errorf("Diagnose = %+v, want entries lost %v, %d rows at least", loss, c.entries, c.rows)
			}
			if v, err := VerifyDir(t.Context(), vfs.OS(), dir, nil); err != nil || (len(v.Problems) > 0) != (c.problem != "") {
				t.Errorf("VerifyDir = %+v, %v", v, err)
			}
			shown := -1
			if !c.opens {
				n, err := Open(t.Context(), Config{FS: vfs.OS(), Dir: dir, NoMerger: true, LogFileBytes: smallLogBytes})
				if err == nil {
					n.Close(t.Context()) // it should not have opened
				}
				if err == nil || !errors.Is(err, ErrDamaged) && !strings.Contains(err.Error(), "restore") {
					t.Errorf("Open = %v, want ErrDamaged", err)
				}
				if errors.Is(err, ErrDamaged) {
					shown = readOnly(t, dir)
				}
			}
			before := countFiles(t, dir)
			_, aside, err := Recover(t.Context(), vfs.OS(), dir, "0.1.0", time.Unix(1_800_000_000, 0), smallLogBytes)
			if err != nil {
				t.Fatal(err)
			}
			if (aside != "") != (c.problem != "") || countFiles(t, dir) < before {
				t.Errorf("%d files before, %d after, %q aside", before, countFiles(t, dir), aside)
			}
			n := openNode(t, Config{Dir: dir, LogFileBytes: smallLogBytes})
			if got := len(storedUUIDs(t, n, 1)); got < c.least || got > 300 {
				t.Errorf("%d events are left, want %d at least", got, c.least)
			} else if shown >= 0 && shown != got {
				t.Errorf("%d events could be read before, %d after", shown, got)
			}
			ingest(t, n, 7, 0, 10, Receipt{Stored: 10})
			if err := n.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			if v, err := VerifyDir(t.Context(), vfs.OS(), dir, nil); err != nil || len(v.Problems) > 0 {
				t.Errorf("after recovery and use: VerifyDir = %+v, %v", v, err)
			}
			openNode(t, Config{Dir: dir, LogFileBytes: smallLogBytes})
		})
	}
}

// readOnly opens a damaged directory for reading and gives how many events are seen. Writes
// are refused, and nothing changes.
func readOnly(t *testing.T, dir string) (events int) {
	t.Helper()
	loss, err := Diagnose(t.Context(), vfs.OS(), dir)
	if err != nil {
		t.Fatal(err)
	}
	before := filesOf(t, dir)
	n, err := OpenReadOnly(t.Context(), Config{FS: vfs.OS(), Dir: dir, Version: "0.1.0", LogFileBytes: smallLogBytes})
	if err != nil {
		t.Fatal(err)
	}
	events = len(storedUUIDs(t, n, 1))
	if n.Loss() == nil || n.Loss().String() != loss.String() {
		t.Errorf("Loss = %v, want %v", n.Loss(), loss)
	}
	_, err = n.Ingest(t.Context(), 1, testBatch(7, 0, 10))
	if want := "lost: " + loss.String() + "; to go on without it, stop the server and run: prickle recover --accept-loss --data " + dir; !errors.Is(err, ErrReadOnly) || !strings.HasSuffix(err.Error(), want) {
		t.Errorf("Ingest = %v, want ErrReadOnly: %s", err, want)
	}
	for what, err := range map[string]error{
		"CreateProject": func() error { _, err := n.CreateProject(t.Context(), ProjectSpec{Name: "x"}); return err }(),
		"DeleteProject": n.DeleteProject(t.Context(), 1),
		"Backup":        func() error { _, err := n.Backup(t.Context(), blob.NewMem(), nil); return err }(),
	} {
		if !errors.Is(err, ErrReadOnly) {
			t.Errorf("%s = %v, want ErrReadOnly", what, err)
		}
	}
	if got := len(storedUUIDs(t, n, 1)); got != events {
		t.Errorf("%d events after writes were refused, %d before", got, events)
	}
	if err := n.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if after := filesOf(t, dir); !maps.Equal(before, after) {
		t.Errorf("files changed: before %v, after %v", slices.Sorted(maps.Keys(before)), slices.Sorted(maps.Keys(after)))
	}
	return events
}

// filesOf gives the files of a directory, but for its lock.
func filesOf(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(name string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && d.Name() != "lock" {
			var raw []byte
			raw, err = os.ReadFile(name)
			out[name] = string(raw)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Of entries that cannot be read it is estimated what was in them.
func TestLossIsEstimated(t *testing.T) {
	dir := damageable(t)
	var entries []raftlog.Item
	err := raftlog.Scan(vfs.OS(), filepath.Join(dir, logDir), func(i raftlog.Item) error {
		if i.Type == raftlog.TypeEntry {
			entries = append(entries, i)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	bad, last := entries[len(entries)-8], entries[len(entries)-1].Index
	change(t, bad.File, func(raw []byte) []byte { raw[bad.Offset+100] ^= 1; return raw })
	loss, err := Diagnose(t.Context(), vfs.OS(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if loss.First != bad.Index || loss.Last != last || loss.Rows != 70 || loss.Estimate < 75 || loss.Estimate > 80 || loss.LastTime.Before(loss.FirstTime) || loss.FirstTime.IsZero() {
		t.Errorf("Diagnose = %+v, want entries %d to %d, 70 rows that can be counted and about 80 in all", loss, bad.Index, last)
	}
}

func countFiles(t *testing.T, dir string) int {
	t.Helper()
	n := 0
	err := filepath.WalkDir(dir, func(_ string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			n++
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// A byte that changes in any file of a directory that holds data is found, and named.
func TestVerifyDir(t *testing.T) {
	rng := random(t)
	dir := damageable(t)
	var files []string
	for _, pattern := range []string{"data/segments/*", "data/state/*", "data/dedup/*", "data/MANIFEST-*", "data/CURRENT", "raft/snapshots/*", "cluster.json"} {
		names, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil || len(names) == 0 {
			t.Fatalf("%s: %v, %v", pattern, names, err)
		}
		files = append(files, names...)
	}
	for _, name := range files {
		for range 3 {
			at, bit := 0, byte(1)<<rng.IntN(8)
			flip := func(raw []byte) []byte { raw[at] ^= bit; return raw }
			change(t, name, func(raw []byte) []byte { at = rng.IntN(len(raw)); return flip(raw) })
			v, err := VerifyDir(t.Context(), vfs.OS(), dir, nil)
			if err != nil {
				t.Fatal(err)
			}
			rel, _ := filepath.Rel(dir, name)
			if !slices.ContainsFunc(v.Problems, func(p Problem) bool { return p.File == rel }) {
				t.Errorf("byte %d of %s changed: %v", at, rel, v.Problems)
			}
			change(t, name, flip)
		}
	}
	if v, err := VerifyDir(t.Context(), vfs.OS(), dir, nil); err != nil || len(v.Problems) > 0 || v.Segments == 0 || v.Entries == 0 || v.Bytes == 0 {
		t.Errorf("VerifyDir of a whole directory = %+v, %v", v, err)
	}
	n := openNode(t, Config{Dir: dir, LogFileBytes: smallLogBytes})
	if _, err := VerifyDir(t.Context(), vfs.OS(), dir, nil); err == nil || !strings.Contains(err.Error(), "held by") {
		t.Errorf("VerifyDir of an open directory = %v", err)
	}
	if v, err := n.Verify(t.Context(), nil); err != nil || len(v.Problems) > 0 || v.Segments == 0 || v.Entries == 0 {
		t.Errorf("Verify of an open node = %+v, %v", v, err)
	}
}

// A segment that is given up is gone from the answers, and lies in quarantine.
func TestDetach(t *testing.T) {
	dir := damageable(t)
	names, err := filepath.Glob(filepath.Join(dir, "data", "segments", "*"))
	if err != nil || len(names) < 2 {
		t.Fatal(names, err)
	}
	change(t, names[0], func(raw []byte) []byte { raw[len(raw)-1] ^= 1; return raw })
	if n, err := Open(t.Context(), Config{FS: vfs.OS(), Dir: dir}); err == nil {
		n.Close(t.Context()) // it should not have opened
		t.Fatal("a directory with a damaged segment opens")
	}
	id, err := strconv.ParseUint(strings.TrimSuffix(filepath.Base(names[0]), ".seg"), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	refused := errors.New("no")
	var said manifest.Segment
	if _, _, err := Detach(vfs.OS(), dir, id, func(s manifest.Segment) error { said = s; return refused }); !errors.Is(err, refused) || said.Rows != 100 {
		t.Errorf("Detach without a confirmation = %v, of %+v", err, said)
	}
	if _, _, err := Detach(vfs.OS(), dir, 99, func(manifest.Segment) error { return nil }); err == nil || !strings.Contains(err.Error(), "there is no segment 99") {
		t.Errorf("Detach of nothing = %v", err)
	}
	s, aside, err := Detach(vfs.OS(), dir, id, func(manifest.Segment) error { return nil })
	if err != nil || s.Rows != 100 {
		t.Fatalf("Detach = %+v, %v", s, err)
	}
	if _, err := os.Stat(filepath.Join(aside, filepath.Base(names[0]))); err != nil {
		t.Error(err)
	}
	n := openNode(t, Config{Dir: dir, LogFileBytes: smallLogBytes})
	if got := len(storedUUIDs(t, n, 1)); got != 200 {
		t.Errorf("%d events, want 200", got)
	}
	if err := n.MergeAll(t.Context()); err != nil {
		t.Fatal(err)
	}
}
