package session_test

import (
	"fmt"
	"net/netip"
	"reflect"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/server/session"
	"github.com/prickledb/prickle/sql"
	"github.com/prickledb/prickle/storage"
	"github.com/prickledb/prickle/storage/memory"
)

// checkedPlans keeps plans, and fails the test if one is not what its query means now, or would mean on
// another day, to another process. It counts how often one came again.
func checkedPlans(t *testing.T) (*session.Plans, *atomic.Int64) {
	plans, used := &session.Plans{}, &atomic.Int64{}
	plans.Used(func(within sql.CompileContext, p *session.Prepared, kept *sql.Statement, again bool) {
		if again {
			used.Add(1)
		}
		ctx := *within.Expr
		ctx.Now += 40 * 24 * time.Hour.Microseconds()
		ctx.Statement, ctx.PID, ctx.Params, ctx.Setting = ctx.Now+1, ctx.PID+1, nil, nil
		ctx.Client, ctx.Server, ctx.Random = netip.AddrPort{}, netip.AddrPort{}, &expr.Random{}
		within.Expr = &ctx
		anew, err := sql.Compile(within, p.Stmt, p.Text)
		if err != nil {
			t.Errorf("%s: %v, but it is kept", p.Text, err)
			return
		}
		want, got := describe(anew.Plan), describe(kept.Plan)
		if got != want || !reflect.DeepEqual(kept.Schema, anew.Schema) || !reflect.DeepEqual(kept.Params, anew.Params) ||
			!reflect.DeepEqual(kept.Shapes, anew.Shapes) || !reflect.DeepEqual(kept.Sources, anew.Sources) {
			t.Errorf("%s: kept is\n%s\n%v %v\nbut it means\n%s\n%v %v", p.Text, got, kept.Schema, kept.Params, want, anew.Schema, anew.Params)
		}
		if fresh := describe(plan.Fresh(kept.Plan)); fresh != got {
			t.Errorf("%s: kept is\n%s\nbut what runs\n%s", p.Text, got, fresh)
		}
	})
	return plans, used
}

func describe(n plan.Node) string {
	return strings.Join(plan.ExplainText(plan.Describe(n, nil), plan.TextOptions{NoCosts: true}), "\n")
}

