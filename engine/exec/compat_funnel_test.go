package exec

import (
	"context"
	"fmt"
	"math/rand"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/vec"
)

// compatRows makes rows of a few actors, at times a few units apart.
func compatRows(r *rand.Rand, conds int, unit int64, spread int) []testRow {
	rows := make([]testRow, r.Intn(45))
	likely := 1 + r.Intn(3)
	for i := range rows {
		row := testRow{actor: r.Intn(4), us: day + int64(r.Intn(spread))*unit, tie: i, conds: make([]bool, conds), value: []string{"", "x", "y", "z"}[r.Intn(4)]}
		if r.Intn(2) == 0 {
			row.conds[r.Intn(conds)] = true
		} else {
			for c := range row.conds {
				row.conds[c] = r.Intn(1+likely) == 0
			}
		}
		rows[i] = row
	}
	return rows
}

// randomCompat makes a funnel and the model's idea of it, over rows.
func randomCompat(r *rand.Rand, unit int64, spread int) (*plan.Funnel, *compatModel, []testRow) {
	m := &compatModel{steps: 2 + r.Intn(3), mode: plan.Mode(r.Intn(3)), optional: map[int]bool{}, firstOf: map[int]int{},
		from: vec.NegInfinityTime, to: vec.InfinityTime, window: int64(1+r.Intn(spread)) * unit}
	n := &plan.Funnel{Mode: m.mode, Within: &vec.IntervalValue{Micros: m.window}, Output: plan.OutputActors}
	if r.Intn(4) == 0 {
		n.Output, m.trend = plan.OutputTrend, &plan.Trend{Every: vec.IntervalValue{Days: 1}, Actors: true, From: r.Intn(m.steps - 1)}
		m.trend.To = m.trend.From + 1 + r.Intn(m.steps-m.trend.From-1)
		n.Trend = m.trend
	}
	for range r.Intn(3) {
		x := [2]int{0, m.steps - 1}
		if m.mode != plan.Unordered {
			x[0] = r.Intn(m.steps - 1)
			x[1] = x[0] + 1 + r.Intn(m.steps-x[0]-1)
		}
		m.exclusions = append(m.exclusions, x)
	}
	conds := m.steps + len(m.exclusions) + 2
	rows := compatRows(r, conds, unit, spread)
	if r.Intn(3) == 0 { // each row satisfies one condition
		for _, row := range rows {
			if at := slices.Index(row.conds, true); at >= 0 {
				clear(row.conds[at+1:])
			}
		}
	}
	src, cols := source(rows, conds)
	n.Source = src
	n.Compatible = true
	if r.Intn(2) == 0 {
		m.from = day + int64(r.Intn(spread))*unit
		m.to = m.from + int64(1+r.Intn(spread))*unit
		n.From, n.To = timeConst(m.from), timeConst(m.to)
	}
	for k := 1; k <= m.steps; k++ {
		s := plan.Step{Name: fmt.Sprint("s", k), Cond: cols[k]}
		if k > 1 && m.mode != plan.Unordered && m.trend == nil && r.Intn(4) == 0 {
			s.Optional, m.optional[k] = true, true
		}
		if r.Intn(8) == 0 {
			cond := m.steps + len(m.exclusions) + r.Intn(2)
			if r.Intn(2) == 0 {
				cond = k - 1
			}
			s.First, m.firstOf[k] = cols[1+cond], cond
		}
		n.Steps = append(n.Steps, s)
	}
	for i, x := range m.exclusions {
		n.Exclude = append(n.Exclude, plan.Exclusion{Cond: cols[1+m.steps+i], After: x[0], Before: x[1]})
	}
	if r.Intn(2) == 0 {
		m.breakdown, m.attribute = true, plan.Attribute(r.Intn(4))
		if m.mode != plan.Unordered {
			m.byStep = r.Intn(m.steps)
		}
		n.Breakdown = &plan.Breakdown{Exprs: []expr.Expr{cols[0]}, Names: []string{"v"}, Attribute: m.attribute, Step: m.byStep}
	}
	return n, m, rows
}

