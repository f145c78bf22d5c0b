package insight

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prickledb/prickle/sql/ast"
)

// windowSeconds are the units of a funnel's window.
var windowSeconds = map[string]float64{"second": 1, "minute": 60, "hour": 3600, "day": 86400, "week": 604_800, "month": 2_678_400}

// funnelQuery is a funnel that is being answered.
type funnelQuery struct {
	*compiler
	q      *query
	list   []*entity
	where  ast.Expr
	by     *breakdown
	span   *span
	window float64 // seconds
	n      int
}

func (c *compiler) readFunnel(q *query) (*funnelQuery, error) {
	f := &funnelQuery{compiler: c, q: q, n: len(q.Series)}
	if err := f.check(); err != nil {
		return nil, err
	}
	var err error
	if f.list, err = c.entities(q); err != nil {
		return nil, err
	}
	if err := missingAction(f.list); err != nil {
		return nil, err
	}
	if f.where, err = c.common(q); err != nil {
		return nil, err
	}
	if f.by, err = c.breakdown(q.Breakdown); err != nil {
		return nil, err
	}
	w := 14.0
	if x := q.Funnels.Window; x != nil && *x > 0 {
		w = *x
	}
	word := strings.TrimSuffix(strings.ToLower(q.Funnels.WindowUnit), "s")
	if word == "" {
		word = "day"
	}
	seconds, ok := windowSeconds[word]
	if !ok {
		return nil, refuse("funnelsFilter.funnelWindowIntervalUnit", "unknown unit %q; there are second, minute, hour, day, week and month", q.Funnels.WindowUnit)
	}
	f.window = min(w*seconds, 200*366*86400)
	f.span, err = c.span(q, f.list, rangeRules{full: true})
	return f, err
}

func (f *funnelQuery) order() string {
	if o := f.q.Funnels.Order; o != "" {
		return o
	}
	return "ordered"
}

func (f *funnelQuery) viz() string {
	if v := f.q.Funnels.Viz; v != "" && v != "flow" {
		return v
	}
	return "steps"
}

