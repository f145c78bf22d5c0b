// Package event holds decoded events on their way in: the batch that the JSON decoder
// fills, the Raft log carries and the memtable keeps.
//
// Every text and every property value is dictionary coded inside its batch, so that
// work on values (hashing, parsing numbers, sorting) is done once per distinct value
// and work on rows is done on small integers.
package event
