package storage

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/zeebo/xxh3"

	"github.com/prickledb/prickle/storage/cohort"
	"github.com/prickledb/prickle/storage/dedup"
	"github.com/prickledb/prickle/storage/event"
	"github.com/prickledb/prickle/storage/group"
	"github.com/prickledb/prickle/storage/manifest"
	"github.com/prickledb/prickle/storage/memory"
	"github.com/prickledb/prickle/storage/object"
	"github.com/prickledb/prickle/storage/person"
	"github.com/prickledb/prickle/storage/table"
	"github.com/prickledb/prickle/storage/vfs"
)

// Options are what a store may be told. The zero value is right outside tests.
type Options struct {
	Logger *slog.Logger // nil: none
	// Fatal is called once when the manifest cannot be written: nothing will be durable
	// any more, and the process should end. It may be nil. A segment that cannot be
	// written, as on a full disk, is tried again instead.
	Fatal func(error)
	// Flushed, if not nil, is told how long a memtable took to become segments.
	Flushed func(took time.Duration)
	// SealRows and SealBytes are when a memtable is full. They must be the same for as
	// long as a directory lives; 0 means the default.
	SealRows, SealBytes int64
	// FlushRetry is the first pause after a flush that failed; 0 means 0.1 s.
	FlushRetry time.Duration
	// Aside, if set, is called when a memtable ends, from the goroutine that applies: what
	// it gives is kept with the state at that index, for whoever feeds the store.
	Aside func() []byte
	// Covered is the log index up to which entries need not be there any more: the store
	// must have them. If the manifest covers less, it has lost records, and Open refuses
	// before it removes files that they may name.
	Covered uint64
	// Memory bounds what is decoded of segments, and counts memtables; nil does neither.
	Memory *memory.Budget
}

// Store is the state of one shard on this node. Apply calls come from one goroutine in
// the order of the log; all other calls may come from any.
type Store struct {
	fs    vfs.FS // pins
	pins  *pins
	dir   string
	opt   Options
	cache *memory.Cache // of what is decoded of segments

	// log is the manifest; commits hold logMu.
	logMu sync.Mutex
	log   *manifest.Log

	dedup   *dedup.Index
	nextRun atomic.Uint64 // of dedup runs
	newRuns chan struct{} // holds one token: there are runs that were not looked at

	mu       sync.Mutex
	moved    *sync.Cond // durable index or error changed, or the store closes
	projects map[uint32]*project
	lastID   uint32 // of projects
	active   *memtable
	sealed   []*memtable // oldest first; the flusher works on the first
	segments map[uint64]*segmentFile
	applied  uint64
	durable  uint64
	states   int             // state files, with those of memtables that are sealed
	deleted  []Project       // since the last seal
	masked   map[uint64]bool // segments whose mask changed since the last state
	erasures erasures
	// freshErasures are positions in erasures: those that changed since the last state.
	freshErasures []int
	masks         map[uint64]*roaring.Bitmap // of state files, while the store opens
	rewrite       bool                       // the state of the next seal is to be one of everything
	// lastShared is the sharedState that the newest state file holds.
	lastShared []byte
	aside      []byte // what Options.Aside gave last
	lastTime   int64  // of the newest entry, µs since 1970 UTC
	hash       uint64 // of the effects of all entries, in their order
	copies     copies // of the batch that is being applied
	// merges are those that an entry planned and none has ended, by their number: the
	// index of the plan. They are part of the state: a plan keeps its inputs from others.
	merges map[uint64]*pendingMerge
	// exchanged is what merges did to the list of segments since the last seal.
	exchanged exchange
	// staged is the files of adoptions that were applied, by number, with the index of the
	// entry: until the manifest covers it, a replay needs them.
	staged map[uint64]uint64
	err    error // nothing can become durable any more, so no more can be applied
	// flushErr is why the last attempt at a flush failed, nil if it did not; failures
	// counts such attempts.
	flushErr error
	failures int
	closed   bool
	// replaying keeps the flusher waiting, see BeginReplay.
	replaying bool

	flusher sync.WaitGroup
	merger  sync.WaitGroup // of dedup runs
	stop    chan struct{}
	again   chan struct{} // holds one token: a failed flush is wanted again at once
}

