package session_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/prickledb/prickle/cluster"
	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/server/session"
	"github.com/prickledb/prickle/sql/logictest"
	"github.com/prickledb/prickle/storage"
	"github.com/prickledb/prickle/storage/event"
	"github.com/prickledb/prickle/storage/object"
	"github.com/prickledb/prickle/storage/vec"
)

// applier applies write sets and events to a store, as the log would.
type applier struct {
	session.Writer // no events and persons are changed
	store          *storage.Store
	mu             sync.Mutex
	index          uint64
	sets           int
	err            error // of every write set
	// before, if not nil, is called before a write set is applied, without the lock.
	before func()
}

// Commit implements session.Writer.
func (a *applier) Commit(_ context.Context, project uint32, c *storage.Commit) (cluster.Receipt, error) {
	if before := a.before; before != nil {
		a.before = nil
		before()
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.err != nil {
		return cluster.Receipt{}, a.err
	}
	raw, err := storage.AppendCommit(nil, c)
	if err != nil {
		return cluster.Receipt{}, err
	}
	decoded, err := storage.DecodeCommit(raw)
	if err != nil {
		return cluster.Receipt{}, err
	}
	a.index++
	a.sets++
	change, err := a.store.ApplyCommit(a.index, int64(a.index), project, decoded)
	return cluster.Receipt{Index: a.index, First: change.First}, err
}

// EditObjects implements session.Writer.
func (a *applier) EditObjects(_ context.Context, project uint32, edits []object.Edit) ([]*object.Object, cluster.Receipt, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.index++
	out, err := a.store.ApplyObjects(a.index, int64(a.index), project, edits)
	return out, cluster.Receipt{Index: a.index}, err
}

// Ingest implements session.Writer.
func (a *applier) Ingest(_ context.Context, project uint32, b *event.Batch) (cluster.Receipt, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.index++
	r, err := a.store.ApplyEvents(a.index, int64(a.index), project, b)
	return cluster.Receipt{Index: a.index, Stored: r.Stored, Duplicates: r.Duplicates}, err
}

// tables is a store with one project, and sessions on it.
type tables struct {
	t       *testing.T
	store   *storage.Store
	applier *applier
	engine  session.Engine
	plans   *session.Plans
	used    *atomic.Int64 // plans that came again
	named   map[string]*client
}

func newTables(t *testing.T) *tables { return tablesOf(t, storage.Options{}) }

func tablesOf(t *testing.T, opt storage.Options) *tables {
	t.Helper()
	store := openStoreWith(t, opt)
	a := &applier{store: store, index: 1}
	plans, used := checkedPlans(t)
	return &tables{t: t, store: store, applier: a, engine: session.NewEngine(store, a, session.Limits{Threads: 2}), plans: plans, used: used, named: map[string]*client{}}
}

// client gives the session of a name.
func (tb *tables) client(name string) *client {
	if c := tb.named[name]; c != nil {
		return c
	}
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	user := "app"
	if _, role, ok := strings.Cut(name, "/"); ok { // session/role
		user = role
	}
	s, err := session.New(tb.t.Context(), session.Config{Engine: tb.engine, Project: 1, Database: "prickle", User: user, Plans: tb.plans,
		Now: func() time.Time { return at }})
	if err != nil {
		tb.t.Fatal(err)
	}
	tb.t.Cleanup(s.Close)
	c := &client{s}
	tb.named[name] = c
	return c
}

// client runs statements in a session.
type client struct{ *session.Session }

// run runs statements and answers for the last.
func (c *client) run(sql string) (*logictest.Result, error) {
	stmts, err := c.Parse(sql)
	if err != nil {
		c.Fail(err)
		return nil, err
	}
	var r *logictest.Result
	if len(stmts) > 1 {
		c.Together()
	}
	for _, s := range stmts {
		p := c.Open(s.Stmt, sql)
		r = &logictest.Result{}
		err := p.Run(func() error {
			for _, f := range p.Schema {
				r.Columns = append(r.Columns, f.Name)
			}
			for {
				b, lo, hi, err := p.Take(0)
				if b == nil || err != nil {
					return err
				}
				for b = b.Compact(); lo < hi; lo++ {
					r.Rows = append(r.Rows, texts(b, lo, c.Context()))
				}
			}
		})
		r.Tag = p.Tag(len(r.Rows))
		p.Close()
		if err != nil {
			c.Fail(err)
			return nil, err
		}
	}
	if err := c.Sync(); err != nil {
		c.Fail(err)
		return nil, err
	}
	return r, nil
}

func texts(b *vec.Batch, row int, ctx *expr.Context) []*string {
	out := make([]*string, len(b.Cols))
	for i, v := range b.Cols {
		if !v.IsNull(row) {
			s := string(expr.AppendText(nil, v, row, ctx))
			out[i] = &s
		}
	}
	return out
}

// TestTables runs the cases of testdata/tables with rows in memtables, and again with all of
// them in segments. Beside the words of logictest there is "notices", which lists what was
// said since the last time, and "detail", which shows the detail of a statement's error; as=name
// chooses one of several sessions.
func TestTables(t *testing.T) {
	for _, flush := range []bool{false, true} {
		t.Run(fmt.Sprintf("flush=%v", flush), func(t *testing.T) {
			datadriven.Walk(t, "testdata/tables", func(t *testing.T, path string) {
				tb := newTables(t)
				datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
					name := "main"
					d.MaybeScanArgs(t, "as", &name)
					c := tb.client(name)
					if d.Cmd == "notices" {
						var out strings.Builder
						for _, n := range c.Notices() {
							fmt.Fprintf(&out, "%s %s: %s\n", n.Severity, n.Code, n.Message)
						}
						return out.String()
					}
					if d.Cmd == "detail" {
						_, err := c.run(d.Input)
						return fmt.Sprintf("%v\n%s", err, pgerr.From(err).Detail)
					}
					out := logictest.Case(t, onSession{c}, d)
					if flush {
						if err := tb.store.Flush(t.Context()); err != nil {
							t.Fatal(err)
						}
					}
					return out
				})
			})
		})
	}
}

