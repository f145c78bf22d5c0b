package bind

import (
	"slices"
	"strconv"
	"sync"

	"github.com/prickledb/prickle/engine/catalog"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/sql/ast"
	"github.com/prickledb/prickle/sql/parse"
	"github.com/prickledb/prickle/storage/table"
	"github.com/prickledb/prickle/storage/vec"
)

// A view is kept as the text of its query, in which stars are written out, so that a column
// that a table gets later is none of the view's. What it reads is found by binding it. Names
// in the text follow what is renamed: the statement that renames writes them anew.

// read is a name of FROM and the table that it means.
type read struct {
	name  *ast.TableName
	table *catalog.Table
}

// viewTable is a view in FROM: its query, as if it stood there.
func (b *binder) viewTable(t *ast.TableName, v *catalog.Table) *relation {
	rel := &relation{alias: v.Name, node: &plan.Values{}, table: v}
	for _, c := range v.Columns {
		rel.fields = append(rel.fields, vec.Field{Name: c.Name, Type: c.Type})
	}
	what := `view "` + v.Name + `"`
	if b.circular(what, t.Pos()) {
		return rel
	}
	b.inside(what, t.Pos(), v.Owner(), v.Temp(), func() {
		q, err := parse.Query(v.View())
		if err != nil {
			b.failErr(err, t.Pos())
			return
		}
		rel.node = b.query(q)
	})
	for i, f := range rel.node.Schema() {
		if b.err == nil && i < len(rel.fields) && rel.fields[i].Type.Kind == vec.Record {
			rel.fields[i].Type = f.Type // a view keeps no shapes of rows
		}
	}
	if b.err == nil && len(rel.node.Schema()) != len(rel.fields) {
		b.fail(pgerr.New(pgerr.ObjectNotInState, `view "%s" has %d columns, and its query gives %d`, v.Name, len(rel.fields), len(rel.node.Schema())).
			WithHint("Make it anew with CREATE OR REPLACE VIEW."), t.Pos())
	}
	return rel
}

// written is how a column of FROM is named unmistakably.
func (rel *relation) written(i int) ast.Expr {
	name := ast.ID(rel.fields[i].Name)
	if rel.alias != "" {
		return &ast.Name{Parts: []ast.Ident{ast.ID(rel.alias), name}}
	}
	if rel.join != nil && rel.origins[i].merge == nil {
		return rel.origins[i].rel.written(rel.origins[i].index)
	}
	return &ast.Name{Parts: []ast.Ident{name}}
}

// noteStar notes a column that a star stands for.
func (b *binder) noteStar(star, x ast.Expr, alias *ast.Ident) {
	if b.stars != nil {
		b.stars[star] = append(b.stars[star], ast.SelectItem{Expr: x, Alias: alias})
	}
}

// public is an environment in which names without a schema are those of public, as they are in
// what is kept.
func public(env Env) Env {
	if env.Catalog.Path == nil {
		return env
	}
	c := *env.Catalog
	c.Path = nil
	env.Catalog = &c
	return env
}

// qualify gives the names of tables that are not in public their schema.
func qualify(reads []read) {
	for _, r := range reads {
		switch schema := r.table.Namespace(); {
		case len(r.name.Name) > 1 || schema == "pg_catalog" || schema == catalog.Public || r.table.Temp():
		default:
			r.name.Name = []ast.Ident{ast.ID(schema), r.name.Name[0]}
		}
	}
}

// Kept is the text of a query to keep: it means the same whatever search_path is.
func Kept(env Env, q ast.Query) string {
	text := ast.Format(q)
	own, err := parse.Query(text)
	if err != nil {
		return text
	}
	var reads []read
	b := newBinder(env)
	b.reads = &reads
	b.query(own)
	qualify(reads)
	return ast.Format(own)
}

// viewText is the text of a view's query, which gives a result of a schema: with stars written
// out where that gives the same.
func viewText(env Env, q ast.Query, schema vec.Schema) string {
	text := Kept(env, q)
	own, err := parse.Query(text)
	if err != nil {
		return text
	}
	env = public(env)
	b := newBinder(env)
	b.stars = map[ast.Expr][]ast.SelectItem{}
	b.query(own)
	ast.Walk(own, func(n ast.Node) bool {
		s, ok := n.(*ast.Select)
		if !ok {
			return true
		}
		for i := 0; i < len(s.Items); i++ {
			if items := b.stars[s.Items[i].Expr]; items != nil {
				s.Items = slices.Concat(s.Items[:i:i], items, s.Items[i+1:])
				i += len(items) - 1
			}
		}
		return true
	})
	full := ast.Format(own)
	if own, err = parse.Query(full); err != nil {
		return text
	}
	b = newBinder(env)
	if got := b.query(own).Schema(); b.err != nil || !slices.Equal(got, schema) {
		return text
	}
	return full
}

