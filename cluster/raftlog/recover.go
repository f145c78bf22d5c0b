package raftlog

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"time"

	"github.com/prickledb/prickle/storage/vfs"
)

// DamageError says that something which was synced is not there any more, or not as it was
// written. Open returns it, as do Scan, Scrub and every read.
type DamageError struct {
	File   string
	Offset int64 // of what is damaged, 0 if that is a file as a whole
	// Group misses entries from From on; LastGood is the one before, appended at LastAt.
	// Other groups may miss entries too.
	Group          uint32
	From, LastGood uint64
	LastAt         time.Time // zero if it is not known
	Reason         string
}

func (e *DamageError) Error() string {
	return fmt.Sprintf("raft log: %s at byte %d: group %d from entry %d on: %s", path.Base(e.File), e.Offset, e.Group, e.From, e.Reason)
}

// Open opens the log of a directory, or begins one. What a crash has cut off is cut off
// here too. If more is missing the error is a DamageError, and nothing was changed.
func Open(opts Options) (*Log, error) {
	if err := opts.fill(); err != nil {
		return nil, err
	}
	l := newLog(opts)
	if err := l.fs.MkdirAll(opts.Dir); err != nil {
		return nil, err
	}
	found, err := l.load(nil)
	if err != nil {
		return nil, err
	}
	if found.damage != nil {
		if !opts.AcceptLoss || found.misfit {
			return nil, found.damage
		}
		l.dropped = found.damage
		opts.Logger.Warn("raft log: loss was accepted", "damage", found.damage)
	}
	if err := l.attach(found); err != nil {
		l.closeFiles() // err says what matters
		return nil, fmt.Errorf("raft log: %w", err)
	}
	l.start()
	return l, nil
}

func newLog(opts Options) *Log {
	return &Log{
		opts: opts, fs: opts.FS,
		files: map[uint64]*file{}, groups: map[uint32]*Group{},
		tidyUp: make(chan struct{}, 1), wake: make(chan struct{}, 1), quit: make(chan struct{}),
	}
}

// found is what a directory holds.
type found struct {
	files   []*file // with records that count, ascending; without handles
	last    walk    // of the last of files
	ended   bool    // the one before it has an end-of-file record
	raw     []byte  // the last file: last.whole is part of it
	spares  []*file
	lost    []string // files that a loss was accepted of, ascending
	session uint32   // the highest
	damage  *DamageError
	misfit  bool // records that sum contradict each other: there is no place to cut
}

