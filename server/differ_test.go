package server

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/prickledb/prickle/sql/difftest"
)

// queriesPerTables is how many queries are asked of one set of tables.
const queriesPerTables = 100

// TestDiffer asks prickle and PostgreSQL the same random queries. PRICKLE_POSTGRES is where a
// PostgreSQL 15 is, PRICKLE_DIFFER how many queries, and PRICKLE_SEED the first seed.
func TestDiffer(t *testing.T) {
	dsn := os.Getenv("PRICKLE_POSTGRES")
	if dsn == "" {
		t.Skip("PRICKLE_POSTGRES is not set: there is nothing to compare with")
	}
	queries := 1000
	if s := os.Getenv("PRICKLE_DIFFER"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatalf("PRICKLE_DIFFER is a number of queries: %v", err)
		}
		queries = n
	}
	ctx := t.Context()
	theirs, err := pgconn.Connect(ctx, dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close(ctx)
	s := startNode(t)
	ours, err := pgconn.Connect(ctx, "postgres://"+s.addr+"/prickle?user=me")
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close(ctx)
	ask := func(c *pgconn.PgConn, sql string) *difftest.Answer {
		a, err := difftest.Ask(ctx, c, sql)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	for _, c := range []*pgconn.PgConn{theirs, ours} {
		ask(c, "SET statement_timeout = '10s'")
	}
	excuses, differences := map[string]int{}, map[string]int{}
	seed, asked, failed, different := firstSeed(t), 0, 0, 0
	begin := time.Now()
	for ; asked < queries; seed++ {
		g := difftest.New(seed)
		setup := g.Setup()
		for _, sql := range setup {
			for _, c := range []*pgconn.PgConn{theirs, ours} {
				if a := ask(c, sql); a.Err != nil {
					t.Fatalf("seed %d: %s: %v", seed, sql, a.Err)
				}
			}
		}
		for range min(queriesPerTables, queries-asked) {
			q := g.Query()
			asked++
			if q.Writes {
				ask(theirs, "BEGIN")
				ask(ours, "BEGIN")
			}
			want := ask(theirs, q.SQL)
			got := ask(ours, q.SQL)
			if want.Err != nil {
				failed++
				if !strings.HasPrefix(want.Err.Code, "22") {
					excuses["PostgreSQL refuses: "+want.Err.Message]++
				}
			}
			v := difftest.Compare(q, want, got)
			if q.Writes {
				for _, sql := range g.Tables() {
					if v == (difftest.Verdict{}) && want.Err == nil {
						v = difftest.Compare(difftest.Query{Loose: true}, ask(theirs, sql), ask(ours, sql))
					}
				}
				ask(theirs, "ROLLBACK")
				ask(ours, "ROLLBACK")
			}
			if v.Different != "" && want.Err != nil && got.Err == nil && ask(theirs, "EXPLAIN "+q.SQL).Err != nil {
				v = difftest.Verdict{Excuse: "an error of a constant that no row needs"}
			}
			if v.Excuse != "" {
				excuses[v.Excuse]++
			}
			if v.Different != "" {
				different++
				differences[v.Different]++
				if different <= 200 {
					t.Errorf("seed %d: %s\n\t%s\n\t%s", seed, v.Different, q.SQL, strings.Join(setup, ";\n\t"))
				}
			}
		}
	}
	t.Logf("%d queries, of which %d are errors, %d differences, %s", asked, failed, different, time.Since(begin).Round(time.Second))
	for _, m := range []map[string]int{excuses, differences} {
		var lines []string
		for why, n := range m {
			lines = append(lines, fmt.Sprintf("%6d %s", n, why))
		}
		slices.Sort(lines)
		slices.Reverse(lines)
		for _, line := range lines[:min(len(lines), 80)] {
			t.Log(line)
		}
	}
}
