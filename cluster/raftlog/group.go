package raftlog

import (
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"slices"
	"sort"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/raft"
)

// Group is one Raft group's part of a log. All methods may be called concurrently.
type Group struct {
	log     *Log
	id      uint32
	staged  atomic.Uint64
	durable atomic.Uint64
	writes  sync.Mutex // one change of the entries at a time

	mu          sync.RWMutex
	first, last uint64 // entries that Raft sees; first is last+1 if there are none
	hint        uint64 // highest commit index on disk
	lastAt      int64  // when the last entry was appended, ns since 1970
	oldest      uint64 // index of refs[0]
	refs        []ref  // where the entries are, up to last
	cache       []*cached
	stable      map[string][]byte
	pins        map[*uint64]struct{}
}

var (
	_ raft.CommitTrackingLogStore = (*Group)(nil)
	_ raft.MonotonicLogStore      = (*Group)(nil)
	_ raft.StableStore            = (*Group)(nil)
)

// ref is where an entry is.
type ref struct{ file, offset, bytes uint32 }

func newGroup(l *Log, id uint32) *Group {
	return &Group{log: l, id: id, first: 1, oldest: 1, stable: map[string][]byte{}, pins: map[*uint64]struct{}{}}
}

// FirstIndex is the first entry that Raft did not delete, 0 if there is none.
func (g *Group) FirstIndex() (uint64, error) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	if g.first > g.last {
		return 0, nil
	}
	return g.first, nil
}

// LastIndex is the last entry, 0 if there is none.
func (g *Group) LastIndex() (uint64, error) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	if g.first > g.last {
		return 0, nil
	}
	return g.last, nil
}

// Oldest is the first entry that ReadRange can read, 0 if there is none. It may be below
// FirstIndex.
func (g *Group) Oldest() uint64 {
	g.mu.RLock()
	defer g.mu.RUnlock()
	if len(g.refs) == 0 {
		return 0
	}
	return g.oldest
}

// Newest is the last entry, also if Raft deleted it since; 0 if there never was one.
func (g *Group) Newest() uint64 {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return g.last
}

// IsMonotonic tells Raft that the log has no gaps.
func (g *Group) IsMonotonic() bool { return true }

// StageCommitIndex notes a commit index that goes to disk with the entries stored next.
func (g *Group) StageCommitIndex(index uint64) error {
	for {
		old := g.staged.Load()
		if index <= old || g.staged.CompareAndSwap(old, index) {
			return nil
		}
	}
}

// nextHint is the commit index to write. It is never above what is synced, so that an
// entry which says it proves that all before were there.
func (g *Group) nextHint() uint64 {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return max(g.hint, min(g.staged.Load(), g.last))
}

// GetCommitIndex is the highest commit index on disk, 0 if none is known. It may be older
// than what was staged.
func (g *Group) GetCommitIndex() (uint64, error) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	if g.first > g.last {
		return 0, nil
	}
	return min(g.hint, g.last), nil
}

// GetLog reads an entry, raft.ErrLogNotFound if Raft deleted it or it never was. The
// entry's data may be shared: it must not be changed. An entry that does not sum is a
// DamageError.
func (g *Group) GetLog(index uint64, l *raft.Log) error {
	return g.read(index, l, false)
}

