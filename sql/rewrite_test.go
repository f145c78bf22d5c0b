package sql_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prickledb/prickle/engine"
	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/sql/bind"
	"github.com/prickledb/prickle/sql/parse"
)

// run gives the rows of a plan as text, or the error.
func run(t *testing.T, n plan.Node, ctx *expr.Context) []string {
	t.Helper()
	rows, err := engine.Run(context.Background(), n, &engine.Env{Expr: ctx, Threads: 2})
	if err != nil {
		return []string{pgerr.From(err).Error()}
	}
	defer rows.Close()
	var out []string
	for {
		b, err := rows.Next(context.Background())
		if err != nil {
			return []string{pgerr.From(err).Error()}
		}
		if b == nil {
			return out
		}
		b = b.Compact()
		for i := range b.Rows {
			var words []string
			for _, c := range b.Cols {
				if c.IsNull(i) {
					words = append(words, "NULL")
				} else {
					words = append(words, string(expr.AppendText(nil, c, i, ctx)))
				}
			}
			out = append(out, strings.Join(words, "|"))
		}
	}
}

// TestRewriteKeepsRows runs plans as they were bound and as they were rewritten.
func TestRewriteKeepsRows(t *testing.T) {
	const rows = `(VALUES (1, 'a', 2.5, true), (2, 'b', NULL, false), (3, 'a', 4, NULL), (4, NULL, 1, true),
		(5, 'c', 7.25, true), (6, 'b', 0, false), (7, 'a', -3, true)) AS t(n, s, x, f)`
	for _, c := range []struct{ text, want string }{
		{"SELECT n, s FROM T WHERE n > 2 AND f ORDER BY n DESC", "7|a 5|c 4|NULL"},
		{"SELECT s, count(*), sum(n) FROM T GROUP BY s ORDER BY s NULLS FIRST", "NULL|1|4 a|3|11 b|2|8 c|1|5"},
		{"SELECT n * 2 + 1 FROM (SELECT n + 1 AS n, s FROM T) AS u WHERE n > 4 AND s <> 'b' ORDER BY 1 LIMIT 2", "13 17"},
		{"SELECT u.m FROM (SELECT n + n AS m, x FROM T WHERE x IS NOT NULL) AS u WHERE m > 3 AND m < 12 ORDER BY x", "8 6 10"},
		{"SELECT DISTINCT s FROM (SELECT s, n FROM T ORDER BY n) AS u WHERE n < 5 ORDER BY s", "a b NULL"},
		{"SELECT DISTINCT ON (s) s, n FROM T ORDER BY s, n DESC", "a|7 b|6 c|5 NULL|4"},
		{"SELECT n FROM T ORDER BY x DESC NULLS LAST, n LIMIT 3 OFFSET 1", "3 1 4"},
		{"SELECT n FROM (SELECT n FROM T ORDER BY n LIMIT 3) AS u WHERE n > 1 ORDER BY n", "2 3"},
		{"SELECT count(*) FROM (SELECT n, s FROM T) AS u WHERE true AND NOT false", "7"},
		{"SELECT count(*) FILTER (WHERE f), max(s), sum(DISTINCT n % 3) FROM T HAVING count(*) > 1", "4|c|3"},
		{"SELECT s, n + 1 FROM T GROUP BY s, n + 1 HAVING n + 1 > 6 ORDER BY n + 1", "b|7 a|8"},
		{"SELECT 1 FROM T WHERE false", ""},
		{"SELECT 1 + 1 WHERE 2 > 1", "2"},
		{"SELECT 10 / n FROM T WHERE n > 0 AND 10 / n > 4 ORDER BY 1", "5 10"},
		{"SELECT x FROM (SELECT 1 / (n - 1) AS y, x FROM T WHERE n > 1) AS u WHERE y > 0", "NULL"},
		{"SELECT n FROM T WHERE s IN ('a', 'c') AND (n BETWEEN 2 AND 6 OR n = 7) ORDER BY n", "3 5 7"},
		{"SELECT CASE s WHEN 'a' THEN n WHEN 'b' THEN -n ELSE 0 END AS v FROM T ORDER BY v, n", "-6 -2 0 0 1 3 7"},
		{"SELECT * FROM (VALUES (2, 'b'), (1, 'a')) AS v ORDER BY 1", "1|a 2|b"},
		{"VALUES (3), (1), (2) ORDER BY column1 LIMIT 2", "1 2"},
		{"SELECT coalesce(s, 'none') AS k, avg(n) FROM T GROUP BY k ORDER BY k LIMIT 1", "a|3.6666666666666667"},
		{"SELECT m + m FROM (SELECT n * n AS m FROM T) AS u WHERE m + m > 50 ORDER BY 1", "72 98"},
	} {
		text := strings.Replace(c.text, "FROM T", "FROM "+rows, 1)
		ctx := testContext(t, nil)
		q, err := parse.Query(text)
		if err != nil {
			t.Fatalf("%s: %v", c.text, err)
		}
		r, err := bind.Query(bind.Env{Catalog: ctx.Catalog, Expr: ctx.Expr, Text: text}, q)
		if err != nil {
			t.Errorf("%s: %s", c.text, errorText(err))
			continue
		}
		bound, better := run(t, r.Plan, ctx.Expr), run(t, plan.Rewrite(r.Plan), ctx.Expr)
		want := strings.Fields(c.want)
		if strings.Contains(c.text, "ORDER BY") == false {
			slices.Sort(bound)
			slices.Sort(better)
		}
		if !slices.Equal(bound, want) {
			t.Errorf("%s\nas bound: %q\nwant      %q", c.text, bound, want)
		}
		if !slices.Equal(better, want) {
			t.Errorf("%s\nrewritten: %q\nwant       %q", c.text, better, want)
		}
	}
}

