package bind

import (
	"slices"
	"strconv"
	"strings"

	"github.com/prickledb/prickle/engine/catalog"
	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/sql/ast"
	"github.com/prickledb/prickle/sql/parse"
	"github.com/prickledb/prickle/storage/table"
	"github.com/prickledb/prickle/storage/vec"
)

// keyWarning says that keys are not enforced, if there are new ones.
func (c *Change) keyWarning(keys int) {
	if keys > 0 {
		c.warn("PRIMARY KEY, UNIQUE and REFERENCES are kept in the catalog and not enforced")
	}
}

// warn adds a warning about what has no effect.
func (c *Change) warn(format string, args ...any) {
	w := notice(pgerr.Warning, format, args...)
	w.Severity = "WARNING"
	c.Notices = append(c.Notices, w)
}

// constraint binds a constraint of a table, which is about columns.
func (b *binder) constraint(c *Change, schema *table.Schema, k *ast.Constraint, columns []ast.Ident) {
	var ids []uint32
	for _, id := range columns {
		col := schema.Column(id.Name)
		switch {
		case b.err != nil || k.Kind == ast.Check:
			continue
		case col == nil && k.Kind == ast.References:
			b.fail(pgerr.New(pgerr.UndefinedColumn, `column "%s" referenced in foreign key constraint does not exist`, id.Name), id.Pos())
			return
		case col == nil:
			b.fail(pgerr.New(pgerr.UndefinedColumn, `column "%s" named in key does not exist`, id.Name), id.Pos())
			return
		case slices.Contains(ids, col.ID) && k.Kind == ast.PrimaryKey:
			b.fail(pgerr.New(pgerr.DuplicateColumn, `column "%s" appears twice in primary key constraint`, id.Name), id.Pos())
			return
		case slices.Contains(ids, col.ID) && k.Kind == ast.Unique:
			b.fail(pgerr.New(pgerr.DuplicateColumn, `column "%s" appears twice in unique constraint`, id.Name), id.Pos())
			return
		}
		ids = append(ids, col.ID)
	}
	if b.err != nil {
		return
	}
	switch k.Kind {
	case ast.Check:
		b.addCheck(schema, k)
	case ast.References:
		b.addReference(schema, k, ids)
	default:
		b.addKey(schema, k, ids)
	}
}

func (b *binder) addKey(schema *table.Schema, k *ast.Constraint, columns []uint32) {
	primary := k.Kind == ast.PrimaryKey
	if primary && slices.ContainsFunc(schema.Keys, func(k table.Key) bool { return k.Primary }) {
		b.fail(pgerr.New(pgerr.InvalidTableDefinition, `multiple primary keys for table "%s" are not allowed`, schema.Name), k.Pos())
		return
	}
	key := table.Key{Primary: primary, Columns: columns, Deferrable: k.Deferrable, Deferred: k.Deferred}
	suffix := "key"
	if primary {
		suffix = "pkey"
		for _, id := range columns {
			schema.ByID(id).NotNull = true
		}
	}
	key.Name = b.constraintName(schema, k, columns, suffix)
	schema.Keys = append(schema.Keys, key)
}

// constraintName is the name of a constraint: the one it was given, or one that is free.
func (b *binder) constraintName(schema *table.Schema, k *ast.Constraint, columns []uint32, suffix string) string {
	if k.Name != nil {
		switch {
		case !hasConstraint(schema, k.Name.Name):
		case schema.Table == 0 && k.Kind == ast.Check:
			b.fail(pgerr.New(pgerr.DuplicateObject, `check constraint "%s" already exists`, k.Name.Name), k.Name.Pos())
		default:
			b.fail(pgerr.New(pgerr.DuplicateObject, `constraint "%s" for relation "%s" already exists`, k.Name.Name, schema.Name), k.Name.Pos())
		}
		return k.Name.Name
	}
	words := []string{schema.Name}
	if suffix != "pkey" {
		for _, id := range columns {
			words = append(words, schema.NameOf(id))
		}
	}
	base := strings.Join(append(words, suffix), "_")
	name := base
	for n := 1; hasConstraint(schema, name); n++ {
		name = base + strconv.Itoa(n)
	}
	return name
}

// hasConstraint says whether a table has a constraint of a name.
func hasConstraint(s *table.Schema, name string) bool {
	return slices.ContainsFunc(s.Keys, func(k table.Key) bool { return k.Name == name }) ||
		slices.ContainsFunc(s.Checks, func(k table.Check) bool { return k.Name == name }) ||
		slices.ContainsFunc(s.Foreign, func(k table.ForeignKey) bool { return k.Name == name })
}

