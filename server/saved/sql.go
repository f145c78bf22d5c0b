package saved

import (
	"encoding/json"

	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/sql/ast"
	"github.com/prickledb/prickle/sql/parse"
	"github.com/prickledb/prickle/storage/object"
)

// Definition is the query that defines a cohort in SQL; empty for one that was made in
// another way.
func (b Body) Definition() string { return b.Text("sql") }

// CohortNamed is the cohort of a name, the oldest if several have it; nil if there is none.
func CohortNamed(t *object.Table, name string) *object.Object {
	for _, o := range t.List(object.Cohort) {
		var body struct {
			Name    string `json:"name"`
			Deleted bool   `json:"deleted"`
		}
		if json.Unmarshal(o.Body, &body) == nil && body.Name == name && !body.Deleted {
			return o
		}
	}
	return nil
}

// ByNumber is a query in SQL that refers to cohorts by their numbers instead of their names,
// so that it goes on to mean the same ones when these have other names.
func ByNumber(t *object.Table, query string) (string, error) {
	q, err := parse.Query(query)
	if err != nil {
		return "", wrong("sql", "sql is no query: %v", err)
	}
	changed := ast.NumberCohorts(q, func(name string) int64 {
		if o := CohortNamed(t, name); o != nil {
			return o.ID
		}
		if err == nil {
			err = wrong("sql", "there is no cohort %q", name)
		}
		return 0
	})
	if err != nil || !changed {
		return query, err
	}
	return ast.Format(q), nil
}

// ByName is the contrary of ByNumber, for people: what has no name of its own keeps its
// number.
func ByName(t *object.Table, query string) string {
	q, err := parse.Query(query)
	if err != nil {
		return query
	}
	changed := ast.NameCohorts(q, func(id int64) string {
		if o := t.Get(object.Cohort, id); o != nil {
			if name := Read(o).Text("name"); CohortNamed(t, name) == o {
				return name
			}
		}
		return ""
	})
	if !changed {
		return query
	}
	return ast.Format(q)
}

// checkSQL checks that the member sql is a query.
func checkSQL(b Body) error {
	var text string
	if err := b.read("sql", "sql", "a query as text", &text); err != nil || !b.Has("sql") {
		return err
	}
	if _, err := parse.Query(text); err != nil {
		return wrong("sql", "sql is no query: %s", pgerr.From(err).Message)
	}
	return nil
}

// cohortsIn are the numbers of the cohorts that a query refers to; named finds those that it
// refers to by name, and may be nil.
func cohortsIn(query string, named func(string) int64) (out []int64) {
	q, err := parse.Query(query)
	if err != nil {
		return nil // it is refused when it is asked
	}
	ast.EachCohort(q, func(n *ast.CohortName, _ *ast.CohortTable) {
		id := int64(n.ID)
		if id == 0 && named != nil {
			id = named(n.Name)
		}
		if id > 0 {
			out = append(out, id)
		}
	})
	return out
}
