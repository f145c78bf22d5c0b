// Package catalog says which tables and columns a statement may name. A [Catalog] is an
// immutable value; a statement sees one from beginning to end.
package catalog
