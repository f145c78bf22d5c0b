package plan

import (
	"math"
	"math/bits"

	"github.com/prickledb/prickle/engine/expr"
)

// Statistics is what is known of a snapshot without running a plan over it. All are guesses.
type Statistics interface {
	// Rows is how many rows a node gives.
	Rows(Node) float64
	// Distinct is how many different values a node's column has.
	Distinct(n Node, column int) float64
}

// Arrange puts inner joins in the order that costs least, as far as the statistics tell. The
// result gives the same rows. It is for the snapshot that is read, so it comes after Rewrite,
// which is done once for a prepared statement.
//
// The order is found by dynamic programming over sets of inputs, bushy trees included
// (Moerkotte and Neumann, "Analysis of two existing and one new dynamic programming algorithm",
// 2006); beyond maxArranged inputs the order of Rewrite stays.
func Arrange(n Node, s Statistics) Node {
	arranged := arrange(n, s)
	if arranged == n {
		return n
	}
	return pruneColumns(mergeProjects(arranged))
}

// maxArranged is how many inputs are put in order: the work grows threefold with each.
const maxArranged = 10

func arrange(n Node, s Statistics) Node {
	if j, ok := n.(*Join); ok && j.Kind == InnerJoin && !expr.Volatile(j.On) {
		var g joinGroup
		g.add(j, 0)
		if k := len(g.inputs); k > 2 && k <= maxArranged {
			changed := false
			for i, in := range g.inputs {
				g.inputs[i] = arrange(in, s)
				changed = changed || g.inputs[i] != in
			}
			best := g.cheapest(s)
			if changed || !best.same(treeOf(j, new(int))) {
				return g.joined(best)
			}
			return n
		}
	}
	return overInputs(n, func(in Node) Node { return arrange(in, s) })
}

// joinTree is an order of joins: an input, or a join of two trees.
type joinTree struct {
	input       int
	left, right *joinTree // nil for an input
}

// treeOf is the order that a join has now. next is the number of its first input.
func treeOf(n Node, next *int) *joinTree {
	if j, ok := n.(*Join); ok && j.Kind == InnerJoin && !expr.Volatile(j.On) {
		left := treeOf(j.Left, next)
		return &joinTree{left: left, right: treeOf(j.Right, next)}
	}
	*next++
	return &joinTree{input: *next - 1}
}

func (t *joinTree) same(u *joinTree) bool {
	if t.left == nil || u.left == nil {
		return t.left == nil && u.left == nil && t.input == u.input
	}
	return t.left.same(u.left) && t.right.same(u.right)
}

// inputSet is a set of inputs of a joinGroup.
type inputSet uint32

// joinCost is the best way known to join a set of inputs.
type joinCost struct {
	rows, cost float64
	tree       *joinTree
}

// What a row costs that is put into a table of keys, that is looked up there, and that comes
// out of a join, in units of one look-up. They are guesses: the order is seldom close.
const (
	buildCost  = 3.0
	lookupCost = 1.0
	outputCost = 0.5
)

// cheapest is the tree that joins all inputs at the least cost.
func (g *joinGroup) cheapest(s Statistics) *joinTree {
	n := len(g.inputs)
	best := make([]joinCost, 1<<n)
	rows := make([]float64, n)
	for i, in := range g.inputs {
		rows[i] = max(1, s.Rows(in))
		best[1<<i] = joinCost{rows: rows[i], tree: &joinTree{input: i}}
	}
	factors := g.factors(s, rows)
	connected := g.connections()
	for set := inputSet(1); set < 1<<n; set++ {
		if bits.OnesCount32(uint32(set)) < 2 {
			continue
		}
		out := 1.0
		for i := range n {
			if set&(1<<i) != 0 {
				out *= rows[i]
			}
		}
		for _, f := range factors {
			if f.of&^set == 0 {
				out *= f.share
			}
		}
		here := joinCost{rows: max(1, out), cost: math.Inf(1)}
		for pass := range 2 { // pairing all rows with all rows comes second
			for left := (set - 1) & set; left > 0; left = (left - 1) & set {
				right := set &^ left
				if left < right || pass == 0 && !meet(connected, left, right) {
					continue
				}
				l, r := &best[left], &best[right]
				cost := l.cost + r.cost + outputCost*here.rows
				if meet(connected, left, right) {
					cost += buildCost*min(l.rows, r.rows) + lookupCost*max(l.rows, r.rows)
				} else {
					cost += l.rows * r.rows
				}
				if cost < here.cost {
					a, b := l, r
					if bits.TrailingZeros32(uint32(right)) < bits.TrailingZeros32(uint32(left)) {
						a, b = r, l // of two that cost the same, the one as it is written
					}
					here.cost, here.tree = cost, &joinTree{left: a.tree, right: b.tree}
				}
			}
			if here.tree != nil {
				break
			}
		}
		best[set] = here
	}
	return best[len(best)-1].tree
}