type onSession struct{ *client }

// Run implements logictest.Database.
func (s onSession) Run(_ *testing.T, sql string) (*logictest.Result, error) { return s.run(sql) }

// A statement that writes gives a token of what it wrote, reads of an earlier state see the
// tables as they were then, and nothing can be written there.
func TestTableStates(t *testing.T) {
	tb := newTables(t)
	queries := &session.Queries{}
	s, err := session.New(t.Context(), session.Config{Engine: tb.engine, Project: 1, Database: "prickle", User: "app",
		Cuts: &session.Cuts{}, Keep: true, Queries: queries})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	c, other := &client{s}, tb.client("other")
	must := func(c *client, sql string) *logictest.Result {
		t.Helper()
		r, err := c.run(sql)
		if err != nil {
			t.Fatal(sql, err)
		}
		return r
	}
	token := func() uint64 {
		t.Helper()
		cut, ok := s.Cut()
		if !ok {
			t.Fatal("no state was read")
		}
		return cut.Index
	}
	for _, sql := range []string{"create table t (a int4)", "insert into t values (1)", "begin; insert into t values (2); commit"} {
		if must(c, sql); token() != tb.applier.index {
			t.Errorf("%s: its token is of entry %d, want %d", sql, token(), tb.applier.index)
		}
	}
	must(c, "select * from t")
	must(other, "insert into t values (3)")
	must(other, "alter table t add column b int4")
	must(c, "set prickle.at = '"+cluster.Token{Index: token()}.String()+"'")
	if r := must(c, "select * from t"); len(r.Rows) != 2 || len(r.Columns) != 1 {
		t.Errorf("at an earlier state: %d rows of %d columns, want 2 of 1", len(r.Rows), len(r.Columns))
	}
	if _, err := c.run("insert into t values (4)"); pgerr.Code(err) != pgerr.ReadOnlyTransaction {
		t.Errorf("a write at an earlier state: %v", err)
	}
	if r := must(c, "reset prickle.at; select * from t"); len(r.Rows) != 3 {
		t.Errorf("now: %d rows, want 3", len(r.Rows))
	}
	tb.applier.err = fmt.Errorf("%w: 5 MB are free", cluster.ErrDiskFull)
	if _, err := c.run("insert into t values (4)"); pgerr.Code(err) != pgerr.DiskFull || !errors.Is(err, cluster.ErrDiskFull) {
		t.Errorf("a write on a full disk: %v", err)
	}
	tb.applier.err = fmt.Errorf("%w: 32 MB of writes are under way", cluster.ErrOverloaded)
	if _, err := c.run("insert into t values (4)"); pgerr.Code(err) != pgerr.InsufficientResources {
		t.Errorf("a write without room: %v", err)
	}
	tb.applier.err = nil
	// A statement that is tried again is one line of the list at a time, and none afterwards.
	tb.applier.before = func() { must(other, "update t set b = 1") }
	if must(c, "update t set a = 9 where a = 1"); tb.applier.before != nil || len(queries.List()) != 0 {
		t.Errorf("after a conflict %d questions run, want none", len(queries.List()))
	}
}

