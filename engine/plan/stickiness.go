package plan

import (
	"strconv"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/storage/vec"
)

// Bound says how many rows a bucket needs to count.
type Bound uint8

// The bounds.
const (
	AtLeast Bound = iota
	AtMost
	Exactly
)

// StickinessSeries is one named condition of STICKINESS.
type StickinessSeries struct {
	Name string
	Cond expr.Expr
}

// Stickiness is in how many buckets actors are active, by that number.
type Stickiness struct {
	Source
	Series []StickinessSeries
	Every  vec.IntervalValue
	Units  int // calendar units that Every is
	// AlignTo is the instant from which buckets are counted back, constant timestamptz;
	// nil: buckets start where the calendar has them start.
	AlignTo expr.Expr
	Bound   Bound
	Times   int  // rows that a bucket needs, by Bound; at least 1
	OrMore  bool // a row counts those with more periods too
	Output  Output
}

// Schema implements Node.
func (n *Stickiness) Schema() vec.Schema {
	if n.Output == OutputActors {
		return vec.Schema{{Name: "series", Type: vec.T(vec.Text)},
			{Name: "actor", Type: n.Actor.Type()}, {Name: "periods", Type: vec.T(vec.Int4)}}
	}
	out := vec.Schema{{Name: "periods", Type: vec.T(vec.Int4)}}
	for i := range n.Series {
		out = append(out, vec.Field{Name: n.Series[i].Name, Type: vec.T(vec.Int8)})
	}
	return out
}

// Inputs implements Node.
func (n *Stickiness) Inputs() []Node { return []Node{n.Input} }

// WithInputs implements Node.
func (n *Stickiness) WithInputs(in []Node) Node { c := *n; c.Input = in[0]; return &c }

// Kind implements Native.
func (n *Stickiness) Kind() string { return "stickiness" }

func (n *Stickiness) withSource(f func(Source) Source) Node {
	c := *n
	c.Source = f(n.Source)
	return &c
}

func (n *Stickiness) mapExprs(m mapper) Node {
	c := *n
	c.Source, c.AlignTo = m.source(n.Source), m.one(n.AlignTo)
	c.Series = nil
	for _, s := range n.Series {
		c.Series = append(c.Series, StickinessSeries{s.Name, m.one(s.Cond)})
	}
	return &c
}

func (n *Stickiness) hints() hints {
	var any []expr.Expr
	for i := range n.Series {
		any = append(any, n.Series[i].Cond)
	}
	return hints{conds: []expr.Expr{oneOf(any), n.Where}, from: n.From, to: n.To}
}

// Describe implements Node.
func (n *Stickiness) Describe(p *Printer) {
	p.Line("Stickiness")
	for i := range n.Series {
		p.Detail("Series "+strconv.Itoa(i+1), "%s: %s", n.Series[i].Name, exprText(n.Series[i].Cond))
	}
	p.Detail("Every", "%s", IntervalText(n.Every))
	if n.AlignTo != nil {
		p.Detail("Align To", "%s", exprText(n.AlignTo))
	}
	if n.Times > 1 || n.Bound != AtLeast {
		p.Detail("Times", "%s %d", [...]string{"at least", "at most", "exactly"}[n.Bound], n.Times)
	}
	if n.OrMore {
		p.Detail("Rule", "ON OR MORE")
	}
	n.Source.describe(p)
	describeOutput(p, n.Output)
}
