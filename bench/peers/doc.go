// Command peers compares prickle with ClickHouse and DuckDB: the same rows, the same questions,
// the same machine, in turn.
//
// It makes the data of a suite, starts a prickle server that it has built from this tree, and one process of Node
// for each peer, which npm installs into a scratch directory; loads the data with the best design
// that is known for each; and asks every question in turn (a b c a b c …). A question gets times when all
// answers are the same, and is WRONG otherwise; then the command ends with 1. It writes
// report.md, report.json and a picture for each suite.
//
// The suites: product (32 questions of product analytics, product.go), hits (43 about page views),
// tpch (22, beside DuckDB alone), ingest (no questions: how fast NDJSON comes in). Of loading
// there are two times: until all rows are durable and queries see them, which goals are about,
// and until the merges that follow are done: those that prickle import ends with, OPTIMIZE FINAL
// and CHECKPOINT.
//
// To repeat the comparison:
//
//	make bench-peers                              # 1 million events, all suites
//	make bench-peers PEERS='-events 10000000 -threads 1,2 -cold -dir /scratch'
//
// Its other forms compare prickle with an earlier prickle, by instructions and times (guard.go), and with
// itself over more events and events of other shapes (scale.go):
//
//	make bench-guard BASE=main
//	make bench-scale SCALE='-sizes 1000000,10000000,100000000'
//
// Of ten million events, no person has two at the same millisecond. Of a hundred million, some have, and
// the peers have no order for those: strict funnels and paths (F6, P1) may then be WRONG by a few. Ten million events
// of all suites need about 16 GB below -dir.
package main
