package vfs

import (
	"errors"
	"fmt"
	"io"
	"path"
)

// FS is a tree of files. Names are slash-separated paths. It may be used by many
// goroutines at once.
type FS interface {
	// Create makes an empty file, or empties one. A crash before a sync can bring what an
	// emptied one held back.
	Create(name string) (File, error)
	// Open opens a file for reading.
	Open(name string) (File, error)
	// ReuseForWrite renames a file that is no longer needed and opens it for writing:
	// its blocks stay allocated, its old bytes stay readable, and after a crash they can be
	// where new ones were not synced. With old = new it opens a file for writing.
	ReuseForWrite(old, new string) (File, error)
	// Rename replaces what new was. After a crash a file has one of the two names.
	Rename(old, new string) error
	// Remove removes a file.
	Remove(name string) error
	// MkdirAll makes a directory and those above it, durable when it returns.
	MkdirAll(dir string) error
	// List gives the names in a directory, ascending, without the directory.
	List(dir string) ([]string, error)
	// SyncDir makes the names in a directory durable: what Create, Rename, ReuseForWrite and
	// Remove did to them. A rename counts where its new name is.
	SyncDir(dir string) error
	// Free is the bytes that can still be written.
	Free(dir string) (uint64, error)
	// Lock takes a lock that no other process and no other caller holds, or fails at once.
	Lock(name string) (io.Closer, error)
}

// File is an open file. Its methods may be called by many goroutines at once; of two writes
// to the same bytes either is last. After Close all of them give fs.ErrClosed.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	// WriteVecAt writes several pieces one after the other. An error leaves a part of them
	// written.
	WriteVecAt(bufs [][]byte, off int64) error
	// Preallocate makes room for size bytes without changing what is read. Writing to that
	// room does not run out of space.
	Preallocate(size int64) error
	// SyncData makes the bytes durable, and the size if it has grown; Sync also the rest
	// of what the file system knows of the file. Neither makes its name durable. After an
	// error it is not known what is durable, and another sync does not tell.
	SyncData() error
	Sync() error
	Size() (int64, error)
	// Map gives the whole file, as long as it is at the first call, as memory that must not
	// be written to. It is valid until Close; whether it shows what is written later is not
	// said. Bytes that are cut off or lost underneath fault when they are read.
	Map() ([]byte, error)
}

// Partial is a file of which only a part is here yet: its Map shows that part, and zeros.
type Partial interface {
	File
	// Fill has the rest come, and gives the whole file as memory, as Map does. Its error
	// wraps ErrNotHere.
	Fill() ([]byte, error)
}

// ErrNotHere is wrapped by the error of reading a file that is elsewhere and does not come.
var ErrNotHere = errors.New("the file is not here yet")

// ReadFile reads a whole file of at most limit bytes.
func ReadFile(fs FS, name string, limit int64) ([]byte, error) {
	f, err := fs.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close() // only read
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	if size > limit {
		return nil, fmt.Errorf("%s: %d bytes, at most %d are expected", name, size, limit)
	}
	raw := make([]byte, size)
	if n, err := f.ReadAt(raw, 0); n < len(raw) {
		return nil, err
	}
	return raw, nil
}

// WriteFile makes a file appear whole or not at all, durable when it returns: it is
// written under another name, synced and renamed.
func WriteFile(fs FS, name string, raw []byte) error {
	tmp := name + ".tmp"
	err := WriteSynced(fs, tmp, raw)
	if err == nil {
		err = fs.Rename(tmp, name)
	}
	if err != nil {
		fs.Remove(tmp) // on a full disk it takes the room of others; err says what matters
		return err
	}
	return fs.SyncDir(path.Dir(name))
}

// WriteSynced writes a file whose bytes are durable when it returns; its name is not
// before SyncDir.
func WriteSynced(fs FS, name string, raw []byte) error {
	f, err := fs.Create(name)
	if err != nil {
		return err
	}
	if len(raw) > 0 {
		_, err = f.WriteAt(raw, 0)
	}
	if err == nil {
		err = f.SyncData()
	}
	if closing := f.Close(); err == nil {
		err = closing
	}
	return err
}
