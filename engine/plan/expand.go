package plan

import (
	"strings"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/storage/vec"
)

// Expand gives each row once for each row that functions give for it: the first rows of all
// calls side by side, then the second ones, and NULL for calls that have come to their end.
// Its schema is the input's, then the columns of the calls and, with Ordinality, the number
// of the row.
type Expand struct {
	Input      Node
	Calls      []SetCall
	Ordinality bool
}

// SetCall is one function of an Expand, over the input.
type SetCall struct {
	Function *expr.TableFunction
	Args     []expr.Expr
}

// Schema implements Node.
func (n *Expand) Schema() vec.Schema {
	in := n.Input.Schema()
	s := in[:len(in):len(in)]
	for _, c := range n.Calls {
		s = append(s, c.Function.Out...)
	}
	if n.Ordinality {
		s = append(s, vec.Field{Name: "ordinality", Type: vec.T(vec.Int8)})
	}
	return s
}

// Inputs implements Node.
func (n *Expand) Inputs() []Node { return []Node{n.Input} }

// WithInputs implements Node.
func (n *Expand) WithInputs(in []Node) Node { c := *n; c.Input = in[0]; return &c }

func (n *Expand) mapExprs(m mapper) *Expand {
	c := *n
	c.Calls = nil
	for _, call := range n.Calls {
		c.Calls = append(c.Calls, SetCall{call.Function, m.list(call.Args)})
	}
	return &c
}

// prune removes columns of the input.
func (n *Expand) prune(need []bool) (Node, []int) {
	width := len(n.Input.Schema())
	below := append([]bool(nil), need[:width]...)
	mark(n, below)
	in, moved := prune(n.Input, below)
	at := append([]int(nil), moved...)
	for i := range len(n.Schema()) - width {
		at = append(at, len(in.Schema())+i)
	}
	return moveColumns(n, moved).WithInputs([]Node{in}), at
}

// Describe implements Node.
func (n *Expand) Describe(p *Printer) {
	var calls []string
	for _, c := range n.Calls {
		calls = append(calls, c.Function.Name+"("+exprTexts(c.Args)+")")
	}
	if _, ok := n.Input.(*Values); ok {
		p.Line("Function Scan")
	} else {
		p.Line("ProjectSet")
	}
	p.Detail("Functions", "%s", strings.Join(calls, ", "))
}