// addCheck adds a CHECK. It is kept without the name of the table in it, so that the table may
// have another one.
func (b *binder) addCheck(schema *table.Schema, k *ast.Constraint) {
	b.checkCondition(schema.Name, schema, k.Expr)
	if b.err != nil {
		return
	}
	check := table.Check{}
	ast.Walk(k.Expr, func(n ast.Node) bool {
		name, ok := n.(*ast.Name)
		if !ok {
			return true
		}
		if len(name.Parts) > 1 && name.Parts[0].Name == schema.Name && schema.Column(name.Parts[1].Name) != nil {
			name.Parts = name.Parts[1:]
		}
		if c := schema.Column(name.Parts[0].Name); c != nil && !slices.Contains(check.Columns, c.ID) {
			check.Columns = append(check.Columns, c.ID)
		}
		return true
	})
	of := check.Columns
	if len(of) > 1 {
		of = nil
	}
	check.Expr, check.Name = ast.Format(k.Expr), b.constraintName(schema, k, of, "check")
	schema.Checks = append(schema.Checks, check)
}

// renameInChecks gives a column another name in the conditions of a table.
func (b *binder) renameInChecks(schema *table.Schema, from, to string) {
	for i := range schema.Checks {
		e, err := parse.Expr(schema.Checks[i].Expr)
		if err != nil {
			b.failErr(err, ast.NoPos)
			return
		}
		ast.Walk(e, func(n ast.Node) bool {
			if name, ok := n.(*ast.Name); ok && name.Parts[0].Name == from {
				name.Parts[0] = ast.ID(to)
			}
			return true
		})
		schema.Checks[i].Expr = ast.Format(e)
	}
}

// addReference adds a foreign key.
func (b *binder) addReference(schema *table.Schema, k *ast.Constraint, columns []uint32) {
	of := schema // of the table itself, which may not be there yet
	number := schema.Table
	if name := k.Table.Name; len(name) > 1 || name[0].Name != schema.Name || schema.Table != 0 {
		t := b.named(name)
		switch {
		case b.err != nil:
			return
		case t == nil:
			b.fail(pgerr.New(pgerr.UndefinedTable, `relation "%s" does not exist`, ast.FormatName(name)), k.Table.Pos())
			return
		case t.Schema == nil || t.View() != "":
			b.fail(pgerr.New(pgerr.WrongObjectType, `referenced relation "%s" is not a table`, t.Name), k.Table.Pos())
			return
		case t.Temp() != schema.Temp:
			words := map[bool]string{true: "temporary", false: "permanent"}
			b.fail(pgerr.New("42P16", "constraints on %s tables may reference only %s tables", words[schema.Temp], words[schema.Temp]), k.Table.Pos())
			return
		case !b.may("REFERENCES", t, k.Table.Pos()):
			return
		}
		if number = t.Schema.Table; number != schema.Table {
			of = t.Schema
		}
	}
	f := table.ForeignKey{Columns: columns, Table: number, OnUpdate: k.OnUpdate, OnDelete: k.OnDelete, Deferrable: k.Deferrable, Deferred: k.Deferred}
	for _, id := range k.Of {
		c := of.Column(id.Name)
		if c == nil {
			b.fail(pgerr.New(pgerr.UndefinedColumn, `column "%s" referenced in foreign key constraint does not exist`, id.Name), id.Pos())
			return
		}
		f.Of = append(f.Of, c.ID)
	}
	if k.Of == nil {
		i := slices.IndexFunc(of.Keys, func(k table.Key) bool { return k.Primary })
		if i < 0 {
			b.fail(pgerr.New(pgerr.UndefinedObject, `there is no primary key for referenced table "%s"`, of.Name), k.Table.Pos())
			return
		}
		f.Of = of.Keys[i].Columns
	}
	switch {
	case len(f.Of) != len(columns):
		b.fail(pgerr.New(pgerr.InvalidForeignKey, "number of referencing and referenced columns for foreign key disagree"), k.Pos())
		return
	case !slices.ContainsFunc(of.Keys, func(k table.Key) bool { return sameColumns(k.Columns, f.Of) }):
		b.fail(pgerr.New(pgerr.InvalidForeignKey, `there is no unique constraint matching given keys for referenced table "%s"`, of.Name), k.Pos())
		return
	}
	f.Name = b.constraintName(schema, k, columns, "fkey")
	for i, id := range columns {
		from, to := schema.ByID(id), of.ByID(f.Of[i])
		a, z := &expr.Column{T: from.Type, Name: from.Name}, &expr.Column{Index: 1, T: to.Type, Name: to.Name}
		if b.operator("=", a, z, k.Pos()); b.err != nil {
			b.err = nil
			b.fail(pgerr.New(pgerr.DatatypeMismatch, `foreign key constraint "%s" cannot be implemented`, f.Name).
				WithDetail(`Key columns "%s" and "%s" are of incompatible types: %s and %s.`, from.Name, to.Name, from.Type, to.Type), k.Pos())
			return
		}
	}
	schema.Foreign = append(schema.Foreign, f)
}

