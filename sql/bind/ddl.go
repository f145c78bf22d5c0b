package bind

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/prickledb/prickle/engine/catalog"
	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/sql/ast"
	"github.com/prickledb/prickle/storage/table"
	"github.com/prickledb/prickle/storage/vec"
)

// Change is a bound statement about tables themselves. It is carried out by Ops, in which
// tables have the numbers of the catalog; one that is made has none yet.
type Change struct {
	Ops     []table.Op
	Notices []*pgerr.Error
	// Verify are to be found true before the change is made.
	Verify []Verify
	// Fill, if not nil, writes the rows of a table anew behind the change: a column that was added
	// has a value of its own in each. Its plan is of the table as it was before.
	Fill *Write
	// restarts are done behind the alteration that they are part of.
	restarts []table.Op
	// fills are the values of added columns for the rows there are, by column; nil is the number of
	// the row, counted from the first of the column's sequence.
	fills map[uint32]expr.Expr
}

// Verify is what must hold of the rows that are there: a plan that gives a row if it does not,
// and what the client is told then.
type Verify struct {
	Plan plan.Node
	Err  *pgerr.Error
}

// maxTableColumns is how many columns a table may have, as in PostgreSQL.
const maxTableColumns = 1600

// DDL binds CREATE, ALTER and DROP of tables, views and schemas, TRUNCATE and COMMENT.
func DDL(env Env, s ast.Stmt) (*Change, error) {
	b := newBinder(env)
	c := &Change{}
	switch s := s.(type) {
	case *ast.CreateTable:
		b.createTable(c, s)
	case *ast.AlterTable:
		b.alterTable(c, s)
	case *ast.CreateView:
		b.createView(c, s)
	case *ast.DropTable:
		b.dropTables(c, s)
	case *ast.CreateSchema:
		b.createSchema(c, s)
	case *ast.AlterSchema:
		b.alterSchema(c, s)
	case *ast.CreateSequence:
		b.createSequence(c, s)
	case *ast.AlterSequence:
		b.alterSequence(c, s)
	case *ast.DropSequence:
		b.dropSequences(c, s)
	case *ast.ReassignOwned:
		b.reassign(c, s)
	case *ast.DropSchema:
		b.dropSchemas(c, s)
	case *ast.Comment:
		b.comment(c, s)
	case *ast.Truncate:
		for _, name := range s.Names {
			if t := b.userTable(name, "relation", "TRUNCATE", false, c); t != nil && b.isTable(t, name[0].Pos()) {
				c.Ops = append(c.Ops, table.Op{Kind: table.OpTruncate, Table: t.Schema.Table, Version: t.Schema.Version})
				if s.Restart {
					c.restart(t.Schema)
				}
			}
		}
	}
	if b.err == nil && len(b.params) > 0 {
		b.failErr(NoParameter(s, b.env.Text, 0), s.Pos())
	}
	if b.err != nil {
		return nil, b.err
	}
	return c, nil
}

// restart lets the sequences of a table begin again.
func (c *Change) restart(s *table.Schema) {
	for i := range s.Columns {
		if col := &s.Columns[i]; col.Sequence != "" {
			c.Ops = append(c.Ops, table.Op{Kind: table.OpRestart, Table: s.Table, Version: s.Version, Column: col.ID, Next: col.First()})
		}
	}
}

// isTable says whether something is a table, and fails if it is a view.
func (b *binder) isTable(t *catalog.Table, pos ast.Pos) bool {
	if t.View() != "" {
		b.fail(pgerr.New(pgerr.WrongObjectType, `"%s" is not a table`, t.Name), pos)
	}
	return t.View() == ""
}

// CreateAs binds CREATE TABLE AS; a Write without a plan means that the table is there already.
// Notices are to be sent.
func CreateAs(env Env, s *ast.CreateTableAs) (w *Write, notices []*pgerr.Error, err error) {
	b := newBinder(env)
	schema, skip := b.newTable(s.Name, s.IfNotExists, s.Temp)
	if schema == nil {
		if b.err != nil {
			return nil, nil, b.err
		}
		return &Write{}, []*pgerr.Error{skip}, nil
	}
	b.own = s.Query.Tail().With
	node := b.query(s.Query)
	schema.OnCommit = table.OnCommit(s.OnCommit)
	fields := node.Schema()
	if b.err == nil && len(s.Columns) > len(fields) {
		b.fail(pgerr.New(pgerr.SyntaxError, "too many column names were specified"), s.Columns[len(fields)].Pos())
	}
	for i, f := range fields {
		id := ast.Ident{Place: s.Place, Name: f.Name}
		if i < len(s.Columns) {
			id = s.Columns[i]
		}
		b.addColumn(schema, id, f.Type)
	}
	var c Change
	b.tableOptions(&c, schema, s.Options)
	w, err = b.finishWrite(&Write{Target: &catalog.Table{Name: schema.Name, Schema: schema}, Create: schema, Plan: node, Inserts: true, Columns: schema.Columns})
	return w, c.Notices, err
}

