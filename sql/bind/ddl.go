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
}

// maxTableColumns is how many columns a table may have, as in PostgreSQL.
const maxTableColumns = 1600

// DDL binds CREATE, ALTER and DROP of tables and views, and TRUNCATE.
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
	case *ast.Truncate:
		for _, name := range s.Names {
			if t := b.userTable(name, "relation", "TRUNCATE", false, c); t != nil && b.isTable(t, name[0].Pos()) {
				c.Ops = append(c.Ops, table.Op{Kind: table.OpTruncate, Table: t.Schema.Table, Version: t.Schema.Version})
			}
		}
	}
	if b.err == nil && len(b.params) > 0 {
		b.fail(pgerr.New(pgerr.UndefinedParameter, "there is no parameter $%d", len(b.params)), ast.NoPos)
	}
	if b.err != nil {
		return nil, b.err
	}
	return c, nil
}

// isTable says whether something is a table, and fails if it is a view.
func (b *binder) isTable(t *catalog.Table, pos ast.Pos) bool {
	if t.View() != "" {
		b.fail(pgerr.New(pgerr.WrongObjectType, `"%s" is not a table`, t.Name), pos)
	}
	return t.View() == ""
}

// CreateAs binds CREATE TABLE AS; nil means that the table is there, and notice says so.
func CreateAs(env Env, s *ast.CreateTableAs) (w *Write, notice *pgerr.Error, err error) {
	b := newBinder(env)
	name, temp, notice := b.newTable(s.Name, s.IfNotExists, s.Temp)
	if name == "" {
		if b.err != nil {
			return nil, nil, b.err
		}
		return nil, notice, nil
	}
	node := b.query(s.Query)
	schema := &table.Schema{Name: name, Version: 1, Owner: b.owner(), Temp: temp, OnCommit: table.OnCommit(s.OnCommit)}
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
	w, err = b.finishWrite(&Write{Target: &catalog.Table{Name: name, Schema: schema}, Create: schema, Plan: node, Inserts: true, Columns: schema.Columns})
	return w, nil, err
}

// newTable is the name of a table that is to be made, and whether it is a temporary one. The
// name is empty after an error, and if the table is there and may be.
func (b *binder) newTable(parts []ast.Ident, ifNot, temp bool) (string, bool, *pgerr.Error) {
	schema, name := b.schemaName(parts)
	switch {
	case schema == "pg_temp":
		temp = true
	case temp && schema != "":
		b.fail(pgerr.New(pgerr.InvalidTableDefinition, "cannot create temporary relation in non-temporary schema"), parts[0].Pos())
		return "", false, nil
	case temp:
		schema = "pg_temp"
	default:
		schema = "public"
	}
	switch old := b.env.Catalog.In(schema, name); {
	case name == "":
	case b.builtinName(name, parts, temp):
		return "", false, nil
	case strings.HasPrefix(name, "pg_"):
		b.fail(pgerr.New("42939", `unacceptable table name "%s"`, name).WithDetail(`The prefix "pg_" is reserved for system tables.`), parts[0].Pos())
		return "", false, nil
	case old != nil && (old.Schema != nil || ifNot):
		if ifNot {
			return "", false, notice(pgerr.DuplicateTable, `relation "%s" already exists, skipping`, name)
		}
		b.fail(pgerr.New(pgerr.DuplicateTable, `relation "%s" already exists`, name), parts[0].Pos())
		return "", false, nil
	case !temp && !b.mayCreate(parts[0].Pos()):
		return "", false, nil
	}
	return name, temp, nil
}

