package table

import (
	"math"
	"reflect"
	"testing"

	"github.com/prickledb/prickle/storage/vec"
)

// TestSequence takes numbers of a sequence, which a change of the schema does not give back.
func TestSequence(t *testing.T) {
	s := &Schema{Name: "t"}
	s.Add(Column{Name: "id", Type: vec.T(vec.Int8), Sequence: "t_id_seq", Next: 1})
	s.Add(Column{Name: "x", Type: vec.T(vec.Int8)})
	tables := &Tables{}
	apply := func(ops ...Op) (Change, error) {
		t.Helper()
		ws := &WriteSet{Ops: ops}
		read, err := DecodeWriteSet(AppendWriteSet(nil, ws))
		if err != nil || !reflect.DeepEqual(read, ws) {
			t.Fatalf("the write set is read as %+v, %v", read, err)
		}
		next, change, err := tables.Apply(read, 0, 0)
		tables = next
		return change, err
	}
	must := func(first int64, ops ...Op) {
		t.Helper()
		if c, err := apply(ops...); err != nil || c.First != first {
			t.Errorf("first number %d, want %d; %v", c.First, first, err)
		}
	}
	must(0, Op{Kind: OpCreate, Table: Fresh, Schema: s})
	old := tables.Table(1).Schema
	must(1, Op{Kind: OpAdvance, Table: 1, Version: 1, Column: 1, Count: 3})
	must(4, Op{Kind: OpAdvance, Table: 1, Version: 1, Column: 1, Count: 1})
	if v := tables.Table(1).Schema; v.Version != 1 || old.Columns[0].Next != 1 {
		t.Errorf("version %d, and the schema of before says %d", v.Version, old.Columns[0].Next)
	}
	renamed := old.Clone()
	renamed.Name = "u"
	must(0, Op{Kind: OpAlter, Table: 1, Version: 1, Schema: renamed})
	must(5, Op{Kind: OpAdvance, Table: 1, Version: 2, Column: 1, Count: 1})
	must(0, Op{Kind: OpRestart, Table: 1, Version: 2, Column: 1, Next: 100})
	must(100, Op{Kind: OpAdvance, Table: 1, Version: 2, Column: 1, Count: 2})
	must(0, Op{Kind: OpRestart, Table: 1, Version: 2, Column: 1, Next: 6}) // back, and over again
	again, err := DecodeTables(tables.Append(nil))
	if err != nil || again.Table(1).Schema.Columns[0].Next != 6 {
		t.Errorf("the state is read as %+v, %v", again.Table(1).Schema, err)
	}
	for _, o := range []Op{
		{Kind: OpAdvance, Table: 1, Version: 1, Column: 1, Count: 1},
		{Kind: OpAdvance, Table: 1, Version: 2, Column: 2, Count: 1},
		{Kind: OpAdvance, Table: 1, Version: 2, Column: 9, Count: 1},
		{Kind: OpAdvance, Table: 2, Version: 1, Column: 1, Count: 1},
		{Kind: OpRestart, Table: 1, Version: 2, Column: 2, Next: 1},
		{Kind: OpRestart, Table: 1, Version: 2, Column: 1, Next: 0},
	} {
		if _, err := apply(o); err == nil {
			t.Errorf("%+v is done", o)
		}
	}
	last := tables.Table(1).Schema.Clone()
	last.Columns[0].Next = math.MaxInt64 - 1
	must(0, Op{Kind: OpAlter, Table: 1, Version: 2, Schema: last})
	must(math.MaxInt64-1, Op{Kind: OpAdvance, Table: 1, Version: 3, Column: 1, Count: 1})
	if _, err := apply(Op{Kind: OpAdvance, Table: 1, Version: 3, Column: 1, Count: 1}); err == nil {
		t.Error("there is a number behind the last")
	}
}
