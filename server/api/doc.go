// Package api is JSON over HTTP for people and the page: projects, questions to them, and what
// people save in them. API.md says what the paths of the latter take and answer; package saved
// knows what their bodies may hold, and the object store keeps them.
//
// A question runs through a session.Session of its own, so that SQL means here what it
// means over the PostgreSQL protocol. Every error has one shape, Error, and Guard keeps
// other web pages out of a server that asks for no password.
package api
