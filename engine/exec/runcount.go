package exec

import (
	"context"
	"math"
	"slices"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage"
	"github.com/prickledb/prickle/storage/segment"
	"github.com/prickledb/prickle/storage/vec"
)

// runCount is an aggregate over events that counts rows and persons. It reads the run indexes,
// where all rows of a person follow each other: so a group needs no set of its persons but only
// the last one, and groups that are persons need no keys.
type runCount struct {
	answered
	node    *plan.Aggregate
	scan    *plan.Scan
	filter  *plan.Filter // or nil
	persons bool         // groups are persons
	column  int          // of the scan, which keys read besides the event's name; -1: none
	named   bool         // keys read the event's name
	batches []*vec.Batch // persons and their counts, where groups are persons
	having  *plan.Filter // taken in, if not nil
	bounds  []bounds     // of the count of each call, by having
	plain   Operator     // what answers if the run indexes cannot
}

// newRunCount is an aggregate as runCount; nil if it counts something else.
func newRunCount(n *plan.Aggregate, env *Env) *runCount {
	if slices.Contains(env.Disabled, plan.CountRuns) {
		return nil
	}
	c := &runCount{answered: answered{env: env}, node: n, column: -1}
	in := n.Input
	if f, ok := in.(*plan.Filter); ok {
		c.filter, in = f, f.Input
	}
	sc, ok := in.(*plan.Scan)
	if !ok || !sc.Table.IsEvents() || c.filter != nil && expr.Volatile(c.filter.Cond) {
		return nil
	}
	if _, oids := withoutOID(sc); len(oids) > 0 {
		return nil
	}
	c.scan = sc
	c.persons = len(n.Keys) == 1 && isColumn(n.Keys[0], sc, "person_id")
	some := false // persons are counted
	for i := range n.Aggs {
		call := &n.Aggs[i]
		if call.Name != "count" || len(call.OrderBy) > 0 || call.Filter != nil && !readsOnly(call.Filter, sc, isEventName) {
			return nil
		}
		switch {
		case len(call.Args) == 0 && !call.Distinct:
		case len(call.Args) == 1 && isColumn(call.Args[0], sc, "person_id"):
			some = some || call.Distinct
		default:
			return nil
		}
	}
	if !c.persons && (!some || !c.keysByCode()) {
		return nil
	}
	return c
}

func isEventName(c *plan.ScanColumn) bool { return c.Column == "event" }

// keysByCode says whether the keys are the same for all rows that have one value of one
// property, which is then c.column if they read one.
func (c *runCount) keysByCode() bool {
	one := true
	for _, k := range c.node.Keys {
		one = one && !expr.Volatile(k)
		expr.Walk(k, func(e expr.Expr) bool {
			col, ok := e.(*expr.Column)
			switch {
			case !ok:
			case isEventName(&c.scan.Columns[col.Index]):
				c.named = true
			default:
				one = one && propertyKey(&c.scan.Columns[col.Index]) != "" && (c.column < 0 || c.column == col.Index)
				c.column = col.Index
			}
			return one
		})
	}
	return one
}

// propertyKey is the property that a column of events is; empty if it is none.
func propertyKey(c *plan.ScanColumn) string {
	if key, ok := propertyColumns[c.Column]; ok {
		return key
	}
	if c.Column == "properties" && len(c.Path) == 1 {
		return c.Path[0]
	}
	return ""
}

func (c *runCount) Next(ctx context.Context) (*vec.Batch, error) {
	if !c.done && c.plain == nil {
		ok, err := c.count(ctx)
		if err == nil && !ok {
			c.plain, err = newHashAggregate(c.node, c.env)
			if c.having != nil && err == nil {
				if st := c.env.Stats.Node(c.node); st != nil {
					c.plain = &analyzed{c.plain, st, len(c.node.Schema())}
				}
				c.plain = &filter{input: c.plain, cond: c.having.Cond, env: c.env}
			}
		}
		if err != nil {
			return nil, err
		}
		c.done = ok
	}
	if c.plain != nil {
		return c.plain.Next(ctx)
	}
	if len(c.batches) > 0 {
		b := c.batches[0]
		c.batches = c.batches[1:]
		return b, nil
	}
	return slice(c.cols, c.rows, &c.at), nil
}

