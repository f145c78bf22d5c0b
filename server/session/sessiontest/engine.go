package sessiontest

import (
	"context"
	"math"
	"sync/atomic"

	"github.com/prickledb/prickle/cluster"
	"github.com/prickledb/prickle/engine"
	"github.com/prickledb/prickle/engine/catalog"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/server/session"
	"github.com/prickledb/prickle/sql"
	"github.com/prickledb/prickle/storage"
	"github.com/prickledb/prickle/storage/event"
	"github.com/prickledb/prickle/storage/object"
	"github.com/prickledb/prickle/storage/outside"
	"github.com/prickledb/prickle/storage/table"
	"github.com/prickledb/prickle/storage/vec"
)

// Engine answers SELECT … FROM one of its tables, whatever the select list:
//
//	numbers  the integers from 1 to 20,000
//	endless  integers, for ever
//	slow     nothing, until the statement is cancelled
//	types    a row with a value of every type, and a row of nulls
//	panics   a panic
//	echo     the parameters, in the types they have in the select list ($1::type)
//	one      the row (1)
type Engine struct {
	Pins    atomic.Int64 // snapshots taken and not yet released
	Running atomic.Int64 // answers begun and not yet closed
	// Reads is what every query from a table says that it is going to read.
	Reads engine.Cost
}

type rows struct {
	engine *Engine
	table  string
	next   int64
	params []*vec.Vector
	closed bool
}

// Catalog implements session.Engine.
func (e *Engine) Catalog(project uint32, database string, _ session.Pin) *catalog.Catalog {
	c := &catalog.Catalog{Project: project, Database: database}
	for i, name := range []string{"numbers", "endless", "slow", "panics", "echo", "one"} {
		c.Tables = append(c.Tables, &catalog.Table{OID: 16400 + uint32(i), Name: name, Columns: []catalog.Column{{Name: "n", Type: vec.T(vec.Int8)}}})
	}
	t := &catalog.Table{OID: 16499, Name: "types"}
	for _, f := range Types().Schema {
		t.Columns = append(t.Columns, catalog.Column{Name: f.Name, Type: f.Type})
	}
	c.Tables = append(c.Tables, t)
	return c
}

// Tables implements session.Engine: there are none.
func (e *Engine) Tables(session.Pin) *table.Tables { return &table.Tables{} }

// Files implements session.Engine: there are none.
func (e *Engine) Files() *outside.Places { return nil }

// Overlay implements session.Engine.
func (e *Engine) Overlay(pin session.Pin, _ *storage.Commit, _ *table.Tables) (session.Pin, error) {
	return pin, nil
}

// Write implements session.Engine: nothing is kept.
func (e *Engine) Write(context.Context, uint32, *storage.Commit) (cluster.Receipt, error) {
	return cluster.Receipt{}, nil
}

// EditObjects implements session.Engine: nothing is kept.
func (e *Engine) EditObjects(context.Context, uint32, []object.Edit) (uint64, error) { return 0, nil }

// Ingest implements session.Engine: nothing is kept.
func (e *Engine) Ingest(context.Context, uint32, *event.Batch) (cluster.Receipt, error) {
	return cluster.Receipt{}, nil
}

type pin struct{ e *Engine }

func (p pin) Release() { p.e.Pins.Add(-1) }

// Pin implements session.Engine.
func (e *Engine) Pin(uint32) (session.Pin, error) {
	e.Pins.Add(1)
	return pin{e}, nil
}

// Run implements session.Engine. What reads no table runs in the real engine.
func (e *Engine) Run(ctx context.Context, scope *session.Scope, st *sql.Statement, _ session.Pin) (session.Rows, error) {
	table := ""
	var find func(plan.Node)
	find = func(n plan.Node) {
		if s, ok := n.(*plan.Scan); ok {
			table = s.Table.Name
		}
		for _, in := range n.Inputs() {
			find(in)
		}
	}
	find(st.Plan)
	if table == "" {
		return engine.Run(ctx, st.Plan, &engine.Env{Expr: scope.Expr, Threads: 1, Progress: scope.Progress, Write: scope.Write})
	}
	e.Running.Add(1)
	return &rows{engine: e, table: table, params: scope.Expr.Params}, nil
}

// Cost implements session.Engine.
func (e *Engine) Cost(*session.Scope, *sql.Statement, session.Pin) engine.Cost { return e.Reads }

