package pgwire

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/server/session"
	"github.com/prickledb/prickle/server/session/sessiontest"
)

// testServer serves sessiontest.Engine on a loopback port.
type testServer struct {
	*Server
	addr   string
	engine *sessiontest.Engine
	end    context.CancelFunc
	wait   *sync.WaitGroup
}

func serve(t testing.TB) *testServer { return serveWith(t, nil) }

// serveWith is serve, with more set up before the first connection.
func serveWith(t testing.TB, setup func(*Server)) *testServer {
	t.Helper()
	engine, sessions := &sessiontest.Engine{}, &session.Sessions{}
	s := &Server{Logger: slog.New(slog.NewTextHandler(io.Discard, nil)), MaxMessage: 1 << 20}
	if setup != nil {
		setup(s)
	}
	s.Open = func(ctx context.Context, l Login) (*session.Session, error) {
		if l.Database != "prickle" {
			return nil, fatal(pgerr.UndefinedDatabase, "database %q does not exist", l.Database)
		}
		start := map[string]string{"TimeZone": "UTC"}
		for k, v := range l.Settings {
			if strings.EqualFold(k, "timezone") {
				delete(start, "TimeZone")
			}
			start[k] = v
		}
		sess, err := session.New(ctx, session.Config{Engine: engine, Project: 1, Database: l.Database, User: l.User, Start: start, Logger: s.Logger,
			Sessions: sessions, Remote: l.Remote, TLS: l.TLS})
		if err != nil {
			e := *pgerr.From(err)
			e.Severity = "FATAL"
			return nil, &e
		}
		return sess, nil
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wait sync.WaitGroup
	wait.Go(func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			wait.Go(func() { s.Serve(ctx, nc) })
		}
	})
	t.Cleanup(func() {
		cancel()
		ln.Close()
		wait.Wait()
		if n := engine.Pins.Load(); n != 0 {
			t.Errorf("%d snapshots were not released", n)
		}
		if n := engine.Running.Load(); n != 0 {
			t.Errorf("%d answers were not closed", n)
		}
	})
	return &testServer{Server: s, addr: ln.Addr().String(), engine: engine, end: cancel, wait: &wait}
}

func (s *testServer) connect(t testing.TB, extra string) *pgx.Conn {
	t.Helper()
	c, err := pgx.Connect(t.Context(), "postgres://app@"+s.addr+"/prickle?sslmode=prefer"+extra)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(context.Background()) })
	return c
}

func code(err error) string {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return e.Code
	}
	return fmt.Sprint(err)
}

func TestNumbers(t *testing.T) {
	s := serve(t)
	for _, mode := range []string{"simple_protocol", "cache_statement", "cache_describe", "describe_exec", "exec"} {
		c := s.connect(t, "&default_query_exec_mode="+mode)
		rows, err := c.Query(t.Context(), "select n from numbers")
		if err != nil {
			t.Fatal(mode, err)
		}
		ns, err := pgx.CollectRows(rows, pgx.RowTo[int64])
		if err != nil || len(ns) != 20_000 || ns[19_999] != 20_000 {
			t.Errorf("%s: numbers = %d rows, %v; want 20000", mode, len(ns), err)
		}
		if tag := rows.CommandTag().String(); tag != "SELECT 20000" {
			t.Errorf("%s: tag = %s", mode, tag)
		}
	}
}

