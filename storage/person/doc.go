// Package person holds who is who in a project: distinct ids, persons, merges, and the
// properties of persons.
//
// A person is a dense 32-bit ordinal, given out when a distinct id is first seen and
// never used again for another. [State] is what apply changes; [Map] and [Table] are
// immutable values of it that a query reads.
//
// A merge, by example: "a1" was seen without a profile and has ordinal 0; "alice" signed
// up on another device and has ordinal 7. "$identify" of alice with a1 adds 0 → 7 to the
// map: rows keep ordinal 0, readers see 7, and alice's profile stays as it was. Had alice
// not been seen before, her distinct id would have got ordinal 0 and no entry been needed.
//
// A person that is deleted with its events leaves erased ordinals, whose rows are dead, and
// no distinct id. A split gives each distinct id that leaves, and the person that stays, a
// new ordinal; a [Move] says of which older rows the id decides whose they are.
//
// What always holds: a root is its own root; the map leads from any ordinal to its root
// in one step; an ordinal's uuid never changes; only roots have a profile.
package person
