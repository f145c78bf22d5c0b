package exec

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage"
	"github.com/prickledb/prickle/storage/event"
	"github.com/prickledb/prickle/storage/segment"
	"github.com/prickledb/prickle/storage/table"
	"github.com/prickledb/prickle/storage/vec"
)

// morselRows is how many rows a goroutine takes from a scan at a time.
const morselRows = 8 * vec.BatchRows

// morsel is a stretch of rows in one segment: of one event, or of several that are rare.
type morsel struct {
	seg    *storage.Segment
	rng    *segment.Range   // nil if there are several events
	ranges []*segment.Range // these, then
	of     *segment.Stretch // where the properties are
	lo, hi int
	dead   *roaring.Bitmap // rows of the segment that do not count; nil for none
	place  int             // among those of the scan, of the first one that it was made of
}

// morselOf is rows of one event.
func morselOf(seg *storage.Segment, rng *segment.Range) morsel {
	return morsel{seg: seg, rng: rng, of: &rng.Stretch, lo: rng.Lo, hi: rng.Hi}
}

// events is the ranges that have rows of [lo, hi).
func (m *morsel) events(lo, hi int) []*segment.Range {
	if m.rng != nil {
		return []*segment.Range{m.rng}
	}
	from := sort.Search(len(m.ranges), func(i int) bool { return m.ranges[i].Hi > lo })
	to := sort.Search(len(m.ranges), func(i int) bool { return m.ranges[i].Lo >= hi })
	return m.ranges[from:to]
}

// nameRuns is the names of the events of rows [lo, hi), one for each event, and where the rows of each end.
func (m *morsel) nameRuns(lo, hi int) (*vec.Vector, []uint32) {
	events := m.events(lo, hi)
	if len(events) == 1 {
		return constText(events[0].Event), []uint32{uint32(hi - lo)}
	}
	v := &vec.Vector{Type: vec.T(vec.Text), Str: vec.MakeStrings(len(events), 16*len(events))}
	ends := make([]uint32, len(events))
	for i, rng := range events {
		v.Str.AppendString(rng.Event)
		ends[i] = uint32(min(rng.Hi, hi) - lo)
	}
	return v, ends
}

// names is the names of the events of rows [lo, hi).
func (m *morsel) names(lo, hi int) *vec.Vector {
	runs, ends := m.nameRuns(lo, hi)
	if len(ends) == 1 {
		return runs
	}
	codes, from := make([]uint32, hi-lo), 0
	for i, end := range ends {
		for ; from < int(end); from++ {
			codes[from] = uint32(i)
		}
	}
	return &vec.Vector{Type: vec.T(vec.Text), Form: vec.Dict, Codes: codes, Dict: runs}
}

func constText(text string) *vec.Vector {
	return &vec.Vector{Type: vec.T(vec.Text), Form: vec.Const, Str: vec.StringsOf(text)}
}

// scanSource is a scan that several goroutines share: which morsels there are, and which
// were taken.
type scanSource struct {
	node         *plan.Scan
	env          *Env
	stats        *NodeStats
	morsels      []morsel  // as they are stored: there may be very many
	divide       sync.Once // makes what follows
	taken        []morsel  // what goroutines take
	parts        []scanPart
	readers      atomic.Int64 // goroutines that have taken something
	columns      []columnReader
	batches      []*vec.Batch  // tables of persons: all rows
	sessions     *sessionTable // the table of them; nil for any other
	pieces       []table.Piece // user tables
	pieceColumns []pieceColumn
	stored       []*table.Column // of each column, what is read as it is; else nil
	order        *valueOrder     // nil: morsels come as they are stored
	runs         []runReader     // of each column, where rows that are alike come as one; else nil
	oids         []int           // where plan.TableOID stands among the columns
	numbers      *rowNumbers     // whose rows these are, and one column more; nil: all rows that are there
}

// columnReader reads one column of a morsel's rows, in slices of an arena where it can.
type columnReader func(a *vec.Arena, m morsel, lo, hi int) (*vec.Vector, error)

