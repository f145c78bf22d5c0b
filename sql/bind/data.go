package bind

import (
	"fmt"
	"slices"
	"strings"

	"github.com/prickledb/prickle/engine/catalog"
	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/engine/role"
	"github.com/prickledb/prickle/sql/ast"
	"github.com/prickledb/prickle/sql/parse"
	"github.com/prickledb/prickle/storage/table"
	"github.com/prickledb/prickle/storage/vec"
)

// Write is a bound INSERT, UPDATE, DELETE or CREATE TABLE AS: a plan, and what its rows are
// for.
type Write struct {
	// Target is the table. Of CREATE TABLE AS it is not there yet, and Create is what it
	// will look like.
	Target *catalog.Table
	Create *table.Schema
	// Plan gives rows. With Deletes, its first column is the number of a row to delete.
	// With Inserts, the columns that follow are the values of all columns of the target,
	// in order, for a row to insert. Without, they are those of the deleted row that
	// Returning reads.
	Plan             plan.Node
	Deletes, Inserts bool
	// Columns are those of a row to insert.
	Columns []table.Column
	// Shown are the columns whose values an error about a row may show; nil is all of them.
	Shown []int
	// From is what the rows are of, "COPY t", if errors about them name lines: those are the column
	// behind the others then. It is empty otherwise.
	From string
	// Checks are true or null for each row to insert, over its columns.
	Checks []Check
	// Returning is computed over the columns behind the number, those of the tables of FROM and
	// USING included; nil for none. Schema is
	// what it gives.
	Returning []expr.Expr
	Schema    vec.Schema
	Sources   []Source // of its columns, see Result
	Params    []vec.Type
	// Parts are what the plan writes besides.
	Parts []Part
}

// Check is a condition that rows fulfil.
type Check struct {
	Name string
	Cond expr.Expr
}

// Insert binds INSERT.
func Insert(env Env, s *ast.Insert) (*Write, error) {
	b := newBinder(env)
	b.own = s.With
	w := b.insert(s)
	return b.finishWrite(w)
}

// Update binds UPDATE.
func Update(env Env, s *ast.Update) (*Write, error) {
	b := newBinder(env)
	b.own = s.With
	w := b.update(s)
	return b.finishWrite(w)
}

// Delete binds DELETE.
func Delete(env Env, s *ast.Delete) (*Write, error) {
	b := newBinder(env)
	b.own = s.With
	w := b.delete(s)
	return b.finishWrite(w)
}

func (b *binder) finishWrite(w *Write) (*Write, error) {
	if b.err == nil {
		b.finishParams()
	}
	if b.err != nil {
		return nil, b.err
	}
	if len(b.parts) > 0 && w.Target.Schema == nil {
		return nil, pgerr.Unsupported("INSERT INTO " + w.Target.Name + " beside other changes")
	}
	w.Plan, w.Parts = b.setup(w.Plan), b.parts
	for _, p := range b.params {
		w.Params = append(w.Params, p.t)
	}
	return w, nil
}

// target finds the table that a statement changes, which no query of WITH hides; what is said to be done to it, and right is
// what it takes.
func (b *binder) target(t *ast.TableName, what, right string) *relation {
	outside := b.ctes
	b.ctes = nil
	rel := b.tableName(t, right)
	b.ctes = outside
	if rel == nil {
		return nil
	}
	if rel.table != nil && rel.table.View() != "" {
		b.fail(pgerr.New(pgerr.ObjectNotInState, `cannot %s view "%s"`, what, rel.table.Name).
			WithDetail("Views are not automatically updatable.").WithHint("Change the tables that the view reads."), t.Pos())
		return nil
	}
	b.rename(rel, t.Alias)
	return rel
}

// builtin refuses what cannot be done to a table that every project has.
func (b *binder) builtin(what string, rel *relation, pos ast.Pos) *Write {
	b.unsupported(what+" "+rel.table.Name, pos)
	return nil
}

func (b *binder) insert(s *ast.Insert) *Write {
	rel, schema := b.insertTarget(s.Table, s.Columns)
	if rel != nil && rel.table.Schema == nil && len(s.Returning) > 0 {
		b.unsupported("RETURNING of INSERT INTO events", s.Returning[0].Pos())
	}
	if b.err != nil {
		return nil
	}
	given := b.insertColumns(schema, s.Columns)
	if b.err != nil {
		return nil
	}
	if s.With != nil {
		defer b.with(s.With)()
	}
	var input plan.Node = &plan.Values{Rows: [][]expr.Expr{{}}}
	if s.Query != nil {
		input, given = b.insertSource(s, given)
	} else {
		given = nil
	}
	if b.err != nil {
		return nil
	}
	if given = b.overridden(s, given); b.err != nil {
		return nil
	}
	w := b.inserting(rel, schema, given, input, s.Pos())
	b.returning(w, s.Returning, rel)
	return w
}

