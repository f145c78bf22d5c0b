package server

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// refusals are what cannot be answered, with the code and the words of the answer; an empty
// code is any.
func refusals() []refusal {
	type m = map[string]any
	event := func(name string, more ...m) m {
		out := m{"kind": "EventsNode", "event": name}
		for _, o := range more {
			for k, v := range o {
				out[k] = v
			}
		}
		return out
	}
	optional := m{"optionalInFunnel": true}
	paid := m{"properties": []any{m{"type": "event", "key": "paid", "operator": "exact", "value": "1"}}}
	a, b, c := event("a"), event("b"), event("c")
	two, three := []any{a, b}, []any{a, b, c}
	between := func(name string, from, to int, more ...m) []any {
		return []any{event(name, append(more, m{"funnelFromStep": from, "funnelToStep": to})...)}
	}
	funnel := func(series []any, f m) m { return m{"kind": "FunnelsQuery", "series": series, "funnelsFilter": f} }
	actors := func(source m, more m) m {
		more["kind"], more["source"] = "FunnelsActorsQuery", source
		return m{"kind": "ActorsQuery", "source": more}
	}
	correlation := func(kind string) m {
		return m{"kind": "FunnelCorrelationQuery", "funnelCorrelationType": kind, "source": m{"kind": "FunnelsActorsQuery", "source": funnel(two, m{})}}
	}
	trends := func(key string, value any) m { return m{"kind": "TrendsQuery", "series": []any{a}, key: value} }
	formula := func(s string) m { return trends("trendsFilter", m{"formula": s}) }
	filter := func(f m) m { return trends("properties", []any{f}) }
	retention := func(f m) m { return m{"kind": "RetentionQuery", "retentionFilter": f} }
	aroundFunnel := func(kind string, step int) m {
		return m{"kind": "PathsQuery", "funnelPathsFilter": m{"funnelPathType": kind, "funnelStep": step, "funnelSource": funnel(two, m{})}}
	}
	const (
		optionalWhere = `Optional funnel steps are only supported in funnels with step order Sequential or Strict and the graph type "Conversion Steps".`
		sameStep      = "Exclusion steps cannot contain an event that's part of funnel steps."
		sumWindows    = "Sum and average aggregation are not supported for 24 hour windows."
		twoNumbers    = "needs two numbers, the smaller one first"
		pointOfTrend  = "actors of a funnel's trend need funnelTrendsDropOff and funnelTrendsEntrancePeriodStart"
	)
	return []refusal{
		// The table of funnels, in its order.
		{funnel([]any{a}, m{}), "funnels_require_at_least_two_steps", "Funnels require at least two steps."},
		{funnel(three, m{"funnelFromStep": 2}), "funnel_step_range_invalid", "funnelFromStep is out of bounds. It must be between 0 and 1."},
		{funnel(three, m{"funnelFromStep": -1}), "funnel_step_range_invalid", "funnelFromStep is out of bounds. It must be between 0 and 1."},
		{funnel(three, m{"funnelToStep": 3}), "funnel_step_range_invalid", "funnelToStep is out of bounds. It must be between 1 and 2."},
		{funnel(three, m{"funnelToStep": 0}), "funnel_step_range_invalid", "funnelToStep is out of bounds. It must be between 1 and 2."},
		{funnel(three, m{"funnelFromStep": 1, "funnelToStep": 1}), "funnel_step_range_invalid", "Funnel step range is invalid. funnelToStep should be greater than funnelFromStep."},
		{funnel(three, m{"funnelOrderType": "unordered", "exclusions": between("x", 0, 1)}), "funnel_exclusions_invalid", "Partial Exclusions not allowed in unordered funnels"},
		{funnel(three, m{"exclusions": between("x", 1, 1)}), "funnel_exclusions_invalid", "Exclusion event range is invalid. End of range should be greater than start."},
		{funnel(three, m{"exclusions": between("x", 2, 3)}), "funnel_exclusions_invalid", "Exclusion event range is invalid. Start of range is greater than number of steps."},
		{funnel(three, m{"exclusions": between("x", 0, 3)}), "funnel_exclusions_invalid", "Exclusion event range is invalid. End of range is greater than number of steps."},
		{funnel(three, m{"exclusions": between("b", 0, 1)}), "funnel_exclusions_invalid", sameStep},
		{funnel(two, m{"exclusions": between("b", 0, 1, paid)}), "funnel_exclusions_invalid", sameStep},
		{funnel([]any{a, event("b", paid)}, m{"exclusions": between("b", 0, 1, paid)}), "funnel_exclusions_invalid", sameStep},
		{funnel([]any{a, event("b", optional), c}, m{"funnelVizType": "trends"}), "funnel_optional_steps_invalid", optionalWhere},
		{funnel([]any{a, event("b", optional), c}, m{"funnelVizType": "time_to_convert"}), "funnel_optional_steps_invalid", optionalWhere},
		{funnel([]any{a, event("b", optional), c}, m{"funnelOrderType": "unordered"}), "funnel_optional_steps_invalid", optionalWhere},
		{funnel([]any{event("a", optional), b}, m{}), "funnel_optional_steps_invalid", "The first step of a funnel cannot be optional."},
		{funnel([]any{a, event("b", optional), b}, m{}), "funnel_optional_steps_invalid", "An optional step cannot be the same as the following required step."},
		{funnel([]any{a, event("b", optional, paid), b}, m{}), "funnel_optional_steps_invalid", "An optional step cannot be the same as the following required step."},
		{funnel(two, m{"funnelOrderType": "unordered", "breakdownAttributionType": "step", "breakdownAttributionValue": 1}), "", "Only the first step can be used for breakdown attribution in unordered funnels"},
		{funnel(two, m{"funnelWindowIntervalUnit": "moon"}), "", `unknown unit "moon"`},
		// Actors and correlation of funnels.
		{actors(funnel(two, m{}), m{"funnelStep": 0}), "", "there is no step 0 of the funnel"},
		{actors(funnel(two, m{}), m{"funnelStep": -1}), "", "there is no step -1 of the funnel"},
		{actors(funnel(two, m{}), m{"funnelStep": 3}), "", "there is no step 3 of the funnel"},
		{actors(funnel(two, m{"funnelVizType": "trends"}), m{"funnelTrendsDropOff": true}), "", pointOfTrend},
		{actors(funnel(two, m{"funnelVizType": "trends"}), m{"funnelTrendsEntrancePeriodStart": "2026-01-01"}), "", pointOfTrend},
		{correlation("properties"), "", "Property Correlation expects atleast one Property to run correlation on"},
		{correlation("event_with_properties"), "", "Event Property Correlation expects atleast one event name to run correlation on"},
		{correlation("luck"), "", `unknown kind of correlation "luck"`},
		// Retention.
		{retention(m{"timeWindowMode": "24_hour_windows", "cumulative": true}), "retention_cumulative_24_hour_windows_unsupported", "Cumulative retention is not supported for 24 hour windows."},
		{retention(m{"timeWindowMode": "24_hour_windows", "aggregationType": "sum", "aggregationProperty": "n"}), "retention_24_hour_windows_property_aggregation_unsupported", sumWindows},
		{retention(m{"timeWindowMode": "24_hour_windows", "aggregationType": "avg", "aggregationProperty": "n"}), "retention_24_hour_windows_property_aggregation_unsupported", sumWindows},
		{retention(m{"period": "Year"}), "", `unknown interval "Year"`},
		{retention(m{"retentionType": "forever"}), "", `unknown type of retention "forever"`},
		// Paths.
		{aroundFunnel("funnel_path_between_steps", 1), "", "there is no path to the first step of a funnel"},
		{aroundFunnel("funnel_path_beside_steps", 1), "", `unknown kind of path "funnel_path_beside_steps"`},
		{aroundFunnel("funnel_path_after_step", 0), "", "there is no step 0 of the funnel"},
		{aroundFunnel("funnel_path_after_step", -1), "", "there is no step -1 of the funnel"},
		{m{"kind": "PathsQuery", "pathsFilter": m{"localPathCleaningFilters": []any{m{"regex": "(", "alias": ""}}}}, "", `"(" is not a valid regular expression`},
		// Series, intervals, samples.
		{m{"kind": "TrendsQuery", "series": []any{}}, "required", "the query needs at least one series"},
		{m{"kind": "StickinessQuery", "series": []any{}}, "required", "the query needs at least one series"},
		{m{"kind": "LifecycleQuery", "series": []any{}}, "required", "the query needs at least one series"},
		{m{"kind": "LifecycleQuery", "series": []any{m{"kind": "ActionsNode", "id": 9}}}, "does_not_exist", "there is no action 9"},
		{trends("series", []any{m{"kind": "GroupNode", "nodes": two}}), "", "series of the kind GroupNode are not supported"},
		{trends("series", []any{m{"kind": "DataWarehouseNode", "id": "x"}}), "", "series of the kind DataWarehouseNode are not supported"},
		{funnel([]any{a, m{"kind": "DataWarehouseNode", "id": "x"}}, m{}), "", "series of the kind DataWarehouseNode are not supported"},
		{trends("series", "x"), "", "query.series must not be a string"},
		{trends("series", []any{event("a", m{"math": "hogql", "math_hogql": "sum("})}), "", `the expression "sum(" is not valid`},
		{trends("series", []any{event("a", m{"math": "hogql"})}), "", "maths by an expression need math_hogql"},
		{trends("series", []any{event("a", m{"math": "unique_group"})}), "", "unique_group needs a math_group_type_index"},
		{trends("interval", "fortnight"), "", `unknown interval "fortnight"; there are second, minute, hour, day, week and month`},
		{m{"kind": "TrendsQuery", "series": []any{a}, "interval": "minute", "dateRange": m{"date_from": "-60d"}}, "", "has more than 10000 buckets of a minute"},
		{trends("samplingFactor", 2), "", "samplingFactor must lie between 0 and 1"},
		{trends("samplingFactor", -0.5), "", "samplingFactor must lie between 0 and 1"},
		{trends("breakdownFilter", m{"breakdowns": []any{m{"property": "a"}, m{"property": "b"}, m{"property": "c"}, m{"property": "d"}}}), "", "a query can be broken down by at most 3 properties, not 4"},
		{trends("breakdownFilter", m{"breakdown": []any{7}, "breakdown_type": "cohort"}), "does_not_exist", "there is no cohort 7"},
		{m{"kind": "StickinessQuery", "series": []any{a}, "stickinessFilter": m{"stickinessCriteria": m{"operator": "near", "value": 1}}}, "", `unknown operator "near"`},
		{m{"kind": "StickinessQuery", "series": []any{a}, "intervalCount": -1}, "", "intervalCount lies between 1 and 10000"},
		// Formulas.
		{formula("A+B"), "", "there is no series B"},
		{formula("A & 1"), "", `there is an unexpected "&" at position 3`},
		{formula("sum(A)"), "", "there is no series sum"},
		{formula("(A"), "", "a parenthesis is not closed"},
		{formula("A A"), "", `there is an unexpected "A" at position 3`},
		{trends("trendsFilter", m{"formulas": []any{"A", "Z"}}), "", "there is no series Z"},
		{trends("trendsFilter", m{"formulaNodes": []any{m{"formula": "1 +"}}}), "", "it ends too early"},
		// Filters.
		{filter(m{"type": "recording", "key": "x", "value": 1}), "", `filters of the type "recording" are not supported`},
		{filter(m{"type": "log_entry", "key": "x", "value": 1}), "", `filters of the type "log_entry" are not supported`},
		{filter(m{"type": "data_warehouse", "key": "x", "value": 1}), "", `filters of the type "data_warehouse" are not supported`},
		{filter(m{"type": "cohort", "key": "id", "value": 7}), "does_not_exist", "there is no cohort 7"},
		{filter(m{"type": "cohort", "key": "id", "value": 1}), "", "a cohort needs a condition that is not negated"},
		{filter(m{"key": "x", "operator": "near", "value": "y"}), "", `unknown operator "near"`},
		{filter(m{"key": "x", "operator": "between", "value": []any{2, 1}}), "", "between " + twoNumbers},
		{filter(m{"key": "x", "operator": "between", "value": []any{1}}), "", "between " + twoNumbers},
		{filter(m{"key": "x", "operator": "not_between", "value": []any{"a", "b"}}), "", "not_between " + twoNumbers},
		{filter(m{"key": "x", "operator": "regex", "value": "("}), "", `"(" is not a valid regular expression: missing closing ): `},
		{filter(m{"key": "x", "operator": "not_regex", "value": []any{"a", "("}}), "", `"(" is not a valid regular expression`},
		{filter(m{"key": "x", "operator": "semver_gt", "value": "x.y"}), "", `"x.y" is not a version`},
		{filter(m{"type": "group", "key": "x", "value": "y"}), "", "a filter by group needs a group_type_index from 0 to 4"},
		{filter(m{"type": "session", "key": "$mood", "value": "y"}), "", `sessions have no property "$mood"`},
		{filter(m{"type": "event_metadata", "key": "colour", "value": "y"}), "", `events have no column "colour"`},
		{filter(m{"type": "hogql", "key": "properties.x >"}), "", `the expression "properties.x >" is not valid`},
		{filter(m{"type": "hogql", "key": "coalesce()"}), "", "coalesce"},
		{filter(m{"type": "element", "key": "tag_name", "operator": "icontains", "value": "a"}), "", "elements are compared by tag_name only with exact and is_not"},
		{filter(m{"type": "element", "key": "selector", "operator": "regex", "value": "a"}), "", "elements are compared by selector only with exact and is_not"},
		{filter(m{"type": "element", "key": "colour", "value": "a"}), "", `elements have no "colour"`},
		{filter(m{"type": "element", "key": "selector", "value": "a >"}), "", `"a >" is an invalid selector at 4`},
		// Kinds.
		{m{"kind": "NewQuery"}, "", `unknown kind of query "NewQuery"`},
		{m{}, "required", `the query needs a "kind"`},
		{m{"kind": "InsightActorsQuery"}, "", "InsightActorsQuery is the source of an ActorsQuery"},
	}
}

