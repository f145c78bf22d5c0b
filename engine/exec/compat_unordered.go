package exec

import "slices"

// stepQueues hold the rows that may still count in an unordered funnel, by step: every row
// is in one of them, and leaves when its window is over.
type stepQueues struct {
	rules  *compatRules
	queues []stepQueue
	done   int // queues that are not empty
}

// stepQueue is the rows of a step that wait: rows[head:].
type stepQueue struct {
	rows []queued
	head int
}

func (q *stepQueue) len() int      { return len(q.rows) - q.head }
func (q *stepQueue) front() queued { return q.rows[q.head] }

// queued is a row in a queue.
type queued struct {
	time   int64
	period int
}

func newStepQueues(rules *compatRules) stepQueues {
	return stepQueues{rules: rules, queues: make([]stepQueue, rules.steps)}
}

func (q *stepQueues) clear() {
	for s := range q.queues {
		q.queues[s] = stepQueue{rows: q.queues[s].rows[:0]}
	}
	q.done = 0
}

// oldest is the queue whose front is oldest, the first among equals. There is a front.
func (q *stepQueues) oldest() int {
	best := -1
	for s := range q.queues {
		if q.queues[s].len() > 0 && (best < 0 || q.queues[s].front().time < q.queues[best].front().time) {
			best = s
		}
	}
	return best
}

// leave removes the front of a queue.
func (q *stepQueues) leave(s int) {
	w := &q.queues[s]
	if w.head++; w.len() == 0 {
		*w = stepQueue{rows: w.rows[:0]}
		q.done--
	}
}

// settled says that the front of queue s no longer waits for anything at a time: all steps
// are done, or its window is over.
func (q *stepQueues) settled(s int, time int64) bool {
	return q.done == q.rules.steps || time-q.queues[s].front().time > q.rules.window
}

// enter puts a row into the queue, among those of its steps, that has waited longest for
// one; an empty queue has waited for ever.
func (q *stepQueues) enter(r *compatRow, period int) {
	to := -1
	var last int64
	for s := range q.queues {
		if r.steps>>s&1 == 0 {
			continue
		}
		w := &q.queues[s]
		if w.len() == 0 {
			to = s
			break
		}
		if t := w.rows[len(w.rows)-1].time; to < 0 || t < last {
			to, last = s, t
		}
	}
	w := &q.queues[to]
	if w.len() == 0 {
		q.done++
	}
	w.rows = append(w.rows, queued{r.time, period})
}

// unorderedMatcher finds the most steps that an actor did within one window, in any order.
type unorderedMatcher struct {
	stepQueues
	best []int64 // times of the fronts when most queues were filled
}

func newUnorderedMatcher(rules *compatRules) *unorderedMatcher {
	return &unorderedMatcher{stepQueues: newStepQueues(rules)}
}

func (m *unorderedMatcher) match(rows []compatRow, value uint32) (uint64, []int64) {
	m.clear()
	m.best = m.best[:0]
	for i := range rows {
		r := &rows[i]
		for m.done > 0 {
			s := m.oldest()
			if !m.settled(s, r.time) {
				break
			}
			m.record()
			m.leave(s)
		}
		switch {
		case r.steps == 0: // an exclusion: what is not recorded is lost
			m.clear()
		case m.rules.wrongValue(r, m.done, value):
		default:
			m.enter(r, 0)
		}
		if len(m.best) == m.rules.steps {
			break
		}
	}
	m.record()
	if len(m.best) == 0 {
		return 0, nil
	}
	return ^uint64(0) >> (64 - len(m.best)), m.best
}

// record keeps the fronts if they are more than ever before.
func (m *unorderedMatcher) record() {
	if m.done <= len(m.best) {
		return
	}
	m.best = m.best[:0]
	for s := range m.queues {
		if m.queues[s].len() > 0 {
			m.best = append(m.best, m.queues[s].front().time)
		}
	}
	slices.Sort(m.best)
}

// unorderedTrend books the number of steps that were done together on the period of each
// row among them, when it leaves.
type unorderedTrend struct {
	stepQueues
	periods []periodSteps
}

// periodSteps is the most steps done from a row of a period.
type periodSteps struct{ period, steps int }

func newUnorderedTrend(rules *compatRules) *unorderedTrend {
	return &unorderedTrend{stepQueues: newStepQueues(rules)}
}

func (m *unorderedTrend) match(dst []trendEntry, rows []compatRow, value uint32, line *timeline) []trendEntry {
	m.clear()
	m.periods = m.periods[:0]
	for i := range rows {
		r := &rows[i]
		for m.done > 0 {
			s := m.oldest()
			if !m.settled(s, r.time) {
				break
			}
			m.book(s)
		}
		switch {
		case r.steps == 0:
			m.clear()
		case m.rules.wrongValue(r, m.done, value):
		default:
			m.enter(r, line.bucket(r.time))
		}
	}
	for m.done > 0 {
		m.book(m.oldest())
	}
	for _, p := range m.periods {
		if p.steps >= m.rules.fromStep {
			dst = append(dst, trendEntry{p.period, p.steps >= m.rules.toStep})
		}
	}
	return dst
}

// book removes the front of a queue, and keeps how many steps were done for its period.
func (m *unorderedTrend) book(s int) {
	period := m.queues[s].front().period
	at := slices.IndexFunc(m.periods, func(p periodSteps) bool { return p.period == period })
	if at < 0 {
		at = len(m.periods)
		m.periods = append(m.periods, periodSteps{period, 0})
	}
	m.periods[at].steps = max(m.periods[at].steps, m.done)
	m.leave(s)
}
