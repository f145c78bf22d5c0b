// Package segment is the columnar file in which events rest, and the image of the same
// form in which recent events wait in memory.
//
// [Build] makes one from batches, [Merge] one from several, [Open] and [OpenBytes] give
// a [Reader]. A segment's rows are sorted by (event name, person ordinal, time, uuid)
// and numbered from 0. A [Range] is the rows of one event name; its [Runs] are the rows
// of one person each. Rare events share columns, so ranges that follow each other can be read
// as one [Stretch]. [Order] leads through the rows of each person in turn, whatever their
// events are. storage/FORMAT.md draws the bytes.
//
// What always holds: the bytes are a function of the rows alone, whatever batches or
// segments they came in; every byte of a file is under a checksum, verified once by an
// open reader before it is first used; nothing a file contains makes a reader panic.
package segment
