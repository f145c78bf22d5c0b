package insight

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Link translates the filters of an insight in the form of old links, the query string of
// /insights?insight=…, to a query. What old links know and queries do not is left out.
func Link(values url.Values) (json.RawMessage, error) {
	l := &link{values}
	return l.query()
}

// Filters is Link for the same filters as a JSON object, as they were once saved.
func Filters(raw json.RawMessage) (json.RawMessage, error) {
	var m map[string]json.RawMessage
	if err := decode(raw, &m); err != nil {
		return nil, err
	}
	values := url.Values{}
	for k, v := range m {
		var s string
		if json.Unmarshal(v, &s) != nil {
			s = string(v)
		}
		values.Set(k, s)
	}
	return Link(values)
}

// link is the filters of an old link.
type link struct{ url.Values }

func (l *link) is(name string) bool { return strings.EqualFold(l.Get(name), "true") }

// json is a parameter that holds JSON; nil if it is missing or empty.
func (l *link) json(name string) (json.RawMessage, error) {
	s := strings.TrimSpace(l.Get(name))
	if s == "" || s == "null" || s == "undefined" {
		return nil, nil
	}
	if !json.Valid([]byte(s)) {
		return nil, refuse(name, "the parameter %s of the link is not valid JSON", name)
	}
	return json.RawMessage(s), nil
}

// number is a parameter that holds a whole number.
func (l *link) number(name string) (*int, error) {
	s := l.Get(name)
	if s == "" || s == "null" || s == "undefined" {
		return nil, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		return nil, refuse(name, "the parameter %s of the link is no whole number", name)
	}
	return &n, nil
}

// numbers sets fields to parameters that hold whole numbers, by the names of these.
func (l *link) numbers(o object, names map[string]string) error {
	for from, to := range names {
		n, err := l.number(from)
		if err != nil {
			return err
		}
		o.set(to, n)
	}
	return nil
}

// jsons is numbers for parameters that hold JSON.
func (l *link) jsons(o object, names map[string]string) error {
	for from, to := range names {
		raw, err := l.json(from)
		if err != nil {
			return err
		}
		o.set(to, raw)
	}
	return nil
}

// object is a query as it is put together; nil values are left out.
type object map[string]any

func (o object) set(key string, v any) {
	switch v := v.(type) {
	case string:
		if v == "" {
			return
		}
	case *int:
		if v == nil {
			return
		}
	case json.RawMessage:
		if v == nil {
			return
		}
	case object:
		if len(v) == 0 {
			return
		}
	case bool:
		if !v {
			return
		}
	}
	o[key] = v
}

// linkEntity is an event or action of an old link.
type linkEntity map[string]any

// entities are the events and actions of a link, in their order.
func (l *link) entities() ([]object, error) {
	type placed struct {
		order float64
		o     object
	}
	var all []placed
	for _, name := range []string{"events", "actions"} {
		raw, err := l.json(name)
		if err != nil {
			return nil, err
		}
		if raw == nil {
			continue
		}
		var list []linkEntity
		if err := json.Unmarshal(raw, &list); err != nil {
			return nil, refuse(name, "the parameter %s of the link is no list", name)
		}
		for i, e := range list {
			order := float64(i)
			if n, ok := e["order"].(float64); ok {
				order = n
			}
			all = append(all, placed{order, e.node(name == "actions")})
		}
	}
	slices.SortStableFunc(all, func(a, b placed) int {
		switch {
		case a.order < b.order:
			return -1
		case a.order > b.order:
			return 1
		}
		return 0
	})
	var out []object
	for _, p := range all {
		out = append(out, p.o)
	}
	return out, nil
}

// node is an entity as a series of a query.
func (e linkEntity) node(action bool) object {
	o := object{"kind": "EventsNode", "event": e["id"]}
	if action || e["type"] == "actions" {
		o = object{"kind": "ActionsNode", "id": e["id"]}
	}
	for _, key := range []string{"name", "custom_name", "math", "math_property", "math_property_type", "math_hogql", "math_group_type_index",
		"properties", "optionalInFunnel"} {
		if v, ok := e[key]; ok && v != nil {
			o[key] = v
		}
	}
	return o
}

