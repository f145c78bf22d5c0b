package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/prickledb/prickle/cluster"
	"github.com/prickledb/prickle/server/session/sessiontest"
	"github.com/prickledb/prickle/storage"
	"github.com/prickledb/prickle/storage/vfs"
)

// A server without a node says so to everyone, and serves as soon as it has one.
func TestStarting(t *testing.T) {
	replay := &cluster.Replay{}
	s := starting(t, Config{Replay: replay})
	for path, want := range map[string]string{"/healthz": `"status":"ok"`, "/metrics": "prickle_uptime_seconds"} {
		if status, body := s.do(t, "GET", path, ""); status != 200 || !strings.Contains(body, want) {
			t.Errorf("%s while starting = %d %s", path, status, body)
		}
	}
	if status, body := s.do(t, "GET", "/readyz?for=read", ""); status != 503 || body != `{"status":"not_ready","reasons":["starting"]}`+"\n" {
		t.Errorf("/readyz while starting = %d %s", status, body)
	}
	for _, path := range []string{"/capture/", queryPath, "/"} {
		answer, err := http.Post("http://"+s.addr+path, "application/json", strings.NewReader(question("select 1")))
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(answer.Body)
		answer.Body.Close()
		if answer.StatusCode != 503 || answer.Header.Get("Retry-After") != "1" || !strings.Contains(string(body), `"code":"starting"`) {
			t.Errorf("%s while starting = %d %s", path, answer.StatusCode, body)
		}
	}
	if _, err := pgx.Connect(t.Context(), "postgres://app@"+s.addr+"/prickle"); err == nil || !strings.Contains(err.Error(), "57P03") {
		t.Errorf("PostgreSQL while starting: %v", err)
	}
	s.attach(&fakeNode{projects: []storage.Project{{ID: 1, Database: "prickle"}}}, &sessiontest.Engine{})
	if status, body := s.do(t, "GET", "/readyz", ""); status != 200 || body != `{"status":"ready"}`+"\n" {
		t.Errorf("/readyz = %d %s", status, body)
	}
	if status, body := s.do(t, "POST", queryPath, question("select n from one")); status != 200 {
		t.Errorf("query = %d %s", status, body)
	}
}

func TestReady(t *testing.T) {
	s := start(t)
	for _, c := range []struct {
		name        string
		change      func(*fakeNode)
		write, read string // reasons
	}{
		{"fine", func(*fakeNode) {}, "", ""},
		{"no leader", func(n *fakeNode) { n.lost = true }, `"no_leader"`, ""},
		{"full", func(n *fakeNode) { n.disk.State = cluster.DiskFull }, `"disk_full"`, ""},
		{"low", func(n *fakeNode) { n.disk.State = cluster.DiskLow }, "", ""},
		{"both", func(n *fakeNode) { n.lost, n.disk.State = true, cluster.DiskReadOnly }, `"no_leader","disk_full"`, ""},
		{"broken", func(n *fakeNode) { n.err = errors.New("needs upgrade") }, `"recovering"`, `"recovering"`},
		{"damaged", func(n *fakeNode) { n.loss = &cluster.Loss{First: 5, Last: 9, Estimate: 40} }, `"recovering"`, ""},
	} {
		s.fake.mu.Lock()
		s.fake.lost, s.fake.disk, s.fake.loss, s.fake.err = false, cluster.DiskStats{}, nil, nil
		c.change(s.fake)
		s.fake.mu.Unlock()
		for path, reasons := range map[string]string{"/readyz": c.write, "/readyz?for=read": c.read} {
			status, body := s.do(t, "GET", path, "")
			if reasons == "" && status != 200 || reasons != "" && (status != 503 || !strings.Contains(body, `"reasons":[`+reasons+`]`)) {
				t.Errorf("%s: %s = %d %s, want the reasons [%s]", c.name, path, status, body, reasons)
			}
		}
	}
	// The last one says what is missing.
	want := `"detail":"read-only, because acknowledged data is damaged","lost":"entries 5 to 9 of the log, about 40 events"}`
	if _, body := s.do(t, "GET", "/readyz", ""); !strings.Contains(body, want) {
		t.Errorf("/readyz of a damaged directory = %s, want %s", body, want)
	}
}

// list gives the list of queries when it has n of them.
func (r *running) list(t *testing.T, n int) []map[string]any {
	t.Helper()
	for {
		_, body := r.do(t, "GET", "/api/instance/queries/", "")
		var list struct{ Results []map[string]any }
		if err := json.Unmarshal([]byte(body), &list); err != nil {
			t.Fatal(body, err)
		}
		if len(list.Results) == n {
			return list.Results
		}
		if t.Context().Err() != nil {
			t.Fatal("the test is over")
		}
	}
}

