package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/prickledb/prickle/server/session/sessiontest"
	"github.com/prickledb/prickle/storage"
)

// endless runs for longer than any test, and ends when it is told to.
const endless = "select count(*) from generate_series(1, 1000000000000) as endless"

func (r *running) connect(t *testing.T, user string) *pgx.Conn {
	t.Helper()
	c, err := pgx.Connect(t.Context(), "postgres://"+user+"@"+r.addr+"/prickle?application_name=test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(context.Background()) })
	return c
}

// rows is the answer of a query, a line a row.
func rows(t *testing.T, c *pgx.Conn, text string) string {
	t.Helper()
	answer, err := c.Query(t.Context(), text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	var lines []string
	for answer.Next() {
		values, err := answer.Values()
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, strings.Trim(fmt.Sprint(values), "[]"))
	}
	if err := answer.Err(); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return strings.Join(lines, "\n")
}

// eventually asks until the answer is what is wanted, less and less often: what it asks for is in
// a list of the last queries, and it makes some itself.
func eventually(t *testing.T, c *pgx.Conn, text, want string) {
	t.Helper()
	pause := time.Millisecond
	for end := time.Now().Add(time.Minute); ; pause = min(2*pause, time.Second) {
		got := rows(t, c, text)
		if got == want {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s:\n%s\nand never\n%s", text, got, want)
		}
		time.Sleep(pause)
	}
}

// The questions that run and those that ended are a table, and so are sessions; SQL ends both.
func TestQueriesAndSessionsInSQL(t *testing.T) {
	s := startNode(t)
	key := s.backend.Projects()[0].Token
	if status, body := s.do(t, "POST", "/capture/", fmt.Sprintf(`{"api_key":%q,"event":"hello","distinct_id":"me"}`, key)); status != 200 {
		t.Fatal(status, body)
	}
	a, b := s.connect(t, "ann"), s.connect(t, "bob")
	pid := a.PgConn().PID()
	if got := rows(t, a, "select pg_backend_pid()"); got != fmt.Sprint(pid) {
		t.Errorf("pg_backend_pid = %s, want %d as at the start", got, pid)
	}
	rows(t, a, "select count(distinct distinct_id) from events")
	if _, err := a.Exec(t.Context(), "select 1 / (count(*) - 1) from events"); err == nil {
		t.Error("a division by zero has an answer")
	}
	ended := make(chan error)
	go func() {
		_, err := a.Exec(context.Background(), endless)
		ended <- err
	}()
	const active = "select pid, usename, application_name, client_addr, client_port > 0, backend_start <= query_start, wait_event, query from pg_stat_activity where state = 'active' and pid <> pg_backend_pid()"
	eventually(t, b, active, fmt.Sprintf("%d ann test 127.0.0.1/32 true true <nil> %s", pid, endless))
	if got := rows(t, b, "select numbackends from pg_stat_database"); got != "2" {
		t.Errorf("numbackends = %s", got)
	}
	const mine = "select username, pid, kind, state, rows_read, ended >= started, waited_ms >= 0, killed, error, query from system.queries where username = 'ann' and query like '% from %' order by id"
	want := fmt.Sprintf(`ann %[1]d sql done 1 true true <nil> <nil> select count(distinct distinct_id) from events
ann %[1]d sql failed 0 true true <nil> division by zero select 1 / (count(*) - 1) from events
ann %[1]d sql running 0 <nil> true <nil> <nil> %[2]s`, pid, endless)
	eventually(t, b, mine, want)
	if got := rows(t, b, fmt.Sprintf("select pg_cancel_backend(%d), pg_cancel_backend(-1), pg_cancel_backend(null)", pid)); got != "true false <nil>" {
		t.Errorf("pg_cancel_backend = %s", got)
	}
	var client *pgconn.PgError
	if err := <-ended; !errors.As(err, &client) || client.Code != "57014" {
		t.Errorf("the cancelled query ended with %v", err)
	}
	eventually(t, b, "select state, killed, cpu_ms > 0, error from system.queries where query like '%endless%' and username = 'ann'",
		"killed user true canceling statement due to user request")
	eventually(t, b, "select state, query from pg_stat_activity where usename = 'ann'", "idle "+endless)
	if _, err := a.Exec(t.Context(), "begin"); err != nil {
		t.Fatal(err)
	}
	eventually(t, b, "select state, xact_start is null from pg_stat_activity where usename = 'ann'", "idle in transaction false")

	// Of another project, a session is neither seen nor ended.
	s.do(t, "POST", "/api/projects/", `{"name":"Second"}`)
	c, err := pgx.Connect(t.Context(), "postgres://ann@"+s.addr+"/second")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(context.Background())
	if got := rows(t, c, fmt.Sprintf("select pg_terminate_backend(%d), (select count(*) from pg_stat_activity), (select count(*) from system.queries where query like '%%endless%%' and username = 'ann' and state = 'killed')", pid)); got != "false 1 0" {
		t.Errorf("from another project: %s", got)
	}

	if got := rows(t, b, fmt.Sprintf("select pg_terminate_backend(%d, 60000)", pid)); got != "true" {
		t.Errorf("pg_terminate_backend = %s", got)
	}
	if _, err := a.Exec(t.Context(), "select 1"); !errors.As(err, &client) || client.Code != "57P01" {
		t.Errorf("a session that was ended answers %v", err)
	}
	if got := rows(t, b, "select count(*) from pg_stat_activity where usename = 'ann'"); got != "0" {
		t.Errorf("%s sessions are left", got)
	}
	go func() {
		_, err := b.Exec(context.Background(), endless)
		ended <- err
	}()
	d := s.connect(t, "dan")
	eventually(t, d, "select state from system.queries where username = 'bob' and query like '%endless'", "running")
	eventually(t, d, "select count(*), bool_and(pg_terminate_backend(pid)) from pg_stat_activity where usename = 'bob' and state = 'active'", "1 true")
	if err := <-ended; !errors.As(err, &client) || client.Code != "57P01" {
		t.Errorf("the query of a session that was ended: %v", err)
	}
	eventually(t, d, "select killed from system.queries where username = 'bob' and query like '%endless'", "shutdown")
}

// A client that leaves while its query waits for a place leaves the queue, over either
// protocol.
func TestClientGoneWhileWaiting(t *testing.T) {
	s := starting(t, Config{ProjectQueries: 1})
	s.limits.QueueWait = time.Hour
	s.attach(&fakeNode{projects: []storage.Project{{ID: 1, Database: "prickle"}}}, &sessiontest.Engine{})
	var wait sync.WaitGroup
	wait.Go(func() { s.do(t, "POST", queryPath, question("select n from slow")) })
	first := s.list(t, 1)[0]
	waiting := func(n int) {
		for {
			count := 0
			for _, q := range s.queries.List() {
				if q.State == "waiting" {
					count++
				}
			}
			if count == n {
				return
			}
			if t.Context().Err() != nil {
				t.Fatalf("never %d that wait", n)
			}
			runtime.Gosched()
		}
	}
	ctx, leave := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, "POST", "http://"+s.addr+queryPath, strings.NewReader(question("select n from one")))
	if err != nil {
		t.Fatal(err)
	}
	wait.Go(func() {
		if answer, err := http.DefaultClient.Do(req); err == nil {
			answer.Body.Close()
		}
	})
	waiting(1)
	c := s.connect(t, "app")
	wait.Go(func() { _, _ = c.Exec(context.Background(), "select n from one") })
	waiting(2)
	leave()
	waiting(1)
	c.PgConn().Conn().Close()
	waiting(0)
	s.queries.Cancel(uint64(first["id"].(float64)))
	wait.Wait()
	if status, body := s.do(t, "POST", queryPath, question("select n from one")); status != 200 {
		t.Errorf("afterwards: %d %s", status, body)
	}
	_, body := s.do(t, "GET", "/metrics", "")
	// pgx may send a cancel request behind a connection that broke.
	gone := []string{`prickle_query_killed_total{reason="client_gone"} 2`, `prickle_query_killed_total{reason="client_gone"} 1`}
	if !strings.Contains(body, gone[0]) && !strings.Contains(body, gone[1]) {
		t.Errorf("%s is missing in the metrics:\n%s", gone[0], body)
	}
	for _, want := range []string{`prickle_query_queued_total{reason="queries"} 2`, `prickle_query_seconds_count{kind="sql"} 4`} {
		if !strings.Contains(body, want) {
			t.Errorf("%s is missing in the metrics:\n%s", want, body)
		}
	}
}