// newTable is a table that is to be made, without columns. It is nil after an error, and if the
// table is there and may be.
func (b *binder) newTable(parts []ast.Ident, ifNot, temp bool) (*table.Schema, *pgerr.Error) {
	schema, name := b.schemaName(parts)
	pos := parts[0].Pos()
	switch {
	case name == "":
		return nil, nil
	case schema == "pg_temp":
		temp = true
	case temp && schema != "":
		b.fail(pgerr.New(pgerr.InvalidTableDefinition, "cannot create temporary relation in non-temporary schema"), pos)
		return nil, nil
	case temp:
		schema = "pg_temp"
	case schema == "":
		schema = b.env.Catalog.Creating()
		temp = schema == "pg_temp"
	}
	out := &table.Schema{Name: name, Version: 1, Owner: b.owner(), Temp: temp}
	if !temp {
		var ok bool
		if out.In, ok = b.creatingIn(schema, pos); !ok {
			return nil, nil
		}
	}
	if skip, ok := b.mayBeNamed(out, schema, name, parts, ifNot); !ok {
		return nil, skip
	}
	return out, nil
}

// creatingIn is the number of a schema that something is to be made in, and whether that may be.
func (b *binder) creatingIn(schema string, pos ast.Pos) (number uint32, ok bool) {
	c := b.env.Catalog
	switch n := c.Namespace(schema); {
	case n != nil:
		return n.Schema.Table, b.mayCreateIn(n, pos)
	case schema == catalog.Public:
		return 0, b.mayCreate(pos)
	case schema == "":
		b.fail(pgerr.New(pgerr.UndefinedSchema, "no schema has been selected to create in"), pos)
	default:
		b.fail(denied("schema", schema).WithDetail("System catalog modifications are currently disallowed."), pos)
	}
	return 0, false
}

// mayBeNamed says whether a table may have a name in a schema. If it may not because one has it
// that may, there is a notice instead of an error.
func (b *binder) mayBeNamed(t *table.Schema, schema, name string, parts []ast.Ident, ifNot bool) (*pgerr.Error, bool) {
	switch old := b.env.Catalog.In(schema, name); {
	case (t.Temp || schema == catalog.Public) && b.builtinName(name, parts, t.Temp):
	case strings.HasPrefix(name, "pg_"):
		b.fail(pgerr.New("42939", `unacceptable table name "%s"`, name).WithDetail(`The prefix "pg_" is reserved for system tables.`), parts[0].Pos())
	case old == nil || old.Schema == nil && !ifNot:
		return nil, true
	case ifNot:
		return notice(pgerr.DuplicateTable, `relation "%s" already exists, skipping`, name), false
	default:
		b.fail(pgerr.New(pgerr.DuplicateTable, `relation "%s" already exists`, name), parts[0].Pos())
	}
	return nil, false
}

// builtinName refuses the name of a table that every project has, also for a temporary table,
// unless the schema is named: who does so means a table that hides the project's.
func (b *binder) builtinName(name string, parts []ast.Ident, temp bool) bool {
	if t := b.env.Catalog.In(catalog.Public, name); t == nil || t.Schema != nil || len(parts) > 1 && !temp {
		return false
	}
	var names []string
	for _, t := range b.env.Catalog.Tables {
		if t.Schema == nil {
			names = append(names, t.Name)
		}
	}
	hint := "Choose another name."
	if !temp {
		hint = fmt.Sprintf("A table of your own of that name is made as public.%s; this one is then prickle.%s.", name, name)
	}
	b.fail(pgerr.New(pgerr.DuplicateTable, `relation "%s" already exists`, name).
		WithDetail("Every project has the tables %s.", strings.Join(names, ", ")).WithHint("%s", hint), parts[0].Pos())
	return true
}

func notice(code, format string, args ...any) *pgerr.Error {
	n := pgerr.New(code, format, args...)
	n.Severity = "NOTICE"
	return n
}

// schemaName is the name of a table, and its schema, pg_temp for that of temporary tables; it is
// empty if none is given. The name is empty after an error.
func (b *binder) schemaName(parts []ast.Ident) (schema, name string) {
	n := len(parts)
	if n > 2 && parts[0].Name != b.env.Catalog.Database {
		b.fail(pgerr.New(pgerr.FeatureNotSupported, `cross-database references are not implemented: "%s"`, ast.FormatName(parts)), parts[0].Pos())
		return "", ""
	}
	if n > 1 {
		switch schema = parts[n-2].Name; {
		case schema == "pg_temp":
		case schema == catalog.TempSchema:
			schema = "pg_temp"
		case b.env.Catalog.SchemaOID(schema) == 0:
			b.fail(noSchema(schema), parts[n-2].Pos())
			return "", ""
		}
	}
	return schema, parts[n-1].Name
}

// mayUse says whether there is a schema, and the statement may use what is in it, and fails if
// not.
func (b *binder) mayUse(schema string, pos ast.Pos) bool {
	switch c := b.env.Catalog; {
	case c.SchemaOID(schema) == 0:
		b.fail(noSchema(schema), pos)
		return false
	case !c.MayUse(b.asker(), schema):
		b.fail(denied("schema", schema), pos)
		return false
	}
	return true
}

