package raftlog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"github.com/prickledb/prickle/storage/vfs"
)

const (
	// inlineBytes is what is copied next to its header rather than written as a piece of
	// its own: a copy of a page costs less than one more system call.
	inlineBytes = 4 << 10
	// markAfter is how long the last round stays one that Open would take for cut off.
	markAfter = 50 * time.Millisecond
)

// Options says where a log lives. FS and Dir are needed; zeros are replaced by what the
// comments say.
type Options struct {
	FS  vfs.FS
	Dir string // made if it does not exist
	// FileBytes is the size of new files, 64 MiB. An entry may have a quarter of it.
	FileBytes int64
	// Spares is how many files are kept ready behind the one that is written, 2, so that
	// a full disk does not end the log; MinFiles how many files there are in all, 4.
	Spares   int
	MinFiles int
	// MaxFiles is from how many files on the log warns, 128. Nothing is refused: what must
	// stay readable stays.
	MaxFiles int
	// CacheBytes of the newest entries are kept in memory, 64 MiB.
	CacheBytes int64
	// GroupCommitBytes bounds a round, 16 MB; an entry larger than that is one of its own.
	GroupCommitBytes int64
	Logger           *slog.Logger
	// Clock is time.Now. It stamps records that are not entries, and measures the disk.
	Clock func() time.Time
	// Fatal is called once, when a write or sync has failed.
	Fatal func(error)
	// AcceptLoss cuts a damaged log off where the damage begins, for good.
	AcceptLoss bool

	after  func(time.Duration) <-chan time.Time // of tests, in place of a timer
	manual bool                                 // tests call tidy themselves
	inline bool                                 // the caller writes, and there is no writer
}

func (o *Options) fill() error {
	for _, d := range []struct {
		field *int64
		value int64
	}{{&o.FileBytes, 64 << 20}, {&o.CacheBytes, 64 << 20}, {&o.GroupCommitBytes, 16 << 20}} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	for _, d := range []struct {
		field *int
		value int
	}{{&o.Spares, 2}, {&o.MinFiles, 4}, {&o.MaxFiles, 128}} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	o.FileBytes = align(o.FileBytes, sectorBytes)
	if o.FileBytes < minFileBytes || o.FileBytes > maxFileBytes {
		return fmt.Errorf("raft log: files of %d bytes: choose %d to %d", o.FileBytes, minFileBytes, maxFileBytes)
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.after == nil {
		timer := time.NewTimer(time.Hour)
		o.after = func(d time.Duration) <-chan time.Time { timer.Reset(d); return timer.C }
	}
	return nil
}

// ErrClosed is returned by writes on a log that is closing or closed.
var ErrClosed = errors.New("raft log is closed")

// Log is the log of one directory. All methods may be called concurrently.
type Log struct {
	opts    Options
	fs      vfs.FS
	dropped *DamageError

	mu     sync.Mutex // not held while mu of a group is waited for, except by needs
	files  map[uint64]*file
	oldest uint64 // number of the first of files
	newest uint64 // number of the last spare, or of active
	active *file
	spares []*file // numbers follow that of active
	groups map[uint32]*Group
	warned bool

	making sync.Mutex // held by who changes spares, apart from the writer taking one
	tidyUp chan struct{}
	hurry  atomic.Bool // the writer waits for a spare

	queueMu sync.Mutex
	queue   []*request
	closed  bool
	failed  error
	wake    chan struct{}
	quit    chan struct{} // closed by Close
	loops   sync.WaitGroup
	done    func() error // once: ends the loops, closes the files

	writer writer
	meter  meter
}

// file is one file that is open.
type file struct {
	number   uint64
	name     string
	handle   vfs.File
	size     int64
	header   header
	epoch    uint64 // of the last round
	end      int64  // where the next round goes, or the end-of-file record is
	readers  int    // guarded by Log.mu, as is retiring
	retiring bool   // it is being made a spare
}

// writer is what the goroutine that writes has for itself.
type writer struct {
	session   uint32
	covered   uint64 // file and offset up to where all is synced
	coveredTo int64
	marked    bool // the last round is a mark alone
	arena     []byte
	bufs      [][]byte
	round     []*pending
	size      int64 // of the records in round
	room      int64 // for records in round
	roll      bool  // round goes to the next file
	batch     []*request
	cacheHead *cached // oldest
	cacheTail *cached
	cached    int64
}

// request is what one caller wants written.
type request struct {
	records []pending
	run     func() error // in place of records: by the writer, between two rounds
	done    chan error   // gets one value
}

// pending is a record on its way to the disk.
type pending struct {
	Record
	group  *Group
	sum    uint32 // of the payload
	offset int64  // once it is written
	cached *cached
	req    *request // of the last record of a request
}

var requests = sync.Pool{New: func() any { return &request{done: make(chan error, 1)} }}

// start begins the goroutines of a log whose files are open.
func (l *Log) start() {
	if !l.opts.inline {
		l.loops.Go(l.write)
	}
	ctx, cancel := context.WithCancel(context.Background())
	if !l.opts.manual {
		l.loops.Go(func() { l.tidyLoop(ctx) })
		l.nudge()
	}
	l.done = sync.OnceValue(func() error {
		l.queueMu.Lock()
		l.closed = true
		l.queueMu.Unlock()
		cancel()
		close(l.quit)
		l.loops.Wait()
		l.drain() // what came before closed
		if !l.writer.marked {
			l.flush()
		}
		return l.closeFiles()
	})
}

// Close writes what was asked for, marks it as synced and closes the files.
func (l *Log) Close() error { return l.done() }

func (l *Log) closeFiles() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	var errs []error
	for _, f := range l.files {
		errs = append(errs, f.handle.Close())
	}
	for _, f := range l.spares {
		errs = append(errs, f.handle.Close())
	}
	return errors.Join(errs...)
}

