// Package pgcatalog shows the database as PostgreSQL's catalogs do: the tables of pg_catalog and
// information_schema that clients read to learn what there is.
//
// [Find] gives a table of the catalog for a statement to name. A [Reader] gives its rows at one
// read point, and is what regclass and the functions about objects ask (see [expr.Objects]).
//
// What always holds: an object has the same object id in every table and for ever, and every
// join that clients make between the tables meets. Types, functions, system tables and the
// schemas pg_catalog and public have the numbers that PostgreSQL gives them.
//
// The table system.queries is beside them, with the rows of session.Queries.
//
// What each table has of itself, whatever the database holds, is made once (static); what
// follows from the objects of the users is made for each scan (dynamic). A table of which
// neither is known exists and is empty.
package pgcatalog