// common are the parts that all kinds of queries share.
func (l *link) common(kind string) (object, error) {
	q := object{"kind": kind}
	date := object{}
	date.set("date_from", l.Get("date_from"))
	date.set("date_to", l.Get("date_to"))
	date.set("explicitDate", l.is("explicit_date"))
	q.set("dateRange", date)
	props, err := l.json("properties")
	if err != nil {
		return nil, err
	}
	q.set("properties", props)
	q.set("filterTestAccounts", l.is("filter_test_accounts"))
	group, err := l.number("aggregation_group_type_index")
	if err != nil {
		return nil, err
	}
	q.set("aggregation_group_type_index", group)
	if s := l.Get("sampling_factor"); s != "" {
		f, err := strconv.ParseFloat(s, 64)
		if err != nil {
			return nil, refuse("sampling_factor", "the parameter sampling_factor of the link is no number")
		}
		q["samplingFactor"] = f
	}
	return q, nil
}

// breakdown is breakdownFilter of a link; empty if there is none.
func (l *link) breakdown() (object, error) {
	b := object{}
	s := l.Get("breakdown")
	if s == "" || s == "null" || s == "undefined" {
		return b, nil
	}
	b["breakdown"] = s
	if json.Valid([]byte(s)) && (s[0] == '[' || s[0] == '"') {
		b["breakdown"] = json.RawMessage(s)
	}
	b.set("breakdown_type", l.Get("breakdown_type"))
	if err := l.numbers(b, map[string]string{"breakdown_group_type_index": "breakdown_group_type_index", "breakdown_limit": "breakdown_limit",
		"breakdown_histogram_bin_count": "breakdown_histogram_bin_count"}); err != nil {
		return nil, err
	}
	b.set("breakdown_normalize_url", l.is("breakdown_normalize_url"))
	return b, nil
}

// query is the link as a query.
func (l *link) query() (json.RawMessage, error) {
	kind := strings.ToUpper(l.Get("insight"))
	build, ok := map[string]func() (object, error){"": l.trends, "TRENDS": l.trends, "SESSIONS": l.trends, "FUNNELS": l.funnels, "RETENTION": l.retention,
		"PATHS": l.paths, "STICKINESS": l.stickiness, "LIFECYCLE": l.lifecycle}[kind]
	if !ok {
		return nil, refuse("insight", "unknown kind of insight %q in the link", l.Get("insight"))
	}
	q, err := build()
	if err != nil {
		return nil, err
	}
	return json.Marshal(q)
}

// withSeries is the common parts, the series and the interval.
func (l *link) withSeries(kind string) (object, error) {
	q, err := l.common(kind)
	if err != nil {
		return nil, err
	}
	series, err := l.entities()
	if err != nil {
		return nil, err
	}
	if len(series) == 0 {
		series = []object{{"kind": "EventsNode", "event": "$pageview"}}
	}
	q["series"] = series
	q.set("interval", l.Get("interval"))
	return q, nil
}

func (l *link) compare() object {
	c := object{}
	c.set("compare", l.is("compare"))
	c.set("compare_to", l.Get("compare_to"))
	return c
}

func (l *link) trends() (object, error) {
	q, err := l.withSeries("TrendsQuery")
	if err != nil {
		return nil, err
	}
	b, err := l.breakdown()
	if err != nil {
		return nil, err
	}
	q.set("breakdownFilter", b)
	q.set("compareFilter", l.compare())
	f := object{}
	f.set("display", l.Get("display"))
	f.set("formula", l.Get("formula"))
	n, err := l.number("smoothing_intervals")
	if err != nil {
		return nil, err
	}
	f.set("smoothingIntervals", n)
	q.set("trendsFilter", f)
	return q, nil
}

func (l *link) stickiness() (object, error) {
	q, err := l.withSeries("StickinessQuery")
	if err == nil {
		q.set("compareFilter", l.compare())
	}
	return q, err
}

func (l *link) lifecycle() (object, error) { return l.withSeries("LifecycleQuery") }

