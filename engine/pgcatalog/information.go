package pgcatalog

import (
	"slices"
	"strconv"

	"github.com/prickledb/prickle/engine/catalog"
	"github.com/prickledb/prickle/engine/role"
	usertable "github.com/prickledb/prickle/storage/table"
	"github.com/prickledb/prickle/storage/vec"
)

// information fills the tables of information_schema.
func information() {
	dynamics["information_schema.information_schema_catalog_name"] = func(r *Reader, t *table) {
		t.add("catalog_name", r.catalog.Database)
	}
	dynamics["information_schema.schemata"] = func(r *Reader, t *table) {
		for _, n := range r.namespaces() {
			if n.oid != schemaTemp && (r.catalog.Namespace(n.name) == nil || r.mayAny(role.Schema, n.oid, n.owner)) {
				t.add("catalog_name", r.catalog.Database, "schema_name", n.name, "schema_owner", r.ownedBy(n.owner))
			}
		}
	}
	dynamics["information_schema.tables"] = func(r *Reader, t *table) {
		r.eachVisible(func(schema, name, kind string, _ []column) {
			word := "BASE TABLE"
			switch {
			case kind == "v":
				word = "VIEW"
			case schema == catalog.TempSchema:
				word = "LOCAL TEMPORARY"
			}
			t.add("table_catalog", r.catalog.Database, "table_schema", schema, "table_name", name, "table_type", word,
				"is_insertable_into", yesNo(kind == "r" && byName()[schema+"."+name] == nil), "is_typed", "NO")
		})
	}
	dynamics["information_schema.columns"] = func(r *Reader, t *table) {
		r.eachVisible(func(schema, name, kind string, columns []column) {
			for _, c := range columns {
				r.informationColumn(t, schema, name, kind, c)
			}
		})
	}
	dynamics["information_schema.views"] = func(r *Reader, t *table) {
		r.eachVisible(func(schema, name, kind string, _ []column) {
			if kind == "v" {
				var definition any
				if v := r.catalog.In(schema, name); v != nil && (v.Temp() || r.enabled(v.Owner())) {
					definition = r.viewDefinition(v)
				}
				t.add("view_definition", definition, "table_catalog", r.catalog.Database, "table_schema", schema, "table_name", name, "check_option", "NONE", "is_updatable", "NO",
					"is_insertable_into", "NO", "is_trigger_updatable", "NO", "is_trigger_deletable", "NO", "is_trigger_insertable_into", "NO")
			}
		})
	}
	dynamics["information_schema.character_sets"] = func(r *Reader, t *table) {
		t.add("character_set_name", "UTF8", "character_repertoire", "UCS", "form_of_use", "UTF8", "default_collate_catalog", r.catalog.Database,
			"default_collate_schema", "pg_catalog", "default_collate_name", "C")
	}
	informationKeys()
	for _, name := range []string{"table_privileges", "role_table_grants"} {
		dynamics["information_schema."+name] = func(r *Reader, t *table) {
			r.eachRight(func(schema string, u *catalog.Table, table, _, grantee, right string, option bool, _ []column) {
				if by := r.grantor(u); !r.enabled(by) && !r.enabled(grantee) && (grantee != "PUBLIC" || name == "role_table_grants") {
					return
				}
				t.add("grantor", r.grantor(u), "grantee", grantee, "table_catalog", r.catalog.Database, "table_schema", schema,
					"table_name", table, "privilege_type", right, "is_grantable", yesNo(option), "with_hierarchy", yesNo(right == "SELECT"))
			})
		}
	}
	dynamics["information_schema.column_privileges"] = func(r *Reader, t *table) {
		r.eachRight(func(schema string, u *catalog.Table, table, _, grantee, right string, option bool, columns []column) {
			if right == "DELETE" || right == "TRUNCATE" || right == "TRIGGER" || !r.enabled(r.grantor(u)) && !r.enabled(grantee) && grantee != "PUBLIC" {
				return
			}
			for _, c := range columns {
				t.add("grantor", r.grantor(u), "grantee", grantee, "table_catalog", r.catalog.Database, "table_schema", schema,
					"table_name", table, "column_name", c.name, "privilege_type", right, "is_grantable", yesNo(option))
			}
		})
	}
	dynamics["information_schema.routines"] = func(r *Reader, t *table) {
		for _, p := range procs() {
			word := map[string]any{"f": "FUNCTION", "p": "PROCEDURE"}[p.kind]
			shown, _ := r.typeName(p.result)
			x := r.typeRow(p.result)
			if x == nil {
				continue
			}
			t.add("specific_catalog", r.catalog.Database, "specific_schema", fixedName(p.schema), "specific_name", specific(p),
				"routine_catalog", r.catalog.Database, "routine_schema", fixedName(p.schema), "routine_name", p.name, "routine_type", word,
				"data_type", dataType(shown, x), "type_udt_catalog", r.catalog.Database, "type_udt_schema", fixedName(x.schema), "type_udt_name", x.name,
				"dtd_identifier", "0", "routine_body", "EXTERNAL", "external_name", p.source, "external_language", "INTERNAL", "parameter_style", "GENERAL",
				"is_deterministic", yesNo(p.volatile == "i"), "sql_data_access", "MODIFIES", "is_null_call", yesNo(p.strict), "schema_level_routine", "YES",
				"max_dynamic_result_sets", 0, "security_type", "INVOKER", "as_locator", "NO", "is_udt_dependent", "NO")
		}
	}
	dynamics["information_schema.parameters"] = func(r *Reader, t *table) {
		for _, p := range procs() {
			for i, arg := range p.args {
				shown, _ := r.typeName(arg)
				x := r.typeRow(arg)
				if x == nil {
					continue
				}
				t.add("specific_catalog", r.catalog.Database, "specific_schema", fixedName(p.schema), "specific_name", specific(p), "ordinal_position", i+1,
					"parameter_mode", "IN", "is_result", "NO", "as_locator", "NO", "data_type", dataType(shown, x), "udt_catalog", r.catalog.Database,
					"udt_schema", fixedName(x.schema), "udt_name", x.name, "dtd_identifier", strconv.Itoa(i+1))
			}
		}
	}
}

