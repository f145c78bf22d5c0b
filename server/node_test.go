package server

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/prickledb/prickle/cluster"
	"github.com/prickledb/prickle/storage/person"
	"github.com/prickledb/prickle/storage/vfs"
)

// startNode serves a real node in memory.
func startNode(t *testing.T) *running { return startNodeWith(t, Config{}) }

func startNodeWith(t *testing.T, config Config) *running {
	t.Helper()
	return startNodeOn(t, config, cluster.Config{FS: vfs.NewMem(), WatchDisk: true, Ballast: -1})
}

func startNodeOn(t testing.TB, config Config, on cluster.Config) *running {
	t.Helper()
	logger := slog.New(slog.NewTextHandler(io.Discard, nil))
	on.Dir, on.Logger = "data", logger
	node, err := cluster.Open(t.Context(), on)
	if err != nil {
		t.Fatal(err)
	}
	config.Logger = logger
	s := New(config, node)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, ln) }()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		closing, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := node.Close(closing); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return &running{s, nil, ln.Addr().String(), stop}
}

// What goes in through capture and import comes out of both protocols at once.
func TestWriteAndAsk(t *testing.T) {
	s := startNode(t)
	projects := s.backend.Projects()
	if len(projects) != 1 || projects[0].Database != "prickle" || projects[0].ID != 1 {
		t.Fatalf("projects at the first start = %+v", projects)
	}
	status, body := s.do(t, "POST", "/capture/", fmt.Sprintf(`{"api_key":%q,"event":"hello","distinct_id":"me","properties":{"plan":"pro","n":3}}`, projects[0].Token),
		"Host", "anywhere.example", "Origin", "https://anywhere.example")
	if status != 200 || body != `{"status":"Ok"}` {
		t.Fatalf("capture = %d %s", status, body)
	}
	c, err := pgx.Connect(t.Context(), "postgres://"+s.addr+"/prickle?user=me")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(context.Background())
	var event, id, plan string
	var n float64
	err = c.QueryRow(t.Context(), "select event, distinct_id, properties.plan, properties.n * 2 from events where event = $1", "hello").Scan(&event, &id, &plan, &n)
	if err != nil || event != "hello" || id != "me" || plan != "pro" || n != 6 {
		t.Errorf("row = %s %s %s %v, %v", event, id, plan, n, err)
	}
	status, body = s.do(t, "POST", "/api/projects/", `{"name":"Second","timezone":"UTC","week_start_day":1}`)
	if status != 201 || !strings.Contains(body, `"database":"second"`) {
		t.Fatalf("create = %d %s", status, body)
	}
	lines := strings.Repeat(`{"type":"event","event":"a","distinct_id":"x","timestamp":"2026-01-01T00:00:00Z","properties":{}}`+"\n", 3) +
		`{"type":"person","distinct_ids":["x"],"properties":{"name":"X"}}` + "\n"
	status, body = s.do(t, "POST", "/api/projects/2/import/", lines, "Content-Type", "application/x-ndjson")
	if status != 200 {
		t.Fatalf("import = %d %s", status, body)
	}
	status, body = s.do(t, "POST", "/api/projects/2/query/", question("select event, count(*), count(distinct person_id) from events group by 1"))
	if status != 200 || !strings.HasPrefix(body, `{"results":[["a",3,1]],"columns":["event","count","count"]`) {
		t.Errorf("query = %d %s", status, body)
	}
	// The first project sees nothing of it.
	var count int64
	if err := c.QueryRow(t.Context(), "select count(*) from events").Scan(&count); err != nil || count != 1 {
		t.Errorf("count = %d, %v", count, err)
	}
	// One transaction, one state.
	tx, err := c.BeginTx(t.Context(), pgx.TxOptions{IsoLevel: pgx.RepeatableRead})
	if err != nil {
		t.Fatal(err)
	}
	tx.QueryRow(t.Context(), "select count(*) from events").Scan(&count)
	s.do(t, "POST", "/e/", fmt.Sprintf(`{"api_key":%q,"event":"again","distinct_id":"me"}`, projects[0].Token))
	if err := tx.QueryRow(t.Context(), "select count(*) from events").Scan(&count); err != nil || count != 1 {
		t.Errorf("inside the transaction: count = %d, %v", count, err)
	}
	tx.Rollback(t.Context())
	if err := c.QueryRow(t.Context(), "select count(*) from events").Scan(&count); err != nil || count != 2 {
		t.Errorf("after the transaction: count = %d, %v", count, err)
	}
	if status, _ = s.do(t, "DELETE", "/api/projects/2/", ""); status != 204 {
		t.Errorf("delete = %d", status)
	}
	if status, _ = s.do(t, "POST", "/api/projects/2/query/", question("select 1")); status != 404 {
		t.Errorf("query of a deleted project = %d", status)
	}
	if status, body = s.do(t, "GET", "/metrics", ""); !strings.Contains(body, "\nprickle_events 2\n") {
		t.Errorf("metrics = %d %s", status, body)
	}
}

