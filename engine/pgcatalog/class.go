package pgcatalog

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/prickledb/prickle/engine/catalog"
	"github.com/prickledb/prickle/engine/role"
	usertable "github.com/prickledb/prickle/storage/table"
	"github.com/prickledb/prickle/storage/vec"
)

func (r *Reader) namespaceOf(t *catalog.Table) uint32 { return r.catalog.SchemaOID(t.Namespace()) }

func persistence(t *catalog.Table) string {
	if t.Temp() {
		return "t"
	}
	return "p"
}

func schemaOf(system string) uint32 {
	switch system {
	case "pg_catalog":
		return schemaCatalog
	case "information_schema":
		return schemaInformation
	case "system":
		return schemaSystem
	}
	panic("no schema " + system) // the data is part of the program
}

// fixedName is the name of a schema that is part of the program.
func fixedName(schema uint32) string { return (&catalog.Catalog{}).SchemaName(schema) }

// namespace is a schema as catalogs show it.
type namespace struct {
	oid   uint32
	name  string
	owner string // empty for nobody
}

// namespaces lists the schemas.
func (r *Reader) namespaces() []namespace {
	var out []namespace
	for _, name := range catalog.FixedSchemas() {
		out = append(out, namespace{oid: r.catalog.SchemaOID(name), name: name})
	}
	for _, n := range r.catalog.Namespaces {
		out = append(out, namespace{n.OID, n.Name, n.Schema.Owner})
	}
	return out
}

// systemByOID is the tables of the catalog by object id.
var systemByOID = sync.OnceValue(func() map[uint32]*relation {
	out := map[uint32]*relation{}
	for _, r := range relations() {
		out[r.OID] = r
	}
	return out
})

// reserved is the key words that a name must be quoted for.
var reserved = sync.OnceValue(func() []string {
	var out []string
	for _, k := range rows("keywords.tsv") {
		if k["catcode"] != "U" {
			out = append(out, k["word"])
		}
	}
	return out
})

// index is the index of a key of a table: it is there for catalogs alone.
type index struct {
	oid, constraint uint32
	table           *catalog.Table
	name            string
	key             usertable.Key
	columns         []int // by number, from 1
}

// listIndexes lists the keys of all tables.
func (r *Reader) listIndexes() []index {
	var out []index
	for _, t := range r.tables() {
		if t.Schema == nil {
			continue
		}
		for k, key := range t.Schema.Keys {
			x := index{oid: indexOID(t.OID, k), constraint: constraintOID(t.OID, k), table: t, key: key, name: t.Name + "_pkey"}
			var names []string
			for _, id := range key.Columns {
				for i := range t.Schema.Columns {
					if t.Schema.Columns[i].ID == id {
						x.columns = append(x.columns, int(id))
						names = append(names, t.Schema.Columns[i].Name)
					}
				}
			}
			switch {
			case key.Name != "":
				x.name = key.Name
			case !key.Primary:
				x.name = t.Name + "_" + strings.Join(names, "_") + "_key"
				for n := 1; slices.ContainsFunc(out, func(o index) bool { return o.name == x.name }); n++ {
					x.name = t.Name + "_" + strings.Join(names, "_") + "_key" + strconv.Itoa(n)
				}
			}
			out = append(out, x)
		}
	}
	return out
}

func (x *index) names() []string {
	var out []string
	for _, n := range x.columns {
		for _, c := range x.table.Schema.Columns {
			if int(c.ID) == n {
				out = append(out, quoteName(c.Name))
			}
		}
	}
	return out
}

// definition is pg_get_indexdef: of the index, or of one of its columns.
func (x *index) definition(part int) string {
	names := x.names()
	if part > 0 {
		if part > len(names) {
			return ""
		}
		return names[part-1]
	}
	return "CREATE UNIQUE INDEX " + quoteName(x.name) + " ON " + quoteName(x.table.Namespace()) + "." + quoteName(x.table.Name) + " USING btree (" + strings.Join(names, ", ") + ")"
}

func (x *index) constraintDefinition() string {
	word := "UNIQUE"
	if x.key.Primary {
		word = "PRIMARY KEY"
	}
	return word + " (" + strings.Join(x.names(), ", ") + ")" + deferred(x.key.Deferrable, x.key.Deferred)
}

