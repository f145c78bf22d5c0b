package server

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime/multipart"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"
)

const base = "/api/projects/1/"

// want asks, checks the status, and gives the answer.
func (r *running) want(t *testing.T, status int, method, path string, body any) map[string]any {
	t.Helper()
	got, out := r.send(t, method, path, body)
	if got != status {
		t.Fatalf("%s %s = %d %v, want %d", method, path, got, out, status)
	}
	return out
}

// send sends a value as JSON, and gives the status and the object that is answered with.
func (r *running) send(t *testing.T, method, path string, body any) (int, map[string]any) {
	t.Helper()
	text := ""
	if body != nil {
		text = js(t, body)
	}
	status, answer := r.do(t, method, path, text)
	var out map[string]any
	if answer != "" && json.Unmarshal([]byte(answer), &out) != nil {
		t.Fatalf("%s %s = %d %s", method, path, status, answer)
	}
	return status, out
}

// js is a value as JSON.
func js(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// at follows members and positions into a value.
func at(t *testing.T, v any, path ...any) any {
	t.Helper()
	for _, p := range path {
		switch p := p.(type) {
		case string:
			m, ok := v.(map[string]any)
			if !ok {
				t.Fatalf("%v has no member %s", v, p)
			}
			v = m[p]
		case int:
			l, ok := v.([]any)
			if !ok || p >= len(l) {
				t.Fatalf("%v has no position %d", v, p)
			}
			v = l[p]
		}
	}
	return v
}

// savedNode is a node with three persons and their events of today.
func savedNode(t *testing.T) *running {
	t.Helper()
	r := startNode(t)
	now := time.Now().UTC().Add(-time.Hour)
	var lines []string
	for i, who := range []string{"ann", "bob", "cat"} {
		lines = append(lines, fmt.Sprintf(`{"type":"person","distinct_ids":[%q],"properties":{"email":"%s@x.com","age":%d}}`, who, who, 20+i))
		for j := range i + 1 {
			lines = append(lines, fmt.Sprintf(`{"type":"event","event":"open","distinct_id":%q,"timestamp":%q,"properties":{"n":%d,"plan":"p%d"}}`, who, now.Add(-time.Duration(j)*time.Second).Format(time.RFC3339Nano), j, i))
		}
	}
	lines = append(lines, fmt.Sprintf(`{"type":"event","event":"pay","distinct_id":"ann","timestamp":%q,"properties":{"amount":5}}`, now.Format(time.RFC3339Nano)))
	if status, body := r.do(t, "POST", base+"import/", strings.Join(lines, "\n"), "Content-Type", "application/x-ndjson"); status != 200 {
		t.Fatalf("import = %d %s", status, body)
	}
	return r
}

// trend is a count of an event, by day or as one number.
func trend(event string) map[string]any {
	return map[string]any{"kind": "TrendsQuery", "series": []any{map[string]any{"kind": "EventsNode", "event": event}}, "trendsFilter": map[string]any{"display": "BoldNumber"}}
}

func onAction(id any) map[string]any {
	q := trend("")
	q["series"] = []any{map[string]any{"kind": "ActionsNode", "id": id}}
	return q
}

func isCohort(id any) map[string]any {
	return map[string]any{"type": "cohort", "key": "id", "value": id}
}

func TestActionsOverHTTP(t *testing.T) {
	r := savedNode(t)
	a := r.want(t, 201, "POST", base+"actions/", map[string]any{"name": "Opened", "description": "d", "tags": []string{"x"}, "nonsense": 1, "steps": []any{map[string]any{"event": "open"}}})
	if js(t, []any{a["id"], a["team_id"], a["name"], a["tags"], a["deleted"], a["version"], a["nonsense"]}) != `[1,1,"Opened",["x"],false,1,null]` || a["created_at"] == nil {
		t.Errorf("created %v", a)
	}
	b := r.want(t, 201, "POST", "/api/environments/@current/actions", map[string]any{"name": "Paid", "steps": []any{map[string]any{"event": "pay"}}})
	for body, attr := range map[string]string{
		`{"steps":[]}`:            "name",
		`{"name":"x","steps":1}`:  "steps",
		`{"name":"x","tags":"y"}`: "tags",
		`{"name":"x","steps":[{"event":"e","url":"(","url_matching":"regex"}]}`: "steps.0.url",
		`[]`: "body",
	} {
		if status, out := r.do(t, "POST", base+"actions/", body); status != 400 || !strings.Contains(out, `"attr":"`+attr+`"`) {
			t.Errorf("%s = %d %s", body, status, out)
		}
	}
	list := r.want(t, 200, "GET", base+"actions/?limit=1&search=P", nil)
	if js(t, []any{list["count"], list["previous"], at(t, list, "results", 0, "id")}) != `[2,null,2]` {
		t.Errorf("list %v", list)
	}
	next, _ := list["next"].(string)
	list = r.want(t, 200, "GET", next[strings.Index(next, "/api"):], nil)
	if js(t, []any{list["next"], at(t, list, "results", 0, "id")}) != `[null,1]` || list["previous"] == nil {
		t.Errorf("next page %v", list)
	}

	// Renamed, it keeps working; deleted, it is refused while somebody uses it.
	i := r.want(t, 201, "POST", base+"insights/", map[string]any{"name": "Opens", "query": onAction(a["id"])})
	r.want(t, 200, "PATCH", base+"actions/1/", map[string]any{"name": "Renamed"})
	if got := r.want(t, 200, "GET", fmt.Sprint(base, "insights/", i["id"]), nil); at(t, got, "result", 0, "aggregated_value") != 6.0 {
		t.Errorf("insight of the action %v", got)
	}
	for _, call := range [][2]string{{"DELETE", ""}, {"PATCH", `{"deleted":true}`}} {
		status, out := r.do(t, call[0], base+"actions/1/", call[1])
		if status != 409 || !strings.Contains(out, `"used_by":[{"type":"insight","id":1,"name":"Opens"}]`) {
			t.Errorf("%s of a used action = %d %s", call[0], status, out)
		}
	}
	r.want(t, 204, "DELETE", base+"actions/1/?force=true", nil)
	r.want(t, 404, "GET", base+"actions/1/", nil)
	r.want(t, 404, "PATCH", base+"actions/1/", map[string]any{"name": "x"})
	r.want(t, 200, "PATCH", base+"actions/1/", map[string]any{"deleted": false})
	r.want(t, 204, "DELETE", fmt.Sprint(base, "actions/", b["id"]), nil)
	if list := r.want(t, 200, "GET", base+"actions/", nil); list["count"] != 1.0 {
		t.Errorf("after the deletion %v", list)
	}
	// Of two changes made from one version, the second is refused.
	version := r.want(t, 200, "GET", base+"actions/1/", nil)["version"]
	r.want(t, 200, "PATCH", base+"actions/1/", map[string]any{"name": "first", "version": version})
	r.want(t, 409, "PATCH", base+"actions/1/", map[string]any{"name": "second", "version": version})
	r.want(t, 404, "GET", "/api/projects/9/actions/", nil)
	r.want(t, 400, "GET", base+"actions/?limit=0", nil)
	r.want(t, 400, "GET", base+"actions/?order=colour", nil)
}

func cohortWith(leaf ...any) map[string]any {
	return map[string]any{"name": "c", "filters": map[string]any{"properties": map[string]any{"type": "AND", "values": leaf}}}
}

func TestCohortsOverHTTP(t *testing.T) {
	r := savedNode(t)
	older := map[string]any{"type": "person", "key": "age", "operator": "gt", "value": 20}
	c := r.want(t, 201, "POST", base+"cohorts/", cohortWith(older))
	if c["count"] != 2.0 || c["last_calculation"] == nil || c["is_calculating"] != false || c["errors_calculating"] != 0.0 {
		t.Errorf("created %v", c)
	}
	p := r.want(t, 200, "GET", base+"cohorts/1/persons/?limit=1", nil)
	if p["count"] != 2.0 || p["next"] == nil || len(p["results"].([]any)) != 1 || at(t, p, "results", 0, "distinct_ids") == nil {
		t.Errorf("persons %v", p)
	}
	if p = r.want(t, 200, "GET", base+"cohorts/1/persons/?search=bob", nil); p["count"] != 1.0 || js(t, at(t, p, "results", 0, "distinct_ids")) != `["bob"]` {
		t.Errorf("bob %v", p)
	}
	// An action and a cohort in a cohort; its persons change with the data.
	a := r.want(t, 201, "POST", base+"actions/", map[string]any{"name": "Paid", "steps": []any{map[string]any{"event": "pay"}}})
	paid := map[string]any{"type": "behavioral", "value": "performed_event", "event_type": "actions", "key": a["id"], "time_value": 7, "time_interval": "day"}
	if c = r.want(t, 201, "POST", base+"cohorts/", cohortWith(paid)); c["count"] != 1.0 {
		t.Errorf("who paid %v", c)
	}
	r.want(t, 409, "DELETE", fmt.Sprint(base, "actions/", a["id"]), nil)
	if c = r.want(t, 201, "POST", base+"cohorts/", cohortWith(isCohort(1), isCohort(2))); c["count"] != 0.0 {
		t.Errorf("both %v", c)
	}
	if c = r.want(t, 200, "PATCH", base+"cohorts/3/", cohortWith(isCohort(1))); c["count"] != 2.0 {
		t.Errorf("changed %v", c)
	}
	// From an insight.
	q := map[string]any{"kind": "ActorsQuery", "source": map[string]any{"kind": "InsightActorsQuery", "source": trend("open"), "series": 0}}
	if c = r.want(t, 201, "POST", base+"cohorts/", map[string]any{"name": "who opened", "query": q}); c["count"] != 3.0 {
		t.Errorf("cohort of a query %v", c)
	}
	if c = r.want(t, 201, "POST", base+"cohorts/", map[string]any{"name": "who opened then", "is_static": true, "query": q}); c["count"] != 3.0 {
		t.Errorf("static cohort of a query %v", c)
	}
	// Refused.
	for _, bad := range []struct {
		body any
		attr string
	}{
		{map[string]any{"name": "x"}, "filters"},
		{cohortWith(map[string]any{"type": "behavioral"}), "filters.properties.values.0.value"},
		{map[string]any{"name": "x", "query": map[string]any{}}, "query.kind"},
		{cohortWith(isCohort(99)), ""},
		{cohortWith(map[string]any{"type": "person", "key": "age", "value": 1, "negation": true}), ""},
	} {
		status, out := r.send(t, "POST", base+"cohorts/", bad.body)
		if status != 400 || bad.attr != "" && out["attr"] != bad.attr {
			t.Errorf("%s = %d %v", js(t, bad.body), status, out)
		}
	}
	// A cycle is refused: straight, through another, through an action.
	for _, leaf := range []any{isCohort(1), isCohort(3)} {
		if out := r.want(t, 400, "PATCH", base+"cohorts/1/", cohortWith(leaf)); out["code"] != "cohort_cycle" {
			t.Errorf("cycle %v", out)
		}
	}
	step := map[string]any{"event": "pay", "properties": []any{isCohort(2)}}
	if out := r.want(t, 400, "PATCH", base+"actions/1/", map[string]any{"steps": []any{step}}); out["code"] != "cohort_cycle" {
		t.Errorf("cycle through an action %v", out)
	}
	lines := `{"type":"cohort","id":11,"name":"a","filters":{"properties":{"type":"OR","values":[{"type":"cohort","value":12}]}}}` + "\n" +
		`{"type":"cohort","id":12,"name":"b","filters":{"properties":{"type":"OR","values":[{"type":"cohort","value":11}]}}}`
	if status, out := r.do(t, "POST", base+"import/", lines, "Content-Type", "application/x-ndjson"); status != 400 || !strings.Contains(out, "cohort 11 → cohort 12 → cohort 11") {
		t.Errorf("import of a cycle = %d %s", status, out)
	}
	if status, out := r.do(t, "POST", base+"import/", strings.Replace(lines[:strings.Index(lines, "\n")], `"id":11`, `"id":12`, 1), "Content-Type", "application/x-ndjson"); status != 400 {
		t.Errorf("import of a cohort of itself = %d %s", status, out)
	}
	// What came by import is counted when it is listed.
	if status, out := r.do(t, "POST", base+"import/", `{"type":"cohort","id":20,"name":"imported","filters":{"properties":{"type":"AND","values":[{"type":"cohort","value":1}]}}}`, "Content-Type", "application/x-ndjson"); status != 200 {
		t.Fatalf("import = %d %s", status, out)
	}
	if list := r.want(t, 200, "GET", base+"cohorts/?search=imported", nil); at(t, list, "results", 0, "count") != 2.0 {
		t.Errorf("list %v", list)
	}
	r.want(t, 204, "DELETE", base+"cohorts/20/", nil)
	// In use.
	out := r.want(t, 409, "DELETE", base+"cohorts/1/", nil)
	if js(t, out["used_by"]) != `[{"id":3,"name":"c","type":"cohort"}]` {
		t.Errorf("used by %v", out["used_by"])
	}
	r.want(t, 200, "PATCH", "/api/projects/1/", map[string]any{"test_account_filters": []any{isCohort(4)}})
	if out = r.want(t, 409, "DELETE", base+"cohorts/4/", nil); !strings.Contains(js(t, out["used_by"]), `"type":"project"`) {
		t.Errorf("used by %v", out["used_by"])
	}
	r.want(t, 204, "DELETE", base+"cohorts/1/?force=true", nil)
	if c = r.want(t, 200, "GET", base+"cohorts/3/", nil); c["count"] != nil || c["errors_calculating"] != 1.0 || !strings.Contains(js(t, c["error"]), "no cohort 1") {
		t.Errorf("a cohort of a deleted one %v", c)
	}
}

// upload sends a form with a file of ids.
func (r *running) upload(t *testing.T, method, path, csv string, fields ...string) (int, map[string]any) {
	t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	for i := 0; i < len(fields); i += 2 {
		if err := form.WriteField(fields[i], fields[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	file, err := form.CreateFormFile("csv", "ids.csv")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.Write([]byte(csv)); err != nil {
		t.Fatal(err)
	}
	if err := form.Close(); err != nil {
		t.Fatal(err)
	}
	status, text := r.do(t, method, path, body.String(), "Content-Type", form.FormDataContentType())
	var out map[string]any
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return status, out
}

func TestStaticCohortsOverHTTP(t *testing.T) {
	r := savedNode(t)
	status, c := r.upload(t, "POST", base+"cohorts/", "name,distinct_id\nA,ann\nB,nobody\n,bob\nB,ghost\n", "name", "Uploaded", "is_static", "true")
	if status != 201 || c["count"] != 2.0 || c["is_static"] != true || js(t, c["unknown"]) != `["nobody","ghost"]` {
		t.Fatalf("upload = %d %v", status, c)
	}
	p := r.want(t, 200, "GET", base+"cohorts/1/persons", nil)
	if p["count"] != 2.0 {
		t.Errorf("persons %v", p)
	}
	person := at(t, r.want(t, 200, "GET", base+"cohorts/1/persons?search=bob", nil), "results", 0, "id")
	out := r.want(t, 200, "POST", base+"cohorts/1/remove_persons_from_static_cohort/", map[string]any{"person_ids": []any{person}})
	if out["count"] != 1.0 {
		t.Errorf("after bob is out %v", out)
	}
	// A plain list without a header, of ids and uuids.
	text := fmt.Sprintf("\ufeffcat\r\n%s\r\n00000000-0000-0000-0000-000000000001\r\n", person)
	if status, body := r.do(t, "PATCH", base+"cohorts/1/add_persons_to_static_cohort/", text, "Content-Type", "text/csv"); status != 200 || body != `{"count":3,"unknown":["00000000-0000-0000-0000-000000000001"]}`+"\n" {
		t.Errorf("CSV = %d %s", status, body)
	}
	if out := r.want(t, 200, "POST", base+"cohorts/1/remove_persons_from_static_cohort/", map[string]any{"distinct_ids": []string{"ann", "who"}}); js(t, out) != `{"count":2,"unknown":["who"]}` {
		t.Errorf("removed %v", out)
	}
	if status, c := r.upload(t, "PATCH", base+"cohorts/1/", "ann\n"); status != 200 || c["count"] != 3.0 {
		t.Errorf("upload to it = %d %v", status, c)
	}
	if list := r.want(t, 200, "GET", base+"cohorts/?is_static=true", nil); at(t, list, "results", 0, "count") != 3.0 {
		t.Errorf("list %v", list)
	}
	// As a filter.
	q := trend("open")
	q["properties"] = []any{isCohort(1)}
	if out := r.want(t, 200, "POST", queryPath, map[string]any{"query": q}); at(t, out, "results", 0, "aggregated_value") != 6.0 {
		t.Errorf("filter %v", out)
	}
	r.want(t, 201, "POST", base+"cohorts/", cohortWith(isCohort(1)))
	if out := r.want(t, 400, "POST", base+"cohorts/2/add_persons_to_static_cohort/", map[string]any{"distinct_ids": []string{"ann"}}); out["attr"] != "is_static" {
		t.Errorf("members of a dynamic cohort %v", out)
	}
	if status, out := r.upload(t, "POST", base+"cohorts/", "ann\n", "name", "x"); status != 400 || out["attr"] != "is_static" {
		t.Errorf("upload of a dynamic cohort = %d %v", status, out)
	}
	for _, bad := range []any{map[string]any{}, map[string]any{"person_ids": []string{"x"}}} {
		r.want(t, 400, "POST", base+"cohorts/1/add_persons_to_static_cohort/", bad)
	}
}

func TestInsightsOverHTTP(t *testing.T) {
	r := savedNode(t)
	i := r.want(t, 201, "POST", base+"insights/", map[string]any{"name": "Opens", "derived_name": "open count", "favorited": true,
		"query": map[string]any{"kind": "InsightVizNode", "source": trend("open")}})
	short, _ := i["short_id"].(string)
	if len(short) != 8 || js(t, i["dashboards"]) != "[]" || i["result"] != nil {
		t.Fatalf("created %v", i)
	}
	want := r.want(t, 200, "POST", queryPath, map[string]any{"query": trend("open")})["results"]
	for _, path := range []string{"insights/1/", "insights/" + short + "/"} {
		got := r.want(t, 200, "GET", base+path, nil)
		if !reflect.DeepEqual(got["result"], want) || got["last_refresh"] == nil || !strings.Contains(fmt.Sprint(got["sql"]), "SELECT") {
			t.Errorf("%s = %v, want %v", path, got, want)
		}
	}
	list := r.want(t, 200, "GET", base+"insights/?short_id="+short, nil)
	if list["count"] != 1.0 || !reflect.DeepEqual(at(t, list, "results", 0, "result"), want) {
		t.Errorf("by short id %v", list)
	}
	sql := r.want(t, 201, "POST", base+"insights/", map[string]any{"query": map[string]any{"kind": "DataTableNode", "source": map[string]any{"kind": "SQLQuery", "query": "select count(*) as n from events"}}})
	if got := r.want(t, 200, "GET", fmt.Sprint(base, "insights/", sql["id"]), nil); js(t, []any{got["result"], got["columns"]}) != `[[[7]],["n"]]` {
		t.Errorf("SQL %v", got)
	}
	// The old form.
	old := r.want(t, 201, "POST", base+"insights/", map[string]any{"filters": map[string]any{"insight": "TRENDS", "events": []any{map[string]any{"id": "open", "type": "events"}}, "display": "BoldNumber"}})
	if got := r.want(t, 200, "GET", fmt.Sprint(base, "insights/", old["id"]), nil); !reflect.DeepEqual(at(t, got, "result", 0, "aggregated_value"), 6.0) {
		t.Errorf("old form %v", got)
	}
	if list := r.want(t, 200, "GET", base+"insights/?favorited=true&search=COUNT", nil); list["count"] != 1.0 {
		t.Errorf("favorites %v", list)
	}
	for body, attr := range map[string]string{`{}`: "query", `{"query":1}`: "query", `{"query":{}}`: "query.kind", `{"query":{"kind":"x"},"order":"x"}`: "order", `{"query":{"kind":"x"},"dashboards":[7]}`: "dashboards"} {
		if status, out := r.do(t, "POST", base+"insights/", body); status != 400 || !strings.Contains(out, `"attr":"`+attr+`"`) {
			t.Errorf("%s = %d %s", body, status, out)
		}
	}
	// One that cannot be answered can be read all the same.
	bad := r.want(t, 201, "POST", base+"insights/", map[string]any{"query": map[string]any{"kind": "NoQuery"}})
	if got := r.want(t, 200, "GET", fmt.Sprint(base, "insights/", bad["id"]), nil); got["result"] != nil || !strings.Contains(js(t, got["error"]), "NoQuery") {
		t.Errorf("unknown kind %v", got)
	}
}

func TestDashboardsOverHTTP(t *testing.T) {
	r := savedNode(t)
	r.want(t, 201, "POST", base+"insights/", map[string]any{"name": "Opens", "query": trend("open")})
	r.want(t, 201, "POST", base+"insights/", map[string]any{"name": "Pays", "query": map[string]any{"kind": "InsightVizNode", "source": trend("pay")}})
	d := r.want(t, 201, "POST", base+"dashboards/", map[string]any{"name": "Board", "pinned": true, "tiles": []any{
		map[string]any{"insight": 1, "layouts": map[string]any{"sm": map[string]any{"x": 0, "y": 0, "w": 6, "h": 5}}}, map[string]any{"text": "# Hello"}}})
	if at(t, d, "tiles", 0, "insight", "result") != nil || at(t, d, "tiles", 1, "text", "body") != "# Hello" {
		t.Errorf("created %v", d)
	}
	r.want(t, 200, "PATCH", base+"insights/2/", map[string]any{"dashboards": []int{1}})
	got := r.want(t, 200, "GET", base+"dashboards/1/", nil)
	value := func(d map[string]any, tile int) any {
		t.Helper()
		return at(t, d, "tiles", tile, "insight", "result", 0, "aggregated_value")
	}
	if value(got, 0) != 6.0 || value(got, 2) != 1.0 || js(t, at(t, got, "tiles", 0, "layouts")) != `{"sm":{"h":5,"w":6,"x":0,"y":0}}` {
		t.Fatalf("dashboard %v", got)
	}
	if i := r.want(t, 200, "GET", base+"insights/1/", nil); js(t, i["dashboards"]) != "[1]" {
		t.Errorf("dashboards of the insight %v", i["dashboards"])
	}
	// Filters change all tiles.
	older := map[string]any{"type": "person", "key": "age", "operator": "gt", "value": 20}
	r.want(t, 200, "PATCH", base+"dashboards/1/", map[string]any{"filters": map[string]any{"properties": []any{older}}})
	if got = r.want(t, 200, "GET", base+"dashboards/1/", nil); value(got, 0) != 5.0 || value(got, 2) != 0.0 {
		t.Errorf("filtered %v", got)
	}
	if i := r.want(t, 200, "GET", base+"insights/1/?from_dashboard=1", nil); at(t, i, "result", 0, "aggregated_value") != 5.0 {
		t.Errorf("insight from the dashboard %v", i)
	}
	if i := r.want(t, 200, "GET", base+"insights/1/?filters_override="+`{"date_from":"2020-01-01","date_to":"2020-01-02"}`, nil); at(t, i, "result", 0, "aggregated_value") != 0.0 {
		t.Errorf("another time %v", i)
	}
	r.want(t, 200, "PATCH", base+"dashboards/1/", map[string]any{"filters": map[string]any{"breakdown_filter": map[string]any{"breakdown": "plan", "breakdown_type": "event"}}})
	if got = r.want(t, 200, "GET", base+"dashboards/1/", nil); len(at(t, got, "tiles", 0, "insight", "result").([]any)) != 3 {
		t.Errorf("broken down %v", at(t, got, "tiles", 0))
	}
	// Tiles change one by one.
	got = r.want(t, 200, "PATCH", base+"dashboards/1/", map[string]any{"filters": nil, "tiles": []any{map[string]any{"id": 1, "color": "blue"}, map[string]any{"id": 2, "deleted": true}, map[string]any{"text": map[string]any{"body": "bye"}}}})
	if js(t, []any{at(t, got, "tiles", 0, "color"), at(t, got, "tiles", 1, "id"), at(t, got, "tiles", 2, "text", "body"), at(t, got, "tiles", 2, "id")}) != `["blue",3,"bye",4]` {
		t.Errorf("tiles %v", got["tiles"])
	}
	for body, attr := range map[string]string{
		`{"name":""}`:                                     "name",
		`{"name":"x","tiles":[{}]}`:                       "tiles.0.insight",
		`{"name":"x","tiles":[{"insight":99}]}`:           "tiles.0.insight",
		`{"name":"x","tiles":[{"id":9}]}`:                 "tiles.0.id",
		`{"name":"x","tiles":[{"text":"a","layouts":1}]}`: "tiles.0.layouts",
		`{"name":"x","filters":{"date_from":1}}`:          "filters.date_from",
		`{"name":"x","filters":{"properties":1}}`:         "filters.properties",
		`{"name":"x","pinned":1}`:                         "pinned",
	} {
		if status, out := r.do(t, "POST", base+"dashboards/", body); status != 400 || !strings.Contains(out, `"attr":"`+attr+`"`) {
			t.Errorf("%s = %d %s", body, status, out)
		}
	}
	// A deleted insight leaves the dashboard, and comes back to it.
	r.want(t, 204, "DELETE", base+"insights/1/", nil)
	if got = r.want(t, 200, "GET", base+"dashboards/1/", nil); len(got["tiles"].([]any)) != 2 {
		t.Errorf("without the insight %v", got["tiles"])
	}
	r.want(t, 200, "PATCH", base+"insights/1/", map[string]any{"deleted": false})
	if list := r.want(t, 200, "GET", base+"dashboards/?pinned=true", nil); list["count"] != 1.0 || at(t, list, "results", 0, "tiles") != nil {
		t.Errorf("list %v", list)
	}
	r.want(t, 200, "PATCH", base+"insights/2/", map[string]any{"dashboards": []int{}})
	if got = r.want(t, 200, "GET", base+"dashboards/1/", nil); len(got["tiles"].([]any)) != 2 {
		t.Errorf("taken off %v", got["tiles"])
	}
}

func TestSharing(t *testing.T) {
	r := savedNode(t)
	r.want(t, 201, "POST", base+"insights/", map[string]any{"name": "Opens", "query": trend("open")})
	r.want(t, 201, "POST", base+"dashboards/", map[string]any{"name": "Board", "tiles": []any{map[string]any{"insight": 1}, map[string]any{"text": "hi"}}})
	if sh := r.want(t, 200, "GET", base+"dashboards/1/sharing/", nil); js(t, sh) != `{"access_token":null,"created_at":null,"enabled":false,"url":null}` {
		t.Errorf("at first %v", sh)
	}
	sh := r.want(t, 200, "PATCH", base+"dashboards/1/sharing/", map[string]any{"enabled": true})
	token := fmt.Sprint(sh["access_token"])
	if len(token) != 32 {
		t.Fatalf("sharing %v", sh)
	}
	// From anywhere, and with nothing else in it.
	status, body := r.do(t, "GET", "/shared/"+token+"?filters_override={", "", "Host", "anywhere.example", "X-Forwarded-For", "10.0.0.1")
	var out map[string]any
	if err := json.Unmarshal([]byte(body), &out); err != nil || status != 200 {
		t.Fatalf("shared = %d %s", status, body)
	}
	if at(t, out, "dashboard", "tiles", 0, "insight", "result", 0, "aggregated_value") != 6.0 || at(t, out, "dashboard", "tiles", 1, "text", "body") != "hi" {
		t.Errorf("shared %s", body)
	}
	for _, word := range []string{token, "short_id", "team_id", "api_token", "phc_", "\"dashboards\"", "\"token\"", "\"sql\""} {
		if strings.Contains(body, word) {
			t.Errorf("what is shared holds %s: %s", word, body)
		}
	}
	for _, method := range []string{"POST", "PATCH", "DELETE"} {
		if status, body := r.do(t, method, "/shared/"+token, "{}", "Host", "anywhere.example"); status < 400 {
			t.Errorf("%s = %d %s", method, status, body)
		}
	}
	next := fmt.Sprint(r.want(t, 200, "POST", base+"dashboards/1/sharing/refresh/", nil)["access_token"])
	r.want(t, 404, "GET", "/shared/"+token, nil)
	r.want(t, 200, "GET", "/shared/"+next+"/", nil)
	r.want(t, 200, "PATCH", base+"dashboards/1/sharing/", map[string]any{"enabled": false})
	r.want(t, 404, "GET", "/shared/"+next, nil)
	if again := r.want(t, 200, "PATCH", base+"dashboards/1/sharing/", map[string]any{"enabled": true}); again["access_token"] != next {
		t.Errorf("shared again %v, want the token %s", again, next)
	}
	r.want(t, 204, "DELETE", base+"dashboards/1/", nil)
	r.want(t, 404, "GET", "/shared/"+next, nil)
	r.want(t, 404, "GET", "/shared/"+strings.Repeat("a", 32), nil)
	one := fmt.Sprint(r.want(t, 200, "PATCH", base+"insights/1/sharing/", map[string]any{"enabled": true})["access_token"])
	if out := r.want(t, 200, "GET", "/shared/"+one, nil); at(t, out, "insight", "result", 0, "aggregated_value") != 6.0 {
		t.Errorf("shared insight %v", out)
	}
	r.want(t, 400, "PATCH", base+"insights/1/sharing/", map[string]any{})
}

func TestAnnotationsOverHTTP(t *testing.T) {
	r := savedNode(t)
	a := r.want(t, 201, "POST", base+"annotations/", map[string]any{"content": "launch", "date_marker": "2026-01-31T12:00:00+02:00"})
	if a["date_marker"] != "2026-01-31T10:00:00Z" || a["scope"] != "project" {
		t.Errorf("created %v", a)
	}
	r.want(t, 201, "POST", base+"annotations/", map[string]any{"content": "now"})
	r.want(t, 201, "POST", base+"insights/", map[string]any{"query": trend("open")})
	r.want(t, 201, "POST", base+"annotations/", map[string]any{"content": "of one", "scope": "dashboard_item", "dashboard_item": 1, "date_marker": "2026-02-01"})
	for path, want := range map[string]float64{"": 3, "?scope=project": 2, "?dashboard_item=1": 1, "?date_from=2026-01-01&date_to=2026-01-31T11:00": 1, "?search=LAUNCH": 1} {
		if list := r.want(t, 200, "GET", base+"annotations/"+path, nil); list["count"] != want {
			t.Errorf("%s = %v, want %v", path, list, want)
		}
	}
	for body, attr := range map[string]string{`{}`: "content", `{"content":"x","date_marker":"soon"}`: "date_marker", `{"content":"x","scope":"world"}`: "scope",
		`{"content":"x","scope":"dashboard_item"}`: "dashboard_item", `{"content":"x","dashboard_item":9}`: "dashboard_item"} {
		if status, out := r.do(t, "POST", base+"annotations/", body); status != 400 || !strings.Contains(out, `"attr":"`+attr+`"`) {
			t.Errorf("%s = %d %s", body, status, out)
		}
	}
	if a = r.want(t, 200, "PATCH", base+"annotations/1/", map[string]any{"content": "Launch!"}); a["content"] != "Launch!" {
		t.Errorf("changed %v", a)
	}
	r.want(t, 204, "DELETE", base+"annotations/1/", nil)
}

func TestDefinitionsOverHTTP(t *testing.T) {
	r := savedNode(t)
	names := func(path string) string {
		t.Helper()
		var out []any
		for _, d := range r.want(t, 200, "GET", base+path, nil)["results"].([]any) {
			out = append(out, at(t, d, "name"))
		}
		return js(t, out)
	}
	for path, want := range map[string]string{
		"event_definitions/":                                  `["open","pay"]`,
		"event_definitions/?search=PA":                        `["pay"]`,
		"property_definitions/":                               `["amount","n","plan"]`,
		"property_definitions/?event_names=[\"pay\"]":         `["amount"]`,
		"property_definitions/?is_numerical=true":             `["amount","n"]`,
		"property_definitions/?type=person":                   `["age","email"]`,
		"property_definitions/?properties=n,plan&limit=1":     `["n"]`,
		"property_definitions/?type=group&group_type_index=0": `null`,
	} {
		if got := names(path); got != want {
			t.Errorf("%s = %s, want %s", path, got, want)
		}
	}
	pay := r.want(t, 200, "GET", base+"event_definitions/by_name/?name=pay", nil)
	if pay["volume_30_day"] != 1.0 || pay["last_seen_at"] == nil || pay["hidden"] != false {
		t.Errorf("pay %v", pay)
	}
	path := fmt.Sprint(base, "event_definitions/", pay["id"], "/")
	if got := r.want(t, 200, "PATCH", path, map[string]any{"description": "money", "hidden": true, "verified": true, "tags": []string{"a"}, "name": "other"}); got["name"] != "pay" || got["description"] != "money" || got["id"] != pay["id"] {
		t.Errorf("described %v", got)
	}
	r.want(t, 400, "PATCH", path, map[string]any{"hidden": 1})
	if got := names("event_definitions/?exclude_hidden=true"); got != `["open"]` {
		t.Errorf("without hidden ones %s", got)
	}
	if got := names("event_definitions/?verified=true"); got != `["pay"]` {
		t.Errorf("verified ones %s", got)
	}
	r.want(t, 204, "DELETE", path, nil)
	if got := r.want(t, 200, "GET", path, nil); got["description"] != "" {
		t.Errorf("described no more %v", got)
	}
	// The type of a property changes what a filter compares.
	list := r.want(t, 200, "GET", base+"property_definitions/?properties=n", nil)
	n := at(t, list, "results", 0)
	if at(t, n, "property_type") != "Numeric" || at(t, n, "is_numerical") != true {
		t.Errorf("n %v", n)
	}
	r.want(t, 200, "PATCH", fmt.Sprint(base, "property_definitions/", at(t, n, "id")), map[string]any{"property_type": "String"})
	if got := r.want(t, 200, "GET", fmt.Sprint(base, "property_definitions/", at(t, n, "id")), nil); got["property_type"] != "String" || got["type"] != "event" {
		t.Errorf("n as text %v", got)
	}
	r.want(t, 400, "PATCH", fmt.Sprint(base, "property_definitions/", at(t, n, "id")), map[string]any{"property_type": "Colour"})
	r.want(t, 201, "POST", base+"event_definitions/", map[string]any{"name": "planned"})
	r.want(t, 409, "POST", base+"event_definitions/", map[string]any{"name": "planned"})
	if got := names("event_definitions/"); got != `["open","pay","planned"]` {
		t.Errorf("with a planned one %s", got)
	}
	r.want(t, 404, "GET", base+"event_definitions/nothing/", nil)
	r.want(t, 400, "GET", base+"property_definitions/?type=x", nil)
}

func TestOldLinks(t *testing.T) {
	r := savedNode(t)
	ask := func(path string) (int, map[string]any) {
		t.Helper()
		status, body := r.do(t, http.MethodGet, path, "", "Accept", "application/json")
		var out map[string]any
		if err := json.Unmarshal([]byte(body), &out); err != nil {
			t.Fatalf("%s = %s: %v", path, body, err)
		}
		return status, out
	}
	events := `[{"id":"open","type":"events"}]`
	for _, path := range []string{"/insights/new", "/insights/", "/insights/trend/?project=1&x=1"} {
		sep := "?"
		if strings.Contains(path, "?") {
			sep = "&"
		}
		status, out := ask(path + sep + "insight=TRENDS&display=BoldNumber&events=" + events)
		if status != 200 || at(t, out, "query", "kind") != "TrendsQuery" || at(t, out, "results", 0, "aggregated_value") != 6.0 {
			t.Errorf("%s = %d %v", path, status, out)
		}
	}
	if status, out := ask(`/insights/new?insight=TRENDS&actions=[{"id":77,"type":"actions"}]&properties=[{"type":"cohort","key":"id","value":78}]`); status != 400 || out["detail"] != "there is no action 77; there is no cohort 78" {
		t.Errorf("missing ones = %d %v", status, out)
	}
	if status, _ := ask("/insights/new?insight=TRENDS&project=9&events=" + events); status != 404 {
		t.Errorf("no such project = %d", status)
	}
	if status, _ := ask("/insights/new"); status != 404 {
		t.Errorf("no insight = %d", status)
	}
	filters := map[string]any{"insight": "TRENDS", "display": "BoldNumber", "events": []any{map[string]any{"id": "open", "type": "events"}}}
	if out := r.want(t, 200, "POST", queryPath, map[string]any{"filters": filters}); at(t, out, "results", 0, "aggregated_value") != 6.0 {
		t.Errorf("old filters %v", out)
	}
	filters["actions"] = []any{map[string]any{"id": 77, "type": "actions"}}
	if out := r.want(t, 400, "POST", queryPath, map[string]any{"filters": filters}); out["detail"] != "there is no action 77" {
		t.Errorf("missing action %v", out)
	}
}
