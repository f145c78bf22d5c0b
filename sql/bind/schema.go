package bind

import (
	"slices"
	"strings"

	"github.com/prickledb/prickle/engine/catalog"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/engine/role"
	"github.com/prickledb/prickle/sql/ast"
	"github.com/prickledb/prickle/storage/table"
)

// createSchema binds CREATE SCHEMA.
func (b *binder) createSchema(c *Change, s *ast.CreateSchema) {
	cat := b.env.Catalog
	owner := b.owner()
	name := s.Name
	if s.Owner != nil {
		var ok bool
		if owner, ok = b.newOwner(s.Owner); !ok {
			return
		}
		if name == nil {
			name = &ast.Ident{Place: s.Owner.Place, Name: b.roleName(s.Owner)}
		}
	}
	switch {
	case !b.mayCreateSchemas(name.Pos()), !b.mayName(name):
	case s.IfNotExists && len(s.Elements) > 0:
		b.fail(pgerr.New(pgerr.FeatureNotSupported, "CREATE SCHEMA IF NOT EXISTS cannot include schema elements"), s.Elements[0].Pos())
	case cat.SchemaOID(name.Name) == 0:
		schema := &table.Schema{Kind: table.Namespace, Name: name.Name, Version: 1, Owner: owner}
		c.Ops = append(c.Ops, table.Op{Kind: table.OpCreate, Schema: schema})
		if len(s.Elements) > 0 {
			b.schemaElements(c, schema, s.Elements)
		}
	case s.IfNotExists:
		c.Notices = append(c.Notices, notice(pgerr.DuplicateSchema, `schema "%s" already exists, skipping`, name.Name))
	default:
		b.fail(pgerr.New(pgerr.DuplicateSchema, `schema "%s" already exists`, name.Name), name.Pos())
	}
}

// schemaElements binds the tables and views of CREATE SCHEMA, which its owner makes in it. Tables
// come first, as views may read them, and each sees those before it.
func (b *binder) schemaElements(c *Change, schema *table.Schema, elements []ast.Stmt) {
	outer, as := b.env.Catalog, b.as
	defer func() { b.env.Catalog, b.as = outer, as }()
	within := *outer
	b.env.Catalog = &within
	if schema.Owner != "" {
		b.as = &schema.Owner
	}
	within.Add(schema)
	within.Path = append([]string{schema.Name}, outer.Path...)
	if outer.Path == nil {
		within.Path = append(within.Path, catalog.Public)
	}
	named := func(name []ast.Ident) bool {
		if n := len(name); n > 1 && name[n-2].Name != schema.Name {
			b.fail(pgerr.New("42P15", "CREATE specifies a schema (%s) different from the one being created (%s)", name[n-2].Name, schema.Name), name[0].Pos())
		}
		return b.err == nil
	}
	add := func(ops int) {
		for _, o := range c.Ops[ops:] {
			if b.err == nil && o.Kind == table.OpCreate {
				within.Add(o.Schema)
			}
		}
	}
	for _, e := range elements {
		if t, ok := e.(*ast.CreateTable); ok && named(t.Name) {
			ops := len(c.Ops)
			b.createTable(c, t)
			add(ops)
		}
	}
	for _, e := range elements {
		if v, ok := e.(*ast.CreateView); ok && named(v.Name) {
			ops := len(c.Ops)
			b.createView(c, v)
			add(ops)
		}
	}
}

// roleName is the role that a statement names.
func (b *binder) roleName(id *ast.Ident) string {
	switch id.Name {
	case "current_user", "current_role", "session_user":
		if !id.Quoted {
			return b.asker()
		}
	}
	return id.Name
}

// newOwner is the role that is to own something, empty for nobody: one that has no record owns
// nothing. It is false where the statement may not give things to it.
func (b *binder) newOwner(id *ast.Ident) (owner string, ok bool) {
	roles, who := b.env.Catalog.Roles, b.roleName(id)
	switch {
	case roles.Find(who) == nil && who == b.asker():
		return "", true
	case roles.Find(who) == nil || who == role.Public:
		b.fail(pgerr.New(pgerr.UndefinedObject, `role "%s" does not exist`, who), id.Pos())
	case !roles.Super(b.asker()) && !roles.Member(b.asker(), who, false):
		b.fail(pgerr.New(pgerr.InsufficientPrivilege, `must be member of role "%s"`, who), id.Pos())
	default:
		return who, true
	}
	return "", false
}

