// Package scram lets a client prove that it knows a password, without sending it:
// SCRAM-SHA-256 of RFC 5802 and RFC 7677, the server's side.
//
// A [Verifier] is what is stored of a password. It is written as PostgreSQL writes it, so
// one can be moved from there. An [Exchange] is one conversation with one client. Whoever
// the client says it is, the conversation takes its course: an unknown user gets a verifier
// that nothing fits ([Unknown]).
package scram
