package plan

import (
	"fmt"
	"strings"

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
	// FirstOf is what the actor's first row ever must satisfy beside Start, with
	// FirstEver; nil: nothing else.
	FirstOf  expr.Expr
	Minimum  int               // return events a period needs; at least 1
	Every    vec.IntervalValue // one whole unit or several of it
	Periods  int               // how many, period 0 included; 0: as many as have begun by now
	Brackets []int             // last periods of the brackets that replace periods, ascending
	OrAfter  bool              // who returns in a later period counts too
	ByActor  bool              // periods are counted from the actor's own start
	Measure  *AggCall          // over the return events of a period, or nil
	Value    string            // name of the measure's column
	Own      bool              // with Compatible, the measure takes in the return events of the start's own period
	Output   Output            // Default (matrix), Curve or Actors
}

// Schema implements Node.
func (n *Retention) Schema() vec.Schema {
	out := n.breakdownFields()
	switch n.Output {
	case OutputActors:
		return append(out, vec.Field{Name: "cohort", Type: vec.T(vec.TimestampTZ)},
			vec.Field{Name: "actor", Type: n.Actor.Type()}, vec.Field{Name: "periods", Type: vec.ArrayOf(vec.Int4)})
	case OutputCurve:
		return n.withMeasure(append(out, vec.Field{Name: "period", Type: vec.T(vec.Int4)}, vec.Field{Name: "size", Type: vec.T(vec.Int8)},
			vec.Field{Name: "retained", Type: vec.T(vec.Int8)}, vec.Field{Name: "rate", Type: vec.T(vec.Float8)}))
	}
	if n.Compatible {
		return n.withMeasure(append(out, vec.Field{Name: "cohort", Type: vec.T(vec.TimestampTZ)},
			vec.Field{Name: "period", Type: vec.T(vec.Int4)}, vec.Field{Name: "count", Type: vec.T(vec.Int8)}))
	}
	return n.withMeasure(append(out, vec.Field{Name: "cohort", Type: vec.T(vec.TimestampTZ)},
		vec.Field{Name: "period", Type: vec.T(vec.Int4)}, vec.Field{Name: "size", Type: vec.T(vec.Int8)},
		vec.Field{Name: "retained", Type: vec.T(vec.Int8)}, vec.Field{Name: "rate", Type: vec.T(vec.Float8)},
		vec.Field{Name: "complete", Type: vec.T(vec.Bool)}))
}

// withMeasure is columns and the measure's, if there is one.
func (n *Retention) withMeasure(out vec.Schema) vec.Schema {
	if n.Measure == nil {
		return out
	}
	return append(out, vec.Field{Name: n.Value, Type: n.Measure.T})
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
	c.Start, c.FirstOf = m.one(n.Start), m.one(n.FirstOf)
	c.Return = c.Start
	if n.Return != n.Start {
		c.Return = m.one(n.Return)
	}
	if n.Measure != nil {
		call := m.call(*n.Measure)
		c.Measure = &call
	}
	return &c
}

func (n *Retention) hints() hints {
	conds := []expr.Expr{n.Start, n.Return}
	if n.FirstOf != nil {
		conds = append(conds, n.FirstOf)
	}
	h := hints{conds: []expr.Expr{oneOf(conds), n.Where}}
	// The first row ever is looked for in all history.
	if n.Rule == EveryTime || n.Rule == FirstInRange && !n.Compatible {
		h.from = n.From
	}
	// With the insights' rules, returns lie in DURING as well; the windows of actors who
	// start once reach beyond it.
	if n.Compatible && (n.Rule == EveryTime || !n.ByActor) {
		h.to = n.To
	}
	return h
}

// Describe implements Node.
func (n *Retention) Describe(p *Printer) {
	p.Line("Retention")
	rule := [...]string{"FIRST IN RANGE", "FIRST EVER", "EVERY TIME"}[n.Rule]
	if n.FirstOf != nil {
		rule += " OF " + exprText(n.FirstOf)
	}
	p.Detail("Start", "%s %s", exprText(n.Start), rule)
	p.Detail("Return", "%s", exprText(n.Return))
	if n.Minimum > 1 {
		p.Detail("Minimum", "%d", n.Minimum)
	}
	p.Detail("Every", "%s", IntervalText(n.Every))
	if n.Periods > 0 {
		p.Detail("Periods", "%d", n.Periods)
	}
	if len(n.Brackets) > 0 {
		p.Detail("Brackets", "%s", strings.Trim(fmt.Sprint(n.Brackets), "[]"))
	}
	if n.OrAfter {
		p.Detail("Rule", "ON OR AFTER")
	}
	if n.ByActor {
		p.Detail("Align", "ACTOR")
	}
	if n.Measure != nil {
		own := ""
		if n.Compatible {
			own = " WITHOUT START PERIOD"
			if n.Own {
				own = " WITH START PERIOD"
			}
		}
		p.Detail("Measure", "%s AS %s%s", n.Measure, n.Value, own)
	}
	n.Source.describe(p)
	describeOutput(p, n.Output)
}
