package exec

import (
	"context"
	"math/bits"
	"sort"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/storage/encoding"
	"github.com/prickledb/prickle/storage/segment"
	"github.com/prickledb/prickle/storage/vec"
)

// evaluator finds out which of some rows of a stream match, and their breakdown values and numbers.
// What reads one property alone is evaluated once for each value that the property's dictionary has,
// and noted once for each run where the property is kept as runs: those of a session, and most often
// of a person. An evaluator belongs to one goroutine.
type evaluator struct {
	s      *stream
	ix     *indexed
	lo, hi int              // rows
	ranges []*segment.Range // of jointStreams; nil: that of the stream
	conds  []rowCondition
	by     []expr.Expr // what values are to be found of
	values *byCode
	late   bool // they are not stretches, and are found later
	// spread is false as long as all values are stretches. Then those of stream.vals are made, or of
	// filed values batch by batch.
	spread    bool
	stretches stretches
	batch     []uint32 // values of the batch that is to be filed
	frame     []byte
	// Used again from batch to batch:
	all, ids, room []uint32
	mask           vec.Bitmap // of a batch: rows that match
	whole          bool       // all rows of the batch are in the mask
	event          *vec.Vector
	runRoom        segment.RunRoom
	arenas         []vec.Arena // by column
}

// rowCondition is a condition on rows and what it is for values seen before: 1 where it is true.
type rowCondition struct {
	cond   expr.Expr
	truths *byCode
}

// stretches are the values of rows of a range, by their places in it: those from the end before on,
// up to its own end, have a value. Where no row matches it may be any.
type stretches struct{ of, ends []uint32 }

// add appends rows up to an end.
func (s *stretches) add(value, end uint32) {
	if last := len(s.of) - 1; last >= 0 && s.of[last] == value {
		s.ends[last] = end
		return
	}
	s.of, s.ends = append(s.of, value), append(s.ends, end)
}

// pass appends rows up to an end of which none matches.
func (s *stretches) pass(end uint32) {
	value := uint32(0)
	if last := len(s.of) - 1; last >= 0 {
		value = s.of[last]
	}
	s.add(value, end)
}

