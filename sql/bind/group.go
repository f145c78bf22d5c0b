package bind

import (
	"slices"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/sql/ast"
	"github.com/prickledb/prickle/storage/vec"
)

// grouped puts an Aggregate on top of node and rewrites the items to read from it.
func (s *selection) grouped(node plan.Node) plan.Node {
	g := &grouping{s: s}
	node, keys := s.expandKeys(node)
	for i := range s.items {
		s.items[i].e = g.rewrite(s.items[i].e, s.items[i].pos)
	}
	var having expr.Expr
	if s.having != nil {
		having = g.rewrite(s.having, s.q.Having.Pos())
	}
	s.qualify = g.rewrite(s.qualify, ast.NoPos)
	for i, c := range s.sets.calls {
		if s.sets.below[i] {
			continue
		}
		args := make([]expr.Expr, len(c.Args))
		for k, a := range c.Args {
			args[k] = g.rewrite(a, s.sets.pos[i])
		}
		s.sets.calls[i].Args = args
	}
	for i := range s.windows.calls {
		s.windows.calls[i].rewrite(g)
	}
	a := &plan.Aggregate{Input: node, Keys: keys}
	for i, e := range s.keyAst {
		name := ""
		if e != nil {
			name = columnName(e)
		}
		if c, ok := s.keys[i].(*expr.Column); ok {
			name = c.Name
		}
		a.Names = append(a.Names, name)
	}
	for _, c := range s.aggs.calls {
		if withinGroup[c.Name] {
			for _, direct := range c.Args[:len(c.Args)-len(c.OrderBy)] {
				g.rewrite(direct, ast.NoPos)
			}
		}
		a.Aggs, a.Names = append(a.Aggs, s.placed.call(c)), append(a.Names, c.Name)
	}
	for _, c := range g.later {
		c.Index += len(s.keys) + len(s.aggs.calls)
	}
	out := s.perSet(a)
	for _, x := range s.attached {
		if x.above {
			out = g.join(out, x)
		}
	}
	if having != nil {
		return &plan.Filter{Input: out, Cond: having}
	}
	return out
}

// rewrite has a window call read groups.
func (w *windowCall) rewrite(g *grouping) {
	one := func(e expr.Expr) expr.Expr { return g.rewrite(e, w.pos) }
	list := func(in []expr.Expr) {
		for i := range in {
			in[i] = one(in[i])
		}
	}
	list(w.call.Args)
	list(w.partition)
	for i := range w.order {
		w.order[i].Expr = one(w.order[i].Expr)
	}
	w.call.Filter = one(w.call.Filter)
	for _, f := range []*plan.FrameBound{&w.call.Frame.Start, &w.call.Frame.End} {
		f.Offset, f.Key = one(f.Offset), one(f.Key)
	}
}

// grouping moves expressions over the input to stand above the Aggregate node.
type grouping struct {
	s *selection
	// later are columns behind the aggregates, of which there may be more yet, and above those of
	// subqueries that are joined with the groups.
	later []*expr.Column
	above map[*attached][]*expr.Column
	// places are where the columns of those subqueries begin, by their bases.
	places map[int]int
}

// join joins a subquery with the groups.
func (g *grouping) join(groups plan.Node, a *attached) plan.Node {
	s := g.s
	width := len(groups.Schema())
	for _, c := range g.above[a] {
		c.Index += width
	}
	if g.places == nil {
		g.places = map[int]int{}
	}
	defer func() { g.places[a.base] = width }()
	d := &plan.Dependent{Kind: a.kind, Left: groups, Right: a.node, Sparse: a.sparse, Place: func(c *expr.Column) (int, bool) {
		if x := g.aggregate(c); x != nil {
			return x.Index, true
		}
		if at, ok := g.places[baseOf(c.Index)]; ok {
			return at + c.Index - baseOf(c.Index), true
		}
		i := slices.IndexFunc(s.keys, func(k expr.Expr) bool { return expr.Same(c, k) })
		return i, i >= 0
	}}
	node, err := d.Unnest()
	if err != nil {
		s.b.failErr(err, a.pos)
		return groups
	}
	return node
}

