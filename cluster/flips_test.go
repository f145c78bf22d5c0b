package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"path"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/prickledb/prickle/storage"
	"github.com/prickledb/prickle/storage/table"
	"github.com/prickledb/prickle/storage/vfs"
)

// envFlips sets how many trials TestFlips makes.
const envFlips = "PRICKLE_FLIPS"

// victim is the disk of a node that is at rest, and what it holds.
type victim struct {
	name  string
	rig   *rig
	files map[string][]string // names by what they are
	truth map[uint64][]string // dumps by the index that they are at
}

// newVictim runs a node for a while. One that was killed has a last write that nobody heard
// of, so that what was acknowledged lies under the mark of that write.
func newVictim(t *testing.T, seed uint64, killed bool) *victim {
	v := &victim{name: fmt.Sprintf("closed, seed %d", seed), rig: newRig(t, seed), files: map[string][]string{}, truth: map[uint64][]string{}}
	r := v.rig
	ok := r.live(8) && r.table() && r.table() && r.seal() && r.snapshot()
	for range 20 { // so that one disk is read fast
		ok = ok && r.merge()
	}
	if !ok || !r.ingest() || !r.seal() || !r.snapshot() || len(r.sorts()) < 8 {
		r.fatal("the workload ends early, or lacks a sort of file: %v", r.sorts())
	}
	r.end()
	if killed {
		v.name = fmt.Sprintf("killed, seed %d", seed)
		if !r.start(0) || !r.begun() || !r.ingest() || !r.table() || !r.ingest() {
			r.fatal("the workload ends early")
		}
		acked := r.acked
		if !r.ingest() {
			r.fatal("the workload ends early")
		}
		r.acked = acked
		for _, b := range r.sent {
			if b.acked > acked {
				b.acked = 0
			}
		}
		r.disk, r.left = r.disk.Crash(nil), nil
	}
	v.files = r.sorts()
	if r.node != nil {
		r.node.closeState() // the disk that it had is not looked at any more
		r.node = nil
	}
	return v
}

// sorts is the files of the disk, by what they are.
func (r *rig) sorts() map[string][]string {
	out := map[string][]string{}
	for dir, sort := range map[string]string{"d/data": "manifest", "d/data/segments": "segment", "d/data/state": "state", "d/data/dedup": "dedup run",
		"d/raft/log": "log", "d/raft/snapshots": "raft snapshot"} {
		names, err := r.disk.List(dir)
		if err != nil {
			r.fatal("%v", err)
		}
		for _, name := range names {
			name = path.Join(dir, name)
			raw, err := vfs.ReadFile(r.disk, name, 1<<30)
			if err != nil {
				continue // a directory
			}
			switch {
			case path.Base(name) == "CURRENT":
				out["CURRENT"] = append(out["CURRENT"], name)
			case table.IsSegment(raw):
				out["table segment"] = append(out["table segment"], name)
			default:
				out[sort] = append(out[sort], name)
			}
		}
	}
	return out
}

// contents opens a disk and reads everything. limit, if it is not 0, is the last entry that
// is applied.
func contents(disk *vfs.Mem, logger *slog.Logger, limit uint64) (lines []string, index, hash uint64, err error) {
	var fatal error
	n, err := openState(Config{FS: disk, Dir: "d", Store: storage.Options{SealRows: 60, FlushRetry: time.Millisecond}, LogFileBytes: 32 << 10,
		Logger: logger, Exit: func(err error) { fatal = err }}, nil)
	if err != nil {
		return nil, 0, 0, err
	}
	defer func() {
		err = errors.Join(err, n.closeState())
		if err == nil {
			err = fatal
		}
	}()
	if err = applyRest(n, limit); err != nil {
		return nil, 0, 0, err
	}
	if err = n.store.WaitDurable(context.Background()); err != nil {
		return nil, 0, 0, err
	}
	lines, err = dump(n.store)
	index, hash = n.store.StateHash()
	return lines, index, hash, err
}

// applyRest applies what Raft would at a start.
func applyRest(n *Node, limit uint64) error {
	from, last, err := unapplied(n)
	if err != nil {
		return err
	}
	if limit > 0 {
		last = min(last, limit)
	}
	for i := from; i <= last; i++ {
		var l raft.Log
		if err := n.log.GetLog(i, &l); err != nil {
			return fmt.Errorf("entry %d: %w", i, err)
		}
		if result := n.fsm.ApplyBatch([]*raft.Log{&l})[0]; result != nil {
			if err := result.(applyResult).err; err != nil && !errors.Is(err, storage.ErrMergeVoid) {
				return fmt.Errorf("entry %d: %w", i, err)
			}
		}
		if err := n.fsm.err(); err != nil {
			return err
		}
	}
	return nil
}