// Every type comes out the same in text and in binary.
func TestResultFormats(t *testing.T) {
	s := serve(t)
	c := s.connect(t, "")
	want := map[string]string{
		"bool": "true", "int2": "-2", "int4": "-2147483648", "int8": "9223372036854775807", "float4": "1.5", "float8": "-0.1",
		"text": "grün", "varchar": "v", "name": "pg_catalog", "bytea": "[0 255]", "date": "2024-10-04 00:00:00 +0000 UTC",
		"timestamp": "2023-11-14 22:13:20.123456 +0000 UTC", "uuid": "[1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16]",
		"jsonb": "map[a:1]", "oid": "4000000000", "int4s": "[1 <nil> 3]", "texts": "[a b c]",
		"timestamptz": "2023-11-14 22:13:20 +0000 UTC",
	}
	for _, format := range []int16{pgx.TextFormatCode, pgx.BinaryFormatCode} {
		rows, err := c.Query(t.Context(), "select * from types", pgx.QueryResultFormats{format})
		if err != nil {
			t.Fatal(err)
		}
		if !rows.Next() {
			t.Fatal("no row", rows.Err())
		}
		values, err := rows.Values()
		if err != nil {
			t.Fatal(format, err)
		}
		for i, f := range rows.FieldDescriptions() {
			got := fmt.Sprint(values[i])
			switch v := values[i].(type) {
			case time.Time:
				got = v.UTC().String()
			case pgtype.Numeric:
				if text, _ := v.Value(); text != "12345678.90050" {
					t.Errorf("format %d: numeric = %v, want 12345678.90050", format, text)
				}
				continue
			case pgtype.Interval:
				if v.Months != 14 || v.Days != 3 || v.Microseconds != 4_000_000 {
					t.Errorf("format %d: interval = %v", format, v)
				}
				continue
			case pgtype.Time:
				if v.Microseconds != 3_723_000_001 {
					t.Errorf("format %d: time = %v", format, v)
				}
				continue
			}
			if w, ok := want[f.Name]; !ok || got != w {
				t.Errorf("format %d: %s = %s, want %s", format, f.Name, got, w)
			}
		}
		if !rows.Next() {
			t.Fatal("no second row")
		}
		for i, raw := range rows.RawValues() {
			if raw != nil {
				t.Errorf("format %d: column %d of the row of nulls = %q", format, i, raw)
			}
		}
		rows.Close()
		if rows.Err() != nil {
			t.Error(rows.Err())
		}
	}
}

// The fields of a row as a value have their own types in the binary format, as in PostgreSQL 15.
func TestRecordFields(t *testing.T) {
	c := serve(t).connect(t, "")
	for query, want := range map[string]string{
		"select row(1::int, 2.5::numeric, 'a'::text, null::int, 3::bigint, true, '2024-01-01'::date, array[1,2], row(1::int2, 'x'::varchar))": "00000009" +
			"000000170000000400000001" + "000006a40000000c000200000000000100021388" + "000000190000000161" + "00000017ffffffff" +
			"00000014000000080000000000000003" + "000000100000000101" + "0000043a000000040000223e" +
			"000003ef00000024000000010000000000000017000000020000000100000004000000010000000400000002" +
			"000008c9000000170000000200000015000000020001000004130000000178",
		"select t from (values (1, 2.5)) t": "00000002" + "000000170000000400000001" + "000006a40000000c000200000000000100021388",
	} {
		var raw []byte
		rows, err := c.Query(t.Context(), query, pgx.QueryResultFormats{pgx.BinaryFormatCode})
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			raw = rows.RawValues()[0]
		}
		if got := hex.EncodeToString(raw); rows.Err() != nil || got != want {
			t.Errorf("%s = %s, %v, want %s", query, got, rows.Err(), want)
		}
	}
}

