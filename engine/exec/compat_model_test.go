package exec

import (
	"fmt"
	"slices"
	"sort"

	"github.com/prickledb/prickle/engine/plan"
)

// The model of funnels by the rules of the insight queries: lists of marks as they are
// described, copied wherever something changes, and nothing shared with the operator.

// markEvent is a row of one actor: k for step k, then -k for a place between k-1 and k where
// it is forbidden.
type markEvent struct {
	id    int
	time  int64
	marks []int
	value string
}

// compatModel is a funnel's rules for the model.
type compatModel struct {
	steps      int
	window     int64
	optional   map[int]bool // by step, from 1
	mode       plan.Mode
	attribute  plan.Attribute
	byStep     int // 0-based
	breakdown  bool
	exclusions [][2]int // 0-based steps
	// Conditions of a row: steps, then exclusions, then what first rows are searched by.
	firstOf  map[int]int // step from 1: condition
	from, to int64
	trend    *plan.Trend
}

type chainModel struct {
	filled   bool
	start    int64
	excluded bool
	times    []int64
	ids      []int
	bits     uint64
}

func (c chainModel) clone() chainModel {
	c.times, c.ids = slices.Clone(c.times), slices.Clone(c.ids)
	return c
}

// events lists an actor's rows that take part.
func (m *compatModel) events(rows []testRow, firsts map[int]map[int]bool) []markEvent {
	var out []markEvent
	for _, r := range rows {
		if r.us < m.from || r.us >= m.to {
			continue
		}
		e := markEvent{id: r.tie, time: r.us}
		if m.breakdown {
			e.value = r.value
		}
		for k := 1; k <= m.steps; k++ {
			if r.conds[k-1] && (firsts[k] == nil || firsts[k][r.tie]) {
				e.marks = append(e.marks, k)
			}
		}
		for i, x := range m.exclusions {
			for k := x[0] + 2; r.conds[m.steps+i] && k <= x[1]+1; k++ {
				e.marks = append(e.marks, -k)
			}
		}
		if len(e.marks) > 0 || m.mode == plan.Strict {
			out = append(out, e)
		}
	}
	sort.SliceStable(out, func(i, j int) bool { return out[i].time < out[j].time })
	return out
}

func thinModel(events []markEvent) []markEvent {
	var out []markEvent
	for i, e := range events {
		if i > 0 && i < len(events)-1 && len(e.marks) <= 1 {
			a, b := events[i-1], events[i+1]
			if slices.Equal(a.marks, e.marks) && slices.Equal(b.marks, e.marks) && a.value == e.value && b.value == e.value &&
				a.time < e.time && e.time < b.time {
				continue
			}
		}
		out = append(out, e)
	}
	return out
}

// evaluations are the breakdown values an actor is evaluated for, with the rows.
func (m *compatModel) evaluations(events []markEvent) map[string][]markEvent {
	out := map[string][]markEvent{}
	switch {
	case len(events) == 0:
	case !m.breakdown:
		out[""] = events
	case m.attribute == plan.AttributeFirst:
		v := ""
		for _, e := range events {
			if e.value != "" {
				v = e.value
				break
			}
		}
		out[v] = events
	case m.attribute == plan.AttributeLast:
		v := ""
		for _, e := range events {
			if e.value != "" {
				v = e.value
			}
		}
		out[v] = events
	case m.attribute == plan.AttributeEach:
		for _, e := range events {
			out[e.value] = append(out[e.value], e)
		}
	default:
		for _, e := range events {
			if m.mode == plan.Unordered || slices.Contains(e.marks, m.byStep+1) {
				out[e.value] = events
			}
		}
	}
	return out
}

func (m *compatModel) wrong(p int, e markEvent, value string) bool {
	return m.breakdown && m.attribute == plan.AttributeStep && p == m.byStep && e.value != value
}

