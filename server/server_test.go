package server

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/prickledb/prickle/cluster"
	"github.com/prickledb/prickle/server/session/sessiontest"
	"github.com/prickledb/prickle/storage"
)

// fakeNode is a list of projects.
type fakeNode struct {
	mu       sync.Mutex
	projects []storage.Project
	disk     cluster.DiskStats
	lost     bool // leadership
	loss     *cluster.Loss
	err      error
}

func (n *fakeNode) Projects() []storage.Project {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]storage.Project(nil), n.projects...)
}

func (n *fakeNode) ProjectByDatabase(name string) (storage.Project, bool) {
	for _, p := range n.Projects() {
		if p.Database == name {
			return p, true
		}
	}
	return storage.Project{}, false
}

func (n *fakeNode) CreateProject(_ context.Context, s cluster.ProjectSpec) (storage.Project, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	p := storage.Project{ID: n.projects[len(n.projects)-1].ID + 1, Name: s.Name, Database: strings.ToLower(s.Name), Token: "phc_2",
		Timezone: s.Timezone, WeekStart: s.WeekStart}
	n.projects = append(n.projects, p)
	return p, nil
}

func (n *fakeNode) DeleteProject(_ context.Context, id uint32) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	for i, p := range n.projects {
		if p.ID == id {
			n.projects = append(n.projects[:i], n.projects[i+1:]...)
		}
	}
	return nil
}

func (n *fakeNode) UpdateProject(context.Context, storage.ProjectUpdate) (storage.Project, error) {
	return storage.Project{}, errors.New("not here")
}

func (n *fakeNode) AppliedIndex() uint64                  { return 7 }
func (n *fakeNode) Stats() storage.Stats                  { return storage.Stats{Events: 3} }
func (n *fakeNode) Usage(uint32, time.Time) storage.Usage { return storage.Usage{} }
func (n *fakeNode) FreeBallast() (int64, error)           { return 1 << 30, nil }

func (n *fakeNode) Disk() cluster.DiskStats {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.disk
}

func (n *fakeNode) Leads() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return !n.lost
}

func (n *fakeNode) Loss() *cluster.Loss {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.loss
}

func (n *fakeNode) Err() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.err
}

type running struct {
	*Server
	fake *fakeNode // or nil
	addr string
	stop func() // orders the end and waits for it
}

func start(t *testing.T) *running {
	t.Helper()
	return startWith(t, Config{})
}

func startWith(t *testing.T, config Config) *running {
	t.Helper()
	// As many queries at once as the tests want to have.
	config.Hosts, config.ProjectQueries = []string{"box.example"}, 1000
	r := starting(t, config)
	r.fake = &fakeNode{projects: []storage.Project{{ID: 1, Name: "prickle", Database: "prickle", Token: "phc_1", Timezone: "Europe/Berlin", WeekStart: 1}}}
	r.attach(r.fake, &sessiontest.Engine{})
	return r
}

// starting is a server that waits for its node.
func starting(t *testing.T, config Config) *running {
	t.Helper()
	config.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	s := New(config, nil)
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
	})
	t.Cleanup(stop)
	return &running{s, nil, ln.Addr().String(), stop}
}

func (r *running) do(t *testing.T, method, path, body string, headers ...string) (int, string) {
	t.Helper()
	req, err := http.NewRequest(method, "http://"+r.addr+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		if headers[i] == "Host" {
			req.Host = headers[i+1]
		}
		req.Header.Set(headers[i], headers[i+1])
	}
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(b)
}

const queryPath = "/api/projects/1/query/"

func question(sql string) string {
	b, _ := json.Marshal(map[string]any{"query": map[string]string{"kind": "SQLQuery", "query": sql}})
	return string(b)
}

