package exec

import (
	"cmp"
	"context"
	"fmt"
	"math/rand"
	"slices"
	"sort"
	"testing"
	"time"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/vec"
)

// plainRetention is a random question without COMPATIBLE. Condition 0 is START, 1 another
// RETURN, 2 what FIRST EVER is OF, and 3 the FILTER of MEASURE.
type plainRetention struct {
	rows     []insightRow
	loc      *time.Location
	unit     string
	from, to time.Time // DURING; zero: all
	now      time.Time
	ret      int
	grid     []time.Time
	n        *plan.Retention
}

func randomPlainRetention(r *rand.Rand) *plainRetention {
	c := &plainRetention{unit: []string{"hour", "day", "day", "week", "month"}[r.Intn(5)]}
	loc, err := time.LoadLocation(clockZones[r.Intn(len(clockZones))])
	if err != nil {
		panic(err)
	}
	c.loc = loc
	days := map[string]int{"hour": 2, "day": 12, "week": 50, "month": 150}[c.unit]
	c.rows = randomHistory(r, loc, 4, days)
	src, cols := insightSource(c.rows, 4, nil)
	src.Compatible, src.Zone, src.Sunday = false, loc.String(), r.Intn(2) == 0
	at := time.Date(2026, 3, 1, 0, 0, 0, 0, loc)
	first, last := at, at
	for i, row := range c.rows {
		if i == 0 || row.at.Before(first) {
			first = row.at
		}
		if i == 0 || row.at.After(last) {
			last = row.at
		}
	}
	c.now = first.Add(time.Duration(r.Intn(days*36)) * time.Hour)
	if r.Intn(2) == 0 {
		c.from = first.Add(time.Duration(r.Intn(days*12)) * time.Hour)
		c.to = c.from.Add(time.Duration(1+r.Intn(days*20)) * time.Hour)
		src.From, src.To = timeConst(c.from.UnixMicro()), timeConst(c.to.UnixMicro())
	}
	end := last
	if c.now.After(end) {
		end = c.now
	}
	c.grid = modelGrid(first, end.Add(time.Microsecond), c.unit, src.Sunday)
	n := &plan.Retention{Source: src, Start: cols[3], Return: cols[3], Every: unitIntervals[c.unit],
		Rule: plan.StartRule(r.Intn(3)), Minimum: 1 + r.Intn(2), OrAfter: r.Intn(3) == 0, ByActor: r.Intn(2) == 0,
		Output: []plan.Output{plan.OutputDefault, plan.OutputActors, plan.OutputCurve}[r.Intn(3)]}
	if r.Intn(2) == 0 {
		c.ret, n.Return = 1, cols[4]
	}
	if n.Rule == plan.FirstEver && r.Intn(2) == 0 {
		n.FirstOf = cols[5]
	}
	switch r.Intn(3) {
	case 0:
		n.Periods = 1 + r.Intn(9)
	case 1:
		n.Brackets = []int{1 + r.Intn(2), 4, 5 + r.Intn(3)}
	}
	if r.Intn(2) == 0 {
		n.Breakdown = &plan.Breakdown{Exprs: cols[:1], Names: []string{"v"}}
		if r.Intn(2) == 0 {
			n.Breakdown.Top, n.Breakdown.WithOther = 1+r.Intn(3), r.Intn(2) == 0
		}
	}
	if n.Output != plan.OutputActors && r.Intn(2) == 0 {
		n.Measure = &plan.AggCall{Name: "sum", Args: []expr.Expr{cols[1]}, T: vec.T(vec.Float8)}
		if r.Intn(3) == 0 {
			n.Measure = &plan.AggCall{Name: "count", Args: []expr.Expr{cols[0]}, Distinct: true, T: vec.T(vec.Int8)}
		}
		if r.Intn(2) == 0 {
			n.Measure.Filter = cols[6]
		}
	}
	c.n = n
	return c
}

// period is the distance of a return from a start, in periods.
func (c *plainRetention) period(start, at time.Time) int {
	if !c.n.ByActor {
		return modelPeriod(c.grid, at) - modelPeriod(c.grid, start)
	}
	n := 0
	for iv := c.n.Every; !addInterval(start, iv).After(at); n++ {
		iv.Months, iv.Days, iv.Micros = iv.Months+c.n.Every.Months, iv.Days+c.n.Every.Days, iv.Micros+c.n.Every.Micros
	}
	return n
}

// plainStart is an actor in a cohort.
type plainStart struct {
	value   string
	actor   int
	cohort  int
	returns []insightRow
	periods []int // of returns
}

