package segment

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/prickledb/prickle/storage/encoding"
	"github.com/prickledb/prickle/storage/event"
	"github.com/prickledb/prickle/storage/vec"
)

const (
	dayMicros     = 86400 * 1e6
	quarterMicros = 900 * 1e6
	quartersOfDay = 96

	// maxRows keeps row numbers, and one more, within 32 bits.
	maxRows = 1<<31 - 1
	// ownGroupRows is how many rows give an event property columns of its own. Fewer
	// are not worth their heads.
	ownGroupRows = 4096
	// An event that carries wideColumns properties or more has columns of its own only if these
	// have wideValues values each, on average: a head and the dictionary take about as much as
	// a hundred values, and would be there for each event again.
	wideColumns = 256
	wideValues  = 128
	// maskRows is how many rows a person must have on average for day masks to be stored
	// rather than computed from the rows' time codes.
	maskRows = 4
	// bitmapLeast is how many persons of a day are worth a stored bitmap: fewer are
	// gathered from the day masks in microseconds.
	bitmapLeast = 1024

	sessionKey = "$session_id"
	relative   = 1 << 31 // what differences to a person's first code are shifted by
	dropped    = ^uint32(0)
)

// Input is a batch and which person each of its rows belongs to.
type Input struct {
	Batch    *event.Batch
	Ordinals []uint32 // one a row of Batch
	Rows     []uint32 // the rows to keep, ascending; nil keeps all
}

// Options says what a segment is built for.
type Options struct {
	Image bool // in memory only: nothing is compressed or indexed that is quicker computed
}

// Build makes a segment of the rows that lie in the days from firstDay (since 1970, UTC)
// on, at most MaxDays. The bytes are a function of these rows alone: neither their order
// nor how they are spread over batches matters, as long as no two have the same uuid.
func Build(in []Input, firstDay int32, days int, opt Options) ([]byte, error) {
	if days < 1 || days > MaxDays {
		return nil, fmt.Errorf("a segment of %d days, 1 to %d are possible", days, MaxDays)
	}
	start := int64(firstDay) * dayMicros
	sources := make([]source, 0, len(in))
	for i := range in {
		s, err := batchSource(&in[i], start, start+int64(days)*dayMicros)
		if err != nil {
			return nil, fmt.Errorf("batch %d: %w", i, err)
		}
		if s.rows > 0 {
			sources = append(sources, s)
		}
	}
	return build(sources, firstDay, days, opt)
}

// source is rows to build from, in any order.
type source struct {
	rows     int
	time     []int64
	ordinals []uint32
	uuids    []vec.UUIDValue
	dead     *roaring.Bitmap // rows that are left out; nil for none
	names    piece
	ids      piece
	created  piece
	props    []prop
}

// prop is a property of a source, in one or more pieces.
type prop struct {
	key    string
	pieces []piece
}

// piece is a column of codes for some rows of a source.
type piece struct {
	lo int // first row
	// add brings the values into u and returns their ids there, by code.
	add func(u *unifier) (ids []uint32, err error)
	// codes are positions in ids, or with nullable one more and 0 for nothing. They are
	// in memory of buf, or in new memory; those that are lent are the source's.
	codes    func(buf []uint32) ([]uint32, error)
	nullable bool
	lent     bool
	// few adds the rows that have a value to f, if these can be found without a look at each row,
	// and are not more than f has room for; otherwise it says false. It is nil if they cannot.
	few func(f *fewRows) (ok bool, err error)
}

// fewRows is the rows of a source that have a value of a property, and their codes, which are not 0.
type fewRows struct {
	rows, codes []uint32
	most        int
	runs, ends  []uint32 // room for who finds them
}

// read gives the codes, until it is called with the same buf again.
func (p *piece) read(buf *[]uint32) ([]uint32, error) {
	codes, err := p.codes(*buf)
	if err == nil && !p.lent {
		*buf = codes
	}
	return codes, err
}

