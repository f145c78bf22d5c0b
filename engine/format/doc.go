// Package format reads and writes rows in the forms that other programs use: PostgreSQL's
// text, CSV and binary forms of COPY, lines of JSON, Parquet files and Arrow streams.
//
// A [Reader] cuts a stream into [Piece]s, in one goroutine, without looking at values; a
// [Decoder] makes batches of a piece, and there may be one for each processor. So a file is
// parsed in parallel and never held as a whole. A [Writer] takes batches and writes bytes.
//
// Infer looks at the first rows of a file and finds its columns. A Parquet file is read in row
// groups, without those that cannot hold what is looked for; it has no stream.
//
// Whatever is wrong with the input is a *pgerr.Error whose Where names the line and the
// column. No input makes a panic, and no length in it sizes an allocation before it was held
// against what there is.
package format