// overridden is the columns of the rows of an INSERT with nil for those whose values do not count, because
// the column's own do. It fails if a column that is always given its own number has another.
func (b *binder) overridden(s *ast.Insert, given []*table.Column) []*table.Column {
	out := slices.Clone(given)
	for i, c := range given {
		switch {
		case c.Identity == "":
		case s.Override == ast.OverridingUser:
			out[i] = nil
		case s.Override == ast.NotOverriding && c.Identity == "a" && !allDefault(s.Query, i):
			b.fail(pgerr.New(pgerr.GeneratedAlways, `cannot insert a non-DEFAULT value into column "%s"`, c.Name).
				WithDetail(`Column "%s" is an identity column defined as GENERATED ALWAYS.`, c.Name).WithHint("Use OVERRIDING SYSTEM VALUE to override."), ast.NoPos)
		}
	}
	return out
}

// allDefault says whether a column of the rows of an INSERT is DEFAULT in each.
func allDefault(q ast.Query, column int) bool {
	v, ok := q.(*ast.Values)
	return ok && !slices.ContainsFunc(v.Rows, func(row []ast.Expr) bool { _, ok := row[column].(*ast.Default); return !ok })
}

// insertTarget finds the table that rows go into, and what it looks like for them.
func (b *binder) insertTarget(t *ast.TableName, columns []ast.Ident) (*relation, *table.Schema) {
	rel := b.target(t, "insert into", "INSERT")
	switch {
	case rel == nil:
		return nil, nil
	case rel.table.Schema != nil:
		return rel, rel.table.Schema
	case rel.table.Name != "events":
		b.builtin("INSERT INTO", rel, t.Pos())
		return rel, nil
	}
	return rel, b.eventSchema(rel.table, t, columns)
}

// inserting makes rows of the table of the rows of a plan, which are of the given columns; nil is for a
// column that does not count.
func (b *binder) inserting(rel *relation, schema *table.Schema, given []*table.Column, input plan.Node, pos ast.Pos) *Write {
	at := make(map[uint32]int, len(given))
	for i, c := range given {
		if c != nil {
			at[c.ID] = i
		}
	}
	p := &plan.Project{Input: input}
	for i := range schema.Columns {
		c := &schema.Columns[i]
		e := expr.Expr(nil)
		if k, ok := at[c.ID]; ok {
			e = &expr.Column{Index: k, T: c.Type, Name: c.Name}
		} else {
			e = b.defaultOf(c, pos)
		}
		p.Exprs, p.Names = append(p.Exprs, e), append(p.Names, c.Name)
	}
	w := &Write{Target: rel.table, Inserts: true, Columns: schema.Columns, Plan: p, Checks: b.checks(rel, schema)}
	b.limitShown(w, func(c *table.Column) bool { _, ok := at[c.ID]; return ok })
	return w
}

// limitShown limits what errors about rows show: a role that may not read the table sees the values that
// its statement gives, and no others.
func (b *binder) limitShown(w *Write, given func(*table.Column) bool) {
	t := w.Target
	if t.Temp() || b.env.Catalog.Roles.May(b.asker(), "SELECT", role.Table, t.OID, t.Owner(), false) {
		return
	}
	w.Shown = []int{}
	for i := range w.Columns {
		if given(&w.Columns[i]) {
			w.Shown = append(w.Shown, i)
		}
	}
}

// eventSchema is the events table as INSERT sees it; it refuses what such an INSERT cannot do.
func (b *binder) eventSchema(t *catalog.Table, name *ast.TableName, columns []ast.Ident) *table.Schema {
	if columns == nil {
		b.unsupported("INSERT INTO events without a list of columns", name.Pos())
	}
	for _, id := range columns {
		if id.Name == "person_id" || id.Name == "created_at" {
			b.unsupported("INSERT of the column "+id.Name, id.Pos())
		}
	}
	return insertable(t)
}

