package exec

import (
	"cmp"
	"context"
	"math"
	"math/bits"
	"slices"
	"sort"
	"sync"
	"sync/atomic"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage"
	"github.com/prickledb/prickle/storage/segment"
	"github.com/prickledb/prickle/storage/vec"
)

// stream is the rows of one event in one segment that satisfy a condition.
type stream struct {
	rng   *segment.Range
	seg   *storage.Segment
	dead  *roaring.Bitmap // rows of the segment that do not count; nil: all of the range do
	runs  *segment.Runs
	match vec.Bitmap // of rows rng.Lo…; nil means all of them
	// bounds has the times that rows may have, where some rows of the segment have others.
	bounds *rowFilter
	// byDay says that, with need.runs, nothing but bounds decides which rows match; masks has the days
	// of runs then, and inside and outside are days of which all rows match, and none.
	byDay           bool
	masks           []uint32
	inside, outside uint32
	// moved are the runs of merged persons, by root; skip marks them among the runs, and those
	// of persons who are not wanted.
	moved   []movedRun
	merged  *roaring.Bitmap // of the segment, who was merged into another; nil: nobody
	skip    vec.Bitmap
	persons vec.Bitmap // by ordinal: rows of no others count; nil: all persons are wanted
	// vals are the breakdown values of rows rng.Lo…; nil without a breakdown, as long as stretches
	// has them, and where late says that they are yet to be read.
	vals       []uint32
	stretches  stretches
	filed      *filedValues // the values are in a file, and nowhere else; or nil
	makeValues sync.Once
	late       bool
	// nums are the numbers of rows rng.Lo… that the operator asks for, or nil.
	nums []int64
	list uint32 // for rowRef: the range's number, the same in every condition
	// swept says that a sweep reads the stream, but for moved runs.
	swept bool
}

// movedRun is a run that belongs to another person than its ordinal says.
type movedRun struct{ root, run uint32 }

// intervalRows is about how many rows of the largest stream an interval of persons has.
const intervalRows = 1 << 15

// indexed is actors read through the run indexes of the events table.
type indexed struct {
	env     *Env
	node    plan.Node
	scan    *plan.Scan
	streams [][]*stream // per condition, by segment and then by event
	sweeps  [][]*sweep  // per condition, by segment
	lists   []*stream   // by rowRef.list: any stream over that range
	apart   bool        // conditions share no range
	values  *values32
	total   int // ordinals there are
	size    int // ordinals in an interval; 0 before readTimes
	need    need
	by      []expr.Expr // of the breakdown
	readers *eventReaders
	keep    bool        // segments keep the times that are read
	sparse  bool        // see fillSparse
	only    vec.Bitmap  // by ordinal: the actors who are in blocks; nil: all are
	marks   []listMarks // by rowRef.list, with need.whole
	lo, hi  int64
	filters int // streams with a condition on rows, or with dead ones
	rows    int64
	held    int64 // bytes accounted for
}

