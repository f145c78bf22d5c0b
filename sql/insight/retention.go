package insight

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/prickledb/prickle/sql/ast"
)

// retained is a retention query that is being answered.
type retained struct {
	*compiler
	q               *query
	where           ast.Expr
	start, comeback *entity
	by              *breakdown
	u               unit
	begin, end      time.Time
	columns         int // periods that are asked for
	cells           int // cells of a row
	word            string
}

func (c *compiler) readRetention(q *query) (*retained, error) {
	f := &q.Retention
	r := &retained{compiler: c, q: q, word: f.Period, columns: 8}
	if r.word == "" {
		r.word = "Day"
	}
	var err error
	if r.u, err = readUnit(r.word, "retentionFilter.period"); err != nil {
		return nil, err
	}
	r.word = strings.ToUpper(r.u.String()[:1]) + r.u.String()[1:]
	if r.u < hour {
		return nil, refuse("retentionFilter.period", "retention has periods of an Hour, Day, Week or Month")
	}
	if f.Intervals != nil {
		r.columns = *f.Intervals
	}
	if r.columns < 1 || r.columns > maxBuckets {
		return nil, refuse("retentionFilter.totalIntervals", "totalIntervals lies between 1 and %d", maxBuckets)
	}
	if r.rolling() {
		switch {
		case f.Cumulative:
			return nil, refuseCode("retention_cumulative_24_hour_windows_unsupported", "Cumulative retention is not supported for 24 hour windows.")
		case f.Aggregation == "sum" || f.Aggregation == "avg":
			return nil, refuseCode("retention_24_hour_windows_property_aggregation_unsupported", "Sum and average aggregation are not supported for 24 hour windows.")
		}
	}
	if r.measured() {
		f.Brackets = nil // they group returns, not values
	}
	r.cells = r.columns
	if len(f.Brackets) > 0 {
		r.cells = len(f.Brackets) + 1
		for _, b := range f.Brackets {
			if b < 1 || b > maxBuckets {
				return nil, refuse("retentionFilter.retentionCustomBrackets", "a bracket has between 1 and %d periods", maxBuckets)
			}
		}
	}
	if r.where, err = c.common(q); err != nil {
		return nil, err
	}
	if r.start, err = c.retentionEntity(f.Target, "retentionFilter.targetEntity"); err != nil {
		return nil, err
	}
	if r.comeback, err = c.retentionEntity(f.Returning, "retentionFilter.returningEntity"); err != nil {
		return nil, err
	}
	if err := missingAction([]*entity{r.start, r.comeback}); err != nil {
		return nil, err
	}
	if r.by, err = c.breakdown(q.Breakdown); err != nil {
		return nil, err
	}
	if r.by != nil && len(r.by.items) > 1 {
		r.by.items = r.by.items[:1]
	}
	return r, r.grid()
}

func (r *retained) rolling() bool { return r.q.Retention.Window == "24_hour_windows" }

// retentionEntity is an event or action as retention names it.
func (c *compiler) retentionEntity(n *node2, attr string) (*entity, error) {
	event := "$pageview"
	if n == nil {
		return c.entity(&node{Kind: "EventsNode", Event: &event}, attr)
	}
	out := &node{Kind: "EventsNode", CustomName: n.CustomName, Properties: n.Properties}
	switch n.Type {
	case "actions":
		out.Kind, out.ID = "ActionsNode", n.ID
	case "", "events":
		if n.ID.Set {
			out.Event = &n.ID.Text
		}
	default:
		return nil, refuse(attr+".type", "unknown type of entity %q; there are events and actions", n.Type)
	}
	return c.entity(out, attr)
}

// grid finds the first and the last period.
func (r *retained) grid() error {
	d := r.q.Date
	now := r.now
	to := moment{t: now, relative: true}
	if given(d.To) {
		to = r.readDate(*d.To, now)
	}
	if !d.Explicit {
		to.t = r.roundUp(to.t, r.u, to.relative)
	}
	r.end = r.clock.start(r.add(to.t, r.u, 1), r.u)
	if given(d.From) {
		s, err := r.span(r.q, []*entity{r.start, r.comeback}, rangeRules{full: true})
		if err != nil {
			return err
		}
		r.begin = r.clock.start(s.from, r.u)
	} else {
		r.begin = r.clock.start(r.add(r.end, r.u, -r.columns), r.u)
	}
	if n := len(r.rows()); n > maxBuckets || n*r.cells > 100*maxBuckets {
		return refuse("dateRange", "the range has %d periods, and with %d columns too many cells", n, r.cells)
	}
	return nil
}

