package plan

import (
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
