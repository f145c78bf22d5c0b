package storage

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/google/uuid"

	"github.com/prickledb/prickle/storage/encoding"
	"github.com/prickledb/prickle/storage/person"
	"github.com/prickledb/prickle/storage/vec"
	"github.com/prickledb/prickle/storage/wire"
)

// Rows are deleted in three ways: by a condition, which gives the segment a mask; with
// their person, whose ordinals are erased; and by age, when they are older than what the
// project keeps. All three hide rows at once, in every segment and image, and the next
// merge of the segment leaves them out.

var (
	// ErrConflict is returned for rows of a segment that is not there any more: it was
	// merged since. Nothing was deleted; the condition must be evaluated again.
	ErrConflict = errors.New("a segment was merged since the condition was evaluated")
	// ErrNoPerson is returned for a person that does not exist, or not any more.
	ErrNoPerson = errors.New("no such person")
)

// PersonDelete deletes persons.
type PersonDelete struct {
	Persons []vec.UUIDValue `json:"persons"`
	// Events says that their events and distinct ids go too. Otherwise only the profile
	// does.
	Events bool `json:"events,omitempty"`
}

// PersonSplit makes distinct ids of a person persons of their own.
type PersonSplit struct {
	Person      vec.UUIDValue `json:"person"`
	DistinctIDs []string      `json:"distinct_ids"`
	// Forget says that the person that stays loses its properties.
	Forget bool `json:"forget,omitempty"`
}

// Expiry deletes the events of a project before a time.
type Expiry struct {
	Before int64 `json:"before"` // µs since 1970 UTC, the start of a UTC day
}

// Erasure is a person that was deleted with its events, as it is kept for proof.
type Erasure struct {
	Project uint32 `json:"project"`
	Person  string `json:"person"` // uuid
	// DistinctIDs are SHA-256 of "<project>:<distinct id>", hex.
	DistinctIDs []string `json:"distinct_ids"`
	Index       uint64   `json:"index"` // of the entry
	At          int64    `json:"at"`    // µs since 1970 UTC, when it was asked for
	// Done is when no file had anything of the person any more; 0 means not yet.
	Done int64 `json:"done,omitempty"`
}

// AppendRowDelete adds the wire form of rows by segment to dst:
//
//	uvarint segments; of each, ascending: uvarint id, uvarint size, roaring bitmap
func AppendRowDelete(dst []byte, rows map[SegmentID]*roaring.Bitmap) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(rows)))
	for _, id := range slices.Sorted(maps.Keys(rows)) {
		dst = appendMask(dst, uint64(id), rows[id])
	}
	return dst
}

func appendMask(dst []byte, id uint64, rows *roaring.Bitmap) []byte {
	return appendBitmap(binary.AppendUvarint(dst, id), rows)
}

// appendBitmap adds the size and the bytes of a bitmap to dst.
func appendBitmap(dst []byte, rows *roaring.Bitmap) []byte {
	raw, err := rows.ToBytes()
	if err != nil {
		panic(err) // writing to memory
	}
	dst = binary.AppendUvarint(dst, uint64(len(raw)))
	return append(dst, raw...)
}

// DecodeRowDelete reads what AppendRowDelete wrote.
func DecodeRowDelete(src []byte) (map[SegmentID]*roaring.Bitmap, error) {
	out := map[SegmentID]*roaring.Bitmap{}
	r := wire.Reader{Src: src}
	decodeMasks(&r, func(id uint64, rows *roaring.Bitmap) { out[SegmentID(id)] = rows })
	if err := r.End(); err != nil {
		return nil, fmt.Errorf("deleted rows: %w", err)
	}
	return out, nil
}

func decodeMasks(r *wire.Reader, each func(uint64, *roaring.Bitmap)) {
	for n := r.Uvarint(); n > 0; n-- {
		id := r.Uvarint()
		raw := r.Take(r.Count("bytes of a mask", len(r.Src)))
		if r.Err != nil {
			return
		}
		rows, err := encoding.Bitmap(raw)
		if err != nil {
			r.Fail("segment %d: %w", id, err)
			return
		}
		each(id, rows)
	}
}

