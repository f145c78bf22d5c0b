package plan

import (
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
}

// Schema implements Node.
func (n *Read) Schema() vec.Schema {
	var s vec.Schema
	for _, c := range n.Columns {
		s = append(s, vec.Field{Name: c.Name, Type: c.Type})
	}
	return s
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
}