// project is one project's state, as apply changes it.
type project struct {
	Project
	persons  *person.State
	warnings map[person.Warning]int64
	events   int64
	groups   *group.State
	objects  object.State
	cohorts  cohort.State
	tables   *table.Tables
	sessions *sessionList
	// adopted says that no state file has anything of the project yet.
	adopted bool
	// tablesChanged says that tables are not what the last sealed memtable has.
	tablesChanged bool
	used          usage
	changed       bool // Project or used have, since the last state file
	// touched is the last entry about the project that this process has applied. What a
	// query of the project answers does not change between two of them.
	touched uint64
}

// SegmentID names a segment of a store.
type SegmentID uint64

// Project is a project, which is a database.
type Project struct {
	ID        uint32 `json:"id"`
	Name      string `json:"name"`
	Database  string `json:"database"` // a slug of the name, unique
	Token     string `json:"token"`    // of the capture API, unique
	Timezone  string `json:"timezone"`
	WeekStart int    `json:"week_start"` // 0 Sunday, 1 Monday
	CreatedAt int64  `json:"created_at"` // µs since 1970 UTC
	// Retention is how long events are kept, by their time, in µs; 0 is for ever.
	Retention int64 `json:"retention,omitempty"`
	// Expired is the time before which events were deleted, µs since 1970 UTC; 0: none.
	Expired int64  `json:"expired,omitempty"`
	Limits  Limits `json:"limits,omitzero"`
	// TestAccountFilters is a JSON list of property filters that tell the project's own
	// people from others; nil is none.
	TestAccountFilters json.RawMessage `json:"test_account_filters,omitempty"`
	PathCleaning       []PathCleaning  `json:"path_cleaning_filters,omitempty"`
	// Origin is the number of the project where it was made, if it was adopted under another;
	// else 0.
	Origin uint32 `json:"origin,omitempty"`
}

// PathCleaning says what is put in place of the part of a path that a pattern finds.
type PathCleaning struct {
	Regex string `json:"regex"` // RE2
	Alias string `json:"alias"`
}

// ProjectSpec is a project to be made.
type ProjectSpec struct {
	Name      string `json:"name"`
	Token     string `json:"token"`
	Timezone  string `json:"timezone"`
	WeekStart int    `json:"week_start"`

	TestAccountFilters json.RawMessage `json:"test_account_filters,omitempty"`
	PathCleaning       []PathCleaning  `json:"path_cleaning_filters,omitempty"`
}

// ProjectEdit is one change of the list of projects: exactly one field is set.
type ProjectEdit struct {
	Create *ProjectSpec   `json:"create,omitempty"`
	Delete uint32         `json:"delete,omitempty"`
	Update *ProjectUpdate `json:"update,omitempty"`
}

// projectRecord is a change of the list of projects, as state files keep it.
type projectRecord struct {
	Project Project `json:"project"`
	Deleted bool    `json:"deleted,omitempty"`
	Used    usage   `json:"used,omitzero"`
}

// EventsResult is what became of the rows of a batch.
type EventsResult struct{ Stored, Duplicates int }

// Stats is how much a store holds.
type Stats struct {
	Segments     int
	Bytes        int64 // of segment files
	Events       int64 // stored, memtable included
	MemtableRows int64
	ActiveBytes  int64 // about, of the memtable that is not sealed
}

