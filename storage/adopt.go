package storage

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/prickledb/prickle/storage/manifest"
	"github.com/prickledb/prickle/storage/table"
	"github.com/prickledb/prickle/storage/vfs"
)

// Adoption is a project that comes whole from another store: its segments as they are, and a
// state file with all else. Their files are in this store's directory before the entry is
// proposed, as the output of a merge is, under numbers that no other file has.
type Adoption struct {
	// Spec names the project here. Its other settings come with the state.
	Spec     ProjectSpec        `json:"spec"`
	State    AdoptedState       `json:"state"`
	Segments []manifest.Segment `json:"segments"` // Project is not set
}

// AdoptedState is the state file of an adoption. It has the name of a segment, so that it stays
// until the log is replayed.
type AdoptedState struct {
	ID   uint64 `json:"id"`
	Size int64  `json:"size"`
	Hash string `json:"hash"` // xxh3-128 of the file, hex
}

// adoptIDs and adoptBits make the number of a file of an adoption: the first, a number drawn for
// the adoption, and which file of it.
const (
	adoptIDs  = 1 << 63
	adoptBits = 20
)

// seed is the project's number in hashes of distinct ids and uuids of new persons: the one that
// it had where it was made.
func (p *Project) seed() uint32 {
	if p.Origin != 0 {
		return p.Origin
	}
	return p.ID
}

// Stage copies the files of a project of another store, in which nothing goes on and all is
// flushed and merged, and gives the entry that adopts it. nonce is a random number.
func (s *Store) Stage(ctx context.Context, from *Store, id uint32, spec ProjectSpec, nonce uint64) (_ *Adoption, err error) {
	files, state, err := from.export(id)
	if err != nil {
		return nil, err
	}
	defer func() {
		for _, f := range files {
			f.release(from)
		}
	}()
	if len(files) >= 1<<adoptBits {
		return nil, fmt.Errorf("%d segments: at most %d can be adopted", len(files), 1<<adoptBits-1)
	}
	base := adoptIDs | nonce<<adoptBits&^adoptIDs
	a := &Adoption{Spec: spec, State: AdoptedState{ID: base, Size: int64(len(state)), Hash: hashOf(state)}}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Unstage(a))
		}
	}()
	dir := path.Join(s.dir, segmentDir)
	if err := vfs.WriteFile(s.fs, path.Join(dir, segmentName(base)), state); err != nil {
		return a, err
	}
	for i, f := range files {
		meta := f.Segment
		meta.ID, meta.Project = base+1+uint64(i), 0
		a.Segments = append(a.Segments, meta)
		if err := vfs.CopyFile(from.fs, f.name(from), s.fs, path.Join(dir, segmentName(meta.ID))); err != nil {
			return a, err
		}
		if err := ctx.Err(); err != nil {
			return a, err
		}
	}
	return a, s.fs.SyncDir(dir)
}