// What runs is listed, and ends when somebody cancels it by its number.
func TestCancelByNumber(t *testing.T) {
	s := start(t)
	ended := make(chan string, 2)
	go func() {
		_, body := s.do(t, "POST", queryPath, question("select n from slow"))
		ended <- body
	}()
	q := s.list(t, 1)[0]
	if q["query"] != "select n from slow" || q["project"] != 1.0 || q["kind"] != "sql" || q["state"] != "running" {
		t.Errorf("list = %v", q)
	}
	path := fmt.Sprintf("/api/instance/queries/%.0f/", q["id"])
	if status, body := s.do(t, "DELETE", path, ""); status != 204 {
		t.Errorf("cancel = %d %s", status, body)
	}
	if body := <-ended; !strings.Contains(body, `"sqlstate":"57014"`) {
		t.Errorf("the query ended with %s", body)
	}
	s.list(t, 0)
	if status, _ := s.do(t, "DELETE", path, ""); status != 404 {
		t.Errorf("cancel again = %d", status)
	}
	if _, body := s.do(t, "GET", "/metrics", ""); !strings.Contains(body, `prickle_query_killed_total{reason="user"} 1`) ||
		!strings.Contains(body, `prickle_query_seconds_count{kind="sql"} 1`) {
		t.Errorf("metrics:\n%s", body)
	}
}

// A query whose client has gone ends, over either protocol.
func TestClientGone(t *testing.T) {
	s := start(t)
	ctx, leave := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, "POST", "http://"+s.addr+queryPath, strings.NewReader(question("select n from slow")))
	if err != nil {
		t.Fatal(err)
	}
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		if answer, err := http.DefaultClient.Do(req); err == nil {
			answer.Body.Close()
		}
	}()
	s.list(t, 1)
	leave()
	<-gone
	s.list(t, 0)

	c, err := pgx.Connect(t.Context(), "postgres://app@"+s.addr+"/prickle")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = c.Exec(context.Background(), "select n from slow") }() // it ends with the connection
	s.list(t, 1)
	c.PgConn().Conn().Close()
	s.list(t, 0)
}

// Of one project, as many queries run as its limit says; others wait, and then are told to
// come again. What reads no table needs no place.
func TestQueryPlaces(t *testing.T) {
	s := starting(t, Config{ProjectQueries: 1})
	s.limits.Queue, s.limits.FreeQueue, s.limits.QueueWait = 1, 1, time.Hour
	s.attach(&fakeNode{projects: []storage.Project{{ID: 1, Database: "prickle"}}}, &sessiontest.Engine{})
	var wait sync.WaitGroup
	ask := func() { wait.Go(func() { s.do(t, "POST", queryPath, question("select n from slow")) }) }
	ask()
	s.list(t, 1)
	ask()
	for list := s.list(t, 2); list[1]["state"] != "waiting"; list = s.list(t, 2) {
	}
	status, body := s.do(t, "POST", queryPath, question("select n from one"))
	if status != 429 || !strings.Contains(body, `"code":"queries"`) {
		t.Errorf("with a full queue: %d %s", status, body)
	}
	c, err := pgx.Connect(t.Context(), "postgres://app@"+s.addr+"/prickle")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(context.Background())
	if _, err := c.Exec(t.Context(), "select n from one"); err == nil || !strings.Contains(err.Error(), "53000") {
		t.Errorf("with a full queue, over PostgreSQL: %v", err)
	}
	if status, body = s.do(t, "POST", queryPath, question("select 1")); status != 200 {
		t.Errorf("what reads no table: %d %s", status, body)
	}
	for _, q := range s.list(t, 2) {
		s.queries.Cancel(uint64(q["id"].(float64)))
	}
	wait.Wait()
	if status, body = s.do(t, "POST", queryPath, question("select n from one")); status != 200 {
		t.Errorf("afterwards: %d %s", status, body)
	}
}

// While it drains, a server says so to whoever asks; what runs comes to its end.
func TestDraining(t *testing.T) {
	s := start(t)
	ended := make(chan string, 1)
	go func() {
		_, body := s.do(t, "POST", queryPath, question("select n from slow"))
		ended <- body
	}()
	q := s.list(t, 1)[0]
	stopped := make(chan struct{})
	go func() { s.stop(); close(stopped) }()
	for !s.draining.Load() {
		runtime.Gosched() // until the order has arrived
	}
	if status, body := s.do(t, "GET", "/readyz", ""); status != 503 || !strings.Contains(body, `"draining"`) {
		t.Errorf("/readyz while draining = %d %s", status, body)
	}
	if status, body := s.do(t, "POST", queryPath, question("select 1")); status != 503 || !strings.Contains(body, `"draining"`) {
		t.Errorf("a query while draining = %d %s", status, body)
	}
	s.queries.Cancel(uint64(q["id"].(float64)))
	if body := <-ended; !strings.Contains(body, "57014") {
		t.Errorf("the query that ran ended with %s", body)
	}
	<-stopped
}

