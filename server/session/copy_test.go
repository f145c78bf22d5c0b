package session_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/prickledb/prickle/server/session"
	"github.com/prickledb/prickle/storage/blob"
	"github.com/prickledb/prickle/storage/outside"
)

func connectTo(t *testing.T, addr string) *pgx.Conn {
	t.Helper()
	c, err := pgx.Connect(t.Context(), "postgres://app@"+addr+"/prickle")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(context.Background()) })
	return c
}

// told is an error as the cases show it.
func told(err error) string {
	var e *pgconn.PgError
	if !errors.As(err, &e) {
		return err.Error() + "\n"
	}
	out := e.Code
	if e.Position > 0 {
		out += fmt.Sprintf(" at %d", e.Position)
	}
	out += ": " + e.Message
	for _, more := range []string{e.Detail, e.Hint, e.Where} {
		if more != "" {
			out += "\n  " + more
		}
	}
	return out + "\n"
}

// TestCopy runs the cases of testdata/copy: "file" makes a file in the directory that is allowed,
// or with link a symbolic link; "exec" is statements, and shows their rows; "from"
// is a COPY and behind it the rows that are sent, as quoted Go strings with quoted; "to" is a
// COPY and shows what comes.
func TestCopy(t *testing.T) {
	datadriven.Walk(t, "testdata/copy", func(t *testing.T, path string) {
		dir := t.TempDir()
		files, err := outside.Open([]string{dir}, blob.S3Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer files.Close()
		limits := session.Limits{Threads: 2, Files: files}
		if filepath.Base(path) == "nowhere" {
			limits.Files = nil
		}
		c := connectTo(t, serveLimited(t, limits, nil)).PgConn()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			var out strings.Builder
			switch d.Cmd {
			case "file":
				var name string
				d.ScanArgs(t, "name", &name)
				name = filepath.Join(dir, name)
				if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
					d.Fatalf(t, "%v", err)
				}
				if target := d.Input; d.HasArg("link") {
					if err := os.Symlink(target, name); err != nil {
						d.Fatalf(t, "%v", err)
					}
				} else if err := os.WriteFile(name, []byte(d.Input+"\n"), 0o644); err != nil {
					d.Fatalf(t, "%v", err)
				}
			case "exec":
				results, err := c.Exec(ctx, d.Input).ReadAll()
				for _, r := range results {
					for _, row := range r.Rows {
						cells := make([]string, len(row))
						for i, v := range row {
							if cells[i] = string(v); v == nil {
								cells[i] = "∅"
							}
						}
						out.WriteString(strings.Join(cells, " | ") + "\n")
					}
					if r.Err == nil && len(r.Rows) == 0 {
						out.WriteString(r.CommandTag.String() + "\n")
					}
				}
				if err != nil {
					out.WriteString(told(err))
				}
			case "from":
				statement, rows, _ := strings.Cut(d.Input+"\n", "\n")
				if d.HasArg("quoted") {
					var plain strings.Builder
					for line := range strings.Lines(rows) {
						s, err := strconv.Unquote(strings.TrimSpace(line))
						if err != nil {
							d.Fatalf(t, "%s: %v", line, err)
						}
						plain.WriteString(s)
					}
					rows = plain.String()
				}
				var in io.Reader = strings.NewReader(rows)
				if d.HasArg("bytewise") {
					in = iotest.OneByteReader(in)
				}
				if d.HasArg("fails") {
					in = io.MultiReader(in, iotest.ErrReader(errors.New("the disk of the client is broken")))
				}
				tag, err := c.CopyFrom(ctx, in, statement)
				if err != nil {
					return told(err)
				}
				out.WriteString(tag.String() + "\n")
			case "to":
				var rows bytes.Buffer
				tag, err := c.CopyTo(ctx, &rows, d.Input)
				if err != nil {
					return told(err)
				}
				if d.HasArg("quoted") {
					fmt.Fprintf(&out, "%q\n", rows.Bytes())
				} else {
					out.Write(rows.Bytes())
				}
				out.WriteString(tag.String() + "\n")
			default:
				d.Fatalf(t, "unknown command %s", d.Cmd)
			}
			return strings.ReplaceAll(out.String(), dir, "DIR")
		})
	})
}

