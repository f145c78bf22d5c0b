package plan

import (
	"slices"

	"github.com/prickledb/prickle/engine/expr"
)

// orderJoins keeps inner joins in the order in which they are written, except where that
// pairs all rows with all rows although another input would have an equality with what is
// joined already: that one comes first.
func orderJoins(n Node) Node {
	if j, ok := n.(*Join); ok && j.Kind == InnerJoin && !expr.Volatile(j.On) {
		var g joinGroup
		g.add(j, 0)
		for i := range g.inputs {
			g.inputs[i] = orderJoins(g.inputs[i])
		}
		if order := g.order(); !slices.IsSorted(order) {
			return g.joined(chain(order))
		}
	}
	return overInputs(n, orderJoins)
}

// joinGroup is inner joins of inner joins: inputs, and what must hold of their columns, put
// behind each other.
type joinGroup struct {
	inputs []Node
	starts []int // where each input's columns begin
	conds  []expr.Expr
	reads  [][]int // per condition: the inputs it reads
	equal  []bool  // per condition: it is an equality that may be a key
}

func (g *joinGroup) add(n Node, at int) {
	j, ok := n.(*Join)
	if !ok || j.Kind != InnerJoin || expr.Volatile(j.On) {
		g.inputs, g.starts = append(g.inputs, n), append(g.starts, at)
		return
	}
	left := len(j.Left.Schema())
	g.add(j.Left, at)
	g.add(j.Right, at+left)
	for i, l := range j.LeftKeys {
		r := shift(j.RightKeys[i], left)
		if j.NullSafe != nil && j.NullSafe[i] {
			g.condition(shift(equal(l, r), at), true)
			continue
		}
		eq, err := expr.NewOperator("=", l, r)
		if err != nil {
			panic("keys of a join cannot be compared: " + err.Error())
		}
		g.condition(shift(eq, at), true)
	}
	for _, c := range Conjuncts(j.On) {
		g.condition(shift(c, at), false)
	}
}

func (g *joinGroup) condition(c expr.Expr, equal bool) {
	var reads []int
	expr.Walk(c, func(x expr.Expr) bool {
		if col, ok := x.(*expr.Column); ok {
			i := g.inputOf(col.Index)
			if !slices.Contains(reads, i) {
				reads = append(reads, i)
			}
		}
		return true
	})
	g.conds, g.reads, g.equal = append(g.conds, c), append(g.reads, reads), append(g.equal, equal)
}

func (g *joinGroup) inputOf(column int) int {
	i, found := slices.BinarySearch(g.starts, column)
	if found {
		for i+1 < len(g.starts) && g.starts[i+1] == column {
			i++ // inputs without columns begin where the next one does
		}
		return i
	}
	return i - 1
}

// order is the order in which to join the inputs.
func (g *joinGroup) order() []int {
	order := []int{0}
	left := make([]int, 0, len(g.inputs))
	for i := 1; i < len(g.inputs); i++ {
		left = append(left, i)
	}
	for len(left) > 0 {
		next := max(0, slices.IndexFunc(left, func(i int) bool { return g.connected(order, i) }))
		order = append(order, left[next])
		left = slices.Delete(left, next, next+1)
	}
	return order
}

// connected says whether an equality has one side in input i and the other in those that
// are joined.
func (g *joinGroup) connected(joined []int, i int) bool {
	for k, reads := range g.reads {
		if !g.equal[k] || !slices.Contains(reads, i) || len(reads) < 2 {
			continue
		}
		if !slices.ContainsFunc(reads, func(r int) bool { return r != i && !slices.Contains(joined, r) }) {
			return true
		}
	}
	return false
}

// chain is the tree that joins inputs in an order, one after the other.
func chain(order []int) *joinTree {
	t := &joinTree{input: order[0]}
	for _, i := range order[1:] {
		t = &joinTree{left: t, right: &joinTree{input: i}}
	}
	return t
}

// joined joins the inputs in another order, and puts the columns where they were.
func (g *joinGroup) joined(t *joinTree) Node {
	total := 0
	for _, in := range g.inputs {
		total += len(in.Schema())
	}
	at, width := make([]int, total), 0
	var build func(t *joinTree) Node
	build = func(t *joinTree) Node {
		if t.left != nil {
			left := build(t.left)
			return &Join{Left: left, Right: build(t.right)}
		}
		n := len(g.inputs[t.input].Schema())
		for c := range n {
			at[g.starts[t.input]+c] = width + c
		}
		width += n
		return g.inputs[t.input]
	}
	out := build(t)
	moved := mapper(func(e expr.Expr) expr.Expr { return movedTo(e, at) }).list(g.conds)
	back := &Project{Input: filtered(out, moved)}
	for i, in := range g.inputs {
		for c, f := range in.Schema() {
			back.Exprs = append(back.Exprs, &expr.Column{Index: at[g.starts[i]+c], T: f.Type, Name: f.Name})
			back.Names = append(back.Names, f.Name)
		}
	}
	return back
}
