package exec

import (
	"context"
	"fmt"
	"math/rand"
	"slices"
	"sort"
	"testing"
	"time"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/vec"
)

// testRow is one row as the models see it: plain, in a slice.
type testRow struct {
	actor int
	us    int64
	tie   int
	conds []bool
	value string // "" is null
}

// randomRows makes rows of a few actors with many equal times. If apart, no row satisfies
// two conditions.
func randomRows(r *rand.Rand, conds, spread int, apart bool) []testRow {
	rows := make([]testRow, r.Intn(40))
	for i := range rows {
		row := testRow{actor: r.Intn(5), us: int64(r.Intn(spread)) * 6 * 3_600_000_000, tie: i, conds: make([]bool, conds)}
		if apart {
			row.conds[r.Intn(conds)] = true
		} else {
			for c := range row.conds {
				row.conds[c] = r.Intn(2) == 0
			}
		}
		row.value = []string{"", "x", "y", "z"}[r.Intn(4)]
		rows[i] = row
	}
	return rows
}

// source makes rows the input of a native operator: columns actor, time, tie, value and a
// boolean per condition.
func source(rows []testRow, conds int) (plan.Source, []expr.Expr) {
	types := []vec.Type{vec.T(vec.Int8), vec.T(vec.TimestampTZ), vec.T(vec.Int8), vec.T(vec.Text)}
	for range conds {
		types = append(types, vec.T(vec.Bool))
	}
	v := &plan.Values{}
	cols := make([]expr.Expr, len(types))
	for i, t := range types {
		v.Columns = append(v.Columns, vec.Field{Name: fmt.Sprint("c", i), Type: t})
		cols[i] = &expr.Column{Index: i, T: t}
	}
	lit := func(x vec.Vector) expr.Expr { x.Form = vec.Const; return &expr.Const{Value: &x} }
	for _, r := range rows {
		out := []expr.Expr{
			lit(vec.Vector{Type: types[0], I64: []int64{int64(r.actor)}}),
			lit(vec.Vector{Type: types[1], I64: []int64{r.us}}),
			lit(vec.Vector{Type: types[2], I64: []int64{int64(r.tie)}}),
			&expr.Const{Value: vec.NullConst(types[3])}}
		if r.value != "" {
			out[3] = lit(vec.Vector{Type: types[3], Str: vec.StringsOf(r.value)})
		}
		for _, c := range r.conds {
			out = append(out, lit(vec.Vector{Type: vec.T(vec.Bool), Bools: []bool{c}}))
		}
		v.Rows = append(v.Rows, out)
	}
	return plan.Source{Input: v, Actor: cols[0], Time: cols[1], Tie: cols[2]}, cols[3:]
}

func timeConst(us int64) expr.Expr {
	return &expr.Const{Value: &vec.Vector{Type: vec.T(vec.TimestampTZ), Form: vec.Const, I64: []int64{us}}}
}

// apartActors pretends that no row is in two lists, so that the kernels for that case run.
type apartActors struct{ *rowActors }

func (apartActors) disjoint() bool { return true }

// tries is how many of so many random cases are tried: a sixteenth of them in a short run.
func tries(n int64) int64 {
	if testing.Short() {
		return (n + 15) / 16
	}
	return n
}

func testEnv(now int64) *Env {
	return &Env{Expr: &expr.Context{Now: now, Location: time.UTC}, Threads: 2, Progress: &Progress{}}
}

// sortedAnswer is the answer of a plan as text, in the order of the text.
func sortedAnswer(t *testing.T, n plan.Node, env *Env) []string {
	t.Helper()
	op, err := Build(n, env)
	if err != nil {
		t.Fatal(err)
	}
	defer op.Close()
	rows := rowsOf(t, op)
	slices.Sort(rows)
	return rows
}

