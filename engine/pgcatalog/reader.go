package pgcatalog

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/prickledb/prickle/engine/catalog"
	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/storage/vec"
)

// Session is who reads the catalog.
type Session struct {
	User string
	PID  uint32 // as pg_stat_activity has it; 0 is none
	Role string // whose rights count; empty: those of User
	// Settings lists what SHOW ALL shows; nil is none.
	Settings func() []Setting
	// Cursors lists the cursors of the session, and Statements what it has prepared; nil is none.
	Cursors    func() []Cursor
	Statements func() []PreparedStatement
	// Backends lists the sessions there are; nil is none.
	Backends func() []Backend
	// Databases lists the databases there are; nil is the one of the session alone.
	Databases func() []Database
	// Queries lists the questions that run and those that ended last; nil is none.
	Queries func() []Query
}

// Database is one row of pg_database.
type Database struct {
	Project uint32
	Name    string
}

// Setting is one row of pg_settings.
type Setting struct {
	Name, Value, Description string
	Default                  string
}

// Cursor is one row of pg_cursors.
type Cursor struct {
	Name, Statement              string
	Holdable, Binary, Scrollable bool
	Created                      int64 // µs since 1970 UTC
}

// PreparedStatement is one row of pg_prepared_statements.
type PreparedStatement struct {
	Name, Statement string
	Prepared        int64    // µs since 1970 UTC
	Params          []uint32 // object ids of types
	SQL             bool     // it was made by PREPARE
	Runs            int64
}

// Backend is one row of pg_stat_activity.
type Backend struct {
	PID          int
	User         string
	Application  string
	Address      string // of the client; empty if that is not known
	Port         int
	TLS          bool
	Hidden       bool // whoever looks may not see what it does
	State, Query string
	// µs since 1970 UTC; 0 is none
	Began, Transaction, Statement, Changed int64
}

// Query is one row of system.queries.
type Query struct {
	ID           int64
	PID, Project int
	User         string
	Kind, State  string
	Text         string
	Killed       string // why; empty if it was not
	Error        string
	Began, Ended int64 // µs since 1970 UTC; 0 is none

	Waited, Ran, CPU       float64 // ms
	Rows, TotalRows, Bytes int64
	Memory, Spilled        int64 // bytes
}

// Reader reads the catalog of one project at one read point. It is immutable, and implements
// expr.Objects.
type Reader struct {
	catalog *catalog.Catalog
	session Session
	// indexes lists the keys of all tables, foreign the foreign keys, sequences those of columns.
	indexes   func() []index
	foreign   func() []foreignKey
	sequences func() []sequence
}

// NewReader reads what a statement sees.
func NewReader(c *catalog.Catalog, s Session) *Reader {
	r := &Reader{catalog: c, session: s}
	r.indexes, r.foreign, r.sequences = sync.OnceValue(r.listIndexes), sync.OnceValue(r.listForeign), sync.OnceValue(r.listSequences)
	return r
}

// tables lists the tables that are not the catalog's own.
func (r *Reader) tables() []*catalog.Table {
	hidden := func(t *catalog.Table) bool { return t.Hidden }
	if !slices.ContainsFunc(r.catalog.Tables, hidden) {
		return r.catalog.Tables
	}
	return slices.DeleteFunc(slices.Clone(r.catalog.Tables), hidden)
}

// userTable finds a table that is not the catalog's own by its object id, or answers nil.
func (r *Reader) userTable(oid uint32) *catalog.Table {
	for _, t := range r.tables() {
		if t.OID == oid {
			return t
		}
	}
	return nil
}

// dynamics make the rows of a relation that depend on the read point.
var dynamics map[string]func(*Reader, *table)

// statics make the rows that a relation always has.
var statics map[string]func(*table)

func init() {
	dynamics = map[string]func(*Reader, *table){}
	statics = map[string]func(*table){}
	for _, add := range []func(){classes, constraints, comments, typeTables, functions, servers, roles, keywords, fixed, views, information, sequences} {
		add()
	}
}

// Table implements expr.Objects.
func (r *Reader) Table(name string, columns []string) ([]*vec.Batch, error) {
	rel := byName()[name]
	if name == keywordTable {
		rel = keywordRelation
	}
	if rel == nil {
		return nil, fmt.Errorf("the catalog has no table %q", name)
	}
	rel.once.Do(func() {
		t := newTable(rel)
		if fill := statics[name]; fill != nil {
			fill(t)
		}
		rel.static = t.batch()
	})
	t := newTable(rel)
	if fill := dynamics[name]; fill != nil {
		fill(r, t)
	}
	var out []*vec.Batch
	for _, all := range []*vec.Batch{rel.static, t.batch()} {
		if all.Rows == 0 {
			continue
		}
		b := &vec.Batch{Rows: all.Rows}
		for _, c := range columns {
			at, ok := rel.at[c]
			if !ok {
				return nil, fmt.Errorf("%s has no column %q", name, c)
			}
			b.Cols = append(b.Cols, all.Cols[at])
		}
		out = append(out, b)
	}
	return out, nil
}