// batchSource is the rows of a batch that are kept and lie in [start, end). If these are
// not all, what follows costs only as much as they are.
func batchSource(in *Input, start, end int64) (source, error) {
	b := in.Batch
	if len(in.Ordinals) != b.Rows || len(b.UUID) != b.Rows || len(b.Time) != b.Rows {
		return source{}, fmt.Errorf("%d rows with %d ordinals, %d uuids and %d times", b.Rows, len(in.Ordinals), len(b.UUID), len(b.Time))
	}
	s := source{rows: b.Rows, time: b.Time, ordinals: in.Ordinals, uuids: b.UUID}
	keep, all := keptRows(in, start, end)
	if !all {
		if len(keep) == 0 {
			return source{}, nil
		}
		if most := slices.Max(keep); int(most) >= b.Rows {
			return source{}, fmt.Errorf("row %d of a batch of %d", most, b.Rows)
		}
		s.rows = len(keep)
		s.time, s.ordinals, s.uuids = take(b.Time, keep), take(in.Ordinals, keep), take(b.UUID, keep)
	}
	column := func(codes event.Codes, kinds []event.Kind, values *vec.Strings, nullable bool) piece {
		if all {
			wide, lent := codes.Wide()
			return piece{
				add: func(u *unifier) ([]uint32, error) { return u.addBatch(kinds, values, nil) },
				codes: func(buf []uint32) ([]uint32, error) {
					if lent {
						return wide, nil
					}
					buf = resize(buf, codes.Len())
					codes.Read(buf)
					return buf, nil
				},
				nullable: nullable,
				lent:     lent,
			}
		}
		first := uint32(0)
		if nullable {
			first = 1
		}
		return piece{
			add: func(u *unifier) ([]uint32, error) {
				used := vec.NewBitmap(values.Len())
				for _, r := range keep {
					if c := codes.At(int(r)); c >= first {
						used.Set(int(c - first))
					}
				}
				return u.addBatch(kinds, values, used)
			},
			codes: func(buf []uint32) ([]uint32, error) {
				buf = resize(buf, len(keep))
				codes.Take(buf, keep)
				return buf, nil
			},
			nullable: nullable,
		}
	}
	s.names = column(event.WideCodes(b.Name.Codes), nil, &b.Name.Values, false)
	s.ids = column(event.WideCodes(b.DistinctID.Codes), nil, &b.DistinctID.Values, false)
	rows := s.rows
	s.created = piece{
		add: func(u *unifier) ([]uint32, error) { return []uint32{u.addNum(event.Int, b.CreatedAt)}, nil },
		codes: func(buf []uint32) ([]uint32, error) {
			buf = resize(buf, rows)
			clear(buf)
			return buf, nil
		},
	}
	s.props = make([]prop, 0, len(b.Props))
	for i := range b.Props {
		p := &b.Props[i]
		if _, few := p.Codes.Some(); !few {
			s.props = append(s.props, prop{p.Key, []piece{column(p.Codes, p.Kinds, &p.Values, true)}})
			continue
		}
		if all {
			keep = nil
		}
		if few, any := fewPiece(p, rows, keep); any {
			s.props = append(s.props, prop{p.Key, []piece{few}})
		}
	}
	return s, nil
}

// fewPiece is the column of a property that few rows of a batch have, of the rows to keep, or with
// nil of all. It says false if none of them has it.
func fewPiece(p *event.Prop, rows int, keep []uint32) (_ piece, any bool) {
	having, _ := p.Codes.Some()
	codes := make([]uint32, len(having))
	p.Codes.ReadKept(codes)
	if keep != nil {
		n, at := 0, 0
		inside := make([]uint32, 0, min(len(having), len(keep)))
		for i, row := range having {
			from, found := slices.BinarySearch(keep[at:], row)
			if at += from; found {
				inside = append(inside, uint32(at))
				codes[n] = codes[i]
				n++
			}
		}
		having, codes = inside, codes[:n]
	}
	return piece{
		add: func(u *unifier) ([]uint32, error) {
			if keep == nil {
				return u.addBatch(p.Kinds, &p.Values, nil)
			}
			used := vec.NewBitmap(p.Values.Len())
			for _, c := range codes {
				used.Set(int(c - 1))
			}
			return u.addBatch(p.Kinds, &p.Values, used)
		},
		codes: func(buf []uint32) ([]uint32, error) {
			buf = resize(buf, rows)
			clear(buf)
			for i, row := range having {
				buf[row] = codes[i]
			}
			return buf, nil
		},
		nullable: true,
		few: func(f *fewRows) (bool, error) {
			if len(having) > f.most-len(f.rows) {
				return false, nil
			}
			f.rows, f.codes = append(f.rows, having...), append(f.codes, codes...)
			return true, nil
		},
	}, len(having) > 0
}

