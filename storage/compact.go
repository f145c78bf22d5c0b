package storage

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/bits"
	"path"
	"slices"

	"github.com/prickledb/prickle/storage/manifest"
	"github.com/prickledb/prickle/storage/memory"
	"github.com/prickledb/prickle/storage/segment"
	"github.com/prickledb/prickle/storage/vfs"
)

// A merge is two entries of the log. The first one, the plan, fixes the inputs and the
// state that the output is written with: its bytes are then the same on every replica.
// Each builds them beside everything else. The second one, when the output is written,
// exchanges the segments for readers. The manifest hears of it with the next flush, so
// that at every moment it is the state at one index, and inputs stay until then.

// MergePlan is a merge that is wanted.
type MergePlan struct {
	Project  uint32      `json:"project"`
	Inputs   []SegmentID `json:"inputs"` // ascending
	FirstDay int32       `json:"first_day"`
	Days     int         `json:"days"`
}

// MergeDone is the end of a merge that was planned: what its output is, or that it failed
// and the inputs stay.
type MergeDone struct {
	Plan     uint64 `json:"plan"` // index of the entry that planned it
	Failed   bool   `json:"failed,omitempty"`
	Dead     int64  `json:"dead,omitempty"` // rows of the inputs that were left out
	FirstDay int32  `json:"first_day"`
	Days     int    `json:"days"`
	Rows     int64  `json:"rows"` // 0: there is no output
	MinTime  int64  `json:"min_time"`
	MaxTime  int64  `json:"max_time"`
	Size     int64  `json:"size"`
	Hash     string `json:"hash"` // xxh3-128 of the file, hex
}

// ErrMergeVoid is returned for a plan whose inputs are not there or are taken, and for the
// end of a merge that is not planned: a faster one, a delete or a dropped project came
// between. It is no fault.
var ErrMergeVoid = errors.New("merge is void")

// pendingMerge is a merge between its two entries.
type pendingMerge struct {
	plan   MergePlan
	inputs mergeInputs
	output *segmentFile // once built
}

// exchange is the changes that merges made to the list of segments between two seals.
type exchange struct {
	removed []uint64
	added   []manifest.Segment
	retired []*segmentFile // inputs, kept until the manifest knows
}

func (x *exchange) note(inputs []*segmentFile, output *segmentFile) {
	for _, f := range inputs {
		// The output of an earlier merge that the manifest never heard of.
		if n := len(x.added); n > 0 {
			if x.added = slices.DeleteFunc(x.added, func(s manifest.Segment) bool { return s.ID == f.ID }); len(x.added) < n {
				continue
			}
		}
		x.removed = append(x.removed, f.ID)
	}
	if output != nil {
		x.added = append(x.added, output.Segment)
	}
	x.retired = append(x.retired, inputs...)
}

// into adds the changes to an edit. Segments of dropped projects are not added.
func (x *exchange) into(e *manifest.Edit) {
	e.Remove = append(e.Remove, x.removed...)
	for _, s := range x.added {
		if !slices.Contains(e.Drop, s.Project) {
			e.Add = append(e.Add, s)
		}
	}
}

const (
	// sameTogether is how many alike segments of the same days are merged without being asked.
	sameTogether = 4
	// sameGrowth is how many times the rows of those before it, by size, a segment may have to be alike:
	// with 2, the output has at least half as many rows again as its largest input, so that a row is
	// written a logarithmic number of times, however many small segments follow a large one.
	sameGrowth = 2
)

// deadShare is which part of a segment's rows, one in so many, must be dead for the segment
// to be written again without them when nobody asks for it.
const deadShare = 8

// PlanMerge is the merge that is worth doing next, if any: days, or months, that have been
// written several times; months that are over, by the time of the newest entry, and have
// several segments; in both cases those that are about alike, see sameGrowth; segments without a
// row that counts, or with many dead rows.
func (s *Store) PlanMerge() (MergePlan, bool) {
	if p, ok := s.planMerge(itsDays, alike); ok {
		return p, true
	}
	if p, ok := s.planMerge(s.itsPastMonth, alike); ok {
		return p, true
	}
	return s.planDead(func(dead, rows int64) bool { return dead*deadShare >= rows })
}

// PlanMergeAll is the next merge on the way to one segment a month without dead rows, or to a few that
// follow each other where memory is not enough for one: whole months, then single segments. Equal days
// are not merged before: each row would be written twice.
func (s *Store) PlanMergeAll() (MergePlan, bool) {
	if p, ok := s.planMerge(itsMonth, all); ok {
		return p, true
	}
	return s.PlanErasure()
}

