package ast

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// Expand writes a shorthand statement out as the query that it stands for. The
// result shares the conditions of s. LAST n units means since the beginning of
// the unit n-1 units ago, in the session's time zone, and until now.
func Expand(s *Shorthand) *Select {
	x := expander{s: s, at: s.Place}
	var table TableExpr
	switch s.Kind {
	case ShortTrends:
		table = x.trends()
	case ShortRetention:
		table = x.retention()
	default:
		table = x.funnel()
	}
	return &Select{
		Place: x.at,
		Items: []SelectItem{{Place: x.at, Expr: &Star{Place: x.at}}},
		From:  []TableExpr{table},
	}
}

type expander struct {
	s  *Shorthand
	at Place // all that is made up stands where the statement begins
}

func (x expander) id(name string) Ident { return Ident{Place: x.at, Name: name} }

func (x expander) call(name string, args ...Expr) Expr {
	c := &Call{Place: x.at, Name: []Ident{x.id(name)}}
	for _, a := range args {
		c.Args = append(c.Args, Arg{Place: x.at, Value: a})
	}
	return c
}

func (x expander) interval(s Span) Expr {
	text := strconv.Itoa(s.N) + " " + s.Unit
	if s.N != 1 {
		text += "s"
	}
	return &Typed{Place: x.at, Type: TypeName{Place: x.at, Name: "interval"}, Value: text}
}

// cond is the condition of a step: event = 'name', or what was in parentheses.
func (x expander) cond(step ShortStep) Expr {
	if step.Cond != nil {
		return step.Cond
	}
	return &Binary{
		Place: step.Place, Op: "=",
		Left:  &Name{Place: step.Place, Parts: []Ident{{Place: step.Place, Name: "event"}}},
		Right: &String{Place: step.Place, Value: step.Event},
	}
}

// names gives every step a name of its own: the event's, or "step 2".
func (x expander) names(word string) []Ident {
	const most = 63 // bytes of an identifier
	taken := map[string]bool{}
	names := make([]Ident, 0, len(x.s.Steps))
	for i, step := range x.s.Steps {
		base := strings.ReplaceAll(step.Event, "\x00", "")
		if base == "" {
			base = word + " " + strconv.Itoa(i+1)
		}
		name := cut(base, most)
		for n := 2; taken[name]; n++ {
			suffix := " " + strconv.Itoa(n)
			name = cut(base, most-len(suffix)) + suffix
		}
		taken[name] = true
		names = append(names, Ident{Place: step.Place, Name: name})
	}
	return names
}

func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for !utf8.RuneStart(s[most]) {
		most--
	}
	return s[:most]
}

// common makes the clauses that all three share. last is the range to read when
// the statement has no LAST; it may be nil.
func (x expander) common(last *Span) Common {
	c := Common{Where: x.s.Where}
	if x.s.Last != nil {
		last = x.s.Last
	}
	if last != nil {
		now := func() Expr { return x.call("now") }
		from := x.call("date_trunc", &String{Place: x.at, Value: last.Unit}, now())
		if last.N > 1 {
			from = &Binary{Place: x.at, Op: "-", Left: from, Right: x.interval(Span{N: last.N - 1, Unit: last.Unit})}
		}
		c.During = &During{Place: x.at, From: from, To: now()}
	}
	if len(x.s.By) > 0 {
		c.Breakdown = &Breakdown{Place: x.at, Items: x.s.By}
	}
	return c
}

func (x expander) funnel() TableExpr {
	f := &Funnel{Place: x.at, Common: x.common(nil)}
	names := x.names("step")
	for i, step := range x.s.Steps {
		f.Steps = append(f.Steps, Step{Place: step.Place, Name: names[i], Cond: x.cond(step)})
	}
	within := Span{N: 14, Unit: "day"} // the window an insight has when nothing is said
	if x.s.Within != nil {
		within = *x.s.Within
	}
	f.Within = x.interval(within)
	return f
}

func (x expander) trends() TableExpr {
	every := x.s.Every
	if every == "" {
		every = "day"
	}
	last := Span{N: 30, Unit: "day"}
	t := &Trends{Place: x.at, Common: x.common(&last), Every: x.interval(Span{N: 1, Unit: every})}
	names := x.names("series")
	for i, step := range x.s.Steps {
		m := Measure{Place: step.Place, Kind: MeasureActors}
		if !x.s.Persons {
			m.Kind = MeasureAggregate
			m.Agg = &Call{Place: step.Place, Name: []Ident{x.id("count")}, Star: true}
		}
		t.Series = append(t.Series, Series{Place: step.Place, Name: names[i], Measure: m, Where: x.cond(step)})
	}
	return t
}

func (x expander) retention() TableExpr {
	every := x.s.Every
	periods := 11
	if x.s.Periods != nil {
		periods = x.s.Periods.N
		if every == "" {
			every = x.s.Periods.Unit
		}
	}
	if every == "" {
		every = "day"
	}
	// Without LAST the cohorts are those of the periods asked for and the
	// current one.
	last := Span{N: periods + 1, Unit: every}
	r := &Retention{
		Place: x.at, Common: x.common(&last),
		Start: x.cond(x.s.Steps[0]), Every: x.interval(Span{N: 1, Unit: every}), Periods: periods,
	}
	if len(x.s.Steps) > 1 {
		r.Return = x.cond(x.s.Steps[1])
	}
	return r
}