// insertable is the columns of events that an INSERT can fill: whose an event is and when it
// came in cannot be said.
func insertable(t *catalog.Table) *table.Schema {
	s := &table.Schema{Name: t.Name}
	for _, c := range t.Columns {
		if c.Name != "person_id" && c.Name != "created_at" {
			s.Add(table.Column{Name: c.Name, Type: c.Type, NotNull: c.Name == "event" || c.Name == "distinct_id"})
		}
	}
	return s
}

// insertColumns finds the columns that an INSERT names; all of them if it names none.
func (b *binder) insertColumns(schema *table.Schema, names []ast.Ident) []*table.Column {
	var out []*table.Column
	if names == nil {
		for i := range schema.Columns {
			out = append(out, &schema.Columns[i])
		}
		return out
	}
	seen := map[string]bool{}
	for _, id := range names {
		c := b.columnOf(schema, id)
		if c == nil {
			return nil
		}
		if seen[c.Name] {
			b.fail(pgerr.New(pgerr.DuplicateColumn, `column "%s" specified more than once`, c.Name), id.Pos())
			return nil
		}
		seen[c.Name] = true
		out = append(out, c)
	}
	return out
}

// columnOf finds a column of a table that is changed, or fails.
func (b *binder) columnOf(schema *table.Schema, id ast.Ident) *table.Column {
	c := schema.Column(id.Name)
	if c == nil {
		e := pgerr.New(pgerr.UndefinedColumn, `column "%s" of relation "%s" does not exist`, id.Name, schema.Name)
		var names []string
		for i := range schema.Columns {
			names = append(names, schema.Columns[i].Name)
		}
		if near := nearest(id.Name, names); near != "" {
			e.WithHint(`Perhaps you meant to reference the column "%s".`, schema.Name+"."+near)
		}
		b.fail(e, id.Pos())
	}
	return c
}

// insertSource binds the rows of an INSERT, in the types of the columns they are for, which
// may be fewer than were named if no name was.
func (b *binder) insertSource(s *ast.Insert, given []*table.Column) (plan.Node, []*table.Column) {
	if v, ok := s.Query.(*ast.Values); ok && v.With == nil && v.OrderBy == nil && v.Limit == nil && v.Offset == nil && v.Locking == nil {
		return b.insertValues(s, v, given)
	}
	node, literal := b.operand(s.Query)
	schema := node.Schema()
	if given = b.matching(s, given, len(schema), func(i int) ast.Pos { return itemPos(s.Query, i) }); b.err != nil {
		return node, nil
	}
	p := &plan.Project{Input: node}
	for i, c := range given {
		var e expr.Expr = &expr.Column{Index: i, T: schema[i].Type, Name: schema[i].Name}
		if literal[i] != nil {
			e = literal[i]
		}
		p.Exprs, p.Names = append(p.Exprs, b.assign(e, c, s.Query.Pos())), append(p.Names, c.Name)
	}
	return p, given
}

// operand binds a query whose columns are to take the types of others, and gives what has no
// type in its select list.
func (b *binder) operand(q ast.Query) (plan.Node, map[int]expr.Expr) {
	s, ok := q.(*ast.Select)
	if !ok {
		return b.query(q), nil
	}
	was := b.open
	b.open = s
	node := b.query(q)
	b.open = was
	if _, ok := node.(*plan.Project); !ok { // what is above the list needs the types
		for _, it := range s.Items {
			if x, ok := it.Expr.(*ast.Param); ok {
				b.coerce(b.param(x), vec.T(vec.Text), x.Pos())
			}
		}
	}
	return node, untyped(q, node)
}

// untyped gives the literals and parameters without a type in the select list of a query, by
// column: they take the types of the columns that they are for.
func untyped(q ast.Query, node plan.Node) map[int]expr.Expr {
	out := map[int]expr.Expr{}
	s, ok := q.(*ast.Select)
	p, ok2 := node.(*plan.Project)
	if !ok || !ok2 || len(s.Items) != len(p.Exprs) {
		return out
	}
	for i := range s.Items {
		switch x := p.Exprs[i].(type) {
		case *expr.Const:
			switch s.Items[i].Expr.(type) {
			case *ast.String, *ast.Null:
				v := *x.Value
				v.Type = vec.T(vec.Unknown)
				out[i] = &expr.Const{Value: &v}
			}
		case *expr.Param:
			if x.T.Kind == vec.Unknown {
				out[i] = x
			}
		}
	}
	return out
}

