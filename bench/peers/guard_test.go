package main

import (
	"strings"
	"testing"
)

// TestCounters reads what perf and valgrind say, and what perf says where it cannot count.
func TestCounters(t *testing.T) {
	for _, c := range []struct {
		counter counter
		text    string
		want    float64
	}{
		{perf, "# started on Sun Mar  1 12:00:00 2026\n\n123456789,,instructions:u,1000000,100.00,,\n", 123456789},
		{perf, "<not supported>,,instructions:u,0,100.00,,\n", -1},
		{perf, "<not counted>,,instructions:u,0,0.00,,\n", -1},
		{perf, "", -1},
		{valgrind, "==77== Cachegrind, a cache and branch-prediction profiler\n==77== \n==77== I   refs:      42,597,638\n", 42597638},
		{valgrind, "==77== Cachegrind, a cache and branch-prediction profiler\n==77== I refs: 7\n", 7},
		{valgrind, "==77== Process terminating with default action of signal 9\n", -1},
	} {
		n, err := c.counter.number(c.text)
		if err != nil {
			n = -1
		}
		if n != c.want {
			t.Errorf("%s in %q: %v, %v, want %v", c.counter.unit, c.text, n, err, c.want)
		}
	}
	command := strings.Join(perf.before("/tmp/counts"), " ")
	if command != "perf stat -x , -e instructions:u -o /tmp/counts" || strings.Contains(strings.Join(perf.command, " "), "/tmp") {
		t.Errorf("counted by %q", command)
	}
	if len((counter{}).before("x")) != 0 {
		t.Error("what is not counted runs below something")
	}
}

func TestGuardTable(t *testing.T) {
	o := guardOptions{base: "HEAD~1", head: "HEAD", instructions: 0.05, time: 0.3}
	changes := []change{
		{name: "import", instructions: [2]float64{1_000_000, 1_040_000}},
		{name: "T1", instructions: [2]float64{2_000_000, 2_200_000}, seconds: [2]float64{0.010, 0.012}},
		{name: "T2", instructions: [2]float64{2_000_000, 1_000_000}, seconds: [2]float64{0.010, 0.014}},
		{name: "T3", instructions: [2]float64{100, 200}, seconds: [2]float64{1, 2}},
		{name: "T4", instructions: [2]float64{-5, 10}, seconds: [2]float64{0.001, 0.001}}, // an idle server cost more
	}
	var out strings.Builder
	if over := guardTable(&out, changes, o); over != 3 {
		t.Errorf("%d over, want 3", over)
	}
	want := `         instructions of          and of                 ms of     and of        
                  HEAD~1            HEAD   change       HEAD~1       HEAD  change
import         1,000,000       1,040,000    +4.0%
T1             2,000,000       2,200,000   +10.0%       10.000     12.000    +20%  OVER: instructions
T2             2,000,000       1,000,000   -50.0%       10.000     14.000    +40%  OVER: time
T3                   100             200  +100.0%     1000.000   2000.000   +100%  OVER: instructions, time
T4                     0              10    +0.0%        1.000      1.000     +0%
`
	if out.String() != want {
		t.Errorf("the table is\n%s\nwant\n%s", out.String(), want)
	}
}

func TestGuardKnowsQuestions(t *testing.T) {
	if _, err := (guardOptions{questions: "T1,T99"}).compare(t.Context(), t.TempDir(), valgrind); err == nil || err.Error() != `there is no question "T99"` {
		t.Errorf("question T99: %v", err)
	}
}
