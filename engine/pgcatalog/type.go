package pgcatalog

import (
	"maps"
	"strconv"
	"strings"
	"sync"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/storage/vec"
)

// typeRow is a row of pg_type.
type typeRow struct {
	oid    uint32
	name   string // typname
	shown  string // as format_type has it
	schema uint32
	// data is the other columns; nil for the type of a table's rows.
	data  map[string]string
	class uint32 // of the rows of which table it is; 0 for others
	elem  uint32 // of an array
	array uint32 // the type of arrays of it; 0 for none
}

// sqlNames are the types that SQL has another name for.
var sqlNames = map[string]string{
	"any": `"any"`, "bool": "boolean", "char": `"char"`, "int2": "smallint", "int4": "integer", "int8": "bigint", "float4": "real", "float8": "double precision",
	"varchar": "character varying", "bpchar": "character", "time": "time without time zone", "timetz": "time with time zone",
	"timestamp": "timestamp without time zone", "timestamptz": "timestamp with time zone", "varbit": "bit varying",
}

// builtinTypes is the types that are always there, ascending by the data's order.
var builtinTypes = sync.OnceValue(func() []*typeRow {
	var out []*typeRow
	byOID := map[uint32]*typeRow{}
	for _, d := range rows("pg_type.tsv") {
		t := &typeRow{oid: number(d["oid"]), name: d["typname"], schema: schemaCatalog, data: d, array: number(d["typarray"])}
		t.shown = t.name
		if n, ok := sqlNames[t.name]; ok {
			t.shown = n
		}
		if d["typcategory"] == "A" && d["typlen"] == "-1" {
			t.elem = number(d["typelem"])
		}
		out = append(out, t)
		byOID[t.oid] = t
	}
	for _, t := range out {
		if e := byOID[t.elem]; e != nil && strings.HasPrefix(t.name, "_") {
			t.shown = e.shown + "[]"
		}
	}
	out = append(out, bitmapType(byOID[vec.T(vec.Bytea).OID()]))
	for _, r := range relations() {
		if byOID[r.rowType] == nil && r.rowType != 0 {
			out = append(out, &typeRow{oid: r.rowType, name: r.Name, shown: r.Name, schema: schemaOf(r.System), class: r.OID})
		}
	}
	return out
})

// bitmapType is the row of the one type that PostgreSQL has not. On the wire it is read and written as
// bytea is.
func bitmapType(bytea *typeRow) *typeRow {
	t := vec.T(vec.IntSet)
	data := maps.Clone(bytea.data)
	data["oid"], data["typname"], data["typarray"] = strconv.Itoa(int(t.OID())), t.String(), "0"
	return &typeRow{oid: t.OID(), name: t.String(), shown: t.String(), schema: schemaCatalog, data: data}
}

// typesByOID finds the types that are always there.
var typesByOID = sync.OnceValue(func() map[uint32]*typeRow {
	out := map[uint32]*typeRow{}
	for _, t := range builtinTypes() {
		out[t.oid] = t
	}
	return out
})

// rowTypes lists the types of the rows of tables, and of arrays of them.
func (r *Reader) rowTypes() []*typeRow {
	var out []*typeRow
	for _, t := range r.tables() {
		row, array := rowTypeOID(t.OID), rowArrayOID(t.OID)
		name := quoteName(t.Name)
		out = append(out, &typeRow{oid: row, name: t.Name, shown: name, schema: r.namespaceOf(t), class: t.OID, array: array},
			&typeRow{oid: array, name: "_" + t.Name, shown: name + "[]", schema: r.namespaceOf(t), elem: row})
	}
	return out
}

// typeRow finds a type; nil for none.
func (r *Reader) typeRow(oid uint32) *typeRow {
	if t := typesByOID()[oid]; t != nil {
		return t
	}
	for _, t := range r.rowTypes() {
		if t.oid == oid {
			return t
		}
	}
	return nil
}

func (r *Reader) typeName(oid uint32) (string, bool) {
	t := r.typeRow(oid)
	if t == nil {
		return "", false
	}
	if t.schema == schemaInformation {
		return "information_schema." + t.shown, true
	}
	return t.shown, true
}

// otherNames are names by which SQL knows types besides those that format_type gives.
var otherNames = map[string]string{
	"int": "int4", "float": "float8", "decimal": "numeric", "dec": "numeric", "json": "json", "timestamp": "timestamp",
	"timestamp without time zone": "timestamp", "time": "time", "string": "text",
}

// findType finds a type by a name as SQL writes it: integer, timestamp(3) with time zone[],
// pg_catalog.int4.
func (r *Reader) findType(written string) (uint32, error) {
	name := strings.TrimSpace(written)
	array := strings.HasSuffix(name, "[]")
	name = strings.TrimSuffix(name, "[]")
	if i := strings.IndexByte(name, '('); i >= 0 { // a modifier says nothing here
		if j := strings.IndexByte(name[i:], ')'); j > 0 {
			name = strings.TrimRight(name[:i], " ") + name[i+j+1:]
		}
	}
	schema := uint32(0)
	if parts, ok := expr.ParseIdent(name); ok {
		if len(parts) > 1 {
			oid, err := r.Find(vec.RegNamespace, parts[len(parts)-2])
			if err != nil {
				return 0, err
			}
			schema = oid
		}
		if !strings.Contains(name, `"`) { // "char" is not char
			name = parts[len(parts)-1]
		} else if name = parts[len(parts)-1]; name == "char" {
			name = `"char"`
		}
	}
	known := name
	if n, ok := otherNames[name]; ok {
		known = n
	}
	for _, list := range [][]*typeRow{builtinTypes(), r.rowTypes()} {
		for _, t := range list {
			if schema != 0 && t.schema != schema || t.name != known && t.shown != name || name == "char" && t.name == "char" {
				continue
			}
			if !array {
				return t.oid, nil
			}
			if t.array != 0 {
				return t.array, nil
			}
		}
	}
	if name == "char" {
		return r.findType(strings.Replace(written, "char", "bpchar", 1))
	}
	return 0, pgerr.New(pgerr.UndefinedObject, `type "%s" does not exist`, written)
}

