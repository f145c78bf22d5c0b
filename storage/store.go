package storage

import (
	"context"
	"errors"
	"log/slog"

	"github.com/prickledb/prickle/storage/event"
	"github.com/prickledb/prickle/storage/person"
	"github.com/prickledb/prickle/storage/segment"
	"github.com/prickledb/prickle/storage/vfs"
)

var errTODO = errors.New("storage: not there yet")

// Options are what a store may be told. The zero value is right outside tests.
type Options struct {
	Logger *slog.Logger // nil: none
	// Fatal is called once when the manifest cannot be written: nothing will be durable
	// any more, and the process should end. It may be nil.
	Fatal func(error)
	// SealRows and SealBytes are when a memtable is full. They must be the same for as
	// long as a directory lives; 0 means the default.
	SealRows, SealBytes int64
}

// Store is the state of one shard on this node. Apply calls come from one goroutine in
// the order of the log; all other calls may come from any.
type Store struct{}

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
}

// ProjectSpec is a project to be made.
type ProjectSpec struct {
	Name      string `json:"name"`
	Token     string `json:"token"`
	Timezone  string `json:"timezone"`
	WeekStart int    `json:"week_start"`
}

// ProjectEdit is one change of the list of projects: exactly one field is set.
type ProjectEdit struct {
	Create *ProjectSpec `json:"create,omitempty"`
	Delete uint32       `json:"delete,omitempty"`
}

// EventsResult is what became of the rows of a batch.
type EventsResult struct{ Stored, Duplicates int }

// MergePlan is a merge that is wanted.
type MergePlan struct {
	Project  uint32
	Inputs   []SegmentID // ascending
	Output   SegmentID
	FirstDay int32
	Days     int
}

// MergeDone is a merge whose output was written.
type MergeDone struct {
	Project  uint32      `json:"project"`
	Inputs   []SegmentID `json:"inputs"`
	Output   SegmentID   `json:"output"`
	FirstDay int32       `json:"first_day"`
	Days     int         `json:"days"`
	Rows     int64       `json:"rows"`
	MinTime  int64       `json:"min_time"`
	MaxTime  int64       `json:"max_time"`
	Size     int64       `json:"size"`
	Hash     string      `json:"hash"`     // xxh3-128 of the file, hex
	Identity int         `json:"identity"` // entries of the identity map that were applied
}

// Stats is how much a store holds.
type Stats struct {
	Segments     int
	Bytes        int64 // of segment files
	Events       int64 // stored, memtable included
	MemtableRows int64
}

// Open opens the store in a directory, or makes one.
func Open(fs vfs.FS, dir string, opt Options) (*Store, error) { return nil, errTODO }

// Close ends the store. What is not flushed is applied again from the log next time.
func (s *Store) Close() error { return nil }

// ApplyEvents stores the events of a batch that are not stored yet, with their effects on
// persons. Indexes up to DurableIndex are ignored. The batch is the store's from now on.
func (s *Store) ApplyEvents(index uint64, at int64, project uint32, b *event.Batch) (EventsResult, error) {
	return EventsResult{}, errTODO
}

// ApplyProject makes or deletes a project.
func (s *Store) ApplyProject(index uint64, at int64, edit ProjectEdit) (Project, error) {
	return Project{}, errTODO
}

// ApplyPersons writes persons as a typed import gives them.
func (s *Store) ApplyPersons(index uint64, at int64, project uint32, edits []person.Edit) error {
	return errTODO
}

// AppendPersonEdits adds the wire form of edits to dst.
func AppendPersonEdits(dst []byte, edits []person.Edit) []byte { return dst }

// DecodePersonEdits reads what AppendPersonEdits wrote.
func DecodePersonEdits(src []byte) ([]person.Edit, error) { return nil, errTODO }

// ApplyMerge exchanges the inputs of a merge for its output.
func (s *Store) ApplyMerge(index uint64, done MergeDone) error { return errTODO }

// PlanMerge is the merge that is worth doing next, if any.
func (s *Store) PlanMerge() (MergePlan, bool) { return MergePlan{}, false }

// PlanMergeAll is the next merge on the way to one segment a month.
func (s *Store) PlanMergeAll() (MergePlan, bool) { return MergePlan{}, false }

// BuildMerge writes the output of a merge, beside everything else.
func (s *Store) BuildMerge(ctx context.Context, plan MergePlan) (MergeDone, error) {
	return MergeDone{}, errTODO
}

// Flush makes everything applied so far durable in segments.
func (s *Store) Flush(ctx context.Context) error { return errTODO }

// AppliedIndex is the highest index that was applied, DurableIndex the one that segments
// and state files cover.
func (s *Store) AppliedIndex() uint64 { return 0 }
func (s *Store) DurableIndex() uint64 { return 0 }

// Projects lists the projects by id.
func (s *Store) Projects() []Project { return nil }

// Project, ProjectByToken and ProjectByDatabase find one.
func (s *Store) Project(id uint32) (Project, bool)                 { return Project{}, false }
func (s *Store) ProjectByToken(token string) (Project, bool)       { return Project{}, false }
func (s *Store) ProjectByDatabase(database string) (Project, bool) { return Project{}, false }

func (s *Store) Stats() Stats { return Stats{} }

// Snapshot pins the state of a project as it is now. The caller must Release it.
func (s *Store) Snapshot(project uint32) (*Snapshot, error) { return nil, errTODO }

// Snapshot is the pinned read point of a query. It may be used by many goroutines.
type Snapshot struct{}

// Segments gives the project's rows, as segments and as images of the memtable, ascending
// by first day.
func (sn *Snapshot) Segments() []*segment.Reader { return nil }

func (sn *Snapshot) Identity() *person.Map  { return nil }
func (sn *Snapshot) Persons() *person.Table { return nil }
func (sn *Snapshot) Project() Project       { return Project{} }
func (sn *Snapshot) Index() uint64          { return 0 }

// Release lets go of what the snapshot pins. Readers of it must not be used afterwards.
func (sn *Snapshot) Release() {}