func (tb *tables) must(name, sql string) *logictest.Result {
	tb.t.Helper()
	r, err := tb.client(name).run(sql)
	if err != nil {
		tb.t.Fatalf("%s: %v", sql, err)
	}
	return r
}

// value is the one value of a query.
func (tb *tables) value(name, sql string) string {
	tb.t.Helper()
	r := tb.must(name, sql)
	if len(r.Rows) != 1 || len(r.Rows[0]) != 1 || r.Rows[0][0] == nil {
		tb.t.Fatalf("%s: %d rows, want one value", sql, len(r.Rows))
	}
	return *r.Rows[0][0]
}

// A statement outside a block that meets a conflict is tried again on what has become.
func TestConflictIsTriedAgain(t *testing.T) {
	tb := newTables(t)
	tb.must("a", "CREATE TABLE t (n int)")
	tb.must("a", "INSERT INTO t VALUES (1)")
	tb.applier.before = func() { tb.must("b", "UPDATE t SET n = n + 10") }
	if r := tb.must("a", "UPDATE t SET n = n + 1"); r.Tag != "UPDATE 1" {
		t.Errorf("tag %q", r.Tag)
	}
	if got := tb.value("a", "SELECT sum(n) FROM t"); got != "12" {
		t.Errorf("sum is %s, want 12", got)
	}
	tb.applier.before = func() { tb.must("b", "CREATE TABLE made (b int)") }
	_, err := tb.client("a").run("CREATE TABLE made (a int)")
	if err == nil || !strings.Contains(err.Error(), "already exists") {
		t.Errorf("the second CREATE TABLE: %v", err)
	}
}

// Two writers that add to one number lose nothing.
func TestManyUpdates(t *testing.T) {
	tb := newTables(t)
	tb.must("a", "CREATE TABLE t (n int)")
	tb.must("a", "INSERT INTO t VALUES (0)")
	const writers, times = 3, 20
	var done sync.WaitGroup
	count := make([]int, writers)
	for i := range writers {
		c := tb.client(fmt.Sprint("w", i))
		done.Go(func() {
			for range times {
				if _, err := c.run("UPDATE t SET n = n + 1"); err == nil {
					count[i]++
				}
			}
		})
	}
	done.Wait()
	want := count[0] + count[1] + count[2]
	if got := tb.value("a", "SELECT sum(n) FROM t"); got != fmt.Sprint(want) || want < times {
		t.Errorf("sum is %s after %d updates that said that they were done", got, want)
	}
}