// sameColumns says whether two lists have the same columns, in whatever order.
func sameColumns(a, z []uint32) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(z)))
}

// addConstraint binds ADD CONSTRAINT. Rows that are there must fulfil a CHECK, and have values where a
// primary key has columns.
func (b *binder) addConstraint(c *Change, op *table.Op, k *ast.Constraint, columns []ast.Ident, t *catalog.Table) {
	schema := op.Schema
	before := len(schema.Checks)
	nullable := map[uint32]bool{}
	for i := range schema.Columns {
		nullable[schema.Columns[i].ID] = !schema.Columns[i].NotNull
	}
	b.constraint(c, schema, k, columns)
	if b.err != nil {
		return
	}
	for i := range schema.Columns {
		if col := &schema.Columns[i]; col.NotNull && nullable[col.ID] {
			b.setNotNull(c, op, col, t)
		}
	}
	if len(schema.Checks) == before {
		return
	}
	check := schema.Checks[before]
	failed := pgerr.New(pgerr.CheckViolation, `check constraint "%s" of relation "%s" is violated by some row`, check.Name, t.Name).
		About(t.Namespace(), t.Name, "")
	failed.Constraint = check.Name
	e, err := parse.Expr(check.Expr)
	if err != nil {
		b.failErr(err, k.Pos())
		return
	}
	b.verify(c, op, t, check.Columns, &ast.Not{X: e}, failed, k.Pos())
}

// setNotNull makes a column one that has a value in every row.
func (b *binder) setNotNull(c *Change, op *table.Op, col *table.Column, t *catalog.Table) {
	col.NotNull = true
	failed := pgerr.New(pgerr.NotNullViolation, `column "%s" of relation "%s" contains null values`, col.Name, t.Name).About(t.Namespace(), t.Name, col.Name)
	b.verify(c, op, t, []uint32{col.ID}, &ast.Is{X: &ast.Name{Parts: []ast.Ident{ast.ID(col.Name)}}, Kind: ast.IsNull}, failed, ast.NoPos)
}

// verify has it found out whether there is a row that a condition is true for, which must not be.
// The condition reads columns.
func (b *binder) verify(c *Change, op *table.Op, t *catalog.Table, columns []uint32, bad ast.Expr, failed *pgerr.Error, pos ast.Pos) {
	if t.Rows == 0 {
		op.IfEmpty = true
		return
	}
	older := 0
	for _, id := range columns {
		if t.Schema.ByID(id) != nil {
			older++
		}
	}
	if older == 0 && len(columns) > 0 {
		b.verifyMissing(op.Schema, bad, failed)
		return
	}
	if older < len(columns) {
		b.unsupported("a constraint of a column that is added to rows together with others", pos)
		return
	}
	// Columns may have been renamed by the statement; the rows are read by the names they have now.
	names := map[string]string{}
	for _, id := range columns {
		names[op.Schema.NameOf(id)] = t.Schema.NameOf(id)
	}
	ast.Walk(bad, func(n ast.Node) bool {
		if name, ok := n.(*ast.Name); ok && names[name.Parts[0].Name] != "" {
			name.Parts[0] = ast.ID(names[name.Parts[0].Name])
		}
		return true
	})
	inner := newBinder(b.env)
	everyone := ""
	inner.as = &everyone
	rel := &relation{alias: t.Name, scan: &plan.Scan{Table: t}, table: t}
	rel.node = rel.scan
	for _, col := range t.Columns {
		rel.fields = append(rel.fields, vec.Field{Name: col.Name, Type: col.Type})
	}
	cond := inner.condition(inner.expr(bad, &scope{rel: rel, clause: "CHECK"}), "CHECK", ast.NoPos)
	if inner.err != nil {
		b.failErr(inner.err, ast.NoPos)
		return
	}
	one := intConst(1, vec.T(vec.Int8))
	found := &plan.Project{Input: &plan.Filter{Input: rel.scan, Cond: cond}, Exprs: []expr.Expr{one}, Names: []string{"found"}}
	c.Verify = append(c.Verify, Verify{&plan.Limit{Input: found, Limit: one}, failed})
	op.IfSame = true
}