func specific(p *proc) string { return p.name + "_" + strconv.Itoa(int(p.oid)) }

// informationKeys fills the tables about keys.
func informationKeys() {
	dynamics["information_schema.table_constraints"] = func(r *Reader, t *table) {
		add := func(u *catalog.Table, name, word, enforced string, deferrable, deferred bool) {
			t.add("constraint_catalog", r.catalog.Database, "constraint_schema", u.Namespace(), "constraint_name", name, "table_catalog", r.catalog.Database,
				"table_schema", u.Namespace(), "table_name", u.Name, "constraint_type", word, "is_deferrable", yesNo(deferrable), "initially_deferred", yesNo(deferred), "enforced", enforced)
		}
		for _, x := range r.indexes() {
			word := "UNIQUE"
			if x.key.Primary {
				word = "PRIMARY KEY"
			}
			add(x.table, x.name, word, "NO", x.key.Deferrable, x.key.Deferred)
		}
		for _, u := range r.tables() {
			for _, c := range checksOf(u) {
				add(u, c.Name, "CHECK", "YES", false, false)
			}
		}
		for _, f := range r.foreign() {
			add(f.table, f.key.Name, "FOREIGN KEY", "NO", f.key.Deferrable, f.key.Deferred)
		}
	}
	dynamics["information_schema.check_constraints"] = func(r *Reader, t *table) {
		for _, u := range r.tables() {
			for _, c := range checksOf(u) {
				t.add("constraint_catalog", r.catalog.Database, "constraint_schema", u.Namespace(), "constraint_name", c.Name, "check_clause", "("+r.fullText(c.Expr)+")")
			}
		}
	}
	rules := map[string]string{"": "NO ACTION", "a": "NO ACTION", "r": "RESTRICT", "c": "CASCADE", "n": "SET NULL", "d": "SET DEFAULT"}
	dynamics["information_schema.referential_constraints"] = func(r *Reader, t *table) {
		for _, f := range r.foreign() {
			t.add("constraint_catalog", r.catalog.Database, "constraint_schema", f.table.Namespace(), "constraint_name", f.key.Name,
				"unique_constraint_catalog", r.catalog.Database, "unique_constraint_schema", f.of.Namespace(), "unique_constraint_name", orNull(f.named),
				"match_option", "NONE", "update_rule", rules[f.key.OnUpdate], "delete_rule", rules[f.key.OnDelete])
		}
	}
	dynamics["information_schema.key_column_usage"] = func(r *Reader, t *table) {
		add := func(u *catalog.Table, name, column string, position int, of any) {
			t.add("constraint_catalog", r.catalog.Database, "constraint_schema", u.Namespace(), "constraint_name", name, "table_catalog", r.catalog.Database,
				"table_schema", u.Namespace(), "table_name", u.Name, "column_name", column, "ordinal_position", position, "position_in_unique_constraint", of)
		}
		for _, x := range r.indexes() {
			for i, id := range x.key.Columns {
				add(x.table, x.name, x.table.Schema.NameOf(id), i+1, nil)
			}
		}
		for _, f := range r.foreign() {
			for i, id := range f.key.Columns {
				var of any
				for _, key := range f.of.Schema.Keys {
					if at := slices.Index(key.Columns, f.key.Of[i]); at >= 0 {
						of = at + 1
						break
					}
				}
				add(f.table, f.key.Name, f.table.Schema.NameOf(id), i+1, of)
			}
		}
	}
	dynamics["information_schema.constraint_column_usage"] = func(r *Reader, t *table) {
		add := func(of, by *catalog.Table, name string, columns []uint32) {
			for _, id := range columns {
				t.add("table_catalog", r.catalog.Database, "table_schema", of.Namespace(), "table_name", of.Name, "column_name", of.Schema.NameOf(id),
					"constraint_catalog", r.catalog.Database, "constraint_schema", by.Namespace(), "constraint_name", name)
			}
		}
		for _, x := range r.indexes() {
			add(x.table, x.table, x.name, x.key.Columns)
		}
		for _, u := range r.tables() {
			for _, c := range checksOf(u) {
				add(u, u, c.Name, c.Columns)
			}
		}
		for _, f := range r.foreign() {
			add(f.of, f.table, f.key.Name, f.key.Of)
		}
	}
}