// Parameters of every type come back as they were sent, in text and in binary.
func TestParameters(t *testing.T) {
	s := serve(t)
	at := time.Date(2026, 2, 3, 4, 5, 6, 7000, time.UTC)
	for _, c := range []struct {
		typ  string
		send any
		want string
	}{
		{"bool", true, "true"}, {"int2", int16(-7), "-7"}, {"int4", int32(70000), "70000"}, {"int8", int64(-1), "-1"},
		{"float4", float32(2.5), "2.5"}, {"float8", 1e300, "1e+300"}, {"text", "añ'b", "añ'b"}, {"varchar", "x", "x"},
		{"bytea", []byte{0, 1, 255}, "[0 1 255]"}, {"timestamptz", at, "2026-02-03 04:05:06.000007 +0000 UTC"},
		{"timestamp", at, "2026-02-03 04:05:06.000007 +0000 UTC"}, {"date", at, "2026-02-03 00:00:00 +0000 UTC"},
		{"uuid", "0189f7a0-0000-7000-8000-000000000001", "0189f7a0-0000-7000-8000-000000000001"},
		{"jsonb", json.RawMessage(`{"b": 1}`), "map[b:1]"}, {"numeric", pgNumeric("-1234567.0890"), "-1234567.0890"},
		{"numeric", pgNumeric("0.00001"), "0.00001"}, {"numeric", pgNumeric("120000"), "120000"}, {"numeric", pgNumeric("0"), "0"},
		{"int4[]", []int32{1, 2, 3}, "[1 2 3]"}, {"text[]", []string{"a", `b"\,`}, `[a b"\,]`}, {"int8[]", []int64{}, "[]"},
		{"text", nil, "<nil>"}, {"int8", nil, "<nil>"},
	} {
		for _, mode := range []string{"cache_statement", "exec"} {
			conn := s.connect(t, "&default_query_exec_mode="+mode)
			rows, err := conn.Query(t.Context(), "select $1::"+c.typ+" from echo", c.send)
			if err != nil {
				t.Errorf("%s %s: %v", mode, c.typ, err)
				continue
			}
			for rows.Next() {
				values, err := rows.Values()
				if err != nil {
					t.Errorf("%s %s: %v", mode, c.typ, err)
					continue
				}
				got := fmt.Sprint(values[0])
				switch v := values[0].(type) {
				case time.Time:
					got = v.UTC().String()
				case [16]byte:
					u, _ := pgtype.UUID{Bytes: v, Valid: true}.Value()
					got = fmt.Sprint(u)
				case pgtype.Numeric:
					text, _ := v.Value()
					got = fmt.Sprint(text)
				}
				if got != c.want {
					t.Errorf("%s: %s of %v = %s, want %s", mode, c.typ, c.send, got, c.want)
				}
			}
			if err := rows.Err(); err != nil {
				t.Errorf("%s %s: %v", mode, c.typ, err)
			}
			conn.Close(t.Context())
		}
	}
}

func pgNumeric(s string) pgtype.Numeric {
	var n pgtype.Numeric
	if err := n.Scan(s); err != nil {
		panic(err)
	}
	return n
}

