// Package server is bytes in, bytes out: one port on which both the PostgreSQL protocol
// and HTTP are spoken. The first byte of a connection decides which.
//
// A Server is made over a cluster.Node with New and serves a listener with Serve until
// its context ends; then it refuses new questions, lets running ones end, and closes
// within a few seconds. routes.go names every HTTP path and the package that answers it,
// config.go every setting, metrics.go every number that is published.
package server
