package cluster

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/prickledb/prickle/storage"
	"github.com/prickledb/prickle/storage/vec"
	"github.com/prickledb/prickle/storage/vfs"
)

// The crash tests run this test binary again as a child that writes and dies: at a given
// step, or by kill -9 at random. What it printed as acknowledged before it died must be
// there once when the directory is opened again, what it printed as deleted must not, and
// nothing may be there twice or in part.
//
// PRICKLE_KILLS sets how often kill -9 is tried (5). Where it is set, every step is died
// at, and not only eight of them. `make crash` sets it.
const (
	envCrashDir      = "PRICKLE_CRASH_DIR"      // makes the process a child
	envCrashAt       = "PRICKLE_CRASH_AT"       // die before this step; 0 only lists them
	envCrashProducer = "PRICKLE_CRASH_PRODUCER" // number in the uuids of this child
	envKills         = "PRICKLE_KILLS"
	envCrashForever  = "PRICKLE_CRASH_FOREVER" // write until killed
)

const (
	crashBatch   = 40 // events a batch
	singleEvents = 1  // the producer whose batches are one event
	// doomedEvents is the producer whose batches are deleted again.
	doomedEvents = 250
)

// crashStore seals memtables often.
var crashStore = storage.Options{SealRows: 300}

func TestMain(m *testing.M) {
	if dir := os.Getenv(envCrashDir); dir != "" {
		if err := crashChild(dir); err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// crashPoint counts steps and dies before the chosen one.
type crashPoint struct {
	mu   sync.Mutex
	seen int
	at   int
	list bool
}

func (c *crashPoint) step(what, name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen++
	if c.list {
		fmt.Printf("step %d %s %s\n", c.seen, what, filepath.Base(name))
	}
	if c.seen == c.at {
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {} // no step is taken after this one
	}
}

// crashFS makes a step of everything that changes what is on disk.
type crashFS struct {
	vfs.FS
	point *crashPoint
}

func (c crashFS) Create(name string) (vfs.File, error) {
	c.point.step("create", name)
	f, err := c.FS.Create(name)
	if err != nil {
		return nil, err
	}
	return crashFile{f, name, c.point}, nil
}

func (c crashFS) Open(name string) (vfs.File, error) {
	f, err := c.FS.Open(name)
	if err != nil {
		return nil, err
	}
	return crashFile{f, name, c.point}, nil
}

func (c crashFS) ReuseForWrite(from, to string) (vfs.File, error) {
	c.point.step("reuse", to)
	f, err := c.FS.ReuseForWrite(from, to)
	if err != nil {
		return nil, err
	}
	return crashFile{f, to, c.point}, nil
}

func (c crashFS) Rename(from, to string) error {
	c.point.step("rename", to)
	return c.FS.Rename(from, to)
}

func (c crashFS) Remove(name string) error {
	c.point.step("remove", name)
	return c.FS.Remove(name)
}

func (c crashFS) SyncDir(dir string) error {
	c.point.step("sync dir", dir)
	return c.FS.SyncDir(dir)
}

type crashFile struct {
	vfs.File
	name  string
	point *crashPoint
}

func (c crashFile) WriteAt(p []byte, off int64) (int, error) {
	c.point.step("write", c.name)
	return c.File.WriteAt(p, off)
}

func (c crashFile) WriteVecAt(bufs [][]byte, off int64) error {
	c.point.step("write", c.name)
	return c.File.WriteVecAt(bufs, off)
}

func (c crashFile) Sync() error {
	c.point.step("sync", c.name)
	return c.File.Sync()
}

func (c crashFile) SyncData() error {
	c.point.step("sync data", c.name)
	return c.File.SyncData()
}

// crashChild writes until it dies or is done. Every acknowledged batch is printed before
// the next is sent.
func crashChild(dir string) error {
	at, _ := strconv.Atoi(os.Getenv(envCrashAt))
	number, _ := strconv.Atoi(os.Getenv(envCrashProducer))
	forever := os.Getenv(envCrashForever) != ""
	point := &crashPoint{at: at, list: at == 0 && !forever}
	var out sync.Mutex
	ack := func(producer byte, first int) {
		out.Lock()
		defer out.Unlock()
		fmt.Printf("ack %d %d\n", producer, first)
	}
	ctx := context.Background()
	n, err := Open(ctx, Config{
		FS: crashFS{vfs.OS(), point}, Dir: dir, NoMerger: !forever, Store: crashStore,
	})
	if err != nil {
		return err
	}
	// doom writes a batch and deletes it again.
	doom := func(producer byte, i int) error {
		first := (int(producer)<<16 | i) * crashBatch
		if _, err := n.Ingest(ctx, 1, testBatch(doomedEvents, first, crashBatch)); err != nil {
			return err
		}
		deleted, err := n.DeleteRows(ctx, 1, findDoomed)
		if errors.Is(err, storage.ErrConflict) { // merges never rest here
			return nil
		}
		if err == nil && deleted > 0 {
			out.Lock()
			defer out.Unlock()
			fmt.Printf("gone %d %d\n", doomedEvents, first)
		}
		return err
	}
	write := func(producer byte, from, batches int) error {
		for i := from; i < from+batches; i++ {
			if _, err := n.Ingest(ctx, 1, testBatch(producer, i*crashBatch, crashBatch)); err != nil {
				return err
			}
			ack(producer, i*crashBatch)
			if i%16 == 2 {
				if err := doom(producer, i); err != nil {
					return err
				}
			}
			if i%7 == 3 { // the same again: duplicates, whatever happens between
				if _, err := n.Ingest(ctx, 1, testBatch(producer, i*crashBatch, crashBatch)); err != nil {
					return err
				}
			}
		}
		return nil
	}
	if forever {
		errs := make(chan error, 3)
		for w := range 3 {
			go func() { errs <- write(byte(number*3+w), 0, 1<<20) }()
		}
		go func() {
			for {
				if err := n.Flush(ctx); err != nil {
					errs <- err
				}
				if err := n.MergeAll(ctx); err != nil {
					errs <- err
				}
			}
		}()
		return <-errs
	}
	for round := range 3 {
		if err := write(0, round*5, 5); err != nil {
			return err
		}
		if err := n.Flush(ctx); err != nil {
			return err
		}
	}
	// Enough entries for Raft to let go of the first ones.
	for i := range trailingLogs {
		if _, err := n.Ingest(ctx, 1, testBatch(singleEvents, i, 1)); err != nil {
			return err
		}
	}
	if err := n.Flush(ctx); err != nil {
		return err
	}
	if err := n.MergeAll(ctx); err != nil {
		return err
	}
	if err := write(0, 15, 3); err != nil {
		return err
	}
	return n.Close(ctx)
}

// findDoomed finds the rows that are written to be deleted.
func findDoomed(sn *storage.Snapshot) (map[storage.SegmentID]*roaring.Bitmap, error) {
	out := map[storage.SegmentID]*roaring.Bitmap{}
	for _, seg := range sn.Segments() {
		ids := make([]vec.UUIDValue, seg.Rows())
		if err := seg.UUIDs(ids, 0, len(ids)); err != nil {
			return nil, err
		}
		rows := roaring.New()
		for i, id := range ids {
			if id[0] == doomedEvents {
				rows.Add(uint32(i))
			}
		}
		if seg.ID() != 0 && !rows.IsEmpty() {
			out[seg.ID()] = rows
		}
	}
	return out, nil
}

// startChild runs the child and gives its lines as they come.
func startChild(t *testing.T, dir string, env ...string) (*exec.Cmd, <-chan string, *bytes.Buffer) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), append(env, envCrashDir+"="+dir)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := make(chan string, 1<<16)
	go func() {
		defer close(lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			lines <- s.Text()
		}
	}()
	return cmd, lines, &stderr
}

