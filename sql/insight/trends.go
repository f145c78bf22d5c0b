package insight

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/prickledb/prickle/sql/ast"
)

// totals are the displays of one number over the whole range.
var totals = map[string]bool{"BoldNumber": true, "ActionsPie": true, "ActionsBarValue": true, "ActionsTable": true, "WorldMap": true, "CalendarHeatmap": true}

// worldMapLimit is how many values a map shows.
const worldMapLimit = 250

// trendsQuery is a trends query that is being answered.
type trendsQuery struct {
	*compiler
	q          *query
	list       []*entity
	by         *breakdown
	where      ast.Expr // of all events
	total      bool     // one number for the whole range
	cumulative bool
	current    *span
	previous   *span // nil without a comparison
}

// lineSeries is one series of an answer: of an entity, a period, and a breakdown value.
type lineSeries struct {
	entity   *entity
	order    int
	span     *span
	previous bool
	// values are the breakdown's; a nil element is no value. Nil without a breakdown.
	values []*string
	other  bool
	cohort *cohortChoice
	data   []float64 // one number if the query wants totals
	whole  float64   // the sum of the data before they are scaled
}

func (s *lineSeries) sum() float64 {
	n := 0.0
	for _, v := range s.data {
		n += v
	}
	return n
}

func (c *compiler) readTrends(q *query) (*trendsQuery, error) {
	t := &trendsQuery{compiler: c, q: q, total: totals[q.Trends.Display], cumulative: q.Trends.Display == "ActionsLineGraphCumulative"}
	var err error
	if t.list, err = c.entities(q); err != nil {
		return nil, err
	}
	if t.by, err = c.breakdown(q.Breakdown); err != nil {
		return nil, err
	}
	if t.by != nil && q.Trends.Display == "WorldMap" {
		t.by.limit = worldMapLimit
	}
	if t.where, err = c.common(q); err != nil {
		return nil, err
	}
	u, err := readUnit(q.Interval, "interval")
	if err != nil {
		return nil, err
	}
	now := *q
	if t.total {
		now.Interval = "day"
	}
	if t.current, err = c.span(&now, t.list, rangeRules{exact: q.Trends.Display == "BoldNumber"}); err != nil {
		return nil, err
	}
	if q.Compare.Compare {
		p := *t.current
		p.u = u
		t.previous = p.previous(q.Compare.CompareTo, c.now)
	}
	return t, nil
}

// trends answers a TrendsQuery.
func (c *compiler) trends(q *query) (*Answer, error) {
	t, err := c.readTrends(q)
	if err != nil {
		return nil, err
	}
	formulas, err := t.formulas()
	if err != nil {
		return nil, err
	}
	var periods [][]*lineSeries
	for _, p := range []*span{t.current, t.previous} {
		if p == nil {
			continue
		}
		list, err := t.period(p)
		if err != nil {
			return nil, err
		}
		periods = append(periods, list)
	}
	results, more := []map[string]any{}, false
	for _, list := range periods {
		for _, s := range list {
			more = more || s.other
		}
	}
	if len(formulas) > 0 {
		for i := range formulas {
			for _, list := range periods {
				results = append(results, t.formulaResults(&formulas[i], i, list)...)
			}
		}
	} else {
		for _, list := range periods {
			for _, s := range list {
				if s.other && t.by.hide {
					continue
				}
				results = append(results, t.result(s))
			}
		}
	}
	return &Answer{Results: results, HasMore: &more, Fields: map[string]any{"resolved_date_range": t.current.resolved()}}, nil
}

// resolved is the range as answers tell it.
func (s *span) resolved() map[string]string {
	return map[string]string{"date_from": s.from.Format("2006-01-02T15:04:05Z07:00"), "date_to": s.to.Format("2006-01-02T15:04:05Z07:00")}
}

// period is all series of one period, in order.
func (t *trendsQuery) period(p *span) ([]*lineSeries, error) {
	var out []*lineSeries
	if t.by != nil && t.by.isCohort {
		if t.by.expanded() {
			for i := range t.by.cohorts {
				for order, e := range t.list {
					list, err := t.ask(e, order, p, &t.by.cohorts[i])
					if err != nil {
						return nil, err
					}
					out = append(out, list...)
				}
			}
			return out, nil
		}
		for order, e := range t.list {
			var all []*lineSeries
			for i := range t.by.cohorts {
				list, err := t.ask(e, order, p, &t.by.cohorts[i])
				if err != nil {
					return nil, err
				}
				all = append(all, list...)
			}
			slices.SortStableFunc(all, func(a, b *lineSeries) int {
				return cmp.Or(cmp.Compare(b.sum(), a.sum()), strings.Compare(strconv.FormatInt(a.cohort.id, 10), strconv.FormatInt(b.cohort.id, 10)))
			})
			out = append(out, all...)
		}
		return out, nil
	}
	for order, e := range t.list {
		list, err := t.ask(e, order, p, nil)
		if err != nil {
			return nil, err
		}
		out = append(out, list...)
	}
	return out, nil
}

