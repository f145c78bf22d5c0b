package exec

import (
	"testing"

	"github.com/prickledb/prickle/engine/intern"
	"github.com/prickledb/prickle/storage/vec"
)

// coded is rows with the values of a dictionary, in its order.
func coded(dict *vec.Vector) (v *vec.Vector, rows []uint32) {
	rows = firstRows(new([]uint32), dict.Len())
	return &vec.Vector{Type: dict.Type, Form: vec.Dict, Dict: dict, Codes: rows}, rows
}

// Texts of several dictionaries stay codes. Uuids do not, since one that is in two of them would
// have two codes, and count(DISTINCT) counts these.
func TestColumnStoreOfSeveralDictionaries(t *testing.T) {
	a, b := vec.UUIDValue{1}, vec.UUIDValue{2}
	for _, c := range []struct {
		dicts []*vec.Vector
		form  vec.Form
	}{
		{[]*vec.Vector{{Type: vec.T(vec.Text), Str: vec.StringsOf("a", "b")}, {Type: vec.T(vec.Text), Str: vec.StringsOf("b")}}, vec.Dict},
		{[]*vec.Vector{{Type: vec.T(vec.UUID), UUIDs: []vec.UUIDValue{a, b}}, {Type: vec.T(vec.UUID), UUIDs: []vec.UUIDValue{b}}}, vec.Flat},
	} {
		s := &columnStore{typ: c.dicts[0].Type}
		var want []*vec.Vector
		for _, d := range c.dicts {
			v, rows := coded(d)
			if err := s.add(v, rows); err != nil {
				t.Fatal(err)
			}
			for r := range rows {
				want = append(want, v.Take([]uint32{uint32(r)}))
			}
		}
		if s.v.Form != c.form {
			t.Errorf("%v of two dictionaries has form %d, want %d", s.typ, s.v.Form, c.form)
		}
		for r, w := range want {
			if !vec.Equal(s.v, r, w, 0) {
				t.Errorf("%v: row %d has another value", s.typ, r)
			}
		}
	}
}

// A column of many blocks, each with a dictionary of its own, keeps few of these alive, and its
// values all the same.
func TestColumnStoreForgetsDictionaries(t *testing.T) {
	s := &columnStore{typ: vec.T(vec.Text)}
	names := []string{"a", "b", "c"}
	for range 5 * intern.MaxDicts {
		v, rows := coded(&vec.Vector{Type: s.typ, Str: vec.StringsOf(names...)})
		for range 2 {
			if err := s.add(v, rows); err != nil {
				t.Fatal(err)
			}
		}
	}
	if s.v.Form != vec.Dict || len(s.places) > intern.MaxDicts || s.dict.Len() != 5*intern.MaxDicts*len(names) {
		t.Errorf("form %d, %d dictionaries of %d values, want at most %d of %d", s.v.Form, len(s.places), s.dict.Len(), intern.MaxDicts, 5*intern.MaxDicts*len(names))
	}
	for r := range s.v.Len() {
		if v, at := s.v.At(r); v.Str.Str(at) != names[r%len(names)] {
			t.Fatalf("row %d is %q, want %q", r, v.Str.Str(at), names[r%len(names)])
		}
	}
}
