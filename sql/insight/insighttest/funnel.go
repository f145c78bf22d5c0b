package insighttest

import (
	"cmp"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"time"
)

// funnelQuestion is a FunnelsQuery that was taken apart.
type funnelQuestion struct {
	query       object
	nodes       []any
	steps       int
	order       string // ordered, strict, unordered
	viz         string // steps, time_to_convert, trends
	window      time.Duration
	from, to    int // steps of the range, 0-based
	optional    []bool
	exclusions  []any
	kind        string // of the breakdown, "" without one
	columns     []breakdown
	cohorts     []any
	attribution string
	attributed  int
	span        span
}

// did is an event of an actor with its marks: k where it matches step k, and -k where an
// exclusion between the steps k-1 and k does.
type did struct {
	*event
	marks []int
	value string
}

func (d did) matches(step int) bool { return slices.Contains(d.marks, step) }

// passage is what became of an actor, under one breakdown value.
type passage struct {
	actor, value string
	bits         int
	reached      int // 0-based, among required steps
	times        []time.Time
}

func (p passage) has(step int) bool { return p.bits&(1<<(step-1)) != 0 }

func (p passage) timings() []float64 {
	var out []float64
	for i := 1; i < len(p.times); i++ {
		out = append(out, p.times[i].Sub(p.times[i-1]).Seconds())
	}
	return out
}

func (m *model) readFunnel(query object) *funnelQuestion {
	filter := query["funnelsFilter"]
	f := &funnelQuestion{query: query, nodes: listOf(query, "series"), order: textOf(filter, "funnelOrderType"), viz: textOf(filter, "funnelVizType"),
		exclusions: listOf(filter, "exclusions"), attribution: textOf(filter, "breakdownAttributionType"), attributed: intOf(filter, 0, "breakdownAttributionValue")}
	f.steps = len(f.nodes)
	f.order, f.viz = cmp.Or(f.order, "ordered"), cmp.Or(f.viz, "steps")
	f.attribution = cmp.Or(f.attribution, "first_touch")
	n := intOf(filter, 14, "funnelWindowInterval")
	if n <= 0 {
		n = 14
	}
	unit := map[string]int{"second": 1, "minute": 60, "hour": 3600, "": 86400, "day": 86400, "week": 604800, "month": 2678400}[textOf(filter, "funnelWindowIntervalUnit")]
	f.window = time.Duration(n*unit) * time.Second
	f.from, f.to = intOf(filter, 0, "funnelFromStep"), intOf(filter, f.steps-1, "funnelToStep")
	if f.viz == "time_to_convert" && f.to == 0 {
		f.to = f.steps - 1
	}
	for _, n := range f.nodes {
		f.optional = append(f.optional, isTrue(n, "optionalInFunnel"))
	}
	b := query["breakdownFilter"]
	if get(b, "breakdown") != nil {
		f.kind = cmp.Or(textOf(b, "breakdown_type"), "event")
		list, ok := get(b, "breakdown").([]any)
		if !ok {
			list = []any{get(b, "breakdown")}
		}
		if f.kind == "cohort" {
			f.cohorts = list
		} else {
			for _, name := range list {
				s, _ := name.(string)
				f.columns = append(f.columns, breakdown{source: source{f.kind, s, intOf(b, 0, "breakdown_group_type_index")}, normalize: isTrue(b, "breakdown_normalize_url")})
			}
		}
	}
	f.check()
	f.span = m.resolve(query, cmp.Or(textOf(query, "interval"), "day"), false, m.firstOf(f.nodes))
	return f
}

