package main

import (
	"context"
	"io/fs"
	"os"
	"path"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"strings"
	"time"

	"github.com/prickledb/prickle/engine"
	"github.com/prickledb/prickle/storage"
	"github.com/prickledb/prickle/storage/memory"
)

// runtimeShare is the percentage of the budget up to which the runtime lets the heap grow
// before it collects garbage without pause. The rest is for what is not heap.
const runtimeShare = 95

// newBudget divides the memory that the settings give this process, which is told of it.
func newBudget(conf *config) *memory.Budget {
	total, _ := parseMemory(conf.get("memory")) // it was checked
	debug.SetMemoryLimit(total / 100 * runtimeShare)
	return memory.NewBudget(total)
}

// mostInFlight is how many bytes of events may be on their way into the log, with all memory
// that one could wish for.
const mostInFlight = 192 << 20

// inFlightBytes is how many they may be with this budget: half of what is for traffic.
func inFlightBytes(b *memory.Budget) int {
	if b == nil {
		return mostInFlight
	}
	return int(min(b.Pool(memory.Traffic).Size()/2, mostInFlight))
}

// memoryTick is how often the heap is looked at: a query takes longer to fill it.
const memoryTick = 250 * time.Millisecond

// leastGCPercent is how far a large heap may grow over what is alive before it is collected.
// Much of what is alive stays alive (persons, dictionaries), so Go's 100 leaves a third more
// memory in use than 60 does; an import of 10 million events takes as long.
const leastGCPercent = 60

// gcPercent is how far the heap may grow with so much memory. A small heap may grow further
// than leastGCPercent, for a query makes garbage by the batch and leaves little: by a
// sixteenth of the budget, and 512 MB at most.
func gcPercent(live, total int64) int {
	const most = 10_000
	room := min(total/16, 512<<20)
	return int(max(leastGCPercent, min(most, 100*room/max(1, live))))
}

// paceGC lets the heap grow as gcPercent says, unless GOGC says otherwise. before is what it
// gave last time: small differences are not worth a pause.
func paceGC(before int, live, total int64) int {
	percent := gcPercent(live, total)
	if diff := percent - before; diff < before/8 && -diff < before/8 || os.Getenv("GOGC") != "" {
		return before
	}
	debug.SetGCPercent(percent)
	return percent
}

// watchMemory tells the budget how large the heap is, and takes the measures that nobody
// else would take in time, until ctx ends.
func watchMemory(ctx context.Context, b *memory.Budget, store *storage.Store, admission *engine.Admission) {
	tick := time.NewTicker(memoryTick)
	defer tick.Stop()
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	percent := leastGCPercent
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		metrics.Read(live)
		if live[0].Value.Kind() == metrics.KindUint64 {
			bytes := int64(live[0].Value.Uint64())
			b.Observe(bytes)
			percent = paceGC(percent, bytes, b.Total())
		}
		store.TrimCache()
		admission.Relieve()
	}
}

// machineMemory is what the container or the machine has.
func machineMemory() int64 { return memoryOf(os.DirFS("/")) }

// memoryOf reads it from /proc and /sys: the machine's memory, or the least of the limits of
// the control groups that the process is in, of version 2 or 1.
func memoryOf(root fs.FS) int64 {
	total := int64(2 << 30) // where nothing is known
	for _, line := range lines(root, "proc/meminfo") {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "MemTotal:" {
			if kB, err := strconv.ParseInt(f[1], 10, 64); err == nil {
				total = kB << 10
			}
		}
	}
	limit := func(name string) {
		for _, line := range lines(root, name) {
			if n, err := strconv.ParseInt(strings.TrimSpace(line), 10, 64); err == nil && n > 0 {
				total = min(total, n)
			}
		}
	}
	groups := []string{"0::/", "0:memory:/"} // seen from inside a container
	for _, line := range append(groups, lines(root, "proc/self/cgroup")...) {
		number, rest, _ := strings.Cut(line, ":")
		controllers, dir, ok := strings.Cut(rest, ":")
		if !ok {
			continue
		}
		for dir = path.Join("/", dir); ; dir = path.Dir(dir) {
			switch {
			case number == "0" && controllers == "":
				limit(path.Join("sys/fs/cgroup", dir, "memory.max"))
			case strings.Contains(","+controllers+",", ",memory,"):
				limit(path.Join("sys/fs/cgroup/memory", dir, "memory.limit_in_bytes"))
			}
			if dir == "/" {
				break
			}
		}
	}
	return total
}

// lines reads a small file; one that is not there has none.
func lines(root fs.FS, name string) []string {
	raw, err := fs.ReadFile(root, name)
	if err != nil {
		return nil
	}
	return strings.Split(strings.TrimSpace(string(raw)), "\n")
}