// enter is the start of applying an entry of a project. p is nil if the index is covered, and
// with an error. The caller holds mu.
func (s *Store) enter(index uint64, at int64, id uint32) (p *project, err error) {
	if ok, err := s.begin(index, at); !ok || err != nil {
		return nil, err
	}
	if p = s.projects[id]; p == nil {
		return nil, fmt.Errorf("project %d: %w", id, ErrNoProject)
	}
	p.touched = index
	return p, nil
}

// ApplyDelete deletes rows of segments, all or none, and says how many of them still
// counted as rows of their segment. It returns ErrConflict if a segment is gone.
func (s *Store) ApplyDelete(index uint64, at int64, id uint32, rows map[SegmentID]*roaring.Bitmap) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, err := s.enter(index, at, id)
	if p == nil {
		return 0, err
	}
	for k := range rows {
		if err := s.awaitSegment(k); err != nil {
			return 0, err
		}
		if f := s.segments[uint64(k)]; f == nil || f.table != nil || f.Project != id {
			return 0, fmt.Errorf("segment %d: %w", k, ErrConflict)
		}
	}
	// A merge under way would bring the rows back.
	s.cancelMerges(func(m *pendingMerge) bool {
		return slices.ContainsFunc(m.plan.Inputs, func(in SegmentID) bool { return rows[in] != nil })
	})
	deleted := 0
	for k, set := range rows {
		f := s.segments[uint64(k)]
		mask := set.Clone()
		mask.RemoveRange(uint64(f.Rows), 1<<32)
		before := uint64(0)
		if f.mask != nil {
			before = f.mask.GetCardinality()
			mask.Or(f.mask)
		}
		deleted += int(mask.GetCardinality() - before)
		f.mask = mask
		s.masked[f.ID] = true
	}
	s.effect(uint64(id), uint64(deleted))
	return deleted, nil
}

// ApplyPersonDelete deletes persons, and says how many of them there were.
func (s *Store) ApplyPersonDelete(index uint64, at int64, id uint32, d PersonDelete) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, err := s.enter(index, at, id)
	if p == nil {
		return 0, err
	}
	found := p.persons.Find(d.Persons)
	var roots []uint32
	for _, o := range found {
		if d.Events || p.persons.HasProfile(o) {
			roots = append(roots, o)
		}
	}
	slices.Sort(roots)
	s.effect(uint64(id), uint64(len(roots)))
	if !d.Events {
		for _, o := range roots {
			p.persons.Forget(o)
		}
		return len(roots), nil
	}
	for i, ids := range p.persons.Erase(roots) {
		e := Erasure{Project: id, Person: uuid.UUID(p.persons.UUID(roots[i])).String(), DistinctIDs: []string{}, Index: index, At: at}
		for _, d := range ids {
			h := person.HashID(p.seed(), []byte(d))
			e.DistinctIDs = append(e.DistinctIDs, hex.EncodeToString(h[:]))
		}
		s.freshErasures = append(s.freshErasures, len(s.erasures.list))
		s.erasures.add(e)
	}
	return len(roots), nil
}

// ApplyExpire deletes the events before a time, those that arrive later included. It never
// brings any back.
func (s *Store) ApplyExpire(index uint64, at int64, id uint32, e Expiry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, err := s.enter(index, at, id)
	if p == nil {
		return err
	}
	s.effect(uint64(id), uint64(e.Before))
	if e.Before > p.Expired {
		p.Expired = e.Before
		p.changed = true
	}
	return nil
}