// openIndexed prepares the streams of a native operator over the events table. It says
// false if the source is anything else, or if persons were split and runs do not tell whose
// rows are. A source without an actor is one by person.
func openIndexed(ctx context.Context, n plan.Node, src *plan.Source, conds []expr.Expr, need need, env *Env) (*indexed, bool, error) {
	sc, ok := src.Input.(*plan.Scan)
	if !ok || !sc.Table.IsEvents() || src.Actor != nil && !isColumn(src.Actor, sc, "person_id") || src.Time != nil && !isColumn(src.Time, sc, "timestamp") {
		return nil, false, nil
	}
	env = env.counting(sc)
	ix := &indexed{env: env, node: n, scan: sc, need: need, total: env.Snapshot.Persons().Len(), streams: make([][]*stream, len(conds)), sweeps: make([][]*sweep, len(conds)), apart: true,
		lo: vec.InfinityTime, hi: vec.NegInfinityTime}
	readers, err := newEventReaders(sc.Columns, env)
	if err != nil {
		return nil, true, err
	}
	if err := env.findSessions(ctx, sc.Columns); err != nil {
		return nil, true, err
	}
	wanted := make([]*rowFilter, len(conds))
	for i, c := range conds {
		f := newRowFilter(sc, src.Where, c)
		if err := f.findPersons(ctx, env, need.rows || need.whole > 0); err != nil {
			return nil, true, err
		}
		if err := f.findTimes(env.Expr); err != nil {
			return nil, true, err
		}
		wanted[i] = f
	}
	if ix.readers = readers; src.Breakdown != nil {
		ix.by, ix.values = src.Breakdown.Exprs, newValues32(src.Breakdown.Exprs)
	}
	// What the operator cannot need, the scan has been told not to read.
	from, to, err := timeBounds(sc.From, sc.To, env)
	if err != nil {
		return nil, true, err
	}
	tests := make([][][]expr.Expr, len(conds)) // of rows, of each stream
	segments := slices.Clone(env.Snapshot.Segments())
	slices.SortStableFunc(segments, func(a, b *storage.Segment) int { return cmp.Compare(a.MinTime(), b.MinTime()) })
	st := env.Stats.Node(sc)
	for _, seg := range segments {
		if seg.MaxTime() < from || seg.MinTime() >= to {
			continue
		}
		dead, err := seg.Dead()
		if err != nil {
			return nil, true, err
		}
		if dead != nil && int(dead.GetCardinality()) == seg.Rows() {
			continue
		}
		if moved, err := seg.Moved(); moved != nil || err != nil {
			return nil, err != nil, err
		}
		any, ranges := false, rangesOf(sc, seg)
		if len(ranges) == 0 {
			continue
		}
		merged, err := mergedIn(seg, env)
		if err != nil {
			return nil, true, err
		}
		for _, f := range wanted {
			f.decideNames(env.Expr, ranges)
		}
		for _, rng := range ranges {
			hit := dead != nil && dead.IntersectsWithInterval(uint64(rng.Lo), uint64(rng.Hi))
			uses := 0
			for i, f := range wanted {
				if f.first > f.last || seg.MaxTime() < f.first || seg.MinTime() > f.last {
					continue
				}
				rest, ok, err := f.forRange(env.Expr, rng)
				if err != nil {
					return nil, true, err
				}
				if !ok {
					continue
				}
				s := &stream{seg: seg, rng: rng, list: uint32(len(ix.lists)), merged: merged, persons: f.persons}
				if seg.MinTime() < f.first || seg.MaxTime() > f.last {
					s.bounds = f
				}
				ix.streams[i] = append(ix.streams[i], s)
				if uses++; uses == 1 {
					ix.lists = append(ix.lists, s)
				}
				s.list = uint32(len(ix.lists) - 1)
				if hit {
					s.dead = dead
				}
				tests[i] = append(tests[i], rest)
				if len(rest) > 0 || hit || s.bounds != nil {
					ix.filters++
				}
				ix.rows += int64(rng.Hi - rng.Lo)
			}
			ix.apart = ix.apart && uses <= 1
			any = any || uses > 0
		}
		if any {
			if st != nil {
				st.reads(seg)
			}
			ix.lo, ix.hi = min(ix.lo, seg.MinTime()), max(ix.hi, seg.MaxTime())
		}
	}
	if st != nil {
		st.SegmentsTotal.Store(int64(len(segments)))
		st.RowsRead.Add(ix.rows)
		st.BytesRead.Add(ix.rows * 8)
		st.Rows.Add(ix.rows)
	}
	ix.usedIndex("run index")
	if src.Breakdown != nil {
		if ix.held, err = ix.fileValues(ix.rows * 4); err != nil { // stream.vals, or fewer stretches
			return nil, true, err
		}
		if err := env.hold(ctx, ix.held); err != nil {
			return nil, true, err
		}
	}
	ix.keep = len(segments) > 0 && segments[0].KeepsTimes(ix.rows)
	env.Progress.Rows.Add(ix.rows)
	env.Progress.Bytes.Add(ix.rows * 8)
	var jobs []func() error
	var done []func()
	for i, list := range ix.streams {
		for _, s := range list {
			jobs = append(jobs, func() error { return s.prepare(env) })
		}
		done = append(done, ix.evaluate(list, tests[i], wanted[i].byRow, func(job func() error) { jobs = append(jobs, job) })...)
	}
	if err := runJobs(ctx, env, jobs); err != nil {
		return nil, true, err
	}
	for _, f := range done {
		f()
	}
	ix.need.refs = ix.need.refs || !ix.apart
	return ix, true, nil
}

// usedIndex notes how rows are found.
func (ix *indexed) usedIndex(what string) {
	if ix.filters > 0 {
		what += ", with conditions on rows"
	}
	ix.env.usedIndex(ix.node, what)
}

// readTimes makes ready what blocks need to have the times of rows.
func (ix *indexed) readTimes(ctx context.Context) error {
	if ix.size > 0 {
		return nil
	}
	jobs := ix.findSweeps(ctx)
	if len(jobs) > 0 {
		ix.usedIndex("run index and order of rows")
	}
	if err := runJobs(ctx, ix.env, jobs); err != nil {
		return err
	}
	if err := ix.spreadValues(ctx); err != nil {
		return err
	}
	for _, list := range ix.sweeps {
		for _, w := range list {
			w.ready()
		}
	}
	if ix.need.whole > 0 {
		ix.findMarks()
		ix.sparse = ix.canBeSparse()
	}
	ix.need.refs = ix.need.refs || ix.need.ties && !ix.inTurn()
	ix.size = ix.intervalSize()
	return nil
}

// rowTimes reads the times of a segment's rows, which are asked for in order.
type rowTimes struct {
	seg   *storage.Segment
	keep  bool // the segment keeps what is read
	end   int  // no rows from here on are asked for
	first int  // row of times[0]
	times []int64
	space []int64 // used again for times that the segment does not keep
}

// open makes ready to read rows below end.
func (t *rowTimes) open(ix *indexed, seg *storage.Segment, end int) {
	t.seg, t.keep, t.end, t.times = seg, ix.keep, end, nil
}

// from is times of rows from a row on, at least one.
func (t *rowTimes) from(row int) ([]int64, error) {
	if at := row - t.first; at >= 0 && at < len(t.times) {
		return t.times[at:], nil
	}
	var err error
	if t.first = row; t.keep {
		t.times, err = t.seg.KeptTimes(row)
		return t.times, err
	}
	t.space = grow(t.space, min(intervalRows, t.end-row))
	t.times = t.space
	return t.times, t.seg.Times(t.times, row, row+len(t.times))
}

