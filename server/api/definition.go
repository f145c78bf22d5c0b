package api

import (
	"cmp"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/prickledb/prickle/server/saved"
	"github.com/prickledb/prickle/storage"
	"github.com/prickledb/prickle/storage/group"
	"github.com/prickledb/prickle/storage/object"
	"github.com/prickledb/prickle/storage/properties"
)

// definitionSpace is where the ids of definitions come from: that of a name is always the
// same, whether somebody has described it or not.
var definitionSpace = uuid.MustParse("6f1b7f0a-5d0c-4a51-9f3c-0e0c5f6a9d11")

// definition is an event or a property: a name from the data, and what people say of it.
type definition struct {
	key, name string
	scope     string // of a property
	index     int    // of the type of groups
	object    *object.Object
	body      saved.Body
}

func (d *definition) id(kind *saved.Kind) string {
	return uuid.NewSHA1(definitionSpace, []byte(kind.Name+"/"+d.key)).String()
}

func (s *Server) definitionRoutes(both func(method, path string, h http.HandlerFunc)) {
	for _, k := range []*saved.Kind{saved.EventDefinitions, saved.PropertyDefinitions} {
		base := "/api/projects/{id}/" + k.Path
		both("GET", base, s.savedHandler(k, s.listDefinitions))
		both("POST", base, s.savedHandler(k, s.createDefinition))
		both("GET", base+"/{object}", s.savedHandler(k, s.getDefinition))
		both("PATCH", base+"/{object}", s.savedHandler(k, s.updateDefinition))
		both("DELETE", base+"/{object}", s.savedHandler(k, s.deleteDefinition))
	}
}

// scopeOf is whose properties a list is of.
type scopeOf struct {
	scope string
	index int
}

// allScopes are those of all properties.
func allScopes() []scopeOf {
	out := []scopeOf{{"event", 0}, {"person", 0}}
	for i := range group.Types {
		out = append(out, scopeOf{"group", i})
	}
	return out
}

// definitions are the events, or the properties of some scopes, by key. events, if there are
// any, are those whose properties are wanted.
func (s *Server) definitions(c *savedCall, sn *storage.Snapshot, scopes []scopeOf, events []string) map[string]*definition {
	out := map[string]*definition{}
	add := func(of scopeOf, name string) *definition {
		key := name
		if c.kind == saved.PropertyDefinitions {
			key = object.PropertyKey(of.scope, of.index, name)
		}
		d := out[key]
		if d == nil && name != "" {
			d = &definition{key: key, name: name, scope: of.scope, index: of.index, body: saved.Body{}}
			out[key] = d
		}
		return d
	}
	for _, of := range scopes {
		for name := range namesOf(c.kind, sn, of, events) {
			add(of, name)
		}
	}
	for _, o := range sn.Objects().List(c.kind.Name) {
		b := saved.Read(o)
		of := scopeOf{scope: cmp.Or(b.Text("type"), "event")}
		if of.scope == "group" {
			_ = json.Unmarshal(b["group_type_index"], &of.index) // it was checked
		}
		_, seen := out[o.Key]
		if !seen && (!slices.Contains(scopes, of) || len(events) > 0) {
			continue
		}
		if d := add(of, b.Text("name")); d != nil {
			d.object, d.body = o, b
		}
	}
	return out
}

// namesOf is the names in the data: of events, or of properties.
func namesOf(kind *saved.Kind, sn *storage.Snapshot, of scopeOf, events []string) map[string]properties.Kinds {
	switch {
	case of.scope == "person":
		return sn.Persons().AllKinds()
	case of.scope == "group":
		return sn.Groups().AllKinds(of.index)
	}
	out := map[string]properties.Kinds{}
	for _, seg := range sn.Segments() {
		for _, rng := range seg.Ranges() {
			switch {
			case kind == saved.EventDefinitions:
				out[rng.Event] = 0
			case len(events) == 0 || slices.Contains(events, rng.Event):
				for _, key := range rng.Keys() {
					out[key] = 0
				}
			}
		}
	}
	return out
}

