package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A sabotage is a mistake that was made somewhere before, or could be: code that is
// replaced, and the suite that must fail then.
type sabotage struct {
	name, file, old, new string
	suite                string // arguments of go test
}

// sabotages is the list of known mistakes. One whose code is not found any more is to be moved
// to where the code is.
var sabotages = []sabotage{
	{"a write is answered before it is synced", "cluster/raftlog/log.go",
		"	err := l.disk(f, f.handle.SyncData)\n", "	var err error\n", "-run TestCrash$ ./cluster/raftlog"},
	{"a failed sync is ignored", "cluster/raftlog/log.go",
		"	err := l.disk(f, f.handle.SyncData)\n", "	err := l.disk(f, func() error { f.handle.SyncData(); return nil })\n", "-timeout 60s -run TestFailStop ./cluster"},
	{"a failed sync is tried again", "cluster/raftlog/log.go",
		"	err := l.disk(f, f.handle.SyncData)\n", "	err := l.disk(f, func() error { f.handle.SyncData(); return f.handle.SyncData() })\n", "-timeout 60s -run TestFailStop ./cluster"},
	{"a mark covers the round that it begins", "cluster/raftlog/log.go",
		"Index: w.covered, Term: uint64(w.coveredTo),", "Index: f.number, Term: uint64(f.end + size),", "-run TestCrash$ ./cluster/raftlog"},
	{"damage in the log is cut off silently", "cluster/raftlog/recover.go",
		"		if !opts.AcceptLoss || found.misfit {", "		if false {", "./cluster/raftlog"},
	{"log files are used again where Raft deleted entries", "cluster/raftlog/group.go",
		"	if durable := g.durable.Load(); durable < from {\n		from = durable + 1\n	}\n", "", "-run TestCycles ./cluster"},
	{"old records of a file that is used again count", "cluster/raftlog/record.go",
		"	if r.Epoch == epoch || r.Flags&flagResume != 0", "	if true || r.Flags&flagResume != 0", "./cluster/raftlog"},
	{"the uuids of events are forgotten at a restart", "storage/dedup/index.go",
		"		x.runs = append(x.runs, r)\n", "		_ = r\n", "-run TestCycles ./cluster"},
	{"duplicates are looked for by this node's clock", "storage/dedup.go",
		"s.dedup.Find(id, at, b.UUID)", "s.dedup.Find(id, time.Now().UnixMicro(), b.UUID)", "-run TestMergeCollapsesLateRepeats ./storage"},
	{"segments are numbered in the order of a map", "storage/flush.go",
		"range slices.Sorted(maps.Keys(m.batches))", "range slices.Collect(maps.Keys(m.batches))", "-run TestSameLogSameBytes ./storage"},
	{"a file is renamed before it is synced", "storage/vfs/fs.go",
		"	if err == nil {\n		err = f.SyncData()\n	}\n", "", "-run TestCycles ./cluster"},
	{"the manifest is switched before the directory is synced", "storage/vfs/fs.go",
		"	return fs.SyncDir(path.Dir(name))\n", "	path.Dir(name)\n	return nil\n", "-run TestCycles ./cluster"},
	{"an edit of the manifest is not synced", "storage/manifest/log.go",
		"	if err := l.file.SyncData(); err != nil {\n		return err\n	}\n	l.end", "	l.end", "-run TestCycles ./cluster"},
	{"inputs of a merge go before the manifest knows", "storage/compact.go",
		"	s.exchanged.note(inputs, out)\n", "	s.exchanged.note(inputs, out)\n	s.fs.Remove(inputs[0].name(s))\n", "-run TestCycles ./cluster"},
	{"a merge forgets the rows that were deleted", "storage/compact.go",
		"		p.Dead, p.Moved = in.live[i].dead, in.live[i].moved\n", "		p.Moved = in.live[i].moved\n", "-run TestDeletesModel ./engine/exec"},
	{"what a merge is built of is forgotten at a restart", "storage/inputs.go",
		"	m.inputs.files = files\n", "	_ = files\n", "-run TestMergeIsBuiltAgainAfterFlush ./storage"},
	{"a merge is built of what persons are when it is built", "storage/inputs.go",
		"	in.identity = person.NewMap(roots)\n", "	in.identity = person.NewMap(nil)\n", "-run TestMergeIsBuiltAgainAfterFlush ./storage"},
	{"a node on a damaged directory takes writes", "cluster/readonly.go",
		"	if h == nil || k == kindSeal", "	if true || k == kindSeal", "-run TestRecover ./cluster"},
	{"a node on a damaged directory writes to it", "cluster/readonly.go",
		"	cfg.FS = vfs.NewOverlay(cfg.FS, held.dir)\n", "	_ = vfs.NewOverlay\n", "-run TestRecover ./cluster"},
	{"an event is late by this node's clock", "storage/dedup.go",
		"markLate(b *event.Batch, seen []bool, at int64) int {\n", "markLate(b *event.Batch, seen []bool, at int64) int {\n	at = time.Now().UnixMicro()\n", "-run TestLateEventsAreMarked ./storage"},
	{"a delete does not end a merge under way", "storage/delete.go",
		"	s.cancelMerges(func(m *pendingMerge) bool {\n		return slices", "	s.cancelMerges(func(m *pendingMerge) bool {\n		return false && slices", "-run TestDeleteAndMergeCross ./storage"},
	{"proposals are forgotten at a restart", "cluster/fsm.go",
		"	for _, p := range s.Proposals {", "	for _, p := range s.Proposals[:0] {", "-run TestProposalTwice ./cluster"},
	{"a Raft snapshot claims what the manifest lacks", "cluster/node.go",
		"	if durable >= b.index {\n		return nil\n	}\n", "	return nil\n	if durable >= b.index {\n		return nil\n	}\n", "-run TestCycles ./cluster"},
}

