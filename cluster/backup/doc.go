// Package backup is the form of a backup outside the data directory, and how it is written
// and read over a blob.Store. What a backup means to a node is package cluster's.
//
//	<cluster>/objects/<xxh3-128>                  files of data directories, by their content
//	<cluster>/manifests/<group>/<index>.json      a backup: the files of one state ([Manifest])
//	<cluster>/log/<group>/<first>-<last>.zst      entries of the log ([Piece])
//	<cluster>/LATEST                              the name of the newest manifest
//
// What always holds: a manifest is written when all its objects were read back and are
// what they should be, so a manifest that can be read is a backup that is complete.
// Objects are named by their content and never change; those that are there already are
// not sent again. Every byte of a manifest, an object or a piece is under a hash that is
// checked whenever it is read. Nothing is deleted.
package backup
