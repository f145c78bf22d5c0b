// Package limit says no in time: how many events a project may send, and how many
// questions may run for it, and for each of its users, at once.
//
// A Limiter keeps counters by project. The limits themselves are a project's settings
// (storage.Limits) and are asked for with each decision, so that a change counts at once. A
// refusal is an *Exceeded, which says when to come again. What a project has stored is
// asked for once a second, so a quota is overrun by at most a second of events.
package limit
