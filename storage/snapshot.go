package storage

import (
	"errors"
	"fmt"
	"path"
	"sort"
	"sync"
	"sync/atomic"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/prickledb/prickle/storage/cohort"
	"github.com/prickledb/prickle/storage/group"
	"github.com/prickledb/prickle/storage/manifest"
	"github.com/prickledb/prickle/storage/memory"
	"github.com/prickledb/prickle/storage/object"
	"github.com/prickledb/prickle/storage/person"
	"github.com/prickledb/prickle/storage/segment"
	"github.com/prickledb/prickle/storage/table"
)

// segmentFile is an open segment of the manifest. The store holds it once, and each
// snapshot that reads it once more; the last one to let go closes it, and removes the
// file if no manifest names it any more.
type segmentFile struct {
	manifest.Segment
	reader *segment.Reader // of events
	table  *table.Reader   // of a user table; nil for events
	// mask is the rows that were deleted by a condition; nil for none. It is replaced under
	// Store.mu, and never changed.
	mask    *roaring.Bitmap
	alive   atomic.Pointer[liveness]
	derived derived
	holds   atomic.Int64
	dead    atomic.Bool
}

func newSegmentFile(meta manifest.Segment, r *segment.Reader) *segmentFile {
	f := &segmentFile{Segment: meta, reader: r}
	f.holds.Store(1)
	return f
}

// under is the segment under the rules of its project. The caller holds Store.mu.
func (f *segmentFile) under(r rules, cache *memory.Cache) *Segment {
	return &Segment{Reader: f.reader, id: SegmentID(f.ID), mask: f.mask, rules: r, cache: &f.alive, derived: &f.derived, memory: cache}
}

func (f *segmentFile) name(s *Store) string { return path.Join(s.dir, segmentDir, segmentName(f.ID)) }

func (f *segmentFile) hold() { f.holds.Add(1) }

func (f *segmentFile) close() error {
	if f.table != nil {
		return f.table.Close()
	}
	return f.reader.Close()
}

func (f *segmentFile) release(s *Store) {
	if f.holds.Add(-1) > 0 {
		return
	}
	err := f.close()
	if f.dead.Load() {
		err = errors.Join(err, s.fs.Remove(f.name(s)))
	}
	if err != nil {
		s.opt.Logger.Warn("closing a segment", "file", f.name(s), "error", err)
	}
}

// retire lets go of segments that no manifest names any more.
func (s *Store) retire(files []*segmentFile) {
	for _, f := range files {
		f.dead.Store(true)
		f.release(s)
	}
}

// takeProject removes a project's segments from the list. The caller holds mu.
func (s *Store) takeProject(project uint32) []*segmentFile {
	var out []*segmentFile
	for id, f := range s.segments {
		if f.Project == project {
			out = append(out, f)
			delete(s.segments, id)
		}
	}
	return out
}

// closeMerges lets go of merges under way and of inputs that the manifest still names. No
// file is removed: the log may say that they count. The caller holds mu.
func (s *Store) closeMerges() {
	var files []*segmentFile
	for _, m := range s.merges {
		files = append(files, m.inputs.files...)
		if m.output != nil {
			files = append(files, m.output)
		}
	}
	for _, m := range append(s.sealed, s.active) {
		files = append(files, m.exchanged.retired...)
	}
	for _, f := range append(files, s.exchanged.retired...) {
		f.release(s)
	}
}

func (s *Store) closeSegments() {
	for id, f := range s.segments {
		f.release(s)
		delete(s.segments, id)
	}
}

// Snapshot pins the state of a project as it is now. The caller must Release it.
func (s *Store) Snapshot(id uint32) (*Snapshot, error) {
	sn, tables, err := s.pin(id)
	if err != nil {
		return nil, err
	}
	for _, t := range tables {
		images, err := t.views.images(t.batches)
		if err != nil {
			sn.Release()
			return nil, fmt.Errorf("memtable: %w", err)
		}
		for _, im := range images {
			sn.segments = append(sn.segments, &Segment{Reader: im.Reader, rules: sn.rules, cache: &im.alive, derived: &im.derived, memory: s.cache})
		}
	}
	sort.SliceStable(sn.segments, func(i, j int) bool { return sn.segments[i].FirstDay() < sn.segments[j].FirstDay() })
	sn.sessions.segments = sn.segments
	sn.first = sync.OnceValues(sn.firstEvents)
	return sn, nil
}