// cohortNumbers are the numbers of the cohorts by their names; of several that have one name, that of
// the oldest.
func (b *binder) cohortNumbers() map[string]int64 {
	out := map[string]int64{}
	if b.env.Catalog.Cohorts == nil {
		return out
	}
	rows, err := b.env.Catalog.Cohorts()
	if err != nil {
		b.failErr(err, ast.NoPos)
		return out
	}
	ids, names := rows.Cols[0], rows.Cols[1]
	for i := range rows.Rows {
		if name := names.Str.Str(i); !names.IsNull(i) && out[name] == 0 {
			out[name] = ids.I64[i]
		}
	}
	return out
}

// numbered is the text of a view's query that refers to cohorts by their numbers, so that it follows
// when they get other names.
func (b *binder) numbered(text string) string {
	q, err := parse.Query(text)
	if err != nil {
		return text
	}
	numbers := sync.OnceValue(b.cohortNumbers)
	if ast.NumberCohorts(q, func(name string) int64 { return numbers()[name] }) {
		return ast.Format(q)
	}
	return text
}

// ViewText is the query of a view as it is shown: cohorts have their names.
func ViewText(env Env, v *catalog.Table) string {
	q, err := parse.Query(v.View())
	if err != nil {
		return v.View()
	}
	names := sync.OnceValue(func() map[int64]string {
		out := map[int64]string{}
		for name, id := range newBinder(env).cohortNumbers() {
			out[id] = name
		}
		return out
	})
	if ast.NameCohorts(q, func(id int64) string { return names()[id] }) {
		return ast.Format(q)
	}
	return v.View()
}

// FullText is an expression that a table keeps with all its parentheses; a literal with its type
// stays as it is.
func FullText(text string) string {
	e, err := parse.Expr(text)
	if err != nil {
		return text
	}
	if c, ok := e.(*ast.Cast); ok {
		if _, ok := c.X.(*ast.String); ok {
			return text
		}
	}
	return ast.FormatFull(e)
}

// anonymous says whether rows have no names of columns but those that ROW(…) gives.
func (b *binder) anonymous(t vec.Type) bool {
	for i, f := range b.shapes[t.Mod-1] {
		if f.Name != "f"+strconv.Itoa(i+1) {
			return false
		}
	}
	return true
}

