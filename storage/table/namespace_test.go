package table

import (
	"errors"
	"reflect"
	"testing"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/prickledb/prickle/storage/vec"
)

// applied is tables that write sets are applied to, each after a way over the wire.
type applied struct {
	*testing.T
	tables *Tables
}

func (a *applied) apply(ws *WriteSet) error {
	a.Helper()
	read, err := DecodeWriteSet(AppendWriteSet(nil, ws))
	if err != nil || !reflect.DeepEqual(read, ws) {
		a.Fatalf("the write set is read as %+v, %v", read, err)
	}
	next, _, err := a.tables.Apply(read, 0, 0)
	a.tables = next
	return err
}

func (a *applied) must(ops ...Op) {
	a.Helper()
	if err := a.apply(&WriteSet{Ops: ops}); err != nil {
		a.Fatal(err)
	}
}

func (a *applied) conflict(ws *WriteSet) {
	a.Helper()
	var c *ConflictError
	if err := a.apply(ws); !errors.As(err, &c) {
		a.Errorf("error %v, want a conflict", err)
	}
}

// Names are looked for in their namespace alone; a namespace is there as long as something is in it.
func TestNamespaces(t *testing.T) {
	a := &applied{t, &Tables{}}
	space := func(name string) *Schema { return &Schema{Kind: Namespace, Name: name, Version: 1} }
	named := func(name string, in uint32) *Schema { return &Schema{Name: name, Version: 1, In: in} }
	a.must(Op{Kind: OpCreate, Table: Fresh, Schema: space("s")}, Op{Kind: OpCreate, Table: Fresh + 1, Schema: named("t", Fresh)},
		Op{Kind: OpCreate, Table: Fresh + 2, Schema: named("t", 0)}, Op{Kind: OpCreate, Table: Fresh + 3, Schema: &Schema{Kind: Note, Name: "s", Version: 1, Comment: "of s"}})
	if in := a.tables.Table(2).Schema.In; in != 1 {
		t.Fatalf("the table is in %d, want 1", in)
	}
	if n := len(a.tables.List()); n != 2 || len(a.tables.Of(Namespace)) != 1 || len(a.tables.Of(Note)) != 1 {
		t.Errorf("%d tables, %d namespaces, %d notes", n, len(a.tables.Of(Namespace)), len(a.tables.Of(Note)))
	}
	back, err := DecodeTables(a.tables.Append(nil))
	if err != nil || !reflect.DeepEqual(back.Table(2).Schema, a.tables.Table(2).Schema) || back.Table(4).Schema.Comment != "of s" {
		t.Errorf("the state is read as %+v, %v", back, err)
	}
	for _, o := range []Op{
		{Kind: OpCreate, Table: Fresh, Schema: space("s")},
		{Kind: OpCreate, Table: Fresh, Schema: named("t", 1)},
		{Kind: OpCreate, Table: Fresh, Schema: named("u", 3)}, // no namespace
		{Kind: OpCreate, Table: Fresh, Schema: named("u", 9)},
		{Kind: OpDrop, Table: 1, Version: 1},
		{Kind: OpAlter, Table: 2, Version: 1, Schema: named("t", 0)},
	} {
		a.conflict(&WriteSet{Ops: []Op{o}})
	}
	for _, o := range []Op{
		{Kind: OpInsert, Table: 1, Version: 1, Batch: &vec.Batch{Rows: 1}},
		{Kind: OpTruncate, Table: 4, Version: 1, Rows: roaring.New()},
		{Kind: OpAlter, Table: 1, Version: 1, Schema: named("s", 0)},
	} {
		if err := a.apply(&WriteSet{Ops: []Op{o}}); err == nil {
			t.Errorf("%+v is done", o)
		}
	}
	// A transaction of several parts made a table where there is no namespace any more.
	if err := a.apply(&WriteSet{Stage: Part, Txn: Txn{1}, Ops: []Op{{Kind: OpCreate, Table: Fresh, Schema: named("late", 1)}}}); err != nil {
		t.Fatal(err)
	}
	a.conflict(&WriteSet{Ops: []Op{{Kind: OpDrop, Table: 2, Version: 1}, {Kind: OpDrop, Table: 1, Version: 1}}})
	if err := a.apply(&WriteSet{Stage: Abort, Txn: Txn{1}}); err != nil {
		t.Fatal(err)
	}
	a.must(Op{Kind: OpDrop, Table: 2, Version: 1}, Op{Kind: OpDrop, Table: 1, Version: 1})
}