// factor is the share of pairs of rows of some inputs that pass conditions over these inputs.
type factor struct {
	of    inputSet
	share float64
}

// The shares of rows that conditions let pass of which nothing is known.
const (
	EqualShare = 0.1
	OtherShare = 1.0 / 3
)

// factors are those of the group's conditions. Equalities of the same two inputs make one:
// several columns that are a key together are not independent of each other.
func (g *joinGroup) factors(s Statistics, rows []float64) []factor {
	var out []factor
	type keys struct{ left, right float64 } // how many different ones
	pairs := map[inputSet]*keys{}
	var order []inputSet
	for i, c := range g.conds {
		of := inputSet(0)
		for _, in := range g.reads[i] {
			of |= 1 << in
		}
		l, r, ok := equalColumns(c)
		if !ok || bits.OnesCount32(uint32(of)) != 2 {
			share := OtherShare
			if g.equal[i] {
				share = EqualShare
			}
			out = append(out, factor{of, share})
			continue
		}
		a, b := g.inputOf(l), g.inputOf(r)
		if a > b {
			a, b, l, r = b, a, r, l
		}
		k := pairs[of]
		if k == nil {
			k = &keys{1, 1}
			pairs[of] = k
			order = append(order, of)
		}
		k.left *= max(1, s.Distinct(g.inputs[a], l-g.starts[a]))
		k.right *= max(1, s.Distinct(g.inputs[b], r-g.starts[b]))
	}
	for _, of := range order {
		k := pairs[of]
		a := bits.TrailingZeros32(uint32(of))
		b := bits.TrailingZeros32(uint32(of &^ (1 << a)))
		distinct := max(min(k.left, rows[a]), min(k.right, rows[b]))
		if k.left > rows[a] || k.right > rows[b] { // columns that are a key together
			distinct = min(min(k.left, rows[a]), min(k.right, rows[b]))
		}
		out = append(out, factor{of, 1 / distinct})
	}
	return out
}

// equalColumns is the two columns that a condition says are equal.
func equalColumns(c expr.Expr) (l, r int, ok bool) {
	call, ok := c.(*expr.Call)
	if !ok || call.Overload.Fn.Name != "=" || len(call.Args) != 2 {
		return 0, 0, false
	}
	a, okA := call.Args[0].(*expr.Column)
	b, okB := call.Args[1].(*expr.Column)
	if !okA || !okB {
		return 0, 0, false
	}
	return a.Index, b.Index, true
}

// connections is, for each equality that may be a key, the inputs that it reads.
func (g *joinGroup) connections() []inputSet {
	var out []inputSet
	for i, reads := range g.reads {
		if !g.equal[i] || len(reads) < 2 {
			continue
		}
		of := inputSet(0)
		for _, in := range reads {
			of |= 1 << in
		}
		out = append(out, of)
	}
	return out
}

// meet says whether an equality has its two sides in two sets.
func meet(connections []inputSet, left, right inputSet) bool {
	for _, of := range connections {
		if of&left != 0 && of&right != 0 && of&^(left|right) == 0 {
			return true
		}
	}
	return false
}