// expanded says whether every cohort makes series of its own, in the order of the request.
func (b *breakdown) expanded() bool {
	return len(b.cohorts) < 2 || slices.ContainsFunc(b.cohorts, func(k cohortChoice) bool { return k.all })
}

// operator is TRENDS for one series and one period.
func (t *trendsQuery) operator(e *entity, p *span, cohort *cohortChoice) (*ast.Trends, error) {
	m, err := t.measure(e, p)
	if err != nil {
		return nil, err
	}
	from := p.scanFrom()
	if m.exactStart {
		from = p.from
	}
	common := t.where
	if cohort != nil && !cohort.all {
		common = and(common, inCohort(t.personID(), cohort.set))
	}
	op := &ast.Trends{Common: ast.Common{Compatible: true, During: during(from, p.to), Actor: m.actor, Zone: text(t.zone.String())},
		Series: []ast.Series{{Name: id("value"), Measure: m.measure}}, Cumulative: t.cumulative}
	if t.monday {
		op.WeekStart = "monday"
	} else {
		op.WeekStart = "sunday"
	}
	if m.history { // what it looks back for does not depend on the filters
		op.Series[0].Where = and(e.full(), common)
	} else {
		op.Where = and(e.full(), common)
	}
	if !t.total {
		op.Every = interval(1, p.u.String())
		if t.q.Trends.Smoothing > 1 {
			op.Smooth = t.q.Trends.Smoothing
		}
	}
	switch {
	case cohort != nil: // a value that is the same for all rows: no rows, no series
		op.Breakdown = &ast.Breakdown{Items: []ast.SelectItem{item(text("cohort"), "cohort")}}
	case t.by != nil:
		b := &ast.Breakdown{Top: t.by.limit, Other: true}
		for i := range t.by.items {
			it := &t.by.items[i]
			x, bins := ast.SelectItem{}, 0
			if it.Bins != nil && *it.Bins > 0 {
				e, err := t.breakdownNumber(it, "breakdownFilter")
				if err != nil {
					return nil, err
				}
				x = item(e, columnName(i))
				bins = *it.Bins
			} else {
				e, err := t.breakdownValue(it, "", "breakdownFilter")
				if err != nil {
					return nil, err
				}
				x = item(call("nullif", e, text("")), columnName(i))
			}
			b.Items, b.Bins = append(b.Items, x), append(b.Bins, bins)
		}
		op.Breakdown = b
	}
	return op, nil
}

// ask runs one series of one period.
func (t *trendsQuery) ask(e *entity, order int, p *span, cohort *cohortChoice) ([]*lineSeries, error) {
	if e.gone {
		return nil, nil
	}
	op, err := t.operator(e, p, cohort)
	if err != nil {
		return nil, err
	}
	rows, err := t.run.Run(t.ctx, all(op))
	if err != nil {
		return nil, err
	}
	width := 0
	if t.by != nil {
		width = max(1, len(t.by.items))
	}
	otherAt, valueAt := rows.Column("is_other"), rows.Column("value")
	var out []*lineSeries
	for i := range rows.N {
		var vals []*string
		isOther := otherAt >= 0 && rows.bool(i, otherAt)
		for k := range width {
			var v *string
			if !rows.IsNull(i, k) {
				s := rows.Text(i, k)
				v = &s
			}
			vals = append(vals, v)
		}
		n := len(out)
		if n == 0 || out[n-1].other != isOther || !sameValues(out[n-1].values, vals) {
			out = append(out, &lineSeries{entity: e, order: order, span: p, previous: p == t.previous, values: vals, other: isOther, cohort: cohort})
			n++
		}
		s := out[n-1]
		v := rows.Float(i, valueAt)
		s.data = append(s.data, t.scaled(e, v))
		s.whole += v
	}
	if t.by == nil && len(out) == 0 { // a range that ends before it begins
		out = append(out, &lineSeries{entity: e, order: order, span: p, previous: p == t.previous, data: make([]float64, max(1, len(p.buckets())))})
	}
	return out, nil
}

