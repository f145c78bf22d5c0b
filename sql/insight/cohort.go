package insight

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prickledb/prickle/sql/ast"
	"github.com/prickledb/prickle/sql/parse"
)

// behavioral are the fields of a cohort's condition on what people did.
type behavioral struct {
	EventType    string          `json:"event_type"`
	TimeValue    flexInt         `json:"time_value"`
	TimeUnit     string          `json:"time_interval"`
	SeqEvent     flexText        `json:"seq_event"`
	SeqType      string          `json:"seq_event_type"`
	SeqValue     flexInt         `json:"seq_time_value"`
	SeqUnit      string          `json:"seq_time_interval"`
	Count        flexInt         `json:"operator_value"`
	MinPeriods   flexInt         `json:"min_periods"`
	TotalPeriods flexInt         `json:"total_periods"`
	Explicit     *string         `json:"explicit_datetime"`
	ExplicitTo   *string         `json:"explicit_datetime_to"`
	EventFilters json.RawMessage `json:"event_filters"`
}

// flexInt is a number that some clients write as text.
type flexInt int

// UnmarshalJSON implements json.Unmarshaler.
func (f *flexInt) UnmarshalJSON(raw []byte) error {
	s := strings.Trim(string(raw), `"`)
	if s == "null" || s == "" {
		return nil
	}
	n, err := strconv.ParseFloat(s, 64)
	if err != nil || n != float64(int(n)) {
		return &json.UnmarshalTypeError{Value: "text that is no whole number"}
	}
	*f = flexInt(n)
	return nil
}

// maxPeriod bounds the numbers of a cohort's times.
const maxPeriod = 100_000

// cohortFilter is a filter by a cohort, whose number is its value.
func (c *compiler) cohortFilter(f *filter, op, attr string) (ast.Expr, error) {
	if isNone(f.Value) {
		return nil, nil
	}
	list, _, err := values(f.Value)
	if err != nil {
		return nil, refuse(attr, "the value is not valid JSON: %v", err)
	}
	var conds []ast.Expr
	for _, v := range list {
		set, err := c.cohortByText(textOf(v), attr)
		if err != nil {
			return nil, err
		}
		conds = append(conds, inCohort(c.personID(), set))
	}
	if len(conds) == 0 {
		return nil, nil
	}
	cond := or(conds...)
	if op == "not_in" || op == "is_not" || f.Negation {
		return not(cond), nil
	}
	return cond, nil
}

// cohortByText finds a cohort by its number.
func (c *compiler) cohortByText(s, attr string) (ast.CohortSet, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return nil, refuse(attr, "a cohort is named by its number, not by %q", s)
	}
	return c.cohort(n, attr)
}

// cohort is the set of a cohort's persons.
func (c *compiler) cohort(n int64, attr string) (ast.CohortSet, error) {
	k, ok := c.project.Cohort(n)
	if !ok {
		return nil, &Refused{Code: "does_not_exist", Detail: fmt.Sprintf("there is no cohort %d", n), Attr: attr}
	}
	if slices.Contains(c.cohorts, n) {
		return nil, &Refused{Code: "cohort_cycle", Detail: fmt.Sprintf("cohort %d (%s) refers to itself", n, k.Name), Attr: attr}
	}
	inner := *c
	inner.cohorts = append(slices.Clip(c.cohorts), n)
	inner.alias, inner.onPersons = "", false
	return inner.cohortSet(k)
}

// CohortSQL is the set of a cohort's persons as SQL, at an instant: what may stand behind
// IN COHORT.
func CohortSQL(ctx context.Context, p Project, now time.Time, n int64) (string, error) {
	set, err := newCompiler(ctx, p, nil, now).cohort(n, "cohort")
	if err != nil {
		return "", err
	}
	return ast.Format(set), nil
}

func (c *compiler) cohortSet(k *Cohort) (ast.CohortSet, error) {
	attr := fmt.Sprintf("cohort %d", k.ID)
	switch {
	case k.Static:
		return setOf(&ast.Select{Items: []ast.SelectItem{item(column("person_id"), "")}, From: []ast.TableExpr{table("cohort_members")},
			Where: equal(column("cohort_id"), integer(int(k.ID)))}), nil
	case k.SQL != "":
		q, err := parse.Query(k.SQL)
		if err != nil {
			return nil, refuse(attr, "the definition of cohort %d (%s) cannot be read: %v", k.ID, k.Name, err)
		}
		return setOf(q), nil
	case !isNone(k.Query):
		q, err := c.actorsOf(k.Query)
		if err != nil {
			return nil, err
		}
		return setOf(q), nil
	case !isNone(k.Groups) && isNone(k.Filters):
		return c.oldCohort(k.Groups, attr)
	}
	var filters struct {
		Properties json.RawMessage `json:"properties"`
	}
	if !isNone(k.Filters) {
		if err := decode(k.Filters, &filters); err != nil {
			return nil, err
		}
	}
	if isNone(filters.Properties) {
		return nobody(), nil
	}
	set, positive, err := c.cohortTree(filters.Properties, attr, 0)
	if err == nil && set == nil {
		set = nobody()
	} else if err == nil && !positive {
		err = refuse(attr, "a cohort needs a condition that is not negated")
	}
	return set, err
}

