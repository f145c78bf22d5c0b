package pgcatalog

import (
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/prickledb/prickle/engine/catalog"
	"github.com/prickledb/prickle/engine/role"
	"github.com/prickledb/prickle/storage/vec"
)

// schemaNames are the schemas.
var schemaNames = map[uint32]string{
	schemaCatalog: "pg_catalog", schemaPublic: "public", schemaInformation: "information_schema", schemaPrickle: "prickle",
	schemaSystem: "system", schemaTemp: catalog.TempSchema,
}

func namespaceOf(t *catalog.Table) uint32 {
	if t.Temp() {
		return schemaTemp
	}
	return schemaOf(t.System)
}

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
	return schemaPublic
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
	primary         bool
	columns         []int // by number, from 1
}

// indexes lists the keys of all tables.
func (r *Reader) indexes() []index {
	var out []index
	for _, t := range r.tables() {
		if t.Schema == nil {
			continue
		}
		for k, key := range t.Schema.Keys {
			x := index{oid: indexOID(t.OID, k), constraint: constraintOID(t.OID, k), table: t, primary: key.Primary, name: t.Name + "_pkey"}
			var names []string
			for _, id := range key.Columns {
				for i := range t.Schema.Columns {
					if t.Schema.Columns[i].ID == id {
						x.columns = append(x.columns, int(id))
						names = append(names, t.Schema.Columns[i].Name)
					}
				}
			}
			if !key.Primary {
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
	return "CREATE UNIQUE INDEX " + quoteName(x.name) + " ON " + x.table.Namespace() + "." + quoteName(x.table.Name) + " USING btree (" + strings.Join(names, ", ") + ")"
}

func (x *index) constraintDefinition() string {
	word := "UNIQUE"
	if x.primary {
		word = "PRIMARY KEY"
	}
	return word + " (" + strings.Join(x.names(), ", ") + ")"
}

// column is what a row of pg_attribute says of a column of a table.
type column struct {
	number  int
	name    string
	t       vec.Type
	notNull bool
	def     string // as SQL; empty for none
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
	for _, c := range t.Schema.Columns {
		out = append(out, column{int(c.ID), c.Name, c.Type, c.NotNull, c.Default})
	}
	return out
}

// classes fills pg_class and what hangs on it.
func classes() {
	dynamics["pg_catalog.pg_namespace"] = func(r *Reader, t *table) {
		for _, oid := range []uint32{schemaCatalog, schemaPublic, schemaInformation, schemaPrickle, schemaSystem, schemaTemp} {
			t.add("oid", oid, "nspname", schemaNames[oid], "nspowner", owner, "nspacl", r.acl(role.Schema, oid, r.bootstrap()))
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
		keys := r.indexes()
		for _, u := range r.tables() {
			rows := float64(-1)
			if u.Schema != nil {
				rows = float64(u.Rows)
			}
			kind, am, file, identity := "r", amHeap, u.OID, "d"
			if u.View() != "" {
				kind, am, file, rows, identity = "v", 0, 0, -1, "n"
			}
			t.add("oid", u.OID, "relname", u.Name, "relnamespace", namespaceOf(u), "reltype", rowTypeOID(u.OID), "relowner", r.ownerOID(u), "relacl", r.acl(role.Table, u.OID, r.ownerName(u)), "relam", am,
				"relfilenode", file, "reltuples", rows, "relpersistence", persistence(u), "relkind", kind, "relnatts", len(u.Columns), "relispopulated", true,
				"relhasindex", slices.ContainsFunc(keys, func(x index) bool { return x.table == u }), "relhasrules", kind == "v", "relreplident", identity)
		}
		for _, x := range keys {
			t.add("oid", x.oid, "relname", x.name, "relnamespace", namespaceOf(x.table), "relowner", r.ownerOID(x.table), "relam", amBtree, "relfilenode", x.oid,
				"reltuples", -1, "relpersistence", persistence(x.table), "relkind", "i", "relnatts", len(x.columns), "relispopulated", true, "relreplident", "n")
		}
	}
	statics["pg_catalog.pg_attribute"] = func(t *table) {
		for _, r := range relations() {
			for i, c := range r.Columns {
				t.attribute(r.OID, column{number: i + 1, name: c.Name, t: c.Type, notNull: r.notNull[i]})
			}
		}
	}
	dynamics["pg_catalog.pg_attribute"] = func(r *Reader, t *table) {
		for _, u := range r.tables() {
			for _, c := range columnsOf(u) {
				t.attribute(u.OID, c)
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
			t.add("classid", classClass, "objid", u.OID, "refclassid", classNamespace, "refobjid", namespaceOf(u), "deptype", "n")
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

// attribute adds a row of pg_attribute.
func (t *table) attribute(relation uint32, c column) {
	row := typesByOID()[c.t.OID()]
	mod, dims := int32(-1), 0
	if c.t.Mod > 0 {
		mod = c.t.Mod
	}
	if c.t.Array {
		dims = 1
	}
	t.add("attrelid", relation, "attname", c.name, "atttypid", c.t.OID(), "attlen", row.data["typlen"], "attnum", c.number, "attcacheoff", -1,
		"attndims", dims, "atttypmod", int64(mod), "attbyval", row.data["typbyval"], "attalign", row.data["typalign"], "attstorage", row.data["typstorage"],
		"attstattarget", -1, "attnotnull", c.notNull, "atthasdef", c.def != "", "attislocal", true, "attcollation", row.data["typcollation"])
}

// constraints fills the tables about keys.
func constraints() {
	dynamics["pg_catalog.pg_index"] = func(r *Reader, t *table) {
		for _, x := range r.indexes() {
			zeros := make([]int, len(x.columns))
			t.add("indexrelid", x.oid, "indrelid", x.table.OID, "indnatts", len(x.columns), "indnkeyatts", len(x.columns), "indisunique", true,
				"indisprimary", x.primary, "indimmediate", true, "indisvalid", true, "indisready", true, "indislive", true,
				"indkey", x.columns, "indcollation", zeros, "indclass", zeros, "indoption", zeros)
		}
	}
	dynamics["pg_catalog.pg_constraint"] = func(r *Reader, t *table) {
		for _, x := range r.indexes() {
			word := "u"
			if x.primary {
				word = "p"
			}
			t.add("oid", x.constraint, "conname", x.name, "connamespace", namespaceOf(x.table), "contype", word, "convalidated", true, "conrelid", x.table.OID,
				"conindid", x.oid, "confupdtype", " ", "confdeltype", " ", "confmatchtype", " ", "conislocal", true, "connoinherit", true, "conkey", x.columns)
		}
	}
	dynamics["pg_catalog.pg_indexes"] = func(r *Reader, t *table) {
		for _, x := range r.indexes() {
			t.add("schemaname", x.table.Namespace(), "tablename", x.table.Name, "indexname", x.name, "indexdef", x.definition(0))
		}
	}
}
