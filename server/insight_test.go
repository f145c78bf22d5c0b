package server

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// insightCase is a case of sql/insight/testdata: data, a query, and what the answer holds.
type insightCase struct {
	Name      string           `json:"name"`
	Now       string           `json:"now"`
	Timezone  string           `json:"timezone"`
	WeekStart int              `json:"week_start"`
	Persons   []map[string]any `json:"persons"`
	Groups    []map[string]any `json:"groups"`
	Cohorts   []map[string]any `json:"cohorts"`
	Actions   []map[string]any `json:"actions"`
	Events    []map[string]any `json:"events"`
	Defs      []map[string]any `json:"property_definitions"`
	TestUsers json.RawMessage  `json:"test_account_filters"`
	Cleaning  json.RawMessage  `json:"path_cleaning_filters"`
	Query     json.RawMessage  `json:"query"`
	Expect    map[string]any   `json:"expect"`
}

// insightFiles are the files of cases.
var insightFiles = []string{"trends", "stickiness", "lifecycle", "filters", "funnels", "retention", "paths"}

func readInsightCases(t *testing.T, name string) []*insightCase {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "sql", "insight", "testdata", name+".jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	var out []*insightCase
	sc := bufio.NewScanner(bytes.NewReader(raw))
	sc.Buffer(nil, 16<<20)
	for sc.Scan() {
		c := &insightCase{}
		if err := json.Unmarshal(sc.Bytes(), c); err != nil {
			t.Fatal(err)
		}
		out = append(out, c)
	}
	if len(out) == 0 {
		t.Fatalf("%s has no cases", name)
	}
	return out
}

// TestInsightCases asks every case of a running server.
func TestInsightCases(t *testing.T) {
	r := startNode(t)
	for _, file := range insightFiles {
		t.Run(file, func(t *testing.T) {
			for _, c := range readInsightCases(t, file) {
				t.Run(c.Name, func(t *testing.T) {
					t.Parallel()
					id := c.load(t, r)
					c.check(t, r, id)
					r.call(t, http.MethodDelete, fmt.Sprintf("/api/projects/%d/", id), nil)
				})
			}
		})
	}
}

// call sends JSON, or lines of it, and gives the status and the answer.
func (r *running) call(t *testing.T, method, path string, body any) (int, map[string]any) {
	t.Helper()
	text, ok := body.(string)
	if !ok && body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		text = string(raw)
	}
	resp, answer := r.header(t, method, path, text)
	out := map[string]any{}
	if strings.TrimSpace(answer) != "" {
		if err := json.Unmarshal([]byte(answer), &out); err != nil {
			t.Fatalf("%s %s: %v in %.300s", method, path, err, answer)
		}
	}
	return resp.StatusCode, out
}

// load makes a project with the case's data, and gives its number.
func (c *insightCase) load(t *testing.T, r *running) int {
	t.Helper()
	settings := map[string]any{"name": c.Name, "timezone": c.Timezone, "week_start_day": c.WeekStart}
	if c.TestUsers != nil {
		settings["test_account_filters"] = c.TestUsers
	}
	if c.Cleaning != nil {
		settings["path_cleaning_filters"] = c.Cleaning
	}
	status, answer := r.call(t, http.MethodPost, "/api/projects/", settings)
	if status != http.StatusCreated {
		t.Fatalf("the project: %d %v", status, answer)
	}
	id := int(answer["id"].(float64))
	var lines strings.Builder
	add := func(kind string, o map[string]any) {
		o["type"] = kind
		raw, err := json.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		lines.Write(append(raw, '\n'))
	}
	for _, x := range c.Persons {
		add("person", x)
	}
	for _, x := range c.Groups {
		x["group_type_index"] = x["type_index"]
		delete(x, "type_index")
		add("group", x)
	}
	for _, x := range c.Actions {
		add("action", x)
	}
	for _, x := range c.Defs {
		add("property_definition", map[string]any{"definition": x})
	}
	for _, x := range c.Events {
		add("event", x)
	}
	for _, x := range c.Cohorts {
		add("cohort", x)
	}
	if lines.Len() > 0 {
		if status, answer = r.call(t, http.MethodPost, fmt.Sprintf("/api/projects/%d/import/", id), lines.String()); status != http.StatusOK {
			t.Fatalf("the data: %d %v", status, answer)
		}
	}
	return id
}

