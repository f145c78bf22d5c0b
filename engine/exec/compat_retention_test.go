package exec

import (
	"fmt"
	"math/rand"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/vec"
)

// insightRow is one row as the models of retention, lifecycle and stickiness see it.
type insightRow struct {
	actor int
	at    time.Time
	value string
	num   float64 // below zero is null
	conds []bool
}

// clockZones are zones with different changes of the clock in spring and autumn.
var clockZones = []string{"UTC", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "America/Santiago", "America/Havana"}

// randomHistory makes rows of a few actors around a change of the clock, on a coarse grid,
// so that many are equal or at a boundary.
func randomHistory(r *rand.Rand, loc *time.Location, conds, days int) []insightRow {
	base := []time.Time{time.Date(2026, 3, 1, 0, 0, 0, 0, loc), time.Date(2026, 10, 28, 0, 0, 0, 0, loc),
		time.Date(2026, 3, 30, 0, 0, 0, 0, loc), time.Date(2026, 9, 1, 0, 0, 0, 0, loc)}[r.Intn(4)]
	rows := make([]insightRow, r.Intn(50))
	for i := range rows {
		row := insightRow{actor: r.Intn(5), at: base.Add(time.Duration(r.Intn(days*96)) * 15 * time.Minute), conds: make([]bool, conds)}
		if r.Intn(3) == 0 { // local midnight
			y, m, d := row.at.Date()
			row.at = time.Date(y, m, d, 0, 0, 0, 0, loc)
		}
		for c := range row.conds {
			row.conds[c] = r.Intn(2) == 0
		}
		row.value = []string{"", "x", "y", "z"}[r.Intn(4)]
		row.num = float64(r.Intn(6) - 1)
		rows[i] = row
	}
	return rows
}

// insightSource makes rows the input of an operator; columns are the value, the number,
// the created time and the conditions. An actor is created when created says.
func insightSource(rows []insightRow, conds int, created func(int) time.Time) (plan.Source, []expr.Expr) {
	types := []vec.Type{vec.T(vec.Int8), vec.T(vec.TimestampTZ), vec.T(vec.Int8), vec.T(vec.Text), vec.T(vec.Float8), vec.T(vec.TimestampTZ)}
	for range conds {
		types = append(types, vec.T(vec.Bool))
	}
	v := &plan.Values{}
	cols := make([]expr.Expr, len(types))
	for i, t := range types {
		v.Columns = append(v.Columns, vec.Field{Name: fmt.Sprint("c", i), Type: t})
		cols[i] = &expr.Column{Index: i, T: t}
	}
	lit := func(x vec.Vector) expr.Expr { x.Form = vec.Const; return &expr.Const{Value: &x} }
	for i, r := range rows {
		out := []expr.Expr{
			lit(vec.Vector{Type: types[0], I64: []int64{int64(r.actor)}}), timeConst(r.at.UnixMicro()),
			lit(vec.Vector{Type: types[2], I64: []int64{int64(i)}}), lit(vec.Vector{Type: types[3], Str: vec.StringsOf(r.value)}),
			&expr.Const{Value: vec.NullConst(types[4])}, &expr.Const{Value: vec.NullConst(types[5])}}
		if r.num >= 0 {
			out[4] = lit(vec.Vector{Type: types[4], F64: []float64{r.num}})
		}
		if created != nil {
			out[5] = timeConst(created(r.actor).UnixMicro())
		}
		for _, c := range r.conds {
			out = append(out, lit(vec.Vector{Type: vec.T(vec.Bool), Bools: []bool{c}}))
		}
		v.Rows = append(v.Rows, out)
	}
	return plan.Source{Input: v, Actor: cols[0], Time: cols[1], Tie: cols[2], Compatible: true}, cols[3:]
}

// The units of the models, by name.
var unitIntervals = map[string]vec.IntervalValue{"hour": {Micros: hour}, "day": {Days: 1}, "week": {Days: 7}, "month": {Months: 1}}

