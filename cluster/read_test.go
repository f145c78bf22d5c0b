package cluster

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Whoever asks after a write was answered, from whatever goroutine, sees it.
func TestReadIndex(t *testing.T) {
	n := openNode(t, Config{})
	var answered atomic.Uint64 // the highest index that a writer was told of
	var wait sync.WaitGroup
	for w := range 4 {
		wait.Go(func() {
			for i := range 25 {
				r, err := n.Ingest(t.Context(), 1, testBatch(byte(w), i, 1))
				if err != nil {
					t.Error(err)
					return
				}
				for old := answered.Load(); old < r.Index && !answered.CompareAndSwap(old, r.Index); old = answered.Load() {
				}
			}
		})
		wait.Go(func() {
			for range 50 {
				before := answered.Load()
				index, err := n.ReadIndex(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				if index < before {
					t.Errorf("ReadIndex = %d after entry %d was answered", index, before)
				}
				if applied := n.store.AppliedIndex(); applied < before {
					t.Errorf("the store is at %d after entry %d was answered", applied, before)
				}
			}
		})
	}
	wait.Wait()
}

// An entry of Raft's own at the end of the log, which no store sees, is not waited for.
func TestReadIndexAfterBarrier(t *testing.T) {
	dir := t.TempDir()
	n := openNode(t, Config{Dir: dir})
	r := ingest(t, n, 1, 0, 10, Receipt{Stored: 10})
	for range 3 {
		if err := n.raft.Barrier(0).Error(); err != nil {
			t.Fatal(err)
		}
		if index, err := n.ReadIndex(t.Context()); err != nil || index <= r.Index {
			t.Fatalf("ReadIndex after a barrier = %d, %v, want more than %d", index, err, r.Index)
		}
	}
	if err := n.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	n = openNode(t, Config{Dir: dir})
	if err := n.Await(t.Context(), Token{r.Index}); err != nil {
		t.Errorf("Await(%d) after a restart = %v", r.Index, err)
	}
	if _, err := n.ReadIndex(t.Context()); err != nil {
		t.Errorf("ReadIndex after a restart: %v", err)
	}
	if err := n.Flush(t.Context()); err != nil { // and when the log was let go
		t.Fatal(err)
	}
	if _, err := n.ReadIndex(t.Context()); err != nil {
		t.Errorf("ReadIndex after a flush: %v", err)
	}
}

// A call that comes while a round runs waits for the next one, with all that come then.
func TestReadRounds(t *testing.T) {
	var rounds readRounds
	var count uint64
	begun, end := make(chan struct{}), make(chan struct{})
	run := func() (uint64, error) {
		count++
		index := count
		begun <- struct{}{}
		<-end
		return index, nil
	}
	first := rounds.join(run)
	<-begun
	late, later := rounds.join(run), rounds.join(run)
	if late == first || late != later {
		t.Fatal("calls during a round share it, or do not share the next")
	}
	end <- struct{}{}
	<-first.done
	<-begun
	end <- struct{}{}
	<-late.done
	if first.index != 1 || late.index != 2 {
		t.Errorf("rounds = %d, %d, want 1, 2", first.index, late.index)
	}
}

func TestAwait(t *testing.T) {
	n := openNode(t, Config{})
	r := ingest(t, n, 1, 0, 10, Receipt{Stored: 10})
	if err := n.Await(t.Context(), Token{r.Index}); err != nil {
		t.Errorf("Await(%d) = %v", r.Index, err)
	}
	if err := n.Await(t.Context(), Token{r.Index + 1000}); !errors.Is(err, ErrBadToken) {
		t.Errorf("Await of an entry beyond the log = %v, want ErrBadToken", err)
	}
}

// A bounded read of a node where nothing is written makes it say so; other reads do not, nor
// does a node with newer entries.
func TestReadBounded(t *testing.T) {
	var now atomic.Int64 // ns since 1970
	now.Store(time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC).UnixNano())
	n := openNode(t, Config{Clock: func() time.Time { return time.Unix(0, now.Load()) }})
	ingest(t, n, 1, 0, 10, Receipt{Stored: 10})
	written := n.raft.LastIndex()
	var last entry // the newest tick
	ticks := func(what string, want ...int) {
		t.Helper()
		got := 0
		for _, e := range entries(t, n, written+1) {
			if e.kind == kindTick {
				got++
				last = e
			}
		}
		if !slices.Contains(want, got) {
			t.Errorf("%s: %d ticks, want one of %d", what, got, want)
		}
	}
	read := func(what string, maxAge time.Duration) {
		t.Helper()
		if err := n.ReadBounded(t.Context(), maxAge); err != nil {
			t.Errorf("%s: ReadBounded = %v", what, err)
		}
		if fresh := int64(n.fsm.fresh.load()); fresh < now.Load()/1000-(maxAge+clockSkew).Microseconds() {
			t.Errorf("%s: the newest entry is %d µs old", what, now.Load()/1000-fresh)
		}
	}
	read("just written", 0)
	now.Add(int64(time.Minute))
	applied := n.fsm.lastApply.Load()
	if err := n.Await(t.Context(), Token{1}); err != nil {
		t.Fatal(err)
	}
	if _, err := n.ReadIndex(t.Context()); err != nil {
		t.Fatal(err)
	}
	ticks("nothing bounded was read since", 0)
	// What is read may be this old; the tick that it asks for can come before or after it.
	read("old, and that is enough", 2*time.Minute)
	ticks("old, and that is enough", 0, 1)
	// The next tick comes a second after the node looked last, and none after it: time stands still.
	read("old", 5*time.Second)
	ticks("old", 1)
	if n.fsm.lastApply.Load() != applied {
		t.Error("a tick keeps merges from beginning")
	}
	if last.time != now.Load()/1000 {
		t.Errorf("the tick is of %d, want %d", last.time, now.Load()/1000)
	}
	n.fsm.stopped.Store(new(error(errNeedsUpgrade)))
	now.Add(int64(time.Hour))
	if err := n.ReadBounded(t.Context(), time.Second); !errors.Is(err, ErrBehind) || !strings.Contains(err.Error(), "wanted is one of the last 1s") {
		t.Errorf("ReadBounded of a node that stopped = %v, want ErrBehind", err)
	}
	n.fsm.stopped.Store(nil)
}

