package insight

import (
	"strconv"

	"github.com/prickledb/prickle/sql/ast"
)

// statuses of an actor in an interval, in the order of answers.
var statuses = []string{"new", "returning", "resurrecting", "dormant"}

// life is a lifecycle query that is being answered.
type life struct {
	*compiler
	q     *query
	list  []*entity
	where ast.Expr
	span  *span
}

func (c *compiler) readLifecycle(q *query) (*life, error) {
	l := &life{compiler: c, q: q}
	var err error
	if l.list, err = c.entities(q); err != nil {
		return nil, err
	}
	if err := missingAction(l.list); err != nil {
		return nil, err
	}
	if l.where, err = c.common(q); err != nil {
		return nil, err
	}
	for _, e := range l.list { // an event must match all series
		l.where = and(l.where, e.full())
	}
	profile := keepsNull(binary("<>", c.row("properties", "$process_person_profile"), text("false")))
	l.where = and(l.where, profile)
	l.span, err = c.span(q, l.list, rangeRules{exact: q.Date.Explicit})
	return l, err
}

// operator is LIFECYCLE over the intervals of the range.
func (l *life) operator() (*ast.Lifecycle, error) {
	p := l.span
	first, last := p.start(p.from, p.u), p.start(p.to, p.u)
	op := &ast.Lifecycle{Common: ast.Common{Compatible: true, Where: l.where, Zone: text(l.zone.String()),
		During: &ast.During{From: instant(first), To: instant(p.start(p.add(last, p.u, 1), p.u))}}, Every: interval(1, p.u.String())}
	if l.monday {
		op.WeekStart = "monday"
	} else {
		op.WeekStart = "sunday"
	}
	op.Created = l.row("person", "created_at")
	var err error
	if g := l.q.Group; g != nil {
		if op.Actor, err = l.groupKey(*g, "aggregation_group_type_index"); err != nil {
			return nil, err
		}
		op.Created = l.row("group_"+strconv.Itoa(*g), "created_at")
	}
	return op, nil
}

// lifecycle answers a LifecycleQuery.
func (c *compiler) lifecycle(q *query) (*Answer, error) {
	l, err := c.readLifecycle(q)
	if err != nil {
		return nil, err
	}
	op, err := l.operator()
	if err != nil {
		return nil, err
	}
	rows, err := l.run.Run(l.ctx, all(op))
	if err != nil {
		return nil, err
	}
	type cell struct {
		at     int64
		status string
	}
	counts := map[cell]float64{}
	for i := range rows.N {
		counts[cell{rows.Time(i, 0).UnixMicro(), rows.Text(i, 1)}] = float64(rows.Int(i, 2))
	}
	e := l.list[0]
	action := map[string]any{"id": e.name(), "name": e.label(), "type": "events", "order": 0, "math": "total"}
	if e.action != nil {
		action["id"], action["type"] = e.node.ID.Text, "actions"
	}
	if e.node.CustomName != nil {
		action["custom_name"] = e.node.CustomName
	}
	results := []map[string]any{}
	for _, status := range statuses {
		data, days, labels, sum := []float64{}, []string{}, []string{}, 0.0
		for _, b := range l.span.buckets() {
			if q.Date.Explicit && (b.Before(l.span.from) || b.After(l.span.to)) {
				continue
			}
			v := counts[cell{b.UnixMicro(), status}]
			if f := q.Sampling; f != nil && *f == 0 {
				v = 0
			} else {
				v = scale(v, f)
			}
			if status == "dormant" && v != 0 {
				v = -v
			}
			data = append(data, v)
			sum += v
			days, labels = append(days, l.span.lifeDay(b)), append(labels, l.span.label(b))
		}
		results = append(results, map[string]any{"status": status, "label": e.label() + " - " + status, "data": data, "count": sum,
			"days": days, "labels": labels, "action": action})
	}
	return &Answer{Results: results, Fields: map[string]any{"resolved_date_range": l.span.resolved()}}, nil
}
