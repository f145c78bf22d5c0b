package session_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prickledb/prickle/engine/plan"
)

// askedTables writes conditions and relations over the tables of TestRandomRules, which have the
// columns k and v, both with NULL.
type askedTables struct{ *rand.Rand }

func (r askedTables) table() string { return []string{"large", "middle", "little"}[r.IntN(3)] }

// cond is a condition on the columns of a name.
func (r askedTables) cond(name string) string {
	return fmt.Sprintf([]string{"%s.k = %d", "%s.v < %d", "%s.k IN (%d, 5)", "%s.k IN (%d, %[1]s.v)", "%s.v IS NULL AND %[1]s.k <> %d", "%s.k > %d"}[r.IntN(6)], name, r.IntN(12))
}

// relation is a table, or groups of one.
func (r askedTables) relation() string {
	switch r.IntN(3) {
	case 0:
		return fmt.Sprintf("(SELECT k, count(*)::int AS v FROM %s GROUP BY k)", r.table())
	case 1:
		return fmt.Sprintf("(SELECT a.k, max(b.v) AS v FROM %s a JOIN %s b ON a.k = b.k AND %s GROUP BY a.k)", r.table(), r.table(), r.cond("b"))
	}
	return r.table()
}

// where is a condition on q that looks at other rows, or does not.
func (r askedTables) where() string {
	inner := r.table()
	switch r.IntN(6) {
	case 0:
		return fmt.Sprintf("q.v < (SELECT avg(i.v) * 2 FROM %s i WHERE i.k = q.k)", inner)
	case 1:
		return fmt.Sprintf("coalesce(q.v, 3) >= (SELECT count(*) FROM %s i WHERE i.k = q.k AND %s)", inner, r.cond("i"))
	case 2:
		return fmt.Sprintf("q.k IN (SELECT k FROM %s GROUP BY k HAVING count(*) > %d)", inner, r.IntN(40))
	case 3:
		return fmt.Sprintf("q.k NOT IN (SELECT k FROM %s WHERE k IS NOT NULL AND v = %d)", inner, r.IntN(7))
	case 4:
		return fmt.Sprintf("EXISTS (SELECT 1 FROM %s i WHERE i.k = q.k AND i.v <> q.v)", inner)
	}
	return fmt.Sprintf("NOT EXISTS (SELECT 1 FROM %s i WHERE i.k = q.k AND %s)", inner, r.cond("i"))
}

// query is a query whose rows have no order.
func (r askedTables) query() string {
	kind := []string{"JOIN", "JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN", "SEMI JOIN", "ANTI JOIN"}[r.IntN(7)]
	on := "q.k = p.k"
	if r.IntN(4) == 0 {
		on = "q.k IS NOT DISTINCT FROM p.k"
	}
	with, cond := "", r.cond("q")
	from := fmt.Sprintf("%s q %s %s p ON %s", r.relation(), kind, r.relation(), on)
	switch r.IntN(4) {
	case 0:
		with = fmt.Sprintf("WITH w AS (SELECT k, sum(v) AS v FROM %s q WHERE %s GROUP BY k) ", r.table(), r.cond("q"))
		from = "w q JOIN w p ON q.k = p.k AND q.v >= (SELECT avg(v) FROM w)"
		cond = "q.v + p.v > 4" // on both, so that the groups stay alike and are shared
	case 1:
		from = fmt.Sprintf("little q, %s p, %s o WHERE q.k = p.k AND p.k = o.k AND q.v = o.v", r.relation(), r.table())
	}
	if r.IntN(4) == 0 {
		from = "little z, " + from // of which no column is read
	}
	word := " WHERE "
	if strings.Contains(from, " WHERE q.") {
		word = " AND "
	}
	return fmt.Sprintf("%sSELECT q.k, count(*), sum(q.v) FROM %s%s%s AND %s GROUP BY q.k", with, from, word, cond, r.where())
}

// TestRandomRules asks random questions of tables that differ in size, with all rules of the
// optimiser, without some, and without any but the one that finds the keys of joins: without it
// all rows meet all rows.
func TestRandomRules(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	r := askedTables{rand.New(rand.NewPCG(seed, 0))}
	rounds := 150
	if testing.Short() {
		rounds = 40
	}
	tb := newTables(t)
	for i, rows := range []int{2000, 200, 12} {
		tb.must("a", fmt.Sprintf(`CREATE TABLE %s AS SELECT nullif(g * 7 %% %d, 3) AS k, nullif(g %% 9, 8) AS v FROM generate_series(1, %d) g`,
			[]string{"large", "middle", "little"}[i], 11+rows/40, rows))
	}
	narrowed, shared := 0, 0
	for i := 0; i < rounds || narrowed == 0 || shared == 0; i++ {
		if i == 10*rounds {
			t.Fatalf("seed %d: %d joins narrow groups, and groups are read again %d times; want some", seed, narrowed, shared)
		}
		if i == rounds/2 {
			if err := tb.store.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		query := r.query()
		answer := func(without []string) string {
			tb.must("a", "SET disabled_rules = '"+strings.Join(without, ",")+"'")
			var rows []string
			for _, row := range tb.must("a", query).Rows {
				var line strings.Builder
				for _, v := range row {
					if v == nil {
						line.WriteString("NULL|")
					} else {
						line.WriteString(*v + "|")
					}
				}
				rows = append(rows, line.String())
			}
			slices.Sort(rows)
			return strings.Join(rows, "\n")
		}
		rules := slices.DeleteFunc(plan.Rules(), func(rule string) bool { return rule == "push_filters" || rule == "order_joins" })
		some := slices.DeleteFunc(slices.Clone(rules), func(string) bool { return r.IntN(5) > 0 })
		want, got := answer(rules), answer(some)
		if got != want {
			t.Fatalf("seed %d: %s\nwithout %q\n%s\nwithout any rule\n%s", seed, query, some, got, want)
		}
		if got := answer(nil); got != want {
			t.Fatalf("seed %d: %s\nwith all rules\n%s\nwithout any\n%s", seed, query, got, want)
		}
		for _, row := range tb.must("a", "EXPLAIN (COSTS OFF) "+query).Rows {
			if strings.Contains(*row[0], "Narrows Groups") {
				narrowed++
			}
			if strings.Contains(*row[0], "CTE Scan on groups") {
				shared++
			}
		}
	}
}
