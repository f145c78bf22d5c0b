// Package load drives a running server, as many clients do: events over HTTP, questions over
// the PostgreSQL protocol, both at the same time.
//
// [Run] does what a [Config] says and gives a [Report]. With a rate the loop is open: every
// request has a moment at which it is due, whatever became of those before it, and its
// latency counts from then. A server that stands still for a second so shows in all the
// requests of that second, and not in the few that its clients had under way (coordinated
// omission). Without a rate each client sends when it was answered.
//
// The generator shares the machine with the server, so it is made to cost little: the bodies
// are made before the clock starts, and a request only writes fresh ids and times into one.
package load
