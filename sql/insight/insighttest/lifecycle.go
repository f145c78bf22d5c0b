package insighttest

import (
	"slices"
	"strconv"
	"time"
)

var statuses = []string{"new", "returning", "resurrecting", "dormant"}

// lived is what one actor was in one interval.
type lived struct {
	actor  string
	at     time.Time
	status string
}

// lifecycleSpan is the range of a LifecycleQuery.
func (m *model) lifecycleSpan(query object) span {
	explicit := isTrue(query, "dateRange", "explicitDate")
	return m.resolve(query, intervalOf(query), explicit, m.firstOf(nodesOf(query)))
}

// lives are the states of all actors over the range and one interval on either side.
func (m *model) lives(query object) []lived {
	s := m.lifecycleSpan(query)
	from := m.step(s.interval, m.startOf(s.interval, s.from), -1)
	until := m.step(s.interval, m.startOf(s.interval, s.to), 1)
	index := intOf(query, -1, "aggregation_group_type_index")
	active := map[string][]time.Time{}
	created := map[string]time.Time{}
	for _, e := range m.read {
		if e.time.Before(from) || !e.time.Before(until) {
			continue
		}
		every := true
		for _, node := range nodesOf(query) {
			every = every && m.matches(query, node, e)
		}
		if profile, _ := asText(e.props["$process_person_profile"]); !every || profile == "false" {
			continue
		}
		actor, born := e.person.name(), e.person.created
		if index >= 0 {
			if actor = e.group(index); actor == "" {
				continue
			}
			born = time.Unix(0, 0)
			if g := m.groups[groupOf{index, actor}]; g != nil {
				born = g.created
			}
		}
		created[actor] = born
		at := m.startOf(s.interval, e.time)
		if l := active[actor]; len(l) == 0 || !l[len(l)-1].Equal(at) {
			active[actor] = append(active[actor], at)
		}
	}
	var out []lived
	for actor, at := range active {
		for i, a := range at {
			status := "resurrecting"
			switch {
			case i == 0 && m.startOf(s.interval, created[actor]).Equal(a):
				status = "new"
			case i > 0 && m.step(s.interval, at[i-1], 1).Equal(a):
				status = "returning"
			}
			out = append(out, lived{actor, a, status})
			next := m.step(s.interval, a, 1)
			if i+1 == len(at) || !at[i+1].Equal(next) {
				out = append(out, lived{actor, next, "dormant"})
			}
		}
	}
	return out
}

// lifecycleAxis is the intervals that are answered.
func (m *model) lifecycleAxis(query object) []time.Time {
	s := m.lifecycleSpan(query)
	axis := m.axis(s)
	if s.explicit {
		axis = slices.DeleteFunc(axis, func(t time.Time) bool { return t.Before(s.from) || t.After(s.to) })
	}
	return axis
}

// lifecycleDay is how an interval is written among days: only hours carry a clock time.
func (m *model) lifecycleDay(query object, t time.Time) string {
	if interval := intervalOf(query); interval == "hour" {
		return day(interval, t)
	}
	return day("day", t)
}

func (m *model) lifecycle(query object) []object {
	nodes := nodesOf(query)
	for _, n := range nodes {
		if isAction(n) && m.actionOf(n) == nil {
			refuse("the action of a series does not exist")
		}
	}
	s := m.lifecycleSpan(query)
	axis := m.lifecycleAxis(query)
	lives := m.lives(query)
	written := []string{}
	for _, t := range axis {
		written = append(written, m.lifecycleDay(query, t))
	}
	name := m.nodeName(nodes[0])
	action := object{"id": name, "name": name, "type": "events", "order": 0, "math": "total", "custom_name": get(nodes[0], "custom_name")}
	if name == "" {
		name = "All events"
		action["id"], action["name"] = nil, name
	}
	if isAction(nodes[0]) {
		id, _ := asNumber(get(nodes[0], "id"))
		action["id"], action["type"] = strconv.Itoa(int(id)), "actions"
	}
	out := []object{}
	for _, status := range statuses {
		data := make([]float64, len(axis))
		for _, l := range lives {
			i := slices.IndexFunc(axis, func(t time.Time) bool { return t.Equal(l.at) })
			if l.status != status || i < 0 {
				continue
			}
			if status == "dormant" {
				data[i]--
			} else {
				data[i]++
			}
		}
		for i, n := range data {
			data[i] = m.scaled(n)
		}
		out = append(out, object{"status": status, "label": name + " - " + status, "data": data, "count": sum(data),
			"days": written, "labels": m.labels(s.interval, axis, s), "action": action})
	}
	return out
}