// createView binds CREATE VIEW.
func (b *binder) createView(c *Change, s *ast.CreateView) {
	if changes(s.Query.Tail().With) {
		b.fail(pgerr.New(pgerr.FeatureNotSupported, "views must not contain data-modifying statements in WITH"), ast.NoPos)
	}
	var reads []read
	b.reads = &reads
	node := b.query(s.Query)
	b.reads = nil
	b.finishParams()
	if b.err != nil || len(b.params) > 0 {
		return // DDL says that there are no parameters
	}
	name, temp := s.Name[len(s.Name)-1].Name, s.Temp
	if !temp && slices.ContainsFunc(reads, func(r read) bool { return r.table.Temp() }) {
		temp = true
		c.Notices = append(c.Notices, notice("00000", `view "%s" will be a temporary view`, name))
	}
	at, _ := b.schemaName(s.Name)
	switch {
	case b.err != nil:
		return
	case temp && at == "":
		at = "pg_temp"
	case at == "":
		at = b.env.Catalog.Creating()
	}
	old := b.env.Catalog.In(at, name)
	var schema *table.Schema
	switch {
	case old == nil || !s.Replace || old.Schema == nil:
		if schema, _ = b.newTable(s.Name, false, temp); schema == nil {
			return
		}
		old = nil
	case old.View() == "":
		b.fail(pgerr.New(pgerr.WrongObjectType, `"%s" is not a view`, name), s.Name[0].Pos())
		return
	case !b.owns(old, s.Name[0].Pos()):
		return
	default:
		schema = &table.Schema{Name: name, Version: 1, Owner: old.Owner(), Temp: temp, In: old.Schema.In, Comment: old.Schema.Comment}
	}
	if old != nil && b.readsView(reads, old) {
		b.fail(pgerr.New(pgerr.InvalidRecursion, `view "%s" cannot read itself`, name), s.Query.Pos())
		return
	}
	fields := node.Schema()
	if len(s.Columns) > len(fields) {
		b.fail(pgerr.New(pgerr.SyntaxError, "CREATE VIEW specifies more column names than columns"), s.Columns[len(fields)].Pos())
		return
	}
	for i, f := range fields {
		id := ast.Ident{Place: s.Place, Name: f.Name}
		if i < len(s.Columns) {
			id = s.Columns[i]
		}
		if t := f.Type; t.Kind == vec.Record && t.Mod > 0 && b.err == nil && schema.Column(id.Name) == nil && !b.anonymous(t) {
			schema.Add(table.Column{Name: id.Name, Type: vec.T(vec.Record)}) // which one its query tells
			continue
		}
		b.addColumn(schema, id, f.Type)
	}
	if schema.View = b.numbered(viewText(b.env, s.Query, fields)); len(schema.View) > maxViewBytes {
		b.fail(pgerr.New(pgerr.ProgramLimitExceeded, "the query of a view has at most %d bytes", maxViewBytes), s.Query.Pos())
	}
	if b.err != nil {
		return
	}
	if old == nil {
		c.Ops = append(c.Ops, table.Op{Kind: table.OpCreate, Schema: schema})
		return
	}
	for i, o := range old.Schema.Columns {
		if i >= len(schema.Columns) {
			b.fail(pgerr.New(pgerr.InvalidTableDefinition, "cannot drop columns from view"), s.Pos())
			return
		}
		switch n := &schema.Columns[i]; {
		case n.Name != o.Name:
			b.fail(pgerr.New(pgerr.InvalidTableDefinition, `cannot change name of view column "%s" to "%s"`, o.Name, n.Name).
				WithHint("Use ALTER VIEW ... RENAME COLUMN ... to change name of view column instead."), s.Pos())
		case n.Type != o.Type:
			b.fail(pgerr.New(pgerr.InvalidTableDefinition, `cannot change data type of view column "%s" from %s to %s`, o.Name, o.Type, n.Type), s.Pos())
		}
	}
	for i, o := range old.Schema.Columns {
		schema.Columns[i].Comment, schema.Columns[i].Default = o.Comment, o.Default
	}
	c.Ops = append(c.Ops, table.Op{Kind: table.OpAlter, Table: old.Schema.Table, Version: old.Schema.Version, Schema: schema})
}

// maxViewBytes bounds the query of a view, stars written out.
const maxViewBytes = 1 << 20

// readsView says whether what is read is a view, or reads it.
func (b *binder) readsView(reads []read, v *catalog.Table) bool {
	return slices.ContainsFunc(reads, func(r read) bool {
		return r.table == v || r.table.View() != "" && b.readsView(viewReads(b.env, r.table), v)
	})
}

// Reads lists the tables that a view reads itself, each once.
func Reads(env Env, v *catalog.Table) []*catalog.Table {
	var out []*catalog.Table
	for _, r := range viewReads(env, v) {
		if !slices.Contains(out, r.table) {
			out = append(out, r.table)
		}
	}
	return out
}

// viewReads is what a view reads itself, as far as its query can be bound.
func viewReads(env Env, v *catalog.Table) []read {
	_, reads, _ := boundView(env, v)
	return reads
}

// boundView binds the query of a view. Reads are names in the tree.
func boundView(env Env, v *catalog.Table) (q ast.Query, reads []read, err error) {
	q, err = parse.Query(v.View())
	if err != nil {
		return nil, nil, err
	}
	b := newBinder(public(env))
	owner := v.Owner()
	b.reads, b.as, b.lasting = &reads, &owner, !v.Temp()
	b.query(q)
	if b.err != nil {
		err = b.err
	}
	return q, reads, err
}

// readers lists the views that read a table, in the order of the catalog.
func (b *binder) readers(t *catalog.Table) []*catalog.Table {
	var out []*catalog.Table
	for _, v := range b.env.Catalog.Tables {
		if v.View() != "" && v != t && slices.ContainsFunc(viewReads(b.env, v), func(r read) bool { return r.table == t }) {
			out = append(out, v)
		}
	}
	return out
}

// kindOf is what messages call a table or view.
func kindOf(t *catalog.Table) string {
	if t.View() != "" {
		return "view"
	}
	return "table"
}