// check refuses what cannot be asked, in the order of the rules.
func (f *funnelQuestion) check() {
	n := f.steps
	filter := f.query["funnelsFilter"]
	if n < 2 {
		refuse("Funnels require at least two steps.")
	}
	from, hasFrom := get(filter, "funnelFromStep").(float64)
	to, hasTo := get(filter, "funnelToStep").(float64)
	if hasFrom && (from < 0 || int(from) > n-2) {
		refuse("funnelFromStep is out of bounds. It must be between 0 and %d.", n-2)
	}
	if hasTo && (to < 1 || int(to) > n-1) {
		refuse("funnelToStep is out of bounds. It must be between 1 and %d.", n-1)
	}
	if hasFrom && hasTo && from >= to {
		refuse("Funnel step range is invalid. funnelToStep should be greater than funnelFromStep.")
	}
	for _, x := range f.exclusions {
		a, b := intOf(x, 0, "funnelFromStep"), intOf(x, 0, "funnelToStep")
		switch {
		case f.order == "unordered" && (a != 0 || b != n-1):
			refuse("Partial Exclusions not allowed in unordered funnels")
		case a >= b:
			refuse("Exclusion event range is invalid. End of range should be greater than start.")
		case a >= n-1:
			refuse("Exclusion event range is invalid. Start of range is greater than number of steps.")
		case b > n-1:
			refuse("Exclusion event range is invalid. End of range is greater than number of steps.")
		}
		for _, node := range f.nodes[a : b+1] {
			if sameEntity(node, x) && subset(listOf(node, "properties"), listOf(x, "properties")) {
				refuse("Exclusion steps cannot contain an event that's part of funnel steps.")
			}
		}
	}
	if slices.Contains(f.optional, true) {
		if f.viz != "steps" || f.order == "unordered" {
			refuse("Optional funnel steps are only supported in funnels with step order Sequential or Strict and the graph type \"Conversion Steps\".")
		}
		if f.optional[0] {
			refuse("The first step of a funnel cannot be optional.")
		}
		for i := 0; i+1 < n; i++ {
			if f.optional[i] && !f.optional[i+1] && sameEntity(f.nodes[i], f.nodes[i+1]) &&
				subset(listOf(f.nodes[i+1], "properties"), listOf(f.nodes[i], "properties")) {
				refuse("An optional step cannot be the same as the following required step.")
			}
		}
	}
	if f.order == "unordered" && f.attribution == "step" && f.attributed != 0 {
		refuse("Only the first step can be used for breakdown attribution in unordered funnels")
	}
}

func sameEntity(a, b any) bool {
	return isAction(a) == isAction(b) && reflect.DeepEqual(get(a, "event"), get(b, "event")) && reflect.DeepEqual(get(a, "id"), get(b, "id"))
}

func subset(a, b []any) bool {
	for _, x := range a {
		if !slices.ContainsFunc(b, func(y any) bool { return reflect.DeepEqual(x, y) }) {
			return false
		}
	}
	return true
}

// firstMatches are, for a step that counts only the person's first match, the events that do.
func (m *model) firstMatches(f *funnelQuestion, node any) map[*event]bool {
	out := map[*event]bool{}
	for _, p := range m.persons {
		var first *event
		for _, e := range p.events {
			passes := m.filters(get(node, "properties"), e)
			filtered := textOf(node, "math") == "first_time_for_user_with_filters"
			if e.unread || e.time.After(f.span.to) || !m.entity(node, e) || filtered && !passes {
				continue
			}
			if first != nil {
				if e.time.Equal(first.time) {
					unsupported("two first events of the same time")
				}
				break
			}
			if first = e; passes && !e.time.Before(f.span.from) {
				out[e] = true
			}
		}
	}
	return out
}

