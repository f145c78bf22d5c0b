// Package sessiontest is an engine for tests of sessions and protocols: a few tables with
// fixed answers, one that never ends and one that never begins.
package sessiontest