// named is a table that a statement names; nil if there is none of the name, or after an error.
func (b *binder) named(parts []ast.Ident) *catalog.Table {
	schema, name := b.schemaName(parts)
	if name == "" || schema != "" && schema != "pg_temp" && !b.mayUse(schema, parts[len(parts)-2].Pos()) {
		return nil
	}
	return b.lookUp(schema, name)
}

func noSchema(name string) *pgerr.Error {
	return pgerr.New(pgerr.UndefinedSchema, `schema "%s" does not exist`, name)
}

// userTable finds a table that may be changed, with the right to do so, or as its owner if that
// is empty. It is nil after an error, and if the table is not there and need not be.
func (b *binder) userTable(parts []ast.Ident, what, right string, ifExists bool, c *Change) *catalog.Table {
	if n := len(parts); ifExists && n > 1 && parts[n-2].Name != "pg_temp" && b.env.Catalog.SchemaOID(parts[n-2].Name) == 0 {
		c.Notices = append(c.Notices, notice("00000", `schema "%s" does not exist, skipping`, parts[n-2].Name))
		return nil
	}
	name, full := parts[len(parts)-1].Name, ast.FormatName(parts)
	t := b.named(parts)
	if len(parts) > 2 {
		full = ast.FormatName(parts[len(parts)-2:])
	}
	switch {
	case b.err != nil:
	case t == nil && ifExists:
		c.Notices = append(c.Notices, notice("00000", `%s "%s" does not exist, skipping`, what, name))
	case t == nil:
		e := pgerr.New(pgerr.UndefinedTable, `%s "%s" does not exist`, what, full)
		var names []string
		for _, t := range b.env.Catalog.Tables {
			if t.Schema != nil {
				names = append(names, t.Name)
			}
		}
		if near := nearest(name, names); near != "" {
			e.WithHint(`Perhaps you meant the table "%s".`, near)
		}
		b.fail(e, parts[0].Pos())
	case t.System != "":
		b.fail(pgerr.New(pgerr.InsufficientPrivilege, `permission denied: "%s" is a system catalog`, name), parts[0].Pos())
		return nil
	case t.Schema == nil:
		b.fail(pgerr.New(pgerr.WrongObjectType, `"%s" belongs to every project and cannot be changed so`, name), parts[0].Pos())
		return nil
	case right == "" && !b.owns(t, parts[0].Pos()), right != "" && !b.may(right, t, parts[0].Pos()):
		return nil
	}
	return t
}

func (b *binder) createTable(c *Change, s *ast.CreateTable) {
	schema, skip := b.newTable(s.Name, s.IfNotExists, s.Temp)
	if skip != nil {
		c.Notices = append(c.Notices, skip)
	}
	if schema == nil {
		return
	}
	schema.OnCommit = table.OnCommit(s.OnCommit)
	for i := range s.Columns {
		b.columnSpec(schema, &s.Columns[i], nil)
	}
	// What a column says of itself may name all others.
	for i := range s.Columns {
		for k := range s.Columns[i].Constraints {
			b.constraint(c, schema, &s.Columns[i].Constraints[k], []ast.Ident{s.Columns[i].Name})
		}
	}
	for i := range s.Constraints {
		b.constraint(c, schema, &s.Constraints[i], s.Constraints[i].Columns)
	}
	b.tableOptions(c, schema, s.Options)
	c.keyWarning(len(schema.Keys) + len(schema.Foreign))
	c.Ops = append(c.Ops, table.Op{Kind: table.OpCreate, Schema: schema})
}

// addColumn adds a column to a schema, or fails.
func (b *binder) addColumn(schema *table.Schema, id ast.Ident, t vec.Type) *table.Column {
	switch {
	case b.err != nil:
	case id.Name == plan.RowNumber || id.Name == plan.TableOID:
		b.fail(pgerr.New(pgerr.DuplicateColumn, `column name "%s" conflicts with a system column name`, id.Name), id.Pos())
	case schema.Column(id.Name) != nil:
		b.fail(pgerr.New(pgerr.DuplicateColumn, `column "%s" specified more than once`, id.Name), id.Pos())
	case !table.Storable(t):
		b.fail(pgerr.New(pgerr.InvalidTableDefinition, `column "%s" has pseudo-type %s`, id.Name, t), id.Pos())
	case len(schema.Columns) >= maxTableColumns:
		b.fail(pgerr.New(pgerr.TooManyColumns, "tables can have at most %d columns", maxTableColumns), id.Pos())
	default:
		schema.Add(table.Column{Name: id.Name, Type: t})
		return &schema.Columns[len(schema.Columns)-1]
	}
	return nil
}