// matching is the columns that so many expressions are for; place is where one of them stands.
func (b *binder) matching(s *ast.Insert, given []*table.Column, n int, place func(int) ast.Pos) []*table.Column {
	switch {
	case n > len(given):
		b.fail(pgerr.New(pgerr.SyntaxError, "INSERT has more expressions than target columns"), place(len(given)))
	case n < len(given) && s.Columns != nil:
		b.fail(pgerr.New(pgerr.SyntaxError, "INSERT has more target columns than expressions"), s.Columns[n].Pos())
	default:
		return given[:n]
	}
	return nil
}

func (b *binder) insertValues(s *ast.Insert, q *ast.Values, given []*table.Column) (plan.Node, []*table.Column) {
	out := &plan.Values{}
	if given = b.matching(s, given, len(q.Rows[0]), func(i int) ast.Pos { return q.Rows[0][i].Pos() }); b.err != nil {
		return out, nil
	}
	for _, c := range given {
		out.Columns = append(out.Columns, vec.Field{Name: c.Name, Type: c.Type})
	}
	sc := &scope{clause: "VALUES"}
	for _, row := range q.Rows {
		if len(row) != len(given) {
			b.fail(pgerr.New(pgerr.SyntaxError, "VALUES lists must all be the same length"), row[0].Pos())
			return out, nil
		}
		cells := make([]expr.Expr, len(row))
		for i, e := range row {
			cells[i] = b.valueFor(e, given[i], sc)
		}
		out.Rows = append(out.Rows, cells)
		if b.err != nil {
			return out, nil
		}
	}
	return out, given
}

// valueFor binds the value that a column is to get.
func (b *binder) valueFor(e ast.Expr, c *table.Column, sc *scope) expr.Expr {
	if _, ok := e.(*ast.Default); ok {
		return b.defaultOf(c, e.Pos())
	}
	return b.assign(b.expr(e, sc), c, e.Pos())
}

// assign converts an expression to the type of the column that is to hold it.
func (b *binder) assign(e expr.Expr, c *table.Column, pos ast.Pos) expr.Expr {
	if b.err != nil {
		return null(c.Type)
	}
	switch x := e.(type) {
	case *pathRef:
		e = b.resolve(x, vec.Type{Kind: c.Type.Kind, Array: c.Type.Array})
	case *expr.Param:
		if x.T.Kind == vec.Unknown {
			b.setParam(x, c.Type)
		}
	case *expr.Const:
		if x.Type().Kind == vec.Unknown {
			plain := c.Type
			if plain.Kind == vec.Varchar || plain.Kind == vec.Bpchar {
				plain.Mod = 0
			}
			e = b.literal(x, plain, pos)
		}
	}
	if b.err != nil {
		return null(c.Type)
	}
	out, err := expr.NewAssignment(e, c.Type)
	if err != nil {
		return b.fail(pgerr.New(pgerr.DatatypeMismatch, `column "%s" is of type %s but expression is of type %s`, c.Name, c.Type, e.Type()).
			WithHint("You will need to rewrite or cast the expression."), pos)
	}
	return out
}

// defaultOf is the default of a column, bound anew for the statement.
func (b *binder) defaultOf(c *table.Column, pos ast.Pos) expr.Expr {
	if c.Default == "" {
		return null(c.Type)
	}
	e, err := parse.Expr(c.Default)
	if err != nil {
		return b.failErr(fmt.Errorf("default of column %q: %w", c.Name, err), pos)
	}
	inner := newBinder(Env{Catalog: b.env.Catalog, Expr: b.env.Expr, Text: c.Default})
	x := inner.assign(inner.expr(e, &scope{clause: "DEFAULT"}), c, ast.NoPos)
	if inner.err != nil {
		return b.failErr(fmt.Errorf("default of column %q: %w", c.Name, inner.err), pos)
	}
	return x
}

// returning binds RETURNING over the columns of the target.
func (b *binder) returning(w *Write, items []ast.SelectItem, target *relation) {
	if len(items) == 0 || b.err != nil || !b.may("SELECT", target.table, items[0].Pos()) {
		return
	}
	rel := *target
	rel.scan = nil // columns are those of the rows at hand
	if rel.table != nil {
		rel.oid = rel.table.OID
	}
	s := &selection{b: b, q: &ast.Select{Items: items}, sc: &scope{rel: &rel, aliases: map[string]ast.Expr{}}}
	subs := len(b.subs)
	s.bindItems()
	if len(b.subs) > subs {
		b.unsupported("a subquery in RETURNING", items[0].Pos())
	}
	if len(s.aggs.calls) > 0 {
		b.fail(pgerr.New(pgerr.GroupingError, "aggregate functions are not allowed in RETURNING"), items[0].Pos())
	}
	if b.err != nil {
		return
	}
	for _, it := range s.items {
		w.Returning = append(w.Returning, it.e)
		w.Schema = append(w.Schema, vec.Field{Name: it.name, Type: it.e.Type()})
	}
	w.Sources = s.sources()
}