// builtinName refuses the name of a table that every project has, also for a temporary table,
// unless the schema is named: who does so means a table that hides the project's.
func (b *binder) builtinName(name string, parts []ast.Ident, temp bool) bool {
	if t := b.env.Catalog.In("public", name); t == nil || t.Schema != nil || len(parts) > 1 && !temp {
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

// schemaName is the name of a table, and its schema: public, pg_temp, or empty if none is given.
// The name is empty after an error.
func (b *binder) schemaName(parts []ast.Ident) (schema, name string) {
	n := len(parts)
	if n > 2 && parts[0].Name != b.env.Catalog.Database {
		b.fail(pgerr.New(pgerr.FeatureNotSupported, `cross-database references are not implemented: "%s"`, ast.FormatName(parts)), parts[0].Pos())
		return "", ""
	}
	if n > 1 {
		switch schema = parts[n-2].Name; schema {
		case "public", "pg_temp":
		case catalog.TempSchema:
			schema = "pg_temp"
		default:
			b.fail(pgerr.New(pgerr.UndefinedSchema, `schema "%s" does not exist`, schema), parts[n-2].Pos())
			return "", ""
		}
	}
	return schema, parts[n-1].Name
}

// userTable finds a table that may be changed, with the right to do so, or as its owner if that
// is empty. It is nil after an error, and if the table is not there and need not be.
func (b *binder) userTable(parts []ast.Ident, what, right string, ifExists bool, c *Change) *catalog.Table {
	schema, name := b.schemaName(parts)
	if name == "" {
		return nil
	}
	t := b.env.Catalog.Table(name)
	if schema != "" {
		t = b.env.Catalog.In(schema, name)
	}
	switch {
	case t == nil && ifExists:
		c.Notices = append(c.Notices, notice("00000", `%s "%s" does not exist, skipping`, what, name))
	case t == nil:
		e := pgerr.New(pgerr.UndefinedTable, `%s "%s" does not exist`, what, name)
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
	case t.Schema == nil:
		b.fail(pgerr.New(pgerr.WrongObjectType, `"%s" belongs to every project and cannot be changed so`, name), parts[0].Pos())
		return nil
	case right == "" && !b.owns(t, parts[0].Pos()), right != "" && !b.may(right, t, parts[0].Pos()):
		return nil
	}
	return t
}

func (b *binder) createTable(c *Change, s *ast.CreateTable) {
	name, temp, skip := b.newTable(s.Name, s.IfNotExists, s.Temp)
	if skip != nil {
		c.Notices = append(c.Notices, skip)
	}
	if name == "" {
		return
	}
	schema := &table.Schema{Name: name, Version: 1, Owner: b.owner(), Temp: temp, OnCommit: table.OnCommit(s.OnCommit)}
	for i := range s.Columns {
		b.columnSpec(schema, &s.Columns[i], nil)
	}
	for i := range s.Keys {
		k := &s.Keys[i]
		var ids []uint32
		for _, id := range k.Columns {
			col := schema.Column(id.Name)
			if col == nil {
				b.fail(pgerr.New(pgerr.UndefinedColumn, `column "%s" named in key does not exist`, id.Name), id.Pos())
				return
			}
			col.NotNull = col.NotNull || k.Primary
			ids = append(ids, col.ID)
		}
		b.addKey(schema, k.Primary, ids, k.Pos())
	}
	c.keyWarning(schema.Keys)
	c.Ops = append(c.Ops, table.Op{Kind: table.OpCreate, Schema: schema})
}

func (c *Change) keyWarning(keys []table.Key) {
	if len(keys) > 0 {
		w := notice(pgerr.Warning, "PRIMARY KEY and UNIQUE are kept in the catalog and not enforced")
		w.Severity = "WARNING"
		c.Notices = append(c.Notices, w)
	}
}

func (b *binder) addKey(schema *table.Schema, primary bool, columns []uint32, pos ast.Pos) {
	if primary && slices.ContainsFunc(schema.Keys, func(k table.Key) bool { return k.Primary }) {
		b.fail(pgerr.New(pgerr.InvalidTableDefinition, `multiple primary keys for table "%s" are not allowed`, schema.Name), pos)
		return
	}
	schema.Keys = append(schema.Keys, table.Key{Primary: primary, Columns: columns})
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
	if kind, ok := serialTypes[strings.ToLower(s.Type.Name)]; ok && !s.Type.Quoted && s.Type.Schema == "" {
		spec.Type.Name, spec.Identity = kind, true
	}
	t := b.typeOf(&spec.Type)
	c := b.addColumn(schema, s.Name, t)
	if c == nil {
		return
	}
	c.NotNull = s.NotNull || s.Primary || spec.Identity
	if spec.Identity {
		b.identity(schema, c, &spec)
	}
	s = &spec
	var value expr.Expr
	if s.Default != nil {
		value = b.assign(b.expr(s.Default, &scope{clause: "DEFAULT"}), c, s.Default.Pos())
		c.Default = ast.Format(s.Default)
	}
	if b.err == nil && rows != nil {
		rows(c, value)
	}
	if s.Primary {
		b.addKey(schema, true, []uint32{c.ID}, s.Pos())
	}
	if s.Unique {
		b.addKey(schema, false, []uint32{c.ID}, s.Pos())
	}
}

// serialTypes are types of columns that number rows by themselves, and what they stand for.
var serialTypes = map[string]string{"smallserial": "smallint", "serial2": "smallint", "serial": "integer", "serial4": "integer",
	"bigserial": "bigint", "serial8": "bigint"}

// identity gives a column a sequence, which its default takes numbers of.
func (b *binder) identity(schema *table.Schema, c *table.Column, s *ast.ColumnSpec) {
	switch {
	case !c.Type.IsInt() || c.Type.Array:
		b.fail(pgerr.New(pgerr.InvalidParameterValue, "identity column type must be smallint, integer, or bigint"), s.Type.Pos())
		return
	case s.Default != nil:
		b.fail(pgerr.New(pgerr.SyntaxError, `multiple default values specified for column "%s" of table "%s"`, c.Name, schema.Name), s.Default.Pos())
		return
	}
	base := schema.Name + "_" + c.Name + "_seq"
	c.Sequence, c.Next = base, 1
	for n := 1; b.sequenceTaken(schema, c); n++ {
		c.Sequence = base + strconv.Itoa(n)
	}
	name := &ast.String{Place: s.Place, Value: ast.QuoteIdent(c.Sequence)}
	s.Default = &ast.Call{Place: s.Place, Name: []ast.Ident{ast.ID("nextval")}, Args: []ast.Arg{{Value: name}}}
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
	return taken
}

func (b *binder) alterTable(c *Change, s *ast.AlterTable) {
	t := b.userTable(s.Name, "relation", "", s.IfExists, c)
	if t == nil {
		return
	}
	renames := s.Actions[0].Kind == ast.RenameTable || s.Actions[0].Kind == ast.RenameColumn
	switch {
	case s.View && t.View() == "":
		b.fail(pgerr.New(pgerr.WrongObjectType, `"%s" is not a view`, t.Name), s.Name[0].Pos())
		return
	case !renames && !b.isTable(t, s.Name[0].Pos()):
		return
	}
	schema := t.Schema.Clone()
	op := table.Op{Kind: table.OpAlter, Table: schema.Table, Version: schema.Version, Schema: schema}
	keys := len(schema.Keys)
	for i := range s.Actions {
		if a := &s.Actions[i]; b.err == nil {
			b.alter(c, &op, a, t)
		}
	}
	if len(schema.Keys) > keys {
		c.keyWarning(schema.Keys)
	}
	c.Ops = append(c.Ops, op)
}

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
		b.columnSpec(schema, a.Column, func(col *table.Column, value expr.Expr) { b.olderRows(op, col, value, a.Column, t.Rows) })
	case ast.DropColumn:
		if a.Exists && schema.Column(a.Name.Name) == nil {
			c.Notices = append(c.Notices, notice("00000", `column "%s" of relation "%s" does not exist, skipping`, a.Name.Name, schema.Name))
			return
		}
		if col := b.columnOf(schema, a.Name); col != nil {
			b.dropColumn(c, t, schema, col, a.Cascade, a.Name.Pos())
		}
	case ast.RenameColumn:
		col := b.columnOf(schema, a.Name)
		switch {
		case col == nil:
		case schema.Column(a.To.Name) != nil:
			b.fail(pgerr.New(pgerr.DuplicateColumn, `column "%s" of relation "%s" already exists`, a.To.Name, schema.Name), a.To.Pos())
		case a.To.Name == plan.RowNumber || a.To.Name == plan.TableOID:
			b.fail(pgerr.New(pgerr.DuplicateColumn, `column name "%s" conflicts with a system column name`, a.To.Name), a.To.Pos())
		default:
			col.Name = a.To.Name
			b.renamed(c, t, t.Name, t.Columns)
		}
	case ast.RenameTable:
		if name, _, _ := b.newTable([]ast.Ident{a.To}, false, schema.Temp); name != "" {
			schema.Name = name
			b.renamed(c, t, name, nil)
		}
	}
}

// olderRows says what the rows have that are older than a column.
func (b *binder) olderRows(op *table.Op, c *table.Column, value expr.Expr, s *ast.ColumnSpec, rows int64) {
	if value != nil {
		volatile := false
		expr.Walk(value, func(x expr.Expr) bool {
			if call, ok := x.(*expr.Call); ok && call.Overload.Fn.Volatile {
				volatile = true
			}
			return !volatile
		})
		switch {
		case volatile && rows > 0:
			b.unsupported("a volatile DEFAULT of a column that is added to rows", s.Pos())
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
		if rows > 0 {
			b.fail(pgerr.New(pgerr.NotNullViolation, `column "%s" of relation "%s" contains null values`, c.Name, op.Schema.Name), s.Pos())
		}
		op.IfEmpty = true
	}
}
