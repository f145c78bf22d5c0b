// Package pgerr is the error a client sees: a SQLSTATE, a message and, where
// the statement text is to blame, the place in it.
//
// Everything below the server returns *Error for the mistakes of the person who
// sent the statement, and ordinary errors for our own. The position always
// counts characters, because that is what clients draw their caret with.
package pgerr
