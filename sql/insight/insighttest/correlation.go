package insighttest

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// correlated is an actor of a correlation with the interval in which its events count, which
// is open on both sides.
type correlated struct {
	actor         string
	success       bool
	after, before time.Time
}

// correlationQuestion is a FunnelCorrelationQuery that was taken apart.
type correlationQuestion struct {
	query  object
	funnel *funnelQuestion
	kind   string
	step   int
}

func (m *model) readCorrelation(query object) *correlationQuestion {
	source, _ := get(query, "source", "source").(object)
	c := &correlationQuestion{query: query, funnel: m.readFunnel(source), kind: cmp.Or(textOf(query, "funnelCorrelationType"), "events"),
		step: intOf(query, 1, "source", "funnelStep")}
	if c.kind == "event_with_properties" && listOf(query, "funnelCorrelationEventNames") == nil {
		refuse("Event Property Correlation expects atleast one event name to run correlation on")
	}
	if c.kind == "properties" && listOf(query, "funnelCorrelationNames") == nil {
		refuse("Property Correlation expects atleast one Property to run correlation on")
	}
	return c
}

func (m *model) correlated(c *correlationQuestion) []correlated {
	var out []correlated
	for _, p := range m.funnelActors(c.funnel, c.step, "", false) {
		a := correlated{actor: p.actor, success: p.has(c.funnel.steps), after: p.times[0]}
		if a.success {
			a.before = p.times[len(p.times)-1]
		} else {
			a.before = a.after.Add(c.funnel.window)
		}
		out = append(out, a)
	}
	return out
}

// eventsOf are the events in the interval of an actor.
func (m *model) eventsOf(c *correlationQuestion, a correlated) []*event {
	if textOf(c.funnel.query, "funnelsFilter", "funnelAggregateByHogQL") != "" {
		unsupported("correlation of actors by an expression")
	}
	var out []*event
	for _, e := range m.events {
		actor, _ := m.funnelActor(c.funnel, e)
		if actor == a.actor && e.time.After(a.after) && e.time.Before(a.before) && !e.time.Before(c.funnel.span.from) && e.time.Before(c.funnel.span.to) {
			out = append(out, e)
		}
	}
	return out
}

// namesOf are the events that the series of the funnel name.
func (m *model) namesOf(f *funnelQuestion) []string {
	var out []string
	for _, n := range f.nodes {
		if a := m.actionOf(n); a != nil {
			for _, s := range listOf(a, "steps") {
				out = append(out, textOf(s, "event"))
			}
		} else {
			out = append(out, textOf(n, "event"))
		}
	}
	return out
}

// marksOf are what a correlation counts about an actor.
func (m *model) marksOf(c *correlationQuestion, a correlated) map[string]bool {
	out := map[string]bool{}
	lists := func(key, s string) bool { return slices.Contains(listOf(c.query, key), any(s)) }
	switch c.kind {
	case "events":
		for _, e := range m.eventsOf(c, a) {
			if !slices.Contains(m.namesOf(c.funnel), e.name) && !lists("funnelCorrelationExcludeEventNames", e.name) {
				out[e.name] = true
			}
		}
	case "event_with_properties":
		for _, e := range m.eventsOf(c, a) {
			if !lists("funnelCorrelationEventNames", e.name) {
				continue
			}
			if e.name == "$autocapture" {
				unsupported("correlation with what was clicked")
			}
			for name, v := range e.props {
				if s, ok := asText(v); ok && m.propertyType("event", 0, name) == typeString && !lists("funnelCorrelationEventExcludePropertyNames", name) {
					out[e.name+"::"+name+"::"+s] = true
				}
			}
		}
	case "properties":
		names := listOf(c.query, "funnelCorrelationNames")
		props := m.propertiesOf(c.funnel, a.actor)
		if slices.Contains(names, any("$all")) {
			names = m.textProperties(c.funnel)
		}
		for _, n := range names {
			if name, _ := n.(string); !lists("funnelCorrelationExcludeNames", name) {
				s, _ := asText(props[name])
				out[name+"::"+s] = true
			}
		}
	}
	return out
}

