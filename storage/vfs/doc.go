// Package vfs is the file system that storage needs: [OS], the real one, and [Mem], one
// in memory that can be crashed.
//
// Nothing is durable before it is synced: a file's bytes by SyncData or Sync, a file's
// name (after Create, Rename or Remove) by SyncDir of its directory. [Mem] forgets on a
// crash what was not, so that tests notice a sync that is missing.
package vfs
