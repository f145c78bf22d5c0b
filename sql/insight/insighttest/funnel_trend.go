package insighttest

import (
	"math"
	"slices"
	"time"
)

// entry is a period in which an actor entered the funnel.
type entry struct {
	actor, value string
	period       time.Time
	converted    bool
}

// entries are all periods actors entered in.
func (m *model) entries(f *funnelQuestion) []entry {
	actors, events := m.journeys(f)
	var out []entry
	for _, actor := range actors {
		for _, a := range m.attempts(f, events[actor], func(all []did) []did { return all }) {
			var found []entry
			if f.order == "unordered" {
				found = m.unorderedEntries(f, a)
			} else {
				found = m.orderedEntries(f, a)
			}
			for _, e := range found {
				e.actor, e.value = actor, a.value
				out = append(out, e)
			}
		}
	}
	return out
}

// try is the attempt of one period.
type try struct {
	max     int
	maxTime time.Time
	taint   string // "", partial, full
	start   []time.Time
	bad     []bool
}

func (m *model) orderedEntries(f *funnelQuestion, a attempt) []entry {
	F, G := f.from+1, f.to+1
	open := map[time.Time]*try{}
	converted := map[time.Time]bool{}
	var periods []time.Time // in order of their first attempt
	for _, d := range a.events {
		for _, mark := range slices.Backward(d.marks) {
			k := max(mark, -mark)
			wrong := mark > 0 && f.byStep() && k-1 == f.attributed && d.value != a.value
			if mark == 1 {
				p := m.startOf(f.span.interval, d.time)
				if wrong || converted[p] {
					continue
				}
				t := open[p]
				if t == nil || t.max == 1 && t.taint != "" {
					if !slices.Contains(periods, p) {
						periods = append(periods, p)
					}
					t = &try{max: 1, maxTime: d.time, start: make([]time.Time, f.steps+1), bad: make([]bool, f.steps+1)}
					open[p] = t
				}
				t.start[1], t.bad[1] = d.time, false
				continue
			}
			for _, p := range periods {
				t := open[p]
				if t == nil {
					continue
				}
				s := t.start[k-1]
				if s.IsZero() || d.time.Sub(s) > f.window || t.start[k].Equal(s) {
					continue
				}
				if mark < 0 {
					if !t.bad[k-1] {
						t.bad[k-1] = true
						if t.max == k-1 && d.time.Sub(t.maxTime) <= f.window {
							t.taint = "partial"
						}
					}
					continue
				}
				if wrong {
					continue
				}
				if !t.bad[k-1] { // a step done anew is clean
					t.start[k], t.bad[k] = s, false
				}
				if !t.start[G].IsZero() {
					converted[p] = true
					delete(open, p)
				} else if k > t.max || k == t.max && t.taint == "partial" {
					t.max, t.maxTime, t.taint = k, d.time, ""
					if t.bad[k-1] {
						t.taint = "full"
					}
				}
			}
		}
		if f.order == "strict" {
			for _, t := range open {
				for k := 1; k <= f.steps; k++ {
					if !d.matches(k) {
						t.start[k] = time.Time{}
					}
				}
			}
		}
	}
	var out []entry
	dropped := false
	for _, t := range open {
		dropped = dropped || t.taint == "full"
	}
	for _, p := range periods {
		switch t := open[p]; {
		case converted[p]:
			out = append(out, entry{period: p, converted: true})
		case t != nil && !dropped && t.max >= F && t.taint != "partial":
			out = append(out, entry{period: p})
		}
	}
	return out
}

func (m *model) unorderedEntries(f *funnelQuestion, a attempt) []entry {
	queues := make([][]did, f.steps)
	most := map[time.Time]int{}
	var periods []time.Time
	done := func() int {
		n := 0
		for _, q := range queues {
			if len(q) > 0 {
				n++
			}
		}
		return n
	}
	remove := func(o int) {
		p := m.startOf(f.span.interval, queues[o][0].time)
		if most[p] == 0 {
			periods = append(periods, p)
		}
		most[p] = max(most[p], done())
		queues[o] = queues[o][1:]
	}
	for _, d := range a.events {
		for done() > 0 {
			o := oldest(queues)
			if done() < f.steps && !queues[o][0].time.Add(f.window).Before(d.time) {
				break
			}
			remove(o)
		}
		f.enqueue(queues, d, a.value, done())
	}
	for done() > 0 {
		remove(oldest(queues))
	}
	var out []entry
	for _, p := range periods {
		if most[p] >= f.from+1 {
			out = append(out, entry{period: p, converted: most[p] >= f.to+1})
		}
	}
	return out
}

func (m *model) funnelTrends(f *funnelQuestion) []any {
	axis := m.axis(f.span)
	entered, converted := map[string][]float64{}, map[string][]float64{}
	if f.kind == "" {
		entered[""], converted[""] = make([]float64, len(axis)), make([]float64, len(axis))
	}
	for _, e := range m.entries(f) {
		if entered[e.value] == nil {
			entered[e.value], converted[e.value] = make([]float64, len(axis)), make([]float64, len(axis))
		}
		i := slices.IndexFunc(axis, func(t time.Time) bool { return t.Equal(e.period) })
		entered[e.value][i]++
		if e.converted {
			converted[e.value][i]++
		}
	}
	if len(entered) > intOf(f.query, 25, "breakdownFilter", "breakdown_limit") {
		unsupported("a trend of a funnel with more values than the limit")
	}
	out := []any{}
	for _, v := range keys(entered) {
		data := make([]float64, len(axis))
		for i, n := range entered[v] {
			if n > 0 {
				data[i] = math.RoundToEven(converted[v][i]/n*100*100) / 100
			}
		}
		o := object{"count": len(axis), "data": data, "days": days(f.span.interval, axis), "labels": m.labels(f.span.interval, axis, f.span)}
		if f.kind != "" {
			o["breakdown_value"] = f.answered(v)
		}
		out = append(out, o)
	}
	return out
}
