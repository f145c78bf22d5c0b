// Package intern numbers distinct values: the groups of an aggregate, the keys of a join, and what
// count(DISTINCT) has seen are told apart by small numbers.
//
// A [Table] numbers values of one type from 0, in order of first appearance, NULL among them.
// It takes them as vectors have them: an entry of a dictionary is looked up once, and what is known of
// the dictionaries that came last is kept. An [Index] is how entries are found by hash, here and
// wherever keys are kept in another way.
//
// Hashes differ from process to process: they order nothing that is stored or sent.
package intern
