package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

func readFile(t *testing.T, name string) []byte {
	t.Helper()
	raw, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// own starts this binary as prickle, in a process that can be killed.
func own(t *testing.T, args ...string) (*exec.Cmd, *lockedBuffer) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	out := &lockedBuffer{}
	cmd := exec.Command(self, args...)
	cmd.Env = append(os.Environ(), "PRICKLE_TEST_MAIN=1")
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if cmd.ProcessState == nil {
			cmd.Process.Kill()
			cmd.Wait()
		}
	})
	return cmd, out
}

var storedRows = regexp.MustCompile(`([\d,]+) rows? before it (?:is|are) stored`)

// TestKillDuringImport kills the server while it takes a file, and then, in turn, an import
// that works without a server. Whatever was acknowledged is there afterwards, once, and
// importing the file again gives exactly the file.
func TestKillDuringImport(t *testing.T) {
	kills, events := 3, int64(100_000)
	if testing.Short() { // a server and an import by itself
		kills, events = 2, 40_000
	}
	if n, err := strconv.Atoi(os.Getenv("PRICKLE_KILLS")); err == nil && n > 0 {
		kills = n
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	p := newPlace(t)
	name := p.events("e.ndjson", uint64(events))
	var expected string
	for i := range kills {
		p.dir = fmt.Sprintf("%s/data%d", p.work, i%4)
		if err := os.RemoveAll(p.dir); err != nil {
			t.Fatal(err)
		}
		// A server is killed while it takes the file; an import of its own also while it
		// starts, and while it merges afterwards.
		wait := time.Duration(rng.Int64N(int64(150 * time.Millisecond)))
		if i%2 == 1 {
			wait = 40*time.Millisecond + 2*wait
		}
		acknowledged := int64(0)
		if i%2 == 0 {
			server, log := own(t, "serve", "--data", p.dir, "--listen", "127.0.0.1:0", "--ballast", "off")
			waitFor(t, func() bool { return strings.Contains(log.String(), "Ctrl-C stops.") })
			killed := make(chan struct{})
			go func() {
				defer close(killed)
				time.Sleep(wait)
				server.Process.Kill()
				server.Wait()
			}()
			a := p.run("import", name)
			<-killed
			switch m := storedRows.FindStringSubmatch(a.err); {
			case a.code == 0:
				acknowledged = events
			case m != nil:
				n, err := strconv.ParseInt(strings.ReplaceAll(m[1], ",", ""), 10, 64)
				if err != nil {
					t.Fatal(err)
				}
				acknowledged = n
			}
		} else {
			importer, _ := own(t, "import", name, "--data", p.dir)
			time.Sleep(wait)
			importer.Process.Kill()
			importer.Wait()
		}

		_, stop := p.serve()
		var n int64
		check := func(atLeast int64) string {
			got := p.count("select count(*), count(distinct uuid), count(distinct person_id) from events")
			parts := strings.Split(got, ",")
			if len(parts) != 3 || parts[0] != parts[1] {
				t.Fatalf("kill %d after %v: %s: rows are there twice", i, wait, got)
			}
			var err error
			if n, err = strconv.ParseInt(parts[0], 10, 64); err != nil || n < atLeast || n > events {
				t.Fatalf("kill %d after %v: %d events, %d were acknowledged", i, wait, n, atLeast)
			}
			return got
		}
		check(acknowledged)
		before := n
		a := p.run("import", name, "--json")
		var s summary
		if err := json.Unmarshal([]byte(a.out), &s); err != nil || a.code != 0 {
			t.Fatalf("kill %d: import again: exit %d: %s%s", i, a.code, a.out, a.err)
		}
		if s.Duplicates != before || s.Stored != events-before {
			t.Fatalf("kill %d after %v: %d new and %d known rows, want %d and %d", i, wait, s.Stored, s.Duplicates, events-before, before)
		}
		got := check(events)
		if expected == "" {
			expected = got
		}
		if got != expected {
			t.Fatalf("kill %d after %v: %s, want %s as without a kill", i, wait, got, expected)
		}
		t.Logf("kill %d after %v: %d acknowledged, %d there", i, wait, acknowledged, before)
		stop()
	}
}

func waitFor(t *testing.T, ready func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ready(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("waited 20 s in vain")
		}
	}
}