func TestLocalModeRefuses(t *testing.T) {
	s := start(t)
	for _, c := range []struct {
		path    string
		headers []string
		want    int
	}{
		{queryPath, nil, 200},
		{queryPath, []string{"Host", "localhost:7742"}, 200},
		{queryPath, []string{"Host", "[::1]:7742"}, 200},
		{queryPath, []string{"Host", "box.example"}, 200},
		{queryPath, []string{"Sec-Fetch-Site", "same-origin", "Origin", "http://localhost:7742"}, 200},
		{queryPath, []string{"Sec-Fetch-Site", "none"}, 200},
		{queryPath, []string{"Host", "evil.example"}, 403},
		{queryPath, []string{"Host", "localhost.evil.example"}, 403},
		{queryPath, []string{"Origin", "http://localhost:9999"}, 403},
		{queryPath, []string{"Origin", "null"}, 403},
		{queryPath, []string{"Sec-Fetch-Site", "cross-site"}, 403},
		{queryPath, []string{"Sec-Fetch-Site", "same-site"}, 403},
		{queryPath, []string{"X-Forwarded-For", "10.0.0.1"}, 403},
		{queryPath, []string{"x-forwarded-host", "box.example"}, 403},
		{queryPath, []string{"Forwarded", "for=10.0.0.1"}, 403},
		{"/api/projects/", []string{"Host", "evil.example"}, 403},
		{"/metrics", []string{"Host", "evil.example"}, 403},
		{"/debug/pprof/heap?debug=1", nil, 200},
		{"/debug/pprof/heap?debug=1", []string{"Host", "evil.example"}, 403},
	} {
		method := "POST"
		if c.path != queryPath {
			method = "GET"
		}
		status, body := s.do(t, method, c.path, question("select n from one"), c.headers...)
		if status != c.want {
			t.Errorf("%s with %v = %d, want %d: %s", c.path, c.headers, status, c.want, body)
		}
		var e struct{ Type, Code, Detail string }
		if c.want == 403 && (json.Unmarshal([]byte(body), &e) != nil || e.Code != "permission_denied" || e.Type == "" || e.Detail == "") {
			t.Errorf("%s with %v = %s, want an error object", c.path, c.headers, body)
		}
	}
	for _, path := range []string{"/healthz", "/readyz"} {
		if status, body := s.do(t, "GET", path, "", "Host", "evil.example"); status != 200 {
			t.Errorf("%s = %d %s", path, status, body)
		}
	}
}

func TestQuery(t *testing.T) {
	s := start(t)
	status, body := s.do(t, "POST", queryPath, question("select n from one"))
	var a struct {
		Results [][]any
		Columns []string
		Types   []string
		HasMore bool
		Timings map[string]float64
		Query   string
		Token   string
	}
	if err := json.Unmarshal([]byte(body), &a); err != nil || status != 200 {
		t.Fatal(status, body, err)
	}
	if fmt.Sprintf("%v %v %v %v %v %v", a.Results, a.Columns, a.Types, a.HasMore, a.Query, a.Token) != "[[1]] [n] [bigint] false select n from one v1.0:7" {
		t.Errorf("answer = %s", body)
	}
	for _, key := range []string{`"rows_read":`, `"bytes_read":`, `"is_cached":false`, `"timings":{`} {
		if !strings.Contains(body, key) {
			t.Errorf("answer has no %s: %s", key, body)
		}
	}
	_, body = s.do(t, "POST", queryPath, question("select * from types"))
	want := `{"results":[[true,-2,-2147483648,9223372036854775807,1.5,-0.1,12345678.90050,"grün","v","pg_catalog","\\x00ff","2024-10-04","01:02:03.000001",` +
		`"2023-11-14T22:13:20.123456","2023-11-14T22:13:20Z","1 year 2 mons 3 days 00:00:04","01020304-0506-0708-090a-0b0c0d0e0f10",{"a": 1},4000000000,[1,null,3],["a","b c"]],` +
		`[` + strings.Repeat("null,", 20) + `null]],`
	if !strings.HasPrefix(body, want) {
		t.Errorf("types = %s\nwant    %s", body, want)
	}
	_, body = s.do(t, "POST", queryPath, `{"query":{"kind":"HogQLQuery","query":"select n from numbers","limit":3}}`)
	if !strings.HasPrefix(body, `{"results":[[1],[2],[3]],`) || !strings.Contains(body, `"hasMore":true`) {
		t.Errorf("limit 3 = %s", body)
	}
	_, body = s.do(t, "POST", queryPath, question("show timezone"))
	if !strings.HasPrefix(body, `{"results":[["Europe/Berlin"]],`) {
		t.Errorf("show timezone = %s", body)
	}
	_, body = s.do(t, "POST", queryPath, question("select n from one"), "Accept", "application/x-ndjson")
	if !strings.HasPrefix(body, `{"results":[[1]],`) || strings.Count(body, "\n") != 1 {
		t.Errorf("streamed = %s", body)
	}
	_, body = s.do(t, "POST", queryPath, `{"now":"2026-01-02T03:04:05Z","query":{"kind":"SQLQuery","query":"select now()"}}`)
	if !strings.HasPrefix(body, `{"results":[["2026-01-02T03:04:05Z"]],`) {
		t.Errorf("now = %s", body)
	}
}

