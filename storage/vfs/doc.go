// Package vfs is the file system that storage needs: [OS], the real one; [Mem], one in
// memory that can be crashed; and [Fault], which makes another fail by rules.
//
// Nothing is durable before it is synced: a file's bytes by SyncData or Sync, a file's
// name (after Create, ReuseForWrite, Rename or Remove) by SyncDir of its directory. Of what
// was not synced a crash leaves any part. Two things are assumed of the disk: it does not
// change the bytes of a sector beside those that are written, and a rename is atomic.
//
// [Mem.Crash] gives one of the states that a crash can leave, chosen by a seed, so that tests
// notice a sync that is missing. Rules for Fault are text; see [Rule]. A test that wants
// every failure runs its workload once to count the operations, then once for each of them
// with [Fault.FailNth].
package vfs
