package server

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// cohortClient makes cohorts over the wire.
type cohortClient struct {
	*pgx.Conn
	t *testing.T
}

func cohortNode(t *testing.T) (*running, *cohortClient) {
	t.Helper()
	r := savedNode(t)
	conn, err := pgx.Connect(t.Context(), "postgres://"+r.addr+"/prickle?user=me")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return r, &cohortClient{conn, t}
}

// do runs a statement, which must be answered with a tag.
func (c *cohortClient) do(sql, tag string) {
	c.t.Helper()
	got, err := c.Exec(c.t.Context(), sql)
	if err != nil || got.String() != tag {
		c.t.Fatalf("%s: %s, %v", sql, got, err)
	}
}

// refused runs a statement that must be refused with a code, at a position, in some words.
func (c *cohortClient) refused(sql, code string, position int32, words string) {
	c.t.Helper()
	_, err := c.Exec(c.t.Context(), sql)
	var e *pgconn.PgError
	if !errors.As(err, &e) {
		c.t.Errorf("%s: %v, want %s: %s", sql, err, code, words)
	} else if e.Code != code || e.Position != position || !strings.Contains(e.Message+" "+e.Detail, words) {
		c.t.Errorf("%s: %v at %d %s, want %s at %d: %s", sql, err, e.Position, e.Detail, code, position, words)
	}
}

// one is the value of a query, as text.
func (c *cohortClient) one(sql string) string {
	c.t.Helper()
	var s *string
	if err := c.QueryRow(c.t.Context(), "SELECT ("+sql+")::text").Scan(&s); err != nil {
		c.t.Fatalf("%s: %v", sql, err)
	}
	if s == nil {
		return "NULL"
	}
	return *s
}

func (c *cohortClient) equal(sql, want string) {
	c.t.Helper()
	if got := c.one(sql); got != want {
		c.t.Errorf("%s = %s, want %s", sql, got, want)
	}
}

const listed = "SELECT string_agg(concat_ws(' ', id, name, coalesce(size::text, '-'), definition, refreshed_at IS NOT NULL, next_refresh - refreshed_at, is_static), '; ' ORDER BY id) FROM prickle.cohorts"

