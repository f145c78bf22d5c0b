package session_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// replayLeast is how many statements of each client are known to be answered as it needs
// them. It may only grow.
var replayLeast = map[string]int{
	"adbc": 7, "asyncpg": 14, "dbeaver": 73, "dbt-postgres": 31, "grafana": 13, "lib-pq": 14, "metabase": 26, "node-pg": 16, "npgsql": 11, "odbc": 45,
	"pgadmin": 9, "pgcli": 40, "pgx": 41, "postgres-js": 10, "powerbi": 10, "psql": 167, "psycopg2": 50, "psycopg3": 38, "superset": 11, "tableau": 17,
}

// recorded is a statement that a client sent to PostgreSQL, and what it needs for an answer.
type recorded struct {
	Session       int
	Purpose       string
	SQL           string `json:"sql"`
	Protocol      string // startup, simple, extended, or parse for a Parse without Execute
	Must          string // rows, any, or error-ok
	Params        []*string
	ParamTypes    []uint32 `json:"param_types"`
	ParamFormats  []int16  `json:"param_formats"`
	ResultFormats []int16  `json:"result_formats"`
	MaxRows       uint32   `json:"max_rows"`
	Columns       []string
	ColumnTypes   []uint32 `json:"column_types"`
}

// TestReplay sends what clients sent to PostgreSQL, and compares what they need: that there is no
// error, that there are rows, and the names and types of the columns. PRICKLE_CONFORMANCE is where
// the records are, and PRICKLE_CONFORMANCE_SHOW a word of the failures to print.
func TestReplay(t *testing.T) {
	dir := os.Getenv("PRICKLE_CONFORMANCE")
	if dir == "" {
		t.Skip("PRICKLE_CONFORMANCE is not set")
	}
	files, err := filepath.Glob(filepath.Join(dir, "wire", "*.jsonl"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no files in %s: %v", dir, err)
	}
	address := serveStore(t)
	dsn := "postgres://app:secret@" + address + "/prod?sslmode=disable"
	makeRole(t, "postgres://postgres@"+address+"/prod?sslmode=disable")
	loadFixture(t, dsn, filepath.Join(dir, "wire", "fixture.sql"))
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".jsonl")
		t.Run(name, func(t *testing.T) {
			r := &replayer{dsn: dsn, known: map[string]string{}}
			good, total := r.file(t, file)
			t.Logf("%d of %d", good, total)
			if least := replayLeast[name]; good < least {
				t.Errorf("%d statements are answered as they should be, want %d at least", good, least)
			}
		})
	}
}

// makeRole makes the role that the clients are.
func makeRole(t *testing.T, dsn string) {
	t.Helper()
	c, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(context.Background())
	if _, err := c.Exec(t.Context(), "CREATE ROLE app LOGIN SUPERUSER PASSWORD 'secret'"); err != nil {
		t.Fatal(err)
	}
}

// loadFixture runs the statements of a file, each ended by a semicolon at the end of a line.
func loadFixture(t *testing.T, dsn, file string) {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	c, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(context.Background())
	for _, s := range strings.Split(string(raw), ";\n") {
		if _, err := c.Exec(t.Context(), s, pgx.QueryExecModeSimpleProtocol); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

// replayer sends the statements of one client.
type replayer struct {
	dsn   string
	known map[string]string // object ids
}

var objectID = regexp.MustCompile(`\{oid:(\w+):([^}]+)\}`)

// objectQueries find the object ids that stand in statements as {oid:KIND:NAME}.
var objectQueries = map[string]string{
	"class": "SELECT '%s'::regclass::oid", "type": "SELECT '%s'::regtype::oid", "namespace": "SELECT oid FROM pg_namespace WHERE nspname = '%s'",
	"database": "SELECT oid FROM pg_database WHERE datname = '%s'", "role": "SELECT oid FROM pg_roles WHERE rolname = '%s'",
	"proc": "SELECT oid FROM pg_proc WHERE proname = '%s'", "constraint": "SELECT oid FROM pg_constraint WHERE conname = '%s'",
}

func (r *replayer) expand(t *testing.T, s string) string {
	return objectID.ReplaceAllStringFunc(s, func(m string) string {
		if id, ok := r.known[m]; ok {
			return id
		}
		id := "0" // there is no such object
		c, err := pgconn.Connect(t.Context(), r.dsn)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close(context.Background())
		parts := objectID.FindStringSubmatch(m)
		if res, err := c.Exec(t.Context(), fmt.Sprintf(objectQueries[parts[1]], parts[2])).ReadAll(); err == nil && len(res) > 0 && len(res[0].Rows) > 0 {
			id = string(res[0].Rows[0][0])
		}
		r.known[m] = id
		return id
	})
}

func (r *replayer) connect(t *testing.T) *pgconn.HijackedConn {
	t.Helper()
	c, err := pgconn.Connect(t.Context(), r.dsn)
	if err != nil {
		t.Fatal(err)
	}
	h, err := c.Hijack()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Conn.Close() })
	return h
}