func TestBatch(t *testing.T) {
	s := serve(t)
	c := s.connect(t, "")
	b := &pgx.Batch{}
	for range 50 {
		b.Queue("select n from one")
	}
	b.Queue("select n from nowhere")
	b.Queue("select n from one")
	r := c.SendBatch(t.Context(), b)
	if err := r.Close(); code(err) != "42P01" {
		t.Errorf("batch with an unknown table: %v", err)
	}
	b = &pgx.Batch{}
	for i := range 50 {
		b.Queue("select $1::int4 from echo", i)
	}
	r = c.SendBatch(t.Context(), b)
	for i := range 50 {
		var n int
		if err := r.QueryRow().Scan(&n); err != nil || n != i {
			t.Fatalf("answer %d of the batch = %d, %v", i, n, err)
		}
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

func TestErrorPosition(t *testing.T) {
	s := serve(t)
	for _, mode := range []string{"simple_protocol", "cache_statement"} {
		c := s.connect(t, "&default_query_exec_mode="+mode)
		_, err := c.Exec(t.Context(), "select 'grün', n from nowhere")
		var e *pgconn.PgError
		if !errors.As(err, &e) || e.Code != "42P01" || e.Position != 23 || e.Message != `relation "nowhere" does not exist` {
			t.Errorf("%s: %#v", mode, err)
		}
		if _, err := c.Exec(t.Context(), "select n from one"); err != nil {
			t.Errorf("%s: after an error: %v", mode, err)
		}
		_, err = c.Exec(t.Context(), "select from from")
		if code(err) != "42601" {
			t.Errorf("%s: syntax error = %v", mode, err)
		}
		if _, err = c.Exec(t.Context(), "select n from panics"); code(err) != "XX000" {
			t.Errorf("%s: a panic = %v", mode, err)
		}
		if _, err := c.Exec(t.Context(), "select n from one"); err != nil {
			t.Errorf("%s: after a panic: %v", mode, err)
		}
	}
}

func TestCancel(t *testing.T) {
	s := serve(t)
	for _, table := range []string{"slow", "endless"} {
		c := s.connect(t, "")
		go func() { // a request that comes before the statement would hit nothing
			for s.engine.Running.Load() == 0 {
				time.Sleep(time.Millisecond)
			}
			c.PgConn().CancelRequest(context.Background())
		}()
		_, err := c.Exec(t.Context(), "select n from "+table)
		if code(err) != "57014" { // by themselves they never end
			t.Errorf("%s: %v, want 57014", table, err)
		}
		// A late request hits nothing.
		if err := c.PgConn().CancelRequest(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Exec(t.Context(), "select n from one"); err != nil {
			t.Errorf("%s: after the cancel: %v", table, err)
		}
	}
}

func TestStatementTimeout(t *testing.T) {
	s := serve(t)
	c := s.connect(t, "&statement_timeout=50")
	if _, err := c.Exec(t.Context(), "select n from slow"); code(err) != "57014" || !strings.Contains(err.Error(), "statement timeout") {
		t.Errorf("slow = %v, want a timeout", err)
	}
}

func TestIdleInTransaction(t *testing.T) {
	s := serve(t)
	c := s.connect(t, "&idle_in_transaction_session_timeout=30")
	time.Sleep(60 * time.Millisecond) // outside a block there is no limit
	if _, err := c.Exec(t.Context(), "begin"); err != nil {
		t.Fatal(err)
	}
	m, err := c.PgConn().Frontend().Receive()
	if e, ok := m.(*pgproto3.ErrorResponse); !ok || e.Code != "25P03" || e.Severity != "FATAL" {
		t.Errorf("an idle block ends with %#v, %v", m, err)
	}
}

// A client that is gone ends its statement.
func TestVanishedClient(t *testing.T) {
	s := serve(t)
	c := s.connect(t, "")
	done := make(chan struct{})
	go func() { c.Exec(context.Background(), "select n from slow"); close(done) }()
	for s.engine.Running.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	c.PgConn().Conn().Close()
	<-done
	for deadline := time.Now().Add(time.Minute); s.engine.Running.Load() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the statement of a vanished client still runs")
		}
	}
}

func TestPortals(t *testing.T) {
	s := serve(t)
	c := s.connect(t, "")
	f := c.PgConn().Frontend()
	query := func(msgs ...pgproto3.FrontendMessage) string {
		t.Helper()
		for _, m := range msgs {
			f.Send(m)
		}
		f.Send(&pgproto3.Flush{})
		if err := f.Flush(); err != nil {
			t.Fatal(err)
		}
		var out []string
		rows := 0
		for {
			m, err := f.Receive()
			if err != nil {
				t.Fatal(err)
			}
			switch m := m.(type) {
			case *pgproto3.DataRow:
				rows++
				continue
			case *pgproto3.PortalSuspended:
				out = append(out, fmt.Sprintf("%d rows, suspended", rows))
				return strings.Join(out, "; ")
			case *pgproto3.CommandComplete:
				out = append(out, fmt.Sprintf("%d rows, %s", rows, m.CommandTag))
				return strings.Join(out, "; ")
			case *pgproto3.ErrorResponse:
				return m.Code
			}
		}
	}
	sync := func(want byte) {
		t.Helper()
		f.Send(&pgproto3.Sync{})
		f.Flush()
		for {
			m, err := f.Receive()
			if err != nil {
				t.Fatal(err)
			}
			if r, ok := m.(*pgproto3.ReadyForQuery); ok {
				if r.TxStatus != want {
					t.Errorf("state = %c, want %c", r.TxStatus, want)
				}
				return
			}
		}
	}
	check := func(got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if _, err := c.Exec(t.Context(), "begin"); err != nil {
		t.Fatal(err)
	}
	parse := &pgproto3.Parse{Name: "s", Query: "select n from numbers"}
	// Two portals of one statement are read in turn.
	check(query(parse, &pgproto3.Bind{DestinationPortal: "a", PreparedStatement: "s"},
		&pgproto3.Execute{Portal: "a", MaxRows: 7}), "7 rows, suspended")
	check(query(&pgproto3.Bind{DestinationPortal: "b", PreparedStatement: "s"},
		&pgproto3.Execute{Portal: "b", MaxRows: 6000}), "6000 rows, suspended")
	check(query(&pgproto3.Execute{Portal: "a", MaxRows: 13}), "13 rows, suspended")
	sync('T')
	check(query(&pgproto3.Execute{Portal: "a"}), "19980 rows, SELECT 19980")
	check(query(&pgproto3.Execute{Portal: "b", MaxRows: 14_000}), "14000 rows, suspended")
	check(query(&pgproto3.Execute{Portal: "b", MaxRows: 1}), "0 rows, SELECT 0")
	if n := s.engine.Running.Load(); n != 0 {
		t.Errorf("%d answers are still open at their end", n)
	}
	check(query(&pgproto3.Bind{DestinationPortal: "a", PreparedStatement: "s"}), "42P03")
	sync('E')
	check(query(&pgproto3.Bind{DestinationPortal: "z", PreparedStatement: "s"}), "25P02")
	sync('E')
	if _, err := c.Exec(t.Context(), "rollback"); err != nil {
		t.Fatal(err)
	}
	// Outside a block a portal dies at Sync.
	check(query(&pgproto3.Bind{DestinationPortal: "c", PreparedStatement: "s"}, &pgproto3.Execute{Portal: "c", MaxRows: 1}), "1 rows, suspended")
	sync('I')
	check(query(&pgproto3.Execute{Portal: "c"}), "34000")
	sync('I')
	check(query(&pgproto3.Parse{Name: "s", Query: "select n from one"}), "42P05")
	sync('I')
	check(query(&pgproto3.Parse{Query: "select n from one; select n from one"}), "42601")
	sync('I')
}

func TestTransactionStates(t *testing.T) {
	s := serve(t)
	c := s.connect(t, "&default_query_exec_mode=simple_protocol")
	steps := []struct{ sql, code, state string }{
		{"begin", "", "T"}, {"select n from one", "", "T"}, {"select n from nowhere", "42P01", "E"},
		{"select n from one", "25P02", "E"}, {"commit", "", "I"},
		{"begin; select n from one; savepoint a; select n from nowhere", "42P01", "E"}, {"rollback to a", "", "T"},
		{"select n from one", "", "T"}, {"commit", "", "I"},
		{"begin isolation level repeatable read", "", "T"}, {"select n from one", "", "T"}, {"select n from one", "", "T"}, {"commit", "", "I"},
		{"select n from one; select n from nowhere; begin", "42P01", "I"},
		{"commit", "", "I"}, {"savepoint x", "25P01", "I"}, {"", "", "I"}, {"-- ping", "", "I"}, {";", "", "I"},
		{"set statement_timeout = '2s'; begin; set statement_timeout = '9s'; rollback", "", "I"},
	}
	for _, step := range steps {
		_, err := c.Exec(t.Context(), step.sql)
		got := ""
		if err != nil {
			got = code(err)
		}
		if state := string(c.PgConn().TxStatus()); got != step.code || state != step.state {
			t.Errorf("%q: error %q in state %s, want %q in %s", step.sql, got, state, step.code, step.state)
		}
	}
}

func TestSettings(t *testing.T) {
	s := serve(t)
	c := s.connect(t, "&application_name=me&TimeZone=Europe/Berlin&default_query_exec_mode=simple_protocol&options=-c%20extra_float_digits%3D3")
	show := func(name string) string {
		var v string
		if err := c.QueryRow(t.Context(), "show "+name).Scan(&v); err != nil {
			return code(err)
		}
		return v
	}
	for name, want := range map[string]string{"application_name": "me", "timezone": "Europe/Berlin", "extra_float_digits": "3",
		"server_version": session.ServerVersion, "server_version_num": "150000", "nonsense": "42704"} {
		if got := show(name); got != want {
			t.Errorf("show %s = %q, want %q", name, got, want)
		}
	}
	for _, name := range []string{"application_name", "client_encoding", "DateStyle", "default_transaction_read_only", "in_hot_standby",
		"integer_datetimes", "IntervalStyle", "is_superuser", "server_encoding", "server_version", "session_authorization",
		"standard_conforming_strings", "TimeZone"} {
		if c.PgConn().ParameterStatus(name) == "" {
			t.Errorf("no ParameterStatus for %s", name)
		}
	}
	exec := func(sql string) {
		t.Helper()
		if _, err := c.Exec(t.Context(), sql); err != nil {
			t.Fatal(sql, err)
		}
	}
	status := func(want string) {
		t.Helper()
		if got := c.PgConn().ParameterStatus("TimeZone"); got != want {
			t.Errorf("TimeZone is reported as %q, want %q", got, want)
		}
	}
	exec("set timezone = 'America/New_York'")
	status("America/New_York")
	exec("begin; set local timezone = 'UTC'")
	status("UTC")
	exec("rollback")
	status("America/New_York")
	exec("begin; set timezone = 'Asia/Tokyo'; commit")
	status("Asia/Tokyo")
	exec("reset all")
	status("Europe/Berlin")
}

func TestStartup(t *testing.T) {
	s := serve(t)
	for dsn, want := range map[string]string{
		"postgres://app@" + s.addr + "/nope":                  `database "nope" does not exist`,
		"postgres://app@" + s.addr + "/prickle?no_such=1":     "no_such",
		"postgres://app@" + s.addr + "/prickle?replication=1": "replication is not supported",
	} {
		c, err := pgx.Connect(t.Context(), dsn)
		if err == nil {
			c.Close(t.Context())
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", dsn, err, want)
		}
	}
}

// A client that does not read, and one that says nothing, keep nobody waiting.
func TestSlowClients(t *testing.T) {
	s := serve(t)
	silent, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	lazy := s.connect(t, "")
	f := lazy.PgConn().Frontend()
	f.Send(&pgproto3.Query{String: "select n from endless"})
	if err := f.Flush(); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		c := s.connect(t, "")
		if _, err := c.Exec(t.Context(), "select n from numbers"); err != nil {
			t.Fatal(err)
		}
		c.Close(t.Context())
	}
	lazy.PgConn().Conn().Close()
}

func TestDrain(t *testing.T) {
	s := serve(t)
	idle := s.connect(t, "")
	busy := s.connect(t, "")
	ended := make(chan error, 1)
	go func() {
		_, err := busy.Exec(context.Background(), "select n from slow")
		ended <- err
	}()
	for s.engine.Running.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	s.Drain()
	if _, err := idle.PgConn().Frontend().Receive(); err != nil {
		t.Fatal(err)
	}
	if _, err := idle.Exec(t.Context(), "select n from one"); err == nil {
		t.Error("an idle client is still served")
	}
	s.CancelAll(session.ErrShutdown)
	if err := <-ended; code(err) != "57P01" {
		t.Errorf("a running statement ended with %v, want 57P01", err)
	}
}

func TestMessageLimit(t *testing.T) {
	s := serve(t)
	c := s.connect(t, "")
	_, err := c.Exec(t.Context(), "select '"+strings.Repeat("x", 2<<20)+"'", pgx.QueryExecModeSimpleProtocol)
	if code(err) != "54000" {
		t.Errorf("a message of 2 MiB = %v, want 54000", err)
	}
}

func TestPsql(t *testing.T) {
	psql, err := exec.LookPath("psql")
	if err != nil {
		t.Skip("psql is not installed")
	}
	s := serve(t)
	run := func(args ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), psql, append([]string{"-X", "postgres://me@" + s.addr + "/prickle"}, args...)...)
		cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	out, err := run("-At", "-c", "select n from one", "-c", "begin", "-c", "show timezone", "-c", "select * from types")
	want := "1\nBEGIN\nUTC\nt|-2|-2147483648|9223372036854775807|1.5|-0.1|12345678.90050|grün|v|pg_catalog|\\x00ff|2024-10-04|01:02:03.000001|" +
		"2023-11-14 22:13:20.123456|2023-11-14 22:13:20+00|1 year 2 mons 3 days 00:00:04|01020304-0506-0708-090a-0b0c0d0e0f10|" +
		"{\"a\": 1}|4000000000|{1,NULL,3}|{a,\"b c\"}\n" + strings.Repeat("|", 20) + "\n"
	if err != nil || out != want {
		t.Errorf("psql = %v\n%s\nwant\n%s", err, out, want)
	}
	out, err = run("-c", "select nn from one")
	if err == nil || !strings.Contains(out, "ERROR:  column \"nn\" does not exist") || !strings.Contains(out, "LINE 1: select nn from one") {
		t.Errorf("psql = %v\n%s", err, out)
	}
	out, err = run("-At", "-c", "select n from one; select n from one")
	if err != nil || out != "1\n1\n" {
		t.Errorf("psql = %v\n%s", err, out)
	}
}
