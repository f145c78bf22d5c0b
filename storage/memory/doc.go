// Package memory divides the memory of a process among what uses it, and counts it.
//
// A [Budget] has a [Pool] for each use. What can wait or be refused reserves before it
// allocates: [Pool.TryReserve] never goes beyond the pool, and [Pool.Changed] says when to try
// again. What is there already, as rows that the log has applied, is noted with [Pool.Add] and can
// go beyond.
// A [Cache] keeps what can be made again within its pool, and lets go of what was not
// used for longest. A [Tally] counts for one reader what the cache had and what had to be made.
//
// How full the budget is, is its [Level]. Each level adds a measure to those before:
//
//	Calm → Shrink (caches give half) → Queue (new queries wait)
//	     → Kill (the query that holds most ends) → Refuse (no more ingest)
//
// Whoever can take a measure asks [Budget.Level] before it does what costs memory. What
// nobody counts, as the buffers of libraries, comes in through [Budget.Observe], which is
// told how large the heap really is.
//
// A nil *Budget, *Pool or *Cache is valid: it has no bounds and counts nothing.
package memory
