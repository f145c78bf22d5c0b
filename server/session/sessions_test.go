package session_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

func stateOf(err error) string {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return e.Code
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

// Sessions see each other, and can cancel and end each other.
func TestSessions(t *testing.T) {
	addr := serveStore(t)
	a, b := connectTo(t, addr), connectTo(t, addr)
	pid := b.PgConn().PID()
	one := func(sql string, into any, args ...any) {
		t.Helper()
		if err := a.QueryRow(t.Context(), sql, args...).Scan(into); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	var own uint32
	one("SELECT pg_backend_pid()", &own)
	if own != a.PgConn().PID() || own == pid {
		t.Errorf("pid = %d, want %d", own, a.PgConn().PID())
	}
	if _, err := b.Exec(t.Context(), "SET application_name = 'other'"); err != nil {
		t.Fatal(err)
	}
	state := func() (got string) {
		t.Helper()
		one("SELECT state FROM pg_stat_activity WHERE pid = $1 AND application_name = 'other' AND client_addr::text = '127.0.0.1'", &got, int32(pid))
		return got
	}
	// Who has the answer sees the session at rest.
	rests := func(want string) {
		t.Helper()
		if got := state(); got != want {
			t.Errorf("state = %s, want %s", got, want)
		}
	}
	rests("idle")
	if _, err := b.Exec(t.Context(), "BEGIN"); err != nil {
		t.Fatal(err)
	}
	rests("idle in transaction")
	if _, err := b.Exec(t.Context(), "SELECT 1/0", pgx.QueryExecModeSimpleProtocol); stateOf(err) != "22012" {
		t.Fatal(err)
	}
	rests("idle in transaction (aborted)")
	if _, err := b.Exec(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	rests("idle")

	sleeps := func() chan error {
		done := make(chan error, 1)
		go func() {
			_, err := b.Exec(context.Background(), "SELECT pg_sleep(60)", pgx.QueryExecModeSimpleProtocol)
			done <- err
		}()
		for state() != "active" { // until it has come
			time.Sleep(time.Millisecond)
		}
		return done
	}
	var ok bool
	done := sleeps()
	if one("SELECT pg_cancel_backend($1)", &ok, int32(pid)); !ok || stateOf(<-done) != "57014" {
		t.Error("the statement was not cancelled")
	}
	done = sleeps()
	if one("SELECT pg_terminate_backend($1)", &ok, int32(pid)); !ok || stateOf(<-done) != "57P01" {
		t.Error("the session with a statement was not ended")
	}

	// One that waits for its client hears it when it reads.
	b = connectTo(t, addr)
	pid = b.PgConn().PID()
	if _, err := b.Exec(t.Context(), "BEGIN"); err != nil {
		t.Fatal(err)
	}
	one("SELECT pg_terminate_backend($1)", &ok, int32(pid))
	if _, err := b.Exec(t.Context(), "SELECT 1"); !ok || err == nil || !b.IsClosed() {
		t.Errorf("the idle session was not ended: %v, %v", ok, err)
	}
	if one("SELECT pg_terminate_backend(99999999)", &ok); ok {
		t.Error("a session was ended that is not there")
	}
	n := 0
	for range 100 { // the server waits a little for those that it sent away
		if one("SELECT count(*) FROM pg_stat_activity", &n); n == 1 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if n != 1 {
		t.Errorf("%d sessions are left, want 1", n)
	}
	one("SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid()", &n)
	if n != 1 {
		t.Errorf("%d locks", n)
	}
}