// oldCohort is the form of groups that are joined by OR.
func (c *compiler) oldCohort(raw json.RawMessage, attr string) (ast.CohortSet, error) {
	var groups []struct {
		Properties json.RawMessage `json:"properties"`
	}
	if err := decode(raw, &groups); err != nil {
		return nil, err
	}
	var out ast.CohortSet
	for _, g := range groups {
		tree := g.Properties
		if list := []json.RawMessage(nil); isNone(tree) || json.Unmarshal(tree, &list) == nil {
			tree, _ = json.Marshal(map[string]any{"type": "AND", "values": list}) // it came from JSON
		}
		set, _, err := c.cohortTree(tree, attr, 0)
		if err != nil {
			return nil, err
		}
		if set == nil { // it asks for nothing
			set = persons(nil)
		}
		out = combine(ast.Union, out, set)
	}
	if out == nil {
		out = nobody()
	}
	return out, nil
}

func setOf(q ast.Query) ast.CohortSet { return &ast.CohortQuery{Query: q} }

// persons are the persons of whom a condition is true.
func persons(cond ast.Expr) ast.CohortSet {
	return setOf(&ast.Select{Items: []ast.SelectItem{item(column("id"), "")}, From: []ast.TableExpr{table("persons")}, Where: cond})
}

func nobody() ast.CohortSet { return persons(boolean(false)) }

// combine joins two sets, of which the first may be missing.
func combine(op ast.SetOpKind, a, b ast.CohortSet) ast.CohortSet {
	if a == nil {
		return b
	}
	return &ast.CohortOp{Op: op, Left: a, Right: b}
}

// cohortTree is a group of conditions, or one of them; and whether any of it is not negated.
func (c *compiler) cohortTree(raw json.RawMessage, attr string, depth int) (ast.CohortSet, bool, error) {
	if depth > maxFilterDepth {
		return nil, false, refuse(attr, "its conditions are nested more than %d deep", maxFilterDepth)
	}
	var f filter
	if err := decode(raw, &f); err != nil {
		return nil, false, err
	}
	kind := strings.ToUpper(f.Type)
	if kind != "AND" && kind != "OR" {
		set, err := c.cohortLeaf(&f, attr)
		if err != nil || set == nil {
			return nil, true, err
		}
		if f.Negation {
			return combine(ast.Except, persons(nil), set), false, nil
		}
		return set, true, nil
	}
	op := ast.Intersect
	if kind == "OR" {
		op = ast.Union
	}
	var out ast.CohortSet
	any := len(f.Values) == 0
	for _, v := range f.Values {
		set, positive, err := c.cohortTree(v, attr, depth+1)
		if err != nil {
			return nil, false, err
		}
		any = any || positive
		if set != nil {
			out = combine(op, out, set)
		}
	}
	return out, any, nil
}

// cohortLeaf is one condition of a cohort, without its negation; nil if it says nothing.
func (c *compiler) cohortLeaf(f *filter, attr string) (ast.CohortSet, error) {
	switch f.Type {
	case "behavioral":
		return c.behavior(f, attr)
	case "cohort", "static-cohort", "precalculated-cohort":
		list, _, err := values(f.Value)
		if isNone(f.Value) || err != nil || len(list) == 0 {
			return nil, err
		}
		return c.cohortByText(textOf(list[0]), attr)
	case "person", "":
		inner := *c
		inner.onPersons = true
		plain := *f
		plain.Type = "person"
		cond, err := inner.filter(&plain, attr)
		if err != nil || cond == nil {
			return nil, err
		}
		return persons(cond), nil
	}
	return nil, refuse(attr, "conditions of the type %q are not supported in cohorts", f.Type)
}

