package bind

import (
	"slices"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/sql/ast"
	"github.com/prickledb/prickle/storage/vec"
)

// maxGroupingSets is how many grouping sets a SELECT may have, as in PostgreSQL.
const maxGroupingSets = 4096

// maxCube is how many elements CUBE may have, as in PostgreSQL.
const maxCube = 12

// groupSets is the grouping sets that an item of GROUP BY stands for.
func (s *selection) groupSets(it *ast.GroupItem) [][]int {
	b := s.b
	var inner [][][]int
	for i := range it.Items {
		inner = append(inner, s.groupSets(&it.Items[i]))
		if b.err != nil {
			return nil
		}
	}
	// An element of ROLLUP and CUBE is one set.
	element := func(i int) []int {
		if len(inner[i]) == 0 {
			return nil
		}
		return inner[i][0]
	}
	switch it.Kind {
	case ast.GroupRollup:
		out := [][]int{{}}
		for i := range inner {
			last := out[len(out)-1]
			out = append(out, union(last, element(i)))
		}
		slices.Reverse(out)
		return out
	case ast.GroupCube:
		if len(inner) > maxCube {
			b.fail(pgerr.New(pgerr.TooManyColumns, "CUBE is limited to %d elements", maxCube), it.Pos())
			return nil
		}
		var out [][]int
		for bits := 1<<len(inner) - 1; bits >= 0; bits-- {
			var set []int
			for i := range inner {
				if bits>>(len(inner)-1-i)&1 == 1 {
					set = union(set, element(i))
				}
			}
			out = append(out, set)
		}
		return out
	case ast.GroupSets:
		var out [][]int
		for _, sets := range inner {
			out = append(out, sets...)
		}
		return out
	}
	if row, ok := it.Expr.(*ast.Row); ok {
		var set []int
		for _, e := range row.Elems {
			for _, one := range s.groupSets(&ast.GroupItem{Place: it.Place, Expr: e}) {
				set = union(set, one)
			}
		}
		return [][]int{set}
	}
	if i := s.groupKey(it.Expr); i >= 0 {
		return [][]int{{i}}
	}
	return nil
}

// union is the members of both sets.
func union(a, b []int) []int {
	out := slices.Clone(a)
	for _, k := range b {
		if !slices.Contains(out, k) {
			out = append(out, k)
		}
	}
	return out
}

// crossed is each set of a with each of b.
func crossed(a, b [][]int) [][]int {
	var out [][]int
	for _, x := range a {
		for _, y := range b {
			out = append(out, union(x, y))
		}
	}
	return out
}

func distinctSets(sets [][]int) [][]int {
	var out [][]int
	for _, s := range sets {
		if !slices.ContainsFunc(out, func(o []int) bool { return len(o) == len(s) && len(union(o, s)) == len(s) }) {
			out = append(out, s)
		}
	}
	return out
}

// groupKey is the key that an expression in GROUP BY means: a column of the input, a number,
// an alias, an expression; -1 after an error.
func (s *selection) groupKey(a ast.Expr) int {
	b := s.b
	if n, ok := a.(*ast.Number); ok {
		i := s.ordinal(n, "GROUP BY")
		if i < 0 {
			return -1
		}
		if hasAggregate(s.items[i].e) {
			b.fail(pgerr.New(pgerr.GroupingError, "aggregate functions are not allowed in GROUP BY"), s.items[i].pos)
			return -1
		}
		return s.addKey(s.items[i].e, s.items[i].ast)
	}
	if isConstantAst(a) {
		b.fail(pgerr.New(pgerr.SyntaxError, "non-integer constant in GROUP BY"), a.Pos())
		return -1
	}
	sc := s.sc.in("GROUP BY", nil)
	sc.sets = &s.sets
	e := b.value(a, sc)
	return s.addKey(b.coerce(e, firstKnown(e.Type()), a.Pos()), a)
}

// addKey is the number of a key, which is added unless it is there.
func (s *selection) addKey(e expr.Expr, a ast.Expr) int {
	for i, k := range s.keys {
		if expr.Same(e, k) {
			return i
		}
	}
	s.keys, s.keyAst = append(s.keys, e), append(s.keyAst, a)
	return len(s.keys) - 1
}

// groupingRef is GROUPING(keys), until the keys are known.
type groupingRef struct {
	index int
	text  string
}

// Type implements expr.Expr.
func (*groupingRef) Type() vec.Type { return vec.T(vec.Int4) }