// modelStart is the start of the unit that contains an instant.
func modelStart(at time.Time, unit string, sunday bool) time.Time {
	y, m, d := at.Date()
	midnight := modelDay(y, m, d, at.Location())
	switch unit {
	case "hour": // as many hours after midnight as have passed
		return midnight.Add(at.Sub(midnight).Truncate(time.Hour))
	case "week":
		back := int(at.Weekday())
		if !sunday {
			back = (back + 6) % 7
		}
		return modelDay(y, m, d-back, at.Location())
	case "month":
		return modelDay(y, m, 1, at.Location())
	}
	return midnight
}

// modelDay is the first quarter of an hour of a day: a walk back from noon finds it.
func modelDay(y int, m time.Month, d int, loc *time.Location) time.Time {
	noon := time.Date(y, m, d, 12, 0, 0, 0, loc)
	if at, ok := modelDays[noon]; ok {
		return at
	}
	at := noon
	for at.Add(-15*time.Minute).Day() == noon.Day() {
		at = at.Add(-15 * time.Minute)
	}
	modelDays[noon] = at
	return at
}

// modelDays keeps what modelDay has found: it is slow.
var modelDays = map[time.Time]time.Time{}

// modelNext is the start of the unit after one that starts at an instant: the first that
// a walk by quarters of an hour finds.
func modelNext(start time.Time, unit string, sunday bool) time.Time {
	at := start
	if unit == "month" {
		at = start.AddDate(0, 0, 26)
	} else if unit == "week" {
		at = start.AddDate(0, 0, 6)
	}
	for {
		at = at.Add(15 * time.Minute)
		if next := modelStart(at, unit, sunday); next.After(start) {
			return next
		}
	}
}

// modelGrid is the starts of the periods in [begin, end), and then the end of the last.
func modelGrid(begin, end time.Time, unit string, sunday bool) []time.Time {
	out := []time.Time{modelStart(begin, unit, sunday)}
	for out[len(out)-1].Before(end) {
		out = append(out, modelNext(out[len(out)-1], unit, sunday))
	}
	return out
}

// modelPeriod is the period of an instant in a grid, or -1.
func modelPeriod(grid []time.Time, at time.Time) int {
	for i := range grid[1:] {
		if !at.Before(grid[i]) && at.Before(grid[i+1]) {
			return i
		}
	}
	return -1
}

// sortedHistory is the rows of one actor in order.
func sortedHistory(rows []insightRow, actor int) []insightRow {
	var mine []insightRow
	for _, r := range rows {
		if r.actor == actor {
			mine = append(mine, r)
		}
	}
	sort.SliceStable(mine, func(i, j int) bool { return mine[i].at.Before(mine[j].at) })
	return mine
}

// retentionCase is a random question with COMPATIBLE.
type retentionCase struct {
	rows       []insightRow
	loc        *time.Location
	unit       string
	sunday     bool
	begin, end time.Time
	n          *plan.Retention
	ret, bare  int // conditions; bare is -1 without OF
}

func randomRetention(r *rand.Rand) *retentionCase {
	c := &retentionCase{bare: -1, unit: []string{"hour", "day", "day", "week", "month"}[r.Intn(5)], sunday: r.Intn(2) == 0}
	loc, err := time.LoadLocation(clockZones[r.Intn(len(clockZones))])
	if err != nil {
		panic(err)
	}
	c.loc = loc
	days := map[string]int{"hour": 2, "day": 12, "week": 50, "month": 150}[c.unit]
	c.rows = randomHistory(r, loc, 3, days)
	src, cols := insightSource(c.rows, 3, nil)
	src.Zone, src.Sunday = loc.String(), c.sunday
	at := time.Date(2026, 3, 1, 0, 0, 0, 0, loc)
	if len(c.rows) > 0 {
		at = c.rows[r.Intn(len(c.rows))].at
	}
	c.begin = modelStart(at.AddDate(0, 0, -r.Intn(days)/2), c.unit, c.sunday)
	c.end = c.begin
	for range 1 + r.Intn(8) {
		c.end = modelNext(c.end, c.unit, c.sunday)
	}
	src.From, src.To = timeConst(c.begin.UnixMicro()), timeConst(c.end.UnixMicro())
	n := &plan.Retention{Source: src, Start: cols[3], Return: cols[3], Every: unitIntervals[c.unit], Periods: 1 + r.Intn(9),
		Rule: plan.StartRule(r.Intn(3)), Minimum: 1, Output: plan.OutputActors}
	if r.Intn(2) == 0 {
		c.ret, n.Return = 1, cols[4]
	}
	if n.Rule == plan.FirstEver && r.Intn(2) == 0 {
		c.bare, n.FirstOf = 2, cols[5]
	}
	n.Minimum, n.OrAfter, n.ByActor = 1+r.Intn(2), r.Intn(4) == 0, r.Intn(3) == 0
	if r.Intn(4) == 0 {
		n.Brackets = []int{1 + r.Intn(2), 4, 5 + r.Intn(3)}
	}
	if r.Intn(2) == 0 {
		n.Breakdown = &plan.Breakdown{Exprs: cols[:1], Names: []string{"v"}}
	}
	c.n = n
	return c
}

