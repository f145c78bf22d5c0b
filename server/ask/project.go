package ask

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/prickledb/prickle/engine/catalog"
	"github.com/prickledb/prickle/sql/insight"
	"github.com/prickledb/prickle/storage"
	"github.com/prickledb/prickle/storage/object"
	"github.com/prickledb/prickle/storage/properties"
)

// project is what insight queries depend on besides the events, in one state of a project.
type project struct {
	snapshot *storage.Snapshot
	zone     *time.Location
}

// Zone implements insight.Project.
func (p *project) Zone() *time.Location { return p.zone }

// Monday implements insight.Project.
func (p *project) Monday() bool { return p.snapshot.Project().WeekStart != 0 }

// Hidden implements insight.Project.
func (p *project) Hidden(table string) bool {
	return slices.ContainsFunc(catalog.With(catalog.Builtin(), p.snapshot.Tables()), func(t *catalog.Table) bool { return t.Hidden && t.Name == table })
}

// TestAccounts implements insight.Project.
func (p *project) TestAccounts() json.RawMessage { return p.snapshot.Project().TestAccountFilters }

// PathCleaning implements insight.Project.
func (p *project) PathCleaning() json.RawMessage {
	rules := p.snapshot.Project().PathCleaning
	if len(rules) == 0 {
		return nil
	}
	raw, err := json.Marshal(rules)
	if err != nil {
		return nil // texts always marshal
	}
	return raw
}

// object reads an object's body; false if there is none, or if it is none.
func (p *project) object(kind string, id int64, into any) bool {
	o := p.snapshot.Objects().Get(kind, id)
	return o != nil && json.Unmarshal(o.Body, into) == nil
}

// Action implements insight.Project.
func (p *project) Action(id int64) (*insight.Action, bool) {
	var body struct {
		Name    string          `json:"name"`
		Steps   json.RawMessage `json:"steps"`
		Deleted bool            `json:"deleted"`
	}
	if !p.object(object.Action, id, &body) || body.Deleted {
		return nil, false
	}
	return &insight.Action{ID: id, Name: body.Name, Steps: body.Steps}, true
}

// Cohort implements insight.Project.
func (p *project) Cohort(id int64) (*insight.Cohort, bool) {
	var body struct {
		Name    string          `json:"name"`
		Static  bool            `json:"is_static"`
		Filters json.RawMessage `json:"filters"`
		Groups  json.RawMessage `json:"groups"`
		Query   json.RawMessage `json:"query"`
		SQL     string          `json:"sql"`
		Deleted bool            `json:"deleted"`
	}
	if !p.object(object.Cohort, id, &body) || body.Deleted {
		return nil, false
	}
	return &insight.Cohort{ID: id, Name: body.Name, Static: body.Static, Filters: body.Filters, Groups: body.Groups, Query: body.Query, SQL: body.SQL}, true
}

var scopeNames = [...]string{insight.EventScope: "event", insight.PersonScope: "person", insight.GroupScope: "group"}

var typeNames = map[string]insight.PropertyType{"String": insight.String, "Numeric": insight.Numeric, "Boolean": insight.Boolean, "DateTime": insight.DateTime}

// PropertyType implements insight.Project.
func (p *project) PropertyType(s insight.Scope, group int, name string) insight.PropertyType {
	if o := p.snapshot.Objects().Find(object.PropertyDefinition, object.PropertyKey(scopeNames[s], group, name)); o != nil {
		var body struct {
			Type string `json:"property_type"`
		}
		if json.Unmarshal(o.Body, &body) == nil {
			if t, ok := typeNames[body.Type]; ok {
				return t
			}
		}
	}
	var kinds properties.Kinds
	switch s {
	case insight.EventScope:
		kinds = p.snapshot.EventKinds(name)
	case insight.PersonScope:
		kinds = p.snapshot.PersonKinds(name)
	default:
		kinds = p.snapshot.GroupKinds(group, name)
	}
	switch kinds {
	case properties.Number:
		return insight.Numeric
	case properties.Bool:
		return insight.Boolean
	}
	return insight.String
}

// PropertyNames implements insight.Project.
func (p *project) PropertyNames(s insight.Scope, group int, event string) []string {
	known := map[string]bool{}
	switch s {
	case insight.EventScope:
		for _, seg := range p.snapshot.Segments() {
			for _, rng := range seg.Ranges() {
				if rng.Event != event {
					continue
				}
				for _, key := range rng.Keys() {
					known[key] = true
				}
			}
		}
	case insight.PersonScope:
		persons := p.snapshot.Persons()
		for o := range uint32(persons.Len()) {
			addKeys(known, persons.Properties(o))
		}
	default:
		groups := p.snapshot.Groups()
		for o := range uint32(groups.Len(group)) {
			addKeys(known, groups.Properties(group, o))
		}
	}
	return slices.Sorted(maps.Keys(known))
}

// addKeys notes the members of a JSON object.
func addKeys(known map[string]bool, text []byte) {
	var m map[string]json.RawMessage
	if len(bytes.TrimSpace(text)) == 0 || json.Unmarshal(text, &m) != nil {
		return
	}
	for k := range m {
		known[k] = true
	}
}

// Groups implements insight.Runner.
func (a *Asker) Groups(_ context.Context, index int, keys []string) ([]insight.Group, error) {
	groups := a.snapshot.Groups()
	out := make([]insight.Group, len(keys))
	for i, key := range keys {
		g := &out[i]
		g.Key, g.Properties = key, json.RawMessage("{}")
		ord, ok := groups.Find(index, []byte(key))
		if !ok {
			continue
		}
		if raw := groups.Properties(index, ord); len(raw) > 0 {
			g.Properties = json.RawMessage(raw)
		}
		if at := groups.CreatedAt(index, ord); at != 0 {
			g.CreatedAt = time.UnixMicro(at).UTC()
		}
	}
	return out, nil
}