// pinnedTable is a project's batches in one memtable, as many as there were.
type pinnedTable struct {
	batches []*memBatch
	views   *viewList
}

// pin takes hold of everything that makes up the state, under the lock; it sorts nothing
// and reads nothing.
func (s *Store) pin(id uint32) (*Snapshot, []pinnedTable, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, nil, ErrClosed
	}
	p := s.projects[id]
	if p == nil {
		return nil, nil, fmt.Errorf("project %d: %w", id, ErrNoProject)
	}
	sn := &Snapshot{store: s, project: p.Project, index: s.applied, version: p.touched, tables: p.tables, epoch: s.active.epoch,
		sessions: &snapshotSessions{}, list: p.sessions}
	sn.identity, sn.persons = p.persons.Publish()
	sn.groups, sn.objects, sn.cohorts = p.groups.Publish(), p.objects.Publish(), p.cohorts.Publish()
	sn.rules = p.rules()
	for _, f := range s.segments {
		if f.Project == id {
			f.hold()
			sn.files = append(sn.files, f)
		}
	}
	sort.Slice(sn.files, func(i, j int) bool { return sn.files[i].ID < sn.files[j].ID })
	for _, f := range sn.files {
		if f.table == nil {
			sn.segments = append(sn.segments, f.under(sn.rules, s.cache))
		}
	}
	var tables []pinnedTable
	for _, m := range append(append([]*memtable{}, s.sealed...), s.active) {
		if b := m.batches[id]; len(b) > 0 {
			tables = append(tables, pinnedTable{b[:len(b):len(b)], m.views[id]})
		}
	}
	return sn, tables, nil
}

// Snapshot is the pinned read point of a query. It may be used by many goroutines.
type Snapshot struct {
	store    *Store
	project  Project
	index    uint64
	version  uint64
	identity *person.Map
	persons  *person.Table
	groups   *group.Table
	objects  *object.Table
	cohorts  *cohort.Table
	tables   *table.Tables
	epoch    uint64
	files    []*segmentFile
	rules    rules
	segments []*Segment
	first    func() ([]int64, error)
	sessions *snapshotSessions
	list     *sessionList
	released atomic.Bool
}

// Segments gives the project's rows, as segments and as images of the memtable, ascending
// by first day.
func (sn *Snapshot) Segments() []*Segment { return sn.segments }

// Version tells states of the project apart, as long as the process runs: two snapshots of the
// same version answer every question alike, though merges may lie between them.
func (sn *Snapshot) Version() uint64 { return sn.version }

// Seen is the ordinal that the rows of a distinct id have, if there are any.
func (sn *Snapshot) Seen(id string) (uint32, bool) {
	sn.store.mu.Lock()
	defer sn.store.mu.Unlock()
	p := sn.store.projects[sn.project.ID]
	if p == nil { // it was deleted meanwhile
		return person.NewState(0, nil).SeenIn(sn.persons, id)
	}
	return p.persons.SeenIn(sn.persons, id)
}

// Identity leads from the ordinals of rows to the persons they belong to.
func (sn *Snapshot) Identity() *person.Map { return sn.identity }

// Persons is the persons of the project.
func (sn *Snapshot) Persons() *person.Table { return sn.persons }

// Tables is the tables that users have made.
func (sn *Snapshot) Tables() *table.Tables { return sn.tables }

// Counted is the snapshot for somebody who counts what of its segments is decoded already. It pins
// nothing of its own.
func (sn *Snapshot) Counted(t *memory.Tally) *Snapshot {
	out := &Snapshot{store: sn.store, project: sn.project, index: sn.index, version: sn.version, identity: sn.identity, persons: sn.persons,
		groups: sn.groups, objects: sn.objects, cohorts: sn.cohorts, tables: sn.tables, epoch: sn.epoch, rules: sn.rules, first: sn.first,
		sessions: sn.sessions, list: sn.list}
	for _, s := range sn.segments {
		counted := *s
		counted.Reader = s.Reader.Counted(t)
		out.segments = append(out.segments, &counted)
	}
	return out
}

// Project is the project that the snapshot is of.
func (sn *Snapshot) Project() Project { return sn.project }

// Index is the log index that the snapshot shows.
func (sn *Snapshot) Index() uint64 { return sn.index }

// Release lets go of what the snapshot pins. Readers of it must not be used afterwards.
func (sn *Snapshot) Release() {
	if sn.released.Swap(true) {
		return
	}
	for _, f := range sn.files {
		f.release(sn.store)
	}
}