func (l *link) funnels() (object, error) {
	q, err := l.withSeries("FunnelsQuery")
	if err != nil {
		return nil, err
	}
	b, err := l.breakdown()
	if err != nil {
		return nil, err
	}
	q.set("breakdownFilter", b)
	f := object{}
	f.set("funnelOrderType", l.Get("funnel_order_type"))
	f.set("funnelVizType", l.Get("funnel_viz_type"))
	f.set("funnelWindowIntervalUnit", l.Get("funnel_window_interval_unit"))
	f.set("breakdownAttributionType", l.Get("breakdown_attribution_type"))
	f.set("funnelAggregateByHogQL", l.Get("funnel_aggregate_by_hogql"))
	if err := l.numbers(f, map[string]string{"funnel_window_interval": "funnelWindowInterval", "breakdown_attribution_value": "breakdownAttributionValue"}); err != nil {
		return nil, err
	}
	// Steps of the range have a meaning for these two charts only, and old links hold
	// them for all.
	if v := l.Get("funnel_viz_type"); v == "trends" || v == "time_to_convert" {
		if err := l.numbers(f, map[string]string{"funnel_from_step": "funnelFromStep", "funnel_to_step": "funnelToStep"}); err != nil {
			return nil, err
		}
	}
	if s := l.Get("bin_count"); s != "" {
		f["binCount"] = s
	}
	raw, err := l.json("exclusions")
	if err != nil {
		return nil, err
	}
	if raw != nil {
		var list []linkEntity
		if err := json.Unmarshal(raw, &list); err != nil {
			return nil, refuse("exclusions", "the parameter exclusions of the link is no list")
		}
		var out []object
		for _, e := range list {
			o := e.node(false)
			o["funnelFromStep"], o["funnelToStep"] = e["funnel_from_step"], e["funnel_to_step"]
			out = append(out, o)
		}
		if len(out) > 0 {
			f["exclusions"] = out
		}
	}
	q.set("funnelsFilter", f)
	return q, nil
}

func (l *link) retention() (object, error) {
	q, err := l.common("RetentionQuery")
	if err != nil {
		return nil, err
	}
	f := object{}
	f.set("period", l.Get("period"))
	f.set("retentionType", l.Get("retention_type"))
	f.set("cumulative", l.is("cumulative"))
	n, err := l.number("total_intervals")
	if err != nil {
		return nil, err
	}
	f.set("totalIntervals", n)
	if err := l.jsons(f, map[string]string{"target_entity": "targetEntity", "returning_entity": "returningEntity"}); err != nil {
		return nil, err
	}
	q.set("retentionFilter", f)
	b, err := l.breakdown()
	q.set("breakdownFilter", b)
	return q, err
}

func (l *link) paths() (object, error) {
	q, err := l.common("PathsQuery")
	if err != nil {
		return nil, err
	}
	f := object{}
	f.set("startPoint", l.Get("start_point"))
	f.set("endPoint", l.Get("end_point"))
	if err := l.numbers(f, map[string]string{"step_limit": "stepLimit", "edge_limit": "edgeLimit", "min_edge_weight": "minEdgeWeight", "max_edge_weight": "maxEdgeWeight"}); err != nil {
		return nil, err
	}
	if err := l.jsons(f, map[string]string{"include_event_types": "includeEventTypes", "exclude_events": "excludeEvents", "path_groupings": "pathGroupings",
		"local_path_cleaning_filters": "localPathCleaningFilters"}); err != nil {
		return nil, err
	}
	f.set("pathReplacements", l.is("path_replacements"))
	q.set("pathsFilter", f)
	return q, nil
}

// Missing names the actions and the cohorts of a query that the project does not have. A
// trend just leaves out what is missing; who opens a link wants to know.
func Missing(raw json.RawMessage, p Project) error {
	var actions, cohorts []string
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, x := range v {
				walk(x)
			}
		case map[string]any:
			if v["kind"] == "ActionsNode" {
				if id := fmt.Sprint(v["id"]); !known(id, func(n int64) bool { _, ok := p.Action(n); return ok }) {
					actions = append(actions, id)
				}
			}
			if v["type"] == "cohort" && v["value"] != nil {
				if id := fmt.Sprint(v["value"]); !known(id, func(n int64) bool { _, ok := p.Cohort(n); return ok }) {
					cohorts = append(cohorts, id)
				}
			}
			for _, key := range slices.Sorted(maps.Keys(v)) {
				walk(v[key])
			}
		}
	}
	list, _, err := values(raw)
	if err != nil {
		return refuse("query", "the query is not valid JSON: %v", err)
	}
	walk(list)
	var words []string
	for _, list := range []struct {
		one, many string
		ids       []string
	}{{"there is no action ", "there are no actions ", actions}, {"there is no cohort ", "there are no cohorts ", cohorts}} {
		switch len(list.ids) {
		case 0:
		case 1:
			words = append(words, list.one+list.ids[0])
		default:
			words = append(words, list.many+strings.Join(list.ids, ", "))
		}
	}
	if len(words) == 0 {
		return nil
	}
	return &Refused{Code: "does_not_exist", Detail: strings.Join(words, "; "), Attr: "query"}
}

func known(id string, has func(int64) bool) bool {
	n, err := strconv.ParseInt(id, 10, 64)
	return err == nil && has(n)
}
