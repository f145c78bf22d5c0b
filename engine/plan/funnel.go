package plan

import (
	"strconv"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/storage/vec"
)

// Entry is which attempts of an actor a funnel counts.
type Entry uint8

// The entry rules.
const (
	EntryBest Entry = iota
	EntryFirst
	EntryEvery // one after the other
	EntryEach  // all, even if they overlap
)

// Mode is in which order a funnel's steps have to come.
type Mode uint8

// The modes.
const (
	Ordered Mode = iota
	Strict
	Unordered
)

// Step is one step of a funnel.
type Step struct {
	Name string
	Cond expr.Expr
	// First is not nil if only the person's first row of all that satisfies it, whatever
	// WHERE and DURING say, can be the step.
	First    expr.Expr
	Optional bool
	Within   *vec.IntervalValue // since the step before; or nil
}

// Exclusion is a condition that no row between two steps may satisfy.
type Exclusion struct {
	Cond expr.Expr
	// After and Before are the positions in Steps between which it holds. Before is -1 for
	// the last step that an attempt reaches, in the plain meaning.
	After, Before int
	// Drop is true if an attempt ends before the row, and false if it does not count.
	Drop bool
}

// Funnel is a funnel, in the plain meaning or in that of the insight queries.
type Funnel struct {
	Source
	Steps  []Step
	Within *vec.IntervalValue // or nil: no limit
	Mode   Mode
	Entry  Entry
	// Holding is what must be the same, and not null, on all rows of an attempt.
	Holding []expr.Expr
	Exclude []Exclusion
	// Person is whose rows a step's First is looked for among; nil: the actor's.
	Person expr.Expr
	Output Output // Default (steps), Actors or Trend
	Trend  *Trend // of OutputTrend
	// Converted leaves out, in the plain meaning of OutputActors, attempts that did not do all
	// steps that are not optional.
	Converted bool
	// Unread is which columns of the answer nobody reads, so that they may hold anything; nil:
	// none. The plain meaning of OutputDefault and OutputActors looks at it.
	Unread []bool
}

// Trend is what OUTPUT TREND counts: by the period of their first step, those who came
// from one step to another. From and To are positions in Steps. To is -1, in the plain
// meaning, for all steps that are not optional.
type Trend struct {
	Every    vec.IntervalValue
	Actors   bool // who, instead of how many
	From, To int
}

// FirstEver says whether a step is restricted to first rows, so that rows beyond WHERE and
// DURING matter.
func (n *Funnel) FirstEver() bool {
	for i := range n.Steps {
		if n.Steps[i].First != nil {
			return true
		}
	}
	return false
}

// Required is the steps that are not optional, one bit each.
func (n *Funnel) Required() uint64 {
	var out uint64
	for i := range n.Steps {
		if !n.Steps[i].Optional {
			out |= 1 << i
		}
	}
	return out
}

// Schema implements Node.
func (n *Funnel) Schema() vec.Schema {
	out := n.breakdownFields()
	switch {
	case n.Output == OutputTrend && n.Trend.Actors:
		return append(out, vec.Field{Name: "bucket", Type: vec.T(vec.TimestampTZ)},
			vec.Field{Name: "actor", Type: n.Actor.Type()}, vec.Field{Name: "converted", Type: vec.T(vec.Bool)})
	case n.Output == OutputTrend:
		out = append(out, vec.Field{Name: "bucket", Type: vec.T(vec.TimestampTZ)},
			vec.Field{Name: "entered", Type: vec.T(vec.Int8)}, vec.Field{Name: "converted", Type: vec.T(vec.Int8)})
		if !n.Compatible {
			out = append(out, vec.Field{Name: "conversion", Type: vec.T(vec.Float8)})
		}
		return out
	case n.Output == OutputActors && n.Compatible:
		return append(out,
			vec.Field{Name: "actor", Type: n.Actor.Type()}, vec.Field{Name: "reached", Type: vec.T(vec.Int4)},
			vec.Field{Name: "steps", Type: vec.T(vec.Int8)}, vec.Field{Name: "step_times", Type: vec.ArrayOf(vec.TimestampTZ)},
			vec.Field{Name: "entered_at", Type: vec.T(vec.TimestampTZ)})
	case n.Compatible:
		return append(out,
			vec.Field{Name: "step", Type: vec.T(vec.Int4)}, vec.Field{Name: "name", Type: vec.T(vec.Text)},
			vec.Field{Name: "count", Type: vec.T(vec.Int8)},
			vec.Field{Name: "average_seconds", Type: vec.T(vec.Float8)}, vec.Field{Name: "median_seconds", Type: vec.T(vec.Float8)})
	case n.Output == OutputActors:
		return append(out,
			vec.Field{Name: "actor", Type: n.Actor.Type()}, vec.Field{Name: "reached", Type: vec.T(vec.Int4)},
			vec.Field{Name: "converted", Type: vec.T(vec.Bool)}, vec.Field{Name: "entered_at", Type: vec.T(vec.TimestampTZ)},
			vec.Field{Name: "step_times", Type: vec.ArrayOf(vec.TimestampTZ)}, vec.Field{Name: "last_step", Type: vec.T(vec.Text)})
	}
	return append(out,
		vec.Field{Name: "step", Type: vec.T(vec.Int4)}, vec.Field{Name: "name", Type: vec.T(vec.Text)},
		vec.Field{Name: "count", Type: vec.T(vec.Int8)}, vec.Field{Name: "dropped", Type: vec.T(vec.Int8)},
		vec.Field{Name: "conversion", Type: vec.T(vec.Float8)}, vec.Field{Name: "conversion_step", Type: vec.T(vec.Float8)},
		vec.Field{Name: "median_time", Type: vec.T(vec.Interval)}, vec.Field{Name: "average_time", Type: vec.T(vec.Interval)})
}