// Open opens the store in a directory, or makes one.
func Open(fs vfs.FS, dir string, opt Options) (*Store, error) {
	if opt.SealRows == 0 {
		opt.SealRows = sealRows
	}
	if opt.SealBytes == 0 {
		opt.SealBytes = sealBytes
	}
	if opt.FlushRetry == 0 {
		opt.FlushRetry = flushRetryLeast
	}
	if opt.Logger == nil {
		opt.Logger = slog.New(slog.DiscardHandler)
	}
	held := &pins{FS: fs, logger: opt.Logger, held: map[string]pinnedFile{}}
	cache := memory.NewCache(opt.Memory.Pool(memory.Decoded))
	s := &Store{fs: held, pins: held, dir: dir, opt: opt, projects: map[uint32]*project{}, active: newMemtable(opt.Memory.Pool(memory.Memtables), cache),
		cache:    cache,
		segments: map[uint64]*segmentFile{}, merges: map[uint64]*pendingMerge{}, staged: map[uint64]uint64{}, lastShared: marshal(sharedState{}),
		masked: map[uint64]bool{}, masks: map[uint64]*roaring.Bitmap{},
		stop: make(chan struct{}), again: make(chan struct{}, 1), newRuns: make(chan struct{}, 1)}
	s.moved = sync.NewCond(&s.mu)
	for _, d := range []string{dir, path.Join(dir, segmentDir), path.Join(dir, stateDir), path.Join(dir, dedup.Dir)} {
		if err := fs.MkdirAll(d); err != nil {
			return nil, err
		}
	}
	log, err := manifest.Open(fs, dir)
	if err != nil {
		return nil, err
	}
	s.log = log
	if err := s.load(); err != nil {
		log.Close() // the first error is the one that matters
		s.closeMerges()
		s.closeSegments()
		if s.dedup != nil {
			s.dedup.Close()
		}
		return nil, err
	}
	s.flusher.Add(1)
	go s.flushLoop()
	s.merger.Go(s.mergeRuns)
	return s, nil
}

// load reads what the manifest names, and removes what it does not.
func (s *Store) load() (err error) {
	m := s.log.Manifest()
	if m.Applied < s.opt.Covered {
		return fmt.Errorf("%s: the manifest covers entry %d of the log, but entries up to %d were let go because it had them: "+
			"its last records are damaged or missing; nothing was removed; restore the data directory as a whole from a backup",
			path.Join(s.dir, s.log.Name()), m.Applied, s.opt.Covered)
	}
	s.applied, s.durable, s.hash = m.Applied, m.Applied, m.StateHash
	for _, name := range m.States {
		if err := s.readState(name); err != nil {
			return s.unreadable(fmt.Errorf("%s: %w", path.Join(s.dir, stateDir, name), err))
		}
	}
	s.states = len(m.States)
	files, err := s.openSegments(m)
	for _, f := range files {
		s.segments[f.ID] = f
	}
	if err != nil {
		return err
	}
	for _, f := range files {
		p := s.projects[f.Project]
		if p == nil {
			return fmt.Errorf("segment %s: its project %d is not in the state files", f.name(s), f.Project)
		}
		if f.table == nil {
			p.events += f.Rows
		}
		f.mask = s.masks[f.ID]
	}
	s.masks = nil
	for _, m := range s.merges {
		s.reopen(m)
	}
	for _, p := range s.projects {
		if err := s.attachSegments(p, 0); err != nil {
			return err
		}
	}
	if s.dedup, err = dedup.OpenIndex(s.fs, s.dir, m); err != nil {
		return err
	}
	if err := s.log.Renew(); err != nil {
		return fmt.Errorf("manifest: %w", err)
	}
	return errors.Join(s.removeOrphans(m), s.removeOrphanRuns(m))
}

// removeOrphans deletes files that a crash left behind. Outputs of merges that are not in
// the manifest stay: an entry after it may say that they count. RemoveUnused is for them.
func (s *Store) removeOrphans(m *manifest.Manifest) error {
	return s.removeFiles(func(dir, name string) bool {
		if strings.HasSuffix(name, ".tmp") {
			return true
		}
		id := fileID(name)
		_, live := m.Segments[id]
		return dir == segmentDir && !live && id < mergeIDs || dir == stateDir && !slices.Contains(m.States, name)
	})
}

// RemoveUnused deletes the outputs of merges that came to nothing, and likewise files of adoptions. It is called when the
// log is replayed and no merge is under way.
func (s *Store) RemoveUnused() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	live := map[uint64]bool{}
	for id := range s.segments {
		live[id] = true
	}
	for _, tables := range [][]*memtable{s.sealed, {s.active}} {
		for _, m := range tables {
			for _, f := range m.exchanged.retired {
				live[f.ID] = true
			}
		}
	}
	for _, f := range s.exchanged.retired {
		live[f.ID] = true
	}
	for id := range s.merges {
		live[mergeIDs+id] = true
	}
	for id, index := range s.staged {
		live[id] = live[id] || index > s.durable
	}
	return s.removeFiles(func(dir, name string) bool {
		return dir == segmentDir && fileID(name) >= mergeIDs && !live[fileID(name)]
	})
}