// typ adds a row of pg_type.
func (t *table) typ(x *typeRow) {
	d := x.data
	switch {
	case d != nil:
		proc := func(column string) uint32 { return procOID(d[column]) }
		t.add("oid", x.oid, "typname", x.name, "typnamespace", x.schema, "typowner", owner, "typlen", d["typlen"], "typbyval", d["typbyval"], "typtype", d["typtype"],
			"typcategory", d["typcategory"], "typispreferred", d["typispreferred"], "typisdefined", true, "typdelim", d["typdelim"], "typrelid", d["typrelid"],
			"typelem", d["typelem"], "typarray", d["typarray"], "typinput", proc("typinput"), "typoutput", proc("typoutput"),
			"typreceive", proc("typreceive"), "typsend", proc("typsend"), "typalign", d["typalign"], "typstorage", d["typstorage"],
			"typbasetype", d["typbasetype"], "typtypmod", d["typtypmod"], "typcollation", d["typcollation"])
	case x.class != 0:
		t.add("oid", x.oid, "typname", x.name, "typnamespace", x.schema, "typowner", owner, "typlen", -1, "typtype", "c", "typcategory", "C",
			"typisdefined", true, "typdelim", ",", "typrelid", x.class, "typarray", x.array, "typinput", procOID("record_in"), "typoutput", procOID("record_out"),
			"typreceive", procOID("record_recv"), "typsend", procOID("record_send"), "typalign", "d", "typstorage", "x", "typtypmod", -1)
	default:
		t.add("oid", x.oid, "typname", x.name, "typnamespace", x.schema, "typowner", owner, "typlen", -1, "typtype", "b", "typcategory", "A",
			"typisdefined", true, "typdelim", ",", "typelem", x.elem, "typinput", procOID("array_in"), "typoutput", procOID("array_out"),
			"typreceive", procOID("array_recv"), "typsend", procOID("array_send"), "typalign", "d", "typstorage", "x", "typtypmod", -1)
	}
}

// typeTables fills pg_type and what hangs on it.
func typeTables() {
	statics["pg_catalog.pg_type"] = func(t *table) {
		for _, x := range builtinTypes() {
			t.typ(x)
		}
	}
	dynamics["pg_catalog.pg_type"] = func(r *Reader, t *table) {
		for _, x := range r.rowTypes() {
			t.typ(x)
		}
	}
	statics["pg_catalog.pg_range"] = func(t *table) {
		for _, d := range rows("pg_range.tsv") {
			t.add("rngtypid", d["rngtypid"], "rngsubtype", d["rngsubtype"], "rngmultitypid", d["rngmultitypid"], "rngcollation", d["rngcollation"],
				"rngsubopc", d["rngsubopc"], "rngcanonical", procOID(d["rngcanonical"]), "rngsubdiff", procOID(d["rngsubdiff"]))
		}
	}
	statics["pg_catalog.pg_cast"] = func(t *table) {
		for _, d := range rows("pg_cast.tsv") {
			if !allOurs(d["castsource"], d["casttarget"]) {
				continue
			}
			t.add("oid", d["oid"], "castsource", d["castsource"], "casttarget", d["casttarget"], "castfunc", d["castfunc"],
				"castcontext", d["castcontext"], "castmethod", d["castmethod"])
		}
	}
	statics["pg_catalog.pg_operator"] = func(t *table) {
		for _, d := range rows("pg_operator.tsv") {
			if !allOurs(d["oprleft"], d["oprright"], d["oprresult"]) {
				continue
			}
			t.add("oid", d["oid"], "oprname", d["oprname"], "oprnamespace", schemaCatalog, "oprowner", owner, "oprkind", d["oprkind"],
				"oprleft", d["oprleft"], "oprright", d["oprright"], "oprresult", d["oprresult"], "oprcom", d["oprcom"], "oprnegate", d["oprnegate"],
				"oprcode", d["oprcode"])
		}
	}
	statics["pg_catalog.pg_collation"] = func(t *table) {
		t.add("oid", collationDefault, "collname", "default", "collnamespace", schemaCatalog, "collowner", owner, "collprovider", "d",
			"collisdeterministic", true, "collencoding", -1)
		for oid, name := range map[int]string{collationC: "C", collationPosix: "POSIX"} {
			t.add("oid", oid, "collname", name, "collnamespace", schemaCatalog, "collowner", owner, "collprovider", "c",
				"collisdeterministic", true, "collencoding", -1, "collcollate", name, "collctype", name)
		}
		for i, locale := range expr.Collations() {
			t.add("oid", collationICU+i, "collname", locale+"-x-icu", "collnamespace", schemaCatalog, "collowner", owner, "collprovider", "i",
				"collisdeterministic", true, "collencoding", -1, "colliculocale", locale)
		}
		t.add("oid", 12341, "collname", "ucs_basic", "collnamespace", schemaCatalog, "collowner", owner, "collprovider", "c",
			"collisdeterministic", true, "collencoding", 6, "collcollate", "C", "collctype", "C")
	}
}
