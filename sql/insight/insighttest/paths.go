package insighttest

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// visit is an item of a path.
type visit struct {
	item string
	time time.Time
}

// walkedPath is one session of a person, cut and limited.
type walkedPath struct {
	person *person
	visits []visit
}

func (v walkedPath) node(i int) string { return strconv.Itoa(i+1) + "_" + v.visits[i].item }

// include is the event types of a query, nil for all.
func include(query object) []string {
	var out []string
	for _, x := range listOf(query, "pathsFilter", "includeEventTypes") {
		s, _ := x.(string)
		out = append(out, s)
	}
	return out
}

// item is the item of an event.
func (m *model) item(query object, e *event) string {
	f := query["pathsFilter"]
	types := include(query)
	excluded := listOf(f, "excludeEvents")
	wanted := func(x string) bool {
		if types != nil {
			return slices.Contains(types, x)
		}
		return !slices.Contains(excluded, any(x))
	}
	var item string
	switch expression := textOf(f, "pathsHogQLExpression"); {
	case e.name == "$screen" && wanted("$screen"):
		item, _ = asText(e.props["$screen_name"])
	case e.name == "$pageview" && wanted("$pageview"):
		item, _ = asText(e.props["$current_url"])
		if len(item) > 1 {
			item = strings.TrimSuffix(item, "/")
		}
	case expression != "" && wanted("hogql"):
		item, _ = m.plain(m.expression(expression, e))
	default:
		item = e.name
	}
	if isTrue(f, "pathReplacements") {
		item = m.cleaned(item)
	}
	for _, rule := range listOf(f, "localPathCleaningFilters") {
		item = clean(item, rule)
	}
	earliest, grouped := -1, item
	for _, g := range listOf(f, "pathGroupings") {
		pattern, _ := g.(string)
		if end := wildcardEnd(pattern, item); end >= 0 && (earliest < 0 || end < earliest) {
			earliest, grouped = end, pattern
		}
	}
	return grouped
}

// wildcardEnd is where the earliest match of a pattern with asterisks ends, -1 without one.
func wildcardEnd(pattern, item string) int {
	r := regexp.MustCompile("(?s)" + strings.ReplaceAll(regexp.QuoteMeta(pattern), `\*`, ".*") + "$")
	for end := range len(item) + 1 {
		if r.MatchString(item[:end]) {
			return end
		}
	}
	return -1
}

// takesPart says whether an event that passes the filters is on paths.
func (m *model) takesPart(query object, e *event, item string) bool {
	types := include(query)
	if types == nil {
		return true
	}
	listed := slices.Contains(types, "$pageview") || slices.Contains(types, "$screen") || slices.Contains(types, "custom_event")
	ok := !listed
	for _, t := range types {
		switch t {
		case "$pageview", "$screen":
			ok = ok || e.name == t
		case "custom_event":
			ok = ok || !strings.HasPrefix(e.name, "$")
		}
	}
	return ok && !slices.Contains(listOf(query, "pathsFilter", "excludeEvents"), any(item))
}

// walked are the paths of all sessions.
func (m *model) walked(query object) []walkedPath {
	s := m.resolve(query, "day", false, func() time.Time { return m.firstOf([]any{object{}})() }).seconds()
	from := m.startOf("day", s.from)
	gap := 30 * time.Minute
	var around map[string][2]time.Time
	if f := query["funnelPathsFilter"]; f != nil {
		around, gap = m.aroundFunnel(f)
	}
	byPerson := map[*person][]visit{}
	for _, e := range m.within(from, s.to) {
		if !m.passes(query, e) {
			continue
		}
		if around != nil {
			a, ok := around[e.person.name()]
			if !ok || e.time.Before(a[0]) || e.time.After(a[1]) {
				continue
			}
		}
		if item := m.item(query, e); m.takesPart(query, e, item) {
			byPerson[e.person] = append(byPerson[e.person], visit{item, e.time})
		}
	}
	var out []walkedPath
	for _, p := range m.persons {
		visits := byPerson[p]
		for len(visits) > 0 {
			n := 1
			for n < len(visits) && visits[n].time.Sub(visits[n-1].time) < gap {
				n++
			}
			if session := cutPath(query, compacted(visits[:n])); len(session) > 0 {
				out = append(out, walkedPath{p, session})
			}
			visits = visits[n:]
		}
	}
	return out
}