type refusal struct {
	query        map[string]any
	code, detail string
}

// TestInsightRefusals asks what cannot be answered.
func TestInsightRefusals(t *testing.T) {
	r := startNode(t)
	_, answer := r.call(t, http.MethodPost, "/api/projects/", map[string]any{"name": "empty", "timezone": "UTC"})
	project := fmt.Sprintf("/api/projects/%d/", int(answer["id"].(float64)))
	negated := `{"type":"cohort","id":1,"name":"not","filters":{"properties":{"type":"AND","values":[{"type":"person","key":"x","value":"y","negation":true}]}}}`
	if status, a := r.call(t, http.MethodPost, project+"import/", negated); status != http.StatusOK {
		t.Fatal(status, a)
	}
	cycle := `{"type":"cohort","id":2,"name":"round","filters":{"properties":{"type":"AND","values":[{"type":"cohort","value":2}]}}}`
	if status, a := r.call(t, http.MethodPost, project+"import/", cycle); status != http.StatusBadRequest || !strings.Contains(fmt.Sprint(a["detail"]), "would depend on itself") {
		t.Errorf("a cohort of itself: %d %v", status, a)
	}
	for _, c := range refusals() {
		status, a := r.call(t, http.MethodPost, project+"query/", map[string]any{"query": c.query})
		detail := fmt.Sprint(a["detail"])
		if status != http.StatusBadRequest || a["type"] != "validation_error" || c.code != "" && a["code"] != c.code || !strings.Contains(detail, c.detail) ||
			strings.HasSuffix(c.detail, ".") && detail != c.detail {
			t.Errorf("%v: %d %v, want 400 %s %q", c.query, status, a, c.code, c.detail)
		}
	}
	if status, a := r.call(t, http.MethodPost, "/api/projects/", map[string]any{"name": "x", "timezone": "Europe/Atlantis"}); status != http.StatusBadRequest || !strings.Contains(fmt.Sprint(a["detail"]), "unknown time zone") {
		t.Errorf("a zone that is none: %d %v", status, a)
	}
}