// columnSpec adds a column as it was written. Of a table that has rows, rows is called with
// the value that they get for it.
func (b *binder) columnSpec(schema *table.Schema, s *ast.ColumnSpec, rows func(c *table.Column, value expr.Expr)) {
	spec := *s
	kind, serial := serialTypes[strings.ToLower(s.Type.Name)]
	if serial = serial && !s.Type.Quoted && s.Type.Schema == ""; serial {
		spec.Type.Name = kind
	}
	t := b.typeOf(&spec.Type)
	c := b.addColumn(schema, s.Name, t)
	if c == nil {
		return
	}
	switch c.NotNull = s.NotNull || serial || s.Identity != nil; {
	case s.Identity != nil && (serial || s.Default != nil):
		at := s.Identity.Pos()
		if s.Default != nil {
			at = max(at, s.Default.Pos())
		}
		b.fail(pgerr.New(pgerr.SyntaxError, `both default and identity specified for column "%s" of table "%s"`, c.Name, schema.Name), at)
	case serial && s.Default != nil:
		b.fail(pgerr.New(pgerr.SyntaxError, `multiple default values specified for column "%s" of table "%s"`, c.Name, schema.Name), s.Default.Pos())
	case serial:
		spec.Default = b.numberedBy(schema, c, &ast.Identity{Place: s.Place})
	case s.Identity != nil:
		spec.Default = b.numberedBy(schema, c, s.Identity)
	}
	s = &spec
	var value expr.Expr
	if s.Default != nil {
		value = b.defaultValue(c, s.Default)
	}
	if b.err == nil && rows != nil {
		rows(c, value)
	}
}

// defaultValue binds the default of a column.
func (b *binder) defaultValue(c *table.Column, e ast.Expr) expr.Expr {
	subs := len(b.subs)
	before := b.err
	value := b.assign(b.expr(e, &scope{clause: "DEFAULT expressions"}), c, e.Pos())
	if before == nil && b.err != nil && b.err.Code == pgerr.UndefinedColumn {
		at := b.err.Position
		b.err = pgerr.New(pgerr.FeatureNotSupported, "cannot use column reference in DEFAULT expression").At(at)
	}
	if len(b.subs) > subs {
		b.fail(pgerr.New(pgerr.FeatureNotSupported, "cannot use subquery in DEFAULT expression"), e.Pos())
	}
	c.Default = ast.Format(e)
	return value
}

// serialTypes are types of columns that number rows by themselves, and what they stand for.
var serialTypes = map[string]string{"smallserial": "smallint", "serial2": "smallint", "serial": "integer", "serial4": "integer",
	"bigserial": "bigint", "serial8": "bigint"}

// numberedBy gives a column a sequence, and the default that takes numbers of it. A serial column has no
// kind of identity.
func (b *binder) numberedBy(schema *table.Schema, c *table.Column, x *ast.Identity) ast.Expr {
	if !c.Type.IsInt() || c.Type.Array {
		b.fail(pgerr.New(pgerr.InvalidParameterValue, "identity column type must be smallint, integer, or bigint"), ast.NoPos)
		return nil
	}
	base := schema.Name + "_" + c.Name + "_seq"
	c.Sequence, c.Identity = base, x.Kind
	b.start(c, x)
	c.Next = c.First()
	if x.Sequence != nil {
		if c.Sequence = x.Sequence.Name; b.sequenceTaken(schema, c) {
			b.fail(pgerr.New(pgerr.DuplicateTable, `relation "%s" already exists`, c.Sequence), ast.NoPos)
		}
	}
	for n := 1; x.Sequence == nil && b.sequenceTaken(schema, c); n++ {
		c.Sequence = base + strconv.Itoa(n)
	}
	name := &ast.String{Place: x.Place, Value: ast.QuoteIdent(c.Sequence)}
	return &ast.Call{Place: x.Place, Name: []ast.Ident{ast.ID("nextval")}, Args: []ast.Arg{{Value: name}}}
}

// start says with what number the sequence of a column begins.
func (b *binder) start(c *table.Column, x *ast.Identity) {
	if x.Start == nil {
		return
	}
	if c.Start = *x.Start; c.Start < 1 {
		b.fail(pgerr.New(pgerr.InvalidParameterValue, "START value (%d) cannot be less than MINVALUE (1)", c.Start), ast.NoPos)
	}
	if most := table.LastNumber(c.Type); c.Start > most {
		b.fail(pgerr.New(pgerr.InvalidParameterValue, "START value (%d) cannot be greater than MAXVALUE (%d)", c.Start, most), ast.NoPos)
	}
}

// alterIdentity binds what ALTER COLUMN does about the sequence of a column.
func (b *binder) alterIdentity(c *Change, op *table.Op, a *ast.AlterAction, col *table.Column, t *catalog.Table) {
	fail := func(text string) {
		b.fail(pgerr.New(pgerr.ObjectNotInState, `column "%s" of relation "%s" `+text, col.Name, t.Name), ast.NoPos)
	}
	x := a.Identity
	switch {
	case a.Kind == ast.AddIdentity && col.Identity != "":
		fail("is already an identity column")
	case a.Kind == ast.AddIdentity && !col.NotNull:
		fail("must be declared NOT NULL before identity can be added")
	case a.Kind == ast.AddIdentity && col.Default != "":
		fail("already has a default value")
	case a.Kind == ast.AddIdentity && col.Sequence != "": // a serial column without its default
		b.unsupported("a second sequence of a column", a.Name.Pos())
	case a.Kind == ast.AddIdentity:
		if e := b.numberedBy(op.Schema, col, x); b.err == nil {
			b.defaultValue(col, e)
		}
	case col.Identity == "" && a.Exists:
		c.Notices = append(c.Notices, notice("00000", `column "%s" of relation "%s" is not an identity column, skipping`, col.Name, t.Name))
	case col.Identity == "":
		fail("is not an identity column")
	case a.Kind == ast.DropIdentity:
		col.Sequence, col.Next, col.Start, col.Identity, col.Default, col.SequenceComment = "", 0, 0, "", "", ""
	default:
		if x.Kind != "" {
			col.Identity = x.Kind
		}
		b.start(col, x)
		if next := b.restarted(col, x); x.Restart {
			c.restarts = append(c.restarts, table.Op{Kind: table.OpRestart, Table: op.Table, Version: op.Version + 1, Column: col.ID, Next: next})
		}
	}
}

