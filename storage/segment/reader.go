package segment

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/prickledb/prickle/storage/encoding"
	"github.com/prickledb/prickle/storage/memory"
	"github.com/prickledb/prickle/storage/vec"
	"github.com/prickledb/prickle/storage/vfs"
)

// Reader is an open segment. It may be used by many goroutines. Dictionaries, run
// indexes and bitmaps are decoded when they are asked for, and kept until the reader goes
// or its cache has no room for them; whoever gets one must not write to it. Nothing it
// hands out refers to the file.
type Reader struct {
	*parts
	tally  *memory.Tally // counts what is looked up; nil: nobody does
	ranges []*Range
	groups []*group
}

// parts is what is known of a segment, for all who read it.
type parts struct {
	name string
	file vfs.File // nil for an image
	data []byte   // once the file is whole
	size int64
	dir  *directory

	partial vfs.Partial // nil for a file that was whole when it was opened
	filled  atomic.Bool
	filling sync.Mutex

	cached atomic.Int64
	cache  *memory.Cache // bounds what is decoded; nil: nothing does

	columns                             [fixedCount]lazy[encoding.Column]
	uuidsOK                             []atomic.Uint32
	uuidsHeadOK                         atomic.Bool
	persons                             lazy[Runs]
	masks                               lazy[[]uint32]
	bitmap                              lazy[roaring.Bitmap]
	ids                                 lazy[vec.Vector]
	sessions                            lazy[vec.Vector]
	created, firstTimes                 lazy[[]int64]
	times                               []lazy[[]int64] // by block
	order                               lazy[Order]
	sessionViews                        views
	idFirst, sessionFirst, createdFirst lazy[[]uint32]
}

// Open opens a segment file. It reads the footer; the rest is read when asked for. Of a file
// that is a vfs.Partial the footer must be here, and the rest comes when something of it is
// asked for.
func Open(fs vfs.FS, name string) (*Reader, error) {
	f, err := fs.Open(name)
	if err != nil {
		return nil, fmt.Errorf("segment %s: %w", name, err)
	}
	data, err := f.Map()
	if err == nil {
		r := &Reader{parts: &parts{name: name, file: f, data: data, size: int64(len(data))}}
		r.partial, _ = f.(vfs.Partial)
		if err = r.located(guard(r.open)); err == nil {
			return r, nil
		}
	}
	f.Close() // nothing was written
	var known *CorruptError
	if errors.As(err, &known) {
		return nil, err
	}
	return nil, fmt.Errorf("segment %s: %w", name, err)
}

// OpenBytes opens a segment in memory. The image must not be written to again.
func OpenBytes(image []byte) (*Reader, error) {
	r := &Reader{parts: &parts{data: image, size: int64(len(image))}}
	if err := r.open(); err != nil {
		return nil, err
	}
	return r, nil
}

// open reads the directory. The reader has its data already.
func (r *Reader) open() error {
	dir, err := readDirectory(r.data)
	if err != nil {
		var known *CorruptError
		if errors.As(err, &known) {
			known.File = r.name
			return known
		}
		return &CorruptError{File: r.name, Section: "file", Err: err}
	}
	r.dir = dir
	r.uuidsOK = make([]atomic.Uint32, (dir.rows/encoding.BlockRows+32)/32)
	r.times = make([]lazy[[]int64], (dir.rows+encoding.BlockRows-1)/encoding.BlockRows)
	r.groups = make([]*group, len(dir.groups))
	for i := range dir.groups {
		r.groups[i] = newGroup(r, i)
	}
	r.ranges = make([]*Range, len(dir.ranges))
	spaces, indexes := make([]Range, len(dir.ranges)), make([]rangeParts, len(dir.ranges))
	filled := make([]int, len(dir.groups))
	row := 0
	for i := range dir.ranges {
		e := &dir.ranges[i]
		spaces[i] = Range{Event: e.name, rangeParts: &indexes[i], entry: e,
			Stretch: Stretch{Lo: row, Hi: row + e.rows, r: r, group: r.groups[e.group], at: filled[e.group], carried: e.carried}}
		r.ranges[i] = &spaces[i]
		row += e.rows
		filled[e.group] += e.rows
	}
	return nil
}

// Rows is how many events the segment holds.
func (r *Reader) Rows() int { return r.dir.rows }

// FirstDay is the first day that the segment may hold, in days since 1970 UTC.
func (r *Reader) FirstDay() int32 { return r.dir.firstDay }