// Find implements expr.Objects.
func (r *Reader) Find(kind vec.Kind, name string) (uint32, error) {
	switch kind {
	case vec.RegType:
		return r.findType(name)
	case vec.RegProcedure:
		return r.findProcedure(name)
	case vec.RegOper:
		return findOperator(name)
	case vec.RegOperator:
		return r.findOperatorOf(name)
	}
	parts, ok := expr.ParseIdent(name)
	if !ok || len(parts) > 3 {
		return 0, pgerr.New("42602", "invalid name syntax: \"%s\"", name)
	}
	if len(parts) == 3 {
		if parts[0] != r.catalog.Database {
			return 0, pgerr.New(pgerr.FeatureNotSupported, `cross-database references are not implemented: "%s"`, name)
		}
		parts = parts[1:]
	}
	schema, last := "", parts[len(parts)-1]
	if len(parts) == 2 {
		schema = parts[0]
	}
	switch kind {
	case vec.RegNamespace:
		if oid := r.catalog.SchemaOID(last); oid != 0 {
			return oid, nil
		}
		return 0, pgerr.New(pgerr.UndefinedSchema, `schema "%s" does not exist`, last)
	case vec.RegRole:
		if oid, ok := r.findRole(last); ok {
			return oid, nil
		}
		return 0, pgerr.New(pgerr.UndefinedObject, `role "%s" does not exist`, last)
	case vec.RegProc:
		switch list := r.procsNamed(schema, last); len(list) {
		case 0:
			return 0, pgerr.New(pgerr.UndefinedFunction, `function "%s" does not exist`, name)
		case 1:
			return list[0].oid, nil
		}
		return 0, pgerr.New(pgerr.AmbiguousFunction, `more than one function named "%s"`, name)
	}
	if oid, ok := r.findClass(schema, last); ok {
		return oid, nil
	}
	return 0, pgerr.New(pgerr.UndefinedTable, `relation "%s" does not exist`, strings.Join(parts, "."))
}

// findClass finds a relation; without a schema, along search_path.
func (r *Reader) findClass(schema, name string) (uint32, bool) {
	schemas := []string{schema}
	if schema == "" {
		schemas = r.catalog.Searched()
	}
	for _, schema := range schemas {
		if t := in(r.catalog, schema, name); t != nil {
			return t.OID, true
		}
		for _, x := range r.indexes() {
			if x.name == name && x.table.InSchema(schema) {
				return x.oid, true
			}
		}
		for _, s := range r.sequences() {
			if s.column.Sequence == name && s.table.InSchema(schema) {
				return s.oid, true
			}
		}
	}
	return 0, false
}

// Name implements expr.Objects.
func (r *Reader) Name(kind vec.Kind, oid uint32) (string, bool) {
	switch kind {
	case vec.RegClass:
		schema, name, ok := r.className(oid)
		if !ok {
			return "", false
		}
		if visible, _ := r.Visible(kind, oid); !visible {
			return quoteName(schema) + "." + quoteName(name), true
		}
		return quoteName(name), true
	case vec.RegType:
		return r.typeName(oid)
	case vec.RegProc, vec.RegProcedure:
		if p := procsByOID()[oid]; p != nil {
			return r.procName(kind, p), true
		}
	case vec.RegOper, vec.RegOperator:
		return r.operatorName(kind, oid)
	case vec.RegNamespace:
		if n := r.catalog.SchemaName(oid); n != "" {
			return quoteName(n), true
		}
	case vec.RegRole:
		if name, ok := r.roleName(oid); ok {
			return quoteName(name), true
		}
	}
	return "", false
}

// className is the schema and the name of a relation.
func (r *Reader) className(oid uint32) (schema, name string, ok bool) {
	if t := r.userTable(oid); t != nil {
		return t.Namespace(), t.Name, true
	}
	if rel := systemByOID()[oid]; rel != nil {
		return rel.System, rel.Name, true
	}
	for _, x := range r.indexes() {
		if x.oid == oid {
			return x.table.Namespace(), x.name, true
		}
	}
	for _, s := range r.sequences() {
		if s.oid == oid {
			return s.table.Namespace(), s.column.Sequence, true
		}
	}
	return "", "", false
}

// Visible implements expr.Objects.
func (r *Reader) Visible(kind vec.Kind, oid uint32) (visible, ok bool) {
	switch kind {
	case vec.RegClass:
		_, name, ok := r.className(oid)
		if !ok {
			return false, false
		}
		found, _ := r.findClass("", name)
		return found == oid, true
	case vec.RegType:
		if t := r.typeRow(oid); t != nil {
			return t.schema != schemaInformation, true
		}
	case vec.RegProc:
		if p := procsByOID()[oid]; p != nil {
			return true, true
		}
	}
	return false, false
}

