package logictest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// correlatedValues are expressions that read @x and @y of the row around them.
var correlatedValues = []string{
	`(SELECT count(*) FROM i WHERE i.a = @x)`,
	`(SELECT sum(i.b) FROM i WHERE i.a = @x AND i.b > 2)`,
	`(SELECT coalesce(sum(i.b), -1) + count(*) FROM i WHERE i.a = @x AND i.b = @y)`,
	`(SELECT count(*) FROM i WHERE i.a < @x OR i.b = @y)`,
	`(SELECT max(i.b + @x) FROM i WHERE i.a = @y)`,
	`(SELECT @x + @y)`,
	`(SELECT i.b FROM i WHERE i.a = @x ORDER BY i.b DESC NULLS LAST LIMIT 1)`,
	`(SELECT max(i.b) FROM i WHERE i.a = @x HAVING count(*) > 1)`,
	`(SELECT count(DISTINCT j.b) FROM i JOIN i AS j ON i.a = j.b WHERE i.a = @x)`,
	`(SELECT count(*) FROM i LEFT JOIN i AS j ON i.a = j.b AND j.a = @y WHERE i.a = @x)`,
	`(SELECT count(*) FROM i FULL JOIN (SELECT * FROM i WHERE b = @y) AS j ON i.a = j.b)`,
	`(SELECT count(*) FROM i RIGHT JOIN (SELECT * FROM i WHERE b = @y) AS j ON i.a = j.b AND i.b > @x)`,
	`(SELECT sum(n) FROM (SELECT i.b, count(*) AS n FROM i WHERE i.a = @x GROUP BY i.b) q)`,
	`(SELECT count(*) FROM (SELECT DISTINCT i.b FROM i WHERE i.a > @x) q)`,
	`(SELECT count(*) FROM (SELECT a FROM i WHERE b = @x UNION ALL SELECT b FROM i WHERE a = @y) q)`,
	`(SELECT count(*) FROM (SELECT a FROM i WHERE b = @x EXCEPT SELECT b FROM i WHERE a = @y) q)`,
	`(SELECT count(*) FROM (VALUES (@x), (@y), (3)) v(c) WHERE v.c IN (SELECT a FROM i))`,
	`(SELECT count(*) FROM i WHERE i.a = @x AND EXISTS (SELECT 1 FROM i AS j WHERE j.b = i.a AND j.a <> @y))`,
	`(SELECT count(*) FROM i WHERE NOT EXISTS (SELECT 1 FROM i AS j WHERE j.b = i.a AND j.a = @y))`,
	`(SELECT count(*) FROM i WHERE i.b NOT IN (SELECT j.a FROM i AS j WHERE j.b > @y))`,
	`(SELECT sum((SELECT count(*) FROM i AS j WHERE j.a = i.b AND j.b > @x)) FROM i)`,
	`(WITH q AS (SELECT * FROM i WHERE i.a = @x) SELECT count(*) FROM q, q AS r)`,
	`EXISTS (SELECT 1 FROM i WHERE i.a = @x AND i.b <> @y)`,
	`NOT EXISTS (SELECT 1 FROM i WHERE i.a = @x)`,
	`EXISTS (SELECT max(i.a) FROM i WHERE i.a = @x)`,
	`EXISTS (SELECT i.b FROM i WHERE i.a = @x GROUP BY i.b HAVING count(*) > 1)`,
	`@x IN (SELECT i.b FROM i WHERE i.a = @y)`,
	`@x NOT IN (SELECT i.b FROM i WHERE i.a = @y)`,
	`@x NOT IN (SELECT i.b + @y FROM i)`,
	`@x NOT IN (SELECT i.b FROM i WHERE i.a > @y AND i.b IS NOT NULL)`,
	`@x > ANY (SELECT i.b FROM i WHERE i.a = @y)`,
	`@x >= ALL (SELECT i.b FROM i WHERE i.a = @y)`,
	`(@x, @y) IN (SELECT i.a, i.b FROM i WHERE i.a <= @x)`,
	`ARRAY(SELECT i.b FROM i WHERE i.a = @x ORDER BY i.b)`,
	`CASE WHEN @x > 2 THEN (SELECT min(i.a) FROM i WHERE i.b = @y) ELSE @y END`,
	`@x = 1 OR EXISTS (SELECT 1 FROM i WHERE i.a = @y)`,
}