// Persons go, with their events or without, and are split; a project says how long it keeps
// events.
func TestPersonsOverHTTP(t *testing.T) {
	s := startNode(t)
	token := s.backend.Projects()[0].Token
	for _, e := range []string{`"event":"a","distinct_id":"ann"`, `"event":"a","distinct_id":"bob"`,
		`"event":"$identify","distinct_id":"cid","properties":{"$anon_distinct_id":"anon"}`, `"event":"a","distinct_id":"anon"`} {
		if status, body := s.do(t, "POST", "/capture/", fmt.Sprintf(`{"api_key":%q,%s}`, token, e)); status != 200 {
			t.Fatalf("capture of %s = %d %s", e, status, body)
		}
	}
	path := func(id string) string {
		return fmt.Sprintf("/api/projects/1/persons/%s/", uuid.UUID(person.UUIDOf(1, id)))
	}
	bulk := func(ids ...string) string {
		for i := range ids {
			ids[i] = uuid.UUID(person.UUIDOf(1, ids[i])).String()
		}
		return fmt.Sprintf(`{"ids":["%s"],"delete_events":true}`, strings.Join(ids, `","`))
	}
	for _, c := range []struct {
		method, path, body string
		status             int
		want               string // in the answer
		events, persons    int    // afterwards
	}{
		{"DELETE", path("nobody"), "", 404, "there is no person", 4, 3},
		{"DELETE", path("ann") + "?delete_events=perhaps", "", 400, "delete_events is true or false", 4, 3},
		{"DELETE", path("ann"), "", 202, "", 4, 2},
		{"DELETE", path("ann") + "?delete_events=true", "", 202, "", 3, 2},
		{"POST", path("cid") + "split/", `{"distinct_ids":["cid"]}`, 400, "has its uuid from this distinct id", 3, 2},
		{"POST", path("cid") + "split/", `{"distinct_ids":["bob"]}`, 400, "not one of this person", 3, 2},
		{"POST", path("cid") + "split/", `{"distinct_idz":["anon"]}`, 400, "unknown field", 3, 2},
		{"POST", path("cid") + "split/", `{"distinct_ids":["anon"]}`, 201, "", 3, 3},
		{"POST", "/api/projects/1/persons/bulk_delete/", `{"ids":[]}`, 400, "1 to 1000", 3, 3},
		{"POST", "/api/projects/1/persons/bulk_delete/", `{"ids":["x"]}`, 400, "is not a uuid", 3, 3},
		{"POST", "/api/projects/1/persons/bulk_delete/", bulk("bob", "anon", "none"), 202, `"persons_deleted":2`, 1, 1},
		{"PATCH", "/api/projects/1/", `{"retention_days":0}`, 400, "or null for ever", 1, 1},
		{"PATCH", "/api/projects/1/", `{"retention_days":30}`, 200, `"retention_days":30`, 1, 1},
		{"PATCH", "/api/projects/1/", `{"retention_days":null}`, 200, `"retention_days":null`, 1, 1},
		{"PATCH", "/api/projects/9/", `{"retention_days":30}`, 404, "no project", 1, 1},
	} {
		status, body := s.do(t, c.method, c.path, c.body)
		if status != c.status || !strings.Contains(body, c.want) {
			t.Errorf("%s %s %s = %d %s, want %d and %q", c.method, c.path, c.body, status, body, c.status, c.want)
		}
		for table, want := range map[string]int{"events": c.events, "persons": c.persons} {
			if _, body := s.do(t, "POST", queryPath, question("select count(*) from "+table)); !strings.HasPrefix(body, fmt.Sprintf(`{"results":[[%d]]`, want)) {
				t.Errorf("after %s %s %s: %s, want %d %s", c.method, c.path, c.body, body, want, table)
			}
		}
	}
}

