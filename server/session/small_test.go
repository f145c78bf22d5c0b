package session_test

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/prickledb/prickle/storage"
	"github.com/prickledb/prickle/storage/memory"
)

var bytesRead = regexp.MustCompile(`Bytes read: (\d+)`)

// TestSmallIntegers asks for rows by integers that lie close together, in memory and in segments, where
// conditions compare them as bytes or words: before and after rows were deleted, and with NULL in a column.
func TestSmallIntegers(t *testing.T) {
	tb := tablesOf(t, storage.Options{Memory: memory.NewBudget(1 << 28)})
	answer := func(text string) string {
		var out []string
		for _, row := range tb.must("a", text).Rows {
			for _, v := range row {
				if v == nil {
					out = append(out, "NULL")
				} else {
					out = append(out, *v)
				}
			}
		}
		return strings.Join(out, " ")
	}
	tb.must("a", `CREATE TABLE s (id int, few smallint, low bigint, day date, gaps int, far bigint, mid int)`)
	tb.must("a", `INSERT INTO s SELECT i, i % 7 - 3, -9223372036854775807 + i % 256, date '2026-01-01' + i % 200,
		CASE WHEN i % 5 > 0 THEN i % 3 END, i * 1003 % 100000, i * 7 % 3001 - 9 FROM generate_series(1, 20000) AS g(i)`)
	var conds []string
	for _, c := range []struct{ column, values string }{
		{"few", "-4 -3 0 3 4"}, {"low", "-9223372036854775807 -9223372036854775700 0"}, {"day", "'2026-02-01' '2025-02-01' NULL"}, {"gaps", "1"}, {"far", "17"}, {"mid", "-10 -9 1000 2991 70000"},
	} {
		for v := range strings.FieldsSeq(c.values) {
			for _, op := range []string{"=", "<>", "<", "<=", ">", ">="} {
				conds = append(conds, fmt.Sprintf("%s %s %s", c.column, op, v), fmt.Sprintf("%s %s %s AND few > 0 AND id %% 2 = 0", v, op, c.column),
					fmt.Sprintf("id %% 3 > 0 AND few + 1 > 0 AND %s %s %s", c.column, op, v))
			}
		}
	}
	if testing.Short() { // a third of them
		kept := conds[:0]
		for i := 0; i < len(conds); i += 3 {
			kept = append(kept, conds[i+i/3%3])
		}
		conds = kept
	}
	answers := func() (out []string) {
		for _, c := range conds {
			out = append(out, c+": "+answer(`SELECT count(*), sum(id), min(few), max(day) FROM s WHERE `+c))
		}
		return out
	}
	for range 2 {
		want := answers()
		if err := tb.store.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		for range 2 { // the second time they are kept
			for i, got := range answers() {
				if got != want[i] {
					t.Errorf("in segments %s, want %s", got, want[i])
				}
			}
		}
		tb.must("a", `DELETE FROM s WHERE id % 11 = 0`)
		tb.must("a", `INSERT INTO s VALUES (0, 2, 0, '2026-01-05', 1, 5, 7)`)
	}
	if err := tb.store.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	said := answer(`EXPLAIN (ANALYZE) SELECT count(*) FROM s WHERE few >= 2 AND few <> 2 AND few <> 3`)
	found := bytesRead.FindStringSubmatch(said)
	if found == nil {
		t.Fatalf("EXPLAIN ANALYZE says %s", said)
	}
	if n, err := strconv.Atoi(found[1]); err != nil || n > 4*20_000 {
		t.Errorf("%d bytes are read for three conditions on small integers, want about one a row each: %v", n, err)
	}
}
