package saved

import (
	"encoding/json"
	"slices"
	"strconv"

	"github.com/prickledb/prickle/storage/object"
)

// Kind is what is common to the objects of one kind.
type Kind struct {
	Name   string // of the objects in the store
	Path   string // of their URLs
	Called string // one of them, in sentences
	// Fields are the members that are kept, and what is shown of one that is missing. Others
	// are left out.
	Fields map[string]string
	// Search are the fields that a search looks into.
	Search []string
	Check  func(Body) error
}

// common are the fields of every kind.
var common = map[string]string{"name": `""`, "description": `""`, "tags": "[]", "deleted": "false"}

// The kinds that have numbers. Definitions and sharing have names instead.
var (
	Actions = &Kind{Name: object.Action, Path: "actions", Called: "action", Search: []string{"name", "description"}, Check: CheckAction,
		Fields: fields(map[string]string{"steps": "[]"})}
	Cohorts = &Kind{Name: object.Cohort, Path: "cohorts", Called: "cohort", Search: []string{"name", "description"}, Check: CheckCohort,
		Fields: fields(map[string]string{"is_static": "false", "filters": "{}", "groups": "[]", "query": "null", "sql": "null"})}
	Insights = &Kind{Name: object.Insight, Path: "insights", Called: "insight", Search: []string{"name", "derived_name", "description"}, Check: CheckInsight,
		Fields: fields(map[string]string{"derived_name": `""`, "query": "null", "favorited": "false", "order": "null"})}
	Dashboards = &Kind{Name: object.Dashboard, Path: "dashboards", Called: "dashboard", Search: []string{"name", "description"}, Check: CheckDashboard,
		Fields: fields(map[string]string{"tiles": "[]", "filters": "{}", "pinned": "false"})}
	Annotations = &Kind{Name: object.Annotation, Path: "annotations", Called: "annotation", Search: []string{"content"}, Check: CheckAnnotation,
		Fields: fields(map[string]string{"content": `""`, "date_marker": "null", "scope": `"project"`, "dashboard_item": "null", "dashboard_id": "null", "emoji": "null"})}
)

// Kinds is all of them.
var Kinds = []*Kind{Actions, Cohorts, Insights, Dashboards, Annotations}

func fields(own map[string]string) map[string]string {
	for name, value := range common {
		own[name] = value
	}
	return own
}

// Read is the body of an object.
func Read(o *object.Object) Body {
	b := Body{}
	if json.Unmarshal(o.Body, &b) != nil || b == nil {
		return Body{} // an object that holds something else has no members
	}
	return b
}

// Patch puts the fields that in has in the place of those of b. Null takes one out.
func (k *Kind) Patch(b, in Body) {
	for name := range k.Fields {
		if value, given := in[name]; given {
			if string(value) == "null" {
				delete(b, name)
			} else {
				b[name] = value
			}
		}
	}
}

// Show is the fields of a body, all of them.
func (k *Kind) Show(b Body) Body {
	out := Body{}
	for name, missing := range k.Fields {
		if out[name] = json.RawMessage(missing); b.Has(name) {
			out[name] = b[name]
		}
	}
	return out
}

// Deleted says whether an object was put aside.
func (b Body) Deleted() bool { return string(b["deleted"]) == "true" }

// checkCommon checks the fields of every kind.
func checkCommon(b Body, named bool) error {
	if err := b.checkName("name", named); err != nil {
		return err
	}
	var text string
	if err := b.read("description", "description", "a text", &text); err != nil {
		return err
	}
	if len(text) > maxText {
		return wrong("description", "description is at most %d bytes long", maxText)
	}
	var tags []string
	if err := b.read("tags", "tags", "a list of texts", &tags); err != nil {
		return err
	}
	if i := slices.IndexFunc(tags, func(t string) bool { return len(t) > maxName }); i >= 0 || len(tags) > maxTags {
		return wrong("tags", "tags are at most %d texts of %d bytes", maxTags, maxName)
	}
	return b.checkFlag("deleted")
}

// checkFlag checks a member that is true or false.
func (b Body) checkFlag(name string) error {
	var flag bool
	return b.read(name, name, "true or false", &flag)
}

// Number is a member that is a whole number from 1 on, or a text of one; 0 if it is not.
func (b Body) Number(name string) int64 {
	if ids := numbers(b[name]); len(ids) == 1 {
		return ids[0]
	}
	return 0
}

// numbers reads a number, a text of one, or a list of them.
func numbers(raw json.RawMessage) (out []int64) {
	var n int64
	if json.Unmarshal(raw, &n) == nil && n > 0 {
		return []int64{n}
	}
	var text string
	if json.Unmarshal(raw, &text) == nil {
		if n, err := strconv.ParseInt(text, 10, 64); err == nil && n > 0 {
			return []int64{n}
		}
	}
	var list []json.RawMessage
	if len(raw) > 0 && raw[0] == '[' && json.Unmarshal(raw, &list) == nil {
		for _, r := range list {
			if len(r) > 0 && r[0] != '[' {
				out = append(out, numbers(r)...)
			}
		}
	}
	return out
}