// allTypes is a table with a column of every type that there is, and rows with what is hard to
// write down.
var allTypes = []string{
	`CREATE TABLE %s (k int, b bool, i2 smallint, i4 int, i8 bigint, f4 real, f8 float8, n numeric, n2 numeric(12,3), t text,
		v varchar(5), c char(3), y bytea, d date, tm time, ts timestamp, tz timestamptz, iv interval, u uuid, j jsonb, o oid, ai int[], at text[], an numeric[])`,
	`INSERT INTO %s VALUES
		(1, true, -32768, 2147483647, -9223372036854775808, 1.5, 1e-300, 12345678901234567890.123, 1.5, E'tab\tnew\nline "q" \\N \\. , é', 'ab', 'x', '\x00ff', '0001-01-01', '23:59:59.999999',
			'2026-01-02 03:04:05.000001', '1969-12-31 23:59:59+00', '1 year -2 days 00:00:00.5', 'f47ac10b-58cc-4372-a567-0e02b2c3d479', '{"a": [1, "x\ty", null]}', 26, '{1,NULL,-3}', '{"a b",NULL,"","NULL","\"\\"}', '{1.50,2}'),
		(2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
		(3, false, 0, 0, 0, '-Infinity', 'NaN', 'Infinity', 0, '', '', '', '', '9999-12-31', '00:00', '9999-12-31 00:00', '9999-12-31 00:00+00', '0', '00000000-0000-0000-0000-000000000000', '[null]', 0, '{}', '{}', '{-Infinity,NaN}'),
		(4, true, 1, 1, 1, 0.1, 0.1, -0.001, -999999999.999, '\.', 'äöüßé', 'äöü', 'text', '2026-11-29', '12:00', '2026-11-29', '2026-11-29', '-1 mon', 'f47ac10b-58cc-4372-a567-0e02b2c3d479', '"\\\""', 4294967295, '{2147483647}', '{\\.}', '{NULL}')`,
}

