package session_test

import (
	"testing"

	"github.com/prickledb/prickle/engine/pgerr"
)

// TestCursorBytes has cursors that keep more rows than they may.
func TestCursorBytes(t *testing.T) {
	c := newTables(t).client("main")
	c.LimitCursors(100 << 10)
	const none = ""
	run := func(sql, want string) {
		t.Helper()
		_, err := c.run(sql)
		if (err == nil) != (want == none) || err != nil && pgerr.Code(err) != want {
			t.Errorf("%s: %v, want %q", sql, err, want)
		}
	}
	const rows = "FOR SELECT g, repeat('x', 1000) || g FROM generate_series(1, 80) g"
	run("BEGIN; DECLARE a SCROLL CURSOR "+rows+"; MOVE ALL a", none)
	run("SAVEPOINT s; DECLARE b SCROLL CURSOR "+rows+"; MOVE ALL b", pgerr.ProgramLimitExceeded)
	// What a closed cursor has kept is free again.
	run("ROLLBACK TO s; CLOSE a; DECLARE b SCROLL CURSOR "+rows+"; MOVE ALL b", none)
	run("COMMIT", none)
	run("BEGIN; DECLARE c CURSOR WITH HOLD "+rows+"; COMMIT", none)
	run("DECLARE d CURSOR WITH HOLD "+rows, pgerr.ProgramLimitExceeded)
	run("CLOSE c; DECLARE d CURSOR WITH HOLD "+rows, none)
}