// inside says whether a row lies in the grid.
func (c *retentionCase) inside(r insightRow) bool {
	return !r.at.Before(c.begin) && r.at.Before(c.end)
}

// cell is an actor in a row of the answer, with its columns.
type modelCell struct {
	value   string
	row     int
	actor   int
	columns map[int]bool
	sums    map[int]float64
}

// model answers the question actor by actor, straight from the rules.
func (c *retentionCase) model() []modelCell {
	var out []modelCell
	grid := modelGrid(c.begin, c.end, c.unit, c.sunday)
	for actor := range 5 {
		mine := sortedHistory(c.rows, actor)
		if c.n.Rule == plan.FirstEver && c.bare >= 0 {
			first := func(cond int) (time.Time, bool) {
				for _, m := range mine {
					if m.conds[cond] {
						return m.at, true
					}
				}
				return time.Time{}, false
			}
			a, ok1 := first(0)
			b, ok2 := first(c.bare)
			if !ok1 || !ok2 || !a.Equal(b) {
				continue
			}
		}
		switch {
		case c.n.ByActor:
			out = append(out, c.windows(actor, mine, grid)...)
		case c.n.Breakdown == nil:
			out = append(out, c.calendar("", actor, mine, grid)...)
		case c.n.Rule == plan.FirstEver:
			value, cond := "", max(0, c.bare)
			for _, m := range slices.Backward(mine) {
				if m.conds[cond] {
					value = m.value
				}
			}
			out = append(out, c.calendar(value, actor, mine, grid)...)
		default:
			for _, v := range []string{"", "x", "y", "z"} {
				var own []insightRow
				for _, m := range mine {
					if m.value == v {
						own = append(own, m)
					}
				}
				out = append(out, c.calendar(v, actor, own, grid)...)
			}
		}
	}
	return out
}

func (c *retentionCase) calendar(value string, actor int, mine []insightRow, grid []time.Time) []modelCell {
	starts, returns := map[int]bool{}, map[int]int{}
	for _, m := range mine {
		if m.conds[0] && (c.inside(m) || c.n.Rule != plan.EveryTime) {
			if c.inside(m) {
				starts[modelPeriod(grid, m.at)] = true
			}
			if c.n.Rule != plan.EveryTime {
				break
			}
		}
	}
	for _, m := range mine {
		if m.conds[c.ret] && c.inside(m) {
			returns[modelPeriod(grid, m.at)]++
		}
	}
	first := -1
	for row := range grid {
		if starts[row] && first < 0 {
			first = row
		}
	}
	var out []modelCell
	for row := range grid {
		if !starts[row] {
			continue
		}
		cell := modelCell{value: value, row: row, actor: actor, columns: map[int]bool{0: true}}
		if c.n.Measure != nil {
			c.measure(&cell, mine, grid)
			out = append(out, cell)
			continue
		}
		for p, count := range returns {
			if count < c.n.Minimum {
				continue
			}
			if c.n.Brackets != nil {
				if b := c.bracket(p - first); b > 0 {
					cell.columns[b] = true
				}
			} else if p > row && p-row < c.n.Periods {
				cell.columns[p-row] = true
			}
		}
		c.cumulate(&cell)
		out = append(out, cell)
	}
	return out
}

func (c *retentionCase) bracket(distance int) int {
	if distance <= 0 {
		return 0
	}
	for b, end := range c.n.Brackets {
		if distance <= end {
			return b + 1
		}
	}
	return 0
}