// starts are all starts that count.
func (c *plainRetention) starts() []plainStart {
	var out []plainStart
	for actor := range 5 {
		mine := sortedHistory(c.rows, actor)
		cohorts := map[int]bool{}
		seen := false
		for i, m := range mine {
			if c.n.Rule == plan.FirstEver && seen {
				break
			}
			seen = seen || (c.n.FirstOf == nil && m.conds[0]) || (c.n.FirstOf != nil && m.conds[2])
			if c.n.Rule == plan.FirstEver && !seen {
				continue
			}
			inside := c.from.IsZero() || !m.at.Before(c.from) && m.at.Before(c.to)
			cohort := modelPeriod(c.grid, m.at)
			if !m.conds[0] || !inside || cohorts[cohort] {
				continue
			}
			cohorts[cohort] = true
			s := plainStart{value: m.value, actor: actor, cohort: cohort}
			for _, o := range mine[i+1:] {
				if o.conds[c.ret] {
					s.returns, s.periods = append(s.returns, o), append(s.periods, c.period(m.at, o.at))
				}
			}
			out = append(out, s)
			if c.n.Rule != plan.EveryTime {
				break
			}
		}
	}
	return out
}

// within says whether a period belongs to a column.
func (c *plainRetention) within(period, column int) bool {
	if c.n.Brackets == nil {
		return period == column
	}
	from := 0
	if column > 0 {
		from = c.n.Brackets[column-1]
	}
	return period > from && (column == len(c.n.Brackets) || period <= c.n.Brackets[column])
}

// retained says whether a start has enough returns in a column.
func (c *plainRetention) retained(s *plainStart, column int) bool {
	beyond := 10000
	if c.n.Brackets != nil {
		beyond = len(c.n.Brackets) + 1
	}
	for k := column; k < beyond; k++ {
		n := 0
		for _, p := range s.periods {
			if c.within(p, k) {
				n++
			}
		}
		if n >= c.n.Minimum {
			return true
		}
		if !c.n.OrAfter || k > len(c.grid)+1 && c.n.Brackets == nil {
			return false
		}
	}
	return false
}

func (c *plainRetention) width(cohort int) int {
	switch {
	case c.n.Brackets != nil:
		return len(c.n.Brackets)
	case c.n.Periods > 0:
		return c.n.Periods
	}
	n := 0
	for _, s := range c.grid[cohort:] {
		if !s.After(c.now) {
			n++
		}
	}
	return max(1, n)
}

func (c *plainRetention) label(column int) int {
	if c.n.Brackets != nil {
		return c.n.Brackets[column]
	}
	return column
}

func (c *plainRetention) complete(cohort, column int) bool {
	end := cohort + c.label(column) + 1
	if c.n.ByActor {
		end++
	}
	return end < len(c.grid) && !c.grid[end].After(c.now)
}

// measure is MEASURE over what some starts returned for in a column.
func (c *plainRetention) measure(starts []plainStart, column int) string {
	call := c.n.Measure
	if call == nil {
		return ""
	}
	sum, any, values := 0.0, false, map[string]bool{}
	for _, s := range starts {
		for i, m := range s.returns {
			if !c.within(s.periods[i], column) || call.Filter != nil && !m.conds[3] {
				continue
			}
			values[m.value] = true
			if m.num >= 0 {
				sum, any = sum+m.num, true
			}
		}
	}
	switch {
	case call.Distinct:
		return fmt.Sprint(len(values), " ")
	case any:
		return fmt.Sprintf("%.9g ", sum)
	}
	return "- "
}

// answer is the rows of the answer.
func (c *plainRetention) answer() []string {
	var values []string
	of := map[string][]plainStart{}
	for _, s := range c.starts() {
		if c.n.Breakdown == nil {
			s.value = ""
		}
		if of[s.value] == nil {
			values = append(values, s.value)
		}
		of[s.value] = append(of[s.value], s)
	}
	slices.SortFunc(values, func(a, b string) int {
		return cmp.Or(cmp.Compare(len(of[b]), len(of[a])), cmp.Compare(a, b))
	})
	var out []string
	by := c.n.Breakdown
	for i, v := range values {
		starts, head := of[v], ""
		if by != nil {
			head = v + " "
			if by.Top > 0 && i == by.Top {
				if !by.WithOther {
					break
				}
				for _, more := range values[i+1:] {
					starts = append(starts, of[more]...)
				}
				head = "- "
			}
			if by.WithOther {
				head += fmt.Sprint(i == by.Top, " ")
			}
		}
		out = append(out, c.part(head, starts)...)
		if by != nil && by.Top > 0 && i == by.Top {
			break
		}
	}
	return out
}

