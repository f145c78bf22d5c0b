package storage

import (
	"errors"
	"fmt"
	"maps"
	"path"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/zeebo/xxh3"

	"github.com/prickledb/prickle/storage/manifest"
	"github.com/prickledb/prickle/storage/segment"
	"github.com/prickledb/prickle/storage/vfs"
)

// seal ends the active memtable and hands it to the flusher. It waits while too many are
// on their way already, as long as patient gives no error. The caller holds mu.
func (s *Store) seal(patient func() error) error {
	for len(s.sealed) > maxSealed {
		if err := errors.Join(s.usable(), patient()); err != nil {
			return err
		}
		s.awaitFlush()
	}
	m := s.active
	m.fullState = s.rewrite || s.states >= maxStates
	m.state, m.dropped = s.encodeState(m.fullState), nil
	m.fullState = m.fullState && m.state != nil
	switch {
	case m.fullState:
		s.states = 1
	case m.state != nil:
		s.states++
	}
	s.rewrite = false
	m.rules = map[uint32]rules{}
	for id := range m.batches {
		if p := s.projects[id]; p != nil {
			m.rules[id] = p.rules()
		}
	}
	m.tables = s.changedTables()
	for _, p := range s.deleted {
		m.dropped = append(m.dropped, p.ID)
	}
	s.deleted = nil
	m.exchanged, s.exchanged = s.exchanged, exchange{}
	m.hash = s.hash
	m.keys = s.dedup.Seal()
	s.sealed = append(s.sealed, m)
	s.active = newMemtable(m.pool, s.cache)
	s.active.epoch = m.epoch + 1
	s.moved.Broadcast()
	return s.usable()
}

// BeginReplay says that a log is being replayed. Until EndReplay nothing is flushed, so
// that the processors are there for what keeps a start waiting, unless somebody waits for a
// flush: then the log is longer than what two memtables hold, and flushing beside it pays.
func (s *Store) BeginReplay() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.replaying = true
}

// EndReplay ends what BeginReplay began.
func (s *Store) EndReplay() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.replaying = false
	s.moved.Broadcast()
}

// awaitFlush waits until the flusher has done something. The caller holds mu.
func (s *Store) awaitFlush() {
	if s.replaying {
		s.replaying = false
		s.moved.Broadcast()
	}
	s.moved.Wait()
}

// flushLoop writes sealed memtables, oldest first, until the store closes.
func (s *Store) flushLoop() {
	defer s.flusher.Done()
	for {
		s.mu.Lock()
		for (len(s.sealed) == 0 || s.replaying) && !s.closed && s.err == nil {
			s.moved.Wait()
		}
		if s.closed || s.err != nil {
			s.mu.Unlock()
			return
		}
		m := s.sealed[0]
		s.mu.Unlock()
		if !s.flushAgain(m) {
			return
		}
	}
}

// A disk that is full stays so until somebody acts; one that is slow to come back does so
// within seconds.
const (
	flushRetryLeast = 100 * time.Millisecond
	flushRetryMost  = 100 // times the least
)

// flushAgain writes a memtable, as often as it takes. It says false if that became
// pointless: the store closes, or has failed.
func (s *Store) flushAgain(m *memtable) bool {
	for wait := s.opt.FlushRetry; ; wait = min(2*wait, flushRetryMost*s.opt.FlushRetry) {
		began := time.Now()
		edit, files, err := s.write(m)
		if err == nil {
			if err = s.publish(m, edit, files); err != nil {
				s.fail(fmt.Errorf("flush: %w", err))
				return false
			}
			if s.opt.Flushed != nil {
				s.opt.Flushed(time.Since(began))
			}
			return true
		}
		err = fmt.Errorf("flush of %d events: %w", m.rows, err)
		if errors.As(err, new(*impossible)) || errors.Is(err, syscall.ENODEV) { // ENODEV: the disk is gone
			s.fail(err)
			return false
		}
		s.opt.Logger.Error("segments cannot be written; it is tried again, and the log keeps the events meanwhile", "error", err, "wait", wait)
		s.mu.Lock()
		s.flushErr = err
		s.failures++
		s.moved.Broadcast()
		s.mu.Unlock()
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-s.again:
		case <-s.stop:
			timer.Stop()
			return false
		}
		timer.Stop()
	}
}

// impossible is the error of a memtable that cannot become segments, on any disk.
type impossible struct{ error }

func (e *impossible) Unwrap() error { return e.error }

