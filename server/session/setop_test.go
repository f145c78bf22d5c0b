package session_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// Chains of set operations give what maps of values and their counts give. Values are integers and
// floating-point numbers, since those of a chain take the types of what comes later.
func TestRandomSetOperations(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	c := newTables(t).client("main")
	union := func(a, b map[int]int) map[int]int {
		out := maps.Clone(a)
		for v, n := range b {
			out[v] += n
		}
		return out
	}
	each := func(of map[int]int, count func(v, n int) int) map[int]int {
		out := map[int]int{}
		for v, n := range of {
			if n = count(v, n); n > 0 {
				out[v] = n
			}
		}
		return out
	}
	operand := func() (string, map[int]int) {
		rows, counts := []string{}, map[int]int{}
		kind := []string{"", "::smallint", "::float8"}[r.IntN(3)]
		for range 1 + r.IntN(6) {
			v := r.IntN(3)
			rows = append(rows, fmt.Sprintf("(%d%s)", v, kind))
			counts[v]++
		}
		return "VALUES " + strings.Join(rows, ", "), counts
	}
	rounds := 300
	if testing.Short() {
		rounds = 60
	}
	for range rounds {
		sql, counts := operand()
		op := ""
		for range r.IntN(7) {
			if op == "" || r.IntN(3) == 0 {
				op = []string{"UNION", "UNION ALL", "INTERSECT", "INTERSECT ALL", "EXCEPT", "EXCEPT ALL"}[r.IntN(6)]
			}
			text, other := operand()
			if strings.HasPrefix(op, "INTERSECT") { // it would go before what is in front of it
				sql = "(" + sql + ")"
			}
			sql += " " + op + " " + text
			switch op {
			case "UNION", "UNION ALL":
				counts = union(counts, other)
			case "INTERSECT", "INTERSECT ALL":
				counts = each(counts, func(v, n int) int { return min(n, other[v]) })
			case "EXCEPT":
				counts = each(counts, func(v, n int) int {
					if other[v] > 0 {
						return 0
					}
					return n
				})
			default:
				counts = each(counts, func(v, n int) int { return n - other[v] })
			}
			if !strings.HasSuffix(op, "ALL") {
				counts = each(counts, func(int, int) int { return 1 })
			}
		}
		var want []string
		for _, v := range slices.Sorted(maps.Keys(counts)) {
			want = append(want, fmt.Sprintf("%d %d", v, counts[v]))
		}
		got, err := c.run("SELECT v::int, count(*) FROM (" + sql + ") AS s(v) GROUP BY 1 ORDER BY 1")
		if err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
		var have []string
		for _, row := range got.Rows {
			have = append(have, *row[0]+" "+*row[1])
		}
		if !slices.Equal(have, want) {
			t.Errorf("%s gives %v, want %v", sql, have, want)
		}
	}
}
