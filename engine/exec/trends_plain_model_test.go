package exec

import (
	"cmp"
	"fmt"
	"math/rand"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/vec"
)

// num is a number or null.
type num struct {
	v    float64
	null bool
}

func (n num) String() string {
	if n.null {
		return "-"
	}
	return fmt.Sprintf("%.9g", n.v)
}

// plainModel answers a TRENDS without COMPATIBLE by the letter of its rules.
type plainModel struct {
	rows     []trendRow
	n        *plan.Trends
	cal      modelCalendar
	from, to int64 // with the times of the rows where DURING is open
	open     bool
	measures []string
	where    []bool // per series
	by       []string
	fill     []num // per series; nil: none said
	known    map[earlierThan]int64
}

// earlierThan is what back is asked.
type earlierThan struct {
	us int64
	by vec.IntervalValue
}

// clock is what clocks show at an instant, as if it were UTC.
func (m *plainModel) clock(us int64) int64 {
	t := time.UnixMicro(us).In(m.cal.loc)
	return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), time.UTC).UnixMicro()
}

// back is the first instant at which clocks show an interval less, or later.
func (m *plainModel) back(us int64, by vec.IntervalValue) int64 {
	if m.known == nil {
		m.known = map[earlierThan]int64{}
	}
	at, ok := m.known[earlierThan{us, by}]
	if !ok {
		at = m.search(us, by)
		m.known[earlierThan{us, by}] = at
	}
	return at
}

func (m *plainModel) search(us int64, by vec.IntervalValue) int64 {
	if by.Months == 0 && by.Days == 0 {
		return us - by.Micros
	}
	w := time.UnixMicro(m.clock(us)).UTC()
	day := w.Day()
	for range by.Months {
		w = time.Date(w.Year(), w.Month()-1, 1, w.Hour(), w.Minute(), w.Second(), w.Nanosecond(), time.UTC)
	}
	if by.Months > 0 {
		month := w.Month()
		if w = w.AddDate(0, 0, day-1); w.Month() != month {
			w = time.Date(w.Year(), w.Month(), 1, 0, 0, 0, 0, time.UTC)
		}
	}
	wanted := w.AddDate(0, 0, -int(by.Days)).UnixMicro()
	at := wanted - 50*3600e6
	for at -= floorTo(at, quarter); ; at += quarter {
		if c := m.clock(at); c >= wanted {
			return at - by.Micros
		} else if wanted-c < quarter && m.clock(at+wanted-c) == wanted {
			return at + wanted - c - by.Micros
		}
	}
}

func floorTo(us, unit int64) int64 { return (us%unit + unit) % unit }

// length is how much earlier the period before is.
func (m *plainModel) length() vec.IntervalValue {
	every := m.n.Every
	if every == nil || every.Micros > 0 {
		for d := range int32(300) {
			if by := (vec.IntervalValue{Days: d}); d > 0 && m.back(m.to, by) == m.from && m.clock(m.to)-m.clock(m.from) == int64(d)*day {
				return by
			}
		}
		by := vec.IntervalValue{Micros: m.to - m.from}
		if every == nil {
			return by
		}
		whole := vec.IntervalValue{}
		for whole.Micros < by.Micros {
			whole.Micros += every.Micros
		}
		return whole
	}
	by := vec.IntervalValue{}
	for m.back(m.to, by) > m.from {
		by.Months, by.Days = by.Months+every.Months, by.Days+every.Days
	}
	return by
}

// axis is the starts of all buckets, and the end of the last.
func (m *plainModel) axis() []int64 {
	if m.n.Every == nil {
		return []int64{m.from, m.to}
	}
	starts := m.cal.axis(m.from, m.to)
	step := quarter
	if m.cal.every.Micros > 0 {
		step = min(step, m.cal.every.Micros)
	}
	for us := starts[len(starts)-1]; ; us += step {
		if s := m.cal.start(us); s > starts[len(starts)-1] {
			return append(starts, s)
		}
	}
}