// find is the stretch of a row: that at a position, one of the next, or any.
func (s *stretches) find(at int, row uint32) int {
	lo, hi := 0, at
	if at == 0 || s.ends[at-1] <= row { // in leaps that double
		leap := 1
		for lo = at; lo+leap < len(s.ends) && s.ends[lo+leap-1] <= row; leap *= 2 {
			lo += leap
		}
		hi = min(lo+leap-1, len(s.ends)-1)
	}
	for lo < hi {
		if mid := (lo + hi) >> 1; s.ends[mid] <= row {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

// evaluatedBatches is how many batches a goroutine evaluates at least.
const evaluatedBatches = 8

// evaluators are the parts of what is to be evaluated for every row of a stream.
func (s *stream) evaluators(ix *indexed, rest []expr.Expr) (parts []*evaluator) {
	n := s.rng.Hi - s.rng.Lo
	if ix.need.runs && len(rest) == 0 && s.dead == nil && s.bounds != nil {
		s.byDay = true
		return nil
	}
	if len(rest) > 0 || s.dead != nil || s.bounds != nil {
		s.match = vec.NewBitmap(n)
	}
	if ix.need.number != nil {
		s.nums = make([]int64, n)
	}
	if s.match == nil && ix.by == nil && s.nums == nil {
		return nil
	}
	// Each goroutine has a part: in every one, the values of dictionaries are new.
	batches := (n + vec.BatchRows - 1) / vec.BatchRows
	step := vec.BatchRows * max(evaluatedBatches, (batches+ix.env.Threads-1)/ix.env.Threads)
	for lo := s.rng.Lo; lo < s.rng.Hi; lo += step {
		parts = append(parts, newEvaluator(s, ix, lo, min(lo+step, s.rng.Hi), rest))
	}
	return parts
}

func newEvaluator(s *stream, ix *indexed, lo, hi int, conds []expr.Expr) *evaluator {
	e := &evaluator{s: s, ix: ix, lo: lo, hi: hi, by: ix.by}
	for _, cond := range conds {
		e.conds = append(e.conds, rowCondition{cond, newByCode(ix.scan, s.rng.Hi-s.rng.Lo, cond)})
	}
	if e.by != nil {
		e.values = newByCode(ix.scan, s.rng.Hi-s.rng.Lo, e.by...)
		e.spread = s.filed != nil
	}
	return e
}

// makeRoom makes what is used again from batch to batch.
func (e *evaluator) makeRoom() {
	n := min(vec.BatchRows, e.hi-e.lo) // there may be very many evaluators of few rows each
	e.ids, e.room = make([]uint32, n), make([]uint32, n)
	e.event = constText(e.s.rng.Event)
	e.arenas = make([]vec.Arena, len(e.ix.readers.rows))
}

// run evaluates all rows.
func (e *evaluator) run() error {
	s := e.s
	if s.bounds != nil && len(e.conds) == 0 && s.dead == nil && e.by == nil && s.nums == nil {
		if inside, ok := s.daysInside(); ok && e.ranges == nil {
			return s.matchDays(e.lo, e.hi, inside)
		}
		return s.matchTimes(e.lo, e.hi)
	}
	e.makeRoom()
	for lo := e.lo; lo < e.hi; lo += vec.BatchRows {
		hi := min(lo+vec.BatchRows, e.hi)
		any, err := e.matches(lo, hi)
		if err != nil {
			return err
		}
		if e.by == nil || e.late {
			continue
		}
		if any {
			err = e.valuesOf(lo, hi)
		} else if !e.spread {
			e.stretches.pass(uint32(hi - s.rng.Lo))
		}
		if err == nil && any && s.filed != nil {
			err = s.filed.write((lo-s.rng.Lo)/vec.BatchRows, e.batch, &e.frame)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// matches finds the rows of [lo, hi) that match, notes them and the numbers that they have, and says
// whether there are any. They are in mask afterwards.
func (e *evaluator) matches(lo, hi int) (bool, error) {
	s, n := e.s, hi-lo
	e.mask = grow(e.mask, (n+63)/64)
	for i := range e.mask {
		e.mask[i] = ^uint64(0)
	}
	clearBits(e.mask, n, 64*len(e.mask))
	e.whole = true
	if s.match == nil && s.nums == nil {
		return true, nil
	}
	b := &vec.Batch{Rows: n, Sel: liveRows(nil, s.dead, lo, hi), Cols: make([]*vec.Vector, len(e.ix.readers.rows))}
	if rows := b.Sel; rows != nil || s.bounds != nil {
		if rows == nil {
			rows = firstRows(&e.all, n)
		}
		if s.bounds != nil {
			var err error
			if rows, err = s.within(rows, lo, hi); err != nil {
				return false, err
			}
		}
		e.mark(rows)
	}
	conds := e.conds
	for len(conds) > 0 && e.mask.Any() {
		ok, err := e.keepRuns(&conds[0], lo, hi)
		if err != nil {
			return false, err
		}
		if !ok {
			break
		}
		conds = conds[1:]
	}
	if len(conds) > 0 || s.nums != nil {
		rows := e.marked(n)
		for i := 0; i < len(conds) && len(rows) > 0; i++ {
			if err := e.read(b, conds[i].cond, lo, hi); err != nil {
				return false, err
			}
			var err error
			if rows, err = e.keep(&conds[i], b, rows); err != nil {
				return false, err
			}
		}
		if s.nums != nil && len(rows) > 0 {
			if err := e.numbers(b, rows, lo, hi); err != nil {
				return false, err
			}
		}
		e.mark(rows)
	}
	if s.match != nil { // lo is the first row of a word
		copy(s.match[(lo-s.rng.Lo)/64:], e.mask)
	}
	return e.mask.Any(), nil
}

// mark makes rows, which come in order, those of the mask.
func (e *evaluator) mark(rows []uint32) {
	e.whole = false
	clear(e.mask)
	for _, r := range rows {
		e.mask.Set(int(r))
	}
}

// marked is those of so many rows that are in the mask.
func (e *evaluator) marked(rows int) []uint32 {
	if e.whole {
		return firstRows(&e.all, rows)
	}
	n := 0
	for i, w := range e.mask {
		for ; w != 0; w &= w - 1 {
			e.room[n] = uint32(64*i + bits.TrailingZeros64(w))
			n++
		}
	}
	return e.room[:n]
}

// morsel is the rows of the stream.
func (e *evaluator) morsel() morsel {
	m := morselOf(e.s.seg, e.s.rng)
	if e.ranges != nil {
		m.rng, m.ranges = nil, e.ranges
	}
	return m
}

// read reads those columns of rows [lo, hi) that an expression needs and the batch lacks.
func (e *evaluator) read(b *vec.Batch, of expr.Expr, lo, hi int) (err error) {
	m := e.morsel()
	expr.Walk(of, func(x expr.Expr) bool {
		c, ok := x.(*expr.Column)
		if ok && err == nil && b.Cols[c.Index] == nil {
			e.arenas[c.Index].Reset()
			b.Cols[c.Index], err = e.ix.readers.rows[c.Index](&e.arenas[c.Index], m, lo, hi)
		}
		return err == nil
	})
	return err
}

// runs reads rows [lo, hi) as a batch of runs, for what reads one column and the event's name alone;
// ok is false where the column is not kept so, or there are several.
func (e *evaluator) runs(column, lo, hi int) (b *vec.Batch, ends []uint32, ok bool, err error) {
	if column < 0 || e.ix.readers.runs[column] == nil || e.ranges != nil {
		return nil, nil, false, nil
	}
	v, ends, ok, err := e.ix.readers.runs[column](&e.runRoom, e.morsel(), lo, hi)
	if !ok || err != nil {
		return nil, nil, false, err
	}
	b = &vec.Batch{Rows: len(ends), Cols: make([]*vec.Vector, len(e.ix.readers.rows))}
	for i, c := range e.ix.scan.Columns {
		if c.Column == "event" {
			b.Cols[i] = e.event
		}
	}
	b.Cols[column] = v
	return b, ends, true, nil
}

// live is the runs that have rows of the mask.
func (e *evaluator) live(ends []uint32) []uint32 {
	if e.whole {
		return firstRows(&e.all, len(ends))
	}
	n, from := 0, 0
	for r, end := range ends {
		if countBits(e.mask, from, int(end)) > 0 {
			e.room[n] = uint32(r)
			n++
		}
		from = int(end)
	}
	return e.room[:n]
}

// keepRuns takes out of the mask the rows of runs for which a condition is not true. It says false if
// rows have to be asked.
func (e *evaluator) keepRuns(c *rowCondition, lo, hi int) (bool, error) {
	b, ends, ok, err := e.runs(c.truths.column, lo, hi)
	if !ok || err != nil {
		return false, err
	}
	kept, err := e.keep(c, b, e.live(ends))
	if err != nil {
		return false, err
	}
	e.whole = false
	from := 0
	for _, r := range kept {
		if r > 0 {
			clearBits(e.mask, from, int(ends[r-1]))
		}
		from = int(ends[r])
	}
	clearBits(e.mask, from, hi-lo)
	return true, nil
}

// keep is those of the rows for which a condition is true, in room, where rows may be already.
func (e *evaluator) keep(c *rowCondition, b *vec.Batch, rows []uint32) ([]uint32, error) {
	b.Sel = rows
	err := c.truths.find(e.ids, b, rows, func(dst []uint32, b *vec.Batch, rows []uint32) error {
		kept, err := keepTrue(e.ix.env.Expr, c.cond, b)
		if err != nil {
			return err
		}
		sel := kept.Sel
		if sel == nil {
			sel = rows
		}
		for i, r := range rows {
			if dst[i] = 0; len(sel) > 0 && sel[0] == r {
				dst[i], sel = 1, sel[1:]
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	n := 0
	for i, r := range rows { // without a branch that nobody can foresee
		e.room[n] = r
		n += int(e.ids[i])
	}
	return e.room[:n], nil
}

// numbers notes the numbers of rows.
func (e *evaluator) numbers(b *vec.Batch, rows []uint32, lo, hi int) error {
	number := e.ix.need.number
	if err := e.read(b, number, lo, hi); err != nil {
		return err
	}
	b.Sel = rows
	v, err := number.Eval(e.ix.env.Expr, b)
	if err != nil {
		return err
	}
	base := lo - e.s.rng.Lo
	for _, r := range rows {
		e.s.nums[base+int(r)] = numberOf(v, int(r))
	}
	return nil
}

// valuesOf notes the values of rows [lo, hi) that are in the mask, of which there are some.
func (e *evaluator) valuesOf(lo, hi int) error {
	base := lo - e.s.rng.Lo
	b, ends, ok, err := e.runs(e.values.column, lo, hi)
	if err != nil {
		return err
	}
	switch {
	case ok:
	case e.ix.need.late && e.ranges == nil:
		e.late = true
		return nil
	default:
		return e.valuesByRow(lo, hi)
	}
	rows := e.live(ends)
	if err := e.name(e.ids, b, rows); err != nil {
		return err
	}
	part := &e.stretches
	var vals []uint32 // of the batch, once values are spread
	switch {
	case e.spread:
		part, vals, base = &stretches{}, e.valuesAt(base, hi-lo), 0
	case len(part.of) == 0: // the batches to come have about as many
		n := len(rows) * (e.hi - lo) / (hi - lo) * 5 / 4
		part.of, part.ends = make([]uint32, 0, n), make([]uint32, 0, n)
	}
	next := uint32(0) // the run after the last one
	for i, r := range rows {
		if r > next {
			part.pass(uint32(base) + ends[r-1])
		}
		part.add(e.ids[i], uint32(base)+ends[r])
		next = r + 1
	}
	part.pass(uint32(base + hi - lo))
	if e.spread {
		part.fill(vals, 0)
	}
	return nil
}

// valuesAt is where the values of rows of a batch are noted, from a place in the stream on.
func (e *evaluator) valuesAt(base, rows int) []uint32 {
	if e.s.filed != nil {
		e.batch = grow(e.batch, rows)
		return e.batch
	}
	return e.s.vals[base : base+rows]
}

// readValues reads what breakdown values of rows [lo, hi) are made of.
func (e *evaluator) readValues(lo, hi int) (*vec.Batch, error) {
	b := &vec.Batch{Rows: hi - lo, Cols: make([]*vec.Vector, len(e.ix.readers.rows))}
	for _, x := range e.by {
		if err := e.read(b, x, lo, hi); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// lateValues is what gives the values of those streams that have no stretches, for one goroutine.
func (ix *indexed) lateValues() []fillUnits {
	out := make([]fillUnits, len(ix.streams[0]))
	for i, s := range ix.streams[0] {
		switch {
		case s.vals != nil:
			out[i] = func(dst []uint32, row int) error {
				copy(dst, s.vals[row-s.rng.Lo:])
				return nil
			}
		case s.late:
			e := newEvaluator(s, ix, s.rng.Lo, s.rng.Hi, nil)
			e.makeRoom()
			out[i] = e.fillValues
		}
	}
	return out
}

// fillValues fills dst with the values of rows from a row on, as far as these match.
func (e *evaluator) fillValues(dst []uint32, row int) error {
	for len(dst) > 0 {
		n := min(len(dst), vec.BatchRows)
		b, err := e.readValues(row, row+n)
		if err != nil {
			return err
		}
		if e.s.match == nil {
			err = e.name(dst[:n], b, firstRows(&e.all, n))
		} else if rows := e.matching(row, n); len(rows) > 0 {
			err = e.name(e.ids, b, rows)
			for i, r := range rows {
				dst[r] = e.ids[i]
			}
		}
		if err != nil {
			return err
		}
		dst, row = dst[n:], row+n
	}
	return nil
}

// matching is which of n rows from a row on match.
func (e *evaluator) matching(row, n int) []uint32 {
	rows := e.room[:0]
	for i := range n {
		if e.s.match.Get(row - e.s.rng.Lo + i) {
			rows = append(rows, uint32(i))
		}
	}
	return rows
}

// valuesByRow notes the values of rows that have to be asked each.
func (e *evaluator) valuesByRow(lo, hi int) error {
	e.spreadPart()
	vals := e.valuesAt(lo-e.s.rng.Lo, hi-lo)
	b, err := e.readValues(lo, hi)
	if err != nil {
		return err
	}
	rows := e.marked(b.Rows)
	if len(rows) == b.Rows {
		return e.name(vals, b, rows)
	}
	if err := e.name(e.ids, b, rows); err != nil {
		return err
	}
	for i, r := range rows {
		vals[r] = e.ids[i]
	}
	return nil
}

// name writes the numbers of the values of rows to dst.
func (e *evaluator) name(dst []uint32, b *vec.Batch, rows []uint32) error {
	b.Sel = rows
	return e.values.find(dst, b, rows, func(dst []uint32, b *vec.Batch, rows []uint32) error {
		cols, err := evalAll(e.ix.env.Expr, e.by, b)
		if err == nil {
			e.ix.values.assign(dst[:len(rows)], cols, rows)
		}
		return err
	})
}

// spreadPart makes values of stretches those of rows.
func (e *evaluator) spreadPart() {
	if e.spread {
		return
	}
	e.spread = true
	e.s.makeValues.Do(func() { e.s.vals = make([]uint32, e.s.rng.Hi-e.s.rng.Lo) })
	e.stretches.fill(e.s.vals, e.lo-e.s.rng.Lo)
	e.stretches = stretches{}
}

// fill writes values to those of rows, from a row on.
func (s *stretches) fill(vals []uint32, from int) {
	for i, end := range s.ends {
		if int(end) > from {
			of := vals[from:end]
			for k := range of {
				of[k] = s.of[i]
			}
			from = int(end)
		}
	}
}

// joinValues takes in the values of all parts: stretches, if all of them are.
func (s *stream) joinValues(parts []*evaluator) {
	n := 0
	for _, e := range parts {
		n += len(e.stretches.of)
		s.late = s.late || e.late
	}
	if s.late {
		return
	}
	all := stretches{make([]uint32, 0, n), make([]uint32, 0, n)}
	for _, e := range parts {
		if s.vals != nil {
			e.spreadPart()
			continue
		}
		all.of, all.ends = append(all.of, e.stretches.of...), append(all.ends, e.stretches.ends...)
	}
	if len(all.of) > 0 {
		s.stretches = all
	}
}

// spreadValues makes values of stretches those of rows.
func (ix *indexed) spreadValues(ctx context.Context) error {
	var jobs []func() error
	for _, list := range ix.streams {
		for _, s := range list {
			if s.stretches.ends != nil {
				jobs = append(jobs, func() error {
					s.vals = make([]uint32, s.rng.Hi-s.rng.Lo)
					s.stretches.fill(s.vals, 0)
					s.stretches = stretches{}
					return nil
				})
			}
		}
	}
	return runJobs(ctx, ix.env, jobs)
}

// daysInside is the days of the segment whose rows are within bounds, if each day is inside or outside as a
// whole.
func (s *stream) daysInside() (inside uint32, ok bool) {
	f, lo, hi := s.bounds, s.seg.MinTime(), s.seg.MaxTime()
	if f.first%day != 0 && f.first > lo || f.last%day != day-1 && f.last < hi {
		return 0, false
	}
	for d := range s.seg.Days() {
		if begin := (int64(s.seg.FirstDay()) + int64(d)) * day; begin+day > f.first && begin <= f.last {
			inside |= 1 << d
		}
	}
	return inside, true
}

// matchDays is matchTimes where days decide: those of a run tell of all its rows, unless it has some of each
// kind.
func (s *stream) matchDays(lo, hi int, inside uint32) error {
	runs, err := s.rng.Runs()
	if err != nil {
		return err
	}
	masks, err := s.rng.DayMasks()
	if err != nil {
		return err
	}
	codes := encoding.GetScratch()
	defer codes.Put()
	block := -1 // whose codes there are
	first := sort.Search(len(masks), func(r int) bool { return int(runs.Starts[r+1]) > lo })
	for r := first; r < len(masks) && int(runs.Starts[r]) < hi; r++ {
		from, to := max(int(runs.Starts[r]), lo), min(int(runs.Starts[r+1]), hi)
		switch masks[r] & inside {
		case 0:
			continue
		case masks[r]:
			setBits(s.match, from-s.rng.Lo, to-s.rng.Lo)
			continue
		}
		for row := from; row < to; row++ {
			if row/encoding.BlockRows != block {
				block = row / encoding.BlockRows
				begin := block * encoding.BlockRows
				if err := s.seg.TimeCodes(codes[:], begin, min(begin+encoding.BlockRows, s.seg.Rows())); err != nil {
					return err
				}
			}
			d := codes[row%encoding.BlockRows] / uint32(day/quarter)
			if inside>>d&1 != 0 {
				s.match.Set(row - s.rng.Lo)
			}
		}
	}
	return nil
}

// matchTimes computes the matches of rows [lo, hi) where nothing but bounds of the time decides.
func (s *stream) matchTimes(lo, hi int) error {
	times := make([]int64, min(vec.BatchRows, hi-lo))
	first := uint64(s.bounds.first)
	span := uint64(s.bounds.last) - first
	for ; lo < hi; lo += vec.BatchRows {
		times = times[:min(vec.BatchRows, hi-lo)]
		if err := s.seg.Times(times, lo, lo+len(times)); err != nil {
			return err
		}
		words := s.match[(lo-s.rng.Lo)/64:]
		for i, t := range times {
			in := uint64(0)
			if uint64(t)-first <= span {
				in = 1
			}
			words[i/64] |= in << (i % 64)
		}
	}
	return nil
}

// within is those of rows from lo on, by their places after it, whose times are within bounds.
func (s *stream) within(rows []uint32, lo, hi int) ([]uint32, error) {
	times := make([]int64, hi-lo)
	if err := s.seg.Times(times, lo, hi); err != nil {
		return nil, err
	}
	out := make([]uint32, 0, len(rows))
	for _, r := range rows {
		if t := times[r]; t >= s.bounds.first && t <= s.bounds.last {
			out = append(out, r)
		}
	}
	return out, nil
}
