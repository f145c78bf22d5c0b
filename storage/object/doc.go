// Package object holds small things that people make and the server keeps: saved insights,
// actions, cohorts and their like. What their bodies say is the business of whoever writes
// them; here they are JSON.
//
// An [Object] has a kind, a number that is its own among those of its kind, and perhaps a
// key, which is too. A [Table] is the objects of a project, immutable; [State.Apply] makes
// the next one of it with a list of edits, all or none. A change of an object says which
// version it was made from, so that of two at the same time one is refused.
package object
