package storage

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"

	"github.com/prickledb/prickle/storage/manifest"
	"github.com/prickledb/prickle/storage/segment"
	"github.com/prickledb/prickle/storage/table"
	"github.com/prickledb/prickle/storage/vfs"
)

// ApplyTables changes the tables of a project: all of the write set, or nothing of it. A
// [table.ConflictError] says that it was computed on what is not there any more. The write
// set is the store's from now on.
func (s *Store) ApplyTables(index uint64, at int64, id uint32, ws *table.WriteSet) (table.Change, error) {
	return s.ApplyCommit(index, at, id, &Commit{Tables: ws})
}

// Tables is the tables that users made in a project, as they are now. To read rows of them
// takes a Snapshot.
func (s *Store) Tables(id uint32) *table.Tables {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.projects[id]; p != nil {
		return p.tables
	}
	return &table.Tables{}
}

// changedTables gives the tables of projects where they changed since the last call. The
// caller holds mu.
func (s *Store) changedTables() map[uint32]*table.Tables {
	out := map[uint32]*table.Tables{}
	for id, p := range s.projects {
		if p.tablesChanged {
			out[id], p.tablesChanged = p.tables, false
		}
	}
	return out
}

// attachSegments gives the tables of a project the segments there are, and takes from them
// the rows of memtables before an epoch. The caller holds mu, or is alone.
func (s *Store) attachSegments(p *project, epoch uint64) error {
	byTable := s.tableSegments(p.ID)
	var versions []*table.Version
	for _, v := range p.tables.All() {
		next := *v
		next.Segments, next.Batches = nil, nil
		for _, f := range byTable[v.Schema.Table] {
			next.Segments = append(next.Segments, f.table)
		}
		for _, r := range v.Batches {
			if r.Epoch >= epoch {
				next.Batches = append(next.Batches, r)
			}
		}
		versions = append(versions, &next)
		delete(byTable, v.Schema.Table)
	}
	p.tables = p.tables.With(versions...)
	if epoch > 0 {
		return nil // what is left was dropped, and goes with the next flush
	}
	for _, id := range slices.Sorted(maps.Keys(byTable)) {
		return fmt.Errorf("segment %s: its table %d is not in the state files", byTable[id][0].name(s), id)
	}
	return nil
}

// tableSegments gives a project's segments of user tables, of each table ascending by row.
func (s *Store) tableSegments(project uint32) map[uint32][]*segmentFile {
	out := map[uint32][]*segmentFile{}
	for _, f := range s.segments {
		if f.table != nil && f.Project == project {
			out[f.Table] = append(out[f.Table], f)
		}
	}
	for _, files := range out {
		slices.SortFunc(files, func(a, b *segmentFile) int { return cmp.Compare(a.table.First(), b.table.First()) })
	}
	return out
}

// writeTables writes the rows of user tables in a memtable, together with the segments that
// are worth merging with them. It gives the segments that were written, also with an error,
// and those that they replace or whose tables were dropped.
//
// Which segments there are, and which rows are dead, is as it was when the memtable was
// sealed: only the flusher, which runs this, changes the list. So files depend on the log
// alone.
//
// number gives the numbers of segments.
func (s *Store) writeTables(m *memtable, number func() uint64) (written []*segmentFile, replaced []uint64, err error) {
	for _, project := range slices.Sorted(maps.Keys(m.tables)) {
		if slices.Contains(m.dropped, project) {
			continue
		}
		s.mu.Lock()
		byTable := s.tableSegments(project)
		s.mu.Unlock()
		for _, v := range m.tables[project].All() {
			files := byTable[v.Schema.Table]
			delete(byTable, v.Schema.Table)
			w, r, err := s.writeTable(m, project, v, files, number)
			written, replaced = append(written, w...), append(replaced, r...)
			if err != nil {
				return written, nil, err
			}
		}
		for _, id := range slices.Sorted(maps.Keys(byTable)) {
			for _, f := range byTable[id] {
				replaced = append(replaced, f.ID)
			}
		}
	}
	return written, replaced, nil
}

// writeTable writes the rows of one table, and merges its segments.
func (s *Store) writeTable(m *memtable, project uint32, v *table.Version, files []*segmentFile,
	number func() uint64) (written []*segmentFile, replaced []uint64, err error) {
	var rows []*table.Rows
	n := 0
	for _, r := range v.Batches {
		if r.Epoch == m.epoch {
			rows = append(rows, r)
			n += r.Len()
		}
	}
	readers := make([]*table.Reader, len(files))
	for i, f := range files {
		readers[i] = f.table
	}
	for i, merge := range table.Plan(readers, n, v.Dead) {
		inputs := readers[merge.From:merge.To]
		var batches []*table.Rows
		if i == 0 {
			batches = rows
		}
		if len(inputs) == 0 && len(batches) == 0 {
			continue
		}
		raw, err := table.Build(v.Schema, inputs, batches, v.Dead)
		var corrupt *segment.CorruptError
		if errors.As(err, &corrupt) {
			// A damaged segment stays what it is, for queries to tell of it; it must not keep
			// new rows from becoming durable.
			s.opt.Logger.Error("a segment of a table cannot be merged", "table", v.Schema.Name, "error", err)
			if inputs, merge.From = nil, merge.To; len(batches) == 0 {
				continue
			}
			raw, err = table.Build(v.Schema, nil, batches, v.Dead)
		}
		if err != nil {
			return written, nil, &impossible{fmt.Errorf("table %d of project %d: %w", v.Schema.Table, project, err)}
		}
		if raw != nil {
			f, err := s.writeTableSegment(project, v.Schema.Table, number(), raw)
			if err != nil {
				return written, nil, err
			}
			written = append(written, f)
		}
		for _, f := range files[merge.From:merge.To] {
			replaced = append(replaced, f.ID)
		}
	}
	return written, replaced, nil
}

// writeTableSegment writes a segment's file, durable when it returns, and opens it. After
// an error there is no such file.
func (s *Store) writeTableSegment(project, id uint32, number uint64, raw []byte) (*segmentFile, error) {
	name := path.Join(s.dir, segmentDir, segmentName(number))
	err := vfs.WriteFile(s.fs, name, raw)
	var r *table.Reader
	if err == nil {
		r, err = table.Open(s.fs, name)
	}
	if err != nil {
		s.fs.Remove(name) // it may have its name already; err says what matters
		return nil, err
	}
	s.shareTable(r)
	f := newSegmentFile(manifest.Segment{ID: number, Project: project, Table: id, Rows: int64(r.Rows()), Size: r.Size(), Hash: hashOf(raw)}, nil)
	f.table = r
	return f, nil
}

// openTable opens a segment of a table that the manifest names.
func (s *Store) openTable(meta manifest.Segment) (*segmentFile, error) {
	name := path.Join(s.dir, segmentDir, segmentName(meta.ID))
	r, err := table.Open(s.fs, name)
	if err != nil {
		return nil, s.unreadable(err)
	}
	if int64(r.Rows()) != meta.Rows || r.Size() != meta.Size {
		r.Close() // only read
		return nil, s.unreadable(fmt.Errorf("%s: %d rows in %d bytes, want %d in %d", name, r.Rows(), r.Size(), meta.Rows, meta.Size))
	}
	s.shareTable(r)
	f := newSegmentFile(meta, nil)
	f.table = r
	return f, nil
}

// shareTable lets a segment keep what it decodes, if something bounds it.
func (s *Store) shareTable(r *table.Reader) {
	if s.opt.Memory != nil {
		r.Share(s.cache)
	}
}