func TestQueryErrors(t *testing.T) {
	s := start(t)
	for _, c := range []struct {
		path, body string
		status     int
		want       []string
	}{
		{queryPath, question("select n from nowhere"), 400, []string{`"type":"validation_error"`, `"sqlstate":"42P01"`, `"position":15`, `"attr":null`}},
		{queryPath, question("selec"), 400, []string{`"code":"parse_error"`, `"sqlstate":"42601"`, `"position":1`}},
		{queryPath, question("select 1; select 2"), 400, []string{"one statement"}},
		{queryPath, question(""), 400, []string{"one statement"}},
		{queryPath, question("select $1::int"), 400, []string{"42P02"}},
		{queryPath, question("merge into x using y on true when matched then do nothing"), 400, []string{`"sqlstate":"0A000"`}},
		{queryPath, question("select n from panics"), 500, []string{`"type":"server_error"`}},
		{queryPath, question("set statement_timeout = 1"), 200, nil},
		{queryPath, `{"query":{"kind":"NewQuery"}}`, 400, []string{`"attr":"query.kind"`, "NewQuery"}},
		{queryPath, `{}`, 400, []string{`"code":"required"`}},
		{queryPath, `{`, 400, []string{`"code":"invalid_json"`}},
		{queryPath, `{"query":{"kind":"SQLQuery","query":"x","limit":-1}}`, 400, []string{`"attr":"query.limit"`}},
		{"/api/projects/9/query/", question("select 1"), 404, []string{`"code":"not_found"`}},
		{"/api/projects/x/query/", question("select 1"), 404, nil},
		{"/api/nothing/", "", 404, []string{`"code":"not_found"`}},
	} {
		status, body := s.do(t, "POST", c.path, c.body)
		if status != c.status {
			t.Errorf("%s %s = %d, want %d: %s", c.path, c.body, status, c.status, body)
		}
		for _, w := range c.want {
			if !strings.Contains(body, w) {
				t.Errorf("%s %s = %s, want %s in it", c.path, c.body, body, w)
			}
		}
	}
}

