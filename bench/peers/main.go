package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The peers that are installed where there are none.
var modules = []string{"chdb@3.4.0", "@duckdb/node-api@1.5.6-r.1"}

// leastEvents leave no day of the product suite without a page view, nor a rolling window of the peers short.
const leastEvents = 20_000

type options struct {
	events, hitsRows, ingestEvents uint64
	scale                          float64
	suites, threads, only          string
	warmup, reps                   int
	cold                           bool
	dir, out, prickle, modules     string
	golden                         string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if other := map[string]func(context.Context, []string) error{"guard": guard, "scale": scale}; len(os.Args) > 1 && other[os.Args[1]] != nil {
		if err := other[os.Args[1]](ctx, os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, "error:", err)
			os.Exit(1)
		}
		return
	}
	var o options
	flag.Uint64Var(&o.events, "events", 1_000_000, "how `many` events the product suite has")
	flag.Uint64Var(&o.hitsRows, "hits", 0, "how `many` page views (default: as many as events)")
	flag.Uint64Var(&o.ingestEvents, "ingest", 0, "how `many` events come in as NDJSON (default: as events, at most 1,000,000)")
	flag.Float64Var(&o.scale, "tpch", 0, "`scale` of TPC-H; 1 is 6 million lines (default: events / 10 million)")
	flag.StringVar(&o.suites, "suites", "product,hits,tpch,ingest", "`which` suites, separated by commas")
	flag.StringVar(&o.threads, "threads", "2", "how `many` threads each database uses; several are measured one after the other: 1,2")
	flag.StringVar(&o.only, "questions", "", "only these, separated by commas: `T1,H7`")
	flag.IntVar(&o.warmup, "warmup", 2, "how often each form is asked before it is timed")
	flag.IntVar(&o.reps, "reps", 11, "how often each form is timed")
	flag.BoolVar(&o.cold, "cold", false, "also time the first run of a new process, with its files out of memory")
	flag.StringVar(&o.dir, "dir", "", "`directory` for data, which stay there and are used again (default: a temporary one)")
	flag.StringVar(&o.out, "out", "peers-report", "`directory` for the report")
	flag.StringVar(&o.prickle, "prickle", "", "`binary` to measure (default: made by make build)")
	flag.StringVar(&o.modules, "modules", os.Getenv("NODE_PATH"), "`directory` with the Node modules chdb and @duckdb/node-api (default: installed by npm)")
	flag.StringVar(&o.golden, "golden", "", "`file` that the agreed answers of the product suite are written to, for the test")
	flag.Parse()
	wrong, err := compare(ctx, o)
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	case wrong > 0:
		fmt.Fprintf(os.Stderr, "error: %s answered in different ways; see the report\n", plural(wrong, "question"))
		os.Exit(1)
	}
}

// compare runs the suites, writes the report, and counts the questions without an agreed answer.
func compare(ctx context.Context, o options) (wrong int, err error) {
	suites, err := o.suiteList()
	if err != nil {
		return 0, err
	}
	threads, err := numbers(o.threads)
	if err != nil {
		return 0, fmt.Errorf("-threads: %w", err)
	}
	if o.reps < 1 || o.warmup < 0 {
		return 0, errors.New("-reps is at least 1, -warmup at least 0")
	}
	if o.dir == "" {
		if o.dir, err = os.MkdirTemp("", "prickle-peers-"); err != nil {
			return 0, err
		}
		defer os.RemoveAll(o.dir) //nolint:errcheck // the system cleans up as well
	}
	if o.dir, err = filepath.Abs(o.dir); err != nil {
		return 0, err
	}
	p := place{dir: o.dir, prickle: o.prickle, modules: o.modules, memory: machineMemory() / 3, threads: slices.Max(threads)}
	if err := p.equip(ctx); err != nil {
		return 0, err
	}
	report := &report{Commit: commit(ctx, "."), Time: time.Now(), Machine: processor(), Cores: runtime.NumCPU(), Memory: machineMemory(), Versions: map[string]string{}}
	for _, s := range suites {
		runs, err := s.run(ctx, p, o, threads, report.Versions)
		if err != nil {
			return 0, fmt.Errorf("suite %s: %w", s.name, err)
		}
		report.Runs = append(report.Runs, runs...)
		// What is there is not lost when a later suite fails.
		if err := report.write(o.out); err != nil {
			return 0, err
		}
	}
	fmt.Fprintf(os.Stderr, "report: %s\n", filepath.Join(o.out, "report.md"))
	return report.wrong(), nil
}

func (o *options) suiteList() (list []*suite, err error) {
	if o.events < leastEvents {
		return nil, fmt.Errorf("-events is %d; with fewer than %d some days have no page view, and the peers no rows for those", o.events, leastEvents)
	}
	if o.hitsRows == 0 {
		o.hitsRows = o.events
	}
	if o.ingestEvents == 0 {
		o.ingestEvents = min(o.events, 1_000_000)
	}
	if o.scale == 0 {
		o.scale = max(0.001, float64(o.events)/10_000_000)
	}
	for _, name := range strings.Split(o.suites, ",") {
		switch name {
		case "product":
			list = append(list, product(o.events))
		case "hits":
			list = append(list, hitsSuite(o.hitsRows))
		case "tpch":
			list = append(list, tpchSuite(o.scale))
		case "ingest":
			list = append(list, ingest(o.ingestEvents))
		default:
			return nil, fmt.Errorf("there is no suite %q; there are product, hits, tpch and ingest", name)
		}
	}
	if o.only != "" {
		only := strings.Split(o.only, ",")
		for _, s := range list {
			s.questions = slices.DeleteFunc(slices.Clone(s.questions), func(q asked) bool { return !slices.Contains(only, q.name) })
		}
	}
	return list, nil
}

