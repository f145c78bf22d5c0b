package exec

import (
	"fmt"
	"math/rand"
	"slices"
	"sort"
	"testing"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/vec"
)

// funnelModel is the definition of a funnel: it tries every chain.
type funnelModel struct {
	node     *plan.Funnel
	steps    int
	within   int64
	windows  []int64 // per step
	from, to int64
	holding  []int // conditions that are held; -1 is the value
}

// chainEvent is one event of a chain: a step, and the position of a row.
type chainEvent struct{ step, row int }

func (m *funnelModel) optional(step int) bool { return m.node.Steps[step].Optional }

// held is the values that are held of a row, and whether none is null.
func (m *funnelModel) held(r *testRow) (string, bool) {
	out := ""
	for _, h := range m.holding {
		if h < 0 {
			if r.value == "" {
				return "", false
			}
			out += r.value
			continue
		}
		out += fmt.Sprint(r.conds[h])
	}
	return out, true
}

func (m *funnelModel) is(r *testRow, step int) bool {
	_, ok := m.held(r)
	return ok && r.conds[step]
}

func (m *funnelModel) alike(a, b *testRow) bool {
	x, _ := m.held(a)
	y, _ := m.held(b)
	return x == y
}

// best is the chain of the attempt that begins at row e, in order of its events.
func (m *funnelModel) best(rows []testRow, e int) []chainEvent {
	if m.node.Mode == plan.Unordered {
		return m.bestSet(rows, e)
	}
	var best []chainEvent
	var walk func(chain []chainEvent)
	walk = func(chain []chainEvent) {
		if m.beats(rows, chain, best) {
			best = slices.Clone(chain)
		}
		last := chain[len(chain)-1]
		for s := last.step + 1; s < m.steps; s++ {
			for i := range rows {
				gap := rows[i].us - rows[last.row].us
				used := slices.ContainsFunc(chain, func(c chainEvent) bool { return c.row == i })
				if !used && m.is(&rows[i], s) && m.alike(&rows[i], &rows[e]) && gap >= 0 && gap <= m.windows[s] &&
					rows[i].us-rows[e].us <= m.within && (m.node.Mode != plan.Strict || i == last.row+1) {
					walk(append(chain, chainEvent{s, i}))
				}
			}
			if !m.optional(s) {
				break
			}
		}
	}
	walk([]chainEvent{{0, e}})
	return best
}

// beats says whether an ordered chain is better than another: the furthest, then that with
// the smallest times from left to right, where a step left out is later than any, then that
// with the first rows.
func (m *funnelModel) beats(rows []testRow, a, b []chainEvent) bool {
	if b == nil {
		return true
	}
	if x, y := a[len(a)-1].step, b[len(b)-1].step; x != y {
		return x > y
	}
	at := func(c []chainEvent, step int) (int64, int) {
		for _, e := range c {
			if e.step == step {
				return rows[e.row].us, e.row
			}
		}
		return vec.InfinityTime, len(rows)
	}
	for s := range m.steps {
		x, _ := at(a, s)
		if y, _ := at(b, s); x != y {
			return x < y
		}
	}
	for s := range m.steps {
		_, x := at(a, s)
		if _, y := at(b, s); x != y {
			return x < y
		}
	}
	return false
}

// bestSet is best for MODE UNORDERED: most steps; then the first rows; then those steps that
// are not optional, and the first; then the smallest times by step; then the first rows.
func (m *funnelModel) bestSet(rows []testRow, e int) []chainEvent {
	var best, bestKey []int64
	rowOf := make([]int, m.steps)
	var try func(s int)
	try = func(s int) {
		if s < m.steps {
			rowOf[s] = -1
			try(s + 1)
			for i := range rows {
				if gap := rows[i].us - rows[e].us; gap < 0 || gap > m.within || !m.is(&rows[i], s) || !m.alike(&rows[i], &rows[e]) || slices.Contains(rowOf[:s], i) {
					continue
				}
				rowOf[s] = i
				try(s + 1)
			}
			return
		}
		if !slices.Contains(rowOf, e) {
			return
		}
		var others, times, at, set []int64
		for _, r := range rowOf {
			if r >= 0 && r != e {
				others = append(others, int64(r))
			}
			if r >= 0 {
				times, at = append(times, rows[r].us), append(at, int64(r))
			} else {
				times, at = append(times, vec.InfinityTime), append(at, int64(len(rows)))
			}
		}
		slices.Sort(others)
		for _, optional := range []bool{false, true} {
			for s, r := range rowOf {
				if m.optional(s) == optional {
					set = append(set, map[bool]int64{true: 0, false: 1}[r >= 0])
				}
			}
		}
		key := append([]int64{-int64(len(others))}, others...)
		key = append(append(append(key, set...), times...), at...)
		if bestKey == nil || slices.Compare(key, bestKey) < 0 {
			bestKey, best = key, nil
			for _, r := range rowOf {
				best = append(best, int64(r))
			}
		}
	}
	try(0)
	var out []chainEvent
	for s, r := range best {
		if r >= 0 {
			out = append(out, chainEvent{s, int(r)})
		}
	}
	slices.SortStableFunc(out, func(a, b chainEvent) int { return a.row - b.row })
	return out
}