// restarted is the number that RESTART lets the sequence of a column go on with.
func (b *binder) restarted(col *table.Column, x *ast.Identity) int64 {
	next := col.First()
	if x.With != nil {
		next = *x.With
	}
	if most := table.LastNumber(col.Type); x.Restart && (next < 1 || next > most) {
		word, bound := "less than MINVALUE", int64(1)
		if next > most {
			word, bound = "greater than MAXVALUE", most
		}
		b.fail(pgerr.New(pgerr.InvalidParameterValue, "RESTART value (%d) cannot be %s (%d)", next, word, bound), ast.NoPos)
	}
	return next
}

// alterSequence binds ALTER SEQUENCE.
func (b *binder) alterSequence(c *Change, s *ast.AlterSequence) {
	schema, name := b.schemaName(s.Name)
	if b.err != nil {
		return
	}
	of, col := b.sequenceNamed(schema, name)
	switch {
	case of == nil && s.IfExists:
		c.Notices = append(c.Notices, notice("00000", `relation "%s" does not exist, skipping`, name))
		return
	case of == nil:
		b.fail(pgerr.New(pgerr.UndefinedTable, `relation "%s" does not exist`, name), s.Name[0].Pos())
		return
	case !b.owns(of, s.Name[0].Pos()):
		return
	}
	if n := len(s.OwnedBy); n > 0 {
		t := b.named(s.OwnedBy[:n-1])
		if b.err == nil && (t != of || s.OwnedBy[n-1].Name != col.Name) {
			b.unsupported("another owner of a sequence", s.OwnedBy[0].Pos())
		}
	}
	after := of.Schema.Clone()
	op := table.Op{Kind: table.OpAlter, Table: after.Table, Version: after.Version, Schema: after}
	if s.Numbers.Start != nil {
		col = after.ByID(col.ID)
		b.start(col, &s.Numbers)
		c.Ops = append(c.Ops, op)
		op.Version++
	}
	if next := b.restarted(col, &s.Numbers); s.Numbers.Restart {
		c.Ops = append(c.Ops, table.Op{Kind: table.OpRestart, Table: op.Table, Version: op.Version, Column: col.ID, Next: next})
	}
}

// createSequence binds CREATE TEMP SEQUENCE.
func (b *binder) createSequence(c *Change, s *ast.CreateSequence) {
	schema, name := b.schemaName(s.Name)
	seq := &table.Schema{Kind: table.Sequence, Name: name, Version: 1, Owner: b.owner(), Temp: true}
	seq.Add(table.Column{Name: "last_value", Type: vec.T(vec.Int8), Sequence: name, Next: s.Start})
	switch {
	case b.err != nil:
	case schema != "" && schema != "pg_temp":
		b.fail(pgerr.New(pgerr.InvalidTableDefinition, "cannot create temporary relation in non-temporary schema"), s.Name[0].Pos())
	case s.Start < 1:
		b.fail(pgerr.New(pgerr.InvalidParameterValue, "START value (%d) cannot be less than MINVALUE (1)", s.Start), s.Pos())
	case b.env.Catalog.In("pg_temp", name) == nil && !b.sequenceTaken(seq, &seq.Columns[0]):
		c.Ops = append(c.Ops, table.Op{Kind: table.OpCreate, Schema: seq})
	case s.IfNotExists:
		c.Notices = append(c.Notices, notice(pgerr.DuplicateTable, `relation "%s" already exists, skipping`, name))
	default:
		b.fail(pgerr.New(pgerr.DuplicateTable, `relation "%s" already exists`, name), s.Name[0].Pos())
	}
}

// dropSequences binds DROP SEQUENCE.
func (b *binder) dropSequences(c *Change, s *ast.DropSequence) {
	for _, parts := range s.Names {
		schema, name := b.schemaName(parts)
		if b.err != nil {
			return
		}
		found := false
		for _, seq := range b.env.Catalog.Sequences {
			if seq.Name == name && (schema == "" || schema == "pg_temp") {
				c.Ops, found = append(c.Ops, table.Op{Kind: table.OpDrop, Table: seq.Table, Version: seq.Version}), true
			}
		}
		for _, t := range b.env.Catalog.Tables {
			if t.Schema == nil || found || schema != "" && !t.InSchema(schema) {
				continue
			}
			for i := range t.Schema.Columns {
				switch col := &t.Schema.Columns[i]; {
				case col.Sequence != name:
				case col.Identity != "":
					of := fmt.Sprintf("column %s of table %s", col.Name, t.Name)
					b.fail(pgerr.New(pgerr.DependentObjects, "cannot drop sequence %s because %s requires it", name, of).WithHint("You can drop %s instead.", of), ast.NoPos)
					return
				default:
					b.fail(pgerr.New(pgerr.DependentObjects, "cannot drop sequence %s because other objects depend on it", name).
						WithDetail("default value for column %s of table %s depends on sequence %s", col.Name, t.Name, name), parts[0].Pos())
					return
				}
			}
		}
		switch {
		case found:
		case s.IfExists:
			c.Notices = append(c.Notices, notice("00000", `sequence "%s" does not exist, skipping`, name))
		default:
			b.fail(pgerr.New(pgerr.UndefinedTable, `sequence "%s" does not exist`, name), parts[0].Pos())
			return
		}
	}
}

