package main

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// sampleReport has a suite with a right and a wrong question, and one without questions.
func sampleReport() *report {
	times := func(own, house, duck float64) map[string]*timing {
		return map[string]*timing{prickle: {Median: own, Min: own - .5, Q1: own - .25, Q3: own + .25, Runs: 5, CPU: own, Cold: 3 * own}, clickhouse: {Median: house, Min: house, Q1: house, Q3: house, Runs: 5, CPU: 2 * house},
			duckdb: {Median: duck, Min: duck, Q1: duck, Q3: duck, Runs: 5, CPU: 2 * duck}, bitmaps: {Median: 4, Min: 4, Q1: 4, Q3: 4, Runs: 5, CPU: 4}}
	}
	u := &run{Suite: "product", Title: "Product analytics, 32 questions", Rows: floorEvents, Threads: 2, Memory: map[string]int64{prickle: 1 << 30},
		Loads: []loaded{{Name: prickle, Seconds: 20, Merged: 25, Rate: 500_000, Bytes: 32.5, Memory: 2 << 30, CPU: 31}, {Name: clickhouse, Seconds: 40, Merged: 50, Rate: 250_000, Bytes: 54}},
		Results: []*result{
			{Name: "T2", Title: "persons | per day", Rows: 90, Times: times(2, 80, 100)},
			{Name: "T3", Title: "persons of a week", Rows: 90, Times: times(4, 200, 40)},
			(&result{Name: "F6", Title: "strict funnel", Rows: 1, Times: times(9, 9, 9)}).wrong(`row 1 of prickle is "7", of duckdb "8"`),
			{Name: "C1", Title: "cohort", Plain: "there is no operator", Rows: 1, Times: map[string]*timing{prickle: {Median: 12345}, duckdb: {Median: 9}}},
		}}
	u.Scores = scores("product", u.Results)
	ingest := &run{Suite: "ingest", Title: "NDJSON", Rows: 1_000_000, Threads: 2, Loads: []loaded{{Name: prickle, Seconds: 1.25, Merged: 2, Rate: 800_000}}}
	return &report{Commit: "abc1234", Time: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), Machine: "a processor", Cores: 2, Memory: 24 << 30, Versions: map[string]string{duckdb: "2"}, Runs: []*run{u, ingest}}
}

func TestReport(t *testing.T) {
	r := sampleReport()
	if r.wrong() != 1 {
		t.Errorf("%d wrong questions, want 1", r.wrong())
	}
	dir := t.TempDir()
	if err := r.write(dir); err != nil {
		t.Fatal(err)
	}
	text := read(t, dir, "report.md")
	for _, want := range []string{
		"Commit abc1234, 2026-03-01 12:00 UTC. a processor, 2 cores, 24 GiB. duckdb 2.",
		"**1 question WRONG, which is to say answered in different ways, without times.**",
		"## Product analytics, 32 questions; 10,000,000 rows, 2 threads",
		"| prickle | 20.0 s | 25.0 s | 31.0 s | 500,000 | 400,000 | 32.5 | 2048 MiB | 1024 MiB |",
		"Bytes per event: 32.5; goal 36, stretch 28: goal.",
		"| trends | T2 T3 | 20× | 8× | 20× | stretch | 40× |", // 80/2 and 40/4
		"| strict funnel | F6 | – | 20× | 50× | WRONG: F6 | – |",
		"| the same and trends against a bitmap table | T2 T3 | 1.4× | 3× | 8× | short | 1.4× |",
		"| T2 | persons \\| per day | **2.00** (1.50; 1.75–2.25) | **80.0** (80.0; 80.0–80.0) | **4.00** (4.00; 4.00–4.00) | **100** (100; 100–100) | 40× | 2.00 | 80× | 6.00 |",
		"| 1.30 | 1.5× |", // the floor of T2
		"The floor was measured once, elsewhere",
		"| F6 | strict funnel | WRONG | WRONG | WRONG | WRONG | – |  | – |",
		`- F6 WRONG: row 1 of prickle is "7", of duckdb "8"`,
		"| C1 | cohort ¹ | **12345** (0.00; 0.00–0.00) |  |  | **9.00**",
		"¹ prickle is asked in plain SQL: C1 (there is no operator).",
		"![times](product-2.svg)",
		"Import of NDJSON: 800,000 events/s till they are stored; goal 600,000, stretch 1,000,000: goal.",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the report does not say %q:\n%s", want, text)
		}
	}
	var back report
	if err := json.Unmarshal([]byte(read(t, dir, "report.json")), &back); err != nil {
		t.Fatal(err)
	}
	if q := back.Runs[0].Results; q[0].Times[prickle].Median != 2 || q[2].Times != nil || q[2].Wrong == "" || back.Runs[0].Scores[0].Ratio < 19.99 {
		t.Errorf("report.json says %+v", q)
	}
	picture := read(t, dir, "product-2.svg")
	for d := xml.NewDecoder(strings.NewReader(picture)); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("the picture is no XML: %v", err)
		}
	}
	// A bar for each time and a square for each name, and none for what is wrong.
	if n := strings.Count(picture, `fill="`+colours[prickle]+`"`); n != 3+1 {
		t.Errorf("%d bars and squares of prickle, want 4", n)
	}
	if !strings.Contains(picture, "WRONG") || !strings.Contains(picture, ">12345<") {
		t.Error("the picture lacks a wrong question or a number")
	}
}

// TestPictureOfFew finds that the bar of the least time is there to see even where it is a power of ten, and that
// nobody is named who has no bar.
func TestPictureOfFew(t *testing.T) {
	for _, times := range [][2]float64{{1, 7}, {1, 1}, {0.1, 100}, {1.01, 3}} {
		u := &run{Results: []*result{{Name: "D1", Times: map[string]*timing{prickle: {Median: times[0]}, duckdb: {Median: times[1]}}}}}
		var picture strings.Builder
		u.svg(&picture)
		m := regexp.MustCompile(`width="([0-9.]+)" height="9" fill="` + colours[prickle]).FindStringSubmatch(picture.String())
		if m == nil {
			t.Fatalf("%v: no bar of prickle in\n%s", times, picture.String())
		}
		if long, err := strconv.ParseFloat(m[1], 64); err != nil || long < 20 {
			t.Errorf("%v: the bar of %v ms is %s pixels long", times, times[0], m[1])
		}
		if strings.Contains(picture.String(), clickhouse) {
			t.Errorf("%v: clickhouse is named, and has no time", times)
		}
	}
}

// TestNoFloorAtOtherSizes finds that floors stand beside the number of events that they are for.
func TestNoFloorAtOtherSizes(t *testing.T) {
	r := sampleReport()
	r.Runs[0].Rows = 1_000_000
	var text strings.Builder
	r.markdown(&text)
	if strings.Contains(text.String(), "floor") {
		t.Errorf("a report of a million events has floors:\n%s", text.String())
	}
}

func read(t *testing.T, dir, name string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// TestMerges finds which statements of the suites come after the rows are stored.
func TestMerges(t *testing.T) {
	got := map[string]int{}
	for _, s := range []*suite{product(1000), hitsSuite(1000), tpchSuite(0.01), ingest(1000)} {
		for name, list := range s.setup {
			for i, sql := range list {
				if merges(sql) {
					got[engineOf(name)]++
					if i != len(list)-1 {
						t.Errorf("%s, %s: %q is not the last statement", s.name, name, sql)
					}
				}
			}
		}
	}
	if got[clickhouse] != 4 || got[duckdb] != 5 || got[prickle] != 0 {
		t.Errorf("statements that merge: %v", got)
	}
}
