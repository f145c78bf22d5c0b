package plan

import (
	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/storage/vec"
)

// Union gives the rows of all its inputs, which have columns of equal types; their names
// are the first one's.
type Union struct{ Of []Node }

// Repeat gives each row Times times, which is a bigint over it; one of zero or less not at
// all.
type Repeat struct {
	Input Node
	Times expr.Expr
}

// Schema implements Node.
func (n *Union) Schema() vec.Schema { return n.Of[0].Schema() }

// Schema implements Node.
func (n *Repeat) Schema() vec.Schema { return n.Input.Schema() }

// Inputs implements Node.
func (n *Union) Inputs() []Node { return n.Of }

// Inputs implements Node.
func (n *Repeat) Inputs() []Node { return []Node{n.Input} }

// WithInputs implements Node.
func (n *Union) WithInputs(in []Node) Node { return &Union{in} }

// WithInputs implements Node.
func (n *Repeat) WithInputs(in []Node) Node { return &Repeat{in[0], n.Times} }

// Describe implements Node.
func (n *Union) Describe(p *Printer) { p.Line("Append") }

// Describe implements Node.
func (n *Repeat) Describe(p *Printer) {
	p.Line("Repeat")
	p.Detail("Times", "%s", exprText(n.Times))
}
