package server

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// Every name in the alert rules is one that is published, and the names that others build
// on stay.
func TestAlerts(t *testing.T) {
	s := startNodeWith(t, Config{LogDropped: func() int64 { return 0 }})
	names := map[string]bool{}
	for _, name := range s.metrics.registry.Names() {
		names[name] = true
	}
	rules, err := os.ReadFile("alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, line := range strings.Split(string(rules), "\n") {
		expr, ok := strings.CutPrefix(strings.TrimSpace(line), "expr: ")
		if !ok {
			continue
		}
		for _, name := range regexp.MustCompile(`prickle_\w+`).FindAllString(expr, -1) {
			found++
			if base, _ := strings.CutSuffix(name, "_bucket"); !names[name] && !names[base] {
				t.Errorf("%s is in the rules and is not published", name)
			}
		}
	}
	if found < 8 {
		t.Errorf("%d names in the rules", found)
	}
	for _, name := range []string{"prickle_ingest_requests_total", "prickle_ingest_events_total", "prickle_ingest_bytes_total", "prickle_ack_seconds",
		"prickle_log_sync_seconds", "prickle_raft_term", "prickle_raft_commit_index", "prickle_raft_applied_index", "prickle_raft_leader",
		"prickle_raft_failover_total", "prickle_flush_seconds", "prickle_merge_seconds", "prickle_merge_bytes", "prickle_segments",
		"prickle_events_duplicate_total", "prickle_query_seconds", "prickle_query_killed_total", "prickle_query_queued_total",
		"prickle_memory_bytes", "prickle_disk_free_bytes", "prickle_disk_used_bytes", "prickle_checksum_errors_total", "prickle_backup_age_seconds"} {
		if !names[name] {
			t.Errorf("%s is not published", name)
		}
	}
}
