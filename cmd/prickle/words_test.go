package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

func TestWords(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{grouped(20004518), "20,004,518"}, {grouped(-1234), "-1,234"}, {grouped(7), "7"},
		{amount(12_600_214), "12.6 M"}, {amount(1_310_000), "1.31 M"}, {amount(412_600_000), "413 M"}, {amount(1.2e9), "1.20 G"},
		{amount(214_321), "214,000"}, {amount(412), "412"}, {amount(999_999), "1.00 M"}, {amount(0), "0"},
		{size(812e6), "812 MB"}, {size(6.21e9), "6.2 GB"}, {size(5.1e6), "5.1 MB"}, {size(999), "999 B"}, {size(9.96e6), "10 MB"}, {size(999.6e6), "1.0 GB"},
		{took(41 * time.Millisecond), "41 ms"}, {took(1900 * time.Millisecond), "1.9 s"}, {took(221 * time.Second), "3m 41s"}, {took(15_300 * time.Millisecond), "15.3 s"},
		{span(192 * time.Second), "3m 12s"}, {span(146 * time.Hour), "6d  2h"}, {span(0), "0s"},
		{left(6400 * time.Millisecond), "~6 seconds left"}, {left(400 * time.Millisecond), "<1 second left"}, {left(time.Second), "~1 second left"},
		{left(96 * time.Minute), "~1.6 hours left"}, {left(5 * time.Minute), "~5 minutes left"}, {left(72 * time.Hour), "~3.0 days left"},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}

func TestNearest(t *testing.T) {
	words := []string{"import", "inspect", "sql", "serve", "status"}
	for word, wanted := range map[string]string{"imprt": "import", "improt": "import", "sq": "sql", "sevre": "serve", "x": "", "abcdef": "", "stauts": "status"} {
		if got := nearest(word, words); got != wanted {
			t.Errorf("nearest(%q) = %q, want %q", word, got, wanted)
		}
	}
}

// TestProgressLine draws the line of the mock-up at several widths.
func TestProgressLine(t *testing.T) {
	var out bytes.Buffer
	c := &console{err: &out, errTTY: true, width: 200, env: testEnv(nil)}
	p := &progress{console: c, name: "events-2026-10.ndjson.gz", verb: "import", started: time.Now()}
	s := state{rows: 12_600_214, bytes: 3_906_000_000, totalBytes: 6_200_000_000}
	p.rowRate, p.byRate, p.percent = 1_310_000, 412e6, 63
	const whole = "events-2026-10.ndjson.gz   63 % ━━━━━━━━━━━━━━━╺━━━━━━━━━  12.6 M rows   1.31 M rows/s   412 MB/s   ~6 seconds left"
	want(t, "wide", p.line(s), whole)
	for _, width := range []int{40, 80, 119, 200} {
		c.width = width
		line := p.line(s)
		if n := columns(line); n > width || !strings.HasPrefix(whole, line) {
			t.Errorf("%d columns: %q has %d", width, line, n)
		}
	}
	c.width = 200
	p.name = ""
	p.rowRate = 412e6
	want(t, "query", p.line(state{rows: 13_400_000, totalRows: 21_200_000}),
		"   63 % ━━━━━━━━━━━━━━━╺━━━━━━━━━  13.4 M of 21.2 M rows   412 M rows/s   <1 second left"[1:])
	p.name, p.rowRate, p.byRate = "stdin", 5000, 0
	want(t, "unknown total", p.line(state{rows: 12_345}), "stdin   ⠋  12,300 rows   5,000 rows/s")
	p.rowRate = 1_310_000
	want(t, "plain", p.plain(s), "import 12600214 rows 63% 1310000/s")
	p.byRate = 412e6
	s.totalRows = 20_004_518
	want(t, "object", p.object(s), `{"type":"progress","rows":12600214,"total_rows":20004518,"bytes":3906000000,"total_bytes":6200000000,"eta_s":5}`)

	// Percent never goes back, and the rate is smoothed.
	p = &progress{console: c, started: time.Unix(0, 0), last: time.Unix(0, 0)}
	p.advance(state{bytes: 50, totalBytes: 100}, time.Unix(1, 0))
	p.advance(state{bytes: 40, totalBytes: 100}, time.Unix(2, 0))
	if p.percent != 50 {
		t.Errorf("percent = %d, want 50", p.percent)
	}
}