func sameValues(a, b []*string) bool {
	return slices.EqualFunc(a, b, func(x, y *string) bool { return x == y || x != nil && y != nil && *x == *y })
}

// unscaled are the maths that a sample does not change.
var unscaled = map[string]bool{"avg": true, "min": true, "max": true, "median": true, "p75": true, "p90": true, "p95": true, "p99": true}

func (t *trendsQuery) scaled(e *entity, v float64) float64 {
	if unscaled[e.node.Math] || strings.HasSuffix(e.node.Math, "_count_per_actor") {
		return v
	}
	return scale(v, t.q.Sampling)
}

// labels counts the series that labels must tell apart.
func (t *trendsQuery) distinctSeries() int {
	if t.by != nil && t.by.isCohort && t.by.expanded() {
		return len(t.list) * len(t.by.cohorts)
	}
	return len(t.list)
}

// valueText is a breakdown value in a label.
func (t *trendsQuery) valueText(s *lineSeries) string {
	if s.cohort != nil {
		return s.cohort.name
	}
	var words []string
	for _, v := range t.shown(s) {
		words = append(words, v)
	}
	return strings.Join(words, "::")
}

// shown are the breakdown values as answers write them.
func (t *trendsQuery) shown(s *lineSeries) []string {
	var out []string
	for _, v := range s.values {
		switch {
		case s.other:
			out = append(out, OtherValue)
		case v == nil:
			out = append(out, NullValue)
		default:
			out = append(out, *v)
		}
	}
	return out
}

// breakdownJSON is breakdown_value.
func (t *trendsQuery) breakdownJSON(s *lineSeries) any {
	switch {
	case s.cohort != nil && s.cohort.all:
		return "all"
	case s.cohort != nil:
		return s.cohort.id
	case t.by.multiple:
		return t.shown(s)
	}
	return t.shown(s)[0]
}

// result is one series as the answer holds it.
func (t *trendsQuery) result(s *lineSeries) map[string]any {
	out := t.shape(s)
	label := s.entity.label()
	if t.by != nil {
		value := t.valueText(s)
		if t.distinctSeries() > 1 {
			label += " - " + value
		} else {
			label = value
		}
		out["breakdown_value"] = t.breakdownJSON(s)
	}
	out["label"] = label
	var days []string
	if !t.total {
		for _, b := range t.current.buckets() {
			days = append(days, b.Format("2006-01-02T15:04:05Z07:00"))
		}
	}
	n := s.entity.node
	out["action"] = map[string]any{"days": days, "id": s.entity.name(), "type": "events", "order": s.order, "name": s.entity.label(),
		"custom_name": n.CustomName, "math": orNil(n.Math), "math_property": n.MathProperty, "math_hogql": n.MathHogQL,
		"math_group_type_index": n.MathGroup, "properties": map[string]any{}}
	if t.total {
		out["aggregated_value"] = s.data[0]
		return out
	}
	out["count"] = t.scaled(s.entity, s.whole)
	if t.cumulative && len(s.data) > 0 {
		out["count"] = s.data[len(s.data)-1]
	}
	return out
}