func (g *Group) read(index uint64, l *raft.Log, deleted bool) error {
	g.mu.RLock()
	if index > g.last || index < g.oldest || index < g.first && !deleted {
		g.mu.RUnlock()
		return raft.ErrLogNotFound
	}
	if below := g.last - index; below < uint64(len(g.cache)) {
		*l = g.cache[uint64(len(g.cache))-1-below].log
		g.mu.RUnlock()
		return nil
	}
	at := g.refs[index-g.oldest]
	g.mu.RUnlock()

	f := g.log.acquire(uint64(at.file))
	if f == nil {
		return raft.ErrLogNotFound // it was recycled this moment
	}
	defer g.log.release(f)
	raw := make([]byte, at.bytes)
	if n, err := f.handle.ReadAt(raw, int64(at.offset)); n < len(raw) {
		return fmt.Errorf("raft log: group %d: entry %d: %w", g.id, index, err)
	}
	var r Record
	err := r.parse(raw)
	if err == nil && (r.Type != TypeEntry || r.Group != g.id || r.Index != index || !mine(r.Epoch, f.number)) {
		err = fmt.Errorf("%v %d of group %d, epoch %x", r.Type, r.Index, r.Group, r.Epoch)
	}
	if err != nil {
		return &DamageError{File: f.name, Offset: int64(at.offset), Group: g.id, From: index, LastGood: index - 1, Reason: err.Error()}
	}
	r.log(l)
	return nil
}

// ReadRange shows visit the entries from one index to another, both inclusive, also those
// that Raft deleted and that are still there. visit may keep what it gets, but not change
// its data.
func (g *Group) ReadRange(ctx context.Context, from, to uint64, visit func(*raft.Log) error) error {
	release := g.Pin(from)
	defer release()
	for index := from; index <= to; index++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		l := new(raft.Log)
		if err := g.read(index, l, true); err == raft.ErrLogNotFound {
			g.mu.RLock()
			oldest, last := g.oldest, g.last
			g.mu.RUnlock()
			return fmt.Errorf("raft log: group %d: entry %d: %w: entries %d to %d are there", g.id, index, err, oldest, last)
		} else if err != nil {
			return err
		}
		if err := visit(l); err != nil {
			return err
		}
	}
	return nil
}

// StoreLog stores one entry.
func (g *Group) StoreLog(l *raft.Log) error { return g.StoreLogs([]*raft.Log{l}) }

// StoreLogs stores entries and returns when they are on disk. The log keeps their data:
// the caller must not change it. Entries follow the last one; only an empty log takes
// any index.
func (g *Group) StoreLogs(logs []*raft.Log) error {
	if len(logs) == 0 {
		return nil
	}
	g.writes.Lock()
	defer g.writes.Unlock()
	req, err := g.entries(logs)
	if err != nil {
		return err
	}
	return g.log.do(req)
}

// entries makes a request of entries, if they fit.
func (g *Group) entries(logs []*raft.Log) (*request, error) {
	g.mu.RLock()
	next, empty := g.last+1, g.first > g.last
	g.mu.RUnlock()
	req := requests.Get().(*request)
	req.records = slices.Grow(req.records, len(logs))
	nodes := make([]cached, len(logs))
	for i, l := range logs {
		r := Record{
			Type: TypeEntry, Group: g.id, Kind: l.Type, Index: l.Index, Term: l.Term,
			AppendedAt: nanos(l.AppendedAt), Extensions: l.Extensions, Data: l.Data,
		}
		if l.Index != next && empty && l.Index > 0 {
			r.Flags, next = flagStart, l.Index
		}
		var err error
		if l.Index != next {
			err = fmt.Errorf("raft log: group %d: entry %d: the next one is %d", g.id, l.Index, next)
		} else if r.bytes() > g.log.maxRecord() || l.Index == math.MaxUint64 {
			err = fmt.Errorf("raft log: group %d: entry %d of %d bytes: at most %d fit", g.id, l.Index, len(l.Data), g.log.maxRecord()-recordBytes)
		}
		if err != nil {
			clear(req.records)
			req.records = req.records[:0]
			requests.Put(req)
			return nil, err
		}
		next, empty = next+1, false
		nodes[i] = cached{group: g, log: *l}
		req.records = append(req.records, pending{Record: r, group: g, sum: r.payloadSum(), cached: &nodes[i]})
	}
	return req, nil
}

// DeleteRange deletes entries from the front or from the back, both ends inclusive.
func (g *Group) DeleteRange(low, high uint64) error {
	g.writes.Lock()
	defer g.writes.Unlock()
	r, err := g.deletion(low, high)
	if err != nil || r.Type == 0 {
		return err
	}
	err = g.log.do(g.change(r))
	g.log.nudge()
	return err
}

