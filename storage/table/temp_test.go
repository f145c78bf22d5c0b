package table

import (
	"testing"

	"github.com/prickledb/prickle/storage/vec"
)

// TestTemp has temporary tables beside those of the project, and nowhere else.
func TestTemp(t *testing.T) {
	schema := func(name string, temp bool, on OnCommit) *Schema {
		s := &Schema{Name: name, Temp: temp, OnCommit: on}
		s.Add(Column{Name: "n", Type: vec.T(vec.Int8)})
		return s
	}
	create := func(s *Schema) *WriteSet { return &WriteSet{Ops: []Op{{Kind: OpCreate, Table: Fresh, Schema: s}}} }
	apply := func(tb *Tables, ws *WriteSet) *Tables {
		t.Helper()
		out, _, err := tb.Apply(ws, 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	base := apply(&Tables{}, create(schema("t", false, 0)))
	temp := NewTemp()
	for name, on := range map[string]OnCommit{"t": PreserveRows, "d": DeleteRows, "g": DropTable} {
		temp = apply(temp, create(schema(name, true, on)))
	}
	for _, v := range temp.List() {
		temp = apply(temp, &WriteSet{Ops: []Op{{Kind: OpInsert, Table: v.Schema.Table, Version: 1, Columns: []uint32{1},
			Batch: &vec.Batch{Rows: 2, Cols: []*vec.Vector{{Type: vec.T(vec.Int8), I64: []int64{1, 2}}}}}}})
	}
	if n := len(base.Beside(temp).List()); n != 4 || len(base.List()) != 1 || base.Beside(temp).LastID() != 1 {
		t.Errorf("%d tables beside each other, want 4", n)
	}
	rows := map[string]int64{}
	after := temp.Committed()
	for _, v := range after.List() {
		rows[v.Schema.Name] = v.Live()
	}
	if len(rows) != 2 || rows["t"] != 2 || rows["d"] != 0 || after.Bytes() >= temp.Bytes() {
		t.Errorf("after COMMIT: %v, %d bytes of %d", rows, after.Bytes(), temp.Bytes())
	}
	for _, c := range []struct {
		into *Tables
		temp bool
	}{{base, true}, {temp, false}} {
		if _, _, err := c.into.Apply(create(schema("x", c.temp, 0)), 0, 0); err == nil {
			t.Errorf("a table is where it does not belong, temporary: %v", c.temp)
		}
	}
}
