package plan

import (
	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/storage/vec"
)

// StartRule is which START events open a retention cohort.
type StartRule uint8

// The start rules.
const (
	FirstInRange StartRule = iota
	FirstEver
	EveryTime
)

// Retention is actors who come back, by cohort and period.
type Retention struct {
	Source
	Start, Return expr.Expr
	Rule          StartRule
	Minimum       int               // return events a period needs; at least 1
	Every         vec.IntervalValue // one whole unit or several of it
	Periods       int               // how many, period 0 included; 0: as many as have begun by now
	Output        Output            // Default (matrix), Curve or Actors
}

// Schema implements Node.
func (n *Retention) Schema() vec.Schema {
	out := n.breakdownFields()
	switch n.Output {
	case OutputActors:
		return append(out, vec.Field{Name: "cohort", Type: vec.T(vec.TimestampTZ)},
			vec.Field{Name: "actor", Type: n.Actor.Type()}, vec.Field{Name: "periods", Type: vec.ArrayOf(vec.Int4)})
	case OutputCurve:
		return append(out, vec.Field{Name: "period", Type: vec.T(vec.Int4)}, vec.Field{Name: "size", Type: vec.T(vec.Int8)},
			vec.Field{Name: "retained", Type: vec.T(vec.Int8)}, vec.Field{Name: "rate", Type: vec.T(vec.Float8)})
	}
	return append(out, vec.Field{Name: "cohort", Type: vec.T(vec.TimestampTZ)},
		vec.Field{Name: "period", Type: vec.T(vec.Int4)}, vec.Field{Name: "size", Type: vec.T(vec.Int8)},
		vec.Field{Name: "retained", Type: vec.T(vec.Int8)}, vec.Field{Name: "rate", Type: vec.T(vec.Float8)},
		vec.Field{Name: "complete", Type: vec.T(vec.Bool)})
}

// Inputs implements Node.
func (n *Retention) Inputs() []Node { return []Node{n.Input} }

// WithInputs implements Node.
func (n *Retention) WithInputs(in []Node) Node { c := *n; c.Input = in[0]; return &c }

// Kind implements Native.
func (n *Retention) Kind() string { return "retention" }

func (n *Retention) withSource(f func(Source) Source) Node {
	c := *n
	c.Source = f(n.Source)
	return &c
}

func (n *Retention) mapExprs(m mapper) Node {
	c := *n
	c.Source = m.source(n.Source)
	c.Start = m.one(n.Start)
	c.Return = c.Start
	if n.Return != n.Start {
		c.Return = m.one(n.Return)
	}
	return &c
}

func (n *Retention) hints() hints {
	h := hints{conds: []expr.Expr{oneOf([]expr.Expr{n.Start, n.Return}), n.Where}}
	if n.Rule != FirstEver { // that one looks at all history
		h.from = n.From
	}
	return h
}

// Describe implements Node.
func (n *Retention) Describe(p *Printer) {
	p.Line("Retention")
	rule := [...]string{"FIRST IN RANGE", "FIRST EVER", "EVERY TIME"}[n.Rule]
	p.Detail("Start", "%s %s", exprText(n.Start), rule)
	p.Detail("Return", "%s", exprText(n.Return))
	if n.Minimum > 1 {
		p.Detail("Minimum", "%d", n.Minimum)
	}
	p.Detail("Every", "%s", IntervalText(n.Every))
	if n.Periods > 0 {
		p.Detail("Periods", "%d", n.Periods)
	}
	n.Source.describe(p)
	describeOutput(p, n.Output)
}