// dropTables binds DROP TABLE and DROP VIEW.
func (b *binder) dropTables(c *Change, s *ast.DropTable) {
	what := "table"
	if s.View {
		what = "view"
	}
	var gone []*catalog.Table
	for _, name := range s.Names {
		t := b.userTable(name, what, "", s.IfExists, c)
		if t == nil || slices.Contains(gone, t) {
			continue
		}
		if kindOf(t) != what {
			b.fail(pgerr.New(pgerr.WrongObjectType, `"%s" is not a %s`, t.Name, what).
				WithHint("Use DROP %s to remove a %s.", map[bool]string{true: "TABLE", false: "VIEW"}[s.View], kindOf(t)), name[0].Pos())
			return
		}
		gone = append(gone, t)
	}
	if b.err != nil {
		return
	}
	of := ""
	if len(gone) == 1 {
		of = what + " " + b.called(gone[0])
	}
	b.dependents(c, nil, b.allDependents(gone), s.Cascade, of, s.Pos())
	for _, t := range gone {
		c.Ops = append(c.Ops, table.Op{Kind: table.OpDrop, Table: t.Schema.Table, Version: t.Schema.Version})
	}
}

// users lists the views that cannot go on where a table is changed to another, and those that read
// them, as dependent on what the change takes away.
func (b *binder) users(t, changed *catalog.Table, of string) []dependent {
	without := *b.env.Catalog
	without.Tables = slices.Clone(without.Tables)
	without.Tables[slices.Index(without.Tables, t)] = changed
	env := b.env
	env.Catalog = &without
	var views []*catalog.Table
	var list []dependent
	for _, v := range b.readers(t) {
		if _, _, err := boundView(env, v); err != nil {
			views = append(views, v)
			list = append(list, dependent{what: "view " + b.called(v), on: of, dropped: v})
		}
	}
	for _, d := range b.allDependents(views) {
		if !slices.Contains(views, d.dropped) {
			list = append(list, d)
		}
	}
	return list
}

// columnUsers lists the views that cannot be without a column of a table.
func (b *binder) columnUsers(t *catalog.Table, column, of string) []dependent {
	without := *t
	without.Columns = slices.DeleteFunc(slices.Clone(t.Columns), func(x catalog.Column) bool { return x.Name == column })
	return b.users(t, &without, of)
}

// dropColumn takes a column out of a schema, and with cascade what needs it.
func (b *binder) dropColumn(c *Change, t *catalog.Table, schema *table.Schema, col *table.Column, cascade bool, pos ast.Pos) {
	of := "column " + ast.QuoteIdent(col.Name) + " of table " + b.called(t)
	list := b.columnUsers(t, col.Name, of)
	list = append(list, b.references(t, of, func(f *table.ForeignKey) bool { return slices.Contains(f.Of, col.ID) })...)
	b.dependents(c, schema, list, cascade, of, pos)
	schema.Drop(col.ID)
}

// newName is what a table is called from now on. Columns are the old ones, if one of them has
// another name; nil otherwise.
type newName struct {
	table        *catalog.Table
	schema, name string
	columns      []catalog.Column
}

// renamed writes the views anew that read tables of which something has another name: each
// such name in FROM gets an alias that keeps the old names.
func (b *binder) renamed(c *Change, names ...newName) {
	of := func(t *catalog.Table) *newName {
		if i := slices.IndexFunc(names, func(n newName) bool { return n.table == t }); i >= 0 {
			return &names[i]
		}
		return nil
	}
	var views []*catalog.Table
	for i := range names {
		for _, v := range b.readers(names[i].table) {
			if !slices.Contains(views, v) {
				views = append(views, v)
			}
		}
	}
	for _, v := range views {
		q, reads, err := boundView(b.env, v)
		if err != nil {
			b.failErr(err, ast.NoPos)
			return
		}
		for _, r := range reads {
			if to := of(r.table); to != nil {
				to.write(r.name)
			}
		}
		b.amend(c, v.Schema, func(s *table.Schema) { s.View = ast.Format(q) })
	}
}

// write changes a name of FROM.
func (to *newName) write(n *ast.TableName) {
	was := to.table
	switch {
	case to.schema == was.Namespace():
		n.Name = append(n.Name[:len(n.Name)-1:len(n.Name)-1], ast.ID(to.name))
	case to.schema == catalog.Public:
		n.Name = []ast.Ident{ast.ID(to.name)}
	default:
		n.Name = []ast.Ident{ast.ID(to.schema), ast.ID(to.name)}
	}
	if n.Alias == nil && (to.name != was.Name || len(to.columns) > 0) {
		n.Alias = &ast.Alias{Name: ast.ID(was.Name)}
	}
	for i := 0; n.Alias != nil && i < len(to.columns); i++ {
		if i >= len(n.Alias.Columns) {
			n.Alias.Columns = append(n.Alias.Columns, ast.ColumnDef{Name: ast.ID(to.columns[i].Name)})
		}
	}
}
