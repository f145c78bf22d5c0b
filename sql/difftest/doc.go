// Package difftest makes up tables and queries, and compares what two servers answer over
// PostgreSQL's protocol: prickle, and PostgreSQL 15, which is right where
// sql/logictest/DIFFERENCES.md says nothing else.
//
// A [Generator] makes a few small tables of all types, and valid queries over them. What
// expressions are made of is in grammar.txt; the shapes of queries are in query.go. All that
// has no order of its own is put into one, or compared as a bag, so that any difference is
// one of meaning. [Compare] knows the few that are not. Queries that write do so in WITH, in a
// block that is rolled back when the tables have been compared.
//
// The database that is the yardstick has the collation C, and knows the letters of Unicode:
//
//	initdb -D data -E UTF8 --lc-collate=C --lc-ctype=C.UTF-8 -A trust
//	postgres -D data -p 5555 -c listen_addresses=127.0.0.1
//	PRICKLE_POSTGRES=postgres://postgres@127.0.0.1:5555/postgres make differ DIFFER=1000
package difftest
