package plan

import (
	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/storage/vec"
)

// Lifecycle says of every actor and bucket whether the actor is new in it, returns, is
// back after a pause, or has gone.
type Lifecycle struct {
	Source
	// Created is when the actor came into being, timestamptz, the same on all its rows;
	// nil: with its first row ever.
	Created expr.Expr
	Every   vec.IntervalValue
	Output  Output // Default or Actors
}

// Schema implements Node.
func (n *Lifecycle) Schema() vec.Schema {
	out := append(n.breakdownFields(),
		vec.Field{Name: "bucket", Type: vec.T(vec.TimestampTZ)}, vec.Field{Name: "status", Type: vec.T(vec.Text)})
	if n.Output == OutputActors {
		return append(out, vec.Field{Name: "actor", Type: n.Actor.Type()})
	}
	return append(out, vec.Field{Name: "count", Type: vec.T(vec.Int8)})
}

// Inputs implements Node.
func (n *Lifecycle) Inputs() []Node { return []Node{n.Input} }

// WithInputs implements Node.
func (n *Lifecycle) WithInputs(in []Node) Node { c := *n; c.Input = in[0]; return &c }

// Kind implements Native.
func (n *Lifecycle) Kind() string { return "lifecycle" }

func (n *Lifecycle) withSource(f func(Source) Source) Node {
	c := *n
	c.Source = f(n.Source)
	return &c
}

func (n *Lifecycle) mapExprs(m mapper) Node {
	c := *n
	c.Source, c.Created = m.source(n.Source), m.one(n.Created)
	return &c
}

func (n *Lifecycle) hints() hints {
	h := hints{conds: []expr.Expr{n.Where}}
	if n.To != nil { // the last bucket is read to its end
		h.to = plus(n.To, margin(n.Every, 1))
	}
	if n.From != nil && n.Created != nil { // and the one before the first as history
		h.from = plus(n.From, margin(n.Every, -2))
	}
	return h
}

// margin is so many intervals and a day, which makes up for what calendars and zones do
// to the length of an interval.
func margin(every vec.IntervalValue, times int32) vec.IntervalValue {
	day := int32(1)
	if times < 0 {
		day = -1
	}
	return vec.IntervalValue{Months: every.Months * times, Days: every.Days*times + day, Micros: every.Micros * int64(times)}
}

// Describe implements Node.
func (n *Lifecycle) Describe(p *Printer) {
	p.Line("Lifecycle")
	if n.Created != nil {
		p.Detail("Created", "%s", exprText(n.Created))
	}
	p.Detail("Every", "%s", IntervalText(n.Every))
	n.Source.describe(p)
	describeOutput(p, n.Output)
}
