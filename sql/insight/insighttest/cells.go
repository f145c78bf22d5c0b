package insighttest

import (
	"math/rand/v2"
	"slices"
	"strings"
)

// Cell is one number of an answer and the query for the actors behind it.
type Cell struct {
	Actors map[string]any // the source of an ActorsQuery
	Select []string       // the columns to ask for
	Number float64        // as answered
	count  func(rows []any) float64
}

// Counted is the number that the listed actors make up, and whether they do: a sum of a
// property has actors, and so has what several values were added up to, but is not their number.
func (c *Cell) Counted(rows []any) (float64, bool) {
	if c.count == nil {
		return 0, false
	}
	return c.count(rows), true
}

func actorsListed(rows []any) float64 { return float64(len(rows)) }

// eventsListed adds up the second column, the events of each actor.
func eventsListed(rows []any) float64 {
	n := 0.0
	for _, r := range rows {
		f, _ := asNumber(r.([]any)[1])
		n += f
	}
	return n
}

func eventsPerActor(rows []any) float64 {
	if len(rows) == 0 {
		return 0
	}
	return eventsListed(rows) / actorsListed(rows)
}

// RandomCell draws a number from an answer to a query, nil if the one it comes upon has no
// actors, as the result of a formula. It draws again a few times to find one that is not 0.
func RandomCell(rng *rand.Rand, query, answer map[string]any) *Cell {
	r := &random{Rand: rng}
	var cell *Cell
	for range 8 {
		if c := r.cell(query, answer); c != nil {
			if cell = c; c.Number != 0 {
				break
			}
		}
	}
	if cell != nil {
		cell.Actors = plainJSON(cell.Actors)
		if f, ok := get(query, "samplingFactor").(float64); ok && f != 1 {
			cell.count = nil // of everything, where only a sample is listed
		}
	}
	return cell
}

func (r *random) cell(query, answer object) *Cell {
	results := listOf(answer, "results")
	kind := textOf(query, "kind")
	if events := listOf(answer, "results", "events"); len(events) > 0 {
		return r.correlationCell(query, pick(r, events...))
	}
	if len(results) == 0 {
		return nil
	}
	switch kind {
	case "TrendsQuery":
		return r.trendsCell(query, pick(r, results...))
	case "StickinessQuery":
		return r.stickinessCell(query, pick(r, results...))
	case "LifecycleQuery":
		return r.lifecycleCell(query, pick(r, results...))
	case "FunnelsQuery":
		return r.funnelCell(query, results)
	case "RetentionQuery":
		return r.retentionCell(query, pick(r, results...))
	case "PathsQuery":
		return r.pathsCell(query, pick(r, results...))
	}
	return nil
}

func insightActors(query object) *Cell {
	return &Cell{Actors: object{"kind": "InsightActorsQuery", "source": query}, Select: []string{"actor"}, count: actorsListed}
}

// moment draws a place in a list of days whose day is not written twice, as hours may be when
// clocks are set back.
func (r *random) moment(days []any) (int, bool) {
	if len(days) == 0 {
		return 0, false
	}
	i := r.IntN(len(days))
	return i, slices.Index(days, days[i]) == i && !slices.Contains(days[i+1:], days[i])
}