// check refuses what no funnel can be, in a fixed order.
func (f *funnelQuery) check() error {
	q, o := f.q, &f.q.Funnels
	n := f.n
	if n < 2 {
		return refuseCode("funnels_require_at_least_two_steps", "Funnels require at least two steps.")
	}
	const badRange = "funnel_step_range_invalid"
	if o.From != nil && (*o.From < 0 || *o.From > n-2) {
		return refuseCode(badRange, "funnelFromStep is out of bounds. It must be between 0 and %d.", n-2)
	}
	timed := f.viz() == "time_to_convert"
	if o.To != nil && (*o.To < 1 || *o.To > n-1) && !(timed && *o.To == 0) {
		return refuseCode(badRange, "funnelToStep is out of bounds. It must be between 1 and %d.", n-1)
	}
	if o.From != nil && o.To != nil && *o.From >= *o.To && !(timed && *o.To == 0) {
		return refuseCode(badRange, "Funnel step range is invalid. funnelToStep should be greater than funnelFromStep.")
	}
	const badExclusion = "funnel_exclusions_invalid"
	for i := range o.Exclusions {
		x := &o.Exclusions[i]
		from, to := orZero(x.FromStep), n-1
		if x.ToStep != nil {
			to = *x.ToStep
		}
		switch {
		case f.order() == "unordered" && (from != 0 || to != n-1):
			return refuseCode(badExclusion, "Partial Exclusions not allowed in unordered funnels")
		case from >= to:
			return refuseCode(badExclusion, "Exclusion event range is invalid. End of range should be greater than start.")
		case from >= n-1:
			return refuseCode(badExclusion, "Exclusion event range is invalid. Start of range is greater than number of steps.")
		case to > n-1:
			return refuseCode(badExclusion, "Exclusion event range is invalid. End of range is greater than number of steps.")
		case from < 0:
			return refuseCode(badExclusion, "Exclusion event range is invalid. Start of range is below 0.")
		}
		for s := from; s <= to; s++ {
			if sameEntity(&q.Series[s], x) && containsFilters(x.Properties, q.Series[s].Properties) {
				return refuseCode(badExclusion, "Exclusion steps cannot contain an event that's part of funnel steps.")
			}
		}
	}
	const badOptional = "funnel_optional_steps_invalid"
	if slices.ContainsFunc(q.Series, func(s node) bool { return s.Optional }) && (f.viz() != "steps" || f.order() == "unordered") {
		return refuseCode(badOptional, "Optional funnel steps are only supported in funnels with step order Sequential or Strict and the graph type \"Conversion Steps\".")
	}
	if q.Series[0].Optional {
		return refuseCode(badOptional, "The first step of a funnel cannot be optional.")
	}
	for i := range q.Series {
		if !q.Series[i].Optional {
			continue
		}
		for j := i + 1; j < n; j++ {
			if q.Series[j].Optional {
				continue
			}
			if sameEntity(&q.Series[i], &q.Series[j]) && containsFilters(q.Series[i].Properties, q.Series[j].Properties) {
				return refuseCode(badOptional, "An optional step cannot be the same as the following required step.")
			}
			break
		}
	}
	if f.order() == "unordered" && o.Attribution == "step" && orZero(o.AttrStep) != 0 {
		return &Refused{Detail: "Only the first step can be used for breakdown attribution in unordered funnels"}
	}
	if timed && o.To != nil && (*o.To < 0 || *o.To > n-1) {
		var words []string
		for i := 1; i < n; i++ {
			words = append(words, strconv.Itoa(i))
		}
		return &Refused{Detail: "Filter parameter funnel_to_step can only be one of " + strings.Join(words, ", ") + " for time to convert!"}
	}
	switch f.order() {
	case "ordered", "strict", "unordered":
	default:
		return refuse("funnelsFilter.funnelOrderType", "unknown order %q; there are ordered, strict and unordered", o.Order)
	}
	switch f.viz() {
	case "steps", "trends", "time_to_convert":
	default:
		return refuse("funnelsFilter.funnelVizType", "unknown kind of chart %q; there are steps, trends and time_to_convert", o.Viz)
	}
	if n > 64 {
		return refuse("series", "a funnel has at most 64 steps, not %d", n)
	}
	if s := orZero(o.AttrStep); o.Attribution == "step" && (s < 0 || s >= n) {
		return refuse("funnelsFilter.breakdownAttributionValue", "there is no step %d to attribute to", s)
	}
	return nil
}

func orZero(n *int) int {
	if n == nil {
		return 0
	}
	return *n
}

// sameEntity says whether two nodes name the same event or action.
func sameEntity(a, b *node) bool {
	if (a.Kind == "ActionsNode") != (b.Kind == "ActionsNode") {
		return false
	}
	if a.Kind == "ActionsNode" {
		return a.ID.Text == b.ID.Text
	}
	return a.Event == nil && b.Event == nil || a.Event != nil && b.Event != nil && *a.Event == *b.Event
}

// containsFilters says whether every filter of some stands among all.
func containsFilters(all, some json.RawMessage) bool {
	have := map[string]bool{}
	for _, f := range canonicalFilters(all) {
		have[f] = true
	}
	for _, f := range canonicalFilters(some) {
		if !have[f] {
			return false
		}
	}
	return true
}

// canonicalFilters are the filters of a list, each in one spelling.
func canonicalFilters(raw json.RawMessage) []string {
	if isNone(raw) {
		return nil
	}
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) != nil {
		list = []json.RawMessage{raw}
	}
	var out []string
	for _, f := range list {
		var v any
		d := json.NewDecoder(bytes.NewReader(f))
		d.UseNumber()
		if d.Decode(&v) != nil {
			continue
		}
		text, _ := json.Marshal(v) // it came from JSON; keys come out sorted
		out = append(out, string(text))
	}
	return out
}