// tuple is a row's breakdown value.
func (m *plainModel) tuple(r trendRow) string {
	var words []string
	for _, what := range m.by {
		switch {
		case what == "value":
			words = append(words, r.value)
		case r.noNum:
			words = append(words, "-")
		default:
			words = append(words, fmt.Sprintf("%.9g", r.num))
		}
	}
	return strings.Join(words, "|")
}

// plainPeriod is a period: starts of buckets and the end of the last, and what rows are in it.
type plainPeriod struct {
	starts   []int64
	from, to int64
	begins   map[int][]int64 // per series
}

func (p *plainPeriod) holds(b int, us int64) bool {
	return us >= p.starts[b] && us < p.starts[b+1] && us >= p.from && us < p.to
}

// counted is the value of a series in a bucket, of the breakdown values that belong; false
// if there is nothing to count.
func (m *plainModel) counted(k int, p *plainPeriod, b int, belongs func(string) bool) (num, bool) {
	counts := func(r trendRow) bool { return r.actor != "" && (!m.where[k] || r.where) }
	var in []trendRow
	actors := map[string]float64{}
	sum, some := 0.0, false
	for _, r := range m.rows {
		if !counts(r) || !belongs(m.tuple(r)) {
			continue
		}
		here := p.holds(b, r.us)
		switch {
		case m.measures[k] == "rolling":
			here = r.us >= m.begins(p, k)[b] && r.us < p.starts[b+1] && r.us < p.to
		case m.measures[k] == "actors" && m.n.Cumulative:
			here = here || r.us >= p.starts[0] && r.us < p.starts[b] && r.us >= p.from && r.us < p.to
		}
		if here {
			in = append(in, r)
			actors[r.actor]++
			if !r.noNum {
				sum, some = sum+r.num, true
			}
		}
	}
	switch m.measures[k] {
	case "count":
		return num{v: float64(len(in))}, len(in) > 0
	case "sum":
		return num{sum, !some}, len(in) > 0
	case "per actor":
		most := 0.0
		for _, n := range actors {
			most = max(most, n)
		}
		return num{most, len(in) == 0}, len(in) > 0
	case "new":
		n := m.fresh(p, b, k, counts, belongs)
		return num{v: n}, n > 0
	}
	return num{v: float64(len(actors))}, len(actors) > 0
}

// fresh is how many actors have their first row in a bucket, with a value that belongs.
func (m *plainModel) fresh(p *plainPeriod, b, k int, counts func(trendRow) bool, belongs func(string) bool) float64 {
	first := map[string]trendRow{}
	for i := len(m.rows) - 1; i >= 0; i-- { // of equal times the first in order
		if r := m.rows[i]; counts(r) && r.us >= p.from && (first[r.actor].actor == "" || r.us <= first[r.actor].us) {
			first[r.actor] = r
		}
	}
	n := 0.0
	for actor, r := range first {
		ever, found := int64(0), false
		for _, o := range m.rows {
			is := counts(o)
			if m.n.Series[k].First != nil {
				is = o.was
			}
			if is && o.actor == actor && o.us < p.to && (!found || o.us < ever) {
				ever, found = o.us, true
			}
		}
		if found && ever == r.us && p.holds(b, r.us) && belongs(m.tuple(r)) {
			n++
		}
	}
	return n
}

// line is the values of all columns in all buckets of a period.
func (m *plainModel) line(p *plainPeriod, first, last int, belongs func(string) bool) [][]num {
	var out [][]num
	for k := range m.n.Series {
		var col []num
		total, known, rows := 0.0, false, false
		for b := first; b <= last; b++ {
			v, some := m.counted(k, p, b, belongs)
			if m.n.Cumulative && m.measures[k] != "actors" {
				rows = rows || some
				if some && !v.null {
					total, known = total+v.v, true
				}
				v, some = num{total, !known}, rows
			}
			if !some {
				zero := m.n.Series[k].Type() == vec.T(vec.Int8) && m.measures[k] != "per actor"
				if v = (num{null: !zero}); m.fill != nil {
					v = m.fill[k]
				}
			}
			col = append(col, v)
		}
		if m.n.Smooth > 0 {
			col = smoothed(col, m.n.Smooth)
		}
		out = append(out, col)
	}
	if len(m.n.Formulas) > 0 { // first + last, and twice that
		sum, twice := make([]num, last-first+1), make([]num, last-first+1)
		for b := range sum {
			x, y := out[0][b], out[len(m.n.Series)-1][b]
			sum[b] = num{x.v + y.v, x.null || y.null}
			twice[b] = num{2 * sum[b].v, sum[b].null}
		}
		out = append(out, sum, twice)
	}
	return out
}

