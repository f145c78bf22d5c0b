package plan

import (
	"strconv"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/storage/vec"
)

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
		s.Agg, s.Where = m.call(s.Agg), m.one(s.Where)
		c.Series = append(c.Series, s)
	}
	return &c
}

func (n *Trends) hints() hints {
	h := hints{conds: []expr.Expr{n.Where}, to: n.To, from: n.From}
	var series []expr.Expr
	for i := range n.Series {
		if n.Series[i].Measure == MeasureRolling {
			h.from = nil // it looks back before DURING
		}
		if n.Series[i].Where != nil {
			series = append(series, n.Series[i].Where)
		}
	}
	if len(series) == len(n.Series) {
		h.conds = append(h.conds, oneOf(series))
	}
	return h
}

// Describe implements Node.
func (n *Trends) Describe(p *Printer) {
	p.Line("Trends")
	for i := range n.Series {
		s := &n.Series[i]
		text := s.Name + ": "
		switch s.Measure {
		case MeasureAggregate:
			text += s.Agg.String()
		case MeasureActors:
			text += "ACTORS()"
		case MeasureRolling:
			text += "ROLLING_ACTORS(" + IntervalText(s.Rolling) + ")"
		}
		if s.Where != nil {
			text += " WHERE " + exprText(s.Where)
		}
		p.Detail("Series "+strconv.Itoa(i+1), "%s", text)
	}
	if n.Every != nil {
		p.Detail("Every", "%s", IntervalText(*n.Every))
	}
	n.Source.describe(p)
	describeOutput(p, n.Output)
}