// PlanErasure is the next merge on the way to files without dead rows.
func (s *Store) PlanErasure() (MergePlan, bool) {
	return s.planDead(func(int64, int64) bool { return true })
}

// planDead finds segments with dead rows: all of a project that have no others, which
// simply go, or else the first with enough. One that cannot be read is passed over: whoever
// reads it says what is wrong.
func (s *Store) planDead(enough func(dead, rows int64) bool) (MergePlan, bool) {
	s.mu.Lock()
	var files []*segmentFile
	var views []*Segment
	for _, id := range slices.Sorted(maps.Keys(s.segments)) {
		f := s.segments[id]
		if p := s.projects[f.Project]; p != nil && f.table == nil && !s.merging(id) {
			f.hold()
			files, views = append(files, f), append(views, f.under(p.rules(), s.cache))
		}
	}
	s.mu.Unlock()
	plan := MergePlan{}
	whole := false
	for i, f := range files {
		dead, err := views[i].Dead()
		f.release(s)
		if err != nil || dead == nil {
			continue
		}
		n := int64(dead.GetCardinality())
		switch {
		case n == f.Rows && (!whole || plan.Project == f.Project):
			if !whole {
				plan = MergePlan{Project: f.Project, FirstDay: f.FirstDay, Days: f.Days}
			}
			whole = true
			plan.Inputs = append(plan.Inputs, SegmentID(f.ID))
		case plan.Inputs == nil && enough(n, f.Rows):
			plan = MergePlan{Project: f.Project, Inputs: []SegmentID{SegmentID(f.ID)}, FirstDay: f.FirstDay, Days: f.Days}
		}
	}
	if plan.Inputs == nil {
		return plan, false
	}
	return plan, true
}

// MergeRoom estimates the bytes that the output of a merge takes, and those that the merge
// frees: of the inputs' dead rows.
func (s *Store) MergeRoom(plan MergePlan) (output, freed int64) {
	s.mu.Lock()
	var files []*segmentFile
	var views []*Segment
	if p := s.projects[plan.Project]; p != nil {
		for _, id := range plan.Inputs {
			if f := s.segments[uint64(id)]; f != nil && f.table == nil {
				f.hold()
				files, views = append(files, f), append(views, f.under(p.rules(), s.cache))
			}
		}
	}
	s.mu.Unlock()
	for i, f := range files {
		var dead int64
		if set, err := views[i].Dead(); err == nil && set != nil { // who builds the merge says what is wrong
			dead = int64(float64(f.Size) * float64(set.GetCardinality()) / float64(f.Rows))
		}
		output, freed = output+f.Size-dead, freed+dead
		f.release(s)
	}
	return output, freed
}

func itsDays(f *segmentFile) (int32, int)  { return f.FirstDay, f.Days }
func itsMonth(f *segmentFile) (int32, int) { return monthOf(f.FirstDay) }

// itsPastMonth is the month of a segment, or its days if the month goes on.
func (s *Store) itsPastMonth(f *segmentFile) (int32, int) {
	first, days := monthOf(f.FirstDay)
	if first+int32(days) >= dayNumber(s.lastTime) {
		return itsDays(f)
	}
	return first, days
}

// alike is how many segments, the smallest first, are worth a merge that nobody asked for: those up
// to the last of a few that are about alike.
func alike(bySize []*segmentFile) int {
	first, rows := 0, int64(0) // of those that are alike
	for n, f := range bySize {
		if n > first && f.Rows > sameGrowth*rows {
			if n-first >= sameTogether {
				return n
			}
			first, rows = n, 0
		}
		rows += f.Rows
	}
	if len(bySize)-first < sameTogether {
		return 0
	}
	return len(bySize)
}

// all is how many segments are worth a merge into one a month.
func all(bySize []*segmentFile) int {
	if len(bySize) < 2 {
		return 0
	}
	return len(bySize)
}

// planMerge finds the first stretch of days, by project and time, with segments inside it that
// are worth a merge. Those of a merge under way do not count.
func (s *Store) planMerge(stretch func(*segmentFile) (int32, int), worth func(bySize []*segmentFile) int) (MergePlan, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	type key struct {
		project  uint32
		firstDay int32
		days     int
	}
	groups := map[key][]*segmentFile{}
	var keys []key
	for _, id := range slices.Sorted(maps.Keys(s.segments)) {
		f := s.segments[id]
		if f.table != nil {
			continue // a flush merges those
		}
		first, n := stretch(f)
		if f.FirstDay+int32(f.Days) > first+int32(n) || s.projects[f.Project] == nil || s.merging(id) {
			continue
		}
		k := key{f.Project, first, n}
		if groups[k] == nil {
			keys = append(keys, k)
		}
		groups[k] = append(groups[k], f)
	}
	slices.SortFunc(keys, func(a, b key) int {
		return cmp.Or(cmp.Compare(a.project, b.project), cmp.Compare(a.firstDay, b.firstDay), cmp.Compare(a.days, b.days))
	})
	for _, k := range keys {
		if files, firstDay, days := s.choose(groups[k], k.firstDay, k.days, worth); len(files) > 0 {
			plan := MergePlan{Project: k.project, FirstDay: firstDay, Days: days}
			for _, f := range files {
				plan.Inputs = append(plan.Inputs, SegmentID(f.ID))
			}
			slices.Sort(plan.Inputs)
			return plan, true
		}
	}
	return MergePlan{}, false
}