// fail ends the store's life: what it would apply from now on could not become durable.
func (s *Store) fail(err error) {
	s.mu.Lock()
	first := s.err == nil
	if first {
		s.err = fmt.Errorf("storage: %w", err)
	}
	s.moved.Broadcast()
	s.mu.Unlock()
	s.opt.Logger.Error("nothing more can be stored", "error", err)
	if first && s.opt.Fatal != nil {
		s.opt.Fatal(err)
	}
}

// write writes the segments, the dedup runs and the state file of a memtable, and gives the edit that
// names them. After an error none of them is left.
func (s *Store) write(m *memtable) (manifest.Edit, []*segmentFile, error) {
	edit := manifest.Edit{Applied: m.last, StateHash: m.hash, Full: m.fullState, Drop: m.dropped, Time: m.keys.Time}
	m.exchanged.into(&edit)
	files, err := s.writeSegments(m)
	if err == nil {
		var tables []*segmentFile
		count := uint64(len(files))
		tables, m.replaced, err = s.writeTables(m, func() uint64 { count++; return m.last<<partBits + count - 1 })
		files = append(files, tables...)
		edit.Remove = append(edit.Remove, m.replaced...)
	}
	if err == nil {
		edit.AddRuns, err = m.keys.Write(s.fs, s.dir, s.runNumber)
	}
	if err == nil && m.state != nil {
		edit.State = fmt.Sprintf("%020d.state", m.last)
		name := path.Join(s.dir, stateDir, edit.State)
		if err = vfs.WriteFile(s.fs, name, sealState(m.state)); err != nil {
			s.fs.Remove(name) // it may have its name already; err says what matters
		}
	}
	if err != nil {
		s.retire(files)
		m.keys.Discard()
		return edit, nil, err
	}
	for _, f := range files {
		edit.Add = append(edit.Add, f.Segment)
	}
	return edit, files, nil
}

// publish commits the edit of a memtable that was written: from here on its files count.
func (s *Store) publish(m *memtable, edit manifest.Edit, files []*segmentFile) error {
	old, err := s.commit(edit)
	if err != nil {
		return err
	}
	s.retire(m.exchanged.retired)
	if m.fullState {
		for _, name := range old.States {
			if err := s.fs.Remove(path.Join(s.dir, stateDir, name)); err != nil {
				s.opt.Logger.Warn("an old state file stays", "file", name, "error", err)
			}
		}
	}
	s.mu.Lock()
	for _, f := range files {
		s.segments[f.ID] = f
		if p := s.projects[f.Project]; p != nil && f.table == nil {
			p.events += f.Rows
		}
	}
	for id, batches := range m.batches {
		if p := s.projects[id]; p != nil {
			for _, b := range batches {
				p.events -= int64(b.len()) // less what was deleted before it was written
			}
		}
	}
	var gone []*segmentFile
	for _, id := range m.replaced {
		gone = append(gone, s.segments[id])
		delete(s.segments, id)
	}
	for _, project := range m.dropped {
		gone = append(gone, s.takeProject(project)...)
	}
	for project := range m.tables {
		if p := s.projects[project]; p != nil {
			if err := s.attachSegments(p, m.epoch+1); err != nil {
				s.mu.Unlock()
				return err
			}
		}
	}
	s.sealed = s.sealed[1:]
	s.durable = max(s.durable, m.last)
	s.flushErr = nil
	s.moved.Broadcast()
	s.mu.Unlock()
	s.publishRuns(m.keys)
	m.free()
	s.retire(gone)
	// Who waits for the flush may rely on it that the files it replaces are gone.
	s.mu.Lock()
	m.flushed = true
	s.moved.Broadcast()
	s.mu.Unlock()
	return nil
}

// commit makes an edit durable, and gives the manifest that was before it.
func (s *Store) commit(e manifest.Edit) (*manifest.Manifest, error) {
	s.logMu.Lock()
	defer s.logMu.Unlock()
	old := s.log.Manifest()
	return old, s.log.Commit(e)
}

// writeSegments writes one segment for each part of each project, on all cores. With an error
// it gives those that were written all the same.
func (s *Store) writeSegments(m *memtable) ([]*segmentFile, error) {
	type job struct {
		project uint32
		part    *part
		id      uint64
	}
	var jobs []job
	for _, id := range slices.Sorted(maps.Keys(m.batches)) {
		if slices.Contains(m.dropped, id) {
			continue
		}
		for _, p := range flushParts(m.live(id)) {
			jobs = append(jobs, job{id, p, m.last<<partBits + uint64(len(jobs))})
		}
	}
	files := make([]*segmentFile, len(jobs))
	errs := make([]error, len(jobs))
	onAllCores(len(jobs), func(i int) {
		j := jobs[i]
		raw, err := segment.Build(j.part.inputs, j.part.firstDay, j.part.days, segment.Options{})
		if err != nil {
			errs[i] = &impossible{err}
			return
		}
		files[i], errs[i] = s.writeSegment(j.project, j.id, raw)
	})
	written := slices.DeleteFunc(files, func(f *segmentFile) bool { return f == nil })
	for _, err := range errs {
		if err != nil { // one stands for all: a full disk gives the same to each
			return written, err
		}
	}
	return written, nil
}

