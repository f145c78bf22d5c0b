package bind

import (
	"fmt"
	"strings"

	"github.com/prickledb/prickle/engine/catalog"
	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/sql/ast"
	"github.com/prickledb/prickle/storage/vec"
)

// scope is what names mean at one place in a statement.
type scope struct {
	rel    *relation // nil: no FROM
	clause string    // for messages: "WHERE"
	// aggs collects aggregates; nil where none may stand.
	aggs *aggregates
	// windows collects window calls; nil where none may stand.
	windows *windows
	// sets collects functions that give rows; nil where none may stand.
	sets *sets
	// aliases of the select list that may be used here
	aliases map[string]ast.Expr
	busy    *busyAlias // those being expanded
	// outer is what names mean that are not found here: the scope around a subquery.
	outer *scope
	// host takes in the correlated subqueries that stand here; nil where none may.
	host *selection
	// computed are aggregates that are columns of rel, with their names.
	computed map[*ast.Call]string
}

// without is the scope with other rules on aggregates.
func (s *scope) in(clause string, aggs *aggregates) *scope {
	c := *s
	c.clause, c.aggs, c.windows, c.sets = clause, aggs, nil, nil
	return &c
}

// relation is one element of FROM.
type relation struct {
	alias  string // how columns are qualified; may be empty
	node   plan.Node
	scan   *plan.Scan // node, if it is a scan that grows by need
	table  *catalog.Table
	oid    uint32     // of the table whose rows these are, where no scan gives it; 0 if there is none
	fields vec.Schema // names as the statement sees them
	// base is where the numbers of its columns begin as long as the inputs of a join may
	// grow; see seal.
	base int
	// A join has no node before it is sealed. Its fields stand in other relations, of which
	// parts are those that can be named.
	join   *joined
	inJoin bool // it is an input of a join
	// extended: an outer join gives NULLs where it has no row of the relation.
	extended bool
	value    bool // a function in FROM that gives values, not rows: its name means that value
	parts    []*relation
	origins  []origin
	// sources are the columns of tables that its own show, if it is a subquery; nil for none.
	sources []Source
}

// pathRef is a value inside a jsonb column whose type waits for its context.
type pathRef struct {
	rel    *relation // with a scan, or nil
	column string
	keys   []string
	base   expr.Expr   // otherwise: a jsonb value
	rest   []expr.Expr // and the keys to follow
	digits bool        // as text: numbers as they were written
	pos    ast.Pos
}

// Type is the type that the path has without a context.
func (*pathRef) Type() vec.Type { return vec.T(vec.Text) }

// Eval is never called: paths are resolved before they become part of a plan.
func (p *pathRef) Eval(*expr.Context, *vec.Batch) (*vec.Vector, error) {
	return nil, fmt.Errorf("path into %s was not resolved", p.column)
}

// column is a column of the relation as an expression over its node.
func (b *binder) column(rel *relation, i int, pos ast.Pos) expr.Expr {
	f := rel.fields[i]
	if rel.origins != nil {
		return b.origin(rel.origins[i], f, pos)
	}
	index := i
	if rel.scan != nil {
		index = rel.scanColumn(plan.ScanColumn{Column: f.Name, Type: f.Type})
	}
	c := &expr.Column{Index: rel.base + index, T: f.Type, Name: rel.shown(f.Name)}
	b.places[c] = place{pos, rel.qualified(f.Name)}
	if rel.table != nil {
		b.sources[c] = sourceOf(rel.table, i)
	} else if rel.sources != nil && rel.sources[i].Table != 0 {
		b.sources[c] = rel.sources[i]
	}
	return c
}

// sourceOf is column i of a table.
func sourceOf(t *catalog.Table, i int) Source {
	s := Source{t.OID, int16(i + 1)}
	if t.Schema != nil && i < len(t.Schema.Columns) {
		s.Column = int16(t.Schema.Columns[i].ID)
	}
	return s
}

// scanColumn finds or adds a column of the scan.
func (rel *relation) scanColumn(want plan.ScanColumn) int {
	want.Name = want.Label()
	for i := range rel.scan.Columns {
		c := &rel.scan.Columns[i]
		if c.Name == want.Name && c.Column == want.Column && c.Type == want.Type && c.Digits == want.Digits && samePath(c.Path, want.Path) {
			return i
		}
	}
	rel.scan.Columns = append(rel.scan.Columns, want)
	return len(rel.scan.Columns) - 1
}

