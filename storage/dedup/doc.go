// Package dedup remembers which events were stored lately, so that none is stored twice.
//
// An event is (project, uuid). [Index] answers, for a batch, which of its events it has
// seen; it is made of one [Table] in memory for the keys that no file holds yet, and of
// [Run] files, one for each flush, which a background merge makes few. Answers are exact:
// a filter only says where not to look, and every hit is compared with the whole uuid.
//
// How long a key is remembered follows from the times of log entries alone. They are cut
// into periods of six hours. A key belongs to the period of the entry that brought it, and
// is forgotten when an entry comes that is more than [Horizon] in whole periods later: after
// 48 to 54 hours. Tables and runs hold keys of one period each, so where the boundaries of
// flushes and merges lie, and whether a merge has happened, changes no answer. A
// duplicate does not renew its key.
//
// A repeat that comes later than that is stored. The store marks an event whose uuid says that it
// may be one, and a merge of segments that hold both drops it.
//
// What fails: a run that cannot be read, or whose bytes are not what was written, is a
// [CorruptError] when it is opened or first looked into. Its keys are unknown then, and the
// caller must stop rather than store an event that may be there.
//
// [Window] is the same question for whole requests, small enough to live in memory.
package dedup
