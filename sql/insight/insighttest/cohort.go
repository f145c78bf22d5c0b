package insighttest

import (
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
	return in != isTrue(f, "negation")
}

// behaves says whether the person's events fulfil a behavioural leaf.
func (m *model) behaves(f any, p *person) bool {
	n, _ := asNumber(get(f, "time_value"))
	interval := textOf(f, "time_interval")
	if interval == "" || textOf(f, "explicit_datetime") != "" {
		unsupported("behaviour between given dates")
	}
	if interval[0] == 'h' {
		unsupported("behaviour within hours")
	}
	ago := func(n float64, interval string) time.Time { return m.back(m.now, int(n), interval[:1]) }
	endOfToday := m.clock(m.now, 23, 59, 59, 999999000)
	var at []time.Time
	for _, e := range p.events {
		ok := false
		if textOf(f, "event_type") == "actions" {
			id, _ := asNumber(get(f, "key"))
			a := m.actionByID(int(id))
			ok = a != nil && m.action(a, e)
		} else {
			ok = textOf(f, "key") == e.name
		}
		if ok && m.filters(get(f, "event_filters"), e) {
			at = append(at, e.time)
		}
	}
	in := func(from, to time.Time) int {
		count := 0
		for _, t := range at {
			if !t.Before(from) && !t.After(to) {
				count++
			}
		}
		return count
	}
	from := m.startOf("day", ago(n, interval))
	switch value := textOf(f, "value"); value {
	case "performed_event":
		return in(from, endOfToday) > 0
	case "performed_event_first_time":
		return len(at) > 0 && !at[0].Before(from) && !at[0].After(endOfToday)
	case "performed_event_multiple":
		count := 0
		for _, t := range at {
			if t.After(ago(n, interval)) && t.Before(m.now) {
				count++
			}
		}
		want, _ := asNumber(get(f, "operator_value"))
		return count > 0 && satisfies(count, textOf(f, "operator"), int(want))
	case "stopped_performing_event", "restarted_performing_event":
		later, _ := asNumber(get(f, "seq_time_value"))
		since := m.startOf("day", ago(later, textOf(f, "seq_time_interval")))
		if value == "stopped_performing_event" {
			return in(from, endOfToday) > 0 && in(since, endOfToday) == 0
		}
		unsupported("restarted behaviour")
	default:
		unsupported("the behaviour %q", value)
	}
	return false
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