// exclude applies the exclusions to a chain; nil means that the attempt does not count.
func (m *funnelModel) exclude(rows []testRow, chain []chainEvent) []chainEvent {
	timeOf := func(step int) (int64, bool) {
		for _, c := range chain {
			if c.step == step {
				return rows[c.row].us, true
			}
		}
		return 0, false
	}
	cut := vec.InfinityTime
	for x, ex := range m.node.Exclude {
		lo, hi := rows[chain[0].row].us, rows[chain[len(chain)-1].row].us
		ok, ok2 := true, true
		if ex.After > 0 {
			lo, ok = timeOf(ex.After)
		}
		if ex.Before >= 0 {
			hi, ok2 = timeOf(ex.Before)
		}
		for _, r := range rows {
			if !ok || !ok2 || !r.conds[m.steps+x] || r.us <= lo || r.us >= hi {
				continue
			}
			if !ex.Drop {
				return nil
			}
			cut = min(cut, r.us)
		}
	}
	return slices.DeleteFunc(slices.Clone(chain), func(c chainEvent) bool { return rows[c.row].us >= cut })
}

// done says whether a chain has all steps that are not optional.
func (m *funnelModel) done(chain []chainEvent) bool {
	for s := range m.steps {
		if !m.optional(s) && !slices.ContainsFunc(chain, func(c chainEvent) bool { return c.step == s }) {
			return false
		}
	}
	return true
}

func (m *funnelModel) reached(chain []chainEvent) int {
	if m.node.Mode == plan.Unordered {
		return len(chain)
	}
	return chain[len(chain)-1].step + 1
}

// attempts hands on the attempts among an actor's rows, by the rule of ENTRY but BEST.
func (m *funnelModel) attempts(rows []testRow, found func([]chainEvent)) {
	free, any := int64(0), false
	for e := range rows {
		r := &rows[e]
		entry := m.is(r, 0)
		for s := 1; s < m.steps && m.node.Mode == plan.Unordered; s++ {
			entry = entry || m.is(r, s)
		}
		if !entry || r.us < m.from || r.us >= m.to || any && m.node.Entry == plan.EntryFirst ||
			any && m.node.Entry == plan.EntryEvery && r.us <= free {
			continue
		}
		chain := m.best(rows, e)
		any = true
		if free = vec.InfinityTime; m.within < vec.InfinityTime {
			free = r.us + m.within
		}
		if m.done(chain) {
			free = rows[chain[len(chain)-1].row].us
		}
		if chain = m.exclude(rows, chain); chain != nil {
			found(chain)
		}
	}
}

func (m *funnelModel) attributed(rows []testRow, chain []chainEvent) string {
	by, value := m.node.Breakdown, ""
	for i := range chain {
		c := chain[i]
		if by.Attribute == plan.AttributeFirst {
			c = chain[len(chain)-1-i]
		}
		v := rows[c.row].value
		if by.Attribute == plan.AttributeStep && c.step == by.Step || by.Attribute != plan.AttributeStep && v != "" {
			value = v
		}
	}
	return value
}

// lines is the rows of OUTPUT ACTORS or TREND ACTORS.
func (m *funnelModel) lines(all []testRow) []string {
	var out []string
	for actor := range 5 {
		var rows []testRow
		for _, r := range all {
			if r.actor == actor {
				rows = append(rows, r)
			}
		}
		sort.SliceStable(rows, func(i, j int) bool { return rows[i].us < rows[j].us })
		type result struct {
			rows  []testRow
			chain []chainEvent
		}
		results := map[string][]result{}
		offer := func(value string, rows []testRow, chain []chainEvent) {
			r, old := result{rows, chain}, results[value]
			if m.node.Entry != plan.EntryBest || len(old) == 0 {
				results[value] = append(old, r)
			} else if m.reached(chain) > m.reached(old[0].chain) {
				old[0] = r
			}
		}
		by := m.node.Breakdown
		switch {
		case by == nil:
			m.attempts(rows, func(c []chainEvent) { offer("", rows, c) })
		case by.Attribute == plan.AttributeEach:
			for _, v := range []string{"", "x", "y", "z"} {
				carry := slices.DeleteFunc(slices.Clone(rows), func(r testRow) bool { return r.value != v })
				m.attempts(carry, func(c []chainEvent) { offer(v, carry, c) })
			}
		default:
			m.attempts(rows, func(c []chainEvent) { offer(m.attributed(rows, c), rows, c) })
		}
		for v, list := range results {
			for _, r := range list {
				if line := m.line(r.rows, r.chain, actor); line != "" {
					if by != nil {
						line = map[bool]string{true: "-", false: v}[v == ""] + " " + line
					}
					out = append(out, line)
				}
			}
		}
	}
	sort.Strings(out)
	return out
}

