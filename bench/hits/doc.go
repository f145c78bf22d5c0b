// Package hits makes a table of page views with the 105 columns that ClickBench's has, and asks
// 43 questions like its own.
//
// The rows are made up: types, cardinalities and skews are plausible, no value is a real one.
// They come from a hash of the row's number, so any part of the table can be made alone, and
// twice the same.
package hits