// deferred is how a constraint says when it is to be looked at.
func deferred(deferrable, deferred bool) string {
	switch {
	case deferred:
		return " DEFERRABLE INITIALLY DEFERRED"
	case deferrable:
		return " DEFERRABLE"
	}
	return ""
}

// column is what a row of pg_attribute says of a column of a table.
type column struct {
	number  int
	name    string
	t       vec.Type
	notNull bool
	def     string // as SQL; empty for none
	// identity is the column of a table that is an identity column, nil for others.
	identity *usertable.Column
}

// columnsOf lists the columns of a table that is not the catalog's own.
func columnsOf(t *catalog.Table) []column {
	var out []column
	if t.Schema == nil {
		for i, c := range t.Columns {
			out = append(out, column{number: i + 1, name: c.Name, t: c.Type})
		}
		return out
	}
	for i := range t.Schema.Columns {
		c := &t.Schema.Columns[i]
		one := column{number: int(c.ID), name: c.Name, t: c.Type, notNull: c.NotNull}
		if c.Identity != "" {
			one.identity = c
		} else {
			one.def = shownDefault(c.Default, c.Type)
		}
		out = append(out, one)
	}
	return out
}

// classes fills pg_class and what hangs on it.
func classes() {
	dynamics["pg_catalog.pg_namespace"] = func(r *Reader, t *table) {
		for _, n := range r.namespaces() {
			t.add("oid", n.oid, "nspname", n.name, "nspowner", r.roleNumber(n.owner), "nspacl", r.acl(role.Schema, n.oid, r.ownedBy(n.owner)))
		}
	}
	statics["pg_catalog.pg_class"] = func(t *table) {
		for _, r := range relations() {
			am := 0
			if r.kind == "r" {
				am = amHeap
			}
			t.add("oid", r.OID, "relname", r.Name, "relnamespace", schemaOf(r.System), "reltype", r.rowType, "relowner", owner, "relam", am,
				"relfilenode", r.OID, "reltuples", -1, "relpersistence", "p", "relkind", r.kind, "relnatts", len(r.Columns), "relispopulated", true,
				"relhasrules", r.kind == "v", "relreplident", "n")
		}
	}
	dynamics["pg_catalog.pg_class"] = func(r *Reader, t *table) {
		keys, foreign := r.indexes(), r.foreign()
		for _, u := range r.tables() {
			rows := float64(-1)
			if u.Schema != nil {
				rows = float64(u.Rows)
			}
			kind, am, file, identity := "r", amHeap, u.OID, "d"
			if u.View() != "" {
				kind, am, file, rows, identity = "v", 0, 0, -1, "n"
			}
			t.add("oid", u.OID, "relname", u.Name, "relnamespace", r.namespaceOf(u), "reltype", rowTypeOID(u.OID), "relowner", r.ownerOID(u), "relacl", r.acl(role.Table, u.OID, r.ownerName(u)), "relam", am,
				"relfilenode", file, "reltuples", rows, "relpersistence", persistence(u), "relkind", kind, "relnatts", len(u.Columns), "relispopulated", true,
				"relchecks", len(checksOf(u)), "relhastriggers", slices.ContainsFunc(foreign, func(f foreignKey) bool { return f.table == u || f.of == u }), "reloptions", options(u), "relhasindex", slices.ContainsFunc(keys, func(x index) bool { return x.table == u }), "relhasrules", kind == "v", "relreplident", identity)
		}
		for _, x := range keys {
			t.add("oid", x.oid, "relname", x.name, "relnamespace", r.namespaceOf(x.table), "relowner", r.ownerOID(x.table), "relam", amBtree, "relfilenode", x.oid,
				"reltuples", -1, "relpersistence", persistence(x.table), "relkind", "i", "relnatts", len(x.columns), "relispopulated", true, "relreplident", "n")
		}
		for _, s := range r.sequences() {
			t.add("oid", s.oid, "relname", s.column.Sequence, "relnamespace", r.namespaceOf(s.table), "relowner", r.ownerOID(s.table), "relfilenode", s.oid,
				"relpages", 1, "reltuples", 1, "relpersistence", persistence(s.table), "relkind", "S", "relnatts", len(sequenceColumns), "relispopulated", true, "relreplident", "n")
		}
	}
	statics["pg_catalog.pg_attribute"] = func(t *table) {
		for _, r := range relations() {
			for _, c := range r.columns() {
				t.attribute(r.OID, c)
			}
		}
	}
	dynamics["pg_catalog.pg_attribute"] = func(r *Reader, t *table) {
		for _, u := range r.tables() {
			for _, c := range columnsOf(u) {
				t.attribute(u.OID, c)
			}
		}
		for _, s := range r.sequences() {
			for _, c := range sequenceColumns {
				t.attribute(s.oid, c)
			}
		}
		for _, x := range r.indexes() {
			for i, n := range x.columns {
				for _, c := range columnsOf(x.table) {
					if c.number == n {
						t.attribute(x.oid, column{number: i + 1, name: c.name, t: c.t})
					}
				}
			}
		}
	}
	dynamics["pg_catalog.pg_attrdef"] = func(r *Reader, t *table) {
		for _, u := range r.tables() {
			for _, c := range columnsOf(u) {
				if c.def != "" {
					t.add("oid", defaultOID(u.OID, c.number), "adrelid", u.OID, "adnum", c.number, "adbin", c.def)
				}
			}
		}
	}
	dynamics["pg_catalog.pg_depend"] = func(r *Reader, t *table) {
		for _, u := range r.tables() {
			t.add("classid", classClass, "objid", u.OID, "refclassid", classNamespace, "refobjid", r.namespaceOf(u), "deptype", "n")
			if u.View() == "" {
				for _, c := range columnsOf(u) {
					if c.def != "" {
						t.add("classid", classAttrdef, "objid", defaultOID(u.OID, c.number), "refclassid", classClass, "refobjid", u.OID, "refobjsubid", c.number, "deptype", "a")
					}
				}
				continue
			}
			t.add("classid", classRewrite, "objid", ruleOID(u.OID), "refclassid", classClass, "refobjid", u.OID, "deptype", "i")
			for _, of := range r.reads(u) {
				t.add("classid", classRewrite, "objid", ruleOID(u.OID), "refclassid", classClass, "refobjid", of.OID, "deptype", "n")
			}
		}
		for _, s := range r.sequences() {
			column, kind := int(s.column.ID), "a"
			t.add("classid", classClass, "objid", s.oid, "refclassid", classNamespace, "refobjid", r.namespaceOf(s.table), "deptype", "n")
			if !s.owned() {
				continue
			}
			if s.column.Identity != "" {
				kind = "i"
			}
			t.add("classid", classClass, "objid", s.oid, "refclassid", classClass, "refobjid", s.table.OID, "refobjsubid", column, "deptype", kind)
			if kind == "i" {
				continue
			}
			t.add("classid", classAttrdef, "objid", defaultOID(s.table.OID, column), "refclassid", classClass, "refobjid", s.oid, "deptype", "n")
		}
		for _, f := range r.foreign() {
			t.add("classid", classConstraint, "objid", f.oid, "refclassid", classClass, "refobjid", f.table.OID, "refobjsubid", f.key.Columns[0], "deptype", "a")
			t.add("classid", classConstraint, "objid", f.oid, "refclassid", classClass, "refobjid", f.of.OID, "refobjsubid", f.key.Of[0], "deptype", "n")
		}
		for _, x := range r.indexes() {
			t.add("classid", classConstraint, "objid", x.constraint, "refclassid", classClass, "refobjid", x.table.OID, "refobjsubid", x.columns[0], "deptype", "a")
			t.add("classid", classClass, "objid", x.oid, "refclassid", classConstraint, "refobjid", x.constraint, "deptype", "i")
		}
	}
	statics["pg_catalog.pg_am"] = func(t *table) {
		t.add("oid", amHeap, "amname", "heap", "amhandler", 3, "amtype", "t")
		t.add("oid", amBtree, "amname", "btree", "amhandler", 330, "amtype", "i")
	}
	dynamics["pg_catalog.pg_rewrite"] = func(r *Reader, t *table) {
		for _, u := range r.tables() {
			if u.View() != "" {
				t.add("oid", ruleOID(u.OID), "rulename", "_RETURN", "ev_class", u.OID, "ev_type", "1", "ev_enabled", "O", "is_instead", true)
			}
		}
	}
	statics["pg_catalog.pg_rewrite"] = func(t *table) {
		for _, r := range relations() {
			if r.kind == "v" {
				t.add("oid", ruleOID(r.OID), "rulename", "_RETURN", "ev_class", r.OID, "ev_type", "1", "ev_enabled", "O", "is_instead", true)
			}
		}
	}
}