// did is what a behavioural condition is about: the event or the action, and the filters.
func (c *compiler) did(kind, key string, filters json.RawMessage, attr string) (ast.Expr, error) {
	n := &node{Kind: "EventsNode", Event: &key, Properties: filters}
	if kind == "actions" {
		id, err := strconv.ParseInt(key, 10, 64)
		n = &node{Kind: "ActionsNode", ID: flexID{Set: true, Num: id, IsN: err == nil, Text: key}, Properties: filters}
	}
	e, err := c.entity(n, attr)
	if err != nil {
		return nil, err
	}
	if err := missingAction([]*entity{e}); err != nil {
		return nil, err
	}
	return e.full(), nil
}

// back is the instant n units before now: hours as they elapse, days and more by the
// calendar. Of a unit only the first letter counts, so that a minute is a month.
func (c *compiler) back(n flexInt, u, attr string) (time.Time, error) {
	if n < 0 || n > maxPeriod {
		return c.now, refuse(attr, "a time of a cohort lies between 0 and %d", maxPeriod)
	}
	switch (u + "d")[0] {
	case 'h':
		return c.now.Add(-time.Duration(n) * time.Hour), nil
	case 'd':
		return c.addDays(c.now, -int(n)), nil
	case 'w':
		return c.addDays(c.now, -7*int(n)), nil
	case 'm':
		return c.addMonths(c.now, -int(n)), nil
	case 'y':
		return c.addMonths(c.now, -12*int(n)), nil
	}
	return c.now, refuse(attr, "unknown unit of time %q", u)
}

// backDay is back, at midnight unless the unit is hours.
func (c *compiler) backDay(n flexInt, u, attr string) (time.Time, error) {
	t, err := c.back(n, u, attr)
	if !strings.HasPrefix(u, "h") {
		t = c.start(t, day)
	}
	return t, err
}

// doers are the persons with an event of a kind, with perhaps a condition on all of them.
func doers(cond, from, to, having ast.Expr) ast.CohortSet {
	var bounds []ast.Expr
	if from != nil {
		bounds = append(bounds, binary(">=", column("timestamp"), from))
	}
	if to != nil {
		bounds = append(bounds, binary("<=", column("timestamp"), to))
	}
	return setOf(&ast.Select{Items: []ast.SelectItem{item(column("person_id"), "")}, From: []ast.TableExpr{table("events")},
		Where: and(append(bounds, cond)...), GroupBy: &ast.GroupBy{Items: []ast.GroupItem{{Expr: column("person_id")}}}, Having: having})
}

// behavior is the persons who did, or stopped doing, something.
func (c *compiler) behavior(f *filter, attr string) (ast.CohortSet, error) {
	cond, err := c.did(f.EventType, string(f.Key), f.EventFilters, attr)
	if err != nil {
		return nil, err
	}
	var kind string
	if err := json.Unmarshal(f.Value, &kind); err != nil {
		return nil, refuse(attr, "a behavioural condition needs a value such as performed_event")
	}
	from, to, err := c.wholeDays(f, attr)
	if err != nil {
		return nil, err
	}
	switch kind {
	case "performed_event":
		return doers(cond, instant(from), instant(to), nil), nil
	case "performed_event_first_time":
		first := call("min", column("timestamp"))
		return doers(cond, nil, nil, &ast.Between{X: first, Low: instant(from), High: instant(to)}), nil
	case "performed_event_multiple":
		return c.performedMultiple(f, cond, attr)
	case "stopped_performing_event":
		seq, err := c.backDay(f.SeqValue, f.SeqUnit, attr)
		if err != nil {
			return nil, err
		}
		return combine(ast.Except, doers(cond, instant(from), instant(to), nil), doers(cond, instant(seq), instant(to), nil)), nil
	case "restarted_performing_event":
		seq, err := c.backDay(f.SeqValue, f.SeqUnit, attr)
		if err != nil {
			return nil, err
		}
		back := doers(cond, instant(seq), instant(to), nil)
		before := doers(cond, nil, instant(seq.Add(-time.Microsecond)), nil)
		pause := doers(cond, instant(from), instant(c.endOfDay(seq)), nil)
		return combine(ast.Except, combine(ast.Intersect, back, before), pause), nil
	case "performed_event_sequence":
		return c.performedSequence(f, cond, from, to, attr)
	case "performed_event_regularly":
		return c.performedRegularly(f, cond, attr)
	}
	return nil, refuse(attr, "unknown behaviour %q", kind)
}

// counted is a condition on how often: count(*) >= 3.
func counted(e ast.Expr, f *filter, attr string) (ast.Expr, error) {
	op := "gte"
	if f.Operator != nil && *f.Operator != "" {
		op = *f.Operator
	}
	sign, ok := map[string]string{"gte": ">=", "lte": "<=", "gt": ">", "lt": "<", "exact": "=", "eq": "="}[op]
	if !ok {
		return nil, refuse(attr, "unknown operator %q; there are gte, lte, gt, lt and exact", op)
	}
	return binary(sign, e, integer(int(f.Count))), nil
}

