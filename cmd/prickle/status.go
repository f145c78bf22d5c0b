package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
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
	Version      string   `json:"version"`
	URL          string   `json:"url"`
	State        string   `json:"state"`
	Reasons      []string `json:"reasons,omitempty"` // why it is not ready
	Detail       string   `json:"detail,omitempty"`
	Lost         string   `json:"lost,omitempty"` // of a damaged data directory
	Uptime       float64  `json:"uptime_ms"`
	Events       int64    `json:"events"`
	Bytes        int64    `json:"segment_bytes"`
	Rate         float64  `json:"events_per_second"`
	Ack          float64  `json:"ack_ms"` // of a write that is not among the slowest half
	Memory       int64    `json:"memory_bytes"`
	Budget       int64    `json:"memory_budget_bytes,omitempty"`
	DiskFree     int64    `json:"disk_free_bytes,omitempty"`
	DiskSize     int64    `json:"disk_size_bytes,omitempty"`
	DiskState    string   `json:"disk_state"`
	Queries      int64    `json:"queries"`
	QueryMean    float64  `json:"query_mean_ms"`
	QueryMedian  float64  `json:"query_median_ms"`
	QueryP99     float64  `json:"query_p99_ms"`
	Running      int64    `json:"queries_running"`
	QueryErrors  int64    `json:"query_errors"`
	Segments     int64    `json:"segments"`
	MemtableRows int64    `json:"memtable_rows"`
	Log          int64    `json:"log_bytes,omitempty"`
	// BackupAge is -1 before the first backup.
	BackupAge float64 `json:"backup_age_s"`
	// Missing are the bytes of segments that a lazy restore has still to fetch.
	Missing int64 `json:"restore_missing_bytes,omitempty"`

	data string // directory, of a server of this machine
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
		Rate: max(0, m["prickle_events"]-before["prickle_events"]) / time.Since(start).Seconds(),
		Ack:  m.quantile("prickle_ack_seconds", .5) * 1000, Budget: int64(m["prickle_memory_budget_bytes"]),
		QueryMedian: m.quantile("prickle_query_seconds", .5) * 1000, QueryP99: m.quantile("prickle_query_seconds", .99) * 1000,
		Running: int64(m["prickle_statements_running"]), DiskState: []string{"ok", "low", "full", "read-only"}[min(max(int(m["prickle_disk_state"]), 0), 3)],
		Memory: int64(m[`prickle_memory_bytes{use="heap"}`]), Queries: int64(m["prickle_statements_total"]), QueryErrors: int64(m["prickle_statement_errors_total"]),
		Segments: int64(m["prickle_segments"]), MemtableRows: int64(m["prickle_memtable_rows"])}
	s.BackupAge, s.Missing = -1, int64(m["prickle_restore_missing_bytes"])
	if age, ok := m["prickle_backup_age_seconds"]; ok {
		s.BackupAge = age
	}
	if s.Queries > 0 {
		s.QueryMean = m["prickle_statement_seconds_total"] * 1000 / float64(s.Queries)
	}
	var health struct{ Version string }
	if raw, err := r.get(ctx, "/healthz"); err == nil && json.Unmarshal(raw, &health) == nil && health.Version != "" {
		s.Version = health.Version
	}
	var notReady error
	ready, err := r.ready(ctx)
	if err != nil {
		return err
	}
	s.Reasons, s.Detail, s.Lost = ready.Reasons, ready.Detail, ready.Lost
	if len(s.Reasons) > 0 {
		s.State, notReady = "not ready", errors.New("not ready")
	}
	s.data = r.info.Data
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
	for _, reason := range s.Reasons {
		line("  Not ready  %s", s.inWords(reason))
	}
	if s.Lost != "" {
		fmt.Fprintf(c.out, "  Lost       %s\n", s.Lost)
		for _, try := range lossTries(s.data) {
			fmt.Fprintf(c.out, "  Try:       %s\n", try)
		}
	}
	events := fmt.Sprintf("  Events     %s stored (%s)    %s/s now", grouped(s.Events), size(float64(s.Bytes)), amount(s.Rate))
	if s.Ack > 0 {
		events += fmt.Sprintf("    accepted → queryable  %s", took(time.Duration(s.Ack*float64(time.Millisecond))))
	}
	line("%s", events)
	memory := fmt.Sprintf("  Memory     %s", size(float64(s.Memory)))
	if s.Budget > 0 {
		memory += fmt.Sprintf(" of %s budget", size(float64(s.Budget)))
	}
	if s.DiskSize > 0 {
		memory += fmt.Sprintf("       Disk   %s free of %s", size(float64(s.DiskFree)), size(float64(s.DiskSize)))
		if s.DiskState != "ok" {
			memory += "   (" + s.DiskState + ")"
		}
	}
	line("%s", memory)
	ms := func(v float64) string { return took(time.Duration(v * float64(time.Millisecond))) }
	line("  Queries    %s since the start    median %s   99 %% %s    %s", grouped(s.Queries), ms(s.QueryMedian), ms(s.QueryP99), plural(s.QueryErrors, "error", "errors"))
	segments := fmt.Sprintf("  Segments   %s (%s in memory)", grouped(s.Segments), plural(s.MemtableRows, "row", "rows"))
	if s.Log > 0 {
		segments += fmt.Sprintf("       Write-ahead log %s", size(float64(s.Log)))
	}
	line("%s", segments)
	if s.Missing > 0 {
		line("  Restore    %s are still to be fetched from the backup", size(float64(s.Missing)))
	}
	if s.BackupAge < 0 {
		line("  Backup     never  ← prickle backup /path/or/s3://…")
	} else {
		line("  Backup     %s ago", span(time.Duration(s.BackupAge*float64(time.Second))))
	}
}