// copy fills dst with the times of rows from a row on.
func (t *rowTimes) copy(dst []int64, row int) error {
	for len(dst) > 0 {
		times, err := t.from(row)
		if err != nil {
			return err
		}
		n := copy(dst, times)
		dst, row = dst[n:], row+n
	}
	return nil
}

// isColumn says whether e reads the named column of the scan.
func isColumn(e expr.Expr, sc *plan.Scan, name string) bool {
	c, ok := e.(*expr.Column)
	return ok && sc.Columns[c.Index].Column == name
}

// runJobs runs jobs on the statement's goroutines.
func runJobs(ctx context.Context, env *Env, jobs []func() error) error {
	var next atomic.Int64
	return parallel(ctx, min(env.Threads, len(jobs)), func(ctx context.Context, _ int) error {
		for {
			i := int(next.Add(1)) - 1
			if i >= len(jobs) {
				return nil
			}
			if err := yield(ctx); err != nil {
				return err
			}
			if err := jobs[i](); err != nil {
				return err
			}
		}
	})
}

// streamRows is about how many rows can be read while the runs of an interval are looked up in a stream.
const streamRows = 16

// decodedRows is likewise where times are decoded again for each interval, since a part of a block takes more
// than its share of the time; an interval has up to mostDecoded rows for that.
const (
	decodedRows = 2048
	mostDecoded = 1 << 19
)

// intervalSize chooses how many ordinals to take at a time: so many that the largest list has
// about 32 K rows in an interval, or more where these are spread over very many streams, and that
// there is work for every goroutine.
func (ix *indexed) intervalSize() int {
	largest, wanted := 1, intervalRows
	for _, list := range ix.streams {
		rows := 0
		for _, s := range list {
			rows += s.rng.Hi - s.rng.Lo
		}
		largest, wanted = max(largest, rows), max(wanted, streamRows*len(list))
		if !ix.keep {
			wanted = max(wanted, min(decodedRows*len(list), mostDecoded))
		}
	}
	size := int(int64(ix.total)*int64(wanted)/int64(largest)) + 1
	return max(256, min(size, ix.total/(2*ix.env.Threads)+1))
}

// rowFilter is a condition on the rows of the events table, in conjuncts: those that read
// only the event's name are decided once per range, those that read only what persons have
// once per person, and bounds of the time once per segment, unless they lie in it.
type rowFilter struct {
	scan     *plan.Scan
	byName   []expr.Expr
	byPerson []expr.Expr
	byTime   []timeBound
	// first and last are the times that byTime lets pass; first is beyond last if there is none.
	first, last int64
	byRow       []expr.Expr
	cache       map[string]bool
	nulls       []*vec.Vector // by column of the scan
	persons     vec.Bitmap    // by ordinal: byPerson is true; nil: there is none
}

func newRowFilter(sc *plan.Scan, conds ...expr.Expr) *rowFilter {
	f := &rowFilter{scan: sc, cache: map[string]bool{}}
	for _, c := range conds {
		for _, e := range conjuncts(c) {
			switch {
			case readsOnly(e, sc, isEventName):
				f.byName = append(f.byName, e)
			case readsOnly(e, sc, ofPerson):
				f.byPerson = append(f.byPerson, e)
			default:
				if b, ok := boundOf(e, sc); ok {
					f.byTime = append(f.byTime, b)
				} else {
					f.byRow = append(f.byRow, e)
				}
			}
		}
	}
	return f
}

// conjuncts splits a condition at its top-level ANDs. No condition is none.
func conjuncts(e expr.Expr) []expr.Expr {
	if e == nil {
		return nil
	}
	and, ok := e.(*expr.And)
	if !ok {
		return []expr.Expr{e}
	}
	var out []expr.Expr
	for _, a := range and.Args {
		out = append(out, conjuncts(a)...)
	}
	return out
}

// readsOnly says whether an expression is known by such columns of the scan: it reads no others,
// and is not volatile.
func readsOnly(e expr.Expr, sc *plan.Scan, columns func(*plan.ScanColumn) bool) bool {
	only := !expr.Volatile(e)
	expr.Walk(e, func(e expr.Expr) bool {
		if c, ok := e.(*expr.Column); ok && !columns(&sc.Columns[c.Index]) {
			only = false
		}
		return only
	})
	return only
}

// timeBound is a comparison of the time of a row with something that is the same for all rows.
type timeBound struct {
	op    string // with the time on its left
	bound expr.Expr
}

// boundOf is a condition as a bound of the time, if it is one.
func boundOf(e expr.Expr, sc *plan.Scan) (b timeBound, ok bool) {
	c, ok := e.(*expr.Call)
	if !ok || len(c.Args) != 2 || c.Args[0].Type() != vec.T(vec.TimestampTZ) || c.Args[1].Type() != vec.T(vec.TimestampTZ) {
		return b, false
	}
	b = timeBound{c.Overload.Fn.Name, c.Args[1]}
	if !isColumn(c.Args[0], sc, sc.Table.Time) {
		b = timeBound{turned[b.op], c.Args[0]}
		if !isColumn(c.Args[1], sc, sc.Table.Time) {
			return b, false
		}
	}
	return b, turned[b.op] != "" && readsOnly(b.bound, sc, func(*plan.ScanColumn) bool { return false })
}