// TestProgressPaints lets a line run on a terminal, on a dumb one, and on none.
func TestProgressPaints(t *testing.T) {
	for _, c := range []struct {
		name  string
		tty   bool
		env   map[string]string
		moves bool
	}{{"terminal", true, nil, true}, {"dumb", true, map[string]string{"TERM": "dumb"}, false}, {"none", false, nil, false}} {
		var out lockedBuffer
		con := &console{err: &out, errTTY: c.tty, width: 60, env: testEnv(c.env)}
		p := watch(con, "x", "import", func() state { return state{rows: 5, bytes: 1, totalBytes: 10} })
		time.Sleep(progressAfter + 150*time.Millisecond)
		p.finish()
		text := out.String()
		if c.moves != strings.Contains(text, "\r\x1b[K") {
			t.Errorf("%s: %q", c.name, text)
		}
		if c.moves && !strings.HasSuffix(text, "\r\x1b[K") {
			t.Errorf("%s: the line is still there: %q", c.name, text)
		}
	}
	var out lockedBuffer
	p := watch(&console{err: &out, errTTY: true, env: testEnv(nil)}, "x", "x", func() state { return state{} })
	p.finish()
	if out.String() != "" {
		t.Errorf("something short printed %q", out.String())
	}
}

func TestColour(t *testing.T) {
	for _, c := range []struct {
		env  map[string]string
		tty  bool
		want bool
	}{
		{nil, true, true}, {nil, false, false}, {map[string]string{"NO_COLOR": "1"}, true, false}, {map[string]string{"TERM": "dumb"}, true, false},
		{map[string]string{"CLICOLOR_FORCE": "1"}, false, true}, {map[string]string{"CLICOLOR_FORCE": "1", "NO_COLOR": "1"}, true, false},
	} {
		if got := wantsColour(testEnv(c.env), c.tty); got != c.want {
			t.Errorf("colour with %v on terminal %v = %v", c.env, c.tty, got)
		}
	}
}

// TestFunnel draws the mock-up's funnel from what comes over the wire.
func TestFunnel(t *testing.T) {
	rows := [][]string{
		{"1", "viewed pricing", "48210", "28763", "1", "", "", ""},
		{"2", "signed up", "19447", "16573", "0.4033", "0.4033", "00:03:12.4", "00:10:00"},
		{"3", "paid", "2874", "0", "0.0596", "0.1478", "6 days 02:00:00", "6 days"},
	}
	nulls := [][]bool{{false, false, false, false, false, true, true, true}, make([]bool, 8), make([]bool, 8)}
	var out bytes.Buffer
	if !drawFunnel(&out, funnelColumns, rows, nulls, 0) {
		t.Fatal("this is no funnel")
	}
	want(t, "funnel", out.String(), `  step  event           persons   of first   of previous   median time
  1     viewed pricing   48,210    100.0 %              –             –   ████████████████████
  2     signed up        19,447     40.3 %         40.3 %        3m 12s   ████████
  3     paid              2,874      6.0 %         14.8 %        6d  2h   █
`)
	out.Reset()
	broken := append([]string{"country"}, funnelColumns...)
	if !drawFunnel(&out, broken, [][]string{append([]string{"DE"}, rows[0]...)}, [][]bool{append([]bool{false}, nulls[0]...)}, 60) {
		t.Fatal("a breakdown is no funnel")
	}
	for line := range strings.Lines(out.String()) {
		if columns(strings.TrimSuffix(line, "\n")) > 60 {
			t.Errorf("%q is wider than 60", line)
		}
	}
	if drawFunnel(&out, []string{"a", "b"}, [][]string{{"1", "2"}}, nil, 0) {
		t.Error("any table is a funnel")
	}
}