// wanted is what the victim holds after an entry.
func (v *victim) wanted(index uint64) []string {
	lines, known := v.truth[index]
	if !known {
		var got uint64
		var err error
		lines, got, _, err = contents(v.rig.disk.Crash(nil), nil, index)
		if err != nil || got != index {
			v.rig.fatal("%s: the state at entry %d: index %d, %v", v.name, index, got, err)
		}
		v.truth[index] = lines
	}
	return lines
}

// damage changes one file of a disk, and says how.
func damage(disk *vfs.Mem, name string, rng *rand.Rand) (string, error) {
	raw, err := vfs.ReadFile(disk, name, 1<<30)
	if err != nil || len(raw) == 0 {
		return "nothing", err
	}
	change := func(at int, with []byte) error {
		f, err := disk.ReuseForWrite(name, name)
		if err == nil {
			_, err = f.WriteAt(with, int64(at))
			err = errors.Join(err, f.SyncData(), f.Close())
		}
		return err
	}
	switch rng.IntN(5) {
	case 0:
		size := rng.IntN(len(raw))
		return fmt.Sprintf("cut to %d of %d bytes", size, len(raw)), vfs.WriteSynced(disk, name, raw[:size])
	case 1:
		at := rng.IntN(len(raw)) &^ 511
		return fmt.Sprintf("sector at %d of %d is zero", at, len(raw)), change(at, make([]byte, min(512, len(raw)-at)))
	default:
		at, bit := rng.IntN(len(raw)), rng.IntN(8)
		return fmt.Sprintf("bit %d of byte %d of %d", bit, at, len(raw)), change(at, []byte{raw[at] ^ 1<<bit})
	}
}

// counter counts what is logged as an error.
type counter struct {
	slog.Handler
	n *int
}

func (c counter) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelError }
func (c counter) Handle(context.Context, slog.Record) error    { *c.n++; return nil }
func (c counter) WithAttrs([]slog.Attr) slog.Handler           { return c }
func (c counter) WithGroup(string) slog.Handler                { return c }

// trial damages one file, and says what came of it: it was detected, or it is harmless.
func (v *victim) trial(seed uint64) (sort, outcome string) {
	rng := rand.New(rand.NewPCG(seed, 5))
	disk := v.rig.disk.Crash(nil)
	sorts := slices.Sorted(maps.Keys(v.files))
	sort = sorts[rng.IntN(len(sorts))]
	name := v.files[sort][rng.IntN(len(v.files[sort]))]
	what, err := damage(disk, name, rng)
	what = fmt.Sprintf("%s=%d: %s (%s): %s", envSeed, seed, name, v.name, what)
	fatal := func(format string, args ...any) {
		v.rig.t.Helper()
		v.rig.t.Fatalf("%s: %s", what, fmt.Sprintf(format, args...))
	}
	if err != nil {
		fatal("%v", err)
	}
	defer watch(what)()
	defer func() {
		if p := recover(); p != nil {
			fatal("panic: %v\n%s", p, debug.Stack())
		}
	}()
	logged := 0
	lines, index, hash, err := contents(disk, slog.New(counter{n: &logged}), 0)
	switch {
	case err != nil && !strings.Contains(err.Error(), path.Base(name)):
		fatal("the error does not name the file: %v", err)
	case err != nil:
		return sort, "detected"
	case index < v.rig.acked:
		fatal("the log ends at entry %d without an error, acknowledged was %d", index, v.rig.acked)
	case v.rig.hashes[index] != hash:
		fatal("state hash after entry %d is %x, want %x", index, hash, v.rig.hashes[index])
	}
	if want := v.wanted(index); !slices.Equal(lines, want) {
		fatal("no error, and other content: %s", difference(lines, want))
	}
	if logged > 0 {
		return sort, "logged"
	}
	return sort, "harmless"
}

// TestFlips changes a bit, zeroes a sector or cuts off the end of a file, of every sort, and
// reads everything. That gives an error which names the file, or what is there without the
// damage; never other rows, a panic or a hang.
func TestFlips(t *testing.T) {
	count, seed := sized(t, envFlips, 600)
	victims := []*victim{newVictim(t, seed, false), newVictim(t, seed, true)}
	began := time.Now()
	counts := map[string]map[string]int{}
	for i := range uint64(count) {
		sort, outcome := victims[i%2].trial(seed + i)
		if counts[sort] == nil {
			counts[sort] = map[string]int{}
		}
		counts[sort][outcome]++
	}
	t.Logf("%d trials, %s=%d to %d, %.0f a second", count, envSeed, seed, seed+uint64(count)-1, float64(count)/time.Since(began).Seconds())
	for _, sort := range slices.Sorted(maps.Keys(counts)) {
		t.Logf("%d and %d files: %-14s %v", len(victims[0].files[sort]), len(victims[1].files[sort]), sort, counts[sort])
	}
}