// turned is a comparison with its sides exchanged.
var turned = map[string]string{"<": ">", "<=": ">=", ">": "<", ">=": "<="}

// findTimes computes the bounds of the time.
func (f *rowFilter) findTimes(ctx *expr.Context) error {
	f.first, f.last = math.MinInt64, math.MaxInt64
	for _, b := range f.byTime {
		v, err := b.bound.Eval(ctx, &vec.Batch{Rows: 1})
		if err != nil {
			return err
		}
		none := v.IsNull(0)
		if !none {
			v, i := v.At(0)
			at := v.I64[i]
			switch b.op {
			case "<":
				f.last, none = min(f.last, at-1), at == math.MinInt64
			case "<=":
				f.last = min(f.last, at)
			case ">":
				f.first, none = max(f.first, at+1), at == math.MaxInt64
			case ">=":
				f.first = max(f.first, at)
			}
		}
		if none {
			f.first, f.last = math.MaxInt64, math.MinInt64
			return nil
		}
	}
	return nil
}

// forRange says whether rows of a range can satisfy the filter, and what is left to decide
// for each of them.
func (f *rowFilter) forRange(ctx *expr.Context, rng *segment.Range) ([]expr.Expr, bool, error) {
	ok, known := true, len(f.byName) == 0
	if !known {
		ok, known = f.cache[rng.Event]
	}
	if !known {
		var err error
		if ok, err = f.always(ctx, f.byName, rng); err != nil {
			return nil, false, err
		}
		f.cache[rng.Event] = ok
	}
	if !ok {
		return nil, false, nil
	}
	var rest []expr.Expr
	for i, e := range f.byRow {
		if !readsOnly(e, f.scan, func(c *plan.ScanColumn) bool { return c.Column == "event" || absent(c, rng) }) {
			rest = append(rest, e)
			continue
		}
		if ok, err := f.always(ctx, f.byRow[i:i+1], rng); !ok || err != nil {
			return nil, false, err
		}
	}
	return rest, true, nil
}

// absent says whether a column is null in all rows of a range, as properties are that none
// of them carries.
func absent(c *plan.ScanColumn, rng *segment.Range) bool {
	if key, ok := propertyColumns[c.Column]; ok {
		return !rng.Carries(key)
	}
	return c.Column == "properties" && len(c.Path) == 1 && !rng.Carries(c.Path[0])
}

// decideNames decides the conditions on the event's name for all of the ranges together. Names for which
// one of them fails are left to forRange, which tells.
func (f *rowFilter) decideNames(ctx *expr.Context, ranges []*segment.Range) {
	if len(f.byName) == 0 || len(ranges) < 2 {
		return
	}
	for len(ranges) > 0 {
		part := ranges[:min(len(ranges), vec.BatchRows)]
		ranges = ranges[len(part):]
		names := vec.MakeStrings(len(part), 16*len(part))
		for _, rng := range part {
			if _, known := f.cache[rng.Event]; !known {
				names.Append([]byte(rng.Event))
			}
		}
		if names.Len() == 0 {
			continue
		}
		kept, err := f.keepNames(ctx, f.byName, &vec.Vector{Type: vec.T(vec.Text), Str: names}, names.Len())
		if err != nil {
			return
		}
		for i := range names.Len() {
			f.cache[string(names.At(i))] = false
		}
		if kept.Sel == nil {
			for i := range kept.Rows {
				f.cache[string(names.At(i))] = true
			}
		}
		for _, i := range kept.Sel {
			f.cache[string(names.At(int(i)))] = true
		}
	}
}

// always says whether conditions that read no columns but the event's name, and such as are
// null, are true in a range.
func (f *rowFilter) always(ctx *expr.Context, conds []expr.Expr, rng *segment.Range) (bool, error) {
	if len(conds) == 0 {
		return true, nil
	}
	kept, err := f.keepNames(ctx, conds, constText(rng.Event), 1)
	return err == nil && kept.Live() > 0, err
}

// keepNames is those of so many names of events for which conditions are true that read nothing else, but
// for columns that are null.
func (f *rowFilter) keepNames(ctx *expr.Context, conds []expr.Expr, names *vec.Vector, count int) (*vec.Batch, error) {
	if f.nulls == nil {
		for _, c := range f.scan.Columns {
			f.nulls = append(f.nulls, vec.NullConst(c.Type))
		}
	}
	b := &vec.Batch{Rows: count, Cols: slices.Clone(f.nulls)}
	for i, c := range f.scan.Columns {
		if c.Column == "event" {
			b.Cols[i] = names
		}
	}
	for _, e := range conds {
		var err error
		if b, err = keepTrue(ctx, e, b); err != nil || b.Live() == 0 {
			return b, err
		}
	}
	return b, nil
}