// Dropped is what Open cut off because of AcceptLoss, or nil.
func (l *Log) Dropped() *DamageError { return l.dropped }

// Group is the log of one group. It need not exist before.
func (l *Log) Group(id uint32) *Group {
	l.mu.Lock()
	defer l.mu.Unlock()
	g := l.groups[id]
	if g == nil {
		g = newGroup(l, id)
		l.groups[id] = g
	}
	return g
}

// sortedGroups gives the groups by id, so that what is written does not depend on chance.
func (l *Log) sortedGroups() []*Group {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make([]*Group, 0, len(l.groups))
	for _, g := range l.groups {
		all = append(all, g)
	}
	slices.SortFunc(all, func(a, b *Group) int { return int(int64(a.id) - int64(b.id)) })
	return all
}

// do has a request written and waits for it.
func (l *Log) do(req *request) error {
	if err := l.submit(req); err != nil {
		return err
	}
	return l.wait(req)
}

// submit queues a request.
func (l *Log) submit(req *request) error {
	l.queueMu.Lock()
	if l.failed != nil || l.closed {
		err := l.failed
		if err == nil {
			err = ErrClosed
		}
		l.queueMu.Unlock()
		return err
	}
	l.queue = append(l.queue, req)
	l.queueMu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
	return nil
}

// wait gives the outcome of a request, which must not be used any more.
func (l *Log) wait(req *request) error {
	if l.opts.inline {
		l.drain()
	}
	err := <-req.done
	clear(req.records)
	req.records, req.run = req.records[:0], nil
	requests.Put(req)
	return err
}

// fail ends all writing.
func (l *Log) fail(err error) error {
	err = fmt.Errorf("raft log: %w", err)
	l.queueMu.Lock()
	first := l.failed == nil
	if first {
		l.failed = err
	}
	err = l.failed
	l.queueMu.Unlock()
	if first && l.opts.Fatal != nil {
		l.opts.Fatal(err)
	}
	return err
}

// Err is why the log refuses everything, nil while it does not.
func (l *Log) Err() error {
	l.queueMu.Lock()
	defer l.queueMu.Unlock()
	return l.failed
}

// write drains the queue until the log is closed.
func (l *Log) write() {
	var idle <-chan time.Time
	for {
		select {
		case <-l.wake:
			l.drain()
			if idle = nil; !l.writer.marked {
				idle = l.opts.after(markAfter)
			}
		case <-idle:
			idle = nil
			l.flush() // a failure is kept in failed
		case <-l.quit:
			return
		}
	}
}

// drain commits what is queued, and what is queued meanwhile.
func (l *Log) drain() {
	w := &l.writer
	for {
		l.queueMu.Lock()
		w.batch, l.queue = l.queue, w.batch[:0]
		l.queueMu.Unlock()
		if len(w.batch) == 0 {
			return
		}
		for _, req := range w.batch {
			if req.run != nil {
				if len(w.round) > 0 {
					l.flush()
				}
				req.done <- req.run()
				continue
			}
			for i := range req.records {
				p := &req.records[i]
				if i == len(req.records)-1 {
					p.req = req
				}
				l.add(p)
			}
		}
		if len(w.round) > 0 {
			l.flush()
		}
		clear(w.batch)
	}
}

// add puts a record into the round, after writing the round if it is full.
func (l *Log) add(p *pending) {
	w, size := &l.writer, p.bytes()
	if len(w.round) > 0 && w.size+size > w.room {
		l.flush()
	}
	if len(w.round) == 0 {
		w.room = l.active.size - sectorBytes - l.active.end - recordBytes // the last sector is for the end
		if w.roll = size > w.room; w.roll {
			w.room = l.opts.FileBytes - 2*sectorBytes - recordBytes - l.headBytes()
		}
		w.room = min(w.room, max(size, l.opts.GroupCommitBytes))
	}
	w.round = append(w.round, p)
	w.size += size
}

