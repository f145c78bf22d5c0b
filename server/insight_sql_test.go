package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/prickledb/prickle/server/ask"
	"github.com/prickledb/prickle/sql/ast"
	"github.com/prickledb/prickle/sql/insight"
	"github.com/prickledb/prickle/storage"
	"github.com/prickledb/prickle/storage/vec"
)

// TestInsightSQL answers the query of every case once more, from what its printed SQL gives
// over the PostgreSQL protocol: the answers are the same.
func TestInsightSQL(t *testing.T) {
	r := startNode(t)
	for _, file := range insightFiles {
		t.Run(file, func(t *testing.T) {
			for _, c := range readInsightCases(t, file) {
				t.Run(c.Name, func(t *testing.T) {
					t.Parallel()
					if c.Expect["error"] != nil {
						return // it compiles to no SQL
					}
					id := c.load(t, r)
					status, answer := c.ask(t, r, id)
					if status != 200 {
						t.Fatalf("%d %v", status, answer)
					}
					c.askSQL(t, r, uint32(id), answer["results"])
				})
			}
		})
	}
}

// askSQL answers the case's query by SQL text, and compares.
func (c *insightCase) askSQL(t *testing.T, r *running, id uint32, want any) {
	t.Helper()
	now, err := time.Parse(time.RFC3339Nano, c.Now)
	if err != nil {
		t.Fatal(err)
	}
	var project storage.Project
	for _, p := range r.backend.Projects() {
		if p.ID == id {
			project = p
		}
	}
	sess, err := r.open(t.Context(), opening{project: project, user: "prickle", now: &now})
	if err != nil {
		t.Fatal(err)
	}
	defer sess.Close()
	asker, err := ask.New(t.Context(), sess)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), "postgres://"+r.addr+"/"+project.Database+"?user=me")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	query := c.Query
	var head struct{ Kind string }
	if err := json.Unmarshal(c.Query, &head); err != nil {
		t.Fatal(err)
	}
	switch head.Kind {
	case "FunnelsActorsQuery", "InsightActorsQuery", "FunnelCorrelationActorsQuery":
		query, err = json.Marshal(map[string]any{"kind": "ActorsQuery", "source": c.Query, "select": []string{"actor"}, "limit": 1000})
		if err != nil {
			t.Fatal(err)
		}
	}
	runner := &wireRunner{Runner: asker, conn: conn}
	answer, err := insight.Ask(t.Context(), query, now, asker.Project(), runner)
	if err != nil {
		t.Fatalf("%v\nSQL: %s", err, runner.last)
	}
	raw, err := json.Marshal(answer.Results)
	if err != nil {
		t.Fatal(err)
	}
	var got any
	if err := json.Unmarshal(raw, &got); err != nil {
		t.Fatal(err)
	}
	if rows, ok := want.([]any); ok && head.Kind == "InsightActorsQuery" { // the case may list appearances, too
		for i := range rows {
			rows[i] = rows[i].([]any)[:1]
		}
	}
	if !reflect.DeepEqual(want, got) {
		t.Errorf("got %s\nwant %v\nSQL: %s", raw, want, answer.Statements())
	}
}

// wireRunner runs the text of statements over the PostgreSQL protocol.
type wireRunner struct {
	insight.Runner
	conn *pgx.Conn
	last string
}

var wireTypes = map[uint32]vec.Type{pgtype.BoolOID: vec.T(vec.Bool), pgtype.Int4OID: vec.T(vec.Int4), pgtype.Int8OID: vec.T(vec.Int8),
	pgtype.Float8OID: vec.T(vec.Float8), pgtype.TextOID: vec.T(vec.Text), pgtype.UUIDOID: vec.T(vec.UUID), pgtype.TimestamptzOID: vec.T(vec.TimestampTZ),
	pgtype.Int4ArrayOID: vec.ArrayOf(vec.Int4)}

// Run implements insight.Runner.
func (w *wireRunner) Run(ctx context.Context, q ast.Query) (*insight.Rows, error) {
	w.last = ast.Format(q)
	rows, err := w.conn.Query(ctx, w.last)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := &insight.Rows{}
	for rows.Next() {
		values, err := rows.Values()
		if err != nil {
			return nil, err
		}
		if err := w.add(out, rows, values); err != nil {
			return nil, err
		}
	}
	if out.Cols == nil {
		err = w.add(out, rows, nil)
	}
	return out, errors.Join(err, rows.Err())
}

// add appends a row; without values it only makes the columns.
func (w *wireRunner) add(out *insight.Rows, rows pgx.Rows, values []any) error {
	if out.Cols == nil {
		for _, f := range rows.FieldDescriptions() {
			t, ok := wireTypes[f.DataTypeOID]
			if !ok {
				return fmt.Errorf("column %s has the type %d", f.Name, f.DataTypeOID)
			}
			out.Schema = append(out.Schema, vec.Field{Name: f.Name, Type: t})
			out.Cols = append(out.Cols, vec.NewBuilder(t).V)
		}
	}
	if values == nil {
		return nil
	}
	out.N++
	for i, v := range values {
		b := vec.Builder{V: out.Cols[i]}
		switch v := v.(type) {
		case nil:
			b.AppendNull()
		case bool:
			b.V.Bools = append(b.V.Bools, v)
		case int32:
			b.V.I64 = append(b.V.I64, int64(v))
		case int64:
			b.V.I64 = append(b.V.I64, v)
		case float64:
			b.V.F64 = append(b.V.F64, v)
		case string:
			b.V.Str.AppendString(v)
		case time.Time:
			b.V.I64 = append(b.V.I64, v.UnixMicro())
		case [16]byte:
			b.V.UUIDs = append(b.V.UUIDs, v)
		case []any:
			if b.V.Elem == nil {
				b.V.Offs, b.V.Elem = []uint32{0}, &vec.Vector{Type: vec.T(vec.Int4)}
			}
			for _, x := range v {
				b.V.Elem.I64 = append(b.V.Elem.I64, int64(x.(int32)))
			}
			b.V.Offs = append(b.V.Offs, uint32(len(b.V.Elem.I64)))
		default:
			return fmt.Errorf("a value of the type %T", v)
		}
	}
	return nil
}