// stepName is the name of a step in statements, counted from 0.
func stepName(i int) ast.Ident { return id("step_" + strconv.Itoa(i+1)) }

// operator is FUNNEL with a condition more, if there is one.
func (f *funnelQuery) operator(more ast.Expr) (*ast.Funnel, error) {
	o := &f.q.Funnels
	op := &ast.Funnel{Common: ast.Common{Compatible: true, Where: and(f.where, more), During: during(f.span.from, f.span.to), Zone: text(f.zone.String())}}
	if f.monday {
		op.WeekStart = "monday"
	} else {
		op.WeekStart = "sunday"
	}
	op.Within = windowInterval(f.window)
	switch f.order() {
	case "strict":
		op.Mode = ast.ModeStrict
	case "unordered":
		op.Mode = ast.ModeUnordered
	}
	sample, err := f.sample(f.q.Sampling)
	if err != nil {
		return nil, err
	}
	for i, e := range f.list {
		s := ast.Step{Name: stepName(i), Cond: always(e.full()), Optional: e.node.Optional}
		switch e.node.Math {
		case "first_time_for_user":
			s.First, s.FirstOf = true, always(and(e.cond, sample))
		case "first_time_for_user_with_filters":
			if s.First = true; sample != nil {
				s.FirstOf = and(e.full(), sample)
			}
		}
		op.Steps = append(op.Steps, s)
	}
	for i := range o.Exclusions {
		x := &o.Exclusions[i]
		e, err := f.entity(x, fmt.Sprintf("funnelsFilter.exclusions[%d]", i))
		if err != nil {
			return nil, err
		}
		if err := missingAction([]*entity{e}); err != nil {
			return nil, err
		}
		to := f.n - 1
		if x.ToStep != nil {
			to = *x.ToStep
		}
		after, before := stepName(orZero(x.FromStep)), stepName(to)
		op.Exclude = append(op.Exclude, ast.Exclusion{Cond: always(e.full()), After: &after, Before: &before})
	}
	switch {
	case f.q.Group != nil:
		op.Actor, err = f.actor(f.q)
	case o.Actor != nil && *o.Actor != "" && *o.Actor != "person_id":
		var x ast.Expr
		if x, err = f.expression(*o.Actor, "funnelsFilter.funnelAggregateByHogQL"); err == nil {
			op.Actor = call("nullif", &ast.Cast{X: x, Type: ast.TypeName{Name: "text"}}, text(""))
		}
	}
	if err != nil {
		return nil, err
	}
	if f.by != nil && !f.by.isCohort {
		op.Breakdown, err = f.breakdownClause()
	}
	return op, err
}

// windowInterval is a number of seconds in the largest unit that fits.
func windowInterval(seconds float64) ast.Expr {
	whole := int64(seconds)
	switch {
	case seconds != float64(whole):
		return &ast.Typed{Type: ast.TypeName{Name: "interval"}, Value: strconv.FormatFloat(seconds, 'f', 6, 64) + " seconds"}
	case whole%86400 == 0:
		return interval(whole/86400, "day")
	case whole%3600 == 0:
		return interval(whole/3600, "hour")
	case whole%60 == 0:
		return interval(whole/60, "minute")
	}
	return interval(whole, "second")
}