// rowsOf reads an operator's rows as text, in order.
func rowsOf(t *testing.T, op Operator) []string {
	t.Helper()
	var out []string
	err := drain(context.Background(), op, func(b *vec.Batch) error {
		b = b.Compact()
		for i := range b.Rows {
			out = append(out, lineOf(b.Cols, i))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func lineOf(cols []*vec.Vector, row int) string {
	line := ""
	for _, c := range cols {
		line += cell(c, row) + " "
	}
	return line
}

func cell(v *vec.Vector, row int) string {
	if v.IsNull(row) {
		return "-"
	}
	v, row = v.At(row)
	switch v.Type.Payload() {
	case vec.PayloadBools:
		return fmt.Sprint(v.Bools[row])
	case vec.PayloadI64:
		return fmt.Sprint(v.I64[row])
	case vec.PayloadF64:
		return fmt.Sprintf("%.9g", v.F64[row])
	case vec.PayloadStr:
		return string(v.Str.At(row))
	case vec.PayloadUUIDs:
		return fmt.Sprintf("%x", v.UUIDs[row])
	case vec.PayloadIvl:
		iv := v.Ivl[row]
		return fmt.Sprint((int64(iv.Days)*24*3600*1e6 + iv.Micros) / 1000)
	case vec.PayloadList:
		s := "["
		for e := v.Offs[row]; e < v.Offs[row+1]; e++ {
			s += cell(v.Elem, int(e)) + " "
		}
		return s + "]"
	}
	return "?"
}

// modelAttempt is the definition: of all chains that begin at row e, those that reach
// furthest; of them, the one whose times are smallest from left to right, and among chains
// of equal times the one that is found first in order of the rows.
func modelAttempt(rows []testRow, e, steps int, within int64) []int {
	var best []int
	var walk func(chain []int)
	walk = func(chain []int) {
		if better(rows, chain, best) {
			best = slices.Clone(chain)
		}
		if len(chain) == steps {
			return
		}
		last := rows[chain[len(chain)-1]].us
		for i := range rows {
			if rows[i].conds[len(chain)] && rows[i].us >= last && rows[i].us-rows[e].us <= within && !slices.Contains(chain, i) {
				walk(append(chain, i))
			}
		}
	}
	walk([]int{e})
	return best
}

func better(rows []testRow, a, b []int) bool {
	if len(a) != len(b) {
		return len(a) > len(b)
	}
	for i := range a {
		if x, y := rows[a[i]].us, rows[b[i]].us; x != y {
			return x < y
		}
	}
	return false
}

// modelFunnel answers OUTPUT ACTORS without a breakdown: one line per actor.
func modelFunnel(rows []testRow, steps int, from, to, within int64, first bool) []string {
	var out []string
	for actor := range 5 {
		var mine []testRow
		for _, r := range rows {
			if r.actor == actor {
				mine = append(mine, r)
			}
		}
		sort.SliceStable(mine, func(i, j int) bool { return mine[i].us < mine[j].us })
		var best []int
		for e := range mine {
			if !mine[e].conds[0] || mine[e].us < from || mine[e].us >= to {
				continue
			}
			a := modelAttempt(mine, e, steps, within)
			if len(a) > len(best) {
				best = a
			}
			if first {
				break
			}
		}
		if best == nil {
			continue
		}
		line := fmt.Sprint(actor, " ", len(best), " ", len(best) == steps, " ", mine[best[0]].us, " [")
		for s := range steps {
			if s < len(best) {
				line += fmt.Sprint(mine[best[s]].us, " ")
			} else {
				line += "- "
			}
		}
		out = append(out, line+"] ")
	}
	return out
}

func TestFunnelModel(t *testing.T) {
	for seed := range tries(3000) {
		r := rand.New(rand.NewSource(seed))
		steps, spread := 1+r.Intn(4), 1+r.Intn(30)
		apart := r.Intn(2) == 0
		rows := randomRows(r, steps, spread, apart)
		src, cols := source(rows, steps)
		from, to, within := vec.NegInfinityTime, vec.InfinityTime, int64(vec.InfinityTime)
		n := &plan.Funnel{Source: src, Output: plan.OutputActors}
		if r.Intn(2) == 0 {
			from = int64(r.Intn(spread)) * 6 * 3_600_000_000
			to = from + int64(1+r.Intn(spread))*6*3_600_000_000
			n.From, n.To = timeConst(from), timeConst(to)
		}
		if r.Intn(3) > 0 {
			n.Within = &vec.IntervalValue{Days: int32(r.Intn(3)), Micros: int64(r.Intn(4)) * 6 * 3_600_000_000}
			within = int64(n.Within.Days)*day + n.Within.Micros
		}
		if r.Intn(4) == 0 {
			n.Entry = plan.EntryFirst
		}
		for s := range steps {
			n.Steps = append(n.Steps, plan.Step{Name: fmt.Sprint("s", s+1), Cond: cols[1+s]})
		}
		want := modelFunnel(rows, steps, from, to, within, n.Entry == plan.EntryFirst)
		got := funnelActors(t, n, apart)
		if !slices.Equal(got, want) {
			t.Fatalf("seed %d, apart %v, rows %+v\ngot  %q\nwant %q", seed, apart, rows, got, want)
		}
	}
}

// funnelActors runs a funnel with actor output, and gives the lines in order of actors,
// without the name of the last step.
func funnelActors(t *testing.T, n *plan.Funnel, apart bool) []string {
	env := testEnv(0)
	op, err := newFunnel(n, env)
	if err != nil {
		t.Fatal(err)
	}
	if apart {
		f := op.(*funnel)
		f.open = func(ctx context.Context, src *plan.Source, conds []expr.Expr, _ need) (actors, error) {
			ra, err := openRows(ctx, n, src, conds, env)
			return apartActors{ra}, err
		}
	}
	var out []string
	for _, l := range rowsOf(t, op) {
		out = append(out, l[:len(l)-len("s1 ")])
	}
	sort.Strings(out)
	return out
}

// TestFunnelBreakdown holds the breakdown rules against the definition, for rows that
// satisfy one step each and have different times.
func TestFunnelBreakdown(t *testing.T) {
	for seed := range tries(2000) {
		r := rand.New(rand.NewSource(seed))
		steps := 2 + r.Intn(2)
		rows := randomRows(r, steps, 30, true)
		for i := range rows {
			rows[i].us += int64(i)
		}
		src, cols := source(rows, steps)
		rule := plan.Attribute(r.Intn(4))
		n := &plan.Funnel{Source: src, Output: plan.OutputActors, Within: &vec.IntervalValue{Days: int32(1 + r.Intn(4))}}
		n.Breakdown = &plan.Breakdown{Exprs: cols[:1], Names: []string{"v"}, Attribute: rule, Step: r.Intn(steps)}
		for s := range steps {
			n.Steps = append(n.Steps, plan.Step{Name: fmt.Sprint("s", s+1), Cond: cols[1+s]})
		}
		want := modelBreakdown(rows, steps, int64(n.Within.Days)*day, n.Breakdown)
		for _, apart := range []bool{false, true} {
			var got []string
			for _, l := range funnelActors(t, n, apart) {
				got = append(got, l)
			}
			if !slices.Equal(got, want) {
				t.Fatalf("seed %d, rule %d step %d, apart %v, rows %+v\ngot  %q\nwant %q", seed, rule, n.Breakdown.Step, apart, rows, got, want)
			}
		}
	}
}

func modelBreakdown(rows []testRow, steps int, within int64, by *plan.Breakdown) []string {
	var out []string
	for actor := range 5 {
		var mine []testRow
		for _, r := range rows {
			if r.actor == actor {
				mine = append(mine, r)
			}
		}
		sort.SliceStable(mine, func(i, j int) bool { return mine[i].us < mine[j].us })
		best := map[string][]int64{}
		offer := func(value string, list []testRow, chain []int) {
			times := make([]int64, len(chain))
			for i, c := range chain {
				times[i] = list[c].us
			}
			if b, ok := best[value]; !ok || len(times) > len(b) {
				best[value] = times
			}
		}
		if by.Attribute == plan.AttributeEach {
			for _, v := range []string{"", "x", "y", "z"} {
				var carry []testRow
				for _, m := range mine {
					if m.value == v {
						carry = append(carry, m)
					}
				}
				for e := range carry {
					if carry[e].conds[0] {
						offer(v, carry, modelAttempt(carry, e, steps, within))
					}
				}
			}
		} else {
			for e := range mine {
				if !mine[e].conds[0] {
					continue
				}
				chain := modelAttempt(mine, e, steps, within)
				value := ""
				switch by.Attribute {
				case plan.AttributeFirst:
					for i := len(chain) - 1; i >= 0; i-- {
						if v := mine[chain[i]].value; v != "" {
							value = v
						}
					}
				case plan.AttributeLast:
					for _, c := range chain {
						if v := mine[c].value; v != "" {
							value = v
						}
					}
				case plan.AttributeStep:
					if by.Step < len(chain) {
						value = mine[chain[by.Step]].value
					}
				}
				offer(value, mine, chain)
			}
		}
		for v, times := range best {
			if v == "" {
				v = "-"
			}
			line := fmt.Sprint(v, " ", actor, " ", len(times), " ", len(times) == steps, " ", times[0], " [")
			for s := range steps {
				if s < len(times) {
					line += fmt.Sprint(times[s], " ")
				} else {
					line += "- "
				}
			}
			out = append(out, line+"] ")
		}
	}
	sort.Strings(out)
	return out
}

func TestRetentionModel(t *testing.T) {
	const hour = int64(3_600_000_000)
	for seed := range tries(3000) {
		r := rand.New(rand.NewSource(seed))
		conds := 1 + r.Intn(2)
		rows := randomRows(r, conds, 40, false)
		src, cols := source(rows, conds)
		n := &plan.Retention{Source: src, Start: cols[1], Rule: plan.StartRule(r.Intn(3)), Minimum: 1 + r.Intn(2),
			Every: vec.IntervalValue{Days: int32(1 + r.Intn(2)*6)}, Periods: 1 + r.Intn(6), Output: plan.OutputActors}
		if conds == 2 {
			n.Return = cols[2]
		}
		from, to := vec.NegInfinityTime, vec.InfinityTime
		if r.Intn(2) == 0 {
			from = int64(r.Intn(10)) * day
			to = from + int64(1+r.Intn(6))*day + 5*hour
			n.From, n.To = timeConst(from), timeConst(to)
		}
		want := modelRetention(rows, n, from, to, conds-1)
		op, err := newRetention(n, testEnv(100*day))
		if err != nil {
			t.Fatal(err)
		}
		got := rowsOf(t, op)
		sort.Strings(got)
		if !slices.Equal(got, want) {
			t.Fatalf("seed %d rule %d min %d every %v periods %d during %d %d rows %+v\ngot  %q\nwant %q", seed, n.Rule, n.Minimum, n.Every, n.Periods, from, to, rows, got, want)
		}
	}
}

// modelRetention lists cohort, actor and periods, straight from the definition.
func modelRetention(rows []testRow, n *plan.Retention, from, to int64, ret int) []string {
	var out []string
	unit := int64(n.Every.Days) * day
	period := func(us int64) int64 {
		if n.Every.Days == 7 {
			return (us + 3*day) / unit // 1970-01-01 is a Thursday; weeks start on Monday
		}
		return us / unit
	}
	start := func(p int64) int64 {
		if n.Every.Days == 7 {
			return p*unit - 3*day
		}
		return p * unit
	}
	for actor := range 5 {
		var mine []testRow
		for _, r := range rows {
			if r.actor == actor {
				mine = append(mine, r)
			}
		}
		sort.SliceStable(mine, func(i, j int) bool { return mine[i].us < mine[j].us })
		cohorts := map[int64]bool{}
		for i, m := range mine {
			if !m.conds[0] {
				continue
			}
			inside := m.us >= from && m.us < to
			if n.Rule == plan.FirstEver && !inside {
				break
			}
			if !inside || cohorts[period(m.us)] {
				continue
			}
			cohorts[period(m.us)] = true
			line := fmt.Sprint(start(period(m.us)), " ", actor, " [")
			for p := range int64(n.Periods) {
				count := 0
				for j, o := range mine {
					if o.conds[ret] && period(o.us) == period(m.us)+p && (p > 0 || j > i) {
						count++
					}
				}
				if count >= n.Minimum {
					line += fmt.Sprint(p, " ")
				}
			}
			out = append(out, line+"] ")
			if n.Rule != plan.EveryTime {
				break
			}
		}
	}
	sort.Strings(out)
	return out
}

func TestTrendsModel(t *testing.T) {
	for seed := range tries(2000) {
		r := rand.New(rand.NewSource(seed))
		rows := randomRows(r, 1, 40, false)
		src, cols := source(rows, 1)
		n := &plan.Trends{Source: src, Every: &vec.IntervalValue{Days: 1}, Series: []plan.Series{
			{Name: "who", Measure: plan.MeasureActors, Where: cols[1]},
			{Name: "rolling", Measure: plan.MeasureRolling, Rolling: vec.IntervalValue{Days: int32(1 + r.Intn(4)), Micros: int64(r.Intn(2)) * 7200e6}, Where: cols[1]}}}
		if r.Intn(2) == 0 {
			n.Breakdown = &plan.Breakdown{Exprs: cols[:1], Names: []string{"v"}}
		}
		from := int64(r.Intn(4)) * day
		to := from + int64(1+r.Intn(8))*day
		n.From, n.To = timeConst(from), timeConst(to)
		want := modelTrends(rows, n, from, to)
		op, err := newTrends(n, testEnv(0))
		if err != nil {
			t.Fatal(err)
		}
		got := rowsOf(t, op)
		sort.Strings(got)
		if !slices.Equal(got, want) {
			t.Fatalf("seed %d rows %+v\ngot  %q\nwant %q", seed, rows, got, want)
		}
	}
}

func modelTrends(rows []testRow, n *plan.Trends, from, to int64) []string {
	if len(rows) == 0 && n.Breakdown != nil {
		return nil
	}
	var out []string
	values := []string{""}
	if n.Breakdown != nil {
		values = []string{"", "x", "y", "z"}
	}
	back := int64(n.Series[1].Rolling.Days)*day + n.Series[1].Rolling.Micros
	for _, v := range values {
		any := n.Breakdown == nil
		var lines []string
		for b := from; b < to; b += day {
			who, rolling := map[int]bool{}, map[int]bool{}
			for _, r := range rows {
				if !r.conds[0] || n.Breakdown != nil && r.value != v || r.us >= to {
					continue
				}
				if r.us >= b && r.us < b+day {
					any = true
					who[r.actor] = true
				}
				if r.us >= b+day-back && r.us < b+day {
					any = true
					rolling[r.actor] = true
				}
			}
			name := ""
			if n.Breakdown != nil {
				name = v + " "
				if v == "" {
					name = "- "
				}
			}
			lines = append(lines, fmt.Sprint(name, b, " ", len(who), " ", len(rolling), " "))
		}
		if any {
			out = append(out, lines...)
		}
	}
	sort.Strings(out)
	return out
}
