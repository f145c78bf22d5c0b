package bind

import (
	"slices"

	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/sql/ast"
	"github.com/prickledb/prickle/storage/vec"
)

// cteScope is the queries of WITH that a name may mean, the latest first.
type cteScope struct {
	cte   *cte
	outer *cteScope
}

// cte is one query of WITH.
type cte struct {
	ast   *ast.CTE
	scope *cteScope // what its query sees
	outer *scope
	uses  int
	// kept says that its rows are computed once, into a slot.
	kept    bool
	slot    int
	schema  vec.Schema
	sources []Source // of its columns; nil for none
	// phase is what of a query of WITH RECURSIVE is being bound, step what its second part
	// reads of it.
	phase ctePhase
	step  *recursion
}

// with makes the queries of WITH known, until the function that it gives is called.
func (b *binder) with(w *ast.With) func() {
	outer := b.ctes
	seen := map[string]bool{}
	var list []*cte
	for i := range w.CTEs {
		c := &w.CTEs[i]
		if seen[c.Name.Name] {
			b.fail(pgerr.New(pgerr.DuplicateAlias, `WITH query name "%s" specified more than once`, c.Name.Name), c.Name.Pos())
		}
		seen[c.Name.Name] = true
		if c.Change != nil && w != b.own {
			b.fail(pgerr.New(pgerr.FeatureNotSupported, "WITH clause containing a data-modifying statement must be at the top level"), c.Name.Pos())
		}
		x := &cte{ast: c, scope: b.ctes, outer: b.outer, kept: c.Materialized == ast.MaterializedAlways}
		if x.ast.SearchCycle != nil {
			b.unsupported(x.ast.SearchCycle.What, x.ast.SearchCycle.Pos())
		}
		list = append(list, x)
		b.ctes = &cteScope{x, b.ctes}
	}
	if w.Recursive { // each sees all
		for _, x := range list {
			x.scope, x.phase = b.ctes, recursiveWith
		}
	}
	return func() {
		for _, c := range slices.Backward(list) {
			if c.ast.Change != nil && c.uses == 0 && b.err == nil {
				c.uses++
				b.bindChange(c)
			}
		}
		for _, c := range list {
			if c.ast.Change == nil && c.uses == 0 && b.err == nil {
				// It does not run, but it must be right.
				subs := len(b.subs)
				b.bindCTE(c)
				b.dropSubs(subs)
			}
		}
		b.ctes = outer
	}
}

// cteNamed is the query of WITH that a name means, as a relation; nil if there is none.
func (b *binder) cteNamed(name string, pos ast.Pos) *relation {
	for s := b.ctes; s != nil; s = s.outer {
		if s.cte.ast.Name.Name == name {
			if s.cte.ast.Change != nil {
				return b.useChange(s.cte, pos)
			}
			return b.useCTE(s.cte)
		}
	}
	return nil
}

// useCTE gives a query of WITH where it is named. It is bound anew each time, as if it
// stood there, unless it has to run once: because WITH says so, or because it would not
// give the same rows again.
func (b *binder) useCTE(c *cte) *relation {
	if c.phase > recursiveWith {
		return b.useItself(c)
	}
	c.uses++
	name := c.ast.Name.Name
	if c.schema == nil {
		node := b.bindCTE(c)
		if b.err != nil {
			return &relation{node: &plan.Values{}}
		}
		switch volatile := plan.Volatile(node); {
		case c.kept && !volatile && b.depends(node):
			c.kept = false // it gives the same rows each time, and MATERIALIZED is a matter of speed
		case volatile && c.ast.Materialized != ast.MaterializedNever:
			c.kept = true
		}
		if !c.kept {
			return b.namedCTE(c, b.derived(node, name, nil))
		}
		if b.depends(node) {
			b.unsupported("a correlated query of WITH that has to run once", c.ast.Pos())
		}
		c.slot, c.schema, c.sources = b.spool(node, plan.TableSub, name).Slot, node.Schema(), b.shown[node]
	}
	spool := &plan.Spool{Slot: c.slot, Name: name, Columns: c.schema}
	b.shown[spool] = c.sources
	return b.namedCTE(c, b.derived(spool, name, nil))
}

func (b *binder) bindCTE(c *cte) plan.Node {
	inside := b.ctes
	b.ctes = c.scope
	defer func() { b.ctes = inside }()
	if c.phase == recursiveWith {
		return b.recursive(c)
	}
	return b.queryIn(c.ast.Query, c.outer)
}

// namedCTE gives the columns the names that WITH has for them.
func (b *binder) namedCTE(c *cte, rel *relation) *relation {
	if n := len(c.ast.Columns); n > len(rel.fields) && b.err == nil {
		b.fail(pgerr.New(pgerr.InvalidColumnReference, `WITH query "%s" has %d columns available but %d columns specified`,
			c.ast.Name.Name, len(rel.fields), n), c.ast.Name.Pos())
		return rel
	}
	for i, id := range c.ast.Columns {
		rel.fields[i].Name = id.Name
	}
	return rel
}
