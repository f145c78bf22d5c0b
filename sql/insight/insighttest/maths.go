package insighttest

import (
	"math"
	"slices"
	"strings"
	"time"
)

// row is an event that counts for a series, with its breakdown value.
type row struct {
	*event
	tuple string
}

// aggregated is whether the maths is one number of a set of events, and not a count of actors
// with rules of its own.
func countsPerActor(math string) bool { return strings.HasSuffix(math, "_count_per_actor") }

// actorOf is what dau and its kin count.
func actorOf(node any, e *event) (string, bool) {
	if i, ok := get(node, "math_group_type_index").(float64); ok {
		key := e.group(int(i))
		return key, key != ""
	}
	return e.person.name(), true
}

// measure is the value of a set of events.
func (m *model) measure(node any, rows []row) float64 {
	maths := textOf(node, "math")
	switch {
	case maths == "dau" || maths == "weekly_active" || maths == "monthly_active":
		seen := map[string]bool{}
		for _, r := range rows {
			if a, ok := actorOf(node, r.event); ok {
				seen[a] = true
			}
		}
		return float64(len(seen))
	case maths == "unique_group":
		seen := map[string]bool{}
		for _, r := range rows {
			seen[r.group(intOf(node, 0, "math_group_type_index"))] = true
		}
		return float64(len(seen))
	case maths == "unique_session":
		seen := map[string]bool{}
		for _, r := range rows {
			id, _ := asText(r.props["$session_id"])
			seen[id] = true
		}
		return float64(len(seen))
	case maths == "hogql":
		return m.aggregate(textOf(node, "math_hogql"), rows)
	case countsPerActor(maths):
		counts := map[*person]float64{}
		for _, r := range rows {
			counts[r.person]++
		}
		var values []float64
		for _, n := range counts {
			values = append(values, n)
		}
		return statistic(strings.TrimSuffix(maths, "_count_per_actor"), values)
	}
	property := textOf(node, "math_property")
	if !slices.Contains([]string{"sum", "avg", "min", "max", "median", "p75", "p90", "p95", "p99"}, maths) || property == "" {
		return float64(len(rows))
	}
	multiplier := 1.0
	if f, ok := get(node, "math_multiplier").(float64); ok {
		multiplier = f
	}
	var values []float64
	sessions := map[string]bool{}
	for _, r := range rows {
		var v any
		switch textOf(node, "math_property_type") {
		case "person_properties":
			v = r.person.props[property]
		case "session_properties":
			v = m.session(property, r.event)
		default:
			v = r.props[property]
		}
		if property == "$session_duration" {
			id, _ := asText(r.props["$session_id"])
			if sessions[id] {
				continue
			}
			sessions[id] = true
			v = m.session(property, r.event)
		}
		if f, ok := asNumber(v); ok {
			values = append(values, f*multiplier)
		}
	}
	return statistic(maths, values)
}

// scales says whether the number of a sample is made one of everything.
func scales(node any) bool {
	switch maths := textOf(node, "math"); maths {
	case "avg", "min", "max", "median", "p75", "p90", "p95", "p99":
		return textOf(node, "math_property") == "" // it counts events
	default:
		return !countsPerActor(maths)
	}
}

// statistic is one number of many, 0 of none.
func statistic(name string, values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	quantile := func(p float64) float64 {
		at := p * float64(len(values)-1)
		i := int(math.Floor(at))
		if i+1 == len(values) {
			return values[i]
		}
		return values[i] + (values[i+1]-values[i])*(at-float64(i))
	}
	switch name {
	case "sum":
		return sum
	case "avg":
		return sum / float64(len(values))
	case "min":
		return values[0]
	case "max":
		return values[len(values)-1]
	case "median":
		return quantile(0.5)
	case "p75":
		return quantile(0.75)
	case "p90":
		return quantile(0.90)
	case "p95":
		return quantile(0.95)
	case "p99":
		return quantile(0.99)
	}
	unsupported("the statistic %q", name)
	return 0
}

// aggregate is an aggregate expression: count(), the distinct values of a property, or one of
// sum, avg, min, max over it, perhaps plus a number.
func (m *model) aggregate(text string, rows []row) float64 {
	text, add, _ := strings.Cut(text, " + ")
	plus, _ := asNumber(add)
	name, arg, _ := strings.Cut(strings.TrimSuffix(text, ")"), "(")
	distinct, isDistinct := strings.CutPrefix(arg, "distinct ")
	switch {
	case name == "count" && arg == "":
		return float64(len(rows)) + plus
	case name == "uniq" || name == "count" && isDistinct:
		seen := map[string]bool{}
		for _, r := range rows {
			if s, ok := m.plain(m.expression(distinct, r.event)); ok {
				seen[s] = true
			}
		}
		return float64(len(seen)) + plus
	}
	switch name {
	case "sum", "avg", "min", "max":
		var values []float64
		for _, r := range rows {
			if f, ok := asNumber(m.expression(arg, r.event)); ok {
				values = append(values, f)
			}
		}
		if len(values) == 0 {
			return 0
		}
		return statistic(name, values) + plus
	}
	unsupported("the aggregate %q", text)
	return 0
}

// window is how many days weekly and monthly active look back, 0 for other maths and where
// the interval is so long that they become plain dau.
func window(node any, interval string) int {
	switch textOf(node, "math") {
	case "weekly_active":
		if interval == "week" || interval == "month" {
			return 0
		}
		return 7
	case "monthly_active":
		if interval == "month" {
			return 0
		}
		return 30
	}
	return 0
}

// activeAt says whether an activity counts for the label L of a window of so many days.
func (m *model) activeAt(interval string, days int, at, label time.Time) bool {
	unit := "day"
	if interval == "hour" || interval == "minute" {
		unit = interval
	}
	a := m.startOf(unit, at)
	return !a.After(label) && a.After(m.back(label, days, "d"))
}
