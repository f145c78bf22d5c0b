package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/prickledb/prickle/storage"
	"github.com/prickledb/prickle/storage/dedup"
	"github.com/prickledb/prickle/storage/vfs"
)

func openNode(t *testing.T, cfg Config) *Node {
	t.Helper()
	if cfg.FS == nil {
		cfg.FS = vfs.OS()
	}
	if cfg.Dir == "" {
		cfg.Dir = t.TempDir()
	}
	if cfg.LogFileBytes == 0 {
		cfg.LogFileBytes = testLogBytes
	}
	cfg.NoMerger = true
	n, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close(context.Background()) })
	return n
}

func ingest(t *testing.T, n *Node, producer byte, first, count int, want Receipt) Receipt {
	t.Helper()
	got, err := n.Ingest(t.Context(), 1, testBatch(producer, first, count))
	if err != nil {
		t.Fatal(err)
	}
	if got.Stored != want.Stored || got.Duplicates != want.Duplicates {
		t.Fatalf("Ingest(%d events from %d) = %+v, want %d stored, %d duplicates", count, first, got, want.Stored, want.Duplicates)
	}
	return got
}

// What was answered is there, once, whether it lies in the log or in segments, and after
// a restart.
func TestIngestAndRestart(t *testing.T) {
	dir := t.TempDir()
	n := openNode(t, Config{Dir: dir})
	first := ingest(t, n, 1, 0, 100, Receipt{Stored: 100})
	second := ingest(t, n, 1, 50, 100, Receipt{Stored: 50, Duplicates: 50})
	if second.Index <= first.Index {
		t.Errorf("indexes %d, %d do not grow", first.Index, second.Index)
	}
	if got := len(storedUUIDs(t, n, 1)); got != 150 {
		t.Errorf("%d events stored, want 150", got)
	}
	if err := n.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	ingest(t, n, 1, 140, 20, Receipt{Stored: 10, Duplicates: 10})
	for round := range 3 {
		if err := n.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		n = openNode(t, Config{Dir: dir})
		if got := len(storedUUIDs(t, n, 1)); got != 160+round {
			t.Fatalf("restart %d: %d events stored, want %d", round, got, 160+round)
		}
		ingest(t, n, 1, 160+round, 1, Receipt{Stored: 1})
		ingest(t, n, 1, 0, 10, Receipt{Duplicates: 10})
	}
	if err := n.MergeAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := len(storedUUIDs(t, n, 1)); got != 163 {
		t.Errorf("after merges: %d events stored, want 163", got)
	}
}

func TestFirstProject(t *testing.T) {
	n := openNode(t, Config{})
	all := n.Store().Projects()
	if len(all) != 1 || all[0].ID != 1 || all[0].Name != "prickle" || all[0].Database != "prickle" || all[0].Timezone != "UTC" {
		t.Fatalf("Projects() = %+v, want prickle alone", all)
	}
	if !regexp.MustCompile(`^phc_[0-9A-Za-z]{32}$`).MatchString(all[0].Token) {
		t.Errorf("token %q", all[0].Token)
	}
	p, err := n.CreateProject(t.Context(), ProjectSpec{Name: "Second one"})
	if err != nil {
		t.Fatal(err)
	}
	if p.ID != 2 || p.Token == all[0].Token {
		t.Errorf("CreateProject = %+v", p)
	}
	if _, err := n.Ingest(t.Context(), 99, testBatch(1, 0, 1)); err == nil {
		t.Errorf("Ingest into project 99 gave no error")
	}
}

