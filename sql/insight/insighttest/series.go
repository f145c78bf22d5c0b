package insighttest

import (
	"strings"
	"time"
)

// entity is what events a series node counts, without its filters: an event name, every
// event, or an action.
func (m *model) entity(node any, e *event) bool {
	if a := m.actionOf(node); a != nil || isAction(node) {
		return a != nil && m.action(a, e)
	}
	name, ok := get(node, "event").(string)
	return !ok || name == e.name
}

func isAction(node any) bool { return textOf(node, "kind") == "ActionsNode" }

// actionOf is the action of a node, nil if it names none or one that does not exist.
func (m *model) actionOf(node any) object {
	if !isAction(node) {
		return nil
	}
	id, _ := asNumber(get(node, "id"))
	return m.actionByID(int(id))
}

func (m *model) actionByID(id int) object {
	for _, a := range m.data.Actions {
		if intOf(a, -1, "id") == id {
			return a
		}
	}
	return nil
}

// nodeName is the name of the node's event or action, "" for every event.
func (m *model) nodeName(node any) string {
	if a := m.actionOf(node); a != nil {
		return textOf(a, "name")
	}
	return textOf(node, "event")
}

// action says whether an event matches a step of the action.
func (m *model) action(a object, e *event) bool {
	steps := listOf(a, "steps")
	if len(steps) == 0 {
		return true
	}
	for _, s := range steps {
		if m.actionStep(s, e) {
			return true
		}
	}
	return false
}

func (m *model) actionStep(s any, e *event) bool {
	if name, ok := get(s, "event").(string); ok && name != e.name {
		return false
	}
	if textOf(s, "event") == "$autocapture" && !m.actionElements(s, e) {
		return false
	}
	if want := textOf(s, "url"); want != "" {
		url, ok := asText(e.props["$current_url"])
		if !ok {
			return false
		}
		switch textOf(s, "url_matching") {
		case "exact":
			ok = url == want
		case "regex":
			ok = search(want, url)
		default:
			ok = strings.Contains(url, want)
		}
		if !ok {
			return false
		}
	}
	return m.filters(get(s, "properties"), e)
}

// actionElements says whether the elements of an event are those that an action's step asks for.
func (m *model) actionElements(s any, e *event) bool {
	matching := func(how, want, text string) bool {
		switch how {
		case "contains":
			return strings.Contains(strings.ToLower(text), strings.ToLower(want))
		case "regex":
			return search(want, text)
		}
		return text == want
	}
	for _, key := range []string{"tag_name", "text", "href", "selector"} {
		want := textOf(s, key)
		if want == "" {
			continue
		}
		found := key == "selector" && selects(want, e.elements)
		for _, el := range e.elements {
			if v, ok := el[key].(string); ok && key != "selector" {
				found = found || matching(textOf(s, key+"_matching"), want, v)
				if key == "href" {
					break // the first one is where the link leads
				}
			}
		}
		if !found {
			return false
		}
	}
	return true
}

// passes says whether an event passes the query's filters and those of test accounts.
func (m *model) passes(query object, e *event) bool {
	if isTrue(query, "filterTestAccounts") && !m.filters(m.data.TestFilters, e) {
		return false
	}
	return m.filters(query["properties"], e)
}

// matches says whether an event belongs to a series of a query, whenever it was.
func (m *model) matches(query object, node any, e *event) bool {
	return m.entity(node, e) && m.filters(get(node, "properties"), e) && m.passes(query, e)
}

// firstOf is the earliest event of any of the nodes, by entity alone, for "all time".
func (m *model) firstOf(nodes []any) func() time.Time {
	return func() time.Time {
		for _, e := range m.events {
			for _, n := range nodes {
				if m.entity(n, e) {
					return e.time.In(m.zone)
				}
			}
		}
		if len(m.events) > 0 {
			return m.events[0].time.In(m.zone)
		}
		return m.now
	}
}

// nodesOf are the series of a query, at least one.
func nodesOf(query object) []any {
	nodes := listOf(query, "series")
	if len(nodes) == 0 {
		refuse("a query needs a series")
	}
	return nodes
}

// intervalOf is the interval of a query.
func intervalOf(query object) string {
	if s := textOf(query, "interval"); s != "" {
		return s
	}
	return "day"
}

// within are the events that are read from a to b, both inclusive.
func (m *model) within(a, b time.Time) []*event {
	var out []*event
	for _, e := range m.read {
		if !e.time.Before(a) && !e.time.After(b) {
			out = append(out, e)
		}
	}
	return out
}