// ordered is the best chain.
func (m *compatModel) ordered(events []markEvent, value string) (uint64, []int64) {
	chain := make([]chainModel, m.steps+1)
	bestStep, best := 0, chainModel{}
	fits := func(p int, t int64) bool { return chain[p].filled && t-chain[p].start <= m.window }
	feed := func(e markEvent, marks []int, tie bool) {
		for i := len(marks) - 1; i >= 0; i-- {
			exclusion := marks[i] < 0
			k := max(marks[i], -marks[i])
			p := k - 1
			for p > 0 && m.optional[p] && !fits(p, e.time) {
				p--
			}
			if !fits(p, e.time) {
				continue
			}
			if chain[k].filled && chain[k].start == chain[p].start {
				continue
			}
			if exclusion {
				chain[p].excluded = true
				if bestStep == p && e.time-best.start <= m.window {
					best.excluded = true
				}
				continue
			}
			if m.wrong(p, e, value) || tie && slices.Contains(chain[p].ids, e.id) {
				continue
			}
			c := chain[p].clone()
			if !m.optional[k] {
				c.times, c.ids = append(c.times, e.time), append(c.ids, e.id)
			}
			c.bits |= 1 << (k - 1)
			if !chain[p].excluded {
				chain[k] = c.clone()
			}
			if k > bestStep || k == bestStep && best.excluded {
				bestStep, best = k, c
			}
		}
	}
	for len(events) > 0 && !chain[m.steps].filled {
		n, alike := 0, true
		for n < len(events) && events[n].time <= events[0].time+50_000 {
			alike = alike && slices.Equal(events[n].marks, events[0].marks)
			n++
		}
		group := events[:n]
		events = events[n:]
		chain[0] = chainModel{filled: true, start: group[0].time}
		if alike {
			for _, e := range group {
				feed(e, e.marks, false)
				for k := 1; k <= m.steps && m.mode == plan.Strict; k++ {
					if !slices.Contains(e.marks, k) {
						chain[k] = chainModel{}
					}
				}
			}
			continue
		}
		for k := 1; k <= m.steps; k++ {
			for _, e := range group {
				if slices.Contains(e.marks, k) {
					feed(e, []int{k}, true)
				}
			}
		}
	}
	if bestStep == 0 || best.excluded {
		return 0, nil
	}
	return best.bits, best.times
}

func (m *compatModel) unordered(events []markEvent, value string) (uint64, []int64) {
	queues := make([][]int64, m.steps)
	var best []int64
	fronts := func() (all []int64) {
		for _, q := range queues {
			if len(q) > 0 {
				all = append(all, q[0])
			}
		}
		slices.Sort(all)
		return all
	}
	record := func() {
		if f := fronts(); len(f) > len(best) {
			best = f
		}
	}
	for _, e := range events {
		for len(fronts()) > 0 {
			oldest := fronts()[0]
			if len(fronts()) < m.steps && oldest+m.window >= e.time {
				break
			}
			record()
			for s := range queues {
				if len(queues[s]) > 0 && queues[s][0] == oldest {
					queues[s] = queues[s][1:]
					break
				}
			}
		}
		if e.marks[0] < 0 {
			queues = make([][]int64, m.steps)
		} else if !m.wrong(len(fronts()), e, value) {
			to := -1
			for _, k := range e.marks {
				if k > 0 && (to < 0 || lastOf(queues[k-1]) < lastOf(queues[to])) {
					to = k - 1
				}
			}
			queues[to] = append(queues[to], e.time)
		}
		if len(best) == m.steps {
			break
		}
	}
	record()
	return 1<<len(best) - 1, best
}

func lastOf(q []int64) int64 {
	if len(q) == 0 {
		return -1 << 62
	}
	return q[len(q)-1]
}

// days is the period of the model's trends.
func periodModel(us int64) int64 { return us / day * day }

// orderedTrend is by period whether the actor converted.
func (m *compatModel) orderedTrend(events []markEvent, value string) map[int64]bool {
	type attempt struct {
		max        int
		maxTime    int64
		taint      string
		start, bad map[int]int64
	}
	open := map[int64]*attempt{}
	out := map[int64]bool{}
	goal := m.trend.To + 1
	for _, e := range events {
		period := periodModel(e.time)
		for i := len(e.marks) - 1; i >= 0; i-- {
			k := max(e.marks[i], -e.marks[i])
			wrong := e.marks[i] > 0 && m.wrong(k-1, e, value)
			if e.marks[i] == 1 {
				if wrong || out[period] {
					continue
				}
				if a := open[period]; a == nil || a.max == 1 && a.taint != "" {
					open[period] = &attempt{max: 1, maxTime: e.time, start: map[int]int64{1: e.time}, bad: map[int]int64{}}
				} else {
					a.start[1] = e.time
					delete(a.bad, 1)
				}
				continue
			}
			for p, a := range open {
				s, ok := a.start[k-1]
				if at, has := a.start[k]; !ok || e.time-s > m.window || has && at == s {
					continue
				}
				_, bad := a.bad[k-1]
				if e.marks[i] < 0 {
					if !bad {
						a.bad[k-1] = 1
						if a.max == k-1 && e.time-a.maxTime <= m.window {
							a.taint = "partial"
						}
					}
					continue
				}
				if wrong {
					continue
				}
				if !bad {
					a.start[k] = s
					delete(a.bad, k)
				}
				if _, ok := a.start[goal]; ok {
					out[p] = true
					delete(open, p)
				} else if k > a.max || k == a.max && a.taint == "partial" {
					a.max, a.maxTime, a.taint = k, e.time, ""
					if bad {
						a.taint = "full"
					}
				}
			}
		}
		for _, a := range open {
			for k := 1; m.mode == plan.Strict && k <= m.steps; k++ {
				if !slices.Contains(e.marks, k) {
					delete(a.start, k)
				}
			}
		}
	}
	for _, a := range open {
		if a.taint == "full" {
			return out
		}
	}
	for p, a := range open {
		if a.max >= m.trend.From+1 && a.taint == "" {
			out[p] = false
		}
	}
	return out
}

