package storage

import "github.com/prickledb/prickle/storage/properties"

// EventKinds is the kinds of values that a property has among all events of the project, and
// of deleted ones until a merge has left them out. Only directories of segments are looked at.
func (sn *Snapshot) EventKinds(property string) (out properties.Kinds) {
	for _, s := range sn.segments {
		out |= s.PropertyKinds(property)
	}
	return out
}

// PersonKinds is the kinds of values that a property has among the persons of the project.
// What was found is kept until a person changes, for a thousand persons each.
func (sn *Snapshot) PersonKinds(property string) properties.Kinds { return sn.persons.Kinds(property) }

// GroupKinds is the kinds of values that a property has among the groups of a type.
func (sn *Snapshot) GroupKinds(index int, property string) properties.Kinds {
	return sn.groups.Kinds(index, property)
}
