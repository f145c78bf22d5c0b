// Package exec runs plans. [Build] turns a plan node into an [Operator]; operators are
// pulled with Next and hand out batches.
//
// The contract of a batch: it belongs to the one who pulled it, and an operator never
// writes again to memory that it has handed out. A batch may therefore be kept, passed
// to another goroutine, or shared; nobody writes to a vector that somebody else made.
//
// Work is spread over cores in two places only: exchange.go, where several copies of a
// pipeline share the morsels of one scan, and interval.go, where the native operators
// take one interval of person ordinals at a time. No other code takes a lock.
//
// # Native operators
//
// FUNNEL, RETENTION and TRENDS see an actor's rows as one sorted list of times for each
// condition (a [csr] of a [block]). Over the events table the lists come straight from
// the run indexes of the event ranges that a condition can be true in (stream.go): the
// actors of a range are sorted, so an interval of ordinals is one stretch of rows in each
// range. Any other input is read as rows, grouped and sorted by actor and time (rows.go),
// and looks the same to the kernels. Merged persons are handled where lists are made:
// the runs of an ordinal that is not its own root are moved to the root's list.
package exec
