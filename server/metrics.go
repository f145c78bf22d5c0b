package server

import (
	"errors"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prickledb/prickle/cluster"
	"github.com/prickledb/prickle/cluster/metric"
	"github.com/prickledb/prickle/server/limit"
	"github.com/prickledb/prickle/server/session"
	"github.com/prickledb/prickle/storage/memory"
)

// metrics are the numbers that the server itself counts.
type metrics struct {
	registry  metric.Registry
	answers   [6]atomic.Int64 // of HTTP, by the first digit of their status
	inFlight  atomic.Int64
	strangers atomic.Int64 // connections that spoke neither protocol

	requests   *metric.Projects // of capture and imports, by result
	events     *metric.Projects
	bytes      *metric.Projects
	duplicates *metric.Projects
	warnings   *metric.Projects // events taken otherwise than sent, or refused beside others
	queries    *metric.Histogram
	killed     *metric.Counter
	queued     *metric.Counter
	checksums  *metric.Counter
}

// count counts requests and their answers.
func (m *metrics) count(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m.inFlight.Add(1)
		defer m.inFlight.Add(-1)
		c := &counted{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(c, r)
		m.answers[min(max(c.status/100, 0), 5)].Add(1)
	})
}

type counted struct {
	http.ResponseWriter
	status int
}

func (c *counted) WriteHeader(status int) {
	c.status = status
	c.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController.
func (c *counted) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// register lists what is published before there is a node.
func (s *Server) register() {
	m, c := &s.metrics, &s.counters
	gauge := func(name, help string, value func() float64) *metric.Func {
		return metric.NewValue(name, "gauge", help, value)
	}
	load := func(name, kind, help string, v *atomic.Int64) *metric.Func {
		return metric.NewValue(name, kind, help, func() float64 { return float64(v.Load()) })
	}
	m.requests = metric.NewProjects("prickle_ingest_requests_total", "requests that brought events", "result")
	m.events = metric.NewProjects("prickle_ingest_events_total", "events of those requests", "result")
	m.bytes = metric.NewProjects("prickle_ingest_bytes_total", "bytes of those requests, as they came", "result")
	m.duplicates = metric.NewProjects("prickle_events_duplicate_total", "events that were stored already", "")
	m.warnings = metric.NewProjects("prickle_capture_warnings_total", "captured events that were changed or refused", "")
	m.queries = metric.NewHistogram("prickle_query_seconds", "time that queries ran", "kind", metric.Seconds)
	m.killed = metric.NewCounter("prickle_query_killed_total", "queries ended before their time, or refused", "reason")
	m.queued = metric.NewCounter("prickle_query_queued_total", "queries that waited for a place", "reason")
	m.checksums = metric.NewCounter("prickle_checksum_errors_total", "damaged pieces that were met", "where")
	m.checksums.Add(0, "segment")
	m.registry.Add(
		gauge("prickle_uptime_seconds", "time since the server started", func() float64 { return time.Since(s.started).Seconds() }),
		metric.NewValue("prickle_cpu_seconds_total", "counter", "CPU time that the process has used", cpuSeconds),
		load("prickle_http_requests_in_flight", "gauge", "HTTP requests being answered", &m.inFlight),
		load("prickle_http_answers_2xx_total", "counter", "HTTP answers with status 2xx", &m.answers[2]),
		load("prickle_http_answers_4xx_total", "counter", "HTTP answers with status 4xx", &m.answers[4]),
		load("prickle_http_answers_5xx_total", "counter", "HTTP answers with status 5xx", &m.answers[5]),
		load("prickle_strangers_total", "counter", "connections that spoke neither HTTP nor PostgreSQL", &m.strangers),
		m.requests, m.events, m.bytes, m.duplicates, m.warnings,
		load("prickle_pg_connections", "gauge", "open PostgreSQL connections", &s.pg.Connections),
		load("prickle_pg_connections_total", "counter", "PostgreSQL connections accepted", &s.pg.Accepted),
		load("prickle_sessions", "gauge", "open sessions of both protocols", &c.Sessions),
		load("prickle_statements_running", "gauge", "statements running", &c.Running),
		load("prickle_statements_total", "counter", "statements run", &c.Statements),
		load("prickle_statement_errors_total", "counter", "statements that failed", &c.Errors),
		load("prickle_statements_canceled_total", "counter", "statements cancelled or timed out", &c.Canceled),
		metric.NewValue("prickle_statement_seconds_total", "counter", "time spent running statements", func() float64 { return float64(c.Nanos.Load()) / 1e9 }),
		load("prickle_rows_sent_total", "counter", "rows given to clients", &c.Rows),
		load("prickle_rows_read_total", "counter", "rows read by statements", &c.RowsRead),
		load("prickle_bytes_read_total", "counter", "bytes read by statements", &c.BytesRead),
		m.queries, m.killed, m.queued, m.checksums,
		metric.NewFunc("prickle_memory_bytes", "gauge", "memory in use, by what for", s.memoryUse),
		metric.NewFunc("prickle_memory_peak_bytes", "gauge", "the most memory that was in use at once, by what for", s.memoryPeak),
		gauge("prickle_memory_budget_bytes", "memory that there is for everything", func() float64 { return float64(s.config.Memory.Total()) }),
		gauge("prickle_memory_pressure", "0 calm, 1 caches shrink, 2 queries wait, 3 queries end, 4 events are refused",
			func() float64 { return float64(s.config.Memory.Level()) }),
		gauge("prickle_query_processors", "goroutines of queries that may run at once", func() float64 { return float64(s.scheduler.Slots()) }),
		gauge("prickle_query_turns_waiting", "goroutines of queries that wait for their turn", func() float64 { return float64(s.scheduler.Waiting()) }),
		gauge("prickle_queries_waiting_for_memory", "queries that wait to start", func() float64 { return float64(s.config.Admission.Queued()) }),
		gauge("prickle_goroutines", "goroutines", func() float64 { return float64(runtime.NumGoroutine()) }),
	)
	if s.config.LogDropped != nil {
		m.registry.Add(metric.NewValue("prickle_log_dropped_total", "counter", "lines that did not make it into the log",
			func() float64 { return float64(s.config.LogDropped()) }))
	}
}

// cpuSeconds is the CPU time of this process.
func cpuSeconds() float64 {
	var use syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &use) != nil {
		return 0
	}
	return float64(use.Utime.Nano()+use.Stime.Nano()) / 1e9
}