// newScanSource chooses what to read: segments by time, ranges by event name.
func newScanSource(n *plan.Scan, env *Env) (*scanSource, error) {
	if n.Table.IsEvents() || n.Table.Name == "sessions" {
		env = env.counting(n)
	}
	s := &scanSource{env: env, stats: env.Stats.Node(n)}
	n, s.oids = withoutOID(n)
	s.node = n
	if n.Table.Schema != nil {
		return s, s.openTable()
	}
	if n.Table.System != "" {
		return s, s.openSystem()
	}
	if n.Table.Name == "sessions" {
		var err error
		s.sessions, err = newSessionTable(n.Columns, env)
		return s, err
	}
	if !n.Table.IsEvents() {
		batches, err := tableBatches(n, env)
		s.batches = batches
		return s, err
	}
	from, to, err := timeBounds(n.From, n.To, env)
	if err != nil {
		return nil, err
	}
	who := findWhose(n.Whose, env)
	segments := env.Snapshot.Segments()
	for _, seg := range segments {
		if seg.MaxTime() < from || seg.MinTime() >= to {
			continue
		}
		dead, err := seg.Dead()
		if err != nil {
			return nil, err
		}
		if err := who.open(seg); err != nil {
			return nil, err
		}
		for _, rng := range rangesOf(n, seg) {
			err := who.rows(rng, func(from, to int) {
				for lo := from; lo < to; lo += morselRows {
					m := morselOf(seg, rng)
					m.lo, m.hi, m.dead = lo, min(to, lo+morselRows), dead
					s.morsels = append(s.morsels, m)
				}
			})
			if err != nil {
				return nil, err
			}
		}
	}
	if s.stats != nil {
		s.stats.SegmentsTotal.Store(int64(len(segments)))
	}
	for _, c := range n.Columns {
		r, err := eventColumn(c, env)
		if err != nil {
			return nil, err
		}
		s.columns = append(s.columns, r)
	}
	return s, nil
}

// timeBounds evaluates the constant bounds of a scan; missing ones are open.
func timeBounds(from, to expr.Expr, env *Env) (int64, int64, error) {
	lo, hi := vec.NegInfinityTime, vec.InfinityTime
	for _, b := range []struct {
		e   expr.Expr
		dst *int64
	}{{from, &lo}, {to, &hi}} {
		if b.e == nil {
			continue
		}
		v, err := b.e.Eval(env.Expr, &vec.Batch{Rows: 1})
		if err != nil {
			return 0, 0, err
		}
		if v.IsNull(0) { // a comparison with NULL is true for no row
			return vec.InfinityTime, vec.NegInfinityTime, nil
		}
		v, i := v.At(0)
		*b.dst = v.I64[i]
	}
	return lo, hi, nil
}

// runReader reads one column of a morsel's rows with a row for each stretch of rows that have the
// same value, and where each ends, counted from lo. It says false where they are not kept so.
type runReader func(room *segment.RunRoom, m morsel, lo, hi int) (v *vec.Vector, ends []uint32, ok bool, err error)

// eventReaders is how to read columns of the events table.
type eventReaders struct {
	rows []columnReader
	runs []runReader // nil for what is never kept as runs
}

func newEventReaders(columns []plan.ScanColumn, env *Env) (*eventReaders, error) {
	r := &eventReaders{make([]columnReader, len(columns)), make([]runReader, len(columns))}
	for i, c := range columns {
		var err error
		if r.rows[i], err = eventColumn(c, env); err != nil {
			return nil, err
		}
		r.runs[i] = propertyRuns(c, env)
	}
	return r, nil
}

// propertyReading is how to read a property that is kept as codes; false if the column is none.
func propertyReading(c *plan.ScanColumn) (key string, as event.Reading, ok bool) {
	key = propertyKey(c)
	as, ok = event.ReadingOf(c.Type, c.Digits)
	return key, as, ok && key != ""
}

// propertyRuns is how to read a property as runs; nil if the column is none.
func propertyRuns(c plan.ScanColumn, env *Env) runReader {
	key, as, ok := propertyReading(&c)
	if !ok {
		return nil
	}
	return func(room *segment.RunRoom, m morsel, lo, hi int) (*vec.Vector, []uint32, bool, error) {
		return m.of.ReadRuns(room, key, as, env.Expr.Location, lo, hi)
	}
}

