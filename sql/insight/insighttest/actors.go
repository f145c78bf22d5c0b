package insighttest

import (
	"cmp"
	"reflect"
	"slices"
	"strings"
)

// Actor is a person, named by the first of its distinct ids, or a group, by its key.
type Actor struct {
	Name        string
	Appearances []int // the columns of a retention row
}

// Actors are the actors of an actors query over a funnel, retention or paths.
func Actors(d *Data, query map[string]any) (actors []Actor, err error) {
	defer recoverRefusal(&err)
	m := newModel(d)
	source, _ := query["source"].(object)
	if kind := textOf(query, "kind"); kind != "InsightActorsQuery" && kind != "FunnelsActorsQuery" {
		unsupported("the kind %q", kind)
	}
	names := map[string]bool{}
	switch kind := textOf(source, "kind"); kind {
	case "FunnelsQuery":
		f := m.readFunnel(source)
		if f.viz == "trends" {
			return m.trendActors(f, query), nil
		}
		step := intOf(query, 1, "funnelStep")
		if step == 0 || step == -1 {
			refuse("there is no step %d", step)
		}
		value, given := m.stepBreakdown(f, query)
		for _, p := range m.funnelActors(f, step, value, given) {
			names[p.actor] = true
		}
	case "RetentionQuery":
		return m.retentionActors(source, query), nil
	case "PathsQuery":
		f := source["pathsFilter"]
		for _, p := range m.walked(source) {
			for i := range p.visits {
				before := ""
				if i > 0 {
					before = p.node(i - 1)
				}
				drop, start, end := textOf(f, "pathDropoffKey"), textOf(f, "pathStartKey"), textOf(f, "pathEndKey")
				if drop != "" && (p.node(i) != drop || i+1 < len(p.visits)) {
					continue
				}
				if drop != "" || (start == "" || start == before) && (end == "" || end == p.node(i)) {
					names[p.person.name()] = true
				}
			}
		}
	default:
		unsupported("actors of a %q", kind)
	}
	for _, name := range keys(names) {
		actors = append(actors, Actor{Name: name})
	}
	return actors, nil
}

// stepBreakdown is the breakdown value of a FunnelsActorsQuery.
func (m *model) stepBreakdown(f *funnelQuestion, query object) (string, bool) {
	switch v := query["funnelStepBreakdown"].(type) {
	case nil:
		return "", false
	case []any:
		var parts []string
		for _, x := range v {
			s, _ := asText(x)
			parts = append(parts, s)
		}
		return strings.Join(parts, between), true
	default:
		s, _ := asText(v)
		if s == "all" && f.kind == "cohort" {
			s = "0"
		}
		return s, true
	}
}

// funnelActors are the passages that did a step, or dropped off before the step -k.
func (m *model) funnelActors(f *funnelQuestion, step int, value string, given bool) []passage {
	var out []passage
	for _, p := range m.passages(f) {
		if given && p.value != value {
			continue
		}
		if step > 0 && p.has(step) {
			out = append(out, p)
		}
		if step < 0 {
			before := -step - 1
			for before > 1 && f.optional[before-1] {
				before--
			}
			if p.has(before) && !p.has(-step) {
				out = append(out, p)
			}
		}
	}
	return out
}

func (m *model) trendActors(f *funnelQuestion, query object) []Actor {
	start, ok := query["funnelTrendsEntrancePeriodStart"].(string)
	drop, fine := query["funnelTrendsDropOff"].(bool)
	at, isDate := absolute(start, m.zone)
	if !ok || !fine || !isDate {
		refuse("a point of a trend needs funnelTrendsDropOff and funnelTrendsEntrancePeriodStart")
	}
	value, given := m.stepBreakdown(f, query)
	names := map[string]bool{}
	for _, e := range m.entries(f) {
		if e.period.Equal(at) && e.converted != drop && (!given || e.value == value) {
			names[e.actor] = true
		}
	}
	var out []Actor
	for _, name := range keys(names) {
		out = append(out, Actor{Name: name})
	}
	return out
}

func (m *model) retentionActors(source, query object) []Actor {
	r := m.readRetention(source)
	var out []Actor
	for _, k := range m.retentions(r) {
		if k.row != intOf(query, 0, "interval") {
			continue
		}
		if b, ok := query["breakdown"]; ok && !reflect.DeepEqual(b, any(k.value)) && !reflect.DeepEqual(b, any([]any{k.value})) {
			continue
		}
		out = append(out, Actor{k.actor, k.columns})
	}
	slices.SortStableFunc(out, func(a, b Actor) int { return cmp.Compare(len(b.Appearances), len(a.Appearances)) })
	return out
}
