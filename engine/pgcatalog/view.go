package pgcatalog

import "github.com/prickledb/prickle/engine/catalog"

// views fills the views that PostgreSQL lays over its tables.
func views() {
	dynamics["pg_catalog.pg_tables"] = func(r *Reader, t *table) {
		for _, s := range relations() {
			if s.kind == "r" {
				t.add("schemaname", s.System, "tablename", s.Name, "tableowner", r.bootstrap(), "hasindexes", false, "hasrules", false,
					"hastriggers", false, "rowsecurity", false)
			}
		}
		for _, u := range r.tables() {
			if u.View() != "" {
				continue
			}
			t.add("schemaname", u.Namespace(), "tablename", u.Name, "tableowner", r.ownerName(u), "hasindexes", u.Schema != nil && len(u.Schema.Keys) > 0,
				"hasrules", false, "hastriggers", false, "rowsecurity", false)
		}
	}
	dynamics["pg_catalog.pg_views"] = func(r *Reader, t *table) {
		for _, s := range relations() {
			if s.kind == "v" {
				t.add("schemaname", s.System, "viewname", s.Name, "viewowner", r.bootstrap(), "definition", "")
			}
		}
		for _, u := range r.tables() {
			if u.View() != "" {
				t.add("schemaname", u.Namespace(), "viewname", u.Name, "viewowner", r.ownerName(u), "definition", r.viewDefinition(u))
			}
		}
	}
	for _, name := range []string{"pg_stat_user_tables", "pg_stat_all_tables", "pg_stat_xact_user_tables", "pg_stat_xact_all_tables"} {
		dynamics["pg_catalog."+name] = func(r *Reader, t *table) {
			for _, u := range r.tables() {
				if u.View() != "" {
					continue
				}
				pairs := []any{"relid", u.OID, "schemaname", u.Namespace(), "relname", u.Name}
				if u.Schema != nil && t.rel.at["n_live_tup"] != 0 {
					pairs = append(pairs, "n_live_tup", u.Rows, "n_dead_tup", 0)
				}
				t.add(pairs...)
			}
		}
	}
	for _, name := range []string{"pg_stat_user_indexes", "pg_stat_all_indexes"} {
		dynamics["pg_catalog."+name] = func(r *Reader, t *table) {
			for _, x := range r.indexes() { // nothing scans them
				t.add("relid", x.table.OID, "indexrelid", x.oid, "schemaname", x.table.Namespace(), "relname", x.table.Name, "indexrelname", x.name,
					"idx_scan", 0, "idx_tup_read", 0, "idx_tup_fetch", 0)
			}
		}
	}
	for _, name := range []string{"pg_statio_user_tables", "pg_statio_all_tables"} {
		dynamics["pg_catalog."+name] = func(r *Reader, t *table) {
			for _, u := range r.tables() {
				if u.View() == "" {
					t.add("relid", u.OID, "schemaname", u.Namespace(), "relname", u.Name)
				}
			}
		}
	}
}

// viewDefinition is the query of a view, as pg_get_viewdef shows it.
func (r *Reader) viewDefinition(v *catalog.Table) string {
	text := v.View()
	if r.catalog.ViewText != nil {
		text = r.catalog.ViewText(v)
	}
	return " " + text + ";"
}