// journeys are the marked events of every actor, in order of time, and the actors in order.
func (m *model) journeys(f *funnelQuestion) (actors []string, events map[string][]did) {
	first := make([]map[*event]bool, f.steps)
	for i, n := range f.nodes {
		if strings.HasPrefix(textOf(n, "math"), "first_time_for_user") {
			first[i] = m.firstMatches(f, n)
		}
	}
	events = map[string][]did{}
	for _, e := range m.within(f.span.from, f.span.to) {
		if !m.passes(f.query, e) {
			continue
		}
		actor, ok := m.funnelActor(f, e)
		if !ok {
			continue
		}
		d := did{event: e}
		for i, n := range f.nodes {
			matches := m.entity(n, e) && m.filters(get(n, "properties"), e)
			if first[i] != nil {
				matches = first[i][e]
			}
			if matches {
				d.marks = append(d.marks, i+1)
			}
		}
		for _, x := range f.exclusions {
			if m.entity(x, e) && m.filters(get(x, "properties"), e) {
				for k := intOf(x, 0, "funnelFromStep") + 2; k <= intOf(x, 0, "funnelToStep")+1; k++ {
					d.marks = append(d.marks, -k)
				}
			}
		}
		if len(d.marks) == 0 && f.order != "strict" {
			continue
		}
		d.value = m.funnelValue(f, e)
		events[actor] = append(events[actor], d)
	}
	return keys(events), events
}

func (m *model) funnelActor(f *funnelQuestion, e *event) (string, bool) {
	if i, ok := get(f.query, "aggregation_group_type_index").(float64); ok {
		key := e.group(int(i))
		return key, key != ""
	}
	if x := textOf(f.query, "funnelsFilter", "funnelAggregateByHogQL"); x != "" && x != "person_id" {
		s, ok := m.plain(m.expression(x, e))
		return s, ok && s != ""
	}
	return e.person.name(), true
}

// funnelValue is the breakdown value of an event; elements of a list are joined.
func (m *model) funnelValue(f *funnelQuestion, e *event) string {
	var parts []string
	for _, c := range f.columns {
		s, _ := m.plain(m.valueOf(c.source, e))
		if c.normalize && s != "" {
			s = trimURL(s, `/\?#`)
		}
		parts = append(parts, s)
	}
	return strings.Join(parts, between)
}

// thinned leaves out the events inside a run of equal ones.
func thinned(events []did) []did {
	var out []did
	for i, d := range events {
		if i > 0 && i+1 < len(events) && len(d.marks) <= 1 {
			a, b := events[i-1], events[i+1]
			same := slices.Equal(a.marks, d.marks) && slices.Equal(b.marks, d.marks) && a.value == d.value && b.value == d.value
			if same && a.time.Before(d.time) && d.time.Before(b.time) {
				continue
			}
		}
		out = append(out, d)
	}
	return out
}

// attempt is one breakdown value an actor is evaluated for, with the events that are used.
type attempt struct {
	value  string
	events []did
}

// attempts takes thin to the events an actor is evaluated with: those of a cohort are a list of
// their own, others are split by value after that.
func (m *model) attempts(f *funnelQuestion, events []did, thin func([]did) []did) []attempt {
	if f.kind != "cohort" {
		events = thin(events)
	}
	distinct := func(keep func(did) bool) []string {
		seen := map[string]bool{}
		for _, d := range events {
			if keep(d) {
				seen[d.value] = true
			}
		}
		return keys(seen)
	}
	var out []attempt
	switch {
	case f.kind == "":
		out = []attempt{{"", events}}
	case f.kind == "cohort":
		for _, c := range f.cohorts {
			id, value := 0.0, "0"
			if c != "all" {
				id, _ = asNumber(c)
				value = numberText(id)
			}
			var own []did
			for _, d := range events {
				if id == 0 || m.inCohort(int(id), d.person, nil) {
					own = append(own, d)
				}
			}
			if len(own) > 0 {
				out = append(out, attempt{value, thin(own)})
			}
		}
	case f.attribution == "all_events":
		for _, v := range distinct(func(did) bool { return true }) {
			var own []did
			for _, d := range events {
				if d.value == v {
					own = append(own, d)
				}
			}
			out = append(out, attempt{v, own})
		}
	case f.attribution == "step":
		for _, v := range distinct(func(d did) bool { return f.order == "unordered" || d.matches(f.attributed+1) }) {
			out = append(out, attempt{v, events})
		}
	default:
		tried := slices.Clone(events)
		if f.attribution == "last_touch" {
			slices.Reverse(tried)
		}
		value := tried[0].value
		if f.kind != "group" {
			value = strings.Repeat(between, len(f.columns)-1)
			for _, d := range tried {
				if strings.Trim(d.value, between) != "" {
					value = d.value
					break
				}
			}
		}
		out = []attempt{{value, events}}
	}
	return out
}

