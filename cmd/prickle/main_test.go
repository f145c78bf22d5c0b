package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/prickledb/prickle/server/session"

	"github.com/prickledb/prickle/bench/gen"
)

// TestMain is the command itself when a test starts this binary as a process of its own.
func TestMain(m *testing.M) {
	if os.Getenv("PRICKLE_TEST_MAIN") != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// place is a directory in which commands run, with or without a server.
type place struct {
	t    *testing.T
	dir  string // of the data
	work string // of files
}

func newPlace(t *testing.T) *place {
	t.Helper()
	work := t.TempDir()
	return &place{t, filepath.Join(work, "data"), work}
}

// answer is what a command did.
type answer struct {
	out, err string
	code     int
}

// testEnv has nothing that the machine of the test says.
func testEnv(extra map[string]string) func(string) string {
	return func(name string) string { return extra[name] }
}

// lockedBuffer may be read while a command writes.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// run runs a command as if out was no terminal.
func (p *place) run(args ...string) answer { return p.runWith(nil, "", false, args...) }

// runTTY runs a command as if out was a terminal of 160 columns.
func (p *place) runTTY(args ...string) answer { return p.runWith(nil, "", true, args...) }

func (p *place) runWith(ctx context.Context, stdin string, tty bool, args ...string) answer {
	p.t.Helper()
	if ctx == nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(p.t.Context(), 30*time.Second)
		defer cancel()
	}
	var out, errs lockedBuffer
	c := &console{in: strings.NewReader(stdin), out: &out, err: &errs, outTTY: tty, env: testEnv(nil)}
	if tty {
		c.width = 160
	}
	code := run(ctx, c, append(args, "--data", p.dir))
	return answer{out.String(), errs.String(), code}
}

// serve starts a server on the place's data, and stops it when the test ends.
func (p *place) serve(args ...string) (screen *lockedBuffer, stop func() int) {
	p.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	screen = &lockedBuffer{}
	log := &lockedBuffer{}
	c := &console{in: strings.NewReader(""), out: screen, err: log, env: testEnv(nil)}
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, c, append([]string{"serve", "--data", p.dir, "--listen", "127.0.0.1:0", "--ballast", "off"}, args...))
	}()
	deadline := time.After(30 * time.Second)
	for !strings.Contains(screen.String(), "Ctrl-C stops.") {
		select {
		case code := <-ended:
			p.t.Fatalf("serve ended with %d: %s%s", code, screen, log)
		case <-deadline:
			p.t.Fatalf("serve did not begin: %s%s", screen, log)
		case <-time.After(2 * time.Millisecond):
		}
	}
	var once sync.Once
	code := 0
	stop = func() int {
		once.Do(func() {
			cancel()
			code = <-ended
		})
		return code
	}
	p.t.Cleanup(func() { stop() })
	return screen, stop
}

// file writes a file into the place.
func (p *place) file(name, text string) string {
	p.t.Helper()
	path := filepath.Join(p.work, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
	return path
}

// events writes generated events to a file.
func (p *place) events(name string, n uint64) string {
	p.t.Helper()
	path := filepath.Join(p.work, name)
	f, err := os.Create(path)
	if err != nil {
		p.t.Fatal(err)
	}
	defer f.Close()
	write := gen.WriteNDJSON
	if strings.HasSuffix(name, ".parquet") {
		write = gen.WriteParquet
	}
	if err := write(p.t.Context(), f, gen.Config{Events: n, Merges: true}, nil); err != nil {
		p.t.Fatal(err)
	}
	return path
}

// count asks the running server for one value.
func (p *place) count(query string) string {
	p.t.Helper()
	a := p.run("sql", "--format", "csv", query)
	if a.code != 0 {
		p.t.Fatalf("%s: exit %d: %s", query, a.code, a.err)
	}
	lines := strings.Split(strings.TrimSpace(a.out), "\n")
	return lines[len(lines)-1]
}

func want(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s:\n%s\nwant:\n%s", what, got, want)
	}
}

func TestVersion(t *testing.T) {
	p := newPlace(t)
	a := p.run("version")
	if !regexp.MustCompile(`^prickle 0\.1\.0 \(commit \w+, go1\.\d+(\.\d+)?\S*, linux/\w+\)\n$`).MatchString(a.out) || a.code != 0 {
		t.Errorf("version = %q, exit %d", a.out, a.code)
	}
}

