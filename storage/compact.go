package storage

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"

	"github.com/prickledb/prickle/storage/manifest"
	"github.com/prickledb/prickle/storage/person"
	"github.com/prickledb/prickle/storage/segment"
	"github.com/prickledb/prickle/storage/vfs"
)

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

// sameTogether is how many segments of the same days are merged without being asked.
const sameTogether = 4

// PlanMerge is the merge that is worth doing next, if any: days, or months, that have been
// written several times. Days of one month stay apart until somebody asks for more.
func (s *Store) PlanMerge() (MergePlan, bool) { return s.planMerge(itsDays, sameTogether) }

// PlanMergeAll is the next merge on the way to one segment a month: first equal days, then
// whole months.
func (s *Store) PlanMergeAll() (MergePlan, bool) {
	if p, ok := s.planMerge(itsDays, 2); ok {
		return p, true
	}
	return s.planMerge(itsMonth, 2)
}

func itsDays(f *segmentFile) (int32, int)  { return f.FirstDay, f.Days }
func itsMonth(f *segmentFile) (int32, int) { return monthOf(f.FirstDay) }

// planMerge finds the first stretch of days, by project and time, with at least so many
// segments that lie inside it.
func (s *Store) planMerge(stretch func(*segmentFile) (int32, int), atLeast int) (MergePlan, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	type key struct {
		project  uint32
		firstDay int32
		days     int
	}
	groups := map[key][]SegmentID{}
	var keys []key
	for _, id := range slices.Sorted(maps.Keys(s.segments)) {
		f := s.segments[id]
		first, n := stretch(f)
		if f.FirstDay+int32(f.Days) > first+int32(n) || s.projects[f.Project] == nil {
			continue
		}
		k := key{f.Project, first, n}
		if groups[k] == nil {
			keys = append(keys, k)
		}
		groups[k] = append(groups[k], SegmentID(id))
	}
	slices.SortFunc(keys, func(a, b key) int {
		return cmp.Or(cmp.Compare(a.project, b.project), cmp.Compare(a.firstDay, b.firstDay), cmp.Compare(a.days, b.days))
	})
	for _, k := range keys {
		if len(groups[k]) >= atLeast {
			return MergePlan{Project: k.project, Inputs: groups[k], Output: SegmentID(mergeIDs + s.nextMerge.Add(1)), FirstDay: k.firstDay, Days: k.days}, true
		}
	}
	return MergePlan{}, false
}

// BuildMerge writes the output of a merge, beside everything else.
func (s *Store) BuildMerge(ctx context.Context, plan MergePlan) (MergeDone, error) {
	files, identity, err := s.inputs(plan)
	if err != nil {
		return MergeDone{}, err
	}
	defer func() {
		for _, f := range files {
			f.release(s)
		}
	}()
	if err := ctx.Err(); err != nil {
		return MergeDone{}, err
	}
	raw, err := s.mergeFiles(files, identity, plan.FirstDay, plan.Days)
	if err != nil {
		return MergeDone{}, err
	}
	r, err := segment.OpenBytes(raw)
	if err != nil {
		return MergeDone{}, err
	}
	name := path.Join(s.dir, segmentDir, segmentName(uint64(plan.Output)))
	if err := vfs.WriteFile(s.fs, name, raw); err != nil {
		s.fs.Remove(name) // it may have its name already; err says what matters
		return MergeDone{}, err
	}
	return MergeDone{Project: plan.Project, Inputs: plan.Inputs, Output: plan.Output, FirstDay: r.FirstDay(), Days: r.Days(),
		Rows: int64(r.Rows()), MinTime: r.MinTime(), MaxTime: r.MaxTime(), Size: int64(len(raw)), Hash: hashOf(raw),
		Identity: identity.Len()}, nil
}