// Unstage removes the files of an adoption that are no segments: all of them if it was not
// proposed, and the state file once the adoption is flushed.
func (s *Store) Unstage(a *Adoption) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	names := []uint64{a.State.ID}
	for i := range a.Segments {
		if id := a.Segments[i].ID; s.segments[id] == nil {
			names = append(names, id)
		}
	}
	var errs []error
	for _, id := range names {
		if err := s.fs.Remove(path.Join(s.dir, segmentDir, segmentName(id))); !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// export gives the segments of a project, held, and a state file with all else.
func (s *Store) export(id uint32) (files []*segmentFile, state []byte, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.projects[id]
	if p == nil {
		return nil, nil, fmt.Errorf("project %d: %w", id, ErrNoProject)
	}
	if len(s.sealed) > 0 || s.active.rows > 0 || len(s.merges) > 0 {
		return nil, nil, errors.New("a project is adopted from a store where all is flushed and merged")
	}
	for _, n := range slices.Sorted(maps.Keys(s.segments)) {
		f := s.segments[n]
		if f.Project != id {
			continue
		}
		if f.mask != nil {
			return nil, nil, fmt.Errorf("segment %s has deleted rows: merge it first", f.name(s))
		}
		files = append(files, f)
	}
	for _, f := range files {
		f.hold()
	}
	return files, sealState(p.export()), nil
}

// export is a state file of the project alone.
func (p *project) export() []byte {
	sized := func(dst, raw []byte) []byte { return append(binary.AppendUvarint(dst, uint64(len(raw))), raw...) }
	own := func(dst, raw []byte) []byte {
		return sized(binary.AppendUvarint(binary.AppendUvarint(dst, 1), uint64(p.ID)), raw)
	}
	out := sized(nil, marshal([]projectRecord{{Project: p.Project, Used: p.used}}))
	out = own(out, p.persons.Delta(nil, true))
	out = AppendRowDelete(out, nil)
	out = sized(out, []byte("[]"))
	out = own(out, p.tables.Append(nil))
	out = sized(out, marshal(sharedState{}))
	out = sized(out, nil)
	for _, part := range p.sections() {
		out = own(out, part.Delta(nil, true))
	}
	return out
}

// ApplyAdopt makes the project of an adoption. Its files must be there: without them no later
// entry can be applied.
func (s *Store) ApplyAdopt(index uint64, at int64, a *Adoption) (Project, error) {
	s.mu.Lock()
	fresh, err := s.fresh(index)
	s.mu.Unlock()
	if !fresh || err != nil {
		return Project{}, err
	}
	src, err := s.adopted(a)
	var files []*segmentFile
	for i := 0; i < len(a.Segments) && err == nil; i++ {
		var f *segmentFile
		if f, err = s.openSegment(a.Segments[i]); err == nil {
			files = append(files, f)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	drop := func() {
		for _, f := range files {
			f.release(s)
		}
	}
	if err != nil {
		drop()
		err = fmt.Errorf("entry %d: the files of an adopted project are not there or damaged: restore the state before it, or a backup made after it: %w", index, err)
		s.mu.Unlock()
		s.fail(err)
		s.mu.Lock()
		return Project{}, err
	}
	if ok, err := s.begin(index, at); !ok || err != nil {
		drop()
		return Project{}, err
	}
	s.staged[a.State.ID] = index
	for i := range a.Segments {
		s.staged[a.Segments[i].ID] = index
	}
	made, err := s.createProject(&a.Spec, at)
	if err != nil {
		drop()
		return Project{}, err
	}
	p, err := s.adopt(made, src)
	if err != nil {
		drop()
		delete(s.projects, made.ID)
		return Project{}, fmt.Errorf("adopted project: %w", err)
	}
	p.changed, p.adopted, p.tablesChanged = true, true, true
	rows := int64(0)
	for _, f := range files {
		f.Project = p.ID
		s.segments[f.ID] = f
		s.exchanged.note(nil, f)
		if f.table == nil {
			rows += f.Rows
		}
	}
	p.events, p.touched = rows, index
	if err := s.attachSegments(p, 0); err != nil {
		return Project{}, err
	}
	s.effect(uint64(p.ID), uint64(p.Origin), uint64(rows), uint64(p.persons.Len()), uint64(len(files)))
	return p.Project, nil
}

// adopted reads the state file of an adoption.
func (s *Store) adopted(a *Adoption) ([]byte, error) {
	name := path.Join(s.dir, segmentDir, segmentName(a.State.ID))
	raw, err := vfs.ReadFile(s.fs, name, a.State.Size)
	if err != nil {
		return nil, err
	}
	if got := hashOf(raw); got != a.State.Hash {
		return nil, fmt.Errorf("%s: hash %s, agreed was %s", name, got, a.State.Hash)
	}
	return openState(raw)
}

// adopt makes a project of what the state file of another one says, with the identity that it
// has here. The caller holds mu.
func (s *Store) adopt(here Project, src []byte) (p *project, err error) {
	err = decodeState(src, &stateVisitor{
		project: func(r projectRecord) {
			rec := r.Project
			rec.Origin = rec.seed()
			rec.ID, rec.Name, rec.Database, rec.Token, rec.CreatedAt = here.ID, here.Name, here.Database, here.Token, here.CreatedAt
			p = s.addProject(rec)
		},
		persons: func(_ uint32, delta []byte) error { return p.persons.Load(delta) },
		mask:    func(uint64, *roaring.Bitmap) {},
		erasure: func(Erasure) {},
		tables: func(_ uint32, raw []byte) (err error) {
			p.tables, err = table.DecodeTables(raw)
			return err
		},
		section: func(i int, _ uint32, delta []byte) error { return p.sections()[i].Load(delta) },
	})
	return p, err
}