type batchKey struct {
	producer byte
	first    int
}

// checkStored opens the directory and checks it against what was acknowledged.
func checkStored(t *testing.T, dir string, acked map[batchKey]bool) {
	t.Helper()
	ctx := t.Context()
	n, err := Open(ctx, Config{FS: vfs.OS(), Dir: dir, NoMerger: true, Store: crashStore})
	if err != nil {
		t.Fatalf("opening after the crash: %v", err)
	}
	defer func() {
		if err := n.Close(ctx); err != nil {
			t.Errorf("Close: %v", err)
		}
	}()
	seen := make(map[vec.UUIDValue]int)
	for _, id := range storedUUIDs(t, n, 1) {
		if seen[id]++; seen[id] > 1 {
			t.Fatalf("event %x is stored %d times", id, seen[id])
		}
	}
	for key, there := range acked {
		for _, id := range testBatch(key.producer, key.first, crashBatch).UUID {
			switch {
			case there && seen[id] != 1:
				t.Fatalf("acknowledged event %x of batch %+v is missing", id, key)
			case !there && seen[id] != 0:
				t.Fatalf("event %x of batch %+v was deleted, and is back", id, key)
			}
		}
	}
	parts := make(map[batchKey]int)
	for id := range seen {
		sequence := int(id[12])<<24 | int(id[13])<<16 | int(id[14])<<8 | int(id[15])
		parts[batchKey{id[0], sequence / crashBatch * crashBatch}]++
	}
	for key, count := range parts {
		if count != crashBatch && key.producer != singleEvents {
			t.Errorf("batch %+v is stored in part: %d of %d events", key, count, crashBatch)
		}
	}
}

