// Command logpeers measures log stores side by side on one disk: raftlog, raft-wal and
// raft-boltdb. In each round every store writes the same in turn, in a new order each time, so that
// whatever else the disk does meets all of them. It prints a table: throughput, and the latency
// of one StoreLogs call, which ends with the entries on disk.
//
//	go run . -dir /var/tmp -mb 64 -rounds 5
package main