// removeFiles removes those of the store's files that are not wanted.
func (s *Store) removeFiles(unwanted func(dir, name string) bool) error {
	for _, d := range []string{segmentDir, stateDir} {
		names, err := s.fs.List(path.Join(s.dir, d))
		if err != nil {
			return err
		}
		for _, n := range names {
			if unwanted(d, n) {
				// The flusher lets go of inputs meanwhile, and may be faster.
				if err := s.fs.Remove(path.Join(s.dir, d, n)); err != nil && !errors.Is(err, fs.ErrNotExist) {
					return err
				}
			}
		}
	}
	return nil
}

// fileID is the number in a file's name, or 0.
func fileID(name string) uint64 {
	var id uint64
	fmt.Sscanf(name, "%d", &id) // 0 if there is none
	return id
}

// Close ends the store. What is not flushed is applied again from the log next time.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	close(s.stop)
	s.moved.Broadcast()
	s.mu.Unlock()
	s.flusher.Wait()
	s.merger.Wait()
	s.mu.Lock()
	s.closeMerges()
	s.closeSegments()
	tables := append(slices.Clone(s.sealed), s.active)
	s.mu.Unlock()
	for _, m := range tables {
		m.free()
	}
	return errors.Join(s.dedup.Close(), s.log.Close())
}

// TrimCache lets go of decoded parts of segments if memory asks for it. It is to be called
// on a clock: what is under pressure may be something else than what is read.
func (s *Store) TrimCache() { s.cache.Trim() }

// usable says why nothing can be applied, if so. The caller holds mu.
func (s *Store) usable() error {
	if s.closed {
		return ErrClosed
	}
	return s.err
}

// fresh says whether an index is to be applied: it is not if it was. The caller holds mu.
func (s *Store) fresh(index uint64) (bool, error) {
	if err := s.usable(); err != nil {
		return false, err
	}
	return index > s.durable && index > s.applied, nil
}

// begin is the start of every apply: it says false if the index is covered already. An
// entry counts as applied from here on, whatever becomes of it. The caller holds mu.
func (s *Store) begin(index uint64, at int64) (bool, error) {
	if fresh, err := s.fresh(index); !fresh || err != nil {
		return false, err
	}
	// A table that is full, or old by the time of its entries, ends before the next entry,
	// when all that its last entry did is known.
	if m := s.active; m.rows >= s.opt.SealRows || m.bytes >= s.opt.SealBytes || m.last > 0 && at-m.firstTime >= sealAge.Microseconds() {
		if err := s.seal(func() error { return nil }); err != nil {
			return false, err
		}
	}
	s.applied = index
	s.lastTime = max(s.lastTime, at)
	s.active.note(index, at)
	return true, nil
}

// effect mixes what an entry did into the hash of the state. The caller holds mu.
func (s *Store) effect(values ...uint64) {
	var raw [8]byte
	for _, v := range append(values, s.applied) {
		binary.LittleEndian.PutUint64(raw[:], v)
		s.hash = xxh3.HashSeed(raw[:], s.hash)
	}
}

// StateHash is a hash over the effects of all entries that were applied, in their order.
// Two stores with the same log have the same one at the same index.
func (s *Store) StateHash() (index, hash uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.applied, s.hash
}

