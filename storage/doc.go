// Package storage keeps the state of one shard: the events, persons and user tables of all
// projects.
//
// [Store] takes entries in the order of the log by ApplyEvents and its sisters, and gives
// a [Snapshot] to each query. A batch goes from ApplyEvents into the memtable (its rows
// visible at once), from there into one segment a UTC day when the memtable is flushed
// (or a month, for the days of little when there are very many), and from there into the
// segment of its month when segments are merged, or of a part of the month where there is no
// memory to merge the whole. Rows of user tables go the same way; a
// flush writes one segment a table, and merges small ones with it (see storage/table).
//
// Rows are deleted by a condition, with their person, or by age (delete.go). They are dead
// from the moment the entry is applied: a [Segment] of a snapshot says which of its rows are
// ([Segment.Dead]), and whose ordinal is not the one that it holds ([Segment.Moved]). Whoever
// reads an index of a segment asks first. The next merge leaves dead rows out, and everything
// that only they had; [VerifyErased] proves it for persons.
//
// What survives a crash: what the manifest names. A flush writes segments and the changes
// of persons and projects into files, syncs them and then adds one edit to the manifest,
// which moves everything forward together to one index of the log. Entries after that
// index are applied again from the log; entries up to it are ignored.
//
// What fails: a file that cannot be written is tried again, and apply waits when two
// memtables are full; a manifest that cannot be written, or a dedup run that cannot be
// read, ends the store. Bytes that are not what was written, or cannot be read, are a
// [segment.CorruptError], a [dedup.CorruptError] or an error of Open; Open changes nothing
// before it knows that all files are there. Nothing is repaired;
// [Verify] reads all of it, and [Detach] gives a segment up.
//
// An event is (project, uuid), and is stored once: package dedup remembers the uuids of the
// last 48 hours of entry time, in memory for the memtables and in files for what was
// flushed. One that comes again later than that is stored again, and the merge of the
// segments that hold both keeps the first.
//
// Memory: memtables, the images of them that queries read, what is decoded of segments and
// what merges need is counted in pools of one budget (storage/memory). Decoded parts go
// when others need the room; the rest is there because the log says so. Maps of persons
// and the sets of uuids are not counted.
//
// What always holds: state depends on entries alone. No clock, no chance, no order of a
// map and no setting has a part in applying one.
//
// FORMAT.md draws every file.
package storage