// propertyColumns are the columns of events that are kept as properties.
var propertyColumns = map[string]string{
	"session_id": "$session_id", "window_id": "$window_id", "elements_chain": "$elements_chain",
	"group_0": "$group_0", "group_1": "$group_1", "group_2": "$group_2", "group_3": "$group_3", "group_4": "$group_4",
}

// eventColumn is how to read one column of the events table.
func eventColumn(c plan.ScanColumn, env *Env) (columnReader, error) {
	if key, ok := propertyColumns[c.Column]; ok {
		return propertyReader(key, c, env)
	}
	if strings.HasPrefix(c.Column, personPrefix) {
		return personReader(c, env)
	}
	if strings.HasPrefix(c.Column, sessionPrefix) {
		return sessionReader(strings.TrimPrefix(c.Column, sessionPrefix), env)
	}
	if name, column, ok := strings.Cut(c.Column, "."); ok && strings.HasPrefix(name, "group_") && propertyColumns[name] != "" {
		return groupReader(int(name[len(name)-1]-'0'), column, c, env)
	}
	switch c.Column {
	case plan.RowPlace:
		return placeReader(env), nil
	case "properties":
		switch len(c.Path) {
		case 0:
			return func(a *vec.Arena, m morsel, lo, hi int) (*vec.Vector, error) { return m.of.Properties(lo, hi) }, nil
		case 1:
			return propertyReader(c.Path[0], c, env)
		}
		return nestedReader(c, env)
	case "event":
		return func(a *vec.Arena, m morsel, lo, hi int) (*vec.Vector, error) { return m.names(lo, hi), nil }, nil
	case "uuid":
		return func(a *vec.Arena, m morsel, lo, hi int) (*vec.Vector, error) {
			v := &vec.Vector{Type: vec.T(vec.UUID), UUIDs: make([]vec.UUIDValue, hi-lo)}
			return v, m.seg.UUIDs(v.UUIDs, lo, hi)
		}, nil
	case "timestamp":
		return func(a *vec.Arena, m morsel, lo, hi int) (*vec.Vector, error) {
			v := &vec.Vector{Type: vec.T(vec.TimestampTZ), I64: a.Int64s(hi - lo)}
			return v, m.seg.Times(v.I64, lo, hi)
		}, nil
	case "created_at":
		return func(a *vec.Arena, m morsel, lo, hi int) (*vec.Vector, error) {
			v := &vec.Vector{Type: vec.T(vec.TimestampTZ), I64: a.Int64s(hi - lo)}
			return v, m.seg.CreatedAt(v.I64, lo, hi)
		}, nil
	case "distinct_id":
		return func(a *vec.Arena, m morsel, lo, hi int) (*vec.Vector, error) { return m.seg.DistinctIDs(lo, hi) }, nil
	case "person_id":
		uuids, roots := env.Snapshot.Persons().UUIDVector(), rootsReader(env)
		return func(a *vec.Arena, m morsel, lo, hi int) (*vec.Vector, error) {
			ordinals, err := roots(a, m, lo, hi)
			if err != nil {
				return nil, err
			}
			return &vec.Vector{Type: vec.T(vec.UUID), Form: vec.Dict, Dict: uuids, Codes: ordinals}, nil
		}, nil
	}
	return nil, fmt.Errorf("events has no column %q", c.Column)
}

func propertyReader(key string, c plan.ScanColumn, env *Env) (columnReader, error) {
	as, ok := event.ReadingOf(c.Type, c.Digits)
	if !ok {
		return nil, fmt.Errorf("property %q cannot be read as %s", key, c.Type)
	}
	return func(a *vec.Arena, m morsel, lo, hi int) (*vec.Vector, error) {
		return m.of.ReadIn(a, key, as, env.Expr.Location, lo, hi)
	}, nil
}