func TestManyWriters(t *testing.T) {
	n := openNode(t, Config{InFlightBytes: 64 << 10})
	const writers, batches = 8, 20
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range batches {
				// Each batch is sent by two writers.
				if _, err := n.Ingest(t.Context(), 1, testBatch(byte(w/2), i*50, 50)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if got, want := len(storedUUIDs(t, n, 1)), writers/2*batches*50; got != want {
		t.Errorf("%d events stored, want %d", got, want)
	}
	if n.InFlight() != 0 {
		t.Errorf("InFlight() = %d when all is answered", n.InFlight())
	}
}

func TestIngestTooLarge(t *testing.T) {
	n := openNode(t, Config{})
	b := testBatch(1, 0, 1)
	noise := make([]byte, maxEntryBytes+1)
	state := uint64(1)
	for i := range noise {
		state = state*6364136223846793005 + 1442695040888963407
		noise[i] = byte(state >> 56)
	}
	b.Props[0].Values.Reset()
	b.Props[0].Values.Append(noise)
	if _, err := n.Ingest(t.Context(), 1, b); err == nil || !strings.Contains(err.Error(), "at most 8 MB") {
		t.Errorf("Ingest of 8 MB: %v, want a refusal", err)
	}
}

// The same proposal again gives the first answer, also after a restart.
func TestProposalTwice(t *testing.T) {
	dir := t.TempDir()
	n := openNode(t, Config{Dir: dir})
	id := newProposalID()
	send := func() Receipt {
		raw, _, err := encodeEvents(id, 1, testBatch(1, 0, 10), nil)
		if err != nil {
			t.Fatal(err)
		}
		result, err := n.submit(t.Context(), &proposal{id: id, raw: raw, batch: testBatch(1, 0, 10)})
		if err != nil {
			t.Fatal(err)
		}
		return result.receipt
	}
	first := send()
	if again := send(); again != first || first.Stored != 10 {
		t.Errorf("second answer %+v, first %+v", again, first)
	}
	if err := n.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	n = openNode(t, Config{Dir: dir})
	if again := send(); again != first {
		t.Errorf("answer after a restart %+v, first %+v", again, first)
	}
}

// entries are those of prickle in a node's log, from an index on.
func entries(t *testing.T, n *Node, from uint64) (out []entry) {
	t.Helper()
	first, _ := n.log.FirstIndex()
	to, _ := n.log.LastIndex()
	for i := max(first, from); i <= to; i++ {
		var l raft.Log
		if err := n.log.GetLog(i, &l); err != nil {
			t.Fatal(err)
		}
		if l.Type != raft.LogCommand {
			continue
		}
		e, err := decodeEntry(l.Data)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, e)
	}
	return out
}

// Times in the log grow though the clock goes back, and go on growing after a restart.
func TestLeaderTime(t *testing.T) {
	dir := t.TempDir()
	now := time.UnixMicro(2_000_000)
	clock := func() time.Time { now = now.Add(-time.Second); return now }
	var last int64
	for range 2 {
		n := openNode(t, Config{Dir: dir, Clock: clock})
		for i := range 3 {
			ingest(t, n, 1, i*10, 1, Receipt{Stored: 0, Duplicates: 1}.or(last == 0, Receipt{Stored: 1}))
		}
		last = 0
		for i, e := range entries(t, n, 0) {
			if e.time <= last {
				t.Errorf("entry %d has time %d, the one before %d", i, e.time, last)
			}
			last = e.time
		}
		if err := n.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

func (r Receipt) or(when bool, other Receipt) Receipt {
	if when {
		return other
	}
	return r
}

// An entry of a newer release stops the node, now and at the next start.
func TestNeedsUpgrade(t *testing.T) {
	dir := t.TempDir()
	n := openNode(t, Config{Dir: dir})
	ingest(t, n, 1, 0, 5, Receipt{Stored: 5})
	raw := encodeEntry(77, header{proposal: newProposalID()}, nil)
	seal(raw, 1)
	if err := n.raft.Apply(raw, 0).Error(); err != nil {
		t.Fatal(err)
	}
	if _, err := n.Ingest(t.Context(), 1, testBatch(1, 5, 5)); !errors.Is(err, errNeedsUpgrade) || !errors.Is(n.Err(), errNeedsUpgrade) {
		t.Errorf("Ingest: %v, Err(): %v, want needs upgrade", err, n.Err())
	}
	n.Close(t.Context())
	_, err := Open(t.Context(), Config{FS: vfs.OS(), Dir: dir, NoMerger: true})
	if err == nil || !strings.Contains(err.Error(), "needs upgrade") {
		t.Errorf("Open: %v, want needs upgrade", err)
	}
}

// A first start that died when Raft had a term and no entry yet is a first start again.
func TestFirstStartAgain(t *testing.T) {
	dir := t.TempDir()
	wal, err := openOffline(vfs.OS(), dir, testLogBytes)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(wal.Group(0).SetUint64(currentTermKey, 1), wal.Close()); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
	defer stop()
	for start := range 2 { // and then it goes on
		n, err := Open(ctx, Config{FS: vfs.OS(), Dir: dir, NoMerger: true, LogFileBytes: testLogBytes})
		if err != nil {
			t.Fatal(err)
		}
		ingest(t, n, 1, 5*start, 5, Receipt{Stored: 5})
		if err := n.Close(ctx); err != nil {
			t.Fatal(err)
		}
	}
}

func TestDirectoryInUse(t *testing.T) {
	dir := t.TempDir()
	openNode(t, Config{Dir: dir})
	_, err := Open(t.Context(), Config{FS: vfs.OS(), Dir: dir})
	if err == nil || !strings.Contains(err.Error(), fmt.Sprint(os.Getpid())) {
		t.Errorf("second Open: %v, want an error with our pid", err)
	}
}

type readOnlyFS struct{ vfs.FS }

func (readOnlyFS) MkdirAll(name string) error {
	return &fs.PathError{Op: "mkdir", Path: name, Err: syscall.EROFS}
}

func TestReadOnlyDirectory(t *testing.T) {
	_, err := Open(t.Context(), Config{FS: readOnlyFS{vfs.OS()}, Dir: "/data"})
	if err == nil || !strings.Contains(err.Error(), "data directory /data cannot be written to") {
		t.Errorf("Open: %v", err)
	}
}

// A failed write of the log calls Exit, and what it was for is not acknowledged.
func TestFailStop(t *testing.T) {
	for _, rule := range []string{"fail(sync, path=log/*.rl, from=1, err=EIO)", "fail(write, path=log/*.rl, from=1, err=EIO)", "short(write, path=log/*.rl, from=1, err=EIO)", "fail(sync, path=log/*.rl, nth=1, err=EIO)"} {
		rules, err := vfs.ParseFaults(rule)
		if err != nil {
			t.Fatal(err)
		}
		reasons := make(chan error, 100)
		ctx, stop := context.WithCancel(t.Context())
		disk := vfs.NewFault(vfs.NewMem(), 1)
		// The node is left as it is: nothing of it goes on when Exit does not return.
		n, err := Open(ctx, Config{FS: disk, Dir: "d", NoMerger: true, LogFileBytes: testLogBytes, Exit: func(reason error) {
			reasons <- reason
			stop()
			select {}
		}})
		if err != nil {
			t.Fatal(err)
		}
		ingest(t, n, 1, 0, 5, Receipt{Stored: 5})
		disk.Arm(rules...)
		if _, err := n.Ingest(ctx, 1, testBatch(1, 5, 5)); err == nil {
			t.Fatalf("%s: Ingest on a failing disk gave no error", rule)
		}
		if reason := <-reasons; !errors.Is(reason, syscall.EIO) {
			t.Errorf("%s: exit for %v, want an I/O error", rule, reason)
		}
	}
}

// testLogBytes is the size of log files where a test has no large entries: zeros need not
// be written for nothing.
const testLogBytes = 8 << 20

// A write for which there is no room is refused after a while, and is nowhere.
func TestOverloaded(t *testing.T) {
	n := openNode(t, Config{FS: vfs.NewMem(), Dir: "d", AdmitWait: time.Millisecond})
	if err := n.budget.acquire(t.Context(), 9, inFlightBytes); err != nil {
		t.Fatal(err)
	}
	if _, err := n.Ingest(t.Context(), 1, testBatch(1, 0, 5)); !errors.Is(err, ErrOverloaded) {
		t.Errorf("Ingest without room: %v, want ErrOverloaded", err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := n.Ingest(gone, 1, testBatch(1, 0, 5)); !errors.Is(err, context.Canceled) || errors.Is(err, ErrOverloaded) {
		t.Errorf("Ingest of a caller who left: %v", err)
	}
	n.budget.release(inFlightBytes)
	ingest(t, n, 1, 0, 5, Receipt{Stored: 5})
}

// A request that is sent again is answered by the entry that it came in, also after a start;
// without the key, or an hour later, its events are compared one by one.
func TestRequestTwice(t *testing.T) {
	now := time.UnixMicro(1_700_000_000_000_000)
	fs := vfs.NewMem()
	open := func() *Node {
		return openNode(t, Config{FS: fs, Dir: "d", Clock: func() time.Time { return now }})
	}
	n := open()
	send := func(key byte, first int, want Receipt) Receipt {
		t.Helper()
		b := testBatch(1, first, 5)
		b.Request[0] = key
		got, err := n.Ingest(t.Context(), 1, b)
		if want.Index == 0 {
			want.Index = got.Index
		}
		if err != nil || got != want {
			t.Fatalf("Ingest = %+v, %v, want %+v", got, err, want)
		}
		return got
	}
	first := send(7, 0, Receipt{Stored: 5})
	send(7, 0, Receipt{Index: first.Index, Duplicates: 5})
	if err := n.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	n = open()
	send(7, 0, Receipt{Index: first.Index, Duplicates: 5})
	send(0, 0, Receipt{Duplicates: 5}) // an entry of its own
	send(0, 5, Receipt{Stored: 5})
	now = now.Add(61 * time.Minute)
	send(7, 10, Receipt{Stored: 5})
}

func TestFSMState(t *testing.T) {
	in := fsmState{LastTime: -3, Requests: &dedup.Window{}, Proposals: []proposalResult{{newProposalID(), 5, Receipt{9, 10, 11, 0}}}}
	in.Requests.Add(7, 5, dedup.RequestKey{1}, 9)
	raw := in.encode()
	out, err := decodeFSMState(raw)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(out.encode(), raw) || len(out.Proposals) != 1 || out.Proposals[0] != in.Proposals[0] {
		t.Errorf("decodeFSMState = %+v, want %+v", out, in)
	}
	if first, ok := out.Requests.Find(7, 6, dedup.RequestKey{1}); first != 9 || !ok {
		t.Errorf("the request is of entry %d, %v, want 9", first, ok)
	}
	for i := 1; i < len(raw); i++ {
		if _, err := decodeFSMState(raw[:i]); err == nil {
			t.Errorf("state of %d bytes gave no error", i)
		}
	}
}

// A Raft snapshot file can be looked at, and damage is said.
func TestDumpSnapshot(t *testing.T) {
	dir := t.TempDir()
	n := openNode(t, Config{Dir: dir})
	ingest(t, n, 1, 0, 5, Receipt{Stored: 5})
	if err := n.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(list(t, filepath.Join(dir, "raft", "snapshots"))[0])
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := DumpSnapshot(&out, raw); err != nil || !strings.Contains(out.String(), "the manifest covered entry") {
		t.Errorf("DumpSnapshot: %v\n%s", err, out.String())
	}
	raw[len(raw)/2] ^= 1
	if err := DumpSnapshot(&out, raw); err == nil || !strings.Contains(err.Error(), "checksum") {
		t.Errorf("DumpSnapshot of a damaged file: %v", err)
	}
}

func TestProposalWindow(t *testing.T) {
	var w proposalWindow
	first := newProposalID()
	w.add(proposalResult{id: first, time: 0, receipt: Receipt{Index: 1}})
	for i := range 3000 {
		w.add(proposalResult{id: newProposalID(), time: proposalWindowTime.Microseconds() + int64(i)})
	}
	if _, ok := w.get(first); ok {
		t.Errorf("a proposal is remembered for longer than the window")
	}
	if got := len(w.list()); got != 3000 {
		t.Errorf("%d proposals remembered, want 3000", got)
	}
}

// While events wait for a flush nothing is quiet, however long that takes: merges would take the
// processors from it. What merges propose themselves leaves it quiet.
func TestQuietMoments(t *testing.T) {
	fs := vfs.NewMem()
	proceed := make(chan struct{})
	fs.Hook = func(op, name string) error {
		if op == "create" && strings.Contains(name, "/segments/") {
			<-proceed
		}
		return nil
	}
	const rows = 100
	n := openNode(t, Config{FS: fs, Dir: "d", Store: storage.Options{SealRows: rows}})
	for i := range 3 { // one is written, one waits for that, one is full
		ingest(t, n, 1, i*rows, rows, Receipt{Stored: rows})
	}
	done := make(chan error, 1)
	go func() {
		_, err := n.Ingest(t.Context(), 1, testBatch(1, 3*rows, rows))
		done <- err
	}()
	for !n.fsm.applying.Load() {
		runtime.Gosched()
	}
	if n.fsm.quiet(time.Now().Add(time.Hour), mergeQuiet) {
		t.Error("it is quiet while events wait for a flush")
	}
	close(proceed)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if err := n.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !n.fsm.quiet(time.Now().Add(time.Hour), mergeQuiet) {
		t.Error("it is not quiet an hour after all was applied")
	}
	before := n.fsm.lastApply.Load()
	for more := true; more; {
		var err error
		if more, err = n.mergeOnce(t.Context(), n.store.PlanMergeAll); err != nil {
			t.Fatal(err)
		}
	}
	if got := n.store.Stats().Segments; got != 1 || n.fsm.lastApply.Load() != before {
		t.Errorf("%d segments after merges, want 1; the last entry that counts is of %d, want %d", got, n.fsm.lastApply.Load(), before)
	}
}