// Days is how many days it may hold.
func (r *Reader) Days() int { return r.dir.days }

// MinTime is the time of the earliest event, in µs since 1970 UTC; 0 without rows.
func (r *Reader) MinTime() int64 { return r.dir.minTime }

// MaxTime is the time of the latest event, in µs since 1970 UTC; 0 without rows.
func (r *Reader) MaxTime() int64 { return r.dir.maxTime }

// Size is the bytes of the file or image.
func (r *Reader) Size() int64 { return r.size }

// Share makes the reader keep what it decodes in a cache, beside other readers. It comes
// before any other call.
func (r *Reader) Share(c *memory.Cache) { r.cache = c }

// Counted is the reader for somebody who counts what is looked up. What either decodes, both have;
// it is good as long as r.
func (r *Reader) Counted(t *memory.Tally) *Reader {
	out := &Reader{parts: r.parts, tally: t, groups: make([]*group, len(r.groups)), ranges: make([]*Range, len(r.ranges))}
	groups := make(map[*group]*group, len(r.groups))
	for i, g := range r.groups {
		out.groups[i] = g.of(out)
		groups[g] = out.groups[i]
	}
	for i, g := range r.ranges {
		counted := *g
		counted.r, counted.group = out, groups[g.group]
		out.ranges[i] = &counted
	}
	return out
}

// Owner is who owns in the cache what is decoded.
func (r *Reader) Owner() any { return r.parts }

// CachedBytes is about how much memory decoded parts take.
func (r *Reader) CachedBytes() int64 { return r.cached.Load() }

// Close lets go of the file. No other call may run or follow.
func (r *Reader) Close() error {
	r.cache.Forget(r.Owner())
	if r.file == nil {
		return nil
	}
	return r.file.Close()
}

// Ranges are the rows of each event name, ascending by the bytes of the name.
func (r *Reader) Ranges() []*Range { return r.ranges }

// Range is the rows of an event name, or nil.
func (r *Reader) Range(event string) *Range {
	i, found := slices.BinarySearchFunc(r.ranges, event, func(g *Range, name string) int {
		return compareStrings(g.Event, name)
	})
	if !found {
		return nil
	}
	return r.ranges[i]
}

func compareStrings(a, b string) int {
	if a < b {
		return -1
	}
	if a > b {
		return 1
	}
	return 0
}

func (r *Reader) bytes(s section) []byte { return r.data[s.off : s.off+s.size : s.off+s.size] }

// openColumn opens a column section.
func (r *Reader) openColumn(name string, s section, count int) (*encoding.Column, error) {
	var c *encoding.Column
	err := r.touch(func() (err error) {
		c, err = encoding.OpenColumn(r.bytes(s), count)
		return err
	})
	if err != nil {
		return nil, r.corrupt(name, s, err)
	}
	return c, nil
}

// fixedCount is how many values a fixed section holds.
func (r *Reader) fixedCount(sec int) int {
	d := r.dir
	switch sec {
	case secPersons, secMasks, secIDFirst, secSessionFirst:
		return d.persons
	case secOrderFirst:
		return d.persons + 1
	case secCreatedFirst:
		return d.days * quartersOfDay
	case secCreated:
		return d.created
	case secIDs:
		return d.ids
	case secSessions, secSessionOrdinal, secSessionStart, secSessionEnd, secSessionCount:
		return d.sessions
	}
	return d.rows
}

func (r *Reader) fixed(sec int) (*encoding.Column, error) {
	return r.columns[sec].get(r, func() (*encoding.Column, error) {
		return r.openColumn(fixedNames[sec], r.dir.fixed[sec], r.fixedCount(sec))
	})
}

// read fills dst with a fixed column's values from position lo on.
func (r *Reader) read(sec int, dst []uint32, lo int) error {
	c, err := r.fixed(sec)
	if err != nil {
		return err
	}
	if err := r.touch(func() error { return c.Read(dst, lo) }); err != nil {
		return r.corrupt(fixedNames[sec], r.dir.fixed[sec], err)
	}
	return nil
}

// whole reads and keeps all of a column section.
func (r *Reader) whole(name string, s section, count int) (*[]uint32, error) {
	c, err := r.openColumn(name, s, count)
	if err != nil {
		return nil, err
	}
	out := make([]uint32, count)
	if err := r.touch(func() error { return c.Read(out, 0) }); err != nil {
		return nil, r.corrupt(name, s, err)
	}
	return &out, nil
}

