package saved

import (
	"github.com/prickledb/prickle/storage/group"
	"github.com/prickledb/prickle/storage/object"
)

// CheckPropertyDefinition checks the body of the definition of a property, and gives its key.
func CheckPropertyDefinition(b Body) (key string, err error) {
	if err := b.checkName("name", true); err != nil {
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