// Change implements session.Engine: there is nothing to change.
func (e *Engine) Change(context.Context, *session.Scope, *sql.Statement, uint32) (int, uint64, error) {
	return 0, 0, nil
}

func ints(from int64, n int) *vec.Batch {
	v := &vec.Vector{Type: vec.T(vec.Int8), I64: make([]int64, n)}
	for i := range v.I64 {
		v.I64[i] = from + int64(i)
	}
	return &vec.Batch{Rows: n, Cols: []*vec.Vector{v}}
}

// Next implements session.Rows.
func (r *rows) Next(ctx context.Context) (*vec.Batch, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	from := r.next
	switch r.table {
	case "panics":
		panic("this table panics")
	case "slow":
		<-ctx.Done()
		return nil, ctx.Err()
	case "endless":
		r.next += 1000
		return ints(from+1, 1000), nil
	case "numbers":
		if r.next += 5000; r.next > 20_000 {
			return nil, nil
		}
		return ints(from+1, 5000), nil
	}
	if r.next++; r.next > 1 {
		return nil, nil
	}
	switch r.table {
	case "types":
		return Types().Batch, nil
	case "echo":
		return &vec.Batch{Rows: 1, Cols: r.params}, nil
	}
	return ints(1, 1), nil
}

// Close implements session.Rows.
func (r *rows) Close() error {
	if !r.closed {
		r.closed = true
		r.engine.Running.Add(-1)
	}
	return nil
}

// Table is a batch and its schema.
type Table struct {
	Schema vec.Schema
	Batch  *vec.Batch
}

// Types is a row with a value of every type, and a row of nulls.
func Types() Table {
	t := Table{Batch: &vec.Batch{Rows: 2}}
	add := func(name string, v *vec.Vector) {
		b := vec.NewBuilder(v.Type)
		b.AppendFrom(v, 0)
		b.AppendNull()
		t.Schema = append(t.Schema, vec.Field{Name: name, Type: v.Type})
		t.Batch.Cols = append(t.Batch.Cols, b.V)
	}
	num := func(k vec.Kind, n int64) *vec.Vector { return &vec.Vector{Type: vec.T(k), I64: []int64{n}} }
	str := func(k vec.Kind, s string) *vec.Vector { return &vec.Vector{Type: vec.T(k), Str: vec.StringsOf(s)} }
	add("bool", &vec.Vector{Type: vec.T(vec.Bool), Bools: []bool{true}})
	add("int2", num(vec.Int2, -2))
	add("int4", num(vec.Int4, math.MinInt32))
	add("int8", num(vec.Int8, math.MaxInt64))
	add("float4", &vec.Vector{Type: vec.T(vec.Float4), F64: []float64{1.5}})
	add("float8", &vec.Vector{Type: vec.T(vec.Float8), F64: []float64{-0.1}})
	add("numeric", &vec.Vector{Type: vec.T(vec.Numeric), Dec: []vec.Decimal{{Lo: 1234567890050, Scale: 5}}})
	add("text", str(vec.Text, "grün"))
	add("varchar", str(vec.Varchar, "v"))
	add("name", str(vec.Name, "pg_catalog"))
	add("bytea", str(vec.Bytea, "\x00\xff"))
	add("date", num(vec.Date, 20_000))
	add("time", num(vec.Time, 3_723_000_001))
	add("timestamp", num(vec.Timestamp, 1_700_000_000_123_456))
	add("timestamptz", num(vec.TimestampTZ, 1_700_000_000_000_000))
	add("interval", &vec.Vector{Type: vec.T(vec.Interval), Ivl: []vec.IntervalValue{{Months: 14, Days: 3, Micros: 4_000_000}}})
	add("uuid", &vec.Vector{Type: vec.T(vec.UUID), UUIDs: []vec.UUIDValue{{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}}})
	add("jsonb", str(vec.JSONB, `{"a": 1}`))
	add("oid", num(vec.OID, 4_000_000_000))
	elem := &vec.Vector{Type: vec.T(vec.Int4), I64: []int64{1, 0, 3}, Nulls: vec.Bitmap{2}}
	add("int4s", &vec.Vector{Type: vec.ArrayOf(vec.Int4), Elem: elem, Offs: []uint32{0, 3}})
	texts := &vec.Vector{Type: vec.T(vec.Text), Str: vec.StringsOf("a", "b c")}
	add("texts", &vec.Vector{Type: vec.ArrayOf(vec.Text), Elem: texts, Offs: []uint32{0, 2}})
	return t
}