// pretendApart has an operator take its rows for those of an index, if no row satisfies two
// conditions, so that the lists are walked as they are.
func pretendApart(n *plan.Funnel, op Operator, rows []testRow) {
	for _, row := range rows {
		marks := 0
		for _, ok := range row.conds {
			if ok {
				marks++
			}
		}
		if marks > 1 {
			return
		}
	}
	f := op.(*compatFunnel)
	f.read = func(ctx context.Context, src *plan.Source, conds []expr.Expr, _ need) (actors, error) {
		ra, err := openRows(ctx, n, src, conds, f.env)
		return apartActors{ra}, err
	}
}

// TestCompatFunnelModel holds the operator against the model, for many small lists of rows
// with many ties.
func TestCompatFunnelModel(t *testing.T) {
	for seed := range tries(8000) {
		r := rand.New(rand.NewSource(seed))
		unit := []int64{10_000, 25_000, 60_000, 3_600_000_000, day / 2}[r.Intn(5)]
		n, m, rows := randomCompat(r, unit, 2+r.Intn(20))
		byPerson := func(r testRow) string { return fmt.Sprint(r.actor) }
		actor := byPerson
		if len(m.firstOf) > 0 {
			if n.Person = n.Actor; !m.breakdown && r.Intn(2) == 0 {
				// Actors that are not persons, and of whom a person may have several.
				n.Actor = &expr.Column{Index: 3, T: vec.T(vec.Text)}
				actor = func(r testRow) string { return r.value }
			}
		}
		want := m.actorsModel(rows, actor, byPerson)
		op, err := newFunnel(n, testEnv(0))
		if err != nil {
			t.Fatal(err)
		}
		pretendApart(n, op, rows)
		got := rowsOf(t, op)
		sort.Strings(got)
		if !slices.Equal(got, want) {
			t.Fatalf("seed %d, model %+v\nrows %+v\ngot  %q\nwant %q", seed, m, rows, got, want)
		}
	}
}

// TestCompatLongest holds ordered funnels without exclusions, optional steps and near ties
// against a definition that does not mention chains at all.
func TestCompatLongest(t *testing.T) {
	for seed := range tries(1000) {
		r := rand.New(rand.NewSource(seed))
		steps := 2 + r.Intn(3)
		rows := compatRows(r, steps, 1_000_000, 30)
		for i := range rows {
			rows[i].us += int64(i) * 60_000_000 // no two are near
		}
		src, cols := source(rows, steps)
		src.Compatible = true
		n := &plan.Funnel{Source: src, Output: plan.OutputActors, Within: &vec.IntervalValue{Micros: int64(1+r.Intn(20)) * 60_000_000}}
		m := &compatModel{steps: steps, from: vec.NegInfinityTime, to: vec.InfinityTime}
		for s := range steps {
			n.Steps = append(n.Steps, plan.Step{Name: fmt.Sprint("s", s+1), Cond: cols[1+s]})
		}
		var want []string
		for actor := range 4 {
			mine := slices.DeleteFunc(slices.Clone(rows), func(r testRow) bool { return r.actor != actor })
			if k := longestModel(m.events(mine, nil), steps, n.Within.Micros); k > 0 {
				want = append(want, fmt.Sprint(actor, " ", k))
			}
		}
		op, err := newFunnel(n, testEnv(0))
		if err != nil {
			t.Fatal(err)
		}
		got := rowsOf(t, op)
		sort.Strings(got)
		for i := range got {
			got[i] = got[i][:len("0 0")]
		}
		if !slices.Equal(got, want) {
			t.Fatalf("seed %d rows %+v\ngot  %q\nwant %q", seed, rows, got, want)
		}
	}
}

