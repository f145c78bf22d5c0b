package insighttest

import (
	"fmt"
	"slices"
	"time"
)

func (m *model) cohort(id int) object {
	for _, c := range m.data.Cohorts {
		if intOf(c, -1, "id") == id {
			return c
		}
	}
	refuse("there is no cohort %d", id)
	return nil
}

// inCohort says whether a person is a member. above are the cohorts being asked for.
func (m *model) inCohort(id int, p *person, above []int) bool {
	if slices.Contains(above, id) {
		return false
	}
	c := m.cohort(id)
	above = append(slices.Clone(above), id)
	if isTrue(c, "is_static") {
		for _, member := range listOf(c, "members") {
			if s, _ := member.(string); slices.Contains(p.ids, s) {
				return true
			}
		}
		return false
	}
	if tree := get(c, "filters", "properties"); tree != nil {
		return m.cohortTree(tree, p, above)
	}
	groups := listOf(c, "groups")
	for _, g := range groups {
		every := true
		for _, f := range listOf(g, "properties") {
			every = every && m.cohortTree(f, p, above)
		}
		if every {
			return true
		}
	}
	return false
}

func (m *model) cohortTree(f any, p *person, above []int) bool {
	kind := textOf(f, "type")
	if kind == "AND" || kind == "OR" {
		found := 0
		values := listOf(f, "values")
		for _, v := range values {
			if m.cohortTree(v, p, above) {
				found++
			}
		}
		return found == len(values) || kind == "OR" && found > 0
	}
	// Of persons without a profile only what they did is known, and what they did not do nobody asks.
	known := !p.bare || kind != "person" && !isTrue(f, "negation")
	var in bool
	switch kind {
	case "person":
		leaf := object{}
		for k, v := range f.(object) {
			leaf[k] = v
		}
		delete(leaf, "negation")
		in = m.leaf(leaf, &event{person: p})
	case "cohort":
		id, _ := asNumber(get(f, "value"))
		in = m.inCohort(int(id), p, above)
	case "behavioral":
		in = m.behaves(f, p)
	default:
		unsupported("cohorts by %q", kind)
	}
	return known && in != isTrue(f, "negation")
}

// unitOf is the letter of an interval of a behaviour: its first, so that minutes are months.
func unitOf(f any, key string) string {
	interval := textOf(f, key)
	if interval == "" {
		unsupported("a behaviour without %s", key)
	}
	return interval[:1]
}

// ago is so many units before now. Hours are elapsed ones.
func (m *model) ago(n int, unit string) time.Time {
	if unit == "h" {
		return m.now.Add(-time.Duration(n) * time.Hour)
	}
	return m.back(m.now, n, unit)
}

// instants are from when to when a behaviour is looked at: its last time_value units, or the
// dates that it names.
func (m *model) instants(f any, number, unit string) (from, to time.Time) {
	if s := textOf(f, "explicit_datetime"); s != "" && number == "time_value" {
		from, to = m.readDate(s).at, m.now
		if s := textOf(f, "explicit_datetime_to"); s != "" {
			to = m.readDate(s).at
		}
		return from, to
	}
	n, _ := asNumber(get(f, number))
	return m.ago(int(n), unitOf(f, unit)), m.now
}

// wholeDays is the same, from a midnight to the end of a day.
func (m *model) wholeDays(f any, number, unit string) (from, to time.Time) {
	from, to = m.instants(f, number, unit)
	named := textOf(f, "explicit_datetime")
	switch _, absolutely := absolute(named, m.zone); {
	case number == "time_value" && absolutely:
		from = m.startOf("day", from)
	case number == "time_value" && named != "" && m.readDate(named).unit == "h":
		from = sharp(from)
	case (named == "" || number != "time_value") && unitOf(f, unit) == "h":
	default:
		from = m.startOf("day", from)
	}
	return from, m.endOfDay(to)
}

// performed are the events of a person that a behaviour names under two keys, for its type and
// its event.
func (m *model) performed(f any, p *person, kind, key string) []*event {
	var out []*event
	for _, e := range p.events {
		ok := textOf(f, key) == e.name
		if textOf(f, kind) == "actions" {
			id, _ := asNumber(get(f, key))
			a := m.actionByID(int(id))
			ok = a != nil && m.action(a, e)
		}
		if ok && (key != "key" || m.filters(get(f, "event_filters"), e)) {
			out = append(out, e)
		}
	}
	return out
}