// rowNumber is the number of a row of the target, as a column of its scan.
func (rel *relation) rowNumber() expr.Expr {
	t := vec.T(vec.Int8)
	return &expr.Column{Index: rel.base + rel.scanColumn(plan.ScanColumn{Column: plan.RowNumber, Type: t}), T: t, Name: plan.RowNumber}
}

// rowChange is an UPDATE or a DELETE being bound: a query for the rows that it changes.
type rowChange struct {
	*selection
	target *relation
	from   bool // it reads other tables, too
}

// rowChange binds the target with the tables of FROM or USING beside it, and WHERE.
func (b *binder) rowChange(target *relation, tables []ast.TableExpr, where ast.Expr) *rowChange {
	b.setBase(target)
	rel := target
	for _, t := range tables {
		rel = b.pair(rel, b.tableAfter(t, rel), plan.InnerJoin, t.Pos())
	}
	s := &selection{b: b, q: &ast.Select{Where: where}, sc: &scope{rel: rel, aliases: map[string]ast.Expr{}}}
	s.sc.host = s
	if where != nil && b.err == nil {
		b.may("SELECT", target.table, where.Pos())
		s.bindWhere()
	}
	s.add(target.rowNumber(), plan.RowNumber)
	return &rowChange{s, target, len(tables) > 0}
}

// add adds a column to what the query gives.
func (s *selection) add(e expr.Expr, name string) {
	s.items = append(s.items, item{e: e, name: name})
}

// finish gives the plan, and what RETURNING may name: columns of the target, which are behind the
// number of the row, and of the tables beside it, which go behind those.
func (c *rowChange) finish(returning []ast.SelectItem) (plan.Node, *relation) {
	shown := *c.target
	shown.scan, shown.base = nil, 0
	if c.from && len(returning) > 0 {
		shown = *c.beside()
	}
	node := c.selection.finish()
	if c.from && c.b.err == nil {
		node = &plan.Distinct{Input: node, On: 1} // a row is changed once
	}
	return node, &shown
}

// beside is the target and the tables beside it, of which all columns are computed.
func (c *rowChange) beside() *relation {
	b, base := c.b, &relation{}
	view := func(r *relation) []origin {
		out := make([]origin, len(r.fields))
		for i := range r.fields {
			leaf, at := r, i
			for leaf.origins != nil && leaf.origins[at].merge == nil {
				leaf, at = leaf.origins[at].rel, leaf.origins[at].index
			}
			if leaf != c.target {
				at = len(c.items) - 1
				c.add(b.column(r, i, ast.NoPos), r.fields[i].Name)
			}
			out[i] = origin{rel: base, index: at}
		}
		return out
	}
	all := c.sc.rel
	out := &relation{fields: all.fields, origins: view(all), table: c.target.table}
	for _, p := range all.parts {
		out.parts = append(out.parts, &relation{alias: p.alias, table: p.table, fields: p.fields, origins: view(p)})
	}
	for i := range c.items[1:] {
		base.fields = append(base.fields, vec.Field{Name: c.items[i+1].name, Type: c.items[i+1].e.Type()})
	}
	return out
}

