package exec

import (
	"math"
	"slices"
	"sync"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage"
	"github.com/prickledb/prickle/storage/segment"
	"github.com/prickledb/prickle/storage/table"
	"github.com/prickledb/prickle/storage/vec"
)

// Arrange suits a plan to the rows that env reads, by those rules of plan that need to know them
// and are not disabled. The result gives the same rows.
func Arrange(n plan.Node, env *Env) plan.Node {
	for _, rule := range []struct {
		name  string
		apply func(plan.Node, plan.Statistics) plan.Node
	}{
		{plan.PushedSemiJoins, plan.PushSemiJoins},
		{plan.ArrangeJoins, plan.Arrange},
		{plan.NarrowedGroups, plan.NarrowGroups},
		{plan.SharedGroups, plan.ShareGroups},
	} {
		if !slices.Contains(env.Disabled, rule.name) {
			n = rule.apply(n, env.statistics())
		}
	}
	return n
}

// Statistics is what is known of the rows that env reads.
func (e *Env) Statistics() plan.Statistics { return e.statistics() }

// statistics guesses how many rows a plan gives, from what the snapshot knows and, for user
// tables, from samples of their segments, which the segments keep: good enough to say which of two
// inputs is the smaller. It may be used by several goroutines.
type statistics struct {
	env *Env

	mu      sync.Mutex
	rows    map[plan.Node]float64
	samples map[*plan.Scan]*sample
	differs map[storedIn]float64 // how many different values a column of a table has
}

// storedIn is a column of a user table.
type storedIn struct {
	table  uint32
	column string
}

func (e *Env) statistics() *statistics {
	e.guessing.Do(func() {
		e.guesses = &statistics{env: e}
	})
	return e.guesses
}

// Rows implements plan.Statistics.
func (s *statistics) Rows(n plan.Node) float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rowsOf(n)
}

// Distinct implements plan.Statistics.
func (s *statistics) Distinct(n plan.Node, column int) float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.distinct(n, column)
}

// unknownRows is assumed of what says nothing.
const unknownRows = 1000

func (s *statistics) rowsOf(n plan.Node) float64 {
	if rows, ok := s.rows[n]; ok {
		return rows
	}
	rows := s.guess(n)
	if s.rows == nil {
		s.rows = map[plan.Node]float64{}
	}
	s.rows[n] = rows
	return rows
}

func (s *statistics) guess(n plan.Node) float64 {
	rows := 0.0
	for _, in := range n.Inputs() {
		rows += s.rowsOf(in)
	}
	switch n := n.(type) {
	case *plan.Scan:
		return s.scanned(n)
	case *plan.Filter:
		return rows * s.share(n)
	case *plan.Join:
		return s.joined(n)
	case *plan.Setup:
		return s.rowsOf(n.Input)
	case *plan.Aggregate:
		if len(n.Keys) == 0 {
			return 1
		}
		groups := 1.0
		for _, k := range n.Keys {
			groups *= s.distinctExpr(n.Input, k)
		}
		return min(rows, groups)
	case *plan.Distinct:
		groups := 1.0
		for i := range n.Schema() {
			if n.On == 0 || i < n.On {
				groups *= s.distinct(n.Input, i)
			}
		}
		return min(rows, groups)
	case *plan.Values:
		return float64(len(n.Rows))
	case *plan.Limit:
		return fewer(rows, n.Limit)
	case *plan.TopN:
		return fewer(rows, n.Limit)
	case *plan.Spool:
		kept := s.env.spooled[n.Slot]
		switch {
		case kept != nil:
		case n.Guess > 0:
			return n.Guess
		default:
			return unknownRows // it has not run
		}
		for _, b := range kept.batches {
			rows += float64(b.Rows)
		}
		return rows
	case plan.Native:
		return n.Guess(rows)
	}
	if len(n.Inputs()) == 0 {
		return unknownRows
	}
	return rows
}

func fewer(rows float64, limit expr.Expr) float64 {
	if c, ok := limit.(*expr.Const); ok && !c.Value.IsNull(0) {
		return min(rows, float64(c.Value.I64[0]))
	}
	return rows
}