// setOwner binds ALTER TABLE … OWNER TO.
func (b *binder) setOwner(schema *table.Schema, a *ast.AlterAction, t *catalog.Table) {
	owner, ok := b.newOwner(&a.To)
	if !ok || owner == t.Owner() {
		return
	}
	cat := b.env.Catalog
	if !t.Temp() && !cat.Roles.Super(b.asker()) { // the new owner could have made it there
		oid, of := uint32(role.PublicSchema), ""
		if t.Space != nil {
			oid, of = t.Space.OID, t.Space.Schema.Owner
		}
		if !cat.Roles.May(owner, "CREATE", role.Schema, oid, of, false) {
			b.fail(denied("schema", t.Namespace()), a.To.Pos())
			return
		}
	}
	schema.Owner = owner
}

// reassign binds REASSIGN OWNED.
func (b *binder) reassign(c *Change, s *ast.ReassignOwned) {
	cat, from := b.env.Catalog, map[string]bool{}
	for i := range s.From {
		who := b.roleName(&s.From[i])
		switch {
		case cat.Roles.Find(who) == nil && who != b.asker() || who == role.Public:
			b.fail(pgerr.New(pgerr.UndefinedObject, `role "%s" does not exist`, who), s.From[i].Pos())
			return
		case !cat.Roles.Super(b.asker()) && !cat.Roles.Member(b.asker(), who, true):
			b.fail(pgerr.New(pgerr.InsufficientPrivilege, "permission denied to reassign objects"), s.From[i].Pos())
			return
		}
		from[who] = cat.Roles.Find(who) != nil
	}
	owner, ok := b.newOwner(&s.To)
	if !ok {
		return
	}
	give := func(of *table.Schema) {
		if of != nil && from[of.Owner] && of.Owner != owner && !of.Temp {
			schema := of.Clone()
			schema.Owner = owner
			c.Ops = append(c.Ops, table.Op{Kind: table.OpAlter, Table: schema.Table, Version: schema.Version, Schema: schema})
		}
	}
	for _, n := range cat.Namespaces {
		give(n.Schema)
	}
	for _, t := range cat.Tables {
		give(t.Schema)
	}
}

// mayCreateSchemas says whether the statement may make schemas, and fails if not.
func (b *binder) mayCreateSchemas(pos ast.Pos) bool {
	cat := b.env.Catalog
	if cat.Roles.May(b.asker(), "CREATE", role.Database, cat.OID(), "", false) {
		return true
	}
	b.fail(denied("database", cat.Database), pos)
	return false
}

// mayName says whether a schema may have a name, and fails if not.
func (b *binder) mayName(name *ast.Ident) bool {
	if strings.HasPrefix(name.Name, "pg_") {
		b.fail(pgerr.New(pgerr.ReservedName, `unacceptable schema name "%s"`, name.Name).WithDetail(`The prefix "pg_" is reserved for system schemas.`), name.Pos())
		return false
	}
	return true
}

// ownSchema finds a schema that the statement may change, in the way of a word; it is nil after an
// error.
func (b *binder) ownSchema(name *ast.Ident, word string) *catalog.Namespace {
	cat := b.env.Catalog
	n := cat.Namespace(name.Name)
	switch {
	case n == nil && cat.SchemaOID(name.Name) == 0:
		b.fail(noSchema(name.Name), name.Pos())
	case n == nil:
		b.fail(pgerr.New(pgerr.DependentObjects, "cannot %s schema %s because it is required by the database system", word, name.Name), name.Pos())
	case !b.ownsSchema(n):
		b.fail(pgerr.New(pgerr.InsufficientPrivilege, "must be owner of schema %s", name.Name), name.Pos())
		return nil
	}
	return n
}

func (b *binder) ownsSchema(n *catalog.Namespace) bool {
	roles, who, owner := b.env.Catalog.Roles, b.asker(), ""
	if n != nil {
		owner = n.Schema.Owner
	}
	return roles.Super(who) || owner != "" && roles.Member(who, owner, true)
}

