package pgcatalog

import (
	"slices"
	"strings"
	"testing"

	"github.com/prickledb/prickle/engine/agg"
	"github.com/prickledb/prickle/engine/catalog"
	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/pgerr"
	stored "github.com/prickledb/prickle/storage/table"
	"github.com/prickledb/prickle/storage/vec"
)

// reader reads a database with the tables of every project and one of a user.
func reader() *Reader {
	schema := &stored.Schema{Table: 1, Version: 1, Name: "Orders 1", NextColumn: 1}
	schema.Add(stored.Column{Name: "id", Type: vec.T(vec.Int8), NotNull: true})
	schema.Add(stored.Column{Name: "select", Type: vec.Type{Kind: vec.Varchar, Mod: 44}, Default: "'x'"})
	schema.Keys = []stored.Key{{Primary: true, Columns: []uint32{1}}, {Columns: []uint32{2, 1}}}
	t := &catalog.Table{OID: 20001, Name: schema.Name, Schema: schema, Rows: 7}
	for _, c := range schema.Columns {
		t.Columns = append(t.Columns, catalog.Column{Name: c.Name, Type: c.Type})
	}
	return NewReader(&catalog.Catalog{Project: 1, Database: "prickle", Tables: append(catalog.Builtin(), t)}, Session{User: "ann",
		Settings: func() []Setting { return []Setting{{"work_mem", "4MB", "", "2MB"}} },
		Backends: func() []Backend { return []Backend{{PID: 7, User: "ann", State: "active"}} }})
}

// read reads a column of a table of the catalog as text; nulls are left out.
func read(t *testing.T, r *Reader, name, column string) []string {
	t.Helper()
	batches, err := r.Table("pg_catalog."+name, []string{column})
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, b := range batches {
		for i := range b.Rows {
			if !b.Cols[0].IsNull(i) {
				v, j := b.Cols[0].At(i)
				if v.Type.IsOID() {
					v = &vec.Vector{Type: vec.T(vec.Int8), I64: v.I64}
				}
				out = append(out, string(expr.AppendText(nil, v, j, nil)))
			}
		}
	}
	return out
}

// TestEveryTable reads every column of every table: all have as many values as there are rows.
func TestEveryTable(t *testing.T) {
	r := reader()
	for _, rel := range relations() {
		var columns []string
		for _, c := range rel.Columns {
			columns = append(columns, c.Name)
		}
		batches, err := r.Table(rel.System+"."+rel.Name, columns)
		if err != nil {
			t.Fatalf("%s: %v", rel.Name, err)
		}
		for _, b := range batches {
			for i, v := range b.Cols {
				if v.Len() != b.Rows {
					t.Errorf("%s.%s has %d values in %d rows", rel.Name, columns[i], v.Len(), b.Rows)
				}
				if v.Type != rel.Columns[i].Type {
					t.Errorf("%s.%s is %v, want %v", rel.Name, columns[i], v.Type, rel.Columns[i].Type)
				}
				for row := range b.Rows {
					if rel.notNull[i] && v.IsNull(row) {
						t.Errorf("%s.%s is null in row %d", rel.Name, columns[i], row)
						break
					}
				}
			}
		}
	}
	if _, err := r.Table("pg_catalog.pg_nothing", nil); err == nil {
		t.Error("a table that is not there was read")
	}
	if _, err := r.Table("pg_catalog.pg_class", []string{"nothing"}); err == nil {
		t.Error("a column that is not there was read")
	}
}