// ApplyEvents stores the events of a batch that are not stored yet, with their effects on
// persons. Indexes up to DurableIndex are ignored. The batch is the store's from now on.
func (s *Store) ApplyEvents(index uint64, at int64, id uint32, b *event.Batch) (EventsResult, error) {
	known, err := s.findKnown(index, at, id, b)
	if err != nil {
		return EventsResult{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p, err := s.enter(index, at, id)
	if p == nil {
		return EventsResult{}, err
	}
	s.dedup.Add(known.events)
	if late := markLate(b, known.events.Seen, at); late > 0 {
		s.effect(uint64(late))
	}
	mb, stored := p.apply(b, known, &s.copies)
	if stored > 0 {
		s.active.add(id, mb)
	}
	p.events += int64(stored)
	p.used.count(stored, at)
	p.changed = true
	s.effect(uint64(id), uint64(b.Rows), uint64(stored), uint64(p.persons.Len()), uint64(p.used.Events))
	if len(b.Groups) > 0 {
		s.effect(uint64(len(b.Groups)), uint64(p.groups.Len()))
	}
	return EventsResult{Stored: stored, Duplicates: b.Rows - stored}, nil
}

// apply decides for each row that was not seen whose it is. Rows are taken in order: what
// an event does to persons holds for those after it.
func (p *project) apply(b *event.Batch, known *known, copies *copies) (*memBatch, int) {
	mb := &memBatch{batch: b, ordinals: make([]uint32, b.Rows)}
	seen, owners := known.events.Seen, known.persons
	profiled := make([]bool, len(owners))
	ops, groups := b.Ops, b.Groups
	copies.begin(p.persons, b)
	stored := 0
	for i := range b.Rows {
		for ; len(groups) > 0 && int(groups[0].Row) == i; groups = groups[1:] {
			if !seen[i] {
				p.changeGroup(&groups[0], b.Time[i])
			}
		}
		n := 0
		for n < len(ops) && int(ops[n].Row) == i {
			n++
		}
		var here []event.PersonOp
		here, ops = ops[:n], ops[n:]
		if seen[i] {
			if mb.rows == nil {
				mb.rows = make([]uint32, stored, b.Rows)
				for r := range mb.rows {
					mb.rows[r] = uint32(r)
				}
			}
			continue
		}
		code := b.DistinctID.Codes[i]
		for j := range here {
			op := &here[j]
			if op.Kind == event.OpSet || op.Other == "" {
				continue
			}
			copies.flush()
			w := p.persons.Merge(op.Kind, op.Other, b.DistinctID.Values.Str(int(code)), b.Time[i])
			if w != person.WarnNone {
				p.warnings[w]++
			}
			clear(profiled) // the person may be another one now
		}
		if owners[code] == 0 {
			owners[code] = p.persons.Ordinal(b.DistinctID.Values.At(int(code))) + 1
		}
		o := owners[code] - 1
		mb.ordinals[i] = o
		if !b.Personless.Get(i) && !profiled[code] {
			p.persons.Touch(o, b.Time[i])
			profiled[code] = true
		}
		copies.row(i, o, here)
		if mb.rows != nil {
			mb.rows = append(mb.rows, uint32(i))
		}
		stored++
	}
	copies.end()
	return mb, stored
}

// changeGroup does what a row at a time says to a group. Of a type for which no index is
// left there are no groups.
func (p *project) changeGroup(op *event.GroupOp, at int64) {
	if index, ok := p.groups.Name(op.Type); ok {
		p.groups.Change(index, op.Key, at, &group.Change{Set: op.Set, SetOnce: op.SetOnce, Unset: op.Unset})
	}
}

// ApplyTick lets time pass: a memtable that is old ends.
func (s *Store) ApplyTick(index uint64, at int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err := s.begin(index, at)
	return err
}

// ApplyProject makes, deletes or changes a project.
func (s *Store) ApplyProject(index uint64, at int64, edit ProjectEdit) (Project, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ok, err := s.begin(index, at); !ok || err != nil {
		return Project{}, err
	}
	s.effect(uint64(edit.Delete))
	switch {
	case edit.Create != nil:
		return s.createProject(edit.Create, at)
	case edit.Delete != 0:
		return s.deleteProject(edit.Delete)
	case edit.Update != nil:
		return s.updateProject(edit.Update)
	}
	return Project{}, errors.New("project edit: it neither makes nor deletes nor changes one")
}

func (s *Store) createProject(spec *ProjectSpec, at int64) (Project, error) {
	for _, p := range s.projects {
		if p.Token == spec.Token {
			return Project{}, fmt.Errorf("project %q: another project has its token", spec.Name)
		}
	}
	s.lastID++
	p := s.addProject(Project{ID: s.lastID, Name: spec.Name, Database: s.slug(spec.Name), Token: spec.Token,
		Timezone: spec.Timezone, WeekStart: spec.WeekStart, CreatedAt: at,
		TestAccountFilters: spec.TestAccountFilters, PathCleaning: spec.PathCleaning})
	p.changed = true
	return p.Project, nil
}

func (s *Store) addProject(rec Project) *project {
	p := &project{Project: rec, persons: person.NewState(rec.seed(), s.cache), groups: group.NewState(), warnings: map[person.Warning]int64{}, tables: &table.Tables{}, sessions: &sessionList{}}
	s.projects[rec.ID] = p
	s.lastID = max(s.lastID, rec.ID)
	return p
}

// MaxDatabaseName is how long the name of a database is that a project's name gives.
const MaxDatabaseName = 50

// DatabaseName is the name of the database of a project of a name, unless there is one that is called so:
// small letters, digits, and single underscores between them.
func DatabaseName(name string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(name) {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			b.WriteRune(r)
		} else if n := b.Len(); n > 0 && b.String()[n-1] != '_' {
			b.WriteByte('_')
		}
	}
	base := strings.Trim(b.String(), "_")
	if base == "" {
		base = "project"
	}
	return base[:min(len(base), MaxDatabaseName)]
}

// slug makes a unique database name of a project's name.
func (s *Store) slug(name string) string {
	base := DatabaseName(name)
	taken := func(slug string) bool {
		for _, p := range s.projects {
			if p.Database == slug {
				return true
			}
		}
		return false
	}
	for n, slug := 2, base; ; n++ {
		if !taken(slug) {
			return slug
		}
		slug = fmt.Sprintf("%s_%d", base, n)
	}
}

// deleteProject forgets a project at once. Its segments go when the manifest has heard of
// it, with the next flush.
func (s *Store) deleteProject(id uint32) (Project, error) {
	p := s.projects[id]
	if p == nil {
		return Project{}, fmt.Errorf("project %d: %w", id, ErrNoProject)
	}
	delete(s.projects, id)
	s.cancelMerges(func(m *pendingMerge) bool { return m.plan.Project == id })
	s.deleted = append(s.deleted, p.Project)
	s.dropErasures(id)
	return p.Project, nil
}

func (s *Store) updateProject(u *ProjectUpdate) (Project, error) {
	p := s.projects[u.ID]
	if p == nil {
		return Project{}, fmt.Errorf("project %d: %w", u.ID, ErrNoProject)
	}
	u.apply(&p.Project)
	p.changed, p.touched = true, s.applied
	s.effect(xxh3.Hash(marshal(p.Project)))
	return p.Project, nil
}

// ApplyPersons writes persons as a typed import gives them.
func (s *Store) ApplyPersons(index uint64, at int64, id uint32, edits []person.Edit) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, err := s.enter(index, at, id)
	if p == nil {
		return err
	}
	for i := range edits {
		p.persons.Import(&edits[i], at)
	}
	s.effect(uint64(id), uint64(len(edits)), uint64(p.persons.Len()))
	return nil
}