// joined guesses the rows of a join. Each value of the side with fewer of them is assumed to
// be on the other side, too.
func (s *statistics) joined(n *plan.Join) float64 {
	left, right := s.rowsOf(n.Left), s.rowsOf(n.Right)
	pairs, found := left*right, 1.0
	for i, k := range n.LeftKeys {
		l, r := s.distinctExpr(n.Left, k), s.distinctExpr(n.Right, n.RightKeys[i])
		pairs /= max(1, l, r)
		found *= min(1, r/max(1, l))
	}
	if len(n.LeftKeys) > 1 { // several keys depend on each other
		pairs = max(pairs, min(left, right))
	}
	if n.On != nil {
		pairs, found = pairs/3, found/3
	}
	switch n.Kind {
	case plan.AsofLeftJoin:
		return left
	case plan.SemiJoin, plan.AsofJoin:
		return left * found
	case plan.AntiJoin, plan.NotInJoin:
		return left * max(0.1, 1-found)
	case plan.LeftJoin:
		return max(left, pairs)
	case plan.RightJoin:
		return max(right, pairs)
	case plan.FullJoin:
		return max(left+right, pairs)
	}
	return pairs
}

// share is what part of its input's rows a filter lets pass.
func (s *statistics) share(n *plan.Filter) float64 {
	scan, ok := n.Input.(*plan.Scan)
	if ok && scan.Table.Schema != nil {
		return s.sample(scan).share(s.env, n.Cond)
	}
	share := 1.0
	for _, c := range plan.Conjuncts(n.Cond) {
		call, _ := c.(*expr.Call)
		switch {
		case ok && scan.Table.IsEvents() && hinted(scan, c): // scanned knows
		case call != nil && call.Overload.Fn.Name == "=":
			share *= plan.EqualShare
		default:
			share *= plan.OtherShare
		}
	}
	return share
}

// hinted says whether a condition reads nothing but what the hints of a scan of events say.
func hinted(scan *plan.Scan, cond expr.Expr) bool {
	yes := true
	expr.Walk(cond, func(e expr.Expr) bool {
		if c, ok := e.(*expr.Column); ok {
			name := scan.Columns[c.Index].Column
			yes = yes && (name == "event" && scan.Events != nil || name == scan.Table.Time && (scan.From != nil || scan.To != nil))
		}
		return yes
	})
	return yes
}

// scanned is how many rows a scan reads at most.
func (s *statistics) scanned(n *plan.Scan) float64 {
	rows := 0
	switch {
	case n.Table.System != "":
		rows = unknownRows
	case n.Table.Schema != nil:
		if v := s.env.Snapshot.Tables().Table(n.Table.Schema.Table); v != nil { // opening it says what is wrong
			rows = int(v.Live())
		}
	case n.Table.IsEvents():
		from, to, err := timeBounds(n.From, n.To, s.env)
		if err != nil {
			return 0 // likewise
		}
		eventRanges(n, s.env, from, to, func(_ *storage.Segment, rng *segment.Range) { rows += rng.Hi - rng.Lo })
	case n.Table.Name == "sessions":
		rows = s.env.Snapshot.SessionCount()
	default:
		rows = s.env.Snapshot.Persons().Len()
	}
	return float64(rows) * shareOfWhose(n, s.env)
}

// distinctExpr is how many different values an expression over a node has.
func (s *statistics) distinctExpr(n plan.Node, e expr.Expr) float64 {
	switch e := e.(type) {
	case *expr.Column:
		return s.distinct(n, e.Index)
	case *expr.Const, *expr.Param, *expr.Slot:
		return 1
	}
	most := 1.0 // of a function of columns there are as many as of these, at most
	expr.Walk(e, func(x expr.Expr) bool {
		if c, ok := x.(*expr.Column); ok {
			most *= s.distinct(n, c.Index)
		}
		return true
	})
	return min(most, s.rowsOf(n))
}