func TestCohortStatements(t *testing.T) {
	r, c := cohortNode(t)
	c.equal("SELECT count(*) FROM prickle.cohorts", "0")
	c.do("CREATE COHORT openers AS SELECT person_id FROM events WHERE event = 'open'", "CREATE COHORT")
	c.do("CREATE COHORT payers AS (SELECT distinct_id FROM events WHERE event = 'pay') WITH (STATIC)", "CREATE COHORT")
	c.do("CREATE COHORT rest AS SELECT id FROM persons WHERE id IN COHORT openers AND id NOT IN COHORT payers WITH (REFRESH INTERVAL '1 day')", "CREATE COHORT")
	c.equal(listed, "1 openers 3 SELECT person_id FROM events WHERE event = 'open' t f; "+
		"2 payers 1 SELECT distinct_id FROM events WHERE event = 'pay' t t; "+
		"3 rest 2 SELECT id FROM persons WHERE id IN COHORT openers AND id NOT IN COHORT payers t 1 day f")
	c.equal("SELECT count(*) FROM events WHERE person_id IN COHORT rest", "5")
	c.equal("SELECT count(*) FROM COHORT 2", "1")

	// Conditions are asked anew, and what is static stays.
	before := time.Now().UTC().Add(-time.Minute).Format(time.RFC3339)
	lines := `{"type":"person","distinct_ids":["dan"],"properties":{}}` + "\n"
	for _, event := range []string{"open", "pay"} {
		lines += `{"type":"event","event":"` + event + `","distinct_id":"dan","timestamp":"` + before + `","properties":{}}` + "\n"
	}
	if status, body := r.do(t, "POST", base+"import/", lines, "Content-Type", "application/x-ndjson"); status != 200 {
		t.Fatal(body)
	}
	c.equal("SELECT count(*) FROM COHORT openers", "4")
	c.equal("SELECT count(*) FROM COHORT payers", "1")
	c.equal("SELECT size FROM prickle.cohorts WHERE name = 'openers'", "3")
	c.do("REFRESH COHORT openers", "REFRESH COHORT")
	c.equal("SELECT size FROM prickle.cohorts WHERE name = 'openers'", "4")
	c.refused("REFRESH COHORT payers", "42809", 16, "static")

	// What is due is refreshed.
	r.refreshCohorts(t.Context(), time.Now().Add(23*time.Hour))
	c.equal("SELECT size FROM prickle.cohorts WHERE name = 'rest'", "2")
	r.refreshCohorts(t.Context(), time.Now().Add(25*time.Hour))
	c.equal("SELECT size FROM prickle.cohorts WHERE name = 'rest'", "3")

	// A new name is the same cohort, in views too.
	c.do("CREATE VIEW opening AS SELECT count(*) FROM persons WHERE id IN COHORT openers", "CREATE VIEW")
	c.do("CREATE VIEW their AS SELECT openers.actor FROM COHORT openers", "CREATE VIEW")
	c.do(`ALTER COHORT openers RENAME TO "Who opened"`, "ALTER COHORT")
	c.equal("SELECT definition FROM prickle.cohorts WHERE id = 3", `SELECT id FROM persons WHERE id IN COHORT "Who opened" AND id NOT IN COHORT payers`)
	c.equal("SELECT count(*) FROM COHORT rest", "3")
	c.equal("SELECT * FROM opening", "4")
	c.equal("SELECT count(*) FROM their", "4")
	c.equal("SELECT pg_get_viewdef('opening'::regclass)", ` SELECT count(*) FROM persons WHERE id IN COHORT "Who opened";`)
	c.equal("SELECT view_definition FROM information_schema.views WHERE table_name = 'their'", ` SELECT openers.actor FROM COHORT "Who opened" AS openers;`)
	c.refused("ALTER COHORT payers RENAME TO rest", "42710", 0, "rest already exists")
	c.refused("ALTER COHORT openers RENAME TO x", "PK001", 14, "openers does not exist")

	// Queries over HTTP see them, and those of HTTP are seen here.
	q := trend("open")
	q["properties"] = []any{isCohort(3)}
	if got := r.want(t, 200, "POST", base+"query/", map[string]any{"query": q}); at(t, got, "results", 0, "aggregated_value") != 6.0 {
		t.Errorf("events of a cohort in SQL: %v", got["results"])
	}
	if got := r.want(t, 200, "GET", base+"cohorts/3/", nil); got["count"] != 3.0 || got["sql"] != "SELECT id FROM persons WHERE id IN COHORT 1 AND id NOT IN COHORT 2" {
		t.Errorf("over HTTP: %v", got)
	}
	if got := r.want(t, 201, "POST", base+"cohorts/", map[string]any{"name": "http", "sql": "SELECT actor FROM COHORT payers"}); got["count"] != 1.0 || got["sql"] != "SELECT actor FROM COHORT 2 AS payers" {
		t.Errorf("made over HTTP: %v", got)
	}
	r.want(t, 400, "POST", base+"cohorts/", map[string]any{"name": "x", "sql": "SELECT FROM WHERE"})
	r.want(t, 400, "POST", base+"cohorts/", map[string]any{"name": "x", "sql": "SELECT actor FROM COHORT nobody"})
	c.equal("SELECT count(*) FROM COHORT http", "1")
	r.want(t, 201, "POST", base+"cohorts/", cohortWith(isCohort(1)))
	c.equal("SELECT definition LIKE '%IN COHORT%' OR definition LIKE '%person_id%' FROM prickle.cohorts WHERE id = 5", "true")

	// What is in use stays.
	r.want(t, 201, "POST", base+"insights/", map[string]any{"name": "How many", "query": map[string]any{"kind": "HogQLQuery", "query": `select count() from events where person_id in cohort "Who opened"`}})
	c.refused(`DROP COHORT "Who opened"`, "2BP01", 13, `insight 1 "How many", cohort 3 "rest", cohort 5 "c"`)
	if out := r.want(t, 409, "DELETE", base+"cohorts/2/", nil); js(t, out["used_by"]) != `[{"id":3,"name":"rest","type":"cohort"},{"id":4,"name":"http","type":"cohort"}]` {
		t.Errorf("used by %v", out["used_by"])
	}
	c.do("DROP COHORT rest", "DROP COHORT")
	c.refused("SELECT count(*) FROM COHORT rest", "PK001", 29, "rest does not exist")
	c.refused("DROP COHORT rest", "PK001", 13, "rest does not exist")
	c.do("DROP COHORT IF EXISTS rest", "DROP COHORT")

	// What a transaction makes is seen over HTTP when it is committed.
	c.do("BEGIN", "BEGIN")
	c.do("CREATE COHORT soon AS SELECT id FROM persons", "CREATE COHORT")
	c.equal("SELECT id FROM prickle.cohorts WHERE name = 'soon'", "6")
	r.want(t, 404, "GET", base+"cohorts/6/", nil)
	c.do("COMMIT", "COMMIT")
	if got := r.want(t, 200, "GET", base+"cohorts/6/", nil); got["name"] != "soon" {
		t.Errorf("over HTTP: %v", got)
	}
	r.want(t, 404, "GET", base+"cohorts/3/", nil)
}

