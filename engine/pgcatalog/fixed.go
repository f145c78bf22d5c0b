package pgcatalog

// fixed fills tables with what every PostgreSQL has and clients look for, although nothing
// here follows from it: the operator classes of the types there are, a text search configuration, an
// encoding to convert from, the language and the extension plpgsql, the databases to copy from.
func fixed() {
	statics["pg_catalog.pg_opclass"] = func(t *table) {
		for _, d := range rows("pg_opclass.tsv") {
			t.add("oid", d["oid"], "opcmethod", amBtree, "opcname", d["opcname"], "opcnamespace", schemaCatalog, "opcowner", owner, "opcfamily", d["opcfamily"],
				"opcintype", d["opcintype"], "opcdefault", d["opcdefault"], "opckeytype", d["opckeytype"])
		}
	}
	statics["pg_catalog.pg_opfamily"] = func(t *table) {
		for _, d := range rows("pg_opfamily.tsv") {
			t.add("oid", d["oid"], "opfmethod", amBtree, "opfname", d["opfname"], "opfnamespace", schemaCatalog, "opfowner", owner)
		}
	}
	statics["pg_catalog.pg_ts_config"] = func(t *table) {
		t.add("oid", 3748, "cfgname", "simple", "cfgnamespace", schemaCatalog, "cfgowner", owner, "cfgparser", 3722)
	}
	statics["pg_catalog.pg_conversion"] = func(t *table) {
		t.add("oid", 4518, "conname", "iso_8859_1_to_utf8", "connamespace", schemaCatalog, "conowner", owner, "conforencoding", 8, "contoencoding", 6,
			"conproc", 4374, "condefault", true)
	}
	statics["pg_catalog.pg_available_extensions"] = func(t *table) {
		t.add("name", "plpgsql", "default_version", "1.0", "installed_version", "1.0", "comment", "PL/pgSQL procedural language")
	}
	statics["pg_catalog.pg_language"] = func(t *table) {
		for _, l := range []struct {
			oid     int
			name    string
			trusted bool
			handler int
		}{{languageInternal, "internal", false, 0}, {languageC, "c", false, 0}, {languageSQL, "sql", true, 0}, {languagePlpgsql, "plpgsql", true, handlerPlpgsql}} {
			t.add("oid", l.oid, "lanname", l.name, "lanowner", owner, "lanispl", l.handler != 0, "lanpltrusted", l.trusted, "lanplcallfoid", l.handler)
		}
	}
	statics["pg_catalog.pg_database"] = func(t *table) {
		for _, d := range []struct {
			oid  int
			name string
		}{{1, "template1"}, {4, "template0"}} {
			t.add("oid", d.oid, "datname", d.name, "datdba", owner, "encoding", 6, "datlocprovider", "c", "datistemplate", true, "datconnlimit", -1,
				"dattablespace", tablespaceDefault, "datcollate", "C", "datctype", "C")
		}
	}
}
