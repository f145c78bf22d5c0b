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
	// Valued, of MeasureNew, is what the row satisfies, the first ever, whose breakdown value is
	// the actor's, whatever the source's WHERE says. Nil: the row that counts.
	Valued expr.Expr
	Where  expr.Expr // or nil
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

// Formula is a column made of those before it.
type Formula struct {
	Name  string
	Value expr.Expr // over one column per series, and then one per earlier formula
}

// Trends is series over time buckets.
//
// The values of a bucket come about in this order: the measure; CUMULATIVE, which adds up
// what is known of the buckets so far; FILL where nothing was counted; SMOOTH, the mean of
// what is known in so many buckets; and then the formulas, over what the row shows.
type Trends struct {
	Source
	Series   []Series
	Formulas []Formula
	Every    *vec.IntervalValue // nil: one bucket
	// Compare adds the values of as many earlier buckets: each begins and ends that much
	// earlier. Zero: by the length of DURING, in whole EVERY. Nil: no comparison.
	Compare    *vec.IntervalValue
	Cumulative bool
	Smooth     int // buckets to average over; 0: none
	// Fill is, per series, a constant of the type that Filled tells; or nil, when counts are
	// 0 and all else null.
	Fill   []expr.Expr
	Output Output // Default (wide) or Long
}

// Filled is the type of a series' values before SMOOTH.
func (n *Trends) Filled(s *Series) vec.Type {
	t := s.Type()
	if !n.Cumulative {
		return t
	}
	switch t.Kind {
	case vec.Int2, vec.Int4:
		return vec.T(vec.Int8)
	case vec.Float4:
		return vec.T(vec.Float8)
	}
	return t
}

// Value is the type of a series' values.
func (n *Trends) Value(s *Series) vec.Type {
	if n.Compatible || n.Smooth > 0 {
		return vec.T(vec.Float8)
	}
	return n.Filled(s)
}

// Values are the columns that are the same for a period and the one that it is compared
// with: series and formulas.
func (n *Trends) Values() vec.Schema {
	var out vec.Schema
	for i := range n.Series {
		out = append(out, vec.Field{Name: n.Series[i].Name, Type: n.Value(&n.Series[i])})
	}
	for _, f := range n.Formulas {
		out = append(out, vec.Field{Name: f.Name, Type: f.Value.Type()})
	}
	return out
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
	values := n.Values()
	out = append(out, values...)
	if n.Compare != nil {
		for _, f := range values {
			f.Name = PreviousName(f.Name)
			out = append(out, f)
		}
	}
	return out
}

// PreviousName is the column of an earlier value.
func PreviousName(name string) string { return "previous_" + name }

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
		s.First, s.Valued, s.Where = m.one(s.First), m.one(s.Valued), m.one(s.Where)
		c.Series = append(c.Series, s)
	}
	if n.Fill != nil {
		c.Fill = m.list(n.Fill)
	}
	return &c
}

func (n *Trends) hints() hints {
	h := hints{conds: []expr.Expr{n.Where}, to: n.To}
	var series, from []expr.Expr
	for i := range n.Series {
		s := &n.Series[i]
		cond := s.Where
		for _, e := range []expr.Expr{s.First, s.Valued} {
			if e == nil {
				continue
			}
			h.conds = nil
			if cond != nil {
				cond = oneOf([]expr.Expr{cond, e})
			}
		}
		if cond != nil {
			series = append(series, cond)
		}
		at := n.reads(s)
		if !slices.ContainsFunc(from, func(e expr.Expr) bool { return e == at || e != nil && at != nil && exprText(e) == exprText(at) }) {
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
		at = before(at, s.Rolling)
	}
	if n.Compare == nil || at == nil {
		return at
	}
	if *n.Compare != (vec.IntervalValue{}) {
		return before(at, *n.Compare)
	}
	length, err := expr.NewOperator("-", n.To, n.From)
	if err != nil {
		return nil
	}
	if at, err = expr.NewOperator("-", at, length); err != nil {
		return nil
	}
	if n.Every != nil {
		return before(at, *n.Every)
	}
	return before(at, vec.IntervalValue{})
}

// before is a time that is an interval before another one for certain.
func before(at expr.Expr, by vec.IntervalValue) expr.Expr {
	if at == nil {
		return nil
	}
	by.Days++ // zones, whole days and months of unequal length may add that much
	if by.Months != 0 {
		by.Days += 3
	}
	back, err := expr.NewOperator("-", at, &expr.Const{Value: &vec.Vector{Type: vec.T(vec.Interval), Form: vec.Const, Ivl: []vec.IntervalValue{by}}})
	if err != nil {
		return nil
	}
	return back
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
			if s.First != nil && s.Valued != nil {
				text += " "
			}
			if s.Valued != nil {
				text += "BREAKDOWN OF " + exprText(s.Valued)
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
	for i, f := range n.Formulas {
		p.Detail("Formula "+strconv.Itoa(i+1), "%s: %s", f.Name, exprText(f.Value))
	}
	if n.Every != nil {
		p.Detail("Every", "%s", IntervalText(*n.Every))
	}
	switch {
	case n.Compare == nil:
	case *n.Compare == (vec.IntervalValue{}):
		p.Detail("Compare To", "previous")
	default:
		p.Detail("Compare To", "%s earlier", IntervalText(*n.Compare))
	}
	if n.Cumulative {
		p.Detail("Cumulative", "true")
	}
	if n.Smooth > 0 {
		p.Detail("Smooth", "%d", n.Smooth)
	}
	for i, e := range n.Fill {
		p.Detail("Fill "+strconv.Itoa(i+1), "%s", exprText(e))
	}
	n.Source.describe(p)
	describeOutput(p, n.Output)
}