// sequenceTaken says whether another column has a sequence of the same name.
func (b *binder) sequenceTaken(schema *table.Schema, c *table.Column) bool {
	taken := false
	look := func(columns []table.Column) {
		for i := range columns {
			taken = taken || &columns[i] != c && columns[i].Sequence == c.Sequence
		}
	}
	look(schema.Columns)
	for _, t := range b.env.Catalog.Tables {
		if t.Schema != nil && t.Temp() == schema.Temp && t.Schema.Table != schema.Table {
			look(t.Schema.Columns)
		}
	}
	for _, s := range b.env.Catalog.Sequences {
		if schema.Temp {
			look(s.Columns)
		}
	}
	return taken
}

func (b *binder) alterTable(c *Change, s *ast.AlterTable) {
	t := b.userTable(s.Name, "relation", "", s.IfExists, c)
	if t == nil {
		return
	}
	first := s.Actions[0].Kind
	views := first == ast.RenameTable || first == ast.RenameColumn || first == ast.SetSchema || first == ast.SetDefault || first == ast.DropDefault || first == ast.SetOwner
	switch {
	case s.View && t.View() == "":
		b.fail(pgerr.New(pgerr.WrongObjectType, `"%s" is not a view`, t.Name), s.Name[0].Pos())
		return
	case t.View() != "" && !views:
		b.fail(pgerr.New(pgerr.WrongObjectType, `ALTER action %s cannot be performed on relation "%s"`, alterWords[first], t.Name).
			WithDetail("This operation is not supported for views."), s.Name[0].Pos())
		return
	}
	schema := t.Schema.Clone()
	op := table.Op{Kind: table.OpAlter, Table: schema.Table, Version: schema.Version, Schema: schema}
	keys := len(schema.Keys) + len(schema.Foreign)
	for i := range s.Actions {
		if a := &s.Actions[i]; b.err == nil {
			b.alter(c, &op, a, t)
		}
	}
	c.keyWarning(len(schema.Keys) + len(schema.Foreign) - keys)
	c.Ops = append(append(c.Ops, op), c.restarts...)
	if len(c.fills) > 0 && b.err == nil {
		c.Fill = b.filled(schema, t, c.fills)
	}
}

// filled writes the rows of a table, in their order, as they are after an alteration that gives it a
// schema.
func (b *binder) filled(schema *table.Schema, t *catalog.Table, fills map[uint32]expr.Expr) *Write {
	after := *t
	after.Name, after.Schema = schema.Name, schema.Clone()
	after.Schema.Version++
	rel := &relation{scan: &plan.Scan{Table: t}, table: &after}
	number := rel.rowNumber()
	var old []*table.Column
	for i := range schema.Columns {
		c := t.Schema.ByID(schema.Columns[i].ID)
		if old = append(old, c); c != nil {
			rel.scanColumn(plan.ScanColumn{Column: c.Name, Type: c.Type})
		}
	}
	int8 := vec.T(vec.Int8)
	place := &expr.Column{Index: len(rel.scan.Columns), T: int8, Name: "row_number"}
	numbered := &plan.Window{Input: rel.scan, Order: []plan.SortKey{{Expr: number}}, Calls: []plan.WindowCall{{Name: "row_number", T: int8}}, Names: []string{place.Name}}
	rows := &plan.Project{Input: numbered, Exprs: []expr.Expr{number}, Names: []string{plan.RowNumber}}
	for i := range after.Schema.Columns {
		c := &after.Schema.Columns[i]
		value, isNew := fills[c.ID]
		switch {
		case old[i] != nil:
			value = &expr.Column{Index: rel.scanColumn(plan.ScanColumn{Column: old[i].Name, Type: old[i].Type}), T: old[i].Type, Name: c.Name}
		case isNew && value == nil:
			value = b.assign(b.call("+", []expr.Expr{place, intConst(c.First()-1, int8)}, ast.NoPos), c, ast.NoPos)
		case !isNew:
			v, err := c.MissingValue()
			if err != nil {
				b.failErr(err, ast.NoPos)
				return nil
			}
			value = constant(v, c.Type)
		}
		rows.Exprs, rows.Names = append(rows.Exprs, value), append(rows.Names, c.Name)
	}
	sorted := &plan.Sort{Input: rows, Keys: []plan.SortKey{{Expr: &expr.Column{T: int8, Name: plan.RowNumber}}}}
	return &Write{Target: &after, Plan: sorted, Deletes: true, Inserts: true, Columns: after.Schema.Columns, Checks: b.checks(rel, after.Schema)}
}

