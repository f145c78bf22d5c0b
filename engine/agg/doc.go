// Package agg holds the aggregates: what sum, count and their like keep for each group,
// and how that is updated, merged and finished.
//
// [Resolve] finds an aggregate by name and argument types. [Spec.New] makes a [State], which
// holds all groups of one aggregate call: group g is position g of its slices.
// States that several goroutines have filled are merged before they are finished. A
// state travels, to a file or another node, as the rows that [State.Partial] gives.
package agg