// compatCase is a funnel over rows of one actor each, written as time=marks/value: digits are
// steps, x and y the exclusions, - a row that is neither.
type compatCase struct {
	name     string
	steps    int
	mode     plan.Mode
	optional int      // a step from 1
	exclude  [][2]int // positions in steps
	window   time.Duration
	by       *plan.Breakdown
	trend    *plan.Trend
	actors   []string
	want     []string
}

func TestCompatFunnelCases(t *testing.T) {
	whole := [][2]int{{0, 1}}
	for _, c := range []compatCase{
		{name: "nobody is no rows", steps: 2, actors: []string{"1s=2"}},
		{name: "one instant, in whatever order rows arrive", steps: 3, actors: []string{"1s=3 1s=2 1s=1"},
			want: []string{"1 s1 1 - -", "2 s2 1 - -", "3 s3 1 - -"}},
		{name: "one row fills one step", steps: 2, actors: []string{"1s=12", "1s=12 1s=2", "1s=12 1s=12"},
			want: []string{"1 s1 3 - -", "2 s2 2 - -"}},
		{name: "ten steps in one instant", steps: 10, actors: []string{"1s=9 1s=7 1s=1 1s=3 1s=2 1s=5 1s=4 1s=6 1s=8 1s=a"},
			want: []string{"1 s1 1 - -", "2 s2 1 - -", "3 s3 1 - -", "4 s4 1 - -", "5 s5 1 - -", "6 s6 1 - -", "7 s7 1 - -", "8 s8 1 - -", "9 s9 1 - -", "10 s10 1 - -"}},
		{name: "10 ms out of order converts, and 50, but no more", steps: 2, actors: []string{"1s=2 1.01s=1", "1s=2 1.05s=1", "1s=2 1.050001s=1", "1s=2 1.5s=1"},
			want: []string{"1 s1 4 - -", "2 s2 2 - -"}},
		{name: "groups do not chain", steps: 2, actors: []string{"1s=2 1.04s=2 1.08s=1"},
			want: []string{"1 s1 1 - -", "2 s2 0 - -"}},
		{name: "an exclusion inside a mixed tie is ignored", steps: 2, exclude: whole, actors: []string{"1s=1 1.01s=x 1.02s=2"},
			want: []string{"1 s1 1 - -", "2 s2 1 0.02 0.02"}},
		{name: "an exclusion without the end drops the person", steps: 2, exclude: whole, actors: []string{"1s=1 2s=x", "1s=1 2s=x 3s=2"}},
		{name: "after the window it does not", steps: 2, exclude: whole, window: 5 * time.Second, actors: []string{"1s=1 6.000001s=x", "1s=1 6s=x"},
			want: []string{"1 s1 1 - -", "2 s2 0 - -"}},
		{name: "a new first step brings the person back", steps: 2, exclude: whole, actors: []string{"1s=1 2s=x 3s=1 4s=2"},
			want: []string{"1 s1 1 - -", "2 s2 1 1 1"}},
		{name: "two first steps tainted by one exclusion", steps: 2, exclude: whole, actors: []string{"1s=1 2s=1 3s=x"}},
		{name: "the window counts from step 1 and its edge is inside", steps: 3, window: 10 * time.Second, actors: []string{"1s=1 5s=2 11s=3", "1s=1 5s=2 11.000001s=3"},
			want: []string{"1 s1 2 - -", "2 s2 2 4 4", "3 s3 1 6 6"}},
		{name: "conversions in no time leave mean and median", steps: 2, actors: []string{"1s=1 1s=2", "1s=1 3s=2", "1s=1 5s=2"},
			want: []string{"1 s1 3 - -", "2 s2 3 3 3"}},
		{name: "the latest first step is the base", steps: 2, actors: []string{"1s=1 5s=1 7s=2"},
			want: []string{"1 s1 1 - -", "2 s2 1 2 2"}},
		{name: "strict: whatever else happens interrupts", steps: 2, mode: plan.Strict, actors: []string{"1s=1 2s=- 3s=2", "1s=1 3s=2"},
			want: []string{"1 s1 2 - -", "2 s2 1 2 2"}},
		{name: "strict: a repeated first step begins again", steps: 2, mode: plan.Strict, actors: []string{"1s=1 2s=1 3s=2"},
			want: []string{"1 s1 1 - -", "2 s2 1 1 1"}},
		{name: "strict: a near tie is no interruption", steps: 2, mode: plan.Strict, actors: []string{"1s=1 3s=- 3.01s=2"},
			want: []string{"1 s1 1 - -", "2 s2 1 2.01 2.01"}},
		{name: "an optional step may be missing", steps: 3, optional: 2, actors: []string{"1s=1 3s=3", "1s=1 2s=2 5s=3", "1s=1"},
			want: []string{"1 s1 3 - -", "2 s2 1 3 3", "3 s3 2 - -"}},
		{name: "unordered", steps: 3, mode: plan.Unordered, window: 10 * time.Second, actors: []string{"1s=3 2s=1 4s=2", "1s=3 12s=1", "1s=1 2s=1"},
			want: []string{"1 s1 3 - -", "2 s2 1 1 1", "3 s3 1 2 2"}},
		{name: "unordered: an exclusion clears, what was complete before stands", steps: 2, mode: plan.Unordered, exclude: whole,
			actors: []string{"1s=2 2s=x 3s=1", "1s=2 2s=1 3s=x"}, want: []string{"1 s1 2 - -", "2 s2 1 1 1"}},
		{name: "first touch skips rows without a value", steps: 2, by: &plan.Breakdown{}, actors: []string{"1s=1 2s=2/b", "1s=1/a 2s=2/b", "1s=1"},
			want: []string{"a 1 s1 1 - -", "a 2 s2 1 1 1", "b 1 s1 1 - -", "b 2 s2 1 1 1", "- 1 s1 1 - -", "- 2 s2 0 - -"}},
		{name: "step attribution: gone if the step was not reached, once per value", steps: 2, by: &plan.Breakdown{Attribute: plan.AttributeStep, Step: 1},
			actors: []string{"1s=1/a", "1s=1/a 2s=2/b 3s=2/c"}, want: []string{"b 1 s1 1 - -", "b 2 s2 1 1 1", "c 1 s1 1 - -", "c 2 s2 1 2 2"}},
		{name: "all events: only rows with the value", steps: 2, by: &plan.Breakdown{Attribute: plan.AttributeEach},
			actors: []string{"1s=1/a 2s=2/b 3s=2/a"}, want: []string{"a 1 s1 1 - -", "a 2 s2 1 2 2"}},
		{name: "the rest counts once per value, its times pooled, and takes its place", steps: 2, by: &plan.Breakdown{Top: 1, WithOther: true},
			actors: []string{"1s=1/a", "1s=1/a 2s=2", "1s=1/a 3s=2", "1s=1/b 2s=2", "1s=1/c 5s=2", "1s=1/d 4s=2"},
			want:   []string{"- true 1 s1 3 - -", "- true 2 s2 3 2.66666667 3", "a false 1 s1 3 - -", "a false 2 s2 2 1.5 1.5"}},
		{name: "without OTHER the rest vanishes", steps: 2, by: &plan.Breakdown{Top: 1}, actors: []string{"1s=1/a 2s=2", "1s=1/b"},
			want: []string{"a 1 s1 1 - -", "a 2 s2 1 1 1"}},
		{name: "a trend books an attempt on its own period", steps: 2, window: 72 * time.Hour, trend: &plan.Trend{To: 1}, actors: []string{"1h=1 50h=2", "1h=1 30h=1"},
			want: []string{"0 2 1", "86400000000 1 0"}},
		{name: "full taint drops the other open periods", steps: 3, window: 72 * time.Hour, exclude: [][2]int{{0, 1}}, trend: &plan.Trend{To: 2},
			actors: []string{"1h=1 2h=x 3h=2 30h=1", "1h=1 2h=x 30h=1"}, want: []string{"86400000000 1 0"}},
		{name: "a trend between later steps", steps: 3, window: 72 * time.Hour, trend: &plan.Trend{From: 1, To: 2}, actors: []string{"1h=1", "1h=1 2h=2", "1h=1 2h=2 30h=3"},
			want: []string{"0 2 1"}},
		{name: "an unordered trend", steps: 2, mode: plan.Unordered, window: 30 * time.Hour, trend: &plan.Trend{To: 1}, actors: []string{"1h=2 30h=1", "1h=2 32h=1"},
			want: []string{"0 2 1", "86400000000 2 0"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.run(t); !slices.Equal(got, c.want) {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
}

// run gives the rows of the answer, in order.
func (c *compatCase) run(t *testing.T) []string {
	t.Helper()
	conds := c.steps + len(c.exclude)
	var rows []testRow
	for actor, text := range c.actors {
		for _, word := range strings.Fields(text) {
			at, marks, _ := strings.Cut(word, "=")
			d, err := time.ParseDuration(at)
			if err != nil {
				t.Fatal(err)
			}
			row := testRow{actor: actor, us: d.Microseconds(), tie: len(rows), conds: make([]bool, conds)}
			marks, row.value, _ = strings.Cut(marks, "/")
			for _, m := range marks {
				if m == '-' {
					continue
				}
				row.conds[strings.IndexRune("123456789a"[:c.steps]+"xy", m)] = true
			}
			rows = append(rows, row)
		}
	}
	src, cols := source(rows, conds)
	src.Compatible = true
	n := &plan.Funnel{Source: src, Mode: c.mode, Within: &vec.IntervalValue{Days: 14}}
	if c.window > 0 {
		n.Within = &vec.IntervalValue{Micros: c.window.Microseconds()}
	}
	for s := range c.steps {
		n.Steps = append(n.Steps, plan.Step{Name: fmt.Sprint("s", s+1), Cond: cols[1+s], Optional: c.optional == s+1})
	}
	for i, x := range c.exclude {
		n.Exclude = append(n.Exclude, plan.Exclusion{Cond: cols[1+c.steps+i], After: x[0], Before: x[1]})
	}
	if c.by != nil {
		n.Breakdown = c.by
		n.Breakdown.Exprs, n.Breakdown.Names = cols[:1], []string{"v"}
	}
	if c.trend != nil {
		n.Output, n.Trend = plan.OutputTrend, c.trend
		n.Trend.Every = vec.IntervalValue{Days: 1}
	}
	op, err := newFunnel(n, testEnv(0))
	if err != nil {
		t.Fatal(err)
	}
	out := rowsOf(t, op)
	for i := range out {
		out[i] = strings.TrimSpace(out[i])
	}
	return out
}

// TestCompatEmptyActor drops rows whose actor is an empty text.
func TestCompatEmptyActor(t *testing.T) {
	text := &expr.Column{Index: 3, T: vec.T(vec.Text)}
	empty := func(s string) expr.Expr {
		return &expr.Const{Value: &vec.Vector{Type: vec.T(vec.Text), Form: vec.Const, Str: vec.StringsOf(s)}}
	}
	src, cols := source([]testRow{{us: 1, conds: []bool{true}, value: "a"}, {us: 2, conds: []bool{true}}}, 1)
	src.Actor, src.Compatible = text, true
	values := src.Input.(*plan.Values)
	values.Rows = append(values.Rows, slices.Clone(values.Rows[0]))
	values.Rows[2][3] = empty("")
	op, err := newFunnel(&plan.Funnel{Source: src, Output: plan.OutputActors, Steps: []plan.Step{{Name: "s", Cond: cols[1]}}}, testEnv(0))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := rowsOf(t, op), []string{"a 1 1 [1 ] 1 "}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
