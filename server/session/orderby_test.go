package session_test

import (
	"fmt"
	"strings"
	"testing"
)

// The rows of a table with order_by lie in that order in its segments, so blocks that a condition
// leaves out are not read; and every statement gives what it gives without.
func TestOrderBy(t *testing.T) {
	tb := newTables(t)
	c := tb.client("app")
	answer := func(sql string) string {
		t.Helper()
		r, err := c.run(sql)
		if err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
		var b strings.Builder
		for _, row := range r.Rows {
			for _, v := range row {
				if v == nil {
					b.WriteString("NULL ")
				} else {
					b.WriteString(*v + " ")
				}
			}
			b.WriteString("\n")
		}
		return b.String()
	}
	flush := func() {
		t.Helper()
		if err := tb.store.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	names := []string{"plain", "sorted", "parted"}
	for i, with := range []string{"", " WITH (order_by = 'k, Word')", " WITH (time = at, partition_by = day, order_by = word)"} {
		answer("CREATE TABLE " + names[i] + " (k int, word text, at timestamp, n int)" + with)
	}
	// each runs a statement on each table, and wants one answer.
	each := func(sql string) {
		t.Helper()
		var want string
		for i, name := range names {
			if got := answer(strings.ReplaceAll(sql, "?", name)); i == 0 {
				want = got
			} else if got != want {
				t.Errorf("%s: of %s %.300s, of plain %.300s", sql, name, got, want)
			}
		}
	}
	questions := func() {
		t.Helper()
		each("SELECT count(*), sum(k), sum(n), min(word), max(at), count(DISTINCT word) FROM ?")
		each("SELECT * FROM ? WHERE k = 77 ORDER BY n")
		each("SELECT * FROM ? ORDER BY n DESC LIMIT 5")
		each("SELECT word, k FROM ? WHERE at >= '2026-01-02' AND at < '2026-01-03' ORDER BY n LIMIT 7")
	}
	insert := "INSERT INTO ? SELECT nullif(i * 7919 %% 20011 %% 500, 3), 'w' || i * 31 %% 97, timestamp '2026-01-01' + i * 1047 %% 86400 * 4 * interval '1 second', i FROM generate_series(%d, %d) i"
	each(fmt.Sprintf(insert, 1, 20_000))
	flush()
	questions()
	read := func(name, where string) (rows int) {
		t.Helper()
		_, after, ok := strings.Cut(answer("EXPLAIN ANALYZE SELECT sum(n) FROM "+name+" WHERE "+where), "Rows read: ")
		if _, err := fmt.Sscan(after, &rows); !ok || err != nil {
			t.Fatalf("no rows read are shown (%v)", err)
		}
		return rows
	}
	for _, q := range []struct {
		name, where string
		all         bool
	}{
		{"plain", "k = 77", true}, {"sorted", "k = 77", false},
		{"plain", "at < '2026-01-02'", true}, {"sorted", "at < '2026-01-02'", true}, {"parted", "at < '2026-01-02'", false},
	} {
		if got := read(q.name, q.where); got == 20_000 != q.all {
			t.Errorf("of %s, where %s, %d rows are read", q.name, q.where, got)
		}
	}
	// Rows are found again by their numbers, in segments and behind them.
	each(fmt.Sprintf(insert, 20_001, 24_000))
	each("UPDATE ? SET word = 'new' WHERE k % 50 = 7")
	each("DELETE FROM ? WHERE n % 11 = 5")
	questions()
	flush()
	questions()
	each("DELETE FROM ? WHERE word = 'new' AND n < 10000")
	each("ALTER TABLE ? DROP COLUMN word")
	each(fmt.Sprintf("INSERT INTO ? SELECT i, timestamp '2026-01-01', i FROM generate_series(%d, %d) i", 30_000, 50_000))
	flush()
	each("SELECT count(*), sum(k), sum(n), max(at) FROM ?")
	each("SELECT * FROM ? WHERE k = 77 ORDER BY n")
}
