package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/prickledb/prickle/bench"
	"github.com/prickledb/prickle/bench/gen"
	"github.com/prickledb/prickle/bench/load"
	"github.com/prickledb/prickle/cluster"
	"github.com/prickledb/prickle/engine"
	"github.com/prickledb/prickle/server"
	"github.com/prickledb/prickle/storage"
	"github.com/prickledb/prickle/storage/memory"
	"github.com/prickledb/prickle/storage/vfs"
)

func benchCommand(c *console) *cobra.Command {
	o := benchOptions{}
	cmd := &cobra.Command{
		Use: "bench", Short: "Measure this machine with made-up data", Args: noArgs,
		Long: "Take in events over HTTP, import a Parquet file, merge, and time questions over the PostgreSQL protocol, in a\n" +
			"temporary directory. A minute at most, on a machine of our days.",
		Example: "  prickle bench --quick\n  prickle bench --json > bench.json\n  prickle bench --against bench.json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return benchmark(cmd.Context(), c, o)
		},
	}
	cmd.Flags().BoolVar(&o.quick, "quick", false, "at most ten seconds")
	cmd.Flags().Uint64Var(&o.events, "events", 0, "how many events to import (default: 500,000 for each core, from 1 to 10 million; 200,000 with --quick)")
	cmd.Flags().IntVar(&o.reps, "reps", 11, "how often each question is timed")
	cmd.Flags().BoolVar(&o.all, "all", false, "eight questions and the insights as well, each insight beside its plain operator")
	cmd.Flags().StringVar(&o.against, "against", "", "compare with an earlier result, a `file` of --json")
	cmd.AddCommand(genCommand(c), benchLoadCommand(c))
	return cmd
}

type benchOptions struct {
	quick   bool
	events  uint64
	reps    int
	all     bool
	against string
}

// benchClients is how many clients send events at a time, and benchBatch how many events a
// request has.
const benchClients, benchBatch = 64, 100

// benchReport is what was measured.
type benchReport struct {
	Cores     int           `json:"cores"`
	Memory    int64         `json:"machine_memory_bytes"`
	Events    uint64        `json:"events"`
	Persons   int64         `json:"persons"`
	Days      int           `json:"days"`
	Clients   int           `json:"take_in_clients"`
	TakeIn    float64       `json:"take_in_events_per_second"`
	TakeInP99 float64       `json:"take_in_p99_ms"`
	Import    float64       `json:"import_events_per_second"`
	Merge     float64       `json:"merge_ms"`
	Bytes     float64       `json:"bytes_per_event"`
	Headlines []benchAnswer `json:"headlines"`
	// Answers and Insights are measured if all is asked for. Insights are medians over HTTP, none from
	// the cache, and of the plain operators.
	Answers  []benchAnswer  `json:"questions,omitempty"`
	Insights []benchInsight `json:"insights,omitempty"`
}

type benchInsight struct {
	Name   string  `json:"name"`
	Median float64 `json:"median_ms"`
	Plain  float64 `json:"plain_operator_median_ms"`
	Rows   int     `json:"rows"`
}

type benchAnswer struct {
	Name   string  `json:"name"`
	Median float64 `json:"median_ms"`
	Best   float64 `json:"best_ms"`
	Rows   int     `json:"rows"`
	Hash   string  `json:"hash"`
}

func benchAnswers(results []bench.Result) (out []benchAnswer) {
	for _, r := range results {
		out = append(out, benchAnswer{r.Question.Name, milliseconds(r.Median), milliseconds(r.Best), r.Rows, fmt.Sprintf("%016x", r.Hash)})
	}
	return out
}