// What is too much for one entry goes in parts, and is seen at its end; a failure on the way
// leaves nothing.
func TestLargeLoads(t *testing.T) {
	tb := newTables(t)
	tb.must("a", "CREATE TABLE t (id bigint, word text)")
	row := fmt.Sprintf("'%s'", strings.Repeat("word ", 2000))
	var values []string
	for i := range 100 {
		values = append(values, fmt.Sprintf("(%d, %s)", i, row))
	}
	tb.must("a", "INSERT INTO t VALUES "+strings.Join(values, ","))
	for range 3 { // doubles: 100, 200, 400, 800 rows of 10 KB
		tb.must("a", "INSERT INTO t SELECT id + 1000, word FROM t")
	}
	before := tb.applier.sets
	tb.must("a", "CREATE TABLE u AS SELECT * FROM t")
	if n := tb.applier.sets - before; n < 3 {
		t.Errorf("8 MB were written in %d entries, want 3 or more", n)
	}
	if got := tb.value("b", "SELECT count(*) FROM u"); got != "800" {
		t.Errorf("%s rows, want 800", got)
	}
	// The last row fails when much has been sent.
	_, err := tb.client("a").run("INSERT INTO u SELECT 1 / (CASE WHEN id = 7099 THEN 0 ELSE 1 END), word FROM t")
	if err != nil {
		t.Fatalf("no row has this id: %v", err)
	}
	_, err = tb.client("a").run("INSERT INTO u SELECT 1 / (CASE WHEN id = 3099 THEN 0 ELSE 1 END), word FROM t")
	if err == nil {
		t.Error("division by zero was not told")
	}
	if got := tb.value("b", "SELECT count(*) FROM u"); got != "1600" {
		t.Errorf("%s rows, want 1600", got)
	}
	// In a block, everything goes with COMMIT, deletions of own rows included.
	tb.must("a", "BEGIN")
	tb.must("a", "CREATE TABLE v AS SELECT * FROM t")
	tb.must("a", "DELETE FROM v WHERE id >= 2000")
	tb.must("a", "DELETE FROM u")
	if _, err := tb.client("b").run("SELECT * FROM v"); err == nil {
		t.Error("a table is seen before COMMIT")
	}
	tb.must("a", "COMMIT")
	if got := tb.value("b", "SELECT count(*) FROM v WHERE id < 2000") + tb.value("b", "SELECT count(*) FROM v") + tb.value("b", "SELECT count(*) FROM u"); got != "4004000" {
		t.Errorf("rows %s, want 400, 400 and 0", got)
	}
}

// Many rows are encoded before they are sent, several entries on their way: they are all there, in
// their order, or none, before and after a flush; and a transaction sees its own.
func TestBulk(t *testing.T) {
	tb := newTables(t)
	tb.must("a", "CREATE TABLE t (n bigint NOT NULL, word text, few text, price numeric(12,2))")
	const rows = "SELECT n, md5(n::text), 'w' || n % 7, n * 1.25 FROM generate_series(1, 12000) AS g(n)"
	const sums = "SELECT count(*) || ' ' || sum(n) || ' ' || sum(price) || ' ' || min(price) || ' ' || count(DISTINCT few) || ' ' || md5(string_agg(substr(word, 30, 5), '' ORDER BY n)) FROM "
	const want = "12000 72006000 90007500.00 1.25 7"
	check := func(client, from, want string) {
		t.Helper()
		if got := tb.value(client, sums+from); !strings.HasPrefix(got, want+" ") {
			t.Errorf("%s: %s, want %s", from, got, want)
		}
	}
	tb.must("a", "INSERT INTO t "+rows)
	check("b", "t", want)
	words := tb.value("a", sums+"t")
	if err := tb.store.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := tb.value("b", sums+"t"); got != words {
		t.Errorf("after a flush %s, want %s", got, words)
	}
	for _, bad := range []string{"SELECT n, word, few, 1 / (12000 - n) FROM t", "SELECT nullif(n, 11999), word, few, price FROM t", "SELECT n, word, few, price * 1e9 FROM t"} {
		if _, err := tb.client("a").run("INSERT INTO t " + bad); err == nil {
			t.Errorf("%s: no error", bad)
		}
	}
	check("b", "t", want)
	tb.must("a", "BEGIN; CREATE TABLE u AS SELECT * FROM t")
	check("a", "u", want)
	tb.must("a", "SAVEPOINT s; UPDATE u SET price = price + 1 WHERE n > 10000")
	check("a", "u", "12000 72006000 90009500.00 1.25 7")
	tb.must("a", "ROLLBACK TO s; DELETE FROM u WHERE n <= 6000; INSERT INTO u SELECT * FROM t WHERE n <= 6000; COMMIT")
	check("b", "u", want)
	tb.must("a", "UPDATE u SET price = -price; DELETE FROM u WHERE n % 2 = 1")
	check("b", "u", "6000 36006000 -45007500.00 -15000.00 7")
	if err := tb.store.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	check("b", "u", "6000 36006000 -45007500.00 -15000.00 7")
	// The last row fails when entries are on their way.
	tb.must("a", "CREATE TABLE many AS SELECT n FROM generate_series(1, 100000) AS g(n)")
	before := tb.applier.sets
	if _, err := tb.client("a").run("INSERT INTO t SELECT nullif(n, 100000), md5(n::text) || md5((-n)::text) || md5(n || $$a$$) || md5(n || $$b$$) || md5(n || $$c$$), '', 0 FROM many"); err == nil {
		t.Error("a null was not told")
	}
	if n := tb.applier.sets - before; n < 2 {
		t.Errorf("%d entries before an error and for it, want several", n)
	}
	check("b", "t", want)
}

