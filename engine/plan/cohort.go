package plan

import (
	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/storage/vec"
)

// Combine puts the values of two queries of one column and type together as sets: without
// nulls, and each value once. It stands only in a Sub of the kind SetSub.
type Combine struct {
	Op          expr.SetOp
	Left, Right Node
}

// PersonsOf is the persons who have the distinct ids that a query of one column gives. It
// stands only in a Sub of the kind SetSub.
type PersonsOf struct{ Input Node }

// Cohort is the members of the set that a Sub of the Setup above has kept: uuids, in the
// column actor.
type Cohort struct {
	Slot int
	Name string // for EXPLAIN
}

// Schema implements Node.
func (n *Combine) Schema() vec.Schema { return n.Left.Schema() }

// Schema implements Node.
func (n *PersonsOf) Schema() vec.Schema { return actorColumn }

// Schema implements Node.
func (n *Cohort) Schema() vec.Schema { return actorColumn }

var actorColumn = vec.Schema{{Name: "actor", Type: vec.T(vec.UUID)}}

// Inputs implements Node.
func (n *Combine) Inputs() []Node { return []Node{n.Left, n.Right} }

// Inputs implements Node.
func (n *PersonsOf) Inputs() []Node { return []Node{n.Input} }

// Inputs implements Node.
func (n *Cohort) Inputs() []Node { return nil }

// WithInputs implements Node.
func (n *Combine) WithInputs(in []Node) Node { return &Combine{n.Op, in[0], in[1]} }

// WithInputs implements Node.
func (n *PersonsOf) WithInputs(in []Node) Node { return &PersonsOf{in[0]} }

// WithInputs implements Node.
func (n *Cohort) WithInputs([]Node) Node { return n }

// Describe implements Node.
func (n *Combine) Describe(p *Printer) {
	p.Line("Cohort %s", [...]string{"Union", "Intersect", "Except"}[n.Op])
}

// Describe implements Node.
func (n *PersonsOf) Describe(p *Printer) { p.Line("Persons of Distinct IDs") }

// Describe implements Node.
func (n *Cohort) Describe(p *Printer) { p.Line("Cohort Scan on %s", n.Name) }
