package exec

import "slices"

// taint says what an exclusion has done to an attempt of a trend.
type taint uint8

const (
	untainted taint = iota
	// partly: an exclusion came after the furthest step so far; an attempt that begins
	// anew, or comes as far again, is clean.
	partly
	// fully: the furthest step was reached past an exclusion.
	fully
)

// trendAttempt is an actor's attempt that began in a period and has not converted.
type trendAttempt struct {
	period  int
	max     int   // the furthest step
	maxTime int64 // when it was reached
	taint   taint
	// start is by step the start of the chain that came last to it; set has a bit for
	// those that there are, bad for those that an exclusion came after.
	start    []int64
	set, bad uint64
}

func (a *trendAttempt) has(k int) bool   { return a.set>>(k-1)&1 != 0 }
func (a *trendAttempt) isBad(k int) bool { return a.bad>>(k-1)&1 != 0 }

// reach has a clean chain that began at start come to step k.
func (a *trendAttempt) reach(k int, start int64) {
	a.start[k-1] = start
	a.set |= 1 << (k - 1)
	a.bad &^= 1 << (k - 1)
}

// orderedTrend keeps one attempt for each period in which an actor did the first step, and
// shows every row to all of them. There are no near ties here.
type orderedTrend struct {
	rules     *compatRules
	open      []trendAttempt
	converted []int // periods
}

func (m *orderedTrend) match(dst []trendEntry, rows []compatRow, value uint32, line *timeline) []trendEntry {
	m.open, m.converted = m.open[:0], m.converted[:0]
	for i := range rows {
		r := &rows[i]
		eachBit(r.bars, func(bit int) {
			for a := range m.open {
				m.exclude(&m.open[a], r, bit+1)
			}
		})
		eachBit(r.steps, func(bit int) {
			switch {
			case m.rules.wrongValue(r, bit, value):
			case bit == 0:
				m.enter(r, line.bucket(r.time))
			default:
				m.reach(r, bit+1)
			}
		})
		if m.rules.strict {
			for a := range m.open {
				m.open[a].set &= r.steps
			}
		}
	}
	for _, p := range m.converted {
		dst = append(dst, trendEntry{p, true})
	}
	for a := range m.open {
		if m.open[a].taint == fully {
			return dst // the actor's other attempts go with it
		}
	}
	for a := range m.open {
		if o := &m.open[a]; o.max >= m.rules.fromStep && o.taint != partly {
			dst = append(dst, trendEntry{o.period, false})
		}
	}
	return dst
}

// enter is the first step of a period.
func (m *orderedTrend) enter(r *compatRow, period int) {
	if slices.Contains(m.converted, period) {
		return
	}
	at := slices.IndexFunc(m.open, func(a trendAttempt) bool { return a.period == period })
	if at < 0 {
		at = len(m.open)
		m.open = slices.Grow(m.open, 1)[:at+1] // with the memory of an earlier attempt
		m.open[at].renew(r.time, period, m.rules.steps)
	} else if a := &m.open[at]; a.max == 1 && a.taint != untainted {
		a.renew(r.time, period, m.rules.steps)
	}
	m.open[at].reach(1, r.time)
	if m.rules.toStep == 1 {
		m.convert(at)
	}
}

func (a *trendAttempt) renew(time int64, period, steps int) {
	*a = trendAttempt{period: period, max: 1, maxTime: time, start: grow(a.start, steps)}
}

// from says whether a row can take an attempt from step k-1 to k, and the start it has then.
func (m *orderedTrend) from(a *trendAttempt, r *compatRow, k int) (int64, bool) {
	if !a.has(k - 1) {
		return 0, false
	}
	start := a.start[k-2]
	return start, r.time-start <= m.rules.window && !(a.has(k) && a.start[k-1] == start)
}

// exclude is what a row does that must not come between steps k-1 and k.
func (m *orderedTrend) exclude(a *trendAttempt, r *compatRow, k int) {
	if _, ok := m.from(a, r, k); !ok || a.isBad(k-1) {
		return
	}
	a.bad |= 1 << (k - 2)
	if a.max == k-1 && r.time-a.maxTime <= m.rules.window {
		a.taint = partly
	}
}

// reach has a row take all attempts that it can to step k.
func (m *orderedTrend) reach(r *compatRow, k int) {
	for at := 0; at < len(m.open); at++ {
		a := &m.open[at]
		start, ok := m.from(a, r, k)
		if !ok {
			continue
		}
		bad := a.isBad(k - 1)
		if !bad {
			a.reach(k, start)
		}
		if a.has(m.rules.toStep) {
			m.convert(at)
			at--
			continue
		}
		if k > a.max || k == a.max && a.taint == partly {
			a.max, a.maxTime, a.taint = k, r.time, untainted
			if bad {
				a.taint = fully
			}
		}
	}
}

// convert closes an attempt: its period has converted.
func (m *orderedTrend) convert(at int) {
	m.converted = append(m.converted, m.open[at].period)
	closed := m.open[at]
	last := len(m.open) - 1
	copy(m.open[at:], m.open[at+1:])
	m.open[last] = closed // its memory is used again
	m.open = m.open[:last]
}