// bad is a section whose contents contradict the rest of the file.
func (r *Reader) bad(name string, s section, format string, args ...any) error {
	return r.corrupt(name, s, fmt.Errorf(format, args...))
}

func (r *Reader) rows(lo, hi, room int) error {
	if lo < 0 || hi < lo || hi > r.dir.rows || room < hi-lo {
		return fmt.Errorf("rows %d to %d into %d places of a segment of %d rows", lo, hi, room, r.dir.rows)
	}
	return nil
}

// TimeCodes fills dst with the quarter-hours since FirstDay, 00:00 UTC, of rows [lo, hi).
func (r *Reader) TimeCodes(dst []uint32, lo, hi int) error {
	if err := r.rows(lo, hi, len(dst)); err != nil {
		return err
	}
	return r.read(secQuarter, dst[:hi-lo], lo)
}

// CountTimeCodes adds how many of the rows [lo, hi) have each time code to counts, which has a
// place for every quarter-hour of Days.
func (r *Reader) CountTimeCodes(counts []uint32, lo, hi int) error {
	if err := r.rows(lo, hi, hi-lo); err != nil {
		return err
	}
	c, err := r.fixed(secQuarter)
	if err != nil {
		return err
	}
	if err := r.touch(func() error { return c.Count(counts, lo, hi) }); err != nil {
		return r.corrupt(fixedNames[secQuarter], r.dir.fixed[secQuarter], err)
	}
	return nil
}

// Times fills dst with the times of rows [lo, hi), in µs since 1970 UTC.
func (r *Reader) Times(dst []int64, lo, hi int) error {
	if err := r.rows(lo, hi, len(dst)); err != nil {
		return err
	}
	quarters, offsets := encoding.GetScratch(), encoding.GetScratch()
	defer quarters.Put()
	defer offsets.Put()
	start, unit := int64(r.dir.firstDay)*dayMicros, r.dir.unit
	for lo < hi {
		// A block at a time, since one of runs is decoded from its start.
		n := min(encoding.BlockRows-lo%encoding.BlockRows, hi-lo)
		quarter, offset := quarters[:n], offsets[:n]
		if err := r.read(secQuarter, quarter, lo); err != nil {
			return err
		}
		if err := r.read(secOffset, offset, lo); err != nil {
			return err
		}
		out := dst[:n]
		for i, q := range quarter {
			out[i] = start + int64(q)*quarterMicros + int64(offset[i])*unit
		}
		dst = dst[n:]
		lo += n
	}
	return nil
}

// KeepsTimes says whether there is room to keep the times of so many rows, and as much beside.
func (r *Reader) KeepsTimes(rows int64) bool {
	size := r.cache.Size()
	return size == 0 || 8*rows <= size/2
}

// KeptTimes is the times of the rows that lie in a block with a row, from that row on to the end
// of the block. They are decoded once and kept for whoever asks next.
func (r *Reader) KeptTimes(row int) ([]int64, error) {
	if err := r.rows(row, row+1, 1); err != nil {
		return nil, err
	}
	b := row / encoding.BlockRows
	times, err := r.times[b].get(r, func() (*[]int64, error) {
		lo := b * encoding.BlockRows
		out := make([]int64, min(encoding.BlockRows, r.dir.rows-lo))
		return &out, r.Times(out, lo, lo+len(out))
	})
	if err != nil {
		return nil, err
	}
	return (*times)[row-b*encoding.BlockRows:], nil
}

// Ordinals fills dst with the person ordinals of rows [lo, hi).
func (r *Reader) Ordinals(dst []uint32, lo, hi int) error {
	if err := r.rows(lo, hi, len(dst)); err != nil {
		return err
	}
	return r.eachRange(lo, hi, func(g *Range, lo, hi, at int) error {
		runs, err := g.Runs()
		if err != nil {
			return err
		}
		spread(dst[at:at+hi-lo], runs.Starts, runs.Ordinals, lo)
		return nil
	})
}

// eachRange calls visit for the part of each range that lies in rows [lo, hi); at is how
// many rows were before it.
func (r *Reader) eachRange(lo, hi int, visit func(g *Range, lo, hi, at int) error) error {
	i, _ := slices.BinarySearchFunc(r.ranges, lo, func(g *Range, row int) int { return g.Hi - 1 - row })
	for at := 0; lo < hi; i++ {
		g := r.ranges[i]
		end := min(hi, g.Hi)
		if err := visit(g, lo, end, at); err != nil {
			return err
		}
		at += end - lo
		lo = end
	}
	return nil
}

