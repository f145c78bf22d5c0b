package raftlog

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/prickledb/prickle/storage/vfs"
)

const (
	// tmpName is a file that is being filled with zeros.
	tmpName = "new.tmp"
	// keepSpares is how many files that nobody needs any more stay as spares, if so many
	// are in use: half a GB. The next ones then need not be filled with zeros.
	keepSpares = 8
	// calmBytes is how much the writer may write while a spare is filled with zeros. Filling
	// takes a fraction of a second, so more is a load that the disk and the processors are
	// wanted for.
	calmBytes = 1 << 20
)

func (l *Log) fileName(number uint64) string {
	return path.Join(l.opts.Dir, fmt.Sprintf("%08d.rl", number))
}

// fileNumber is what a name says, 0 if it is not one of a log file.
func fileNumber(name string) uint64 {
	digits, ok := strings.CutSuffix(name, ".rl")
	number, err := strconv.ParseUint(digits, 10, 32)
	if !ok || err != nil || fmt.Sprintf("%08d.rl", number) != name {
		return 0
	}
	return number
}

// acquire gives a file for reading, nil if it is not there any more.
func (l *Log) acquire(number uint64) *file {
	l.mu.Lock()
	defer l.mu.Unlock()
	f := l.files[number]
	if f == nil || f.retiring {
		return nil
	}
	f.readers++
	return f
}

func (l *Log) release(f *file) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if f.readers--; f.readers == 0 {
		l.nudge()
	}
}

// nudge has the files looked after.
func (l *Log) nudge() {
	select {
	case l.tidyUp <- struct{}{}:
	default:
	}
}

func (l *Log) tidyLoop(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.tidyUp:
			// Without a spare the writer tries by itself, and there an error counts.
			if err := l.tidy(ctx); err != nil && l.Err() == nil && ctx.Err() == nil {
				l.opts.Logger.Error("raft log: no spare file could be made", "error", err)
			}
		}
	}
}

// tidy makes spares: of files that nobody needs, otherwise new ones.
func (l *Log) tidy(ctx context.Context) error {
	l.making.Lock()
	defer l.making.Unlock()
	if err := l.recycleAll(); err != nil {
		return err
	}
	for l.Err() == nil {
		l.mu.Lock()
		enough := len(l.spares) >= l.opts.Spares && len(l.spares)+len(l.files) >= l.opts.MinFiles
		l.mu.Unlock()
		if enough {
			return nil
		}
		if err := l.makeSpare(ctx); err != nil {
			return err
		}
	}
	return nil
}

// recycleAll makes spares of all files that nobody needs. making is held.
func (l *Log) recycleAll() error {
	for {
		if more, err := l.recycle(); err != nil || !more {
			return err
		}
	}
}

// recycle makes the oldest file a spare, or removes it, if nobody needs it. It goes one
// at a time, so that after a crash no number is missing among the others.
func (l *Log) recycle() (more bool, err error) {
	l.mu.Lock()
	f := l.files[l.oldest]
	if f == l.active || f.readers > 0 || l.needed(f) {
		l.mu.Unlock()
		return false, nil
	}
	f.retiring = true
	inUse, spares := len(l.files), len(l.spares)
	reuse := f.size == l.opts.FileBytes &&
		(spares < max(l.opts.Spares, min(inUse, keepSpares)) || inUse+spares <= l.opts.MinFiles)
	number := l.newest + 1
	l.mu.Unlock()

	var spare *file
	if reuse {
		spare = &file{number: number, name: l.fileName(number), size: f.size}
		if spare.handle, err = l.fs.ReuseForWrite(f.name, spare.name); err != nil {
			if renamed, there := l.fs.Open(spare.name); there == nil {
				renamed.Close() // only looked for
				return false, l.fail(err)
			}
		}
	} else {
		err = l.fs.Remove(f.name)
	}
	if err != nil {
		l.mu.Lock()
		f.retiring = false
		l.mu.Unlock()
		return false, err
	}
	if err := l.fs.SyncDir(l.opts.Dir); err != nil {
		return false, l.fail(err)
	}
	for _, g := range l.sortedGroups() {
		g.recycled(f.number)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.files, f.number)
	l.oldest = f.number + 1
	if spare != nil {
		l.newest = number
		l.spares = append(l.spares, spare)
	}
	f.handle.Close() // nothing was written since it was synced
	return true, nil
}

