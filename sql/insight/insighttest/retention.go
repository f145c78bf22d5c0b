package insighttest

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
)

// retentionQuestion is a RetentionQuery that was taken apart.
type retentionQuestion struct {
	query        object
	period       string
	kind         string // of retention
	columns      int
	start, again any // the entities as nodes
	begin, end   time.Time
	rows         []time.Time
	brackets     []int
	minimum      int
	cumulative   bool
	windows      bool   // of 24 hours
	measure      string // sum, avg, or ""
	breakdown    string // its type, "" without
	column       breakdown
	cohorts      []any
}

func (m *model) readRetention(query object) *retentionQuestion {
	f := query["retentionFilter"]
	r := &retentionQuestion{query: query, period: strings.ToLower(cmp.Or(textOf(f, "period"), "Day")), kind: cmp.Or(textOf(f, "retentionType"), "retention_recurring"),
		columns: intOf(f, 8, "totalIntervals"), minimum: intOf(f, 1, "minimumOccurrences"), cumulative: isTrue(f, "cumulative"),
		windows: textOf(f, "timeWindowMode") == "24_hour_windows", start: entityNode(get(f, "targetEntity")), again: entityNode(get(f, "returningEntity"))}
	if kind := textOf(f, "aggregationType"); (kind == "sum" || kind == "avg") && textOf(f, "aggregationProperty") != "" {
		r.measure = kind
	}
	if r.windows && r.cumulative {
		refuse("Cumulative retention is not supported for 24 hour windows.")
	}
	if r.windows && r.measure != "" {
		refuse("Sum and average aggregation are not supported for 24 hour windows.")
	}
	for _, b := range listOf(f, "retentionCustomBrackets") {
		if n, _ := asNumber(b); r.measure == "" { // they do not apply to sums and averages
			r.brackets = append(r.brackets, int(n))
		}
	}
	b := query["breakdownFilter"]
	if list := listOf(b, "breakdowns"); len(list) > 0 {
		r.breakdown = cmp.Or(textOf(list[0], "type"), "event")
		r.column = breakdown{source: source{r.breakdown, textOf(list[0], "property"), intOf(list[0], 0, "group_type_index")}}
	} else if v := get(b, "breakdown"); v != nil {
		r.breakdown = cmp.Or(textOf(b, "breakdown_type"), "event")
		name, _ := asText(v)
		r.column = breakdown{source: source{r.breakdown, name, intOf(b, 0, "breakdown_group_type_index")}}
		if r.breakdown == "cohort" {
			var ok bool
			if r.cohorts, ok = v.([]any); !ok {
				r.cohorts = []any{v}
			}
		}
	}
	s := m.resolve(query, r.period, false, m.firstOf([]any{r.start}))
	unit := map[string]string{"hour": "h", "day": "d", "week": "w", "month": "m"}[r.period]
	r.end = m.startOf(r.period, m.back(s.to, -1, unit))
	if s.fromMissing {
		r.begin = m.startOf(r.period, m.back(r.end, r.columns, unit))
	} else {
		r.begin = m.startOf(r.period, s.from)
	}
	for t := r.begin; t.Before(r.end); t = m.step(r.period, t, 1) {
		r.rows = append(r.rows, t)
	}
	return r
}

// entityNode is an entity as a series node.
func entityNode(e any) object {
	if e == nil {
		e = object{"id": "$pageview", "type": "events"}
	}
	if textOf(e, "type") == "actions" {
		return object{"kind": "ActionsNode", "id": get(e, "id"), "properties": get(e, "properties")}
	}
	return object{"kind": "EventsNode", "event": get(e, "id"), "properties": get(e, "properties")}
}

// row is the row an instant lies in, or -1.
func (r *retentionQuestion) row(m *model, t time.Time) int {
	at := m.startOf(r.period, t)
	return slices.IndexFunc(r.rows, func(o time.Time) bool { return o.Equal(at) })
}

// kept is one actor in one row, with its columns and, in measured retention, the values in them.
type kept struct {
	actor, value string
	row          int
	columns      []int // sorted
	entries      map[int]float64
}

// retained is the history of one actor under one breakdown value.
type retained struct {
	actor, value string
	events       []*event
}

