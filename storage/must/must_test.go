package must

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
)

func TestTrue(t *testing.T) {
	True(true, "never said")
	defer func() {
		if got, want := fmt.Sprint(recover()), "broken invariant: index 7, want 8"; got != want {
			t.Errorf("True(false) panics with %q, want %q", got, want)
		}
	}()
	True(false, "index %d, want %d", 7, 8)
}

func TestPoint(t *testing.T) {
	defer Disarm()
	Point("test.a")
	calls := 0
	Arm("test.b", 2, func() { calls++ })
	for i, want := range []int{0, 1, 1} {
		Point("test.a")
		if Point("test.b"); calls != want {
			t.Errorf("hit %d: %d calls, want %d", i+1, calls, want)
		}
	}
	Arm("test.b", 1, func() { calls++ })
	Disarm()
	if Point("test.b"); calls != 1 {
		t.Errorf("disarmed: %d calls, want 1", calls)
	}
	names := Names()
	for _, want := range []string{"test.a", "test.b"} {
		if !slices.Contains(names, want) {
			t.Errorf("Names = %q, want %s among them", names, want)
		}
	}
	if !slices.IsSorted(names) {
		t.Errorf("Names = %q, want them ascending", names)
	}
}

// Of many goroutines one makes the call.
func TestPointConcurrent(t *testing.T) {
	defer Disarm()
	calls := make(chan bool, 100)
	Arm("test.shared", 50, func() { calls <- true })
	var wg sync.WaitGroup
	for i := range 10 {
		wg.Go(func() {
			for j := range 10 {
				Point("test.shared")
				Point(fmt.Sprintf("test.%d.%d", i, j))
			}
		})
	}
	wg.Wait()
	if len(calls) != 1 {
		t.Errorf("%d calls, want 1", len(calls))
	}
	if n := len(Names()); n < 101 {
		t.Errorf("%d names, want the 101 of this test", n)
	}
}

// A process with PRICKLE_KILL kills itself at the hit, and not before.
func TestKill(t *testing.T) {
	const child = "MUST_TEST_CHILD"
	if os.Getenv(child) != "" {
		for i := range 3 {
			fmt.Println("before", i)
			Point("test.kill")
		}
		os.Exit(0)
	}
	run := func(kill string) (string, error) {
		cmd := exec.Command(os.Args[0], "-test.run", "^TestKill$")
		cmd.Env = append(os.Environ(), child+"=1", killEnv+"="+kill)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	out, err := run("test.kill:2")
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Fatalf("the process ended with %v, want SIGKILL", err)
	}
	if want := "before 0\nbefore 1\n"; out != want {
		t.Errorf("it printed %q, want %q", out, want)
	}
	for _, wrong := range []string{"test.kill", "test.kill:", "test.kill:0", ":1", "test.kill:x"} {
		out, err := run(wrong)
		if !errors.As(err, &exit) || exit.ExitCode() != 2 || !strings.Contains(out, "not of the form point:hit") {
			t.Errorf("%s=%s: %v, %q, want exit code 2 and the form", killEnv, wrong, err, out)
		}
	}
}

func BenchmarkPoint(b *testing.B) {
	for b.Loop() {
		Point("test.benchmark")
	}
}