// needed says whether a file has an entry that must stay readable. mu is held.
func (l *Log) needed(f *file) bool {
	for _, g := range l.groups {
		if g.needs(f.number) {
			return true
		}
	}
	return false
}

// makeSpare makes a file under the next number, full of zeros while the writer has little to
// do. making is held.
func (l *Log) makeSpare(ctx context.Context) error {
	l.mu.Lock()
	number := l.newest + 1
	l.mu.Unlock()
	f := &file{number: number, name: l.fileName(number), size: l.opts.FileBytes}
	before := l.meter.written()
	calm := func() bool { return !l.hurry.Load() && l.meter.written()-before < calmBytes }
	if err := l.makeFile(ctx, f, nil, calm); err != nil {
		return err
	}
	l.mu.Lock()
	l.spares, l.newest = append(l.spares, f), number
	l.mu.Unlock()
	return nil
}

// makeFile makes a file, with zeros behind what it begins with for as long as it is calm.
// Only when that is synced it gets its name.
func (l *Log) makeFile(ctx context.Context, f *file, begin []byte, calm func() bool) error {
	tmp := path.Join(l.opts.Dir, tmpName)
	handle, err := l.fs.Create(tmp)
	if err != nil {
		return err
	}
	if err = handle.Preallocate(f.size); err == nil && len(begin) > 0 {
		_, err = handle.WriteAt(begin, 0)
	}
	// Synced piece by piece: rounds that are written meanwhile wait for one piece, and not
	// for a file. When there is no calm, the rest is left as room: then rounds there cost
	// more, but less than writing all of it twice at once.
	at := int64(len(begin))
	for ; err == nil && at < f.size && calm(); at += int64(len(zeros)) {
		if err = zero(ctx, handle, at, min(f.size, at+int64(len(zeros)))); err == nil {
			err = handle.SyncData()
		}
	}
	if err == nil && at < f.size {
		err = zero(ctx, handle, f.size-sectorBytes, f.size)
	}
	if err == nil {
		err = handle.Sync()
	}
	if closing := handle.Close(); err == nil {
		err = closing
	}
	if err == nil {
		f.handle, err = l.fs.ReuseForWrite(tmp, f.name)
	}
	if err != nil {
		l.fs.Remove(tmp) // on a full disk it takes the room of others
		return err
	}
	if err = l.fs.SyncDir(l.opts.Dir); err != nil {
		f.handle.Close() // err says what matters
	}
	return err
}

// zero writes zeros, in pieces between which ctx may end it.
func zero(ctx context.Context, f vfs.File, from, to int64) error {
	for from < to {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := min(to-from, int64(len(zeros)))
		if _, err := f.WriteAt(zeros[:n], from); err != nil {
			return err
		}
		from += n
	}
	return nil
}

// takeSpare gives the writer its next file, which it makes itself if it must.
func (l *Log) takeSpare() (*file, error) {
	pop := func() *file {
		l.mu.Lock()
		defer l.mu.Unlock()
		if len(l.spares) == 0 || l.spares[0].number != l.active.number+1 {
			return nil
		}
		f := l.spares[0]
		l.spares = slices.Delete(l.spares, 0, 1)
		return f
	}
	if f := pop(); f != nil {
		return f, nil
	}
	l.hurry.Store(true)
	defer l.hurry.Store(false)
	l.making.Lock() // one may be under way
	defer l.making.Unlock()
	if f := pop(); f != nil {
		return f, nil
	}
	if err := l.makeSpare(context.Background()); err != nil {
		return nil, err
	}
	return pop(), nil
}

// NextFile goes on in the next file, so that what is in the log now shares no file with what
// comes, and can go without it.
func (l *Log) NextFile() error {
	req := requests.Get().(*request)
	req.run = func() error {
		err := l.Err()
		if err == nil {
			if err = l.next(nil); err != nil {
				err = l.fail(err)
			}
		}
		return err
	}
	return l.do(req)
}

