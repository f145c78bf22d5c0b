// Package logictest runs files of SQL with the answers they must get, against whatever can
// run a statement: a session over storage in memory, a server over the wire.
//
// A case is a word, the statements, a line of four dashes, and what is expected:
//
//	# A person counts once.
//	query
//	SELECT count(*), count(DISTINCT person_id) FROM events
//	----
//	3  2
//
// The words are exec, which expects the command tag of the last statement; query, which
// expects one line for each row, values two blanks apart and NULL spelled out; query sorted,
// where the rows are put into order first; query columns, with a first line that names the
// columns; events, which are not SQL but lines to load, see [Loader]; and error, or query error, which expects the SQLSTATE, the position, the message
// and the hint. With -rewrite, the answers are written into the files.
package logictest