// The limits of a project say how many queries a user may have, and what part of the
// processors the project has.
func TestUserPlaces(t *testing.T) {
	s := startNodeWith(t, Config{ProjectQueries: 3})
	s.limits.Queue, s.limits.FreeQueue = -1, -1 // nobody waits
	if status, body := s.do(t, "PATCH", "/api/projects/1/", `{"limits":{"user_queries":1,"query_weight":50}}`); status != 200 || !strings.Contains(body, `"limits":{"user_queries":1,"query_weight":50}`) {
		t.Fatalf("limits: %d %s", status, body)
	}
	if status, body := s.do(t, "PATCH", "/api/projects/1/", `{"limits":{"query_weight":-1}}`); status != 400 {
		t.Errorf("a negative weight: %d %s", status, body)
	}
	key := s.backend.Projects()[0].Token
	if status, body := s.do(t, "POST", "/capture/", fmt.Sprintf(`{"api_key":%q,"event":"hello","distinct_id":"me"}`, key)); status != 200 {
		t.Fatal(status, body)
	}
	a, again, b := s.connect(t, "ann"), s.connect(t, "ann"), s.connect(t, "bob")
	const long = "select count(*) from events, generate_series(1, 1000000000000)"
	ended := make(chan error)
	go func() {
		_, err := a.Exec(context.Background(), long)
		ended <- err
	}()
	s.list(t, 1)
	for s.list(t, 1)[0]["state"] != "running" {
	}
	var client *pgconn.PgError
	if _, err := again.Exec(t.Context(), "select count(distinct distinct_id) from events"); !errors.As(err, &client) || client.Code != "53000" || !strings.Contains(client.Message, "1 queries of the user") {
		t.Errorf("a second query of a user who may have one: %v", err)
	}
	if got := rows(t, b, "select count(distinct distinct_id) from events"); got != "1" {
		t.Errorf("another user's query: %s", got)
	}
	if err := a.PgConn().CancelRequest(t.Context()); err != nil {
		t.Fatal(err)
	}
	<-ended
	if _, body := s.do(t, "GET", "/metrics", ""); !strings.Contains(body, `prickle_query_killed_total{reason="user_queries"} 1`) {
		t.Errorf("metrics:\n%s", body)
	}
	if _, err := b.Exec(t.Context(), "set prickle.user_weight = 0"); !errors.As(err, &client) || client.Code != "22023" {
		t.Errorf("a weight of 0: %v", err)
	}
}