// TestWrongWords holds what is said to whoever mistypes.
func TestWrongWords(t *testing.T) {
	p := newPlace(t)
	for _, c := range []struct {
		args string
		err  string
		code int
	}{
		{"imprt x", "Unknown command \"imprt\". Did you mean \"import\"?\n", 2},
		{"xyzzy", "Unknown command \"xyzzy\". prickle alone lists them.\n", 2},
		{"config shw", "Unknown command \"shw\". Did you mean \"show\"?\n", 2},
		{"serve --demoo", "Unknown flag \"--demoo\". Did you mean \"--demo\"?\n", 2},
		{"serve -z", "Unknown flag \"-z\". prickle serve -h lists them.\n", 2},
		{"version now", "error: prickle version takes no argument, and got \"now\"\nTry:   prickle version -h\n", 2},
		{"import", "error: prickle import wants at least one file, or - for standard input\nTry:   prickle import -h\n", 2},
		{"import x --map tme=a", "error: --map tme=a: write field=column, where field is time, person, event, id or properties\nTry:   --map time=a\n", 2},
		{"sql --format tabel x", "error: --format is one of table, csv, json, ndjson, markdown, not \"tabel\"\nTry:   --format table\n", 2},
		{"serve --listen 7742", "error: listen: \"7742\" is not an address; write host:port, :port or unix:/path\n       It comes from the flag --listen.\n", 2},
		{"serve --memory lots", "error: memory: \"lots\" is not a size; write 20GB or 512MiB\n       It comes from the flag --memory.\n", 2},
		{"serve --query-timeout 0s", "error: query_timeout: \"0s\" is not a time; write 15s, 5m, 90d\n       It comes from the flag --query-timeout.\n", 2},
	} {
		a := p.run(strings.Fields(c.args)...)
		if a.code != c.code || a.err != c.err {
			t.Errorf("prickle %s: exit %d\n%s\nwant %d\n%s", c.args, a.code, a.err, c.code, c.err)
		}
	}
}

// TestHelp wants a description and two examples of every command.
func TestHelp(t *testing.T) {
	var walk func(cmd *cobra.Command, path []string)
	walk = func(cmd *cobra.Command, path []string) {
		for _, sub := range cmd.Commands() {
			if sub.IsAvailableCommand() && sub.Name() != "completion" && sub.Name() != "help" {
				walk(sub, append(append([]string{}, path...), sub.Name()))
			}
		}
		a := newPlace(t).run(append(path, "-h")...)
		if a.code != 0 || !strings.Contains(a.out, "Usage:  prickle") {
			t.Errorf("prickle %v -h: exit %d\n%s%s", path, a.code, a.out, a.err)
		}
		if cmd.HasSubCommands() && cmd.Example == "" {
			return
		}
		if n := strings.Count(cmd.Example, "prickle "); n < 2 {
			t.Errorf("prickle %v: %d examples, want 2", path, n)
		}
	}
	walk(rootCommand(&console{env: testEnv(nil)}), nil)
}