func (f *funnelQuery) breakdownClause() (*ast.Breakdown, error) {
	o := &f.q.Funnels
	b := &ast.Breakdown{}
	for i := range f.by.items {
		e, err := f.breakdownValue(&f.by.items[i], funnelURLEnds, "breakdownFilter")
		if err != nil {
			return nil, err
		}
		if f.by.kind == "group" { // there, an empty text is a value
			e = orElse(e, text(""))
		} else {
			e = call("nullif", e, text(""))
		}
		b.Items = append(b.Items, item(e, columnName(i)))
	}
	switch o.Attribution {
	case "", "first_touch":
		b.Attribute = ast.AttributeFirst
	case "last_touch":
		b.Attribute = ast.AttributeLast
	case "all_events":
		b.Attribute = ast.AttributeEach
	case "step":
		b.Attribute, b.Step = ast.AttributeStep, stepName(orZero(o.AttrStep))
	default:
		return nil, refuse("funnelsFilter.breakdownAttributionType", "unknown attribution %q", o.Attribution)
	}
	if f.by.kind == "event" || f.by.kind == "person" || f.by.kind == "group" {
		b.Top, b.Other = f.by.limit, true
	}
	return b, nil
}

// funnels answers a FunnelsQuery.
func (c *compiler) funnels(q *query) (*Answer, error) {
	f, err := c.readFunnel(q)
	if err != nil {
		return nil, err
	}
	var results any
	switch f.viz() {
	case "trends":
		results, err = f.trends()
	case "time_to_convert":
		results, err = f.times()
	default:
		results, err = f.steps()
	}
	if err != nil {
		return nil, err
	}
	return &Answer{Results: results, Fields: map[string]any{"resolved_date_range": f.span.resolved()}}, nil
}

// funnelValue is a breakdown value: for display, and as it is.
type funnelValue struct {
	shown, raw any
	key        string // to sort by
}

// value is the breakdown value of a row; nil without a breakdown.
func (f *funnelQuery) value(rows *Rows, i int, cohort *cohortChoice) *funnelValue {
	switch {
	case f.by == nil:
		return nil
	case cohort != nil:
		return &funnelValue{cohort.name, cohort.id, strconv.FormatInt(cohort.id, 10)}
	}
	if at := rows.Column("is_other"); at >= 0 && rows.bool(i, at) {
		if f.by.kind == "group" {
			return &funnelValue{"Other", "Other", "Other"}
		}
		return &funnelValue{[]string{"Other"}, []string{"Other"}, "Other"}
	}
	var list []string
	for k := range f.by.items {
		list = append(list, rows.Text(i, k))
	}
	if f.by.kind == "group" {
		return &funnelValue{list[0], list[0], list[0]}
	}
	return &funnelValue{list, list, strings.Join(list, "\x00")}
}

// each runs the operator once, or once for each cohort.
func (f *funnelQuery) each(build func(*ast.Funnel) ast.Query, use func(*Rows, *cohortChoice)) error {
	choices := []*cohortChoice{nil}
	if f.by != nil && f.by.isCohort {
		choices = nil
		for i := range f.by.cohorts {
			choices = append(choices, &f.by.cohorts[i])
		}
	}
	for _, k := range choices {
		var more ast.Expr
		if k != nil && !k.all {
			more = inCohort(f.personID(), k.set)
		}
		op, err := f.operator(more)
		if err != nil {
			return err
		}
		rows, err := f.run.Run(f.ctx, build(op))
		if err != nil {
			return err
		}
		use(rows, k)
	}
	return nil
}

// funnelSteps is the funnel of one breakdown value.
type funnelSteps struct {
	value  *funnelValue
	counts []float64
	means  []*float64
	halves []*float64 // medians
}

// steps is the chart of conversion steps.
func (f *funnelQuery) steps() (any, error) {
	var list []*funnelSteps
	err := f.each(func(op *ast.Funnel) ast.Query {
		op.Output = ast.OutputSteps
		return all(op)
	}, func(rows *Rows, k *cohortChoice) {
		step, count := rows.Column("step"), rows.Column("count")
		mean, half := rows.Column("average_seconds"), rows.Column("median_seconds")
		for i := range rows.N {
			n := int(rows.Int(i, step)) - 1
			if n == 0 {
				list = append(list, &funnelSteps{value: f.value(rows, i, k)})
			}
			s := list[len(list)-1]
			s.counts = append(s.counts, scale(float64(rows.Int(i, count)), f.q.Sampling))
			s.means, s.halves = append(s.means, rows.float(i, mean)), append(s.halves, rows.float(i, half))
		}
	})
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(list, func(a, b *funnelSteps) int {
		for i := f.n - 1; i >= 0; i-- {
			if c := cmp.Compare(b.counts[i], a.counts[i]); c != 0 {
				return c
			}
		}
		return strings.Compare(a.value.key, b.value.key)
	})
	if f.by == nil {
		if len(list) == 0 {
			return []any{}, nil
		}
		return f.stepsJSON(list[0]), nil
	}
	out := []any{}
	for _, s := range list {
		out = append(out, f.stepsJSON(s))
	}
	return out, nil
}

