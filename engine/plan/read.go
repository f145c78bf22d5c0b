package plan

import (
	"strings"

	"github.com/prickledb/prickle/engine/format"
	"github.com/prickledb/prickle/storage/vec"
)

// Read reads rows that are outside of the database: those that the client sends, or those of
// files. Its schema is Columns, in order.
type Read struct {
	File    string // empty: the client
	Title   string // in errors: COPY t
	Options format.Options
	Columns []format.Column
	// Named says that columns are found by their names, so that one can be left out.
	Named bool
	// Ranges are hints that a rewrite found in a filter above; the filter stays. Rows outside
	// one of them cannot pass.
	Ranges []Range
}

// Schema implements Node.
func (n *Read) Schema() vec.Schema {
	var s vec.Schema
	for _, c := range n.Columns {
		s = append(s, vec.Field{Name: c.Name, Type: c.Type})
	}
	return s
}

// prune removes columns of a file that need not be decoded; what a client sends is read by the
// place of its columns.
func (n *Read) prune(need []bool) (Node, []int) {
	if !n.Named {
		return n, same(len(n.Columns))
	}
	c := *n
	c.Columns = nil
	at := make([]int, len(n.Columns))
	for i, col := range n.Columns {
		at[i] = -1
		if need[i] {
			at[i] = len(c.Columns)
			c.Columns = append(c.Columns, col)
		}
	}
	return &c, at
}

// Inputs implements Node.
func (n *Read) Inputs() []Node { return nil }

// WithInputs implements Node.
func (n *Read) WithInputs([]Node) Node { return n }

// Describe implements Node.
func (n *Read) Describe(p *Printer) {
	if n.File == "" {
		p.Line("Read from client")
		return
	}
	p.Line("Read %s", n.Options.Kind)
	p.Detail("File", "%s", n.File)
	names := make([]string, len(n.Columns))
	for i := range n.Columns {
		names[i] = n.Columns[i].Name
	}
	p.Detail("Columns", "%s", strings.Join(names, ", "))
}
