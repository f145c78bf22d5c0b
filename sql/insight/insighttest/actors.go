package insighttest

import (
	"cmp"
	"fmt"
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
	m.sample(source)
	names := map[string]bool{}
	switch kind := textOf(query, "kind"); kind {
	case "InsightActorsQuery", "FunnelsActorsQuery", "FunnelCorrelationActorsQuery":
	default:
		unsupported("the kind %q", kind)
	}
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
	case "TrendsQuery":
		names = m.trendsActors(source, query)
	case "StickinessQuery":
		names = m.stickinessActors(source, query)
	case "LifecycleQuery":
		for _, l := range m.lives(source) {
			if l.status == textOf(query, "status") && m.lifecycleDay(source, l.at) == textOf(query, "day") {
				names[l.actor] = true
			}
		}
	case "FunnelCorrelationQuery":
		names = m.correlationActors(query)
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
	all := m.passages(f)
	if given {
		_, byValue := m.ranked(f)
		all = byValue[value]
	}
	for _, p := range all {
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
	seen := map[string]bool{}
	shown := map[any]bool{}
	for _, row := range m.retention(source) {
		shown[row["breakdown_value"]] = true
	}
	for _, k := range m.retentions(r) {
		if k.row != intOf(query, 0, "interval") {
			continue
		}
		value := k.value
		if r.breakdown != "" && !shown[value] {
			value = otherLabel
		}
		if b, ok := query["breakdown"]; ok && !reflect.DeepEqual(b, any(value)) && !reflect.DeepEqual(b, any([]any{value})) {
			continue
		}
		if seen[k.actor] {
			continue // of several values that were added up
		}
		seen[k.actor] = true
		out = append(out, Actor{k.actor, k.columns})
	}
	slices.SortStableFunc(out, func(a, b Actor) int { return cmp.Compare(len(b.Appearances), len(a.Appearances)) })
	return out
}

// trendsActors are the actors of one number of trends: those of the events that it is made of.
func (m *model) trendsActors(source, query object) map[string]bool {
	t := m.readTrends(source)
	out := map[string]bool{}
	for _, s := range m.expand(t) {
		if s.order != intOf(query, 0, "series") || s.previous != (textOf(query, "compare") == "previous") {
			continue
		}
		cells := m.cells(t, s)
		for _, c := range m.evaluate(t, s) {
			if b, ok := query["breakdown"]; ok && !m.isBreakdown(s, c, b) {
				continue
			}
			for _, raw := range c.of {
				for i, rows := range cells[raw] {
					if !t.totals && !t.bucketCounts(day(s.span.interval, m.axis(s.span)[i]), textOf(query, "day")) {
						continue
					}
					for _, r := range rows {
						if name, ok := countedActor(s.node, r.event); ok {
							out[name] = true
						}
					}
				}
			}
		}
	}
	return out
}

// bucketCounts says whether a bucket is part of the number of a day: that day, or with
// accumulation one before.
func (t *question) bucketCounts(bucket, day string) bool {
	return bucket == day || t.cumulative && bucket < day
}

func (m *model) isBreakdown(s *expanded, c curve, value any) bool {
	if s.cohort != nil {
		return reflect.DeepEqual(s.cohort, value)
	}
	if list, ok := value.([]any); ok {
		var parts []string
		for _, v := range list {
			s, _ := asText(v)
			parts = append(parts, s)
		}
		return strings.Join(parts, between) == c.tuple
	}
	text, _ := asText(value)
	return text == c.tuple
}

// countedActor is who is listed for an event: a person, or a group where groups are counted.
func countedActor(node any, e *event) (string, bool) {
	switch textOf(node, "math") {
	case "unique_group", "dau", "weekly_active", "monthly_active":
		return actorOf(node, e)
	}
	return e.person.name(), true
}

func (m *model) stickinessActors(source, query object) map[string]bool {
	node := nodesOf(source)[intOf(query, 0, "series")]
	interval := intervalOf(source)
	current := m.resolve(source, interval, false, m.firstOf(nodesOf(source)))
	s := current
	if textOf(query, "compare") == "previous" {
		s = m.previous(source, current, interval)
	}
	n := intOf(query, 0, "day")
	out := map[string]bool{}
	for target, kept := range m.sticky(source, node, s.seconds(), current.seconds().to) {
		if kept == n || kept > n && textOf(source, "stickinessFilter", "computedAs") == "cumulative" {
			out[target] = true
		}
	}
	return out
}

// ListDifferences says where a list of actors, with their appearances behind them if they are of a
// retention, is not the actors of the model.
func ListDifferences(d *Data, want []Actor, rows []any) string {
	var got []Actor
	for _, row := range rows {
		a := Actor{Name: d.nameOf(row.([]any)[0])}
		if cells := row.([]any); len(cells) > 1 {
			list, _ := cells[1].([]any)
			for _, k := range list {
				n, _ := asNumber(k)
				a.Appearances = append(a.Appearances, int(n))
			}
		}
		if n := len(got); n > 0 && len(a.Appearances) > len(got[n-1].Appearances) {
			return fmt.Sprintf("%s appears more often than the one before", a.Name)
		}
		got = append(got, a)
	}
	byName := func(a, b Actor) int { return strings.Compare(a.Name, b.Name) }
	slices.SortFunc(got, byName)
	want = slices.Clone(want)
	slices.SortFunc(want, byName)
	same := func(a, b Actor) bool { return a.Name == b.Name && slices.Equal(a.Appearances, b.Appearances) }
	if !slices.EqualFunc(want, got, same) {
		return fmt.Sprintf("got %v, want %v", got, want)
	}
	return ""
}

// nameOf is the model's name of a listed actor.
func (d *Data) nameOf(actor any) string {
	ids := listOf(actor, "distinct_ids")
	if len(ids) == 0 {
		return textOf(actor, "id")
	}
	name, _ := ids[0].(string)
	for _, p := range d.Persons {
		if slices.Contains(p.DistinctIDs, name) {
			return p.DistinctIDs[0]
		}
	}
	return name
}
