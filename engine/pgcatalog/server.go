package pgcatalog

import (
	"time"

	"github.com/prickledb/prickle/storage/vec"
)

// servers fills the tables about what surrounds the objects: databases, roles, settings,
// sessions.
func servers() {
	dynamics["pg_catalog.pg_database"] = func(r *Reader, t *table) {
		t.add("oid", databaseOID(r.catalog.Project), "datname", r.catalog.Database, "datdba", owner, "encoding", 6, "datlocprovider", "c",
			"datallowconn", true, "datconnlimit", -1, "dattablespace", tablespaceDefault, "datcollate", "C", "datctype", "C")
	}
	dynamics["pg_catalog.pg_roles"] = func(r *Reader, t *table) {
		t.add("oid", owner, "rolname", r.session.User, "rolsuper", true, "rolinherit", true, "rolcreaterole", true, "rolcreatedb", true,
			"rolcanlogin", true, "rolreplication", false, "rolbypassrls", true, "rolconnlimit", -1, "rolpassword", "********")
	}
	dynamics["pg_catalog.pg_authid"] = func(r *Reader, t *table) {
		t.add("oid", owner, "rolname", r.session.User, "rolsuper", true, "rolinherit", true, "rolcreaterole", true, "rolcreatedb", true,
			"rolcanlogin", true, "rolbypassrls", true, "rolconnlimit", -1)
	}
	dynamics["pg_catalog.pg_user"] = func(r *Reader, t *table) {
		t.add("usename", r.session.User, "usesysid", owner, "usecreatedb", true, "usesuper", true, "userepl", false, "usebypassrls", true, "passwd", "********")
	}
	dynamics["pg_catalog.pg_shadow"] = func(r *Reader, t *table) {
		t.add("usename", r.session.User, "usesysid", owner, "usecreatedb", true, "usesuper", true, "userepl", false, "usebypassrls", true)
	}
	statics["pg_catalog.pg_tablespace"] = func(t *table) {
		t.add("oid", tablespaceDefault, "spcname", "pg_default", "spcowner", owner)
		t.add("oid", tablespaceGlobal, "spcname", "pg_global", "spcowner", owner)
	}
	statics["pg_catalog.pg_extension"] = func(t *table) {
		t.add("oid", extensionPlpgsql, "extname", "plpgsql", "extowner", owner, "extnamespace", schemaCatalog, "extversion", "1.0")
	}
	dynamics["pg_catalog.pg_settings"] = func(r *Reader, t *table) {
		if r.session.Settings == nil {
			return
		}
		for _, s := range r.session.Settings() {
			source := "default"
			if s.Value != s.Default {
				source = "session"
			}
			t.add("name", s.Name, "setting", s.Value, "short_desc", s.Description, "category", "Prickle", "context", "user", "vartype", "string",
				"source", source, "boot_val", s.Default, "reset_val", s.Default, "pending_restart", false)
		}
	}
	dynamics["pg_catalog.pg_stat_database"] = func(r *Reader, t *table) {
		t.add("datid", databaseOID(r.catalog.Project), "datname", r.catalog.Database, "numbackends", 1)
	}
	dynamics["pg_catalog.pg_timezone_names"] = func(_ *Reader, t *table) {
		now := time.Now()
		for _, name := range zoneNames() {
			loc, err := time.LoadLocation(name)
			if err != nil {
				continue
			}
			short, offset := now.In(loc).Zone()
			t.add("name", name, "abbrev", short, "utc_offset", vec.IntervalValue{Micros: int64(offset) * 1_000_000}, "is_dst", now.In(loc).IsDST())
		}
	}
}
