package plan

import "github.com/prickledb/prickle/storage/vec"

// Recursive is a query of WITH RECURSIVE: the rows of Base, then those of Step over the rows
// just given, and so on until it gives none. All columns have the types of Base.
type Recursive struct {
	Base, Step Node
	// Slot is that of the Spools in Step that read the rows just given. It is below zero: no
	// Sub fills it.
	Slot int
	// All is UNION ALL; otherwise a row that was given before does not count.
	All     bool
	Name    string // of the WITH query, for EXPLAIN
	Columns vec.Schema
}

// Schema implements Node.
func (n *Recursive) Schema() vec.Schema { return n.Columns }

// Inputs implements Node.
func (n *Recursive) Inputs() []Node { return []Node{n.Base, n.Step} }

// WithInputs implements Node.
func (n *Recursive) WithInputs(in []Node) Node {
	c := *n
	c.Base, c.Step = in[0], in[1]
	return &c
}

// Describe implements Node.
func (n *Recursive) Describe(p *Printer) { p.Line("Recursive Union on %s", n.Name) }