// prepare reads the runs.
func (s *stream) prepare(env *Env) (err error) {
	if s.runs, err = s.rng.Runs(); err != nil {
		return err
	}
	if s.byDay {
		if s.masks, err = s.rng.DayMasks(); err != nil {
			return err
		}
		s.findDays()
	}
	s.findMoved(env)
	return nil
}

// findMoved lists the runs of persons that were merged into another one, and marks those to
// be skipped.
func (s *stream) findMoved(env *Env) {
	if s.merged != nil {
		s.markMoved(s.merged, env.Snapshot.Identity().Root)
	}
	if s.persons != nil {
		s.skip = unwanted(s.skip, s.runs.Ordinals, s.persons)
		s.moved = slices.DeleteFunc(s.moved, func(m movedRun) bool { return !s.persons.Get(int(m.root)) })
	}
}

// movedIn is the runs that were moved to the persons [lo, hi).
func (s *stream) movedIn(lo, hi uint32) []movedRun {
	a := sort.Search(len(s.moved), func(i int) bool { return s.moved[i].root >= lo })
	b := sort.Search(len(s.moved), func(i int) bool { return s.moved[i].root >= hi })
	return s.moved[a:b]
}

// unwanted adds to the persons to be skipped those who are not wanted.
func unwanted(skip vec.Bitmap, ordinals []uint32, wanted vec.Bitmap) vec.Bitmap {
	if skip == nil {
		skip = vec.NewBitmap(len(ordinals))
	}
	if len(ordinals) > 0 { // they ascend
		wanted = wanted.Grow(int(ordinals[len(ordinals)-1]) + 1)
	}
	for at := 0; at < len(ordinals); at += 64 {
		word := uint64(0)
		for i, o := range ordinals[at:min(at+64, len(ordinals))] { // without a branch that nobody can foresee
			word |= (^wanted[o>>6] >> (o & 63) & 1) << i
		}
		skip[at>>6] |= word
	}
	return skip
}

func (s *stream) markMoved(merged *roaring.Bitmap, root func(uint32) uint32) {
	eachPosition(s.runs.Ordinals, merged, func(at int, o uint32) {
		if s.skip == nil {
			s.skip = vec.NewBitmap(len(s.runs.Ordinals))
		}
		s.skip.Set(at)
		s.moved = append(s.moved, movedRun{root(o), uint32(at)})
	})
	sort.Slice(s.moved, func(i, j int) bool { return s.moved[i].root < s.moved[j].root })
}

// eachPosition visits the ordinals, which ascend, that are in a set.
func eachPosition(ordinals []uint32, set *roaring.Bitmap, visit func(at int, ordinal uint32)) {
	// Either may be far longer than the other.
	at := 0
	for it := set.Iterator(); it.HasNext() && at < len(ordinals); {
		o := it.PeekNext()
		if o < ordinals[at] {
			it.AdvanceIfNeeded(ordinals[at])
			continue
		}
		if at += lowerBound(ordinals[at:], o); at < len(ordinals) && ordinals[at] == o {
			visit(at, o)
			at++
		}
	}
}

func (ix *indexed) disjoint() bool         { return ix.apart }
func (ix *indexed) bounds() (int64, int64) { return ix.lo, ix.hi }
func (ix *indexed) breakdown() *values32   { return ix.values }

func (ix *indexed) vector(ids []uint32) *vec.Vector {
	return &vec.Vector{Type: vec.T(vec.UUID), Form: vec.Dict, Dict: ix.env.Snapshot.Persons().UUIDVector(), Codes: ids}
}

// before orders rows of one time by uuid.
func (ix *indexed) before(a, b rowRef) (int, error) {
	if a == b {
		return 0, nil
	}
	var u [2][1]vec.UUIDValue
	for i, r := range []rowRef{a, b} {
		if err := ix.lists[r.list].seg.UUIDs(u[i][:], int(r.row), int(r.row)+1); err != nil {
			return 0, err
		}
	}
	return compareUUID(u[0][0], u[1][0]), nil
}

func compareUUID(a, b vec.UUIDValue) int {
	for i := range a {
		if a[i] != b[i] {
			return int(a[i]) - int(b[i])
		}
	}
	return 0
}

func (ix *indexed) blocks(ctx context.Context, f func(context.Context, int, *block) error) error {
	n, err := ix.divide(ctx)
	if err != nil {
		return err
	}
	fillers := make([]filler, ix.env.Threads)
	defer func() {
		for i := range fillers {
			ix.env.release(fillers[i].held)
		}
	}()
	return intervals(ctx, ix.env, n, 1, func(ctx context.Context, w, i, _ int) error {
		if lo := i * ix.size; ix.only != nil && countBits(ix.only, lo, min(lo+ix.size, ix.total)) == 0 {
			return nil
		}
		b, err := ix.block(ctx, &fillers[w], i)
		if err != nil {
			return err
		}
		return f(ctx, w, b)
	})
}

func (ix *indexed) divide(ctx context.Context) (int, error) {
	if err := ix.readTimes(ctx); err != nil {
		return 0, err
	}
	return (ix.total + ix.size - 1) / ix.size, nil
}