// ask sends the case's query; a list of actors is put into an ActorsQuery.
func (c *insightCase) ask(t *testing.T, r *running, id int) (int, map[string]any) {
	t.Helper()
	var head struct{ Kind string }
	if err := json.Unmarshal(c.Query, &head); err != nil {
		t.Fatal(err)
	}
	query := any(c.Query)
	lists := head.Kind == "FunnelsActorsQuery" || head.Kind == "InsightActorsQuery" || head.Kind == "FunnelCorrelationActorsQuery"
	want, _ := c.Expect["actors"].([]any)
	appearances := false
	if lists {
		columns := []string{"actor"}
		if len(want) > 0 {
			if _, appearances = want[0].(map[string]any); appearances {
				columns = append(columns, "appearances")
			}
		}
		query = map[string]any{"kind": "ActorsQuery", "source": c.Query, "select": columns, "limit": 1000}
	}
	status, answer := r.call(t, http.MethodPost, fmt.Sprintf("/api/projects/%d/query/", id), map[string]any{"query": query, "now": c.Now})
	if !lists || status != http.StatusOK {
		return status, answer
	}
	order := map[string]int{}
	for _, p := range c.Persons {
		for _, d := range p["distinct_ids"].([]any) {
			if _, ok := order[d.(string)]; !ok {
				order[d.(string)] = len(order)
			}
		}
	}
	var actors []any
	var names []string
	for _, row := range answer["results"].([]any) {
		cells := row.([]any)
		name := firstName(cells[0].(map[string]any), order)
		names = append(names, name)
		if appearances {
			actors = append(actors, map[string]any{"actor": name, "appearances": cells[1]})
		}
	}
	if !appearances {
		slices.Sort(names)
		for _, n := range names {
			actors = append(actors, n)
		}
	}
	answer["actors"] = actors
	return status, answer
}

// firstName is the name that a case gives an actor: the first of its distinct ids in the
// case's order, or the group's key.
func firstName(actor map[string]any, order map[string]int) string {
	best, at := "", math.MaxInt
	ids, _ := actor["distinct_ids"].([]any)
	for _, d := range ids {
		if i, ok := order[d.(string)]; ok && i < at {
			best, at = d.(string), i
		}
	}
	switch {
	case best != "":
		return best
	case len(ids) > 0:
		return ids[0].(string)
	}
	return actor["id"].(string)
}

func (c *insightCase) check(t *testing.T, r *running, id int) {
	t.Helper()
	status, answer := c.ask(t, r, id)
	if refusal := c.Expect["error"]; refusal != nil {
		detail := fmt.Sprint(answer["detail"])
		if text, ok := refusal.(string); status != http.StatusBadRequest || ok && !strings.Contains(detail, text) {
			t.Errorf("want a refusal (%v), got %d %v", refusal, status, answer)
		}
		return
	}
	if status != http.StatusOK {
		t.Fatalf("%d %v", status, answer["detail"])
	}
	var diffs []string
	differences(c.Expect, answer, "$", &diffs)
	if len(diffs) > 0 {
		t.Errorf("%s\nSQL: %v", strings.Join(diffs[:min(len(diffs), 4)], "\n"), answer["query"])
	}
}

// differences lists where an answer is not as wanted: objects may have more keys, lists
// agree in length and order.
func differences(want, got any, path string, out *[]string) {
	add := func(format string, args ...any) { *out = append(*out, path+": "+fmt.Sprintf(format, args...)) }
	switch want := want.(type) {
	case map[string]any:
		m, ok := got.(map[string]any)
		if !ok {
			add("want an object, got %v", got)
			return
		}
		for _, k := range slices.Sorted(maps.Keys(want)) {
			switch k {
			case "results_count":
				if list, _ := m["results"].([]any); float64(len(list)) != want[k] {
					add("want %v results, got %d", want[k], len(list))
				}
			case "results_unordered":
				anyOrder(want[k].([]any), m["results"], path+".results", out)
			default:
				v, ok := m[k]
				if !ok {
					add("%s is missing", k)
					continue
				}
				differences(want[k], v, path+"."+k, out)
			}
		}
	case []any:
		list, ok := got.([]any)
		if !ok && got != nil || len(list) != len(want) {
			raw, _ := json.Marshal(got) // it came from JSON
			add("want %d items, got %.500s", len(want), raw)
			return
		}
		for i := range want {
			differences(want[i], list[i], fmt.Sprintf("%s[%d]", path, i), out)
		}
	case float64:
		if n, ok := got.(float64); !ok || math.Abs(want-n) > 1e-9*math.Max(math.Abs(want), math.Abs(n)) {
			add("want %v, got %v", want, got)
		}
	default:
		if want != got {
			add("want %v, got %v", want, got)
		}
	}
}

func anyOrder(want []any, got any, path string, out *[]string) {
	list, _ := got.([]any)
	if len(list) != len(want) {
		*out = append(*out, fmt.Sprintf("%s: want %d items, got %d", path, len(want), len(list)))
		return
	}
	left := slices.Clone(list)
	for _, w := range want {
		at := slices.IndexFunc(left, func(g any) bool {
			var diffs []string
			differences(w, g, path, &diffs)
			return len(diffs) == 0
		})
		if at < 0 {
			*out = append(*out, fmt.Sprintf("%s: nothing matches %v", path, w))
			continue
		}
		left = slices.Delete(left, at, at+1)
	}
}
