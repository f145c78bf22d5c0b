package plan

import (
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