func (r *running) header(t *testing.T, method, path, body string, headers ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequest(method, "http://"+r.addr+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	raw, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer, string(raw)
}

// Every write and every answer has a token; a question with it sees the write, one at it
// sees that very state.
func TestTokens(t *testing.T) {
	s := startNode(t)
	token := s.backend.Projects()[0].Token
	write := func() string {
		t.Helper()
		a, body := s.header(t, "POST", "/capture/", fmt.Sprintf(`{"api_key":%q,"event":"hello","distinct_id":"me"}`, token))
		if a.StatusCode != 200 || !strings.HasPrefix(a.Header.Get("X-Prickle-Token"), "v1.0:") {
			t.Fatalf("capture = %d %v %s", a.StatusCode, a.Header, body)
		}
		return a.Header.Get("X-Prickle-Token")
	}
	ask := func(url string, fields map[string]any, headers ...string) (*http.Response, string) {
		t.Helper()
		body := map[string]any{"query": map[string]string{"kind": "SQLQuery", "query": "select count(*) from events"}}
		for k, v := range fields {
			body[k] = v
		}
		raw, _ := json.Marshal(body)
		return s.header(t, "POST", queryPath+url, string(raw), headers...)
	}
	expect := func(what string, a *http.Response, body, want string) {
		t.Helper()
		if a.StatusCode != 200 || !strings.HasPrefix(body, `{"results":[[`+want+`]]`) {
			t.Errorf("%s = %d %s, want %s events", what, a.StatusCode, body, want)
		}
	}
	if a, body := s.header(t, "PATCH", "/api/projects/1/", `{"week_start_day":1}`); !strings.HasPrefix(a.Header.Get("X-Prickle-Token"), "v1.0:") {
		t.Errorf("PATCH = %d %v %s, want a token", a.StatusCode, a.Header, body)
	}
	first := write()
	a, body := ask("", nil, "X-Prickle-Token", first)
	expect("header", a, body, "1")
	read := a.Header.Get("X-Prickle-Token")
	if read != first || !strings.Contains(body, `"token":"`+read+`"`) || !strings.Contains(body, `"applied":`+read[len("v1.0:"):]+`,"age_ms":`) ||
		!strings.Contains(body, `"partial":false`) {
		t.Errorf("answer at %s: %s", read, body)
	}
	second := write()
	a, body = ask("?token="+second, nil)
	expect("URL", a, body, "2")
	a, body = ask("", map[string]any{"token": second, "consistency": "session"})
	expect("body", a, body, "2")
	a, body = ask("?consistency=linearizable", nil)
	expect("linearizable", a, body, "2")
	a, body = ask("?consistency=bounded", nil)
	expect("bounded", a, body, "2")
	a, body = ask("?max_age=1ms", map[string]any{"consistency": "bounded"})
	expect("bounded by a tick", a, body, "2")
	if a, body = ask("?consistency=bounded&max_age=soon", nil); a.StatusCode != 400 || !strings.Contains(body, "prickle.max_age") {
		t.Errorf("max_age=soon = %d %s", a.StatusCode, body)
	}
	a, body = ask("?consistency=local", nil)
	expect("local", a, body, "2")
	a, body = ask("?at="+read, nil)
	expect("at the first", a, body, "1")
	if a.Header.Get("X-Prickle-Token") != read {
		t.Errorf("the token of an answer at %s = %s", read, a.Header.Get("X-Prickle-Token"))
	}
	if err := s.node.MergeAll(t.Context()); err != nil { // and when that state is not the store's any more
		t.Fatal(err)
	}
	a, body = ask("", map[string]any{"at": read})
	expect("at the first, after a merge", a, body, "1")
	for _, c := range []struct {
		url    string
		status int
		code   string
	}{
		{"?token=nonsense", 400, "invalid_token"}, {"?token=v1.7:1", 400, "invalid_token"}, {"?token=v1.0:999999", 400, "invalid_token"},
		{"?consistency=eventual", 400, "invalid_query"}, {"?at=v1.0:1", 410, "cut_gone"},
	} {
		if a, body := ask(c.url, nil); a.StatusCode != c.status || !strings.Contains(body, `"code":"`+c.code+`"`) {
			t.Errorf("%s = %d %s, want %d %s", c.url, a.StatusCode, body, c.status, c.code)
		}
	}
	c, err := pgx.Connect(t.Context(), "postgres://app@"+s.addr+"/prickle")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(context.Background())
	count := func(set string) (n int) {
		t.Helper()
		if _, err := c.Exec(t.Context(), "reset all; "+set); err != nil {
			t.Fatal(err)
		}
		if err := c.QueryRow(t.Context(), "select count(*) from events").Scan(&n); err != nil {
			t.Errorf("%s: %v", set, err)
		}
		return n
	}
	for set, want := range map[string]int{"set prickle.token = '" + second + "'": 2, "set prickle.at = '" + read + "'": 1, "set prickle.consistency = linearizable": 2} {
		if n := count(set); n != want {
			t.Errorf("%s: %d events, want %d", set, n, want)
		}
	}
}

// Limits are settings of the project: they count at once.
func TestLimits(t *testing.T) {
	s := startNode(t)
	key := s.backend.Projects()[0].Token
	capture := func() (*http.Response, string) {
		t.Helper()
		return s.header(t, "POST", "/capture/", fmt.Sprintf(`{"api_key":%q,"event":"hello","distinct_id":"me"}`, key))
	}
	set := func(limits string) {
		t.Helper()
		if status, body := s.do(t, "PATCH", "/api/projects/1/", `{"limits":`+limits+`}`); status != 200 {
			t.Fatalf("PATCH %s = %d %s", limits, status, body)
		}
	}
	line := `{"type":"event","event":"a","distinct_id":"x","timestamp":"2026-01-01T00:00:00Z","properties":{}}` + "\n"
	set(`{"events_per_second":1}`)
	begin, sent := time.Now(), 0
	refused := func(post func() (*http.Response, string)) (*http.Response, string) {
		t.Helper()
		for {
			a, body := post()
			if a.StatusCode != 200 {
				return a, body
			}
			if sent++; sent > 11+int(time.Since(begin).Seconds()) {
				t.Fatalf("%d events in %s are accepted, of 10 and 1 a second", sent, time.Since(begin))
			}
		}
	}
	if a, body := refused(capture); sent < 10 || a.StatusCode != 429 || a.Header.Get("Retry-After") != "1" || !strings.Contains(body, `"code":"events_per_second"`) {
		t.Errorf("beyond the rate, after %d events = %d %v %s", sent, a.StatusCode, a.Header, body)
	}
	imported := func() (*http.Response, string) { return s.header(t, "POST", "/api/projects/1/import/", line) }
	if a, body := refused(imported); a.StatusCode != 429 || a.Header.Get("Retry-After") == "" {
		t.Errorf("import beyond the rate = %d %s", a.StatusCode, body)
	}
	set(fmt.Sprintf(`{"events_per_second":0,"events_per_month":%d}`, sent))
	if a, body := capture(); a.StatusCode != 200 || body != `{"quota_limited":["events"],"status":"Ok"}` {
		t.Errorf("beyond the month = %d %s", a.StatusCode, body)
	}
	if a, body := imported(); a.StatusCode != 402 || a.Header.Get("Retry-After") != "" {
		t.Errorf("import beyond the month = %d %v %s", a.StatusCode, a.Header, body)
	}
	status, body := s.do(t, "GET", "/api/projects/1/", "")
	if status != 200 || !strings.Contains(body, fmt.Sprintf(`"limits":{"events_per_month":%d}`, sent)) ||
		!strings.Contains(body, fmt.Sprintf(`"usage":{"events":%d,"month_events":%[1]d,"stored_bytes":0}`, sent)) {
		t.Errorf("project = %d %s", status, body)
	}
	set(`{"events_per_month":0}`)
	if a, body := capture(); a.StatusCode != 200 || body != `{"status":"Ok"}` {
		t.Errorf("without limits = %d %s", a.StatusCode, body)
	}
	s.do(t, "POST", "/api/projects/", `{"name":"Second"}`)
	if status, body := s.do(t, "PATCH", "/api/projects/2/", `{"limits":{"properties":1}}`); status != 200 {
		t.Fatal(status, body)
	}
	s.header(t, "POST", "/api/projects/2/import/", `{"type":"event","event":"p","distinct_id":"x","timestamp":"2026-01-01T00:00:00Z","properties":{"a":1}}`+"\n")
	s.header(t, "POST", "/api/projects/2/import/", `{"type":"event","event":"p","distinct_id":"x","timestamp":"2026-01-01T00:00:00Z","properties":{"a":2,"b":3}}`+"\n")
	if status, body := s.do(t, "POST", "/api/projects/2/query/", question("select sum(properties.a), count(properties.b) from events where event = 'p'")); status != 200 || !strings.HasPrefix(body, `{"results":[[3,0]]`) {
		t.Errorf("with one property allowed = %d %s", status, body)
	}
	for body, want := range map[string]int{`{"limits":{"events":1}}`: 400, `{"limits":{"events_per_second":-1}}`: 400, `{"name":""}`: 400, `{"name":"Shop","week_start_day":0}`: 200} {
		if status, got := s.do(t, "PATCH", "/api/projects/1/", body); status != want {
			t.Errorf("PATCH %s = %d %s", body, status, got)
		}
	}
	if _, body := s.do(t, "GET", "/metrics", ""); !strings.Contains(body, fmt.Sprintf(`prickle_ingest_requests_total{project="1",result="ok"} %d`, sent+1)) ||
		!strings.Contains(body, `prickle_ingest_events_total{project="1",result="limited"}`) {
		t.Errorf("metrics:\n%s", body)
	}
}

// smallDisk has as much room as a test wants.
type smallDisk struct {
	vfs.FS
	mu   sync.Mutex
	free uint64
}

func (d *smallDisk) Free(string) (uint64, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.free, nil
}

func (d *smallDisk) Total(string) (uint64, error) { return 10 << 30, nil }

// On a full disk events are refused and everything else goes on; it recovers by itself.
func TestDiskFullOverHTTP(t *testing.T) {
	disk := &smallDisk{FS: vfs.NewMem(), free: 9 << 30}
	s := startNodeOn(t, Config{}, cluster.Config{FS: disk, WatchDisk: true, Ballast: -1})
	key := s.backend.Projects()[0].Token
	state := func(free uint64) {
		disk.mu.Lock()
		disk.free = free
		disk.mu.Unlock()
		if _, err := s.node.FreeBallast(); err != nil { // it looks at the disk at once
			t.Fatal(err)
		}
	}
	capture := func() (*http.Response, string) {
		return s.header(t, "POST", "/capture/", fmt.Sprintf(`{"api_key":%q,"event":"hello","distinct_id":"me"}`, key))
	}
	state(500 << 20)
	if a, body := capture(); a.StatusCode != 503 || a.Header.Get("Retry-After") != "30" || !strings.Contains(body, `"code":"disk_full"`) {
		t.Errorf("capture on a full disk = %d %v %s", a.StatusCode, a.Header, body)
	}
	if status, body := s.do(t, "GET", "/readyz", ""); status != 503 || !strings.Contains(body, `"disk_full"`) {
		t.Errorf("/readyz on a full disk = %d %s", status, body)
	}
	if status, body := s.do(t, "GET", "/readyz?for=read", ""); status != 200 {
		t.Errorf("/readyz?for=read on a full disk = %d %s", status, body)
	}
	if status, body := s.do(t, "PATCH", "/api/projects/1/", `{"name":"Shop"}`); status != 200 {
		t.Errorf("a small write on a full disk = %d %s", status, body)
	}
	state(50 << 20)
	if a, body := s.header(t, "PATCH", "/api/projects/1/", `{"name":"Shop 2"}`); a.StatusCode != 503 || a.Header.Get("Retry-After") != "30" {
		t.Errorf("a small write on a disk without room = %d %s", a.StatusCode, body)
	}
	if status, body := s.do(t, "POST", queryPath, question("select count(*) from events")); status != 200 {
		t.Errorf("a query on a full disk = %d %s", status, body)
	}
	state(9 << 30)
	if a, body := capture(); a.StatusCode != 200 {
		t.Errorf("capture when there is room again = %d %s", a.StatusCode, body)
	}
}

// A query that would read too much is refused before it begins, with advice.
func TestTooMuch(t *testing.T) {
	s := startNodeWith(t, Config{MaxRows: 2})
	key := s.backend.Projects()[0].Token
	for i := range 3 {
		if status, body := s.do(t, "POST", "/capture/", fmt.Sprintf(`{"api_key":%q,"event":"e%d","distinct_id":"me","properties":{"p":%d}}`, key, i, i)); status != 200 {
			t.Fatal(status, body)
		}
	}
	status, body := s.do(t, "POST", queryPath, question("select sum(properties.p) from events"))
	if status != 400 || !strings.Contains(body, `"sqlstate":"54000"`) || !strings.Contains(body, `"hint":"Narrow`) {
		t.Errorf("a query of 3 rows = %d %s, want it refused", status, body)
	}
}
