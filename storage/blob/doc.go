// Package blob stores whole objects under names in a place outside the data directory: a
// directory ([File]), memory that fails on demand ([Mem], for tests) or an S3-compatible
// service ([S3]). [Open] chooses by URL.
//
// What always holds: an object appears whole or not at all, and Put returns when it is
// there to stay. Nothing here checks content: who writes an object reads it back.
package blob
