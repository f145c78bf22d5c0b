package plan

import (
	"strings"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/storage/vec"
)

// Window computes functions over the rows around each row. Its schema is the input's, then
// one column for each call. As long as rows are few, they come out by partition, in order there, and
// partitions in the order of their keys.
type Window struct {
	Input     Node
	Partition []expr.Expr // columns of the input
	Order     []SortKey   // by columns of the input
	Calls     []WindowCall
	Names     []string // of the calls
}

// WindowCall is one function of a Window: a function of windows alone, or an aggregate.
type WindowCall struct {
	Name        string
	Args        []expr.Expr // columns of the input
	Filter      expr.Expr   // of an aggregate, or nil
	IgnoreNulls bool
	Frame       Frame
	T           vec.Type
}

// FrameUnit is what the bounds of a frame count.
type FrameUnit uint8

// The units: values of the order key and their peers, rows, groups of peers.
const (
	RangeFrame FrameUnit = iota
	RowsFrame
	GroupsFrame
)

// FrameExclude is which rows of a frame do not count.
type FrameExclude uint8

// The exclusions.
const (
	ExcludeNothing FrameExclude = iota
	ExcludeCurrentRow
	ExcludeGroup
	ExcludeTies
)

// Frame is the rows of a partition that a call sees from one row.
type Frame struct {
	Unit       FrameUnit
	Start, End FrameBound
	Exclude    FrameExclude
}

// FrameBound is one end of a frame: the partition's, or the current row's, moved by Offset
// if there is one.
type FrameBound struct {
	Unbounded bool
	Following bool // Offset counts forward
	// Offset is a bigint column of the input. For RangeFrame it is the key at which the frame
	// ends, and Key the order key as a value of that type.
	Offset, Key expr.Expr
}

// Schema implements Node.
func (n *Window) Schema() vec.Schema {
	in := n.Input.Schema()
	s := in[:len(in):len(in)]
	for i, c := range n.Calls {
		s = append(s, vec.Field{Name: n.Names[i], Type: c.T})
	}
	return s
}

// Inputs implements Node.
func (n *Window) Inputs() []Node { return []Node{n.Input} }

// WithInputs implements Node.
func (n *Window) WithInputs(in []Node) Node { c := *n; c.Input = in[0]; return &c }

func (n *Window) mapExprs(m mapper) *Window {
	c := *n
	c.Partition, c.Order, c.Calls = m.list(n.Partition), m.keys(n.Order), nil
	for _, call := range n.Calls {
		call.Args, call.Filter = m.list(call.Args), m.one(call.Filter)
		for _, b := range []*FrameBound{&call.Frame.Start, &call.Frame.End} {
			b.Offset, b.Key = m.one(b.Offset), m.one(b.Key)
		}
		c.Calls = append(c.Calls, call)
	}
	return &c
}

// prune is the Window with the calls that are needed, over an input without columns that
// nothing reads.
func (n *Window) prune(need []bool) (Node, []int) {
	width := len(n.Input.Schema())
	c := *n
	c.Calls, c.Names = nil, nil
	at := make([]int, width+len(n.Calls))
	for i, call := range n.Calls {
		at[width+i] = -1
		if need[width+i] {
			at[width+i] = len(c.Calls)
			c.Calls, c.Names = append(c.Calls, call), append(c.Names, n.Names[i])
		}
	}
	below := append([]bool(nil), need[:width]...)
	if len(c.Calls) > 0 {
		mark(&c, below)
	}
	in, moved := prune(n.Input, below)
	copy(at, moved)
	if len(c.Calls) == 0 {
		return in, at
	}
	for i := range n.Calls {
		if at[width+i] >= 0 {
			at[width+i] += len(in.Schema())
		}
	}
	c.Input = nil
	return moveColumns(&c, moved).WithInputs([]Node{in}), at
}

// Describe implements Node.
func (n *Window) Describe(p *Printer) {
	p.Line("WindowAgg")
	if len(n.Partition) > 0 {
		p.Detail("Partition", "%s", exprTexts(n.Partition))
	}
	if len(n.Order) > 0 {
		p.Detail("Order", "%s", sortText(n.Order))
	}
	var calls []string
	for _, c := range n.Calls {
		calls = append(calls, c.String())
	}
	p.Detail("Functions", "%s", strings.Join(calls, ", "))
}

// String is the call as EXPLAIN shows it.
func (c *WindowCall) String() string {
	text := c.Name + "(" + exprTexts(c.Args) + ")"
	if c.Filter != nil {
		text += " FILTER (WHERE " + exprText(c.Filter) + ")"
	}
	return text
}