// histories are the events of the actors, split by breakdown value where the rules say so.
func (m *model) histories(r *retentionQuestion) []retained {
	byActor := map[string]map[string][]*event{}
	add := func(actor, value string, e *event) {
		if byActor[actor] == nil {
			byActor[actor] = map[string][]*event{}
		}
		byActor[actor][value] = append(byActor[actor][value], e)
	}
	split := !r.windows && r.kind != "retention_first_ever_occurrence"
	for _, e := range m.read {
		if !m.passes(r.query, e) {
			continue
		}
		actor := e.person.name()
		if i := intOf(r.query, -1, "aggregation_group_type_index"); i >= 0 {
			if actor = e.group(i); actor == "" {
				continue
			}
		}
		switch {
		case r.breakdown == "cohort":
			for _, c := range r.cohorts {
				if n, _ := asNumber(c); c == "all" || n == 0 {
					add(actor, "0", e)
				} else if m.inCohort(int(n), e.person, nil) {
					add(actor, numberText(n), e)
				}
			}
		case r.breakdown != "" && split:
			add(actor, m.retentionValue(r, e), e)
		default:
			add(actor, "", e)
		}
	}
	var out []retained
	for _, actor := range keys(byActor) {
		for _, v := range keys(byActor[actor]) {
			out = append(out, retained{actor, v, byActor[actor][v]})
		}
	}
	return out
}

func (m *model) retentionValue(r *retentionQuestion, e *event) string {
	s, _ := m.plain(m.valueOf(r.column.source, e))
	return s
}

func (m *model) matchesNode(node any, e *event) bool {
	return m.entity(node, e) && m.filters(get(node, "properties"), e)
}

// firstStart is the event by which an actor of the first-time kinds starts, nil if it never does.
// ever is the first event ever of the bare target.
func (m *model) firstStart(r *retentionQuestion, events []*event) (first, ever *event) {
	for _, e := range events {
		if ever == nil && m.entity(r.start, e) {
			ever = e
		}
		if first == nil && m.matchesNode(r.start, e) {
			first = e
		}
	}
	if r.kind == "retention_first_ever_occurrence" && first != nil && !first.time.Equal(ever.time) {
		first = nil
	}
	return first, ever
}

// retentions are all actors in all rows.
func (m *model) retentions(r *retentionQuestion) []kept {
	var out []kept
	for _, h := range m.histories(r) {
		if r.windows {
			out = append(out, m.windowed(r, h)...)
			continue
		}
		var starts, returns []*event
		for _, e := range h.events {
			if e.time.Before(r.begin) || !e.time.Before(r.end) {
				continue
			}
			if m.matchesNode(r.start, e) {
				starts = append(starts, e)
			}
			if m.matchesNode(r.again, e) {
				returns = append(returns, e)
			}
		}
		var rows []int
		value := h.value
		if r.kind == "retention_recurring" {
			for _, e := range starts {
				if i := r.row(m, e.time); !slices.Contains(rows, i) {
					rows = append(rows, i)
				}
			}
		} else {
			first, ever := m.firstStart(r, h.events)
			if first == nil || r.row(m, first.time) < 0 {
				continue
			}
			rows = []int{r.row(m, first.time)}
			if r.kind == "retention_first_ever_occurrence" && r.breakdown != "" && r.breakdown != "cohort" {
				value = m.retentionValue(r, ever)
			}
		}
		slices.Sort(rows)
		for _, i := range rows {
			k := kept{actor: h.actor, value: value, row: i}
			if r.measure != "" {
				k.entries = m.measured(r, i, starts, returns)
				for c := range k.entries {
					k.columns = append(k.columns, c)
				}
				slices.Sort(k.columns)
			} else {
				k.columns = m.returned(r, rows[0], i, returns)
			}
			out = append(out, k)
		}
	}
	return out
}

