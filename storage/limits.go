package storage

import "time"

// When a memtable is sealed. A row with 25 properties takes about 130 bytes of memory: one table
// being written, one waiting and one filling stay below half a gigabyte.
const (
	sealRows  = 1 << 20
	sealBytes = 160 << 20
	// sealAge bounds what a start replays where little is written. It is the time between
	// entries: nothing is sealed while none come.
	sealAge = 10 * time.Minute
)

const (
	// maxSealed is how many memtables may wait for the flusher before apply waits too.
	maxSealed = 1
	// mergeRowBytes is what a merge needs for each row beside the bytes of its inputs:
	// where it comes from and where it goes, and its sort key.
	mergeRowBytes = 64
	// maxStates is how many state files pile up before one with everything replaces
	// them: what a start reads is then at most a few times the state.
	maxStates = 16
	// maxStateBytes is the largest state file that is believed: a hundred million persons.
	maxStateBytes = 64 << 30
)

// The places of files in a store's directory.
const (
	segmentDir = "segments"
	stateDir   = "state"
)