// reads lists the tables that a view reads.
func (r *Reader) reads(v *catalog.Table) []*catalog.Table {
	if r.catalog.Reads == nil {
		return nil
	}
	return r.catalog.Reads(v)
}

// shownDefault is the default of a column as PostgreSQL shows it: literals say their types, and NULL
// is none.
func shownDefault(def string, t vec.Type) string {
	switch sequence, called := strings.CutPrefix(def, "nextval("); {
	case def == "NULL":
		return ""
	case def == "TRUE" || def == "FALSE":
		return strings.ToLower(def)
	case called && isLiteral(strings.TrimSuffix(sequence, ")")):
		return "nextval(" + strings.TrimSuffix(sequence, ")") + "::regclass)"
	case isLiteral(def) && t.Kind == vec.Bpchar:
		return def + "::" + strings.Replace(t.String(), "character", "bpchar", 1) // of any length
	case isLiteral(def):
		return def + "::" + t.String()
	case strings.HasPrefix(def, "-"):
		kind := vec.Numeric
		if n, err := strconv.ParseInt(def, 10, 64); err == nil {
			if kind = vec.Int4; n != int64(int32(n)) {
				kind = vec.Int8
			}
		} else if _, err := strconv.ParseFloat(def, 64); err != nil {
			return def // no number
		}
		return "'" + def + "'::" + vec.T(kind).String()
	}
	return def
}