// returned are the columns of an actor in row i; first is its first row.
func (m *model) returned(r *retentionQuestion, first, i int, returns []*event) []int {
	perRow := make([]int, len(r.rows))
	for _, e := range returns {
		perRow[r.row(m, e.time)]++
	}
	columns := []int{0}
	for row, n := range perRow {
		if n == 0 || n < r.minimum {
			continue
		}
		k := row - i
		if r.brackets != nil {
			k = bracketOf(r.brackets, row-first)
		} else if k >= r.columns {
			continue
		}
		if k > 0 && !slices.Contains(columns, k) {
			columns = append(columns, k)
		}
	}
	slices.Sort(columns)
	if r.cumulative {
		last := columns[len(columns)-1]
		columns = nil
		for k := range last + 1 {
			columns = append(columns, k)
		}
	}
	return columns
}

// bracketOf is the bracket of a distance, 0 if it lies in none.
func bracketOf(sizes []int, distance int) int {
	if distance <= 0 {
		return 0
	}
	end := 0
	for i, n := range sizes {
		if end += n; distance <= end {
			return i + 1
		}
	}
	return 0
}

// measured are the sums of an actor's values in its row.
func (m *model) measured(r *retentionQuestion, i int, starts, returns []*event) map[int]float64 {
	property := textOf(r.query, "retentionFilter", "aggregationProperty")
	value := func(e *event) float64 {
		props := e.props
		if textOf(r.query, "retentionFilter", "aggregationPropertyType") == "person" {
			props = e.person.props
		}
		f, _ := asNumber(props[property])
		return f
	}
	out := map[int]float64{}
	var first *event
	for _, e := range starts {
		if r.row(m, e.time) == i {
			out[0] += value(e)
			if first == nil {
				first = e
			}
		}
	}
	differ := isAction(r.start) != isAction(r.again) || !reflect.DeepEqual(get(r.start, "id"), get(r.again, "id")) || !reflect.DeepEqual(get(r.start, "event"), get(r.again, "event"))
	for _, e := range returns {
		k := r.row(m, e.time) - i
		if k > 0 && k < r.columns || k == 0 && differ && first != nil && e.time.After(first.time) {
			out[k] += value(e)
		}
	}
	return out
}

// windowed is retention in windows of the actor's own.
func (m *model) windowed(r *retentionQuestion, h retained) []kept {
	inside := func(e *event) bool { return !e.time.Before(r.begin) && e.time.Before(r.end) }
	var start, ever *event
	if r.kind == "retention_recurring" {
		for _, e := range h.events {
			if inside(e) && m.matchesNode(r.start, e) {
				start = e
				break
			}
		}
	} else {
		start, ever = m.firstStart(r, h.events)
	}
	if start == nil {
		return nil
	}
	distance := func(a, b time.Time) int {
		switch r.period {
		case "hour":
			return boundaries(m, "hour", a, b)
		case "day":
			return floorDiv(boundaries(m, "hour", a, b), 24)
		case "week":
			return floorDiv(boundaries(m, "day", a, b), 7)
		default:
			return floorDiv(boundaries(m, "day", a, b), 30)
		}
	}
	row := distance(r.begin, start.time)
	if row < 0 || row >= len(r.rows) {
		return nil
	}
	byValue := map[string][]int{}
	for _, e := range h.events {
		returns := m.matchesNode(r.again, e)
		if e.time.Before(start.time) || !returns && !m.matchesNode(r.start, e) {
			continue
		}
		if r.kind == "retention_recurring" && !inside(e) {
			continue
		}
		value := h.value
		if r.breakdown != "" && r.breakdown != "cohort" {
			value = m.retentionValue(r, e)
			if r.kind == "retention_first_ever_occurrence" {
				value = m.retentionValue(r, ever)
			}
		}
		if byValue[value] == nil {
			byValue[value] = []int{0}
		}
		if k := distance(start.time, e.time); returns && k < r.columns && !slices.Contains(byValue[value], k) {
			byValue[value] = append(byValue[value], k)
		}
	}
	var out []kept
	for _, v := range keys(byValue) {
		slices.Sort(byValue[v])
		out = append(out, kept{actor: h.actor, value: v, row: row, columns: byValue[v]})
	}
	return out
}

