package storage

import (
	"math"
	"sort"
	"sync/atomic"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/prickledb/prickle/storage/memory"
	"github.com/prickledb/prickle/storage/person"
	"github.com/prickledb/prickle/storage/segment"
)

// rules is what decides which rows of a project count and whose they are, beside the masks
// of segments. It is immutable, and two are the same only if they are equal.
type rules struct {
	project uint32
	seed    uint32 // of hashes of distinct ids
	erased  *roaring.Bitmap
	moves   []person.Move
	before  int64 // rows before this time are dead, µs
}

// noBefore is the cutoff of a project that keeps everything.
const noBefore = math.MinInt64

func (p *project) rules() rules {
	identity, _ := p.persons.Publish()
	r := rules{project: p.ID, seed: p.seed(), erased: identity.Erased(), moves: identity.Moves(), before: noBefore}
	if p.Expired != 0 {
		r.before = p.Expired
	}
	return r
}

// Segment is a segment, or an image of the memtable, as a snapshot sees it. What the reader
// says of rows it says of all of them: whoever reads a run index, a day mask, a bitmap, a
// number of rows or a bound of times must ask first whether any row is dead or moved.
type Segment struct {
	*segment.Reader
	id    SegmentID // 0 for an image
	mask  *roaring.Bitmap
	rules rules
	cache *atomic.Pointer[liveness]

	derived *derived
	memory  *memory.Cache // bounds derived
}

// liveness is which rows of a segment are dead or moved under some rules.
type liveness struct {
	mask, erased *roaring.Bitmap
	moves        int
	before       int64

	dead  *roaring.Bitmap   // nil for none
	moved map[uint32]uint32 // nil for none
}

// allAlive is what holds where nothing was ever deleted or split.
var allAlive liveness

// ID names the segment; it is 0 for an image of the memtable.
func (s *Segment) ID() SegmentID { return s.id }

// Dead is the rows that were deleted, by their position in the segment; nil if there are
// none. It is shared: do not modify it.
func (s *Segment) Dead() (*roaring.Bitmap, error) {
	l, err := s.live()
	return l.dead, err
}

// Moved is the ordinals of those rows that do not have the one that the run index says; nil
// if there are none. It is shared: do not modify it.
func (s *Segment) Moved() (map[uint32]uint32, error) {
	l, err := s.live()
	return l.moved, err
}

// Ordinals fills dst with the person ordinals of rows [lo, hi).
func (s *Segment) Ordinals(dst []uint32, lo, hi int) error {
	if err := s.Reader.Ordinals(dst, lo, hi); err != nil {
		return err
	}
	moved, err := s.Moved()
	if len(moved) == 0 || err != nil {
		return err
	}
	for i := range hi - lo {
		if o, ok := moved[uint32(lo+i)]; ok {
			dst[i] = o
		}
	}
	return nil
}

// Bounds is the time of the first and the last row that is not dead. Without such a row the
// first is later than the last.
func (s *Segment) Bounds() (lo, hi int64, err error) {
	dead, err := s.Dead()
	if err != nil || dead == nil && s.Rows() > 0 {
		return s.MinTime(), s.MaxTime(), err
	}
	lo, hi = math.MaxInt64, math.MinInt64
	err = s.eachTime(func(row uint32, t int64) {
		if dead == nil || !dead.Contains(row) {
			lo, hi = min(lo, t), max(hi, t)
		}
	})
	return lo, hi, err
}

func (s *Segment) eachTime(visit func(row uint32, t int64)) error {
	var times [4096]int64
	for lo := 0; lo < s.Rows(); lo += len(times) {
		part := times[:min(len(times), s.Rows()-lo)]
		if err := s.Times(part, lo, lo+len(part)); err != nil {
			return err
		}
		for i, t := range part {
			visit(uint32(lo+i), t)
		}
	}
	return nil
}

// live finds out what Dead and Moved say, unless the answer is known.
func (s *Segment) live() (*liveness, error) {
	r := &s.rules
	if s.mask == nil && r.erased.IsEmpty() && len(r.moves) == 0 && r.before == noBefore {
		return &allAlive, nil
	}
	if c := s.cache.Load(); c != nil && c.mask == s.mask && c.erased == r.erased && c.moves == len(r.moves) && c.before == r.before {
		return c, nil
	}
	l := &liveness{mask: s.mask, erased: r.erased, moves: len(r.moves), before: r.before}
	if err := s.findMoved(l); err != nil {
		return l, err
	}
	if err := s.findDead(l); err != nil {
		return l, err
	}
	s.cache.Store(l)
	return l, nil
}

