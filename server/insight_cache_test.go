package server

import (
	"fmt"
	"net/http"
	"testing"
	"time"
)

// TestAnswersAreKept asks twice: the second answer comes from the cache until something of
// the project changes.
func TestAnswersAreKept(t *testing.T) {
	r := startNode(t)
	_, answer := r.call(t, http.MethodPost, "/api/projects/", map[string]any{"name": "kept", "timezone": "UTC"})
	id := int(answer["id"].(float64))
	add := func(n int) {
		line := fmt.Sprintf(`{"type":"event","event":"a","distinct_id":"p%d","timestamp":"2026-01-01T0%d:00:00Z","properties":{}}`, n, n)
		if status, a := r.call(t, http.MethodPost, fmt.Sprintf("/api/projects/%d/import/", id), line); status != http.StatusOK {
			t.Fatal(status, a)
		}
	}
	query := map[string]any{"kind": "TrendsQuery", "series": []any{map[string]any{"kind": "EventsNode", "event": "a"}},
		"dateRange": map[string]any{"date_from": "2026-01-01", "date_to": "2026-01-02"}}
	ask := func(refresh any) (count float64, cached bool) {
		t.Helper()
		status, a := r.call(t, http.MethodPost, fmt.Sprintf("/api/projects/%d/query/", id), map[string]any{"query": query, "refresh": refresh})
		if status != http.StatusOK {
			t.Fatal(status, a)
		}
		return a["results"].([]any)[0].(map[string]any)["count"].(float64), a["is_cached"].(bool)
	}
	add(1)
	if n, cached := ask("blocking"); n != 1 || cached {
		t.Fatalf("first: %v, cached %v", n, cached)
	}
	kept := false
	for deadline := time.Now().Add(5 * time.Second); !kept && time.Now().Before(deadline); { // the cache takes it in after a moment
		var n float64
		if n, kept = ask("blocking"); n != 1 {
			t.Fatalf("again: %v", n)
		}
	}
	if !kept {
		t.Error("the answer is not kept")
	}
	if n, cached := ask("force_blocking"); n != 1 || cached {
		t.Errorf("forced: %v, cached %v", n, cached)
	}
	add(2)
	if n, cached := ask("blocking"); n != 2 || cached {
		t.Errorf("after another event: %v, cached %v", n, cached)
	}
}

// TestCohortsInSQL names a saved cohort in SQL, by its number and by its name.
func TestCohortsInSQL(t *testing.T) {
	r := startNode(t)
	_, answer := r.call(t, http.MethodPost, "/api/projects/", map[string]any{"name": "sets", "timezone": "UTC"})
	id := int(answer["id"].(float64))
	lines := `{"type":"person","distinct_ids":["ann"],"properties":{"plan":"pro"}}
{"type":"person","distinct_ids":["bob"],"properties":{"plan":"free"}}
{"type":"event","event":"a","distinct_id":"ann","timestamp":"2026-01-01T00:00:00Z","properties":{}}
{"type":"event","event":"a","distinct_id":"bob","timestamp":"2026-01-01T00:00:00Z","properties":{}}
{"type":"cohort","id":3,"name":"payers","filters":{"properties":{"type":"AND","values":[{"type":"person","key":"plan","value":"pro","operator":"exact"}]}}}
{"type":"cohort","id":4,"name":"chosen","is_static":true,"members":["bob"]}
`
	if status, a := r.call(t, http.MethodPost, fmt.Sprintf("/api/projects/%d/import/", id), lines); status != http.StatusOK {
		t.Fatal(status, a)
	}
	for text, want := range map[string]string{
		"SELECT distinct_id FROM events WHERE person_id IN COHORT 3":                                "[[ann]]",
		"SELECT distinct_id FROM events WHERE person_id IN COHORT payers":                           "[[ann]]",
		"SELECT distinct_id FROM events WHERE person_id IN COHORT (payers UNION chosen) ORDER BY 1": "[[ann] [bob]]",
		"SELECT count(*) FROM COHORT 4":                                                             "[[1]]",
	} {
		status, a := r.call(t, http.MethodPost, fmt.Sprintf("/api/projects/%d/query/", id), map[string]any{"query": map[string]any{"kind": "SQLQuery", "query": text}})
		if got := fmt.Sprint(a["results"]); status != http.StatusOK || got != want {
			t.Errorf("%s: %d %s %v, want %s", text, status, got, a["detail"], want)
		}
	}
	status, a := r.call(t, http.MethodPost, fmt.Sprintf("/api/projects/%d/query/", id), map[string]any{"query": map[string]any{"kind": "SQLQuery", "query": "SELECT 1 FROM events WHERE person_id IN COHORT nobody"}})
	if status != http.StatusBadRequest {
		t.Errorf("an unknown cohort: %d %v", status, a)
	}
}