// boundaries is how many boundaries of the unit lie between two instants.
func boundaries(m *model, unit string, a, b time.Time) int {
	a, b = m.startOf(unit, a), m.startOf(unit, b)
	if unit == "day" {
		a, b = naive(a).Truncate(24*time.Hour), naive(b).Truncate(24*time.Hour)
		return int(b.Sub(a) / (24 * time.Hour))
	}
	_, before := a.Zone()
	_, after := b.Zone()
	if (after-before)%3600 != 0 {
		unsupported("what a clock strikes that is set by half an hour")
	}
	n := int(b.Sub(a) / time.Hour)
	if b.Sub(a)%time.Hour != 0 { // of a day whose hours begin at half past, the last is short
		n = 0
		for ; a.Before(b); a = m.step("hour", a, 1) {
			n++
		}
	}
	return n
}

func floorDiv(a, b int) int {
	if a < 0 {
		return -((-a + b - 1) / b)
	}
	return a / b
}

// grid is the cells of one breakdown value.
type grid struct {
	value  string
	counts [][]float64
	values [][]float64 // of measured retention
}

func (m *model) retention(query object) []object {
	r := m.readRetention(query)
	columns := r.columns
	if r.brackets != nil {
		columns = len(r.brackets) + 1
	}
	byValue := map[string]*grid{}
	grids := []*grid{}
	of := func(value string) *grid {
		g := byValue[value]
		if g == nil {
			g = &grid{value: value}
			for range r.rows {
				g.counts, g.values = append(g.counts, make([]float64, columns)), append(g.values, make([]float64, columns))
			}
			byValue[value] = g
			grids = append(grids, g)
		}
		return g
	}
	if r.breakdown == "" {
		of("")
	}
	for _, k := range m.retentions(r) {
		g := of(k.value)
		for _, c := range k.columns {
			if c < columns {
				g.counts[k.row][c]++
				g.values[k.row][c] += k.entries[c]
			}
		}
	}
	if r.measure == "avg" {
		for _, g := range grids {
			for i := range g.counts {
				for c, n := range g.counts[i] {
					if n > 0 {
						g.values[i][c] /= n
					}
				}
			}
		}
	}
	if r.breakdown != "" {
		grids = r.ranked(grids)
	}
	out := []object{}
	for _, g := range grids {
		for i, start := range r.rows {
			values := []object{}
			for c := range columns {
				cell := object{"label": r.cellLabel(c), "count": m.scaled(g.counts[i][c])}
				if r.measure != "" {
					cell["aggregation_value"] = g.values[i][c]
				}
				values = append(values, cell)
			}
			row := object{"label": r.label(i), "date": start.Format("2006-01-02T15:04:05Z07:00"), "breakdown_value": nil, "values": values}
			if r.breakdown != "" {
				row["breakdown_value"] = g.value
			}
			out = append(out, row)
		}
	}
	return out
}

func (r *retentionQuestion) label(i int) string {
	return fmt.Sprintf("%s%s %d", strings.ToUpper(r.period[:1]), r.period[1:], i)
}

func (r *retentionQuestion) cellLabel(c int) string {
	if r.brackets == nil || c == 0 {
		return r.label(c)
	}
	end := 0
	for _, n := range r.brackets[:c] {
		end += n
	}
	if size := r.brackets[c-1]; size > 1 {
		return fmt.Sprintf("%s-%d", r.label(end-size+1), end)
	}
	return r.label(end)
}

// ranked orders the values and adds up those above the limit.
func (r *retentionQuestion) ranked(grids []*grid) []*grid {
	size := func(g *grid) float64 {
		n := 0.0
		for _, row := range g.counts {
			n += row[0]
		}
		return n
	}
	grids = slices.DeleteFunc(grids, func(g *grid) bool { return size(g) == 0 })
	slices.SortFunc(grids, func(a, b *grid) int {
		return cmp.Or(cmp.Compare(size(b), size(a)), strings.Compare(a.value, b.value))
	})
	limit := intOf(r.query, 25, "breakdownFilter", "breakdown_limit")
	if len(grids) <= limit {
		return grids
	}
	other := &grid{value: otherLabel}
	for _, g := range grids[limit:] {
		for i := range g.counts {
			if len(other.counts) <= i {
				other.counts, other.values = append(other.counts, nil), append(other.values, nil)
			}
			other.counts[i] = plus(other.counts[i], g.counts[i])
			other.values[i] = plus(other.values[i], g.values[i])
		}
	}
	return append(grids[:limit:limit], other)
}