func (f *funnelQuery) stepsJSON(s *funnelSteps) []map[string]any {
	var out []map[string]any
	for i, e := range f.list {
		kind := "events"
		var action any = e.name()
		if e.action != nil {
			kind, action = "actions", e.action.ID
		}
		m := map[string]any{"action_id": action, "name": e.name(), "custom_name": e.node.CustomName, "order": i, "people": []any{},
			"count": s.counts[i], "type": kind, "average_conversion_time": s.means[i], "median_conversion_time": s.halves[i]}
		if f.order() == "unordered" {
			word := "steps"
			if i == 0 {
				word = "step"
			}
			m["name"], m["action_id"], m["custom_name"] = fmt.Sprintf("Completed %d %s", i+1, word), nil, nil
		}
		if s.value != nil {
			m["breakdown"], m["breakdown_value"] = s.value.shown, s.value.raw
		}
		out = append(out, m)
	}
	return out
}

// bounds are the steps between which time to convert and trends look, from 0.
func (f *funnelQuery) bounds() (from, to int) {
	from, to = orZero(f.q.Funnels.From), f.n-1
	if t := orZero(f.q.Funnels.To); t > 0 {
		to = t
	}
	return from, to
}

// stepTime is the time of a step of the best chain, from 0.
func stepTime(i int) ast.Expr { return &ast.Index{X: column("step_times"), I: integer(i + 1)} }

// times is the distribution of the time from one step to another.
func (f *funnelQuery) times() (any, error) {
	from, to := f.bounds()
	plain := *f
	plain.by = nil
	type sample struct {
		seconds float64
		n       int64
	}
	var samples []sample
	total, sum := int64(0), 0.0
	err := plain.each(func(op *ast.Funnel) ast.Query {
		op.Output = ast.OutputActors
		seconds := &ast.Cast{X: &ast.Extract{Field: "epoch", X: binary("-", stepTime(to), stepTime(from))}, Type: ast.TypeName{Name: "float8"}}
		return &ast.Select{Items: []ast.SelectItem{item(seconds, "seconds"), item(countAll(), "actors")}, From: []ast.TableExpr{op},
			Where: binary(">", column("reached"), integer(to)), GroupBy: &ast.GroupBy{Items: []ast.GroupItem{{Expr: integer(1)}}},
			QueryTail: ast.QueryTail{OrderBy: []ast.OrderItem{{Expr: integer(1)}}}}
	}, func(rows *Rows, _ *cohortChoice) {
		for i := range rows.N {
			s := sample{rows.Float(i, 0), rows.Int(i, 1)}
			samples = append(samples, s)
			total += s.n
			sum += s.seconds * float64(s.n)
		}
	})
	if err != nil {
		return nil, err
	}
	if total == 0 {
		return map[string]any{"bins": [][2]float64{{0, 0}, {60, 0}}, "average_conversion_time": nil, "median_conversion_time": nil}, nil
	}
	bins := int(math.Ceil(math.Cbrt(float64(total)) - 1e-9))
	bins = min(max(bins, 1), 60)
	if n, ok := f.binCount(); ok {
		bins = min(max(n, 1), 90)
	}
	low, high := math.Floor(samples[0].seconds), math.Ceil(samples[len(samples)-1].seconds)
	width := math.Ceil((high - low) / float64(bins))
	if width == 0 {
		width = 60
	}
	out := make([][2]float64, bins+1)
	for i := range out {
		out[i][0] = low + float64(i)*width
	}
	for _, s := range samples {
		if i := int(math.Floor((s.seconds - low) / width)); i <= bins {
			out[i][1] += float64(s.n)
		}
	}
	// at is the sample at a position of all of them, sorted.
	at := func(pos int64) float64 {
		for _, s := range samples {
			if pos < s.n {
				return s.seconds
			}
			pos -= s.n
		}
		return 0
	}
	half := at(total / 2)
	if total%2 == 0 {
		half = (half + at(total/2-1)) / 2
	}
	return map[string]any{"bins": out, "average_conversion_time": sum / float64(total), "median_conversion_time": half}, nil
}

