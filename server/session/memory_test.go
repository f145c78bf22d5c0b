package session_test

import (
	"strings"
	"testing"

	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/server/session"
	"github.com/prickledb/prickle/storage/memory"
)

// What a session holds is counted, refused where there is no room, and given back.
func TestSessionMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("it fills much memory with one goroutine")
	}
	tb := newTables(t)
	pool := memory.NewBudget(40 << 20).Pool(memory.Queries) // 14 MB, of which 7 are for sessions
	s, err := session.New(t.Context(), session.Config{Engine: tb.engine, Project: 1, Database: "prickle", User: "app", Memory: pool})
	if err != nil {
		t.Fatal(err)
	}
	c := &client{s}
	const rows = "SELECT g, md5(g::text) || md5('a' || g) || md5('b' || g) || md5('c' || g) || md5('d' || g) || md5('e' || g) || md5('f' || g) || md5('g' || g) AS text FROM generate_series(1, $) g"
	run := func(text, count string, held bool, code string) {
		t.Helper()
		_, err := c.run(strings.ReplaceAll(text, "$", count))
		if err == nil && code != "" || err != nil && pgerr.Code(err) != code {
			t.Errorf("%s of %s rows: %v, want %q", text, count, err, code)
		}
		if got := pool.Used() > 0; got != held {
			t.Errorf("%s of %s rows: %d bytes are counted", text, count, pool.Used())
		}
	}
	const few, many = "15000", "80000" // 4 MB, and more than there is
	run("CREATE TABLE t (g int, text text)", "", false, "")
	run("CREATE TEMP TABLE k AS "+rows, few, true, "")
	run("CREATE TEMP TABLE l AS "+rows, many, true, pgerr.OutOfMemory)
	run("DISCARD TEMP", "", false, "")
	run("BEGIN; INSERT INTO t "+rows, few, true, "")
	run("ROLLBACK", "", false, "")
	run("BEGIN; INSERT INTO t "+rows, many, false, pgerr.OutOfMemory)
	run("ROLLBACK", "", false, "")
	run("DECLARE c SCROLL CURSOR WITH HOLD FOR "+rows, few, true, "")
	run("CLOSE c", "", false, "")
	run("DECLARE c SCROLL CURSOR WITH HOLD FOR "+rows, many, false, pgerr.OutOfMemory)
	run("INSERT INTO t "+rows, many, false, "") // rows that are sent as they come need no more
	pool.Add(13 << 20)                          // what queries hold does not keep sessions from it
	run("CREATE TEMP TABLE j AS "+rows, few, true, "")
	pool.Release(13 << 20)
	run("DISCARD TEMP", "", false, "")
	run("CREATE TEMP TABLE k AS "+rows, few, true, "")
	s.Close()
	if pool.Used() != 0 {
		t.Errorf("%d bytes are counted of a session that is closed", pool.Used())
	}
}