// TestJoinsMeet follows the columns that clients join by: what they name is there.
func TestJoinsMeet(t *testing.T) {
	r := reader()
	for _, j := range []struct{ table, column, to string }{
		{"pg_class", "relnamespace", "pg_namespace"}, {"pg_class", "relowner", "pg_roles"}, {"pg_class", "relam", "pg_am"}, {"pg_class", "reltype", "pg_type"},
		{"pg_attribute", "attrelid", "pg_class"}, {"pg_attribute", "atttypid", "pg_type"}, {"pg_attribute", "attcollation", "pg_collation"},
		{"pg_type", "typnamespace", "pg_namespace"}, {"pg_type", "typowner", "pg_roles"}, {"pg_type", "typelem", "pg_type"}, {"pg_type", "typarray", "pg_type"},
		{"pg_type", "typrelid", "pg_class"}, {"pg_type", "typinput", "pg_proc"}, {"pg_type", "typoutput", "pg_proc"}, {"pg_type", "typreceive", "pg_proc"},
		{"pg_type", "typsend", "pg_proc"}, {"pg_type", "typcollation", "pg_collation"}, {"pg_type", "typbasetype", "pg_type"},
		{"pg_attrdef", "adrelid", "pg_class"}, {"pg_index", "indexrelid", "pg_class"}, {"pg_index", "indrelid", "pg_class"},
		{"pg_constraint", "conrelid", "pg_class"}, {"pg_constraint", "conindid", "pg_class"}, {"pg_constraint", "connamespace", "pg_namespace"},
		{"pg_proc", "pronamespace", "pg_namespace"}, {"pg_proc", "prolang", "pg_language"}, {"pg_proc", "prorettype", "pg_type"}, {"pg_proc", "proowner", "pg_roles"},
		{"pg_aggregate", "aggfnoid", "pg_proc"}, {"pg_range", "rngtypid", "pg_type"}, {"pg_range", "rngsubtype", "pg_type"}, {"pg_range", "rngmultitypid", "pg_type"},
		{"pg_cast", "castsource", "pg_type"}, {"pg_cast", "casttarget", "pg_type"}, {"pg_cast", "castfunc", "pg_proc"}, {"pg_operator", "oprcode", "pg_proc"},
		{"pg_operator", "oprleft", "pg_type"}, {"pg_operator", "oprright", "pg_type"}, {"pg_operator", "oprresult", "pg_type"},
		{"pg_database", "datdba", "pg_roles"}, {"pg_database", "dattablespace", "pg_tablespace"}, {"pg_extension", "extnamespace", "pg_namespace"},
		{"pg_rewrite", "ev_class", "pg_class"}, {"pg_am", "amhandler", "pg_proc"},
	} {
		there := map[string]bool{"0": true}
		for _, oid := range read(t, r, j.to, "oid") {
			there[oid] = true
		}
		var missing []string
		for _, oid := range read(t, r, j.table, j.column) {
			if !there[oid] && !slices.Contains(missing, oid) {
				missing = append(missing, oid)
			}
		}
		if missing != nil {
			t.Errorf("%s.%s names what %s does not have: %s", j.table, j.column, j.to, strings.Join(missing[:min(10, len(missing))], " "))
		}
	}
}

func TestUniqueOIDs(t *testing.T) {
	r := reader()
	for _, name := range []string{"pg_class", "pg_type", "pg_proc", "pg_namespace", "pg_constraint", "pg_operator", "pg_cast", "pg_attrdef"} {
		seen := map[string]bool{}
		for _, oid := range read(t, r, name, "oid") {
			if seen[oid] || oid == "0" {
				t.Errorf("%s has the object id %s twice, or has 0", name, oid)
			}
			seen[oid] = true
		}
	}
}

