package pgcatalog

// backends fills the tables about sessions.
func backends() {
	dynamics["pg_catalog.pg_stat_activity"] = func(r *Reader, t *table) {
		for _, b := range r.backends() {
			pairs := []any{"datid", databaseOID(r.catalog.Project), "datname", r.catalog.Database, "pid", b.PID, "usesysid", owner, "usename", b.User,
				"application_name", b.Application, "client_port", b.Port, "state", b.State, "query", b.Query, "backend_type", "client backend"}
			if b.Address != "" {
				pairs = append(pairs, "client_addr", b.Address)
			}
			if b.State != "active" {
				pairs = append(pairs, "wait_event_type", "Client", "wait_event", "ClientRead")
			}
			for _, at := range []struct {
				column string
				micros int64
			}{{"backend_start", b.Opened}, {"xact_start", b.Transaction}, {"query_start", b.Began}, {"state_change", b.Changed}} {
				if at.micros != 0 {
					pairs = append(pairs, at.column, at.micros)
				}
			}
			t.add(pairs...)
		}
	}
	dynamics["pg_catalog.pg_stat_ssl"] = func(r *Reader, t *table) {
		for _, b := range r.backends() {
			t.add("pid", b.PID, "ssl", b.TLS)
		}
	}
	dynamics["pg_catalog.pg_stat_gssapi"] = func(r *Reader, t *table) {
		for _, b := range r.backends() {
			t.add("pid", b.PID, "gss_authenticated", false, "encrypted", false)
		}
	}
	// Nothing here waits for a lock. Whoever looks holds the one of looking, as in PostgreSQL.
	dynamics["pg_catalog.pg_locks"] = func(r *Reader, t *table) {
		if r.session.PID != 0 {
			t.add("locktype", "relation", "database", databaseOID(r.catalog.Project), "relation", Find("pg_catalog", "pg_locks").OID,
				"virtualtransaction", "1/1", "pid", r.session.PID, "mode", "AccessShareLock", "granted", true, "fastpath", true)
		}
	}
}

func (r *Reader) backends() []Backend {
	if r.session.Backends == nil {
		return nil
	}
	return r.session.Backends()
}