func (r *random) trendsCell(query object, result any) *Cell {
	f := query["trendsFilter"]
	if len(formulasOf(query)) > 0 || intOf(f, 1, "smoothingIntervals") > 1 {
		return nil
	}
	order := intOf(result, 0, "order")
	node := listOf(query, "series")[order]
	maths := textOf(node, "math")
	total := maths == "" || maths == "total"
	c := insightActors(query)
	switch {
	case total:
		c.Select, c.count = []string{"actor", "event_count"}, eventsListed
	case maths == "avg_count_per_actor":
		c.Select, c.count = []string{"actor", "event_count"}, eventsPerActor
	case maths == "dau", maths == "unique_group", strings.HasSuffix(maths, "_active"), strings.HasSuffix(maths, "_for_user"):
	default:
		c.count = nil
	}
	if cumulative := textOf(f, "display") == "ActionsLineGraphCumulative"; cumulative && (maths == "avg_count_per_actor" || window(node, intervalOf(query)) > 0) {
		return nil
	}
	c.Actors["series"] = order
	if v, ok := get(result, "breakdown_value"), hasKey(result, "breakdown_value"); ok {
		binned := get(query, "breakdownFilter", "breakdown_histogram_bin_count") != nil || slices.ContainsFunc(listOf(query, "breakdownFilter", "breakdowns"), func(b any) bool { return intOf(b, 0, "histogram_bin_count") > 0 })
		text, _ := asText(v)
		if !total && (binned || strings.Contains(text, otherLabel)) {
			c.count = nil // numbers of several values, added up
		}
		c.Actors["breakdown"] = v
	}
	if label := textOf(result, "compare_label"); label != "" {
		c.Actors["compare"] = label
	}
	if hasKey(result, "aggregated_value") {
		c.Number, _ = asNumber(get(result, "aggregated_value"))
		return c
	}
	i, ok := r.moment(listOf(result, "days"))
	if !ok {
		return nil
	}
	c.Actors["day"] = listOf(result, "days")[i]
	c.Number, _ = asNumber(listOf(result, "data")[i])
	return c
}

func hasKey(o any, key string) bool {
	m, ok := o.(object)
	_, has := m[key]
	return ok && has
}

func (r *random) stickinessCell(query object, result any) *Cell {
	data := listOf(result, "data")
	if len(data) == 0 {
		return nil
	}
	i := r.IntN(len(data))
	c := insightActors(query)
	c.Actors["day"] = i + 1
	c.Actors["series"] = intOf(result, 0, "action", "order")
	if label := textOf(result, "compare_label"); label != "" {
		c.Actors["compare"] = label
	}
	c.Number, _ = asNumber(data[i])
	return c
}

func (r *random) lifecycleCell(query object, result any) *Cell {
	days := listOf(result, "days")
	i, ok := r.moment(days)
	if !ok {
		return nil
	}
	c := insightActors(query)
	c.Actors["day"], c.Actors["status"] = days[i], textOf(result, "status")
	c.Number, _ = asNumber(listOf(result, "data")[i])
	if textOf(result, "status") == "dormant" {
		c.Number = -c.Number
	}
	return c
}

func (r *random) funnelCell(query object, results []any) *Cell {
	switch viz := textOf(query, "funnelsFilter", "funnelVizType"); viz {
	case "time_to_convert":
		return nil // times
	case "trends":
		return r.funnelTrendsCell(query, pick(r, results...))
	}
	c := &Cell{Actors: object{"kind": "FunnelsActorsQuery", "source": query}, Select: []string{"actor"}, count: actorsListed}
	steps := results
	if l, ok := pick(r, results...).([]any); ok {
		steps = l
		value := get(l[0], "breakdown_value")
		if text, _ := asText(value); strings.Contains(text, "Other") {
			c.count = nil // who has several of its values counts several times
		}
		c.Actors["funnelStepBreakdown"] = value
	}
	count := func(k int) float64 { n, _ := asNumber(get(steps[k-1], "count")); return n }
	k := 1 + r.IntN(len(steps))
	if k > 1 && r.chance(2) {
		c.Actors["funnelStep"], c.Number = -k, count(k-1)-count(k)
		if slices.ContainsFunc(listOf(query, "series"), func(n any) bool { return isTrue(n, "optionalInFunnel") }) {
			c.count = nil // who left out an optional step did not drop off before it
		}
	} else {
		c.Actors["funnelStep"], c.Number = k, count(k)
	}
	return c
}