func (c *retentionCase) cumulate(cell *modelCell) {
	if !c.n.OrAfter {
		return
	}
	last := 0
	for k := range cell.columns {
		last = max(last, k)
	}
	for k := range last {
		cell.columns[k] = true
	}
}

func (c *retentionCase) measure(cell *modelCell, mine []insightRow, grid []time.Time) {
	cell.sums = map[int]float64{}
	entry := func(column int, m insightRow) {
		if column < c.n.Periods {
			cell.columns[column] = true
			cell.sums[column] += max(0, m.num)
		}
	}
	var first *insightRow
	for i, m := range mine {
		if m.conds[0] && c.inside(m) && modelPeriod(grid, m.at) == cell.row {
			entry(0, m)
			if first == nil {
				first = &mine[i]
			}
		}
	}
	for _, m := range mine {
		if !m.conds[c.ret] || !c.inside(m) {
			continue
		}
		p := modelPeriod(grid, m.at)
		if p > cell.row || c.n.Own && p == cell.row && m.at.After(first.at) {
			entry(p-cell.row, m)
		}
	}
}

// strikes is how many hours (or days) a zone's clock begins after a, up to b.
func strikes(a, b time.Time, loc *time.Location, days bool) int {
	if b.Before(a) {
		return -strikes(b, a, loc, days)
	}
	n := 0
	for at := a.Truncate(15 * time.Minute).Add(15 * time.Minute); !at.After(b); at = at.Add(15 * time.Minute) {
		local := at.In(loc)
		if days && local.Day() != at.Add(-time.Minute).In(loc).Day() || !days && local.Minute() == 0 {
			n++
		}
	}
	return n
}

func (c *retentionCase) window(a, b time.Time) int {
	size := map[string]int{"hour": 1, "day": 24, "week": 7, "month": 30}[c.unit]
	n := strikes(a, b, c.loc, c.unit == "week" || c.unit == "month")
	if n < 0 {
		return -1
	}
	return n / size
}

func (c *retentionCase) windows(actor int, mine []insightRow, grid []time.Time) []modelCell {
	sees := func(m insightRow) bool { return c.inside(m) || c.n.Rule != plan.EveryTime }
	var t0 time.Time
	for _, m := range mine {
		if m.conds[0] && sees(m) {
			t0 = m.at
			break
		}
	}
	if t0.IsZero() {
		return nil
	}
	row := c.window(c.begin, t0)
	if t0.Before(c.begin) || row < 0 || row >= len(grid)-1 {
		return nil
	}
	cells := map[string]*modelCell{}
	for _, m := range mine {
		if !sees(m) || m.at.Before(t0) || !m.conds[0] && !m.conds[c.ret] {
			continue
		}
		v := m.value
		if c.n.Breakdown == nil {
			v = ""
		}
		if cells[v] == nil {
			cells[v] = &modelCell{value: v, row: row, actor: actor, columns: map[int]bool{0: true}}
		}
		if !m.conds[c.ret] {
			continue
		}
		column := c.window(t0, m.at)
		if c.n.Brackets != nil {
			column = c.bracket(column)
		} else if column >= c.n.Periods {
			continue
		}
		cells[v].columns[column] = true
	}
	var out []modelCell
	for _, cell := range cells {
		c.cumulate(cell)
		out = append(out, *cell)
	}
	return out
}

// TestCompatRetentionActors holds OUTPUT ACTORS against the rules.
func TestCompatRetentionActors(t *testing.T) {
	for seed := range tries(2000) {
		c := randomRetention(rand.New(rand.NewSource(seed)))
		if c.n.ByActor && c.loc.String() == "Australia/Lord_Howe" {
			continue // a clock that is set by half an hour strikes when it should not
		}
		grid := modelGrid(c.begin, c.end, c.unit, c.sunday)
		var want []string
		for _, m := range c.model() {
			line := ""
			if c.n.Breakdown != nil {
				line = m.value + " "
			}
			line += fmt.Sprint(grid[m.row].UnixMicro(), " ", m.actor, " [")
			for k := range 20 {
				if m.columns[k] {
					line += fmt.Sprint(k, " ")
				}
			}
			want = append(want, line+"] ")
		}
		sort.Strings(want)
		op, err := newRetention(c.n, testEnv(0))
		if err != nil {
			t.Fatal(err)
		}
		got := rowsOf(t, op)
		sort.Strings(got)
		if !slices.Equal(got, want) {
			t.Fatalf("seed %d: %s by %s, %s to %s, %+v\nrows %v\ngot  %q\nwant %q", seed, c.loc, c.unit, c.begin, c.end, c.n, c.rows, got, want)
		}
	}
}

