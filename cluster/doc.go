// Package cluster decides where an event goes, and makes it durable before it is
// acknowledged.
//
// A Node is this process. It is a Raft group of one voter: the log is the only write-ahead
// log, and the state machine (fsm.go) is the only writer of a storage.Store. A write is
// encoded into an entry (command.go), synced in the log (package raftlog), applied, and then
// answered. So a write that was answered survives a crash, and a read that starts after
// the answer sees it: with one voter a read misses nothing. A write that was not answered
// is stored whole or not at all.
//
// What always holds: applying an entry depends on the entry and the state alone; the log
// is never deleted beyond what segments and state files on disk cover; a failed write of
// the log ends the process.
//
// A read may wait: for the state that a Token names (Await), or for everything that was
// acknowledged before it began (ReadIndex). The disk is watched: writes are refused before
// it is full, and the process ends when it does not answer.
//
// A start compares log, Raft snapshots and manifest before anything is changed, and
// refuses with ErrDamaged if one of them is older than another needs, or cannot be read.
// Diagnose says what is lost then, OpenReadOnly shows the rest, and Recover goes on without
// what is lost. Not there yet: more than one voter, more than one group.
//
// A Cut is the state at one entry as files; Backup stores one outside, the archiver ships
// the log behind it, and Restore makes a data directory of both, or one whose segments a node
// fetches later. Package backup has the form.
//
// DESIGN.md tells what each failure costs.
package cluster