// isLiteral says whether an expression is a text in quotes and nothing else.
func isLiteral(e string) bool {
	inner, ok := strings.CutPrefix(e, "'")
	inner, end := strings.CutSuffix(inner, "'")
	return ok && end && !strings.Contains(strings.ReplaceAll(inner, "''", ""), "'")
}

// attribute adds a row of pg_attribute.
func (t *table) attribute(relation uint32, c column) {
	row := typesByOID()[c.t.OID()]
	dims, identity := 0, ""
	if c.t.Array {
		dims = 1
	}
	if c.identity != nil {
		identity = c.identity.Identity
	}
	t.add("attrelid", relation, "attname", c.name, "atttypid", c.t.OID(), "attlen", row.data["typlen"], "attnum", c.number, "attcacheoff", -1,
		"attndims", dims, "atttypmod", int64(c.t.Modifier()), "attbyval", row.data["typbyval"], "attalign", row.data["typalign"], "attstorage", row.data["typstorage"],
		"attstattarget", -1, "attnotnull", c.notNull, "atthasdef", c.def != "", "attidentity", identity, "attislocal", true, "attcollation", row.data["typcollation"])
}

// constraints fills the tables about keys.
func constraints() {
	dynamics["pg_catalog.pg_index"] = func(r *Reader, t *table) {
		for _, x := range r.indexes() {
			zeros := make([]int, len(x.columns))
			t.add("indexrelid", x.oid, "indrelid", x.table.OID, "indnatts", len(x.columns), "indnkeyatts", len(x.columns), "indisunique", true,
				"indisprimary", x.key.Primary, "indimmediate", true, "indisvalid", true, "indisready", true, "indislive", true,
				"indkey", x.columns, "indcollation", zeros, "indclass", zeros, "indoption", zeros)
		}
	}
	dynamics["pg_catalog.pg_constraint"] = func(r *Reader, t *table) {
		for _, x := range r.indexes() {
			word := "u"
			if x.key.Primary {
				word = "p"
			}
			t.add("oid", x.constraint, "conname", x.name, "connamespace", r.namespaceOf(x.table), "contype", word, "condeferrable", x.key.Deferrable, "condeferred", x.key.Deferred,
				"convalidated", true, "conrelid", x.table.OID,
				"conindid", x.oid, "confupdtype", " ", "confdeltype", " ", "confmatchtype", " ", "conislocal", true, "connoinherit", true, "conkey", x.columns)
		}
		for _, u := range r.tables() {
			for k, c := range checksOf(u) {
				t.add("oid", checkOID(u.OID, k), "conname", c.Name, "connamespace", r.namespaceOf(u), "contype", "c", "convalidated", true, "conrelid", u.OID,
					"confupdtype", " ", "confdeltype", " ", "confmatchtype", " ", "conislocal", true, "conkey", c.Columns, "conbin", c.Expr)
			}
		}
		for _, f := range r.foreign() {
			t.add("oid", f.oid, "conname", f.key.Name, "connamespace", r.namespaceOf(f.table), "contype", "f", "condeferrable", f.key.Deferrable, "condeferred", f.key.Deferred,
				"convalidated", true, "conrelid", f.table.OID, "conindid", f.index, "confrelid", f.of.OID, "confupdtype", orNothing(f.key.OnUpdate),
				"confdeltype", orNothing(f.key.OnDelete), "confmatchtype", "s", "conislocal", true, "connoinherit", true, "conkey", f.key.Columns, "confkey", f.key.Of)
		}
	}
	dynamics["pg_catalog.pg_indexes"] = func(r *Reader, t *table) {
		for _, x := range r.indexes() {
			t.add("schemaname", x.table.Namespace(), "tablename", x.table.Name, "indexname", x.name, "indexdef", x.definition(0))
		}
	}
}