// Size implements expr.Objects. What a table takes is not known for each table alone.
func (r *Reader) Size(oid uint32) (int64, bool) {
	_, _, ok := r.className(oid)
	return 0, ok
}

// Schemas implements expr.Objects.
func (r *Reader) Schemas(implicit bool) []string { return r.catalog.Shown(implicit) }

// systemColumns are the columns that every table has in PostgreSQL, from the number -1 downwards.
var systemColumns = []string{"ctid", "xmin", "cmin", "xmax", "cmax", "tableoid"}

// columnsOf lists the columns of a relation by its object id; nil if there is none.
func (r *Reader) columnsOf(oid uint32) []column {
	if t := r.userTable(oid); t != nil {
		return columnsOf(t)
	}
	if rel := systemByOID()[oid]; rel != nil {
		return rel.columns()
	}
	if slices.ContainsFunc(r.sequences(), func(s sequence) bool { return s.oid == oid }) {
		return sequenceColumns
	}
	return nil
}

// Column implements expr.Objects.
func (r *Reader) Column(relation uint32, name string) (int, error) {
	_, class, ok := r.className(relation)
	for _, c := range r.columnsOf(relation) {
		if c.name == name {
			return c.number, nil
		}
	}
	if at := slices.Index(systemColumns, name); at >= 0 || !ok {
		return -1 - at, nil
	}
	return 0, pgerr.New(pgerr.UndefinedColumn, `column "%s" of relation "%s" does not exist`, name, class)
}

// HasColumn implements expr.Objects.
func (r *Reader) HasColumn(relation uint32, number int) bool {
	return slices.ContainsFunc(r.columnsOf(relation), func(c column) bool { return c.number == number }) || number < 0 && -number <= len(systemColumns)
}

// Describe implements expr.Objects.
func (r *Reader) Describe(function string, oid uint32, part int) (string, bool) {
	if text, ok := strings.CutPrefix(function, "pg_get_expr "); ok && part > 0 {
		return r.ownText(text), true
	} else if ok {
		return r.fullText(text), true
	}
	if class, ok := strings.CutPrefix(function, "obj_description "); ok {
		return r.comment(class, oid, part)
	}
	switch function {
	case "pg_get_serial_sequence":
		if t := r.userTable(oid); t != nil && t.Schema != nil && part > 0 {
			if c := t.Schema.ByID(uint32(part)); c.Sequence != "" {
				return quoteName(t.Namespace()) + "." + quoteName(c.Sequence), true
			}
		}
	case "pg_get_indexdef":
		for _, x := range r.indexes() {
			if x.oid == oid {
				return x.definition(part), true
			}
		}
	case "pg_get_viewdef":
		if t := r.userTable(oid); t != nil && t.View() != "" {
			return r.viewDefinition(t), true
		}
	case "pg_get_ruledef":
		for _, t := range r.tables() {
			if t.View() != "" && ruleOID(t.OID) == oid {
				return `CREATE RULE "_RETURN" AS ON SELECT TO ` + quoteName(t.Namespace()) + "." + quoteName(t.Name) + " DO INSTEAD" + r.viewDefinition(t), true
			}
		}
	case "pg_get_constraintdef":
		for _, x := range r.indexes() {
			if x.constraint == oid {
				return x.constraintDefinition(), true
			}
		}
		for _, t := range r.tables() {
			for k, c := range checksOf(t) {
				if checkOID(t.OID, k) == oid {
					return r.checkDefinition(c, part > 0), true
				}
			}
		}
		for _, f := range r.foreign() {
			if f.oid == oid {
				return f.definition(r), true
			}
		}
	case "pg_get_function_arguments", "pg_get_function_identity_arguments":
		if p := procsByOID()[oid]; p != nil {
			return r.arguments(p), true
		}
	case "pg_get_functiondef":
		if p := procsByOID()[oid]; p != nil && p.kind != "a" {
			return r.functionDefinition(p), true
		}
	case "pg_get_function_result":
		if p := procsByOID()[oid]; p != nil {
			return r.result(p), true
		}
	case "pg_tablespace_location":
		return "", oid == tablespaceDefault || oid == tablespaceGlobal
	}
	return "", false
}

// quoteName is a name as SQL writes it, in quotes where it needs them.
func quoteName(s string) string {
	plain := s != "" && (s[0] == '_' || s[0] >= 'a' && s[0] <= 'z')
	for i := 0; i < len(s) && plain; i++ {
		c := s[i]
		plain = c == '_' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9'
	}
	if plain && !slices.Contains(reserved(), s) {
		return s
	}
	return `"` + strings.ReplaceAll(s, `"`, `""`) + `"`
}