// passages are what became of all actors; those in no step are left out.
func (m *model) passages(f *funnelQuestion) []passage {
	actors, events := m.journeys(f)
	var out []passage
	for _, actor := range actors {
		for _, a := range m.attempts(f, events[actor], thinned) {
			p, ok := f.pass(a)
			if ok {
				p.actor, p.value = actor, a.value
				out = append(out, p)
			}
		}
	}
	return out
}

func (f *funnelQuestion) pass(a attempt) (passage, bool) {
	if f.order == "unordered" {
		return f.unordered(a)
	}
	return f.ordered(a)
}

func (f *funnelQuestion) byStep() bool {
	return f.kind != "" && f.kind != "cohort" && f.attribution == "step"
}

// chain is a partial funnel.
type chain struct {
	filled, excluded bool
	start            time.Time
	times            []time.Time
	ids              []*event
	bits             int
}

// orderedState is the state of an ordered or strict funnel over one actor.
type orderedState struct {
	f        *funnelQuestion
	value    string
	chains   []chain
	bestStep int
	best     chain
}

func (f *funnelQuestion) ordered(a attempt) (passage, bool) {
	s := &orderedState{f: f, value: a.value, chains: make([]chain, f.steps+1)}
	for i := 0; i < len(a.events); {
		j := i + 1
		for j < len(a.events) && a.events[j].time.Sub(a.events[i].time) <= 50*time.Millisecond {
			j++
		}
		s.group(a.events[i:j])
		if s.chains[f.steps].filled {
			break
		}
		i = j
	}
	if s.bestStep == 0 || s.best.excluded {
		return passage{}, false
	}
	p := passage{bits: s.best.bits, times: s.best.times, reached: s.bestStep - 1}
	for k := range s.bestStep {
		if f.optional[k] {
			p.reached--
		}
	}
	return p, true
}

func (s *orderedState) group(events []did) {
	s.chains[0] = chain{filled: true, start: events[0].time}
	same := true
	for _, d := range events {
		same = same && slices.Equal(d.marks, events[0].marks)
	}
	if same {
		for _, d := range events {
			for _, mark := range slices.Backward(d.marks) {
				s.feed(d, mark, false)
			}
			if s.f.order == "strict" {
				for k := 1; k <= s.f.steps; k++ {
					if !d.matches(k) {
						s.chains[k] = chain{}
					}
				}
			}
		}
		return
	}
	for k := 1; k <= s.f.steps; k++ {
		for _, d := range events {
			if d.matches(k) {
				s.feed(d, k, true)
			}
		}
	}
}

func (s *orderedState) feed(d did, mark int, tie bool) {
	k := max(mark, -mark)
	p := k - 1
	for p > 0 && s.f.optional[p-1] && (!s.chains[p].filled || d.time.Sub(s.chains[p].start) > s.f.window) {
		p--
	}
	from := &s.chains[p]
	if !from.filled || d.time.Sub(from.start) > s.f.window {
		return
	}
	if s.chains[k].filled && s.chains[k].start.Equal(from.start) {
		return
	}
	if mark < 0 {
		if !from.excluded {
			from.excluded = true
			if s.bestStep == p && d.time.Sub(s.best.start) <= s.f.window {
				s.best.excluded = true
			}
		}
		return
	}
	if s.f.byStep() && p == s.f.attributed && d.value != s.value {
		return
	}
	if tie && slices.Contains(from.ids, d.event) {
		return
	}
	next := chain{filled: true, excluded: from.excluded, start: from.start, times: slices.Clone(from.times), ids: slices.Clone(from.ids), bits: from.bits | 1<<(k-1)}
	if !s.f.optional[k-1] {
		next.times, next.ids = append(next.times, d.time), append(next.ids, d.event)
	}
	if !from.excluded {
		s.chains[k] = next
	}
	if k > s.bestStep || k == s.bestStep && s.best.excluded {
		s.bestStep, s.best = k, next
	}
}