// nestedReader reads a value inside a property that is an object or array.
func nestedReader(c plan.ScanColumn, env *Env) (columnReader, error) {
	e, err := jsonPath(&expr.Column{Index: 0, T: vec.T(vec.JSONB)}, c.Path[1:], c)
	if err != nil {
		return nil, err
	}
	return func(a *vec.Arena, m morsel, lo, hi int) (*vec.Vector, error) {
		v, err := m.of.ReadIn(a, c.Path[0], event.ReadJSON, nil, lo, hi)
		if err != nil {
			return nil, err
		}
		return e.Eval(env.Expr, &vec.Batch{Rows: hi - lo, Cols: []*vec.Vector{v}})
	}, nil
}

// jsonReadings are the functions that read a jsonb value as a type.
var jsonReadings = map[vec.Kind]string{
	vec.Text: "property_text", vec.Float8: "property_number", vec.Bool: "property_boolean", vec.TimestampTZ: "property_time",
}

// jsonPath is the value at a path inside a jsonb expression, read as a column of a scan is;
// a value that is not one is null.
func jsonPath(in expr.Expr, path []string, as plan.ScanColumn) (expr.Expr, error) {
	call := func(name string, args ...expr.Expr) (expr.Expr, error) {
		types := make([]vec.Type, len(args))
		for i, a := range args {
			types[i] = a.Type()
		}
		o, err := expr.Resolve(name, types)
		if err != nil {
			return nil, err
		}
		return expr.NewCall(o, args), nil
	}
	args := []expr.Expr{in}
	for _, p := range path {
		args = append(args, &expr.Const{Value: &vec.Vector{Type: vec.T(vec.Text), Form: vec.Const, Str: vec.StringsOf(p)}})
	}
	if as.Digits {
		text, err := call("jsonb_extract_path_text", args...)
		if err != nil || as.Type.Kind == vec.Text {
			return text, err
		}
		return expr.NewCast(text, as.Type, true, true)
	}
	at := in
	var err error
	if len(path) > 0 {
		if at, err = call("jsonb_extract_path", args...); err != nil {
			return nil, err
		}
	}
	if read := jsonReadings[as.Type.Kind]; read != "" {
		return call(read, at)
	}
	return at, nil
}

// count is how many morsels can be read side by side.
func (s *scanSource) count() int {
	if s.sessions != nil {
		return len(s.sessions.pieces)
	}
	return len(s.morsels) + len(s.pieces)
}

// copies is how many goroutines find something to do.
func (s *scanSource) copies() int { return max(1, min(s.env.Threads, s.count())) }

// scanPart is a stretch of what a scan hands out, and is taken from its beginning.
type scanPart struct {
	next atomic.Int64
	end  int64
}

// makeParts divides the scan among the goroutines that may read it: morsels side by side share
// dictionaries, of which each goroutine looks up the values that it meets. What has to come in an order
// is one part.
func (s *scanSource) makeParts() {
	total := s.count()
	if s.morsels != nil {
		s.taken = s.joined()
		total = len(s.taken)
	}
	if s.batches != nil {
		total = len(s.batches)
	}
	n := max(1, min(s.env.Threads, total))
	if s.order != nil {
		n = 1
	}
	s.parts = make([]scanPart, n)
	for i := range s.parts {
		s.parts[i].next.Store(int64(total * i / n))
		s.parts[i].end = int64(total * (i + 1) / n)
	}
}

// fewMorselRows is how few rows of an event are read with those of others: then what is done once for each
// batch takes a good part of the time, while more are better kept apart, where they may be alike.
const fewMorselRows = 256

// joined is the morsels with those of few rows put together that lie side by side and have their properties in the same
// columns.
func (s *scanSource) joined() []morsel {
	most := s.env.joinedRows(s.node, int(s.rows()))
	if s.numbers != nil {
		most = 0 // rows are known by their range
	}
	out := make([]morsel, 0, min(len(s.morsels), 64))
	for at := 0; at < len(s.morsels); {
		m, n := s.morsels[at], 1
		m.place = at
		for ; m.hi-m.lo < fewMorselRows && at+n < len(s.morsels); n++ {
			last, next := &s.morsels[at+n-1], &s.morsels[at+n]
			if next.seg != m.seg || next.lo != last.hi || next.hi-next.lo >= fewMorselRows || next.hi-m.lo > most || next.rng == last.rng || !next.rng.SharesColumns(m.rng) {
				break
			}
		}
		if n > 1 {
			m.ranges = make([]*segment.Range, n)
			for i := range m.ranges {
				m.ranges[i] = s.morsels[at+i].rng
			}
			m.rng, m.of, m.hi = nil, segment.Join(m.ranges), s.morsels[at+n-1].hi
		}
		out = append(out, m)
		at += n
	}
	return out
}

