// Package ast is the tree of a SQL statement, as the parser or an insight
// question makes it and the binder reads it.
//
// Stmt, Query, Expr and TableExpr are closed: the types in this package are all
// there are. Names are not resolved here and nothing has a type yet; a Name with
// three parts may be a column of a table in a schema or a path into a JSON
// column, and the binder decides.
//
// Every tree prints. Format gives canonical SQL which parses back to an equal
// tree, so an insight can be shown as SQL and a view can be kept as text. Every
// node knows its place in the text it came from; nodes made by hand have none.
package ast