// orNil is a text, or null where there is none.
func orNil(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// shape is what results of series and of formulas have in common.
func (t *trendsQuery) shape(s *lineSeries) map[string]any {
	out := map[string]any{"order": s.order}
	if t.previous != nil {
		out["compare"] = true
		out["compare_label"] = "current"
		if s.previous {
			out["compare_label"] = "previous"
		}
	}
	if t.total {
		out["data"], out["days"], out["count"] = []float64{}, []string{}, 0
		return out
	}
	days, labels := []string{}, []string{}
	for _, b := range s.span.buckets() {
		days = append(days, s.span.u.dayText(b))
		labels = append(labels, t.current.label(b))
	}
	out["data"], out["days"], out["labels"] = s.data, days, labels
	return out
}

// measured is what a series counts.
type measured struct {
	measure    ast.Measure
	actor      ast.Expr // nil: persons
	exactStart bool     // the scan starts at the start of the range itself
	history    bool     // it looks at events from before the range
}

// aggregates of numbers, by their maths; a quantile has its fraction.
var quantiles = map[string]float64{"median": 0.5, "p75": 0.75, "p90": 0.9, "p95": 0.95, "p99": 0.99}

func aggregate(math string, x ast.Expr) (ast.Expr, bool) {
	switch math {
	case "sum", "avg", "min", "max":
		return call(math, x), true
	}
	if p, ok := quantiles[math]; ok {
		return &ast.Call{Name: []ast.Ident{id("percentile_cont")}, Args: []ast.Arg{{Value: number(p)}}, WithinGroup: []ast.OrderItem{{Expr: x}}}, true
	}
	return nil, false
}

// measure is the measure of an entity's maths.
func (t *trendsQuery) measure(e *entity, p *span) (measured, error) {
	n := e.node
	attr := fmt.Sprintf("series[%d]", slices.Index(t.list, e))
	count := measured{measure: ast.Measure{Agg: countAll()}}
	actors := func() (measured, error) {
		m := measured{measure: ast.Measure{Kind: ast.MeasureActors}}
		var err error
		if n.MathGroup != nil {
			m.actor, err = t.groupKey(*n.MathGroup, attr+".math_group_type_index")
		}
		return m, err
	}
	switch n.Math {
	case "", "total":
		return count, nil
	case "dau":
		return actors()
	case "unique_group":
		if n.MathGroup == nil {
			return count, refuse(attr+".math_group_type_index", "unique_group needs a math_group_type_index")
		}
		return actors()
	case "unique_session":
		return measured{measure: ast.Measure{Agg: countDistinct(t.sessionID())}}, nil
	case "weekly_active", "monthly_active":
		days := int64(7)
		if n.Math == "monthly_active" {
			days = 30
		}
		if p.u == month || p.u == week && days == 7 {
			return actors()
		}
		m, err := actors()
		m.measure = ast.Measure{Kind: ast.MeasureRollingActors, Window: interval(days, "day")}
		m.exactStart = true
		return m, err
	case "first_time_for_user", "first_matching_event_for_user":
		sample, err := t.sample(t.q.Sampling)
		m := measured{measure: ast.Measure{Kind: ast.MeasureNewActors}, history: true}
		switch first := always(and(e.cond, sample)); {
		case n.Math == "first_time_for_user":
			m.measure.First = first
		case t.by != nil: // the value is that of the first event, whether it matches or not
			m.measure.Valued = first
		}
		return m, err
	case "hogql":
		if n.MathHogQL == nil || *n.MathHogQL == "" {
			return count, refuse(attr+".math_hogql", "maths by an expression need math_hogql")
		}
		x, err := t.expression(*n.MathHogQL, attr+".math_hogql")
		return measured{measure: ast.Measure{Agg: x}}, err
	}
	if outer, ok := strings.CutSuffix(n.Math, "_count_per_actor"); ok {
		if agg, ok := aggregate(outer, column("_")); ok && outer != "sum" {
			m, err := actors()
			m.measure = ast.Measure{Kind: ast.MeasurePerActor, Agg: agg, Inner: countAll()}
			m.exactStart = true
			return m, err
		}
	}
	if _, ok := aggregate(n.Math, nil); !ok || n.MathProperty == nil || *n.MathProperty == "" {
		return count, nil
	}
	return t.propertyMeasure(n, attr)
}

// sessionID is the session of an event; events without one share the empty one.
func (c *compiler) sessionID() ast.Expr { return orElse(c.row("session_id"), text("")) }

// propertyMeasure is an aggregate over a property.
func (t *trendsQuery) propertyMeasure(n *node, attr string) (measured, error) {
	times := func(x ast.Expr) ast.Expr {
		if n.Multiplier != nil && *n.Multiplier != 1 {
			return binary("*", x, number(*n.Multiplier))
		}
		return x
	}
	kind := map[string]string{"": "event", "event_properties": "event", "person_properties": "person", "session_properties": "session"}[n.MathScope]
	if *n.MathProperty == "$session_duration" && kind != "person" {
		agg, _ := aggregate(n.Math, column("_"))
		inner := call("min", times(call("floor", t.row("session", "$session_duration"))))
		return measured{actor: t.sessionID(), measure: ast.Measure{Kind: ast.MeasurePerActor, Agg: agg, Inner: inner}}, nil
	}
	if kind == "" {
		kind = "event" // of warehouses and others: read as the event's
	}
	left, err := t.property(kind, *n.MathProperty, n.MathGroup, attr+".math_property")
	if err != nil {
		return measured{}, err
	}
	agg, _ := aggregate(n.Math, times(left.float()))
	return measured{measure: ast.Measure{Agg: agg}}, nil
}