// checksOf lists the conditions on the rows of a table.
func checksOf(t *catalog.Table) []usertable.Check {
	if t.Schema == nil {
		return nil
	}
	return t.Schema.Checks
}

// checkDefinition is the definition of a condition.
func (r *Reader) checkDefinition(c usertable.Check, pretty bool) string {
	if pretty {
		return "CHECK (" + c.Expr + ")"
	}
	return "CHECK (" + r.fullText(c.Expr) + ")"
}

// ownText is an expression as it is kept. A sequence that it takes numbers of has its schema, if it needs that.
func (r *Reader) ownText(text string) string {
	if s, ok := strings.CutPrefix(text, "nextval('"); ok {
		if s, ok = strings.CutSuffix(s, "'::regclass)"); ok {
			return "nextval('" + strings.ReplaceAll(r.sequenceNamed(strings.ReplaceAll(s, "''", "'")), "'", "''") + "'::regclass)"
		}
	}
	return text
}

// fullText is an expression with all its parentheses.
func (r *Reader) fullText(text string) string {
	if own := r.ownText(text); own != text || r.catalog.FullText == nil {
		return own
	}
	return r.catalog.FullText(text)
}

// options are the columns that WITH of a table names, as reloptions has them; nil for none.
func options(t *catalog.Table) any {
	if t.Schema == nil {
		return nil
	}
	var out []string
	add := func(name, value string) {
		if value != "" {
			out = append(out, name+"="+value)
		}
	}
	s := t.Schema
	add("actor", t.Actor)
	add("time", t.Time)
	add("event", t.Event)
	var order []string
	for _, id := range s.OrderBy {
		order = append(order, s.NameOf(id))
	}
	add("order_by", strings.Join(order, ","))
	add("partition_by", s.PartitionBy)
	if out == nil {
		return nil
	}
	return out
}

// foreignKey is a foreign key of a table.
type foreignKey struct {
	oid   uint32
	table *catalog.Table
	key   usertable.ForeignKey
	of    *catalog.Table
	index uint32 // of the key that it names
	named string // that key
}

