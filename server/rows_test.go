package server

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/parquet-go/parquet-go"
)

// post sends a statement and reads the answer to its end.
func post(t *testing.T, s *running, path, body, accept string) (*http.Response, []byte) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "POST", "http://"+s.addr+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if accept != "" {
		r.Header.Set("Accept", accept)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	raw, err := io.ReadAll(answer.Body)
	if err != nil {
		return answer, []byte("broken off: " + err.Error())
	}
	return answer, raw
}

// A statement's rows come in the form that was asked for.
func TestStatementOverHTTP(t *testing.T) {
	s := startNode(t)
	const statement = "SELECT i AS n, 'x' || i AS s FROM generate_series(1, 3) i"
	for _, c := range []struct{ path, accept, body, kind, want string }{
		{"/query", "", statement, "application/json", `{"columns":[{"name":"n","type":"integer"},{"name":"s","type":"text"}],"rows":[[1,"x1"],[2,"x2"],[3,"x3"]]}` + "\n"},
		{"/query?format=csv", "", statement, "text/csv; charset=utf-8", "n,s\n1,x1\n2,x2\n3,x3\n"},
		{"/query?format=jsonl", "", statement, "application/x-ndjson", `{"n":1,"s":"x1"}` + "\n" + `{"n":2,"s":"x2"}` + "\n" + `{"n":3,"s":"x3"}` + "\n"},
		{"/query", "text/csv", "SELECT 1 AS a WHERE false", "text/csv; charset=utf-8", "a\n"},
		{"/query?p1=7&p2=x", "", "SELECT $1::int + 1 AS a, $2 AS b", "application/json", `{"columns":[{"name":"a","type":"integer"},{"name":"b","type":"text"}],"rows":[[8,"x"]]}` + "\n"},
		{"/query?set.TimeZone=Asia%2FTokyo&format=csv", "", "SHOW TimeZone", "text/csv; charset=utf-8", "TimeZone\nAsia/Tokyo\n"},
		{"/query?database=prickle&format=csv", "", "CREATE TABLE made (a int)", "text/csv; charset=utf-8", "\n"},
		{"/query", "", "COPY (SELECT 1, 2) TO STDOUT (DELIMITER '|')", "text/plain; charset=utf-8", "1|2\n"},
	} {
		answer, body := post(t, s, c.path, c.body, c.accept)
		if answer.StatusCode != 200 || answer.Header.Get("Content-Type") != c.kind || string(body) != c.want {
			t.Errorf("POST %s %q = %d %s %q, want %s %q", c.path, c.body, answer.StatusCode, answer.Header.Get("Content-Type"), body, c.kind, c.want)
		}
	}
	answer, _ := post(t, s, "/query", statement, "")
	if answer.Header.Get("X-Query-Id") == "" || answer.Trailer.Get("X-Rows") != "3" || answer.Trailer.Get("X-Elapsed-Ms") == "" {
		t.Errorf("header %v, trailer %v", answer.Header, answer.Trailer)
	}
	for _, c := range []struct {
		path, body string
		status     int
		want       string
	}{
		{"/query", "SELECT x", 400, `"sqlstate":"42703","position":8`},
		{"/query", "SELECT 1/0", 400, `"sqlstate":"22012"`},
		{"/query", "", 400, `must be a statement`},
		{"/query", "SELECT 1; SELECT 2", 400, `"sqlstate":"42601"`},
		{"/query?p1=1", "SELECT 1", 400, `the statement has 0 parameters, the request 1`},
		{"/query?p1=x", "SELECT $1::int", 400, `"sqlstate":"22P02"`},
		{"/query?format=xml", "SELECT 1", 400, `is none of json, jsonl, csv, arrow and parquet`},
		{"/query?database=other", "SELECT 1", 400, `"sqlstate":"3D000"`},
		{"/query?set.none=1", "SELECT 1", 400, `"sqlstate":"42704"`},
		{"/query", "COPY made FROM STDIN", 400, `"sqlstate":"0A000"`},
	} {
		answer, body := post(t, s, c.path, c.body, "")
		if answer.StatusCode != c.status || !strings.Contains(string(body), c.want) {
			t.Errorf("POST %s %q = %d %s, want %d and %s", c.path, c.body, answer.StatusCode, body, c.status, c.want)
		}
	}
	// An error behind the first rows breaks the answer off.
	if _, body := post(t, s, "/query?format=csv", "SELECT 1 / (i - 100000) FROM generate_series(1, 200000) i", ""); !strings.HasPrefix(string(body), "broken off") {
		t.Errorf("an answer that failed half way has %d bytes and looks whole", len(body))
	}
	if answer, _ := s.do(t, "DELETE", "/query/mine", ""); answer != 404 {
		t.Errorf("DELETE of a name that no query has = %d", answer)
	}
	if answer, _ := s.do(t, "DELETE", "/query/99", ""); answer != 404 {
		t.Errorf("DELETE of no query = %d", answer)
	}
}

// A client that names its query can end it before it has an answer.
func TestNamedStatementOverHTTP(t *testing.T) {
	s := startNode(t)
	type ended struct {
		status   int
		id, body string
	}
	answers := make(chan ended)
	go func() {
		r, err := http.NewRequest("POST", "http://"+s.addr+"/query", strings.NewReader("SELECT pg_sleep(600)"))
		if err != nil {
			t.Error(err)
		}
		r.Header.Set("X-Query-Id", "mine")
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Error(err)
			close(answers)
			return
		}
		defer answer.Body.Close()
		raw, _ := io.ReadAll(answer.Body) // what there is of it
		answers <- ended{answer.StatusCode, answer.Header.Get("X-Query-Id"), string(raw)}
	}()
	for {
		status, _ := s.do(t, "DELETE", "/query/mine", "")
		if status == 204 {
			break
		}
		if status != 404 {
			t.Fatalf("DELETE = %d", status)
		}
		time.Sleep(time.Millisecond)
	}
	if got := <-answers; got.status != 504 || got.id != "mine" || !strings.Contains(got.body, "57014") {
		t.Errorf("the query that was ended has the answer %+v", got)
	}
}