// A change of what rows must be like is made only if nobody else has inserted rows since they were
// looked at; those of its own transaction do not count.
func TestAlterIfSame(t *testing.T) {
	a := &applied{t, &Tables{}}
	s := &Schema{Name: "t", Version: 1}
	s.Add(Column{Name: "n", Type: vec.T(vec.Int8)})
	row := func() Op {
		return Op{Kind: OpInsert, Table: 1, Version: 1, Columns: []uint32{1}, Batch: &vec.Batch{Rows: 1, Cols: []*vec.Vector{{Type: vec.T(vec.Int8), I64: []int64{1}}}}}
	}
	a.must(Op{Kind: OpCreate, Table: Fresh, Schema: s}, Op{Kind: OpInsert, Table: Fresh, Version: 1, Columns: []uint32{1}, Batch: row().Batch})
	next := a.tables.Table(1).Schema.Clone()
	next.Checks = []Check{{Name: "c", Expr: "n > 0", Columns: []uint32{1}}}
	alter := Op{Kind: OpAlter, Table: 1, Version: 1, Schema: next, IfSame: true, Until: 1}
	a.must(row())
	a.conflict(&WriteSet{Ops: []Op{alter}})
	alter.Until = 2
	a.must(row(), alter)
	if c := a.tables.Table(1).Schema.Checks; len(c) != 1 {
		t.Errorf("checks %v", c)
	}
}

// Rows are read in the type that their column has now, from memory and from segments.
func TestWiden(t *testing.T) {
	for _, c := range []struct {
		from, to vec.Type
		want     bool
	}{
		{vec.T(vec.Int2), vec.T(vec.Int8), true}, {vec.T(vec.Int8), vec.T(vec.Int4), false}, {vec.T(vec.Int4), vec.T(vec.Numeric), false},
		{vec.T(vec.Float4), vec.T(vec.Float8), true}, {vec.T(vec.Float8), vec.T(vec.Float4), false},
		{vec.Type{Kind: vec.Varchar, Mod: 8}, vec.Type{Kind: vec.Varchar, Mod: 9}, true}, {vec.Type{Kind: vec.Varchar, Mod: 8}, vec.T(vec.Text), true},
		{vec.T(vec.Text), vec.Type{Kind: vec.Varchar, Mod: 9}, false}, {vec.Type{Kind: vec.Bpchar, Mod: 8}, vec.T(vec.Text), false},
		{vec.Type{Kind: vec.Numeric, Mod: 5<<16 | 2 + 4}, vec.Type{Kind: vec.Numeric, Mod: 8<<16 | 2 + 4}, true},
		{vec.Type{Kind: vec.Numeric, Mod: 5<<16 | 2 + 4}, vec.Type{Kind: vec.Numeric, Mod: 8<<16 | 3 + 4}, false},
		{vec.ArrayOf(vec.Int4), vec.ArrayOf(vec.Int8), false},
	} {
		if got := Widens(c.from, c.to); got != c.want {
			t.Errorf("Widens(%v, %v) = %v", c.from, c.to, got)
		}
	}
	s := &Schema{Name: "t", Version: 1}
	s.Add(Column{Name: "n", Type: vec.T(vec.Int4)})
	short := vec.Type{Kind: vec.Varchar, Mod: 9}
	s.Add(Column{Name: "v", Type: short})
	rows := &Rows{Columns: []uint32{1, 2}, Batch: &vec.Batch{Rows: 200, Cols: []*vec.Vector{{Type: vec.T(vec.Int4)}, {Type: short}}}}
	for i := range rows.Batch.Rows {
		rows.Batch.Cols[0].I64 = append(rows.Batch.Cols[0].I64, int64(-7*i))
		rows.Batch.Cols[1].Str.AppendString([]string{"one", "two"}[i%2])
	}
	raw, err := Build(s, nil, []*Rows{rows}, roaring.New())
	if err != nil {
		t.Fatal(err)
	}
	r, err := OpenBytes(raw)
	if err != nil {
		t.Fatal(err)
	}
	wide := s.Clone()
	wide.Columns[0].Type, wide.Columns[1].Type = vec.T(vec.Int8), vec.T(vec.Text)
	again := &Rows{First: 200, Columns: rows.Columns, Batch: rows.Batch}
	v := &Version{Schema: wide, Segments: []*Reader{r}, Batches: []*Rows{again}, Next: 400, Dead: roaring.New(), Hidden: roaring.New()}
	dicts := false
	for _, p := range v.Pieces() {
		got, err := p.Column(&wide.Columns[0])
		if err != nil || got.Type != vec.T(vec.Int8) || got.I64[1] != -7 {
			t.Errorf("column %+v, %v", got, err)
		}
		got, err = p.Column(&wide.Columns[1])
		if err != nil || got.Type != vec.T(vec.Text) || got.Dict != nil && got.Dict.Type != vec.T(vec.Text) {
			t.Errorf("column %+v, %v", got, err)
		}
		dicts = dicts || got.Dict != nil
	}
	if !dicts {
		t.Error("no segment has a dictionary")
	}
	if merged, err := Build(wide, []*Reader{r}, []*Rows{again}, roaring.New()); err != nil || merged == nil {
		t.Errorf("Build = %v", err)
	}
	if rows.Batch.Cols[0].Type != vec.T(vec.Int4) {
		t.Error("the rows themselves have another type")
	}
}
