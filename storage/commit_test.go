package storage

import (
	"errors"
	"reflect"
	"testing"

	"github.com/prickledb/prickle/storage/object"
	"github.com/prickledb/prickle/storage/table"
	"github.com/prickledb/prickle/storage/vec"
	"github.com/prickledb/prickle/storage/vfs"
)

// A commit is carried out as a whole, or not at all: whether its tables or its objects do not fit,
// and whether it is of one part or of several.
func TestApplyCommit(t *testing.T) {
	s := openAt(t, vfs.NewMem())
	createAs(t, s, 1, "a")
	made := func(name string) table.Op {
		schema := &table.Schema{Name: name, Version: 1}
		schema.Add(table.Column{Name: "n", Type: vec.T(vec.Int8)})
		return table.Op{Kind: table.OpCreate, Table: table.Fresh, Schema: schema}
	}
	cohort := func(id, version int64) []object.Edit {
		return []object.Edit{{Kind: object.Cohort, ID: id, Version: version, Body: []byte(`{"name":"<c>"}`)}}
	}
	index := uint64(1)
	apply := func(c *Commit) error {
		t.Helper()
		raw, err := AppendCommit(nil, c)
		if err != nil {
			t.Fatal(err)
		}
		decoded, err := DecodeCommit(raw)
		if err != nil || !reflect.DeepEqual(decoded.Objects, c.Objects) || !reflect.DeepEqual(decoded.Members, c.Members) {
			t.Fatalf("DecodeCommit = %+v, %v, want %+v", decoded, err, c)
		}
		for n := range raw {
			if _, err := DecodeCommit(raw[:n]); err == nil {
				t.Fatalf("%d of %d bytes are a commit", n, len(raw))
			}
		}
		index++
		_, err = s.ApplyCommit(index, int64(index), 1, decoded)
		return err
	}
	want := func(tables, cohorts, members int) {
		t.Helper()
		sn, err := s.Snapshot(1)
		if err != nil {
			t.Fatal(err)
		}
		defer sn.Release()
		given := 0
		for _, o := range sn.Objects().List(object.Cohort) {
			if sn.StaticMembers(o.ID) != nil {
				given++
			}
		}
		if all, n := len(sn.Tables().List()), len(sn.Objects().List(object.Cohort)); all != tables || n != cohorts || given != members {
			t.Errorf("%d tables and %d cohorts, %d of them static; want %d, %d and %d", all, n, given, tables, cohorts, members)
		}
	}
	members := []MemberEdit{{Cohort: 4, Replace: true}}
	if err := apply(&Commit{Tables: &table.WriteSet{Ops: []table.Op{made("t")}}, Objects: cohort(4, 0), Members: members}); err != nil {
		t.Fatal(err)
	}
	want(1, 1, 1)
	var objects *object.ConflictError
	if err := apply(&Commit{Tables: &table.WriteSet{Ops: []table.Op{made("u")}}, Objects: cohort(4, 0)}); !errors.As(err, &objects) {
		t.Errorf("a cohort that is there: %v, want a conflict", err)
	}
	var tables *table.ConflictError
	members = []MemberEdit{{Cohort: 5, Replace: true}}
	if err := apply(&Commit{Tables: &table.WriteSet{Ops: []table.Op{made("t")}}, Objects: cohort(5, 0), Members: members}); !errors.As(err, &tables) {
		t.Errorf("a table that is there: %v, want a conflict", err)
	}
	want(1, 1, 1)
	for _, version := range []int64{7, 1} {
		txn := table.NewTxn()
		if err := apply(&Commit{Tables: &table.WriteSet{Stage: table.Part, Txn: txn, Ops: []table.Op{made("v")}}}); err != nil {
			t.Fatal(err)
		}
		err := apply(&Commit{Tables: &table.WriteSet{Stage: table.Last, Txn: txn}, Objects: cohort(4, version)})
		if fits := version == 1; fits != (err == nil) {
			t.Errorf("the last part of a transaction, with cohort 4 from version %d: %v", version, err)
		}
		if version == 7 {
			want(1, 1, 1)
		}
	}
	want(2, 1, 1)
	if n := len(s.Tables(1).All()); n != 2 {
		t.Errorf("%d tables with those of transactions under way, want 2", n)
	}
}

func FuzzDecodeCommit(f *testing.F) {
	raw, err := AppendCommit(nil, &Commit{Tables: &table.WriteSet{Ops: []table.Op{{Kind: table.OpDrop, Table: 1, Version: 1}}},
		Objects: []object.Edit{{Kind: object.Cohort, Body: []byte(`{}`)}}, Members: []MemberEdit{{Cohort: 1, Persons: []vec.UUIDValue{{1}}}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Fuzz(func(t *testing.T, raw []byte) {
		c, err := DecodeCommit(raw)
		if err != nil {
			return
		}
		again, err := AppendCommit(nil, c)
		if err != nil {
			t.Fatal(err)
		}
		if other, err := DecodeCommit(again); err != nil || len(other.Objects) != len(c.Objects) || len(other.Members) != len(c.Members) {
			t.Errorf("written and read again: %+v, %v, want %+v", other, err, c)
		}
	})
}