// choose finds, among segments inside a stretch of days, those that are worth a merge, and the days that
// it is of. If there is no memory for all of them, the stretch is divided: what is in one part is merged
// with its like, and so no two of the segments that come of it have rows of one time. Who reads rows in
// order of time reads them one after the other then. Those that lie in no part are merged among
// themselves, and little ones, such as late events make, with each other.
func (s *Store) choose(files []*segmentFile, firstDay int32, days int, worth func(bySize []*segmentFile) int) ([]*segmentFile, int32, int) {
	slices.SortStableFunc(files, func(a, b *segmentFile) int { return cmp.Compare(a.Rows, b.Rows) })
	room := s.opt.Memory.Pool(memory.Decoded).Size()
	fit := fitting(files, room)
	if len(fit) == len(files) || days == 1 {
		return fit[:worth(fit)], firstDay, days
	}
	cut := 1 << (bits.Len(uint(days-1)) - 1) // the same days of a month, however often it is divided
	middle := firstDay + int32(cut)
	var before, after, across []*segmentFile
	for _, f := range files {
		switch {
		case f.FirstDay+int32(f.Days) <= middle:
			before = append(before, f)
		case f.FirstDay >= middle:
			after = append(after, f)
		default:
			across = append(across, f)
		}
	}
	if out, first, n := s.choose(before, firstDay, cut, worth); len(out) > 0 {
		return out, first, n
	}
	if out, first, n := s.choose(after, middle, days-cut, worth); len(out) > 0 {
		return out, first, n
	}
	fit = fitting(across, room)
	if worth(fit) == 0 {
		fit = fitting(files, room/littleShare)
	}
	return fit[:worth(fit)], firstDay, days
}

// littleShare says which segments are little beside what fits into memory: they all take one part in so many.
const littleShare = 8

// fitting is those of some segments, the smallest first, that can be merged in so much memory; 0 has no
// bounds. What is large has been merged already.
func fitting(bySize []*segmentFile, room int64) []*segmentFile {
	if room == 0 {
		return bySize
	}
	for n, f := range bySize {
		if room -= mergeBytes([]*segmentFile{f}); room < 0 {
			return bySize[:n]
		}
	}
	return bySize
}

// merging says whether a segment is the input of a merge under way. The caller holds mu.
func (s *Store) merging(id uint64) bool {
	for _, m := range s.merges {
		if slices.Contains(m.plan.Inputs, SegmentID(id)) {
			return true
		}
	}
	return false
}

// mergeBytes is about how much memory a merge takes: dictionaries, codes and rows of all
// inputs, and the output. 25 segments of 350,000 rows in 11 MB took 70 MB; this says 66.
func mergeBytes(files []*segmentFile) int64 {
	n := int64(0)
	for _, f := range files {
		n += 4*f.Size + mergeRowBytes*f.Rows
	}
	return n
}

// ApplyMergePlan begins a merge, whose number is the index. It pins the inputs and the
// identity map that the output is written with. Inputs that are still being flushed are
// waited for.
func (s *Store) ApplyMergePlan(index uint64, at int64, plan MergePlan) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ok, err := s.begin(index, at); !ok || err != nil {
		return err
	}
	m := &pendingMerge{plan: plan}
	in := &m.inputs
	for _, id := range plan.Inputs {
		if err := s.awaitSegment(id); err != nil {
			return err
		}
		f := s.segments[uint64(id)]
		if f == nil || f.table != nil || f.Project != plan.Project || s.merging(uint64(id)) {
			return fmt.Errorf("merge of segment %d: %w", id, ErrMergeVoid)
		}
		in.files = append(in.files, f)
	}
	p := s.projects[plan.Project]
	if p == nil || len(in.files) == 0 {
		return fmt.Errorf("merge in project %d: %w", plan.Project, ErrMergeVoid)
	}
	rules := p.rules()
	views := make([]*Segment, len(in.files))
	for i, f := range in.files {
		f.hold()
		views[i] = f.under(rules, s.cache)
	}
	in.identity, _ = p.persons.Publish()
	s.merges[index] = m
	s.effect(uint64(len(in.files)))
	// Files are read without mu. No other entry is applied meanwhile, so nobody asks.
	for _, f := range in.files {
		f.hold() // the store may close
	}
	s.mu.Unlock()
	in.look(views)
	s.mu.Lock()
	for _, f := range in.files {
		f.release(s)
	}
	return nil
}