// lossTries are the ways on from a damaged data directory.
func lossTries(dir string) []string {
	return []string{fmt.Sprintf("%-45s (nothing is lost, if there is a backup)", "prickle restore <backup> --data ./restored"),
		fmt.Sprintf("%-45s (says what is lost, and asks first)", "prickle recover --accept-loss --data "+dir)}
}

// inWords says a reason of /readyz with one next step.
func (s *statusReport) inWords(reason string) string {
	if s.Lost != "" && reason == "recovering" {
		return reason + ": " + s.Detail
	}
	steps := map[string]string{
		"starting":   "the data directory is being opened; ask again in a moment",
		"no_leader":  "writes are not taken; the server's log says why",
		"behind":     "the log is being applied; ask again in a moment",
		"disk_full":  "events are refused: make room on the disk",
		"draining":   "the server is about to stop",
		"recovering": "the log cannot be applied; the server's log says why",
	}
	if step := steps[reason]; step != "" {
		return reason + ": " + step
	}
	return reason + "; ask again in a moment" // replaying 41 %
}

// tabs is the form for programs that cut columns.
func (s *statusReport) tabs(c *console) {
	for _, row := range [][2]any{{"version", s.Version}, {"url", s.URL}, {"state", s.State}, {"reasons", strings.Join(s.Reasons, ",")}, {"lost", s.Lost}, {"uptime_ms", int64(s.Uptime)}, {"events", s.Events},
		{"segment_bytes", s.Bytes}, {"events_per_second", int64(s.Rate)}, {"memory_bytes", s.Memory}, {"disk_free_bytes", s.DiskFree}, {"disk_state", s.DiskState},
		{"queries", s.Queries}, {"query_errors", s.QueryErrors}, {"segments", s.Segments}, {"memtable_rows", s.MemtableRows}, {"log_bytes", s.Log}, {"backup_age_s", int64(s.BackupAge)}} {
		fmt.Fprintf(c.out, "%v\t%v\n", row[0], row[1])
	}
}