func (f *funnelQuestion) unordered(a attempt) (passage, bool) {
	queues := make([][]did, f.steps)
	var best []time.Time
	done := func() int {
		n := 0
		for _, q := range queues {
			if len(q) > 0 {
				n++
			}
		}
		return n
	}
	record := func() {
		if done() > len(best) {
			best = nil
			for _, q := range queues {
				if len(q) > 0 {
					best = append(best, q[0].time)
				}
			}
			slices.SortFunc(best, time.Time.Compare)
		}
	}
	for _, d := range a.events {
		for done() > 0 {
			o := oldest(queues)
			if done() < f.steps && !queues[o][0].time.Add(f.window).Before(d.time) {
				break
			}
			record()
			queues[o] = queues[o][1:]
		}
		f.enqueue(queues, d, a.value, done())
		if len(best) == f.steps {
			break
		}
	}
	record()
	if len(best) == 0 {
		return passage{}, false
	}
	return passage{bits: 1<<len(best) - 1, reached: len(best) - 1, times: best}, true
}

// oldest is the queue whose front has the smallest time.
func oldest(queues [][]did) int {
	o := -1
	for i, q := range queues {
		if len(q) > 0 && (o < 0 || q[0].time.Before(queues[o][0].time)) {
			o = i
		}
	}
	return o
}

// enqueue takes an event into the queue where it is needed most.
func (f *funnelQuestion) enqueue(queues [][]did, d did, value string, done int) {
	if !slices.ContainsFunc(d.marks, func(k int) bool { return k > 0 }) {
		for i := range queues {
			queues[i] = nil
		}
		return
	}
	if f.byStep() && done == f.attributed && d.value != value {
		return
	}
	into := -1
	for _, k := range d.marks {
		if k < 0 {
			continue
		}
		if into < 0 {
			into = k - 1
			continue
		}
		if a, b := queues[k-1], queues[into]; len(b) > 0 && (len(a) == 0 || a[len(a)-1].time.Before(b[len(b)-1].time)) {
			into = k - 1
		}
	}
	queues[into] = append(queues[into], d)
}

func (m *model) funnel(query object) any {
	f := m.readFunnel(query)
	switch f.viz {
	case "trends":
		return m.funnelTrends(f)
	case "time_to_convert":
		if f.to < 1 || f.to > f.steps-1 {
			refuse("Filter parameter funnel_to_step can only be one of 1 to %d for time to convert!", f.steps-1)
		}
		return m.timeToConvert(f)
	}
	values, byValue := m.ranked(f)
	if len(values) == 0 {
		return []any{}
	}
	if f.kind == "" {
		return m.funnelSteps(f, byValue[""], "")
	}
	out := []any{}
	for _, v := range values {
		out = append(out, m.funnelSteps(f, byValue[v], v))
	}
	return out
}

// ranked are the breakdown values in the order of the answer and the passages of each.
func (m *model) ranked(f *funnelQuestion) ([]string, map[string][]passage) {
	byValue := map[string][]passage{}
	for _, p := range m.passages(f) {
		byValue[p.value] = append(byValue[p.value], p)
	}
	values := keys(byValue)
	rank := func() {
		slices.SortStableFunc(values, func(a, b string) int { return f.bySteps(byValue[a], byValue[b]) })
	}
	rank()
	limit := intOf(f.query, 25, "breakdownFilter", "breakdown_limit")
	if slices.Contains([]string{"event", "person", "group"}, f.kind) && len(values) > limit {
		if f.bySteps(byValue[values[limit-1]], byValue[values[limit]]) == 0 {
			unsupported("a tie at the limit of a breakdown")
		}
		for _, v := range values[limit:] {
			byValue["Other"] = append(byValue["Other"], byValue[v]...)
		}
		values = append(values[:limit:limit], "Other")
		rank()
	}
	return values, byValue
}