// alterWords are the actions that a view does not have.
var alterWords = map[ast.AlterKind]string{ast.AddColumn: "ADD COLUMN", ast.DropColumn: "DROP COLUMN", ast.SetNotNull: "ALTER COLUMN ... SET NOT NULL",
	ast.DropNotNull: "ALTER COLUMN ... DROP NOT NULL", ast.SetType: "ALTER COLUMN ... SET DATA TYPE", ast.AddConstraint: "ADD CONSTRAINT", ast.DropConstraint: "DROP CONSTRAINT"}

func (b *binder) alter(c *Change, op *table.Op, a *ast.AlterAction, t *catalog.Table) {
	schema := op.Schema
	switch a.Kind {
	case ast.AddColumn:
		if a.Exists && schema.Column(a.Column.Name.Name) != nil {
			c.Notices = append(c.Notices, notice(pgerr.DuplicateColumn, `column "%s" of relation "%s" already exists, skipping`, a.Column.Name.Name, schema.Name))
			return
		}
		if schema.Column(a.Column.Name.Name) != nil {
			b.fail(pgerr.New(pgerr.DuplicateColumn, `column "%s" of relation "%s" already exists`, a.Column.Name.Name, schema.Name), a.Column.Pos())
			return
		}
		b.columnSpec(schema, a.Column, func(col *table.Column, value expr.Expr) { b.olderRows(c, op, col, value, a.Column, t) })
		for i := range a.Column.Constraints {
			b.addConstraint(c, op, &a.Column.Constraints[i], []ast.Ident{a.Column.Name}, t)
		}
	case ast.DropColumn:
		if a.Exists && schema.Column(a.Name.Name) == nil {
			c.Notices = append(c.Notices, notice("00000", `column "%s" of relation "%s" does not exist, skipping`, a.Name.Name, schema.Name))
			return
		}
		if col := b.columnOf(schema, a.Name); col != nil {
			b.dropColumn(c, t, schema, col, a.Cascade, a.Name.Pos())
		}
	case ast.RenameColumn:
		col := schema.Column(a.Name.Name)
		switch {
		case col == nil:
			b.fail(pgerr.New(pgerr.UndefinedColumn, `column "%s" does not exist`, a.Name.Name), a.Name.Pos())
		case schema.Column(a.To.Name) != nil:
			b.fail(pgerr.New(pgerr.DuplicateColumn, `column "%s" of relation "%s" already exists`, a.To.Name, schema.Name), a.To.Pos())
		case a.To.Name == plan.RowNumber || a.To.Name == plan.TableOID:
			b.fail(pgerr.New(pgerr.DuplicateColumn, `column name "%s" conflicts with a system column name`, a.To.Name), a.To.Pos())
		default:
			col.Name = a.To.Name
			b.renameInChecks(schema, a.Name.Name, a.To.Name)
			b.renamed(c, newName{t, t.Namespace(), t.Name, t.Columns})
		}
	case ast.RenameTable:
		if skip, ok := b.mayBeNamed(schema, t.Namespace(), a.To.Name, []ast.Ident{a.To}, false); ok && skip == nil {
			schema.Name = a.To.Name
			b.renamed(c, newName{t, t.Namespace(), schema.Name, nil})
		}
	case ast.SetSchema:
		b.setSchema(c, schema, a, t)
	case ast.SetOwner:
		b.setOwner(schema, a, t)
	case ast.AddConstraint:
		b.addConstraint(c, op, a.Constraint, a.Constraint.Columns, t)
	case ast.DropConstraint:
		b.dropConstraint(c, schema, a, t)
	default:
		if col := b.columnOf(schema, a.Name); col != nil {
			b.alterColumn(c, op, a, col, t)
		}
	}
}

// alterColumn binds ALTER COLUMN.
func (b *binder) alterColumn(c *Change, op *table.Op, a *ast.AlterAction, col *table.Column, t *catalog.Table) {
	switch a.Kind {
	case ast.AddIdentity, ast.SetIdentity, ast.DropIdentity:
		b.alterIdentity(c, op, a, col, t)
	case ast.SetDefault, ast.DropDefault:
		switch {
		case col.Identity != "":
			e := pgerr.New(pgerr.SyntaxError, `column "%s" of relation "%s" is an identity column`, col.Name, t.Name)
			if a.Kind == ast.DropDefault {
				e.WithHint("Use ALTER TABLE ... ALTER COLUMN ... DROP IDENTITY instead.")
			}
			b.fail(e, ast.NoPos)
		case a.Kind == ast.SetDefault:
			b.defaultValue(col, a.Default)
		default:
			col.Default = ""
		}
	case ast.DropNotNull:
		if col.Identity != "" {
			b.fail(pgerr.New(pgerr.SyntaxError, `column "%s" of relation "%s" is an identity column`, col.Name, t.Name), a.Name.Pos())
		}
		for _, k := range op.Schema.Keys {
			if k.Primary && slices.Contains(k.Columns, col.ID) {
				b.fail(pgerr.New(pgerr.InvalidTableDefinition, `column "%s" is in a primary key`, col.Name), a.Name.Pos())
			}
		}
		col.NotNull = false
	case ast.SetNotNull:
		b.setNotNull(c, op, col, t)
	case ast.SetType:
		b.setType(op, a, col, t)
	}
}