// Every value of every type survives every form.
func TestCopyRoundTrip(t *testing.T) {
	c := connectTo(t, serveStore(t))
	run := func(text string) {
		t.Helper()
		if _, err := c.Exec(t.Context(), text, pgx.QueryExecModeSimpleProtocol); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
	for _, text := range allTypes {
		run(fmt.Sprintf(text, "source"))
	}
	times := 3000
	if testing.Short() {
		times = 300
	}
	run(fmt.Sprintf("INSERT INTO source SELECT 4 * g + k, %s FROM source, generate_series(1, %d) g", allColumns[len("k, "):], times))
	copied := fmt.Sprintf("COPY %d", 4+4*times)
	for i, options := range roundTrips {
		into := fmt.Sprintf("t%d", i)
		run(fmt.Sprintf(allTypes[0], into))
		var rows bytes.Buffer
		out, err := c.PgConn().CopyTo(t.Context(), &rows, "COPY source TO STDOUT "+options)
		if err != nil || out.String() != copied {
			t.Errorf("COPY TO %s: %s, %v", options, out, err)
			continue
		}
		in, err := c.PgConn().CopyFrom(t.Context(), &rows, "COPY "+into+" FROM STDIN "+options)
		if err != nil || in.String() != copied {
			t.Errorf("COPY FROM %s: %s, %v", options, in, err)
			continue
		}
		var differ int
		text := strings.ReplaceAll(`SELECT count(*) FROM (SELECT $ FROM source EXCEPT SELECT $ FROM `+into+`) x`, "$", textColumns)
		if err := c.QueryRow(t.Context(), text).Scan(&differ); err != nil || differ != 0 {
			t.Errorf("%s: %d rows came back other than they were, %v", options, differ, err)
		}
	}
}

const allColumns = "k, b, i2, i4, i8, f4, f8, n, n2, t, v, c, y, d, tm, ts, tz, iv, u, j, o, ai, at, an"

// textColumns are all columns as text, so that 1.50 differs from 1.5.
var textColumns = strings.ReplaceAll(allColumns, ",", "::text,") + "::text"

var roundTrips = []string{"", "(DELIMITER '|', NULL 'nothing')", "(FORMAT csv)", "(FORMAT csv, HEADER, DELIMITER ';', QUOTE '''', ESCAPE '\\')", "(FORMAT binary)", "(FORMAT jsonl)", "(FORMAT parquet)", "(FORMAT arrow)"}

// A driver's own ways of loading work.
func TestDriversCopy(t *testing.T) {
	addr := serveStore(t)
	c := connectTo(t, addr)
	if _, err := c.Exec(t.Context(), "CREATE TABLE t (a bigint, b text, p numeric, ts timestamptz, j jsonb, l text[])"); err != nil {
		t.Fatal(err)
	}
	var rows [][]any
	for i := range 10_000 {
		rows = append(rows, []any{int64(i), fmt.Sprint("row ", i), fmt.Sprint(i) + ".25", time.UnixMilli(int64(i)), map[string]int{"n": i}, []string{"x", "y z"}})
	}
	n, err := c.CopyFrom(t.Context(), pgx.Identifier{"t"}, []string{"a", "b", "p", "ts", "j", "l"}, pgx.CopyFromRows(rows))
	if n != 10_000 || err != nil {
		t.Fatalf("CopyFrom = %d, %v", n, err)
	}
	var sum int64
	var last string
	if err := c.QueryRow(t.Context(), `SELECT sum((j->>'n')::int), max(p::text || l[2]) FROM t WHERE b = 'row ' || a`).Scan(&sum, &last); err != nil || sum != 49_995_000 || last != "9999.25y z" {
		t.Errorf("sum = %d, last = %s, %v", sum, last, err)
	}
	if _, err := c.CopyFrom(t.Context(), pgx.Identifier{"t"}, []string{"a", "b"}, pgx.CopyFromSlice(10, func(i int) ([]any, error) {
		if i == 7 {
			return nil, errors.New("no more")
		}
		return []any{int64(i), "half"}, nil
	})); err == nil || !strings.Contains(err.Error(), "no more") {
		t.Errorf("CopyFrom of a source that fails = %v", err)
	}
	if err := c.QueryRow(t.Context(), `SELECT count(*) FROM t WHERE b = 'half'`).Scan(&sum); err != nil || sum != 0 {
		t.Errorf("a COPY that failed left %d rows, %v", sum, err)
	}
	host, port, _ := strings.Cut(addr, ":")
	t.Run("psycopg2", func(t *testing.T) {
		script := `
import io, sys, psycopg2
c = psycopg2.connect(host=sys.argv[1], port=sys.argv[2], dbname="prickle", user="app")
k = c.cursor()
k.execute("CREATE TABLE py (a int, b text)")
k.copy_from(io.StringIO("1\tx\n2\t\\N\n"), "py", columns=("a", "b"))
k.copy_expert("COPY py FROM STDIN WITH CSV HEADER", io.StringIO("a,b\n3,\"y, z\"\n"))
c.commit()
out = io.StringIO()
k.copy_expert("COPY (SELECT * FROM py ORDER BY a) TO STDOUT WITH CSV HEADER", out)
print(out.getvalue(), end="")
try:
    k.copy_expert("COPY py FROM STDIN WITH CSV", io.StringIO("4,a\nfour,b\n"))
except psycopg2.Error as e:
    print(e.pgcode, e.diag.context)
c.rollback()
k.execute("SELECT count(*) FROM py")
print(k.fetchone()[0])
`
		python := "/usr/bin/python3" // the one that packages of the system belong to
		if exec.CommandContext(t.Context(), python, "-c", "import psycopg2").Run() != nil {
			t.Skip("psycopg2 is not installed")
		}
		out, err := exec.CommandContext(t.Context(), python, "-c", script, host, port).CombinedOutput()
		want := "a,b\n1,x\n2,\n3,\"y, z\"\n22P02 COPY py, line 2, column a: \"four\"\n3\n"
		if err != nil || string(out) != want {
			t.Errorf("psycopg2 printed %q, %v\nwant %q", out, err, want)
		}
	})
}

// endless is rows without an end, a few every millisecond.
type endless struct {
	begun chan bool // closed after some
	n     int
	over  atomic.Bool
}

func (e *endless) Read(p []byte) (int, error) {
	if e.n++; e.n == 20 {
		close(e.begun)
	}
	if e.over.Load() {
		return 0, errors.New("over")
	}
	time.Sleep(time.Millisecond)
	return copy(p, "1\n2\n3\n"), nil
}

// A client that goes, a cancel and a timeout end a COPY that waits for rows, and nothing of it
// stays.
func TestCopyEnds(t *testing.T) {
	addr := serveStore(t)
	c := connectTo(t, addr)
	if _, err := c.Exec(t.Context(), "CREATE TABLE t (a int)"); err != nil {
		t.Fatal(err)
	}
	begin := func(t *testing.T, settings string) (*pgx.Conn, *endless, chan error) {
		other := connectTo(t, addr)
		if _, err := other.Exec(t.Context(), settings, pgx.QueryExecModeSimpleProtocol); err != nil {
			t.Fatal(err)
		}
		rows := &endless{begun: make(chan bool)}
		done := make(chan error, 1)
		go func() {
			_, err := other.PgConn().CopyFrom(context.Background(), rows, "COPY t FROM STDIN")
			done <- err
		}()
		select {
		case <-rows.begun:
		case err := <-done: // it was faster
			done <- err
		}
		return other, rows, done
	}
	code := func(err error) string {
		var e *pgconn.PgError
		if errors.As(err, &e) {
			return e.Code
		}
		return fmt.Sprint(err)
	}
	t.Run("timeout", func(t *testing.T) {
		_, _, done := begin(t, "SET statement_timeout = '50ms'")
		if err := <-done; code(err) != "57014" {
			t.Errorf("COPY ended with %v", err)
		}
	})
	t.Run("cancel", func(t *testing.T) {
		other, _, done := begin(t, "")
		if err := other.PgConn().CancelRequest(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := <-done; code(err) != "57014" {
			t.Errorf("COPY ended with %v", err)
		}
		var one int
		if err := other.QueryRow(t.Context(), "SELECT 1").Scan(&one); err != nil {
			t.Errorf("the connection after it: %v", err)
		}
	})
	t.Run("gone", func(t *testing.T) {
		other, rows, done := begin(t, "")
		rows.over.Store(true)
		other.PgConn().Conn().Close()
		if err := <-done; err == nil {
			t.Error("COPY on a closed connection succeeded")
		}
	})
	var n int
	if err := c.QueryRow(t.Context(), "SELECT count(*) FROM t").Scan(&n); err != nil || n != 0 {
		t.Errorf("%d rows are left, %v", n, err)
	}
}