// storedUUIDs reads the uuids of all rows of a project that count.
func storedUUIDs(t *testing.T, n *Node, project uint32) []vec.UUIDValue {
	t.Helper()
	all, err := uuidsOf(n.Store(), project)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// uuidsOf gives the uuids of rows that are not dead.
func uuidsOf(s *storage.Store, project uint32) ([]vec.UUIDValue, error) {
	sn, err := s.Snapshot(project)
	if err != nil {
		return nil, err
	}
	defer sn.Release()
	var all []vec.UUIDValue
	for _, r := range sn.Segments() {
		ids := make([]vec.UUIDValue, r.Rows())
		if err := r.UUIDs(ids, 0, r.Rows()); err != nil {
			return nil, err
		}
		dead, err := r.Dead()
		if err != nil {
			return nil, err
		}
		for i, id := range ids {
			if dead == nil || !dead.Contains(uint32(i)) {
				all = append(all, id)
			}
		}
	}
	return all, nil
}

// parseAck reads which batch a line is of, and whether it must be there or not be there.
func parseAck(line string) (key batchKey, there, ok bool) {
	word := ""
	_, err := fmt.Sscanf(line, "%s %d %d", &word, &key.producer, &key.first)
	return key, word == "ack", err == nil && (word == "ack" || word == "gone")
}

// The child dies before one step after the other: every write, sync, rename and removal
// of segments, manifest and Raft snapshot, and the deletion of log.
func TestKillAtStep(t *testing.T) {
	cmd, lines, stderr := startChild(t, t.TempDir(), envCrashAt+"=0")
	var steps []string
	for line := range lines {
		if rest, ok := strings.CutPrefix(line, "step "); ok {
			steps = append(steps, rest)
		} else if strings.HasPrefix(line, "error") {
			t.Fatal(line)
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("child: %v\n%s", err, stderr)
	}
	picked := 8
	if os.Getenv(envKills) != "" {
		picked = len(steps)
	}
	picked = min(picked, len(steps))
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 0))
	t.Logf("%d steps, dying at %d of them, seed %d", len(steps), picked, seed)
	offset := rng.IntN(max(1, len(steps)/picked))
	for i := range picked {
		at := 1 + (offset+i*len(steps)/picked)%len(steps)
		t.Run(strings.ReplaceAll(steps[at-1], " ", "_"), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			cmd, lines, stderr := startChild(t, dir, envCrashAt+"="+strconv.Itoa(at))
			acked := make(map[batchKey]bool)
			for line := range lines {
				if key, there, ok := parseAck(line); ok {
					acked[key] = there
				} else if strings.HasPrefix(line, "error") {
					t.Error(line)
				}
			}
			if err := cmd.Wait(); err != nil && !strings.Contains(err.Error(), "killed") {
				t.Fatalf("child: %v\n%s", err, stderr)
			}
			checkStored(t, dir, acked)
		})
	}
}

// The child is killed at random while three writers write, segments are flushed and
// merged; it goes on in the same directory the next time.
func TestKill(t *testing.T) {
	kills := 5
	if v := os.Getenv(envKills); v != "" {
		kills, _ = strconv.Atoi(v)
	}
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 0))
	t.Logf("%d kills, seed %d", kills, seed)
	const perDir = 80 // producers are numbered by a byte
	var dir string
	var acked map[batchKey]bool
	for kill := range kills {
		if kill%perDir == 0 {
			dir, acked = t.TempDir(), make(map[batchKey]bool)
		}
		cmd, lines, stderr := startChild(t, dir, envCrashForever+"=1", envCrashProducer+"="+strconv.Itoa(kill%perDir+1))
		kill9 := func() { cmd.Process.Kill() }
		after := time.Duration(rng.IntN(300)) * time.Millisecond
		var timer *time.Timer
		if kill%4 == 3 { // from the start of the process: while it recovers
			timer = time.AfterFunc(after, kill9)
		}
		for line := range lines {
			key, there, ok := parseAck(line)
			if !ok {
				t.Fatalf("kill %d: child: %s", kill, line)
			}
			acked[key] = there
			if timer == nil {
				timer = time.AfterFunc(after, kill9)
			}
		}
		if err := cmd.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
			t.Fatalf("kill %d: child: %v\n%s", kill, err, stderr)
		}
		checkStored(t, dir, acked)
	}
	t.Logf("%d acknowledged batches of %d events in the last directory", len(acked), crashBatch)
}