func (r *replayer) file(t *testing.T, name string) (good, total int) {
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	in := bufio.NewScanner(f)
	in.Buffer(nil, 1<<24)
	var h *pgconn.HijackedConn
	session := 0
	show := os.Getenv("PRICKLE_CONFORMANCE_SHOW")
	for in.Scan() {
		var s recorded
		if err := json.Unmarshal(in.Bytes(), &s); err != nil {
			t.Fatal(err)
		}
		if s.Protocol == "startup" {
			continue
		}
		if h == nil || s.Session != session {
			h, session = r.connect(t), s.Session
		}
		total++
		why, lost := r.play(t, h, &s)
		if why == "" {
			good++
		} else if show != "" && strings.Contains(why+s.Purpose+s.SQL, show) {
			t.Logf("%s: %s\n\t%s", s.Purpose, why, s.SQL)
		}
		if lost {
			h = nil
		}
	}
	if err := in.Err(); err != nil {
		t.Fatal(err)
	}
	return good, total
}

// emptyCopy is a binary COPY without rows.
var emptyCopy = []byte("PGCOPY\n\xff\r\n\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff")

// play sends a statement and says what is wrong with the answer, and whether the connection is lost.
func (r *replayer) play(t *testing.T, h *pgconn.HijackedConn, s *recorded) (why string, lost bool) {
	f := h.Frontend
	h.Conn.SetDeadline(time.Now().Add(20 * time.Second))
	sql := strings.ReplaceAll(r.expand(t, s.SQL), "pg_sleep(3)", "pg_sleep(0.01)") // there are better things to do
	if s.Protocol == "simple" {
		f.Send(&pgproto3.Query{String: sql})
	} else {
		f.Send(&pgproto3.Parse{Query: sql, ParameterOIDs: s.ParamTypes})
		if s.Protocol == "parse" {
			f.Send(&pgproto3.Describe{ObjectType: 'S'})
		} else {
			b := &pgproto3.Bind{ParameterFormatCodes: s.ParamFormats, ResultFormatCodes: s.ResultFormats}
			for i := range s.Params {
				b.Parameters = append(b.Parameters, r.param(t, s, i))
			}
			f.Send(b)
			f.Send(&pgproto3.Describe{ObjectType: 'P'})
			f.Send(&pgproto3.Execute{MaxRows: s.MaxRows})
		}
		f.Send(&pgproto3.Sync{})
	}
	if err := f.Flush(); err != nil {
		return "connection lost: " + err.Error(), true
	}
	var failed, tag string
	var columns []string
	var types []uint32
	rows := 0
	for {
		m, err := f.Receive()
		if err != nil {
			return "connection lost: " + err.Error(), true
		}
		switch m := m.(type) {
		case *pgproto3.RowDescription:
			columns, types = nil, nil
			for _, c := range m.Fields {
				columns, types = append(columns, string(c.Name)), append(types, c.DataTypeOID)
			}
		case *pgproto3.DataRow:
			rows++
		case *pgproto3.CommandComplete:
			tag = string(m.CommandTag)
		case *pgproto3.ErrorResponse:
			failed = m.Code + " " + m.Message
		case *pgproto3.CopyInResponse:
			if m.OverallFormat == 1 {
				f.Send(&pgproto3.CopyData{Data: emptyCopy})
			}
			f.Send(&pgproto3.CopyDone{})
			if s.Protocol != "simple" {
				f.Send(&pgproto3.Sync{})
			}
			if err := f.Flush(); err != nil {
				return "connection lost: " + err.Error(), true
			}
		case *pgproto3.ReadyForQuery:
			return s.judge(failed, tag, rows, columns, types), false
		}
	}
}

// recordedDatabase is the number that the database had where the statements were recorded, in the
// bytes of a parameter.
const recordedDatabase = "0000000000004005"

func (r *replayer) param(t *testing.T, s *recorded, i int) []byte {
	p := s.Params[i]
	if p == nil {
		return nil
	}
	bytes := len(s.ParamFormats) == 1 && s.ParamFormats[0] == 1 || i < len(s.ParamFormats) && s.ParamFormats[i] == 1
	if digits, ok := strings.CutPrefix(*p, `\x`); ok && bytes {
		if digits == recordedDatabase {
			id, err := strconv.ParseUint(r.expand(t, "{oid:database:prod}"), 10, 32)
			if err != nil {
				t.Fatal(err)
			}
			return binary.BigEndian.AppendUint64(nil, id)
		}
		if b, err := hex.DecodeString(digits); err == nil {
			return b
		}
	}
	return []byte(r.expand(t, *p))
}

// firstUser is the first object id that is not PostgreSQL's own.
const firstUser = 16384

func (s *recorded) judge(failed, tag string, rows int, columns []string, types []uint32) string {
	switch {
	case s.Must == "error-ok":
		return ""
	case failed != "":
		return failed
	case s.Must == "rows" && rows == 0 && !strings.HasPrefix(tag, "COPY"):
		return "no rows"
	case s.Columns == nil || columns == nil:
		return ""
	case !slices.Equal(s.Columns, columns):
		return fmt.Sprintf("columns %q, want %q", columns, s.Columns)
	}
	for i, want := range s.ColumnTypes {
		if i < len(types) && want < firstUser && types[i] != want {
			return fmt.Sprintf("column %s has type %d, want %d", columns[i], types[i], want)
		}
	}
	return ""
}