// benchmark measures with servers of its own.
func benchmark(ctx context.Context, c *console, o benchOptions) error {
	taking := 5 * time.Second
	if o.quick {
		o.reps, taking = min(o.reps, 5), time.Second
	}
	if o.events == 0 {
		o.events = uint64(min(max(500_000*runtime.GOMAXPROCS(0), 1_000_000), 10_000_000))
		if o.quick {
			o.events = 200_000
		}
	}
	if o.reps < 1 {
		return usage("--reps is at least 1")
	}
	config := gen.Config{Events: o.events}
	if err := config.Validate(); err != nil {
		return usage("--events: %v", err)
	}
	var before *benchReport
	if o.against != "" {
		var err error
		if before, err = readBench(o.against); err != nil {
			return err
		}
	}
	report := &benchReport{Cores: runtime.GOMAXPROCS(0), Memory: machineMemory(), Events: o.events, Days: gen.New(config).Config().Days, Clients: benchClients}
	if err := report.takeIn(ctx, c, taking); err != nil {
		return err
	}
	if err := report.importAndAsk(ctx, c, o, config); err != nil {
		return err
	}
	if c.json {
		return printJSON(c.out, report)
	}
	report.print(c, before)
	return nil
}

// readBench reads an earlier result.
func readBench(name string) (*benchReport, error) {
	raw, err := os.ReadFile(name)
	if err != nil {
		return nil, &problem{Code: "file_unreadable", What: fmt.Sprintf("%s: %s", name, innermost(err)), Exit: exitFailed, Err: err}
	}
	r := &benchReport{}
	if err := json.Unmarshal(raw, r); err != nil || r.Events == 0 {
		return nil, &problem{Code: "file_unknown", What: name + " is no result of prickle bench", Exit: exitFailed, Try: []string{"prickle bench --json > " + name}}
	}
	return r, nil
}

// benchServer is a server on a temporary directory.
type benchServer struct {
	node    *cluster.Node
	project storage.Project
	dir     string
	address string
	close   func()
}

func startBench(ctx context.Context, c *console) (*benchServer, error) {
	dir, err := os.MkdirTemp("", "prickle-bench-")
	if err != nil {
		return nil, err
	}
	logger := slog.New(slog.NewTextHandler(c.err, &slog.HandlerOptions{Level: slog.LevelError}))
	budget := memory.NewBudget(machineMemory() / 100 * 60)
	node, err := openNode(ctx, dir, nodeConfig(logger, budget))
	if err != nil {
		os.RemoveAll(dir) //nolint:errcheck // the system cleans up as well
		return nil, err
	}
	closeNode := func() {
		node.Close(context.WithoutCancel(ctx)) //nolint:errcheck // the directory goes anyway
		os.RemoveAll(dir)                      //nolint:errcheck // the system cleans up as well
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		closeNode()
		return nil, err
	}
	spill, err := engine.OpenSpillDir(vfs.OS(), filepath.Join(dir, "tmp"), math.MaxInt64)
	if err != nil {
		listener.Close() //nolint:errcheck // nobody has come
		closeNode()
		return nil, err
	}
	serving, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() {
		ended <- server.New(server.Config{Version: version, Logger: logger, Memory: budget, Admission: engine.NewAdmission(budget), Spill: spill}, node).Serve(serving, listener)
	}()
	return &benchServer{node, node.Store().Projects()[0], dir, listener.Addr().String(), func() { stop(); <-ended; closeNode() }}, nil
}

// takeIn measures the capture API.
func (r *benchReport) takeIn(ctx context.Context, c *console, d time.Duration) error {
	s, err := startBench(ctx, c)
	if err != nil {
		return err
	}
	defer s.close()
	taken, err := load.Run(ctx, load.Config{
		Dial:    func(ctx context.Context) (net.Conn, error) { return new(net.Dialer).DialContext(ctx, "tcp", s.address) },
		Host:    s.address,
		Token:   s.project.Token,
		Clients: r.Clients, Batch: benchBatch, Duration: d,
	})
	if err == nil && len(taken.Errors) > 0 {
		err = fmt.Errorf("requests that failed, by kind: %v", taken.Errors)
	}
	if err != nil {
		return fmt.Errorf("events over HTTP: %w", err)
	}
	r.TakeIn, r.TakeInP99 = taken.EventsPerSecond, taken.Latency.P99
	return nil
}

