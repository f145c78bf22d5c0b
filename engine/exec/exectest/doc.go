// Package exectest runs an operator over the same rows in every shape that batches come
// in: one, two, three or all rows a batch; with a selection that skips rows between them
// and without; columns flat, constant and by dictionary; with nulls put in. [Run] holds
// the answers against each other and against what is wanted.
package exectest