// funnelTrendsCell is the actors of a point, of whom the answer tells the share only.
func (r *random) funnelTrendsCell(query object, result any) *Cell {
	i, ok := r.moment(listOf(result, "days"))
	if !ok {
		return nil
	}
	c := &Cell{Actors: object{"kind": "FunnelsActorsQuery", "source": query, "funnelTrendsDropOff": r.chance(2)}, Select: []string{"actor"}}
	c.Actors["funnelTrendsEntrancePeriodStart"] = listOf(result, "days")[i]
	if v := get(result, "breakdown_value"); v != nil {
		c.Actors["funnelStepBreakdown"] = v
	}
	c.Number, _ = asNumber(listOf(result, "data")[i])
	return c
}

// correlationCell is the actors on one side of a line of a correlation.
func (r *random) correlationCell(query object, line any) *Cell {
	success := r.chance(2)
	c := &Cell{Actors: object{"kind": "FunnelCorrelationActorsQuery", "source": query, "funnelCorrelationPersonConverted": success}, Select: []string{"actor"}, count: actorsListed}
	parts := strings.SplitN(textOf(line, "event", "event"), "::", 3)
	equals := func(key, value string) object {
		return object{"type": "event", "key": key, "operator": "exact", "value": []any{value}}
	}
	switch textOf(query, "funnelCorrelationType") {
	case "event_with_properties":
		c.Actors["funnelCorrelationPersonEntity"] = object{"kind": "EventsNode", "event": parts[0], "properties": []any{equals(parts[1], parts[2])}}
	case "properties":
		if parts[1] == "" {
			return nil // for those without it no filter asks
		}
		f := equals(parts[0], parts[1])
		f["type"] = "person"
		if i := get(query, "source", "source", "aggregation_group_type_index"); i != nil {
			f["type"], f["group_type_index"] = "group", i
		}
		c.Actors["funnelCorrelationPropertyValues"] = []any{f}
	default:
		c.Actors["funnelCorrelationPersonEntity"] = object{"kind": "EventsNode", "event": parts[0]}
	}
	key := "failure_count"
	if success {
		key = "success_count"
	}
	c.Number, _ = asNumber(get(line, key))
	if r.chance(5) { // of both sides
		delete(c.Actors, "funnelCorrelationPersonConverted")
		other, _ := asNumber(get(line, map[bool]string{true: "failure_count", false: "success_count"}[success]))
		c.Number += other
	}
	return c
}

func (r *random) retentionCell(query object, row any) *Cell {
	label := textOf(row, "label")
	interval, ok := asNumber(label[strings.LastIndex(label, " ")+1:])
	values := listOf(row, "values")
	if !ok || len(values) == 0 {
		return nil
	}
	k := r.IntN(len(values))
	c := insightActors(query)
	c.Select = []string{"actor", "appearances"}
	c.count = func(rows []any) float64 {
		n := 0.0
		for _, row := range rows {
			if slices.Contains(row.([]any)[1].([]any), any(float64(k))) {
				n++
			}
		}
		return n
	}
	c.Actors["interval"] = interval
	if v := get(row, "breakdown_value"); v != nil {
		if v == otherLabel {
			c.count = nil
		}
		c.Actors["breakdown"] = []any{v}
	}
	c.Number, _ = asNumber(get(values[k], "count"))
	return c
}

func (r *random) pathsCell(query object, edge any) *Cell {
	source := object{}
	for k, v := range query {
		source[k] = v
	}
	filter := object{}
	for k, v := range query["pathsFilter"].(object) {
		filter[k] = v
	}
	source["pathsFilter"] = filter
	c := insightActors(source)
	c.Select, c.count = []string{"actor", "event_count"}, eventsListed
	c.Number, _ = asNumber(get(edge, "value"))
	switch r.IntN(6) { // some lists are of no number that is answered
	case 0:
		filter["pathDropoffKey"], c.count = textOf(edge, "target"), nil
	case 1:
		filter["pathEndKey"], c.count = textOf(edge, "target"), nil
	case 2:
		filter["pathStartKey"], c.count = textOf(edge, "source"), nil
	default:
		filter["pathStartKey"], filter["pathEndKey"] = textOf(edge, "source"), textOf(edge, "target")
	}
	return c
}