// AppendPersonEdits adds the wire form of edits to dst.
func AppendPersonEdits(dst []byte, edits []person.Edit) []byte {
	raw, err := json.Marshal(edits)
	if err != nil {
		panic(err) // strings, bytes and numbers always have a JSON form
	}
	return append(dst, raw...)
}

// DecodePersonEdits reads what AppendPersonEdits wrote.
func DecodePersonEdits(src []byte) ([]person.Edit, error) {
	var edits []person.Edit
	if err := json.Unmarshal(src, &edits); err != nil {
		return nil, fmt.Errorf("person edits: %w", err)
	}
	return edits, nil
}

// Aside is what Options.Aside gave when the memtable ended that DurableIndex covers. It is
// read after Open and before anything is applied.
func (s *Store) Aside() []byte { return s.aside }

// AppliedIndex is the highest index that was applied.
func (s *Store) AppliedIndex() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.applied
}

// DurableIndex is the index that segments and state files cover.
func (s *Store) DurableIndex() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.durable
}

// Projects lists the projects by id.
func (s *Store) Projects() []Project {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Project
	for _, id := range slices.Sorted(maps.Keys(s.projects)) {
		out = append(out, s.projects[id].Project)
	}
	return out
}

func (s *Store) find(is func(*Project) bool) (Project, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.projects {
		if is(&p.Project) {
			return p.Project, true
		}
	}
	return Project{}, false
}