// wholeDays is the time in which a behaviour counts: whole days up to today, or those of its
// dates, as in the range of a query by days.
func (c *compiler) wholeDays(f *filter, attr string) (from, to time.Time, err error) {
	if !given(f.Explicit) {
		from, err = c.backDay(f.TimeValue, f.TimeUnit, attr)
		return from, c.endOfDay(c.now), err
	}
	s, err := c.clock.resolve(dateRange{From: f.Explicit, To: f.ExplicitTo}, day, c.now, rangeRules{full: true}, func() (time.Time, error) {
		return c.now, refuse(attr, "a behaviour has no time without a start")
	})
	if err != nil {
		return from, to, err
	}
	return s.scanFrom(), s.to, nil
}

// performedMultiple counts between exact instants, which are not among them.
func (c *compiler) performedMultiple(f *filter, cond ast.Expr, attr string) (ast.CohortSet, error) {
	having, err := counted(countAll(), f, attr)
	if err != nil {
		return nil, err
	}
	to := c.now
	from, err := c.back(f.TimeValue, f.TimeUnit, attr)
	if err != nil {
		return nil, err
	}
	if given(f.Explicit) {
		from = c.readDate(*f.Explicit, c.now).t
		if given(f.ExplicitTo) {
			to = c.readDate(*f.ExplicitTo, c.now).t
		}
	}
	return doers(cond, instant(from.Add(time.Microsecond)), instant(to.Add(-time.Microsecond)), having), nil
}

func (c *compiler) performedSequence(f *filter, cond ast.Expr, from, to time.Time, attr string) (ast.CohortSet, error) {
	next, err := c.did(f.SeqType, string(f.SeqEvent), nil, attr)
	if err != nil {
		return nil, err
	}
	seconds, ok := map[byte]int64{'h': 3600, 'd': 86400, 'w': 7 * 86400, 'm': 30 * 86400, 'y': 365 * 86400}[(f.SeqUnit + "d")[0]]
	if !ok || f.SeqValue < 0 || f.SeqValue > maxPeriod {
		return nil, refuse(attr, "seq_time_value and seq_time_interval are no span of time")
	}
	funnel := &ast.Funnel{Common: ast.Common{Compatible: true, During: during(from, to)}, Output: ast.OutputActors,
		Steps:  []ast.Step{{Name: id("first"), Cond: always(cond)}, {Name: id("second"), Cond: always(next)}},
		Within: interval(max(1, seconds*int64(f.SeqValue)), "second")}
	return setOf(&ast.Select{Items: []ast.SelectItem{item(column("actor"), "")}, From: []ast.TableExpr{funnel},
		Where: equal(column("reached"), integer(2))}), nil
}

func (c *compiler) performedRegularly(f *filter, cond ast.Expr, attr string) (ast.CohortSet, error) {
	u, err := readUnit(f.TimeUnit, attr)
	if err != nil {
		return nil, err
	}
	n, total := max(1, int(f.TimeValue)), max(1, int(f.TotalPeriods))
	if n > maxPeriod || total > maxPeriod || n*total > maxPeriod {
		return nil, refuse(attr, "a time of a cohort lies between 0 and %d", maxPeriod)
	}
	// The range is that of a question about stickiness: up to the last whole second of yesterday.
	from, to := fmt.Sprintf("-%d%c", n*total, (f.TimeUnit + "d")[0]), "-1d"
	s, err := c.clock.resolve(dateRange{From: &from, To: &to}, u, c.now, rangeRules{}, nil)
	if err != nil {
		return nil, err
	}
	st := &ast.Stickiness{Common: ast.Common{Compatible: true, During: during(s.scanFrom(), s.to), Zone: text(c.zone.String())}, Output: ast.OutputActors,
		Series: []ast.StickinessSeries{{Name: id("a"), Cond: always(cond)}}, Every: interval(int64(n), u.String()),
		AlignTo: instant(s.to.Add(time.Microsecond))} // periods count back from the end
	if f.Count > 0 {
		op := "gte"
		if f.Operator != nil && *f.Operator != "" {
			op = *f.Operator
		}
		if err := setCriterion(st, op, int(f.Count), attr); err != nil {
			return nil, err
		}
	}
	return setOf(&ast.Select{Items: []ast.SelectItem{item(column("actor"), "")}, From: []ast.TableExpr{st},
		Where: binary(">=", column("periods"), integer(int(f.MinPeriods)))}), nil
}