// flush writes and syncs the round, or a mark alone, and answers who waits for it.
func (l *Log) flush() {
	w := &l.writer
	err := l.Err()
	if err == nil {
		w.marked = len(w.round) == 0
		for _, p := range w.round {
			if p.Type == TypeEntry || p.Type == TypeCompact && p.Flags&flagReset == 0 {
				p.CommitHint = p.group.nextHint()
			}
		}
		if w.roll || l.active.end+sectorBytes > l.active.size-sectorBytes {
			err = l.next(w.round)
		} else if err = l.put(l.active, nil, 0, w.round); err == nil {
			err = l.apply(w.round)
		}
		if err != nil {
			err = l.fail(err)
		}
	}
	for _, p := range w.round {
		if p.req != nil {
			p.req.done <- err
		}
	}
	clear(w.round)
	w.round, w.size, w.roll = w.round[:0], 0, false
}

// put writes one round at the end of a file, behind a header if there is one, and syncs.
func (l *Log) put(f *file, head *header, flags uint8, records []*pending) error {
	w := &l.writer
	size, arena := int64(recordBytes), int64(recordBytes+2*sectorBytes)
	for _, p := range records {
		size += p.bytes()
		arena += recordBytes + int64(len(p.Extensions)) + 8
		if len(p.Data) <= inlineBytes {
			arena += int64(len(p.Data))
		}
	}
	if int64(cap(w.arena)) < arena {
		w.arena = make([]byte, 0, arena) // pieces of it are in bufs: it must not grow below
	}
	buf, bufs, at, from := w.arena[:0], w.bufs[:0], f.end, 0
	if head != nil {
		buf, at = head.append(buf), 0
	}
	mark := Record{
		Type: TypeMark, Flags: flags, Epoch: f.epoch, Index: w.covered, Term: uint64(w.coveredTo),
		CommitHint: uint64(size), AppendedAt: nanos(l.opts.Clock()),
	}
	buf = mark.appendHeader(buf, 0)
	offset := f.end + recordBytes
	for _, p := range records {
		p.Epoch, p.offset = f.epoch, offset
		buf = p.appendHeader(buf, p.sum)
		buf = append(buf, p.Extensions...)
		if len(p.Data) <= inlineBytes {
			buf = append(buf, p.Data...)
		} else {
			bufs = append(bufs, buf[from:], p.Data)
			from = len(buf)
		}
		offset += p.bytes()
		buf = append(buf, zeros[:p.bytes()-recordBytes-int64(len(p.Extensions)+len(p.Data))]...)
	}
	end := align(offset, sectorBytes)
	buf = append(buf, zeros[:end-offset]...)
	bufs = append(bufs, buf[from:])
	err := l.disk(f, func() error { return f.handle.WriteVecAt(bufs, at) })
	clear(bufs)
	w.bufs = bufs
	if cap(w.arena) > 4<<20 {
		w.arena = nil // many small records at once are rare
	}
	if err != nil {
		return err
	}
	if err := l.sync(f, end-at); err != nil {
		return err
	}
	f.end, w.covered, w.coveredTo = end, f.number, end
	return nil
}

var zeros [1 << 20]byte

// disk does one call to the disk, and notes since when it runs.
func (l *Log) disk(f *file, call func() error) error {
	l.meter.busy.Store(l.opts.Clock().UnixNano())
	err := call()
	l.meter.busy.Store(0)
	if err != nil {
		return fmt.Errorf("%s: %w", path.Base(f.name), err)
	}
	return nil
}

// sync makes what was written durable, and counts it.
func (l *Log) sync(f *file, bytes int64) error {
	start := l.opts.Clock()
	err := l.disk(f, f.handle.SyncData)
	l.meter.count(l.opts.Clock().Sub(start), bytes)
	return err
}

// apply makes records that are durable visible.
func (l *Log) apply(records []*pending) error {
	for _, p := range records {
		if err := p.group.apply(&p.Record, l.active.number, p.offset, p.cached); err != nil {
			return err
		}
		if p.cached != nil {
			l.keep(p.cached)
		}
	}
	return nil
}