// behaves says whether the person's events fulfil a behavioural leaf.
func (m *model) behaves(f any, p *person) bool {
	all := m.performed(f, p, "event_type", "key")
	in := func(from, to time.Time) int {
		count := 0
		for _, e := range all {
			if !e.time.Before(from) && !e.time.After(to) {
				count++
			}
		}
		return count
	}
	switch value := textOf(f, "value"); value {
	case "performed_event":
		return in(m.wholeDays(f, "time_value", "time_interval")) > 0
	case "performed_event_first_time":
		from, to := m.wholeDays(f, "time_value", "time_interval")
		return len(all) > 0 && !all[0].time.Before(from) && !all[0].time.After(to)
	case "performed_event_multiple":
		from, to := m.instants(f, "time_value", "time_interval")
		count := 0
		for _, e := range all {
			if e.time.After(from) && e.time.Before(to) {
				count++
			}
		}
		want, _ := asNumber(get(f, "operator_value"))
		return count > 0 && satisfies(count, textOf(f, "operator"), int(want))
	case "stopped_performing_event":
		from, to := m.wholeDays(f, "time_value", "time_interval")
		since, _ := m.wholeDays(f, "seq_time_value", "seq_time_interval")
		return in(from, to) > 0 && in(since, to) == 0
	case "restarted_performing_event":
		from, to := m.wholeDays(f, "time_value", "time_interval")
		since, _ := m.wholeDays(f, "seq_time_value", "seq_time_interval")
		before := len(all) > 0 && all[0].time.Before(since)
		return in(since, to) > 0 && before && in(from, m.endOfDay(since)) == 0
	case "performed_event_sequence":
		return m.sequence(f, p, all)
	case "performed_event_regularly":
		return m.regularly(f, p)
	default:
		unsupported("the behaviour %q", value)
	}
	return false
}

// sequence says whether a person did one event and then another within a time: a funnel.
func (m *model) sequence(f any, p *person, all []*event) bool {
	n, _ := asNumber(get(f, "seq_time_value"))
	hours := map[string]int{"h": 1, "d": 24, "w": 168, "m": 720}[unitOf(f, "seq_time_interval")]
	from, to := m.wholeDays(f, "time_value", "time_interval")
	then := m.performed(f, p, "seq_event_type", "seq_event")
	q := &funnelQuestion{steps: 2, order: "ordered", window: time.Duration(int(n)*hours) * time.Hour, optional: make([]bool, 2)}
	a := attempt{}
	for _, e := range p.events {
		d := did{event: e}
		if slices.Contains(all, e) {
			d.marks = append(d.marks, 1)
		}
		if slices.Contains(then, e) {
			d.marks = append(d.marks, 2)
		}
		if d.marks != nil && !e.time.Before(from) && !e.time.After(to) {
			a.events = append(a.events, d)
		}
	}
	a.events = thinned(a.events)
	passed, ok := q.ordered(a)
	return ok && passed.has(2)
}

// regularly says whether a person did an event in enough periods of some length.
func (m *model) regularly(f any, p *person) bool {
	length, _ := asNumber(get(f, "time_value"))
	periods, _ := asNumber(get(f, "total_periods"))
	enough, _ := asNumber(get(f, "min_periods"))
	query := object{"interval": textOf(f, "time_interval"), "intervalCount": length,
		"dateRange":        object{"date_from": fmt.Sprintf("-%d%s", int(length*periods), unitOf(f, "time_interval")), "date_to": "-1d"},
		"stickinessFilter": object{"stickinessCriteria": object{"operator": textOf(f, "operator"), "value": get(f, "operator_value")}}}
	node := object{"kind": "EventsNode", "event": get(f, "key"), "properties": get(f, "event_filters")}
	if textOf(f, "event_type") == "actions" {
		node = object{"kind": "ActionsNode", "id": get(f, "key"), "properties": get(f, "event_filters")}
	}
	s := m.resolve(query, textOf(query, "interval"), false, nil).seconds()
	whole := *m
	whole.read = m.events // a sample of a query is not one of its cohorts
	return whole.sticky(query, node, s, s.to)[p.name()] >= int(enough)
}

func satisfies(n int, operator string, want int) bool {
	switch operator {
	case "gte", "":
		return n >= want
	case "lte":
		return n <= want
	case "gt":
		return n > want
	case "lt":
		return n < want
	default:
		return n == want
	}
}