// neverLess makes each number at least what those before it are.
func neverLess(in []int64) []int64 {
	out := slices.Clone(in)
	for i := range out[1:] {
		out[i+1] = max(out[i+1], out[i])
	}
	return out
}

// begins is where the intervals of ROLLING_ACTORS begin.
func (m *plainModel) begins(p *plainPeriod, k int) []int64 {
	if p.begins == nil {
		p.begins = map[int][]int64{}
	}
	if p.begins[k] == nil {
		for _, end := range p.starts[1:] {
			p.begins[k] = append(p.begins[k], m.back(end, m.n.Series[k].Rolling))
		}
		p.begins[k] = neverLess(p.begins[k])
	}
	return p.begins[k]
}

func smoothed(col []num, n int) []num {
	out := make([]num, len(col))
	for b := range col {
		sum, known := 0.0, 0.0
		for i := max(0, b-n+1); i <= b; i++ {
			if !col[i].null {
				sum, known = sum+col[i].v, known+1
			}
		}
		out[b] = num{null: true}
		if known > 0 {
			out[b] = num{v: sum / known}
		}
	}
	return out
}

func (m *plainModel) answer() []string {
	if m.from >= m.to {
		return nil
	}
	starts := m.axis()
	buckets := len(starts) - 1
	from, to := m.from, m.to
	if m.n.From == nil {
		from = vec.NegInfinityTime
	}
	if m.n.To == nil {
		to = vec.InfinityTime
	}
	periods := []*plainPeriod{{starts: starts, from: from, to: to}}
	if m.n.Compare != nil {
		by := *m.n.Compare
		if by == (vec.IntervalValue{}) {
			by = m.length()
		}
		p := &plainPeriod{from: from, to: to}
		for _, us := range starts {
			p.starts = append(p.starts, m.back(us, by))
		}
		p.starts = neverLess(p.starts)
		if m.n.From != nil {
			p.from = m.back(from, by)
		}
		if m.n.To != nil {
			p.to = m.back(to, by)
		}
		periods = append(periods, p)
	}
	some := func(belongs func(string) bool, b int) bool {
		for k := range m.n.Series {
			for _, p := range periods {
				if _, ok := m.counted(k, p, b, belongs); ok {
					return true
				}
			}
		}
		return false
	}
	sums := map[string]float64{}
	var tuples []string
	for _, r := range m.rows {
		tuple := m.tuple(r)
		only := func(s string) bool { return s == tuple }
		if _, ok := sums[tuple]; ok {
			continue
		}
		sums[tuple] = 0
		any := false
		for b := range buckets {
			any = any || some(only, b)
			v, ok := m.counted(0, periods[0], b, only)
			switch {
			case !ok || v.null:
			case m.n.Cumulative && m.measures[0] == "actors":
				sums[tuple] = v.v
			default:
				sums[tuple] += v.v
			}
		}
		if any {
			tuples = append(tuples, tuple)
		}
	}
	slices.SortFunc(tuples, func(a, b string) int {
		x, y := strings.Split(a, "|"), strings.Split(b, "|")
		order := cmp.Compare(sums[b], sums[a])
		for i := range x {
			if order == 0 && (x[i] == "-") != (y[i] == "-") {
				order = boolCompare(x[i] == "-", y[i] == "-")
			}
			if order == 0 {
				order = cmp.Compare(x[i], y[i])
			}
		}
		return order
	})
	if m.n.Breakdown == nil {
		tuples = []string{""}
	}
	rest := false
	if by := m.n.Breakdown; by != nil && by.Top > 0 && by.Top < len(tuples) {
		tuples, rest = tuples[:by.Top], by.WithOther
	}
	belongs := func(i int) func(string) bool {
		if i < len(tuples) {
			return func(s string) bool { return s == tuples[i] }
		}
		return func(s string) bool { return !slices.Contains(tuples, s) }
	}
	groups := len(tuples)
	if rest {
		groups++
	}
	first, last := 0, buckets-1
	if m.open {
		first, last = buckets, -1
		for i := range groups {
			for b := range buckets {
				if some(belongs(i), b) || m.n.Cumulative && first < b {
					first, last = min(first, b), max(last, b)
				}
			}
		}
	}
	var out []string
	for i := range groups {
		if first > last {
			break
		}
		values := m.line(periods[0], first, last, belongs(i))
		var earlier [][]num
		if len(periods) > 1 {
			earlier = m.line(periods[1], first, last, belongs(i))
		}
		for b := range last - first + 1 {
			head := ""
			if m.n.Breakdown != nil {
				head = strings.Repeat("- ", len(m.by))
				if i < len(tuples) {
					head = strings.ReplaceAll(tuples[i], "|", " ") + " "
				}
				if m.n.Breakdown.WithOther {
					head += fmt.Sprint(i == len(tuples), " ")
				}
			}
			head += fmt.Sprint(starts[first+b], " ")
			if m.n.Output == plan.OutputLong {
				for k, f := range m.n.Values() {
					before := num{null: true}
					if earlier != nil {
						before = earlier[k][b]
					}
					out = append(out, fmt.Sprint(head, f.Name, " ", values[k][b], " ", before, " "))
				}
				continue
			}
			for _, col := range append(values, earlier...) {
				head += fmt.Sprint(col[b], " ")
			}
			out = append(out, head)
		}
	}
	return out
}

