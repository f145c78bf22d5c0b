// Package group holds the groups of a project: what is counted in place of persons, such as
// companies. Each is of one of at most five types and has a key, properties and the time it
// was made. An event refers to groups by their keys, $group_0 to $group_4.
//
// [State] is what apply changes, [Table] an immutable value of it that a query reads. A
// group has an ordinal in its type, given out when its key is first seen and never used
// again: groups are never deleted but with their project.
//
// A type of groups has a name from the first event that speaks of it by one; until then a
// type may have groups and no name, which come from an import.
package group