// part is the rows of one breakdown value.
func (c *plainRetention) part(head string, starts []plainStart) []string {
	var out []string
	columns := 0
	cohorts := make([][]plainStart, len(c.grid))
	for _, s := range starts {
		columns = max(columns, c.width(s.cohort))
		cohorts[s.cohort] = append(cohorts[s.cohort], s)
	}
	line := func(head string, list []plainStart, column int) string {
		back := 0
		for i := range list {
			if c.retained(&list[i], column) {
				back++
			}
		}
		rate := "-"
		if len(list) > 0 {
			rate = fmt.Sprintf("%.9g", float64(back)/float64(len(list)))
		}
		return fmt.Sprint(head, c.label(column), " ", len(list), " ", back, " ", rate, " ")
	}
	switch c.n.Output {
	case plan.OutputActors:
		for i, s := range starts {
			text := fmt.Sprint(head, c.grid[s.cohort].UnixMicro(), " ", s.actor, " [")
			reach := len(c.grid) + 2 // without FOR, as far as there are rows
			if c.n.Periods > 0 || c.n.Brackets != nil {
				reach = c.width(s.cohort)
			}
			for k := range reach {
				if c.retained(&starts[i], k) {
					text += fmt.Sprint(c.label(k), " ")
				}
			}
			out = append(out, text+"] ")
		}
	case plan.OutputCurve:
		for k := range columns {
			var list []plainStart
			for cohort, some := range cohorts {
				if c.complete(cohort, k) && len(some) > 0 && k < c.width(cohort) {
					list = append(list, some...)
				}
			}
			out = append(out, line(head, list, k)+c.measure(list, k))
		}
	default:
		for cohort, list := range cohorts {
			for k := 0; len(list) > 0 && k < c.width(cohort); k++ {
				at := fmt.Sprint(head, c.grid[cohort].UnixMicro(), " ")
				out = append(out, line(at, list, k)+fmt.Sprint(c.complete(cohort, k), " ")+c.measure(list, k))
			}
		}
	}
	return out
}

// TestPlainRetentionModel holds every clause of RETENTION, and every output, against the
// definition.
func TestPlainRetentionModel(t *testing.T) {
	for seed := range tries(1500) {
		r := rand.New(rand.NewSource(seed))
		c := randomPlainRetention(r)
		want := c.answer()
		op, err := newRetention(c.n, testEnv(c.now.UnixMicro()))
		if err != nil {
			t.Fatal(err)
		}
		got := rowsOf(t, op)
		if c.n.Output == plan.OutputActors {
			sort.Strings(got)
			sort.Strings(want)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("seed %d: %s by %s, from %s to %s, now %s\n%+v %+v %v\nrows %v\ngot  %q\nwant %q",
				seed, c.loc, c.unit, c.from, c.to, c.now, c.n, c.n.Breakdown, c.n.Measure, c.rows, got, want)
		}
	}
}

// Arguments are evaluated only for the rows that a measure takes in: of others they may be
// in no form to be read.
func TestRetentionMeasureReadsReturnsOnly(t *testing.T) {
	rows := []insightRow{
		{at: time.UnixMicro(0).UTC(), conds: []bool{true, false, false}, value: "much"},
		{at: time.UnixMicro(1).UTC(), conds: []bool{false, true, false}, value: "more"},
		{at: time.UnixMicro(2).UTC(), conds: []bool{false, true, true}, value: "7"},
	}
	src, cols := insightSource(rows, 3, nil)
	src.Compatible = false
	number, err := expr.NewCast(cols[0], vec.T(vec.Int4), true, false)
	if err != nil {
		t.Fatal(err)
	}
	n := &plan.Retention{Source: src, Start: cols[3], Return: cols[4], Every: unitIntervals["day"], Periods: 1,
		Measure: &plan.AggCall{Name: "max", Args: []expr.Expr{number}, Filter: cols[5], T: vec.T(vec.Int4)}}
	op, err := newRetention(n, testEnv(0))
	if err != nil {
		t.Fatal(err)
	}
	if got := rowsOf(t, op); !slices.Equal(got, []string{"0 0 1 1 1 false 7 "}) {
		t.Errorf("rows are %q", got)
	}
	n.Measure.Filter = nil
	if op, err = newRetention(n, testEnv(0)); err != nil {
		t.Fatal(err)
	}
	if _, err := op.Next(context.Background()); err == nil {
		t.Error(`"more" is a number`)
	}
}
