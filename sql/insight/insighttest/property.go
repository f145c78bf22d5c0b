package insighttest

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// A property has a type per scope: "event", "person" or "group" with its index.
const (
	typeString   = "String"
	typeNumeric  = "Numeric"
	typeBoolean  = "Boolean"
	typeDateTime = "DateTime"
)

// propertyType is the defined type of a property, or the one its stored values suggest.
func (m *model) propertyType(scope string, index int, name string) string {
	of := source{scope, name, index}
	if m.types[of] == "" {
		m.types[of] = m.findType(scope, index, name)
	}
	return m.types[of]
}

func (m *model) findType(scope string, index int, name string) string {
	for _, d := range m.data.Definitions {
		kind, _ := d["type"].(string)
		if kind == "" {
			kind = "event"
		}
		if d["name"] == name && kind == scope && (scope != "group" || intOf(d, 0, "group_type_index") == index) {
			if t, ok := d["property_type"].(string); ok {
				return t
			}
		}
	}
	var stored []any
	add := func(props object) {
		if v := props[name]; v != nil {
			stored = append(stored, v)
		}
	}
	switch scope {
	case "event":
		for _, e := range m.events {
			add(e.props)
		}
	case "person":
		for _, p := range m.persons {
			add(p.props)
		}
	case "group":
		for of, g := range m.groups {
			if of.index == index {
				add(g.props)
			}
		}
	}
	numbers, booleans := 0, 0
	for _, v := range stored {
		switch v.(type) {
		case float64:
			numbers++
		case bool:
			booleans++
		}
	}
	switch {
	case len(stored) == 0:
		return typeString
	case numbers == len(stored):
		return typeNumeric
	case booleans == len(stored):
		return typeBoolean
	}
	return typeString
}

// value is a property as its type shows it: nil, string, float64, bool or time.Time.
func (m *model) typed(stored any, kind string) any {
	text, ok := asText(stored)
	if !ok {
		return nil
	}
	switch kind {
	case typeNumeric:
		if f, ok := asNumber(stored); ok {
			return f
		}
		return nil
	case typeBoolean:
		switch text {
		case "true":
			return true
		case "false":
			return false
		}
		return nil
	case typeDateTime:
		if t, ok := absolute(text, m.zone); ok {
			return t
		}
		return nil
	}
	return text
}

// source is where a filter, a breakdown or a maths finds its value.
type source struct {
	kind  string // event, person, group, session, event_metadata, hogql
	key   string
	index int
}

// valueOf is the typed value of the source for an event.
func (m *model) valueOf(s source, e *event) any {
	switch s.kind {
	case "", "event", "feature":
		return m.typed(e.props[s.key], m.propertyType("event", 0, s.key))
	case "person":
		return m.typed(e.person.props[s.key], m.propertyType("person", 0, s.key))
	case "group":
		g := m.groups[groupOf{s.index, e.group(s.index)}]
		if g == nil || e.group(s.index) == "" {
			return nil
		}
		return m.typed(g.props[s.key], m.propertyType("group", s.index, s.key))
	case "session":
		return m.session(s.key, e)
	case "event_metadata":
		switch s.key {
		case "event":
			return e.name
		case "distinct_id":
			return e.distinctID
		case "timestamp":
			return e.time
		}
		var index int
		if n, _ := fmt.Sscanf(s.key, "$group_%d", &index); n == 1 {
			return e.group(index)
		}
	case "hogql":
		return m.expression(s.key, e)
	}
	unsupported("the property %s of %s", s.key, s.kind)
	return nil
}

// elapsed is the time from the first to the last of some events, in seconds.
func elapsed(events []*event) float64 {
	return events[len(events)-1].time.Sub(events[0].time).Seconds()
}

// ofSession are all events of a session.
func (m *model) ofSession(id string) []*event {
	var all []*event
	for _, e := range m.events {
		if other, _ := asText(e.props["$session_id"]); other == id {
			all = append(all, e)
		}
	}
	return all
}

// session is a property of the session of an event.
func (m *model) session(key string, e *event) any {
	id, _ := asText(e.props["$session_id"])
	numeric := strings.HasSuffix(key, "_count") || key == "$session_duration" || key == "$num_uniq_urls"
	if id == "" {
		if numeric {
			return 0.0
		}
		return nil
	}
	all := m.ofSession(id)
	named := func(name string) float64 {
		n := 0.0
		for _, o := range all {
			if o.name == name {
				n++
			}
		}
		return n
	}
	switch key {
	case "$session_duration":
		return math.Floor(elapsed(all))
	case "$start_timestamp":
		return all[0].time
	case "$end_timestamp":
		return all[len(all)-1].time
	case "$pageview_count":
		return named("$pageview")
	case "$autocapture_count":
		return named("$autocapture")
	case "$screen_count":
		return named("$screen")
	}
	var urls, paths []string
	seen := map[string]bool{}
	for _, o := range all {
		if url, _ := asText(o.props["$current_url"]); url != "" {
			path, _ := asText(o.props["$pathname"])
			urls, paths = append(urls, url), append(paths, path)
			seen[url] = true
		}
	}
	switch {
	case key == "$num_uniq_urls":
		return float64(len(seen))
	case len(urls) == 0:
		return nil
	case key == "$entry_current_url":
		return urls[0]
	case key == "$end_current_url":
		return urls[len(urls)-1]
	case key == "$entry_pathname":
		return paths[0]
	case key == "$end_pathname":
		return paths[len(paths)-1]
	}
	unsupported("the session property %s", key)
	return nil
}

// plain is a typed value as text, as breakdowns show it.
func (m *model) plain(v any) (string, bool) {
	switch v := v.(type) {
	case time.Time:
		return v.In(m.zone).Format("2006-01-02 15:04:05"), true
	default:
		return asText(v)
	}
}
