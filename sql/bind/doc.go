// Package bind gives a tree of sql/ast its meaning: names become columns, every
// expression gets a type, and the result is a plan of engine/plan.
//
// Names are looked up in this order: a column of the input; a path into one of its jsonb
// columns (a.b.c); an alias of the select list, as an extension, where PostgreSQL would
// know nothing by that name. ORDER BY looks at output names first, as PostgreSQL does. A
// table alias wins over a jsonb column of the same name if it has the column.
//
// Types come from below. Two things wait for their context: an untyped literal or
// parameter, which takes the type that is wanted and is text if nothing wants one; and a
// dotted path, a [pathRef], which is a number beside a number, a boolean as a condition, a
// time beside a time, jsonb in a jsonb function, and text elsewhere. A path into a table's
// column then becomes a column of the scan, read as that type. Scans hold only the
// columns that something asked for.
//
// A join is a relation whose fields stand in the relations that it joins. While a SELECT is
// bound, scans still grow, so a column has the number that it has in its input, plus a base
// that tells the inputs apart; when all is bound, [binder.seal] builds the joins and moves
// columns to their places. Subqueries and the queries of WITH are bound where they are used;
// see subquery.go and with.go for which of them run only once, change.go for INSERT, UPDATE and
// DELETE in WITH, and cohort.go for the sets of IN COHORT, which are computed once for all places
// that say the same. A name that a subquery
// does not find is looked for in what is around it, and is then a column with a base that the
// subquery's own inputs do not have. Such a subquery is attached to the SELECT around it
// (correlated.go), as a join that plan.Dependent makes an ordinary one.
//
// Aggregates are bound to placeholders. When the whole SELECT is bound, expressions are
// rewritten to stand above the Aggregate node; a column that is left over is neither
// grouped nor aggregated, and an error. A subquery in what is computed of groups is joined with
// them; an aggregate in it may belong to the query around, of which it then reads a column.
//
// Tables are looked up along search_path, which the catalog has. What is kept as text, the query of
// a view, is written so that it means the same whatever search_path is, and is bound without one
// ([Kept]). A statement that writes (data.go, ddl.go, schema.go, constraint.go) names the version of the table's schema
// that it was bound to, in all it asks for. What it does to a table that every project has
// is decided in one place, binder.builtin, which refuses it.
//
// The first error ends the statement. Functions go on with a placeholder after it, so
// that they need no error results; [Query] looks at the end.
package bind