// alterSchema binds ALTER SCHEMA.
func (b *binder) alterSchema(c *Change, s *ast.AlterSchema) {
	word := "rename"
	if s.Owner != nil {
		word = "alter"
	}
	n := b.ownSchema(&s.Name, word)
	if s.Owner != nil {
		if n == nil {
			return
		}
		owner, ok := b.newOwner(s.Owner)
		if ok && owner != n.Schema.Owner && b.mayCreateSchemas(s.Owner.Pos()) {
			schema := n.Schema.Clone()
			schema.Owner = owner
			c.Ops = append(c.Ops, table.Op{Kind: table.OpAlter, Table: schema.Table, Version: schema.Version, Schema: schema})
		}
		return
	}
	switch {
	case n == nil || !b.mayCreateSchemas(s.Name.Pos()) || !b.mayName(&s.To):
		return
	case b.env.Catalog.SchemaOID(s.To.Name) != 0:
		b.fail(pgerr.New(pgerr.DuplicateSchema, `schema "%s" already exists`, s.To.Name), s.To.Pos())
		return
	}
	schema := n.Schema.Clone()
	schema.Name = s.To.Name
	c.Ops = append(c.Ops, table.Op{Kind: table.OpAlter, Table: schema.Table, Version: schema.Version, Schema: schema})
	var names []newName
	for _, t := range b.tablesIn(n) {
		names = append(names, newName{table: t, schema: s.To.Name, name: t.Name})
	}
	b.renamed(c, names...)
}

// tablesIn lists the tables and views of a schema.
func (b *binder) tablesIn(n *catalog.Namespace) []*catalog.Table {
	var out []*catalog.Table
	for _, t := range b.env.Catalog.Tables {
		if t.Space != nil && t.Space.OID == n.OID {
			out = append(out, t)
		}
	}
	return out
}

// dropSchemas binds DROP SCHEMA.
func (b *binder) dropSchemas(c *Change, s *ast.DropSchema) {
	var gone []*catalog.Namespace
	var within []*catalog.Table
	var list []dependent
	for i := range s.Names {
		name := &s.Names[i]
		if s.IfExists && b.env.Catalog.SchemaOID(name.Name) == 0 {
			c.Notices = append(c.Notices, notice("00000", `schema "%s" does not exist, skipping`, name.Name))
			continue
		}
		n := b.ownSchema(name, "drop")
		if n == nil {
			return
		}
		if slices.Contains(gone, n) {
			continue
		}
		gone = append(gone, n)
		for _, t := range b.tablesIn(n) {
			list = append(list, dependent{what: kindOf(t) + " " + b.called(t), on: "schema " + ast.QuoteIdent(n.Name), dropped: t})
			within = append(within, t)
		}
	}
	list = append(list, b.allDependents(within)...)
	of := "schema " + ast.FormatName(s.Names[:1])
	if len(gone) > 1 {
		of = ""
	}
	b.dependents(c, nil, list, s.Cascade, of, s.Pos())
	for _, n := range gone {
		c.Ops = append(c.Ops, table.Op{Kind: table.OpDrop, Table: n.Schema.Table, Version: n.Schema.Version})
	}
}

// setSchema binds ALTER TABLE … SET SCHEMA.
func (b *binder) setSchema(c *Change, schema *table.Schema, a *ast.AlterAction, t *catalog.Table) {
	to := a.To.Name
	if to == "pg_temp" || to == catalog.TempSchema || t.Temp() {
		b.fail(pgerr.New(pgerr.FeatureNotSupported, "cannot move objects into or out of temporary schemas"), a.To.Pos())
		return
	}
	if !b.mayUse(to, a.To.Pos()) {
		return
	}
	number, ok := b.creatingIn(to, a.To.Pos())
	if !ok || to == t.Namespace() {
		return
	}
	if b.env.Catalog.In(to, t.Name) != nil {
		b.fail(pgerr.New(pgerr.DuplicateTable, `relation "%s" already exists in schema "%s"`, t.Name, to), a.To.Pos())
		return
	}
	schema.In = number
	b.renamed(c, newName{table: t, schema: to, name: t.Name})
}

