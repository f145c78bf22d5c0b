package insighttest

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"time"
)

// curve is the values of one breakdown value: a number a bucket, or a single one.
type curve struct {
	tuple  string
	points []float64
	of     []string // the values that are added up in it
}

func (c curve) total() float64 {
	sum := 0.0
	for _, p := range c.points {
		sum += p
	}
	return sum
}

// expanded is one series of the plan: a node, its cohort and its period.
type expanded struct {
	node     any
	order    int
	cohort   any // an id, "all", or nil
	previous bool
	span     span // of its period, in whole seconds
}

// question is a TrendsQuery that was taken apart.
type question struct {
	query      object
	interval   string
	display    string
	totals     bool
	cumulative bool
	columns    []breakdown
	multiple   bool
	cohorts    []any // for one pass over several
	limit      int
	current    span // as resolved
}

func (m *model) readTrends(query object) *question {
	t := &question{query: query, interval: intervalOf(query), display: textOf(query, "trendsFilter", "display")}
	switch t.display {
	case "BoldNumber", "ActionsPie", "ActionsBarValue", "ActionsTable", "WorldMap", "CalendarHeatmap":
		t.totals = true
	case "ActionsLineGraphCumulative":
		t.cumulative = true
	}
	t.columns, t.multiple = breakdownsOf(query)
	t.limit = intOf(query, 25, "breakdownFilter", "breakdown_limit")
	if t.display == "WorldMap" {
		t.limit = 250
	}
	interval := t.interval
	if t.totals {
		interval = "day"
	}
	t.current = m.resolve(query, interval, t.display == "BoldNumber", m.firstOf(nodesOf(query)))
	return t
}

// expand is the list of series of the plan.
func (m *model) expand(t *question) []*expanded {
	nodes := nodesOf(t.query)
	var series []*expanded
	add := func(cohort any) {
		for i, n := range nodes {
			series = append(series, &expanded{node: n, order: i, cohort: cohort, span: t.current.seconds()})
		}
	}
	f := t.query["breakdownFilter"]
	list, isList := get(f, "breakdown").([]any)
	if !isList && get(f, "breakdown") != nil {
		list = []any{get(f, "breakdown")}
	}
	switch {
	case textOf(f, "breakdown_type") != "cohort" || len(t.columns) > 0 || len(list) == 0:
		add(nil)
	case len(list) > 1 && !slices.Contains(list, any("all")):
		t.cohorts = list
		add(nil)
	default:
		for _, c := range list {
			add(c)
		}
	}
	if isTrue(t.query, "compareFilter", "compare") {
		before := m.previous(t.query, t.current, t.interval).seconds()
		for _, s := range slices.Clone(series) {
			p := *s
			p.previous, p.span = true, before
			series = append(series, &p)
		}
	}
	return series
}

// rows are the events of a series from a to b, one for each breakdown value they have.
func (m *model) rows(t *question, s *expanded, a, b time.Time) []row {
	var out []row
	for _, e := range m.within(a, b) {
		if !m.matches(t.query, s.node, e) || !m.ofCohort(s.cohort, e) {
			continue
		}
		if _, ok := countedActor(s.node, e); !ok {
			continue
		}
		for _, tuple := range m.tuples(t, e) {
			out = append(out, row{e, tuple})
		}
	}
	return out
}

func (m *model) ofCohort(cohort any, e *event) bool {
	if cohort == nil || cohort == "all" {
		return true
	}
	id, _ := asNumber(cohort)
	return m.inCohort(int(id), e.person, nil)
}

func (m *model) tuples(t *question, e *event) []string {
	if t.cohorts == nil {
		return []string{m.tuple(t.columns, e)}
	}
	var out []string
	for _, c := range t.cohorts {
		if m.ofCohort(c, e) {
			s, _ := asText(c)
			out = append(out, s)
		}
	}
	return out
}

// cells are the rows of each breakdown value and bucket; how they are measured is up to the
// maths. A row may be in several buckets.
func (m *model) cells(t *question, s *expanded) map[string][][]row {
	axis := m.axis(s.span)
	buckets := len(axis)
	if t.totals {
		buckets = 1
	}
	out := map[string][][]row{}
	put := func(r row, bucket int) {
		if out[r.tuple] == nil {
			out[r.tuple] = make([][]row, buckets)
		}
		out[r.tuple][bucket] = append(out[r.tuple][bucket], r)
	}
	at := func(e *event) int {
		if t.totals {
			return 0
		}
		return slices.IndexFunc(axis, func(a time.Time) bool { return a.Equal(m.startOf(s.span.interval, e.time)) })
	}
	maths := textOf(s.node, "math")
	from := m.scanFrom(s.span)
	days := window(s.node, s.span.interval)
	switch {
	case maths == "first_time_for_user" || maths == "first_matching_event_for_user":
		for _, r := range m.firsts(t, s, maths, from) {
			put(r, at(r.event))
		}
	case days > 0 && t.totals:
		for _, r := range m.rows(t, s, m.back(s.span.to, days, "d"), s.span.to) {
			for _, label := range axis {
				if m.activeAt(s.span.interval, days, r.time, label) {
					put(r, 0)
					break
				}
			}
		}
	case days > 0:
		for _, r := range m.rows(t, s, m.back(s.span.from, days, "d"), s.span.to) {
			for i, label := range axis {
				if m.activeAt(s.span.interval, days, r.time, label) {
					put(r, i)
				}
			}
		}
	case countsPerActor(maths):
		for _, r := range m.rows(t, s, s.span.from, s.span.to) {
			put(r, at(r.event))
		}
	default:
		for _, r := range m.rows(t, s, from, s.span.to) {
			put(r, at(r.event))
		}
	}
	return out
}

