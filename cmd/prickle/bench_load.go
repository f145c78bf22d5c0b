package main

import (
	"context"
	"fmt"
	"maps"
	"net"
	"slices"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/spf13/cobra"

	"github.com/prickledb/prickle/bench"
	"github.com/prickledb/prickle/bench/load"
)

func benchLoadCommand(c *console) *cobra.Command {
	o := benchLoadOptions{load: load.Config{Questions: bench.Questions}}
	cmd := &cobra.Command{
		Use: "load", Short: "Send events to a running server and ask it questions meanwhile", Args: noArgs,
		Long: "Send batches of made-up events to /batch/ of a running server, and ask it questions over the PostgreSQL protocol at the same time.\n" +
			"With --rate every request has a moment when it is due, and its latency counts from then. The events stay in the project.",
		Example: "  prickle bench load --rate 100000 --duration 1m\n  prickle bench load --clients 32 --query-rate 0 --json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return benchLoad(cmd.Context(), cmd, c, o)
		},
	}
	f := cmd.Flags()
	f.Float64Var(&o.load.Rate, "rate", 0, "`events` a second; 0 is as many as are answered")
	f.IntVar(&o.load.Clients, "clients", 16, "how many `connections` send events")
	f.DurationVar(&o.load.Duration, "duration", 10*time.Second, "for how `long`")
	f.IntVar(&o.load.Batch, "batch", 100, "`events` a request")
	f.Float64Var(&o.load.QueryRate, "query-rate", 1, "`questions` a second; 0 is none")
	f.StringVar(&o.project, "project", "prickle", "database `name` of the project")
	return cmd
}

type benchLoadOptions struct {
	load    load.Config
	project string
}

// loadReport is what was measured, and whether it was true.
type loadReport struct {
	*load.Report
	// Stored is how many rows there are more than before.
	Stored int64 `json:"stored_events"`
}

func benchLoad(ctx context.Context, cmd *cobra.Command, c *console, o benchLoadOptions) error {
	cfg := o.load
	if err := cfg.Validate(); err != nil {
		return usage("%v", err)
	}
	r, err := needServer(ctx, cmd, c)
	if err != nil {
		return err
	}
	p, err := r.project(ctx, o.project)
	if err != nil {
		return err
	}
	cfg.Host, cfg.Token = r.host, p.Token
	cfg.Dial = func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, r.network, r.address)
	}
	cfg.Connect = func(ctx context.Context) (*pgconn.PgConn, error) { return r.connect(ctx, o.project) }
	cfg.ServerCPU = func(ctx context.Context) (time.Duration, error) {
		m, err := r.metrics(ctx)
		return time.Duration(m["prickle_cpu_seconds_total"] * float64(time.Second)), err
	}
	rows := func(ctx context.Context) (int64, error) {
		return r.count(ctx, o.project, "select count(*) from events")
	}
	before, err := rows(ctx)
	if err != nil {
		return err
	}
	var accepted atomic.Int64
	cfg.Progress = accepted.Store
	line := watch(c, "load", "send", func() state { return state{rows: accepted.Load()} })
	made, err := load.Run(ctx, cfg)
	line.finish()
	if err != nil {
		return err
	}
	after, err := rows(context.WithoutCancel(ctx))
	if err != nil {
		return err
	}
	report := loadReport{made, after - before}
	if c.json {
		err = printJSON(c.out, report)
	} else {
		report.print(c)
	}
	switch {
	case err != nil:
		return err
	case report.Stored < report.Accepted:
		return &problem{Code: "events_lost", What: fmt.Sprintf("the server accepted %s and has %s more than before", plural(report.Accepted, "event", "events"), grouped(report.Stored)), Exit: exitFailed}
	case ctx.Err() != nil:
		return silent(exitInterrupted)
	case report.Accepted == 0:
		return silent(exitFailed)
	}
	return nil
}

func (r *loadReport) print(c *console) {
	manner := "as fast as they are answered"
	if r.Rate > 0 {
		manner = fmt.Sprintf("at %s events/s", amount(r.Rate))
	}
	fmt.Fprintf(c.out, "%s of %s each, %s, for %s\n", plural(r.Clients, "client", "clients"), plural(r.Batch, "event", "events"), manner,
		took(time.Duration(r.Seconds*float64(time.Second))))
	fmt.Fprintf(c.out, "  accepted %s, durable and counted: %s events/s, %.0f bytes each\n", plural(r.Accepted, "event", "events"), amount(r.EventsPerSecond), r.BytesPerEvent)
	asked := ""
	if len(r.Queries)+len(r.QueryErrors) > 0 {
		asked = " with what questions took"
	}
	fmt.Fprintf(c.out, "  CPU time of an event: server %.2f µs%s, this generator %.2f µs\n", r.ServerCPU, asked, r.ClientCPU)
	t := table{head: []string{"", "count", "50 %", "90 %", "99 %", "99.9 %", "most"}, right: []bool{false, true, true, true, true, true, true}}
	add := func(name string, l load.Latency) {
		row := []string{name, grouped(l.Count)}
		for _, ms := range []float64{l.Median, l.P90, l.P99, l.P999, l.Max} {
			row = append(row, took(time.Duration(ms*float64(time.Millisecond))))
		}
		t.rows = append(t.rows, row)
	}
	add("batch", r.Latency)
	for _, q := range r.Queries {
		add(q.Name, q.Latency)
	}
	t.print(c.out, 0)
	if r.Unsent > 0 {
		fmt.Fprintf(c.out, "  %s fell due and %s not sent: all clients were waiting\n", plural(r.Unsent, "request", "requests"), map[bool]string{true: "was", false: "were"}[r.Unsent == 1])
	}
	for _, failed := range []struct {
		what   string
		counts map[string]int64
	}{{"not accepted", r.Errors}, {"not answered", r.QueryErrors}} {
		for _, kind := range slices.Sorted(maps.Keys(failed.counts)) {
			fmt.Fprintf(c.out, "  %s: %s, %s\n", failed.what, grouped(failed.counts[kind]), printable(kind))
		}
	}
}