func (s *statistics) distinct(n plan.Node, column int) float64 {
	rows := s.rowsOf(n)
	switch n := n.(type) {
	case *plan.Scan:
		if n.Table.Schema != nil {
			return min(rows, s.stored(n, column))
		}
		switch c := &n.Columns[column]; {
		case n.Table.IsEvents() && c.Column == "person_id":
			return min(rows, float64(s.env.Snapshot.Persons().Len()))
		case n.Table.IsEvents() && c.Column == "event":
			return min(rows, 100)
		}
	case *plan.Project:
		return s.distinctExpr(n.Input, n.Exprs[column])
	case *plan.Aggregate:
		if column < len(n.Keys) {
			return min(rows, s.distinctExpr(n.Input, n.Keys[column]))
		}
	case *plan.Join:
		if left := len(n.Left.Schema()); column < left {
			return min(rows, s.distinct(n.Left, column))
		} else {
			return min(rows, s.distinct(n.Right, column-left))
		}
	case *plan.Filter, *plan.Sort, *plan.TopN, *plan.Limit, *plan.Distinct:
		return min(rows, s.distinct(n.Inputs()[0], column))
	}
	return rows
}

// stored is how many different values a column of a scan of a user table has, all rows taken.
func (s *statistics) stored(n *plan.Scan, column int) float64 {
	c := &n.Columns[column]
	at := storedIn{n.Table.Schema.Table, c.Column}
	if d, ok := s.differs[at]; ok && len(c.Path) == 0 {
		return d
	}
	d := s.sample(n).distinct(s.env, column)
	if len(c.Path) == 0 {
		if s.differs == nil {
			s.differs = map[storedIn]float64{}
		}
		s.differs[at] = d
	}
	return d
}

// sample is some rows of a user table, whose columns are read when they are asked for.
type sample struct {
	scan       *plan.Scan
	version    *table.Version
	parts      []table.Sample
	chosen     []*vec.Batch // of each of parts: as many rows as it has its share of the table
	loaded     []bool       // by column of the scan
	differs    []float64    // by column of the scan: how many different values, or 0
	histograms map[int]*histogram
	tableRows  float64
}

func (s *statistics) sample(n *plan.Scan) *sample {
	if x := s.samples[n]; x != nil {
		return x
	}
	x := &sample{scan: n, loaded: make([]bool, len(n.Columns)), differs: make([]float64, len(n.Columns))}
	if s.samples == nil {
		s.samples = map[*plan.Scan]*sample{}
	}
	s.samples[n] = x
	x.version = s.env.Snapshot.Tables().Table(n.Table.Schema.Table)
	if x.version == nil || x.version.Schema.Version != n.Table.Schema.Version {
		x.version = nil
		return x
	}
	x.parts, x.tableRows = x.version.Samples(), float64(x.version.Live())
	most := 0.0 // rows of the table for one in the sample
	for i := range x.parts {
		most = max(most, x.parts[i].Stands/float64(x.parts[i].Rows()))
	}
	for i := range x.parts {
		p := &x.parts[i]
		x.chosen = append(x.chosen, &vec.Batch{Rows: p.Rows(), Sel: wholeRuns(p.Rows(), p.Stands/most), Cols: make([]*vec.Vector, len(n.Columns))})
	}
	return x
}

// wholeRuns is about so many of the rows of a sample: whole runs, evenly.
func wholeRuns(rows int, want float64) []uint32 {
	runs := (rows + table.RunRows - 1) / table.RunRows
	take := min(runs, max(1, int(math.Round(want/table.RunRows))))
	var sel []uint32
	for i := range take {
		first := i * runs / take * table.RunRows
		for r := first; r < min(rows, first+table.RunRows); r++ {
			sel = append(sel, uint32(r))
		}
	}
	return sel
}

