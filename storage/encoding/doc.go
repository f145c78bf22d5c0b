// Package encoding turns columns of integers into bytes and back.
//
// A column is cut into blocks of [BlockRows] values. Each block is packed in whichever
// way makes it smallest: as one constant, as bits above a base (bitpack.go), as bits of
// differences (delta.go) or as runs (rle.go). The choice depends on the values alone.
//
// Decoders take foreign bytes: they check every length and never panic.
package encoding