// inputs pins the inputs of a merge, and the identity map that its output is written with.
func (s *Store) inputs(plan MergePlan) ([]*segmentFile, *person.Map, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(); err != nil {
		return nil, nil, err
	}
	p := s.projects[plan.Project]
	if p == nil {
		return nil, nil, fmt.Errorf("project %d: %w", plan.Project, ErrNoProject)
	}
	var files []*segmentFile
	for _, id := range plan.Inputs {
		f := s.segments[uint64(id)]
		if f == nil {
			return nil, nil, fmt.Errorf("merge into %d: segment %d is not there any more", plan.Output, id)
		}
		files = append(files, f)
	}
	for _, f := range files {
		f.hold()
	}
	identity, _ := p.persons.Publish()
	return files, identity, nil
}

// mergeFiles merges segments through readers of its own: dictionaries that it decodes do not
// stay in those that queries use.
func (s *Store) mergeFiles(files []*segmentFile, identity *person.Map, firstDay int32, days int) ([]byte, error) {
	readers := make([]*segment.Reader, len(files))
	defer func() {
		for _, r := range readers {
			if r != nil {
				r.Close() // only read
			}
		}
	}()
	for i, f := range files {
		var err error
		if readers[i], err = segment.Open(s.fs, f.name(s)); err != nil {
			return nil, err
		}
	}
	return segment.Merge(readers, identity.Root, firstDay, days)
}

// ApplyMerge exchanges the inputs of a merge for its output. If an input is gone, the
// merge was applied before, or another one was faster: nothing happens.
func (s *Store) ApplyMerge(index uint64, done MergeDone) error {
	s.mu.Lock()
	if ok, err := s.begin(index); !ok || err != nil {
		s.mu.Unlock()
		return err
	}
	s.applied = index
	s.active.note(index)
	s.given(uint64(done.Output))
	var files []*segmentFile
	for _, id := range done.Inputs {
		if f := s.segments[uint64(id)]; f != nil {
			files = append(files, f)
		}
	}
	p := s.projects[done.Project]
	s.mu.Unlock()
	if len(files) < len(done.Inputs) || p == nil {
		return s.dropOutput(done)
	}
	out, err := s.output(done, files)
	if err != nil {
		return err
	}
	edit := manifest.Edit{Add: []manifest.Segment{out.Segment}}
	for _, id := range done.Inputs {
		edit.Remove = append(edit.Remove, uint64(id))
	}
	if _, err := s.commit(edit); err != nil {
		s.fail(err)
		return err
	}
	s.mu.Lock()
	s.segments[out.ID] = out
	for _, f := range files {
		delete(s.segments, f.ID)
	}
	s.moved.Broadcast()
	s.mu.Unlock()
	s.retire(files)
	return nil
}

// dropOutput removes the output of a merge that came to nothing.
func (s *Store) dropOutput(done MergeDone) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.segments[uint64(done.Output)] != nil {
		return nil // it was applied before
	}
	name := path.Join(s.dir, segmentDir, segmentName(uint64(done.Output)))
	f, err := s.fs.Open(name)
	if err != nil {
		return nil // it is not there
	}
	return errors.Join(f.Close(), s.fs.Remove(name))
}

// output opens the output of a merge, or builds it if it is not there: it is written
// before the entry is, but a start removes files that no manifest names.
func (s *Store) output(done MergeDone, files []*segmentFile) (*segmentFile, error) {
	meta := manifest.Segment{ID: uint64(done.Output), Project: done.Project, FirstDay: done.FirstDay, Days: done.Days,
		Rows: done.Rows, MinTime: done.MinTime, MaxTime: done.MaxTime, Size: done.Size, Hash: done.Hash}
	if f, err := s.openSegment(meta); err == nil {
		return f, nil
	}
	s.mu.Lock()
	identity, _ := s.projects[done.Project].persons.Publish()
	s.mu.Unlock()
	raw, err := s.mergeFiles(files, identity, done.FirstDay, done.Days)
	if err != nil {
		return nil, err
	}
	// The identity map may have grown since the entry was made. Rows then hold newer
	// roots than the entry's output did, which means the same.
	return s.writeSegment(done.Project, uint64(done.Output), raw)
}