func (m *funnelModel) line(rows []testRow, chain []chainEvent, actor int) string {
	times := make([]string, m.steps)
	for i := range times {
		times[i] = "-"
	}
	for _, c := range chain {
		times[c.step] = fmt.Sprint(rows[c.row].us)
	}
	if t := m.node.Trend; t != nil {
		to := t.To >= 0 && times[max(0, t.To)] != "-" || t.To < 0 && m.done(chain)
		if times[t.From] == "-" && m.node.Mode != plan.Unordered {
			return ""
		}
		return fmt.Sprint(rows[chain[0].row].us/day*day, " ", actor, " ", to, " ")
	}
	line := fmt.Sprint(actor, " ", m.reached(chain), " ", m.done(chain), " ", rows[chain[0].row].us, " [")
	for _, t := range times {
		line += t + " "
	}
	return line + "] s" + fmt.Sprint(chain[len(chain)-1].step+1) + " "
}

// randomFunnel makes a funnel with all its clauses, the definition of it, and rows.
func randomFunnel(r *rand.Rand) (*funnelModel, []testRow) {
	const unit = 6 * 3_600_000_000
	m := &funnelModel{steps: 1 + r.Intn(4), within: vec.InfinityTime, from: vec.NegInfinityTime, to: vec.InfinityTime}
	spread := 1 + r.Intn(25)
	conds := m.steps + 3
	rows := randomRows(r, conds, spread, false)
	for i := range rows {
		rows[i].conds[r.Intn(conds)] = false
		if r.Intn(2) == 0 { // one step, or none
			for c := range rows[i].conds {
				rows[i].conds[c] = false
			}
			rows[i].conds[r.Intn(conds)] = true
		}
	}
	src, cols := source(rows, conds)
	n := &plan.Funnel{Source: src, Output: plan.OutputActors, Mode: plan.Mode(r.Intn(3)), Entry: plan.Entry(r.Intn(4))}
	m.node = n
	if r.Intn(2) == 0 {
		m.from = int64(r.Intn(spread)) * unit
		m.to = m.from + int64(1+r.Intn(spread))*unit
		n.From, n.To = timeConst(m.from), timeConst(m.to)
	}
	if r.Intn(3) > 0 {
		m.within = int64(1+r.Intn(12)) * unit
		n.Within = &vec.IntervalValue{Micros: m.within}
	}
	for s := range m.steps {
		st := plan.Step{Name: fmt.Sprint("s", s+1), Cond: cols[1+s]}
		st.Optional = (s > 0 || n.Mode == plan.Unordered && m.steps > 1) && r.Intn(4) == 0
		m.windows = append(m.windows, vec.InfinityTime)
		if s > 0 && n.Mode != plan.Unordered && r.Intn(4) == 0 {
			m.windows[s] = int64(1+r.Intn(4)) * unit
			st.Within = &vec.IntervalValue{Micros: m.windows[s]}
		}
		n.Steps = append(n.Steps, st)
	}
	if n.Required() == 0 {
		n.Steps[0].Optional = false
	}
	for x := range r.Intn(3) {
		ex := plan.Exclusion{Cond: cols[1+m.steps+x], Before: -1, Drop: r.Intn(2) == 0}
		if n.Mode != plan.Unordered && m.steps > 1 && r.Intn(2) == 0 {
			ex.After = r.Intn(m.steps - 1)
			if r.Intn(2) == 0 {
				ex.Before = ex.After + 1 + r.Intn(m.steps-1-ex.After)
			}
		}
		n.Exclude = append(n.Exclude, ex)
	}
	if r.Intn(3) == 0 {
		for _, h := range [][]int{{-1}, {m.steps + 2}, {-1, m.steps + 2}}[r.Intn(3)] {
			m.holding = append(m.holding, h)
			n.Holding = append(n.Holding, cols[1+h]) // the value comes before the conditions
		}
	}
	if r.Intn(2) == 0 {
		n.Breakdown = &plan.Breakdown{Exprs: []expr.Expr{cols[0]}, Names: []string{"v"}, Attribute: plan.Attribute(r.Intn(4)), Step: r.Intn(m.steps)}
	}
	if r.Intn(5) == 0 {
		n.Output, n.Trend = plan.OutputTrend, &plan.Trend{Every: vec.IntervalValue{Days: 1}, Actors: true, To: -1}
		if n.Mode != plan.Unordered && m.steps > 1 && r.Intn(2) == 0 {
			n.Trend.From = r.Intn(m.steps - 1)
			n.Trend.To = n.Trend.From + 1 + r.Intn(m.steps-1-n.Trend.From)
		}
	}
	return m, rows
}

// TestFunnelClauses holds the operator against the definition, for many small lists of rows
// with many ties.
func TestFunnelClauses(t *testing.T) {
	for seed := range tries(8000) {
		r := rand.New(rand.NewSource(seed))
		m, rows := randomFunnel(r)
		want := m.lines(rows)
		op, err := Build(m.node, testEnv(0))
		if err != nil {
			t.Fatal(err)
		}
		got := rowsOf(t, op)
		sort.Strings(got)
		if !slices.Equal(got, want) {
			t.Fatalf("seed %d, funnel %+v\nmodel %+v\nrows %+v\ngot  %q\nwant %q", seed, m.node, m, rows, got, want)
		}
	}
}