func (b *binder) update(s *ast.Update) *Write {
	rel := b.target(s.Table, "update", "UPDATE")
	switch {
	case rel == nil:
		return nil
	case rel.table.Schema == nil:
		return b.builtin("UPDATE of", rel, s.Table.Pos())
	}
	if s.With != nil {
		defer b.with(s.With)()
	}
	schema := rel.table.Schema
	w := &Write{Target: rel.table, Deletes: true, Inserts: true, Columns: schema.Columns, Checks: b.checks(rel, schema)}
	change := b.rowChange(rel, s.From, s.Where)
	values := map[uint32]expr.Expr{}
	for i := range s.Set {
		a := &s.Set[i]
		c := b.columnOf(schema, a.Column)
		if c == nil {
			return nil
		}
		if a.Field != nil {
			b.unsupported("an assignment to a part of a column", a.Field.Pos())
			return nil
		}
		if values[c.ID] != nil {
			b.fail(pgerr.New(pgerr.SyntaxError, `multiple assignments to same column "%s"`, c.Name), a.Column.Pos())
			return nil
		}
		if _, ok := a.Value.(*ast.Default); !ok && c.Identity == "a" {
			b.fail(pgerr.New(pgerr.GeneratedAlways, `column "%s" can only be updated to DEFAULT`, c.Name).
				WithDetail(`Column "%s" is an identity column defined as GENERATED ALWAYS.`, c.Name), ast.NoPos)
			return nil
		}
		values[c.ID] = b.valueFor(a.Value, c, change.sc.in("UPDATE", nil))
	}
	if s.Where == nil && b.err == nil && slices.ContainsFunc(rel.scan.Columns, func(c plan.ScanColumn) bool { return c.Column != plan.RowNumber }) {
		b.may("SELECT", rel.table, s.Set[0].Value.Pos()) // the values read columns of the table
	}
	b.limitShown(w, func(c *table.Column) bool { return values[c.ID] != nil })
	for i := range schema.Columns {
		c := &schema.Columns[i]
		e := values[c.ID]
		if e == nil {
			e = b.column(rel, i, s.Pos())
		}
		change.add(e, c.Name)
	}
	var shown *relation
	w.Plan, shown = change.finish(s.Returning)
	b.returning(w, s.Returning, shown)
	return b.settled(w, s.With)
}

func (b *binder) delete(s *ast.Delete) *Write {
	rel := b.target(s.Table, "delete from", "DELETE")
	switch {
	case rel == nil:
		return nil
	case rel.table.Schema == nil:
		return b.builtin("DELETE FROM", rel, s.Table.Pos())
	}
	if s.With != nil {
		defer b.with(s.With)()
	}
	w := &Write{Target: rel.table, Deletes: true}
	change := b.rowChange(rel, s.Using, s.Where)
	if len(s.Returning) > 0 {
		for i, f := range rel.fields {
			change.add(b.column(rel, i, s.Pos()), f.Name)
		}
	}
	var shown *relation
	w.Plan, shown = change.finish(s.Returning)
	b.returning(w, s.Returning, shown)
	return b.settled(w, s.With)
}

// checks binds the conditions that the rows of a table fulfil, in the order of their names, over
// the columns of a row to insert.
func (b *binder) checks(target *relation, schema *table.Schema) []Check {
	var out []Check
	for _, c := range schema.Checks {
		e, err := parse.Expr(c.Expr)
		if err != nil {
			b.failErr(fmt.Errorf("check %q of table %q: %w", c.Name, schema.Name, err), ast.NoPos)
			return nil
		}
		inner := newBinder(Env{Catalog: b.env.Catalog, Expr: b.env.Expr, Text: c.Expr})
		out = append(out, Check{c.Name, inner.checkCondition(target.table.Name, schema, e)})
		if inner.err != nil {
			b.failErr(fmt.Errorf("check %q of table %q: %w", c.Name, schema.Name, inner.err), ast.NoPos)
			return nil
		}
	}
	slices.SortFunc(out, func(x, y Check) int { return strings.Compare(x.Name, y.Name) })
	return out
}

// checkCondition binds the condition of a CHECK over the columns of a table.
func (b *binder) checkCondition(name string, schema *table.Schema, e ast.Expr) expr.Expr {
	return b.ofRow(name, schema, e, "CHECK", "check constraint")
}

// ofRow binds a condition over the columns of a row to insert, in a place that may read nothing else.
func (b *binder) ofRow(name string, schema *table.Schema, e ast.Expr, word, place string) expr.Expr {
	subs := len(b.subs)
	x := b.condition(b.expr(e, &scope{rel: rowRelation(name, schema), clause: place + "s"}), word, e.Pos())
	if len(b.subs) > subs {
		b.fail(pgerr.New(pgerr.FeatureNotSupported, "cannot use subquery in %s", place), e.Pos())
	}
	return x
}

// rowRelation is a row of a table as names in an expression mean it.
func rowRelation(name string, schema *table.Schema) *relation {
	rel := &relation{alias: name}
	for i := range schema.Columns {
		rel.fields = append(rel.fields, vec.Field{Name: schema.Columns[i].Name, Type: schema.Columns[i].Type})
	}
	return rel
}
