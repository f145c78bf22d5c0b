// Package storage keeps the state of one shard: the events and persons of all projects.
//
// [Store] takes entries in the order of the log by ApplyEvents and its sisters, and gives
// a [Snapshot] to each query. A batch goes from ApplyEvents into the memtable (its rows
// visible at once), from there into one segment a UTC day when the memtable is flushed,
// and from there into the segment of its month when segments are merged.
//
// What survives a crash: what the manifest names. A flush writes segments and the changes
// of persons and projects into files, syncs them and then adds one edit to the manifest,
// which moves everything forward together to one index of the log. Entries after that
// index are applied again from the log; entries up to it are ignored.
//
// What always holds: state depends on entries alone. No clock, no chance, no order of a
// map and no setting has a part in applying one.
package storage