// A project is made and ended as a database.
func TestDatabasesInSQL(t *testing.T) {
	s := startNode(t)
	c := s.connect(t, "ann")
	for _, step := range []struct{ text, want string }{
		{"create database second", "CREATE DATABASE"},
		{"create database third with owner = ann encoding 'UTF8' template = template0 connection limit -1", "CREATE DATABASE"},
		{"create database second", "42P04"},
		{`create database "My Shop"`, "0A000"},
		{"create database other encoding 'LATIN1'", "0A000"},
		{"create database other tables 3", "42601"},
		{"drop database prickle", "55006"},
		{"drop database nope", "3D000"},
		{"drop database if exists nope", "DROP DATABASE"},
		{"begin; create database fourth", "25001"},
		{"rollback", "ROLLBACK"},
		{"drop database third", "DROP DATABASE"},
	} {
		results, err := c.PgConn().Exec(t.Context(), step.text).ReadAll()
		got := ""
		var client *pgconn.PgError
		if errors.As(err, &client) {
			got = client.Code
		} else if err == nil {
			got = results[len(results)-1].CommandTag.String()
		}
		if got != step.want {
			t.Errorf("%s = %q, %v, want %q", step.text, got, err, step.want)
		}
	}
	var names string
	if err := c.QueryRow(t.Context(), "SELECT string_agg(datname, ' ' ORDER BY datname) FROM pg_database").Scan(&names); err != nil || names != "prickle second template0 template1" {
		t.Errorf("pg_database has %q, %v", names, err)
	}
	d, err := pgx.Connect(t.Context(), "postgres://ann@"+s.addr+"/second")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close(context.Background())
	if got := rows(t, d, "select current_database(), (select count(*) from events)"); got != "second 0" {
		t.Errorf("in the new database: %s", got)
	}
	var client *pgconn.PgError
	if _, err := c.Exec(t.Context(), "drop database second"); !errors.As(err, &client) || client.Code != "55006" {
		t.Errorf("DROP DATABASE of one in use: %v", err)
	}
	// Where roles prove who they are, nobody from elsewhere ends what is theirs.
	if _, err := d.Exec(t.Context(), "create role boss superuser login password 'secret'"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Exec(t.Context(), "drop database second with (force)"); !errors.As(err, &client) || client.Code != "42501" {
		t.Errorf("DROP DATABASE of one with roles: %v", err)
	}
	if _, err := d.Exec(t.Context(), "drop role boss"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Exec(t.Context(), "drop database second with (force)"); err != nil {
		t.Errorf("DROP DATABASE WITH (FORCE): %v", err)
	}
	if _, err := d.Exec(t.Context(), "select 1"); err == nil {
		t.Error("a session in a database that is gone answers")
	}
	if n := len(s.backend.Projects()); n != 1 {
		t.Errorf("%d projects are left, want one", n)
	}
}

// Arrow and Parquet come by both doors, in many batches.
func TestColumnsOverHTTP(t *testing.T) {
	s := startNode(t)
	const statement = "SELECT i::bigint AS n, CASE WHEN i % 3 = 0 THEN NULL ELSE 'x' || i END AS s, ARRAY[i, NULL] AS l, i::numeric(10,2) AS p FROM generate_series(1, 20000) i"
	question := `{"query":{"kind":"SQLQuery","query":"` + strings.ReplaceAll(statement, "\n", " ") + `"}}`
	for _, c := range []struct{ path, body, accept string }{
		{"/query?format=arrow", statement, ""}, {"/query", statement, "application/vnd.apache.arrow.stream"},
		{"/api/projects/1/query/", question, "application/vnd.apache.arrow.stream"},
	} {
		answer, raw := post(t, s, c.path, c.body, c.accept)
		r, err := ipc.NewReader(bytes.NewReader(raw))
		if err != nil {
			t.Errorf("POST %s = %d %s: %v", c.path, answer.StatusCode, answer.Header.Get("Content-Type"), err)
			continue
		}
		rows, nulls := int64(0), 0
		last := ""
		for r.Next() {
			b := r.RecordBatch()
			rows += b.NumRows()
			nulls += b.Column(1).NullN()
			for i := range 4 {
				last = strings.TrimPrefix(last+" "+b.Column(i).ValueStr(int(b.NumRows())-1), " ")
				if i == 0 {
					last = b.Column(0).ValueStr(int(b.NumRows()) - 1)
				}
			}
		}
		if rows != 20000 || nulls != 6666 || last != "20000 x20000 [20000,null] 20000" || r.Err() != nil {
			t.Errorf("POST %s: %d rows, %d nulls, the last %q, %v", c.path, rows, nulls, last, r.Err())
		}
	}
	_, raw := post(t, s, "/query?"+url.Values{"format": {"parquet"}}.Encode(), statement, "")
	f, err := parquet.OpenFile(bytes.NewReader(raw), int64(len(raw)))
	if err != nil || f.NumRows() != 20000 {
		t.Errorf("a Parquet file of %d bytes: %v", len(raw), err)
	}
}
