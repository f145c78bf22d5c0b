// Package manifest says which files a store consists of.
//
// A [Manifest] is an immutable value; [Log] keeps the newest one on disk as a list of
// edits. An edit is atomic: it is one record with a checksum, synced before Commit
// returns. After a crash the file ends with whole records and perhaps a torn one, which
// was never acknowledged and is cut off.
//
// Files that no manifest names are left-overs of a crash; the store removes them when it
// opens.
package manifest