// showDefinition is a definition as every answer shows it.
func (s *Server) showDefinition(c *savedCall, sn *storage.Snapshot, d *definition) map[string]any {
	out := map[string]any{"id": d.id(c.kind), "team_id": c.project.ID, "created_at": nil, "updated_at": nil, "created_by": nil, "owner": nil}
	for name, value := range c.kind.Show(d.body) {
		out[name] = value
	}
	delete(out, "deleted")
	out["name"] = d.name
	if d.object != nil {
		out["created_at"], out["updated_at"] = isoTime(d.object.Created), isoTime(d.object.Updated)
	}
	if c.kind == saved.PropertyDefinitions {
		kind := propertyType(sn, d)
		out["type"], out["property_type"], out["is_numerical"] = d.scope, nil, kind == "Numeric"
		if kind != "" {
			out["property_type"] = kind
		}
		if d.scope == "group" {
			out["group_type_index"] = d.index
		}
	}
	return out
}

// propertyType is the type that a property has by definition, or else by its values; "" if
// there are none.
func propertyType(sn *storage.Snapshot, d *definition) string {
	if kind := d.body.Text("property_type"); kind != "" {
		return kind
	}
	var kinds properties.Kinds
	switch d.scope {
	case "person":
		kinds = sn.PersonKinds(d.name)
	case "group":
		kinds = sn.GroupKinds(d.index, d.name)
	default:
		kinds = sn.EventKinds(d.name)
	}
	switch kinds {
	case 0:
		return ""
	case properties.Number:
		return "Numeric"
	case properties.Bool:
		return "Boolean"
	}
	return "String"
}

// listDefinitions is GET of event_definitions and property_definitions, by name. Both are
// narrowed by ?search=, ?verified= and ?exclude_hidden=true; properties by ?type=
// (event, person or group with ?group_type_index=), ?event_names= (a JSON list, or commas),
// ?properties= (names, with commas) and ?is_numerical=.
func (s *Server) listDefinitions(c *savedCall) (any, error) {
	of := scopeOf{scope: cmp.Or(c.param("type"), "event")}
	if c.kind == saved.EventDefinitions {
		of.scope = "event"
	}
	if !slices.Contains([]string{"event", "person", "group"}, of.scope) {
		return nil, invalid("invalid_input", "type", "type is event, person or group")
	}
	if of.scope == "group" {
		index, err := strconv.Atoi(c.param("group_type_index"))
		if err != nil || index < 0 || index >= group.Types {
			return nil, invalid("invalid_input", "group_type_index", "group_type_index is 0 to "+strconv.Itoa(group.Types-1))
		}
		of.index = index
	}
	sn, err := s.Saved.Snapshot(c.project.ID)
	if err != nil {
		return nil, err
	}
	defer sn.Release()
	all := s.definitions(c, sn, []scopeOf{of}, listParam(c.param("event_names")))
	search, names := strings.ToLower(c.param("search")), listParam(c.param("properties"))
	verified, errVerified := strconv.ParseBool(c.param("verified"))
	numeric, errNumeric := strconv.ParseBool(c.param("is_numerical"))
	var list []*definition
	for _, key := range slices.Sorted(maps.Keys(all)) {
		d := all[key]
		switch {
		case !strings.Contains(strings.ToLower(d.name), search), len(names) > 0 && !slices.Contains(names, d.name),
			c.isSet("exclude_hidden") && string(d.body["hidden"]) == "true",
			errVerified == nil && verified != (string(d.body["verified"]) == "true"),
			errNumeric == nil && c.kind == saved.PropertyDefinitions && numeric != (propertyType(sn, d) == "Numeric"):
			continue
		}
		list = append(list, d)
	}
	return cutPage(c, list, func(d *definition) (any, error) { return s.showDefinition(c, sn, d), nil })
}

// listParam reads a list: JSON, or texts with commas between them.
func listParam(text string) []string {
	var list []string
	if text == "" || json.Unmarshal([]byte(text), &list) == nil {
		return list
	}
	return strings.Split(text, ",")
}

// findDefinition is the definition that the path names by its id. by_name with ?name= finds
// that of an event.
func (s *Server) findDefinition(c *savedCall, sn *storage.Snapshot) (*definition, error) {
	id := c.PathValue("object")
	scopes := []scopeOf{{"event", 0}}
	if c.kind == saved.PropertyDefinitions {
		scopes = allScopes()
	}
	byName := id == "by_name" && c.kind == saved.EventDefinitions
	for _, d := range s.definitions(c, sn, scopes, nil) {
		if byName && d.name == c.param("name") || d.id(c.kind) == id {
			return d, nil
		}
	}
	return nil, notFound("there is no " + c.kind.Called + " " + quoted(id))
}

