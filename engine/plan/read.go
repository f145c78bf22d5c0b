package plan

import (
	"strings"

	"github.com/prickledb/prickle/engine/format"
	"github.com/prickledb/prickle/storage/vec"
)

// Read reads rows that are outside of the database: those that the client sends, or those of
// files. Its schema is those of Columns that are read, in order, and the lines if the options want
// those.
type Read struct {
	File    string // empty: the client
	Title   string // in errors: COPY t
	Options format.Options
	Columns []format.Column
	// Named says that columns are found by their names, not by their places.
	Named bool
	// Ranges are hints that a rewrite found in a filter above; the filter stays. Rows outside
	// one of them cannot pass.
	Ranges []Range
}

// Schema implements Node.
func (n *Read) Schema() vec.Schema {
	var s vec.Schema
	for _, c := range n.Columns {
		if !c.Unread {
			s = append(s, vec.Field{Name: c.Name, Type: c.Type})
		}
	}
	if n.Options.Lines {
		s = append(s, vec.Field{Name: "line", Type: vec.T(vec.Int8)})
	}
	return s
}

// prune removes columns that need not be decoded. Where columns are found by their places, they
// stay in the list.
func (n *Read) prune(need []bool) (Node, []int) {
	c := *n
	c.Columns = nil
	at := make([]int, 0, len(need))
	left := 0
	for _, col := range n.Columns {
		switch {
		case col.Unread:
		case need[len(at)]:
			at = append(at, left)
			left++
		case n.Options.Kind == format.Binary: // which is read as it comes
			at = append(at, left)
			left++
		default:
			at = append(at, -1)
			col.Unread = true
		}
		if !col.Unread || !n.Named {
			c.Columns = append(c.Columns, col)
		}
	}
	switch {
	case !n.Options.Lines:
	case need[len(at)]:
		at = append(at, left)
	default:
		at, c.Options.Lines = append(at, -1), false
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
	var names []string
	for _, f := range n.Schema() {
		names = append(names, f.Name)
	}
	p.Detail("Columns", "%s", strings.Join(names, ", "))
}
