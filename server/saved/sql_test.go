package saved

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/prickledb/prickle/storage"
	"github.com/prickledb/prickle/storage/object"
)

func TestCohortsInSQL(t *testing.T) {
	var s object.State
	var edits []object.Edit
	for _, body := range []string{`{"name":"a"}`, `{"name":"b","deleted":true}`, `{"name":"b c"}`, `{"name":"a"}`} {
		edits = append(edits, object.Edit{Kind: object.Cohort, Body: json.RawMessage(body)})
	}
	if _, err := s.Apply(edits, 1); err != nil {
		t.Fatal(err)
	}
	table := s.Publish()
	for _, c := range []struct{ query, number, name string }{
		{"select 1", "select 1", "select 1"},
		{`SELECT x FROM t WHERE x IN COHORT (a EXCEPT (SELECT actor FROM COHORT "b c"))`,
			`SELECT x FROM t WHERE x IN COHORT (1 EXCEPT (SELECT actor FROM COHORT 3 AS "b c"))`, `SELECT x FROM t WHERE x IN COHORT (a EXCEPT (SELECT actor FROM COHORT "b c"))`},
		{"SELECT x FROM t WHERE x IN COHORT 4", "SELECT x FROM t WHERE x IN COHORT 4", "SELECT x FROM t WHERE x IN COHORT 4"}, // the name means another
		{"SELECT x FROM t WHERE x IN COHORT b", `there is no cohort "b"`, ""},
		{"SELECT FROM WHERE", "sql is no query: ", ""},
	} {
		got, err := ByNumber(table, c.query)
		if err != nil {
			if got = err.Error(); len(got) < len(c.number) || got[:len(c.number)] != c.number {
				t.Errorf("%s: %s, want %s", c.query, got, c.number)
			}
			continue
		}
		if got != c.number || ByName(table, got) != c.name {
			t.Errorf("%s\nby number %s\nby name   %s", c.query, got, ByName(table, got))
		}
	}
}

func TestUsersInSQL(t *testing.T) {
	var s object.State
	var edits []object.Edit
	for _, o := range [][2]string{
		{object.Cohort, `{"name":"a"}`},
		{object.Cohort, `{"name":"b","sql":"SELECT actor FROM COHORT 1"}`},
		{object.Cohort, `{"name":"list","is_static":true,"sql":"SELECT actor FROM COHORT 1"}`},
		{object.Insight, `{"name":"i","query":{"kind":"DataTableNode","source":{"kind":"HogQLQuery","query":"select 1 from events where person_id in cohort a"}}}`},
		{object.Insight, `{"name":"broken","query":{"kind":"HogQLQuery","query":"select cohort from where 1"}}`},
	} {
		edits = append(edits, object.Edit{Kind: o[0], Body: json.RawMessage(o[1])})
	}
	if _, err := s.Apply(edits, 1); err != nil {
		t.Fatal(err)
	}
	p := storage.Project{ID: 7, Name: "P", TestAccountFilters: json.RawMessage(`[{"type":"cohort","key":"id","value":2}]`)}
	for id, want := range map[int64]string{1: `insight 1 "i", cohort 2 "b"`, 2: `project 7 "P"`, 3: ""} {
		if got := ListUsers(Users(s.Publish(), p, Ref{object.Cohort, id})); got != want {
			t.Errorf("cohort %d is used by %s, want %s", id, got, want)
		}
	}
	err := Cycle(s.Publish(), map[Ref]json.RawMessage{{object.Cohort, 1}: json.RawMessage(`{"sql":"SELECT x FROM t WHERE x IN COHORT 2"}`)})
	if want := "cohort 1 would depend on itself: cohort 1 → cohort 2 → cohort 1"; fmt.Sprint(err) != want {
		t.Errorf("cycle: %v, want %s", err, want)
	}
	if err := CheckCohort(Body{"name": json.RawMessage(`"x"`), "sql": json.RawMessage(`"SELECT FROM"`)}); err == nil || err.(*Problem).Attr != "sql" {
		t.Errorf("a definition that is no query: %v", err)
	}
}