// bySteps orders two breakdown values by their last steps.
func (f *funnelQuestion) bySteps(a, b []passage) int {
	for k := f.steps; k > 0; k-- {
		if c := cmp.Compare(counted(b, k), counted(a, k)); c != 0 {
			return c
		}
	}
	return 0
}

func counted(all []passage, step int) int {
	n := 0
	for _, p := range all {
		if p.has(step) {
			n++
		}
	}
	return n
}

func (m *model) funnelSteps(f *funnelQuestion, all []passage, value string) []any {
	out := []any{}
	for i, node := range f.nodes {
		var above []float64
		for _, p := range all {
			if t := p.timings(); i > 0 && i <= len(t) && t[i-1] > 0 {
				above = append(above, t[i-1])
			}
		}
		var average, median any
		if len(above) > 0 {
			average, median = statistic("avg", above), statistic("median", above)
		}
		o := object{"order": i, "people": []any{}, "count": m.scaled(float64(counted(all, i+1))), "type": "events", "custom_name": get(node, "custom_name"),
			"action_id": get(node, "event"), "name": get(node, "event"), "average_conversion_time": average, "median_conversion_time": median}
		if isAction(node) {
			o["type"], o["action_id"], o["name"] = "actions", get(node, "id"), m.nodeName(node)
		}
		if f.order == "unordered" {
			o["action_id"], o["custom_name"], o["name"] = nil, nil, fmt.Sprintf("Completed %d step", i+1)
			if i > 0 {
				o["name"] = fmt.Sprintf("Completed %d steps", i+1)
			}
		}
		if f.kind != "" {
			o["breakdown"] = f.answered(value)
			o["breakdown_value"] = f.answered(value)
			if f.kind == "cohort" {
				o["breakdown"] = "all users"
				if value != "0" {
					id, _ := asNumber(value)
					o["breakdown"] = textOf(m.cohort(int(id)), "name")
				}
			}
		}
		out = append(out, o)
	}
	return out
}

// answered is a breakdown value in the form of answers.
func (f *funnelQuestion) answered(value string) any {
	switch f.kind {
	case "group":
		return value
	case "cohort":
		n, _ := asNumber(value)
		return n
	}
	return strings.Split(value, between)
}

func (m *model) timeToConvert(f *funnelQuestion) object {
	if m.factor != 1 {
		unsupported("a sample of times to convert")
	}
	var samples []float64
	for _, p := range m.passages(f) {
		if p.reached >= f.to {
			samples = append(samples, p.times[f.to].Sub(p.times[f.from]).Seconds())
		}
	}
	if len(samples) == 0 {
		return object{"bins": [][]float64{{0, 0}, {60, 0}}, "average_conversion_time": nil, "median_conversion_time": nil}
	}
	bins := intOf(f.query, -1, "funnelsFilter", "binCount")
	if get(f.query, "funnelsFilter", "binCount") != nil {
		bins = min(max(bins, 1), 90)
	} else {
		for bins = 1; bins*bins*bins < len(samples) && bins < 60; bins++ {
		}
	}
	lo, hi := math.Floor(slices.Min(samples)), math.Ceil(slices.Max(samples))
	width := math.Ceil((hi - lo) / float64(bins))
	if width == 0 {
		width = 60
	}
	out := [][]float64{}
	for i := range bins + 1 {
		n := 0.0
		for _, s := range samples {
			if math.Floor((s-lo)/width) == float64(i) {
				n++
			}
		}
		out = append(out, []float64{lo + float64(i)*width, n})
	}
	return object{"bins": out, "average_conversion_time": statistic("avg", samples), "median_conversion_time": statistic("median", samples)}
}