// joinedRows is how many rows of several events are read together, of so many that a scan reads: there should be
// work for every goroutine. All properties of a row as one value may be large, so few of those are read at a time.
func (env *Env) joinedRows(sc *plan.Scan, rows int) int {
	whole := func(c plan.ScanColumn) bool { return c.Column == "properties" && len(c.Path) == 0 }
	if slices.Contains(env.Disabled, plan.JoinedRanges) || slices.ContainsFunc(sc.Columns, whole) {
		return 0
	}
	return max(vec.BatchRows, min(morselRows, rows/(4*env.Threads)))
}

// take hands out the next morsel to a goroutine: of its own part, and then of those of others.
func (s *scanSource) take(reader int) (int, bool) {
	s.divide.Do(s.makeParts)
	for k := range s.parts {
		p := &s.parts[(reader+k)%len(s.parts)]
		n := p.next.Add(1) - 1
		if n >= p.end {
			continue
		}
		i := int(n)
		place := i
		if s.taken != nil {
			place = s.taken[i].place
		}
		if s.order.passed(place) {
			break
		}
		if s.stats != nil && s.taken != nil && (i == 0 || s.taken[i].seg != s.taken[i-1].seg) {
			s.stats.reads(s.taken[i].seg)
		}
		return i, true
	}
	return 0, false
}

// valueOrder is for a scan of which only the first or last rows by one column are wanted: its
// morsels or pieces come in the order of the best value that each may have, and the rest of
// them is left out once no row in them can be wanted any more.
type valueOrder struct {
	desc bool
	best []int64 // of each morsel or piece; greater is better, so it is negated unless desc
	// limit is the value up to which enough rows are known, likewise.
	limit atomic.Int64
}

// orderBy has morsels or pieces come in the order of a column, if it is the time of events or
// one of a table of which the zones say what values a block has. They do not say whether there is
// NULL, which is better than any value where nullsFirst is set.
func (s *scanSource) orderBy(column int, desc, nullsFirst bool) {
	if len(s.oids) > 0 { // columns have other places here
		return
	}
	o := &valueOrder{desc: desc}
	o.limit.Store(math.MinInt64)
	c := s.node.Columns[column]
	switch {
	case s.node.Table.IsEvents() && c.Column == s.node.Table.Time:
		sortByBest(o, s.morsels, func(m *morsel) (int64, int64, bool) { return m.seg.MinTime(), m.seg.MaxTime(), true })
	case s.node.Table.Schema != nil && len(c.Path) == 0 && c.Type.Payload() == vec.PayloadI64:
		if of := s.node.Table.Schema.Column(c.Column); of != nil && (of.NotNull || !nullsFirst) {
			sortByBest(o, s.pieces, func(p *table.Piece) (int64, int64, bool) { return p.Bounds(of) })
		}
	}
	if o.best != nil {
		s.order = o
	}
}

// sortByBest sorts morsels or pieces, of which bounds gives the least and the greatest value, if
// they are known.
func sortByBest[T any](o *valueOrder, list []T, bounds func(*T) (low, high int64, ok bool)) {
	type ranked struct {
		of   T
		best int64
	}
	all := make([]ranked, len(list))
	for i := range list {
		all[i] = ranked{list[i], math.MaxInt64}
		if low, high, ok := bounds(&list[i]); ok {
			all[i].best = o.rank(low)
			if o.desc {
				all[i].best = high
			}
		}
	}
	slices.SortStableFunc(all, func(a, b ranked) int { return cmp.Compare(b.best, a.best) })
	o.best = make([]int64, len(list))
	for i, r := range all {
		list[i], o.best[i] = r.of, r.best
	}
}

// rank is greater for better values. The least of all has none of its own: it is as good as
// the next one.
func (o *valueOrder) rank(x int64) int64 {
	if o.desc {
		return x
	}
	return -max(x, -math.MaxInt64)
}