// TestTail follows what comes in.
func TestTail(t *testing.T) {
	p := newPlace(t)
	screen, _ := p.serve()
	info, _ := readInfo(p.dir)
	key := regexp.MustCompile(`phc_\w+`).FindString(screen.String())
	r := newRemote(info.Address)
	send := func(event string) {
		t.Helper()
		resp, err := r.http.Post("http://"+r.host+"/capture/", "application/json",
			strings.NewReader(fmt.Sprintf(`{"api_key":%q,"event":%q,"distinct_id":"ann@a.very.long.example","properties":{"plan":"team","$lib":"web"}}`, key, event)))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	send("first")
	out := &lockedBuffer{}
	c := &console{in: strings.NewReader(""), out: out, err: &bytes.Buffer{}, outTTY: true, width: 80, env: testEnv(nil)}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan int, 1)
	go func() { ended <- run(ctx, c, []string{"tail", "--data", p.dir}) }()
	waitFor(t, func() bool { return strings.Contains(out.String(), "first") })
	send("second thing")
	waitFor(t, func() bool { return strings.Contains(out.String(), "second thing") })
	cancel()
	if code := <-ended; code != exitInterrupted {
		t.Errorf("tail ended with %d", code)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 2 || !regexp.MustCompile(`^\d\d:\d\d:\d\d  first            ann@a\.very\.lo…    plan=team  \$`).MatchString(lines[0]) {
		t.Errorf("tail:\n%s", out)
	}
	for _, line := range lines {
		if columns(line) > 80 {
			t.Errorf("%q is wider than 80", line)
		}
	}
	a := p.runWith(nil, "", false, "import", p.file("x.ndjson", threeLines), "--project", "nope")
	want(t, "project", a.err, "error: there is no project \"nope\"\n")
	resp, err := r.http.Post("http://"+r.host+"/capture/", "application/json", strings.NewReader(`{"api_key":"phc_nobody","event":"x","distinct_id":"x"}`))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 401 {
		t.Errorf("an unknown key is answered with %s, want 401", resp.Status)
	}
}

// TestInspect prints every file of a data directory, and finds a flipped byte.
func TestInspect(t *testing.T) {
	p := newPlace(t)
	if a := p.run("import", p.events("e.ndjson", 3000)); a.code != 0 {
		t.Fatalf("import: exit %d\n%s", a.code, a.err)
	}
	list := p.run("inspect", p.dir)
	if list.code != 0 {
		t.Fatalf("inspect %s: exit %d\n%s", p.dir, list.code, list.err)
	}
	segments := 0
	for line := range strings.Lines(list.out) {
		name := strings.Fields(line)[1]
		a := p.run("inspect", name)
		if a.code != 0 || a.out == "" {
			t.Errorf("inspect %s: exit %d\n%s", name, a.code, a.err)
		}
		if !strings.Contains(name, "/segments/") {
			continue
		}
		if segments++; segments > 1 {
			continue
		}
		raw := readFile(t, name)
		raw[len(raw)/2] ^= 1
		bad := p.file("flipped", string(raw))
		a = p.run("inspect", bad)
		if a.code != exitDamaged || !strings.Contains(a.err, "flipped") || !strings.Contains(a.err, "checksum") {
			t.Errorf("a flipped byte: exit %d\n%s%s", a.code, a.out, a.err)
		}
	}
	if segments == 0 {
		t.Errorf("no segment in\n%s", list.out)
	}
	if a := p.run("inspect", p.dir+"/raft/log"); a.code != 0 || !strings.HasPrefix(a.out, "Raft log: entries ") || !strings.Contains(a.out, "events") {
		t.Errorf("inspect of the log: exit %d\n%s%s", a.code, a.out, a.err)
	}
}

// TestBenchLoad sends events to a server and asks it questions: what it reports is there.
func TestBenchLoad(t *testing.T) {
	p := newPlace(t)
	p.serve()
	a := p.run("bench", "load", "--clients", "2", "--batch", "5", "--rate", "500", "--duration", "400ms", "--query-rate", "20", "--json")
	var r loadReport
	if err := json.Unmarshal([]byte(a.out), &r); err != nil || a.code != 0 || r.Accepted == 0 || r.Accepted != r.Stored || r.Accepted != 5*r.Latency.Count ||
		len(r.Errors) > 0 || len(r.Queries) == 0 || len(r.QueryErrors) > 0 || r.ServerCPU <= 0 || r.ClientCPU <= 0 {
		t.Errorf("bench load: exit %d, %v\n%s%s", a.code, err, a.out, a.err)
	}
	if a := p.run("bench", "load", "--duration", "50ms", "--query-rate", "0"); a.code != 0 || !strings.Contains(a.out, "durable and counted") || strings.Contains(a.out, "not accepted") || strings.Contains(a.out, "questions") {
		t.Errorf("bench load: exit %d\n%s%s", a.code, a.out, a.err)
	}
	if a := p.run("bench", "load", "--project", "nobody"); a.code != exitFailed || !strings.Contains(a.err, `no project "nobody"`) {
		t.Errorf("bench load of no project: exit %d\n%s%s", a.code, a.out, a.err)
	}
	if a := p.run("bench", "load", "--batch", "0"); a.code != exitUsage {
		t.Errorf("bench load of no events: exit %d\n%s%s", a.code, a.out, a.err)
	}
}

// TestFormats prints one answer in every form.
func TestFormats(t *testing.T) {
	p := newPlace(t)
	p.serve()
	const query = "select 1 as n, 'a|b' as t, null as x, true as b"
	for format, wanted := range map[string]string{
		"csv":      "n,t,x,b\n1,a|b,,t\n",
		"json":     "[\n{\"n\":1,\"t\":\"a|b\",\"x\":null,\"b\":true}\n]\n",
		"ndjson":   "{\"n\":1,\"t\":\"a|b\",\"x\":null,\"b\":true}\n",
		"markdown": "| n | t | x | b |\n|---:|---|---|---|\n| 1 | a\\|b |  | t |\n",
		"":         "n\tt\tx\tb\n1\ta|b\t\tt\n",
	} {
		args := []string{"sql", query}
		if format != "" {
			args = append(args, "--format", format)
		}
		a := p.run(args...)
		want(t, "format "+format, a.out+a.err, wanted)
	}
	a := p.runWith(nil, "select 1 as a; select 2 as b;\n", false, "sql", "--format", "csv")
	want(t, "standard input", a.out+a.err, "a\n1\nb\n2\n")
	a = p.run("sql", "--format", "csv", "-f", p.file("q.sql", "select 3 as c; -- the end\n"))
	want(t, "file", a.out+a.err, "c\n3\n")
	a = p.run("sql", "selct 1")
	if a.code != exitFailed || !strings.HasPrefix(a.err, "error: syntax error") || !strings.Contains(a.err, "\n       selct 1\n       ^^^^^\n") {
		t.Errorf("syntax error: exit %d\n%s", a.code, a.err)
	}
	a = p.run("sql", "select count(*) from FUNNEL(STEPS (a: event = 'a', b: event = 'b') WITHIN INTERVAL '0 days')")
	if a.code != exitFailed || !strings.HasPrefix(a.err, "error: ") {
		t.Errorf("a window of 0 days: exit %d\n%s", a.code, a.err)
	}
	if a = p.run("sql", "--project", "nobody", "select 1"); a.code != exitFailed || a.err != "error: there is no project \"nobody\"\n" {
		t.Errorf("unknown project: exit %d\n%s", a.code, a.err)
	}
	if a = p.run("sql", "set statement_timeout = '1ms'; select count(*) from generate_series(1, 100000000)"); a.code == exitDone {
		t.Errorf("time-out: exit %d\n%s", a.code, a.err)
	}
}
