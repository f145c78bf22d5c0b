// Package pgwire speaks the PostgreSQL protocol, version 3, to clients made for
// PostgreSQL.
//
// A Server serves connections that someone else accepted: one goroutine each, which
// reads a message, acts on it through the client's session.Session, and writes the
// answer. Answers are collected and sent when the input is drained, at Flush and at
// Sync, so that a pipeline of a hundred statements costs two packets.
//
// During a COPY FROM STDIN the statement owns the input: copyIn reads CopyData as a stream, until
// CopyDone, and nobody else reads meanwhile. After an error, what is left of the rows is ignored
// as messages.
//
// The frame of every message is read here, and its length checked before memory is
// taken for it; the fields inside are decoded by pgproto3. Values are read and written in
// the text and the binary format, both by engine/expr.
package pgwire