// A query that comes again is not compiled again, in another session either, unless what it means
// may be otherwise.
func TestPlans(t *testing.T) {
	tb := newTables(t)
	a, b := tb.client("a"), tb.client("b")
	kept := tb.plans.Kept
	must := func(c *client, text string) string {
		t.Helper()
		r, err := c.run(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		var rows []string
		for _, row := range r.Rows {
			for _, v := range row {
				rows = append(rows, *v)
			}
		}
		return strings.Join(rows, " ")
	}
	must(a, `CREATE TABLE t AS SELECT g AS x FROM generate_series(1, 10) g`)
	for i, text := range []string{
		`SELECT count(*) FROM t WHERE x < 5`,
		`SELECT sum(x) FROM t WHERE x::text LIKE '1%'`,
		`SELECT now() > '2000-01-01' FROM t LIMIT 1`, // computed when it runs
		`TABLE t ORDER BY 1 LIMIT 1`,
		`SELECT * FROM TRENDS(SERIES (n: count(*)) EVERY INTERVAL '1 day' DURING ('2026-01-01', '2026-01-03'))`,
	} {
		first := must(a, text)
		if n := kept(); n != i+1 {
			t.Fatalf("%s: %d plans are kept, want %d", text, n, i+1)
		}
		used := tb.used.Load()
		if again := must(b, text); again != first || kept() != i+1 || tb.used.Load() != used+1 {
			t.Errorf("%s: %q, and then %q; %d plans are kept, want %d; one came again %d times, want 1", text, first, again, kept(), i+1, tb.used.Load()-used)
		}
	}
	before := kept()
	for _, text := range []string{
		`SELECT count(*) FROM t WHERE '2020-01-01'::timestamptz < 'now'::timestamptz`,
		`SELECT date '2020-01-01' < 'today'`,
		`SELECT * FROM TRENDS(SERIES (n: count(*)) EVERY INTERVAL '1 day' DURING (now() - INTERVAL '2 days', now()))`,
		`SELECT * FROM TRENDS(SERIES (n: count(*)) EVERY INTERVAL '1 day' FOR LAST 2 PERIODS)`,
		`EXPLAIN SELECT count(*) FROM t`,
		`SELECT * FROM t OFFSET 100 -- ` + strings.Repeat("long", 1100),
	} {
		_, err := a.run(text)
		if kept() != before {
			t.Errorf("%s (%v): its plan is kept", text, err)
		}
	}

	// What it means changes with the tables, the settings and the roles.
	const query = `SELECT count(*) FROM t WHERE x < 5`
	must(a, `INSERT INTO t VALUES (0)`)
	if got := must(b, query); got != "5" {
		t.Errorf("after an insert: %s, want 5", got)
	}
	must(a, `BEGIN`)
	must(a, `INSERT INTO t VALUES (-1)`)
	if got := must(a, query); got != "6" {
		t.Errorf("in the transaction: %s, want 6", got)
	}
	if got := must(b, query); got != "5" {
		t.Errorf("beside the transaction: %s, want 5", got)
	}
	must(a, `ROLLBACK`)
	must(a, `CREATE TEMP TABLE t (x int)`)
	if got := must(a, query); got != "0" {
		t.Errorf("with a temporary table: %s, want 0", got)
	}
	if got := must(b, query); got != "5" {
		t.Errorf("beside a temporary table: %s, want 5", got)
	}
	must(a, `DROP TABLE pg_temp.t`)
	must(a, `CREATE SCHEMA s`)
	must(a, `CREATE TABLE s.t AS SELECT 1 AS x`)
	must(a, `SET search_path = s`)
	if got := must(a, query); got != "1" {
		t.Errorf("with another path: %s, want 1", got)
	}
	if got := must(b, query); got != "5" {
		t.Errorf("beside another path: %s, want 5", got)
	}
	const at = `SELECT '2026-01-01 00:00'::timestamptz = '2026-01-01 00:00+00'`
	if got := must(b, at); got != "t" {
		t.Errorf("in UTC: %s, want t", got)
	}
	must(b, `SET TIME ZONE 'Asia/Tokyo'`)
	if got := must(b, at); got != "f" {
		t.Errorf("in Tokyo: %s, want f", got)
	}
	must(b, `ALTER TABLE t RENAME x TO y`)
	if _, err := b.run(query); err == nil || !strings.Contains(err.Error(), `column "x" does not exist`) {
		t.Errorf("without the column: %v", err)
	}
}

// Only the last plans are kept, and no more than there is room for.
func TestPlansEnd(t *testing.T) {
	tb := newTables(t)
	tb.plans.Memory = memory.NewBudget(1 << 30).Pool(memory.Queries)
	c := tb.client("a")
	for i := range session.MaxPlans + 10 {
		if _, err := c.run(fmt.Sprintf("SELECT %d", i)); err != nil {
			t.Fatal(err)
		}
	}
	few := tb.plans.Memory.Used()
	if got := tb.plans.Kept(); got != session.MaxPlans || few == 0 {
		t.Errorf("%d plans are kept, which take %d bytes; want %d, and some", got, few, session.MaxPlans)
	}
	for i := range 20 {
		if _, err := c.run(longQuery(i, 4000)); err != nil {
			t.Fatal(err)
		}
	}
	if got := tb.plans.Memory.Used(); got < few+20*4000*30 {
		t.Errorf("with long ones they take %d bytes, and %d without: want many more", got, few)
	}
	small := tablesOf(t, storage.Options{})
	small.plans.Memory = memory.NewBudget(32 << 20).Pool(memory.Queries)
	c = small.client("a")
	for i := range 100 {
		if _, err := c.run(longQuery(i, 1000)); err != nil {
			t.Fatal(err)
		}
	}
	pool := small.plans.Memory
	if used := pool.Used(); used == 0 || used > 2*pool.Size()/64 || small.plans.Kept() == 0 || small.plans.Kept() > 50 {
		t.Errorf("%d plans of 100 are kept of a pool of %d bytes, and take %d", small.plans.Kept(), pool.Size(), used)
	}
}

// longQuery is the i-th query of about so many bytes.
func longQuery(i, size int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "SELECT %d", i)
	for k := 0; b.Len() < size-70; k++ {
		fmt.Fprintf(&b, ", count(*) FILTER (WHERE event = 'n%d' AND properties.p%d > %d)", k, k, k)
	}
	b.WriteString(" FROM events")
	return b.String()
}

// What is counted for plans and statements is about what they take.
func TestPlanBytes(t *testing.T) {
	tb := newTables(t)
	tb.plans.Used(nil)
	tb.plans.Memory = memory.NewBudget(1 << 30).Pool(memory.Queries)
	c := tb.client("a")
	heap := func() int64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := heap()
	for i := range 200 {
		if _, err := c.run(longQuery(i, 1000)); err != nil {
			t.Fatal(err)
		}
	}
	took, counted := heap()-before, tb.plans.Memory.Used()
	if took < counted/2 || took > 2*counted {
		t.Errorf("%d plans take %d bytes, and %d are counted", tb.plans.Kept(), took, counted)
	}
	runtime.KeepAlive(tb)
}