// ApplySplit makes distinct ids of a person persons of their own, all of them or none.
func (s *Store) ApplySplit(index uint64, at int64, id uint32, split PersonSplit) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, err := s.enter(index, at, id)
	if p == nil {
		return err
	}
	root, ok := p.persons.Find([]vec.UUIDValue{split.Person})[split.Person]
	if !ok {
		return fmt.Errorf("person %s: %w", uuid.UUID(split.Person), ErrNoPerson)
	}
	s.effect(uint64(id), uint64(len(split.DistinctIDs)))
	return p.persons.Split(root, split.DistinctIDs, split.Forget, at)
}

// ApplyUpdate changes properties of persons, and says how many of them there are.
func (s *Store) ApplyUpdate(index uint64, at int64, id uint32, updates []person.Update) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, err := s.enter(index, at, id)
	if p == nil {
		return 0, err
	}
	wanted := make([]vec.UUIDValue, len(updates))
	for i := range updates {
		wanted[i] = updates[i].Person
	}
	found, n := p.persons.Find(wanted), 0
	for i := range updates {
		if o, ok := found[updates[i].Person]; ok && p.persons.HasProfile(o) {
			p.persons.Update(o, &updates[i])
			n++
		}
	}
	s.effect(uint64(id), uint64(n))
	return n, nil
}

// ApplyErased notes that the erasures up to a log index are complete.
func (s *Store) ApplyErased(index uint64, at int64, upTo uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ok, err := s.begin(index, at); !ok || err != nil {
		return err
	}
	s.effect(upTo)
	for i := range s.erasures.list {
		if e := &s.erasures.list[i]; e.Done == 0 && e.Index <= upTo {
			e.Done = at
			s.freshErasures = append(s.freshErasures, i)
		}
	}
	return nil
}

// Erasures is the erasures there were, in the order of the log. With pending, it is those
// that are not complete.
func (s *Store) Erasures(pending bool) []Erasure {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Erasure
	for _, e := range s.erasures.list {
		if !pending || e.Done == 0 {
			out = append(out, e)
		}
	}
	return out
}

// erasures is a list in the order of the log.
type erasures struct {
	list []Erasure
	at   map[erasureKey]int // position in list
}

// erasureKey is what tells erasures apart.
type erasureKey struct {
	index   uint64
	project uint32
	person  string
}

// add appends an erasure, or replaces what it was before.
func (l *erasures) add(e Erasure) {
	key := erasureKey{e.Index, e.Project, e.Person}
	if i, known := l.at[key]; known {
		l.list[i] = e
		return
	}
	if l.at == nil {
		l.at = map[erasureKey]int{}
	}
	l.at[key] = len(l.list)
	l.list = append(l.list, e)
}

// dropErasures forgets the erasures of a project, which is gone with all its files.
func (s *Store) dropErasures(project uint32) {
	var kept erasures
	var fresh []int
	for i, e := range s.erasures.list {
		if e.Project == project {
			continue
		}
		if slices.Contains(s.freshErasures, i) {
			fresh = append(fresh, len(kept.list))
		}
		kept.add(e)
	}
	s.erasures, s.freshErasures = kept, fresh
}

// appendDeletes adds masks and erasures to a state: what changed, or with full all. The
// caller holds mu.
func (s *Store) appendDeletes(dst []byte, full bool) []byte {
	masks := map[SegmentID]*roaring.Bitmap{}
	for id, f := range s.segments {
		if f.mask != nil && (full || s.masked[id]) {
			masks[SegmentID(id)] = f.mask
		}
	}
	var changed []Erasure
	if full {
		changed = s.erasures.list
	} else {
		slices.Sort(s.freshErasures)
		for _, i := range slices.Compact(s.freshErasures) {
			changed = append(changed, s.erasures.list[i])
		}
	}
	clear(s.masked)
	s.freshErasures = nil
	list, err := json.Marshal(changed)
	if err != nil {
		panic(err) // strings and numbers always have a JSON form
	}
	dst = AppendRowDelete(dst, masks)
	dst = binary.AppendUvarint(dst, uint64(len(list)))
	return append(dst, list...)
}