// TestInsightsOfNothing asks every kind of insight about an empty project: the answers are
// well-formed, and say nothing.
func TestInsightsOfNothing(t *testing.T) {
	type m = map[string]any
	r := startNode(t)
	_, answer := r.call(t, http.MethodPost, "/api/projects/", m{"name": "empty", "timezone": "UTC"})
	path := fmt.Sprintf("/api/projects/%d/query/", int(answer["id"].(float64)))
	series := []any{m{"kind": "EventsNode", "event": "a"}}
	two := append(series, m{"kind": "EventsNode", "event": "b"})
	eight := []any{0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0}
	all := m{"date_from": "all"}
	byBrowser := m{"breakdown": "browser"}
	trend := func(key string, value any) m { return m{"kind": "TrendsQuery", "series": series, key: value} }
	funnel := func(f m) m { return m{"kind": "FunnelsQuery", "series": two, "funnelsFilter": f} }
	maths := func(of m) m {
		of["kind"], of["event"] = "EventsNode", "a"
		return trend("series", []any{of})
	}
	correlation := func(kind, key string, list ...any) m {
		return m{"kind": "FunnelCorrelationQuery", "funnelCorrelationType": kind, key: list, "source": m{"kind": "FunnelsActorsQuery", "source": funnel(m{})}}
	}
	actors := func(source m) m { return m{"kind": "ActorsQuery", "source": source} }
	zeros := []any{m{"data": eight, "count": 0.0}}
	once := []any{m{"data": []any{0.0}, "count": 0.0}}
	day := func(values ...any) m { return m{"values": values, "breakdown_value": nil} }
	nobody := m{"count": 0.0}
	skewed := m{"events": []any{}, "skewed": true}
	for _, c := range []struct {
		query m
		want  any
	}{
		{trend("interval", "day"), zeros},
		{trend("dateRange", all), once},
		{trend("breakdownFilter", byBrowser), []any{}},
		{trend("compareFilter", m{"compare": true}), []any{m{"data": eight, "compare_label": "current"}, m{"data": eight, "compare_label": "previous"}}},
		{trend("trendsFilter", m{"display": "BoldNumber"}), []any{m{"aggregated_value": 0.0, "data": []any{}, "count": 0.0}}},
		{trend("trendsFilter", m{"display": "ActionsLineGraphCumulative", "smoothingIntervals": 3}), zeros},
		{trend("trendsFilter", m{"formula": "A / A"}), zeros},
		{trend("samplingFactor", 0.1), zeros},
		{maths(m{"math": "avg", "math_property": "n"}), zeros},
		{maths(m{"math": "median", "math_property": "$session_duration"}), zeros},
		{maths(m{"math": "p95_count_per_actor"}), zeros},
		{maths(m{"math": "weekly_active"}), zeros},
		{maths(m{"math": "first_time_for_user"}), zeros},
		{maths(m{"math": "unique_group", "math_group_type_index": 0}), zeros},
		{maths(m{"math": "hogql", "math_hogql": "max(properties.n)"}), zeros},
		{m{"kind": "StickinessQuery", "series": series}, zeros},
		{m{"kind": "StickinessQuery", "series": series, "dateRange": all}, once},
		{m{"kind": "LifecycleQuery", "series": series}, []any{m{"data": eight, "status": "new"}, m{"data": eight, "status": "returning"}, m{"data": eight, "status": "resurrecting"}, m{"data": eight, "status": "dormant"}}},
		{funnel(m{}), []any{}},
		{funnel(m{"funnelOrderType": "strict"}), []any{}},
		{funnel(m{"funnelOrderType": "unordered"}), []any{}},
		{funnel(m{"funnelVizType": "trends"}), []any{m{"data": eight, "count": 8.0}}},
		{funnel(m{"funnelVizType": "time_to_convert"}), m{"bins": []any{[]any{0.0, 0.0}, []any{60.0, 0.0}}, "average_conversion_time": nil, "median_conversion_time": nil}},
		{correlation("events", "funnelCorrelationExcludeEventNames"), skewed},
		{correlation("properties", "funnelCorrelationNames", "$all"), skewed},
		{correlation("event_with_properties", "funnelCorrelationEventNames", "c"), skewed},
		{m{"kind": "RetentionQuery", "retentionFilter": m{"totalIntervals": 2}}, []any{day(nobody, nobody), day(nobody, nobody)}},
		{m{"kind": "RetentionQuery", "retentionFilter": m{"totalIntervals": 1, "retentionCustomBrackets": []any{1, 2}}}, []any{day(nobody, nobody, nobody)}},
		{m{"kind": "RetentionQuery", "retentionFilter": m{"totalIntervals": 1, "aggregationType": "avg", "aggregationProperty": "n"}}, []any{day(m{"count": 0.0, "aggregation_value": 0.0})}},
		{m{"kind": "RetentionQuery", "breakdownFilter": byBrowser, "retentionFilter": m{"totalIntervals": 2}}, []any{}},
		{m{"kind": "PathsQuery"}, []any{}},
		{m{"kind": "PathsQuery", "funnelPathsFilter": m{"funnelPathType": "funnel_path_after_step", "funnelStep": 1, "funnelSource": funnel(m{})}}, []any{}},
		{actors(m{"kind": "InsightActorsQuery", "source": trend("interval", "day"), "day": "2026-01-10"}), []any{}},
		{actors(m{"kind": "FunnelsActorsQuery", "source": funnel(m{}), "funnelStep": 2}), []any{}},
		{actors(m{"kind": "InsightActorsQuery", "source": m{"kind": "RetentionQuery"}, "interval": 0}), []any{}},
		{m{"kind": "EventsQuery", "select": []string{"*", "person"}, "after": "all"}, []any{}},
	} {
		status, a := r.call(t, http.MethodPost, path, m{"query": c.query, "now": "2026-01-10T12:00:00Z"})
		if status != http.StatusOK {
			t.Errorf("%v: %d %v", c.query, status, a)
			continue
		}
		var diffs []string
		differences(c.want, a["results"], "$", &diffs)
		if len(diffs) > 0 {
			t.Errorf("%v: %s", c.query, strings.Join(diffs, "; "))
		}
	}
}
