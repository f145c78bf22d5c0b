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
}

// Exclusion is a condition that no row between two steps may satisfy.
type Exclusion struct {
	Cond expr.Expr
	// After and Before are the positions in Steps between which it holds.
	After, Before int
}

// Funnel is a funnel, in the plain meaning or in that of the insight queries.
type Funnel struct {
	Source
	Steps   []Step
	Within  *vec.IntervalValue // or nil: no limit
	Mode    Mode
	Entry   Entry
	Exclude []Exclusion
	// Person is whose rows a step's First is looked for among; nil: the actor's.
	Person expr.Expr
	Output Output // Default (steps), Actors or Trend
	Trend  *Trend // of OutputTrend
}

// Trend is what OUTPUT TREND counts: by the period of their first step, those who came
// from one step to another. From and To are positions in Steps.
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

// Schema implements Node.
func (n *Funnel) Schema() vec.Schema {
	out := n.breakdownFields()
	switch {
	case n.Output == OutputTrend && n.Trend.Actors:
		return append(out, vec.Field{Name: "bucket", Type: vec.T(vec.TimestampTZ)},
			vec.Field{Name: "actor", Type: n.Actor.Type()}, vec.Field{Name: "converted", Type: vec.T(vec.Bool)})
	case n.Output == OutputTrend:
		return append(out, vec.Field{Name: "bucket", Type: vec.T(vec.TimestampTZ)},
			vec.Field{Name: "entered", Type: vec.T(vec.Int8)}, vec.Field{Name: "converted", Type: vec.T(vec.Int8)})
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
	c.Steps, c.Exclude = nil, nil
	for _, s := range n.Steps {
		s.Cond, s.First = m.one(s.Cond), m.one(s.First)
		c.Steps = append(c.Steps, s)
	}
	for _, x := range n.Exclude {
		x.Cond = m.one(x.Cond)
		c.Exclude = append(c.Exclude, x)
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

func (n *Funnel) guess(rows float64) float64 {
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
		p.Detail("Step "+strconv.Itoa(i+1), "%s", text)
	}
	if n.Mode != Ordered {
		p.Detail("Mode", "%s", [...]string{"ORDERED", "STRICT", "UNORDERED"}[n.Mode])
	}
	if n.Within != nil {
		p.Detail("Within", "%s", IntervalText(*n.Within))
	}
	if n.Entry == EntryFirst {
		p.Detail("Entry", "FIRST")
	}
	for i := range n.Exclude {
		x := &n.Exclude[i]
		p.Detail("Exclude", "%s AFTER %s BEFORE %s", exprText(x.Cond), n.Steps[x.After].Name, n.Steps[x.Before].Name)
	}
	n.Source.describe(p)
	switch t := n.Trend; {
	case n.Output != OutputTrend:
		describeOutput(p, n.Output)
	default:
		who := ""
		if t.Actors {
			who = " ACTORS"
		}
		p.Detail("Output", "TREND%s BY %s FROM %s TO %s", who, IntervalText(t.Every), n.Steps[t.From].Name, n.Steps[t.To].Name)
	}
}