func (ix *indexed) block(ctx context.Context, fl *filler, i int) (*block, error) {
	lo, hi := i*ix.size, min((i+1)*ix.size, ix.total)
	fl.block.base, fl.block.count = uint32(lo), hi-lo
	fl.sorter.before = ix.before
	if fl.block.conds == nil {
		fl.block.conds = make([]csr, len(ix.streams))
	}
	return &fl.block, fl.fillAll(ctx, ix, uint32(lo), uint32(hi))
}

// filler makes the blocks of one goroutine, in memory that it uses again.
type filler struct {
	block  block
	at     []uint32 // next free position of each actor
	times  rowTimes
	spans  []span
	next   []int    // by list: behind the runs that were found last
	runs   []uint32 // of a span: wantedRuns
	mixed  []uint32 // actors whose rows did not arrive in order
	sorter actorSorter
	values frameReader
	sweeper
	reached
	held int64 // bytes that are accounted for
}

// fillAll gathers the rows of the actors [lo, hi).
func (fl *filler) fillAll(ctx context.Context, ix *indexed, lo, hi uint32) error {
	need := &ix.need
	if ix.only != nil {
		return fl.fillOnly(ctx, ix, lo, hi)
	}
	if need.steps > 0 {
		fl.findReached(ix, lo, hi)
	}
	for i := range ix.streams {
		var want wanted
		switch {
		case need.whole == i && i > 0:
			continue
		case need.whole > 0 && need.steps > 0: // the rows of the whole list say what they are
			fl.block.conds[i].reset(int(hi-lo), 0)
			continue
		case need.steps > 0:
			want = fl.wantedOf(need, i)
		}
		if err := fl.fill(ctx, ix, i, want, lo, hi); err != nil {
			return err
		}
	}
	switch {
	case need.whole == 0:
		return nil
	case need.steps > 0:
		want := fl.wantedOf(need, need.whole)
		if ix.sparse {
			if ok, err := fl.fillSparse(ctx, ix, need.whole, want, lo, hi); ok || err != nil {
				return err
			}
		}
		return fl.fill(ctx, ix, need.whole, want, lo, hi)
	}
	return fl.fill(ctx, ix, need.whole, fl.inOthers(need.whole), lo, hi)
}

// fillOnly gathers the rows of those of the actors [lo, hi) alone who are asked for.
func (fl *filler) fillOnly(ctx context.Context, ix *indexed, lo, hi uint32) error {
	fl.level = grow(fl.level, fl.block.count)
	clear(fl.level)
	for a := range fl.level {
		if ix.only.Get(int(lo) + a) {
			fl.level[a] = 1
		}
	}
	want := wanted{fl.level, 1}
	for i := range ix.streams {
		if ix.inSweeps(i) {
			if ok, err := fl.fillSparse(ctx, ix, i, want, lo, hi); err != nil {
				return err
			} else if ok {
				continue
			}
		}
		if err := fl.fill(ctx, ix, i, want, lo, hi); err != nil {
			return err
		}
	}
	return nil
}

// inOthers is the actors who have rows in any list but one.
func (fl *filler) inOthers(but int) wanted {
	fl.level = grow(fl.level, fl.block.count)
	clear(fl.level)
	for i := range fl.block.conds {
		c := &fl.block.conds[i]
		for a := range fl.level {
			if i != but && c.countOf(a) > 0 {
				fl.level[a] = 1
			}
		}
	}
	return wanted{fl.level, 1}
}

// span is the runs of a stream that fall into an interval.
type span struct {
	s      *stream
	lo, hi int // runs
	moved  []movedRun
}

// findSpans finds the runs of the persons [lo, hi), those that a sweep reads only if that is
// asked for.
func (fl *filler) findSpans(ix *indexed, cond int, swept bool, lo, hi uint32) {
	fl.spans, fl.next = fl.spans[:0], grow(fl.next, len(ix.lists))
	for _, s := range ix.streams[cond] {
		sp := span{s: s}
		if !s.swept || swept {
			next := &fl.next[s.list]
			sp.lo, sp.hi = placesFrom(s.runs.Ordinals, *next, lo, hi)
			*next = sp.hi
		}
		sp.moved = s.movedIn(lo, hi)
		if sp.lo < sp.hi || len(sp.moved) > 0 {
			fl.spans = append(fl.spans, sp)
		}
	}
}

// count adds how many rows each of the actors from base on has, if they are wanted.
func (sp *span) count(count []uint32, want wanted, base uint32) {
	s := sp.s
	ordinals, starts := s.runs.Ordinals[sp.lo:sp.hi], s.runs.Starts[sp.lo:]
	for r, o := range ordinals {
		if actor := o - base; want.has(actor) && !s.skips(sp.lo+r) {
			count[actor] += uint32(s.countRows(int(starts[r]), int(starts[r+1])))
		}
	}
	for _, m := range sp.moved {
		if actor := m.root - base; want.has(actor) {
			count[actor] += uint32(s.countRows(int(s.runs.Starts[m.run]), int(s.runs.Starts[m.run+1])))
		}
	}
}

// skips says whether a run's rows come as a moved run, or not at all.
func (s *stream) skips(run int) bool { return s.skip != nil && s.skip.Get(run) }