// Statements of one text are one transaction.
func TestTogether(t *testing.T) {
	tb := newTables(t)
	tb.must("a", "CREATE TABLE t (n int); INSERT INTO t VALUES (1); INSERT INTO t VALUES (2)")
	if got := tb.value("a", "SELECT sum(n) FROM t"); got != "3" {
		t.Errorf("sum is %s, want 3", got)
	}
	if _, err := tb.client("a").run("INSERT INTO t VALUES (4); SELECT 1 / 0"); err == nil {
		t.Error("division by zero was not told")
	}
	if got := tb.value("a", "INSERT INTO t VALUES (8); SELECT sum(n) FROM t"); got != "11" {
		t.Errorf("sum is %s, want 11", got)
	}
	tb.must("a", "INSERT INTO t VALUES (16); COMMIT; INSERT INTO t VALUES (32); ROLLBACK")
	if got := tb.value("b", "SELECT sum(n) FROM t"); got != "27" {
		t.Errorf("sum is %s, want 27", got)
	}
}

// A prepared INSERT takes its parameters in the types of the columns.
func TestPreparedInsert(t *testing.T) {
	tb := newTables(t)
	tb.must("a", "CREATE TABLE t (n int, w varchar(5), at date)")
	c := tb.client("a")
	p, err := c.Prepare("p", "INSERT INTO t VALUES ($1, $2, $3) RETURNING n", nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(p.Params, len(p.Schema)); got != "[integer character varying date] 1" {
		t.Errorf("parameters and columns: %s", got)
	}
	if err := c.Sync(); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		portal, err := c.Bind("", p, []*vec.Vector{
			{Type: vec.T(vec.Int4), Form: vec.Const, I64: []int64{int64(i)}},
			{Type: vec.T(vec.Varchar), Form: vec.Const, Str: vec.StringsOf("abc")},
			{Type: vec.T(vec.Date), Form: vec.Const, I64: []int64{20000}}})
		if err != nil {
			t.Fatal(err)
		}
		if err := portal.Run(func() error { return nil }); err != nil {
			t.Fatal(err)
		}
		if tag := portal.Tag(1); tag != "INSERT 0 1" {
			t.Errorf("tag %q", tag)
		}
		if err := c.Sync(); err != nil {
			t.Fatal(err)
		}
	}
	if got := tb.value("a", "SELECT count(*) FROM t WHERE w = 'abc' AND at = '2024-10-04'"); got != "3" {
		t.Errorf("%s rows, want 3", got)
	}
	tb.must("a", "PREPARE q AS DELETE FROM t WHERE n = $1")
	if r := tb.must("a", "EXECUTE q (1)"); r.Tag != "DELETE 1" {
		t.Errorf("tag %q", r.Tag)
	}
}