// getDefinition is GET of one. Of an event it says, too, since when it is seen, and how often.
func (s *Server) getDefinition(c *savedCall) (any, error) {
	sn, err := s.Saved.Snapshot(c.project.ID)
	if err != nil {
		return nil, err
	}
	defer sn.Release()
	d, err := s.findDefinition(c, sn)
	if err != nil {
		return nil, err
	}
	out := s.showDefinition(c, sn, d)
	if c.kind == saved.EventDefinitions {
		return out, s.addSeen(c, out, d.name)
	}
	return out, nil
}

func (s *Server) addSeen(c *savedCall, out map[string]any, event string) error {
	query, err := json.Marshal(map[string]string{"kind": "SQLQuery", "query": "select min(timestamp), max(timestamp), count(*) filter (where timestamp >= now() - interval '30 days') " +
		"from events where event = '" + strings.ReplaceAll(event, "'", "''") + "'"})
	if err != nil {
		return err
	}
	fields, _, err := s.result(c, query, "", time.Now())
	if err != nil {
		return err
	}
	var rows [][]any
	if err := json.Unmarshal(fields["results"], &rows); err != nil || len(rows) != 1 || len(rows[0]) != 3 {
		return err
	}
	out["first_seen_at"], out["last_seen_at"], out["volume_30_day"] = rows[0][0], rows[0][1], rows[0][2]
	return nil
}

// createDefinition is POST: the description of a name, of which there is none yet.
func (s *Server) createDefinition(c *savedCall) (any, error) {
	in, err := readObject(c)
	if err != nil {
		return nil, err
	}
	c.status = http.StatusCreated
	return s.putDefinition(c, saved.Body{}, in, object.Edit{})
}

// updateDefinition is PATCH: what the body names is changed, but for the name itself.
func (s *Server) updateDefinition(c *savedCall) (any, error) {
	in, err := readObject(c)
	if err != nil {
		return nil, err
	}
	sn, err := s.Saved.Snapshot(c.project.ID)
	if err != nil {
		return nil, err
	}
	defer sn.Release()
	d, err := s.findDefinition(c, sn)
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"name", "type", "group_type_index"} {
		delete(in, name)
	}
	set := map[string]any{"name": d.name}
	if c.kind == saved.PropertyDefinitions {
		set["type"] = d.scope
		if d.scope == "group" {
			set["group_type_index"] = d.index
		}
	}
	for name, value := range set {
		if d.body[name], err = json.Marshal(value); err != nil {
			return nil, err
		}
	}
	edit := object.Edit{}
	if d.object != nil {
		edit.ID, edit.Version = d.object.ID, d.object.Version
	}
	return s.putDefinition(c, d.body, in, edit)
}

func (s *Server) putDefinition(c *savedCall, b, in saved.Body, edit object.Edit) (any, error) {
	c.kind.Patch(b, in)
	delete(b, "deleted") // it is the data that has names
	if err := c.kind.Check(b); err != nil {
		return nil, err
	}
	edit.Kind, edit.Key = c.kind.Name, b.Text("name")
	if c.kind == saved.PropertyDefinitions {
		var err error
		if edit.Key, err = saved.CheckPropertyDefinition(b); err != nil {
			return nil, err
		}
	}
	edit.Body = b.JSON()
	done, _, err := s.Saved.EditObjects(c.Context(), c.project.ID, []object.Edit{edit})
	if err != nil {
		return nil, err
	}
	sn, err := s.Saved.Snapshot(c.project.ID)
	if err != nil {
		return nil, err
	}
	defer sn.Release()
	d := &definition{key: done[0].Key, name: b.Text("name"), scope: cmp.Or(b.Text("type"), "event"), object: done[0], body: b}
	if d.scope == "group" {
		_ = json.Unmarshal(b["group_type_index"], &d.index) // it was checked
	}
	return s.showDefinition(c, sn, d), nil
}

// deleteDefinition takes away what people said of a name. As long as the data has it, it
// stays in the lists.
func (s *Server) deleteDefinition(c *savedCall) (any, error) {
	sn, err := s.Saved.Snapshot(c.project.ID)
	if err != nil {
		return nil, err
	}
	defer sn.Release()
	d, err := s.findDefinition(c, sn)
	if err != nil || d.object == nil {
		return nil, err
	}
	_, _, err = s.Saved.EditObjects(c.Context(), c.project.ID, []object.Edit{{Kind: c.kind.Name, ID: d.object.ID, Delete: true, Version: object.Any}})
	return nil, err
}
