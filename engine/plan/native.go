package plan

import (
	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/storage/vec"
)

// Source is what every native operator reads: rows of actors in time. All expressions
// are over the schema of Input. Rows whose actor or time is null do not count.
type Source struct {
	Input Node
	Actor expr.Expr
	Time  expr.Expr // timestamptz
	// Tie orders rows of one actor with equal times; nil means in order of arrival.
	Tie   expr.Expr
	Where expr.Expr // or nil
	// From and To are DURING, half open, constant timestamptz; nil means open.
	From, To expr.Expr
	// Zone is the IANA name in which calendar units are cut; empty: the session's.
	Zone string
	// Sunday is true if weeks start on Sunday.
	Sunday    bool
	Breakdown *Breakdown // or nil
}

// Breakdown splits an operator's answer by values.
type Breakdown struct {
	Exprs     []expr.Expr
	Names     []string
	Attribute Attribute
	Step      int // for AttributeStep: position in Steps
	Top       int // 0: all
	WithOther bool
}

// Attribute says which event gives a funnel attempt its breakdown value.
type Attribute uint8

// The rules of ATTRIBUTE.
const (
	AttributeFirst Attribute = iota
	AttributeLast
	AttributeEach
	AttributeStep
)

// Output is what rows a native operator yields.
type Output uint8

// The outputs. OutputDefault is STEPS, MATRIX or WIDE.
const (
	OutputDefault Output = iota
	OutputActors
	OutputTrend
	OutputCurve
	OutputLong
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

// Measure is what a series of TRENDS counts.
type Measure uint8

// The measures.
const (
	MeasureAggregate Measure = iota // Agg over the rows of the bucket
	MeasureActors                   // distinct actors
	MeasureRolling                  // distinct actors in the interval that ends with the bucket
)

// Series is one line of TRENDS.
type Series struct {
	Name    string
	Measure Measure
	Agg     AggCall           // MeasureAggregate
	Rolling vec.IntervalValue // MeasureRolling
	Where   expr.Expr         // or nil
}

// Trends is series over time buckets.
type Trends struct {
	Source
	Series []Series
	Every  *vec.IntervalValue // nil: one bucket
	Output Output             // Default (wide) or Long
}

func (s *Source) breakdownFields() vec.Schema {
	var out vec.Schema
	if s.Breakdown == nil {
		return nil
	}
	for i, e := range s.Breakdown.Exprs {
		out = append(out, vec.Field{Name: s.Breakdown.Names[i], Type: e.Type()})
	}
	if s.Breakdown.WithOther {
		out = append(out, vec.Field{Name: "is_other", Type: vec.T(vec.Bool)})
	}
	return out
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

// Schema implements Node.
func (n *Trends) Schema() vec.Schema {
	out := append(n.breakdownFields(), vec.Field{Name: "bucket", Type: vec.T(vec.TimestampTZ)})
	if n.Output == OutputLong {
		return append(out, vec.Field{Name: "series", Type: vec.T(vec.Text)},
			vec.Field{Name: "value", Type: vec.T(vec.Float8)}, vec.Field{Name: "previous", Type: vec.T(vec.Float8)})
	}
	for _, s := range n.Series {
		t := vec.T(vec.Int8)
		if s.Measure == MeasureAggregate {
			t = s.Agg.T
		}
		out = append(out, vec.Field{Name: s.Name, Type: t})
	}
	return out
}

// Inputs implements Node.
func (n *Funnel) Inputs() []Node { return []Node{n.Input} }

// Inputs implements Node.
func (n *Retention) Inputs() []Node { return []Node{n.Input} }

// Inputs implements Node.
func (n *Trends) Inputs() []Node { return []Node{n.Input} }

// WithInputs implements Node.
func (n *Funnel) WithInputs(in []Node) Node { c := *n; c.Input = in[0]; return &c }

// WithInputs implements Node.
func (n *Retention) WithInputs(in []Node) Node { c := *n; c.Input = in[0]; return &c }

// WithInputs implements Node.
func (n *Trends) WithInputs(in []Node) Node { c := *n; c.Input = in[0]; return &c }
