// Package raftlog keeps the entries, the term and the vote of all Raft groups of a node:
// the only write-ahead log there is.
//
// [Open] gives the [Log] of a directory; [Log.Group] one group of it, which is what the
// library calls a log store and a stable store. All groups share the files and one writer:
// what they ask for at the same time is one write and one sync.
//
// What always holds:
//
//   - A call that returned nil is on disk.
//   - A read gives what was written, or an error; every byte from disk is under a checksum.
//   - Open cuts off only what was never acknowledged: writes that no later mark calls
//     synced. Anything else that is missing or does not sum is a [DamageError], and Open
//     changes nothing.
//   - After a failed write or sync nothing more is written, and every call says why.
//   - An entry that Raft deleted from the front stays readable by [Group.ReadRange] while
//     it is above [Group.SetDurable] or pinned.
//
// Assumed of the disk: what was synced stays; a write that was cut off by a power loss may
// leave anything in the 512-byte sectors that it touched, and leaves all others alone.
//
// # Files
//
// A file is made once, full of zeros while little is written, and then used again and again under
// the next number: writing over blocks that exist needs no journal of the file system. Numbers have
// no gaps. The files behind the one that is written are spares: they hold zeros or records
// of a former life.
//
//	+-------------+----------------+----------------+-----+----------------------+---------+
//	| header(512) | round          | round          | ... | round of end of file | unused  |
//	+-------------+----------------+----------------+-----+----------------------+---------+
//	                   each begins at a multiple of 512
//
//	header: magic "prkrlog1" | version(4) | 0(4) | number(8) | epoch(8) | epoch of the file before(8)
//	        | where that one ended(8) | size(8) | 0(4) | crc of the 60 bytes(4) | zeros
//
// A round is what one sync made durable. It never touches a sector of another round.
//
//	+-----------+--------+--------+-----+---------------------+
//	| sync mark | record | record | ... | anything up to 512  |      a record begins at a multiple of 8
//	+-----------+--------+--------+-----+---------------------+
//
//	record: length(4) | crc(4) | epoch(8) | group(4) | type(1) | flags(1) | Raft's type(1) | 0(1)
//	        | index(8) | term(8) | appended at(8) | commit hint(8) | extensions length(4) | 0(4)
//	        | extensions | data
//
// The length is the record's, without what fills it up to 8 bytes. The checksum is CRC32C of
// extensions, data, bytes 8 to 64, and the length, in this order, so that callers sum
// their data before the epoch is known. Times are ns since 1970, 0 for none.
//
//	type         index                term               extensions  data    commit hint
//	1 entry      Raft's               Raft's             Raft's      Raft's  known commit index, at most the last index synced before
//	2 truncate   first that goes
//	3 compact    last that goes       last of the group                      as above
//	4 stable                                             key         value
//	5 mark       number of a file     offset in it                           bytes of this round
//	6 end        number of the next
//
// Flags: 1 head (the record repeats the state at the head of a file, so that files before
// it can go), 2 start (the entry does not follow the last one: Raft emptied the log
// before), 4 resume (the mark begins a new epoch), 8 reset (the record replaces what is
// known of the group: a loss was accepted).
//
// # Epochs
//
// An epoch is a session in the upper half and the number of a file in the lower. Every
// Open begins a session. Its first mark is synced alone, so no epoch is used twice, and
// bytes of another file, another life or another session never count as records: not even
// those behind a tail that was cut off.
//
// # Marks
//
// The mark of a round says up to where everything was synced before it, and so may have
// been acknowledged. When 50 ms pass without a round, and when the log is closed, a mark
// is written alone. So Open knows, for a record that is bad: below what a mark covers it
// was acknowledged, which is damage. Above, it is a write that was cut off. A file that
// ended says so, and which one is next; the header of the next says where its predecessor
// ended. An entry's commit hint says what must be there.
package raftlog