// Eval is never called: the reference is replaced by a column.
func (g *groupingRef) Eval(*expr.Context, *vec.Batch) (*vec.Vector, error) {
	return nil, pgerr.New(pgerr.Internal, "%s stands outside of its node", g.text)
}

// String is for EXPLAIN.
func (g *groupingRef) String() string { return g.text }

// Reference implements expr.Reference.
func (g *groupingRef) Reference() int { return -(1 << 42) - g.index }

// groupingCall is a GROUPING(…) of a SELECT.
type groupingCall struct {
	args   []expr.Expr
	places []ast.Pos // of the arguments
}

// grouping binds GROUPING(keys).
func (b *binder) grouping(e *ast.Call, sc *scope) expr.Expr {
	if sc.aggs == nil || sc.host == nil {
		return b.fail(pgerr.New(pgerr.GroupingError, "grouping operations are not allowed in %s", sc.clause), e.Pos())
	}
	if sc.aggs.inner {
		return b.fail(pgerr.New(pgerr.GroupingError, "aggregate function calls cannot be nested"), e.Pos())
	}
	var c groupingCall
	if len(e.Args) == 0 || len(e.Args) > 31 {
		return b.fail(pgerr.New(pgerr.SyntaxError, "GROUPING must have from 1 to 31 arguments"), e.Pos())
	}
	text := "GROUPING("
	for i, a := range e.Args {
		x := b.value(a.Value, sc.in("GROUPING", nil))
		x = b.coerce(x, firstKnown(x.Type()), a.Value.Pos())
		c.places = append(c.places, a.Value.Pos())
		if c.args = append(c.args, x); i > 0 {
			text += ", "
		}
		text += expr.String(x)
	}
	s := sc.host
	s.groupingCalls = append(s.groupingCalls, c)
	return &groupingRef{len(s.groupingCalls) - 1, text + ")"}
}

// bits is, for each grouping set, which of a GROUPING's arguments are no keys of it.
func (s *selection) bits(c groupingCall) []int64 {
	out := make([]int64, len(s.groupings))
	for n, a := range c.args {
		k := slices.IndexFunc(s.keys, func(k expr.Expr) bool { return expr.Same(a, k) })
		if k < 0 {
			s.b.fail(pgerr.New(pgerr.GroupingError, "arguments to GROUPING must be grouping expressions of the associated query level"), c.places[n])
			return out
		}
		for i, set := range s.groupings {
			out[i] *= 2
			if !slices.Contains(set, k) {
				out[i]++
			}
		}
	}
	return out
}

// perSet is an aggregate for each grouping set: the rows of all, with NULL for keys that a set
// does not have, and the values of GROUPING behind the aggregates.
func (s *selection) perSet(a *plan.Aggregate) plan.Node {
	if s.groupings == nil {
		all := make([]int, len(a.Keys))
		for i := range all {
			all[i] = i
		}
		s.groupings = [][]int{all}
	}
	var bits [][]int64
	for _, c := range s.groupingCalls {
		bits = append(bits, s.bits(c))
	}
	if len(s.groupings) == 1 && len(s.groupings[0]) == len(a.Keys) && len(bits) == 0 {
		return a
	}
	if plan.Volatile(a) && len(s.groupings) > 1 {
		s.b.unsupported("a volatile function below grouping sets", s.q.GroupBy.Pos())
	}
	out := &plan.Union{}
	for i, set := range s.groupings {
		one := &plan.Aggregate{Input: a.Input, Aggs: a.Aggs}
		p := &plan.Project{Input: one, Exprs: make([]expr.Expr, len(a.Keys)), Names: append([]string(nil), a.Names...)}
		for k, e := range a.Keys {
			p.Exprs[k] = null(e.Type())
		}
		for _, k := range set {
			p.Exprs[k] = &expr.Column{Index: len(one.Keys), T: a.Keys[k].Type(), Name: a.Names[k]}
			one.Keys, one.Names = append(one.Keys, a.Keys[k]), append(one.Names, a.Names[k])
		}
		for k, c := range a.Aggs {
			name := a.Names[len(a.Keys)+k]
			p.Exprs = append(p.Exprs, &expr.Column{Index: len(one.Keys) + k, T: c.T, Name: name})
			one.Names = append(one.Names, name)
		}
		for k := range bits {
			p.Exprs, p.Names = append(p.Exprs, intConst(bits[k][i], vec.T(vec.Int4))), append(p.Names, "grouping")
		}
		out.Of = append(out.Of, p)
	}
	if len(out.Of) == 1 {
		return out.Of[0]
	}
	return out
}