// run measures a suite on each number of threads. Loading is done and timed once, on the most.
func (s *suite) run(ctx context.Context, p place, o options, threads []int, versions map[string]string) (runs []*run, err error) {
	p.dir = filepath.Join(p.dir, s.name)
	if err := os.MkdirAll(p.of("files"), 0o755); err != nil {
		return nil, err
	}
	say("%s: making data", s.name)
	if err := s.files(ctx, p); err != nil {
		return nil, err
	}
	loads, err := s.load(ctx, p)
	if err != nil {
		return nil, err
	}
	for _, n := range threads {
		p.threads = n
		u := &run{Suite: s.name, Title: s.title, Rows: s.rows, Threads: n, Memory: map[string]int64{}}
		runs = append(runs, u)
		if n == slices.Max(threads) {
			u.Loads = loads
		}
		if len(s.questions) == 0 {
			continue
		}
		if err := u.ask(ctx, s, p, o, versions); err != nil {
			return nil, err
		}
	}
	if s.name == "product" && o.golden != "" {
		return runs, writeGolden(o.golden, runs[0].Results)
	}
	return runs, nil
}

// ask measures the questions of a suite, first hot and then cold.
func (u *run) ask(ctx context.Context, s *suite, p place, o options, versions map[string]string) error {
	engines := map[string]database{}
	defer func() {
		for _, e := range engines {
			e.close() //nolint:errcheck // its answers are there
		}
	}()
	for _, name := range s.contestants() {
		e, err := p.open(ctx, name)
		if err != nil {
			return err
		}
		engines[name] = e
		if name == prickle {
			continue // its commit is told
		}
		rows, _, err := e.ask(ctx, "SELECT version()")
		if err != nil {
			return err
		}
		versions[name] = strings.TrimPrefix(rows[0][0], "v")
	}
	for _, q := range s.questions {
		r, err := measure(ctx, q, engines, o.warmup, o.reps)
		if err != nil {
			return err
		}
		u.Results = append(u.Results, r)
		if r.Wrong != "" {
			say("%-4s WRONG: %s", r.Name, r.Wrong)
			continue
		}
		line := fmt.Sprintf("%-4s %5d rows", r.Name, r.Rows)
		for _, name := range peerOrder {
			if t := r.Times[name]; t != nil {
				line += fmt.Sprintf("  %s %s", name, ms(t.Median))
			}
		}
		say("%s  %s", line, ratio(r.ratio(nil)))
	}
	for name, e := range engines {
		u.Memory[name] = peakMemory(e.pid())
		if err := e.close(); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		delete(engines, name)
	}
	if o.cold {
		say("%s: cold", s.name)
		if err := measureCold(ctx, p, s.questions, u.Results); err != nil {
			return err
		}
	}
	u.Scores = scores(s.name, u.Results)
	return nil
}

// equip sees to it that there is a binary and that there are peers.
func (p *place) equip(ctx context.Context) error {
	if p.prickle == "" {
		var err error
		if p.prickle, err = makeBuild(ctx, "."); err != nil {
			return err
		}
	}
	var err error
	if p.prickle, err = filepath.Abs(p.prickle); err != nil {
		return err
	}
	if p.modules != "" {
		for _, m := range modules {
			name := m[:strings.LastIndexByte(m, '@')]
			if _, err := os.Stat(filepath.Join(p.modules, name)); err != nil {
				return fmt.Errorf("%s has no module %s; leave -modules and NODE_PATH empty to have npm install it: %w", p.modules, name, err)
			}
		}
		return nil
	}
	prefix := filepath.Join(p.dir, "node")
	p.modules = filepath.Join(prefix, "node_modules")
	if _, err := os.Stat(p.modules); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	say("npm installs %s", strings.Join(modules, " and "))
	return command(ctx, "npm", append([]string{"install", "--prefix", prefix, "--no-audit", "--no-fund", "--loglevel", "error"}, modules...)...)
}

// makeBuild builds the tree that a directory is in as users do, and gives the binary.
func makeBuild(ctx context.Context, dir string) (string, error) {
	root, err := exec.CommandContext(ctx, "git", "-C", dir, "rev-parse", "--show-toplevel").Output()
	if err != nil {
		return "", fmt.Errorf("git rev-parse: %w", err)
	}
	tree := strings.TrimSpace(string(root))
	say("building %s", commit(ctx, tree))
	return filepath.Join(tree, "prickle"), command(ctx, "make", "-s", "-C", tree, "build")
}

func command(ctx context.Context, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w\n%s", name, args[0], err, out)
	}
	return nil
}

func say(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

func numbers(list string) (out []int, err error) {
	for _, word := range strings.Split(list, ",") {
		n, err := strconv.Atoi(word)
		if err != nil || n < 1 {
			return nil, fmt.Errorf("%q is not a number above 0", word)
		}
		out = append(out, n)
	}
	return out, nil
}

func commit(ctx context.Context, dir string) string {
	out, err := exec.CommandContext(ctx, "git", "-C", dir, "describe", "--always", "--dirty").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}

func processor() string {
	raw, err := os.ReadFile("/proc/cpuinfo")
	if m := regexp.MustCompile(`model name\s*: (.*)`).FindSubmatch(raw); err == nil && m != nil {
		return string(m[1])
	}
	return runtime.GOOS + "/" + runtime.GOARCH
}

// machineMemory is how much memory there is; 8 GiB where that is unknown.
func machineMemory() int64 {
	raw, err := os.ReadFile("/proc/meminfo")
	if m := regexp.MustCompile(`MemTotal:\s+(\d+) kB`).FindSubmatch(raw); err == nil && m != nil {
		kib, _ := strconv.ParseInt(string(m[1]), 10, 64) // it is digits
		return kib << 10
	}
	return 8 << 30
}
