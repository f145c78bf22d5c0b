// Package parse turns SQL text into the tree of package ast: a lexer, then
// recursive descent with one token of lookahead almost everywhere.
//
// Statements is the way in. It accepts the whole grammar, including what the
// binder refuses, so that a feature that is missing is named with its position
// (0A000) instead of being a syntax error. The keywords of the native operators
// are contextual: they mean something only where a clause may begin.
//
// Errors are *pgerr.Error with the position in the text as sent. No input makes
// the parser panic, loop or recurse without bound; limits.go holds the bounds.
package parse