func TestCohortsRefused(t *testing.T) {
	_, c := cohortNode(t)
	c.refused("CREATE COHORT c AS SELECT id, 1 FROM persons", "42601", 20, "one column")
	c.refused("CREATE COHORT c AS SELECT 1", "42804", 20, "must be uuid, or text")
	c.refused("CREATE COHORT c AS SELECT nope FROM persons", "42703", 27, "nope")
	c.refused("CREATE COHORT c AS SELECT id FROM persons WHERE id IN COHORT c", "PK001", 62, "c does not exist")
	c.refused("CREATE COHORT c AS SELECT id FROM persons WITH (REFRESH INTERVAL '-1 day')", "22023", 57, "interval")
	c.refused("REFRESH COHORT c", "PK001", 16, "c does not exist")
	c.do("CREATE COHORT a AS SELECT id FROM persons", "CREATE COHORT")
	c.refused("CREATE COHORT a AS SELECT id FROM persons", "42710", 15, "already exists")
	c.do("CREATE COHORT b AS SELECT actor FROM COHORT a", "CREATE COHORT")
	c.refused("CREATE OR REPLACE COHORT a AS SELECT actor FROM COHORT b", "42P19", 0, "cohort 1 → cohort 2 → cohort 1")
	c.refused("CREATE OR REPLACE COHORT a AS SELECT id FROM persons WHERE id IN COHORT a", "42P19", 0, "depend on itself")
	c.do("CREATE OR REPLACE COHORT b AS SELECT id FROM persons WHERE false", "CREATE COHORT")
	c.do("CREATE OR REPLACE COHORT b AS SELECT id FROM persons WITH (STATIC)", "CREATE COHORT")
	c.equal("SELECT count(*) FROM COHORT b", "3")
	c.do("CREATE OR REPLACE COHORT b AS SELECT id FROM persons WHERE false WITH (STATIC)", "CREATE COHORT")
	c.equal("SELECT count(*) FROM COHORT b", "0")
	c.equal(listed, "1 a 3 SELECT id FROM persons t f; 2 b 0 SELECT id FROM persons WHERE FALSE t t")
	if _, err := c.Exec(t.Context(), "CREATE COHORT d AS SELECT id FROM persons WHERE is_identified = $1", true); err == nil || !strings.Contains(err.Error(), "parameter") {
		t.Errorf("with a parameter: %v", err)
	}
	for _, sql := range []string{"CREATE COHORT d AS SELECT id FROM persons", "REFRESH COHORT a", "ALTER COHORT a RENAME TO d", "DROP COHORT a"} {
		c.do("BEGIN READ ONLY", "BEGIN")
		c.refused(sql, "25006", 0, "read-only")
		c.do("ROLLBACK", "ROLLBACK")
	}
	c.do("SET default_transaction_read_only = on", "SET")
	c.refused("DROP COHORT a", "25006", 0, "read-only")
}
