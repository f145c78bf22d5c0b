// Package wire takes encoded values off a byte slice: what batches, deltas, directories and
// state files have in common when they are read.
//
// What always holds: no bytes make a Reader panic, and a count that was read is at most what
// its caller allows, so memory that is set aside by it is bounded. After the first error a
// Reader has nothing left and gives zeros, so one look at Err is enough for many reads.
package wire
