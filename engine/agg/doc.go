// Package agg holds the aggregates: what sum, count and their like keep for each group,
// and how that is updated, merged and finished.
//
// [Resolve] finds an aggregate by name and argument types. [Spec.New] makes a [State], which
// holds all groups of one aggregate call: group g is position g of its slices.
// States that several goroutines have filled are merged before they are finished. A
// state travels, to a file or another node, as the rows that [State.Partial] gives.
//
// What count(DISTINCT) has seen are pairs of a group and a number: an integer is its own, any other
// value has that of an intern.Table. Dense numbers are bits; thin ones are in a hash set, which is divided
// by the hash once it is larger than the caches. A single group marks the entries of large dictionaries
// of texts, and looks at their texts once, at the end.
//
// Texts leave such a count for a file as prints: 128 bits of two hashes with secret seeds, which are shorter than
// the texts and of one length. So do large dictionaries that would take too much memory. Two different texts
// have the same print with a probability of one in 2^128. Prints mean nothing to another process.
package agg