// onAllCores calls work for 0 to n-1, and returns when all calls have.
func onAllCores(n int, work func(i int)) {
	var next atomic.Int64
	var wait sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), n) {
		wait.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				work(i)
			}
		})
	}
	wait.Wait()
}

// The number of a segment says where it is from, so that it is the same on every replica:
// the last entry that a flush covers and the position among its segments, or the entry
// that planned a merge.
const (
	partBits = 20
	mergeIDs = 1 << 62
)

// SegmentFile is the name of a segment's file, without its directory.
func SegmentFile(id SegmentID) string { return segmentName(uint64(id)) }

// segmentName is the file of a segment.
func segmentName(id uint64) string { return fmt.Sprintf("%020d.seg", id) }

// writeSegment writes a segment's file, durable when it returns, and opens it. After an
// error there is no such file.
func (s *Store) writeSegment(project uint32, id uint64, raw []byte) (*segmentFile, error) {
	name := path.Join(s.dir, segmentDir, segmentName(id))
	err := vfs.WriteFile(s.fs, name, raw)
	var r *segment.Reader
	if err == nil {
		r, err = segment.Open(s.fs, name)
	}
	if err != nil {
		s.fs.Remove(name) // it may have its name already; err says what matters
		return nil, err
	}
	r.Share(s.cache)
	return newSegmentFile(manifest.Segment{ID: id, Project: project, FirstDay: r.FirstDay(), Days: r.Days(), Rows: int64(r.Rows()),
		MinTime: r.MinTime(), MaxTime: r.MaxTime(), Size: int64(len(raw)), Hash: hashOf(raw)}, r), nil
}

func hashOf(raw []byte) string { return fmt.Sprintf("%x", xxh3.Hash128(raw).Bytes()) }

// unreadable is the error of a file that the manifest names. The manifest may be what is
// damaged: one that has lost its last records names files that are gone.
func (s *Store) unreadable(err error) error {
	return fmt.Errorf("%w: %s names it; restore it from a backup", err, s.log.Name())
}

// openSegment opens a segment that the manifest names.
func (s *Store) openSegment(meta manifest.Segment) (*segmentFile, error) {
	name := path.Join(s.dir, segmentDir, segmentName(meta.ID))
	if meta.Table != 0 {
		return s.openTable(meta)
	}
	r, err := segment.Open(s.fs, name)
	if err != nil {
		return nil, s.unreadable(err)
	}
	if int64(r.Rows()) != meta.Rows || r.Size() != meta.Size {
		r.Close() // only read
		return nil, s.unreadable(fmt.Errorf("%s: %d rows in %d bytes, want %d in %d", name, r.Rows(), r.Size(), meta.Rows, meta.Size))
	}
	r.Share(s.cache)
	return newSegmentFile(meta, r), nil
}

// openTogether is how many segments are worth a goroutine at a start.
const openTogether = 64

// openSegments opens the segments that a manifest names, on all cores: a directory has
// thousands. After an error it gives those that are open. They are in the order of their
// numbers.
func (s *Store) openSegments(m *manifest.Manifest) ([]*segmentFile, error) {
	ids := slices.Sorted(maps.Keys(m.Segments))
	files, errs := make([]*segmentFile, len(ids)), make([]error, len(ids))
	var next atomic.Int64
	var failed atomic.Bool
	open := func() {
		for i := int(next.Add(1)) - 1; i < len(ids) && !failed.Load(); i = int(next.Add(1)) - 1 {
			if files[i], errs[i] = s.openSegment(m.Segments[ids[i]]); errs[i] != nil {
				failed.Store(true)
			}
		}
	}
	var others sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(ids)/openTogether) - 1 {
		others.Go(open)
	}
	open()
	others.Wait()
	opened := slices.DeleteFunc(files, func(f *segmentFile) bool { return f == nil })
	for _, err := range errs {
		if err != nil { // one stands for all: each says to restore its file
			return opened, err
		}
	}
	return opened, nil
}
