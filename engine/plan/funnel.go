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

// Step is one step of a funnel.
type Step struct {
	Name string
	Cond expr.Expr
}

// Funnel is an ordered funnel in the plain meaning.
type Funnel struct {
	Source
	Steps  []Step
	Within *vec.IntervalValue // or nil: no limit
	Entry  Entry
	Output Output // Default (steps) or Actors
}

// Schema implements Node.
func (n *Funnel) Schema() vec.Schema {
	out := n.breakdownFields()
	if n.Output == OutputActors {
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

func (n *Funnel) withSource(f func(Source) Source) Node { c := *n; c.Source = f(n.Source); return &c }

func (n *Funnel) mapExprs(m mapper) Node {
	c := *n
	c.Source = m.source(n.Source)
	c.Steps = nil
	for _, s := range n.Steps {
		c.Steps = append(c.Steps, Step{s.Name, m.one(s.Cond)})
	}
	return &c
}

func (n *Funnel) hints() hints {
	var cond []expr.Expr
	for i := range n.Steps {
		cond = append(cond, n.Steps[i].Cond)
	}
	h := hints{conds: []expr.Expr{oneOf(cond), n.Where}, from: n.From}
	// Later steps may lie beyond the end of DURING, by as much as the window.
	if n.To != nil && n.Within != nil {
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
		p.Detail("Step "+strconv.Itoa(i+1), "%s: %s", n.Steps[i].Name, exprText(n.Steps[i].Cond))
	}
	if n.Within != nil {
		p.Detail("Within", "%s", IntervalText(*n.Within))
	}
	if n.Entry == EntryFirst {
		p.Detail("Entry", "FIRST")
	}
	n.Source.describe(p)
	describeOutput(p, n.Output)
}