// listForeign lists the foreign keys of all tables.
func (r *Reader) listForeign() []foreignKey {
	var out []foreignKey
	keys := r.indexes()
	for _, t := range r.tables() {
		if t.Schema == nil {
			continue
		}
		for k, key := range t.Schema.Foreign {
			f := foreignKey{oid: foreignOID(t.OID, k), table: t, key: key}
			for _, u := range r.tables() {
				if u.Schema != nil && u.Schema.Table == key.Table {
					f.of = u
				}
			}
			if f.of == nil {
				continue // it is being dropped
			}
			for _, x := range keys {
				if x.table == f.of && slices.Equal(slices.Sorted(slices.Values(x.key.Columns)), slices.Sorted(slices.Values(key.Of))) {
					f.index, f.named = x.oid, x.name
				}
			}
			out = append(out, f)
		}
	}
	return out
}

// orNothing is what is to happen, by default nothing.
func orNothing(action string) string {
	if action == "" {
		return "a"
	}
	return action
}

var actionWords = map[string]string{"r": "RESTRICT", "c": "CASCADE", "n": "SET NULL", "d": "SET DEFAULT"}

// definition is pg_get_constraintdef of a foreign key.
func (f *foreignKey) definition(r *Reader) string {
	names := func(t *catalog.Table, ids []uint32) string {
		var out []string
		for _, id := range ids {
			out = append(out, quoteName(t.Schema.NameOf(id)))
		}
		return "(" + strings.Join(out, ", ") + ")"
	}
	of, _ := r.Name(vec.RegClass, f.of.OID)
	out := "FOREIGN KEY " + names(f.table, f.key.Columns) + " REFERENCES " + of + names(f.of, f.key.Of)
	if word := actionWords[f.key.OnUpdate]; word != "" {
		out += " ON UPDATE " + word
	}
	if word := actionWords[f.key.OnDelete]; word != "" {
		out += " ON DELETE " + word
	}
	return out + deferred(f.key.Deferrable, f.key.Deferred)
}

// comments fills the tables of comments.
func comments() {
	dynamics["pg_catalog.pg_description"] = func(r *Reader, t *table) {
		r.eachComment(func(class, oid uint32, column int, text string) {
			if class != classDatabase {
				t.add("objoid", oid, "classoid", class, "objsubid", column, "description", text)
			}
		})
	}
	dynamics["pg_catalog.pg_shdescription"] = func(r *Reader, t *table) {
		r.eachComment(func(class, oid uint32, _ int, text string) {
			if class == classDatabase {
				t.add("objoid", oid, "classoid", class, "description", text)
			}
		})
	}
}

// eachComment visits the comments there are: the class and the object id of a thing, and the number
// of a column or 0.
func (r *Reader) eachComment(do func(class, oid uint32, column int, text string)) {
	show := func(class, oid uint32, column int, text string) {
		if text != "" {
			do(class, oid, column, text)
		}
	}
	for _, u := range r.tables() {
		s := u.Schema
		if s == nil {
			if s = r.catalog.Notes[catalog.NoteOf(u.Name)]; s == nil {
				continue
			}
		}
		show(classClass, u.OID, 0, s.Comment)
		for i := range columnsOf(u) {
			c := columnsOf(u)[i]
			if of := s.Column(c.name); of != nil {
				show(classClass, u.OID, c.number, of.Comment)
			}
		}
	}
	for _, s := range r.sequences() {
		show(classClass, s.oid, 0, s.column.SequenceComment)
	}
	for _, n := range r.catalog.Namespaces {
		show(classNamespace, n.OID, 0, n.Schema.Comment)
	}
	for _, name := range slices.Sorted(maps.Keys(r.catalog.Notes)) {
		s := r.catalog.Notes[name]
		if schema, ok := catalog.SchemaOfNote(name); ok {
			show(classNamespace, r.catalog.SchemaOID(schema), 0, s.Comment)
		} else if name == catalog.NoteDatabase {
			show(classDatabase, r.catalog.OID(), 0, s.Comment)
		}
	}
}

// comment is the comment on a thing of a class, by its name; false for none.
func (r *Reader) comment(class string, oid uint32, column int) (text string, ok bool) {
	want := map[string]uint32{"pg_class": classClass, "pg_namespace": classNamespace, "pg_database": classDatabase}[class]
	r.eachComment(func(c, o uint32, n int, t string) {
		if c == want && o == oid && n == column {
			text, ok = t, true
		}
	})
	return text, ok
}
