package session_test

import (
	"fmt"
	"regexp"
	"strconv"
	"testing"
)

var guessedRows = regexp.MustCompile(`rows=(\d+)`)

// checkEstimate compares how many rows EXPLAIN expects of a query with how many there are, which may
// differ by a factor.
func checkEstimate(t *testing.T, tb *tables, query string, factor func(there float64) float64) {
	t.Helper()
	number := func(text string) float64 {
		n, err := strconv.ParseFloat(text, 64)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	there := number(*tb.must("a", "SELECT count(*) FROM ("+query+") q").Rows[0][0])
	guess := guessedRows.FindStringSubmatch(*tb.must("a", "EXPLAIN "+query).Rows[0][0]) // the first line is of what comes out
	const few = 10                                                                      // rows that make no difference to a plan
	if got, want := max(number(guess[1]), few), max(there, few); got > want*factor(there) || got < want/factor(there) {
		t.Errorf("%s: %s rows are expected, there are %.0f", query, guess[1], there)
	}
}

// TestEstimates looks at conditions, of which estimates are right within a factor of two where one
// in a hundred rows passes, or more, and of five where fewer do; and at groups, within 2.5.
func TestEstimates(t *testing.T) {
	for _, segments := range []int{0, 1, 5, 12} {
		t.Run(fmt.Sprintf("segments=%d", segments), func(t *testing.T) {
			tb := newTables(t)
			const rows = 60_000
			tb.must("a", `CREATE TABLE t (id int, even int, skew int, day date, name text, part float8, hole int)`)
			for i := range max(1, segments) {
				n := rows / max(1, segments)
				tb.must("a", fmt.Sprintf(`INSERT INTO t SELECT g, g * 7919 %% 1000, floor(sqrt(g * 7919 %% 10007))::int, date '2020-01-01' + g / 40,
					CASE WHEN g %% 3 = 0 THEN 'common' ELSE 'n' || lpad((g * 7919 %% 5003)::text, 4, '0') END, sin(g), CASE WHEN g %% 10 > 0 THEN g %% 50 END
					FROM generate_series(%d, %d) g`, i*n+1, (i+1)*n))
				if segments > 0 {
					if err := tb.store.Flush(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
			}
			for _, cond := range []string{
				`id > 30000`, `id <= 1500`, `id BETWEEN 20000 AND 21000`, `even = 17`, `even < 250`, `even >= 950`, `even IN (1, 2, 3, 4, 5, 6, 7, 8)`,
				`skew > 90`, `skew < 10`, `skew = 99`, `skew = 5`, `day = '2021-03-05'`, `day >= '2023-01-01'`, `day >= '2021-01-01' AND day < '2021-02-01'`,
				`name = 'common'`, `name = 'n0007'`, `name LIKE 'com%'`, `name LIKE 'n00%'`, `name < 'n3'`, `name LIKE '%7%'`, `part > 0.5`, `part < -0.99`,
				`hole IS NULL`, `hole = 13`, `hole > 40`, `even = 17 AND id > 30000`, `even < 100 AND skew < 50`, `even < skew`, `id < 40000 AND day < '2020-06-01'`,
				`day + interval '1 month' > '2023-06-01'`, `even < 0`, `name = 'nobody'`,
			} {
				factor := func(there float64) float64 {
					if there < rows/100 {
						return 5
					}
					return 2
				}
				checkEstimate(t, tb, "SELECT id FROM t WHERE "+cond, factor)
			}
			for _, column := range []string{"id", "even", "skew", "day", "name", "hole"} {
				checkEstimate(t, tb, "SELECT "+column+" FROM t GROUP BY "+column, func(float64) float64 { return 2.5 })
			}
		})
	}
}
