// Package engine runs plans. [Run] is the one call that others make.
//
// A plan (engine/plan) is data; engine/exec turns each node into an operator and pulls
// batches through them. A query reads one snapshot from beginning to end, so flushes,
// merges and new events never change it half-way. Expressions are engine/expr, aggregates
// engine/agg, and errors that a client sees engine/pgerr.
//
// The goroutines of a query: the caller's, which pulls; and up to Env.Threads that an
// exchange or a native operator starts and waits for before it ends. How many of all queries
// run at once, and which, is decided by the [Scheduler].
package engine