// randomJoins writes FROM and WHERE over several small relations a, b, c, … with columns x
// and y.
func randomJoins(rnd *rand.Rand) (from, where string, names []string) {
	column := func() string { return names[rnd.IntN(len(names))] + "." + string("xy"[rnd.IntN(2)]) }
	cond := func() string {
		switch rnd.IntN(6) {
		case 0:
			return fmt.Sprintf("%s = %d", column(), rnd.IntN(4))
		case 1:
			return column() + " IS NULL"
		case 2:
			return fmt.Sprintf("(%s < %s OR %s = %s)", column(), column(), column(), column())
		case 3:
			return fmt.Sprintf("%s IN (SELECT i FROM (VALUES (%d), (%d)) AS v(i))", column(), rnd.IntN(4), rnd.IntN(4))
		}
		return column() + " = " + column()
	}
	all := func(n int) string {
		list := make([]string, n)
		for i := range list {
			list[i] = cond()
		}
		return strings.Join(list, " AND ")
	}
	relation := func() string {
		name := string(rune('a' + len(names)))
		names = append(names, name)
		rows := make([]string, 1+rnd.IntN(5))
		for i := range rows {
			cells := make([]string, 2)
			for k := range cells {
				cells[k] = fmt.Sprint(rnd.IntN(4))
				if rnd.IntN(6) == 0 {
					cells[k] = "NULL::int"
				}
			}
			rows[i] = "(" + strings.Join(cells, ", ") + ")"
		}
		return fmt.Sprintf("(SELECT x + 0 AS x, y FROM (VALUES %s) AS v(x, y)) AS %s", strings.Join(rows, ", "), name)
	}
	var tree func(depth int) string
	tree = func(depth int) string {
		if depth == 0 || rnd.IntN(4) == 0 {
			return relation()
		}
		before := len(names)
		left, right := tree(depth-1), tree(depth-1)
		inside := names[before:]
		outer := names
		names = inside
		defer func() { names = outer }()
		kind := []string{"JOIN", "JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"}[rnd.IntN(5)]
		return fmt.Sprintf("(%s %s %s ON %s)", left, kind, right, strings.ReplaceAll(all(1+rnd.IntN(2)), " IN (SELECT", " = ANY (SELECT"))
	}
	list := make([]string, 1+rnd.IntN(3))
	for i := range list {
		list[i] = tree(2)
	}
	return strings.Join(list, ", "), all(rnd.IntN(4)), names
}

// TestRewriteKeepsJoins runs random joins as they were bound, where every join compares all
// rows with all rows, and as they were rewritten.
func TestRewriteKeepsJoins(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	rnd := rand.New(rand.NewPCG(seed, 0))
	rounds := 400
	if testing.Short() {
		rounds = 100
	}
	for range rounds {
		from, where, names := randomJoins(rnd)
		if len(names) > 6 {
			continue // as bound, that takes too long
		}
		shown := "*"
		if rnd.IntN(2) == 0 {
			shown = names[rnd.IntN(len(names))] + ".x, count(*)"
		}
		text := "SELECT " + shown + " FROM " + from
		if where != "" {
			text += " WHERE " + where
		}
		if shown != "*" {
			text += " GROUP BY 1"
		}
		ctx := testContext(t, nil)
		q, err := parse.Query(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		r, err := bind.Query(bind.Env{Catalog: ctx.Catalog, Expr: ctx.Expr, Text: text}, q)
		if err != nil {
			t.Fatalf("%s: %s", text, errorText(err))
		}
		var without []string
		for _, rule := range plan.Rules() {
			if rnd.IntN(8) == 0 {
				without = append(without, rule)
			}
		}
		rewritten := plan.Arrange(plan.Rewrite(r.Plan, without...), guesses{rnd})
		bound, better := run(t, r.Plan, ctx.Expr), run(t, rewritten, ctx.Expr)
		slices.Sort(bound)
		slices.Sort(better)
		if !slices.Equal(bound, better) {
			t.Fatalf("seed %d: %s\nas bound:  %q\nrewritten: %q\n%s\nwithout %q", seed, text, bound, better, strings.Join(plan.Explain(rewritten), "\n"), without)
		}
	}
}

// guesses are statistics without a meaning: they lead to any order of joins.
type guesses struct{ rnd *rand.Rand }

func (g guesses) Rows(plan.Node) float64 { return float64(1 + g.rnd.IntN(1000)) }

func (g guesses) Distinct(plan.Node, int) float64 { return float64(1 + g.rnd.IntN(1000)) }
