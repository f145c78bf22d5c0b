package session_test

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/prickledb/prickle/storage"
	"github.com/prickledb/prickle/storage/memory"
)

var cacheHits = regexp.MustCompile(`Cache hits"?: "?(\d+) of (\d+)`)

// What a statement decodes, the next one finds: the first has no hits, and the second hits alone.
func TestCacheHits(t *testing.T) {
	hits := func(sql, plan string, err error) (found, looked []int) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
		for _, m := range cacheHits.FindAllStringSubmatch(plan, -1) {
			for i, to := range []*[]int{&found, &looked} {
				n, err := strconv.Atoi(m[i+1])
				if err != nil {
					t.Fatal(err)
				}
				*to = append(*to, n)
			}
		}
		return found, looked
	}
	for _, sql := range []string{
		"SELECT properties.plan, count(DISTINCT distinct_id) FROM events GROUP BY 1",
		"SELECT * FROM FUNNEL(STEPS (a: event = 'open', b: event = 'paid') WITHIN INTERVAL '2 days')",
		"SELECT * FROM FUNNEL(STEPS (a: event = 'open', b: event = 'paid') MODE STRICT)",
		"SELECT * FROM RETENTION(START event = 'open' RETURN event = 'open' EVERY INTERVAL '1 day')",
		"SELECT * FROM TRENDS(SERIES (n: count(DISTINCT person_id) FILTER (WHERE event = 'open')) EVERY INTERVAL '1 day')",
		"SELECT a.n, b.n FROM (SELECT count(DISTINCT properties.plan) n FROM events) a, (SELECT count(DISTINCT distinct_id) n FROM events) b",
	} {
		f := stored(t)
		explain := func(format string) ([]int, []int) {
			text := fmt.Sprintf("EXPLAIN (ANALYZE, FORMAT %s) %s", format, sql)
			plan, err := f.text(text)
			return hits(text, plan, err)
		}
		found, looked := explain("TEXT")
		if len(looked) == 0 || slices.Contains(looked, 0) || slices.Max(found) != 0 {
			t.Errorf("%s: first %v hits of %v, want none of some", sql, found, looked)
		}
		for _, format := range []string{"TEXT", "JSON", "YAML"} {
			if found, looked := explain(format); len(looked) == 0 || !slices.Equal(found, looked) {
				t.Errorf("%s as %s: then %v hits of %v, want all", sql, format, found, looked)
			}
		}
	}

	tb := tablesOf(t, storage.Options{Memory: memory.NewBudget(1 << 28)})
	tb.must("a", "CREATE TABLE n (i integer, t text)")
	tb.must("a", "INSERT INTO n SELECT g % 100, 'x' || g FROM generate_series(1, 20000) g")
	if err := tb.store.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i, sql := range []string{"SELECT count(DISTINCT t) FROM n", "SELECT t FROM n WHERE i = 7"} {
		for run := range 2 {
			var lines []string
			for _, row := range tb.must("a", "EXPLAIN ANALYZE "+sql).Rows {
				lines = append(lines, *row[0])
			}
			found, looked := hits(sql, strings.Join(lines, "\n"), nil)
			if len(looked) != 1 || looked[0] == 0 || run == 0 && i == 0 && found[0] != 0 || run == 1 && found[0] != looked[0] {
				t.Errorf("%s: run %d: %v hits of %v", sql, run+1, found, looked)
			}
		}
	}
}