// EraseSpares overwrites with zeros what files hold of their former lives: spares, and the
// part of the file in use that is not written yet. A deleted entry is gone from the disk
// when it is below Group.Oldest, and EraseSpares returned nil after that.
func (l *Log) EraseSpares(ctx context.Context) error {
	l.making.Lock()
	err := l.recycleAll()
	l.making.Unlock()
	if err != nil {
		return err
	}
	for done := uint64(0); ; {
		number, err := l.eraseSpare(ctx, done)
		if err != nil {
			return err
		}
		if number == 0 {
			break
		}
		done = number
	}
	// The writer does it in pieces, so that others wait for one piece at most.
	l.mu.Lock()
	f := l.active
	l.mu.Unlock()
	for to := f.size; to > sectorBytes; to -= int64(len(zeros)) {
		if err := ctx.Err(); err != nil {
			return err
		}
		req := requests.Get().(*request)
		req.run = func() error {
			if l.active != f {
				return nil // written to its end
			}
			err := l.disk(f, func() error { return zero(context.Background(), f.handle, max(f.end, to-int64(len(zeros))), to) })
			if err == nil {
				err = l.disk(f, f.handle.SyncData)
			}
			if err != nil {
				return l.fail(err)
			}
			return nil
		}
		if err := l.do(req); err != nil {
			return err
		}
	}
	return nil
}

// eraseSpare erases the first spare after a number, and says which it was, 0 for none.
func (l *Log) eraseSpare(ctx context.Context, after uint64) (uint64, error) {
	l.making.Lock()
	defer l.making.Unlock()
	l.mu.Lock()
	i := slices.IndexFunc(l.spares, func(f *file) bool { return f.number > after })
	if i < 0 {
		l.mu.Unlock()
		return 0, nil
	}
	// While it is away the numbers have a gap, at which the writer waits.
	f, rest := l.spares[i], slices.Clone(l.spares[i:])
	l.spares = l.spares[:i:i]
	l.mu.Unlock()

	err := zero(ctx, f.handle, 0, f.size)
	if err == nil {
		err = f.handle.SyncData()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.spares = append(l.spares, rest...)
	if err != nil {
		return 0, fmt.Errorf("raft log: %s: %w", path.Base(f.name), err)
	}
	return f.number, nil
}

// Scrub reads all files but the one in use and checks every record. What does not sum is a
// DamageError.
func (l *Log) Scrub(ctx context.Context) error {
	var raw []byte
	for number := uint64(0); ; number++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		l.mu.Lock()
		number = max(number, l.oldest)
		last := number >= l.active.number
		l.mu.Unlock()
		if last {
			return nil
		}
		f := l.acquire(number)
		if f == nil {
			continue
		}
		err := l.scrub(f, &raw)
		l.release(f)
		if err != nil {
			return err
		}
	}
}

func (l *Log) scrub(f *file, raw *[]byte) error {
	if err := readWhole(f.handle, f.name, raw); err != nil {
		return err
	}
	head, err := parseHeader(*raw)
	if err == nil && head != f.header {
		err = errors.New("header of another file")
	}
	if err != nil {
		return l.damage(f.number, 0, err)
	}
	w, _ := walkFile(head, *raw, f.end, func([]place) error { return nil })
	if w.end != f.end {
		return l.damage(f.number, w.bad, w.why(f.end))
	}
	return nil
}

// damage names what is lost of a file that was whole.
func (l *Log) damage(number uint64, offset int64, reason error) *DamageError {
	d := &DamageError{File: l.fileName(number), Offset: offset, Reason: reason.Error()}
	for _, g := range l.sortedGroups() {
		g.mu.RLock()
		i := slices.IndexFunc(g.refs, func(r ref) bool { return uint64(r.file) == number && int64(r.offset) >= offset })
		if i >= 0 && (d.From == 0 || int64(g.refs[i].offset) == offset) {
			d.Group, d.From, d.LastGood = g.id, g.oldest+uint64(i), g.oldest+uint64(i)-1
		}
		g.mu.RUnlock()
	}
	return d
}

// readWhole reads a file into raw, which grows as needed.
func readWhole(f vfs.File, name string, raw *[]byte) error {
	size, err := f.Size()
	if err != nil {
		return err
	}
	if size > maxFileBytes {
		return fmt.Errorf("%s: %d bytes, a log file has at most %d", name, size, maxFileBytes)
	}
	*raw = slices.Grow((*raw)[:0], int(size))[:size]
	if n, err := f.ReadAt(*raw, 0); n < len(*raw) {
		return &fs.PathError{Op: "read", Path: name, Err: err}
	}
	return nil
}