// takes makes a filter above a part of the count, if it puts bounds on counts of persons' rows and is
// nothing else.
func (c *runCount) takes(f *plan.Filter) (bool, error) {
	if !c.persons {
		return false, nil
	}
	c.bounds = slices.Repeat([]bounds{{0, math.MaxInt64}}, len(c.node.Aggs))
	rest, err := takeBounds(f.Cond, c.env, func(column int) *bounds {
		if column == 0 { // the person
			return nil
		}
		return &c.bounds[column-1]
	})
	if len(rest) > 0 || err != nil {
		c.bounds = nil
		return false, err
	}
	c.having = f
	return true, nil
}

func (c *runCount) Close() error {
	err := c.answered.Close()
	if c.plain != nil {
		if closing := c.plain.Close(); err == nil {
			err = closing
		}
	}
	return err
}

func (c *runCount) hold(ctx context.Context, bytes int64) error {
	c.held.Add(bytes)
	return c.env.hold(ctx, bytes)
}

// count makes the answer; it says false if that is not possible, or too costly.
func (c *runCount) count(ctx context.Context) (bool, error) {
	src := &plan.Source{Input: c.scan}
	if c.filter != nil {
		src.Where = c.filter.Cond
	}
	if ok, err := c.worthIt(); !ok || err != nil {
		return false, err
	}
	byValue := !c.persons && c.column >= 0
	if byValue {
		src.Breakdown = &plan.Breakdown{Exprs: c.node.Keys}
	}
	ix, ok, err := openIndexed(ctx, c.node, src, []expr.Expr{nil}, need{late: byValue, runs: !byValue}, c.env)
	if !ok || err != nil {
		return false, err
	}
	c.held.Add(ix.held)
	tallies, err := c.tallies(ix)
	if err != nil {
		return false, err
	}
	if st := c.env.Stats.Node(c.filter); c.filter != nil && st != nil {
		var times rowTimes
		for _, s := range ix.streams[0] {
			times.open(ix, s.seg, s.rng.Hi)
			for r := range s.runs.Ordinals {
				n, err := s.countRun(r, &times)
				if err != nil {
					return false, err
				}
				st.Rows.Add(int64(n))
			}
		}
	}
	switch {
	case c.persons:
		return true, c.countPersons(ctx, ix, tallies)
	case !byValue:
		return true, c.countNames(ctx, ix, tallies)
	}
	counts, err := ix.countValues(ctx, tallies)
	if err != nil {
		return false, err
	}
	return true, c.answerValues(ctx, ix.values, counts)
}

// fewRanges is how many ranges may be of few rows, whatever they are of.
const fewRanges = 1024

// personShare is how many persons there may be for each row: all of them are visited.
const personShare = 4

