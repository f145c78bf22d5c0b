package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go"

	"github.com/prickledb/prickle/cluster"
)

func gzipped(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write([]byte(text))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func zstded(t *testing.T, text string) string {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return string(w.EncodeAll([]byte(text), nil))
}

const threeLines = `{"event":"a","distinct_id":"ann","timestamp":"2026-05-01T00:00:00Z","properties":{"n":1}}
{"event":"a","distinct_id":"bob","timestamp":"2026-05-02T00:00:00Z","properties":{"n":2}}
{"event":"b","distinct_id":"ann","timestamp":"2026-05-03T00:00:00Z","plan":"team"}
`

// TestImportFormats imports the same three events in every form, each into a place of its
// own without a server, and again with one.
func TestImportFormats(t *testing.T) {
	csv := "event,distinct_id,timestamp,n,plan\na,ann,2026-05-01T00:00:00Z,1,\na,bob,2026-05-02T00:00:00Z,2,\nb,ann,2026-05-03T00:00:00Z,,team\n"
	type row struct {
		Event      string    `parquet:"event"`
		DistinctID string    `parquet:"distinct_id"`
		Timestamp  time.Time `parquet:"timestamp,timestamp(millisecond)"`
		N          *int64    `parquet:"n,optional"`
		Plan       *string   `parquet:"plan,optional"`
	}
	one, two, team := int64(1), int64(2), "team"
	var pq bytes.Buffer
	w := parquet.NewGenericWriter[row](&pq)
	day := func(d int) time.Time { return time.Date(2026, 5, d, 0, 0, 0, 0, time.UTC) }
	w.Write([]row{{"a", "ann", day(1), &one, nil}, {"a", "bob", day(2), &two, nil}, {"b", "ann", day(3), nil, &team}})
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	p := newPlace(t)
	_, stop := p.serve()
	defer stop()
	for i, f := range []struct{ name, content, like string }{
		{"x.ndjson", threeLines, "newline-delimited JSON, 5 columns"},
		{"x.gz", gzipped(t, threeLines), "newline-delimited JSON, gzip, 5 columns"},
		{"x", zstded(t, threeLines), "newline-delimited JSON, zstd, 5 columns"},
		{"x.csv", csv, "CSV, 5 columns"},
		{"x.tsv.gz", gzipped(t, strings.ReplaceAll(csv, ",", "\t")), "TSV, gzip, 5 columns"},
		{"x.txt", "\ufeff" + strings.ReplaceAll(csv, ",", ";"), "CSV with semicolons, 5 columns"},
		{"x.parquet", pq.String(), "Parquet, 5 columns"},
		{"-", threeLines, "newline-delimited JSON, 5 columns"},
	} {
		name, stdin := "-", f.content
		if f.name != "-" {
			name, stdin = p.file(f.name, f.content), ""
		}
		project := fmt.Sprintf("p%d", i)
		addProject(t, p, project)
		a := p.runWith(nil, stdin, true, "import", name, "--project", project)
		if a.code != 0 || !strings.HasPrefix(a.out, "Looks like "+f.like+". Read as:\n  event ← \"event\"   time ← \"timestamp\" (RFC 3339)   person ← \"distinct_id\"   the rest → properties\n") ||
			!strings.Contains(a.out, "   done   3 rows in ") || !strings.Contains(a.out, "   persons 2   2026-05-01 … 2026-05-03\n") {
			t.Errorf("%s: exit %d\n%s%s", f.name, a.code, a.out, a.err)
		}
		a = p.run("sql", "--project", project, "select event, distinct_id, timestamp, properties.n, properties.plan from events order by timestamp")
		want(t, f.name, a.out+a.err, "event\tdistinct_id\ttimestamp\tn\tplan\na\tann\t2026-05-01 00:00:00+00\t1\t\na\tbob\t2026-05-02 00:00:00+00\t2\t\nb\tann\t2026-05-03 00:00:00+00\t\tteam\n")
		a = p.runWith(nil, stdin, true, "import", name, "--project", project)
		if a.code != 0 || !strings.Contains(a.out, "  nothing is new: all 3 rows were stored before\n") {
			t.Errorf("%s again: exit %d\n%s%s", f.name, a.code, a.out, a.err)
		}
	}
}

func addProject(t *testing.T, p *place, name string) {
	t.Helper()
	info, ok := readInfo(p.dir)
	if !ok {
		t.Fatal("no server runs")
	}
	r := newRemote(info.Address)
	resp, err := r.http.Post("http://"+r.host+"/api/projects/", "application/json", strings.NewReader(fmt.Sprintf(`{"name":%q}`, name)))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != 201 {
		t.Fatalf("project %s: %s", name, resp.Status)
	}
}

// TestImportOffline loads without a server, and finds it all with one; equal days and
// months are merged then.
func TestImportOffline(t *testing.T) {
	p := newPlace(t)
	name := p.events("e.ndjson", 3000)
	a := p.run("import", name, p.events("e.parquet", 3000))
	if a.code != 0 || !strings.Contains(a.out, "nothing is new: all 3,000 rows were stored before") {
		t.Fatalf("import: exit %d\n%s%s", a.code, a.out, a.err)
	}
	p.serve()
	if got := p.count("select count(*) from events"); got != "3000" {
		t.Errorf("%s events, want 3000", got)
	}
	a = p.run("status")
	if m := regexp.MustCompile(`(?m)^segments\t(\d+)$`).FindStringSubmatch(a.out); m == nil || len(m[1]) > 1 {
		t.Errorf("segments after an import that merges:\n%s", a.out)
	}
}

// TestImportBadRows gives each kind of bad row, and wants the others stored.
func TestImportBadRows(t *testing.T) {
	var b strings.Builder
	for i := range 2000 {
		switch i {
		case 500:
			b.WriteString(`{"event":"a","distinct_id":"x","timestamp":"2026-05-01T` + "\n")
		case 700:
			b.WriteString(`{"event":"a","timestamp":"2026-05-01T00:00:00Z"}` + "\n")
		case 900:
			b.WriteString(`{"event":"a","distinct_id":"x","timestamp":"0001-05-01T00:00:00Z"}` + "\n")
		case 901:
			b.WriteString("[1]\n")
		default:
			fmt.Fprintf(&b, `{"event":"a","distinct_id":"p%d","timestamp":"2026-05-01T00:00:00Z"}`+"\n", i)
		}
	}
	p := newPlace(t)
	p.serve()
	name := p.file("old.ndjson.gz", gzipped(t, b.String()))
	a := p.runTTY("import", name)
	rejects := filepath.Join(p.work, "old.rejects.ndjson")
	if a.code != exitPartly || !strings.Contains(a.out, "   done   1,996 rows in ") || !strings.Contains(a.out, "  skipped 4 rows: ") ||
		!strings.Contains(a.out, "(first: line 501)") || !strings.HasSuffix(a.out, "   → "+rejects+"\n") || !strings.Contains(a.out, "1 with a time before 1970") {
		t.Errorf("exit %d\n%s%s", a.code, a.out, a.err)
	}
	if got := p.count("select count(*) from events"); got != "1996" {
		t.Errorf("%s events, want 1996", got)
	}
	raw, err := os.ReadFile(rejects)
	if err != nil {
		t.Fatal(err)
	}
	var lines []int64
	for line := range strings.Lines(string(raw)) {
		var r struct {
			Line        int64
			Reason, Row string
		}
		if err := json.Unmarshal([]byte(line), &r); err != nil || r.Reason == "" || r.Row == "" {
			t.Errorf("reject %s: %v", line, err)
		}
		lines = append(lines, r.Line)
	}
	want(t, "lines", fmt.Sprint(lines), "[501 701 901 902]")

	a = p.run("import", name, "--on-error", "stop")
	if a.code != exitFailed || !strings.HasPrefix(a.err, "error: "+name+", line 501: ") || !strings.Contains(a.err, "Try:   prickle import "+name+" --on-error skip\n") {
		t.Errorf("--on-error stop: exit %d\n%s", a.code, a.err)
	}
	a = p.run("import", name, "--json")
	var s summary
	if err := json.Unmarshal([]byte(a.out), &s); err != nil || s.Rows != 1996 || s.Duplicates != 1996 || s.Rejected != 4 || s.Stored != 0 || !s.Complete {
		t.Errorf("--json: %v\n%s", err, a.out)
	}
}

// TestImportStopsPastOnePercent reads no further when a file is mostly not what it seems.
func TestImportStopsPastOnePercent(t *testing.T) {
	var b strings.Builder
	b.WriteString(`{"event":"a","distinct_id":"x","timestamp":"2026-05-01T00:00:00Z"}` + "\n")
	b.WriteString(strings.Repeat(`{"event":"a","distinct_id":"","timestamp":"2026-05-01T00:00:00Z"}`+"\n", 500))
	p := newPlace(t)
	name := p.file("bad.ndjson", b.String())
	a := p.run("import", name)
	if a.code != exitFailed || !regexp.MustCompile(`(?s)^error: \d+ of the first \d+ rows of \S+ cannot be stored: more than 1 %\n       .*Try:   prickle import \S+ --on-error skip\n$`).MatchString(a.err) {
		t.Errorf("exit %d\n%s", a.code, a.err)
	}
	if a = p.run("import", name, "--on-error", "skip"); a.code != exitPartly || !strings.Contains(a.out, "skipped 500 rows") {
		t.Errorf("--on-error skip: exit %d\n%s%s", a.code, a.out, a.err)
	}
}

// TestImportRefuses holds the words about files that are not what they should be.
func TestImportRefuses(t *testing.T) {
	p := newPlace(t)
	p.serve()
	whole := gzipped(t, strings.Repeat(threeLines, 30_000))
	type bare struct {
		Action string `parquet:"action"`
		Count  int64  `parquet:"count"`
	}
	var pq bytes.Buffer
	w := parquet.NewGenericWriter[bare](&pq)
	w.Write([]bare{{"x", 1}})
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, content, err string }{
		{"old.csv", "id,user,action,day\n1,ann,x,2026-05-01\n", "error: no column looks like a time (columns: id, user, action, day)\nTry:   prickle import old.csv --map time=day --map person=user --map event=action\n"},
		{"cut.ndjson.gz", whole[:len(whole)/2], "error: cut.ndjson.gz ends in the middle of its gzip data\n"},
		{"few.parquet", pq.String(), "error: no column looks like a time (columns: action, count)\nTry:   prickle import few.parquet --map time="},
		{"half.parquet", pq.String()[:pq.Len()-10], "error: half.parquet: this is not a whole Parquet file: "},
		{"empty", "", "error: empty is empty\n"},
		{"array.json", "[{}]", "error: array.json is one JSON array; import reads one object a line\nTry:   jq -c '.[]' array.json | prickle import -\n"},
		{"text", "what is this\n", "error: text is none of the formats that import reads\n"},
		{"missing", "\x00missing", "error: missing: no such file or directory\n"},
	} {
		name := p.file(c.name, c.content)
		if strings.HasPrefix(c.content, "\x00") {
			os.Remove(name)
		}
		a := p.run("import", name)
		got := strings.ReplaceAll(a.err, p.work+string(filepath.Separator), "")
		if a.code != exitFailed || !strings.HasPrefix(got, c.err) {
			t.Errorf("%s: exit %d\n%s\nwant %d\n%s", c.name, a.code, got, exitFailed, c.err)
		}
	}
	a := p.run("import", p.file("x.ndjson", threeLines), "--project", "prikle")
	want(t, "project", a.err, "error: there is no project \"prikle\"\nTry:   --project prickle\n")
	a = p.run("import", p.file("x.ndjson", threeLines), "--map", "time=tme")
	if a.code != exitUsage || !strings.HasPrefix(a.err, `error: time is mapped to "tme", and there is no such column`) {
		t.Errorf("--map: exit %d\n%s", a.code, a.err)
	}
}

