package pgcatalog

import (
	"time"

	"github.com/prickledb/prickle/engine/catalog"
	"github.com/prickledb/prickle/storage/vec"
)

// countBackends is how many sessions there are.
func (r *Reader) countBackends() int {
	if r.session.Backends == nil {
		return 1
	}
	return len(r.session.Backends())
}

// instant is a time in µs, or null.
func instant(us int64) any {
	if us == 0 {
		return nil
	}
	return us
}

// orNull is a text, or null for none.
func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// servers fills the tables about what surrounds the objects: databases, roles, settings,
// sessions.
func servers() {
	dynamics["pg_catalog.pg_database"] = func(r *Reader, t *table) {
		all := []Database{{r.catalog.Project, r.catalog.Database}}
		if r.session.Databases != nil {
			all = r.session.Databases()
		}
		for _, d := range all {
			t.add("oid", catalog.DatabaseOID(d.Project), "datname", d.Name, "datdba", owner, "encoding", 6, "datlocprovider", "c",
				"datallowconn", true, "datconnlimit", -1, "dattablespace", tablespaceDefault, "datcollate", "C", "datctype", "C")
		}
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
			k := kindOfSetting(s.Name)
			boot := inUnit(s.Default, k.unit)
			row := []any{"name", s.Name, "setting", inUnit(s.Value, k.unit), "short_desc", s.Description, "category", "Prickle", "context", k.context,
				"vartype", k.kind, "source", source, "boot_val", boot, "reset_val", boot, "pending_restart", false}
			if k.unit != "" {
				row = append(row, "unit", k.unit)
			}
			t.add(row...)
		}
	}
	dynamics["pg_catalog.pg_cursors"] = func(r *Reader, t *table) {
		if r.session.Cursors == nil {
			return
		}
		for _, c := range r.session.Cursors() {
			t.add("name", c.Name, "statement", c.Statement, "is_holdable", c.Holdable, "is_binary", c.Binary, "is_scrollable", c.Scrollable,
				"creation_time", c.Created)
		}
	}
	dynamics["pg_catalog.pg_prepared_statements"] = func(r *Reader, t *table) {
		if r.session.Statements == nil {
			return
		}
		for _, p := range r.session.Statements() {
			t.add("name", p.Name, "statement", p.Statement, "prepare_time", p.Prepared, "parameter_types", p.Params, "from_sql", p.SQL,
				"generic_plans", 0, "custom_plans", p.Runs)
		}
	}
	dynamics["pg_catalog.pg_stat_activity"] = func(r *Reader, t *table) {
		if r.session.Backends == nil {
			return
		}
		for _, b := range r.session.Backends() {
			pairs := []any{"datid", r.catalog.OID(), "datname", r.catalog.Database, "pid", b.PID, "usesysid", r.roleNumber(b.User), "usename", b.User,
				"application_name", b.Application}
			if b.Hidden {
				t.add(append(pairs, "query", "<insufficient privilege>")...)
				continue
			}
			pairs = append(pairs, "state", b.State, "query", b.Query, "backend_type", "client backend",
				"backend_start", instant(b.Began), "query_start", instant(b.Statement), "xact_start", instant(b.Transaction), "state_change", instant(b.Changed))
			if b.Address != "" {
				pairs = append(pairs, "client_addr", b.Address, "client_port", b.Port)
			}
			if b.State != "active" {
				pairs = append(pairs, "wait_event_type", "Client", "wait_event", "ClientRead")
			}
			t.add(pairs...)
		}
	}
	dynamics["system.queries"] = func(r *Reader, t *table) {
		if r.session.Queries == nil {
			return
		}
		for _, q := range r.session.Queries() {
			t.add("id", q.ID, "pid", q.PID, "project", q.Project, "username", q.User, "kind", q.Kind, "state", q.State,
				"started", instant(q.Began), "ended", instant(q.Ended), "waited_ms", q.Waited, "run_ms", q.Ran, "cpu_ms", q.CPU,
				"rows_read", q.Rows, "total_rows", q.TotalRows, "bytes_read", q.Bytes, "memory_bytes", q.Memory, "spilled_bytes", q.Spilled,
				"killed", orNull(q.Killed), "error", orNull(q.Error), "query", q.Text)
		}
	}
	for _, name := range []string{"pg_stat_ssl", "pg_stat_gssapi"} {
		dynamics["pg_catalog."+name] = func(r *Reader, t *table) {
			if r.session.Backends == nil {
				return
			}
			for _, b := range r.session.Backends() {
				if t.rel.Name == "pg_stat_ssl" {
					t.add("pid", b.PID, "ssl", b.TLS)
				} else {
					t.add("pid", b.PID, "gss_authenticated", false, "encrypted", false)
				}
			}
		}
	}
	// Nothing here waits for a lock. Whoever looks holds the one of looking, as in PostgreSQL.
	dynamics["pg_catalog.pg_locks"] = func(r *Reader, t *table) {
		if r.session.PID != 0 {
			t.add("locktype", "relation", "database", r.catalog.OID(), "relation", Find("pg_catalog", "pg_locks").OID,
				"virtualtransaction", "1/1", "pid", r.session.PID, "mode", "AccessShareLock", "granted", true, "fastpath", true)
		}
	}
	dynamics["pg_catalog.pg_stat_database"] = func(r *Reader, t *table) {
		t.add("datid", r.catalog.OID(), "datname", r.catalog.Database, "numbackends", r.countBackends())
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
