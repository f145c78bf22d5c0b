package insighttest

import (
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// RandomQuery is a valid question about the data.
func RandomQuery(rng *rand.Rand, d *Data) map[string]any {
	r := &random{Rand: rng, d: d}
	var err error
	if r.zone, err = time.LoadLocation(d.Timezone); err != nil {
		panic(err)
	}
	r.now = utc(d.Now).In(r.zone)
	first := r.now
	for _, e := range d.Events {
		if t := utc(e.Timestamp); t.Before(first) {
			first = t
		}
	}
	r.scale = r.now.Sub(first)
	q := object{"dateRange": object{}}
	switch r.IntN(11) {
	case 0, 1, 2:
		r.trends(q)
	case 3:
		r.stickiness(q)
	case 4:
		r.lifecycle(q)
	case 5, 6, 7:
		r.funnel(q)
	case 8:
		r.retention(q)
	case 9:
		r.paths(q)
	case 10:
		return plainJSON(r.correlation())
	}
	r.narrow(q)
	if r.chance(10) {
		r.sampled(q)
	}
	return plainJSON(q)
}

// narrow gives a query filters now and then.
func (r *random) narrow(q object) {
	if r.chance(4) {
		q["properties"] = r.filters()
	}
	if r.chance(8) {
		q["filterTestAccounts"] = true
	}
}

// sampled makes a query read a sample, where the rules say what becomes of its numbers.
func (r *random) sampled(q object) {
	if get(q, "dateRange", "date_from") == "all" || textOf(q, "funnelsFilter", "funnelVizType") == "time_to_convert" ||
		get(q, "trendsFilter", "smoothingIntervals") != nil || get(q, "retentionFilter", "aggregationType") != nil || q["funnelPathsFilter"] != nil {
		return
	}
	q["samplingFactor"] = pick(r, SampleFactors...)
}

// SampleFactors are the samplingFactors of random queries.
var SampleFactors = []float64{0.5, 0.8, 0.3, 1}

// span picks an interval and a date range that has not too many of them.
func (r *random) span(q object, intervals ...string) string {
	var short, long []string
	for _, i := range intervals {
		if i == "minute" || i == "hour" {
			short = append(short, i)
		} else {
			long = append(long, i)
		}
	}
	interval := ""
	switch hours := r.scale / time.Hour; {
	case len(short) > 0 && hours < 3 && r.chance(2):
		interval = short[0]
	case len(short) > 0 && hours < 72 && r.chance(2):
		interval = "hour"
	default:
		interval = pick(r, long...)
	}
	day := func(ago int) time.Time { return r.now.AddDate(0, 0, -ago) }
	date := func(t time.Time) string {
		if r.chance(4) {
			return t.Format("2006-01-02T") + pick(r, "06:00:00", "13:30:00", "23:59:59", "00:00:00")
		}
		return t.Format("2006-01-02")
	}
	dates := object{}
	switch interval {
	case "minute":
		dates["date_from"] = pick(r, "-1h", "-2h", "-30M", "-3h")
		if r.chance(4) {
			dates["date_from"] = r.now.Add(-40 * time.Minute).Format("2006-01-02T15:04:05")
		}
	case "hour":
		dates["date_from"] = pick(r, "-1d", "-24h", "-48h", "-2d", "dStart", "-12h")
		if r.chance(3) {
			dates["date_from"] = day(r.IntN(3)).Format("2006-01-02")
			dates["date_to"] = r.now.Format("2006-01-02T15:04:05")
		}
	default:
		ago := 1 + r.IntN(2+int(r.scale/(24*time.Hour)))
		switch r.IntN(5) {
		case 0: // the default
		case 1:
			dates["date_from"] = pick(r, "-7d", "-14d", "-3d", "-2w", "-1m", "-30d", "-48h", "-1dStart", "mStart", "-90d", "-1q")
			if r.chance(4) {
				dates["date_to"] = pick(r, "-1d", "dStart", "-1dEnd", "now")
			}
		case 2:
			dates["date_from"] = "all"
		default:
			dates["date_from"] = date(day(ago))
			if r.chance(2) {
				dates["date_to"] = date(day(r.IntN(ago)))
			}
			if r.chance(8) {
				dates["explicitDate"] = true
			}
		}
	}
	q["dateRange"] = dates
	q["interval"] = interval
	return interval
}

// node is a series node.
func (r *random) node() object {
	n := object{"kind": "EventsNode", "event": pick(r, eventNames...)}
	switch r.IntN(8) {
	case 0:
		n["event"] = nil
	case 1:
		n = object{"kind": "ActionsNode", "id": 1 + r.IntN(3)}
	}
	if r.chance(5) {
		n["properties"] = r.filterList(1)
	}
	if r.chance(10) {
		n["custom_name"] = "Mine"
	}
	return n
}

func (r *random) filters() any {
	if r.chance(2) {
		return r.filterList(1 + r.IntN(2))
	}
	if r.chance(3) { // a group inside of a list
		return append(r.filterList(1), object{"type": pick(r, "AND", "OR"), "values": r.filterList(r.IntN(3))})
	}
	return object{"type": pick(r, "AND", "OR"), "values": []any{
		object{"type": pick(r, "AND", "OR"), "values": r.filterList(1 + r.IntN(2))},
		object{"type": pick(r, "AND", "OR"), "values": r.filterList(r.IntN(3))}}}
}

func (r *random) filterList(n int) []any {
	out := []any{}
	for range n {
		out = append(out, r.filter())
	}
	return out
}

func (r *random) filter() object {
	some := func(values ...any) any {
		switch r.IntN(3) {
		case 0:
			return []any{pick(r, values...), pick(r, values...)}
		case 1:
			return []any{pick(r, values...)}
		}
		return pick(r, values...)
	}
	text := func(kind, key string, values ...any) object {
		f := object{"type": kind, "key": key, "operator": pick(r, "exact", "exact", "is_not", "in", "not_in", "icontains", "not_icontains", "icontains_multi", "not_icontains_multi", "regex", "not_regex", "is_set", "is_not_set")}
		switch f["operator"] {
		case "is_set", "is_not_set":
			f["value"] = f["operator"]
		case "regex", "not_regex":
			f["value"] = pick(r, "^[rg]", "e", "^$", "o+")
		case "in", "not_in":
			f["value"] = []any{pick(r, values...), pick(r, values...)}
		case "icontains_multi", "not_icontains_multi":
			f["value"] = []any{pick(r, "R", "x.c", "o"), pick(r, "ee", "big", "%")}
		case "icontains", "not_icontains":
			f["value"] = some("R", "e", "ee", "o", "r_d", "%e%d")
		default:
			f["value"] = some(values...)
		}
		return f
	}
	number := func(kind, key string) object {
		f := object{"type": kind, "key": key, "operator": pick(r, "gt", "gte", "lt", "lte", "min", "max", "exact", "is_not", "between", "not_between", "is_set", "is_not_set")}
		switch f["operator"] {
		case "between", "not_between":
			f["value"] = []any{float64(r.IntN(3)), float64(9 + r.IntN(12))}
		case "is_set", "is_not_set":
		default:
			f["value"] = pick[any](r, 2.0, 9.0, 10.0, 18.0, 20.0, "9", []any{2.0, 20.0})
		}
		return f
	}
	switch r.IntN(18) {
	case 10:
		return object{"type": "session", "key": pick(r, "$session_duration", "$pageview_count", "$autocapture_count", "$screen_count", "$num_uniq_urls"), "operator": pick(r, "gt", "lte"), "value": pick(r, 0.0, 1.0, 2.0, 1800.0)}
	case 11:
		return text("session", pick(r, "$entry_current_url", "$end_current_url", "$entry_pathname", "$end_pathname"), "/", "/home", "/item/1")
	case 12:
		return r.dateFilter()
	case 13:
		operator := pick(r, "eq", "neq", "gt", "gte", "lt", "lte", "tilde", "caret", "wildcard")
		f := object{"type": "event", "key": "version", "operator": "semver_" + operator, "value": pick(r, "1.2.3", "1.2", "1", "0.2.3", "0.0.3", "2.0.0")}
		if operator == "wildcard" {
			f["value"] = pick(r, "1.2.*", "1.*", "0.2.*", "0.0.*")
		}
		return f
	case 14:
		return r.elementFilter()
	case 15:
		key := pick(r, "event", "distinct_id", "$group_0", "$group_1")
		return object{"type": "event_metadata", "key": key, "operator": pick(r, "exact", "is_not", "icontains"), "value": pick(r, "a", "p0.0", "g0", "g1", "$pageview")}
	case 16:
		return pick(r, object{"type": "person", "key": "distinct_id", "operator": pick(r, "exact", "icontains"), "value": pick[any](r, "p0.0", "p1.1", []any{"p0.1", "p2.0"})},
			object{"type": "event", "key": "$current_url", "operator": "is_cleaned_path_exact", "value": pick(r, "/item/7", "/home")},
			object{"type": "flag", "key": "x", "value": true}, object{"type": "event", "key": "color", "operator": "exact"}, object{"type": "feature", "key": "color", "value": "red"},
			object{"type": "event", "key": "color", "value": []any{}})
	case 17:
		f := number("group", "seats")
		f["group_type_index"] = r.IntN(2)
		return f
	case 0, 1:
		return text("event", "color", "red", "green", "Red", "blue")
	case 2:
		return number("event", pick(r, "n", "amount"))
	case 3:
		return text("person", "plan", "free", "pro")
	case 4:
		return number("person", "age")
	case 5:
		f := object{"type": "cohort", "key": "id", "value": 1 + r.IntN(7)}
		if r.chance(3) {
			f["operator"] = "not_in"
		} else if r.chance(5) {
			f["negation"] = true
		}
		return f
	case 6:
		f := text("group", "kind", "small", "big")
		f["group_type_index"] = r.IntN(2)
		return f
	case 7:
		return object{"type": "event", "key": "flag", "operator": pick(r, "exact", "is_not"), "value": pick[any](r, true, "true", []any{"true"}, false)}
	case 8:
		return object{"type": "hogql", "key": pick(r, "properties.amount > 4", "event = 'a'", "properties.color != 'red'", "person.properties.age >= 20",
			"event in ('a', 'b', 'nothing')", "properties.color in ('red', 'green')", "properties.color like 'r%'", "properties.color ilike 'r_d'", "event = 'a' or event = 'c' and properties.amount > 2",
			"properties.amount * 2 - 1 >= 3", "properties.amount / (properties.amount - 2) > 1", "not (event = 'a')", "toFloat(properties.n) >= 2", "ifNull(properties.color, 'none') = 'none'",
			"if(event = 'a', properties.amount, 0 - 1) > 0", "lower(properties.color) == 'red'", "group_0.properties.kind = 'big'", "concat(event, '/', properties.color) = 'a/red'", "session.$pageview_count > 1")}
	default:
		return text("person", "email", "a@x.com", "b@y.org")
	}
}

// dateFilter compares a date with one that is relative or absolute, at a midnight or a time.
func (r *random) dateFilter() object {
	f := object{"type": "event", "key": "when", "operator": pick(r, "is_date_exact", "is_date_before", "is_date_after", "is_date_before", "is_date_after", "is_set")}
	switch r.IntN(4) {
	case 0:
		f["type"], f["key"] = "person", "joined"
	case 1:
		f["type"], f["key"] = "event_metadata", "timestamp"
	case 2:
		f["type"], f["key"] = "session", pick(r, "$start_timestamp", "$end_timestamp")
	}
	value := func() any {
		at := r.now.Add(-time.Duration(r.Int64N(int64(max(r.scale, time.Hour)))))
		return pick(r, "-3d", "-12h", "-1w", "-1m", "-1dStart", at.Format("2006-01-02"), at.Format("2006-01-02 15:04:05"), at.UTC().Format("2006-01-02T15:04:05Z"))
	}
	if f["value"] = value(); r.chance(6) {
		f["value"] = []any{value(), value()}
	}
	if f["operator"] == "is_date_exact" && r.chance(2) {
		for _, e := range r.d.Events {
			if s, ok := e.Properties["when"].(string); ok && s != "soon" {
				f["value"] = s
			}
		}
	}
	return f
}

func (r *random) elementFilter() object {
	f := object{"type": "element", "key": pick(r, "tag_name", "text", "href", "selector"), "operator": pick(r, "exact", "is_not")}
	some := func(values ...any) {
		if f["value"] = pick(r, values...); r.chance(4) {
			f["value"] = []any{pick(r, values...), pick(r, values...)}
		}
	}
	switch f["key"] {
	case "tag_name":
		some("a", "button", "div")
	case "text":
		f["operator"] = pick(r, "exact", "is_not", "icontains", "not_icontains", "regex", "not_regex")
		some("Docs", "docs", "Sign up", "a")
	case "href":
		f["operator"] = pick(r, "exact", "is_not", "icontains", "not_icontains", "regex", "not_regex")
		some("/docs", "/pricing", "/")
	default:
		some(selectors...)
	}
	return f
}

func (r *random) breakdown(limit bool) object {
	b := object{}
	switch r.IntN(12) {
	case 8:
		b["breakdown"], b["breakdown_type"] = pick(r, "$session_duration", "$pageview_count", "$end_pathname", "$num_uniq_urls"), "session"
	case 9:
		b["breakdown"], b["breakdown_type"] = pick(r, "event", "distinct_id", "$group_0"), "event_metadata"
	case 10:
		b["breakdown"], b["breakdown_type"] = pick(r, "properties.color", "upper(properties.color)", "concat(event, ' ', properties.color)", "person.properties.plan",
			"if(properties.amount > 2, 'much', 'little')", "ifNull(properties.color, event)", "toString(properties.amount * 2)", "properties.amount > 2", "toFloat(properties.n) AS number"), "hogql"
	case 11:
		b["breakdown"], b["breakdown_type"], b["breakdown_group_type_index"] = pick(r, "kind", "seats"), "group", 1
	case 6:
		b["breakdown"], b["breakdown_type"] = "$entry_current_url", "session"
	case 0:
		b["breakdown"], b["breakdown_type"] = "plan", "person"
	case 1:
		b["breakdown"], b["breakdown_type"], b["breakdown_group_type_index"] = "kind", "group", 0
	case 2:
		b["breakdown"], b["breakdown_type"], b["breakdown_normalize_url"] = "$current_url", "event", r.chance(2)
	case 3:
		b["breakdown"], b["breakdown_type"] = pick(r, "n", "amount"), "event"
		if limit && r.chance(2) { // read by trends only
			b["breakdown_histogram_bin_count"] = 1 + r.IntN(4)
		}
	default:
		b["breakdown"], b["breakdown_type"] = "color", "event"
	}
	if limit && r.chance(2) {
		b["breakdown_limit"] = 1 + r.IntN(3)
	}
	return b
}

func (r *random) trends(q object) {
	q["kind"] = "TrendsQuery"
	r.span(q, "minute", "hour", "day", "day", "day", "week", "month")
	filter := object{}
	switch r.IntN(8) {
	case 0:
		filter["display"] = "BoldNumber"
	case 1, 2:
		filter["display"] = pick(r, "ActionsPie", "ActionsTable", "ActionsBarValue", "WorldMap")
	case 3:
		filter["display"] = "ActionsLineGraphCumulative"
	}
	if r.chance(8) {
		filter["smoothingIntervals"] = 2 + r.IntN(6)
	}
	broken := r.chance(2)
	nodes := []any{}
	for range 1 + r.IntN(3) {
		n := r.node()
		r.maths(n)
		nodes = append(nodes, n)
	}
	q["series"] = nodes
	if filter["display"] != nil && filter["display"] != "ActionsLineGraphCumulative" && slices.ContainsFunc(nodes, func(n any) bool { return strings.HasSuffix(textOf(n, "math"), "_active") }) {
		q["interval"] = "day" // whose interval says whether windows apply is not written
	}
	if broken {
		b := r.breakdown(true)
		switch r.IntN(6) {
		case 0:
			b = object{"breakdown_type": "cohort", "breakdown": pick[any](r, 2, []any{1, 2}, []any{3, "all"}, []any{1, 2, 4}, "all", []any{5, 6, 7}, []any{2, "all", 5})}
		case 1, 2:
			b = r.breakdowns()
		}
		if r.chance(4) {
			b["breakdown_hide_other_aggregation"] = true
		}
		q["breakdownFilter"] = b
	}
	if r.chance(4) {
		formulas := []string{"A", "A * 2 - 1", "-A ** 2", "a % 3"}
		if len(nodes) > 1 {
			formulas = []string{"A+B", "A / B", "A - 2*B", "(A+1)/B", "A % B", "(a + b) ** 2 / (A - B)", "B"}
		}
		if len(nodes) > 2 {
			formulas = append(formulas, "A + B / C", "(A-C)*B", "C", "A % (B - C)")
		}
		switch r.IntN(3) {
		case 0:
			filter["formula"] = pick(r, formulas...)
		case 1:
			filter["formulas"] = []any{pick(r, formulas...), pick(r, formulas...)}
		default:
			filter["formulaNodes"] = []any{object{"formula": pick(r, formulas...), "custom_name": "Mine"}, object{"formula": pick(r, formulas...)}}
		}
	}
	if r.chance(5) {
		c := object{"compare": true}
		if r.chance(2) {
			c["compare_to"] = pick(r, "-1w", "-3d", "-1m", "-2w", "-1y", "-1q", "-36h")
		}
		q["compareFilter"] = c
	}
	q["trendsFilter"] = filter
}

// breakdowns is a breakdown by several columns, some of them binned.
func (r *random) breakdowns() object {
	list := []any{}
	for range 1 + r.IntN(3) {
		c := object{"property": "color", "type": "event"}
		switch r.IntN(7) {
		case 0:
			c = object{"property": pick(r, "plan", "age"), "type": "person"}
		case 1, 2:
			c = object{"property": pick(r, "amount", "n"), "type": "event", "histogram_bin_count": 1 + r.IntN(4)}
		case 3:
			c = object{"property": "kind", "type": "group", "group_type_index": r.IntN(2)}
		case 4:
			c = object{"property": "$current_url", "type": "event", "normalize_url": true}
		case 5:
			c = object{"property": pick(r, "$session_duration", "$entry_pathname"), "type": "session"}
		}
		list = append(list, c)
	}
	b := object{"breakdowns": list}
	if r.chance(2) {
		b["breakdown_limit"] = 1 + r.IntN(4)
	}
	return b
}

func (r *random) maths(n object) {
	switch r.IntN(11) {
	case 8:
		n["math"], n["math_hogql"] = "hogql", pick(r, "count()", "sum(properties.amount)", "avg(properties.amount) + 1", "count(distinct properties.color)", "uniq(properties.color)", "min(properties.amount)", "max(person.properties.age)")
	case 9:
		n["math"] = pick(r, "total", "unheard_of", "sum")
	case 0, 1:
		n["math"] = "dau"
		if r.chance(4) {
			n["math_group_type_index"] = r.IntN(2)
		}
	case 2:
		n["math"] = "unique_session"
	case 3:
		n["math"], n["math_group_type_index"] = "unique_group", r.IntN(2)
	case 4:
		n["math"], n["math_property"] = pick(r, "sum", "avg", "min", "max", "median", "p75", "p90", "p95", "p99"), pick(r, "amount", "n")
		if r.chance(3) {
			n["math_property"], n["math_property_type"] = "age", "person_properties"
		} else if r.chance(5) {
			n["math_property"], n["math_property_type"] = pick(r, "$session_duration", "$session_duration", "$pageview_count", "$num_uniq_urls"), "session_properties"
		}
		if r.chance(5) {
			n["math_multiplier"] = pick(r, 0.5, 100.0)
		}
	case 5:
		n["math"] = pick(r, "avg", "min", "max", "median", "p90") + "_count_per_actor"
	case 6:
		n["math"] = pick(r, "weekly_active", "monthly_active")
	case 7:
		n["math"] = pick(r, "first_time_for_user", "first_matching_event_for_user")
	}
}

func (r *random) stickiness(q object) {
	q["kind"] = "StickinessQuery"
	r.span(q, "minute", "hour", "day", "day", "week", "month")
	n := r.node()
	if r.chance(3) {
		n["math"], n["math_group_type_index"] = "unique_group", r.IntN(2)
	} else if r.chance(5) {
		n["math"], n["math_hogql"] = "hogql", pick(r, "properties.color", "properties.$session_id", "concat(event, properties.color)")
	}
	q["series"] = []any{n}
	if r.chance(3) {
		q["series"] = []any{n, r.node()}
	}
	filter := object{}
	if r.chance(3) {
		filter["computedAs"] = "cumulative"
	}
	if r.chance(3) {
		filter["stickinessCriteria"] = object{"operator": pick(r, "gte", "lte", "exact"), "value": 1 + r.IntN(2)}
	}
	if r.chance(3) {
		q["intervalCount"] = 1 + r.IntN(3)
	}
	if r.chance(4) {
		q["compareFilter"] = object{"compare": true}
		if r.chance(3) {
			q["compareFilter"] = object{"compare": true, "compare_to": pick(r, "-1w", "-3d", "-1m")}
		}
	}
	q["stickinessFilter"] = filter
}

func (r *random) lifecycle(q object) {
	q["kind"] = "LifecycleQuery"
	r.span(q, "minute", "hour", "day", "day", "week", "month")
	q["series"] = []any{r.node()}
	if r.chance(5) { // an event must match all of them
		n := r.node()
		n["event"] = nil
		q["series"] = []any{r.node(), n}
	}
	if r.chance(4) {
		q["aggregation_group_type_index"] = r.IntN(2)
	}
}

func (r *random) funnel(q object) {
	q["kind"] = "FunnelsQuery"
	r.span(q, "minute", "hour", "day", "day", "week", "month")
	steps := 2 + r.IntN(3)
	nodes := []any{}
	for range steps {
		n := r.node()
		delete(n, "custom_name")
		if r.chance(8) {
			n["math"] = pick(r, "first_time_for_user", "first_time_for_user_with_filters", "total")
		}
		nodes = append(nodes, n)
	}
	f := object{}
	order := pick(r, "ordered", "ordered", "strict", "unordered")
	if order != "ordered" || r.chance(2) {
		f["funnelOrderType"] = order
	}
	if r.chance(2) {
		f["funnelWindowInterval"] = 1 + r.IntN(20)
		f["funnelWindowIntervalUnit"] = pick(r, "second", "minute", "minute", "hour", "hour", "day", "week", "month")
	}
	viz := pick(r, "steps", "steps", "steps", "trends", "time_to_convert")
	if viz != "steps" {
		f["funnelVizType"] = viz
		if r.chance(3) {
			f["funnelToStep"] = 1 + r.IntN(steps-1)
			if to := f["funnelToStep"].(int); to > 1 && r.chance(2) {
				f["funnelFromStep"] = r.IntN(to)
			}
		}
		if viz == "time_to_convert" && r.chance(3) {
			f["binCount"] = 1 + r.IntN(8)
		}
	}
	if viz == "steps" && order != "unordered" && r.chance(4) {
		nodes[1+r.IntN(steps-1)].(object)["optionalInFunnel"] = true
	}
	if r.chance(4) {
		x := r.node()
		x["funnelFromStep"], x["funnelToStep"] = 0, steps-1
		if order != "unordered" {
			from := r.IntN(steps - 1)
			x["funnelFromStep"], x["funnelToStep"] = from, from+1+r.IntN(steps-1-from)
		}
		f["exclusions"] = []any{x}
	}
	q["series"] = nodes
	if viz != "time_to_convert" && r.chance(2) {
		b := r.breakdown(false)
		if r.chance(4) {
			b = object{"breakdown_type": "cohort", "breakdown": pick[any](r, []any{1, 2}, []any{3, "all"}, []any{1, 2, 4})}
		} else if r.chance(4) {
			b = object{"breakdown_type": "event", "breakdown": pick[any](r, []any{"color", "flag"}, []any{"color"}, []any{"n", "version", "flag"})}
		} else if viz == "steps" && r.chance(4) {
			b["breakdown_limit"] = 1 + r.IntN(2)
		}
		q["breakdownFilter"] = b
		if r.chance(2) {
			f["breakdownAttributionType"] = pick(r, "first_touch", "last_touch", "all_events", "step")
			if f["breakdownAttributionType"] == "step" {
				f["breakdownAttributionValue"] = r.IntN(steps)
				if order == "unordered" {
					f["breakdownAttributionValue"] = 0
				}
			}
		}
	}
	switch {
	case r.chance(6):
		q["aggregation_group_type_index"] = r.IntN(2)
	case r.chance(8):
		f["funnelAggregateByHogQL"] = pick(r, "properties.$session_id", "properties.$session_id", "person_id", "distinct_id", "upper(properties.color)")
	}
	q["funnelsFilter"] = f
}

func (r *random) entity() object {
	e := object{"id": pick(r, eventNames...), "type": "events"}
	switch r.IntN(8) {
	case 0:
		e["id"] = nil
	case 1:
		e = object{"id": 1 + r.IntN(3), "type": "actions"}
	}
	if r.chance(5) {
		e["properties"] = r.filterList(1)
	}
	return e
}

func (r *random) retention(q object) {
	q["kind"] = "RetentionQuery"
	interval := r.span(q, "hour", "day", "day", "week", "month")
	delete(q, "interval")
	if dates := q["dateRange"].(object); dates["date_from"] == "all" || dates["explicitDate"] != nil {
		q["dateRange"] = object{}
	}
	f := object{"period": map[string]string{"hour": "Hour", "day": "Day", "week": "Week", "month": "Month"}[interval], "totalIntervals": 1 + r.IntN(9)}
	f["retentionType"] = pick(r, "retention_recurring", "retention_recurring", "retention_first_time", "retention_first_ever_occurrence")
	f["targetEntity"] = r.entity()
	f["returningEntity"] = f["targetEntity"]
	if r.chance(2) {
		f["returningEntity"] = r.entity()
	}
	switch r.IntN(8) {
	case 0:
		f["cumulative"] = true
	case 1:
		f["minimumOccurrences"] = 2
	case 2:
		f["retentionCustomBrackets"] = []any{1 + r.IntN(2), 1 + r.IntN(3), 2}
		if r.chance(2) {
			f["cumulative"] = true
		}
	case 3:
		f["timeWindowMode"] = "24_hour_windows"
	case 4:
		if r.chance(4) {
			f["retentionCustomBrackets"] = []any{1, 2}
		}
		f["aggregationType"], f["aggregationProperty"] = pick(r, "sum", "avg"), pick(r, "amount", "n")
		if r.chance(4) {
			f["aggregationProperty"], f["aggregationPropertyType"] = "age", "person"
		}
		if target, again := f["targetEntity"].(object), f["returningEntity"].(object); target["id"] == again["id"] {
			f["returningEntity"] = target // one event under two filters cannot be told from two events
		}
	}
	if r.chance(3) {
		b := r.breakdown(true)
		delete(b, "breakdown_normalize_url")
		if r.chance(4) {
			b = object{"breakdown_type": "cohort", "breakdown": pick(r, []any{1, 2, "all"}, []any{5, 6, 7}, []any{0, 3})}
		} else if r.chance(4) { // of a list, only the first is used
			b = object{"breakdowns": []any{object{"property": pick(r, "color", "version"), "type": "event"}, object{"property": "plan", "type": "person"}}}
		}
		q["breakdownFilter"] = b
		if f["timeWindowMode"] != nil && f["retentionType"] == "retention_first_ever_occurrence" {
			delete(q, "breakdownFilter") // the rules of the two say different things
		}
	}
	if r.chance(5) {
		q["aggregation_group_type_index"] = r.IntN(2)
	}
	q["retentionFilter"] = f
}

func (r *random) paths(q object) {
	q["kind"] = "PathsQuery"
	r.span(q, "day")
	delete(q, "interval")
	if dates := q["dateRange"].(object); dates["date_from"] == "all" {
		q["dateRange"] = object{}
	}
	f := object{}
	if r.chance(3) {
		f["includeEventTypes"] = pick(r, []any{"$pageview"}, []any{"custom_event"}, []any{"$pageview", "custom_event"}, []any{"$screen", "$pageview"})
	}
	if r.chance(4) {
		f["excludeEvents"] = pick(r, []any{"/home"}, []any{"a"}, []any{"/"}, []any{"$pageview"})
	}
	items := []string{"/", "/home", "/home/", "/item/1", "a", "b", "main"}
	if r.chance(6) {
		f["startPoint"] = pick(r, items...)
	}
	if r.chance(6) {
		f["endPoint"] = pick(r, items...)
	}
	if r.chance(3) {
		f["stepLimit"] = 2 + r.IntN(5)
	}
	if r.chance(4) {
		f["edgeLimit"] = 1 + r.IntN(6)
	}
	if r.chance(6) {
		f["minEdgeWeight"] = 2
	}
	if r.chance(6) {
		f["maxEdgeWeight"] = 1 + r.IntN(2)
	}
	if r.chance(5) {
		f["pathGroupings"] = []any{pick(r, "/item/*", "/h*", "/*")}
	}
	if r.chance(6) {
		f["pathReplacements"] = true
	}
	if r.chance(6) {
		f["localPathCleaningFilters"] = []any{object{"regex": `\?.*$`, "alias": ""}}
	}
	if r.chance(6) {
		f["pathsHogQLExpression"] = pick(r, "properties.color", "concat(event, ' ', properties.color)", "upper(event)")
		if r.chance(2) {
			f["includeEventTypes"] = pick(r, []any{"hogql"}, []any{"$pageview", "hogql"}, []any{"custom_event", "hogql"})
		}
	}
	q["pathsFilter"] = f
	if r.chance(2) {
		q["dateRange"] = object{"date_from": r.now.Add(-2 * r.scale).Format("2006-01-02")}
	}
	if r.chance(5) {
		source, steps := r.plainFunnel()
		step := 1 + r.IntN(steps)
		if r.chance(3) {
			step = -(2 + r.IntN(steps-1))
		}
		kind := pick(r, "funnel_path_before_step", "funnel_path_between_steps", "funnel_path_after_step")
		if step == 1 || step == -2 {
			kind = pick(r, "funnel_path_before_step", "funnel_path_after_step")
		}
		q["funnelPathsFilter"] = object{"funnelPathType": kind, "funnelStep": step, "funnelSource": source}
	}
}

// plainFunnel is a funnel of persons or groups without a breakdown, whose steps are charted.
func (r *random) plainFunnel() (object, int) {
	q := object{}
	for {
		r.funnel(q)
		f := q["funnelsFilter"].(object)
		optional := slices.ContainsFunc(listOf(q, "series"), func(n any) bool { return isTrue(n, "optionalInFunnel") })
		if f["funnelVizType"] == nil && f["funnelAggregateByHogQL"] == nil && !optional {
			break
		}
		q = object{}
	}
	delete(q, "breakdownFilter")
	delete(q, "aggregation_group_type_index")
	if !r.chance(4) { // wide enough that something happens
		q["dateRange"] = object{"date_from": r.now.Add(-2 * r.scale).Format("2006-01-02")}
		q["funnelsFilter"].(object)["funnelWindowInterval"] = 1 + r.IntN(3)
		q["funnelsFilter"].(object)["funnelWindowIntervalUnit"] = pick(r, "day", "week", "month")
	}
	delete(q["funnelsFilter"].(object), "breakdownAttributionType")
	r.narrow(q)
	return q, len(listOf(q, "series"))
}

func (r *random) correlation() object {
	source, _ := r.plainFunnel()
	if !r.chance(5) { // of two common events, so that some succeed and some fail
		names := pick(r, []string{"a", "b"}, []string{"b", "a"}, []string{"$pageview", "a"}, []string{"a", "$pageview"}, []string{"b", "c"})
		source["series"] = []any{object{"kind": "EventsNode", "event": names[0]}, object{"kind": "EventsNode", "event": names[1]}}
		delete(source["funnelsFilter"].(object), "exclusions")
		delete(source["funnelsFilter"].(object), "funnelOrderType")
		delete(source, "properties")
		source["dateRange"] = object{"date_from": r.now.Add(-2 * r.scale).Format("2006-01-02")}
	}
	if r.chance(4) {
		source["aggregation_group_type_index"] = r.IntN(2)
	}
	q := object{"kind": "FunnelCorrelationQuery", "source": object{"kind": "FunnelsActorsQuery", "source": source, "funnelStep": 1}}
	switch r.IntN(3) {
	case 0:
		q["funnelCorrelationType"] = "events"
		if r.chance(3) {
			q["funnelCorrelationExcludeEventNames"] = []any{pick(r, eventNames...)}
		}
	case 1:
		if r.chance(2) {
			q["funnelCorrelationType"] = "events"
			break
		}
		q["funnelCorrelationType"] = "event_with_properties"
		q["funnelCorrelationEventNames"] = pick(r, []any{"a", "b", "$pageview"}, []any{"$pageview"}, []any{"c", "$screen"}, []any{"a", "b", "c", "$pageview", "$screen"})
		if r.chance(2) {
			q["funnelCorrelationEventExcludePropertyNames"] = []any{"$current_url", "$session_id"}
		}
	default:
		q["funnelCorrelationType"] = "properties"
		q["funnelCorrelationNames"] = pick(r, []any{"$all"}, []any{"plan"}, []any{"plan", "age", "kind"})
		if r.chance(3) {
			q["funnelCorrelationExcludeNames"] = []any{pick(r, "email", "plan")}
		}
	}
	return q
}