// Inputs implements Node.
func (n *Funnel) Inputs() []Node { return []Node{n.Input} }

// WithInputs implements Node.
func (n *Funnel) WithInputs(in []Node) Node { c := *n; c.Input = in[0]; return &c }

// Kind implements Native.
func (n *Funnel) Kind() string { return "funnel" }

// withSource leaves a funnel with FIRST EVER as it is: filters below it must not become one
// with its WHERE, which the search for first rows ignores.
func (n *Funnel) withSource(f func(Source) Source) Node {
	if n.FirstEver() {
		return n
	}
	c := *n
	c.Source = f(n.Source)
	return &c
}

func (n *Funnel) mapExprs(m mapper) Node {
	c := *n
	c.Source = m.source(n.Source)
	c.Person = m.one(n.Person)
	c.Steps, c.Exclude, c.Holding = nil, nil, nil
	for _, s := range n.Steps {
		s.Cond, s.First = m.one(s.Cond), m.one(s.First)
		c.Steps = append(c.Steps, s)
	}
	for _, x := range n.Exclude {
		x.Cond = m.one(x.Cond)
		c.Exclude = append(c.Exclude, x)
	}
	for _, e := range n.Holding {
		c.Holding = append(c.Holding, m.one(e))
	}
	return &c
}

func (n *Funnel) hints() hints {
	var h hints
	if n.Mode != Strict { // every row may come between two steps
		var any []expr.Expr
		for i := range n.Steps {
			any = append(any, n.Steps[i].Cond)
			if n.Steps[i].First != nil {
				any = append(any, n.Steps[i].First)
			}
		}
		for i := range n.Exclude {
			any = append(any, n.Exclude[i].Cond)
		}
		h.conds = []expr.Expr{oneOf(any)}
	}
	if !n.FirstEver() {
		h.conds = append(h.conds, n.Where)
		h.from = n.From
	}
	switch {
	case n.Compatible:
		h.to = n.To
	case n.To != nil && n.Within != nil:
		// Later steps may lie beyond the end of DURING, by as much as the window.
		h.to = plus(n.To, *n.Within)
	}
	return h
}

// filter takes over those of the conditions on the answer that leave out actors before their
// attempts are made, and gives the others back.
func (n *Funnel) filter(conds []expr.Expr) (*Funnel, []expr.Expr) {
	if n.Output != OutputActors || n.Compatible || n.Breakdown != nil {
		return n, conds
	}
	c := *n
	var rest []expr.Expr
	for _, e := range conds {
		if col, ok := e.(*expr.Column); ok && n.Schema()[col.Index].Name == "converted" {
			c.Converted = true
		} else {
			rest = append(rest, e)
		}
	}
	return &c, rest
}

// Guess implements Native.
func (n *Funnel) Guess(rows float64) float64 {
	if n.Output == OutputDefault {
		return float64(len(n.Steps))
	}
	return rows
}

// Describe implements Node.
func (n *Funnel) Describe(p *Printer) {
	p.Line("Funnel")
	for i := range n.Steps {
		s := &n.Steps[i]
		text := s.Name + ": " + exprText(s.Cond)
		if s.First != nil {
			text += " FIRST EVER OF " + exprText(s.First)
		}
		if s.Optional {
			text += " OPTIONAL"
		}
		if s.Within != nil {
			text += " WITHIN " + IntervalText(*s.Within)
		}
		p.Detail("Step "+strconv.Itoa(i+1), "%s", text)
	}
	if n.Mode != Ordered {
		p.Detail("Mode", "%s", [...]string{"ORDERED", "STRICT", "UNORDERED"}[n.Mode])
	}
	if n.Within != nil {
		p.Detail("Within", "%s", IntervalText(*n.Within))
	}
	if n.Entry != EntryBest {
		p.Detail("Entry", "%s", [...]string{"BEST", "FIRST", "EVERY", "EACH"}[n.Entry])
	}
	if len(n.Holding) > 0 {
		p.Detail("Holding", "%s", exprTexts(n.Holding))
	}
	for i := range n.Exclude {
		p.Detail("Exclude", "%s", n.exclusionText(&n.Exclude[i]))
	}
	if n.Converted {
		p.Detail("Only", "converted")
	}
	n.Source.describe(p)
	switch t := n.Trend; {
	case n.Output != OutputTrend:
		describeOutput(p, n.Output)
	default:
		who, span := "", ""
		if t.Actors {
			who = " ACTORS"
		}
		if t.To >= 0 {
			span = " FROM " + n.Steps[t.From].Name + " TO " + n.Steps[t.To].Name
		}
		p.Detail("Output", "TREND%s BY %s%s", who, IntervalText(t.Every), span)
	}
}

func (n *Funnel) exclusionText(x *Exclusion) string {
	text := exprText(x.Cond)
	if n.Mode != Unordered || n.Compatible {
		text += " AFTER " + n.Steps[x.After].Name
		if x.Before >= 0 {
			text += " BEFORE " + n.Steps[x.Before].Name
		}
	}
	if x.Drop {
		text += " AS DROP"
	}
	return text
}