// awaitSegment waits while a segment that an entry names is still being flushed: who
// proposed the entry had it. The caller holds mu.
func (s *Store) awaitSegment(id SegmentID) error {
	for id < mergeIDs && uint64(id)>>partBits > s.durable && len(s.sealed) > 0 && s.usable() == nil {
		s.awaitFlush()
	}
	return s.usable()
}

// BuildMerge writes the output of a planned merge, beside everything else. It gives the
// entry that ends it. If no row of the inputs counts, there is no output.
func (s *Store) BuildMerge(ctx context.Context, id uint64) (MergeDone, error) {
	s.mu.Lock()
	m := s.merges[id]
	if err := s.usable(); err != nil || m == nil || m.inputs.files == nil {
		s.mu.Unlock()
		return MergeDone{}, errors.Join(err, fmt.Errorf("merge %d: %w", id, ErrMergeVoid))
	}
	in := m.inputs
	for _, f := range in.files { // the plan may be cancelled meanwhile
		f.hold()
	}
	s.mu.Unlock()
	defer func() {
		for _, f := range in.files {
			f.release(s)
		}
	}()
	if err := errors.Join(in.err, ctx.Err()); err != nil {
		return MergeDone{}, err
	}
	dead, rows := in.dead()
	if dead == rows {
		return MergeDone{Plan: id, Dead: dead}, nil
	}
	// The cache makes room for what the merge decodes.
	defer s.cache.Borrow(mergeBytes(in.files))()
	raw, err := s.mergeFiles(&in, m.plan.FirstDay, m.plan.Days)
	if err != nil {
		return MergeDone{}, err
	}
	out, err := s.writeSegment(m.plan.Project, mergeIDs+id, raw)
	if err != nil {
		return MergeDone{}, err
	}
	s.mu.Lock()
	wanted := s.merges[id] == m && !s.closed
	if wanted {
		m.output = out
	}
	s.mu.Unlock()
	if !wanted {
		s.retire([]*segmentFile{out})
		return MergeDone{}, fmt.Errorf("merge %d: %w", id, ErrMergeVoid)
	}
	return MergeDone{Plan: id, Dead: dead, FirstDay: out.FirstDay, Days: out.Days, Rows: out.Rows,
		MinTime: out.MinTime, MaxTime: out.MaxTime, Size: out.Size, Hash: out.Hash}, nil
}

// mergeFiles merges segments through readers of its own: dictionaries that it decodes do not
// stay in those that queries use.
func (s *Store) mergeFiles(in *mergeInputs, firstDay int32, days int) ([]byte, error) {
	parts := make([]segment.Part, len(in.files))
	defer func() {
		for _, p := range parts {
			if p.Reader != nil {
				p.Close() // only read
			}
		}
	}()
	for i, f := range in.files {
		p := &parts[i]
		var err error
		if p.Reader, err = segment.Open(s.fs, f.name(s)); err != nil {
			return nil, err
		}
		p.Dead, p.Moved = in.live[i].dead, in.live[i].moved
	}
	return segment.Merge(parts, in.identity.Root, firstDay, days)
}

