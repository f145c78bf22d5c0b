package server

import (
	"fmt"
	"net/http"
	"strings"
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

// TestInsightRefusals asks what cannot be answered, and an empty project.
func TestInsightRefusals(t *testing.T) {
	r := startNode(t)
	_, answer := r.call(t, http.MethodPost, "/api/projects/", map[string]any{"name": "empty", "timezone": "UTC"})
	id := int(answer["id"].(float64))
	path := fmt.Sprintf("/api/projects/%d/query/", id)
	series := []any{map[string]any{"kind": "EventsNode", "event": "a"}}
	two := append(series, map[string]any{"kind": "EventsNode", "event": "b"})
	type m = map[string]any
	for _, c := range []struct {
		query  m
		detail string
	}{
		{m{"kind": "TrendsQuery", "series": []any{}}, "the query needs at least one series"},
		{m{"kind": "NewQuery"}, `unknown kind of query "NewQuery"`},
		{m{}, `the query needs a "kind"`},
		{m{"kind": "TrendsQuery", "series": "x"}, "query.series must not be a string"},
		{m{"kind": "TrendsQuery", "series": series, "interval": "fortnight"}, `unknown interval "fortnight"; there are second, minute, hour, day, week and month`},
		{m{"kind": "TrendsQuery", "series": series, "interval": "minute", "dateRange": m{"date_from": "-60d"}}, "has more than 10000 buckets of a minute"},
		{m{"kind": "TrendsQuery", "series": series, "properties": []any{m{"key": "x", "operator": "regex", "value": "(", "type": "event"}}}, `"(" is not a valid regular expression: missing closing ): `},
		{m{"kind": "TrendsQuery", "series": series, "properties": []any{m{"key": "id", "type": "cohort", "value": 7}}}, "there is no cohort 7"},
		{m{"kind": "TrendsQuery", "series": series, "properties": []any{m{"key": "x", "operator": "near", "value": "y", "type": "event"}}}, `unknown operator "near"`},
		{m{"kind": "TrendsQuery", "series": series, "trendsFilter": m{"formula": "A+B"}}, `there is no series B`},
		{m{"kind": "TrendsQuery", "series": []any{m{"kind": "EventsNode", "event": "a", "math": "hogql", "math_hogql": "sum("}}}, `the expression "sum(" is not valid`},
		{m{"kind": "LifecycleQuery", "series": []any{m{"kind": "ActionsNode", "id": 9}}}, "there is no action 9"},
		{m{"kind": "FunnelsQuery", "series": series}, "Funnels require at least two steps."},
		{m{"kind": "FunnelsQuery", "series": two, "funnelsFilter": m{"funnelWindowIntervalUnit": "moon"}}, `unknown unit "moon"`},
		{m{"kind": "RetentionQuery", "retentionFilter": m{"timeWindowMode": "24_hour_windows", "cumulative": true}}, "Cumulative retention is not supported for 24 hour windows."},
		{m{"kind": "InsightActorsQuery"}, "is the source of an ActorsQuery"},
	} {
		status, a := r.call(t, http.MethodPost, path, m{"query": c.query})
		if detail := fmt.Sprint(a["detail"]); status != http.StatusBadRequest || !strings.Contains(detail, c.detail) || a["type"] != "validation_error" {
			t.Errorf("%v: %d %v, want 400 %s", c.query, status, a, c.detail)
		}
	}
	zero := func(query m) map[string]any {
		t.Helper()
		status, a := r.call(t, http.MethodPost, path, m{"query": query, "now": "2026-01-10T12:00:00Z"})
		if status != http.StatusOK {
			t.Fatalf("%v: %d %v", query, status, a)
		}
		return a
	}
	trend := zero(m{"kind": "TrendsQuery", "series": series})["results"].([]any)[0].(map[string]any)
	if data := trend["data"].([]any); len(data) != 8 || trend["count"] != 0.0 {
		t.Errorf("trend of nothing: %v", trend)
	}
	if l := zero(m{"kind": "LifecycleQuery", "series": series})["results"].([]any); len(l) != 4 {
		t.Errorf("lifecycle of nothing: %v", l)
	}
	if l := zero(m{"kind": "StickinessQuery", "series": series})["results"].([]any); len(l) != 1 {
		t.Errorf("stickiness of nothing: %v", l)
	}
	if l := zero(m{"kind": "FunnelsQuery", "series": two})["results"].([]any); len(l) != 0 {
		t.Errorf("funnel of nobody: %v", l)
	}
	if l := zero(m{"kind": "RetentionQuery", "retentionFilter": m{"totalIntervals": 3}})["results"].([]any); len(l) != 3 {
		t.Errorf("retention of nobody: %v", l)
	}
	if l := zero(m{"kind": "PathsQuery"})["results"].([]any); len(l) != 0 {
		t.Errorf("paths of nobody: %v", l)
	}
	if a := zero(m{"kind": "EventsQuery", "select": []string{"*", "person"}, "after": "all"}); len(a["results"].([]any)) != 0 {
		t.Errorf("no events: %v", a)
	}
	if a := zero(m{"kind": "TrendsQuery", "series": series, "dateRange": m{"date_from": "all"}})["results"].([]any)[0].(map[string]any); len(a["data"].([]any)) != 1 {
		t.Errorf("all of nothing: %v", a)
	}
	if status, a := r.call(t, http.MethodPost, "/api/projects/", m{"name": "x", "timezone": "Europe/Atlantis"}); status != http.StatusBadRequest || !strings.Contains(fmt.Sprint(a["detail"]), "unknown time zone") {
		t.Errorf("a zone that is none: %d %v", status, a)
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