// importAndAsk imports a file and times questions about it.
func (r *benchReport) importAndAsk(ctx context.Context, c *console, o benchOptions, config gen.Config) error {
	s, err := startBench(ctx, c)
	if err != nil {
		return err
	}
	defer s.close()
	// The file is made before the clock starts: what is measured is the import.
	name := filepath.Join(s.dir, "events.parquet")
	if err := writeGenerated(ctx, c, name, "parquet", config); err != nil {
		return err
	}
	file, err := openInput(name, nil, importOptions{}.mapping)
	if err != nil {
		return err
	}
	defer file.close()
	l := &loading{console: c, input: file, sink: &nodeSink{node: s.node, project: s.project.ID}}
	line := watch(c, "import", "import", func() state { return state{rows: l.rows.Load(), bytes: file.read.Load(), totalBytes: file.size} })
	err = l.run(ctx)
	elapsed := line.finish()
	if err != nil {
		return err
	}
	start := time.Now()
	if err := s.node.MergeAll(ctx); err != nil {
		return err
	}
	r.Import, r.Merge = float64(o.events)/elapsed.Seconds(), milliseconds(time.Since(start))
	stats := s.node.Store().Stats()
	r.Bytes = float64(stats.Bytes) / float64(max(1, stats.Events))
	if r.Persons, err = s.node.Store().PersonCount(s.project.ID); err != nil {
		return err
	}
	dsn := fmt.Sprintf("postgres://prickle@%s/%s?sslmode=disable", s.address, s.project.Database)
	results, err := bench.Measure(ctx, dsn, bench.Headlines, 2, o.reps)
	if err != nil {
		return err
	}
	r.Headlines = benchAnswers(results)
	if !o.all {
		return nil
	}
	if results, err = bench.Measure(ctx, dsn, bench.Questions, 2, o.reps); err != nil {
		return err
	}
	r.Answers = benchAnswers(results)
	asked, plain, err := bench.MeasureInsights(ctx, "http://"+s.address, s.project.ID, dsn, bench.Insights, 1, max(1, o.reps/2))
	if err != nil {
		return err
	}
	for i, a := range asked {
		r.Insights = append(r.Insights, benchInsight{a.Question.Name, milliseconds(a.Median), milliseconds(plain[i].Median), a.Rows})
	}
	return nil
}

// print writes a line for each measurement, and beside it what an earlier result says.
func (r *benchReport) print(c *console, before *benchReport) {
	if before == nil {
		before = &benchReport{}
	}
	fmt.Fprintf(c.out, "%s, %s        made-up data: %s events, %s persons, %d days\n", plural(r.Cores, "core", "cores"), size(float64(r.Memory)),
		grouped(r.Events), grouped(r.Persons), r.Days)
	rate := func(name string, now, old float64, more string) {
		if old > 0 {
			more += fmt.Sprintf("   was %s, now %s times as fast", amount(old), three(now/old))
		}
		fmt.Fprintf(c.out, "  %-26s%13s events/s     %s\n", name, amount(now), more)
	}
	rate(fmt.Sprintf("take in (HTTP, %d clients)", r.Clients), r.TakeIn, before.TakeIn, "99 % "+tookMillis(r.TakeInP99))
	rate("import (parquet)", r.Import, before.Import, fmt.Sprintf("stored %.0f bytes/event", r.Bytes))
	answers := func(list, old []benchAnswer) {
		for _, a := range list {
			more := amount(float64(r.Events)/(a.Median/1000)) + " events/s"
			for _, o := range old {
				if o.Name == a.Name && o.Median > 0 && before.Events == r.Events {
					more += fmt.Sprintf("   was %s, now %s times as fast", tookMillis(o.Median), three(o.Median/a.Median))
				}
			}
			fmt.Fprintf(c.out, "  %-26s%15s            %s\n", a.Name, tookMillis(a.Median), more)
		}
	}
	answers(r.Headlines, before.Headlines)
	answers(r.Answers, before.Answers)
	if len(r.Insights) > 0 {
		fmt.Fprintf(c.out, "  %-41s            the plain operator over the PostgreSQL protocol\n", "insights over HTTP")
	}
	for _, a := range r.Insights {
		fmt.Fprintf(c.out, "  %-26s%15s            %s\n", a.Name, tookMillis(a.Median), tookMillis(a.Plain))
	}
	if before.Events > 0 && before.Events != r.Events {
		fmt.Fprintf(c.out, "The earlier result is of %s events; times of questions do not compare.\n", grouped(before.Events))
	}
	fmt.Fprintln(c.out, "Results: prickle bench --json > bench.json      Compare: prickle bench --against bench.json")
}

