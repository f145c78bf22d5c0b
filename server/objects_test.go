package server

import (
	"fmt"
	"strings"
	"testing"

	"github.com/prickledb/prickle/storage/object"
)

// Groups come in by capture and by import, and are a table.
func TestGroupsOverHTTP(t *testing.T) {
	s := startNode(t)
	token := s.backend.Projects()[0].Token
	events := []string{
		`{"event":"$groupidentify","distinct_id":"$company_acme","properties":{"$group_type":"company","$group_key":"acme","$group_set":{"plan":"pro","seats":3}},"timestamp":"2026-01-02T00:00:00Z"}`,
		`{"event":"open","distinct_id":"ann","properties":{"$groups":{"company":"acme","team":7}}}`,
		`{"event":"open","distinct_id":"bob","properties":{"$groups":{"team":8}}}`,
	}
	if status, body := s.do(t, "POST", "/batch/", fmt.Sprintf(`{"api_key":%q,"batch":[%s]}`, token, strings.Join(events, ","))); status != 200 {
		t.Fatalf("capture = %d %s", status, body)
	}
	lines := `{"type":"group","group_type_index":3,"key":"g","properties":{"n":1}}` + "\n" +
		`{"type":"group","group_type_index":0,"key":"acme","properties":{"seats":4},"created_at":"2025-01-01T00:00:00Z"}` + "\n" +
		`{"type":"action","id":5,"name":"A","steps":[{"event":"e"}]}` + "\n" +
		`{"type":"person","distinct_ids":["ann"],"properties":{}}` + "\n" +
		`{"type":"cohort","id":2,"name":"C","is_static":true,"members":["ann","nobody"]}` + "\n"
	status, body := s.do(t, "POST", "/api/projects/1/import/", lines, "Content-Type", "application/x-ndjson")
	if want := `{"events":0,"persons":1,"stored":0,"duplicates":0,"groups":2,"objects":2,"unknown_members":["nobody"]}`; status != 200 || body != want {
		t.Fatalf("import = %d %s, want %s", status, body, want)
	}
	for query, want := range map[string]string{
		"select group_type_index, key, created_at, properties from groups order by 1, 2":   `[[0,"acme","2025-01-01T00:00:00Z",{"plan": "pro", "seats": 4}],[3,"g","1970-01-01T00:00:00Z",{"n": 1}]]`,
		"select distinct_id, group_0, group_1 from events where event = 'open' order by 1": `[["ann","acme","7"],["bob",null,"8"]]`,
		"select properties.seats from groups where properties.plan = 'pro'":                `[["4"]]`,
		"select count(*) from persons": `[[2]]`,
	} {
		status, body := s.do(t, "POST", "/api/projects/1/query/", question(query))
		if status != 200 || !strings.HasPrefix(body, `{"results":`+want) {
			t.Errorf("%s = %d %s, want %s", query, status, body, want)
		}
	}
	if status, body := s.do(t, "POST", "/api/projects/1/query/", question("delete from groups")); status != 400 || !strings.Contains(body, "groupidentify") {
		t.Errorf("delete from groups = %d %s", status, body)
	}
	objects := s.node.Store().Objects(1)
	if o := objects.Get(object.Action, 5); o == nil || string(o.Body) != `{"name":"A","steps":[{"event":"e"}]}` {
		t.Errorf("the action is %+v", o)
	}
	sn, err := s.node.Store().Snapshot(1)
	if err != nil {
		t.Fatal(err)
	}
	defer sn.Release()
	if m := sn.StaticMembers(2); m == nil || m.GetCardinality() != 1 {
		t.Errorf("members of the cohort are %v", m)
	}
}

func TestProjectFilters(t *testing.T) {
	s := startNode(t)
	status, body := s.do(t, "POST", "/api/projects/", `{"name":"F","test_account_filters":[{"type":"person","key":"email","value":"@x"}],"path_cleaning_filters":[{"regex":"/\\d+","alias":"/:id"}]}`)
	want := `"test_account_filters":[{"type":"person","key":"email","value":"@x"}],"path_cleaning_filters":[{"regex":"/\\d+","alias":"/:id"}]`
	if status != 201 || !strings.Contains(body, want) {
		t.Fatalf("create = %d %s", status, body)
	}
	if status, body = s.do(t, "GET", "/api/projects/2/", ""); status != 200 || !strings.Contains(body, want) {
		t.Errorf("get = %d %s", status, body)
	}
	if status, body = s.do(t, "PATCH", "/api/projects/2/", `{"test_account_filters":null}`); status != 200 || !strings.Contains(body, `"test_account_filters":[],"path_cleaning_filters":[{"regex"`) {
		t.Errorf("patch = %d %s", status, body)
	}
	if status, body = s.do(t, "PATCH", "/api/projects/2/", `{"path_cleaning_filters":[]}`); status != 200 || !strings.Contains(body, `"path_cleaning_filters":[]`) {
		t.Errorf("patch = %d %s", status, body)
	}
	for in, attr := range map[string]string{
		`{"test_account_filters":{}}`:                                                "test_account_filters",
		`{"test_account_filters":[1]}`:                                               "test_account_filters",
		`{"path_cleaning_filters":[{"alias":"x"}]}`:                                  "path_cleaning_filters.0.regex",
		`{"path_cleaning_filters":[{"regex":"("}]}`:                                  "path_cleaning_filters.0.regex",
		`{"path_cleaning_filters":[{"regex":"` + strings.Repeat("x", 70000) + `"}]}`: "path_cleaning_filters",
	} {
		for _, call := range [][2]string{{"PATCH", "/api/projects/2/"}, {"POST", "/api/projects/"}} {
			if call[0] == "POST" {
				in = strings.Replace(in, "{", `{"name":"x",`, 1)
			}
			if status, body := s.do(t, call[0], call[1], in); status != 400 || !strings.Contains(body, `"attr":"`+attr+`"`) {
				t.Errorf("%s of %.100s = %d %s", call[0], in, status, body)
			}
		}
	}
}