// need says that enough rows are known which are at least as good as one with that value.
func (o *valueOrder) need(x int64) {
	x = o.rank(x)
	for old := o.limit.Load(); x > old; old = o.limit.Load() {
		if o.limit.CompareAndSwap(old, x) {
			return
		}
	}
}

// passed says whether morsel or piece i, and so all after it, hold no row that is wanted. One
// with an equally good row is still read: it may come first by the next key.
func (o *valueOrder) passed(i int) bool { return o != nil && o.best[i] < o.limit.Load() }

// liveRows selects the rows in [lo, hi) that are not dead, counted from lo; nil is all.
func liveRows(a *vec.Arena, dead *roaring.Bitmap, lo, hi int) []uint32 {
	if dead == nil || !dead.IntersectsWithInterval(uint64(lo), uint64(hi)) {
		return nil
	}
	sel := a.Uint32s(hi - lo)[:0]
	it := dead.Iterator()
	it.AdvanceIfNeeded(uint32(lo))
	for row := uint32(lo); row < uint32(hi); row++ {
		if it.HasNext() && it.PeekNext() == row {
			it.Next()
			continue
		}
		sel = append(sel, row-uint32(lo))
	}
	return sel
}

// rowsIn selects the rows in [lo, hi) that are there, counted from lo; nil is all.
func (s *scanSource) rowsIn(a *vec.Arena, m morsel, lo, hi int) []uint32 {
	if s.numbers != nil {
		return s.numbers.rows(a, m, lo, hi)
	}
	return liveRows(a, m.dead, lo, hi)
}

// scan is one copy of a shared scan. It decodes the columns that conditions look at first, and
// the others only for a batch of which rows are left.
type scan struct {
	source *scanSource
	conds  []expr.Expr  // all hold for rows that come out
	filter bool         // it is the operator of a filter above its node
	keys   []*keyFilter // likewise
	reader int          // its number among those that read the source; -1: it has read nothing
	now    morsel
	row    int        // next row of now; now.hi when it is used up
	apart  bool       // rows of now come as they are
	arena  *vec.Arena // what batches are made of; nil: who gets them may keep them
	// Where rows that are alike come as one: room for the runs of each column, and for those of all.
	rooms  []segment.RunRoom
	ends   [2][]uint32
	places []uint32
}

func newScan(s *scanSource, keys []*keyFilter) *scan {
	if len(s.oids) > 0 { // columns have other places here
		keys = nil
	}
	return &scan{source: s, keys: keys, reader: -1}
}

// takes makes a condition a part of the scan, if it can be.
func (s *scan) takes(cond expr.Expr) bool {
	if len(s.source.oids) > 0 || len(s.conds) > 0 {
		return false
	}
	s.filter, s.conds = true, []expr.Expr{cond}
	if and, ok := cond.(*expr.And); ok {
		s.conds = and.Args
	}
	return true
}

// rowBlock is rows that are stored side by side, whose columns are decoded one by one.
type rowBlock struct {
	rows    int
	sel     []uint32 // that count; nil for all
	column  func(i int) (*vec.Vector, error)
	small   func(i int) (*table.Small, error) // a column as bytes or words, nil if it is not kept so; nil: none is
	weights *vec.Vector                       // how many rows each stands for; nil: one
}

func (s *scan) Next(ctx context.Context) (*vec.Batch, error) {
	for {
		if err := yield(ctx); err != nil {
			return nil, err
		}
		s.arena.Reset()
		block, err := s.next(ctx)
		if block == nil || err != nil {
			return nil, err
		}
		b, err := s.readCounted(block)
		if err != nil {
			return nil, err
		}
		if b != nil {
			return s.source.withOID(b), nil
		}
	}
}

// readCounted is read, and what EXPLAIN ANALYZE shows of it. A scan with a filter in it is the
// filter's operator, so it counts for its own node itself.
func (s *scan) readCounted(block *rowBlock) (*vec.Batch, error) {
	st := s.source.stats
	if st == nil {
		return s.read(block)
	}
	st.RowsRead.Add(standFor(block.weights, block.rows, nil))
	if s.filter {
		st.Rows.Add(standFor(block.weights, block.rows, block.sel))
		defer func(start time.Time) { st.Elapsed.Add(int64(time.Since(start))) }(time.Now())
	}
	return s.read(block)
}

