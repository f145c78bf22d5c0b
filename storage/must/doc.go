// Package must holds what production code says about itself: [True] is what always holds,
// [Point] is a place where a test may end the process.
package must