// Blocks whose rows all count are counted by their zones.
func TestZonesAnswer(t *testing.T) {
	tb := newTables(t)
	tb.must("a", "CREATE TABLE t (n int NOT NULL, v text)")
	tb.must("a", fmt.Sprintf("INSERT INTO t SELECT n, 'v' || n FROM generate_series(0, %d) g(n)", 3*vec.BatchRows-1))
	if err := tb.store.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	check := func(text, answer, read string) {
		t.Helper()
		if got := tb.value("a", "SELECT a || ' ' || b || ' ' || c FROM ("+text+") x(a, b, c)"); got != answer {
			t.Errorf("%s: %s, want %s", text, got, answer)
		}
		var lines []string
		for _, row := range tb.must("a", "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) "+text).Rows {
			lines = append(lines, *row[0])
		}
		if plan := strings.Join(lines, "\n"); !strings.Contains(plan, read) {
			t.Errorf("%s: no %q in\n%s", text, read, plan)
		}
	}
	check("SELECT count(*), max(n), min(v) FROM t", "24576 24575 v0", "Rows read: 0")
	check("SELECT count(*), min(n), max(n) FROM t WHERE n > 100", "24475 101 24575", "Rows read: 8192")
	check("SELECT count(n), min(n), 0 FROM t WHERE n >= 8192 AND n <= 16383", "8192 8192 0", "Rows read: 0")
	check("SELECT count(*), count(v), max(n) FROM t", "24576 24576 24575", "Rows read: 24576")
	tb.must("a", "DELETE FROM t WHERE n = 24575")
	check("SELECT count(*), 1, 2 FROM t WHERE n > 0", "24574 1 2", "Rows read: 8192")
	check("SELECT max(n), 1, 2 FROM t", "24574 1 2", "Rows read: 8192")
	tb.must("a", "UPDATE t SET n = 50000 WHERE n = 0")
	check("SELECT min(n), max(n), count(*) FROM t", "1 50000 24575", "metadata, for 8192 of ")
}

// A filter reads only the blocks that can hold what it wants.
func TestZonesLeaveOutBlocks(t *testing.T) {
	tb := newTables(t)
	tb.must("a", "CREATE TABLE t (n int)")
	rows := make([]string, 3*vec.BatchRows)
	for i := range rows {
		rows[i] = fmt.Sprintf("(%d)", i)
	}
	tb.must("a", "INSERT INTO t VALUES "+strings.Join(rows, ","))
	if err := tb.store.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	r := tb.must("a", "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) SELECT * FROM t WHERE n > 20000 AND n < 20003")
	var lines []string
	for _, row := range r.Rows {
		lines = append(lines, *row[0])
	}
	if text := strings.Join(lines, "\n"); !strings.Contains(text, "Rows read: 8192") || !strings.Contains(text, "rows=2 ") && !strings.Contains(text, "rows=2)") {
		t.Errorf("EXPLAIN ANALYZE:\n%s", text)
	}
	if got := tb.value("a", "SELECT count(*) FROM t WHERE n >= 8191 AND n <= 8192"); got != "2" {
		t.Errorf("%s rows, want 2", got)
	}
	// The first rows in an order are looked for where they may be, and NULL may be anywhere.
	for order, want := range map[string]string{"n": "0,1", "n DESC NULLS LAST": "24575,24574", "n, n + 1 DESC": "0,1"} {
		text := "SELECT n FROM t ORDER BY " + order + " LIMIT 2"
		if got := tb.value("a", "SELECT string_agg(n::text, ',') FROM ("+text+") t"); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
		for _, row := range tb.must("a", "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) "+text).Rows {
			if strings.Contains(*row[0], "Rows read: 24576") {
				t.Errorf("%s reads everything", text)
			}
		}
	}
	tb.must("a", "INSERT INTO t SELECT NULL FROM generate_series(1, 3)")
	if err := tb.store.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	for order, want := range map[string]string{
		"n DESC": "null,null,null,24575", "n NULLS FIRST": "null,null,null,0", "n": "0,1,2,3", "n DESC NULLS LAST": "24575,24574,24573,24572",
	} {
		text := "SELECT n FROM t ORDER BY " + order + " LIMIT 4"
		if got := tb.value("a", "SELECT string_agg(coalesce(n::text, 'null'), ',') FROM ("+text+") t"); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
	tb.must("a", "DELETE FROM t WHERE n IS NULL")
	// Rows are counted once, though two goroutines read the table.
	for _, text := range []string{"SELECT * FROM t WHERE n >= 0", "SELECT a.n FROM t a JOIN t b ON a.n = b.n"} {
		for _, row := range tb.must("a", "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) "+text).Rows {
			if strings.Contains(*row[0], "(actual") && !strings.Contains(*row[0], "rows=24576 ") {
				t.Errorf("%s: %s", text, *row[0])
			}
		}
	}
}