// spread gives each row from lo on the value of its run.
func spread(dst, starts, values []uint32, lo int) {
	i, found := slices.BinarySearch(starts, uint32(lo))
	if !found {
		i--
	}
	for len(dst) > 0 {
		n := min(int(starts[i+1])-lo, len(dst))
		v := values[i]
		for j := range dst[:n] {
			dst[j] = v
		}
		dst = dst[n:]
		lo += n
		i++
	}
}

// DistinctIDs are the distinct ids of rows [lo, hi), as codes into a dictionary that all
// calls share. It is ordered by the least ordinal of an id, not by text.
func (r *Reader) DistinctIDs(lo, hi int) (*vec.Vector, error) {
	if err := r.rows(lo, hi, hi-lo); err != nil {
		return nil, err
	}
	dict, err := r.idDict()
	if err != nil {
		return nil, err
	}
	codes := make([]uint32, hi-lo)
	if err := r.idCodes(codes, lo); err != nil {
		return nil, err
	}
	return &vec.Vector{Type: vec.T(vec.Text), Form: vec.Dict, Codes: codes, Dict: dict}, nil
}

func (r *Reader) idDict() (*vec.Vector, error) {
	return r.ids.get(r, func() (*vec.Vector, error) { return r.texts(secIDs) })
}

// texts reads and keeps a fixed section of text.
func (r *Reader) texts(sec int) (*vec.Vector, error) {
	s := r.dir.fixed[sec]
	var values vec.Strings
	err := r.touch(func() (err error) {
		values, err = openStrings(r.bytes(s), r.fixedCount(sec))
		return err
	})
	if err != nil {
		return nil, r.corrupt(fixedNames[sec], s, err)
	}
	return &vec.Vector{Type: vec.T(vec.Text), Str: values}, nil
}

func (r *Reader) idCodes(dst []uint32, lo int) error {
	if err := r.read(secIDRow, dst, lo); err != nil {
		return err
	}
	var most uint32
	err := r.addFirsts(dst, lo, (*Range).idFirsts, func(codes []uint32, first uint32) {
		for i := range codes {
			codes[i] += first - relative
			most = max(most, codes[i])
		}
	})
	if err == nil && len(dst) > 0 && int(most) >= r.dir.ids {
		err = r.bad(fixedNames[secIDRow], r.dir.fixed[secIDRow], "code %d of %d distinct ids", most, r.dir.ids)
	}
	return err
}

// addFirsts calls add for the codes of each run of rows from lo on, with the first code of
// its person.
func (r *Reader) addFirsts(dst []uint32, lo int, firstsOf func(*Range) (*[]uint32, error), add func(codes []uint32, first uint32)) error {
	return r.eachRange(lo, lo+len(dst), func(g *Range, lo, hi, at int) error {
		firsts, err := firstsOf(g)
		if err != nil {
			return err
		}
		runs, err := g.Runs()
		if err != nil {
			return err
		}
		addFirsts(dst[at:at+hi-lo], runs.Starts, *firsts, lo, add)
		return nil
	})
}

// addFirsts calls add for the codes of each run, with the first code of its person.
func addFirsts(codes, starts, firsts []uint32, lo int, add func(codes []uint32, first uint32)) {
	i, found := slices.BinarySearch(starts, uint32(lo))
	if !found {
		i--
	}
	for len(codes) > 0 {
		n := min(int(starts[i+1])-lo, len(codes))
		add(codes[:n], firsts[i])
		codes = codes[n:]
		lo += n
		i++
	}
}

// HasSessions says whether session ids are kept as a table of the segment.
func (r *Reader) HasSessions() bool { return r.dir.sessions > 0 }

// sessionCodes fills dst with the sessions of rows from lo on: 0 for none, otherwise one
// more than the position in the sessions table.
func (r *Reader) sessionCodes(dst []uint32, lo int) error {
	if err := r.read(secSessionRow, dst, lo); err != nil {
		return err
	}
	var most uint32
	err := r.addFirsts(dst, lo, (*Range).sessionFirsts, func(codes []uint32, first uint32) {
		for i, c := range codes {
			if c != 0 {
				codes[i] = c + first - relative
				most = max(most, codes[i])
			}
		}
	})
	if err == nil && int(most) > r.dir.sessions {
		err = r.bad(fixedNames[secSessionRow], r.dir.fixed[secSessionRow], "code %d of %d sessions", most, r.dir.sessions)
	}
	return err
}