// binCount is the number of bins that the query asks for.
func (f *funnelQuery) binCount() (int, bool) {
	if isNone(f.q.Funnels.Bins) {
		return 0, false
	}
	n, err := strconv.Atoi(strings.Trim(string(f.q.Funnels.Bins), `"`))
	return n, err == nil // "auto" is none
}

// trendBuckets are the periods of the trend of conversion.
func (f *funnelQuery) trendOperator(op *ast.Funnel) {
	from, to := f.bounds()
	a, b := stepName(from), stepName(to)
	op.Output, op.TrendBucket, op.TrendFrom, op.TrendTo = ast.OutputTrend, interval(1, f.span.u.String()), &a, &b
}

// trends is conversion over time.
func (f *funnelQuery) trends() (any, error) {
	type line struct {
		value   *funnelValue
		data    map[int64]float64
		entered bool
	}
	var lines []*line
	err := f.each(func(op *ast.Funnel) ast.Query {
		f.trendOperator(op)
		return all(op)
	}, func(rows *Rows, k *cohortChoice) {
		at, entered, converted := rows.Column("bucket"), rows.Column("entered"), rows.Column("converted")
		for i := range rows.N {
			v := f.value(rows, i, k)
			if n := len(lines); n == 0 || v != nil && lines[n-1].value.key != v.key {
				lines = append(lines, &line{value: v, data: map[int64]float64{}})
			}
			n := rows.Int(i, entered)
			if l := lines[len(lines)-1]; n > 0 {
				l.entered = true
				rate := float64(rows.Int(i, converted)) / float64(n) * 100
				l.data[rows.Time(i, at).UnixMicro()] = math.Round(rate*100) / 100
			}
		}
	})
	if err != nil {
		return nil, err
	}
	switch {
	case f.by != nil: // a value nobody entered with has no line
		lines = slices.DeleteFunc(lines, func(l *line) bool { return !l.entered })
	case len(lines) == 0:
		lines = []*line{{}}
	}
	slices.SortStableFunc(lines, func(a, b *line) int {
		if a.value == nil || b.value == nil {
			return 0
		}
		return strings.Compare(a.value.key, b.value.key)
	})
	out := []map[string]any{}
	for _, l := range lines {
		data, days, labels := []float64{}, []string{}, []string{}
		for _, b := range f.span.buckets() {
			data, days, labels = append(data, l.data[b.UnixMicro()]), append(days, f.span.u.dayText(b)), append(labels, f.span.label(b))
		}
		m := map[string]any{"count": len(data), "data": data, "days": days, "labels": labels}
		if l.value != nil {
			m["breakdown_value"] = l.value.raw
		}
		out = append(out, m)
	}
	return out, nil
}

// trendStart is the period that an actors query names.
func (f *funnelQuery) trendStart(s string) (time.Time, error) {
	t, ok := f.absolute(strings.TrimSpace(s))
	if !ok {
		return t, refuse("funnelTrendsEntrancePeriodStart", "%q is not a date", s)
	}
	return f.start(t, f.span.u), nil
}
