package saved

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/prickledb/prickle/storage"
	"github.com/prickledb/prickle/storage/object"
)

// Ref names an object that others may use.
type Ref struct {
	Kind string `json:"type"`
	ID   int64  `json:"id"`
}

func (r Ref) String() string { return fmt.Sprintf("%s %d", r.Kind, r.ID) }

// Uses is the actions and cohorts that JSON names, wherever it does: in the series of
// queries, in filters and breakdowns, in the conditions of cohorts, and by number in SQL.
func Uses(raw json.RawMessage) []Ref { return uses(raw, nil) }

// uses is Uses, which finds also cohorts that SQL refers to by name, unless named is nil.
func uses(raw json.RawMessage, named func(string) int64) []Ref {
	var v any
	if json.Unmarshal(raw, &v) != nil {
		return nil
	}
	var out []Ref
	walkUses(v, named, func(kind string, id any) {
		text, err := json.Marshal(id)
		if err != nil {
			return
		}
		for _, n := range numbers(text) {
			if r := (Ref{kind, n}); !slices.Contains(out, r) {
				out = append(out, r)
			}
		}
	})
	return out
}

func walkUses(v any, named func(string) int64, found func(kind string, id any)) {
	switch v := v.(type) {
	case []any:
		for _, x := range v {
			walkUses(x, named, found)
		}
	case map[string]any:
		switch v["type"] {
		case "cohort", "static-cohort", "precalculated-cohort":
			found(object.Cohort, v["value"])
			found(object.Cohort, v["property"]) // a breakdown
		case "actions":
			found(object.Action, v["id"])
		case "behavioral":
			if v["event_type"] == "actions" {
				found(object.Action, v["key"])
			}
			if v["seq_event_type"] == "actions" {
				found(object.Action, v["seq_event"])
			}
		}
		if v["kind"] == "ActionsNode" {
			found(object.Action, v["id"])
		}
		for _, id := range cohortsIn(sqlOf(v), named) {
			found(object.Cohort, id)
		}
		if v["breakdown_type"] == "cohort" {
			found(object.Cohort, v["breakdown"])
		}
		found(object.Action, v["actionId"])
		for _, x := range v {
			walkUses(x, named, found)
		}
	}
}

// sqlOf is the query that an object holds as SQL; empty if there is none that is asked again.
func sqlOf(v map[string]any) string {
	query, _ := v["sql"].(string) // a cohort, whose members are those of the query, or were once
	if v["is_static"] == true {
		query = ""
	}
	switch v["kind"] {
	case "SQLQuery", "HogQLQuery":
		query, _ = v["query"].(string)
	}
	if !strings.Contains(strings.ToLower(query), "cohort") {
		return ""
	}
	return query
}

// User is an object that uses another.
type User struct {
	Ref
	Name string `json:"name"`
}

// Users are the objects that use an action or a cohort, and the project itself if its test
// accounts do.
func Users(t *object.Table, p storage.Project, of Ref) []User {
	out := []User{}
	id := strconv.FormatInt(of.ID, 10)
	named := func(name string) int64 {
		if o := CohortNamed(t, name); o != nil {
			return o.ID
		}
		return 0
	}
	for _, k := range []*Kind{Insights, Dashboards, Cohorts, Actions} {
		for _, o := range t.List(k.Name) {
			// Most bodies can be told from their text.
			text := string(o.Body)
			byName := of.Kind == object.Cohort && strings.Contains(text, "QLQuery")
			if !byName && !strings.Contains(text, id) || !slices.Contains(uses(o.Body, named), of) {
				continue
			}
			if b := Read(o); !b.Deleted() {
				out = append(out, User{Ref{k.Name, o.ID}, b.Title()})
			}
		}
	}
	out = slices.DeleteFunc(out, func(u User) bool { return u.Ref == of })
	if slices.Contains(Uses(p.TestAccountFilters), of) {
		out = append(out, User{Ref{"project", int64(p.ID)}, p.Name})
	}
	return out
}

// ListUsers names users in a sentence.
func ListUsers(users []User) string {
	const most = 5
	var words []string
	for i, u := range users {
		if i == most {
			words = append(words, strconv.Itoa(len(users)-most)+" more")
			break
		}
		words = append(words, u.String()+" "+strconv.Quote(u.Name))
	}
	return strings.Join(words, ", ")
}

// Title is what an object is called.
func (b Body) Title() string {
	if name := b.Text("name"); name != "" {
		return name
	}
	return b.Text("derived_name")
}

// Cycle says which of some new bodies would make a cohort or an action depend on itself.
// There, the bodies stand in the place of those of t. An object without a number yet is none
// that others could name.
func Cycle(t *object.Table, bodies map[Ref]json.RawMessage) error {
	g := cycles{table: t, bodies: bodies, done: map[Ref]bool{}}
	starts := make([]Ref, 0, len(bodies))
	for r := range bodies {
		starts = append(starts, r)
	}
	slices.SortFunc(starts, func(a, b Ref) int {
		if a.Kind != b.Kind {
			return strings.Compare(a.Kind, b.Kind)
		}
		return int(a.ID - b.ID)
	})
	for _, r := range starts {
		if err := g.visit(r); err != nil {
			return err
		}
	}
	return nil
}

// cycles looks for one, depth first.
type cycles struct {
	table  *object.Table
	bodies map[Ref]json.RawMessage
	path   []Ref
	done   map[Ref]bool
}

func (g *cycles) visit(r Ref) error {
	if g.done[r] {
		return nil
	}
	if i := slices.Index(g.path, r); i >= 0 {
		words := make([]string, 0, len(g.path)-i+1)
		for _, step := range append(g.path[i:len(g.path):len(g.path)], r) {
			words = append(words, step.String())
		}
		attr := "filters"
		if r.Kind == object.Action {
			attr = "steps"
		}
		return &Problem{Attr: attr, Code: "cohort_cycle", Detail: fmt.Sprintf("%s would depend on itself: %s", r, strings.Join(words, " → "))}
	}
	raw, given := g.bodies[r]
	if !given {
		o := g.table.Get(r.Kind, r.ID)
		if o == nil {
			return nil
		}
		raw = o.Body
	}
	g.path = append(g.path, r)
	for _, next := range Uses(raw) {
		if err := g.visit(next); err != nil {
			return err
		}
	}
	g.path = g.path[:len(g.path)-1]
	g.done[r] = true
	return nil
}
