package storage

import (
	"context"
	"fmt"
	"maps"
	"path"
	"slices"

	"github.com/prickledb/prickle/storage/dedup"
	"github.com/prickledb/prickle/storage/manifest"
	"github.com/prickledb/prickle/storage/segment"
	"github.com/prickledb/prickle/storage/table"
	"github.com/prickledb/prickle/storage/vfs"
)

// Verify reads all files that a manifest names, in the directory of a store: every checksum
// in them, and the hash of each segment. each is told of every file when it was read, with
// what is wrong with it; an error of Verify itself is that of ctx.
func Verify(ctx context.Context, fs vfs.FS, dir string, m *manifest.Manifest, each func(name string, size int64, err error)) error {
	for _, id := range slices.Sorted(maps.Keys(m.Segments)) {
		if err := ctx.Err(); err != nil {
			return err
		}
		name := path.Join(segmentDir, segmentName(id))
		each(name, m.Segments[id].Size, verifySegment(fs, path.Join(dir, name), m.Segments[id]))
	}
	for _, state := range m.States {
		if err := ctx.Err(); err != nil {
			return err
		}
		name := path.Join(stateDir, state)
		raw, err := vfs.ReadFile(fs, path.Join(dir, name), maxStateBytes)
		if err == nil {
			_, err = openState(raw)
		}
		each(name, int64(len(raw)), err)
	}
	for _, number := range slices.Sorted(maps.Keys(m.Runs)) {
		if err := ctx.Err(); err != nil {
			return err
		}
		each(path.Join(dedup.Dir, dedup.Name(number)), m.Runs[number].Size, dedup.Verify(fs, dir, m.Runs[number]))
	}
	return nil
}

// verifiable is a segment of events or of a user table.
type verifiable interface {
	Verify() error
	Rows() int
	Size() int64
	Close() error
}

func openVerifiable(fs vfs.FS, name string, ofTable bool) (verifiable, error) {
	if ofTable {
		return table.Open(fs, name)
	}
	return segment.Open(fs, name)
}

// CheckSegment opens a segment that a manifest names, which checks its directory, and reads
// all of it if that is asked for.
func CheckSegment(fs vfs.FS, dir string, meta manifest.Segment, whole bool) error {
	r, err := openVerifiable(fs, path.Join(dir, segmentDir, segmentName(meta.ID)), meta.Table != 0)
	if err != nil {
		return err
	}
	if whole {
		err = r.Verify()
	}
	if closing := r.Close(); err == nil {
		err = closing
	}
	return err
}

// verifySegment compares a segment with what the manifest says, and checks all of it.
func verifySegment(fs vfs.FS, name string, meta manifest.Segment) error {
	r, err := openVerifiable(fs, name, meta.Table != 0)
	if err != nil {
		return err
	}
	err = r.Verify()
	if err == nil && (int64(r.Rows()) != meta.Rows || r.Size() != meta.Size) {
		err = fmt.Errorf("%d rows in %d bytes, the manifest says %d in %d", r.Rows(), r.Size(), meta.Rows, meta.Size)
	}
	if closing := r.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return err // it names the place, which a hash does not
	}
	got, err := fileHash(fs, name, meta.Size)
	if err == nil && got != meta.Hash {
		err = fmt.Errorf("hash %s, the manifest says %s", got, meta.Hash)
	}
	return err
}