// DELETE is a statement like any other, over both protocols.
func TestDeleteStatement(t *testing.T) {
	s := startNode(t)
	for i := range 3 {
		body := fmt.Sprintf(`{"api_key":%q,"event":"a","distinct_id":"d%d"}`, s.backend.Projects()[0].Token, i)
		if status, body := s.do(t, "POST", "/capture/", body); status != 200 {
			t.Fatalf("capture = %d %s", status, body)
		}
	}
	if status, body := s.do(t, "POST", queryPath, question("delete from events where distinct_id = 'd0'")); status != 200 {
		t.Errorf("DELETE over HTTP = %d %s", status, body)
	}
	c, err := pgx.Connect(t.Context(), "postgres://"+s.addr+"/prickle?user=me")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(context.Background())
	tag, err := c.Exec(t.Context(), "delete from events where distinct_id = $1", "d1")
	if err != nil || tag.String() != "DELETE 1" {
		t.Errorf("DELETE = %q, %v", tag, err)
	}
	var count int
	if err := c.QueryRow(t.Context(), "select count(*) from events").Scan(&count); err != nil || count != 1 {
		t.Errorf("%d events are left, %v, want 1", count, err)
	}
}

func TestPsqlOnNode(t *testing.T) {
	psql, err := exec.LookPath("psql")
	if err != nil {
		t.Skip("psql is not installed")
	}
	s := startNode(t)
	token := s.backend.Projects()[0].Token
	for i := range 5 {
		s.do(t, "POST", "/capture/", fmt.Sprintf(`{"api_key":%q,"event":"e%d","distinct_id":"p%d"}`, token, i%2, i))
	}
	run := func(args ...string) string {
		out, err := exec.CommandContext(t.Context(), psql, append([]string{"-X", "postgres://" + s.addr + "/prickle"}, args...)...).CombinedOutput()
		if err != nil {
			return string(out) + err.Error()
		}
		return string(out)
	}
	want := " event | count \n-------+-------\n e0    |     3\n e1    |     2\n(2 rows)\n\n"
	if out := run("-c", "select event, count(*) from events group by 1 order by 2 desc limit 3"); out != want {
		t.Errorf("psql:\n%s\nwant\n%s", out, want)
	}
	if out := run("-At", "-c", "explain select count(*) from events"); !strings.Contains(out, "Aggregate") {
		t.Errorf("explain:\n%s", out)
	}
	if out := run("-At", "-c", "explain analyze select count(*) from events"); !strings.Contains(out, "Execution Time") {
		t.Errorf("explain analyze:\n%s", out)
	}
	if out := run("-At", "-c", "FUNNEL 'e0' -> 'e1' WITHIN 14 DAYS LAST 30 DAYS"); !strings.Contains(out, "e0") {
		t.Errorf("funnel:\n%s", out)
	}
	if out := run("-c", "select evnt from events"); !strings.Contains(out, `column "evnt" does not exist`) || !strings.Contains(out, "LINE 1") || !strings.Contains(out, "HINT") {
		t.Errorf("typo:\n%s", out)
	}
}