// load reads the directory into the groups and changes nothing. visit, if there is one, is
// shown all records that count.
func (l *Log) load(visit func(f *file, p *place) error) (*found, error) {
	names, err := l.fs.List(l.opts.Dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	out := &found{}
	var all []*file
	bad := map[uint64]error{} // why a file has no records that count
	for _, name := range names {
		if name == "wal-meta.db" {
			return nil, fmt.Errorf("%s: the log of an earlier build, which cannot be read: export the data with that build, and import it into a new directory", path.Join(l.opts.Dir, name))
		}
		number := fileNumber(name)
		if number == 0 {
			continue
		}
		f := &file{number: number, name: l.fileName(number)}
		f.header, f.size, err = readHeader(l.fs, f.name)
		var newer errVersion
		switch {
		case errors.As(err, &newer):
			return nil, fmt.Errorf("%s: %w", f.name, err)
		case err == nil && f.header.number != number:
			err = fmt.Errorf("header of file %d", f.header.number)
		}
		if _, unreadable := err.(*fs.PathError); unreadable {
			return nil, err
		}
		if bad[number] = err; err == nil {
			out.session = max(out.session, session(f.header.epoch))
		}
		all = append(all, f)
	}
	if len(all) == 0 {
		return out, nil
	}
	begun := slices.IndexFunc(all, func(f *file) bool { return bad[f.number] == nil })
	end := len(all)
	for end > 0 && bad[all[end-1].number] != nil {
		end--
	}
	if begun < 0 { // nothing can be read: all of it goes, if that is accepted
		out.damage = l.lost(all[0].name, 0, bad[all[0].number])
		for _, f := range all {
			out.lost = append(out.lost, f.name)
		}
		return out, nil
	}
	for _, f := range all[:begun] {
		out.lost = append(out.lost, f.name)
	}
	out.spares = all[end:]
	live := all[begun:end]
	if len(live) > 1 {
		// The last file has begun when its first round is whole. Before, nothing in it counts.
		f := live[len(live)-1]
		if out.raw, err = readAll(l.fs, f.name, out.raw); err != nil {
			return nil, err
		}
		stop := errors.New("stop")
		if w, err := walkFile(f.header, out.raw, 0, func([]place) error { return stop }); err != stop && !w.covered(f.header, out.raw) {
			bad[f.number] = w.reason
			live, out.spares = live[:len(live)-1], all[end-1:]
		}
	}
	for i, f := range live {
		var next *file
		if i+1 < len(live) {
			next = live[i+1]
		}
		var gap error
		if next != nil {
			gap = bad[next.number]
		}
		if err := l.loadFile(out, f, next, gap, visit); err != nil {
			return nil, err
		}
		if out.damage != nil {
			for _, g := range live[i+1:] {
				out.lost = append(out.lost, g.name)
			}
			break
		}
		if next == nil && out.last.ended {
			reason := bad[f.number+1]
			if reason == nil {
				reason = errors.New("the file is missing")
			}
			out.damage = l.lost(l.fileName(f.number+1), 0, reason)
		}
	}
	if begun > 0 && out.damage == nil {
		out.damage = &DamageError{File: all[0].name, From: 1, Reason: bad[all[0].number].Error()}
	}
	l.check(out)
	return out, nil
}

// loadFile reads one file. next is the one after it, nil if it is the last; gap is why
// that one cannot be read.
func (l *Log) loadFile(out *found, f, next *file, gap error, visit func(f *file, p *place) error) (err error) {
	if out.raw, err = readAll(l.fs, f.name, out.raw); err != nil {
		return err
	}
	if next != nil && next.number != f.number+1 {
		gap = errors.New("the file is missing")
	}
	until := int64(0)
	if next != nil && gap == nil {
		until = next.header.prevEnd
	}
	out.ended = out.last.ended
	var misfit error
	out.last, err = walkFile(f.header, out.raw, until, func(round []place) error {
		for i := range round {
			p := &round[i]
			if p.Type != TypeMark && p.Type != TypeEnd {
				if misfit = l.Group(p.Group).apply(&p.Record, f.number, p.offset, nil); misfit != nil {
					out.damage, out.misfit = l.lost(f.name, p.offset, misfit), true
					return misfit
				}
			}
			if visit != nil {
				if err := visit(f, p); err != nil {
					return err
				}
			}
		}
		return nil
	})
	w := &out.last
	f.end, f.epoch = w.end, w.epoch
	out.files = append(out.files, f)
	out.session = max(out.session, session(w.epoch))
	if misfit != nil {
		return nil
	}
	if err != nil {
		return err // visit's
	}
	switch {
	case until == 0 && !w.ended && (w.end == sectorBytes || w.covered(f.header, out.raw)):
		out.damage = l.lost(f.name, w.bad, w.reason)
	case f.size < f.header.size:
		out.damage = l.lost(f.name, min(w.bad, f.size), fmt.Errorf("the file has %d bytes, its header says %d", f.size, f.header.size))
		f.size = f.header.size
	case gap != nil:
		out.damage = l.lost(l.fileName(f.number+1), 0, gap)
	case next != nil && (w.end != until || w.epoch != next.header.prevEpoch):
		out.damage = l.lost(f.name, w.bad, w.why(until))
	}
	return nil
}

// why says what is wrong with a file that should reach to a byte.
func (w *walk) why(until int64) error {
	if w.reason != nil {
		return w.reason
	}
	return fmt.Errorf("rounds of epoch %x end at byte %d, the next file says %d", w.epoch, w.end, until)
}

// lost is the damage from a place on, as far as it is known when all before it is loaded.
func (l *Log) lost(name string, offset int64, reason error) *DamageError {
	d := &DamageError{File: name, Offset: offset, From: 1, Reason: reason.Error()}
	if all := l.sortedGroups(); len(all) > 0 {
		d.name(all[0])
	}
	return d
}

// name says which group it is that misses entries.
func (e *DamageError) name(g *Group) {
	e.Group, e.From, e.LastGood = g.id, g.last+1, g.last
	if g.lastAt != 0 {
		e.LastAt = time.Unix(0, g.lastAt)
	}
}

// check compares the groups with what they say of themselves.
func (l *Log) check(out *found) {
	for _, g := range l.sortedGroups() {
		if out.damage != nil {
			return
		}
		last := out.files[len(out.files)-1]
		if g.hint > g.last {
			out.damage = l.lost(last.name, last.end, fmt.Errorf("entries up to %d were committed", g.hint))
			out.damage.name(g)
		} else if g.oldest > g.first && g.first <= g.last {
			out.damage = &DamageError{
				File: out.files[0].name, Group: g.id, From: g.first, LastGood: g.first - 1,
				Reason: fmt.Sprintf("the first entry is %d: files before this one are missing", g.oldest),
			}
		}
	}
}

// readHeader reads the first sector of a file. An error that is not of the disk says why
// it has no header.
func readHeader(fsys vfs.FS, name string) (header, int64, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return header{}, 0, err
	}
	defer f.Close() // only read
	size, err := f.Size()
	if err != nil {
		return header{}, 0, err
	}
	raw := make([]byte, min(size, sectorBytes))
	if n, err := f.ReadAt(raw, 0); n < len(raw) {
		return header{}, 0, &fs.PathError{Op: "read", Path: name, Err: err}
	}
	h, err := parseHeader(raw)
	return h, size, err
}

