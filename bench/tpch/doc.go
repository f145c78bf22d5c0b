// Package tpch makes the eight tables of TPC-H and asks its 22 questions.
//
// The tables have the columns, the keys and the distributions of the TPC-H specification
// (revision 3), made from a hash of the row's number, so that a table is the same whenever it
// is made. The texts are drawn from short lists, so answers are not those of the official
// generator; they are compared with another database over the same rows.
package tpch
