// Package server is bytes in, bytes out: one port on which both the PostgreSQL protocol
// and HTTP are spoken, in the clear or inside TLS. The first byte of a connection decides which,
// and inside TLS what the client named in its handshake. login.go says who is let in.
//
// A Server is made with New and serves listeners with Serve until its context ends; then
// it refuses what is new, lets end what runs, and closes within ten seconds. Its
// cluster.Node may come later, with Attach: until then health and metrics are answered, and
// everything else with 503.
//
// health.go says when it is ready, routes.go names every HTTP path and the package that
// answers it, config.go every setting. metrics.go lists every number that is published but
// those of the node, and alerts.yml has rules over them. LogWriter is a log that never waits.
package server
