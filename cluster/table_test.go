package cluster

import (
	"errors"
	"testing"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/prickledb/prickle/storage/table"
	"github.com/prickledb/prickle/storage/vec"
)

// Write sets are in the log like everything else: there after a restart, once, whether the
// rows lie in the log or in segments; and one that does not fit is refused, now and when the
// log is applied again.
func TestWriteTables(t *testing.T) {
	dir := t.TempDir()
	n := openNode(t, Config{Dir: dir})
	schema := &table.Schema{Name: "t", Version: 1}
	schema.Add(table.Column{Name: "n", Type: vec.T(vec.Int8)})
	rows := func(id uint32, n int) table.Op {
		b := &vec.Batch{Rows: n, Cols: []*vec.Vector{{Type: vec.T(vec.Int8), I64: make([]int64, n)}}}
		return table.Op{Kind: table.OpInsert, Table: id, Version: 1, Columns: []uint32{1}, Batch: b}
	}
	write := func(ops ...table.Op) error {
		_, err := n.WriteTables(t.Context(), 1, &table.WriteSet{Ops: ops})
		return err
	}
	want := func(rows int64) {
		t.Helper()
		list := n.Store().Tables(1).List()
		if len(list) != 1 || list[0].Live() != rows {
			t.Fatalf("%d tables, want one with %d rows", len(list), rows)
		}
	}
	if err := write(table.Op{Kind: table.OpCreate, Table: table.Fresh, Schema: schema}, rows(table.Fresh, 100)); err != nil {
		t.Fatal(err)
	}
	if err := n.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	remove := table.Op{Kind: table.OpDelete, Table: 1, Version: 1, Rows: roaring.BitmapOf(7)}
	if err := write(remove, rows(1, 10)); err != nil {
		t.Fatal(err)
	}
	var conflict *table.ConflictError
	if err := write(rows(1, 5), remove); !errors.As(err, &conflict) {
		t.Fatalf("the second deletion of a row: %v, want a conflict", err)
	}
	want(109)
	for range 2 {
		// Without a Raft snapshot of its end, the log is applied again.
		n.store.Close()
		n.Close(t.Context()) // its store is gone; what matters is in the log
		n = openNode(t, Config{Dir: dir})
		want(109)
	}
}

// An entry of a write set says what it is.
func TestDescribeTable(t *testing.T) {
	raw := encodeEntry(kindTable, header{project: 3, rows: 2}, table.AppendWriteSet(nil, &table.WriteSet{}))
	seal(raw, 5)
	if got, want := Describe(raw), "table project 3 rows 2 time 5 proposal 00000000-0000-0000-0000-000000000000 payload 3 bytes"; got != want {
		t.Errorf("Describe = %q, want %q", got, want)
	}
}