// rows are the starts of the periods.
func (r *retained) rows() []time.Time {
	var out []time.Time
	for t := r.begin; t.Before(r.end) && len(out) <= maxBuckets; t = r.clock.start(r.add(t, r.u, 1), r.u) {
		out = append(out, t)
	}
	return out
}

// operator is RETENTION, with a condition more if there is one.
func (r *retained) operator(more ast.Expr) (*ast.Retention, error) {
	f := &r.q.Retention
	op := &ast.Retention{Common: ast.Common{Compatible: true, Where: and(r.where, more), Zone: text(r.zone.String()),
		During: &ast.During{From: instant(r.begin), To: instant(r.end)}},
		Start: always(r.start.full()), Return: always(r.comeback.full()), Every: interval(1, r.u.String()), Periods: r.columns}
	end := 0 // BRACKETS names the last period of each
	for _, size := range f.Brackets {
		end += size
		op.Brackets = append(op.Brackets, end)
	}
	if r.monday {
		op.WeekStart = "monday"
	} else {
		op.WeekStart = "sunday"
	}
	var err error
	if op.Actor, err = r.actor(r.q); err != nil {
		return nil, err
	}
	switch f.Type {
	case "", "retention_recurring":
		op.First = ast.EveryTime
	case "retention_first_time":
		op.First = ast.FirstInRange
	case "retention_first_ever_occurrence":
		op.First, op.FirstOf = ast.FirstEver, always(r.start.cond)
	default:
		return nil, refuse("retentionFilter.retentionType", "unknown type of retention %q", f.Type)
	}
	if f.Minimum != nil && *f.Minimum > 1 {
		op.Minimum = *f.Minimum
	}
	if f.Cumulative {
		op.Rule = ast.RuleOnOrAfter
	}
	if r.rolling() {
		op.Align = ast.AlignActor
	}
	if r.measured() {
		kind := map[string]string{"": "event", "event": "event", "person": "person"}[f.PropertyOf]
		left, err := r.property(kind, *f.Property, nil, "retentionFilter.aggregationProperty")
		if err != nil {
			return nil, err
		}
		m := item(call(f.Aggregation, orElse(left.float(), number(0))), "value")
		op.Measure = &m
		op.Own = ast.WithoutStartPeriod
		if !r.sameEntity() {
			op.Own = ast.WithStartPeriod
		}
	}
	if r.by != nil && !r.by.isCohort {
		e, err := r.breakdownValue(&r.by.items[0], "", "breakdownFilter")
		if err != nil {
			return nil, err
		}
		op.Breakdown = &ast.Breakdown{Items: []ast.SelectItem{item(orElse(e, text("")), columnName(0))}, Top: r.by.limit, Other: true}
	}
	return op, nil
}

// sameEntity says whether people start and return with one event or action, be it with
// other filters.
func (r *retained) sameEntity() bool {
	name := func(n *node2) string {
		switch {
		case n == nil:
			return "events $pageview"
		case !n.ID.Set:
			return "events"
		case n.Type == "":
			return "events " + n.ID.Text
		}
		return n.Type + " " + n.ID.Text
	}
	return name(r.q.Retention.Target) == name(r.q.Retention.Returning)
}

// measured says whether cells hold the sum or the average of a property.
func (r *retained) measured() bool {
	f := &r.q.Retention
	return (f.Aggregation == "sum" || f.Aggregation == "avg") && given(f.Property)
}

// retentionTable is the grid of one breakdown value.
type retentionTable struct {
	value  *string
	counts map[int64][]retentionCell
}

type retentionCell struct{ count, value float64 }

// size is how many started, over all rows.
func (t *retentionTable) size() float64 {
	n := 0.0
	for _, cells := range t.counts {
		n += cells[0].count
	}
	return n
}

// retention answers a RetentionQuery.
func (c *compiler) retention(q *query) (*Answer, error) {
	r, err := c.readRetention(q)
	if err != nil {
		return nil, err
	}
	var tables []*retentionTable
	if r.by != nil && r.by.isCohort {
		for i := range r.by.cohorts {
			k := &r.by.cohorts[i]
			var more ast.Expr
			name := "0"
			if !k.all {
				more, name = inCohort(r.personID(), k.set), fmt.Sprint(k.id)
			}
			list, err := r.ask(more)
			if err != nil {
				return nil, err
			}
			for _, t := range list {
				t.value = &name
			}
			tables = append(tables, list...)
		}
		// Cohorts stand in the order of their sizes, like other values.
		tables = slices.DeleteFunc(tables, func(t *retentionTable) bool { return t.size() == 0 })
		slices.SortStableFunc(tables, func(a, b *retentionTable) int {
			return cmp.Or(cmp.Compare(b.size(), a.size()), strings.Compare(*a.value, *b.value))
		})
	} else if tables, err = r.ask(nil); err != nil {
		return nil, err
	}
	return &Answer{Results: r.results(tables), Fields: map[string]any{}}, nil
}