// worthIt says whether there is memory for what is kept, and whether it is less work than to
// group rows: keys are computed once for each value of a property, and the numbers of these
// must not be given out row by row. Where ranges have few rows, more is done for each of them than for its
// rows, and a scan reads many together; but it cannot count persons of each event without a set of them.
func (c *runCount) worthIt() (bool, error) {
	var read columnReader
	var err error
	if c.column >= 0 {
		if read, err = eventColumn(c.scan.Columns[c.column], c.env); err != nil {
			return false, err
		}
	}
	from, to, err := timeBounds(c.scan.From, c.scan.To, c.env)
	if err != nil {
		return false, err
	}
	rows, ranges, apart := 0, 0, 0 // apart are rows whose values have no small dictionary
	eventRanges(c.scan, c.env, from, to, func(seg *storage.Segment, rng *segment.Range) {
		n := rng.Hi - rng.Lo
		rows, ranges = rows+n, ranges+1
		if read == nil || n < vec.BatchRows || err != nil {
			return
		}
		var v *vec.Vector
		if v, err = read(nil, morselOf(seg, rng), rng.Lo, rng.Lo+1); err == nil && v.Form != vec.Const && (v.Form != vec.Dict || v.Dict.Len() > mostCodes(n)) {
			apart += n
		}
	})
	persons := c.env.Snapshot.Persons().Len()
	if c.column >= 0 && !c.named && rows < fewMorselRows*ranges && ranges > fewRanges {
		return false, err
	}
	held := int64(0)
	switch {
	case c.column >= 0:
		held = 4 * int64(rows) // the number of each row's value
	case c.persons:
		held = int64(persons) * int64(16*(1+len(c.node.Aggs)))
	}
	return apart <= rows/16 && rows >= persons/personShare && c.env.room(held), err
}

// runTally counts rows, or persons who have rows, of some of the streams.
type runTally struct {
	persons bool
	streams []bool // which; nil: all of them
}

// tallies are what is to be counted: all rows, and then what each call counts.
func (c *runCount) tallies(ix *indexed) ([]runTally, error) {
	streams := ix.streams[0]
	out := []runTally{{}}
	for i := range c.node.Aggs {
		call := &c.node.Aggs[i]
		t := runTally{persons: call.Distinct}
		if call.Filter != nil {
			f := newRowFilter(c.scan, call.Filter)
			t.streams = make([]bool, len(streams))
			for k, s := range streams {
				_, ok, err := f.forRange(c.env.Expr, s.rng)
				if err != nil {
					return nil, err
				}
				t.streams[k] = ok
			}
		}
		out = append(out, t)
	}
	return out, nil
}

// valueCell is what the rows with one value add up to.
type valueCell struct {
	rows    int64
	persons uint32
	stamp   uint32 // the last of them, plus one
}

// valueCounts are what rows add up to, of one goroutine.
type valueCounts struct {
	cells [][]valueCell // of each set of streams, by value
	runs  unitRuns
	at    []int // by stream: the stretch of the last row
	late  []fillUnits
	held  int64
}

