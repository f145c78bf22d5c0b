// Package outside reads and writes files that are not the database's: those of statements like
// COPY. They lie in places that the operator has allowed, directories and buckets; everywhere
// else they are refused.
package outside