// load reads a column.
func (x *sample) load(env *Env, column int) bool {
	if x.loaded[column] {
		return true
	}
	if x.version == nil || len(x.parts) == 0 {
		return false
	}
	stored, over, err := storedColumn(x.scan.Columns[column], x.version.Schema, env)
	if err != nil || stored == nil {
		return false
	}
	for i, b := range x.chosen {
		v, err := x.parts[i].Column(stored)
		if err != nil {
			return false // who reads it says so
		}
		if b.Cols[column], err = over(v, b.Rows); err != nil {
			return false
		}
	}
	x.loaded[column] = true
	return true
}

// surePassed is how many rows of a sample must pass a condition for it to say how many do.
const surePassed = 25

// share is what part of the rows a condition lets pass: as many as in the sample, or, where these
// are few, as histograms say.
func (x *sample) share(env *Env, cond expr.Expr) float64 {
	passed, all, ok := x.count(env, cond)
	if ok && passed >= surePassed {
		return passed / all
	}
	share := x.estimate(env, cond)
	if ok { // it would be seen if more did
		share = min(share, (passed+3)/(all+3))
	}
	return share
}

// count is how many rows of the sample pass a condition, unless there are none or it fails. A volatile
// one is not asked: nextval would count on.
func (x *sample) count(env *Env, cond expr.Expr) (passed, all float64, ok bool) {
	ok = !expr.Volatile(cond)
	expr.Walk(cond, func(e expr.Expr) bool {
		if c, is := e.(*expr.Column); is {
			ok = ok && x.load(env, c.Index)
		}
		return ok
	})
	if !ok {
		return 0, 0, false
	}
	for _, b := range x.chosen {
		all += float64(b.Live())
		kept, err := keepTrue(env.Expr, cond, b)
		if err != nil {
			return 0, 0, false
		}
		if kept != nil {
			passed += float64(kept.Live())
		}
	}
	return passed, all, all > 0
}

// distinct guesses how many different values a column of the table has: by the range of
// integers and dates, by how many blocks hold a value if the rows are in its order, and else
// as the GEE estimator does (Charikar, Chaudhuri, Motwani, Narasayya, "Towards estimation
// error guarantees for distinct values", 2000).
func (x *sample) distinct(env *Env, column int) float64 {
	if x.differs[column] > 0 {
		return x.differs[column]
	}
	d := x.tableRows
	if !x.load(env, column) {
		return max(1, d)
	}
	seen := newGrouper([]vec.Type{x.scan.Columns[column].Type})
	var counts []int
	rows := 0.0
	for _, b := range x.chosen {
		ids := make([]uint32, len(b.Sel))
		seen.assign(ids, []*vec.Vector{b.Cols[column]}, b.Sel)
		counts = append(counts, make([]int, seen.groups-len(counts))...)
		for _, id := range ids {
			counts[id]++
		}
		rows += float64(len(b.Sel))
	}
	once := 0.0
	for _, c := range counts {
		if c == 1 {
			once++
		}
	}
	differ := float64(len(counts))
	span, clustered := x.span(column)
	switch {
	case clustered:
		d = min(d, differ/rows*x.tableRows)
	default:
		d = min(d, math.Sqrt(max(1, x.tableRows/rows))*once+differ-once)
	}
	if span > 0 {
		d = min(d, span)
	}
	x.differs[column] = max(1, d)
	return x.differs[column]
}

// span is how many values lie between the least and the greatest of a column; 0 if they
// cannot be counted, or a block says nothing. clustered says that the blocks overlap little.
func (x *sample) span(column int) (span float64, clustered bool) {
	c := &x.scan.Columns[column]
	info := x.version.Schema.Column(c.Column)
	if info == nil || len(c.Path) > 0 || info.Type.Payload() != vec.PayloadI64 {
		return 0, false
	}
	low, high := int64(math.MaxInt64), int64(math.MinInt64)
	widths, blocks := 0.0, 0
	for _, p := range x.version.Pieces() {
		lo, hi, ok := p.Bounds(info)
		if !ok {
			return 0, false
		}
		low, high = min(low, lo), max(high, hi)
		widths += float64(hi) - float64(lo)
		blocks++
	}
	span = float64(high) - float64(low) + 1
	return span, blocks > 2 && widths < 2*span
}