// firsts are the events by which a person counts as new: one a person.
func (m *model) firsts(t *question, s *expanded, maths string, from time.Time) []row {
	var out []row
	for _, p := range m.persons {
		var all, passing, inRange *event // the earliest of E, of F, and of R
		alike := true                    // whether all that are earliest in E have the same value
		for _, e := range p.events {
			if e.unread || e.time.After(s.span.to) || !m.entity(s.node, e) {
				continue
			}
			if all == nil {
				all = e
			}
			alike = alike && (!e.time.Equal(all.time) || slices.Equal(m.tuples(t, e), m.tuples(t, all)))
			if !m.matches(t.query, s.node, e) || !m.ofCohort(s.cohort, e) {
				continue
			}
			if passing == nil {
				passing = e
			}
			if inRange == nil && !e.time.Before(from) {
				inRange = e
			}
		}
		first := all
		if maths == "first_matching_event_for_user" {
			first = passing
		}
		if inRange == nil || !inRange.time.Equal(first.time) {
			continue
		}
		if !alike {
			unsupported("the breakdown value of first events of the same time")
		}
		for _, tuple := range m.tuples(t, all) {
			out = append(out, row{inRange, tuple})
		}
	}
	return out
}

// evaluate is the curves of a series, in their final order.
func (m *model) evaluate(t *question, s *expanded) []curve {
	cells := m.cells(t, s)
	maths := textOf(s.node, "math")
	buckets := len(m.axis(s.span))
	if t.totals {
		buckets = 1
	}
	raw := map[string][]float64{}
	for tuple, byBucket := range cells {
		points := make([]float64, buckets)
		seen := map[string]bool{}
		for i, rows := range byBucket {
			if t.cumulative && (maths == "dau" || maths == "unique_group" || maths == "weekly_active" || maths == "monthly_active") && window(s.node, s.span.interval) == 0 {
				rows = slices.DeleteFunc(slices.Clone(rows), func(r row) bool { a, _ := actorOf(s.node, r.event); return seen[a] })
				for _, r := range rows {
					a, _ := actorOf(s.node, r.event)
					seen[a] = true
				}
			}
			if len(rows) > 0 {
				points[i] = m.measure(measuredAs(s.node), rows)
			}
		}
		raw[tuple] = points
	}
	if t.columns == nil && t.cohorts == nil {
		points := raw[""]
		if points == nil {
			if s.cohort != nil {
				return nil
			}
			points = make([]float64, buckets)
		}
		return []curve{{"", shape(t, points), []string{""}}}
	}
	labels := map[string]string{}
	for v := range raw {
		labels[v] = v
	}
	if slices.ContainsFunc(t.columns, func(b breakdown) bool { return b.bins > 0 }) {
		labels = binned(t.columns, keys(raw))
	}
	merged := map[string]curve{}
	for _, v := range keys(raw) {
		c := merged[labels[v]]
		merged[labels[v]] = curve{labels[v], plus(c.points, raw[v]), append(c.of, v)}
	}
	var curves []curve
	for _, c := range merged {
		curves = append(curves, c)
	}
	slices.SortFunc(curves, func(a, b curve) int {
		byNull := 0
		if !t.totals {
			byNull = compareBool(isNull(a.tuple), isNull(b.tuple))
		}
		return cmp.Or(byNull, cmp.Compare(b.total(), a.total()), strings.Compare(a.tuple, b.tuple))
	})
	if len(curves) > t.limit && t.cohorts == nil {
		other := curve{tuple: otherOf(curves[0].tuple)}
		for _, c := range curves[t.limit:] {
			other.points, other.of = plus(other.points, c.points), append(other.of, c.of...)
		}
		curves = append(curves[:t.limit:t.limit], other)
	}
	for i := range curves {
		curves[i].points = shape(t, curves[i].points)
	}
	slices.SortStableFunc(curves, func(a, b curve) int {
		return cmp.Or(compareBool(isOther(a.tuple), isOther(b.tuple)), compareBool(isNull(a.tuple), isNull(b.tuple)),
			cmp.Compare(b.total(), a.total()), strings.Compare(a.tuple, b.tuple))
	})
	return curves
}

