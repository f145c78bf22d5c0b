package main

import (
	"context"
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
	"github.com/prickledb/prickle/engine"
	"github.com/prickledb/prickle/server"
	"github.com/prickledb/prickle/storage/memory"
	"github.com/prickledb/prickle/storage/vfs"
)

func benchCommand(c *console) *cobra.Command {
	o := benchOptions{}
	cmd := &cobra.Command{
		Use: "bench", Short: "Measure this machine with made-up data", Args: noArgs,
		Long:    "Import made-up events into a temporary directory, merge them, and time eight questions over the PostgreSQL protocol, and insights over HTTP.",
		Example: "  prickle bench --quick\n  prickle bench --events 10000000 --json > bench.json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return benchmark(cmd.Context(), c, o)
		},
	}
	cmd.Flags().BoolVar(&o.quick, "quick", false, "at most ten seconds")
	cmd.Flags().Uint64Var(&o.events, "events", 0, "how many events (default 10,000,000; 500,000 with --quick)")
	cmd.Flags().IntVar(&o.reps, "reps", 11, "how often each question is timed")
	cmd.AddCommand(genCommand(c), benchLoadCommand(c))
	return cmd
}

type benchOptions struct {
	quick  bool
	events uint64
	reps   int
}

// benchReport is what was measured.
type benchReport struct {
	Cores   int           `json:"cores"`
	Memory  int64         `json:"machine_memory_bytes"`
	Events  uint64        `json:"events"`
	Persons int64         `json:"persons"`
	Days    int           `json:"days"`
	Import  float64       `json:"import_events_per_second"`
	Merge   float64       `json:"merge_ms"`
	Bytes   float64       `json:"bytes_per_event"`
	Answers []benchAnswer `json:"questions"`
	// Insights are medians over HTTP, none from the cache, and of the plain operators.
	Insights []benchInsight `json:"insights"`
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

// benchmark measures import, disk and questions with a server of its own.
func benchmark(ctx context.Context, c *console, o benchOptions) error {
	if o.events == 0 {
		o.events = 10_000_000
		if o.quick {
			o.events = 500_000
		}
	}
	if o.quick {
		o.reps = min(o.reps, 5)
	}
	if o.reps < 1 {
		return usage("--reps is at least 1")
	}
	config := gen.Config{Events: o.events}
	if err := config.Validate(); err != nil {
		return usage("--events: %v", err)
	}
	dir, err := os.MkdirTemp("", "prickle-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // the system cleans up as well
	logger := slog.New(slog.NewTextHandler(c.err, &slog.HandlerOptions{Level: slog.LevelError}))
	budget := memory.NewBudget(machineMemory() / 100 * 60)
	node, err := openNode(ctx, dir, nodeConfig(logger, budget))
	if err != nil {
		return err
	}
	defer node.Close(context.WithoutCancel(ctx)) //nolint:errcheck // the directory goes anyway
	project := node.Store().Projects()[0]

	// The file is made before the clock starts: what is measured is the import.
	name := filepath.Join(dir, "events.ndjson")
	if err := writeGenerated(ctx, c, name, "ndjson", config); err != nil {
		return err
	}
	s, err := openInput(name, nil, importOptions{}.mapping)
	if err != nil {
		return err
	}
	defer s.close()
	l := &loading{console: c, input: s, sink: &nodeSink{node: node, project: project.ID}}
	line := watch(c, "import", "import", func() state { return state{rows: l.rows.Load(), bytes: s.read.Load(), totalBytes: s.size} })
	err = l.run(ctx)
	elapsed := line.finish()
	if err != nil {
		return err
	}
	start := time.Now()
	if err := node.MergeAll(ctx); err != nil {
		return err
	}
	merged := time.Since(start)
	stats := node.Store().Stats()
	persons, err := countPersons(node.Store(), project.ID)
	if err != nil {
		return err
	}

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	spill, err := engine.OpenSpillDir(vfs.OS(), filepath.Join(dir, "tmp"), math.MaxInt64)
	if err != nil {
		return err
	}
	serving, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() {
		ended <- server.New(server.Config{Version: version, Logger: logger, Memory: budget, Admission: engine.NewAdmission(budget), Spill: spill}, node).Serve(serving, listener)
	}()
	defer func() { stop(); <-ended }()
	dsn := fmt.Sprintf("postgres://prickle@%s/%s?sslmode=disable", listener.Addr(), project.Database)
	results, err := bench.Measure(ctx, dsn, bench.Questions, 2, o.reps)
	if err != nil {
		return err
	}
	asked, plain, err := bench.MeasureInsights(ctx, "http://"+listener.Addr().String(), project.ID, dsn, bench.Insights, 1, max(1, o.reps/2))
	if err != nil {
		return err
	}
	report := benchReport{Cores: runtime.GOMAXPROCS(0), Memory: machineMemory(), Events: o.events, Persons: persons, Days: gen.New(config).Config().Days,
		Import: float64(o.events) / elapsed.Seconds(), Merge: milliseconds(merged), Bytes: float64(stats.Bytes) / float64(max(1, stats.Events))}
	for _, r := range results {
		report.Answers = append(report.Answers, benchAnswer{r.Question.Name, milliseconds(r.Median), milliseconds(r.Best), r.Rows, fmt.Sprintf("%016x", r.Hash)})
	}
	for i, r := range asked {
		report.Insights = append(report.Insights, benchInsight{r.Question.Name, milliseconds(r.Median), milliseconds(plain[i].Median), r.Rows})
	}
	if c.json {
		return printJSON(c.out, report)
	}
	report.print(c)
	return nil
}

func (r *benchReport) print(c *console) {
	fmt.Fprintf(c.out, "%s, %s        made-up data: %s events, %s persons, %d days\n", plural(r.Cores, "core", "cores"), size(float64(r.Memory)),
		grouped(r.Events), grouped(r.Persons), r.Days)
	fmt.Fprintf(c.out, "  %-24s %13s events/s     stored %.0f bytes/event, merged in %s\n", "import (ndjson)", amount(r.Import), r.Bytes,
		took(time.Duration(r.Merge*float64(time.Millisecond))))
	for _, a := range r.Answers {
		rate := float64(r.Events) / (a.Median / 1000)
		fmt.Fprintf(c.out, "  %-24s %13s             %s events/s\n", a.Name, took(time.Duration(a.Median*float64(time.Millisecond))), amount(rate))
	}
	fmt.Fprintf(c.out, "  %-24s %13s   %s\n", "insights over HTTP", "", "the plain operator over the PostgreSQL protocol")
	for _, a := range r.Insights {
		fmt.Fprintf(c.out, "  %-24s %13s   %s\n", a.Name, took(time.Duration(a.Median*float64(time.Millisecond))), took(time.Duration(a.Plain*float64(time.Millisecond))))
	}
	fmt.Fprintln(c.out, "Results: prickle bench --json > bench.json")
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