// keptRows is the rows of an input that are kept and lie in [start, end), unless these
// are all rows of the batch.
func keptRows(in *Input, start, end int64) (keep []uint32, all bool) {
	times := in.Batch.Time
	if in.Rows != nil {
		for _, r := range in.Rows {
			if int(r) >= len(times) || times[r] >= start && times[r] < end {
				keep = append(keep, r) // one that does not exist is an error of the caller's
			}
		}
		n := len(keep)
		return keep, n == len(times) && n > 0 && int(keep[n-1]) == n-1 // they ascend
	}
	inside := 0
	for _, t := range times {
		if t >= start && t < end {
			inside++
		}
	}
	if inside == len(times) {
		return nil, true
	}
	keep = make([]uint32, 0, inside)
	for r, t := range times {
		if t >= start && t < end {
			keep = append(keep, uint32(r))
		}
	}
	return keep, false
}

func take[T any](src []T, rows []uint32) []T {
	out := make([]T, len(rows))
	for i, r := range rows {
		out[i] = src[r]
	}
	return out
}

func resize(buf []uint32, n int) []uint32 {
	if cap(buf) < n {
		return make([]uint32, n)
	}
	return buf[:n]
}

// builder is a segment on its way. Everything with "row" in its comment is in the
// order of the segment.
type builder struct {
	sources []source
	base    []int    // number of a source's first row among all rows of all sources
	place   []uint32 // row of the segment by that number; dropped if it has none
	origin  []uint32 // that number, a row
	opt     Options

	dir      directory
	dayStart int64 // µs

	time     []int64    // a row
	ordinals []uint32   // a row
	persons  []uint32   // distinct ordinals, ascending
	person   []uint32   // position in persons, a row
	lo       []int      // first row of each range, and the end
	runs     [][]uint32 // by range: first row of each run, from the range's first, and the end
	members  [][]int    // ranges of each group
	at       []int      // by range: its first row in the group

	out []byte
}

func build(sources []source, firstDay int32, days int, opt Options) ([]byte, error) {
	b := &builder{sources: sources, opt: opt, dayStart: int64(firstDay) * dayMicros}
	b.dir.firstDay, b.dir.days = firstDay, days
	if err := b.sort(); err != nil {
		return nil, err
	}
	b.findRuns()
	session, columns, err := b.columns()
	if err != nil {
		return nil, err
	}
	// Most of the size is known now; growing would hold the file twice.
	size := 28*b.dir.rows + 1<<16
	for g := range columns {
		for i := range columns[g] {
			size += len(columns[g][i].data)
		}
	}
	b.out = append(make([]byte, 0, size), headMagic...)
	if err := b.fixed(session); err != nil {
		return nil, err
	}
	b.ranges()
	for g := range columns {
		for i := range columns[g] {
			b.column(g, &columns[g][i])
		}
	}
	b.uuids()
	return b.dir.appendFooter(b.out), nil
}

// section takes what was added to out since start for a section.
func (b *builder) section(start int) section {
	return section{off: start, size: len(b.out) - start}
}

// row finds the source of a row by its number among all.
func (b *builder) row(n uint32) (*source, int) {
	s, found := slices.BinarySearch(b.base, int(n))
	if !found {
		s--
	}
	for b.sources[s].rows == 0 { // shares its base with the next
		s++
	}
	return &b.sources[s], int(n) - b.base[s]
}