// deletion is the record of a DeleteRange, without a type if there is nothing to delete.
func (g *Group) deletion(low, high uint64) (Record, error) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	switch {
	case g.first > g.last || high < g.first || low > g.last || low > high:
		return Record{}, nil
	case low <= g.first:
		return Record{Type: TypeCompact, Index: min(high, g.last), Term: g.last}, nil
	case high >= g.last && low <= g.hint:
		return Record{}, fmt.Errorf("raft log: group %d: entries from %d on are to be deleted, but those up to %d are committed", g.id, low, g.hint)
	case high >= g.last:
		return Record{Type: TypeTruncate, Index: low}, nil
	}
	return Record{}, fmt.Errorf("raft log: group %d: entries %d to %d are in the midst of %d to %d: only the front or the back can be deleted", g.id, low, high, g.first, g.last)
}

// change makes a request of a record that is not an entry.
func (g *Group) change(r Record) *request {
	r.Group, r.AppendedAt = g.id, nanos(g.log.opts.Clock())
	req := requests.Get().(*request)
	req.records = append(req.records, pending{Record: r, group: g, sum: r.payloadSum()})
	return req
}

// Set stores a value, and returns when it is on disk.
func (g *Group) Set(key, value []byte) error {
	r := Record{Type: TypeStable, Extensions: slices.Clone(key), Data: slices.Clone(value)}
	if most := g.log.maxRecord(); g.log.headBytes()+r.bytes() > most {
		return fmt.Errorf("raft log: group %d: value of %q with %d bytes: all groups together may have %d", g.id, key, len(value), most)
	}
	return g.log.do(g.change(r))
}

// Get is the value of a key, empty if it was never set.
func (g *Group) Get(key []byte) ([]byte, error) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return slices.Clone(g.stable[string(key)]), nil
}

// SetUint64 stores a number, and returns when it is on disk.
func (g *Group) SetUint64(key []byte, value uint64) error {
	return g.Set(key, binary.LittleEndian.AppendUint64(nil, value))
}

// GetUint64 is the number of a key, 0 if it was never set.
func (g *Group) GetUint64(key []byte) (uint64, error) {
	raw, err := g.Get(key)
	if err != nil || len(raw) == 0 {
		return 0, err
	}
	if len(raw) != 8 {
		return 0, fmt.Errorf("raft log: group %d: value of %q has %d bytes, a number has 8", g.id, key, len(raw))
	}
	return binary.LittleEndian.Uint64(raw), nil
}

// SetDurable says that entries up to index are in segments and state files. Files are used
// again only below it; before the first call none is. It does not go back.
func (g *Group) SetDurable(index uint64) {
	for {
		old := g.durable.Load()
		if index <= old {
			return
		}
		if g.durable.CompareAndSwap(old, index) {
			g.log.nudge()
			return
		}
	}
}

// Pin keeps the entries from an index on until release is called.
func (g *Group) Pin(from uint64) (release func()) {
	pin := &from
	g.mu.Lock()
	g.pins[pin] = struct{}{}
	g.mu.Unlock()
	return func() {
		g.mu.Lock()
		delete(g.pins, pin)
		g.mu.Unlock()
		g.log.nudge()
	}
}

// inFiles is how many entries of refs are in files up to a number. mu is held.
func (g *Group) inFiles(number uint64) uint64 {
	return uint64(sort.Search(len(g.refs), func(i int) bool { return uint64(g.refs[i].file) > number }))
}

// needs says whether a file, or one before it, has an entry that must stay readable.
func (g *Group) needs(number uint64) bool {
	g.mu.RLock()
	defer g.mu.RUnlock()
	from := g.first
	if durable := g.durable.Load(); durable < from {
		from = durable + 1
	}
	for pin := range g.pins {
		from = min(from, *pin)
	}
	return g.oldest+g.inFiles(number) > max(from, g.oldest)
}