// measuredAs is the node by which its rows are measured: first-time rows are one a person.
func measuredAs(node any) any {
	if maths := textOf(node, "math"); maths == "first_time_for_user" || maths == "first_matching_event_for_user" {
		return object{}
	}
	return node
}

func keys[V any](m map[string]V) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

func plus(a, b []float64) []float64 {
	if a == nil {
		return slices.Clone(b)
	}
	out := slices.Clone(a)
	for i := range b {
		out[i] += b[i]
	}
	return out
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// shape accumulates and smooths.
func shape(t *question, points []float64) []float64 {
	out := slices.Clone(points)
	if t.cumulative {
		for i := 1; i < len(out); i++ {
			out[i] += out[i-1]
		}
	}
	n := intOf(t.query, 1, "trendsFilter", "smoothingIntervals")
	if n > 1 && !t.totals {
		raw := slices.Clone(out)
		for i := range raw {
			from := max(0, i-n+1)
			sum := 0.0
			for _, v := range raw[from : i+1] {
				sum += v
			}
			out[i] = math.Floor(sum / float64(i+1-from))
		}
	}
	return out
}

// result is one entry of an answer, with what formulas need to know of it.
type result struct {
	object
	data      []float64 // or the one total
	tuple     string    // "" without a breakdown
	value     any       // as it is answered
	other     bool
	null      bool
	series    *expanded
	breakdown bool
}

func (m *model) trends(query object) object {
	t := m.readTrends(query)
	formulas := formulasOf(query)
	series := m.expand(t)
	if len(formulas) > 0 {
		checkFormulas(formulas, len(nodesOf(query)))
	}
	var results []*result
	perPeriod := len(series)
	if isTrue(query, "compareFilter", "compare") {
		perPeriod /= 2
	}
	for _, s := range series {
		if isAction(s.node) && m.actionOf(s.node) == nil {
			continue
		}
		for _, c := range m.evaluate(t, s) {
			results = append(results, m.result(t, s, c, perPeriod))
		}
	}
	if len(formulas) > 0 {
		results = m.formulas(t, series, results, formulas)
	}
	more := false
	var out []object
	for _, r := range results {
		more = more || r.other
		if !r.other || !isTrue(query, "breakdownFilter", "breakdown_hide_other_aggregation") {
			out = append(out, r.object)
		}
	}
	if out == nil {
		out = []object{}
	}
	return object{"results": out, "hasMore": more}
}

func (m *model) result(t *question, s *expanded, c curve, perPeriod int) *result {
	name := m.nodeName(s.node)
	label := name
	var id any = name
	if name == "" {
		label, id = "All events", nil
	}
	action := object{"id": id, "name": label, "type": "events", "order": s.order, "math": get(s.node, "math"), "custom_name": get(s.node, "custom_name")}
	r := &result{tuple: c.tuple, series: s}
	o := object{"order": s.order, "action": action}
	if t.columns != nil || t.cohorts != nil || s.cohort != nil {
		r.breakdown = true
		r.value, r.other, r.null = any(c.tuple), isOther(c.tuple), isNull(c.tuple)
		text := strings.ReplaceAll(c.tuple, between, "::")
		switch {
		case s.cohort == "all":
			r.value, r.tuple, text = "all", "all", "all users"
		case s.cohort != nil || t.cohorts != nil:
			id, _ := asNumber(s.cohort)
			if s.cohort == nil {
				id, _ = asNumber(c.tuple)
			}
			r.value, r.tuple, text = id, numberText(id), textOf(m.cohort(int(id)), "name")
		case t.multiple:
			r.value = strings.Split(c.tuple, between)
		}
		o["breakdown_value"] = r.value
		if perPeriod > 1 {
			text = label + " - " + text
		}
		label = text
	}
	o["label"] = label
	if isTrue(t.query, "compareFilter", "compare") {
		o["compare"], o["compare_label"] = true, "current"
		if s.previous {
			o["compare_label"] = "previous"
		}
	}
	c.points = slices.Clone(c.points)
	count := c.total()
	if n := len(c.points); t.cumulative && n > 0 {
		count = c.points[n-1]
	}
	if scales(s.node) {
		count = m.scaled(count)
		for i, n := range c.points {
			c.points[i] = m.scaled(n)
		}
	}
	r.data = c.points
	if t.totals {
		o["data"], o["days"], o["count"], o["aggregated_value"] = []float64{}, []string{}, 0, c.points[0]
	} else {
		axis := m.axis(s.span)
		o["data"], o["days"], o["count"] = c.points, days(s.span.interval, axis), count
		o["labels"] = m.labels(s.span.interval, axis, t.current)
	}
	r.object = o
	return r
}
