package parse

import (
	"reflect"
	"testing"

	"github.com/prickledb/prickle/sql/ast"
)

// TestWalk checks Walk against reflection: both must see every expression, so
// that a field added to the tree cannot be forgotten.
func TestWalk(t *testing.T) {
	for _, sql := range []string{
		`WITH a AS (SELECT 1) SELECT DISTINCT ON (x) a, f(b ORDER BY c) FILTER (WHERE d) OVER (PARTITION BY e ORDER BY g ROWS 1 PRECEDING), * REPLACE (y AS z)
		FROM t TABLESAMPLE SYSTEM (1) REPEATABLE (2) JOIN u ON v, LATERAL g(w), (SELECT 2) q, ROWS FROM (f(3)) WHERE a AND NOT b OR c GROUP BY d, ROLLUP (e)
		HAVING h WINDOW w AS (ORDER BY i) QUALIFY j ORDER BY k LIMIT 4 OFFSET 5`,
		`SELECT a IS NULL, a IS DISTINCT FROM b, a BETWEEN b AND c, a IN (1, 2), a IN (SELECT 3), a LIKE b ESCAPE c, a = ANY (b), a = ALL (SELECT 4),
		CASE a WHEN b THEN c ELSE d END, a::int, a[1], a[2:3], (f(x)).y, ARRAY[1], ARRAY(SELECT 5), ROW(1), EXISTS (SELECT 6), (SELECT 7), a AT TIME ZONE b,
		a COLLATE "C", extract(day FROM a), - a, p IN COHORT (a UNION (SELECT 8)), percentile_cont(1) WITHIN GROUP (ORDER BY a)`,
		`SELECT * FROM FUNNEL(FROM (SELECT 1) AS s WHERE a ACTOR b EVENT TIME c DURING (d, e) TIME ZONE f BREAKDOWN BY g STEPS (x: h FIRST EVER OF n WITHIN i) WITHIN j HOLDING (k) EXCLUDE (l) OUTPUT TREND BY m)`,
		`SELECT * FROM RETENTION(START a FIRST EVER OF e RETURN b EVERY c MEASURE sum(d)), PATHS(NODE a START AT b END AT c SESSION GAP d), LIFECYCLE(CREATED b EVERY a), STICKINESS(SERIES (a: b) EVERY c ALIGN TO d)`,
		`SELECT * FROM TRENDS(SERIES (a: count(b) WHERE c, d: PER_ACTOR(avg(_), sum(e)), f: ROLLING_ACTORS(g)) FORMULA (h: a + d) EVERY i COMPARE TO j EARLIER FILL k)`,
		`SELECT * FROM t PIVOT (max(a) FOR b IN (1) GROUP BY c) UNPIVOT (v FOR n IN (d))`,
		`VALUES (1, 2) UNION SELECT 3`,
		`CREATE COHORT c AS SELECT 1 WITH (REFRESH a)`,
		`FUNNEL (a) -> 'b' WHERE c BY d`,
		`CREATE TABLE t (a int DEFAULT b + 1, c text)`,
		`CREATE TABLE t AS SELECT a`,
		`ALTER TABLE t ADD COLUMN a int DEFAULT b, DROP COLUMN c`,
		`INSERT INTO t VALUES (a, DEFAULT) RETURNING b`,
		`UPDATE t SET a = b, c = DEFAULT FROM (SELECT d) q WHERE e RETURNING f`,
		`DELETE FROM t USING g(h) WHERE i RETURNING j`,
		`EXPLAIN EXECUTE p (1)`,
		`PREPARE p AS SELECT 1`,
	} {
		stmt, err := One(sql)
		if err != nil {
			t.Errorf("%s: %v", sql, err)
			continue
		}
		walked := 0
		ast.Walk(stmt, func(n ast.Node) bool {
			if _, ok := n.(ast.Expr); ok {
				walked++
			}
			return true
		})
		if want := countExprs(reflect.ValueOf(stmt)); walked != want {
			t.Errorf("%s: Walk sees %d expressions, there are %d", sql, walked, want)
		}
	}
}

var exprType = reflect.TypeOf((*ast.Expr)(nil)).Elem()

func countExprs(v reflect.Value) int {
	n := 0
	switch v.Kind() {
	case reflect.Interface:
		if !v.IsNil() {
			return countExprs(v.Elem())
		}
	case reflect.Pointer:
		if v.IsNil() {
			return 0
		}
		if v.Type().Implements(exprType) {
			n++
		}
		return n + countExprs(v.Elem())
	case reflect.Struct:
		for i := 0; i < v.NumField(); i++ {
			n += countExprs(v.Field(i))
		}
	case reflect.Slice:
		for i := 0; i < v.Len(); i++ {
			n += countExprs(v.Index(i))
		}
	}
	return n
}