func TestNames(t *testing.T) {
	r := reader()
	for _, c := range []struct {
		kind       vec.Kind
		name, want string // the name found, or the SQLSTATE
	}{
		{vec.RegClass, "events", "events"}, {vec.RegClass, " PUBLIC . Events ", "events"}, {vec.RegClass, "prickle.public.events", "events"},
		{vec.RegClass, `"Orders 1"`, `"Orders 1"`}, {vec.RegClass, "Orders 1", "42P01"}, {vec.RegClass, "information_schema.columns", "information_schema.columns"},
		{vec.RegClass, "pg_class", "pg_class"}, {vec.RegClass, "columns", "42P01"}, {vec.RegClass, "other.public.events", "0A000"}, {vec.RegClass, `"events`, "42602"},
		{vec.RegClass, `"Orders 1_pkey"`, `"Orders 1_pkey"`}, {vec.RegClass, "", "42602"}, {vec.RegClass, "a.b.c.d", "42602"},
		{vec.RegType, "integer", "integer"}, {vec.RegType, "int4[]", "integer[]"}, {vec.RegType, "varchar(40)", "character varying"},
		{vec.RegType, "timestamp (3) with time zone", "timestamp with time zone"}, {vec.RegType, "char", "character"}, {vec.RegType, `"char"`, `"char"`},
		{vec.RegType, "events", "events"}, {vec.RegType, `"Orders 1"[]`, `"Orders 1"[]`}, {vec.RegType, "pg_catalog.text", "text"}, {vec.RegType, "public.text", "42704"},
		{vec.RegType, "double precision", "double precision"}, {vec.RegType, "nothing", "42704"}, {vec.RegType, "other.text", "3F000"}, {vec.RegType, "", "42704"},
		{vec.RegProc, "array_in", "array_in"}, {vec.RegProcedure, "pg_catalog.now()", "now()"}, {vec.RegProc, "nothing", "42883"},
		{vec.RegNamespace, "public", "public"}, {vec.RegNamespace, "nothing", "3F000"}, {vec.RegRole, "ann", "ann"}, {vec.RegRole, "bob", "42704"},
	} {
		oid, err := r.Find(c.kind, c.name)
		got := ""
		if err != nil {
			got = pgerr.Code(err)
		} else {
			got, _ = r.Name(c.kind, oid)
		}
		if got != c.want {
			t.Errorf("Find(%v, %q) = %s, want %s", vec.T(c.kind), c.name, got, c.want)
		}
	}
}

func TestDescribe(t *testing.T) {
	r := reader()
	for _, c := range []struct {
		function string
		oid      uint32
		part     int
		want     string
	}{
		{"pg_get_indexdef", indexOID(20001, 1), 0, `CREATE UNIQUE INDEX "Orders 1_select_id_key" ON public."Orders 1" USING btree ("select", id)`},
		{"pg_get_indexdef", indexOID(20001, 1), 1, `"select"`}, {"pg_get_indexdef", indexOID(20001, 1), 3, ""}, {"pg_get_indexdef", 1, 0, "NULL"},
		{"pg_get_constraintdef", constraintOID(20001, 0), 0, "PRIMARY KEY (id)"}, {"pg_get_constraintdef", constraintOID(20001, 1), 0, `UNIQUE ("select", id)`},
		{"pg_get_function_result", 870, 0, "text"}, {"pg_get_function_arguments", 870, 0, "text"}, {"pg_get_viewdef", 1, 0, "NULL"},
	} {
		got, ok := r.Describe(c.function, c.oid, c.part)
		if !ok {
			got = "NULL"
		}
		if got != c.want {
			t.Errorf("Describe(%s, %d, %d) = %s, want %s", c.function, c.oid, c.part, got, c.want)
		}
	}
}

// TestEveryFunctionIsListed looks for the functions and aggregates that statements may call in pg_proc,
// and for types of ours that are not there.
func TestEveryFunctionIsListed(t *testing.T) {
	listed := map[string]bool{}
	for _, p := range procs() {
		listed[p.name] = true
		if p.schema != schemaPrickle {
			continue
		}
		for _, oid := range append(slices.Clone(p.args), p.result) {
			if typesByOID()[oid] == nil {
				t.Errorf("%s has the type %d, which is not there", p.name, oid)
			}
		}
	}
	for _, name := range slices.Concat(agg.Names(), expr.TableFunctions()) {
		if !listed[name] && name != "_pg_expandarray" { // which belongs to information_schema
			t.Errorf("%s is not in pg_proc", name)
		}
	}
}