// setType binds ALTER COLUMN … TYPE: what is stored stays as it is.
func (b *binder) setType(op *table.Op, a *ast.AlterAction, col *table.Column, t *catalog.Table) {
	to := b.typeOf(a.Type)
	switch {
	case b.err != nil || to == col.Type:
		return
	case !table.Storable(to):
		b.fail(pgerr.New(pgerr.InvalidTableDefinition, `column "%s" has pseudo-type %s`, col.Name, to), a.Type.Pos())
		return
	}
	if a.Using != nil {
		if b.newValues(op.Schema, a, col, to, t); b.err != nil {
			return
		}
	} else if _, err := expr.NewAssignment(null(col.Type), to); err != nil {
		b.fail(pgerr.New(pgerr.DatatypeMismatch, `column "%s" cannot be cast automatically to type %s`, col.Name, to), a.Type.Pos())
		return
	}
	switch {
	case t.Rows == 0:
		op.IfEmpty = true
	case !table.Widens(col.Type, to):
		b.fail(pgerr.New(pgerr.FeatureNotSupported, "changing the type of a column from %s to %s is not supported", col.Type, to).
			WithHint("Only a wider type of the same kind is taken. Make another table with CREATE TABLE AS."), a.Type.Pos())
		return
	}
	if users := b.columnUsers(t, col.Name, ""); len(users) > 0 {
		b.fail(pgerr.New(pgerr.FeatureNotSupported, "cannot alter type of a column used by a view or rule").
			WithDetail(`rule _RETURN on view %s depends on column "%s"`, b.called(users[0].dropped), col.Name), a.Name.Pos())
		return
	}
	if col.Missing != nil && op.IfEmpty {
		col.Missing = nil
	}
	col.Type = to
	if col.Default != "" {
		b.defaultOf(col, a.Name.Pos())
	}
}

// newValues checks what the values of a column are to be made of. Of a table with rows that is the column in its new
// type, and nothing else.
func (b *binder) newValues(schema *table.Schema, a *ast.AlterAction, col *table.Column, to vec.Type, t *catalog.Table) {
	subs := len(b.subs)
	x := b.expr(a.Using, &scope{rel: rowRelation(t.Name, schema), clause: "transform expressions"})
	if p, ok := x.(*pathRef); ok {
		x = b.resolve(p, to)
	}
	switch x, err := expr.NewAssignment(x, to); {
	case b.err != nil:
	case err != nil:
		b.fail(pgerr.New(pgerr.DatatypeMismatch, `result of USING clause for column "%s" cannot be cast automatically to type %s`, col.Name, to), a.Using.Pos())
	case len(b.subs) > subs:
		b.fail(pgerr.New(pgerr.FeatureNotSupported, "cannot use subquery in transform expression"), a.Using.Pos())
	case t.Rows > 0 && !isCastOf(x, schema, col):
		b.unsupported("ALTER COLUMN … TYPE … USING of a table with rows", a.Using.Pos())
	}
}

// isCastOf says whether an expression is a column, or a conversion of one.
func isCastOf(e expr.Expr, schema *table.Schema, col *table.Column) bool {
	if cast, ok := e.(*expr.Cast); ok {
		e = cast.E
	}
	x, ok := e.(*expr.Column)
	return ok && schema.Columns[x.Index].ID == col.ID
}

// olderRows says what the rows have that are older than a column.
func (b *binder) olderRows(change *Change, op *table.Op, c *table.Column, value expr.Expr, s *ast.ColumnSpec, t *catalog.Table) {
	fill := func(value expr.Expr) {
		if change.fills == nil {
			change.fills = map[uint32]expr.Expr{}
		}
		change.fills[c.ID], op.IfSame = value, true
	}
	if c.Sequence != "" && t.Rows > 0 {
		if most := table.LastNumber(c.Type); c.First() > most-t.Rows {
			b.fail(pgerr.New(pgerr.SequenceLimit, `nextval: reached maximum value of sequence "%s" (%d)`, c.Sequence, most), ast.NoPos)
		}
		c.Next = c.First() + t.Rows
		fill(nil)
		return
	}
	if value != nil {
		volatile := false
		expr.Walk(value, func(x expr.Expr) bool {
			if call, ok := x.(*expr.Call); ok && call.Overload.Fn.Volatile {
				volatile = true
			}
			return !volatile
		})
		switch {
		case volatile && t.Rows > 0:
			fill(value)
			return
		case volatile:
			op.IfEmpty = true
			return
		}
		v, err := value.Eval(b.env.Expr, &vec.Batch{Rows: 1})
		if err != nil {
			b.failErr(err, s.Default.Pos())
			return
		}
		if !v.IsNull(0) {
			v := constant(v, c.Type).Value
			c.Missing = table.AppendValue(nil, v)
		}
	}
	if c.NotNull && c.Missing == nil {
		if t.Rows > 0 {
			b.fail(pgerr.New(pgerr.NotNullViolation, `column "%s" of relation "%s" contains null values`, c.Name, t.Name).About(t.Namespace(), t.Name, c.Name), s.Pos())
		}
		op.IfEmpty = true
	}
}