// countValues makes the counts of tallies by breakdown value.
func (ix *indexed) countValues(ctx context.Context, tallies []runTally) ([][]int64, error) {
	streams := ix.streams[0]
	sets, of := streamSets(tallies)
	parts := make([]valueCounts, ix.env.Threads)
	defer func() {
		for i := range parts {
			ix.env.release(parts[i].held)
		}
	}()
	err := intervals(ctx, ix.env, ix.total, ix.intervalSize(), func(ctx context.Context, w, lo, hi int) error {
		p := &parts[w]
		if p.cells == nil {
			p.cells, p.at, p.late = make([][]valueCell, len(sets)), make([]int, len(streams)), ix.lateValues()
		}
		if err := p.runs.open(streams, p.late, uint32(lo), uint32(hi)); err != nil {
			return err
		}
		if err := p.expect(ctx, ix.env, ix.values.count()); err != nil {
			return err
		}
		clear(p.at)
		for actor := range hi - lo {
			stamp := uint32(lo+actor) + 1
			for _, run := range p.runs.of(actor) {
				p.add(streams[run.stream], run, sets, stamp)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	out := make([][]int64, len(tallies))
	for i, t := range tallies {
		out[i] = make([]int64, ix.values.count())
		for k := range parts {
			if parts[k].cells == nil {
				continue
			}
			cells := parts[k].cells[of[i]] // there may be room for more
			for v, c := range cells[:min(len(cells), len(out[i]))] {
				if t.persons {
					out[i][v] += int64(c.persons)
				} else {
					out[i][v] += c.rows
				}
			}
		}
	}
	return out, nil
}

// streamSets is the different sets of streams that tallies count, and which of them is each one's.
func streamSets(tallies []runTally) (sets [][]bool, of []int) {
	for _, t := range tallies {
		at := slices.IndexFunc(sets, func(set []bool) bool { return (set == nil) == (t.streams == nil) && slices.Equal(set, t.streams) })
		if at < 0 {
			at = len(sets)
			sets = append(sets, t.streams)
		}
		of = append(of, at)
	}
	return sets, of
}

// expect makes room for so many values.
func (p *valueCounts) expect(ctx context.Context, env *Env, values int) error {
	for k, cells := range p.cells {
		if len(cells) >= values {
			continue
		}
		n := max(values, 2*len(cells))
		grown := 16 * int64(n-len(cells))
		p.held += grown
		if err := env.hold(ctx, grown); err != nil {
			return err
		}
		p.cells[k] = append(make([]valueCell, 0, n), cells...)[:n]
	}
	return nil
}

// add counts the rows of a run of the stamp's person.
func (p *valueCounts) add(s *stream, run unitRun, sets [][]bool, stamp uint32) {
	if s.stretches.ends != nil {
		p.addStretches(s, run, sets, stamp)
		return
	}
	from := int(run.row) - s.rng.Lo
	for k, set := range sets {
		cells := p.cells[k]
		switch {
		case set != nil && !set[run.stream]:
		case !s.late && s.vals == nil:
			cells[0].add(s.countRows(int(run.row), int(run.row+run.rows)), stamp)
		case s.match == nil:
			for _, v := range p.runs.units[run.at : run.at+run.rows] {
				cells[v].addRow(stamp)
			}
		default:
			for i, v := range p.runs.units[run.at : run.at+run.rows] {
				if s.match.Get(from + i) {
					cells[v].addRow(stamp)
				}
			}
		}
	}
}

// addRow counts a row of the stamp's person, without a branch that nobody can foresee.
func (c *valueCell) addRow(stamp uint32) {
	fresh := uint32(0)
	if c.stamp != stamp {
		fresh = 1
	}
	c.rows++
	c.persons += fresh
	c.stamp = stamp
}

// add counts rows of the stamp's person.
func (c *valueCell) add(rows int, stamp uint32) {
	c.rows += int64(rows)
	if rows > 0 && c.stamp != stamp {
		c.stamp = stamp
		c.persons++
	}
}

// addStretches counts the rows of a run of the stamp's person.
func (p *valueCounts) addStretches(s *stream, run unitRun, sets [][]bool, stamp uint32) {
	from := int(run.row) - s.rng.Lo
	end := from + int(run.rows)
	at := s.stretches.find(p.at[run.stream], uint32(from))
	for ; from < end; at++ {
		to := min(int(s.stretches.ends[at]), end)
		value, rows := s.stretches.of[at], s.countRows(s.rng.Lo+from, s.rng.Lo+to)
		for k, set := range sets {
			if set == nil || set[run.stream] {
				p.cells[k][value].add(rows, stamp)
			}
		}
		from = to
	}
	p.at[run.stream] = at - 1
}

// answerValues makes a row for each value that rows have; without keys, there is one row.
func (c *runCount) answerValues(ctx context.Context, values *values32, counts [][]int64) error {
	groups := []uint32{0}
	if values != nil {
		groups = groups[:0]
		for v, n := range counts[0] {
			if n > 0 {
				groups = append(groups, uint32(v))
			}
		}
		c.cols = values.groups.ordered(groups)
	}
	for _, of := range counts[1:] {
		v := &vec.Vector{Type: vec.T(vec.Int8), I64: make([]int64, len(groups))}
		for i, g := range groups {
			v.I64[i] = of[g]
		}
		c.cols = append(c.cols, v)
	}
	c.rows = len(groups)
	return c.hold(ctx, bytesOf(c.cols))
}