// recycled lets go of the entries in files up to a number.
func (g *Group) recycled(number uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := g.inFiles(number)
	g.refs, g.oldest = g.refs[n:], g.oldest+n
}

// forget takes an entry out of the cache.
func (g *Group) forget(index uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.cache) > 0 && g.cache[0].log.Index == index {
		g.cache[0] = nil
		g.cache = g.cache[1:]
	}
}

// state is what the head of a file repeats.
func (g *Group) state(now int64) []Record {
	g.mu.RLock()
	defer g.mu.RUnlock()
	out := []Record{{
		Type: TypeCompact, Flags: flagHead, Group: g.id, Index: g.first - 1, Term: g.last, CommitHint: g.hint, AppendedAt: now,
	}}
	for _, key := range slices.Sorted(maps.Keys(g.stable)) {
		out = append(out, Record{
			Type: TypeStable, Flags: flagHead, Group: g.id, Extensions: []byte(key), Data: g.stable[key], AppendedAt: now,
		})
	}
	return out
}

// apply makes a record that is on disk count. An error says why it does not fit.
func (g *Group) apply(r *Record, file uint64, offset int64, c *cached) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	empty := g.first > g.last
	misfit := func() error {
		return fmt.Errorf("group %d: %v %d does not fit, the group has entries %d to %d", g.id, r.Type, r.Index, g.first, g.last)
	}
	switch r.Type {
	case TypeEntry:
		if r.Flags&flagStart != 0 {
			if !empty {
				return misfit()
			}
			g.drop(0)
			g.first, g.last, g.oldest, g.refs = r.Index, r.Index-1, r.Index, nil
		}
		if r.Index != g.last+1 {
			return misfit()
		}
		if len(g.refs) == 0 {
			g.oldest = r.Index
		}
		g.last, g.lastAt = r.Index, r.AppendedAt
		g.refs = append(g.refs, ref{uint32(file), uint32(offset), uint32(recordBytes + len(r.Extensions) + len(r.Data))})
		if c != nil {
			g.cache = append(g.cache, c)
		}
	case TypeTruncate:
		if r.Index <= g.first || r.Index > g.last {
			return misfit()
		}
		gone := g.last - r.Index + 1
		g.drop(uint64(len(g.cache)) - min(uint64(len(g.cache)), gone))
		g.refs = g.refs[:uint64(len(g.refs))-min(uint64(len(g.refs)), gone)]
		g.last = r.Index - 1
	case TypeCompact:
		switch fresh := g.first == 1 && g.last == 0; {
		case r.Flags&flagReset != 0:
			g.first, g.last, g.hint = r.Index+1, r.Term, 0
			if keep := g.last + 1 - min(g.oldest, g.last+1); keep < uint64(len(g.refs)) {
				g.refs = g.refs[:keep]
			}
			g.drop(0)
		case r.Flags&flagHead != 0 && fresh:
			g.first, g.last, g.oldest = r.Index+1, r.Term, r.Term+1
		case r.Flags&flagHead != 0:
			if r.Index != g.first-1 || r.Term != g.last {
				return misfit()
			}
		case empty || r.Index < g.first || r.Index > g.last:
			return misfit()
		default:
			g.first = r.Index + 1
		}
	case TypeStable:
		g.stable[string(r.Extensions)] = slices.Clone(r.Data)
	default:
		return fmt.Errorf("group %d: record of %v is not known", g.id, r.Type)
	}
	if r.Type == TypeEntry || r.Type == TypeCompact {
		g.hint = max(g.hint, r.CommitHint)
	}
	return nil
}

// drop leaves the first n entries in the cache. mu is held.
func (g *Group) drop(n uint64) {
	for _, c := range g.cache[n:] {
		c.gone = true
	}
	clear(g.cache[n:])
	g.cache = g.cache[:n]
}
