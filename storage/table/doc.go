// Package table keeps the tables that users make.
//
// A [Tables] is the tables of one project, an immutable value; a [Version] is one of them:
// its schema, segments of rows, batches that no segment holds yet, and which rows are dead.
// A [WriteSet] is what a statement or a transaction changes; [Tables.Apply] gives the tables
// after it, or an error and no change. The store applies write sets in the order of the log; a session
// applies its own to the tables it has pinned, and so sees what it has written.
//
// A view is a table of which Schema.View is set: it has columns and a name among those of
// tables, and never rows. What its query says is not read here.
//
// What SQL calls a schema is a namespace here: a [Schema] of that kind, made, renamed and dropped by
// the same operations. A table says by number which one it is in. A note, a Schema of a third kind,
// keeps comments of what every project has.
//
// A temporary table is one of a session, which keeps its own Tables, in memory. Its number says
// that it is; in a state or a log there is none.
//
// A row has a number, given out in apply, ascending and never used again. An update is a
// deletion and an insertion. A deleted row is a member of Version.Dead from then on, also
// when no file holds it any more: whether a row is there is a question to one bitmap. A
// column has a number, too: adding, dropping or renaming one touches the schema and no row.
//
// A [Reader] is a segment: an immutable file of rows, in the order of their numbers or in that of
// Schema.OrderBy, by which zones tell more of what a block may hold. Its
// bytes depend on its rows, and on how they came, alone, and each is under a checksum that is
// verified when it is read; damage is a [segment.CorruptError]. What queries read of it stays
// decoded in a cache that segments share, as far as it has room: most of a scan is decoding.
// Integers, and numerics of one scale, that conditions compare are kept there as bytes or words, where they lie close
// together ([Small]).
//
// A [Sample] is some rows of a segment or batch, by which a plan's costs are estimated.
//
// A statement that brings many rows has them [Encoded]: in the log, in memory and in segments
// they are the same blocks, which are copied and not encoded again, but where a segment has an order.
//
// What always holds: the state after a write set depends on the state before it, the write
// set and its time.
package table