// verifyMissing is verify of columns that the rows do not have yet: all have the same values.
func (b *binder) verifyMissing(schema *table.Schema, bad ast.Expr, failed *pgerr.Error) {
	x := b.checkCondition(schema.Name, schema, bad)
	row := &vec.Batch{Rows: 1}
	for i := range schema.Columns {
		v, err := schema.Columns[i].MissingValue()
		if err != nil {
			b.failErr(err, ast.NoPos)
			return
		}
		row.Cols = append(row.Cols, v)
	}
	if b.err != nil {
		return
	}
	v, err := x.Eval(b.env.Expr, row)
	if err != nil {
		b.failErr(err, ast.NoPos)
		return
	}
	if flat := v.Flatten(1); !flat.IsNull(0) && flat.Bools[0] {
		b.fail(failed, ast.NoPos)
	}
}

// dropConstraint binds DROP CONSTRAINT.
func (b *binder) dropConstraint(c *Change, schema *table.Schema, a *ast.AlterAction, t *catalog.Table) {
	name := a.Name.Name
	if !hasConstraint(schema, name) {
		if a.Exists {
			c.Notices = append(c.Notices, notice("00000", `constraint "%s" of relation "%s" does not exist, skipping`, name, t.Name))
			return
		}
		b.fail(pgerr.New(pgerr.UndefinedObject, `constraint "%s" of relation "%s" does not exist`, name, t.Name), a.Name.Pos())
		return
	}
	if i := slices.IndexFunc(schema.Keys, func(k table.Key) bool { return k.Name == name }); i >= 0 {
		key := schema.Keys[i]
		of := "constraint " + ast.QuoteIdent(name) + " on table " + b.called(t)
		list := b.references(t, of, func(f *table.ForeignKey) bool { return sameColumns(f.Of, key.Columns) })
		schema.Keys = slices.Delete(schema.Keys, i, i+1)
		if key.Primary { // views may group by it
			without := *t
			without.Schema = schema
			list = append(list, b.users(t, &without, of)...)
		}
		b.dependents(c, schema, list, a.Cascade, of, a.Name.Pos())
	}
	schema.Checks = slices.DeleteFunc(schema.Checks, func(k table.Check) bool { return k.Name == name })
	schema.Foreign = slices.DeleteFunc(schema.Foreign, func(k table.ForeignKey) bool { return k.Name == name })
}

// tableOptions binds WITH of CREATE TABLE.
func (b *binder) tableOptions(c *Change, schema *table.Schema, options []ast.TableOption) {
	column := func(o *ast.TableOption, name string) uint32 {
		name = strings.TrimSpace(name)
		col := schema.Column(name)
		if col == nil { // as a name without quotes
			col = schema.Column(strings.ToLower(name))
		}
		if col == nil {
			b.fail(pgerr.New(pgerr.UndefinedColumn, `column "%s" named in %s does not exist`, name, o.Name), o.Pos())
			return 0
		}
		return col.ID
	}
	seen := map[string]bool{}
	for i := range options {
		o := &options[i]
		if b.err != nil {
			return
		}
		if seen[o.Name] {
			b.fail(pgerr.New(pgerr.InvalidParameterValue, `parameter "%s" specified more than once`, o.Name), o.Pos())
			return
		}
		seen[o.Name] = true
		switch o.Name {
		case "actor":
			schema.Actor = column(o, o.Value)
		case "time":
			schema.Time = column(o, o.Value)
			if col := schema.ByID(schema.Time); col != nil && !col.Type.IsTime() {
				b.fail(pgerr.New(pgerr.DatatypeMismatch, "the column of time must be a timestamp, not %s", col.Type), o.Pos())
			}
		case "event":
			schema.Event = column(o, o.Value)
		case "order_by":
			for name := range strings.SplitSeq(o.Value, ",") {
				schema.OrderBy = append(schema.OrderBy, column(o, name))
			}
		case "partition_by":
			if !slices.Contains([]string{"hour", "day", "week", "month", "year"}, o.Value) {
				b.fail(pgerr.New(pgerr.InvalidParameterValue, `invalid value for partition_by: "%s"`, o.Value).
					WithHint("Available values: hour, day, week, month, year."), o.Pos())
			}
			schema.PartitionBy = o.Value
		case "fillfactor":
			c.warn("%s has no effect", o.Name)
		default:
			b.fail(pgerr.New(pgerr.InvalidParameterValue, `unrecognized parameter "%s"`, o.Name).
				WithHint("There are actor, time, event, order_by and partition_by."), o.Pos())
		}
	}
	if schema.PartitionBy != "" && schema.Time == 0 {
		c.warn("partition_by has no effect without time")
	}
}
