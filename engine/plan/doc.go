// Package plan says what to compute: a tree of immutable nodes that the binder makes and
// the executor runs. A node knows its schema and its inputs, and prints its one line of
// EXPLAIN.
package plan
