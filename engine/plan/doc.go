// Package plan says what to compute: a tree of immutable nodes that the binder makes and
// the executor runs. A node knows its schema and its inputs, and prints its one line of
// EXPLAIN.
//
// A subquery that reads nothing of the query around it runs once, before it: the [Setup] at
// the top of a plan has such queries, and an expr.Slot stands where the answer is used. Where
// x IN (query) must hold for a row to count, it is a [Join] instead. x IN COHORT is an
// expr.InSet, wherever it stands: the Setup keeps the values of the query as a set, and a
// [Combine] puts such sets together. What INSERT, UPDATE and DELETE in WITH write is the rows of
// such a query, too ([WriteSub]).
//
// WITH RECURSIVE is a [Recursive], whose step reads what was just given by a [Spool]. It is
// one for each place that names it, and gives rows as they are asked for.
//
// Joins are bound with their condition as it is written. The rewrites take out of an OR what
// all its branches demand, move what concerns one side to that side, find the keys in the
// rest, and change the order of inner joins only where all rows would be paired with all rows.
// [Arrange] chooses the order when the plan runs, by what is known of the snapshot; which side
// is read first is decided then, too. [PushSemiJoins] moves semi joins to the input of a join that
// they are a condition on, before the order is chosen; [NarrowGroups] has a join with groups
// compute only those that its other side asks for, and [ShareGroups] has what is grouped twice in
// the same way grouped once.
//
// Every rule has a file and a name, of [Rules], and a plan gives the same rows without it: the
// setting disabled_rules lists those that a session does without.
package plan