// ApplyMergeDone ends a merge: its output takes the place of the inputs, or, if it failed,
// they stay.
func (s *Store) ApplyMergeDone(index uint64, at int64, done MergeDone) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ok, err := s.begin(index, at); !ok || err != nil {
		return err
	}
	m := s.merges[done.Plan]
	if m == nil {
		return fmt.Errorf("end of merge %d: %w", done.Plan, ErrMergeVoid)
	}
	s.effect(done.Plan)
	if done.Failed {
		s.cancelMerges(func(other *pendingMerge) bool { return other == m })
		return nil
	}
	inputs := make([]*segmentFile, len(m.plan.Inputs))
	for i, id := range m.plan.Inputs {
		if inputs[i] = s.segments[uint64(id)]; inputs[i] == nil {
			return fmt.Errorf("end of merge %d: segment %d: %w", done.Plan, id, ErrMergeVoid)
		}
	}
	var out *segmentFile
	var err error
	if done.Rows > 0 {
		out, err = s.output(m, done)
	}
	if errors.Is(err, vfs.ErrNotHere) {
		// Going on without the output would make another state of the same log.
		s.mu.Unlock()
		s.fail(err)
		s.mu.Lock()
		return err
	}
	if err != nil {
		// The rows are in the inputs, which stay: answers are the same, files are not.
		s.opt.Logger.Error("the output of a merge is not what was agreed on; its inputs stay", "merge", done.Plan, "error", err)
		s.cancelMerges(func(other *pendingMerge) bool { return other == m })
		return err
	}
	m.output = nil
	s.cancelMerges(func(other *pendingMerge) bool { return other == m })
	p := s.projects[m.plan.Project]
	p.events += done.Rows
	rows := -done.Rows - done.Dead
	for _, f := range inputs {
		rows += f.Rows
		delete(s.segments, f.ID)
		delete(s.masked, f.ID)
		p.events -= f.Rows
	}
	if rows > 0 {
		p.touched = index // repeats went, so answers change
	}
	if out != nil {
		s.segments[out.ID] = out
	}
	s.exchanged.note(inputs, out)
	s.moved.Broadcast()
	return nil
}

// Merge does a whole merge as the entries index and index+1 do. It is for a store whose
// caller is its log.
func (s *Store) Merge(ctx context.Context, index uint64, at int64, plan MergePlan) error {
	if err := s.ApplyMergePlan(index, at, plan); err != nil {
		return err
	}
	done, err := s.BuildMerge(ctx, index)
	if err != nil {
		done = MergeDone{Plan: index, Failed: true}
	}
	return errors.Join(err, s.ApplyMergeDone(index+1, at, done))
}

// output is the output of a merge as a segment: built by this process, or by one before it
// that the log says has written it.
func (s *Store) output(m *pendingMerge, done MergeDone) (*segmentFile, error) {
	meta := manifest.Segment{ID: mergeIDs + done.Plan, Project: m.plan.Project, FirstDay: done.FirstDay, Days: done.Days,
		Rows: done.Rows, MinTime: done.MinTime, MaxTime: done.MaxTime, Size: done.Size, Hash: done.Hash}
	if m.output != nil {
		if m.output.Segment != meta {
			return nil, fmt.Errorf("merge %d gave a segment of %d rows and hash %s, agreed were %d rows and hash %s",
				done.Plan, m.output.Rows, m.output.Hash, done.Rows, done.Hash)
		}
		return m.output, nil
	}
	f, err := s.stored(meta)
	if err == nil {
		return f, nil
	}
	if m.inputs.files == nil || m.inputs.err != nil {
		return nil, errors.Join(err, m.inputs.err)
	}
	// The inputs are there until the manifest has the output. Apply waits meanwhile, which
	// nobody else can do for it: what follows may name the output.
	s.opt.Logger.Error("the output of a merge cannot be read; it is built again", "merge", done.Plan, "error", err)
	raw, again := s.mergeFiles(&m.inputs, m.plan.FirstDay, m.plan.Days)
	if again == nil && hashOf(raw) != meta.Hash {
		again = fmt.Errorf("merge %d gave hash %s, agreed was %s", done.Plan, hashOf(raw), meta.Hash)
	}
	if again == nil {
		f, again = s.writeSegment(m.plan.Project, meta.ID, raw)
	}
	if again != nil {
		return nil, errors.Join(err, again)
	}
	return f, nil
}

// stored opens the output of a merge that a process before this one has written.
func (s *Store) stored(meta manifest.Segment) (*segmentFile, error) {
	raw, err := vfs.ReadFile(s.fs, path.Join(s.dir, segmentDir, segmentName(meta.ID)), meta.Size)
	if err != nil {
		return nil, err
	}
	if got := hashOf(raw); got != meta.Hash {
		return nil, fmt.Errorf("segment %s: hash %s, agreed was %s", segmentName(meta.ID), got, meta.Hash)
	}
	return s.openSegment(meta)
}

// cancelMerges forgets merges under way: their inputs are free again. The caller holds mu.
func (s *Store) cancelMerges(which func(*pendingMerge) bool) {
	for _, id := range slices.Sorted(maps.Keys(s.merges)) {
		m := s.merges[id]
		if !which(m) {
			continue
		}
		delete(s.merges, id)
		files := m.inputs.files
		if m.output != nil {
			m.output.dead.Store(true)
			files = append(files, m.output)
		}
		for _, f := range files {
			f.release(s)
		}
	}
}

// PendingMerges are the numbers of merges that are planned and not ended.
func (s *Store) PendingMerges() []uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.merges))
}
