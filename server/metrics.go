package server

import (
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prickledb/prickle/storage"
	"github.com/prickledb/prickle/storage/memory"
)

// metrics are the numbers that the server itself counts.
type metrics struct {
	requests  [6]atomic.Int64 // HTTP answers by the first digit of their status
	inFlight  atomic.Int64
	strangers atomic.Int64 // connections that spoke neither protocol
	warnings  atomic.Int64 // events taken otherwise than sent, or refused beside others
}

// count counts requests and their answers.
func (m *metrics) count(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m.inFlight.Add(1)
		defer m.inFlight.Add(-1)
		c := &counted{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(c, r)
		m.requests[min(max(c.status/100, 0), 5)].Add(1)
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

// metric is one number that is published.
type metric struct {
	name, kind, help string
	value            float64
}

// list is everything that is published.
func (s *Server) list() []metric {
	c, store := &s.counters, s.backend.Stats()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	n := func(v int64) float64 { return float64(v) }
	return append([]metric{
		{"prickle_uptime_seconds", "gauge", "time since the server started", time.Since(s.started).Seconds()},
		{"prickle_http_requests_in_flight", "gauge", "HTTP requests being answered", n(s.metrics.inFlight.Load())},
		{"prickle_http_answers_2xx_total", "counter", "HTTP answers with status 2xx", n(s.metrics.requests[2].Load())},
		{"prickle_http_answers_4xx_total", "counter", "HTTP answers with status 4xx", n(s.metrics.requests[4].Load())},
		{"prickle_http_answers_5xx_total", "counter", "HTTP answers with status 5xx", n(s.metrics.requests[5].Load())},
		{"prickle_strangers_total", "counter", "connections that spoke neither HTTP nor PostgreSQL", n(s.metrics.strangers.Load())},
		{"prickle_capture_warnings_total", "counter", "captured events that were changed or refused", n(s.metrics.warnings.Load())},
		{"prickle_pg_connections", "gauge", "open PostgreSQL connections", n(s.pg.Connections.Load())},
		{"prickle_pg_connections_total", "counter", "PostgreSQL connections accepted", n(s.pg.Accepted.Load())},
		{"prickle_sessions", "gauge", "open sessions of both protocols", n(c.Sessions.Load())},
		{"prickle_statements_running", "gauge", "statements running", n(c.Running.Load())},
		{"prickle_statements_total", "counter", "statements run", n(c.Statements.Load())},
		{"prickle_statement_errors_total", "counter", "statements that failed", n(c.Errors.Load())},
		{"prickle_statements_canceled_total", "counter", "statements cancelled or timed out", n(c.Canceled.Load())},
		{"prickle_statement_seconds_total", "counter", "time spent running statements", float64(c.Nanos.Load()) / 1e9},
		{"prickle_rows_sent_total", "counter", "rows given to clients", n(c.Rows.Load())},
		{"prickle_rows_read_total", "counter", "rows read by statements", n(c.RowsRead.Load())},
		{"prickle_bytes_read_total", "counter", "bytes read by statements", n(c.BytesRead.Load())},
		{"prickle_write_bytes_in_flight", "gauge", "bytes proposed and not yet applied", float64(s.backend.InFlight())},
		{"prickle_heap_bytes", "gauge", "memory in use", float64(stats.HeapInuse)},
		{"prickle_goroutines", "gauge", "goroutines", float64(runtime.NumGoroutine())},
	}, append(storeMetrics(store), s.memoryMetrics()...)...)
}

// serveMetrics answers in Prometheus' text format.
func (s *Server) serveMetrics(w http.ResponseWriter, _ *http.Request) {
	var b strings.Builder
	for _, m := range s.list() {
		fmt.Fprintf(&b, "# HELP %s %s\n# TYPE %s %s\n%s %g\n", m.name, m.help, m.name, m.kind, m.name, m.value)
	}
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	w.Write([]byte(b.String())) //nolint:errcheck // the client may be gone
}

// memoryMetrics is the budget of memory, and what goes to disk instead.
func (s *Server) memoryMetrics() []metric {
	list := []metric{
		{"prickle_memory_budget_bytes", "gauge", "memory that there is for everything", float64(s.config.Memory.Total())},
		{"prickle_memory_pressure", "gauge", "0 calm, 1 caches shrink, 2 queries wait, 3 queries end, 4 events are refused", float64(s.config.Memory.Level())},
		{"prickle_queries_waiting_for_memory", "gauge", "queries that wait to start", float64(s.config.Admission.Queued())},
		{"prickle_spill_bytes", "gauge", "bytes of spill files", float64(s.config.Spill.Used())},
	}
	for u := range memory.Uses {
		p := s.config.Memory.Pool(u)
		name := "prickle_memory_" + u.String()
		list = append(list, metric{name + "_bytes", "gauge", "memory in use for " + u.String(), float64(p.Used())},
			metric{name + "_peak_bytes", "gauge", "the most that was in use at once", float64(p.Peak())})
	}
	return list
}

func storeMetrics(st storage.Stats) []metric {
	return []metric{
		{"prickle_segments", "gauge", "segment files", float64(st.Segments)},
		{"prickle_segment_bytes", "gauge", "bytes of segment files", float64(st.Bytes)},
		{"prickle_events", "gauge", "events stored", float64(st.Events)},
		{"prickle_memtable_rows", "gauge", "events that are not in a segment yet", float64(st.MemtableRows)},
	}
}