// made is an operator over two doubles.
func made(t *testing.T, op string, a, b expr.Expr) expr.Expr {
	t.Helper()
	var args [2]expr.Expr
	for i, e := range []expr.Expr{a, b} {
		var err error
		if args[i], err = expr.NewCast(e, vec.T(vec.Float8), true, false); err != nil {
			t.Fatal(err)
		}
	}
	e, err := expr.NewOperator(op, args[0], args[1])
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func randomPlain(t *testing.T, r *rand.Rand) *plainModel {
	old := randomTrend(t, r)
	m := &plainModel{rows: old.rows, cal: old.cal, from: old.from, to: old.to}
	m.n = &plan.Trends{Source: trendSource(m.rows), Cumulative: r.Intn(3) == 0}
	n := m.n
	n.Zone, n.Sunday = old.n.Zone, old.n.Sunday
	if n.Every = old.n.Every; n.Every != nil {
		n.Every = &m.cal.every
	}
	if r.Intn(4) == 0 {
		n.Smooth = 1 + r.Intn(4)
	}
	sum := plan.AggCall{Name: "sum", Args: []expr.Expr{trendColumn(4)}, T: vec.T(vec.Float8)}
	for k := range 1 + r.Intn(3) {
		measure := []string{"count", "sum", "per actor", "actors", "rolling", "new"}[r.Intn(6)]
		s := plan.Series{Name: fmt.Sprint("s", k)}
		if r.Intn(3) > 0 {
			s.Where = trendColumn(5)
		}
		switch measure {
		case "count":
			s.Of = just(countAll)
		case "sum":
			s.Of = just(sum)
		case "per actor":
			s.Measure, s.Of = plan.MeasurePerActor, just(countAll)
			s.Outer = just(plan.AggCall{Name: "max", Args: []expr.Expr{&expr.Column{T: vec.T(vec.Int8)}}, T: vec.T(vec.Int8)})
		case "actors":
			s.Measure = plan.MeasureActors
		case "rolling":
			s.Measure, s.Rolling = plan.MeasureRolling, vec.IntervalValue{Days: int32(1 + r.Intn(9))}
		case "new":
			if s.Measure = plan.MeasureNew; r.Intn(2) == 0 {
				s.First = trendColumn(6)
			}
		}
		m.measures, m.where = append(m.measures, measure), append(m.where, s.Where != nil)
		n.Series = append(n.Series, s)
	}
	if r.Intn(3) == 0 {
		for k := range n.Series {
			v, to := num{v: float64(r.Intn(4))}, n.Filled(&n.Series[k])
			if r.Intn(3) == 0 {
				v = num{null: true}
			}
			c := &vec.Vector{Type: to, Form: vec.Const, I64: []int64{int64(v.v)}, F64: []float64{v.v}}
			if v.null {
				c = vec.NullConst(to)
			}
			m.fill, n.Fill = append(m.fill, v), append(n.Fill, &expr.Const{Value: c})
		}
	}
	if r.Intn(3) == 0 {
		last := len(n.Series) - 1
		column := func(i int) expr.Expr { return &expr.Column{Index: i, T: n.Values()[i].Type} }
		n.Formulas = []plan.Formula{{Name: "f", Value: made(t, "+", column(0), column(last))}}
		n.Formulas = append(n.Formulas, plan.Formula{Name: "g", Value: made(t, "+", column(last+1), column(last+1))})
	}
	n.From, n.To = timeConst(m.from), timeConst(m.to)
	few := n.Every == nil || n.Every.Micros == 0
	if r.Intn(6) == 0 && len(m.rows) > 0 && few {
		m.open = true
		at := func(r trendRow) int64 { return r.us }
		if r.Intn(2) == 0 {
			n.From, m.from = nil, slices.Min(mapped(m.rows, at))
		}
		if n.From != nil || r.Intn(2) == 0 {
			n.To, m.to = nil, slices.Max(mapped(m.rows, at))+1
		}
	}
	switch r.Intn(3) {
	case 0:
		n.Compare = &[]vec.IntervalValue{{Days: 1}, {Days: 7}, {Months: 1}, {Months: 12}, {Months: 1, Days: 1, Micros: 5400e6}, {Micros: 7200e6}, {Days: 30}}[r.Intn(7)]
	case 1:
		if !m.open {
			n.Compare = &vec.IntervalValue{}
		}
	}
	if n.Compare != nil { // rows where it looks
		by := *n.Compare
		if by == (vec.IntervalValue{}) {
			by = m.length()
		}
		for i := range m.rows {
			if r.Intn(2) == 0 && !m.open {
				m.rows[i].us = m.back(m.rows[i].us, by)
			}
		}
		n.Input = trendSource(m.rows).Input
	}
	if r.Intn(3) > 0 {
		m.by = [][]string{{"value"}, {"num"}, {"value", "num"}}[r.Intn(3)]
		by := &plan.Breakdown{}
		for _, what := range m.by {
			by.Names = append(by.Names, what)
			by.Exprs = append(by.Exprs, trendColumn(map[string]int{"value": 3, "num": 4}[what]))
		}
		if r.Intn(3) > 0 {
			by.Top, by.WithOther = 1+r.Intn(4), r.Intn(3) > 0
		}
		n.Breakdown = by
	}
	if r.Intn(5) == 0 {
		n.Output = plan.OutputLong
	}
	return m
}

func mapped[A, B any](in []A, f func(A) B) []B {
	out := make([]B, len(in))
	for i, x := range in {
		out[i] = f(x)
	}
	return out
}

// TestPlainTrendsModel compares TRENDS without COMPATIBLE with its model, in zones and at
// times where clocks change.
func TestPlainTrendsModel(t *testing.T) {
	for seed := range tries(500) {
		m := randomPlain(t, rand.New(rand.NewSource(seed)))
		op, err := newTrends(m.n, testEnv(0))
		if err != nil {
			t.Fatal(err)
		}
		got, want := rowsOf(t, op), m.answer()
		if !slices.Equal(got, want) {
			t.Fatalf("seed %d: %s by %v in %s every %v from %d to %d compared to %v, smooth %d, cumulative %v, fill %v\n%+v\nbreakdown %+v\nrows %+v\ngot\n%s\nwant\n%s",
				seed, m.measures, m.by, m.n.Zone, m.n.Every, m.from, m.to, m.n.Compare, m.n.Smooth, m.n.Cumulative, m.fill,
				m.n.Series, m.n.Breakdown, m.rows, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}
