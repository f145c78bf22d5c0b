package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestBench measures a little.
func TestBench(t *testing.T) {
	if testing.Short() {
		t.Skip("it measures for seconds, under load of all cores")
	}
	p := newPlace(t)
	a := p.run("bench", "--quick", "--events", "20000", "--reps", "1", "--all", "--json")
	var r benchReport
	if err := json.Unmarshal([]byte(a.out), &r); err != nil || a.code != 0 || len(r.Headlines) != 4 || len(r.Answers) != 8 || len(r.Insights) == 0 ||
		r.Events != 20000 || r.Bytes <= 0 || r.Import <= 0 || r.TakeIn <= 0 || r.TakeInP99 <= 0 {
		t.Errorf("bench: exit %d, %v\n%s%s", a.code, err, a.out, a.err)
	}
}

// TestBenchGen makes the same bytes twice.
func TestBenchGen(t *testing.T) {
	p := newPlace(t)
	one, two := p.run("bench", "gen", "--events", "100", "--seed", "7"), p.run("bench", "gen", "--events", "100", "--seed", "7")
	if one.code != 0 || one.out != two.out || strings.Count(one.out, "\n") != 100 {
		t.Errorf("bench gen: exit %d, %d lines", one.code, strings.Count(one.out, "\n"))
	}
}

// TestBenchLayout prints a result in the layout of the specification, and beside an earlier one.
func TestBenchLayout(t *testing.T) {
	r := &benchReport{Cores: 8, Memory: 16e9, Events: 10_000_000, Persons: 200_000, Days: 90, Clients: 64, TakeIn: 214_000, TakeInP99: 11, Import: 1_310_000, Bytes: 41,
		Headlines: []benchAnswer{{Name: "TRENDS  30 days, 3 series", Median: 9}, {Name: "FUNNEL  5 steps, 14 days", Median: 38}, {Name: "SQL  group by property", Median: 0.27}}}
	var out bytes.Buffer
	r.print(&console{out: &out}, nil)
	want := `8 cores, 16 GB        made-up data: 10,000,000 events, 200,000 persons, 90 days
  take in (HTTP, 64 clients)      214,000 events/s     99 % 11 ms
  import (parquet)                 1.31 M events/s     stored 41 bytes/event
  TRENDS  30 days, 3 series            9 ms            1.11 G events/s
  FUNNEL  5 steps, 14 days            38 ms            263 M events/s
  SQL  group by property            0.27 ms            37.0 G events/s
Results: prickle bench --json > bench.json      Compare: prickle bench --against bench.json
`
	if out.String() != want {
		t.Errorf("printed\n%s\nwant\n%s", out.String(), want)
	}

	out.Reset()
	before := *r
	before.TakeIn, before.Headlines = 107_000, []benchAnswer{{Name: "FUNNEL  5 steps, 14 days", Median: 19}}
	r.print(&console{out: &out}, &before)
	for _, line := range []string{"99 % 11 ms   was 107,000, now 2.00 times as fast\n", "263 M events/s   was 19 ms, now 0.50 times as fast\n", "1.11 G events/s\n"} {
		if !strings.Contains(out.String(), line) {
			t.Errorf("beside an earlier result there is no %q in\n%s", line, out.String())
		}
	}
	out.Reset()
	before.Events = 500
	r.print(&console{out: &out}, &before)
	if text := out.String(); !strings.Contains(text, "The earlier result is of 500 events; times of questions do not compare.\n") || strings.Contains(text, "was 19 ms") {
		t.Errorf("beside a result of other data:\n%s", text)
	}
}

// TestBenchAgainst names what is wrong with a file before anything is measured.
func TestBenchAgainst(t *testing.T) {
	p := newPlace(t)
	file := filepath.Join(t.TempDir(), "old.json")
	if err := os.WriteFile(file, []byte(`{"title":"something else"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{file: " is no result of prickle bench\nTry:   prickle bench --json > ", file + ".none": "no such file"} {
		if a := p.run("bench", "--against", name); a.code != 1 || !strings.Contains(a.err, want) {
			t.Errorf("--against %s: exit %d\n%s, want %q", name, a.code, a.err, want)
		}
	}
}
