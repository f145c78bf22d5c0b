package storage

import (
	"strings"
	"testing"

	"github.com/prickledb/prickle/storage/event"
	"github.com/prickledb/prickle/storage/manifest"
	"github.com/prickledb/prickle/storage/table"
	"github.com/prickledb/prickle/storage/vfs"
)

// Manifest and state file can be looked at, and damage is said.
func TestDump(t *testing.T) {
	fs := vfs.NewMem()
	s := openAt(t, fs)
	createAs(t, s, 1, "a")
	_, err := s.ApplyEvents(2, 1, 1, smallBatch(0, 6,
		event.PersonOp{Row: 0, Set: []byte(`{"plan":"pro"}`)},
		event.PersonOp{Row: 1, Kind: event.OpIdentify, Other: "u0"}))
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.ApplyTables(3, 1, 1, &table.WriteSet{Ops: []table.Op{
		{Kind: table.OpCreate, Table: table.Fresh, Schema: &table.Schema{Kind: table.Namespace, Name: "s", Version: 1}},
		{Kind: table.OpCreate, Table: table.Fresh + 1, Schema: &table.Schema{Name: "t", Version: 1, In: table.Fresh}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.Close()
	m := s.log.Manifest()
	dump := func(name string, damage int, of func(*strings.Builder, []byte) error) (string, error) {
		raw, err := vfs.ReadFile(fs, name, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		if damage > 0 {
			raw[damage] ^= 1
		}
		var out strings.Builder
		err = of(&out, raw)
		return out.String(), err
	}
	for _, c := range []struct {
		name string
		of   func(*strings.Builder, []byte) error
		want []string
	}{
		{"d/" + s.log.Name(), func(w *strings.Builder, raw []byte) error { return manifest.Dump(w, raw) },
			[]string{"covers entry 3", "segment 0003145728  project 1  2025-06-15 … 2025-06-15  6 rows", "state " + m.States[0], "dedup run 0000000001  level 0", "6 keys", `edit {"applied":3`}},
		{"d/state/" + m.States[0], func(w *strings.Builder, raw []byte) error { return DumpState(w, raw) },
			[]string{`"database":"a"`, "ordinals 0 to 4 are new", `distinct id "u1" is person 0`, `{"plan": "pro"}`,
				`schema 1 of project 1: "s", version 1`, `table 2 of project 1: "t" in schema 1, version 1`}},
	} {
		text, err := dump(c.name, 0, c.of)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		for _, want := range c.want {
			if !strings.Contains(text, want) {
				t.Errorf("%s: no %q in\n%s", c.name, want, text)
			}
		}
		if text, err := dump(c.name, 25, c.of); err == nil && !strings.Contains(text, "damage") {
			t.Errorf("%s, damaged: no error, and\n%s", c.name, text)
		}
	}
}

func FuzzDumpState(f *testing.F) {
	f.Fuzz(func(t *testing.T, raw []byte) {
		DumpState(new(strings.Builder), sealState(raw)) // no panic
	})
}