func (m *compatModel) unorderedTrend(events []markEvent, value string) map[int64]bool {
	queues := make([][]int64, m.steps)
	most := map[int64]int{}
	oldest := func() (best, done int) {
		best = -1
		for s, q := range queues {
			if len(q) > 0 {
				done++
				if best < 0 || q[0] < queues[best][0] {
					best = s
				}
			}
		}
		return best, done
	}
	remove := func() {
		s, done := oldest()
		p := periodModel(queues[s][0])
		most[p] = max(most[p], done)
		queues[s] = queues[s][1:]
	}
	for _, e := range events {
		for {
			s, done := oldest()
			if s < 0 || done < m.steps && queues[s][0]+m.window >= e.time {
				break
			}
			remove()
		}
		if e.marks[0] < 0 {
			queues = make([][]int64, m.steps)
			continue
		}
		if _, done := oldest(); m.wrong(done, e, value) {
			continue
		}
		to := -1
		for _, k := range e.marks {
			if k > 0 && (to < 0 || lastOf(queues[k-1]) < lastOf(queues[to])) {
				to = k - 1
			}
		}
		queues[to] = append(queues[to], e.time)
	}
	for s, _ := oldest(); s >= 0; s, _ = oldest() {
		remove()
	}
	out := map[int64]bool{}
	for p, n := range most {
		if n > m.trend.From {
			out[p] = n > m.trend.To
		}
	}
	return out
}

// actorsModel is what the model says of every actor, in the form of the rows of OUTPUT
// ACTORS or TREND ACTORS, sorted.
func (m *compatModel) actorsModel(rows []testRow, actorOf, personOf func(testRow) string) []string {
	firsts := map[int]map[int]bool{}
	for k, cond := range m.firstOf {
		firsts[k] = map[int]bool{}
		seen := map[string]bool{}
		for _, r := range sortedRows(rows) {
			if p := personOf(r); r.conds[cond] && !seen[p] {
				seen[p] = true
				firsts[k][r.tie] = true
			}
		}
	}
	actors := map[string][]testRow{}
	for _, r := range rows {
		if a := actorOf(r); a != "" {
			actors[a] = append(actors[a], r)
		}
	}
	var out []string
	for actor, mine := range actors {
		events := m.events(mine, firsts)
		if m.trend == nil {
			events = thinModel(events)
		}
		for value, list := range m.evaluations(events) {
			prefix := ""
			if m.breakdown {
				if prefix = value + " "; value == "" {
					prefix = "- "
				}
			}
			if m.trend != nil {
				periods := m.orderedTrend
				if m.mode == plan.Unordered {
					periods = m.unorderedTrend
				}
				for p, converted := range periods(list, value) {
					out = append(out, fmt.Sprint(prefix, p, " ", actor, " ", converted, " "))
				}
				continue
			}
			match := m.ordered
			if m.mode == plan.Unordered {
				match = m.unordered
			}
			bits, times := match(list, value)
			if bits == 0 {
				continue
			}
			line := fmt.Sprint(prefix, actor, " ", len(times), " ", bits, " [")
			for _, t := range times {
				line += fmt.Sprint(t, " ")
			}
			out = append(out, line+"] "+fmt.Sprint(times[0], " "))
		}
	}
	sort.Strings(out)
	return out
}

func sortedRows(rows []testRow) []testRow {
	rows = slices.Clone(rows)
	sort.SliceStable(rows, func(i, j int) bool { return rows[i].us < rows[j].us })
	return rows
}

// longestModel is how many steps there are in the longest chain found by trying every choice
// of different rows in order of time, all within the window from the first.
func longestModel(events []markEvent, steps int, window int64) int {
	best := 0
	var try func(from int, k int, start int64)
	try = func(from, k int, start int64) {
		best = max(best, k)
		for i := from; i < len(events) && k < steps; i++ {
			e := events[i]
			if slices.Contains(e.marks, k+1) && (k == 0 || e.time-start <= window) {
				s := start
				if k == 0 {
					s = e.time
				}
				try(i+1, k+1, s)
			}
		}
	}
	try(0, 0, 0)
	return best
}