// sort decides which rows there are and in which order, and fills all that follows from
// that alone: names, rows, place, time, ordinals.
func (b *builder) sort() error {
	total := 0
	b.base = make([]int, len(b.sources))
	for i := range b.sources {
		b.base[i] = total
		total += b.sources[i].rows
	}
	if total > maxRows {
		return fmt.Errorf("%d rows to build from, at most %d are possible", total, maxRows)
	}
	var names unifier
	nameIDs, err := addAll(&names, b.sources, func(s *source) *piece { return &s.names })
	if err != nil {
		return fmt.Errorf("event names: %w", err)
	}
	eventOf := make([]uint32, total) // name by number among all; dropped
	counts := make([]uint32, names.len())
	d := &b.dir
	end := b.dayStart + int64(d.days)*dayMicros
	var buf []uint32
	leastOrdinal, mostOrdinal := ^uint32(0), uint32(0)
	d.unit = 100 * 1e6 // the largest power of ten that divides a quarter-hour
	for i := range b.sources {
		s := &b.sources[i]
		codes, err := s.names.read(&buf)
		if err != nil {
			return fmt.Errorf("event names: %w", err)
		}
		if len(codes) != s.rows {
			return fmt.Errorf("%d event names for %d rows", len(codes), s.rows)
		}
		of := eventOf[b.base[i]:][:s.rows]
		for r := range of {
			of[r] = dropped
		}
		for r, t := range s.time {
			if t < b.dayStart || t >= end || s.dead != nil && s.dead.Contains(uint32(r)) {
				continue
			}
			id := nameIDs[i][codes[r]]
			of[r] = id
			counts[id]++
			if d.rows == 0 {
				d.minTime, d.maxTime = t, t
			}
			d.rows++
			d.minTime, d.maxTime = min(d.minTime, t), max(d.maxTime, t)
			leastOrdinal, mostOrdinal = min(leastOrdinal, s.ordinals[r]), max(mostOrdinal, s.ordinals[r])
			for d.unit > 1 && (t-b.dayStart)%d.unit != 0 {
				d.unit /= 10
			}
		}
	}
	if d.rows == 0 {
		d.unit = 1
	}

	// One bucket an event, in order of names; inside, a key of 64 bits.
	next := make([]uint32, names.len())
	at := uint32(0)
	for _, id := range names.order() {
		if counts[id] == 0 {
			continue
		}
		next[id] = at
		d.ranges = append(d.ranges, rangeEntry{name: string(names.at(id)), rows: int(counts[id])})
		b.lo = append(b.lo, int(at))
		at += counts[id]
	}
	b.lo = append(b.lo, d.rows)
	timeBits := bits.Len64(uint64(d.maxTime-d.minTime) / uint64(d.unit))
	if d.rows > 0 && timeBits+bits.Len32(mostOrdinal-leastOrdinal) > 64 {
		// Too many persons at too fine a time. Rows first sort by time, and then again
		// by ordinal; the order of equal keys stays.
		timeBits = 64
	}
	entries := make([]entry, d.rows)
	key := func(s *source, r int) uint64 {
		k := uint64(s.time[r]-d.minTime) / uint64(d.unit)
		if timeBits < 64 {
			k |= uint64(s.ordinals[r]-leastOrdinal) << timeBits
		}
		return k
	}
	for i := range b.sources {
		s := &b.sources[i]
		for r, id := range eventOf[b.base[i]:][:s.rows] {
			if id != dropped {
				entries[next[id]] = entry{key(s, r), uint32(b.base[i] + r)}
				next[id]++
			}
		}
	}
	b.time, b.ordinals = make([]int64, d.rows), make([]uint32, d.rows)
	b.place, b.origin = eventOf, make([]uint32, d.rows)
	err = parallel(len(d.ranges), func(g int) error {
		lo, hi := b.lo[g], b.lo[g+1]
		part := entries[lo:hi]
		tmp := make([]entry, len(part))
		sortEntries(part, tmp)
		if timeBits == 64 {
			for i := range part {
				s, r := b.row(part[i].row)
				part[i].key = uint64(s.ordinals[r])
			}
			sortEntries(part, tmp)
		}
		b.sortEqual(part)
		return nil
	})
	if err != nil {
		return err
	}
	for i := range entries {
		b.place[entries[i].row] = uint32(i)
		b.origin[i] = entries[i].row
	}
	for i := range b.sources {
		s := &b.sources[i]
		for r, to := range b.place[b.base[i]:][:s.rows] {
			if to != dropped {
				b.time[to], b.ordinals[to] = s.time[r], s.ordinals[r]
			}
		}
		s.time, s.ordinals = nil, nil // they have been copied, and may be large
	}
	return nil
}

