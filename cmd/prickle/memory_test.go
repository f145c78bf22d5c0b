package main

import (
	"testing"
	"testing/fstest"

	"github.com/prickledb/prickle/storage/memory"
)

func TestMemoryOfTheMachineOrTheContainer(t *testing.T) {
	file := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s + "\n")} }
	machine := file("MemTotal:        8388608 kB\nMemFree:   1 kB")
	for name, c := range map[string]struct {
		files fstest.MapFS
		want  int64
	}{
		"nothing is known": {fstest.MapFS{}, 2 << 30},
		"a machine":        {fstest.MapFS{"proc/meminfo": machine, "proc/self/cgroup": file("0::/user.slice"), "sys/fs/cgroup/user.slice/memory.max": file("max")}, 8 << 30},
		"a container":      {fstest.MapFS{"proc/meminfo": machine, "proc/self/cgroup": file("0::/"), "sys/fs/cgroup/memory.max": file("268435456")}, 256 << 20},
		"a service below a limit": {fstest.MapFS{"proc/meminfo": machine, "proc/self/cgroup": file("0::/a/b"),
			"sys/fs/cgroup/a/b/memory.max": file("max"), "sys/fs/cgroup/a/memory.max": file("536870912")}, 512 << 20},
		"version 1": {fstest.MapFS{"proc/meminfo": machine, "proc/self/cgroup": file("9:cpu,cpuacct:/x\n8:memory:/docker/1"),
			"sys/fs/cgroup/memory/docker/1/memory.limit_in_bytes": file("268435456"), "sys/fs/cgroup/memory/memory.limit_in_bytes": file("9223372036854771712")}, 256 << 20},
		"version 1, inside": {fstest.MapFS{"proc/meminfo": machine, "proc/self/cgroup": file("8:memory:/docker/1"),
			"sys/fs/cgroup/memory/memory.limit_in_bytes": file("268435456")}, 256 << 20},
	} {
		if got := memoryOf(c.files); got != c.want {
			t.Errorf("%s: %d bytes, want %d", name, got, c.want)
		}
	}
}

func TestEventsInFlightFitTheBudget(t *testing.T) {
	for _, c := range []struct {
		budget *memory.Budget
		want   int
	}{{nil, 192 << 20}, {memory.NewBudget(64 << 30), 192 << 20}, {memory.NewBudget(200 << 20), 10 << 20}} {
		if got := inFlightBytes(c.budget); got != c.want {
			t.Errorf("%d bytes in flight with %d bytes of memory, want %d", got, c.budget.Total(), c.want)
		}
	}
}

func TestSmallHeapsAreCollectedSeldom(t *testing.T) {
	for _, c := range []struct {
		live, total int64
		want        int
	}{
		{64 << 20, 16 << 30, 800}, // 512 MB may be garbage
		{256 << 20, 1 << 30, 60},  // a sixteenth would be 25 percent
		{32 << 20, 1 << 30, 200},  // 64 MB
		{4 << 30, 16 << 30, 60},   // a large heap
		{0, 16 << 30, 10_000},     // nothing was collected yet
	} {
		if got := gcPercent(c.live, c.total); got != c.want {
			t.Errorf("%d bytes alive of %d: the heap may grow by %d %%, want %d", c.live, c.total, got, c.want)
		}
	}
}
