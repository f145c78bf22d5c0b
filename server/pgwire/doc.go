// Package pgwire speaks the PostgreSQL protocol, version 3, to clients made for
// PostgreSQL.
//
// A Server serves connections that someone else accepted: one goroutine each, which
// reads a message, acts on it through the client's session.Session, and writes the
// answer. Answers are collected and sent when the input is drained, at Flush and at
// Sync, so that a pipeline of a hundred statements costs two packets.
//
// Before a session is opened, the client may ask for TLS (tls.go) and has to show what
// Server.Auth wants of it (auth.go): nothing, a proof of SCRAM-SHA-256 that may be bound to the
// TLS connection, or inside TLS a token.
//
// The statements before one Sync are one transaction, unless they say otherwise. One alone, with
// its Sync right behind it, commits by itself, and is tried again on a conflict.
//
// During a COPY FROM STDIN the statement owns the input: copyIn reads CopyData as a stream, until
// CopyDone, and nobody else reads meanwhile. After an error, what is left of the rows is ignored
// as messages.
//
// The frame of every message is read here, and its length checked before memory is
// taken for it; the fields inside are decoded by pgproto3. Values are read and written in
// the text and the binary format, both by engine/expr.
package pgwire
