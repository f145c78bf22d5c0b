// Package role says who may do what in a project.
//
// A role is an object of the project (storage/object, kind "role"), which holds all there is to
// say of it: whether it may log in, its password's verifier, what roles it is a member of, and
// what it was granted. [Read] makes a [Set] of them, an immutable value of one state. What is
// granted to everybody is with the role [Public], which is nobody.
//
// A name without a role is one that the server has let in without knowing it, as it does on a
// machine without accounts: it may do everything, as a superuser may. A table belongs to the
// role that has made it; what belongs to nobody is the superusers'.
package role
