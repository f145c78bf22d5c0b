package bind

import (
	"strconv"
	"strings"

	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/sql/ast"
	"github.com/prickledb/prickle/storage/vec"
)

func (b *binder) lifecycle(l *ast.Lifecycle) plan.Node {
	empty := &plan.Values{}
	src, sc := b.source(&l.Common, "LIFECYCLE", l.Pos(), false)
	if b.err != nil {
		return empty
	}
	n := &plan.Lifecycle{Source: src}
	if l.Every == nil {
		b.operatorError(l.Pos(), "Write, for example, LIFECYCLE(EVERY INTERVAL '1 day' DURING (now() - INTERVAL '30 days', now())).", "LIFECYCLE needs EVERY")
		return empty
	}
	n.Every = b.unit(l.Every, "EVERY")
	b.bounded(&n.Source, "LIFECYCLE", l.Pos())
	b.created(n, l, sc)
	if l.Output == ast.OutputActors {
		n.Output = plan.OutputActors
	}
	b.noSteps(l.Breakdown)
	if b.err != nil {
		return empty
	}
	return n
}

// created binds when an actor came into being. The insights ask the person, others the
// actor's first row.
func (b *binder) created(n *plan.Lifecycle, l *ast.Lifecycle, sc *scope) {
	at := l.Created
	switch {
	case b.err != nil || at == nil && !l.Compatible:
		return
	case at == nil:
		at = &ast.Name{Place: ast.At(l.Pos()), Parts: []ast.Ident{ast.ID("person"), ast.ID("created_at")}}
	}
	e := b.value(at, sc.in("CREATED", nil))
	if b.err != nil {
		if l.Created == nil {
			b.err = nil
			b.operatorError(l.Pos(), "Name it with the clause CREATED.", "the source does not say when a person was created")
		}
		return
	}
	if e.Type().Kind != vec.Unknown && !e.Type().IsTime() {
		b.operatorError(at.Pos(), "", "CREATED must be a timestamp, not %s", e.Type())
		return
	}
	n.Created = b.coerce(e, vec.T(vec.TimestampTZ), at.Pos())
}

// maxSeries is how many conditions an operator can tell apart.
const maxSeries = 64

func (b *binder) stickiness(s *ast.Stickiness) plan.Node {
	empty := &plan.Values{}
	src, sc := b.source(&s.Common, "STICKINESS", s.Pos(), false)
	if b.err != nil {
		return empty
	}
	n := &plan.Stickiness{Source: src, Times: max(1, s.Times), Bound: plan.Bound(s.Bound), OrMore: s.Rule == ast.RuleOnOrMore}
	if len(s.Series) == 0 {
		b.operatorError(s.Pos(), "Write, for example, STICKINESS(SERIES (a: event = 'x') EVERY INTERVAL '1 day').", "STICKINESS needs SERIES")
		return empty
	}
	if len(s.Series) > maxSeries {
		b.fail(pgerr.New(pgerr.TooManySteps, "STICKINESS can have at most %d series, not %d", maxSeries, len(s.Series)), s.Pos())
	}
	seen := map[string]bool{"periods": true}
	for i := range s.Series {
		x := &s.Series[i]
		if b.err != nil {
			return empty
		}
		if seen[x.Name.Name] {
			b.operatorError(x.Pos(), "Give it another name.", `two columns have the name "%s"`, x.Name.Name)
		}
		seen[x.Name.Name] = true
		n.Series = append(n.Series, plan.StickinessSeries{Name: x.Name.Name,
			Cond: b.condition(b.expr(x.Cond, sc.in("SERIES", nil)), "SERIES", x.Cond.Pos())})
	}
	if s.Every == nil {
		b.operatorError(s.Pos(), "Write, for example, EVERY INTERVAL '1 day'.", "STICKINESS needs EVERY")
		return empty
	}
	n.Every = b.unit(s.Every, "EVERY")
	n.Units = max(1, units(s.Every, n.Every))
	switch {
	case s.AlignTo != nil:
		n.AlignTo = b.instant(s.AlignTo, "ALIGN TO", "a timestamp")
	case s.Compatible && n.Units > 1:
		b.bounded(&n.Source, "STICKINESS of several units", s.Pos())
		n.AlignTo = n.To
	}
	if s.Output == ast.OutputActors {
		n.Output = plan.OutputActors
	}
	if s.Breakdown != nil {
		b.operatorError(s.Breakdown.Pos(), "Write one series for each value.", "STICKINESS has no BREAKDOWN")
	}
	if b.err != nil {
		return empty
	}
	return n
}

// units is how many calendar units an interval of one kind is: as many as the text says,
// since 7 days are as long as a week, and 60 minutes as an hour, but are not cut like one.
func units(e ast.Expr, v vec.IntervalValue) int {
	if t, ok := e.(*ast.Typed); ok && t.Type.Fields == "" {
		if words := strings.Fields(t.Value); len(words) == 2 {
			n, err := strconv.Atoi(words[0])
			if err == nil && n > 0 && int(v.Months)%n == 0 && int(v.Days)%n == 0 && v.Micros%int64(n) == 0 {
				return n
			}
		}
	}
	const second, minute, hour = 1_000_000, 60_000_000, 3_600_000_000
	switch us := v.Micros; {
	case v.Months > 0:
		return int(v.Months)
	case v.Days > 0 && v.Days%7 == 0:
		return int(v.Days) / 7
	case v.Days > 0:
		return int(v.Days)
	case us%hour == 0:
		return int(us / hour)
	case us%minute == 0:
		return int(us / minute)
	case us%second == 0:
		return int(us / second)
	}
	return 1
}