// aggregate is where an aggregate is that stands in a subquery; nil if c is anything else.
func (g *grouping) aggregate(c *expr.Column) *expr.Column {
	base := g.s.aggs.base
	if base == 0 || baseOf(c.Index) != base {
		return nil
	}
	return &expr.Column{Index: len(g.s.keys) + c.Index - base, T: c.T, Name: c.Name}
}

func (g *grouping) rewrite(e expr.Expr, pos ast.Pos) expr.Expr {
	b := g.s.b
	if b.err != nil || e == nil {
		return e
	}
	switch e := e.(type) {
	case *expr.Const, *expr.Param, *expr.Slot, *windowRef:
		return e
	case *groupingRef:
		g.later = append(g.later, &expr.Column{Index: e.index, T: e.Type(), Name: "grouping"})
		return g.later[len(g.later)-1]
	case *aggRef:
		return &expr.Column{Index: len(g.s.keys) + e.index, T: e.t, Name: e.text}
	}
	for i, k := range g.s.keys {
		if expr.Same(e, k) {
			return &expr.Column{Index: i, T: k.Type(), Name: expr.String(k)}
		}
		// A row that is grouped by has its columns.
		if row, ok := rowCall(k); ok && isRow(k) {
			if at := slices.IndexFunc(row, func(f expr.Expr) bool { return expr.Same(e, f) }); at >= 0 {
				return b.fieldAt(&expr.Column{Index: i, T: k.Type(), Name: expr.String(k)}, at, e.Type(), pos)
			}
		}
	}
	switch e := e.(type) {
	case *setRef:
		if g.s.sets.below[e.index] {
			b.fail(pgerr.New(pgerr.GroupingError, "%s must appear in the GROUP BY clause as it stands here", e.text), pos)
		}
		return e
	case *expr.Column:
		if x := g.aggregate(e); x != nil {
			return x
		}
		if x := g.sameProperty(e); x != nil {
			return x
		}
		if a := g.s.attachedOf(e); a != nil {
			return g.subquery(a, e, pos)
		}
		if !g.s.sc.rel.owns(e) {
			return e // a column of what is around the query
		}
		if g.byKey(e) {
			return g.anyValue(e)
		}
		p := b.places[e]
		if p.name == "" {
			p.name, p.pos = e.Name, pos
		}
		return b.fail(pgerr.New(pgerr.GroupingError,
			`column "%s" must appear in the GROUP BY clause or be used in an aggregate function`, p.name), p.pos)
	case expr.Parent:
		old := e.Children()
		changed := make([]expr.Expr, len(old))
		for i, c := range old {
			changed[i] = g.rewrite(c, pos)
		}
		if len(old) == 0 {
			return e
		}
		return e.WithChildren(changed)
	}
	return e
}

// subquery is a value of a correlated subquery. If it is joined with the rows, all of a group have
// the same, since it reads nothing but keys.
func (g *grouping) subquery(a *attached, e *expr.Column, pos ast.Pos) expr.Expr {
	for _, c := range a.reads {
		if g.s.sc.rel.owns(c) && !anySame(c, g.s.keys) {
			p := g.s.b.places[c]
			return g.s.b.fail(pgerr.New(pgerr.GroupingError, `subquery uses ungrouped column "%s" from outer query`, p.name), p.pos)
		}
	}
	if a.above {
		if g.above == nil {
			g.above = map[*attached][]*expr.Column{}
		}
		c := &expr.Column{Index: e.Index - a.base, T: e.T, Name: e.Name}
		g.above[a] = append(g.above[a], c)
		return c
	}
	return g.anyValue(e)
}