// sortEqual orders rows of equal key by time and uuid. (The time is the same already,
// unless the key is only the ordinal.)
func (b *builder) sortEqual(part []entry) {
	for lo := 0; lo < len(part); {
		hi := lo + 1
		for hi < len(part) && part[hi].key == part[lo].key {
			hi++
		}
		if hi-lo > 1 {
			slices.SortFunc(part[lo:hi], func(x, y entry) int {
				s, i := b.row(x.row)
				t, j := b.row(y.row)
				if c := cmp.Compare(s.time[i], t.time[j]); c != 0 {
					return c
				}
				return bytes.Compare(s.uuids[i][:], t.uuids[j][:])
			})
		}
		lo = hi
	}
}

// addAll brings the same column of every source into u.
func addAll(u *unifier, sources []source, column func(*source) *piece) ([][]uint32, error) {
	ids := make([][]uint32, len(sources))
	for i := range sources {
		var err error
		if ids[i], err = column(&sources[i]).add(u); err != nil {
			return nil, err
		}
	}
	return ids, nil
}

// findRuns finds where persons change, and who there is.
func (b *builder) findRuns() {
	d := &b.dir
	b.runs = make([][]uint32, len(d.ranges))
	var all []entry
	for g := range d.ranges {
		ordinals := b.ordinals[b.lo[g]:b.lo[g+1]]
		n := 1
		for i := 1; i < len(ordinals); i++ {
			if ordinals[i] != ordinals[i-1] {
				n++
			}
		}
		starts := make([]uint32, 0, n+1)
		for i := range ordinals {
			if i == 0 || ordinals[i] != ordinals[i-1] {
				starts = append(starts, uint32(i))
				all = append(all, entry{key: uint64(ordinals[i])})
			}
		}
		d.ranges[g].runs = n
		b.runs[g] = append(starts, uint32(len(ordinals)))
	}
	sortEntries(all, nil)
	for i := range all {
		if i == 0 || all[i].key != all[i-1].key {
			b.persons = append(b.persons, uint32(all[i].key))
		}
	}
	d.persons = len(b.persons)
	b.person = make([]uint32, d.rows)
	for g, starts := range b.runs {
		at := 0
		for i := range len(starts) - 1 {
			lo, hi := b.lo[g]+int(starts[i]), b.lo[g]+int(starts[i+1])
			at = seek(b.persons, at, b.ordinals[lo])
			for r := lo; r < hi; r++ {
				b.person[r] = uint32(at)
			}
		}
	}
}

// seek is the position of v in sorted, at or after from. It must be there.
func seek(sorted []uint32, from int, v uint32) int {
	step := 1
	for from+step < len(sorted) && sorted[from+step] <= v {
		from += step
		step *= 2
	}
	for ; step > 0; step /= 2 {
		if from+step < len(sorted) && sorted[from+step] <= v {
			from += step
		}
	}
	return from
}

// parallel calls work for 0 to n-1, on all processors, and returns the error of the
// least of them that has one.
func parallel(n int, work func(i int) error) error {
	workers := min(runtime.GOMAXPROCS(0), n)
	if workers <= 1 {
		for i := range n {
			if err := work(i); err != nil {
				return err
			}
		}
		return nil
	}
	errs := make([]error, n)
	var next atomic.Int64
	var wait sync.WaitGroup
	for range workers {
		wait.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				errs[i] = guard(func() error { return work(i) })
			}
		})
	}
	wait.Wait()
	return errors.Join(errs...)
}