// The code that a sabotage replaces is there, once.
func TestSabotagesApply(t *testing.T) {
	for _, s := range sabotages {
		whole, err := os.ReadFile(filepath.Join("../..", s.file))
		if err != nil {
			t.Fatal(err)
		}
		if n := bytes.Count(whole, []byte(s.old)); n != 1 {
			t.Errorf("%s: in %s the code to be replaced is there %d times, want once:\n%s", s.name, s.file, n, s.old)
		}
	}
}

// TestSabotage makes each mistake in a copy of the source, and runs the suite that must
// notice. It is run where PRICKLE_SABOTAGE is set; `make sabotage` sets it.
func TestSabotage(t *testing.T) {
	if os.Getenv("PRICKLE_SABOTAGE") == "" {
		t.Skip("it compiles the tests twenty times: make sabotage")
	}
	source, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	files, err := exec.Command("git", "-C", source, "ls-files", "-co", "--exclude-standard").Output()
	if err != nil {
		t.Fatalf("git ls-files: %v", err)
	}
	dir := t.TempDir()
	for name := range strings.FieldsSeq(string(files)) {
		raw, err := os.ReadFile(filepath.Join(source, name))
		if os.IsNotExist(err) {
			continue // deleted and not committed
		}
		if err == nil {
			err = os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), raw, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range sabotages {
		t.Run(strings.ReplaceAll(s.name, " ", "_"), func(t *testing.T) {
			name := filepath.Join(dir, s.file)
			whole, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			broken := bytes.Replace(whole, []byte(s.old), []byte(s.new), 1)
			if err := os.WriteFile(name, broken, 0o644); err != nil {
				t.Fatal(err)
			}
			defer os.WriteFile(name, whole, 0o644) //nolint:errcheck // the next case would say
			args := append([]string{"test", "-count=1", "-vet=off", "-timeout", "3m"}, strings.Fields(s.suite)...)
			cmd := exec.Command("go", args...)
			cmd.Dir = dir
			cmd.Env = append(os.Environ(), "PRICKLE_CYCLES=5000", "PRICKLE_SABOTAGE=")
			out, err := cmd.CombinedOutput()
			switch {
			case err == nil:
				t.Errorf("go %s passes", strings.Join(args, " "))
			case bytes.Contains(out, []byte("[build failed]")) || bytes.Contains(out, []byte("no tests to run")):
				t.Errorf("go %s says nothing of it:\n%s", strings.Join(args, " "), out)
			default:
				t.Logf("caught: %s", firstFailure(string(out)))
			}
		})
	}
}

// firstFailure is the line in which a test says what is wrong.
func firstFailure(out string) string {
	for line := range strings.Lines(out) {
		if strings.Contains(line, "_test.go:") || strings.HasPrefix(line, "panic:") {
			return strings.TrimSpace(line)
		}
	}
	return strings.TrimSpace(out[:min(len(out), 200)])
}
