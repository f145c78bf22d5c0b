package main

import "strings"

// An asked question has one right answer, and a form for each database.
type asked struct {
	name  string // short: "F2"
	title string
	forms map[string]form
	// compare names the columns that have one right list of values; nil means all of them, and an
	// empty list only the number of rows.
	compare []int
	// plain says why the form for prickle is plain SQL where an operator of its own might be expected.
	plain string
}

// A form is a question in the words of one database.
type form struct{ sql string }

// The contestants. A bitmap table is something that a user of ClickHouse can keep beside the
// events: it answers some questions much faster, and is therefore shown apart.
const (
	prickle    = "prickle"
	clickhouse = "clickhouse"
	bitmaps    = "clickhouse bitmaps"
	duckdb     = "duckdb"
)

// peerOrder is the order of columns in reports, and that in which forms take turns.
var peerOrder = []string{prickle, clickhouse, bitmaps, duckdb}

// engineOf says which database answers a form, or takes in the data of a directory: it comes first in
// the name.
func engineOf(name string) string {
	return strings.FieldsFunc(name, func(r rune) bool { return r == ' ' || r == ',' })[0]
}