// TestSettings finds every setting in each place it can come from.
func TestSettings(t *testing.T) {
	value := map[string]string{"listen": "127.0.0.1:1", "pg_listen": ":2", "data": "/d", "tls_cert": "c.pem", "tls_key": "k.pem", "tls_client_ca": "ca.pem", "ssl": "require", "memory": "1GB", "spill_limit": "1GB", "cpus": "1", "query_timeout": "5s",
		"query_max_rows": "500 M", "query_max_bytes": "1GB", "ballast": "1GB", "copy_directory": "/in",
		"backup_url": "s3://b/p", "backup_every": "6h", "s3_endpoint": "localhost:9000", "s3_region": "eu-1", "s3_access_key": "k", "s3_secret_key": "s",
		"log_level": "warn", "log_format": "json"}
	load := func(env map[string]string, args ...string) (*config, error) {
		var conf *config
		cmd := &cobra.Command{Use: "x", SilenceErrors: true, SilenceUsage: true, RunE: func(cmd *cobra.Command, _ []string) (err error) {
			conf, err = loadConfig(cmd, testEnv(env))
			return err
		}}
		cmd.Flags().String("config", "", "")
		addFlags(cmd.Flags())
		cmd.SetArgs(append([]string{}, args...)) // nil would mean those of the test itself
		err := cmd.Execute()
		return conf, err
	}
	dir := t.TempDir()
	for i := range allSettings {
		s := &allSettings[i]
		v := value[s.name]
		if v == "" {
			t.Fatalf("the test has no value of %s", s.name)
		}
		file := filepath.Join(dir, s.name+".toml")
		if err := os.WriteFile(file, fmt.Appendf(nil, "# a comment\n%s = %q # why\n", s.name, v), 0o600); err != nil {
			t.Fatal(err)
		}
		secret := filepath.Join(dir, s.name)
		if err := os.WriteFile(secret, []byte(v+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		for from, conf := range map[string]func() (*config, error){
			"flag --" + s.flag():                func() (*config, error) { return load(nil, "--"+s.flag(), v) },
			"environment: " + s.env():           func() (*config, error) { return load(map[string]string{s.env(): v}) },
			"environment: " + s.env() + "_FILE": func() (*config, error) { return load(map[string]string{s.env() + "_FILE": secret}) },
			"file: " + file:                     func() (*config, error) { return load(nil, "--config", file) },
		} {
			c, err := conf()
			if err != nil {
				t.Errorf("%s from %s: %v", s.name, from, err)
			} else if c.get(s.name) != v || c.from[s.name] != from {
				t.Errorf("%s = %q from %s, want %q from %s", s.name, c.get(s.name), c.from[s.name], v, from)
			}
		}
	}
	bad := filepath.Join(dir, "bad.toml")
	os.WriteFile(bad, []byte("\nmemry = \"1GB\"\n"), 0o600)
	if _, err := load(nil, "--config", bad); err == nil || err.Error() != bad+`, line 2: there is no setting "memry"` {
		t.Errorf("unknown key: %v", err)
	}
	for text, wanted := range map[string][]string{`":1"`: {":1"}, `[":1", ':2']  # both`: {":1", ":2"}, `1GB`: {"1GB"}, `"a\"b"`: {`a"b`}, `[]`: nil} {
		got, err := parseValue(text)
		if err != nil || strings.Join(got, "|") != strings.Join(wanted, "|") {
			t.Errorf("parseValue(%s) = %q, %v", text, got, err)
		}
	}
	for _, text := range []string{``, `"a`, `[":1"`, `"a" b`, `[":1" ":2"]`} {
		if got, err := parseValue(text); err == nil {
			t.Errorf("parseValue(%s) = %q, want an error", text, got)
		}
	}
}

func TestConfigShow(t *testing.T) {
	a := newPlace(t).run("config", "show", "--memory", "2GB")
	if a.code != 0 || !strings.Contains(a.out, "memory = 2GB   (flag --memory)\n") || !strings.Contains(a.out, "listen = 127.0.0.1:7742   (default)\n") ||
		!strings.Contains(a.out, "query_timeout = 60s   (default)\n") {
		t.Errorf("config show: exit %d\n%s%s", a.code, a.out, a.err)
	}
	for _, form := range [][]string{nil, {"--json"}} {
		a = newPlace(t).run(append([]string{"config", "show", "--s3-secret-key", "canary"}, form...)...)
		if strings.Contains(a.out, "canary") || !strings.Contains(a.out, hidden) {
			t.Errorf("config show of a secret: %s", a.out)
		}
	}
	if a = newPlace(t).run("config", "docs"); strings.Count(a.out, "\n") != len(allSettings)+2 {
		t.Errorf("config docs has %d lines, want one for each of %d settings\n%s", strings.Count(a.out, "\n"), len(allSettings), a.out)
	}
}

// TestNoServer holds the words and the code when nothing runs.
func TestNoServer(t *testing.T) {
	p := newPlace(t)
	for _, cmd := range []string{"status", "tail"} {
		a := p.run(cmd)
		want(t, cmd, a.err, "error: no server runs for the data directory "+p.dir+"\nTry:   prickle serve\n       or name another one with --url or --data\n")
		if a.code != exitUnreachable {
			t.Errorf("%s: exit %d, want %d", cmd, a.code, exitUnreachable)
		}
	}
	a := p.run("sql", "select 1", "--json")
	want(t, "sql --json", a.out, `{"error":{"code":"unreachable","message":"no server runs for the data directory `+p.dir+
		`","hint":"prickle serve\nor name another one with --url or --data","docs":"/docs/errors#unreachable"}}`+"\n")
	if a = p.run("status", "--url", "localhost:1"); a.code != exitUnreachable || !strings.HasPrefix(a.err, "error: no server runs at localhost:1\n") {
		t.Errorf("status --url: exit %d\n%s", a.code, a.err)
	}
}

// TestServeRefuses holds what is said when a server cannot begin.
func TestServeRefuses(t *testing.T) {
	p := newPlace(t)
	p.serve()
	info, ok := readInfo(p.dir)
	if !ok {
		t.Fatal("the running server left no file")
	}
	port := info.Address[strings.LastIndexByte(info.Address, ':')+1:]
	second := newPlace(t)
	a := second.run("serve", "--listen", info.Address)
	first, _, _ := strings.Cut(a.err, "\n")
	if a.code != 1 || !strings.HasPrefix(first, "error: port "+port+" on 127.0.0.1 is taken by process ") || !strings.Contains(a.err, "prickle serve --listen :7750 --data ./other\n") {
		t.Errorf("port in use: exit %d\n%s", a.code, a.err)
	}
	if _, err := os.Stat(second.dir); err == nil {
		t.Error("a server without a port made a data directory")
	}
	a = p.run("serve", "--listen", "127.0.0.1:0", "--ballast", "off")
	want(t, "directory in use", a.err, fmt.Sprintf("error: the data directory %s is in use by process %d\nTry:   prickle status --data %s (look at the one that runs)\n       prickle serve --data ./other\n",
		p.dir, os.Getpid(), p.dir))
	if a.code != 1 {
		t.Errorf("directory in use: exit %d", a.code)
	}

	file := newPlace(t)
	file.dir = file.file("data", "not a directory")
	if a = file.run("serve", "--listen", "127.0.0.1:0", "--ballast", "off"); a.code != 1 || a.err != "error: the data directory "+file.dir+" is not a directory\nTry:   prickle serve --data ./other\n" {
		t.Errorf("file as a directory: exit %d\n%s", a.code, a.err)
	}
	if os.Getuid() == 0 {
		// Root writes everywhere but where nobody can.
		file.dir = "/proc/prickle"
	} else {
		file.dir = filepath.Join(file.work, "readonly")
		os.Mkdir(file.dir, 0o500)
	}
	if a = file.run("serve", "--listen", "127.0.0.1:0", "--ballast", "off"); a.code != 1 || !strings.HasPrefix(a.err, "error: ") || !strings.Contains(a.err, file.dir) && !strings.Contains(a.err, "/proc") {
		t.Errorf("read-only directory: exit %d\n%s", a.code, a.err)
	}
	p2 := dirProblem("./prickle-data", &os.PathError{Op: "open", Path: "x", Err: os.ErrPermission}).(*problem)
	if p2.What != "the data directory ./prickle-data cannot be written to" || p2.Where[0] != "permission denied." {
		t.Errorf("read-only directory: %q %q", p2.What, p2.Where)
	}
}

// TestServeStops stops a server under load and starts it again: the screen counts what is
// there.
func TestServeStops(t *testing.T) {
	p := newPlace(t)
	screen, stop := p.serve("--pg-listen", "127.0.0.1:0")
	if !strings.HasPrefix(screen.String(), "prickle 0.1.0  data "+p.dir+" (new)\n\n  Page        http://localhost:") {
		t.Errorf("first screen:\n%s", screen)
	}
	if a := p.run("import", p.events("e.ndjson", 2000)); a.code != 0 {
		t.Fatalf("import: exit %d\n%s", a.code, a.err)
	}
	start := time.Now()
	if code := stop(); code != 0 || time.Since(start) > flushTimeout {
		t.Errorf("serve ended with %d after %v, want 0 within %v", code, time.Since(start), flushTimeout)
	}
	if _, err := os.Stat(filepath.Join(p.dir, infoFile)); err == nil {
		t.Error("the stopped server's file is still there")
	}
	screen, _ = p.serve()
	if !regexp.MustCompile(`^prickle 0\.1\.0  data \S+ \(2,000 events, [\d.]+ [kM]B\)\n`).MatchString(screen.String()) {
		t.Errorf("second screen:\n%s", screen)
	}
}

// TestTop lists what runs.
func TestTop(t *testing.T) {
	p := newPlace(t)
	p.serve()
	if a := p.run("top"); a.code != 0 || a.out != "" {
		t.Errorf("top of an idle server: exit %d\n%s%s", a.code, a.out, a.err)
	}
	if a := p.run("top", "--cancel", "17"); a.code != exitFailed {
		t.Errorf("top --cancel of no query: exit %d\n%s", a.code, a.err)
	}
	if a := p.run("sql", "select count(*) from events"); a.code != 0 {
		t.Fatal(a.err)
	}
	if a := p.run("top", "--slow"); a.code != 0 || !strings.Contains(a.out, "\tsql\tdone\t") || !strings.HasSuffix(a.out, "\tselect count(*) from events\n") {
		t.Errorf("top --slow: exit %d\n%s%s", a.code, a.out, a.err)
	}
	at := time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC)
	list := &queryList{
		Running: []session.Query{
			{ID: 7, Project: 1, User: "ann", Kind: "funnel", State: "running", RunMS: 1500, CPUMS: 2900, Rows: 50, TotalRows: 200, Memory: 3 << 20, Text: "FUNNEL\n 'a' -> 'b'"},
			{ID: 8, Project: 1, User: "somebody with a name", Kind: "sql", State: "waiting", WaitedMS: 20, Text: "select 1"}},
		Ended: []session.Query{
			{ID: 5, Project: 2, User: "bob", Kind: "sql", State: "done", Ended: &at, RunMS: 2, TotalRows: 9, Text: "select 2"},
			{ID: 6, Project: 2, User: "bob", Kind: "sql", State: "killed", Killed: "timeout", Ended: &at, RunMS: 60_000, Text: "select 3"}},
	}
	var out bytes.Buffer
	list.print(&out, 140, false)
	want(t, "top on a terminal", out.String(), `1 query runs, 1 waits for its place

number  project  user        kind       state       waited       ran       cpu       rows read          memory  query
     7        1  ann         funnel     running                1.5 s     2.9 s              50  25 %    3.1 MB  FUNNEL 'a' -> 'b'
     8        1  somebody …  sql        waiting      20 ms                                   0             0 B  select 1

The slowest of those that ended last
number  project  user        kind       state       waited       ran       cpu       rows read          memory  query
     6        2  bob         sql        timeout                1m 0s                         0             0 B  select 3
     5        2  bob         sql        done                    2 ms                         0             0 B  select 2
`)
}

// TestTopOrders cancels queries from the view.
func TestTopOrders(t *testing.T) {
	p := newPlace(t)
	p.serve()
	info, _ := readInfo(p.dir)
	r := newRemote(info.Address)
	for order, wanted := range map[string]string{"": "", "help": "\"help\" means nothing here\n", "k": "\"k\" means nothing here\n", "k 17": "no running query"} {
		if got := r.obey(t.Context(), order); !strings.Contains(got, wanted) || (wanted == "") != (got == "") {
			t.Errorf("order %q: %q, want %q", order, got, wanted)
		}
	}
	ended := make(chan answer)
	go func() { ended <- p.run("sql", "select count(*) from generate_series(1, 1000000000000)") }()
	waitFor(t, func() bool {
		list, err := r.queries(t.Context())
		return err == nil && len(list.Running) == 1 && r.obey(t.Context(), fmt.Sprintf("k %d", list.Running[0].ID)) == fmt.Sprintf("query %d was cancelled\n", list.Running[0].ID)
	})
	if a := <-ended; !strings.Contains(a.err, "canceling statement due to user request") {
		t.Errorf("the cancelled query: exit %d\n%s", a.code, a.err)
	}
}

// TestParseCounts reads counts, sizes of a ballast, and what a server publishes.
func TestParseCounts(t *testing.T) {
	for text, wanted := range map[string]int64{"10 G": 10e9, "500M": 500e6, "1": 1, "1.5k": 1500} {
		if n, err := parseCount(text); err != nil || n != wanted {
			t.Errorf("parseCount(%q) = %d, %v, want %d", text, n, err, wanted)
		}
	}
	for _, text := range []string{"", "0", "-1", "many", "1 X", "NaN", "1e30"} {
		if n, err := parseCount(text); err == nil {
			t.Errorf("parseCount(%q) = %d", text, n)
		}
	}
	for text, wanted := range map[string]int64{"auto": 0, "off": -1, "0B": -1, "1GB": 1e9} {
		if n, err := parseBallast(text); err != nil || n != wanted {
			t.Errorf("parseBallast(%q) = %d, %v, want %d", text, n, err, wanted)
		}
	}
	p := published{`h_bucket{kind="a",le="1"}`: 50, `h_bucket{kind="b",le="1"}`: 40, `h_bucket{kind="a",le="2"}`: 55, `h_bucket{kind="b",le="2"}`: 44,
		`h_bucket{kind="a",le="+Inf"}`: 56, `h_bucket{kind="b",le="+Inf"}`: 44, "h_count": 100}
	for q, wanted := range map[float64]float64{.5: 1, .95: 2, 1: 2} {
		if got := p.quantile("h", q); got != wanted {
			t.Errorf("quantile(%g) = %g, want %g", q, got, wanted)
		}
	}
}
