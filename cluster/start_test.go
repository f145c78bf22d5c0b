package cluster

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prickledb/prickle/storage/vfs"
)

// A start on a directory of which a part was lost says so, and removes nothing. With the
// part back, everything is there.
func TestStartAfterLoss(t *testing.T) {
	dir := t.TempDir()
	n := openNode(t, Config{Dir: dir})
	ingest(t, n, 1, 0, 50, Receipt{Stored: 50})
	if err := n.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	receipt := ingest(t, n, 1, 50, 50, Receipt{Stored: 50})
	ingest(t, n, 1, 100, 50, Receipt{Stored: 50})
	gone, cancel := context.WithCancel(t.Context())
	cancel() // no flush: the last entries are in the log alone
	if err := n.Close(gone); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, want string
		change     func(t *testing.T, dir string)
	}{
		{"the last record of the manifest is damaged", "MANIFEST-000001: the manifest covers entry 0 of the log", func(t *testing.T, dir string) {
			raw, err := os.ReadFile(filepath.Join(dir, "data", "MANIFEST-000001"))
			if err != nil {
				t.Fatal(err)
			}
			raw[len(raw)-3] ^= 1
			write(t, filepath.Join(dir, "data", "MANIFEST-000001"), raw)
		}},
		{"manifest and Raft snapshot are of an earlier day, and the log goes on", "no raft snapshot that can be read", func(t *testing.T, dir string) {
			cutLog(t, dir, receipt.Index)
			for _, name := range list(t, filepath.Join(dir, "raft", "snapshots")) {
				if err := os.Remove(name); err != nil {
					t.Fatal(err)
				}
			}
		}},
		{"the log has a gap behind the Raft snapshot", "the raft log starts at entry", func(t *testing.T, dir string) {
			cutLog(t, dir, receipt.Index)
		}},
		{"the log is gone", "log files are missing", func(t *testing.T, dir string) {
			for _, name := range list(t, filepath.Join(dir, "raft", "log")) {
				if err := os.Remove(name); err != nil {
					t.Fatal(err)
				}
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			copied := t.TempDir()
			if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
				t.Fatal(err)
			}
			c.change(t, copied)
			before := len(list(t, filepath.Join(copied, "data", "segments")))
			again, err := Open(t.Context(), Config{FS: vfs.OS(), Dir: copied, NoMerger: true})
			if err == nil {
				again.Close(t.Context()) // it should not have opened
			}
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "restore the d") || !strings.Contains(err.Error(), copied) {
				t.Errorf("Open: %v, want an error with %q and what to do", err, c.want)
			}
			if after := len(list(t, filepath.Join(copied, "data", "segments"))); after != before || before == 0 {
				t.Errorf("%d segment files before, %d after", before, after)
			}
		})
	}
	n = openNode(t, Config{Dir: dir})
	if got := len(storedUUIDs(t, n, 1)); got != 150 {
		t.Errorf("%d events stored, want 150", got)
	}
}

// A log that begins after what the manifest covers has a gap, whatever Raft snapshots say.
func TestCovered(t *testing.T) {
	for _, c := range []struct {
		b    beginning
		want uint64
	}{
		{beginning{}, 0},
		{beginning{first: 1, oldest: 1, last: 9}, 0},
		{beginning{first: 9, oldest: 8, last: 9, index: 8, durable: 5}, 7},
		{beginning{first: 6, oldest: 3, last: 9, index: 8, durable: 5}, 5},
		{beginning{index: 8, durable: 5}, 5},
	} {
		if got := c.b.covered(); got != c.want {
			t.Errorf("covered of %+v = %d, want %d", c.b, got, c.want)
		}
	}
}

// cutLog takes all entries up to one from the front of a log.
func cutLog(t *testing.T, dir string, index uint64) {
	t.Helper()
	cfg := Config{FS: vfs.OS()}
	log, err := openLog(&cfg, filepath.Join(dir, "raft", "log"), true)
	if err != nil {
		t.Fatal(err)
	}
	if err := log.Group(0).DeleteRange(1, index); err != nil {
		t.Fatal(err)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
}

func list(t *testing.T, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func write(t *testing.T, name string, raw []byte) {
	t.Helper()
	if err := os.WriteFile(name, raw, 0o640); err != nil {
		t.Fatal(err)
	}
}