// read decodes the rows of a block that pass; nil if none do.
func (s *scan) read(block *rowBlock) (*vec.Batch, error) {
	src := s.source
	n := len(src.node.Columns)
	b := &vec.Batch{Rows: block.rows, Sel: block.sel, Cols: make([]*vec.Vector, n, n+1)}
	if block.weights != nil {
		b.Cols = append(b.Cols, block.weights)
	}
	src.env.Progress.Rows.Add(standFor(block.weights, block.rows, nil))
	read := func(size int) {
		src.env.Progress.Bytes.Add(int64(b.Rows * size))
		if src.stats != nil {
			src.stats.BytesRead.Add(int64(b.Rows * size))
		}
	}
	load := func(i int) (err error) {
		if b.Cols[i] == nil {
			b.Cols[i], err = block.column(i)
			read(8)
		}
		return err
	}
	var mask smallMask
	for _, c := range s.conds {
		of, small, err := block.smallComparison(c, b)
		if err != nil {
			return nil, err
		}
		if small != nil {
			read(small.Size())
			b = mask.keep(&of, small, b)
			continue
		}
		if b = mask.settle(b); b.Live() == 0 {
			return nil, nil
		}
		expr.Walk(c, func(e expr.Expr) bool {
			if c, ok := e.(*expr.Column); ok && err == nil {
				err = load(c.Index)
			}
			return err == nil
		})
		if err != nil {
			return nil, err
		}
		if b, err = keepTrueIn(s.arena, src.env.Expr, c, b); err != nil || b.Live() == 0 {
			return nil, err
		}
	}
	if b = mask.settle(b); b.Live() == 0 {
		return nil, nil
	}
	for _, k := range s.keys {
		if err := load(k.column); err != nil {
			return nil, err
		}
		if b = k.keep(b); b.Live() == 0 {
			return nil, nil
		}
	}
	for i := range n {
		if err := load(i); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// next is the next rows to read; nil at the end.
func (s *scan) next(ctx context.Context) (*rowBlock, error) {
	src := s.source
	for {
		if s.row >= s.now.hi {
			if s.reader < 0 {
				s.reader = int(src.readers.Add(1)) - 1
			}
			i, ok := src.take(s.reader)
			if !ok {
				return nil, nil
			}
			switch {
			case src.batches != nil:
				return blockOf(src.batches[i]), nil
			case src.sessions != nil:
				b, err := src.sessions.read(ctx, i)
				if err != nil {
					return nil, err
				}
				if b != nil {
					return blockOf(b), nil
				}
				continue
			case src.pieceColumns != nil:
				block, err := src.pieceBlock(&src.pieces[i])
				if block != nil || err != nil {
					return block, err
				}
				continue
			}
			if err := src.env.findSessions(ctx, src.node.Columns); err != nil {
				return nil, err
			}
			if src.numbers != nil {
				if err := src.numbers.number(ctx); err != nil {
					return nil, err
				}
			}
			s.now = src.taken[i]
			s.row, s.apart = s.now.lo, src.runs == nil
		}
		m, lo := s.now, s.row
		s.row = min(lo+vec.BatchRows, m.hi)
		hi := s.row
		sel := src.rowsIn(s.arena, m, lo, hi)
		if sel != nil && len(sel) == 0 {
			continue // none of them counts
		}
		if !s.apart && sel == nil {
			if block, err := s.alike(m, lo, hi); block != nil || err != nil {
				return block, err
			}
			s.apart = true // what follows is likely to be like it
		}
		return &rowBlock{rows: hi - lo, sel: sel, column: func(i int) (*vec.Vector, error) { return src.columns[i](s.arena, m, lo, hi) }}, nil
	}
}

// blockOf is rows that are decoded already.
func blockOf(b *vec.Batch) *rowBlock {
	return &rowBlock{rows: b.Rows, sel: b.Sel, column: func(i int) (*vec.Vector, error) { return b.Cols[i], nil }}
}

func (s *scan) Close() error { return nil }
