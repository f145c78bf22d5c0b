package insight

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/prickledb/prickle/sql/ast"
)

// setCriterion is the number of events that makes a bucket count.
func setCriterion(s *ast.Stickiness, op string, n int, attr string) error {
	switch op {
	case "gte":
		s.Bound = ast.BoundMinimum
	case "gt":
		s.Bound, n = ast.BoundMinimum, n+1
	case "lte":
		s.Bound = ast.BoundMaximum
	case "lt":
		s.Bound, n = ast.BoundMaximum, n-1
	case "exact":
		s.Bound = ast.BoundExactly
	default:
		return refuse(attr, "unknown operator %q; there are gte, lte and exact", op)
	}
	if n < 1 {
		return refuse(attr, "a number of events is 1 or more")
	}
	s.Times = n
	return nil
}

// sticky is a stickiness query that is being answered.
type sticky struct {
	*compiler
	q                 *query
	list              []*entity
	where             ast.Expr
	current, previous *span
	count             int // units in a bucket
}

func (c *compiler) readStickiness(q *query) (*sticky, error) {
	s := &sticky{compiler: c, q: q, count: 1}
	var err error
	if s.list, err = c.entities(q); err != nil {
		return nil, err
	}
	if s.where, err = c.common(q); err != nil {
		return nil, err
	}
	if s.current, err = c.span(q, s.list, rangeRules{}); err != nil {
		return nil, err
	}
	if q.Compare.Compare {
		s.previous = s.current.previous(q.Compare.CompareTo, c.now)
	}
	if q.Count != nil {
		if *q.Count < 1 || *q.Count > maxBuckets {
			return nil, refuse("intervalCount", "intervalCount lies between 1 and %d", maxBuckets)
		}
		s.count = *q.Count
	}
	return s, nil
}

// operator is STICKINESS for one series and one period.
func (s *sticky) operator(i int, p *span) (*ast.Stickiness, error) {
	e := s.list[i]
	attr := fmt.Sprintf("series[%d]", i)
	op := &ast.Stickiness{Common: ast.Common{Compatible: true, Where: s.where, During: during(p.scanFrom(), p.to), Zone: text(s.zone.String())},
		Series: []ast.StickinessSeries{{Name: id("actors"), Cond: always(e.full())}}, Every: interval(int64(s.count), p.u.String())}
	if s.monday {
		op.WeekStart = "monday"
	} else {
		op.WeekStart = "sunday"
	}
	if s.q.Count != nil { // buckets count back from the end of the current period
		op.AlignTo = instant(s.current.to.Add(time.Microsecond))
	}
	var err error
	switch {
	case e.node.Math == "unique_group" && e.node.MathGroup != nil:
		op.Actor, err = s.groupKey(*e.node.MathGroup, attr+".math_group_type_index")
	case e.node.Math == "hogql" && e.node.MathHogQL != nil:
		var x ast.Expr
		if x, err = s.expression(*e.node.MathHogQL, attr+".math_hogql"); err == nil {
			op.Actor = &ast.Cast{X: x, Type: ast.TypeName{Name: "text"}}
		}
	}
	if err != nil {
		return nil, err
	}
	if k := s.q.Stickiness.Criteria; k != nil {
		err = setCriterion(op, k.Operator, k.Value, "stickinessFilter.stickinessCriteria")
	}
	return op, err
}

// slots is how many numbers of buckets an answer has at least.
func (s *sticky) slots(p *span) int {
	return (len(p.buckets()) + s.count - 1) / s.count
}

// stickiness answers a StickinessQuery.
func (c *compiler) stickiness(q *query) (*Answer, error) {
	s, err := c.readStickiness(q)
	if err != nil {
		return nil, err
	}
	results := []map[string]any{}
	for _, p := range []*span{s.current, s.previous} {
		if p == nil {
			continue
		}
		for i, e := range s.list {
			if e.gone {
				continue
			}
			op, err := s.operator(i, p)
			if err != nil {
				return nil, err
			}
			rows, err := s.run.Run(s.ctx, all(op))
			if err != nil {
				return nil, err
			}
			results = append(results, s.result(i, p, rows))
		}
	}
	return &Answer{Results: results, Fields: map[string]any{"resolved_date_range": s.current.resolved()}}, nil
}

func (s *sticky) result(i int, p *span, rows *Rows) map[string]any {
	e := s.list[i]
	data := make([]float64, s.slots(p))
	for r := range rows.N {
		n := int(rows.Int(r, 0))
		if n < 1 || rows.Int(r, 1) == 0 && n > len(data) {
			continue
		}
		for len(data) < n {
			data = append(data, 0)
		}
		data[n-1] = float64(rows.Int(r, 1))
	}
	sum := 0.0
	for _, v := range data {
		sum += v
	}
	more := ""
	if s.q.Stickiness.ComputedAs == "cumulative" {
		more = " or more"
		for n := range slices.Backward(data) {
			if n+1 < len(data) {
				data[n] += data[n+1]
			}
		}
	}
	days, labels := []int{}, []string{}
	for n := range data {
		days = append(days, n+1)
		word := p.u.String()
		if n > 0 {
			word += "s"
		}
		labels = append(labels, strconv.Itoa(n+1)+" "+word+more)
	}
	out := map[string]any{"count": sum, "data": data, "days": days, "labels": labels, "label": e.label(),
		"action": map[string]any{"order": i, "type": "events", "name": e.label(), "id": e.name(), "custom_name": e.node.CustomName}}
	if s.previous != nil {
		out["compare"], out["compare_label"] = true, "current"
		if p == s.previous {
			out["compare_label"] = "previous"
		}
	}
	return out
}