func TestToken(t *testing.T) {
	for _, index := range []uint64{0, 1, 1 << 63} {
		if got, err := ParseToken(Token{index}.String()); err != nil || got.Index != index {
			t.Errorf("ParseToken(%v) = %v, %v", Token{index}, got, err)
		}
	}
	for _, bad := range []string{"", "7", "v1.0:", "v1.0:-1", "v1.0:01", "v1.1:7", "v2.0:7", "v1.0:7,1:3", "v1.0:99999999999999999999"} {
		if got, err := ParseToken(bad); !errors.Is(err, ErrBadToken) {
			t.Errorf("ParseToken(%q) = %v, %v, want ErrBadToken", bad, got, err)
		}
	}
}

func TestWatermark(t *testing.T) {
	var w watermark
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.wait(gone, 5); !errors.Is(err, context.Canceled) || len(w.waiting) != 0 {
		t.Errorf("wait = %v, %d left waiting", err, len(w.waiting))
	}
	done := make(chan error)
	go func() { done <- w.wait(t.Context(), 5) }()
	for index := range uint64(6) {
		w.raise(index)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// A start that has a log to replay tells how far it is.
func TestReplay(t *testing.T) {
	dir := t.TempDir()
	var fresh Replay
	n := openNode(t, Config{Dir: dir, Replay: &fresh})
	if percent, ok := fresh.Percent(); ok {
		t.Errorf("a new directory is replayed, %d %%", percent)
	}
	ingest(t, n, 1, 0, 10, Receipt{Stored: 10})
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	n.Close(gone) // so nothing is flushed
	var replay Replay
	n = openNode(t, Config{Dir: dir, Replay: &replay})
	if percent, ok := replay.Percent(); !ok || percent < 50 {
		t.Errorf("after the start %d %% of the log are replayed, %v", percent, ok)
	}
	if got := len(storedUUIDs(t, n, 1)); got != 10 {
		t.Errorf("%d events, want 10", got)
	}
	half := Replay{}
	half.begin(100, 300)
	half.reach(182)
	if percent, ok := half.Percent(); percent != 41 || !ok {
		t.Errorf("82 of 200 entries are %d %%", percent)
	}
}

// What is not exactly a token is none.
func FuzzParseToken(f *testing.F) {
	for _, s := range []string{"v1.0:0", "v1.0:18446744073709551615", "v1.0:+1", "v1.0: 1", "v1.0:1_0", "v1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if token, err := ParseToken(s); err == nil && token.String() != s {
			t.Errorf("ParseToken(%q) = %v", s, token)
		}
	})
}