// tookMillis writes a time with two digits at least: of short ones, the second tells something here.
func tookMillis(ms float64) string {
	if ms < 9.95 {
		return fmt.Sprintf("%.2g ms", ms)
	}
	return took(time.Duration(ms * float64(time.Millisecond)))
}

func genCommand(c *console) *cobra.Command {
	var (
		config      gen.Config
		format, out string
		demo        bool
		start       string
	)
	cmd := &cobra.Command{
		Use: "gen", Short: "Write made-up events to a file", Args: noArgs,
		Long:    "Write made-up events as NDJSON or Parquet. The same flags always give the same bytes.",
		Example: "  prickle bench gen --events 1000000 --out events.ndjson\n  prickle bench gen --events 10000000 --format parquet --out events.parquet",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if format != "ndjson" && format != "parquet" {
				return usage("--format is ndjson or parquet, not %q", format)
			}
			if start != "" {
				at, err := time.Parse(time.DateOnly, start)
				if err != nil {
					return usage("--start is a day such as 2026-01-01, not %q", start)
				}
				config.Start = at
			}
			if demo {
				now := time.Now().UTC()
				if start != "" {
					now = config.Start
				}
				merges, seed := config.Merges, config.Seed
				config = gen.Demo(now, config.Events)
				config.Merges = config.Merges || merges
				if cmd.Flags().Changed("seed") {
					config.Seed = seed
				}
			}
			if err := config.Validate(); err != nil {
				return usage("%v", err)
			}
			return writeGenerated(cmd.Context(), c, out, format, config)
		},
	}
	f := cmd.Flags()
	f.Uint64Var(&config.Events, "events", 1_000_000, "how `many`")
	f.Uint64Var(&config.Seed, "seed", 0, "another `number` is another stream")
	f.IntVar(&config.Days, "days", 0, "over how many `days` (default 90)")
	f.StringVar(&start, "start", "", "first `day` (default 2026-01-01); with --demo, the day it ends")
	f.StringVar(&format, "format", "ndjson", "ndjson or parquet")
	f.StringVar(&out, "out", "-", "`file`; - is standard output")
	f.BoolVar(&config.Merges, "merges", false, "put in events that merge anonymous persons into known ones")
	f.BoolVar(&demo, "demo", false, "the sample data of prickle serve --demo, ending now")
	return cmd
}

// writeGenerated writes a stream of events to a file or standard output.
func writeGenerated(ctx context.Context, c *console, name, format string, config gen.Config) error {
	var out io.Writer = c.out
	var file *os.File
	if name != "-" {
		f, err := os.Create(name)
		if err != nil {
			return &problem{Code: "file_unwritable", What: fmt.Sprintf("%s: %s", name, innermost(err)), Exit: exitFailed, Err: err}
		}
		out, file = f, f
	}
	var written atomic.Int64
	line := watch(c, "make events", "make", func() state { return state{rows: written.Load(), totalRows: int64(config.Events)} })
	write := gen.WriteNDJSON
	if format == "parquet" {
		write = gen.WriteParquet
	}
	err := write(ctx, out, config, func(n uint64) { written.Store(int64(n)) })
	line.finish()
	if file != nil {
		err = errors.Join(err, file.Close())
	}
	return err
}