// TestCompatRetentionMatrix holds the matrix, its measures and its order against the sums
// of what the rules say of actors.
func TestCompatRetentionMatrix(t *testing.T) {
	for seed := range tries(1500) {
		r := rand.New(rand.NewSource(seed))
		c := randomRetention(r)
		c.n.Output, c.n.ByActor = plan.OutputDefault, false
		if r.Intn(2) == 0 {
			call := plan.AggCall{Name: []string{"sum", "avg"}[r.Intn(2)], Args: []expr.Expr{&expr.Column{Index: 4, T: vec.T(vec.Float8)}}, T: vec.T(vec.Float8)}
			c.n.Measure, c.n.Brackets, c.n.Own = &call, nil, r.Intn(2) == 0
		}
		if c.n.Breakdown != nil && r.Intn(2) == 0 {
			c.n.Breakdown.Top, c.n.Breakdown.WithOther = 1+r.Intn(3), r.Intn(2) == 0
		}
		want := c.matrix()
		op, err := newRetention(c.n, testEnv(0))
		if err != nil {
			t.Fatal(err)
		}
		if got := rowsOf(t, op); !slices.Equal(got, want) {
			t.Fatalf("seed %d: %s by %s, %s to %s, %+v %+v\nrows %v\ngot  %q\nwant %q", seed, c.loc, c.unit, c.begin, c.end, c.n, c.n.Breakdown, c.rows, got, want)
		}
	}
}

// matrix is the answer of OUTPUT MATRIX.
func (c *retentionCase) matrix() []string {
	grid := modelGrid(c.begin, c.end, c.unit, c.sunday)
	columns := c.n.Periods
	if c.n.Brackets != nil {
		columns = len(c.n.Brackets) + 1
	}
	counts, sums, sizes := map[string]int{}, map[string]float64{}, map[string]int{}
	key := func(v string, row, k int) string { return fmt.Sprint(v, "/", row, "/", k) }
	for _, m := range c.model() {
		sizes[m.value]++
		for k := range m.columns {
			counts[key(m.value, m.row, k)]++
			sums[key(m.value, m.row, k)] += m.sums[k]
		}
	}
	if c.n.Measure != nil && c.n.Measure.Name == "avg" {
		for k := range sums {
			sums[k] /= float64(counts[k])
		}
	}
	var values []string
	for v := range sizes {
		values = append(values, v)
	}
	sort.Slice(values, func(i, j int) bool {
		a, b := values[i], values[j]
		if sizes[a] != sizes[b] {
			return sizes[a] > sizes[b]
		}
		return a < b
	})
	groups := [][]string{{""}}
	if by := c.n.Breakdown; by != nil {
		groups = nil
		for i, v := range values {
			switch {
			case by.Top == 0 || i < by.Top:
				groups = append(groups, []string{v})
			case !by.WithOther:
			case i == by.Top:
				groups = append(groups, []string{v})
			default:
				groups[by.Top] = append(groups[by.Top], v)
			}
		}
	}
	var out []string
	for g, group := range groups {
		for row := range grid[1:] {
			for k := range columns {
				line := ""
				if by := c.n.Breakdown; by != nil {
					other := by.Top > 0 && g == by.Top
					if line = group[0] + " "; other {
						line = "- "
					}
					if by.WithOther {
						line += fmt.Sprint(other, " ")
					}
				}
				count, sum := 0, 0.0
				for _, v := range group {
					count += counts[key(v, row, k)]
					sum += sums[key(v, row, k)]
				}
				line += fmt.Sprint(grid[row].UnixMicro(), " ", k, " ", count, " ")
				if c.n.Measure != nil {
					line += fmt.Sprintf("%.9g ", sum)
				}
				out = append(out, line)
			}
		}
	}
	return out
}

