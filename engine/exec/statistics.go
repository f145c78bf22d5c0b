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
// tables, from a few blocks of them: good enough to say which of two inputs is the smaller.
// It may be used by several goroutines.
type statistics struct {
	env *Env

	mu      sync.Mutex
	rows    map[plan.Node]float64
	samples map[*plan.Scan]*sample
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
		if kept == nil {
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
		if share, ok := s.sample(scan).share(s.env, n.Cond); ok {
			return share
		}
	}
	conds := []expr.Expr{n.Cond}
	if and, ok := n.Cond.(*expr.And); ok {
		conds = and.Args
	}
	share := 1.0
	for _, c := range conds {
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
	return float64(rows)
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
			return min(rows, s.sample(n).distinct(s.env, column))
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

// sample is a few blocks of a user table, whose columns are decoded when they are asked for.
type sample struct {
	scan     *plan.Scan
	version  *table.Version
	pieces   []table.Piece // of the table, all of them
	chosen   []*vec.Batch
	from     []*table.Piece // of each of chosen
	loaded   []bool         // by column of the scan
	differs  []float64      // by column of the scan: how many different values, or 0
	tableRow float64        // rows of the table
}

// sampleBlocks is how many blocks are looked at: a block is some thousand rows, which come
// behind each other and may be alike.
const sampleBlocks = 3

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
	x.pieces, x.tableRow = x.version.Pieces(), float64(x.version.Live())
	count := min(sampleBlocks, len(x.pieces))
	for i := range count {
		p := &x.pieces[(2*i+1)*len(x.pieces)/(2*count)]
		live, err := p.Live()
		if err != nil {
			continue // who reads it says so
		}
		x.chosen = append(x.chosen, &vec.Batch{Rows: p.Rows(), Sel: live, Cols: make([]*vec.Vector, len(n.Columns))})
		x.from = append(x.from, p)
	}
	return x
}

// load decodes a column.
func (x *sample) load(env *Env, column int) bool {
	if x.loaded[column] {
		return true
	}
	if x.version == nil {
		return false
	}
	read, err := tableColumn(x.scan.Columns[column], x.version.Schema, env)
	if err != nil {
		return false
	}
	for i, b := range x.chosen {
		if b.Cols[column], err = read(x.from[i]); err != nil {
			return false
		}
	}
	x.loaded[column] = true
	return true
}

// share is what part of the rows a condition lets pass, unless no row is there or it fails.
func (x *sample) share(env *Env, cond expr.Expr) (float64, bool) {
	ok := true
	expr.Walk(cond, func(e expr.Expr) bool {
		if c, is := e.(*expr.Column); is {
			ok = ok && x.load(env, c.Index)
		}
		return ok
	})
	passed, all := 0.0, 0.0
	for _, b := range x.chosen {
		if !ok {
			return 0, false
		}
		all += float64(b.Live())
		kept, err := keepTrue(env.Expr, cond, b)
		if err != nil {
			return 0, false
		}
		if kept != nil {
			passed += float64(kept.Live())
		}
	}
	if all == 0 {
		return 0, false
	}
	return (passed + 0.5) / (all + 0.5), true // none of a few does not mean none
}

// distinct guesses how many different values a column of the table has: by the range of
// integers and dates, by how many blocks hold a value if the rows are in its order, and else
// as the GEE estimator does (Charikar, Chaudhuri, Motwani, Narasayya, "Towards estimation
// error guarantees for distinct values", 2000).
func (x *sample) distinct(env *Env, column int) float64 {
	if x.differs[column] > 0 {
		return x.differs[column]
	}
	d := x.tableRow
	if !x.load(env, column) || len(x.chosen) == 0 {
		return max(1, d)
	}
	seen := newGrouper([]vec.Type{x.scan.Columns[column].Type})
	var counts []int
	rows := 0.0
	for _, b := range x.chosen {
		ids := make([]uint32, b.Rows)
		all := firstRows(new([]uint32), b.Rows)
		seen.assign(ids, []*vec.Vector{b.Cols[column]}, all)
		counts = append(counts, make([]int, seen.groups-len(counts))...)
		for _, id := range ids {
			counts[id]++
		}
		rows += float64(b.Rows)
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
		d = min(d, differ/rows*x.tableRow)
	default:
		d = min(d, math.Sqrt(max(1, x.tableRow/rows))*once+differ-once)
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
	for i := range x.pieces {
		lo, hi, ok := x.pieces[i].Bounds(info)
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
