package bind

import (
	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/sql/ast"
	"github.com/prickledb/prickle/storage/vec"
)

// An INSERT, UPDATE or DELETE in WITH runs once, before the statement, like any query of WITH that
// is kept: its rows are those that it writes, and what it returns is computed over them. All parts
// read the state of before the statement. Who runs the plan takes the rows in (Part).
//
// A row is changed once. If several parts would, the first does, and the others leave it alone:
// one runs where it is first read, then the statement itself, then those that nobody reads, the
// last one first.

// Part is an INSERT, UPDATE or DELETE in WITH: what the rows of a subquery of the plan are for.
type Part struct {
	Slot  int
	Write *Write
}

// changes says whether a WITH has an INSERT, UPDATE or DELETE.
func changes(w *ast.With) bool {
	if w != nil {
		for i := range w.CTEs {
			if w.CTEs[i].Change != nil {
				return true
			}
		}
	}
	return false
}

// useChange gives what an INSERT, UPDATE or DELETE in WITH returns.
func (b *binder) useChange(c *cte, pos ast.Pos) *relation {
	name, none := c.ast.Name, &relation{node: &plan.Values{}}
	if c.phase > recursiveWith {
		b.fail(pgerr.New(pgerr.InvalidRecursion, `recursive query "%s" must not contain data-modifying statements`, name.Name), name.Pos())
		return none
	}
	if c.uses++; c.uses == 1 {
		b.bindChange(c)
	}
	if b.err != nil {
		return none
	}
	if c.schema == nil {
		b.fail(pgerr.New(pgerr.FeatureNotSupported, `WITH query "%s" does not have a RETURNING clause`, name.Name), pos)
		return none
	}
	return b.namedCTE(c, b.derived(&plan.Spool{Slot: c.slot, Name: name.Name, Columns: c.schema}, name.Name, nil))
}

// bindChange has an INSERT, UPDATE or DELETE in WITH run.
func (b *binder) bindChange(c *cte) {
	defer func(ctes *cteScope, outer, before *scope, phase ctePhase) {
		b.ctes, b.outer, b.before, c.phase = ctes, outer, before, phase
	}(b.ctes, b.outer, b.before, c.phase)
	b.ctes, b.outer, b.before, c.phase = c.scope, nil, nil, inBase
	var w *Write
	switch s := c.ast.Change.(type) {
	case *ast.Insert:
		w = b.insert(s)
	case *ast.Update:
		w = b.update(s)
	case *ast.Delete:
		w = b.delete(s)
	}
	if b.err == nil && w.Target.Schema == nil {
		b.unsupported("INSERT INTO "+w.Target.Name+" in WITH", c.ast.Pos())
	}
	if b.err != nil {
		return
	}
	raw := b.spool(w.Plan, plan.WriteSub, c.ast.Name.Name)
	b.parts = append(b.parts, Part{raw.Slot, w})
	b.noteChanged(w, raw)
	if w.Returning == nil {
		return
	}
	rows := &plan.Project{Input: raw}
	for i, f := range raw.Columns {
		if i > 0 || !w.Deletes { // RETURNING does not see the number of the row
			rows.Exprs, rows.Names = append(rows.Exprs, &expr.Column{Index: i, T: f.Type, Name: f.Name}), append(rows.Names, f.Name)
		}
	}
	out := &plan.Project{Input: rows, Exprs: w.Returning}
	for _, f := range w.Schema {
		out.Names = append(out.Names, f.Name)
	}
	w.Returning = nil
	c.slot, c.schema = b.spool(out, plan.TableSub, c.ast.Name.Name).Slot, w.Schema
}

// spool has a query run before the statement, and gives what reads its rows.
func (b *binder) spool(n plan.Node, kind plan.SubKind, name string) *plan.Spool {
	b.subs = append(b.subs, plan.Sub{Node: n, Kind: kind})
	return &plan.Spool{Slot: len(b.subs) - 1, Name: name, Columns: n.Schema()}
}

// unchanged is the rows that an UPDATE or DELETE changes without those that other parts of the
// statement have changed.
func (b *binder) unchanged(w *Write) {
	for _, before := range b.changed[w.Target.Schema.Table] {
		number := func(i int) expr.Expr { return &expr.Column{Index: i, T: vec.T(vec.Int8), Name: plan.RowNumber} }
		numbers := &plan.Project{Input: before, Exprs: []expr.Expr{number(0)}, Names: []string{plan.RowNumber}}
		w.Plan = &plan.Join{Left: w.Plan, Right: numbers, Kind: plan.AntiJoin, On: b.operator("=", number(0), number(len(w.Plan.Schema())), ast.NoPos)}
	}
}

// noteChanged has the parts that follow leave the rows alone that a part changes.
func (b *binder) noteChanged(w *Write, raw *plan.Spool) {
	if !w.Deletes {
		return
	}
	if b.changed == nil {
		b.changed = map[uint32][]*plan.Spool{}
	}
	id := w.Target.Schema.Table
	b.changed[id] = append(b.changed[id], raw)
}

// settled is an UPDATE or DELETE, whose rows run before those parts of the statement that nobody
// reads.
func (b *binder) settled(w *Write, with *ast.With) *Write {
	if b.err != nil {
		return w
	}
	b.unchanged(w)
	if changes(with) {
		raw := b.spool(w.Plan, plan.TableSub, w.Target.Name)
		b.noteChanged(w, raw)
		w.Plan = raw
	}
	return w
}