// TestLifecycleModel holds both faces of LIFECYCLE against the rules.
func TestLifecycleModel(t *testing.T) {
	for seed := range tries(1500) {
		r := rand.New(rand.NewSource(seed))
		unit, sunday := []string{"hour", "day", "day", "week", "month"}[r.Intn(5)], r.Intn(2) == 0
		loc, err := time.LoadLocation(clockZones[r.Intn(len(clockZones))])
		if err != nil {
			t.Fatal(err)
		}
		days := map[string]int{"hour": 2, "day": 12, "week": 50, "month": 150}[unit]
		rows := randomHistory(r, loc, 1, days)
		born := map[int]time.Time{}
		for a := range 5 {
			born[a] = time.Date(2026, 3, 1, 0, 0, 0, 0, loc)
			if len(rows) > 0 {
				born[a] = rows[r.Intn(len(rows))].at.Add(-time.Duration(r.Intn(50)) * time.Minute)
			}
		}
		src, cols := insightSource(rows, 1, func(a int) time.Time { return born[a] })
		src.Zone, src.Sunday, src.Where = loc.String(), sunday, cols[3]
		at := time.Date(2026, 3, 1, 0, 0, 0, 0, loc)
		if len(rows) > 0 {
			at = rows[r.Intn(len(rows))].at
		}
		from := at.AddDate(0, 0, -r.Intn(days)/2).Add(time.Duration(r.Intn(1000)) * time.Minute)
		to := from.Add(time.Duration(1+r.Intn(days*20)) * time.Hour)
		src.From, src.To = timeConst(from.UnixMicro()), timeConst(to.UnixMicro())
		n := &plan.Lifecycle{Source: src, Every: unitIntervals[unit], Output: plan.Output(r.Intn(2))}
		if r.Intn(2) == 0 {
			n.Created = cols[2]
		}
		var want []string
		grid := modelGrid(from, to, unit, sunday)
		counts := map[string]int{}
		for actor := range 5 {
			var active []time.Time // the starts of the buckets, from the one before on
			before := modelStart(grid[0].Add(-time.Minute), unit, sunday)
			birth := born[actor]
			seen := false
			for _, m := range sortedHistory(rows, actor) {
				if !m.conds[0] {
					continue
				}
				if n.Created == nil && !seen {
					birth = m.at
				}
				seen = true
				s := modelStart(m.at, unit, sunday)
				if s.Before(before) || !s.Before(grid[len(grid)-1]) {
					continue
				}
				if len(active) == 0 || !active[len(active)-1].Equal(s) {
					active = append(active, s)
				}
			}
			for i, s := range active {
				status := "resurrecting"
				if i == 0 && modelStart(birth, unit, sunday).Equal(s) {
					status = "new"
				} else if i > 0 && modelNext(active[i-1], unit, sunday).Equal(s) {
					status = "returning"
				}
				note := func(s time.Time, status string) {
					if p := modelPeriod(grid, s); p >= 0 {
						counts[fmt.Sprint(s.UnixMicro(), " ", status, " ")]++
						if n.Output == plan.OutputActors {
							want = append(want, fmt.Sprint(s.UnixMicro(), " ", status, " ", actor, " "))
						}
					}
				}
				note(s, status)
				if next := modelNext(s, unit, sunday); i+1 == len(active) || !active[i+1].Equal(next) {
					note(next, "dormant")
				}
			}
		}
		if n.Output == plan.OutputDefault {
			for _, s := range grid[:len(grid)-1] {
				for _, status := range statusNames {
					k := fmt.Sprint(s.UnixMicro(), " ", status, " ")
					want = append(want, fmt.Sprint(k, counts[k], " "))
				}
			}
		}
		op, err := newLifecycle(n, testEnv(0))
		if err != nil {
			t.Fatal(err)
		}
		got := rowsOf(t, op)
		if n.Output == plan.OutputActors {
			sort.Strings(got)
			sort.Strings(want)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("seed %d: %s by %s, %s to %s, created %v\nrows %v\ngot  %q\nwant %q", seed, loc, unit, from, to, n.Created != nil, rows, got, want)
		}
	}
}

