package main

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"
)

func TestAnswersCompare(t *testing.T) {
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"2026-01-01", "2026-01-01 00:00:00", true},
		{"2026-01-01", "2026-01-01 00:00:00+00", true},
		{"2026-01-01 10:00:00.25", "2026-01-01 10:00:00.250000+00", true},
		{"2026-01-01 10:00:00", "2026-01-01T10:00:00.000", true},
		{"2026-01-01", "2026-01-02", false},
		{"2026-01-01", "2026-01-01 00:00:01", false},
		{"t", "true", true},
		{"BUILDING  ", "BUILDING", true},
		{"12.50", "12.5", true},
		{"4564511825647509447", "4.564511825647509e18", true},
		{"0.1", "0.10000000000000003", true},
		{"0.1", "0.1000001", false},
		{"9007199254740993", "9007199254740992", false}, // as floating point they are one
		{"1", "2", false},
		{"NULL", "0", false},
		{"", "NULL", false},
		{"1e3", "a", false},
	} {
		a, b := normalise([][]string{{c.a}}, nil), normalise([][]string{{c.b}}, nil)
		if got := a.differs(b, "a", "b") == ""; got != c.same {
			t.Errorf("%q and %q are the same: %v, want %v", c.a, c.b, got, c.same)
		}
		if got := b.differs(a, "b", "a") == ""; got != c.same {
			t.Errorf("%q and %q are the same: %v, want %v", c.b, c.a, got, c.same)
		}
	}
	rows := [][]string{{"1", "a"}, {"2", "b"}}
	for _, c := range []struct {
		rows    [][]string
		compare []int
		want    string
	}{
		{[][]string{{"1", "a"}}, nil, "this gives 2 rows, other 1"},
		{[][]string{{"1", "a"}, {"2"}}, nil, "this gives 2 columns, other 1"},
		{[][]string{{"2", "b"}, {"1", "a"}}, nil, `row 1 of this is "1 | a", of other "2 | b"`},
		{[][]string{{"1", "x"}, {"2", "y"}}, []int{0}, ""},
		{[][]string{{"7", "x"}, {"8", "y"}}, []int{}, ""},
		{[][]string{{"7", "x"}}, []int{}, "this gives 2 rows, other 1"},
	} {
		if got := normalise(rows, c.compare).differs(normalise(c.rows, c.compare), "this", "other"); got != c.want {
			t.Errorf("%v, compared by %v: %q, want %q", c.rows, c.compare, got, c.want)
		}
	}
}

// scripted answers from a list, each time the next and the last one for ever.
type scripted struct {
	answers [][][]string
	took    time.Duration
	asked   int
	err     error
}

func (s *scripted) ask(context.Context, string) ([][]string, time.Duration, error) {
	s.asked++
	return s.answers[min(s.asked, len(s.answers))-1], s.took, s.err
}
func (s *scripted) pid() int     { return 0 }
func (s *scripted) close() error { return nil }

