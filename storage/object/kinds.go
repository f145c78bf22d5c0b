package object

import "strconv"

// The kinds of objects that more than one package speaks of. Their bodies are objects.
const (
	// Action is a saved definition of events: "name" and "steps".
	Action = "action"
	// Cohort is a group of persons: "name", and "is_static" (members are kept elsewhere),
	// "filters" or "groups".
	Cohort = "cohort"
	// PropertyDefinition says of which type a property is: "name", "type" (event, person or
	// group), "group_type_index" and "property_type" (String, Numeric, Boolean or DateTime). Its key
	// is a PropertyKey.
	PropertyDefinition = "property_definition"
	// EventDefinition says what an event is: "name", which is its key, "description" and more.
	EventDefinition = "event_definition"
	// Insight is a saved query: "name" and "query". Its key is its short id.
	Insight = "insight"
	// Dashboard is insights and texts side by side: "tiles" and "filters".
	Dashboard = "dashboard"
	// Annotation is a note at an instant: "date_marker" and "content".
	Annotation = "annotation"
	// Role is a role of SQL: its body is that of engine/role. Its key is its name.
	Role = "role"
	// Sharing opens one insight or dashboard to whoever knows its key, a secret: "kind", "id"
	// and "enabled".
	Sharing = "sharing"
)

// PropertyKey is the key of the definition of a property, of events ("event"), persons
// ("person") or the groups of a type ("group"); index is of the type of groups.
func PropertyKey(scope string, index int, name string) string {
	if scope == "group" {
		scope += "/" + strconv.Itoa(index)
	}
	return scope + "/" + name
}
