package session_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prickledb/prickle/engine/pgerr"
)

// Statements that are long, deep or wide are answered, or refused with an error that says why;
// no stack overflows, and none takes long.
func TestHardInputs(t *testing.T) {
	n := 100_000
	if testing.Short() {
		n = 60_000
	}
	nested := func(open, inner, end string) string {
		return "SELECT " + strings.Repeat(open, n) + inner + strings.Repeat(end, n)
	}
	list := func(n int, format string) string {
		parts := make([]string, n)
		for i := range parts {
			parts[i] = strings.ReplaceAll(format, "#", fmt.Sprint(i))
		}
		return strings.Join(parts, ",")
	}
	c := newTables(t).client("main")
	const series = " FROM generate_series(1, 10) AS g(x)"
	for _, h := range []struct{ name, sql, want string }{
		{"parentheses", nested("(", "1", ")"), "54001"},
		{"minus signs", nested("- ", "1", ""), "54001"},
		{"NOT", nested("NOT ", "true", ""), "54001"},
		{"a sum", "SELECT 1" + strings.Repeat("+1", n), "54001"},
		{"a shorter sum", "SELECT 1" + strings.Repeat("+1", 5000), "5001"},
		{"a text of pieces", "SELECT length('1'" + strings.Repeat("||'1'", 5000) + ")", "5001"},
		{"AND", "SELECT true" + strings.Repeat(" AND true", n), "t"},
		{"CASE", nested("CASE WHEN true THEN ", "1", " END"), "54001"},
		{"calls", nested("abs(", "1", ")"), "54001"},
		{"casts", nested("", "1", "::int"), "54001"},
		{"subqueries", nested("(SELECT ", "1", ")"), "54001"},
		{"tables", "SELECT * FROM " + strings.Repeat("(SELECT * FROM ", n) + "(SELECT 1) a" + strings.Repeat(") a", n), "54001"},
		{"UNION", "SELECT 1" + strings.Repeat(" UNION ALL SELECT 1", n), "54001"},
		{"EXCEPT", "SELECT count(*) FROM (SELECT 1" + strings.Repeat(" EXCEPT SELECT 2", 10_000) + ") u", "1"},
		{"INTERSECT", "SELECT count(*) FROM (SELECT 1" + strings.Repeat(" INTERSECT SELECT 1", 10_000) + ") u", "1"},
		{"INTERSECT ALL", "SELECT count(*) FROM (VALUES (1), (1)" + strings.Repeat(" INTERSECT ALL VALUES (1), (1)", 10_000) + ") u", "2"},
		{"EXCEPT ALL and UNION", "SELECT count(*) FROM (SELECT 1" + strings.Repeat(" EXCEPT ALL SELECT 1 UNION SELECT 1", 5000) + ") u", "1"},
		{"a deep plan", "EXPLAIN SELECT 1" + strings.Repeat(" EXCEPT ALL SELECT 1 UNION SELECT 1", 5000), "54001"},
		{"EXCEPT in parentheses", strings.Repeat("(", n) + "SELECT 1" + strings.Repeat(" EXCEPT SELECT 1)", n), "54001"},
		{"a shorter UNION", "SELECT count(*) FROM (SELECT 1" + strings.Repeat(" UNION ALL SELECT 1", 5000) + ") u", "5001"},
		{"UNION without ALL", "SELECT count(*) FROM (SELECT 1" + strings.Repeat(" UNION SELECT 2", 5000) + ") u", "2"},
		{"EXISTS", "SELECT " + strings.Repeat("EXISTS (SELECT 1 WHERE ", n) + "true" + strings.Repeat(")", n), "54001"},
		{"arrays", nested("ARRAY[", "1", "]"), "54001"},
		{"comments", strings.Repeat("/*", n) + strings.Repeat("*/", n) + " SELECT 1", "1"},
		{"WITH in a chain", "WITH c0 AS (SELECT 1 AS x)" + func() string {
			var b strings.Builder
			for i := 1; i < 3000; i++ {
				fmt.Fprintf(&b, ", c%d AS (SELECT x FROM c%d)", i, i-1)
			}
			return b.String()
		}() + " SELECT * FROM c2999", "54001"},
		{"IN of numbers", "SELECT count(*)" + series + " WHERE x IN (" + list(n, "#") + ")", "10"},
		{"IN of texts", "SELECT count(*)" + series + " WHERE x::text IN (" + list(n, "'#'") + ")", "10"},
		{"IN of expressions", "SELECT count(*)" + series + " WHERE x IN (" + list(20_000, "x+#") + ")", "10"},
		{"IN of rows", "SELECT (1, 2) IN (" + list(n, "(1,#)") + ")", "0A000"},
		{"VALUES", "SELECT count(*) FROM (VALUES " + list(n, "(#)") + ") v", fmt.Sprint(n)},
		{"columns", "SELECT " + list(1600, "#"), "0"},
		{"too many columns", "SELECT " + list(1665, "#"), "54011"},
		{"a wide table", "CREATE TABLE wide (" + list(1600, "c# int") + "); INSERT INTO wide (c1599) VALUES (7); SELECT c1599 FROM wide", "7"},
		{"a table that is too wide", "CREATE TABLE wider (" + list(1601, "c# int") + ")", "54011"},
		{"columns of PIVOT", "SELECT * FROM (SELECT 1 AS a, 2 AS b) t PIVOT (sum(b) FOR a IN (" + list(2000, "#") + "))", "54011"},
		{"a long text", "SELECT length('" + strings.Repeat("x", 10_000_000) + "')", "10000000"},
		{"too many words", "SELECT 1" + strings.Repeat("+1", 2_000_000), "54000"},
		{"a text that is too long", "SELECT '" + strings.Repeat("x", 17<<20) + "'", "54000"},
		{"equal rows", "SELECT (" + list(20_000, "1") + ") = (" + list(20_000, "1") + ")", "t"},
		{"ordered rows", "SELECT (" + list(1500, "x") + ") < (" + list(1500, "x") + ")" + series, "f"},
		{"CUBE", "SELECT count(*)" + series + " GROUP BY CUBE (" + list(30, "x+#") + ")", "54011"},
		{"jsonb", "SELECT '" + strings.Repeat("[", n) + strings.Repeat("]", n) + "'::jsonb", "54001"},
		{"a jsonpath in parentheses", "SELECT jsonb_path_query_first('1', '" + strings.Repeat("(", n) + "$" + strings.Repeat(")", n) + "')", "54001"},
		{"a jsonpath with signs", "SELECT jsonb_path_query_first('1', '" + strings.Repeat("-", n) + "$')", "54001"},
		{"a jsonpath of steps", "SELECT jsonb_path_query_first('1', '$" + strings.Repeat(".a", n) + "')", "54001"},
		{"a jsonpath of conditions", "SELECT jsonb_path_query_first('1', '$ ? (@ == 1" + strings.Repeat(" && @ == 1", n) + ")')", "54001"},
		{"a regular expression", "SELECT 'a' ~ '" + strings.Repeat("(", n) + "a" + strings.Repeat(")", n) + "'", "2201B"},
		{"LIKE", "SELECT repeat('a', 50000) LIKE '" + strings.Repeat("%a", 5000) + "b'", "f"},
		{"a format of numbers", "SELECT length(to_char(1, '" + strings.Repeat("9", n) + "'))", fmt.Sprint(n + 1)},
		{"a long repetition", "SELECT repeat('a', 1000000000)", "54000"},
		{"a long array", "SELECT array_fill(1, ARRAY[2000000000])", "54000"},
		{"a long name", `SELECT 1 AS "` + strings.Repeat("x", 1_000_000) + `"`, "1"},
		{"nothing hard", "SELECT 42", "42"},
	} {
		begin := time.Now()
		r, err := c.run(h.sql)
		got := ""
		if err != nil {
			got = pgerr.Code(err)
		} else {
			got = *r.Rows[0][0]
		}
		if got != h.want {
			t.Errorf("%s: %s, %.200v; want %s", h.name, got, err, h.want)
		}
		if d := time.Since(begin); d > 10*time.Second {
			t.Errorf("%s takes %s", h.name, d)
		} else if d > 300*time.Millisecond {
			t.Logf("%s takes %s", h.name, d)
		}
	}
}
