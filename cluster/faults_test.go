package cluster

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prickledb/prickle/storage/vfs"
)

// envFaults sets how many of the faults of TestFaults are tried: a number, spread over all
// of them, or all.
const envFaults = "PRICKLE_FAULTS"

// faultSteps are the steps of the rig in one life of a node.
const faultSteps = 16

// workload is a disk on which a node starts, and what the rig knows of it.
type workload struct {
	name string
	seed uint64
	base *rig
	ops  []string // of the file system, one by one, when nothing fails
}

// clone is the rig as it was when the workload was made, on a disk of its own.
func (w *workload) clone(t *testing.T, name string) *rig {
	r := newRig(t, 1)
	r.name, r.rng = name, rand.New(rand.NewPCG(w.seed, 11)) // the same steps in every trial
	r.disk, r.time, r.next, r.acked = w.base.disk.Crash(nil), w.base.time, w.base.next, w.base.acked
	r.hashes = maps.Clone(w.base.hashes)
	for first, b := range w.base.sent {
		copied := *b
		r.sent[first] = &copied
	}
	return r
}

// live is one life of a node: a start, steps, and a clean end. It says false if the node
// ended before.
func (r *rig) live(steps int) bool {
	ok := r.start(0)
	if ok {
		r.check()
		ok = r.begun()
	}
	for i := 0; ok && i < steps; i++ {
		ok = r.step() && !r.lost()
		if ok { // so that operations come in the same order each time
			r.node.store.WaitDurable(context.Background()) //nolint:errcheck // it is tried again
		}
	}
	return ok
}

func newWorkloads(t *testing.T, seed uint64) []*workload {
	fresh := &workload{name: "fresh", seed: seed, base: newRig(t, seed)}
	old := &workload{name: "old", seed: seed, base: newRig(t, seed)}
	if !old.base.live(faultSteps) {
		old.base.fatal("the workload ends early")
	}
	old.base.stop()
	all := []*workload{fresh, old}
	for _, w := range all {
		var trace bytes.Buffer
		r := w.clone(t, w.name)
		r.fault = vfs.NewFault(r.disk, 1)
		r.fault.Trace = &trace
		if !r.live(faultSteps) {
			r.fatal("the workload ends early")
		}
		r.end()
		w.ops = strings.Split(strings.TrimSpace(trace.String()), "\n")
	}
	return all
}

// faultTrial is one fault in one workload.
type faultTrial struct {
	w     *workload
	k     int // operation, from 1
	rules string
	lies  bool
}

func (f *faultTrial) name() string {
	return fmt.Sprintf("%s disk, operation %d (%s): %s", f.w.name, f.k, f.w.ops[f.k-1], f.rules)
}

// faultTrials are all faults of a workload: each operation fails once with each error, or
// from there on; a write is short; a sync lies; and the disk is full for a while.
func faultTrials(w *workload) []*faultTrial {
	var out []*faultTrial
	seen := map[string]int{}
	for i, line := range w.ops {
		k := i + 1
		op, _, _ := strings.Cut(line, " ")
		seen[op]++
		add := func(lies bool, rules string, args ...any) {
			out = append(out, &faultTrial{w, k, fmt.Sprintf(rules, args...), lies})
		}
		add(false, "fail(any, nth=%d, err=EIO)", k)
		add(false, "fail(any, nth=%d, err=ENOSPC)", k)
		add(false, "fail(any, from=%d, err=EIO)", k)
		switch op {
		case "write":
			add(false, "short(write, nth=%d, err=ENOSPC)", seen[op])
			add(false, "fail(create|write|mkdir|preallocate, from=%d, err=ENOSPC)", seen["create"]+seen["write"]+seen["mkdir"]+seen["preallocate"])
		case "sync", "syncdir":
			add(true, "lie(%s, nth=%d)", op, seen[op])
		case "create":
			if strings.Contains(line, "/data/segments/") || strings.Contains(line, "/data/state/") {
				n := seen["data"] + 1
				seen["data"]++
				add(false, "fail(create, path=data/*/*, from=%d, to=%d, err=ENOSPC)", n, n+6)
			}
		}
	}
	return out
}

// run says what became of the node: it was absorbed, or the node ended, or it did not start;
// with a disk that lies, the loss may be noticed afterwards.
func (f *faultTrial) run(t *testing.T) string {
	defer watch(f.name())()
	r := f.w.clone(t, f.name())
	rules, err := vfs.ParseFaults(f.rules)
	if err != nil {
		t.Fatal(err)
	}
	r.fault = vfs.NewFault(r.disk, uint64(f.k))
	r.fault.Arm(rules...)
	outcome := "absorbed"
	switch ok := r.live(faultSteps); {
	case ok:
	case r.node == nil:
		outcome = "no start"
	case r.lost():
		outcome = "ended"
	default:
		outcome = "stopped" // by an error that was returned
	}
	r.fault.Disarm()
	if r.rng.IntN(2) == 0 || f.lies {
		r.stop()
	} else {
		r.end() // the process ends, the machine does not
	}
	r.fault, r.lies = nil, f.lies
	// Nothing fails any more: all that was acknowledged is there, and goes on.
	for range 2 {
		if f.lies {
			if err := r.open(); err != nil {
				r.end()
				return "lie noticed"
			}
			if err := r.read(); err != nil {
				r.end()
				return "lie noticed"
			}
			r.stop()
			continue
		}
		if !r.start(0) {
			r.fatal("no start once nothing fails")
		}
		r.check()
		if !r.begun() {
			r.fatal("no writes once nothing fails")
		}
		for range 4 {
			if !r.step() {
				r.fatal("no writes once nothing fails")
			}
		}
		r.stop()
	}
	return outcome
}

// TestFaults fails each operation of two fixed workloads in turn, on a new disk and on one
// with a past. The node ends, or does without; what was acknowledged stays.
func TestFaults(t *testing.T) {
	_, seed := sized(t, "", 0)
	var all []*faultTrial
	for _, w := range newWorkloads(t, seed) {
		all = append(all, faultTrials(w)...)
	}
	count := 150
	if v := os.Getenv(envFaults); v == "all" {
		count = len(all)
	} else if v != "" {
		count, _ = sized(t, envFaults, count)
	}
	count = min(count, len(all))
	began := time.Now()
	outcomes := map[string]int{}
	for i := range count {
		outcomes[all[i*len(all)/count].run(t)]++
	}
	t.Logf("%d faults of %d, %s=%d, %.0f a second: %v", count, len(all), envSeed, seed, float64(count)/time.Since(began).Seconds(), outcomes)
}
