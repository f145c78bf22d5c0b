package plan

import "github.com/prickledb/prickle/storage/vec"

// Setup stands at the top of a plan: it runs subqueries, one after the other, before the
// plan that uses their answers.
type Setup struct {
	Subs  []Sub
	Input Node
}

// Sub is a subquery that runs once. Sub i fills slot i.
type Sub struct {
	Node Node
	Kind SubKind
}

// SubKind is what is kept of a subquery.
type SubKind uint8

// The kinds of subqueries.
const (
	ScalarSub SubKind = iota // the value of the one row and column; NULL if there is no row
	ExistsSub                // whether there is a row
	ArraySub                 // the values of the one column, as an array
	TableSub                 // all rows, which a Spool reads
	WriteSub                 // like TableSub, and the rows are given to who runs the plan, to be written
	SetSub                   // the distinct values of the one column, which an expr.InSet or a Cohort looks at
)

// Spool reads the rows that a Sub of the Setup above has kept, or those that a Recursive above
// has just given, if Slot is below zero.
type Spool struct {
	Slot    int
	Name    string // of the WITH query, for EXPLAIN
	Columns vec.Schema
	Guess   float64 // how many rows it seems to have; 0 for unknown
}

// Schema implements Node.
func (n *Setup) Schema() vec.Schema { return n.Input.Schema() }

// Schema implements Node.
func (n *Spool) Schema() vec.Schema { return n.Columns }

// Inputs implements Node.
func (n *Setup) Inputs() []Node {
	in := make([]Node, 0, len(n.Subs)+1)
	for _, s := range n.Subs {
		in = append(in, s.Node)
	}
	return append(in, n.Input)
}

// Inputs implements Node.
func (n *Spool) Inputs() []Node { return nil }

// WithInputs implements Node.
func (n *Setup) WithInputs(in []Node) Node {
	c := &Setup{Subs: make([]Sub, len(n.Subs)), Input: in[len(n.Subs)]}
	for i, s := range n.Subs {
		c.Subs[i] = Sub{in[i], s.Kind}
	}
	return c
}

// WithInputs implements Node.
func (n *Spool) WithInputs([]Node) Node { return n }

// Describe implements Node.
func (n *Setup) Describe(p *Printer) { p.Line("Subqueries") }

// Describe implements Node.
func (n *Spool) Describe(p *Printer) {
	if n.Slot < 0 {
		p.Line("WorkTable Scan on %s", n.Name)
		return
	}
	p.Line("CTE Scan on %s", n.Name)
}