// TestWrongAnswersHaveNoTime asks databases of which one answers in another way: in the first
// round, in a later one, or with an error. It must not come out with a time.
func TestWrongAnswersHaveNoTime(t *testing.T) {
	right, wrong := [][]string{{"1"}}, [][]string{{"2"}}
	q := question("T1", "a title", "own", "ch", "duck", "bitmap")
	for _, c := range []struct {
		name               string
		own, house, duck   [][][]string
		err                error
		want               string
		ownAsked, ducktold int
	}{
		{name: "all alike", own: [][][]string{right}, house: [][][]string{right}, duck: [][][]string{right}, ownAsked: 4, ducktold: 4},
		{name: "prickle is wrong", own: [][][]string{wrong}, house: [][][]string{right}, duck: [][][]string{right}, want: `row 1 of prickle is "2", of clickhouse "1"`, ownAsked: 1},
		{name: "a peer is wrong", own: [][][]string{right}, house: [][][]string{right}, duck: [][][]string{wrong}, want: `row 1 of prickle is "1", of duckdb "2"`, ownAsked: 1, ducktold: 1},
		{name: "prickle changes its mind", own: [][][]string{right, right, wrong}, house: [][][]string{right}, duck: [][][]string{right}, want: `row 1 of prickle is "1", of prickle "2"`, ownAsked: 3, ducktold: 2},
		{name: "a peer cannot say", own: [][][]string{right}, house: [][][]string{right}, duck: [][][]string{nil}, err: errors.New("no such table"), want: "duckdb: no such table", ownAsked: 1, ducktold: 1},
	} {
		own, house, duck := &scripted{answers: c.own, took: time.Millisecond}, &scripted{answers: c.house, took: 5 * time.Millisecond}, &scripted{answers: c.duck, took: 4 * time.Millisecond, err: c.err}
		r, err := measure(t.Context(), q, map[string]database{prickle: own, clickhouse: house, duckdb: duck}, 1, 3)
		if err != nil {
			t.Fatal(err)
		}
		if r.Wrong != c.want || own.asked != c.ownAsked || duck.asked != c.ducktold {
			t.Errorf("%s: %q after %d and %d questions, want %q after %d and %d", c.name, r.Wrong, own.asked, duck.asked, c.want, c.ownAsked, c.ducktold)
		}
		if c.want != "" {
			if r.Times != nil || r.ratio(nil) != 0 || r.cell(prickle) != "WRONG" || r.cell(duckdb) != "WRONG" {
				t.Errorf("%s: there are times: %+v", c.name, r)
			}
			continue
		}
		if tm := r.Times[prickle]; tm.Median != 1 || tm.Min != 1 || tm.Runs != 3 || r.ratio(nil) != 4 || r.ratio([]string{bitmaps}) != 5 {
			t.Errorf("%s: times %+v, ratios %v and %v", c.name, tm, r.ratio(nil), r.ratio([]string{bitmaps}))
		}
	}
}

func TestQuantiles(t *testing.T) {
	tm := timingOf([]float64{9, 1, 5, 3, 7}, []float64{4, 2, 3})
	if *tm != (timing{Median: 5, Min: 1, Q1: 3, Q3: 7, Runs: 5, CPU: 3}) {
		t.Errorf("timing %+v", *tm)
	}
	before := cpuTime(os.Getpid())
	for end := time.Now().Add(20 * time.Millisecond); time.Now().Before(end); {
	}
	if worked := cpuTime(os.Getpid()) - before; worked <= 0 {
		t.Errorf("a busy process has worked %v", worked)
	}
	if cpuTime(0) != 0 {
		t.Error("no process has worked")
	}
	if got := geometric([]float64{1, 10, 100}); got < 9.999 || got > 10.001 {
		t.Errorf("geometric mean %v, want 10", got)
	}
}

// TestFormsNameEverybody finds that every question has a form for everybody, that names are unique, and
// that families and floors name questions that there are.
func TestFormsNameEverybody(t *testing.T) {
	suites := map[string]map[string]bool{}
	for _, s := range []*suite{product(1000), hitsSuite(1000), tpchSuite(0.01)} {
		names := map[string]bool{}
		suites[s.name] = names
		for _, q := range s.questions {
			if names[q.name] {
				t.Errorf("%s: two questions are called %s", s.name, q.name)
			}
			names[q.name] = true
			for _, name := range s.contestants() {
				if strings.TrimSpace(q.forms[name].sql) == "" {
					t.Errorf("%s: %s has no form for %s", s.name, q.name, name)
				}
			}
		}
	}
	if n := len(suites["product"]); n != 32 {
		t.Errorf("%d questions, want 32", n)
	}
	for _, f := range families {
		for _, q := range f.questions {
			if !suites[f.suite][q] {
				t.Errorf("family %q: there is no question %s", f.name, q)
			}
		}
	}
	for name := range floors {
		if !suites["product"][name] {
			t.Errorf("there is a floor for %s, which is no question", name)
		}
	}
	if len(floors) != 32 {
		t.Errorf("%d floors, want 32", len(floors))
	}
}