func TestProjects(t *testing.T) {
	s := start(t)
	status, body := s.do(t, "POST", "/api/projects/", `{"name":"Shop","timezone":"UTC","week_start_day":0,"test_account_filters":[]}`)
	if status != 201 || !strings.Contains(body, `"id":2`) || !strings.Contains(body, `"api_token":"phc_2"`) || !strings.Contains(body, `"database":"shop"`) {
		t.Errorf("create = %d %s", status, body)
	}
	status, body = s.do(t, "GET", "/api/projects/", "")
	if status != 200 || !strings.HasPrefix(body, `{"results":[{"id":1,`) {
		t.Errorf("list = %d %s", status, body)
	}
	for body, want := range map[string]int{`{}`: 400, `{"name":"x","timezone":"No/Where"}`: 400, `{"name":"x","week_start_day":5}`: 400, `[`: 400} {
		if status, got := s.do(t, "POST", "/api/projects/", body); status != want {
			t.Errorf("create %s = %d %s", body, status, got)
		}
	}
	if status, body = s.do(t, "DELETE", "/api/projects/2/", ""); status != 204 {
		t.Errorf("delete = %d %s", status, body)
	}
	if status, body = s.do(t, "DELETE", "/api/projects/2/", ""); status != 404 {
		t.Errorf("delete again = %d %s", status, body)
	}
	if status, body = s.do(t, "GET", "/metrics", ""); status != 200 || !strings.Contains(body, "\nprickle_events 3\n") {
		t.Errorf("metrics = %d %s", status, body)
	}
	if status, body = s.do(t, "GET", "/", ""); status != 200 || !strings.Contains(body, "postgres://"+s.addr+"/prickle") {
		t.Errorf("/ = %d %s", status, body)
	}
}

// One port: 100 HTTP and 100 PostgreSQL clients at once, beside one that says nothing
// for now, and one that does not read its answer.
func TestManyClients(t *testing.T) {
	s := start(t)
	silent, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	lazy, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer lazy.Close()
	body := question("select n from numbers")
	fmt.Fprintf(lazy, "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s", queryPath, len(body), body)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	var wait sync.WaitGroup
	for range 100 {
		wait.Go(func() {
			answer, err := client.Post("http://"+s.addr+queryPath, "application/json", strings.NewReader(question("select n from one")))
			if err != nil {
				t.Error(err)
				return
			}
			b, err := io.ReadAll(answer.Body)
			answer.Body.Close()
			if err != nil || !bytes.HasPrefix(b, []byte(`{"results":[[1]]`)) {
				t.Error(string(b), err)
			}
		})
		wait.Go(func() {
			c, err := pgx.Connect(context.Background(), "postgres://app@"+s.addr+"/prickle")
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close(context.Background())
			var n int64
			if err := c.QueryRow(context.Background(), "select n from one").Scan(&n); err != nil || n != 1 {
				t.Error(n, err)
			}
		})
	}
	wait.Wait()
	// The silent one still may say what it is.
	fmt.Fprint(silent, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
	answer, err := http.ReadResponse(bufio.NewReader(silent), nil)
	if err != nil || answer.StatusCode != 200 {
		t.Error(answer, err)
	}
}

func TestStrangers(t *testing.T) {
	s := start(t)
	for _, first := range []string{"\x16\x03\x01", "ssh-2.0\r\n", "{}"} {
		nc, err := net.Dial("tcp", s.addr)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(nc, first)
		b, err := io.ReadAll(nc)
		if string(b) != notOurs || err != nil {
			t.Errorf("%q is answered with %q, %v", first, b, err)
		}
		nc.Close()
	}
}

func TestShutdown(t *testing.T) {
	s := start(t)
	c, err := pgx.Connect(t.Context(), "postgres://app@"+s.addr+"/prickle")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(context.Background())
	silent, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	began := time.Now()
	s.stop()
	if took := time.Since(began); took >= shutdownTimeout {
		t.Errorf("shutdown of an idle server took %v", took)
	}
	if _, err := c.Exec(t.Context(), "select n from one"); err == nil || !strings.Contains(err.Error(), "57P01") {
		t.Errorf("after the shutdown: %v", err)
	}
}

func TestPortTaken(t *testing.T) {
	s := start(t)
	_, err := Listen(s.addr)
	var taken *PortError
	if !errors.As(err, &taken) {
		t.Fatalf("Listen = %v, want a PortError", err)
	}
	_, port, _ := net.SplitHostPort(s.addr)
	if want := "port " + port + " on 127.0.0.1 is taken"; !strings.HasPrefix(taken.Error(), want) {
		t.Errorf("error = %q, want %q", taken, want)
	}
	if taken.PID == 0 {
		t.Errorf("the holder of the port was not found: %+v", taken)
	}
}
