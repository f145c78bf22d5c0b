package exec

import (
	"fmt"
	"math"
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

// trendRow is one row as the model of TRENDS sees it.
type trendRow struct {
	actor      string // "" is null
	us         int64
	value      string // "-" is null
	num        float64
	noNum      bool
	where, was bool // the series' condition, and that of NEW_ACTORS
}

// trendColumns are the columns of trendRow: actor, time, tie, value, num, where, was.
var trendColumns = []vec.Type{vec.T(vec.Text), vec.T(vec.TimestampTZ), vec.T(vec.Int8), vec.T(vec.Text), vec.T(vec.Float8), vec.T(vec.Bool), vec.T(vec.Bool)}

func trendColumn(i int) expr.Expr { return &expr.Column{Index: i, T: trendColumns[i]} }

func trendSource(rows []trendRow) plan.Source {
	v := &plan.Values{}
	for i, t := range trendColumns {
		v.Columns = append(v.Columns, vec.Field{Name: fmt.Sprint("c", i), Type: t})
	}
	for i, r := range rows {
		b := make([]*vec.Builder, len(trendColumns))
		for c, t := range trendColumns {
			b[c] = vec.NewBuilder(t)
		}
		text := func(c int, s, null string) {
			if s == null {
				b[c].AppendNull()
			} else {
				b[c].V.Str.AppendString(s)
			}
		}
		text(0, r.actor, "")
		b[1].V.I64 = []int64{r.us}
		b[2].V.I64 = []int64{int64(i)}
		text(3, r.value, "-")
		if b[4].V.F64 = []float64{r.num}; r.noNum {
			b[4] = vec.NewBuilder(trendColumns[4])
			b[4].AppendNull()
		}
		b[5].V.Bools = []bool{r.where}
		b[6].V.Bools = []bool{r.was}
		out := make([]expr.Expr, len(b))
		for c := range b {
			b[c].V.Form = vec.Const
			out[c] = &expr.Const{Value: b[c].V}
		}
		v.Rows = append(v.Rows, out)
	}
	return plan.Source{Input: v, Actor: trendColumn(0), Time: trendColumn(1), Tie: trendColumn(2)}
}

// The model's calendar knows only how to read a clock.
type modelCalendar struct {
	loc    *time.Location
	every  vec.IntervalValue
	sunday bool
	known  map[int64]int64 // starts of quarter-hours
}

// key names the day, week or month of an instant.
func (c *modelCalendar) key(us int64) string {
	t := time.UnixMicro(us).In(c.loc)
	switch {
	case c.every.Months == 1:
		return t.Format("2006-01")
	case c.every.Days == 7:
		back := int(t.Weekday())
		if !c.sunday {
			back = (back + 6) % 7
		}
		return time.Date(t.Year(), t.Month(), t.Day()-back, 0, 0, 0, 0, time.UTC).Format("2006-01-02")
	}
	return t.Format("2006-01-02")
}

// start is the start of the bucket of an instant: the first quarter-hour of the same name,
// or so many whole steps after the first of the day.
func (c *modelCalendar) start(us int64) int64 {
	q := c.first(us - us%quarter)
	if c.every.Micros > 0 {
		q += (us - q) / c.every.Micros * c.every.Micros
	}
	return q
}

// first is the first quarter-hour of the same name.
func (c *modelCalendar) first(q int64) int64 {
	if c.known == nil {
		c.known = map[int64]int64{}
	}
	at := q
	for {
		if first, ok := c.known[at]; ok {
			at = first
			break
		}
		if c.key(at-quarter) != c.key(at) {
			break
		}
		at -= quarter
	}
	c.known[q] = at
	return at
}

// axis is the starts of all buckets.
func (c *modelCalendar) axis(from, to int64) []int64 {
	var out []int64
	step := quarter
	if c.every.Micros > 0 {
		step = min(step, c.every.Micros)
	}
	for us := c.start(from); us < to; us += step {
		if s := c.start(us); len(out) == 0 || s > out[len(out)-1] {
			out = append(out, s)
		}
	}
	return out
}

// trendModel answers a TRENDS with COMPATIBLE by the letter of its rules.
type trendModel struct {
	rows     []trendRow
	n        *plan.Trends
	cal      modelCalendar
	from, to int64
	measure  string
	by       []string // "value" or "num"
	starts   []int64
	days     modelCalendar
}

// tuple is a row's breakdown value, raw.
func (m *trendModel) tuple(r trendRow) string {
	var words []string
	for i, what := range m.by {
		switch {
		case what == "value" && (r.value == "" || r.value == "-"), what == "num" && r.noNum:
			words = append(words, nullLabel)
		case what == "value":
			words = append(words, r.value)
		case m.n.Breakdown.Bins == nil || m.n.Breakdown.Bins[i] == 0:
			words = append(words, floatText(r.num))
		default:
			words = append(words, fmt.Sprintf("%.17g", r.num))
		}
	}
	return strings.Join(words, "|")
}

// measured is the value of a bucket, from rows that are all of one value.
func (m *trendModel) measured(rows []trendRow) float64 {
	sum, actors := 0.0, map[string]float64{}
	for _, r := range rows {
		if !r.noNum {
			sum += r.num
		}
		if r.actor != "" {
			actors[r.actor]++
		}
	}
	switch m.measure {
	case "count":
		return float64(len(rows))
	case "sum":
		return sum
	case "expr":
		some := false
		for _, r := range rows {
			some = some || !r.noNum
		}
		if !some {
			return 0 // NULL + anything
		}
		return sum + 10*float64(len(rows))
	case "per actor":
		most := 0.0
		for _, n := range actors {
			most = max(most, n)
		}
		return most
	}
	return float64(len(actors))
}

// byBucket is, for each raw value, the numbers of all buckets.
func (m *trendModel) byBucket() map[string][]float64 {
	out := map[string][]float64{}
	at := func(tuple string) []float64 {
		if out[tuple] == nil {
			out[tuple] = make([]float64, len(m.starts))
		}
		return out[tuple]
	}
	bucket := func(us int64) int {
		if m.n.Every == nil {
			return 0
		}
		return slices.Index(m.starts, m.cal.start(us))
	}
	var in []trendRow
	for _, r := range m.rows {
		if r.where && r.us >= m.from && r.us < m.to {
			in = append(in, r)
		}
	}
	switch {
	case m.measure == "new":
		first := map[string]trendRow{}
		for i := len(in) - 1; i >= 0; i-- { // of equal times the first in order
			if r := in[i]; r.actor != "" && (first[r.actor].actor == "" || r.us <= first[r.actor].us) {
				first[r.actor] = r
			}
		}
		for actor, r := range first {
			isFirst := true
			for _, o := range m.rows {
				counts := o.where
				if m.n.Series[0].First != nil {
					counts = o.was
				}
				if o.actor == actor && counts && o.us < r.us {
					isFirst = false
				}
			}
			if m.n.Series[0].First != nil && !slices.ContainsFunc(m.rows, func(o trendRow) bool { return o.actor == actor && o.was && o.us == r.us }) {
				isFirst = false
			}
			valued := r
			if m.n.Series[0].Valued != nil { // of equal times, too, the first in order
				valued = trendRow{value: "-", noNum: true}
				found := false
				for _, o := range m.rows {
					if o.actor == actor && o.was && o.us < m.to && (!found || o.us < valued.us) {
						valued, found = o, true
					}
				}
			}
			if isFirst {
				at(m.tuple(valued))[bucket(r.us)]++
			}
		}
	case m.measure == "rolling" && !m.short():
		m.rolling(at)
	case m.n.Cumulative && (m.measure == "actors" || m.measure == "rolling"):
		first := map[[2]string]int{}
		for _, r := range in {
			if r.actor == "" {
				continue
			}
			k := [2]string{m.tuple(r), r.actor}
			if b, ok := first[k]; !ok || bucket(r.us) < b {
				first[k] = bucket(r.us)
			}
		}
		for k, b := range first {
			at(k[0])[b]++
		}
	default:
		type cell struct {
			tuple  string
			bucket int
		}
		groups := map[cell][]trendRow{}
		for _, r := range in {
			if r.actor == "" && m.measure != "count" && m.measure != "sum" && m.measure != "expr" {
				continue
			}
			c := cell{m.tuple(r), bucket(r.us)}
			groups[c] = append(groups[c], r)
		}
		for c, rows := range groups {
			at(c.tuple)[c.bucket] = m.measured(rows)
		}
	}
	return out
}

func (m *trendModel) short() bool {
	every := m.n.Every
	return every != nil && (every.Months == 1 || every.Days == 7 && m.n.Series[0].Rolling.Days <= 7)
}

// rolling counts the actors of windows of so many days.
func (m *trendModel) rolling(at func(string) []float64) {
	window := int(m.n.Series[0].Rolling.Days)
	back := func(us int64) int64 { return time.UnixMicro(us).In(m.cal.loc).AddDate(0, 0, -window).UnixMicro() }
	seen := map[string]bool{}
	for _, r := range m.rows {
		if r.actor == "" || !r.where || r.us >= m.to {
			continue
		}
		if m.n.Every == nil {
			if k := m.tuple(r) + "\x00" + r.actor; r.us >= back(m.to-1) && !seen[k] {
				seen[k] = true
				at(m.tuple(r))[0]++
			}
			continue
		}
		if r.us < back(m.from) {
			continue
		}
		for b, label := range m.starts {
			a, oldest := m.days.start(r.us), back(label)
			if m.cal.every.Micros > 0 {
				a, oldest = m.cal.start(r.us), label-int64(window)*day
			}
			if k := fmt.Sprint(b, m.tuple(r), "\x00", r.actor); a <= label && a > oldest && !seen[k] {
				seen[k] = true
				at(m.tuple(r))[b]++
			}
		}
	}
}

// binned adds up raw values into bins.
func (m *trendModel) binned(raw map[string][]float64) map[string][]float64 {
	if m.n.Breakdown == nil || m.n.Breakdown.Bins == nil {
		return raw
	}
	out := map[string][]float64{}
	for tuple, points := range raw {
		words := strings.Split(tuple, "|")
		for i, n := range m.n.Breakdown.Bins {
			if n == 0 || words[i] == nullLabel {
				continue
			}
			lo, hi := math.Inf(1), math.Inf(-1)
			for other := range raw {
				var x float64
				if w := strings.Split(other, "|")[i]; w != nullLabel {
					fmt.Sscan(w, &x)
					lo, hi = min(lo, x), max(hi, x)
				}
			}
			var x float64
			fmt.Sscan(words[i], &x)
			label := nullLabel
			for b := n - 1; b >= 0; b-- {
				d := (hi - lo) / float64(n)
				from, to := d*float64(b)+lo, d*float64(b+1)+lo
				if b == n-1 {
					to += 0.01
				}
				if x >= from && x < to {
					label = "[" + floatText(from) + "," + floatText(to) + "]"
				}
			}
			words[i] = label
		}
		key := strings.Join(words, "|")
		if out[key] == nil {
			out[key] = make([]float64, len(points))
		}
		for i, p := range points {
			out[key][i] += p
		}
	}
	return out
}

func (m *trendModel) answer() []string {
	m.starts = []int64{m.from}
	if m.n.Every != nil {
		m.starts = m.cal.axis(m.from, m.to)
	}
	raw := m.byBucket()
	if m.n.Breakdown == nil && len(raw) == 0 {
		raw[""] = make([]float64, len(m.starts))
	}
	values := m.binned(raw)
	total := func(points []float64) float64 {
		sum := 0.0
		for _, p := range points {
			sum += p
		}
		return sum
	}
	null := func(k string) bool { return strings.Contains(k, nullLabel) }
	var keys []string
	for k := range values {
		keys = append(keys, k)
	}
	rank := func(nullLast bool) {
		sort.Slice(keys, func(i, j int) bool {
			a, b := keys[i], keys[j]
			if nullLast && null(a) != null(b) {
				return null(b)
			}
			if x, y := total(values[a]), total(values[b]); x != y {
				return x > y
			}
			return slices.Compare(strings.Split(a, "|"), strings.Split(b, "|")) < 0
		})
	}
	rank(m.n.Every != nil)
	var other []float64
	if by := m.n.Breakdown; by != nil && by.Top > 0 && len(keys) > by.Top {
		if by.WithOther {
			other = make([]float64, len(m.starts))
			for _, k := range keys[by.Top:] {
				for i, p := range values[k] {
					other[i] += p
				}
			}
		}
		keys = keys[:by.Top]
	}
	shape := func(points []float64) []float64 {
		out := slices.Clone(points)
		for i := range out {
			if m.n.Cumulative {
				out[i] = total(points[:i+1])
			}
		}
		if m.n.Smooth < 2 {
			return out
		}
		mean := make([]float64, len(out))
		for i := range out {
			first := max(0, i-m.n.Smooth+1)
			mean[i] = math.Floor(total(out[first:i+1]) / float64(i-first+1))
		}
		return mean
	}
	for _, k := range keys {
		values[k] = shape(values[k])
	}
	rank(true)
	var lines []string
	line := func(k string, isOther bool, points []float64) {
		for i, p := range points {
			text := ""
			if m.n.Breakdown != nil {
				for _, w := range strings.Split(k, "|") {
					if w == nullLabel || isOther {
						w = "-"
					}
					text += w + " "
				}
				if m.n.Breakdown.WithOther {
					text += fmt.Sprint(isOther, " ")
				}
			}
			lines = append(lines, fmt.Sprintf("%s%d %.9g ", text, m.starts[i], p))
		}
	}
	for _, k := range keys {
		line(k, false, values[k])
	}
	if other != nil {
		line(strings.Repeat("|", len(m.by)-1), true, shape(other))
	}
	return lines
}

// changes are zones, and days on which something happens to their clocks.
var changes = []struct {
	zone string
	day  string
}{
	{"UTC", "2026-03-01"}, {"Europe/Berlin", "2026-10-25"}, {"Europe/Berlin", "2026-03-29"}, {"America/New_York", "2025-11-02"},
	{"America/Sao_Paulo", "2018-11-04"}, {"America/Sao_Paulo", "2018-02-18"}, {"America/Havana", "2025-11-02"}, {"America/Havana", "2025-03-09"},
	{"Australia/Lord_Howe", "2025-04-06"}, {"Asia/Kolkata", "2026-02-28"}, {"Africa/Cairo", "2024-04-26"}, {"Pacific/Apia", "2011-12-30"},
}

func randomTrend(t *testing.T, r *rand.Rand) *trendModel {
	c := changes[r.Intn(len(changes))]
	loc, err := time.LoadLocation(c.zone)
	if err != nil {
		t.Fatal(err)
	}
	middle, err := time.ParseInLocation("2006-01-02 15:04", c.day+" 12:00", loc)
	if err != nil {
		t.Fatal(err)
	}
	units := []vec.IntervalValue{{Micros: 60e6}, {Micros: 3600e6}, {Days: 1}, {Days: 1}, {Days: 7}, {Months: 1}}
	every := units[r.Intn(len(units))]
	spread := map[vec.IntervalValue]int64{units[0]: 30 * 60e6, units[1]: 2 * day, units[2]: 12 * day, units[4]: 40 * day, units[5]: 90 * day}[every]
	m := &trendModel{cal: modelCalendar{loc: loc, every: every, sunday: r.Intn(2) == 0}}
	m.days = modelCalendar{loc: loc, every: vec.IntervalValue{Days: 1}}
	m.from = middle.UnixMicro() - r.Int63n(spread)
	m.to = middle.UnixMicro() + r.Int63n(spread) + 1
	if r.Intn(3) == 0 {
		m.from = m.days.start(m.from)
	}
	window := int32(7)
	if r.Intn(2) == 0 {
		window = 30
	}
	measures := []string{"count", "sum", "expr", "per actor", "actors", "rolling", "new"}
	m.measure = measures[r.Intn(len(measures))]
	far := spread
	if m.measure == "rolling" {
		far += int64(window) * day
	}
	for range r.Intn(60) {
		us := middle.UnixMicro() - r.Int63n(far) + r.Int63n(spread)
		if r.Intn(2) == 0 {
			us -= us % quarter
		}
		if r.Intn(3) == 0 && len(m.rows) > 0 {
			us = m.rows[r.Intn(len(m.rows))].us
		}
		m.rows = append(m.rows, trendRow{actor: []string{"", "a", "b", "c", "d", "e"}[r.Intn(6)], us: us, value: []string{"-", "", "x", "y", "z", "!"}[r.Intn(6)],
			num: float64(r.Intn(7)) / 2, noNum: r.Intn(4) == 0, where: r.Intn(4) > 0, was: r.Intn(3) > 0})
	}
	m.n = &plan.Trends{Source: trendSource(m.rows), Cumulative: r.Intn(4) == 0}
	if r.Intn(6) > 0 {
		m.n.Every = &m.cal.every
	} else {
		m.n.Cumulative = false
	}
	if r.Intn(4) == 0 {
		m.n.Smooth = 1 + r.Intn(4)
	}
	m.n.Compatible, m.n.Zone, m.n.Sunday = true, c.zone, m.cal.sunday
	m.n.From, m.n.To = timeConst(m.from), timeConst(m.to)
	s := plan.Series{Name: "value", Where: trendColumn(5)}
	sum := plan.AggCall{Name: "sum", Args: []expr.Expr{trendColumn(4)}, T: vec.T(vec.Float8)}
	switch m.measure {
	case "count":
		s.Of = just(countAll)
	case "sum":
		s.Of = just(sum)
	case "expr":
		n := &expr.Column{Index: 1, T: vec.T(vec.Int8)}
		ten := &expr.Const{Value: &vec.Vector{Type: vec.T(vec.Int8), Form: vec.Const, I64: []int64{10}}}
		times, err := expr.NewOperator("*", n, ten)
		if err != nil {
			t.Fatal(err)
		}
		plus, err := expr.NewOperator("+", &expr.Column{T: sum.T}, times)
		if err != nil {
			t.Fatal(err)
		}
		s.Of = plan.Computed{Aggs: []plan.AggCall{sum, countAll}, Value: plus}
	case "per actor":
		s.Measure, s.Of = plan.MeasurePerActor, just(countAll)
		s.Outer = just(plan.AggCall{Name: "max", Args: []expr.Expr{&expr.Column{T: vec.T(vec.Int8)}}, T: vec.T(vec.Int8)})
	case "actors":
		s.Measure = plan.MeasureActors
	case "rolling":
		s.Measure, s.Rolling = plan.MeasureRolling, vec.IntervalValue{Days: window}
	case "new":
		if s.Measure = plan.MeasureNew; r.Intn(2) == 0 {
			s.First = trendColumn(6)
		} else if r.Intn(2) == 0 {
			s.Valued = trendColumn(6)
		}
	}
	m.n.Series = []plan.Series{s}
	if r.Intn(3) > 0 {
		randomValues(t, r, m)
	}
	return m
}

// randomValues gives the operator a breakdown.
func randomValues(t *testing.T, r *rand.Rand, m *trendModel) {
	by := &plan.Breakdown{}
	m.by = [][]string{{"value"}, {"num"}, {"value", "num"}, {"num", "value"}}[r.Intn(4)]
	bins := r.Intn(3) > 0
	for i, what := range m.by {
		by.Names = append(by.Names, what)
		if what == "num" {
			by.Exprs = append(by.Exprs, trendColumn(4))
			if bins {
				by.Bins = make([]int, len(m.by))
				by.Bins[i] = 1 + r.Intn(4)
			}
			continue
		}
		empty := &expr.Const{Value: &vec.Vector{Type: vec.T(vec.Text), Form: vec.Const, Str: vec.StringsOf("")}}
		equal, err := expr.NewOperator("=", trendColumn(3), empty)
		if err != nil {
			t.Fatal(err)
		}
		by.Exprs = append(by.Exprs, &expr.NullIf{Left: trendColumn(3), Equal: equal})
	}
	if r.Intn(3) > 0 {
		by.Top, by.WithOther = 1+r.Intn(4), r.Intn(3) > 0
	}
	m.n.Breakdown = by
}

// TestCompatibleTrendsModel compares TRENDS under the insights' rules with its model, in
// zones and at times where clocks change.
func TestCompatibleTrendsModel(t *testing.T) {
	for seed := range tries(1000) {
		m := randomTrend(t, rand.New(rand.NewSource(seed)))
		op, err := newTrends(m.n, testEnv(0))
		if err != nil {
			t.Fatal(err)
		}
		got, want := rowsOf(t, op), m.answer()
		if !slices.Equal(got, want) {
			t.Fatalf("seed %d: %s by %v in %s every %v from %d to %d\n%+v\nbreakdown %+v\nrows %+v\ngot  %q\nwant %q",
				seed, m.measure, m.by, m.n.Zone, m.n.Every, m.from, m.to, m.n.Series, m.n.Breakdown, m.rows, got, want)
		}
	}
}