func (s *Segment) findDead(l *liveness) error {
	dead := roaring.New()
	if !l.erased.IsEmpty() {
		err := s.eachRun(l.erased, func(lo, hi uint32) error {
			dead.AddRange(uint64(lo), uint64(hi))
			return nil
		})
		if err != nil {
			return err
		}
		for row, o := range l.moved {
			if l.erased.Contains(o) {
				dead.Add(row)
			} else {
				dead.Remove(row)
			}
		}
	}
	if s.mask != nil {
		dead.Or(s.mask)
	}
	switch {
	case s.Rows() == 0 || l.before <= s.MinTime():
	case l.before > s.MaxTime():
		dead.AddRange(0, uint64(s.Rows()))
	default:
		err := s.eachTime(func(row uint32, t int64) {
			if t < l.before {
				dead.Add(row)
			}
		})
		if err != nil {
			return err
		}
	}
	if !dead.IsEmpty() {
		l.dead = dead
	}
	return nil
}

// eachRun visits the rows of the runs of a set of ordinals.
func (s *Segment) eachRun(set *roaring.Bitmap, visit func(lo, hi uint32) error) error {
	persons, err := s.PersonBitmap()
	if err != nil || !persons.Intersects(set) {
		return err
	}
	here := roaring.And(persons, set).ToArray()
	for _, rng := range s.Ranges() {
		runs, err := rng.Runs()
		if err != nil {
			return err
		}
		at := 0
		for _, o := range here {
			at += sort.Search(len(runs.Ordinals)-at, func(i int) bool { return runs.Ordinals[at+i] >= o })
			if at == len(runs.Ordinals) {
				break
			}
			if runs.Ordinals[at] != o {
				continue
			}
			if err := visit(runs.Starts[at], runs.Starts[at+1]); err != nil {
				return err
			}
		}
	}
	return nil
}

// findMoved finds the rows of distinct ids that were split off. A move counts for what the
// moves before it made of a row.
func (s *Segment) findMoved(l *liveness) error {
	if len(s.rules.moves) == 0 || s.Rows() == 0 {
		return nil
	}
	persons, err := s.PersonBitmap()
	if err != nil {
		return err
	}
	touched := false
	for _, m := range s.rules.moves {
		touched = touched || m.From.Intersects(persons)
	}
	if !touched {
		return nil
	}
	ids, err := s.DistinctIDs(0, 0)
	if err != nil {
		return err
	}
	codes := map[person.IDHash]uint32{}
	for c := range ids.Dict.Str.Len() {
		codes[person.HashID(s.rules.seed, ids.Dict.Str.At(c))] = uint32(c)
	}
	moved := map[uint32]uint32{}
	idOf := map[uint32]uint32{} // code of the distinct id of a row that was moved
	for _, m := range s.rules.moves {
		code, here := codes[m.ID]
		if !here {
			continue
		}
		for row, o := range moved {
			if idOf[row] == code && m.From.Contains(o) {
				moved[row] = m.To
			}
		}
		err := s.eachRun(m.From, func(lo, hi uint32) error {
			ids, err := s.DistinctIDs(int(lo), int(hi))
			if err != nil {
				return err
			}
			for i, c := range ids.Codes {
				row := lo + uint32(i)
				if _, was := moved[row]; c == code && !was {
					moved[row], idOf[row] = m.To, code
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	if len(moved) > 0 {
		l.moved = moved
	}
	return nil
}

// live is the batches of a project without the rows that were dead when the table was
// sealed. Where rows were moved, all are written: the first merge tells them apart.
func (m *memtable) live(project uint32) []*memBatch {
	r, ok := m.rules[project]
	if !ok || len(r.moves) > 0 || r.erased.IsEmpty() && r.before == noBefore {
		return m.batches[project]
	}
	var out []*memBatch
	for _, b := range m.batches[project] {
		part := &memBatch{batch: b.batch, ordinals: b.ordinals, rows: []uint32{}}
		b.each(func(row uint32) {
			if !r.erased.Contains(b.ordinals[row]) && b.batch.Time[row] >= r.before {
				part.rows = append(part.rows, row)
			}
		})
		out = append(out, part)
	}
	return out
}