func readAll(fsys vfs.FS, name string, raw []byte) ([]byte, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close() // only read
	err = readWhole(f, name, &raw)
	return raw, err
}

// attach opens the files for writing and begins a session. From here on the directory is
// changed.
func (l *Log) attach(found *found) error {
	if err := l.fs.Remove(path.Join(l.opts.Dir, tmpName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, name := range slices.Backward(found.lost) {
		if err := l.fs.Remove(name); err != nil {
			return err
		}
		if err := l.fs.SyncDir(l.opts.Dir); err != nil {
			return err
		}
	}
	w := &l.writer
	w.session = found.session + 1
	w.marked = true
	if len(found.files) == 0 {
		return l.begin()
	}
	for i, f := range found.files {
		var err error
		if i < len(found.files)-2 {
			f.handle, err = l.fs.Open(f.name)
		} else {
			f.handle, err = l.fs.ReuseForWrite(f.name, f.name)
		}
		if err != nil {
			return err
		}
		l.files[f.number] = f
	}
	l.oldest, l.active = found.files[0].number, found.files[len(found.files)-1]
	l.newest = l.active.number
	if size, err := l.active.handle.Size(); err != nil {
		return err
	} else if err := zero(context.Background(), l.active.handle, size, l.active.size); err != nil {
		return err // nothing but if it was cut short and the loss is accepted
	}
	if err := l.attachSpares(found.spares); err != nil {
		return err
	}
	return l.resume(found)
}

// attachSpares opens the spares under the numbers that follow. Those of another size go.
func (l *Log) attachSpares(spares []*file) error {
	for _, f := range spares {
		if f.size != l.opts.FileBytes {
			if err := l.fs.Remove(f.name); err != nil {
				return err
			}
		} else {
			old := f.name
			l.newest++
			f.number = l.newest
			f.name = l.fileName(f.number)
			handle, err := l.fs.ReuseForWrite(old, f.name)
			if err != nil {
				return err
			}
			f.handle = handle
			l.spares = append(l.spares, f)
		}
		if err := l.fs.SyncDir(l.opts.Dir); err != nil {
			return err
		}
	}
	return nil
}

// begin makes the first file of a log.
func (l *Log) begin() error {
	const number = 1
	f := &file{number: number, name: l.fileName(number), size: l.opts.FileBytes}
	f.epoch = uint64(l.writer.session)<<32 | number
	f.header = header{number: number, epoch: f.epoch, size: f.size}
	mark := Record{Type: TypeMark, Epoch: f.epoch, CommitHint: recordBytes, AppendedAt: nanos(l.opts.Clock())}
	// Somebody waits for the log to open: this one gets no zeros.
	waited := func() bool { return false }
	if err := l.makeFile(context.Background(), f, mark.appendHeader(f.header.append(nil), 0), waited); err != nil {
		return err
	}
	l.files[number], l.oldest, l.newest, l.active = f, number, number, f
	// The directory itself may be new, and so may be the one that it is in.
	for dir := path.Dir(path.Clean(l.opts.Dir)); ; dir = path.Dir(dir) {
		if err := l.fs.SyncDir(dir); err != nil {
			return err
		}
		if dir == path.Dir(path.Dir(path.Clean(l.opts.Dir))) {
			break
		}
	}
	f.end = 2 * sectorBytes
	l.writer.covered, l.writer.coveredTo = number, f.end
	return nil
}

// resume ends the tail of the last session and writes again what of it is whole.
func (l *Log) resume(found *found) error {
	w, f := &l.writer, l.active
	// What was read may not be on the disk yet: no mark may say so before it is.
	if err := f.handle.SyncData(); err != nil {
		return err
	}
	w.covered, w.coveredTo = f.number, f.end
	if n := len(found.files); n > 1 && !found.ended {
		if err := l.finish(found.files[n-2]); err != nil {
			return err
		}
		w.covered, w.coveredTo = f.number, f.end
	}
	tail := make([]*pending, 0, len(found.last.whole))
	if l.dropped != nil {
		for _, g := range l.sortedGroups() {
			first := min(max(g.first, g.oldest), g.last+1)
			tail = append(tail, &pending{group: g, Record: Record{
				Type: TypeCompact, Flags: flagHead | flagReset, Group: g.id, Index: first - 1, Term: g.last, CommitHint: min(g.hint, g.last),
			}})
		}
	}
	for i := range found.last.whole {
		r := found.last.whole[i].Record
		if r.Type == TypeEnd || r.Type == TypeMark {
			continue
		}
		tail = append(tail, &pending{Record: r, group: l.Group(r.Group), sum: r.payloadSum()})
	}
	epoch := uint64(w.session)<<32 | uint64(uint32(f.number))
	if f.end+sectorBytes <= f.size-sectorBytes {
		f.epoch = epoch
		if err := l.put(f, nil, flagResume, nil); err != nil {
			return err
		}
	} else {
		// The header alone is the first thing of the new session.
		next, err := l.takeSpare()
		if err != nil {
			return err
		}
		h := header{number: next.number, epoch: epoch + 1, prevEpoch: f.epoch, prevEnd: f.end, size: next.size}
		if _, err = next.handle.WriteAt(h.append(nil), 0); err == nil {
			err = next.handle.SyncData()
		}
		if err != nil {
			return err
		}
		l.spares = slices.Insert(l.spares, 0, next)
		if err := l.next(nil); err != nil {
			return err
		}
	}
	for _, p := range tail {
		l.add(p)
	}
	if len(tail) > 0 {
		l.opts.Logger.Info("raft log: kept what is whole of a write that was cut off", "file", f.name, "records", len(tail))
		l.flush()
	}
	return l.Err()
}