// Project finds a project by its id.
func (s *Store) Project(id uint32) (Project, bool) {
	return s.find(func(p *Project) bool { return p.ID == id })
}

// ProjectByToken finds the project that a token of the capture API belongs to.
func (s *Store) ProjectByToken(token string) (Project, bool) {
	return s.find(func(p *Project) bool { return p.Token == token })
}

// ProjectByDatabase finds a project by its database name.
func (s *Store) ProjectByDatabase(database string) (Project, bool) {
	return s.find(func(p *Project) bool { return p.Database == database })
}

// PersonCount is how many persons a project has, those without a profile too.
func (s *Store) PersonCount(id uint32) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.projects[id]
	if p == nil {
		return 0, fmt.Errorf("project %d: %w", id, ErrNoProject)
	}
	identity, persons := p.persons.Publish()
	return int64(persons.Len()) - int64(identity.Merged().GetCardinality()), nil
}

// Stats is how much the store holds.
func (s *Store) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := Stats{Segments: len(s.segments), MemtableRows: s.active.rows, ActiveBytes: s.active.bytes}
	for _, m := range s.sealed {
		out.MemtableRows += m.rows
	}
	for _, f := range s.segments {
		out.Bytes += f.Size
	}
	for _, p := range s.projects {
		out.Events += p.events
	}
	return out
}

// Seal ends a memtable.
type Seal struct {
	// All has the whole state written anew, so that no file holds what was overwritten.
	All bool `json:"all,omitempty"`
}

// ApplySeal ends the memtable, so that it is flushed: what a flush covers is decided by
// the log, and is the same on every replica. begun, if not nil, is called when the entry
// counts and the memtable has not ended: what Options.Aside gives for it may include the
// entry, and what it gives for a full memtable that ends before the entry may not.
func (s *Store) ApplySeal(index uint64, at int64, seal Seal, begun func()) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ok, err := s.begin(index, at); !ok || err != nil {
		return err
	}
	if begun != nil {
		begun()
	}
	s.rewrite = seal.All
	return s.seal(func() error { return nil })
}

// Flush ends the memtable as ApplySeal does, and waits until all that is applied is
// durable in segments. It is for a store whose caller is its log.
func (s *Store) Flush(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	patient, stop := s.patience(ctx)
	defer stop()
	if s.applied > s.durable && s.active.last > 0 {
		if err := s.seal(patient); err != nil {
			return err
		}
	}
	return s.waitDurable(patient)
}

// WaitDurable waits until every memtable that is sealed is in segments. If an attempt to
// write them fails, it says why and returns; the store goes on trying.
func (s *Store) WaitDurable(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	patient, stop := s.patience(ctx)
	defer stop()
	return s.waitDurable(patient)
}

// patience has a failed flush tried again at once. Its function gives an error when ctx
// ends or another attempt fails. The caller holds mu.
func (s *Store) patience(ctx context.Context) (patient func() error, stop func() bool) {
	stop = context.AfterFunc(ctx, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.moved.Broadcast()
	})
	failures := s.failures
	if s.flushErr != nil {
		select {
		case s.again <- struct{}{}:
		default:
		}
	}
	return func() error {
		if s.failures > failures && s.flushErr != nil {
			return s.flushErr
		}
		return ctx.Err()
	}, stop
}

// waitDurable waits for the memtables that are sealed now. The caller holds mu.
func (s *Store) waitDurable(patient func() error) error {
	// The last entries may have left nothing to write: those that were refused.
	var last *memtable
	if n := len(s.sealed); n > 0 {
		last = s.sealed[n-1]
	}
	for last != nil && !last.flushed {
		if err := errors.Join(s.usable(), patient()); err != nil {
			return err
		}
		s.awaitFlush()
	}
	return nil
}