// correlatedTables are tables that read @x and @y of the row before them.
var correlatedTables = []string{
	`SELECT i.a, i.b FROM i WHERE i.a = @x`,
	`SELECT @x + i.b, @y FROM i WHERE i.a < @y`,
	`SELECT count(*), sum(i.a) FROM i WHERE i.b = @x`,
	`SELECT i.b, count(*) FROM i WHERE i.a = @x GROUP BY 1`,
	`SELECT i.a, i.b FROM i WHERE i.a = @x ORDER BY i.b, i.a LIMIT 1`,
	`SELECT DISTINCT ON (i.b) i.b, i.a FROM i WHERE i.a <> @x ORDER BY i.b, i.a`,
	`VALUES (@x, 1), (@y, 2)`,
}

// TestCorrelated compares subqueries that read the row around them with what they give when
// the row's values are written in their place.
func TestCorrelated(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	r := rand.New(rand.NewPCG(seed, 0))
	d := open(t, false)
	rounds := 6
	if testing.Short() {
		rounds = 2
	}
	for range rounds {
		cell := func() string {
			if r.IntN(6) == 0 {
				return "NULL::int"
			}
			return fmt.Sprint(r.IntN(6))
		}
		table := func(rows int) string {
			list := []string{"(1, NULL::int)"}
			for range rows {
				list = append(list, "("+cell()+", "+cell()+")")
			}
			return strings.Join(list, ", ")
		}
		with := "WITH i(a, b) AS (VALUES " + table(r.IntN(14)) + ") "
		rows := make([][2]string, 1+r.IntN(6))
		list := make([]string, len(rows))
		for i := range rows {
			rows[i] = [2]string{cell(), cell()}
			list[i] = fmt.Sprintf("(%d, %s, %s)", i, rows[i][0], rows[i][1])
		}
		from := " FROM (VALUES " + strings.Join(list, ", ") + ", (99, NULL::int, NULL::int)) o(n, x, y) WHERE n < 99"
		put := func(e, x, y string) string {
			return strings.NewReplacer("@x", x, "@y", y).Replace(e)
		}
		run := func(q string) []string {
			t.Helper()
			res, err := d.Run(t, q)
			if err != nil {
				t.Fatalf("seed %d: %s: %v", seed, q, err)
			}
			out := strings.Split(strings.TrimSuffix(lines(res.Rows), "\n"), "\n")
			if len(res.Rows) == 0 {
				out = nil
			}
			slices.Sort(out)
			return out
		}
		same := func(q string, want []string) {
			t.Helper()
			slices.Sort(want)
			if got := run(q); !slices.Equal(got, want) {
				t.Errorf("seed %d: %s =\n\t%s\nwant\n\t%s", seed, q, strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
			}
		}
		for _, e := range correlatedValues {
			var values, kept []string
			for i, row := range rows {
				v := run(with + "SELECT " + put(e, row[0], row[1]))[0]
				values = append(values, fmt.Sprintf("%d  %s", i, v))
				if v == "t  " {
					kept = append(kept, fmt.Sprintf("%d  ", i))
				}
			}
			same(with+"SELECT n, "+put(e, "o.x", "o.y")+from, values)
			if !strings.HasPrefix(e, "(SELECT") && !strings.HasPrefix(e, "(WITH") && !strings.HasPrefix(e, "ARRAY") && !strings.HasPrefix(e, "CASE") {
				same(with+"SELECT n"+from+" AND "+put(e, "o.x", "y"), kept)
			}
		}
		for _, q := range correlatedTables {
			var inner, left []string
			for i, row := range rows {
				some := run(with + put(q, row[0], row[1]))
				for _, s := range some {
					inner = append(inner, fmt.Sprintf("%d  %s", i, s))
				}
				if some == nil {
					some = []string{"NULL  NULL  "}
				}
				for _, s := range some {
					left = append(left, fmt.Sprintf("%d  %s", i, s))
				}
			}
			q = put(q, "o.x", "o.y")
			same(with+"SELECT o.n, l.*"+strings.Replace(from, " WHERE", ", LATERAL ("+q+") l WHERE", 1), inner)
			same(with+"SELECT o.n, l.*"+strings.Replace(from, " WHERE", " LEFT JOIN LATERAL ("+q+") l ON true WHERE", 1), left)
		}
	}
}