func samePath(a, b []string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

func (rel *relation) qualified(column string) string {
	if rel.alias == "" {
		return column
	}
	return rel.alias + "." + column
}

func (rel *relation) names() []string {
	if rel == nil {
		return nil
	}
	out := make([]string, len(rel.fields))
	for i, f := range rel.fields {
		out[i] = f.Name
	}
	return out
}

// find is the position of a column: -1 for none, -2 for several.
func (rel *relation) find(name string) int {
	at := -1
	if rel == nil {
		return at
	}
	for i := range rel.fields {
		if rel.fields[i].Name == name {
			if at >= 0 {
				return -2
			}
			at = i
		}
	}
	return at
}

// name binds a dotted name, here or, if nothing has it, in what is around the query.
func (b *binder) name(n *ast.Name, sc *scope) expr.Expr {
	if sc.outer != nil && sc.outer.qualifies(n) && sc.rel.named(n.Parts[0].Name) == nil {
		return b.name(n, sc.outer.unaliased())
	}
	e := b.nameHere(n, sc)
	if b.err == nil || sc.outer == nil || b.err.Code != pgerr.UndefinedColumn && b.err.Code != pgerr.UndefinedTable {
		return e
	}
	here := b.err
	b.err = nil
	if e = b.name(n, sc.outer.unaliased()); b.err != nil && (b.err.Code == pgerr.UndefinedColumn || b.err.Code == pgerr.UndefinedTable) {
		b.err = here
	}
	return e
}

// unaliased is the scope as a subquery inside it sees it.
func (s *scope) unaliased() *scope {
	around := s.in(s.clause, nil)
	around.aliases = nil
	return around
}

// qualifies says whether a dotted name is that of a column, after its relation, here or around
// the query. Such a name does not mean a path into a column of a subquery.
func (s *scope) qualifies(n *ast.Name) bool {
	if len(n.Parts) < 2 {
		return false
	}
	for ; s != nil; s = s.outer {
		if rel := s.rel.named(n.Parts[0].Name); rel != nil {
			return rel.find(n.Parts[1].Name) != -1
		}
	}
	return false
}

func (b *binder) nameHere(n *ast.Name, sc *scope) expr.Expr {
	parts, rel := n.Parts, sc.rel
	if len(parts) == 1 {
		return b.single(n, sc)
	}
	if len(parts) > 3 && parts[0].Name == b.env.Catalog.Database {
		parts = parts[1:]
	}
	// public.events.event
	if len(parts) > 2 {
		if t := rel.named(parts[1].Name); t != nil && t.table != nil && t.table.InSchema(parts[0].Name) {
			parts = parts[1:]
		}
	}
	first := parts[0].Name
	named := rel.named(first)
	if named != nil {
		if i := named.find(parts[1].Name); i >= 0 {
			if len(parts) == 2 {
				return b.column(named, i, n.Pos())
			}
			if !isJSON(named.fields[i].Type) { // group_0 is a column, and what lies beside it
				if e := b.beside(named, parts[1:], n); e != nil {
					return e
				}
			}
			return b.pathInto(named, i, parts[2:], n)
		} else if i == -2 {
			return b.ambiguous(parts[1].Name, n.Pos())
		}
		if e := b.beside(named, parts[1:], n); e != nil {
			return e
		}
		if e := b.tableOID(named, parts[1].Name, n.Pos()); e != nil && len(parts) == 2 {
			return e
		}
	}
	if i := rel.find(first); i >= 0 {
		if isJSON(rel.fields[i].Type) {
			return b.pathInto(rel, i, parts[1:], n)
		}
		if e := b.beside(rel, parts, n); e != nil {
			return e
		}
		if named == nil {
			return b.fail(pgerr.New(pgerr.WrongObjectType,
				"column notation .%s applied to type %s, which is not a composite type", parts[1].Name, rel.fields[i].Type), n.Pos())
		}
	} else if i == -2 {
		return b.ambiguous(first, n.Pos())
	} else if e := b.beside(rel, parts, n); e != nil {
		return e
	}
	if a, ok := sc.aliases[first]; ok && !sc.busy.has(first) && !sc.around(first) {
		e := b.alias(first, a, sc)
		if p, ok := e.(*pathRef); ok {
			e = b.resolve(p, vec.T(vec.JSONB))
		}
		if isJSON(e.Type()) {
			p := &pathRef{base: e, pos: n.Pos()}
			for _, k := range parts[1:] {
				p.rest = append(p.rest, textConst(k.Name, vec.T(vec.Text)))
			}
			return p
		}
	}
	return b.unknownDotted(parts, rel, n.Pos())
}

// tableOID is the object id of a table, if that is what a name asks for; nil if not.
func (b *binder) tableOID(rel *relation, name string, pos ast.Pos) expr.Expr {
	t := vec.T(vec.OID)
	switch {
	case name != plan.TableOID || rel == nil:
		return nil
	case rel.oid != 0:
		return intConst(int64(rel.oid), t)
	case rel.scan == nil || rel.table == nil:
		return nil
	}
	c := &expr.Column{Index: rel.base + rel.scanColumn(plan.ScanColumn{Column: name, Type: t}), T: t, Name: rel.shown(name)}
	b.places[c] = place{pos, rel.qualified(name)}
	return c
}

func isJSON(t vec.Type) bool { return t.Kind == vec.JSONB && !t.Array }

// single binds a name of one part: a column, or else an alias.
func (b *binder) single(n *ast.Name, sc *scope) expr.Expr {
	name := n.Parts[0].Name
	switch i := sc.rel.find(name); {
	case i >= 0:
		return b.column(sc.rel, i, n.Pos())
	case i == -2:
		return b.ambiguous(name, n.Pos())
	}
	if a, ok := sc.aliases[name]; ok && !sc.busy.has(name) && !sc.around(name) {
		return b.alias(name, a, sc)
	}
	if e := b.tableOID(sc.rel, name, n.Pos()); e != nil {
		return e
	}
	if row := sc.rel.named(name); row != nil {
		return b.wholeRow(row, n.Pos())
	}
	e := pgerr.New(pgerr.UndefinedColumn, `column "%s" does not exist`, name)
	b.hintColumn(e, name, sc)
	return b.fail(e, n.Pos())
}

// around says whether a name means a column or a table of what is around the query. An alias of
// the select list, which PostgreSQL would not look at, does not hide those.
func (sc *scope) around(name string) bool {
	for o := sc.outer; o != nil; o = o.outer {
		if o.rel.find(name) != -1 || o.rel.named(name) != nil {
			return true
		}
	}
	return false
}

// busyAlias is an alias that means a column meanwhile, and not itself, and those around it.
type busyAlias struct {
	name  string
	outer *busyAlias
}

func (a *busyAlias) has(name string) bool {
	for ; a != nil; a = a.outer {
		if a.name == name {
			return true
		}
	}
	return false
}

// alias binds what an alias of the select list stands for, once more.
func (b *binder) alias(name string, a ast.Expr, sc *scope) expr.Expr {
	inner := *sc
	inner.busy = &busyAlias{name, sc.busy}
	if !b.enter(a.Pos()) {
		return null(vec.T(vec.Unknown))
	}
	defer b.leave()
	return b.expr(a, &inner)
}

func (b *binder) ambiguous(name string, pos ast.Pos) expr.Expr {
	return b.fail(pgerr.New(pgerr.AmbiguousColumn, `column reference "%s" is ambiguous`, name), pos)
}

// hintColumn guesses what an unknown column was meant to be: a known property of that
// name, a column nearly of that name, a property nearly of that name.
func (b *binder) hintColumn(e *pgerr.Error, name string, sc *scope) {
	rel := sc.rel
	column := ""
	if events := rel.events(); events != nil && rel.find("properties") >= 0 {
		column = "properties"
	}
	var properties []string
	if column != "" && b.env.Catalog.Properties != nil {
		properties = b.env.Catalog.Properties()
	}
	property := func(p string) { e.WithHint(`Perhaps you meant "%s".`, column+"."+p) }
	if column != "" {
		for _, p := range properties {
			if p == name || p == "$"+name {
				property(p)
				return
			}
		}
	}
	if near := nearest(name, rel.names()); near != "" {
		e.WithHint(`Perhaps you meant to reference the column "%s".`, rel.holder(near).qualified(near))
		return
	}
	if near := nearest(name, mapKeys(sc.aliases)); near != "" {
		e.WithHint(`Perhaps you meant to reference the column "%s".`, near)
		return
	}
	if column != "" {
		if near := nearest(name, properties); near != "" {
			property(near)
		}
	}
}

// unknownDotted is the error for a.b.c where a is neither table nor jsonb column.
func (b *binder) unknownDotted(parts []ast.Ident, rel *relation, pos ast.Pos) expr.Expr {
	words := make([]string, len(parts))
	for i, p := range parts {
		words[i] = p.Name
	}
	first, all := words[0], strings.Join(words, ".")
	if named := rel.named(first); named != nil {
		e := pgerr.New(pgerr.UndefinedColumn, "column %s does not exist", all)
		if near := nearest(words[1], named.names()); near != "" {
			e.WithHint(`Perhaps you meant to reference the column "%s".`, named.qualified(near))
		}
		return b.fail(e, pos)
	}
	if rel != nil {
		var json []string
		for _, f := range rel.fields {
			if isJSON(f.Type) {
				json = append(json, f.Name)
			}
		}
		if near := nearest(first, json); near != "" {
			return b.fail(pgerr.New(pgerr.UndefinedColumn, `column "%s" does not exist`, all).
				WithHint(`Perhaps you meant "%s".`, near+"."+strings.Join(words[1:], ".")), pos)
		}
	}
	e := pgerr.New(pgerr.UndefinedTable, `missing FROM-clause entry for table "%s"`, first)
	if rel != nil {
		var aliases []string
		for _, r := range rel.all() {
			aliases = append(aliases, r.alias)
			if r.table != nil && r.table.Name == first {
				e = pgerr.New(pgerr.UndefinedTable, `invalid reference to FROM-clause entry for table "%s"`, first).
					WithHint(`Perhaps you meant to reference the table alias "%s".`, r.alias)
				return b.fail(e, pos)
			}
		}
		if near := nearest(first, aliases); near != "" && rel.named(near).find(words[1]) >= 0 {
			e.WithHint(`Perhaps you meant to reference the column "%s".`, near+"."+words[1])
		}
	}
	return b.fail(e, pos)
}

// pathInto is a path into a column of the relation.
func (b *binder) pathInto(rel *relation, i int, keys []ast.Ident, n *ast.Name) expr.Expr {
	f := rel.fields[i]
	if !isJSON(f.Type) {
		return b.fail(pgerr.New(pgerr.WrongObjectType,
			"column notation .%s applied to type %s, which is not a composite type", keys[0].Name, f.Type), n.Pos())
	}
	p := b.jsonColumn(rel, i, n.Pos())
	for _, k := range keys {
		p = p.key(k.Name)
	}
	return p
}

// jsonColumn is a path without keys: the column itself.
func (b *binder) jsonColumn(rel *relation, i int, pos ast.Pos) *pathRef {
	if rel.origins != nil {
		if o := rel.origins[i]; o.merge == nil && o.rel.fields[o.index].Type == rel.fields[i].Type {
			return b.jsonColumn(o.rel, o.index, pos)
		}
	}
	if rel.scan != nil {
		return &pathRef{rel: rel, column: rel.fields[i].Name, pos: pos}
	}
	return &pathRef{base: b.column(rel, i, pos), pos: pos}
}

// key is the path one member deeper.
func (p *pathRef) key(k string) *pathRef {
	c := *p
	if p.rel != nil {
		c.keys = append(append([]string(nil), p.keys...), k)
		return &c
	}
	c.rest = append(append([]expr.Expr(nil), p.rest...), textConst(k, vec.T(vec.Text)))
	return &c
}

// resolve gives a path the type that its context asks for. What a scan cannot read as that
// type is converted from text, NULL where that fails.
func (b *binder) resolve(p *pathRef, want vec.Type) expr.Expr {
	as, digits := vec.T(vec.Text), p.digits
	if !want.Array {
		switch want.Kind {
		case vec.Float8, vec.Bool, vec.TimestampTZ, vec.JSONB:
			as, digits = vec.T(want.Kind), false
		}
	}
	var e expr.Expr
	if p.rel != nil {
		e = b.scanned(p, as, digits && len(p.keys) > 0)
	} else {
		e = b.walkJSON(p, as, digits)
	}
	if want.Kind == vec.Unknown || want == as || want.Kind == vec.Text && !want.Array {
		return e
	}
	if as.Kind == vec.Text {
		return b.cast(e, want, p.pos, true, true)
	}
	return e
}

// scanned is a path as a column of its scan.
func (b *binder) scanned(p *pathRef, t vec.Type, digits bool) expr.Expr {
	c := plan.ScanColumn{Column: p.column, Path: p.keys, Type: t, Digits: digits}
	col := &expr.Column{Index: p.rel.base + p.rel.scanColumn(c), T: t, Name: p.rel.shown(c.Label())}
	b.places[col] = place{p.pos, p.rel.qualified(p.column)}
	return col
}

// readers are the functions that read a jsonb value as a dotted path is.
var readers = map[vec.Kind]string{
	vec.Text: "property_text", vec.Float8: "property_number", vec.Bool: "property_boolean", vec.TimestampTZ: "property_time",
}

// walkJSON follows the keys of a path over any jsonb value, and reads what is there.
func (b *binder) walkJSON(p *pathRef, as vec.Type, digits bool) expr.Expr {
	e := p.base
	for i, k := range p.rest {
		op := "->"
		if i == len(p.rest)-1 && digits {
			op = "->>"
		}
		e = b.call(op, []expr.Expr{e, k}, p.pos)
	}
	if read := readers[as.Kind]; read != "" && !digits {
		e = b.call(read, []expr.Expr{e}, p.pos)
	}
	return e
}

// settle resolves a path as text and leaves everything else alone.
func (b *binder) settle(e expr.Expr) expr.Expr {
	if p, ok := e.(*pathRef); ok {
		return b.resolve(p, vec.T(vec.Text))
	}
	return e
}
