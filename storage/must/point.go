package must

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
)

// killEnv names a point and a hit, as in PRICKLE_KILL=flush.after-rename:2. The process
// that starts with it kills itself there.
const killEnv = "PRICKLE_KILL"

// points is an immutable state; changes replace it.
type points struct {
	seen  map[string]bool
	armed *armed // nil: none
}

type armed struct {
	name string
	left atomic.Int64 // hits until do is called
	do   func()
}

var (
	state atomic.Pointer[points]
	mu    sync.Mutex // for those who replace the state
)

func init() {
	state.Store(&points{})
	value, ok := os.LookupEnv(killEnv)
	if !ok {
		return
	}
	name, hit, err := parseKill(value)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	Arm(name, hit, func() {
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {} // the signal arrives, and nothing is done meanwhile
	})
}

func parseKill(value string) (name string, hit int, err error) {
	name, number, ok := strings.Cut(value, ":")
	hit, bad := strconv.Atoi(number)
	if !ok || bad != nil || name == "" || hit < 1 {
		return "", 0, fmt.Errorf("%s=%q: not of the form point:hit with hits from 1", killEnv, value)
	}
	return name, hit, nil
}

// Point is a place with a name, between two steps of which only the first may have
// happened. Where nothing is armed it costs one atomic load and a look into a map.
func Point(name string) {
	s := state.Load()
	if !s.seen[name] {
		s = replace(func(s *points) {
			s.seen = maps.Clone(s.seen)
			if s.seen == nil {
				s.seen = map[string]bool{}
			}
			s.seen[name] = true
		})
	}
	if a := s.armed; a != nil && a.name == name && a.left.Add(-1) == 0 {
		a.do()
	}
}

// replace makes a new state from the present one.
func replace(change func(*points)) *points {
	mu.Lock()
	defer mu.Unlock()
	next := *state.Load()
	change(&next)
	state.Store(&next)
	return &next
}

// Arm calls do when the named point is reached for the hit-th time from now, counted from
// 1, in the goroutine that reaches it. One point is armed at a time: the last.
func Arm(name string, hit int, do func()) {
	a := &armed{name: name, do: do}
	a.left.Store(int64(hit))
	replace(func(s *points) { s.armed = a })
}

// Disarm undoes Arm.
func Disarm() { replace(func(s *points) { s.armed = nil }) }

// Names are the points that this process has reached so far, ascending.
func Names() []string { return slices.Sorted(maps.Keys(state.Load().seen)) }