// next goes on in the next file, with the state of all groups and then records. The old
// file learns that it has ended when the new one is durable.
func (l *Log) next(records []*pending) error {
	f, err := l.takeSpare()
	if err != nil {
		return err
	}
	old, w := l.active, &l.writer
	f.epoch, f.end = uint64(w.session)<<32|uint64(uint32(f.number)), sectorBytes
	f.header = header{number: f.number, epoch: f.epoch, prevEpoch: old.epoch, prevEnd: old.end, size: f.size}
	if err := l.put(f, &f.header, 0, append(l.head(), records...)); err != nil {
		return err
	}
	if err := l.finish(old); err != nil {
		return err
	}
	w.covered, w.coveredTo = f.number, f.end
	l.mu.Lock()
	l.files[f.number], l.active = f, f
	files := len(l.files) + len(l.spares)
	warn := files > l.opts.MaxFiles && !l.warned
	l.warned = files > l.opts.MaxFiles
	l.mu.Unlock()
	if warn {
		l.opts.Logger.Warn("raft log is long: segments, a pin or a slow replica hold it", "files", files, "bytes", int64(files)*l.opts.FileBytes)
	}
	l.nudge()
	return l.apply(records)
}

// finish writes the end-of-file record. The end of the rounds stays where it was.
func (l *Log) finish(f *file) error {
	end := f.end
	last := &pending{Record: Record{Type: TypeEnd, Index: f.number + 1, AppendedAt: nanos(l.opts.Clock())}}
	err := l.put(f, nil, 0, []*pending{last})
	f.end = end
	return err
}

// head is the state of all groups, as the first round of a file repeats it.
func (l *Log) head() []*pending {
	var out []*pending
	now := nanos(l.opts.Clock())
	for _, g := range l.sortedGroups() {
		for _, r := range g.state(now) {
			out = append(out, &pending{Record: r, group: g, sum: r.payloadSum()})
		}
	}
	return out
}

// headBytes is the size of what head gives.
func (l *Log) headBytes() int64 {
	size := int64(0)
	for _, g := range l.sortedGroups() {
		for _, r := range g.state(0) {
			size += r.bytes()
		}
	}
	return size
}

// maxRecord is the largest record: with the heads of files at most as large, a round with
// one record fits into every new file.
func (l *Log) maxRecord() int64 { return l.opts.FileBytes / 4 }

// cached is an entry in memory, in a list of all groups by age.
type cached struct {
	group *Group
	log   raft.Log
	next  *cached
	gone  bool // it was truncated
}

func (c *cached) bytes() int64 { return 128 + int64(len(c.log.Data)+len(c.log.Extensions)) }

// keep adds an entry to the cache and lets the oldest go.
func (l *Log) keep(c *cached) {
	w := &l.writer
	if w.cacheTail == nil {
		w.cacheHead = c
	} else {
		w.cacheTail.next = c
	}
	w.cacheTail = c
	w.cached += c.bytes()
	for w.cached > l.opts.CacheBytes && w.cacheHead != nil {
		old := w.cacheHead
		if w.cacheHead = old.next; w.cacheHead == nil {
			w.cacheTail = nil
		}
		w.cached -= old.bytes()
		if !old.gone {
			old.group.forget(old.log.Index)
		}
	}
}

// Stats says how the log does.
type Stats struct {
	Syncs uint64 // of rounds
	Bytes uint64 // written
	// LastSync is how long the last sync took; Buckets counts them by SyncBounds, one more
	// for those above all bounds.
	LastSync time.Duration
	Took     time.Duration // by all of them
	Buckets  [len(SyncBounds) + 1]uint64
	// Stalled is how long the call to the disk that is under way has been running.
	Stalled       time.Duration
	Files, Spares int // Files are those with records
	FileBytes     int64
}

// SyncBounds are the upper bounds of Stats.Buckets.
var SyncBounds = [...]time.Duration{
	100 * time.Microsecond, 200 * time.Microsecond, 500 * time.Microsecond,
	time.Millisecond, 2 * time.Millisecond, 5 * time.Millisecond, 10 * time.Millisecond, 20 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 200 * time.Millisecond, 500 * time.Millisecond, time.Second, 2 * time.Second, 5 * time.Second,
}

// meter counts calls to the disk.
type meter struct {
	busy atomic.Int64 // since when, ns since 1970; 0 if there is none

	mu    sync.Mutex
	stats Stats
}

func (m *meter) count(took time.Duration, bytes int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stats.Syncs++
	m.stats.Bytes += uint64(bytes)
	m.stats.LastSync = took
	m.stats.Took += took
	i := 0
	for i < len(SyncBounds) && took > SyncBounds[i] {
		i++
	}
	m.stats.Buckets[i]++
}

// written is how many bytes were synced since Open.
func (m *meter) written() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.stats.Bytes
}

// Stats gives the counts since Open.
func (l *Log) Stats() Stats {
	l.meter.mu.Lock()
	s := l.meter.stats
	l.meter.mu.Unlock()
	if since := l.meter.busy.Load(); since != 0 {
		s.Stalled = max(0, time.Duration(l.opts.Clock().UnixNano()-since))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	s.Files, s.Spares, s.FileBytes = len(l.files), len(l.spares), l.opts.FileBytes
	return s
}

var _ io.Closer = (*Log)(nil)