// TestImportLongLine passes over a line of 200 MB and stores what is around it.
func TestImportLongLine(t *testing.T) {
	p := newPlace(t)
	first, rest, _ := strings.Cut(threeLines, "\n")
	name := p.file("long.ndjson", first+"\n")
	f, err := os.OpenFile(name, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	piece := bytes.Repeat([]byte("x"), 1<<20)
	f.WriteString(`{"event":"`)
	for range 200 {
		f.Write(piece)
	}
	f.WriteString("\n" + rest)
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	a := p.run("import", name)
	if a.code != exitPartly || !strings.Contains(a.out, "done   3 rows") || !strings.Contains(a.out, "skipped 1 row: 1 that are too large (first: line 2)") {
		t.Errorf("exit %d\n%s%s", a.code, a.out, a.err)
	}
	if raw, err := os.ReadFile(filepath.Join(p.work, "long.rejects.ndjson")); err != nil || len(raw) > 100_000 {
		t.Errorf("the rejects file has %d bytes: %v", len(raw), err)
	}
}

func TestImportDryRun(t *testing.T) {
	p := newPlace(t)
	a := p.run("import", p.file("x.ndjson", threeLines+"{\n"), "--dry-run")
	if a.code != 0 || !strings.Contains(a.out, "2026-05-01 00:00:00.000Z  a  ann  id ") || !strings.Contains(a.out, "  n=1\n") ||
		!strings.Contains(a.out, "  line 4 would be skipped: ") || !strings.HasSuffix(a.out, "About 3 rows. Nothing was stored.\n") {
		t.Errorf("exit %d\n%s%s", a.code, a.out, a.err)
	}
	if _, err := os.Stat(p.dir); err == nil {
		t.Error("a dry run made a data directory")
	}
}

// TestImportWaits imports into a directory whose server has the lock but cannot be found yet.
func TestImportWaits(t *testing.T) {
	p := newPlace(t)
	node, err := openNode(t.Context(), p.dir, cluster.Config{NoMerger: true})
	if err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(300*time.Millisecond, func() { node.Close(context.Background()) })
	if a := p.run("import", p.file("x.ndjson", threeLines)); a.code != 0 || !strings.Contains(a.out, "done   3 rows") {
		t.Errorf("exit %d\n%s%s", a.code, a.out, a.err)
	}
}

// TestImportStoppedAtOnce stops an import before it has found the server.
func TestImportStoppedAtOnce(t *testing.T) {
	p := newPlace(t)
	p.serve()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if a := p.runWith(ctx, "", false, "import", p.file("x.ndjson", threeLines)); a.code != exitInterrupted {
		t.Errorf("exit %d\n%s%s", a.code, a.out, a.err)
	}
}

// TestImportInterrupted stops an import and goes on with it.
func TestImportInterrupted(t *testing.T) {
	p := newPlace(t)
	p.serve()
	name := p.events("e.ndjson", 60_000)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	a := p.runWith(ctx, "", false, "import", name)
	cancel()
	if a.code == exitInterrupted {
		if !regexp.MustCompile(`(?m)^Stopped\. [\d,]+ rows? are stored; run the same command again to continue\.$`).MatchString(a.err) && !strings.HasPrefix(a.err, "error: interrupted") {
			t.Errorf("interrupted:\n%s%s", a.out, a.err)
		}
	} else if a.code != 0 {
		t.Errorf("interrupted: exit %d\n%s%s", a.code, a.out, a.err)
	}
	if a = p.run("import", name); a.code != 0 {
		t.Errorf("again: exit %d\n%s%s", a.code, a.out, a.err)
	}
	if got := p.count("select count(*) from events"); got != "60000" {
		t.Errorf("%s events, want 60000", got)
	}
}
