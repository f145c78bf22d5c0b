package plan

import (
	"slices"
	"strconv"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/storage/vec"
)

// Measure is what a series of TRENDS counts.
type Measure uint8

// The measures.
const (
	MeasureAggregate Measure = iota // Of over the rows of the bucket
	MeasureActors                   // distinct actors
	MeasureRolling                  // distinct actors in the interval that ends with the bucket
	MeasureNew                      // actors whose first row ever is in the bucket
	MeasurePerActor                 // Outer over what Of gives for each actor
)

// Computed is a value made of aggregates.
type Computed struct {
	Aggs  []AggCall
	Value expr.Expr // over one column per aggregate
}

// Type is the type of the value.
func (c *Computed) Type() vec.Type { return c.Value.Type() }

// Series is one line of TRENDS.
type Series struct {
	Name    string
	Measure Measure
	Of      Computed          // MeasureAggregate, MeasurePerActor
	Outer   Computed          // MeasurePerActor: over one column, which is Of of each actor
	Rolling vec.IntervalValue // MeasureRolling
	// First, of MeasureNew, is what the first row ever satisfies, whatever the source's WHERE
	// says. Nil: what the rows of the series do.
	First expr.Expr
	Where expr.Expr // or nil
}

// Type is the type of the series' values before anything is made of them.
func (s *Series) Type() vec.Type {
	switch s.Measure {
	case MeasureAggregate:
		return s.Of.Type()
	case MeasurePerActor:
		return s.Outer.Type()
	}
	return vec.T(vec.Int8)
}

// Trends is series over time buckets.
type Trends struct {
	Source
	Series     []Series
	Every      *vec.IntervalValue // nil: one bucket
	Cumulative bool
	Smooth     int    // buckets to average over; 0 or 1: none
	Output     Output // Default (wide) or Long
}

// Schema implements Node.
func (n *Trends) Schema() vec.Schema {
	out := n.breakdownFields()
	if n.Compatible && n.Breakdown != nil {
		for i := range n.Breakdown.Exprs {
			out[i].Type = vec.T(vec.Text)
		}
	}
	out = append(out, vec.Field{Name: "bucket", Type: vec.T(vec.TimestampTZ)})
	if n.Output == OutputLong {
		return append(out, vec.Field{Name: "series", Type: vec.T(vec.Text)},
			vec.Field{Name: "value", Type: vec.T(vec.Float8)}, vec.Field{Name: "previous", Type: vec.T(vec.Float8)})
	}
	for i := range n.Series {
		t := n.Series[i].Type()
		if n.Compatible {
			t = vec.T(vec.Float8)
		}
		out = append(out, vec.Field{Name: n.Series[i].Name, Type: t})
	}
	return out
}

// Inputs implements Node.
func (n *Trends) Inputs() []Node { return []Node{n.Input} }

// WithInputs implements Node.
func (n *Trends) WithInputs(in []Node) Node { c := *n; c.Input = in[0]; return &c }

// Kind implements Native.
func (n *Trends) Kind() string { return "trends" }

func (n *Trends) withSource(f func(Source) Source) Node { c := *n; c.Source = f(n.Source); return &c }

func (n *Trends) mapExprs(m mapper) Node {
	c := *n
	c.Source = m.source(n.Source)
	c.Series = nil
	for _, s := range n.Series {
		calls := s.Of.Aggs
		s.Of.Aggs = nil
		for _, a := range calls {
			s.Of.Aggs = append(s.Of.Aggs, m.call(a))
		}
		s.First, s.Where = m.one(s.First), m.one(s.Where)
		c.Series = append(c.Series, s)
	}
	return &c
}

func (n *Trends) hints() hints {
	h := hints{conds: []expr.Expr{n.Where}, to: n.To}
	var series, from []expr.Expr
	for i := range n.Series {
		s := &n.Series[i]
		cond := s.Where
		if s.Measure == MeasureNew && s.First != nil {
			h.conds = nil
			if cond != nil {
				cond = oneOf([]expr.Expr{cond, s.First})
			}
		}
		if cond != nil {
			series = append(series, cond)
		}
		if at := n.reads(s); !slices.Contains(from, at) {
			from = append(from, at)
		}
	}
	if len(series) == len(n.Series) {
		h.conds = append(h.conds, oneOf(series))
	}
	if !slices.Contains(from, nil) {
		for _, at := range from {
			h.from = earlier(h.from, at)
		}
	}
	return h
}

// reads is a time before which no row counts for a series; nil if any may.
func (n *Trends) reads(s *Series) expr.Expr {
	at := n.From
	switch s.Measure {
	case MeasureNew:
		return nil
	case MeasureRolling:
		if n.Compatible && n.Every == nil {
			at = n.To
		}
		if at == nil {
			return nil
		}
		by := s.Rolling
		by.Days++ // zones and whole days may add that much
		back, err := expr.NewOperator("-", at, &expr.Const{Value: &vec.Vector{Type: vec.T(vec.Interval), Form: vec.Const, Ivl: []vec.IntervalValue{by}}})
		if err != nil {
			return nil
		}
		return back
	}
	return at
}

// Describe implements Node.
func (n *Trends) Describe(p *Printer) {
	p.Line("Trends")
	for i := range n.Series {
		s := &n.Series[i]
		text := s.Name + ": "
		switch s.Measure {
		case MeasureAggregate:
			text += exprText(s.Of.Value)
		case MeasureActors:
			text += "ACTORS()"
		case MeasureRolling:
			text += "ROLLING_ACTORS(" + IntervalText(s.Rolling) + ")"
		case MeasureNew:
			text += "NEW_ACTORS("
			if s.First != nil {
				text += exprText(s.First)
			}
			text += ")"
		case MeasurePerActor:
			text += "PER_ACTOR(" + exprText(s.Outer.Value) + ", " + exprText(s.Of.Value) + ")"
		}
		if s.Where != nil {
			text += " WHERE " + exprText(s.Where)
		}
		p.Detail("Series "+strconv.Itoa(i+1), "%s", text)
	}
	if n.Every != nil {
		p.Detail("Every", "%s", IntervalText(*n.Every))
	}
	if n.Cumulative {
		p.Detail("Cumulative", "true")
	}
	if n.Smooth > 1 {
		p.Detail("Smooth", "%d", n.Smooth)
	}
	n.Source.describe(p)
	describeOutput(p, n.Output)
}
