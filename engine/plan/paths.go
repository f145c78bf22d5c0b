package plan

import (
	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/storage/vec"
)

// Paths is what actors do one after the other, within their sessions.
type Paths struct {
	Source
	Node           expr.Expr // text: the name of a row
	StartAt, EndAt expr.Expr // or nil
	Depth          int       // nodes of a path; 0: no limit
	Gap            vec.IntervalValue
	EdgesTop       int // 0: all
	// WeightFrom and WeightTo bound the count of an edge; 0 means no bound.
	WeightFrom, WeightTo int
	RepeatsKeep          bool   // equal neighbours stay
	Output               Output // Default (edges), Actors or Transitions
	// Unread is which columns of the answer nobody reads, so that they may hold anything; nil: none.
	Unread []bool
}

// Schema implements Node.
func (n *Paths) Schema() vec.Schema {
	out, text := n.breakdownFields(), vec.T(vec.Text)
	if n.Output == OutputActors {
		return append(out, vec.Field{Name: "actor", Type: n.Actor.Type()}, vec.Field{Name: "step", Type: vec.T(vec.Int4)},
			vec.Field{Name: "source", Type: text}, vec.Field{Name: "node", Type: text},
			vec.Field{Name: "is_last", Type: vec.T(vec.Bool)}, vec.Field{Name: "count", Type: vec.T(vec.Int8)})
	}
	if n.Output != OutputTransitions {
		out = append(out, vec.Field{Name: "step", Type: vec.T(vec.Int4)})
	}
	out = append(out, vec.Field{Name: "source", Type: text}, vec.Field{Name: "target", Type: text}, vec.Field{Name: "count", Type: vec.T(vec.Int8)})
	if n.Compatible {
		return append(out, vec.Field{Name: "average_ms", Type: vec.T(vec.Float8)})
	}
	return append(out, vec.Field{Name: "average_time", Type: vec.T(vec.Interval)})
}

// Inputs implements Node.
func (n *Paths) Inputs() []Node { return []Node{n.Input} }

// WithInputs implements Node.
func (n *Paths) WithInputs(in []Node) Node { c := *n; c.Input = in[0]; return &c }

// Kind implements Native.
func (n *Paths) Kind() string { return "paths" }

func (n *Paths) withSource(f func(Source) Source) Node { c := *n; c.Source = f(n.Source); return &c }

func (n *Paths) mapExprs(m mapper) Node {
	c := *n
	c.Source = m.source(n.Source)
	c.Node, c.StartAt, c.EndAt = m.one(n.Node), m.one(n.StartAt), m.one(n.EndAt)
	return &c
}

func (n *Paths) hints() hints {
	return hints{conds: []expr.Expr{n.Where}, from: n.From, to: n.To}
}

// Guess implements Native.
func (n *Paths) Guess(rows float64) float64 {
	if n.Output == OutputActors {
		return rows
	}
	if n.EdgesTop > 0 {
		return min(rows, float64(n.EdgesTop))
	}
	return min(rows, 1000)
}

// Describe implements Node.
func (n *Paths) Describe(p *Printer) {
	p.Line("Paths")
	p.Detail("Node", "%s", exprText(n.Node))
	if n.StartAt != nil {
		p.Detail("Start At", "%s", exprText(n.StartAt))
	}
	if n.EndAt != nil {
		p.Detail("End At", "%s", exprText(n.EndAt))
	}
	if n.Depth > 0 {
		p.Detail("Depth", "%d", n.Depth)
	}
	p.Detail("Session Gap", "%s", IntervalText(n.Gap))
	if n.EdgesTop > 0 {
		p.Detail("Edges Top", "%d", n.EdgesTop)
	}
	if n.WeightFrom > 0 {
		p.Detail("Weight From", "%d", n.WeightFrom)
	}
	if n.WeightTo > 0 {
		p.Detail("Weight To", "%d", n.WeightTo)
	}
	if n.RepeatsKeep {
		p.Detail("Repeats", "KEEP")
	}
	n.Source.describe(p)
	describeOutput(p, n.Output)
}