// comment binds COMMENT ON.
func (b *binder) comment(c *Change, s *ast.Comment) {
	cat := b.env.Catalog
	last := s.Name[len(s.Name)-1]
	switch s.What {
	case "DATABASE":
		switch {
		case last.Name != cat.Database:
			n := notice(pgerr.UndefinedDatabase, `database "%s" does not exist`, last.Name)
			n.Severity = "WARNING"
			c.Notices = append(c.Notices, n)
		case !cat.Roles.Super(b.asker()):
			b.fail(pgerr.New(pgerr.InsufficientPrivilege, "must be owner of database %s", last.Name), last.Pos())
		default:
			b.note(c, catalog.NoteDatabase, nil, func(n *table.Schema) { n.Comment = s.Text })
		}
	case "SCHEMA":
		n := cat.Namespace(last.Name)
		switch {
		case n == nil && cat.SchemaOID(last.Name) == 0:
			b.fail(noSchema(last.Name), last.Pos())
		case !b.ownsSchema(n):
			b.fail(pgerr.New(pgerr.InsufficientPrivilege, "must be owner of schema %s", last.Name), last.Pos())
		case n == nil:
			b.note(c, catalog.NoteOfSchema(last.Name), nil, func(n *table.Schema) { n.Comment = s.Text })
		default:
			b.amend(c, n.Schema, func(n *table.Schema) { n.Comment = s.Text })
		}
	case "SEQUENCE":
		b.commentSequence(c, s)
	default:
		b.commentTable(c, s)
	}
}

// commentSequence binds COMMENT ON SEQUENCE.
func (b *binder) commentSequence(c *Change, s *ast.Comment) {
	schema, name := b.schemaName(s.Name)
	if b.err != nil {
		return
	}
	of, col := b.sequenceNamed(schema, name)
	switch {
	case of == nil && b.named(s.Name) != nil:
		b.fail(pgerr.New(pgerr.WrongObjectType, `"%s" is not a sequence`, name), s.Name[0].Pos())
	case of == nil:
		b.fail(pgerr.New(pgerr.UndefinedTable, `relation "%s" does not exist`, ast.FormatName(s.Name)), s.Name[0].Pos())
	case b.owns(of, s.Name[0].Pos()):
		b.amend(c, of.Schema, func(next *table.Schema) { next.ByID(col.ID).SequenceComment = s.Text })
	}
}

// commentTable binds COMMENT ON of a table, a view, or a column.
func (b *binder) commentTable(c *Change, s *ast.Comment) {
	name, column := s.Name, (*ast.Ident)(nil)
	if s.What == "COLUMN" {
		if len(name) < 2 {
			b.fail(pgerr.New(pgerr.SyntaxError, "column name must be qualified"), name[0].Pos())
			return
		}
		name, column = name[:len(name)-1], &name[len(name)-1]
	}
	t := b.named(name)
	switch {
	case b.err != nil:
		return
	case t == nil:
		b.fail(pgerr.New(pgerr.UndefinedTable, `relation "%s" does not exist`, ast.FormatName(name)), name[0].Pos())
		return
	case column == nil && !strings.EqualFold(s.What, kindOf(t)):
		b.fail(pgerr.New(pgerr.WrongObjectType, `"%s" is not a %s`, t.Name, strings.ToLower(s.What)), name[0].Pos())
		return
	case t.System != "":
		b.fail(pgerr.New(pgerr.InsufficientPrivilege, `permission denied: "%s" is a system catalog`, t.Name), name[0].Pos())
		return
	case column != nil && t.Column(column.Name) == nil:
		b.fail(pgerr.New(pgerr.UndefinedColumn, `column "%s" of relation "%s" does not exist`, column.Name, t.Name), column.Pos())
		return
	case !b.owns(t, name[0].Pos()):
		return
	}
	set := func(x *table.Schema) {
		if column == nil {
			x.Comment = s.Text
			return
		}
		x.Column(column.Name).Comment = s.Text
	}
	if t.Schema != nil {
		b.amend(c, t.Schema, set)
		return
	}
	b.note(c, catalog.NoteOf(t.Name), t.Columns, set)
}

// amend changes what a table or a schema looks like.
func (b *binder) amend(c *Change, s *table.Schema, change func(*table.Schema)) {
	next := s.Clone()
	change(next)
	c.Ops = append(c.Ops, table.Op{Kind: table.OpAlter, Table: s.Table, Version: s.Version, Schema: next})
}

// note changes the note about what every project has, which has columns, or makes it.
func (b *binder) note(c *Change, name string, columns []catalog.Column, change func(*table.Schema)) {
	with := func(n *table.Schema) {
		for _, col := range columns {
			if n.Column(col.Name) == nil {
				n.Add(table.Column{Name: col.Name, Type: col.Type})
			}
		}
		change(n)
	}
	if old := b.env.Catalog.Notes[name]; old != nil {
		b.amend(c, old, with)
		return
	}
	n := &table.Schema{Kind: table.Note, Name: name, Version: 1}
	with(n)
	c.Ops = append(c.Ops, table.Op{Kind: table.OpCreate, Schema: n})
}