// TestStickinessModel holds STICKINESS against the rules.
func TestStickinessModel(t *testing.T) {
	for seed := range tries(1500) {
		r := rand.New(rand.NewSource(seed))
		unit, sunday := []string{"hour", "day", "day", "week", "month"}[r.Intn(5)], r.Intn(2) == 0
		loc, err := time.LoadLocation(clockZones[r.Intn(len(clockZones))])
		if err != nil {
			t.Fatal(err)
		}
		days := map[string]int{"hour": 2, "day": 12, "week": 50, "month": 150}[unit]
		rows := randomHistory(r, loc, 2, days)
		src, cols := insightSource(rows, 2, nil)
		src.Zone, src.Sunday = loc.String(), sunday
		at := time.Date(2026, 3, 1, 0, 0, 0, 0, loc)
		if len(rows) > 0 {
			at = rows[r.Intn(len(rows))].at
		}
		from := at.AddDate(0, 0, -r.Intn(days)/2)
		to := from.Add(time.Duration(1+r.Intn(days*20)) * time.Hour)
		src.From, src.To = timeConst(from.UnixMicro()), timeConst(to.UnixMicro())
		one := unitIntervals[unit]
		units := 1 + r.Intn(3)
		n := &plan.Stickiness{Source: src, Units: units, Every: vec.IntervalValue{Months: one.Months * int32(units), Days: one.Days * int32(units), Micros: one.Micros * int64(units)},
			Series: []plan.StickinessSeries{{Name: "a", Cond: cols[3]}, {Name: "b", Cond: cols[4]}},
			Bound:  plan.Bound(r.Intn(3)), Times: 1 + r.Intn(2), OrMore: r.Intn(2) == 0, Output: plan.Output(r.Intn(2))}
		if units > 1 {
			n.AlignTo = n.To
		}
		enough := []func(int) bool{func(k int) bool { return k >= n.Times }, func(k int) bool { return k <= n.Times }, func(k int) bool { return k == n.Times }}[n.Bound]
		// group numbers the bucket of a row; counted back: how many whole groups lie between
		// the row and the end.
		group := func(at time.Time) string {
			if units == 1 {
				return modelStart(at, unit, sunday).String()
			}
			for k := 0; ; k++ {
				if !addInterval(to, vec.IntervalValue{Months: -n.Every.Months * int32(k+1), Days: -n.Every.Days * int32(k+1), Micros: -n.Every.Micros * int64(k+1)}).After(at) {
					return fmt.Sprint(k)
				}
			}
		}
		slots := (len(modelGrid(from, to, unit, sunday)) - 1 + units - 1) / units
		var want []string
		counts := [2]map[int]int{{}, {}}
		for s, name := range []string{"a", "b"} {
			for actor := range 5 {
				hits := map[string]int{}
				for _, m := range rows {
					if m.actor == actor && m.conds[s] && !m.at.Before(from) && m.at.Before(to) {
						hits[group(m.at)]++
					}
				}
				k := 0
				for _, h := range hits {
					if enough(h) {
						k++
					}
				}
				if k > 0 {
					counts[s][k]++
					if n.Output == plan.OutputActors {
						want = append(want, fmt.Sprint(name, " ", actor, " ", k, " "))
					}
				}
			}
		}
		if n.Output == plan.OutputDefault {
			for k := 1; k <= max(slots, 100); k++ {
				if k > slots && counts[0][k]+counts[1][k] == 0 {
					continue
				}
				line := fmt.Sprint(k, " ")
				for s := range counts {
					sum := counts[s][k]
					for more := k + 1; n.OrMore && more < 200; more++ {
						sum += counts[s][more]
					}
					line += fmt.Sprint(sum, " ")
				}
				want = append(want, line)
			}
		}
		op, err := newStickiness(n, testEnv(0))
		if err != nil {
			t.Fatal(err)
		}
		got := rowsOf(t, op)
		if n.Output == plan.OutputActors {
			sort.Strings(got)
			sort.Strings(want)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("seed %d: %s by %d %s, %s to %s, %+v\nrows %v\ngot  %s\nwant %s", seed, loc, units, unit, from, to, n, rows, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}