// fill gathers the rows of one condition for the actors [lo, hi), or only for those of them
// who are wanted.
func (fl *filler) fill(ctx context.Context, ix *indexed, cond int, want wanted, lo, hi uint32) error {
	c := &fl.block.conds[cond]
	n := int(hi - lo)
	fl.findSpans(ix, cond, false, lo, hi)
	// Count the rows of each actor, and make the counts offsets. Those of steps findReached has
	// counted, whoever is wanted.
	counted := cond < ix.need.steps
	if !counted {
		c.reset(n, 0)
	}
	count := c.off[1:]
	for i := 0; i < len(fl.spans) && !counted; i++ {
		fl.spans[i].count(count, want, lo)
	}
	for _, w := range ix.sweeps[cond] {
		w.count(count, want, lo, hi)
	}
	total := uint32(0)
	if want.level == nil {
		for i, k := range count {
			total += k
			count[i] = total
		}
	} else {
		for i, level := range want.level[:len(count)] { // without a branch that nobody can foresee
			all := uint32(0)
			if level >= want.least {
				all = math.MaxUint32
			}
			total += count[i] & all
			count[i] = total
		}
	}
	c.times = grow(c.times, int(total))
	if ix.values != nil {
		c.vals = grow(c.vals, int(total))
	}
	if ix.need.number != nil {
		c.nums = grow(c.nums, int(total))
	}
	if ix.need.refs {
		c.refs = grow(c.refs, int(total))
	}
	if err := fl.hold(ctx, ix.env); err != nil {
		return err
	}
	fl.at = grow(fl.at, n)
	copy(fl.at, c.off[:n])
	fl.mixed = fl.mixed[:0]
	for i := range fl.spans {
		if err := fl.copySpan(ix, c, &fl.spans[i], want, lo); err != nil {
			return err
		}
	}
	for _, w := range ix.sweeps[cond] {
		if err := fl.copySweep(ix, c, w, want, lo, hi); err != nil {
			return err
		}
	}
	last := ^uint32(0)
	for _, a := range fl.mixed {
		if a == last {
			continue
		}
		last = a
		from, to := c.off[a], c.off[a+1]
		var vals []uint32
		var nums []int64
		var refs []rowRef
		if c.vals != nil {
			vals = c.vals[from:to]
		}
		if c.nums != nil {
			nums = c.nums[from:to]
		}
		if c.refs != nil {
			refs = c.refs[from:to]
		}
		if err := fl.sorter.sort(c.times[from:to], vals, nums, refs); err != nil {
			return err
		}
	}
	return nil
}

// hold accounts for the lists.
func (fl *filler) hold(ctx context.Context, env *Env) error {
	bytes := int64(0)
	for i := range fl.block.conds {
		c := &fl.block.conds[i]
		bytes += 4*int64(cap(c.off)+cap(c.vals)) + 8*int64(cap(c.times)+cap(c.nums)+cap(c.refs))
	}
	bytes += fl.values.bytes()
	more := bytes - fl.held
	fl.held = bytes
	return env.hold(ctx, more)
}

// each visits the runs of a span: the actor, and the segment rows of the run.
func (sp *span) each(f func(actor uint32, from, to int)) {
	ordinals, starts := sp.s.runs.Ordinals, sp.s.runs.Starts
	for r := sp.lo; r < sp.hi; r++ {
		if sp.s.skip != nil && sp.s.skip.Get(r) {
			continue
		}
		f(ordinals[r], int(starts[r]), int(starts[r+1]))
	}
	for _, m := range sp.moved {
		f(m.root, int(starts[m.run]), int(starts[m.run+1]))
	}
}

// countRows is how many of the segment rows [from, to) match.
func (s *stream) countRows(from, to int) int {
	if s.match == nil {
		return to - from
	}
	return countBits(s.match, from-s.rng.Lo, to-s.rng.Lo)
}

// copySpan appends the rows of a span to their actors' lists.
func (fl *filler) copySpan(ix *indexed, c *csr, sp *span, want wanted, base uint32) error {
	s := sp.s
	fl.times.open(ix, s.seg, int(s.runs.Starts[sp.hi]))
	simple := s.match == nil && c.vals == nil && c.nums == nil && c.refs == nil
	starts := s.runs.Starts
	vals, err := fl.values.window(s, int(starts[sp.lo]), int(starts[sp.hi]))
	if err != nil {
		return err
	}
	for _, r := range fl.wantedRuns(sp, want, base) {
		if s.skips(int(r)) {
			continue
		}
		o, from, to := s.runs.Ordinals[r], int(starts[r]), int(starts[r+1])
		if at := from - fl.times.first; simple && at >= 0 && to-fl.times.first <= len(fl.times.times) {
			// The usual case: a few rows of a block.
			begin := fl.at[o-base]
			times := fl.times.times[at : to-fl.times.first]
			room := c.times[begin:][:len(times)]
			for i, t := range times {
				room[i] = t
			}
			fl.at[o-base] = begin + uint32(len(times))
			fl.seam(c, o-base, begin)
			continue
		}
		if err := fl.copyRun(c, s, o-base, from, to, vals); err != nil {
			return err
		}
	}
	for _, m := range sp.moved {
		if !want.has(m.root - base) {
			continue
		}
		from, to := int(s.runs.Starts[m.run]), int(s.runs.Starts[m.run+1])
		fl.times.open(ix, s.seg, to)
		if vals, err = fl.values.window(s, from, to); err != nil {
			return err
		}
		if err := fl.copyRun(c, s, m.root-base, from, to, vals); err != nil {
			return err
		}
	}
	return nil
}

