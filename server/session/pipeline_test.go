package session_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
)

// What is sent before one Sync is one transaction, as with PostgreSQL.
func TestPipeline(t *testing.T) {
	c, err := pgx.Connect(t.Context(), "postgres://app@"+serveStore(t)+"/prickle?sslmode=disable")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(context.Background())
	exec := func(sql string) {
		t.Helper()
		if _, err := c.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	count := func(sql string) (n int) {
		t.Helper()
		if err := c.QueryRow(t.Context(), sql).Scan(&n); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
		return n
	}
	exec("CREATE TABLE p (id int)")

	// The second statement sees what the first has written; all of it is there after Sync.
	b := &pgx.Batch{}
	b.Queue("INSERT INTO p SELECT generate_series(1, $1::int)", 10)
	b.Queue("DELETE FROM p WHERE id > $1", 7)
	seen := 0
	b.Queue("SELECT count(*) FROM p").QueryRow(func(row pgx.Row) error { return row.Scan(&seen) })
	if err := c.SendBatch(t.Context(), b).Close(); err != nil {
		t.Fatal(err)
	}
	if n := count("SELECT count(*) FROM p"); n != 7 || seen != 7 {
		t.Errorf("%d rows, %d inside, want 7", n, seen)
	}

	// An error undoes what came before it, and what comes behind is not run.
	b = &pgx.Batch{}
	b.Queue("INSERT INTO p VALUES (100)")
	b.Queue("SELECT 1 / (id - id) FROM p")
	b.Queue("INSERT INTO p VALUES (101)")
	if err := c.SendBatch(t.Context(), b).Close(); err == nil {
		t.Error("no error from a batch with one")
	}
	if n := count("SELECT count(*) FROM p"); n != 7 {
		t.Errorf("%d rows after an error, want 7", n)
	}

	// A block in a pipeline ends what it begins.
	b = &pgx.Batch{}
	b.Queue("BEGIN")
	b.Queue("INSERT INTO p VALUES (102)")
	b.Queue("ROLLBACK")
	b.Queue("INSERT INTO p VALUES (103)")
	if err := c.SendBatch(t.Context(), b).Close(); err != nil {
		t.Fatal(err)
	}
	if n := count("SELECT sum(id) FROM p WHERE id > 100"); n != 103 {
		t.Errorf("sum = %d, want 103", n)
	}

	// Events are in no transaction, but a list of them may be sent at once.
	b = &pgx.Batch{}
	for range 3 {
		b.Queue("INSERT INTO events (event, distinct_id) VALUES ($1, 'ann')", "open")
	}
	if err := c.SendBatch(t.Context(), b).Close(); err != nil {
		t.Fatal(err)
	}
	if n := count("SELECT count(*) FROM events"); n != 3 {
		t.Errorf("%d events, want 3", n)
	}
}
