package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/prickledb/prickle/storage/dedup"
	"github.com/prickledb/prickle/storage/manifest"
	"github.com/prickledb/prickle/storage/segment"
	"github.com/prickledb/prickle/storage/table"
	"github.com/prickledb/prickle/storage/vfs"
)

// Detach removes a segment from the manifest of a store that nobody has open, and moves
// its file into another directory. confirm sees what the manifest says of it first; its
// error ends the matter.
func Detach(fsys vfs.FS, dir, aside string, id uint64, confirm func(manifest.Segment) error) (manifest.Segment, error) {
	m, _, err := manifest.Read(fsys, dir)
	if err != nil {
		return manifest.Segment{}, err
	}
	s, ok := m.Segments[id]
	if !ok {
		return s, fmt.Errorf("there is no segment %d; prickle verify names those that are damaged", id)
	}
	if err := confirm(s); err != nil {
		return s, err
	}
	if err := fsys.MkdirAll(aside); err != nil {
		return s, err
	}
	// The file goes first: one that no manifest names would be removed at the next start.
	err = fsys.Rename(path.Join(dir, segmentDir, segmentName(id)), path.Join(aside, segmentName(id)))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return s, err
	}
	if err := errors.Join(fsys.SyncDir(aside), fsys.SyncDir(path.Join(dir, segmentDir))); err != nil {
		return s, err
	}
	log, err := manifest.Open(fsys, dir)
	if err != nil {
		return s, err
	}
	if err := log.Renew(); err != nil {
		return s, errors.Join(err, log.Close())
	}
	return s, errors.Join(log.Commit(manifest.Edit{Remove: []uint64{id}}), log.Close())
}

// MissingFiles is how the files of a store's directory differ from its manifest.
type MissingFiles struct {
	Segments []manifest.Segment // that have no file
	States   []string
	Runs     map[uint64]error // dedup runs that cannot be used, and why
	Orphans  []string         // files that the manifest does not name, from the store's directory
}

// Name is the file of a segment, from the store's directory.
func (MissingFiles) Name(id uint64) string { return path.Join(segmentDir, segmentName(id)) }

// RunName is the file of a dedup run, from the store's directory.
func (MissingFiles) RunName(number uint64) string { return path.Join(dedup.Dir, dedup.Name(number)) }

// Missing compares a manifest with the files that there are: by their names, and dedup runs,
// without one of which a store does not open, byte by byte.
func Missing(fsys vfs.FS, dir string, m *manifest.Manifest) (MissingFiles, error) {
	out := MissingFiles{Runs: map[uint64]error{}}
	there := map[string][]string{}
	for _, d := range []string{segmentDir, stateDir, dedup.Dir} {
		names, err := fsys.List(path.Join(dir, d))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return out, err
		}
		there[d] = slices.DeleteFunc(names, func(n string) bool { return strings.HasSuffix(n, ".tmp") })
	}
	for _, id := range slices.Sorted(maps.Keys(m.Segments)) {
		if !slices.Contains(there[segmentDir], segmentName(id)) {
			out.Segments = append(out.Segments, m.Segments[id])
		}
	}
	for _, s := range m.States {
		if !slices.Contains(there[stateDir], s) {
			out.States = append(out.States, s)
		}
	}
	for number, run := range m.Runs {
		if err := dedup.Verify(fsys, dir, run); err != nil {
			out.Runs[number] = err
		}
	}
	for _, name := range there[segmentDir] {
		id := fileID(name)
		_, live := m.Segments[id]
		// The output of a merge counts if an entry says so; where the inputs are there it
		// has no row that they lack.
		if !live && (id < mergeIDs || len(out.Segments) > 0) {
			out.Orphans = append(out.Orphans, path.Join(segmentDir, name))
		}
	}
	for _, name := range there[stateDir] {
		if !slices.Contains(m.States, name) {
			out.Orphans = append(out.Orphans, path.Join(stateDir, name))
		}
	}
	for _, name := range there[dedup.Dir] {
		number := fileID(name)
		if _, live := m.Runs[number]; !live || out.Runs[number] != nil {
			out.Orphans = append(out.Orphans, path.Join(dedup.Dir, name))
		}
	}
	return out, nil
}

// DescribeSegment says what a segment file holds, if it is one that can be opened.
func DescribeSegment(fsys vfs.FS, name string) (manifest.Segment, bool) {
	r, err := segment.Open(fsys, name)
	if err != nil {
		t, err := table.Open(fsys, name)
		if err != nil {
			return manifest.Segment{}, false
		}
		defer t.Close() // only read
		return manifest.Segment{ID: fileID(path.Base(name)), Rows: int64(t.Rows()), Size: t.Size()}, true
	}
	defer r.Close() // only read
	return manifest.Segment{ID: fileID(path.Base(name)), FirstDay: r.FirstDay(), Days: r.Days(), Rows: int64(r.Rows()),
		MinTime: r.MinTime(), MaxTime: r.MaxTime(), Size: r.Size()}, true
}

// IsState says whether a file is a state file that is whole.
func IsState(fsys vfs.FS, name string) bool {
	raw, err := vfs.ReadFile(fsys, name, maxStateBytes)
	if err == nil {
		_, err = stateBody(raw)
	}
	return err == nil
}
