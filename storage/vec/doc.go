// Package vec holds the vectors in which rows travel through every layer.
//
// A [Batch] is a set of columns of equal length and, optionally, a selection of
// the rows that still count. A column is a [Vector], which has one of three forms:
// Flat (one value a row), Const (one value for all rows) and Dict (codes into
// another, flat vector). A reader that does not care calls [Vector.Flatten].
//
// A batch is lent or given, and every function that passes one says which. A lent
// batch may be read until the lender's next turn; what is kept must be copied. A
// given batch belongs to the taker.
//
// Vectors are plain structs: a kernel switches on the type once per batch and then
// runs a loop over slices.
//
// [AppendBatch] and [DecodeBatch] are the one encoding of a batch, wherever it goes.
package vec
