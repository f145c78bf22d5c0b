package main

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

func statusCommand(c *console) *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "One-shot health", Args: noArgs,
		Example: "  prickle status\n  prickle status --json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return status(cmd.Context(), cmd, c)
		},
	}
}

// rateWindow is how long events are counted to say how many come in.
const rateWindow = 300 * time.Millisecond

type statusReport struct {
	Version      string  `json:"version"`
	URL          string  `json:"url"`
	State        string  `json:"state"`
	Uptime       float64 `json:"uptime_ms"`
	Events       int64   `json:"events"`
	Bytes        int64   `json:"segment_bytes"`
	Rate         float64 `json:"events_per_second"`
	Memory       int64   `json:"memory_bytes"`
	DiskFree     int64   `json:"disk_free_bytes,omitempty"`
	DiskSize     int64   `json:"disk_size_bytes,omitempty"`
	Queries      int64   `json:"queries"`
	QueryMean    float64 `json:"query_mean_ms"`
	QueryErrors  int64   `json:"query_errors"`
	Segments     int64   `json:"segments"`
	MemtableRows int64   `json:"memtable_rows"`
	Log          int64   `json:"log_bytes,omitempty"`
}

func status(ctx context.Context, cmd *cobra.Command, c *console) error {
	r, err := needServer(ctx, cmd, c)
	if err != nil {
		return err
	}
	before, err := r.metrics(ctx)
	if err != nil {
		return err
	}
	start := time.Now()
	select {
	case <-time.After(rateWindow):
	case <-ctx.Done():
		return ctx.Err()
	}
	m, err := r.metrics(ctx)
	if err != nil {
		return err
	}
	s := statusReport{URL: "http://" + r.host, State: "healthy", Version: version, Uptime: m["prickle_uptime_seconds"] * 1000,
		Events: int64(m["prickle_events"]), Bytes: int64(m["prickle_segment_bytes"]),
		Rate:   max(0, m["prickle_events"]-before["prickle_events"]) / time.Since(start).Seconds(),
		Memory: int64(m["prickle_heap_bytes"]), Queries: int64(m["prickle_statements_total"]), QueryErrors: int64(m["prickle_statement_errors_total"]),
		Segments: int64(m["prickle_segments"]), MemtableRows: int64(m["prickle_memtable_rows"])}
	if s.Queries > 0 {
		s.QueryMean = m["prickle_statement_seconds_total"] * 1000 / float64(s.Queries)
	}
	var health struct{ Version string }
	if raw, err := r.get(ctx, "/healthz"); err == nil && json.Unmarshal(raw, &health) == nil && health.Version != "" {
		s.Version = health.Version
	}
	var notReady error
	if _, err := r.get(ctx, "/readyz"); err != nil {
		s.State, notReady = "not ready", err
	}
	if dir := r.info.Data; dir != "" {
		var fs syscall.Statfs_t
		if syscall.Statfs(dir, &fs) == nil {
			s.DiskFree, s.DiskSize = int64(fs.Bavail)*int64(fs.Bsize), int64(fs.Blocks)*int64(fs.Bsize)
		}
		s.Log = dirSize(filepath.Join(dir, "raft", "log"))
	}
	switch {
	case c.json:
		err = printJSON(c.out, s)
	case !c.quiet && c.outTTY:
		s.print(c)
	case !c.quiet:
		s.tabs(c)
	}
	if err == nil && notReady != nil {
		err = silent(exitFailed)
	}
	return err
}

// print is the screen for people.
func (s *statusReport) print(c *console) {
	up := span(time.Duration(s.Uptime * float64(time.Millisecond)))
	head := fmt.Sprintf("prickle %s   up %s   %s", s.Version, up, s.State)
	fmt.Fprintf(c.out, "%-57s %s\n", head, s.URL)
	line := func(format string, args ...any) { fmt.Fprintln(c.out, fit(fmt.Sprintf(format, args...), c.width)) }
	line("  Events     %s stored (%s)    %s/s now", grouped(s.Events), size(float64(s.Bytes)), amount(s.Rate))
	memory := fmt.Sprintf("  Memory     %s", size(float64(s.Memory)))
	if s.DiskSize > 0 {
		memory += fmt.Sprintf("       Disk   %s free of %s", size(float64(s.DiskFree)), size(float64(s.DiskSize)))
	}
	line("%s", memory)
	line("  Queries    %s since the start    mean %s    %s", grouped(s.Queries), took(time.Duration(s.QueryMean*float64(time.Millisecond))), plural(s.QueryErrors, "error", "errors"))
	segments := fmt.Sprintf("  Segments   %s (%s in memory)", grouped(s.Segments), plural(s.MemtableRows, "row", "rows"))
	if s.Log > 0 {
		segments += fmt.Sprintf("       Write-ahead log %s", size(float64(s.Log)))
	}
	line("%s", segments)
}

// tabs is the form for programs that cut columns.
func (s *statusReport) tabs(c *console) {
	for _, row := range [][2]any{{"version", s.Version}, {"url", s.URL}, {"state", s.State}, {"uptime_ms", int64(s.Uptime)}, {"events", s.Events},
		{"segment_bytes", s.Bytes}, {"events_per_second", int64(s.Rate)}, {"memory_bytes", s.Memory}, {"disk_free_bytes", s.DiskFree},
		{"queries", s.Queries}, {"query_errors", s.QueryErrors}, {"segments", s.Segments}, {"memtable_rows", s.MemtableRows}, {"log_bytes", s.Log}} {
		fmt.Fprintf(c.out, "%v\t%v\n", row[0], row[1])
	}
}