// eachTable shows all tables and views with their columns.
func (r *Reader) eachTable(do func(schema, name, kind string, columns []column)) {
	for _, u := range r.tables() {
		kind := "r"
		if u.View() != "" {
			kind = "v"
		}
		do(u.Namespace(), u.Name, kind, columnsOf(u))
	}
	for _, s := range relations() {
		do(s.System, s.Name, s.kind, s.columns())
	}
}

// eachVisible is eachTable of those that whoever looks may do something with.
func (r *Reader) eachVisible(do func(schema, name, kind string, columns []column)) {
	r.eachTable(func(schema, name, kind string, columns []column) {
		if u := r.catalog.In(schema, name); u == nil || u.System != "" || u.Temp() || r.mayAny(role.Table, u.OID, u.Owner()) {
			do(schema, name, kind, columns)
		}
	})
}

// mayAny says whether whoever looks has any right on a thing.
func (r *Reader) mayAny(on role.Class, oid uint32, owner string) bool {
	return slices.ContainsFunc(role.RightsOn(on), func(right string) bool { return r.catalog.Roles.May(r.current(), right, on, oid, owner, false) })
}

// enabled says whether whoever looks has the rights of a role.
func (r *Reader) enabled(name string) bool {
	return r.catalog.Roles.Super(r.current()) || r.catalog.Roles.Member(r.current(), name, true)
}

func yesNo(b bool) string {
	if b {
		return "YES"
	}
	return "NO"
}

// dataType is how information_schema calls a type.
func dataType(shown string, x *typeRow) string {
	switch {
	case x.elem != 0 && x.schema == schemaCatalog || len(shown) > 2 && shown[len(shown)-2:] == "[]":
		return "ARRAY"
	case x.schema != schemaCatalog:
		return "USER-DEFINED"
	}
	return shown
}

// informationColumn adds a row of columns.
func (r *Reader) informationColumn(t *table, schema, name, kind string, c column) {
	x := typesByOID()[c.t.OID()]
	pairs := []any{"table_catalog", r.catalog.Database, "table_schema", schema, "table_name", name, "column_name", c.name, "ordinal_position", c.number,
		"is_nullable", yesNo(!c.notNull), "data_type", dataType(x.shown, x), "udt_catalog", r.catalog.Database, "udt_schema", "pg_catalog", "udt_name", x.name,
		"dtd_identifier", strconv.Itoa(c.number), "is_self_referencing", "NO", "is_identity", yesNo(c.identity != nil), "identity_cycle", "NO", "is_generated", "NEVER",
		"is_updatable", yesNo(kind == "r" && byName()[schema+"."+name] == nil)}
	if c.def != "" {
		pairs = append(pairs, "column_default", r.fullText(c.def))
	}
	if x := c.identity; x != nil {
		generation := "BY DEFAULT"
		if x.Identity == "a" {
			generation = "ALWAYS"
		}
		pairs = append(pairs, "identity_generation", generation, "identity_start", strconv.FormatInt(x.First(), 10), "identity_increment", "1",
			"identity_maximum", strconv.FormatInt(usertable.LastNumber(x.Type), 10), "identity_minimum", "1")
	}
	if !c.t.Array {
		pairs = append(pairs, details(c.t)...)
	}
	t.add(pairs...)
}

// details is the lengths and precisions of a type that is no array.
func details(t vec.Type) []any {
	binary := func(bits, scale int) []any {
		return []any{"numeric_precision", bits, "numeric_precision_radix", 2, "numeric_scale", scale}
	}
	switch t.Kind {
	case vec.Varchar, vec.Bpchar:
		if t.Mod >= 4 {
			return []any{"character_maximum_length", int(t.Mod) - 4, "character_octet_length", 4 * (int(t.Mod) - 4)}
		}
		return []any{"character_octet_length", 1 << 30}
	case vec.Text:
		return []any{"character_octet_length", 1 << 30}
	case vec.Int2:
		return binary(16, 0)
	case vec.Int4:
		return binary(32, 0)
	case vec.Int8:
		return binary(64, 0)
	case vec.Float4:
		return binary(24, 0)[:4]
	case vec.Float8:
		return binary(53, 0)[:4]
	case vec.Numeric:
		if t.Mod >= 4 {
			return []any{"numeric_precision", int(t.Mod-4) >> 16 & 0xffff, "numeric_precision_radix", 10, "numeric_scale", int(t.Mod-4) & 0x7ff}
		}
		return []any{"numeric_precision_radix", 10}
	case vec.Date:
		return []any{"datetime_precision", 0}
	case vec.Time, vec.Timestamp, vec.TimestampTZ, vec.Interval:
		precision := 6
		if mod := t.Modifier(); mod >= 0 && mod&0xffff < 6 {
			precision = int(mod & 0xffff)
		}
		return []any{"datetime_precision", precision}
	}
	return nil
}
