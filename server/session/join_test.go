package session_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/prickledb/prickle/engine"
	"github.com/prickledb/prickle/server/session"
	"github.com/prickledb/prickle/storage/vfs"
)

// Joins of tables of many blocks give the same rows with one goroutine and with two, and with so
// little memory that the rows go to disk: by keys that lie close together or far apart, by texts,
// by two keys, and by one that all rows of a side have.
func TestJoinsChangeNoRow(t *testing.T) {
	tb := newTables(t)
	rows := 10_000
	if testing.Short() {
		rows = 2000
	}
	for _, sql := range []string{
		"CREATE TABLE a (n int, near int, far bigint, word text, same int)",
		"CREATE TABLE b (n int, near int, far bigint, word text, same int)",
		"CREATE TABLE none (n int, near int, far bigint, word text, same int)",
		fmt.Sprintf("INSERT INTO a SELECT g, nullif(g * 7 %% 30011, 5), (g * 7 %% 30011)::bigint * 1000000007, 'w' || g %% 9973, 1 FROM generate_series(1, %d) g", 4*rows),
		fmt.Sprintf("INSERT INTO b SELECT g, nullif(g * 3 %% 20011, 9), nullif(g * 3 %% 20011, 9)::bigint * 1000000007, 'w' || g * 3 %% 20011, 1 FROM generate_series(1, %d) g", 5*rows),
	} {
		if _, err := tb.client("").run(sql); err != nil {
			t.Fatal(err)
		}
	}
	disk := vfs.NewMem()
	dir, err := engine.OpenSpillDir(disk, "tmp", math.MaxInt64)
	if err != nil {
		t.Fatal(err)
	}
	ways := []*tables{tb}
	for _, limits := range []session.Limits{{Threads: 1}, {Threads: 2, Memory: 4 << 20, Spill: dir}} {
		ways = append(ways, &tables{t: t, store: tb.store, applier: tb.applier, engine: session.NewEngine(tb.store, tb.applier, limits), named: map[string]*client{}})
	}
	ask := func(sql string) {
		want := ""
		for i, w := range ways {
			r, err := w.client("").run(sql)
			if err != nil {
				t.Fatalf("%s, way %d: %v", sql, i, err)
			}
			got := ""
			for _, v := range r.Rows[0] {
				if v == nil {
					got += "NULL "
				} else {
					got += *v + " "
				}
			}
			if i == 0 {
				want = got
			} else if got != want {
				t.Errorf("%s, way %d: %s, want %s", sql, i, got, want)
			}
		}
	}
	for _, key := range []string{"a.near = b.near", "a.far = b.far", "a.word = b.word", "a.near = b.near AND a.far = b.far", "a.near = b.near AND a.n < b.n", "a.same = b.n"} {
		for _, tables := range []string{"a %s b", "b %s a", "a %s none b", "none a %s b"} {
			for _, kind := range []string{"JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"} {
				ask(fmt.Sprintf("SELECT count(*), count(a.n), sum(a.n), count(b.n), sum(b.n), max(a.word), min(b.word) FROM "+tables+" ON %s", kind, key))
			}
		}
		for _, not := range []string{"", "NOT "} {
			ask(fmt.Sprintf("SELECT count(*), sum(n) FROM a WHERE %sEXISTS (SELECT FROM b WHERE %s)", not, key))
			ask(fmt.Sprintf("SELECT count(*), sum(n) FROM b WHERE %sEXISTS (SELECT FROM a WHERE %s)", not, key))
		}
	}
	for _, column := range []string{"near", "far", "word"} {
		ask(fmt.Sprintf("SELECT count(*), sum(n) FROM a WHERE %s NOT IN (SELECT %[1]s FROM b WHERE %[1]s IS NOT NULL AND n < 30000)", column))
	}
	if used := dir.Used(); used != 0 {
		t.Errorf("spill files of %d bytes are left", used)
	}
}
