package saved

import (
	"github.com/prickledb/prickle/storage/group"
	"github.com/prickledb/prickle/storage/object"
)

// definition is the fields that a definition may have besides those of every kind.
var definition = map[string]string{"hidden": "false", "verified": "false"}

// The kinds of definitions: what people say of events and properties, whose names come from
// the data. They are found by name.
var (
	EventDefinitions = &Kind{Name: object.EventDefinition, Path: "event_definitions", Called: "event definition", Fields: fields(copyOf(definition)),
		Check: func(b Body) error { return checkDefinition(b) }}
	PropertyDefinitions = &Kind{Name: object.PropertyDefinition, Path: "property_definitions", Called: "property definition",
		Fields: fields(copyOf(definition, "type", `"event"`, "group_type_index", "null", "property_type", "null")),
		Check: func(b Body) error {
			_, err := CheckPropertyDefinition(b)
			return err
		}}
)

func copyOf(m map[string]string, more ...string) map[string]string {
	out := map[string]string{}
	for name, value := range m {
		out[name] = value
	}
	for i := 0; i < len(more); i += 2 {
		out[more[i]] = more[i+1]
	}
	return out
}

func checkDefinition(b Body) error {
	if err := checkCommon(b, true); err != nil {
		return err
	}
	for name := range definition {
		if err := b.checkFlag(name); err != nil {
			return err
		}
	}
	return nil
}

// CheckPropertyDefinition checks the body of the definition of a property, and gives its key.
func CheckPropertyDefinition(b Body) (key string, err error) {
	if err := checkDefinition(b); err != nil {
		return "", err
	}
	if err := b.checkChoice("type", "type", "event", "person", "group"); err != nil {
		return "", err
	}
	if err := b.checkChoice("property_type", "property_type", "String", "Numeric", "Boolean", "DateTime"); err != nil {
		return "", err
	}
	scope := b.Text("type")
	if scope == "" {
		scope = "event"
	}
	index := 0
	if err := b.read("group_type_index", "group_type_index", "a number", &index); err != nil {
		return "", err
	}
	switch {
	case scope == "group" && !b.Has("group_type_index"):
		return "", required("group_type_index", "the property of a group needs group_type_index")
	case index < 0 || index >= group.Types:
		return "", wrong("group_type_index", "group_type_index is 0 to %d", group.Types-1)
	}
	return object.PropertyKey(scope, index, b.Text("name")), nil
}