// wantedRuns is the runs of a span whose actors are wanted, until the next call.
func (fl *filler) wantedRuns(sp *span, want wanted, base uint32) []uint32 {
	fl.runs = grow(fl.runs, sp.hi-sp.lo)
	if want.level == nil {
		for i := range fl.runs {
			fl.runs[i] = uint32(sp.lo + i)
		}
		return fl.runs
	}
	n := 0
	for i, o := range sp.s.runs.Ordinals[sp.lo:sp.hi] { // without a branch that nobody can foresee
		one := 0
		if want.level[o-base] >= want.least {
			one = 1
		}
		fl.runs[n] = uint32(sp.lo + i)
		n += one
	}
	return fl.runs[:n]
}

// copyRun appends the matching rows of a run, [from, to), to an actor's list, with their values out of a window.
func (fl *filler) copyRun(c *csr, s *stream, actor uint32, from, to int, vals valueWindow) error {
	at := fl.at[actor]
	begin := at
	plain := c.nums == nil && c.refs == nil
	for from < to {
		times, err := fl.times.from(from)
		if err != nil {
			return err
		}
		times = times[:min(len(times), to-from)]
		switch {
		case plain && s.match == nil:
			copy(c.times[at:], times)
			if c.vals != nil {
				copy(c.vals[at:], vals.vals[from-vals.first:][:len(times)])
			}
			at, from = at+uint32(len(times)), from+len(times)
			continue
		case plain:
			at = fl.copyMatches(c, s, at, times, from, vals)
			from += len(times)
			continue
		}
		for i, t := range times {
			row := from + i
			if s.match != nil && !s.match.Get(row-s.rng.Lo) {
				continue
			}
			c.times[at] = t
			if c.vals != nil {
				c.vals[at] = vals.vals[row-vals.first]
			}
			if c.nums != nil {
				c.nums[at] = s.nums[row-s.rng.Lo]
			}
			if c.refs != nil {
				c.refs[at] = rowRef{s.list, uint32(row)}
			}
			at++
		}
		from += len(times)
	}
	fl.at[actor] = at
	fl.seam(c, actor, begin)
	return nil
}

// copyMatches appends the matching ones of the rows from a row on to an actor's list, which goes on
// at at, and gives where it then does.
func (fl *filler) copyMatches(c *csr, s *stream, at uint32, times []int64, from int, vals valueWindow) uint32 {
	first := from - s.rng.Lo
	for i := 0; i < len(times); {
		// The bits of a word from the row on, as many as there are rows.
		shift := (first + i) & 63
		n := min(64-shift, len(times)-i)
		w := s.match[(first+i)>>6] >> shift & (^uint64(0) >> (64 - n))
		for ; w != 0; w &= w - 1 {
			r := i + bits.TrailingZeros64(w)
			c.times[at] = times[r]
			if c.vals != nil {
				c.vals[at] = vals.vals[from-vals.first+r]
			}
			at++
		}
		i += n
	}
	return at
}

// seam notes whether an actor's list is in order where rows, which are in order themselves,
// were appended. Equal times are put in order too where the tie-break is kept.
func (fl *filler) seam(c *csr, actor, begin uint32) {
	if begin > c.off[actor] && fl.at[actor] > begin {
		if a, b := c.times[begin-1], c.times[begin]; a > b || a == b && c.refs != nil {
			fl.mixed = append(fl.mixed, actor)
		}
	}
}

// placesOf is the positions of the ordinals in [lo, hi).
func placesOf(ordinals []uint32, lo, hi uint32) (from, to int) {
	from = lowerBound(ordinals, lo)
	return from, upTo(ordinals, from, lo, hi)
}

// placesFrom is placesOf where these are likely to be at a position or not far behind: leaps that double, then a
// search among near ones.
func placesFrom(ordinals []uint32, at int, lo, hi uint32) (from, to int) {
	if at > 0 && (at > len(ordinals) || ordinals[at-1] >= lo) {
		return placesOf(ordinals, lo, hi)
	}
	leap := 16
	for ; at+leap < len(ordinals) && ordinals[at+leap] < lo; leap *= 2 {
		at += leap
	}
	from = at + lowerBound(ordinals[at:min(at+leap, len(ordinals))], lo)
	return from, upTo(ordinals, from, lo, hi)
}

// upTo is the first position whose ordinal is at least hi, if from is that of lo.
func upTo(ordinals []uint32, from int, lo, hi uint32) int {
	near := ordinals[from:]
	if uint32(len(near)) > hi-lo {
		near = near[:hi-lo] // no ordinal is there twice
	}
	return from + lowerBound(near, hi)
}

// lowerBound is the first position whose ordinal is at least o.
func lowerBound(ordinals []uint32, o uint32) int {
	lo, hi := 0, len(ordinals)
	for lo < hi {
		mid := (lo + hi) >> 1
		if ordinals[mid] < o {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}