// compacted keeps the last of every run of equal items, and no empty item at the end.
func compacted(session []visit) []visit {
	var out []visit
	for i, v := range session {
		if i+1 == len(session) || session[i+1].item != v.item {
			out = append(out, v)
		}
	}
	if len(out) > 0 && out[len(out)-1].item == "" {
		out = out[:len(out)-1]
	}
	return out
}

// cutPath applies start, end and limit.
func cutPath(query object, session []visit) []visit {
	f := query["pathsFilter"]
	limit := intOf(f, 5, "stepLimit")
	if limit == 0 {
		limit = 5
	}
	start, end := textOf(f, "startPoint"), textOf(f, "endPoint")
	find := func(from int, item string) int {
		for i := from; i < len(session); i++ {
			if session[i].item == item {
				return i
			}
		}
		return -1
	}
	bare := func(s string) string {
		if len(s) > 1 {
			return strings.TrimSuffix(s, "/")
		}
		return s
	}
	switch {
	case start != "" && end != "":
		a := find(0, start)
		if a < 0 {
			return nil
		}
		b := find(a, end)
		if b < 0 {
			return nil
		}
		session = session[a : b+1]
		if half := limit / 2; len(session) > limit {
			out := slices.Clone(session[:half])
			out = append(out, visit{"...", session[half].time})
			return append(out, session[len(session)-half:]...)
		}
		return session
	case start != "":
		a := find(0, bare(start))
		if a < 0 {
			return nil
		}
		session = session[a:]
	case end != "":
		b := find(0, bare(end))
		if b < 0 {
			return nil
		}
		session = session[:b+1]
		return session[max(0, len(session)-limit):]
	}
	return session[:min(limit, len(session))]
}

// aroundFunnel is, per person of a step of a funnel, the interval paths are looked at in, and
// the gap that ends a session.
func (m *model) aroundFunnel(f any) (map[string][2]time.Time, time.Duration) {
	source, _ := get(f, "funnelSource").(object)
	q := m.readFunnel(source)
	step := intOf(f, 1, "funnelStep")
	a := step - 1
	if step < 0 {
		a = -step - 2
	}
	out := map[string][2]time.Time{}
	ever, never := time.Unix(-1<<40, 0), time.Unix(1<<40, 0)
	for _, p := range m.funnelActors(q, step, "", false) {
		at := p.times[a]
		switch textOf(f, "funnelPathType") {
		case "funnel_path_before_step":
			out[p.actor] = [2]time.Time{ever, at}
		case "funnel_path_between_steps":
			if a == 0 {
				refuse("there is no step before the first one")
			}
			out[p.actor] = [2]time.Time{p.times[a-1], at}
		default:
			if step < 0 {
				at = at.Add(q.window)
			}
			out[p.actor] = [2]time.Time{at, never}
		}
	}
	return out, q.window
}

func (m *model) paths(query object) []object {
	type edge struct {
		source, target string
		value          int
		sum            time.Duration
	}
	edges := map[[2]string]*edge{}
	for _, p := range m.walked(query) {
		for i := 1; i < len(p.visits); i++ {
			key := [2]string{p.node(i - 1), p.node(i)}
			if edges[key] == nil {
				edges[key] = &edge{source: key[0], target: key[1]}
			}
			edges[key].value++
			edges[key].sum += p.visits[i].time.Sub(p.visits[i-1].time)
		}
	}
	f := query["pathsFilter"]
	lo, hi := intOf(f, 0, "minEdgeWeight"), intOf(f, 0, "maxEdgeWeight")
	var all []*edge
	for _, e := range edges {
		if e.value >= lo && (hi == 0 || e.value <= hi) {
			all = append(all, e)
		}
	}
	slices.SortFunc(all, func(a, b *edge) int {
		return cmp.Or(cmp.Compare(b.value, a.value), strings.Compare(a.source, b.source), strings.Compare(a.target, b.target))
	})
	limit := intOf(f, 50, "edgeLimit")
	if limit == 0 {
		limit = 50
	}
	all = all[:min(limit, len(all))]
	reached := map[string]bool{}
	for grown := true; grown; {
		grown = false
		for _, e := range all {
			if (strings.HasPrefix(e.source, "1_") || reached[e.source]) && !reached[e.target] {
				reached[e.target], grown = true, true
			}
		}
	}
	out := []object{}
	for _, e := range all {
		if strings.HasPrefix(e.source, "1_") || reached[e.source] {
			out = append(out, object{"source": e.source, "target": e.target, "value": m.scaled(float64(e.value)),
				"average_conversion_time": float64(e.sum) / float64(time.Millisecond) / float64(e.value)})
		}
	}
	return out
}