// scatter puts the values of a column where their rows are: ids, or with plus one more
// and 0 for nothing. It returns nil if no row of the segment has a value.
func (b *builder) scatter(out []uint32, s int, p *piece, ids []uint32, plus uint32, buf *[]uint32) (any bool, err error) {
	codes, err := p.read(buf)
	if err != nil {
		return false, err
	}
	place := b.place[b.base[s]+p.lo:]
	if len(codes) > len(place) {
		return false, fmt.Errorf("%d codes for %d rows", len(codes), len(place))
	}
	place = place[:len(codes)]
	if !p.nullable {
		for i, c := range codes {
			if to := place[i]; to != dropped {
				out[to] = ids[c] + plus
				any = true
			}
		}
		return any, nil
	}
	for i, c := range codes {
		if c == 0 {
			continue
		}
		if to := place[i]; to != dropped {
			out[to] = ids[c-1] + plus
			any = true
		}
	}
	return any, nil
}

// whole unifies a column that every row has: the id of each row's value.
func (b *builder) whole(u *unifier, column func(*source) *piece) ([]uint32, error) {
	ids, err := addAll(u, b.sources, column)
	if err != nil {
		return nil, err
	}
	out := make([]uint32, b.dir.rows)
	var buf []uint32
	for s := range b.sources {
		if _, err := b.scatter(out, s, column(&b.sources[s]), ids[s], 0, &buf); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// fixed writes the sections that every segment has.
func (b *builder) fixed(session []owned) error {
	d := &b.dir
	save := func(sec int, column []uint32) {
		start := len(b.out)
		b.out = encoding.AppendColumn(b.out, column)
		d.fixed[sec] = b.section(start)
	}
	save(secPersons, b.persons)

	quarter, offset := make([]uint32, d.rows), make([]uint32, d.rows)
	masks := make([]uint32, d.persons)
	for i, t := range b.time {
		since := uint64(t - b.dayStart)
		q := since / quarterMicros
		quarter[i] = uint32(q)
		offset[i] = uint32((since - q*quarterMicros) / uint64(d.unit))
		masks[b.person[i]] |= 1 << (q / quartersOfDay & 31)
	}
	save(secMasks, masks)
	start := len(b.out)
	if !b.opt.Image && d.persons > 0 {
		b.out = appendBlob(b.out, bitmapBytes(b.persons))
	}
	d.fixed[secPersonBitmap] = b.section(start)
	save(secQuarter, quarter)
	save(secOffset, offset)
	if err := b.distinctIDs(save); err != nil {
		return fmt.Errorf("distinct ids: %w", err)
	}
	if err := b.created(save, quarter, offset); err != nil {
		return fmt.Errorf("creation times: %w", err)
	}
	b.sessions(save, session)
	if !b.opt.Image && d.rows > 0 {
		if err := b.appendOrder(save); err != nil {
			return fmt.Errorf("order: %w", err)
		}
	}
	b.origin = nil
	for sec := secSessionCount; sec < fixedCount; sec++ {
		if d.fixed[sec].off == 0 {
			d.fixed[sec].off = len(b.out)
		}
	}
	return nil
}

// bitmapBytes is a set of ascending ordinals in roaring's portable form.
func bitmapBytes(ordinals []uint32) []byte {
	set := roaring.New()
	set.AddMany(ordinals)
	set.RunOptimize()
	raw, err := set.ToBytes()
	if err != nil {
		panic(err) // writing to memory
	}
	return raw
}

// owned is a column whose values belong to persons: distinct ids and sessions. Values
// are ordered by the least ordinal of their rows, so that a row's code lies close to the
// first code of its person.
type owned struct {
	values vec.Strings
	owner  []uint32 // by code: position in persons
	codes  []uint32 // a row; dropped for none
	start  []int64  // by code: least and greatest time, and rows
	end    []int64
	count  []uint32
}

// own orders the values of a column. Codes are ids, dropped for none, and are rewritten.
func (b *builder) own(u *unifier, codes []uint32, byTime bool) owned {
	n := u.len()
	owner := make([]uint32, n)
	start, end := make([]int64, n), make([]int64, n)
	count := make([]uint32, n)
	for i, id := range codes {
		if id == dropped {
			continue
		}
		t, p := b.time[i], b.person[i]
		if count[id] == 0 {
			owner[id], start[id], end[id] = p, t, t
		}
		count[id]++
		owner[id], start[id], end[id] = min(owner[id], p), min(start[id], t), max(end[id], t)
	}
	order := make([]uint32, 0, n)
	for id := range count {
		if count[id] > 0 {
			order = append(order, uint32(id))
		}
	}
	keys := make([]entry, len(order))
	for i, id := range order {
		keys[i] = entry{uint64(owner[id]), id}
	}
	sortEntries(keys, nil)
	for lo := 0; lo < len(keys); {
		hi := lo + 1
		for hi < len(keys) && keys[hi].key == keys[lo].key {
			hi++
		}
		if hi-lo > 1 {
			slices.SortFunc(keys[lo:hi], func(x, y entry) int {
				if byTime {
					if c := cmp.Compare(start[x.row], start[y.row]); c != 0 {
						return c
					}
				}
				return bytes.Compare(u.at(x.row), u.at(y.row))
			})
		}
		lo = hi
	}
	rank := make([]uint32, n)
	out := owned{
		values: vec.MakeStrings(len(keys), len(u.text.Bytes)),
		owner:  make([]uint32, len(keys)),
		start:  make([]int64, len(keys)),
		end:    make([]int64, len(keys)),
		count:  make([]uint32, len(keys)),
		codes:  codes,
	}
	for i := range keys {
		id := keys[i].row
		rank[id] = uint32(i)
		out.values.Append(u.at(id))
		out.owner[i], out.start[i], out.end[i], out.count[i] = owner[id], start[id], end[id], count[id]
	}
	for i, id := range codes {
		if id != dropped {
			codes[i] = rank[id]
		}
	}
	return out
}

// firsts is the first code of each person's values; who has none has that of the next.
func (b *builder) firsts(o *owned) []uint32 {
	out := make([]uint32, b.dir.persons)
	code := 0
	for p := range out {
		for code < len(o.owner) && int(o.owner[code]) < p {
			code++
		}
		out[p] = uint32(code)
	}
	return out
}

func (b *builder) distinctIDs(save func(int, []uint32)) error {
	var u unifier
	codes, err := b.whole(&u, func(s *source) *piece { return &s.ids })
	if err != nil {
		return err
	}
	o := b.own(&u, codes, false)
	b.dir.ids = o.values.Len()
	start := len(b.out)
	b.out = appendStrings(b.out, &o.values, !b.opt.Image)
	b.dir.fixed[secIDs] = b.section(start)
	first := b.firsts(&o)
	save(secIDFirst, first)
	for i, c := range codes {
		codes[i] = c - first[b.person[i]] + relative
	}
	save(secIDRow, codes)
	return nil
}

// created writes when rows were received. Rows of one quarter-hour were mostly received
// in a few batches, so their codes are counted from the least one of the quarter-hour.
func (b *builder) created(save func(int, []uint32), quarter, codes []uint32) error {
	var u unifier
	ids, err := b.whole(&u, func(s *source) *piece { return &s.created })
	if err != nil {
		return err
	}
	used := make([]bool, u.len())
	for _, id := range ids {
		used[id] = true
	}
	rank := make([]uint32, u.len())
	var values []int64
	for _, id := range u.order() {
		if used[id] {
			rank[id] = uint32(len(values))
			values = append(values, u.num[id])
		}
	}
	b.dir.created = len(values)
	start := len(b.out)
	b.out = encoding.AppendWide(b.out, values)
	b.dir.fixed[secCreated] = b.section(start)
	first := make([]uint32, b.dir.days*quartersOfDay)
	for i := range first {
		first[i] = dropped
	}
	for i, id := range ids {
		codes[i] = rank[id]
		first[quarter[i]] = min(first[quarter[i]], rank[id])
	}
	before := uint32(0)
	for i := range first {
		if first[i] == dropped {
			first[i] = before
		}
		before = first[i]
	}
	save(secCreatedFirst, first)
	for i := range codes {
		codes[i] -= first[quarter[i]]
	}
	save(secCreatedRow, codes)
	return nil
}

// sessions writes the sessions table, if session ids are kept as one.
func (b *builder) sessions(save func(int, []uint32), list []owned) {
	d := &b.dir
	if len(list) == 0 {
		for sec := secSessions; sec <= secSessionCount; sec++ {
			d.fixed[sec].off = len(b.out)
		}
		return
	}
	o := &list[0]
	d.sessions = o.values.Len()
	at := len(b.out)
	b.out = b.appendSessionIDs(b.out, o)
	d.fixed[secSessions] = b.section(at)
	first := b.firsts(o)
	save(secSessionFirst, first)
	for i, c := range o.codes {
		if c == dropped {
			o.codes[i] = 0
		} else {
			o.codes[i] = c - first[b.person[i]] + relative + 1
		}
	}
	save(secSessionRow, o.codes)
	wide := func(sec int, v []int64) {
		at := len(b.out)
		b.out = encoding.AppendWide(b.out, v)
		d.fixed[sec] = b.section(at)
	}
	for i := range o.start {
		o.owner[i] = b.persons[o.owner[i]]
		o.end[i] = (o.end[i] - o.start[i]) / d.unit
		o.start[i] = (o.start[i] - b.dayStart) / d.unit
	}
	save(secSessionOrdinal, o.owner)
	wide(secSessionStart, o.start)
	wide(secSessionEnd, o.end)
	save(secSessionCount, o.count)
}

// ranges writes the run index and the person index of each event.
func (b *builder) ranges() {
	d := &b.dir
	save := func(column []uint32) section {
		start := len(b.out)
		b.out = encoding.AppendColumn(b.out, column)
		return b.section(start)
	}
	for g := range d.ranges {
		e := &d.ranges[g]
		lo, starts := b.lo[g], b.runs[g]
		ordinals := make([]uint32, e.runs)
		masks := make([]uint32, e.runs)
		for i := range ordinals {
			ordinals[i] = b.ordinals[lo+int(starts[i])]
			for _, t := range b.time[lo+int(starts[i]) : lo+int(starts[i+1])] {
				masks[i] |= 1 << (uint64(t-b.dayStart) / dayMicros & 31)
			}
		}
		e.ordinals = save(ordinals)
		e.starts = save(starts)
		e.masks.off = len(b.out)
		if e.rows >= maskRows*e.runs {
			e.masks = save(masks)
		}
		start := len(b.out)
		if !b.opt.Image && e.runs >= bitmapLeast {
			b.out = appendBlob(b.out, dayBitmaps(ordinals, masks, d.days))
		}
		e.bitmaps = b.section(start)
	}
}

// dayBitmaps is the size of each day's bitmap, 4 bytes each, and then the bitmaps. Days
// with few persons have none. Nothing at all if that is so for every day.
func dayBitmaps(ordinals, masks []uint32, days int) []byte {
	out := make([]byte, 4*days)
	set := make([]uint32, 0, len(ordinals))
	for day := range days {
		set = appendDay(set[:0], ordinals, masks, day)
		if len(set) < bitmapLeast {
			continue
		}
		raw := bitmapBytes(set)
		binary.LittleEndian.PutUint32(out[4*day:], uint32(len(raw)))
		out = append(out, raw...)
	}
	if len(out) == 4*days {
		return nil
	}
	return out
}

// appendDay adds the persons who are active on a day.
func appendDay(dst, ordinals, masks []uint32, day int) []uint32 {
	for i, m := range masks {
		if m>>(uint(day)&31)&1 != 0 {
			dst = append(dst, ordinals[i])
		}
	}
	return dst
}

func (b *builder) placeAll(source int) []uint32 {
	return b.place[b.base[source]:][:b.sources[source].rows]
}