// byKey says whether a column is of a table whose primary key is grouped by, so that all rows of a
// group have the same. Where rows share a key after all, since keys are not enforced, any of them
// gives its value.
func (g *grouping) byKey(e *expr.Column) bool {
	if len(g.s.groupings) > 1 {
		return false
	}
	for _, rel := range g.s.sc.rel.all() {
		if rel.join != nil || rel.table == nil || rel.table.Schema == nil || !rel.owns(e) {
			continue
		}
		grouped := func(column uint32) bool {
			return slices.ContainsFunc(g.s.keys, func(k expr.Expr) bool {
				c, _ := k.(*expr.Column)
				i := rel.field(c)
				if i < 0 || i >= len(rel.table.Columns) {
					return false
				}
				col := rel.table.Schema.Column(rel.table.Columns[i].Name)
				return col != nil && col.ID == column
			})
		}
		for _, k := range rel.table.Schema.Keys {
			if k.Primary {
				return !slices.ContainsFunc(k.Columns, func(id uint32) bool { return !grouped(id) })
			}
		}
	}
	return false
}

// field is which field of the relation, which is no join, a column is as it stands; -1 for none.
func (rel *relation) field(c *expr.Column) int {
	switch {
	case c == nil || !rel.owns(c):
		return -1
	case rel.scan == nil:
		return c.Index - rel.base
	}
	sc := rel.scanned(c)
	if sc == nil || len(sc.Path) > 0 {
		return -1
	}
	return rel.find(sc.Column)
}

// anyValue is a column that is the same in all rows of a group.
func (g *grouping) anyValue(e *expr.Column) expr.Expr {
	call := plan.AggCall{Name: "any_value", Args: []expr.Expr{e}, T: e.T}
	for i := range g.s.aggs.calls {
		if sameCall(&g.s.aggs.calls[i], &call) {
			return &expr.Column{Index: len(g.s.keys) + i, T: e.T, Name: e.Name}
		}
	}
	g.s.aggs.calls = append(g.s.aggs.calls, call)
	return &expr.Column{Index: len(g.s.keys) + len(g.s.aggs.calls) - 1, T: e.T, Name: e.Name}
}

// sameProperty is a property that is grouped by as text and used as another type, or a part of a
// jsonb value that is grouped by.
func (g *grouping) sameProperty(e *expr.Column) expr.Expr {
	rel := g.s.sc.rel
	c := rel.scanned(e)
	if c == nil || len(c.Path) == 0 {
		return nil
	}
	for i, k := range g.s.keys {
		key, ok := k.(*expr.Column)
		if !ok {
			continue
		}
		kc := rel.scanned(key)
		if kc == nil || baseOf(key.Index) != baseOf(e.Index) || kc.Column != c.Column {
			continue
		}
		over := &expr.Column{Index: i, T: kc.Type, Name: kc.Name}
		switch {
		case kc.Type.Kind == vec.Text && c.Type.Kind != vec.JSONB && samePath(kc.Path, c.Path):
			return g.s.b.cast(over, c.Type, g.s.b.places[e].pos, true, true)
		case kc.Type.Kind == vec.JSONB && len(kc.Path) < len(c.Path) && samePath(kc.Path, c.Path[:len(kc.Path)]):
			return g.within(over, c, c.Path[len(kc.Path):], g.s.b.places[e].pos)
		}
	}
	return nil
}

// within is what stands at a path of a jsonb value, as a column of a scan would give it.
func (g *grouping) within(value expr.Expr, c *plan.ScanColumn, path []string, pos ast.Pos) expr.Expr {
	b := g.s.b
	for i, key := range path {
		op := "->"
		if i == len(path)-1 && c.Type.Kind != vec.JSONB {
			op = "->>"
		}
		value = b.call(op, []expr.Expr{value, textConst(key, vec.T(vec.Text))}, pos)
	}
	if c.Type.Kind == vec.JSONB {
		return value
	}
	return b.cast(value, c.Type, pos, true, true)
}
