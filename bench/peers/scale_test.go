package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/parquet-go/parquet-go"
)

// Each shape is what its name says, and its events are all different.
func TestShapes(t *testing.T) {
	if testing.Short() {
		t.Skip("one goroutine; the plain run has it")
	}
	const events = 20_000
	for _, s := range otherShapes(events) {
		var b bytes.Buffer
		if err := s.write(t.Context(), &b, events); err != nil {
			t.Fatal(err)
		}
		uuids, names, persons, properties := map[string]bool{}, map[string]bool{}, map[string]bool{}, map[string]bool{}
		var times []time.Time
		for line := range bytes.Lines(b.Bytes()) {
			var e struct {
				UUID, Event string
				Person      string `json:"distinct_id"`
				Timestamp   time.Time
				Properties  map[string]string
			}
			if err := json.Unmarshal(line, &e); err != nil {
				t.Fatalf("%s: %v: %s", s.name, err, line)
			}
			uuids[e.UUID], names[e.Event], persons[e.Person] = true, true, true
			for name := range e.Properties {
				properties[name] = true
			}
			if len(e.Properties) != 5 {
				t.Fatalf("%s: %d properties, want 5: %s", s.name, len(e.Properties), line)
			}
			times = append(times, e.Timestamp)
		}
		if len(times) != events || len(uuids) != events {
			t.Errorf("%s: %d events with %d uuids, want %d", s.name, len(times), len(uuids), events)
		}
		if inOrder := slices.IsSortedFunc(times, time.Time.Compare); inOrder == s.late {
			t.Errorf("%s: in order is %v", s.name, inOrder)
		}
		if days := uint64(slices.MaxFunc(times, time.Time.Compare).Sub(slices.MinFunc(times, time.Time.Compare)).Hours()/24) + 1; days < s.days*9/10 && !s.late || days > s.days {
			t.Errorf("%s: %d days, want %d", s.name, days, s.days)
		}
		// The rarest of many are not all met by so few events.
		for what, c := range map[string]struct{ got, want uint64 }{
			"names":      {uint64(len(names)), s.names},
			"persons":    {uint64(len(persons)), s.persons},
			"properties": {uint64(len(properties)), s.properties},
		} {
			if c.got > c.want || c.got < c.want*6/10 {
				t.Errorf("%s: %d %s, want %d", s.name, c.got, what, c.want)
			}
		}
	}
}

// Of more events the table also says what one costs beside one of the first column.
func TestScaleTable(t *testing.T) {
	var b strings.Builder
	scaleTable(&b, "Stream, ms", []string{"T1", "F1"}, []column{
		{name: "1000 events", events: 1000, rate: 5000, bytes: 30_000, memory: 1 << 20, times: []float64{1, 0.5}},
		{name: "10,000 events", events: 10_000, rate: 123_456, bytes: 290_000, memory: 3 << 20, times: []float64{5, 10}},
	})
	const want = `## Stream, ms

|  | 1000 events | 10,000 events |
|---|--:|--:|
| T1 | 1 | 5 (0.50 an event) |
| F1 | 0.5 | 10 (2.00 an event) |
| import, events/s | 5,000 | 123,456 |
| bytes an event, segments | 30.0 | 29.0 |
| peak memory, MiB | 1 | 3 |

`
	if got := b.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// refusing is a database that refuses some questions.
type refusing struct{ database }

func (refusing) ask(_ context.Context, sql string) ([][]string, time.Duration, error) {
	switch sql {
	case "large":
		return nil, 0, &pgconn.PgError{Code: "53200"}
	case "gone":
		return nil, 0, io.EOF
	}
	return [][]string{{"1"}}, 3 * time.Millisecond, nil
}

// A question that is refused has no time, and the next is asked; a server that is gone ends it.
func TestColumnTimes(t *testing.T) {
	var c column
	for _, sql := range []string{"small", "large", "small"} {
		if err := c.time(t.Context(), refusing{}, sql, sql, 2); err != nil {
			t.Fatal(err)
		}
	}
	if len(c.times) != 3 || c.times[0] != 3 || !math.IsNaN(c.times[1]) || c.times[2] != 3 {
		t.Errorf("times are %v, want 3, none, 3", c.times)
	}
	if err := c.time(t.Context(), refusing{}, "gone", "gone", 2); !errors.Is(err, io.EOF) {
		t.Errorf("the error of a server that is gone is %v", err)
	}
	var b strings.Builder
	scaleTable(&b, "Stream, ms", []string{"small", "large", "small"}, []column{c})
	if !strings.Contains(b.String(), "| large | refused |\n") {
		t.Errorf("the table does not say what was refused:\n%s", b.String())
	}
}

func TestIsRefused(t *testing.T) {
	for code, want := range map[string]bool{"53000": true, "53200": false, "57014": false} {
		if got := isRefused(fmt.Errorf("question: %w", &pgconn.PgError{Code: code})); got != want {
			t.Errorf("an error with the code %s is refused: %v, want %v", code, got, want)
		}
	}
	if isRefused(nil) || isRefused(io.EOF) {
		t.Error("no error, or one that is not the server's, is refused")
	}
}

// The parts of a large stream hold each of its events once, in order.
func TestProductFiles(t *testing.T) {
	const events = 30_000
	ids := func(each uint64) (out []string) {
		for _, write := range productFiles(t.Context(), events, each) {
			var b bytes.Buffer
			if err := write(&b); err != nil {
				t.Fatal(err)
			}
			rows, err := parquet.Read[struct {
				UUID string `parquet:"uuid"`
			}](bytes.NewReader(b.Bytes()), int64(b.Len()))
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range rows {
				out = append(out, r.UUID)
			}
		}
		return out
	}
	if whole, parts := ids(events), ids(7_000); len(whole) != events || !slices.Equal(parts, whole) {
		t.Errorf("%d events in parts, %d in one file; want the same %d", len(parts), len(whole), events)
	}
}

// What was imported by an earlier run is not imported again, and what was not is.
func TestImportAll(t *testing.T) {
	p := place{dir: t.TempDir(), prickle: "no such program"}
	note := filepath.Join(p.dir, "imported.json")
	if err := os.WriteFile(note, []byte("[2000000000,3000000000]"), 0o644); err != nil {
		t.Fatal(err)
	}
	made := 0
	write := func(io.Writer) error { made++; return nil }
	took, err := p.importAll(t.Context(), "some", filepath.Join(p.dir, "file"), []func(io.Writer) error{write, write})
	if err != nil || took != 5*time.Second || made != 0 {
		t.Errorf("two of two imported: %v, %v, %d files made; want 5s, and none", took, err, made)
	}
	if _, err = p.importAll(t.Context(), "some", filepath.Join(p.dir, "file"), []func(io.Writer) error{write, write, write}); err == nil || made != 1 {
		t.Errorf("two of three imported: %v, %d files made; want the import of one to be tried", err, made)
	}
}