// dependent is something that cannot be without another thing.
type dependent struct {
	what, on string         // in words: "view v", "table t"
	dropped  *catalog.Table // a table or view that goes
	// table is the one that loses a constraint, which is what goes otherwise.
	table      *catalog.Table
	constraint string
}

// called is the name of a table in messages: with its schema where the name alone does not find it.
func (b *binder) called(t *catalog.Table) string {
	if b.lookUp("", t.Name) == t {
		return ast.QuoteIdent(t.Name)
	}
	return ast.QuoteIdent(t.Namespace()) + "." + ast.QuoteIdent(t.Name)
}

// references lists the foreign keys that name a table, those of it included.
func (b *binder) references(t *catalog.Table, on string, keep func(*table.ForeignKey) bool) []dependent {
	var out []dependent
	for _, u := range b.env.Catalog.Tables {
		if u.Schema == nil || t.Schema == nil {
			continue
		}
		for i := range u.Schema.Foreign {
			if f := &u.Schema.Foreign[i]; f.Table == t.Schema.Table && keep(f) {
				out = append(out, dependent{what: "constraint " + ast.QuoteIdent(f.Name) + " on table " + b.called(u), on: on, table: u, constraint: f.Name})
			}
		}
	}
	return out
}

// allDependents lists what cannot be without some tables and is none of them: views that read them or
// each other, and foreign keys of others.
func (b *binder) allDependents(tables []*catalog.Table) []dependent {
	var out []dependent
	gone := slices.Clone(tables)
	for i := 0; i < len(gone); i++ {
		t := gone[i]
		on := kindOf(t) + " " + b.called(t)
		for _, v := range b.readers(t) {
			if !slices.Contains(gone, v) {
				out = append(out, dependent{what: "view " + b.called(v), on: on, dropped: v})
				gone = append(gone, v)
			}
		}
		for _, d := range b.references(t, on, func(*table.ForeignKey) bool { return true }) {
			if !slices.Contains(tables, d.table) {
				out = append(out, d)
			}
		}
	}
	return out
}

// dependents has what depends on something go with it, or says that because of that it cannot go.
// Self is a table that is being changed anyway, nil for none. An empty of stands for several things.
func (b *binder) dependents(c *Change, self *table.Schema, list []dependent, cascade bool, of string, pos ast.Pos) {
	if len(list) == 0 || b.err != nil {
		return
	}
	var lines []string
	for _, d := range list {
		if cascade {
			lines = append(lines, "drop cascades to "+d.what)
		} else {
			lines = append(lines, d.what+" depends on "+d.on)
		}
	}
	if !cascade {
		e := pgerr.New(pgerr.DependentObjects, "cannot drop %s because other objects depend on it", of)
		if of == "" {
			e = pgerr.New(pgerr.DependentObjects, "cannot drop desired object(s) because other objects depend on them")
		}
		b.fail(e.WithDetail("%s", strings.Join(lines, "\n")).WithHint("Use DROP ... CASCADE to drop the dependent objects too."), pos)
		return
	}
	if len(lines) == 1 {
		c.Notices = append(c.Notices, notice("00000", "%s", lines[0]))
	} else {
		c.Notices = append(c.Notices, notice("00000", "drop cascades to %d other objects", len(lines)).WithDetail("%s", strings.Join(lines, "\n")))
	}
	without := func(s *table.Schema, t *catalog.Table) {
		s.Foreign = slices.DeleteFunc(s.Foreign, func(f table.ForeignKey) bool {
			return slices.ContainsFunc(list, func(d dependent) bool { return d.table == t && d.constraint == f.Name })
		})
	}
	dropped := func(t *catalog.Table) bool {
		return slices.ContainsFunc(list, func(d dependent) bool { return d.dropped == t })
	}
	for i, d := range list {
		switch {
		case d.dropped != nil:
			c.Ops = append(c.Ops, table.Op{Kind: table.OpDrop, Table: d.dropped.Schema.Table, Version: d.dropped.Schema.Version})
		case dropped(d.table):
		case self != nil && d.table.Schema.Table == self.Table:
			without(self, d.table)
		case !slices.ContainsFunc(list[:i], func(o dependent) bool { return o.table == d.table }): // all of a table at once
			b.amend(c, d.table.Schema, func(s *table.Schema) { without(s, d.table) })
		}
	}
}