// ask runs the operator and gives a table for every breakdown value.
func (r *retained) ask(more ast.Expr) ([]*retentionTable, error) {
	op, err := r.operator(more)
	if err != nil {
		return nil, err
	}
	rows, err := r.run.Run(r.ctx, all(op))
	if err != nil {
		return nil, err
	}
	at, cell, count, value, other := rows.Column("cohort"), rows.Column("period"), rows.Column("count"), rows.Column("value"), rows.Column("is_other")
	broken := op.Breakdown != nil
	var out []*retentionTable
	if !broken {
		out = append(out, &retentionTable{counts: map[int64][]retentionCell{}})
	}
	for i := range rows.N {
		if broken {
			v := rows.Text(i, 0)
			if other >= 0 && rows.bool(i, other) {
				v = OtherValue
			}
			if n := len(out); n == 0 || *out[n-1].value != v {
				out = append(out, &retentionTable{value: &v, counts: map[int64][]retentionCell{}})
			}
		}
		t := out[len(out)-1]
		key := rows.Time(i, at).UnixMicro()
		if t.counts[key] == nil {
			t.counts[key] = make([]retentionCell, r.cells)
		}
		if n := int(rows.Int(i, cell)); n >= 0 && n < r.cells {
			x := retentionCell{count: scale(float64(rows.Int(i, count)), r.q.Sampling)}
			if value >= 0 {
				x.value = rows.Float(i, value)
			}
			t.counts[key][n] = x
		}
	}
	return out, nil
}

// cellLabel is the name of a column.
func (r *retained) cellLabel(n int) string {
	b := r.q.Retention.Brackets
	if n == 0 || len(b) == 0 {
		return fmt.Sprintf("%s %d", r.word, n)
	}
	from := 1
	for _, size := range b[:n-1] {
		from += size
	}
	if b[n-1] == 1 {
		return fmt.Sprintf("%s %d", r.word, from)
	}
	return fmt.Sprintf("%s %d-%d", r.word, from, from+b[n-1]-1)
}

func (r *retained) results(tables []*retentionTable) []map[string]any {
	out := []map[string]any{}
	for _, t := range tables {
		for i, at := range r.rows() {
			cells := t.counts[at.UnixMicro()]
			list := make([]map[string]any, r.cells)
			for n := range list {
				list[n] = map[string]any{"label": r.cellLabel(n), "count": 0.0}
				if n < len(cells) {
					list[n]["count"] = cells[n].count
				}
				if r.measured() {
					list[n]["aggregation_value"] = 0.0
					if n < len(cells) {
						list[n]["aggregation_value"] = cells[n].value
					}
				}
			}
			out = append(out, map[string]any{"label": fmt.Sprintf("%s %d", r.word, i), "date": at.Format("2006-01-02T15:04:05Z07:00"),
				"breakdown_value": t.value, "values": list})
		}
	}
	return out
}

// actorRows is the actors of one row: actor, and the columns in which they are.
func (r *retained) actorRows(row int, value json.RawMessage) (ast.Query, error) {
	rows := r.rows()
	if row < 0 || row >= len(rows) {
		return nil, refuse("interval", "there is no row %d; there are %d", row, len(rows))
	}
	var more ast.Expr
	var wanted *string
	if !isNone(value) {
		list, _, err := values(value)
		if err != nil || len(list) == 0 {
			return nil, refuse("breakdown", "the breakdown value is not valid")
		}
		s := textOf(list[0])
		wanted = &s
		if r.by != nil && r.by.isCohort {
			wanted = nil
			if s != "0" && s != "all" {
				set, err := r.cohortByText(s, "breakdown")
				if err != nil {
					return nil, err
				}
				more = inCohort(r.personID(), set)
			}
		}
	}
	op, err := r.operator(more)
	if err != nil {
		return nil, err
	}
	op.Output, op.Measure = ast.OutputActors, nil
	cond := equal(column("cohort"), instant(rows[row]))
	if wanted != nil && op.Breakdown != nil {
		if *wanted == OtherValue {
			cond = and(cond, column("is_other"))
		} else {
			op.Breakdown.Top, op.Breakdown.Other = 0, false
			cond = and(cond, equal(column(columnName(0)), text(*wanted)))
		}
	}
	return &ast.Select{Items: []ast.SelectItem{item(column("actor"), ""), item(column("periods"), "appearances")}, From: []ast.TableExpr{op}, Where: cond,
		QueryTail: ast.QueryTail{OrderBy: []ast.OrderItem{{Expr: call("cardinality", column("periods")), Desc: true}, {Expr: column("actor")}}}}, nil
}