func TestTable(t *testing.T) {
	var out bytes.Buffer
	(&table{head: []string{"name", "n"}, right: []bool{false, true}, rows: [][]string{{"日本", "1"}, {"abc", "1000"}}}).print(&out, 0)
	want(t, "table", out.String(), "  name      n\n  日本      1\n  abc    1000\n")
	if got := fit("abcdef", 4); got != "abc…" {
		t.Errorf("fit = %q", got)
	}
	if got := printable("a\x1b[31mb\nc"); got != "a·[31mb↵c" {
		t.Errorf("printable = %q", got)
	}
}

// TestSQLProblem draws what the server refuses.
func TestSQLProblem(t *testing.T) {
	show := func(e *pgconn.PgError, text string) string {
		var out bytes.Buffer
		sqlProblem(e, text).print(&console{err: &out, env: testEnv(nil)})
		return out.String()
	}
	want(t, "column", show(&pgconn.PgError{Code: "42703", Message: `column "plann" does not exist`, Position: 8, Hint: `Perhaps you meant "properties.plan".`}, "select plann from events"),
		"error: there is no column \"plann\" in events\n       select plann from events\n              ^^^^^\nTry:   properties.plan\n")
	want(t, "second line", show(&pgconn.PgError{Code: "42601", Message: "syntax error", Position: 10}, "select 1\n'ä' x\nfrom y"),
		"error: syntax error\n       'ä' x\n       ^^^\n")
	want(t, "end", show(&pgconn.PgError{Code: "42601", Message: "syntax error at end of input", Position: 7}, "select"),
		"error: syntax error at end of input\n       select\n             ^\n")
	if got := sqlProblem(&pgconn.PgError{Code: "57014", Message: "canceling statement due to statement timeout"}, ""); got.Exit != exitTimeout {
		t.Errorf("timeout exits with %d", got.Exit)
	}
	long := "select " + strings.Repeat("a, ", 500) + "b from events"
	for _, line := range pointAt(long, len(long)-12) {
		if columns(line) > drawnWide+1 {
			t.Errorf("%d columns of a long line are shown", columns(line))
		}
	}
	for _, at := range []int{1, 2, 1000} {
		pointAt("", at)
		pointAt("x", at)
	}
}

func TestSplitStatements(t *testing.T) {
	for text, wanted := range map[string]string{
		"select 1; select 2;":                  "select 1|select 2",
		"select ';' ; -- a;b\nselect $$;$$":    "select ';'|-- a;b\nselect $$;$$",
		"select $a$ ; $a$; /* ; /* ; */ ; */x": "select $a$ ; $a$|/* ; /* ; */ ; */x",
		`select "a;b", e'\';', 'it''s;'`:       `select "a;b", e'\';', 'it''s;'`,
		" ; ;":                                 "",
		"select $1; select '":                  "select $1|select '",
	} {
		if got := strings.Join(splitStatements(text), "|"); got != wanted {
			t.Errorf("splitStatements(%q) = %q, want %q", text, got, wanted)
		}
	}
	for text, wanted := range map[string]bool{"select 1": false, "select 1;": true, "select 1; -- x\n": true, "select ';": false, "select 1; x": false} {
		if got := complete(text); got != wanted {
			t.Errorf("complete(%q) = %v", text, got)
		}
	}
}

func FuzzSplitStatements(f *testing.F) {
	f.Add("select $a$ ; $a$; /* ; */ 'x")
	f.Fuzz(func(t *testing.T, text string) {
		n := 0
		for _, s := range splitStatements(text) {
			n += len(s)
		}
		if n > len(text) {
			t.Errorf("the statements have %d bytes, the text %d", n, len(text))
		}
		complete(text)
		pointAt(text, len(text)/2+1)
	})
}