// memoryUse is the heap, and what the budget knows that it is for.
func (s *Server) memoryUse(yield func(string, float64)) {
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	yield(metric.Label("use", "heap"), float64(stats.HeapInuse))
	for u := range memory.Uses {
		yield(metric.Label("use", u.String()), float64(s.config.Memory.Pool(u).Used()))
	}
}

// memoryPeak is the most that was in use at once.
func (s *Server) memoryPeak(yield func(string, float64)) {
	for u := range memory.Uses {
		yield(metric.Label("use", u.String()), float64(s.config.Memory.Pool(u).Peak()))
	}
}

// registerStore lists what the store holds, once there is one.
func (s *Server) registerStore() {
	stat := func(name, help string, value func() float64) *metric.Func {
		return metric.NewValue(name, "gauge", help, value)
	}
	s.metrics.registry.Add(
		metric.NewFunc("prickle_segments", "gauge", "segment files", func(yield func(string, float64)) {
			// There is one level: a merge's output is a segment like the others.
			yield(metric.Label("level", "0"), float64(s.backend.Stats().Segments))
		}),
		stat("prickle_spill_bytes", "bytes of spill files", func() float64 { return float64(s.config.Spill.Used()) }),
		stat("prickle_segment_bytes", "bytes of segment files", func() float64 { return float64(s.backend.Stats().Bytes) }),
		stat("prickle_events", "events stored", func() float64 { return float64(s.backend.Stats().Events) }),
		stat("prickle_memtable_rows", "events that are not in a segment yet", func() float64 { return float64(s.backend.Stats().MemtableRows) }),
	)
}

// registerBackups lists what a node knows of its backups.
func (s *Server) registerBackups() {
	s.metrics.registry.Add(
		metric.NewFunc("prickle_backup_age_seconds", "gauge", "age of the newest backup", func(yield func(string, float64)) {
			if last, ok := s.node.LastBackup(); ok {
				yield("", max(0, time.Since(last.Created).Seconds()))
			}
		}),
	)
	if _, ok := s.node.Archive(); !ok {
		return
	}
	archive := func(name, kind, help string, value func(cluster.ArchiveStatus) float64) {
		s.metrics.registry.Add(metric.NewValue(name, kind, help, func() float64 {
			status, _ := s.node.Archive()
			return value(status)
		}))
	}
	archive("prickle_archive_entry", "gauge", "last entry of the log that is archived",
		func(a cluster.ArchiveStatus) float64 { return float64(a.Archived) })
	archive("prickle_archive_gaps_total", "counter", "spans of the log that were gone before they were archived",
		func(a cluster.ArchiveStatus) float64 { return float64(len(a.Gaps)) })
	archive("prickle_archive_failing", "gauge", "1 while the log cannot be archived", func(a cluster.ArchiveStatus) float64 {
		if a.Err != nil {
			return 1
		}
		return 0
	})
}

// queryDone counts a query that ended.
func (m *metrics) queryDone(kind string, took time.Duration, killed string, err error) {
	m.queries.Observe(took.Seconds(), kind)
	var exceeded *limit.Exceeded
	switch {
	case killed != "":
		m.killed.Add(1, killed)
	case errors.As(err, &exceeded):
		m.killed.Add(1, string(exceeded.Reason))
	}
	if session.Damaged(err) {
		m.checksums.Add(1, "segment")
	}
}

// serveMetrics answers in Prometheus' text format.
func (s *Server) serveMetrics(w http.ResponseWriter, _ *http.Request) {
	var b strings.Builder
	_ = s.metrics.registry.Write(&b) // into memory
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	w.Write([]byte(b.String())) //nolint:errcheck // the client may be gone
}