func (r *Reader) sessionDict() (*vec.Vector, error) {
	return r.sessions.get(r, func() (*vec.Vector, error) { return r.sessionIDs() })
}

// SessionCount is how many sessions the table has.
func (r *Reader) SessionCount() int { return r.dir.sessions }

// SessionIDs is the ids of the sessions table: values without a double.
func (r *Reader) SessionIDs() (*vec.Vector, error) {
	if !r.HasSessions() {
		return &vec.Vector{Type: vec.T(vec.Text)}, nil
	}
	return r.sessionDict()
}

// Sessions is the sessions of the segment, by least ordinal and start. A session that
// goes on in another segment is in both.
type Sessions struct {
	IDs        *vec.Vector // text; shared
	Ordinals   []uint32
	Start, End []int64 // µs since 1970 UTC, of the first and the last event
	Count      []uint32
}

// Sessions reads the sessions table. It is not kept.
func (r *Reader) Sessions() (*Sessions, error) {
	n := r.dir.sessions
	out := &Sessions{IDs: &vec.Vector{Type: vec.T(vec.Text)}}
	if n == 0 {
		return out, nil
	}
	var err error
	if out.IDs, err = r.sessionDict(); err != nil {
		return nil, err
	}
	out.Ordinals, out.Count = make([]uint32, n), make([]uint32, n)
	if err := r.read(secSessionOrdinal, out.Ordinals, 0); err != nil {
		return nil, err
	}
	if err := r.read(secSessionCount, out.Count, 0); err != nil {
		return nil, err
	}
	if out.Start, err = r.wide(secSessionStart); err != nil {
		return nil, err
	}
	if out.End, err = r.wide(secSessionEnd); err != nil {
		return nil, err
	}
	for i := range n {
		out.Start[i] = int64(r.dir.firstDay)*dayMicros + out.Start[i]*r.dir.unit
		out.End[i] = out.Start[i] + out.End[i]*r.dir.unit
	}
	return out, nil
}

// wide reads a fixed section of 64-bit numbers.
func (r *Reader) wide(sec int) ([]int64, error) {
	s := r.dir.fixed[sec]
	out := make([]int64, r.fixedCount(sec))
	err := r.touch(func() error {
		w, err := encoding.OpenWide(r.bytes(s), len(out))
		if err != nil {
			return err
		}
		return w.Read(out, 0)
	})
	if err != nil {
		return nil, r.corrupt(fixedNames[sec], s, err)
	}
	return out, nil
}

// CreatedAt fills dst with when the server received rows [lo, hi), in µs since 1970 UTC.
func (r *Reader) CreatedAt(dst []int64, lo, hi int) error {
	if err := r.rows(lo, hi, len(dst)); err != nil {
		return err
	}
	values, err := r.createdValues()
	if err != nil {
		return err
	}
	codes := make([]uint32, hi-lo)
	if err := r.createdCodes(codes, lo); err != nil {
		return err
	}
	for i, c := range codes {
		dst[i] = values[c]
	}
	return nil
}

func (r *Reader) createdValues() ([]int64, error) {
	v, err := r.created.get(r, func() (*[]int64, error) {
		v, err := r.wide(secCreated)
		return &v, err
	})
	if err != nil {
		return nil, err
	}
	return *v, nil
}

func (r *Reader) createdCodes(dst []uint32, lo int) error {
	first, err := r.createdFirst.get(r, func() (*[]uint32, error) {
		return r.whole(fixedNames[secCreatedFirst], r.dir.fixed[secCreatedFirst], r.fixedCount(secCreatedFirst))
	})
	if err != nil {
		return err
	}
	if err := r.read(secCreatedRow, dst, lo); err != nil {
		return err
	}
	quarters := encoding.GetScratch()
	defer quarters.Put()
	for len(dst) > 0 {
		n := min(encoding.BlockRows-lo%encoding.BlockRows, len(dst))
		part, quarter := dst[:n], quarters[:n]
		if err := r.read(secQuarter, quarter, lo); err != nil {
			return err
		}
		for i, q := range quarter {
			if int(q) >= len(*first) {
				return r.bad(fixedNames[secQuarter], r.dir.fixed[secQuarter], "quarter-hour %d of %d days", q, r.dir.days)
			}
			part[i] += (*first)[q]
			if int(part[i]) >= r.dir.created {
				return r.bad(fixedNames[secCreatedRow], r.dir.fixed[secCreatedRow], "code %d of %d times", part[i], r.dir.created)
			}
		}
		dst = dst[n:]
		lo += n
	}
	return nil
}