// textProperties are the names of all properties of persons, or of the groups, that are texts.
func (m *model) textProperties(f *funnelQuestion) []any {
	stored := map[string]string{} // with their types
	if i, ok := get(f.query, "aggregation_group_type_index").(float64); ok {
		for of, g := range m.groups {
			for name := range g.props {
				if of.index == int(i) {
					stored[name] = m.propertyType("group", of.index, name)
				}
			}
		}
	} else {
		for _, p := range m.persons {
			for name := range p.props {
				stored[name] = m.propertyType("person", 0, name)
			}
		}
	}
	var out []any
	for _, name := range keys(stored) {
		if stored[name] == typeString {
			out = append(out, name)
		}
	}
	return out
}

// propertiesOf are the properties of an actor of a funnel.
func (m *model) propertiesOf(f *funnelQuestion, actor string) object {
	if i, ok := get(f.query, "aggregation_group_type_index").(float64); ok {
		if g := m.groups[groupOf{int(i), actor}]; g != nil {
			return g.props
		}
		return nil
	}
	for _, p := range m.persons {
		if p.name() == actor {
			return p.props
		}
	}
	return nil
}

// odd is one line of a correlation.
type odd struct {
	name             string
	success, failure float64
	ratio            float64
}

func (m *model) correlation(query object) object {
	c := m.readCorrelation(query)
	S, T := 0.0, 0.0
	byName := map[string]*odd{}
	for _, a := range m.correlated(c) {
		if a.success {
			S++
		} else {
			T++
		}
		for name := range m.marksOf(c, a) {
			if byName[name] == nil {
				byName[name] = &odd{name: name}
			}
			if a.success {
				byName[name].success++
			} else {
				byName[name].failure++
			}
		}
	}
	if S == 0 || T == 0 {
		return object{"events": []any{}, "skewed": true}
	}
	var better, worse []*odd
	for _, name := range keys(byName) {
		o := byName[name]
		n := o.success + o.failure
		if n < math.Min(25, 0.02*(S+T)) || c.kind == "event_with_properties" && n <= 2 {
			continue
		}
		o.ratio = (o.success + 1) * (T - o.failure + 1) / ((S - o.success + 1) * (o.failure + 1))
		if o.ratio > 1 {
			better = append(better, o)
		} else {
			worse = append(worse, o)
		}
	}
	slices.SortStableFunc(better, func(a, b *odd) int { return cmp.Compare(b.ratio, a.ratio) })
	slices.SortStableFunc(worse, func(a, b *odd) int { return cmp.Compare(a.ratio, b.ratio) })
	out := []any{}
	for _, o := range slices.Concat(better[:min(10, len(better))], worse[:min(10, len(worse))]) {
		kind := "failure"
		if o.ratio > 1 {
			kind = "success"
		}
		out = append(out, object{"event": object{"event": o.name, "properties": object{}, "elements": []any{}}, "success_count": o.success, "failure_count": o.failure, "odds_ratio": o.ratio, "correlation_type": kind})
	}
	return object{"events": out, "skewed": S/T > 10 || T/S > 10}
}

// correlationActors are the actors of one line of a correlation, or of one side of it.
func (m *model) correlationActors(query object) map[string]bool {
	source, _ := query["source"].(object)
	c := m.readCorrelation(source)
	if values := listOf(query, "funnelCorrelationPropertyValues"); c.kind == "properties" && values != nil {
		c = m.readCorrelation(withFilters(source, values))
	}
	converted, chosen := query["funnelCorrelationPersonConverted"].(bool)
	entity := query["funnelCorrelationPersonEntity"]
	out := map[string]bool{}
	for _, a := range m.correlated(c) {
		if chosen && a.success != converted {
			continue
		}
		if entity != nil && !slices.ContainsFunc(m.eventsOf(c, a), func(e *event) bool { return m.matchesNode(entity, e) }) {
			continue
		}
		out[a.actor] = true
	}
	return out
}

// withFilters is a correlation whose funnel has more filters.
func withFilters(correlation object, values []any) object {
	copied := func(o object) object {
		out := object{}
		for k, v := range o {
			out[k] = v
		}
		return out
	}
	out := copied(correlation)
	actors := copied(out["source"].(object))
	funnel := copied(actors["source"].(object))
	own := funnel["properties"]
	if list, ok := own.([]any); ok {
		own = object{"type": "AND", "values": list}
	}
	funnel["properties"] = object{"type": "AND", "values": []any{own, object{"type": "AND", "values": values}}}
	actors["source"], out["source"] = funnel, actors
	return out
}
